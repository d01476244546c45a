//! One rollup node endpoint: the `optimism_` methods, each answer checked before it counts.
//!
//! Nothing is kept between calls. What a crash in here means: an answer is missing and will be asked for again.

use prooflog_events::ids::{Hash32, L1Number, L1Ref, L2Block};
use prooflog_net::RpcClient;
use serde_json::{Value, json};

use crate::error::{NodeError, tame};
use crate::safedb::{self, SafeDb};
use crate::wire::{L1Block, Output, RollupConfig, SyncStatus};

const SYNC_STATUS: &str = "optimism_syncStatus";
const OUTPUT: &str = "optimism_outputAtBlock";
const CONFIG: &str = "optimism_rollupConfig";
const VERSION: &str = "optimism_version";

/// A rollup node endpoint under its name in the configuration.
#[derive(Debug, Clone)]
pub struct NodeEndpoint {
    name: String,
    rpc: RpcClient,
}

/// An output that passed every check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckedOutput {
    /// The root.
    pub root: Hash32,
    /// L1 block up to which the node had derived.
    pub current_l1: L1Ref,
}

impl NodeEndpoint {
    /// An endpoint under a name.
    #[must_use]
    pub const fn new(name: String, rpc: RpcClient) -> Self {
        Self { name, rpc }
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Calls made so far.
    pub(crate) fn calls(&self) -> u64 {
        self.rpc.calls()
    }

    /// Where the node stands. What it does not know yet is `None`.
    ///
    /// # Errors
    /// When it cannot be asked, or the answer has another shape.
    pub async fn sync_status(&self) -> Result<SyncStatus, NodeError> {
        let value = self.ask(SYNC_STATUS, json!([])).await?;
        SyncStatus::parse(value).map_err(|problem| self.malformed(SYNC_STATUS, problem))
    }

    /// The output of a block, with every check: version, block number, and the root as the hash of its parts.
    ///
    /// # Errors
    /// When it cannot be asked, a check fails, or the node does not know yet how far it has derived.
    pub async fn output(&self, block: L2Block) -> Result<CheckedOutput, NodeError> {
        let value = self.ask(OUTPUT, json!([format!("{:#x}", block.0)])).await?;
        let output = Output::parse(value).map_err(|problem| self.malformed(OUTPUT, problem))?;
        output.check(block).map_err(|problem| self.untrue(OUTPUT, problem))?;
        let current = output.sync_status.and_then(|status| status.current_l1);
        let current = current.ok_or_else(|| self.not_ready("current_l1"))?;
        Ok(CheckedOutput { root: output.output_root, current_l1: l1_ref(current) })
    }

    /// What the node knows of its rollup.
    ///
    /// # Errors
    /// When it cannot be asked, or the answer has another shape.
    pub async fn rollup_config(&self) -> Result<RollupConfig, NodeError> {
        let value = self.ask(CONFIG, json!([])).await?;
        RollupConfig::parse(value).map_err(|problem| self.malformed(CONFIG, problem))
    }

    /// The node's version, as it says it.
    ///
    /// # Errors
    /// When it cannot be asked, or answers with something else than a text.
    pub async fn version(&self) -> Result<String, NodeError> {
        let value = self.ask(VERSION, json!([])).await?;
        value.as_str().map(tame).ok_or_else(|| self.malformed(VERSION, "not a text".to_owned()))
    }

    /// Probes the database of safe heads with an L1 block.
    pub async fn safe_head_at_l1(&self, block: L1Number) -> SafeDb {
        let answer = self.rpc.call(safedb::METHOD, json!([format!("{:#x}", block.0)])).await;
        safedb::classify(&self.shown(), answer)
    }

    /// Name and address, as they may be shown.
    pub(crate) fn shown(&self) -> String {
        format!("{} ({})", self.name, self.rpc.endpoint())
    }

    async fn ask(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        Ok(self.rpc.call(method, params).await?)
    }

    fn malformed(&self, method: &'static str, problem: String) -> NodeError {
        NodeError::Malformed { endpoint: self.shown(), method, problem }
    }

    fn untrue(&self, method: &'static str, problem: String) -> NodeError {
        NodeError::Untrue { endpoint: self.shown(), method, problem }
    }

    fn not_ready(&self, what: &'static str) -> NodeError {
        NodeError::NotReady { endpoint: self.shown(), what }
    }

    /// The finalized head and how far L1 was derived, if the node knows both and they can be true.
    pub(crate) fn heads(&self, status: &SyncStatus) -> Result<Heads, NodeError> {
        let finalized = status.finalized_l2.ok_or_else(|| self.not_ready("finalized_l2"))?;
        let current = status.current_l1.ok_or_else(|| self.not_ready("current_l1"))?;
        if finalized.timestamp == 0 {
            return Err(self.not_ready("the time of finalized_l2"));
        }
        if let Some(newest) = status.unsafe_l2.filter(|newest| newest.number < finalized.number) {
            let problem = format!("finalized_l2 {} is above unsafe_l2 {}", finalized.number, newest.number);
            return Err(self.untrue(SYNC_STATUS, problem));
        }
        Ok(Heads {
            finalized: L2Block(finalized.number),
            hash: finalized.hash,
            current_l1: l1_ref(current),
            finalized_time: finalized.time(),
            newest: status.unsafe_l2.map(|newest| L2Block(newest.number)),
        })
    }
}

/// What of a node's status is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heads {
    pub(crate) finalized: L2Block,
    pub(crate) hash: Hash32,
    pub(crate) current_l1: L1Ref,
    pub(crate) finalized_time: prooflog_events::ids::Micros,
    /// The newest block, if the node knows it.
    pub(crate) newest: Option<L2Block>,
}

const fn l1_ref(block: L1Block) -> L1Ref {
    L1Ref { number: L1Number(block.number), hash: block.hash }
}
