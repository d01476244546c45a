//! Planning: finalized blocks above the contract are cut into spans, holes first.
//!
//! At the tip only full spans are cut, unless a short one is what a submission waits for. Nothing is planned above the
//! finalized head, and nothing is started above the window that the contract's latest block opens.

use prooflog_events::event::{FinalizedMoved, SpanCreated, SpanOrigin};
use prooflog_events::ids::{ChainId, L2Block, Micros, Range, UnitId};
use prooflog_events::input::{BlockStats, BlocksRead, NodeRead};
use prooflog_events::values::{Control, DegradedReason};
use prooflog_projections::state::Illegal;
use prooflog_projections::state::chain::Chain;

use super::node::{enter, leave};
use crate::batch::Batch;

/// The finalized head moved; a lower one is a node that lags and never a rollback.
pub(super) fn heads(batch: &mut Batch<'_>, input: &NodeRead) -> Result<(), Illegal> {
    let Some(chain) = batch.state.chains.get(&input.chain) else {
        return Ok(());
    };
    let moved = chain.finalized.is_none_or(|head| input.finalized > head.block);
    // Zero is what a node says right after its own restart.
    if moved && input.finalized > L2Block(0) {
        batch.chain(input.chain, FinalizedMoved { block: input.finalized, hash: input.hash })?;
    }
    check_contract_ahead(batch, input.chain)
}

/// A contract above the finalized head: wait, and say so.
pub(super) fn check_contract_ahead(batch: &mut Batch<'_>, id: ChainId) -> Result<(), Illegal> {
    let Some(chain) = batch.state.chains.get(&id) else {
        return Ok(());
    };
    let (Some(head), Some(latest)) = (chain.finalized, chain.contract.latest) else {
        return Ok(());
    };
    if latest.block > head.block {
        let by = latest.block.0 - head.block.0;
        enter(
            batch,
            id,
            DegradedReason::ContractAhead,
            &format!("the contract is ahead of finalized by {by} blocks"),
        )
    } else {
        leave(batch, id, DegradedReason::ContractAhead)
    }
}

/// The highest block that may be planned: finalized, and behind it what the policy says.
fn horizon(chain: &Chain) -> Option<L2Block> {
    let behind = chain.policy.as_ref()?.plan_behind_finalized;
    Some(L2Block(chain.finalized?.block.0.saturating_sub(behind)))
}

/// The block up to which work may be started, so that a blocked submission does not buy days of proofs.
pub(super) fn window_end(chain: &Chain) -> Option<L2Block> {
    let ahead = chain.policy.as_ref()?.blocks_ahead(chain.interval());
    Some(L2Block(chain.contract.latest?.block.0.saturating_add(ahead)))
}

/// Whether new spans may be cut now.
fn may_plan(chain: &Chain) -> bool {
    chain.may(Control::Planning)
        && !chain.is_optimistic()
        && !chain.hold.degraded.contains_key(&DegradedReason::NoAnchor)
        && !chain.hold.degraded.contains_key(&DegradedReason::RootMismatch)
        && chain.commitments().is_some()
}

/// The lowest hole that may be planned now.
pub(crate) fn plannable_gap(chain: &Chain) -> Option<Range> {
    if !may_plan(chain) {
        return None;
    }
    let latest = chain.contract.latest?.block;
    let to = horizon(chain)?.min(window_end(chain)?);
    chain.coverage().first_gap(latest, to)
}

/// Whether the hole ends at a span above it, so that it must be filled whatever its length.
fn is_inner(chain: &Chain, gap: Range) -> bool {
    chain.span_at(gap.end).is_some()
}

/// Whether a short span may be cut at the tip because only it is missing for a submission for long.
fn tip_may_be_cut(chain: &Chain, gap: Range, now: Micros) -> bool {
    match tip_waits(chain, gap) {
        // The first is seen at once, the second looks at every span.
        TipWaits::ForAge(age) => {
            now >= chain.contract.advanced.plus_secs(age) && now >= tip_since(chain).plus_secs(age)
        }
        TipWaits::No => false,
    }
}

/// What a short span at the tip waits for.
enum TipWaits {
    /// Until nothing but the tip was missing for so many seconds.
    ForAge(u64),
    /// It is not what a submission waits for.
    No,
}

/// Asked after every input: it must not look at every span.
fn tip_waits(chain: &Chain, gap: Range) -> TipWaits {
    let (Some(policy), Some(latest)) = (&chain.policy, chain.contract.latest) else {
        return TipWaits::No;
    };
    let threshold = policy.threshold(chain.interval());
    let enough = gap.end.0.saturating_sub(latest.block.0) >= threshold;
    // What is proven below may be enough by itself: then a submission waits for something else.
    let is_missing = gap.start.0.saturating_sub(latest.block.0) < threshold;
    let all_proven = chain.index.unproven == 0;
    if enough && is_missing && all_proven { TipWaits::ForAge(policy.max_span_age_secs) } else { TipWaits::No }
}

/// Since when nothing but the tip is missing: the newest of the contract's move and the last proof.
fn tip_since(chain: &Chain) -> Micros {
    chain.spans.values().map(|span| span.since).max().unwrap_or_default().max(chain.contract.advanced)
}

/// When a short span at the tip becomes due, if nothing else happens before.
pub(crate) fn tip_due(chain: &Chain, now: Micros) -> Option<Micros> {
    let gap = plannable_gap(chain)?;
    let TipWaits::ForAge(age) = tip_waits(chain, gap) else { return None };
    let due = tip_since(chain).plus_secs(age);
    (due > now && !is_inner(chain, gap)).then_some(due)
}

/// Cuts every hole that may be planned, by block count. With a gas limit the sizes of blocks are asked for first.
pub(super) fn plan_spans(batch: &mut Batch<'_>, id: ChainId) -> Result<(), Illegal> {
    loop {
        let Some(chain) = batch.state.chains.get(&id) else {
            return Ok(());
        };
        let (Some(gap), Some(policy)) = (plannable_gap(chain), &chain.policy) else {
            return Ok(());
        };
        if policy.span_gas > 0 && gap_needs_sizes(chain, gap, batch.now) {
            return Ok(());
        }
        let Some(range) = cut(chain, gap, policy.span_blocks, batch.now) else {
            return Ok(());
        };
        if !batch.has_room() {
            return Ok(());
        }
        create_span(batch, id, range, None)?;
    }
}

/// Whether a hole is long enough to be cut, so that its block sizes are worth asking for.
pub(crate) fn gap_needs_sizes(chain: &Chain, gap: Range, now: Micros) -> bool {
    let Some(policy) = &chain.policy else { return false };
    cut(chain, gap, policy.span_blocks, now).is_some()
}

/// The first span of a hole: a full one, or a short one where that is allowed.
fn cut(chain: &Chain, gap: Range, span_blocks: u64, now: Micros) -> Option<Range> {
    let full = L2Block(gap.start.0.saturating_add(span_blocks));
    // Flush cuts exactly at the block asked for, once it is final: cutting whatever became final in between would buy
    // many proofs of a few blocks each.
    let flush_to = chain.hold.flush_to.filter(|to| gap.start < *to && *to < full && *to <= gap.end);
    if let Some(to) = flush_to {
        return Range::new(gap.start, to);
    }
    if full <= gap.end {
        return Range::new(gap.start, full);
    }
    // A gap that the window cuts off is not the tip: what lies above is only not yet allowed.
    let window_cuts = Some(gap.end) == window_end(chain);
    (is_inner(chain, gap) || (!window_cuts && tip_may_be_cut(chain, gap, now))).then_some(gap)
}

fn create_span(
    batch: &mut Batch<'_>,
    id: ChainId,
    range: Range,
    sizes: Option<(u64, u64)>,
) -> Result<(), Illegal> {
    let Some(chain) = batch.state.chains.get(&id) else {
        return Ok(());
    };
    let Some(commitments) = chain.commitments() else {
        return Ok(());
    };
    let span = UnitId::span(id, chain.last_span.saturating_add(1));
    let event = SpanCreated {
        range,
        origin: SpanOrigin::Planned,
        commitments,
        transactions: sizes.map(|(transactions, _)| transactions),
        gas: sizes.map(|(_, gas)| gas),
    };
    batch.create(span, span, event)
}

/// Cuts by gas, now that the sizes of the blocks are known. A node that cannot tell means cutting by count.
pub(super) fn blocks(batch: &mut Batch<'_>, input: &BlocksRead) -> Result<(), Illegal> {
    let mut from = input.range.start;
    while batch.has_room() {
        let Some(chain) = batch.state.chains.get(&input.chain) else {
            return Ok(());
        };
        let (Some(gap), Some(policy)) = (plannable_gap(chain), &chain.policy) else {
            return Ok(());
        };
        if gap.start < from || gap.start >= input.range.end {
            return Ok(());
        }
        let Some(by_count) = cut(chain, gap, policy.span_blocks, batch.now) else {
            return Ok(());
        };
        let skip = usize::try_from(gap.start.0 - input.range.start.0).unwrap_or(usize::MAX);
        let known = input.blocks.get(skip..).unwrap_or_default();
        let (range, sizes) = match cut_by_gas(by_count, known, policy.span_gas) {
            Some((range, sizes)) => (range, Some(sizes)),
            None if input.blocks.is_empty() => (by_count, None),
            // The answer ends inside the span: the next one starts here.
            None => return Ok(()),
        };
        from = range.end;
        create_span(batch, input.chain, range, sizes)?;
    }
    Ok(())
}

/// The longest prefix of `range` whose gas stays within `limit`, at least one block, with (transactions, gas).
fn cut_by_gas(range: Range, blocks: &[BlockStats], limit: u64) -> Option<(Range, (u64, u64))> {
    let wanted = usize::try_from(range.blocks()).ok()?;
    let (mut taken, mut transactions, mut gas) = (0_u64, 0_u64, 0_u64);
    for block in blocks.iter().take(wanted) {
        if taken > 0 && gas.saturating_add(block.gas) > limit {
            break;
        }
        taken += 1;
        gas = gas.saturating_add(block.gas);
        transactions = transactions.saturating_add(u64::from(block.transactions));
    }
    let looked_at = usize::try_from(taken).ok()?;
    let cut_short = looked_at < wanted;
    if taken == 0 || (cut_short && looked_at == blocks.len()) {
        return None;
    }
    Some((Range { start: range.start, end: L2Block(range.start.0 + taken) }, (transactions, gas)))
}
