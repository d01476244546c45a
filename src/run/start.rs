//! Each rollup's start: reach everything it needs, see that it is what the configuration says, tell the engine.
//!
//! What may mend itself (nobody answers yet) is tried again and named while it is waited for; what cannot (another chain
//! id, no code at the oracle's address, another key) stops this rollup with its reason, and no other.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prooflog_config::{ChainConfig, ProcessConfig, SignerConfig};
use prooflog_events::event::ChainRegistered;
use prooflog_events::ids::{Address, Hash32, L1ChainId};
use prooflog_events::input::ChainConfigured;
use prooflog_l1::{L1, L1Error, Settings};
use prooflog_net::{Endpoint, HttpError, Limits, Meter, RpcClient};
use prooflog_node::{L2Limits, L2Node, NodeEndpoint, NodeError, RollupConfig, RollupNode};
use prooflog_observe::{ChainStatus, Health, Metrics, Observation};
use prooflog_prover::{AnswerLimits, Prover, ProverConfig, ProverLimits, Validation};
use prooflog_service::{CommandError, Handle};
use prooflog_signer::{Signer, SignerError};
use tokio::task::JoinSet;

use super::sides::{Side, Sides};
use super::{RunError, Spending, pinned};
use crate::api::{Chains, Standing};

/// Pauses between tries, in seconds: the first, and the longest.
const PAUSE: (u64, u64) = (1, 30);

/// Why a rollup is not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// It may come by itself.
    #[error("{0}")]
    NotYet(String),
    /// The rollup node catches up with L1, which has a limit.
    #[error("{0}")]
    NotSynced(String),
    /// Somebody must change something.
    #[error("{0}")]
    Wrong(String),
}

impl From<L1Error> for StartError {
    fn from(error: L1Error) -> Self {
        match error {
            L1Error::WrongChain { .. } => Self::Wrong(error.to_string()),
            _ => Self::NotYet(error.to_string()),
        }
    }
}

impl From<NodeError> for StartError {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::NoEndpoint => Self::Wrong(error.to_string()),
            _ => Self::NotYet(error.to_string()),
        }
    }
}

impl From<SignerError> for StartError {
    fn from(error: SignerError) -> Self {
        if error.is_transient() { Self::NotYet(error.to_string()) } else { Self::Wrong(error.to_string()) }
    }
}

/// The L1s of a process: rollups with the same endpoints share their head and their connections.
#[derive(Clone, Default)]
pub(crate) struct L1s {
    known: Arc<Mutex<HashMap<L1Key, L1>>>,
    /// The quickest pace of any rollup: a head is not shared for longer, or what happened would be seen that much later.
    pace: Option<Duration>,
    /// Who is told of calls, to the L1 and to all else that a rollup reaches.
    meter: Meter,
}

/// A chain id and the addresses it is asked at.
type L1Key = (L1ChainId, Vec<String>);

impl L1s {
    /// For rollups whose looks are this far apart.
    pub(crate) fn paced(chains: &[ChainConfig], meter: Meter) -> Self {
        let pace = chains.iter().map(|chain| chain.poll_interval).min();
        Self { pace, meter, ..Self::default() }
    }

    /// Calls made so far, over all L1s.
    pub(crate) fn calls(&self) -> u64 {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().map(|l1| l1.calls().made).sum()
    }

    pub(super) fn get(
        &self,
        chain: L1ChainId,
        endpoints: &[Endpoint],
        limits: Limits,
    ) -> Result<L1, StartError> {
        let urls: Vec<String> = endpoints.iter().map(|endpoint| endpoint.url().to_string()).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(l1) = known.get(&(chain, urls.clone())) {
            return Ok(l1.clone());
        }
        let default = Settings::default();
        let head_max_age = self.pace.map_or(default.head_max_age, |pace| pace.min(default.head_max_age));
        let settings = Settings { limits, head_max_age, ..default };
        let l1 = L1::metered(chain, endpoints.to_vec(), settings, &self.meter)
            .map_err(|error| StartError::Wrong(error.to_string()))?;
        known.insert((chain, urls), l1.clone());
        Ok(l1)
    }
}

/// How the start of a rollup ended.
pub(crate) enum Started {
    /// It runs.
    Runs,
    /// Somebody must change something; its name and why.
    Wrong(String),
    /// Its node did not catch up in time; its name and why.
    Late(String),
}

/// Waits until no rollup is left that runs or may yet: a process that stays would look alive and do nothing. `wrong` are
/// those that the configuration left out already.
pub(crate) async fn nobody_left(mut starts: JoinSet<Started>, mut wrong: Vec<String>) -> RunError {
    let mut late = Vec::new();
    while let Some(ended) = starts.join_next().await {
        match ended {
            Ok(Started::Wrong(reason)) => wrong.push(reason),
            Ok(Started::Late(reason)) => late.push(reason),
            // One that panicked is a bug, and no reason to end the others.
            Ok(Started::Runs) | Err(_) => std::future::pending::<()>().await,
        }
    }
    if late.is_empty() {
        return RunError::NoRollup(wrong.join("; "));
    }
    late.append(&mut wrong);
    RunError::NotSynced(late.join("; "))
}

/// Starts rollups.
#[derive(Clone)]
pub(crate) struct Starter {
    limits: Limits,
    dir: PathBuf,
    spending: Spending,
    engine: Handle,
    sides: Sides,
    told: Told,
    l1s: L1s,
}

/// Who is told how a rollup stands.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) chains: Chains,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
}

impl Starter {
    pub(crate) fn new(
        process: &ProcessConfig,
        spending: Spending,
        engine: Handle,
        (sides, l1s): (Sides, L1s),
        told: Told,
    ) -> Self {
        let dir = process.data_dir.clone();
        Self { limits: limits(process), dir, spending, engine, sides, told, l1s }
    }

    /// Starts a rollup, however long it takes; ends when it runs or cannot.
    pub(crate) async fn start(self, config: ChainConfig) -> Started {
        let mut pause = PAUSE.0;
        let mut syncing: Option<Instant> = None;
        loop {
            let reason = match self.once(&config).await {
                Ok(()) => {
                    tracing::info!(chain = %config.id, name = %config.name, "the rollup runs");
                    self.tell(&config, Standing::Running);
                    return Started::Runs;
                }
                Err(StartError::Wrong(reason)) => return self.stopped(&config, reason, Started::Wrong),
                Err(StartError::NotSynced(reason)) => {
                    let waited = syncing.get_or_insert_with(Instant::now).elapsed();
                    if waited >= config.node_sync_timeout {
                        let limit = config.node_sync_timeout;
                        let reason = format!("{reason}: given up after {limit:?} (node-sync-timeout)");
                        return self.stopped(&config, reason, Started::Late);
                    }
                    // Not much later than the limit.
                    pause = pause.min((config.node_sync_timeout - waited).as_secs().max(PAUSE.0));
                    reason
                }
                Err(StartError::NotYet(reason)) => reason,
            };
            tracing::warn!(chain = %config.id, name = %config.name, %reason, "the rollup waits to start");
            self.tell(&config, Standing::Starting { reason });
            tokio::time::sleep(Duration::from_secs(pause)).await;
            pause = pause.saturating_mul(2).min(PAUSE.1);
        }
    }

    fn stopped(&self, config: &ChainConfig, reason: String, how: fn(String) -> Started) -> Started {
        tracing::error!(chain = %config.id, name = %config.name, %reason, "the rollup is stopped");
        let told = format!("{}: {reason}", config.name);
        self.tell(config, Standing::Stopped { reason });
        how(told)
    }

    fn tell(&self, config: &ChainConfig, standing: Standing) {
        let status = match &standing {
            Standing::Running => ChainStatus::Running,
            Standing::Starting { reason } => ChainStatus::Starting { waits_for: reason.clone() },
            Standing::Stopped { reason } => ChainStatus::Stopped { reason: reason.clone() },
        };
        self.told.health.chain(config.id, status);
        self.told.chains.tell(Some(config.id), &config.name, standing);
    }

    /// Tells what the rollup node says of its rollup that it did not say before. It is told at each start until the
    /// contract takes it.
    async fn tell_changes(&self, side: &Side) {
        let (id, settings) = (side.config.id, &side.rollup.settings);
        let changed = pinned::changed(&self.dir, id, settings);
        for change in &changed {
            tracing::warn!(chain = %id, %change, "the rollup node tells another configuration than before");
        }
        let is_taken = match side.prover.validate(side.config.oracle).await {
            Validation::Answered { rollup_config_ok, .. } => rollup_config_ok,
            Validation::Unreachable { .. } => false,
        };
        if is_taken {
            pinned::keep(&self.dir, id, settings);
        } else if !changed.is_empty() {
            tracing::warn!(chain = %id, "the prover's server does not say that the contract takes it: nothing is bought");
        }
    }

    async fn once(&self, config: &ChainConfig) -> Result<(), StartError> {
        let limits = Limits { call: config.network_timeout, ..self.limits };
        let (side, registration) = reach(config, limits, &self.l1s, self.spending).await?;
        // What is none of the contracts that we know would only fail with every read; it may be upgraded again.
        side.l1.interface(config.oracle).await?;
        let pace = Observation::BlockTime { chain: config.id, seconds: side.rollup.block_time };
        self.told.metrics.observed(pace, super::now());
        let mut policy = config.policy(side.sender);
        policy.observe = self.spending == Spending::Observing;
        let configured = ChainConfigured { chain: config.id, registration, policy };
        match self.engine.seen(configured).await {
            Ok(_) => {
                let side = Arc::new(side);
                self.sides.add(Arc::clone(&side));
                // The server may take its time to answer, which nothing waits for.
                let starter = self.clone();
                tokio::spawn(async move { starter.tell_changes(&side).await });
                Ok(())
            }
            Err(CommandError::Refused(refused)) => Err(StartError::Wrong(refused.to_string())),
            Err(CommandError::Ending) => Err(StartError::NotYet("the engine is ending".to_owned())),
        }
    }
}

/// Limits of calls to nodes, as configured.
pub(crate) fn limits(process: &ProcessConfig) -> Limits {
    Limits {
        connect: process.connect_timeout,
        body: usize::try_from(process.max_answer_bytes).unwrap_or(usize::MAX),
        ..Limits::default()
    }
}

/// Reaches everything that a rollup needs and sees that it is what the configuration says.
///
/// # Errors
/// What is not there yet, or wrong.
pub(crate) async fn reach(
    config: &ChainConfig,
    limits: Limits,
    l1s: &L1s,
    spending: Spending,
) -> Result<(Side, ChainRegistered), StartError> {
    let set_up = |error: HttpError| StartError::Wrong(error.to_string());
    let rpc = |endpoint: &Endpoint| {
        let client = RpcClient::new(endpoint.clone(), limits).map_err(set_up)?;
        Ok::<_, StartError>(client.metered(l1s.meter.clone()))
    };
    let named = config.rollup.iter().map(|node| Ok(NodeEndpoint::new(node.to_string(), rpc(node)?)));
    let node =
        RollupNode::new(config.id, named.collect::<Result<_, StartError>>()?, prooflog_node::DISTRUST)?;
    let l2 = config.l2.as_ref().map(rpc).transpose()?;
    let l2 = l2.map(|rpc| L2Node::new(config.id, rpc, L2Limits::default()));
    let rollup = node.rollup_config().await?;
    let l2_genesis = check_ids(config, &rollup)?;
    let l1_chain = L1ChainId(rollup.l1_chain_id);
    let l1 = l1s.get(l1_chain, &config.l1, limits)?;
    let identity = l1.identity().await?;
    if l1.code_size(config.oracle).await? == 0 {
        let text = format!("there is no contract at {} on L1 {}", config.oracle, l1_chain);
        return Err(StartError::Wrong(format!("{text}: check the address of the output oracle")));
    }
    let (sender, signer) = signer(config, spending).await?;
    let prover = prover(config, limits).map_err(set_up)?.metered(l1s.meter.clone());
    let registration = ChainRegistered {
        name: config.name.clone(),
        l1: l1_chain,
        oracle: config.oracle,
        l1_genesis: identity.genesis,
        l2_genesis,
    };
    if config.wait_node_sync {
        synced(&node, identity.head.block.number.0).await?;
    }
    Ok((Side { config: config.clone(), l1, node, l2, prover, sender, signer, rollup }, registration))
}

/// That the node is of the configured chains; the rollup's first block.
fn check_ids(config: &ChainConfig, rollup: &RollupConfig) -> Result<Hash32, StartError> {
    if rollup.l2_chain_id != config.id.0 {
        let text = format!("the rollup node serves chain {}, not {}", rollup.l2_chain_id, config.id);
        return Err(StartError::Wrong(format!("{text}: check its address or the chain's id")));
    }
    if let Some(l1) = config.l1_chain_id.filter(|l1| l1.0 != rollup.l1_chain_id) {
        let text = format!("the rollup settles on L1 {}, not {l1}", rollup.l1_chain_id);
        return Err(StartError::Wrong(format!("{text}: check l1-chain-id")));
    }
    let genesis = rollup.genesis_l2.map(|block| block.hash).filter(|hash| *hash != Hash32::ZERO);
    genesis.ok_or_else(|| StartError::NotYet("the rollup node does not tell its first block".to_owned()))
}

/// The client of the prover's server, within the configured limits.
fn prover(config: &ChainConfig, limits: Limits) -> Result<Prover, HttpError> {
    let proof_bytes = usize::try_from(config.prover.max_proof_bytes).unwrap_or(usize::MAX);
    let limits = ProverLimits {
        connect: limits.connect,
        stall: config.prover.status_timeout,
        answer: AnswerLimits { proof: proof_bytes, ..AnswerLimits::default() },
        ..ProverLimits::default()
    };
    Prover::new(ProverConfig { endpoint: config.prover.endpoint.clone(), limits })
}

/// The account that sends, and who signs for it.
async fn signer(config: &ChainConfig, spending: Spending) -> Result<(Address, Option<Signer>), StartError> {
    if let SignerConfig::Nobody(address) = config.signer {
        return match spending {
            Spending::Observing => Ok((address, None)),
            Spending::Allowed => {
                Err(StartError::Wrong("nobody signs: configure a signer, or run with --observe".to_owned()))
            }
        };
    }
    let signer = Signer::connect(super::signers::config_of(config)?).await?;
    match config.signer_address {
        Some(expected) if expected != signer.address() => {
            let text = format!("the key is that of {}, not of {expected}", signer.address());
            return Err(StartError::Wrong(format!("{text}: check the key or signer.address")));
        }
        _ => {}
    }
    Ok((signer.address(), (spending == Spending::Allowed).then_some(signer)))
}

/// That the rollup node has caught up with L1, as far as it must.
async fn synced(node: &RollupNode, l1_head: u64) -> Result<(), StartError> {
    /// L1 blocks that a node in sync may be behind.
    const BEHIND_MAX: u64 = 64;
    // It told its configuration a moment ago: what it does not know yet, it does not know for want of blocks.
    let heads = node.heads().await.map_err(|error| StartError::NotSynced(error.to_string()))?;
    let behind = l1_head.saturating_sub(heads.current_l1.number.0);
    if behind <= BEHIND_MAX {
        return Ok(());
    }
    Err(StartError::NotSynced(format!("the rollup node is {behind} L1 blocks behind and catches up")))
}
