//! Sending: from a simulated call to signed bytes at an endpoint.
//!
//! A nonce is given to one purpose at a time, its signed bytes are on disk before they leave, and what the simulation
//! refuses is never signed.

use prooflog_events::event::{
    CheckpointLost, CheckpointLostReason, CheckpointStarted, NonceDrifted, ParkReason, Parked, ReplaceReason,
    SignerBalanceLow, SignerBalanceRestored, SubmissionRefused, SubmissionStarted, TxBroadcast, TxPrepared,
    TxReplaced, TxReserved,
};
use prooflog_events::ids::{
    ChainId, Hash32, L1Number, L2Block, Micros, Nonce, SignerId, SlotId, UnitId, Wei,
};
use prooflog_events::input::{QuoteOutcome, TxQuoted, TxSent, TxSigned};
use prooflog_events::policy::Policy;
use prooflog_events::values::{
    BroadcastOutcome, Call, Control, DegradedReason, Fees, Purpose, Refusal, RefusalClass,
};
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::phase::{Phase, SlotPhase};
use prooflog_projections::state::slot::{Signer, Slot};
use prooflog_projections::state::unit::Unit;
use prooflog_projections::state::{Illegal, State};

use super::contract::optimistic_block;
use super::slots::least_balance;
use super::turns::is_kept_for_others;
use super::{aggregates, ceiling};
use crate::batch::Batch;
use crate::rules::{
    checkpoint_block, clip, gas_limit, initial_fees, is_too_old_to_name, replacement_fees, retry_pause,
};

/// Pause after "not visible yet", in seconds: one L1 block.
const NEXT_BLOCK_SECS: u64 = 12;

/// Whether transactions may be started for the rollup now. A full disk stops proving and not the few events that a
/// submission takes.
pub(crate) fn may_send(chain: &Chain) -> bool {
    chain.may(Control::Submitting)
        && chain.hold.degraded.keys().all(|reason| *reason == DegradedReason::Disk)
        && chain.anchor_agreed()
        && chain.is_approved()
}

/// Whether a slot's transaction is held back because its rollup's submitting is paused. It is not if another purpose
/// waits behind it: a nonce is everybody's of the account. Where we only observe, nothing is sent at all.
pub(crate) fn is_held(state: &State, slot: &Slot) -> bool {
    let chain = chain_of(&slot.purpose).and_then(|chain| state.chains.get(&chain));
    chain.and_then(|chain| chain.policy.as_ref()).is_some_and(|policy| policy.observe)
        || is_held_by_pause(state, slot)
}

fn is_held_by_pause(state: &State, slot: &Slot) -> bool {
    let chain = chain_of(&slot.purpose).and_then(|chain| state.chains.get(&chain));
    let paused = chain.is_some_and(|chain| chain.is_paused(Control::Submitting));
    let is_last = state
        .signers
        .get(&slot.id.signer)
        .and_then(|signer| signer.slots.get_max())
        .is_some_and(|(nonce, _)| *nonce == slot.id.nonce);
    paused && is_last
}

/// Slots that the account may still open.
fn free_slots(signer: &Signer, max_pending: u32) -> u64 {
    u64::from(max_pending).saturating_sub(signer.slots.len() as u64)
}

/// Whether the account can take another purpose: everything before it is out or held back, and few are pending. What is
/// held back goes out once another waits behind it: a rollup whose submitting is paused holds up no other.
pub(crate) fn has_free_slot(state: &State, signer: &Signer, max_pending: u32) -> bool {
    let is_out = |slot: &Slot| !matches!(slot.phase, SlotPhase::Unsigned | SlotPhase::Prepared);
    free_slots(signer, max_pending) > 0
        && signer.slots.values().all(|slot| is_out(slot) || is_held_by_pause(state, slot))
}

/// Whether the purpose is still wanted, and nothing carries it yet.
pub(crate) fn is_wanted(chain: &Chain, purpose: &Purpose, now: Micros) -> bool {
    match purpose {
        Purpose::Checkpoint { agg, .. } => chain.unit(*agg).is_some_and(|unit| {
            unit.phase == Phase::Queued && unit.not_before <= now && !chain.is_optimistic()
        }),
        Purpose::Submission { agg } => chain.unit(*agg).is_some_and(|unit| {
            unit.phase == Phase::Complete
                && unit.not_before <= now
                && !chain.is_optimistic()
                && Some(unit.range.start) == chain.contract.latest.map(|latest| latest.block)
                && unit.agg_body().is_some_and(|agg| agg.end_root.is_some_and(|(_, at)| at >= unit.since))
                && is_best(chain, unit)
        }),
        Purpose::Optimistic { block, root, .. } => {
            optimistic_block(chain) == Some(*block) && chain.agreed_root(*block) == Some(*root)
        }
        Purpose::Release => false,
    }
}

/// Whether an open slot carries a purpose of the same kind and unit, or once did: until it is closed, any version that
/// was signed for it may still be included, even one that reverted, after a reorg.
pub(crate) fn is_carried(signer: &Signer, purpose: &Purpose) -> bool {
    let same = |other: &Purpose| match (purpose, other) {
        (Purpose::Checkpoint { agg, .. }, Purpose::Checkpoint { agg: other, .. })
        | (Purpose::Submission { agg }, Purpose::Submission { agg: other }) => agg == other,
        (Purpose::Optimistic { chain, .. }, Purpose::Optimistic { chain: other, .. }) => chain == other,
        _ => false,
    };
    signer
        .slots
        .values()
        .any(|slot| same(&slot.purpose) || slot.signed.iter().any(|signed| same(&signed.purpose)))
}

/// Of several aggregates with one start, one is submitted at a time, and the highest end first.
fn is_best(chain: &Chain, unit: &Unit) -> bool {
    chain.aggs.values().filter(|other| other.id != unit.id && other.range.start == unit.range.start).all(
        |other| match other.phase {
            Phase::Submitting | Phase::Included | Phase::Confirmed => false,
            Phase::Complete => (other.range.end, other.id) < (unit.range.end, unit.id),
            _ => true,
        },
    )
}

/// A call was simulated: refuse it, or give it a nonce.
pub(super) fn quoted(batch: &mut Batch<'_>, input: &TxQuoted) -> Result<(), Illegal> {
    let Some(id) = chain_of(&input.purpose) else {
        return Ok(());
    };
    let Some(chain) = batch.state.chains.get(&id) else {
        return Ok(());
    };
    let (Some(policy), Some(signer)) = (chain.policy.clone(), chain.signer()) else {
        return Ok(());
    };
    let wanted =
        is_wanted(chain, &input.purpose, batch.now) && may_send(chain) && input.sender == policy.signer;
    // An endpoint that lags behind what was seen already does not know the checkpoint, or the last output.
    let seen = chain.contract.advanced_at.number.max(chain.contract.confirmed_at);
    let is_stale = input.at.block.number < seen;
    let is_old = names_old_block(chain, input);
    if !wanted || is_stale || !batch.has_room() {
        return Ok(());
    }
    match &input.outcome {
        QuoteOutcome::Refused { refusal } => refused(batch, input, refusal, &policy),
        QuoteOutcome::Accepted { .. } if is_old => {
            let text =
                "the L1 block that the root was agreed at is too old to be named much longer".to_owned();
            refused(batch, input, &Refusal { class: RefusalClass::Stale, text }, &policy)
        }
        QuoteOutcome::Accepted { call, gas, root } => {
            let quote = Quote { call: *call, gas: *gas, root: *root };
            accepted(batch, input, signer, &policy, &quote)
        }
    }
}

struct Quote {
    call: Call,
    gas: u64,
    root: Hash32,
}

fn refused(
    batch: &mut Batch<'_>,
    input: &TxQuoted,
    refusal: &Refusal,
    policy: &Policy,
) -> Result<(), Illegal> {
    let agg = match input.purpose {
        Purpose::Checkpoint { agg, .. } | Purpose::Submission { agg } => agg,
        Purpose::Optimistic { chain, block, .. } => {
            return without_proof_refused(batch, input, (chain, block), refusal, policy);
        }
        Purpose::Release => return Ok(()),
    };
    let refusals = batch.state.unit(agg).and_then(|unit| unit.agg_body()).map_or(0, |body| body.refusals);
    let pause = match refusal.class {
        RefusalClass::NotYet | RefusalClass::Stale => NEXT_BLOCK_SECS,
        _ => retry_pause(policy, refusals.saturating_add(1)),
    };
    let refusal = Refusal { class: refusal.class, text: clip(&refusal.text) };
    let text = refusal.text.clone();
    let class = refusal.class;
    let not_before = batch.now.plus_secs(pause);
    batch.unit(agg, SubmissionRefused { at: input.at.block, refusal, not_before })?;
    after_refusal(batch, agg, class, &text)
}

/// Whether what is to be submitted without a proof names an L1 block that the contract will soon see no more.
fn names_old_block(chain: &Chain, input: &TxQuoted) -> bool {
    let Purpose::Optimistic { block, .. } = input.purpose else {
        return false;
    };
    let agreed = chain.roots.get(&block).map(|agreed| agreed.current_l1.number);
    agreed.is_some_and(|agreed| is_too_old_to_name(agreed, input.at.block.number))
}

/// An output without a proof was refused. Its root is agreed anew, at an L1 block that the contract sees, after a pause.
fn without_proof_refused(
    batch: &mut Batch<'_>,
    input: &TxQuoted,
    (id, block): (ChainId, L2Block),
    refusal: &Refusal,
    policy: &Policy,
) -> Result<(), Illegal> {
    let Some(chain) = batch.state.chains.get(&id) else {
        return Ok(());
    };
    let agreed = chain.roots.get(&block).map(|agreed| agreed.current_l1.number);
    // A contract sees the blocks below its own: the next one sees this.
    let is_early = agreed.is_none_or(|agreed| agreed >= input.at.block.number);
    let carried = chain.signer().and_then(|signer| batch.state.signers.get(&signer));
    if is_early || carried.is_some_and(|signer| is_carried(signer, &input.purpose)) {
        return Ok(());
    }
    let pause = retry_pause(policy, chain.hold.refusals.saturating_add(1)).max(NEXT_BLOCK_SECS);
    let refusal = Refusal { class: refusal.class, text: clip(&refusal.text) };
    let not_before = batch.now.plus_secs(pause);
    batch.chain(id, SubmissionRefused { at: input.at.block, refusal, not_before })
}

/// What a refusal of a complete aggregate means beside waiting.
pub(super) fn after_refusal(
    batch: &mut Batch<'_>,
    agg: UnitId,
    class: RefusalClass,
    text: &str,
) -> Result<(), Illegal> {
    let Some(unit) = batch.state.unit(agg) else {
        return Ok(());
    };
    if unit.phase != Phase::Complete {
        return Ok(());
    }
    match class {
        RefusalClass::BadProof | RefusalClass::Route => {
            let text = format!("the verifier does not take its proof, which is kept: {text}");
            batch.unit(agg, Parked { reason: ParkReason::ProofRefused, text })
        }
        RefusalClass::Checkpoint => {
            let Some(point) = unit.agg_body().and_then(|body| body.checkpoint) else {
                return Ok(());
            };
            batch.unit(agg, CheckpointLost { block: point.block, reason: CheckpointLostReason::Reorged })
        }
        _ => Ok(()),
    }
}

fn accepted(
    batch: &mut Batch<'_>,
    input: &TxQuoted,
    signer_id: SignerId,
    policy: &Policy,
    quote: &Quote,
) -> Result<(), Illegal> {
    let Some(signer) = batch.state.signers.get(&signer_id) else {
        return Ok(());
    };
    let is_free =
        has_free_slot(batch.state, signer, policy.fees.max_pending) && !is_carried(signer, &input.purpose);
    if !is_free || !checkpoint_is_right(batch, input) {
        return Ok(());
    }
    let (free, at) = (free_slots(signer, policy.fees.max_pending), (input.at.block.number, batch.now));
    if is_kept_for_others(batch.state, signer, &input.purpose, free, at) {
        return Ok(());
    }
    let fees = match initial_fees(&policy.fees, input.at.base_fee, input.at.tip) {
        Ok(fees) => fees,
        Err(dear) => return ceiling::not_sent(batch, input.purpose, &input.at, dear),
    };
    let gas_limit = gas_limit(&policy.fees, quote.gas, out_of_gas(batch, &input.purpose));
    let cost = u128::from(gas_limit).saturating_mul(fees.max_fee.0).saturating_add(quote.call.value.0);
    if input.balance.0 < cost {
        if signer.low.is_none() {
            let event = SignerBalanceLow { balance: input.balance, minimum: Wei(cost) };
            batch.signer(signer_id, event)?;
        }
        return Ok(());
    }
    if signer.low.is_some() && input.balance >= least_balance(batch, signer_id) {
        // It costs less by now.
        batch.signer(signer_id, SignerBalanceRestored { balance: input.balance })?;
    }
    let Some(nonce) = next_nonce(batch, signer_id, input.nonce)? else {
        return Ok(());
    };
    let slot = SlotId { signer: signer_id, nonce };
    match input.purpose {
        Purpose::Checkpoint { agg, block } => {
            let bound = bound_of(batch, agg);
            batch.unit(agg, CheckpointStarted { block, bound, slot })?;
        }
        Purpose::Submission { agg } => batch.unit(agg, SubmissionStarted { root: quote.root, slot })?,
        Purpose::Optimistic { .. } | Purpose::Release => {}
    }
    batch.slot(slot, input.purpose, TxReserved { purpose: input.purpose, call: quote.call, fees, gas_limit })
}

/// Times in a row that what is to be sent ran out of gas.
fn out_of_gas(batch: &Batch<'_>, purpose: &Purpose) -> u32 {
    match purpose {
        Purpose::Checkpoint { agg, .. } | Purpose::Submission { agg } => {
            batch.state.unit(*agg).and_then(|unit| unit.agg_body()).map_or(0, |body| body.out_of_gas)
        }
        Purpose::Optimistic { .. } | Purpose::Release => 0,
    }
}

/// The nonce to give out: after everything of ours, and never below what the chain says. `None`: the endpoint lags.
fn next_nonce(batch: &mut Batch<'_>, id: SignerId, found: Nonce) -> Result<Option<Nonce>, Illegal> {
    let Some(signer) = batch.state.signers.get(&id) else {
        return Ok(None);
    };
    if let Some((highest, _)) = signer.slots.get_max() {
        let after = Nonce(highest.0.saturating_add(1));
        // A nonce above all of ours while some are open: the key is used by hand; the slots must end first.
        return Ok((found <= after).then_some(after));
    }
    match signer.next {
        Some(expected) if found > expected => {
            batch.signer(id, NonceDrifted { expected, found })?;
            Ok(Some(found))
        }
        Some(expected) if found < expected => Ok(None),
        _ => Ok(Some(found)),
    }
}

/// The adapter chose the checkpoint's block by [`checkpoint_block`]; what it chose must be right here too.
fn checkpoint_is_right(batch: &Batch<'_>, input: &TxQuoted) -> bool {
    match input.purpose {
        Purpose::Checkpoint { agg, block } => {
            let bound = bound_of(batch, agg);
            checkpoint_block(bound, input.at.block.number).is_some_and(|lowest| lowest <= block)
                && block < input.at.block.number
        }
        _ => true,
    }
}

pub(super) fn bound_of(batch: &Batch<'_>, agg: UnitId) -> L1Number {
    let chain = batch.state.chains.get(&agg.chain);
    let body = chain.and_then(|chain| chain.unit(agg)?.agg_body());
    match (chain, body) {
        (Some(chain), Some(body)) => aggregates::checkpoint_bound(chain, body),
        _ => L1Number(0),
    }
}

/// The rollup that a purpose serves.
pub(super) fn chain_of(purpose: &Purpose) -> Option<ChainId> {
    match purpose {
        Purpose::Checkpoint { agg, .. } | Purpose::Submission { agg } => Some(agg.chain),
        Purpose::Optimistic { chain, .. } => Some(*chain),
        Purpose::Release => None,
    }
}

/// A version was signed: its bytes go to disk, and only then to an endpoint.
pub(super) fn signed(batch: &mut Batch<'_>, input: &TxSigned) -> Result<(), Illegal> {
    let Some(slot) = batch.state.slot(input.slot) else {
        return Ok(());
    };
    if slot.phase != SlotPhase::Unsigned || slot.version != input.version {
        return Ok(());
    }
    let event = TxPrepared {
        version: input.version,
        purpose: slot.purpose,
        call: Call { calldata: input.calldata, ..slot.call },
        fees: slot.fees,
        gas_limit: slot.gas_limit,
        raw: input.raw,
        hash: input.hash,
    };
    batch.slot(input.slot, event.purpose, event)
}

/// An endpoint answered a broadcast. Refusals say something about now, and nothing about what was sent before.
pub(super) fn sent(batch: &mut Batch<'_>, input: &TxSent) -> Result<(), Illegal> {
    let Some(slot) = batch.state.slot(input.slot) else {
        return Ok(());
    };
    if slot.phase != SlotPhase::Prepared {
        return Ok(());
    }
    let (purpose, fees) = (slot.purpose, slot.fees);
    let text = clip(&input.text);
    batch.slot(input.slot, purpose, TxBroadcast { version: input.version, outcome: input.outcome, text })?;
    if input.outcome == BroadcastOutcome::Underpriced {
        replace(batch, input.slot, ReplaceReason::Underpriced, purpose, raise_only(batch, input.slot, fees))?;
    }
    Ok(())
}

/// Fees for a pool that refused ours as too low: raised by the policy's percentage alone.
fn raise_only(batch: &Batch<'_>, slot: SlotId, old: Fees) -> Option<Fees> {
    let policy = fee_policy(batch, slot)?;
    replacement_fees(&policy.fees, old, Wei(0), Wei(0)).ok()
}

/// The policy that pays for a slot: that of the rollup it serves, or of any rollup of the account.
pub(super) fn fee_policy(batch: &Batch<'_>, slot: SlotId) -> Option<Policy> {
    let purpose = batch.state.slot(slot)?.purpose;
    let served = chain_of(&purpose).and_then(|chain| batch.state.chains.get(&chain));
    let chain =
        served.or_else(|| batch.state.chains.values().find(|chain| chain.signer() == Some(slot.signer)))?;
    chain.policy.clone()
}

/// Decides another version of a slot, if fees could be found for it.
pub(super) fn replace(
    batch: &mut Batch<'_>,
    id: SlotId,
    reason: ReplaceReason,
    purpose: Purpose,
    fees: Option<Fees>,
) -> Result<(), Illegal> {
    let (Some(slot), Some(fees)) = (batch.state.slot(id), fees) else {
        return Ok(());
    };
    let same = slot.purpose == purpose;
    let (call, gas_limit) = match purpose {
        _ if same => (slot.call, slot.gas_limit),
        Purpose::Release => {
            let call = Call { to: id.signer.address, value: Wei(0), calldata: Hash32::ZERO };
            (call, crate::rules::TRANSFER_GAS)
        }
        _ => (Call { calldata: Hash32::ZERO, ..slot.call }, slot.gas_limit),
    };
    let event = TxReplaced { version: slot.version.next(), reason, purpose, call, fees, gas_limit };
    let correlated = slot.purpose;
    batch.slot(id, correlated, event)
}
