//! The whole ring on virtual time, with faults and checkers.
//!
//! Production runs the ring over real adapters; here the same `decide`, `Outbox` and log run over a [`world`] that
//! breaks in every way the peers' did. One seed gives one run. Independent checkers look at every batch, and when the
//! faults stop everything must come right within a bounded time. Reading order: [`world`], `ring`, `check`.

pub mod adapter;
pub mod bugs;
pub mod check;
pub mod cli;
pub mod demo;
pub mod process;
pub mod rng;
pub mod run;
pub mod sabotage;
pub mod scenario;
pub mod world;
