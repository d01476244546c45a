//! One look at a rollup's outside, for who is no engine: who it is, and what its contract says.

use prooflog_config::{ChainConfig, ProcessConfig};
use prooflog_events::ids::L1Number;
use prooflog_events::input::{ChainConfigured, ContractRead};
use prooflog_l1::ReadContract;

use super::Spending;
use super::outside::terms;
use super::start::{L1s, StartError, limits, reach};

/// What a rollup's outside said.
pub(crate) struct Outlook {
    /// The rollup, as its engine would be told of it.
    pub(crate) configured: ChainConfigured,
    /// Its contract.
    pub(crate) contract: ContractRead,
    /// Where the L1 stands.
    pub(crate) l1_head: L1Number,
}

/// Reaches everything that the engine would, and reads the contract. Nothing is written, signed or requested.
///
/// # Errors
/// What is not there, or wrong.
pub(crate) async fn look(config: &ChainConfig, process: &ProcessConfig) -> Result<Outlook, StartError> {
    let (side, registration) = reach(config, limits(process), &L1s::default(), Spending::Observing).await?;
    let policy = config.policy(side.sender);
    let ask = ReadContract {
        chain: config.id,
        oracle: config.oracle,
        confirmations: policy.confirmations,
        checkpoints: Vec::new(),
        canonical: Vec::new(),
        since: None,
        terms: terms(&side),
    };
    let contract = side.l1.read_contract(&ask).await?;
    let l1_head = side.l1.head().await?.block.number.max(contract.at.block.number);
    Ok(Outlook { configured: ChainConfigured { chain: config.id, registration, policy }, contract, l1_head })
}
