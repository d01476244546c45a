//! `show`: one span, aggregate, transaction slot or rollup, as it stands and as it came there.
//!
//! The facts come from the state at the moment, the history from its own stream. What is over is no longer in the
//! state; its history is in the log for ever.

use prooflog_events::ids::{Micros, Position, Revision, StreamId};
use prooflog_events::port::Direction;
use prooflog_projections::state::unit::Unit;
use prooflog_projections::{State, describe};
use serde::Serialize;
use serde_json::{Value, json};

use super::exit::CliError;
use super::facts::{self, Detail};
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
    let told = facts::facts(&state, stream, Detail::Full).filter(|_| stream != StreamId::Node);
    let facts = facts(&state, stream);
    let history = history(source, name)?;
    if told.is_none() && history.is_empty() {
        return Err(CliError::Usage(format!("there is no `{name}` at position {}", source.at())));
    }
    output::print(|out| match form {
        Form::Json => {
            let facts: serde_json::Map<String, Value> = facts.iter().cloned().collect();
            json_line(
                out,
                &json!({ "stream": name, "live": !facts.is_empty(), "facts": facts, "history": history }),
            )
        }
        Form::Text => {
            let over = if told.is_none() { ": over" } else { "" };
            writeln!(out, "{name}{over}")?;
            for (fact, value) in told.iter().flatten().filter(|(_, value)| !facts::is_nothing(value)) {
                writeln!(out, "  {fact:<15} {value}")?;
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

fn facts(state: &State, stream: StreamId) -> Vec<(String, Value)> {
    let facts = match stream {
        StreamId::Unit(id) => state.unit_or_retired(id).map(unit_facts),
        StreamId::Tx(id) => state.slot(id).map(|slot| {
            vec![
                ("phase", json!(slot.phase.name())),
                ("purpose", json!(slot.purpose)),
                ("version", json!(slot.version)),
                ("fees", json!(slot.fees)),
                ("gas limit", json!(slot.gas_limit)),
            ]
        }),
        StreamId::Chain(id) => state.chains.get(&id).map(|chain| {
            vec![
                ("name", json!(chain.registration.name)),
                ("oracle", json!(chain.oracle())),
                ("contract", json!(chain.contract.latest)),
                ("policy", json!(chain.policy)),
            ]
        }),
        StreamId::Node | StreamId::Signer(_) => None,
    };
    facts.unwrap_or_default().into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn unit_facts(unit: &Unit) -> Vec<(&'static str, Value)> {
    let mut facts = vec![
        ("phase", json!(unit.phase.name())),
        ("since", json!(output::time(unit.since))),
        ("blocks", json!(format!("({}, {}]", unit.range.start, unit.range.end))),
        ("attempt", json!(unit.attempt)),
        ("own failures", json!(unit.own_failures)),
    ];
    let mut add = |key, value: Option<Value>| facts.extend(value.map(|value| (key, value)));
    add("last failure", unit.last_failure.map(|class| json!(class)));
    add("waits until", (unit.not_before > unit.since).then(|| json!(output::time(unit.not_before))));
    add("deadline", unit.phase.is_in_flight().then(|| json!(output::time(unit.deadline))));
    add("proof id", unit.request.as_ref().map(|request| json!(request.proof_id)));
    add("proof", unit.proof.as_ref().map(|proof| json!(proof.blob)));
    add("members", unit.agg_body().map(|agg| json!(agg.members)));
    facts
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
