//! The demo.
use std::process::ExitCode;

/// Runs the demo.
#[must_use]
pub fn demo(_json: bool) -> ExitCode {
    ExitCode::SUCCESS
}
