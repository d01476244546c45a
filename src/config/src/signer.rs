//! Which signer was meant.
//!
//! Two are refused by name: an older proposer let one of them win silently. Half a signer is refused; a part of one that
//! is not set gets a note.

use crate::chain::{RemoteSigner, SignerConfig, Source};
use crate::check::Findings;
use crate::draft::SignerDraft;

/// The one signer that is set; `None` where it is not exactly one, or not all of it.
pub(crate) fn choose(draft: &SignerDraft, found: &mut Findings<'_>) -> Option<SignerConfig> {
    let gcp = gcp_parts(draft);
    let gcp_key = gcp.iter().find(|(_, value)| !value.is_empty()).map_or("gcp.key", |(key, _)| key);
    let candidates = [
        ("private-key", draft.private_key.is_some()),
        ("private-key-file", draft.key_file.is_some()),
        ("keystore.path", draft.keystore.is_some()),
        ("mnemonic", draft.mnemonic.is_some()),
        ("mnemonic-file", draft.mnemonic_file.is_some()),
        ("signer.endpoint", draft.endpoint.is_some()),
        ("aws.key-id", !draft.aws_key.is_empty()),
        (gcp_key, gcp.iter().any(|(_, value)| !value.is_empty())),
    ];
    let set: Vec<&'static str> = candidates.iter().filter(|(_, set)| *set).map(|(key, _)| *key).collect();
    say_what_is_idle(&set, found);
    // One of which a part could not be read has been reported.
    let unread = candidates.iter().any(|(key, _)| found.is_reported(key));
    match set.as_slice() {
        ["private-key"] => draft.private_key.clone().map(SignerConfig::PrivateKey),
        ["private-key-file"] => draft.key_file.clone().map(SignerConfig::KeyFile),
        ["keystore.path"] => keystore(draft, found),
        ["mnemonic"] => {
            let words = Source::Inline(draft.mnemonic.clone()?);
            Some(SignerConfig::Mnemonic { words, path: draft.hd_path.clone() })
        }
        ["mnemonic-file"] => {
            let words = Source::File(draft.mnemonic_file.clone()?);
            Some(SignerConfig::Mnemonic { words, path: draft.hd_path.clone() })
        }
        ["signer.endpoint"] => remote(draft, found),
        ["aws.key-id"] => {
            let region = (!draft.aws_region.is_empty()).then(|| draft.aws_region.clone());
            Some(SignerConfig::Aws { key_id: draft.aws_key.clone(), region })
        }
        [_] => Some(gcp_key_of(draft, found)),
        [] if unread => None,
        [] => {
            if draft.address.is_none() {
                let right = "set one of private-key-file, private-key, keystore.path, mnemonic, mnemonic-file, \
                             signer.endpoint, aws.key-id, gcp.key; to observe, signer.address is enough";
                found.wrong("signer", "is missing", right);
            }
            draft.address.map(SignerConfig::Nobody)
        }
        [first, ..] => {
            let named = |key: &&str| match found.origins.get(*key) {
                Some(origin) => format!("{key} ({origin})"),
                None => (*key).to_owned(),
            };
            let named: Vec<String> = set.iter().map(named).collect();
            found.wrong(first, format!("there are {} signers: {}", set.len(), named.join(", ")), "keep one");
            None
        }
    }
}

/// Parts of signers that are not set.
fn say_what_is_idle(set: &[&'static str], found: &mut Findings<'_>) {
    let parts: [(&'static str, &[&str]); 9] = [
        ("keystore.password", &["keystore.path"]),
        ("keystore.password-file", &["keystore.path"]),
        ("hd-path", &["mnemonic", "mnemonic-file"]),
        ("signer.header", &["signer.endpoint"]),
        ("signer.tls.ca", &["signer.endpoint"]),
        ("signer.tls.cert", &["signer.endpoint"]),
        ("signer.tls.key", &["signer.endpoint"]),
        ("aws.region", &["aws.key-id"]),
        ("gcp.key-version", &["gcp.project", "gcp.location", "gcp.keyring", "gcp.key"]),
    ];
    for (key, needs) in &parts {
        if !needs.iter().any(|need| set.contains(need)) {
            found.idle(key, needs.last().copied().unwrap_or_default());
        }
    }
}

/// What names a key in Google Cloud KMS.
const fn gcp_parts(draft: &SignerDraft) -> [(&'static str, &String); 4] {
    [
        ("gcp.project", &draft.gcp_project),
        ("gcp.location", &draft.gcp_location),
        ("gcp.keyring", &draft.gcp_keyring),
        ("gcp.key", &draft.gcp_key),
    ]
}

fn gcp_key_of(draft: &SignerDraft, found: &mut Findings<'_>) -> SignerConfig {
    for (key, _) in gcp_parts(draft).iter().filter(|(_, value)| value.is_empty()) {
        found.wrong(key, "is missing", "a key in Google Cloud KMS has project, location, keyring and key");
    }
    SignerConfig::Gcp {
        project: draft.gcp_project.clone(),
        location: draft.gcp_location.clone(),
        keyring: draft.gcp_keyring.clone(),
        key: draft.gcp_key.clone(),
        version: draft.gcp_version,
    }
}

fn keystore(draft: &SignerDraft, found: &mut Findings<'_>) -> Option<SignerConfig> {
    let path = draft.keystore.clone()?;
    let password = match (&draft.keystore_password, &draft.keystore_password_file) {
        (Some(password), None) => Source::Inline(password.clone()),
        (None, Some(file)) => Source::File(file.clone()),
        (None, None) => {
            found.wrong("keystore.password-file", "is missing", "a keystore needs its password");
            return None;
        }
        (Some(_), Some(_)) => {
            found.wrong("keystore.password-file", "is set beside keystore.password", "keep one of them");
            return None;
        }
    };
    Some(SignerConfig::Keystore { path, password })
}

fn remote(draft: &SignerDraft, found: &mut Findings<'_>) -> Option<SignerConfig> {
    let tls_client = match (&draft.tls_cert, &draft.tls_key) {
        (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
        (None, None) => None,
        (Some(_), None) => {
            found.wrong("signer.tls.key", "is missing", "a certificate needs its key");
            None
        }
        (None, Some(_)) => {
            found.wrong("signer.tls.cert", "is missing", "a key needs its certificate");
            None
        }
    };
    if draft.address.is_none() {
        found.wrong(
            "signer.address",
            "is missing",
            "a remote signer must be told for which account it signs",
        );
    }
    Some(SignerConfig::Remote(RemoteSigner {
        endpoint: draft.endpoint.clone()?,
        address: draft.address?,
        headers: draft.headers.clone(),
        tls_ca: draft.tls_ca.clone(),
        tls_client,
    }))
}
