//! Nonce slots and the accounts they belong to.
//!
//! A slot is open from its reservation until a version of ours is confirmed or none ever will be. Any signed version
//! may be included, so all of them are remembered until then.

use bincode::{Decode, Encode};
use prooflog_events::event::Event;
use prooflog_events::ids::{Hash32, L1Ref, Micros, Nonce, Revision, SignerId, SlotId, TxVersion, Wei};
use prooflog_events::values::{BlobRef, BroadcastOutcome, Call, Fees, Purpose};

use super::phase::{SlotPhase, SlotShape};
use crate::Map;

/// Closed slots whose last revision is remembered; far deeper than any reorg that leaves the chain usable.
const CLOSED_SLOTS_KEPT: usize = 256;

/// A nonce in use.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Slot {
    /// Which.
    pub id: SlotId,
    /// Revision of its newest event.
    pub revision: Revision,
    /// Where it stands.
    pub phase: SlotPhase,
    /// What its newest version is for.
    pub purpose: Purpose,
    /// The newest version's call.
    pub call: Call,
    /// What the newest version may pay.
    pub fees: Fees,
    /// What the newest version may use.
    pub gas_limit: u64,
    /// The newest version.
    pub version: TxVersion,
    /// When the newest version was decided.
    pub since: Micros,
    /// When a version was last broadcast.
    pub last_sent: Micros,
    /// How that was answered.
    pub last_outcome: Option<BroadcastOutcome>,
    /// All signed versions: any of them may be included.
    pub signed: Vec<Signed>,
    /// The version that is in a canonical block.
    pub mined: Option<Mined>,
    /// The newest version could not be given higher fees: more is asked than the policy allows.
    pub capped: bool,
}

/// A signed version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Signed {
    /// Which.
    pub version: TxVersion,
    /// What it is for.
    pub purpose: Purpose,
    /// Its hash.
    pub hash: Hash32,
    /// Its bytes.
    pub raw: BlobRef,
}

/// A version in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Mined {
    /// Which.
    pub version: TxVersion,
    /// Its hash.
    pub hash: Hash32,
    /// The block.
    pub block: L1Ref,
}

/// An account that sends.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Signer {
    /// Which.
    pub id: SignerId,
    /// Its open slots.
    pub slots: Map<Nonce, Slot>,
    /// The nonce after the highest one of ours that was closed by inclusion.
    pub next: Option<Nonce>,
    /// Revision of the newest event of slots closed lately: a deep reorg, or a slot never signed, can free a nonce again.
    pub closed: Map<Nonce, Revision>,
    /// Events in the account's own stream.
    pub events: u64,
    /// The balance that was missing when its owner was warned, while it is.
    pub low: Option<Wei>,
}

impl Signer {
    /// An account of which nothing is known.
    #[must_use]
    pub fn new(id: SignerId) -> Self {
        Self { id, slots: Map::default(), next: None, closed: Map::default(), events: 0, low: None }
    }

    /// Remembers where the stream of a closed slot ended.
    pub(super) fn close(&mut self, nonce: Nonce, revision: Revision) {
        self.closed.insert(nonce, revision);
        while self.closed.len() > CLOSED_SLOTS_KEPT {
            let Some(oldest) = self.closed.get_min().map(|(nonce, _)| *nonce) else {
                return;
            };
            self.closed.remove(&oldest);
        }
    }

    /// The slot that carries `purpose`.
    #[must_use]
    pub fn slot_for(&self, purpose: &Purpose) -> Option<&Slot> {
        self.slots.values().find(|slot| slot.purpose == *purpose)
    }
}

impl Slot {
    /// The signed version of this hash or number.
    #[must_use]
    pub fn signed_version(&self, version: TxVersion) -> Option<&Signed> {
        self.signed.iter().find(|signed| signed.version == version)
    }

    /// What decides which events may follow, beside the phase.
    #[must_use]
    pub fn shape(&self) -> SlotShape {
        SlotShape { is_signed: !self.signed.is_empty() }
    }

    /// What the included version is for.
    #[must_use]
    pub fn mined_purpose(&self) -> Option<Purpose> {
        self.mined.and_then(|mined| self.signed_version(mined.version)).map(|signed| signed.purpose)
    }

    /// Takes an event in; the phase was checked and is set by the caller.
    pub(super) fn absorb(&mut self, event: &Event, time: Micros) {
        match event {
            Event::TxPrepared(e) => {
                self.signed.push(Signed { version: e.version, purpose: e.purpose, hash: e.hash, raw: e.raw });
            }
            Event::TxBroadcast(e) => {
                self.last_sent = time;
                self.last_outcome = Some(e.outcome);
            }
            Event::TxReplaced(e) => {
                self.version = e.version;
                self.purpose = e.purpose;
                self.call = e.call;
                self.fees = e.fees;
                self.gas_limit = e.gas_limit;
                self.since = time;
                self.capped = false;
            }
            Event::TxIncluded(e) => {
                self.mined = Some(Mined { version: e.version, hash: e.hash, block: e.block });
            }
            Event::TxReverted(e) => {
                self.mined = Some(Mined { version: e.version, hash: e.hash, block: e.block });
            }
            Event::FeeCeilingReached(_) => self.capped = true,
            Event::TxReorged(_) => {
                self.mined = None;
                self.last_sent = time;
            }
            _ => {}
        }
    }
}
