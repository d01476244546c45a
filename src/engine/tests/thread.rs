//! One thread through everything: blocks are planned, proven, aggregated, checkpointed, submitted and confirmed.
//!
//! The world in here answers every effect at once and kindly; what goes wrong out there is the simulator's business.
//! The test fails if any hand-over between rooms is missing.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;

use prooflog_core::{Effect, Outcome, Pacing};
use prooflog_engine::{Fed, Origin, Ring};
use prooflog_events::envelope::blob_hash;
use prooflog_events::event::{ChainRegistered, EngineStarted, Event};
use prooflog_events::ids::*;
use prooflog_events::input::*;
use prooflog_events::policy::Policy;
use prooflog_events::port::Blob;
use prooflog_events::values::*;
use prooflog_log::{Log, MemorySequence};

const CHAIN: ChainId = ChainId(10);
const L1: L1ChainId = L1ChainId(1);
const SIGNER: Address = Address([7; 20]);
const ORACLE: Address = Address([9; 20]);

fn hash(seed: &str, number: u64) -> Hash32 {
    blob_hash(format!("{seed}{number}").as_bytes())
}

/// A kind world: every call succeeds, every block includes what was sent.
struct World {
    now: Micros,
    latest: Anchor,
    history: BTreeMap<u64, Anchor>,
    checkpoints: BTreeMap<u64, u64>,
    nonce: u64,
    sent: Vec<(SlotId, TxVersion, Purpose)>,
    included: BTreeMap<(Nonce, TxVersion), u64>,
    txs: BTreeMap<(SlotId, TxVersion), Purpose>,
    ends: BTreeMap<UnitId, L2Block>,
    submitted_by: Option<(Hash32, Address)>,
}

impl World {
    fn new() -> Self {
        let latest = Anchor { index: 0, root: hash("root", 1_000), block: L2Block(1_000) };
        Self {
            now: Micros(1_700_000_000_000_000),
            latest,
            history: BTreeMap::from([(0, latest)]),
            checkpoints: BTreeMap::new(),
            nonce: 5,
            sent: Vec::new(),
            included: BTreeMap::new(),
            txs: BTreeMap::new(),
            ends: BTreeMap::new(),
            submitted_by: None,
        }
    }

    fn l1(&self) -> u64 {
        (self.now.0 / 1_000_000 - 1_700_000_000) / 12 + 100
    }

    fn block(number: u64) -> L1Ref {
        L1Ref { number: L1Number(number), hash: hash("l1", number) }
    }

    fn head(&self) -> L1Head {
        L1Head { block: Self::block(self.l1()), time: self.now, base_fee: Wei(7), tip: Wei(1) }
    }

    /// Includes everything that waits.
    fn mine(&mut self) {
        for (slot, version, purpose) in std::mem::take(&mut self.sent) {
            self.included.insert((slot.nonce, version), self.l1());
            self.nonce = self.nonce.max(slot.nonce.0 + 1);
            match purpose {
                Purpose::Checkpoint { block, .. } => drop(self.checkpoints.insert(block.0, self.l1())),
                Purpose::Submission { agg } => {
                    let block = self.ends[&agg];
                    self.latest = Anchor { index: self.latest.index + 1, root: hash("root", block.0), block };
                    self.history.insert(self.l1(), self.latest);
                    self.submitted_by = Some((hash("tx", slot.nonce.0), SIGNER));
                }
                _ => {}
            }
        }
    }

    fn values() -> ContractValues {
        ContractValues {
            implementation: Address([1; 20]),
            generation: Generation::V2,
            submission_interval: 100,
            agg_vkey: hash("agg", 0),
            range_vkey: hash("range", 0),
            rollup_config: hash("config", 0),
            verifier: Address([2; 20]),
            optimistic: false,
            approved: true,
            factory: None,
            bond: Wei(0),
            finalization_secs: 3_600,
        }
    }

    fn answer(&mut self, effect: &Effect) -> (Input, Vec<Blob>) {
        let mut blobs = Vec::new();
        let mut blob = |text: String| {
            let bytes = text.into_bytes();
            let sha256 = blob_hash(&bytes);
            let length = bytes.len() as u64;
            blobs.push(Blob { hash: sha256, bytes });
            BlobRef { sha256, length }
        };
        let input = match effect {
            Effect::ReadNode { chain } => NodeRead {
                chain: *chain,
                finalized: L2Block(1_250),
                hash: hash("l2", 1_250),
                current_l1: Self::block(self.l1()),
                finalized_time: self.now,
            }
            .into(),
            Effect::ReadOutput { chain, block } => OutputRead {
                chain: *chain,
                block: *block,
                current_l1: Self::block(self.l1()),
                nodes: vec![NodeAnswer { node: "a".into(), root: Some(hash("root", block.0)) }],
            }
            .into(),
            Effect::ReadContract { chain, oracle, confirmations, checkpoints, canonical, .. } => {
                let deep = self.l1() - confirmations;
                ContractRead {
                    chain: *chain,
                    oracle: *oracle,
                    at: self.head(),
                    values: Self::values(),
                    latest: Some(self.latest),
                    next_block: L2Block(self.latest.block.0 + 100),
                    latest_by: self.submitted_by,
                    outputs_deleted: false,
                    confirmed_at: Self::block(deep),
                    confirmed: self.history.range(..=deep).next_back().map(|(_, anchor)| *anchor),
                    checkpoints: checkpoints
                        .iter()
                        .map(|n| match self.checkpoints.get(&n.0) {
                            Some(at) if *at <= deep => Self::block(n.0),
                            _ => L1Ref { number: *n, hash: Hash32::ZERO },
                        })
                        .collect(),
                    canonical: canonical.iter().map(|n| Self::block(n.0)).collect(),
                }
                .into()
            }
            Effect::ReadSigner { signer, confirmations, txs } => {
                let deep = self.l1() - confirmations;
                let lowest_open = self.included.values().filter(|at| **at > deep).count() as u64;
                SignerRead {
                    signer: *signer,
                    at: self.head(),
                    nonce: NonceState { head: Nonce(self.nonce), confirmed: Nonce(self.nonce - lowest_open) },
                    balance: Wei(10_u128.pow(19)),
                    txs: txs
                        .iter()
                        .map(|(nonce, version, _)| TxSeen {
                            nonce: *nonce,
                            version: *version,
                            state: match self.included.get(&(*nonce, *version)) {
                                Some(at) => TxState::Included {
                                    block: Self::block(*at),
                                    gas_used: 50_000,
                                    fee_paid: Wei(350_000),
                                    reverted: None,
                                },
                                None => TxState::Pending,
                            },
                        })
                        .collect(),
                }
                .into()
            }
            Effect::ValidateServer { chain, .. } => ServerValidated {
                chain: *chain,
                rollup_config_ok: true,
                agg_vkey_ok: true,
                range_vkey_ok: true,
            }
            .into(),
            Effect::RequestProof(request) => {
                self.ends.insert(request.unit, request.range.end);
                WitnessAnswered {
                    unit: request.unit,
                    attempt: request.attempt,
                    answer: WitnessAnswer::Requested {
                        proof_id: ProofId(request.idempotency_key.0.to_vec()),
                        l1_head: Some(Self::block(self.l1() - 1)),
                        l1_seen: L1Number(self.l1()),
                    },
                }
                .into()
            }
            Effect::PollProof { unit, attempt, .. } => {
                let proof = blob(format!("proof of {unit}"));
                let delivery = Delivery {
                    proof,
                    selector: None,
                    l1_head: None,
                    cycles: None,
                    prover_gas: None,
                    cost: None,
                };
                StatusAnswered {
                    unit: *unit,
                    attempt: *attempt,
                    answer: StatusAnswer::Status {
                        fulfillment: 3,
                        execution: 2,
                        delivery: Some(delivery),
                        text: String::new(),
                    },
                }
                .into()
            }
            Effect::QuoteTx { purpose, body, .. } => {
                let purpose = match purpose {
                    Purpose::Checkpoint { agg, block } => Purpose::Checkpoint {
                        agg: *agg,
                        block: prooflog_core::checkpoint_block(*block, L1Number(self.l1())).unwrap(),
                    },
                    other => *other,
                };
                TxQuoted {
                    sender: SIGNER,
                    purpose,
                    at: self.head(),
                    nonce: Nonce(self.nonce),
                    balance: Wei(10_u128.pow(19)),
                    outcome: QuoteOutcome::Accepted {
                        call: Call { to: body.oracle, value: Wei(0), calldata: hash("call", 0) },
                        gas: 50_000,
                        root: body.output.as_ref().map_or(Hash32::ZERO, |output| output.root),
                    },
                }
                .into()
            }
            Effect::SignTx { slot, version, purpose, call, .. } => {
                self.txs.insert((*slot, *version), *purpose);
                let raw = blob(format!("signed {slot} {version}"));
                let hash = hash("tx", slot.nonce.0);
                TxSigned { slot: *slot, version: *version, calldata: call.calldata, hash, raw }.into()
            }
            Effect::BroadcastTx { slot, version, .. } => {
                self.sent.push((*slot, *version, self.txs[&(*slot, *version)]));
                TxSent {
                    slot: *slot,
                    version: *version,
                    outcome: BroadcastOutcome::Accepted,
                    text: String::new(),
                }
                .into()
            }
            Effect::ReadBlocks { .. } => panic!("no gas limit is set"),
        };
        (input, blobs)
    }
}

fn settle(ring: &mut Ring<MemorySequence>, fed: Fed, seen: &mut Vec<Event>) {
    seen.extend(fed.events.into_iter().map(|event| event.event));
    if let Some(ticket) = fed.ticket {
        ticket.wait().unwrap();
    }
    ring.durable(fed.batch);
}

#[test]
fn a_chain_is_planned_proven_submitted_and_confirmed() {
    let mut world = World::new();
    let log = Log::open(MemorySequence::new(LogId([3; 16]))).unwrap();
    let started = EngineStarted { release: "test".into(), behaviour: 1, format: 0, policy: Hash32::ZERO };
    let mut seen = Vec::new();
    let (mut ring, fed) = Ring::open(log, Pacing::default(), world.now, started).unwrap();
    settle(&mut ring, fed, &mut seen);
    let policy = Policy { span_blocks: 50, confirmations: 3, ..Policy::with_signer(SIGNER) };
    let registration = ChainRegistered {
        name: "ten".into(),
        l1: L1,
        oracle: ORACLE,
        l1_genesis: hash("l1", 0),
        l2_genesis: hash("l2", 0),
    };
    let configured = ChainConfigured { chain: CHAIN, registration, policy }.into();
    let fed = ring.feed(world.now, &configured, Origin::default()).unwrap();
    settle(&mut ring, fed, &mut seen);

    for _ in 0..400 {
        while let effects @ [_, ..] = &ring.effects(world.now)[..] {
            for effect in effects {
                let (input, blobs) = world.answer(effect);
                let fed = ring.feed(world.now, &input, Origin { blobs, ..Origin::default() }).unwrap();
                let outcome = if fed.events.is_empty() { Outcome::NoNews } else { Outcome::News };
                settle(&mut ring, fed, &mut seen);
                ring.done(&effect.key(), world.now, outcome);
            }
        }
        world.mine();
        world.now = ring.next_wake().unwrap().max(world.now);
        if let Some(timer) = ring.timer_due(world.now) {
            let fed = ring.feed(world.now, &timer.into(), Origin::default()).unwrap();
            settle(&mut ring, fed, &mut seen);
        }
        let done = seen.iter().any(|event| matches!(event, Event::AggSettled(_)));
        if done {
            break;
        }
    }
    let names: Vec<&str> = seen.iter().map(|event| event.event_type().name()).collect();
    let count = |name: &str| names.iter().filter(|seen| **seen == name).count();
    assert_eq!(count("AggSettled"), 1, "{names:#?}");
    assert_eq!(count("SpanSettled"), 5, "{names:#?}");
    assert_eq!(count("WitnessGenStarted"), 6, "five spans and one aggregate, each once: {names:#?}");
    assert_eq!(world.latest.block, L2Block(1_250));
    let digest = ring.state().digest();
    let log = ring.into_log().unwrap();
    let folded = prooflog_replay::state_at_head(&log).unwrap();
    assert_eq!(folded.digest(), digest, "the fold of the log is the state that the engine had");
}
