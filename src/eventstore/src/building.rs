//! One page: what is shown of a stretch of the log, of a stream, or of a stream of links.
//!
//! A page ends when it holds enough, or when enough was looked at; it then says where the next one begins. Nothing above
//! the bound is shown, so the pages of one read agree with each other.

use std::ops::ControlFlow;

use prooflog_events::envelope::{Envelope, Peek};
use prooflog_events::ids::{Micros, Position, Revision};
use prooflog_events::port::{Direction, SequenceError, SequenceRead, StreamScan};

use crate::error::Refusal;
use crate::facts::TOMBSTONE;
use crate::filter::{Wanted, is_linked};
use crate::limits::{ITEM_BYTES, PAGE_BYTES, PAGE_CONSIDERED};
use crate::links::LinkIndex;
use crate::names::LinkStream;
use crate::pages::{Asked, Cursor, Item, Page, View};
use crate::show::{self, LINK, Links};

/// A page that is being read.
pub(crate) struct Building<'a> {
    asked: &'a Asked,
    records: &'a dyn SequenceRead,
    bound: Position,
    limit: usize,
    items: Vec<Item>,
    events: usize,
    bytes: usize,
    considered: usize,
    /// Where reading goes on.
    next: Cursor,
}

impl<'a> Building<'a> {
    /// A page with nothing above the bound and at most so many events.
    pub(crate) fn new(asked: &'a Asked, records: &'a dyn SequenceRead, most: (Position, usize)) -> Self {
        let (bound, limit) = most;
        Self {
            asked,
            records,
            bound,
            limit,
            items: Vec::new(),
            events: 0,
            bytes: 0,
            considered: 0,
            next: Cursor::START,
        }
    }

    /// Reads it.
    pub(crate) fn page(mut self, from: Cursor, index: &dyn LinkIndex) -> Result<Page, Refusal> {
        self.next = from;
        let more = match &self.asked.view {
            View::All(wanted) => self.all(wanted)?,
            View::Stream { name, low, since } => self.stream(name, *low, *since)?,
            View::Links(of) => self.links(of, index)?,
        };
        if !more && self.asked.direction == Direction::Forward {
            self.next.position = self.bound.next().max(self.next.position);
        }
        Ok(Page { items: self.items, bytes: self.bytes, next: self.next, more })
    }

    fn is_full(&self) -> bool {
        self.events >= self.limit || self.bytes >= PAGE_BYTES || self.considered >= PAGE_CONSIDERED
    }

    fn push(&mut self, frame: bytes::Bytes, last: bool) {
        self.events += 1;
        self.bytes = self.bytes.saturating_add(frame.len()).saturating_add(ITEM_BYTES);
        self.items.push(Item::Event { frame, last });
    }

    /// Adds an event as it stands, or what it leads to.
    fn show(&mut self, position: Position, stored: &[u8]) -> Result<(), Refusal> {
        let envelope = decode(position, stored)?;
        let frame = match self.asked.links {
            Links::Resolved if envelope.type_name == LINK => {
                show::resolved(self.records, self.bound, (stored, &envelope), self.asked.ids)?
            }
            _ => show::frame(stored, &envelope, self.asked.ids),
        };
        self.push(frame, envelope.type_name == TOMBSTONE);
        Ok(())
    }

    /// One event of the whole log.
    fn consider(&mut self, wanted: &Wanted, position: Position, stored: &[u8]) -> Result<(), Refusal> {
        self.considered += 1;
        let is_wanted = match wanted {
            Wanted::Everything => true,
            wanted => {
                let peek = Peek::decode(stored)
                    .map_err(|error| SequenceError::damaged(position, error.to_string()))?;
                wanted.matches(&peek)?
            }
        };
        if is_wanted {
            self.show(position, stored)?;
        }
        if let Some(window) = self.asked.window {
            self.next.considered += 1;
            if self.next.considered >= window {
                self.next.considered = 0;
                self.items.push(Item::Checkpoint(position));
            }
        }
        Ok(())
    }

    /// Whether there is more.
    fn all(&mut self, wanted: &Wanted) -> Result<bool, Refusal> {
        let from = self.next.position;
        let (low, high) = match self.asked.direction {
            Direction::Forward => (from.max(Position(1)), self.bound),
            Direction::Backward => (Position(1), from.min(self.bound)),
        };
        if low > high {
            return Ok(false);
        }
        let mut last = None;
        let mut failure = None;
        self.records.scan(low, high, self.asked.direction, &mut |position, stored| {
            last = Some(position);
            failure = self.consider(wanted, position, stored).err();
            if failure.is_some() || self.is_full() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        if let Some(failure) = failure {
            return Err(failure);
        }
        let Some(last) = last else { return Ok(false) };
        let (next, end) = match self.asked.direction {
            Direction::Forward => (last.next(), high),
            Direction::Backward => (Position(last.0.saturating_sub(1)), low),
        };
        self.next.position = next;
        Ok(last != end)
    }

    /// Whether there is more.
    fn stream(&mut self, name: &str, low: Revision, since: Micros) -> Result<bool, Refusal> {
        let direction = self.asked.direction;
        let from = match direction {
            Direction::Forward => self.next.revision.max(low),
            Direction::Backward => self.next.revision,
        };
        let mut more = false;
        let mut failure = None;
        let scan = StreamScan { stream: name, from, direction, bound: self.bound };
        self.records.scan_stream(scan, &mut |position, stored| {
            more = self.is_full();
            if !more {
                match self.stream_event((position, stored), low, since) {
                    Ok(true) => return ControlFlow::Continue(()),
                    Ok(false) => {}
                    Err(error) => failure = Some(error),
                }
            }
            ControlFlow::Break(())
        })?;
        failure.map_or(Ok(more), Err)
    }

    /// One event of a stream; `false` if nothing after it is shown.
    fn stream_event(&mut self, at: (Position, &[u8]), low: Revision, since: Micros) -> Result<bool, Refusal> {
        let (position, stored) = at;
        let event = decode(position, stored)?;
        let forward = self.asked.direction == Direction::Forward;
        if event.revision < low || (!forward && event.recorded_at < since) {
            return Ok(false);
        }
        self.considered += 1;
        if event.recorded_at >= since {
            self.show(position, stored)?;
        }
        let revision = event.revision.0;
        self.next.revision =
            Revision(if forward { revision.saturating_add(1) } else { revision.saturating_sub(1) });
        Ok(true)
    }

    /// Whether there is more.
    fn links(&mut self, of: &LinkStream, index: &dyn LinkIndex) -> Result<bool, Refusal> {
        let forward = self.asked.direction == Direction::Forward;
        loop {
            let wanted = self.next.revision;
            let Some(place) = index.find(of, wanted) else { return Ok(false) };
            let inside = self.positions(of, place.low, place.high.min(self.bound))?;
            let numbered = (place.revision.0..).map(Revision).zip(inside);
            let is_chosen =
                |revision: Revision| if forward { revision >= wanted } else { revision <= wanted };
            let mut chosen: Vec<_> = numbered.filter(|(revision, _)| is_chosen(*revision)).collect();
            if !forward {
                chosen.reverse();
            }
            if chosen.is_empty() {
                // What is left lies above the bound.
                return Ok(false);
            }
            for (revision, position) in chosen {
                if self.is_full() {
                    self.next.revision = revision;
                    return Ok(true);
                }
                self.link(of, revision, position)?;
                self.next.revision = match (forward, revision.0.checked_sub(1)) {
                    (true, _) => Revision(revision.0.saturating_add(1)),
                    (false, Some(before)) => Revision(before),
                    (false, None) => return Ok(false),
                };
            }
        }
    }

    /// Where the events stand that the link stream leads to, in a stretch of the log.
    fn positions(&self, of: &LinkStream, low: Position, high: Position) -> Result<Vec<Position>, Refusal> {
        let mut found = Vec::new();
        if low > high {
            return Ok(found);
        }
        let mut damage = None;
        self.records.scan(low, high, Direction::Forward, &mut |position, stored| {
            match Peek::decode(stored) {
                Ok(event) if is_linked(of, &event) => found.push(position),
                Ok(_) => {}
                Err(error) => damage = Some(SequenceError::damaged(position, error.to_string())),
            }
            if damage.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        damage.map_or(Ok(found), |damage| Err(damage.into()))
    }

    fn link(&mut self, of: &LinkStream, revision: Revision, position: Position) -> Result<(), Refusal> {
        let mut failure = None;
        self.records.scan(position, position, Direction::Forward, &mut |position, stored| {
            match decode(position, stored) {
                Ok(envelope) => {
                    let id = show::link_id(self.records.log_id(), of, revision);
                    let link = (&*of.to_string(), revision, id);
                    let frame = show::linked(stored, &envelope, link, (self.asked.ids, self.asked.links));
                    self.push(frame, false);
                }
                Err(error) => failure = Some(error),
            }
            ControlFlow::Break(())
        })?;
        failure.map_or(Ok(()), Err)
    }
}

fn decode(position: Position, stored: &[u8]) -> Result<Envelope<'_>, Refusal> {
    Envelope::decode(stored).map_err(|error| SequenceError::damaged(position, error.to_string()).into())
}
