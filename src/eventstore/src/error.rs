//! Why a call is refused, and how each generation of clients is told.
//!
//! The first generation reads the status and plain trailers, with `exception` naming the error; items of BatchAppend
//! carry a detail; the second generation reads details of its own from one binary trailer. Messages and trailers are
//! interface: released clients parse them. Nothing in here says what lies on disk where.

use prooflog_events::port::SequenceError;
use prost_types::Any;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use crate::wire::{client, google, streams};

/// What a client expected of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    Any,
    NoStream,
    Exists,
    Exact(u64),
    /// Only in the checks of the second generation.
    Deleted,
    /// Only in the checks of the second generation.
    Tombstoned,
}

impl Expect {
    /// As the number that stands in texts and in the second generation.
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::NoStream => -1,
            Self::Any => -2,
            Self::Exists => -4,
            Self::Deleted => -5,
            Self::Tombstoned => -6,
            Self::Exact(revision) => i64::try_from(revision).unwrap_or(i64::MAX),
        }
    }
}

/// A revision as the number that stands in texts: −1 for none.
pub(crate) fn revision_number(revision: Option<u64>) -> i64 {
    revision.map_or(-1, |revision| i64::try_from(revision).unwrap_or(i64::MAX))
}

/// Why a call does not do what it was asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Refusal {
    /// Somebody who may not.
    AccessDenied,
    /// The credentials are wrong.
    Unauthenticated,
    /// The stream was deleted.
    Deleted { stream: String, forever: Forever },
    /// The stream is not where it was expected to be.
    WrongVersion { stream: String, expected: Expect, actual: Option<u64> },
    /// The event alone is too large.
    EventTooLarge { stream: String, event_id: String, size: usize, max: usize },
    /// The events together are too large.
    AppendTooLarge { size: usize, max: usize },
    /// An event comes without its type or content type.
    MissingProperty,
    /// The request is not one.
    Invalid(String),
    /// The day's bytes, or the disk's, are used up.
    Exhausted(&'static str),
    /// Too much at once, or the log cannot be read or written now.
    Unavailable(String),
    /// It took too long.
    Timeout,
    /// There is no such index.
    NoIndex(String),
    /// Something is wrong with a persistent subscription.
    Group { stream: String, group: String, problem: Problem },
    /// A persistent subscription cannot be as it is asked for.
    GroupSettings { stream: String, group: String, reason: String },
}

/// What is wrong with a persistent subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// There is none; without a group's name: the stream has none at all.
    Missing,
    /// There is one already.
    Exists,
    /// It has as many consumers as it may have.
    Full,
    /// It was changed, deleted or restarted under its consumer, or the consumer asked for its own end.
    Dropped,
}

/// Whether a deleted stream may be written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forever {
    /// It may not.
    Yes,
    /// It may.
    No,
}

/// Asked to stop.
pub(crate) fn stopping() -> Status {
    Status::unavailable("the server is shutting down")
}

impl From<SequenceError> for Refusal {
    fn from(error: SequenceError) -> Self {
        // What exactly is wrong is for the operator, who reads the log of the process.
        tracing::error!(%error, "the log cannot be read");
        Self::Unavailable("the log cannot be read".to_owned())
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        refusal.status()
    }
}

impl Refusal {
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }

    /// As calls of the first generation answer it.
    pub(crate) fn status(&self) -> Status {
        let code = self.code();
        let Some(exception) = self.exception() else { return Status::new(code, self.text()) };
        let mut trailers = MetadataMap::new();
        put(&mut trailers, "exception", exception);
        match self {
            Self::Deleted { stream, .. } => put(&mut trailers, "stream-name", stream),
            Self::WrongVersion { stream, expected, actual } => {
                put(&mut trailers, "stream-name", stream);
                put(&mut trailers, "expected-version", &expected.number().to_string());
                put(&mut trailers, "actual-version", &revision_number(*actual).to_string());
            }
            Self::EventTooLarge { event_id, size, max, .. } => {
                put(&mut trailers, "event-id", event_id);
                put(&mut trailers, "maximum-append-event-size", &max.to_string());
                put(&mut trailers, "proposed-append-event-size", &size.to_string());
            }
            Self::AppendTooLarge { max, .. } => {
                put(&mut trailers, "maximum-append-size", &max.to_string());
            }
            Self::MissingProperty => {
                put(&mut trailers, "required-metadata-properties", "type,content-type");
            }
            Self::NoIndex(index) => put(&mut trailers, "index-name", index),
            Self::GroupSettings { stream, group, reason } => {
                put(&mut trailers, "stream-name", stream);
                put(&mut trailers, "group-name", group);
                put(&mut trailers, "reason", reason);
            }
            Self::Group { stream, group, .. } => {
                put(&mut trailers, "stream-name", stream);
                put(&mut trailers, "group-name", group);
            }
            _ => {}
        }
        Status::with_metadata(code, self.text(), trailers)
    }

    fn exception(&self) -> Option<&'static str> {
        match self {
            Self::AccessDenied => Some("access-denied"),
            Self::Deleted { .. } => Some("stream-deleted"),
            Self::WrongVersion { .. } => Some("wrong-expected-version"),
            Self::EventTooLarge { .. } => Some("maximum-append-event-size-exceeded"),
            Self::AppendTooLarge { .. } => Some("maximum-append-size-exceeded"),
            Self::MissingProperty => Some("missing-required-metadata-property"),
            Self::NoIndex(_) => Some("index-not-found"),
            Self::GroupSettings { .. } => Some("persistent-subscription-failed"),
            Self::Group { problem, .. } => Some(match problem {
                Problem::Missing => "persistent-subscription-does-not-exist",
                Problem::Exists => "persistent-subscription-exists",
                Problem::Full => "maximum-subscribers-reached",
                Problem::Dropped => "persistent-subscription-dropped",
            }),
            _ => None,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::AccessDenied => Code::PermissionDenied,
            Self::Unauthenticated => Code::Unauthenticated,
            Self::Deleted { .. } | Self::WrongVersion { .. } => Code::FailedPrecondition,
            Self::EventTooLarge { .. }
            | Self::AppendTooLarge { .. }
            | Self::MissingProperty
            | Self::Invalid(_) => Code::InvalidArgument,
            Self::Exhausted(_) => Code::ResourceExhausted,
            Self::Unavailable(_) => Code::Unavailable,
            Self::Timeout => Code::Aborted,
            Self::NoIndex(_) => Code::NotFound,
            // What the original server says; one client has a name for it.
            Self::GroupSettings { .. } => Code::Internal,
            Self::Group { problem, .. } => match problem {
                Problem::Missing => Code::NotFound,
                Problem::Exists => Code::AlreadyExists,
                Problem::Full => Code::FailedPrecondition,
                Problem::Dropped => Code::Cancelled,
            },
        }
    }

    /// For people, and for the Python client, which parses it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::AccessDenied => "Access Denied.".to_owned(),
            Self::Unauthenticated => "The credentials are not valid.".to_owned(),
            Self::Deleted { stream, .. } => format!("Event stream '{stream}' is deleted."),
            Self::WrongVersion { stream, expected, actual } => format!(
                "Append failed due to WrongExpectedVersion. Stream: {stream}, Expected version: {}, Actual version: {}",
                expected.number(),
                revision_number(*actual)
            ),
            Self::EventTooLarge { event_id, size, max, .. } => {
                format!("Event {event_id} has {size} bytes, at most {max} are accepted.")
            }
            Self::AppendTooLarge { max, .. } => {
                format!("An append holds at most {max} bytes, and at most 512 events.")
            }
            Self::MissingProperty => "Required Metadata Property Missing: type,content-type".to_owned(),
            Self::Invalid(text) | Self::Unavailable(text) => text.clone(),
            Self::Exhausted(what) => (*what).to_owned(),
            Self::Timeout => "The append took too long; it may still have happened.".to_owned(),
            Self::NoIndex(index) => format!("Index '{index}' does not exist."),
            Self::GroupSettings { stream, group, reason } => {
                format!("Group '{group}' on stream '{stream}' cannot be so: {reason}.")
            }
            Self::Group { stream, group, problem } => match problem {
                Problem::Missing if group.is_empty() => {
                    format!("Stream '{stream}' has no persistent subscriptions.")
                }
                Problem::Missing => format!("Group '{group}' on stream '{stream}' does not exist."),
                Problem::Exists => format!("Group '{group}' on stream '{stream}' exists."),
                Problem::Full => {
                    format!("Maximum subscriptions reached for subscription '{stream}::{group}'.")
                }
                Problem::Dropped => format!("Group '{group}' on stream '{stream}' was dropped."),
            },
        }
    }

    /// As an item of a BatchAppend call.
    pub(crate) fn item(&self) -> google::rpc::Status {
        let (code, message, details) = match self {
            Self::WrongVersion { expected, actual, .. } => {
                (Code::AlreadyExists, "WrongExpectedVersion".to_owned(), wrong_version(*expected, *actual))
            }
            Self::Deleted { stream, .. } => {
                let stream_identifier = Some(identifier(stream));
                let detail = client::StreamDeleted { stream_identifier };
                (Code::NotFound, "StreamDeleted".to_owned(), detail_of("StreamDeleted", &detail))
            }
            Self::AccessDenied | Self::Unauthenticated => {
                let detail = detail_of("AccessDenied", &client::AccessDenied {});
                (Code::PermissionDenied, "AccessDenied".to_owned(), detail)
            }
            Self::Timeout => {
                let detail = detail_of("Timeout", &client::Timeout {});
                (Code::DeadlineExceeded, "Timeout".to_owned(), detail)
            }
            Self::AppendTooLarge { max, .. } => {
                let detail = client::MaximumAppendSizeExceeded { max_append_size: narrow(*max) };
                let name = "MaximumAppendSizeExceeded";
                (Code::InvalidArgument, name.to_owned(), detail_of(name, &detail))
            }
            Self::EventTooLarge { event_id, size, max, .. } => {
                let detail = client::MaximumAppendEventSizeExceeded {
                    event_id: event_id.clone(),
                    proposed_event_size: narrow(*size),
                    max_append_event_size: narrow(*max),
                };
                let name = "MaximumAppendEventSizeExceeded";
                (Code::InvalidArgument, name.to_owned(), detail_of(name, &detail))
            }
            Self::MissingProperty
            | Self::Invalid(_)
            | Self::NoIndex(_)
            | Self::Group { .. }
            | Self::GroupSettings { .. } => {
                let detail = detail_of("BadRequest", &client::BadRequest { message: self.text() });
                (Code::InvalidArgument, "BadRequest".to_owned(), detail)
            }
            Self::Exhausted(_) | Self::Unavailable(_) => {
                (self.code(), self.text(), detail_of("Unknown", &client::Unknown {}))
            }
        };
        google::rpc::Status { code: i32::from(code), message, details: Some(details) }
    }
}

fn wrong_version(expected: Expect, actual: Option<u64>) -> Any {
    use client::wrong_expected_version::{
        CurrentStreamRevisionOption as C, ExpectedStreamPositionOption as E,
    };
    let detail = client::WrongExpectedVersion {
        current_stream_revision_option: Some(actual.map_or(C::CurrentNoStream(()), C::CurrentStreamRevision)),
        expected_stream_position_option: Some(match expected {
            Expect::Exact(revision) => E::ExpectedStreamPosition(revision),
            Expect::NoStream => E::ExpectedNoStream(()),
            Expect::Exists => E::ExpectedStreamExists(()),
            Expect::Any | Expect::Deleted | Expect::Tombstoned => E::ExpectedAny(()),
        }),
    };
    detail_of("WrongExpectedVersion", &detail)
}

/// A detail of an item of BatchAppend.
fn detail_of(name: &str, detail: &impl prost::Message) -> Any {
    any(&format!("event_store.client.{name}"), detail)
}

/// A message with its type's name.
pub(crate) fn any(name: &str, message: &impl prost::Message) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}

pub(crate) fn identifier(stream: &str) -> client::StreamIdentifier {
    client::StreamIdentifier { stream_name: bytes::Bytes::copy_from_slice(stream.as_bytes()) }
}

/// The answer of `Append` to a wrong expectation, which is no error there. Old clients read the old fields.
pub(crate) fn wrong_version_answer(
    expected: Expect,
    actual: Option<u64>,
) -> streams::append_resp::WrongExpectedVersion {
    use streams::append_resp::wrong_expected_version as w;
    let empty = client::Empty {};
    streams::append_resp::WrongExpectedVersion {
        current_revision_option_20_6_0: Some(actual.map_or(
            w::CurrentRevisionOption2060::NoStream2060(empty),
            w::CurrentRevisionOption2060::CurrentRevision2060,
        )),
        expected_revision_option_20_6_0: Some(match expected {
            Expect::Exact(revision) => w::ExpectedRevisionOption2060::ExpectedRevision2060(revision),
            Expect::NoStream => w::ExpectedRevisionOption2060::ExpectedRevision2060(u64::MAX),
            Expect::Exists => w::ExpectedRevisionOption2060::StreamExists2060(empty),
            _ => w::ExpectedRevisionOption2060::Any2060(empty),
        }),
        current_revision_option: Some(actual.map_or(
            w::CurrentRevisionOption::CurrentNoStream(empty),
            w::CurrentRevisionOption::CurrentRevision,
        )),
        expected_revision_option: Some(match expected {
            Expect::Exact(revision) => w::ExpectedRevisionOption::ExpectedRevision(revision),
            Expect::NoStream => w::ExpectedRevisionOption::ExpectedNoStream(empty),
            Expect::Exists => w::ExpectedRevisionOption::ExpectedStreamExists(empty),
            _ => w::ExpectedRevisionOption::ExpectedAny(empty),
        }),
    }
}

fn narrow(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// Adds a trailer. Its value must be visible ASCII: it stands as it is if it is that, and is percent-encoded if not. The
/// key is never left out.
fn put(trailers: &mut MetadataMap, key: &'static str, value: &str) {
    let text =
        if value.bytes().all(|byte| byte.is_ascii_graphic()) { value.to_owned() } else { encoded(value) };
    if let Ok(value) = text.parse() {
        trailers.insert(key, value);
    }
}

fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'%' => text.push_str("%25"),
            _ if byte.is_ascii_graphic() => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
