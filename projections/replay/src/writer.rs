//! When a snapshot is taken, and how it gets to disk without holding up the decision loop.
//!
//! The loop offers its state at batch ends. Taking one is a clone that shares structure; encoding and storing happen on
//! a thread of their own, one at a time. What a crash means: the snapshot under way is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use prooflog_events::ids::Position;
use prooflog_events::port::{SequenceError, Snapshot, SnapshotKey};
use prooflog_projections::State;

use crate::snapshot::{encode, key};

/// Events between two snapshots at least.
const EVENTS_MIN: u64 = 4_096;

/// A snapshot follows when the log has grown by an event for so many bytes of the last one. A record takes about as
/// much, so snapshots take at most the room of the log, and less after compression; and reading one takes about as
/// long as folding what lies between two.
const BYTES_PER_EVENT: u64 = 256;

/// Decides when a snapshot is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    last: Position,
    events: u64,
}

impl Cadence {
    /// After a snapshot of so many bytes at `last`; position and size are 0 where there is none.
    #[must_use]
    pub fn after(last: Position, bytes: u64) -> Self {
        Self { last, events: (bytes / BYTES_PER_EVENT).max(EVENTS_MIN) }
    }

    /// Whether a snapshot is due at `position`.
    #[must_use]
    pub const fn is_due(&self, position: Position) -> bool {
        position.0.saturating_sub(self.last.0) >= self.events
    }
}

/// Takes snapshots beside the decision loop.
#[derive(Debug)]
pub struct Snapshots {
    cadence: Cadence,
    /// Size of the newest snapshot.
    bytes: Arc<AtomicU64>,
    jobs: Option<SyncSender<(State, Position)>>,
    thread: Option<JoinHandle<()>>,
}

impl Snapshots {
    /// Starts the thread. `put` stores a snapshot; `cadence` follows the newest one there is.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        cadence: Cadence,
        put: impl Fn(&SnapshotKey, &Snapshot) -> Result<(), SequenceError> + Send + 'static,
    ) -> std::io::Result<Self> {
        // One may wait while one is encoded: a large state is encoded for longer than the next one takes to be due.
        let (jobs, queue) = sync_channel::<(State, Position)>(0);
        let bytes = Arc::new(AtomicU64::new(0));
        let size = Arc::clone(&bytes);
        let thread = thread::Builder::new().name("snapshots".to_owned()).spawn(move || {
            let key = key();
            for (state, position) in queue {
                let snapshot = Snapshot { position, bytes: encode(&state) };
                drop(state);
                size.store(snapshot.bytes.len() as u64, Ordering::Release);
                if let Err(error) = put(&key, &snapshot) {
                    tracing::warn!(%error, %position, "a snapshot could not be stored");
                }
            }
        })?;
        Ok(Self { cadence, bytes, jobs: Some(jobs), thread: Some(thread) })
    }

    /// Offers the state at a batch end that is durable or will be: a snapshot above the head is never read. Takes it if
    /// one is due and the thread is free; otherwise the next offer will do.
    pub fn offer(&mut self, state: &State, position: Position) {
        if !self.cadence.is_due(position) {
            return;
        }
        // The size of the one before is known by now, or the thread is not free.
        let next = Cadence::after(position, self.bytes.load(Ordering::Acquire));
        let Some(jobs) = &self.jobs else { return };
        let known = Cadence { last: self.cadence.last, ..next };
        if self.bytes.load(Ordering::Acquire) > 0 && !known.is_due(position) {
            self.cadence = known;
            return;
        }
        match jobs.try_send((state.clone(), position)) {
            Ok(()) => self.cadence = next,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has lost a snapshot, which is disposable.
            let _ = thread.join();
        }
    }
}
