//! What becomes durable in one write: the records of many appends, and who waits for them.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

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

    pub(crate) fn commit(&self) -> Commit<'_> {
        Commit {
            expected: self.expected,
            head: self.head,
            records: &self.records,
            blobs: &self.blobs,
            named: &self.named,
        }
    }
}

/// Where an answer goes.
pub(crate) struct Reply(Option<Target>);

enum Target {
    Slot(Arc<Slot>),
    Call(Box<dyn FnOnce(Answer) + Send>),
}

#[derive(Debug, Default)]
struct Slot {
    answer: Mutex<Option<Answer>>,
    ready: Condvar,
}

/// An append on its way. Dropping it does not take the append back.
#[derive(Debug)]
#[must_use = "an append is durable only once its ticket says so"]
pub struct Ticket(Arc<Slot>);

impl Ticket {
    /// Waits until the append is durable or refused.
    ///
    /// # Errors
    /// Why the append did not happen.
    pub fn wait(self) -> Answer {
        let mut answer = lock(&self.0.answer);
        loop {
            match answer.take() {
                Some(answer) => return answer,
                None => answer = self.0.ready.wait(answer).unwrap_or_else(PoisonError::into_inner),
            }
        }
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

    pub(crate) fn send(mut self, answer: Answer) {
        self.deliver(answer);
    }

    fn deliver(&mut self, answer: Answer) {
        match self.0.take() {
            Some(Target::Slot(slot)) => {
                *lock(&slot.answer) = Some(answer);
                slot.ready.notify_one();
            }
            Some(Target::Call(callback)) => callback(answer),
            None => {}
        }
    }
}

impl Drop for Reply {
    /// Whoever waits is told, even if the writer's thread came to an end.
    fn drop(&mut self) {
        self.deliver(Err(AppendError::Closed));
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reply")
    }
}
