//! An event as clients are shown it.
//!
//! Ours appear as JSON, with metadata that dashboards look for; those of outside writers appear as they were given.
//! Positions are those of the log on both sides of the protocol's pair, and no event stands at 0. Blobs are not shown:
//! events name them. What a record of a newer release says is shown as the bytes it is.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use prooflog_events::envelope::{Content, Envelope, native_event_id, record_hash};
use prooflog_events::event::Event;
use prooflog_events::ids::{EventId, Micros, Position, Revision};
use prooflog_events::port::{Direction, SequenceError, SequenceRead, StreamScan};
use prost::Message as _;
use serde_json::{Map, Value};

use crate::error::identifier;
use crate::names::LinkStream;
use crate::wire::client;
use crate::wire::streams::ReadResp;
use crate::wire::streams::read_resp::read_event::{Position as At, RecordedEvent};
use crate::wire::streams::read_resp::{self, ReadEvent};

/// The type of events that lead to others.
pub(crate) const LINK: &str = "$>";
const JSON: &str = "application/json";
const OCTETS: &str = "application/octet-stream";

/// How ids are written in answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdForm {
    /// As text: what all released clients ask for.
    Text,
    /// As two numbers.
    Numbers,
}

/// What a read wants of links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// The events that they lead to.
    Resolved,
    /// Themselves.
    Plain,
}

/// An id in one form or the other.
pub(crate) fn uuid(id: EventId, form: IdForm) -> client::Uuid {
    use client::uuid::{Structured, Value};
    let value = match form {
        IdForm::Text => Value::String(uuid::Uuid::from_bytes(id.0).hyphenated().to_string()),
        IdForm::Numbers => {
            let (most, least) = uuid::Uuid::from_bytes(id.0).as_u64_pair();
            Value::Structured(Structured {
                most_significant_bits: most.cast_signed(),
                least_significant_bits: least.cast_signed(),
            })
        }
    };
    client::Uuid { value: Some(value) }
}

/// The id that a client sends, in whatever form; the nil one is none.
pub(crate) fn parse_uuid(uuid: &client::Uuid) -> Option<EventId> {
    use client::uuid::Value;
    let id = match uuid.value.as_ref()? {
        Value::String(text) => uuid::Uuid::parse_str(text).ok()?,
        Value::Structured(numbers) => uuid::Uuid::from_u64_pair(
            numbers.most_significant_bits.cast_unsigned(),
            numbers.least_significant_bits.cast_unsigned(),
        ),
    };
    (!id.is_nil()).then(|| EventId(*id.as_bytes()))
}

/// The answer that shows `record`, encoded.
pub(crate) fn frame(stored: &[u8], envelope: &Envelope<'_>, ids: IdForm) -> Bytes {
    encode(recorded(stored, envelope, ids), None, envelope.position)
}

/// The answer that shows `record` through the link at `revision` of `of`, encoded.
pub(crate) fn linked(
    stored: &[u8],
    envelope: &Envelope<'_>,
    link: (&str, Revision, EventId),
    form: (IdForm, Links),
) -> Bytes {
    let (of, revision, id) = link;
    let link = RecordedEvent {
        id: Some(uuid(id, form.0)),
        stream_identifier: Some(identifier(of)),
        stream_revision: revision.0,
        prepare_position: envelope.position.0,
        commit_position: envelope.position.0,
        metadata: metadata(LINK, OCTETS, envelope.recorded_at),
        custom_metadata: Bytes::new(),
        data: format!("{}@{}", envelope.revision, envelope.stream).into(),
    };
    match form.1 {
        Links::Plain => encode(link, None, envelope.position),
        Links::Resolved => encode(recorded(stored, envelope, form.0), Some(link), envelope.position),
    }
}

/// The id of a computed link.
pub(crate) fn link_id(log: prooflog_events::ids::LogId, of: &LinkStream, revision: Revision) -> EventId {
    native_event_id(log, &of.to_string(), revision)
}

/// The answer that shows a link that somebody wrote, with the event that it leads to; without one if that is not there.
pub(crate) fn resolved(
    records: &dyn SequenceRead,
    bound: Position,
    link: (&[u8], &Envelope<'_>),
    ids: IdForm,
) -> Result<Bytes, SequenceError> {
    let (stored, envelope) = link;
    let shown = recorded(stored, envelope, ids);
    let mut target = None;
    let text = std::str::from_utf8(envelope.payload).unwrap_or_default();
    if let Some((revision, stream)) = text.split_once('@')
        && let Ok(revision) = revision.parse()
    {
        let scan = StreamScan { stream, from: Revision(revision), direction: Direction::Forward, bound };
        let mut damage = None;
        records.scan_stream(scan, &mut |position, stored| {
            match Envelope::decode(stored) {
                Ok(found) if found.revision.0 == revision => target = Some(recorded(stored, &found, ids)),
                Ok(_) => {}
                Err(error) => damage = Some(SequenceError::damaged(position, error.to_string())),
            }
            ControlFlow::Break(())
        })?;
        if let Some(damage) = damage {
            return Err(damage);
        }
    }
    Ok(match target {
        Some(target) => encode(target, Some(shown), envelope.position),
        None => content(read_resp::Content::Event(ReadEvent {
            event: None,
            link: Some(shown),
            position: Some(At::CommitPosition(envelope.position.0)),
        })),
    })
}

fn encode(event: RecordedEvent, link: Option<RecordedEvent>, position: Position) -> Bytes {
    let position = Some(At::CommitPosition(position.0));
    content(read_resp::Content::Event(ReadEvent { event: Some(event), link, position }))
}

/// An answer of a read, encoded.
pub(crate) fn content(content: read_resp::Content) -> Bytes {
    ReadResp { content: Some(content) }.encode_to_vec().into()
}

fn recorded(stored: &[u8], envelope: &Envelope<'_>, ids: IdForm) -> RecordedEvent {
    let (content_type, data, custom) = match envelope.content {
        Content::Json => (JSON, copy(envelope.payload), copy(envelope.metadata)),
        Content::Octets => (OCTETS, copy(envelope.payload), copy(envelope.metadata)),
        Content::Native => {
            let decoded = Event::decode(envelope.type_name, envelope.version, envelope.payload).ok();
            let json = decoded.and_then(|event| serde_json::to_vec(&event).ok());
            let custom = Bytes::from(about(stored, envelope).to_string());
            match json {
                Some(json) => (JSON, json.into(), custom),
                None => (OCTETS, copy(envelope.payload), custom),
            }
        }
    };
    RecordedEvent {
        id: Some(uuid(envelope.event_id, ids)),
        stream_identifier: Some(identifier(envelope.stream)),
        stream_revision: envelope.revision.0,
        prepare_position: envelope.position.0,
        commit_position: envelope.position.0,
        metadata: metadata(envelope.type_name, content_type, envelope.recorded_at),
        custom_metadata: custom,
        data,
    }
}

/// The three entries that every event has.
fn metadata(type_name: &str, content_type: &str, created: Micros) -> BTreeMap<String, String> {
    // In units of 100 ns since 1970.
    let ticks = created.0.saturating_mul(10);
    BTreeMap::from([
        ("type".to_owned(), type_name.to_owned()),
        ("content-type".to_owned(), content_type.to_owned()),
        ("created".to_owned(), ticks.to_string()),
    ])
}

/// What the log knows of one of its own events beside its content.
fn about(stored: &[u8], envelope: &Envelope<'_>) -> Value {
    let mut about = Map::new();
    let mut say = |key: &str, value: Value| drop(about.insert(key.to_owned(), value));
    if !envelope.correlation.is_empty() {
        say("$correlationId", envelope.correlation.into());
    }
    if let Some(causation) = &envelope.causation {
        let id = uuid::Uuid::from_bytes(causation.event_id.0).hyphenated().to_string();
        say("$causationId", id.into());
        say("causation", format!("{}@{}", causation.revision, causation.stream).into());
    }
    say("actor", envelope.actor.to_string().into());
    say("hash", record_hash(stored).to_string().into());
    say("schema_version", envelope.version.into());
    Value::Object(about)
}

fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
