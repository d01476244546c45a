//! The log as the rules read it: batches with the input that they were decided on.

use std::ops::ControlFlow;

use prooflog_events::envelope::{Actor, Envelope, record_hash};
use prooflog_events::event::Event;
use prooflog_events::ids::{Hash32, Micros, Position, Revision, StreamId};
use prooflog_events::input::Input;
use prooflog_events::port::Sequence;
use prooflog_log::Log;
use prooflog_projections::Fact;

/// One recorded event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its place in the log.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream.
    pub revision: Revision,
    /// What it belongs to.
    pub correlation: String,
    /// The event.
    pub event: Event,
    /// Hash of the record.
    pub hash: Hash32,
}

/// Events that were decided together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// When.
    pub time: Micros,
    /// On which input.
    pub input: Input,
    /// By an operator's command.
    pub by_operator: bool,
    /// The events.
    pub events: Vec<Recorded>,
}

/// The batches from `first` to `last`, which are a batch's first and a batch's last position.
pub(super) fn batches<S: Sequence>(
    log: &Log<S>,
    first: Position,
    last: Position,
) -> Result<Vec<Batch>, String> {
    let mut batches = Vec::new();
    let mut failure = None;
    let read = log.reader().for_each(first, last, &mut |position, stored| match take(
        &mut batches,
        position,
        stored,
    ) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failure = Some(format!("position {position}: {error}"));
            ControlFlow::Break(())
        }
    });
    read.map_err(|error| error.to_string())?;
    failure.map_or(Ok(batches), Err)
}

fn take(batches: &mut Vec<Batch>, position: Position, stored: &[u8]) -> Result<(), String> {
    let envelope = Envelope::decode(stored).map_err(|error| error.to_string())?;
    let fact = Fact::of(&envelope).map_err(|error| error.to_string())?.ok_or("not an event of the engine")?;
    let recorded = Recorded {
        position,
        stream: fact.stream,
        revision: fact.revision,
        correlation: fact.correlation.to_owned(),
        event: fact.event,
        hash: record_hash(stored),
    };
    if let Some(cause) = envelope.cause {
        let input =
            Input::decode(cause.name, cause.version, cause.bytes).map_err(|error| error.to_string())?;
        let by_operator = matches!(envelope.actor, Actor::Operator(_));
        batches.push(Batch { time: envelope.recorded_at, input, by_operator, events: vec![recorded] });
        return Ok(());
    }
    let batch = batches.last_mut().ok_or("the first event of a batch has no cause")?;
    batch.events.push(recorded);
    Ok(())
}
