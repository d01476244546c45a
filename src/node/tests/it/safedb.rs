//! The probe of the database of safe heads: on, off and not known are never mistaken for each other.

use std::time::Duration;

use prooflog_events::ids::L1Number;
use prooflog_node::{NodeError, SafeDb};
use serde_json::json;

use crate::support::{Answer, client, hash, node, rollup};

async fn probe(answer: Answer) -> SafeDb {
    let rpc = node(move |method, params| {
        assert_eq!((method, params), ("optimism_safeHeadAtL1Block", &json!(["0x4d"])));
        answer.clone()
    });
    one(rpc.await).await
}

async fn one(rpc: prooflog_net::RpcClient) -> SafeDb {
    let node = rollup(vec![rpc], Duration::ZERO);
    let mut found = node.safe_head_at_l1(L1Number(77)).await;
    assert_eq!(found[0].0, "n1");
    found.remove(0).1
}

#[tokio::test]
async fn a_valid_answer_means_on() {
    let block = |byte: u8, number: u64| json!({ "hash": hash(byte), "number": number });
    let found = probe(Answer::Result(json!({ "l1Block": block(1, 76), "safeHead": block(2, 500) }))).await;
    let SafeDb::On(Some(head)) = found else { panic!("{found:?}") };
    assert_eq!((head.l1_block.number, head.safe_head.number, head.safe_head.hash), (76, 500, hash(2)));
}

#[tokio::test]
async fn an_on_database_without_an_entry_is_still_on() {
    assert_eq!(probe(Answer::Error(-32_000, "not found")).await, SafeDb::On(None));
}

#[tokio::test]
async fn only_an_unknown_method_or_its_name_means_off() {
    for answer in [
        Answer::Error(-32_601, "the method optimism_safeHeadAtL1Block does not exist/is not available"),
        Answer::Error(-32_000, "safe head database not enabled"),
        Answer::Error(-32_000, "SafeDB is disabled"),
    ] {
        let found = probe(answer.clone()).await;
        assert!(matches!(found, SafeDb::Off { .. }), "{answer:?}: {found:?}");
    }
}

#[tokio::test]
async fn anything_else_is_not_known_and_says_exactly_why() {
    let table = [
        (Answer::Status(401, "unauthorized"), "status 401: unauthorized"),
        (Answer::Status(503, "no backend"), "status 503: no backend"),
        (Answer::Never, "no answer within"),
        (Answer::Result(json!(null)), "null"),
        (Answer::Result(json!({})), "missing field"),
        (Answer::Result(json!({ "l1Block": { "hash": "0x", "number": 1 } })), "32 bytes hex"),
        (Answer::Raw("{}"), "neither a result nor an error"),
        (Answer::Raw("<html>"), "not a valid answer"),
        (Answer::Error(-32_603, "internal error"), "internal error"),
        (Answer::Error(-32_005, "daily limit exceeded"), "daily limit exceeded"),
        (Answer::Error(-32_001, "rpc method is not whitelisted"), "not whitelisted"),
    ];
    for (answer, words) in table {
        let found = probe(answer.clone()).await;
        let SafeDb::Unknown { cause } = &found else { panic!("{answer:?}: {found:?}") };
        assert!(cause.to_string().contains(words), "{answer:?}: {cause}");
    }
}

#[tokio::test]
async fn a_node_that_is_not_there_is_not_a_database_that_is_off() {
    let found = one(client("http://127.0.0.1:1/")).await;
    let SafeDb::Unknown { cause: NodeError::Rpc(cause) } = &found else { panic!("{found:?}") };
    assert!(cause.to_string().contains("cannot be reached"), "{cause}");
}
