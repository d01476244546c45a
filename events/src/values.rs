//! Facts that several events and inputs share: modes, commitments, failure classes, contract values, fees.
//!
//! Everything here is stored, so a change of a struct is a new version of every event that holds it.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::ids::{Address, ChainId, Hash32, L1Number, L1Ref, L2Block, Micros, Nonce, UnitId, Wei};

/// Real proofs, or the server's mock endpoints, which execute the program and prove nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Proofs that the on-chain verifier checks.
    Real,
    /// No proof: for contracts with the mock verifier.
    Mock,
}

/// What a span is proven under; a proof is worth nothing under any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Commitments {
    /// Real or mock.
    pub mode: Mode,
    /// Commitment to the range program's verification key.
    pub range_vkey: Hash32,
    /// Hash of the rollup configuration.
    pub rollup_config: Hash32,
}

/// What an aggregate is proven and submitted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct AggTerms {
    /// Those of its members.
    pub commitments: Commitments,
    /// Verification key of the aggregation program.
    pub agg_vkey: Hash32,
    /// Config name (third generation), else zero.
    pub config_name: Hash32,
    /// Prover address that the proof binds; submission passes exactly this one.
    pub prover: Address,
    /// The oracle.
    pub contract: Address,
}

/// Bytes in the content-addressed store: they can be withheld or pruned, and the event keeps its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
pub struct BlobRef {
    /// SHA-256 of the bytes.
    pub sha256: Hash32,
    /// Their number.
    pub length: u64,
}

impl BlobRef {
    /// The empty byte string, which is a valid proof in mock mode and only there.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// What kind of failure ended an attempt, as far as the answer tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The program cannot run on this range: it must become smaller.
    Unexecutable,
    /// The network will not prove it, for whatever reason.
    Unfulfillable,
    /// The server answered the request with an error about this range.
    WitnessError,
    /// Our limit for the witness call passed.
    WitnessTimeout,
    /// Our limit for proving passed.
    ProvingTimeout,
    /// The connection broke before an answer.
    Dropped,
    /// The prover no longer knows the id.
    Lost,
    /// Fulfilled, three times without bytes.
    NoBytes,
    /// The data are not on L1 yet: wait.
    DataNotReady,
    /// The prover is full: wait.
    Capacity,
    /// Credit or permission of the account.
    Account,
    /// The server could not be reached at all.
    Unreachable,
    /// The engine was restarted while the call was open.
    Restart,
}

/// Whose fault a failure is; only the unit's own uses its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blame {
    /// The range itself.
    Unit,
    /// The prover or its network.
    Prover,
    /// The account that pays.
    Account,
    /// The way there.
    Transport,
    /// Nobody: not yet.
    Nobody,
}

impl FailureClass {
    /// Whose fault this is.
    #[must_use]
    pub const fn blame(self) -> Blame {
        match self {
            Self::Unexecutable
            | Self::Unfulfillable
            | Self::WitnessError
            | Self::WitnessTimeout
            | Self::Dropped => Blame::Unit,
            Self::ProvingTimeout | Self::Lost | Self::NoBytes => Blame::Prover,
            Self::Account => Blame::Account,
            Self::Unreachable => Blame::Transport,
            Self::DataNotReady | Self::Capacity | Self::Restart => Blame::Nobody,
        }
    }

    /// Whether the server is known to hold nothing for this try, so that the next one needs a new idempotency key.
    #[must_use]
    pub const fn is_known_failure(self) -> bool {
        matches!(
            self,
            Self::Unexecutable | Self::Unfulfillable | Self::WitnessError | Self::Lost | Self::NoBytes
        )
    }
}

/// An output that the contract holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Anchor {
    /// Its index in the contract.
    pub index: u64,
    /// Its output root.
    pub root: Hash32,
    /// Its L2 block.
    pub block: L2Block,
}

/// Interface generation of the oracle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Generation {
    /// `v1.0.0-rc2` and `v1.0.0`.
    V1,
    /// `v2.0.0`: the prover address is a public value.
    V2,
    /// `v3.0.0`: several named configurations.
    V3,
}

/// The contract values that decisions rest on, read in one pinned block.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ContractValues {
    /// The implementation behind the proxy.
    pub implementation: Address,
    /// Its interface.
    pub generation: Generation,
    /// Smallest distance of two outputs in blocks, as read; 0 counts as 1.
    pub submission_interval: u64,
    /// Aggregation key accepted.
    pub agg_vkey: Hash32,
    /// Range key commitment accepted.
    pub range_vkey: Hash32,
    /// Rollup configuration accepted.
    pub rollup_config: Hash32,
    /// The verifier called.
    pub verifier: Address,
    /// Whether proofs are switched off.
    pub optimistic: bool,
    /// Whether our sender may submit.
    pub approved: bool,
    /// The factory that submissions must go through, if one is set.
    pub factory: Option<Address>,
    /// Bond that the factory demands.
    pub bond: Wei,
    /// Seconds after which an output is final.
    pub finalization_secs: u64,
}

/// Fees of a type 2 transaction, per gas, in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
pub struct Fees {
    /// Most that is paid per gas in all.
    pub max_fee: Wei,
    /// Most that goes to the block's builder.
    pub tip: Wei,
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Have the oracle store the hash of an L1 block, for an aggregate.
    Checkpoint {
        /// The aggregate.
        agg: UnitId,
        /// The L1 block.
        block: L1Number,
    },
    /// Submit an aggregate's output.
    Submission {
        /// The aggregate.
        agg: UnitId,
    },
    /// Submit an output without proof, in optimistic mode.
    Optimistic {
        /// The rollup.
        chain: ChainId,
        /// The L2 block.
        block: L2Block,
        /// Its output root.
        root: Hash32,
    },
    /// Nothing: an empty transfer to ourselves that uses up a nonce whose purpose is gone.
    Release,
}

/// The call that a transaction makes; the bytes are built by the L1 adapter from the purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Call {
    /// Who is called.
    pub to: Address,
    /// Coin sent along.
    pub value: Wei,
    /// SHA-256 of the call data; zero while the purpose was changed and nothing is built yet.
    pub calldata: Hash32,
}

/// Where the L1 stood when something was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct L1Head {
    /// The block that all values were read at.
    pub block: L1Ref,
    /// Its timestamp.
    pub time: Micros,
    /// Its base fee per gas.
    pub base_fee: Wei,
    /// Tip per gas that the endpoint suggests.
    pub tip: Wei,
}

/// Why a call reverted, decoded as far as it can be.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Refusal {
    /// What must be done about it.
    pub class: RefusalClass,
    /// The decoded reason, or the raw bytes as hex.
    pub text: String,
}

/// What a decoded refusal means for the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalClass {
    /// The contract stands elsewhere: read again, decide again.
    Stale,
    /// The checkpoint is missing or too old: a new one is needed.
    Checkpoint,
    /// The hash of the asked block is not visible yet: the same again one block later.
    NotYet,
    /// The proof does not pass the verifier.
    BadProof,
    /// Selector, route or verifier version: only the operator can cure it.
    Route,
    /// Not approved, wrong entry point, paused, bond: policy of the contract.
    Policy,
    /// Gas ran out.
    OutOfGas,
    /// Too little coin.
    Funds,
    /// Anything else.
    Other,
}

/// One endpoint's answer about one block.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct NodeAnswer {
    /// Which endpoint, by its name in the configuration.
    pub node: String,
    /// The output root; `None` where it could not answer.
    pub root: Option<Hash32>,
}

/// How a broadcast was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BroadcastOutcome {
    /// Taken, or already known.
    Accepted,
    /// The fees do not replace what is there.
    Underpriced,
    /// The nonce is used already.
    NonceTooLow,
    /// The account cannot pay.
    Funds,
    /// Refused otherwise.
    Rejected,
}

/// Where our own nonce stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct NonceState {
    /// Next nonce at the head.
    pub head: Nonce,
    /// Next nonce at `confirmations` depth.
    pub confirmed: Nonce,
}

/// A kind of work that an operator can halt on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Cutting new spans (halves and refills of old ones go on).
    Planning,
    /// Requesting proofs.
    Proving,
    /// Sending transactions.
    Submitting,
}

/// A reason for which nothing that costs is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DegradedReason {
    /// Our rollup node and the contract disagree on an output root.
    RootMismatch,
    /// The contract has no output to start from.
    NoAnchor,
    /// The contract stands above the finalized head.
    ContractAhead,
    /// The disk is nearly full.
    Disk,
    /// The clock runs against the log or the chain.
    Clock,
}
