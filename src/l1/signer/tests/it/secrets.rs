//! No error and no `Debug` shows a secret: each source is given a canary, and broken in each way that it can be.

use std::time::Duration;

use prooflog_net::{Endpoint, Limits, Salt};
use prooflog_signer::{DEFAULT_PATH, RemoteApi, RemoteConfig, Signer, SignerConfig, Tls, Words};

use crate::{ACCOUNT, KEY, account, file, secret};

/// Not hex, not a word of the list, found nowhere else.
const CANARY: &str = "canary-7d1f";

async fn assert_hidden(config: SignerConfig, canaries: &[&str]) {
    let mut shown = format!("{config:?}");
    match Signer::connect(config).await {
        Ok(signer) => shown.push_str(&format!("{signer:?}")),
        Err(error) => shown.push_str(&format!("{error} {error:?}")),
    }
    for canary in canaries {
        assert!(!shown.contains(canary), "{shown}");
    }
}

#[tokio::test]
async fn debug_shows_kind_and_account_alone() {
    let signer = Signer::connect(SignerConfig::PrivateKey(secret(KEY))).await.unwrap();
    assert_eq!(format!("{signer:?}"), format!("Signer {{ kind: \"private key\", address: {ACCOUNT} }}"));
}

#[tokio::test]
async fn keys_that_are_none_are_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    for text in [CANARY, &KEY[..60], &format!("{KEY}00"), &format!("0x{}", "0".repeat(64)), KEY] {
        assert_hidden(SignerConfig::PrivateKey(secret(text)), &[text, CANARY, &KEY[10..40]]).await;
        let path = file(dir.path(), "key", text, 0o600);
        assert_hidden(SignerConfig::KeyFile(path), &[text, CANARY, &KEY[10..40]]).await;
    }
    // A variable that is set, to what is no key; and secrets put in the place of a variable's name.
    let package = env!("CARGO_PKG_DESCRIPTION");
    assert_hidden(SignerConfig::KeyVariable("CARGO_PKG_DESCRIPTION".to_owned()), &[package]).await;
    for name in [KEY.trim_start_matches("0x"), "=", "", CANARY, "a\0b"] {
        let error = Signer::connect(SignerConfig::KeyVariable(name.to_owned())).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(CANARY) && !shown.contains(&KEY[10..40]), "{shown}");
    }
}

#[tokio::test]
async fn passwords_and_mnemonics_are_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let broken = file(dir.path(), "keystore.json", &format!("{{\"crypto\": \"{CANARY}\"}}"), 0o600);
    let password = Words::Inline(secret(CANARY));
    assert_hidden(SignerConfig::Keystore { path: broken, password }, &[CANARY]).await;
    for words in [CANARY.to_owned(), format!("{}{CANARY}", "abandon ".repeat(11)), "zebra ".repeat(12)] {
        for passphrase in ["", CANARY] {
            let config = SignerConfig::Mnemonic {
                words: Words::Inline(secret(&words)),
                path: DEFAULT_PATH.to_owned(),
                passphrase: Some(Words::Inline(secret(passphrase))),
            };
            assert_hidden(config, &[CANARY, "abandon", "zebra"]).await;
        }
    }
    let words = Words::Inline(secret("zebra"));
    let misplaced = SignerConfig::Mnemonic { words, path: format!("m/{CANARY}"), passphrase: None };
    let error = Signer::connect(misplaced).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
}

fn remote(endpoint: &str, header: &str, tls: Tls) -> SignerConfig {
    SignerConfig::Remote(RemoteConfig {
        endpoint: Endpoint::parse(endpoint, Salt::default()).unwrap(),
        address: account(),
        api: RemoteApi::default(),
        headers: vec![("authorization".to_owned(), secret(header))],
        tls,
        limits: Limits { call: Duration::from_secs(5), ..Limits::default() },
    })
}

#[tokio::test]
async fn headers_certificates_and_credentials_of_a_remote_signer_are_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = format!("https://joe:{CANARY}@127.0.0.1:1/{CANARY}?token={CANARY}");
    assert_hidden(remote(&endpoint, &format!("{CANARY}\n"), Tls::default()), &[CANARY]).await;
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n");
    let key = file(dir.path(), "key.pem", &pem, 0o600);
    let open = file(dir.path(), "open.pem", &pem, 0o644);
    for tls in [
        Tls { ca: Some(key.clone()), client: None },
        Tls { ca: None, client: Some((key.clone(), key.clone())) },
        Tls { ca: None, client: Some((key.clone(), open)) },
    ] {
        let config = remote(&endpoint, CANARY, tls.clone());
        assert!(Signer::connect(config.clone()).await.is_err());
        assert_hidden(config, &[CANARY]).await;
        assert_hidden(remote("http://127.0.0.1:1/", CANARY, tls), &[CANARY]).await;
    }
    let signer = Signer::connect(remote(&endpoint, CANARY, Tls::default())).await.unwrap();
    let error = signer.sign(crate::tx()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(!format!("{error} {error:?} {signer:?}").contains(CANARY), "{error}");
}
