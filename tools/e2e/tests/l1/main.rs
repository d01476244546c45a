//! The program on real chains: everything that the L1 and the contracts do to it.
//!
//! Each test has a devnet of its own and waits for what the engine records, never for time. Blocks are held back where a
//! test needs something to happen between two of them. At the end of each the log must verify, no purpose may have been
//! included twice, and every output must be the L2's real one.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod contracts;
mod endpoints;
mod refusals;
mod reorgs;
mod rivals;
mod sending;

use prooflog_devnet::DevnetConfig;
use prooflog_e2e::{World, quick};
use serde_json::{Value, json};

const GWEI: u128 = 1_000_000_000;

/// A quick devnet whose L2 has blocks for a few submissions from the start.
fn ready() -> DevnetConfig {
    DevnetConfig { prelude: 40, ..quick() }
}

/// The same, with this many milliseconds for a span and for an aggregate.
fn slow(span: u64, agg: u64) -> DevnetConfig {
    let mut config = ready();
    config.script.proving_ms = span;
    config.script.agg_proving_ms = Some(agg);
    config
}

/// Whether an event is of a type.
fn is(event: &Value, name: &str) -> bool {
    event["type"] == name
}

/// Whether an event is of a type, and about an aggregate.
fn of_agg(event: &Value, name: &str) -> bool {
    is(event, name) && event["stream"].as_str().is_some_and(|stream| stream.starts_with("agg-"))
}

/// Whether a transaction was prepared for a purpose.
fn prepared_for(event: &Value, purpose: &str) -> bool {
    is(event, "TxPrepared") && !event["data"]["purpose"][purpose].is_null()
}

/// Waits until a transaction for a purpose was handed to the L1, from a place in the story on: its record as prepared.
fn sent(world: &mut World, from: usize, purpose: &str) -> Value {
    let prepared =
        world.wait_for(from, &format!("TxPrepared for a {purpose}"), |event| prepared_for(event, purpose));
    world.wait_for(from, &format!("TxBroadcast for a {purpose}"), |event| {
        is(event, "TxBroadcast")
            && event["stream"] == prepared["stream"]
            && event["data"]["version"] == prepared["data"]["version"]
    });
    prepared
}

/// Runs the program until a submission was handed to the L1, which makes no blocks from its checkpoint on.
async fn submission_held(world: &mut World) -> Value {
    let from = world.mark();
    world.wait_for(from, "Checkpointed", |event| is(event, "Checkpointed"));
    world.devnet.l1.hold().await.unwrap();
    sent(world, from, "submission")
}

/// Waits until finalized blocks were seen so often more: time in which something could have happened.
fn pass(world: &mut World, times: usize) {
    let seen = world.count("FinalizedMoved");
    world.wait("FinalizedMoved", seen + times);
}

/// Waits for the next confirmation.
fn confirm(world: &mut World) {
    world.wait_next("SubmissionConfirmed");
}

/// Events of a type from a place in the story on.
fn since(world: &World, from: usize, name: &str) -> Vec<Value> {
    world.story().events().iter().skip(from).filter(|event| is(event, name)).cloned().collect()
}

/// An amount of wei in an event.
fn wei(value: &Value) -> u128 {
    value.as_str().unwrap().parse().unwrap()
}

/// The fields of a transaction that goes before others.
fn dear() -> Value {
    json!({ "maxFeePerGas": "0x174876e800", "maxPriorityFeePerGas": "0xba43b7400" })
}

/// Sets the balance of the account that the program sends from.
async fn set_balance(world: &World, wei: u128) {
    let params = json!([world.devnet.proposer, format!("{wei:#x}")]);
    let _: Value = world.devnet.l1.rpc().call("anvil_setBalance", params).await.unwrap();
}
