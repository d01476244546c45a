//! Devnet proofs: bytes that bind exactly what a real proof binds, and that anyone can check.
//!
//! A span proof is its statement, followed by padding that the statement determines, so that one flipped bit is noticed.
//! An aggregate proof is a selector and keccak256 of the key and the ABI-encoded public values, which a contract checks
//! with one hash. Nothing is proven here but that nobody mixed anything up.

use sha2::{Digest, Sha256};
use sha3::Keccak256;

use crate::config::Generation;
use crate::hex32::{Hex, Word};

const MAGIC: &[u8; 8] = b"DEVSPAN1";
/// Bytes of a statement.
pub const STATEMENT_BYTES: usize = 192;

/// keccak256 of parts, one after another.
#[must_use]
pub fn keccak(parts: &[&[u8]]) -> Word {
    // The two hash crates rest on different versions of one trait: name this one's.
    let mut hasher = Keccak256::default();
    for part in parts {
        sha3::Digest::update(&mut hasher, part);
    }
    Hex(sha3::Digest::finalize(hasher).into())
}

/// What a span proof says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// The agreed block, not proven.
    pub start: u64,
    /// The last block proven.
    pub end: u64,
    /// Output root of `start`.
    pub pre_root: Word,
    /// Output root of `end`.
    pub post_root: Word,
    /// L1 block up to which the program read.
    pub l1_number: u64,
    /// Its hash.
    pub l1_hash: Word,
    /// Hash of the rollup configuration.
    pub rollup_config: Word,
    /// Commitment to the range program's key.
    pub range_vkey: Word,
}

impl Statement {
    /// The first bytes of the proof.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(STATEMENT_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.start.to_be_bytes());
        bytes.extend_from_slice(&self.end.to_be_bytes());
        bytes.extend_from_slice(&self.pre_root.0);
        bytes.extend_from_slice(&self.post_root.0);
        bytes.extend_from_slice(&self.l1_number.to_be_bytes());
        bytes.extend_from_slice(&self.l1_hash.0);
        bytes.extend_from_slice(&self.rollup_config.0);
        bytes.extend_from_slice(&self.range_vkey.0);
        bytes
    }

    /// What a proof says, if it is one and its padding is untouched.
    #[must_use]
    pub fn verify(proof: &[u8]) -> Option<Self> {
        let statement = proof.get(..STATEMENT_BYTES)?;
        let padded = ProofBytes::padded(statement.to_vec(), proof.len());
        let mut expected = vec![0; 64 << 10];
        for (at, found) in (0..).step_by(64 << 10).zip(proof.chunks(64 << 10)) {
            let expected = expected.get_mut(..found.len())?;
            padded.fill(at, expected);
            if found != expected {
                return None;
            }
        }
        let mut rest = statement.strip_prefix(MAGIC)?;
        Some(Self {
            start: number(&mut rest)?,
            end: number(&mut rest)?,
            pre_root: word(&mut rest)?,
            post_root: word(&mut rest)?,
            l1_number: number(&mut rest)?,
            l1_hash: word(&mut rest)?,
            rollup_config: word(&mut rest)?,
            range_vkey: word(&mut rest)?,
        })
    }
}

fn word(rest: &mut &[u8]) -> Option<Word> {
    let (head, tail) = rest.split_first_chunk::<32>()?;
    *rest = tail;
    Some(Hex(*head))
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (head, tail) = rest.split_first_chunk::<8>()?;
    *rest = tail;
    Some(u64::from_be_bytes(*head))
}

/// The bytes of a proof, made where and when they are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofBytes {
    head: Vec<u8>,
    seed: u64,
    size: usize,
}

impl ProofBytes {
    /// `head`, padded to `size` bytes or as long as it is.
    #[must_use]
    pub fn padded(head: Vec<u8>, size: usize) -> Self {
        let digest = Sha256::digest(&head);
        let seed = digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let size = size.max(head.len());
        Self { head, seed, size }
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.size
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Writes the bytes from `at` on.
    pub fn fill(&self, at: usize, target: &mut [u8]) {
        for (place, byte) in (at..).zip(target) {
            *byte = match self.head.get(place) {
                Some(byte) => *byte,
                None => self.noise(place),
            };
        }
    }

    /// A byte of the padding: one round of splitmix64 over its place.
    fn noise(&self, place: usize) -> u8 {
        let mut z = self.seed.wrapping_add((place as u64 / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let word = (z ^ (z >> 31)).to_le_bytes();
        word.get(place % 8).copied().unwrap_or_default()
    }
}

/// What an aggregate proof says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicValues {
    /// Hash of the checkpointed L1 block.
    pub l1_head: Word,
    /// Output root that the contract holds.
    pub pre_root: Word,
    /// Output root that is claimed.
    pub claim_root: Word,
    /// Its block.
    pub claim_block: u64,
    /// Hash of the rollup configuration.
    pub rollup_config: Word,
    /// Commitment to the range program's key.
    pub range_vkey: Word,
    /// Who is paid for it; not in the first generation.
    pub prover: Hex<20>,
}

impl PublicValues {
    /// As the contract's ABI encodes them: six static values, or seven.
    #[must_use]
    pub fn encode(&self, generation: Generation) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(7 * 32);
        for word in [&self.l1_head, &self.pre_root, &self.claim_root] {
            bytes.extend_from_slice(&word.0);
        }
        bytes.extend_from_slice(&[0; 24]);
        bytes.extend_from_slice(&self.claim_block.to_be_bytes());
        bytes.extend_from_slice(&self.rollup_config.0);
        bytes.extend_from_slice(&self.range_vkey.0);
        if generation != Generation::V1 {
            bytes.extend_from_slice(&[0; 12]);
            bytes.extend_from_slice(&self.prover.0);
        }
        bytes
    }
}

/// The proof of an aggregate.
#[must_use]
pub fn aggregate(selector: Hex<4>, agg_vkey: Word, public_values: &[u8]) -> Vec<u8> {
    let mut proof = selector.0.to_vec();
    proof.extend_from_slice(&keccak(&[&agg_vkey.0, public_values]).0);
    proof
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn statement() -> Statement {
        Statement {
            start: 1,
            end: 300,
            pre_root: Hex([1; 32]),
            post_root: Hex([2; 32]),
            l1_number: 77,
            l1_hash: Hex([3; 32]),
            rollup_config: Hex([4; 32]),
            range_vkey: Hex([5; 32]),
        }
    }

    #[test]
    fn a_proof_says_what_it_was_made_of_and_one_flipped_bit_is_noticed() {
        let bytes = ProofBytes::padded(statement().encode(), 100_000);
        let mut proof = vec![0; bytes.len()];
        bytes.fill(0, &mut proof);
        assert_eq!(Statement::verify(&proof), Some(statement()));
        for place in [0, 9, 191, 192, 70_000, 99_999] {
            proof[place] ^= 1;
            assert_eq!(Statement::verify(&proof), None, "{place}");
            proof[place] ^= 1;
        }
        assert_eq!(Statement::verify(&proof[..100]), None);
    }

    #[test]
    fn pieces_are_the_same_bytes_as_the_whole() {
        let bytes = ProofBytes::padded(statement().encode(), 1_000);
        let mut whole = vec![0; 1_000];
        bytes.fill(0, &mut whole);
        let mut piece = [0; 300];
        bytes.fill(150, &mut piece);
        assert_eq!(piece[..], whole[150..450]);
    }

    #[test]
    fn public_values_are_static_abi_words() {
        let values = PublicValues {
            l1_head: Hex([1; 32]),
            pre_root: Hex([2; 32]),
            claim_root: Hex([3; 32]),
            claim_block: 0x1234,
            rollup_config: Hex([4; 32]),
            range_vkey: Hex([5; 32]),
            prover: Hex([6; 20]),
        };
        let first = values.encode(Generation::V1);
        assert_eq!(first.len(), 192);
        assert_eq!(first[126..128], [0x12, 0x34]);
        let second = values.encode(Generation::V2);
        assert_eq!((second.len(), &second[..192]), (224, &first[..]));
        assert_eq!(second[192..], [[0; 12].as_slice(), &[6; 20]].concat());
    }

    #[test]
    fn keccak_is_ethereums() {
        let empty = Hex::parse("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470").unwrap();
        assert_eq!(keccak(&[]), empty);
        let selector = &keccak(&[b"aggregationVkey()"]).0[..4];
        assert_eq!(hex::encode(selector), "c32e4e3e");
    }
}
