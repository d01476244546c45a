//! What the server knows of a rollup, and asks of its nodes.
//!
//! Roots come from the rollup node, headers and the contract's commitments from the L1; nothing is made up here.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, keccak256};
use alloy::sol;
use alloy::sol_types::SolCall;
use prooflog_net::{Endpoint, Limits, RpcClient, Salt};
use serde_json::{Value, json};

use crate::ServeError;

sol! {
    function aggregationVkey() returns (bytes32);
    function rangeVkeyCommitment() returns (bytes32);
    function rollupConfigHash() returns (bytes32);
    function opSuccinctConfigs(bytes32 name) returns (bytes32 aggregation, bytes32 range_, bytes32 config);
}

/// A rollup that is proven.
#[derive(Debug, Clone)]
pub struct ChainConfig {
    /// Its L2 chain id, and the path it is served under.
    pub chain: u64,
    /// URL of its rollup node.
    pub node: String,
    /// URL of its L1.
    pub l1: String,
    /// Its output oracle.
    pub oracle: String,
    /// Interface generation of the oracle: 1, 2 or 3.
    pub generation: u8,
    /// Key of the aggregation program.
    pub aggregation_vkey: [u8; 32],
    /// Commitment to the key of the range program.
    pub range_vkey: [u8; 32],
    /// Hash of the rollup's configuration.
    pub rollup_config: [u8; 32],
    /// First bytes of its aggregates' proofs.
    pub selector: [u8; 4],
}

/// A rollup with its nodes.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) config: ChainConfig,
    node: RpcClient,
    l1: RpcClient,
}

/// An L1 block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct L1Block {
    pub(crate) number: u64,
    pub(crate) hash: B256,
}

impl Chain {
    pub(crate) fn new(config: ChainConfig) -> Result<Self, ServeError> {
        let limits = Limits { call: Duration::from_secs(10), ..Limits::default() };
        let client = |url: &str| -> Result<RpcClient, ServeError> {
            Ok(RpcClient::new(Endpoint::parse(url, Salt::default())?, limits)?)
        };
        let (node, l1) = (client(&config.node)?, client(&config.l1)?);
        Ok(Self { config, node, l1 })
    }

    /// The output root of a block.
    pub(crate) async fn root(&self, block: u64) -> Result<B256, String> {
        let block = format!("{block:#x}");
        let output: Value = self
            .node
            .call("optimism_outputAtBlock", json!([block]))
            .await
            .map_err(|error| error.to_string())?;
        let root = output.get("outputRoot").and_then(Value::as_str).and_then(|text| text.parse().ok());
        root.ok_or_else(|| format!("Failed to validate L2 block {block}"))
    }

    /// The L1 block whose data a witness made now rests on.
    pub(crate) async fn l1_head(&self) -> Result<L1Block, String> {
        let status: Value =
            self.node.call("optimism_syncStatus", json!([])).await.map_err(|error| error.to_string())?;
        let current = status.get("current_l1").ok_or("the node does not tell its L1 block")?;
        let number = current.get("number").and_then(Value::as_u64);
        let hash = current.get("hash").and_then(Value::as_str).and_then(|text| text.parse().ok());
        number
            .zip(hash)
            .map(|(number, hash)| L1Block { number, hash })
            .ok_or_else(|| "no L1 block".to_owned())
    }

    /// The canonical L1 block of a number or hash.
    pub(crate) async fn l1_block(&self, method: &str, key: Value) -> Result<L1Block, String> {
        let block: Value =
            self.l1.call(method, json!([key, false])).await.map_err(|error| error.to_string())?;
        let text = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = u64::from_str_radix(text("number").trim_start_matches("0x"), 16);
        let hash = text("hash").parse();
        match (number, hash) {
            (Ok(number), Ok(hash)) => Ok(L1Block { number, hash }),
            _ => Err("there is no such L1 block".to_owned()),
        }
    }

    /// Rollup configuration, aggregation key and range key: whether the contract has ours.
    pub(crate) async fn agrees(&self, oracle: Address) -> Result<(bool, bool, bool), String> {
        let (aggregation, range, config) = if self.config.generation < 3 {
            let aggregation = self.view(oracle, aggregationVkeyCall {}).await?;
            let range = self.view(oracle, rangeVkeyCommitmentCall {}).await?;
            (aggregation, range, self.view(oracle, rollupConfigHashCall {}).await?)
        } else {
            let name = keccak256("opsuccinct_genesis");
            let found = self.view(oracle, opSuccinctConfigsCall { name }).await?;
            (found.aggregation, found.range_, found.config)
        };
        let ours = &self.config;
        Ok((
            config.0 == ours.rollup_config,
            aggregation.0 == ours.aggregation_vkey,
            range.0 == ours.range_vkey,
        ))
    }

    async fn view<C: SolCall>(&self, to: Address, call: C) -> Result<C::Return, String> {
        let data = Bytes::from(call.abi_encode());
        let params = json!([{ "to": to, "data": data }, "latest"]);
        let answer: Bytes = self.l1.call("eth_call", params).await.map_err(|error| error.to_string())?;
        C::abi_decode_returns(&answer).map_err(|error| error.to_string())
    }
}
