//! Appending to several streams at once.

use std::collections::BTreeMap;

use prooflog_eventstore::wire::google::rpc::ErrorInfo;
use prooflog_eventstore::wire::kurrent::rpc::TrailerStatus;
use prooflog_eventstore::wire::v2::consistency_check::{StreamState, Type};
use prooflog_eventstore::wire::v2::errors::{
    AppendConsistencyViolationErrorDetails, StreamRevisionConflictErrorDetails, consistency_violation,
};
use prooflog_eventstore::wire::v2::streams_service_client::StreamsServiceClient;
use prooflog_eventstore::wire::v2::{
    AppendRecord, AppendRecordsRequest, AppendRequest, AppendSessionResponse, ConsistencyCheck, SchemaFormat,
    SchemaInfo,
};
use prost::Message as _;
use prost_types::value::Kind;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::common::*;

type Client = StreamsServiceClient<InterceptedService<Channel, As>>;

async fn client(server: &Fixture, user: &'static str) -> Client {
    StreamsServiceClient::with_interceptor(server.channel().await, As(user))
        .max_encoding_message_size(32 << 20)
}

fn record(id: u128, name: &str) -> AppendRecord {
    let text = |text: &str| prost_types::Value { kind: Some(Kind::StringValue(text.to_owned())) };
    AppendRecord {
        record_id: Some(uuid::Uuid::from_u128(id).to_string()),
        properties: BTreeMap::from([("$correlationId".to_owned(), text("c-1"))]),
        schema: Some(SchemaInfo { format: SchemaFormat::Json.into(), name: name.to_owned(), id: None }),
        data: bytes::Bytes::from_static(b"{}"),
        stream: None,
    }
}

fn of(stream: &str, id: u128) -> AppendRecord {
    AppendRecord { stream: Some(stream.to_owned()), ..record(id, "A") }
}

fn to(stream: &str, expected: Option<i64>, records: Vec<AppendRecord>) -> AppendRequest {
    AppendRequest { stream: stream.to_owned(), records, expected_revision: expected }
}

fn checked(stream: &str, expected_state: i64) -> ConsistencyCheck {
    let state = StreamState { stream: stream.to_owned(), expected_state };
    ConsistencyCheck { r#type: Some(Type::StreamState(state)) }
}

async fn session(client: &mut Client, requests: Vec<AppendRequest>) -> Result<AppendSessionResponse, Status> {
    client.append_session(futures_util::stream::iter(requests)).await.map(tonic::Response::into_inner)
}

/// The trailer's details: it must repeat the status, and name the case last.
fn details(status: &Status) -> (ErrorInfo, String, Vec<u8>) {
    let trailer = TrailerStatus::decode(status.details()).unwrap();
    assert_eq!((trailer.code, trailer.message.as_str()), (status.code() as i32, status.message()));
    let first = trailer.details.first().unwrap();
    assert_eq!(first.type_url, "type.googleapis.com/google.rpc.ErrorInfo");
    let last = trailer.details.last().unwrap();
    (ErrorInfo::decode(&*first.value).unwrap(), last.type_url.clone(), last.value.clone())
}

#[tokio::test]
async fn several_streams_are_appended_together_or_not_at_all() {
    let server = start().await;
    let mut ann = client(&server, "ann").await;
    let requests = || {
        vec![
            to("notes-1", Some(-1), vec![record(1, "A"), record(2, "B")]),
            to("notes-2", None, vec![record(3, "C")]),
        ]
    };
    let done = session(&mut ann, requests()).await.unwrap();
    assert_eq!(done.position, 3);
    let revisions: Vec<(&str, i64)> =
        done.output.iter().map(|out| (out.stream.as_str(), out.stream_revision)).collect();
    assert_eq!(revisions, [("notes-1", 1), ("notes-2", 0)]);
    assert_eq!(session(&mut ann, requests()).await.unwrap(), done);
    // Revision 0 is an expectation, no revision is none.
    let conflict = session(
        &mut ann,
        vec![to("notes-2", None, vec![record(4, "A")]), to("notes-1", Some(0), vec![record(5, "A")])],
    );
    let status = conflict.await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let (info, kind, value) = details(&status);
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("STREAM_REVISION_CONFLICT", "streams"));
    assert_eq!(
        kind,
        "type.googleapis.com/kurrentdb.protocol.v2.streams.errors.StreamRevisionConflictErrorDetails"
    );
    let conflict = StreamRevisionConflictErrorDetails::decode(&*value).unwrap();
    assert_eq!((conflict.expected_revision, conflict.actual_revision), (0, 1));
    let shown = events(&mut server.client("").await, stream("notes-2")).await;
    assert_eq!(shown.len(), 1);
    let event = recorded(&shown[0]);
    assert_eq!(event.metadata["type"], "C");
    let about: serde_json::Value = serde_json::from_slice(&event.custom_metadata).unwrap();
    assert_eq!(
        about,
        serde_json::json!({ "$correlationId": "c-1", "$schema.name": "C", "$schema.format": "Json" })
    );
    server.stop().await;
}

#[tokio::test]
async fn a_session_names_a_stream_once_and_is_not_empty() {
    let server = start().await;
    let mut ann = client(&server, "ann").await;
    let twice = vec![to("notes-1", None, vec![record(1, "A")]), to("NOTES-1", None, vec![record(2, "A")])];
    let status = session(&mut ann, twice).await.unwrap_err();
    assert_eq!(
        (status.code(), details(&status).0.reason.as_str()),
        (Code::Aborted, "STREAM_ALREADY_IN_APPEND_SESSION")
    );
    let status = session(&mut ann, vec![]).await.unwrap_err();
    assert_eq!(
        (status.code(), details(&status).0.reason.as_str()),
        (Code::FailedPrecondition, "APPEND_SESSION_NO_REQUESTS")
    );
    let mut no_schema = record(1, "A");
    no_schema.schema = None;
    let mut no_value = record(1, "A");
    no_value.properties.insert("x".to_owned(), prost_types::Value { kind: None });
    let mut deep = prost_types::Value { kind: Some(Kind::BoolValue(true)) };
    for _ in 0..40 {
        deep =
            prost_types::Value { kind: Some(Kind::ListValue(prost_types::ListValue { values: vec![deep] })) };
    }
    let mut too_deep = record(1, "A");
    too_deep.properties.insert("x".to_owned(), deep);
    for request in [
        to("notes-1", None, vec![]),
        to("notes-1", Some(-3), vec![record(1, "A")]),
        to("", None, vec![record(1, "A")]),
        to("notes-1", None, vec![record(0, "A")]),
        to("notes-1", None, vec![record(1, "a b")]),
        to("notes-1", None, vec![no_schema]),
        to("notes-1", None, vec![no_value]),
        to("notes-1", None, vec![too_deep]),
    ] {
        let status = session(&mut ann, vec![request.clone()]).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{request:?}");
        assert_eq!(details(&status).0.domain, "server");
    }
    let mut large = record(1, "A");
    large.data = vec![b' '; (1 << 20) + 1].into();
    let status = session(&mut ann, vec![to("notes-1", None, vec![large])]).await.unwrap_err();
    assert_eq!(details(&status).0.reason, "APPEND_RECORD_SIZE_EXCEEDED");
    assert_eq!(server.stop().await.head().position.0, 0);
}

#[tokio::test]
async fn without_the_right_nothing_is_appended_and_the_error_is_typed() {
    let server = start().await;
    for (user, stream) in [("", "notes-1"), ("eve", "notes-1"), ("ann", "chain-1")] {
        let mut client = client(&server, user).await;
        let status = session(&mut client, vec![to(stream, None, vec![record(1, "A")])]).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
        let (info, kind, _) = details(&status);
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("ACCESS_DENIED", "server"));
        assert_eq!(kind, "type.googleapis.com/kurrent.rpc.AccessDeniedErrorDetails");
        let request = AppendRecordsRequest { records: vec![of(stream, 1)], checks: vec![] };
        assert_eq!(client.append_records(request).await.unwrap_err().code(), Code::PermissionDenied);
    }
    assert_eq!(server.stop().await.head().position.0, 0);
}

#[tokio::test]
async fn records_keep_the_order_of_the_request_and_checks_may_name_other_streams() {
    let server = start().await;
    server.engine("chain-1");
    let mut ann = client(&server, "ann").await;
    let request = AppendRecordsRequest {
        records: vec![of("notes-1", 1), of("notes-2", 2), of("notes-1", 3)],
        checks: vec![checked("chain-1", 0), checked("notes-1", -1)],
    };
    let done = ann.append_records(request).await.unwrap().into_inner();
    assert_eq!(done.position, 4);
    let revisions: Vec<(&str, i64)> =
        done.revisions.iter().map(|of| (of.stream.as_str(), of.revision)).collect();
    assert_eq!(revisions, [("notes-1", 1), ("notes-2", 0)]);
    let shown = events(&mut server.client("").await, all().at(2)).await;
    let ids: Vec<_> = shown.iter().map(|event| recorded(event).id.clone().unwrap()).collect();
    assert_eq!(ids, [text_id(1), text_id(2), text_id(3)]);
    let request = AppendRecordsRequest {
        records: vec![of("notes-3", 9)],
        checks: vec![
            checked("notes-1", 1),
            checked("chain-1", 7),
            checked("gone", -5),
            checked("notes-2", -1),
        ],
    };
    let status = ann.append_records(request).await.unwrap_err();
    let (info, _, value) = details(&status);
    assert_eq!(info.reason, "APPEND_CONSISTENCY_VIOLATION");
    let violations = AppendConsistencyViolationErrorDetails::decode(&*value).unwrap().violations;
    let found: Vec<_> = violations
        .iter()
        .map(|violation| {
            let consistency_violation::Type::StreamState(state) = violation.r#type.as_ref().unwrap();
            (violation.check_index, state.stream.as_str(), state.expected_state, state.actual_state)
        })
        .collect();
    assert_eq!(found, [(1, "chain-1", 7, 0), (2, "gone", -5, -1), (3, "notes-2", -1, 0)]);
    for checks in [
        vec![checked("a", -2)],
        vec![checked("a", -1), checked("a", -1)],
        vec![ConsistencyCheck { r#type: None }],
    ] {
        let request = AppendRecordsRequest { records: vec![of("notes-3", 9)], checks };
        assert_eq!(ann.append_records(request).await.unwrap_err().code(), Code::InvalidArgument);
    }
    assert_eq!(server.stop().await.head().position.0, 4);
}

#[tokio::test]
async fn known_ids_beside_new_ones_are_a_conflict_of_their_stream() {
    let server = start().await;
    let mut ann = client(&server, "ann").await;
    let request = |records| AppendRecordsRequest { records, checks: vec![] };
    ann.append_records(request(vec![of("notes-1", 1)])).await.unwrap();
    let mixed = ann.append_records(request(vec![of("notes-1", 1), of("notes-1", 2)])).await.unwrap_err();
    let (info, kind, detail) = details(&mixed);
    assert_eq!((mixed.code(), &*info.reason), (Code::FailedPrecondition, "STREAM_REVISION_CONFLICT"));
    assert!(kind.ends_with("StreamRevisionConflictErrorDetails"), "{kind}");
    let detail = StreamRevisionConflictErrorDetails::decode(&*detail).unwrap();
    assert_eq!((&*detail.stream, detail.actual_revision), ("notes-1", 0));
    // And so it is where checks of other streams hold.
    let checks = vec![checked("notes-2", -1)];
    let records = vec![of("notes-1", 1), of("notes-1", 2)];
    let mixed = ann.append_records(AppendRecordsRequest { records, checks }).await.unwrap_err();
    assert_eq!(details(&mixed).0.reason, "STREAM_REVISION_CONFLICT");
    assert_eq!(server.stop().await.head().position.0, 1);
}

#[tokio::test]
async fn who_may_not_write_is_refused_before_a_message_comes() {
    for (writes, user) in [(true, "eve"), (true, ""), (false, "ann")] {
        let server = start_with(|server| {
            server.writing = server.writing.take().filter(|_| writes);
        })
        .await;
        let mut grpc = tonic::client::Grpc::new(InterceptedService::new(server.channel().await, As(user)));
        grpc.ready().await.unwrap();
        let never = futures_util::stream::pending::<AppendRecordsRequest>();
        let path = http::uri::PathAndQuery::from_static(
            "/kurrentdb.protocol.v2.streams.StreamsService/AppendRecords",
        );
        let codec = tonic_prost::ProstCodec::<AppendRecordsRequest, AppendSessionResponse>::default();
        let refused = grpc.client_streaming(tonic::Request::new(never), path, codec).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        server.stop().await;
    }
}
