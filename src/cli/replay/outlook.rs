//! What another policy would have led to, for people and for programs.
//!
//! The answer is an approximation, and says so wherever it is shown, with the position from which on it is one.

use std::collections::BTreeMap;
use std::io::{self, Write};

use prooflog_engine::redecide::{Change, Deviation, Kind, Outlook, SUBJECTS_MAX, WhatIf};
use prooflog_events::event::EventType;
use serde_json::{Value, json};

use super::found::{declared, declared_json, row};
use super::wide;
use crate::cli::exit::CliError;
use crate::cli::output::{self, Form, json_line, table};

/// What is said wherever an answer is shown.
const APPROXIMATE: &str = "each input was decided on the recorded state; from the first deviation on the other policy \
                           would have led to another state and to other inputs, so what follows is an approximation";

/// Shows it.
pub(super) fn show(outlook: &Outlook, changes: &[Change], form: Form) -> Result<(), CliError> {
    output::print(|out| match form {
        Form::Json => json_line(out, &document(outlook, changes)),
        Form::Text => {
            text(out, outlook)?;
            by_rules(out, outlook, changes)
        }
    })
}

/// What the other policy has no part in.
fn by_rules(out: &mut dyn Write, outlook: &Outlook, changes: &[Change]) -> io::Result<()> {
    if outlook.expected.is_empty() && outlook.undeclared.is_none() {
        return Ok(());
    }
    writeln!(out, "\nnot counted, because today's rules decide it otherwise under the recorded policy too:")?;
    declared(out, &outlook.expected, changes)?;
    outlook.undeclared.map_or(Ok(()), |found| {
        let (decisions, first) = (found.decisions, found.first);
        writeln!(
            out,
            "{decisions} differ and nobody declared it, the first at position {first}: see `prooflog replay --check`"
        )
    })
}

/// Settings of which recorded and other value differ.
fn settings(policy: &WhatIf) -> Vec<(String, String, String)> {
    let leaves = |policy| wide::fields(&serde_json::to_value(policy).unwrap_or_default());
    let (old, new): (BTreeMap<_, _>, BTreeMap<_, _>) = (leaves(&policy.recorded), leaves(&policy.other));
    let none = String::new();
    old.keys()
        .chain(new.keys().filter(|key| !old.contains_key(*key)))
        .map(|key| (key, old.get(key).unwrap_or(&none), new.get(key).unwrap_or(&none)))
        .filter(|(_, old, new)| old != new)
        .map(|(key, old, new)| (key.clone(), old.clone(), new.clone()))
        .collect()
}

const fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::Missing => "not decided",
        Kind::Changed => "decided otherwise",
        Kind::Additional => "decided besides",
    }
}

fn subjects(deviation: &Deviation) -> String {
    let count = deviation.subjects.len();
    if count < SUBJECTS_MAX { count.to_string() } else { format!("at least {count}") }
}

fn text(out: &mut dyn Write, outlook: &Outlook) -> io::Result<()> {
    let mut rows = Vec::new();
    for policy in &outlook.policies {
        for (key, old, new) in settings(policy) {
            rows.push(vec![policy.position.to_string(), policy.chain.to_string(), key, old, new]);
        }
    }
    if rows.is_empty() {
        writeln!(out, "no setting differs from the recorded policy")?;
    } else {
        table(out, &["FROM POSITION", "ROLLUP", "SETTING", "RECORDED", "INSTEAD"], &rows)?;
    }
    writeln!(out)?;
    let Some(diverges) = outlook.diverges else {
        return writeln!(out, "{} inputs would have led to the same", outlook.progress.inputs);
    };
    writeln!(out, "APPROXIMATE from position {diverges} on: {APPROXIMATE}")?;
    writeln!(out)?;
    let (inputs, all) = (outlook.inputs, outlook.progress.inputs);
    writeln!(out, "{inputs} of {all} inputs would have led to something else")?;
    if outlook.refused > 0 {
        writeln!(out, "{} of them would have been refused", outlook.refused)?;
    }
    writeln!(out)?;
    let rows: Vec<Vec<String>> = outlook
        .deviations
        .iter()
        .map(|((kind, event), deviation)| {
            let first = deviation.examples.first().map(|example| example.position.to_string());
            vec![
                words(*kind).to_owned(),
                event.name().to_owned(),
                subjects(deviation),
                deviation.times.to_string(),
                first.unwrap_or_default(),
            ]
        })
        .collect();
    table(out, &["WOULD BE", "EVENT", "STREAMS", "INPUTS", "FIRST AT"], &rows)?;
    outlook
        .deviations
        .iter()
        .try_for_each(|((kind, event), deviation)| examples(out, *kind, *event, deviation))
}

fn examples(out: &mut dyn Write, kind: Kind, event: EventType, deviation: &Deviation) -> io::Result<()> {
    writeln!(out, "\n{} {}", words(kind), event.name())?;
    for example in &deviation.examples {
        let stream = example.row.event().map(|event| event.stream.to_string()).unwrap_or_default();
        writeln!(out, "  {stream} at position {}, on {}", example.position, example.input)?;
        if kind == Kind::Changed {
            let lines = wide::lines(example.row.recorded.as_ref(), example.row.today.as_ref());
            let lines: Vec<_> =
                lines.into_iter().map(|(key, old, new)| (format!("  {key}"), old, new)).collect();
            wide::columns(out, &lines)?;
        }
    }
    Ok(())
}

fn document(outlook: &Outlook, changes: &[Change]) -> Value {
    let policies: Vec<Value> = outlook
        .policies
        .iter()
        .flat_map(|policy| {
            settings(policy).into_iter().map(move |(key, old, new)| {
                json!({
                    "from": policy.position, "chain": policy.chain,
                    "setting": key, "recorded": old, "instead": new,
                })
            })
        })
        .collect();
    let deviations: Vec<Value> = outlook
        .deviations
        .iter()
        .map(|((kind, event), deviation)| {
            let examples = deviation.examples.iter().map(|example| {
                let mut value = row(&example.row);
                if let Value::Object(fields) = &mut value {
                    fields.insert("at".to_owned(), json!(example.position));
                    fields.insert("input".to_owned(), json!(example.input));
                }
                value
            });
            json!({
                "kind": words(*kind),
                "event": event.name(),
                "streams": deviation.subjects.len(),
                "inputs": deviation.times,
                "examples": examples.collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "to": outlook.progress.position,
        "inputs": outlook.progress.inputs,
        "settings": policies,
        "approximate_from": outlook.diverges,
        "approximate": outlook.diverges.map(|_| APPROXIMATE),
        "deviating_inputs": outlook.inputs,
        "refused_inputs": outlook.refused,
        "deviations": deviations,
        "declared": declared_json(&outlook.expected, changes),
        "undeclared": outlook.undeclared.map(|found| json!({ "decisions": found.decisions, "first": found.first })),
    })
}
