//! What a check found, for people and for programs.
//!
//! Every text of the log passes through here cut to a line and without control characters; the JSON answer has all of it.

use std::io::{self, Write};

use prooflog_core::NewEvent;
use prooflog_engine::redecide::{Change, Checked, Difference, Expected, Row};
use prooflog_events::ids::Position;
use serde_json::{Value, json};

use super::wide::{self, Line};
use crate::cli::exit::CliError;
use crate::cli::output::{self, Form, json_line, time};

/// Differing events that are shown of one decision; all are in the JSON answer.
const ROWS_MAX: usize = 12;

/// Shows it.
pub(super) fn show(
    from: Position,
    checked: &Checked,
    changes: &[Change],
    form: Form,
) -> Result<(), CliError> {
    output::print(|out| match form {
        Form::Json => json_line(out, &document(from, checked, changes)),
        Form::Text => text(out, from, checked, changes),
    })
}

fn text(out: &mut dyn Write, from: Position, checked: &Checked, changes: &[Change]) -> io::Result<()> {
    let progress = checked.progress;
    if let Some(difference) = &checked.difference {
        side_by_side(out, difference)?;
        writeln!(out)?;
        writeln!(out, "{} inputs after position {from} were decided again up to here", progress.inputs)?;
    } else {
        let (inputs, events) = (progress.inputs, progress.events);
        writeln!(out, "{inputs} inputs after position {from} lead to what was recorded: {events} events")?;
        writeln!(out, "the last of them is at position {}", progress.position)?;
    }
    if progress.without_input > 0 {
        writeln!(out, "{} batches have no input: they were not decided here", progress.without_input)?;
    }
    declared(out, &checked.expected, changes)
}

/// Declared changes that were met, for people.
pub(super) fn declared(out: &mut dyn Write, met: &[Expected], changes: &[Change]) -> io::Result<()> {
    for expected in met {
        let Some(change) = changes.get(expected.change) else { continue };
        let (decisions, first) = (expected.decisions, expected.first);
        writeln!(out, "{decisions} differ as declared, the first at position {first}: {}", told(change))?;
    }
    Ok(())
}

/// The same, for programs.
pub(super) fn declared_json(met: &[Expected], changes: &[Change]) -> Vec<Value> {
    let document = |expected: &Expected| {
        let change = changes.get(expected.change)?;
        Some(json!({
            "about": change.about,
            "since": change.since.to_string(),
            "decisions": expected.decisions,
            "first": expected.first,
        }))
    };
    met.iter().filter_map(document).collect()
}

fn told(change: &Change) -> String {
    format!("{} (since {})", change.about, change.since)
}

fn side_by_side(out: &mut dyn Write, difference: &Difference) -> io::Result<()> {
    let Difference { batch, writer, .. } = difference;
    writeln!(out, "position {}: today's rules decide something else", difference.position)?;
    writeln!(out)?;
    if let Some(chain) = difference.chain() {
        writeln!(out, "rollup  {chain}")?;
    }
    let (first, last) = (batch.first, batch.last());
    writeln!(out, "batch   {first} to {last}, recorded {} by {}", time(batch.time), batch.actor)?;
    writeln!(out, "program release {}, behaviour {}", writer.release, writer.behaviour)?;
    if let Some(input) = &batch.input {
        writeln!(out, "input   {}", input.name())?;
        let value = serde_json::to_value(input).unwrap_or_default();
        let fields = wide::fields(&value);
        let width = fields.keys().map(|key| key.chars().count()).max().unwrap_or(0);
        for (key, value) in fields.iter().filter(|(key, _)| *key != "input") {
            writeln!(out, "  {key:<width$}  {}", wide::clip(value))?;
        }
    }
    if let Some(failed) = &difference.failed {
        let why = if difference.is_bug { "a bug" } else { "refused" };
        writeln!(out, "today   nothing, {why}: {failed}")?;
    }
    writeln!(out)?;
    wide::columns(out, &lines(&difference.rows))
}

/// The rows that differ, each under its position and type, and how many do not.
fn lines(rows: &[Row]) -> Vec<Line> {
    let mut lines = vec![(String::new(), "recorded".to_owned(), "today".to_owned())];
    let differing: Vec<&Row> = rows.iter().filter(|row| !row.is_same()).collect();
    for row in differing.iter().take(ROWS_MAX) {
        let Some(event) = row.event() else { continue };
        let place = row.position.map_or_else(|| "new".to_owned(), |position| position.to_string());
        let name = |side: &Option<NewEvent>| {
            side.as_ref().map_or("-", |new| new.event.event_type().name()).to_owned()
        };
        lines.push((format!("{place}  {}", event.stream), name(&row.recorded), name(&row.today)));
        let fields = wide::lines(row.recorded.as_ref(), row.today.as_ref());
        lines.extend(fields.into_iter().map(|(key, old, new)| (format!("  {key}"), old, new)));
    }
    let same = rows.len() - differing.len();
    if same > 0 {
        lines.push((format!("{same} events"), "the same".to_owned(), "the same".to_owned()));
    }
    let more = differing.len().saturating_sub(ROWS_MAX);
    if more > 0 {
        lines.push((format!("{more} more differ"), "--json shows all".to_owned(), String::new()));
    }
    lines
}

fn document(from: Position, checked: &Checked, changes: &[Change]) -> Value {
    let progress = checked.progress;
    json!({
        "from": from,
        "to": progress.position,
        "inputs": progress.inputs,
        "events": progress.events,
        "without_input": progress.without_input,
        "declared": declared_json(&checked.expected, changes),
        "difference": checked.difference.as_deref().map(difference),
    })
}

fn difference(found: &Difference) -> Value {
    let Difference { batch, writer, .. } = found;
    json!({
        "position": found.position,
        "chain": found.chain(),
        "batch": { "first": batch.first, "last": batch.last() },
        "time": time(batch.time),
        "micros": batch.time,
        "actor": batch.actor,
        "release": writer.release,
        "behaviour": writer.behaviour,
        "input": batch.input,
        "failed": found.failed,
        "bug": found.is_bug,
        "events": found.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

/// A row as JSON.
pub(super) fn row(row: &Row) -> Value {
    let side = |side: &Option<NewEvent>| {
        side.as_ref().map(|new| {
            json!({
                "stream": new.stream.to_string(),
                "revision": new.revision,
                "correlation": new.correlation,
                "type": new.event.event_type().name(),
                "event": new.event,
            })
        })
    };
    json!({
        "position": row.position,
        "same": row.is_same(),
        "recorded": side(&row.recorded),
        "today": side(&row.today),
    })
}
