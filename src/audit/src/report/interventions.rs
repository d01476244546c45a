//! What people made the engine do. One command is one batch: its events are gathered under it.

use prooflog_events::envelope::{Cause, Envelope};
use prooflog_events::ids::{Micros, Position};
use prooflog_events::input::{Command, Input, OperatorCommanded};
use prooflog_events::phrase::Phrase;
use prooflog_events::port::SequenceRead;
use prooflog_projections::{Fact, describe};
use serde::Serialize;

use super::Past;
use crate::error::AuditError;

/// A command of a person and what it led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Intervention {
    /// The first position of its batch.
    pub position: Position,
    /// When.
    pub time: Micros,
    /// Who.
    pub operator: String,
    /// What; `None` if this release does not know the command.
    pub command: Option<Command>,
    /// Why, in the operator's words.
    pub note: String,
    /// What followed at once.
    pub consequences: Vec<Consequence>,
}

/// An event that a command led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Consequence {
    /// Where.
    pub position: Position,
    /// Its stream.
    pub stream: String,
    /// The event.
    pub event: &'static str,
    /// What it says, in words.
    pub text: String,
}

/// Puts a fact that an operator made to the command that it belongs to.
pub(super) fn add<R: SequenceRead + ?Sized>(
    all: &mut Vec<Intervention>,
    operator: &str,
    envelope: &Envelope<'_>,
    fact: &Fact<'_>,
    past: &Past<'_, '_, R>,
) -> Result<(), AuditError> {
    let consequence = Consequence {
        position: fact.position,
        stream: fact.stream.to_string(),
        event: fact.event.event_type().name(),
        text: describe(&fact.event, fact.stream),
    };
    if let Some(last) = all.last_mut().filter(|last| last.position == envelope.batch_first) {
        last.consequences.push(consequence);
        return Ok(());
    }
    // The command stands with the first event of the batch, which may be before the first position looked at.
    let commanded = if envelope.position == envelope.batch_first {
        envelope.cause.and_then(commanded)
    } else {
        match past.reader.record(envelope.batch_first)? {
            Some(first) => first.envelope()?.cause.and_then(commanded),
            None => None,
        }
    };
    let (command, note) =
        commanded.map_or((None, String::new()), |commanded| (Some(commanded.command), commanded.note));
    all.push(Intervention {
        position: envelope.batch_first,
        time: envelope.recorded_at,
        operator: operator.to_owned(),
        command,
        note,
        consequences: vec![consequence],
    });
    Ok(())
}

fn commanded(cause: Cause<'_>) -> Option<OperatorCommanded> {
    match Input::decode(cause.name, cause.version, cause.bytes) {
        Ok(Input::OperatorCommanded(commanded)) => Some(commanded),
        _ => None,
    }
}

/// A command in words.
pub(super) fn words(command: &Command) -> String {
    match command {
        Command::Pause { chain, control } => format!("pause {} of rollup {chain}", control.phrase()),
        Command::Resume { chain, control } => format!("resume {} of rollup {chain}", control.phrase()),
        Command::Drain { chain } => format!("drain rollup {chain}"),
        Command::Flush { chain, to } => format!("flush rollup {chain} up to block {to}"),
        Command::Retry { unit } => format!("retry {unit}"),
        Command::Park { unit } => format!("park {unit}"),
        Command::Unpark { unit } => format!("unpark {unit}"),
        Command::Cancel { unit } => format!("cancel {unit}"),
    }
}
