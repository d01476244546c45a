//! Opening a log: for writing, for one look, for following; and never at less than was acknowledged.
//!
//! An open for writing first looks: a read-only open replays the write-ahead log without touching a file, with absolute
//! consistency. Where that refuses, the consistent part before the damage is looked at, and the torn tail is dropped
//! only if that part still reaches `HEAD` with the same hash. Only then is the database opened for real. Everything
//! that is refused is refused before any file was changed.

use std::path::{Path, PathBuf};

use prooflog_events::ids::{LogId, Position};
use prooflog_events::port::{Head, SequenceError};
use rocksdb::{DBRecoveryMode, WriteBatch, WriteOptions};

use crate::dir::{self, Lock};
use crate::error::StoreError;
use crate::head_file::{self, Acknowledged, HeadFile};
use crate::keys;
use crate::options::{Mode, WAL_BYTES_MAX};
use crate::store::RocksStore;
use crate::tables::{FORMAT, Tables};
use crate::wal::WalFiles;

/// Room kept for the open after a full disk: the write-ahead log, and as much again for what its flush writes.
pub const BALLAST_BYTES: u64 = 2 * WAL_BYTES_MAX;

/// Times that a look is repeated when the writer replaced files under it.
const LOOKS_MAX: usize = 5;

/// What an open may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOptions {
    /// The id of a log that is made; `None` opens only a log that is there.
    pub create: Option<LogId>,
    /// Bytes of ballast; 0 keeps none.
    pub ballast_bytes: u64,
}

impl OpenOptions {
    /// Opens a log that is there.
    #[must_use]
    pub const fn existing() -> Self {
        Self { create: None, ballast_bytes: BALLAST_BYTES }
    }

    /// Makes a log with this id where there is none.
    #[must_use]
    pub const fn or_create(log: LogId) -> Self {
        Self { create: Some(log), ballast_bytes: BALLAST_BYTES }
    }

    /// The same with another ballast.
    #[must_use]
    pub const fn ballast(self, ballast_bytes: u64) -> Self {
        Self { ballast_bytes, ..self }
    }
}

/// What an open found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReport {
    /// The newest record.
    pub head: Head,
    /// Whether the log was made.
    pub created: bool,
    /// What a person should hear of.
    pub notes: Vec<OpenNote>,
}

/// Something out of the ordinary that an open met and could mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenNote {
    /// There is no readable `HEAD` file: a loss at the end would not have been noticed.
    NoHeadFile,
    /// The write-ahead log ended within a write that nobody was told of; that write was dropped.
    TornTail {
        /// What the database said.
        what: String,
    },
    /// The disk is full: the ballast was given up.
    BallastReleased,
    /// The ballast could not be set aside.
    NoBallast {
        /// Why.
        why: String,
    },
    /// Blobs that were stored and never named were removed.
    OrphanBlobs {
        /// How many.
        count: usize,
    },
}

impl std::fmt::Display for OpenNote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoHeadFile => {
                f.write_str("there is no readable HEAD file: a loss at the end would go unnoticed")
            }
            Self::TornTail { what } => {
                write!(f, "a torn, unacknowledged write at the end was dropped ({what})")
            }
            Self::BallastReleased => {
                f.write_str("the disk is full: the ballast was given up, free some room")
            }
            Self::NoBallast { why } => write!(f, "no ballast could be set aside: {why}"),
            Self::OrphanBlobs { count } => write!(f, "{count} blobs that nothing names were removed"),
        }
    }
}

/// Opens the log in `dir` for writing.
///
/// # Errors
/// [`StoreError::Held`], [`StoreError::NotFound`], [`StoreError::BelowHead`], [`StoreError::Damaged`] and what the
/// system refuses. No file was changed then, but for a lock file and the ballast.
pub fn open(dir: &Path, options: OpenOptions) -> Result<(RocksStore, OpenReport), StoreError> {
    if options.create.is_some() {
        std::fs::create_dir_all(dir).map_err(StoreError::io("making", dir))?;
    } else if !dir.is_dir() {
        return Err(StoreError::NotFound { dir: dir.to_owned() });
    }
    if options.create.is_none() && dir::is_empty(dir)? {
        return Err(StoreError::NotFound { dir: dir.to_owned() });
    }
    let lock = Lock::take(dir)?;
    match options.create {
        Some(log) if dir::is_empty(dir)? => create(dir, log, lock, options),
        _ => reopen(dir, lock, options),
    }
}

fn create(
    dir: &Path,
    log: LogId,
    lock: Lock,
    options: OpenOptions,
) -> Result<(RocksStore, OpenReport), StoreError> {
    let mut tables = Tables::open(dir, Mode::Create, None)?;
    tables.log = log;
    let meta = tables.family(keys::META).map_err(StoreError::sequence(dir))?;
    let mut batch = WriteBatch::default();
    batch.put_cf(meta, keys::META_FORMAT, FORMAT.to_be_bytes());
    batch.put_cf(meta, keys::META_LOG_ID, log.0);
    let mut synced = WriteOptions::default();
    synced.set_sync(true);
    tables.db.write_opt(batch, &synced).map_err(|error| StoreError::rocks(dir, &error))?;
    let head = Head::empty(log);
    let report = OpenReport { head, created: true, notes: Vec::new() };
    finish(tables, lock, options, report)
}

fn reopen(dir: &Path, lock: Lock, options: OpenOptions) -> Result<(RocksStore, OpenReport), StoreError> {
    let mut notes = Vec::new();
    let acknowledged = head_file::read(dir)?;
    if acknowledged == Acknowledged::Unknown {
        notes.push(OpenNote::NoHeadFile);
    }
    let (head, recovery) = look(dir, acknowledged, &mut notes)?;
    let tables = match Tables::open(dir, Mode::Write(recovery), None) {
        Err(StoreError::NoSpace { dir: full, what }) => {
            if !dir::release_ballast(dir)? {
                return Err(StoreError::NoSpace { dir: full, what });
            }
            notes.push(OpenNote::BallastReleased);
            Tables::open(dir, Mode::Write(recovery), None)?
        }
        other => other?,
    };
    let found = newest(&tables, acknowledged)?;
    if found != head {
        let what = format!("a look found the head {}, opening found {}", head.position, found.position);
        return Err(StoreError::Damaged { dir: dir.to_owned(), position: Some(found.position), what });
    }
    finish(tables, lock, options, OpenReport { head, created: false, notes })
}

/// The head that an open will find, and how it must treat the write-ahead log. Changes nothing.
fn look(
    dir: &Path,
    acknowledged: Acknowledged,
    notes: &mut Vec<OpenNote>,
) -> Result<(Head, DBRecoveryMode), StoreError> {
    let strict = DBRecoveryMode::AbsoluteConsistency;
    let refused = match look_with(dir, acknowledged, strict) {
        Ok(head) => return Ok((head, strict)),
        Err(error @ StoreError::Damaged { position: None, .. }) => error,
        Err(error) => return Err(error),
    };
    if acknowledged == Acknowledged::Unknown {
        return Err(refused);
    }
    let lenient = DBRecoveryMode::PointInTime;
    match look_with(dir, acknowledged, lenient) {
        Ok(head) => {
            notes.push(OpenNote::TornTail { what: refused.to_string() });
            Ok((head, lenient))
        }
        Err(error @ StoreError::BelowHead { .. }) => Err(error),
        Err(_) => Err(refused),
    }
}

fn look_with(dir: &Path, acknowledged: Acknowledged, recovery: DBRecoveryMode) -> Result<Head, StoreError> {
    let tables = Tables::open(dir, Mode::Read(recovery), None)?;
    let head = newest(&tables, acknowledged)?;
    reaches(&tables, head, acknowledged)?;
    // Read here as well, so that damage there is met before anything is changed.
    tables.unnamed_blobs().map_err(StoreError::sequence(dir))?;
    Ok(head)
}

/// The newest record; where it cannot be read, the error says from which position on.
pub(crate) fn newest(tables: &Tables, acknowledged: Acknowledged) -> Result<Head, StoreError> {
    let found = tables.newest().map_err(|error| match acknowledged {
        Acknowledged::Head { head, .. } => tables.locate(head.position, error),
        Acknowledged::Unknown => error,
    });
    found.map_err(StoreError::sequence(&tables.dir))
}

/// Whether the log still holds what was acknowledged.
pub(crate) fn reaches(tables: &Tables, found: Head, acknowledged: Acknowledged) -> Result<(), StoreError> {
    let Acknowledged::Head { log, head } = acknowledged else { return Ok(()) };
    let dir = tables.dir.clone();
    let damaged = |position: Position, what: String| StoreError::Damaged {
        dir: dir.clone(),
        position: Some(position),
        what,
    };
    if log != tables.log {
        return Err(damaged(
            head.position,
            format!("HEAD belongs to log {log}, the database to log {}", tables.log),
        ));
    }
    if found.position < head.position {
        return Err(StoreError::BelowHead { dir, found: found.position, expected: head.position });
    }
    match tables.hash_at(head.position).map_err(StoreError::sequence(&tables.dir))? {
        Some(hash) if hash == head.hash => Ok(()),
        Some(hash) => {
            Err(damaged(head.position, format!("acknowledged was {}, it hashes to {hash}", head.hash)))
        }
        None => Err(damaged(head.position, "the record is not there".to_owned())),
    }
}

fn finish(
    tables: Tables,
    lock: Lock,
    options: OpenOptions,
    mut report: OpenReport,
) -> Result<(RocksStore, OpenReport), StoreError> {
    let dir: PathBuf = tables.dir.clone();
    let mut file = HeadFile::open(&dir, tables.log)?;
    // Both slots, so that no later write needs room.
    for _ in 0..2 {
        file.write(report.head).map_err(StoreError::io("writing", &head_file::path(&dir)))?;
    }
    file.sync().map_err(StoreError::io("syncing", &head_file::path(&dir)))?;
    dir::sync_dir(&dir)?;
    let store = RocksStore::new(tables, report.head, file, lock);
    match store.sweep_blobs() {
        Ok(0) => {}
        Ok(count) => report.notes.push(OpenNote::OrphanBlobs { count }),
        Err(error) => return Err(StoreError::sequence(&dir)(error)),
    }
    let released = report.notes.contains(&OpenNote::BallastReleased);
    if !released && let Err(error) = dir::keep_ballast(&dir, options.ballast_bytes) {
        report.notes.push(OpenNote::NoBallast { why: error.to_string() });
    }
    for note in &report.notes {
        tracing::warn!(dir = %dir.display(), "{note}");
    }
    Ok((store, report))
}

/// Takes a look at the log in `dir` while another process may be writing it: again, when the writer replaced files under
/// it.
pub(crate) fn undisturbed<T>(
    dir: &Path,
    mut look: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut left = LOOKS_MAX;
    loop {
        left -= 1;
        let before = WalFiles::list(dir)?;
        let seen = look();
        let whole = WalFiles::list(dir)?.whole_since(&before);
        let gone = |what: &str| what.contains("No such file");
        match seen {
            Err(StoreError::Damaged { what, position: None, .. }) if left > 0 && gone(&what) => {}
            _ if left > 0 && !whole => {}
            Ok(_) | Err(StoreError::Damaged { .. }) if !whole => {
                let what = format!("its writer replaced files under each of {LOOKS_MAX} looks: try again");
                return Err(StoreError::Refused { dir: dir.to_owned(), what });
            }
            seen => return seen,
        }
    }
}

/// A [`SequenceError`] for a store that is read by a second process, where a missing file is the writer's doing.
pub(crate) fn passing(error: SequenceError) -> SequenceError {
    match error {
        SequenceError::Damaged { position: None, what } if what.contains("No such file") => {
            SequenceError::Unavailable {
                what: format!("the writer replaced files meanwhile, try again: {what}"),
            }
        }
        other => other,
    }
}
