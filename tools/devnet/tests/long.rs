//! The L2 that becomes longer at once, against a real chain: what it shows of itself must agree.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use alloy::rpc::types::Block;
use prooflog_devnet::{Anvil, AnvilConfig, Asked, LongChain};
use prooflog_net::{Endpoint, Limits, RpcClient, Salt};
use serde_json::{Value, json};

/// The contract that keeps withdrawals.
const WITHDRAWALS: &str = "0x4200000000000000000000000000000000000016";
const JUMP: u64 = 20_000;

fn client(url: &str) -> RpcClient {
    let limits = Limits { call: Duration::from_secs(30), ..Limits::default() };
    RpcClient::new(Endpoint::parse(url, Salt::default()).unwrap(), limits).unwrap()
}

async fn block(rpc: &RpcClient, which: Value) -> Block {
    let block: Block = rpc.call("eth_getBlockByNumber", json!([which, false])).await.unwrap();
    assert_eq!(block.header.inner.hash_slow(), block.header.hash, "a hash is that of the header");
    block
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_jumps_stays_one_chain_of_real_headers_with_the_state_that_it_had() {
    let config = AnvilConfig { chain_id: 901, block_time: 0, timestamp: None, arguments: Vec::new() };
    let anvil = Anvil::start(&config).unwrap();
    let accounts: Vec<String> = anvil.rpc().call("eth_accounts", json!([])).await.unwrap();
    let tx = json!({ "from": accounts.first(), "to": WITHDRAWALS, "value": "0x1" });
    let _: Value = anvil.rpc().call("eth_sendTransaction", json!([tx])).await.unwrap();
    anvil.mine(5).await.unwrap();
    let long = LongChain::start(&anvil, 2).await.unwrap();
    let (rpc, watched) = (client(&long.url("test")), client(&long.url("watched")));
    let before = block(&rpc, json!("latest")).await;
    assert_eq!(before.header.number, 5);

    assert_eq!(long.jump(JUMP).await.unwrap(), 5 + JUMP);
    // What the chain makes from now on is not part of it.
    anvil.mine(3).await.unwrap();
    let head = block(&rpc, json!("latest")).await;
    assert_eq!(head.header.number, 5 + JUMP);
    assert_eq!(head.header.timestamp, before.header.timestamp + 2 * JUMP);
    assert_eq!(head.header.state_root, before.header.state_root);
    let first = block(&rpc, json!("0x6")).await;
    assert_eq!((first.header.parent_hash, first.transactions.len()), (before.header.hash, 0));
    let second = block(&rpc, json!("0x7")).await;
    assert_eq!(second.header.parent_hash, first.header.hash);
    let same: Value = rpc.call("eth_getBlockByHash", json!([second.header.hash, false])).await.unwrap();
    assert_eq!(same, json!(second));
    let above: Value = rpc.call("eth_getBlockByNumber", json!(["0x4e26", false])).await.unwrap();
    assert_eq!(above, Value::Null, "there is nothing above the head");

    let proof = |which: &str| rpc.call::<Value>("eth_getProof", json!([WITHDRAWALS, [], which]));
    let (at_base, at_head) = (proof("0x5").await.unwrap(), proof("0x4e25").await.unwrap());
    assert_eq!(at_base, at_head);
    assert_eq!(at_head.get("balance"), Some(&json!("0x1")), "the state is that of the real chain");

    assert_eq!(long.jump(1).await.unwrap(), 6 + JUMP, "it jumps again from where it is");
    let calls: Vec<(&str, Value)> =
        (1..=7).map(|number| ("eth_getBlockByNumber", json!([format!("{number:#x}"), false]))).collect();
    let answers = watched.batch::<Block>(&calls).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(long.asked("watched"), Asked { calls: 7, largest: 7, highest: 7 });
    assert_eq!(long.asked("nobody"), Asked::default());
}
