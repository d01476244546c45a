//! Whether a log means something: every event may follow, breaks no law, and what was kept beside the log equals it.
//!
//! The bytes are for `prooflog_log::verify`; this looks at what they say.

use prooflog_events::ids::{LogId, Position};
use prooflog_events::port::SequenceRead;
use prooflog_log::read::Reader;
use prooflog_projections::{State, laws};

use crate::{ReplayError, TOUCHED_KEPT, decode, for_each_fact, key};

/// What a log means, once it is known to be sound.
#[derive(Debug, Clone)]
pub struct Sound {
    /// The state at the end.
    pub state: State,
    /// Snapshots that equal what the log folds to.
    pub snapshots: usize,
}

/// Folds up to `to` from the empty log and looks at every event; compares every snapshot on the way. `progress` is told
/// a position now and then.
///
/// # Errors
/// The first event that may not follow or breaks a law, or the first snapshot that is not what the log folds to.
pub fn verify<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    log: LogId,
    to: Position,
    progress: &mut dyn FnMut(Position),
) -> Result<Sound, ReplayError> {
    let mut kept = snapshots(reader, to)?;
    let snapshots = kept.len();
    let mut state = State::new(log);
    for_each_fact(reader, Position(1), to, &mut |fact| {
        // A snapshot is of a batch's end: it is compared before the next event comes in.
        compare(reader, &mut kept, &state, fact.position)?;
        laws::check(&state, fact).map_err(|broken| ReplayError::Law {
            position: fact.position,
            stream: fact.stream.to_string(),
            broken,
        })?;
        state.apply(fact)?;
        if fact.position.0.is_multiple_of(TOUCHED_KEPT) {
            drop(state.take_touched());
            progress(fact.position);
        }
        Ok(())
    })?;
    compare(reader, &mut kept, &state, to.next())?;
    drop(state.take_touched());
    Ok(Sound { state, snapshots })
}

/// Where snapshots were taken, at or below `to`; the oldest stands last.
fn snapshots<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    to: Position,
) -> Result<Vec<Position>, ReplayError> {
    let mut found = Vec::new();
    let mut bound = Some(to);
    while let Some(below) = bound
        && let Some(snapshot) = reader.snapshot(&key(), below)?
    {
        found.push(snapshot.position);
        bound = snapshot.position.0.checked_sub(1).map(Position);
    }
    Ok(found)
}

/// Compares the snapshots of a moment before `next` that were not looked at yet: `state` is that moment's.
fn compare<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    kept: &mut Vec<Position>,
    state: &State,
    next: Position,
) -> Result<(), ReplayError> {
    while let Some(position) = kept.pop_if(|position| *position < next) {
        let Some(snapshot) = reader.snapshot(&key(), position)?.filter(|found| found.position == position)
        else {
            continue;
        };
        // One that cannot be read is passed over by whoever needs it, as if it were not there.
        let Ok(found) = decode(&snapshot.bytes) else { continue };
        let (found, folded) = (found.digest(), state.digest());
        if found != folded {
            return Err(ReplayError::Snapshot { position, found, folded });
        }
    }
    Ok(())
}
