//! The ring itself: decide, append, and only then act.
//!
//! `feed` never waits for the disk: it hands the batch over and goes on. The caller tells when a batch is durable, and
//! effects that rest on it come out after that. Any error but a refusal means that memory may be ahead of the log: the
//! ring must be opened again.

use std::sync::Arc;

use prooflog_core::{DecideError, Effect, EffectKey, NewEvent, Outbox, Outcome, Pacing, Refused, decide};
use prooflog_events::envelope::native_event_id;
use prooflog_events::event::EngineStarted;
use prooflog_events::ids::{EventId, Hash32, Micros, Revision, StreamId};
use prooflog_events::input::{EngineOpened, Input, TimerDue};
use prooflog_events::port::{Blob, Sequence};
use prooflog_events::values::Purpose;
use prooflog_log::{Append, AppendError, By, CauseInput, CausedBy, Expected, Log, NewRecord, Ticket};
use prooflog_projections::State;
use prooflog_projections::state::Illegal;

/// Why the ring cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The input asks for what cannot be done; everything is as before.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A rule decided what the fold does not take: a bug. The ring must be opened again.
    #[error("a rule decided an illegal event: {0}")]
    Bug(Illegal),
    /// The log does not take the batch. The ring must be opened again.
    #[error("the log does not take a batch: {0}")]
    Append(#[from] AppendError),
    /// The log cannot be folded.
    #[error("the log cannot be read: {0}")]
    Replay(#[from] prooflog_replay::ReplayError),
}

/// Where an input came from; it goes into the envelopes of what it leads to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// Who: the scheduler for what the engine saw by itself.
    pub by: By,
    /// The event whose effect brought the input.
    pub caused_by: Option<CausedBy>,
    /// Blobs that came with the input and are small enough to go with the batch.
    pub blobs: Vec<Blob>,
    /// Blobs that were stored before, which the batch may name.
    pub stored: Vec<Hash32>,
}

/// What an input led to.
#[derive(Debug)]
pub struct Fed {
    /// Number of the batch; that of the last one if there were no events.
    pub batch: u64,
    /// The events, none if nothing changed.
    pub events: Vec<NewEvent>,
    /// Answers when the batch is durable; `None` without events.
    pub ticket: Option<Ticket>,
    /// More is left to do than fitted: feed `TimerDue` at once.
    pub more: bool,
}

/// One decision order over one log.
pub struct Ring<S: Sequence> {
    log: Arc<Log<S>>,
    state: State,
    outbox: Outbox,
    batches: u64,
}

impl<S: Sequence> Ring<S> {
    /// Folds the log and records that an engine has it now. The first batch is under way when this returns.
    ///
    /// # Errors
    /// When the log cannot be folded or does not take the first batch.
    pub fn open(
        log: impl Into<Arc<Log<S>>>,
        pacing: Pacing,
        now: Micros,
        started: EngineStarted,
    ) -> Result<(Self, Fed), RingError> {
        let opened = Input::EngineOpened(EngineOpened { started });
        Self::open_with(log, pacing, now, &opened, Origin::default())
    }

    /// As [`Ring::open`], for who is no engine: `first` must record who has the log now.
    ///
    /// # Errors
    /// As [`Ring::open`].
    pub fn open_with(
        log: impl Into<Arc<Log<S>>>,
        pacing: Pacing,
        now: Micros,
        first: &Input,
        origin: Origin,
    ) -> Result<(Self, Fed), RingError> {
        let log = log.into();
        let state = prooflog_replay::state_at_head(&log)?;
        let mut ring = Self { log, state, outbox: Outbox::new(pacing), batches: 0 };
        ring.outbox.fill(&mut ring.state, now);
        let fed = ring.feed(now, first, origin)?;
        Ok((ring, fed))
    }

    /// The log, for those who read it or store blobs and snapshots beside the loop.
    pub const fn log(&self) -> &Arc<Log<S>> {
        &self.log
    }

    /// The state after everything decided so far, durable or not.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Decides on an input and hands what follows to the log.
    ///
    /// # Errors
    /// [`RingError::Refused`] leaves everything as it was; after any other error the ring must be opened again.
    pub fn feed(&mut self, now: Micros, input: &Input, origin: Origin) -> Result<Fed, RingError> {
        let decision = decide(&mut self.state, now, input).map_err(|error| match error {
            DecideError::Refused(refused) => RingError::Refused(refused),
            DecideError::Bug(illegal) => RingError::Bug(illegal),
        })?;
        let more = decision.more;
        let ticket = if decision.events.is_empty() {
            None
        } else {
            self.batches += 1;
            let mut append = self.append(input, &decision.events, origin);
            append.forget = decision.forget.iter().map(|blob| blob.sha256).collect();
            Some(self.log.submit(append)?)
        };
        self.outbox.written(self.batches);
        let now = now.max(self.state.time);
        self.outbox.refresh(&mut self.state, now);
        Ok(Fed { batch: self.batches, events: decision.events, ticket, more })
    }

    fn append(&self, input: &Input, events: &[NewEvent], origin: Origin) -> Append {
        let by = origin.by;
        let mut records = Vec::with_capacity(events.len());
        let mut expectations: Vec<(StreamId, Expected)> = Vec::new();
        let first = events.first().map(|event| caused_by(self.log.id(), event));
        for (index, event) in events.iter().enumerate() {
            if !expectations.iter().any(|(stream, _)| *stream == event.stream) {
                let expected = match event.revision {
                    Revision(0) => Expected::NoStream,
                    Revision(next) => Expected::Exact(Revision(next - 1)),
                };
                expectations.push((event.stream, expected));
            }
            let kind = event.event.event_type();
            let mut record = NewRecord::native(
                event.stream.to_string(),
                kind.name(),
                kind.version(),
                event.event.encode(),
            );
            record.correlation.clone_from(&event.correlation);
            record.causation = if index == 0 { origin.caused_by.clone() } else { first.clone() };
            records.push(record);
        }
        // Recorded time is the state's time: the moment that the decision was made at.
        let mut append = Append::new(by, self.state.time, records);
        for (stream, expected) in expectations {
            append = append.expect(stream.to_string(), expected);
        }
        append.blobs = origin.blobs;
        append.named = origin.stored;
        append.because(CauseInput {
            name: input.name().to_owned(),
            version: input.version(),
            bytes: input.encode(),
        })
    }

    /// The batch of this number, and all before it, are durable: effects that follow from them may go out.
    pub fn durable(&mut self, batch: u64) {
        self.outbox.durable(batch);
    }

    /// Effects to run now.
    pub fn effects(&mut self, now: Micros) -> Vec<Effect> {
        self.outbox.ready(now)
    }

    /// A call ended.
    pub fn done(&mut self, key: &EffectKey, now: Micros, outcome: Outcome) {
        self.outbox.done(key, now, outcome);
    }

    /// The newest event of what the effect is about: the one that its answer goes back to. `None` for standing
    /// questions, whose answers come from outside.
    #[must_use]
    pub fn cause_of(&self, effect: &Effect) -> Option<CausedBy> {
        let stream = match effect {
            Effect::RequestProof(request) => StreamId::Unit(request.unit),
            Effect::PollProof { unit, .. } => StreamId::Unit(*unit),
            Effect::QuoteTx { purpose, .. } => match purpose {
                Purpose::Checkpoint { agg, .. } | Purpose::Submission { agg } => StreamId::Unit(*agg),
                Purpose::Optimistic { chain, .. } => StreamId::Chain(*chain),
                Purpose::Release => return None,
            },
            Effect::SignTx { slot, .. } | Effect::BroadcastTx { slot, .. } => StreamId::Tx(*slot),
            Effect::ReadNode { .. }
            | Effect::ReadBlocks { .. }
            | Effect::ReadOutput { .. }
            | Effect::ReadContract { .. }
            | Effect::ReadSigner { .. }
            | Effect::ValidateServer { .. } => return None,
        };
        let revision = Revision(self.state.next_revision(stream).0.checked_sub(1)?);
        let stream = stream.to_string();
        let event_id = native_event_id(self.log.id(), &stream, revision);
        Some(CausedBy { event_id, stream, revision })
    }

    /// What must be fed because moments have come that matter.
    pub fn timer_due(&mut self, now: Micros) -> Option<TimerDue> {
        self.outbox.timer_due(&self.state, now)
    }

    /// When to look again, if nothing happens before.
    #[must_use]
    pub fn next_wake(&self) -> Option<Micros> {
        self.outbox.next_wake()
    }

    /// Effects owed now, under way or not.
    pub fn owed(&self) -> impl Iterator<Item = &Effect> + '_ {
        self.outbox.owed()
    }

    /// Ends the ring and gives the log back; `None` while somebody else holds it.
    #[must_use]
    pub fn into_log(self) -> Option<Log<S>> {
        Arc::into_inner(self.log)
    }
}

/// How later events name an event of this log.
fn caused_by(log: prooflog_events::ids::LogId, event: &NewEvent) -> CausedBy {
    let stream = event.stream.to_string();
    let event_id: EventId = native_event_id(log, &stream, event.revision);
    CausedBy { event_id, stream, revision: event.revision }
}
