//! The server's side: a few routes over the handle of the running engine.
//!
//! The socket is made anew at every start with mode 0600; whoever opens it is an operator, whose name stands in the
//! request. A port answers only users of the credentials file, who operate if their role says so. Every request has a
//! limit on its size and time. What a crash in here means: the question was not answered; a command may have been
//! carried out, which the log tells.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use prooflog_events::ids::ChainId;
use prooflog_events::input::OperatorCommanded;
use prooflog_events::port::Head;
use prooflog_observe::{Limits, Metrics, count_request};
use prooflog_service::{CommandError, Handle};
use prooflog_store::{ErrorKind, StoreError};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, UnixListener};

use super::{BackupAnswer, BackupRequest, CommandAnswer, CommandRequest, ErrorAnswer, REQUEST_BYTES_MAX};

/// For a command: the disk and the decision take milliseconds.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(30);
/// Most bytes of an operator's name.
const NAME_MAX: usize = 64;
/// How long an answer over the port may take: a backup takes minutes.
const ANSWER_MAX: Duration = Duration::from_secs(3_600);

/// How a rollup stands in this process, beside what the log says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "process", rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Its work goes on.
    Running,
    /// What it needs is not there yet.
    Starting {
        /// What is waited for.
        reason: String,
    },
    /// Nothing is done for it before somebody changes something.
    Stopped {
        /// What is wrong.
        reason: String,
    },
}

/// A configured rollup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChainReport {
    /// Its id, where the configuration tells that much.
    pub(crate) chain: Option<ChainId>,
    /// Name in the configuration, or its place there.
    pub(crate) name: String,
    /// How it stands.
    #[serde(flatten)]
    pub(crate) standing: Standing,
}

/// How every configured rollup stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chains(Arc<RwLock<Vec<ChainReport>>>);

impl Chains {
    /// Tells how a rollup stands.
    pub(crate) fn tell(&self, chain: Option<ChainId>, name: &str, standing: Standing) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match all.iter_mut().find(|one| (one.chain, one.name.as_str()) == (chain, name)) {
            Some(one) => one.standing = standing,
            None => all.push(ChainReport { chain, name: name.to_owned(), standing }),
        }
    }

    /// How all stand, by id.
    pub(crate) fn all(&self) -> Vec<ChainReport> {
        let mut all = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort_by(|one, other| (one.chain, &one.name).cmp(&(other.chain, &other.name)));
        all
    }
}

/// Makes a backup in a directory; blocks until it is done.
pub(crate) type Backup = dyn Fn(&Path) -> Result<Head, StoreError> + Send + Sync;

/// Knows a user by the `Authorization` header: name, and whether they may command.
pub(crate) type Verify = dyn Fn(&str) -> Option<(String, bool)> + Send + Sync;

/// What the routes need.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) metrics: Metrics,
    pub(crate) engine: Handle,
    pub(crate) chains: Chains,
    pub(crate) backup: Arc<Backup>,
}

/// Who asks, as far as the listener knows.
#[derive(Debug, Clone)]
enum Caller {
    /// Somebody with access to the data directory.
    Local,
    /// A user of the credentials file.
    User { name: String, operates: bool },
}

impl IntoResponse for ErrorAnswer {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

fn refuse(status: StatusCode, error: impl std::fmt::Display) -> Response {
    (status, ErrorAnswer { error: error.to_string() }).into_response()
}

/// The routes, without who may use them.
pub(crate) fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/command", post(command))
        .route("/v1/backup", post(backup))
        .route("/v1/chains", get(chains))
        .route("/v1/would", get(would))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .layer(middleware::from_fn_with_state(api.metrics.clone(), count_request))
        .with_state(api)
}

/// Answers on a socket until the process ends.
///
/// # Errors
/// When the socket cannot be made.
pub(crate) fn serve_socket(path: &Path, api: Api) -> std::io::Result<()> {
    // The data directory is ours alone while its lock is held: what lies there is of an engine that died.
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let router = router(api).layer(Extension(Caller::Local));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(())
}

/// Answers on a port until the process ends; `verify` knows the users.
///
/// # Errors
/// When the port cannot be had.
pub(crate) async fn serve_port(
    address: SocketAddr,
    api: Api,
    verify: Arc<Verify>,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let router = router(api).layer(middleware::from_fn(move |request: Request, next: Next| {
        let verify = Arc::clone(&verify);
        authenticate(verify, request, next)
    }));
    // A stranger may hold some of the few places for a moment, and no processor: passwords are checked one at a time.
    let limits = Limits { answer: ANSWER_MAX, request_bytes: 2 * REQUEST_BYTES_MAX, ..Limits::default() };
    tokio::spawn(prooflog_observe::serve(listener, router, limits, std::future::pending::<()>()));
    Ok(address)
}

async fn authenticate(verify: Arc<Verify>, mut request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(given) = given.map(str::to_owned) else {
        let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"prooflog\"")];
        return (StatusCode::UNAUTHORIZED, ask, ErrorAnswer { error: "name and password, please".into() })
            .into_response();
    };
    // Checking a password takes a processor for a while by design: not on the tasks of the engine's calls.
    let user = tokio::task::spawn_blocking(move || verify(&given)).await.ok().flatten();
    match user {
        Some((name, operates)) => {
            request.extensions_mut().insert(Caller::User { name, operates });
            next.run(request).await
        }
        None => refuse(StatusCode::UNAUTHORIZED, "no such user, or another password"),
    }
}

/// The operator's name for the log, or why the caller may not command.
fn operator(caller: &Caller, claimed: Option<String>) -> Result<String, Box<Response>> {
    let name = match caller {
        Caller::User { name, operates: true } => name.clone(),
        Caller::User { .. } => {
            let text = "this user may read; the role `operate` may command";
            return Err(Box::new(refuse(StatusCode::FORBIDDEN, text)));
        }
        Caller::Local => claimed.unwrap_or_default(),
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(is_plain) {
        let text = "say who commands: `operator`, up to 64 letters, digits, `.`, `_`, `-`, `@`";
        return Err(Box::new(refuse(StatusCode::BAD_REQUEST, text)));
    }
    Ok(name)
}

async fn command(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Json(request): Json<CommandRequest>,
) -> Response {
    let name = match operator(&caller, request.operator) {
        Ok(name) => name,
        Err(response) => return *response,
    };
    let commanded = OperatorCommanded { name, command: request.command.into(), note: request.note };
    match tokio::time::timeout(COMMAND_TIME_MAX, api.engine.command(commanded)).await {
        Ok(Ok(answered)) => {
            let events = answered.events.into_iter().map(str::to_owned).collect();
            Json(CommandAnswer { events, position: answered.position.0 }).into_response()
        }
        Ok(Err(error @ CommandError::Refused(_))) => refuse(StatusCode::CONFLICT, error),
        Ok(Err(error @ CommandError::Ending)) => refuse(StatusCode::SERVICE_UNAVAILABLE, error),
        Err(_) => refuse(StatusCode::GATEWAY_TIMEOUT, "no answer in time; the log tells what became of it"),
    }
}

async fn backup(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Json(request): Json<BackupRequest>,
) -> Response {
    if let Err(response) = operator(&caller, Some("local".to_owned())) {
        return *response;
    }
    if !request.to.is_absolute() {
        return refuse(StatusCode::BAD_REQUEST, "`to` must be an absolute path");
    }
    let make = Arc::clone(&api.backup);
    match tokio::task::spawn_blocking(move || make(&request.to)).await {
        Ok(Ok(head)) => {
            Json(BackupAnswer { position: head.position.0, hash: head.hash.to_string() }).into_response()
        }
        Ok(Err(error)) => {
            let status = match error.kind() {
                ErrorKind::Usage => StatusCode::BAD_REQUEST,
                ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                ErrorKind::Damaged => StatusCode::INTERNAL_SERVER_ERROR,
            };
            refuse(status, error)
        }
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the backup died: this is a bug"),
    }
}

async fn chains(State(api): State<Api>) -> Json<Vec<ChainReport>> {
    Json(api.chains.all())
}

/// What would be done if a rollup that is only observed were not.
async fn would(State(api): State<Api>) -> Response {
    match api.engine.look().await {
        Ok(view) => Json(crate::run::would(view)).into_response(),
        Err(error) => refuse(StatusCode::SERVICE_UNAVAILABLE, error),
    }
}
