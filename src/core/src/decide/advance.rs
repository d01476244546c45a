//! What can be done next: run after every input, so that nothing waits for a tick.
//!
//! Order: ends before beginnings, aggregates before spans, lower blocks first. Each step looks for room in the batch
//! first; what does not fit is done on the next input (`Decision::more`).

use prooflog_events::event::{
    FinalizedStalled, InvalidReason, Invalidated, ProofPruned, Restored, SpanSettled, WitnessGenStarted,
};
use prooflog_events::ids::{ChainId, L2Block, Micros, Range, UnitId, UnitKind};
use prooflog_events::input::Input;
use prooflog_events::values::{BlobRef, Control};
use prooflog_projections::state::Illegal;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::phase::Phase;
use prooflog_projections::state::unit::Unit;

use super::{aggregates, node, planning, proving};
use crate::batch::{Batch, MAX_EVENTS};
use crate::rules::witness_deadline;

/// Units that are held back from pruning which are looked at before the others wait: each input looks at them again.
const HELD_LOOKS: usize = 64;

/// Does everything that the state allows now for the rollups that the input may have changed.
pub(super) fn advance(batch: &mut Batch<'_>, input: &Input) -> Result<(), Illegal> {
    node::end_open_calls(batch)?;
    let Some(chains) = chains_of(input) else {
        let chains: Vec<ChainId> = batch.state.chains.keys().copied().collect();
        chains.into_iter().try_for_each(|chain| advance_chain(batch, chain))?;
        return start_fairly(batch, |_| true);
    };
    chains.iter().try_for_each(|chain| advance_chain(batch, *chain))?;
    let account = |chain| batch.state.chains.get(chain).and_then(account_of).map(str::to_owned);
    let accounts: Vec<String> = chains.iter().filter_map(account).collect();
    if accounts.is_empty() {
        return Ok(());
    }
    start_fairly(batch, |account| accounts.iter().any(|touched| touched == account))
}

/// The rollups that an input concerns; `None` when it may concern all.
fn chains_of(input: &Input) -> Option<Vec<ChainId>> {
    match input {
        Input::TimerDue(timer) => (!timer.chains.is_empty()).then(|| timer.chains.clone()),
        input => chain_of(input).map(|chain| vec![chain]),
    }
}

fn chain_of(input: &Input) -> Option<ChainId> {
    use prooflog_events::values::Purpose;
    match input {
        Input::ChainConfigured(i) => Some(i.chain),
        Input::NodeRead(i) => Some(i.chain),
        Input::BlocksRead(i) => Some(i.chain),
        Input::OutputRead(i) => Some(i.chain),
        Input::ContractRead(i) => Some(i.chain),
        Input::ServerValidated(i) => Some(i.chain),
        Input::WitnessAnswered(i) => Some(i.unit.chain),
        Input::MembersRefused(i) => Some(i.unit.chain),
        Input::StatusAnswered(i) => Some(i.unit.chain),
        Input::TxQuoted(i) => match i.purpose {
            Purpose::Checkpoint { agg, .. } | Purpose::Submission { agg } => Some(agg.chain),
            Purpose::Optimistic { chain, .. } => Some(chain),
            Purpose::Release => None,
        },
        _ => None,
    }
}

/// Fills what accounts have free, whoever gave it back: the rollup with the oldest unsettled block first, or the one
/// whose proofs end most often would keep the others out for ever.
fn start_fairly(batch: &mut Batch<'_>, is_meant: impl Fn(&str) -> bool) -> Result<(), Illegal> {
    let mut waiting: Vec<(Micros, ChainId)> = batch
        .state
        .chains
        .values()
        .filter(|chain| account_of(chain).is_some_and(&is_meant) && !chain.index.ready.is_empty())
        .map(|chain| (chain.contract.advanced, chain.id))
        .collect();
    waiting.sort_unstable();
    waiting.into_iter().try_for_each(|(_, chain)| start_ready(batch, chain))
}

/// The account whose limit a rollup shares with others.
fn account_of(chain: &Chain) -> Option<&str> {
    let policy = chain.policy.as_ref()?;
    (!policy.prover_account.is_empty() && policy.account_in_flight > 0)
        .then_some(policy.prover_account.as_str())
}

fn advance_chain(batch: &mut Batch<'_>, id: ChainId) -> Result<(), Illegal> {
    if batch.state.chains.get(&id).is_none_or(|chain| chain.policy.is_none()) {
        return Ok(());
    }
    proving::expire(batch, id)?;
    stall(batch, id)?;
    settle(batch, id)?;
    drop_outdated(batch, id)?;
    aggregates::drop_useless(batch, id)?;
    restore(batch, id)?;
    planning::plan_spans(batch, id)?;
    aggregates::queue(batch, id)?;
    if batch.state.chains.get(&id).is_some_and(|chain| account_of(chain).is_none()) {
        start_ready(batch, id)?;
    }
    prune(batch, id)
}

fn stall(batch: &mut Batch<'_>, id: ChainId) -> Result<(), Illegal> {
    let Some(chain) = batch.state.chains.get(&id) else {
        return Ok(());
    };
    let (Some(head), Some(policy)) = (chain.finalized, &chain.policy) else {
        return Ok(());
    };
    if !head.stalled && batch.now >= head.since.plus_secs(policy.stall_after_secs) && batch.has_room() {
        batch.chain(id, FinalizedStalled { block: head.block, since: head.since })?;
    }
    Ok(())
}

/// Spans at or below the contract's latest block are settled; one that it cuts in two is of no use.
fn settle(batch: &mut Batch<'_>, id: ChainId) -> Result<(), Illegal> {
    loop {
        let Some(chain) = batch.state.chains.get(&id) else {
            return Ok(());
        };
        let Some(latest) = chain.contract.latest else {
            return Ok(());
        };
        let below = Range { start: L2Block(0), end: latest.block };
        let Some(span) = chain.spans_starting_in(below).next() else {
            return Ok(());
        };
        let (span_id, end) = (span.id, span.range.end);
        let agg = settled_by(chain, span);
        if !batch.has_room() {
            return Ok(());
        }
        if end <= latest.block {
            batch.unit(span_id, SpanSettled { output_index: latest.index, agg })?;
        } else {
            let detail = format!("the contract stands at block {}", latest.block);
            batch.unit(span_id, Invalidated { reason: InvalidReason::Straddles, detail })?;
        }
    }
}

/// Number of our aggregate that settled a span, if the contract's latest output is ours.
fn settled_by(chain: &Chain, span: &Unit) -> Option<u64> {
    chain
        .aggs
        .values()
        .find(|unit| {
            unit.agg_body()
                .is_some_and(|agg| agg.output_index.is_some() && agg.members.contains(&span.id.number))
        })
        .map(|unit| unit.id.number)
}

/// What is proven under commitments that the contract no longer accepts is of no use.
fn drop_outdated(batch: &mut Batch<'_>, id: ChainId) -> Result<(), Illegal> {
    let outdated: Vec<UnitId> = match batch.state.chains.get(&id) {
        Some(chain) if !chain.index.outdated.is_empty() => chain.index.outdated.iter().copied().collect(),
        _ => return Ok(()),
    };
    for unit in outdated {
        let Some(phase) = batch.state.unit(unit).map(|unit| unit.phase) else {
            continue;
        };
        // A submission that is in a block, or may be, is judged by the contract and not by us.
        if matches!(phase, Phase::Included | Phase::Confirmed) {
            continue;
        }
        if !batch.has_room() {
            return Ok(());
        }
        let detail = "the contract accepts other commitments now".to_owned();
        batch.unit(unit, Invalidated { reason: InvalidReason::Commitments, detail })?;
    }
    Ok(())
}

/// Proofs that fit into the lowest hole are of use again, after the contract moved back or its commitments came back; so are
/// requests that were set aside meanwhile.
fn restore(batch: &mut Batch<'_>, id: ChainId) -> Result<(), Illegal> {
    loop {
        let Some(chain) = batch.state.chains.get(&id) else {
            return Ok(());
        };
        if chain.index.restorable.is_empty() && chain.set_aside.is_empty() {
            return Ok(());
        }
        let (Some(latest), Some(commitments)) = (chain.contract.latest, chain.commitments()) else {
            return Ok(());
        };
        let fits = restorable_span(chain, latest.block, &commitments)
            .or_else(|| aside_span(chain, latest.block, &commitments))
            .or_else(|| restorable_agg(chain, latest.block));
        let Some(unit) = fits else { return Ok(()) };
        if !batch.has_room() {
            return Ok(());
        }
        batch.unit(unit, Restored { latest: latest.block })?;
    }
}

fn restorable_span(
    chain: &Chain,
    latest: L2Block,
    commitments: &prooflog_events::values::Commitments,
) -> Option<UnitId> {
    let mut gaps_from = latest;
    // Holes are few; each is looked at once per call.
    while let Some(gap) = chain.coverage().first_gap(gaps_from, chain.finalized?.block) {
        let from = (gap.start, UnitId { chain: chain.id, kind: UnitKind::Agg, number: 0 });
        let fits = chain
            .index
            .restorable
            .range(from..)
            .take_while(|(start, _)| *start < gap.end)
            .filter_map(|(_, id)| chain.retired.get(id))
            .find(|unit| unit.is_span() && unit.range.end <= gap.end && unit.commitments() == *commitments);
        if let Some(unit) = fits {
            return Some(unit.id);
        }
        gaps_from = gap.end;
    }
    None
}

/// A span whose proof is paid for and still to come, where nothing else covers its blocks.
fn aside_span(
    chain: &Chain,
    latest: L2Block,
    commitments: &prooflog_events::values::Commitments,
) -> Option<UnitId> {
    let fits = |unit: &&Unit| {
        let (start, end) = (unit.range.start, unit.range.end);
        unit.is_span()
            && unit.commitments() == *commitments
            && start >= latest
            && chain.coverage().first_gap(start, end) == Some(unit.range)
    };
    chain.set_aside.values().find(fits).map(|unit| unit.id)
}

fn restorable_agg(chain: &Chain, latest: L2Block) -> Option<UnitId> {
    if chain.aggs.values().any(|agg| agg.range.start == latest) {
        return None;
    }
    let terms = chain.terms()?;
    let from = (latest, UnitId { chain: chain.id, kind: UnitKind::Agg, number: 0 });
    chain
        .index
        .restorable
        .range(from..)
        .take_while(|(start, _)| *start == latest)
        .filter_map(|(_, id)| chain.retired.get(id))
        .chain(chain.set_aside.values().filter(|unit| unit.range.start == latest))
        .filter(|unit| {
            unit.agg_body().is_some_and(|agg| {
                agg.terms == prooflog_events::values::AggTerms { prover: agg.terms.prover, ..terms }
                    && agg.members.iter().all(|member| {
                        chain.spans.get(member).is_some_and(|span| span.phase == Phase::Complete)
                    })
            }) && Some(unit.range.end) >= chain.next_block()
        })
        .max_by_key(|unit| unit.range.end)
        .map(|unit| unit.id)
}

/// Fills all free capacity in one pass: aggregates first, then the lowest blocks.
pub(super) fn start_ready(batch: &mut Batch<'_>, id: ChainId) -> Result<(), Illegal> {
    loop {
        let Some(chain) = batch.state.chains.get(&id) else {
            return Ok(());
        };
        if chain.index.ready.is_empty() || !may_request(chain, batch.now) {
            return Ok(());
        }
        let Some(unit) = next_to_start(batch, chain) else {
            return Ok(());
        };
        let Some(policy) = &chain.policy else {
            return Ok(());
        };
        let event = WitnessGenStarted {
            attempt: unit.attempt,
            try_number: unit.try_number,
            deadline: witness_deadline(policy, batch.now),
        };
        let unit = unit.id;
        if !batch.has_room() {
            return Ok(());
        }
        batch.unit(unit, event)?;
    }
}

/// Whether anything that costs prover money may be started for the rollup now. Proofs that our account may not submit are
/// not bought.
fn may_request(chain: &Chain, now: Micros) -> bool {
    chain.may(Control::Proving)
        && chain.is_approved()
        && !chain.is_degraded()
        && !chain.is_optimistic()
        && chain.hold.config_ok == Some(true)
        && chain.anchor_agreed()
        && now >= chain.prover.not_before
}

/// The unit to start next, if the limits leave room for it.
fn next_to_start<'a>(batch: &Batch<'_>, chain: &'a Chain) -> Option<&'a Unit> {
    let policy = chain.policy.as_ref()?;
    let span_fits = || {
        chain.index.in_witness < policy.max_witness_in_flight
            && chain.index.spans_in_flight < policy.max_proofs_in_flight
            && account_has_room(batch, chain)
    };
    if let Some((since, _)) = chain.prover.degraded {
        // One probe at a time, and not the unit that failed last while there is another. What was under way when the
        // prover failed is no probe: it may take hours, and says nothing of whether new requests are taken again.
        let due = |unit: &&Unit| startable(chain, unit, batch.now);
        let candidates = || chain.index.ready.iter().filter_map(|(_, id)| chain.unit(*id)).filter(due);
        let other = candidates().find(|unit| Some(unit.id) != chain.prover.last_failed);
        let probe = other.or_else(|| candidates().next())?;
        let mut busy = chain.index.due.iter().filter_map(|(_, id)| chain.unit(*id));
        let is_probing = busy.any(|unit| unit.phase.is_in_flight() && unit.started > since);
        let has_room = if probe.is_span() { span_fits() } else { chain.index.aggs_in_flight == 0 };
        return (!is_probing && has_room).then_some(probe);
    }
    if let Some(agg) = aggregates::ready_to_start(chain, batch.now) {
        return Some(agg);
    }
    if !span_fits() {
        return None;
    }
    chain
        .index
        .ready
        .iter()
        .filter(|(_, id)| id.kind == UnitKind::Span)
        .filter_map(|(_, id)| chain.unit(*id))
        .find(|unit| startable(chain, unit, batch.now))
}

/// Whether a ready unit may start now: an aggregate once its end is agreed, a span inside the window above the contract;
/// neither while the server may be at an older call for the same blocks.
fn startable(chain: &Chain, unit: &Unit, now: Micros) -> bool {
    let is_free = chain.called_until(unit.range).is_none_or(|until| until <= now);
    is_free
        && unit.not_before <= now
        && match unit.id.kind {
            UnitKind::Agg => aggregates::may_start(chain, unit),
            UnitKind::Span => planning::window_end(chain).is_some_and(|end| unit.range.start < end),
        }
}

fn account_has_room(batch: &Batch<'_>, chain: &Chain) -> bool {
    let Some(policy) = &chain.policy else { return false };
    let Some(account) = account_of(chain) else { return true };
    let used: u32 = batch
        .state
        .chains
        .values()
        .filter(|other| other.policy.as_ref().is_some_and(|policy| policy.prover_account == account))
        .map(|other| other.index.spans_in_flight)
        .fold(0, u32::saturating_add);
    used < policy.account_in_flight
}

/// Proof bytes that were kept long enough are given up, unless another unit still names the same bytes.
fn prune(batch: &mut Batch<'_>, id: ChainId) -> Result<(), Illegal> {
    let Some(chain) = batch.state.chains.get(&id) else {
        return Ok(());
    };
    let Some(kept_secs) = proofs_kept_secs(chain) else {
        return Ok(());
    };
    for (unit, proof) in prunable(chain, kept_secs, batch.now) {
        if !batch.has_room() {
            return Ok(());
        }
        batch.unit(unit, ProofPruned { proof, kept_secs })?;
        if !proof.is_empty() && !batch.state.names_proof(proof.sha256) {
            batch.forget(proof);
        }
    }
    Ok(())
}

/// How long the proofs of units that are over are kept at least.
pub(crate) fn proofs_kept_secs(chain: &Chain) -> Option<u64> {
    let final_secs = chain.contract.values.as_ref().map_or(0, |values| values.finalization_secs);
    Some(chain.policy.as_ref()?.keep_proofs_secs.max(final_secs))
}

/// Units whose proofs were kept long enough, the longest first, as many as a batch can take. One that is held back holds
/// back no other; behind very many of them, the rest waits for the next input that frees some.
fn prunable(chain: &Chain, kept_secs: u64, now: Micros) -> Vec<(UnitId, BlobRef)> {
    // However short they are to be kept: until the settling output is confirmed, a reorg may ask for them again.
    let confirmed = chain.contract.confirmed.map_or(L2Block(0), |confirmed| confirmed.block);
    let is_held = |unit: &Unit| unit.phase == Phase::Settled && confirmed < unit.range.end;
    let due = chain.index.retired.iter().take_while(|(since, _)| now >= since.plus_secs(kept_secs));
    let (mut found, mut held) = (Vec::new(), 0);
    for unit in due.filter_map(|(_, id)| chain.retired.get(id)) {
        match &unit.proof {
            Some(proof) if !is_held(unit) => found.push((unit.id, proof.blob)),
            _ => held += 1,
        }
        if held >= HELD_LOOKS || found.len() >= MAX_EVENTS {
            break;
        }
    }
    found
}
