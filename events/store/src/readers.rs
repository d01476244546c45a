//! Reading a log that another process may be writing: one look, or following it.
//!
//! Neither takes the lock or changes a file of the log. What they show ends at `HEAD`: the writer's bytes reach the
//! files before they are synced, and what is not acknowledged is not there. Where `HEAD` is missing, what is in the
//! files must do.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use prooflog_events::ids::{Hash32, LogId, Position, Revision};
use prooflog_events::port::{
    Direction, Head, SequenceError, SequenceRead, Snapshot, SnapshotKey, StreamHead, StreamScan, Visit,
};
use rocksdb::DBRecoveryMode;

use crate::error::{StoreError, reading};
use crate::head_file::{self, Acknowledged};
use crate::open::{newest, passing, reaches, undisturbed};
use crate::options::Mode;
use crate::scratch::Scratch;
use crate::tables::Tables;

/// A log as it was at one moment, for reading. Works without write permission and on a full disk.
pub struct ReadOnlyStore {
    tables: Tables,
    head: Head,
}

impl ReadOnlyStore {
    /// Takes one look at the log in `dir`.
    ///
    /// # Errors
    /// When there is none, or it no longer holds what was acknowledged.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        if !crate::dir::database(dir).join("CURRENT").is_file() && crate::dir::is_empty(dir)? {
            return Err(StoreError::NotFound { dir: dir.to_owned() });
        }
        undisturbed(dir, || {
            // In this order: what HEAD says now is in the files that are opened after it.
            let acknowledged = head_file::read(dir)?;
            // A writer may be in the middle of a write; HEAD decides whether what is left is enough.
            let tables = Tables::open(dir, Mode::Read(DBRecoveryMode::PointInTime), None)?;
            let found = newest(&tables, acknowledged)?;
            reaches(&tables, found, acknowledged)?;
            let head = match acknowledged {
                Acknowledged::Head { head, .. } => head,
                Acknowledged::Unknown => found,
            };
            Ok(Self { tables, head })
        })
    }
}

impl ReadOnlyStore {
    /// Shows the names of the streams that outside writers made, however many the engine has.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn outside_streams(
        &self,
        visit: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(), SequenceError> {
        self.tables.outside_streams(visit)
    }
}

/// A log that another process writes, for following it.
pub struct FollowerStore {
    // In this order: what lies in the directory is closed before it goes.
    tables: Tables,
    head: Mutex<Head>,
    _own: Arc<Scratch>,
}

impl FollowerStore {
    /// Follows the log in `dir`. Keeps small files of its own in the system's temporary directory while it lives.
    ///
    /// # Errors
    /// When there is no log or its files cannot be read.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        if !crate::dir::database(dir).join("CURRENT").is_file() {
            return Err(StoreError::NotFound { dir: dir.to_owned() });
        }
        let own = Arc::new(Scratch::take(&std::env::temp_dir())?);
        undisturbed(dir, || {
            let tables = Tables::open(dir, Mode::Follow, Some(own.path()))?;
            let this = Self { head: Mutex::new(Head::empty(tables.log)), tables, _own: Arc::clone(&own) };
            this.refresh().map_err(StoreError::sequence(dir))?;
            Ok(this)
        })
    }
}

impl SequenceRead for FollowerStore {
    fn log_id(&self) -> LogId {
        self.tables.log
    }

    fn head(&self) -> Result<Head, SequenceError> {
        Ok(*self.head.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn refresh(&self) -> Result<Head, SequenceError> {
        let acknowledged = head_file::read(&self.tables.dir)
            .map_err(|error| SequenceError::Unavailable { what: error.to_string() })?;
        // Catching up costs milliseconds, this question microseconds: an idle log is cheap to follow.
        let seen = self.head()?;
        if matches!(acknowledged, Acknowledged::Head { head, .. } if head == seen) {
            return Ok(seen);
        }
        let dir = &self.tables.dir;
        let caught_up = undisturbed(dir, || {
            let caught_up = self.tables.db.try_catch_up_with_primary().map_err(|error| reading(None, &error));
            caught_up.and_then(|()| self.tables.newest()).map_err(StoreError::sequence(dir))
        });
        let found = caught_up.map_err(StoreError::into_sequence)?;
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let visible = match acknowledged {
            Acknowledged::Head { head, .. } if head.position <= found.position => head,
            _ => found,
        };
        if visible.position > head.position {
            *head = visible;
        }
        Ok(*head)
    }

    fn scan(
        &self,
        low: Position,
        high: Position,
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), SequenceError> {
        self.tables.scan(low, high, direction, visit).map_err(passing)
    }

    fn scan_stream(&self, scan: StreamScan<'_>, visit: Visit<'_>) -> Result<(), SequenceError> {
        self.tables.scan_stream(scan, visit).map_err(passing)
    }

    fn stream_head(&self, stream: &str) -> Result<Option<StreamHead>, SequenceError> {
        self.tables.stream_head(stream).map_err(passing)
    }

    fn scan_index(
        &self,
        visit: &mut dyn FnMut(&str, Revision, Position) -> ControlFlow<()>,
    ) -> Result<(), SequenceError> {
        self.tables.scan_index(visit).map_err(passing)
    }

    fn blob_len(&self, hash: Hash32) -> Result<Option<u64>, SequenceError> {
        self.tables.blob_len(hash).map_err(passing)
    }

    fn read_blob(&self, hash: Hash32, visit: &mut dyn FnMut(&[u8])) -> Result<bool, SequenceError> {
        self.tables.read_blob(hash, visit).map_err(passing)
    }

    fn snapshot(&self, key: &SnapshotKey, bound: Position) -> Result<Option<Snapshot>, SequenceError> {
        self.tables.snapshot(key, bound).map_err(passing)
    }
}

impl SequenceRead for ReadOnlyStore {
    fn log_id(&self) -> LogId {
        self.tables.log
    }

    fn head(&self) -> Result<Head, SequenceError> {
        Ok(self.head)
    }

    fn scan(
        &self,
        low: Position,
        high: Position,
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), SequenceError> {
        self.tables.scan(low, high, direction, visit)
    }

    fn scan_stream(&self, scan: StreamScan<'_>, visit: Visit<'_>) -> Result<(), SequenceError> {
        self.tables.scan_stream(scan, visit)
    }

    fn stream_head(&self, stream: &str) -> Result<Option<StreamHead>, SequenceError> {
        self.tables.stream_head(stream)
    }

    fn scan_index(
        &self,
        visit: &mut dyn FnMut(&str, Revision, Position) -> ControlFlow<()>,
    ) -> Result<(), SequenceError> {
        self.tables.scan_index(visit)
    }

    fn blob_len(&self, hash: Hash32) -> Result<Option<u64>, SequenceError> {
        self.tables.blob_len(hash)
    }

    fn read_blob(&self, hash: Hash32, visit: &mut dyn FnMut(&[u8])) -> Result<bool, SequenceError> {
        self.tables.read_blob(hash, visit)
    }

    fn snapshot(&self, key: &SnapshotKey, bound: Position) -> Result<Option<Snapshot>, SequenceError> {
        self.tables.snapshot(key, bound)
    }
}
