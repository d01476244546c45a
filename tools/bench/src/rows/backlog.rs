//! A backlog of spans against a prover of fixed capacity, on virtual time: how far from the ideal schedule?
//!
//! The ideal is the work divided by the capacity: every slot busy until the end. Peers that start one request per poll
//! are far from it. The prover here answers after fixed and random times and never fails.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use prooflog_core::{Effect, EffectKey, Outbox, Outcome as Called, Pacing, decide};
use prooflog_events::event::{ChainRegistered, EngineStarted};
use prooflog_events::ids::{
    Address, ChainId, Hash32, L1ChainId, L1Number, L1Ref, L2Block, LogId, Micros, ProofId, UnitId, Wei,
};
use prooflog_events::input::{
    ChainConfigured, ContractRead, Delivery, EngineOpened, Input, NodeRead, OutputRead, ServerValidated,
    StatusAnswer, StatusAnswered, TimerDue, WitnessAnswer, WitnessAnswered,
};
use prooflog_events::policy::Policy;
use prooflog_events::values::{Anchor, BlobRef, ContractValues, Generation, L1Head, NodeAnswer};
use prooflog_projections::State;
use prooflog_projections::state::phase::Phase;

use super::Sizes;
use crate::Outcome;
use crate::rng::Rng;
use crate::table::{Row, rate, timed};

const CHAIN: ChainId = ChainId(10);
const CAPACITY: u32 = 100;
const SPAN_BLOCKS: u64 = 300;
const WITNESS_SECS: u64 = 60;
const START: Micros = Micros(1_750_000_000_000_000);

struct World {
    state: State,
    outbox: Outbox,
    now: Micros,
    batch: u64,
    inputs: u64,
    rng: Rng,
    /// Answers on their way.
    answers: BinaryHeap<Reverse<(Micros, u64)>>,
    called: Vec<Effect>,
    /// When each proof is done, by the number of its span.
    done_at: std::collections::BTreeMap<u64, Micros>,
    /// Microseconds of prover time sold.
    work: u64,
    proven: u64,
}

pub(crate) fn row(sizes: &Sizes) -> Outcome<Row> {
    let mut world = World {
        state: State::new(LogId([3; 16])),
        outbox: Outbox::new(Pacing::default()),
        now: START,
        batch: 0,
        inputs: 0,
        rng: Rng::new(11),
        answers: BinaryHeap::new(),
        called: Vec::new(),
        done_at: std::collections::BTreeMap::new(),
        work: 0,
        proven: 0,
    };
    world.begin(sizes.backlog)?;
    let begun = world.now;
    let (seconds, done) = timed(|| world.run(sizes.backlog));
    done?;
    let ideal = world.work as f64 / f64::from(CAPACITY);
    let took = (world.now.0 - begun.0) as f64;
    let ratio = ideal / took;
    let hours = |micros: f64| format!("{:.2} h", micros / 3.6e9);
    let decided = rate(world.inputs as f64 / seconds);
    Ok(Row::told(
        format!("backlog of {} spans, {CAPACITY} at once ({decided} decided)", sizes.backlog),
        hours(took),
    )
    .beside(format!("{} ideal", hours(ideal)), ratio)
    .judged("≥ 0.98", (ratio >= 0.98).into()))
}

impl World {
    fn begin(&mut self, spans: u64) -> Outcome<()> {
        let signer = Address([1; 20]);
        let oracle = Address([2; 20]);
        let policy = Policy {
            max_witness_in_flight: CAPACITY,
            max_proofs_in_flight: CAPACITY,
            max_blocks_ahead: SPAN_BLOCKS * (spans + 1),
            // Only proving is measured: what is proven is never enough for a submission.
            submission_blocks: SPAN_BLOCKS * spans * 2,
            max_members: u32::MAX,
            ..Policy::with_signer(signer)
        };
        let registration = ChainRegistered {
            name: "backlog".to_owned(),
            l1: L1ChainId(1),
            oracle,
            l1_genesis: Hash32([1; 32]),
            l2_genesis: Hash32([2; 32]),
        };
        let started =
            EngineStarted { release: "0.1.0".to_owned(), behaviour: 1, format: 1, policy: Hash32::ZERO };
        self.feed(&Input::EngineOpened(EngineOpened { started }))?;
        self.feed(&Input::ChainConfigured(ChainConfigured { chain: CHAIN, registration, policy }))?;
        self.feed(&contract(oracle, self.now))?;
        let nodes = vec![NodeAnswer { node: "node".to_owned(), root: Some(Hash32([9; 32])) }];
        let current_l1 = L1Ref { number: L1Number(90), hash: Hash32([8; 32]) };
        let block = L2Block(1_000);
        self.feed(&Input::OutputRead(OutputRead { chain: CHAIN, block, current_l1, nodes }))?;
        self.feed(&Input::ServerValidated(ServerValidated {
            chain: CHAIN,
            rollup_config_ok: true,
            agg_vkey_ok: true,
            range_vkey_ok: true,
        }))?;
        self.feed(&Input::NodeRead(NodeRead {
            chain: CHAIN,
            finalized: L2Block(1_000 + SPAN_BLOCKS * spans),
            hash: Hash32([7; 32]),
            current_l1,
            finalized_time: self.now,
        }))
    }

    fn feed(&mut self, input: &Input) -> Outcome<()> {
        let mut decision = decide(&mut self.state, self.now, input)?;
        self.batch += 1;
        while decision.more {
            decision = decide(&mut self.state, self.now, &Input::TimerDue(TimerDue::of_all()))?;
        }
        self.inputs += 1;
        self.outbox.written(self.batch);
        self.outbox.refresh(&mut self.state, self.now);
        self.outbox.durable(self.batch);
        Ok(())
    }

    fn run(&mut self, spans: u64) -> Outcome<()> {
        while self.proven < spans {
            for effect in self.outbox.ready(self.now) {
                self.call(effect)?;
            }
            let answer = self.answers.peek().map(|Reverse((at, _))| *at);
            let wake = self.outbox.next_wake();
            let next = answer.into_iter().chain(wake).min().ok_or("nothing is left to happen")?;
            self.now = self.now.max(next);
            while let Some(Reverse((at, call))) = self.answers.peek().copied() {
                if at > self.now {
                    break;
                }
                self.answers.pop();
                let effect =
                    self.called.get(usize::try_from(call)?).cloned().ok_or("an answer to nothing")?;
                self.answer(&effect)?;
            }
            if let Some(timer) = self.outbox.timer_due(&self.state, self.now) {
                self.feed(&timer.into())?;
            }
        }
        Ok(())
    }

    /// A request for a proof takes its time, everything else is answered at once.
    fn call(&mut self, effect: Effect) -> Outcome<()> {
        let Effect::RequestProof(request) = &effect else { return self.answer(&effect) };
        let proving = self.rng.between(540_000_000, 660_000_000);
        let at = Micros(self.now.0 + WITNESS_SECS * 1_000_000);
        self.done_at.insert(request.unit.number, Micros(at.0 + proving));
        self.work += WITNESS_SECS * 1_000_000 + proving;
        self.answers.push(Reverse((at, self.called.len() as u64)));
        self.called.push(effect);
        Ok(())
    }

    fn answer(&mut self, effect: &Effect) -> Outcome<()> {
        let key = effect.key();
        match effect {
            Effect::RequestProof(request) => {
                let proof_id = ProofId(request.unit.number.to_be_bytes().to_vec());
                let answer = WitnessAnswer::Requested { proof_id, l1_head: None, l1_seen: L1Number(100) };
                let (unit, attempt) = (request.unit, request.attempt);
                self.news(&key, &Input::WitnessAnswered(WitnessAnswered { unit, attempt, answer }))
            }
            Effect::PollProof { unit, attempt, .. } => {
                let is_done = self.done_at.get(&unit.number).is_some_and(|at| *at <= self.now);
                let is_requested = self.state.unit(*unit).is_some_and(|unit| unit.phase == Phase::Requested);
                if !is_done && !is_requested {
                    self.outbox.done(&key, self.now, Called::NoNews);
                    return Ok(());
                }
                self.proven += u64::from(is_done);
                let (fulfillment, delivery) = if is_done { (3, Some(delivery(*unit))) } else { (2, None) };
                let answer =
                    StatusAnswer::Status { fulfillment, execution: 2, delivery, text: String::new() };
                let (unit, attempt) = (*unit, *attempt);
                self.news(&key, &Input::StatusAnswered(StatusAnswered { unit, attempt, answer }))
            }
            _ => {
                self.outbox.done(&key, self.now, Called::NoNews);
                Ok(())
            }
        }
    }

    fn news(&mut self, key: &EffectKey, input: &Input) -> Outcome<()> {
        self.feed(input)?;
        self.outbox.done(key, self.now, Called::News);
        Ok(())
    }
}

fn delivery(unit: UnitId) -> Delivery {
    let mut hash = [0; 32];
    for (byte, number) in hash.iter_mut().zip(unit.number.to_be_bytes()) {
        *byte = number;
    }
    Delivery {
        proof: BlobRef { sha256: Hash32(hash), length: 1_400_000 },
        selector: None,
        l1_head: None,
        cycles: None,
        prover_gas: None,
        cost: None,
    }
}

fn contract(oracle: Address, now: Micros) -> Input {
    let at = L1Ref { number: L1Number(100), hash: Hash32([5; 32]) };
    let latest = Some(Anchor { index: 0, root: Hash32([9; 32]), block: L2Block(1_000) });
    Input::ContractRead(ContractRead {
        chain: CHAIN,
        oracle,
        at: L1Head { block: at, time: now, base_fee: Wei(7), tip: Wei(1) },
        values: ContractValues {
            implementation: Address([3; 20]),
            generation: Generation::V2,
            submission_interval: SPAN_BLOCKS,
            agg_vkey: Hash32([1; 32]),
            range_vkey: Hash32([2; 32]),
            rollup_config: Hash32([3; 32]),
            verifier: Address([4; 20]),
            optimistic: false,
            approved: true,
            factory: None,
            bond: Wei(0),
            finalization_secs: 604_800,
        },
        latest,
        next_block: L2Block(1_000 + SPAN_BLOCKS),
        latest_by: None,
        outputs_deleted: false,
        confirmed_at: L1Ref { number: L1Number(90), hash: Hash32([6; 32]) },
        confirmed: latest,
        checkpoints: Vec::new(),
        canonical: Vec::new(),
    })
}
