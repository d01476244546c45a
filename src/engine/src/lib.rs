//! The ring: input, decision, append, effects; the same in production and in simulation.
//!
//! [`Ring`] owns the state and the door to the log. It decides the inputs of all rollups one after another, on a state
//! that already holds every event decided before, durable or not; batches are handed to the writer in that order, and
//! an effect is let out only when every event that it follows from is durable. What a crash means: the state is folded
//! again, open calls are ended by a recorded timeout, and what is still owed is owed again.

pub mod redecide;
mod ring;

pub use ring::{Fed, Origin, Ring, RingError};
