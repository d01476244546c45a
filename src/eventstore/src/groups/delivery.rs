//! Who is given which event next, and what becomes of those that were given: without time of its own and without IO.
//!
//! Everything that was taken from the group's source is in exactly one place until it is done: with a consumer, waiting
//! to be given again, being read for that, or given up and about to be parked. So the lowest of them is where a restart goes on: an event is
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
    /// Where it stands among what is due, if it has a time.
    due: Option<(Instant, u64)>,
}

/// An event that waits to be given again.
#[derive(Debug)]
struct Waiting {
    message: Message,
    /// The consumer that it is pinned to, among those who are there now.
    pinned: Option<u64>,
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
    /// What is with somebody, by the moment when that is too long.
    due: BTreeMap<(Instant, u64), Place>,
    /// To be given before anything new.
    again: BTreeMap<Place, Waiting>,
    /// Being read to be given again.
    begun: Option<Message>,
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
            due: BTreeMap::new(),
            again: BTreeMap::new(),
            begun: None,
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
        self.pin_anew();
    }

    /// Those who are there are others.
    fn pin_anew(&mut self) {
        let consumers = &self.consumers;
        for waiting in self.again.values_mut() {
            waiting.pinned = waiting
                .message
                .origin
                .as_ref()
                .and_then(|origin| pinned_to(consumers, self.strategy, origin));
        }
    }

    /// A consumer went: what it had is somebody else's.
    pub(crate) fn leave(&mut self, id: u64) {
        let Some(consumer) = self.consumers.remove(&id) else { return };
        for place in consumer.holds.into_values().flatten() {
            if let Some(out) = self.take_out(place) {
                self.retry(out.message, &consumer.user, "its consumer went away");
            }
        }
        self.pin_anew();
    }

    fn take_out(&mut self, place: Place) -> Option<Out> {
        let out = self.out.remove(&place)?;
        if let Some(due) = &out.due {
            self.due.remove(due);
        }
        Some(out)
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
        let (place, user) = (consumer.release(id)?, consumer.user.clone());
        Some((self.take_out(place)?.message, user))
    }

    /// What nobody answered in time is given again.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some((&(due, _), &place)) = self.due.first_key_value() {
            if due > now {
                return;
            }
            let Some(Out { message, id, consumer, .. }) = self.take_out(place) else {
                self.due.pop_first();
                continue;
            };
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
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((due, _), _)| *due)
    }

    fn retry(&mut self, mut message: Message, user: &str, reason: &str) {
        if message.retries >= self.retries_max {
            return self.give_up(message, user, reason);
        }
        message.retries += 1;
        self.wait(message);
    }

    fn wait(&mut self, message: Message) {
        let origin = message.origin.as_ref();
        let pinned = origin.and_then(|origin| pinned_to(&self.consumers, self.strategy, origin));
        self.again.insert(message.place, Waiting { message, pinned });
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

    /// Parked ones are to be given again.
    pub(crate) fn replay(&mut self, parked: Range<u64>) {
        if !parked.is_empty() {
            self.parked.push_back(parked);
        }
    }

    /// What is to be read next and then [resumed](Delivery::resume), before anything new of the source. It is undone until
    /// then.
    pub(crate) fn begin_again(&mut self) -> Option<Place> {
        if self.begun.is_some() || !self.somebody_has_room() {
            return None;
        }
        let is_able = |waiting: &Waiting| match waiting.pinned {
            Some(pinned) => self.consumers.get(&pinned).is_some_and(Consumer::has_room),
            None => true,
        };
        let able = self.again.iter().find(|(_, waiting)| is_able(waiting)).map(|(place, _)| *place);
        let begun = match able.and_then(|place| self.again.remove(&place)) {
            Some(waiting) => waiting.message,
            None => Message { place: self.next_parked()?, retries: 0, origin: None },
        };
        Some(self.begun.insert(begun).place)
    }

    fn next_parked(&mut self) -> Option<Place> {
        if self.waits() >= self.waiting_max {
            return None;
        }
        let range = self.parked.front_mut()?;
        let place = Place::Parked(range.start);
        range.start += 1;
        if range.is_empty() {
            self.parked.pop_front();
        }
        Some(place)
    }

    /// What was begun again is read: it is given to somebody. Told is to whom, and how often it was given in vain.
    pub(crate) fn resume(&mut self, id: EventId, origin: Origin, now: Instant) -> Option<(u64, u32)> {
        let message = self.begun.take()?;
        self.offer(Message { origin: Some(origin), ..message }, id, now)
    }

    /// What was begun again is not there any more.
    pub(crate) fn vanished(&mut self) {
        self.done += u64::from(self.begun.take().is_some());
    }

    /// What was begun again could not be read: it is tried again.
    pub(crate) fn put_back(&mut self) {
        if let Some(begun) = self.begun.take() {
            self.wait(begun);
        }
    }

    /// Whether the next event of the source can be given to somebody.
    pub(crate) fn wants_new(&self) -> bool {
        let is_first = self.begun.is_none() && self.parked.is_empty();
        is_first && self.waits() < self.waiting_max && self.somebody_has_room()
    }

    /// Events that are with nobody.
    fn waits(&self) -> usize {
        self.again.len().saturating_add(self.given_up.len())
    }

    fn somebody_has_room(&self) -> bool {
        self.consumers.values().any(Consumer::has_room)
    }

    /// Everything of the source below `next` was taken.
    pub(crate) fn passed(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// An event of the source leads nowhere: nobody is told of it.
    pub(crate) const fn skipped(&mut self) {
        self.done += 1;
    }

    /// Gives an event to somebody, and says to whom, and how often it was given in vain; if nobody can take it now, it
    /// waits.
    pub(crate) fn offer(&mut self, message: Message, id: EventId, now: Instant) -> Option<(u64, u32)> {
        if let Place::Source(at) = message.place {
            self.passed(at.saturating_add(1));
        }
        let chosen = message.origin.as_ref().and_then(|origin| self.choose(origin));
        let Some((number, consumer)) =
            chosen.and_then(|number| Some((number, self.consumers.get_mut(&number)?)))
        else {
            self.wait(message);
            return None;
        };
        consumer.give(id, message.place);
        self.last = number;
        self.givings += 1;
        let due = self.timeout.and_then(|timeout| now.checked_add(timeout)).map(|due| (due, self.givings));
        if let Some(due) = due {
            self.due.insert(due, message.place);
        }
        let retries = message.retries;
        self.out.insert(message.place, Out { id, consumer: number, due, message });
        Some((number, retries))
    }

    /// Who should have it, if they have room.
    fn choose(&self, origin: &Origin) -> Option<u64> {
        let with_room = |(number, consumer): (&u64, &Consumer)| consumer.has_room().then_some(*number);
        match self.strategy {
            ConsumerStrategy::DispatchToSingle => self.consumers.iter().find_map(with_room),
            ConsumerStrategy::RoundRobin => {
                let after = self.consumers.range(self.last.saturating_add(1)..);
                after.chain(self.consumers.range(..=self.last)).find_map(with_room)
            }
            ConsumerStrategy::Pinned | ConsumerStrategy::PinnedByCorrelation => {
                let pinned = pinned_to(&self.consumers, self.strategy, origin)?;
                self.consumers.get(&pinned).is_some_and(Consumer::has_room).then_some(pinned)
            }
        }
    }

    /// Where a restart goes on: the first parked one and the first of the source that are not done.
    pub(crate) fn low_water(&self) -> (Option<u64>, u64) {
        let begun = self.begun.iter().map(|message| message.place);
        let apart = begun.chain(self.given_up.iter().map(|given| given.message.place));
        let first_source = Place::Source(0)..;
        let sorted = [
            self.out.keys().next(),
            self.again.keys().next(),
            self.out.range(first_source.clone()).next().map(|(place, _)| place),
            self.again.range(first_source).next().map(|(place, _)| place),
        ];
        let (mut parked, mut source) = (self.parked.front().map(|range| range.start), self.next);
        for place in apart.chain(sorted.into_iter().flatten().copied()) {
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

/// Who an event is pinned to: for each text the one with the highest weight, so that one who comes or goes moves as little
/// as can be.
fn pinned_to(
    consumers: &BTreeMap<u64, Consumer>,
    strategy: ConsumerStrategy,
    origin: &Origin,
) -> Option<u64> {
    let text = match strategy {
        ConsumerStrategy::DispatchToSingle | ConsumerStrategy::RoundRobin => return None,
        ConsumerStrategy::PinnedByCorrelation if !origin.correlation.is_empty() => &origin.correlation,
        ConsumerStrategy::Pinned | ConsumerStrategy::PinnedByCorrelation => &origin.stream,
    };
    let weight = |consumer: &u64| {
        let mut hasher = DefaultHasher::new();
        (consumer, text).hash(&mut hasher);
        hasher.finish()
    };
    consumers.keys().max_by_key(|consumer| weight(consumer)).copied()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests;
