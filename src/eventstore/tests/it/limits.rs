//! What outsiders can do to the process: little.

use std::time::Duration;

use prooflog_eventstore::wire::client::Empty;
use prooflog_eventstore::wire::server_features::server_features_client::ServerFeaturesClient;
use prooflog_eventstore::wire::streams::AppendReq;
use prooflog_eventstore::wire::streams::read_resp::Content as Answer;
use prooflog_eventstore::wire::streams::streams_client::StreamsClient;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::Code;

use crate::common::*;

#[tokio::test]
async fn one_connection_too_many_is_closed_and_the_next_may_come() {
    let server = start_with(|server| server.limits.connections = 3).await;
    let mut idle = Vec::new();
    for _ in 0..3 {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    let mut fourth = TcpStream::connect(server.address).await.unwrap();
    let closed = tokio::time::timeout(PATIENCE, fourth.read(&mut [0; 8])).await.unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)));
    idle.clear();
    let patience = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Ok(channel) = server.endpoint().connect().await {
                let mut client = StreamsClient::with_interceptor(channel, As(""));
                if answers(&mut client, all()).await.is_ok() {
                    return;
                }
            }
            tokio::task::yield_now().await;
        }
    });
    patience.await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let server = start_with(|server| server.limits.quiet = Duration::from_millis(50)).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut half = TcpStream::connect(server.address).await.unwrap();
    half.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    for tcp in [&mut silent, &mut half] {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "still open");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_call_whose_message_does_not_come_ends() {
    let server = start_with(|server| server.limits.hello = Duration::from_millis(50)).await;
    let channel = server.channel().await;
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let never = futures_util::stream::pending::<Empty>();
    let path = http::uri::PathAndQuery::from_static("/event_store.client.streams.Streams/Read");
    let codec = tonic_prost::ProstCodec::<Empty, Empty>::default();
    let answer = grpc.streaming(tonic::Request::new(never), path, codec).await;
    let status = match answer {
        Err(status) => status,
        Ok(answers) => answers.into_inner().message().await.unwrap_err(),
    };
    assert_eq!(status.code(), Code::DeadlineExceeded);
    server.stop().await;
}

type HeldAppend = (mpsc::Sender<AppendReq>, JoinHandle<Result<(), tonic::Status>>);

/// An append whose first message is sent and whose next one is awaited.
async fn held_append(client: &Clients) -> HeldAppend {
    let (send, mut receive) = mpsc::channel(1);
    send.send(appending("notes-1", ANY, vec![])[0].clone()).await.unwrap();
    let mut client = client.clone();
    let requests = futures_util::stream::poll_fn(move |cx| receive.poll_recv(cx));
    (send, tokio::spawn(async move { client.append(requests).await.map(drop) }))
}

#[tokio::test]
async fn too_many_calls_and_subscriptions_are_told_so_and_discovery_still_answers() {
    let server = start_with(|server| {
        server.limits.calls = 2;
        server.limits.subscriptions = 2;
    })
    .await;
    let mut client = server.client("ann").await;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(client.read(request(all().followed())).await.unwrap());
    }
    let third = client.read(request(all().followed())).await.unwrap_err();
    assert_eq!(third.code(), Code::Unavailable);
    // Appends that wait for their next message. One that came while a read of ours was counted was refused: again.
    let mut appends = [held_append(&client).await, held_append(&client).await];
    let refused = tokio::time::timeout(PATIENCE, async {
        loop {
            for append in &mut appends {
                if append.1.is_finished() {
                    *append = held_append(&client).await;
                }
            }
            tokio::task::yield_now().await;
            if let Err(status) = answers(&mut client, all()).await
                && appends.iter().all(|append| !append.1.is_finished())
            {
                return status;
            }
        }
    });
    assert_eq!(refused.await.unwrap().code(), Code::Unavailable);
    ServerFeaturesClient::new(server.channel().await).get_supported_methods(Empty {}).await.unwrap();
    for (send, append) in appends {
        drop(send);
        append.await.unwrap().unwrap();
    }
    assert_eq!(answers(&mut client, all()).await.unwrap(), []);
    // A subscription that is over makes room for another.
    held.clear();
    let again = tokio::time::timeout(PATIENCE, async {
        while client.read(request(all().followed())).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    again.await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_its_call_and_nothing_else() {
    let server = start_with(|server| server.limits.message_bytes = 100_000).await;
    let mut ann = server.client("ann").await;
    let mut large = proposed(1, "A");
    large.data = vec![0; 200_000].into();
    let status = append(&mut ann, "notes-1", ANY, vec![large]).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    append(&mut ann, "notes-1", ANY, vec![proposed(1, "A")]).await.unwrap();
    assert_eq!(server.stop().await.head().position.0, 1);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_those_who_do_not_go() {
    let server = start_with(|server| server.limits.grace = Duration::from_millis(50)).await;
    let _silent = TcpStream::connect(server.address).await.unwrap();
    let mut ann = server.client("ann").await;
    let (send, mut receive) = mpsc::channel(1);
    send.send(appending("notes-1", ANY, vec![])[0].clone()).await.unwrap();
    let requests = futures_util::stream::poll_fn(move |cx| receive.poll_recv(cx));
    let append = tokio::spawn(async move { ann.append(requests).await });
    answers(&mut server.client("").await, all()).await.unwrap();
    server.stop().await;
    assert!(append.await.unwrap().is_err());
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_who_do_not_read_hold_little_memory() {
    let server = start().await;
    let mut payload = proposed(1, "A");
    payload.data = vec![b' '; 20_000].into();
    let mut ann = server.client("ann").await;
    for n in 0..100_u128 {
        let messages = (0..20).map(|m| {
            let mut message = payload.clone();
            message.id = Some(text_id(1 + n * 100 + m));
            message
        });
        append(&mut ann, "notes-1", ANY, messages.collect()).await.unwrap();
    }
    let before = resident();
    let mut held = Vec::new();
    for n in 0..200 {
        // A connection for each: one that does not read would hold up the others of its own.
        let endpoint =
            server.endpoint().initial_stream_window_size(65_535).initial_connection_window_size(65_535);
        let mut client = StreamsClient::with_interceptor(endpoint.connect().await.unwrap(), As(""));
        let options = if n % 2 == 0 { all() } else { all().followed() };
        let answers = client.read(request(options)).await.unwrap().into_inner();
        held.push((client, answers));
    }
    for (_, answers) in &mut held {
        // Each has begun, and then nobody reads on.
        assert!(matches!(next(answers).await, Answer::Event(_) | Answer::Confirmation(_)));
    }
    append(&mut ann, "notes-1", ANY, vec![proposed(1_000_000, "Last")]).await.unwrap();
    // 40 MB are there to be read by each of 200; a page for each is an eighth of a gigabyte.
    let grown = resident().saturating_sub(before);
    assert!(grown < 400 << 20, "{} MiB", grown >> 20);
    let (_, answers) = held.last_mut().unwrap();
    let mut count = 0;
    while recorded(&next_event(answers).await).metadata["type"] != "Last" {
        count += 1;
    }
    assert_eq!(count, 2_000);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_a_hundred_megabytes_is_refused_by_its_first_bytes() {
    let server = start().await;
    let before = resident();
    for path in [
        "/event_store.client.streams.Streams/Append",
        "/event_store.client.streams.Streams/BatchAppend",
        "/event_store.client.streams.Streams/Delete",
        "/event_store.client.streams.Streams/Read",
        "/event_store.client.gossip.Gossip/Read",
        "/kurrentdb.protocol.v2.streams.StreamsService/AppendSession",
        "/kurrentdb.protocol.v2.streams.StreamsService/AppendRecords",
    ] {
        for user in ["ann", "eve"] {
            let mut channel = server.channel().await;
            let request = http::Request::post(format!("http://{}{path}", server.address))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .header("authorization", format!("Basic {user}"))
                .body(tonic::body::Body::new(Megabytes { head: true, left: 100 }))
                .unwrap();
            let channel = tower::ServiceExt::ready(&mut channel).await.unwrap();
            let answer = tower::Service::call(channel, request).await.unwrap();
            let code = code(answer).await;
            // Out of range, or not allowed to append at all.
            assert!(code == "11" || (user == "eve" && code == "7"), "{path}, {user}: {code}");
        }
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 50 << 20, "{} MiB", grown >> 20);
    let mut ann = server.client("ann").await;
    append(&mut ann, "notes-1", ANY, vec![proposed(1, "A")]).await.unwrap();
    assert_eq!(server.stop().await.head().position.0, 1);
}

#[tokio::test]
async fn questions_are_short_and_so_is_what_somebody_without_the_right_may_say() {
    let server = start().await;
    let mut eve = server.client("eve").await;
    let long = "x".repeat(1 << 20);
    let refused = answers(&mut eve, all().filtered(prefix(&[&long]))).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    let many = "x".repeat(1_024);
    let most = vec![many.as_str(); 256];
    assert_eq!(answers(&mut eve, all().filtered(prefix(&most))).await.unwrap(), []);
    server.stop().await;
}

#[tokio::test]
async fn batches_are_limited_by_themselves() {
    let server = start_with(|server| server.limits.batches = 2).await;
    let mut ann = server.client("ann").await;
    let open = || futures_util::stream::pending();
    let (send, mut receive) = mpsc::channel(1);
    let requests = futures_util::stream::poll_fn(move |cx| receive.poll_recv(cx));
    let first = ann.batch_append(requests).await.unwrap();
    let _second = ann.batch_append(open()).await.unwrap();
    assert_eq!(ann.batch_append(open()).await.unwrap_err().code(), Code::Unavailable);
    // The others go on, and one that is over makes room for another.
    append(&mut ann, "notes-1", ANY, vec![proposed(1, "A")]).await.unwrap();
    drop((send, first));
    let again = tokio::time::timeout(PATIENCE, async {
        while ann.batch_append(open()).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    again.await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_hold_little_memory_and_nobody_up() {
    let server = start().await;
    let before = resident();
    let mut idle = Vec::new();
    for nth in 0..1_000 {
        let mut tcp = TcpStream::connect(server.address).await.unwrap();
        if nth % 2 == 0 {
            tcp.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        }
        idle.push(tcp);
    }
    let mut ann = server.client("ann").await;
    append(&mut ann, "notes-1", ANY, vec![proposed(1, "A")]).await.unwrap();
    assert_eq!(events(&mut ann, all()).await.len(), 1);
    let grown = resident().saturating_sub(before);
    assert!(grown < 100 << 20, "{} MiB", grown >> 20);
    drop(idle);
    server.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn garbage_closes_its_connection_and_the_server_lives(
        bytes in proptest::collection::vec(any::<u8>(), 1..400),
        preface in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = start().await;
            let mut tcp = TcpStream::connect(server.address).await.unwrap();
            if preface {
                tcp.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
            }
            let _ = tcp.write_all(&bytes).await;
            let _ = tcp.shutdown().await;
            assert!(answers(&mut server.client("").await, all()).await.unwrap().is_empty());
            server.stop().await;
        });
    }

    #[test]
    fn a_message_of_garbage_is_an_error_of_its_call(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = start().await;
            server.engine("chain-1");
            for path in [
                "/event_store.client.streams.Streams/Read",
                "/event_store.client.streams.Streams/Append",
                "/event_store.client.streams.Streams/BatchAppend",
                "/event_store.client.streams.Streams/Delete",
                "/kurrentdb.protocol.v2.streams.StreamsService/AppendSession",
                "/kurrentdb.protocol.v2.streams.StreamsService/AppendRecords",
            ] {
                let mut body = vec![0];
                body.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
                body.extend_from_slice(&bytes);
                let channel = server.channel().await;
                let request = http::Request::post(format!("http://{}{path}", server.address))
                    .header("content-type", "application/grpc")
                    .header("te", "trailers")
                    .header("authorization", "Basic ann")
                    .body(tonic::body::Body::new(http_body_util_full(body)))
                    .unwrap();
                let mut channel = channel;
                let answer = tower::ServiceExt::ready(&mut channel).await.unwrap();
                // Whatever it says, it says something, and the server goes on.
                let _ = tower::Service::call(answer, request).await.unwrap();
            }
            assert_eq!(events(&mut server.client("").await, all()).await.len(), 1);
            server.stop().await;
        });
    }
}

/// The status of an answer, at its beginning or at its end.
async fn code(answer: http::Response<tonic::body::Body>) -> String {
    let told =
        |headers: &http::HeaderMap| headers.get("grpc-status").map(|code| code.to_str().unwrap().to_owned());
    if let Some(code) = told(answer.headers()) {
        return code;
    }
    let mut body = std::pin::pin!(answer.into_body());
    while let Some(frame) = std::future::poll_fn(|cx| http_body::Body::poll_frame(body.as_mut(), cx)).await {
        if let Some(code) = frame.unwrap().trailers_ref().and_then(told) {
            return code;
        }
    }
    panic!("no status")
}

/// A message of so many megabytes, as it is framed.
struct Megabytes {
    head: bool,
    left: u32,
}

impl http_body::Body for Megabytes {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        static PIECE: [u8; 1 << 20] = [b' '; 1 << 20];
        let piece = if std::mem::take(&mut self.head) {
            let [a, b, c, d] = (self.left << 20).to_be_bytes();
            Some(bytes::Bytes::from(vec![0, a, b, c, d]))
        } else {
            self.left = self.left.wrapping_sub(1);
            (self.left < 100).then(|| bytes::Bytes::from_static(&PIECE))
        };
        std::task::Poll::Ready(piece.map(|piece| Ok(http_body::Frame::data(piece))))
    }
}

/// A body of one piece.
fn http_body_util_full(
    bytes: Vec<u8>,
) -> impl http_body::Body<Data = bytes::Bytes, Error = std::convert::Infallible> {
    struct Full(Option<bytes::Bytes>);
    impl http_body::Body for Full {
        type Data = bytes::Bytes;
        type Error = std::convert::Infallible;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
            std::task::Poll::Ready(self.0.take().map(|bytes| Ok(http_body::Frame::data(bytes))))
        }
    }
    Full(Some(bytes.into()))
}

#[tokio::test]
async fn calls_of_one_connection_beyond_its_limit_wait_for_the_others_of_it() {
    let server = start_with(|server| server.limits.calls_per_connection = 1).await;
    let mut client = server.client("").await;
    // The limit is said with the first answer.
    answers(&mut client, all()).await.unwrap();
    let held = client.read(request(all().followed())).await.unwrap();
    let mut second = tokio::spawn(async move { answers(&mut client, all()).await.map(drop) });
    for _ in 0..100 {
        answers(&mut server.client("").await, all()).await.unwrap();
    }
    assert!(!second.is_finished());
    drop(held);
    tokio::time::timeout(PATIENCE, &mut second).await.unwrap().unwrap().unwrap();
    server.stop().await;
}

#[tokio::test]
async fn headers_have_a_limit() {
    let server = start().await;
    let mut client = server.client("").await;
    for (bytes, fits) in [(8 << 10, true), (20 << 10, false)] {
        let mut read = tonic::Request::new(request(all()));
        read.metadata_mut().insert("x-long", "x".repeat(bytes).parse().unwrap());
        let mut answers = client.read(read).await.unwrap().into_inner();
        assert_eq!(answers.message().await.is_ok(), fits, "{bytes}");
    }
    answers(&mut client, all()).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_hello_that_is_not_finished_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let tls = prooflog_eventstore::Tls::made_in(dir.path()).unwrap();
    let server = start_with(|server| {
        server.tls = Some(tls);
        server.limits.hello = Duration::from_millis(50);
    })
    .await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut half = TcpStream::connect(server.address).await.unwrap();
    half.write_all(&[22, 3, 1, 2]).await.unwrap();
    for tcp in [&mut silent, &mut half] {
        let closed = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut Vec::new())).await;
        assert!(closed.is_ok(), "still open");
    }
    server.stop().await;
}
