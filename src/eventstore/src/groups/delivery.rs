//! Who is given which event next, and what becomes of those that were given: without time of its own and without IO.
//!
//! Everything that was taken from the group's source is in exactly one place until it is done: with a consumer, waiting
//! to be given again, or given up and about to be parked. So the lowest of them is where a restart goes on: an event is
//! delivered at least once, whatever happens. Only places are held, no events: what is given again is read again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;
use std::time::{Duration, Instant};

use prooflog_events::ids::EventId;

use super::definition::{ConsumerStrategy, Settings};

/// Where an event of a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Place {
    /// At this revision of the stream of parked ones.
    Parked(u64),
    /// At this position of the log, or at this revision of the stream, that the group reads.
    Source(u64),
}

/// What an event is by itself, known once it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) stream: String,
    pub(crate) revision: u64,
    /// What it belongs to; may be empty.
    pub(crate) correlation: String,
}

/// An event on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) place: Place,
    /// How often it was given in vain.
    pub(crate) retries: u32,
    /// What it is; none for a parked one that was not read yet.
    pub(crate) origin: Option<Origin>,
}

/// What a consumer says of an event that it did not handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Keep it for people to look at.
    Park,
    /// Give it to somebody again.
    Retry,
    /// It does not matter.
    Skip,
}

/// An event that is given up, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GivenUp {
    pub(crate) message: Message,
    pub(crate) reason: String,
    /// Whose it was last.
    pub(crate) user: String,
}

/// What is known of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Consumer {
    pub(crate) user: String,
    /// Events that it takes at once.
    pub(crate) slots: usize,
    /// Its connection holds enough for now.
    pub(crate) paused: bool,
    /// Events that it was given.
    pub(crate) given: u64,
    holds: HashMap<EventId, VecDeque<Place>>,
    held: usize,
}

impl Consumer {
    pub(crate) fn new(user: String, slots: usize) -> Self {
        Self { user, slots, paused: false, given: 0, holds: HashMap::new(), held: 0 }
    }

    /// Events that it was given and has not answered.
    pub(crate) const fn held(&self) -> usize {
        self.held
    }

    const fn has_room(&self) -> bool {
        !self.paused && self.held < self.slots
    }

    fn give(&mut self, id: EventId, place: Place) {
        self.holds.entry(id).or_default().push_back(place);
        self.held += 1;
        self.given += 1;
    }

    /// The oldest that it has with this id.
    fn release(&mut self, id: EventId) -> Option<Place> {
        let places = self.holds.get_mut(&id)?;
        let place = places.pop_front();
        if places.is_empty() {
            self.holds.remove(&id);
        }
        self.held -= usize::from(place.is_some());
        place
    }
}

/// An event that somebody has.
#[derive(Debug)]
struct Out {
    message: Message,
    id: EventId,
    consumer: u64,
    /// Which giving this was: an older moment in `due` means an older one.
    giving: u64,
}

/// A group at work.
#[derive(Debug)]
pub(crate) struct Delivery {
    strategy: ConsumerStrategy,
    timeout: Option<Duration>,
    retries_max: u32,
    waiting_max: usize,
    consumers: BTreeMap<u64, Consumer>,
    out: BTreeMap<Place, Out>,
    /// When each giving is too old, in order.
    due: VecDeque<(Instant, Place, u64)>,
    /// To be given before anything new.
    again: BTreeMap<Place, Message>,
    given_up: Vec<GivenUp>,
    /// Parked ones that are to be given again and were not begun.
    parked: VecDeque<Range<u64>>,
    /// Everything of the source below was taken.
    next: u64,
    done: u64,
    givings: u64,
    /// Who was given something last.
    last: u64,
}

impl Delivery {
    /// A group that goes on at `next` of its source, after these parked ones.
    pub(crate) fn new(settings: &Settings, next: u64, parked: Vec<Range<u64>>) -> Self {
        Self {
            strategy: settings.strategy,
            timeout: settings.message_timeout(),
            retries_max: settings.max_retry_count,
            waiting_max: settings.waiting_max(),
            consumers: BTreeMap::new(),
            out: BTreeMap::new(),
            due: VecDeque::new(),
            again: BTreeMap::new(),
            given_up: Vec::new(),
            parked: parked.into_iter().filter(|range| !range.is_empty()).collect(),
            next,
            done: 0,
            givings: 0,
            last: 0,
        }
    }

    pub(crate) const fn consumers(&self) -> &BTreeMap<u64, Consumer> {
        &self.consumers
    }

    pub(crate) fn join(&mut self, id: u64, consumer: Consumer) {
        self.consumers.insert(id, consumer);
    }

    /// A consumer went: what it had is somebody else's.
    pub(crate) fn leave(&mut self, id: u64) {
        let Some(consumer) = self.consumers.remove(&id) else { return };
        for place in consumer.holds.into_values().flatten() {
            if let Some(out) = self.out.remove(&place) {
                self.retry(out.message, &consumer.user, "its consumer went away");
            }
        }
    }

    /// Whether a consumer's connection takes more.
    pub(crate) fn pause(&mut self, id: u64, paused: bool) {
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.paused = paused;
        }
    }

    /// These were handled.
    pub(crate) fn ack(&mut self, consumer: u64, ids: &[EventId]) {
        for id in ids {
            self.done += u64::from(self.take_back(consumer, *id).is_some());
        }
    }

    /// These were not.
    pub(crate) fn refuse(&mut self, consumer: u64, ids: &[EventId], how: Refused, reason: &str) {
        for id in ids {
            let Some((message, user)) = self.take_back(consumer, *id) else { continue };
            match how {
                Refused::Skip => self.done += 1,
                Refused::Retry => self.retry(message, &user, reason),
                Refused::Park => self.give_up(message, &user, reason),
            }
        }
    }

    /// What a consumer has, as the one that it answered.
    fn take_back(&mut self, consumer: u64, id: EventId) -> Option<(Message, String)> {
        let consumer = self.consumers.get_mut(&consumer)?;
        let place = consumer.release(id)?;
        Some((self.out.remove(&place)?.message, consumer.user.clone()))
    }

    /// What nobody answered in time is given again.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some((due, place, giving)) = self.due.front().copied() {
            let current = self.out.get(&place).is_some_and(|out| out.giving == giving);
            if current && due > now {
                return;
            }
            self.due.pop_front();
            if !current {
                continue;
            }
            let Some(Out { message, id, consumer, .. }) = self.out.remove(&place) else { continue };
            let user = match self.consumers.get_mut(&consumer) {
                Some(consumer) => {
                    consumer.forget(id, place);
                    consumer.user.clone()
                }
                None => String::new(),
            };
            self.retry(message, &user, "nobody answered in time");
        }
    }

    /// When [`Delivery::expire`] has something to do next.
    pub(crate) fn next_due(&mut self) -> Option<Instant> {
        while let Some((due, place, giving)) = self.due.front() {
            if self.out.get(place).is_some_and(|out| out.giving == *giving) {
                return Some(*due);
            }
            self.due.pop_front();
        }
        None
    }

    fn retry(&mut self, mut message: Message, user: &str, reason: &str) {
        if message.retries >= self.retries_max {
            return self.give_up(message, user, reason);
        }
        message.retries += 1;
        self.again.insert(message.place, message);
    }

    fn give_up(&mut self, message: Message, user: &str, reason: &str) {
        self.given_up.push(GivenUp { message, reason: reason.to_owned(), user: user.to_owned() });
    }

    /// What was given up since the last time. It stays undone until [`Delivery::kept`].
    pub(crate) fn given_up(&self) -> &[GivenUp] {
        &self.given_up
    }

    /// The first of those that were given up are kept elsewhere.
    pub(crate) fn kept(&mut self, first: usize) {
        self.done += self.given_up.drain(..first.min(self.given_up.len())).count() as u64;
    }

    /// What was begun again could not be read: it is tried again.
    pub(crate) fn put_back(&mut self, message: Message) {
        self.again.insert(message.place, message);
    }

    /// What was begun again is not there any more.
    pub(crate) const fn vanished(&mut self) {
        self.done += 1;
    }

    /// Parked ones are to be given again.
    pub(crate) fn replay(&mut self, parked: Range<u64>) {
        if !parked.is_empty() {
            self.parked.push_back(parked);
        }
    }

    /// What is to be read and offered next, before anything new of the source.
    pub(crate) fn begin_again(&mut self) -> Option<Message> {
        if !self.somebody_has_room() {
            return None;
        }
        let able = |message: &Message| match &message.origin {
            Some(origin) => self.choose(origin).is_some(),
            None => self.somebody_has_room(),
        };
        if let Some(place) = self.again.values().find(|message| able(message)).map(|message| message.place) {
            return self.again.remove(&place);
        }
        if self.again.len() >= self.waiting_max {
            return None;
        }
        let range = self.parked.front_mut()?;
        let place = Place::Parked(range.start);
        range.start += 1;
        if range.is_empty() {
            self.parked.pop_front();
        }
        Some(Message { place, retries: 0, origin: None })
    }

    /// Whether the next event of the source can be given to somebody.
    pub(crate) fn wants_new(&self) -> bool {
        self.parked.is_empty() && self.again.len() < self.waiting_max && self.somebody_has_room()
    }

    fn somebody_has_room(&self) -> bool {
        self.consumers.values().any(Consumer::has_room)
    }

    /// Everything of the source below `next` was taken.
    pub(crate) fn passed(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// Gives an event to somebody, and says to whom; if nobody can take it now, it waits.
    pub(crate) fn offer(&mut self, message: Message, id: EventId, now: Instant) -> Option<u64> {
        if let Place::Source(at) = message.place {
            self.passed(at.saturating_add(1));
        }
        let chosen = message.origin.as_ref().and_then(|origin| self.choose(origin));
        let Some((number, consumer)) =
            chosen.and_then(|number| Some((number, self.consumers.get_mut(&number)?)))
        else {
            self.again.insert(message.place, message);
            return None;
        };
        consumer.give(id, message.place);
        self.last = number;
        self.givings += 1;
        if let Some(due) = self.timeout.and_then(|timeout| now.checked_add(timeout)) {
            self.due.push_back((due, message.place, self.givings));
        }
        let out = Out { id, consumer: number, giving: self.givings, message };
        self.out.insert(out.message.place, out);
        Some(number)
    }

    /// Who should have it, if they have room.
    fn choose(&self, origin: &Origin) -> Option<u64> {
        let with_room = |(number, consumer): (&u64, &Consumer)| consumer.has_room().then_some(*number);
        let pinned_to = |text: &str| {
            let (number, consumer) =
                self.consumers.iter().max_by_key(|(number, _)| weight(text, **number))?;
            consumer.has_room().then_some(*number)
        };
        match self.strategy {
            ConsumerStrategy::DispatchToSingle => self.consumers.iter().find_map(with_room),
            ConsumerStrategy::RoundRobin => {
                let after = self.consumers.range(self.last.saturating_add(1)..);
                after.chain(self.consumers.range(..=self.last)).find_map(with_room)
            }
            ConsumerStrategy::Pinned => pinned_to(&origin.stream),
            ConsumerStrategy::PinnedByCorrelation if origin.correlation.is_empty() => {
                pinned_to(&origin.stream)
            }
            ConsumerStrategy::PinnedByCorrelation => pinned_to(&origin.correlation),
        }
    }

    /// Where a restart goes on: the first parked one and the first of the source that are not done.
    pub(crate) fn low_water(&self) -> (Option<u64>, u64) {
        let undone = self.out.keys().chain(self.again.keys());
        let undone = undone.copied().chain(self.given_up.iter().map(|given| given.message.place));
        let (mut parked, mut source) = (self.parked.front().map(|range| range.start), self.next);
        for place in undone {
            match place {
                Place::Parked(at) => parked = Some(parked.map_or(at, |parked| parked.min(at))),
                Place::Source(at) => source = source.min(at),
            }
        }
        (parked, source)
    }

    /// Where the source goes on.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Events that are handled, passed over, parked or gone.
    pub(crate) const fn done(&self) -> u64 {
        self.done
    }

    /// How often an event was given to somebody.
    pub(crate) const fn given(&self) -> u64 {
        self.givings
    }

    /// Events that consumers have, and events that wait to be given again.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.out.len(), self.again.len())
    }

    /// Whether parked ones are being given again.
    pub(crate) fn is_replaying(&self) -> bool {
        matches!(self.low_water(), (Some(_), _))
    }
}

impl Consumer {
    /// What it holds under `id` at `place` is somebody else's now.
    fn forget(&mut self, id: EventId, place: Place) {
        let Some(places) = self.holds.get_mut(&id) else { return };
        let before = places.len();
        places.retain(|held| *held != place);
        self.held -= before - places.len();
        if places.is_empty() {
            self.holds.remove(&id);
        }
    }
}

/// How much `text` belongs to a consumer: with highest random weight, one who comes or goes moves as little as can be.
fn weight(text: &str, consumer: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (consumer, text).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests;
