//! Bytes and back: bincode 2.0.1 in its standard configuration, and nothing else knows bytes.
//!
//! bincode is pinned to exactly 2.0.1: the goldens bind us to its encoding, and 3.0.0 on crates.io is an empty farewell
//! release. It does not describe itself, so a type's name and version stand beside its bytes. Every decode has a limit,
//! because a forged length would otherwise allocate without bound, and must consume every byte, because a longer
//! payload is another version.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};

/// Most bytes that one decode may claim: four times the largest event, because bincode counts what values take in
/// memory.
pub const MAX_DECODE: usize = 4 << 20;

/// Most bytes that the decode of a snapshot may claim. Snapshots are our own, checked by the store, and large.
pub const MAX_SNAPSHOT_DECODE: usize = 1 << 30;

const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_DECODE>> =
    bincode::config::standard().with_limit::<MAX_DECODE>();

/// Why bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// They do not decode.
    #[error("{0}")]
    Malformed(String),
    /// They decode, and something is left over.
    #[error("{left} bytes are left over")]
    Trailing {
        /// How many.
        left: usize,
    },
}

/// The bytes of `value`.
#[must_use]
pub fn encode<T: Encode>(value: &T) -> Vec<u8> {
    // Our types hold no maps, no locks and no paths, so the only error left is a full writer, and a Vec grows.
    bincode::encode_to_vec(value, CONFIG).unwrap_or_default()
}

/// Appends the bytes of `value` to `out`.
pub fn encode_into<T: Encode>(value: &T, out: &mut Vec<u8>) {
    // As above: a Vec grows, and writing to one does not fail.
    let _ = bincode::encode_into_std_write(value, out, CONFIG);
}

/// The value that `bytes` say, all of them.
///
/// # Errors
/// When they are malformed, claim more than [`MAX_DECODE`], or say more than one value.
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    finish(bincode::decode_from_slice(bytes, CONFIG), bytes.len())
}

/// As [`decode`], for a snapshot: what it may claim grows with its own size, because it is large and ours, and a short
/// forgery still cannot claim much.
///
/// # Errors
/// When they are malformed, claim more than [`MAX_DECODE`] or for a large one [`MAX_SNAPSHOT_DECODE`], or say more than
/// one value.
pub fn decode_snapshot<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    // A varint of one byte becomes a number of at most sixteen.
    if bytes.len() <= MAX_DECODE / 16 {
        return decode(bytes);
    }
    let config = bincode::config::standard().with_limit::<MAX_SNAPSHOT_DECODE>();
    finish(bincode::decode_from_slice(bytes, config), bytes.len())
}

/// As [`decode`], borrowing texts and byte strings from `bytes`: what [`crate::cursor`] is compared with.
#[cfg(test)]
pub(crate) fn borrow_decode<'a, T: bincode::BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    finish(bincode::borrow_decode_from_slice(bytes, CONFIG), bytes.len())
}

/// The value that `bytes` begin with; what follows is not looked at.
#[cfg(test)]
pub(crate) fn borrow_decode_prefix<'a, T: bincode::BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Option<T> {
    bincode::borrow_decode_from_slice(bytes, CONFIG).ok().map(|(value, _)| value)
}

fn finish<T>(result: Result<(T, usize), bincode::error::DecodeError>, given: usize) -> Result<T, CodecError> {
    let (value, read) = result.map_err(|error| CodecError::Malformed(error.to_string()))?;
    match given.saturating_sub(read) {
        0 => Ok(value),
        left => Err(CodecError::Trailing { left }),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_forged_length_is_refused_before_it_is_allocated() {
        // Marker 253 says that a u64 follows; it claims 2^60 bytes.
        let mut bytes = vec![253];
        bytes.extend_from_slice(&(1_u64 << 60).to_le_bytes());
        assert!(matches!(decode::<Vec<u8>>(&bytes), Err(CodecError::Malformed(_))));
    }

    #[test]
    fn every_byte_must_be_used() {
        let mut bytes = encode(&7_u32);
        bytes.push(0);
        assert_eq!(decode::<u32>(&bytes), Err(CodecError::Trailing { left: 1 }));
        assert_eq!(decode::<u32>(&encode(&7_u32)).unwrap(), 7);
    }
}
