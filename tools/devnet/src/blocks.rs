//! What a test does to a chain's blocks: makes them, holds them back, throws them away, makes them dear.
//!
//! All of it is asked of the chain itself over RPC; nothing is remembered here.

use serde_json::{Value, json};

use crate::{Anvil, DevnetError};

impl Anvil {
    /// Makes blocks at once.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn mine(&self, blocks: u64) -> Result<(), DevnetError> {
        /// Blocks of one call, which has a limit on its time: the longer the chain, the longer a block takes.
        const AT_ONCE: u64 = 100;
        let mut left = blocks;
        while left > 0 {
            let now = left.min(AT_ONCE);
            self.ask("anvil_mine", json!([format!("{now:#x}")])).await?;
            left -= now;
        }
        Ok(())
    }

    /// Makes no blocks by itself from now on.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn hold(&self) -> Result<(), DevnetError> {
        self.ask("evm_setIntervalMining", json!([0])).await
    }

    /// Makes a block every so many seconds again.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn go_on(&self, seconds: u64) -> Result<(), DevnetError> {
        self.ask("evm_setIntervalMining", json!([seconds])).await
    }

    /// Replaces the last blocks by as many empty ones. The transactions that were in them wait for another block.
    ///
    /// # Errors
    /// When the chain does not answer, or is shorter.
    pub async fn reorg(&self, depth: u64) -> Result<(), DevnetError> {
        self.ask("anvil_reorg", json!([depth, []])).await
    }

    /// Forgets every transaction that waits for a block.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn forget_pending(&self) -> Result<(), DevnetError> {
        self.ask("anvil_dropAllTransactions", json!([])).await
    }

    /// Sets the base fee of the next block, in wei; from there it goes its own way.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn set_base_fee(&self, wei: u128) -> Result<(), DevnetError> {
        self.ask("anvil_setNextBlockBaseFeePerGas", json!([format!("{wei:#x}")])).await
    }

    /// Number of the newest block.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn head(&self) -> Result<u64, DevnetError> {
        let head: String = self.rpc().call("eth_blockNumber", json!([])).await?;
        let digits = head.strip_prefix("0x").unwrap_or_default();
        u64::from_str_radix(digits, 16)
            .map_err(|_| DevnetError::Chain(format!("`{head}` is no block number")))
    }

    async fn ask(&self, method: &str, params: Value) -> Result<(), DevnetError> {
        self.rpc().call::<Value>(method, params).await.map(drop).map_err(DevnetError::from)
    }
}
