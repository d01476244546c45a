//! The log's sequence of commits in RocksDB, open for writing.
//!
//! A commit is one synced write: records, index entries and small blobs together. After it the `HEAD` file says how far
//! the log is acknowledged. After a failed write nothing is written any more: what the disk holds is known only to the
//! next open. What a crash means: every commit that returned is there; the one in progress is there as a whole or not.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use prooflog_events::envelope::Peek;
use prooflog_events::ids::{Hash32, LogId, Position, Revision};
use prooflog_events::limits::{BLOB_PIECE_BYTES, SNAPSHOT_BYTES_MAX};
use prooflog_events::port::{
    Blob, Commit, Direction, Head, Sequence, SequenceError, SequenceRead, Snapshot, SnapshotKey, StreamHead,
    StreamScan, Visit,
};
use rocksdb::{WriteBatch, WriteOptions};

use crate::dir::Lock;
use crate::error::{StoreError, reading, writing};
use crate::head_file::HeadFile;
use crate::keys;
use crate::tables::Tables;

/// Bytes of one piece of a snapshot.
const SNAPSHOT_PIECE_BYTES: usize = 1 << 20;

/// A log's database, held for writing.
pub struct RocksStore {
    pub(crate) tables: Tables,
    head: RwLock<Head>,
    head_file: Mutex<HeadFile>,
    failed: AtomicBool,
    _lock: Lock,
}

impl RocksStore {
    pub(crate) fn new(tables: Tables, head: Head, head_file: HeadFile, lock: Lock) -> Self {
        Self {
            tables,
            head: RwLock::new(head),
            head_file: Mutex::new(head_file),
            failed: AtomicBool::new(false),
            _lock: lock,
        }
    }

    /// The log's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.tables.dir
    }

    /// Bytes that may still be written to the log's disk.
    ///
    /// # Errors
    /// When the file system does not say.
    pub fn free_space(&self) -> Result<u64, StoreError> {
        crate::dir::free_space(&self.tables.dir)
    }

    /// Gives the room of pruned blobs back to the disk now, instead of within a day.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn reclaim_blobs(&self) -> Result<(), SequenceError> {
        let family = self.tables.family(keys::BLOBS)?;
        self.tables.db.flush_cf(family).map_err(|error| writing("flushing blobs", &error))?;
        let mut options = rocksdb::CompactOptions::default();
        options.set_bottommost_level_compaction(rocksdb::BottommostLevelCompaction::Force);
        self.tables.db.compact_range_cf_opt(family, None::<&[u8]>, None::<&[u8]>, &options);
        Ok(())
    }

    /// The newest record on disk, whatever readers are told.
    pub(crate) fn current(&self) -> Head {
        *self.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse_failed(&self) -> Result<(), SequenceError> {
        if self.failed.load(Ordering::Acquire) {
            let what = format!(
                "the log in {} must be opened again: an earlier write failed",
                self.tables.dir.display()
            );
            return Err(SequenceError::Unavailable { what });
        }
        Ok(())
    }

    /// Writes `batch` and syncs it; a failure closes the door.
    fn write(&self, batch: WriteBatch, what: &str) -> Result<(), SequenceError> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.tables.db.write_opt(batch, &options).map_err(|error| {
            self.failed.store(true, Ordering::Release);
            writing(what, &error)
        })
    }

    fn batch_of(&self, commit: Commit<'_>) -> Result<WriteBatch, SequenceError> {
        let records = self.tables.family(keys::RECORDS)?;
        let streams = self.tables.family(keys::STREAMS)?;
        let blobs = self.tables.family(keys::BLOBS)?;
        let mut batch = WriteBatch::with_capacity_bytes(commit.records.byte_len() * 2 + 256);
        let mut position = commit.expected.position;
        for stored in commit.records.iter() {
            position = position.next();
            let peek =
                Peek::decode(stored).map_err(|error| SequenceError::damaged(position, error.to_string()))?;
            batch.put_cf(records, keys::record(position), stored);
            batch.put_cf(streams, keys::stream(peek.stream, peek.revision), position.0.to_be_bytes());
        }
        for hash in commit.forgotten {
            self.delete_pieces(*hash, &mut batch)?;
        }
        for blob in commit.blobs {
            for (index, piece) in (0..).zip(blob.bytes.chunks(BLOB_PIECE_BYTES)) {
                batch.put_cf(blobs, keys::piece(blob.hash, index), piece);
            }
            batch.put_cf(blobs, keys::blob(blob.hash), (blob.bytes.len() as u64).to_be_bytes());
        }
        for hash in commit.blobs.iter().map(|blob| blob.hash).chain(commit.named.iter().copied()) {
            batch.delete_cf(blobs, keys::unnamed(hash));
        }
        Ok(batch)
    }

    /// Removes blobs that were stored and never named: whoever stored them crashed before saying why.
    pub(crate) fn sweep_blobs(&self) -> Result<usize, SequenceError> {
        let unnamed = self.tables.unnamed_blobs()?;
        for hash in &unnamed {
            self.remove_blob(*hash)?;
        }
        Ok(unnamed.len())
    }

    fn remove_blob(&self, hash: Hash32) -> Result<(), SequenceError> {
        let mut batch = WriteBatch::default();
        self.delete_pieces(hash, &mut batch)?;
        self.write(batch, "removing a blob")
    }

    /// Adds the removal of all that is stored of a blob.
    fn delete_pieces(&self, hash: Hash32, batch: &mut WriteBatch) -> Result<(), SequenceError> {
        let family = self.tables.family(keys::BLOBS)?;
        batch.delete_cf(family, keys::blob(hash));
        // Pieces without a header belong to a put that did not finish: how many there are only the keys say.
        let mut iterator = self.tables.db.raw_iterator_cf(family);
        let first = keys::piece(hash, 0);
        let prefix = first.get(..first.len() - 4).unwrap_or_default().to_vec();
        iterator.seek(&first);
        while let Some(key) = iterator.key().filter(|key| key.starts_with(&prefix)) {
            batch.delete_cf(family, key);
            iterator.next();
        }
        iterator.status().map_err(|error| reading(None, &error))?;
        // The mark goes last, so that an interrupted removal is taken up again.
        batch.delete_cf(family, keys::unnamed(hash));
        Ok(())
    }
}

impl SequenceRead for RocksStore {
    fn log_id(&self) -> LogId {
        self.tables.log
    }

    fn head(&self) -> Result<Head, SequenceError> {
        Ok(self.current())
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

impl Sequence for RocksStore {
    fn append(&self, commit: Commit<'_>) -> Result<(), SequenceError> {
        self.refuse_failed()?;
        let found = self.current();
        if commit.expected != found {
            return Err(SequenceError::Fenced { expected: commit.expected.position, found: found.position });
        }
        let batch = self.batch_of(commit)?;
        self.write(batch, "writing to the log")?;
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = commit.head;
        let mut file = self.head_file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write(commit.head) {
            // The commit is durable; what is lost is the proof that it was, should its bytes vanish.
            tracing::warn!(%error, position = %commit.head.position, "the HEAD file could not be written");
        }
        Ok(())
    }

    fn put_blob(&self, blob: &Blob) -> Result<(), SequenceError> {
        self.refuse_failed()?;
        if self.tables.blob_len(blob.hash)?.is_some() {
            return Ok(());
        }
        let family = self.tables.family(keys::BLOBS)?;
        let mut mark = WriteBatch::default();
        mark.put_cf(family, keys::unnamed(blob.hash), []);
        // Each piece is synced by itself: a commit that comes between waits for one piece, not for all that the disk
        // has not yet written.
        let mut batch = mark;
        for (index, piece) in (0..).zip(blob.bytes.chunks(BLOB_PIECE_BYTES)) {
            batch.put_cf(family, keys::piece(blob.hash, index), piece);
            self.write(std::mem::take(&mut batch), "writing a blob")?;
        }
        batch.put_cf(family, keys::blob(blob.hash), (blob.bytes.len() as u64).to_be_bytes());
        self.write(batch, "writing a blob")
    }

    fn delete_blob(&self, hash: Hash32) -> Result<bool, SequenceError> {
        self.refuse_failed()?;
        if self.tables.blob_len(hash)?.is_none() {
            return Ok(false);
        }
        self.remove_blob(hash)?;
        Ok(true)
    }

    fn put_snapshot(&self, key: &SnapshotKey, snapshot: &Snapshot) -> Result<(), SequenceError> {
        self.refuse_failed()?;
        if snapshot.bytes.len() > SNAPSHOT_BYTES_MAX {
            let what =
                format!("a snapshot of {} bytes is larger than {SNAPSHOT_BYTES_MAX}", snapshot.bytes.len());
            return Err(SequenceError::Unavailable { what });
        }
        let family = self.tables.family(keys::SNAPSHOTS)?;
        // A copy of what the log holds needs no log of its own; commits do not wait for its bytes. The header is
        // written last, so that a flush between the pieces leaves no snapshot that looks whole.
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        let put = |part: u32, bytes: &[u8]| {
            let key = keys::snapshot_part(key, snapshot.position, part);
            let put = self.tables.db.put_cf_opt(family, key, bytes, &options);
            put.map_err(|error| writing("writing a snapshot", &error))
        };
        for (part, piece) in (1..).zip(snapshot.bytes.chunks(SNAPSHOT_PIECE_BYTES)) {
            put(part, piece)?;
        }
        let mut header = (snapshot.bytes.len() as u64).to_be_bytes().to_vec();
        header.extend_from_slice(&crc32c::crc32c(&snapshot.bytes).to_be_bytes());
        put(keys::SNAPSHOT_HEADER, &header)
    }

    fn delete_snapshots(&self, projection: &str, keep: Option<Hash32>) -> Result<(), SequenceError> {
        self.refuse_failed()?;
        let family = self.tables.family(keys::SNAPSHOTS)?;
        let prefix = keys::projection_prefix(projection);
        let kept = keep.map(|fingerprint| {
            keys::snapshot_prefix(&SnapshotKey { projection: projection.to_owned(), fingerprint })
        });
        let mut batch = WriteBatch::default();
        let mut iterator = self.tables.db.raw_iterator_cf(family);
        iterator.seek(&prefix);
        while let Some(key) = iterator.key().filter(|key| key.starts_with(&prefix)) {
            if !kept.as_ref().is_some_and(|kept| key.starts_with(kept)) {
                batch.delete_cf(family, key);
            }
            iterator.next();
        }
        iterator.status().map_err(|error| reading(None, &error))?;
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.tables.db.write_opt(batch, &options).map_err(|error| writing("removing snapshots", &error))
    }

    fn close(&self) {
        // Leaves nothing to replay; what fails here, the next open makes up for.
        for name in [keys::RECORDS, keys::STREAMS, keys::BLOBS, keys::META, keys::SNAPSHOTS] {
            if let Ok(family) = self.tables.family(name)
                && let Err(error) = self.tables.db.flush_cf(family)
            {
                tracing::warn!(%error, "the log was not flushed at the end; the next open replays it");
            }
        }
        let file = self.head_file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.sync() {
            tracing::warn!(%error, "the HEAD file was not synced");
        }
    }
}

impl std::fmt::Debug for RocksStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dir: &PathBuf = &self.tables.dir;
        f.debug_struct("RocksStore").field("dir", dir).field("head", &self.current()).finish_non_exhaustive()
    }
}
