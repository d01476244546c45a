//! `diff`: what changed between two moments, as facts: per rollup, per span and aggregate, per transaction slot.
//!
//! Both states come from the log. What is there at one moment only was created or is over; how it ended is asked of its
//! own stream.

use std::collections::BTreeSet;

use prooflog_events::ids::{Position, Revision, StreamId};
use prooflog_events::port::Direction;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::{State, describe};

use super::exit::CliError;
use super::facts::{Change, Detail, facts, phase};
use super::output::{self, Form, json_line};
use super::source::{Moment, Source};

/// Shows what changed from the first moment to the second.
pub(crate) fn run(after: &Source, from: Moment, form: Form) -> Result<(), CliError> {
    let before = after.settled(from)?;
    if before > after.at() {
        let text = format!("position {before} is after {}: name the earlier moment first", after.at());
        return Err(CliError::Usage(text));
    }
    let (old, new) = (after.state_at(before)?, after.state()?);
    let mut changes = Vec::new();
    for subject in subjects(&old).union(&subjects(&new)) {
        compare(after, *subject, (&old, &new), &mut changes)?;
    }
    output::print(|out| match form {
        Form::Json => changes.iter().try_for_each(|change| json_line(out, change)),
        Form::Text => {
            writeln!(out, "from position {before} ({})", output::time_at(before, old.time))?;
            writeln!(out, "  to position {} ({})", after.at(), output::time_at(after.at(), new.time))?;
            let mut subject = "";
            // What has no value yet is no news of something new.
            let nothing =
                |value: &Option<String>| value.as_deref().is_none_or(|text| matches!(text, "" | "-"));
            for change in changes.iter().filter(|one| !(nothing(&one.before) && nothing(&one.after))) {
                if change.subject != subject {
                    subject = &change.subject;
                    writeln!(out, "{subject}")?;
                }
                let side = |value: &Option<String>| {
                    value.clone().filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned())
                };
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
    match (facts(old, subject, Detail::Brief), facts(new, subject, Detail::Brief)) {
        (Some(before), Some(after)) => {
            for ((fact, before), (_, after)) in before.into_iter().zip(after) {
                add(fact, Some(before.text), Some(after.text));
            }
        }
        (None, Some(facts)) => {
            facts.into_iter().for_each(|(fact, after)| add(fact, None, Some(after.text)));
        }
        (Some(facts), None) => add("ended", phase(facts), last_words(after, &name)?),
        (None, None) => {}
    }
    Ok(())
}

/// What the newest event of a stream says.
fn last_words(source: &Source, stream: &str) -> Result<Option<String>, CliError> {
    let page = source.past().stream(stream, Revision(u64::MAX), Direction::Backward, 1)?;
    let Some(record) = page.records.first() else { return Ok(None) };
    let position: Position = record.position();
    Ok(prooflog_replay::fact_of(position, record.stored())?.map(|fact| describe(&fact.event, fact.stream)))
}
