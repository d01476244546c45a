//! Reading and following.
//!
//! Pages in both directions, filters and limits give what a plain walk over the log gives; a follower sees every record
//! once, in order, across the hand-over from catching up to live.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a check panics")]

use std::thread;
use std::time::Duration;

use prooflog_events::envelope::{Actor, Content, native_event_id};
use prooflog_events::ids::{Micros, Position, Revision};
use prooflog_events::limits::TAIL_BYTES_MAX;
use prooflog_events::port::Direction::{Backward, Forward};

use super::{Factory, LOG, Numbers, at, batch, event, event_id, everything, verified};
use crate::append::{Append, By, CausedBy, Expected, NewRecord};
use crate::read::Filter;
use crate::writer::Log;

/// A log of 12 records in three streams of two categories and two types.
fn sample<F: Factory>(factory: &F) -> Log<F::Sequence> {
    let log = Log::open(factory.fresh()).unwrap();
    for n in 0..4 {
        let mut other = event("tx-1", &n.to_string());
        other.type_name = "Other".to_owned();
        log.append(batch(vec![event("span-1", &n.to_string()), other, event("span-2", &n.to_string())]))
            .unwrap();
    }
    log
}

/// Every start, direction, limit and filter against a list made by hand.
pub fn all_directions_limits_and_filters<F: Factory>(factory: &F) {
    let log = sample(factory);
    let reader = log.reader();
    let positions = |from: u64, direction, filter: &Filter, limit| {
        let page = reader.all(Position(from), direction, filter, limit).unwrap();
        (page.records.iter().map(|r| r.position().0).collect::<Vec<_>>(), page.next.map(|next| next.0))
    };
    let all = Filter::all();
    assert_eq!(positions(1, Forward, &all, 100), ((1..=12).collect(), None));
    assert_eq!(positions(0, Forward, &all, 3), (vec![1, 2, 3], Some(4)));
    assert_eq!(positions(4, Forward, &all, 9), ((4..=12).collect(), None));
    assert_eq!(positions(12, Forward, &all, 1), (vec![12], None));
    assert_eq!(positions(13, Forward, &all, 1), (vec![], None));
    assert_eq!(positions(u64::MAX, Backward, &all, 2), (vec![12, 11], Some(10)));
    assert_eq!(positions(3, Backward, &all, 10), (vec![3, 2, 1], None));
    assert_eq!(positions(0, Backward, &all, 10), (vec![], None));
    assert_eq!(positions(1, Forward, &Filter::stream("span-2"), 10), (vec![3, 6, 9, 12], None));
    assert_eq!(positions(1, Forward, &Filter::category("span"), 5), (vec![1, 3, 4, 6, 7], Some(8)));
    assert_eq!(positions(1, Forward, &Filter::category("spa"), 5), (vec![], None));
    assert_eq!(positions(12, Backward, &Filter::type_prefix("Oth"), 2), (vec![11, 8], Some(7)));
    let none = Filter {
        categories: vec!["tx".to_owned()],
        type_prefixes: vec!["Tested".to_owned()],
        ..Filter::all()
    };
    assert_eq!(positions(1, Forward, &none, 2), (vec![], None));
    let either = Filter { stream_prefixes: vec!["tx-".to_owned(), "span-1".to_owned()], ..Filter::all() };
    assert_eq!(positions(1, Forward, &either, 100).0, [1, 2, 4, 5, 7, 8, 10, 11]);
    assert_eq!(reader.record(Position(0)).unwrap(), None);
    assert_eq!(reader.record(Position(13)).unwrap(), None);
    assert_eq!(reader.record(Position(5)).unwrap().unwrap().envelope().unwrap().stream, "tx-1");
}

/// Revisions from any place, both ways, in pages.
pub fn streams_in_both_directions<F: Factory>(factory: &F) {
    let log = sample(factory);
    // A name that begins another one, and one that follows it.
    log.append(batch(vec![event("span-", "x"), event("span-10", "y"), event("span", "z")])).unwrap();
    let reader = log.reader();
    let read = |stream: &str, from: u64, direction, limit| {
        let page = reader.stream(stream, Revision(from), direction, limit).unwrap();
        let of = |r: &crate::record::Record| r.envelope().unwrap().revision.0;
        (page.records.iter().map(of).collect::<Vec<_>>(), page.next.map(|next| next.0))
    };
    assert_eq!(read("span-1", 0, Forward, 10), (vec![0, 1, 2, 3], None));
    assert_eq!(read("span-1", 1, Forward, 2), (vec![1, 2], Some(3)));
    assert_eq!(read("span-1", 2, Forward, 2), (vec![2, 3], None));
    assert_eq!(read("span-1", 4, Forward, 2), (vec![], None));
    assert_eq!(read("span-1", u64::MAX, Backward, 3), (vec![3, 2, 1], Some(0)));
    assert_eq!(read("span-1", 1, Backward, 3), (vec![1, 0], None));
    assert_eq!(read("span-", 0, Forward, 3), (vec![0], None));
    assert_eq!(read("span-10", u64::MAX, Backward, 3), (vec![0], None));
    assert_eq!(read("nothing", 0, Forward, 3), (vec![], None));
    assert_eq!(read("nothing", u64::MAX, Backward, 3), (vec![], None));
    assert_eq!(reader.stream_head("span-2").unwrap().unwrap().revision, at(3));
    assert_eq!(reader.stream_head("nothing").unwrap(), None);
}

/// What is appended later is not there, by position and by stream.
pub fn a_reader_sees_nothing_above_its_head<F: Factory>(factory: &F) {
    let log = sample(factory);
    let reader = log.reader();
    log.append(batch(vec![event("span-1", "new"), event("late", "new")])).unwrap();
    assert_eq!(reader.all(Position(1), Forward, &Filter::all(), 100).unwrap().records.len(), 12);
    assert_eq!(reader.stream("span-1", at(0), Forward, 100).unwrap().records.len(), 4);
    assert_eq!(reader.stream("span-1", Revision(u64::MAX), Backward, 1).unwrap().next, Some(at(2)));
    assert_eq!(reader.stream_head("span-1").unwrap().unwrap().revision, at(3));
    assert_eq!(reader.stream_head("late").unwrap(), None);
    assert_eq!(reader.record(Position(13)).unwrap(), None);
    assert_eq!(log.reader().all(Position(1), Forward, &Filter::all(), 100).unwrap().records.len(), 14);
}

/// Followers that start anywhere while others append see each record once, in order.
pub fn following_hands_over_without_gap_or_duplicate<F: Factory>(factory: &F) {
    const APPENDS: u64 = 300;
    let log = sample(factory);
    let last = 12 + APPENDS * 2;
    thread::scope(|scope| {
        let followers: Vec<_> = (0..4_u64)
            .map(|n| {
                let from = Position(1 + n * 5);
                let filter = if n % 2 == 0 { Filter::all() } else { Filter::stream("live") };
                let mut follower = log.follow(from, filter.clone());
                scope.spawn(move || {
                    let mut seen = Vec::new();
                    while follower.next_position() <= Position(last) {
                        let limit = 1 + seen.len() % 7;
                        let followed = follower.wait(limit, Duration::from_secs(60)).unwrap();
                        assert!(
                            followed.through >= from || followed.records.is_empty(),
                            "nothing came for a minute"
                        );
                        seen.extend(followed.records);
                    }
                    (from, filter, seen)
                })
            })
            .collect();
        for writer in 0..2 {
            let log = &log;
            scope.spawn(move || {
                for n in 0..APPENDS {
                    let stream = if n % 2 == 0 { "live" } else { "other" };
                    log.append(batch(vec![event(stream, &format!("{writer}/{n}"))])).unwrap();
                }
            });
        }
        for follower in followers {
            let (from, filter, seen) = follower.join().unwrap();
            let all = everything(&log.reader());
            let wanted = all.iter().filter(|record| {
                let stream = record.envelope().unwrap().stream == "live";
                record.position() >= from && (filter.is_all() || stream)
            });
            assert!(seen.iter().eq(wanted), "a follower from {from} saw something else");
        }
    });
}

/// Whoever falls out of the ring of newest records reads them from the store.
pub fn a_slow_follower_catches_up_from_the_store<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    let mut follower = log.follow(Position(1), Filter::all());
    assert!(follower.poll(10).unwrap().caught_up);
    let body = "x".repeat(256 << 10);
    let appends = 2 * TAIL_BYTES_MAX / body.len();
    for n in 0..appends {
        log.append(batch(vec![event("s", &format!("{n}{body}"))])).unwrap();
    }
    let mut seen = 0;
    loop {
        let followed = follower.poll(7).unwrap();
        for record in &followed.records {
            seen += 1;
            assert_eq!(record.position(), Position(seen));
        }
        if followed.caught_up {
            break;
        }
    }
    assert_eq!(seen, appends as u64);
}

/// Any text as type, any bytes, any id; metadata unchanged; who and why as said.
pub fn foreign_events_come_back_as_given<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    let types = ["$>", "a b", "Ünïcode→", "\u{0}", &"t".repeat(256), "Tested"];
    let mut given = Vec::new();
    for (n, type_name) in types.iter().enumerate() {
        let content = if n % 2 == 0 { Content::Json } else { Content::Octets };
        let payload = [&b"{\"a\":1, \"a\": \xff}"[..], b"", &[0; 70_000]][n % 3].to_vec();
        let mut record = NewRecord::foreign("$$odd stream", event_id(n as u64), *type_name, content, payload);
        record.metadata = [&b""[..], b"\x00\xff not json", b"{\"$correlationId\":\"x\"}"][n % 3].to_vec();
        record.correlation = format!("corr-{n}");
        record.causation = (n > 0).then(|| CausedBy {
            event_id: event_id(0),
            stream: "$$odd stream".to_owned(),
            revision: at(0),
        });
        given.push(record);
    }
    let by = By::Client("käthe".to_owned());
    log.append(Append::new(by, Micros(5), given.clone()).expect("$$odd stream", Expected::NoStream)).unwrap();
    let back = log.reader().stream("$$odd stream", at(0), Forward, 100).unwrap().records;
    assert_eq!(back.len(), given.len());
    for (record, given) in back.iter().zip(&given) {
        let e = record.envelope().unwrap();
        assert_eq!((e.type_name, e.content, e.version), (given.type_name.as_str(), given.content, 0));
        assert_eq!((e.payload, e.metadata), (given.payload.as_slice(), given.metadata.as_slice()));
        assert_eq!((e.correlation, e.actor), (given.correlation.as_str(), Actor::Client("käthe")));
        assert_eq!(Some(e.event_id), given.event_id);
        let causation = e.causation.map(|c| (c.event_id, c.stream.to_owned(), c.revision));
        assert_eq!(causation, given.causation.clone().map(|c| (c.event_id, c.stream, c.revision)));
    }
}

/// A property: what is read is what was appended, for random batches from a seed.
pub fn random_batches_come_back_as_given<F: Factory>(factory: &F) {
    for seed in 0..8 {
        random_batches(factory, seed);
    }
}

/// The random batches of one seed.
pub fn random_batches<F: Factory>(factory: &F, seed: u64) {
    let mut numbers = Numbers::new(seed);
    let mut log = Log::open(factory.fresh()).unwrap();
    let mut model: Vec<NewRecord> = Vec::new();
    for id in 0..30_u64 {
        let records: Vec<NewRecord> = (0..=numbers.below(6))
            .map(|n| {
                let mut record = event(&format!("s{}-{}", numbers.below(3), numbers.below(4)), "");
                record.payload = numbers.bytes(300);
                record.metadata = numbers.bytes(20);
                record.event_id = (numbers.below(2) == 0).then(|| event_id(id * 10 + n));
                record
            })
            .collect();
        let answer = log.append(batch(records.clone())).unwrap();
        assert_eq!(answer.last.0, (model.len() + records.len()) as u64);
        model.extend(records);
        if numbers.below(10) == 0 {
            log = Log::open(super::appends::reopen(factory, log)).unwrap();
        }
    }
    let all = everything(&log.reader());
    let mut revisions = std::collections::BTreeMap::<&str, u64>::new();
    assert_eq!(all.len(), model.len());
    for (record, given) in all.iter().zip(&model) {
        let e = record.envelope().unwrap();
        let revision = revisions.entry(&given.stream).or_default();
        assert_eq!((e.stream, e.revision.0), (given.stream.as_str(), *revision), "seed {seed}");
        assert_eq!(
            (e.payload, e.metadata),
            (given.payload.as_slice(), given.metadata.as_slice()),
            "seed {seed}"
        );
        let id = given.event_id.unwrap_or_else(|| native_event_id(LOG, &given.stream, at(*revision)));
        assert_eq!(e.event_id, id, "seed {seed}");
        *revision += 1;
    }
    assert_eq!(verified(log.sequence()), revisions.len() as u64);
}
