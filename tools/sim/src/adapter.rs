//! The adapters of the simulated process: effects become calls to the world, answers become inputs.
//!
//! What production's adapters must remember between calls is remembered here, in memory only: how often an id was
//! asked for in vain, and which L1 block the contract was last read at. A crash forgets it.

use std::collections::BTreeMap;
use std::time::Duration;

use prooflog_core::{Effect, Losses, Patience, ProofRequest};
use prooflog_events::ids::{Attempt, ChainId, Hash32, Micros, UnitId};
use prooflog_events::input::{Input, StatusAnswer, StatusAnswered, WitnessAnswer, WitnessAnswered};
use prooflog_events::values::FailureClass;

use crate::sabotage::Sabotage;
use crate::world::{Answer, ContractQuestion, Look, Read, Reply, ToSign, World};

/// Fulfilment that says "done".
const FULFILLED: i32 = 3;

/// Memory of the adapters.
#[derive(Debug, Default)]
pub struct Adapter {
    /// Of each rollup's server.
    losses: BTreeMap<ChainId, Losses<(UnitId, Attempt)>>,
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
        patience: Patience,
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
                    self.losses(*chain).answered();
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
                let members: Vec<_> = wanted.map(|blob| bytes(world, read, blob.sha256)).collect();
                match self.sabotage {
                    Sabotage::PaidTwice if request.agg.is_some() => {
                        lost_answer_of(world, request, members.clone());
                    }
                    Sabotage::CallRepeated => drop(world.request_proof(request, members.clone())),
                    _ => {}
                }
                world.request_proof(request, members)
            }
            Effect::PollProof { unit, attempt, proof_id, needs_l1, .. } => {
                let look = world.poll(*unit, *attempt, proof_id);
                let reply = self.polled(world, (*unit, *attempt), look, patience);
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

    fn losses(&mut self, chain: ChainId) -> &mut Losses<(UnitId, Attempt)> {
        self.losses.entry(chain).or_default()
    }

    /// Decides what one look at a proof means, given the looks before.
    fn polled(&mut self, world: &World, key: (UnitId, Attempt), look: Look, patience: Patience) -> Reply {
        let at = world.now.plus_secs(1);
        match look {
            Look::Away => Reply::At(at, Answer::Failed),
            Look::Hang => self.missed(key, world.now.plus_secs(World::status_limit()), patience),
            Look::Error => self.missed(key, at, patience),
            Look::Said(answered, blobs) => {
                let is_empty = matches!(
                    &answered.answer,
                    StatusAnswer::Status { fulfillment: FULFILLED, delivery: None, .. }
                );
                if is_empty {
                    let lost = self.losses(key.0.chain).empty(&key, moment(at));
                    return Reply::At(at, lost_if(lost, key, FailureClass::NoBytes));
                }
                self.losses(key.0.chain).answered_for(&key);
                Reply::At(at, Answer::Input(Box::new((*answered).into()), blobs))
            }
        }
    }

    /// A question for an id failed, at this moment.
    fn missed(&mut self, key: (UnitId, Attempt), at: Micros, patience: Patience) -> Reply {
        let lost = self.losses(key.0.chain).failed(&key, patience, moment(at));
        Reply::At(at, lost_if(lost, key, FailureClass::Lost))
    }
}

/// A request that the server takes while nobody hears of it.
fn lost_answer_of(world: &mut World, request: &ProofRequest, members: Vec<Vec<u8>>) {
    if let Reply::Witness { chain, witness, .. } = world.request_proof(request, members) {
        drop(world.finish_witness(chain, witness, false));
    }
}

const fn moment(at: Micros) -> Duration {
    Duration::from_micros(at.0)
}

/// Nothing is told of a proof until its failures count as its loss.
fn lost_if(lost: Option<u32>, key: (UnitId, Attempt), class: FailureClass) -> Answer {
    lost.map_or(Answer::Failed, |failures| lost_answer(key, failures, class))
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
