//! Several proposers on one contract, and one whose log moves to another machine.
//!
//! Each test has a devnet of its own and waits for what the engines record, never for time. At the end of each every log
//! must verify, no purpose may have been included twice, and every output must be the L2's real one.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;

use prooflog_devnet::{DevnetConfig, Oracle};
use prooflog_devnet_prover::Kind;
use prooflog_e2e::{World, quick};
use serde_json::{Value, json};

/// Places of accounts: that of the first proposer, and one that no part of the devnet uses.
const OURS: usize = 3;
const OTHER: usize = 5;

/// A rollup with two provers' servers, and blocks for a few submissions from the start.
fn two_servers() -> DevnetConfig {
    DevnetConfig { rollups: 2, prelude: 60, ..quick() }
}

fn is(event: &Value, name: &str) -> bool {
    event["type"] == name
}

/// Has an account of the L1 approved as a proposer.
async fn approve(world: &World, account: usize) {
    let sender = world.devnet.sender();
    let proposer = sender.accounts().await.unwrap()[account];
    let call = Oracle::addProposerCall { proposer };
    sender.call(world.devnet.parts.owner, world.rollup.oracle, &call).await.unwrap();
}

/// Spans that were paid for more than once.
fn spans_paid_twice(world: &World, server: u64) -> usize {
    let stats = world.devnet.prover.stats(server).unwrap();
    stats.paid_twice().iter().filter(|paid| paid.kind == Kind::Span).count()
}

/// Whether an aggregate became useless because the contract went on without it.
fn is_outrun(event: &Value) -> bool {
    let is_agg = event["stream"].as_str().unwrap().starts_with("agg-");
    is(event, "Invalidated") && is_agg && event["data"]["reason"] == "superseded"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposer_of_large_steps_beside_one_of_small_steps_goes_on_from_there_with_the_proofs_it_has() {
    let mut small = World::new(two_servers(), "max-members = 1").await;
    small.serve_one();
    approve(&small, OTHER).await;
    let mut large = small.beside(OTHER, "submission-blocks = 30");
    let server = large.devnet.rollups[1].chain;
    // Its aggregates take so long that the one under way is certain to be outrun.
    let devnet = Arc::clone(&large.devnet);
    let takes = |ms| devnet.prover.script(server, |script| script.agg_proving_ms = ms).unwrap();
    takes(Some(3_600_000));
    large.run(&[]);
    large.wait_for(0, "an aggregate under way", |event| {
        is(event, "ProofRequested") && event["stream"].as_str().unwrap().starts_with("agg-")
    });
    takes(None);
    small.run(&[]);
    small.wait("SubmissionConfirmed", 2);
    let foreign = large.wait_for(0, "an output of the other's", |event| {
        is(event, "ContractAdvanced") && event["data"]["ours"].is_null() && !event["data"]["tx"].is_null()
    });
    assert!(
        foreign["data"]["sender"] == json!(small.devnet.proposer.to_string().to_lowercase()),
        "{foreign}"
    );
    large.wait("SpanSettled", 1);
    large.wait_for(0, "an aggregate that is outrun", is_outrun);
    small.stop();
    // What is durable is counted before the next round's events are.
    large.wait_next("FinalizedMoved");
    let outrun = large.story().events().iter().filter(|event| is_outrun(event)).count();
    let counted =
        large.setup.metrics().unwrap().value("prooflog_outrun_aggregates_total").unwrap_or_default();
    assert!(counted >= f64::from(u32::try_from(outrun).unwrap()), "{counted} of {outrun}");

    // As soon as the other makes way, the large steps follow, over what the small ones left.
    let confirmed = large.count("SubmissionConfirmed");
    large.wait("SubmissionConfirmed", confirmed + 1);
    assert_eq!(spans_paid_twice(&large, server), 0, "what is between the same boundaries is used again");
    small.run(&[]);
    small.wait_next("SubmissionConfirmed");
    small.end().await;
    large.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_with_one_key_get_in_each_others_way_and_settle_everything_once() {
    let mut one = World::new(two_servers(), "").await;
    one.serve_one();
    let mut other = one.beside(OURS, "");
    one.run(&[]);
    other.run(&[]);
    // Whoever was first in a block, the contract goes on, and neither is left with something that it waits for for ever.
    for _ in 0..4 {
        let seen = one.count("ContractAdvanced");
        one.wait("ContractAdvanced", seen + 1);
        let seen = other.count("ContractAdvanced");
        other.wait("ContractAdvanced", seen + 1);
    }
    one.stop();
    other.wait_next("SubmissionConfirmed");
    other.stop();
    one.run(&[]);
    one.wait_next("SubmissionConfirmed");
    other.run(&[]);
    one.end().await;
    other.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_proposer_that_drains_and_a_new_one_that_plans_leave_no_block_out() {
    let mut old = World::new(two_servers(), "").await;
    old.serve_one();
    approve(&old, OTHER).await;
    old.run(&[]);
    old.wait("ProofRequested", 2);
    old.command(&["drain", "--note", "a new release takes over"]);
    old.wait("Paused", 1);
    let drained = old.story().events().iter().position(|event| is(event, "Paused")).unwrap();
    let mut new = old.beside(OTHER, "");
    new.run(&[]);
    new.wait("SubmissionConfirmed", 2);
    let outputs = new.devnet.outputs(&new.rollup).await.unwrap();
    assert!(outputs.len() > 2, "{}", outputs.len());
    old.catch_up();
    let planned = old.story().events().iter().skip(drained).filter(|event| is(event, "SpanCreated")).count();
    assert_eq!(planned, 0, "who drains plans nothing");
    old.end().await;
    new.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_moves_to_another_machine_goes_on_with_every_request_and_transaction_of_the_first() {
    let mut config = DevnetConfig { prelude: 60, ..quick() };
    config.script.proving_ms = 2_000;
    let mut world = World::start(config, "").await;
    world.wait("ProofRequested", 4);
    world.kill();
    world.move_log("elsewhere");
    world.run(&[]);
    world.wait_next("SubmissionConfirmed");
    // And again while a transaction is on its way.
    world.wait_next("TxBroadcast");
    world.kill();
    world.move_log("and-back");
    world.run(&[]);
    world.wait("TxConfirmed", 3);
    assert_eq!(world.stats().paid_twice(), [], "every request is known by its id or its key");
    world.end().await;
}
