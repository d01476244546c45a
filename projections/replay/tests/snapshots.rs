//! The state at any position is the same from the empty log and from any snapshot, on every golden log.
//!
//! Snapshots are disposable: damaged ones, those of another log and those above the position change nothing.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::Path;

use prooflog_events::envelope::Envelope;
use prooflog_events::ids::{LogId, Position};
use prooflog_events::port::{Sequence, SequenceRead, Snapshot};
use prooflog_log::export::{import, read_header};
use prooflog_log::{Log, MemorySequence, read::Reader};
use prooflog_projections::State;
use prooflog_replay::{Cadence, EVENTS_MIN, fold_to, keep, key, state_at};
use proptest::prelude::*;

fn golden(name: &str) -> MemorySequence {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/logs/format-0").join(name);
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
        story in prop::sample::select(vec!["split.jsonl", "reorg-after-submission.jsonl", "retry-until-parked.jsonl"]),
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
            let copied = State::from_bytes(&state.to_bytes()).unwrap();
            prop_assert_eq!(&copied.digest(), &state.digest());
            sequence.put_snapshot(&key(), &Snapshot { position, bytes: copied.to_bytes() }).unwrap();
        }
        for position in damaged.iter().map(|index| *index.get(&ends)) {
            let mut bytes = fold_to(&reader, id, position).unwrap().to_bytes();
            bytes.truncate(bytes.len() / 2);
            sequence.put_snapshot(&key(), &Snapshot { position, bytes }).unwrap();
        }
        let found = state_at(&reader, id, wanted).unwrap();
        prop_assert_eq!(found.digest(), whole.digest());
    }
}

#[test]
fn a_snapshot_of_another_log_is_passed_over() {
    let sequence = golden("happy-path.jsonl");
    let bytes = State::new(LogId([9; 16])).to_bytes();
    sequence.put_snapshot(&key(), &Snapshot { position: Position(3), bytes }).unwrap();
    let reader = Reader::new(&sequence).unwrap();
    let head = reader.head().position;
    let whole = fold_to(&reader, sequence.log_id(), head).unwrap();
    assert_eq!(state_at(&reader, sequence.log_id(), head).unwrap().digest(), whole.digest());
}

#[test]
fn a_snapshot_is_due_after_enough_events_and_later_when_it_is_large() {
    let mut cadence = Cadence::default();
    assert!(!cadence.after(EVENTS_MIN - 1));
    assert!(cadence.after(1));
    cadence.taken(300 * EVENTS_MIN);
    assert!(!cadence.after(EVENTS_MIN), "sixteen times its size in log first");
    assert!(cadence.after(15 * EVENTS_MIN));
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
