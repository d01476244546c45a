//! States of the past, close at hand: what makes a step backwards as fast as one forwards.
//!
//! A state is asked for at the end of a batch. Those near the one asked for last are kept; they share their structure, so
//! a few hundred cost little more than one. What is farther is folded from the nearest of a snapshot in the log and a
//! state that a fold left behind on its way. A fold may be long where there are no snapshots, as in an export: it is
//! done in pieces, so that whoever waits can say how far it is, and give up. What a crash in here means: nothing.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use prooflog_events::envelope::Envelope;
use prooflog_events::ids::Position;
use prooflog_projections::{Fact, State};
use prooflog_replay::{ReplayError, Taken, newest};

use super::super::exit::CliError;
use super::super::source::{Moment, Source};
use super::owed::Plans;

/// Events below which a fold is shorter than reading a snapshot.
const NEAR: u64 = 4_096;
/// Events before the one asked for whose states are kept on the way: a copy of each costs more than folding it.
const REACH: u64 = 1_024;
/// Units in all states that are kept beside each other, roughly.
const UNITS_NEAR: usize = 2_000_000;
/// States that are kept near the last one asked for.
const KEPT_MIN: usize = 32;
const KEPT_MAX: usize = 512;
/// The same for states that long folds leave behind.
const UNITS_FAR: usize = 200_000;
const LEFT_MIN: usize = 2;
const LEFT_MAX: usize = 64;
/// Units that even an empty state counts as.
const EMPTY: usize = 1_000;

/// How many events may still be folded before somebody wants to look up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget(pub(super) u64);

/// States of one log.
pub(super) struct History {
    source: Source,
    /// States at batch ends; none is missing between the lowest and the highest.
    near: BTreeMap<Position, State>,
    left: Left,
    /// A fold that is not done yet.
    under_way: Option<Folding>,
    /// What was owed at the batch ends looked at last.
    pub(super) plans: Plans,
}

/// A fold towards a batch end.
struct Folding {
    target: Position,
    at: Position,
    state: State,
}

/// States that long folds leave behind: fewer and farther between the more there are.
struct Left {
    every: u64,
    states: BTreeMap<Position, State>,
}

/// How many states with as many units as this one may be kept.
fn capacity(state: &State, units: usize, least: usize, most: usize) -> usize {
    let of_chain = |chain: &prooflog_projections::state::chain::Chain| {
        chain.spans.len() + chain.aggs.len() + chain.retired.len()
    };
    let alive: usize = state.chains.values().map(of_chain).sum();
    (units / (alive + EMPTY)).clamp(least, most)
}

impl Left {
    fn below(&self, at: Position) -> Option<(&Position, &State)> {
        self.states.range(..=at).next_back()
    }

    fn offer(&mut self, at: Position, state: &State) {
        let last = self.below(at).map_or(0, |(position, _)| position.0);
        if at.0.saturating_sub(last) < self.every {
            return;
        }
        self.states.insert(at, state.clone());
        while self.states.len() > capacity(state, UNITS_FAR, LEFT_MIN, LEFT_MAX) {
            self.every = self.every.saturating_mul(2);
            let (mut last, every) = (0, self.every);
            self.states.retain(|position, _| {
                let is_far = position.0.saturating_sub(last) >= every;
                last = if is_far { position.0 } else { last };
                is_far
            });
        }
    }
}

impl History {
    /// The past of a log.
    pub(super) fn new(source: Source) -> Self {
        let left = Left { every: NEAR, states: BTreeMap::new() };
        Self { source, near: BTreeMap::new(), left, under_way: None, plans: Plans::default() }
    }

    /// The log.
    pub(super) const fn source(&self) -> &Source {
        &self.source
    }

    /// The newest position.
    pub(super) const fn head(&self) -> Position {
        self.source.head().position
    }

    /// Looks again at the log in `dir`: what has come since is there from now on.
    pub(super) fn look_again(&mut self, dir: &std::path::Path) -> Result<(), CliError> {
        let source = Source::open(dir, Moment::HEAD)?;
        if source.log() != self.source.log() || source.head().position < self.head() {
            return Err(CliError::Usage(format!("{} holds another log now", dir.display())));
        }
        self.source = source;
        Ok(())
    }

    /// The batch that holds a position: its first and its last event. The empty log is a batch of its own.
    pub(super) fn batch(&self, at: Position) -> Result<(Position, Position), CliError> {
        let Some(record) = self.source.reader().record(at)? else { return Ok((at, at)) };
        let envelope = record.envelope()?;
        Ok((envelope.batch_first, envelope.batch_last()))
    }

    /// Keeps a state that is known anyway, if it follows on those that are kept.
    pub(super) fn keep(&mut self, before: Position, at: Position, state: &State) {
        if self.near.contains_key(&before) {
            remember(&mut self.near, at, state.clone());
        }
    }

    /// The state at a batch end; nothing if the budget was used up before it was there, then ask again.
    pub(super) fn state(&mut self, at: Position, budget: &mut Budget) -> Result<Option<State>, CliError> {
        if let Some(state) = self.near.get(&at) {
            return Ok(Some(state.clone()));
        }
        let mut folding = match self.under_way.take() {
            Some(folding) if folding.target == at => folding,
            _ => self.begin(at),
        };
        let to = Position(folding.at.0.saturating_add(budget.0).min(at.0));
        budget.0 = budget.0.saturating_sub(to.0.saturating_sub(folding.at.0));
        self.fold(&mut folding, to)?;
        if folding.at < at {
            self.under_way = Some(folding);
            return Ok(None);
        }
        Ok(Some(folding.state))
    }

    /// How far the fold under way has come: the position, and where it is going.
    pub(super) fn folded(&self) -> Option<(Position, Position)> {
        self.under_way.as_ref().map(|folding| (folding.at, folding.target))
    }

    /// Nobody waits for the fold under way any more; what it left behind stays.
    pub(super) fn give_up(&mut self) {
        self.under_way = None;
    }

    /// From where to fold: the nearest state at or below.
    fn begin(&mut self, at: Position) -> Folding {
        let near = self.near.range(..=at).next_back();
        let base = near.into_iter().chain(self.left.below(at)).max_by_key(|(position, _)| **position);
        let base = base.map(|(position, state)| (*position, state.clone()));
        let known = base.as_ref().map_or(0, |(position, _)| position.0);
        let taken = if at.0 - known > NEAR {
            let taken = newest(&self.source.reader(), self.source.log(), at);
            taken.filter(|taken| taken.position.0 > known)
        } else {
            None
        };
        let (from, state) = match (taken, base) {
            (Some(Taken { position, state, .. }), _) => (position, state),
            (None, Some(base)) => base,
            (None, None) => (Position::ZERO, State::new(self.source.log())),
        };
        if !self.near.contains_key(&from) {
            // What is kept has no gap: it begins anew here.
            self.near.clear();
            self.near.insert(from, state.clone());
        } else {
            self.near.split_off(&from.next());
        }
        Folding { target: at, at: from, state }
    }

    fn fold(&mut self, folding: &mut Folding, to: Position) -> Result<(), CliError> {
        let Self { source, near, left, .. } = self;
        let mut failed = None;
        let from = folding.at.next();
        source.reader().for_each(from, to, &mut |position, stored| {
            match apply(&mut folding.state, position, stored) {
                Ok(last) => {
                    folding.at = position;
                    if last == position {
                        left.offer(position, &folding.state);
                        if folding.target.0 - position.0 > REACH {
                            // Too far away to be of use there, and copies slow a long fold down.
                            near.clear();
                        } else {
                            remember(near, position, folding.state.clone());
                        }
                    }
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

fn remember(near: &mut BTreeMap<Position, State>, at: Position, state: State) {
    let most = capacity(&state, UNITS_NEAR, KEPT_MIN, KEPT_MAX);
    near.insert(at, state);
    while near.len() > most {
        near.pop_first();
    }
}

/// Takes a record in; answers with the last position of its batch.
pub(super) fn apply(state: &mut State, position: Position, stored: &[u8]) -> Result<Position, ReplayError> {
    let envelope = Envelope::decode(stored).map_err(|source| ReplayError::Envelope { position, source })?;
    if let Some(fact) = Fact::of(&envelope)? {
        state.apply(&fact)?;
        drop(state.take_touched());
    }
    Ok(envelope.batch_last())
}
