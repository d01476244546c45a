//! The adapters of the simulated process: effects become calls to the world, answers become inputs.
//!
//! What production's adapters must remember between calls is remembered here, in memory only: how often an id was
//! asked for in vain, and which L1 block the contract was last read at. A crash forgets it.

use std::collections::BTreeMap;

use prooflog_core::Effect;
use prooflog_events::ids::{Attempt, ChainId, Hash32, Micros, UnitId};
use prooflog_events::input::{Input, StatusAnswer, StatusAnswered, WitnessAnswer, WitnessAnswered};
use prooflog_events::values::FailureClass;

use crate::sabotage::Sabotage;
use crate::world::{Answer, ContractQuestion, Look, Read, Reply, ToSign, World};

/// Fulfilled answers without bytes after which a proof is lost.
const NO_BYTES_LIMIT: u32 = 3;
/// Fulfilment that says "done".
const FULFILLED: i32 = 3;

/// Failed looks at one proof, counted as production's client of the server counts them.
#[derive(Debug, Clone, Copy, Default)]
struct Trouble {
    /// Of any kind.
    failures: u32,
    /// Those with an answer of the server to another question before them.
    counted: u32,
    /// When the first of these was.
    since: Micros,
    /// Answers of the server when the last of these was.
    answers: u64,
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
    /// Answers of each rollup's server.
    answers: BTreeMap<ChainId, u64>,
    sabotage: Sabotage,
}

/// Gives the bytes of a blob.
pub type ReadBlob<'a> = &'a dyn Fn(Hash32) -> Option<Vec<u8>>;

impl Adapter {
    /// Adapters that have called nobody yet.
    #[must_use]
    pub fn new(sabotage: Sabotage) -> Self {
        Self { sabotage, ..Self::default() }
    }

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
                let read = world.read_signer(*signer, *confirmations, txs);
                self.of_one_block(world, read)
            }
            Effect::ValidateServer { chain, .. } => {
                let reply = world.validate(*chain);
                if matches!(reply, Reply::At(_, Answer::Input(..))) {
                    self.answered(*chain);
                }
                reply
            }
            Effect::ReadContract { chain, oracle, confirmations, checkpoints, canonical, since } => {
                let (chain, oracle, confirmations, since) = (*chain, *oracle, *confirmations, *since);
                let read = world.read_contract(ContractQuestion {
                    chain,
                    oracle,
                    confirmations,
                    checkpoints,
                    canonical,
                    since,
                });
                self.of_one_block(world, read)
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
                let read = world.quote(*signer, *purpose, body, proof);
                self.of_one_block(world, read)
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

    /// An answer of several values, if the block is the same before and after: of two blocks nothing is handed on.
    fn of_one_block(&self, world: &World, read: Read) -> Reply {
        if read.before == read.after || self.sabotage == Sabotage::TornReadsBelieved {
            return read.reply;
        }
        match read.reply {
            Reply::At(at, _) => Reply::At(at, Answer::Failed),
            Reply::Witness { .. } => Reply::At(world.now, Answer::Failed),
        }
    }

    /// A server answered a question.
    fn answered(&mut self, chain: ChainId) {
        let answers = self.answers.entry(chain).or_default();
        *answers = answers.saturating_add(1);
    }

    /// Decides what one look at a proof means, given the looks before.
    fn polled(&mut self, world: &World, key: (UnitId, Attempt), look: Look, lost: LostRule) -> Reply {
        let at = world.now.plus_secs(1);
        match look {
            Look::Away => Reply::At(at, Answer::Failed),
            Look::Hang => self.missed(key, world.now.plus_secs(World::status_limit()), lost),
            Look::Error => self.missed(key, at, lost),
            Look::Said(answered, blobs) => {
                self.answered(key.0.chain);
                let is_empty = matches!(
                    &answered.answer,
                    StatusAnswer::Status { fulfillment: FULFILLED, delivery: None, .. }
                );
                if is_empty {
                    return Reply::At(at, self.without_bytes(key));
                }
                self.polls.remove(&key);
                Reply::At(at, Answer::Input(Box::new((*answered).into()), blobs))
            }
        }
    }

    /// A question for an id failed, at this moment.
    fn missed(&mut self, key: (UnitId, Attempt), at: Micros, lost: LostRule) -> Reply {
        let answers = self.answers.get(&key.0.chain).copied().unwrap_or_default();
        let trouble = self.polls.entry(key).or_default();
        trouble.failures = trouble.failures.saturating_add(1);
        if trouble.counted == 0 {
            trouble.since = at;
        }
        if trouble.counted == 0 || answers > trouble.answers {
            trouble.counted = trouble.counted.saturating_add(1);
            trouble.answers = answers;
        }
        let is_long = at.secs_since(trouble.since) >= lost.grace_secs;
        if trouble.counted < lost.after.max(1) || !is_long {
            return Reply::At(at, Answer::Failed);
        }
        let failures = trouble.failures;
        self.polls.remove(&key);
        Reply::At(at, lost_answer(key, failures, FailureClass::Lost))
    }

    /// An id is fulfilled, and no bytes came: nothing is told until that was so often enough.
    fn without_bytes(&mut self, key: (UnitId, Attempt)) -> Answer {
        let answers = self.answers.get(&key.0.chain).copied().unwrap_or_default();
        let trouble = self.polls.entry(key).or_default();
        // An answer for the id itself is no answer to another question.
        trouble.answers = answers;
        trouble.without_bytes = trouble.without_bytes.saturating_add(1);
        let empty = trouble.without_bytes;
        if empty < NO_BYTES_LIMIT {
            return Answer::Failed;
        }
        self.polls.remove(&key);
        lost_answer(key, empty, FailureClass::NoBytes)
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
