//! Reading with a thread ahead shows what reading without one shows.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::ops::ControlFlow;

use prooflog_events::ids::Position;
use prooflog_events::port::{Head, SequenceError};
use prooflog_log::conformance::{LOG, batch, event};
use prooflog_log::{Log, MemorySequence, Reader};

const RECORDS: u64 = 12_000;

/// More than are read at once ahead of the visitor.
fn long() -> Log<MemorySequence> {
    let log = Log::open(MemorySequence::new(LOG)).unwrap();
    for first in (0..RECORDS).step_by(500) {
        let records = (first..first + 500).map(|n| event(&format!("s-{}", n % 7), &n.to_string()));
        log.append(batch(records.collect())).unwrap();
    }
    log
}

type Seen = Vec<(Position, Vec<u8>)>;

/// What is shown up to and with `stop`, and how the reading ended.
fn ahead(
    reader: &Reader<'_, MemorySequence>,
    from: u64,
    to: u64,
    stop: u64,
) -> (Seen, Result<(), SequenceError>) {
    let mut seen = Vec::new();
    let done = reader.for_each_ahead(Position(from), Position(to), &mut |position, stored| {
        seen.push((position, stored.to_vec()));
        if position.0 == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    (seen, done)
}

fn plain(reader: &Reader<'_, MemorySequence>, from: u64, to: u64) -> Seen {
    let mut seen = Vec::new();
    reader
        .for_each(Position(from), Position(to), &mut |position, stored| {
            seen.push((position, stored.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
    seen
}

#[test]
fn reading_ahead_shows_the_same_records_in_the_same_order() {
    let log = long();
    let reader = log.reader();
    for (from, to) in [(0, u64::MAX), (1, RECORDS), (3_000, 11_000), (RECORDS - 10, RECORDS), (5, 4)] {
        assert_eq!(ahead(&reader, from, to, 0), (plain(&reader, from, to), Ok(())), "{from} to {to}");
    }
}

#[test]
fn a_visitor_that_has_seen_enough_ends_the_reading() {
    let log = long();
    let reader = log.reader();
    for stop in [1, 700, RECORDS / 2, RECORDS] {
        assert_eq!(ahead(&reader, 1, RECORDS, stop), (plain(&reader, 1, stop), Ok(())));
    }
}

#[test]
fn what_stands_before_a_missing_record_is_shown_and_then_the_error() {
    let log = long();
    let missing = Head { position: Position(RECORDS + 5), hash: log.head().hash };
    let (seen, done) = ahead(&Reader::at(log.sequence(), missing), 1, u64::MAX, 0);
    assert_eq!(seen, plain(&log.reader(), 1, RECORDS));
    assert!(matches!(done, Err(SequenceError::Damaged { .. })), "{done:?}");
}
