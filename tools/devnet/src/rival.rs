//! Another proposer: it checkpoints and submits on its own account, with proofs that the contract takes.
//!
//! A devnet proof binds its public values and nothing else, so one can be made for any true claim. Second generation
//! only. Nothing is remembered here.

use alloy::primitives::{Address, Bytes, U256, keccak256};
use alloy::sol_types::{SolCall, SolValue};
use serde_json::Value;

use crate::contracts::{Oracle, OracleV2};
use crate::{Commitments, Devnet, DevnetError, Rollup, SELECTOR};

/// A submission that is ready to be sent.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Who sends it.
    pub from: Address,
    /// The oracle.
    pub to: Address,
    /// The call.
    pub data: Bytes,
}

impl Devnet {
    /// An account of the chain's own that no part of the devnet uses.
    ///
    /// # Errors
    /// When the L1 does not tell, or has too few.
    pub async fn stranger(&self) -> Result<Address, DevnetError> {
        let accounts = self.sender().accounts().await?;
        accounts.last().copied().ok_or_else(|| DevnetError::Chain("the L1 has no accounts".to_owned()))
    }

    /// Has another proposer approved, and an L1 block checkpointed by it: the block's number.
    ///
    /// # Errors
    /// When the L1 does not take it.
    pub async fn invite(&self, rollup: &Rollup, rival: Address) -> Result<u64, DevnetError> {
        let (sender, oracle) = (self.sender(), rollup.oracle);
        sender.call(self.parts.owner, oracle, &Oracle::addProposerCall { proposer: rival }).await?;
        let point = self.l1.head().await?.saturating_sub(1);
        let call = Oracle::checkpointBlockHashCall { l1Block: U256::from(point) };
        sender.call(rival, oracle, &call).await?;
        Ok(point)
    }

    /// A rival's submission of an L2 block, proven up to a checkpointed L1 block. It is good as long as the oracle's
    /// latest output stays the same.
    ///
    /// # Errors
    /// When the L1 or the rollup node does not answer.
    pub async fn claim(
        &self,
        rollup: &Rollup,
        rival: Address,
        (block, point): (u64, u64),
    ) -> Result<Proposal, DevnetError> {
        let (sender, oracle, point) = (self.sender(), rollup.oracle, U256::from(point));
        let l1_head = sender.view(oracle, &Oracle::historicBlockHashesCall { l1Block: point }).await?;
        let outputs = self.outputs(rollup).await?;
        let latest = outputs.last().ok_or_else(|| DevnetError::Chain("there is no output".to_owned()))?;
        let (root, number) = (self.root(rollup, block).await?, U256::from(block));
        let keys = Commitments::default();
        let values = (l1_head, latest.outputRoot, root, number, keys.rollup_config, keys.range_vkey, rival)
            .abi_encode_params();
        let digest = keccak256([keys.aggregation_vkey.as_slice(), &values].concat());
        let proof = [SELECTOR.as_slice(), digest.as_slice()].concat().into();
        let call =
            OracleV2::proposeL2OutputCall { root, l2Block: number, l1Block: point, proof, prover: rival };
        Ok(Proposal { from: rival, to: oracle, data: call.abi_encode().into() })
    }

    /// Sends a rival's submission and waits until it is in a block.
    ///
    /// # Errors
    /// When it reverts.
    pub async fn settle(&self, proposal: Proposal) -> Result<Value, DevnetError> {
        self.sender().send(proposal.from, Some(proposal.to), proposal.data).await
    }
}
