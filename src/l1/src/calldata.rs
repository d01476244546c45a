//! The call that a purpose means, for each generation of the oracle.
//!
//! Nothing is decided here: purpose, output, factory and proof are given, and the same ones give the same bytes, so
//! that the digest of a quote and that of a signature agree. A crash in here loses a quote.

use alloy::primitives::{Bytes, U256};
use alloy::sol_types::{SolCall, SolValue};
use prooflog_core::{OutputBody, TxBody};
use prooflog_events::ids::{Address, Hash32};
use prooflog_events::values::{Generation, Purpose};
use sha2::{Digest, Sha256};

use crate::abi::{Factory, First, Optimistic, Oracle, Second, Third};
use crate::error::L1Error;
use crate::json::{evm, uint, word};

/// Game type of outputs proven by op-succinct.
pub(crate) const GAME_TYPE: u32 = 6;

/// A call, its coin not yet known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Built {
    pub(crate) to: Address,
    pub(crate) data: Vec<u8>,
    /// The factory whose bond is sent along.
    pub(crate) bond_of: Option<Address>,
}

impl Built {
    pub(crate) fn digest(&self) -> Hash32 {
        Hash32(Sha256::digest(&self.data).into())
    }
}

/// Builds the call. `generation` is needed for submissions alone.
pub(crate) fn build(
    purpose: &Purpose,
    body: &TxBody,
    generation: Option<Generation>,
    proof: Option<&[u8]>,
    sender: Address,
) -> Result<Built, L1Error> {
    match purpose {
        Purpose::Checkpoint { block, .. } => {
            let data = Oracle::checkpointBlockHashCall { block: uint(block.0) }.abi_encode();
            Ok(Built { to: body.oracle, data, bond_of: None })
        }
        Purpose::Release => Ok(Built { to: sender, data: Vec::new(), bond_of: None }),
        Purpose::Optimistic { .. } => optimistic(body),
        Purpose::Submission { .. } => {
            let output = body.output.as_ref().ok_or_else(|| no("a submission without an output"))?;
            let proof = checked(output, proof)?;
            let generation =
                generation.ok_or_else(|| no("a submission to an oracle of unknown generation"))?;
            Ok(submission(generation, body, output, proof))
        }
    }
}

fn optimistic(body: &TxBody) -> Result<Built, L1Error> {
    let output = body.output.as_ref().ok_or_else(|| no("an optimistic submission without an output"))?;
    let call = Optimistic::proposeL2OutputCall {
        outputRoot: word(output.root),
        l2Block: uint(output.block.0),
        l1BlockHash: word(output.l1_hash),
        l1Block: uint(output.l1_block.0),
    };
    Ok(Built { to: body.oracle, data: call.abi_encode(), bond_of: None })
}

/// The proof's bytes, if they are those that the record names.
fn checked(output: &OutputBody, proof: Option<&[u8]>) -> Result<Bytes, L1Error> {
    let (Some(named), Some(bytes)) = (output.proof, proof) else {
        return Err(no("a submission without its proof"));
    };
    let is_it = u64::try_from(bytes.len()) == Ok(named.length)
        && Sha256::digest(bytes).as_slice() == named.sha256.0.as_slice();
    if is_it {
        Ok(Bytes::copy_from_slice(bytes))
    } else {
        Err(no("the proof's bytes are not those recorded"))
    }
}

fn submission(generation: Generation, body: &TxBody, output: &OutputBody, proof: Bytes) -> Built {
    let (root, l2, l1) = (word(output.root), uint(output.block.0), uint(output.l1_block.0));
    let (prover, name) = (evm(output.prover), word(output.config_name));
    if let (Some(factory), Generation::V1 | Generation::V2) = (body.factory, generation) {
        let extra = match generation {
            Generation::V1 => (l2, l1, proof).abi_encode_params(),
            _ => (l2, l1, prover, proof).abi_encode_packed(),
        };
        let call = Factory::createCall { gameType: GAME_TYPE, rootClaim: root, extraData: extra.into() };
        return Built { to: factory, data: call.abi_encode(), bond_of: Some(factory) };
    }
    let data = match (generation, body.factory) {
        (Generation::V1, _) => {
            First::proposeL2OutputCall { outputRoot: root, l2Block: l2, l1Block: l1, proof }.abi_encode()
        }
        (Generation::V2, _) => {
            Second::proposeL2OutputCall { outputRoot: root, l2Block: l2, l1Block: l1, proof, prover }
                .abi_encode()
        }
        (Generation::V3, None) => third(name, (root, l2, l1), proof, prover).abi_encode(),
        (Generation::V3, Some(_)) => {
            let call = third(name, (root, l2, l1), proof, prover);
            Third::dgfProposeL2OutputCall {
                configName: call.configName,
                outputRoot: call.outputRoot,
                l2Block: call.l2Block,
                l1Block: call.l1Block,
                proof: call.proof,
                prover: call.prover,
            }
            .abi_encode()
        }
    };
    Built { to: body.oracle, data, bond_of: body.factory }
}

fn third(
    name: alloy::primitives::B256,
    (root, l2, l1): (alloy::primitives::B256, U256, U256),
    proof: Bytes,
    prover: alloy::primitives::Address,
) -> Third::proposeL2OutputCall {
    Third::proposeL2OutputCall { configName: name, outputRoot: root, l2Block: l2, l1Block: l1, proof, prover }
}

fn no(problem: &str) -> L1Error {
    L1Error::Mismatch(format!("no call can be built: {problem}"))
}
