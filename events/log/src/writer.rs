//! The one door for truth: `Log` over a sequence of commits.
//!
//! Two stages, each on a thread of its own: the first sequences ahead while a write is in progress, the second
//! sequences the rest and writes all of it as one synced commit. So everything that arrives during a write shares the
//! next one; those who were just answered get a moment to be in it too (`pace`). When nothing waits, a blocking append
//! does both stages on its own thread; so does one that completes those who were waited for, if its caller allows it.
//!
//! Appends from outside stand in a lane of their own (`queue`): the engine's overtake them, and a commit takes only so
//! much of theirs, so that nobody outside delays a decision. Within a lane order is kept. Answers are given in the
//! order of what is sequenced, and only after the commit is durable. After a failed write the log
//! refuses everything until it is opened again. What a crash means: what was answered is there; what was not may be.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use prooflog_events::envelope::blob_hash;
use prooflog_events::ids::{Hash32, LogId, Position};
use prooflog_events::limits::{BLOB_BYTES_MAX, GROUP_BYTES_MAX, GROUP_OUTSIDE_BYTES_MAX, GROUP_RECORDS_MAX};
use prooflog_events::port::{Blob, Head, Sequence, SequenceError, Snapshot, SnapshotKey};

use crate::append::{Append, AppendError};
use crate::follow::Follower;
use crate::fresh::Fresh;
use crate::group::{Answer, Group, Reply, Ticket, deliver, lock};
use crate::pace::Pace;
use crate::queue::{Lane, Queue};
use crate::read::{Filter, Reader};
use crate::sequencer::Sequencer;
use crate::tail::Tail;

/// The log. Share it with an `Arc`; dropping it writes what was accepted and closes it.
pub struct Log<S: Sequence> {
    shared: Arc<Shared<S>>,
    threads: Vec<JoinHandle<()>>,
}

pub(crate) struct Shared<S> {
    pub(crate) sequence: S,
    pub(crate) tail: Tail,
    /// Locks are taken in the order in which they stand here; `committer` also after `sequencer`, but only if free.
    ///
    /// Held from before a group is taken until it is written: groups are written in the order they were made.
    committer: Mutex<Pace>,
    /// Held while the queue is drained and what came out of it is sequenced: appends keep their order.
    sequencer: Mutex<Sequencer>,
    queue: Mutex<Queue>,
    /// What is sequenced and not taken for writing. Changed only under `sequencer`.
    pending: Mutex<Group>,
    /// Blobs that were stored and not yet named, or given up and not yet gone.
    fresh: Mutex<Fresh>,
    /// For the first stage: enough waits to sequence ahead, or there is room again.
    ahead: Condvar,
    /// For the second stage: there is something to write.
    filled: Condvar,
    /// Appends accepted and not yet answered. Only at zero may an append go past the queue.
    outstanding: AtomicUsize,
    /// Microseconds that the last write took.
    took: AtomicU64,
    opened: Instant,
    poison: OnceLock<SequenceError>,
}

/// Largest append that is made on the thread of a caller who must not be held up.
const HERE_BYTES_MAX: usize = 16 << 10;

/// The same of all that waits, where a caller writes for others too.
const LED_BYTES_MAX: usize = 256 << 10;

/// A write that took no longer holds up nobody.
const QUICK_WRITE: Duration = Duration::from_micros(500);

/// Appends that make it worth waking the first stage while the second writes.
const AHEAD_MIN: usize = 24;

/// Appends that are sequenced at a time.
const DRAIN_MAX: usize = 256;

impl<S: Sequence> Log<S> {
    /// Takes over a sequence of commits as its only writer.
    ///
    /// # Errors
    /// When the newest records cannot be read.
    pub fn open(sequence: S) -> Result<Self, SequenceError> {
        let sequencer = Sequencer::open(&sequence)?;
        let head = sequencer.head();
        let shared = Arc::new(Shared {
            sequence,
            tail: Tail::new(head),
            committer: Mutex::new(Pace::default()),
            sequencer: Mutex::new(sequencer),
            pending: Mutex::new(Group::new(head)),
            queue: Mutex::default(),
            fresh: Mutex::default(),
            ahead: Condvar::new(),
            filled: Condvar::new(),
            outstanding: AtomicUsize::new(0),
            took: AtomicU64::new(u64::MAX),
            opened: Instant::now(),
            poison: OnceLock::new(),
        });
        let threads = vec![
            stage(&shared, "log-sequence", Shared::sequence_loop)?,
            stage(&shared, "log-commit", Shared::commit_loop)?,
        ];
        Ok(Self { shared, threads })
    }

    /// The sequence of commits below.
    #[must_use]
    pub fn sequence(&self) -> &S {
        &self.shared.sequence
    }

    /// Writes what was accepted, closes the log and gives the sequence back; `None` while a follower still holds it.
    #[must_use]
    pub fn into_sequence(self) -> Option<S> {
        let shared = Arc::clone(&self.shared);
        drop(self);
        Arc::into_inner(shared).map(|shared| shared.sequence)
    }

    /// Identity of the log.
    #[must_use]
    pub fn id(&self) -> LogId {
        self.shared.sequence.log_id()
    }

    /// The newest durable record.
    #[must_use]
    pub fn head(&self) -> Head {
        self.shared.tail.head()
    }

    /// Why the log refuses writes, if it does.
    #[must_use]
    pub fn poisoned(&self) -> Option<&SequenceError> {
        self.shared.poison.get()
    }

    /// Appends and waits until it is durable.
    ///
    /// # Errors
    /// Why it did not happen; see [`AppendError`].
    pub fn append(&self, append: Append) -> Answer {
        match self.shared.append_inline(append) {
            Ok(answer) => answer,
            Err(append) => self.submit(append)?.wait(),
        }
    }

    /// Hands over an append without waiting. Appends are decided in the order in which they were handed over, the
    /// engine's before those of [`By::Client`](crate::By::Client).
    ///
    /// # Errors
    /// [`AppendError::Busy`], [`AppendError::Poisoned`] or [`AppendError::Closed`]: it was not accepted.
    pub fn submit(&self, append: Append) -> Result<Ticket, AppendError> {
        let (reply, ticket) = Reply::ticket();
        self.shared.enqueue(append, reply, Completes::Nothing)?;
        Ok(ticket)
    }

    /// As [`Log::submit`], calling `callback` with the answer on the writer's thread. It must not block, and must not
    /// append by [`Log::append`], which would wait for the very thread that it runs on.
    ///
    /// # Errors
    /// As [`Log::submit`]; the callback then has been called with [`AppendError::Closed`].
    pub fn submit_with(
        &self,
        append: Append,
        callback: impl FnOnce(Answer) + Send + 'static,
    ) -> Result<(), AppendError> {
        self.shared.enqueue(append, Reply::call(Box::new(callback)), Completes::Nothing)
    }

    /// Stores a blob and returns its name. Runs on the caller's thread, beside the writer: do it before the append
    /// that names the blob. A blob that no append ever names is removed when the log is opened again.
    ///
    /// # Errors
    /// When it is too large or the medium refuses.
    pub fn put_blob(&self, bytes: Vec<u8>) -> Result<Hash32, AppendError> {
        if bytes.len() > BLOB_BYTES_MAX {
            return Err(AppendError::TooLarge {
                what: "bytes of a blob",
                size: bytes.len(),
                max: BLOB_BYTES_MAX,
            });
        }
        self.shared.refuse_poisoned()?;
        let hash = blob_hash(&bytes);
        let blob = lock(&self.shared.fresh).store(Blob { hash, bytes }, self.head().position);
        if let Some(blob) = blob {
            self.shared.sequence.put_blob(&blob).map_err(AppendError::Read)?;
        }
        Ok(hash)
    }

    /// Removes a blob's bytes; the records that name it stay as they are. `false` if it was not there.
    ///
    /// # Errors
    /// When the medium refuses.
    pub fn prune_blob(&self, hash: Hash32) -> Result<bool, SequenceError> {
        self.shared.sequence.delete_blob(hash)
    }

    /// Keeps a snapshot of a projection; it may be lost in a crash.
    ///
    /// # Errors
    /// When the medium refuses.
    pub fn put_snapshot(&self, key: &SnapshotKey, snapshot: &Snapshot) -> Result<(), SequenceError> {
        self.shared.sequence.put_snapshot(key, snapshot)
    }

    /// Removes the snapshots of a projection, except those of the fingerprint `keep`.
    ///
    /// # Errors
    /// When the medium refuses.
    pub fn delete_snapshots(&self, projection: &str, keep: Option<Hash32>) -> Result<(), SequenceError> {
        self.shared.sequence.delete_snapshots(projection, keep)
    }

    /// As [`Log::submit_with`]. While writes are quick, a small append that finds nothing under way is made on the caller's
    /// thread and answered before this returns, and so is one that completes a group that is waited for, with that group:
    /// there, two changes of threads would take longer than the write.
    ///
    /// # Errors
    /// As [`Log::submit_with`].
    pub fn append_with(
        &self,
        append: Append,
        callback: impl FnOnce(Answer) + Send + 'static,
    ) -> Result<(), AppendError> {
        let here = append.size() <= HERE_BYTES_MAX && self.shared.writes_quickly();
        match if here { self.shared.append_inline(append) } else { Err(append) } {
            Ok(answer) => {
                callback(answer);
                Ok(())
            }
            Err(append) => {
                let completes = if here { Completes::Group } else { Completes::Nothing };
                self.shared.enqueue(append, Reply::call(Box::new(callback)), completes)
            }
        }
    }

    /// A reader of everything that is durable now.
    #[must_use]
    pub fn reader(&self) -> Reader<'_, S> {
        Reader::at(&self.shared.sequence, self.head())
    }

    /// Follows the whole log from `from` on: what is there, then what comes.
    #[must_use]
    pub fn follow(&self, from: Position, filter: Filter) -> Follower<S> {
        Follower::new(Arc::clone(&self.shared), from, filter)
    }

    /// Calls `watcher` with each new head, on the writer's thread; it must be quick.
    pub fn watch(&self, watcher: impl Fn(Head) + Send + Sync + 'static) {
        self.shared.tail.watch(Box::new(watcher));
    }
}

/// What the caller's thread may write where its append is the one that was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Completes {
    Nothing,
    Group,
}

fn stage<S: Sequence>(
    shared: &Arc<Shared<S>>,
    name: &str,
    run: fn(&Shared<S>),
) -> Result<JoinHandle<()>, SequenceError> {
    let shared = Arc::clone(shared);
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || run(&shared));
    thread.map_err(|error| SequenceError::Unavailable {
        what: format!("no thread for the log's writer: {error}"),
    })
}

impl<S: Sequence> Drop for Log<S> {
    fn drop(&mut self) {
        lock(&self.shared.queue).closing = true;
        self.shared.ahead.notify_all();
        self.shared.filled.notify_all();
        for thread in self.threads.drain(..) {
            // A stage that panicked has told everyone who waited; there is nobody left to tell here.
            let _ = thread.join();
        }
        self.shared.tail.close();
        self.shared.sequence.close();
    }
}

impl<S: Sequence> Shared<S> {
    fn refuse_poisoned(&self) -> Result<(), AppendError> {
        self.poison.get().map_or(Ok(()), |error| Err(AppendError::Poisoned(error.clone())))
    }

    fn writes_quickly(&self) -> bool {
        Duration::from_micros(self.took.load(Ordering::Relaxed)) <= QUICK_WRITE
    }

    fn enqueue(&self, append: Append, reply: Reply, completes: Completes) -> Result<(), AppendError> {
        self.refuse_poisoned()?;
        let mut queue = lock(&self.queue);
        let lane = Lane::of(&append);
        // The reply must outlive the lock: who is refused is told when it is dropped.
        let size = queue.admit(&append)?;
        queue.push(append, reply, size);
        let on_their_way = self.outstanding.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        if queue.wants(lane, on_their_way) {
            queue.wanted = 0;
            // Where the first stage is at work, more is on its way than is seen here.
            let is_small = || {
                let pending = self.pending.try_lock();
                pending.is_ok_and(|pending| pending.bytes().saturating_add(queue.bytes()) <= LED_BYTES_MAX)
            };
            let here = completes == Completes::Group && queue.until.is_some() && is_small();
            drop(queue);
            if here && let Ok(mut pace) = self.committer.try_lock() {
                self.write_waiting(&mut pace);
            } else {
                self.filled.notify_one();
            }
        } else if queue.len() == AHEAD_MIN && !queue.full {
            drop(queue);
            self.ahead.notify_one();
        }
        Ok(())
    }

    /// Both stages on the caller's thread, if nothing else is on its way; else the append is given back.
    #[expect(clippy::result_large_err, reason = "the append itself is given back, it is no error")]
    fn append_inline(&self, append: Append) -> Result<Answer, Append> {
        let _guard = PoisonOnPanic::new(self);
        if self.outstanding.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return Err(append);
        }
        let mut sequencer = lock(&self.sequencer);
        // Those who are waited for share a write. The committer is held by the second stage where it has been woken for an
        // append that came after the question above.
        let alone = lock(&self.queue).until.is_none() && lock(&self.pending).replies.is_empty();
        let committer = if alone { self.committer.try_lock().ok() } else { None };
        let Some(committer) = committer else {
            drop(sequencer);
            self.outstanding.fetch_sub(1, Ordering::AcqRel);
            return Err(append);
        };
        let mut group = Group::new(sequencer.head());
        let answer = match self.refuse_poisoned() {
            Ok(()) => sequencer.sequence(&self.sequence, append, &mut group, &self.fresh),
            Err(poisoned) => Err(poisoned),
        };
        // What is sequenced from here on stands above this group, and is written when the committer is free again.
        lock(&self.pending).start_at(sequencer.head());
        drop(sequencer);
        let answer = self.write(&mut group).and(answer);
        self.tail.tell();
        drop(committer);
        self.outstanding.fetch_sub(1, Ordering::AcqRel);
        Ok(answer)
    }

    /// Sequences what waits, at most [`DRAIN_MAX`] appends and what a commit takes from outside; whether there may be
    /// more to sequence for this commit.
    fn sequence_waiting(&self, sequencer: &mut Sequencer) -> bool {
        // Held until what comes out of it is counted as pending: who finds neither may end.
        let mut queue = lock(&self.queue);
        let mut pending = lock(&self.pending);
        let room = GROUP_OUTSIDE_BYTES_MAX.saturating_sub(pending.outside);
        let (drained, outside) = queue.drain(DRAIN_MAX, room);
        drop(queue);
        let any = !drained.is_empty();
        pending.outside = pending.outside.saturating_add(outside);
        for (append, reply) in drained {
            let answer = match self.refuse_poisoned() {
                Ok(()) => sequencer.sequence(&self.sequence, append, &mut pending, &self.fresh),
                Err(poisoned) => Err(poisoned),
            };
            pending.replies.push((reply, answer));
        }
        let full =
            pending.records.len() >= GROUP_RECORDS_MAX || pending.records.byte_len() >= GROUP_BYTES_MAX;
        let closed = pending.outside >= GROUP_OUTSIDE_BYTES_MAX;
        drop(pending);
        lock(&self.queue).full = full || closed;
        any && !full
    }

    /// First stage: sequences ahead while the second one writes, until the log is closed.
    fn sequence_loop(&self) {
        let _guard = PoisonOnPanic::new(self);
        loop {
            let mut queue = lock(&self.queue);
            while (queue.len() < AHEAD_MIN || queue.full) && !queue.closing {
                queue = self.ahead.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            if queue.closing {
                return;
            }
            drop(queue);
            let mut sequencer = lock(&self.sequencer);
            self.sequence_waiting(&mut sequencer);
            drop(sequencer);
            let mut queue = lock(&self.queue);
            if queue.wanted == 1 {
                queue.wanted = 0;
                self.filled.notify_one();
            }
        }
    }

    /// Second stage: until the log is closed and nothing waits.
    fn commit_loop(&self) {
        while self.is_to_be_written() {
            self.write_waiting(&mut lock(&self.committer));
        }
    }

    /// Sleeps until something waits and nobody is waited for any more; `false` when the log is closed.
    fn is_to_be_written(&self) -> bool {
        let mut queue = lock(&self.queue);
        loop {
            if let Some(until) = queue.until {
                let now = Instant::now();
                if queue.is_over(self.outstanding.load(Ordering::Acquire), now) {
                    return true;
                }
                queue.watched = Some(until);
                let left = until.saturating_duration_since(now);
                queue = self.filled.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
                queue.watched = None;
                continue;
            }
            // The first stage may have sequenced what came, and found nobody to wake.
            if queue.len() > 0 || !lock(&self.pending).replies.is_empty() {
                return true;
            }
            if queue.closing {
                return false;
            }
            queue.wanted = 1;
            if let Some(rest) = queue.rest.take() {
                queue.watched = Instant::now().checked_add(rest);
                queue = self.filled.wait_timeout(queue, rest).unwrap_or_else(PoisonError::into_inner).0;
                queue.watched = None;
            } else {
                while queue.wanted > 0 && queue.until.is_none() && !queue.closing {
                    queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
                }
            }
            if queue.until.is_none() {
                queue.wanted = 0;
            }
        }
    }

    /// Writes all that waits and answers it; then begins to wait for those who may come back.
    fn write_waiting(&self, pace: &mut Pace) {
        let _guard = PoisonOnPanic::new(self);
        let mut queue = lock(&self.queue);
        if queue.until.is_some() {
            let on_their_way = self.outstanding.load(Ordering::Acquire);
            if !queue.is_over(on_their_way, Instant::now()) {
                // Somebody else has written what this one came for, and waits for the next ones.
                return;
            }
            pace.waited(queue.came(on_their_way));
            (queue.until, queue.wanted) = (None, 0);
        }
        drop(queue);
        let Some(mut group) = self.take_waiting() else { return };
        let begun = Instant::now();
        let result = self.write(&mut group);
        let replies = std::mem::take(&mut group.replies);
        let level = self.outstanding.fetch_sub(replies.len(), Ordering::AcqRel);
        pace.wrote(level, replies.len(), begun.elapsed(), self.opened.elapsed());
        let awaited = pace.awaited();
        let mut queue = lock(&self.queue);
        if let Some((level, limit)) = awaited {
            queue.wanted = level;
            queue.until = Instant::now().checked_add(limit);
            queue.rest = Some(limit);
        }
        if !queue.is_watched(self.outstanding.load(Ordering::Acquire), Instant::now()) {
            self.filled.notify_one();
        }
        drop(queue);
        match result {
            Ok(()) => {
                deliver(replies);
                self.tail.tell();
            }
            Err(error) => {
                deliver(replies.into_iter().map(|(reply, _)| (reply, Err(error.clone()))).collect())
            }
        }
    }

    /// Sequences and takes all that waits for one commit, if anything does.
    fn take_waiting(&self) -> Option<Group> {
        let mut sequencer = lock(&self.sequencer);
        while self.sequence_waiting(&mut sequencer) {}
        let mut pending = lock(&self.pending);
        if pending.replies.is_empty() {
            return None;
        }
        let next = Group::new(pending.head);
        let group = std::mem::replace(&mut *pending, next);
        drop(pending);
        drop(sequencer);
        let mut queue = lock(&self.queue);
        queue.full = false;
        queue.outsiders = group.outside > 0;
        if queue.len() >= AHEAD_MIN {
            self.ahead.notify_one();
        }
        Some(group)
    }

    /// Makes a group durable and visible; who follows is told later. The caller holds the committer. An error is the
    /// answer to all of the group: even what wrote nothing was answered on records that are not there now.
    fn write(&self, group: &mut Group) -> Result<(), AppendError> {
        self.refuse_poisoned()?;
        if group.records.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        let written = self.sequence.append(group.commit());
        self.took.store(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        match written {
            Ok(()) => {
                self.tail.publish(group.head, std::mem::take(&mut group.records));
                Ok(())
            }
            Err(error) => {
                let _ = self.poison.set(error.clone());
                Err(AppendError::WriteFailed(error))
            }
        }
    }
}

/// A stage that panics (a bug) must not leave a log that accepts and never answers.
struct PoisonOnPanic<'a, S: Sequence> {
    shared: &'a Shared<S>,
    /// Something else came to grief before, and appends what it has to say.
    before: bool,
}

impl<'a, S: Sequence> PoisonOnPanic<'a, S> {
    fn new(shared: &'a Shared<S>) -> Self {
        Self { shared, before: thread::panicking() }
    }
}

impl<S: Sequence> Drop for PoisonOnPanic<'_, S> {
    fn drop(&mut self) {
        if thread::panicking() && !self.before {
            let what = "a stage of the log's writer came to an unexpected end".to_owned();
            let _ = self.shared.poison.set(SequenceError::Unavailable { what });
            let mut queue = lock(&self.shared.queue);
            queue.closing = true;
            queue.clear();
            drop(queue);
            let head = self.shared.tail.head();
            drop(std::mem::replace(&mut *lock(&self.shared.pending), Group::new(head)));
            self.shared.ahead.notify_all();
            self.shared.filled.notify_all();
        }
    }
}
