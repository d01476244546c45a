//! The rollup node and the L2 execution node as effects and inputs.
//!
//! `ReadNode` and `ReadOutput` are answered by [`RollupNode`], over one or several endpoints; `ReadBlocks` by [`L2Node`].
//! What cannot be true is not passed on: zeros right after a restart, another block than the one asked for, an output
//! root that is not the hash of its parts. Such an answer counts as none, and its cause is kept in words. What a crash
//! in here means: nothing is kept but who is distrusted for a while, and sizes of blocks of a read that broke off.

mod endpoint;
mod error;
mod l2;
mod rollup;
mod safedb;
mod wire;

pub use endpoint::{CheckedOutput, NodeEndpoint};
pub use error::NodeError;
pub use l2::{L2Limits, L2Node};
pub use rollup::{DISTRUST, RollupNode};
pub use safedb::{SafeDb, SafeHead};
pub use wire::{BlockId, L1Block, L2Head, Output, RollupConfig, SETTINGS_MAX, SyncStatus, block_stats};
