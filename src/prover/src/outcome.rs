//! What calls led to, and the inputs that they become.
//!
//! A proof travels beside the input that names it: whoever runs the engine stores the bytes first and hands over the
//! input then. Building an input decides nothing; it only names unit and attempt.

use prooflog_events::envelope::blob_hash;
use prooflog_events::ids::{Attempt, ChainId, L1Number, L1Ref, ProofId, UnitId, UnitKind, Wei};
use prooflog_events::input::{
    Delivery, Input, MembersRefused, ServerValidated, StatusAnswer, StatusAnswered, WitnessAnswer,
    WitnessAnswered,
};
use prooflog_events::values::{BlobRef, FailureClass};
use prooflog_net::Failure;

use crate::answer::Answer;

/// Bytes for the blob store, and the name that events know them by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// SHA-256 and length.
    pub name: BlobRef,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Blob {
    /// Names bytes. Takes some milliseconds for a megabyte.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        Self { name: BlobRef { sha256: blob_hash(&bytes), length: bytes.len() as u64 }, bytes }
    }
}

/// A proof that arrived, with what the server told about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The proof.
    pub blob: Blob,
    /// L1 block up to which the program read.
    pub l1_head: Option<L1Ref>,
    /// Public values that the proof commits to, ABI-encoded.
    pub public_values: Option<Vec<u8>>,
    /// Cycles executed.
    pub cycles: Option<u64>,
    /// Gas proven.
    pub gas: Option<u64>,
    /// Price paid, in units of 10^-18 PROVE.
    pub cost: Option<u128>,
}

impl Proof {
    /// The proof of an answer that brought one.
    pub(crate) fn of(answer: Answer) -> Option<Self> {
        Some(Self {
            blob: Blob::of(answer.proof?),
            l1_head: answer.l1_head,
            public_values: answer.public_values,
            cycles: answer.cycles,
            gas: answer.gas,
            cost: answer.cost,
        })
    }

    /// What the record says of it.
    #[must_use]
    pub fn delivery(&self, kind: UnitKind) -> Delivery {
        let selector = self.blob.bytes.first_chunk().copied().filter(|_| kind == UnitKind::Agg);
        Delivery {
            proof: self.blob.name,
            selector,
            l1_head: self.l1_head,
            cycles: self.cycles,
            prover_gas: self.gas,
            cost: self.cost.map(Wei),
        }
    }
}

/// What a request for a proof led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requested {
    /// The prover took it.
    Taken {
        /// Its id.
        proof_id: ProofId,
        /// The proof's L1 head, where the server tells.
        l1_head: Option<L1Ref>,
    },
    /// A proof at once, of a mock endpoint.
    Fulfilled(Proof),
    /// An error, or no answer.
    Failed {
        /// What kind of failure.
        class: FailureClass,
        /// The server's words, or ours.
        text: String,
    },
    /// The proofs of these members of an aggregate, by their places in the request, cannot be used.
    MembersRefused {
        /// Which.
        members: Vec<u32>,
        /// The server's words, or ours.
        text: String,
    },
}

impl Requested {
    /// The proof's L1 head, where it is known or does not matter: the answer then waits for nothing before it is on
    /// record.
    #[must_use]
    pub const fn l1_head(&self) -> Option<L1Number> {
        match self {
            Self::Taken { l1_head: Some(head), .. } => Some(head.number),
            Self::Failed { .. } | Self::MembersRefused { .. } => Some(L1Number(0)),
            Self::Taken { .. } | Self::Fulfilled(_) => None,
        }
    }

    /// Whether the prover took it and gave it an id.
    #[must_use]
    pub const fn is_taken(&self) -> bool {
        matches!(self, Self::Taken { .. })
    }

    /// The input, and the bytes to store before it is handed over.
    #[must_use]
    pub fn into_input(self, unit: UnitId, attempt: Attempt, l1_seen: L1Number) -> (Input, Option<Blob>) {
        let (answer, blob) = match self {
            Self::Taken { proof_id, l1_head } => {
                (WitnessAnswer::Requested { proof_id, l1_head, l1_seen }, None)
            }
            Self::Fulfilled(proof) => {
                (WitnessAnswer::Fulfilled { delivery: proof.delivery(unit.kind), l1_seen }, Some(proof.blob))
            }
            Self::Failed { class, text } => (WitnessAnswer::Failed { class, text }, None),
            Self::MembersRefused { members, text } => {
                return (MembersRefused { unit, attempt, members, text }.into(), None);
            }
        };
        (WitnessAnswered { unit, attempt, answer }.into(), blob)
    }
}

/// What a question for the state of a proof led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Polled {
    /// The server told.
    State {
        /// 0 unspecified, 1 requested, 2 assigned, 3 fulfilled, 4 unfulfillable; others as they came.
        fulfillment: i32,
        /// 0 unspecified, 1 unexecuted, 2 executed, 3 unexecutable; others as they came.
        execution: i32,
        /// The proof, where one came.
        proof: Option<Box<Proof>>,
        /// The server's words, where it has any.
        text: String,
    },
    /// The id failed often enough, over long enough, while the server answered other questions.
    Lost {
        /// Times asked in vain.
        failures: u32,
        /// Unknown id, or fulfilled without bytes.
        class: FailureClass,
    },
    /// No answer yet: ask again later.
    Nothing {
        /// What kind of trouble.
        trouble: Failure,
        /// Why, for the operator's log.
        text: String,
    },
}

impl Polled {
    /// Whether a proof came whose L1 head the server does not tell.
    #[must_use]
    pub fn lacks_l1_head(&self) -> bool {
        matches!(self, Self::State { proof: Some(proof), .. } if proof.l1_head.is_none())
    }

    /// The input, and the bytes to store before it is handed over; `None` where there is nothing to tell. `l1_seen` is
    /// the L1's head, where a proof needs it beside it.
    #[must_use]
    pub fn into_input(
        self,
        unit: UnitId,
        attempt: Attempt,
        l1_seen: Option<L1Number>,
    ) -> Option<(Input, Option<Blob>)> {
        let (answer, blob) = match self {
            Self::State { proof: Some(proof), .. } if l1_seen.is_some() => {
                let l1_seen = l1_seen.unwrap_or_default();
                let answer = WitnessAnswer::Fulfilled { delivery: proof.delivery(unit.kind), l1_seen };
                return Some((WitnessAnswered { unit, attempt, answer }.into(), Some(proof.blob)));
            }
            Self::State { fulfillment, execution, proof, text } => {
                let delivery = proof.as_ref().map(|proof| proof.delivery(unit.kind));
                (
                    StatusAnswer::Status { fulfillment, execution, delivery, text },
                    proof.map(|proof| proof.blob),
                )
            }
            Self::Lost { failures, class } => (StatusAnswer::Lost { failures, class }, None),
            Self::Nothing { .. } => return None,
        };
        Some((StatusAnswered { unit, attempt, answer }.into(), blob))
    }
}

/// What the server says of its own commitments and the contract's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Validation {
    /// It compared them.
    Answered {
        /// The rollup configuration agrees.
        rollup_config_ok: bool,
        /// The aggregation key agrees.
        agg_vkey_ok: bool,
        /// The range key agrees.
        range_vkey_ok: bool,
    },
    /// It did not answer, which says nothing about the commitments: it may still be starting.
    Unreachable {
        /// What kind of trouble.
        trouble: Failure,
        /// Why.
        text: String,
    },
}

impl Validation {
    /// Whether the server proves what the contract accepts; `None` while that is not known.
    #[must_use]
    pub const fn is_accepted(&self) -> Option<bool> {
        match self {
            Self::Answered { rollup_config_ok, agg_vkey_ok, range_vkey_ok } => {
                Some(*rollup_config_ok && *agg_vkey_ok && *range_vkey_ok)
            }
            Self::Unreachable { .. } => None,
        }
    }

    /// The input; `None` where there is nothing to tell.
    #[must_use]
    pub fn into_input(self, chain: ChainId) -> Option<Input> {
        match self {
            Self::Answered { rollup_config_ok, agg_vkey_ok, range_vkey_ok } => {
                Some(ServerValidated { chain, rollup_config_ok, agg_vkey_ok, range_vkey_ok }.into())
            }
            Self::Unreachable { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use prooflog_events::ids::Hash32;

    use super::*;

    #[test]
    fn an_answer_that_needs_no_l1_head_waits_for_none() {
        let taken = |l1_head| Requested::Taken { proof_id: ProofId(vec![1]), l1_head };
        let head = L1Ref { number: L1Number(7), hash: Hash32::ZERO };
        assert_eq!(taken(Some(head)).l1_head(), Some(L1Number(7)));
        assert_eq!(taken(None).l1_head(), None, "its bound is the head seen after it");
        let failed = Requested::Failed { class: FailureClass::Capacity, text: String::new() };
        assert!(failed.l1_head().is_some(), "a failure is on record although L1 is away");
    }
}
