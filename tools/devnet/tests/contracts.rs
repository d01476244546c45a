//! The contracts take a proof that binds every public value, and no other; and what their people can do, they can.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::time::{SystemTime, UNIX_EPOCH};

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::sol_types::{SolCall, SolValue};
use prooflog_devnet::{
    Anvil, AnvilConfig, Commitments, Generation, Oracle, OracleV1, OracleV2, OracleV3, Proofs, SELECTOR,
    Sender, Setup,
};
use serde_json::{Value, json};

/// An oracle at block 10 with an interval of 5, on a chain that mines when it is told something.
struct World {
    chain: Anvil,
    sender: Sender,
    accounts: Vec<Address>,
    oracle: Address,
    generation: Generation,
}

/// The public values of a submission.
#[derive(Clone, Copy)]
struct Claim {
    l1_head: B256,
    pre_root: B256,
    root: B256,
    block: u64,
    config: B256,
    range: B256,
    prover: Address,
}

fn root(number: u8) -> B256 {
    B256::repeat_byte(number)
}

impl World {
    async fn new(generation: Generation) -> Self {
        let config = AnvilConfig { chain_id: 77, block_time: 1, timestamp: None, arguments: Vec::new() };
        let chain = Anvil::start(&config).unwrap();
        let sender = Sender::new(chain.rpc().clone());
        let accounts = sender.accounts().await.unwrap();
        let verifier = sender.deploy_verifier(accounts[1], Proofs::Binding).await.unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let commitments = Commitments::default();
        let setup = Setup {
            owner: accounts[1],
            challenger: accounts[2],
            proposer: accounts[3],
            verifier,
            submissionInterval: U256::from(5),
            l2BlockTime: U256::from(1),
            startingBlockNumber: U256::from(10),
            // Long enough ago for the blocks that are submitted, and not so long that anybody may submit.
            startingTimestamp: U256::from(now - 1_000),
            startingOutputRoot: root(1),
            finalizationPeriodSeconds: U256::from(60),
            aggregationVkey: commitments.aggregation_vkey,
            rangeVkeyCommitment: commitments.range_vkey,
            rollupConfigHash: commitments.rollup_config,
        };
        let oracle = sender.deploy_oracle(generation, setup).await.unwrap();
        Self { chain, sender, accounts, oracle, generation }
    }

    /// Checkpoints a block that is there; its number and hash.
    async fn checkpoint(&self) -> (u64, B256) {
        let head: String = self.chain.rpc().call("eth_blockNumber", json!([])).await.unwrap();
        let number = u64::from_str_radix(head.trim_start_matches("0x"), 16).unwrap() - 1;
        let call = Oracle::checkpointBlockHashCall { l1Block: U256::from(number) };
        self.sender.call(self.accounts[3], self.oracle, &call).await.unwrap();
        let read = Oracle::historicBlockHashesCall { l1Block: U256::from(number) };
        (number, self.sender.view(self.oracle, &read).await.unwrap())
    }

    fn claim(&self, l1_head: B256) -> Claim {
        let commitments = Commitments::default();
        Claim {
            l1_head,
            pre_root: root(1),
            root: root(2),
            block: 20,
            config: commitments.rollup_config,
            range: commitments.range_vkey,
            prover: self.accounts[3],
        }
    }

    /// The proof of a claim.
    fn proof(&self, claim: &Claim) -> Bytes {
        let block = U256::from(claim.block);
        let mut values =
            (claim.l1_head, claim.pre_root, claim.root, block, claim.config, claim.range).abi_encode_params();
        if self.generation != Generation::V1 {
            values.extend(claim.prover.abi_encode());
        }
        let vkey = Commitments::default().aggregation_vkey;
        let digest = keccak256([vkey.as_slice(), &values].concat());
        [SELECTOR.as_slice(), digest.as_slice()].concat().into()
    }

    /// The submission of block 20 with this proof, at this checkpoint.
    fn submission(&self, checkpoint: u64, proof: Bytes) -> Bytes {
        let (root, block, l1_block) = (root(2), U256::from(20), U256::from(checkpoint));
        let prover = self.accounts[3];
        match self.generation {
            Generation::V1 => {
                OracleV1::proposeL2OutputCall { root, l2Block: block, l1Block: l1_block, proof }.abi_encode()
            }
            Generation::V2 => {
                OracleV2::proposeL2OutputCall { root, l2Block: block, l1Block: l1_block, proof, prover }
                    .abi_encode()
            }
            Generation::V3 => OracleV3::proposeL2OutputCall {
                configName: keccak256("opsuccinct_genesis"),
                root,
                l2Block: block,
                l1Block: l1_block,
                proof,
                prover,
            }
            .abi_encode(),
        }
        .into()
    }

    /// Why a call would revert; nothing if it would not.
    async fn refusal(&self, from: Address, data: &Bytes) -> Option<String> {
        let call = json!([{ "from": from, "to": self.oracle, "data": data }, "latest"]);
        self.chain.rpc().call::<Value>("eth_call", call).await.err().map(|error| error.to_string())
    }
}

async fn only_the_right_proof_is_taken(generation: Generation) {
    let world = World::new(generation).await;
    let (checkpoint, l1_head) = world.checkpoint().await;
    let right = world.claim(l1_head);
    let mut wrong = vec![
        Claim { l1_head: root(9), ..right },
        Claim { pre_root: root(9), ..right },
        Claim { root: root(9), ..right },
        Claim { block: 19, ..right },
        Claim { config: root(9), ..right },
        Claim { range: root(9), ..right },
    ];
    if generation != Generation::V1 {
        wrong.push(Claim { prover: world.accounts[4], ..right });
    }
    for claim in wrong {
        let data = world.submission(checkpoint, world.proof(&claim));
        assert!(world.refusal(world.accounts[3], &data).await.is_some());
    }
    let data = world.submission(checkpoint, world.proof(&right));
    assert!(world.refusal(world.accounts[5], &data).await.unwrap().contains("approved proposers"));
    let elsewhere = world.submission(checkpoint + 1, world.proof(&right));
    assert!(world.refusal(world.accounts[3], &elsewhere).await.is_some(), "that block is not checkpointed");
    let empty = world.submission(checkpoint, Bytes::new());
    assert!(world.refusal(world.accounts[3], &empty).await.is_some());
    world.sender.send(world.accounts[3], Some(world.oracle), data).await.unwrap();
    let latest = Oracle::getL2OutputCall { index: U256::from(1) };
    let latest = world.sender.view(world.oracle, &latest).await.unwrap();
    assert_eq!((latest.outputRoot, latest.l2BlockNumber), (root(2), 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_generation_takes_only_a_proof_of_all_six_values() {
    only_the_right_proof_is_taken(Generation::V1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_generation_takes_only_a_proof_of_all_seven_values() {
    only_the_right_proof_is_taken(Generation::V2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_third_generation_takes_only_a_proof_of_all_seven_values() {
    only_the_right_proof_is_taken(Generation::V3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_challenger_deletes_and_only_the_owner_changes() {
    let world = World::new(Generation::V2).await;
    let delete: Bytes = Oracle::deleteL2OutputsCall { index: U256::ZERO }.abi_encode().into();
    assert!(world.refusal(world.accounts[1], &delete).await.unwrap().contains("challenger"));
    assert_eq!(world.refusal(world.accounts[2], &delete).await, None);
    let rotate: Bytes = Oracle::updateRangeVkeyCommitmentCall { key: root(7) }.abi_encode().into();
    assert!(world.refusal(world.accounts[2], &rotate).await.unwrap().contains("owner"));
    assert_eq!(world.refusal(world.accounts[1], &rotate).await, None);
}
