//! State at any position: the newest snapshot at or below it, and a short fold from there.
//!
//! Snapshots are disposable: one that is missing, damaged, or of another fold is ignored, and the state is folded from
//! further back. A snapshot is taken at a batch end, so a state is always one that the engine had. What a crash means:
//! a snapshot may be lost; nothing else is kept in here.

use std::ops::ControlFlow;

use prooflog_events::envelope::{Envelope, EnvelopeError};
use prooflog_events::ids::Position;
use prooflog_events::port::{Sequence, SequenceError, SequenceRead};
use prooflog_log::{Log, read::Reader};
use prooflog_projections::state::Illegal;
use prooflog_projections::{Fact, FactError, State};

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
    reader.for_each(from, to, &mut |position, stored| {
        let folded = Envelope::decode(stored)
            .map_err(|source| ReplayError::Envelope { position, source })
            .and_then(|envelope| Fact::of(&envelope).map_err(ReplayError::from))
            .and_then(|fact| fact.map_or(Ok(()), |fact| fold(&fact)));
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

/// The state at `position`, folded from the empty log.
///
/// # Errors
/// As [`for_each_fact`].
pub fn fold_to<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    log: prooflog_events::ids::LogId,
    position: Position,
) -> Result<State, ReplayError> {
    let mut state = State::new(log);
    for_each_fact(reader, Position(1), position, &mut |fact| Ok(state.apply(fact)?))?;
    Ok(state)
}

/// The state at the head of a log that is open for writing.
///
/// # Errors
/// As [`for_each_fact`].
pub fn state_at_head<S: Sequence>(log: &Log<S>) -> Result<State, ReplayError> {
    fold_to(&log.reader(), log.id(), log.head().position)
}
