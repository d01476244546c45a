//! Picking ranges that do not overlap: those that cover most, and those that make up one range without a gap.

use std::collections::BTreeMap;

use prooflog_events::ids::{L2Block, Range};

/// A range that may be picked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<T> {
    pub(super) range: Range,
    pub(super) tag: T,
}

/// Pieces that share no block and cover as many as possible; of equal choices the one with fewer pieces.
pub(super) fn cover<T: Copy>(pieces: &[Piece<T>]) -> Vec<Piece<T>> {
    let mut by_end: Vec<Piece<T>> = pieces.to_vec();
    by_end.sort_by_key(|piece| (piece.range.end, piece.range.start));
    // For each number of first pieces: blocks covered, pieces saved, and whether the last of them is picked.
    let mut best: Vec<(Score, Option<usize>)> = vec![(Score::default(), None)];
    for (index, piece) in by_end.iter().enumerate() {
        let before = by_end.partition_point(|other| other.range.end <= piece.range.start).min(index);
        let score_of = |at: usize| best.get(at).map(|(score, _)| *score).unwrap_or_default();
        let with = score_of(before).and(piece.range.blocks());
        let without = score_of(index);
        best.push(if with > without { (with, Some(before)) } else { (without, None) });
    }
    let mut picked = Vec::new();
    let mut at = by_end.len();
    while at > 0 {
        match best.get(at).and_then(|(_, from)| *from) {
            Some(from) => {
                picked.extend(by_end.get(at - 1).copied());
                at = from;
            }
            None => at -= 1,
        }
    }
    picked.reverse();
    picked
}

/// How good a choice is: the more blocks, the better; then the fewer pieces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    blocks: u64,
    fewer: i64,
}

impl Score {
    const fn and(self, blocks: u64) -> Self {
        Self { blocks: self.blocks.saturating_add(blocks), fewer: self.fewer.saturating_sub(1) }
    }
}

/// Pieces that make up `whole` exactly, as few as possible; `None` if there are none such.
pub(super) fn tile<T: Copy>(pieces: &[Piece<T>], whole: Range) -> Option<Vec<T>> {
    let mut by_start: BTreeMap<L2Block, Vec<&Piece<T>>> = BTreeMap::new();
    for piece in pieces.iter().filter(|piece| piece.range.end <= whole.end) {
        by_start.entry(piece.range.start).or_default().push(piece);
    }
    // Block reached: pieces that it took, and the last of them.
    let mut reached: BTreeMap<L2Block, (usize, Option<&Piece<T>>)> = BTreeMap::new();
    reached.insert(whole.start, (0, None));
    let mut from = Some(whole.start);
    while let Some(at) = from.filter(|at| *at < whole.end) {
        let taken = reached.get(&at).map_or(0, |(count, _)| *count) + 1;
        for piece in by_start.get(&at).into_iter().flatten() {
            let known = reached.get(&piece.range.end).is_none_or(|(count, _)| taken < *count);
            if known {
                reached.insert(piece.range.end, (taken, Some(piece)));
            }
        }
        from = reached
            .range((std::ops::Bound::Excluded(at), std::ops::Bound::Unbounded))
            .next()
            .map(|(at, _)| *at);
    }
    let mut made_of = Vec::new();
    let mut at = whole.end;
    while at != whole.start {
        let piece = reached.get(&at)?.1?;
        made_of.push(piece.tag);
        at = piece.range.start;
    }
    made_of.reverse();
    Some(made_of)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn piece(start: u64, end: u64) -> Piece<usize> {
        Piece { range: Range::new(L2Block(start), L2Block(end)).unwrap(), tag: 0 }
    }

    fn pieces() -> impl Strategy<Value = Vec<Piece<usize>>> {
        let one = (0_u64..30, 1_u64..12).prop_map(|(start, blocks)| piece(start, start + blocks));
        proptest::collection::vec(one, 0..10).prop_map(|mut all| {
            all.iter_mut().enumerate().for_each(|(index, piece)| piece.tag = index);
            all
        })
    }

    fn subsets(all: &[Piece<usize>]) -> impl Iterator<Item = Vec<Piece<usize>>> + '_ {
        (0_u32..1 << all.len())
            .map(|mask| all.iter().filter(|piece| mask >> piece.tag & 1 == 1).copied().collect::<Vec<_>>())
    }

    fn is_disjoint(some: &[Piece<usize>]) -> bool {
        some.iter().all(|a| some.iter().all(|b| a.tag == b.tag || !a.range.overlaps(&b.range)))
    }

    fn blocks(some: &[Piece<usize>]) -> u64 {
        some.iter().map(|piece| piece.range.blocks()).sum()
    }

    proptest! {
        #[test]
        fn what_is_picked_shares_no_block_and_nothing_covers_more(all in pieces()) {
            let picked = cover(&all);
            prop_assert!(is_disjoint(&picked));
            let most = subsets(&all).filter(|some| is_disjoint(some)).map(|some| blocks(&some)).max();
            prop_assert_eq!(Some(blocks(&picked)), most);
        }

        #[test]
        fn a_range_is_made_up_exactly_where_that_is_possible(all in pieces(), start in 0_u64..20, length in 1_u64..20) {
            let whole = Range::new(L2Block(start), L2Block(start + length)).unwrap();
            let inside = |some: &[Piece<usize>]| some.iter().all(|p| p.range.start >= whole.start && p.range.end <= whole.end);
            let possible = subsets(&all)
                .filter(|some| is_disjoint(some) && inside(some) && blocks(some) == whole.blocks())
                .map(|some| some.len())
                .min();
            let made = tile(&all, whole);
            prop_assert_eq!(made.as_ref().map(Vec::len), possible);
            let mut at = whole.start;
            for tag in made.into_iter().flatten() {
                prop_assert_eq!(all[tag].range.start, at);
                at = all[tag].range.end;
            }
        }
    }
}
