//! What no log of a sound engine says: the laws of planning, proving and sending that one event can break.
//!
//! [`check`] looks at an event on the state before it. The fold takes whatever may follow by the phases; these laws are
//! about blocks, bounds, limits and commitments, so that a log that was forged or decided by a broken rule shows where.
//! They are looked at by `verify` on any log and by the simulator after every batch, never by the engine.

use prooflog_events::event::{
    AggQueued, CheckpointStarted, Event, SpanCreated, SpanOrigin, SubmissionStarted, TxReserved,
    WitnessGenStarted,
};
use prooflog_events::ids::{Attempt, L1Number, L2Block, Range, Revision, SlotId, StreamId, UnitId};
use prooflog_events::values::{Control, Purpose};

use crate::state::chain::Chain;
use crate::state::phase::Phase;
use crate::state::unit::{Body, Unit};
use crate::{Fact, State};

/// A law that an event breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{law}: {seen}")]
pub struct Broken {
    /// The law, in words.
    pub law: &'static str,
    /// What was seen.
    pub seen: String,
}

type Law = Result<(), Broken>;

fn law(law: &'static str, holds: bool, seen: impl FnOnce() -> String) -> Law {
    if holds { Ok(()) } else { Err(Broken { law, seen: seen() }) }
}

/// Whether an event may come after what is in `state`, beside what the fold itself refuses.
///
/// # Errors
/// The first law that it breaks.
pub fn check(state: &State, fact: &Fact<'_>) -> Result<(), Broken> {
    if fact.time < state.time {
        return law("recorded time never goes back", false, || {
            format!("{} comes after {}", fact.time, state.time)
        });
    }
    match (&fact.event, fact.stream) {
        (Event::TxReserved(e), StreamId::Tx(slot)) => reserved(state, slot, e),
        (event, StreamId::Unit(id)) => match state.chains.get(&id.chain) {
            Some(chain) => unit_event(chain, id, event),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

fn unit_event(chain: &Chain, id: UnitId, event: &Event) -> Law {
    match event {
        Event::SpanCreated(e) => return span_created(chain, id, e),
        Event::AggQueued(e) => return agg_queued(chain, id, e),
        // The proof of a span that was halved makes it alive again.
        Event::ProofFulfilled(_) => {
            return chain.halved_span(id).map_or(Ok(()), |whole| lies_free(chain, id, whole.range));
        }
        _ => {}
    }
    // What is not there the fold refuses.
    let Some(unit) = chain.unit(id) else { return Ok(()) };
    match event {
        Event::WitnessGenStarted(e) => started(chain, unit, e),
        Event::CheckpointStarted(e) => checkpoint_started(chain, unit, e),
        Event::SubmissionStarted(e) => submission_started(chain, unit, e),
        _ => Ok(()),
    }
}

/// No other span is alive where one comes to life.
fn lies_free(chain: &Chain, id: UnitId, range: Range) -> Law {
    let below = chain.index.by_start.range(..range.end).next_back();
    let below = below.and_then(|(_, number)| chain.spans.get(number));
    law("live spans never overlap", below.is_none_or(|other| other.range.end <= range.start), || {
        format!("{id} covers {range}, where {:?} is alive", below.map(|other| (other.id, other.range)))
    })
}

fn span_created(chain: &Chain, id: UnitId, e: &SpanCreated) -> Law {
    lies_free(chain, id, e.range)?;
    // Halves have their parent's blocks and keys, and another proposer saw a head and keys of its own.
    if matches!(e.origin, SpanOrigin::HalfOf(_) | SpanOrigin::Imported) {
        return Ok(());
    }
    let behind = chain.policy.as_ref().map_or(0, |policy| policy.plan_behind_finalized);
    let top = chain.finalized.map_or(0, |head| head.block.0).saturating_sub(behind);
    law("nothing above the finalized head is planned", e.range.end.0 <= top, || {
        format!("{id} covers {}, planning may go up to block {top}", e.range)
    })?;
    law(
        "what is planned is proven under what the contract accepts",
        chain.commitments() == Some(e.commitments),
        || format!("{id} is planned under {:?}", e.commitments),
    )
}

fn agg_queued(chain: &Chain, id: UnitId, e: &AggQueued) -> Law {
    starts_at_latest(chain, id, e.range.start)?;
    let mut at = e.range.start;
    for number in &e.members {
        let span = chain.spans.get(number);
        let fits = span.is_some_and(|span| {
            span.phase == Phase::Complete
                && span.range.start == at
                && span.commitments() == e.terms.commitments
        });
        law("members are complete, chain without a gap and agree", fits, || {
            format!("{id}: span {number} does not follow at block {at}")
        })?;
        at = span.map_or(at, |span| span.range.end);
    }
    law("an aggregate covers its members", at == e.range.end && !e.members.is_empty(), || {
        format!("{id} claims {}, its members end at block {at}", e.range)
    })?;
    let second = chain.aggs.values().find(|other| other.range.start == e.range.start);
    law("one live aggregate per start block", second.is_none(), || {
        format!("{id} starts where {:?} does", second.map(|other| other.id))
    })
}

fn starts_at_latest(chain: &Chain, id: UnitId, start: L2Block) -> Law {
    let latest = chain.contract.latest.map(|latest| latest.block);
    law("an aggregate starts at the contract's latest block", latest == Some(start), || {
        format!("{id} starts at block {start}, the contract stands at {latest:?}")
    })
}

/// Whether this is the start that another proposer made: it was taken over with its unit, right after what made it, and
/// no transaction of ours carries its checkpoint.
fn is_taken_over(unit: &Unit, e: &WitnessGenStarted) -> bool {
    let first_after = match &unit.body {
        Body::Span(span) => (span.origin == SpanOrigin::Imported).then_some(Revision(0)),
        Body::Agg(agg) => agg.checkpoint.filter(|point| point.slot.is_none()).map(|_| Revision(1)),
    };
    e.attempt == Attempt(1) && first_after == Some(unit.revision)
}

fn started(chain: &Chain, unit: &Unit, e: &WitnessGenStarted) -> Law {
    let taken_over = is_taken_over(unit, e);
    let held = chain.is_paused(Control::Proving)
        || chain.is_degraded()
        || chain.is_optimistic()
        || chain.hold.config_ok != Some(true);
    let id = unit.id;
    law("nothing is started while work is held back", taken_over || !held, || {
        format!("{id} attempt {} starts", e.attempt)
    })?;
    law(
        "what is started is proven under what the contract accepts",
        chain.commitments() == Some(unit.commitments()),
        || format!("{id} starts under {:?}", unit.commitments()),
    )?;
    let Some(policy) = &chain.policy else { return Ok(()) };
    let index = &chain.index;
    if unit.is_span() {
        let (witnesses, proofs) = (index.in_witness, index.spans_in_flight);
        let room =
            taken_over || (witnesses < policy.max_witness_in_flight && proofs < policy.max_proofs_in_flight);
        return law("nothing is started at or above the limits", room, || {
            format!("{id} starts with {witnesses} witnesses and {proofs} proofs under way")
        });
    }
    law("one aggregate is proven at a time", index.aggs_in_flight == 0, || {
        format!("{id} starts beside another")
    })?;
    starts_at_latest(chain, id, unit.range.start)?;
    let checkpoint = unit.agg_body().and_then(|agg| agg.checkpoint);
    let checkpoint = checkpoint.filter(|point| point.hash.is_some()).map(|point| point.block);
    above_members(chain, unit, checkpoint)
}

fn checkpoint_started(chain: &Chain, unit: &Unit, e: &CheckpointStarted) -> Law {
    above_members(chain, unit, Some(e.block))
}

/// A checkpoint is at or above the bound of each member's L1 head.
fn above_members(chain: &Chain, unit: &Unit, checkpoint: Option<L1Number>) -> Law {
    let members = unit.agg_body().map(|agg| agg.members.as_slice()).unwrap_or_default();
    let proofs = members.iter().filter_map(|number| chain.spans.get(number)?.proof.as_ref());
    let bound = proofs.map(|proof| proof.l1_head.map_or(proof.l1_bound, |head| head.number)).max();
    law("a checkpoint is at or above its members' L1 heads", checkpoint >= bound, || {
        format!("{} has checkpoint {checkpoint:?}, its members need {bound:?}", unit.id)
    })
}

fn submission_started(chain: &Chain, unit: &Unit, _: &SubmissionStarted) -> Law {
    starts_at_latest(chain, unit.id, unit.range.start)?;
    law("what is submitted is proven", unit.phase == Phase::Complete && unit.proof.is_some(), || {
        format!("{} is submitted while it is {:?}", unit.id, unit.phase)
    })
}

/// No two open nonces of an account carry one purpose.
fn reserved(state: &State, slot: SlotId, e: &TxReserved) -> Law {
    if e.purpose == Purpose::Release {
        return Ok(());
    }
    let open = state.signers.get(&slot.signer).into_iter().flat_map(|signer| signer.slots.values());
    let mut others = open.filter(|other| other.id != slot && other.purpose == e.purpose);
    let other = others.find(|other| other.mined.is_none());
    law("one purpose is in flight in one nonce", other.is_none(), || {
        format!("{slot} and {:?} carry {:?}", other.map(|other| other.id), e.purpose)
    })
}
