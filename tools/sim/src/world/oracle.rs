//! The output oracle: the contract of one rollup as one L1 block holds it.
//!
//! A plain value, cloned with the block that changes it, so a reorg is a return to an older value. The rules are those
//! of the real contract: which blocks it accepts next, which checkpoints it can still take, what its verifier binds.

use std::collections::BTreeMap;

use prooflog_core::OutputBody;
use prooflog_events::ids::{Address, ChainId, Hash32, L1Number, L2Block, Micros};
use prooflog_events::values::{Anchor, Commitments, ContractValues, Mode, Refusal, RefusalClass};

use super::proof::AggProof;

/// Blocks whose hash a contract can see.
const VISIBLE_HASHES: u64 = 256;

/// An output that the contract holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Its root.
    pub root: Hash32,
    /// Its L2 block.
    pub block: L2Block,
    /// The transaction that brought it.
    pub tx: Hash32,
    /// Who sent that.
    pub sender: Address,
    /// When.
    pub time: Micros,
}

/// The contract of one rollup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oracle {
    /// The rollup.
    pub chain: ChainId,
    /// Its address.
    pub address: Address,
    /// What its getters answer.
    pub values: ContractValues,
    /// Real or mock verifier.
    pub mode: Mode,
    /// All outputs, oldest first.
    pub outputs: Vec<Output>,
    /// Hashes stored by checkpoint calls.
    pub checkpoints: BTreeMap<L1Number, Hash32>,
    /// The verifier's gateway has no route for our proofs.
    pub route_broken: bool,
    /// Timestamp of L2 block 0, as the contract's constants say.
    pub l2_genesis: Micros,
    /// Seconds between L2 blocks, as the contract's constants say.
    pub l2_block_secs: u64,
}

/// What a call is executed in.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Number of the block that executes it.
    pub number: u64,
    /// That block's timestamp.
    pub time: Micros,
    /// Who sends.
    pub sender: Address,
    /// The coin sent along.
    pub value: u128,
    /// Hashes of the blocks below.
    pub hash_of: &'a dyn Fn(u64) -> Option<Hash32>,
}

/// A refusal in words.
pub(super) fn refuse(class: RefusalClass, text: &str) -> Refusal {
    Refusal { class, text: text.to_owned() }
}

impl Oracle {
    /// The newest output.
    #[must_use]
    pub fn latest(&self) -> Option<Anchor> {
        let last = self.outputs.last()?;
        Some(Anchor { index: self.outputs.len() as u64 - 1, root: last.root, block: last.block })
    }

    /// The lowest block accepted next.
    #[must_use]
    pub fn next_block(&self) -> L2Block {
        let latest = self.outputs.last().map_or(0, |output| output.block.0);
        L2Block(latest + self.values.submission_interval.max(1))
    }

    /// What spans must be proven under.
    #[must_use]
    pub fn commitments(&self) -> Commitments {
        Commitments {
            mode: self.mode,
            range_vkey: self.values.range_vkey,
            rollup_config: self.values.rollup_config,
        }
    }

    /// `checkpointBlockHash`.
    ///
    /// # Errors
    /// Why it reverts.
    pub fn checkpoint(&mut self, block: L1Number, context: Context<'_>) -> Result<(), Refusal> {
        let visible = block.0 < context.number && block.0 + VISIBLE_HASHES >= context.number;
        match (context.hash_of)(block.0) {
            Some(hash) if visible => {
                self.checkpoints.insert(block, hash);
                Ok(())
            }
            _ if block.0 >= context.number => Err(refuse(RefusalClass::NotYet, "L1BlockHashNotAvailable()")),
            _ => Err(refuse(RefusalClass::Checkpoint, "L1BlockHashNotAvailable()")),
        }
    }

    /// `proposeL2Output` with a proof, directly or through the factory.
    ///
    /// # Errors
    /// Why it reverts.
    pub fn submit(
        &mut self,
        output: &OutputBody,
        via: Option<Address>,
        proof: &[u8],
        context: Context<'_>,
    ) -> Result<(), Refusal> {
        let policy = |text| Err(refuse(RefusalClass::Policy, text));
        if self.values.optimistic {
            return policy("L2OutputOracle: optimistic mode is enabled");
        }
        if self.values.factory != via {
            return policy("L2OutputOracle: dispute game factory is set");
        }
        if via.is_some() && context.value != self.values.bond.0 {
            return policy("IncorrectBondAmount()");
        }
        self.accept_block(output, context)?;
        let Some(checkpoint) = self.checkpoints.get(&output.l1_block) else {
            return Err(refuse(RefusalClass::Checkpoint, "L1BlockHashNotCheckpointed()"));
        };
        if self.route_broken {
            return Err(refuse(RefusalClass::Route, "RouteIsFrozen(0x11b6a09d)"));
        }
        if !self.verifies(output, *checkpoint, proof) {
            return Err(refuse(RefusalClass::BadProof, "InvalidProof()"));
        }
        Ok(())
    }

    /// `proposeL2Output` without a proof, in optimistic mode.
    ///
    /// # Errors
    /// Why it reverts.
    pub fn submit_optimistic(&mut self, output: &OutputBody, context: Context<'_>) -> Result<(), Refusal> {
        if !self.values.optimistic {
            return Err(refuse(RefusalClass::Policy, "L2OutputOracle: optimistic mode is not enabled"));
        }
        self.accept_block(output, context)?;
        if output.block != self.next_block() {
            return Err(refuse(
                RefusalClass::Stale,
                "L2OutputOracle: block number must be equal to next expected",
            ));
        }
        let (named, hash) = (output.l1_block.0, output.l1_hash);
        let visible = named < context.number && named + VISIBLE_HASHES >= context.number;
        let found = (context.hash_of)(named).filter(|_| visible).unwrap_or(Hash32::ZERO);
        if hash != Hash32::ZERO && hash != found {
            return Err(refuse(
                RefusalClass::Stale,
                "L2OutputOracle: block hash does not match the hash at the expected height",
            ));
        }
        Ok(())
    }

    fn accept_block(&self, output: &OutputBody, context: Context<'_>) -> Result<(), Refusal> {
        if !self.values.approved {
            return Err(refuse(RefusalClass::Policy, "L2OutputOracle: only approved proposers can propose"));
        }
        if output.block < self.next_block() {
            let text =
                "L2OutputOracle: block number must be greater than or equal to next expected block number";
            return Err(refuse(RefusalClass::Stale, text));
        }
        if self.l2_genesis.plus_secs(output.block.0.saturating_mul(self.l2_block_secs)) >= context.time {
            return Err(refuse(
                RefusalClass::NotYet,
                "L2OutputOracle: cannot propose L2 output in the future",
            ));
        }
        if output.root == Hash32::ZERO {
            return Err(refuse(
                RefusalClass::Other,
                "L2OutputOracle: L2 output proposal cannot be the zero hash",
            ));
        }
        Ok(())
    }

    fn verifies(&self, output: &OutputBody, checkpoint: Hash32, proof: &[u8]) -> bool {
        if self.mode == Mode::Mock {
            return proof.is_empty();
        }
        let Some(says) = AggProof::decode(proof) else { return false };
        let Some(latest) = self.outputs.last() else { return false };
        says.l1_head == checkpoint
            && says.pre_root == latest.root
            && says.claim_root == output.root
            && says.range.end == output.block
            && says.commitments == self.commitments()
            && says.agg_vkey == self.values.agg_vkey
            && says.prover == output.prover
    }

    /// Holds a new output.
    pub fn push(&mut self, block: L2Block, root: Hash32, tx: Hash32, context: Context<'_>) {
        self.outputs.push(Output { root, block, tx, sender: context.sender, time: context.time });
    }
}
