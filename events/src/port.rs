//! The lower port of the log: one ordered sequence of commits.
//!
//! A commit is a run of encoded records that becomes durable as a whole or not at all, fenced by the head that it was
//! made on. Positions, revisions, hashes, expectations and idempotence are the business of the one writer above; an
//! implementation stores bytes in order and derives its index keys from them. So one RocksDB, one subject of a stream
//! server or one table can be behind it.
//!
//! Readers take the head once and ask for nothing above it; an implementation may then show them newer bytes or not.
//! Whoever iterates must know that it saw the end: a run of positions that ends early is damage, never an answer.
//! What a crash means: whatever `append` answered with `Ok` is there again, whatever it did not answer may be.

use std::ops::ControlFlow;

use crate::envelope::genesis_hash;
use crate::ids::{Hash32, LogId, Position, Revision};

/// The newest record: where it stands and what it hashes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head {
    /// Its position, and so the number of records; 0 for the empty log.
    pub position: Position,
    /// Its hash; that of the log's id for the empty log.
    pub hash: Hash32,
}

impl Head {
    /// The head of a log without records.
    #[must_use]
    pub fn empty(log: LogId) -> Self {
        Self { position: Position::ZERO, hash: genesis_hash(log) }
    }
}

/// The newest event of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamHead {
    /// Its revision.
    pub revision: Revision,
    /// Its position.
    pub position: Position,
}

/// Which way a scan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From old to new.
    Forward,
    /// From new to old.
    Backward,
}

/// Encoded records one after another in one buffer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordBatch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl RecordBatch {
    /// Adds the record that `write` appends to the buffer, and gives it back as stored.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
        self.bytes.get(start..).unwrap_or_default()
    }

    /// Adds a record.
    pub fn push(&mut self, stored: &[u8]) {
        self.push_with(|bytes| bytes.extend_from_slice(stored));
    }

    /// Forgets the records after the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all records together.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The record at `index`, from 0.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.bytes.get(start..end)
    }

    /// All records in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }
}

/// A blob that is stored in the same commit as the record that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// SHA-256 of the bytes.
    pub hash: Hash32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// One atomic, durable step of the log.
#[derive(Debug, Clone, Copy)]
pub struct Commit<'a> {
    /// The head that the records were made on; another one means another writer.
    pub expected: Head,
    /// The head after the commit.
    pub head: Head,
    /// The records, at least one, at consecutive positions.
    pub records: &'a RecordBatch,
    /// Small blobs that the records name.
    pub blobs: &'a [Blob],
    /// Blobs stored before that the records name: from now on they are kept.
    pub named: &'a [Hash32],
    /// Blobs whose bytes go with the commit. Those of `blobs` and `named` are not among them, unless they came again.
    pub forgotten: &'a [Hash32],
}

/// Names the snapshots of one projection as one release writes them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotKey {
    /// The projection.
    pub projection: String,
    /// Fingerprint of its code and format: another one is never read.
    pub fingerprint: Hash32,
}

/// A disposable copy of a projection's state; not part of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The batch end that it was taken at.
    pub position: Position,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Why a sequence did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// The head is not the expected one: somebody else writes.
    #[error("another writer moved the log: expected head {expected}, found {found}")]
    Fenced {
        /// The head that the commit was made on.
        expected: Position,
        /// The head that is there.
        found: Position,
    },
    /// Stored bytes are missing or not what they were.
    #[error("the log is damaged{}: {what}", at(*.position))]
    Damaged {
        /// Where, if that is known.
        position: Option<Position>,
        /// What was found.
        what: String,
    },
    /// The medium refused: full, not writable, gone.
    #[error("{what}")]
    Unavailable {
        /// What was attempted and what the medium said.
        what: String,
    },
}

fn at(position: Option<Position>) -> String {
    position.map_or_else(String::new, |position| format!(" at position {position}"))
}

impl SequenceError {
    /// Damage at a known position.
    #[must_use]
    pub fn damaged(position: Position, what: impl Into<String>) -> Self {
        Self::Damaged { position: Some(position), what: what.into() }
    }
}

/// Sees stored bytes in place; `Break` ends the scan.
pub type Visit<'v> = &'v mut dyn FnMut(Position, &[u8]) -> ControlFlow<()>;

/// Reading: what a second process can do as well.
pub trait SequenceRead: Send + Sync {
    /// Identity of the log.
    fn log_id(&self) -> LogId;

    /// The newest durable record that this reader can see.
    ///
    /// # Errors
    /// When the newest record cannot be read.
    fn head(&self) -> Result<Head, SequenceError>;

    /// Looks for what another process has written since, and returns the head.
    ///
    /// # Errors
    /// When that process's files cannot be read.
    fn refresh(&self) -> Result<Head, SequenceError> {
        self.head()
    }

    /// Shows the records of `low..=high` in `direction`. Both must lie in the log (an empty range shows nothing).
    ///
    /// # Errors
    /// When a record is missing or cannot be read; those before it have been shown.
    fn scan(
        &self,
        low: Position,
        high: Position,
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), SequenceError>;

    /// Shows the records of one stream from revision `from` on in `direction`, none above position `bound`.
    ///
    /// # Errors
    /// When the index or a record is missing or cannot be read.
    fn scan_stream(&self, scan: StreamScan<'_>, visit: Visit<'_>) -> Result<(), SequenceError>;

    /// The newest event of a stream; `None` if there is none.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn stream_head(&self, stream: &str) -> Result<Option<StreamHead>, SequenceError>;

    /// Shows every index entry, stream by stream, revisions ascending. For verification.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn scan_index(
        &self,
        visit: &mut dyn FnMut(&str, Revision, Position) -> ControlFlow<()>,
    ) -> Result<(), SequenceError>;

    /// Length of a blob; `None` if it is not there.
    ///
    /// # Errors
    /// When the medium cannot be read.
    fn blob_len(&self, hash: Hash32) -> Result<Option<u64>, SequenceError>;

    /// Shows a blob's bytes piece by piece, in order; `false` if it is not there.
    ///
    /// # Errors
    /// When a piece is missing or cannot be read.
    fn read_blob(&self, hash: Hash32, visit: &mut dyn FnMut(&[u8])) -> Result<bool, SequenceError>;

    /// The newest snapshot at or below `bound`.
    ///
    /// # Errors
    /// When the medium cannot be read. A damaged snapshot is not an error: an older one is given, or none.
    fn snapshot(&self, key: &SnapshotKey, bound: Position) -> Result<Option<Snapshot>, SequenceError>;
}

/// What to show of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamScan<'a> {
    /// The stream.
    pub stream: &'a str,
    /// The first revision shown; going backward past the end begins at the end.
    pub from: Revision,
    /// Which way.
    pub direction: Direction,
    /// Nothing above this position is shown.
    pub bound: Position,
}

/// Writing: one process at a time.
pub trait Sequence: SequenceRead + 'static {
    /// Makes the commit durable, as a whole or not at all, and returns after that.
    ///
    /// # Errors
    /// [`SequenceError::Fenced`] if the head is another one and nothing was written. After any other error it is
    /// unknown whether the commit is there, and the sequence refuses everything until it is opened again.
    fn append(&self, commit: Commit<'_>) -> Result<(), SequenceError>;

    /// Stores a blob durably, without holding up commits for long. Until a commit names it, an open removes it.
    /// A blob that is there already is left as it is.
    ///
    /// # Errors
    /// When the medium refuses.
    fn put_blob(&self, blob: &Blob) -> Result<(), SequenceError>;

    /// Removes a blob; `false` if it is not there.
    ///
    /// # Errors
    /// When the medium refuses.
    fn delete_blob(&self, hash: Hash32) -> Result<bool, SequenceError>;

    /// Keeps a snapshot, not necessarily through a crash.
    ///
    /// # Errors
    /// When the medium refuses.
    fn put_snapshot(&self, key: &SnapshotKey, snapshot: &Snapshot) -> Result<(), SequenceError>;

    /// Removes all snapshots of a projection except those of `keep`, or all of them.
    ///
    /// # Errors
    /// When the medium refuses.
    fn delete_snapshots(&self, projection: &str, keep: Option<Hash32>) -> Result<(), SequenceError>;

    /// Makes everything quick to open again: called once, before the last handle goes.
    fn close(&self) {}
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_batch_gives_back_each_record_as_it_was_added() {
        let mut batch = RecordBatch::default();
        batch.push(b"one");
        batch.push(b"");
        assert_eq!(batch.push_with(|bytes| bytes.extend_from_slice(b"three")), b"three");
        assert_eq!(batch.iter().collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
        assert_eq!((batch.len(), batch.byte_len(), batch.get(3)), (3, 8, None));
        batch.truncate(1);
        assert_eq!((batch.len(), batch.byte_len()), (1, 3));
        assert_eq!(batch.get(0).unwrap(), b"one");
    }
}
