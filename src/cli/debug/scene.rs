//! Everything about one position: the event with its cause, what it changed, the state after it, and what was owed.
//!
//! A state is defined at the end of a batch. Inside one the scene shows how far the batch had come, and what was owed
//! is that of its end: nothing leaves before the whole batch is durable.

use std::ops::ControlFlow;

use prooflog_events::envelope::{Content, Envelope};
use prooflog_events::ids::{Hash32, Micros, Position, Revision, StreamId};
use prooflog_events::input::Input;
use prooflog_events::port::Direction;
use prooflog_projections::state::Touched;
use prooflog_projections::{Fact, State};
use prooflog_replay::ReplayError;
use serde::Serialize;
use serde_json::Value;

use super::super::exit::CliError;
use super::super::facts::{Change, compare, signer_of};
use super::super::{output, words};
use super::history::{Budget, History};
use super::owed::Owed;

/// One position, looked at.
pub(super) struct Scene {
    /// Which.
    pub(super) position: Position,
    /// First and last position of its batch.
    pub(super) batch: (Position, Position),
    /// The event; none at position 0.
    pub(super) event: Option<Happened>,
    /// What it meant; why that cannot be told, where the log does not fold.
    pub(super) meaning: Result<Meaning, String>,
}

/// What an event meant.
pub(super) struct Meaning {
    /// What it changed.
    pub(super) changes: Vec<Change>,
    /// The state after it.
    pub(super) state: State,
    /// What was owed once its batch was durable.
    pub(super) owed: Owed,
}

/// An event with its cause.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Happened {
    pub(super) position: Position,
    pub(super) stream: String,
    pub(super) revision: Revision,
    #[serde(rename = "type")]
    pub(super) type_name: String,
    pub(super) version: u16,
    #[serde(serialize_with = "as_time")]
    pub(super) time: Micros,
    pub(super) micros: Micros,
    pub(super) correlation: String,
    pub(super) actor: String,
    pub(super) hash: Hash32,
    pub(super) text: String,
    /// Whether an outside writer stored it.
    pub(super) outside: bool,
    /// What its batch was decided on.
    pub(super) input: Option<Told>,
    /// The event whose effect brought that input.
    pub(super) cause: Option<CausedBy>,
    pub(super) data: Value,
}

/// An input.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Told {
    pub(super) name: String,
    pub(super) data: Value,
}

/// The event whose effect led here.
#[derive(Debug, Clone, Serialize)]
pub(super) struct CausedBy {
    pub(super) position: Option<Position>,
    pub(super) stream: String,
    pub(super) revision: Revision,
    #[serde(rename = "type")]
    pub(super) type_name: Option<String>,
    pub(super) text: Option<String>,
}

fn as_time<S: serde::Serializer>(time: &Micros, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&output::time(*time))
}

impl Scene {
    /// Looks at a position; nothing if the budget was used up before the state there was known, then ask again.
    pub(super) fn of(
        history: &mut History,
        position: Position,
        budget: &mut Budget,
    ) -> Result<Option<Self>, CliError> {
        let batch = history.batch(position)?;
        let event = happened(history, position)?;
        let before = Position(batch.0.0.saturating_sub(1));
        let meaning = match history.state(before, budget) {
            Ok(None) => return Ok(None),
            Ok(Some(state)) => Meaning::of(history, &state, batch, position),
            Err(error) => Err(error),
        };
        let meaning = match meaning {
            // What does not fold can still be looked at, event by event.
            Err(CliError::Replay(error)) => Err(error.to_string()),
            other => Ok(other?),
        };
        Ok(Some(Self { position, batch, event, meaning }))
    }

    /// Everything in it, as data.
    pub(super) fn document(&self, head: Position) -> Value {
        let (changes, owed, problem) = match &self.meaning {
            Ok(meaning) => (Some(&meaning.changes), Some(&meaning.owed), None),
            Err(problem) => (None, None, Some(problem)),
        };
        serde_json::json!({
            "position": self.position,
            "head": head,
            "batch": { "first": self.batch.0, "last": self.batch.1 },
            "event": self.event,
            "changes": changes,
            "owed": owed,
            "problem": problem,
        })
    }
}

impl Meaning {
    /// Folds a batch on the state before it, and looks at one of its positions on the way.
    fn of(
        history: &mut History,
        before: &State,
        (first, last): (Position, Position),
        at: Position,
    ) -> Result<Self, CliError> {
        let mut state = before.clone();
        let mut looked_at = (before.clone(), Vec::new());
        let mut failed = None;
        history.source().reader().for_each(first, last, &mut |position, stored| {
            let old = (position == at).then(|| state.clone());
            match take(&mut state, position, stored) {
                Ok(touched) => {
                    if let Some(old) = old {
                        looked_at = (state.clone(), changes(touched, (&old, &state)));
                    }
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        let start = Position(first.0.saturating_sub(1));
        history.keep(start, last, &state);
        let (seen, changes) = looked_at;
        let owed = Owed::of(&mut history.plans, (start, before), (last, &state));
        Ok(Self { changes, state: seen, owed })
    }
}

/// Takes a record in; answers with its stream and what it touched.
fn take(
    state: &mut State,
    position: Position,
    stored: &[u8],
) -> Result<Option<(StreamId, Touched)>, ReplayError> {
    let envelope = Envelope::decode(stored).map_err(|source| ReplayError::Envelope { position, source })?;
    let Some(fact) = Fact::of(&envelope)? else { return Ok(None) };
    state.apply(&fact)?;
    Ok(Some((fact.stream, state.take_touched())))
}

/// What an event changed: of its own stream first, then of what else it touched.
fn changes(touched: Option<(StreamId, Touched)>, (old, new): (&State, &State)) -> Vec<Change> {
    let Some((stream, touched)) = touched else { return Vec::new() };
    let mut subjects = vec![stream];
    let of_unit = match stream {
        StreamId::Unit(unit) => Some(StreamId::Chain(unit.chain)),
        _ => None,
    };
    subjects.extend(touched.units.into_iter().map(StreamId::Unit));
    subjects.extend(of_unit);
    subjects.extend(touched.chains.into_iter().map(StreamId::Chain));
    subjects.extend(signer_of(stream).map(StreamId::Signer));
    subjects.extend(touched.signers.into_iter().map(StreamId::Signer));
    let mut changes = Vec::new();
    for (at, subject) in subjects.iter().enumerate() {
        if !subjects.iter().take(at).any(|before| before == subject) {
            compare(*subject, (old, new), &mut changes);
        }
    }
    changes
}

fn happened(history: &History, position: Position) -> Result<Option<Happened>, CliError> {
    let reader = history.source().reader();
    let Some(record) = reader.record(position)? else { return Ok(None) };
    let envelope = record.envelope()?;
    let input = if envelope.batch_first == position {
        envelope.cause.map(|cause| told(cause.name, cause.version, cause.bytes))
    } else {
        let first = reader.record(envelope.batch_first)?;
        let first = first.as_ref().map(|record| record.envelope()).transpose()?;
        first.and_then(|envelope| envelope.cause).map(|cause| told(cause.name, cause.version, cause.bytes))
    };
    let cause = match envelope.causation {
        None => None,
        Some(cause) => {
            let page = reader.stream(cause.stream, cause.revision, Direction::Forward, 1)?;
            let found = page.records.first().map(|record| record.envelope()).transpose()?;
            let found = found.filter(|found| found.event_id == cause.event_id);
            Some(CausedBy {
                position: found.as_ref().map(|found| found.position),
                stream: cause.stream.to_owned(),
                revision: cause.revision,
                type_name: found.as_ref().map(|found| output::clean(found.type_name)),
                text: found.as_ref().map(words::words),
            })
        }
    };
    Ok(Some(Happened {
        position,
        stream: output::clean(envelope.stream),
        revision: envelope.revision,
        type_name: output::clean(envelope.type_name),
        version: envelope.version,
        time: envelope.recorded_at,
        micros: envelope.recorded_at,
        correlation: output::clean(&words::correlation(&envelope)),
        actor: output::clean(&envelope.actor.to_string()),
        hash: record.hash(),
        text: words::words(&envelope),
        outside: envelope.content != Content::Native,
        input,
        cause,
        data: words::data(&envelope),
    }))
}

fn told(name: &str, version: u16, bytes: &[u8]) -> Told {
    let data = match Input::decode(name, version, bytes) {
        Ok(input) => serde_json::to_value(&input).unwrap_or_default(),
        Err(error) => Value::String(error.to_string()),
    };
    Told { name: output::clean(name), data }
}
