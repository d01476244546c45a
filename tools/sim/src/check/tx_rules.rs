//! Rules about nonce slots: one purpose in flight per nonce, no purpose twice, nothing that was never signed.

use prooflog_events::event::Event;
use prooflog_events::ids::{SlotId, StreamId};
use prooflog_events::values::Purpose;

use super::model::ModelSlot;
use super::unit_rules::{Broken, rule};
use super::{Batch, Checker, Recorded};
use crate::world::World;

impl Checker {
    /// Rules about one event of a nonce slot.
    pub(super) fn tx_event(&self, _batch: &Batch, recorded: &Recorded, world: &World) -> Broken {
        let StreamId::Tx(id) = recorded.stream else { return None };
        let slot = self.model.slots.get(&id);
        match &recorded.event {
            Event::TxReserved(e) => {
                let open = slot.is_some_and(|slot| !slot.closed);
                rule("one purpose per nonce", open, || format!("{id} is reserved again while it is open"))
                    .or_else(|| self.carried_elsewhere(id, e.purpose))
            }
            Event::TxReplaced(e) => {
                replaced(id, slot?, e.purpose).or_else(|| self.carried_elsewhere(id, e.purpose))
            }
            Event::TxIncluded(e) => {
                let purpose = slot?.signed.get(&e.version)?.purpose;
                let other = self.model.included.get(&purpose).filter(|other| **other != id);
                // A reorg deeper than what counts as confirmed may have taken the other one back, for good or not.
                let stands = other
                    .and_then(|other| self.model.slots.get(other)?.included)
                    .is_some_and(|(_, block)| world.l1.is_canonical(block));
                let twice = purpose != Purpose::Release && stands;
                rule("purpose once", twice, || format!("{purpose:?} is included in {id} and in {other:?}"))
                    .or_else(|| {
                        rule("truth", !world.l1.was_mined(e.hash, e.block), || {
                            format!("{id} is included in {}, which never held it", e.block)
                        })
                    })
            }
            _ => None,
        }
    }

    /// No two open nonces carry the same purpose.
    fn carried_elsewhere(&self, id: SlotId, purpose: Purpose) -> Broken {
        if purpose == Purpose::Release {
            return None;
        }
        let open =
            self.model.slots.range(lowest(id)..).take_while(|(other, _)| other.signer.l1 == id.signer.l1);
        let other = open
            .filter(|(other, slot)| {
                **other != id && !slot.closed && !slot.reverted && slot.purpose == purpose
            })
            .map(|(other, _)| *other)
            .next()?;
        rule("purpose once", true, || format!("{purpose:?} is in flight in {id} and in {other}"))
    }
}

fn lowest(id: SlotId) -> SlotId {
    use prooflog_events::ids::{Address, Nonce, SignerId};
    SlotId { signer: SignerId { l1: id.signer.l1, address: Address([0; 20]) }, nonce: Nonce(0) }
}

/// A replacement is for the same, for a newer block of the same checkpoint, or for nothing any more.
fn replaced(id: SlotId, slot: &ModelSlot, purpose: Purpose) -> Broken {
    let fits = match (slot.purpose, purpose) {
        (_, Purpose::Release) => true,
        (Purpose::Checkpoint { agg: before, .. }, Purpose::Checkpoint { agg, .. }) => before == agg,
        (before, now) => before == now,
    };
    rule("one purpose per nonce", !fits, || {
        format!("{id} was for {:?} and is for {purpose:?} now", slot.purpose)
    })
}
