//! A disk that refuses: full, or not writable. Nothing acknowledged is lost, reading goes on, and room mends it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use prooflog_events::envelope::blob_hash;
use prooflog_events::port::{Blob, Sequence, SequenceError};
use prooflog_log::conformance::{LOG, batch, event};
use prooflog_log::{AppendError, Log};
use prooflog_store::{ErrorKind, OpenNote, OpenOptions, ReadOnlyStore};

use crate::common::{Part, command, content, create, part_dir, reopen, say, try_open};

/// A small file system of its own in memory; `None` where this process may not make one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, megabytes: u32) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }

    fn remount(&self, how: &str) {
        let option = format!("remount,{how}");
        let done = Command::new("mount").args(["-o", &option]).arg(&self.0).status().unwrap();
        assert!(done.success(), "{option}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Appends until the disk refuses; the number of acknowledged events.
fn fill(log: &Log<prooflog_store::RocksStore>) -> (u64, AppendError) {
    let body = "x".repeat(100_000);
    loop {
        if let Err(error) = log.append(batch(vec![event("s", &body)])) {
            return (log.head().position.0, error);
        }
    }
}

#[test]
fn a_full_disk_loses_nothing_and_room_mends_it() {
    let dirs = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(dirs.path(), 24) else {
        return skipped(
            "no right to mount a small file system; the file size limit below covers failed writes",
        );
    };
    let dir = disk.0.join("log");
    let ballast = 8 << 20;
    let (store, _) = prooflog_store::open(&dir, OpenOptions::or_create(LOG).ballast(ballast)).unwrap();
    let log = Log::open(store).unwrap();
    let (acknowledged, error) = fill(&log);
    assert!(matches!(error, AppendError::WriteFailed(SequenceError::Unavailable { .. })), "{error}");
    assert!(acknowledged > 20);
    assert!(matches!(log.append(batch(vec![event("s", "")])), Err(AppendError::Poisoned(_))));
    drop(log);
    // Whatever room is left is gone as well.
    let mut filler = std::fs::File::create(disk.0.join("filler")).unwrap();
    while filler.write_all(&[0; 4_096]).is_ok() {}
    drop(filler);
    // Reading works on the full disk.
    let look = ReadOnlyStore::open(&dir).unwrap();
    assert_eq!(content(&look).unwrap_or_else(|error| panic!("{error:?}")).records.len() as u64, acknowledged);
    drop(look);
    // One open gets through at the price of the ballast.
    let (store, report) = prooflog_store::open(&dir, OpenOptions::existing().ballast(ballast)).unwrap();
    assert!(report.notes.contains(&OpenNote::BallastReleased), "{:?}", report.notes);
    assert!(report.head.position.0 >= acknowledged);
    drop(store);
    std::fs::remove_file(disk.0.join("filler")).unwrap();
    disk.remount("size=64m");
    let log = reopen(&dir);
    log.append(batch(vec![event("s", "room again")])).unwrap();
    content(log.sequence()).unwrap_or_else(|error| panic!("{error:?}"));
}

/// Not a test by itself: fills a disk that refuses files above a limit, and says what was acknowledged.
#[test]
fn part_fills_until_refused() {
    let Some(dir) = part_dir() else { return };
    let log = create(&dir);
    let (acknowledged, error) = fill(&log);
    assert!(matches!(error, AppendError::WriteFailed(SequenceError::Unavailable { .. })), "{error}");
    assert!(matches!(log.append(batch(vec![event("s", "")])), Err(AppendError::Poisoned(_))));
    // The store says so itself, whoever asks.
    let blob = Blob { hash: blob_hash(b"late"), bytes: b"late".to_vec() };
    let refused = log.sequence().put_blob(&blob).unwrap_err().to_string();
    assert!(refused.contains("must be opened again"), "{refused}");
    say(&acknowledged.to_string());
}

#[test]
fn a_write_that_the_system_refuses_loses_nothing() {
    let dirs = tempfile::tempdir().unwrap();
    let dir = dirs.path().join("log");
    // The limit is on the size of a file, in blocks of 512 bytes; without the trap it is a deadly signal.
    let this = std::env::current_exe().unwrap();
    let test = command("full_disk::part_fills_until_refused", &dir);
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$@\""]).arg(this).args(test.get_args());
    limited.env(crate::common::PART_DIR, &dir).stdout(std::process::Stdio::piped());
    let mut part = Part::start(limited);
    let acknowledged: u64 = part.hear().unwrap().parse().unwrap();
    assert!(acknowledged > 5);
    part.child.wait().unwrap();
    let (store, report) = try_open(&dir).unwrap();
    assert!(report.head.position.0 >= acknowledged);
    content(&store).unwrap_or_else(|error| panic!("{error:?}"));
    Log::open(store).unwrap().append(batch(vec![event("s", "")])).unwrap();
}

#[test]
fn a_read_only_directory_is_read_and_not_written() {
    let dirs = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(dirs.path(), 32);
    let dir = dirs.path().join("log");
    let log = create(&dir);
    log.append(batch(vec![event("s", "x")])).unwrap();
    // Left as a crash leaves it: with something to replay.
    let files = crate::common::files(&dir);
    drop(log);
    crate::common::write_files(&dir, &files);
    let unwritable = |mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        for path in [&dir.join("db"), &dir] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    match &disk {
        Some(disk) => disk.remount("ro"),
        None => unwritable(0o555),
    }
    if std::fs::write(dir.join("probe"), "").is_ok() {
        return skipped("this user may write everywhere and may not mount");
    }
    let error = try_open(&dir).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let look = ReadOnlyStore::open(&dir).unwrap();
    assert_eq!(content(&look).unwrap_or_else(|error| panic!("{error:?}")).records.len(), 1);
    if disk.is_none() {
        unwritable(0o755);
    }
}
