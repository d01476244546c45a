//! Deliberate bugs.
use prooflog_core::{Effect, NewEvent};
use prooflog_events::ids::Micros;
use prooflog_events::input::Input;
use prooflog_projections::State;

/// A bug that a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sabotage {
    /// None.
    #[default]
    None,
}

impl Sabotage {
    /// What it makes of an input.
    #[must_use]
    pub fn input(self, _state: &State, input: Input) -> Input {
        input
    }
    /// What it makes `decide` believe.
    pub fn state(self, _state: &mut State) {}
    /// What it makes of a decision.
    #[must_use]
    pub fn events(self, _state: &State, _now: Micros, events: Vec<NewEvent>) -> Vec<NewEvent> {
        events
    }
    /// Whether effects wait until the log has their intent.
    #[must_use]
    pub const fn waits_for_log(self) -> bool {
        true
    }
    /// What a snapshot of `state` holds.
    #[must_use]
    pub fn snapshot(self, state: &State) -> State {
        state.clone()
    }
    /// What it makes of effects.
    #[must_use]
    pub fn effects(self, _state: &State, effects: Vec<Effect>) -> Vec<Effect> {
        effects
    }
}
