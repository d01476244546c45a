//! The rooms together: the simulated world on the real store, and the program on what it left behind.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod command_line;
mod golden_logs;
mod on_disk;
