//! Follows the two chains: reads every new block once, and goes back where a chain was reorganised.
//!
//! The withdrawals contract's storage root is read while the chain still has the state; most blocks need no read of
//! their own, because a root that is the same at both ends of a batch is the same within. What a crash in here means:
//! nothing is lost that the chains do not still hold.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use prooflog_events::ids::Hash32;
use prooflog_net::RpcClient;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::ServeError;
use crate::records::{Header, L2Record, Records, hash};

/// The contract that keeps withdrawals on every OP Stack chain.
pub(crate) const MESSAGE_PASSER: &str = "0x4200000000000000000000000000000000000016";

/// Blocks in one request.
const BATCH: u64 = 100;

/// Heads of both chains as far as they were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Heads {
    pub(crate) l1: u64,
    pub(crate) l2: u64,
}

/// Both chains and what was read of them.
#[derive(Debug)]
pub(crate) struct Follower {
    l1: RpcClient,
    l2: RpcClient,
    records: RwLock<Records>,
    heads: watch::Sender<Heads>,
}

#[derive(Clone, Copy)]
enum Layer {
    L1,
    L2,
}

impl Follower {
    pub(crate) fn new(l1: RpcClient, l2: RpcClient) -> Self {
        Self { l1, l2, records: RwLock::default(), heads: watch::Sender::default() }
    }

    pub(crate) fn records(&self) -> RwLockReadGuard<'_, Records> {
        self.records.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn heads(&self) -> watch::Receiver<Heads> {
        self.heads.subscribe()
    }

    /// Chain id of the L1.
    pub(crate) async fn l1_chain_id(&self) -> Result<u64, ServeError> {
        let id: String = self.l1.call("eth_chainId", json!([])).await?;
        let digits = id.strip_prefix("0x").unwrap_or_default();
        u64::from_str_radix(digits, 16).map_err(|_| ServeError::Answer("the L1 has no chain id".to_owned()))
    }

    /// Reads what is new on both chains.
    pub(crate) async fn poll(&self) -> Result<(), ServeError> {
        self.follow(Layer::L1).await?;
        self.follow(Layer::L2).await
    }

    /// The withdrawals contract's storage root at a block: as read before, or read now.
    pub(crate) async fn withdrawals(&self, number: u64) -> Result<Hash32, ServeError> {
        let known = self.records().withdrawals(number);
        match known {
            Some(root) => Ok(root),
            None => self.proofs(number, number).await?.into_iter().next().flatten().ok_or_else(|| {
                ServeError::Answer(format!("the chain has dropped the state of block {number}"))
            }),
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, Records> {
        self.records.write().unwrap_or_else(PoisonError::into_inner)
    }

    const fn client(&self, layer: Layer) -> &RpcClient {
        match layer {
            Layer::L1 => &self.l1,
            Layer::L2 => &self.l2,
        }
    }

    fn top(&self, layer: Layer) -> Option<Header> {
        let records = self.records();
        match layer {
            Layer::L1 => records.l1.last().copied(),
            Layer::L2 => records.l2.last().map(|block| block.header),
        }
    }

    async fn follow(&self, layer: Layer) -> Result<(), ServeError> {
        let head = self.block(layer, json!("latest")).await?;
        self.go_back(layer, &head).await?;
        let mut from = self.top(layer).map_or(0, |top| top.number + 1);
        while from <= head.number {
            let to = head.number.min(from + BATCH - 1);
            let headers = self.headers(layer, from, to).await?;
            let top = self.top(layer);
            let chained = headers.iter().try_fold(top, |before, block| {
                before.is_none_or(|before| before.hash == block.parent).then_some(Some(*block))
            });
            if chained.is_none() {
                // Reorganised while it was read: the next look begins lower.
                return Ok(());
            }
            self.extend(layer, headers).await?;
            from = to + 1;
        }
        Ok(())
    }

    /// Forgets blocks that the chain no longer has.
    async fn go_back(&self, layer: Layer, head: &Header) -> Result<(), ServeError> {
        while let Some(top) = self.top(layer) {
            let now = if top.number > head.number {
                None
            } else if top.number == head.number {
                Some(*head)
            } else {
                Some(self.block(layer, json!(format!("{:#x}", top.number))).await?)
            };
            if now.is_some_and(|now| now.hash == top.hash) {
                break;
            }
            let mut records = self.write();
            match layer {
                Layer::L1 => drop(records.l1.pop()),
                Layer::L2 => drop(records.l2.pop()),
            }
            drop(records);
            self.publish();
        }
        Ok(())
    }

    async fn extend(&self, layer: Layer, headers: Vec<Header>) -> Result<(), ServeError> {
        match layer {
            Layer::L1 => self.write().l1.extend(headers),
            Layer::L2 => {
                let roots = self.roots(&headers).await?;
                let blocks = headers.into_iter().zip(roots);
                let blocks = blocks.map(|(header, withdrawals)| L2Record { header, withdrawals });
                self.write().l2.extend(blocks);
            }
        }
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        let number = |layer| self.top(layer).map_or(0, |top| top.number);
        self.heads.send_replace(Heads { l1: number(Layer::L1), l2: number(Layer::L2) });
    }

    /// Storage roots of consecutive blocks: one read where nothing changed, else one each.
    async fn roots(&self, headers: &[Header]) -> Result<Vec<Option<Hash32>>, ServeError> {
        let (Some(first), Some(last)) = (headers.first(), headers.last()) else { return Ok(Vec::new()) };
        let before = first.number.checked_sub(1).and_then(|number| self.records().withdrawals(number));
        let at_end = self.proofs(last.number, last.number).await?.into_iter().next().flatten();
        if headers.len() == 1 || (before.is_some() && before == at_end) {
            return Ok(vec![at_end; headers.len()]);
        }
        self.proofs(first.number, last.number).await
    }

    /// Storage roots of the blocks `from` to `to`; `None` where the chain has dropped the state.
    async fn proofs(&self, from: u64, to: u64) -> Result<Vec<Option<Hash32>>, ServeError> {
        let calls: Vec<(&str, Value)> = (from..=to)
            .map(|number| ("eth_getProof", json!([MESSAGE_PASSER, [], format!("{number:#x}")])))
            .collect();
        let answers = self.l2.batch::<Value>(&calls).await?;
        Ok(answers.into_iter().map(|answer| hash(&answer.ok()?, "storageHash").ok()).collect())
    }

    async fn headers(&self, layer: Layer, from: u64, to: u64) -> Result<Vec<Header>, ServeError> {
        let calls: Vec<(&str, Value)> = (from..=to)
            .map(|number| ("eth_getBlockByNumber", json!([format!("{number:#x}"), false])))
            .collect();
        let answers = self.client(layer).batch::<Value>(&calls).await?;
        answers.into_iter().map(|answer| Header::parse(&answer?).map_err(ServeError::Answer)).collect()
    }

    async fn block(&self, layer: Layer, which: Value) -> Result<Header, ServeError> {
        let answer: Value = self.client(layer).call("eth_getBlockByNumber", json!([which, false])).await?;
        Header::parse(&answer).map_err(ServeError::Answer)
    }
}
