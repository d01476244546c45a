//! `export`, `import` and `restore`: the log goes somewhere else and is checked on arrival.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use prooflog_events::ids::Position;
use prooflog_log::export::{self, read_header};
use prooflog_store::OpenOptions;
use serde_json::json;

use super::exit::CliError;
use super::output::{self, Form, tell};
use super::source::Source;

/// Writes the log, up to the moment looked at, as JSON Lines.
pub(crate) fn export(source: &Source, to: Option<&Path>, form: Form) -> Result<(), CliError> {
    let reader = source.as_it_was()?;
    let Some(path) = to else {
        let mut result = Ok(0);
        output::print(|out| {
            result = export::export(&reader, source.log(), out);
            Ok(())
        })?;
        return Ok(result.map(drop)?);
    };
    let file = File::create_new(path).map_err(CliError::io(path.display().to_string()))?;
    let mut out = BufWriter::new(file);
    let records = export::export(&reader, source.log(), &mut out)?;
    out.flush().map_err(CliError::io(path.display().to_string()))?;
    let told = json!({ "records": records, "to": path.display().to_string() });
    tell(form, &told, &format!("{records} records written to {}", path.display()))
}

/// Makes a log of an export in an empty directory.
pub(crate) fn import(dir: &Path, from: &Path, form: Form) -> Result<(), CliError> {
    let records = import_into(dir, from)?;
    let told = json!({ "records": records.0, "dir": dir.display().to_string() });
    tell(form, &told, &format!("{records} records imported into {}", dir.display()))
}

/// Makes a log of an export, and says how many records it has.
pub(super) fn import_into(dir: &Path, from: &Path) -> Result<Position, CliError> {
    let file = File::open(from).map_err(CliError::io(from.display().to_string()))?;
    let mut input = BufReader::new(file);
    let wrong = |source| CliError::ExportFile { path: from.to_owned(), source };
    let header = read_header(&mut input).map_err(wrong)?;
    let (store, _) = prooflog_store::open(dir, OpenOptions::or_create(header.log))?;
    Ok(export::import(header, &mut input, &store).map_err(wrong)?.position)
}

/// Puts a backup where a log is to be.
pub(crate) fn restore(dir: &Path, backup: &Path, form: Form) -> Result<(), CliError> {
    let head = prooflog_store::restore(backup, dir)?;
    let told = json!({ "position": head.position, "hash": head.hash, "dir": dir.display().to_string() });
    tell(form, &told, &format!("{} records restored into {}", head.position, dir.display()))
}
