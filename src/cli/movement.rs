//! `export`, `import` and `restore`: the log goes somewhere else and is checked on arrival.
#![expect(clippy::print_stderr, reason = "results of moves are for people")]

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use prooflog_events::ids::Position;
use prooflog_log::export::{self, read_header};
use prooflog_store::OpenOptions;
use serde_json::{Value, json};

use super::exit::CliError;
use super::output::{self, Form, json_line};
use super::source::Source;

/// Writes the log as JSON Lines.
pub(crate) fn export(source: &Source, to: Option<&Path>, form: Form) -> Result<(), CliError> {
    let Some(path) = to else {
        let mut result = Ok(0);
        output::print(|out| {
            result = export::export(&source.reader(), source.log(), out);
            Ok(())
        })?;
        return Ok(result.map(drop)?);
    };
    let file = File::create_new(path).map_err(CliError::io(path.display().to_string()))?;
    let mut out = BufWriter::new(file);
    let records = export::export(&source.reader(), source.log(), &mut out)?;
    out.flush().map_err(CliError::io(path.display().to_string()))?;
    let told = json!({ "records": records, "to": path.display().to_string() });
    tell(form, &told, &format!("{records} records written to {}", path.display()))
}

/// Makes a log of an export in an empty directory.
pub(crate) fn import(dir: &Path, from: &Path) -> Result<(), CliError> {
    let records = import_into(dir, from)?;
    eprintln!("{records} records imported into {}", dir.display());
    Ok(())
}

/// Makes a log of an export, and says how many records it has.
pub(super) fn import_into(dir: &Path, from: &Path) -> Result<Position, CliError> {
    let file = File::open(from).map_err(CliError::io(from.display().to_string()))?;
    let mut input = BufReader::new(file);
    let header = read_header(&mut input)?;
    let (store, _) = prooflog_store::open(dir, OpenOptions::or_create(header.log))?;
    Ok(export::import(header, &mut input, &store)?.position)
}

/// Puts a backup where a log is to be.
pub(crate) fn restore(dir: &Path, backup: &Path, form: Form) -> Result<(), CliError> {
    let head = prooflog_store::restore(backup, dir)?;
    let told = json!({ "position": head.position, "hash": head.hash, "dir": dir.display().to_string() });
    tell(form, &told, &format!("{} records restored into {}", head.position, dir.display()))
}

/// What was done: for people beside the data, for programs as data.
fn tell(form: Form, told: &Value, text: &str) -> Result<(), CliError> {
    match form {
        Form::Json => output::print(|out| json_line(out, told)),
        Form::Text => {
            eprintln!("{text}");
            Ok(())
        }
    }
}
