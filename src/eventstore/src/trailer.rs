//! Errors of the second generation: a status, and details in the trailer `grpc-status-details-bin`.
//!
//! The detail that names the case is the last one, and the trailer repeats the status's code and message.

use bytes::Bytes;
use prost::Message as _;
use prost_types::Any;
use tonic::{Code, Status};

use crate::error::{Forever, Refusal, any, revision_number};
use crate::wire::google::rpc::{BadRequest, ErrorInfo, bad_request::FieldViolation};
use crate::wire::kurrent::rpc::{AccessDeniedErrorDetails, TrailerStatus};
use crate::wire::v2::errors::consistency_violation::{StreamStateViolation, Type};
use crate::wire::v2::errors::{
    AppendConsistencyViolationErrorDetails, AppendRecordSizeExceededErrorDetails,
    AppendTransactionSizeExceededErrorDetails, ConsistencyViolation,
    StreamAlreadyInAppendSessionErrorDetails, StreamDeletedErrorDetails, StreamRevisionConflictErrorDetails,
    StreamTombstonedErrorDetails,
};

const OF_STREAMS: &str = "streams";
const OF_SERVER: &str = "server";

/// A refusal as the second generation answers it.
pub(crate) fn status(refusal: &Refusal) -> Status {
    let text = refusal.text();
    let streams = |code, reason, detail| build((code, text.clone()), (reason, OF_STREAMS), detail);
    let server = |code, reason, detail| build((code, text.clone()), (reason, OF_SERVER), detail);
    match refusal {
        Refusal::AccessDenied => {
            let detail = AccessDeniedErrorDetails { operation: "append".to_owned(), ..Default::default() };
            let detail = any("kurrent.rpc.AccessDeniedErrorDetails", &detail);
            server(Code::PermissionDenied, "ACCESS_DENIED", Some(detail))
        }
        Refusal::Unauthenticated => Status::unauthenticated(text),
        Refusal::Deleted { stream, forever: Forever::Yes } => {
            let detail = StreamTombstonedErrorDetails { stream: stream.clone() };
            let detail = of_streams("StreamTombstonedErrorDetails", &detail);
            streams(Code::FailedPrecondition, "STREAM_TOMBSTONED", Some(detail))
        }
        Refusal::Deleted { stream, forever: Forever::No } => {
            let detail = of_streams(
                "StreamDeletedErrorDetails",
                &StreamDeletedErrorDetails { stream: stream.clone() },
            );
            streams(Code::FailedPrecondition, "STREAM_DELETED", Some(detail))
        }
        Refusal::WrongVersion { stream, expected, actual } => {
            let detail = StreamRevisionConflictErrorDetails {
                stream: stream.clone(),
                expected_revision: expected.number(),
                actual_revision: revision_number(*actual),
            };
            let detail = of_streams("StreamRevisionConflictErrorDetails", &detail);
            streams(Code::FailedPrecondition, "STREAM_REVISION_CONFLICT", Some(detail))
        }
        Refusal::EventTooLarge { stream, event_id, size, max } => {
            let detail = AppendRecordSizeExceededErrorDetails {
                stream: stream.clone(),
                record_id: event_id.clone(),
                size: narrow(*size),
                max_size: narrow(*max),
            };
            let detail = of_streams("AppendRecordSizeExceededErrorDetails", &detail);
            streams(Code::InvalidArgument, "APPEND_RECORD_SIZE_EXCEEDED", Some(detail))
        }
        Refusal::AppendTooLarge { size, max } => {
            let detail =
                AppendTransactionSizeExceededErrorDetails { size: narrow(*size), max_size: narrow(*max) };
            let detail = of_streams("AppendTransactionSizeExceededErrorDetails", &detail);
            streams(Code::Aborted, "APPEND_TRANSACTION_SIZE_EXCEEDED", Some(detail))
        }
        Refusal::MissingProperty
        | Refusal::Invalid(_)
        | Refusal::NoIndex(_)
        | Refusal::Group { .. }
        | Refusal::GroupSettings { .. } => {
            let violation = FieldViolation { field: String::new(), description: text.clone() };
            let detail = any("google.rpc.BadRequest", &BadRequest { field_violations: vec![violation] });
            server(Code::InvalidArgument, "BAD_REQUEST", Some(detail))
        }
        Refusal::Exhausted(_) | Refusal::Unavailable(_) => {
            server(Code::Unavailable, "SERVER_OVERLOADED", None)
        }
        Refusal::Timeout => timed_out(),
    }
}

/// It took too long.
pub(crate) fn timed_out() -> Status {
    let text = Refusal::Timeout.text();
    build((Code::DeadlineExceeded, text), ("OPERATION_TIMEOUT", OF_SERVER), None)
}

/// A session names a stream twice.
pub(crate) fn already_in_session(stream: &str) -> Status {
    let detail = StreamAlreadyInAppendSessionErrorDetails { stream: stream.to_owned() };
    let detail = of_streams("StreamAlreadyInAppendSessionErrorDetails", &detail);
    let text = format!("Stream '{stream}' is already part of this append session.");
    build((Code::Aborted, text), ("STREAM_ALREADY_IN_APPEND_SESSION", OF_STREAMS), Some(detail))
}

/// A session is empty.
pub(crate) fn no_requests() -> Status {
    let text = "An append session needs at least one request.".to_owned();
    build((Code::FailedPrecondition, text), ("APPEND_SESSION_NO_REQUESTS", OF_STREAMS), None)
}

/// Checks that do not hold: index, stream, expected state, actual state.
pub(crate) fn violations(found: Vec<(i32, String, i64, i64)>) -> Status {
    let violations = found.into_iter().map(|(check_index, stream, expected_state, actual_state)| {
        let state = StreamStateViolation { stream, expected_state, actual_state };
        ConsistencyViolation { check_index, r#type: Some(Type::StreamState(state)) }
    });
    let detail = AppendConsistencyViolationErrorDetails { violations: violations.collect() };
    let detail = of_streams("AppendConsistencyViolationErrorDetails", &detail);
    let text = "The append's consistency checks do not hold.".to_owned();
    build((Code::FailedPrecondition, text), ("APPEND_CONSISTENCY_VIOLATION", OF_STREAMS), Some(detail))
}

fn of_streams(name: &str, detail: &impl prost::Message) -> Any {
    any(&format!("kurrentdb.protocol.v2.streams.errors.{name}"), detail)
}

fn build(status: (Code, String), info: (&str, &str), detail: Option<Any>) -> Status {
    let (code, message) = status;
    let info = ErrorInfo { reason: info.0.to_owned(), domain: info.1.to_owned() };
    let details = std::iter::once(any("google.rpc.ErrorInfo", &info)).chain(detail).collect();
    let trailer = TrailerStatus { code: i32::from(code), message: message.clone(), details };
    Status::with_details(code, message, Bytes::from(trailer.encode_to_vec()))
}

fn narrow(size: usize) -> i32 {
    i32::try_from(size).unwrap_or(i32::MAX)
}
