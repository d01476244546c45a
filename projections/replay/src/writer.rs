//! When a snapshot is taken, and how it gets to disk without holding up the decision loop.
//!
//! The loop offers its state at batch ends. Taking one is a clone that shares structure; encoding and storing happen on
//! a thread of their own, one at a time. What a crash means: the snapshot under way is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use prooflog_events::ids::Position;
use prooflog_events::port::Sequence;
use prooflog_log::Log;
use prooflog_projections::State;

use crate::snapshot::keep;

/// Fewest events between two snapshots.
pub const EVENTS_MIN: u64 = 4_096;

/// A snapshot follows when the log has grown by an event for so many bytes of the last one. A record takes about as
/// much, so snapshots take at most the room of the log, and less after compression; and reading one takes about as
/// long as folding what lies between two.
const BYTES_PER_EVENT: u64 = 256;

/// Looks at the head until a snapshot's batch is durable, and the pause between two: ten seconds in all.
const DURABLE_LOOKS: u32 = 10_000;
const DURABLE_PAUSE: Duration = Duration::from_millis(1);

/// Decides when a snapshot is due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cadence {
    last: Position,
    bytes: u64,
}

impl Cadence {
    /// A snapshot of so many bytes was taken at `position`.
    pub const fn taken(&mut self, position: Position, bytes: u64) {
        self.last = position;
        self.bytes = bytes;
    }

    /// Whether a snapshot is due at `position`.
    #[must_use]
    pub fn is_due(&self, position: Position) -> bool {
        position.0.saturating_sub(self.last.0) >= EVENTS_MIN.max(self.bytes / BYTES_PER_EVENT)
    }
}

/// Takes snapshots beside the decision loop.
#[derive(Debug)]
pub struct Snapshots {
    cadence: Cadence,
    /// Size of the newest snapshot taken here; 0 before the first.
    bytes: Arc<AtomicU64>,
    jobs: Option<SyncSender<(State, Position)>>,
    thread: Option<JoinHandle<()>>,
}

impl Snapshots {
    /// Starts the thread that stores snapshots in `log`; `cadence` follows the newest one there is. Drop this before
    /// the log is closed.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start<S: Sequence>(cadence: Cadence, log: Arc<Log<S>>) -> std::io::Result<Self> {
        // Without room for a job that waits: an offer is taken only while the thread is free.
        let (jobs, queue) = sync_channel::<(State, Position)>(0);
        let bytes = Arc::new(AtomicU64::new(0));
        let size = Arc::clone(&bytes);
        let thread = thread::Builder::new().name("snapshots".to_owned()).spawn(move || {
            for (state, position) in queue {
                if !becomes_durable(&log, position) {
                    continue;
                }
                match keep(&log, position, &state) {
                    Ok(bytes) => size.store(bytes, Ordering::Release),
                    Err(error) => tracing::warn!(%error, %position, "a snapshot could not be stored"),
                }
            }
        })?;
        Ok(Self { cadence, bytes, jobs: Some(jobs), thread: Some(thread) })
    }

    /// Offers the state at a batch end, durable or on its way. It is taken if a snapshot is due and the thread is free.
    pub fn offer(&mut self, state: &State, position: Position) {
        let bytes = self.bytes.load(Ordering::Acquire);
        if bytes > 0 {
            self.cadence.bytes = bytes;
        }
        if !self.cadence.is_due(position) {
            return;
        }
        if let Some(jobs) = &self.jobs
            && jobs.try_send((state.clone(), position)).is_ok()
        {
            self.cadence.last = position;
        }
    }
}

/// Waits until `position` is durable. A snapshot of a batch that a crash takes back would be of another history.
fn becomes_durable<S: Sequence>(log: &Log<S>, position: Position) -> bool {
    for _ in 0..DURABLE_LOOKS {
        if log.head().position >= position {
            return true;
        }
        if log.poisoned().is_some() {
            return false;
        }
        thread::sleep(DURABLE_PAUSE);
    }
    false
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
