//! One event as a fold sees it: what the envelope says and the event itself.
//!
//! Only the engine's own events are facts. What outside writers store in the same log is opaque to every fold, and
//! passes by without a trace.

use prooflog_events::envelope::{Content, Envelope};
use prooflog_events::event::{Event, EventError, EventType};
use prooflog_events::ids::{Micros, ParseIdError, Position, Revision, StreamId};

/// One recorded event of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact<'a> {
    /// Its place in the log; only named in errors, so that a provisional one will do while a batch is being decided.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream.
    pub revision: Revision,
    /// When it was recorded.
    pub time: Micros,
    /// What it belongs to: the stream of the unit first planned.
    pub correlation: &'a str,
    /// The event.
    pub event: Event,
}

/// Why a record of the engine is not a fact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactError {
    /// Its event is not known here, or its bytes are damaged.
    #[error("position {position}: {source}")]
    Event {
        /// Where.
        position: Position,
        /// What is wrong.
        source: EventError,
    },
    /// It is native and stands on a stream that is none of the engine's.
    #[error("position {position}: {source}")]
    Stream {
        /// Where.
        position: Position,
        /// What is wrong.
        source: ParseIdError,
    },
}

/// What the envelope says of a fact, whose event is not read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// Its place in the log.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream.
    pub revision: Revision,
    /// When it was recorded.
    pub time: Micros,
    /// The event's type.
    pub event_type: EventType,
    /// Schema version of the event's bytes.
    pub version: u16,
}

impl Outline {
    /// The outline of a record; `None` for what an outside writer stored.
    ///
    /// # Errors
    /// When it is native, and its stream or its type is not known here; the error names the position.
    #[inline]
    pub fn of(envelope: &Envelope<'_>) -> Result<Option<Self>, FactError> {
        if envelope.content != Content::Native {
            return Ok(None);
        }
        let position = envelope.position;
        let stream = envelope.stream.parse().map_err(|source| FactError::Stream { position, source })?;
        let event_type =
            EventType::known(envelope.type_name).map_err(|source| FactError::Event { position, source })?;
        Ok(Some(Self {
            position,
            stream,
            revision: envelope.revision,
            time: envelope.recorded_at,
            event_type,
            version: envelope.version,
        }))
    }

    /// The fact, with what the envelope says beside the outline.
    ///
    /// # Errors
    /// When the bytes are not an event of this type and version; the error names the position.
    #[inline]
    pub fn fact<'a>(&self, correlation: &'a str, payload: &[u8]) -> Result<Fact<'a>, FactError> {
        let Self { position, stream, revision, time, .. } = *self;
        let event = Event::decode_as(self.event_type, self.version, payload)
            .map_err(|source| FactError::Event { position, source })?;
        Ok(Fact { position, stream, revision, time, correlation, event })
    }
}

impl<'a> Fact<'a> {
    /// The fact that a record says; `None` for what an outside writer stored, which no fold reads.
    ///
    /// # Errors
    /// When it is native and is not known here; the error names the position.
    #[inline]
    pub fn of(envelope: &Envelope<'a>) -> Result<Option<Self>, FactError> {
        let outline = Outline::of(envelope)?;
        outline.map(|outline| outline.fact(envelope.correlation, envelope.payload)).transpose()
    }
}
