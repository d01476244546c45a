//! Several processes on one log: one writes, the others are refused or read.

use prooflog_events::ids::Position;
use prooflog_events::port::SequenceRead;
use prooflog_log::conformance::{batch, event};
use prooflog_log::{Filter, RemoteFollower};
use prooflog_store::{ErrorKind, FollowerStore, ReadOnlyStore, StoreError};

use crate::common::{Part, command, content, create, part_dir, say, try_open, with_blob};

/// Not a test by itself: holds the log and appends, saying each position after it was acknowledged.
#[test]
fn part_appends_and_says_so() {
    let Some(dir) = part_dir() else { return };
    let log = create(&dir);
    let append = with_blob(&log, "blobs", vec![9; 400_000]);
    say(&log.append(append).unwrap().last.to_string());
    for n in 0.. {
        // Large enough that files are replaced under the readers now and then.
        let body = "x".repeat(if n % 25 == 0 { 900_000 } else { 100 });
        say(&log
            .append(batch(vec![event("s", &body), event("t", &n.to_string())]))
            .unwrap()
            .last
            .to_string());
    }
}

#[test]
fn a_second_opener_is_told_who_holds_the_log() {
    let dirs = tempfile::tempdir().unwrap();
    let dir = dirs.path().join("log");
    let mut part = Part::start(command("processes::part_appends_and_says_so", &dir));
    part.hear().unwrap();
    let error = try_open(&dir).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(matches!(&error, StoreError::Held { holder, .. } if *holder == Some(part.child.id())), "{error}");
    part.kill();
    let held = try_open(&dir).unwrap();
    // Within one process as well.
    let error = try_open(&dir).unwrap_err();
    assert!(
        matches!(&error, StoreError::Held { holder, .. } if *holder == Some(std::process::id())),
        "{error}"
    );
    drop(held);
    assert!(try_open(&dir).is_ok());
}

#[test]
fn a_second_process_follows_while_the_first_writes() {
    let dirs = tempfile::tempdir().unwrap();
    let dir = dirs.path().join("log");
    let mut part = Part::start(command("processes::part_appends_and_says_so", &dir));
    part.hear().unwrap();
    let store = FollowerStore::open(&dir).unwrap();
    let mut follower = RemoteFollower::new(&store, Position(1), Filter::all());
    let mut seen = Vec::new();
    for _ in 0..150 {
        let acknowledged: u64 = part.hear().unwrap().parse().unwrap();
        // Acknowledged is visible: the first look after it shows it.
        loop {
            let followed = follower.poll(50).unwrap();
            seen.extend(followed.records);
            if followed.caught_up {
                break;
            }
        }
        assert!(seen.len() as u64 >= acknowledged, "{} seen, {acknowledged} acknowledged", seen.len());
    }
    assert!(seen.iter().zip(1..).all(|(record, position)| record.position() == Position(position)));
    // A look from here agrees, and the follower outlives the writer.
    let look = ReadOnlyStore::open(&dir).unwrap();
    assert!(look.head().unwrap().position >= Position(seen.len() as u64));
    part.kill();
    let at_last = content(&store).unwrap_or_else(|error| panic!("{error:?}"));
    assert!(seen.iter().zip(&at_last.records).all(|(seen, stored)| seen.stored() == stored));
    let last = store.refresh().unwrap();
    let (again, report) = try_open(&dir).unwrap();
    assert!(report.head.position >= last.position);
    drop(again);
}

#[test]
fn what_is_not_there_is_said_to_be_missing() {
    let dirs = tempfile::tempdir().unwrap();
    for error in [
        try_open(dirs.path()).err(),
        try_open(&dirs.path().join("nowhere")).err(),
        ReadOnlyStore::open(dirs.path()).err(),
        FollowerStore::open(&dirs.path().join("nowhere")).err(),
    ] {
        assert!(matches!(error, Some(StoreError::NotFound { .. })), "{error:?}");
    }
}

#[test]
fn a_log_is_made_beside_files_of_others_and_never_where_one_was() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("users.toml"), "").unwrap();
    create(dir.path()).append(batch(vec![event("s", "1")])).unwrap();
    assert!(try_open(dir.path()).is_ok());
    // What was acknowledged is still told when the database is gone.
    std::fs::remove_dir_all(dir.path().join("db")).unwrap();
    let options = prooflog_store::OpenOptions::or_create(prooflog_log::conformance::LOG).ballast(0);
    let error = prooflog_store::open(dir.path(), options).err();
    assert!(matches!(error, Some(StoreError::Damaged { .. } | StoreError::BelowHead { .. })), "{error:?}");
}
