//! What would have been decided under another policy, input by input.
//!
//! Each input is decided under the other policy on the state as it was recorded. From the first difference on that state
//! is not what the other policy would have led to, and inputs that led to nothing were not recorded: the answer is an
//! approximation, and says from where. What today's rules decide otherwise under the recorded policy too is not the other
//! policy's doing: it is set apart, as declared or not. What a crash in here means: nothing was changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use prooflog_core::{DecideError, NewEvent, decide};
use prooflog_events::event::{Event, EventType};
use prooflog_events::ids::{ChainId, Micros, Position, StreamId};
use prooflog_events::input::Input;
use prooflog_events::policy::Policy;
use prooflog_events::port::SequenceRead;
use prooflog_log::read::Reader;
use prooflog_projections::State;
use prooflog_projections::state::Illegal;

use super::check::{Expected, other_clock};
use super::declared::{Change, explain};
use super::difference::{Difference, Row, rows};
use super::recorded::{RecordedBatch, Writer, fact, for_each_batch, written_by};
use super::{Progress, REPORT_EVERY, RedecideError};

/// Examples that are kept of each kind of deviation.
const EXAMPLES_MAX: usize = 3;
/// Streams that are told apart for each kind of deviation; what is beyond is not counted.
pub const SUBJECTS_MAX: usize = 100_000;

/// How a decision deviates from the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It was recorded, and would not have been decided then.
    Missing,
    /// It would have been decided with another content.
    Changed,
    /// It was not recorded, and would have been decided then.
    Additional,
}

/// One event that deviates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Position of its batch's first event, or of itself where it was recorded.
    pub position: Position,
    /// Name of the input that was decided on.
    pub input: &'static str,
    /// The event as recorded and as decided under the other policy.
    pub row: Row,
}

/// All events of one type that deviate in one way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deviation {
    /// How often an input led to it. What stays open is decided again with every input until the record has it.
    pub times: u64,
    /// Streams that it is about, up to [`SUBJECTS_MAX`].
    pub subjects: BTreeSet<StreamId>,
    /// The first ones, each about another stream.
    pub examples: Vec<Example>,
}

/// A policy in the log, and what stands in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhatIf {
    /// From where on it was in force.
    pub position: Position,
    /// The rollup.
    pub chain: ChainId,
    /// As recorded.
    pub recorded: Policy,
    /// What is asked about.
    pub other: Policy,
}

/// Decisions that today's rules make otherwise and nobody declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undeclared {
    /// How many.
    pub decisions: u64,
    /// Where the first of them differs.
    pub first: Position,
}

/// What is asked.
pub struct Question<'a> {
    /// The policy in the place of a recorded one.
    pub other: &'a dyn Fn(ChainId, &Policy) -> Policy,
    /// Declared changes of the rules.
    pub changes: &'a [Change],
}

/// What would have been decided otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outlook {
    /// How far it came.
    pub progress: Progress,
    /// Every policy that was in force.
    pub policies: Vec<WhatIf>,
    /// Declared changes that were met under the recorded policy too, in the order in which they were.
    pub expected: Vec<Expected>,
    /// What differs under the recorded policy too, and was not declared.
    pub undeclared: Option<Undeclared>,
    /// Inputs that the other policy would have led to something else.
    pub inputs: u64,
    /// Inputs that would have been refused.
    pub refused: u64,
    /// The first event that deviates: what is said of anything after it is an approximation.
    pub diverges: Option<Position>,
    /// What deviates under the other policy alone, by kind and type.
    pub deviations: BTreeMap<(Kind, EventType), Deviation>,
}

/// Decides again what was decided after `state`, up to `to`, under the policies that are asked about. `state` must be one
/// at a batch end.
///
/// # Errors
/// When the log cannot be read, understood or folded.
pub fn what_if<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    (state, at): (State, Position),
    to: Position,
    question: &Question<'_>,
    report: &mut dyn FnMut(Progress),
) -> Result<Outlook, RedecideError> {
    let mut outlook =
        Outlook { progress: Progress { position: at, ..Progress::default() }, ..Outlook::default() };
    let writer = written_by(reader, &state)?;
    let mut otherwise = state.clone();
    let chains: Vec<ChainId> = state.chains.keys().copied().collect();
    for id in chains {
        if let Some(chain) = otherwise.chains.get_mut(&id)
            && let Some(recorded) = &mut chain.policy
        {
            let wanted = (question.other)(id, recorded);
            let recorded = std::mem::replace(recorded, wanted.clone());
            outlook.policies.push(WhatIf { position: at, chain: id, recorded, other: wanted });
        }
    }
    let mut asking = Asking { recorded: state, otherwise, writer, question, outlook };
    let mut batches = 0_u64;
    for_each_batch(reader, at.next(), to, &mut |batch| {
        asking.take(&batch)?;
        batches += 1;
        if batches.is_multiple_of(REPORT_EVERY) {
            report(asking.outlook.progress);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(asking.outlook)
}

struct Asking<'a> {
    /// As recorded.
    recorded: State,
    /// As recorded, but under the other policies.
    otherwise: State,
    writer: Writer,
    question: &'a Question<'a>,
    outlook: Outlook,
}

type Decided = Result<Vec<NewEvent>, DecideError>;

fn decided(state: &State, now: Micros, input: &Input) -> Decided {
    decide(&mut state.clone(), now, input).map(|decision| decision.events)
}

/// Rows of a decision that deviate from the record. Where both change the policy, they do so to different ones; that is
/// the question and not the answer.
fn deviating(batch: &RecordedBatch, decided: &Decided) -> Vec<Row> {
    let events = decided.as_deref().unwrap_or_default();
    let differs = |row: &Row| row.differing().is_some_and(|kind| kind != EventType::PolicyChanged);
    rows(batch, events).into_iter().filter(differs).collect()
}

impl Asking<'_> {
    fn take(&mut self, batch: &RecordedBatch) -> Result<(), RedecideError> {
        drop(self.recorded.take_touched());
        drop(self.otherwise.take_touched());
        let progress = &mut self.outlook.progress;
        progress.position = batch.last();
        match &batch.input {
            None => progress.without_input += 1,
            Some(input) => {
                progress.inputs += 1;
                progress.events += batch.events.len() as u64;
                self.writer.meets(input);
                self.decide(batch, input);
            }
        }
        batch.fold(&mut self.recorded)?;
        Ok(self.fold(batch)?)
    }

    /// Decides under both policies, and takes what they deviate in together out of what the other one does.
    fn decide(&mut self, batch: &RecordedBatch, input: &Input) {
        let asked = self.configured(input);
        let mut other = decided(&self.otherwise, batch.time, &asked);
        if other.as_ref() == Ok(&batch.events) {
            return;
        }
        let mut by_rules = Vec::new();
        let today = decided(&self.recorded, batch.time, input);
        if today.as_ref() != Ok(&batch.events) {
            match other_clock(&self.recorded, batch, input) {
                Some(clock) => other = decided(&self.otherwise, clock, &asked),
                None => {
                    by_rules = deviating(batch, &today);
                    self.count(batch, today);
                }
            }
        }
        let mut by_policy = deviating(batch, &other);
        by_policy.retain(|row| !by_rules.iter().any(|of_rules| of_rules.deviates_as(row)));
        if by_policy.is_empty() {
            return;
        }
        self.outlook.inputs += 1;
        self.outlook.refused += u64::from(other.is_err());
        self.keep(batch, input.name(), by_policy);
    }

    /// Counts what today's rules decide otherwise under the recorded policy.
    fn count(&mut self, batch: &RecordedBatch, today: Decided) {
        let difference = Difference::of(batch.clone(), self.writer.clone(), today);
        let by = explain(self.question.changes, &difference);
        let first = difference.position;
        if by.is_empty() {
            let none = Undeclared { decisions: 0, first };
            self.outlook.undeclared.get_or_insert(none).decisions += 1;
        }
        Expected::count(&mut self.outlook.expected, by, first);
    }

    /// The input as the other configuration would have given it.
    fn configured(&self, input: &Input) -> Input {
        let mut input = input.clone();
        if let Input::ChainConfigured(configured) = &mut input {
            configured.policy = (self.question.other)(configured.chain, &configured.policy);
        }
        input
    }

    /// Counts and keeps what the other policy does.
    fn keep(&mut self, batch: &RecordedBatch, input: &'static str, by_policy: Vec<Row>) {
        for row in by_policy {
            let position = row.position.unwrap_or(batch.first);
            let diverges = self.outlook.diverges.get_or_insert(position);
            *diverges = (*diverges).min(position);
            let kind = match (&row.recorded, &row.today) {
                (Some(_), Some(_)) => Kind::Changed,
                (Some(_), None) => Kind::Missing,
                (None, _) => Kind::Additional,
            };
            let Some(NewEvent { stream, event, .. }) = row.event() else { continue };
            let stream = *stream;
            let deviation = self.outlook.deviations.entry((kind, event.event_type())).or_default();
            deviation.times += 1;
            if deviation.subjects.len() < SUBJECTS_MAX
                && deviation.subjects.insert(stream)
                && deviation.examples.len() < EXAMPLES_MAX
            {
                deviation.examples.push(Example { position, input, row });
            }
        }
    }

    /// Follows the record, but for the policies.
    fn fold(&mut self, batch: &RecordedBatch) -> Result<(), Illegal> {
        for (position, recorded) in (batch.first.0..).map(Position).zip(&batch.events) {
            let mut event = recorded.event.clone();
            if let (Event::PolicyChanged(changed), StreamId::Chain(chain)) = (&mut event, recorded.stream) {
                let other = (self.question.other)(chain, &changed.policy);
                let recorded = std::mem::replace(&mut changed.policy, other.clone());
                self.outlook.policies.push(WhatIf { position, chain, recorded, other });
            }
            self.otherwise.apply(&fact(position, batch.time, recorded, event))?;
        }
        Ok(())
    }
}
