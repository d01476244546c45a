//! Encrypted key files: web3's JSON, version 3.
//!
//! The library that decrypts them trusts their numbers: it would take all the memory that a file asks for and index
//! past a short key. So a file is read here first, and only one with numbers in bounds goes on. What a crash means:
//! nothing is kept.

use std::path::Path;

use alloy::signers::local::PrivateKeySigner;
use serde::Deserialize;
use serde_json::Value;

use crate::{SignerError, files};

/// Most memory that opening may take, in bytes; geth's own files take 256 MiB.
const MEMORY_MAX: u64 = 1 << 30;
/// Most work, in units of scrypt's n * r * p; geth's own files take 2^21.
const WORK_MAX: u64 = 1 << 25;
/// Most rounds of PBKDF2; usual are 262144.
const ROUNDS_MAX: u64 = 10_000_000;

#[derive(Deserialize)]
struct Keystore {
    version: u64,
    id: String,
    crypto: Crypto,
}

#[derive(Deserialize)]
struct Crypto {
    cipher: String,
    ciphertext: String,
    cipherparams: CipherParams,
    kdf: String,
    kdfparams: Value,
    mac: String,
}

#[derive(Deserialize)]
struct CipherParams {
    iv: String,
}

/// Opens a keystore.
pub(crate) fn open(path: &Path, password: &str) -> Result<PrivateKeySigner, SignerError> {
    let failed = |problem: &str| SignerError::File { path: path.to_owned(), problem: problem.to_owned() };
    check(&files::public(path)?).map_err(failed)?;
    PrivateKeySigner::decrypt_keystore(path, password)
        .map_err(|_| failed("does not open with this password: check keystore.password or its file"))
}

/// That the numbers of a file are in bounds.
fn check(text: &[u8]) -> Result<(), &'static str> {
    const SHAPE: &str = "is no keystore: web3 JSON with version, id and crypto, as geth and cast write it";
    let keystore: Keystore = serde_json::from_slice(text).map_err(|_| SHAPE)?;
    let crypto = &keystore.crypto;
    if keystore.version != 3 || crypto.cipher != "aes-128-ctr" {
        return Err("is a keystore of another kind than version 3 with aes-128-ctr: export the key anew");
    }
    let is_hex = |text: &str, bytes: usize| {
        text.len() == 2 * bytes && text.bytes().all(|digit| digit.is_ascii_hexdigit())
    };
    let fits =
        is_hex(&crypto.ciphertext, 32) && is_hex(&crypto.cipherparams.iv, 16) && is_hex(&crypto.mac, 32);
    if !fits || keystore.id.len() != 36 {
        return Err(SHAPE);
    }
    check_cost(crypto)
}

fn check_cost(crypto: &Crypto) -> Result<(), &'static str> {
    const COST: &str = "asks for more memory or work than any usual keystore: export the key anew";
    let number = |name: &str| crypto.kdfparams.get(name).and_then(Value::as_u64);
    if number("dklen") != Some(32) {
        return Err("derives a key of another length than 32 bytes: export the key anew");
    }
    let scrypt = (number("n"), number("r"), number("p"));
    match (crypto.kdf.as_str(), number("c"), scrypt) {
        ("scrypt", None, (Some(n), Some(r), Some(p))) => {
            let memory = n.saturating_mul(r).saturating_mul(128);
            let work = n.saturating_mul(r).saturating_mul(p);
            let in_bounds = n.is_power_of_two() && n > 1 && r > 0 && p > 0;
            if in_bounds && memory <= MEMORY_MAX && work <= WORK_MAX { Ok(()) } else { Err(COST) }
        }
        ("pbkdf2", Some(1..=ROUNDS_MAX), (None, None, None)) => Ok(()),
        ("pbkdf2", Some(_), (None, None, None)) => Err(COST),
        _ => Err("derives its key in an unknown way: only scrypt and pbkdf2 are known"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn keystore() -> Value {
        json!({
            "version": 3,
            "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
            "crypto": {
                "cipher": "aes-128-ctr",
                "ciphertext": "11".repeat(32),
                "cipherparams": { "iv": "22".repeat(16) },
                "kdf": "scrypt",
                "kdfparams": { "dklen": 32, "n": 262_144, "r": 8, "p": 1, "salt": "33".repeat(32) },
                "mac": "44".repeat(32),
            },
        })
    }

    fn with(pointer: &str, value: Value) -> Result<(), &'static str> {
        let mut keystore = keystore();
        *keystore.pointer_mut(pointer).unwrap() = value;
        check(keystore.to_string().as_bytes())
    }

    #[test]
    fn a_usual_file_passes() {
        assert_eq!(check(keystore().to_string().as_bytes()), Ok(()));
        let rounds = json!({ "dklen": 32, "c": 262_144, "prf": "hmac-sha256", "salt": "33".repeat(32) });
        let mut keystore = keystore();
        *keystore.pointer_mut("/crypto/kdf").unwrap() = json!("pbkdf2");
        *keystore.pointer_mut("/crypto/kdfparams").unwrap() = rounds;
        assert_eq!(check(keystore.to_string().as_bytes()), Ok(()));
    }

    #[test]
    fn numbers_that_would_take_all_memory_or_panic_are_refused_before_they_are_used() {
        for (pointer, value) in [
            ("/version", json!(1)),
            ("/id", json!("x")),
            ("/crypto/cipher", json!("aes-256-gcm")),
            ("/crypto/ciphertext", json!("11")),
            ("/crypto/cipherparams/iv", json!("22")),
            ("/crypto/mac", json!("zz".repeat(32))),
            ("/crypto/kdf", json!("pbkdf2")),
            ("/crypto/kdf", json!("none")),
            ("/crypto/kdfparams", json!({})),
            ("/crypto/kdfparams/dklen", json!(16)),
            ("/crypto/kdfparams/n", json!(0)),
            ("/crypto/kdfparams/n", json!(262_143)),
            ("/crypto/kdfparams/n", json!(1_u64 << 31)),
            ("/crypto/kdfparams/r", json!(u32::MAX)),
            ("/crypto/kdfparams/p", json!(u32::MAX)),
            ("/crypto/kdfparams/p", json!(0)),
        ] {
            assert!(with(pointer, value.clone()).is_err(), "{pointer} = {value}");
        }
    }

    #[test]
    fn costly_rounds_hidden_beside_usual_numbers_are_refused() {
        let both = json!({ "dklen": 32, "n": 2, "r": 8, "p": 1, "c": u32::MAX, "prf": "x", "salt": "33" });
        assert!(with("/crypto/kdfparams", both).is_err());
        assert!(check(b"{").is_err() && check(b"[]").is_err() && check(&[0xff]).is_err());
    }
}
