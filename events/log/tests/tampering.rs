//! Whoever has the disk changes a record, leaves one out, puts one in, changes the order: verification names the place.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::ops::ControlFlow;

use prooflog_events::envelope::Envelope;
use prooflog_events::ids::{LogId, Position};
use prooflog_events::port::SequenceError;
use prooflog_log::conformance::forging::{self, chain, other_payload, stored};
use prooflog_log::{MemorySequence, VerifyError, verify};
use proptest::prelude::*;
use proptest::sample::Index;

const LOG: LogId = LogId([5; 16]);

/// Records as the writer writes them.
fn written(records: usize) -> Vec<Vec<u8>> {
    stored(&forging::written(LOG, records).reader())
}

fn holding(records: &[Vec<u8>]) -> MemorySequence {
    forging::holding(LOG, records)
}

/// The position that verification names; none if it finds nothing.
fn named(sequence: &MemorySequence) -> Option<u64> {
    match verify(sequence, &mut |_| ControlFlow::Continue(())) {
        Ok(_) => None,
        Err(VerifyError::Bad { position, .. }) => Some(position.0),
        Err(VerifyError::Read(SequenceError::Damaged { position, .. })) => {
            position.map(|position| position.0)
        }
        Err(error) => panic!("{error}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_flipped_bit_is_named_where_it_is(size in 1_usize..90, at in any::<Index>(), byte in any::<Index>(), bit in 0_u8..8) {
        let records = written(size);
        let at = at.index(size);
        let sequence = holding(&records);
        prop_assert_eq!(named(&sequence), None);
        prop_assert!(sequence.damage(Position(at as u64 + 1), byte.index(records[at].len()), bit));
        prop_assert_eq!(named(&sequence), Some(at as u64 + 1));
    }

    #[test]
    fn what_is_left_out_put_in_or_moved_is_named_where_it_begins(
        size in 2_usize..90,
        at in any::<Index>(),
        other in any::<Index>(),
        how in 0_u8..3,
    ) {
        let mut records = written(size);
        let (at, other) = (at.index(size), other.index(size));
        let first = match how {
            0 => {
                records.remove(at);
                at
            }
            1 => {
                records.insert(at, records[other].clone());
                // A record put before itself is there already: what follows is not.
                if at == other { at + 1 } else { at }
            }
            _ => {
                records.swap(at, other);
                at.min(other)
            }
        };
        let is_same = match how {
            0 => at == size - 1,
            1 => false,
            _ => at == other,
        };
        let found = named(&holding(&records));
        if !is_same {
            prop_assert_eq!(found, Some(first as u64 + 1));
        } else if how == 2 {
            prop_assert_eq!(found, None);
        }
    }

    #[test]
    fn a_log_that_ends_inside_a_batch_is_named_at_its_end(size in 2_usize..90, at in any::<Index>()) {
        let records = written(size);
        let at = 1 + at.index(size - 1);
        let last = Envelope::decode(&records[at - 1]).unwrap().batch_last().0;
        let found = named(&holding(&records[..at]));
        // One that ends with a batch is a log: that there was more is known by `HEAD`, or by a checkpoint.
        prop_assert_eq!(found, (last != at as u64).then_some(at as u64));
    }

    #[test]
    fn a_rewrite_with_every_hash_made_right_again_is_not_seen_here(size in 2_usize..90, at in any::<Index>()) {
        let mut records = written(size);
        let at = at.index(size);
        records[at] = other_payload(Envelope::decode(&records[at].clone()).unwrap());
        prop_assert!(at == size - 1 || named(&holding(&records)) == Some(at as u64 + 1));
        // For this there are checkpoints: `audit examine` names those around it.
        chain(&mut records, at);
        prop_assert_eq!(named(&holding(&records)), None);
    }
}
