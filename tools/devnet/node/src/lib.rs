//! A rollup node for the devnet: the `optimism_` methods over two real EVM chains.
//!
//! Blocks, state roots and withdrawal roots are those of the L2 chain, so output roots are real ones; what is scripted
//! is which block counts as finalized and which faults show. One L2 chain can be presented as many rollups, one per
//! path `/chain/<id>`, because one hundred chains do not fit on one machine. What a crash in here means: the devnet's
//! node is gone, as when a real one dies; a new one reads the chains again from their start.

mod answers;
mod follow;
mod records;
mod script;
mod server;

pub use script::{Lie, ScriptError, Step};
pub use server::NodeHandle;

use std::time::Duration;

use prooflog_net::{EndpointError, HttpError, RpcError};
use tokio::net::TcpListener;

/// What the server stands on and how it behaves before anything is scripted.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// URL of the L1 chain.
    pub l1: String,
    /// URL of the L2 chain.
    pub l2: String,
    /// Chain ids that the L2 is presented as; `/` answers for the first.
    pub chains: Vec<u64>,
    /// Blocks that the finalized head stays behind the L2's head.
    pub finalized_lag: u64,
    /// Blocks that the safe head stays behind the L2's head; never below the finalized one.
    pub safe_lag: u64,
    /// Blocks that the finalized L1 block stays behind the L1's head.
    pub l1_finalized_lag: u64,
    /// Seconds between two L2 blocks, as the rollup configuration says it.
    pub block_time: u64,
    /// How often the chains are looked at.
    pub poll: Duration,
}

impl NodeConfig {
    /// Two chains and one rollup, with lags that suit blocks of a second.
    #[must_use]
    pub fn new(l1: String, l2: String, chain: u64) -> Self {
        Self {
            l1,
            l2,
            chains: vec![chain],
            finalized_lag: 10,
            safe_lag: 5,
            l1_finalized_lag: 4,
            block_time: 1,
            poll: Duration::from_millis(200),
        }
    }
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration names no chain.
    #[error("at least one chain id is needed")]
    NoChain,
    /// A URL cannot be used.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The HTTP client cannot be set up.
    #[error(transparent)]
    Client(#[from] HttpError),
    /// A chain does not answer.
    #[error(transparent)]
    Chain(#[from] RpcError),
    /// A chain answers with something else than blocks.
    #[error("{0}")]
    Answer(String),
    /// The listener cannot be used.
    #[error(transparent)]
    Listener(#[from] std::io::Error),
}

/// Serves rollup nodes on `listener` until the handle is dropped. Both chains must answer already; what they hold is
/// read before this returns.
///
/// # Errors
/// When the configuration cannot be used or a chain does not answer.
pub async fn serve(listener: TcpListener, config: NodeConfig) -> Result<NodeHandle, ServeError> {
    server::start(listener, config).await
}
