//! The `prooflog` program.
//!
//! What is here reads a data directory, beside a running engine or without one: nothing in it writes to the log. Data
//! goes to standard output, everything else to standard error, and each kind of error has its exit code.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
