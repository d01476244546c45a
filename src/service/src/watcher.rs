//! Who looks on: metrics, health, logs.
//!
//! A watcher is told what happened, on the service's own thread, and must be quick. Nothing depends on it; every method
//! does nothing by default.

use std::time::Duration;

use prooflog_core::{Effect, EffectKey, NewEvent, Outcome};
use prooflog_events::ids::Micros;
use prooflog_projections::State;

/// Looks on.
pub trait Watcher: Send + 'static {
    /// An input was decided; `events` may be none.
    fn decided(&mut self, events: &[NewEvent], state: &State, took: Duration) {
        let _ = (events, state, took);
    }

    /// A batch became durable, so long after it was decided.
    fn durable(&mut self, took: Duration) {
        let _ = took;
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
