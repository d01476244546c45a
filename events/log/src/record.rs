//! A record as readers hold it: a place in a shared buffer of stored bytes.
//!
//! Reading hands out many records of one buffer, and the writer hands its own buffer to every follower, so nothing is
//! copied per record. What a crash in here means: nothing; there is no state.

use std::fmt;
use std::sync::Arc;

use prooflog_events::envelope::{Envelope, EnvelopeError, Peek, record_hash};
use prooflog_events::ids::{Hash32, Position};
use prooflog_events::port::{RecordBatch, SequenceError};

/// One stored record.
#[derive(Clone)]
pub struct Record {
    batch: Arc<RecordBatch>,
    index: usize,
    position: Position,
}

impl Record {
    pub(crate) fn new(batch: &Arc<RecordBatch>, index: usize, position: Position) -> Self {
        Self { batch: Arc::clone(batch), index, position }
    }

    /// Its place in the log.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Its bytes as stored.
    #[must_use]
    pub fn stored(&self) -> &[u8] {
        self.batch.get(self.index).unwrap_or_default()
    }

    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> Hash32 {
        record_hash(self.stored())
    }

    /// What it says.
    ///
    /// # Errors
    /// When its bytes are damaged or of a newer release; the error names the position.
    pub fn envelope(&self) -> Result<Envelope<'_>, SequenceError> {
        Envelope::decode(self.stored()).map_err(|error| undecodable(self.position, &error))
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.envelope() {
            Ok(envelope) => envelope.fmt(f),
            Err(error) => write!(f, "record {} ({error})", self.position),
        }
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.position == other.position && self.stored() == other.stored()
    }
}

impl Eq for Record {}

/// The first fields of a stored record.
pub(crate) fn peek(position: Position, stored: &[u8]) -> Result<Peek<'_>, SequenceError> {
    Peek::decode(stored).map_err(|error| undecodable(position, &error))
}

pub(crate) fn undecodable(position: Position, error: &EnvelopeError) -> SequenceError {
    SequenceError::damaged(position, error.to_string())
}
