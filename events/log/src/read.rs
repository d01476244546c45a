//! Reading: any direction, bounded, filtered, over any sequence of commits, the writer's own or another process's.
//!
//! A reader takes the head once and shows nothing above it, so that two reads of one reader agree with each other.
//! Reads go in pages: what one page may hold is limited in records, bytes and records considered, so that a filter
//! that matches nothing cannot hold a thread for the length of the log.

use std::ops::ControlFlow;
use std::sync::Arc;

use prooflog_events::envelope::{Peek, blob_hash, category};
use prooflog_events::ids::{Hash32, Position, Revision};
use prooflog_events::port::{
    Direction, Head, RecordBatch, SequenceError, SequenceRead, Snapshot, SnapshotKey, StreamHead, StreamScan,
};

use crate::record::{Record, peek};

/// Bytes after which a page ends, however many records were asked for.
pub const PAGE_BYTES_MAX: usize = 4 << 20;

/// Records after which a page ends, matching or not.
pub const PAGE_CONSIDERED_MAX: usize = 65_536;

/// Which records are wanted. Within one list any entry suffices, an empty list asks nothing; all lists must agree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Names of streams.
    pub streams: Vec<String>,
    /// Beginnings of stream names.
    pub stream_prefixes: Vec<String>,
    /// Categories: the part of a stream's name before the first `-`.
    pub categories: Vec<String>,
    /// Beginnings of type names.
    pub type_prefixes: Vec<String>,
}

impl Filter {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// One stream.
    #[must_use]
    pub fn stream(name: impl Into<String>) -> Self {
        Self { streams: vec![name.into()], ..Self::default() }
    }

    /// One category.
    #[must_use]
    pub fn category(name: impl Into<String>) -> Self {
        Self { categories: vec![name.into()], ..Self::default() }
    }

    /// Types that begin with `prefix`.
    #[must_use]
    pub fn type_prefix(prefix: impl Into<String>) -> Self {
        Self { type_prefixes: vec![prefix.into()], ..Self::default() }
    }

    /// Whether everything matches.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self == &Self::default()
    }

    /// Whether a record matches.
    #[must_use]
    pub fn matches(&self, record: &Peek<'_>) -> bool {
        let any = |wanted: &[String], test: &dyn Fn(&str) -> bool| {
            wanted.is_empty() || wanted.iter().any(|w| test(w))
        };
        any(&self.streams, &|stream| stream == record.stream)
            && any(&self.stream_prefixes, &|prefix| record.stream.starts_with(prefix))
            && any(&self.categories, &|wanted| wanted == category(record.stream))
            && any(&self.type_prefixes, &|prefix| record.type_name.starts_with(prefix))
    }
}

/// A page of the whole log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The records that match, in the direction of the read.
    pub records: Vec<Record>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Position>,
}

/// A page of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPage {
    /// The records, in the direction of the read.
    pub records: Vec<Record>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Revision>,
}

/// Reads below one head.
pub struct Reader<'s, R: SequenceRead + ?Sized> {
    sequence: &'s R,
    head: Head,
}

/// Copies of visited records, one buffer for all.
#[derive(Default)]
pub(crate) struct Collector {
    batch: RecordBatch,
    positions: Vec<Position>,
}

impl Collector {
    pub(crate) fn push(&mut self, position: Position, stored: &[u8]) {
        self.batch.push(stored);
        self.positions.push(position);
    }

    pub(crate) fn is_full(&self, limit: usize) -> bool {
        self.positions.len() >= limit || self.batch.byte_len() >= PAGE_BYTES_MAX
    }

    pub(crate) fn finish(self) -> Vec<Record> {
        let batch = Arc::new(self.batch);
        let records = self.positions.into_iter().enumerate();
        records.map(|(index, position)| Record::new(&batch, index, position)).collect()
    }
}

impl<'s, R: SequenceRead + ?Sized> Reader<'s, R> {
    /// A reader of everything that is there now.
    ///
    /// # Errors
    /// When the head cannot be read.
    pub fn new(sequence: &'s R) -> Result<Self, SequenceError> {
        Ok(Self { sequence, head: sequence.head()? })
    }

    /// A reader below a head taken before.
    #[must_use]
    pub const fn at(sequence: &'s R, head: Head) -> Self {
        Self { sequence, head }
    }

    /// The head that this reader took.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Shows the stored bytes of `from..=to` in place, in order, up to the head. This is the way to fold: nothing is
    /// copied.
    ///
    /// # Errors
    /// When a record is missing or cannot be read; those before it have been shown.
    pub fn for_each(
        &self,
        from: Position,
        to: Position,
        visit: &mut dyn FnMut(Position, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), SequenceError> {
        let low = from.max(Position(1));
        let high = to.min(self.head.position);
        if low > high {
            return Ok(());
        }
        self.sequence.scan(low, high, Direction::Forward, visit)
    }

    /// The record at `position`; `None` above the head and at 0.
    ///
    /// # Errors
    /// When it is missing or cannot be read.
    pub fn record(&self, position: Position) -> Result<Option<Record>, SequenceError> {
        let mut found = Collector::default();
        self.for_each(position, position, &mut |position, stored| {
            found.push(position, stored);
            ControlFlow::Continue(())
        })?;
        Ok(found.finish().pop().filter(|record| record.position() == position))
    }

    /// Records from `from` on, itself included, that match.
    ///
    /// # Errors
    /// When a record is missing or cannot be read.
    pub fn all(
        &self,
        from: Position,
        direction: Direction,
        filter: &Filter,
        limit: usize,
    ) -> Result<Page, SequenceError> {
        let (low, high) = match direction {
            Direction::Forward => (from.max(Position(1)), self.head.position),
            Direction::Backward => (Position(1), from.min(self.head.position)),
        };
        if low > high || limit == 0 {
            return Ok(Page { records: Vec::new(), next: (low <= high).then_some(from) });
        }
        let unfiltered = filter.is_all();
        let mut found = Collector::default();
        let mut considered = 0_usize;
        let mut last = None;
        let mut failure = None;
        self.sequence.scan(low, high, direction, &mut |position, stored| {
            let matches = match if unfiltered {
                Ok(true)
            } else {
                peek(position, stored).map(|p| filter.matches(&p))
            } {
                Ok(matches) => matches,
                Err(error) => {
                    failure = Some(error);
                    return ControlFlow::Break(());
                }
            };
            considered += 1;
            last = Some(position);
            if matches {
                found.push(position, stored);
            }
            let full = considered >= PAGE_CONSIDERED_MAX || found.is_full(limit);
            if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        let next = match (last, direction) {
            (Some(last), Direction::Forward) if last < high => Some(last.next()),
            (Some(last), Direction::Backward) if last > low => Some(Position(last.0.saturating_sub(1))),
            _ => None,
        };
        Ok(Page { records: found.finish(), next })
    }

    /// Records of one stream from revision `from` on, itself included. Backward from beyond the end begins at the end.
    ///
    /// # Errors
    /// When the index or a record is missing or cannot be read.
    pub fn stream(
        &self,
        stream: &str,
        from: Revision,
        direction: Direction,
        limit: usize,
    ) -> Result<StreamPage, SequenceError> {
        if limit == 0 {
            return Ok(StreamPage { records: Vec::new(), next: Some(from) });
        }
        let mut found = Collector::default();
        let mut more = false;
        let scan = StreamScan { stream, from, direction, bound: self.head.position };
        self.sequence.scan_stream(scan, &mut |position, stored| {
            if found.is_full(limit) {
                more = true;
                return ControlFlow::Break(());
            }
            found.push(position, stored);
            ControlFlow::Continue(())
        })?;
        let records = found.finish();
        let mut next = None;
        if more && let Some(last) = records.last() {
            let revision = peek(last.position(), last.stored())?.revision.0;
            next = match direction {
                Direction::Forward => revision.checked_add(1).map(Revision),
                Direction::Backward => revision.checked_sub(1).map(Revision),
            };
        }
        Ok(StreamPage { records, next })
    }

    /// The newest event of a stream at or below the head; `None` if there is none.
    ///
    /// # Errors
    /// When the index or a record cannot be read.
    pub fn stream_head(&self, stream: &str) -> Result<Option<StreamHead>, SequenceError> {
        if let Some(head) = self.sequence.stream_head(stream)?
            && head.position <= self.head.position
        {
            return Ok(Some(head));
        }
        let page = self.stream(stream, Revision(u64::MAX), Direction::Backward, 1)?;
        let Some(record) = page.records.first() else { return Ok(None) };
        let revision = peek(record.position(), record.stored())?.revision;
        Ok(Some(StreamHead { revision, position: record.position() }))
    }

    /// Length of a blob; `None` if it is not there (never stored, or pruned).
    ///
    /// # Errors
    /// When the medium cannot be read.
    pub fn blob_len(&self, hash: Hash32) -> Result<Option<u64>, SequenceError> {
        self.sequence.blob_len(hash)
    }

    /// A blob's bytes, checked against its name; `None` if it is not there.
    ///
    /// # Errors
    /// When the medium cannot be read or the bytes are not what they were.
    pub fn blob(&self, hash: Hash32) -> Result<Option<Vec<u8>>, SequenceError> {
        let Some(len) = self.sequence.blob_len(hash)? else { return Ok(None) };
        let mut bytes = Vec::with_capacity(
            usize::try_from(len).unwrap_or(0).min(prooflog_events::limits::BLOB_BYTES_MAX),
        );
        if !self.sequence.read_blob(hash, &mut |piece| bytes.extend_from_slice(piece))? {
            return Ok(None);
        }
        if blob_hash(&bytes) != hash {
            let what = format!("the bytes stored as blob {hash} hash to something else");
            return Err(SequenceError::Damaged { position: None, what });
        }
        Ok(Some(bytes))
    }

    /// The newest snapshot of a projection at or below `bound` and the head.
    ///
    /// # Errors
    /// When the medium cannot be read.
    pub fn snapshot(&self, key: &SnapshotKey, bound: Position) -> Result<Option<Snapshot>, SequenceError> {
        self.sequence.snapshot(key, bound.min(self.head.position))
    }
}
