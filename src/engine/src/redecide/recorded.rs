//! The record as it was decided: batch by batch, each with its input.
//!
//! What outside writers stored has no decision and is passed over. What a crash in here means: nothing was changed.

use std::ops::ControlFlow;

use prooflog_core::NewEvent;
use prooflog_events::envelope::Envelope;
use prooflog_events::event::{EngineStarted, Event};
use prooflog_events::ids::{Micros, Position, Revision, StreamId};
use prooflog_events::input::{Input, RowsImported};
use prooflog_events::port::{Direction, SequenceRead};
use prooflog_log::read::Reader;
use prooflog_projections::state::Illegal;
use prooflog_projections::{Fact, State};
use prooflog_replay::{ReplayError, fact_of};

use super::RedecideError;

/// Events of the engine's own stream that are read at once, looking for its last start.
const STARTS_PAGE: usize = 64;

/// Which program wrote a stretch of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Writer {
    /// Its release; empty where the log does not say.
    pub release: String,
    /// Version of its rules.
    pub behaviour: u32,
}

impl Writer {
    /// The program that a start tells of.
    #[must_use]
    pub fn of(started: &EngineStarted) -> Self {
        Self { release: started.release.clone(), behaviour: started.behaviour }
    }

    /// The program that decides on an input: another one, where that is a start.
    pub(super) fn meets(&mut self, input: &Input) {
        match input {
            Input::EngineOpened(opened) => *self = Self::of(&opened.started),
            Input::RowsImported(RowsImported { started: Some(started), .. }) => *self = Self::of(started),
            _ => {}
        }
    }
}

/// One batch: what it was decided on, and what was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedBatch {
    /// Position of its first event.
    pub first: Position,
    /// When it was recorded; the decision's moment.
    pub time: Micros,
    /// Who gave the input.
    pub actor: String,
    /// The input; an importer's batches have none.
    pub input: Option<Input>,
    /// What was decided, in order.
    pub events: Vec<NewEvent>,
}

impl RecordedBatch {
    /// Position of its last event.
    #[must_use]
    pub const fn last(&self) -> Position {
        let more = (self.events.len() as u64).saturating_sub(1);
        Position(self.first.0.saturating_add(more))
    }

    /// Takes what was recorded into a state that holds everything before.
    ///
    /// # Errors
    /// When an event cannot follow.
    pub fn fold(&self, state: &mut State) -> Result<(), Illegal> {
        (self.first.0..).map(Position).zip(&self.events).try_for_each(|(position, recorded)| {
            state.apply(&fact(position, self.time, recorded, recorded.event.clone()))
        })
    }
}

/// A recorded event as a fold takes it, with `event` in its place.
pub(super) fn fact(position: Position, time: Micros, recorded: &NewEvent, event: Event) -> Fact<'_> {
    let NewEvent { stream, revision, correlation, .. } = recorded;
    Fact { position, stream: *stream, revision: *revision, time, correlation, event }
}

/// Shows every batch of `from..=to`, in order. Both must be where batches begin and end.
///
/// # Errors
/// When a record or its input cannot be read or understood, or `visit` fails.
pub fn for_each_batch<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    from: Position,
    to: Position,
    visit: &mut dyn FnMut(RecordedBatch) -> Result<ControlFlow<()>, RedecideError>,
) -> Result<(), RedecideError> {
    let mut open: Option<RecordedBatch> = None;
    let mut failed = None;
    reader.for_each_ahead(from, to, &mut |position, stored| {
        let done = take(&mut open, position, stored).and_then(|complete| match complete {
            Some(batch) => visit(batch),
            None => Ok(ControlFlow::Continue(())),
        });
        done.unwrap_or_else(|error| {
            failed = Some(error);
            ControlFlow::Break(())
        })
    })?;
    failed.map_or(Ok(()), Err)
}

/// Takes one record; the batch, if that was its last.
fn take(
    open: &mut Option<RecordedBatch>,
    position: Position,
    stored: &[u8],
) -> Result<Option<RecordedBatch>, RedecideError> {
    let envelope = Envelope::decode(stored).map_err(|source| ReplayError::Envelope { position, source })?;
    let Some(fact) = Fact::of(&envelope).map_err(ReplayError::from)? else { return Ok(None) };
    let Fact { stream, revision, correlation, event, .. } = fact;
    let recorded = NewEvent { stream, revision, correlation: correlation.to_owned(), event };
    match open {
        Some(batch) => batch.events.push(recorded),
        None => {
            let input = envelope.cause.map(|cause| Input::decode(cause.name, cause.version, cause.bytes));
            let input = input.transpose().map_err(|source| RedecideError::Input { position, source })?;
            let mut events = Vec::with_capacity(envelope.batch_len.min(1_024) as usize);
            events.push(recorded);
            let (time, actor) = (envelope.recorded_at, envelope.actor.to_string());
            *open = Some(RecordedBatch { first: position, time, actor, input, events });
        }
    }
    Ok(if envelope.batch_last() == position { open.take() } else { None })
}

/// The program that wrote what stands right after `state`, and nothing is known of it before the first start.
///
/// # Errors
/// When the engine's own stream cannot be read.
pub fn written_by<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    state: &State,
) -> Result<Writer, RedecideError> {
    let stream = StreamId::Node.to_string();
    let mut next = state.node_events.checked_sub(1).map(Revision);
    while let Some(from) = next {
        let page = reader.stream(&stream, from, Direction::Backward, STARTS_PAGE)?;
        for record in &page.records {
            let fact = fact_of(record.position(), record.stored())?;
            if let Some(Fact { event: Event::EngineStarted(started), .. }) = fact {
                return Ok(Writer::of(&started));
            }
        }
        next = page.next;
    }
    Ok(Writer::default())
}
