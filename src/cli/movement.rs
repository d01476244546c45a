//! `export`, `import` and `restore`: the log goes somewhere else and is checked on arrival.

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Write};
use std::path::Path;

use prooflog_events::ids::Position;
use prooflog_log::export::{self, ExportError, read_header};
use prooflog_store::{LOCK, Lock, OpenOptions};
use serde_json::json;

use super::exit::CliError;
use super::output::{self, Form, tell};
use super::source::Source;

/// Where an import is put together, within the directory that is to be a log's.
const PARTIAL: &str = "import.partial";

/// Writes the log, up to the moment looked at, as JSON Lines.
pub(crate) fn export(source: &Source, to: Option<&Path>, form: Form) -> Result<(), CliError> {
    let reader = source.as_it_was()?;
    let Some(path) = to else {
        let mut result = Ok(());
        output::print(|out| match export::export(&reader, source.log(), out) {
            // What the reader of a pipe does is for `print` to judge.
            Err(ExportError::Io(error)) => Err(error),
            other => {
                result = other.map(drop);
                Ok(())
            }
        })?;
        return Ok(result?);
    };
    let mut out = BufWriter::new(new_file(path)?);
    let written = export::export(&reader, source.log(), &mut out)
        .and_then(|records| Ok(out.flush().and_then(|()| out.get_ref().sync_all()).map(|()| records)?));
    let records = written.map_err(|error| {
        // Half an export can be mistaken for one, and would be in the way of the next attempt.
        let _ = std::fs::remove_file(path);
        CliError::ExportFile { path: path.to_owned(), source: error }
    })?;
    let told = json!({ "records": records, "to": path.display().to_string() });
    tell(form, &told, &format!("{} written to {}", records_of(records), path.display()))
}

/// A file that was not there.
pub(super) fn new_file(path: &Path) -> Result<File, CliError> {
    File::create_new(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            let text = format!("{} is there already and was not touched: name a new file", path.display());
            CliError::Usage(text)
        }
        _ => CliError::io(path.display().to_string())(error),
    })
}

/// Makes a log of an export, where there is none. It is put together beside its place: what cannot be read to its end
/// leaves nothing that could be taken for a log. The place is held meanwhile: nobody else makes one there.
pub(crate) fn import(dir: &Path, from: &Path, form: Form) -> Result<(), CliError> {
    prooflog_store::refuse_log(dir)?;
    let is_new = !dir.exists();
    std::fs::create_dir_all(dir).map_err(CliError::io(dir.display().to_string()))?;
    let lock = Lock::take(dir)?;
    prooflog_store::refuse_log(dir)?;
    let partial = dir.join(PARTIAL);
    remove(&partial)?;
    let records = import_into(&partial, from).inspect_err(|_| {
        // What is wrong with the export matters more than what is left of it.
        let _ = remove(&partial);
        if is_new {
            let _ = std::fs::remove_file(dir.join(LOCK)).and_then(|()| std::fs::remove_dir(dir));
        }
    })?;
    prooflog_store::move_in(&partial, dir)?;
    drop(lock);
    let told = json!({ "records": records.0, "dir": dir.display().to_string() });
    tell(form, &told, &format!("{} imported into {}", records_of(records.0), dir.display()))
}

/// So many records, in words.
fn records_of(number: u64) -> String {
    if number == 1 { "1 record".to_owned() } else { format!("{number} records") }
}

fn remove(dir: &Path) -> Result<(), CliError> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(CliError::io(dir.display().to_string())(error))
        }
        _ => Ok(()),
    }
}

/// Makes a log of an export, and says how many records it has. `-` is standard input.
pub(super) fn import_into(dir: &Path, from: &Path) -> Result<Position, CliError> {
    let file = if from == Path::new("-") { Path::new("/dev/stdin") } else { from };
    let file = File::open(file).map_err(CliError::io(from.display().to_string()))?;
    let mut input = BufReader::new(file);
    let wrong = |source| CliError::ExportFile { path: from.to_owned(), source };
    let header = read_header(&mut input).map_err(wrong)?;
    // The ballast is for whoever writes the log later.
    let (store, _) = prooflog_store::open(dir, OpenOptions::or_create(header.log).ballast(0))?;
    Ok(export::import(header, &mut input, &store).map_err(wrong)?.position)
}

/// Puts a backup where a log is to be.
pub(crate) fn restore(dir: &Path, backup: &Path, form: Form) -> Result<(), CliError> {
    let head = prooflog_store::restore(backup, dir)?;
    let told = json!({ "position": head.position, "hash": head.hash, "dir": dir.display().to_string() });
    tell(form, &told, &format!("{} restored into {}", records_of(head.position.0), dir.display()))
}
