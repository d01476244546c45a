//! Pure folds of the log: what is true now, computed from what happened.
//!
//! [`State`] is what the scheduler acts on; [`Timeline`] and [`Stats`] are for people. A fold takes one [`Fact`] at a
//! time and knows no clock, no randomness and no unordered map, so the same log gives the same fold bit for bit
//! ([`State::digest`], which holds units, transactions and coverage; [`Timeline::digest`], [`Stats::digest`]). An event
//! that is not legal in a state is a typed error: the fold stops, it never guesses.
//! Nothing in here is truth: every fold can be thrown away and computed again.

mod fact;
pub mod intervals;
pub mod laws;
mod map;
pub mod state;
mod stats;
mod timeline;

pub use fact::{Fact, FactError, Outline};
pub use map::{Map, Set};
pub use state::{Illegal, State};
pub use stats::{ChainStats, Stats};
pub use timeline::{Entry, Timeline, describe};
