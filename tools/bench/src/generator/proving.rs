//! The life of an attempt, with its troubles.
//!
//! Errors, timeouts, losses, splits, late answers and operators come with fixed chances; a unit ends complete, halved
//! or parked.

use prooflog_events::event::{
    AggQueued, DuplicateSpendRecorded, LateAnswer, LateAnswerRecorded, ParkReason, Parked, ProofAssigned,
    ProofFulfilled, ProofLost, ProofRequested, SpanCreated, SpanOrigin, Split, Stage, TimedOut,
    TimeoutReason, Unfulfillable, Unparked, WitnessGenFailed, WitnessGenStarted,
};
use prooflog_events::ids::{Attempt, ChainId, L1Number, ProofId, Range, UnitId, Wei};
use prooflog_events::input::{
    Command, Delivery, Input, OperatorCommanded, StatusAnswer, StatusAnswered, TimerDue, WitnessAnswer,
    WitnessAnswered,
};
use prooflog_events::values::{FailureClass, Mode};
use prooflog_projections::state::Illegal;
use prooflog_projections::state::phase::Phase;
use prooflog_projections::state::unit::Unit;

use super::upkeep::to_usize;
use super::{Generator, Work};

/// Bytes of a proof.
const PROOF_BYTES: u64 = 1_400_000;
/// Members that an aggregate has at most.
const MEMBERS_MAX: usize = 64;

impl Generator {
    /// Calls the server for a unit that is ready.
    pub(super) fn start(&mut self, id: UnitId) -> Result<(), Illegal> {
        let Some(unit) = self.state.unit(id) else { return Ok(()) };
        let (attempt, try_number) = (unit.attempt, unit.try_number);
        let deadline = self.now.plus_secs(1_260.max(self.shape.proving_secs()));
        self.emit_unit(id, WitnessGenStarted { attempt, try_number, deadline })?;
        let secs = self.rng.between(30, 90);
        self.after(secs, Work::Unit(id));
        Ok(())
    }

    /// The next step of a span.
    pub(super) fn prove(&mut self, id: UnitId) -> Result<Input, Illegal> {
        let nothing = Input::TimerDue(TimerDue::of_all());
        let Some(unit) = self.state.unit(id).cloned() else { return Ok(nothing) };
        match unit.phase {
            Phase::Ready => self.start(id).map(|()| nothing),
            Phase::WitnessGen => self.answer(&unit),
            Phase::Requested => self.assign(&unit),
            Phase::Assigned => self.finish(&unit),
            Phase::Parked => self.unpark(&unit),
            _ => Ok(nothing),
        }
    }

    /// The server answers.
    pub(super) fn answer(&mut self, unit: &Unit) -> Result<Input, Illegal> {
        let attempt = unit.attempt;
        let answer = match self.rng.between(0, 999) {
            0..20 => {
                let class = FailureClass::WitnessError;
                let text = "witness generation failed: header not found for block".to_owned();
                self.emit_unit(unit.id, WitnessGenFailed { attempt, class, text: text.clone() })?;
                self.after_failure(unit)?;
                WitnessAnswer::Failed { class, text }
            }
            20..30 => {
                let after_secs = self.now.secs_since(unit.started);
                let (stage, reason) = (Stage::Witness, TimeoutReason::Deadline);
                self.emit_unit(unit.id, TimedOut { attempt, stage, reason, after_secs, maybe_paid: true })?;
                self.after_failure(unit)?;
                return Ok(Input::TimerDue(TimerDue::of_all()));
            }
            _ => {
                let proof_id = ProofId(self.rng.bytes::<32>().to_vec());
                let l1_seen = L1Number(self.now.0 / 12_000_000);
                let l1_bound = L1Number(l1_seen.0 + 5);
                let deadline = self.now.plus_secs(14_400.max(self.shape.proving_secs() * 8));
                let event =
                    ProofRequested { attempt, proof_id: proof_id.clone(), l1_bound, l1_head: None, deadline };
                self.emit_unit(unit.id, event)?;
                let secs = self.rng.between(5, 40);
                self.after(secs, Work::Unit(unit.id));
                WitnessAnswer::Requested { proof_id, l1_head: None, l1_seen }
            }
        };
        Ok(Input::WitnessAnswered(WitnessAnswered { unit: unit.id, attempt, answer }))
    }

    /// A prover of the network takes it on; a span is there for long.
    pub(super) fn assign(&mut self, unit: &Unit) -> Result<Input, Illegal> {
        self.emit_unit(unit.id, ProofAssigned { attempt: unit.attempt })?;
        let secs = if unit.is_span() { self.shape.proving_secs() } else { 40 };
        let part = self.rng.between(700, 1_100);
        self.after_micros(secs * part * 1_000, Work::Unit(unit.id));
        Ok(self.status(unit, 2, None))
    }

    fn status(&self, unit: &Unit, fulfillment: i32, delivery: Option<Delivery>) -> Input {
        let text = String::new();
        let answer = StatusAnswer::Status { fulfillment, execution: 2, delivery, text };
        Input::StatusAnswered(StatusAnswered { unit: unit.id, attempt: unit.attempt, answer })
    }

    /// Proving ends, mostly well.
    pub(super) fn finish(&mut self, unit: &Unit) -> Result<Input, Illegal> {
        let attempt = unit.attempt;
        match self.rng.between(0, 999) {
            0..6 if unit.is_span() => {
                self.gives_up(unit, 3, FailureClass::Unexecutable)?;
                self.split(unit)?;
                Ok(self.status(unit, 4, None))
            }
            6..14 => {
                self.gives_up(unit, 2, FailureClass::Unfulfillable)?;
                self.after_failure(unit)?;
                Ok(self.status(unit, 4, None))
            }
            14..18 => {
                let (class, failures) = (FailureClass::Lost, 5);
                self.emit_unit(unit.id, ProofLost { attempt, class, failures })?;
                self.after_failure(unit)?;
                let answer = StatusAnswer::Lost { failures, class };
                Ok(Input::StatusAnswered(StatusAnswered { unit: unit.id, attempt, answer }))
            }
            18..26 => {
                let (stage, reason) = (Stage::Proving, TimeoutReason::Deadline);
                let after_secs = self.now.secs_since(unit.started);
                self.emit_unit(unit.id, TimedOut { attempt, stage, reason, after_secs, maybe_paid: true })?;
                self.after_failure(unit)?;
                Ok(Input::TimerDue(TimerDue::of_all()))
            }
            _ => self.fulfil(unit),
        }
    }

    fn gives_up(&mut self, unit: &Unit, execution: i32, class: FailureClass) -> Result<(), Illegal> {
        let text = "cycle limit exceeded".to_owned();
        self.emit_unit(
            unit.id,
            Unfulfillable { attempt: unit.attempt, fulfillment: 4, execution, class, text },
        )
    }

    fn fulfil(&mut self, unit: &Unit) -> Result<Input, Illegal> {
        let old_one_came = self.rng.chance(300);
        let late = unit.late.first().filter(|_| old_one_came).map(|request| request.attempt);
        let attempt = late.unwrap_or(unit.attempt);
        let proof = self.blob(PROOF_BYTES);
        let selector = (!unit.is_span()).then(|| self.rng.bytes());
        let cycles = self.rng.between(1 << 28, 1 << 34);
        let cost = Wei(u128::from(self.rng.between(1 << 40, 1 << 60)));
        let l1_bound = unit.request.as_ref().map_or(L1Number(0), |request| request.l1_bound);
        let event = ProofFulfilled {
            attempt,
            mode: Mode::Real,
            proof,
            selector,
            l1_bound,
            l1_head: None,
            seconds: self.now.secs_since(unit.started),
            cycles: Some(cycles),
            prover_gas: Some(cycles / 3),
            cost: Some(cost),
        };
        self.emit_unit(unit.id, event)?;
        if late.is_some() {
            self.emit_unit(unit.id, DuplicateSpendRecorded { kept: attempt, wasted: unit.attempt })?;
        }
        if unit.is_span() {
            self.queue(unit.id.chain)?;
        } else {
            self.after(3, Work::Unit(unit.id));
        }
        let delivery = Delivery {
            proof,
            selector,
            l1_head: None,
            cycles: Some(cycles),
            prover_gas: Some(cycles / 3),
            cost: Some(cost),
        };
        Ok(self.status(unit, 3, Some(delivery)))
    }

    /// Tried again later; a few wait for an operator, and a few hear of the old attempt after all.
    fn after_failure(&mut self, unit: &Unit) -> Result<(), Illegal> {
        if unit.is_span() && self.rng.chance(10) {
            let text = "5 failures, the last: WitnessError: header not found for block".to_owned();
            self.emit_unit(unit.id, Parked { reason: ParkReason::Budget, text })?;
            self.after(self.shape.proving_secs() / 4, Work::Unit(unit.id));
            return Ok(());
        }
        self.retry(unit, 1)?;
        if self.rng.chance(100) {
            let proof_id = ProofId(self.rng.bytes::<32>().to_vec());
            let answer = LateAnswer::Requested { proof_id, l1_bound: L1Number(self.now.0 / 12_000_000) };
            self.emit_unit(unit.id, LateAnswerRecorded { attempt: unit.attempt, answer })?;
        }
        self.after(15, Work::Unit(unit.id));
        Ok(())
    }

    fn unpark(&mut self, unit: &Unit) -> Result<Input, Illegal> {
        self.emit_unit(unit.id, Unparked { attempt: Attempt(unit.attempt.0 + 1) })?;
        self.after(1, Work::Unit(unit.id));
        let command = Command::Unpark { unit: unit.id };
        let note = "the archive node is back".to_owned();
        Ok(Input::OperatorCommanded(OperatorCommanded { name: "ann".to_owned(), command, note }))
    }

    fn split(&mut self, unit: &Unit) -> Result<(), Illegal> {
        let Some((low, high)) = unit.range.halves() else { return self.after_failure(unit) };
        let Some(last) = self.state.chains.get(&unit.id.chain).map(|chain| chain.last_span) else {
            return Ok(());
        };
        self.emit_unit(unit.id, Split { low: last + 1, high: last + 2, middle: low.end })?;
        let root = unit.correlation().to_string();
        for (number, range) in [(last + 1, low), (last + 2, high)] {
            let half = UnitId::span(unit.id.chain, number);
            let event = SpanCreated {
                range,
                origin: SpanOrigin::HalfOf(unit.id.number),
                commitments: unit.commitments(),
                transactions: None,
                gas: None,
            };
            self.emit(prooflog_events::ids::StreamId::Unit(half), root.clone(), event)?;
            self.start(half)?;
        }
        Ok(())
    }

    /// Queues an aggregate if enough is proven and none is on its way.
    pub(super) fn queue(&mut self, id: ChainId) -> Result<(), Illegal> {
        let least = to_usize(self.shape.quota() / 4).clamp(1, 8);
        let Some(chain) = self.state.chains.get(&id) else { return Ok(()) };
        let may_queue = chain.contract.latest == chain.contract.confirmed
            && chain.aggs.values().all(|agg| {
                let end = chain.contract.latest.map(|latest| latest.block);
                agg.phase == Phase::Included && Some(agg.range.end) == end
            });
        if !may_queue {
            return Ok(());
        }
        let run = chain.provable_run(MEMBERS_MAX);
        let (Some(first), Some(last), Some(terms)) = (run.first(), run.last(), chain.terms()) else {
            return Ok(());
        };
        if run.len() < least {
            return Ok(());
        }
        let range = Range { start: first.range.start, end: last.range.end };
        let members = run.iter().map(|span| span.id.number).collect();
        let agg = UnitId::agg(id, chain.last_agg + 1);
        self.emit_unit(agg, AggQueued { range, members, terms })?;
        self.after(4, Work::Unit(agg));
        Ok(())
    }
}
