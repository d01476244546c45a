//! The adapters of the simulated process: effects become calls to the world, answers become inputs.
//!
//! What production's adapters must remember between calls is remembered here, in memory only: how often an id was
//! asked for in vain, and which L1 block the contract was last read at. A crash forgets it.

use std::collections::BTreeMap;

use prooflog_core::Effect;
use prooflog_events::ids::{Attempt, ChainId, Hash32, Micros, UnitId};
use prooflog_events::input::{Input, StatusAnswer, StatusAnswered, WitnessAnswer, WitnessAnswered};
use prooflog_events::values::FailureClass;

use crate::world::{Answer, ContractQuestion, Look, Reply, ToSign, World};

/// Fulfilled answers without bytes after which a proof is lost.
const NO_BYTES_LIMIT: u32 = 3;
/// Fulfilment that says "done".
const FULFILLED: i32 = 3;

/// Failed looks at one proof.
#[derive(Debug, Clone, Copy, Default)]
struct Trouble {
    failures: u32,
    since: Micros,
    without_bytes: u32,
}

/// When a proof counts as lost: policy, handed over by whoever knows it.
#[derive(Debug, Clone, Copy)]
pub struct LostRule {
    /// Failures of one id.
    pub after: u32,
    /// Seconds that they span.
    pub grace_secs: u64,
}

/// Memory of the adapters.
#[derive(Debug, Default)]
pub struct Adapter {
    polls: BTreeMap<(UnitId, Attempt), Trouble>,
    answered: BTreeMap<ChainId, Micros>,
}

/// Gives the bytes of a blob.
pub type ReadBlob<'a> = &'a dyn Fn(Hash32) -> Option<Vec<u8>>;

impl Adapter {
    /// Makes the call of an effect.
    pub fn perform(
        &mut self,
        world: &mut World,
        effect: &Effect,
        read: ReadBlob<'_>,
        lost: LostRule,
    ) -> Reply {
        match effect {
            Effect::ReadNode { chain } => world.read_node(*chain),
            Effect::ReadBlocks { chain, range } => world.read_blocks(*chain, *range),
            Effect::ReadOutput { chain, block } => world.read_output(*chain, *block),
            Effect::ReadSigner { signer, confirmations, txs } => {
                world.read_signer(*signer, *confirmations, txs)
            }
            Effect::ValidateServer { chain, .. } => {
                let reply = world.validate(*chain);
                if matches!(reply, Reply::At(_, Answer::Input(..))) {
                    self.answered.insert(*chain, world.now);
                }
                reply
            }
            Effect::ReadContract { chain, oracle, confirmations, checkpoints, canonical, since } => {
                let (chain, oracle, confirmations, since) = (*chain, *oracle, *confirmations, *since);
                world.read_contract(ContractQuestion {
                    chain,
                    oracle,
                    confirmations,
                    checkpoints,
                    canonical,
                    since,
                })
            }
            Effect::RequestProof(request) => {
                let wanted = request.agg.iter().flat_map(|agg| &agg.members);
                let members = wanted.map(|blob| bytes(world, read, blob.sha256)).collect();
                world.request_proof(request, members)
            }
            Effect::PollProof { unit, attempt, proof_id, needs_l1, .. } => {
                let look = world.poll(*unit, *attempt, proof_id);
                let reply = self.polled(world, (*unit, *attempt), look, lost);
                if *needs_l1 { with_l1(world, reply) } else { reply }
            }
            Effect::QuoteTx { signer, purpose, body } => {
                let proof = proof_of(world, read, body);
                world.quote(*signer, *purpose, body, proof)
            }
            Effect::SignTx { body, .. } => {
                let proof = proof_of(world, read, body);
                match ToSign::of(effect) {
                    Some(ask) => world.sign(ask, proof),
                    None => Reply::At(world.now, Answer::Failed),
                }
            }
            Effect::BroadcastTx { slot, version, raw, .. } => {
                let raw = bytes(world, read, raw.sha256);
                world.broadcast(*slot, *version, &raw)
            }
        }
    }

    /// Decides what one look at a proof means, given the looks before.
    fn polled(&mut self, world: &World, key: (UnitId, Attempt), look: Look, lost: LostRule) -> Reply {
        let now = world.now;
        let at = now.plus_secs(1);
        let trouble = self.polls.entry(key).or_default();
        match look {
            Look::Hang => Reply::At(now.plus_secs(World::status_limit()), Answer::Failed),
            Look::Error => {
                if trouble.failures == 0 {
                    trouble.since = now;
                }
                trouble.failures = trouble.failures.saturating_add(1);
                let others =
                    self.answered.get(&key.0.chain).is_some_and(|answered| *answered > trouble.since);
                let long = now.secs_since(trouble.since) >= lost.grace_secs;
                if trouble.failures < lost.after || !long || !others {
                    return Reply::At(at, Answer::Failed);
                }
                let failures = trouble.failures;
                *trouble = Trouble::default();
                Reply::At(at, lost_answer(key, failures, FailureClass::Lost))
            }
            Look::Said(answered, blobs) => {
                self.answered.insert(key.0.chain, now);
                let is_empty = matches!(
                    &answered.answer,
                    StatusAnswer::Status { fulfillment: FULFILLED, delivery: None, .. }
                );
                let without_bytes = if is_empty { trouble.without_bytes.saturating_add(1) } else { 0 };
                *trouble = Trouble { without_bytes, ..Trouble::default() };
                if without_bytes >= NO_BYTES_LIMIT {
                    *trouble = Trouble::default();
                    return Reply::At(at, lost_answer(key, without_bytes, FailureClass::NoBytes));
                }
                Reply::At(at, Answer::Input(Box::new((*answered).into()), blobs))
            }
        }
    }
}

fn lost_answer((unit, attempt): (UnitId, Attempt), failures: u32, class: FailureClass) -> Answer {
    let input = StatusAnswered { unit, attempt, answer: StatusAnswer::Lost { failures, class } };
    Answer::Input(Box::new(input.into()), Vec::new())
}

fn proof_of(world: &mut World, read: ReadBlob<'_>, body: &prooflog_core::TxBody) -> Vec<u8> {
    match body.output.as_ref().and_then(|output| output.proof) {
        Some(proof) => bytes(world, read, proof.sha256),
        None => Vec::new(),
    }
}

/// Bytes that the log must have: an effect that names missing ones is a rule broken.
fn bytes(world: &mut World, read: ReadBlob<'_>, name: Hash32) -> Vec<u8> {
    read(name).unwrap_or_else(|| {
        world.complain("usable proof", format!("an effect needs the bytes {name}, and they are gone"));
        Vec::new()
    })
}

/// A proof whose own L1 head nobody knows, with the L1's head beside it.
fn with_l1(world: &mut World, reply: Reply) -> Reply {
    let Reply::At(at, Answer::Input(input, blobs)) = reply else { return reply };
    let Input::StatusAnswered(StatusAnswered { unit, attempt, answer }) = *input else {
        return Reply::At(at, Answer::Input(input, blobs));
    };
    let StatusAnswer::Status { delivery: Some(delivery), .. } = answer else {
        let input = StatusAnswered { unit, attempt, answer };
        return Reply::At(at, Answer::Input(Box::new(input.into()), blobs));
    };
    let answer = WitnessAnswer::Fulfilled { delivery, l1_seen: world.l1_seen() };
    Reply::At(at, Answer::Input(Box::new(WitnessAnswered { unit, attempt, answer }.into()), blobs))
}
