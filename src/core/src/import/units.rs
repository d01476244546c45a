//! Units of ours, as rows of another proposer meet them.

use std::collections::BTreeMap;

use prooflog_events::ids::{Attempt, L1Number, Range, UnitId};
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::phase::Phase;
use prooflog_projections::state::unit::Unit;

/// Whether nothing was spent on a span yet: it gives way to what somebody paid for.
pub(crate) fn is_unspent(unit: &Unit) -> bool {
    unit.is_span()
        && unit.phase == Phase::Ready
        && unit.attempt == Attempt(1)
        && unit.late.is_empty()
        && unit.late_recorded.is_empty()
        && unit.last_failure.is_none()
}

/// Live spans that share a block with `range`, highest first. Live spans never overlap, so they end in their order.
pub(crate) fn overlapping(chain: &Chain, range: Range) -> impl Iterator<Item = &Unit> + '_ {
    let below = chain.index.by_start.range(..range.end).rev();
    below
        .filter_map(|(_, number)| chain.spans.get(number))
        .take_while(move |span| span.range.end > range.start)
}

/// Whether every live span that shares a block gives way; one that does not otherwise.
pub(super) fn free_of(chain: &Chain, range: Range) -> Result<(), &Unit> {
    overlapping(chain, range).find(|span| !is_unspent(span)).map_or(Ok(()), Err)
}

/// Complete spans, each with the L1 block that a checkpoint over it must reach.
pub(super) fn complete(chain: &Chain) -> impl Iterator<Item = (Range, L1Number)> + '_ {
    let complete = chain.spans.values().filter(|span| span.phase == Phase::Complete);
    complete.filter_map(|span| {
        let proof = span.proof.as_ref()?;
        Some((span.range, proof.l1_head.map_or(proof.l1_bound, |head| head.number)))
    })
}

/// Units that are over and still hold a proof, by their blocks.
pub(super) fn retired_ranges(chain: &Chain) -> BTreeMap<Range, Vec<UnitId>> {
    let mut ranges: BTreeMap<Range, Vec<UnitId>> = BTreeMap::new();
    for unit in chain.retired.values() {
        ranges.entry(unit.range).or_default().push(unit.id);
    }
    ranges
}
