//! `timeline`: what happened to one thing, in words, with what outside writers had to say about it.
//!
//! Everything that carries the correlation, in the order of the log. It is found by the streams that it leads to: a
//! span's halves, an aggregate's nonces. Only where these cannot tell is the whole log read: a rollup in optimistic mode,
//! whose nonces no stream of its own names, and a log with very much of outside writers.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use prooflog_events::envelope::{Content, Envelope};
use prooflog_events::event::Event;
use prooflog_events::ids::{Micros, Position, Revision, StreamId, UnitId};
use prooflog_events::port::{Direction, SequenceError};
use serde::Serialize;

use super::exit::CliError;
use super::output::{self, Form, json_line};
use super::progress::Progress;
use super::source::Source;
use super::why::outside;
use super::words;

/// Events between two looks at the clock.
const CLOCK_EVERY: u64 = 4_096;
/// Events of a stream that are read at a time.
const PIECE: usize = 1_000;

/// One line of a timeline.
#[derive(Serialize)]
struct Entry {
    position: Position,
    time: Micros,
    stream: String,
    event: String,
    text: String,
}

impl Entry {
    fn of(position: Position, envelope: &Envelope<'_>) -> Self {
        Self {
            position,
            time: envelope.recorded_at,
            stream: output::clean(envelope.stream),
            event: output::clean(envelope.type_name),
            text: words::words(envelope),
        }
    }
}

/// Shows the timeline of everything that belongs to the same as `name`.
pub(crate) fn run(source: &Source, name: &str, form: Form) -> Result<(), CliError> {
    let correlation = &root(source, name)?;
    if correlation != name {
        output::aside(format_args!("prooflog: {name} belongs to {correlation}; this is its timeline"));
    }
    let entries = match led_to(source, correlation)? {
        Some(entries) => entries,
        None => read_through(source, correlation)?,
    };
    if entries.is_empty() {
        let text = format!(
            "nothing belongs to `{correlation}` at position {}; `prooflog requests` lists what is alive",
            source.at()
        );
        return Err(CliError::Usage(text));
    }
    output::print(|out| {
        let mut before = None;
        for entry in &entries {
            match form {
                Form::Json => json_line(out, entry)?,
                Form::Text => {
                    let text = format!("{}  {}", entry.stream, entry.text);
                    writeln!(out, "{}", output::told(entry.position, entry.time, before, &text))?;
                }
            }
            before = Some(entry.time);
        }
        Ok(())
    })
}

/// What a stream of the engine belongs to: a half to the span first planned, a nonce to its aggregate.
fn root(source: &Source, name: &str) -> Result<String, CliError> {
    if name.parse::<StreamId>().is_err() {
        return Ok(name.to_owned());
    }
    let page = source.past().stream(name, Revision(0), Direction::Forward, 1)?;
    let Some(record) = page.records.first() else { return Ok(name.to_owned()) };
    Ok(record.envelope()?.correlation.to_owned())
}

/// The entries that the streams lead to; nothing where they cannot tell.
fn led_to(source: &Source, correlation: &str) -> Result<Option<Vec<Entry>>, CliError> {
    let mut entries = Vec::new();
    if let Ok(stream) = correlation.parse() {
        let (mut known, mut left) = (BTreeSet::from([stream]), vec![stream]);
        while let Some(stream) = left.pop() {
            let found = of_stream(source, stream, correlation, &mut entries)?;
            if found.is_elsewhere {
                return Ok(None);
            }
            left.extend(found.leads_to.into_iter().filter(|stream| known.insert(*stream)));
        }
    }
    let belongs = |envelope: &Envelope<'_>| words::belongs(envelope, correlation);
    let outside = outside::told(source, &belongs, Position(1))?;
    if outside.is_partial {
        return Ok(None);
    }
    // The sentences of `why` name who said it; a timeline has the words alone.
    for sentence in outside.sentences {
        if let Some(record) = source.reader().record(sentence.position)? {
            entries.push(Entry::of(record.position(), &record.envelope()?));
        }
    }
    entries.sort_by_key(|entry| entry.position);
    Ok(Some(entries))
}

/// What one stream said about where the rest is.
#[derive(Default)]
struct Found {
    leads_to: Vec<StreamId>,
    /// Whether some of it is in streams that nothing here names.
    is_elsewhere: bool,
}

/// Takes the entries of one stream.
fn of_stream(
    source: &Source,
    stream: StreamId,
    correlation: &str,
    entries: &mut Vec<Entry>,
) -> Result<Found, CliError> {
    let (reader, name) = (source.past(), stream.to_string());
    let (mut found, mut next) = (Found::default(), Some(Revision(0)));
    while let Some(from) = next {
        let page = reader.stream(&name, from, Direction::Forward, PIECE)?;
        next = page.next;
        for record in &page.records {
            let envelope = record.envelope()?;
            // What is not about it may stand in the stream of a nonce, and leads nowhere.
            if envelope.content != Content::Native || !words::belongs(&envelope, correlation) {
                continue;
            }
            entries.push(Entry::of(record.position(), &envelope));
            let Some(fact) = prooflog_replay::fact_of(record.position(), record.stored())? else { continue };
            found.take(&fact.event, stream);
        }
    }
    Ok(found)
}

impl Found {
    fn take(&mut self, event: &Event, stream: StreamId) {
        match (event, stream) {
            (Event::Split(e), StreamId::Unit(unit)) => {
                let half = |number| StreamId::Unit(UnitId { number, ..unit });
                self.leads_to.extend([half(e.low), half(e.high)]);
            }
            (Event::CheckpointStarted(e), _) => self.leads_to.push(StreamId::Tx(e.slot)),
            (Event::SubmissionStarted(e), _) => self.leads_to.push(StreamId::Tx(e.slot)),
            (Event::ContractObserved(e), _) => self.is_elsewhere |= e.values.optimistic,
            _ => {}
        }
    }
}

/// The entries, out of everything that was recorded.
fn read_through(source: &Source, correlation: &str) -> Result<Vec<Entry>, CliError> {
    let mut progress = Progress::start("timeline", source.at().0);
    let (mut entries, mut failed) = (Vec::new(), None);
    source.reader().for_each_ahead(Position(1), source.at(), &mut |position, stored| {
        if position.0.is_multiple_of(CLOCK_EVERY) {
            progress.at(position.0);
        }
        match Envelope::decode(stored) {
            Ok(envelope) if words::belongs(&envelope, correlation) => {
                entries.push(Entry::of(position, &envelope));
            }
            Ok(_) => {}
            Err(error) => failed = Some(SequenceError::damaged(position, error.to_string())),
        }
        if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    failed.map_or(Ok(entries), |error| Err(error.into()))
}
