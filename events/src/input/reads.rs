//! What the engine sees of itself and of the world: its own start, its configuration, the clock, the rollup node, the
//! contract, the sending account, the disk.
//!
//! All values of one read belong to one block; an adapter that cannot get them so reports nothing rather than a mix.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::event::{ChainRegistered, EngineStarted};
use crate::ids::{
    Address, ChainId, Hash32, L1Number, L1Ref, L2Block, Micros, Nonce, Range, SignerId, TxVersion, Wei,
};
use crate::policy::Policy;
use crate::values::{Anchor, ContractValues, L1Head, NodeAnswer, NonceState, Refusal};

/// The log was opened for writing. Calls that were open when the last engine ended are over.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct EngineOpened {
    /// What is recorded first.
    pub started: EngineStarted,
}

/// The engine is about to end in order.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct EngineClosing {
    /// Why.
    pub reason: String,
}

/// The configuration names a rollup; sent at every start and on every reload.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ChainConfigured {
    /// The rollup.
    pub chain: ChainId,
    /// What it is.
    pub registration: ChainRegistered,
    /// What holds for it.
    pub policy: Policy,
}

/// A moment came for which something is due, or more is left to do than fitted into the last batch.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct TimerDue {
    /// The rollups for which it came, in order; none means all: more was left to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chains: Vec<ChainId>,
}

impl TimerDue {
    /// All rollups are looked through.
    #[must_use]
    pub const fn of_all() -> Self {
        Self { chains: Vec::new() }
    }
}

/// The rollup node was asked for its heads.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct NodeRead {
    /// The rollup.
    pub chain: ChainId,
    /// Finalized L2 block.
    pub finalized: L2Block,
    /// Its hash.
    pub hash: Hash32,
    /// L1 block up to which the node has derived.
    pub current_l1: L1Ref,
    /// Timestamp of the finalized L2 block.
    pub finalized_time: Micros,
}

/// Gas and transactions of L2 blocks, for cutting spans by gas.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct BlocksRead {
    /// The rollup.
    pub chain: ChainId,
    /// The blocks asked for.
    pub range: Range,
    /// One entry per block, lowest first; empty where the node cannot tell.
    pub blocks: Vec<BlockStats>,
}

/// Size of one L2 block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct BlockStats {
    /// Gas used.
    pub gas: u64,
    /// Transactions.
    pub transactions: u32,
}

/// The rollup nodes were asked for the output root of a block.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct OutputRead {
    /// The rollup.
    pub chain: ChainId,
    /// The block.
    pub block: L2Block,
    /// L1 block up to which the first node had derived.
    pub current_l1: L1Ref,
    /// Each node's answer.
    pub nodes: Vec<NodeAnswer>,
}

/// The contract was read, at the L1's head and at confirmation depth.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ContractRead {
    /// The rollup.
    pub chain: ChainId,
    /// The oracle that was read.
    pub oracle: Address,
    /// The L1's head, at which `values` and `latest` hold.
    pub at: L1Head,
    /// Contract values at the head.
    pub values: ContractValues,
    /// Latest output at the head.
    pub latest: Option<Anchor>,
    /// The block that the contract accepts next, at the head.
    pub next_block: L2Block,
    /// The transaction and sender of the latest output, where known.
    pub latest_by: Option<(Hash32, Address)>,
    /// Whether outputs were deleted by a transaction since the last read.
    pub outputs_deleted: bool,
    /// The block at confirmation depth.
    pub confirmed_at: L1Ref,
    /// Latest output there.
    pub confirmed: Option<Anchor>,
    /// Checkpoints asked for: hash stored in the contract at confirmation depth, zero for none.
    pub checkpoints: Vec<L1Ref>,
    /// L1 blocks asked for, with the hash that is canonical now.
    pub canonical: Vec<L1Ref>,
}

/// The sending account was read at the L1's head.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct SignerRead {
    /// The account.
    pub signer: SignerId,
    /// The L1's head.
    pub at: L1Head,
    /// Its nonces.
    pub nonce: NonceState,
    /// Its balance at the head.
    pub balance: Wei,
    /// What became of the transactions asked for.
    pub txs: Vec<TxSeen>,
}

/// What the L1 says about one signed version.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct TxSeen {
    /// Its slot's nonce.
    pub nonce: Nonce,
    /// Which version.
    pub version: TxVersion,
    /// Where it is.
    pub state: TxState,
}

/// Where a transaction is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TxState {
    /// No endpoint knows it.
    Unknown,
    /// Waiting for inclusion.
    Pending,
    /// In a canonical block.
    Included {
        /// The block.
        block: L1Ref,
        /// Gas used.
        gas_used: u64,
        /// Fee paid.
        fee_paid: Wei,
        /// Why it reverted; `None` if it succeeded.
        reverted: Option<Refusal>,
    },
}

/// The data directory's disk was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct DiskRead {
    /// Bytes free.
    pub free: u64,
    /// Bytes below which nothing new is started.
    pub minimum: u64,
}

impl TxSeen {
    /// The block that includes it, if one does.
    #[must_use]
    pub const fn included_in(&self) -> Option<L1Ref> {
        match &self.state {
            TxState::Included { block, .. } => Some(*block),
            TxState::Unknown | TxState::Pending => None,
        }
    }
}

impl ContractRead {
    /// The hash that the contract stores for `block`, `None` where it was not asked for or nothing is stored.
    #[must_use]
    pub fn checkpoint(&self, block: L1Number) -> Option<Hash32> {
        self.checkpoints
            .iter()
            .find(|seen| seen.number == block)
            .map(|seen| seen.hash)
            .filter(|hash| *hash != Hash32::ZERO)
    }
}
