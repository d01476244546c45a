//! Standard output: tables for people, JSON for programs.
//!
//! Writing goes through one locked writer; a reader that closes the pipe early ends the command without an error.

use std::io::{self, Write};
use std::ops::ControlFlow;

use prooflog_events::ids::{Micros, Position};
use prooflog_events::phrase::duration;
use serde::Serialize;

use super::exit::CliError;
pub(crate) use crate::words::time;

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// People.
    Text,
    /// Programs.
    Json,
}

impl Form {
    pub(crate) const fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

/// Writes to standard output until `write` is done or nobody reads any more.
pub(crate) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), CliError> {
    print_on(write).map(drop)
}

/// As [`print()`]; breaks when nobody reads any more.
pub(crate) fn print_on(
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<ControlFlow<()>, CliError> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(CliError::io("standard output")(error)),
    }
}

/// When a position was recorded: nothing was before the first one.
pub(crate) fn time_at(position: Position, at: Micros) -> String {
    if position == Position::ZERO { "before the first event".to_owned() } else { time(at) }
}

/// Something that happened, with the time since what came before it.
pub(crate) fn told(position: Position, at: Micros, before: Option<Micros>, text: &str) -> String {
    let later = before.map_or_else(String::new, |before| format!("+{}", duration(at.secs_since(before))));
    format!("{position:>8}  {}  {later:>9}  {text}", time(at))
}

/// One JSON value on a line of its own.
pub(crate) fn json_line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// Words for people, beside the data. That nobody can be told them is no reason to fail.
pub(crate) fn aside(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// What was done: for people beside the data, for programs as data.
pub(crate) fn tell(form: Form, told: &serde_json::Value, text: &str) -> Result<(), CliError> {
    match form {
        Form::Json => print(|out| json_line(out, told)),
        Form::Text => {
            aside(text);
            Ok(())
        }
    }
}

/// Columns of a terminal that nobody has.
const CELL_MAX: usize = 4_096;

/// Rows under a heading, columns as wide as their widest cell.
pub(crate) fn table(out: &mut dyn Write, heading: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(heading.get(column).map(|title| title.chars().count())).max().unwrap_or(0)
    };
    // The formatter takes no more, and whoever has such a cell sees no columns anyway.
    let widths: Vec<usize> = (0..heading.len()).map(|column| width(column).min(CELL_MAX)).collect();
    let heading: Vec<String> = heading.iter().map(|title| (*title).to_owned()).collect();
    for row in std::iter::once(&heading).chain(rows) {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

/// Outsiders' words as one line that cannot command a terminal: control characters are shown as their codes.
pub(crate) fn clean(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_cannot_command_a_terminal() {
        assert_eq!(clean("no\u{1b}[2Jmore\nlines é"), "no\\u{1b}[2Jmore\\nlines é");
    }

    #[test]
    fn times_are_utc_and_leap_days_are_there() {
        assert_eq!(time(Micros(0)), "1970-01-01T00:00:00Z");
        assert_eq!(time(Micros(1_709_251_199_000_000)), "2024-02-29T23:59:59Z");
        assert_eq!(time(Micros(1_709_251_200_000_000)), "2024-03-01T00:00:00Z");
        assert_eq!(time(Micros(u64::MAX)), u64::MAX.to_string());
    }
}
