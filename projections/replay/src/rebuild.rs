//! Snapshots thrown away and made again from the log, at the ends of batches, as often as the engine would.

use std::ops::ControlFlow;

use prooflog_events::envelope::Envelope;
use prooflog_events::ids::Position;
use prooflog_events::port::Sequence;
use prooflog_log::Log;
use prooflog_projections::{Fact, State};

use crate::{Cadence, PROJECTION, ReplayError, TOUCHED_KEPT, keep};

/// What was made.
#[derive(Debug, Clone)]
pub struct Rebuilt {
    /// The state at the head.
    pub state: State,
    /// How many snapshots there are now.
    pub snapshots: u64,
}

/// Removes all snapshots, of every release, and makes them anew. `progress` is told a position now and then.
///
/// # Errors
/// When a record cannot be read, understood or folded, or a snapshot cannot be stored. Snapshots stored before stay.
pub fn rebuild<S: Sequence>(
    log: &Log<S>,
    progress: &mut dyn FnMut(Position),
) -> Result<Rebuilt, ReplayError> {
    log.sequence().delete_snapshots(PROJECTION, None)?;
    let (reader, head) = (log.reader(), log.head().position);
    let mut rebuilt = Rebuilt { state: State::new(log.id()), snapshots: 0 };
    let mut cadence = Cadence::default();
    let mut failed = None;
    reader.for_each_ahead(Position(1), head, &mut |position, stored| {
        let taken = take(&mut rebuilt.state, position, stored).and_then(|is_batch_end| {
            if position.0.is_multiple_of(TOUCHED_KEPT) {
                drop(rebuilt.state.take_touched());
                progress(position);
            }
            if is_batch_end && cadence.is_due(position) {
                drop(rebuilt.state.take_touched());
                cadence.taken(position, keep(log, position, &rebuilt.state)?);
                rebuilt.snapshots += 1;
            }
            Ok(())
        });
        match taken {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    drop(rebuilt.state.take_touched());
    failed.map_or(Ok(rebuilt), Err)
}

/// Folds one record; `true` where a batch ends.
fn take(state: &mut State, position: Position, stored: &[u8]) -> Result<bool, ReplayError> {
    let envelope = Envelope::decode(stored).map_err(|source| ReplayError::Envelope { position, source })?;
    if let Some(fact) = Fact::of(&envelope)? {
        state.apply(&fact)?;
    }
    Ok(envelope.batch_last() == position)
}
