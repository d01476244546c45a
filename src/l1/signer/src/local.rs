//! Keys that this process holds.
//!
//! A key is opened once. The parsers' own errors are never shown: they may repeat what they read. What a crash means:
//! nothing is kept.

use alloy::primitives::{B256, hex};
use alloy::signers::local::coins_bip39::English;
use alloy::signers::local::{MnemonicBuilder, PrivateKeySigner};

use crate::{SignerError, Words, files};

/// Most steps of a derivation path; usual are five.
const STEPS_MAX: usize = 16;

/// A private key in hex.
pub(crate) fn private_key(text: &str, what: &str) -> Result<PrivateKeySigner, SignerError> {
    let wrong = || SignerError::Key(format!("{what} is no private key: 64 hex digits, not zero"));
    let digits = text.trim();
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits.strip_prefix("0x").unwrap_or(digits), &mut bytes).map_err(|_| wrong())?;
    PrivateKeySigner::from_bytes(&B256::from(bytes)).map_err(|_| wrong())
}

/// The key at a path below words.
pub(crate) fn mnemonic(
    words: &Words,
    path: &str,
    passphrase: Option<&Words>,
) -> Result<PrivateKeySigner, SignerError> {
    if !is_path(path) {
        let text = "the derivation path is none: hd-path looks like m/44'/60'/0'/0/0";
        return Err(SignerError::Key(text.to_owned()));
    }
    let phrase = files::words(words)?;
    // Line breaks and double spaces of a file do not count.
    let phrase = phrase.expose().split_whitespace().collect::<Vec<_>>().join(" ");
    let wrong = |_| {
        let text = "the mnemonic is none: 12 to 24 words of the English list, the last of which is a check";
        SignerError::Key(text.to_owned())
    };
    let mut builder = MnemonicBuilder::<English>::default().phrase(phrase);
    if let Some(passphrase) = passphrase {
        builder = builder.password(files::words(passphrase)?.expose());
    }
    builder.derivation_path(path).map_err(wrong)?.build().map_err(wrong)
}

/// Whether it is a derivation path. The library's own parser overflows on steps of 2^31 and above.
fn is_path(path: &str) -> bool {
    let is_step = |step: &str| {
        let digits = step.strip_suffix(['\'', 'h']).unwrap_or(step);
        digits.parse::<u32>().is_ok_and(|number| number < 1 << 31)
            && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let steps = path.strip_prefix("m/").unwrap_or(path);
    steps.split('/').all(is_step) && steps.split('/').count() <= STEPS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_would_overflow_or_mean_something_else_are_none() {
        for path in ["m/44'/60'/0'/0/0", "m/44h/60h/0h/0/7", "0", "m/2147483647'"] {
            assert!(is_path(path), "{path}");
        }
        let long = "0/".repeat(40);
        for path in ["", "m", "m/", "m/2147483648'", "m/-1", "m/+1", "m//1", "m/1''", "abandon about", &long]
        {
            assert!(!is_path(path), "{path}");
        }
    }
}
