//! Reads of nodes, contracts and accounts: sometimes old, wrong, torn or missing.
//!
//! An answer may be late, of a lagging endpoint, or none at all. Several values of the L1 are read one after another: where
//! it moves meanwhile they belong to two blocks, and only a look at the block before and after tells.

use prooflog_events::ids::{
    Address, ChainId, Hash32, L1Number, L1Ref, L2Block, Nonce, Range, SignerId, TxVersion, Wei,
};
use prooflog_events::input::{
    BlockStats, BlocksRead, ContractRead, NodeRead, OutputRead, ServerValidated, SignerRead, TxSeen, TxState,
};
use prooflog_events::values::{NodeAnswer, NonceState};

use super::l1::{Block, L1};
use super::proof::output_root;
use super::{Reply, World};
use crate::rng::mix;

/// Seconds after which a call that hangs is given up.
const CALL_LIMIT: u64 = 15;
/// Blocks that an endpoint lags behind at most.
const MAX_LAG: u64 = 4;
/// Blocks whose sizes an answer holds at most.
const MAX_SIZES: u64 = 500;

/// What a contract read asks for.
#[derive(Debug, Clone, Copy)]
pub struct ContractQuestion<'a> {
    /// The rollup.
    pub chain: ChainId,
    /// Its contract.
    pub oracle: Address,
    /// Depth that counts as confirmed.
    pub confirmations: u64,
    /// Checkpoints to read back.
    pub checkpoints: &'a [L1Number],
    /// L1 blocks whose canonical hash is asked for.
    pub canonical: &'a [L1Number],
    /// The block at which the latest output was seen.
    pub since: L1Ref,
}

/// An answer of several values, and the block that the endpoint showed before and after it gave them.
#[derive(Debug, Clone)]
pub struct Read {
    /// The block before.
    pub before: L1Ref,
    /// The block after: another one if the answer is torn.
    pub after: L1Ref,
    /// The answer.
    pub reply: Reply,
}

impl World {
    /// `optimism_syncStatus`.
    pub fn read_node(&mut self, chain: ChainId) -> Reply {
        let (weather, now) = (self.weather, self.now);
        let Some(rollup) = self.rollups.get(&chain) else { return self.failed(1) };
        if now < rollup.down_until || self.rng.chance(weather.node_fail) {
            return self.failed(CALL_LIMIT);
        }
        let mut finalized = rollup.finalized;
        if self.rng.chance(weather.node_stale) {
            finalized = match self.rng.below(3) {
                0 => L2Block(0),
                _ => L2Block(finalized.0.saturating_sub(self.rng.between(1, 200))),
            };
        }
        let hash = mix(&[0x12b, chain.0, finalized.0]);
        let finalized_time = rollup.time_of(finalized);
        let Some(current_l1) = self.l1.view(0).map(|head| head.at) else { return self.failed(1) };
        self.answer(NodeRead { chain, finalized, hash, current_l1, finalized_time })
    }

    /// `eth_getBlockByNumber` for gas and transaction counts.
    pub fn read_blocks(&mut self, chain: ChainId, range: Range) -> Reply {
        let (weather, now) = (self.weather, self.now);
        let Some(rollup) = self.rollups.get(&chain) else { return self.failed(1) };
        if now < rollup.down_until || self.rng.chance(weather.node_fail) {
            return self.failed(CALL_LIMIT);
        }
        let blocks = if self.rng.chance(weather.node_stale) {
            Vec::new()
        } else {
            let numbers = range.start.0 + 1..=range.end.0.min(range.start.0 + MAX_SIZES);
            let size = |block| BlockStats { gas: rollup.weight(block) * 100_000, transactions: 3 };
            numbers.map(size).collect()
        };
        self.answer(BlocksRead { chain, range, blocks })
    }

    /// `optimism_outputAtBlock`, of all nodes.
    pub fn read_output(&mut self, chain: ChainId, block: L2Block) -> Reply {
        let (weather, now) = (self.weather, self.now);
        let Some(rollup) = self.rollups.get(&chain) else { return self.failed(1) };
        let (lies, down, count) = (now < rollup.lies_until, now < rollup.down_until, rollup.nodes);
        let known = block <= rollup.finalized;
        let mut nodes = Vec::new();
        for nth in 0..count {
            let silent = down || !known || self.rng.chance(weather.node_fail);
            let wrong = lies && nth + 1 == count;
            let truth = output_root(chain, block);
            let root = if wrong { mix(&[0x11e5, block.0]) } else { truth };
            nodes.push(NodeAnswer { node: format!("node-{nth}"), root: (!silent).then_some(root) });
        }
        let Some(current_l1) = self.l1.view(0).map(|head| head.at) else { return self.failed(1) };
        self.answer(OutputRead { chain, block, current_l1, nodes })
    }

    /// The block that an endpoint shows: the head, or one that is a few blocks old.
    fn endpoint_head(&mut self) -> Option<u64> {
        if self.now < self.l1_down_until || self.rng.chance(self.weather.l1_fail) {
            return None;
        }
        let stale = self.rng.chance(self.weather.l1_stale);
        let lag = if stale { self.rng.between(1, MAX_LAG) } else { 0 };
        Some(self.l1.height().saturating_sub(lag))
    }

    /// No answer, after `secs` seconds: nothing of it is torn.
    pub(super) fn nothing_read(&self, secs: u64) -> Read {
        let at = self.l1_head();
        Read { before: at, after: at, reply: self.failed(secs) }
    }

    /// What an endpoint at `height` shows while it is asked: the block that it showed first, and the one of its later
    /// answers. They differ where it moves on meanwhile, by a block or into a reorg.
    pub(super) fn shown(&mut self, height: u64) -> Option<(Block, Block)> {
        let then = self.l1.block(height)?.clone();
        if !self.torn.chance(self.weather.l1_torn) {
            return Some((then.clone(), then));
        }
        let reorged = self.l1.orphan(height).filter(|_| self.torn.chance(500));
        let first = reorged.or_else(|| self.l1.block(height.checked_sub(1)?))?.clone();
        Some((first, then))
    }

    /// All getters of a contract.
    pub fn read_contract(&mut self, asks: ContractQuestion<'_>) -> Read {
        let Some(height) = self.endpoint_head() else { return self.nothing_read(CALL_LIMIT) };
        let Some((first, then)) = self.shown(height) else { return self.nothing_read(1) };
        let (before, after) = (first.at, then.at);
        let reply = match contract_at(&self.l1, (&first, &then), asks) {
            Some(read) => self.answer(read),
            None => self.failed(1),
        };
        Read { before, after, reply }
    }

    /// The account's nonces and balance, and what became of its transactions.
    pub fn read_signer(
        &mut self,
        signer: SignerId,
        confirmations: u64,
        txs: &[(Nonce, TxVersion, Hash32)],
    ) -> Read {
        let Some(height) = self.endpoint_head() else { return self.nothing_read(CALL_LIMIT) };
        let Some((head, then)) = self.shown(height) else { return self.nothing_read(1) };
        let mut seen = Vec::new();
        for (nonce, version, hash) in txs {
            let state = match self.l1.receipt(*hash, height) {
                Some((block, receipt)) => TxState::Included {
                    block,
                    gas_used: receipt.gas_used,
                    fee_paid: receipt.fee_paid,
                    reverted: receipt.reverted.clone(),
                },
                None if self.l1.is_waiting(*hash) && !self.rng.chance(self.weather.tx_unknown) => {
                    TxState::Pending
                }
                None => TxState::Unknown,
            };
            seen.push(TxSeen { nonce: *nonce, version: *version, state });
        }
        let nonce = |block: &Block| Nonce(block.ledger.nonces.get(&signer.address).copied().unwrap_or(0));
        let confirmed = self.l1.block(height.saturating_sub(confirmations)).map_or(Nonce(0), nonce);
        let read = SignerRead {
            signer,
            at: L1::head(&head),
            nonce: NonceState { head: nonce(&head), confirmed },
            balance: Wei(head.ledger.balances.get(&signer.address).copied().unwrap_or(0)),
            txs: seen,
        };
        Read { before: head.at, after: then.at, reply: self.answer(read) }
    }

    /// `/validate_config`.
    pub fn validate(&mut self, chain: ChainId) -> Reply {
        let now = self.now;
        let (Some(prover), Some(oracle)) = (self.provers.get(&chain), self.oracle(chain)) else {
            return self.failed(1);
        };
        let read = ServerValidated {
            chain,
            rollup_config_ok: prover.commitments.rollup_config == oracle.values.rollup_config,
            agg_vkey_ok: prover.agg_vkey == oracle.values.agg_vkey,
            range_vkey_ok: prover.commitments.range_vkey == oracle.values.range_vkey,
        };
        if now < prover.down_until || self.rng.chance(self.weather.status_fail) {
            return self.failed(2);
        }
        self.answer(read)
    }

    /// L1 height as our endpoint shows it now.
    pub(crate) fn l1_seen(&mut self) -> L1Number {
        let stale = self.rng.chance(self.weather.l1_stale);
        let lag = if stale { self.rng.between(1, MAX_LAG) } else { 0 };
        L1Number(self.l1.height().saturating_sub(lag))
    }
}

/// The header is of the block shown first, the values of the contract are of the one shown then.
fn contract_at(l1: &L1, (head, then): (&Block, &Block), asks: ContractQuestion<'_>) -> Option<ContractRead> {
    let height = head.at.number.0;
    let deep = l1.block(height.saturating_sub(asks.confirmations))?;
    let oracle = then.ledger.oracles.get(&asks.oracle)?;
    let oracle_deep = deep.ledger.oracles.get(&asks.oracle)?;
    let checkpoint = |number: &L1Number| L1Ref {
        number: *number,
        hash: oracle_deep.checkpoints.get(number).copied().unwrap_or(Hash32::ZERO),
    };
    let canonical = |number: &L1Number| {
        l1.block(number.0).filter(|block| block.at.number.0 <= height).map(|block| block.at)
    };
    Some(ContractRead {
        chain: asks.chain,
        oracle: asks.oracle,
        at: L1::head(head),
        values: oracle.values.clone(),
        latest: oracle.latest(),
        next_block: oracle.next_block(),
        latest_by: oracle
            .outputs
            .last()
            .filter(|output| output.tx != Hash32::ZERO)
            .map(|output| (output.tx, output.sender)),
        outputs_deleted: was_deleted(l1, height, &asks),
        confirmed_at: deep.at,
        confirmed: oracle_deep.latest(),
        checkpoints: asks.checkpoints.iter().map(checkpoint).collect(),
        canonical: asks.canonical.iter().filter_map(canonical).collect(),
    })
}

/// Whether a transaction deleted outputs after the block at which the latest one was seen.
fn was_deleted(l1: &L1, height: u64, asks: &ContractQuestion<'_>) -> bool {
    let from = if l1.is_canonical(asks.since) {
        asks.since.number.0 + 1
    } else {
        asks.since.number.0.saturating_sub(64)
    };
    (from..=height)
        .filter_map(|number| l1.block(number))
        .any(|block| block.deeds.iter().any(|deed| deed.deletes(asks.oracle)))
}
