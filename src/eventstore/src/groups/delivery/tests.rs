//! Every event is in one place until it is done, whoever comes, goes, answers or does not.

use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;

use super::*;

fn settings(strategy: ConsumerStrategy, max_retry_count: u32, live_buffer_size: u32) -> Settings {
    Settings {
        resolve_links: false,
        extra_statistics: false,
        message_timeout_ms: 1_000,
        max_retry_count,
        checkpoint_after_ms: 0,
        min_checkpoint_count: 1,
        max_checkpoint_count: 1,
        max_subscriber_count: 0,
        live_buffer_size,
        read_batch_size: 1,
        history_buffer_size: 2,
        strategy,
    }
}

fn id(place: Place) -> EventId {
    let (kind, at) = match place {
        Place::Parked(at) => (1_u128, at),
        Place::Source(at) => (2, at),
    };
    EventId((kind << 64 | u128::from(at)).to_be_bytes())
}

/// Events of four streams, one after the other, and of two correlation ids.
fn origin(place: Place) -> Origin {
    let (Place::Parked(at) | Place::Source(at)) = place;
    Origin { stream: format!("s-{}", at % 4), revision: at / 4, correlation: format!("c-{}", at % 2) }
}

/// A group of which everything is seen from outside.
struct Model {
    delivery: Delivery,
    now: Instant,
    next: u64,
    /// What was taken and is not done.
    undone: BTreeSet<Place>,
    /// What each consumer holds.
    holds: BTreeMap<u64, Vec<Place>>,
    parked: Vec<Place>,
    joined: u64,
}

impl Model {
    fn new(settings: &Settings, parked: u64) -> Self {
        let delivery = Delivery::new(settings, 1, std::iter::once(0..parked).collect());
        let (undone, holds) = ((0..parked).map(Place::Parked).collect(), BTreeMap::new());
        let (now, parked) = (Instant::now(), Vec::new());
        Self { delivery, now, next: 1, undone, holds, parked, joined: 0 }
    }

    fn join(&mut self, slots: usize) -> u64 {
        self.joined += 1;
        self.delivery.join(self.joined, Consumer::new("ann".to_owned(), slots));
        self.holds.insert(self.joined, Vec::new());
        self.joined
    }

    fn give(&mut self, mut message: Message) -> Option<u64> {
        let place = message.place;
        message.origin = Some(origin(place));
        let given = self.delivery.offer(message, id(place), self.now);
        self.hold(given, place)
    }

    fn hold(&mut self, given: Option<(u64, u32)>, place: Place) -> Option<u64> {
        let (consumer, _) = given?;
        self.holds.get_mut(&consumer).unwrap().push(place);
        Some(consumer)
    }

    /// Everything that can be given is, at most so much that is new.
    fn give_all(&mut self, new: u64) {
        let mut left = new;
        loop {
            if let Some(place) = self.delivery.begin_again() {
                // While it is read, it is nobody's and not done.
                self.check();
                let given = self.delivery.resume(id(place), origin(place), self.now);
                self.hold(given, place);
            } else if left > 0 && self.delivery.wants_new() {
                left -= 1;
                let place = Place::Source(self.next);
                self.next += 1;
                self.undone.insert(place);
                self.give(Message { place, retries: 0, origin: None });
            } else {
                return;
            }
        }
    }

    /// What was parked is done.
    fn park(&mut self) {
        let given_up = self.delivery.given_up().to_vec();
        for GivenUp { message, .. } in &given_up {
            assert!(self.undone.remove(&message.place), "{:?} is given up twice", message.place);
            self.parked.push(message.place);
        }
        self.delivery.kept(given_up.len());
    }

    fn check(&self) {
        let (parked, source) = self.delivery.low_water();
        let first = |wanted: fn(&Place) -> bool| self.undone.iter().find(|place| wanted(place)).copied();
        let first_source = first(|place| matches!(place, Place::Source(_)));
        assert_eq!(Place::Source(source), first_source.unwrap_or(Place::Source(self.next)));
        let first_parked = first(|place| matches!(place, Place::Parked(_)));
        assert_eq!(parked.map(Place::Parked), first_parked);
        let mut held = HashSet::new();
        for (consumer, holds) in &self.holds {
            let known = &self.delivery.consumers()[consumer];
            assert!(known.held() <= known.slots);
            assert_eq!(known.held(), holds.len());
            assert!(holds.iter().all(|place| held.insert(*place)), "one event is with two");
        }
        assert!(held.iter().all(|place| self.undone.contains(place)));
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Join(usize),
    Leave(usize),
    Ack(usize, usize),
    Refuse(usize, usize, Refused),
    Wait(u64),
    Pause(usize, bool),
    Give(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let refused = prop_oneof![Just(Refused::Park), Just(Refused::Retry), Just(Refused::Skip)];
    prop_oneof![
        1 => (1_usize..5).prop_map(Step::Join),
        1 => (0_usize..4).prop_map(Step::Leave),
        6 => (0_usize..4, 0_usize..5).prop_map(|(who, which)| Step::Ack(who, which)),
        3 => (0_usize..4, 0_usize..5, refused).prop_map(|(who, which, how)| Step::Refuse(who, which, how)),
        2 => (0_u64..1_500).prop_map(Step::Wait),
        1 => (0_usize..4, any::<bool>()).prop_map(|(who, paused)| Step::Pause(who, paused)),
        6 => (0_u64..6).prop_map(Step::Give),
    ]
}

impl Model {
    fn consumer(&self, nth: usize) -> Option<u64> {
        self.holds.keys().nth(nth).copied()
    }

    fn take(&mut self, who: usize, which: usize) -> Option<(u64, Place)> {
        let consumer = self.consumer(who)?;
        let holds = self.holds.get_mut(&consumer)?;
        (which < holds.len()).then(|| (consumer, holds.remove(which)))
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Join(slots) => {
                self.join(slots);
            }
            Step::Leave(who) => {
                if let Some(consumer) = self.consumer(who) {
                    self.holds.remove(&consumer);
                    self.delivery.leave(consumer);
                }
            }
            Step::Ack(who, which) => {
                if let Some((consumer, place)) = self.take(who, which) {
                    self.delivery.ack(consumer, &[id(place)]);
                    self.undone.remove(&place);
                }
            }
            Step::Refuse(who, which, how) => {
                if let Some((consumer, place)) = self.take(who, which) {
                    self.delivery.refuse(consumer, &[id(place)], how, "because");
                    if how == Refused::Skip {
                        self.undone.remove(&place);
                    }
                }
            }
            Step::Wait(millis) => {
                self.now += Duration::from_millis(millis);
                self.delivery.expire(self.now);
                let out: HashSet<Place> = self.delivery.out.keys().copied().collect();
                self.holds.values_mut().for_each(|holds| holds.retain(|place| out.contains(place)));
            }
            Step::Pause(who, paused) => {
                if let Some(consumer) = self.consumer(who) {
                    self.delivery.pause(consumer, paused);
                }
            }
            Step::Give(new) => self.give_all(new),
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_or_with_two_and_a_restart_goes_on_with_the_first_that_is_not_done(
        which in 0_usize..4,
        retries in 0_u32..3,
        buffer in 1_u32..4,
        parked in 0_u64..4,
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut model = Model::new(&settings(ConsumerStrategy::ALL[which].1, retries, buffer), parked);
        for step in steps {
            model.step(step);
            model.check();
            model.park();
            model.check();
        }
        // A consumer who handles everything leaves nothing.
        for consumer in model.holds.keys().copied().collect::<Vec<_>>() {
            model.holds.remove(&consumer);
            model.delivery.leave(consumer);
        }
        model.park();
        let last = model.join(3);
        loop {
            model.give_all(0);
            let holds = std::mem::take(model.holds.get_mut(&last).unwrap());
            if holds.is_empty() {
                break;
            }
            for place in holds {
                model.delivery.ack(last, &[id(place)]);
                model.undone.remove(&place);
            }
            model.check();
        }
        prop_assert!(model.undone.is_empty(), "left: {:?}", model.undone);
        prop_assert_eq!(model.delivery.low_water(), (None, model.next));
    }
}

fn given(strategy: ConsumerStrategy, slots: &[usize], events: u64) -> Vec<Option<u64>> {
    let mut model = Model::new(&settings(strategy, 3, 100), 0);
    for slots in slots {
        model.join(*slots);
    }
    (1..=events)
        .map(|at| model.give(Message { place: Place::Source(at), retries: 0, origin: None }))
        .collect()
}

#[test]
fn a_single_consumer_gets_all_until_it_has_no_room_and_a_round_goes_on_with_the_next() {
    let single = given(ConsumerStrategy::DispatchToSingle, &[2, 2], 5);
    assert_eq!(single, [Some(1), Some(1), Some(2), Some(2), None]);
    let round = given(ConsumerStrategy::RoundRobin, &[1, 3, 3], 6);
    assert_eq!(round, [Some(1), Some(2), Some(3), Some(2), Some(3), Some(2)]);
}

#[test]
fn pinned_events_of_a_stream_or_of_a_correlation_stay_with_one_consumer() {
    for (strategy, kinds) in [(ConsumerStrategy::Pinned, 4), (ConsumerStrategy::PinnedByCorrelation, 2)] {
        let given = given(strategy, &[100, 100, 100], 60);
        for kind in 0..kinds {
            let of_kind: HashSet<_> = given.iter().skip(kind).step_by(kinds).collect();
            assert_eq!(of_kind.len(), 1, "{strategy:?}");
        }
    }
}

#[test]
fn what_nobody_answers_is_given_again_and_parked_in_the_end_with_its_reason() {
    let mut model = Model::new(&settings(ConsumerStrategy::RoundRobin, 1, 100), 0);
    let slow = model.join(1);
    model.give_all(1);
    assert_eq!(model.delivery.next_due(), Some(model.now + Duration::from_secs(1)));
    model.step(Step::Wait(999));
    assert_eq!(model.delivery.counts(), (1, 0));
    model.step(Step::Wait(1));
    assert_eq!(model.delivery.counts(), (0, 1));
    model.give_all(0);
    // An answer to the first giving counts for the second.
    model.step(Step::Wait(1_000));
    let [given_up] = model.delivery.given_up() else { panic!("one is given up") };
    assert_eq!((given_up.message.retries, given_up.reason.as_str()), (1, "nobody answered in time"));
    assert_eq!(given_up.user, "ann");
    model.delivery.ack(slow, &[id(Place::Source(1))]);
    assert_eq!(model.delivery.low_water(), (None, 1), "not done before it is kept");
    model.delivery.kept(1);
    assert_eq!(model.delivery.low_water(), (None, 2));
}

/// A group that never had anything parked once waited for an empty range of it, for ever.
#[test]
fn without_anything_parked_the_source_comes_first() {
    let mut delivery =
        Delivery::new(&settings(ConsumerStrategy::RoundRobin, 1, 100), 1, std::iter::once(4..4).collect());
    delivery.join(1, Consumer::new("ann".to_owned(), 1));
    assert_eq!(delivery.begin_again(), None);
    assert!(delivery.wants_new());
    assert_eq!(delivery.low_water(), (None, 1));
}
