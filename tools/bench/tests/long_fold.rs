//! On a log that is long enough for threads and snapshots, the state does not depend on how it was folded.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::ops::ControlFlow;
use std::sync::Arc;

use prooflog_bench::filling::fill;
use prooflog_bench::generator::{Generator, Shape};
use prooflog_events::envelope::Envelope;
use prooflog_events::ids::Position;
use prooflog_log::{Log, MemorySequence, Reader};
use prooflog_projections::state::index_from_scratch;
use prooflog_projections::{Fact, State};
use prooflog_replay::{decode, encode, fact_of, fold_on, fold_to, for_each_fact, newest, state_at};

const EVENTS: u64 = 15_000;

/// A generated log with the snapshots that an engine would have taken, and the state that it was made with.
fn long() -> (Arc<Log<MemorySequence>>, State) {
    let shape = Shape { live: 300, chains: 3, seed: 5 };
    let log = Arc::new(Log::open(MemorySequence::new(shape.log())).unwrap());
    let mut generator = Generator::new(shape);
    fill(&log, &mut generator, EVENTS, &mut |_| {}).unwrap();
    (log, generator.into_state().0)
}

fn batch_ends(reader: &Reader<'_, MemorySequence>) -> Vec<Position> {
    let mut ends = Vec::new();
    reader
        .for_each(Position(1), reader.head().position, &mut |position, stored| {
            if Envelope::decode(stored).unwrap().batch_last() == position {
                ends.push(position);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    ends
}

#[test]
fn a_long_log_folds_to_one_state_at_once_in_pieces_and_from_any_snapshot() {
    let (log, made) = long();
    let reader = log.reader();
    let (id, head) = (log.id(), reader.head().position);
    assert!(fold_to(&reader, id, head).unwrap() == made, "at once");
    let ends = batch_ends(&reader);
    assert!(newest(&reader, id, head).is_some(), "the log is too short for snapshots");
    // Pieces of all lengths: below what a thread is started for, and far above.
    let (mut pieces, mut at) = (State::new(id), Position::ZERO);
    for (nth, end) in ends.iter().enumerate().filter(|(nth, _)| nth % 7 == 0 || *nth > 900) {
        if nth % 40 == 0 || end.0 > at.0 + 3_000 {
            fold_on(&reader, &mut pieces, at.next(), *end).unwrap();
            at = *end;
            assert!(state_at(&reader, id, at).unwrap() == pieces, "from a snapshot below {at}");
        }
    }
    fold_on(&reader, &mut pieces, at.next(), head).unwrap();
    assert!(pieces == made, "in pieces");
}

#[test]
fn a_snapshot_holds_the_whole_state_and_its_index_is_the_one_kept_event_by_event() {
    let (_, made) = long();
    let bytes = encode(&made);
    let read = decode(&bytes).unwrap();
    assert!(read == made);
    assert_eq!(read.digest(), made.digest());
    assert!(encode(&read) == bytes, "equal states have equal snapshots");
    for (chain, made) in read.chains.values().zip(made.chains.values()) {
        assert!(chain.index == made.index && index_from_scratch(made) == made.index);
    }
}

#[test]
fn facts_read_by_two_threads_are_those_of_one() {
    let (log, _) = long();
    let reader = log.reader();
    let told = |fact: &Fact<'_>| format!("{fact:?}");
    let (mut one, mut two) = (Vec::new(), Vec::new());
    reader
        .for_each(Position(1), reader.head().position, &mut |position, stored| {
            one.extend(fact_of(position, stored).unwrap().as_ref().map(told));
            ControlFlow::Continue(())
        })
        .unwrap();
    for_each_fact(&reader, Position(1), reader.head().position, &mut |fact| {
        two.push(told(fact));
        Ok(())
    })
    .unwrap();
    assert!(one == two && one.len() as u64 >= EVENTS);
}
