//! The memory twin under the conformance suite, and what only it can show: faults on demand.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::ops::ControlFlow;

use prooflog_events::ids::Position;
use prooflog_events::port::Sequence;
use prooflog_log::conformance::{Factory, LOG, batch, event, everything, verified};
use prooflog_log::verify::{VerifyError, verify};
use prooflog_log::{AppendError, Fault, Log, MemorySequence};

struct Memory;

impl Factory for Memory {
    type Sequence = MemorySequence;

    fn fresh(&self) -> MemorySequence {
        MemorySequence::new(LOG)
    }

    fn reopened(&self, sequence: MemorySequence) -> MemorySequence {
        sequence.close();
        sequence.crashed()
    }
}

prooflog_log::conformance_tests!(Memory);

fn filled(appends: usize) -> Log<MemorySequence> {
    let log = Log::open(MemorySequence::new(LOG)).unwrap();
    for n in 0..appends {
        log.append(batch(vec![event(&format!("s-{}", n % 3), "a"), event("t", "b")])).unwrap();
    }
    log
}

#[test]
fn a_failed_append_may_be_there_after_a_crash_or_not() {
    for (fault, after) in [(Fault::NotWritten, 4), (Fault::WrittenUnreported, 6)] {
        let log = filled(2);
        log.sequence().fail_append(1, fault);
        let failed = log.append(batch(vec![event("s-0", ""), event("u", "")]));
        assert!(matches!(failed, Err(AppendError::WriteFailed(_))));
        assert_eq!(everything(&log.reader()).len(), 4, "nobody sees what was not answered");
        let log = Log::open(log.sequence().crashed()).unwrap();
        assert_eq!(log.head().position, Position(after));
        verified(log.sequence());
        log.append(batch(vec![event("s-0", "")])).unwrap();
    }
}

#[test]
fn lost_commits_take_their_streams_with_them() {
    let log = filled(3);
    let lost = log.sequence().crashed_losing(2);
    assert_eq!(verified(&lost), 2);
    let log = Log::open(lost).unwrap();
    assert_eq!(log.head().position, Position(2));
    log.append(batch(vec![event("s-1", "again")])).unwrap();
    verified(log.sequence());
}

#[test]
fn verification_names_the_first_bad_position_for_any_flipped_bit() {
    let log = filled(20);
    for position in (1..=40).map(Position) {
        let stored = log.reader().record(position).unwrap().unwrap().stored().to_vec();
        for byte in (0..stored.len()).step_by(5) {
            let damaged = log.sequence().crashed();
            assert!(damaged.damage(position, byte, 3));
            let found = verify(&damaged, &mut |_| ControlFlow::Continue(()));
            let at = match found {
                Err(VerifyError::Bad { position, .. }) => position,
                other => panic!("byte {byte} of record {position}: {other:?}"),
            };
            // A changed `prev` cannot be told from a changed record before it.
            let before = Position(position.0 - 1);
            assert!(at == position || at == before, "byte {byte} of record {position} was found at {at}");
        }
    }
}

#[test]
fn verification_names_the_record_that_its_index_misses() {
    let log = filled(20);
    let damaged = log.sequence().crashed();
    // The newest of `s-0` is record 37; its entry now leads to a record of another stream.
    assert!(damaged.damage_index("s-0", Position(38)));
    let found = verify(&damaged, &mut |_| ControlFlow::Continue(()));
    assert!(matches!(found, Err(VerifyError::Bad { position: Position(37), .. })), "{found:?}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
    #[test]
    fn any_random_batches_come_back_as_given(seed in proptest::num::u64::ANY) {
        prooflog_log::conformance::reads::random_batches(&Memory, seed);
    }
}
