//! The HTTP side: paths, chains, faults that concern the connection, and the devnet's own calls.
//!
//! Work that was begun goes on when the client goes away, as with the real server; whoever asks again with the same key
//! finds it. What a crash in here means: all ids are forgotten, which is one of the faults that clients must survive.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, FromRequestParts, OriginalUri, State};
use axum::http::{HeaderMap, StatusCode, request::Parts};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::answer::Style;
use crate::book::{Book, Ending, Keyed, Kind, Proven, Stats};
use crate::config::{ChainConfig, Config};
use crate::hex32::Hex;
use crate::proof::ProofBytes;
use crate::script::{CallKind, FaultKind, Script};
use crate::sources::{Commitments, Sources};
use crate::work::{AggRequest, Asked, Misunderstood, Refusal, SpanRequest, prepare};

/// Why the server cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServeError {
    /// An endpoint cannot be used.
    #[error("chain {chain}: {problem}")]
    Chain {
        /// Whose.
        chain: u64,
        /// What is wrong.
        problem: String,
    },
    /// The listener is of no use.
    #[error("the listener has no address: {0}")]
    Listener(String),
}

/// One chain's prover.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) config: ChainConfig,
    pub(crate) sources: Sources,
    book: Mutex<Book>,
}

impl Chain {
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn style(&self) -> Style {
        Style::from(&self.book().script)
    }
}

type Chains = Arc<BTreeMap<u64, Arc<Chain>>>;

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    chains: Chains,
    stop: Option<oneshot::Sender<()>>,
}

impl Handle {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of one chain's prover.
    #[must_use]
    pub fn url(&self, chain: u64) -> String {
        format!("http://{}/chain/{chain}", self.address)
    }

    /// Counts of one chain; `None` if it is not served.
    #[must_use]
    pub fn stats(&self, chain: u64) -> Option<Stats> {
        Some(self.chains.get(&chain)?.book().stats())
    }

    /// Changes the script of one chain; `None` if it is not served.
    pub fn script<T>(&self, chain: u64, change: impl FnOnce(&mut Script) -> T) -> Option<T> {
        Some(change(&mut self.chains.get(&chain)?.book().script))
    }

    /// Forgets all ids of one chain, as a restart would.
    pub fn forget(&self, chain: u64) {
        if let Some(chain) = self.chains.get(&chain) {
            let mut book = chain.book();
            book.entries.clear();
            book.keys.clear();
        }
    }

    /// Stops taking connections.
    pub fn stop(mut self) {
        self.stop.take().map(|stop| stop.send(()));
    }
}

/// Serves on a listener until the handle is dropped.
///
/// # Errors
/// When an endpoint in the configuration cannot be used.
pub fn serve(listener: TcpListener, config: Config) -> Result<Handle, ServeError> {
    let mut chains = BTreeMap::new();
    for config in config.chains {
        let sources =
            Sources::new(&config).map_err(|problem| ServeError::Chain { chain: config.id, problem })?;
        let book = Book::new(config.script.clone());
        chains.insert(config.id, Arc::new(Chain { config, sources, book: Mutex::new(book) }));
    }
    let chains = Arc::new(chains);
    let address = listener.local_addr().map_err(|error| ServeError::Listener(error.to_string()))?;
    let (stop, stopped) = oneshot::channel();
    let router = router(Arc::clone(&chains));
    tokio::spawn(async move {
        let ended = async {
            // The sender's end counts as much as its word.
            let _ = stopped.await;
        };
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(ended).await {
            tracing::error!(%error, "the devnet prover stopped serving");
        }
    });
    Ok(Handle { address, chains, stop: Some(stop) })
}

fn router(chains: Chains) -> Router {
    let calls = Router::new()
        .route("/request_span_proof", post(span))
        .route("/request_agg_proof", post(agg))
        .route("/request_mock_span_proof", post(mock_span))
        .route("/request_mock_agg_proof", post(mock_agg))
        .route("/status/{proof}", get(status))
        .route("/validate_config", post(validate))
        .route("/devnet/script", get(script).post(set_script))
        .route("/devnet/stats", get(stats));
    Router::new()
        .merge(calls.clone())
        .nest("/chain/{chain}", calls)
        .layer(DefaultBodyLimit::disable())
        .with_state(chains)
}

/// The chain that a path names; without a name the only one.
struct Served(Arc<Chain>);

fn named_chain(uri: &axum::http::Uri) -> Option<&str> {
    uri.path().strip_prefix("/chain/")?.split('/').next()
}

impl FromRequestParts<Chains> for Served {
    type Rejection = (StatusCode, String);

    async fn from_request_parts(parts: &mut Parts, chains: &Chains) -> Result<Self, Self::Rejection> {
        let Ok(OriginalUri(uri)) = OriginalUri::from_request_parts(parts, chains).await;
        let chain = match named_chain(&uri) {
            Some(name) => name.parse().ok().and_then(|id: u64| chains.get(&id)),
            None => chains.values().next().filter(|_| chains.len() == 1),
        };
        chain.map(|chain| Self(Arc::clone(chain))).ok_or_else(|| {
            (StatusCode::NOT_FOUND, "no such chain: use /chain/<id> with an id that is served".to_owned())
        })
    }
}

/// Ends the connection without an answer, as a panic in the real server does.
fn drop_connection() -> ! {
    std::panic::resume_unwind(Box::new("the script ends the connection"))
}

async fn span(Served(chain): Served, headers: HeaderMap, Json(request): Json<SpanRequest>) -> Response {
    chain.book().count("request_span_proof");
    request_real(chain, &headers, Asked::Span(request)).await
}

async fn mock_span(Served(chain): Served, Json(request): Json<SpanRequest>) -> Response {
    chain.book().count("request_mock_span_proof");
    request_mock(chain, Asked::Span(request)).await
}

async fn agg(Served(chain): Served, headers: HeaderMap, Json(request): Json<AggRequest>) -> Response {
    chain.book().count("request_agg_proof");
    match Asked::agg(&request) {
        Ok(asked) => request_real(chain, &headers, asked).await,
        Err(Misunderstood::Fatal) => drop_connection(),
        Err(Misunderstood::Refused(refusal)) => chain.style().refused(refusal),
    }
}

async fn mock_agg(Served(chain): Served, Json(request): Json<AggRequest>) -> Response {
    chain.book().count("request_mock_agg_proof");
    match Asked::agg(&request) {
        Ok(asked) => request_mock(chain, asked).await,
        Err(Misunderstood::Fatal) => drop_connection(),
        Err(Misunderstood::Refused(refusal)) => chain.style().refused(refusal),
    }
}

/// Plays the fault of a request: an answer in its place, or what will happen to it.
async fn play(
    chain: &Chain,
    call: CallKind,
    range: Option<(u64, u64)>,
) -> Result<Option<FaultKind>, Response> {
    let fault = chain.book().script.play(call, range);
    match fault {
        Some(FaultKind::Error { status, text, error_class }) => {
            Err(chain.style().refused(Refusal { status, text, error_class }))
        }
        Some(FaultKind::Body { body }) => Err((StatusCode::OK, body).into_response()),
        Some(FaultKind::Hang) => std::future::pending().await,
        Some(FaultKind::Drop) => drop_connection(),
        other => Ok(other),
    }
}

/// An answer that comes later than what it answers was done.
async fn late(fate: Option<FaultKind>) {
    if let Some(FaultKind::Late { ms }) = fate {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

fn call_of(asked: &Asked) -> (CallKind, Kind) {
    match asked {
        Asked::Span(_) => (CallKind::Span, Kind::Span),
        Asked::Agg { .. } => (CallKind::Agg, Kind::Agg),
    }
}

async fn request_real(chain: Arc<Chain>, headers: &HeaderMap, asked: Asked) -> Response {
    let (call, kind) = call_of(&asked);
    let fate = match play(&chain, call, Some(asked.range())).await {
        Ok(fate) => fate,
        Err(response) => return response,
    };
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let keyed = match keyed(&chain, key, &asked) {
        Ok(keyed) => keyed,
        Err(refusal) => return chain.style().refused(refusal),
    };
    let is_lost = matches!(fate, Some(FaultKind::AnswerLost));
    let worker = Arc::clone(&chain);
    let fate_of_work = fate.clone();
    let work = async move {
        let begun = keyed.id.get_or_try_init(|| async {
            let ending = prepare(&worker, &asked, fate_of_work.as_ref()).await?;
            let mut book = worker.book();
            let id = book.accept(kind, asked.range(), ending);
            if matches!(fate_of_work, Some(FaultKind::Forget)) {
                book.entries.remove(&id);
            }
            Ok::<_, Refusal>(id)
        });
        begun.await.cloned()
    };
    let outcome = tokio::spawn(work).await;
    if is_lost {
        drop_connection();
    }
    late(fate).await;
    match outcome {
        Ok(Ok(id)) => {
            let proven = chain.book().entries.get(&id).and_then(|entry| match &entry.ending {
                Ending::Proof(proven) => Some(proven.clone()),
                Ending::Unfulfillable(_) => None,
            });
            chain.style().requested(&id, proven.as_ref())
        }
        Ok(Err(refusal)) => chain.style().refused(refusal),
        Err(error) => chain.style().refused(Refusal::plain(error.to_string())),
    }
}

/// The request that a key stands for: the one that came with it first, or this one.
fn keyed(chain: &Chain, key: Option<String>, asked: &Asked) -> Result<Keyed, Refusal> {
    let asked: [u8; 32] = Sha256::digest(format!("{asked:?}")).into();
    let fresh = Keyed { asked, id: Arc::default() };
    let mut book = chain.book();
    let Some(key) = key.filter(|_| book.script.idempotency) else {
        return Ok(fresh);
    };
    let known = book.keys.entry(key).or_insert_with(|| fresh.clone()).clone();
    if known.asked != asked {
        return Err(Refusal {
            status: 409,
            text: "the key was used for another request".into(),
            error_class: None,
        });
    }
    if !Arc::ptr_eq(&known.id, &fresh.id) {
        book.recognised();
    }
    Ok(known)
}

async fn request_mock(chain: Arc<Chain>, asked: Asked) -> Response {
    let (call, kind) = call_of(&asked);
    let fate = match play(&chain, call, Some(asked.range())).await {
        Ok(fate) => fate,
        Err(response) => return response,
    };
    let ending = prepare(&chain, &asked, fate.as_ref()).await;
    if matches!(fate, Some(FaultKind::AnswerLost)) {
        drop_connection();
    }
    late(fate).await;
    let style = chain.style();
    match ending {
        Ok(Ending::Proof(proven)) => {
            chain.book().mocked();
            let empty = ProofBytes::padded(Vec::new(), 0);
            let proof = if kind == Kind::Agg { empty } else { proven.proof.clone() };
            style.fulfilled(&proven, proof)
        }
        Ok(Ending::Unfulfillable(execution)) => {
            Json(style.status(4, execution, Some("the program cannot run on this range"))).into_response()
        }
        Err(refusal) => style.refused(refusal),
    }
}

async fn status(Served(chain): Served, OriginalUri(uri): OriginalUri) -> Response {
    chain.book().count("status");
    let id = uri.path().rsplit('/').next().and_then(|id| hex::decode(id).ok()).unwrap_or_default();
    let range = chain.book().entries.get(&id).map(|entry| entry.range);
    let fault = match play(&chain, CallKind::Status, range).await {
        Ok(fault) => fault,
        Err(response) => return response,
    };
    let style = chain.style();
    match fault {
        Some(FaultKind::Forget) => {
            chain.book().entries.remove(&id);
        }
        Some(FaultKind::NoBytes) => return Json(style.status(3, 2, None)).into_response(),
        Some(FaultKind::Status { fulfillment, execution }) => {
            return Json(style.status(fulfillment, execution, None)).into_response();
        }
        Some(FaultKind::AnswerLost) => drop_connection(),
        other => late(other).await,
    }
    let entry = chain.book().entries.get(&id).cloned();
    let now = Instant::now();
    match entry {
        // What the real server says of an id that it does not know, as of every trouble of its own.
        None => (StatusCode::INTERNAL_SERVER_ERROR, Json(style.status(0, 0, None))).into_response(),
        Some(entry) if now < entry.assigned_at => Json(style.status(1, 1, None)).into_response(),
        Some(entry) if now < entry.done_at => Json(style.status(2, 2, None)).into_response(),
        Some(entry) => done(&chain, style, &entry.ending),
    }
}

fn done(chain: &Chain, style: Style, ending: &Ending) -> Response {
    match ending {
        Ending::Proof(proven) => deliver(chain, style, proven),
        Ending::Unfulfillable(execution) => {
            let words =
                if *execution == 3 { "the program cannot run on this range" } else { "not proven in time" };
            Json(style.status(4, *execution, Some(words))).into_response()
        }
    }
}

fn deliver(chain: &Chain, style: Style, proven: &Proven) -> Response {
    chain.book().delivered();
    style.fulfilled(proven, proven.proof.clone())
}

async fn validate(Served(chain): Served, Json(body): Json<Value>) -> Response {
    chain.book().count("validate_config");
    let fault = match play(&chain, CallKind::Validate, None).await {
        Ok(fault) => fault,
        Err(response) => return response,
    };
    late(fault.clone()).await;
    let Some(oracle) = body.get("address").and_then(Value::as_str).and_then(Hex::parse) else {
        return (StatusCode::BAD_REQUEST, "address is not 0x and 20 bytes of hex").into_response();
    };
    let config = &chain.config;
    let ours = Commitments {
        agg_vkey: config.aggregation_vkey,
        range_vkey: config.range_vkey_commitment,
        rollup_config: config.rollup_config_hash,
    };
    let theirs = match chain.sources.commitments(config, oracle).await {
        Ok(theirs) => theirs,
        Err(text) => return chain.style().refused(Refusal::plain(text)),
    };
    let is_right = !matches!(fault, Some(FaultKind::WrongCommitments));
    Json(json!({
        "rollup_config_hash_valid": is_right && ours.rollup_config == theirs.rollup_config,
        "agg_vkey_valid": is_right && ours.agg_vkey == theirs.agg_vkey,
        "range_vkey_valid": is_right && ours.range_vkey == theirs.range_vkey,
    }))
    .into_response()
}

/// The chains that a devnet call is about: the one that its path names, or all.
fn meant(chains: &Chains, uri: &axum::http::Uri) -> Vec<Arc<Chain>> {
    match named_chain(uri) {
        Some(name) => {
            let id = name.parse().ok().and_then(|id: u64| chains.get(&id));
            id.map(Arc::clone).into_iter().collect()
        }
        None => chains.values().map(Arc::clone).collect(),
    }
}

async fn script(State(chains): State<Chains>, OriginalUri(uri): OriginalUri) -> Json<BTreeMap<u64, Script>> {
    Json(meant(&chains, &uri).iter().map(|chain| (chain.config.id, chain.book().script.clone())).collect())
}

async fn set_script(
    State(chains): State<Chains>,
    OriginalUri(uri): OriginalUri,
    Json(script): Json<Script>,
) -> Response {
    let meant = meant(&chains, &uri);
    for chain in &meant {
        chain.book().script = script.clone();
    }
    let ids: Vec<u64> = meant.iter().map(|chain| chain.config.id).collect();
    let status = if ids.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::OK };
    (status, Json(json!({ "chains": ids }))).into_response()
}

async fn stats(State(chains): State<Chains>, OriginalUri(uri): OriginalUri) -> Json<BTreeMap<u64, Stats>> {
    Json(meant(&chains, &uri).iter().map(|chain| (chain.config.id, chain.book().stats())).collect())
}
