//! `diff`: what changed between two moments, as facts: per rollup, per span and aggregate, per transaction slot.
//!
//! Both states come from the log. What is there at one moment only was created or is over; how it ended is asked of its
//! own stream.

use std::collections::BTreeSet;

use prooflog_events::ids::{Position, Revision, StreamId};
use prooflog_events::port::Direction;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::slot::Slot;
use prooflog_projections::state::unit::Unit;
use prooflog_projections::{State, describe};
use serde::Serialize;

use super::exit::CliError;
use super::output::{self, Form, json_line};
use super::source::Source;
use super::status::held_by;

/// One fact that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Change {
    /// What it is about: a stream.
    subject: String,
    /// Which fact.
    fact: &'static str,
    /// At the first moment; nothing if it was not there.
    before: Option<String>,
    /// At the second moment; nothing if it is not there any more.
    after: Option<String>,
}

/// Facts of one subject, in a fixed order.
type Facts = Vec<(&'static str, String)>;

/// Shows what changed from the first moment to the second.
pub(crate) fn run(before: &Source, after: &Source, form: Form) -> Result<(), CliError> {
    if before.at() > after.at() {
        let text = format!("position {} is after {}: name the earlier moment first", before.at(), after.at());
        return Err(CliError::Usage(text));
    }
    let (old, new) = (before.state()?, after.state()?);
    let mut changes = Vec::new();
    for subject in subjects(&old).union(&subjects(&new)) {
        compare(after, *subject, (&old, &new), &mut changes)?;
    }
    output::print(|out| match form {
        Form::Json => changes.iter().try_for_each(|change| json_line(out, change)),
        Form::Text => {
            writeln!(out, "from position {} ({})", before.at(), output::time(old.time))?;
            writeln!(out, "  to position {} ({})", after.at(), output::time(new.time))?;
            let mut subject = "";
            for change in &changes {
                if change.subject != subject {
                    subject = &change.subject;
                    writeln!(out, "{subject}")?;
                }
                let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
                writeln!(out, "  {:<14} {} -> {}", change.fact, side(&change.before), side(&change.after))?;
            }
            if changes.is_empty() { writeln!(out, "nothing changed") } else { Ok(()) }
        }
    })
}

fn subjects(state: &State) -> BTreeSet<StreamId> {
    let chains = state.chains.keys().map(|chain| StreamId::Chain(*chain));
    let units = state.chains.values().flat_map(Chain::units).map(|unit| StreamId::Unit(unit.id));
    let slots = state.signers.values().flat_map(|signer| signer.slots.values());
    chains.chain(units).chain(slots.map(|slot| StreamId::Tx(slot.id))).collect()
}

fn facts(state: &State, subject: StreamId) -> Option<Facts> {
    match subject {
        StreamId::Chain(id) => state.chains.get(&id).map(of_chain),
        StreamId::Unit(id) => state.unit(id).map(of_unit),
        StreamId::Tx(id) => state.slot(id).map(of_slot),
        StreamId::Node | StreamId::Signer(_) => None,
    }
}

fn of_chain(chain: &Chain) -> Facts {
    let block = |block: Option<prooflog_events::ids::L2Block>| {
        block.map_or_else(|| "-".to_owned(), |block| block.to_string())
    };
    vec![
        ("contract", block(chain.contract.latest.map(|latest| latest.block))),
        ("confirmed", block(chain.contract.confirmed.map(|latest| latest.block))),
        ("finalized", block(chain.finalized.map(|head| head.block))),
        ("proven to", block(chain.proven_to())),
        ("held by", held_by(chain).join("; ")),
    ]
}

fn of_unit(unit: &Unit) -> Facts {
    vec![
        ("blocks", format!("({}, {}]", unit.range.start, unit.range.end)),
        ("phase", unit.phase.name().to_owned()),
        ("attempt", unit.attempt.to_string()),
        ("own failures", unit.own_failures.to_string()),
    ]
}

fn of_slot(slot: &Slot) -> Facts {
    vec![
        ("phase", slot.phase.name().to_owned()),
        ("version", slot.version.to_string()),
        ("max fee", slot.fees.max_fee.to_string()),
    ]
}

fn compare(
    after: &Source,
    subject: StreamId,
    (old, new): (&State, &State),
    changes: &mut Vec<Change>,
) -> Result<(), CliError> {
    let name = subject.to_string();
    let mut add = |fact, before: Option<String>, after: Option<String>| {
        if before != after {
            changes.push(Change { subject: name.clone(), fact, before, after });
        }
    };
    match (facts(old, subject), facts(new, subject)) {
        (Some(before), Some(after)) => {
            for ((fact, before), (_, after)) in before.into_iter().zip(after) {
                add(fact, Some(before), Some(after));
            }
        }
        (None, Some(facts)) => facts.into_iter().for_each(|(fact, after)| add(fact, None, Some(after))),
        (Some(facts), None) => {
            let phase = facts.into_iter().find(|(fact, _)| *fact == "phase").map(|(_, phase)| phase);
            add("ended", phase, last_words(after, &name)?);
        }
        (None, None) => {}
    }
    Ok(())
}

/// What the newest event of a stream says.
fn last_words(source: &Source, stream: &str) -> Result<Option<String>, CliError> {
    let page = source.reader().stream(stream, Revision(u64::MAX), Direction::Backward, LOOK_BACK)?;
    let last = page.records.iter().find(|record| record.position() <= source.at());
    let Some(record) = last else { return Ok(None) };
    let position: Position = record.position();
    Ok(prooflog_replay::fact_of(position, record.stored())?.map(|fact| describe(&fact.event)))
}

/// Events after the second moment that are passed over at most.
const LOOK_BACK: usize = 1_000;
