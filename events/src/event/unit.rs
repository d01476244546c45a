//! Events of spans and aggregates, streams `span-<chain>-<n>` and `agg-<chain>-<n>`: both are proven the same way, and
//! an aggregate goes on to a checkpoint and a submission.
//!
//! Attempts are fenced: every event of an attempt names it, and an answer that comes after its attempt ended is a
//! [`LateAnswerRecorded`] that moves nothing, unless it brings a proof that still fits.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::ids::{Attempt, Hash32, L1Number, L1Ref, L2Block, Micros, ProofId, Range, SlotId, Wei};
use crate::values::{AggTerms, BlobRef, Commitments, FailureClass, Mode, NodeAnswer, Refusal};

/// A run of blocks is to be proven.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct SpanCreated {
    /// The blocks.
    pub range: Range,
    /// Why it exists.
    pub origin: SpanOrigin,
    /// What it is proven under.
    pub commitments: Commitments,
    /// Transactions in it, where known.
    pub transactions: Option<u64>,
    /// Gas used in it, where known.
    pub gas: Option<u64>,
}

/// Why a span exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanOrigin {
    /// Cut from finalized blocks.
    Planned,
    /// Half of the span of this number.
    HalfOf(u64),
    /// Covers what the span of this number left open.
    RefillOf(u64),
    /// Taken over from another proposer.
    Imported,
}

/// Complete spans are to be proven as one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct AggQueued {
    /// The blocks of all members.
    pub range: Range,
    /// Numbers of the member spans, lowest blocks first.
    pub members: Vec<u64>,
    /// What it is proven and submitted under.
    pub terms: AggTerms,
}

/// Intent to call the prover's server, on disk before the call.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct WitnessGenStarted {
    /// Which attempt.
    pub attempt: Attempt,
    /// Tries known to have failed before, plus one; part of the idempotency key.
    pub try_number: u32,
    /// When the call counts as timed out.
    pub deadline: Micros,
}

/// The server answered with an error, or the call broke.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct WitnessGenFailed {
    /// Which attempt.
    pub attempt: Attempt,
    /// What kind of failure.
    pub class: FailureClass,
    /// The server's words.
    pub text: String,
}

/// The prover took the request and gave it an id.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ProofRequested {
    /// Which attempt.
    pub attempt: Attempt,
    /// The prover's id.
    pub proof_id: ProofId,
    /// The proof's L1 head is at or below this block; 2^53-1 where nobody knew, and the bound comes with the proof.
    pub l1_bound: L1Number,
    /// That head, where the server tells.
    pub l1_head: Option<L1Ref>,
    /// When proving counts as timed out.
    pub deadline: Micros,
}

/// A prover of the network took the request on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ProofAssigned {
    /// Which attempt.
    pub attempt: Attempt,
}

/// The proof is here, and durable with this event.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ProofFulfilled {
    /// Attempt that it came from; an earlier one than the current if it came late.
    pub attempt: Attempt,
    /// Real or mock.
    pub mode: Mode,
    /// The proof's bytes.
    pub proof: BlobRef,
    /// First four bytes of an aggregate proof, which choose the verifier's route.
    pub selector: Option<[u8; 4]>,
    /// The proof's L1 head is at or below this block; 2^53-1 where nobody knew, and the bound comes with the proof.
    pub l1_bound: L1Number,
    /// That head, where the server tells.
    pub l1_head: Option<L1Ref>,
    /// Seconds from the request to the proof.
    pub seconds: u64,
    /// Cycles executed, where the server tells.
    pub cycles: Option<u64>,
    /// Gas proven, in the prover's unit, where the server tells.
    pub prover_gas: Option<u64>,
    /// Price paid, in the prover's smallest unit (18 decimals), where the server tells.
    pub cost: Option<Wei>,
}

/// The prover gave the request up.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Unfulfillable {
    /// Which attempt.
    pub attempt: Attempt,
    /// Fulfilment status as answered.
    pub fulfillment: i32,
    /// Execution status as answered.
    pub execution: i32,
    /// What kind of failure that is.
    pub class: FailureClass,
    /// The server's words, where it had any.
    pub text: String,
}

/// A limit of ours passed, or a restart cut the call off.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct TimedOut {
    /// Which attempt.
    pub attempt: Attempt,
    /// What was waited for.
    pub stage: Stage,
    /// Why it ended.
    pub reason: TimeoutReason,
    /// Seconds waited.
    pub after_secs: u64,
    /// Whether the server may hold, and charge, a request that we have no id of.
    pub maybe_paid: bool,
}

/// Stage of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The witness call.
    Witness,
    /// Proving.
    Proving,
}

/// Why waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeoutReason {
    /// The limit passed.
    Deadline,
    /// The engine was restarted.
    Restart,
}

/// The prover no longer has what it promised.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ProofLost {
    /// Which attempt.
    pub attempt: Attempt,
    /// Unknown id, or fulfilled without bytes.
    pub class: FailureClass,
    /// How often it was asked in vain.
    pub failures: u32,
}

/// Something came of an attempt that had ended; it changes nothing but the record.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct LateAnswerRecorded {
    /// Which attempt.
    pub attempt: Attempt,
    /// What came.
    pub answer: LateAnswer,
}

/// What came late.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LateAnswer {
    /// The server had taken the request after all; the id is polled slowly.
    Requested {
        /// The prover's id.
        proof_id: ProofId,
        /// The proof's L1 head is at or below this block; 2^53-1 where nobody knew.
        l1_bound: L1Number,
    },
    /// A failure.
    Failed {
        /// The server's words.
        text: String,
    },
    /// A proof that is of no use any more.
    Fulfilled {
        /// SHA-256 and length of its bytes.
        proof: BlobRef,
    },
}

/// The server told a state of a proof in numbers that nobody knows here. They are on record as they came, each pair once for
/// an attempt and eight pairs at most, and move nothing.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct UnknownStatusRecorded {
    /// Which attempt.
    pub attempt: Attempt,
    /// Fulfilment status as answered.
    pub fulfillment: i32,
    /// Execution status as answered.
    pub execution: i32,
    /// The server's words, where it had any.
    pub text: String,
}

/// Two attempts were paid for one proof.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct DuplicateSpendRecorded {
    /// Attempt whose proof is used.
    pub kept: Attempt,
    /// Attempt that was not needed.
    pub wasted: Attempt,
}

/// The unit is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Retried {
    /// The next attempt.
    pub attempt: Attempt,
    /// Not before.
    pub not_before: Micros,
    /// Failures of its own so far; those of the prover, the account or the way there do not count.
    pub failures: u32,
    /// Failures of its own that it may still have.
    pub budget_left: u32,
}

/// The span became two, which share the middle block.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Split {
    /// Number of the lower half.
    pub low: u64,
    /// Number of the upper half.
    pub high: u64,
    /// The middle block.
    pub middle: L2Block,
}

/// The unit waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Parked {
    /// Why.
    pub reason: ParkReason,
    /// What an operator needs to know.
    pub text: String,
}

/// Why a unit waits for an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkReason {
    /// Its budget of failures is used up.
    Budget,
    /// It cannot run and cannot be made smaller.
    Unsplittable,
    /// The contract's verifier does not take its proof.
    ProofRefused,
    /// An operator said so.
    Operator,
}

/// An operator let the unit go on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Unparked {
    /// The attempt that follows, if it must be proven again.
    pub attempt: Attempt,
}

/// What was done for the unit is of no use any more.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Invalidated {
    /// Why.
    pub reason: InvalidReason,
    /// What an operator needs to know.
    pub detail: String,
}

/// Why a unit is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidReason {
    /// The contract's latest block lies inside it.
    Straddles,
    /// The contract accepts other commitments now.
    Commitments,
    /// Its L1 head was reorged away.
    NonCanonical,
    /// The contract stands elsewhere than it starts.
    Superseded,
    /// A longer one of the same start takes its place.
    Replaced,
    /// A member is gone.
    MemberGone,
    /// It ends below the block that the contract accepts next.
    BelowNext,
    /// The program cannot run on so many members.
    TooManyMembers,
    /// The finalized chain has another root there now.
    RootChanged,
    /// Its proof's bytes cannot be used.
    Undecodable,
}

/// An operator took the unit back. The prover cannot cancel: what was asked may still be charged.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Cancelled {
    /// The operator's words.
    pub note: String,
}

/// The contract holds an output at or above the span's end.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct SpanSettled {
    /// Index of that output.
    pub output_index: u64,
    /// Number of our aggregate that did it; `None` if it was somebody else's.
    pub agg: Option<u64>,
}

/// The aggregate's submission is confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct AggSettled {
    /// Index of its output, where it was seen at the head.
    pub output_index: Option<u64>,
}

/// The contract moved back below the unit: its proof is of use again.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Restored {
    /// The contract's latest block now.
    pub latest: L2Block,
}

/// The proof's bytes were removed; hash and length stay.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ProofPruned {
    /// Which bytes.
    pub proof: BlobRef,
    /// The rule: seconds that proofs are kept.
    pub kept_secs: u64,
}

/// A transaction is to store an L1 block's hash in the oracle.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct CheckpointStarted {
    /// The block.
    pub block: L1Number,
    /// The members' L1 heads lie at or below this block.
    pub bound: L1Number,
    /// The nonce slot that carries the transaction.
    pub slot: SlotId,
}

/// The oracle holds the hash, as read back from it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Checkpointed {
    /// The block and its hash.
    pub block: L1Ref,
    /// The block at confirmation depth at which it was read.
    pub at: L1Ref,
}

/// The checkpoint is not there, or of no use.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct CheckpointLost {
    /// The block.
    pub block: L1Number,
    /// Why.
    pub reason: CheckpointLostReason,
}

/// Why a checkpoint is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointLostReason {
    /// The transaction reverted.
    Reverted,
    /// The nonce went to something else.
    Abandoned,
    /// The L1 block that held it is gone, or the hash is another.
    Reorged,
}

/// All rollup nodes that answered agree with each other, and with the contract where it has an opinion.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct OutputChecked {
    /// The block.
    pub block: L2Block,
    /// Its root.
    pub root: Hash32,
    /// L1 block up to which the first node had derived then.
    pub current_l1: L1Ref,
    /// What each node answered.
    pub nodes: Vec<NodeAnswer>,
}

/// A rollup node disagrees with the contract or with another node: nothing is bought.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct OutputMismatched {
    /// The block.
    pub block: L2Block,
    /// The contract's root, where it has one.
    pub contract: Option<Hash32>,
    /// What each node answered.
    pub nodes: Vec<NodeAnswer>,
}

/// A transaction is to submit the aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct SubmissionStarted {
    /// The output root submitted.
    pub root: Hash32,
    /// The nonce slot that carries the transaction.
    pub slot: SlotId,
}

/// The simulation of a checkpoint or submission failed: nothing was signed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct SubmissionRefused {
    /// The block that it was simulated at.
    pub at: L1Ref,
    /// The decoded reason.
    pub refusal: Refusal,
    /// Not tried again before.
    pub not_before: Micros,
}

/// The submission's transaction will never be included; the proof is kept.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct SubmissionAbandoned {
    /// The nonce slot that carried it.
    pub slot: SlotId,
}

/// The submission is in an L1 block.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Submitted {
    /// The transaction.
    pub tx: Hash32,
    /// The output root submitted.
    pub root: Hash32,
    /// The block that includes it.
    pub block: L1Ref,
}

/// The submission is as deep as the policy asks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct SubmissionConfirmed {
    /// The transaction.
    pub tx: Hash32,
    /// The block that includes it.
    pub block: L1Ref,
    /// Blocks on top of it.
    pub depth: u64,
}

/// The submission was included and failed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct SubmissionReverted {
    /// The transaction.
    pub tx: Hash32,
    /// The decoded reason.
    pub refusal: Refusal,
    /// Not tried again before.
    pub not_before: Micros,
}

/// The L1 block that included the submission is gone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct SubmissionReorged {
    /// The transaction.
    pub tx: Hash32,
    /// The block that is gone.
    pub block: L1Ref,
}
