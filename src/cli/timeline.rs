//! `timeline`: what happened to one thing, in words.

use prooflog_projections::Timeline;

use super::exit::CliError;
use super::output::{self, Form, json_line};
use super::source::Source;
use prooflog_events::ids::Position;

/// Shows the timeline of everything that belongs to `correlation`.
pub(crate) fn run(source: &Source, correlation: &str, form: Form) -> Result<(), CliError> {
    let mut timeline = Timeline::of(correlation);
    prooflog_replay::for_each_fact(&source.reader(), Position(1), source.at(), &mut |fact| {
        timeline.apply(fact);
        Ok(())
    })?;
    prooflog_replay::for_each_note(&source.reader(), Position(1), source.at(), &mut |note| {
        timeline.note(note)
    })?;
    if timeline.entries().is_empty() {
        let text = format!("nothing belongs to `{correlation}`; `prooflog requests` lists what is alive");
        return Err(CliError::Usage(text));
    }
    output::print(|out| {
        timeline.entries().iter().try_for_each(|entry| match form {
            Form::Json => json_line(out, entry),
            Form::Text => writeln!(
                out,
                "{:>8}  {}  {}  {}",
                entry.position,
                output::time(entry.time),
                entry.stream,
                output::clean(&entry.text)
            ),
        })
    })
}
