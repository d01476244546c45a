//! Answers to effects: what the prover's server, the signer and the L1 said to a call that the engine made.
//!
//! They name what they answer (unit and attempt, slot and version), because they may come late. Bodies are not in them:
//! proofs and signed bytes are named by hash and length.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::ids::{
    Address, Attempt, ChainId, Hash32, L1Number, L1Ref, Nonce, ProofId, SlotId, TxVersion, UnitId, Wei,
};
use crate::values::{BlobRef, BroadcastOutcome, Call, FailureClass, L1Head, Purpose, Refusal};

/// The prover's server compared its commitments with the contract's.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ServerValidated {
    /// The rollup.
    pub chain: ChainId,
    /// The rollup configuration agrees.
    pub rollup_config_ok: bool,
    /// The aggregation key agrees.
    pub agg_vkey_ok: bool,
    /// The range key agrees.
    pub range_vkey_ok: bool,
}

/// The server answered a request for a proof, or the call ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct WitnessAnswered {
    /// The unit.
    pub unit: UnitId,
    /// The attempt that the call was for.
    pub attempt: Attempt,
    /// The answer.
    pub answer: WitnessAnswer,
}

/// What a request for a proof led to.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WitnessAnswer {
    /// The prover took it.
    Requested {
        /// Its id.
        proof_id: ProofId,
        /// The proof's L1 head, where the server tells.
        l1_head: Option<L1Ref>,
        /// The L1's head when the answer came; [`L1Number::UNSEEN`] where nobody could tell, as an id is worth money and
        /// waits for nothing.
        l1_seen: L1Number,
    },
    /// A proof: a mock one, at once, or one whose request came when nobody could tell where the L1 stood.
    Fulfilled {
        /// The proof.
        delivery: Delivery,
        /// The L1's head when the answer came.
        l1_seen: L1Number,
    },
    /// An error, or no answer.
    Failed {
        /// What kind of failure, as the adapter can tell.
        class: FailureClass,
        /// The server's words.
        text: String,
    },
}

/// Proofs of an aggregate's members cannot be used: the server cannot read them, or we cannot any more. The request was
/// refused for them, and nothing was bought.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct MembersRefused {
    /// The aggregate.
    pub unit: UnitId,
    /// The attempt that the call was for.
    pub attempt: Attempt,
    /// Places of those members in the request, from 0.
    pub members: Vec<u32>,
    /// The server's words, or ours.
    pub text: String,
}

/// A proof that arrived, its bytes already in the blob store or handed over with the input.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Delivery {
    /// The bytes.
    pub proof: BlobRef,
    /// The first four, for aggregates.
    pub selector: Option<[u8; 4]>,
    /// The proof's L1 head, where the server tells.
    pub l1_head: Option<L1Ref>,
    /// Cycles executed, where the server tells.
    pub cycles: Option<u64>,
    /// Gas proven, where the server tells.
    pub prover_gas: Option<u64>,
    /// Price paid, in the prover's smallest unit (18 decimals), where the server tells.
    pub cost: Option<Wei>,
}

/// The server answered a question for the state of a proof.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct StatusAnswered {
    /// The unit.
    pub unit: UnitId,
    /// The attempt that the id belongs to.
    pub attempt: Attempt,
    /// The answer.
    pub answer: StatusAnswer,
}

/// What the server says of a proof. Numbers that nobody knows stay numbers.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusAnswer {
    /// A state.
    Status {
        /// 0 unspecified, 1 requested, 2 assigned, 3 fulfilled, 4 unfulfillable.
        fulfillment: i32,
        /// 0 unspecified, 1 unexecuted, 2 executed, 3 unexecutable.
        execution: i32,
        /// The proof; `None` where no bytes came.
        delivery: Option<Delivery>,
        /// The server's words, where it has any.
        text: String,
    },
    /// The id failed often enough, over long enough, while other questions were answered.
    Lost {
        /// Times asked in vain.
        failures: u32,
        /// Unknown id, or fulfilled without bytes.
        class: FailureClass,
    },
}

/// Whether the interface knows these statuses of a proof.
#[must_use]
pub const fn is_known_status(fulfillment: i32, execution: i32) -> bool {
    matches!(fulfillment, 0..=4) && matches!(execution, 0..=3)
}

/// A transaction was simulated at a pinned block, with the nonce and fees to send it under.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct TxQuoted {
    /// Who would send.
    pub sender: Address,
    /// What for.
    pub purpose: Purpose,
    /// Where the L1 stood.
    pub at: L1Head,
    /// The account's next nonce there.
    pub nonce: Nonce,
    /// The account's balance there.
    pub balance: Wei,
    /// What the simulation said.
    pub outcome: QuoteOutcome,
}

/// What a simulation said.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuoteOutcome {
    /// It would succeed.
    Accepted {
        /// The call.
        call: Call,
        /// Gas that it would use.
        gas: u64,
        /// Output root that a submission carries; zero otherwise.
        root: Hash32,
    },
    /// It would revert.
    Refused {
        /// The decoded reason.
        refusal: Refusal,
    },
}

/// A version of a slot was signed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct TxSigned {
    /// The slot.
    pub slot: SlotId,
    /// Which version.
    pub version: TxVersion,
    /// SHA-256 of the call data that were signed.
    pub calldata: Hash32,
    /// The transaction's hash.
    pub hash: Hash32,
    /// The signed bytes.
    pub raw: BlobRef,
}

/// A version was handed to an endpoint, which answered.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct TxSent {
    /// The slot.
    pub slot: SlotId,
    /// Which version.
    pub version: TxVersion,
    /// How it was answered.
    pub outcome: BroadcastOutcome,
    /// The endpoint's words, where it refused.
    pub text: String,
}
