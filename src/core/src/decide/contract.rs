//! What the contract says, and whether our rollup nodes and the prover's server agree with it.
//!
//! The contract, read at one pinned block, is the authority; everything of ours is a cache of it. It moves under us:
//! forwards by us or by others, backwards by reorgs and deletions.

use prooflog_events::event::{
    CheckpointLost, CheckpointLostReason, Checkpointed, ContractAdvanced, ContractConfigRejected,
    ContractConfigValidated, ContractConfirmed, ContractObserved, ContractRolledBack, InvalidReason,
    Invalidated, OutputChecked, OutputMismatched, Paused, PausedBy, RollbackCause,
};
use prooflog_events::ids::{ChainId, Hash32, UnitId};
use prooflog_events::input::{ContractRead, OutputRead, ServerValidated};
use prooflog_events::policy::AfterDeletion;
use prooflog_events::values::{Control, DegradedReason, Purpose};
use prooflog_projections::state::Illegal;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::phase::Phase;
use prooflog_projections::state::unit::Checkpoint;

use super::aggregates::awaits_validation;
use super::node::{enter, leave};
use super::planning::check_contract_ahead;
use crate::batch::Batch;
use crate::rules::{CLOCK_AHEAD_SECS, CLOCK_BEHIND_SECS, checkpoint_expired};

/// The contract was read.
pub(super) fn read(batch: &mut Batch<'_>, input: &ContractRead, behind_secs: u64) -> Result<(), Illegal> {
    let Some(chain) = batch.state.chains.get(&input.chain) else {
        return Ok(());
    };
    // An endpoint that lags behind what was seen already would look like a rollback.
    let is_stale = input.at.block.number < chain.contract.advanced_at.number
        || input.confirmed_at.number < chain.contract.confirmed_at;
    if chain.oracle() != input.oracle || is_stale {
        return Ok(());
    }
    check_clock(batch, input, behind_secs)?;
    let Some(chain) = batch.state.chains.get(&input.chain) else {
        return Ok(());
    };
    if chain.contract.values.as_ref() != Some(&input.values) {
        batch.chain(input.chain, ContractObserved { at: input.at.block, values: input.values.clone() })?;
    }
    latest(batch, input)?;
    confirmed(batch, input)?;
    match input.latest {
        None => {
            enter(batch, input.chain, DegradedReason::NoAnchor, "the contract holds no output to start from")?
        }
        Some(_) => leave(batch, input.chain, DegradedReason::NoAnchor)?,
    }
    check_contract_ahead(batch, input.chain)?;
    checkpoints(batch, input)?;
    non_canonical(batch, input)
}

fn check_clock(batch: &mut Batch<'_>, input: &ContractRead, behind_secs: u64) -> Result<(), Illegal> {
    let ahead = batch.now.secs_since(input.at.time);
    if ahead > CLOCK_AHEAD_SECS {
        let detail = format!("the clock is {ahead} s ahead of the last L1 block");
        return enter(batch, input.chain, DegradedReason::Clock, &detail);
    }
    if behind_secs <= CLOCK_BEHIND_SECS {
        leave(batch, input.chain, DegradedReason::Clock)?;
    }
    Ok(())
}

/// The latest output at the head: advanced, or rolled back.
fn latest(batch: &mut Batch<'_>, input: &ContractRead) -> Result<(), Illegal> {
    let Some(chain) = batch.state.chains.get(&input.chain) else {
        return Ok(());
    };
    let before = chain.contract.latest;
    if before == input.latest {
        return Ok(());
    }
    let advanced = match (before, input.latest) {
        (None, Some(now)) => Some(now),
        (Some(before), Some(now)) => (now.block > before.block).then_some(now),
        (_, None) => None,
    };
    let Some(latest) = advanced else {
        return rolled_back(batch, input);
    };
    let (tx, sender) = input.latest_by.unzip();
    let event = ContractAdvanced { at: input.at.block, latest, tx, sender, ours: ours(batch, chain, tx) };
    batch.chain(input.chain, event)?;
    // Nobody saw the contract lower, because another output came above those that were deleted.
    if input.outputs_deleted { hold_after_deletion(batch, input.chain) } else { Ok(()) }
}

/// Number of our aggregate whose transaction set the latest output.
fn ours(batch: &Batch<'_>, chain: &Chain, tx: Option<Hash32>) -> Option<u64> {
    let tx = tx?;
    chain
        .aggs
        .values()
        .find(|unit| {
            let Some(submission) = unit.agg_body().and_then(|agg| agg.submission) else {
                return false;
            };
            let is_signed = batch
                .state
                .slot(submission.slot)
                .is_some_and(|slot| slot.signed.iter().any(|signed| signed.hash == tx));
            is_signed || submission.included.is_some_and(|(hash, _)| hash == tx)
        })
        .map(|unit| unit.id.number)
}

fn rolled_back(batch: &mut Batch<'_>, input: &ContractRead) -> Result<(), Illegal> {
    let cause = if input.outputs_deleted { RollbackCause::OutputsDeleted } else { RollbackCause::Reorg };
    let event = ContractRolledBack { at: input.at.block, latest: input.latest, cause };
    batch.chain(input.chain, event)?;
    if input.outputs_deleted { hold_after_deletion(batch, input.chain) } else { Ok(()) }
}

fn hold_after_deletion(batch: &mut Batch<'_>, id: ChainId) -> Result<(), Illegal> {
    let Some(chain) = batch.state.chains.get(&id) else {
        return Ok(());
    };
    let hold = chain.policy.as_ref().is_some_and(|policy| policy.after_deletion == AfterDeletion::Hold);
    if hold && !chain.is_paused(Control::Submitting) {
        let note =
            "outputs were deleted: the challenger's emergency brake; resume when it is understood".to_owned();
        batch.chain(id, Paused { control: Control::Submitting, by: PausedBy::OutputsDeleted, note })?;
    }
    Ok(())
}

fn confirmed(batch: &mut Batch<'_>, input: &ContractRead) -> Result<(), Illegal> {
    let known = batch.state.chains.get(&input.chain).and_then(|chain| chain.contract.confirmed);
    if known == input.confirmed {
        return Ok(());
    }
    batch.chain(input.chain, ContractConfirmed { at: input.confirmed_at, latest: input.confirmed })
}

/// Checkpoints as the contract holds them at confirmation depth: inclusion proves nothing, this does.
fn checkpoints(batch: &mut Batch<'_>, input: &ContractRead) -> Result<(), Illegal> {
    let Some(chain) = batch.state.chains.get(&input.chain) else {
        return Ok(());
    };
    let waiting: Vec<_> = chain
        .aggs
        .values()
        .filter_map(|unit| Some((unit.id, unit.phase, unit.agg_body()?.checkpoint?)))
        .filter(|(_, _, point)| input.checkpoints.iter().any(|seen| seen.number == point.block))
        .collect();
    for (agg, phase, point) in waiting {
        if !batch.has_room() {
            return Ok(());
        }
        let found = input.checkpoint(point.block);
        match (phase, point.hash, found) {
            (Phase::Checkpointing, None, Some(hash)) => {
                let block = prooflog_events::ids::L1Ref { number: point.block, hash };
                batch.unit(agg, Checkpointed { block, at: input.confirmed_at })?;
            }
            // A deep reorg took a transaction whose slot is closed: nothing carries the checkpoint any more.
            (Phase::Checkpointing, None, None)
                if checkpoint_expired(point.block, input.at.block.number)
                    && !is_carried(batch, agg, point) =>
            {
                let reason = CheckpointLostReason::Reorged;
                batch.unit(agg, CheckpointLost { block: point.block, reason })?;
            }
            (
                Phase::Ready
                | Phase::WitnessGen
                | Phase::Requested
                | Phase::Assigned
                | Phase::Complete
                | Phase::Parked,
                Some(held),
                found,
            ) if found != Some(held) => {
                batch.unit(
                    agg,
                    CheckpointLost { block: point.block, reason: CheckpointLostReason::Reorged },
                )?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether an open slot is still for an aggregate's checkpoint.
fn is_carried(batch: &Batch<'_>, agg: UnitId, point: Checkpoint) -> bool {
    let slot = point.slot.and_then(|slot| batch.state.slot(slot));
    slot.is_some_and(|slot| matches!(slot.purpose, Purpose::Checkpoint { agg: of, .. } if of == agg))
}

/// Complete spans whose L1 head is on no canonical chain any more: no aggregate can contain them.
fn non_canonical(batch: &mut Batch<'_>, input: &ContractRead) -> Result<(), Illegal> {
    if input.canonical.is_empty() {
        return Ok(());
    }
    let Some(chain) = batch.state.chains.get(&input.chain) else {
        return Ok(());
    };
    let orphaned: Vec<UnitId> = chain
        .spans
        .values()
        .filter(|span| span.phase == Phase::Complete)
        .filter(|span| {
            let Some(head) = span.proof.as_ref().and_then(|proof| proof.l1_head) else {
                return false;
            };
            input.canonical.iter().any(|block| block.number == head.number && block.hash != head.hash)
        })
        .map(|span| span.id)
        .collect();
    for span in orphaned {
        if !batch.has_room() {
            return Ok(());
        }
        let detail = "its L1 head was reorged away".to_owned();
        batch.unit(span, Invalidated { reason: InvalidReason::NonCanonical, detail })?;
    }
    Ok(())
}

/// The rollup nodes were asked for an output root: of the contract's latest block, or of an aggregate's end.
pub(super) fn output(batch: &mut Batch<'_>, input: &OutputRead) -> Result<(), Illegal> {
    let Some(chain) = batch.state.chains.get(&input.chain) else {
        return Ok(());
    };
    let mut answers = input.nodes.iter().filter_map(|node| node.root);
    // An unreachable node is not a difference.
    let Some(root) = answers.next() else { return Ok(()) };
    let nodes_agree = answers.all(|other| other == root);
    let contract =
        chain.contract.latest.filter(|latest| latest.block == input.block).map(|latest| latest.root);
    let agrees = nodes_agree && contract.is_none_or(|contract| contract == root);
    let aggs: Vec<UnitId> = chain
        .aggs
        .values()
        .filter(|unit| unit.range.end == input.block && !matches!(unit.phase, Phase::Failed))
        .filter(|unit| !matches!(unit.phase, Phase::Parked))
        .map(|unit| unit.id)
        .collect();
    if !agrees {
        return disagree(batch, input, contract, aggs.first().copied());
    }
    let known = chain.agreed_root(input.block);
    let checked =
        OutputChecked { block: input.block, root, current_l1: input.current_l1, nodes: input.nodes.clone() };
    // Without a proof there is nothing but the nodes' word: each of them must have spoken.
    let all_answered = input.nodes.iter().all(|node| node.root.is_some());
    let is_due = batch.now >= chain.hold.refused_until && Some(input.block) == optimistic_block(chain);
    let is_wanted = contract.is_some() || (all_answered && is_due);
    if is_wanted && known != Some(root) {
        batch.chain(input.chain, checked.clone())?;
    }
    for agg in aggs {
        let Some(unit) = batch.state.unit(agg) else {
            continue;
        };
        let Some(body) = unit.agg_body() else { continue };
        match body.end_root {
            Some((agreed, _)) if agreed != root => root_changed(batch, agg)?,
            Some((_, at)) if at >= unit.since || unit.phase != Phase::Complete => {}
            _ => batch.unit(agg, checked.clone())?,
        }
    }
    // Agreement on one block says nothing of another: the contract's latest output must be agreed as well.
    if batch.state.chains.get(&input.chain).is_some_and(Chain::anchor_agreed) {
        leave(batch, input.chain, DegradedReason::RootMismatch)?;
    }
    Ok(())
}

fn disagree(
    batch: &mut Batch<'_>,
    input: &OutputRead,
    contract: Option<Hash32>,
    agg: Option<UnitId>,
) -> Result<(), Illegal> {
    let already = batch
        .state
        .chains
        .get(&input.chain)
        .is_some_and(|chain| chain.hold.degraded.contains_key(&DegradedReason::RootMismatch));
    if already {
        return Ok(());
    }
    let event = OutputMismatched { block: input.block, contract, nodes: input.nodes.clone() };
    let mut roots: Vec<String> =
        input.nodes.iter().filter_map(|node| Some(format!("{} says {}", node.node, node.root?))).collect();
    roots.extend(contract.map(|root| format!("the contract says {root}")));
    match agg {
        Some(agg) if contract.is_none() => batch.unit(agg, event)?,
        _ => batch.chain(input.chain, event)?,
    }
    let detail = format!("output root of block {}: {}", input.block, roots.join(", "));
    enter(batch, input.chain, DegradedReason::RootMismatch, &detail)
}

/// The finalized chain has another root at the end of an aggregate than when it was agreed: its proof is of no use, and
/// where the chain became another one nobody knows, so neither are those of its members.
fn root_changed(batch: &mut Batch<'_>, agg: UnitId) -> Result<(), Illegal> {
    let Some(unit) = batch.state.unit(agg) else {
        return Ok(());
    };
    if !matches!(unit.phase, Phase::Queued | Phase::Checkpointing | Phase::Ready | Phase::Complete) {
        return Ok(());
    }
    let members = unit.agg_body().map(|body| body.members.clone()).unwrap_or_default();
    let detail = format!("block {} has another output root now", unit.range.end);
    batch.unit(agg, Invalidated { reason: InvalidReason::RootChanged, detail: detail.clone() })?;
    for span in members.into_iter().map(|number| UnitId::span(agg.chain, number)) {
        if batch.state.unit(span).is_some_and(|span| span.phase == Phase::Complete) {
            batch.unit(span, Invalidated { reason: InvalidReason::RootChanged, detail: detail.clone() })?;
        }
    }
    Ok(())
}

/// The block that optimistic mode submits next, if the policy is to submit.
pub(crate) fn optimistic_block(chain: &Chain) -> Option<prooflog_events::ids::L2Block> {
    use prooflog_events::policy::OptimisticPolicy;
    let policy = chain.policy.as_ref()?;
    let next = chain.next_block()?;
    let is_final = chain.finalized.is_some_and(|head| head.block >= next);
    (chain.is_optimistic() && policy.optimistic == OptimisticPolicy::Submit && is_final).then_some(next)
}

/// The prover's server compared its commitments with the contract's.
pub(super) fn validated(batch: &mut Batch<'_>, input: &ServerValidated) -> Result<(), Illegal> {
    let Some(chain) = batch.state.chains.get(&input.chain) else {
        return Ok(());
    };
    let ok = input.rollup_config_ok && input.agg_vkey_ok && input.range_vkey_ok;
    match (chain.hold.config_ok, ok) {
        (Some(true), true) if awaits_validation(chain) => {
            batch.chain(input.chain, ContractConfigValidated {})
        }
        (Some(known), now) if known == now => Ok(()),
        (_, true) => batch.chain(input.chain, ContractConfigValidated {}),
        (_, false) => batch.chain(
            input.chain,
            ContractConfigRejected {
                rollup_config_ok: input.rollup_config_ok,
                agg_vkey_ok: input.agg_vkey_ok,
                range_vkey_ok: input.range_vkey_ok,
            },
        ),
    }
}
