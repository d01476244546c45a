//! State at any position: the newest snapshot at or below it, and a short fold from there.
//!
//! [`state_at`] and [`state_at_head`] read; [`Snapshots`] takes snapshots beside the decision loop. Snapshots are
//! disposable: one that is missing, damaged, or of another fold is passed over with a message, and the state is folded
//! from further back. A snapshot is taken at a batch end, so it is a state that the engine had. What a crash means: a
//! snapshot may be lost; nothing else is kept in here.

mod rebuild;
mod snapshot;
mod verify;
mod writer;

use std::ops::ControlFlow;

use prooflog_events::envelope::{Content, Envelope, EnvelopeError};
use prooflog_events::ids::{Hash32, LogId, Position};
use prooflog_events::port::{Sequence, SequenceError, SequenceRead};
use prooflog_log::{Log, read::Reader};
use prooflog_projections::laws::Broken;
use prooflog_projections::state::Illegal;
use prooflog_projections::{Fact, FactError, State};

pub use rebuild::{Rebuilt, rebuild};
pub use snapshot::{PROJECTION, Taken, decode, encode, keep, key, newest};
pub use verify::{Sound, verify};
pub use writer::{Cadence, EVENTS_MIN, Snapshots};

/// Facts after which the list of what they touched is emptied: nobody asks for it while folding.
const TOUCHED_KEPT: u64 = 4_096;

/// Why a log cannot be folded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// A record cannot be read.
    #[error(transparent)]
    Log(#[from] SequenceError),
    /// A record's bytes are damaged.
    #[error("position {position}: {source}")]
    Envelope {
        /// Where.
        position: Position,
        /// What is wrong.
        source: EnvelopeError,
    },
    /// A record is not one that this release knows.
    #[error(transparent)]
    Fact(#[from] FactError),
    /// An event cannot follow on what was before it.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// An event breaks a law.
    #[error("position {position} on {stream}: {broken}")]
    Law {
        /// Where.
        position: Position,
        /// Its stream.
        stream: String,
        /// The law, and what was seen.
        broken: Broken,
    },
    /// A snapshot is not what the log folds to. It is no part of the log, which may be sound.
    #[error("the snapshot at position {position} has digest {found}, the log folds to {folded}")]
    Snapshot {
        /// Where.
        position: Position,
        /// Digest of what was kept.
        found: Hash32,
        /// Digest of the fold.
        folded: Hash32,
    },
}

/// The fact that stored bytes say, borrowed from them; `None` for what an outside writer stored.
///
/// # Errors
/// When the bytes are damaged or not known to this release.
#[inline]
pub fn fact_of(position: Position, stored: &[u8]) -> Result<Option<Fact<'_>>, ReplayError> {
    let envelope = Envelope::decode(stored).map_err(|source| ReplayError::Envelope { position, source })?;
    Ok(Fact::of(&envelope)?)
}

/// Shows every fact of `from..=to` to `fold`, in order.
///
/// # Errors
/// When a record cannot be read or understood, or `fold` refuses one.
pub fn for_each_fact<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    from: Position,
    to: Position,
    fold: &mut dyn FnMut(&Fact<'_>) -> Result<(), ReplayError>,
) -> Result<(), ReplayError> {
    let mut failed = None;
    reader.for_each_ahead(from, to, &mut |position, stored| {
        let folded = match fact_of(position, stored) {
            Ok(Some(fact)) => fold(&fact),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        match folded {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    failed.map_or(Ok(()), Err)
}

/// Shows what outside writers stored in `from..=to` and tied to something, in order.
///
/// # Errors
/// When a record cannot be read.
pub fn for_each_note<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    from: Position,
    to: Position,
    see: &mut dyn FnMut(&Envelope<'_>),
) -> Result<(), ReplayError> {
    let mut failed = None;
    reader.for_each_ahead(from, to, &mut |position, stored| match Envelope::decode(stored) {
        Ok(envelope) => {
            if envelope.content != Content::Native && !envelope.correlation.is_empty() {
                see(&envelope);
            }
            ControlFlow::Continue(())
        }
        Err(source) => {
            failed = Some(ReplayError::Envelope { position, source });
            ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(()), Err)
}

/// Folds `from..=to` into a state that holds everything before `from`.
///
/// # Errors
/// As [`for_each_fact`].
pub fn fold_on<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    state: &mut State,
    from: Position,
    to: Position,
) -> Result<(), ReplayError> {
    let mut facts = 0_u64;
    for_each_fact(reader, from, to, &mut |fact| {
        facts += 1;
        if facts.is_multiple_of(TOUCHED_KEPT) {
            drop(state.take_touched());
        }
        Ok(state.apply(fact)?)
    })?;
    drop(state.take_touched());
    Ok(())
}

/// The state at `position`, folded from the empty log.
///
/// # Errors
/// As [`for_each_fact`].
pub fn fold_to<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    log: LogId,
    position: Position,
) -> Result<State, ReplayError> {
    let mut state = State::new(log);
    fold_on(reader, &mut state, Position(1), position)?;
    Ok(state)
}

/// The state at `position`, folded from the newest snapshot at or below it.
///
/// # Errors
/// As [`for_each_fact`].
pub fn state_at<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    log: LogId,
    position: Position,
) -> Result<State, ReplayError> {
    match newest(reader, log, position) {
        Some(Taken { mut state, position: from, .. }) => {
            fold_on(reader, &mut state, from.next(), position)?;
            Ok(state)
        }
        None => fold_to(reader, log, position),
    }
}

/// The state at the head of a log that is open for writing.
///
/// # Errors
/// As [`for_each_fact`].
pub fn state_at_head<S: Sequence>(log: &Log<S>) -> Result<State, ReplayError> {
    state_at(&log.reader(), log.id(), log.head().position)
}
