//! Clients that mean harm: who stops reading, who sends garbage, who only connects, who sends what is far too large.
//!
//! Each goes on until the process is killed; whatever the server says to it, it begins again. That all of a kind have
//! begun is said by one word on the output.
#![expect(clippy::print_stdout, reason = "the word is what the benchmark waits for")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use clap::{Args, ValueEnum};
use prooflog_eventstore::wire::client::{Empty, StreamIdentifier};
use prooflog_eventstore::wire::streams::append_req::options::ExpectedStreamRevision;
use prooflog_eventstore::wire::streams::read_req::Options;
use prooflog_eventstore::wire::streams::read_req::options::{
    AllOptions, CountOption, FilterOption, ReadDirection, StreamOption, SubscriptionOptions, UuidOption,
    all_options, uuid_option,
};
use prooflog_eventstore::wire::streams::streams_client::StreamsClient;
use prooflog_eventstore::wire::streams::{AppendReq, ReadReq, append_req};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::body::Body;
use tonic::transport::Endpoint;
use tower::Service as _;

use crate::Outcome;
use crate::rng::Rng;

/// What is said when all have begun.
pub(crate) const READY: &str = "ready";
/// Connections of those who stop reading, each with a subscription to everything and a read of everything.
const STALLED: usize = 64;
/// Those who send garbage, and those who send what is too large.
const BUSY: usize = 4;
/// What is too large.
const LARGE_BYTES: usize = 100 << 20;
/// Before somebody who was refused comes back.
const REST: Duration = Duration::from_millis(20);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A frame of settings without any.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const PING: u8 = 6;

/// What they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Stalled,
    Garbage,
    Idle,
    Large,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Stalled, Self::Garbage, Self::Idle, Self::Large];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stalled => "stalled",
            Self::Garbage => "garbage",
            Self::Idle => "idle",
            Self::Large => "large",
        }
    }

    pub(crate) fn words(self, connections: usize) -> String {
        match self {
            Self::Stalled => format!("{STALLED} subscribers and {STALLED} readers who stopped reading"),
            Self::Garbage => format!("{BUSY} who send garbage"),
            Self::Idle => format!("{connections} idle connections"),
            Self::Large => format!("{BUSY} who send messages of 100 MB"),
        }
    }
}

/// Be what the server must bear.
#[derive(Debug, Args)]
pub(crate) struct Hostile {
    /// The server.
    #[arg(long)]
    address: SocketAddr,
    /// What to do.
    #[arg(long)]
    kind: Kind,
    /// How many only connect.
    #[arg(long)]
    connections: usize,
}

/// Runs until it is killed.
///
/// # Errors
/// When the server is not there.
pub(crate) fn run(args: &Hostile) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = args.address;
    runtime.block_on(async {
        match args.kind {
            Kind::Stalled => stalled(address).await?,
            Kind::Garbage => (1..=BUSY as u64).for_each(|seed| drop(tokio::spawn(garbage(address, seed)))),
            Kind::Idle => idle(address, args.connections).await?,
            Kind::Large => {
                let body = large_body();
                (0..BUSY).for_each(|_| drop(tokio::spawn(large(address, body.clone()))));
            }
        }
        println!("{READY}");
        std::future::pending::<Outcome<()>>().await
    })
}

fn everything(count: CountOption) -> ReadReq {
    let all = AllOptions { all_option: Some(all_options::AllOption::Start(Empty {})) };
    let options = Options {
        read_direction: ReadDirection::Forwards.into(),
        resolve_links: false,
        uuid_option: Some(UuidOption { content: Some(uuid_option::Content::String(Empty {})) }),
        control_option: None,
        stream_option: Some(StreamOption::All(all)),
        count_option: Some(count),
        filter_option: Some(FilterOption::NoFilter(Empty {})),
    };
    ReadReq { options: Some(options) }
}

/// Takes the first answer of everything and then no more.
async fn stalled(address: SocketAddr) -> Outcome<()> {
    for _ in 0..STALLED {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
        for count in [CountOption::Subscription(SubscriptionOptions {}), CountOption::Count(u64::MAX)] {
            let mut client = StreamsClient::new(channel.clone());
            let mut answers = client.read(everything(count)).await?.into_inner();
            answers.message().await?;
            // Held for as long as the process lives, and never asked again.
            tokio::spawn(async move {
                std::future::pending::<()>().await;
                drop((client, answers));
            });
        }
    }
    Ok(())
}

/// Random bytes, on the connection itself and as a message.
async fn garbage(address: SocketAddr, seed: u64) -> Infallible {
    let mut rng = Rng::new(seed);
    loop {
        let Ok(mut tcp) = TcpStream::connect(address).await else {
            tokio::time::sleep(REST).await;
            continue;
        };
        let bytes = rng.bytes::<4_096>();
        let greets = rng.chance(500);
        let greeting: &[u8] =
            if greets { PREFACE } else { b"POST /event_store.client.streams.Streams/Read HTTP/1.1\r\n" };
        let _ = tcp.write_all(greeting).await;
        let _ = tcp.write_all(&bytes).await;
        let mut rest = [0; 1_024];
        while tcp.read(&mut rest).await.is_ok_and(|count| count > 0) {}
    }
}

/// Says hello, answers pings and nothing else; half of them do not even say hello.
async fn idle(address: SocketAddr, connections: usize) -> Outcome<()> {
    for nth in 0..connections {
        let mut tcp = TcpStream::connect(address).await?;
        if nth % 2 == 0 {
            tcp.write_all(PREFACE).await?;
            tcp.write_all(SETTINGS).await?;
        }
        tokio::spawn(async move {
            let mut head = [0; 9];
            let mut body = vec![0; 1 << 14];
            while tcp.read_exact(&mut head).await.is_ok() {
                let [high, middle, low, kind, flags, ..] = head;
                let length = u32::from_be_bytes([0, high, middle, low]) as usize;
                let Some(body) = body.get_mut(..length) else { return };
                if tcp.read_exact(body).await.is_err() {
                    return;
                }
                if kind == PING && flags == 0 {
                    let answer = [&[0, 0, 8, PING, 1, 0, 0, 0, 0], &*body].concat();
                    if tcp.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            }
        });
    }
    Ok(())
}

/// Appends one event that is a hundred times too large, again and again.
async fn large(address: SocketAddr, body: Bytes) -> Infallible {
    loop {
        if let Err(error) = append_large(address, body.clone()).await {
            drop(error);
            tokio::time::sleep(REST).await;
        }
    }
}

/// The messages of such an append as they go over the wire. Made once: in life their making takes another machine's time.
fn large_body() -> Bytes {
    let stream_identifier = Some(StreamIdentifier { stream_name: Bytes::from_static(b"notes-1") });
    let expected_stream_revision = Some(ExpectedStreamRevision::Any(Empty {}));
    let options = append_req::Options { stream_identifier, expected_stream_revision };
    let message = append_req::ProposedMessage {
        id: None,
        metadata: Default::default(),
        custom_metadata: Bytes::new(),
        data: vec![7; LARGE_BYTES].into(),
    };
    let contents = [append_req::Content::Options(options), append_req::Content::ProposedMessage(message)];
    let mut body = BytesMut::with_capacity(LARGE_BYTES + 128);
    for content in contents {
        let message = AppendReq { content: Some(content) };
        body.put_u8(0);
        body.put_u32(u32::try_from(message.encoded_len()).unwrap_or(u32::MAX));
        body.extend_from_slice(&message.encode_to_vec());
    }
    body.freeze()
}

async fn append_large(address: SocketAddr, body: Bytes) -> Outcome<()> {
    let uri = format!("http://{address}/event_store.client.streams.Streams/Append");
    let mut channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
    let request = http::Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", "Basic YW5uOmNoYW5nZWl0")
        .body(Body::new(Whole(Some(body))))?;
    std::future::poll_fn(|cx| channel.poll_ready(cx)).await?;
    let answer = channel.call(request).await?;
    match answer.headers().get("grpc-status") {
        Some(refused) => Err(format!("{refused:?}").into()),
        None => Ok(()),
    }
}

/// A body in one piece.
struct Whole(Option<Bytes>);

impl http_body::Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(http_body::Frame::data(bytes))))
    }
}
