//! A batch in the making: each event is applied to the state the moment it is decided.
//!
//! So every rule sees what the rules before it did, and an event that the fold would not take cannot be decided. A
//! batch has room for a fixed number of events; rules ask for room before they begin something that must stay whole,
//! and what does not fit is done by the next input.

use prooflog_events::event::Event;
use prooflog_events::ids::{ChainId, Micros, Position, SignerId, SlotId, StreamId, UnitId};
use prooflog_events::values::{BlobRef, Purpose};
use prooflog_projections::Fact;
use prooflog_projections::state::{Illegal, State};

/// Events that one batch may hold.
pub(crate) const MAX_EVENTS: usize = 512;
/// Bytes that one batch may hold, with room for envelopes; the log's own limit is 1 MiB.
const MAX_BYTES: usize = 768 << 10;
/// What an event without a long text takes, envelope included, generously.
const EVENT_BYTES: usize = 700;
/// Room that is kept for what a single step adds after its first event.
pub(crate) const STEP: usize = 8;

/// An event to append, at the next revision of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its stream.
    pub stream: StreamId,
    /// The revision that it must get.
    pub revision: prooflog_events::ids::Revision,
    /// What it belongs to: the stream of the unit first planned.
    pub correlation: String,
    /// The event.
    pub event: Event,
}

/// What was decided on one input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// Events of one atomic batch; none if the input changed nothing.
    pub events: Vec<NewEvent>,
    /// Bytes that this batch gives up: they are removed from the blob store together with it.
    pub forget: Vec<BlobRef>,
    /// The batch is full and more is left to do: feed `TimerDue` at once.
    pub more: bool,
}

/// A batch in the making.
pub(crate) struct Batch<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) now: Micros,
    decision: Decision,
    bytes: usize,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(state: &'a mut State, now: Micros) -> Self {
        Self { state, now, decision: Decision::default(), bytes: 0 }
    }

    pub(crate) fn finish(self) -> Decision {
        self.decision
    }

    /// Whether another step fits; if not, the next input goes on.
    pub(crate) fn has_room(&mut self) -> bool {
        let room = self.decision.events.len() + STEP <= MAX_EVENTS && self.bytes <= MAX_BYTES;
        self.decision.more |= !room;
        room
    }

    /// Whether so many events fit that must stay together.
    pub(crate) const fn fits(&self, events: usize) -> bool {
        let all = self.decision.events.len().saturating_add(events).saturating_add(STEP);
        all <= MAX_EVENTS && self.bytes.saturating_add(events.saturating_mul(EVENT_BYTES)) <= MAX_BYTES
    }

    pub(crate) fn forget(&mut self, blob: BlobRef) {
        self.decision.forget.push(blob);
    }

    fn emit(&mut self, stream: StreamId, correlation: String, event: Event) -> Result<(), Illegal> {
        let revision = self.state.next_revision(stream);
        let fact = Fact {
            position: Position(0),
            stream,
            revision,
            time: self.now,
            correlation: &correlation,
            event,
        };
        self.state.apply(&fact)?;
        let event = fact.event;
        self.bytes = self.bytes.saturating_add(EVENT_BYTES).saturating_add(text_bytes(&event));
        self.decision.events.push(NewEvent { stream, revision, correlation, event });
        Ok(())
    }

    pub(crate) fn node(&mut self, event: impl Into<Event>) -> Result<(), Illegal> {
        self.emit(StreamId::Node, StreamId::Node.to_string(), event.into())
    }

    pub(crate) fn chain(&mut self, chain: ChainId, event: impl Into<Event>) -> Result<(), Illegal> {
        let stream = StreamId::Chain(chain);
        self.emit(stream, stream.to_string(), event.into())
    }

    pub(crate) fn signer(&mut self, signer: SignerId, event: impl Into<Event>) -> Result<(), Illegal> {
        let stream = StreamId::Signer(signer);
        self.emit(stream, stream.to_string(), event.into())
    }

    /// An event of a unit that exists; it carries the unit's correlation.
    pub(crate) fn unit(&mut self, unit: UnitId, event: impl Into<Event>) -> Result<(), Illegal> {
        let root = self.state.remembered(unit).map_or(unit, |unit| unit.correlation());
        self.emit(StreamId::Unit(unit), root.to_string(), event.into())
    }

    /// The first event of a unit; `root` is the unit first planned.
    pub(crate) fn create(
        &mut self,
        unit: UnitId,
        root: UnitId,
        event: impl Into<Event>,
    ) -> Result<(), Illegal> {
        self.emit(StreamId::Unit(unit), root.to_string(), event.into())
    }

    /// An event of a nonce slot; it carries the correlation of what the slot was first for.
    pub(crate) fn slot(
        &mut self,
        slot: SlotId,
        purpose: Purpose,
        event: impl Into<Event>,
    ) -> Result<(), Illegal> {
        let first = self
            .state
            .slot(slot)
            .and_then(|slot| slot.signed.first())
            .map_or(purpose, |signed| signed.purpose);
        let correlation = match first {
            Purpose::Checkpoint { agg, .. } | Purpose::Submission { agg } => agg.to_string(),
            Purpose::Optimistic { chain, .. } => StreamId::Chain(chain).to_string(),
            Purpose::Release => StreamId::Tx(slot).to_string(),
        };
        self.emit(StreamId::Tx(slot), correlation, event.into())
    }
}

/// Bytes of the long texts in an event.
const fn text_bytes(event: &Event) -> usize {
    match event {
        Event::WitnessGenFailed(e) => e.text.len(),
        Event::Unfulfillable(e) => e.text.len(),
        Event::UnknownStatusRecorded(e) => e.text.len(),
        Event::LateAnswerRecorded(e) => match &e.answer {
            prooflog_events::event::LateAnswer::Failed { text } => text.len(),
            _ => 0,
        },
        Event::Parked(e) => e.text.len(),
        Event::Invalidated(e) => e.detail.len(),
        Event::Cancelled(e) => e.note.len(),
        Event::ProverDegraded(e) => e.text.len(),
        Event::DegradedModeEntered(e) => e.detail.len(),
        Event::SubmissionRefused(e) => e.refusal.text.len(),
        Event::SubmissionReverted(e) => e.refusal.text.len(),
        Event::TxReverted(e) => e.refusal.text.len(),
        Event::TxBroadcast(e) => e.text.len(),
        Event::AggQueued(e) => e.members.len() * 9,
        Event::OutputChecked(e) => e.nodes.len() * 100,
        _ => 0,
    }
}
