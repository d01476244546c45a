//! Every pair of state and event against a table written by hand, in another style than the code.
//!
//! The table lists, per event, from where to where it may lead; whatever is not listed must be illegal. All shapes,
//! phases and event types are enumerated, so a pair that the code allows and the table does not know, or the other way
//! round, is named. `own` is the phase that the unit is in already.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;

use prooflog_events::event::EventType;
use prooflog_events::ids::UnitKind;
use prooflog_projections::state::phase::{Phase, Shape, SlotPhase, SlotShape, next_phase, next_slot_phase};

/// Event: from phases -> to phase [only if].
const SPANS: &str = "
WitnessGenStarted: ready -> witness_gen
WitnessGenFailed: witness_gen -> failed
ProofRequested: witness_gen -> requested
ProofAssigned: requested -> assigned
ProofFulfilled: ready witness_gen requested assigned parked split -> complete
Unfulfillable: requested assigned -> failed
TimedOut: witness_gen requested assigned -> failed
ProofLost: requested assigned -> failed
LateAnswerRecorded: ready witness_gen requested assigned complete parked split -> own
UnknownStatusRecorded: ready witness_gen requested assigned parked split -> own
DuplicateSpendRecorded: ready witness_gen requested assigned complete parked -> own
Retried: ready failed -> ready
Retried: complete -> complete
Split: failed -> split
Parked: ready witness_gen requested assigned failed complete -> parked
Unparked: parked -> complete [proof]
Unparked: parked -> ready [no proof]
Invalidated: ready witness_gen requested assigned failed complete parked -> invalidated
Cancelled: ready witness_gen requested assigned complete parked -> cancelled
SpanSettled: ready witness_gen requested assigned complete parked -> settled
Restored: settled invalidated -> complete [proof]
Restored: invalidated -> requested [no proof, request]
ProofPruned: settled invalidated cancelled -> own [proof]
";

const AGGREGATES: &str = "
CheckpointStarted: queued checkpointing -> checkpointing
Checkpointed: queued checkpointing -> ready
CheckpointLost: checkpointing ready witness_gen requested assigned complete -> queued
CheckpointLost: parked -> parked
WitnessGenStarted: ready -> witness_gen
WitnessGenFailed: witness_gen -> failed
ProofRequested: witness_gen -> requested
ProofAssigned: requested -> assigned
ProofFulfilled: ready witness_gen requested assigned -> complete
ProofFulfilled: parked -> complete [checkpoint]
Unfulfillable: requested assigned -> failed
TimedOut: witness_gen requested assigned -> failed
ProofLost: requested assigned -> failed
LateAnswerRecorded: queued checkpointing ready witness_gen requested assigned complete submitting included confirmed parked -> own
UnknownStatusRecorded: ready witness_gen requested assigned parked -> own
DuplicateSpendRecorded: ready witness_gen requested assigned complete parked -> own
OutputChecked: queued checkpointing ready complete submitting included confirmed -> own
OutputMismatched: queued checkpointing ready complete submitting included confirmed -> own
Retried: queued -> queued
Retried: ready failed -> ready [checkpoint]
Retried: ready failed -> queued [no checkpoint]
Retried: complete -> complete
Parked: queued ready witness_gen requested assigned failed complete -> parked
Unparked: parked -> complete [proof]
Unparked: parked -> ready [no proof, checkpoint]
Unparked: parked -> queued [no proof, no checkpoint]
Invalidated: queued checkpointing ready witness_gen requested assigned failed complete submitting included parked -> invalidated
Cancelled: queued checkpointing ready witness_gen requested assigned complete parked -> cancelled
SubmissionRefused: queued complete -> own
FeeCeilingReached: queued complete -> own
SubmissionStarted: complete -> submitting
SubmissionAbandoned: submitting -> complete
Submitted: submitting -> included
SubmissionReverted: submitting included -> complete
SubmissionConfirmed: included -> confirmed
SubmissionReorged: included confirmed -> submitting
AggSettled: confirmed -> settled
Restored: settled invalidated -> complete [proof]
Restored: invalidated -> requested [no proof, request]
ProofPruned: settled invalidated cancelled -> own [proof]
";

const SLOTS: &str = "
TxPrepared: unsigned -> prepared
TxBroadcast: prepared -> broadcast
TxDropped: broadcast -> prepared
TxReplaced: unsigned prepared broadcast -> unsigned
FeeCeilingReached: unsigned prepared broadcast -> own
TxIncluded: prepared broadcast -> included
TxIncluded: unsigned -> included [signed]
TxReverted: prepared broadcast -> reverted
TxReverted: unsigned -> reverted [signed]
TxReorged: included reverted -> broadcast
TxConfirmed: included reverted -> confirmed
TxAbandoned: unsigned prepared broadcast -> abandoned
";

/// (event, from, conditions) -> to.
struct Line {
    event: EventType,
    from: Vec<String>,
    to: String,
    conditions: Vec<String>,
}

fn parse(table: &str) -> Vec<Line> {
    let lines = table.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (event, rest) = line.split_once(": ").unwrap();
            let (from, rest) = rest.split_once(" -> ").unwrap();
            let (to, conditions) = rest.split_once(" [").unwrap_or((rest, ""));
            let conditions = conditions.trim_end_matches(']').split(", ").filter(|word| !word.is_empty());
            Line {
                event: EventType::from_name(event).unwrap_or_else(|| panic!("no event {event}")),
                from: from.split(' ').map(str::to_owned).collect(),
                to: to.to_owned(),
                conditions: conditions.map(str::to_owned).collect(),
            }
        })
        .collect()
}

fn expected(table: &[Line], event: EventType, phase: &str, facts: &BTreeMap<&str, bool>) -> Option<String> {
    let holds = |condition: &String| match condition.strip_prefix("no ") {
        Some(fact) => !facts[fact],
        None => facts[condition.as_str()],
    };
    let mut lines = table
        .iter()
        .filter(|line| line.event == event && line.from.iter().any(|from| from == phase))
        .filter(|line| line.conditions.iter().all(holds));
    let to = lines.next().map(|line| if line.to == "own" { phase.to_owned() } else { line.to.clone() });
    assert!(lines.next().is_none(), "the table says two things of {event:?} in {phase}");
    to
}

#[test]
fn every_pair_of_a_unit_is_as_the_table_says() {
    let tables = [(UnitKind::Span, parse(SPANS)), (UnitKind::Agg, parse(AGGREGATES))];
    let (mut pairs, mut differences) = (0, Vec::new());
    for (kind, table) in &tables {
        for facts in 0..8 {
            let (has_proof, has_checkpoint, has_request) = (facts & 1 > 0, facts & 2 > 0, facts & 4 > 0);
            let shape = Shape { kind: *kind, has_proof, has_checkpoint, has_request };
            let facts = BTreeMap::from([
                ("proof", has_proof),
                ("checkpoint", has_checkpoint),
                ("request", has_request),
            ]);
            for phase in Phase::ALL {
                for event in EventType::ALL {
                    pairs += 1;
                    let found = next_phase(shape, phase, *event).map(|phase| phase.name().to_owned());
                    let wanted = expected(table, *event, phase.name(), &facts);
                    if found != wanted {
                        differences
                            .push(format!("{shape:?} {phase:?} {event:?}: {found:?}, table {wanted:?}"));
                    }
                }
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_eq!(pairs, 2 * 8 * 16 * EventType::ALL.len());
}

#[test]
fn every_pair_of_a_slot_is_as_the_table_says() {
    let table = parse(SLOTS);
    let mut differences = Vec::new();
    for is_signed in [false, true] {
        let facts = BTreeMap::from([("signed", is_signed)]);
        for phase in SlotPhase::ALL {
            for event in EventType::ALL {
                let found = next_slot_phase(SlotShape { is_signed }, phase, *event).map(SlotPhase::name);
                let wanted = expected(&table, *event, phase.name(), &facts);
                if found != wanted.as_deref() {
                    differences
                        .push(format!("signed {is_signed} {phase:?} {event:?}: {found:?}, table {wanted:?}"));
                }
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
