//! Following: what is there, then what comes, with neither a gap nor a duplicate at the hand-over.
//!
//! A follower is a position and nothing else. While the ring of newest records holds that position it reads there,
//! else it reads from the store; so there is no hand-over to get wrong, no buffer per follower, and a slow one simply
//! reads from the store again. A crash of the reader loses nothing that it did not write down itself.

use std::sync::Arc;
use std::time::Duration;

use prooflog_events::ids::Position;
use prooflog_events::port::{Direction, Sequence, SequenceError, SequenceRead};

use crate::read::{Filter, Reader};
use crate::record::{Record, peek};
use crate::writer::Shared;

/// What came next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The records that match, in order.
    pub records: Vec<Record>,
    /// Everything up to here was considered: following from the next position misses nothing.
    pub through: Position,
    /// Whether this was all there was.
    pub caught_up: bool,
}

/// Follows the log inside the process that writes it.
pub struct Follower<S: Sequence> {
    shared: Arc<Shared<S>>,
    next: Position,
    filter: Filter,
}

impl<S: Sequence> Follower<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>, from: Position, filter: Filter) -> Self {
        Self { shared, next: from.max(Position(1)), filter }
    }

    /// The first position that was not yet considered.
    #[must_use]
    pub const fn next_position(&self) -> Position {
        self.next
    }

    /// What is there now, at most `limit` records; nothing when caught up. Does not wait.
    ///
    /// # Errors
    /// When a record is missing or cannot be read. The follower stays where it was.
    pub fn poll(&mut self, limit: usize) -> Result<Followed, SequenceError> {
        let head = self.shared.tail.head();
        let limit = limit.max(1);
        if head.position < self.next {
            return Ok(self.nothing());
        }
        let (records, through) = match self.shared.tail.take(self.next, limit) {
            Some(taken) => {
                let through = taken.last().map_or(self.next, Record::position);
                (retain(taken, &self.filter)?, through)
            }
            None => {
                let reader = Reader::at(&self.shared.sequence, head);
                page(&reader, self.next, &self.filter, limit)?
            }
        };
        self.next = through.next();
        Ok(Followed { records, through, caught_up: through >= head.position })
    }

    /// As [`Follower::poll`], waiting up to `timeout` for something to come.
    ///
    /// # Errors
    /// As [`Follower::poll`].
    pub fn wait(&mut self, limit: usize, timeout: Duration) -> Result<Followed, SequenceError> {
        self.shared.tail.wait(self.next, timeout);
        self.poll(limit)
    }

    fn nothing(&self) -> Followed {
        Followed { records: Vec::new(), through: Position(self.next.0.saturating_sub(1)), caught_up: true }
    }
}

/// Follows the log from another process, through a reader that sees what the writer wrote when it is asked to look.
pub struct RemoteFollower<'r, R: SequenceRead + ?Sized> {
    sequence: &'r R,
    next: Position,
    filter: Filter,
}

impl<'r, R: SequenceRead + ?Sized> RemoteFollower<'r, R> {
    /// Follows `sequence` from `from` on.
    #[must_use]
    pub fn new(sequence: &'r R, from: Position, filter: Filter) -> Self {
        Self { sequence, next: from.max(Position(1)), filter }
    }

    /// Looks for what is new, at most `limit` records. Does not wait: how often to look is the caller's business.
    ///
    /// # Errors
    /// When a record is missing or cannot be read. The follower stays where it was.
    pub fn poll(&mut self, limit: usize) -> Result<Followed, SequenceError> {
        let head = self.sequence.refresh()?;
        if head.position < self.next {
            let through = Position(self.next.0.saturating_sub(1));
            return Ok(Followed { records: Vec::new(), through, caught_up: true });
        }
        let reader = Reader::at(self.sequence, head);
        let (records, through) = page(&reader, self.next, &self.filter, limit.max(1))?;
        self.next = through.next();
        Ok(Followed { records, through, caught_up: through >= head.position })
    }
}

fn page<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    from: Position,
    filter: &Filter,
    limit: usize,
) -> Result<(Vec<Record>, Position), SequenceError> {
    let page = reader.all(from, Direction::Forward, filter, limit)?;
    let through = page.next.map_or(reader.head().position, |next| Position(next.0.saturating_sub(1)));
    Ok((page.records, through))
}

fn retain(records: Vec<Record>, filter: &Filter) -> Result<Vec<Record>, SequenceError> {
    if filter.is_all() {
        return Ok(records);
    }
    let mut kept = Vec::new();
    for record in records {
        if filter.matches(&peek(record.position(), record.stored())?) {
            kept.push(record);
        }
    }
    Ok(kept)
}
