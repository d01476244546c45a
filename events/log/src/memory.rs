//! The memory twin: a sequence of commits without a disk, for simulation and tests.
//!
//! It keeps the contract of the port, and it fails on demand: an append can be refused before it is written, or written
//! and yet reported as failed, which is what a disk may do. After a failure it refuses everything, as a store does.
//! A crash is [`MemorySequence::crashed`]: a new sequence with what was durable, or with the last commits lost, which
//! is what a disk that lies leaves behind.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, Mutex};

use prooflog_events::ids::{Hash32, LogId, Position, Revision};
use prooflog_events::port::{
    Blob, Commit, Direction, Head, Sequence, SequenceError, SequenceRead, Snapshot, SnapshotKey, StreamHead,
    StreamScan, Visit,
};

use crate::group::lock;
use crate::record::peek;

/// What goes wrong with an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is written, and the answer is an error.
    NotWritten,
    /// Everything is written, and the answer is an error all the same.
    WrittenUnreported,
}

/// A sequence of commits in memory.
#[derive(Debug)]
pub struct MemorySequence {
    log: LogId,
    state: Mutex<State>,
}

#[derive(Debug, Clone)]
struct State {
    head: Head,
    records: Vec<Arc<[u8]>>,
    /// The head before each commit and the blobs that went with it, for taking the last ones back.
    commits: Vec<(Head, Vec<Blob>)>,
    streams: BTreeMap<String, Vec<Position>>,
    blobs: HashMap<Hash32, Vec<u8>>,
    unnamed: BTreeSet<Hash32>,
    snapshots: BTreeMap<(SnapshotKey, Position), Vec<u8>>,
    fault: Option<(u64, Fault)>,
    appends: u64,
    failed: bool,
}

impl MemorySequence {
    /// An empty log.
    #[must_use]
    pub fn new(log: LogId) -> Self {
        let state = State {
            head: Head::empty(log),
            records: Vec::new(),
            commits: Vec::new(),
            streams: BTreeMap::new(),
            blobs: HashMap::new(),
            unnamed: BTreeSet::new(),
            snapshots: BTreeMap::new(),
            fault: None,
            appends: 0,
            failed: false,
        };
        Self { log, state: Mutex::new(state) }
    }

    /// Makes the `nth` append from now (the next one is 1) go wrong.
    pub fn fail_append(&self, nth: u64, fault: Fault) {
        let mut state = lock(&self.state);
        state.fault = Some((state.appends.saturating_add(nth), fault));
    }

    /// What an open finds after a crash: everything durable, without blobs that no commit names and without faults.
    #[must_use]
    pub fn crashed(&self) -> Self {
        self.crashed_losing(0)
    }

    /// As [`MemorySequence::crashed`], with the last `commits` commits gone although they were answered.
    #[must_use]
    pub fn crashed_losing(&self, commits: usize) -> Self {
        let mut state = lock(&self.state).clone();
        for blob in std::mem::take(&mut state.unnamed) {
            state.blobs.remove(&blob);
        }
        for _ in 0..commits {
            if let Some((head, gone)) = state.commits.pop() {
                state.head = head;
                state.blobs.extend(gone.into_iter().map(|blob| (blob.hash, blob.bytes)));
            }
        }
        let kept = head_len(state.head);
        state.records.truncate(kept);
        for positions in state.streams.values_mut() {
            positions.retain(|position| *position <= state.head.position);
        }
        state.streams.retain(|_, positions| !positions.is_empty());
        state.snapshots.retain(|(_, position), _| *position <= state.head.position);
        state.fault = None;
        state.failed = false;
        Self { log: self.log, state: Mutex::new(state) }
    }

    /// Flips one bit of a stored record; `false` if there is no such record. For tests of verification.
    pub fn damage(&self, position: Position, byte: usize, bit: u8) -> bool {
        let mut state = lock(&self.state);
        let index = head_len(Head { position, hash: Hash32::ZERO }).wrapping_sub(1);
        let found = state.records.get_mut(index).map(Arc::make_mut).and_then(|stored| stored.get_mut(byte));
        found.map(|byte| *byte ^= 1_u8.rotate_left(u32::from(bit))).is_some()
    }

    /// Leads the newest index entry of a stream to another position; `false` if there is no such stream.
    pub fn damage_index(&self, stream: &str, position: Position) -> bool {
        let mut state = lock(&self.state);
        let entry = state.streams.get_mut(stream).and_then(|positions| positions.last_mut());
        entry.map(|entry| *entry = position).is_some()
    }
}

fn head_len(head: Head) -> usize {
    usize::try_from(head.position.0).unwrap_or(usize::MAX)
}

impl State {
    fn record(&self, position: Position) -> Result<Arc<[u8]>, SequenceError> {
        let index = head_len(Head { position, hash: Hash32::ZERO }).wrapping_sub(1);
        let found = self.records.get(index).map(Arc::clone);
        found.ok_or_else(|| SequenceError::damaged(position, "the record is not there"))
    }

    fn write(&mut self, commit: Commit<'_>) -> Result<(), SequenceError> {
        let mut position = self.head.position;
        for stored in commit.records.iter() {
            position = position.next();
            let peek = peek(position, stored)?;
            self.streams.entry(peek.stream.to_owned()).or_default().push(position);
            self.records.push(Arc::from(stored));
        }
        let forgotten = commit.forgotten.iter();
        let gone = forgotten.filter_map(|hash| Some(Blob { hash: *hash, bytes: self.blobs.remove(hash)? }));
        let gone = gone.collect();
        for blob in commit.blobs {
            self.blobs.insert(blob.hash, blob.bytes.clone());
            self.unnamed.remove(&blob.hash);
        }
        for hash in commit.named {
            self.unnamed.remove(hash);
        }
        self.commits.push((self.head, gone));
        self.head = commit.head;
        Ok(())
    }

    fn refuse_failed(&self) -> Result<(), SequenceError> {
        if self.failed {
            return Err(SequenceError::Unavailable { what: "an earlier write failed".to_owned() });
        }
        Ok(())
    }
}

impl SequenceRead for MemorySequence {
    fn log_id(&self) -> LogId {
        self.log
    }

    fn head(&self) -> Result<Head, SequenceError> {
        Ok(lock(&self.state).head)
    }

    fn scan(
        &self,
        low: Position,
        high: Position,
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), SequenceError> {
        // One record at a time, so that a visitor may use the sequence and never holds up an append.
        let mut next = |position: u64| -> Result<ControlFlow<()>, SequenceError> {
            let position = Position(position);
            let stored = lock(&self.state).record(position)?;
            Ok(visit(position, &stored))
        };
        let mut positions = low.0..high.0.saturating_add(1);
        loop {
            let position = match direction {
                Direction::Forward => positions.next(),
                Direction::Backward => positions.next_back(),
            };
            let Some(position) = position else { return Ok(()) };
            if next(position)?.is_break() {
                return Ok(());
            }
        }
    }

    fn scan_stream(&self, scan: StreamScan<'_>, visit: Visit<'_>) -> Result<(), SequenceError> {
        let positions = lock(&self.state).streams.get(scan.stream).cloned().unwrap_or_default();
        let from = usize::try_from(scan.from.0).unwrap_or(usize::MAX);
        let chosen: Vec<Position> = match scan.direction {
            Direction::Forward => positions.into_iter().skip(from).collect(),
            Direction::Backward => positions.into_iter().take(from.saturating_add(1)).rev().collect(),
        };
        for position in chosen.into_iter().filter(|position| *position <= scan.bound) {
            let stored = lock(&self.state).record(position)?;
            if visit(position, &stored).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn stream_head(&self, stream: &str) -> Result<Option<StreamHead>, SequenceError> {
        let state = lock(&self.state);
        let Some(positions) = state.streams.get(stream) else {
            return Ok(None);
        };
        let revision = Revision(positions.len().saturating_sub(1) as u64);
        Ok(positions.last().map(|position| StreamHead { revision, position: *position }))
    }

    fn scan_index(
        &self,
        visit: &mut dyn FnMut(&str, Revision, Position) -> ControlFlow<()>,
    ) -> Result<(), SequenceError> {
        let streams = lock(&self.state).streams.clone();
        for (stream, positions) in &streams {
            for (revision, position) in (0..).zip(positions) {
                if visit(stream, Revision(revision), *position).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn blob_len(&self, hash: Hash32) -> Result<Option<u64>, SequenceError> {
        Ok(lock(&self.state).blobs.get(&hash).map(|bytes| bytes.len() as u64))
    }

    fn read_blob(&self, hash: Hash32, visit: &mut dyn FnMut(&[u8])) -> Result<bool, SequenceError> {
        let state = lock(&self.state);
        let Some(bytes) = state.blobs.get(&hash) else {
            return Ok(false);
        };
        visit(bytes);
        Ok(true)
    }

    fn snapshot(&self, key: &SnapshotKey, bound: Position) -> Result<Option<Snapshot>, SequenceError> {
        let state = lock(&self.state);
        let range = (Bound::Included((key.clone(), Position::ZERO)), Bound::Included((key.clone(), bound)));
        let newest = state.snapshots.range(range).next_back();
        Ok(newest.map(|((_, position), bytes)| Snapshot { position: *position, bytes: bytes.clone() }))
    }
}

impl Sequence for MemorySequence {
    fn append(&self, commit: Commit<'_>) -> Result<(), SequenceError> {
        let mut state = lock(&self.state);
        state.refuse_failed()?;
        if commit.expected != state.head {
            return Err(SequenceError::Fenced {
                expected: commit.expected.position,
                found: state.head.position,
            });
        }
        state.appends += 1;
        let fault = state.fault.filter(|(nth, _)| *nth == state.appends).map(|(_, fault)| fault);
        if fault != Some(Fault::NotWritten) {
            state.write(commit)?;
        }
        if fault.is_some() {
            state.failed = true;
            return Err(SequenceError::Unavailable { what: "the append was made to fail".to_owned() });
        }
        Ok(())
    }

    fn put_blob(&self, blob: &Blob) -> Result<(), SequenceError> {
        let mut state = lock(&self.state);
        state.refuse_failed()?;
        if state.blobs.insert(blob.hash, blob.bytes.clone()).is_none() {
            state.unnamed.insert(blob.hash);
        }
        Ok(())
    }

    fn delete_blob(&self, hash: Hash32) -> Result<bool, SequenceError> {
        let mut state = lock(&self.state);
        state.unnamed.remove(&hash);
        Ok(state.blobs.remove(&hash).is_some())
    }

    fn put_snapshot(&self, key: &SnapshotKey, snapshot: &Snapshot) -> Result<(), SequenceError> {
        lock(&self.state).snapshots.insert((key.clone(), snapshot.position), snapshot.bytes.clone());
        Ok(())
    }

    fn delete_snapshots(&self, projection: &str, keep: Option<Hash32>) -> Result<(), SequenceError> {
        let gone = |key: &SnapshotKey| key.projection == projection && keep != Some(key.fingerprint);
        lock(&self.state).snapshots.retain(|(key, _), _| !gone(key));
        Ok(())
    }
}
