//! What others do on the L1: owners, challengers, other proposers, and people who hold our key.
//!
//! A deed stands in a block and is taken back with it; after a reorg it happens again in a later block.

use prooflog_events::ids::{Address, ChainId, Hash32, L1Ref, L2Block, Micros, Wei};

use super::l1::Ledger;
use super::oracle::Output;
use super::proof::output_root;
use crate::rng::mix;

/// One such act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// The owner sets other keys: range, rollup configuration, aggregation.
    Commitments(Address, Hash32, Hash32, Hash32),
    /// The owner sets another submission interval.
    Interval(Address, u64),
    /// Optimistic mode goes on or off.
    Optimistic(Address, bool),
    /// Our sender is approved, or not.
    Approved(Address, bool),
    /// The verifier's route for our proofs is frozen, or open.
    RouteBroken(Address, bool),
    /// Submissions must go through this factory, or directly.
    Factory(Address, Option<Address>),
    /// The challenger deletes the newest outputs, this many; the first one stays.
    Delete(Address, u64),
    /// Another proposer settles up to a block.
    ForeignOutput(Address, L2Block),
    /// Somebody uses our key.
    ForeignNonce(Address),
    /// Our account has this much now.
    Balance(Address, Wei),
}

impl Deed {
    /// Does it.
    pub fn apply(&self, ledger: &mut Ledger, at: L1Ref, time: Micros) {
        match self {
            Self::ForeignNonce(account) => *ledger.nonces.entry(*account).or_default() += 1,
            Self::Balance(account, balance) => {
                ledger.balances.insert(*account, balance.0);
            }
            Self::Commitments(oracle, ..)
            | Self::Interval(oracle, _)
            | Self::Optimistic(oracle, _)
            | Self::Approved(oracle, _)
            | Self::RouteBroken(oracle, _)
            | Self::Factory(oracle, _)
            | Self::Delete(oracle, _)
            | Self::ForeignOutput(oracle, _) => self.apply_to_oracle(*oracle, ledger, at, time),
        }
    }

    fn apply_to_oracle(&self, address: Address, ledger: &mut Ledger, at: L1Ref, time: Micros) {
        let Some(oracle) = ledger.oracles.get_mut(&address) else { return };
        let values = &mut oracle.values;
        match self {
            Self::Commitments(_, range_vkey, rollup_config, agg_vkey) => {
                (values.range_vkey, values.rollup_config) = (*range_vkey, *rollup_config);
                values.agg_vkey = *agg_vkey;
            }
            Self::Interval(_, blocks) => values.submission_interval = *blocks,
            Self::Optimistic(_, on) => values.optimistic = *on,
            Self::Approved(_, yes) => values.approved = *yes,
            Self::RouteBroken(_, broken) => oracle.route_broken = *broken,
            Self::Factory(_, factory) => values.factory = *factory,
            Self::Delete(_, count) => {
                let kept = oracle.outputs.len().saturating_sub(usize::try_from(*count).unwrap_or(0)).max(1);
                oracle.outputs.truncate(kept);
            }
            Self::ForeignOutput(_, block) => {
                let in_future =
                    oracle.l2_genesis.plus_secs(block.0.saturating_mul(oracle.l2_block_secs)) >= time;
                if *block < oracle.next_block() || in_future || oracle.values.optimistic {
                    return;
                }
                let chain: ChainId = oracle.chain;
                let tx = mix(&[0xf0e1, at.number.0, block.0]);
                let (root, sender) = (output_root(chain, *block), Address([0xfe; 20]));
                oracle.outputs.push(Output { root, block: *block, tx, sender, time });
            }
            Self::ForeignNonce(_) | Self::Balance(..) => {}
        }
    }

    /// Whether it deletes outputs of this contract.
    #[must_use]
    pub fn deletes(&self, address: Address) -> bool {
        matches!(self, Self::Delete(oracle, _) if *oracle == address)
    }
}
