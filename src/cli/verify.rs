//! `verify`: every hash, position, revision, index entry and transition, up to the head.
#![expect(clippy::print_stderr, reason = "progress is for people")]

use std::ops::ControlFlow;

use super::exit::CliError;
use super::output::{self, Form, json_line};
use super::source::Source;

/// Records between two lines of progress.
const PROGRESS_EVERY: u64 = 1_000_000;

/// Checks the log; the first thing that is wrong is the error.
pub(crate) fn run(source: &Source, form: Form) -> Result<(), CliError> {
    let mut reported = 0;
    let verified = prooflog_log::verify(source.store(), &mut |position| {
        if position.0 / PROGRESS_EVERY > reported {
            reported = position.0 / PROGRESS_EVERY;
            eprintln!("{position} of {} records verified", source.head().position);
        }
        ControlFlow::Continue(())
    })?;
    let state = source.folded()?;
    output::print(|out| match form {
        Form::Json => json_line(
            out,
            &serde_json::json!({
                "position": verified.head.position,
                "hash": verified.head.hash,
                "streams": verified.streams,
                "state": { "position": source.at(), "digest": state.digest() },
            }),
        ),
        Form::Text => {
            writeln!(out, "{} records in {} streams verify", verified.head.position, verified.streams)?;
            writeln!(out, "head hash     {}", verified.head.hash)?;
            writeln!(out, "state digest  {} at position {}", state.digest(), source.at())
        }
    })
}
