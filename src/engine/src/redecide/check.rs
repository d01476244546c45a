//! The check: every recorded input decided again, up to the first difference that nobody declared.
//!
//! The state follows the record. Today's rules decide on it in place, because equal events lead to the equal state; a
//! clone, which costs next to nothing, is the way back when they differ. What a crash in here means: nothing was changed.

use std::ops::ControlFlow;

use prooflog_core::{DecideError, NewEvent, decide, other_clocks};
use prooflog_events::ids::{Micros, Position};
use prooflog_events::input::Input;
use prooflog_events::port::SequenceRead;
use prooflog_log::read::Reader;
use prooflog_projections::State;

use super::declared::{Change, explain};
use super::difference::Difference;
use super::recorded::{RecordedBatch, Writer, for_each_batch, written_by};
use super::{Progress, REPORT_EVERY, RedecideError};

/// How often a declared change was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Which of the declared changes.
    pub change: usize,
    /// Decisions that it explains.
    pub decisions: u64,
    /// The first of them.
    pub first: Position,
}

impl Expected {
    /// Counts a decision that these changes explain.
    pub(super) fn count(all: &mut Vec<Self>, by: Vec<usize>, first: Position) {
        for change in by {
            match all.iter_mut().find(|expected| expected.change == change) {
                Some(expected) => expected.decisions += 1,
                None => all.push(Self { change, decisions: 1, first }),
            }
        }
    }
}

/// What the check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// How far it came.
    pub progress: Progress,
    /// Declared changes that were met, in the order in which they were.
    pub expected: Vec<Expected>,
    /// The first difference that no change explains.
    pub difference: Option<Box<Difference>>,
}

/// Decides again what was decided after `state`, up to `to`, and compares. `state` must be one at a batch end.
///
/// # Errors
/// When the log cannot be read, understood or folded; a difference is no error.
pub fn check<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    (state, at): (State, Position),
    to: Position,
    changes: &[Change],
    report: &mut dyn FnMut(Progress),
) -> Result<Checked, RedecideError> {
    let writer = written_by(reader, &state)?;
    let progress = Progress { position: at, ..Progress::default() };
    let mut checker = Checker {
        state,
        writer,
        changes,
        checked: Checked { progress, expected: Vec::new(), difference: None },
    };
    let mut batches = 0_u64;
    for_each_batch(reader, at.next(), to, &mut |batch| {
        let flow = checker.take(batch)?;
        batches += 1;
        if batches.is_multiple_of(REPORT_EVERY) {
            report(checker.checked.progress);
        }
        Ok(flow)
    })?;
    Ok(checker.checked)
}

struct Checker<'a> {
    state: State,
    writer: Writer,
    changes: &'a [Change],
    checked: Checked,
}

impl Checker<'_> {
    fn take(&mut self, batch: RecordedBatch) -> Result<ControlFlow<()>, RedecideError> {
        drop(self.state.take_touched());
        let progress = &mut self.checked.progress;
        progress.position = batch.last();
        let Some(input) = &batch.input else {
            progress.without_input += 1;
            batch.fold(&mut self.state)?;
            return Ok(ControlFlow::Continue(()));
        };
        progress.inputs += 1;
        progress.events += batch.events.len() as u64;
        self.writer.meets(input);
        let before = self.state.clone();
        let today = decide(&mut self.state, batch.time, input).map(|decision| decision.events);
        if today.as_ref() == Ok(&batch.events) {
            return Ok(ControlFlow::Continue(()));
        }
        self.state = before;
        let again = other_clock(&self.state, &batch, input).is_some();
        batch.fold(&mut self.state)?;
        if again {
            return Ok(ControlFlow::Continue(()));
        }
        Ok(self.differs(batch, today))
    }

    /// Counts an expected difference, and stops at any other.
    fn differs(
        &mut self,
        batch: RecordedBatch,
        today: Result<Vec<NewEvent>, DecideError>,
    ) -> ControlFlow<()> {
        let difference = Difference::of(batch, self.writer.clone(), today);
        let by = explain(self.changes, &difference);
        if by.is_empty() {
            self.checked.difference = Some(Box::new(difference));
            return ControlFlow::Break(());
        }
        Expected::count(&mut self.checked.expected, by, difference.position);
        ControlFlow::Continue(())
    }
}

/// The clock at which today's rules decide what was recorded, where it is not the recorded time.
pub(super) fn other_clock(state: &State, batch: &RecordedBatch, input: &Input) -> Option<Micros> {
    let events = batch.events.iter().map(|new| &new.event);
    other_clocks(state, batch.time, events).into_iter().find(|clock| {
        let decided = decide(&mut state.clone(), *clock, input);
        decided.is_ok_and(|decision| decision.events == batch.events)
    })
}
