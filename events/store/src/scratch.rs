//! Small directories that followers keep in the system's temporary directory, and the end of those whose process was
//! killed.
//!
//! Each holds a file that its process keeps locked. The lock goes with the process, however that ends, so who can take it
//! knows that nobody is left. A directory appears under its name only with the lock held. What a crash in here means: a
//! few kilobytes stay until another follower begins.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::StoreError;

/// What the names begin with.
const PREFIX: &str = "prooflog-follow-";
/// The file that is locked.
const OWNER: &str = "OWNER";
/// Entries of the temporary directory that are looked at in one sweep: others use it too.
const LOOKED_MAX: usize = 4_096;
/// Directories that are removed in one sweep.
const SWEPT_MAX: usize = 64;
/// Names that are tried; one may be left from a process that had our number.
const TRIES: u32 = 64;

/// Tells the directories of one process apart.
static MADE: AtomicU64 = AtomicU64::new(0);

/// A directory of one follower, removed with it.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    _owner: File,
}

impl Scratch {
    /// Makes one in `within`, and removes some that killed processes left there.
    pub(crate) fn take(within: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(within).map_err(StoreError::io("making", within))?;
        sweep(within);
        let mut tried = 0;
        loop {
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{number}", std::process::id());
            match make(within, &name) {
                Ok(made) => return Ok(made),
                Err(_) if tried < TRIES => tried += 1,
                Err(error) => return Err(StoreError::io("making a directory in", within)(error)),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind, it is removed by a later follower.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn make(within: &Path, name: &str) -> std::io::Result<Scratch> {
    let (new, path) = (within.join(format!("prooflog-new-{name}")), within.join(format!("{PREFIX}{name}")));
    std::fs::create_dir(&new)?;
    let locked = File::create(new.join(OWNER)).and_then(|owner| owner.lock().map(|()| owner));
    let taken = locked.and_then(|owner| std::fs::rename(&new, &path).map(|()| owner));
    match taken {
        Ok(owner) => Ok(Scratch { path, _owner: owner }),
        Err(error) => {
            // It is nobody's, and the error that is told is the first one.
            let _ = std::fs::remove_dir_all(&new);
            Err(error)
        }
    }
}

/// Removes directories whose process is gone. What cannot be looked at or removed is somebody else's.
fn sweep(within: &Path) {
    let Ok(entries) = std::fs::read_dir(within) else { return };
    let mut left = SWEPT_MAX;
    for entry in entries.take(LOOKED_MAX).flatten() {
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_dir || !is_named(&entry.file_name()) {
            continue;
        }
        let path = entry.path();
        let Ok(owner) = File::open(path.join(OWNER)) else { continue };
        if owner.try_lock().is_ok() && std::fs::remove_dir_all(&path).is_ok() {
            left -= 1;
        }
        if left == 0 {
            return;
        }
    }
}

/// Whether a name is the prefix and two numbers.
fn is_named(name: &OsStr) -> bool {
    let numbers = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.is_some_and(|(process, number)| is_number(process) && is_number(number))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// A directory as a killed process leaves it.
    fn left_behind(within: &Path, name: &str) -> File {
        std::fs::create_dir(within.join(name)).unwrap();
        std::fs::write(within.join(name).join("LOG"), "some lines").unwrap();
        File::create(within.join(name).join(OWNER)).unwrap()
    }

    fn names(within: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(within).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_killed_processes_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let within = dir.path();
        drop(left_behind(within, "prooflog-follow-4000000-0"));
        let alive = left_behind(within, "prooflog-follow-4000001-0");
        alive.lock().unwrap();
        drop(left_behind(within, "prooflog-follow-mine"));
        std::fs::create_dir(within.join("prooflog-follow-4000002-0")).unwrap();
        std::fs::write(within.join("prooflog-follow-4000003-0"), "a file").unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        drop(left_behind(elsewhere.path(), "kept"));
        let link = within.join("prooflog-follow-4000004-0");
        std::os::unix::fs::symlink(elsewhere.path().join("kept"), link).unwrap();

        let own = Scratch::take(within).unwrap();
        let found = names(within);
        let mine = own.path().file_name().unwrap().to_str().unwrap().to_owned();
        assert!(!found.iter().any(|name| name == "prooflog-follow-4000000-0"), "{found:?}");
        let kept = ["4000001-0", "4000002-0", "4000003-0", "4000004-0", "mine"];
        for name in kept.map(|name| format!("{PREFIX}{name}")).iter().chain([&mine]) {
            assert!(found.contains(name), "{name}: {found:?}");
        }
        assert_eq!(found.len(), kept.len() + 1, "{found:?}");
        assert!(elsewhere.path().join("kept/LOG").is_file());

        // A second one in the same process, and the end of the first.
        let second = Scratch::take(within).unwrap();
        assert!(own.path().is_dir() && own.path() != second.path());
        let path = own.path().to_owned();
        drop(own);
        assert!(!path.exists());
    }

    #[test]
    fn one_sweep_removes_a_bounded_number() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..SWEPT_MAX + 10 {
            drop(left_behind(dir.path(), &format!("prooflog-follow-4000000-{number}")));
        }
        let first = Scratch::take(dir.path()).unwrap();
        assert_eq!(names(dir.path()).len(), 11, "ten of them, and our own");
        let _second = Scratch::take(dir.path()).unwrap();
        drop(first);
        assert_eq!(names(dir.path()).len(), 1);
    }
}
