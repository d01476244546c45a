//! What happens to a rollup as a whole.
//!
//! It is taken on, its heads move, its blocks are cut into spans, operators halt and resume it, old proofs are given
//! up.

use prooflog_events::event::{
    ChainRegistered, ContractAdvanced, ContractConfigValidated, ContractConfirmed, ContractObserved,
    EngineStarted, FinalizedMoved, OutputChecked, Paused, PausedBy, PolicyChanged, ProofPruned,
    ProverDegraded, ProverRecovered, Resumed, Retried, SpanCreated, SpanOrigin, Stage, TimedOut,
    TimeoutReason,
};
use prooflog_events::ids::{ChainId, Hash32, L1ChainId, L1Ref, L2Block, Range, StreamId, UnitId, Wei};
use prooflog_events::input::{ChainConfigured, EngineOpened, Input, NodeRead, TimerDue};
use prooflog_events::policy::Policy;
use prooflog_events::values::{
    Anchor, Commitments, ContractValues, Control, FailureClass, Generation, Mode, NodeAnswer,
};
use prooflog_projections::state::Illegal;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::unit::Unit;

use super::{BATCH_EVENTS, Generator, SPAN_BLOCKS, Work};

/// Spans created or proofs given up in one batch.
const PER_BATCH: usize = 64;

impl Generator {
    pub(super) fn restart(&mut self) -> Result<Input, Illegal> {
        let policy = self.constant(9);
        let started = EngineStarted { release: "0.1.0".to_owned(), behaviour: 1, format: 1, policy };
        self.emit(StreamId::Node, StreamId::Node.to_string(), started.clone())?;
        let stale: Vec<UnitId> = self.state.stale_calls.iter().copied().collect();
        for id in stale {
            if self.events.len() + 2 > BATCH_EVENTS {
                break;
            }
            let Some(unit) = self.state.unit(id).cloned() else { continue };
            let after_secs = self.now.secs_since(unit.started);
            let event = TimedOut {
                attempt: unit.attempt,
                stage: Stage::Witness,
                reason: TimeoutReason::Restart,
                after_secs,
                maybe_paid: true,
            };
            self.emit_unit(id, event)?;
            self.retry(&unit, 0)?;
        }
        self.after(self.shape.proving_secs() * 4, Work::Restart);
        Ok(Input::EngineOpened(EngineOpened { started }))
    }

    /// The next attempt of a unit that just failed.
    pub(super) fn retry(&mut self, unit: &Unit, failures: u32) -> Result<(), Illegal> {
        let failures = unit.own_failures + failures;
        let event = Retried {
            attempt: unit.attempt.next(),
            not_before: self.now.plus_secs(10),
            failures,
            budget_left: 5_u32.saturating_sub(failures),
        };
        self.emit_unit(unit.id, event)
    }

    pub(super) fn register(&mut self, id: ChainId) -> Result<Input, Illegal> {
        let registration = ChainRegistered {
            name: format!("rollup-{id}"),
            l1: L1ChainId(1),
            oracle: self.address(id.0),
            l1_genesis: self.constant(2),
            l2_genesis: self.constant(id.0),
        };
        let policy = self.policy();
        self.emit_chain(id, registration.clone())?;
        self.emit_chain(id, PolicyChanged { policy: policy.clone() })?;
        let at = self.l1_head();
        self.emit_chain(id, ContractObserved { at, values: self.values() })?;
        self.emit_chain(id, ContractConfigValidated {})?;
        let latest = Anchor { index: 0, root: self.hash(), block: L2Block(1_000_000) };
        self.emit_chain(id, ContractAdvanced { at, latest, tx: None, sender: None, ours: None })?;
        self.emit_chain(id, ContractConfirmed { at, latest: Some(latest) })?;
        let checked = self.checked(latest.block, latest.root);
        self.emit_chain(id, checked)?;
        self.after(1, Work::Plan(id));
        Ok(Input::ChainConfigured(ChainConfigured { chain: id, registration, policy }))
    }

    fn policy(&self) -> Policy {
        let quota = u32::try_from(self.shape.quota()).unwrap_or(u32::MAX);
        let proving_secs = self.shape.proving_secs();
        let standard = Policy::with_signer(self.address(1));
        Policy {
            span_blocks: SPAN_BLOCKS,
            max_witness_in_flight: quota,
            max_proofs_in_flight: quota,
            // What is with the prover must not time out by itself, whatever the shape.
            witness_timeout_secs: standard.witness_timeout_secs.max(proving_secs),
            proving_timeout_secs: standard.proving_timeout_secs.max(proving_secs * 8),
            keep_proofs_secs: standard.keep_proofs_secs.max(proving_secs * 16),
            ..standard
        }
    }

    pub(super) fn values(&self) -> ContractValues {
        ContractValues {
            implementation: self.address(3),
            generation: Generation::V2,
            submission_interval: SPAN_BLOCKS,
            agg_vkey: self.constant(4),
            range_vkey: self.constant(5),
            rollup_config: self.constant(6),
            verifier: self.address(4),
            optimistic: false,
            approved: true,
            factory: None,
            bond: Wei(0),
            finalization_secs: 604_800,
        }
    }

    pub(super) fn checked(&mut self, block: L2Block, root: Hash32) -> OutputChecked {
        let current_l1 = self.l1_head();
        let nodes = vec![NodeAnswer { node: "rollup-node-1".to_owned(), root: Some(root) }];
        OutputChecked { block, root, current_l1, nodes }
    }

    /// New spans in place of those that are settled, old proofs given up, and now and then a mode of work.
    pub(super) fn plan(&mut self, id: ChainId) -> Result<Input, Illegal> {
        self.modes(id)?;
        let Some(chain) = self.state.chains.get(&id) else {
            return Ok(Input::TimerDue(TimerDue::of_all()));
        };
        let missing = missing(chain, self.shape.quota());
        let too_many = chain.retired.len().saturating_sub(to_usize(self.shape.quota()));
        if missing > PER_BATCH || too_many > PER_BATCH {
            self.after(0, Work::Plan(id));
        } else {
            self.after(12, Work::Plan(id));
        }
        if missing > 0 {
            return self.create_spans(id, missing.min(PER_BATCH));
        }
        let chain = self.state.chains.get(&id);
        let old: Vec<UnitId> = chain
            .map(|chain| {
                chain.index.retired.iter().take(too_many.min(PER_BATCH)).map(|(_, id)| *id).collect()
            })
            .unwrap_or_default();
        for unit in old {
            let proof = self.state.unit_or_retired(unit).and_then(|unit| unit.proof.as_ref());
            if let Some(proof) = proof.map(|proof| proof.blob) {
                self.emit_unit(unit, ProofPruned { proof, kept_secs: 1_209_600 })?;
            }
        }
        Ok(Input::TimerDue(TimerDue::of_all()))
    }

    fn create_spans(&mut self, id: ChainId, number: usize) -> Result<Input, Illegal> {
        let Some(chain) = self.state.chains.get(&id) else {
            return Ok(Input::TimerDue(TimerDue::of_all()));
        };
        let latest = chain.contract.latest.map_or(L2Block(0), |latest| latest.block);
        let start = chain.coverage().iter().last().map_or(latest, |covered| covered.end.max(latest));
        let first = chain.last_span + 1;
        let finalized = L2Block(start.0 + number as u64 * SPAN_BLOCKS + self.rng.between(0, SPAN_BLOCKS - 1));
        let finalized = finalized.max(chain.finalized.map_or(finalized, |head| L2Block(head.block.0 + 1)));
        let hash = self.hash();
        self.emit_chain(id, FinalizedMoved { block: finalized, hash })?;
        let commitments =
            Commitments { mode: Mode::Real, range_vkey: self.constant(5), rollup_config: self.constant(6) };
        for (nth, number) in (0..number as u64).zip(first..) {
            let start = L2Block(start.0 + nth * SPAN_BLOCKS);
            let range = Range { start, end: L2Block(start.0 + SPAN_BLOCKS) };
            let event = SpanCreated {
                range,
                origin: SpanOrigin::Planned,
                commitments,
                transactions: Some(self.rng.between(100, 9_000)),
                gas: Some(self.rng.between(1_000_000, 9_000_000_000)),
            };
            let span = UnitId::span(id, number);
            self.emit_unit(span, event)?;
            if self.rng.chance(150) {
                self.after(self.shape.proving_secs() / 10, Work::Unit(span));
            } else {
                self.start(span)?;
            }
        }
        let current_l1: L1Ref = self.l1_head();
        let finalized_time = self.now;
        Ok(Input::NodeRead(NodeRead { chain: id, finalized, hash, current_l1, finalized_time }))
    }

    fn modes(&mut self, id: ChainId) -> Result<(), Illegal> {
        let Some(chain) = self.state.chains.get(&id) else { return Ok(()) };
        let control = Control::Submitting;
        if chain.is_paused(control) {
            return self.emit_chain(id, Resumed { control });
        }
        if chain.prover.degraded.is_some() {
            return self.emit_chain(id, ProverRecovered {});
        }
        match self.rng.between(0, 999) {
            0..5 => {
                let note = "maintenance of the endpoint".to_owned();
                self.emit_chain(id, Paused { control, by: PausedBy::Operator, note })
            }
            5..10 => {
                let text = "503 Service Unavailable: no healthy upstream".to_owned();
                self.emit_chain(id, ProverDegraded { class: FailureClass::WitnessError, failures: 3, text })
            }
            _ => Ok(()),
        }
    }
}

fn missing(chain: &Chain, quota: u64) -> usize {
    to_usize(quota).saturating_sub(chain.spans.len() + chain.aggs.len())
}

pub(super) fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
