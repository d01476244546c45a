//! Snapshots: disposable copies of the scheduler's state at batch ends.
//!
//! A snapshot is found by what made it (projection, and a fingerprint of the fold and of every event version) and where
//! (a batch end); one of another release is never read, and one that does not decode is passed over. They are taken
//! every [`EVENTS_MIN`] events, or after sixteen times as many bytes of log as the last one took, whichever is later,
//! so that all of them together stay a small part of the log. What a crash means: one may be missing.

use prooflog_events::event::EventType;
use prooflog_events::ids::{Hash32, LogId, Position};
use prooflog_events::port::{Sequence, SequenceError, SequenceRead, Snapshot, SnapshotKey};
use prooflog_log::Log;
use prooflog_log::read::Reader;
use prooflog_projections::State;
use prooflog_projections::state::FOLD_VERSION;
use sha2::{Digest, Sha256};

use crate::{ReplayError, for_each_fact};

/// Fewest events between two snapshots.
pub const EVENTS_MIN: u64 = 4_096;
/// Bytes of log between two snapshots, for each byte of the last one.
const LOG_BYTES_PER_BYTE: u64 = 16;
/// What a record takes in the log, about: the policy needs no more precision.
const RECORD_BYTES: u64 = 300;

/// The name under which this release keeps and looks for snapshots.
#[must_use]
pub fn key() -> SnapshotKey {
    let mut hash = Sha256::new();
    hash.update(FOLD_VERSION.to_be_bytes());
    for kind in EventType::ALL {
        hash.update(kind.name());
        hash.update(kind.version().to_be_bytes());
    }
    SnapshotKey { projection: "scheduler".to_owned(), fingerprint: Hash32(hash.finalize().into()) }
}

/// The state at `position`, from the newest snapshot at or below it that can be read.
///
/// # Errors
/// When a record cannot be read, understood or applied.
pub fn state_at<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    log: LogId,
    position: Position,
) -> Result<State, ReplayError> {
    let (from, mut state) = start(reader, log, position)?;
    for_each_fact(reader, from.next(), position, &mut |fact| Ok(state.apply(fact)?))?;
    Ok(state)
}

/// Where to begin: the newest usable snapshot, or the empty log.
fn start<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    log: LogId,
    position: Position,
) -> Result<(Position, State), SequenceError> {
    let key = key();
    let mut bound = position;
    while let Some(found) = reader.snapshot(&key, bound)? {
        match State::from_bytes(&found.bytes) {
            Ok(state) if state.log == log => return Ok((found.position, state)),
            _ => tracing::warn!(position = %found.position, "a snapshot cannot be used and is passed over"),
        }
        let Some(below) = found.position.0.checked_sub(1) else { break };
        bound = Position(below);
    }
    Ok((Position::ZERO, State::new(log)))
}

/// Decides when the next snapshot is due.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cadence {
    events: u64,
    last_bytes: u64,
}

impl Cadence {
    /// So many more events are in the log; answers whether a snapshot is due now, at the end of their batch.
    pub fn after(&mut self, events: u64) -> bool {
        self.events = self.events.saturating_add(events);
        let by_size = self.last_bytes.saturating_mul(LOG_BYTES_PER_BYTE) / RECORD_BYTES;
        self.events >= EVENTS_MIN.max(by_size)
    }

    /// A snapshot of so many bytes was taken.
    pub const fn taken(&mut self, bytes: u64) {
        self.events = 0;
        self.last_bytes = bytes;
    }
}

/// Encodes and keeps a snapshot, and returns its size. Meant for another thread than the decision loop's: the state is
/// a clone that shares its structure with the living one.
///
/// # Errors
/// When the medium refuses.
pub fn keep<S: Sequence>(log: &Log<S>, position: Position, state: &State) -> Result<u64, SequenceError> {
    let bytes = state.to_bytes();
    let size = bytes.len() as u64;
    log.put_snapshot(&key(), &Snapshot { position, bytes })?;
    Ok(size)
}
