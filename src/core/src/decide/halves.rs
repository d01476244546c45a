//! Halves of a span that could not be proven as a whole, and what becomes of them when its own proof comes after all.
//!
//! A request that timed out may still be at the network, and its proof is paid for. While its halves are not all proven,
//! the whole takes their place: its proof is here, theirs cost more. Once they are, or an aggregate holds one of them, it
//! brings nothing and is only put on record.

use prooflog_events::event::{InvalidReason, Invalidated, SpanCreated, SpanOrigin, Split};
use prooflog_events::ids::UnitId;
use prooflog_projections::state::Illegal;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::phase::Phase;
use prooflog_projections::state::unit::Unit;

use crate::batch::Batch;

/// Both halves and the end of their parent, in one batch.
pub(super) fn split(batch: &mut Batch<'_>, id: UnitId) -> Result<(), Illegal> {
    let (Some(unit), Some(chain)) = (batch.state.unit(id), batch.state.chains.get(&id.chain)) else {
        return Ok(());
    };
    let Some((low, high)) = unit.range.halves() else {
        return Ok(());
    };
    let (root, commitments) = (unit.correlation(), unit.commitments());
    let numbers = (chain.last_span.saturating_add(1), chain.last_span.saturating_add(2));
    batch.unit(id, Split { low: numbers.0, high: numbers.1, middle: low.end })?;
    for (number, range) in [(numbers.0, low), (numbers.1, high)] {
        let origin = SpanOrigin::HalfOf(id.number);
        let event = SpanCreated { range, origin, commitments, transactions: None, gas: None };
        batch.create(UnitId::span(id.chain, number), root, event)?;
    }
    Ok(())
}

/// The spans whose place the proof of a whole would take: those that cover its blocks, if any of them is unproven and
/// none of them is spoken for. `None`: it is of no use.
pub(super) fn unfinished(batch: &Batch<'_>, whole: &Unit) -> Option<Vec<UnitId>> {
    if whole.phase != Phase::Split {
        return None;
    }
    let chain = batch.state.chains.get(&whole.id.chain)?;
    let fits = chain.contract.latest.is_none_or(|latest| latest.block <= whole.range.start)
        && chain.commitments().is_none_or(|now| now == whole.commitments());
    let halves = covering(chain, whole).filter(|_| fits)?;
    let is_unproven = halves.iter().any(|half| half.phase != Phase::Complete);
    let is_spoken_for = chain
        .aggs
        .values()
        .filter_map(|agg| agg.agg_body())
        .any(|agg| agg.members.iter().any(|member| halves.iter().any(|half| half.id.number == *member)));
    (is_unproven && !is_spoken_for && batch.fits(halves.len()))
        .then(|| halves.iter().map(|half| half.id).collect())
}

/// The live spans that cover exactly the blocks of `whole`; `None` if none do.
fn covering<'a>(chain: &'a Chain, whole: &Unit) -> Option<Vec<&'a Unit>> {
    let mut at = whole.range.start;
    let mut halves = Vec::new();
    while at < whole.range.end {
        let half = chain.span_at(at)?;
        at = half.range.end;
        halves.push(half);
    }
    (at == whole.range.end).then_some(halves)
}

/// The halves give way.
pub(super) fn give_way(batch: &mut Batch<'_>, halves: &[UnitId], whole: UnitId) -> Result<(), Illegal> {
    halves.iter().try_for_each(|half| {
        let detail =
            format!("the proof of {whole} came after all; what was asked for it may be charged beside");
        batch.unit(*half, Invalidated { reason: InvalidReason::Replaced, detail })
    })
}
