//! Where the server reads: the log of this process, or another process's.
//!
//! Both show a head, records below it, and what comes. In the process that writes, a wait ends with the commit; beside
//! it, somebody has to look. What a crash means: nothing; nothing is kept.

use std::sync::Arc;
use std::time::Duration;

use prooflog_events::ids::Position;
use prooflog_events::port::{Head, Sequence, SequenceError, SequenceRead};
use prooflog_log::{Answer, Append, AppendError, Filter, Followed, Follower, Log, RemoteFollower};

/// A log to be served.
pub trait Source: Send + Sync + 'static {
    /// Its records.
    fn records(&self) -> &dyn SequenceRead;

    /// Everything up to here may be shown.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn head(&self) -> Result<Head, SequenceError>;

    /// Follows it from `from` on.
    fn follow(&self, from: Position) -> Box<dyn Following>;
}

/// A place in a log, from which what comes is seen.
pub trait Following: Send {
    /// What is there now, at most `limit` records; waits up to `timeout` for something to come.
    ///
    /// # Errors
    /// When the log cannot be read. The place stays what it was.
    fn next(&mut self, limit: usize, timeout: Duration) -> Result<Followed, SequenceError>;
}

/// Where appends of clients go.
pub trait Door: Send + Sync + 'static {
    /// Hands over an append; `reply` is called with its answer, and must be quick.
    ///
    /// # Errors
    /// When it was not accepted.
    fn submit(&self, append: Append, reply: Box<dyn FnOnce(Answer) + Send>) -> Result<(), AppendError>;
}

/// The log that this process writes.
pub struct Here<S: Sequence>(Arc<Log<S>>);

impl<S: Sequence> Here<S> {
    /// Serves `log`. The log can be closed once the server has stopped.
    #[must_use]
    pub const fn new(log: Arc<Log<S>>) -> Self {
        Self(log)
    }
}

impl<S: Sequence> Source for Here<S> {
    fn records(&self) -> &dyn SequenceRead {
        self.0.sequence()
    }

    fn head(&self) -> Result<Head, SequenceError> {
        Ok(self.0.head())
    }

    fn follow(&self, from: Position) -> Box<dyn Following> {
        Box::new(self.0.follow(from, Filter::all()))
    }
}

impl<S: Sequence> Door for Here<S> {
    fn submit(&self, append: Append, reply: Box<dyn FnOnce(Answer) + Send>) -> Result<(), AppendError> {
        self.0.append_with(append, reply)
    }
}

impl<S: Sequence> Following for Follower<S> {
    fn next(&mut self, limit: usize, timeout: Duration) -> Result<Followed, SequenceError> {
        self.wait(limit, timeout)
    }
}

/// A log that another process writes.
pub struct Beside<R: SequenceRead + 'static> {
    records: Arc<R>,
    look: Duration,
}

impl<R: SequenceRead + 'static> Beside<R> {
    /// Serves `records`, looking for new ones every `look`.
    #[must_use]
    pub const fn new(records: Arc<R>, look: Duration) -> Self {
        Self { records, look }
    }
}

impl<R: SequenceRead + 'static> Source for Beside<R> {
    fn records(&self) -> &dyn SequenceRead {
        &*self.records
    }

    fn head(&self) -> Result<Head, SequenceError> {
        self.records.refresh()
    }

    fn follow(&self, from: Position) -> Box<dyn Following> {
        Box::new(Looking { records: Arc::clone(&self.records), next: from, look: self.look })
    }
}

struct Looking<R: SequenceRead> {
    records: Arc<R>,
    next: Position,
    look: Duration,
}

impl<R: SequenceRead> Following for Looking<R> {
    fn next(&mut self, limit: usize, timeout: Duration) -> Result<Followed, SequenceError> {
        let mut follower = RemoteFollower::new(&*self.records, self.next, Filter::all());
        let mut followed = follower.poll(limit)?;
        if followed.records.is_empty() && !timeout.is_zero() {
            std::thread::sleep(self.look.min(timeout));
            followed = follower.poll(limit)?;
        }
        self.next = followed.through.next().max(self.next);
        Ok(followed)
    }
}
