//! A load balancer before a chain, some of whose backends lag or are down.
//!
//! Each request goes to the next backend in turn. One that lags shows the real chain without its newest blocks: it knows
//! neither them nor what happened in them, refuses questions about them, and takes transactions all the same. Requests
//! are counted by backend, so that a test can see that the stale one was asked. What a crash in here means: a call
//! breaks off.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
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

/// What one backend shows of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// All of it.
    Fresh,
    /// All but so many of the newest blocks.
    Behind(u64),
    /// Nothing: a gateway's error.
    Down,
}

#[derive(Debug)]
struct Shared {
    chain: String,
    http: reqwest::Client,
    turn: AtomicUsize,
    backends: Mutex<Vec<(Backend, u64)>>,
}

/// A running load balancer. It ends when this is dropped.
#[derive(Debug)]
pub struct Balancer {
    shared: Arc<Shared>,
    url: String,
    task: JoinHandle<()>,
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Balancer {
    /// Begins to serve a chain through these backends, on a free port of this machine.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(chain: &Anvil, backends: &[Backend]) -> Result<Self, DevnetError> {
        let what = "a port for a load balancer";
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(DevnetError::io(what))?;
        let address = listener.local_addr().map_err(DevnetError::io(what))?;
        let shared = Arc::new(Shared {
            chain: chain.url().to_owned(),
            http: reqwest::Client::new(),
            turn: AtomicUsize::new(0),
            backends: Mutex::default(),
        });
        let limit = axum::extract::DefaultBodyLimit::max(BODY_MAX);
        let router = Router::new().route("/", post(serve)).layer(limit).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "a load balancer ended");
            }
        });
        let balancer = Self { shared, url: format!("http://{address}"), task };
        balancer.set(backends);
        Ok(balancer)
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Has other backends from now on, none of which was asked yet.
    pub fn set(&self, backends: &[Backend]) {
        *self.shared.backends() = backends.iter().map(|backend| (*backend, 0)).collect();
    }

    /// How many requests each backend got, in their order.
    #[must_use]
    pub fn asked(&self) -> Vec<u64> {
        self.shared.backends().iter().map(|(_, asked)| *asked).collect()
    }
}

async fn serve(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let answered = match shared.next() {
        Backend::Fresh => shared.forward(body).await,
        Backend::Behind(blocks) => shared.behind(blocks, &body).await,
        Backend::Down => return StatusCode::BAD_GATEWAY.into_response(),
    };
    match answered {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error).into_response(),
    }
}

impl Shared {
    fn backends(&self) -> MutexGuard<'_, Vec<(Backend, u64)>> {
        self.backends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The backend whose turn it is.
    fn next(&self) -> Backend {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut backends = self.backends();
        let count = backends.len().max(1);
        match backends.get_mut(turn % count) {
            Some((backend, asked)) => {
                *asked += 1;
                *backend
            }
            None => Backend::Down,
        }
    }

    async fn forward(&self, body: Bytes) -> Result<Value, String> {
        let request = self.http.post(&self.chain).header("content-type", "application/json").body(body);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        answer.json().await.map_err(|error| error.to_string())
    }

    /// One call of the whole chain.
    async fn ask(&self, method: &str, params: Value) -> Result<Value, String> {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let body = serde_json::to_vec(&call).map_err(|error| error.to_string())?;
        self.forward(body.into()).await
    }

    async fn behind(&self, blocks: u64, body: &[u8]) -> Result<Value, String> {
        let head = self.ask("eth_blockNumber", json!([])).await?;
        let head = head.get("result").and_then(number).ok_or("the chain has no head")?;
        let visible = head.saturating_sub(blocks);
        match serde_json::from_slice(body).map_err(|error| error.to_string())? {
            Value::Array(calls) => {
                let mut answers = Vec::with_capacity(calls.len());
                for call in calls {
                    answers.push(self.view(call, visible).await?);
                }
                Ok(Value::Array(answers))
            }
            call => self.view(call, visible).await,
        }
    }

    /// A call, answered as where the block `visible` is the newest.
    async fn view(&self, call: Value, visible: u64) -> Result<Value, String> {
        let id = call.get("id").cloned().unwrap_or_default();
        let method = call.get("method").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut params = call.get("params").cloned().unwrap_or_else(|| json!([]));
        let result = |result: Value| Ok(json!({ "jsonrpc": "2.0", "id": id, "result": result }));
        match method.as_str() {
            "eth_blockNumber" => return result(hex(visible)),
            "eth_getBlockByNumber" => {
                if self.cut(&mut params, 0, visible).await? {
                    return result(Value::Null);
                }
            }
            "eth_getLogs" => cut_logs(&mut params, visible),
            _ => {
                let place = match method.as_str() {
                    "eth_call"
                    | "eth_estimateGas"
                    | "eth_getBalance"
                    | "eth_getCode"
                    | "eth_getTransactionCount" => Some(1),
                    "eth_getStorageAt" => Some(2),
                    _ => None,
                };
                if let Some(place) = place
                    && self.cut(&mut params, place, visible).await?
                {
                    let error = json!({ "code": -32000, "message": "header not found" });
                    return Ok(json!({ "jsonrpc": "2.0", "id": id, "error": error }));
                }
            }
        }
        let mut answer = self.ask(&method, params).await?;
        let is_later = answer
            .pointer("/result/blockNumber")
            .and_then(number)
            .is_some_and(|block| block > visible && method.starts_with("eth_getTransaction"));
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("id".to_owned(), id);
            if is_later {
                answer.insert("result".to_owned(), Value::Null);
            }
        }
        Ok(answer)
    }

    /// Puts the newest visible block where a call names the newest one; whether it names a later one.
    async fn cut(&self, params: &mut Value, place: usize, visible: u64) -> Result<bool, String> {
        let Some(params) = params.as_array_mut() else { return Ok(false) };
        while params.len() <= place {
            params.push(json!("latest"));
        }
        let Some(block) = params.get_mut(place) else { return Ok(false) };
        if let Some(number) = number(block) {
            return Ok(number > visible);
        }
        if let Some(hash) = block.get("blockHash") {
            let found = self.ask("eth_getBlockByHash", json!([hash, false])).await?;
            return Ok(found.pointer("/result/number").and_then(number).is_some_and(|n| n > visible));
        }
        if matches!(block.as_str(), Some("latest" | "pending")) {
            *block = hex(visible);
        }
        Ok(false)
    }
}

fn cut_logs(params: &mut Value, visible: u64) {
    if let Some(filter) = params.get_mut(0).and_then(Value::as_object_mut) {
        let to = filter.get("toBlock").and_then(number).unwrap_or(visible);
        filter.insert("toBlock".to_owned(), hex(to.min(visible)));
    }
}

fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

fn hex(number: u64) -> Value {
    json!(format!("{number:#x}"))
}
