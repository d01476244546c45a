//! Deliberate bugs that change more of a decision than one event.
//!
//! Each takes what was decided and gives what a scheduler with the bug would have decided. Revisions are given anew
//! afterwards, so what is added here may stand anywhere.

use prooflog_core::NewEvent;
use prooflog_events::event::{Event, SpanSettled};
use prooflog_events::ids::{Nonce, ProofId, SlotId, StreamId, UnitId, UnitKind};
use prooflog_events::values::Purpose;
use prooflog_projections::State;
use prooflog_projections::state::unit::Unit;

/// Whatever span is started, the highest that may start is started in its place.
pub(super) fn highest_first(state: &State, mut events: Vec<NewEvent>) -> Vec<NewEvent> {
    let mut taken: Vec<UnitId> = Vec::new();
    for new in &mut events {
        let (Event::WitnessGenStarted(e), StreamId::Unit(id)) = (&mut new.event, new.stream) else {
            continue;
        };
        let Some(chain) = state.chains.get(&id.chain).filter(|_| id.kind == UnitKind::Span) else { continue };
        let mut ready: Vec<&Unit> = chain.index.ready.iter().filter_map(|(_, id)| chain.unit(*id)).collect();
        ready.retain(|unit| unit.is_span() && !taken.contains(&unit.id));
        if let Some(highest) = ready.last() {
            (new.stream, new.correlation) = (StreamId::Unit(highest.id), highest.correlation().to_string());
            (e.attempt, e.try_number) = (highest.attempt, highest.try_number);
            taken.push(highest.id);
        }
    }
    events
}

/// Settles the members of an aggregate whose proof has just come.
pub(super) fn settle_members(state: &State, events: Vec<NewEvent>) -> Vec<NewEvent> {
    let mut result = Vec::new();
    for new in events {
        let agg = match (&new.event, new.stream) {
            (Event::ProofFulfilled(_), StreamId::Unit(unit)) => state.unit(unit),
            _ => None,
        };
        result.push(new);
        let Some((agg, body)) = agg.and_then(|agg| Some((agg.id, agg.agg_body()?))) else { continue };
        let members = body.members.iter().filter_map(|number| state.unit(UnitId::span(agg.chain, *number)));
        result.extend(members.map(|span| NewEvent {
            stream: StreamId::Unit(span.id),
            revision: span.revision,
            correlation: span.correlation().to_string(),
            event: SpanSettled { output_index: 0, agg: Some(agg.number) }.into(),
        }));
    }
    result
}

/// Gives a submission the next nonce as well.
pub(super) fn submit_again(mut events: Vec<NewEvent>) -> Vec<NewEvent> {
    let again = events.iter().find_map(|new| match (&new.event, new.stream) {
        (Event::TxReserved(e), StreamId::Tx(slot)) if matches!(e.purpose, Purpose::Submission { .. }) => {
            let slot = SlotId { nonce: Nonce(slot.nonce.0 + 1), ..slot };
            Some(NewEvent { stream: StreamId::Tx(slot), ..new.clone() })
        }
        _ => None,
    });
    events.extend(again);
    events
}

/// The id of another request of the same rollup that is under way.
pub(super) fn other_id(state: &State, stream: StreamId) -> Option<ProofId> {
    let StreamId::Unit(id) = stream else { return None };
    let mut others = state.chains.get(&id.chain)?.units().filter(|unit| unit.id != id);
    others.find_map(|unit| Some(unit.request.as_ref()?.proof_id.clone()))
}
