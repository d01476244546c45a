//! How far consumers came: outside of the log, because it is theirs and changes all the time.
//!
//! One small file for each group, named by the event that created it, so that a group never finds what an older one of
//! its name left. Replaced as a whole and synced; one that is lost or damaged costs deliveries that were made before,
//! and nothing else.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Mutex;

use prooflog_events::ids::EventId;
use serde::{Deserialize, Serialize};

use crate::lock;

/// How far a group came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What the group reads, for people.
    pub source: String,
    /// The group's name, for people.
    pub group: String,
    /// Everything below this position or revision is done.
    pub next: u64,
    /// Everything below this revision of the parked stream is done, as far as it was replayed.
    pub parked: u64,
}

/// Where checkpoints are kept. Called where it may wait for the disk.
pub trait Checkpoints: Send + Sync + 'static {
    /// That of the group which this event created, if there is one.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged.
    fn load(&self, group: EventId) -> io::Result<Option<Checkpoint>>;

    /// Keeps it in place of the last one.
    ///
    /// # Errors
    /// When it cannot be written. The last one stays.
    fn save(&self, group: EventId, checkpoint: &Checkpoint) -> io::Result<()>;

    /// Forgets it: the group is deleted.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove(&self, group: EventId) -> io::Result<()>;
}

/// Checkpoints that end with the process.
#[derive(Debug, Default)]
pub struct MemoryCheckpoints(Mutex<HashMap<EventId, Checkpoint>>);

impl Checkpoints for MemoryCheckpoints {
    fn load(&self, group: EventId) -> io::Result<Option<Checkpoint>> {
        Ok(lock(&self.0).get(&group).cloned())
    }

    fn save(&self, group: EventId, checkpoint: &Checkpoint) -> io::Result<()> {
        lock(&self.0).insert(group, checkpoint.clone());
        Ok(())
    }

    fn remove(&self, group: EventId) -> io::Result<()> {
        lock(&self.0).remove(&group);
        Ok(())
    }
}

/// Checkpoints in a directory of their own, which is made with the first of them.
#[derive(Debug, Clone)]
pub struct FileCheckpoints {
    directory: PathBuf,
}

impl FileCheckpoints {
    /// Keeps them in `directory`.
    #[must_use]
    pub const fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    fn path(&self, group: EventId) -> PathBuf {
        self.directory.join(format!("{}.json", uuid::Uuid::from_bytes(group.0).hyphenated()))
    }
}

impl Checkpoints for FileCheckpoints {
    fn load(&self, group: EventId) -> io::Result<Option<Checkpoint>> {
        match std::fs::read(self.path(group)) {
            Ok(json) => Ok(Some(serde_json::from_slice(&json)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn save(&self, group: EventId, checkpoint: &Checkpoint) -> io::Result<()> {
        std::fs::create_dir_all(&self.directory)?;
        let (path, partial) = (self.path(group), self.path(group).with_extension("new"));
        let mut file = std::fs::File::create(&partial)?;
        file.write_all(&serde_json::to_vec(checkpoint)?)?;
        file.sync_all()?;
        std::fs::rename(partial, path)
    }

    fn remove(&self, group: EventId) -> io::Result<()> {
        match std::fs::remove_file(self.path(group)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_kept_replaced_and_removed_and_a_damaged_one_is_an_error() {
        let scratch = tempfile::tempdir().unwrap();
        let there = FileCheckpoints::new(scratch.path().join("consumers"));
        let (one, other) = (EventId([1; 16]), EventId([2; 16]));
        let at = |next| Checkpoint { source: "a".to_owned(), group: "g".to_owned(), next, parked: 3 };
        assert_eq!(there.load(one).unwrap(), None);
        there.remove(one).unwrap();
        there.save(one, &at(7)).unwrap();
        there.save(one, &at(9)).unwrap();
        assert_eq!(there.load(one).unwrap(), Some(at(9)));
        assert_eq!(there.load(other).unwrap(), None);
        std::fs::write(there.path(other), b"{").unwrap();
        assert!(there.load(other).is_err());
        there.remove(one).unwrap();
        assert_eq!(there.load(one).unwrap(), None);
    }
}
