//! No effect without its intent on disk: looked at when the effect leaves, against what was heard to be durable.

use prooflog_core::Effect;
use prooflog_events::ids::Micros;

use super::{Checker, Stage};

impl Checker {
    /// An effect leaves.
    pub fn effect(&mut self, effect: &Effect, now: Micros) {
        if let Some(text) = self.without_intent(effect) {
            self.violate("intent before effect", now, text);
        }
        if let Effect::RequestProof(request) = effect
            && !self.called.insert((request.unit, request.attempt))
        {
            let text = format!("{} attempt {} is requested a second time", request.unit, request.attempt);
            self.violate("one attempt", now, text);
        }
    }

    fn without_intent(&self, effect: &Effect) -> Option<String> {
        match effect {
            Effect::RequestProof(request) => {
                let unit = self.model.unit(request.unit);
                let intent =
                    unit.is_some_and(|unit| unit.stage == Stage::Witness && unit.attempt == request.attempt);
                (!intent).then(|| format!("{} attempt {} is requested", request.unit, request.attempt))
            }
            Effect::SignTx { slot, version, purpose, .. } => {
                let known = self.model.slots.get(slot);
                let intent = known.is_some_and(|known| {
                    !known.closed && known.version == *version && known.purpose == *purpose
                });
                (!intent).then(|| format!("{slot} version {version} is signed for {purpose:?}"))
            }
            Effect::BroadcastTx { slot, version, hash, .. } => {
                let prepared = self.model.slots.get(slot).and_then(|known| known.signed.get(version));
                let intent = prepared.is_some_and(|prepared| prepared.hash == *hash);
                (!intent).then(|| format!("{slot} version {version} is broadcast as {hash}"))
            }
            Effect::PollProof { unit, attempt, proof_id, .. } => {
                let known = self.model.unit(*unit).and_then(|unit| unit.ids.get(attempt));
                (known != Some(proof_id))
                    .then(|| format!("{unit} attempt {attempt} is asked for as {proof_id}"))
            }
            Effect::ReadNode { .. }
            | Effect::ReadBlocks { .. }
            | Effect::ReadOutput { .. }
            | Effect::ReadContract { .. }
            | Effect::ReadSigner { .. }
            | Effect::ValidateServer { .. }
            | Effect::QuoteTx { .. } => None,
        }
    }
}
