//! What every implementation of the port must show, under the one writer.
//!
//! One suite, run on the memory twin and on every store: [`conformance_tests!`](crate::conformance_tests) turns it into
//! tests. A twin that is not held to this is a wish. Every check panics with what it expected; the functions are public
//! so that an implementation elsewhere can run them. Nothing in here sleeps or looks at a clock.

pub mod appends;
pub mod forging;
pub mod idempotence;
pub mod lanes;
pub mod reads;
pub mod storage;

use std::ops::ControlFlow;

use prooflog_events::envelope::Content;
use prooflog_events::ids::{EventId, LogId, Micros, Position, Revision};
use prooflog_events::port::{Sequence, SequenceRead};

use crate::append::{Append, By, NewRecord};
use crate::read::Reader;
use crate::record::Record;
use crate::verify::verify;

/// Makes what is to be tested.
pub trait Factory {
    /// The implementation.
    type Sequence: Sequence;

    /// An empty log with id [`LOG`].
    fn fresh(&self) -> Self::Sequence;

    /// The same log, closed and opened again.
    fn reopened(&self, sequence: Self::Sequence) -> Self::Sequence;
}

/// Id of the logs in this suite.
pub const LOG: LogId = LogId([0x5a; 16]);

/// The whole suite as tests: `conformance_tests!(factory_expression)`.
#[macro_export]
macro_rules! conformance_tests {
    ($factory:expr) => {
        $crate::conformance_tests!(@each $factory;
            appends: a_batch_over_several_streams_happens_as_a_whole,
            appends: each_expectation_holds_or_names_both_revisions,
            appends: expectations_bind_streams_that_are_not_written,
            appends: what_no_log_could_accept_is_refused,
            appends: times_never_go_back_and_a_batch_has_one,
            appends: positions_revisions_and_hashes_are_gapless_under_many_writers,
            appends: after_a_failed_write_nothing_is_accepted,
            appends: answers_come_in_the_order_of_the_appends,
            appends: a_task_waits_for_its_append,
            appends: a_caller_who_must_not_wait_is_answered_once,
            appends: a_full_queue_says_busy,
            appends: another_writer_is_fenced_off,
            idempotence: repeating_gives_the_first_answer_again,
            idempotence: repeating_after_reopening_gives_the_first_answer_again,
            idempotence: native_events_repeat_by_their_place,
            idempotence: some_known_ids_are_a_conflict,
            idempotence: an_id_with_other_content_is_a_conflict,
            idempotence: the_same_id_in_another_stream_is_another_event,
            idempotence: an_id_beyond_the_window_is_found_by_its_revision,
            reads: all_directions_limits_and_filters,
            reads: streams_in_both_directions,
            reads: a_reader_sees_nothing_above_its_head,
            reads: following_hands_over_without_gap_or_duplicate,
            reads: a_slow_follower_catches_up_from_the_store,
            reads: foreign_events_come_back_as_given,
            reads: random_batches_come_back_as_given,
            lanes: the_engines_appends_overtake_those_from_outside,
            lanes: a_queue_full_of_appends_from_outside_takes_the_engines,
            storage: blobs_are_kept_by_name,
            storage: a_blob_goes_with_the_event_that_gives_it_up,
            storage: a_blob_that_is_stored_again_outlives_its_first_owner,
            storage: a_blob_that_nothing_names_is_gone_after_reopening,
            storage: the_newest_fitting_snapshot_is_found,
            storage: everything_is_there_after_reopening,
            storage: verification_reaches_the_head,
        );
    };
    (@each $factory:expr; $($module:ident: $name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            $crate::conformance::$module::$name(&$factory);
        })*
    };
}

/// A native event of no consequence.
#[must_use]
pub fn event(stream: &str, payload: &str) -> NewRecord {
    NewRecord::native(stream, "Tested", 1, payload.as_bytes().to_vec())
}

/// A foreign event with id `id`.
#[must_use]
pub fn foreign(stream: &str, id: u64, payload: &str) -> NewRecord {
    let record =
        NewRecord::foreign(stream, event_id(id), "given", Content::Json, payload.as_bytes().to_vec());
    NewRecord { metadata: b"{}".to_vec(), ..record }
}

/// A readable event id.
#[must_use]
pub fn event_id(id: u64) -> EventId {
    let mut bytes = [0xee; 16];
    bytes.iter_mut().zip(id.to_be_bytes()).for_each(|(byte, digit)| *byte = digit);
    EventId(bytes)
}

/// An append at a fixed time.
#[must_use]
pub fn batch(records: Vec<NewRecord>) -> Append {
    Append::new(By::Scheduler, Micros(1_000_000), records)
}

/// All records of a log.
#[must_use]
#[expect(clippy::unwrap_used, reason = "a check panics")]
pub fn everything<R: SequenceRead>(reader: &Reader<'_, R>) -> Vec<Record> {
    let mut batch = prooflog_events::port::RecordBatch::default();
    reader
        .for_each(Position(1), reader.head().position, &mut |_, stored| {
            batch.push(stored);
            ControlFlow::Continue(())
        })
        .unwrap();
    let batch = std::sync::Arc::new(batch);
    (0..batch.len()).map(|index| Record::new(&batch, index, Position(index as u64 + 1))).collect()
}

/// Verifies a log and returns the number of its streams.
#[expect(clippy::unwrap_used, reason = "a check panics")]
pub fn verified<R: SequenceRead>(sequence: &R) -> u64 {
    let verified = verify(sequence, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(verified.head, sequence.head().unwrap());
    verified.streams
}

/// Numbers that look random and are the same on every run (xorshift).
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    /// The sequence of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// Up to `max` bytes.
    pub fn bytes(&mut self, max: u64) -> Vec<u8> {
        let len = self.below(max + 1);
        (0..len).map(|_| self.below(256).to_le_bytes()[0]).collect()
    }
}

/// Revision `n`.
#[must_use]
pub const fn at(n: u64) -> Revision {
    Revision(n)
}
