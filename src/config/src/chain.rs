//! What one rollup needs, checked and ready for its adapters.
//!
//! Nothing here is half there: what a kind of signer needs is in its variant. Secrets and endpoints do not show.

use std::path::PathBuf;
use std::time::Duration;

use prooflog_events::ids::{Address, ChainId, L1ChainId};
use prooflog_events::policy::Policy;
use prooflog_net::{Endpoint, Secret};

use crate::kinds::Header;

/// The settings of one rollup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainConfig {
    /// Its L2 chain id.
    pub id: ChainId,
    /// Its name in metrics and messages; the chain id where none is set.
    pub name: String,
    /// L1 nodes, in the order in which they are preferred; at least one.
    pub l1: Vec<Endpoint>,
    /// What the L1 nodes must say their chain id is, if set.
    pub l1_chain_id: Option<L1ChainId>,
    /// Rollup nodes, in the order in which they are preferred; at least one.
    pub rollup: Vec<Endpoint>,
    /// L2 execution node, for gas and statistics.
    pub l2: Option<Endpoint>,
    /// The output oracle on L1.
    pub oracle: Address,
    /// The game factory as the operator believes it is; only compared with what the oracle says.
    pub factory: Option<Address>,
    /// The prover's server.
    pub prover: ProverConfig,
    /// Who signs L1 transactions.
    pub signer: SignerConfig,
    /// The account that the signer must turn out to be, if set.
    pub signer_address: Option<Address>,
    /// Whether a rollup node without SafeDB is a warning instead of a fault.
    pub safe_db_fallback: bool,
    /// Whether to wait at start until the rollup node has caught up with L1.
    pub wait_node_sync: bool,
    /// How long that is waited for before the rollup is given up.
    pub node_sync_timeout: Duration,
    /// Pause between two looks at the outside.
    pub poll_interval: Duration,
    /// How long a call to L1, a rollup node or the L2 node may take.
    pub network_timeout: Duration,
    /// Everything of the policy but its signer.
    pub(crate) policy: Policy,
}

impl ChainConfig {
    /// The limits and choices in force, for transactions that `signer` sends. Who that is is known once the key was
    /// opened.
    #[must_use]
    pub fn policy(&self, signer: Address) -> Policy {
        Policy { signer, ..self.policy.clone() }
    }
}

/// How to reach the prover's server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProverConfig {
    /// Its address.
    pub endpoint: Endpoint,
    /// How long a status call may go without progress.
    pub status_timeout: Duration,
    /// Largest proof that is taken, in bytes.
    pub max_proof_bytes: u64,
}

/// Who signs L1 transactions. Exactly one of them is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignerConfig {
    /// A private key in hex, checked to be 32 bytes.
    PrivateKey(Secret<String>),
    /// A file that holds a private key in hex.
    KeyFile(PathBuf),
    /// An encrypted key file.
    Keystore {
        /// The file.
        path: PathBuf,
        /// What opens it.
        password: Source,
    },
    /// Words that a key is derived from.
    Mnemonic {
        /// The words.
        words: Source,
        /// The derivation path.
        path: String,
    },
    /// A service that signs.
    Remote(RemoteSigner),
    /// A key in AWS KMS. Credentials come from AWS's own environment.
    Aws {
        /// Id, ARN or alias of the key.
        key_id: String,
        /// Its region; AWS's own default where `None`.
        region: Option<String>,
    },
    /// A key in Google Cloud KMS. Credentials come from Google's own environment.
    Gcp {
        /// The project.
        project: String,
        /// The location.
        location: String,
        /// The key ring.
        keyring: String,
        /// The key.
        key: String,
        /// Its version.
        version: u64,
    },
    /// Nobody: only the account is known. Enough for observing; whatever has to sign must refuse to start.
    Nobody(Address),
}

/// A secret, or the file that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The secret itself.
    Inline(Secret<String>),
    /// A file; white space around its content does not count.
    File(PathBuf),
}

/// A service that signs transactions for one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteSigner {
    /// Its address.
    pub endpoint: Endpoint,
    /// The account that it signs for.
    pub address: Address,
    /// Headers of each call.
    pub headers: Vec<Header>,
    /// Certificate authority that its certificate must come from, as PEM.
    pub tls_ca: Option<PathBuf>,
    /// Our certificate and its key, as PEM.
    pub tls_client: Option<(PathBuf, PathBuf)>,
}
