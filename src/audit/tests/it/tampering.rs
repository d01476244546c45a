//! Whoever has the disk changes the log in some way; the checkpoints that still hold are exactly those below.

use prooflog_audit::{Checkpoint, Standing, examine};
use prooflog_events::ids::{Hash32, Position};
use prooflog_events::port::SequenceRead;
use prooflog_log::conformance::forging::{other_payload, rewrite};
use prooflog_log::{MemorySequence, Reader};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::logs::{LOG, holding, key, records, signed, written};

/// A way to change a log.
#[derive(Debug, Clone)]
enum Tampering {
    Flip {
        byte: Index,
        bit: u8,
    },
    Drop,
    Swap {
        with: Index,
    },
    Insert,
    Truncate,
    /// One payload is another, and every hash after it is computed again: the chain of hashes verifies.
    Rewrite,
}

fn tampering() -> impl Strategy<Value = Tampering> {
    prop_oneof![
        (any::<Index>(), 0_u8..8).prop_map(|(byte, bit)| Tampering::Flip { byte, bit }),
        Just(Tampering::Drop),
        any::<Index>().prop_map(|with| Tampering::Swap { with }),
        Just(Tampering::Insert),
        Just(Tampering::Truncate),
        Just(Tampering::Rewrite),
    ]
}

/// The changed log, and the first position at which it is another.
fn tamper(records: &[Vec<u8>], at: usize, how: &Tampering) -> (MemorySequence, u64) {
    let mut changed = records.to_vec();
    let mut first = at;
    match how {
        Tampering::Flip { byte, bit } => {
            let sequence = holding(records);
            assert!(sequence.damage(Position(at as u64 + 1), byte.index(records[at].len()), *bit));
            return (sequence, at as u64 + 1);
        }
        Tampering::Drop => drop(changed.remove(at)),
        Tampering::Swap { with } => {
            let with = with.index(records.len());
            changed.swap(at, with);
            first = if with == at { records.len() } else { at.min(with) };
        }
        Tampering::Insert => changed.insert(at, records[0].clone()),
        Tampering::Truncate => changed.truncate(at),
        Tampering::Rewrite => rewrite(&mut changed, at, other_payload),
    }
    if matches!(how, Tampering::Insert) && at == 0 {
        // The first record twice: the first that is another is the second.
        first = 1;
    }
    (holding(&changed), first as u64 + 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_last_checkpoint_that_holds_and_the_first_that_does_not_enclose_the_change(
        size in 1_usize..120,
        at in any::<Index>(),
        sizes in prop::collection::vec(any::<Index>(), 1..12),
        how in tampering(),
    ) {
        let log = written(size);
        let reader = log.reader();
        let (key, _) = key();
        let checkpoints: Vec<Checkpoint> = sizes
            .iter()
            .map(|index| signed(&reader, index.index(size + 1) as u64, &key).checkpoint().clone())
            .collect();
        prop_assert!(examine(&reader, &checkpoints).unwrap().is_whole());

        let (changed, first) = tamper(&records(&reader), at.index(size), &how);
        let changed = Reader::new(&changed).unwrap();
        let examination = examine(&changed, &checkpoints).unwrap();
        let sizes = || checkpoints.iter().map(|checkpoint| checkpoint.size);
        prop_assert_eq!(examination.last_that_holds, sizes().filter(|size| *size < first).max());
        prop_assert_eq!(examination.first_that_does_not, sizes().filter(|size| *size >= first).min());
        if let Some((low, high)) = examination.changed() {
            prop_assert!((low.0..=high.0).contains(&first), "{first} in {low}..={high}");
        }
        for compared in &examination.checkpoints {
            let is_missing = matches!(compared.standing, Standing::Missing { .. });
            prop_assert_eq!(is_missing, compared.size > changed.head().position.0);
        }
    }
}

#[test]
fn a_rewrite_that_the_chain_of_hashes_accepts_is_named_by_the_checkpoints_around_it() {
    let log = written(100);
    let (key, _) = key();
    let checkpoints: Vec<Checkpoint> = [90, 30, 60, 0]
        .map(|size| signed(&log.reader(), size, &key).checkpoint().clone())
        .into_iter()
        .collect();
    let mut changed = records(&log.reader());
    rewrite(&mut changed, 44, other_payload);
    let changed = holding(&changed);
    prooflog_log::verify(&changed, &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
    let examination = examine(&Reader::new(&changed).unwrap(), &checkpoints).unwrap();
    assert_eq!((examination.last_that_holds, examination.first_that_does_not), (Some(30), Some(60)));
    assert_eq!(examination.changed(), Some((Position(31), Position(60))));
    let text = examination.to_string();
    assert!(text.contains("30 records: holds") && text.contains("one of 31 to 60"), "{text}");
}

#[test]
fn a_record_that_cannot_be_read_leaves_the_checkpoints_below_it_standing() {
    let log = written(50);
    let (key, _) = key();
    let checkpoints: Vec<Checkpoint> =
        [10, 20, 50].map(|size| signed(&log.reader(), size, &key).checkpoint().clone()).into();
    // A head above the records that are there is what a lost file looks like.
    let short = holding(&records(&log.reader())[..30]);
    let head = log.reader().head();
    let examination = examine(&Reader::at(&short, head), &checkpoints).unwrap();
    assert_eq!((examination.last_that_holds, examination.first_that_does_not), (Some(20), Some(50)));
    assert!(
        matches!(&examination.checkpoints[2].standing, Standing::Unreadable { what } if what.contains("31"))
    );
}

#[test]
fn checkpoints_of_two_histories_are_not_taken_for_a_change_of_the_log() {
    let log = written(20);
    let (key, _) = key();
    let mut forged = signed(&log.reader(), 10, &key).checkpoint().clone();
    forged.root = Hash32([7; 32]);
    let real = signed(&log.reader(), 20, &key).checkpoint().clone();
    let examination = examine(&log.reader(), &[real, forged]).unwrap();
    assert_eq!((examination.last_that_holds, examination.first_that_does_not), (Some(20), Some(10)));
    assert_eq!(examination.changed(), None);
    assert!(!examination.is_whole() && examination.to_string().contains("TWO HISTORIES"));
    assert_eq!(log.reader().head().position, Position(20));
    assert_eq!(MemorySequence::new(LOG).log_id(), LOG);
}
