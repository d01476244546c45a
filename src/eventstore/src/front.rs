//! Which call goes where, who may make it, and how many at once.
//!
//! Discovery is answered to anyone and never refused, because a refusal ends some clients for ever. Every other call is
//! checked and counted here before anything of it is read, and who may not write is told so before that counts, or, in
//! batches, without counting among those who may. A few
//! plain HTTP questions are answered on the same port. What a crash means: nothing; nothing is kept.

use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::{Method, Request, Response, StatusCode, header};
use prooflog_events::ids::Micros;
use tokio::sync::{Semaphore, watch};
use tonic::body::Body;
use tonic::codec::Codec;
use tonic::server::Grpc;
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;
use tower::Service as _;

use crate::append;
use crate::authority::{Caller, Connection, Gate};
use crate::batch;
use crate::codec::{Brief, Encoded};
use crate::discovery::{Discovery, ReachedBy, VERSION};
use crate::error::Refusal;
use crate::groups::{Groups, Seen, Service};
use crate::held::{Place, Pool, Share};
use crate::io::Timed;
use crate::limits::{HELLO_BYTES, Limits, NAME_CHARS, QUESTION_BYTES};
use crate::read::Reading;
use crate::session;
use crate::trailer;
use crate::wire::gossip::gossip_server::GossipServer;
use crate::wire::persistent_subscriptions::persistent_subscriptions_server::PersistentSubscriptionsServer;
use crate::wire::server_features::server_features_server::ServerFeaturesServer;
use crate::wire::streams::read_req::options::CountOption;
use crate::wire::streams::{
    AppendReq, AppendResp, BatchAppendReq, BatchAppendResp, DeleteReq, DeleteResp, ReadReq, TombstoneReq,
    TombstoneResp,
};
use crate::wire::v2::{AppendRecordsRequest, AppendRecordsResponse, AppendRequest, AppendSessionResponse};
use crate::writer::Writer;

/// Everything that answers calls.
pub(crate) struct Front {
    pub(crate) gate: Gate,
    pub(crate) discovery: Discovery,
    pub(crate) reading: Arc<Reading>,
    pub(crate) writer: Arc<Writer>,
    pub(crate) groups: Arc<Groups>,
    pub(crate) limits: Limits,
    pub(crate) calls: Pool,
    pub(crate) subscriptions: Arc<Pool>,
    pub(crate) batches: Arc<Semaphore>,
    /// Of those who may not write, and are told so for each append.
    pub(crate) refused_batches: Arc<Semaphore>,
    /// KiB that all of those hold.
    pub(crate) batch_bytes: Arc<Semaphore>,
    pub(crate) clock: fn() -> Micros,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Front {
    /// Answers one request.
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: Request<Body>,
        connection: &Connection,
    ) -> Response<Body> {
        let is_grpc = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        if !is_grpc {
            return self.plain(&request);
        }
        let path = request.uri().path().to_owned();
        let path = path.trim_start_matches('/');
        let (service, method) = path.split_once('/').unwrap_or((path, ""));
        match service {
            "event_store.client.server_features.ServerFeatures" | "event_store.client.gossip.Gossip" => {
                self.discover(service, request).await
            }
            "event_store.client.streams.Streams"
            | "event_store.client.persistent_subscriptions.PersistentSubscriptions"
            | "kurrentdb.protocol.v2.streams.StreamsService" => {
                let caller = match self.gate.caller(request.headers(), connection).await {
                    Ok(caller) => caller,
                    Err(refusal) => return refusal.status().into_http(),
                };
                if let Some(refused) = self.refuse_writing(method, &caller) {
                    return refused;
                }
                let Some(permit) = self.calls.try_take(caller.share(), 1) else {
                    return too_much("calls");
                };
                match service {
                    "event_store.client.streams.Streams" => {
                        self.streams(method, request, (caller, permit)).await
                    }
                    "kurrentdb.protocol.v2.streams.StreamsService" => {
                        self.v2(method, request, (caller, permit)).await
                    }
                    _ => self.persistent((method, request), &connection.from, (caller, permit)).await,
                }
            }
            _ => Status::unimplemented("there is no such service").into_http(),
        }
    }

    /// Why the caller may not write at all, if the method writes: nothing of what they say is read.
    fn refuse_writing(&self, method: &str, caller: &Caller) -> Option<Response<Body>> {
        let tell = match method {
            "Append" | "Delete" | "Tombstone" => Refusal::status,
            "AppendSession" | "AppendRecords" => trailer::status,
            _ => return None,
        };
        self.writer.admit(caller).err().map(|refusal| tell(&refusal).into_http())
    }

    async fn discover(&self, service: &str, mut request: Request<Body>) -> Response<Body> {
        let by = request.uri().authority().map(ToString::to_string).or_else(|| {
            request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned)
        });
        if let Some(by) = by {
            request.extensions_mut().insert(ReachedBy(by));
        }
        let request = self.timed(request);
        if service.ends_with("Gossip") {
            let server = GossipServer::new(self.discovery.clone());
            infallible(server.max_decoding_message_size(HELLO_BYTES).call(request).await)
        } else {
            let server = ServerFeaturesServer::new(self.discovery.clone());
            infallible(server.max_decoding_message_size(HELLO_BYTES).call(request).await)
        }
    }

    /// The same, its only message coming in time.
    fn timed(&self, request: Request<Body>) -> Request<Body> {
        request.map(|body| Body::new(Timed::whole(body, self.limits.hello)))
    }

    /// A call whose messages hold events.
    fn writing<C: Codec>(&self, codec: C) -> Grpc<C> {
        Grpc::new(codec).max_decoding_message_size(self.limits.message_bytes)
    }

    async fn streams(&self, method: &str, request: Request<Body>, by: (Caller, Place)) -> Response<Body> {
        let (caller, permit) = by;
        let writer = Arc::clone(&self.writer);
        let patience = self.limits.append;
        match method {
            "Read" => {
                let reading = Arc::clone(&self.reading);
                let subscriptions = Arc::clone(&self.subscriptions);
                let share = caller.share();
                let read = move |request: tonic::Request<ReadReq>| async move {
                    let request = request.into_inner();
                    let permit = permit_to_read(&request, (permit, share), &subscriptions)?;
                    reading.read(request, (permit, share)).await.map(tonic::Response::new)
                };
                let request = self.timed(request);
                Box::pin(asking(Encoded::<ReadReq>::default()).server_streaming(Once::new(read), request))
                    .await
            }
            "Append" => {
                let mut grpc = self.writing(Brief::<AppendReq, AppendResp>::default());
                let append = move |request: tonic::Request<Streaming<AppendReq>>| async move {
                    let _permit = permit;
                    let answer = append::append(&writer, &caller, request.into_inner(), patience).await;
                    answer.map(tonic::Response::new)
                };
                Box::pin(grpc.client_streaming(Once::new(append), request)).await
            }
            "BatchAppend" => {
                // Some clients keep this call for as long as they live.
                drop(permit);
                let refused = self.writer.admit(&caller).err();
                let is_refused = refused.is_some();
                let places = if is_refused { &self.refused_batches } else { &self.batches };
                let permit = match (Arc::clone(places).try_acquire_owned(), refused) {
                    (Ok(permit), _) => permit,
                    (Err(_), Some(refused)) => return refused.status().into_http(),
                    (Err(_), None) => return too_much("batches"),
                };
                let codec = ProstCodec::<BatchAppendResp, BatchAppendReq>::default();
                // Of who may not write nothing is kept, and little is read.
                let mut grpc = if is_refused { asking(codec) } else { self.writing(codec) };
                let (clock, stop) = (self.clock, self.stop.clone());
                let bytes = Arc::clone(&self.batch_bytes);
                let call = batch::Call { writer, caller, clock, patience, stop, bytes, permit };
                let append = move |request: tonic::Request<Streaming<BatchAppendReq>>| async move {
                    Ok(tonic::Response::new(batch::batch_append(call, request.into_inner())))
                };
                Box::pin(grpc.streaming(Once::new(append), request)).await
            }
            "Delete" => {
                let delete = move |request: tonic::Request<DeleteReq>| async move {
                    let _permit = permit;
                    append::delete(&writer, &caller, request.into_inner()).await.map(tonic::Response::new)
                };
                let codec = ProstCodec::<DeleteResp, DeleteReq>::default();
                Box::pin(asking(codec).unary(Once::new(delete), self.timed(request))).await
            }
            "Tombstone" => {
                let tombstone = move |request: tonic::Request<TombstoneReq>| async move {
                    let _permit = permit;
                    append::tombstone(&writer, &caller, request.into_inner()).await.map(tonic::Response::new)
                };
                let codec = ProstCodec::<TombstoneResp, TombstoneReq>::default();
                Box::pin(asking(codec).unary(Once::new(tombstone), self.timed(request))).await
            }
            _ => Status::unimplemented("there is no such method").into_http(),
        }
    }

    async fn v2(&self, method: &str, request: Request<Body>, by: (Caller, Place)) -> Response<Body> {
        let (caller, permit) = by;
        let writer = Arc::clone(&self.writer);
        let patience = self.limits.append;
        match method {
            "AppendSession" => {
                let codec = Brief::<AppendRequest, AppendSessionResponse>::default();
                let mut grpc = self.writing(codec);
                let append = move |request: tonic::Request<Streaming<AppendRequest>>| async move {
                    let _permit = permit;
                    let answer = session::session(&writer, &caller, request.into_inner(), patience).await;
                    answer.map(tonic::Response::new)
                };
                Box::pin(grpc.client_streaming(Once::new(append), request)).await
            }
            "AppendRecords" => {
                let codec = Brief::<AppendRecordsRequest, AppendRecordsResponse>::default();
                let mut grpc = self.writing(codec);
                let append = move |request: tonic::Request<AppendRecordsRequest>| async move {
                    let _permit = permit;
                    session::records(&writer, &caller, request.into_inner()).await.map(tonic::Response::new)
                };
                Box::pin(grpc.unary(Once::new(append), self.timed(request))).await
            }
            _ => Status::unimplemented("there is no such method").into_http(),
        }
    }

    async fn persistent(
        &self,
        (method, request): (&str, Request<Body>),
        from: &str,
        by: (Caller, Place),
    ) -> Response<Body> {
        let (caller, permit) = by;
        if let Err(refused) = self.groups.admit(method, &caller) {
            return refused.status().into_http();
        }
        // Consumers are counted with the subscriptions.
        let (place, request) = match method {
            "Read" => match self.subscriptions.try_take(caller.share(), 1) {
                Some(place) => (place, request),
                None => return too_much("subscriptions"),
            },
            _ => (permit, self.timed(request)),
        };
        let name = request.headers().get("connection-name").and_then(|name| name.to_str().ok());
        let connection = name.unwrap_or_default().chars().take(NAME_CHARS).collect();
        let seen = Seen { from: from.to_owned(), connection };
        let (groups, hello) = (Arc::clone(&self.groups), self.limits.hello);
        let service = Service { groups, caller, seen, place: Mutex::new(Some(place)), hello };
        let server = PersistentSubscriptionsServer::new(service);
        infallible(server.max_decoding_message_size(QUESTION_BYTES).call(request).await)
    }

    /// What is asked over plain HTTP: whether the server lives, what it is, who else there is.
    fn plain(&self, request: &Request<Body>) -> Response<Body> {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let (status, json) = match (request.method(), request.uri().path()) {
            (&Method::GET, "/health/live") => (StatusCode::NO_CONTENT, None),
            (&Method::GET, "/info") => (
                StatusCode::OK,
                Some(serde_json::json!({ "dbVersion": VERSION, "esVersion": VERSION, "state": "leader" })),
            ),
            (&Method::GET, "/gossip") => {
                let (address, port) = self.discovery.address(host);
                let member = serde_json::json!({
                    "state": "Leader",
                    "isAlive": true,
                    "httpEndPointIp": address,
                    "httpEndPointPort": port,
                });
                (StatusCode::OK, Some(serde_json::json!({ "members": [member] })))
            }
            _ => (StatusCode::NOT_FOUND, None),
        };
        let mut response = Response::new(json.map_or_else(Body::empty, |json| Body::new(json.to_string())));
        *response.status_mut() = status;
        let kind = header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

/// A call whose messages hold no events.
fn asking<C: Codec>(codec: C) -> Grpc<C> {
    Grpc::new(codec).max_decoding_message_size(QUESTION_BYTES)
}

/// A read that ends is counted with the calls, a subscription by itself.
fn permit_to_read(
    request: &ReadReq,
    (permit, share): (Place, Share),
    subscriptions: &Pool,
) -> Result<Place, Status> {
    let count = request.options.as_ref().and_then(|options| options.count_option.as_ref());
    match count {
        Some(CountOption::Subscription(_)) => {
            let place = subscriptions.try_take(share, 1);
            place.ok_or_else(|| Status::unavailable(too_many("subscriptions")))
        }
        Some(CountOption::Count(_)) | None => Ok(permit),
    }
}

fn too_many(what: &str) -> String {
    format!("the server has too many {what} open")
}

fn too_much(what: &str) -> Response<Body> {
    Refusal::Unavailable(too_many(what)).status().into_http()
}

fn infallible(answer: Result<Response<Body>, std::convert::Infallible>) -> Response<Body> {
    answer.unwrap_or_else(|never| match never {})
}

/// A service for one call.
struct Once<F>(Option<F>);

impl<F> Once<F> {
    const fn new(answer: F) -> Self {
        Self(Some(answer))
    }
}

impl<F, A, M, R> tower::Service<tonic::Request<M>> for Once<F>
where
    F: FnOnce(tonic::Request<M>) -> A,
    A: Future<Output = Result<tonic::Response<R>, Status>>,
{
    type Response = tonic::Response<R>;
    type Error = Status;
    type Future = Either<A, Ready<Result<tonic::Response<R>, Status>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<M>) -> Self::Future {
        match self.0.take() {
            Some(answer) => Either::Left(answer(request)),
            None => Either::Right(ready(Err(Status::internal("the call was answered before")))),
        }
    }
}
