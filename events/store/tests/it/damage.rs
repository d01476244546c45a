//! Bytes that are no longer what was written: an error that says where, or nothing lost. Never less, never a panic.

use std::collections::BTreeMap;
use std::path::Path;

use prooflog_events::ids::{Hash32, Position};
use prooflog_events::port::{Sequence, Snapshot, SnapshotKey};
use prooflog_log::conformance::{Numbers, batch, event};
use prooflog_log::{Log, Reader};
use prooflog_store::{ErrorKind, OpenNote, ReadOnlyStore, StoreError};

use crate::common::{Content, content, create, files, try_open, varied, write_files};

/// An error in words, with the position that it names.
type Found = (String, Option<Position>);

/// Opens a directory and reads everything, for writing and for one look.
fn outcome(dir: &Path) -> Result<Content, Found> {
    let looked = match ReadOnlyStore::open(dir) {
        Ok(store) => content(&store),
        Err(error) => Err((error.to_string(), error.position())),
    };
    let before = files(dir);
    let opened = match try_open(dir) {
        Ok((store, _)) => content(&store),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
            assert!(before == files(dir), "a refused open changed files: {error}");
            Err((error.to_string(), error.position()))
        }
    };
    // A look ends where HEAD does, an open finds what is behind it as well; neither may see another history.
    if let (Ok(looked), Ok(opened)) = (&looked, &opened) {
        assert!(opened.records.starts_with(&looked.records), "a look and an open differ");
    }
    opened
}

/// Damages `name` in many places, one at a time; what was said where that was noticed.
fn flip_bits(files: &BTreeMap<String, Vec<u8>>, name: &str, whole: &Content, places: usize) -> Vec<Found> {
    let dirs = tempfile::tempdir().unwrap();
    let dir = dirs.path().join("log");
    let original = &files[name];
    let mut numbers = Numbers::new(original.len() as u64);
    let mut noticed = Vec::new();
    for place in 0..places {
        // Spread over the file, its first and last bytes among them.
        let byte = if place % 2 == 0 {
            place * (original.len() - 1) / places.max(1)
        } else {
            usize::try_from(numbers.below(original.len() as u64)).unwrap()
        };
        let mut damaged = files.clone();
        damaged.get_mut(name).unwrap()[byte] ^= 1 << numbers.below(8);
        write_files(&dir, &damaged);
        match outcome(&dir) {
            Ok(content) => {
                assert!(content == *whole, "{name}: byte {byte} was changed and something else is read")
            }
            Err(found) => {
                if let (text, Some(position)) = &found {
                    assert!(text.contains(&format!("position {position}")), "{text}");
                }
                noticed.push(found);
            }
        }
    }
    noticed
}

struct Broken {
    files: BTreeMap<String, Vec<u8>>,
    whole: Content,
}

/// The files of a log as a crash leaves them, and what they say.
fn broken() -> Broken {
    let dir = tempfile::tempdir().unwrap();
    let log = varied(dir.path());
    let files = files(dir.path());
    let whole = content(log.sequence()).unwrap_or_else(|error| panic!("{error:?}"));
    Broken { files, whole }
}

impl Broken {
    fn names(&self, wanted: impl Fn(&str) -> bool) -> Vec<&str> {
        let names: Vec<_> = self.files.keys().map(String::as_str).filter(|name| wanted(name)).collect();
        let used: Vec<_> = names.into_iter().filter(|name| !self.files[*name].is_empty()).collect();
        assert!(!used.is_empty(), "no such file among {:?}", self.files.keys());
        used
    }
}

#[test]
fn one_flipped_bit_in_the_write_ahead_log() {
    let broken = broken();
    for name in broken.names(|name| name.ends_with(".log")) {
        let noticed = flip_bits(&broken.files, name, &broken.whole, 60);
        assert!(noticed.len() > 50, "{name}: noticed {} of 60", noticed.len());
        for (text, position) in noticed {
            assert!(position.is_some(), "no position in: {text}");
        }
    }
}

/// Where a record is hit, the error has its position; where RocksDB's own structure or an index is, it names the file. For
/// one kind of such damage RocksDB knows only which manifest led there.
#[test]
fn one_flipped_bit_in_a_data_file() {
    let broken = broken();
    let newest = Position(broken.whole.records.len() as u64);
    let (mut placed, mut named) = (0, 0);
    for name in broken.names(|name| name.ends_with(".sst")) {
        for (text, position) in flip_bits(&broken.files, name, &broken.whole, 25) {
            match position {
                Some(position) => assert!(Position(1) <= position && position <= newest, "{text}"),
                None => assert!(
                    text.contains(name) || text.contains("properties unsorted"),
                    "neither a position nor {name} in: {text}"
                ),
            }
            if position.is_some() { placed += 1 } else { named += 1 }
        }
    }
    assert!(placed > 10 && named > 10, "{placed} with a position, {named} with a file");
}

#[test]
fn one_flipped_bit_in_a_blob_file() {
    let broken = broken();
    for name in broken.names(|name| name.ends_with(".blob")) {
        let noticed = flip_bits(&broken.files, name, &broken.whole, 30);
        assert!(noticed.len() > 20, "{name}: noticed {} of 30", noticed.len());
        for (text, _) in noticed {
            assert!(broken.whole.blobs().any(|hash| text.contains(&hash.to_string())), "no blob in: {text}");
        }
    }
}

#[test]
fn one_flipped_bit_in_the_manifest_and_its_pointer() {
    let broken = broken();
    for name in broken.names(|name| name.contains("MANIFEST") || name.ends_with("CURRENT")) {
        let noticed = flip_bits(&broken.files, name, &broken.whole, 40);
        assert!(noticed.len() > 20, "{name}: noticed {} of 40", noticed.len());
        for (text, _) in noticed {
            assert!(text.contains("MANIFEST") || text.contains("CURRENT"), "no file in: {text}");
        }
    }
}

#[test]
fn a_flipped_bit_in_head_costs_no_record() {
    let broken = broken();
    let noticed = flip_bits(&broken.files, "HEAD", &broken.whole, 40);
    assert_eq!(noticed, [], "the other slot says the same or less");
}

/// The data files of two runs that hold records, the older first. Those of the index are smaller.
fn files_of_two_runs(files: &BTreeMap<String, Vec<u8>>) -> [String; 2] {
    let mut names: Vec<&String> = files.keys().filter(|name| name.ends_with(".sst")).collect();
    names.sort_by_key(|name| std::cmp::Reverse(files[*name].len()));
    let mut two = [names[0].clone(), names[1].clone()];
    two.sort();
    two
}

/// The first position that a whole read cannot read, as the error says; it cannot be read indeed.
fn first_bad(store: &impl prooflog_events::port::SequenceRead) -> Position {
    let (error, position) = content(store).err().unwrap();
    let position = position.unwrap_or_else(|| panic!("no position in: {error}"));
    assert!(error.contains(&format!("position {position}")), "{error}");
    let reader = Reader::new(store).unwrap();
    assert!(reader.record(position).is_err(), "{position} can be read");
    position
}

#[test]
fn damage_in_cold_records_is_reported_with_its_position() {
    let dir = tempfile::tempdir().unwrap();
    let log = create(dir.path());
    for n in 0..2_000 {
        log.append(batch(vec![event("s", &format!("{n:0200}"))])).unwrap();
    }
    drop(log);
    let mut files = files(dir.path());
    let largest =
        files.iter().filter(|(name, _)| name.ends_with(".sst")).max_by_key(|(_, bytes)| bytes.len());
    let name = largest.unwrap().0.clone();
    let bytes = files.get_mut(&name).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    write_files(dir.path(), &files);
    let (store, _) = try_open(dir.path()).unwrap();
    let position = first_bad(&store);
    assert!(Position(1) < position && position < Position(2_000), "{position}");
    // What is before it is read, and what is in other blocks as well.
    let reader = Reader::new(&store).unwrap();
    assert!(reader.record(Position(1)).unwrap().is_some());
    assert!(reader.record(Position(position.0 - 1)).unwrap().is_some(), "{position} is not the first");
    assert!(reader.record(Position(2_000)).unwrap().is_some());
}

/// While files are few, RocksDB looks into a later one for any record: what it cannot read is not where the damage is. And
/// the newest record is read by every open.
#[test]
fn damage_at_the_beginning_of_a_later_file_is_reported_with_its_position() {
    let dir = tempfile::tempdir().unwrap();
    for part in 0..2 {
        let log =
            if part == 0 { create(dir.path()) } else { Log::open(try_open(dir.path()).unwrap().0).unwrap() };
        for n in 0..1_000 {
            log.append(batch(vec![event("s", &format!("{n:0200}"))])).unwrap();
        }
    }
    let whole = files(dir.path());
    let [_, later] = files_of_two_runs(&whole);
    let mut damaged = whole.clone();
    damaged.get_mut(&later).unwrap()[0] ^= 1;
    write_files(dir.path(), &damaged);
    let store = ReadOnlyStore::open(dir.path()).unwrap();
    assert_eq!(first_bad(&store), Position(1_001));
    let error = Reader::new(&store).unwrap().record(Position(7)).unwrap_err();
    assert!(error.to_string().contains("damaged at position 1001"), "{error}");
    drop(store);

    let refused = (0..whole[&later].len()).rev().step_by(300).find_map(|at| {
        let mut damaged = whole.clone();
        damaged.get_mut(&later).unwrap()[at] ^= 1;
        write_files(dir.path(), &damaged);
        // Structure of the file is hit before records are: that names the file alone.
        ReadOnlyStore::open(dir.path()).err()?.position()
    });
    let refused = refused.unwrap_or_else(|| panic!("the block of the newest record is read by no open"));
    assert!(Position(1_001) < refused && refused <= Position(2_000), "{refused}");
}

fn wal(files: &BTreeMap<String, Vec<u8>>) -> String {
    let logs = files.iter().filter(|(name, bytes)| name.ends_with(".log") && !bytes.is_empty());
    logs.max_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone()
}

#[test]
fn a_truncated_write_ahead_log_never_opens_at_less() {
    let broken = broken();
    let name = wal(&broken.files);
    let dirs = tempfile::tempdir().unwrap();
    let dir = dirs.path().join("log");
    let len = broken.files[&name].len();
    let mut below_head = 0;
    for cut in (0..40).map(|n| n * 7 + 1).chain([len / 2, len - 1, len]) {
        let mut files = broken.files.clone();
        files.get_mut(&name).unwrap().truncate(len - cut);
        write_files(&dir, &files);
        let error = try_open(&dir).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
        if let StoreError::BelowHead { found, expected, .. } = error {
            assert_eq!(expected.0, broken.whole.records.len() as u64);
            assert!(found < expected);
            below_head += 1;
        }
        assert!(ReadOnlyStore::open(&dir).is_err());
        assert!(files == crate::common::files(&dir), "a refused open changed files");
    }
    assert!(below_head > 0, "no cut was at the end of a commit or torn");
}

#[test]
fn a_missing_write_ahead_log_never_opens_at_less() {
    let broken = broken();
    let dirs = tempfile::tempdir().unwrap();
    let mut files = broken.files.clone();
    files.remove(&wal(&broken.files));
    write_files(dirs.path(), &files);
    assert_eq!(try_open(dirs.path()).unwrap_err().kind(), ErrorKind::Damaged);
}

#[test]
fn a_torn_tail_that_nobody_was_told_of_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let log = create(dir.path());
    for n in 0..10 {
        log.append(batch(vec![event("s", &n.to_string())])).unwrap();
    }
    let told = log.head();
    let head = std::fs::read(dir.path().join("HEAD")).unwrap();
    log.append(batch(vec![event("s", "not told"), event("t", "not told")])).unwrap();
    let mut files = files(dir.path());
    drop(log);
    files.insert("HEAD".to_owned(), head);
    let name = wal(&files);
    let whole = files[&name].len();
    for cut in [1, 20, 100] {
        files.get_mut(&name).unwrap().truncate(whole - cut);
        write_files(dir.path(), &files);
        let (store, report) = try_open(dir.path()).unwrap();
        assert_eq!(report.head, told);
        assert!(matches!(report.notes.as_slice(), [OpenNote::TornTail { .. }]), "{:?}", report.notes);
        // Whole again: the next commit stands where the torn one would have been.
        let log = Log::open(store).unwrap();
        assert_eq!(log.append(batch(vec![event("s", "told")])).unwrap().last, told.position.next());
        drop(log);
        let (store, report) = try_open(dir.path()).unwrap();
        assert_eq!((report.head.position, report.notes.len()), (told.position.next(), 0));
        content(&store).unwrap_or_else(|error| panic!("{error:?}"));
    }
}

#[test]
fn without_head_a_whole_log_opens_with_a_note_and_a_torn_one_does_not() {
    let broken = broken();
    let dirs = tempfile::tempdir().unwrap();
    let dir = dirs.path().join("log");
    let mut files = broken.files.clone();
    files.remove("HEAD");
    write_files(&dir, &files);
    let (store, report) = try_open(&dir).unwrap();
    assert_eq!(report.notes, [OpenNote::NoHeadFile]);
    assert!(content(&store).is_ok_and(|content| content == broken.whole));
    drop(store);
    let name = wal(&files);
    files.get_mut(&name).unwrap().pop();
    write_files(&dir, &files);
    assert_eq!(try_open(&dir).unwrap_err().kind(), ErrorKind::Damaged);
}

#[test]
fn a_head_of_another_log_or_history_is_refused() {
    let broken = broken();
    let other = tempfile::tempdir().unwrap();
    let log = create(other.path());
    for _ in 0..30 {
        log.append(batch(vec![event("x", "another history")])).unwrap();
    }
    drop(log);
    let mut files = broken.files;
    files.insert("HEAD".to_owned(), std::fs::read(other.path().join("HEAD")).unwrap());
    let dirs = tempfile::tempdir().unwrap();
    write_files(dirs.path(), &files);
    let error = try_open(dirs.path()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { position: Some(Position(30)), .. }), "{error}");
    // A log whose database is gone is not a new log.
    std::fs::remove_dir_all(dirs.path().join("db")).unwrap();
    assert_eq!(try_open(dirs.path()).unwrap_err().kind(), ErrorKind::Damaged);
}

#[test]
fn one_flipped_bit_in_a_snapshot_and_an_older_one_is_given_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let log = create(dir.path());
    log.append(batch((0..9).map(|nth| event("x", &nth.to_string())).collect())).unwrap();
    let key = SnapshotKey { projection: "state".to_owned(), fingerprint: Hash32([1; 32]) };
    // A small one stands among the keys, a large one in a file of its own.
    let kept = [(3, 5_000_u32), (6, 300_000)].map(|(position, bytes)| Snapshot {
        position: Position(position),
        bytes: (0..bytes).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect(),
    });
    kept.iter().for_each(|snapshot| log.put_snapshot(&key, snapshot).unwrap());
    log.sequence().close();
    let files = files(dir.path());
    drop(log);
    let (broken, mut numbers, mut passed_over) = (dir.path().join("broken"), Numbers::new(7), 0);
    for name in files.keys().filter(|name| name.ends_with(".sst") || name.ends_with(".blob")) {
        for _ in 0..40 {
            let mut damaged = files.clone();
            let bytes = damaged.get_mut(name).unwrap();
            let at = usize::try_from(numbers.below(bytes.len() as u64)).unwrap();
            bytes[at] ^= 1 << numbers.below(8);
            write_files(&broken, &damaged);
            let Ok(store) = ReadOnlyStore::open(&broken) else { continue };
            let found = Reader::new(&store).unwrap().snapshot(&key, Position(9));
            passed_over += usize::from(found.as_ref().is_ok_and(|found| found.as_ref() != kept.last()));
            if let Ok(Some(found)) = found {
                assert!(
                    kept.contains(&found),
                    "{name}: byte {at} was changed and another snapshot is believed"
                );
            }
        }
    }
    assert!(passed_over > 10, "passed over {passed_over}");
}
