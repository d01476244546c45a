//! Backup while writing, and restore.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use prooflog_events::port::SequenceRead;
use prooflog_log::conformance::{batch, event};
use prooflog_store::{ErrorKind, ReadOnlyStore, StoreError, move_in, restore};

use crate::common::{content, files, reopen, varied, write_files};

#[test]
fn a_backup_made_while_writing_is_a_log() {
    let dirs = tempfile::tempdir().unwrap();
    let log = varied(&dirs.path().join("log"));
    let done = AtomicBool::new(false);
    let heads = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                log.append(batch(vec![event("live", "x"), event("other", "y")])).unwrap();
            }
        });
        let heads: Vec<_> = (0..5)
            .map(|n| {
                let before = log.head();
                let head = log.sequence().backup(&dirs.path().join(format!("backup-{n}"))).unwrap();
                assert!(head.position >= before.position);
                head
            })
            .collect();
        done.store(true, Ordering::Release);
        heads
    });
    for (n, head) in heads.into_iter().enumerate() {
        let backup = dirs.path().join(format!("backup-{n}"));
        let look = ReadOnlyStore::open(&backup).unwrap();
        assert_eq!(look.head().unwrap(), head);
        let expected = content(&look).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(log.reader().record(head.position).unwrap().unwrap().hash(), head.hash);
        drop(look);
        let restored = dirs.path().join(format!("restored-{n}"));
        assert_eq!(restore(&backup, &restored).unwrap(), head);
        let back = reopen(&restored);
        assert_eq!(back.head(), head);
        assert!(content(back.sequence()).is_ok_and(|content| content == expected));
        back.append(batch(vec![event("live", "on its own way")])).unwrap();
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_half_is_left() {
    let dirs = tempfile::tempdir().unwrap();
    let log = varied(&dirs.path().join("log"));
    let target = dirs.path().join("backup");
    // What a crash in the middle of a backup left is no backup and is no obstacle.
    std::fs::create_dir_all(dirs.path().join("backup.partial/db")).unwrap();
    log.sequence().backup(&target).unwrap();
    assert!(!dirs.path().join("backup.partial").exists());
    assert!(matches!(log.sequence().backup(&target), Err(StoreError::NotEmpty { .. })));
    assert!(matches!(restore(&target, &target), Err(StoreError::NotEmpty { .. })));
    assert!(matches!(
        restore(&dirs.path().join("none"), &dirs.path().join("x")),
        Err(StoreError::NotFound { .. })
    ));
    // Whoever mounts a disk or has a service manager make the directory finds it there, and empty.
    let (empty, other) = (dirs.path().join("empty"), dirs.path().join("other"));
    std::fs::create_dir(&empty).unwrap();
    std::fs::create_dir(&other).unwrap();
    assert_eq!(log.sequence().backup(&other).unwrap(), log.head());
    assert_eq!(restore(&other, &empty).unwrap(), log.head());
    std::fs::write(dirs.path().join("file"), "").unwrap();
    let onto_file = restore(&other, &dirs.path().join("file"));
    assert!(matches!(onto_file, Err(StoreError::NotEmpty { .. })), "{onto_file:?}");
}

#[test]
fn a_log_that_was_put_together_elsewhere_is_moved_beside_what_is_there_and_never_onto_a_log() {
    let dirs = tempfile::tempdir().unwrap();
    let dir = dirs.path().join("log");
    let made = |name: &str| {
        let partial = dir.join(name);
        let head = varied(&partial).head();
        (partial, head)
    };
    let (partial, head) = made("one.partial");
    // A look at a directory without a log leaves the database's own lock.
    std::fs::create_dir(dir.join("db")).unwrap();
    std::fs::write(dir.join("db/LOCK"), "").unwrap();
    std::fs::write(dir.join("users.toml"), "").unwrap();
    move_in(&partial, &dir).unwrap();
    assert_eq!(reopen(&dir).head(), head);
    assert!(dir.join("users.toml").exists() && !partial.exists());
    let (partial, _) = made("two.partial");
    assert!(matches!(move_in(&partial, &dir), Err(StoreError::NotEmpty { .. })));
    assert_eq!(reopen(&dir).head(), head);
}

#[test]
fn a_damaged_backup_is_not_restored() {
    let dirs = tempfile::tempdir().unwrap();
    let log = varied(&dirs.path().join("log"));
    let backup = dirs.path().join("backup");
    log.sequence().backup(&backup).unwrap();
    let whole = files(&backup);
    let damages: [&dyn Fn(&str) -> bool; 2] = [&|name| name == "HEAD", &|name| name.ends_with(".sst")];
    for (n, damage) in damages.into_iter().enumerate() {
        let mut files = whole.clone();
        files.retain(|name, _| !damage(name));
        let copy = dirs.path().join(format!("copy-{n}"));
        write_files(&copy, &files);
        let error = restore(&copy, &dirs.path().join("restored")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
        assert!(!dirs.path().join("restored").exists());
    }
}
