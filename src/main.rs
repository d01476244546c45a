//! The `prooflog` program.
//!
//! `run` holds a data directory and drives the ring; every other command looks at one through a read-only open, or asks
//! the engine that holds it. Data goes to standard output, everything else to standard error, and each kind of error has
//! its exit code.

mod api;
mod cli;
mod run;
mod words;

use std::process::ExitCode;

/// See the reason in the workspace's `Cargo.toml`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
