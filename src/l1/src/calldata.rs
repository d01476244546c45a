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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use alloy::primitives::keccak256;
    use prooflog_events::ids::{ChainId, L1Number, L2Block, UnitId};
    use prooflog_events::values::BlobRef;

    use super::*;

    const ORACLE: Address = Address([0xaa; 20]);
    const FACTORY: Address = Address([0xfa; 20]);
    const SENDER: Address = Address([0x5e; 20]);
    const PROVER: Address = Address([0x77; 20]);
    const PROOF: &[u8] = &[0xa4, 0x59, 0x4c, 0x59, 0x01];
    const SUBMISSION: Purpose = Purpose::Submission { agg: UnitId::agg(ChainId(10), 1) };

    fn body(factory: Option<Address>) -> TxBody {
        let proof = BlobRef { sha256: Hash32(Sha256::digest(PROOF).into()), length: 5 };
        let output = OutputBody {
            block: L2Block(0x1234),
            root: Hash32([0x11; 32]),
            l1_block: L1Number(0x99),
            l1_hash: Hash32([0x22; 32]),
            proof: Some(proof),
            prover: PROVER,
            config_name: Hash32([0x33; 32]),
        };
        TxBody { oracle: ORACLE, factory, output: Some(output) }
    }

    /// A selector followed by words, each written as hex of up to 32 bytes and filled with zeros from the left.
    fn expected(signature: &str, words: &[&str]) -> String {
        let mut text = hex::encode(keccak256(signature).get(..4).unwrap());
        for word in words {
            text.push_str(&format!("{word:0>64}"));
        }
        text
    }

    /// Bytes of an argument: their number, and the bytes filled with zeros from the right.
    fn padded(bytes: &str) -> [String; 2] {
        [format!("{:x}", bytes.len() / 2), format!("{bytes:0<64}")]
    }

    fn submission(generation: Generation, factory: Option<Address>) -> Built {
        build(&SUBMISSION, &body(factory), Some(generation), Some(PROOF), SENDER).unwrap()
    }

    const ROOT: &str = "1111111111111111111111111111111111111111111111111111111111111111";
    const NAME: &str = "3333333333333333333333333333333333333333333333333333333333333333";
    const PROVER_WORD: &str = "7777777777777777777777777777777777777777";
    const PROOF_HEX: &str = "a4594c5901";

    #[test]
    fn the_first_generation_takes_four_arguments() {
        let [length, proof] = padded(PROOF_HEX);
        let direct = submission(Generation::V1, None);
        assert_eq!((direct.to, direct.bond_of), (ORACLE, None));
        let signature = "proposeL2Output(bytes32,uint256,uint256,bytes)";
        assert_eq!(
            hex::encode(&direct.data),
            expected(signature, &[ROOT, "1234", "99", "80", &length, &proof])
        );
    }

    #[test]
    fn the_second_generation_names_the_prover() {
        let [length, proof] = padded(PROOF_HEX);
        let direct = submission(Generation::V2, None);
        let signature = "proposeL2Output(bytes32,uint256,uint256,bytes,address)";
        let words = [ROOT, "1234", "99", "a0", PROVER_WORD, &length, &proof];
        assert_eq!(hex::encode(&direct.data), expected(signature, &words));
    }

    #[test]
    fn the_third_generation_names_the_config_and_has_its_own_way_through_the_factory() {
        let [length, proof] = padded(PROOF_HEX);
        let words = [NAME, ROOT, "1234", "99", "c0", PROVER_WORD, &length, &proof];
        let direct = submission(Generation::V3, None);
        let signature = "proposeL2Output(bytes32,bytes32,uint256,uint256,bytes,address)";
        assert_eq!(hex::encode(&direct.data), expected(signature, &words));
        assert_eq!((direct.to, direct.bond_of), (ORACLE, None));
        let game = submission(Generation::V3, Some(FACTORY));
        let signature = "dgfProposeL2Output(bytes32,bytes32,uint256,uint256,bytes,address)";
        assert_eq!(hex::encode(&game.data), expected(signature, &words));
        assert_eq!(
            (game.to, game.bond_of),
            (ORACLE, Some(FACTORY)),
            "the oracle creates the game and passes the bond on"
        );
    }

    #[test]
    fn the_first_generations_game_gets_its_data_as_arguments() {
        let [length, proof] = padded(PROOF_HEX);
        let game = submission(Generation::V1, Some(FACTORY));
        let extra = ["1234", "99", "60", &length, &proof];
        let mut words = vec!["6", ROOT, "60", "a0"];
        words.extend(extra);
        assert_eq!(hex::encode(&game.data), expected("create(uint32,bytes32,bytes)", &words));
        assert_eq!((game.to, game.bond_of), (FACTORY, Some(FACTORY)));
    }

    #[test]
    fn the_second_generations_game_gets_its_data_packed() {
        let game = submission(Generation::V2, Some(FACTORY));
        let extra = format!("{:0>64}{:0>64}{PROVER_WORD}{PROOF_HEX}", "1234", "99");
        let length = format!("{:x}", extra.len() / 2);
        let mut text = expected("create(uint32,bytes32,bytes)", &["6", ROOT, "60", &length]);
        text.push_str(&format!("{extra:0<192}"));
        assert_eq!(hex::encode(&game.data), text);
    }

    #[test]
    fn an_optimistic_submission_carries_the_l1_hash_and_no_proof() {
        let purpose =
            Purpose::Optimistic { chain: ChainId(10), block: L2Block(0x1234), root: Hash32([0x11; 32]) };
        let built = build(&purpose, &body(Some(FACTORY)), None, None, SENDER).unwrap();
        let l1_hash = "22".repeat(32);
        let signature = "proposeL2Output(bytes32,uint256,bytes32,uint256)";
        assert_eq!(hex::encode(&built.data), expected(signature, &[ROOT, "1234", &l1_hash, "99"]));
        assert_eq!((built.to, built.bond_of), (ORACLE, None), "never through the factory");
    }

    #[test]
    fn a_checkpoint_and_a_release_need_nothing_else() {
        let agg = UnitId::agg(ChainId(10), 1);
        let purpose = Purpose::Checkpoint { agg, block: L1Number(0x77) };
        let built = build(&purpose, &body(None), None, None, SENDER).unwrap();
        assert_eq!(hex::encode(&built.data), expected("checkpointBlockHash(uint256)", &["77"]));
        let built = build(&Purpose::Release, &body(None), None, None, SENDER).unwrap();
        assert_eq!((built.to, built.data.len()), (SENDER, 0));
    }

    #[test]
    fn bytes_that_are_not_the_recorded_proof_are_refused() {
        for wrong in [None, PROOF.get(..4), [0_u8; 5].get(..)] {
            assert!(build(&SUBMISSION, &body(None), Some(Generation::V2), wrong, SENDER).is_err());
        }
    }
}
