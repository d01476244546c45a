//! `rebuild`: what was kept beside the log is thrown away and made again from it.
//!
//! The log itself is not touched. The directory is held meanwhile, as an engine holds it.

use std::path::Path;

use prooflog_log::Log;
use prooflog_replay::{Rebuilt, rebuild};
use prooflog_store::OpenOptions;
use serde_json::json;

use super::exit::CliError;
use super::output::{self, Form, json_line};
use super::progress::Progress;
use super::source::directory;

/// Makes all snapshots anew.
pub(crate) fn run(dir: &Path, form: Form) -> Result<(), CliError> {
    let dir = directory(dir, "an export has no snapshots")?;
    let (store, _) = prooflog_store::open(dir, OpenOptions::existing())?;
    let log = Log::open(store)?;
    let head = log.head().position;
    let mut progress = Progress::start("folding", head.0);
    let Rebuilt { state, snapshots } = rebuild(&log, &mut |position| progress.at(position.0))?;
    let rate = progress.end();
    let digest = state.digest();
    output::print(|out| match form {
        Form::Json => {
            let state = json!({ "position": head, "digest": digest });
            json_line(out, &json!({ "snapshots": snapshots, "state": state }))
        }
        Form::Text => {
            writeln!(out, "{snapshots} snapshots of {head} records made anew ({rate})")?;
            writeln!(out, "state digest  {digest} at position {head}")
        }
    })
}
