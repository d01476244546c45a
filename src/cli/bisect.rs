//! `bisect`: the first position at which a condition over the state holds.
//!
//! One fold from the empty log looks at every batch end, because a state is defined there. With `--monotone` only a few
//! dozen states are looked at, which is right if the condition, once it holds, holds to the end; the answer says that
//! this was assumed. Nothing found is an exit code of its own.

use std::ops::ControlFlow;

use clap::Args;
use prooflog_events::envelope::Envelope;
use prooflog_events::ids::{ChainId, Position};
use prooflog_projections::{Fact, State, describe};
use prooflog_replay::{ReplayError, fold_on, state_at};
use serde::Serialize;

use super::condition::{self, Condition, Look, Said, Subject};
use super::exit::CliError;
use super::output::{self, Form, json_line};
use super::progress::Progress;
use super::source::Source;

/// Events between two looks at the clock.
const CLOCK_EVERY: u64 = 4_096;

/// What to look for.
#[derive(Args)]
pub(crate) struct Search {
    /// A condition over the state, as `parked > 0` (docs/conditions.md).
    #[arg(required_unless_present = "variables", default_value = "", hide_default_value = true)]
    condition: String,
    /// List what conditions can look at.
    #[arg(long)]
    variables: bool,
    /// Assume that the condition, once it holds, holds to the end: looks at a few dozen states only.
    #[arg(long)]
    monotone: bool,
}

/// One thing that the condition looks at, before and after.
#[derive(Serialize)]
struct Change {
    variable: &'static str,
    before: Said,
    after: Said,
}

/// The event that made it true.
#[derive(Serialize)]
struct Made {
    position: Position,
    stream: String,
    #[serde(rename = "type")]
    type_name: &'static str,
    text: String,
}

/// What was found.
#[derive(Serialize)]
struct Found {
    condition: String,
    position: Position,
    time: String,
    event: Option<Made>,
    values: Vec<Change>,
    states_looked_at: u64,
    assumed: Option<&'static str>,
}

const ASSUMED: &str = "once the condition holds, it holds to the end";

/// A condition about one rollup.
struct Question {
    condition: Condition,
    chain: Option<ChainId>,
}

impl Search {
    /// Whether only the list of variables is asked for.
    pub(crate) const fn lists(&self) -> bool {
        self.variables
    }
}

/// Lists what conditions can look at.
pub(crate) fn variables(form: Form) -> Result<(), CliError> {
    output::print(|out| match form {
        Form::Json => condition::all().iter().try_for_each(|variable| json_line(out, variable)),
        Form::Text => out.write_all(condition::documentation().as_bytes()),
    })
}

impl Question {
    fn look<'l>(&self, state: &'l State, at: Position) -> Look<'l> {
        Look { state: Some((state, at)), chain: self.chain, event: None }
    }

    fn holds(&self, state: &State, at: Position) -> Result<bool, CliError> {
        self.condition.holds(&self.look(state, at)).map_err(|error| CliError::Usage(error.to_string()))
    }
}

/// A batch after which the condition holds, and before which it does not.
struct Hit {
    before: State,
    first: Position,
    last: Position,
}

/// Looks for the first position and shows it.
pub(crate) fn run(
    source: &Source,
    search: &Search,
    chain: Option<ChainId>,
    form: Form,
) -> Result<(), CliError> {
    let question = question(source, search, chain)?;
    let mut looked = 0;
    let hit = if search.monotone {
        by_halves(source, &question, &mut looked)?
    } else {
        by_fold(source, &question, &mut looked)?
    };
    let assumed = search.monotone.then_some(ASSUMED);
    let Some(hit) = hit else {
        let text = &search.condition;
        let words = assumed.map_or_else(String::new, |assumed| format!(" (assumed: {assumed})"));
        return Err(CliError::NotFound(format!(
            "`{text}` does not hold anywhere up to position {}{words}",
            source.at()
        )));
    };
    let found = explain(source, &question, &hit, looked, assumed)?;
    output::print(|out| match form {
        Form::Json => json_line(out, &found),
        Form::Text => {
            let Found { condition, position, time, .. } = &found;
            writeln!(out, "`{condition}` holds first at position {position}, {time}")?;
            if let Some(Made { position, stream, type_name, text }) = &found.event {
                writeln!(out, "made true by position {position}: {stream}  {type_name}  {text}")?;
            }
            for Change { variable, before, after } in &found.values {
                writeln!(out, "  {variable:<18} {before} -> {after}")?;
            }
            match found.assumed {
                Some(assumed) => writeln!(out, "assumed, not checked: {assumed}; states looked at: {looked}"),
                None => Ok(()),
            }
        }
    })
}

fn question(source: &Source, search: &Search, chain: Option<ChainId>) -> Result<Question, CliError> {
    let condition =
        Condition::parse(&search.condition).map_err(|error| CliError::Usage(error.to_string()))?;
    let of = |subject| condition.variables().iter().find(|variable| variable.subject == subject);
    if let Some(variable) = of(Subject::Event) {
        let name = variable.name;
        let text =
            format!("`{name}` is of an event: here conditions are over the state; see `events --type`");
        return Err(CliError::Usage(text));
    }
    if chain.is_none() && of(Subject::Rollup).is_none() {
        return Ok(Question { condition, chain });
    }
    let state = source.state()?;
    let known: Vec<String> = state.chains.keys().map(ToString::to_string).collect();
    match chain {
        Some(chain) if !state.chains.contains_key(&chain) => {
            let text = format!("there is no rollup {chain}; there are: {}", known.join(", "));
            Err(CliError::Usage(text))
        }
        None if known.len() > 1 => {
            Err(CliError::Usage(format!("several rollups: choose with --chain one of {}", known.join(", "))))
        }
        _ => Ok(Question { condition, chain }),
    }
}

/// Folds once and looks at every batch end.
fn by_fold(source: &Source, question: &Question, looked: &mut u64) -> Result<Option<Hit>, CliError> {
    let mut state = State::new(source.log());
    if question.holds(&state, Position(0))? {
        return Ok(Some(Hit { before: state, first: Position(0), last: Position(0) }));
    }
    let (mut before, mut answer) = (state.clone(), Ok(None));
    let mut progress = Progress::start("bisect", source.at().0);
    source.reader().for_each_ahead(Position(1), source.at(), &mut |position, stored| {
        if position.0.is_multiple_of(CLOCK_EVERY) {
            progress.at(position.0);
        }
        match fold(&mut state, position, stored) {
            Ok((first, last)) if last == position => {
                drop(state.take_touched());
                *looked += 1;
                match question.holds(&state, position) {
                    Ok(false) => before = state.clone(),
                    Ok(true) => answer = Ok(Some((first, last))),
                    Err(error) => answer = Err(error),
                }
            }
            Ok(_) => {}
            Err(error) => answer = Err(error.into()),
        }
        if matches!(answer, Ok(None)) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(answer?.map(|(first, last)| Hit { before, first, last }))
}

/// Takes a record in; answers with the bounds of its batch.
fn fold(state: &mut State, position: Position, stored: &[u8]) -> Result<(Position, Position), ReplayError> {
    let envelope = Envelope::decode(stored).map_err(|source| ReplayError::Envelope { position, source })?;
    if let Some(fact) = Fact::of(&envelope)? {
        state.apply(&fact)?;
    }
    Ok((envelope.batch_first, envelope.batch_last()))
}

/// Halves the log, believing that the condition stays true once it is.
fn by_halves(source: &Source, question: &Question, looked: &mut u64) -> Result<Option<Hit>, CliError> {
    let reader = source.reader();
    let mut at = |position: Position| -> Result<bool, CliError> {
        *looked += 1;
        question.holds(&state_at(&reader, source.log(), position)?, position)
    };
    // Batch ends: it does not hold at the lower one, and holds at the upper one.
    let (mut low, mut high) = (Position(0), source.at());
    if at(low)? {
        let before = State::new(source.log());
        return Ok(Some(Hit { before, first: low, last: low }));
    }
    if !at(high)? {
        return Ok(None);
    }
    loop {
        let middle = Position(low.0 + (high.0 - low.0).div_ceil(2));
        let Some(record) = reader.record(middle)? else { break };
        let envelope = record.envelope()?;
        let (first, last) = (envelope.batch_first, envelope.batch_last());
        let before = Position(first.0.saturating_sub(1));
        // The batch in the middle may be the last one of those left: then its beginning decides.
        let end = if last < high { last } else { before };
        if end <= low {
            let before = state_at(&reader, source.log(), low)?;
            return Ok(Some(Hit { before, first: low.next(), last: high }));
        }
        if at(end)? { high = end } else { low = end }
    }
    Ok(None)
}

/// Says which event of the batch did it, and what the condition saw.
fn explain(
    source: &Source,
    question: &Question,
    hit: &Hit,
    looked: u64,
    assumed: Option<&'static str>,
) -> Result<Found, CliError> {
    let mut after = hit.before.clone();
    let mut event = None;
    let mut at = hit.first;
    while at <= hit.last && at.0 > 0 {
        fold_on(&source.reader(), &mut after, at, at)?;
        let holds = question.holds(&after, at)?;
        // Within a batch it may come and go: what counts is the event after which it stays.
        if !holds {
            event = None;
        } else if event.is_none() {
            event = made(source, at)?;
        }
        at = at.next();
    }
    let before_at = Position(hit.first.0.saturating_sub(1));
    let before = question.condition.values(&question.look(&hit.before, before_at));
    let now = question.condition.values(&question.look(&after, hit.last));
    let values = before.into_iter().zip(now);
    Ok(Found {
        condition: question.condition.text().to_owned(),
        position: hit.last,
        time: output::time_at(hit.last, after.time),
        event,
        values: values.map(|((variable, before), (_, after))| Change { variable, before, after }).collect(),
        states_looked_at: looked,
        assumed,
    })
}

fn made(source: &Source, at: Position) -> Result<Option<Made>, CliError> {
    let Some(record) = source.reader().record(at)? else { return Ok(None) };
    let Some(fact) = prooflog_replay::fact_of(at, record.stored())? else { return Ok(None) };
    Ok(Some(Made {
        position: at,
        stream: fact.stream.to_string(),
        type_name: fact.event.event_type().name(),
        text: describe(&fact.event, fact.stream),
    }))
}
