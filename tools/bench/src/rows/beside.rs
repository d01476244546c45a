//! The engine's decisions beside clients who mean harm, and what they make the process hold.
//!
//! The ring over a log on disk decides, one command after another, each waited for until it is durable; the server runs
//! in the same process, as it does in the program. The clients are a process of their own with the lowest priority,
//! because in life they are somewhere else. Each turn beside them is held against what was measured alone just before
//! and just after it, so that what else the machine does cancels out; the median of these ratios counts.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use prooflog_core::{BEHAVIOUR, Pacing};
use prooflog_engine::{Origin, Ring};
use prooflog_events::event::EngineStarted;
use prooflog_events::ids::{ChainId, Hash32};
use prooflog_events::input::{Command as Told, Input, OperatorCommanded};
use prooflog_events::values::Control;
use prooflog_eventstore::{Door, Guests, Here, Server, Source, Writing, serve};
use prooflog_log::Log;
use prooflog_store::{FORMAT, OpenOptions, RocksStore, open};
use tokio::sync::oneshot;

use super::Sizes;
use crate::Outcome;
use crate::filling::fill;
use crate::generator::{Generator, Shape};
use crate::serving::hostile::{Kind, READY};
use crate::serving::{Two, now};
use crate::table::{Row, median, span, timed};

/// Live units of the log.
const LIVE: u64 = 1_000;
/// Events of it.
const EVENTS: u64 = 40_000;
/// Between two decisions: an engine mostly waits.
const PACE: Duration = Duration::from_millis(1);
/// Files that the rest of the process may need.
const FILES_LEFT: usize = 512;
/// What all of them together may make the process hold more, in bytes.
const GROWTH_MAX: u64 = 512 << 20;

pub(crate) fn rows(dir: &Path, sizes: &Sizes) -> Outcome<Vec<Row>> {
    let shape = Shape::with_live(LIVE);
    let (store, _) = open(dir, OpenOptions::or_create(shape.log()).ballast(0))?;
    let log = Arc::new(Log::open(store)?);
    fill(&log, &mut Generator::new(shape), EVENTS, &mut |_| ())?;
    let connections = sizes.beside.1.min(files()?.saturating_sub(FILES_LEFT));
    let serving = Serving::start(&log, connections)?;
    let mut engine = Engine::start(Arc::clone(&log))?;
    let idle = resident()?;
    let mut most = idle;
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        let (mut alone, mut busy, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let mut before = engine.decide_alone(sizes.beside.0)?;
        for _ in 0..sizes.turns {
            let clients = Clients::start(serving.address, kind, connections)?;
            let beside = engine.decide(sizes.beside.0)?;
            most = most.max(resident()?);
            clients.end()?;
            let after = engine.decide_alone(sizes.beside.0)?;
            let calm = f64::midpoint(before, after);
            before = after;
            ratios.push(beside / calm);
            alone.push(calm);
            busy.push(beside);
        }
        let ratio = median(&mut ratios);
        let what = format!("a decision made durable beside {}", kind.words(connections));
        let row = Row::told(what, span(median(&mut busy)))
            .beside(format!("{} alone", span(median(&mut alone))), ratio);
        rows.push(row.judged("≤ 1.10", (ratio <= 1.1).into()));
    }
    let grown = most.saturating_sub(idle);
    let shown = format!("{} MB", grown >> 20);
    let verdict = (grown <= GROWTH_MAX).into();
    rows.push(Row::told("resident memory that they add at most", shown).judged("≤ 512 MB", verdict));
    serving.end()?;
    Ok(rows)
}

struct Engine {
    ring: Ring<RocksStore>,
    chain: ChainId,
    paused: bool,
}

impl Engine {
    fn start(log: Arc<Log<RocksStore>>) -> Outcome<Self> {
        let policy = Hash32::ZERO;
        let started = EngineStarted {
            release: "bench".into(),
            behaviour: BEHAVIOUR,
            format: u16::try_from(FORMAT)?,
            policy,
        };
        let (ring, fed) = Ring::open(log, Pacing::default(), now(), started)?;
        fed.ticket.map(|ticket| ticket.wait()).transpose()?;
        let chain = *ring.state().chains.keys().next().ok_or("the log has no rollup")?;
        let paused =
            ring.state().chains.get(&chain).is_some_and(|chain| chain.is_paused(Control::Submitting));
        Ok(Self { ring, chain, paused })
    }

    /// The same when those who were there have been forgotten: the server still lets go of their connections.
    fn decide_alone(&mut self, times: usize) -> Outcome<f64> {
        self.decide(times / 2)?;
        self.decide(times)
    }

    /// Median seconds from a command to its effects.
    fn decide(&mut self, times: usize) -> Outcome<f64> {
        let mut seconds = Vec::with_capacity(times);
        for _ in 0..times {
            std::thread::sleep(PACE);
            let (took, done) = timed(|| self.once());
            done?;
            seconds.push(took);
        }
        Ok(median(&mut seconds))
    }

    fn once(&mut self) -> Outcome<()> {
        let (chain, control) = (self.chain, Control::Submitting);
        let command =
            if self.paused { Told::Resume { chain, control } } else { Told::Pause { chain, control } };
        self.paused = !self.paused;
        let input = OperatorCommanded { name: "bench".into(), command, note: "measured".into() };
        let fed = self.ring.feed(now(), &Input::OperatorCommanded(input), Origin::default())?;
        fed.ticket.ok_or("a command led to nothing")?.wait()?;
        self.ring.durable(fed.batch);
        drop(self.ring.effects(now()));
        Ok(())
    }
}

/// The server in this process.
struct Serving {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<std::io::Result<()>>,
}

impl Serving {
    fn start(log: &Arc<Log<RocksStore>>, connections: usize) -> Outcome<Self> {
        let here = Arc::new(Here::new(Arc::clone(log)));
        let mut server = Server::new(Arc::clone(&here) as Arc<dyn Source>, Arc::new(Guests(Two)));
        server.writing = Some(Writing { bytes_per_day: u64::MAX, ..Writing::new(here as Arc<dyn Door>) });
        server.limits.connections = server.limits.connections.max(connections * 5 / 4);
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                serve(listener, server, async { drop(stopped.await) }).await
            })
        });
        Ok(Self { address, stop, thread })
    }

    fn end(self) -> Outcome<()> {
        drop(self.stop);
        self.thread.join().map_err(|_| "the server is dead")??;
        Ok(())
    }
}

/// The clients, a process of their own.
struct Clients(Child);

impl Clients {
    fn start(address: SocketAddr, kind: Kind, connections: usize) -> Outcome<Self> {
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(std::env::current_exe()?);
        command.args(["hostile", "--address", &address.to_string(), "--kind", kind.name()]);
        command.args(["--connections", &connections.to_string()]);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        if line.trim() != READY {
            child.kill()?;
            return Err(format!("the clients did not get ready: {line}").into());
        }
        Ok(Self(child))
    }

    fn end(mut self) -> Outcome<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

/// Files that this process may have open; `ulimit -n` raises it.
fn files() -> Outcome<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")).ok_or("no limit of files")?;
    let soft = line.split_whitespace().next().ok_or("no number")?;
    Ok(soft.parse().unwrap_or(usize::MAX))
}

/// Bytes of this process that are in memory.
fn resident() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.split_whitespace().next().ok_or("no number")?.parse()?;
    Ok(kib << 10)
}
