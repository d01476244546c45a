//! What a stream's metadata and its last event say about reading and writing it.
//!
//! Only streams of outside writers have metadata. A stream is deleted by metadata that truncate everything, and for ever
//! by a last event of its own; both are events like others and stay in `$all`.

use prooflog_events::envelope::Envelope;
use prooflog_events::ids::{Micros, Position, Revision};
use prooflog_events::port::{Direction, SequenceError, SequenceRead, StreamScan};
use serde_json::{Map, Value};
use std::ops::ControlFlow;

use crate::error::{Forever, Refusal};
use crate::names::{described_by, has_metadata, metadata_of};

/// The type of metadata events.
pub(crate) const METADATA: &str = "$metadata";
/// The type of the event that ends a stream.
pub(crate) const TOMBSTONE: &str = "$streamDeleted";
/// The truncation that means deleted.
pub(crate) const DELETED: u64 = i64::MAX.unsigned_abs();

/// What is known of a stream beside its events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Revision of its newest event.
    pub(crate) last: Option<u64>,
    /// Revision of the newest event of its metadata.
    pub(crate) metadata: Option<u64>,
    /// It ended for ever.
    pub(crate) tombstoned: bool,
    /// Revisions below are not shown.
    truncated_before: u64,
    max_count: Option<u64>,
    max_age_secs: Option<u64>,
}

impl Facts {
    /// What is known of `stream` up to `bound`.
    pub(crate) fn load(
        records: &dyn SequenceRead,
        stream: &str,
        bound: Position,
    ) -> Result<Self, SequenceError> {
        let mut facts = Self::default();
        newest(records, stream, bound, &mut |event| {
            facts.last = Some(event.revision.0);
            facts.tombstoned = event.type_name == TOMBSTONE;
        })?;
        if let Some(described) = described_by(stream) {
            // The metadata of a stream that ended for ever ended with it.
            newest(records, described, bound, &mut |event| {
                facts.tombstoned = event.type_name == TOMBSTONE && has_metadata(described);
            })?;
            facts.max_count = Some(1);
        }
        if !has_metadata(stream) {
            facts.tombstoned &= described_by(stream).is_some();
            return Ok(facts);
        }
        newest(records, &metadata_of(stream), bound, &mut |event| {
            facts.metadata = Some(event.revision.0);
            facts.describe(event.payload);
        })?;
        Ok(facts)
    }

    fn describe(&mut self, json: &[u8]) {
        let Ok(Value::Object(text)) = serde_json::from_slice(json) else { return };
        let number = |key: &str| text.get(key).and_then(Value::as_u64);
        self.truncated_before = number("$tb").unwrap_or(0);
        self.max_count = number("$maxCount").filter(|count| *count > 0);
        self.max_age_secs = number("$maxAge").filter(|age| *age > 0);
    }

    /// Whether it was deleted, and can be written again.
    pub(crate) fn is_deleted(&self) -> bool {
        !self.tombstoned && self.truncated_before >= DELETED
    }

    /// Whether a reader finds nothing at all.
    pub(crate) fn is_missing(&self) -> bool {
        self.last.is_none() || self.is_deleted()
    }

    /// The first revision that is shown, and the first moment.
    pub(crate) fn visible(&self, now: Micros) -> (Revision, Micros) {
        let kept = self
            .max_count
            .zip(self.last)
            .map_or(0, |(count, last)| last.saturating_add(1).saturating_sub(count));
        let since = self.max_age_secs.map_or(0, |age| now.0.saturating_sub(age.saturating_mul(1_000_000)));
        (Revision(kept.max(self.truncated_before)), Micros(since))
    }

    /// The truncation that shows everything from the next event on.
    pub(crate) fn restoring(&self) -> u64 {
        self.last.map_or(0, |last| last.saturating_add(1))
    }

    /// Why nothing can be read or written, if so.
    pub(crate) fn refuse_tombstoned(&self, stream: &str) -> Result<(), Refusal> {
        match self.tombstoned {
            true => Err(Refusal::Deleted { stream: stream.to_owned(), forever: Forever::Yes }),
            false => Ok(()),
        }
    }
}

/// Revision of the newest event of `stream` up to `bound`.
pub(crate) fn last_revision(
    records: &dyn SequenceRead,
    stream: &str,
    bound: Position,
) -> Result<Option<u64>, SequenceError> {
    let mut last = None;
    newest(records, stream, bound, &mut |event| last = Some(event.revision.0))?;
    Ok(last)
}

/// Metadata of `stream` as they stood at `revision`, with another truncation.
pub(crate) fn truncated(
    records: &dyn SequenceRead,
    stream: &str,
    revision: Option<u64>,
    before: u64,
) -> Result<Vec<u8>, SequenceError> {
    let mut text = Map::new();
    if let Some(revision) = revision {
        let stream = &metadata_of(stream);
        let scan = StreamScan {
            stream,
            from: Revision(revision),
            direction: Direction::Forward,
            bound: Position(u64::MAX),
        };
        see_first(records, scan, &mut |event| {
            if let Ok(Value::Object(there)) = serde_json::from_slice(event.payload) {
                text = there;
            }
        })?;
    }
    text.insert("$tb".to_owned(), before.into());
    Ok(Value::Object(text).to_string().into_bytes())
}

/// Shows the newest event of a stream.
fn newest(
    records: &dyn SequenceRead,
    stream: &str,
    bound: Position,
    see: &mut dyn FnMut(&Envelope<'_>),
) -> Result<(), SequenceError> {
    let scan = StreamScan { stream, from: Revision(u64::MAX), direction: Direction::Backward, bound };
    see_first(records, scan, see)
}

fn see_first(
    records: &dyn SequenceRead,
    scan: StreamScan<'_>,
    see: &mut dyn FnMut(&Envelope<'_>),
) -> Result<(), SequenceError> {
    let mut damage = None;
    records.scan_stream(scan, &mut |position, stored| {
        match Envelope::decode(stored) {
            Ok(event) => see(&event),
            Err(error) => damage = Some(SequenceError::damaged(position, error.to_string())),
        }
        ControlFlow::Break(())
    })?;
    damage.map_or(Ok(()), Err)
}
