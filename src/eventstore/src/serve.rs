//! The server: connections in, answers out, an end in order.
//!
//! Each connection is a task of its own with limits of its own: so many at once, so long to say hello, so long to say
//! nothing. Asked to stop, the server takes no more connections, ends subscriptions and batches with an error that tells
//! their clients to come back, lets the other calls finish for a while, and then cuts what is left. What a crash means:
//! clients come back with the last place that they saw.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use prooflog_events::ids::Micros;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;

use crate::authority::{Authority, Connection, Gate};
use crate::discovery::Discovery;
use crate::front::Front;
use crate::groups::{Checkpoints, Groups, MemoryCheckpoints, Shared};
use crate::held::Pool;
use crate::io::Wire;
use crate::limits::{
    BATCHES_BYTES, CALL_WINDOW, CONNECTION_WINDOW, HEADER_BYTES, Limits, PING, REFUSED_BATCHES, SEND_BYTES,
};
use crate::links::{LinkIndex, MemoryIndex, SharedIndex};
use crate::pages::Pages;
use crate::read::Reading;
use crate::source::Source;
use crate::tail::Tail;
use crate::tls::Tls;
use crate::writer::{Writer, Writing};

/// How long to rest when no connection can be taken, for example because there are no file handles left.
const REST: Duration = Duration::from_millis(50);

/// Who is told of calls.
pub type Served = dyn Fn(&'static str, Duration) + Send + Sync;

/// What is served, to whom, and within which limits.
#[derive(Clone)]
pub struct Server {
    /// The log.
    pub source: Arc<dyn Source>,
    /// Who knows the users.
    pub authority: Arc<dyn Authority>,
    /// What is let happen at once.
    pub limits: Limits,
    /// Who is told of each call: its method, and how long it was until its answer began. It must not block.
    pub served: Option<Arc<Served>>,
    /// Where clients' appends go; without it nobody writes.
    pub writing: Option<Writing>,
    /// What the server shows of itself; without it connections are plain.
    pub tls: Option<Tls>,
    /// Name and port that clients which ask for members are sent to; without it, those that they came by.
    pub advertise: Option<(String, u16)>,
    /// Where the events of categories and types stand.
    pub links: Arc<dyn LinkIndex>,
    /// Where it is kept how far consumers of persistent subscriptions came.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// The time, for new events and for events that are too old to be shown.
    pub clock: fn() -> Micros,
}

impl Server {
    /// Serves `source` for reading, with the usual limits, without TLS.
    #[must_use]
    pub fn new(source: Arc<dyn Source>, authority: Arc<dyn Authority>) -> Self {
        Self {
            source,
            authority,
            limits: Limits::default(),
            served: None,
            writing: None,
            tls: None,
            advertise: None,
            links: Arc::new(MemoryIndex::default()),
            checkpoints: Arc::new(MemoryCheckpoints::default()),
            clock: now,
        }
    }
}

fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// Serves on `listener` until `stop` is ready and everything has ended.
///
/// # Errors
/// When the listener has no address, or there is no thread to follow the log.
pub async fn serve(
    listener: TcpListener,
    server: Server,
    stop: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let (stopping, stopped) = watch::channel(false);
    let (tail, following) = Tail::start(Arc::clone(&server.source))?;
    let limits = server.limits.clone();
    let tls = server.tls.clone().map(|tls| tls.acceptor());
    let served = server.served.clone();
    let (front, groups) = front(server, listener.local_addr()?, (tail, stopped));
    let connections = Arc::new(Semaphore::new(limits.connections.max(1)));
    let graceful = GracefulShutdown::new();
    let mut tasks = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            // Tasks that are over are let go.
            Some(_) = tasks.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((tcp, _)) = accepted else {
            tokio::time::sleep(REST).await;
            continue;
        };
        // One too many is closed at once: it had better come back than wait.
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else { continue };
        let (tls, limits) = (tls.clone(), limits.clone());
        let answers = Answers { front: Arc::clone(&front), served: served.clone() };
        let watcher = graceful.watcher();
        tasks.spawn(async move {
            let _permit = permit;
            connection(tcp, tls, answers, (limits, watcher)).await;
        });
    }
    drop(listener);
    // Nobody may listen any more; there is nothing else that it could fail on.
    let _ = stopping.send(true);
    if tokio::time::timeout(limits.grace, graceful.shutdown()).await.is_err() {
        tracing::debug!("calls were cut because they did not end in time");
    }
    tasks.shutdown().await;
    groups.end().await;
    drop((front, groups));
    // Its thread is joined, which takes a moment; nothing else runs here any more.
    let ended = tokio::task::spawn_blocking(move || drop(following)).await;
    ended.map_err(io::Error::other)
}

fn front(
    server: Server,
    listens: std::net::SocketAddr,
    shared: (Arc<Tail>, watch::Receiver<bool>),
) -> (Arc<Front>, Arc<Groups>) {
    let (tail, stop) = shared;
    let Server { source, authority, limits, writing, advertise, links, clock, checkpoints, .. } = server;
    let instance = source.records().log_id();
    let pages = Arc::new(Pages::new(source, SharedIndex::new(links), (limits.reads, limits.held_bytes)));
    let writer = Arc::new(Writer::new(writing, Arc::clone(&pages), clock, limits.append));
    let reading = Arc::new(Reading { pages, tail, clock, stop: stop.clone(), stall: limits.stall });
    let (read, written) = (Arc::clone(&reading), Arc::clone(&writer));
    let groups = Arc::new(Groups::new(Shared { reading: read, writer: written, checkpoints }));
    let front = Front {
        gate: Gate::new(authority),
        discovery: Discovery { advertise, listens, clock, instance },
        reading,
        writer,
        groups: Arc::clone(&groups),
        calls: Pool::new(limits.calls),
        subscriptions: Arc::new(Pool::new(limits.subscriptions)),
        batches: Arc::new(Semaphore::new(limits.batches.max(1))),
        refused_batches: Arc::new(Semaphore::new(REFUSED_BATCHES)),
        batch_bytes: Arc::new(Semaphore::new(BATCHES_BYTES >> 10)),
        limits,
        clock,
        stop,
    };
    (Arc::new(front), groups)
}

/// Who answers, and who is told of it.
#[derive(Clone)]
struct Answers {
    front: Arc<Front>,
    served: Option<Arc<Served>>,
}

impl Answers {
    async fn answer(self, request: http::Request<Incoming>, here: &Connection) -> http::Response<Body> {
        let request = request.map(Body::new);
        let called = self.served.map(|served| (served, method(request.uri().path()), Instant::now()));
        let answer = self.front.answer(request, here).await;
        if let Some((served, method, since)) = called {
            served(method, since.elapsed());
        }
        answer
    }
}

/// The name of what is called, as operators know it.
fn method(path: &str) -> &'static str {
    /// By the end of the path; the whole of a service counts as one where nobody asks for more.
    const NAMES: [(&str, &str); 9] = [
        ("client.streams.Streams/Read", "Read"),
        ("client.streams.Streams/Append", "Append"),
        ("client.streams.Streams/BatchAppend", "BatchAppend"),
        ("client.streams.Streams/Delete", "Delete"),
        ("client.streams.Streams/Tombstone", "Tombstone"),
        ("StreamsService/AppendSession", "AppendSession"),
        ("StreamsService/AppendRecords", "AppendRecords"),
        ("ServerFeatures/GetSupportedMethods", "ServerFeatures"),
        ("Gossip/Read", "Gossip"),
    ];
    let by_end = NAMES.iter().find(|(end, _)| path.ends_with(end)).map(|(_, name)| *name);
    by_end.unwrap_or(if path.contains("PersistentSubscriptions/") {
        "PersistentSubscriptions"
    } else {
        "other"
    })
}

/// One connection, from hello to end.
async fn connection(tcp: TcpStream, tls: Option<TlsAcceptor>, answers: Answers, with: (Limits, Watcher)) {
    let (limits, watcher) = with;
    let from = tcp.peer_addr().map(|address| address.to_string()).unwrap_or_default();
    let here = Arc::new(Connection::new(from));
    let wire = Wire::new(tcp, limits.quiet);
    let Some(tls) = tls else { return exchange(wire, here, answers, (limits, watcher)).await };
    match tokio::time::timeout(limits.hello, tls.accept(wire)).await {
        Ok(Ok(secure)) => exchange(secure, here, answers, (limits, watcher)).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn exchange<I>(io: I, here: Arc<Connection>, answers: Answers, with: (Limits, Watcher))
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (limits, watcher) = with;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.hello);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .initial_stream_window_size(CALL_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(limits.calls_per_connection)
        .max_send_buf_size(SEND_BYTES)
        .max_header_list_size(HEADER_BYTES);
    let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
        let (answers, here) = (answers.clone(), Arc::clone(&here));
        async move { Ok::<_, std::convert::Infallible>(answers.answer(request, &here).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(io), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended");
    }
}
