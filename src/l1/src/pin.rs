//! One block at which everything of one decision is read.
//!
//! Calls name the block by hash and ask that it be canonical (EIP-1898). An endpoint that knows numbers only is asked
//! by number, and the block's hash is looked at again afterwards. What does not fit is `Torn`: thrown away, never mixed.
//! A crash in here loses a read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prooflog_events::ids::{Address, Hash32, L1Number, L1Ref, Micros, Wei};
use prooflog_events::values::L1Head;
use serde_json::{Value, json};

use crate::error::{L1Error, RpcFault};
use crate::head::Header;
use crate::json::{ByNumber, block_param, hex_bytes, hex_number};
use crate::pool::Member;
use crate::rpc::{Answer, Request};

/// Times a request is sent before the pinned block counts as gone: behind a load balancer, the next backend may have it.
const TRIES: u32 = 4;
/// Hashes remembered of the pinned head's chain.
const KNOWN_MAX: usize = 4_096;

/// A head, the endpoint that reported it, and what is known of the chain below it.
#[derive(Debug)]
pub(crate) struct Pin {
    pub(crate) member: Arc<Member>,
    pub(crate) header: Header,
    tip: u128,
    known: Mutex<BTreeMap<L1Number, Hash32>>,
    born: Instant,
}

/// A question about the state at a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    Call { to: Address, data: Vec<u8> },
    CallFrom { from: Address, to: Address, data: Vec<u8>, value: Wei, gas: Option<u64> },
    EstimateGas { from: Address, to: Address, data: Vec<u8>, value: Wei },
    Storage { address: Address, slot: Hash32 },
    Code { address: Address },
    Balance { address: Address },
    Nonce { address: Address },
}

impl Ask {
    fn request(&self, block: &Value) -> Request {
        match self {
            Self::Call { to, data } => {
                Request::new("eth_call", json!([{ "to": to, "data": hex_bytes(data) }, block]))
            }
            Self::CallFrom { from, to, data, value, gas } => {
                let mut call = call_object(*from, *to, data, *value);
                if let (Some(gas), Some(fields)) = (gas, call.as_object_mut()) {
                    fields.insert("gas".to_owned(), hex_number(*gas));
                }
                Request::new("eth_call", json!([call, block]))
            }
            Self::EstimateGas { from, to, data, value } => {
                Request::new("eth_estimateGas", json!([call_object(*from, *to, data, *value), block]))
            }
            Self::Storage { address, slot } => {
                Request::new("eth_getStorageAt", json!([address, slot, block]))
            }
            Self::Code { address } => Request::new("eth_getCode", json!([address, block])),
            Self::Balance { address } => Request::new("eth_getBalance", json!([address, block])),
            Self::Nonce { address } => Request::new("eth_getTransactionCount", json!([address, block])),
        }
    }
}

pub(crate) fn call_object(from: Address, to: Address, data: &[u8], value: Wei) -> Value {
    json!({ "from": from, "to": to, "data": hex_bytes(data), "value": format!("{:#x}", value.0) })
}

impl Pin {
    /// A pin whose memory of the chain is that of `before`, where the new head provably stands on it.
    pub(crate) fn new(member: Arc<Member>, header: Header, tip: u128, before: Option<&Self>) -> Self {
        let mut known = match before {
            Some(before) if before.at().hash == header.block.hash || before.at().hash == header.parent => {
                before.with_known(|known| known.clone())
            }
            _ => BTreeMap::new(),
        };
        known.insert(header.block.number, header.block.hash);
        if let Some(parent) = header.block.number.0.checked_sub(1) {
            known.insert(L1Number(parent), header.parent);
        }
        while known.len() > KNOWN_MAX {
            known.pop_first();
        }
        Self { member, header, tip, known: Mutex::new(known), born: Instant::now() }
    }

    pub(crate) const fn at(&self) -> L1Ref {
        self.header.block
    }

    pub(crate) fn age(&self) -> Duration {
        self.born.elapsed()
    }

    pub(crate) fn head(&self) -> L1Head {
        L1Head {
            block: self.header.block,
            time: Micros(self.header.time.saturating_mul(1_000_000)),
            base_fee: Wei(self.header.base_fee),
            tip: Wei(self.tip),
        }
    }

    fn with_known<T>(&self, look: impl FnOnce(&mut BTreeMap<L1Number, Hash32>) -> T) -> T {
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The blocks of these numbers on the pinned head's chain; numbers above the head are left out.
    pub(crate) async fn canonical(&self, numbers: &[L1Number]) -> Result<Vec<L1Ref>, L1Error> {
        let wanted: Vec<L1Number> =
            numbers.iter().copied().filter(|number| *number <= self.at().number).collect();
        let unknown: Vec<L1Number> = self.with_known(|known| {
            let mut unknown: Vec<_> =
                wanted.iter().copied().filter(|number| !known.contains_key(number)).collect();
            unknown.sort_unstable();
            unknown.dedup();
            unknown
        });
        if !unknown.is_empty() {
            let requests: Vec<Request> = unknown.iter().map(|number| by_number(*number)).collect();
            let answers = self.unmoved(requests).await?;
            for (number, answer) in unknown.into_iter().zip(answers) {
                let header = Header::parse(&answer?).filter(|header| header.block.number == number);
                let Some(header) = header else {
                    return Err(L1Error::Torn(format!(
                        "block {number} is missing below block {}",
                        self.at()
                    )));
                };
                self.with_known(|known| known.insert(number, header.block.hash));
            }
        }
        let found = self.with_known(|known| {
            wanted
                .iter()
                .filter_map(|number| Some(L1Ref { number: *number, hash: *known.get(number)? }))
                .collect()
        });
        Ok(found)
    }

    /// The block `depth` below the head, the first one where the chain is shorter.
    pub(crate) async fn below(&self, depth: u64) -> Result<L1Ref, L1Error> {
        let number = L1Number(self.at().number.0.saturating_sub(depth));
        let found = self.canonical(&[number]).await?;
        found.first().copied().ok_or_else(|| L1Error::Torn(format!("block {number} is missing")))
    }

    /// Answers to questions that name no block by hash, each from a backend that had the pinned head as canonical.
    pub(crate) async fn unmoved(&self, requests: Vec<Request>) -> Result<Vec<Answer>, L1Error> {
        let mut answers = Vec::with_capacity(requests.len());
        for part in requests.chunks(self.member.rpc.batch_max().saturating_sub(1).max(1)) {
            answers.extend(self.unmoved_part(part).await?);
        }
        Ok(answers)
    }

    async fn unmoved_part(&self, requests: &[Request]) -> Result<Vec<Answer>, L1Error> {
        let mut requests = requests.to_vec();
        requests.push(by_number(self.at().number));
        for _ in 0..TRIES {
            let mut answers = self.member.rpc.batch(&requests).await?;
            let head = answers.pop().and_then(Result::ok).as_ref().and_then(Header::parse);
            if head.map(|header| header.block) == Some(self.at()) {
                return Ok(answers);
            }
        }
        Err(L1Error::Torn(format!("block {} is not canonical any more", self.at())))
    }

    /// Answers about the state at blocks of this chain. A refused question is an error in its place, unless it was
    /// refused because of the block.
    pub(crate) async fn ask(&self, questions: &[(L1Ref, Ask)]) -> Result<Vec<Answer>, L1Error> {
        let answers = self.ask_as(questions, self.member.by_number()).await?;
        let by_hash = self.member.by_number() == ByNumber::No;
        let refuses_hashes = |answer: &Answer| answer.as_ref().is_err_and(RpcFault::is_bad_params);
        if !by_hash || questions.is_empty() || !answers.iter().all(refuses_hashes) {
            return Ok(answers);
        }
        let answers = self.ask_as(questions, ByNumber::Yes).await?;
        if !answers.iter().all(refuses_hashes) {
            tracing::warn!(endpoint = self.member.rpc.label(), "the endpoint takes blocks by number only");
            self.member.set_by_number(ByNumber::Yes);
        }
        Ok(answers)
    }

    async fn ask_as(&self, questions: &[(L1Ref, Ask)], how: ByNumber) -> Result<Vec<Answer>, L1Error> {
        let requests: Vec<Request> =
            questions.iter().map(|(block, ask)| ask.request(&block_param(*block, &how))).collect();
        let mut tried = 0;
        loop {
            tried += 1;
            let answers = self.member.rpc.batch(&requests).await?;
            let unknown = answers
                .iter()
                .filter_map(|answer| answer.as_ref().err())
                .find(|fault| fault.is_unknown_block());
            match unknown {
                Some(fault) if tried >= TRIES => return Err(L1Error::Torn(fault.to_string())),
                Some(_) => {}
                None => {
                    if how == ByNumber::Yes {
                        self.recheck(questions).await?;
                    }
                    return Ok(answers);
                }
            }
        }
    }

    /// That every block asked by number still has the hash it was asked under.
    async fn recheck(&self, questions: &[(L1Ref, Ask)]) -> Result<(), L1Error> {
        let mut blocks: Vec<L1Ref> = questions.iter().map(|(block, _)| *block).collect();
        blocks.sort_unstable();
        blocks.dedup();
        let requests = blocks.iter().map(|block| by_number(block.number)).collect();
        for (block, answer) in blocks.into_iter().zip(self.unmoved(requests).await?) {
            if Header::parse(&answer?).map(|header| header.block) != Some(block) {
                return Err(L1Error::Torn(format!("block {block} changed while it was read")));
            }
        }
        Ok(())
    }
}

fn by_number(number: L1Number) -> Request {
    Request::new("eth_getBlockByNumber", json!([hex_number(number.0), false]))
}
