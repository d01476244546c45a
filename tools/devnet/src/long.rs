//! An L2 that becomes longer by thousands of blocks at once.
//!
//! `anvil` takes more time for a block the longer its chain is, so twenty thousand of them take it many minutes. This
//! server stands before it: up to some block everything is `anvil`'s; what [`LongChain::jump`] adds above is made here,
//! block by block, of nothing but headers. An empty block changes no state, so the state root of each is that of the block
//! below, a proof of its state is a proof at the last block that `anvil` made, and its hash is that of its header: whoever
//! checks one against the other finds them in agreement. What a crash in here means: a call breaks off.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy::consensus::Header;
use alloy::consensus::constants::EMPTY_ROOT_HASH;
use alloy::eips::eip1559::BaseFeeParams;
use alloy::primitives::{B256, Bloom};
use alloy::rpc::types::{Block, Header as Told};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{Anvil, DevnetError};

/// Most bytes of a request.
const BODY_MAX: usize = 32 << 20;

/// What somebody asked of the chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// Calls, each of a batch for itself.
    pub calls: u64,
    /// Calls in the largest request.
    pub largest: u64,
    /// The highest block whose contents were asked for.
    pub highest: u64,
}

/// The blocks that are not the chain's own; `base` is the last one that is.
#[derive(Debug)]
struct Above {
    base: u64,
    headers: Vec<(B256, Header)>,
}

#[derive(Debug)]
struct Shared {
    chain: String,
    block_time: u64,
    http: reqwest::Client,
    above: Mutex<Option<Above>>,
    asked: Mutex<BTreeMap<String, Asked>>,
}

/// A running server of the longer chain. It ends when this is dropped.
#[derive(Debug)]
pub struct LongChain {
    shared: Arc<Shared>,
    url: String,
    task: JoinHandle<()>,
}

impl Drop for LongChain {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl LongChain {
    /// Begins to serve a chain, unchanged, on a free port of this machine.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(chain: &Anvil, block_time: u64) -> Result<Self, DevnetError> {
        let what = "a port for the longer chain";
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(DevnetError::io(what))?;
        let address = listener.local_addr().map_err(DevnetError::io(what))?;
        let shared = Arc::new(Shared {
            chain: chain.url().to_owned(),
            block_time: block_time.max(1),
            http: reqwest::Client::new(),
            above: Mutex::default(),
            asked: Mutex::default(),
        });
        let limit = axum::extract::DefaultBodyLimit::max(BODY_MAX);
        let router = Router::new().route("/{who}", post(serve)).layer(limit).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the server of the longer chain ended");
            }
        });
        Ok(Self { shared, url: format!("http://{address}"), task })
    }

    /// Where it answers; what is asked is counted by who asks.
    #[must_use]
    pub fn url(&self, who: &str) -> String {
        format!("{}/{who}", self.url)
    }

    /// What somebody asked so far.
    #[must_use]
    pub fn asked(&self, who: &str) -> Asked {
        self.shared.asked().get(who).copied().unwrap_or_default()
    }

    /// Adds so many empty blocks at once; its new head. From the first time on, the chain's own new blocks are not shown.
    ///
    /// # Errors
    /// When the chain does not answer, or its newest block is not what it says.
    pub async fn jump(&self, blocks: u64) -> Result<u64, DevnetError> {
        let known = self.shared.above().as_ref().and_then(|above| above.headers.last().cloned());
        let (mut hash, mut top) = match known {
            Some(known) => known,
            None => self.newest().await?,
        };
        let base = top.number;
        let mut added = Vec::new();
        for _ in 0..blocks {
            top = self.shared.after(hash, &top);
            hash = top.hash_slow();
            added.push((hash, top.clone()));
        }
        let mut above = self.shared.above();
        above.get_or_insert_with(|| Above { base, headers: Vec::new() }).headers.extend(added);
        Ok(top.number)
    }

    /// The chain's own newest block.
    async fn newest(&self) -> Result<(B256, Header), DevnetError> {
        let wrong = |problem: String| DevnetError::Chain(format!("the L2's newest block: {problem}"));
        let mut answer =
            self.shared.ask("eth_getBlockByNumber", json!(["latest", false])).await.map_err(wrong)?;
        let block = answer.get_mut("result").map(Value::take).unwrap_or_default();
        let block: Block = serde_json::from_value(block).map_err(|error| wrong(error.to_string()))?;
        let (said, header) = (block.header.hash, block.header.inner);
        if header.hash_slow() != said {
            return Err(wrong(format!("its header does not make its hash {said}")));
        }
        Ok((said, header))
    }
}

async fn serve(State(shared): State<Arc<Shared>>, Path(who): Path<String>, body: Bytes) -> Response {
    match shared.answer(&who, &body).await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error).into_response(),
    }
}

impl Shared {
    fn above(&self) -> MutexGuard<'_, Option<Above>> {
        self.above.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, BTreeMap<String, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty block above another one.
    fn after(&self, hash: B256, below: &Header) -> Header {
        Header {
            parent_hash: hash,
            number: below.number + 1,
            timestamp: below.timestamp + self.block_time,
            base_fee_per_gas: below.next_block_base_fee(BaseFeeParams::ethereum()),
            gas_used: 0,
            transactions_root: EMPTY_ROOT_HASH,
            receipts_root: EMPTY_ROOT_HASH,
            logs_bloom: Bloom::ZERO,
            ..below.clone()
        }
    }

    async fn ask(&self, method: &str, params: Value) -> Result<Value, String> {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = self.http.post(&self.chain).json(&call);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        answer.json().await.map_err(|error| error.to_string())
    }

    async fn answer(&self, who: &str, body: &[u8]) -> Result<Value, String> {
        match serde_json::from_slice(body).map_err(|error| error.to_string())? {
            Value::Array(calls) => {
                self.count(who, &calls);
                let mut answers = Vec::with_capacity(calls.len());
                for call in calls {
                    answers.push(self.one(call).await?);
                }
                Ok(Value::Array(answers))
            }
            call => {
                self.count(who, std::slice::from_ref(&call));
                self.one(call).await
            }
        }
    }

    fn count(&self, who: &str, calls: &[Value]) {
        let block = |call: &Value| call.pointer("/params/0").and_then(number);
        let highest = calls.iter().filter_map(block).max().unwrap_or(0);
        let mut asked = self.asked();
        let asked = asked.entry(who.to_owned()).or_default();
        asked.calls += calls.len() as u64;
        asked.largest = asked.largest.max(calls.len() as u64);
        asked.highest = asked.highest.max(highest);
    }

    async fn one(&self, call: Value) -> Result<Value, String> {
        let id = call.get("id").cloned().unwrap_or_default();
        let method = call.get("method").and_then(Value::as_str).unwrap_or_default();
        let mut params = call.get("params").cloned().unwrap_or_else(|| json!([]));
        let here = self.above().as_ref().and_then(|above| above.answer(method, &mut params));
        let mut answer = match here {
            Some(result) => json!({ "jsonrpc": "2.0", "result": result }),
            None => self.ask(method, params).await?,
        };
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("id".to_owned(), id);
        }
        Ok(answer)
    }
}

impl Above {
    fn head(&self) -> u64 {
        self.base + self.headers.len() as u64
    }

    /// The answer to a call that is about these blocks; of a call about their state only the block is changed.
    fn answer(&self, method: &str, params: &mut Value) -> Option<Value> {
        let place = match method {
            "eth_blockNumber" => return Some(hex(self.head())),
            "eth_getBlockByHash" => {
                let hash: B256 = params.get(0)?.as_str()?.parse().ok()?;
                let (hash, header) = self.headers.iter().find(|(known, _)| *known == hash)?;
                return Some(shown(*hash, header));
            }
            "eth_getBlockByNumber" => {
                let number = self.block(params.get(0)?);
                let index = number.checked_sub(self.base.checked_add(1)?)?;
                let found = self.headers.get(usize::try_from(index).ok()?);
                return Some(found.map_or(Value::Null, |(hash, header)| shown(*hash, header)));
            }
            "eth_call" | "eth_getBalance" | "eth_getCode" | "eth_getTransactionCount" => 1,
            "eth_getProof" | "eth_getStorageAt" => 2,
            _ => return None,
        };
        let params = params.as_array_mut()?;
        params.resize(params.len().max(place + 1), json!("latest"));
        let block = params.get_mut(place)?;
        *block = hex(self.block(block).min(self.base));
        None
    }

    /// The number of a block that a call names.
    fn block(&self, named: &Value) -> u64 {
        if named == "earliest" { 0 } else { number(named).unwrap_or_else(|| self.head()) }
    }
}

/// A block as `eth_getBlockByNumber` shows it.
fn shown(hash: B256, header: &Header) -> Value {
    let header = Told { hash, inner: header.clone(), total_difficulty: None, size: None };
    json!(Block::<B256>::empty(header))
}

fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

fn hex(number: u64) -> Value {
    json!(format!("{number:#x}"))
}
