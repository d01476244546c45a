//! Keys that the process holds itself.

use std::path::Path;

use alloy::signers::k256::elliptic_curve::rand_core::OsRng;
use alloy::signers::local::PrivateKeySigner;
use prooflog_signer::{DEFAULT_PATH, GcpKey, Signer, SignerConfig, SignerError, Words};

use crate::{ACCOUNT, KEY, MNEMONIC, account, assert_signed, file, secret, tx};

fn keystore(dir: &Path, password: &str) -> std::path::PathBuf {
    let key = KEY.parse::<PrivateKeySigner>().unwrap().to_bytes();
    PrivateKeySigner::encrypt_keystore(dir, &mut OsRng, key, password, Some("key.json")).unwrap();
    dir.join("key.json")
}

fn mnemonic(path: &str, passphrase: Option<&str>) -> SignerConfig {
    SignerConfig::Mnemonic {
        words: Words::Inline(secret(MNEMONIC)),
        path: path.to_owned(),
        passphrase: passphrase.map(|text| Words::Inline(secret(text))),
    }
}

async fn address(config: SignerConfig) -> String {
    Signer::connect(config).await.unwrap().address().to_string()
}

#[tokio::test]
async fn a_known_key_has_its_known_account_and_signs_for_it() {
    let signer = Signer::connect(SignerConfig::PrivateKey(secret(KEY))).await.unwrap();
    assert_eq!(signer.address().to_string(), ACCOUNT);
    let signed = signer.sign(tx()).await.unwrap();
    assert_signed(&signed, &tx(), account());
    assert_eq!(signer.sign(tx()).await.unwrap(), signed, "the same bytes again");
}

#[tokio::test]
async fn a_key_file_is_read_with_or_without_prefix_and_line_end() {
    let dir = tempfile::tempdir().unwrap();
    for content in [KEY, &format!("{}\n", KEY.trim_start_matches("0x"))] {
        let path = file(dir.path(), "key", content, 0o600);
        let signer = Signer::connect(SignerConfig::KeyFile(path)).await.unwrap();
        assert_eq!((signer.address(), signer.kind()), (account(), "private key"));
    }
}

#[tokio::test]
async fn a_secret_that_every_user_may_read_or_change_is_refused_with_the_command_that_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    for mode in [0o644, 0o602] {
        let path = file(dir.path(), "key", KEY, mode);
        let error = Signer::connect(SignerConfig::KeyFile(path.clone())).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("chmod 600 {}", path.display())), "{text}");
        assert!(text.contains(&format!("{mode:04o}")), "{text}");
    }
    let path = file(dir.path(), "key", KEY, 0o440);
    assert!(Signer::connect(SignerConfig::KeyFile(path)).await.is_ok(), "a group may be shared on purpose");
}

#[tokio::test]
async fn files_that_are_none_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let empty = file(dir.path(), "empty", " \n", 0o600);
    let large = file(dir.path(), "large", &"1".repeat(300_000), 0o600);
    for path in [missing, pipe, empty, large, dir.path().to_owned()] {
        let error = Signer::connect(SignerConfig::KeyFile(path.clone())).await.unwrap_err();
        assert!(matches!(&error, SignerError::File { path: named, .. } if *named == path), "{error}");
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn a_keystore_opens_with_its_password_from_a_file_or_a_variable_and_with_no_other() {
    let dir = tempfile::tempdir().unwrap();
    // Cargo sets this variable for tests.
    let password = env!("CARGO_PKG_NAME");
    let path = keystore(dir.path(), password);
    let right = file(dir.path(), "password", &format!("{password}\n"), 0o600);
    for password in [Words::File(right), Words::Variable("CARGO_PKG_NAME".to_owned())] {
        let signer = Signer::connect(SignerConfig::Keystore { path: path.clone(), password }).await.unwrap();
        assert_eq!((signer.address(), signer.kind()), (account(), "keystore"));
        assert_signed(&signer.sign(tx()).await.unwrap(), &tx(), account());
    }
    let password = Words::Inline(secret("another"));
    let error = Signer::connect(SignerConfig::Keystore { path, password }).await.unwrap_err();
    assert!(error.to_string().contains("password"), "{error}");
}

#[tokio::test]
async fn a_damaged_keystore_is_an_error_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let whole = std::fs::read_to_string(keystore(dir.path(), "password")).unwrap();
    let dklen = whole.replace("\"dklen\":32", "\"dklen\":8");
    assert_ne!(dklen, whole);
    for content in [&whole[..whole.len() / 2], &dklen, "{}", "[1]"] {
        let path = file(dir.path(), "damaged.json", content, 0o600);
        let password = Words::Inline(secret("password"));
        let error = Signer::connect(SignerConfig::Keystore { path, password }).await.unwrap_err();
        assert!(matches!(error, SignerError::File { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_mnemonic_leads_to_its_known_accounts() {
    assert_eq!(address(mnemonic(DEFAULT_PATH, None)).await, ACCOUNT);
    let second = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
    assert_eq!(address(mnemonic("m/44'/60'/0'/0/1", None)).await, second);
    assert_ne!(address(mnemonic(DEFAULT_PATH, Some("more"))).await, ACCOUNT);
    let dir = tempfile::tempdir().unwrap();
    let words = file(dir.path(), "words", &MNEMONIC.replace(' ', " \n"), 0o600);
    let config =
        SignerConfig::Mnemonic { words: Words::File(words), path: DEFAULT_PATH.to_owned(), passphrase: None };
    assert_eq!(address(config).await, ACCOUNT, "on lines of its own");
}

#[tokio::test]
async fn a_signer_of_another_account_is_refused_with_both_named() {
    let signer = Signer::connect(SignerConfig::PrivateKey(secret(KEY))).await.unwrap();
    let signer = signer.must_be(account()).unwrap();
    let other = "0x00000000000000000000000000000000000000aa".parse().unwrap();
    let error = signer.must_be(other).unwrap_err();
    assert_eq!(error, SignerError::OtherAccount { found: account(), expected: other });
    assert!(error.to_string().contains(ACCOUNT) && error.to_string().contains(&other.to_string()));
}

#[cfg(not(any(feature = "aws", feature = "gcp")))]
#[tokio::test]
async fn a_kind_that_the_build_lacks_is_named_with_its_feature() {
    let aws = SignerConfig::Aws { key_id: "alias/proposer".to_owned(), region: None };
    let error = Signer::connect(aws).await.unwrap_err();
    assert_eq!(error, SignerError::Feature { feature: "aws" });
    assert!(error.to_string().contains("--features aws"));
    let text = || "x".to_owned();
    let gcp = GcpKey { project: text(), location: text(), keyring: text(), key: text(), version: 1 };
    let error = Signer::connect(SignerConfig::Gcp(gcp)).await.unwrap_err();
    assert_eq!(error, SignerError::Feature { feature: "gcp" });
}
