//! Our contracts on L1: their bytecode, how they are deployed, and what their owner does with them.
//!
//! Everything is sent from the accounts that the chain holds the keys of, so no key is ever in here.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, Bytes, U256, hex, keccak256};
use alloy::sol;
use alloy::sol_types::{SolCall, SolValue};
use prooflog_net::RpcClient;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::DevnetError;

sol! {
    /// How an oracle begins.
    #[derive(Debug)]
    struct Setup {
        address owner;
        address challenger;
        address proposer;
        address verifier;
        uint256 submissionInterval;
        uint256 l2BlockTime;
        uint256 startingBlockNumber;
        uint256 startingTimestamp;
        bytes32 startingOutputRoot;
        uint256 finalizationPeriodSeconds;
        bytes32 aggregationVkey;
        bytes32 rangeVkeyCommitment;
        bytes32 rollupConfigHash;
    }
    /// The oracle's latest output.
    struct Output {
        bytes32 outputRoot;
        uint128 timestamp;
        uint128 l2BlockNumber;
    }
    interface Oracle {
        function initialize(Setup setup);
        function nextOutputIndex() returns (uint256);
        function getL2Output(uint256 index) returns (Output);
        function updateAggregationVkey(bytes32 key);
        function updateRangeVkeyCommitment(bytes32 key);
        function enableOptimisticMode(uint256 period);
        function disableOptimisticMode(uint256 period);
        function deleteL2Outputs(uint256 index);
        function addProposer(address proposer);
        function removeProposer(address proposer);
        function setDisputeGameFactory(address factory);
        function verifier() returns (address);
        function updateVerifier(address other);
        function addOpSuccinctConfig(bytes32 name, bytes32 config, bytes32 aggregation, bytes32 range_);
        function deleteOpSuccinctConfig(bytes32 name);
        function upgradeTo(address implementation);
        function checkpointBlockHash(uint256 l1Block);
        function historicBlockHashes(uint256 l1Block) returns (bytes32);
    }
    interface OracleV1 {
        function proposeL2Output(bytes32 root, uint256 l2Block, uint256 l1Block, bytes proof);
    }
    interface OracleV2 {
        function proposeL2Output(bytes32 root, uint256 l2Block, uint256 l1Block, bytes proof, address prover);
    }
    interface OracleV3 {
        function initialize(Setup setup, uint256 timeout);
        function proposeL2Output(
            bytes32 configName,
            bytes32 root,
            uint256 l2Block,
            uint256 l1Block,
            bytes proof,
            address prover
        );
    }
}

/// What the contracts demand of a proof; the prover's server is set up with the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitments {
    /// Key of the aggregation program.
    pub aggregation_vkey: B256,
    /// Commitment to the key of the range program.
    pub range_vkey: B256,
    /// Hash of the rollup's configuration.
    pub rollup_config: B256,
}

impl Default for Commitments {
    fn default() -> Self {
        Self {
            aggregation_vkey: keccak256("prooflog devnet aggregation"),
            range_vkey: keccak256("prooflog devnet range"),
            rollup_config: keccak256("prooflog devnet rollup"),
        }
    }
}

/// First four bytes of a devnet proof.
pub const SELECTOR: [u8; 4] = [0x5a, 0x1e, 0x00, 0x01];

/// Interface generation of the oracle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// Six public values.
    V1,
    /// The prover's address as the seventh.
    V2,
    /// Named configurations.
    V3,
}

impl Generation {
    const fn contract(self) -> &'static str {
        match self {
            Self::V1 => "OracleV1",
            Self::V2 => "OracleV2",
            Self::V3 => "OracleV3",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

#[derive(Deserialize)]
struct Artifact {
    bytecode: Bytes,
}

/// Bytecode of one of our contracts.
fn bytecode(name: &'static str) -> Result<Bytes, DevnetError> {
    const ARTIFACTS: &str = include_str!("../contracts/artifacts.json");
    let mut artifacts: BTreeMap<String, Artifact> =
        serde_json::from_str(ARTIFACTS).map_err(|error| DevnetError::Chain(error.to_string()))?;
    artifacts.remove(name).map(|found| found.bytecode).ok_or_else(|| DevnetError::Chain(format!("no {name}")))
}

/// Accounts that the chain holds the keys of, by their part.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    /// Owns the contracts.
    pub owner: Address,
    /// May delete outputs.
    pub challenger: Address,
}

/// Sends to the L1 as its own accounts.
#[derive(Debug, Clone)]
pub struct Sender {
    rpc: RpcClient,
    pace: Pace,
}

/// Whose time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Blocks come when the chain makes them.
    Chain,
    /// Every transaction gets a block of its own at once.
    Ours,
}

impl Sender {
    /// To this chain.
    #[must_use]
    pub const fn new(rpc: RpcClient) -> Self {
        Self { rpc, pace: Pace::Chain }
    }

    /// To this chain, which makes a block for every transaction: for what has to be there before anything begins.
    #[must_use]
    pub(crate) const fn at_once(rpc: RpcClient) -> Self {
        Self { rpc, pace: Pace::Ours }
    }

    /// The chain's accounts.
    ///
    /// # Errors
    /// When it does not tell.
    pub async fn accounts(&self) -> Result<Vec<Address>, DevnetError> {
        Ok(self.rpc.call("eth_accounts", json!([])).await?)
    }

    /// Sends, waits for the block, and fails if it reverted.
    ///
    /// # Errors
    /// When it is not included or reverts.
    pub async fn send(&self, from: Address, to: Option<Address>, data: Bytes) -> Result<Value, DevnetError> {
        let hash = self.submit(from, to, data, json!({})).await?;
        if self.pace == Pace::Ours {
            let _: Value = self.rpc.call("evm_mine", json!([])).await?;
        }
        let receipt = self.receipt(hash).await?;
        match receipt.get("status").and_then(Value::as_str) {
            Some("0x1") => Ok(receipt),
            _ => Err(DevnetError::Chain(format!("a transaction of {from} reverted: {hash}"))),
        }
    }

    /// Sends with further fields (fees, nonce, value) and waits for nothing.
    ///
    /// # Errors
    /// When the chain does not take it.
    pub async fn submit(
        &self,
        from: Address,
        to: Option<Address>,
        data: Bytes,
        fields: Value,
    ) -> Result<B256, DevnetError> {
        let mut tx = json!({ "from": from, "data": data, "gas": "0x989680" });
        if let Some(tx) = tx.as_object_mut() {
            tx.extend(to.map(|to| ("to".to_owned(), json!(to))));
            tx.extend(fields.as_object().cloned().unwrap_or_default());
        }
        Ok(self.rpc.call("eth_sendTransaction", json!([tx])).await?)
    }

    /// Calls as somebody, with further fields, and waits for nothing.
    ///
    /// # Errors
    /// When the chain does not take it.
    pub async fn submit_call<C: SolCall>(
        &self,
        from: Address,
        to: Address,
        call: &C,
        fields: Value,
    ) -> Result<B256, DevnetError> {
        self.submit(from, Some(to), call.abi_encode().into(), fields).await
    }

    async fn receipt(&self, hash: B256) -> Result<Value, DevnetError> {
        const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(50);
        for _ in 0..1_200 {
            let receipt: Value = self.rpc.call("eth_getTransactionReceipt", json!([hash])).await?;
            if !receipt.is_null() {
                return Ok(receipt);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Err(DevnetError::Chain(format!("{hash} is in no block after a minute")))
    }

    async fn deploy(
        &self,
        from: Address,
        name: &'static str,
        arguments: &[u8],
    ) -> Result<Address, DevnetError> {
        let code = [bytecode(name)?.as_ref(), arguments].concat();
        let receipt = self.send(from, None, code.into()).await?;
        let address =
            receipt.get("contractAddress").and_then(Value::as_str).and_then(|text| text.parse().ok());
        address.ok_or_else(|| DevnetError::Chain(format!("{name} has no address")))
    }

    /// Calls a view.
    ///
    /// # Errors
    /// When it reverts or answers something else.
    pub async fn view<C: SolCall>(&self, to: Address, call: &C) -> Result<C::Return, DevnetError> {
        let data = Bytes::from(call.abi_encode());
        let answer: Bytes = self.rpc.call("eth_call", json!([{ "to": to, "data": data }, "latest"])).await?;
        C::abi_decode_returns(&answer).map_err(|error| DevnetError::Chain(error.to_string()))
    }

    /// Calls as somebody, and waits for the block.
    ///
    /// # Errors
    /// When it reverts.
    pub async fn call<C: SolCall>(&self, from: Address, to: Address, call: &C) -> Result<(), DevnetError> {
        self.send(from, Some(to), call.abi_encode().into()).await.map(drop)
    }

    /// Deploys a verifier: one that demands a binding proof, or the empty one.
    ///
    /// # Errors
    /// When the chain does not take it.
    pub async fn deploy_verifier(&self, owner: Address, mock: Proofs) -> Result<Address, DevnetError> {
        match mock {
            Proofs::Binding => {
                let mut selector = [0_u8; 32];
                selector.iter_mut().zip(SELECTOR).for_each(|(to, from)| *to = from);
                self.deploy(owner, "BindingVerifier", &selector).await
            }
            Proofs::Empty => self.deploy(owner, "MockVerifier", &[]).await,
        }
    }

    /// Deploys the code of an oracle, to which a proxy can be pointed.
    ///
    /// # Errors
    /// When the chain does not take it.
    pub async fn deploy_implementation(
        &self,
        owner: Address,
        generation: Generation,
    ) -> Result<Address, DevnetError> {
        self.deploy(owner, generation.contract(), &[]).await
    }

    /// Deploys an oracle behind a proxy.
    ///
    /// # Errors
    /// When the chain does not take it.
    pub async fn deploy_oracle(&self, generation: Generation, setup: Setup) -> Result<Address, DevnetError> {
        let owner = setup.owner;
        let implementation = self.deploy_implementation(owner, generation).await?;
        let begin: Bytes = match generation {
            Generation::V1 | Generation::V2 => Oracle::initializeCall { setup }.abi_encode().into(),
            Generation::V3 => {
                OracleV3::initializeCall { setup, timeout: U256::from(1_209_600) }.abi_encode().into()
            }
        };
        self.deploy(owner, "Proxy", &(implementation, begin).abi_encode_params()).await
    }

    /// Deploys a factory for an oracle, whose games cost a bond.
    ///
    /// # Errors
    /// When the chain does not take it.
    pub async fn deploy_factory(
        &self,
        owner: Address,
        oracle: Address,
        generation: Generation,
        bond: U256,
    ) -> Result<Address, DevnetError> {
        let arguments = (oracle, U256::from(generation.number()), bond).abi_encode_params();
        self.deploy(owner, "Factory", &arguments).await
    }
}

/// What the verifier demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proofs {
    /// A proof that binds every public value.
    Binding,
    /// The empty proof.
    Empty,
}

/// Bytes as hex, for people.
#[must_use]
pub fn shown(bytes: &[u8]) -> String {
    hex::encode_prefixed(bytes)
}
