//! Reading the database: what the writer, a read-only look and a follower have in common.
//!
//! No iteration believes that it reached the end before it has checked the iterator's status, and no run of records is
//! complete before each position of it was seen. A crash in here loses nothing: nothing is written.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use prooflog_events::envelope::{Peek, record_hash};
use prooflog_events::ids::{ENGINE_PREFIXES, Hash32, LogId, Position, Revision};
use prooflog_events::limits::SNAPSHOT_BYTES_MAX;
use prooflog_events::port::{
    Direction, Head, SequenceError, Snapshot, SnapshotKey, StreamHead, StreamScan, Visit,
};
use rocksdb::{ColumnFamily, DB, DBRawIterator, ReadOptions};

use crate::error::{StoreError, reading};
use crate::keys;
use crate::options::{self, Mode};

/// The format that this release writes and reads.
pub const FORMAT: u32 = 1;

/// Records after which a scan reads ahead and leaves the cache to others.
const LONG_SCAN: u64 = 512;

/// Bytes that a long scan reads ahead at most.
const READ_AHEAD_BYTES: usize = 2 << 20;

/// Bytes that a record takes on disk, compressed, generously: a look at the past reads ahead what it will fold, and not
/// ten times as much.
const RECORD_BYTES_ON_DISK: u64 = 160;

/// An open database.
pub(crate) struct Tables {
    pub(crate) db: DB,
    pub(crate) dir: PathBuf,
    pub(crate) log: LogId,
}

impl Tables {
    /// Opens the database of the log in `dir`; `follower` is where a follower keeps its own files.
    pub(crate) fn open(dir: &Path, mode: Mode, follower: Option<&Path>) -> Result<Self, StoreError> {
        let path = crate::dir::database(dir);
        let options = options::database(mode);
        let families = options::families();
        let opened = match (mode, follower) {
            (Mode::Follow, Some(own)) => {
                DB::open_cf_descriptors_as_secondary(&options, &path, &own.to_path_buf(), families)
            }
            (Mode::Read(_) | Mode::Follow, _) => {
                DB::open_cf_descriptors_read_only(&options, &path, families, false)
            }
            (Mode::Create | Mode::Write(_), _) => DB::open_cf_descriptors(&options, &path, families),
        };
        let db = opened.map_err(|error| StoreError::rocks(dir, &error))?;
        let mut this = Self { db, dir: dir.to_owned(), log: LogId::default() };
        if mode != Mode::Create {
            this.log = this.identity()?;
        }
        Ok(this)
    }

    fn identity(&self) -> Result<LogId, StoreError> {
        let damaged =
            |what: &str| StoreError::Damaged { dir: self.dir.clone(), position: None, what: what.to_owned() };
        let get = |key: &[u8]| -> Result<Option<Vec<u8>>, StoreError> {
            let meta = self.family(keys::META).map_err(StoreError::sequence(&self.dir))?;
            self.db.get_cf(meta, key).map_err(|error| StoreError::rocks(&self.dir, &error))
        };
        let format = get(keys::META_FORMAT)?.ok_or_else(|| damaged("it does not say its format"))?;
        let found = format
            .as_slice()
            .try_into()
            .map(u32::from_be_bytes)
            .map_err(|_| damaged("its format is no number"))?;
        if found != FORMAT {
            return Err(StoreError::UnknownFormat { dir: self.dir.clone(), found, known: FORMAT });
        }
        let id = get(keys::META_LOG_ID)?.ok_or_else(|| damaged("it does not say its id"))?;
        id.as_slice().try_into().map(LogId).map_err(|_| damaged("its id has another length"))
    }

    pub(crate) fn family(&self, name: &str) -> Result<&ColumnFamily, SequenceError> {
        let missing =
            || SequenceError::Damaged { position: None, what: format!("column family `{name}` is missing") };
        self.db.cf_handle(name).ok_or_else(missing)
    }

    fn iterator(&self, family: &str, options: ReadOptions) -> Result<DBRawIterator<'_>, SequenceError> {
        Ok(self.db.raw_iterator_cf_opt(self.family(family)?, options))
    }

    /// The newest record of the database.
    pub(crate) fn newest(&self) -> Result<Head, SequenceError> {
        let mut iterator = self.iterator(keys::RECORDS, ReadOptions::default())?;
        iterator.seek_to_last();
        let Some((key, stored)) = iterator.item() else {
            iterator.status().map_err(|error| reading(None, &error))?;
            return Ok(Head::empty(self.log));
        };
        let damaged =
            || SequenceError::Damaged { position: None, what: "a record's key is not a position".to_owned() };
        let position = keys::number(key).map(Position).ok_or_else(damaged)?;
        let peek =
            Peek::decode(stored).map_err(|error| SequenceError::damaged(position, error.to_string()))?;
        if peek.position != position {
            return Err(SequenceError::damaged(
                position,
                format!("it says that it is record {}", peek.position),
            ));
        }
        Ok(Head { position, hash: record_hash(stored) })
    }

    /// The hash of the record at `position`, read in full; `None` if it is not there.
    pub(crate) fn hash_at(&self, position: Position) -> Result<Option<Hash32>, SequenceError> {
        if position == Position::ZERO {
            return Ok(Some(Head::empty(self.log).hash));
        }
        let stored = self.db.get_pinned_cf(self.family(keys::RECORDS)?, keys::record(position));
        let stored = stored.map_err(|error| reading(Some(position), &error))?;
        Ok(stored.map(|stored| record_hash(&stored)))
    }

    pub(crate) fn scan(
        &self,
        low: Position,
        high: Position,
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), SequenceError> {
        if low > high {
            return Ok(());
        }
        if low == high {
            return self.visit_one(low, visit).map(drop);
        }
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(keys::record(low));
        options.set_iterate_upper_bound(keys::record(high.next()));
        if high.0 - low.0 > LONG_SCAN {
            let wanted = usize::try_from((high.0 - low.0).saturating_mul(RECORD_BYTES_ON_DISK));
            options.set_readahead_size(wanted.unwrap_or(READ_AHEAD_BYTES).min(READ_AHEAD_BYTES));
            options.fill_cache(false);
        }
        let mut iterator = self.iterator(keys::RECORDS, options)?;
        let (mut expected, last) = match direction {
            Direction::Forward => (low, high),
            Direction::Backward => (high, low),
        };
        match direction {
            Direction::Forward => iterator.seek_to_first(),
            Direction::Backward => iterator.seek_to_last(),
        }
        loop {
            let Some((key, stored)) = iterator.item() else {
                iterator.status().map_err(|error| self.unreadable((expected, last), &error))?;
                return Err(SequenceError::damaged(expected, "the record is not there"));
            };
            if key != keys::record(expected) {
                return Err(SequenceError::damaged(expected, "the record is not there"));
            }
            if visit(expected, stored).is_break() || expected == last {
                return Ok(());
            }
            match direction {
                Direction::Forward => {
                    expected = expected.next();
                    iterator.next();
                }
                Direction::Backward => {
                    expected = Position(expected.0.saturating_sub(1));
                    iterator.prev();
                }
            }
        }
    }

    /// Damage met on the way from one position to another, at the first record there that cannot be read. Few young files
    /// overlap for RocksDB: it looks into the first block of a later one for a record of an earlier one as well, so what
    /// could not be read says less than the file does.
    fn unreadable(&self, (from, to): (Position, Position), error: &rocksdb::Error) -> SequenceError {
        let damage = reading(Some(from), error);
        let SequenceError::Damaged { what, .. } = &damage else { return damage };
        let begin = self.file_begins(what).unwrap_or_default();
        let low = from.min(to).max(begin);
        let high = from.max(to).max(low);
        let is_bad = |position: &u64| self.hash_at(Position(*position)).is_err();
        let mut positions = low.0..=high.0;
        let bad = if from <= to { positions.find(is_bad) } else { positions.rfind(is_bad) };
        reading(Some(bad.map_or(low, Position)), error)
    }

    /// Damage that was met on the way to the newest record, at the first record up to `head` that cannot be read in the
    /// file that the error names.
    pub(crate) fn locate(&self, head: Position, error: SequenceError) -> SequenceError {
        let SequenceError::Damaged { position: None, what } = error else { return error };
        let begin = self.file_begins(&what).unwrap_or(head.next());
        let bad = (begin.0..=head.0).map(Position).find(|position| self.hash_at(*position).is_err());
        // A file that is not there may be the doing of a writer.
        SequenceError::Damaged { position: bad.filter(|_| !what.contains("No such file")), what }
    }

    /// The first position in the data file that a text of RocksDB names.
    fn file_begins(&self, text: &str) -> Option<Position> {
        let files = self.db.live_files().ok()?;
        let named = files.into_iter().find(|file| {
            file.column_family_name == keys::RECORDS && text.contains(file.name.trim_start_matches('/'))
        });
        named?.start_key.as_deref().and_then(keys::number).map(Position)
    }

    fn visit_one(&self, position: Position, visit: Visit<'_>) -> Result<ControlFlow<()>, SequenceError> {
        let stored = self.db.get_pinned_cf(self.family(keys::RECORDS)?, keys::record(position));
        match stored.map_err(|error| self.unreadable((position, position), &error))? {
            Some(stored) => Ok(visit(position, &stored)),
            None => Err(SequenceError::damaged(position, "the record is not there")),
        }
    }

    pub(crate) fn scan_stream(&self, scan: StreamScan<'_>, visit: Visit<'_>) -> Result<(), SequenceError> {
        let mut iterator = self.iterator(keys::STREAMS, ReadOptions::default())?;
        let start = keys::stream(scan.stream, scan.from);
        match scan.direction {
            Direction::Forward => iterator.seek(&start),
            Direction::Backward => {
                iterator.seek_for_prev(&start);
                if let Some((key, value)) = iterator.item()
                    && let Some((newest, position)) = index_entry(scan.stream, key, value)?
                    && position > scan.bound
                {
                    let Some(below) = self.last_below(scan, newest)? else { return Ok(()) };
                    iterator.seek_for_prev(keys::stream(scan.stream, below));
                }
            }
        }
        let mut before: Option<Revision> = None;
        loop {
            let Some((key, value)) = iterator.item() else {
                return iterator.status().map_err(|error| reading(None, &error));
            };
            let Some((revision, position)) = index_entry(scan.stream, key, value)? else { return Ok(()) };
            if before.is_some_and(|before| before.0.abs_diff(revision.0) != 1) {
                let what =
                    format!("the index of stream `{}` has a gap before revision {revision}", scan.stream);
                return Err(SequenceError::damaged(position, what));
            }
            before = Some(revision);
            if position <= scan.bound {
                if self.visit_indexed(scan.stream, revision, position, visit)?.is_break() {
                    return Ok(());
                }
            } else if scan.direction == Direction::Forward {
                return Ok(());
            }
            match scan.direction {
                Direction::Forward => iterator.next(),
                Direction::Backward => iterator.prev(),
            }
        }
    }

    /// The last revision below `above` within the bound. Positions grow along a stream, so halving finds it, however
    /// much came later.
    fn last_below(&self, scan: StreamScan<'_>, above: Revision) -> Result<Option<Revision>, SequenceError> {
        let family = self.family(keys::STREAMS)?;
        let (mut low, mut high) = (0, above.0);
        while low < high {
            let middle = low + (high - low) / 2;
            let key = keys::stream(scan.stream, Revision(middle));
            let value = self.db.get_pinned_cf(family, key).map_err(|error| reading(None, &error))?;
            let Some(position) = value.as_deref().and_then(keys::number) else {
                let what = format!("the index of stream `{}` has no revision {middle}", scan.stream);
                return Err(SequenceError::Damaged { position: None, what });
            };
            if position <= scan.bound.0 { low = middle + 1 } else { high = middle }
        }
        Ok(low.checked_sub(1).map(Revision))
    }

    /// Shows a record that the index led to, if it is the one that the index means.
    fn visit_indexed(
        &self,
        stream: &str,
        revision: Revision,
        position: Position,
        visit: Visit<'_>,
    ) -> Result<ControlFlow<()>, SequenceError> {
        let mut wrong = None;
        let flow = self.visit_one(position, &mut |position, stored| match Peek::decode(stored) {
            Ok(peek) if peek.stream == stream && peek.revision == revision => visit(position, stored),
            Ok(peek) => {
                wrong = Some(format!(
                    "the index leads there for {stream} {revision}, it is {} {}",
                    peek.stream, peek.revision
                ));
                ControlFlow::Break(())
            }
            Err(error) => {
                wrong = Some(error.to_string());
                ControlFlow::Break(())
            }
        })?;
        wrong.map_or(Ok(flow), |what| Err(SequenceError::damaged(position, what)))
    }

    pub(crate) fn stream_head(&self, stream: &str) -> Result<Option<StreamHead>, SequenceError> {
        let mut iterator = self.iterator(keys::STREAMS, ReadOptions::default())?;
        iterator.seek_for_prev(keys::stream(stream, Revision(u64::MAX)));
        let Some((key, value)) = iterator.item() else {
            iterator.status().map_err(|error| reading(None, &error))?;
            return Ok(None);
        };
        let entry = index_entry(stream, key, value)?;
        Ok(entry.map(|(revision, position)| StreamHead { revision, position }))
    }

    pub(crate) fn scan_index(
        &self,
        visit: &mut dyn FnMut(&str, Revision, Position) -> ControlFlow<()>,
    ) -> Result<(), SequenceError> {
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        options.set_readahead_size(READ_AHEAD_BYTES);
        options.fill_cache(false);
        let mut iterator = self.iterator(keys::STREAMS, options)?;
        iterator.seek_to_first();
        while let Some((key, value)) = iterator.item() {
            let entry = keys::split_stream(key).zip(keys::number(value));
            let Some(((stream, revision), position)) = entry else {
                let what = "an entry of the stream index is malformed".to_owned();
                return Err(SequenceError::Damaged { position: None, what });
            };
            if visit(stream, revision, Position(position)).is_break() {
                return Ok(());
            }
            iterator.next();
        }
        iterator.status().map_err(|error| reading(None, &error))
    }

    /// The streams of outside writers, by jumping over the engine's: a seek for each of its prefixes and each length.
    pub(crate) fn outside_streams(
        &self,
        visit: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(), SequenceError> {
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        let mut iterator = self.iterator(keys::STREAMS, options)?;
        iterator.seek_to_first();
        while let Some((key, _)) = iterator.item() {
            let Some((stream, _)) = keys::split_stream(key) else {
                let what = "an entry of the stream index is malformed".to_owned();
                return Err(SequenceError::Damaged { position: None, what });
            };
            let next = match ENGINE_PREFIXES.iter().find(|prefix| stream.starts_with(**prefix)) {
                Some(prefix) => keys::behind(stream.len(), prefix.as_bytes()),
                None => {
                    if visit(stream).is_break() {
                        return Ok(());
                    }
                    keys::behind(stream.len(), stream.as_bytes())
                }
            };
            match next {
                Some(next) => iterator.seek(next),
                None => break,
            }
        }
        iterator.status().map_err(|error| reading(None, &error))
    }

    pub(crate) fn blob_len(&self, hash: Hash32) -> Result<Option<u64>, SequenceError> {
        let value = self.db.get_pinned_cf(self.family(keys::BLOBS)?, keys::blob(hash));
        let Some(value) = value.map_err(|error| reading_blob(hash, &error))? else { return Ok(None) };
        keys::number(&value).map(Some).ok_or_else(|| blob_damaged(hash, "its length is malformed"))
    }

    pub(crate) fn read_blob(
        &self,
        hash: Hash32,
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<bool, SequenceError> {
        let Some(len) = self.blob_len(hash)? else { return Ok(false) };
        let family = self.family(keys::BLOBS)?;
        let mut left = len;
        for index in 0.. {
            if left == 0 {
                break;
            }
            let piece = self.db.get_pinned_cf(family, keys::piece(hash, index));
            let piece = piece.map_err(|error| reading_blob(hash, &error))?;
            let piece = piece.ok_or_else(|| blob_damaged(hash, "a piece of it is missing"))?;
            left = left
                .checked_sub(piece.len() as u64)
                .ok_or_else(|| blob_damaged(hash, "it is longer than it says"))?;
            visit(&piece);
        }
        Ok(true)
    }

    /// Blobs that no commit has named.
    pub(crate) fn unnamed_blobs(&self) -> Result<Vec<Hash32>, SequenceError> {
        let mut iterator = self.iterator(keys::BLOBS, ReadOptions::default())?;
        iterator.seek(b"u");
        let mut found = Vec::new();
        while let Some(hash) = iterator.key().and_then(keys::unnamed_hash) {
            found.push(hash);
            iterator.next();
        }
        iterator.status().map_err(|error| reading(None, &error))?;
        Ok(found)
    }

    pub(crate) fn snapshot(
        &self,
        key: &SnapshotKey,
        bound: Position,
    ) -> Result<Option<Snapshot>, SequenceError> {
        let family = self.family(keys::SNAPSHOTS)?;
        let prefix = keys::snapshot_prefix(key);
        let mut bound = Some(bound);
        while let Some(below) = bound {
            let mut iterator = self.iterator(keys::SNAPSHOTS, ReadOptions::default())?;
            iterator.seek_for_prev(keys::snapshot_part(key, below, keys::SNAPSHOT_HEADER));
            let Some(found) = iterator.key() else {
                iterator.status().map_err(|error| reading(None, &error))?;
                return Ok(None);
            };
            let position =
                found.strip_prefix(prefix.as_slice()).and_then(|rest| rest.get(..8)).and_then(keys::number);
            let Some(position) = position.map(Position) else { return Ok(None) };
            // The header's checksum is of the whole and of our own making: RocksDB's, piece by piece, would be a second.
            let mut options = ReadOptions::default();
            options.set_verify_checksums(false);
            let mut get = |part| {
                let part = keys::snapshot_part(key, position, part);
                self.db.get_pinned_cf_opt(family, part, &options).map_err(|error| reading(None, &error))
            };
            if let Ok(Some(bytes)) = whole_snapshot(&mut get) {
                return Ok(Some(Snapshot { position, bytes }));
            }
            // Cut off by a crash, or damaged: it is a copy, an older one does as well.
            bound = position.0.checked_sub(1).map(Position);
        }
        Ok(None)
    }
}

/// Revision and position of an index entry; `None` if it belongs to another stream.
fn index_entry(
    stream: &str,
    key: &[u8],
    value: &[u8],
) -> Result<Option<(Revision, Position)>, SequenceError> {
    let damaged = || SequenceError::Damaged {
        position: None,
        what: format!("an entry in the index of stream `{stream}` is malformed"),
    };
    let (found, revision) = keys::split_stream(key).ok_or_else(damaged)?;
    if found != stream {
        return Ok(None);
    }
    let position = keys::number(value).ok_or_else(damaged)?;
    Ok(Some((revision, Position(position))))
}

fn blob_damaged(hash: Hash32, what: &str) -> SequenceError {
    SequenceError::Damaged { position: None, what: format!("blob {hash}: {what}") }
}

/// An error met while reading a blob: RocksDB does not name the file, and the blob's name is all that helps.
fn reading_blob(hash: Hash32, error: &rocksdb::Error) -> SequenceError {
    match reading(None, error) {
        SequenceError::Damaged { what, .. } => blob_damaged(hash, &what),
        other => other,
    }
}

/// The bytes of a snapshot whose header (length and checksum) they fit.
fn whole_snapshot<P: AsRef<[u8]>, E>(
    get: &mut dyn FnMut(u32) -> Result<Option<P>, E>,
) -> Result<Option<Vec<u8>>, E> {
    let Some(header) = get(keys::SNAPSHOT_HEADER)? else { return Ok(None) };
    let Some((len, sum)) = header.as_ref().split_at_checked(8) else { return Ok(None) };
    let Some(len) = keys::number(len).and_then(|len| usize::try_from(len).ok()) else { return Ok(None) };
    if len > SNAPSHOT_BYTES_MAX {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(len);
    for part in 1.. {
        if bytes.len() >= len {
            break;
        }
        let Some(piece) = get(part)? else { return Ok(None) };
        bytes.extend_from_slice(piece.as_ref());
    }
    let whole = bytes.len() == len && crc32c::crc32c(&bytes).to_be_bytes() == sum;
    Ok(whole.then_some(bytes))
}
