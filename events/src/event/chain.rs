//! Events of one rollup, stream `chain-<l2 chain id>`.
//!
//! Its identity and policy, what its contract says, its heads, the modes that hold work back, and the operator's
//! controls. The first event of such a stream is [`ChainRegistered`], and [`PolicyChanged`] follows in its batch.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::ids::{Address, Hash32, L1ChainId, L1Ref, L2Block, Micros};
use crate::policy::Policy;
use crate::values::{Anchor, ContractValues, Control, DegradedReason, FailureClass};

/// A rollup was taken on. Its identity never changes: a log cannot be continued for another chain.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ChainRegistered {
    /// Name in the configuration.
    pub name: String,
    /// The L1 it settles on.
    pub l1: L1ChainId,
    /// The output oracle.
    pub oracle: Address,
    /// Hash of the L1's genesis block.
    pub l1_genesis: Hash32,
    /// Hash of the rollup's genesis block.
    pub l2_genesis: Hash32,
}

/// The limits in force changed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct PolicyChanged {
    /// All of them, from now on.
    pub policy: Policy,
}

/// The rollup has another output oracle.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ContractChanged {
    /// The oracle before.
    pub from: Address,
    /// The oracle from now on.
    pub to: Address,
}

/// A contract value that decisions rest on changed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ContractObserved {
    /// The block that was read.
    pub at: L1Ref,
    /// All values.
    pub values: ContractValues,
}

/// The prover's server and the contract agree on every commitment.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ContractConfigValidated {}

/// The prover's server proves something that the contract does not accept: nothing new is requested.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ContractConfigRejected {
    /// The rollup configuration agrees.
    pub rollup_config_ok: bool,
    /// The aggregation key agrees.
    pub agg_vkey_ok: bool,
    /// The range key agrees.
    pub range_vkey_ok: bool,
}

/// The contract holds a newer output (at the L1's head; it may still be reorged away).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ContractAdvanced {
    /// The block that was read.
    pub at: L1Ref,
    /// The latest output.
    pub latest: Anchor,
    /// The transaction that did it, where known.
    pub tx: Option<Hash32>,
    /// Who sent it, where known.
    pub sender: Option<Address>,
    /// Number of our aggregate that it settles, if it is ours.
    pub ours: Option<u64>,
}

/// The contract's latest output at confirmation depth changed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ContractConfirmed {
    /// The block at that depth.
    pub at: L1Ref,
    /// The latest output there; `None` where the contract has none.
    pub latest: Option<Anchor>,
}

/// The contract's latest output moved back.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ContractRolledBack {
    /// The block that was read.
    pub at: L1Ref,
    /// The latest output now; `None` where the contract has none.
    pub latest: Option<Anchor>,
    /// Why.
    pub cause: RollbackCause,
}

/// Why the contract's latest output moved back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackCause {
    /// The L1 block that held it is gone: our transaction is expected back.
    Reorg,
    /// The challenger deleted outputs.
    OutputsDeleted,
}

/// The finalized L2 head has not moved for long.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct FinalizedStalled {
    /// Where it stands.
    pub block: L2Block,
    /// When it last moved.
    pub since: Micros,
}

/// The finalized L2 head moved.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct FinalizedMoved {
    /// Where it stands now.
    pub block: L2Block,
    /// Hash of that block.
    pub hash: Hash32,
}

/// Nothing that costs is started until this is mended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct DegradedModeEntered {
    /// Why.
    pub reason: DegradedReason,
    /// The details that an operator needs.
    pub detail: String,
}

/// A reason for degraded mode is gone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct DegradedModeLeft {
    /// Which.
    pub reason: DegradedReason,
}

/// Different units failed in a row: the prover or its account is at fault, and only a probe is sent now and then.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ProverDegraded {
    /// Class of the last failure.
    pub class: FailureClass,
    /// Failures in a row.
    pub failures: u32,
    /// The server's words of the last one.
    pub text: String,
}

/// The prover answers again.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ProverRecovered {}

/// A kind of work was halted.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Paused {
    /// Which.
    pub control: Control,
    /// By an operator, or by a rule.
    pub by: PausedBy,
    /// The operator's words, or the rule's.
    pub note: String,
}

/// Who halted work; the operator's name is in the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PausedBy {
    /// A person.
    Operator,
    /// The challenger deleted outputs and the policy is to hold.
    OutputsDeleted,
}

/// A kind of work goes on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Resumed {
    /// Which.
    pub control: Control,
}

/// Everything up to a block is to be submitted without waiting for full spans or thresholds of our own.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct FlushRequested {
    /// Up to here.
    pub to: L2Block,
}
