//! Everything together: chains, contracts, rollup node, prover.
//!
//! The order of starting follows from who needs whom: the contract begins at a real output root, which the rollup node
//! computes from the L2; the prover needs both.

use std::time::{SystemTime, UNIX_EPOCH};

use alloy::primitives::{Address, B256, U256};
use prooflog_devnet_node::{NodeConfig, NodeHandle};
use prooflog_devnet_prover::{
    ChainConfig as ProvenChain, Config as ProverConfig, Generation as Proven, Handle as ProverHandle, Hex,
    Script,
};
use prooflog_net::RpcClient;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::anvil::{Anvil, AnvilConfig, rpc};
use crate::contracts::{Commitments, Generation, Oracle, Output, Parts, Proofs, SELECTOR, Sender, Setup};
use crate::long::LongChain;
use crate::{DevnetError, traffic};

/// Chain id of the L1.
const L1_CHAIN: u64 = 900;
/// L1 blocks above the contracts where the L2 has blocks from the start too.
const L1_PRELUDE: u64 = 16;
/// L2 block that the contract begins at.
const START_BLOCK: u64 = 2;
/// Account that the proposer sends from: the chain's fourth, whose key everybody knows.
const PROPOSER: usize = 3;
/// Derivation path of its key, from the chain's own mnemonic.
const PROPOSER_PATH: &str = "m/44'/60'/0'/0/3";
/// The mnemonic that `anvil` makes its accounts from; it is public, and its accounts are worth nothing.
const MNEMONIC: &str = "test test test test test test test test test test test junk";

/// What to bring up.
#[derive(Debug, Clone)]
pub struct DevnetConfig {
    /// Interface generation of the oracles.
    pub generation: Generation,
    /// Whether submissions go through a factory, and what a game costs in wei.
    pub bond: Option<u128>,
    /// Generation and bond of the rollups in their order, where they differ from the two above.
    pub kinds: Vec<(Generation, Option<u128>)>,
    /// What the prover's server proves under. The contracts always begin with the default.
    pub proves: Commitments,
    /// What the verifier demands.
    pub proofs: Proofs,
    /// Seconds between two L1 blocks.
    pub l1_block_time: u64,
    /// Seconds between two L2 blocks.
    pub l2_block_time: u64,
    /// L2 blocks that are there from the start, so that nobody has to wait for them.
    pub prelude: u64,
    /// L2 blocks that come all at once, empty ones, when [`Devnet::jump`] is called.
    pub jump: u64,
    /// Smallest distance of two outputs, in blocks.
    pub submission_interval: u64,
    /// How many rollups: one L2 chain, presented under so many chain ids, each with an oracle of its own.
    pub rollups: u64,
    /// What the prover's server does, well and badly.
    pub script: Script,
}

impl DevnetConfig {
    /// Generation and bond of a rollup, by its place.
    fn kind(&self, place: usize) -> (Generation, Option<u128>) {
        self.kinds.get(place).copied().unwrap_or((self.generation, self.bond))
    }
}

impl Default for DevnetConfig {
    fn default() -> Self {
        Self {
            generation: Generation::V2,
            bond: None,
            kinds: Vec::new(),
            proves: Commitments::default(),
            proofs: Proofs::Binding,
            l1_block_time: 1,
            l2_block_time: 1,
            prelude: 0,
            jump: 0,
            submission_interval: 20,
            rollups: 1,
            script: Script::default(),
        }
    }
}

/// A rollup of the devnet.
#[derive(Debug, Clone)]
pub struct Rollup {
    /// Its L2 chain id.
    pub chain: u64,
    /// Its output oracle.
    pub oracle: Address,
    /// The factory that its submissions go through.
    pub factory: Option<Address>,
    /// Its rollup node.
    pub node: String,
    /// Its prover's server.
    pub prover: String,
}

/// A rollup's chain id, oracle and factory.
type Deployed = (u64, Address, Option<Address>);

/// A running devnet. Everything ends with it.
#[derive(Debug)]
pub struct Devnet {
    /// The L1.
    pub l1: Anvil,
    /// The L2.
    pub l2: Anvil,
    /// The L2 as the rollup node sees it, where it is to jump.
    pub long: Option<LongChain>,
    /// The rollup node.
    pub node: NodeHandle,
    /// The prover's server.
    pub prover: ProverHandle,
    /// The rollups.
    pub rollups: Vec<Rollup>,
    /// Who owns the contracts.
    pub parts: Parts,
    /// The account that the proposer sends from.
    pub proposer: Address,
    config: DevnetConfig,
    traffic: JoinHandle<()>,
}

impl Drop for Devnet {
    fn drop(&mut self) {
        self.traffic.abort();
    }
}

impl Devnet {
    /// Brings everything up; `progress` is told each step.
    ///
    /// # Errors
    /// When something does not come up.
    pub async fn start(
        config: DevnetConfig,
        progress: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Self, DevnetError> {
        progress("starting the L1 and the L2");
        // Two chains that begin in the same second have the same first block.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let chain = |chain_id, block_time, age, arguments: &[&str]| AnvilConfig {
            chain_id,
            block_time,
            timestamp: Some(now.saturating_sub(age)),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        };
        // Blocks that are made at once have later times all the same: the L2 begins so much earlier.
        let early = config.prelude.saturating_add(config.jump);
        let age = 1 + early.saturating_mul(config.l2_block_time.max(1));
        let l1 = Anvil::start(&chain(L1_CHAIN, config.l1_block_time, 0, &["--slots-in-an-epoch", "1"]))?;
        let l2 = Anvil::start(&chain(L1_CHAIN + 1, config.l2_block_time, age, &[]))?;
        if config.prelude > 0 {
            l2.mine(config.prelude).await?;
        }
        let traffic = tokio::spawn(traffic::send(rpc(l2.url())?));
        let chains: Vec<u64> = (0..config.rollups.max(1)).map(|n| L1_CHAIN + 1 + n).collect();

        progress("starting the rollup node");
        let long = match config.jump {
            0 => None,
            _ => Some(LongChain::start(&l2, config.l2_block_time).await?),
        };
        let l2_url = long.as_ref().map_or_else(|| l2.url().to_owned(), |long| long.url("node"));
        let node = NodeConfig {
            chains: chains.clone(),
            finalized_lag: 2,
            safe_lag: 1,
            block_time: config.l2_block_time,
            ..NodeConfig::new(l1.url().to_owned(), l2_url, L1_CHAIN + 1)
        };
        let listener =
            TcpListener::bind("127.0.0.1:0").await.map_err(DevnetError::io("a port for the rollup node"))?;
        let node = prooflog_devnet_node::serve(listener, node).await;
        let node = node.map_err(|error| DevnetError::Chain(error.to_string()))?;
        node.followed(START_BLOCK).await;

        progress("deploying the contracts");
        let (parts, proposer, deployed) = deploy(&config, &node, (&l1, &l2), &chains, progress).await?;

        if config.prelude > 0 {
            // Far enough above the contracts for every reorg that counts as one.
            l1.mine(L1_PRELUDE).await?;
        }

        progress("starting the prover's server");
        let proven = chains.iter().enumerate().map(|(place, chain)| {
            let (generation, _) = config.kind(place);
            proven(&config, (*chain, generation), &node, &l1)
        });
        let proven = proven.collect();
        let listener =
            TcpListener::bind("127.0.0.1:0").await.map_err(DevnetError::io("a port for the prover"))?;
        let prover = prooflog_devnet_prover::serve(listener, ProverConfig { chains: proven });
        let prover = prover.map_err(|error| DevnetError::Chain(error.to_string()))?;
        let rollups = deployed
            .into_iter()
            .map(|(chain, oracle, factory)| Rollup {
                chain,
                oracle,
                factory,
                node: node.url(chain),
                prover: prover.url(chain),
            })
            .collect();
        Ok(Self { l1, l2, long, node, prover, rollups, parts, proposer, config, traffic })
    }

    /// Has the L2 jump by the blocks that the configuration says, and the rollup node see it; the L2's head.
    ///
    /// # Errors
    /// When nothing is configured to jump by.
    pub async fn jump(&self) -> Result<u64, DevnetError> {
        let long = self.long.as_ref().ok_or_else(|| DevnetError::Chain("the L2 does not jump".to_owned()))?;
        let head = long.jump(self.config.jump).await?;
        self.node.followed(head).await;
        Ok(head)
    }

    /// Sends to the L1 as its own accounts.
    #[must_use]
    pub fn sender(&self) -> Sender {
        Sender::new(self.l1.rpc().clone())
    }

    /// The configuration with which `prooflog run` serves the devnet, without its key.
    #[must_use]
    pub fn prooflog_config(&self) -> String {
        let defaults = [
            format!("l1-rpc = [\"{}\"]", self.l1.url()),
            format!("poll-interval = \"{}s\"", self.config.l1_block_time.max(1)),
            "span.blocks = 10".to_owned(),
            "num-confirmations = 3".to_owned(),
            format!("prover.mock = {}", self.config.proofs == Proofs::Empty),
        ];
        let mut text = format!("[defaults]\n{}\n", defaults.join("\n"));
        for rollup in &self.rollups {
            text.push_str(&format!(
                "\n[[chain]]\nid = {}\nname = \"devnet-{}\"\nrollup-rpc = [\"{}\"]\noracle-address = \"{}\"\nprover.url = \"{}\"\n",
                rollup.chain, rollup.chain, rollup.node, rollup.oracle, rollup.prover
            ));
            if let Some(factory) = rollup.factory {
                text.push_str(&format!("factory-address = \"{factory}\"\n"));
            }
        }
        text
    }

    /// Environment with the proposer's key: that of a public mnemonic.
    #[must_use]
    pub fn prooflog_env(&self) -> Vec<(String, String)> {
        vec![
            ("PROOFLOG_MNEMONIC".to_owned(), MNEMONIC.to_owned()),
            ("PROOFLOG_HD_PATH".to_owned(), PROPOSER_PATH.to_owned()),
        ]
    }

    /// Outputs of a rollup's oracle, oldest first.
    ///
    /// # Errors
    /// When the L1 does not tell.
    pub async fn outputs(&self, rollup: &Rollup) -> Result<Vec<Output>, DevnetError> {
        let sender = self.sender();
        let next = sender.view(rollup.oracle, &Oracle::nextOutputIndexCall {}).await?;
        let mut outputs = Vec::new();
        for index in 0..next.try_into().unwrap_or(u64::MAX) {
            outputs.push(
                sender.view(rollup.oracle, &Oracle::getL2OutputCall { index: U256::from(index) }).await?,
            );
        }
        Ok(outputs)
    }

    /// The real output root of an L2 block.
    ///
    /// # Errors
    /// When the rollup node does not tell.
    pub async fn root(&self, rollup: &Rollup, block: u64) -> Result<B256, DevnetError> {
        root(&rpc(&rollup.node)?, block).await
    }
}

/// Deploys a verifier, and an oracle for every rollup.
async fn deploy(
    config: &DevnetConfig,
    node: &NodeHandle,
    (l1, l2): (&Anvil, &Anvil),
    chains: &[u64],
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<(Parts, Address, Vec<Deployed>), DevnetError> {
    let sender = Sender::at_once(rpc(l1.url())?);
    let accounts = sender.accounts().await?;
    let account = |index: usize| {
        accounts
            .get(index)
            .copied()
            .ok_or_else(|| DevnetError::Chain("the L1 has too few accounts".to_owned()))
    };
    let (parts, proposer) = (Parts { owner: account(1)?, challenger: account(2)? }, account(PROPOSER)?);
    let verifier = sender.deploy_verifier(parts.owner, config.proofs).await?;
    let mut deployed = Vec::new();
    for (place, &chain) in chains.iter().enumerate() {
        let (generation, bond) = config.kind(place);
        let setup = setup(config, node, l2, (parts, proposer), verifier).await?;
        let oracle = sender.deploy_oracle(generation, setup).await?;
        let factory = match bond {
            Some(bond) => Some(factory(&sender, generation, parts, oracle, bond).await?),
            None => None,
        };
        deployed.push((chain, oracle, factory));
        if chains.len() > 1 {
            progress(&format!("oracle of chain {chain} at {oracle}"));
        }
    }
    Ok((parts, proposer, deployed))
}

/// The output root of a block, as the rollup node computes it.
async fn root(node: &RpcClient, block: u64) -> Result<B256, DevnetError> {
    let output: Value = node.call("optimism_outputAtBlock", json!([format!("{block:#x}")])).await?;
    let root = output.get("outputRoot").and_then(Value::as_str).and_then(|root| root.parse().ok());
    root.ok_or_else(|| DevnetError::Chain(format!("no output root of block {block}")))
}

/// Timestamp of an L2 block, in seconds.
async fn timestamp(rpc: &RpcClient, block: u64) -> Result<u64, DevnetError> {
    let found: Value = rpc.call("eth_getBlockByNumber", json!([format!("{block:#x}"), false])).await?;
    let text = found.get("timestamp").and_then(Value::as_str).unwrap_or_default();
    u64::from_str_radix(text.trim_start_matches("0x"), 16)
        .map_err(|_| DevnetError::Chain(format!("block {block} has no timestamp")))
}

async fn setup(
    config: &DevnetConfig,
    node: &NodeHandle,
    l2: &Anvil,
    (parts, proposer): (Parts, Address),
    verifier: Address,
) -> Result<Setup, DevnetError> {
    let commitments = Commitments::default();
    Ok(Setup {
        owner: parts.owner,
        challenger: parts.challenger,
        proposer,
        verifier,
        submissionInterval: U256::from(config.submission_interval),
        l2BlockTime: U256::from(config.l2_block_time),
        startingBlockNumber: U256::from(START_BLOCK),
        startingTimestamp: U256::from(timestamp(l2.rpc(), START_BLOCK).await?),
        startingOutputRoot: root(&rpc(&node.url(L1_CHAIN + 1))?, START_BLOCK).await?,
        finalizationPeriodSeconds: U256::from(60),
        aggregationVkey: commitments.aggregation_vkey,
        rangeVkeyCommitment: commitments.range_vkey,
        rollupConfigHash: commitments.rollup_config,
    })
}

/// Deploys a factory and, where the oracle knows factories, sets it; the first two generations let it submit.
async fn factory(
    sender: &Sender,
    generation: Generation,
    parts: Parts,
    oracle: Address,
    bond: u128,
) -> Result<Address, DevnetError> {
    let factory = sender.deploy_factory(parts.owner, oracle, generation, U256::from(bond)).await?;
    match generation {
        Generation::V3 => {
            sender.call(parts.owner, oracle, &Oracle::setDisputeGameFactoryCall { factory }).await?
        }
        // There the oracle looks at who calls it, which is a game that nobody knows beforehand: anybody may submit.
        Generation::V1 => {
            sender.call(parts.owner, oracle, &Oracle::addProposerCall { proposer: Address::ZERO }).await?
        }
        Generation::V2 => {
            sender.call(parts.owner, oracle, &Oracle::addProposerCall { proposer: factory }).await?
        }
    }
    Ok(factory)
}

fn proven(
    config: &DevnetConfig,
    (chain, generation): (u64, Generation),
    node: &NodeHandle,
    l1: &Anvil,
) -> ProvenChain {
    let commitments = config.proves;
    let generation = match generation {
        Generation::V1 => Proven::V1,
        Generation::V2 => Proven::V2,
        Generation::V3 => Proven::V3,
    };
    ProvenChain {
        aggregation_vkey: Hex(commitments.aggregation_vkey.0),
        range_vkey_commitment: Hex(commitments.range_vkey.0),
        rollup_config_hash: Hex(commitments.rollup_config.0),
        selector: Hex(SELECTOR),
        script: config.script.clone(),
        ..ProvenChain::new(chain, generation, l1.url().to_owned(), node.url(chain))
    }
}
