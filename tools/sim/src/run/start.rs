//! How a run begins, how its process dies and how the next one starts.
//!
//! A start is a fold of the log, or of a snapshot and the tail; both must give the same state. Everything that the last
//! process had in memory is gone, what it had asked of others goes on.

use std::collections::{BTreeMap, VecDeque};

use prooflog_core::{BEHAVIOUR, Pacing};
use prooflog_engine::Origin;
use prooflog_events::event::{ChainRegistered, EngineStarted};
use prooflog_events::ids::{Address, ChainId, Hash32, L1ChainId, L2Block, Micros, Position, Wei};
use prooflog_events::input::ChainConfigured;
use prooflog_events::values::{Commitments, ContractValues, Generation};
use prooflog_log::Log;
use prooflog_projections::state::index_from_scratch;

use super::{Figures, Medium, Options, Sim, Watch, What};
use crate::adapter::Adapter;
use crate::check::Checker;
use crate::process::{FeedError, Opening, Process, fold};
use crate::rng::{Rng, mix};
use crate::sabotage::Sabotage;
use crate::scenario::{ChainPlan, SECOND_SIGNER, SIGNER, START, Scenario};
use crate::world::{L1, L2_BLOCK_SECS, Ledger, Oracle, Output, Prover, Rollup, World, output_root};

/// The L1 of every run.
const L1_ID: L1ChainId = L1ChainId(1);
/// Where each contract stands at the start.
const FIRST_OUTPUT: L2Block = L2Block(1_000);
/// Seconds that finality lags behind the tip.
const FINALITY_LAG: u64 = 900;
/// What an account has at the start, in wei.
pub(super) const FUNDS: u128 = 100_000_000_000_000_000_000;

/// Address of a chain's contract.
pub(super) fn oracle_address(chain: ChainId) -> Address {
    let mut bytes = [0x0c; 20];
    if let Some(tail) = bytes.last_chunk_mut::<8>() {
        *tail = chain.0.to_be_bytes();
    }
    Address(bytes)
}

fn keys(chain: ChainId, generation: u64) -> (Commitments, Hash32) {
    let commitments = Commitments {
        mode: prooflog_events::values::Mode::Real,
        range_vkey: mix(&[0x4a, chain.0, generation]),
        rollup_config: mix(&[0x4b, chain.0]),
    };
    (commitments, mix(&[0x4c, chain.0, generation]))
}

fn contract(plan: &ChainPlan, genesis: Micros) -> Oracle {
    let (commitments, agg_vkey) = keys(plan.id, 0);
    let root = output_root(plan.id, FIRST_OUTPUT);
    let output =
        Output { root, block: FIRST_OUTPUT, tx: Hash32::ZERO, sender: Address([0; 20]), time: START };
    Oracle {
        chain: plan.id,
        address: oracle_address(plan.id),
        values: ContractValues {
            implementation: Address([0x1a; 20]),
            generation: Generation::V2,
            submission_interval: plan.interval,
            agg_vkey,
            range_vkey: commitments.range_vkey,
            rollup_config: commitments.rollup_config,
            verifier: Address([0x0e; 20]),
            optimistic: false,
            approved: true,
            factory: None,
            bond: Wei(80_000_000_000_000_000),
            finalization_secs: 3_600,
        },
        mode: plan.policy.mode,
        outputs: vec![output],
        checkpoints: BTreeMap::new(),
        route_broken: false,
        l2_genesis: genesis,
        l2_block_secs: L2_BLOCK_SECS,
    }
}

/// A rollup whose finalized head is `backlog` blocks above the contract at the start.
fn rollup(plan: &ChainPlan) -> Rollup {
    let age = (FIRST_OUTPUT.0 + plan.backlog) * L2_BLOCK_SECS + FINALITY_LAG;
    Rollup {
        chain: plan.id,
        genesis: Micros(START.0.saturating_sub(age * 1_000_000)),
        lag_secs: FINALITY_LAG,
        step_secs: plan.step_secs,
        finalized: if plan.step_secs == 0 { L2Block(FIRST_OUTPUT.0 + plan.backlog) } else { FIRST_OUTPUT },
        stalled_until: Micros(0),
        heavy_one_in: plan.heavy_one_in,
        impossible: None,
        lies_until: Micros(0),
        down_until: Micros(0),
        nodes: plan.nodes,
    }
}

fn world(plan: &Scenario) -> World {
    let mut ledger = Ledger::default();
    for chain in &plan.chains {
        let genesis = rollup(chain).genesis;
        ledger.oracles.insert(oracle_address(chain.id), contract(chain, genesis));
    }
    for (account, nonce) in [(SIGNER, 7), (SECOND_SIGNER, 0)] {
        ledger.balances.insert(account, FUNDS);
        ledger.nonces.insert(account, nonce);
    }
    let mut world = World::new(plan.seed, START, L1::new(L1_ID, plan.seed, 20_000_000, START, ledger));
    world.weather = plan.weather;
    for chain in &plan.chains {
        let (commitments, agg_vkey) = keys(chain.id, 0);
        let commitments = Commitments { mode: chain.policy.mode, ..commitments };
        world.rollups.insert(chain.id, rollup(chain));
        world.oracles.insert(chain.id, oracle_address(chain.id));
        world
            .provers
            .insert(chain.id, Prover::new(chain.id, plan.seed, chain.profile, commitments, agg_vkey));
    }
    world
}

fn configured(plan: &ChainPlan) -> ChainConfigured {
    ChainConfigured {
        chain: plan.id,
        registration: ChainRegistered {
            name: format!("rollup-{}", plan.id),
            l1: L1_ID,
            oracle: oracle_address(plan.id),
            l1_genesis: mix(&[0x11, L1_ID.0]),
            l2_genesis: mix(&[0x12, plan.id.0]),
        },
        policy: plan.policy.clone(),
    }
}

impl<'w, M: Medium> Sim<'w, M> {
    /// A run of `plan` on `medium`.
    ///
    /// # Errors
    /// When the medium has no place for a log.
    pub fn new(
        plan: Scenario,
        mut medium: M,
        options: Options,
        watch: Option<Watch<'w>>,
    ) -> Result<Self, prooflog_events::port::SequenceError> {
        let sequence = medium.create()?;
        let log = prooflog_events::port::SequenceRead::log_id(&sequence);
        let configured: BTreeMap<_, _> =
            plan.chains.iter().map(|chain| (chain.id, configured(chain))).collect();
        let checker = Checker::new(plan.seed, log, options.sabotage.replays());
        let mut sim = Self {
            world: world(&plan),
            rng: Rng::new(plan.seed, "run"),
            medium,
            resting: Some(sequence),
            process: None,
            adapter: Adapter::new(options.sabotage),
            checker,
            configured,
            queue: BTreeMap::new(),
            sequence: 0,
            now: START,
            epoch: 0,
            wake_at: None,
            unheard: VecDeque::new(),
            snapshot: None,
            spins: 0,
            disk_low: false,
            clock_back_until: Micros(0),
            targets: BTreeMap::new(),
            deadline: None,
            done: false,
            idle_from: None,
            figures: Figures::default(),
            trace: VecDeque::new(),
            watch,
            options,
            plan,
        };
        for chain in sim.configured.values() {
            sim.checker.configured(chain);
        }
        sim.at(START, What::Start);
        sim.at(START.plus_secs(3), What::Block);
        sim.at(START.plus_secs(sim.plan.active_secs), What::Quiet);
        for (at, incident) in std::mem::take(&mut sim.plan.incidents) {
            sim.at(at, What::Incident(incident));
        }
        Ok(sim)
    }

    /// The process dies; the last `losing` commits, of which nobody heard, are gone.
    pub(super) fn crash(&mut self, losing: usize) {
        let Some(process) = self.process.take() else { return };
        self.note(|| format!("CRASH losing {losing} commits"));
        self.figures.crashes += 1;
        self.figures.appends += u64::from(self.plan.crash_at.is_some());
        self.epoch += 1;
        self.wake_at = None;
        self.unheard.clear();
        self.adapter = Adapter::new(self.options.sabotage);
        let Some(log) = process.into_log() else {
            return self.violate("log", "somebody still holds the log of a dead process".to_owned());
        };
        match self.medium.reopen(log, losing + self.options.sabotage.loses_heard()) {
            Ok(sequence) => self.resting = Some(sequence),
            Err(error) => self.violate("log", format!("it does not open after a crash: {error}")),
        }
        let secs = if self.rng.chance(300) { self.rng.between(60, 600) } else { self.rng.between(1, 10) };
        self.at(self.now.plus_secs(secs), What::Start);
    }

    /// A process starts on what the log holds.
    pub(super) fn start(&mut self) {
        let Some(sequence) = self.resting.take() else { return };
        let log = match Log::open(sequence) {
            Ok(log) => log,
            Err(error) => return self.violate("log", format!("it does not open: {error}")),
        };
        let head = log.head();
        self.checker.reopened(&log, self.now);
        self.checker.follow(&log, head.position, &self.world, &mut self.watch);
        // A snapshot is only a shortcut: with one and without one the state must be the same.
        let snapshot = self.snapshot.take().filter(|(at, _)| *at <= head.position);
        if let Some((at, _)) = &snapshot {
            let (short, long) = (fold(&log, snapshot.clone()), fold(&log, None));
            if short.as_ref().map(|state| state.digest()) != long.as_ref().map(|state| state.digest()) {
                let error = short.err().unwrap_or_default();
                self.violate(
                    "snapshot",
                    format!("the snapshot at {at} and its tail give another state {error}"),
                );
            }
        }
        let opening = Opening {
            pacing: Pacing::default(),
            now: self.told(),
            started: EngineStarted {
                release: "simulated".to_owned(),
                behaviour: BEHAVIOUR,
                format: 1,
                policy: Hash32::ZERO,
            },
            real: self.options.sabotage == Sabotage::None,
            sabotage: self.options.sabotage,
            snapshot: snapshot.filter(|_| self.plan.seed.is_multiple_of(2)),
        };
        match Process::open(log, opening) {
            Ok((process, fed)) => {
                self.process = Some(process);
                self.note(|| "START".to_owned());
                if let Some(last) = fed.last {
                    self.figures.appends += 1;
                    self.hear(fed.batch, last);
                }
                if fed.more {
                    self.feed(&prooflog_events::input::TimerDue::of_all().into(), Origin::default());
                }
            }
            Err(FeedError::Append(text) | FeedError::Bug(text)) => {
                return self.violate("legal events", format!("the process does not start: {text}"));
            }
            Err(FeedError::Refused) => {
                return self.violate("legal events", "the start was refused".to_owned());
            }
        }
        let configured: Vec<ChainConfigured> = self.configured.values().cloned().collect();
        for chain in configured {
            self.feed(&chain.into(), Origin::default());
        }
        // The disk is looked at from the start on.
        self.disk(self.disk_low);
    }

    /// Compares the running state with the fold of the log, now and then, and takes a snapshot for the next start.
    pub(super) fn compare_states(&mut self, last: Position) {
        let Some(process) = &self.process else { return };
        if !self.rng.chance(20) {
            return;
        }
        let state = process.state();
        if state.digest() != self.checker.shadow().digest() {
            let text = "the running state is not the fold of the log".to_owned();
            self.checker.violate("fold", self.now, text);
        }
        if let Some(chain) = state.chains.values().find(|chain| chain.index != index_from_scratch(chain)) {
            let text = format!("the index of rollup {} is not what its units say", chain.id);
            self.checker.violate("fold", self.now, text);
        }
        if !state.proof_names_are_counted_right() {
            let text = "the count of who names a proof is not what the units say".to_owned();
            self.checker.violate("fold", self.now, text);
        }
        if self.rng.chance(200) {
            let bytes = self.options.sabotage.snapshot(state).to_bytes();
            self.snapshot = Some((last, bytes));
        }
    }
}
