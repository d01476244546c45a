//! Proofs that bind what they prove, and nothing more: a span's names its blocks, roots, L1 head and program; an
//! aggregate's is the digest that the devnet's verifier computes again.

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::SolValue;

/// First bytes of a span's proof.
const MAGIC: &[u8; 8] = b"devspan1";
/// Bytes before the padding.
const HEADER: usize = 8 + 8 + 8 + 32 + 32 + 8 + 32 + 32 + 32;

/// What a span's proof says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanProof {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) pre_root: B256,
    pub(crate) post_root: B256,
    pub(crate) l1_number: u64,
    pub(crate) l1_hash: B256,
    pub(crate) rollup_config: B256,
    pub(crate) range_vkey: B256,
}

impl SpanProof {
    /// Its bytes, padded to a length.
    pub(crate) fn encode(&self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length.max(HEADER));
        bytes.extend(MAGIC);
        bytes.extend(self.start.to_be_bytes());
        bytes.extend(self.end.to_be_bytes());
        bytes.extend(self.pre_root);
        bytes.extend(self.post_root);
        bytes.extend(self.l1_number.to_be_bytes());
        bytes.extend(self.l1_hash);
        bytes.extend(self.rollup_config);
        bytes.extend(self.range_vkey);
        let mut noise = keccak256(&bytes);
        while bytes.len() < length {
            let left = length - bytes.len();
            bytes.extend(noise.iter().take(left));
            noise = keccak256(noise);
        }
        bytes
    }

    /// What a proof says; `None` if it is none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let mut take = |count: usize| -> Option<&[u8]> {
            let (taken, after) = rest.split_at_checked(count)?;
            rest = after;
            Some(taken)
        };
        let start = number(take(8)?)?;
        let end = number(take(8)?)?;
        let (pre_root, post_root) = (B256::from_slice(take(32)?), B256::from_slice(take(32)?));
        let l1_number = number(take(8)?)?;
        let l1_hash = B256::from_slice(take(32)?);
        let (rollup_config, range_vkey) = (B256::from_slice(take(32)?), B256::from_slice(take(32)?));
        let this = Self { start, end, pre_root, post_root, l1_number, l1_hash, rollup_config, range_vkey };
        // The padding is part of it: one bit that changed makes it none.
        (this.encode(bytes.len()) == bytes).then_some(this)
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().map(u64::from_be_bytes).ok()
}

/// The public values of an aggregate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    pub(crate) l1_head: B256,
    pub(crate) pre_root: B256,
    pub(crate) root: B256,
    pub(crate) block: u64,
    pub(crate) rollup_config: B256,
    pub(crate) range_vkey: B256,
    /// The seventh value, from the second generation on.
    pub(crate) prover: Option<Address>,
}

impl Claim {
    /// The proof that the devnet's verifier takes: its selector, and the digest of key and public values.
    pub(crate) fn prove(&self, selector: [u8; 4], vkey: B256) -> (Vec<u8>, Vec<u8>) {
        let block = U256::from(self.block);
        let six = (self.l1_head, self.pre_root, self.root, block, self.rollup_config, self.range_vkey);
        let mut values = six.abi_encode_params();
        if let Some(prover) = self.prover {
            values.extend(prover.abi_encode());
        }
        let digest = keccak256([vkey.as_slice(), &values].concat());
        ([selector.as_slice(), digest.as_slice()].concat(), values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span() -> SpanProof {
        SpanProof {
            start: 10,
            end: 20,
            pre_root: B256::repeat_byte(1),
            post_root: B256::repeat_byte(2),
            l1_number: 7,
            l1_hash: B256::repeat_byte(3),
            rollup_config: B256::repeat_byte(4),
            range_vkey: B256::repeat_byte(5),
        }
    }

    #[test]
    fn a_proof_says_what_it_was_made_of_and_one_bit_less_makes_it_none() {
        let mut bytes = span().encode(1_000);
        assert_eq!(bytes.len(), 1_000);
        assert_eq!(SpanProof::decode(&bytes), Some(span()));
        if let Some(byte) = bytes.last_mut() {
            *byte ^= 1;
        }
        assert_eq!(SpanProof::decode(&bytes), None);
        assert_eq!(SpanProof::decode(b"devspan1"), None);
    }

    #[test]
    fn every_public_value_changes_the_proof() {
        let claim = Claim {
            l1_head: B256::repeat_byte(1),
            pre_root: B256::repeat_byte(2),
            root: B256::repeat_byte(3),
            block: 9,
            rollup_config: B256::repeat_byte(4),
            range_vkey: B256::repeat_byte(5),
            prover: Some(Address::repeat_byte(6)),
        };
        let proof = |claim: Claim| claim.prove([1, 2, 3, 4], B256::repeat_byte(9)).0;
        let whole = proof(claim);
        assert_eq!(whole.len(), 36);
        let changed = [
            Claim { l1_head: B256::ZERO, ..claim },
            Claim { pre_root: B256::ZERO, ..claim },
            Claim { root: B256::ZERO, ..claim },
            Claim { block: 8, ..claim },
            Claim { rollup_config: B256::ZERO, ..claim },
            Claim { range_vkey: B256::ZERO, ..claim },
            Claim { prover: Some(Address::ZERO), ..claim },
            Claim { prover: None, ..claim },
        ];
        assert!(changed.into_iter().all(|claim| proof(claim) != whole));
    }
}
