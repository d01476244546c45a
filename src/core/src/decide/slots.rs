//! The life of a transaction after it left: pending, dropped, replaced, included, reverted, reorged, confirmed.
//!
//! Everything is decided on one read of the account at one L1 block. "Nobody knows it" is not "it failed": only a
//! nonce that has passed at confirmation depth ends a slot without a transaction of ours.

use prooflog_events::event::{
    AbandonReason, AggSettled, CheckpointLost, CheckpointLostReason, CheckpointStarted, NonceDrifted,
    ParkReason, Parked, ReplaceReason, Retried, SignerBalanceLow, SignerBalanceRestored, SubmissionAbandoned,
    SubmissionConfirmed, SubmissionReorged, SubmissionReverted, Submitted, TxAbandoned, TxConfirmed,
    TxDropped, TxIncluded, TxReorged, TxReserved, TxReverted,
};
use prooflog_events::ids::{Hash32, L1Number, SignerId, SlotId, TxVersion, UnitId, Wei};
use prooflog_events::input::{SignerRead, TxSeen, TxState};
use prooflog_events::policy::Policy;
use prooflog_events::values::{BroadcastOutcome, Call, Purpose, Refusal};
use prooflog_projections::state::Illegal;
use prooflog_projections::state::phase::{Phase, SlotPhase};
use prooflog_projections::state::slot::Slot;

use super::ceiling;
use super::sending::{after_refusal, bound_of, chain_of, fee_policy, is_held, replace};
use crate::batch::Batch;
use crate::rules::{
    TRANSFER_GAS, checkpoint_block, checkpoint_expired, clip, initial_fees, replacement_fees, retry_pause,
};

/// Times the resubmission pause that a slot may wait for its signature.
const UNSIGNED_PATIENCE: u64 = 5;

/// The account was read.
pub(super) fn read(batch: &mut Batch<'_>, input: &SignerRead) -> Result<(), Illegal> {
    let Some(signer) = batch.state.signers.get(&input.signer) else {
        return Ok(());
    };
    let open: Vec<SlotId> = signer.slots.values().map(|slot| slot.id).collect();
    balance(batch, input)?;
    if open.is_empty() {
        return drift(batch, input);
    }
    for slot in open {
        if !batch.has_room() {
            return Ok(());
        }
        follow(batch, input, slot)?;
    }
    fill_gap(batch, input)
}

/// A nonce below all of ours is unused at every depth (a deep reorg took its transaction): nothing of ours can be
/// included before an empty transfer uses it up.
fn fill_gap(batch: &mut Batch<'_>, input: &SignerRead) -> Result<(), Illegal> {
    let lowest = batch.state.signers.get(&input.signer).and_then(|signer| signer.slots.get_min());
    let Some(slot) = lowest.map(|(_, slot)| slot) else {
        return Ok(());
    };
    let Some(policy) = fee_policy(batch, slot.id) else {
        return Ok(());
    };
    let is_gap = input.nonce.head < slot.id.nonce && input.nonce.head == input.nonce.confirmed;
    let is_old = batch.now.secs_since(slot.since) >= policy.fees.resubmission_secs;
    if !is_gap || !is_old {
        return Ok(());
    }
    let blocked = slot.id;
    let fees = match initial_fees(&policy.fees, input.at.base_fee, input.at.tip) {
        Ok(fees) => fees,
        Err(dear) => return ceiling::not_raised(batch, blocked, (Purpose::Release, &input.at), dear),
    };
    let gap = SlotId { signer: input.signer, nonce: input.nonce.head };
    let call = Call { to: input.signer.address, value: Wei(0), calldata: Hash32::ZERO };
    let event = TxReserved { purpose: Purpose::Release, call, fees, gas_limit: TRANSFER_GAS };
    batch.slot(gap, Purpose::Release, event)
}

/// Warns of a balance below the limit, and takes the warning back: an account that could not pay for a transaction needs
/// what that asked for, even where the limit is lower.
fn balance(batch: &mut Batch<'_>, input: &SignerRead) -> Result<(), Illegal> {
    let Some(signer) = batch.state.signers.get(&input.signer) else {
        return Ok(());
    };
    let minimum = least_balance(batch, input.signer);
    match signer.low {
        None if input.balance < minimum => {
            batch.signer(input.signer, SignerBalanceLow { balance: input.balance, minimum })
        }
        Some(missed) if input.balance >= minimum.max(missed) => {
            batch.signer(input.signer, SignerBalanceRestored { balance: input.balance })
        }
        _ => Ok(()),
    }
}

/// The balance below which somebody wants to be warned: the highest limit of the rollups that the account serves.
pub(super) fn least_balance(batch: &Batch<'_>, signer: SignerId) -> Wei {
    batch
        .state
        .chains
        .values()
        .filter(|chain| chain.signer() == Some(signer))
        .filter_map(|chain| chain.policy.as_ref().map(|policy| policy.min_balance))
        .max()
        .unwrap_or_default()
}

/// Nothing of ours is open, and the nonce is lower than we left it, at every depth: a deep reorg took ours.
fn drift(batch: &mut Batch<'_>, input: &SignerRead) -> Result<(), Illegal> {
    let expected = batch.state.signers.get(&input.signer).and_then(|signer| signer.next);
    match expected {
        Some(expected) if input.nonce.head < expected && input.nonce.head == input.nonce.confirmed => {
            batch.signer(input.signer, NonceDrifted { expected, found: input.nonce.head })
        }
        _ => Ok(()),
    }
}

fn follow(batch: &mut Batch<'_>, input: &SignerRead, id: SlotId) -> Result<(), Illegal> {
    let Some(slot) = batch.state.slot(id) else {
        return Ok(());
    };
    let mined = input.txs.iter().find(|seen| seen.nonce == id.nonce && seen.included_in().is_some());
    let asked = slot
        .signed
        .iter()
        .all(|signed| input.txs.iter().any(|seen| seen.nonce == id.nonce && seen.version == signed.version));
    match (slot.mined, mined) {
        (Some(before), seen) if seen.and_then(TxSeen::included_in) != Some(before.block) => {
            // A read that did not ask for all versions says nothing about those it left out.
            if !asked {
                return Ok(());
            }
            reorged(batch, id)?;
            match seen {
                Some(seen) => included(batch, id, seen),
                None => Ok(()),
            }
        }
        (Some(before), _) => {
            let depth = input.at.block.number.0.saturating_sub(before.block.number.0);
            let Some(policy) = fee_policy(batch, id) else {
                return Ok(());
            };
            if depth >= policy.confirmations { confirm(batch, id, depth) } else { Ok(()) }
        }
        (None, Some(seen)) => included(batch, id, seen),
        (None, None) if asked && input.nonce.confirmed > id.nonce => {
            abandon(batch, id, AbandonReason::NonceTaken)
        }
        (None, None) => pending(batch, input, id),
    }
}

/// A version is in a block.
fn included(batch: &mut Batch<'_>, id: SlotId, seen: &TxSeen) -> Result<(), Illegal> {
    let Some(signed) = batch.state.slot(id).and_then(|slot| slot.signed_version(seen.version)).copied()
    else {
        return Ok(());
    };
    let TxState::Included { block, gas_used, fee_paid, reverted } = &seen.state else {
        return Ok(());
    };
    let (version, hash, block) = (seen.version, signed.hash, *block);
    let (gas_used, fee_paid) = (*gas_used, *fee_paid);
    let Some(refusal) = reverted else {
        batch.slot(id, signed.purpose, TxIncluded { version, hash, block, gas_used, fee_paid })?;
        if let Purpose::Submission { agg } = signed.purpose
            && carries(batch, agg, id)
            && let Some(root) = submission_root(batch, agg)
        {
            batch.unit(agg, Submitted { tx: hash, root, block })?;
        }
        return adopt_checkpoint(batch, id, signed.purpose);
    };
    let refusal = Refusal { class: refusal.class, text: clip(&refusal.text) };
    let event = TxReverted { version, hash, block, gas_used, fee_paid, refusal: refusal.clone() };
    batch.slot(id, signed.purpose, event)?;
    reverted_for(batch, id, signed.purpose, hash, refusal)
}

/// A checkpoint that had reverted succeeded after a reorg, or one that was replaced was included after all: if its
/// aggregate still waits for one, this is it, and nothing else has to be sent.
fn adopt_checkpoint(batch: &mut Batch<'_>, slot: SlotId, purpose: Purpose) -> Result<(), Illegal> {
    let Purpose::Checkpoint { agg, block } = purpose else { return Ok(()) };
    let bound = bound_of(batch, agg);
    let waits = batch.state.unit(agg).is_some_and(|unit| match unit.phase {
        Phase::Queued => true,
        Phase::Checkpointing => unit
            .agg_body()
            .and_then(|agg| agg.checkpoint)
            .is_some_and(|point| point.slot == Some(slot) && point.block != block),
        _ => false,
    });
    if waits && bound <= block {
        batch.unit(agg, CheckpointStarted { block, bound, slot })?;
    }
    Ok(())
}

/// What a revert means for the unit that the transaction was for.
fn reverted_for(
    batch: &mut Batch<'_>,
    id: SlotId,
    purpose: Purpose,
    tx: Hash32,
    refusal: Refusal,
) -> Result<(), Illegal> {
    match purpose {
        Purpose::Submission { agg } if carries(batch, agg, id) => {
            let Some(policy) = fee_policy(batch, id) else {
                return Ok(());
            };
            let reverts = batch.state.unit(agg).map_or(0, |unit| unit.streak).saturating_add(1);
            let not_before = batch.now.plus_secs(retry_pause(&policy, reverts));
            let (class, text) = (refusal.class, refusal.text.clone());
            batch.unit(agg, SubmissionReverted { tx, refusal, not_before })?;
            after_refusal(batch, agg, class, &text)?;
            park_after_reverts(batch, agg, &policy, &text)
        }
        Purpose::Checkpoint { agg, block } if carries(batch, agg, id) => {
            batch.unit(agg, CheckpointLost { block, reason: CheckpointLostReason::Reverted })?;
            let Some(policy) = fee_policy(batch, id) else {
                return Ok(());
            };
            park_after_reverts(batch, agg, &policy, &refusal.text)?;
            wait_after_revert(batch, agg, &policy)
        }
        _ => Ok(()),
    }
}

/// Each revert was paid for although the simulation before it passed: after as many as the budget allows, somebody must
/// look. The proof is kept.
fn park_after_reverts(
    batch: &mut Batch<'_>,
    agg: UnitId,
    policy: &Policy,
    text: &str,
) -> Result<(), Illegal> {
    let Some(unit) = batch.state.unit(agg) else {
        return Ok(());
    };
    let reverts = unit.streak;
    if !matches!(unit.phase, Phase::Queued | Phase::Complete) || reverts < policy.park_after {
        return Ok(());
    }
    let text = clip(&format!("{reverts} transactions in a row reverted, the last: {text}"));
    batch.unit(agg, Parked { reason: ParkReason::Budget, text })
}

/// Another checkpoint is not sent at once: what made this one revert may do so again.
fn wait_after_revert(batch: &mut Batch<'_>, agg: UnitId, policy: &Policy) -> Result<(), Illegal> {
    let Some(unit) = batch.state.unit(agg).filter(|unit| unit.phase == Phase::Queued) else {
        return Ok(());
    };
    let event = Retried {
        attempt: unit.attempt,
        not_before: batch.now.plus_secs(retry_pause(policy, unit.streak)),
        failures: unit.own_failures,
        budget_left: policy.park_after.saturating_sub(unit.streak),
    };
    batch.unit(agg, event)
}

fn reorged(batch: &mut Batch<'_>, id: SlotId) -> Result<(), Illegal> {
    let Some((mined, purpose)) =
        batch.state.slot(id).and_then(|slot| Some((slot.mined?, slot.mined_purpose()?)))
    else {
        return Ok(());
    };
    batch.slot(id, purpose, TxReorged { version: mined.version, block: mined.block })?;
    if let Purpose::Submission { agg } = purpose
        && carries(batch, agg, id)
        && batch.state.unit(agg).is_some_and(|unit| matches!(unit.phase, Phase::Included | Phase::Confirmed))
    {
        batch.unit(agg, SubmissionReorged { tx: mined.hash, block: mined.block })?;
    }
    Ok(())
}

/// Deep enough: the slot is closed.
fn confirm(batch: &mut Batch<'_>, id: SlotId, depth: u64) -> Result<(), Illegal> {
    let Some((mined, purpose)) =
        batch.state.slot(id).and_then(|slot| Some((slot.mined?, slot.mined_purpose()?)))
    else {
        return Ok(());
    };
    batch.slot(id, purpose, TxConfirmed { version: mined.version, block: mined.block })?;
    if let Purpose::Submission { agg } = purpose
        && carries(batch, agg, id)
        && batch.state.unit(agg).is_some_and(|unit| unit.phase == Phase::Included)
    {
        batch.unit(agg, SubmissionConfirmed { tx: mined.hash, block: mined.block, depth })?;
        let output_index = batch.state.unit(agg).and_then(|unit| unit.agg_body()?.output_index);
        batch.unit(agg, AggSettled { output_index })?;
    }
    Ok(())
}

fn abandon(batch: &mut Batch<'_>, id: SlotId, reason: AbandonReason) -> Result<(), Illegal> {
    let Some(purpose) = batch.state.slot(id).map(|slot| slot.purpose) else {
        return Ok(());
    };
    batch.slot(id, purpose, TxAbandoned { reason })?;
    give_back(batch, id, purpose)
}

/// The slot will not carry its purpose: whoever waited for it asks again.
fn give_back(batch: &mut Batch<'_>, id: SlotId, purpose: Purpose) -> Result<(), Illegal> {
    match purpose {
        Purpose::Submission { agg } if carries(batch, agg, id) => {
            batch.unit(agg, SubmissionAbandoned { slot: id })
        }
        Purpose::Checkpoint { agg, block } if carries(batch, agg, id) => {
            batch.unit(agg, CheckpointLost { block, reason: CheckpointLostReason::Abandoned })
        }
        _ => Ok(()),
    }
}

/// Nobody signs it: the signer is away, or what would be built differs from what was quoted, as when a bond changes.
/// The purpose is quoted afresh under whatever nonce is free then.
fn unsigned_too_long(
    batch: &mut Batch<'_>,
    id: SlotId,
    fees: prooflog_events::values::Fees,
) -> Result<(), Illegal> {
    let (Some(slot), Some(signer)) = (batch.state.slot(id), batch.state.signers.get(&id.signer)) else {
        return Ok(());
    };
    let is_last = signer.slots.get_max().is_some_and(|(nonce, _)| *nonce == id.nonce);
    let (purpose, is_free) = (slot.purpose, slot.signed.is_empty() && is_last);
    if is_free {
        return abandon(batch, id, AbandonReason::NeverSigned);
    }
    give_back(batch, id, purpose)?;
    replace(batch, id, ReplaceReason::PurposeGone, Purpose::Release, Some(fees))
}

/// Not in a block: is it still wanted, known, well paid and in time?
fn pending(batch: &mut Batch<'_>, input: &SignerRead, id: SlotId) -> Result<(), Illegal> {
    let (Some(slot), Some(policy)) = (batch.state.slot(id), fee_policy(batch, id)) else {
        return Ok(());
    };
    let (base_fee, tip) = (input.at.base_fee, input.at.tip);
    let raised = replacement_fees(&policy.fees, slot.fees, base_fee, tip);
    // What no pool holds need not be outbid.
    let next = if in_a_pool(input, slot) { raised } else { Ok(slot.fees) };
    if is_held(batch.state, slot) {
        return if slot.signed.is_empty() { abandon(batch, id, AbandonReason::NeverSigned) } else { Ok(()) };
    }
    if !purpose_lives(batch, slot, input.at.block.number) {
        return release(batch, id, next.unwrap_or(slot.fees));
    }
    if let Purpose::Checkpoint { agg, block } = slot.purpose
        && checkpoint_expired(block, input.at.block.number)
    {
        let fresh = checkpoint_block(bound_of(batch, agg), input.at.block.number);
        return match (fresh, next) {
            (Some(block), Err(dear)) => {
                let purpose = Purpose::Checkpoint { agg, block };
                ceiling::not_raised(batch, id, (purpose, &input.at), dear)
            }
            (Some(block), Ok(fees)) => {
                let bound = bound_of(batch, agg);
                batch.unit(agg, CheckpointStarted { block, bound, slot: id })?;
                let purpose = Purpose::Checkpoint { agg, block };
                replace(batch, id, ReplaceReason::StaleCheckpoint, purpose, Some(fees))
            }
            (None, _) => Ok(()),
        };
    }
    if slot.phase == SlotPhase::Unsigned
        && slot.purpose != Purpose::Release
        && batch.now.secs_since(slot.since) >= policy.fees.resubmission_secs.saturating_mul(UNSIGNED_PATIENCE)
    {
        return unsigned_too_long(batch, id, next.unwrap_or(slot.fees));
    }
    if slot.phase != SlotPhase::Broadcast {
        return Ok(());
    }
    let (purpose, newest) = (slot.purpose, slot.signed.last().map(|signed| signed.version));
    let is_taken = newest.is_some_and(|version| is_taken(input, slot, version));
    let is_stuck = is_taken && is_stuck(batch, input, slot, &policy);
    let since_sent = batch.now.secs_since(slot.last_sent);
    match raised {
        Ok(fees) if is_stuck => return replace(batch, id, ReplaceReason::Stuck, purpose, Some(fees)),
        Err(dear) if is_stuck => ceiling::not_raised(batch, id, (purpose, &input.at), dear)?,
        _ => {}
    }
    let unknown = newest.is_some_and(|version| is_seen_as(input, id, version, &TxState::Unknown));
    let patience = if is_taken {
        policy.fees.not_in_mempool_secs
    } else {
        policy.fees.not_in_mempool_secs.min(policy.fees.resubmission_secs)
    };
    if let Some(version) = newest
        && unknown
        && since_sent >= patience
    {
        return batch.slot(id, purpose, TxDropped { version });
    }
    Ok(())
}

/// Whether a higher fee may help the newest version: a pool holds it, asks for more before it takes it, or no block can
/// include it at what it pays. What a pool refused for another reason is sent again as it is: a higher fee cures nothing.
fn is_taken(input: &SignerRead, slot: &Slot, newest: TxVersion) -> bool {
    let may_be_dearer =
        matches!(slot.last_outcome, Some(BroadcastOutcome::Accepted | BroadcastOutcome::Underpriced));
    may_be_dearer
        || is_seen_as(input, slot.id, newest, &TxState::Pending)
        || slot.fees.max_fee < input.at.base_fee
}

/// Whether a pool may hold any version, as far as we were told: then another one must outbid it. A pool that holds one all
/// the same calls the next underpriced, and that is raised at once.
fn in_a_pool(input: &SignerRead, slot: &Slot) -> bool {
    let refused = matches!(
        slot.last_outcome,
        None | Some(BroadcastOutcome::Funds | BroadcastOutcome::Rejected | BroadcastOutcome::NonceTooLow)
    );
    let is_seen = |version| is_seen_as(input, slot.id, version, &TxState::Pending);
    !slot.signed.is_empty() && (!refused || slot.signed.iter().any(|signed| is_seen(signed.version)))
}

fn is_seen_as(input: &SignerRead, id: SlotId, version: TxVersion, state: &TxState) -> bool {
    input.txs.iter().any(|seen| seen.nonce == id.nonce && seen.version == version && seen.state == *state)
}

/// The lowest pending nonce is raised first; those behind it wait for it and not for a better fee.
fn is_stuck(batch: &Batch<'_>, input: &SignerRead, slot: &Slot, policy: &Policy) -> bool {
    id_is_next(input, slot) && batch.now.secs_since(slot.since) >= policy.fees.resubmission_secs
}

fn id_is_next(input: &SignerRead, slot: &Slot) -> bool {
    slot.id.nonce == input.nonce.head
}

/// The purpose is gone. A nonce that nothing was signed for is free again; otherwise an empty transfer uses it up.
fn release(batch: &mut Batch<'_>, id: SlotId, fees: prooflog_events::values::Fees) -> Result<(), Illegal> {
    let (Some(slot), Some(signer)) = (batch.state.slot(id), batch.state.signers.get(&id.signer)) else {
        return Ok(());
    };
    let is_last = signer.slots.get_max().is_some_and(|(nonce, _)| *nonce == id.nonce);
    if slot.signed.is_empty() && is_last {
        let purpose = slot.purpose;
        return batch.slot(id, purpose, TxAbandoned { reason: AbandonReason::NeverSigned });
    }
    replace(batch, id, ReplaceReason::PurposeGone, Purpose::Release, Some(fees))
}

/// Whether what the slot carries is still wanted.
fn purpose_lives(batch: &Batch<'_>, slot: &Slot, head: L1Number) -> bool {
    match slot.purpose {
        Purpose::Checkpoint { agg, .. } | Purpose::Submission { agg } => carries(batch, agg, slot.id),
        Purpose::Optimistic { block, .. } => {
            chain_of(&slot.purpose).and_then(|chain| batch.state.chains.get(&chain)).is_some_and(|chain| {
                // The contract does not take the hash of a block that it sees no more.
                let agreed = chain.roots.get(&block).map(|agreed| agreed.current_l1.number);
                super::contract::optimistic_block(chain) == Some(block)
                    && !agreed.is_some_and(|agreed| checkpoint_expired(agreed, head))
            })
        }
        Purpose::Release => true,
    }
}

/// Whether the aggregate waits for this slot.
fn carries(batch: &Batch<'_>, agg: UnitId, slot: SlotId) -> bool {
    let Some(unit) = batch.state.unit(agg) else {
        return false;
    };
    let Some(body) = unit.agg_body() else { return false };
    match unit.phase {
        Phase::Checkpointing => body.checkpoint.is_some_and(|point| point.slot == Some(slot)),
        Phase::Submitting | Phase::Included | Phase::Confirmed => {
            body.submission.is_some_and(|submission| submission.slot == slot)
        }
        _ => false,
    }
}

fn submission_root(batch: &Batch<'_>, agg: UnitId) -> Option<Hash32> {
    Some(batch.state.unit(agg)?.agg_body()?.submission?.root)
}
