//! The same protocol with nothing behind it: what the clients and the transport allow.
//!
//! Appends are counted and answered as soon as they have come; reads are answered with frames made before. No rights,
//! no metadata, no expectations, no filters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use prooflog_eventstore::wire::client::uuid::Value;
use prooflog_eventstore::wire::client::{Empty, StreamIdentifier, Uuid};
use prooflog_eventstore::wire::server_features::SupportedMethods;
use prooflog_eventstore::wire::server_features::server_features_server::{
    ServerFeatures, ServerFeaturesServer,
};
use prooflog_eventstore::wire::streams::append_resp::success::{CurrentRevisionOption, PositionOption};
use prooflog_eventstore::wire::streams::append_resp::{self, Success};
use prooflog_eventstore::wire::streams::read_resp::read_event::{Position, RecordedEvent};
use prooflog_eventstore::wire::streams::read_resp::{Content, ReadEvent};
use prooflog_eventstore::wire::streams::{AppendReq, AppendResp, ReadReq, ReadResp};
use prooflog_eventstore::{Encoded, Wire};
use prost::Message as _;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::Outcome;

/// Longer than any benchmark.
const QUIET: Duration = Duration::from_secs(3_600);
/// As the server that is measured against it.
const CALL_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Bytes of an event.
const EVENT_BYTES: usize = 256;

/// Serves `events` events that are not there.
pub(super) async fn serve(listener: TcpListener, events: u64, stop: impl Future<Output = ()>) -> Outcome<()> {
    let frames = (1..=events).map(frame).collect();
    let ceiling = Ceiling { frames, appended: Arc::new(AtomicU64::new(events)) };
    let incoming = stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await.map(|(tcp, _)| Wire::new(tcp, QUIET));
        Some((accepted, listener))
    });
    tonic::transport::Server::builder()
        .initial_stream_window_size(CALL_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .add_service(ServerFeaturesServer::new(ceiling.clone()))
        .add_service(ceiling)
        .serve_with_incoming_shutdown(incoming, stop)
        .await?;
    Ok(())
}

/// An event as a client is shown it.
fn frame(position: u64) -> Bytes {
    let id = uuid::Uuid::from_u128(u128::from(position)).hyphenated().to_string();
    let metadata = [
        ("type", "Measured"),
        ("content-type", "application/octet-stream"),
        ("created", "17000000000000000"),
    ];
    let event = RecordedEvent {
        id: Some(Uuid { value: Some(Value::String(id)) }),
        stream_identifier: Some(StreamIdentifier { stream_name: Bytes::from_static(b"notes-1") }),
        stream_revision: position - 1,
        prepare_position: position,
        commit_position: position,
        metadata: metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        custom_metadata: Bytes::new(),
        data: vec![7; EVENT_BYTES].into(),
    };
    let shown =
        ReadEvent { event: Some(event), link: None, position: Some(Position::CommitPosition(position)) };
    ReadResp { content: Some(Content::Event(shown)) }.encode_to_vec().into()
}

#[derive(Clone)]
struct Ceiling {
    frames: Arc<[Bytes]>,
    appended: Arc<AtomicU64>,
}

impl Ceiling {
    async fn append(self, request: Request<Streaming<AppendReq>>) -> Result<Response<AppendResp>, Status> {
        let mut requests = request.into_inner();
        let mut events = 0_u64;
        while requests.message().await?.is_some() {
            events += 1;
        }
        // The first message holds no event.
        let at =
            self.appended.fetch_add(events.saturating_sub(1), Ordering::Relaxed) + events.saturating_sub(1);
        let position = append_resp::Position { commit_position: at, prepare_position: at };
        let success = Success {
            current_revision_option: Some(CurrentRevisionOption::CurrentRevision(at)),
            position_option: Some(PositionOption::Position(position)),
        };
        Ok(Response::new(AppendResp { result: Some(append_resp::Result::Success(success)) }))
    }

    fn read(self) -> BoxStream<'static, Result<Bytes, Status>> {
        let frames = self.frames;
        stream::iter(0..frames.len())
            .filter_map(move |at| std::future::ready(frames.get(at).cloned().map(Ok)))
            .boxed()
    }
}

#[tonic::async_trait]
impl ServerFeatures for Ceiling {
    async fn get_supported_methods(&self, _: Request<Empty>) -> Result<Response<SupportedMethods>, Status> {
        let event_store_server_version = "25.1.0".to_owned();
        Ok(Response::new(SupportedMethods { methods: Vec::new(), event_store_server_version }))
    }
}

impl tonic::server::NamedService for Ceiling {
    const NAME: &'static str = "event_store.client.streams.Streams";
}

impl tower::Service<http::Request<Body>> for Ceiling {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path().rsplit('/').next() {
                Some("Append") => {
                    let append = tower::service_fn(move |request| this.clone().append(request));
                    let mut grpc = Grpc::new(ProstCodec::<AppendResp, AppendReq>::default());
                    grpc.client_streaming(append, request).await
                }
                Some("Read") => {
                    let read = tower::service_fn(move |_: Request<ReadReq>| {
                        let answers = this.clone().read();
                        async move { Ok::<_, Status>(Response::new(answers)) }
                    });
                    Grpc::new(Encoded::<ReadReq>::default()).server_streaming(read, request).await
                }
                _ => Status::unimplemented("there is nothing else here").into_http(),
            })
        })
    }
}
