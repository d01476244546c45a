//! What a run is made of: its chains, its faults and their times, all drawn from one seed.
//!
//! Faults come in kinds, and each seed switches some kinds on and others off (swarm testing): a run in which
//! everything fails a little finds less than one in which a few things fail a lot. A name picks the kinds by hand.

use prooflog_events::ids::{Address, ChainId, Micros, Wei};
use prooflog_events::policy::{AfterDeletion, FeePolicy, OptimisticPolicy, Policy};
use prooflog_events::values::Mode;

use crate::rng::Rng;
use crate::world::{Profile, Weather};

/// When every run begins.
pub const START: Micros = Micros(1_750_000_000_000_000);
/// Our account.
pub const SIGNER: Address = Address([0x51; 20]);
/// Another account of ours, after a rotation.
pub const SECOND_SIGNER: Address = Address([0x52; 20]);

/// Something that happens once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incident {
    /// The process dies.
    Crash,
    /// A rollup's server cannot be reached for some seconds.
    ProverDown(ChainId, u64),
    /// It restarts, and forgets everything or not.
    ProverRestart(ChainId, bool),
    /// It is full for some seconds.
    ProverFull(ChainId, u64),
    /// Its account has no credit for some seconds.
    ProverBroke(ChainId, u64),
    /// Data are not on L1 for some seconds.
    NotReady(ChainId, u64),
    /// The network takes no range longer than so many blocks from now on.
    MaxBlocks(ChainId, u64),
    /// The next L1 block is a reorg: depth, chance in 1,000 that a transaction is kept.
    Reorg(u64, u32),
    /// Fees are high for some seconds.
    FeeSpike(u64),
    /// The L1's endpoint is silent for some seconds.
    L1Down(u64),
    /// Somebody uses our key.
    ForeignNonce,
    /// Our account is empty for some seconds.
    Drain(u64),
    /// Another proposer settles so many blocks above the contract.
    ForeignOutput(ChainId, u64),
    /// The challenger deletes so many outputs.
    Delete(ChainId, u64),
    /// The contract takes other keys; the server follows after some seconds.
    NewKeys(ChainId, u64),
    /// The server has the keys that the contract has.
    ServerKeys(ChainId),
    /// The contract has another submission interval.
    Interval(ChainId, u64),
    /// Optimistic mode for some seconds.
    Optimistic(ChainId, u64),
    /// Our sender is not approved for some seconds.
    Unapproved(ChainId, u64),
    /// The verifier's route is frozen for some seconds.
    RouteBroken(ChainId, u64),
    /// Submissions must go through a factory from now on.
    Factory(ChainId),
    /// The finalized head stands for some seconds.
    Stall(ChainId, u64),
    /// One of the rollup's nodes lies for some seconds.
    NodeLies(ChainId, u64),
    /// The rollup's nodes are silent for some seconds.
    NodeDown(ChainId, u64),
    /// A block above the finalized head is impossible to prove.
    Impossible(ChainId),
    /// The disk is nearly full for some seconds.
    DiskLow(u64),
    /// An operator does something at random.
    Operator(ChainId),
    /// The configuration is loaded again with other limits.
    Reload(ChainId),
    /// A deed of the owner ends.
    Restore(ChainId, Restored),
    /// The process's clock is behind for some seconds, and the first to notice is an operator.
    ClockBack(ChainId, u64),
    /// Our account has money again.
    Refill,
    /// The disk has room again.
    DiskFree,
}

/// What the owner puts right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// Optimistic mode ends.
    Optimistic,
    /// Our sender is approved.
    Approved,
    /// The route is open.
    Route,
}

/// Kinds of incidents that a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Crashes and failed writes.
    Crashes,
    /// The prover's troubles.
    Prover,
    /// Reorgs.
    Reorgs,
    /// Fees, mempool, nonces, balance.
    Fees,
    /// The contract moves or changes.
    Contract,
    /// Keys change.
    Keys,
    /// The rollup's nodes.
    Nodes,
    /// Operators.
    Operator,
    /// The disk.
    Disk,
}

const KINDS: [Kind; 9] = [
    Kind::Crashes,
    Kind::Prover,
    Kind::Reorgs,
    Kind::Fees,
    Kind::Contract,
    Kind::Keys,
    Kind::Nodes,
    Kind::Operator,
    Kind::Disk,
];

/// Names that [`Scenario::named`] knows.
pub const NAMES: [&str; 17] = [
    "random", "friendly", "crashes", "prover", "reorgs", "fees", "contract", "keys", "nodes", "operator",
    "disk", "finality", "torn", "late", "silent", "dear", "clock",
];

/// One rollup of a run.
#[derive(Debug, Clone)]
pub struct ChainPlan {
    /// Its id.
    pub id: ChainId,
    /// Its policy.
    pub policy: Policy,
    /// Its server.
    pub profile: Profile,
    /// The contract's submission interval.
    pub interval: u64,
    /// Blocks that are final at the start.
    pub backlog: u64,
    /// Seconds between moves of the finalized head; 0 lets it stand where it is at the start.
    pub step_secs: u64,
    /// One block in so many is heavy.
    pub heavy_one_in: u64,
    /// Nodes of the rollup.
    pub nodes: u64,
}

/// A run.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The seed that it was drawn from.
    pub seed: u64,
    /// Its name.
    pub name: String,
    /// Rollups.
    pub chains: Vec<ChainPlan>,
    /// Incidents with their times.
    pub incidents: Vec<(Micros, Incident)>,
    /// Small faults while the run is active.
    pub weather: Weather,
    /// Chance in 10,000 per append that the process dies around it.
    pub crash_per_append: u32,
    /// Milliseconds until an append is heard to be durable, at most.
    pub append_ms: u64,
    /// Seconds with faults.
    pub active_secs: u64,
    /// Seconds after that in which everything must come right.
    pub quiet_secs: u64,
    /// Kill the process at exactly this append, in this manner (0 before, 1 after, 2 heard).
    pub crash_at: Option<(u64, u8)>,
}

impl Scenario {
    /// The run of a seed under a name; `None` for a name that is not one of [`NAMES`].
    #[must_use]
    pub fn named(name: &str, seed: u64) -> Option<Self> {
        let mut rng = Rng::new(seed, "scenario");
        let kinds: Vec<Kind> = match name {
            "friendly" => Vec::new(),
            "crashes" => vec![Kind::Crashes],
            "prover" => vec![Kind::Prover],
            "reorgs" => vec![Kind::Reorgs],
            "fees" => vec![Kind::Fees],
            "contract" => vec![Kind::Contract],
            "keys" => vec![Kind::Keys],
            "nodes" => vec![Kind::Nodes],
            "operator" => vec![Kind::Operator],
            "disk" => vec![Kind::Disk],
            "finality" => vec![Kind::Nodes],
            "torn" => vec![Kind::Reorgs],
            "dear" => vec![Kind::Fees],
            "clock" => vec![Kind::Operator, Kind::Crashes],
            "late" | "silent" => Vec::new(),
            "random" => KINDS.into_iter().filter(|_| rng.chance(450)).collect(),
            _ => return None,
        };
        let count = if name == "finality" { 1 } else { 1 + rng.below(3) };
        let mut scenario = Self {
            seed,
            name: name.to_owned(),
            chains: (0..count).map(|nth| chain(&mut rng, 10 + nth, name)).collect(),
            incidents: Vec::new(),
            weather: weather(&mut rng, &kinds),
            crash_per_append: if kinds.contains(&Kind::Crashes) { 10 } else { 0 },
            append_ms: rng.below(3) * 10,
            active_secs: 3_600 * rng.between(1, 2),
            quiet_secs: 3_600 * 24,
            crash_at: None,
        };
        scenario.share_account(&mut rng);
        for kind in kinds {
            scenario.add_incidents(&mut rng, kind);
        }
        scenario.add_later_faults();
        scenario.incidents.sort_by_key(|(at, _)| *at);
        Some(scenario)
    }

    /// Faults that are younger than most kept seeds, which stay what they were: they have names of their own, and every
    /// fifth random seed may have them.
    fn add_later_faults(&mut self) {
        let mut rng = Rng::new(self.seed, "later faults");
        let is_random = self.name == "random" && self.seed % 5 == 1;
        if self.name == "torn" || (is_random && rng.chance(500)) {
            self.weather.l1_torn = Weather::rough().l1_torn;
        }
        if self.name == "late" || (is_random && rng.chance(500)) {
            // Much comes too late, and what came too late is halved at once.
            self.weather.too_late = 300;
            self.chains.iter_mut().for_each(|chain| chain.policy.split_after = 1);
        }
        if self.name == "dear" {
            // A spike goes far above what the policy allows.
            self.chains.iter_mut().for_each(|chain| chain.policy.fees.max_fee = Wei(60_000_000_000));
            for _ in 0..3 {
                let at = START.plus_secs(rng.between(120, self.active_secs - 600));
                self.incidents.push((at, Incident::FeeSpike(1_200)));
            }
        }
        if self.name == "clock" || (is_random && rng.chance(300)) {
            for _ in 0..4 {
                let at = START.plus_secs(rng.between(120, self.active_secs - 600));
                let secs = rng.between(60, 600);
                self.incidents
                    .extend(self.chains.first().map(|chain| (at, Incident::ClockBack(chain.id, secs))));
            }
        }
        if self.name == "silent" {
            // Longer than anybody waits for an answer that does not come.
            self.active_secs = 4 * 3_600;
            for chain in &self.chains {
                let at = START.plus_secs(rng.between(120, 900));
                self.incidents.push((at, Incident::ProverDown(chain.id, 9_000)));
            }
        }
    }

    fn share_account(&mut self, rng: &mut Rng) {
        // A stream of its own, so that kept seeds stay what they were.
        let limit = Rng::new(self.seed, "account").pick(&[12, 12, 3]).unwrap_or(12);
        if self.chains.len() > 1 && rng.chance(400) {
            for chain in &mut self.chains {
                chain.policy.prover_account = "shared".to_owned();
                chain.policy.account_in_flight = limit;
            }
        }
    }

    fn add_incidents(&mut self, rng: &mut Rng, kind: Kind) {
        for _ in 0..rng.between(1, 4) {
            let at = START.plus_secs(rng.between(60, self.active_secs.saturating_sub(60)));
            let chains: Vec<ChainId> = self.chains.iter().map(|chain| chain.id).collect();
            let Some(chain) = rng.pick(&chains) else { return };
            if let Some(incident) = incident(rng, kind, chain) {
                self.incidents.push((at, incident));
            }
        }
    }
}

/// One incident of a kind.
fn incident(rng: &mut Rng, kind: Kind, chain: ChainId) -> Option<Incident> {
    let secs = rng.between(30, 1_500);
    let choices = match kind {
        Kind::Crashes => vec![Incident::Crash],
        Kind::Prover => vec![
            Incident::ProverDown(chain, secs),
            Incident::ProverRestart(chain, false),
            Incident::ProverRestart(chain, true),
            Incident::ProverFull(chain, secs),
            Incident::ProverBroke(chain, secs),
            Incident::NotReady(chain, secs),
            Incident::MaxBlocks(chain, rng.between(5, 30)),
            Incident::Impossible(chain),
        ],
        Kind::Reorgs => {
            let depth = if rng.chance(150) { rng.between(10, 40) } else { rng.between(1, 6) };
            vec![Incident::Reorg(depth, 900), Incident::Reorg(depth, 0), Incident::Reorg(depth, 500)]
        }
        Kind::Fees => vec![
            Incident::FeeSpike(secs),
            Incident::L1Down(secs),
            Incident::ForeignNonce,
            Incident::Drain(secs),
        ],
        Kind::Contract => vec![
            Incident::ForeignOutput(chain, rng.between(1, 300)),
            Incident::ForeignOutput(chain, rng.between(1, 300)),
            Incident::Delete(chain, rng.between(1, 3)),
            Incident::Interval(chain, rng.between(0, 200)),
            Incident::Optimistic(chain, secs),
            Incident::Unapproved(chain, secs),
            Incident::RouteBroken(chain, secs),
            Incident::Factory(chain),
        ],
        Kind::Keys => vec![Incident::NewKeys(chain, secs / 3)],
        Kind::Nodes => vec![
            Incident::Stall(chain, secs * 4),
            Incident::NodeLies(chain, secs),
            Incident::NodeDown(chain, secs),
        ],
        Kind::Operator => vec![Incident::Operator(chain), Incident::Operator(chain), Incident::Reload(chain)],
        Kind::Disk => vec![Incident::DiskLow(secs)],
    };
    let at = usize::try_from(rng.below(choices.len() as u64)).ok()?;
    choices.get(at).cloned()
}

/// Small faults of the kinds that are switched on.
fn weather(rng: &mut Rng, kinds: &[Kind]) -> Weather {
    let rough = Weather::rough();
    let mut weather = Weather { tells_l1_head: rng.pick(&[0, 500, 1_000]).unwrap_or(500), ..Weather::calm() };
    if kinds.contains(&Kind::Nodes) {
        (weather.node_fail, weather.node_stale) = (rough.node_fail, rough.node_stale);
    }
    if kinds.contains(&Kind::Reorgs) || kinds.contains(&Kind::Fees) {
        (weather.l1_fail, weather.l1_stale) = (rough.l1_fail, rough.l1_stale);
        (weather.tx_unknown, weather.tx_drop) = (rough.tx_unknown, rough.tx_drop);
        (weather.tx_skip, weather.tx_hungry) = (rough.tx_skip, rough.tx_hungry);
        (weather.tx_lost, weather.sign_fail) = (rough.tx_lost, rough.sign_fail);
    }
    if kinds.contains(&Kind::Prover) {
        weather.witness_error = rough.witness_error;
        (weather.witness_refused, weather.witness_dropped) = (rough.witness_refused, rough.witness_dropped);
        (weather.witness_hang, weather.status_fail) = (rough.witness_hang, rough.status_fail);
        (weather.status_hang, weather.status_odd) = (rough.status_hang, rough.status_odd);
        (weather.no_bytes, weather.unfulfillable) = (rough.no_bytes, rough.unfulfillable);
        weather.unreadable = rough.unreadable;
        weather.too_late = rough.too_late;
    }
    weather
}

/// One rollup with limits that make a few hours eventful.
fn chain(rng: &mut Rng, id: u64, name: &str) -> ChainPlan {
    let finality = name == "finality";
    let span_blocks = if finality { 300 } else { rng.pick(&[30, 40, 60]).unwrap_or(40) };
    let witness_limit_secs = rng.pick(&[120, 240, 600]).unwrap_or(240);
    let interval = rng.pick(&[0, 50, 120, 240]).unwrap_or(120);
    let mode = if rng.chance(120) && name == "random" { Mode::Mock } else { Mode::Real };
    let policy = Policy {
        mode,
        span_blocks,
        span_gas: if rng.chance(150) { span_blocks * 400_000 } else { 0 },
        max_span_age_secs: 600,
        max_members: 16,
        max_witness_in_flight: 2 + u32::from(rng.chance(500)) * 3,
        max_proofs_in_flight: rng.pick(&[6, 9, 14]).unwrap_or(6),
        witness_timeout_secs: witness_limit_secs,
        proving_timeout_secs: 1_200,
        submission_blocks: rng.pick(&[0, 100, 200]).unwrap_or(0),
        backoff_max_secs: 300,
        stall_after_secs: 1_200,
        confirmations: rng.pick(&[2, 4, 8]).unwrap_or(4),
        optimistic: if rng.chance(300) { OptimisticPolicy::Submit } else { OptimisticPolicy::Hold },
        after_deletion: if rng.chance(500) { AfterDeletion::Resubmit } else { AfterDeletion::Hold },
        keep_proofs_secs: rng.pick(&[1_800, 7_200, 1_209_600]).unwrap_or(7_200),
        fees: FeePolicy { not_in_mempool_secs: 60, ..FeePolicy::default() },
        min_balance: Wei(1_000_000_000_000_000_000),
        ..Policy::with_signer(SIGNER)
    };
    let slow = if rng.chance(200) { 2 } else { 1 };
    let profile = Profile {
        honours_keys: rng.chance(500),
        witness_secs: (10, 60 * slow),
        proving_secs: (30, 200 * slow),
        max_weight: span_blocks * 10,
        max_members: if interval == 0 && rng.chance(300) { 6 } else { 512 },
        witness_limit_secs,
    };
    let backlog = if finality { 20_000 } else { rng.between(0, 600) };
    let step_secs = rng.pick(&[30, 384]).unwrap_or(384);
    let heavy_one_in = if rng.chance(400) { 200 } else { 0 };
    let nodes = rng.between(1, 3);
    // Without a proof the nodes' word is all there is: a lie of the only node could never be made good.
    let optimistic = if nodes > 1 { policy.optimistic } else { OptimisticPolicy::Hold };
    ChainPlan {
        id: ChainId(id),
        policy: Policy { optimistic, ..policy },
        profile,
        interval,
        backlog,
        step_secs,
        heavy_one_in,
        nodes,
    }
}
