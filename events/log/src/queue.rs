//! What waits to be sequenced: the engine's appends, and those from outside, each in the order of their arrival.
//!
//! The engine's are always taken first. What is taken from outside for one commit has a limit in bytes, so that what
//! an append of the engine waits for at most is bounded: the commit under way and its own, each with so much of theirs.
//! A lane that is full refuses for itself alone. What a crash in here means: nothing was promised yet.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use prooflog_events::limits::{QUEUE_APPENDS_MAX, QUEUE_BYTES_MAX};

use crate::append::{Append, AppendError, By};
use crate::group::Reply;

/// Whose append it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The engine's, an operator's, the process's own.
    Engine,
    /// Of a client from outside.
    Outside,
}

impl Lane {
    pub(crate) fn of(append: &Append) -> Self {
        match append.by {
            By::Scheduler | By::Operator(_) | By::Import | By::System => Self::Engine,
            By::Client(_) => Self::Outside,
        }
    }
}

/// Appends that wait, and what is known about those who take them.
#[derive(Default)]
pub(crate) struct Queue {
    engine: Waiting,
    outside: Waiting,
    /// How many must be on their way for the next write; 0 while one is under way.
    pub(crate) wanted: usize,
    /// Until when they are waited for, where that has an end.
    pub(crate) until: Option<Instant>,
    /// When the second stage wakes up by itself, where it sleeps until then.
    pub(crate) watched: Option<Instant>,
    /// How long the second stage may sleep where it finds nothing to do, having been waited for: callers who write for
    /// each other would otherwise wake it for every wait that they begin.
    pub(crate) rest: Option<Duration>,
    /// Some of those that were written last, and may come back, are from outside.
    pub(crate) outsiders: bool,
    /// What is sequenced ahead is as much as one commit takes, or as much as it takes from outside.
    pub(crate) full: bool,
    pub(crate) closing: bool,
}

/// One lane.
#[derive(Default)]
struct Waiting {
    /// With the size that each counts for.
    appends: VecDeque<(Append, Reply, usize)>,
    bytes: usize,
}

impl Queue {
    /// The size that an append counts for, if there is room for it in its lane.
    ///
    /// # Errors
    /// When its lane is full or the log is being closed.
    pub(crate) fn admit(&self, append: &Append) -> Result<usize, AppendError> {
        if self.closing {
            return Err(AppendError::Closed);
        }
        let lane = match Lane::of(append) {
            Lane::Engine => &self.engine,
            Lane::Outside => &self.outside,
        };
        let size = append.size();
        if lane.appends.len() >= QUEUE_APPENDS_MAX || lane.bytes.saturating_add(size) > QUEUE_BYTES_MAX {
            return Err(AppendError::Busy);
        }
        Ok(size)
    }

    /// Takes in an append that was admitted with this size.
    pub(crate) fn push(&mut self, append: Append, reply: Reply, size: usize) {
        let lane = match Lane::of(&append) {
            Lane::Engine => &mut self.engine,
            Lane::Outside => &mut self.outside,
        };
        lane.bytes = lane.bytes.saturating_add(size);
        lane.appends.push_back((append, reply, size));
    }

    /// At most `count` appends, the engine's first; from outside until `room` bytes are used up. With the bytes that
    /// those from outside count for.
    pub(crate) fn drain(&mut self, count: usize, room: usize) -> (Vec<(Append, Reply)>, usize) {
        let mut drained = Vec::with_capacity(count.min(self.len()));
        self.engine.take(count, usize::MAX, &mut drained);
        let used = self.outside.take(count.saturating_sub(drained.len()), room, &mut drained);
        (drained, used)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.engine.appends.len().saturating_add(self.outside.appends.len())
    }

    /// The sizes of all that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.engine.bytes.saturating_add(self.outside.bytes)
    }

    /// Whether the second stage sleeps until something like this append has come, so many being on their way.
    pub(crate) fn wants(&self, lane: Lane, on_their_way: usize) -> bool {
        (1..=on_their_way).contains(&self.wanted)
            || (self.wanted > 0 && self.outsiders && lane == Lane::Engine)
    }

    /// Whether those who are waited for are here, or somebody is who does not wait for them.
    pub(crate) fn came(&self, on_their_way: usize) -> bool {
        on_their_way >= self.wanted || self.hurries()
    }

    /// Whether nobody is waited for any longer, where somebody was.
    pub(crate) fn is_over(&self, on_their_way: usize, now: Instant) -> bool {
        self.came(on_their_way) || self.closing || self.until.is_none_or(|until| until <= now)
    }

    /// Whether the second stage wakes up in time by itself: it sleeps without an end only while nobody is waited for.
    pub(crate) fn is_watched(&self, on_their_way: usize, now: Instant) -> bool {
        match (self.until, self.watched) {
            (None, None) => true,
            (Some(until), Some(watched)) => watched <= until && !self.is_over(on_their_way, now),
            _ => false,
        }
    }

    /// Whether something of the engine waits that must not be held up until outsiders have come back.
    pub(crate) fn hurries(&self) -> bool {
        self.outsiders && !self.engine.appends.is_empty()
    }

    /// Lets go of all that waits.
    pub(crate) fn clear(&mut self) {
        self.engine.appends.clear();
        self.outside.appends.clear();
    }
}

impl Waiting {
    /// Moves at most `count` appends into `out`, until `room` bytes are used up; the bytes that were used.
    fn take(&mut self, count: usize, room: usize, out: &mut Vec<(Append, Reply)>) -> usize {
        let mut used = 0_usize;
        for _ in 0..count {
            if used >= room {
                break;
            }
            let Some((append, reply, size)) = self.appends.pop_front() else { break };
            used = used.saturating_add(size.max(1));
            self.bytes = self.bytes.saturating_sub(size);
            out.push((append, reply));
        }
        used
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use prooflog_events::ids::Micros;

    use super::*;
    use crate::append::NewRecord;

    fn submit(queue: &mut Queue, by: By, bytes: usize) {
        let record = NewRecord::native("s", "T", 1, vec![0; bytes]);
        let append = Append::new(by, Micros(1), vec![record]);
        let size = queue.admit(&append).unwrap();
        queue.push(append, Reply::ticket().0, size);
    }

    #[test]
    fn the_engine_is_taken_first_and_outsiders_up_to_their_room() {
        let mut queue = Queue::default();
        for bytes in [10, 20, 30] {
            submit(&mut queue, By::Client("ann".to_owned()), bytes);
            submit(&mut queue, By::Scheduler, bytes);
        }
        let mut taken = |count, room| {
            let (drained, used) = queue.drain(count, room);
            (drained.iter().map(|(append, _)| append.size() - 2).collect::<Vec<_>>(), used)
        };
        assert_eq!(taken(2, 0), (vec![10, 20], 0));
        assert_eq!(taken(9, 13), (vec![30, 10, 20], 34));
        assert_eq!(taken(9, 0), (vec![], 0));
        assert_eq!(taken(9, 1), (vec![30], 32));
        assert_eq!((queue.len(), queue.engine.bytes, queue.outside.bytes), (0, 0, 0));
    }

    #[test]
    fn only_the_engine_cuts_short_the_wait_for_outsiders() {
        let mut queue = Queue { wanted: 3, outsiders: true, ..Queue::default() };
        submit(&mut queue, By::Client("ann".to_owned()), 1);
        assert!(!queue.wants(Lane::Outside, 1) && !queue.hurries());
        submit(&mut queue, By::Scheduler, 1);
        assert!(queue.wants(Lane::Engine, 2) && queue.hurries());
        // Where all are the engine's, they wait for each other.
        queue.outsiders = false;
        assert!(!queue.wants(Lane::Engine, 2) && !queue.hurries() && queue.wants(Lane::Engine, 3));
    }

    #[test]
    fn a_wait_is_over_when_all_came_or_time_is_up_and_whoever_sleeps_longer_is_woken() {
        let now = Instant::now();
        let later = |ms| now.checked_add(Duration::from_millis(ms));
        let mut queue = Queue { wanted: 3, until: later(2), ..Queue::default() };
        assert!(!queue.is_over(2, now) && queue.is_over(3, now));
        assert!(queue.is_over(2, later(2).unwrap()) && !queue.came(2));
        // The one who came last has taken the wait upon itself.
        queue.wanted = 0;
        assert!(queue.is_over(0, now));
        queue.wanted = 3;
        assert!(!queue.is_watched(2, now), "whoever sleeps without an end does not see this one's");
        for (ms, watched) in [(1, true), (2, true), (3, false)] {
            queue.watched = later(ms);
            assert_eq!(queue.is_watched(2, now), watched, "awake after {ms} ms");
        }
        queue.watched = later(1);
        assert!(!queue.is_watched(3, now), "all came meanwhile");
        queue.outsiders = true;
        submit(&mut queue, By::Scheduler, 1);
        assert!(queue.is_over(2, now) && !queue.is_watched(2, now), "the engine waits for no outsider");
        (queue.until, queue.outsiders) = (None, false);
        assert!(!queue.is_watched(2, now), "nobody is waited for any more");
        queue.watched = None;
        assert!(queue.is_watched(2, now));
    }
}
