//! The log as JSON Lines, and back: the same positions, revisions, hashes and bytes.
//!
//! The first line says which log it is and where it ends; then comes one line per record with its stored bytes and
//! enough in plain words to be read. Reading checks everything as it goes: a line that is damaged, missing, doubled or
//! out of place is named by its position, and nothing after it is taken. Blobs are not in it. What a crash means: a
//! partly imported log holds whole batches and no more.

use std::io::{BufRead, Write};
use std::ops::ControlFlow;

use prooflog_events::envelope::{Envelope, record_hash};
use prooflog_events::ids::{Hash32, LogId, Position};
use prooflog_events::limits::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, INPUT_BYTES_MAX, STREAM_NAME_BYTES_MAX};
use prooflog_events::port::{Commit, Head, RecordBatch, Sequence, SequenceError, SequenceRead};

use crate::read::Reader;

/// Version of this format.
const EXPORT_VERSION: u64 = 1;
/// Most bytes of the records of one batch: what a batch may hold, and an envelope around each event.
const RECORDED_BATCH_MAX: usize = BATCH_BYTES_MAX + INPUT_BYTES_MAX + BATCH_EVENTS_MAX * ENVELOPE_BYTES_MAX;
/// Most bytes of an envelope beside what counts towards a batch: names of streams and labels, each given twice at most.
const ENVELOPE_BYTES_MAX: usize = 8 * STREAM_NAME_BYTES_MAX;
/// Longest line: the largest record as hex, with room for its words.
const MAX_LINE_BYTES: usize = 4 << 20;

/// Why an export could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log could not be read or written.
    #[error(transparent)]
    Log(#[from] SequenceError),
    /// The file could not be read or written.
    #[error("the export could not be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// The file is none of ours.
    #[error("this is no export: {what}")]
    Foreign {
        /// What its first line is.
        what: String,
    },
    /// A line is not what it should be.
    #[error("line {line}: {what}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// The records do not chain.
    #[error("position {position}: {what}")]
    Record {
        /// Where.
        position: Position,
        /// What is wrong.
        what: String,
    },
}

/// Writes `from..=to` of a log, and returns how many records that were.
///
/// # Errors
/// When the log cannot be read or `out` not be written.
pub fn export<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    log: LogId,
    out: &mut dyn Write,
) -> Result<u64, ExportError> {
    let head = reader.head();
    let header = serde_json::json!({
        "prooflog_export": EXPORT_VERSION,
        "log": log.to_string(),
        "head": { "position": head.position.to_string(), "hash": head.hash.to_string() },
    });
    writeln!(out, "{header}")?;
    let mut failed = None;
    let mut written = 0_u64;
    reader.for_each(Position(1), head.position, &mut |position, stored| match write_record(
        position, stored, out,
    ) {
        Ok(()) => {
            written += 1;
            ControlFlow::Continue(())
        }
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(written), Err)
}

fn write_record(position: Position, stored: &[u8], out: &mut dyn Write) -> Result<(), ExportError> {
    let envelope = Envelope::decode(stored)
        .map_err(|error| ExportError::Record { position, what: error.to_string() })?;
    let line = serde_json::json!({
        "position": position.to_string(),
        "stream": envelope.stream,
        "revision": envelope.revision.to_string(),
        "type": envelope.type_name,
        "hash": record_hash(stored).to_string(),
        "stored": format!("0x{}", hex::encode(stored)),
    });
    Ok(writeln!(out, "{line}")?)
}

/// What an export says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The log that it was made of.
    pub log: LogId,
    /// Where it ends.
    pub head: Head,
}

/// Reads the first line.
///
/// # Errors
/// When it is not the first line of an export that this release reads.
pub fn read_header(input: &mut dyn BufRead) -> Result<Header, ExportError> {
    let foreign = |what: &str| ExportError::Foreign { what: what.to_owned() };
    let line = read_line(input, 1).map_err(|error| match error {
        ExportError::Line { what, .. } => foreign(&format!("its first line is no text ({what})")),
        other => other,
    })?;
    let line = line.ok_or_else(|| foreign("the file is empty"))?;
    let json = serde_json::from_str::<serde_json::Value>(&line).unwrap_or_default();
    let version = json.get("prooflog_export");
    let version = version.ok_or_else(|| foreign("its first line is not that of `prooflog export`"))?;
    if version.as_u64() != Some(EXPORT_VERSION) {
        let what = format!("the export has version {version}, this release reads version {EXPORT_VERSION}");
        return Err(bad_line(1, what));
    }
    let head = json.get("head").cloned().unwrap_or_default();
    Ok(Header {
        log: parse(&json, "log", 1)?,
        head: Head { position: parse(&head, "position", 1)?, hash: parse(&head, "hash", 1)? },
    })
}

/// Reads the records into an empty log of the header's id, batch by batch.
///
/// # Errors
/// At the first line or record that is not as it should be; whole batches before it are in `target`.
pub fn import<S: Sequence>(header: Header, input: &mut dyn BufRead, target: &S) -> Result<Head, ExportError> {
    let mut head = target.head()?;
    let (mut line_number, mut batch, mut batch_end) = (1_u64, RecordBatch::default(), Position::ZERO);
    let (mut next, mut batch_bytes) = (head, 0_usize);
    while let Some(line) = {
        line_number += 1;
        read_line(input, line_number)?
    } {
        // Editors and mail leave them.
        if line.trim().is_empty() {
            continue;
        }
        let (hash, stored) = parse_record(&line, line_number)?;
        let position = next.position.next();
        let what = |what: String| ExportError::Record { position, what };
        let envelope = Envelope::decode(&stored).map_err(|error| what(error.to_string()))?;
        if envelope.position != position {
            return Err(what(format!("the record stored there says position {}", envelope.position)));
        }
        if envelope.prev != next.hash {
            return Err(what(
                "it does not follow the record before it: the chain of hashes is broken".to_owned(),
            ));
        }
        if record_hash(&stored) != hash {
            return Err(what("its bytes do not have the hash that the line names".to_owned()));
        }
        if batch.is_empty() {
            (batch_end, batch_bytes) = (envelope.batch_last(), 0);
        }
        // A batch is held in memory until it is whole: what says that it is larger than any is not waited for.
        if batch.len() >= BATCH_EVENTS_MAX || batch_bytes + stored.len() > RECORDED_BATCH_MAX {
            return Err(what("its batch is larger than any".to_owned()));
        }
        batch_bytes += stored.len();
        batch.push(&stored);
        next = Head { position, hash };
        if position >= batch_end {
            target.append(Commit {
                expected: head,
                head: next,
                records: &batch,
                blobs: &[],
                named: &[],
                forgotten: &[],
            })?;
            head = next;
            batch = RecordBatch::default();
        }
    }
    if !batch.is_empty() || head != header.head {
        let what = format!("the export ends here, its first line promises position {}", header.head.position);
        return Err(ExportError::Record { position: next.position, what });
    }
    Ok(head)
}

fn parse_record(line: &str, number: u64) -> Result<(Hash32, Vec<u8>), ExportError> {
    let json: serde_json::Value = serde_json::from_str(line).map_err(|error| bad_line(number, error))?;
    let stored: &str = json.get("stored").and_then(serde_json::Value::as_str).unwrap_or_default();
    let digits = stored.strip_prefix("0x").ok_or_else(|| bad_line(number, "no stored bytes"))?;
    let stored = hex::decode(digits).map_err(|error| bad_line(number, error))?;
    Ok((parse(&json, "hash", number)?, stored))
}

fn parse<T: std::str::FromStr>(json: &serde_json::Value, key: &str, line: u64) -> Result<T, ExportError> {
    let text = json.get(key).and_then(serde_json::Value::as_str);
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| bad_line(line, format!("`{key}` is missing or wrong")))
}

fn bad_line(line: u64, what: impl std::fmt::Display) -> ExportError {
    ExportError::Line { line, what: what.to_string() }
}

fn read_line(input: &mut dyn BufRead, number: u64) -> Result<Option<String>, ExportError> {
    let mut line = Vec::new();
    let mut limited = std::io::Read::take(&mut *input, MAX_LINE_BYTES as u64);
    let read = limited.read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if read >= MAX_LINE_BYTES && line.last() != Some(&b'\n') {
        return Err(bad_line(number, "the line is longer than any record"));
    }
    String::from_utf8(line).map(Some).map_err(|error| bad_line(number, error))
}
