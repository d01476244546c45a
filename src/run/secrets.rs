//! Everything secret in a configuration, so that no line of the log can hold it, whoever writes the line.

use prooflog_config::{ChainConfig, Loaded, SignerConfig, Source};
use prooflog_net::Endpoint;
use prooflog_observe::Secrets;

/// What is masked in every line.
pub(crate) fn of(loaded: &Loaded) -> Secrets {
    let secrets = Secrets::default();
    for chain in loaded.chains.iter().filter_map(|chain| chain.as_ref().ok()) {
        let rollup = chain.l1.iter().chain(&chain.rollup).chain(&chain.l2).chain([&chain.prover.endpoint]);
        rollup.for_each(|endpoint| add_endpoint(&secrets, endpoint));
        add_signer(&secrets, chain);
    }
    secrets
}

/// Nothing: the settings of a process without rollups hold no secret.
pub(crate) fn none() -> Secrets {
    Secrets::default()
}

fn add(secrets: &Secrets, text: &str) {
    // What is too short to be told from ordinary words is no secret worth the name.
    let _ = secrets.add(text);
}

/// Whatever stands behind host and port may be a key.
fn add_endpoint(secrets: &Secrets, endpoint: &Endpoint) {
    let url = endpoint.url();
    let parts = [url.password(), url.query(), Some(url.path().trim_matches('/'))];
    for part in parts.into_iter().flatten() {
        add(secrets, part);
    }
}

fn add_signer(secrets: &Secrets, chain: &ChainConfig) {
    let source = |source: &Source| {
        if let Source::Inline(secret) = source {
            add(secrets, secret.expose());
        }
    };
    match &chain.signer {
        SignerConfig::PrivateKey(key) => {
            add(secrets, key.expose());
            add(secrets, key.expose().trim_start_matches("0x"));
        }
        SignerConfig::Keystore { password, .. } => source(password),
        SignerConfig::Mnemonic { words, .. } => source(words),
        SignerConfig::Remote(remote) => {
            add_endpoint(secrets, &remote.endpoint);
            remote.headers.iter().for_each(|header| add(secrets, header.value.expose()));
        }
        SignerConfig::KeyFile(_)
        | SignerConfig::Aws { .. }
        | SignerConfig::Gcp { .. }
        | SignerConfig::Nobody(_) => {}
    }
}
