//! The HTTP side: JSON-RPC per rollup, and the script.
//!
//! `POST /` and `POST /chain/<id>` take calls, `POST /devnet/script` takes a step, `GET /devnet/script` shows all scripts.
//! What a crash in here means: a call breaks off; the next one is served.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use prooflog_net::{Endpoint, Limits, RpcClient, Salt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::answers::{Refusal, l2_ref, output, refused, rollup_config, safe_head, sync_status};
use crate::follow::Follower;
use crate::script::{Lie, Script, ScriptError, Step};
use crate::{NodeConfig, ServeError};

/// Most calls in one batch.
const CALLS_MAX: usize = 1_000;

#[derive(Debug)]
struct Node {
    config: NodeConfig,
    l1_chain_id: u64,
    follower: Follower,
    scripts: Mutex<BTreeMap<u64, Script>>,
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct NodeHandle {
    node: Arc<Node>,
    address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

pub(crate) async fn start(listener: TcpListener, config: NodeConfig) -> Result<NodeHandle, ServeError> {
    if config.chains.is_empty() {
        return Err(ServeError::NoChain);
    }
    let limits = Limits { body: 64 << 20, call: Duration::from_secs(60), ..Limits::default() };
    let client = |url: &str| -> Result<RpcClient, ServeError> {
        Ok(RpcClient::new(Endpoint::parse(url, Salt::default())?, limits)?)
    };
    let follower = Follower::new(client(&config.l1)?, client(&config.l2)?);
    let l1_chain_id = follower.l1_chain_id().await?;
    follower.poll().await?;
    let scripts = config.chains.iter().map(|chain| (*chain, Script::new(config.finalized_lag))).collect();
    let node = Arc::new(Node { config, l1_chain_id, follower, scripts: Mutex::new(scripts) });
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/", post(first_chain))
        .route("/chain/{id}", post(one_chain))
        .route("/devnet/script", post(take_step).get(show_scripts))
        .with_state(Arc::clone(&node));
    let serving = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the rollup node's server ended");
        }
    });
    let following = tokio::spawn(keep_following(Arc::clone(&node)));
    Ok(NodeHandle { node, address, tasks: vec![serving, following] })
}

async fn keep_following(node: Arc<Node>) {
    let mut ticks = tokio::time::interval(node.config.poll.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = node.follower.poll().await {
            tracing::warn!(%error, "the chains could not be followed");
        }
    }
}

impl NodeHandle {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// URL of a rollup's node.
    #[must_use]
    pub fn url(&self, chain: u64) -> String {
        format!("http://{}/chain/{chain}", self.address)
    }

    /// Takes a step of the script, of one chain or of all.
    ///
    /// # Errors
    /// When the chain is not presented here, or the step cannot be taken.
    pub fn script(&self, chain: Option<u64>, step: &Step) -> Result<(), ScriptError> {
        self.node.script(chain, step)
    }

    /// Waits until the L2's block `number` was read. Waits for ever if the chain never gets there.
    pub async fn followed(&self, number: u64) {
        // An error means that the server is gone, and with it the wait.
        let _ = self.node.follower.heads().wait_for(|heads| heads.l2 >= number).await;
    }

    /// Heads of L1 and L2 as far as they were read.
    #[must_use]
    pub fn heads(&self) -> (u64, u64) {
        let heads = *self.node.follower.heads().borrow();
        (heads.l1, heads.l2)
    }
}

impl Drop for NodeHandle {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

#[derive(Deserialize)]
struct Scripted {
    #[serde(default)]
    chain: Option<u64>,
    #[serde(flatten)]
    step: Step,
}

type Shared = State<Arc<Node>>;

async fn first_chain(State(node): Shared, body: Json<Value>) -> Response {
    match node.config.chains.first() {
        Some(chain) => node.answer(*chain, &body.0).await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn one_chain(State(node): Shared, Path(chain): Path<u64>, body: Json<Value>) -> Response {
    node.answer(chain, &body.0).await
}

async fn take_step(State(node): Shared, body: Json<Scripted>) -> Response {
    match node.script(body.chain, &body.step) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

async fn show_scripts(State(node): Shared) -> Response {
    let heads = *node.follower.heads().borrow();
    let scripts = node.scripts().clone();
    Json(json!({ "l1_head": heads.l1, "l2_head": heads.l2, "chains": scripts })).into_response()
}

impl Node {
    fn scripts(&self) -> MutexGuard<'_, BTreeMap<u64, Script>> {
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn script(&self, chain: Option<u64>, step: &Step) -> Result<(), ScriptError> {
        let head = self.follower.records().l2.last().map_or(0, |block| block.header.number);
        let mut scripts = self.scripts();
        match chain {
            Some(chain) => scripts.get_mut(&chain).ok_or(ScriptError::Chain(chain))?.apply(step, head),
            None => scripts.values_mut().try_for_each(|script| script.apply(step, head)),
        }
    }

    async fn answer(&self, chain: u64, body: &Value) -> Response {
        let Some(script) = self.scripts().get(&chain).cloned() else {
            return (StatusCode::NOT_FOUND, "no such chain").into_response();
        };
        if let Some(status) = script.down.and_then(|status| StatusCode::from_u16(status).ok()) {
            return (status, "scripted to be down").into_response();
        }
        let Value::Array(calls) = body else {
            return Json(self.call(chain, &script, body).await).into_response();
        };
        if calls.len() > CALLS_MAX {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        }
        let mut answers = Vec::with_capacity(calls.len());
        for call in calls {
            answers.push(self.call(chain, &script, call).await);
        }
        Json(answers).into_response()
    }

    async fn call(&self, chain: u64, script: &Script, call: &Value) -> Value {
        let id = call.get("id").cloned().unwrap_or_default();
        let method = call.get("method").and_then(Value::as_str).unwrap_or_default();
        let param = call.get("params").and_then(|params| params.get(0));
        let answer = match method {
            "optimism_syncStatus" => {
                sync_status(&self.follower.records(), script, &self.config).ok_or_else(empty)
            }
            "optimism_outputAtBlock" => self.output(script, param).await,
            "optimism_rollupConfig" => {
                let ids = (self.l1_chain_id, chain);
                rollup_config(&self.follower.records(), script, &self.config, ids).ok_or_else(empty)
            }
            "optimism_safeHeadAtL1Block" => {
                number(param).and_then(|number| safe_head(&self.follower.records(), script, number))
            }
            "optimism_version" => Ok(json!(concat!("prooflog-devnet-node/", env!("CARGO_PKG_VERSION")))),
            _ => Err((-32_601, format!("the method {method} does not exist/is not available"))),
        };
        match answer {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err((code, message)) => {
                json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
            }
        }
    }

    async fn output(&self, script: &Script, param: Option<&Value>) -> Result<Value, Refusal> {
        let asked = number(param)?;
        let lie = script.lie(asked);
        let number = if lie == Some(Lie::OtherBlock) { asked.saturating_sub(1) } else { asked };
        let missing =
            || refused(format!("failed to get L2 block ref with sync status: block {number} not found"));
        let block = self.follower.records().l2_at(number).map(|block| block.header).ok_or_else(missing)?;
        let withdrawals =
            self.follower.withdrawals(number).await.map_err(|error| refused(error.to_string()))?;
        let mut answer = output(&block, withdrawals, lie);
        let records = self.follower.records();
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("blockRef".to_owned(), l2_ref(&records, &block));
            let status = sync_status(&records, script, &self.config).ok_or_else(empty)?;
            answer.insert("syncStatus".to_owned(), status);
        }
        Ok(answer)
    }
}

fn empty() -> Refusal {
    refused("no block was read yet")
}

fn number(param: Option<&Value>) -> Result<u64, Refusal> {
    let digits = param.and_then(Value::as_str).and_then(|text| text.strip_prefix("0x"));
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| (-32_602, "the first parameter must be a 0x-hex block number".to_owned()))
}
