//! `timeline`: what happened to one thing, in words, with what outside writers had to say about it.
//!
//! Everything that carries the correlation, in the order of the log. What belongs to a span or an aggregate comes after
//! its first event, so that is where the reading begins.

use std::ops::ControlFlow;

use prooflog_events::envelope::Envelope;
use prooflog_events::ids::{Micros, Position, Revision, StreamId};
use prooflog_events::port::{Direction, SequenceError};
use serde::Serialize;

use super::exit::CliError;
use super::output::{self, Form, json_line};
use super::progress::Progress;
use super::source::Source;
use super::words;

/// Events between two looks at the clock.
const CLOCK_EVERY: u64 = 4_096;

/// One line of a timeline.
#[derive(Serialize)]
struct Entry {
    position: Position,
    time: Micros,
    stream: String,
    event: String,
    text: String,
}

/// Shows the timeline of everything that belongs to `correlation`.
pub(crate) fn run(source: &Source, correlation: &str, form: Form) -> Result<(), CliError> {
    let entries = entries(source, correlation)?;
    if entries.is_empty() {
        let text = format!("nothing belongs to `{correlation}`; `prooflog requests` lists what is alive");
        return Err(CliError::Usage(text));
    }
    output::print(|out| {
        entries.iter().try_for_each(|entry| match form {
            Form::Json => json_line(out, entry),
            Form::Text => writeln!(
                out,
                "{:>8}  {}  {}  {}",
                entry.position,
                output::time(entry.time),
                entry.stream,
                entry.text
            ),
        })
    })
}

fn entries(source: &Source, correlation: &str) -> Result<Vec<Entry>, CliError> {
    let reader = source.reader();
    let from = match correlation.parse() {
        Ok(StreamId::Unit(_)) => {
            let page = reader.stream(correlation, Revision(0), Direction::Forward, 1)?;
            page.records.first().map_or(Position(1), prooflog_log::Record::position)
        }
        _ => Position(1),
    };
    let mut progress = Progress::start("timeline", source.at().0);
    let (mut entries, mut failed) = (Vec::new(), None);
    reader.for_each_ahead(from, source.at(), &mut |position, stored| {
        if position.0.is_multiple_of(CLOCK_EVERY) {
            progress.at(position.0);
        }
        match Envelope::decode(stored) {
            Ok(envelope) if words::belongs(&envelope, correlation) => entries.push(Entry {
                position,
                time: envelope.recorded_at,
                stream: output::clean(envelope.stream),
                event: output::clean(envelope.type_name),
                text: words::words(&envelope),
            }),
            Ok(_) => {}
            Err(error) => failed = Some(SequenceError::damaged(position, error.to_string())),
        }
        if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    failed.map_or(Ok(entries), |error| Err(error.into()))
}
