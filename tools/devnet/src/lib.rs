//! Two real EVM chains, a rollup node, a prover and the contracts, on one machine.
//!
//! The L1 and the L2 are `anvil` chains; the L2 makes blocks with transactions in them. The rollup node computes real
//! output roots from the L2's headers and storage proofs; the prover's server makes proofs that bind every public value;
//! the contracts accept no others. Everything ends with the [`Devnet`]. It can be used by tests, by the demo, and by a
//! person with a wallet and curl (`prooflog-devnet up`).

mod anvil;
mod balancer;
mod blocks;
mod contracts;
mod left;
mod long;
mod net;
mod rival;
mod traffic;

pub use alloy::primitives::{Address, B256, keccak256};
pub use anvil::{Anvil, AnvilConfig, anvil_path};
pub use balancer::{Backend, Balancer};
pub use contracts::{
    Commitments, Generation, Oracle, OracleV1, OracleV2, OracleV3, Output, Parts, Proofs, SELECTOR, Sender,
    Setup, shown,
};
pub use left::{scratch, tied_to_us};
pub use long::{Asked, LongChain};
pub use net::{Devnet, DevnetConfig, Rollup};
pub use rival::Proposal;

/// What went wrong with the devnet.
#[derive(Debug, thiserror::Error)]
pub enum DevnetError {
    /// The chain's program is not there.
    #[error("there is no anvil: run tools/devnet/setup, or name one in PROOFLOG_ANVIL")]
    NoAnvil,
    /// The chain's program does not do what it should.
    #[error("anvil: {0}")]
    Anvil(String),
    /// A call to a chain or server failed.
    #[error(transparent)]
    Rpc(#[from] prooflog_net::RpcError),
    /// A chain did something unexpected.
    #[error("{0}")]
    Chain(String),
    /// A server could not be started.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl DevnetError {
    pub(crate) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
