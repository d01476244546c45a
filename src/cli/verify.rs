//! `verify`: everything that a log can show about itself, from the first record to the head.
//!
//! Bytes first: hashes, positions, revisions, the index of streams. Then meaning: each event may follow by the
//! transitions and breaks no law of planning, proving and sending. Then what was kept beside the log: snapshots equal
//! what the log folds to. The first thing that is wrong is the error, with its position.

use std::ops::ControlFlow;

use prooflog_replay::Sound;

use super::exit::CliError;
use super::output::{self, Form, json_line};
use super::progress::Progress;
use super::source::Source;

/// Checks the log; the first thing that is wrong is the error.
pub(crate) fn run(source: &Source, form: Form) -> Result<(), CliError> {
    let head = source.head().position.0;
    let mut progress = Progress::start("hashes", head);
    let verified = prooflog_log::verify(source.store(), &mut |position| {
        progress.at(position.0);
        ControlFlow::Continue(())
    })?;
    let hashed = progress.end();
    let mut progress = Progress::start("meaning", source.at().0);
    let (reader, log) = (source.reader(), source.log());
    let sound = prooflog_replay::verify(&reader, log, source.at(), &mut |position| progress.at(position.0));
    let folded = progress.end();
    let Sound { state, snapshots } = sound?;
    let digest = state.digest();
    output::print(|out| match form {
        Form::Json => json_line(
            out,
            &serde_json::json!({
                "position": verified.head.position,
                "hash": verified.head.hash,
                "streams": verified.streams,
                "state": { "position": source.at(), "digest": digest },
                "snapshots": snapshots,
            }),
        ),
        Form::Text => {
            writeln!(
                out,
                "{} records in {} streams verify ({hashed})",
                verified.head.position, verified.streams
            )?;
            writeln!(out, "every event may follow and breaks no law ({folded})")?;
            writeln!(out, "{snapshots} snapshots equal what the log folds to")?;
            writeln!(out, "head hash     {}", verified.head.hash)?;
            writeln!(out, "state digest  {digest} at position {}", source.at())
        }
    })
}
