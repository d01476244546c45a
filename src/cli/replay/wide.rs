//! Two events side by side: their fields in one list, the recorded value left, today's right.

use std::collections::BTreeMap;
use std::io::{self, Write};

use prooflog_core::NewEvent;
use serde_json::Value;

/// Characters of a value that are shown; the rest is in the JSON answer.
const VALUE_MAX: usize = 44;

/// Leaves of a JSON value, each under the path that leads to it.
pub(in crate::cli) fn fields(value: &Value) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    flatten("", value, &mut all);
    all
}

fn flatten(path: &str, value: &Value, all: &mut BTreeMap<String, String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(key, value)| flatten(&below(key), value, all));
        }
        Value::Array(list) if !list.is_empty() => {
            (0_usize..).zip(list).for_each(|(at, value)| flatten(&below(&at.to_string()), value, all));
        }
        Value::String(text) => drop(all.insert(path.to_owned(), text.clone())),
        other => drop(all.insert(path.to_owned(), other.to_string())),
    }
}

/// Fields of an event, and of its envelope what a decision sets.
pub(super) fn fields_of(event: &NewEvent) -> BTreeMap<String, String> {
    let mut all = fields(&serde_json::to_value(&event.event).unwrap_or_default());
    all.insert("revision".to_owned(), event.revision.to_string());
    all.insert("correlation".to_owned(), event.correlation.clone());
    all
}

/// A line of a comparison.
pub(super) type Line = (String, String, String);

/// The fields of both that differ; all fields where there is only one.
pub(super) fn lines(recorded: Option<&NewEvent>, today: Option<&NewEvent>) -> Vec<Line> {
    let (old, new) = (recorded.map(fields_of), today.map(fields_of));
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    let shown = |value: Option<&String>| value.map_or_else(|| "-".to_owned(), |text| clip(text));
    keys.into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| (key.clone(), shown(old.get(key)), shown(new.get(key))))
        .collect()
}

/// A value on one line.
pub(super) fn clip(text: &str) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if flat.chars().count() <= VALUE_MAX {
        return flat;
    }
    flat.chars().take(VALUE_MAX - 1).chain(['…']).collect()
}

/// Writes lines under two headings, columns as wide as their widest cell.
pub(super) fn columns(out: &mut dyn Write, lines: &[Line]) -> io::Result<()> {
    let width =
        |of: fn(&Line) -> &String| lines.iter().map(|line| of(line).chars().count()).max().unwrap_or(0);
    let (label, left) = (width(|line| &line.0), width(|line| &line.1));
    for (key, old, new) in lines {
        writeln!(out, "{}", format!("  {key:<label$}  {old:<left$} | {new}").trim_end())?;
    }
    Ok(())
}
