//! A rollup's settings while the sources are read.
//!
//! Every key of the table has its place here, and nothing was compared yet. The defaults here are the defaults of the table; those of the policy are [`Policy::with_signer`]'s.

use std::path::PathBuf;
use std::time::Duration;

use prooflog_events::ids::{Address, Hash32};
use prooflog_events::policy::Policy;
use prooflog_net::{Endpoint, Secret};

use crate::kinds::{Header, config_name};

/// The settings of one rollup as read.
#[derive(Debug, Clone)]
pub(crate) struct ChainDraft {
    pub(crate) id: Option<u64>,
    pub(crate) name: String,
    pub(crate) l1: Vec<Endpoint>,
    pub(crate) l1_chain_id: Option<u64>,
    pub(crate) rollup: Vec<Endpoint>,
    pub(crate) l2: Option<Endpoint>,
    pub(crate) oracle: Option<Address>,
    pub(crate) factory: Option<Address>,
    pub(crate) prover: Option<Endpoint>,
    pub(crate) status_timeout: Duration,
    pub(crate) max_proof_bytes: u64,
    pub(crate) mock: bool,
    pub(crate) safe_db_fallback: bool,
    pub(crate) wait_node_sync: bool,
    pub(crate) node_sync_timeout: Duration,
    pub(crate) poll_interval: Duration,
    pub(crate) network_timeout: Duration,
    pub(crate) signer: SignerDraft,
    pub(crate) policy: Policy,
}

/// Everything that may name a signer.
#[derive(Debug, Clone)]
pub(crate) struct SignerDraft {
    pub(crate) private_key: Option<Secret<String>>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) keystore: Option<PathBuf>,
    pub(crate) keystore_password: Option<Secret<String>>,
    pub(crate) keystore_password_file: Option<PathBuf>,
    pub(crate) mnemonic: Option<Secret<String>>,
    pub(crate) mnemonic_file: Option<PathBuf>,
    pub(crate) hd_path: String,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) address: Option<Address>,
    pub(crate) headers: Vec<Header>,
    pub(crate) tls_ca: Option<PathBuf>,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) aws_key: String,
    pub(crate) aws_region: String,
    pub(crate) gcp_project: String,
    pub(crate) gcp_location: String,
    pub(crate) gcp_keyring: String,
    pub(crate) gcp_key: String,
    pub(crate) gcp_version: u64,
}

impl Default for SignerDraft {
    fn default() -> Self {
        Self {
            private_key: None,
            key_file: None,
            keystore: None,
            keystore_password: None,
            keystore_password_file: None,
            mnemonic: None,
            mnemonic_file: None,
            hd_path: "m/44'/60'/0'/0/0".to_owned(),
            endpoint: None,
            address: None,
            headers: Vec::new(),
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            aws_key: String::new(),
            aws_region: String::new(),
            gcp_project: String::new(),
            gcp_location: String::new(),
            gcp_keyring: String::new(),
            gcp_key: String::new(),
            gcp_version: 1,
        }
    }
}

impl Default for ChainDraft {
    fn default() -> Self {
        // The default name of the contracts that know names; the others ignore it.
        let name: Hash32 = config_name("opsuccinct_genesis");
        Self {
            id: None,
            name: String::new(),
            l1: Vec::new(),
            l1_chain_id: None,
            rollup: Vec::new(),
            l2: None,
            oracle: None,
            factory: None,
            prover: None,
            status_timeout: Duration::from_secs(30),
            max_proof_bytes: 64 << 20,
            mock: false,
            safe_db_fallback: false,
            wait_node_sync: false,
            node_sync_timeout: Duration::from_secs(3_600),
            poll_interval: Duration::from_secs(12),
            network_timeout: Duration::from_secs(15),
            signer: SignerDraft::default(),
            policy: Policy { config_name: name, ..Policy::with_signer(Address([0; 20])) },
        }
    }
}
