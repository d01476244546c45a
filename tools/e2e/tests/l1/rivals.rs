//! Another proposer settles what we are about to: while our aggregate is proven, and in the very block of our submission.

use prooflog_devnet::Proposal;
use prooflog_e2e::World;
use serde_json::{Value, json};

use crate::{confirm, dear, is, of_agg, prepared_for, slow, submission_held};

#[tokio::test(flavor = "multi_thread")]
async fn another_proposer_that_settles_first_costs_the_aggregate_and_the_rest_goes_on_from_there() {
    let mut world = World::new(slow(400, 3_000), "").await;
    let (devnet, rollup) = (&world.devnet, world.rollup.clone());
    let rival = devnet.stranger().await.unwrap();
    let point = devnet.invite(&rollup, rival).await.unwrap();
    let early = devnet.claim(&rollup, rival, (17, point)).await.unwrap();
    world.run(&[]);
    let requested = world.wait_for(0, "an aggregate's ProofRequested", |e| of_agg(e, "ProofRequested"));
    let from = world.mark();
    world.devnet.settle(early).await.unwrap();

    let advanced = world.wait_for(from, "ContractAdvanced", |event| is(event, "ContractAdvanced"));
    let data = &advanced["data"];
    assert_eq!(
        (&data["latest"]["block"], &data["ours"], &data["sender"]),
        (&json!(17), &Value::Null, &json!(rival.to_string().to_lowercase())),
    );
    let useless = world.wait_for(from, "the aggregate's end", |event| {
        of_agg(event, "Invalidated") && event["stream"] == requested["stream"]
    });
    assert_eq!(useless["data"]["reason"], "superseded");
    world.wait_for(from, "SpanSettled", |event| is(event, "SpanSettled"));
    world.wait_for(from, "the straddling span's end", |event| {
        is(event, "Invalidated") && event["data"]["reason"] == "straddles"
    });
    world.wait_for(from, "a span from there", |event| {
        is(event, "SpanCreated") && event["data"]["range"]["start"] == 17
    });

    // And now in the block of our own submission, before it.
    let ours = submission_held(&mut world).await;
    let agg = ours["data"]["purpose"]["submission"]["agg"].clone();
    let name = format!("agg-{}-{}", agg["chain"], agg["number"]);
    let queued = world.wait_for(0, "AggQueued", |e| is(e, "AggQueued") && e["stream"] == json!(name));
    let end = queued["data"]["range"]["end"].as_u64().unwrap();
    let Proposal { from: rival, to, data } = world.devnet.claim(&rollup, rival, (end, point)).await.unwrap();
    let from = world.mark();
    world.devnet.sender().submit(rival, Some(to), data, dear()).await.unwrap();
    world.devnet.l1.mine(1).await.unwrap();
    world.devnet.l1.go_on(1).await.unwrap();
    let reverted = world.wait_for(from, "TxReverted", |event| is(event, "TxReverted"));
    let refusal = &reverted["data"]["refusal"];
    assert_eq!((&reverted["stream"], &refusal["class"]), (&ours["stream"], &json!("stale")), "{reverted}");
    assert!(refusal["text"].as_str().unwrap().contains("next expected block number"), "{refusal}");
    world.wait_for(from, "the aggregate's end", |event| {
        of_agg(event, "Invalidated") && event["stream"] == json!(name)
    });
    confirm(&mut world);
    let superseded = world.story().events().iter().filter(|event| {
        let agg = &event["data"]["purpose"]["submission"]["agg"]["number"];
        prepared_for(event, "submission")
            && requested["stream"] == json!(format!("agg-{}-{agg}", rollup.chain))
    });
    assert_eq!(superseded.count(), 0, "what was superseded is never sent");
    world.end().await;
}
