//! Values of the Ethereum JSON-RPC: quantities, bytes, hashes, addresses, and the way to alloy's types and back.
//!
//! Everything read here comes from outside: what is not as promised is `None`, never a guess. A crash in here means a
//! bug in a parser, and nothing is lost.

use alloy::primitives::{Address as EvmAddress, B256, U256};
use prooflog_events::ids::{Address, Hash32, L1Ref};
use serde_json::{Value, json};

/// A 0x-hex quantity.
pub(crate) fn quantity(value: &Value) -> Option<u128> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    if digits.starts_with('+') {
        return None;
    }
    u128::from_str_radix(digits, 16).ok()
}

/// A 0x-hex quantity below 2^64.
pub(crate) fn number(value: &Value) -> Option<u64> {
    quantity(value)?.try_into().ok()
}

/// 0x-hex bytes.
pub(crate) fn bytes(value: &Value) -> Option<Vec<u8>> {
    hex::decode(value.as_str()?.strip_prefix("0x")?).ok()
}

/// A 32-byte value.
pub(crate) fn hash(value: &Value) -> Option<Hash32> {
    bytes(value)?.try_into().ok().map(Hash32)
}

/// A 20-byte value.
pub(crate) fn address(value: &Value) -> Option<Address> {
    bytes(value)?.try_into().ok().map(Address)
}

/// 0x-hex of a quantity, without leading zeros.
pub(crate) fn hex_number(number: u64) -> Value {
    json!(format!("{number:#x}"))
}

/// 0x-hex of bytes.
pub(crate) fn hex_bytes(bytes: &[u8]) -> Value {
    json!(format!("0x{}", hex::encode(bytes)))
}

/// A block as a parameter: by hash, refused if it is not canonical, or by its number alone.
pub(crate) fn block_param(block: L1Ref, by_number: &ByNumber) -> Value {
    match by_number {
        ByNumber::No => json!({ "blockHash": block.hash.to_string(), "requireCanonical": true }),
        ByNumber::Yes => hex_number(block.number.0),
    }
}

/// Whether an endpoint can name blocks by number only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByNumber {
    /// It takes hashes.
    No,
    /// It takes numbers only.
    Yes,
}

pub(crate) const fn evm(address: Address) -> EvmAddress {
    EvmAddress::new(address.0)
}

pub(crate) const fn ours(address: EvmAddress) -> Address {
    Address(address.into_array())
}

pub(crate) const fn word(hash: Hash32) -> B256 {
    B256::new(hash.0)
}

pub(crate) const fn uint(number: u64) -> U256 {
    U256::from_limbs([number, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_exactly_or_not_at_all() {
        assert_eq!(number(&json!("0x10")), Some(16));
        for wrong in
            [json!("16"), json!("0x"), json!("0x+1"), json!(16), json!("0x1ffffffffffffffff"), json!(null)]
        {
            assert_eq!(number(&wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_from_outside_panics(text in ".*") {
            let value = json!(text);
            let _ = (quantity(&value), bytes(&value), hash(&value), address(&value));
        }

        #[test]
        fn numbers_come_back(n: u64) {
            prop_assert_eq!(number(&hex_number(n)), Some(n));
        }
    }
}
