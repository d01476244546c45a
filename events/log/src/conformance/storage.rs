//! Blobs, snapshots, reopening, verification.
//!
//! With them a wrapper that fails or holds writes on demand, so that poison and group commit can be checked on any
//! implementation.
#![expect(clippy::unwrap_used, reason = "a check panics")]

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use prooflog_events::envelope::blob_hash;
use prooflog_events::ids::{Hash32, LogId, Position, Revision};
use prooflog_events::limits::{BLOB_BYTES_MAX, BLOB_INLINE_BYTES_MAX, BLOB_PIECE_BYTES};
use prooflog_events::port::{
    Blob, Commit, Direction, Head, Sequence, SequenceError, SequenceRead, Snapshot, SnapshotKey, StreamHead,
    StreamScan, Visit,
};

use super::appends::reopen;
use super::{Factory, Numbers, batch, event, everything, verified};
use crate::append::{Append, AppendError};
use crate::group::lock;
use crate::writer::Log;

/// A sequence whose appends fail or wait on demand.
#[derive(Debug)]
pub struct Wrapped<S> {
    inner: S,
    fail: AtomicBool,
    gate: Mutex<()>,
    /// Records of each commit, from when it came to the gate.
    commits: Mutex<Vec<usize>>,
}

impl<S> Wrapped<S> {
    /// Wraps `inner`.
    pub const fn new(inner: S) -> Self {
        Self { inner, fail: AtomicBool::new(false), gate: Mutex::new(()), commits: Mutex::new(Vec::new()) }
    }

    /// The next append fails without writing.
    pub fn fail_next(&self) {
        self.fail.store(true, Ordering::Release);
    }

    /// Appends wait until the guard is dropped.
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        lock(&self.gate)
    }

    /// How many records each commit had so far, one that waits among them.
    pub fn commits(&self) -> Vec<usize> {
        lock(&self.commits).clone()
    }

    /// The wrapped one.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: SequenceRead> SequenceRead for Wrapped<S> {
    fn log_id(&self) -> LogId {
        self.inner.log_id()
    }

    fn head(&self) -> Result<Head, SequenceError> {
        self.inner.head()
    }

    fn scan(
        &self,
        low: Position,
        high: Position,
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), SequenceError> {
        self.inner.scan(low, high, direction, visit)
    }

    fn scan_stream(&self, scan: StreamScan<'_>, visit: Visit<'_>) -> Result<(), SequenceError> {
        self.inner.scan_stream(scan, visit)
    }

    fn stream_head(&self, stream: &str) -> Result<Option<StreamHead>, SequenceError> {
        self.inner.stream_head(stream)
    }

    fn scan_index(
        &self,
        visit: &mut dyn FnMut(&str, Revision, Position) -> ControlFlow<()>,
    ) -> Result<(), SequenceError> {
        self.inner.scan_index(visit)
    }

    fn blob_len(&self, hash: Hash32) -> Result<Option<u64>, SequenceError> {
        self.inner.blob_len(hash)
    }

    fn read_blob(&self, hash: Hash32, visit: &mut dyn FnMut(&[u8])) -> Result<bool, SequenceError> {
        self.inner.read_blob(hash, visit)
    }

    fn snapshot(&self, key: &SnapshotKey, bound: Position) -> Result<Option<Snapshot>, SequenceError> {
        self.inner.snapshot(key, bound)
    }
}

impl<S: Sequence> Sequence for Wrapped<S> {
    fn append(&self, commit: Commit<'_>) -> Result<(), SequenceError> {
        lock(&self.commits).push(commit.records.len());
        let _open = lock(&self.gate);
        if self.fail.swap(false, Ordering::AcqRel) {
            return Err(SequenceError::Unavailable { what: "made to fail".to_owned() });
        }
        self.inner.append(commit)
    }

    fn put_blob(&self, blob: &Blob) -> Result<(), SequenceError> {
        self.inner.put_blob(blob)
    }

    fn delete_blob(&self, hash: Hash32) -> Result<bool, SequenceError> {
        self.inner.delete_blob(hash)
    }

    fn put_snapshot(&self, key: &SnapshotKey, snapshot: &Snapshot) -> Result<(), SequenceError> {
        self.inner.put_snapshot(key, snapshot)
    }

    fn delete_snapshots(&self, projection: &str, keep: Option<Hash32>) -> Result<(), SequenceError> {
        self.inner.delete_snapshots(projection, keep)
    }

    fn close(&self) {
        self.inner.close();
    }
}

/// Stored before or beside the record that names them, read whole, pruned; the records stay as they are.
pub fn blobs_are_kept_by_name<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    let mut numbers = Numbers::new(3);
    let sizes = [0, 1, BLOB_PIECE_BYTES - 1, BLOB_PIECE_BYTES, 3 * BLOB_PIECE_BYTES + 17];
    let blobs: Vec<Vec<u8>> =
        sizes.iter().map(|size| vec![numbers.below(256).to_le_bytes()[0]; *size]).collect();
    let mut named = batch(vec![event("s", "names them")]);
    for bytes in &blobs {
        named.named.push(log.put_blob(bytes.clone()).unwrap());
    }
    let beside = vec![7; BLOB_INLINE_BYTES_MAX];
    named.blobs.push(Blob { hash: blob_hash(&beside), bytes: beside.clone() });
    named.named.push(blob_hash(&beside));
    log.append(named).unwrap();
    let log = Log::open(reopen(factory, log)).unwrap();
    for bytes in blobs.iter().chain([&beside]) {
        let hash = blob_hash(bytes);
        assert_eq!(log.reader().blob_len(hash).unwrap(), Some(bytes.len() as u64));
        assert!(log.reader().blob(hash).unwrap().as_ref() == Some(bytes), "a blob of {} bytes", bytes.len());
        assert_eq!(log.put_blob(bytes.clone()).unwrap(), hash, "storing it again changes nothing");
    }
    let head = log.head();
    let gone = blob_hash(&beside);
    assert!(log.prune_blob(gone).unwrap());
    assert!(!log.prune_blob(gone).unwrap());
    assert_eq!((log.reader().blob(gone).unwrap(), log.reader().blob_len(gone).unwrap()), (None, None));
    assert_eq!(log.head(), head);
    verified(log.sequence());
    let too_large = log.put_blob(vec![0; BLOB_BYTES_MAX + 1]);
    assert!(matches!(too_large, Err(AppendError::TooLarge { .. })));
}

/// Its bytes go in the commit of the event that says so: with it or not at all, and who names it meanwhile is told.
pub fn a_blob_goes_with_the_event_that_gives_it_up<F: Factory>(factory: &F) {
    let bytes = vec![9; BLOB_PIECE_BYTES + 3];
    let log = Log::open(Wrapped::new(factory.fresh())).unwrap();
    let hash = log.put_blob(bytes.clone()).unwrap();
    let append = |text: &str, named: &[Hash32], forget: &[Hash32]| {
        let append = batch(vec![event("s", text)]);
        Append { named: named.to_vec(), forget: forget.to_vec(), ..append }
    };
    log.append(append("names it", &[hash], &[])).unwrap();
    log.append(append("names it and gives it up: it stays", &[hash], &[hash])).unwrap();
    let nothing = Append { forget: vec![hash], ..batch(vec![]) };
    assert!(matches!(log.append(nothing), Err(AppendError::Invalid(_))));
    log.sequence().fail_next();
    log.append(append("not written", &[], &[hash])).unwrap_err();
    let sequence = factory.reopened(log.into_sequence().unwrap().into_inner());

    let log = Log::open(Wrapped::new(sequence)).unwrap();
    assert!(
        log.reader().blob(hash).unwrap().as_ref() == Some(&bytes),
        "what was not written took nothing away"
    );
    let held = log.sequence().hold();
    let given_up = log.submit(append("gives it up", &[], &[hash])).unwrap();
    let named = log.submit(append("too late", &[hash], &[])).unwrap();
    drop(held);
    given_up.wait().unwrap();
    assert_eq!(named.wait(), Err(AppendError::MissingBlob(hash)));
    assert_eq!((log.reader().blob_len(hash).unwrap(), log.head().position), (None, Position(3)));
    assert_eq!(log.append(append("too late as well", &[hash], &[])), Err(AppendError::MissingBlob(hash)));
    let small = Blob { hash: blob_hash(b"small"), bytes: b"small".to_vec() };
    // What comes again in the same write stays.
    let held = log.sequence().hold();
    let mut first = append("brings one", &[], &[]);
    first.blobs.push(small.clone());
    let mut last = append("brings it again", &[], &[]);
    last.blobs.push(small.clone());
    let tickets =
        [first, append("gives it up", &[], &[small.hash]), last, append("names it", &[small.hash], &[])]
            .map(|append| log.submit(append).unwrap());
    drop(held);
    tickets.into_iter().for_each(|ticket| drop(ticket.wait().unwrap()));
    let log = Log::open(factory.reopened(log.into_sequence().unwrap().into_inner())).unwrap();
    assert_eq!(log.reader().blob_len(hash).unwrap(), None);
    assert_eq!(log.reader().blob_len(small.hash).unwrap(), Some(5));
    verified(log.sequence());
}

/// Bytes that are stored a second time while their first owner gives them up are there for the second one, whichever of
/// the two comes first.
pub fn a_blob_that_is_stored_again_outlives_its_first_owner<F: Factory>(factory: &F) {
    let log = Log::open(Wrapped::new(factory.fresh())).unwrap();
    let append = |text: &str, named: &[Hash32], forget: &[Hash32]| {
        let append = batch(vec![event("s", text)]);
        Append { named: named.to_vec(), forget: forget.to_vec(), ..append }
    };
    let (early, late) = (vec![5; BLOB_PIECE_BYTES + 1], vec![6; BLOB_PIECE_BYTES + 1]);
    let hashes = [&early, &late].map(|bytes| log.put_blob(bytes.clone()).unwrap());
    log.append(append("names both", &hashes, &[])).unwrap();

    assert_eq!(log.put_blob(early.clone()).unwrap(), hashes[0]);
    log.append(append("gives it up after it was stored again", &[], &hashes[..1])).unwrap();
    log.append(append("names it", &hashes[..1], &[])).unwrap();

    let held = log.sequence().hold();
    let given_up = log.submit(append("gives it up", &[], &hashes[1..])).unwrap();
    while log.sequence().commits().len() < 4 {
        std::thread::yield_now();
    }
    assert_eq!(log.put_blob(late.clone()).unwrap(), hashes[1]);
    let named = log.submit(append("names it", &hashes[1..], &[])).unwrap();
    drop(held);
    given_up.wait().unwrap();
    named.wait().unwrap();

    let log = Log::open(factory.reopened(log.into_sequence().unwrap().into_inner())).unwrap();
    for (hash, bytes) in hashes.iter().zip([&early, &late]) {
        assert!(log.reader().blob(*hash).unwrap().as_ref() == Some(bytes));
    }
    log.append(append("its last owner", &[], &hashes)).unwrap();
    assert_eq!(hashes.map(|hash| log.reader().blob_len(hash).unwrap()), [None, None]);
}

/// Its owner crashed before saying what it is for. A named one stays, and so does one that is stored a second time.
pub fn a_blob_that_nothing_names_is_gone_after_reopening<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    let kept = log.put_blob(vec![1; 300_000]).unwrap();
    let orphan = log.put_blob(vec![2; 300_000]).unwrap();
    let mut names = batch(vec![event("s", "")]);
    names.named.push(kept);
    log.append(names).unwrap();
    log.put_blob(vec![1; 300_000]).unwrap();
    assert!(log.reader().blob(orphan).unwrap().is_some());
    let log = Log::open(reopen(factory, log)).unwrap();
    assert!(log.reader().blob(kept).unwrap().is_some());
    assert_eq!(log.reader().blob(orphan).unwrap(), None);
}

/// By projection and fingerprint, at or below a position; not part of the log.
pub fn the_newest_fitting_snapshot_is_found<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    for _ in 0..40 {
        log.append(batch(vec![event("s", "")])).unwrap();
    }
    let head = log.head();
    let key =
        |name: &str, print| SnapshotKey { projection: name.to_owned(), fingerprint: Hash32([print; 32]) };
    let put = |key: &SnapshotKey, position, bytes: Vec<u8>| {
        log.put_snapshot(key, &Snapshot { position: Position(position), bytes }).unwrap();
    };
    let large: Vec<u8> = (0_u32..800_000).flat_map(u32::to_le_bytes).collect();
    put(&key("state", 1), 10, b"ten".to_vec());
    put(&key("state", 1), 20, large.clone());
    put(&key("state", 2), 30, Vec::new());
    put(&key("stat", 1), 5, b"other".to_vec());
    let get = |key: &SnapshotKey, bound| {
        log.reader().snapshot(key, Position(bound)).unwrap().map(|s| (s.position.0, s.bytes))
    };
    assert_eq!(get(&key("state", 1), 9), None);
    assert_eq!(get(&key("state", 1), 10), Some((10, b"ten".to_vec())));
    assert_eq!(get(&key("state", 1), 19), Some((10, b"ten".to_vec())));
    assert!(get(&key("state", 1), u64::MAX) == Some((20, large)), "the large one");
    assert_eq!(get(&key("state", 2), 40), Some((30, Vec::new())));
    assert_eq!(get(&key("stat", 1), 40), Some((5, b"other".to_vec())));
    assert_eq!(get(&key("state", 3), 40), None);
    log.delete_snapshots("state", Some(Hash32([2; 32]))).unwrap();
    assert_eq!(get(&key("state", 1), 40), None);
    assert_eq!(get(&key("state", 2), 40), Some((30, Vec::new())));
    log.delete_snapshots("state", None).unwrap();
    assert_eq!(get(&key("state", 2), 40), None);
    assert_eq!(get(&key("stat", 1), 40), Some((5, b"other".to_vec())));
    assert_eq!(log.head(), head);
}

/// Head, records and streams, byte for byte.
pub fn everything_is_there_after_reopening<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    for n in 0..50 {
        log.append(batch(vec![event(&format!("s-{}", n % 7), &n.to_string()), event("t", "")])).unwrap();
    }
    let (head, before) = (log.head(), everything(&log.reader()));
    let log = Log::open(reopen(factory, log)).unwrap();
    assert_eq!(log.head(), head);
    assert_eq!(everything(&log.reader()), before);
    assert_eq!(verified(log.sequence()), 8);
}

/// Also of an empty log, and with progress that can stop it.
pub fn verification_reaches_the_head<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    assert_eq!(verified(log.sequence()), 0);
    let body = "x".repeat(200_000);
    for n in 0..12 {
        log.append(batch(vec![event(&format!("s-{n}"), &body)])).unwrap();
    }
    let mut reached = Vec::new();
    let verified = crate::verify::verify(log.sequence(), &mut |position| {
        reached.push(position);
        ControlFlow::Continue(())
    });
    assert_eq!(verified.unwrap().streams, 12);
    assert!(reached.is_sorted() && reached.len() > 1);
    let stopped = crate::verify::verify(log.sequence(), &mut |_| ControlFlow::Break(()));
    assert_eq!(stopped, Err(crate::verify::VerifyError::Stopped));
}
