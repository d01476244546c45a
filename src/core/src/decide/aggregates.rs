//! Aggregates: when one is queued, when it may be requested, when it is of no use any more.
//!
//! An aggregate starts exactly at the contract's latest block and its members chain without a gap; everything about it
//! is decided on the contract's state at confirmation depth.

use prooflog_events::event::{AggQueued, InvalidReason, Invalidated};
use prooflog_events::ids::{ChainId, L1Number, L2Block, Micros, Range, UnitId};
use prooflog_projections::state::Illegal;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::phase::Phase;
use prooflog_projections::state::unit::{AggBody, Unit};

use crate::batch::Batch;

/// Whether the contract's latest output is the same at the head and at confirmation depth.
fn contract_is_still(chain: &Chain) -> bool {
    chain.contract.latest.is_some() && chain.contract.latest == chain.contract.confirmed
}

/// Queues an aggregate when enough is proven, in place of a shorter one that nothing was spent on yet.
pub(super) fn queue(batch: &mut Batch<'_>, id: ChainId) -> Result<(), Illegal> {
    let Some(chain) = batch.state.chains.get(&id) else {
        return Ok(());
    };
    if !may_queue(chain) {
        return Ok(());
    }
    let Some(members) = members(chain) else {
        return Ok(());
    };
    let (Some(first), Some(last)) = (members.first(), members.last()) else {
        return Ok(());
    };
    let range = Range { start: first.range.start, end: last.range.end };
    let live = chain.aggs.values().find(|agg| agg.range.start == range.start);
    let replaced = match live {
        Some(agg) if may_grow(agg) && agg.range.end < range.end => Some(agg.id),
        Some(_) => return Ok(()),
        None => None,
    };
    let Some(terms) = chain.terms() else { return Ok(()) };
    let members = members.iter().map(|span| span.id.number).collect();
    let agg = UnitId::agg(id, chain.last_agg.saturating_add(1));
    if !batch.has_room() {
        return Ok(());
    }
    if let Some(shorter) = replaced {
        let detail = format!("{agg} reaches block {}", range.end);
        batch.unit(shorter, Invalidated { reason: InvalidReason::Replaced, detail })?;
    }
    batch.create(agg, agg, AggQueued { range, members, terms })
}

/// Whether a longer aggregate may take its place. One whose checkpoint was asked for and had to wait is left alone: each
/// longer one would wait for the L1 head of a newer member, and where spans come faster than that, for ever.
fn may_grow(agg: &Unit) -> bool {
    let waits_for_l1 = agg.agg_body().is_some_and(|body| body.refusals > 0);
    agg.phase == Phase::Queued && agg.attempt.0 == 1 && !waits_for_l1
}

fn may_queue(chain: &Chain) -> bool {
    contract_is_still(chain)
        && chain.anchor_agreed()
        && !chain.is_degraded()
        && !chain.is_optimistic()
        && chain.hold.config_ok == Some(true)
        && chain.is_approved()
}

/// The complete spans from the contract's latest block on, if they are enough for a submission.
fn members(chain: &Chain) -> Option<Vec<&Unit>> {
    let policy = chain.policy.as_ref()?;
    let latest = chain.contract.latest?.block;
    let next = chain.next_block()?;
    let cap = match chain.member_cap {
        0 => policy.max_members,
        cap => cap.min(policy.max_members),
    };
    let mut run = chain.provable_run(cap as usize);
    if run.last().is_some_and(|last| last.range.end < next) {
        // The cap is ours, the interval is the contract's: it wins. Where blocks are missing below, nothing is enough.
        if chain.coverage().contiguous_from(latest) < next {
            return None;
        }
        run = chain.provable_run(usize::MAX);
        let enough = run.iter().position(|span| span.range.end >= next)?;
        run.truncate(enough + 1);
        return Some(run);
    }
    let end = run.last()?.range.end;
    let reached = end.0.saturating_sub(latest.0) >= policy.threshold(chain.interval());
    let is_full = run.len() >= cap as usize;
    let flushed = chain.hold.flush_to.is_some_and(|to| end >= to || is_full);
    (end >= next && (reached || is_full || flushed)).then_some(run)
}

/// Ends aggregates that can no longer be submitted; what they cost is on record.
pub(super) fn drop_useless(batch: &mut Batch<'_>, id: ChainId) -> Result<(), Illegal> {
    let Some(chain) = batch.state.chains.get(&id) else {
        return Ok(());
    };
    let Some(latest) = chain.contract.latest else {
        return Ok(());
    };
    let useless: Vec<(UnitId, InvalidReason, String)> = chain
        .aggs
        .values()
        .filter_map(|agg| {
            why_useless(chain, agg, latest.block).map(|(reason, detail)| (agg.id, reason, detail))
        })
        .collect();
    for (agg, reason, detail) in useless {
        if !batch.has_room() {
            return Ok(());
        }
        batch.unit(agg, Invalidated { reason, detail })?;
    }
    Ok(())
}

fn why_useless(chain: &Chain, unit: &Unit, latest: L2Block) -> Option<(InvalidReason, String)> {
    let agg = unit.agg_body()?;
    if matches!(unit.phase, Phase::Included | Phase::Confirmed) || may_be_ours(chain, unit, agg) {
        return None;
    }
    if unit.range.start != latest {
        let detail = format!("it starts at block {}, the contract stands at {latest}", unit.range.start);
        return Some((InvalidReason::Superseded, detail));
    }
    if unit.phase == Phase::Submitting {
        return None;
    }
    let gone = agg
        .members
        .iter()
        .find(|member| chain.spans.get(*member).is_none_or(|span| span.phase != Phase::Complete));
    if let Some(member) = gone {
        let span = UnitId::span(chain.id, *member);
        return Some((InvalidReason::MemberGone, format!("{span} is not complete any more")));
    }
    let next = chain.next_block()?;
    (unit.range.end < next).then(|| {
        (
            InvalidReason::BelowNext,
            format!("it ends at block {}, the contract accepts {next} next", unit.range.end),
        )
    })
}

/// The contract stands where this submission would have put it: whether it was ours, its transaction will tell.
fn may_be_ours(chain: &Chain, unit: &Unit, agg: &AggBody) -> bool {
    let (Some(submission), Some(latest)) = (agg.submission, chain.contract.latest) else {
        return false;
    };
    unit.phase == Phase::Submitting
        && (agg.output_index.is_some() || (latest.block == unit.range.end && latest.root == submission.root))
}

/// The aggregate to request next. Aggregates have one slot of their own beside the limits of spans.
pub(super) fn ready_to_start(chain: &Chain, now: Micros) -> Option<&Unit> {
    if chain.index.aggs_in_flight > 0 {
        return None;
    }
    chain.aggs.values().filter(|unit| unit.phase == Phase::Ready && unit.not_before <= now).find(|unit| {
        may_start(chain, unit) && chain.called_until(unit.range).is_none_or(|until| until <= now)
    })
}

/// Whether a checkpointed aggregate may be requested: the contract is where it starts, its end is agreed, and the server
/// was compared with the contract since it could be.
pub(super) fn may_start(chain: &Chain, unit: &Unit) -> bool {
    chain.hold.config_at >= unit.since
        && contract_is_still(chain)
        && unit.agg_body().is_some_and(|agg| agg.end_root.is_some())
        && Some(unit.range.start) == chain.contract.latest.map(|latest| latest.block)
        && chain.next_block().is_some_and(|next| unit.range.end >= next)
}

/// Whether an aggregate waits for the server to be compared with the contract once more: it is the most expensive thing
/// to buy, and the server may be another one than a minute ago.
pub(crate) fn awaits_validation(chain: &Chain) -> bool {
    chain.aggs.values().any(|unit| unit.phase == Phase::Ready && chain.hold.config_at < unit.since)
}

/// The L1 block that a checkpoint for this aggregate must at least name.
pub(crate) fn checkpoint_bound(chain: &Chain, agg: &AggBody) -> L1Number {
    agg.members
        .iter()
        .filter_map(|member| chain.spans.get(member)?.proof.as_ref())
        .map(|proof| proof.l1_head.map_or(proof.l1_bound, |head| head.number))
        .max()
        .unwrap_or_default()
}
