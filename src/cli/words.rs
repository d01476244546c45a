//! What a record says, whoever wrote it: our own events in words, those of outside writers as they gave them.
//!
//! Outside events are opaque to the engine, but not to people: their JSON is shown, and what they belong to is what their
//! metadata says under `$correlationId`.

use std::borrow::Cow;

use prooflog_events::envelope::{Content, Envelope};
use prooflog_events::event::Event;
use prooflog_events::ids::StreamId;
use prooflog_projections::describe;
use serde_json::Value;

use super::output::clean;

/// The type of events that lead to others.
const LINK: &str = "$>";
/// Characters of an outside event that are shown on a line.
const LINE_MAX: usize = 200;
/// Bytes of metadata that are looked at: what names a correlation is short.
const METADATA_MAX: usize = 64 << 10;

/// What a record says, in one line that cannot command a terminal.
pub(super) fn words(envelope: &Envelope<'_>) -> String {
    let text = match envelope.content {
        Content::Native => Event::decode(envelope.type_name, envelope.version, envelope.payload).map_or_else(
            |_| format!("{} bytes", envelope.payload.len()),
            // Where a stream is none of the engine's, its numbers stand for themselves.
            |event| describe(&event, envelope.stream.parse().unwrap_or(StreamId::Node)),
        ),
        Content::Json => match serde_json::from_slice::<Value>(envelope.payload) {
            Ok(value) => cut(&value.to_string()),
            Err(_) => format!("{} bytes that are no JSON", envelope.payload.len()),
        },
        Content::Octets => link(envelope).unwrap_or_else(|| format!("{} bytes", envelope.payload.len())),
    };
    clean(&text)
}

/// What a record says, as data.
pub(super) fn data(envelope: &Envelope<'_>) -> Value {
    match envelope.content {
        Content::Native => match Event::decode(envelope.type_name, envelope.version, envelope.payload) {
            Ok(event) => serde_json::json!(event),
            Err(error) => Value::String(error.to_string()),
        },
        Content::Json => serde_json::from_slice(envelope.payload)
            .unwrap_or_else(|_| Value::String(format!("{} bytes that are no JSON", envelope.payload.len()))),
        Content::Octets => {
            Value::String(link(envelope).unwrap_or_else(|| format!("{} bytes", envelope.payload.len())))
        }
    }
}

/// What a link leads to, and why, as it is where consumers parked an event.
fn link(envelope: &Envelope<'_>) -> Option<String> {
    let to = std::str::from_utf8(envelope.payload).ok().filter(|_| envelope.type_name == LINK)?;
    Some(match field(envelope.metadata, "reason") {
        Some(reason) => cut(&format!("leads to {to}: {reason}")),
        None => cut(&format!("leads to {to}")),
    })
}

/// What a record belongs to: the stream of the unit first planned, or what an outside writer named.
pub(super) fn correlation<'e>(envelope: &Envelope<'e>) -> Cow<'e, str> {
    if !envelope.correlation.is_empty() || envelope.content == Content::Native {
        return Cow::Borrowed(envelope.correlation);
    }
    Cow::Owned(named(envelope.metadata).unwrap_or_default())
}

/// Whether a record belongs to a name: it carries it, or an outside writer's stream has it.
pub(super) fn belongs(envelope: &Envelope<'_>, name: &str) -> bool {
    let is_stream = envelope.content != Content::Native && envelope.stream == name;
    is_stream || correlation(envelope) == name
}

fn named(metadata: &[u8]) -> Option<String> {
    field(metadata, "$correlationId")
}

/// A text of an event's metadata.
fn field(metadata: &[u8], name: &str) -> Option<String> {
    if metadata.len() > METADATA_MAX {
        return None;
    }
    let value: Value = serde_json::from_slice(metadata).ok()?;
    value.get(name)?.as_str().map(str::to_owned)
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LINE_MAX {
        return text.to_owned();
    }
    text.chars().take(LINE_MAX - 1).chain(['…']).collect()
}
