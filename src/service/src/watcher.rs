//! Who looks on: metrics, health, logs.
//!
//! A watcher is told what happened, on the service's own thread, and must be quick. Nothing depends on it; every method
//! does nothing by default.

use std::time::Duration;

use prooflog_core::{Effect, EffectKey, NewEvent, Outcome};
use prooflog_events::ids::{Micros, Position};
use prooflog_events::input::Input;
use prooflog_projections::State;

/// A decision as it was made.
#[derive(Debug)]
pub struct Decided<'a> {
    /// What was decided on.
    pub input: &'a Input,
    /// The events, none if nothing changed.
    pub events: &'a [NewEvent],
    /// Position that the first of them gets.
    pub first: Position,
    /// The state after them.
    pub state: &'a State,
    /// How long it took.
    pub took: Duration,
}

/// Looks on.
pub trait Watcher: Send + 'static {
    /// An input was decided.
    fn decided(&mut self, decided: &Decided<'_>) {
        let _ = decided;
    }

    /// A batch that ends at `position` became durable, so long after it was decided.
    fn durable(&mut self, position: Position, took: Duration) {
        let _ = (position, took);
    }

    /// A call begins.
    fn begins(&mut self, effect: &Effect) {
        let _ = effect;
    }

    /// A call ended after so long; the words say why, if it brought no answer.
    fn ended(&mut self, key: &EffectKey, outcome: Outcome, took: Duration, failure: Option<&str>) {
        let _ = (key, outcome, took, failure);
    }

    /// The loop is at work.
    fn beats(&mut self) {}

    /// The loop waits, for news or until a moment.
    fn waits(&mut self, now: Micros, until: Option<Micros>) {
        let _ = (now, until);
    }
}

/// Nobody looks on.
impl Watcher for () {}
