//! `/metrics`, `/healthz` and `/readyz` on one listener.
//!
//! Each connection serves one request, within a time and a size, and only so many stand at once: a slow client holds one
//! place for some seconds and nothing else. A scrape asks the loop for its state and does without if it does not answer
//! in time. What a crash means: one request fails.

mod gate;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prooflog_events::ids::{ChainId, Micros};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::health::{Health, Verdict};
use crate::logs::Secrets;
use crate::metrics::Metrics;

/// How long a scrape waits for the loop's state.
const LOOK_LIMIT: Duration = Duration::from_secs(2);
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Asks the loop for its state as it is now; `None` if it cannot be had.
pub type Look = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Option<Snapshot>> + Send>> + Send + Sync>;

/// The state at one moment.
pub type Snapshot = Arc<prooflog_projections::State>;

/// A [`Look`] from an async function.
pub fn look<F, A>(ask: F) -> Look
where
    F: Fn() -> A + Send + Sync + 'static,
    A: Future<Output = Option<Snapshot>> + Send + 'static,
{
    Arc::new(move || Box::pin(ask()))
}

/// What the listener shows.
#[derive(Clone)]
pub struct Observers {
    /// Behind `/metrics`.
    pub metrics: Metrics,
    /// Behind `/healthz` and `/readyz`.
    pub health: Health,
    /// Where a scrape gets the state from.
    pub look: Look,
    /// Masked in every body.
    pub secrets: Secrets,
}

/// What bounds a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; the next ones wait.
    pub connections: usize,
    /// For a request to arrive.
    pub request: Duration,
    /// For an answer to be made and taken.
    pub answer: Duration,
    /// Bytes of a request.
    pub request_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 32,
            request: Duration::from_secs(5),
            answer: Duration::from_secs(10),
            request_bytes: 16 << 10,
        }
    }
}

/// The routes, without a listener.
pub fn router(observers: Observers) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .layer(from_fn_with_state(observers.metrics.clone(), count_request))
        .with_state(observers)
}

/// Serves `router` until `stop` is ready, one request per connection; answers under way are finished then.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve<S>(listener: TcpListener, router: Router, limits: Limits, stop: S) -> std::io::Result<()>
where
    S: Future<Output = ()> + Send + 'static,
{
    let gate = gate::Gate::new(listener, limits);
    axum::serve(gate, router.layer(map_response(close))).with_graceful_shutdown(stop).await
}

/// Tells the metrics of a request, by the last word of its path, once its answer begins: a layer for any router.
pub async fn count_request(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let (path, since) = (request.uri().path().to_owned(), Instant::now());
    let response = next.run(request).await;
    metrics.served(path.rsplit('/').next().unwrap_or_default(), since.elapsed());
    response
}

/// One request per connection: what holds for the request holds for the connection.
async fn close(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn metrics(State(observers): State<Observers>) -> Response {
    let asked = (observers.look)();
    let state = tokio::time::timeout(LOOK_LIMIT, asked).await.ok().flatten();
    let metrics = observers.metrics;
    // Many live units take milliseconds, which are not taken from the loop's thread.
    let made = tokio::task::spawn_blocking(move || metrics.scrape(state.as_deref(), wall_clock())).await;
    match made {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Serialize)]
struct Alive {
    alive: bool,
    version: &'static str,
    #[serde(flatten)]
    verdict: Verdict,
}

async fn healthz(State(observers): State<Observers>) -> Response {
    let verdict = observers.health.verdict(Instant::now());
    let alive = !matches!(verdict, Verdict::Stuck { .. });
    json(&observers.secrets, alive, &Alive { alive, version: env!("CARGO_PKG_VERSION"), verdict })
}

#[derive(Deserialize)]
struct Which {
    chain: Option<u64>,
}

async fn readyz(State(observers): State<Observers>, Query(which): Query<Which>) -> Response {
    match observers.health.readiness(which.chain.map(ChainId), Instant::now()) {
        Some(readiness) => json(&observers.secrets, readiness.ready, &readiness),
        None => (StatusCode::NOT_FOUND, "no such chain\n").into_response(),
    }
}

fn json<T: Serialize>(secrets: &Secrets, good: bool, body: &T) -> Response {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match serde_json::to_string(body) {
        Ok(text) => {
            let text = secrets.mask(&text).into_owned();
            (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn wall_clock() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
