//! Proofs of the simulated prover: a few bytes that bind what a real proof binds, so that every wrong use is seen.
//!
//! Whoever takes a proof (the prover as a member, the contract as an output) decodes it and compares each field. What
//! does not decode was not made here.

use prooflog_events::codec;
use prooflog_events::ids::{Address, ChainId, Hash32, L1Ref, L2Block, Range};
use prooflog_events::values::{BlobRef, Commitments};

/// First bytes of an aggregate proof, by which the verifier's gateway chooses its route.
pub const SELECTOR: [u8; 4] = [0x11, 0xb6, 0xa0, 0x9d];

/// What a span's proof says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanProof {
    /// The rollup.
    pub chain: ChainId,
    /// The blocks.
    pub range: Range,
    /// The L1 block whose data it was derived from.
    pub l1_head: L1Ref,
    /// What it was proven under.
    pub commitments: Commitments,
    /// Tells repetitions apart: the prover's number of the job.
    pub job: u64,
}

/// What an aggregate's proof says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AggProof {
    /// The blocks.
    pub range: Range,
    /// The checkpointed L1 block.
    pub l1_head: Hash32,
    /// Root of the block before the first.
    pub pre_root: Hash32,
    /// Root of the last block.
    pub claim_root: Hash32,
    /// What it was proven under.
    pub commitments: Commitments,
    /// Verification key of the aggregation program.
    pub agg_vkey: Hash32,
    /// Address that it binds.
    pub prover: Address,
    /// The prover's number of the job.
    pub job: u64,
}

/// First byte of what was a span's proof and can be read by nobody.
const UNREADABLE: u8 = 0xee;

/// Whether bytes are of a proof that came unreadable from the prover.
#[must_use]
pub fn is_unreadable(bytes: &[u8]) -> bool {
    bytes.first() == Some(&UNREADABLE)
}

/// The same proof in bytes that nobody can read.
pub(super) fn unreadable(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(first) = bytes.first_mut() {
        *first = UNREADABLE;
    }
    bytes
}

impl SpanProof {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(&(0x5a_u8, self.chain, self.range, self.l1_head, self.commitments, self.job))
    }

    /// The proof that `bytes` are.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, chain, range, l1_head, commitments, job): (u8, _, _, _, _, _) =
            codec::decode(bytes).ok()?;
        (kind == 0x5a).then_some(Self { chain, range, l1_head, commitments, job })
    }
}

impl AggProof {
    /// Its bytes, the selector first.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let body = (
            self.range,
            self.l1_head,
            self.pre_root,
            self.claim_root,
            self.commitments,
            self.agg_vkey,
            self.prover,
            self.job,
        );
        let mut bytes = SELECTOR.to_vec();
        bytes.extend(codec::encode(&body));
        bytes
    }

    /// The proof that `bytes` are.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let body = bytes.strip_prefix(&SELECTOR)?;
        let (range, l1_head, pre_root, claim_root, commitments, agg_vkey, prover, job) =
            codec::decode(body).ok()?;
        Some(Self { range, l1_head, pre_root, claim_root, commitments, agg_vkey, prover, job })
    }
}

/// Name and length of bytes.
#[must_use]
pub fn blob_ref(bytes: &[u8]) -> BlobRef {
    BlobRef { sha256: prooflog_events::envelope::blob_hash(bytes), length: bytes.len() as u64 }
}

/// Root of an L2 block: it follows from the rollup and the number, so every honest node gives the same.
#[must_use]
pub fn output_root(chain: ChainId, block: L2Block) -> Hash32 {
    crate::rng::mix(&[0x0017_0017, chain.0, block.0])
}
