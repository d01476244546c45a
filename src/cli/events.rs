//! `events`: the record itself, page by page, filtered by stream, category and type.

use std::io::Write;

use clap::Args;
use prooflog_events::envelope::{Content, Envelope, record_hash};
use prooflog_events::event::Event;
use prooflog_events::ids::Position;
use prooflog_events::port::Direction;
use prooflog_log::{Filter, Record};
use prooflog_projections::describe;

use super::exit::CliError;
use super::output::{self, Form, json_line};
use super::source::Source;

/// Which events.
#[derive(Args)]
pub(crate) struct Selection {
    /// Only this stream.
    #[arg(long)]
    stream: Option<String>,
    /// Only streams of this category: `span`, `agg`, `tx`, `chain`, ...
    #[arg(long)]
    category: Option<String>,
    /// Only types that begin so.
    #[arg(long = "type")]
    type_prefix: Option<String>,
    /// From this position on.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// At most so many.
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
}

/// Shows the events.
pub(crate) fn run(source: &Source, selection: &Selection, form: Form) -> Result<(), CliError> {
    let filter = Filter {
        streams: selection.stream.iter().cloned().collect(),
        categories: selection.category.iter().cloned().collect(),
        type_prefixes: selection.type_prefix.iter().cloned().collect(),
        stream_prefixes: Vec::new(),
    };
    let (mut from, mut left) = (Some(Position(selection.from.max(1))), selection.limit);
    while let Some(begin) = from.filter(|begin| *begin <= source.at() && left > 0) {
        let page = source.reader().all(begin, Direction::Forward, &filter, left)?;
        left = left.saturating_sub(page.records.len());
        from = page.next;
        let records: Vec<&Record> =
            page.records.iter().filter(|record| record.position() <= source.at()).collect();
        let lines = records.iter().map(|record| Ok((record.envelope()?, record_hash(record.stored()))));
        let lines: Vec<_> = lines.collect::<Result<_, prooflog_events::port::SequenceError>>()?;
        output::print(|out| {
            lines.iter().try_for_each(|(envelope, hash)| match form {
                Form::Json => json_line(out, &json(envelope, &hash.to_string())),
                Form::Text => text(out, envelope),
            })
        })?;
    }
    Ok(())
}

fn text(out: &mut dyn Write, envelope: &Envelope<'_>) -> std::io::Result<()> {
    let words = decoded(envelope)
        .map_or_else(|_| format!("{} bytes", envelope.payload.len()), |event| describe(&event));
    let time = output::time(envelope.recorded_at);
    writeln!(out, "{:>8}  {time}  {}  {}  {words}", envelope.position, envelope.stream, envelope.type_name)
}

fn decoded(envelope: &Envelope<'_>) -> Result<Event, String> {
    if envelope.content != Content::Native {
        return Err("stored by an outside writer".to_owned());
    }
    Event::decode(envelope.type_name, envelope.version, envelope.payload).map_err(|error| error.to_string())
}

fn json(envelope: &Envelope<'_>, hash: &str) -> serde_json::Value {
    let data = decoded(envelope).map(|event| serde_json::json!(event));
    serde_json::json!({
        "position": envelope.position,
        "stream": envelope.stream,
        "revision": envelope.revision,
        "type": envelope.type_name,
        "version": envelope.version,
        "id": envelope.event_id,
        "time": output::time(envelope.recorded_at),
        "micros": envelope.recorded_at,
        "correlation": envelope.correlation,
        "causation": envelope.causation.map(|cause| cause.event_id),
        "actor": envelope.actor.to_string(),
        "input": envelope.cause.map(|cause| cause.name),
        "hash": hash,
        "data": data.unwrap_or_else(serde_json::Value::String),
    })
}
