//! From the configuration's words for a signer to the signer's own.

use prooflog_config::{ChainConfig, RemoteSigner, SignerConfig as Configured, Source};
use prooflog_net::{Limits, Secret};
use prooflog_signer::{RemoteConfig, SignerConfig, Words};

use super::start::StartError;

/// Where the key of a rollup's account is.
///
/// # Errors
/// When a file of certificates cannot be read, or this build does not know the kind.
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
            SignerConfig::Mnemonic { words: words(phrase), path: path.clone() }
        }
        Configured::Remote(remote) => SignerConfig::Remote(remote_of(config, remote)?),
        Configured::Aws { .. } => return Err(lacks("aws")),
        Configured::Gcp { .. } => return Err(lacks("gcp")),
        Configured::Nobody(_) => {
            return Err(StartError::Wrong("nobody signs: configure a signer".to_owned()));
        }
    })
}

fn lacks(feature: &str) -> StartError {
    StartError::Wrong(format!("this build does not know {feature} keys: build it with --features {feature}"))
}

fn remote_of(config: &ChainConfig, remote: &RemoteSigner) -> Result<RemoteConfig, StartError> {
    let read = |path: &std::path::Path| {
        std::fs::read(path).map_err(|error| StartError::Wrong(format!("{}: {error}", path.display())))
    };
    let identity = match &remote.tls_client {
        Some((certificate, key)) => {
            let mut both = read(certificate)?;
            both.push(b'\n');
            both.extend(read(key)?);
            Some(Secret::new(both))
        }
        None => None,
    };
    Ok(RemoteConfig {
        endpoint: remote.endpoint.clone(),
        address: remote.address,
        headers: remote.headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect(),
        ca: remote.tls_ca.as_deref().map(read).transpose()?,
        identity,
        limits: Limits { call: config.network_timeout, ..Limits::default() },
    })
}
