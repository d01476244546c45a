//! The rollup node over all its endpoints: heads from the first that can be trusted, output roots from every one.
//!
//! A root is only worth something if each endpoint was asked and every answer was checked by itself, so a failed check
//! is an endpoint without an answer and never a guess. An endpoint whose finalized head goes back is one that lags or
//! was swapped behind a balancer: others are preferred for a while, nothing is rolled back. What a crash in here means:
//! the memory of who is distrusted is lost, and nothing else.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use prooflog_events::ids::{ChainId, Hash32, L1Number, L2Block};
use prooflog_events::input::{NodeRead, OutputRead};
use prooflog_events::values::NodeAnswer;

use crate::endpoint::{CheckedOutput, Heads, NodeEndpoint};
use crate::error::NodeError;
use crate::l2::L2Node;
use crate::safedb::SafeDb;
use crate::wire::RollupConfig;

/// For how long an endpoint is believed only if nobody else answers, after its finalized head went back.
pub const DISTRUST: Duration = Duration::from_secs(300);

/// The rollup node of one chain.
#[derive(Debug)]
pub struct RollupNode {
    chain: ChainId,
    endpoints: Vec<NodeEndpoint>,
    distrust: Duration,
    seen: Mutex<Vec<Seen>>,
}

/// What an endpoint said last.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    finalized: Option<(L2Block, Hash32)>,
    distrusted_until: Option<Instant>,
}

impl RollupNode {
    /// The node of `chain` behind `endpoints`, in order of preference. `distrust` is [`DISTRUST`] but in tests.
    ///
    /// # Errors
    /// When there is no endpoint.
    pub fn new(chain: ChainId, endpoints: Vec<NodeEndpoint>, distrust: Duration) -> Result<Self, NodeError> {
        if endpoints.is_empty() {
            return Err(NodeError::NoEndpoint);
        }
        let seen = Mutex::new(vec![Seen::default(); endpoints.len()]);
        Ok(Self { chain, endpoints, distrust, seen })
    }

    /// The endpoints, in order of preference: `doctor` asks each by itself.
    #[must_use]
    pub fn endpoints(&self) -> &[NodeEndpoint] {
        &self.endpoints
    }

    /// Calls made so far, over all endpoints.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.endpoints.iter().map(NodeEndpoint::calls).sum()
    }

    /// The heads that decisions rest on.
    ///
    /// # Errors
    /// As [`RollupNode::look`].
    pub async fn heads(&self) -> Result<NodeRead, NodeError> {
        Ok(self.look().await?.0)
    }

    /// The heads that decisions rest on, and the newest block, which nothing rests on. From the first endpoint that
    /// answers with what can be true; from a distrusted one only if there is no other.
    ///
    /// # Errors
    /// When no endpoint does, with each one's cause.
    pub async fn look(&self) -> Result<(NodeRead, Option<L2Block>), NodeError> {
        let (mut doubtful, mut causes) = (Vec::new(), Vec::new());
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            match self.ask_heads(endpoint).await {
                Ok(heads) if self.believe(index, endpoint, &heads) => {
                    return Ok((self.read(heads), heads.newest));
                }
                Ok(heads) => doubtful.push(heads),
                Err(cause) => {
                    tracing::warn!(chain = self.chain.0, node = endpoint.name(), %cause, "no heads");
                    causes.push(named(endpoint, cause));
                }
            }
        }
        // A head that lags is still a head; it moves nothing that was higher before.
        let best = doubtful.into_iter().max_by_key(|heads| heads.finalized);
        best.map(|heads| (self.read(heads), heads.newest)).ok_or(NodeError::Nobody { causes })
    }

    /// The output root of a block: all endpoints at once, each with all checks. An endpoint without a good answer
    /// stands with no root.
    ///
    /// # Errors
    /// When no endpoint has a good answer, with each one's cause.
    pub async fn output(&self, block: L2Block) -> Result<OutputRead, NodeError> {
        let answers = self.outputs(block).await;
        let first = answers.iter().find_map(|(_, answer)| answer.as_ref().ok());
        let Some(current_l1) = first.map(|output| output.current_l1) else {
            let failed = answers.into_iter().filter_map(|(node, answer)| Some(named(node, answer.err()?)));
            return Err(NodeError::Nobody { causes: failed.collect() });
        };
        let nodes = answers
            .iter()
            .map(|(node, answer)| NodeAnswer {
                node: node.name().to_owned(),
                root: answer.as_ref().ok().map(|output| output.root),
            })
            .collect();
        Ok(OutputRead { chain: self.chain, block, current_l1, nodes })
    }

    /// What each endpoint says about the output of a block, or why it has no good answer.
    pub async fn outputs(&self, block: L2Block) -> Vec<(&NodeEndpoint, Result<CheckedOutput, NodeError>)> {
        let asked = self.endpoints.iter().map(|node| async move { (node, node.output(block).await) });
        let answers = join_all(asked).await;
        for (node, answer) in &answers {
            if let Err(cause) = answer {
                tracing::warn!(chain = self.chain.0, node = node.name(), %block, %cause, "no output root");
            }
        }
        answers
    }

    /// The rollup's configuration, from the first endpoint that tells it.
    ///
    /// # Errors
    /// When no endpoint does, with each one's cause.
    pub async fn rollup_config(&self) -> Result<RollupConfig, NodeError> {
        let mut causes = Vec::new();
        for endpoint in &self.endpoints {
            match endpoint.rollup_config().await {
                Ok(config) => return Ok(config),
                Err(cause) => causes.push(named(endpoint, cause)),
            }
        }
        Err(NodeError::Nobody { causes })
    }

    /// The node's version, from the first endpoint that tells it.
    ///
    /// # Errors
    /// When no endpoint does, with each one's cause.
    pub async fn version(&self) -> Result<String, NodeError> {
        let mut causes = Vec::new();
        for endpoint in &self.endpoints {
            match endpoint.version().await {
                Ok(version) => return Ok(version),
                Err(cause) => causes.push(named(endpoint, cause)),
            }
        }
        Err(NodeError::Nobody { causes })
    }

    /// Probes the database of safe heads of each endpoint with an L1 block, all at once, by name.
    pub async fn safe_head_at_l1(&self, block: L1Number) -> Vec<(&str, SafeDb)> {
        let asked =
            self.endpoints.iter().map(|node| async move { (node.name(), node.safe_head_at_l1(block).await) });
        join_all(asked).await
    }

    /// Hash of the rollup's first block: as its configuration says, else block 0 of the execution node.
    ///
    /// # Errors
    /// When neither tells it.
    pub async fn genesis(&self, l2: Option<&L2Node>) -> Result<Hash32, NodeError> {
        let told = self.rollup_config().await;
        if let Some(genesis) = told.as_ref().ok().and_then(|config| config.genesis_l2) {
            return Ok(genesis.hash);
        }
        match (l2, told) {
            (Some(l2), _) => l2.hash_of(L2Block(0)).await,
            (None, Err(cause)) => Err(cause),
            (None, Ok(_)) => {
                let endpoint = self.endpoints.first().map(NodeEndpoint::name).unwrap_or_default().to_owned();
                Err(NodeError::NotReady { endpoint, what: "the genesis block of the rollup configuration" })
            }
        }
    }

    async fn ask_heads(&self, endpoint: &NodeEndpoint) -> Result<Heads, NodeError> {
        endpoint.heads(&endpoint.sync_status().await?)
    }

    /// Remembers what an endpoint said, and whether it can be believed.
    fn believe(&self, index: usize, endpoint: &NodeEndpoint, heads: &Heads) -> bool {
        let now = Instant::now();
        let mut all = self.seen();
        let Some(seen) = all.get_mut(index) else { return true };
        let said = (heads.finalized, heads.hash);
        if let Some(last) =
            seen.finalized.filter(|last| said.0 < last.0 || (said.0 == last.0 && said.1 != last.1))
        {
            seen.distrusted_until = now.checked_add(self.distrust);
            tracing::warn!(
                chain = self.chain.0,
                node = endpoint.name(),
                before = last.0.0,
                now = said.0.0,
                "the finalized head went back or changed; other endpoints are preferred for a while"
            );
        }
        seen.finalized = Some(said);
        !seen.is_distrusted(now)
    }

    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    const fn read(&self, heads: Heads) -> NodeRead {
        NodeRead {
            chain: self.chain,
            finalized: heads.finalized,
            hash: heads.hash,
            current_l1: heads.current_l1,
            finalized_time: heads.finalized_time,
        }
    }
}

impl Seen {
    fn is_distrusted(&self, now: Instant) -> bool {
        self.distrusted_until.is_some_and(|until| now < until)
    }
}

fn named(endpoint: &NodeEndpoint, cause: NodeError) -> (String, NodeError) {
    (endpoint.name().to_owned(), cause)
}
