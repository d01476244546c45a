//! Reorganisations of the L1: after the checkpoint, after inclusion, while confirmations are counted, and deeper than
//! what counts as confirmed.

use prooflog_devnet::DevnetConfig;
use prooflog_e2e::World;
use serde_json::json;

use crate::{confirm, is, of_agg, pass, ready, slow};

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_a_reorg_takes_back_is_made_again() {
    let mut world = World::start(slow(400, 5_000), "num-confirmations = 2").await;
    let requested = world.wait_for(0, "an aggregate's ProofRequested", |e| of_agg(e, "ProofRequested"));
    world.devnet.l1.hold().await.unwrap();
    world.devnet.l1.reorg(8).await.unwrap();
    world.devnet.l1.forget_pending().await.unwrap();
    world.devnet.l1.go_on(1).await.unwrap();
    let lost = world.wait("CheckpointLost", 1);
    assert_eq!(
        (&lost["stream"], &lost["data"]["reason"]),
        (&requested["stream"], &json!("reorged")),
        "{lost}"
    );
    let from = world.mark();
    world.wait_for(from, "Checkpointed", |event| is(event, "Checkpointed"));
    confirm(&mut world);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_that_a_reorg_takes_back_after_inclusion_or_before_it_is_confirmed_comes_back() {
    let mut world = World::start(ready(), "num-confirmations = 8").await;
    let submitted = world.wait("Submitted", 1);
    world.devnet.l1.reorg(3).await.unwrap();
    let reorged = world.wait("TxReorged", 1);
    assert_eq!(reorged["data"]["block"], submitted["data"]["block"], "{reorged}");

    let again = world.wait("Submitted", 2);
    assert_eq!(
        (&again["stream"], &again["data"]["root"]),
        (&submitted["stream"], &submitted["data"]["root"])
    );
    // Confirmation begins, and ends short of its depth: no block comes by itself meanwhile.
    world.devnet.l1.hold().await.unwrap();
    world.devnet.l1.mine(3).await.unwrap();
    pass(&mut world, 2);
    assert_eq!(world.count("SubmissionConfirmed"), 0);
    world.devnet.l1.reorg(7).await.unwrap();
    world.devnet.l1.go_on(1).await.unwrap();
    world.wait("SubmissionReorged", 2);
    let rolled = world.wait_for(0, "ContractRolledBack", |event| is(event, "ContractRolledBack"));
    assert_eq!(rolled["data"]["cause"], "reorg");
    confirm(&mut world);
    assert_eq!(world.count("Paused"), 0, "a reorg is no emergency brake");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_deeper_than_what_counts_as_confirmed_has_the_proofs_submitted_again() {
    let mut world = World::start(DevnetConfig { prelude: 60, ..ready() }, "num-confirmations = 2").await;
    let confirmed = world.wait("SubmissionConfirmed", 1);
    let l1 = &world.devnet.l1;
    l1.hold().await.unwrap();
    l1.reorg(10).await.unwrap();
    l1.forget_pending().await.unwrap();
    l1.go_on(1).await.unwrap();
    let rolled = world.wait("ContractRolledBack", 1);
    assert_eq!(rolled["data"]["cause"], "reorg");
    // The aggregate that lost its output has it again: as it was, or as another of the same blocks.
    let from = world.mark();
    let lost = confirmed["data"]["block"]["number"].as_u64().unwrap();
    let again = world.wait_for(from, "SubmissionConfirmed", |event| is(event, "SubmissionConfirmed"));
    assert!(again["data"]["block"]["number"].as_u64().unwrap() > lost, "{again}");
    assert_eq!(world.count("Paused"), 0, "a reorg is no emergency brake");
    world.end().await;
}
