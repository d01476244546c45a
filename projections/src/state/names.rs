//! How many units name each stored proof: asked before its bytes are given up.
//!
//! Who decides keeps this count beside the state from the moment it begins; a fold of history asks nothing and counts
//! nothing. It is no part of the state's content: neither stored, nor compared, nor in the digest.

use prooflog_events::ids::{Hash32, UnitId};

use super::{Found, State};
use crate::Map;

/// The count, where it is kept.
#[derive(Debug, Clone, Default)]
pub(super) struct ProofNames(Option<Map<Hash32, u32>>);

impl PartialEq for ProofNames {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ProofNames {}

impl State {
    /// Keeps count from here on. Looks at every unit once.
    pub fn count_proof_names(&mut self) {
        let mut counts = Map::default();
        for hash in self.proofs() {
            counts.upsert(hash, || 0, |count: &mut u32| *count = count.saturating_add(1));
        }
        self.names = ProofNames(Some(counts));
    }

    /// Whether any unit, live or retired, names these bytes as its proof.
    #[must_use]
    pub fn names_proof(&self, hash: Hash32) -> bool {
        match &self.names.0 {
            Some(counts) => counts.contains_key(&hash),
            None => self.proofs().any(|proof| proof == hash),
        }
    }

    /// Whether the count, where it is kept, is what looking at every unit gives. For tests.
    #[must_use]
    pub fn proof_names_are_counted_right(&self) -> bool {
        let mut fresh = self.clone();
        fresh.count_proof_names();
        self.names.0.is_none() || self.names.0 == fresh.names.0
    }

    fn proofs(&self) -> impl Iterator<Item = Hash32> + '_ {
        let units = self.chains.values().flat_map(|chain| chain.units().chain(chain.retired.values()));
        units.filter_map(|unit| unit.proof.as_ref()).map(|proof| proof.blob.sha256)
    }

    fn proof_of(&self, id: UnitId) -> Option<Hash32> {
        self.unit_or_retired(id)?.proof.as_ref().map(|proof| proof.blob.sha256)
    }

    /// Makes a change of a unit, and counts what it names before and after.
    pub(super) fn counting(
        &mut self,
        id: UnitId,
        change: impl FnOnce(&mut Self) -> Result<(), Found>,
    ) -> Result<(), Found> {
        if self.names.0.is_none() {
            return change(self);
        }
        let before = self.proof_of(id);
        let done = change(self);
        let after = self.proof_of(id);
        if let Some(counts) = self.names.0.as_mut().filter(|_| before != after) {
            if let Some(hash) = after {
                counts.upsert(hash, || 0, |count| *count = count.saturating_add(1));
            }
            if let Some(hash) = before
                && counts.upsert(
                    hash,
                    || 1,
                    |count| {
                        *count = count.saturating_sub(1);
                        *count == 0
                    },
                )
            {
                counts.remove(&hash);
            }
        }
        done
    }
}
