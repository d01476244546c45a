//! Rules about spans and aggregates, each looked at before its event is taken in.
//!
//! Each rule looks at one event on what the model held before it; a rule that breaks names the unit, the position and
//! what it saw.

use prooflog_events::event::{
    AggQueued, CheckpointStarted, Event, InvalidReason, ProofFulfilled, ProofPruned, Retried, SpanCreated,
    SpanOrigin, SubmissionConfirmed, TimedOut, TimeoutReason, Unfulfillable, WitnessGenStarted,
};
use prooflog_events::ids::{Attempt, L1Number, Micros, Range, StreamId, UnitId, UnitKind};
use prooflog_events::input::Input;
use prooflog_events::values::{Control, DegradedReason, FailureClass};

use super::{Batch, Checker, ModelChain, ModelUnit, Recorded, Stage};
use crate::world::{Verdict, World, blob_ref, is_unreadable};

/// A broken rule and what was seen; `None` if all is well.
pub(super) type Broken = Option<(&'static str, String)>;

/// Breaks `rule` if `is_broken`.
pub(super) fn rule(rule: &'static str, is_broken: bool, text: impl FnOnce() -> String) -> Broken {
    is_broken.then(|| (rule, text()))
}

impl Checker {
    /// Rules about one event of a unit.
    pub(super) fn unit_event(&self, batch: &Batch, recorded: &Recorded, world: &World) -> Broken {
        let StreamId::Unit(id) = recorded.stream else { return None };
        let Some(chain) = self.model.chains.get(&id.chain) else {
            return rule("model", true, || format!("{id} belongs to no rollup"));
        };
        match &recorded.event {
            Event::SpanCreated(e) => return span_created(chain, id, e, world),
            Event::AggQueued(e) => return agg_queued(chain, id, e),
            _ => {}
        }
        let unit = chain.units.get(&id)?;
        match &recorded.event {
            Event::WitnessGenStarted(e) => started(batch, chain, unit, e)
                .or_else(|| lowest_first(batch, chain, unit))
                .or_else(|| self.limits(chain, unit))
                .or_else(|| bought_before(chain, unit)),
            Event::Retried(e) => retried(batch, chain, unit, e),
            Event::ProofRequested(e) => requested(unit, e.attempt, &e.proof_id, world),
            Event::ProofFulfilled(e) => fulfilled(unit, e, world),
            Event::Unfulfillable(e) => unfulfillable(unit, e, world),
            Event::Invalidated(e) if e.reason == InvalidReason::Undecodable => thrown_away(unit, world),
            Event::TimedOut(e) => timed_out(batch, unit, e),
            Event::WitnessGenFailed(e) => {
                let told = world.told_failed.contains(&(id, e.attempt));
                rule("fencing", !told, || {
                    format!("{id} attempt {} failed, which the server did not say", e.attempt)
                })
            }
            Event::ProofPruned(e) => pruned(batch, chain, unit, e),
            Event::CheckpointStarted(e) => {
                // One that is in a block already sends nothing.
                let sends = self.model.slots.get(&e.slot).is_none_or(|slot| slot.included.is_none());
                checkpoint_started(chain, unit, e, world)
                    .or_else(|| held_sending(chain, unit).filter(|_| sends))
            }
            Event::SubmissionStarted(_) => submission_started(chain, unit),
            Event::Submitted(e) => rule("truth", !world.l1.was_mined(e.tx, e.block), || {
                format!("{id} is submitted by {} in {}, which never held it", e.tx, e.block)
            }),
            Event::SubmissionConfirmed(e) => confirmed(batch, chain, unit, e),
            Event::AggSettled(_) => rule("confirmed at depth", unit.stage != Stage::Confirmed, || {
                format!("{id} is settled and was {:?}", unit.stage)
            }),
            Event::SpanSettled(_) => {
                let latest = chain.latest.map(|latest| latest.block);
                rule("settled", latest.is_none_or(|latest| unit.range.end > latest), || {
                    format!("{id} {} is settled, the contract stands at {latest:?}", unit.range)
                })
            }
            _ => None,
        }
    }

    /// Nothing is started at or above the limits.
    fn limits(&self, chain: &ModelChain, unit: &ModelUnit) -> Broken {
        let policy = chain.policy.as_ref()?;
        let count = |kind: UnitKind, test: fn(Stage) -> bool| {
            chain.live().filter(|other| other.id.kind == kind && test(other.stage)).count() as u64
        };
        if unit.id.kind == UnitKind::Agg {
            let aggs = count(UnitKind::Agg, Stage::is_in_flight);
            return rule("limits", aggs > 0, || format!("{} starts beside another aggregate", unit.id));
        }
        let witnesses = count(UnitKind::Span, |stage| stage == Stage::Witness);
        let proofs = count(UnitKind::Span, Stage::is_in_flight);
        let shared: u64 = self
            .model
            .chains
            .values()
            .filter(|other| {
                let account =
                    |chain: &ModelChain| chain.policy.as_ref().map(|policy| policy.prover_account.clone());
                !policy.prover_account.is_empty() && account(other).as_ref() == Some(&policy.prover_account)
            })
            .map(|other| {
                other
                    .live()
                    .filter(|unit| unit.id.kind == UnitKind::Span && unit.stage.is_in_flight())
                    .count() as u64
            })
            .sum();
        let over_witness = witnesses >= u64::from(policy.max_witness_in_flight);
        let over_proofs = proofs >= u64::from(policy.max_proofs_in_flight);
        let over_account = policy.account_in_flight > 0 && shared >= u64::from(policy.account_in_flight);
        let ahead = policy.blocks_ahead(chain.interval());
        let window = chain.latest.map(|latest| latest.block.0 + ahead);
        let outside = window.is_some_and(|end| unit.range.start.0 >= end);
        rule("limits", over_witness || over_proofs || over_account || outside, || {
            format!(
                "{} {} starts with {witnesses} witnesses, {proofs} proofs, {shared} of the account in flight, window up to {window:?}",
                unit.id, unit.range
            )
        })
    }
}

fn span_created(chain: &ModelChain, id: UnitId, e: &SpanCreated, world: &World) -> Broken {
    let behind = chain.policy.as_ref().map_or(0, |policy| policy.plan_behind_finalized);
    let truth = world.rollups.get(&id.chain).map_or(0, |rollup| rollup.finalized.0);
    let top = chain.finalized.0.saturating_sub(behind).min(truth);
    let is_half = matches!(e.origin, SpanOrigin::HalfOf(_));
    let parent = match e.origin {
        SpanOrigin::HalfOf(number) => chain.units.get(&UnitId::span(id.chain, number)),
        _ => None,
    };
    rule("legal ranges", e.range.start >= e.range.end, || format!("{id} has the range {}", e.range))
        .or_else(|| {
            rule("finalized", !is_half && e.range.end.0 > top, || {
                format!("{id} is {}, final is block {top}", e.range)
            })
        })
        .or_else(|| {
            rule("held back", !is_half && chain.paused.contains(&Control::Planning), || {
                format!("{id} is planned while planning is paused")
            })
        })
        .or_else(|| {
            rule("commitments", !is_half && chain.commitments() != Some(e.commitments), || {
                format!("{id} is planned under {:?}", e.commitments)
            })
        })
        .or_else(|| {
            let fits = parent.is_some_and(|parent| {
                parent.stage == Stage::Split
                    && (parent.range.start == e.range.start || parent.range.end == e.range.end)
            });
            rule("halves", is_half && !fits, || {
                format!("{id} {} is no half of {:?}", e.range, parent.map(|p| p.range))
            })
        })
}

fn agg_queued(chain: &ModelChain, id: UnitId, e: &AggQueued) -> Broken {
    let latest = chain.latest.map(|latest| latest.block);
    let mut at = e.range.start;
    let mut trouble = None;
    for member in &e.members {
        match chain.units.get(&UnitId::span(id.chain, *member)) {
            None => trouble = Some(format!("member {member} is unknown")),
            Some(span) if span.stage != Stage::Proven => {
                trouble = Some(format!("member {member} is {:?}", span.stage))
            }
            Some(span) if span.range.start != at => {
                trouble = Some(format!("member {member} starts at {} and not at {at}", span.range.start));
            }
            Some(span) if span.commitments != e.terms.commitments => {
                trouble = Some(format!("member {member} has other commitments"));
            }
            Some(span) => at = span.range.end,
        }
    }
    rule("aggregate", latest != Some(e.range.start), || {
        format!("{id} starts at block {}, the contract stands at {latest:?}", e.range.start)
    })
    .or_else(|| trouble.map(|text| ("aggregate", format!("{id}: {text}"))))
    .or_else(|| {
        rule("aggregate", at != e.range.end || e.members.is_empty(), || {
            format!("{id} claims {} and its members end at {at}", e.range)
        })
    })
    .or_else(|| {
        rule("aggregate", chain.next_block().is_none_or(|next| e.range.end < next), || {
            format!("{id} ends at {}, below the block that is accepted next", e.range.end)
        })
    })
    .or_else(|| {
        rule("commitments", chain.commitments() != Some(e.terms.commitments), || {
            format!("{id} is queued under {:?}", e.terms.commitments)
        })
    })
}

fn started(batch: &Batch, chain: &ModelChain, unit: &ModelUnit, e: &WitnessGenStarted) -> Broken {
    let id = unit.id;
    let held = chain.paused.contains(&Control::Proving)
        || !chain.degraded.is_empty()
        || chain.config_ok != Some(true)
        || chain.values.as_ref().is_some_and(|values| values.optimistic);
    let expected = unit.next_attempt.0 == 0 || e.attempt == unit.next_attempt;
    rule("one attempt", unit.stage != Stage::Waiting || e.attempt <= unit.attempt || !expected, || {
        format!(
            "{id} starts attempt {} while it is {:?} after attempt {}",
            e.attempt, unit.stage, unit.attempt
        )
    })
    .or_else(|| rule("held back", held, || format!("{id} starts although work is held back")))
    .or_else(|| agreed(chain, id))
    .or_else(|| {
        rule("backoff", batch.time < unit.not_before, || {
            format!("{id} starts {} s too early", unit.not_before.secs_since(batch.time))
        })
    })
    .or_else(|| {
        let now = chain.commitments();
        rule("commitments", now != Some(unit.commitments), || {
            format!("{id} starts under {:?}, now is {now:?}", unit.commitments)
        })
    })
    .or_else(|| agg_started(chain, unit))
}

/// Nothing is bought or submitted before the nodes were asked, by this very process, for the root of the contract's
/// latest block, and said the same as the contract.
fn agreed(chain: &ModelChain, id: UnitId) -> Broken {
    let latest = chain.latest?;
    let seen = chain.roots.get(&latest.block);
    rule("agreement", seen != Some(&latest.root), || {
        format!("{id}: the contract says {} of block {}, the nodes said {seen:?}", latest.root, latest.block)
    })
}

/// What an aggregate must be when it is bought.
fn agg_started(chain: &ModelChain, unit: &ModelUnit) -> Broken {
    if unit.id.kind == UnitKind::Span {
        return None;
    }
    let latest = chain.latest.map(|latest| latest.block);
    let Some((block, Some(_))) = unit.checkpoint else {
        return rule("checkpoint", true, || format!("{} is requested without a checkpoint", unit.id));
    };
    rule("aggregate", latest != Some(unit.range.start), || {
        format!("{} is requested from {}, the contract stands at {latest:?}", unit.id, unit.range.start)
    })
    .or_else(|| {
        rule("comparison", chain.config_at < unit.waits_since, || {
            format!("{} is requested without a look at what the server proves now", unit.id)
        })
    })
    .or_else(|| {
        let bound = bound(chain, unit);
        rule("checkpoint", bound > block, || {
            format!("{} has checkpoint {block}, a member's L1 head may be {bound}", unit.id)
        })
    })
}

/// The highest bound on the L1 heads of an aggregate's members.
fn bound(chain: &ModelChain, unit: &ModelUnit) -> L1Number {
    let member = |number: &u64| chain.units.get(&UnitId::span(unit.id.chain, *number));
    unit.members
        .iter()
        .filter_map(member)
        .filter_map(|span| span.proof)
        .map(|proof| proof.bound)
        .max()
        .unwrap_or_default()
}

/// Of spans that were never requested the lowest starts first. A server that is ill is probed with any of them, and one
/// that may still be at an older call for the same blocks is left in peace.
fn lowest_first(batch: &Batch, chain: &ModelChain, unit: &ModelUnit) -> Broken {
    if unit.id.kind != UnitKind::Span || chain.prover_degraded {
        return None;
    }
    let called = |range: Range| chain.units.values().any(|other| other.range == range && other.limit.0.0 > 0);
    let lower = chain.live().find(|other| {
        other.id.kind == UnitKind::Span
            && other.range.start < unit.range.start
            && other.stage == Stage::Waiting
            && other.not_before <= batch.time
            && !called(other.range)
    })?;
    rule("lowest first", true, || {
        format!("{} {} starts before {} {}", unit.id, unit.range, lower.id, lower.range)
    })
}

/// A proof that is held and still fits is never bought again.
fn bought_before(chain: &ModelChain, unit: &ModelUnit) -> Broken {
    let same = |id: &&UnitId| {
        chain.units.get(id).is_some_and(|other| {
            let usable = match other.invalid {
                None => other.stage == Stage::Settled,
                Some(
                    InvalidReason::Straddles
                    | InvalidReason::Commitments
                    | InvalidReason::Superseded
                    | InvalidReason::Replaced,
                ) => true,
                Some(_) => false,
            };
            other.id.kind == UnitKind::Span && usable && other.commitments == unit.commitments
        })
    };
    let kept = chain.kept.get(&unit.range)?;
    let held = kept.iter().find(same).filter(|_| unit.id.kind == UnitKind::Span)?;
    rule("usable proof", true, || {
        format!("{} {} is bought although {held} holds its proof", unit.id, unit.range)
    })
}

fn retried(batch: &Batch, chain: &ModelChain, unit: &ModelUnit, e: &Retried) -> Broken {
    if batch.by_operator {
        return None;
    }
    let policy = chain.policy.as_ref()?;
    let id = unit.id;
    let pause = e.not_before.secs_since(batch.time);
    let shift = unit.streak.saturating_sub(1).min(20);
    let least = policy.backoff_min_secs.saturating_mul(1 << shift).min(policy.backoff_max_secs);
    let waits = matches!(unit.last_failure, Some(FailureClass::DataNotReady));
    rule("backoff", unit.stage == Stage::Failed && !waits && pause < least, || {
        format!("{id} is retried after {pause} s, its {} failures in a row ask for {least}", unit.streak)
    })
    .or_else(|| {
        rule("budget", unit.stage == Stage::Failed && unit.certain >= policy.park_after, || {
            format!(
                "{id} is retried after {} failures of its own, {} are allowed",
                unit.certain, policy.park_after
            )
        })
    })
    .or_else(|| {
        let splits = unit.last_failure == Some(FailureClass::Unexecutable)
            && unit.id.kind == UnitKind::Span
            && unit.range.blocks() > 1;
        rule("halves", unit.stage == Stage::Failed && splits, || format!("{id} cannot run and is not halved"))
    })
}

fn requested(
    unit: &ModelUnit,
    attempt: Attempt,
    id: &prooflog_events::ids::ProofId,
    world: &World,
) -> Broken {
    let job = world.provers.get(&unit.id.chain).and_then(|prover| prover.job(id));
    let ours = job.is_some_and(|job| job.unit == unit.id && job.attempt <= attempt);
    rule("truth", !ours || unit.attempt != attempt, || {
        format!(
            "{} attempt {attempt} has the id {id}, which the prover gave to {:?}",
            unit.id,
            job.map(|job| (job.unit, job.attempt))
        )
    })
}

fn fulfilled(unit: &ModelUnit, e: &ProofFulfilled, world: &World) -> Broken {
    let prover = world.provers.get(&unit.id.chain)?;
    let job = prover.jobs().map(|(_, job)| job).find(|job| {
        job.unit == unit.id
            && job.attempt <= e.attempt
            && matches!(&job.verdict, Verdict::Proof { bytes, .. } if blob_ref(bytes) == e.proof)
    });
    rule("truth", job.is_none(), || {
        format!("{} attempt {} has a proof that nobody made for it", unit.id, e.attempt)
    })
    .or_else(|| {
        let exact = e.l1_head.is_some_and(|head| head.number > e.l1_bound);
        rule("checkpoint", exact, || format!("{} has a bound below its L1 head", unit.id))
    })
    .or_else(|| {
        let head = job.map_or(0, |job| job.l1_head.number.0);
        rule("checkpoint", unit.id.kind == UnitKind::Span && head > e.l1_bound.0, || {
            format!("{} has the bound {} and was proven up to L1 block {head}", unit.id, e.l1_bound)
        })
    })
}

/// A span is proven again for its bytes only if they can be read by nobody.
fn thrown_away(unit: &ModelUnit, world: &World) -> Broken {
    let prover = world.provers.get(&unit.id.chain)?;
    let held = unit.proof.map(|proof| proof.blob);
    let readable = prover.jobs().any(|(_, job)| {
        matches!(&job.verdict, Verdict::Proof { bytes, .. }
            if Some(blob_ref(bytes)) == held && !is_unreadable(bytes))
    });
    rule("usable proof", readable, || format!("{} is thrown away, and its proof can be read", unit.id))
}

/// A request that the prover took ends by our limit only when the prover was asked for it after that, or could not be
/// asked for as long again.
fn timed_out(batch: &Batch, unit: &ModelUnit, e: &TimedOut) -> Broken {
    let (began, limit) = unit.limit;
    let asked = matches!(&batch.input, Input::StatusAnswered(input) if input.unit == unit.id);
    let day = 86_400_000_000;
    let patience = Micros(limit.0.saturating_add(limit.0.saturating_sub(began.0).min(day)));
    let early = batch.time < limit || (unit.stage == Stage::Proving && !asked && batch.time < patience);
    rule("asked first", e.reason == TimeoutReason::Deadline && early, || {
        format!("{} attempt {} ends by its limit, and nobody asked for it", unit.id, e.attempt)
    })
}

fn unfulfillable(unit: &ModelUnit, e: &Unfulfillable, world: &World) -> Broken {
    let prover = world.provers.get(&unit.id.chain)?;
    // With a key that is honoured, an earlier attempt's job may be the one that this attempt joined.
    let id = unit.ids.get(&e.attempt);
    let job = id.and_then(|id| prover.job(id));
    let gave_up = job.is_some_and(|job| matches!(job.verdict, Verdict::Unfulfillable(_)));
    rule("fencing", !gave_up || e.attempt != unit.attempt, || {
        format!("{} attempt {} is given up, which the prover did not do", unit.id, e.attempt)
    })
}

fn pruned(batch: &Batch, chain: &ModelChain, unit: &ModelUnit, e: &ProofPruned) -> Broken {
    let policy = chain.policy.as_ref()?;
    let final_secs = chain.values.as_ref().map_or(0, |values| values.finalization_secs);
    let keep = policy.keep_proofs_secs.max(final_secs);
    let age = batch.time.secs_since(unit.over_at);
    rule("usable proof", !unit.stage.is_over() || age < keep, || {
        format!("{} loses {} {age} s after it was over, {keep} s are promised", unit.id, e.proof.sha256)
    })
}

fn checkpoint_started(chain: &ModelChain, unit: &ModelUnit, e: &CheckpointStarted, world: &World) -> Broken {
    let bound = bound(chain, unit);
    rule("checkpoint", e.block < bound || e.bound < bound, || {
        format!("{} checkpoints {}, a member's L1 head may be {bound}", unit.id, e.block)
    })
    .or_else(|| {
        rule("checkpoint", e.block.0 >= world.l1.height(), || {
            format!("{} checkpoints the head or above", unit.id)
        })
    })
}

fn submission_started(chain: &ModelChain, unit: &ModelUnit) -> Broken {
    let latest = chain.latest.map(|latest| latest.block);
    rule("aggregate", latest != Some(unit.range.start), || {
        format!("{} is submitted from {}, the contract stands at {latest:?}", unit.id, unit.range.start)
    })
    .or_else(|| {
        rule("aggregate", unit.stage != Stage::Proven, || {
            format!("{} is submitted while {:?}", unit.id, unit.stage)
        })
    })
    .or_else(|| {
        rule("aggregate", chain.next_block().is_none_or(|next| unit.range.end < next), || {
            format!("{} is submitted below the block that is accepted next", unit.id)
        })
    })
    .or_else(|| held_sending(chain, unit))
    .or_else(|| agreed(chain, unit.id))
}

fn held_sending(chain: &ModelChain, unit: &ModelUnit) -> Broken {
    let held = chain.paused.contains(&Control::Submitting)
        || chain.degraded.iter().any(|reason| *reason != DegradedReason::Disk)
        || chain.values.as_ref().is_some_and(|values| !values.approved || values.optimistic);
    rule("held back", held, || format!("{} sends although that is held back", unit.id))
}

fn confirmed(batch: &Batch, chain: &ModelChain, unit: &ModelUnit, e: &SubmissionConfirmed) -> Broken {
    let confirmations = chain.policy.as_ref()?.confirmations;
    let seen = match &batch.input {
        Input::SignerRead(read) => read.at.block.number.0.saturating_sub(e.block.number.0),
        _ => 0,
    };
    let shallow = seen < confirmations || e.depth < confirmations || unit.stage != Stage::Included;
    rule("confirmed at depth", shallow, || {
        format!("{} is confirmed {seen} blocks deep, {confirmations} are asked for", unit.id)
    })
}

/// The two halves of a split cover their parent and share its middle block.
pub(super) fn halves_cover(chain: &ModelChain, parent: UnitId, low: u64, high: u64) -> Broken {
    let range = |number: u64| chain.units.get(&UnitId::span(parent.chain, number)).map(|unit| unit.range);
    let whole: Option<Range> = chain.units.get(&parent).map(|unit| unit.range);
    let covered = match (whole, range(low), range(high)) {
        (Some(whole), Some(low), Some(high)) => {
            low.start == whole.start
                && low.end == high.start
                && high.end == whole.end
                && low.blocks() > 0
                && high.blocks() > 0
        }
        _ => false,
    };
    rule("halves", !covered, || format!("{parent} {whole:?} became {:?} and {:?}", range(low), range(high)))
}
