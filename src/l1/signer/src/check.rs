//! What a signer hands back is read again: it must be the transaction that was asked for, signed by the account.
//!
//! No signer is trusted with more than its key, not even our own. Bytes that pass are what is sent, so they are also
//! the one encoding that the network accepts. What a crash means: nothing is kept.

use alloy::consensus::{TxEip1559, TxEnvelope};
use alloy::eips::eip2718::{Decodable2718, Encodable2718};
use prooflog_events::ids::{Address, Hash32};

use crate::{Field, Signed, SignerError};

/// Whether the bytes are what was asked of `who`, signed by `account`.
pub(crate) fn check(
    asked: &TxEip1559,
    raw: Vec<u8>,
    account: Address,
    who: &str,
) -> Result<Signed, SignerError> {
    let malformed =
        |problem: &str| SignerError::Malformed { who: who.to_owned(), problem: problem.to_owned() };
    let mut rest = raw.as_slice();
    let envelope = TxEnvelope::decode_2718(&mut rest).map_err(|_| malformed("the bytes do not decode"))?;
    if !rest.is_empty() {
        return Err(malformed("bytes follow the transaction"));
    }
    let TxEnvelope::Eip1559(signed) = &envelope else {
        return Err(malformed("it is not of the kind that was asked for (EIP-1559)"));
    };
    if let Some(field) = difference(asked, signed.tx()) {
        return Err(SignerError::Altered { who: who.to_owned(), field });
    }
    if envelope.encoded_2718() != raw {
        return Err(malformed("it is not encoded as the network wants it"));
    }
    if signed.signature().normalize_s().is_some() {
        return Err(malformed("its signature is one that the network refuses (high s)"));
    }
    let by = signed.signature().recover_address_from_prehash(&signed.signature_hash());
    let by = Address(by.map_err(|_| malformed("its signature is none"))?.into_array());
    if by != account {
        return Err(SignerError::Foreign { who: who.to_owned(), found: by, expected: account });
    }
    Ok(Signed { hash: Hash32(signed.hash().0), raw })
}

/// The first part in which two transactions differ.
fn difference(asked: &TxEip1559, found: &TxEip1559) -> Option<Field> {
    let parts = [
        (found.chain_id == asked.chain_id, Field::ChainId),
        (found.nonce == asked.nonce, Field::Nonce),
        (found.to == asked.to, Field::To),
        (found.value == asked.value, Field::Value),
        (found.input == asked.input, Field::Input),
        (found.gas_limit == asked.gas_limit, Field::GasLimit),
        (found.max_fee_per_gas == asked.max_fee_per_gas, Field::MaxFee),
        (found.max_priority_fee_per_gas == asked.max_priority_fee_per_gas, Field::Tip),
        (found.access_list == asked.access_list, Field::AccessList),
    ];
    parts.iter().find(|(same, _)| !same).map(|(_, field)| *field)
}
