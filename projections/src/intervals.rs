//! A set of L2 blocks as disjoint ranges: what the planner has covered, and where the holes are.
//!
//! Neighbouring ranges melt into one, so the set stays as small as the number of holes.

use bincode::{Decode, Encode};
use prooflog_events::ids::{L2Block, Range};

use crate::Map;

/// Disjoint, non-adjacent ranges in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Intervals {
    /// End of each range by its start.
    ends: Map<L2Block, L2Block>,
}

impl Intervals {
    /// Adds the blocks of `range`.
    pub fn insert(&mut self, range: Range) {
        // Almost always the last range grows.
        if let Some((start, end)) = self.ends.get_max().copied()
            && end == range.start
        {
            self.ends.insert(start, range.end);
            return;
        }
        let mut merged = range;
        if let Some((start, end)) = self.last_from_below(range.start)
            && end >= range.start
        {
            merged.start = start;
            merged.end = merged.end.max(end);
            self.ends.remove(&start);
        }
        while let Some((start, end)) = self.first_from(merged.start) {
            if start > merged.end {
                break;
            }
            merged.end = merged.end.max(end);
            self.ends.remove(&start);
        }
        self.ends.insert(merged.start, merged.end);
    }

    /// Takes the blocks of `range` out.
    pub fn remove(&mut self, range: Range) {
        // Almost always the first range shrinks from below.
        if let Some((start, end)) = self.ends.get_min().copied()
            && start == range.start
            && end > range.end
        {
            self.ends.insert(range.end, end);
            self.ends.remove(&start);
            return;
        }
        if let Some((start, end)) = self.last_from_below(range.start)
            && end > range.start
        {
            self.ends.insert(start, range.start);
            if end > range.end {
                self.ends.insert(range.end, end);
            }
        }
        while let Some((start, end)) = self.first_from(range.start) {
            if start >= range.end {
                break;
            }
            self.ends.remove(&start);
            if end > range.end {
                self.ends.insert(range.end, end);
            }
        }
    }

    /// The lowest hole above `from` and at most up to `to`.
    #[must_use]
    pub fn first_gap(&self, from: L2Block, to: L2Block) -> Option<Range> {
        let mut start = from;
        if let Some((low, end)) = self.last_from_below(L2Block(from.0.saturating_add(1)))
            && low <= from
            && end > from
        {
            start = end;
        }
        let end = self.first_from(start).map_or(to, |(next, _)| next.min(to));
        Range::new(start, end)
    }

    /// How far blocks are covered without a hole from `from` on.
    #[must_use]
    pub fn contiguous_from(&self, from: L2Block) -> L2Block {
        match self.last_from_below(L2Block(from.0.saturating_add(1))) {
            Some((_, end)) if end > from => end,
            _ => from,
        }
    }

    /// The ranges in order.
    pub fn iter(&self) -> impl Iterator<Item = Range> + '_ {
        self.ends.iter().map(|(start, end)| Range { start: *start, end: *end })
    }

    fn last_from_below(&self, below: L2Block) -> Option<(L2Block, L2Block)> {
        self.ends.range(..below).next_back().map(|(start, end)| (*start, *end))
    }

    fn first_from(&self, from: L2Block) -> Option<(L2Block, L2Block)> {
        self.ends.range(from..).next().map(|(start, end)| (*start, *end))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn range(start: u64, end: u64) -> Range {
        Range::new(L2Block(start), L2Block(end)).unwrap()
    }

    #[test]
    fn a_gap_starts_where_cover_ends() {
        let mut set = Intervals::default();
        set.insert(range(10, 20));
        set.insert(range(30, 40));
        assert_eq!(set.first_gap(L2Block(10), L2Block(100)), Some(range(20, 30)));
        assert_eq!(set.first_gap(L2Block(0), L2Block(100)), Some(range(0, 10)));
        assert_eq!(set.first_gap(L2Block(30), L2Block(35)), None);
        assert_eq!(set.first_gap(L2Block(40), L2Block(40)), None);
        set.insert(range(20, 30));
        assert_eq!(set.iter().collect::<Vec<_>>(), vec![range(10, 40)]);
    }

    proptest! {
        #[test]
        fn behaves_like_a_set_of_blocks(ops in prop::collection::vec((any::<bool>(), 0_u64..60, 1_u64..20), 0..40)) {
            let mut set = Intervals::default();
            let mut model = BTreeSet::new();
            for (insert, start, length) in ops {
                let span = range(start, start + length);
                if insert {
                    set.insert(span);
                    model.extend(start + 1..=start + length);
                } else {
                    set.remove(span);
                    model.retain(|block| *block <= start || *block > start + length);
                }
                let blocks: BTreeSet<u64> = set.iter().flat_map(|r| r.start.0 + 1..=r.end.0).collect();
                prop_assert_eq!(&blocks, &model);
                let gap = set.first_gap(L2Block(0), L2Block(100)).map(|r| r.start.0 + 1);
                prop_assert_eq!(gap, (1..=100).find(|block| !model.contains(block)));
            }
        }
    }
}
