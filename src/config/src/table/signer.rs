//! Rows of the signer. Exactly one of private key, key file, keystore, mnemonic, remote signer, AWS and GCP is set.
//!
//! Two are refused, and so is half of one.

use super::Program::{Go, OpProposer, Rust};
use super::{At, Key, Older, keys};
use crate::draft::ChainDraft;
use crate::kinds::{Account, Count, File, Headers, Hex32, Hidden, Text, Url};

const SILENT: &str = "The Rust proposer let it win silently over a private key or a remote signer; here two signers \
                      are refused.";

const fn text(right: &'static str) -> Text {
    Text { most: 512, right }
}

pub(super) const KEYS: &[Key<ChainDraft>] = keys! { ChainDraft;
    "private-key" Shared Hex32, |c| c.signer.private_key,
    "Private key of the sender. A file is safer.", [
        Older::new("PRIVATE_KEY", &[(Go, ""), (Rust, ""), (OpProposer, "")]),
    ];
    "private-key-file" Shared File, |c| c.signer.key_file,
    "File that holds the private key in hex.", [];
    "keystore.path" Shared File, |c| c.signer.keystore,
    "Encrypted key file, as geth and cast write it.", [];
    "keystore.password" Shared Hidden { right: "the password of the keystore" }, |c| c.signer.keystore_password,
    "Password of the keystore. A file is safer.", [];
    "keystore.password-file" Shared File, |c| c.signer.keystore_password_file,
    "File that holds the password of the keystore.", [];
    "mnemonic" Shared Hidden { right: "12 to 24 words" }, |c| c.signer.mnemonic,
    "Words that the sender's key is derived from.", [
        Older::new("MNEMONIC", &[(Go, ""), (OpProposer, "")]),
    ];
    "mnemonic-file" Shared File, |c| c.signer.mnemonic_file,
    "File that holds those words.", [];
    "hd-path" Shared text("a derivation path such as m/44'/60'/0'/0/0"), |c| c.signer.hd_path,
    "Derivation path of the key, with a mnemonic.", [
        Older::new("HD_PATH", &[(Go, ""), (OpProposer, "")]),
    ];
    "signer.endpoint" Shared Url, |c| c.signer.endpoint,
    "Remote signer that answers `eth_signTransaction`, such as op-signer. Needs `signer.address`.", [
        Older::new("SIGNER_ENDPOINT", &[(Go, ""), (OpProposer, "")]),
        Older::new("SIGNER_URL", &[(Rust, "")]),
    ];
    "signer.address" Shared Account, |c| c.signer.address,
    "Account that signs. A remote signer needs it; with another signer it is compared with the key. Alone it is \
     enough for `--observe`.", [
        Older::new("SIGNER_ADDRESS", &[(Go, ""), (Rust, ""), (OpProposer, "")]),
    ];
    "signer.header" Shared Headers, |c| c.signer.headers,
    "Headers of each call to the remote signer, each `Name: value`.", [
        Older::new("SIGNER_HEADER", &[(OpProposer, "")]),
    ];
    "signer.tls.ca" Shared File, |c| c.signer.tls_ca,
    "Certificate authority (PEM) that the remote signer's certificate must come from.", [
        Older::new("SIGNER_TLS_CA", &[(Go, ""), (OpProposer, "")]),
    ];
    "signer.tls.cert" Shared File, |c| c.signer.tls_cert,
    "Our certificate (PEM) towards the remote signer.", [
        Older::new("SIGNER_TLS_CERT", &[(Go, ""), (OpProposer, "")]),
    ];
    "signer.tls.key" Shared File, |c| c.signer.tls_key,
    "Key (PEM) of our certificate.", [
        Older::new("SIGNER_TLS_KEY", &[(Go, ""), (OpProposer, "")]),
    ];
    "aws.key-id" Shared text("id, ARN or alias of a key"), |c| c.signer.aws_key,
    "Key in AWS KMS, for a program that was built with `--features aws`. Credentials come from AWS's own environment.", [];
    "aws.region" Shared text("a region such as eu-central-1"), |c| c.signer.aws_region,
    "Region of that key; AWS's own default where none is set.", [];
    "gcp.project" Shared text("a project id"), |c| c.signer.gcp_project,
    "Project of a key in Google Cloud KMS, for a program that was built with `--features gcp`. Credentials come from Google's own environment.", [
        Older::new("GOOGLE_PROJECT_ID", &[(Rust, "")]).remark(SILENT),
    ];
    "gcp.location" Shared text("a location such as global"), |c| c.signer.gcp_location,
    "Location of that key.", [
        Older::new("GOOGLE_LOCATION", &[(Rust, "")]),
    ];
    "gcp.keyring" Shared text("a key ring"), |c| c.signer.gcp_keyring,
    "Key ring of that key.", [
        Older::new("GOOGLE_KEYRING", &[(Rust, "")]),
    ];
    "gcp.key" Shared text("the name of a key"), |c| c.signer.gcp_key,
    "Name of that key.", [
        Older::new("HSM_KEY_NAME", &[(Rust, "")]),
    ];
    "gcp.key-version" Shared Count { least: 1, most: 1_000_000, of: "a version" }, |c| c.signer.gcp_version,
    "Version of that key.", [
        Older::new("HSM_KEY_VERSION", &[(Rust, "1")]),
    ];
};
