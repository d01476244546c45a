//! From the configuration's words for a signer to the signer's own.

use prooflog_config::{ChainConfig, RemoteSigner, SignerConfig as Configured, Source};
use prooflog_net::Limits;
use prooflog_signer::{GcpKey, RemoteApi, RemoteConfig, SignerConfig, Tls, Words};

use super::start::StartError;

/// Where the key of a rollup's account is.
///
/// # Errors
/// When nobody signs.
pub(crate) fn config_of(config: &ChainConfig) -> Result<SignerConfig, StartError> {
    let words = |source: &Source| match source {
        Source::Inline(secret) => Words::Inline(secret.clone()),
        Source::File(path) => Words::File(path.clone()),
    };
    Ok(match &config.signer {
        Configured::PrivateKey(key) => SignerConfig::PrivateKey(key.clone()),
        Configured::KeyFile(path) => SignerConfig::KeyFile(path.clone()),
        Configured::Keystore { path, password } => {
            SignerConfig::Keystore { path: path.clone(), password: words(password) }
        }
        Configured::Mnemonic { words: phrase, path } => {
            SignerConfig::Mnemonic { words: words(phrase), path: path.clone(), passphrase: None }
        }
        Configured::Remote(remote) => SignerConfig::Remote(remote_of(config, remote)),
        Configured::Aws { key_id, region } => {
            SignerConfig::Aws { key_id: key_id.clone(), region: region.clone() }
        }
        Configured::Gcp { project, location, keyring, key, version } => SignerConfig::Gcp(GcpKey {
            project: project.clone(),
            location: location.clone(),
            keyring: keyring.clone(),
            key: key.clone(),
            version: *version,
        }),
        Configured::Nobody(_) => {
            return Err(StartError::Wrong("nobody signs: configure a signer".to_owned()));
        }
    })
}

fn remote_of(config: &ChainConfig, remote: &RemoteSigner) -> RemoteConfig {
    RemoteConfig {
        endpoint: remote.endpoint.clone(),
        address: remote.address,
        api: RemoteApi::SignTransaction,
        headers: remote.headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect(),
        tls: Tls { ca: remote.tls_ca.clone(), client: remote.tls_client.clone() },
        limits: Limits { call: config.network_timeout, ..Limits::default() },
    }
}
