//! Attempts: what the prover's answers mean, and what follows a failure.
//!
//! A failure belongs to the unit, the prover, the account or the way there, and only the first uses the unit's budget.
//! Answers name their attempt; one that is not under way any more changes nothing, unless it brings a proof that fits.

use prooflog_events::event::{
    DuplicateSpendRecorded, EventType, InvalidReason, Invalidated, LateAnswer, LateAnswerRecorded,
    ParkReason, Parked, ProofAssigned, ProofFulfilled, ProofLost, ProofRequested, ProverDegraded,
    ProverRecovered, Retried, Stage, TimedOut, TimeoutReason, Unfulfillable, UnknownStatusRecorded,
    WitnessGenFailed,
};
use prooflog_events::ids::{Attempt, ChainId, L1Number, Micros, UnitId};
use prooflog_events::input::{
    Delivery, StatusAnswer, StatusAnswered, WitnessAnswer, WitnessAnswered, is_known_status,
};
use prooflog_events::policy::Policy;
use prooflog_events::values::{FailureClass, Mode};
use prooflog_projections::state::Illegal;
use prooflog_projections::state::phase::Phase;
use prooflog_projections::state::unit::{LateKind, Unit};

use super::halves;
use crate::batch::Batch;
use crate::rules::{L1_HEAD_MARGIN, NOT_READY_SECS, UNKNOWN_MAX, clip, retry_pause};

/// Fulfilment and execution statuses of the server.
const ASSIGNED: i32 = 2;
const FULFILLED: i32 = 3;
const UNFULFILLABLE: i32 = 4;
const UNEXECUTABLE: i32 = 3;

/// The server answered a request for a proof.
pub(super) fn witness(batch: &mut Batch<'_>, input: &WitnessAnswered) -> Result<(), Illegal> {
    let Some(unit) = batch.state.awaited(input.unit) else {
        return Ok(());
    };
    let Some(policy) = policy(batch, input.unit.chain) else {
        return Ok(());
    };
    let is_current = unit.phase == Phase::WitnessGen && unit.attempt == input.attempt;
    let margin = |head: Option<_>, seen: L1Number| match head {
        Some(prooflog_events::ids::L1Ref { number, .. }) => number,
        None if seen >= L1Number::UNSEEN => L1Number::UNSEEN,
        None => L1Number(seen.0.saturating_add(L1_HEAD_MARGIN)),
    };
    match &input.answer {
        WitnessAnswer::Requested { proof_id, l1_head, l1_seen } if is_current => {
            let event = ProofRequested {
                attempt: input.attempt,
                proof_id: proof_id.clone(),
                l1_bound: margin(*l1_head, *l1_seen),
                l1_head: *l1_head,
                deadline: batch.now.plus_secs(policy.proving_timeout_secs),
            };
            batch.unit(input.unit, event)?;
            recover_if(batch, input.unit.chain, is_witness_class)
        }
        WitnessAnswer::Requested { proof_id, l1_head, l1_seen } => {
            let answer =
                LateAnswer::Requested { proof_id: proof_id.clone(), l1_bound: margin(*l1_head, *l1_seen) };
            record_late(batch, input.unit, input.attempt, answer)
        }
        WitnessAnswer::Fulfilled { delivery, l1_seen } => {
            let bound = margin(delivery.l1_head, *l1_seen);
            deliver(batch, input.unit, input.attempt, bound, delivery)
        }
        WitnessAnswer::Failed { class, text } if is_current => {
            let text = clip(text);
            batch.unit(
                input.unit,
                WitnessGenFailed { attempt: input.attempt, class: *class, text: text.clone() },
            )?;
            after_failure(batch, input.unit, *class, &text)
        }
        WitnessAnswer::Failed { text, .. } => {
            record_late(batch, input.unit, input.attempt, LateAnswer::Failed { text: clip(text) })
        }
    }
}

/// The server answered a question for the state of a proof. Only fulfilled and unfulfillable are final.
pub(super) fn status(batch: &mut Batch<'_>, input: &StatusAnswered) -> Result<(), Illegal> {
    if let StatusAnswer::Status { fulfillment, execution, text, .. } = &input.answer
        && !is_known_status(*fulfillment, *execution)
    {
        record_unknown(batch, input, (*fulfillment, *execution), text)?;
    }
    let Some(unit) = batch.state.awaited(input.unit) else {
        return Ok(());
    };
    let in_flight = matches!(unit.phase, Phase::Requested | Phase::Assigned);
    let is_current = in_flight && unit.attempt == input.attempt;
    let is_overdue = is_current && batch.now >= unit.deadline;
    let phase = unit.phase;
    match &input.answer {
        StatusAnswer::Status { fulfillment: FULFILLED, delivery: Some(delivery), .. } => {
            let Some(bound) = known_bound(unit, input.attempt) else {
                return Ok(());
            };
            deliver(batch, input.unit, input.attempt, bound, delivery)
        }
        StatusAnswer::Status { fulfillment: UNFULFILLABLE, execution, text, .. } => {
            let class = if *execution == UNEXECUTABLE {
                FailureClass::Unexecutable
            } else {
                FailureClass::Unfulfillable
            };
            let text = clip(text);
            if !is_current {
                return record_late(batch, input.unit, input.attempt, LateAnswer::Failed { text });
            }
            let event = Unfulfillable {
                attempt: input.attempt,
                fulfillment: UNFULFILLABLE,
                execution: *execution,
                class,
                text: text.clone(),
            };
            batch.unit(input.unit, event)?;
            after_failure(batch, input.unit, class, &text)
        }
        StatusAnswer::Status { fulfillment: ASSIGNED, .. } if is_current && phase == Phase::Requested => {
            batch.unit(input.unit, ProofAssigned { attempt: input.attempt })
        }
        StatusAnswer::Lost { failures, class } if is_current => {
            batch
                .unit(input.unit, ProofLost { attempt: input.attempt, class: *class, failures: *failures })?;
            after_failure(batch, input.unit, *class, "the prover no longer has the request")
        }
        // Asked after its limit, and not there: only an answer ends a request that was paid for, so that an outage on
        // either side does not.
        StatusAnswer::Status { fulfillment, .. } if is_overdue && *fulfillment != FULFILLED => {
            time_out(batch, input.unit)
        }
        // Everything else is transient, or says nothing new; numbers that nobody knows are never guessed at.
        StatusAnswer::Status { .. } | StatusAnswer::Lost { .. } => Ok(()),
    }
}

/// The bound on the L1 head that was recorded with an attempt's id.
fn known_bound(unit: &Unit, attempt: Attempt) -> Option<L1Number> {
    unit.request
        .iter()
        .chain(&unit.late)
        .find(|request| request.attempt == attempt)
        .map(|request| request.l1_bound)
}

/// A proof arrived. It is of use while the unit waits for one; if it came of an earlier attempt, the newer one was
/// bought for nothing.
pub(super) fn deliver(
    batch: &mut Batch<'_>,
    id: UnitId,
    attempt: Attempt,
    l1_bound: L1Number,
    delivery: &Delivery,
) -> Result<(), Illegal> {
    // Without a bound no checkpoint could be chosen: it is asked for again, with a look at the L1.
    if l1_bound == L1Number::UNSEEN && delivery.l1_head.is_none() {
        return Ok(());
    }
    let Some(unit) = batch.state.awaited(id) else {
        return Ok(());
    };
    let mode = unit.commitments().mode;
    let replaced = halves::unfinished(batch, unit);
    let waits = match unit.phase {
        Phase::Split => replaced.is_some(),
        Phase::Ready | Phase::WitnessGen | Phase::Requested | Phase::Assigned => true,
        Phase::Parked => unit.proof.is_none() && (unit.is_span() || unit.shape().has_checkpoint),
        _ => false,
    };
    // Only a mock aggregate may be empty.
    let has_bytes = !delivery.proof.is_empty() || (mode == Mode::Mock && !unit.is_span());
    if !waits || !has_bytes || attempt > unit.attempt || attempt < unit.fence() {
        return record_late(batch, id, attempt, LateAnswer::Fulfilled { proof: delivery.proof });
    }
    let newer = (unit.phase.is_in_flight() && attempt < unit.attempt).then_some(unit.attempt);
    let started = unit
        .request
        .iter()
        .chain(&unit.late)
        .find(|request| request.attempt == attempt)
        .map_or(unit.started, |request| request.started);
    let event = ProofFulfilled {
        attempt,
        mode,
        proof: delivery.proof,
        selector: delivery.selector,
        l1_bound: delivery.l1_head.map_or(l1_bound, |head| head.number),
        l1_head: delivery.l1_head,
        seconds: batch.now.secs_since(started),
        cycles: delivery.cycles,
        prover_gas: delivery.prover_gas,
        cost: delivery.cost,
    };
    halves::give_way(batch, &replaced.unwrap_or_default(), id)?;
    batch.unit(id, event)?;
    if let Some(wasted) = newer {
        batch.unit(id, DuplicateSpendRecorded { kept: attempt, wasted })?;
    }
    recover_if(batch, id.chain, |_| true)
}

/// Records a late answer, once per attempt and kind.
pub(super) fn record_late(
    batch: &mut Batch<'_>,
    id: UnitId,
    attempt: Attempt,
    answer: LateAnswer,
) -> Result<(), Illegal> {
    let Some(unit) = batch.state.awaited(id) else {
        return Ok(());
    };
    let seen = unit.late_recorded.contains(&(attempt, LateKind::from(&answer)));
    // An answer that the record already holds (the same proof again) is not late, it is nothing.
    let repeated = unit.proof.as_ref().is_some_and(|proof| proof.attempt == attempt);
    let takes_it =
        prooflog_projections::state::transition(unit.shape(), unit.phase, EventType::LateAnswerRecorded);
    if seen || repeated || attempt > unit.attempt || takes_it.is_none() {
        return Ok(());
    }
    batch.unit(id, LateAnswerRecorded { attempt, answer })
}

/// Records numbers that nobody knows as they came: each pair once for an attempt, and a few of them at most.
fn record_unknown(
    batch: &mut Batch<'_>,
    input: &StatusAnswered,
    (fulfillment, execution): (i32, i32),
    text: &str,
) -> Result<(), Illegal> {
    let Some(unit) = batch.state.awaited(input.unit) else {
        return Ok(());
    };
    let attempt = input.attempt;
    let of_attempt = unit.unknown.iter().filter(|(of, _, _)| *of == attempt).count();
    let is_new = !unit.unknown.contains(&(attempt, fulfillment, execution)) && of_attempt < UNKNOWN_MAX;
    let kind = EventType::UnknownStatusRecorded;
    let takes_it = prooflog_projections::state::transition(unit.shape(), unit.phase, kind);
    if !is_new || attempt > unit.attempt || takes_it.is_none() {
        return Ok(());
    }
    let event = UnknownStatusRecorded { attempt, fulfillment, execution, text: clip(text) };
    batch.unit(input.unit, event)
}

/// Attempts whose limit passed: calls at once, and requests that nobody could be asked for when as much time again has.
pub(super) fn expire(batch: &mut Batch<'_>, chain: ChainId) -> Result<(), Illegal> {
    loop {
        let now = batch.now;
        let Some(due) = batch.state.chains.get(&chain).map(|chain| &chain.index.due) else {
            return Ok(());
        };
        let next = due.iter().take_while(|(at, _)| *at <= now).find_map(|(_, id)| {
            let unit = batch.state.unit(*id)?;
            unit.phase.is_in_flight().then_some(unit.id)
        });
        let Some(id) = next else {
            return Ok(());
        };
        if !batch.has_room() {
            return Ok(());
        }
        time_out(batch, id)?;
    }
}

fn time_out(batch: &mut Batch<'_>, id: UnitId) -> Result<(), Illegal> {
    let Some(unit) = batch.state.unit(id) else {
        return Ok(());
    };
    let (stage, class) = match unit.phase {
        Phase::WitnessGen => (Stage::Witness, FailureClass::WitnessTimeout),
        _ => (Stage::Proving, FailureClass::ProvingTimeout),
    };
    let event = TimedOut {
        attempt: unit.attempt,
        stage,
        reason: TimeoutReason::Deadline,
        after_secs: batch.now.secs_since(unit.started),
        maybe_paid: true,
    };
    // A request that nobody took says nothing of the unit.
    let was_taken = unit.phase != Phase::Requested;
    batch.unit(id, event)?;
    let counts = was_taken && counts_against_unit(batch, id, class);
    follow_failure(batch, id, (class, counts), "no answer within the limit")
}

/// Decides what follows a failed attempt: halve, give up, or try again later.
pub(super) fn after_failure(
    batch: &mut Batch<'_>,
    id: UnitId,
    class: FailureClass,
    text: &str,
) -> Result<(), Illegal> {
    let counts = counts_against_unit(batch, id, class);
    follow_failure(batch, id, (class, counts), text)
}

/// The same where it is known whether the failure uses the unit's budget.
fn follow_failure(
    batch: &mut Batch<'_>,
    id: UnitId,
    (class, counts): (FailureClass, bool),
    text: &str,
) -> Result<(), Illegal> {
    let (Some(unit), Some(policy)) = (batch.state.unit(id), policy(batch, id.chain)) else {
        return Ok(());
    };
    let failures = unit.own_failures.saturating_add(u32::from(counts));
    let divisible = unit.is_span() && unit.range.blocks() > 1;
    let members = unit.agg_body().map_or(0, |agg| agg.members.len());
    if divisible && (class == FailureClass::Unexecutable || (counts && failures >= policy.split_after)) {
        halves::split(batch, id)?;
    } else if class == FailureClass::Unexecutable && members > 1 && shorter_would_do(batch, unit) {
        let detail = format!("the program cannot run on {members} members: {text}");
        batch.unit(id, Invalidated { reason: InvalidReason::TooManyMembers, detail })?;
    } else if class == FailureClass::Unexecutable && members > 1 {
        let text = clip(&format!(
            "{members} members are too many, and fewer do not reach the contract's next block: {text}"
        ));
        batch.unit(id, Parked { reason: ParkReason::Unsplittable, text })?;
    } else if (counts && failures >= policy.park_after) || paid_in_vain(unit, &policy, class) {
        let reason =
            if class == FailureClass::Unexecutable { ParkReason::Unsplittable } else { ParkReason::Budget };
        let text = clip(&format!("{failures} failures, the last: {class:?}: {text}"));
        batch.unit(id, Parked { reason, text })?;
    } else {
        retry(batch, id, class, counts, &policy)?;
    }
    degrade_if_due(batch, id.chain, class, text)
}

/// Whether an aggregate with fewer members would still end at a block that the contract accepts.
fn shorter_would_do(batch: &Batch<'_>, unit: &Unit) -> bool {
    let shorter = || {
        let chain = batch.state.chains.get(&unit.id.chain)?;
        let members = &unit.agg_body()?.members;
        let last_but_one = members.get(members.len().checked_sub(2)?)?;
        Some(chain.spans.get(last_but_one)?.range.end >= chain.next_block()?)
    };
    shorter().unwrap_or(false)
}

fn retry(
    batch: &mut Batch<'_>,
    id: UnitId,
    class: FailureClass,
    counts: bool,
    policy: &Policy,
) -> Result<(), Illegal> {
    let Some(unit) = batch.state.unit(id) else {
        return Ok(());
    };
    let pause = match class {
        FailureClass::DataNotReady => NOT_READY_SECS,
        _ => retry_pause(policy, unit.streak),
    };
    let mut not_before = batch.now.plus_secs(pause);
    if matches!(class, FailureClass::Dropped | FailureClass::Restart) && policy.mode == Mode::Real {
        // The server may still be at it, and a second request would delete its files: wait for its own limit.
        not_before = not_before.max(unit.started.plus_secs(policy.witness_timeout_secs));
    }
    let failures = unit.own_failures.saturating_add(u32::from(counts));
    let attempt = unit.attempt.next();
    batch.unit(
        id,
        Retried { attempt, not_before, failures, budget_left: policy.park_after.saturating_sub(failures) },
    )
}

/// Whether a failure uses the unit's budget. What may as well be the prover's fault does not while the prover is known to
/// be ill, and what says nothing of the unit counts only if the prover served another since this attempt began.
fn counts_against_unit(batch: &Batch<'_>, id: UnitId, class: FailureClass) -> bool {
    let (Some(chain), Some(unit)) = (batch.state.chains.get(&id.chain), batch.state.unit(id)) else {
        return false;
    };
    match class {
        FailureClass::Unexecutable | FailureClass::Unfulfillable => true,
        FailureClass::WitnessError | FailureClass::WitnessTimeout | FailureClass::ProvingTimeout => {
            chain.prover.degraded.is_none()
        }
        // The call broke before an answer, so a request that was taken since it began was another unit's.
        FailureClass::Dropped => chain.prover.last_requested >= unit.started,
        FailureClass::Lost | FailureClass::NoBytes => chain.prover.last_fulfilled >= unit.started,
        _ => false,
    }
}

/// Whether requests that may each have been paid for were in vain for so long that an operator must look, whoever is at
/// fault: retries without end are the one thing that nobody wants to pay for. What never reached the prover costs
/// nothing and does not count.
fn paid_in_vain(unit: &Unit, policy: &Policy, class: FailureClass) -> bool {
    let is_paid = matches!(class, FailureClass::ProvingTimeout | FailureClass::Lost | FailureClass::NoBytes);
    let requests = u32::try_from(unit.late.len()).unwrap_or(u32::MAX);
    is_paid && unit.streak >= policy.park_after && requests >= policy.park_after.saturating_mul(2)
}

/// Classes that the witness call itself ends with.
const fn is_witness_class(class: FailureClass) -> bool {
    matches!(
        class,
        FailureClass::WitnessError
            | FailureClass::WitnessTimeout
            | FailureClass::Dropped
            | FailureClass::Unreachable
            | FailureClass::Account
            | FailureClass::Capacity
    )
}

/// Failures in a row, whatever the unit, or any failure of the account: only probes from now on.
fn degrade_if_due(
    batch: &mut Batch<'_>,
    id: ChainId,
    class: FailureClass,
    text: &str,
) -> Result<(), Illegal> {
    let Some(chain) = batch.state.chains.get(&id) else {
        return Ok(());
    };
    let Some(policy) = &chain.policy else {
        return Ok(());
    };
    let counts = !matches!(
        class,
        FailureClass::Unexecutable
            | FailureClass::DataNotReady
            | FailureClass::Capacity
            | FailureClass::Restart
    );
    let due = class == FailureClass::Account || (counts && chain.prover.failures >= policy.degrade_after);
    if !due || chain.prover.degraded.is_some() {
        return Ok(());
    }
    let failures = chain.prover.failures;
    batch.chain(id, ProverDegraded { class, failures, text: clip(text) })
}

/// Leaves the prover's degraded mode if the class it was entered by is one that this success speaks against.
fn recover_if(
    batch: &mut Batch<'_>,
    id: ChainId,
    disproved: fn(FailureClass) -> bool,
) -> Result<(), Illegal> {
    let degraded = batch.state.chains.get(&id).and_then(|chain| chain.prover.degraded);
    match degraded {
        Some((_, class)) if disproved(class) => batch.chain(id, ProverRecovered {}),
        _ => Ok(()),
    }
}

fn policy(batch: &Batch<'_>, chain: ChainId) -> Option<Policy> {
    batch.state.chains.get(&chain)?.policy.clone()
}

/// The moment from which a probe may be sent.
pub(crate) fn probe_at(chain: &prooflog_projections::state::chain::Chain) -> Option<Micros> {
    (chain.prover.not_before > Micros(0)).then_some(chain.prover.not_before)
}
