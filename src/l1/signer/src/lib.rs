//! Keys that sign L1 transactions.
//!
//! A key comes from the configuration, the environment, a file, an encrypted keystore or a mnemonic, or stays with a
//! service or a cloud that signs. It is opened once, at start; what cannot be opened says why and what to do, and never
//! what was in it. Whatever signs, the result is read again before anybody sees it. `Debug` shows kind and account.
//! What a crash means: nothing; a signature that nobody recorded was sent to nobody.

mod check;
mod cloud;
mod error;
mod files;
mod keystore;
mod local;
mod remote;

use std::fmt;
use std::path::PathBuf;

use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy::eips::eip2718::Encodable2718;
use alloy::signers::local::PrivateKeySigner;
use prooflog_events::ids::{Address, Hash32};
use prooflog_net::Secret;

pub use error::{Field, SignerError};
pub use remote::{RemoteApi, RemoteConfig, Tls};

/// Where wallets keep their first account below a mnemonic.
pub const DEFAULT_PATH: &str = "m/44'/60'/0'/0/0";

/// Where a key is.
#[derive(Debug, Clone)]
pub enum SignerConfig {
    /// A private key in hex.
    PrivateKey(Secret<String>),
    /// A variable of the environment that holds a private key in hex.
    KeyVariable(String),
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
        /// The derivation path; [`DEFAULT_PATH`] is usual.
        path: String,
        /// What was added to the words, where something was.
        passphrase: Option<Words>,
    },
    /// A service that signs.
    Remote(RemoteConfig),
    /// A key in AWS KMS (feature `aws`). Credentials come from AWS's own environment.
    Aws {
        /// Id, ARN or alias of the key.
        key_id: String,
        /// Its region; AWS's own default where `None`.
        region: Option<String>,
    },
    /// A key in Google Cloud KMS (feature `gcp`). Credentials come from Google's own environment.
    Gcp(GcpKey),
}

/// A secret, or where it is. White space around it does not count.
#[derive(Debug, Clone)]
pub enum Words {
    /// The secret itself.
    Inline(Secret<String>),
    /// A file that holds it; refused if every user of the machine may read it.
    File(PathBuf),
    /// A variable of the environment that holds it.
    Variable(String),
}

/// A key in Google Cloud KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcpKey {
    /// The project.
    pub project: String,
    /// The location, such as `global`.
    pub location: String,
    /// The key ring.
    pub keyring: String,
    /// The key.
    pub key: String,
    /// Its version.
    pub version: u64,
}

/// A signed transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Its bytes as they are broadcast (EIP-2718).
    pub raw: Vec<u8>,
    /// Its hash.
    pub hash: Hash32,
}

/// Signs for one account.
pub struct Signer {
    address: Address,
    key: Key,
}

enum Key {
    Held(Held),
    Remote(Box<remote::Remote>),
}

/// A key that signs digests: ours, or a cloud's.
struct Held {
    signer: Box<dyn alloy::signers::Signer + Send + Sync>,
    kind: &'static str,
    /// As errors name it.
    who: &'static str,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("kind", &self.kind()).field("address", &self.address).finish()
    }
}

impl Signer {
    /// Opens a key. A remote signer is not asked yet; a cloud is asked for the public key.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub async fn connect(config: SignerConfig) -> Result<Self, SignerError> {
        let key = match config {
            SignerConfig::Aws { key_id, region } => Key::Held(cloud::aws(key_id, region).await?),
            SignerConfig::Gcp(key) => Key::Held(cloud::gcp(key).await?),
            // Files are read, and opening a keystore takes a processor for a second by design.
            config => tokio::task::spawn_blocking(move || open(config))
                .await
                .map_err(|_| SignerError::Key("opening the key died: this is a bug".to_owned()))??,
        };
        let address = match &key {
            Key::Held(held) => Address(held.signer.address().into_array()),
            Key::Remote(remote) => remote.address(),
        };
        Ok(Self { address, key })
    }

    /// Itself, if it signs for this account.
    ///
    /// # Errors
    /// When its key is that of another.
    pub fn must_be(self, expected: Address) -> Result<Self, SignerError> {
        if self.address == expected {
            return Ok(self);
        }
        Err(SignerError::OtherAccount { found: self.address, expected })
    }

    /// The account.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Where the key is, in a word or two.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match &self.key {
            Key::Held(held) => held.kind,
            Key::Remote(_) => "remote",
        }
    }

    /// Signs a transaction. Our own keys always sign the same transaction with the same bytes; others may not. A call
    /// over the network ends at its limit.
    ///
    /// # Errors
    /// Why there is no signature, or that it is not of what was asked.
    pub async fn sign(&self, tx: TxEip1559) -> Result<Signed, SignerError> {
        match &self.key {
            Key::Held(held) => held.sign(tx, self.address).await,
            Key::Remote(remote) => remote.sign(tx).await,
        }
    }
}

impl Held {
    async fn sign(&self, tx: TxEip1559, account: Address) -> Result<Signed, SignerError> {
        let digest = tx.signature_hash();
        let signature = cloud::within(self.who, self.signer.sign_hash(&digest)).await?;
        let hint = "check that the key is enabled and may sign";
        let signature = signature.map_err(|error| cloud::refused(self.who, &error, hint))?;
        let raw = tx.clone().into_signed(signature).encoded_2718();
        check::check(&tx, raw, account, self.who)
    }
}

/// Opens what needs no answer from elsewhere.
fn open(config: SignerConfig) -> Result<Key, SignerError> {
    let ours = |kind, key: PrivateKeySigner| {
        Key::Held(Held { signer: Box::new(key), kind, who: "the key of this process" })
    };
    match config {
        SignerConfig::PrivateKey(key) => {
            Ok(ours("private key", local::private_key(key.expose(), "the configured key")?))
        }
        SignerConfig::KeyVariable(name) => {
            let key = files::variable(&name)?;
            let what = "the content of the variable for the key";
            Ok(ours("private key", local::private_key(key.expose(), what)?))
        }
        SignerConfig::KeyFile(path) => {
            let key = files::private_text(&path)?;
            let what = format!("the content of {}", path.display());
            Ok(ours("private key", local::private_key(key.expose(), &what)?))
        }
        SignerConfig::Keystore { path, password } => {
            let password = files::words(&password)?;
            Ok(ours("keystore", keystore::open(&path, password.expose())?))
        }
        SignerConfig::Mnemonic { words, path, passphrase } => {
            Ok(ours("mnemonic", local::mnemonic(&words, &path, passphrase.as_ref())?))
        }
        SignerConfig::Remote(config) => Ok(Key::Remote(Box::new(remote::Remote::new(config)?))),
        SignerConfig::Aws { .. } => Err(SignerError::Feature { feature: "aws" }),
        SignerConfig::Gcp(_) => Err(SignerError::Feature { feature: "gcp" }),
    }
}
