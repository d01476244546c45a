//! The routes.
//!
//! They answer as the old server does, errors as plain text with status 500 included, and know a few more fields.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::chain::{Chain, L1Block};
use crate::jobs::{Fate, Job, Jobs, Stats, Work};
use crate::proof::{Claim, SpanProof};
use crate::script::Script;
use crate::{Config, ServeError};

/// Bytes of a request: 64 members of 20 MB, as base64.
const BODY_MAX: usize = 2 << 30;

struct Server {
    chains: HashMap<u64, Chain>,
    script: Mutex<Script>,
    jobs: Mutex<Jobs>,
}

type Shared = State<Arc<Server>>;

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct Handle {
    server: Arc<Server>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("chains", &self.chains.len()).finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Handle {
    /// Where it proves a rollup.
    #[must_use]
    pub fn url(&self, chain: u64) -> String {
        format!("http://{}/chain/{chain}", self.address)
    }

    /// Changes what it does.
    pub fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.server.script());
    }

    /// What it was asked and paid for.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.server.jobs().stats()
    }
}

impl Server {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until the handle is dropped.
///
/// # Errors
/// When a URL or the listener cannot be used.
pub async fn serve(listener: TcpListener, config: Config) -> Result<Handle, ServeError> {
    let chains = config.chains.into_iter().map(|chain| Ok((chain.chain, Chain::new(chain)?)));
    let chains = chains.collect::<Result<_, ServeError>>()?;
    let server =
        Arc::new(Server { chains, script: Mutex::new(config.script), jobs: Mutex::new(Jobs::default()) });
    let address = listener.local_addr()?;
    let routes = Router::new()
        .route("/chain/{chain}/request_span_proof", post(span))
        .route("/chain/{chain}/request_mock_span_proof", post(mock_span))
        .route("/chain/{chain}/request_agg_proof", post(aggregate))
        .route("/chain/{chain}/request_mock_agg_proof", post(mock_aggregate))
        .route("/chain/{chain}/status/{id}", get(status))
        .route("/chain/{chain}/validate_config", post(validate))
        .route("/devnet/script", post(set_script).get(get_script))
        .route("/devnet/stats", get(stats))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(Arc::clone(&server));
    let task = tokio::spawn(async move {
        // It ends with the task.
        let _ = axum::serve(listener, routes).await;
    });
    Ok(Handle { server, address, task })
}

/// The old server's errors: 500 with plain text.
struct Words(String);

impl IntoResponse for Words {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0).into_response()
    }
}

impl From<String> for Words {
    fn from(words: String) -> Self {
        Self(words)
    }
}

#[derive(Deserialize)]
struct SpanRequest {
    start: u64,
    end: u64,
}

#[derive(Deserialize)]
struct AggRequest {
    subproofs: Vec<String>,
    head: B256,
    #[serde(default)]
    prover_address: Option<Address>,
}

fn of(server: &Server, chain: u64) -> Result<Chain, Words> {
    server.chains.get(&chain).cloned().ok_or_else(|| Words(format!("chain {chain} is not proven here")))
}

fn key(headers: &HeaderMap, server: &Server) -> Option<String> {
    let honours = server.script().honours_keys;
    headers.get("idempotency-key").filter(|_| honours)?.to_str().ok().map(str::to_owned)
}

/// Makes the witness: takes its time, and fails as the script says.
async fn witness(server: &Server, work: Work) -> Result<Script, Words> {
    let script = server.script().clone();
    let (fails, hangs) = {
        let mut jobs = server.jobs();
        jobs.stats.requests += 1;
        jobs.open += 1;
        jobs.stats.most_at_once = jobs.stats.most_at_once.max(jobs.open);
        (jobs.once("fail", &script.fail_once, &work), jobs.once("hang", &script.hang_once, &work))
    };
    if hangs {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(Duration::from_millis(script.witness_ms)).await;
    server.jobs().open -= 1;
    if script.out_of_order {
        return Err(Words("the prover network does not answer".to_owned()));
    }
    if fails {
        return Err(Words(format!("witness of ({}, {}] could not be made: scripted", work.start, work.end)));
    }
    Ok(script)
}

async fn span_proof(chain: &Chain, work: Work, script: &Script) -> Result<(Vec<u8>, L1Block), Words> {
    let l1 = chain.l1_head().await?;
    let proof = SpanProof {
        start: work.start,
        end: work.end,
        pre_root: chain.root(work.start).await?,
        post_root: chain.root(work.end).await?,
        l1_number: l1.number,
        l1_hash: l1.hash,
        rollup_config: chain.config.rollup_config.into(),
        range_vkey: chain.config.range_vkey.into(),
    };
    Ok((proof.encode(script.proof_bytes), l1))
}

async fn span(
    State(server): Shared,
    Path(id): Path<u64>,
    headers: HeaderMap,
    Json(request): Json<SpanRequest>,
) -> Result<Json<Value>, Words> {
    let chain = of(&server, id)?;
    let key = key(&headers, &server);
    if let Some(known) = key.as_ref().and_then(|key| server.jobs().known(key)) {
        return Ok(Json(json!({ "proof_id": known.0.to_vec() })));
    }
    let work = Work { chain: id, aggregate: false, start: request.start, end: request.end };
    let script = witness(&server, work).await?;
    let (proof, l1) = span_proof(&chain, work, &script).await?;
    let heavy = work.touches(&script.heavy).is_some() && work.end - work.start > script.executable_blocks;
    let mut jobs = server.jobs();
    let fate = if heavy {
        Fate::Unexecutable
    } else if jobs.once("forget", &script.forget_once, &work) {
        Fate::Forgotten
    } else if jobs.once("empty", &script.empty_once, &work) {
        Fate::NoBytes
    } else {
        Fate::Proof
    };
    let ready = jobs.ready(&script);
    let l1_head = script.tells.then_some(l1);
    let taken = jobs.take(Job { work, ready, fate, proof, l1_head }, key);
    Ok(Json(requested(taken, l1_head)))
}

fn requested(id: B256, l1_head: Option<L1Block>) -> Value {
    let mut answer = json!({ "proof_id": id.0.to_vec() });
    if let (Some(l1), Some(fields)) = (l1_head, answer.as_object_mut()) {
        fields.insert("l1_head".to_owned(), json!({ "number": l1.number, "hash": l1.hash }));
    }
    answer
}

async fn mock_span(
    State(server): Shared,
    Path(id): Path<u64>,
    Json(request): Json<SpanRequest>,
) -> Result<Json<Value>, Words> {
    let chain = of(&server, id)?;
    let work = Work { chain: id, aggregate: false, start: request.start, end: request.end };
    let script = witness(&server, work).await?;
    let (proof, l1) = span_proof(&chain, work, &script).await?;
    server.jobs().pay(work);
    Ok(Json(fulfilled(&proof, script.tells.then_some(l1), &work)))
}

fn fulfilled(proof: &[u8], l1_head: Option<L1Block>, work: &Work) -> Value {
    let blocks = work.end.saturating_sub(work.start);
    let mut answer = json!({ "fulfillment_status": 3, "execution_status": 2, "proof": proof });
    if let (Some(l1), Some(fields)) = (l1_head, answer.as_object_mut()) {
        fields.insert("l1_head".to_owned(), json!({ "number": l1.number, "hash": l1.hash }));
        fields.insert("cycles".to_owned(), json!(blocks * 5_000_000));
        fields.insert("cost".to_owned(), json!((u128::from(blocks) * 10_000_000_000_000_000).to_string()));
    }
    answer
}

/// What an aggregate of these members under this checkpoint claims; an error where the program would fail.
async fn claim(chain: &Chain, request: &AggRequest) -> Result<(Claim, Work), Words> {
    let words = |text: &str| Words(text.to_owned());
    let mut members = Vec::new();
    for member in &request.subproofs {
        let bytes = STANDARD.decode(member).map_err(|_| words("a member is no base64"))?;
        members.push(SpanProof::decode(&bytes).ok_or_else(|| words("a member is no proof"))?);
    }
    let head = chain.l1_block("eth_getBlockByHash", json!(request.head)).await?;
    for pair in members.windows(2) {
        if let [one, next] = pair
            && (one.end != next.start || one.post_root != next.pre_root)
        {
            return Err(words("the members do not chain"));
        }
    }
    for member in &members {
        let canonical =
            chain.l1_block("eth_getBlockByNumber", json!(format!("{:#x}", member.l1_number))).await?;
        if member.l1_number > head.number || canonical.hash != member.l1_hash {
            return Err(words("a member's L1 head is not on the chain that ends at the checkpoint"));
        }
    }
    let (Some(first), Some(last)) = (members.first(), members.last()) else {
        return Err(words("no members"));
    };
    let prover = match (chain.config.generation, request.prover_address) {
        (1, _) => None,
        (_, Some(prover)) => Some(prover),
        (_, None) => return Err(words("this generation needs a prover address")),
    };
    let claim = Claim {
        l1_head: request.head,
        pre_root: first.pre_root,
        root: last.post_root,
        block: last.end,
        rollup_config: last.rollup_config,
        range_vkey: last.range_vkey,
        prover,
    };
    Ok((claim, Work { chain: chain.config.chain, aggregate: true, start: first.start, end: last.end }))
}

async fn aggregate(
    State(server): Shared,
    Path(id): Path<u64>,
    headers: HeaderMap,
    Json(request): Json<AggRequest>,
) -> Result<Json<Value>, Words> {
    let chain = of(&server, id)?;
    let key = key(&headers, &server);
    if let Some(known) = key.as_ref().and_then(|key| server.jobs().known(key)) {
        return Ok(Json(json!({ "proof_id": known.0.to_vec() })));
    }
    let (claim, work) = claim(&chain, &request).await?;
    let script = witness(&server, work).await?;
    let (proof, _) = claim.prove(chain.config.selector, chain.config.aggregation_vkey.into());
    let mut jobs = server.jobs();
    let ready = jobs.ready(&script);
    let taken = jobs.take(Job { work, ready, fate: Fate::Proof, proof, l1_head: None }, key);
    Ok(Json(requested(taken, None)))
}

async fn mock_aggregate(
    State(server): Shared,
    Path(id): Path<u64>,
    Json(request): Json<AggRequest>,
) -> Result<Json<Value>, Words> {
    let chain = of(&server, id)?;
    let (_, work) = claim(&chain, &request).await?;
    witness(&server, work).await?;
    server.jobs().pay(work);
    Ok(Json(fulfilled(&[], None, &work)))
}

async fn status(State(server): Shared, Path((_, id)): Path<(u64, String)>) -> Result<Json<Value>, Words> {
    let unknown = || json!({ "fulfillment_status": 0, "execution_status": 0, "proof": [] });
    let id: B256 = id.parse().map_err(|_| Words("no id".to_owned()))?;
    if server.script().out_of_order {
        return Err(Words(unknown().to_string()));
    }
    let job = server.jobs().get(&id).filter(|job| job.fate != Fate::Forgotten);
    // What the old server says of an id that it does not know.
    let job = job.ok_or_else(|| Words(unknown().to_string()))?;
    if job.ready > Instant::now() {
        return Ok(Json(json!({ "fulfillment_status": 2, "execution_status": 2, "proof": [] })));
    }
    Ok(Json(match job.fate {
        Fate::Proof => fulfilled(&job.proof, job.l1_head, &job.work),
        Fate::NoBytes => json!({ "fulfillment_status": 3, "execution_status": 2, "proof": [] }),
        Fate::Unexecutable | Fate::Forgotten => {
            json!({ "fulfillment_status": 4, "execution_status": 3, "proof": [] })
        }
    }))
}

#[derive(Deserialize)]
struct Validate {
    address: Address,
}

async fn validate(
    State(server): Shared,
    Path(id): Path<u64>,
    Json(request): Json<Validate>,
) -> Result<Json<Value>, Words> {
    let (config, aggregation, range) = of(&server, id)?.agrees(request.address).await?;
    let is_ok = !server.script().rejects;
    Ok(Json(json!({
        "rollup_config_hash_valid": config && is_ok,
        "agg_vkey_valid": aggregation && is_ok,
        "range_vkey_valid": range && is_ok,
    })))
}

async fn set_script(State(server): Shared, Json(script): Json<Script>) -> Json<Script> {
    *server.script() = script.clone();
    Json(script)
}

async fn get_script(State(server): Shared) -> Json<Script> {
    Json(server.script().clone())
}

async fn stats(State(server): Shared) -> Json<Stats> {
    Json(server.jobs().stats())
}
