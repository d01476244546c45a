//! What is handed to the log, and what it answers.
//!
//! An append is an ordered list of events and a list of expectations, which may name streams that it does not write.
//! It happens as a whole or not at all. What a crash means: an append without an answer may or may not have happened;
//! repeating it with the same ids gives the same answer either way.

use prooflog_events::envelope::Content;
use prooflog_events::ids::{EventId, Hash32, Micros, Position, Revision};
use prooflog_events::port::{Blob, SequenceError};

/// Who made an event; owned form of [`prooflog_events::envelope::Actor`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum By {
    /// The decision loop.
    #[default]
    Scheduler,
    /// A person, through a command.
    Operator(String),
    /// An outside writer.
    Client(String),
    /// An importer.
    Import,
    /// The process itself.
    System,
}

/// The event whose effect led here; owned form of [`prooflog_events::envelope::Causation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CausedBy {
    /// Its id.
    pub event_id: EventId,
    /// Its stream.
    pub stream: String,
    /// Its revision there.
    pub revision: Revision,
}

/// The input that a batch was decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CauseInput {
    /// The input's type name.
    pub name: String,
    /// Its schema version.
    pub version: u16,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// One event to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// The history that it belongs to.
    pub stream: String,
    /// Its identity; `None` gives it the native id of its place.
    pub event_id: Option<EventId>,
    /// Its type.
    pub type_name: String,
    /// Schema version of the payload; 0 for foreign content.
    pub version: u16,
    /// What the payload is.
    pub content: Content,
    /// What it belongs to across streams.
    pub correlation: String,
    /// The event whose effect led here.
    pub causation: Option<CausedBy>,
    /// Bytes given back unchanged.
    pub metadata: Vec<u8>,
    /// The event itself.
    pub payload: Vec<u8>,
}

impl NewRecord {
    /// A native event without causation.
    #[must_use]
    pub fn native(
        stream: impl Into<String>,
        type_name: impl Into<String>,
        version: u16,
        payload: Vec<u8>,
    ) -> Self {
        Self {
            stream: stream.into(),
            event_id: None,
            type_name: type_name.into(),
            version,
            content: Content::Native,
            correlation: String::new(),
            causation: None,
            metadata: Vec::new(),
            payload,
        }
    }

    /// An event of somebody else.
    #[must_use]
    pub fn foreign(
        stream: impl Into<String>,
        event_id: EventId,
        type_name: impl Into<String>,
        content: Content,
        payload: Vec<u8>,
    ) -> Self {
        Self { event_id: Some(event_id), content, ..Self::native(stream, type_name, 0, payload) }
    }

    /// Bytes that it counts towards the limits.
    #[must_use]
    pub fn size(&self) -> usize {
        let causation = self.causation.as_ref().map_or(0, |event| event.stream.len());
        [self.stream.len(), self.type_name.len(), self.correlation.len(), causation, self.metadata.len()]
            .into_iter()
            .fold(self.payload.len(), usize::saturating_add)
    }
}

/// What must be true of a stream for an append to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Any,
    /// It has no events.
    NoStream,
    /// It has at least one event.
    Exists,
    /// Its newest event has this revision.
    Exact(Revision),
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("any revision"),
            Self::NoStream => f.write_str("no stream"),
            Self::Exists => f.write_str("an existing stream"),
            Self::Exact(revision) => write!(f, "revision {revision}"),
        }
    }
}

/// An expectation on one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// The stream; it need not be written.
    pub stream: String,
    /// What must be true of it.
    pub expected: Expected,
}

/// Events that become durable together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The events, in the order of their positions.
    pub records: Vec<NewRecord>,
    /// What must be true; a written stream without one is [`Expected::Any`]. At most one for each stream.
    pub expectations: Vec<Expectation>,
    /// Small blobs that the events name.
    pub blobs: Vec<Blob>,
    /// Blobs stored before that the events name; each must be there.
    pub named: Vec<Hash32>,
    /// Blobs whose bytes are given up with the append, unless it names them itself. The records that name them stay.
    pub forget: Vec<Hash32>,
    /// The input that was decided on; stands in the first record.
    pub cause: Option<CauseInput>,
    /// Who makes the events.
    pub by: By,
    /// The time of the decision. Recorded is max(previous, now).
    pub now: Micros,
}

impl Append {
    /// An append without expectations, blobs or cause.
    #[must_use]
    pub fn new(by: By, now: Micros, records: Vec<NewRecord>) -> Self {
        Self {
            records,
            expectations: Vec::new(),
            blobs: Vec::new(),
            named: Vec::new(),
            forget: Vec::new(),
            cause: None,
            by,
            now,
        }
    }

    /// The same, expecting `expected` of `stream`.
    #[must_use]
    pub fn expect(mut self, stream: impl Into<String>, expected: Expected) -> Self {
        self.expectations.push(Expectation { stream: stream.into(), expected });
        self
    }

    /// The same, decided on `cause`.
    #[must_use]
    pub fn because(mut self, cause: CauseInput) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Bytes that it counts towards the limits.
    #[must_use]
    pub fn size(&self) -> usize {
        let blobs = self.blobs.iter().map(|blob| blob.bytes.len());
        let cause = self.cause.as_ref().map_or(0, |cause| cause.bytes.len());
        self.records.iter().map(NewRecord::size).chain(blobs).fold(cause, usize::saturating_add)
    }
}

/// How an append ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The events were written.
    Written,
    /// They had been written before; nothing was written, and the rest of the answer is the original one.
    Repeated,
    /// There were none to write.
    Empty,
}

/// The answer to an append: durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Written, repeated or empty.
    pub outcome: Outcome,
    /// Position of the first event; of an empty append the head.
    pub first: Position,
    /// Position of the last event; of an empty append the head.
    pub last: Position,
    /// For each stream that was expected, then for each other one that was written, its last revision after the append.
    pub revisions: Vec<(String, Option<Revision>)>,
}

/// Why an append did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// A stream is not where it was expected to be.
    #[error("stream `{stream}`: expected {expected}, found {}", found(*.current))]
    Conflict {
        /// The stream.
        stream: String,
        /// What was expected.
        expected: Expected,
        /// Its newest revision; `None` if it has no events.
        current: Option<Revision>,
    },
    /// The id stands in this stream with other content.
    #[error("event id {event_id} exists in stream `{stream}` at revision {revision} with other content")]
    IdReused {
        /// The id.
        event_id: EventId,
        /// The stream.
        stream: String,
        /// Where the other event stands.
        revision: Revision,
    },
    /// The append is not one.
    #[error("{0}")]
    Invalid(String),
    /// A limit is exceeded.
    #[error("{what}: {size}, at most {max}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// A blob that the events name is not there.
    #[error("blob {0} is named and not stored")]
    MissingBlob(Hash32),
    /// The queue before the writer is full; nothing was written, and trying later is right.
    #[error("the log is busy: its queue is full")]
    Busy,
    /// The write failed: whether the events are there is unknown until the log is opened again.
    #[error("the write failed, reopen the log to learn what it holds: {0}")]
    WriteFailed(SequenceError),
    /// An earlier write failed; nothing was written.
    #[error("the log refuses writes until it is opened again, an earlier write failed: {0}")]
    Poisoned(SequenceError),
    /// What the decision needs could not be read; nothing was written.
    #[error("the log could not be read: {0}")]
    Read(SequenceError),
    /// The log is being closed; nothing was written.
    #[error("the log is closed")]
    Closed,
}

fn found(current: Option<Revision>) -> String {
    current.map_or_else(|| "no stream".to_owned(), |revision| format!("revision {revision}"))
}
