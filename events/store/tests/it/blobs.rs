//! What is large lies in files of its own: it is read like the rest, and gives its room back when it is given up.

use std::path::Path;

use prooflog_events::ids::{Hash32, Position};
use prooflog_log::conformance::{Numbers, batch, event, verified};
use prooflog_log::{Append, Log};
use prooflog_store::RocksStore;

use crate::common::{content, create, files, reopen, try_open, with_blob, write_files};

const BLOB: usize = 2 << 20;

/// Bytes that no compression makes smaller.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut numbers = Numbers::new(seed + 1);
    (0..len.div_ceil(8)).flat_map(|_| numbers.below(u64::MAX).to_le_bytes()).take(len).collect()
}

fn blob_files(dir: &Path) -> usize {
    files(dir).iter().filter(|(name, _)| name.ends_with(".blob")).map(|(_, bytes)| bytes.len()).sum()
}

fn forget(log: &Log<RocksStore>, blobs: &[Hash32]) {
    let append = Append { forget: blobs.to_vec(), ..batch(vec![event("s", "given up")]) };
    log.append(append).unwrap();
}

#[test]
fn proofs_that_are_given_up_give_their_room_back() {
    let dir = tempfile::tempdir().unwrap();
    let log = create(dir.path());
    let blobs: Vec<Hash32> = (0..20)
        .map(|n| {
            let append = with_blob(&log, "blobs", noise(n, BLOB));
            let hash = append.named[0];
            log.append(append).unwrap();
            hash
        })
        .collect();
    drop(log);
    let log = reopen(dir.path());
    let before = blob_files(dir.path());
    assert!(before >= 20 * BLOB, "{before} bytes in blob files");
    let (gone, kept) = blobs.split_at(16);
    forget(&log, gone);
    assert!(gone.iter().all(|hash| log.reader().blob_len(*hash).unwrap().is_none()));
    log.sequence().reclaim_blobs().unwrap();
    // Files that nothing needs any more are removed at the latest by the next open.
    drop(log);
    let log = reopen(dir.path());
    let after = blob_files(dir.path());
    assert!(after <= before / 2, "{before} bytes before, {after} after");
    for (hash, n) in kept.iter().zip(16..) {
        assert!(log.reader().blob(*hash).unwrap() == Some(noise(n, BLOB)), "a kept blob has changed");
    }
    assert_eq!(verified(log.sequence()), 2);
}

#[test]
fn a_large_event_lies_beside_the_others_and_damage_in_it_is_reported_with_its_position() {
    let dirs = tempfile::tempdir().unwrap();
    let dir = dirs.path().join("log");
    let log = create(&dir);
    let large: String = noise(1, 50_000).iter().map(|byte| format!("{byte:02x}")).collect();
    for text in ["small", &large, "small too"] {
        log.append(batch(vec![event("s", text)])).unwrap();
    }
    drop(log);
    let whole = files(&dir);
    let (name, bytes) = whole.iter().find(|(name, _)| name.ends_with(".blob")).unwrap();
    assert!(bytes.len() > 50_000, "{} bytes beside the records", bytes.len());
    let read = content(reopen(&dir).sequence()).unwrap_or_else(|error| panic!("{error:?}"));
    assert!(read.records[1].ends_with(large.as_bytes()));
    let mut damaged = whole.clone();
    damaged.get_mut(name).unwrap()[bytes.len() / 2] ^= 1;
    write_files(&dir, &damaged);
    let (store, _) = try_open(&dir).unwrap();
    let (error, at) = content(&store).map(|_| ()).unwrap_err();
    assert_eq!(at, Some(Position(2)), "{error}");
}
