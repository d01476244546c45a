//! A server of the EventStore protocol to be measured, and to be tried with released clients.
//!
//! Over a log on disk or in memory, as an operator's program would serve it, with an engine's events coming in beside
//! the clients'; or over nothing at all, as the ceiling of what the protocol allows. It says where it listens on its
//! output and ends in order when it is told to. Its users have a password that everybody knows: it is for benchmarks.
#![expect(clippy::print_stdout, reason = "the address is what others wait for")]

mod ceiling;
mod engine;
pub(crate) mod hostile;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use prooflog_access::{Role, User};
use prooflog_events::envelope::Content;
use prooflog_events::ids::{EventId, Micros};
use prooflog_events::port::Sequence;
use prooflog_eventstore::{
    Authority, Door, FileCheckpoints, Guests, Here, Server, Source, Tls, Writing, serve,
};
use prooflog_log::{Append, By, Expected, Log, MemorySequence, NewRecord};
use prooflog_observe::{LogSettings, Secrets, init_logging};
use prooflog_store::{OpenOptions, open};
use tokio::net::TcpListener;

use crate::Outcome;
use crate::generator::Shape;

/// Serve the EventStore protocol for benchmarks and for trying clients.
#[derive(Debug, Args)]
pub struct Serve {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The log's directory, made where there is none; without it the log is in memory.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Store nothing: answer every append at once, and every read with this many events.
    #[arg(long, conflicts_with = "dir")]
    ceiling: Option<u64>,
    /// Let the users `ann` (annotate) and `admin` (operate) write; the password is `changeit`.
    #[arg(long)]
    write: bool,
    /// Events of an engine that are there at least when the server begins to listen.
    #[arg(long, default_value_t = 0)]
    engine: u64,
    /// Milliseconds between further batches of the engine; 0 for none.
    #[arg(long, default_value_t = 0)]
    pace: u64,
    /// Connections at once; the usual limit if it is not given.
    #[arg(long)]
    connections: Option<usize>,
    /// A certificate in PEM; with `--key`, connections are TLS.
    #[arg(long, requires = "key")]
    cert: Option<PathBuf>,
    /// Its key in PEM.
    #[arg(long, requires = "cert")]
    key: Option<PathBuf>,
}

/// Two users with one password, in plain text: this is a benchmark.
pub(crate) struct Two;

impl Authority for Two {
    fn check(&self, header: Option<&str>) -> Option<User> {
        let (name, role) = match header? {
            "Basic YWRtaW46Y2hhbmdlaXQ=" => ("admin", Role::Operate),
            "Basic YW5uOmNoYW5nZWl0" => ("ann", Role::Annotate),
            _ => return None,
        };
        Some(User { name: name.to_owned(), role })
    }
}

/// Serves until it is told to end.
///
/// # Errors
/// When there is no log, no address or no thread to be had.
pub fn run(args: &Serve) -> Outcome<()> {
    // As the program has it. Without, what libraries trace is put together for each frame and thrown away.
    init_logging(&LogSettings::default(), Secrets::default())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if let Some(events) = args.ceiling {
            let listener = listen(args).await?;
            return ceiling::serve(listener, events, told_to_end()).await;
        }
        match &args.dir {
            Some(dir) => {
                let options = OpenOptions::or_create(Shape::with_live(1_000).log()).ballast(0);
                over(open(dir, options)?.0, args).await
            }
            None => over(MemorySequence::new(Shape::with_live(1_000).log()), args).await,
        }
    })
}

async fn over<S: Sequence>(sequence: S, args: &Serve) -> Outcome<()> {
    let log = Arc::new(Log::open(sequence)?);
    let mut engine = engine::Engine::resume(Arc::clone(&log))?;
    engine.until(args.engine)?;
    let here = Arc::new(Here::new(Arc::clone(&log)));
    let mut server = Server::new(Arc::clone(&here) as Arc<dyn Source>, Arc::new(Guests(Two)));
    if args.write {
        say_who_is_there(&log)?;
        let writing = Writing::new(here as Arc<dyn Door>);
        server.writing = Some(Writing { bytes_per_day: u64::MAX, ..writing });
    }
    if let Some(dir) = &args.dir {
        server.checkpoints = Arc::new(FileCheckpoints::new(dir.join("consumers")));
    }
    if let Some(connections) = args.connections {
        server.limits.connections = connections;
    }
    if let (Some(cert), Some(key)) = (&args.cert, &args.key) {
        server.tls = Some(Tls::from_files(cert, key)?);
    }
    let listener = listen(args).await?;
    let beside = (args.pace > 0).then(|| engine.start(Duration::from_millis(args.pace)));
    serve(listener, server, told_to_end()).await?;
    beside.map_or(Ok(()), engine::Running::end)
}

/// The stream of users as the original server has it: clients' own tests wait for it before they begin.
fn say_who_is_there<S: Sequence>(log: &Log<S>) -> Outcome<()> {
    let mut records = Vec::new();
    for (id, name) in (1_u128..).zip(["admin", "ann"]) {
        let id = EventId((id | 0x7573_6572_u128 << 96).to_be_bytes());
        records.push(NewRecord::foreign("$users", id, "$User", Content::Octets, name.into()));
    }
    let append = Append::new(By::System, now(), records).expect("$users", Expected::NoStream);
    match log.append(append) {
        Ok(_) | Err(prooflog_log::AppendError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn listen(args: &Serve) -> Outcome<TcpListener> {
    let listener = TcpListener::bind(args.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(listener)
}

async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// The time.
pub(crate) fn now() -> Micros {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    Micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
