//! `show`: one span, aggregate, transaction slot or rollup, as it stands and as it came there.
//!
//! The facts come from the state at the moment, the history from its own stream. What is over is no longer in the
//! state; its history is in the log for ever.

use prooflog_events::ids::{Micros, Position, Revision, StreamId};
use prooflog_events::port::Direction;
use prooflog_projections::describe;
use serde::Serialize;
use serde_json::{Value, json};

use super::exit::CliError;
use super::facts::{Detail, facts};
use super::output::{self, Form, json_line};
use super::source::Source;

/// Events of a history that are shown at most; the newest ones.
const HISTORY_MAX: usize = 1_000;

/// Shows one thing.
pub(crate) fn run(source: &Source, name: &str, form: Form) -> Result<(), CliError> {
    let stream: StreamId = name.parse().map_err(|_| {
        CliError::Usage(format!(
            "`{name}` is none of span-<chain>-<n>, agg-<chain>-<n>, tx-<l1>-<signer>-<nonce>, chain-<id>"
        ))
    })?;
    let state = source.state()?;
    let facts = facts(&state, stream, Detail::Standing).filter(|_| stream != StreamId::Node);
    let history = history(source, name)?;
    if facts.is_none() && history.is_empty() {
        return Err(CliError::Usage(format!("there is no `{name}` at position {}", source.at())));
    }
    let told = || facts.iter().flatten().filter(|(_, said)| !said.is_nothing());
    output::print(|out| match form {
        Form::Json => {
            let data: serde_json::Map<String, Value> =
                told().map(|(fact, said)| ((*fact).to_owned(), said.data.clone())).collect();
            json_line(
                out,
                &json!({ "stream": name, "live": facts.is_some(), "facts": data, "history": history }),
            )
        }
        Form::Text => {
            let over = if facts.is_none() { ": over" } else { "" };
            writeln!(out, "{name}{over}")?;
            for (fact, said) in told() {
                writeln!(out, "  {fact:<15} {}", said.text)?;
            }
            let mut before = None;
            for event in &history {
                writeln!(out, "{}", output::told(event.position, event.at, before, &event.text))?;
                before = Some(event.at);
            }
            Ok(())
        }
    })
}

/// One event of a history.
#[derive(Serialize)]
struct Happened {
    position: Position,
    #[serde(skip)]
    at: Micros,
    time: String,
    #[serde(rename = "type")]
    type_name: &'static str,
    text: String,
}

fn history(source: &Source, name: &str) -> Result<Vec<Happened>, CliError> {
    let page = source.past().stream(name, Revision(u64::MAX), Direction::Backward, HISTORY_MAX)?;
    let mut events = Vec::new();
    for record in page.records.iter().rev() {
        let position: Position = record.position();
        let Some(fact) = prooflog_replay::fact_of(position, record.stored())? else { continue };
        events.push(Happened {
            position,
            at: fact.time,
            time: output::time(fact.time),
            type_name: fact.event.event_type().name(),
            text: output::clean(&describe(&fact.event, fact.stream)),
        });
    }
    Ok(events)
}
