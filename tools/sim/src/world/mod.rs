//! The outside world, scripted and random: L1, contracts, rollups with their nodes, provers.
//!
//! Nothing in here knows the engine. Calls come in as effects, answers go out as inputs with a moment at which they
//! arrive; what a caller did illegally is a [`Complaint`]. The world goes on while the engine is down.

mod deed;
mod l1;
mod oracle;
mod proof;
mod prover;
mod proving;
mod reads;
mod rollup;
mod sends;
mod weather;

pub use deed::Deed;
pub use l1::{BLOCK_SECS, Block, L1, Ledger, Mood, Payload, Receipt, Tx, gas_of};
pub use oracle::{Oracle, Output};
pub use proof::{AggProof, SELECTOR, SpanProof, blob_ref, is_unreadable, output_root};
pub use prover::{Job, Profile, Prover, Verdict, Witness};
pub use proving::Look;
pub use reads::{ContractQuestion, Read};
pub use rollup::{L2_BLOCK_SECS, Rollup};
pub use sends::ToSign;
pub use weather::Weather;

use std::collections::{BTreeMap, BTreeSet};

use prooflog_events::ids::{Address, Attempt, ChainId, Hash32, Micros, UnitId};
use prooflog_events::input::Input;

use crate::rng::Rng;

const GWEI: u128 = 1_000_000_000;

/// Something that no caller may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The rule.
    pub rule: &'static str,
    /// What happened.
    pub text: String,
}

/// What a call comes to.
#[derive(Debug, Clone)]
pub enum Answer {
    /// An input, with the bytes that it names.
    Input(Box<Input>, Vec<Vec<u8>>),
    /// Nothing.
    Failed,
}

/// When an answer arrives.
#[derive(Debug, Clone)]
pub enum Reply {
    /// At this moment.
    At(Micros, Answer),
    /// When this witness of a rollup's server is done; the answer is lost if the connection broke.
    Witness {
        /// When to look.
        at: Micros,
        /// The rollup.
        chain: ChainId,
        /// Which witness.
        witness: u64,
        /// The connection breaks then.
        breaks: bool,
    },
}

/// Everything outside the engine.
#[derive(Debug)]
pub struct World {
    /// Virtual time.
    pub now: Micros,
    /// The L1.
    pub l1: L1,
    /// Rollups.
    pub rollups: BTreeMap<ChainId, Rollup>,
    /// Their provers.
    pub provers: BTreeMap<ChainId, Prover>,
    /// Their contracts.
    pub oracles: BTreeMap<ChainId, Address>,
    /// Chances of small faults.
    pub weather: Weather,
    /// Fees are high until then.
    pub spike_until: Micros,
    /// The L1's endpoint does not answer until then.
    pub l1_down_until: Micros,
    /// The next block is a reorg of this depth, keeping transactions with this chance in 1,000.
    pub reorg: Option<(u64, u32)>,
    /// Hashes that any contract ever held as checkpoint.
    pub checkpointed: BTreeSet<Hash32>,
    /// Attempts that the server told to have failed.
    pub told_failed: BTreeSet<(UnitId, Attempt)>,
    /// What callers did illegally.
    pub complaints: Vec<Complaint>,
    pub(crate) rng: Rng,
    /// Of what was added later, so that kept seeds stay what they were.
    torn: Rng,
}

impl World {
    /// A world at `now` with an L1 and nothing else.
    #[must_use]
    pub fn new(seed: u64, now: Micros, l1: L1) -> Self {
        Self {
            now,
            l1,
            rollups: BTreeMap::new(),
            provers: BTreeMap::new(),
            oracles: BTreeMap::new(),
            weather: Weather::calm(),
            spike_until: Micros(0),
            l1_down_until: Micros(0),
            reorg: None,
            checkpointed: BTreeSet::new(),
            told_failed: BTreeSet::new(),
            complaints: Vec::new(),
            rng: Rng::new(seed, "world"),
            torn: Rng::new(seed, "world's torn reads"),
        }
    }

    /// An L1 block comes, and finality moves.
    pub fn tick(&mut self, now: Micros) {
        self.now = now;
        let market = if now < self.spike_until { 400 * GWEI } else { 10 * GWEI };
        let weather = self.weather;
        let mood = Mood {
            inclusion: 1_000_u32.saturating_sub(weather.tx_skip),
            drop: weather.tx_drop,
            hungry: weather.tx_hungry,
            market,
        };
        self.l1.tick(now, mood, self.reorg.take());
        for rollup in self.rollups.values_mut() {
            rollup.tick(now);
        }
        if let Some(head) = self.l1.view(0) {
            let held = head.ledger.oracles.values().flat_map(|oracle| oracle.checkpoints.values());
            self.checkpointed.extend(held);
        }
    }

    /// The contract of a rollup at the L1's head.
    #[must_use]
    pub fn oracle(&self, chain: ChainId) -> Option<&Oracle> {
        self.l1.view(0)?.ledger.oracles.get(self.oracles.get(&chain)?)
    }

    /// Ends all that is broken.
    pub fn mend(&mut self, now: Micros) {
        self.weather = Weather::calm();
        self.spike_until = now;
        self.l1_down_until = now;
        self.reorg = None;
        for rollup in self.rollups.values_mut() {
            rollup.stalled_until = now;
            rollup.lies_until = now;
            rollup.down_until = now;
            rollup.impossible = None;
        }
        for prover in self.provers.values_mut() {
            prover.mend(now);
        }
    }

    /// Remembers what a caller did illegally.
    pub fn complain(&mut self, rule: &'static str, text: String) {
        self.complaints.push(Complaint { rule, text });
    }

    /// A moment soon after now: how long a healthy call takes.
    fn soon(&mut self) -> Micros {
        let micros = self.rng.between(20_000, 400_000);
        Micros(self.now.0 + micros)
    }

    fn answer(&mut self, input: impl Into<Input>) -> Reply {
        Reply::At(self.soon(), Answer::Input(Box::new(input.into()), Vec::new()))
    }

    /// No answer, after `secs` seconds.
    fn failed(&self, secs: u64) -> Reply {
        Reply::At(self.now.plus_secs(secs), Answer::Failed)
    }
}
