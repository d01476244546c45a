//! What the contract refuses: in the simulation, where nothing is signed, and in a block, where the reason is found out.

use prooflog_devnet::{B256, Commitments, DevnetConfig, Oracle, Proofs};
use prooflog_devnet_prover::{CallKind, Fault, FaultKind, Kind};
use prooflog_e2e::World;
use serde_json::json;

use crate::{confirm, dear, is, of_agg, prepared_for, ready, submission_held};

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_that_the_simulation_refuses_is_never_signed_and_its_proof_is_kept() {
    let mut world = World::start(ready(), "").await;
    world.wait("AggQueued", 1);
    let (sender, owner, oracle) = (world.devnet.sender(), world.devnet.parts.owner, world.rollup.oracle);
    let right = sender.view(oracle, &Oracle::verifierCall {}).await.unwrap();
    let wrong = sender.deploy_verifier(owner, Proofs::Empty).await.unwrap();
    sender.call(owner, oracle, &Oracle::updateVerifierCall { other: wrong }).await.unwrap();
    let refused = world.wait("SubmissionRefused", 1);
    let refusal = &refused["data"]["refusal"];
    assert_eq!((&refusal["class"], &refusal["text"]), (&json!("bad_proof"), &json!("InvalidProof()")));
    let parked = world.wait("Parked", 1);
    assert_eq!((&parked["stream"], &parked["data"]["reason"]), (&refused["stream"], &json!("proof_refused")));
    let signed = world.story().events().iter().filter(|event| prepared_for(event, "submission")).count();
    assert_eq!(signed, 0);

    sender.call(owner, oracle, &Oracle::updateVerifierCall { other: right }).await.unwrap();
    world.wait("ContractObserved", 3);
    world.command(&["unpark", parked["stream"].as_str().unwrap()]);
    let confirmed = world.wait("SubmissionConfirmed", 1);
    assert_eq!(confirmed["stream"], parked["stream"], "with the proof that was kept");
    assert_eq!(world.stats().paid_twice(), []);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_under_other_commitments_that_the_server_vouches_for_are_refused_before_anything_is_signed() {
    let other = B256::repeat_byte(0x77);
    let mut config = ready();
    let agrees =
        json!({ "rollup_config_hash_valid": true, "agg_vkey_valid": true, "range_vkey_valid": true });
    let body = FaultKind::Body { body: agrees.to_string() };
    config.script.faults =
        vec![Fault { call: Some(CallKind::Validate), range: None, times: None, kind: body }];
    let proves = Commitments { aggregation_vkey: other, ..Commitments::default() };
    let mut world = World::start(DevnetConfig { proves, ..config }, "").await;
    let refused = world.wait("SubmissionRefused", 1);
    assert_eq!(refused["data"]["refusal"]["class"], "bad_proof", "{refused}");
    let parked = world.wait("Parked", 1);
    let signed = world.story().events().iter().filter(|event| prepared_for(event, "submission")).count();
    assert_eq!(signed, 0);

    // The contract gets the server's key: what was aggregated under the old one is gone, its members are not.
    let (sender, owner) = (world.devnet.sender(), world.devnet.parts.owner);
    sender.call(owner, world.rollup.oracle, &Oracle::updateAggregationVkeyCall { key: other }).await.unwrap();
    world.wait_for(0, "Invalidated aggregate", |event| {
        of_agg(event, "Invalidated") && event["stream"] == parked["stream"]
    });
    confirm(&mut world);
    let twice = world.stats().paid_twice();
    assert!(twice.iter().all(|paid| paid.kind != Kind::Span), "{twice:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_that_another_transaction_of_the_block_brings_about_is_decoded_and_got_over() {
    let mut world = World::start(ready(), "").await;
    let ours = submission_held(&mut world).await;
    let (sender, owner, oracle) = (world.devnet.sender(), world.devnet.parts.owner, world.rollup.oracle);
    let on = Oracle::enableOptimisticModeCall { period: "60".parse().unwrap() };
    sender.submit_call(owner, oracle, &on, dear()).await.unwrap();
    world.devnet.l1.mine(1).await.unwrap();
    let reverted = world.wait("TxReverted", 1);
    let refusal = &reverted["data"]["refusal"];
    assert_eq!(reverted["stream"], ours["stream"]);
    assert_eq!(
        (&refusal["class"], &refusal["text"]),
        (&json!("stale"), &json!("L2OutputOracle: optimistic mode is enabled"))
    );
    world.wait("SubmissionReverted", 1);
    world.devnet.l1.go_on(1).await.unwrap();
    let off = Oracle::disableOptimisticModeCall { period: "60".parse().unwrap() };
    sender.call(owner, oracle, &off).await.unwrap();
    confirm(&mut world);
    let agg = &ours["data"]["purpose"]["submission"]["agg"];
    let again = world
        .story()
        .events()
        .iter()
        .filter(|event| is(event, "TxPrepared") && &event["data"]["purpose"]["submission"]["agg"] == agg);
    assert!(again.count() >= 2, "the same proof goes there again");
    assert_eq!(world.stats().paid_twice(), []);
    world.end().await;
}
