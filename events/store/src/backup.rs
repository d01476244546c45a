//! Online backup by the process that holds the log, and restore.
//!
//! A backup is a log's directory like any other: a checkpoint of the database with everything flushed, and a `HEAD`
//! that says how far it reaches. It is made beside its place and moved there only after the copy was opened and its
//! head and hash compared, so a directory that is there is a backup. What a crash leaves is a directory whose name ends
//! in `.partial`, which the next attempt removes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use prooflog_events::port::{Head, SequenceRead};
use rocksdb::DBRecoveryMode;
use rocksdb::checkpoint::Checkpoint;

use crate::dir;
use crate::error::StoreError;
use crate::head_file::{self, Acknowledged, HeadFile};
use crate::options::Mode;
use crate::readers::ReadOnlyStore;
use crate::store::RocksStore;
use crate::tables::Tables;

impl RocksStore {
    /// Copies the log to `target`, a new or empty directory, while it is being written. The answer is how far the copy
    /// reaches: at least to where the log was when this began. On the same file system immutable files are shared, so
    /// a backup against the loss of a disk belongs on another one.
    ///
    /// # Errors
    /// When `target` holds something, there is no room, or the copy does not hold what the log holds.
    pub fn backup(&self, target: &Path) -> Result<Head, StoreError> {
        let begun = self.current();
        let partial = begin(target)?;
        let refused = |error: rocksdb::Error| StoreError::rocks(&partial, &error);
        let checkpoint = Checkpoint::new(&self.tables.db).map_err(refused)?;
        checkpoint.create_checkpoint(dir::database(&partial)).map_err(refused)?;
        let copy = Tables::open(&partial, Mode::Read(DBRecoveryMode::AbsoluteConsistency), None)?;
        let head = copy.newest().map_err(StoreError::sequence(&partial))?;
        let differs = |what: String| StoreError::CopyDiffers { dir: target.to_owned(), what };
        if head.position < begun.position {
            return Err(differs(format!("it ends at {}, the log was at {}", head.position, begun.position)));
        }
        let ours = self.tables.hash_at(head.position).map_err(StoreError::sequence(self.dir()))?;
        if ours != Some(head.hash) || copy.log != self.tables.log {
            return Err(differs(format!("record {} hashes to {}", head.position, head.hash)));
        }
        drop(copy);
        finish(&partial, target, self.log_id(), head)?;
        Ok(head)
    }
}

/// Makes a log in `target`, a new or empty directory, from a backup. Files are copied, not shared.
///
/// # Errors
/// When `backup` is not a log, `target` holds something, or the copy does not hold what the backup holds.
pub fn restore(backup: &Path, target: &Path) -> Result<Head, StoreError> {
    let source = ReadOnlyStore::open(backup)?;
    let expected = source.head().map_err(StoreError::sequence(backup))?;
    let log = source.log_id();
    drop(source);
    if head_file::read(backup)? == Acknowledged::Unknown {
        let what = "the backup has no readable HEAD file, so nothing says how far it should reach".to_owned();
        return Err(StoreError::Damaged { dir: backup.to_owned(), position: None, what });
    }
    let partial = begin(target)?;
    copy_files(&dir::database(backup), &dir::database(&partial))?;
    let copy = Tables::open(&partial, Mode::Read(DBRecoveryMode::AbsoluteConsistency), None)?;
    let head = copy.newest().map_err(StoreError::sequence(&partial))?;
    if head != expected {
        let what = format!("it ends at {}, the backup at {}", head.position, expected.position);
        return Err(StoreError::CopyDiffers { dir: target.to_owned(), what });
    }
    drop(copy);
    finish(&partial, target, log, head)?;
    Ok(head)
}

/// Moves a log that was made in `partial`, within `dir`, into its place. What else lies there stays: users may have been
/// set before. The database goes first and is whole: whenever this ends, `dir` holds no log or all of it.
///
/// # Errors
/// When `dir` holds a log, or the system refuses.
pub fn move_in(partial: &Path, dir: &Path) -> Result<(), StoreError> {
    refuse_log(dir)?;
    let database = dir::database(dir);
    // What an attempt to open left there.
    for gone in [std::fs::remove_file(database.join(dir::LOCK)), std::fs::remove_dir(&database)] {
        match gone {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("removing", &database)(error));
            }
            _ => {}
        }
    }
    let whole = [(dir::database(partial), database), (head_file::path(partial), head_file::path(dir))];
    for (from, to) in whole {
        std::fs::rename(from, &to).map_err(StoreError::io("moving into place", &to))?;
    }
    dir::sync_dir(dir)?;
    std::fs::remove_dir_all(partial).map_err(StoreError::io("removing", partial))
}

/// Refuses a directory that holds a log.
///
/// # Errors
/// When `dir` holds a log, or the system does not say.
pub fn refuse_log(dir: &Path) -> Result<(), StoreError> {
    if dir::is_empty(dir)? { Ok(()) } else { Err(StoreError::NotEmpty { dir: dir.to_owned() }) }
}

/// Whether there is something that a copy would overwrite; an empty directory is not.
fn is_taken(target: &Path) -> Result<bool, StoreError> {
    match std::fs::read_dir(target) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(true),
        Err(error) => Err(StoreError::io("listing", target)(error)),
    }
}

fn begin(target: &Path) -> Result<PathBuf, StoreError> {
    if is_taken(target)? {
        return Err(StoreError::NotEmpty { dir: target.to_owned() });
    }
    let mut name = target.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".partial");
    let partial = target.with_file_name(name);
    match std::fs::remove_dir_all(&partial) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(StoreError::io("removing", &partial)(error)),
    }
    std::fs::create_dir_all(&partial).map_err(StoreError::io("making", &partial))?;
    Ok(partial)
}

fn finish(
    partial: &Path,
    target: &Path,
    log: prooflog_events::ids::LogId,
    head: Head,
) -> Result<(), StoreError> {
    let mut file = HeadFile::open(partial, log)?;
    let written = file.write(head).and_then(|()| file.write(head)).and_then(|()| file.sync());
    written.map_err(StoreError::io("writing", &head_file::path(partial)))?;
    dir::sync_dir(partial)?;
    std::fs::rename(partial, target).map_err(StoreError::io("moving into place", target))?;
    match target.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => dir::sync_dir(parent),
        None => Ok(()),
    }
}

fn copy_files(from: &Path, to: &Path) -> Result<(), StoreError> {
    std::fs::create_dir_all(to).map_err(StoreError::io("making", to))?;
    for entry in std::fs::read_dir(from).map_err(StoreError::io("listing", from))? {
        let entry = entry.map_err(StoreError::io("listing", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_file() && entry.file_name() != "LOCK" {
            std::fs::copy(&source, &target).map_err(StoreError::io("copying", &source))?;
            let synced = std::fs::File::open(&target).and_then(|file| file.sync_all());
            synced.map_err(StoreError::io("syncing", &target))?;
        }
    }
    dir::sync_dir(to)
}
