//! Long ways through the log: to the next match of a search, or to the next breakpoint, forwards or backwards.
//!
//! A walk goes in pieces, so that it can be watched and given up. Without a condition over the state it only reads
//! records. With one it folds; backwards it folds piece by piece from further and further back, and takes the last hit
//! of the first piece that has one. It changes nothing but itself.

use std::ops::ControlFlow;

use prooflog_events::envelope::Envelope;
use prooflog_events::ids::{ChainId, Position};
use prooflog_projections::State;
use prooflog_replay::ReplayError;

use super::super::exit::CliError;
use super::breaks::{Breakpoint, Passed, Pattern};
use super::history::{Budget, History, apply};

/// Where a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Backward,
}

/// What ends a walk.
pub(super) enum Goal<'g> {
    /// A match.
    Match(&'g Pattern),
    /// A breakpoint; conditions about a rollup are about this one.
    Break(&'g [Breakpoint], Option<ChainId>),
}

/// A walk under way.
pub(super) struct Walk {
    direction: Direction,
    from: Position,
    /// The next position to look at.
    next: Position,
    /// Whether states have to be seen.
    folds: bool,
    fold: Option<Fold>,
}

/// The state that a forward walk has come to.
struct Fold {
    at: Position,
    /// Before the batch that `at` is in, or after `at` where that ended one.
    before: State,
    state: State,
}

/// How a piece of a walk ended.
pub(super) enum Step {
    /// It goes on.
    On,
    /// It came to something.
    Found(Position),
    /// There is nothing up to the end.
    Nothing,
}

impl Walk {
    /// Leaves a position.
    pub(super) fn start(from: Position, direction: Direction, goal: &Goal<'_>) -> Self {
        let next = match direction {
            Direction::Forward => from.next(),
            Direction::Backward => Position(from.0.saturating_sub(1)),
        };
        let folds = match goal {
            Goal::Match(_) => false,
            Goal::Break(breaks, _) => breaks.iter().any(|point| point.on && point.needs_state()),
        };
        Self { direction, from, next, folds, fold: None }
    }

    /// Which way it goes, in words.
    pub(super) const fn way(&self) -> &'static str {
        match self.direction {
            Direction::Forward => "after this",
            Direction::Backward => "before this",
        }
    }

    /// Where it is, and the share of the way to the end, in percent.
    pub(super) fn progress(&self, head: Position) -> (Position, u64) {
        let (done, all) = match self.direction {
            Direction::Forward => {
                (self.next.0.saturating_sub(self.from.0), head.0.saturating_sub(self.from.0))
            }
            Direction::Backward => (self.from.0.saturating_sub(self.next.0), self.from.0),
        };
        (self.next, done.saturating_mul(100).checked_div(all).unwrap_or(100).min(100))
    }

    /// Goes on for so many events.
    pub(super) fn step(
        &mut self,
        history: &mut History,
        goal: &Goal<'_>,
        budget: &mut Budget,
    ) -> Result<Step, CliError> {
        let is_over = match self.direction {
            Direction::Forward => self.next > history.head(),
            Direction::Backward => self.next == Position::ZERO,
        };
        if is_over {
            return Ok(Step::Nothing);
        }
        let found = match (self.direction, self.folds) {
            (_, false) => self.read(history, goal, budget)?,
            (Direction::Forward, true) => self.fold_forward(history, goal, budget)?,
            (Direction::Backward, true) => self.fold_backward(history, goal, budget)?,
        };
        budget.0 = 0;
        Ok(found.map_or(Step::On, Step::Found))
    }

    /// Looks through as many records as the budget allows.
    fn read(
        &mut self,
        history: &History,
        goal: &Goal<'_>,
        budget: &Budget,
    ) -> Result<Option<Position>, CliError> {
        let more = budget.0.saturating_sub(1);
        match self.direction {
            Direction::Forward => {
                let to = Position(self.next.0.saturating_add(more).min(history.head().0));
                let found = read(history, (self.next, to), goal, First::Is)?;
                self.next = to.next();
                Ok(found)
            }
            Direction::Backward => {
                let low = Position(self.next.0.saturating_sub(more).max(1));
                let found = read(history, (low, self.next), goal, First::IsNot)?;
                self.next = Position(low.0.saturating_sub(1));
                Ok(found)
            }
        }
    }

    /// Folds on for a piece; nothing while the state that it begins with is still on its way.
    fn fold_forward(
        &mut self,
        history: &mut History,
        goal: &Goal<'_>,
        budget: &mut Budget,
    ) -> Result<Option<Position>, CliError> {
        let mut fold = match self.fold.take() {
            Some(fold) => fold,
            None => match Fold::before(history, self.next, budget)? {
                Some((_, fold)) => fold,
                None => return Ok(None),
            },
        };
        let to = Position(fold.at.0.saturating_add(budget.0.max(1)).min(history.head().0));
        let found = fold.on(history, (self.next, to), &mut |passed| ends(goal, passed), First::Is)?;
        self.next = fold.at.next().max(self.next);
        self.fold = Some(fold);
        Ok(found)
    }

    /// Folds the piece below; the same one, until the state that it begins with is there.
    fn fold_backward(
        &mut self,
        history: &mut History,
        goal: &Goal<'_>,
        budget: &mut Budget,
    ) -> Result<Option<Position>, CliError> {
        let low = Position(self.next.0.saturating_sub(PIECE).max(1));
        let Some((first, mut fold)) = Fold::before(history, low, budget)? else { return Ok(None) };
        let begin = fold.at;
        let found = fold.on(history, (first, self.next), &mut |passed| ends(goal, passed), First::IsNot)?;
        self.next = begin;
        Ok(found)
    }
}

/// Events that a backward walk folds at a time.
const PIECE: u64 = 16_384;

/// Whether the first hit is the one wanted, or the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Is,
    IsNot,
}

fn ends(goal: &Goal<'_>, passed: &Passed<'_>) -> bool {
    match goal {
        Goal::Match(pattern) => pattern.matches(passed.envelope),
        Goal::Break(breaks, chain) => {
            let passed = Passed { chain: *chain, ..*passed };
            breaks.iter().any(|point| point.on && point.stops(&passed))
        }
    }
}

/// Looks through records.
fn read(
    history: &History,
    (low, high): (Position, Position),
    goal: &Goal<'_>,
    first: First,
) -> Result<Option<Position>, CliError> {
    let (mut found, mut failed) = (None, None);
    history.source().reader().for_each(low, high, &mut |position, stored| {
        match Envelope::decode(stored) {
            Ok(envelope) => {
                if ends(goal, &Passed { envelope: &envelope, states: None, chain: None }) {
                    found = Some(position);
                    if first == First::Is {
                        return ControlFlow::Break(());
                    }
                }
            }
            Err(source) => failed = Some(ReplayError::Envelope { position, source }),
        }
        if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    failed.map_or(Ok(found), |error| Err(error.into()))
}

impl Fold {
    /// The state before the batch that a position is in, and where that batch begins; nothing while it is on its way.
    fn before(
        history: &mut History,
        position: Position,
        budget: &mut Budget,
    ) -> Result<Option<(Position, Self)>, CliError> {
        let (first, _) = history.batch(position)?;
        let at = Position(first.0.saturating_sub(1));
        let state = history.state(at, budget)?;
        Ok(state.map(|state| (first, Self { at, before: state.clone(), state })))
    }

    /// Folds up to `to` and asks about every event from `from` on.
    fn on(
        &mut self,
        history: &History,
        (from, to): (Position, Position),
        ends: &mut dyn FnMut(&Passed<'_>) -> bool,
        first: First,
    ) -> Result<Option<Position>, CliError> {
        let (mut found, mut failed) = (None, None);
        let begin = self.at.next();
        history.source().reader().for_each(begin, to, &mut |position, stored| {
            let hit = self.take(position, stored).and_then(|last| {
                let envelope =
                    Envelope::decode(stored).map_err(|source| ReplayError::Envelope { position, source })?;
                let states = Some((&self.before, &self.state));
                let hit = position >= from && ends(&Passed { envelope: &envelope, states, chain: None });
                if last == position {
                    self.before = self.state.clone();
                }
                Ok(hit)
            });
            match hit {
                Ok(true) => {
                    found = Some(position);
                    if first == First::Is { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                }
                Ok(false) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(found), |error| Err(error.into()))
    }

    fn take(&mut self, position: Position, stored: &[u8]) -> Result<Position, ReplayError> {
        let last = apply(&mut self.state, position, stored)?;
        self.at = position;
        Ok(last)
    }
}
