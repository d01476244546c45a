//! What was last read from outside: balances, heads, free disk, timestamps of L2 blocks.
//!
//! A reading holds for [`FRESH_SECS`] and no longer, and is forgotten at once when the next one fails: an old number
//! never stands for today's. Only block timestamps stay, because they do not change.

use std::collections::BTreeMap;

use prooflog_events::ids::{ChainId, L2Block, Micros, SignerId, Wei};
use prooflog_events::input::Input;
use prooflog_events::values::L1Head;

/// Seconds for which a reading stands for now.
const FRESH_SECS: u64 = 600;
/// Blocks between two timestamps from which the block time follows.
const MICROS: f64 = 1e6;

/// Something that no event tells. `None`: not known any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// Unsafe head of a rollup.
    UnsafeHead {
        /// The rollup.
        chain: ChainId,
        /// Its block.
        block: Option<L2Block>,
    },
    /// Time between two blocks of a rollup, from its configuration.
    BlockTime {
        /// The rollup.
        chain: ChainId,
        /// Seconds.
        seconds: u64,
    },
    /// From when on anybody may submit to a rollup's contract.
    FallbackOpens {
        /// The rollup.
        chain: ChainId,
        /// That moment.
        at: Option<Micros>,
    },
    /// Finalized head of a rollup, as its node says.
    Finalized {
        /// The rollup.
        chain: ChainId,
        /// The block and its timestamp.
        head: Option<(L2Block, Micros)>,
    },
    /// The contract of a rollup was read, or could not be.
    Contract {
        /// The rollup.
        chain: ChainId,
        /// The L1's head.
        l1: Option<L1Head>,
    },
    /// Balance of an account.
    Balance {
        /// The account.
        signer: SignerId,
        /// What it has.
        balance: Option<Wei>,
    },
    /// Free space on the disk of the data directory, and the least that is needed for new work, in bytes.
    Disk {
        /// Both.
        free_and_minimum: Option<(u64, u64)>,
    },
}

/// A reading and its moment.
#[derive(Debug, Clone, Copy)]
struct Reading<T> {
    value: Option<T>,
    at: Micros,
}

impl<T> Default for Reading<T> {
    fn default() -> Self {
        Self { value: None, at: Micros(0) }
    }
}

impl<T: Copy> Reading<T> {
    const fn new(value: Option<T>, at: Micros) -> Self {
        Self { value, at }
    }

    fn now(&self, now: Micros) -> Option<T> {
        self.value.filter(|_| now.secs_since(self.at) <= FRESH_SECS)
    }
}

/// What was read about one rollup.
#[derive(Debug, Clone, Default)]
struct ChainSeen {
    finalized: Reading<L2Block>,
    l1: Reading<L1Head>,
    unsafe_head: Reading<L2Block>,
    fallback: Reading<Micros>,
    stamp: Option<(L2Block, Micros)>,
    micros_per_block: Option<f64>,
}

/// All readings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    chains: BTreeMap<ChainId, ChainSeen>,
    balances: BTreeMap<SignerId, Reading<Wei>>,
    disk: Reading<(u64, u64)>,
}

impl Seen {
    /// Takes what the loop was told.
    pub(crate) fn input(&mut self, input: &Input, now: Micros) {
        match input {
            Input::NodeRead(read) => {
                let head = Some((read.finalized, read.finalized_time));
                self.observe(Observation::Finalized { chain: read.chain, head }, now);
            }
            Input::ContractRead(read) => {
                self.observe(Observation::Contract { chain: read.chain, l1: Some(read.at) }, now);
            }
            Input::SignerRead(read) => {
                self.observe(Observation::Balance { signer: read.signer, balance: Some(read.balance) }, now);
            }
            Input::DiskRead(read) => {
                self.observe(Observation::Disk { free_and_minimum: Some((read.free, read.minimum)) }, now);
            }
            _ => {}
        }
    }

    pub(crate) fn observe(&mut self, observation: Observation, now: Micros) {
        match observation {
            Observation::UnsafeHead { chain, block } => {
                self.chain(chain).unsafe_head = Reading::new(block, now)
            }
            Observation::BlockTime { chain, seconds } => {
                self.chain(chain).micros_per_block = Some(seconds as f64 * MICROS);
            }
            Observation::FallbackOpens { chain, at } => self.chain(chain).fallback = Reading::new(at, now),
            Observation::Finalized { chain, head } => {
                let seen = self.chain(chain);
                seen.finalized = Reading::new(head.map(|(block, _)| block), now);
                if let Some((block, time)) = head {
                    seen.stamp(block, time);
                }
            }
            Observation::Contract { chain, l1 } => self.chain(chain).l1 = Reading::new(l1, now),
            Observation::Balance { signer, balance } => {
                self.balances.insert(signer, Reading::new(balance, now));
            }
            Observation::Disk { free_and_minimum } => self.disk = Reading::new(free_and_minimum, now),
        }
    }

    fn chain(&mut self, chain: ChainId) -> &mut ChainSeen {
        self.chains.entry(chain).or_default()
    }

    pub(crate) fn disk(&self, now: Micros) -> Option<(u64, u64)> {
        self.disk.now(now)
    }

    pub(crate) fn balance(&self, signer: SignerId, now: Micros) -> Option<Wei> {
        self.balances.get(&signer)?.now(now)
    }

    pub(crate) fn finalized(&self, chain: ChainId, now: Micros) -> Option<L2Block> {
        self.chains.get(&chain)?.finalized.now(now)
    }

    /// The L1's head at the last reading of the rollup's contract.
    pub(crate) fn l1(&self, chain: ChainId, now: Micros) -> Option<L1Head> {
        self.chains.get(&chain)?.l1.now(now)
    }

    pub(crate) fn unsafe_head(&self, chain: ChainId, now: Micros) -> Option<L2Block> {
        self.chains.get(&chain)?.unsafe_head.now(now)
    }

    pub(crate) fn fallback(&self, chain: ChainId, now: Micros) -> Option<Micros> {
        self.chains.get(&chain)?.fallback.now(now)
    }

    /// Timestamp of a block in seconds, from one that was read and the rollup's block time.
    pub(crate) fn time_of(&self, chain: ChainId, block: L2Block) -> Option<f64> {
        self.chains.get(&chain)?.time_of(block)
    }
}

impl ChainSeen {
    /// A block's timestamp; with an earlier one it tells the block time, which is constant on an OP Stack rollup.
    fn stamp(&mut self, block: L2Block, time: Micros) {
        if let Some((known, then)) = self.stamp
            && block > known
            && time > then
            && self.micros_per_block.is_none()
        {
            self.micros_per_block = Some((time.0 - then.0) as f64 / (block.0 - known.0) as f64);
        }
        self.stamp = Some((block, time));
    }

    fn time_of(&self, block: L2Block) -> Option<f64> {
        let (known, time) = self.stamp?;
        if known == block {
            return Some(time.0 as f64 / MICROS);
        }
        Some((time.0 as f64 + (block.0 as f64 - known.0 as f64) * self.micros_per_block?) / MICROS)
    }
}
