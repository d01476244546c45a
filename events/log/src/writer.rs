//! The one door for truth: `Log` over a sequence of commits.
//!
//! Two stages, each on a thread of its own: the first sequences what waits in the queue, the second writes what was
//! sequenced meanwhile as one synced commit. While a write is in progress everything that arrives gathers behind it
//! and shares the next one. When nothing waits, a blocking append does both stages on its own thread.
//!
//! Answers are given in the order of the appends, and only after the commit is durable. After a failed write the log
//! refuses everything until it is opened again. What a crash means: what was answered is there; what was not may be.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use prooflog_events::envelope::blob_hash;
use prooflog_events::ids::{Hash32, LogId, Position};
use prooflog_events::limits::{
    BLOB_BYTES_MAX, GROUP_BYTES_MAX, GROUP_RECORDS_MAX, QUEUE_APPENDS_MAX, QUEUE_BYTES_MAX,
};
use prooflog_events::port::{Blob, Head, Sequence, SequenceError, Snapshot, SnapshotKey};

use crate::append::{Append, AppendError};
use crate::follow::Follower;
use crate::group::{Answer, Group, Reply, Ticket, lock};
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
    queue: Mutex<Queue>,
    queued: Condvar,
    sequencer: Mutex<Sequencer>,
    /// What the first stage made and the second has not taken. Changed only by the holder of `sequencer` or `committer`.
    pending: Mutex<Pending>,
    pending_filled: Condvar,
    pending_taken: Condvar,
    /// Held from before a group is taken until it is answered: groups are written in the order they were made.
    committer: Mutex<()>,
    /// Appends accepted and not yet answered. Only at zero may an append go past the queue.
    outstanding: AtomicUsize,
    poison: OnceLock<SequenceError>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Append, Reply)>,
    bytes: usize,
    closing: bool,
}

struct Pending {
    group: Group,
    closing: bool,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.group.replies.is_empty()
    }

    fn is_full(&self) -> bool {
        self.group.records.len() >= GROUP_RECORDS_MAX || self.group.records.byte_len() >= GROUP_BYTES_MAX
    }
}

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
            queue: Mutex::default(),
            queued: Condvar::new(),
            sequencer: Mutex::new(sequencer),
            pending: Mutex::new(Pending { group: Group::new(head), closing: false }),
            pending_filled: Condvar::new(),
            pending_taken: Condvar::new(),
            committer: Mutex::default(),
            outstanding: AtomicUsize::new(0),
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
        if self.shared.outstanding.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return self.shared.append_inline(append);
        }
        self.submit(append)?.wait()
    }

    /// Hands over an append without waiting. Appends are decided in the order in which they were handed over.
    ///
    /// # Errors
    /// [`AppendError::Busy`], [`AppendError::Poisoned`] or [`AppendError::Closed`]: it was not accepted.
    pub fn submit(&self, append: Append) -> Result<Ticket, AppendError> {
        let (reply, ticket) = Reply::ticket();
        self.shared.enqueue(append, reply)?;
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
        self.shared.enqueue(append, Reply::call(Box::new(callback)))
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
        let blob = Blob { hash: blob_hash(&bytes), bytes };
        self.shared.sequence.put_blob(&blob).map_err(AppendError::Read)?;
        Ok(blob.hash)
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
        self.shared.queued.notify_all();
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

    fn enqueue(&self, append: Append, reply: Reply) -> Result<(), AppendError> {
        self.refuse_poisoned()?;
        let size = append.size();
        let mut queue = lock(&self.queue);
        if queue.closing {
            return Err(AppendError::Closed);
        }
        if queue.waiting.len() >= QUEUE_APPENDS_MAX || queue.bytes.saturating_add(size) > QUEUE_BYTES_MAX {
            return Err(AppendError::Busy);
        }
        self.outstanding.fetch_add(1, Ordering::AcqRel);
        queue.bytes = queue.bytes.saturating_add(size);
        queue.waiting.push_back((append, reply));
        let wake = queue.waiting.len() == 1;
        drop(queue);
        if wake {
            self.queued.notify_one();
        }
        Ok(())
    }

    /// Both stages on the caller's thread, if the second one is idle. The caller has made `outstanding` one.
    fn append_inline(&self, append: Append) -> Answer {
        let mut sequencer = lock(&self.sequencer);
        let idle = lock(&self.pending).is_empty();
        let committer = if idle { self.committer.try_lock().ok() } else { None };
        let Some(committer) = committer else {
            let (reply, ticket) = Reply::ticket();
            self.sequence_into_pending(&mut sequencer, append, reply);
            drop(sequencer);
            self.pending_filled.notify_one();
            return ticket.wait();
        };
        let mut group = Group::new(sequencer.head());
        let answer = match self.refuse_poisoned() {
            Ok(()) => sequencer.sequence(&self.sequence, append, &mut group),
            Err(poisoned) => Err(poisoned),
        };
        // What is sequenced from here on starts above this group, and is written after the committer is free again.
        lock(&self.pending).group.start_at(sequencer.head());
        drop(sequencer);
        let answer = self.write(&mut group).and(answer);
        drop(committer);
        self.outstanding.fetch_sub(1, Ordering::AcqRel);
        answer
    }

    fn sequence_into_pending(&self, sequencer: &mut Sequencer, append: Append, reply: Reply) {
        let mut pending = lock(&self.pending);
        if pending.is_empty() {
            pending.group.start_at(sequencer.head());
        }
        let answer = match self.refuse_poisoned() {
            Ok(()) => sequencer.sequence(&self.sequence, append, &mut pending.group),
            Err(poisoned) => Err(poisoned),
        };
        pending.group.replies.push((reply, answer));
    }

    /// First stage: until the log is closed and its queue is empty.
    fn sequence_loop(&self) {
        let _guard = PoisonOnPanic(self);
        loop {
            let mut queue = lock(&self.queue);
            while queue.waiting.is_empty() && !queue.closing {
                queue = self.queued.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            if queue.waiting.is_empty() {
                drop(queue);
                lock(&self.pending).closing = true;
                self.pending_filled.notify_one();
                return;
            }
            let drained = std::mem::take(&mut queue.waiting);
            queue.bytes = 0;
            drop(queue);
            for (append, reply) in drained {
                self.wait_for_room();
                let mut sequencer = lock(&self.sequencer);
                self.sequence_into_pending(&mut sequencer, append, reply);
                drop(sequencer);
                self.pending_filled.notify_one();
            }
        }
    }

    fn wait_for_room(&self) {
        let mut pending = lock(&self.pending);
        while pending.is_full() {
            pending = self.pending_taken.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Second stage: until the first one has ended and nothing is pending.
    fn commit_loop(&self) {
        let _guard = PoisonOnPanic(self);
        loop {
            let mut pending = lock(&self.pending);
            while pending.is_empty() && !pending.closing {
                pending = self.pending_filled.wait(pending).unwrap_or_else(PoisonError::into_inner);
            }
            let done = pending.is_empty();
            drop(pending);
            if done {
                return;
            }
            let committer = lock(&self.committer);
            let mut pending = lock(&self.pending);
            let next = Group::new(pending.group.head);
            let mut group = std::mem::replace(&mut pending.group, next);
            drop(pending);
            self.pending_taken.notify_one();
            let result = self.write(&mut group);
            drop(committer);
            self.outstanding.fetch_sub(group.replies.len(), Ordering::AcqRel);
            for (reply, answer) in group.replies {
                reply.send(result.clone().and(answer));
            }
        }
    }

    /// Makes a group durable and visible. The caller holds the committer. An error is the answer to all of the group:
    /// even what wrote nothing was answered on records that are not there now.
    fn write(&self, group: &mut Group) -> Result<(), AppendError> {
        self.refuse_poisoned()?;
        if group.records.is_empty() {
            return Ok(());
        }
        match self.sequence.append(group.commit()) {
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
struct PoisonOnPanic<'a, S: Sequence>(&'a Shared<S>);

impl<S: Sequence> Drop for PoisonOnPanic<'_, S> {
    fn drop(&mut self) {
        if thread::panicking() {
            let what = "a stage of the log's writer came to an unexpected end".to_owned();
            let _ = self.0.poison.set(SequenceError::Unavailable { what });
            let mut queue = lock(&self.0.queue);
            queue.closing = true;
            queue.waiting.clear();
            drop(queue);
            lock(&self.0.pending).group = Group::new(self.0.tail.head());
            lock(&self.0.pending).closing = true;
            self.0.queued.notify_all();
            self.0.pending_filled.notify_all();
            self.0.pending_taken.notify_all();
        }
    }
}
