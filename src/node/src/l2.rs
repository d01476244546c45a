//! Sizes of L2 blocks from the execution node, in batches of bounded size and number.
//!
//! However long the range, at most `concurrency` requests are under way. An endpoint that limits us is left alone for a
//! while that doubles, and what was read before is kept, so that the next read goes on where this one stopped. A node
//! that cannot tell (history gone, method unknown) answers with no sizes, which is not the same as zero. What a crash in
//! here means: the kept sizes are read again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use prooflog_events::ids::{ChainId, Hash32, L2Block, Range};
use prooflog_events::input::{BlockStats, BlocksRead};
use prooflog_net::{RpcClient, RpcError};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::error::{NodeError, tame};
use crate::wire::{block_stats, hash_of, quantity};

const BLOCK: &str = "eth_getBlockByNumber";

/// Most blocks in one answer: at 14 bytes each an input stays below its own limit. A longer range is answered in part.
const BLOCKS_MAX: u64 = 4_096;

/// What bounds the use of the execution node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct L2Limits {
    /// Blocks in one request; smaller ones follow where an endpoint finds that too large. At least 1.
    pub batch: usize,
    /// Requests under way at once. At least 1.
    pub concurrency: usize,
    /// First pause after the endpoint said that it is asked too much; it doubles.
    pub pause: Duration,
    /// Longest pause.
    pub pause_max: Duration,
}

impl Default for L2Limits {
    fn default() -> Self {
        Self { batch: 50, concurrency: 2, pause: Duration::from_secs(1), pause_max: Duration::from_secs(60) }
    }
}

/// The L2 execution node of one chain.
#[derive(Debug)]
pub struct L2Node {
    chain: ChainId,
    rpc: RpcClient,
    limits: L2Limits,
    permits: Semaphore,
    pause: Mutex<Pause>,
    kept: Mutex<BTreeMap<u64, BlockStats>>,
}

/// For how long the endpoint is left alone.
#[derive(Debug, Default)]
struct Pause {
    until: Option<Instant>,
    times: u32,
}

impl Pause {
    fn lasts(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// The next pause is a short one again, unless one has just begun.
    fn succeeded(&mut self, now: Instant) {
        if !self.lasts(now) {
            *self = Self::default();
        }
    }
}

/// Why a batch brought no sizes.
enum Failure {
    /// The node has no such block.
    Missing(u64),
    /// Anything else.
    Error(NodeError),
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        Self::Error(error)
    }
}

impl L2Node {
    /// The execution node of `chain`.
    #[must_use]
    pub fn new(chain: ChainId, rpc: RpcClient, limits: L2Limits) -> Self {
        Self {
            chain,
            rpc,
            permits: Semaphore::new(limits.concurrency.max(1)),
            limits,
            pause: Mutex::default(),
            kept: Mutex::default(),
        }
    }

    /// Calls made so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.rpc.calls()
    }

    /// Gas and transactions of the blocks after `range.start` up to `range.end`, lowest first; the first 4,096 of them
    /// where there are more, and none where the node cannot tell.
    ///
    /// # Errors
    /// When the node cannot be asked, limits us, is behind, or answers with what cannot be true.
    pub async fn blocks(&self, range: Range) -> Result<BlocksRead, NodeError> {
        let first = range.start.0.saturating_add(1);
        let wanted = first..first.saturating_add(range.blocks().min(BLOCKS_MAX));
        lock(&self.kept).retain(|number, _| wanted.contains(number));
        let missing: Vec<u64> = {
            let kept = lock(&self.kept);
            wanted.clone().filter(|number| !kept.contains_key(number)).collect()
        };
        let batches: Vec<Vec<u64>> = missing.chunks(self.limits.batch.max(1)).map(<[u64]>::to_vec).collect();
        let read = stream::iter(batches)
            .map(|batch| async move { self.batch(&batch).await })
            .buffer_unordered(self.limits.concurrency.max(1))
            .try_for_each(|()| std::future::ready(Ok(())));
        match read.await {
            Ok(()) => {}
            Err(Failure::Missing(number)) => return self.missing(range, number).await,
            Err(Failure::Error(cause)) if cause.is_unknown_method() => {
                return Ok(self.cannot_tell(range, &cause));
            }
            Err(Failure::Error(cause)) => return Err(cause),
        }
        let mut kept = lock(&self.kept);
        let blocks: Option<Vec<BlockStats>> =
            wanted.clone().map(|number| kept.get(&number).copied()).collect();
        kept.retain(|number, _| !wanted.contains(number));
        blocks.map(|blocks| BlocksRead { chain: self.chain, range, blocks }).ok_or_else(|| {
            // Another read of the same node made room for itself.
            self.untrue("two reads of the same node overlapped; ask again".to_owned())
        })
    }

    /// Chain id that the node answers for.
    ///
    /// # Errors
    /// When it cannot be asked, or answers with something else.
    pub async fn chain_id(&self) -> Result<u64, NodeError> {
        self.number("eth_chainId").await
    }

    /// The node's head.
    ///
    /// # Errors
    /// When it cannot be asked, or answers with something else.
    pub async fn head(&self) -> Result<L2Block, NodeError> {
        self.number("eth_blockNumber").await.map(L2Block)
    }

    /// The node's version, as it says it.
    ///
    /// # Errors
    /// When it cannot be asked, or answers with something else than a text.
    pub async fn version(&self) -> Result<String, NodeError> {
        let method = "web3_clientVersion";
        let value: Value = self.rpc.call(method, json!([])).await?;
        value.as_str().map(tame).ok_or_else(|| self.malformed(method, "not a text".to_owned()))
    }

    /// Hash of a block.
    ///
    /// # Errors
    /// When the node cannot be asked, has no such block, or answers for another one.
    pub async fn hash_of(&self, block: L2Block) -> Result<Hash32, NodeError> {
        let value: Value = self.rpc.call(BLOCK, params(block.0)).await?;
        match block_stats(&value, block.0) {
            Ok(Some(_)) => hash_of(&value, "hash").map_err(|problem| self.malformed(BLOCK, problem)),
            Ok(None) => Err(self.untrue(format!("there is no block {block}"))),
            Err(problem) => Err(self.malformed(BLOCK, problem)),
        }
    }

    /// Reads a batch into what is kept. A request that is too large is halved; an endpoint that does not speak batches
    /// is asked one by one. Either way one request at a time.
    async fn batch(&self, numbers: &[u64]) -> Result<(), Failure> {
        let mut rest: Vec<&[u64]> = vec![numbers];
        while let Some(numbers) = rest.pop() {
            let Ok(_permit) = self.permits.acquire().await else { return Ok(()) };
            self.may_ask()?;
            let found = match self.request(numbers).await {
                Err(Failure::Error(cause)) if cause.is_limit() => {
                    return Err(self.leave_alone(&cause).into());
                }
                Err(Failure::Error(cause)) if numbers.len() > 1 && cause.is_too_large() => {
                    let (low, high) = numbers.split_at(numbers.len() / 2);
                    rest.extend([high, low]);
                    continue;
                }
                Err(Failure::Error(NodeError::Rpc(
                    RpcError::Malformed { .. } | RpcError::Refused { .. },
                ))) if numbers.len() > 1 => {
                    rest.extend(numbers.chunks(1).rev());
                    continue;
                }
                other => other?,
            };
            lock(&self.pause).succeeded(Instant::now());
            lock(&self.kept).extend(found);
        }
        Ok(())
    }

    /// One request: a call for one block, a batch for several.
    async fn request(&self, numbers: &[u64]) -> Result<Vec<(u64, BlockStats)>, Failure> {
        let values: Vec<Result<Value, RpcError>> = match numbers {
            [number] => vec![self.rpc.call(BLOCK, params(*number)).await],
            _ => {
                let calls: Vec<(&str, Value)> =
                    numbers.iter().map(|number| (BLOCK, params(*number))).collect();
                self.rpc.batch(&calls).await.map_err(NodeError::from)?
            }
        };
        let mut found = Vec::with_capacity(numbers.len());
        for (number, value) in numbers.iter().zip(values) {
            let value = value.map_err(NodeError::from)?;
            let stats = block_stats(&value, *number).map_err(|problem| self.untrue(problem))?;
            found.push((*number, stats.ok_or(Failure::Missing(*number))?));
        }
        Ok(found)
    }

    /// A block that is not there yet is waited for; one that is there no more cannot be told.
    async fn missing(&self, range: Range, number: u64) -> Result<BlocksRead, NodeError> {
        let head = self.head().await?.0;
        let endpoint = self.shown();
        if head < number {
            return Err(NodeError::Behind { endpoint, block: number, head });
        }
        let cause = self.untrue(format!("block {number} is missing below the head {head}"));
        Ok(self.cannot_tell(range, &cause))
    }

    fn cannot_tell(&self, range: Range, cause: &NodeError) -> BlocksRead {
        tracing::warn!(chain = self.chain.0, %cause, "sizes of L2 blocks are unknown");
        lock(&self.kept).clear();
        BlocksRead { chain: self.chain, range, blocks: Vec::new() }
    }

    fn may_ask(&self) -> Result<(), NodeError> {
        let left = lock(&self.pause).until.map(|until| until.saturating_duration_since(Instant::now()));
        match left.filter(|left| !left.is_zero()) {
            Some(retry_in) => Err(NodeError::Limited { endpoint: self.shown(), retry_in }),
            None => Ok(()),
        }
    }

    fn leave_alone(&self, cause: &NodeError) -> NodeError {
        let now = Instant::now();
        let mut pause = lock(&self.pause);
        let doubled = self.limits.pause.saturating_mul(2_u32.saturating_pow(pause.times));
        let retry_in = doubled.min(self.limits.pause_max);
        // Of several requests under way only the first lengthens the pause.
        if !pause.lasts(now) {
            pause.until = now.checked_add(retry_in);
            pause.times = pause.times.saturating_add(1);
        }
        tracing::warn!(chain = self.chain.0, %cause, ?retry_in, "the execution node limits us");
        NodeError::Limited { endpoint: self.shown(), retry_in }
    }

    async fn number(&self, method: &'static str) -> Result<u64, NodeError> {
        let value: Value = self.rpc.call(method, json!([])).await?;
        quantity(Some(&value), "result").map_err(|problem| self.malformed(method, problem))
    }

    fn shown(&self) -> String {
        self.rpc.endpoint().to_string()
    }

    fn malformed(&self, method: &'static str, problem: String) -> NodeError {
        NodeError::Malformed { endpoint: self.shown(), method, problem }
    }

    fn untrue(&self, problem: String) -> NodeError {
        NodeError::Untrue { endpoint: self.shown(), method: BLOCK, problem }
    }
}

fn params(number: u64) -> Value {
    json!([format!("{number:#x}"), false])
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
