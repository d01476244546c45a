//! The state at any position is the same from the empty log and from any snapshot, on every golden log.
//!
//! Snapshots are disposable: damaged ones, those of another log and those above the position change nothing.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use prooflog_events::envelope::Envelope;
use prooflog_events::ids::{LogId, Position};
use prooflog_events::port::{Sequence, SequenceRead, Snapshot};
use prooflog_log::export::{import, read_header};
use prooflog_log::{Log, MemorySequence, read::Reader};
use prooflog_projections::State;
use prooflog_replay::{Cadence, EVENTS_MIN, Snapshots, decode, encode, fold_to, keep, key, state_at};
use proptest::prelude::*;

fn golden(name: &str) -> MemorySequence {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/logs/format-1").join(name);
    let mut input = BufReader::new(std::fs::File::open(path).unwrap());
    let header = read_header(&mut input).unwrap();
    let target = MemorySequence::new(header.log);
    import(header, &mut input, &target).unwrap();
    target
}

fn batch_ends(sequence: &MemorySequence) -> Vec<Position> {
    let reader = Reader::new(sequence).unwrap();
    let mut ends = vec![Position::ZERO];
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn folding_at_once_in_pieces_and_from_any_snapshot_is_the_same(
        story in prop::sample::select(vec!["split.jsonl", "reorg-after-submission.jsonl", "retry-until-parked.jsonl", "unreadable-members.jsonl", "fee-ceiling.jsonl", "late-whole.jsonl"]),
        at in any::<prop::sample::Index>(),
        kept in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        damaged in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let sequence = golden(story);
        let (id, ends) = (sequence.log_id(), batch_ends(&sequence));
        let reader = Reader::new(&sequence).unwrap();
        let wanted = *at.get(&ends);
        let whole = fold_to(&reader, id, wanted).unwrap();
        for position in kept.iter().map(|index| *index.get(&ends)) {
            let state = fold_to(&reader, id, position).unwrap();
            let copied = decode(&encode(&state)).unwrap();
            prop_assert_eq!(&copied.digest(), &state.digest());
            sequence.put_snapshot(&key(), &Snapshot { position, bytes: encode(&copied) }).unwrap();
        }
        for position in damaged.iter().map(|index| *index.get(&ends)) {
            let mut bytes = encode(&fold_to(&reader, id, position).unwrap());
            bytes.truncate(bytes.len() / 2);
            sequence.put_snapshot(&key(), &Snapshot { position, bytes }).unwrap();
        }
        let found = state_at(&reader, id, wanted).unwrap();
        prop_assert_eq!(found.digest(), whole.digest());
        prop_assert!(found == whole, "the digest is the same, and what follows from the state is not");
    }
}

#[test]
fn a_snapshot_of_another_log_is_passed_over() {
    let sequence = golden("happy-path.jsonl");
    let bytes = encode(&State::new(LogId([9; 16])));
    sequence.put_snapshot(&key(), &Snapshot { position: Position(3), bytes }).unwrap();
    let reader = Reader::new(&sequence).unwrap();
    let head = reader.head().position;
    let whole = fold_to(&reader, sequence.log_id(), head).unwrap();
    assert_eq!(state_at(&reader, sequence.log_id(), head).unwrap().digest(), whole.digest());
}

#[test]
fn a_snapshot_is_due_after_enough_events_and_later_when_it_is_large() {
    let mut cadence = Cadence::default();
    assert!(!cadence.is_due(Position(EVENTS_MIN - 1)));
    assert!(cadence.is_due(Position(EVENTS_MIN)));
    cadence.taken(Position(EVENTS_MIN), 3 * 256 * EVENTS_MIN);
    assert!(!cadence.is_due(Position(3 * EVENTS_MIN)), "as many records as it has the size of come first");
    assert!(cadence.is_due(Position(4 * EVENTS_MIN)));
}

#[test]
fn a_kept_snapshot_is_found_again() {
    let log = Log::open(golden("happy-path.jsonl")).unwrap();
    let head = log.head().position;
    let state = fold_to(&log.reader(), log.id(), head).unwrap();
    let size = keep(&log, head, &state).unwrap();
    let found = log.reader().snapshot(&key(), head).unwrap().unwrap();
    assert_eq!((found.position, found.bytes.len() as u64), (head, size));
}

#[test]
fn snapshots_are_taken_beside_the_loop_and_only_of_what_is_durable() {
    let log = Arc::new(Log::open(golden("happy-path.jsonl")).unwrap());
    let head = log.head().position;
    let state = fold_to(&log.reader(), log.id(), head).unwrap();
    let mut due = Cadence::default();
    due.taken(Position::ZERO, 0);
    let mut snapshots = Snapshots::start(due, Arc::clone(&log)).unwrap();
    // The log is shorter than a snapshot is due after: nothing is taken, at the head or above it.
    snapshots.offer(&state, head);
    drop(snapshots);
    assert_eq!(log.reader().snapshot(&key(), head).unwrap(), None);
}
