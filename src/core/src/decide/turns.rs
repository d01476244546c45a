//! Whose turn it is where more transactions want to leave an account than it has free slots.
//!
//! The simulation that is answered first would always win, which is that of the rollup that comes first in every
//! order. So what has waited longest goes first. Nothing is remembered for it: since when something waits, and when the
//! account was last used, is in the state, so a crash in here changes no turn. Optimistic outputs have no turn: they
//! take a slot where they find one.

use prooflog_events::ids::{L1Number, Micros, UnitId};
use prooflog_events::values::Purpose;
use prooflog_projections::state::State;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::phase::Phase;
use prooflog_projections::state::slot::Signer;
use prooflog_projections::state::unit::Unit;

use super::aggregates::checkpoint_bound;
use super::sending::{is_carried, is_wanted, may_send};
use crate::rules::{SLOT_KEPT_SECS, SLOT_YIELDED_SECS, checkpoint_block};

/// Whether all free slots of the account are kept for others, who have waited longer than `purpose`.
pub(super) fn is_kept_for_others(
    state: &State,
    signer: &Signer,
    purpose: &Purpose,
    free: u64,
    (head, now): (L1Number, Micros),
) -> bool {
    let (Purpose::Checkpoint { agg, .. } | Purpose::Submission { agg }) = *purpose else {
        return false;
    };
    let Some(own) = state.unit(agg).map(waits_since) else {
        return false;
    };
    // The account was last used, or it was last given back, when an aggregate last moved by a transaction.
    let (mut before_us, mut last_used) = (0_u64, own.0);
    for chain in state.chains.values().filter(|chain| chain.signer() == Some(signer.id)) {
        for unit in chain.aggs.values() {
            match unit.phase {
                Phase::Queued | Phase::Complete => {
                    let is_before = unit.id != agg && waits_since(unit) < own;
                    if is_before && can_go(chain, signer, unit, (head, now)) {
                        before_us += 1;
                    }
                }
                Phase::Checkpointing | Phase::Submitting | Phase::Included | Phase::Confirmed => {
                    last_used = last_used.max(unit.since);
                }
                _ => {}
            }
        }
    }
    // On a busy account the first limit alone would never pass, and who never comes would hold the others up for ever.
    before_us >= free && now < last_used.plus_secs(SLOT_KEPT_SECS) && now < own.0.plus_secs(SLOT_YIELDED_SECS)
}

/// Since when a unit could have been sent; no two are alike.
fn waits_since(unit: &Unit) -> (Micros, UnitId) {
    (unit.since.max(unit.not_before), unit.id)
}

/// Whether a unit waits for nothing but a slot.
fn can_go(chain: &Chain, signer: &Signer, unit: &Unit, (head, now): (L1Number, Micros)) -> bool {
    let Some(agg) = unit.agg_body() else {
        return false;
    };
    let purpose = if unit.phase == Phase::Complete {
        Purpose::Submission { agg: unit.id }
    } else {
        let Some(block) = checkpoint_block(checkpoint_bound(chain, agg), head) else {
            return false;
        };
        Purpose::Checkpoint { agg: unit.id, block }
    };
    may_send(chain) && is_wanted(chain, &purpose, now) && !is_carried(signer, &purpose)
}
