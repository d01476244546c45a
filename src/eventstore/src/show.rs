//! An event as clients are shown it.
//!
//! Ours appear as JSON, with metadata that dashboards look for; those of outside writers appear as they were given.
//! Positions are those of the log on both sides of the protocol's pair, and no event stands at 0. Blobs are not shown:
//! events name them. What a record of a newer release says is shown as the bytes it is.

use std::borrow::Cow;
use std::ops::ControlFlow;

use bytes::Bytes;
use prooflog_events::envelope::{Content, Envelope, native_event_id, record_hash};
use prooflog_events::event::Event;
use prooflog_events::ids::{EventId, Micros, Position, Revision};
use prooflog_events::port::{Direction, SequenceError, SequenceRead, StreamScan};
use prost::Message as _;
use serde_json::{Map, Value};

use crate::frame::{self, Shown};
use crate::names::LinkStream;
use crate::wire::client;
use crate::wire::streams::read_req::options::{UuidOption, uuid_option};
use crate::wire::streams::{ReadResp, read_resp};

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

impl IdForm {
    /// As the client asks for it.
    pub(crate) const fn asked(option: &UuidOption) -> Self {
        match option.content {
            Some(uuid_option::Content::String(_)) => Self::Text,
            Some(uuid_option::Content::Structured(_)) | None => Self::Numbers,
        }
    }
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
    frame::answer(Some(&shown(stored, envelope)), None, envelope.position, ids)
}

/// The answer that shows `record` through the link at `revision` of `of`, encoded.
pub(crate) fn linked(
    stored: &[u8],
    envelope: &Envelope<'_>,
    link: (&str, Revision, EventId),
    form: (IdForm, Links),
) -> Bytes {
    let (of, revision, id) = link;
    let link = Shown {
        id,
        stream: of.into(),
        revision,
        position: envelope.position,
        type_name: LINK,
        content_type: OCTETS,
        created: ticks(envelope.recorded_at),
        custom: Cow::default(),
        data: format!("{}@{}", envelope.revision, envelope.stream).into_bytes().into(),
    };
    match form.1 {
        Links::Plain => frame::answer(Some(&link), None, envelope.position, form.0),
        Links::Resolved => {
            frame::answer(Some(&shown(stored, envelope)), Some(&link), envelope.position, form.0)
        }
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
    let link = shown(stored, envelope);
    let mut answer = None;
    if let Some((stream, revision)) = leads_to(envelope.payload) {
        let scan = StreamScan { stream, from: Revision(revision), direction: Direction::Forward, bound };
        let mut damage = None;
        records.scan_stream(scan, &mut |position, stored| {
            match Envelope::decode(stored) {
                Ok(found) if found.revision.0 == revision => {
                    let target = shown(stored, &found);
                    answer = Some(frame::answer(Some(&target), Some(&link), envelope.position, ids));
                }
                Ok(_) => {}
                Err(error) => damage = Some(SequenceError::damaged(position, error.to_string())),
            }
            ControlFlow::Break(())
        })?;
        if let Some(damage) = damage {
            return Err(damage);
        }
    }
    Ok(answer.unwrap_or_else(|| frame::answer(None, Some(&link), envelope.position, ids)))
}

/// Stream and revision that a link leads to, if it is one.
pub(crate) fn leads_to(data: &[u8]) -> Option<(&str, u64)> {
    let (revision, stream) = std::str::from_utf8(data).ok()?.split_once('@')?;
    Some((stream, revision.parse().ok()?))
}

/// An answer of a read, encoded.
pub(crate) fn content(content: read_resp::Content) -> Bytes {
    ReadResp { content: Some(content) }.encode_to_vec().into()
}

/// What a client is shown of a record.
fn shown<'a>(stored: &[u8], envelope: &Envelope<'a>) -> Shown<'a> {
    let given = |content_type| (content_type, envelope.payload.into(), envelope.metadata.into());
    let (content_type, data, custom) = match envelope.content {
        Content::Json => given(JSON),
        Content::Octets => given(OCTETS),
        Content::Native => {
            let decoded = Event::decode(envelope.type_name, envelope.version, envelope.payload).ok();
            let json = decoded.and_then(|event| serde_json::to_vec(&event).ok());
            let custom = about(stored, envelope).to_string().into_bytes().into();
            match json {
                Some(json) => (JSON, json.into(), custom),
                None => (OCTETS, envelope.payload.into(), custom),
            }
        }
    };
    Shown {
        id: envelope.event_id,
        stream: envelope.stream.into(),
        revision: envelope.revision,
        position: envelope.position,
        type_name: envelope.type_name,
        content_type,
        created: ticks(envelope.recorded_at),
        custom,
        data,
    }
}

/// A moment in units of 100 ns since 1970.
const fn ticks(moment: Micros) -> u64 {
    moment.0.saturating_mul(10)
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
