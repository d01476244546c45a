//! One rollup: its blocks with their weights, the finalized head, and the nodes that report on it.
//!
//! Blocks and roots follow from the rollup's id, so every honest node says the same. The finalized head lags behind the
//! tip, can stall, and can jump when it goes on.

use prooflog_events::ids::{ChainId, L2Block, Micros, Range};

use crate::rng::mix;

/// Seconds between L2 blocks.
pub const L2_BLOCK_SECS: u64 = 2;

/// A rollup.
#[derive(Debug, Clone)]
pub struct Rollup {
    /// Its id.
    pub chain: ChainId,
    /// When block 0 was made.
    pub genesis: Micros,
    /// Seconds that finality lags behind the tip.
    pub lag_secs: u64,
    /// Seconds between moves of the finalized head; 0 lets it stand.
    pub step_secs: u64,
    /// The finalized head.
    pub finalized: L2Block,
    /// It does not move before.
    pub stalled_until: Micros,
    /// One in this many blocks is heavy; 0 for none.
    pub heavy_one_in: u64,
    /// A block that is too heavy for any span until somebody mends the prover.
    pub impossible: Option<L2Block>,
    /// The second node answers wrongly until then.
    pub lies_until: Micros,
    /// The nodes do not answer until then.
    pub down_until: Micros,
    /// Number of nodes.
    pub nodes: u64,
}

impl Rollup {
    /// Moves the finalized head to where it should be.
    pub fn tick(&mut self, now: Micros) {
        if now < self.stalled_until || self.step_secs == 0 {
            return;
        }
        let age = now.secs_since(self.genesis).saturating_sub(self.lag_secs);
        let step = (self.step_secs / L2_BLOCK_SECS).max(1);
        let block = age / L2_BLOCK_SECS / step * step;
        self.finalized = self.finalized.max(L2Block(block));
    }

    /// When a block was made.
    #[must_use]
    pub const fn time_of(&self, block: L2Block) -> Micros {
        self.genesis.plus_secs(block.0.saturating_mul(L2_BLOCK_SECS))
    }

    /// What a block weighs for the prover; also its gas in units of 100,000.
    #[must_use]
    pub fn weight(&self, block: u64) -> u64 {
        let dice = mix(&[0x3e19, self.chain.0, block]).0;
        let small = u64::from(dice.first().copied().unwrap_or(0)) % 10 + 1;
        let second =
            u64::from(dice.get(1).copied().unwrap_or(1)) * 256 + u64::from(dice.get(2).copied().unwrap_or(1));
        let is_heavy = self.heavy_one_in > 0 && second.is_multiple_of(self.heavy_one_in);
        if is_heavy { small + 150 } else { small }
    }

    /// What a range weighs, and whether the impossible block lies in it.
    #[must_use]
    pub fn weigh(&self, range: Range) -> (u64, bool) {
        let sum =
            (range.start.0 + 1..=range.end.0).map(|block| self.weight(block)).fold(0, u64::saturating_add);
        let impossible = self.impossible.is_some_and(|block| range.start < block && block <= range.end);
        (sum, impossible)
    }
}
