//! The rooms together: the simulated world on the real store, and the program on what it left behind.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod audit;
mod command_line;
mod conditions;
mod golden_logs;
mod golden_types;
mod notes;
mod on_disk;
mod replay;
mod serving;
mod transcripts;
