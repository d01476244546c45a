//! Keys that sign L1 transactions.
//!
//! A key comes from the configuration, a file, an encrypted keystore or a mnemonic, or stays with a service that signs.
//! It is opened once, at start; what cannot be opened says why and what to do, and never what was in it. `Debug` shows
//! the account alone. What a crash means: nothing; a signature that nobody recorded was sent to nobody.

mod local;
mod remote;

use std::fmt;
use std::path::PathBuf;

use alloy::consensus::TxEip1559;
use alloy::signers::local::PrivateKeySigner;
use prooflog_events::ids::Address;
use prooflog_net::Secret;

pub use remote::RemoteConfig;

/// Where a key is.
#[derive(Debug, Clone)]
pub enum SignerConfig {
    /// A private key in hex.
    PrivateKey(Secret<String>),
    /// A file that holds a private key in hex.
    KeyFile(PathBuf),
    /// An encrypted key file (web3, version 3).
    Keystore {
        /// The file.
        path: PathBuf,
        /// What opens it.
        password: Words,
    },
    /// Words that a key is derived from.
    Mnemonic {
        /// The words.
        words: Words,
        /// The derivation path.
        path: String,
    },
    /// A service that signs.
    Remote(RemoteConfig),
}

/// A secret, or the file that holds it.
#[derive(Debug, Clone)]
pub enum Words {
    /// The secret itself.
    Inline(Secret<String>),
    /// A file; white space around its content does not count.
    File(PathBuf),
}

/// Why there is no signature, or no signer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// A file cannot be read.
    #[error("{path}: {problem}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The key is none.
    #[error("{0}")]
    Key(String),
    /// The service did not sign.
    #[error("the remote signer: {0}")]
    Remote(String),
    /// The service cannot be reached.
    #[error("the remote signer cannot be reached: {0}")]
    Unreachable(String),
    /// The service signed something else.
    #[error("the remote signer signed something else than it was asked: {0}")]
    Forged(String),
}

impl SignerError {
    /// Whether it may mend itself.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}

/// Signs for one account.
pub struct Signer {
    address: Address,
    key: Key,
}

enum Key {
    Local(Box<PrivateKeySigner>),
    Remote(Box<remote::Remote>),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("address", &self.address).field("kind", &self.kind()).finish()
    }
}

impl Signer {
    /// Opens a key.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub async fn connect(config: SignerConfig) -> Result<Self, SignerError> {
        if let SignerConfig::Remote(config) = config {
            let remote = remote::Remote::new(config)?;
            return Ok(Self { address: remote.address(), key: Key::Remote(Box::new(remote)) });
        }
        // Opening a keystore takes a processor for a second by design.
        let opened = tokio::task::spawn_blocking(move || local::open(&config)).await;
        let key =
            opened.map_err(|_| SignerError::Key("opening the key died: this is a bug".to_owned()))??;
        Ok(Self { address: Address(key.address().0.0), key: Key::Local(Box::new(key)) })
    }

    /// The account.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Where the key is, in a word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.key {
            Key::Local(_) => "local",
            Key::Remote(_) => "remote",
        }
    }

    /// Signs a transaction; the bytes are as they are broadcast (EIP-2718).
    ///
    /// # Errors
    /// Why there is no signature.
    pub async fn sign(&self, tx: TxEip1559) -> Result<Vec<u8>, SignerError> {
        match &self.key {
            Key::Local(key) => local::sign(key, tx),
            Key::Remote(remote) => remote.sign(tx).await,
        }
    }
}
