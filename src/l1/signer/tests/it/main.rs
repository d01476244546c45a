//! Signers opened from every source, and services that sign well, badly, or not at all.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod local;
mod remote;
mod secrets;

use std::path::{Path, PathBuf};

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::eips::eip2930::{AccessList, AccessListItem};
use alloy::primitives::{B256, Bytes, TxKind, U256};
use prooflog_events::ids::Address;
use prooflog_net::Secret;
use prooflog_signer::Signed;

/// The first key of the mnemonic that every development chain is funded for.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
/// Its account.
const ACCOUNT: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
/// That mnemonic.
const MNEMONIC: &str = "test test test test test test test test test test test junk";

fn account() -> Address {
    ACCOUNT.parse().unwrap()
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// A transaction with every field set.
fn tx() -> TxEip1559 {
    let item = AccessListItem { address: [7; 20].into(), storage_keys: vec![B256::repeat_byte(8)] };
    TxEip1559 {
        chain_id: 11_155_111,
        nonce: 258,
        gas_limit: 1_234_567,
        max_fee_per_gas: 30_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call([9; 20].into()),
        value: U256::from(80_000_000_000_000_000_u64),
        access_list: AccessList(vec![item]),
        input: Bytes::from(vec![0xab; 300]),
    }
}

/// Checks a result without any of the crate's own reading: decoded, recovered, hashed here.
fn assert_signed(signed: &Signed, tx: &TxEip1559, by: Address) {
    let envelope = TxEnvelope::decode_2718(&mut signed.raw.as_slice()).unwrap();
    let found = envelope.as_eip1559().unwrap();
    assert_eq!(found.tx(), tx);
    let signer = found.signature().recover_address_from_prehash(&tx.signature_hash()).unwrap();
    assert_eq!(signer.into_array(), by.0);
    assert_eq!(alloy::primitives::keccak256(&signed.raw).0, signed.hash.0);
}

/// A file of a directory, with a mode.
fn file(dir: &Path, name: &str, content: &str, mode: u32) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}
