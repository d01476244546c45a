//! Which rollup a nonce slot works for, and since when: what the events of a slot leave out.
//!
//! Filled by the events that reserve and replace, emptied when a slot closes, and filled from the state after a start.

use std::collections::BTreeMap;

use prooflog_events::event::Event;
use prooflog_events::ids::{ChainId, Micros, SlotId, TxVersion};
use prooflog_events::values::{BroadcastOutcome, Purpose};
use prooflog_projections::State;

/// What is remembered of an open slot.
#[derive(Debug, Clone, Default)]
pub(crate) struct SlotSeen {
    /// The rollup it was reserved for.
    pub(crate) chain: Option<ChainId>,
    /// When it was reserved, as far as this process knows.
    pub(crate) since: Option<Micros>,
    /// When an endpoint first took it.
    pub(crate) sent: Option<Micros>,
    /// The version that is in a block reverted.
    pub(crate) reverted: bool,
    purposes: BTreeMap<TxVersion, Purpose>,
}

impl SlotSeen {
    /// What a version is for.
    pub(crate) fn purpose(&self, version: TxVersion) -> Option<Purpose> {
        self.purposes.get(&version).copied()
    }

    fn carry(&mut self, version: TxVersion, purpose: Purpose) {
        self.chain = self.chain.or_else(|| chain_of(&purpose));
        self.purposes.insert(version, purpose);
    }
}

/// The open slots.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slots(BTreeMap<SlotId, SlotSeen>);

impl Slots {
    /// The slots that are open in `state`.
    pub(crate) fn of(state: &State) -> Self {
        let mut slots = Self::default();
        for slot in state.signers.values().flat_map(|signer| signer.slots.values()) {
            let seen = slots.0.entry(slot.id).or_default();
            for signed in &slot.signed {
                seen.carry(signed.version, signed.purpose);
            }
            seen.carry(slot.version, slot.purpose);
            seen.since = Some(slot.since);
        }
        slots
    }

    pub(crate) fn get(&self, slot: SlotId) -> Option<&SlotSeen> {
        self.0.get(&slot)
    }

    /// Takes one event in, and tells what was known of the slot then, its last event included.
    pub(crate) fn apply(&mut self, slot: SlotId, event: &Event, time: Micros) -> SlotSeen {
        let seen = self.0.entry(slot).or_default();
        match event {
            Event::TxReserved(e) => {
                *seen = SlotSeen { since: Some(time), ..SlotSeen::default() };
                seen.carry(TxVersion(1), e.purpose);
            }
            Event::TxPrepared(e) => seen.carry(e.version, e.purpose),
            Event::TxReplaced(e) => seen.carry(e.version, e.purpose),
            Event::TxBroadcast(e) if e.outcome == BroadcastOutcome::Accepted => {
                seen.sent = seen.sent.or(Some(time));
            }
            Event::TxIncluded(_) => seen.reverted = false,
            Event::TxReverted(_) => seen.reverted = true,
            Event::TxConfirmed(_) | Event::TxAbandoned(_) => return self.0.remove(&slot).unwrap_or_default(),
            _ => {}
        }
        seen.clone()
    }
}

/// The rollup that a purpose belongs to.
pub(crate) const fn chain_of(purpose: &Purpose) -> Option<ChainId> {
    match purpose {
        Purpose::Checkpoint { agg, .. } | Purpose::Submission { agg } => Some(agg.chain),
        Purpose::Optimistic { chain, .. } => Some(*chain),
        Purpose::Release => None,
    }
}
