//! What comes late or strange is not lost: the proof of a span that was halved, numbers that nobody knows, fees above the
//! ceiling.
//!
//! Both are looked at on the state before and after an input, with conditions written down anew.

use prooflog_events::ids::{L1Number, UnitId};
use prooflog_events::input::{Delivery, Input, StatusAnswer, WitnessAnswer};
use prooflog_events::values::{Control, Purpose};
use prooflog_projections::State;
use prooflog_projections::state::phase::{Phase, SlotPhase};

/// Statuses that nobody knows which one attempt may have on record.
const UNKNOWN_KEPT: usize = 8;

/// The proof that an input brings, for which attempt.
fn delivered(input: &Input) -> Option<(UnitId, prooflog_events::ids::Attempt, &Delivery)> {
    match input {
        Input::StatusAnswered(answered) => match &answered.answer {
            StatusAnswer::Status { fulfillment: 3, delivery: Some(delivery), .. } => {
                Some((answered.unit, answered.attempt, delivery))
            }
            _ => None,
        },
        Input::WitnessAnswered(answered) => match &answered.answer {
            WitnessAnswer::Fulfilled { delivery, .. } => Some((answered.unit, answered.attempt, delivery)),
            _ => None,
        },
        _ => None,
    }
}

/// The paid proof of a span that was halved is used while its halves are not all proven and no aggregate holds one.
pub(super) fn whole_used(before: &State, input: &Input, after: &State) -> Option<String> {
    let (id, attempt, delivery) = delivered(input)?;
    let chain = before.chains.get(&id.chain)?;
    let whole = chain.halved.get(&id.number).filter(|whole| whole.id == id)?;
    let asked = whole.late.iter().find(|request| request.attempt == attempt)?;
    let range = whole.range;
    let inside: Vec<_> = chain
        .spans
        .values()
        .filter(|span| span.range.start < range.end && range.start < span.range.end)
        .collect();
    let blocks: u64 = inside.iter().map(|span| span.range.blocks()).sum();
    let covers = blocks == range.blocks()
        && inside.iter().all(|span| range.start <= span.range.start && span.range.end <= range.end);
    let unproven = inside.iter().any(|span| span.phase != Phase::Complete);
    let held = chain
        .aggs
        .values()
        .filter_map(|agg| agg.agg_body())
        .any(|agg| inside.iter().any(|span| agg.members.contains(&span.id.number)));
    let fits = chain.commitments() == Some(whole.commitments())
        && chain.contract.latest.is_some_and(|latest| latest.block <= range.start);
    let bounded = delivery.l1_head.is_some() || asked.l1_bound != L1Number::UNSEEN;
    let is_usable = covers && unproven && !held && fits && bounded && !delivery.proof.is_empty();
    let used = after.chains.get(&id.chain)?.spans.get(&id.number).is_some_and(|span| span.proof.is_some());
    (is_usable && !used).then(|| format!("the late proof of {id} {range} was not used for its halves"))
}

/// Numbers that nobody knows are on record as they came.
pub(super) fn unknown_is_told(before: &State, input: &Input, after: &State) -> Option<String> {
    let Input::StatusAnswered(answered) = input else { return None };
    let StatusAnswer::Status { fulfillment, execution, .. } = &answered.answer else { return None };
    let is_known = (0..5).contains(fulfillment) && (0..4).contains(execution);
    let unit = before.awaited(answered.unit)?;
    let waits = matches!(
        unit.phase,
        Phase::Ready | Phase::WitnessGen | Phase::Requested | Phase::Assigned | Phase::Parked | Phase::Split
    );
    if is_known || !waits || answered.attempt > unit.attempt {
        return None;
    }
    let pair = (answered.attempt, *fulfillment, *execution);
    let told = after.remembered(answered.unit).is_none_or(|unit| {
        let of_attempt = unit.unknown.iter().filter(|(attempt, ..)| *attempt == answered.attempt);
        unit.unknown.contains(&pair) || of_attempt.count() >= UNKNOWN_KEPT
    });
    (!told).then(|| format!("{} was answered {pair:?}, and that is not on record", answered.unit))
}

/// A transaction that is stuck, and whose fees may not be raised, has that on record.
pub(super) fn ceiling_is_told(before: &State, input: &Input, after: &State) -> Option<String> {
    let Input::SignerRead(read) = input else { return None };
    let (known, next) = (before.signers.get(&read.signer)?, after.signers.get(&read.signer)?);
    let slot = known.slots.get(&read.nonce.head)?;
    let agg = match slot.purpose {
        Purpose::Checkpoint { agg, .. } | Purpose::Submission { agg } => agg,
        Purpose::Optimistic { .. } | Purpose::Release => return None,
    };
    let policy = before.chains.get(&agg.chain)?.policy.as_ref()?;
    let waited = after.time.secs_since(slot.since) > policy.fees.resubmission_secs;
    // Far above whatever the percentages say.
    let is_dear = slot.fees.max_fee.0.saturating_mul(100) / 99 > policy.fees.max_fee.0;
    let stays = next.slots.get(&slot.id.nonce).filter(|now| {
        let phases = (slot.phase, now.phase);
        phases == (SlotPhase::Broadcast, SlotPhase::Broadcast) && now.version == slot.version
    })?;
    let is_held = before.chains.get(&agg.chain)?.is_paused(Control::Submitting);
    let is_mined = read.txs.iter().any(|seen| seen.nonce == slot.id.nonce && seen.included_in().is_some());
    let waits = waited && is_dear && !is_held && !is_mined && read.nonce.confirmed <= slot.id.nonce;
    (waits && !stays.capped).then(|| {
        format!(
            "{} waits with {} wei per gas, and that it cannot be raised is not on record",
            slot.id, slot.fees.max_fee
        )
    })
}
