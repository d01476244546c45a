//! Changes of what decisions rest on: the engine's release, the policies, the contract.
//!
//! Each is compared with the event of its type before it on its stream, field by field, so that a reader sees what
//! changed and not all that there is.

use std::collections::BTreeMap;

use prooflog_events::event::{Event, EventType};
use prooflog_events::ids::{Micros, Position};
use prooflog_events::port::SequenceRead;
use prooflog_projections::{Fact, describe};
use serde::Serialize;
use serde_json::Value;

use super::Past;
use crate::error::AuditError;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Where.
    pub position: Position,
    /// When.
    pub time: Micros,
    /// Who or what it is about.
    pub stream: String,
    /// The event.
    pub event: &'static str,
    /// What it says, in words.
    pub text: String,
    /// The fields that are other than before.
    pub fields: Vec<FieldChange>,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Its name, with dots where it is inside another.
    pub name: String,
    /// What it was; `None` if there was nothing before.
    pub before: Option<Value>,
    /// What it is now.
    pub now: Value,
}

type Fields = BTreeMap<String, Value>;

/// The newest event of each type on each stream.
#[derive(Debug, Default)]
pub(super) struct Changes {
    known: BTreeMap<(String, EventType), Fields>,
}

impl Changes {
    pub(super) fn apply<R: SequenceRead + ?Sized>(
        &mut self,
        fact: &Fact<'_>,
        past: &Past<'_, '_, R>,
    ) -> Result<Option<Change>, AuditError> {
        let kind = fact.event.event_type();
        if !is_change(kind) {
            return Ok(None);
        }
        let now = fields(&fact.event);
        let stream = fact.stream.to_string();
        let before = match self.known.insert((stream.clone(), kind), now.clone()) {
            Some(before) => before,
            None => past
                .newest(fact, |earlier| (earlier.event_type() == kind).then(|| fields(earlier)))?
                .unwrap_or_default(),
        };
        let differs = |(name, now): (String, Value)| {
            let before = before.get(&name).cloned();
            (before.as_ref() != Some(&now)).then_some(FieldChange { name, before, now })
        };
        Ok(Some(Change {
            position: fact.position,
            time: fact.time,
            stream,
            event: kind.name(),
            text: describe(&fact.event, fact.stream),
            fields: now.into_iter().filter_map(differs).collect(),
        }))
    }
}

const fn is_change(kind: EventType) -> bool {
    matches!(
        kind,
        EventType::EngineStarted
            | EventType::EngineStopped
            | EventType::ChainRegistered
            | EventType::PolicyChanged
            | EventType::ContractChanged
            | EventType::ContractObserved
    )
}

/// The fields of an event by name. Where the L1 stood when it was read is no setting.
fn fields(event: &Event) -> Fields {
    let mut fields = Fields::new();
    flatten(String::new(), serde_json::to_value(event).unwrap_or_default(), &mut fields);
    fields.retain(|name, _| !name.starts_with("at."));
    fields
}

fn flatten(name: String, value: Value, fields: &mut Fields) {
    match value {
        Value::Object(inner) => {
            for (key, value) in inner {
                let name = if name.is_empty() { key } else { format!("{name}.{key}") };
                flatten(name, value, fields);
            }
        }
        value => drop(fields.insert(name, value)),
    }
}
