//! Transactions: stuck under a rise of fees, dropped, replaced by hand, behind a gap, without money.

use prooflog_devnet::DevnetConfig;
use prooflog_e2e::World;
use serde_json::{Value, json};

use crate::{GWEI, confirm, is, pass, ready, sent, set_balance, since, submission_held, wei};

const ETHER: u128 = 1_000_000_000 * GWEI;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stuck_under_a_spike_is_replaced_by_the_rules_up_to_the_ceiling_and_goes_in_when_it_is_over()
{
    let settings = "txmgr.resubmission-timeout = \"2s\"\ntxmgr.max-fee = \"6 gwei\"";
    let mut world = World::start(ready(), settings).await;
    let first = submission_held(&mut world).await;
    let from = world.mark();
    world.devnet.l1.set_base_fee(1_000 * GWEI).await.unwrap();
    world.devnet.l1.mine(1).await.unwrap();
    let replaced = world.wait_for(from, "TxReplaced", |event| is(event, "TxReplaced"));
    assert_eq!((&replaced["stream"], &replaced["data"]["reason"]), (&first["stream"], &json!("stuck")));
    let fees = |event: &Value| {
        let fees = &event["data"]["fees"];
        (wei(&fees["max_fee"]), wei(&fees["tip"]))
    };
    let (before, after) = (fees(&first), fees(&replaced));
    assert!(after.0 * 10 >= before.0 * 11 && after.1 * 10 >= before.1 * 11, "{before:?} {after:?}");
    // The ceiling ends the raising, however long the spike lasts.
    pass(&mut world, 5);
    let all = since(&world, from, "TxReplaced");
    assert!(all.iter().all(|event| fees(event).0 <= 6 * GWEI), "{all:?}");
    assert!(all.len() <= 5, "{all:?}");
    assert_eq!(since(&world, from, "TxIncluded"), [Value::Null; 0]);

    world.devnet.l1.mine(60).await.unwrap();
    world.devnet.l1.go_on(1).await.unwrap();
    let included = world.wait_for(from, "TxIncluded", |event| is(event, "TxIncluded"));
    assert_eq!(included["stream"], first["stream"], "the same nonce");
    confirm(&mut world);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_transaction_is_sent_again_and_a_key_used_by_hand_costs_a_nonce_and_nothing_else() {
    let settings = "txmgr.not-in-mempool-timeout = \"2s\"\ntxmgr.resubmission-timeout = \"60s\"";
    let mut world = World::start(ready(), settings).await;
    let ours = submission_held(&mut world).await;
    let from = world.mark();
    let drop = json!([ours["data"]["hash"]]);
    let _: Value = world.devnet.l1.rpc().call("anvil_dropTransaction", drop).await.unwrap();
    world.wait_for(from, "TxDropped", |event| is(event, "TxDropped") && event["stream"] == ours["stream"]);
    world
        .wait_for(from, "TxBroadcast", |event| is(event, "TxBroadcast") && event["stream"] == ours["stream"]);
    assert_eq!(since(&world, from, "TxPrepared"), [Value::Null; 0], "the same bytes, and no others");

    // Somebody uses the key by hand, under the same nonce and with more money.
    let (sender, proposer) = (world.devnet.sender(), world.devnet.proposer);
    let to = world.devnet.stranger().await.unwrap();
    let nonce: u64 = ours["stream"].as_str().unwrap().rsplit('-').next().unwrap().parse().unwrap();
    let by_hand = |nonce: u64| {
        let mut fields = crate::dear();
        fields["nonce"] = json!(format!("{nonce:#x}"));
        fields["value"] = json!("0x1");
        fields["gas"] = json!("0x5208");
        fields
    };
    sender.submit(proposer, Some(to), Default::default(), by_hand(nonce)).await.unwrap();
    world.devnet.l1.go_on(1).await.unwrap();
    let abandoned = world.wait("TxAbandoned", 1);
    assert_eq!(
        (&abandoned["stream"], &abandoned["data"]["reason"]),
        (&ours["stream"], &json!("nonce_taken"))
    );
    confirm(&mut world);

    // Then with a nonce ahead of time: a gap, which our own transactions fill.
    let from = world.mark();
    let next: String =
        world.devnet.l1.rpc().call("eth_getTransactionCount", json!([proposer, "latest"])).await.unwrap();
    let next = u64::from_str_radix(next.trim_start_matches("0x"), 16).unwrap();
    sender.submit(proposer, Some(to), Default::default(), by_hand(next + 2)).await.unwrap();
    world.wait_for(from, "NonceDrifted", |event| is(event, "NonceDrifted"));
    confirm(&mut world);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_the_pool_calls_underpriced_is_raised_until_it_is_taken() {
    let settings = "txmgr.resubmission-timeout = \"2s\"";
    let mut world = World::start(ready(), settings).await;
    let ours = submission_held(&mut world).await;
    let from = world.mark();
    let max_fee = |event: &Value| wei(&event["data"]["fees"]["max_fee"]);
    // Somebody takes the place in the pool, for three times as much: twice that is too little to take it back.
    let fee = format!("{:#x}", 3 * max_fee(&ours));
    let nonce: u64 = ours["stream"].as_str().unwrap().rsplit('-').next().unwrap().parse().unwrap();
    let fields = json!({
        "nonce": format!("{nonce:#x}"), "value": "0x1", "gas": "0x5208",
        "maxFeePerGas": fee, "maxPriorityFeePerGas": fee,
    });
    let to = world.devnet.stranger().await.unwrap();
    world.devnet.sender().submit(world.devnet.proposer, Some(to), Default::default(), fields).await.unwrap();
    let said = |outcome: &'static str, stream: Value| {
        move |event: &Value| {
            is(event, "TxBroadcast") && event["stream"] == stream && event["data"]["outcome"] == outcome
        }
    };
    world.wait_for(from, "an underpriced TxBroadcast", said("underpriced", ours["stream"].clone()));
    let replaced = world.wait_for(from, "TxReplaced for being underpriced", |event| {
        is(event, "TxReplaced") && event["data"]["reason"] == "underpriced"
    });
    assert!(max_fee(&replaced) > max_fee(&ours), "{replaced}");
    let place = |event: &Value| event["position"].as_str().unwrap().parse::<u64>().unwrap();
    let accepted = said("accepted", ours["stream"].clone());
    world.wait_for(from, "a TxBroadcast that is taken", |e| accepted(e) && place(e) > place(&replaced));
    world.devnet.l1.go_on(1).await.unwrap();
    let included = world.wait_for(from, "TxIncluded", |event| is(event, "TxIncluded"));
    assert_eq!(included["stream"], ours["stream"], "the same nonce");
    confirm(&mut world);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_wallet_is_told_once_proves_on_and_sends_when_it_is_refilled() {
    let settings = "min-balance = \"1 gwei\"\ntxmgr.not-in-mempool-timeout = \"2s\"";
    let mut world = World::new(DevnetConfig { prelude: 60, ..ready() }, settings).await;
    // Above the limit of the warning, and not enough for anything.
    set_balance(&world, 1_000 * GWEI).await;
    world.run(&[]);
    world.wait("SignerBalanceLow", 1);
    world.wait("ProofFulfilled", 2);
    pass(&mut world, 4);
    let counts = ["SignerBalanceLow", "SignerBalanceRestored", "TxReserved"].map(|name| world.count(name));
    assert_eq!(counts, [1, 0, 0], "told once, and nothing reserved");
    set_balance(&world, ETHER).await;
    world.wait("SignerBalanceRestored", 1);
    world.wait("TxIncluded", 1);

    // Emptied again while a transaction waits for its block.
    let from = world.mark();
    submission_held(&mut world).await;
    set_balance(&world, 0).await;
    world.devnet.l1.mine(2).await.unwrap();
    world.wait_for(from, "SignerBalanceLow", |event| is(event, "SignerBalanceLow"));
    assert_eq!(since(&world, from, "Submitted"), [Value::Null; 0]);
    set_balance(&world, ETHER).await;
    world.devnet.l1.go_on(1).await.unwrap();
    confirm(&mut world);
    sent(&mut world, 0, "submission");
    assert_eq!(world.count("SubmissionAbandoned"), 0, "the same slot went through");
    world.end().await;
}
