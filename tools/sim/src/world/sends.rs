//! Quotes, signatures and broadcasts: from a simulated call to a transaction in the mempool.
//!
//! The world keeps its own books of what was signed, sent and paid for, so that the checkers need not believe the
//! engine's.

use prooflog_core::{Effect, TxBody, checkpoint_block};
use prooflog_events::codec;
use prooflog_events::envelope::blob_hash;
use prooflog_events::ids::{Hash32, L1Ref, Nonce, SignerId, SlotId, TxVersion, Wei};
use prooflog_events::input::{QuoteOutcome, TxQuoted, TxSent, TxSigned};
use prooflog_events::values::{Call, Fees, Purpose, RefusalClass};

use super::l1::{L1, Payload, Tx, gas_of};
use super::oracle::refuse;
use super::proof::blob_ref;
use super::{Answer, Read, Reply, World};

/// Seconds after which a call that hangs is given up.
const CALL_LIMIT: u64 = 15;

/// What is to be signed: a `SignTx` effect without its kind.
#[derive(Debug, Clone, Copy)]
pub struct ToSign<'a> {
    /// The slot.
    pub slot: SlotId,
    /// Which version.
    pub version: TxVersion,
    /// What for.
    pub purpose: Purpose,
    /// What goes into the call.
    pub body: &'a TxBody,
    /// The call as quoted.
    pub call: Call,
    /// What it may pay.
    pub fees: Fees,
    /// What it may use.
    pub gas_limit: u64,
}

impl<'a> ToSign<'a> {
    /// The parts of a `SignTx` effect.
    #[must_use]
    pub const fn of(effect: &'a Effect) -> Option<Self> {
        match effect {
            Effect::SignTx { slot, version, purpose, body, call, fees, gas_limit } => Some(Self {
                slot: *slot,
                version: *version,
                purpose: *purpose,
                body,
                call: *call,
                fees: *fees,
                gas_limit: *gas_limit,
            }),
            _ => None,
        }
    }
}

/// The call that a purpose and a body make; `proof` are the bytes of the proof, if one is named.
fn payload(purpose: &Purpose, body: &TxBody, proof: Vec<u8>) -> Option<Payload> {
    Some(match purpose {
        Purpose::Checkpoint { block, .. } => Payload::Checkpoint(body.oracle, *block),
        Purpose::Submission { .. } => Payload::Submit(body.oracle, body.factory, body.output.clone()?, proof),
        Purpose::Optimistic { .. } => Payload::Optimistic(body.oracle, body.output.clone()?),
        Purpose::Release => Payload::Empty,
    })
}

/// SHA-256 of the call data that a purpose and a body make.
fn calldata(purpose: &Purpose, body: &TxBody) -> Hash32 {
    match purpose {
        Purpose::Release => Hash32::ZERO,
        _ => blob_hash(format!("{purpose:?} {body:?}").as_bytes()),
    }
}

impl World {
    /// `eth_call` and `eth_estimateGas` at the head.
    pub fn quote(&mut self, signer: SignerId, purpose: Purpose, body: &TxBody, proof: Vec<u8>) -> Read {
        if self.now < self.l1_down_until || self.rng.chance(self.weather.l1_fail) {
            return self.nothing_read(CALL_LIMIT);
        }
        let height = self.l1_seen().0;
        let mut purpose = purpose;
        let mut too_early = false;
        if let Purpose::Checkpoint { agg, block } = purpose {
            match checkpoint_block(block, prooflog_events::ids::L1Number(height)) {
                Some(block) => purpose = Purpose::Checkpoint { agg, block },
                None => too_early = true,
            }
        }
        let (Some(payload), Some((head, then))) = (payload(&purpose, body, proof), self.shown(height)) else {
            return self.nothing_read(1);
        };
        let bond = then.ledger.oracles.get(&body.oracle).map_or(Wei(0), |oracle| oracle.values.bond);
        let value = if matches!(payload, Payload::Submit(_, Some(_), ..)) { bond } else { Wei(0) };
        let result = if too_early {
            Err(refuse(RefusalClass::NotYet, "the L1 head is not above the members' L1 heads yet"))
        } else {
            self.l1.simulate(height, &payload, signer.address, value.0)
        };
        let outcome = match result {
            Ok(()) => QuoteOutcome::Accepted {
                call: Call {
                    to: body.factory.unwrap_or(body.oracle),
                    value,
                    calldata: calldata(&purpose, body),
                },
                gas: gas_of(&payload),
                root: body.output.as_ref().map_or(Hash32::ZERO, |output| output.root),
            },
            Err(refusal) => QuoteOutcome::Refused { refusal },
        };
        let account = &signer.address;
        let quoted = TxQuoted {
            sender: signer.address,
            purpose,
            at: L1::head(&head),
            nonce: Nonce(head.ledger.nonces.get(account).copied().unwrap_or(0)),
            balance: Wei(head.ledger.balances.get(account).copied().unwrap_or(0)),
            outcome,
        };
        Read { before: head.at, after: then.at, reply: self.answer(quoted) }
    }

    /// Signs, the same way every time: the hash follows from the content.
    pub fn sign(&mut self, ask: ToSign<'_>, proof: Vec<u8>) -> Reply {
        if self.rng.chance(self.weather.sign_fail) {
            return self.failed(CALL_LIMIT);
        }
        let data = calldata(&ask.purpose, ask.body);
        if ask.call.calldata != Hash32::ZERO && ask.call.calldata != data {
            // The call is not the one that was quoted: nothing is signed.
            return self.failed(1);
        }
        let Some(payload) = payload(&ask.purpose, ask.body, proof) else { return self.failed(1) };
        let content = format!(
            "{:?} {:?} {:?} {:?} {} {payload:?}",
            ask.slot, ask.purpose, ask.call, ask.fees, ask.gas_limit
        );
        let hash = blob_hash(content.as_bytes());
        let tx = Tx {
            hash,
            from: ask.slot.signer.address,
            nonce: ask.slot.nonce,
            fees: ask.fees,
            gas_limit: ask.gas_limit,
            value: ask.call.value,
            payload,
            purpose: ask.purpose,
        };
        self.l1.signed.insert(hash, tx);
        let raw = codec::encode(&(hash, ask.slot.nonce, ask.version));
        let input =
            TxSigned { slot: ask.slot, version: ask.version, calldata: data, hash, raw: blob_ref(&raw) };
        Reply::At(self.soon(), Answer::Input(Box::new(input.into()), vec![raw]))
    }

    /// `eth_sendRawTransaction`.
    pub fn broadcast(&mut self, slot: SlotId, version: TxVersion, raw: &[u8]) -> Reply {
        let Ok((hash, _, _)) = codec::decode::<(Hash32, Nonce, TxVersion)>(raw) else {
            self.complain(
                "intent before effect",
                format!("{slot} version {version} broadcasts what was never signed"),
            );
            return self.failed(1);
        };
        let lost = self.rng.chance(self.weather.tx_lost);
        if self.now < self.l1_down_until || (lost && self.rng.chance(500)) {
            return self.failed(CALL_LIMIT);
        }
        let (outcome, text) = self.l1.broadcast(hash);
        if lost {
            return self.failed(CALL_LIMIT);
        }
        self.answer(TxSent { slot, version, outcome, text: text.to_owned() })
    }

    /// Where the L1 stands.
    #[must_use]
    pub fn l1_head(&self) -> L1Ref {
        self.l1.view(0).map(|block| block.at).unwrap_or_default()
    }
}
