//! The directory of a log: its files, its lock, its ballast.
//!
//! `db/` is the database, `HEAD` the newest acknowledged record, `LOCK` held by the one process that writes, and
//! `BALLAST` room that is kept for the one open that a full disk would otherwise refuse. The lock belongs to the open
//! file, so it goes with the process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::StoreError;

pub(crate) const HEAD: &str = "HEAD";
/// The file that is locked.
pub const LOCK: &str = "LOCK";
const BALLAST: &str = "BALLAST";

/// Bytes written at a time where a file system cannot reserve room.
const BALLAST_STEP: usize = 1 << 20;

pub(crate) fn database(dir: &Path) -> PathBuf {
    dir.join("db")
}

/// Whether `dir` holds nothing of a log: no database, and no word that there was one. What else lies there is not ours to
/// judge: users may have been set before the first start.
pub(crate) fn is_empty(dir: &Path) -> Result<bool, StoreError> {
    if dir.join(HEAD).exists() {
        return Ok(false);
    }
    let database = database(dir);
    let listing = StoreError::io("listing", &database);
    match std::fs::read_dir(&database) {
        Ok(entries) => {
            let names = entries.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<Vec<_>>>();
            // The database's own lock is left by an attempt to open what is not there.
            names.map(|names| names.iter().all(|name| name == LOCK)).map_err(listing)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(listing(error)),
    }
}

/// The right to write in a log's directory, for as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it, in a directory that is there; a log need not be.
    ///
    /// # Errors
    /// [`StoreError::Held`] when another one has it, and what the system refuses.
    pub fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(LOCK);
        let file = OpenOptions::new().create(true).read(true).write(true).truncate(false).open(&path);
        let mut file = file.map_err(StoreError::io("opening for writing", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The number is a courtesy; the lock is what counts.
                let _ = file.read_to_string(&mut text);
                return Err(StoreError::Held { dir: dir.to_owned(), holder: text.trim().parse().ok() });
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::io("locking", &path)(error)),
        }
        // On a full disk the number is missing, and the lock holds all the same.
        let _ = file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0)));
        let _ = writeln!(file, "{}", std::process::id());
        Ok(Self { _file: file })
    }
}

/// Gives up the ballast; `false` if there was none.
pub(crate) fn release_ballast(dir: &Path) -> Result<bool, StoreError> {
    let path = dir.join(BALLAST);
    match std::fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::io("removing", &path)(error)),
    }
}

/// Makes sure that `bytes` are set aside. Failing to is not failing to open: the caller warns.
pub(crate) fn keep_ballast(dir: &Path, bytes: u64) -> Result<(), StoreError> {
    let path = dir.join(BALLAST);
    if bytes == 0 || std::fs::metadata(&path).is_ok_and(|meta| meta.len() == bytes) {
        return Ok(());
    }
    let made = File::create(&path).and_then(|file| reserve(file, bytes));
    made.inspect_err(|_| drop(std::fs::remove_file(&path))).map_err(StoreError::io("reserving", &path))
}

/// Reserves real room: a file of holes would be of no use.
fn reserve(mut file: File, bytes: u64) -> std::io::Result<()> {
    let reserved = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes);
    if reserved.is_ok() {
        return file.sync_all();
    }
    let step = vec![0_u8; BALLAST_STEP];
    let mut left = bytes;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(BALLAST_STEP).min(BALLAST_STEP);
        file.write_all(step.get(..part).unwrap_or_default())?;
        left -= part as u64;
    }
    file.sync_all()
}

/// Bytes that a process without privileges may still write below `dir`.
///
/// # Errors
/// When the file system does not say.
pub fn free_space(dir: &Path) -> Result<u64, StoreError> {
    let stat = rustix::fs::statvfs(dir)
        .map_err(|error| StoreError::io("asking for free space", dir)(error.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Makes a directory entry survive a crash of the machine.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(StoreError::io("syncing", dir))
}
