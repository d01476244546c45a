//! `prooflog run`: the engine, its adapters, and everything that looks on.
//!
//! Starting goes from what cannot fail silently to what can: the log, the engine, the listeners, then each rollup by
//! itself, so that one wrong rollup stops alone. Ending goes the other way round: calls about transactions come home,
//! the end is recorded, the log is closed.

mod calls;
mod contract;
mod disk;
mod doctor;
mod error;
mod eventstore;
mod failure;
mod outside;
mod pinned;
mod salt;
mod secrets;
mod sides;
mod signers;
mod start;
mod watch;
mod would;

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prooflog_access::Role;
use prooflog_config::{ChainConfig, ChainProblem, Loaded, LogFormat as Shape, ProcessConfig};
use prooflog_core::{BEHAVIOUR, Pacing};
use prooflog_events::event::EngineStarted;
use prooflog_events::ids::{ChainId, Hash32, LogId, Micros};
use prooflog_log::Log;
use prooflog_observe::{
    ChainStatus, Health, Limits, LogControl, LogFormat, LogSettings, LogStatus, Metrics, Observers, Secrets,
    init_logging, look, router,
};
use prooflog_replay::Cadence;
use prooflog_service::{Handle, Options, Service};
use prooflog_store::{FORMAT, OpenOptions, RocksStore};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use crate::api::{Api, Chains, Standing, serve_port, serve_socket, socket};

pub(crate) use contract::{Outlook, look as look_outside};
pub(crate) use doctor::{Finding, Grade, examine};
pub(crate) use error::RunError;
pub(crate) use eventstore::run as serve_beside;
pub(crate) use salt::{random, salt_of};
pub(crate) use start::StartError;
pub(crate) use would::{Would, would};

/// Whether money may be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spending {
    /// Proofs are requested and transactions sent.
    Allowed,
    /// Everything else is done.
    Observing,
}

impl Spending {
    /// From the flag `--observe`.
    pub(crate) const fn of(observe: bool) -> Self {
        if observe { Self::Observing } else { Self::Allowed }
    }
}

/// Runs until told to end.
pub(crate) fn run(loaded: Loaded, spending: Spending) -> Result<(), RunError> {
    let secrets = secrets::of(&loaded);
    let logs = logging(&loaded.process, secrets.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(RunError::io("starting the runtime"))?;
    let result = runtime.block_on(serve(loaded, spending, (secrets, logs.clone())));
    // Calls that do not end are not waited for: their intents are on disk.
    runtime.shutdown_timeout(Duration::from_secs(1));
    logs.flush();
    result
}

fn logging(process: &ProcessConfig, secrets: Secrets) -> Result<LogControl, RunError> {
    let format = match process.log.format {
        Shape::Text => LogFormat::Text,
        Shape::Json => LogFormat::Json,
        Shape::Logfmt => LogFormat::Logfmt,
    };
    Ok(init_logging(&LogSettings { format, filter: process.log.filter.clone() }, secrets)?)
}

async fn serve(
    loaded: Loaded,
    spending: Spending,
    (secrets, logs): (Secrets, LogControl),
) -> Result<(), RunError> {
    let process = &loaded.process;
    let told_to_end = Signals::listen()?;
    for note in &loaded.report {
        tracing::info!(note = %note, "configuration");
    }
    let configured: Vec<ChainConfig> = loaded.chains.iter().filter_map(|chain| chain.clone().ok()).collect();
    let log = open(process)?;
    let names = names(&loaded);
    let health = Health::new(&names, prooflog_observe::health::DEFAULT_GRACE);
    let metrics = Metrics::new(&names, health.clone());
    let sides = sides::Sides::default();
    let outside = outside::Adapters::new(sides.clone(), Arc::clone(&log), metrics.clone());
    let started = started(loaded.digest);
    let options = Options {
        pacing: pacing(&configured),
        clock: Box::new(now),
        started,
        cadence: Cadence::default(),
        grace: process.stop_timeout,
    };
    let onlooker = watch::Onlooker { metrics: metrics.clone(), health: health.clone() };
    let mut service = Service::start(Arc::clone(&log), Arc::new(outside), onlooker, options)?;
    health.log(LogStatus::Writable);
    let engine = service.handle();
    if let Ok(view) = engine.look().await {
        metrics.recover(&view.state);
        view.state.chains.values().for_each(|chain| watch::tell(&health, chain));
    }

    let chains = left_out(&loaded, &health);
    let serving = eventstore::here(process, &log, &metrics).await?;
    let log_of_backup = Arc::clone(&log);
    let api = Api {
        metrics: metrics.clone(),
        engine: engine.clone(),
        chains: chains.clone(),
        backup: Arc::new(move |to| log_of_backup.sequence().backup(to)),
    };
    let l1s = start::L1s::paced(&configured, calls::meter(&metrics));
    let told = Scraped { logs, calls: calls::Calls::new(l1s.clone(), sides.clone()) };
    let observers = observers(&engine, (metrics.clone(), told), health.clone(), secrets);
    listen(process, api, observers).await?;
    tokio::spawn(disk::watch(process.data_dir.clone(), process.min_free_bytes, engine.clone()));
    let told = start::Told { chains, health: health.clone(), metrics };
    let starter = start::Starter::new(process, spending, engine.clone(), (sides, l1s), told);
    let mut starts = JoinSet::new();
    for chain in configured {
        starts.spawn(starter.clone().start(chain));
    }
    health.started();
    tracing::info!(dir = %process.data_dir.display(), "running");

    let wrong = loaded.chains.iter().filter_map(|chain| chain.as_ref().err()).map(ToString::to_string);
    let nobody_left = start::nobody_left(starts, wrong.collect());
    let ended = until_told(&mut service, &health, (told_to_end, nobody_left)).await;
    if let Some(serving) = serving {
        serving.end().await;
    }
    // A socket that nobody listens on would look like an engine that hangs.
    let _ = std::fs::remove_file(socket(&process.data_dir));
    ended?;
    tracing::info!("ended in order");
    Ok(())
}

/// Runs until a signal comes, no rollup is left or the engine ends by itself, and ends it in order.
async fn until_told(
    service: &mut Service,
    health: &Health,
    (mut told_to_end, nobody_left): (Signals, impl Future<Output = RunError>),
) -> Result<(), RunError> {
    let (reason, why) = tokio::select! {
        reason = told_to_end.any() => (reason, Ok(())),
        error = nobody_left => ("no rollup is left", Err(error)),
        ended = service.ended() => {
            health.log(LogStatus::Failed { reason: "the engine ended".to_owned() });
            return Ok(ended?);
        }
    };
    health.stopping();
    service.handle().stop(reason).await;
    service.ended().await?;
    why
}

/// The signals that end the process. They are listened for before anything is opened: one that comes during the start
/// ends it in order, as any other.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, RunError> {
        let on = |kind| signal(kind).map_err(RunError::io("listening for signals"));
        Ok(Self { terminate: on(SignalKind::terminate())?, interrupt: on(SignalKind::interrupt())? })
    }

    /// Waits for one of them, and says which it was.
    async fn any(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// The rollups that the configuration names, with those that are left out: they are told as stopped.
fn names(loaded: &Loaded) -> Vec<ChainId> {
    let id = |chain: &Result<ChainConfig, ChainProblem>| match chain {
        Ok(chain) => Some(chain.id),
        Err(problem) => problem.id,
    };
    loaded.chains.iter().filter_map(id).collect()
}

/// How every configured rollup stands: those that are left out are told first.
fn left_out(loaded: &Loaded, health: &Health) -> Chains {
    let chains = Chains::default();
    for chain in loaded.chains.iter().filter_map(|chain| chain.as_ref().ok()) {
        let reason = "the start of the process".to_owned();
        chains.tell(Some(chain.id), &chain.name, Standing::Starting { reason });
    }
    for problem in loaded.chains.iter().filter_map(|chain| chain.as_ref().err()) {
        tracing::error!(chain = %problem.name, "{problem}");
        let reason = problem.to_string();
        let standing = Standing::Stopped { reason: reason.clone() };
        chains.tell(problem.id, &problem.name, standing);
        if let Some(id) = problem.id {
            health.chain(id, ChainStatus::Stopped { reason });
        }
    }
    chains
}

/// Opens the log, or makes one.
fn open(process: &ProcessConfig) -> Result<Arc<Log<RocksStore>>, RunError> {
    let dir = &process.data_dir;
    let (store, report) = prooflog_store::open(dir, OpenOptions::or_create(LogId(random()?)))?;
    for note in &report.notes {
        tracing::warn!("{note}");
    }
    tracing::info!(position = report.head.position.0, created = report.created, "the log is open");
    Ok(Arc::new(Log::open(store)?))
}

/// What is recorded first by whoever opens the log for writing.
pub(crate) fn started(configuration: Hash32) -> EngineStarted {
    EngineStarted {
        release: env!("CARGO_PKG_VERSION").to_owned(),
        behaviour: BEHAVIOUR,
        format: u16::try_from(FORMAT).unwrap_or(u16::MAX),
        policy: configuration,
    }
}

/// The quickest pace that any rollup asks for: standing questions share their L1's head.
fn pacing(chains: &[ChainConfig]) -> Pacing {
    let seconds = chains.iter().map(|chain| chain.poll_interval.as_secs().max(1)).min();
    let default = Pacing::default();
    match seconds {
        Some(seconds) => Pacing {
            reads: seconds,
            polls: seconds,
            slow_polls: default.slow_polls.min(seconds.saturating_mul(25)),
            validation: default.validation.min(seconds.saturating_mul(5)),
            ..default
        },
        None => default,
    }
}

pub(crate) fn now() -> Micros {
    // A clock before 1970 is the same to the rules as one that stands there: far behind the log.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// What is asked for its counts when somebody reads them.
struct Scraped {
    logs: LogControl,
    calls: calls::Calls,
}

fn observers(
    engine: &Handle,
    (metrics, scraped): (Metrics, Scraped),
    health: Health,
    secrets: Secrets,
) -> Observers {
    let engine = engine.clone();
    let counted = metrics.clone();
    let look = look(move || {
        scraped.calls.tell(&counted);
        counted.lines_lost(scraped.logs.take_lost());
        let engine = engine.clone();
        async move { engine.look().await.ok().map(|view| Arc::new(view.state)) }
    });
    Observers { metrics, health, look, secrets }
}

async fn listen(process: &ProcessConfig, api: Api, observers: Observers) -> Result<(), RunError> {
    let path = socket(&process.data_dir);
    let refused = |address: String, flag| move |source| RunError::Listen { address, flag, source };
    serve_socket(&path, api.clone()).map_err(refused(path.display().to_string(), "data-dir"))?;
    if let Some(address) = process.metrics.socket() {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(refused(address.to_string(), "metrics.port"))?;
        // Port 0 leaves the choice to the system.
        let address = listener.local_addr().unwrap_or(address);
        tracing::info!(%address, "metrics and health");
        let served = prooflog_observe::serve(listener, router(observers), Limits::default(), pending::<()>());
        tokio::spawn(served);
    }
    if let Some(address) = process.rpc.socket().filter(|_| process.rpc_admin) {
        let users = eventstore::users(process)?;
        let verify = Arc::new(move |header: &str| {
            users.verify_header(header).map(|user| (user.name, user.role == Role::Operate))
        });
        let bound = serve_port(address, api, verify).await;
        let bound = bound.map_err(refused(address.to_string(), "rpc.port"))?;
        tracing::info!(address = %bound, "operators");
    }
    Ok(())
}
