//! `events`: the record itself.
//!
//! Page by page, filtered by stream, category and type; or followed while another process writes it.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use prooflog_events::envelope::{Envelope, record_hash};
use prooflog_events::ids::Position;
use prooflog_events::port::{Direction, SequenceError, SequenceRead};
use prooflog_log::follow::RemoteFollower;
use prooflog_log::{Filter, Record};
use prooflog_store::FollowerStore;

use super::exit::CliError;
use super::output::{self, Form, json_line};
use super::source::{Source, directory};
use super::words;

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
    #[arg(long)]
    from: Option<u64>,
    /// At most so many, the oldest of them; 1000 where nothing is said.
    #[arg(long)]
    limit: Option<usize>,
    /// The newest so many.
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["from", "limit"])]
    last: Option<usize>,
    /// Go on with what comes, until interrupted; without `--from` only with what comes.
    #[arg(long, conflicts_with_all = ["limit", "last", "at"])]
    follow: bool,
}

/// Events that are shown where nobody says how many.
const LIMIT: usize = 1_000;
/// Between two looks at a log that another process writes.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Events per look.
const LOOK_MAX: usize = 1_000;

impl Selection {
    /// Whether it goes on with what comes.
    pub(crate) const fn follows(&self) -> bool {
        self.follow
    }

    fn filter(&self) -> Filter {
        Filter {
            streams: self.stream.iter().cloned().collect(),
            categories: self.category.iter().cloned().collect(),
            type_prefixes: self.type_prefix.iter().cloned().collect(),
            stream_prefixes: Vec::new(),
        }
    }
}

/// Shows what is there from a position on, and then what comes.
pub(crate) fn follow(dir: &Path, selection: &Selection, form: Form) -> Result<(), CliError> {
    let store = FollowerStore::open(directory(
        dir,
        "an export does not grow, so nothing comes that could be followed",
    )?)?;
    let from = match selection.from {
        Some(from) => Position(from.max(1)),
        None => store.head()?.position.next(),
    };
    let mut follower = RemoteFollower::new(&store, from, selection.filter());
    loop {
        let found = follower.poll(LOOK_MAX)?;
        if show(&found.records, form)?.is_break() {
            return Ok(());
        }
        if found.caught_up {
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

/// Shows the events.
pub(crate) fn run(source: &Source, selection: &Selection, form: Form) -> Result<(), CliError> {
    let filter = selection.filter();
    if let Some(count) = selection.last {
        let newest = newest(source, &filter, count)?;
        tell_nothing(source, newest.is_empty(), form);
        return show(&newest, form).map(drop);
    }
    let mut is_any = false;
    let (mut from, mut left) =
        (Some(Position(selection.from.unwrap_or(1).max(1))), selection.limit.unwrap_or(LIMIT));
    while let Some(begin) = from.filter(|begin| *begin <= source.at() && left > 0) {
        let page = source.reader().all(begin, Direction::Forward, &filter, left)?;
        left = left.saturating_sub(page.records.len());
        from = page.next;
        let mut records = page.records;
        records.retain(|record| record.position() <= source.at());
        is_any |= !records.is_empty();
        if show(&records, form)?.is_break() {
            return Ok(());
        }
    }
    tell_nothing(source, !is_any, form);
    if let Some(next) = from.filter(|next| *next <= source.at() && selection.limit.is_none()) {
        output::aside(format_args!(
            "prooflog: there may be more: --from {next} goes on, --last shows the newest"
        ));
    }
    Ok(())
}

/// The newest events, in the order in which they happened.
fn newest(source: &Source, filter: &Filter, count: usize) -> Result<Vec<Record>, CliError> {
    let mut found = Vec::new();
    let mut from = Some(source.at()).filter(|at| *at > Position::ZERO);
    while let Some(begin) = from.filter(|_| found.len() < count) {
        let page = source.reader().all(begin, Direction::Backward, filter, count - found.len())?;
        found.extend(page.records);
        from = page.next;
    }
    found.reverse();
    Ok(found)
}

/// Said beside the answer: a slip in a name looks the same as nothing.
fn tell_nothing(source: &Source, is_nothing: bool, form: Form) {
    if is_nothing && form == Form::Text {
        output::aside(format_args!("prooflog: no such event up to position {}", source.at()));
    }
}

fn show(records: &[Record], form: Form) -> Result<ControlFlow<()>, CliError> {
    let lines = records.iter().map(|record| Ok((record.envelope()?, record_hash(record.stored()))));
    let lines: Vec<_> = lines.collect::<Result<_, SequenceError>>()?;
    output::print_on(|out| {
        lines.iter().try_for_each(|(envelope, hash)| match form {
            Form::Json => json_line(out, &json(envelope, &hash.to_string())),
            Form::Text => text(out, envelope),
        })
    })
}

fn text(out: &mut dyn Write, envelope: &Envelope<'_>) -> std::io::Result<()> {
    let words = words::words(envelope);
    let time = output::time(envelope.recorded_at);
    writeln!(
        out,
        "{:>8}  {time}  {}  {}  {words}",
        envelope.position,
        output::clean(envelope.stream),
        output::clean(envelope.type_name)
    )
}

fn json(envelope: &Envelope<'_>, hash: &str) -> serde_json::Value {
    serde_json::json!({
        "position": envelope.position,
        "stream": envelope.stream,
        "revision": envelope.revision,
        "type": envelope.type_name,
        "version": envelope.version,
        "id": envelope.event_id,
        "time": output::time(envelope.recorded_at),
        "micros": envelope.recorded_at,
        "correlation": words::correlation(envelope),
        "causation": envelope.causation.map(|cause| cause.event_id),
        "actor": envelope.actor.to_string(),
        "input": envelope.cause.map(|cause| cause.name),
        "hash": hash,
        "data": words::data(envelope),
    })
}
