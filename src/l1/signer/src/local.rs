//! Keys that this process holds.

use std::io::Read;
use std::path::Path;

use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy::eips::eip2718::Encodable2718;
use alloy::signers::SignerSync;
use alloy::signers::local::coins_bip39::English;
use alloy::signers::local::{MnemonicBuilder, PrivateKeySigner};

use crate::{SignerConfig, SignerError, Words};

/// Most bytes of a file with a key, a password or words.
const FILE_MAX: u64 = 64 << 10;

/// Opens a local key.
pub(crate) fn open(config: &SignerConfig) -> Result<PrivateKeySigner, SignerError> {
    match config {
        SignerConfig::PrivateKey(key) => parse(key.expose(), "the private key"),
        SignerConfig::KeyFile(path) => parse(&read(path)?, &path.display().to_string()),
        SignerConfig::Keystore { path, password } => {
            // Read first, for its limit and its errors.
            read(path)?;
            let password = words(password)?;
            PrivateKeySigner::decrypt_keystore(path, password).map_err(|_| SignerError::File {
                path: path.clone(),
                problem: "does not open: another password, or no web3 keystore of version 3".to_owned(),
            })
        }
        SignerConfig::Mnemonic { words: phrase, path } => {
            let builder = MnemonicBuilder::<English>::default().phrase(words(phrase)?);
            let builder = builder.derivation_path(path).map_err(|_| {
                SignerError::Key(format!("`{path}` is no derivation path, such as m/44'/60'/0'/0/0"))
            })?;
            builder.build().map_err(|_| {
                SignerError::Key("the mnemonic is none: 12 to 24 words of the English list".to_owned())
            })
        }
        SignerConfig::Remote(_) => Err(SignerError::Key("a remote key cannot be opened here".to_owned())),
    }
}

/// Signs with a local key.
pub(crate) fn sign(key: &PrivateKeySigner, tx: TxEip1559) -> Result<Vec<u8>, SignerError> {
    let signature = key.sign_hash_sync(&tx.signature_hash());
    let signature = signature.map_err(|_| SignerError::Key("the key does not sign".to_owned()))?;
    Ok(tx.into_signed(signature).encoded_2718())
}

fn parse(text: &str, what: &str) -> Result<PrivateKeySigner, SignerError> {
    let digits = text.trim().trim_start_matches("0x");
    // The parser's own error may repeat what it read.
    digits.parse().map_err(|_| SignerError::Key(format!("{what} is no private key: 64 hex digits")))
}

fn words(words: &Words) -> Result<String, SignerError> {
    match words {
        Words::Inline(secret) => Ok(secret.expose().trim().to_owned()),
        Words::File(path) => Ok(read(path)?.trim().to_owned()),
    }
}

/// The content of a file that only its owner can read.
fn read(path: &Path) -> Result<String, SignerError> {
    let failed = |problem: String| SignerError::File { path: path.to_owned(), problem };
    let file = std::fs::File::open(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
    let data = file.metadata().map_err(|error| failed(format!("cannot be read: {error}")))?;
    if is_open(&data) {
        return Err(failed(format!("others can read it: chmod 600 {}", path.display())));
    }
    let mut text = String::new();
    let read = file.take(FILE_MAX).read_to_string(&mut text);
    read.map(|_| text).map_err(|_| failed("is no text".to_owned()))
}

#[cfg(unix)]
fn is_open(data: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    data.is_file() && data.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
const fn is_open(_: &std::fs::Metadata) -> bool {
    false
}
