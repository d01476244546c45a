//! A server with the interface of the op-succinct prover, for the devnet.
//!
//! It makes proofs that bind every public value and takes as long and fails as often as its script says. It asks the
//! rollup node for roots and the L1 for headers, refuses to aggregate what does not chain, as the real program would, and
//! counts what it was paid for. One server serves many rollups, each below its own path. What a crash means: ids are
//! forgotten, as when the real one loses its files.

mod chain;
mod jobs;
mod proof;
mod script;
mod server;

use prooflog_net::{EndpointError, HttpError};

pub use chain::ChainConfig;
pub use jobs::{Paid, Stats};
pub use script::Script;
pub use server::{Handle, serve};

/// What the server serves.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The rollups.
    pub chains: Vec<ChainConfig>,
    /// What it does, well and badly.
    pub script: Script,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A URL cannot be used.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The HTTP client cannot be set up.
    #[error(transparent)]
    Client(#[from] HttpError),
    /// The listener cannot be used.
    #[error(transparent)]
    Listener(#[from] std::io::Error),
}
