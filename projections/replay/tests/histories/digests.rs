//! The timeline and the statistics of a history are the same bit for bit, however it is folded, and of no other history.
//!
//! Their digests stand beside each golden log. `PROOFLOG_UPDATE_GOLDEN=1` writes those that are missing, and never
//! changes one.

use std::collections::BTreeMap;
use std::fs;

use prooflog_events::ids::Hash32;
use prooflog_projections::{Stats, Timeline};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::golden::{HISTORIES, Record, golden};

/// Both folds, the timeline of everything and that of one correlation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Folds {
    stats: Stats,
    all: Timeline,
    one: Timeline,
}

impl Folds {
    fn of(correlation: &str) -> Self {
        Self { one: Timeline::of(correlation), ..Self::default() }
    }

    fn take<'r>(mut self, records: impl IntoIterator<Item = &'r Record>) -> Self {
        for record in records {
            let fact = record.fact();
            self.stats.apply(&fact);
            self.all.apply(&fact);
            self.one.apply(&fact);
        }
        self
    }

    fn digests(&self) -> [Hash32; 3] {
        [self.stats.digest(), self.all.digest(), self.one.digest()]
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// At each cut the fold so far is kept, and whoever kept it goes on later, after others went on from other ones.
    #[test]
    fn folding_in_pieces_gives_the_digests_of_folding_at_once(
        story in any::<Index>(),
        of in any::<Index>(),
        cuts in prop::collection::vec(any::<Index>(), 0..6),
    ) {
        let records = &HISTORIES[story.index(HISTORIES.len())];
        let correlation = &records[of.index(records.len())].correlation;
        let whole = Folds::of(correlation).take(records);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(records.len() + 1)).collect();
        cuts.sort_unstable();
        let mut kept = vec![(0, Folds::of(correlation))];
        for cut in cuts {
            let (from, before) = kept.last().unwrap().clone();
            let piece = before.take(&records[from..cut]);
            prop_assert_eq!(piece.digests(), Folds::of(correlation).take(&records[..cut]).digests());
            kept.push((cut, piece));
        }
        for (from, before) in kept {
            let pieces = before.take(&records[from..]);
            prop_assert_eq!(pieces.digests(), whole.digests(), "from {}", from);
            prop_assert_eq!(&pieces, &whole);
        }
    }

    /// A history that lacks an event, has two in the other order, or says something else, has other digests.
    #[test]
    fn another_history_has_other_digests(
        story in any::<Index>(),
        at in any::<Index>(),
        other in any::<Index>(),
    ) {
        let records = &HISTORIES[story.index(HISTORIES.len())];
        let at = at.index(records.len());
        let whole = Folds::default().take(records);
        let (before, after) = (&records[..at], &records[at + 1..]);
        let shorter = Folds::default().take(before.iter().chain(after));
        prop_assert_ne!(shorter.stats.digest(), whole.stats.digest());
        prop_assert_ne!(shorter.all.digest(), whole.all.digest());
        if let Some(next) = after.first() {
            let swapped = Folds::default().take(before.iter().chain([next, &records[at]]).chain(&after[1..]));
            prop_assert_ne!(swapped.all.digest(), whole.all.digest());
        }
        let other = &HISTORIES[other.index(HISTORIES.len())];
        if !std::ptr::eq(other, records) {
            let other = Folds::default().take(other);
            prop_assert_ne!(other.stats.digest(), whole.stats.digest());
            prop_assert_ne!(other.all.digest(), whole.all.digest());
        }
    }
}

#[test]
fn a_timeline_of_one_thing_is_that_part_of_the_whole() {
    for records in HISTORIES.iter() {
        let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
        for record in records {
            *lines.entry(record.correlation.as_str()).or_default() += 1;
        }
        for (correlation, count) in lines {
            let folds = Folds::of(correlation).take(records);
            assert_eq!(folds.one.entries().len(), count);
            assert_ne!(folds.one.digest(), folds.all.digest());
        }
    }
}

#[test]
fn the_digests_of_golden_logs_are_those_that_stand_beside_them() {
    for (path, records) in golden().iter().zip(HISTORIES.iter()) {
        let folds = Folds::default().take(records);
        let text = format!("stats {}\ntimeline {}\n", folds.stats.digest(), folds.all.digest());
        let beside = path.with_extension("digests");
        if std::env::var_os("PROOFLOG_UPDATE_GOLDEN").is_some() && !beside.exists() {
            fs::write(&beside, &text).unwrap();
        }
        assert_eq!(text, fs::read_to_string(&beside).unwrap(), "{}", beside.display());
    }
}
