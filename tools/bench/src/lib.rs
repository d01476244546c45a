//! The table of numbers, each beside its yardstick, and the generator of the logs that they are measured on.
//!
//! Absolute times mean nothing on a shared machine: each figure is measured in the same run as what it is held against
//! (most often RocksDB used directly with the same settings), in turns, and the ratio of the medians is the result.
//! Reading order: [`generator`], [`filling`], [`table`], `rows`, [`serving`], [`cli`]. This is a tool: nothing depends on it but
//! tests, which use the generator.

pub mod cli;
pub mod filling;
pub mod generator;
mod raw;
mod rng;
mod rows;
pub mod serving;
pub mod table;

/// What goes wrong ends the run with its message.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
