//! Heads and output roots over several endpoints.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prooflog_events::ids::{Hash32, L1Number, L2Block, Micros};
use prooflog_net::RpcClient;
use prooflog_node::NodeError;
use serde_json::{Value, json};

use crate::support::{Answer, CHAIN, asked, client, hash, node, output, rollup, status};

const LONG: Duration = Duration::from_secs(3_600);
const NOBODY: &str = "http://127.0.0.1:1/";

async fn always(value: Value) -> RpcClient {
    node(move |_, _| Answer::Result(value.clone())).await
}

/// A node whose finalized head the test moves.
async fn moving(head: &Arc<AtomicU64>) -> RpcClient {
    let head = Arc::clone(head);
    node(move |_, _| Answer::Result(status(head.load(Ordering::Relaxed)))).await
}

#[tokio::test]
async fn heads_come_with_hash_time_and_derived_l1() {
    let read = rollup(vec![always(status(100)).await], LONG).heads().await.unwrap();
    assert_eq!((read.chain, read.finalized), (CHAIN, L2Block(100)));
    assert_eq!(read.hash, hash(101));
    assert_eq!(read.finalized_time, Micros(1_200_000_000));
    assert_eq!((read.current_l1.number, read.current_l1.hash), (L1Number(77), hash(7)));
}

#[tokio::test]
async fn the_first_endpoint_that_answers_sanely_is_taken() {
    let mut zero = status(100);
    zero["finalized_l2"] = json!({ "hash": Hash32::default(), "number": 0, "timestamp": 0,
        "l1origin": { "hash": Hash32::default(), "number": 0 }, "sequenceNumber": 0 });
    let mut above = status(300);
    above["unsafe_l2"]["number"] = json!(299);
    let clients = vec![
        client(NOBODY),
        always(zero).await,
        always(above).await,
        always(status(5)).await,
        always(status(9)).await,
    ];
    assert_eq!(rollup(clients, LONG).heads().await.unwrap().finalized, L2Block(5));
}

#[tokio::test]
async fn zeros_after_a_restart_are_no_answer() {
    let (mut no_l1, mut no_head) = (status(100), status(100));
    no_l1["current_l1"]["hash"] = json!(Hash32::default());
    no_head.as_object_mut().unwrap().remove("finalized_l2");
    for (answer, missing) in [(no_l1, "current_l1"), (no_head, "finalized_l2"), (json!({}), "finalized_l2")] {
        let error = rollup(vec![always(answer).await], LONG).heads().await.unwrap_err();
        assert!(error.to_string().contains(missing), "{error}");
    }
}

#[tokio::test]
async fn an_endpoint_whose_finalized_head_goes_back_is_the_last_resort() {
    let (first, second) = (Arc::new(AtomicU64::new(100)), Arc::new(AtomicU64::new(90)));
    let node = rollup(vec![moving(&first).await, moving(&second).await], LONG);
    assert_eq!(node.heads().await.unwrap().finalized, L2Block(100));
    first.store(80, Ordering::Relaxed);
    assert_eq!(node.heads().await.unwrap().finalized, L2Block(90), "the other one is preferred");
    first.store(200, Ordering::Relaxed);
    assert_eq!(node.heads().await.unwrap().finalized, L2Block(90), "for a while, not once");
}

#[tokio::test]
async fn distrust_ends() {
    let (first, second) = (Arc::new(AtomicU64::new(100)), Arc::new(AtomicU64::new(90)));
    let node = rollup(vec![moving(&first).await, moving(&second).await], Duration::ZERO);
    node.heads().await.unwrap();
    first.store(80, Ordering::Relaxed);
    node.heads().await.unwrap();
    first.store(81, Ordering::Relaxed);
    assert_eq!(node.heads().await.unwrap().finalized, L2Block(81));
}

#[tokio::test]
async fn a_lower_head_is_passed_on_when_nobody_else_answers() {
    let head = Arc::new(AtomicU64::new(100));
    let node = rollup(vec![moving(&head).await, client(NOBODY)], LONG);
    node.heads().await.unwrap();
    head.store(60, Ordering::Relaxed);
    assert_eq!(node.heads().await.unwrap().finalized, L2Block(60));
    assert_eq!(node.heads().await.unwrap().finalized, L2Block(60), "a distrusted one is better than none");
}

#[tokio::test]
async fn an_output_names_every_endpoint_and_what_it_says() {
    let clients = vec![always(output(50, 1)).await, always(output(50, 2)).await, client(NOBODY)];
    let read = rollup(clients, LONG).output(L2Block(50)).await.unwrap();
    assert_eq!((read.block, read.current_l1.number), (L2Block(50), L1Number(77)));
    let names: Vec<&str> = read.nodes.iter().map(|node| node.node.as_str()).collect();
    assert_eq!(names, ["n1", "n2", "n3"]);
    let root = |state| serde_json::from_value::<Hash32>(output(50, state)["outputRoot"].clone()).unwrap();
    let roots: Vec<Option<Hash32>> = read.nodes.iter().map(|node| node.root).collect();
    assert_eq!(roots, [Some(root(1)), Some(root(2)), None]);
}

#[tokio::test]
async fn the_block_is_asked_for_in_hex() {
    let asked_for = node(|method, params| {
        assert_eq!((method, params), ("optimism_outputAtBlock", &json!(["0x1f4"])));
        Answer::Result(output(asked(params), 1))
    });
    assert!(rollup(vec![asked_for.await], LONG).output(L2Block(500)).await.is_ok());
}

#[tokio::test]
async fn an_output_that_fails_a_check_is_no_answer() {
    let broken = |change: fn(&mut Value)| {
        let mut answer = output(50, 1);
        change(&mut answer);
        answer
    };
    let table = [
        (broken(|o| o["version"] = json!(hash(1))), "version"),
        (broken(|o| o["blockRef"]["number"] = json!(49)), "block 50 was asked for, 49 came back"),
        (broken(|o| o["outputRoot"] = json!(hash(1))), "its parts make"),
        (broken(|o| o["stateRoot"] = json!(hash(2))), "its parts make"),
        (broken(|o| o["withdrawalStorageRoot"] = json!(hash(2))), "its parts make"),
        (broken(|o| o["blockRef"]["hash"] = json!(hash(2))), "its parts make"),
        (broken(|o| o["blockRef"]["number"] = json!("0x32")), "invalid type"),
        (broken(|o| o["blockRef"]["number"] = json!(50.0)), "invalid type"),
        (broken(|o| o["outputRoot"] = json!("0x12")), "32 bytes"),
        (broken(|o| o["syncStatus"]["current_l1"]["hash"] = json!(hash(0))), "current_l1"),
        (Value::Null, "null"),
        (json!([]), "not an object"),
    ];
    for (answer, words) in table {
        let bad = always(answer).await;
        let node = rollup(vec![bad.clone(), always(output(50, 1)).await], LONG);
        let read = node.output(L2Block(50)).await.unwrap();
        assert_eq!((read.nodes[0].root, read.nodes[1].root.is_some()), (None, true), "{words}");
        let error = rollup(vec![bad], LONG).output(L2Block(50)).await.unwrap_err();
        assert!(matches!(error, NodeError::Nobody { .. }) && error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn all_endpoints_are_asked_at_once() {
    let barrier = Arc::new(tokio::sync::Barrier::new(2));
    let router = || {
        let barrier = Arc::clone(&barrier);
        axum::Router::new().route(
            "/",
            axum::routing::post(move || async move {
                barrier.wait().await;
                axum::Json(json!({ "id": 1, "result": output(50, 1) }))
            }),
        )
    };
    let clients =
        vec![client(&crate::support::serve(router()).await), client(&crate::support::serve(router()).await)];
    let read = rollup(clients, LONG).output(L2Block(50)).await.unwrap();
    assert!(read.nodes.iter().all(|node| node.root.is_some()));
}

#[tokio::test]
async fn an_error_names_every_endpoint_and_no_address() {
    let clients = vec![client("http://user:secret@127.0.0.1:1/key"), always(Value::Null).await];
    let error = rollup(clients, LONG).heads().await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("n1: ") && text.contains("n2: ") && text.contains("cannot be reached"), "{text}");
    assert!(!text.contains("secret") && !text.contains("key"), "{text}");
}

#[tokio::test]
async fn configuration_version_and_genesis_are_read() {
    let answers = node(|method, _| match method {
        "optimism_version" => Answer::Result(json!("v1.9.1-\u{1b}[31mstable")),
        "optimism_rollupConfig" => Answer::Result(json!({
            "genesis": { "l1": { "hash": hash(1), "number": 4 }, "l2": { "hash": hash(2), "number": 9 } },
            "block_time": 2, "l1_chain_id": 900, "l2_chain_id": 901, "regolith_time": 0
        })),
        _ => Answer::Error(-32_601, "no"),
    });
    let node = rollup(vec![client(NOBODY), answers.await], LONG);
    let config = node.rollup_config().await.unwrap();
    assert_eq!((config.l2_chain_id, config.l1_chain_id, config.block_time), (901, 900, 2));
    assert_eq!(config.genesis_l2.map(|block| (block.number, block.hash)), Some((9, hash(2))));
    assert_eq!(node.genesis(None).await.unwrap(), hash(2));
    assert_eq!(node.version().await.unwrap(), "v1.9.1- [31mstable", "no control characters");
}

#[tokio::test]
async fn genesis_comes_from_the_execution_node_where_the_configuration_is_silent() {
    let config = json!({ "block_time": 2, "l1_chain_id": 900, "l2_chain_id": 901 });
    let silent = rollup(vec![always(config).await], LONG);
    assert!(silent.genesis(None).await.is_err());
    let execution = node(|_, params| Answer::Result(crate::support::block(asked(params)))).await;
    let execution = prooflog_node::L2Node::new(CHAIN, execution, prooflog_node::L2Limits::default());
    assert_eq!(silent.genesis(Some(&execution)).await.unwrap(), hash(4));
}

#[tokio::test]
async fn no_endpoint_is_refused() {
    let refused = prooflog_node::RollupNode::new(CHAIN, Vec::new(), LONG);
    assert!(matches!(refused, Err(NodeError::NoEndpoint)));
}
