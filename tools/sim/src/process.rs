//! The process under test: the ring that production runs, or a copy of it that a [`Sabotage`] can reach into.
//!
//! The copy is the same few lines over the same `decide`, `Outbox` and `Log`; it exists so that deliberate bugs can be
//! put between them without a hook in production code, and it appends on its own thread, which is faster.

use prooflog_core::{DecideError, Decision, Effect, EffectKey, NewEvent, Outbox, Outcome, Pacing, decide};
use prooflog_engine::{Origin, Ring, RingError};
use prooflog_events::event::EngineStarted;
use prooflog_events::ids::{Micros, Position, Revision, StreamId};
use prooflog_events::input::{EngineOpened, Input, TimerDue};
use prooflog_events::port::Sequence;
use prooflog_log::{Append, CauseInput, Expected, Log, NewRecord};
use prooflog_projections::{Fact, State};

use crate::sabotage::Sabotage;

/// What an input led to.
#[derive(Debug, Default)]
pub struct Fed {
    /// Number of the batch.
    pub batch: u64,
    /// The events.
    pub events: Vec<NewEvent>,
    /// Where the batch ends in the log; `None` without events.
    pub last: Option<Position>,
    /// Feed `TimerDue` at once.
    pub more: bool,
}

/// Why an input led to nothing.
#[derive(Debug)]
pub enum FeedError {
    /// It asks for what cannot be done.
    Refused,
    /// A rule decided an illegal event, or the log does not fold.
    Bug(String),
    /// The log did not take the batch: the process ends.
    Append(String),
}

/// A running process.
pub enum Process<S: Sequence> {
    /// Production's ring.
    Real(Ring<S>),
    /// Its copy.
    Copy(CopiedRing<S>),
}

/// The copy of production's ring.
pub struct CopiedRing<S: Sequence> {
    log: Log<S>,
    state: State,
    outbox: Outbox,
    batches: u64,
    sabotage: Sabotage,
}

/// How a process is opened.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The pace of standing questions.
    pub pacing: Pacing,
    /// When.
    pub now: Micros,
    /// What is recorded first.
    pub started: EngineStarted,
    /// Production's ring or its copy.
    pub real: bool,
    /// The bug that it has.
    pub sabotage: Sabotage,
    /// Snapshot to begin the fold from, instead of the empty log.
    pub snapshot: Option<(Position, Vec<u8>)>,
}

impl<S: Sequence> Process<S> {
    /// Folds the log and records the start.
    ///
    /// # Errors
    /// As [`Process::feed`].
    pub fn open(log: Log<S>, opening: Opening) -> Result<(Self, Fed), FeedError> {
        if opening.real {
            let (ring, fed) =
                Ring::open(log, opening.pacing, opening.now, opening.started).map_err(failed)?;
            let fed = settle(&ring, fed)?;
            return Ok((Self::Real(ring), fed));
        }
        let state = fold(&log, opening.snapshot).map_err(FeedError::Bug)?;
        let mut ring = CopiedRing {
            log,
            state,
            outbox: Outbox::new(opening.pacing),
            batches: 0,
            sabotage: opening.sabotage,
        };
        ring.outbox.fill(&mut ring.state, opening.now);
        let opened = Input::EngineOpened(EngineOpened { started: opening.started });
        let fed = ring.feed(opening.now, &opened, Origin::default())?;
        Ok((Self::Copy(ring), fed))
    }

    /// Decides on an input; the batch is written when this returns, though nobody may have heard of it yet.
    ///
    /// # Errors
    /// Why it led to nothing.
    pub fn feed(&mut self, now: Micros, input: &Input, origin: Origin) -> Result<Fed, FeedError> {
        match self {
            Self::Real(ring) => {
                let fed = ring.feed(now, input, origin).map_err(failed)?;
                settle(ring, fed)
            }
            Self::Copy(ring) => ring.feed(now, input, origin),
        }
    }

    /// The running state.
    #[must_use]
    pub const fn state(&self) -> &State {
        match self {
            Self::Real(ring) => ring.state(),
            Self::Copy(ring) => &ring.state,
        }
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &Log<S> {
        match self {
            Self::Real(ring) => ring.log(),
            Self::Copy(ring) => &ring.log,
        }
    }

    /// Ends the process and gives its log back.
    #[must_use]
    pub fn into_log(self) -> Option<Log<S>> {
        match self {
            Self::Real(ring) => ring.into_log(),
            Self::Copy(ring) => Some(ring.log),
        }
    }

    /// A batch is heard to be durable.
    pub fn durable(&mut self, batch: u64) {
        match self {
            Self::Real(ring) => ring.durable(batch),
            Self::Copy(ring) => ring.outbox.durable(batch),
        }
    }

    /// Effects to run now.
    pub fn effects(&mut self, now: Micros) -> Vec<Effect> {
        match self {
            Self::Real(ring) => ring.effects(now),
            Self::Copy(ring) => {
                let ready = ring.outbox.ready(now);
                ring.sabotage.effects(&ring.state, ready)
            }
        }
    }

    /// A call ended.
    pub fn done(&mut self, key: &EffectKey, now: Micros, outcome: Outcome) {
        match self {
            Self::Real(ring) => ring.done(key, now, outcome),
            Self::Copy(ring) => ring.outbox.done(key, now, outcome),
        }
    }

    /// What must be fed because moments have come.
    pub fn timer_due(&mut self, now: Micros) -> Option<TimerDue> {
        match self {
            Self::Real(ring) => ring.timer_due(now),
            Self::Copy(ring) if ring.sabotage.is_always_due() => Some(TimerDue::of_all()),
            Self::Copy(ring) => ring.outbox.timer_due(&ring.state, now),
        }
    }

    /// When to look again.
    #[must_use]
    pub fn next_wake(&self) -> Option<Micros> {
        match self {
            Self::Real(ring) => ring.next_wake(),
            Self::Copy(ring) => ring.outbox.next_wake(),
        }
    }

    /// Effects owed now, under way or not.
    pub fn owed(&self) -> Vec<Effect> {
        match self {
            Self::Real(ring) => ring.owed().cloned().collect(),
            Self::Copy(ring) => ring.outbox.owed().cloned().collect(),
        }
    }
}

/// The state of a log, from a snapshot or from nothing.
///
/// # Errors
/// What does not read or fold, in words.
pub fn fold<S: Sequence>(log: &Log<S>, snapshot: Option<(Position, Vec<u8>)>) -> Result<State, String> {
    let (at, mut state) = match snapshot {
        Some((at, bytes)) => (at, State::from_bytes(&bytes).map_err(|error| error.to_string())?),
        None => (Position::ZERO, State::new(log.id())),
    };
    let reader = log.reader();
    prooflog_replay::for_each_fact(&reader, at.next(), log.head().position, &mut |fact| {
        Ok(state.apply(fact)?)
    })
    .map_err(|error| error.to_string())?;
    Ok(state)
}

fn failed(error: RingError) -> FeedError {
    match error {
        RingError::Refused(_) => FeedError::Refused,
        RingError::Append(error) => FeedError::Append(error.to_string()),
        other => FeedError::Bug(other.to_string()),
    }
}

fn settle<S: Sequence>(ring: &Ring<S>, fed: prooflog_engine::Fed) -> Result<Fed, FeedError> {
    let last = match fed.ticket {
        Some(ticket) => Some(ticket.wait().map_err(|error| FeedError::Append(error.to_string()))?.last),
        None => None,
    };
    let _ = ring;
    Ok(Fed { batch: fed.batch, events: fed.events, last, more: fed.more })
}

impl<S: Sequence> CopiedRing<S> {
    fn feed(&mut self, now: Micros, input: &Input, origin: Origin) -> Result<Fed, FeedError> {
        let decision = self.decide(now, input)?;
        let mut last = None;
        if !decision.events.is_empty() {
            self.batches += 1;
            let mut append = self.append(input, &decision.events, origin);
            append.forget = decision.forget.iter().map(|blob| blob.sha256).collect();
            last = Some(self.log.append(append).map_err(|error| FeedError::Append(error.to_string()))?.last);
        }
        self.outbox.written(self.batches);
        if !self.sabotage.waits_for_log() {
            self.outbox.durable(self.batches);
        }
        let now = now.max(self.state.time);
        self.outbox.refresh(&mut self.state, now);
        Ok(Fed { batch: self.batches, events: decision.events, last, more: decision.more })
    }

    fn decide(&mut self, now: Micros, input: &Input) -> Result<Decision, FeedError> {
        let wrong = |error| match error {
            DecideError::Refused(_) => FeedError::Refused,
            DecideError::Bug(illegal) => FeedError::Bug(illegal.to_string()),
        };
        if self.sabotage == Sabotage::None {
            return decide(&mut self.state, now, input).map_err(wrong);
        }
        let before = self.state.clone();
        let mut mistaken = before.clone();
        let input = self.sabotage.input(&before, input.clone());
        self.sabotage.state(&mut mistaken, &input);
        let mut decision = decide(&mut mistaken, now, &input).map_err(wrong)?;
        decision.events = self.sabotage.events(&before, now.max(before.time), decision.events);
        self.state = before;
        let time = now.max(self.state.time);
        for event in &mut decision.events {
            event.revision = self.state.next_revision(event.stream);
            let fact = Fact {
                position: Position(0),
                stream: event.stream,
                revision: event.revision,
                time,
                correlation: &event.correlation,
                event: event.event.clone(),
            };
            self.state.apply(&fact).map_err(|illegal| FeedError::Bug(illegal.to_string()))?;
        }
        if !decision.events.is_empty() {
            self.sabotage.drift(&mut self.state);
        }
        Ok(decision)
    }

    fn append(&self, input: &Input, events: &[NewEvent], origin: Origin) -> Append {
        let by = origin.by;
        let mut records = Vec::with_capacity(events.len());
        let mut expectations: Vec<(StreamId, Expected)> = Vec::new();
        for event in events {
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
            records.push(record);
        }
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
}
