//! The newest records in memory, and the durable head: where followers meet the writer.
//!
//! One bounded ring for all followers, by position. Whoever is still inside it takes records from here, whoever fell
//! behind reads from the store, so that a slow follower costs the writer nothing and misses nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prooflog_events::ids::Position;
use prooflog_events::limits::TAIL_BYTES_MAX;
use prooflog_events::port::{Head, RecordBatch};

use crate::group::lock;
use crate::record::Record;

type Watcher = Box<dyn Fn(Head) + Send + Sync>;

/// Durable head and newest records.
pub(crate) struct Tail {
    inner: Mutex<Inner>,
    moved: Condvar,
    watchers: Mutex<Vec<Watcher>>,
}

struct Inner {
    head: Head,
    /// Runs of records with the position of their first, gapless up to the head.
    runs: VecDeque<(Position, Arc<RecordBatch>)>,
    bytes: usize,
    /// How many wait for the head to move: telling nobody would still cost a call of the system for each commit.
    waiting: usize,
    closed: bool,
}

impl Tail {
    pub(crate) fn new(head: Head) -> Self {
        Self {
            inner: Mutex::new(Inner { head, runs: VecDeque::new(), bytes: 0, waiting: 0, closed: false }),
            moved: Condvar::new(),
            watchers: Mutex::new(Vec::new()),
        }
    }

    /// The durable head.
    pub(crate) fn head(&self) -> Head {
        lock(&self.inner).head
    }

    /// Makes a durable run of records visible. [`Self::tell`] wakes those who wait for it.
    pub(crate) fn publish(&self, head: Head, records: RecordBatch) {
        let mut inner = lock(&self.inner);
        let first = inner.head.position.next();
        inner.head = head;
        inner.bytes = inner.bytes.saturating_add(records.byte_len());
        inner.runs.push_back((first, Arc::new(records)));
        while inner.bytes > TAIL_BYTES_MAX && inner.runs.len() > 1 {
            if let Some((_, run)) = inner.runs.pop_front() {
                inner.bytes = inner.bytes.saturating_sub(run.byte_len());
            }
        }
    }

    /// Wakes everybody who waits for what was published. Apart from it, so that those who wait for their appends are
    /// answered first: waking a follower takes as long as a part of the write.
    pub(crate) fn tell(&self) {
        let watchers = lock(&self.watchers);
        let inner = lock(&self.inner);
        let (head, is_awaited) = (inner.head, inner.waiting > 0);
        drop(inner);
        if is_awaited {
            self.moved.notify_all();
        }
        watchers.iter().for_each(|watcher| watcher(head));
    }

    /// Calls `watcher` with each new head, on the writer's thread.
    pub(crate) fn watch(&self, watcher: Watcher) {
        lock(&self.watchers).push(watcher);
    }

    /// Nothing more will come; wakes everybody.
    pub(crate) fn close(&self) {
        lock(&self.inner).closed = true;
        self.moved.notify_all();
    }

    /// Records from `from` on, as far as one run goes, at most `limit`; `None` if the ring no longer holds `from`.
    pub(crate) fn take(&self, from: Position, limit: usize) -> Option<Vec<Record>> {
        let inner = lock(&self.inner);
        let slot = inner.runs.partition_point(|(first, _)| *first <= from).checked_sub(1)?;
        let (first, run) = inner.runs.get(slot)?;
        let skip = usize::try_from(from.0.checked_sub(first.0)?).ok()?;
        let run = Arc::clone(run);
        let positions = from.0..;
        drop(inner);
        let indexes = skip..run.len().min(skip.saturating_add(limit));
        Some(
            positions
                .zip(indexes)
                .map(|(position, index)| Record::new(&run, index, Position(position)))
                .collect(),
        )
    }

    /// Waits until the head is at or above `position`, nothing more comes, or the time is up; the head then.
    pub(crate) fn wait(&self, position: Position, timeout: Duration) -> Head {
        let until = Instant::now().checked_add(timeout);
        let mut inner = lock(&self.inner);
        while inner.head.position < position && !inner.closed {
            let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            inner.waiting = inner.waiting.saturating_add(1);
            inner = self.moved.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
            inner.waiting = inner.waiting.saturating_sub(1);
        }
        inner.head
    }
}
