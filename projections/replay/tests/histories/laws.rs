//! Every law can be broken: what golden logs hold breaks none, and a little change of an event, or of the state that it is
//! looked at on, breaks the law that it is about.

use std::collections::BTreeSet;

use prooflog_events::event::{Event, SpanOrigin};
use prooflog_events::ids::{Hash32, L1Number, LogId, Nonce, SlotId, StreamId, UnitId};
use prooflog_events::values::Purpose;
use prooflog_projections::laws::check;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::unit::Unit;
use prooflog_projections::{Fact, State};

use crate::golden::HISTORIES;

/// Makes of a state and a lawful event what breaks a law; `None` if the event is of another kind.
type Change = fn(&mut State, &mut Fact<'_>) -> Option<()>;

const OTHER: Hash32 = Hash32([0xee; 32]);

fn unit_of(fact: &Fact<'_>) -> Option<UnitId> {
    match fact.stream {
        StreamId::Unit(id) => Some(id),
        _ => None,
    }
}

/// The rollup of a unit's event.
fn chain<'s>(state: &'s mut State, fact: &Fact<'_>) -> Option<&'s mut Chain> {
    state.chains.get_mut(&unit_of(fact)?.chain)
}

const CHANGES: &[(&str, Change)] = &[
    ("recorded time never goes back", |state, fact| {
        state.time = fact.time.plus_secs(1);
        Some(())
    }),
    ("live spans never overlap", |state, fact| {
        let other = chain(state, fact)?.spans.values().next()?.range;
        let Event::SpanCreated(e) = &mut fact.event else { return None };
        e.range = other;
        Some(())
    }),
    ("nothing above the finalized head is planned", |state, fact| {
        let Event::SpanCreated(e) = &fact.event else { return None };
        chain(state, fact)?.finalized.as_mut()?.block.0 = e.range.end.0 - 1;
        (!matches!(e.origin, SpanOrigin::HalfOf(_))).then_some(())
    }),
    ("what is planned is proven under what the contract accepts", |_, fact| {
        let Event::SpanCreated(e) = &mut fact.event else { return None };
        e.commitments.range_vkey = OTHER;
        (!matches!(e.origin, SpanOrigin::HalfOf(_))).then_some(())
    }),
    ("an aggregate starts at the contract's latest block", |_, fact| {
        let Event::AggQueued(e) = &mut fact.event else { return None };
        e.range.start.0 += 1;
        Some(())
    }),
    ("members are complete, chain without a gap and agree", |_, fact| {
        let Event::AggQueued(e) = &mut fact.event else { return None };
        e.terms.commitments.range_vkey = OTHER;
        Some(())
    }),
    ("an aggregate covers its members", |_, fact| {
        let Event::AggQueued(e) = &mut fact.event else { return None };
        e.range.end.0 += 1;
        Some(())
    }),
    ("one live aggregate per start block", |state, fact| {
        let Event::AggQueued(e) = fact.event.clone() else { return None };
        let id = UnitId { number: u64::MAX, ..unit_of(fact)? };
        chain(state, fact)?.aggs.insert(id.number, Unit::agg(id, fact.time, e));
        Some(())
    }),
    ("nothing is started while work is held back", |state, fact| {
        let Event::WitnessGenStarted(_) = &fact.event else { return None };
        chain(state, fact)?.hold.config_ok = None;
        Some(())
    }),
    ("what is started is proven under what the contract accepts", |state, fact| {
        let Event::WitnessGenStarted(_) = &fact.event else { return None };
        chain(state, fact)?.contract.values.as_mut()?.range_vkey = OTHER;
        Some(())
    }),
    ("nothing is started at or above the limits", |state, fact| {
        let Event::WitnessGenStarted(_) = &fact.event else { return None };
        let is_span = chain(state, fact)?.unit(unit_of(fact)?)?.is_span();
        let chain = chain(state, fact)?;
        chain.index.spans_in_flight = chain.policy.as_ref()?.max_proofs_in_flight;
        is_span.then_some(())
    }),
    ("one aggregate is proven at a time", |state, fact| {
        let Event::WitnessGenStarted(_) = &fact.event else { return None };
        let is_span = chain(state, fact)?.unit(unit_of(fact)?)?.is_span();
        chain(state, fact)?.index.aggs_in_flight = 1;
        (!is_span).then_some(())
    }),
    ("a checkpoint is at or above its members' L1 heads", |_, fact| {
        let Event::CheckpointStarted(e) = &mut fact.event else { return None };
        e.block = L1Number(0);
        Some(())
    }),
    ("what is submitted is proven", |state, fact| {
        let Event::SubmissionStarted(_) = &fact.event else { return None };
        let id = unit_of(fact)?;
        chain(state, fact)?.aggs.get_mut(&id.number)?.proof = None;
        Some(())
    }),
    ("one purpose is in flight in one nonce", |state, fact| {
        let (Event::TxReserved(e), StreamId::Tx(slot)) = (&fact.event, fact.stream) else { return None };
        let is_release = e.purpose == Purpose::Release;
        state.apply(fact).unwrap();
        fact.stream = StreamId::Tx(SlotId { nonce: Nonce(slot.nonce.0 + 1), ..slot });
        (!is_release).then_some(())
    }),
];

/// The laws, by the words in the source.
fn laws() -> BTreeSet<&'static str> {
    let source = include_str!("../../../src/laws.rs");
    let words =
        |after: &'static str| after.trim_start().strip_prefix('"')?.split_once('"').map(|(law, _)| law);
    source.split("law(").filter_map(words).collect()
}

#[test]
fn what_golden_logs_hold_breaks_no_law_and_every_law_can_be_broken() {
    let mut broken = BTreeSet::new();
    for history in HISTORIES.iter() {
        let mut state = State::new(LogId([1; 16]));
        for record in history {
            let fact = record.fact();
            check(&state, &fact).unwrap();
            for (law, change) in CHANGES {
                let (mut state, mut fact) = (state.clone(), fact.clone());
                if change(&mut state, &mut fact).is_some() {
                    let found = check(&state, &fact).unwrap_err();
                    assert_eq!(found.law, *law, "{found}: {fact:?}");
                    broken.insert(*law);
                }
            }
            state.apply(&fact).unwrap();
        }
    }
    assert_eq!(broken, laws());
}
