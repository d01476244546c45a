//! The `HEAD` file: the newest acknowledged record, kept beside the database.
//!
//! A write-ahead log that was cut off looks like one that was never longer. This file says how far the log had been
//! acknowledged: it is overwritten after each synced commit, without a sync of its own, so it may lag behind the log
//! and is never ahead of it. Two slots are written in turn; a torn or damaged slot leaves the other one. Losing the
//! file costs the protection, not the log.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use prooflog_events::ids::{Hash32, LogId, Position};
use prooflog_events::port::Head;

use crate::dir::HEAD;
use crate::error::StoreError;

const MAGIC: &[u8; 8] = b"plHEAD\0\x01";
const SLOT_LEN: usize = 8 + 16 + 8 + 32 + 4;
/// Far enough apart that one damaged sector does not reach both.
const SLOT_OFFSETS: [u64; 2] = [0, 4_096];

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acknowledged {
    /// There is no file, or none of its slots is whole.
    Unknown,
    /// Everything up to here was acknowledged.
    Head {
        /// The log that the file belongs to.
        log: LogId,
        /// Its newest acknowledged record.
        head: Head,
    },
}

/// The file, open for writing.
#[derive(Debug)]
pub(crate) struct HeadFile {
    file: File,
    log: LogId,
    writes: usize,
}

pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join(HEAD)
}

/// What the file in `dir` says.
pub(crate) fn read(dir: &Path) -> Result<Acknowledged, StoreError> {
    let path = path(dir);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Acknowledged::Unknown),
        Err(error) => return Err(StoreError::io("reading", &path)(error)),
    };
    let slots = SLOT_OFFSETS.iter().filter_map(|offset| {
        let start = usize::try_from(*offset).ok()?;
        decode(bytes.get(start..start + SLOT_LEN)?)
    });
    let newest = slots.max_by_key(|(_, head)| head.position);
    Ok(newest.map_or(Acknowledged::Unknown, |(log, head)| Acknowledged::Head { log, head }))
}

impl HeadFile {
    pub(crate) fn open(dir: &Path, log: LogId) -> Result<Self, StoreError> {
        let path = path(dir);
        let file = OpenOptions::new().create(true).write(true).truncate(false).open(&path);
        Ok(Self { file: file.map_err(StoreError::io("opening", &path))?, log, writes: 0 })
    }

    /// Overwrites the older slot. Both exist after two writes, so that later ones need no room on the disk.
    pub(crate) fn write(&mut self, head: Head) -> std::io::Result<()> {
        let offset = SLOT_OFFSETS.get(self.writes % SLOT_OFFSETS.len()).copied().unwrap_or(0);
        self.file.write_all_at(&encode(self.log, head), offset)?;
        self.writes += 1;
        Ok(())
    }

    pub(crate) fn sync(&self) -> std::io::Result<()> {
        self.file.sync_all()
    }
}

fn encode(log: LogId, head: Head) -> Vec<u8> {
    let mut slot = Vec::with_capacity(SLOT_LEN);
    slot.extend_from_slice(MAGIC);
    slot.extend_from_slice(&log.0);
    slot.extend_from_slice(&head.position.0.to_be_bytes());
    slot.extend_from_slice(&head.hash.0);
    slot.extend_from_slice(&crc32c::crc32c(&slot).to_be_bytes());
    slot
}

fn decode(slot: &[u8]) -> Option<(LogId, Head)> {
    let (body, sum) = slot.split_at_checked(SLOT_LEN - 4)?;
    if crc32c::crc32c(body).to_be_bytes() != sum {
        return None;
    }
    let rest = body.strip_prefix(MAGIC)?;
    let (log, rest) = rest.split_at_checked(16)?;
    let (position, hash) = rest.split_at_checked(8)?;
    let head = Head {
        position: Position(u64::from_be_bytes(position.try_into().ok()?)),
        hash: Hash32(hash.try_into().ok()?),
    };
    Some((LogId(log.try_into().ok()?), head))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn head(n: u8) -> Head {
        Head { position: Position(u64::from(n)), hash: Hash32([n; 32]) }
    }

    #[test]
    fn the_newest_whole_slot_counts() {
        let dir = tempfile::tempdir().unwrap();
        let log = LogId([7; 16]);
        assert_eq!(read(dir.path()).unwrap(), Acknowledged::Unknown);
        let mut file = HeadFile::open(dir.path(), log).unwrap();
        for n in 1..=3 {
            file.write(head(n)).unwrap();
            assert_eq!(read(dir.path()).unwrap(), Acknowledged::Head { log, head: head(n) });
        }
        // 3 stands in the first slot, 2 in the second.
        let whole = std::fs::read(path(dir.path())).unwrap();
        for bit in 0..SLOT_LEN * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(path(dir.path()), &damaged).unwrap();
            assert_eq!(read(dir.path()).unwrap(), Acknowledged::Head { log, head: head(2) });
            damaged[4_096 + bit / 8] ^= 1 << (bit % 8);
            std::fs::write(path(dir.path()), &damaged).unwrap();
            assert_eq!(read(dir.path()).unwrap(), Acknowledged::Unknown);
        }
    }
}
