//! What becomes durable in one write: the records of many appends, and who waits for them.
//!
//! A group is filled by the first stage and written by the second; its answers are given in the order of its appends,
//! and only after the write.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use prooflog_events::ids::Hash32;
use prooflog_events::port::{Blob, Commit, Head, RecordBatch};

use crate::append::{AppendError, Appended};

/// The answer to one append.
pub type Answer = Result<Appended, AppendError>;

/// Locks; a thread that panicked while holding the lock has left a state that is still checked by everyone who reads it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records sequenced and not yet written.
#[derive(Debug)]
pub(crate) struct Group {
    /// The head that the first record was made on.
    pub(crate) expected: Head,
    /// The head after the last record.
    pub(crate) head: Head,
    pub(crate) records: RecordBatch,
    pub(crate) blobs: Vec<Blob>,
    pub(crate) named: Vec<Hash32>,
    pub(crate) forgotten: Vec<Hash32>,
    /// Bytes of appends from outside among them, refused ones too.
    pub(crate) outside: usize,
    /// Who is told, in order, once the group is durable.
    pub(crate) replies: Vec<(Reply, Answer)>,
}

impl Group {
    pub(crate) fn new(head: Head) -> Self {
        Self {
            expected: head,
            head,
            records: RecordBatch::default(),
            blobs: Vec::new(),
            named: Vec::new(),
            forgotten: Vec::new(),
            outside: 0,
            replies: Vec::new(),
        }
    }

    /// Places an empty group behind everything sequenced so far.
    pub(crate) fn start_at(&mut self, head: Head) {
        if self.records.is_empty() {
            self.expected = head;
            self.head = head;
        }
    }

    /// What is to be written of them.
    pub(crate) fn bytes(&self) -> usize {
        let blobs = self.blobs.iter().map(|blob| blob.bytes.len());
        blobs.fold(self.records.byte_len(), usize::saturating_add)
    }

    /// Has the bytes of these blobs go with the commit, those among them too that would have come with it.
    pub(crate) fn forget(&mut self, forget: &[Hash32]) {
        if forget.is_empty() {
            return;
        }
        self.blobs.retain(|blob| !forget.contains(&blob.hash));
        self.named.retain(|hash| !forget.contains(hash));
        self.forgotten.extend_from_slice(forget);
    }

    pub(crate) fn commit(&self) -> Commit<'_> {
        Commit {
            expected: self.expected,
            head: self.head,
            records: &self.records,
            blobs: &self.blobs,
            named: &self.named,
            forgotten: &self.forgotten,
        }
    }
}

/// Where an answer goes.
pub(crate) struct Reply(Option<Target>);

enum Target {
    Slot(Arc<Slot>),
    Call(Box<dyn FnOnce(Answer) + Send>),
}

/// Where a thread or a task waits for one answer.
#[derive(Debug, Default)]
struct Slot {
    state: Mutex<SlotState>,
    ready: Condvar,
}

#[derive(Debug, Default)]
struct SlotState {
    answer: Option<Answer>,
    /// A thread sleeps on this slot.
    waiting: bool,
    /// A task waits on this slot.
    task: Option<Waker>,
    /// Others who sleep for an answer of the same commit.
    others: Option<Arc<Sleepers>>,
}

/// Threads whose answers are there and who have not been woken. Waking costs the writer more than writing, so it wakes
/// two, each of whom wakes two more.
#[derive(Debug, Default)]
struct Sleepers(Mutex<Vec<Arc<Slot>>>);

/// How many sleepers each one wakes.
const WAKES: usize = 2;

impl Sleepers {
    fn wake(&self) {
        let mut woken = 0;
        while woken < WAKES {
            let Some(slot) = lock(&self.0).pop() else { return };
            // Whoever left by itself before this list was filled has woken nobody, and does not count. Whoever is
            // still here leaves after it, and then wakes its two.
            if lock(&slot.state).waiting {
                slot.ready.notify_one();
                woken += 1;
            }
        }
    }
}

/// An append on its way: waited for by a thread ([`Ticket::wait`]) or by a task (it is a future). Dropping it does not
/// take the append back.
#[derive(Debug)]
#[must_use = "an append is durable only once its ticket says so"]
pub struct Ticket(Arc<Slot>);

impl Ticket {
    /// Waits until the append is durable or refused.
    ///
    /// # Errors
    /// Why the append did not happen.
    pub fn wait(self) -> Answer {
        let mut state = lock(&self.0.state);
        let answer = loop {
            match state.answer.take() {
                Some(answer) => break answer,
                None => {
                    state.waiting = true;
                    state = self.0.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        state.waiting = false;
        let others = state.others.take();
        drop(state);
        if let Some(others) = others {
            others.wake();
        }
        answer
    }
}

impl Future for Ticket {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let mut state = lock(&self.0.state);
        if let Some(answer) = state.answer.take() {
            return Poll::Ready(answer);
        }
        match &mut state.task {
            Some(task) => task.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl Reply {
    pub(crate) fn ticket() -> (Self, Ticket) {
        let slot = Arc::new(Slot::default());
        (Self(Some(Target::Slot(Arc::clone(&slot)))), Ticket(slot))
    }

    pub(crate) fn call(callback: Box<dyn FnOnce(Answer) + Send>) -> Self {
        Self(Some(Target::Call(callback)))
    }
}

/// Gives out the answers of one commit, in order.
pub(crate) fn deliver(replies: Vec<(Reply, Answer)>) {
    let sleepers = Arc::new(Sleepers::default());
    let mut sleeping = Vec::new();
    let mut tasks = Vec::new();
    for (mut reply, answer) in replies {
        match reply.0.take() {
            Some(Target::Slot(slot)) => {
                let mut state = lock(&slot.state);
                state.answer = Some(answer);
                tasks.extend(state.task.take());
                if state.waiting {
                    state.others = Some(Arc::clone(&sleepers));
                    sleeping.push(Arc::clone(&slot));
                }
            }
            Some(Target::Call(callback)) => callback(answer),
            None => {}
        }
    }
    tasks.into_iter().for_each(Waker::wake);
    // The first to sleep is the first to be woken.
    sleeping.reverse();
    *lock(&sleepers.0) = sleeping;
    sleepers.wake();
}

impl Drop for Reply {
    /// Whoever waits is told, even if the writer's thread came to an end.
    fn drop(&mut self) {
        if let Some(target) = self.0.take() {
            deliver(vec![(Self(Some(target)), Err(AppendError::Closed))]);
        }
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reply")
    }
}
