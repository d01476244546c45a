//! The fee ceiling: what the policy does not let us pay is not sent, and that it is not is on record.
//!
//! It is recorded once for each thing that waits (an aggregate, a version of a transaction, a block without a proof), and
//! not with every look at the L1. What went on is told by what follows: a reservation, a replacement, an inclusion.

use prooflog_events::event::{EventType, FeeCeilingReached};
use prooflog_events::ids::SlotId;
use prooflog_events::values::{L1Head, Purpose};
use prooflog_projections::state::phase::next_slot_phase;
use prooflog_projections::state::{Illegal, transition};

use crate::batch::Batch;
use crate::rules::TooDear;

const fn reached(purpose: Purpose, at: &L1Head, dear: TooDear) -> FeeCeilingReached {
    let TooDear { needed, allowed } = dear;
    FeeCeilingReached { purpose, at: at.block, base_fee: at.base_fee, tip: at.tip, needed, allowed }
}

/// A purpose gets no nonce, because its first version would cost too much.
pub(super) fn not_sent(
    batch: &mut Batch<'_>,
    purpose: Purpose,
    at: &L1Head,
    dear: TooDear,
) -> Result<(), Illegal> {
    match purpose {
        Purpose::Checkpoint { agg, .. } | Purpose::Submission { agg } => {
            let is_new = batch.state.unit(agg).is_some_and(|unit| {
                let takes_it = transition(unit.shape(), unit.phase, EventType::FeeCeilingReached).is_some();
                takes_it && unit.agg_body().is_some_and(|body| !body.capped)
            });
            if is_new { batch.unit(agg, reached(purpose, at, dear)) } else { Ok(()) }
        }
        Purpose::Optimistic { chain, block, .. } => {
            let is_new = batch.state.chains.get(&chain).is_some_and(|chain| chain.hold.capped != Some(block));
            if is_new { batch.chain(chain, reached(purpose, at, dear)) } else { Ok(()) }
        }
        Purpose::Release => Ok(()),
    }
}

/// A transaction keeps the fees that it has, or waits behind a nonce that nobody uses up.
pub(super) fn not_raised(
    batch: &mut Batch<'_>,
    id: SlotId,
    (purpose, at): (Purpose, &L1Head),
    dear: TooDear,
) -> Result<(), Illegal> {
    let Some(slot) = batch.state.slot(id) else {
        return Ok(());
    };
    let takes_it = next_slot_phase(slot.shape(), slot.phase, EventType::FeeCeilingReached).is_some();
    if slot.capped || !takes_it {
        return Ok(());
    }
    let correlated = slot.purpose;
    batch.slot(id, correlated, reached(purpose, at, dear))
}
