//! A chain brought to the point where proofs are bought, and short words for what comes in.
//!
//! Shared by the stories; each of them uses a part of it.

use prooflog_core::{DecideError, Effect, Pace, decide, plan};
use prooflog_events::event::{ChainRegistered, EngineStarted, Event};
use prooflog_events::ids::*;
use prooflog_events::input::*;
use prooflog_events::policy::Policy;
use prooflog_events::values::*;
use prooflog_projections::State;
use prooflog_projections::state::phase::Phase;

pub(crate) const CHAIN: ChainId = ChainId(10);
pub(crate) const SIGNER: Address = Address([7; 20]);

pub(crate) fn h(text: &str) -> Hash32 {
    prooflog_events::envelope::blob_hash(text.as_bytes())
}

pub(crate) fn root(block: u64) -> Hash32 {
    h(&format!("root {block}"))
}

pub(crate) fn l1(number: u64) -> L1Ref {
    L1Ref { number: L1Number(number), hash: h(&format!("l1 {number}")) }
}

pub(crate) struct Given {
    pub(crate) state: State,
    /// The rollup that is spoken of.
    pub(crate) chain: ChainId,
    pub(crate) now: Micros,
    pub(crate) l1: u64,
    pub(crate) values: ContractValues,
    pub(crate) latest: Option<Anchor>,
}

impl Given {
    /// A chain whose contract stands at block 1,000 and whose finalized head is `finalized`.
    pub(crate) fn chain(finalized: u64, change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Policy { span_blocks: 50, confirmations: 3, ..Policy::with_signer(SIGNER) };
        change(&mut policy);
        let mut given = Self {
            state: State::new(LogId([1; 16])),
            chain: CHAIN,
            now: Micros(1_700_000_000_000_000),
            l1: 500,
            values: ContractValues {
                implementation: Address([1; 20]),
                generation: Generation::V2,
                submission_interval: 100,
                agg_vkey: h("agg"),
                range_vkey: h("range"),
                rollup_config: h("config"),
                verifier: Address([2; 20]),
                optimistic: false,
                approved: true,
                factory: None,
                bond: Wei(0),
                finalization_secs: 3_600,
            },
            latest: Some(Anchor { index: 4, root: root(1_000), block: L2Block(1_000) }),
        };
        let started = EngineStarted { release: "test".into(), behaviour: 1, format: 0, policy: Hash32::ZERO };
        given.when(EngineOpened { started });
        given.register(registration(), policy, finalized);
        given
    }

    /// Takes a rollup on, the one that is spoken of, with all that is known of it at the start.
    pub(crate) fn register(&mut self, registration: ChainRegistered, policy: Policy, finalized: u64) {
        self.when(ChainConfigured { chain: self.chain, registration, policy });
        self.contract();
        self.output(1_000);
        self.validated();
        self.finalize(finalized);
    }

    pub(crate) fn when(&mut self, input: impl Into<Input>) -> Vec<Event> {
        let decision = decide(&mut self.state, self.now, &input.into()).unwrap();
        decision.events.into_iter().map(|new| new.event).collect()
    }

    pub(crate) fn names(&mut self, input: impl Into<Input>) -> Vec<&'static str> {
        self.when(input).iter().map(|event| event.event_type().name()).collect()
    }

    pub(crate) fn finalize(&mut self, block: u64) -> Vec<Event> {
        self.when(NodeRead {
            chain: self.chain,
            finalized: L2Block(block),
            hash: h("l2"),
            current_l1: l1(self.l1),
            finalized_time: self.now,
        })
    }

    pub(crate) fn read(&self) -> ContractRead {
        ContractRead {
            chain: self.chain,
            oracle: registration().oracle,
            at: L1Head { block: l1(self.l1), time: self.now, base_fee: Wei(7), tip: Wei(1) },
            values: self.values.clone(),
            latest: self.latest,
            next_block: L2Block(0),
            latest_by: None,
            outputs_deleted: false,
            confirmed_at: l1(self.l1 - 3),
            confirmed: self.latest,
            checkpoints: Vec::new(),
            canonical: Vec::new(),
        }
    }

    pub(crate) fn contract(&mut self) -> Vec<Event> {
        self.l1 += 1;
        let read = self.read();
        self.when(read)
    }

    pub(crate) fn output(&mut self, block: u64) -> Vec<Event> {
        let nodes = vec![NodeAnswer { node: "a".into(), root: Some(root(block)) }];
        self.when(OutputRead { chain: self.chain, block: L2Block(block), current_l1: l1(self.l1), nodes })
    }

    pub(crate) fn later(&mut self, secs: u64) -> Vec<Event> {
        self.now = self.now.plus_secs(secs);
        self.when(TimerDue::of_all())
    }

    pub(crate) fn attempt(&self, span: u64) -> Attempt {
        self.state.unit(UnitId::span(self.chain, span)).unwrap().attempt
    }

    pub(crate) fn phase(&self, span: u64) -> Phase {
        self.state.unit(UnitId::span(self.chain, span)).unwrap().phase
    }

    pub(crate) fn answer(&mut self, span: u64, attempt: Attempt, answer: WitnessAnswer) -> Vec<Event> {
        self.when(WitnessAnswered { unit: UnitId::span(self.chain, span), attempt, answer })
    }

    pub(crate) fn requested(&mut self, span: u64) -> Vec<Event> {
        let attempt = self.attempt(span);
        let answer = WitnessAnswer::Requested {
            proof_id: ProofId(vec![1, 2]),
            l1_head: Some(l1(490)),
            l1_seen: L1Number(self.l1),
        };
        self.answer(span, attempt, answer)
    }

    /// The server proves what the contract accepts.
    pub(crate) fn validated(&mut self) -> Vec<Event> {
        self.when(ServerValidated {
            chain: self.chain,
            rollup_config_ok: true,
            agg_vkey_ok: true,
            range_vkey_ok: true,
        })
    }

    /// The server says after the limit that the proof is not there.
    pub(crate) fn overdue(&mut self, span: u64) -> Vec<Event> {
        self.now = self.now.plus_secs(14_400);
        let attempt = self.attempt(span);
        self.status(span, attempt, 1, 1)
    }

    pub(crate) fn failed(&mut self, span: u64, class: FailureClass) -> Vec<Event> {
        let attempt = self.attempt(span);
        self.answer(span, attempt, WitnessAnswer::Failed { class, text: "words".into() })
    }

    pub(crate) fn status(
        &mut self,
        span: u64,
        attempt: Attempt,
        fulfillment: i32,
        execution: i32,
    ) -> Vec<Event> {
        let proof = BlobRef { sha256: h(&format!("proof {span} {attempt}")), length: 9 };
        let delivery =
            Delivery { proof, selector: None, l1_head: None, cycles: None, prover_gas: None, cost: None };
        let delivery = (fulfillment == 3).then_some(delivery);
        let answer = StatusAnswer::Status { fulfillment, execution, delivery, text: String::new() };
        self.when(StatusAnswered { unit: UnitId::span(self.chain, span), attempt, answer })
    }

    pub(crate) fn proven(&mut self, span: u64) -> Vec<Event> {
        self.requested(span);
        let attempt = self.attempt(span);
        self.status(span, attempt, 3, 2)
    }

    /// The attempts of a unit whose proofs are asked for now.
    pub(crate) fn polls(&self, unit: UnitId) -> Vec<(Attempt, Pace)> {
        plan(&self.state, self.now)
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::PollProof { unit: of, attempt, pace, .. } if of == unit => Some((attempt, pace)),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn command(&mut self, command: Command) -> Result<Vec<Event>, DecideError> {
        let input = OperatorCommanded { name: "ann".into(), command, note: "because".into() };
        let decision = decide(&mut self.state, self.now, &input.into())?;
        Ok(decision.events.into_iter().map(|new| new.event).collect())
    }
}

pub(crate) fn registration() -> ChainRegistered {
    let oracle = Address([9; 20]);
    ChainRegistered { name: "ten".into(), l1: L1ChainId(1), oracle, l1_genesis: h("g1"), l2_genesis: h("g2") }
}

pub(crate) fn ranges(events: &[Event]) -> Vec<(u64, u64)> {
    let spans = events.iter().filter_map(|event| match event {
        Event::SpanCreated(e) => Some((e.range.start.0, e.range.end.0)),
        _ => None,
    });
    spans.collect()
}

pub(crate) fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.event_type().name()).collect()
}
