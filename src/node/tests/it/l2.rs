//! Sizes of blocks: bounded requests, limits of the other side, and what cannot be told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use prooflog_events::ids::{L2Block, Range};
use prooflog_net::{Endpoint, Limits, RpcClient, Salt};
use prooflog_node::{L2Limits, L2Node, NodeError};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{Answer, CHAIN, asked, block, client, node, serve};

const QUICK: L2Limits =
    L2Limits { batch: 50, concurrency: 2, pause: Duration::ZERO, pause_max: Duration::ZERO };

fn range(start: u64, end: u64) -> Range {
    Range::new(L2Block(start), L2Block(end)).unwrap()
}

async fn scripted(script: impl Fn(&str, u64) -> Answer + Send + Sync + 'static) -> L2Node {
    let rpc = node(move |method, params| match method {
        "eth_getBlockByNumber" => {
            assert_eq!(params[1], json!(false));
            script(method, asked(params))
        }
        _ => script(method, 0),
    });
    L2Node::new(CHAIN, rpc.await, QUICK)
}

#[tokio::test]
async fn sizes_come_lowest_first_for_the_blocks_after_the_start() {
    let node = scripted(|_, number| Answer::Result(block(number))).await;
    let read = node.blocks(range(1_000, 1_225)).await.unwrap();
    assert_eq!((read.chain, read.range, read.blocks.len()), (CHAIN, range(1_000, 1_225), 225));
    for (number, stats) in (1_001_u64..).zip(&read.blocks) {
        assert_eq!((stats.gas, u64::from(stats.transactions)), (21_000 * number, number % 5));
    }
}

#[tokio::test]
async fn a_very_long_range_is_answered_in_part() {
    let node = scripted(|_, number| Answer::Result(block(number))).await;
    let read = node.blocks(range(0, 1 << 40)).await.unwrap();
    assert_eq!((read.blocks.len(), read.range), (4_096, range(0, 1 << 40)));
    assert!(prooflog_events::input::Input::from(read).encode().len() < 64 << 10);
}

/// A server that counts requests, and how many are under way at once.
#[derive(Default)]
struct Counting {
    requests: AtomicUsize,
    largest: AtomicUsize,
    now: AtomicUsize,
    peak: AtomicUsize,
    /// How many requests are answered before the server says that it is asked too much.
    budget: AtomicU64,
}

async fn counted(State(server): State<Arc<Counting>>, body: axum::Json<Value>) -> Response {
    server.requests.fetch_add(1, Ordering::Relaxed);
    let now = server.now.fetch_add(1, Ordering::Relaxed) + 1;
    server.peak.fetch_max(now, Ordering::Relaxed);
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    server.now.fetch_sub(1, Ordering::Relaxed);
    let calls = body.as_array().cloned().unwrap_or_default();
    server.largest.fetch_max(calls.len(), Ordering::Relaxed);
    let spent =
        server.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err();
    if spent {
        return (StatusCode::TOO_MANY_REQUESTS, "slow down").into_response();
    }
    let answers: Vec<Value> = calls
        .iter()
        .map(|call| json!({ "id": call["id"], "result": block(asked(&call["params"])) }))
        .collect();
    axum::Json(answers).into_response()
}

async fn counting(budget: u64) -> (Arc<Counting>, RpcClient) {
    let server = Arc::new(Counting { budget: AtomicU64::new(budget), ..Counting::default() });
    let router = Router::new().route("/", post(counted)).with_state(Arc::clone(&server));
    (server, client(&serve(router).await))
}

#[tokio::test]
async fn many_long_reads_at_once_keep_to_the_limits() {
    let (server, rpc) = counting(u64::MAX).await;
    let node = L2Node::new(CHAIN, rpc, QUICK);
    // Reads of other ranges make room for themselves, so their answers are not looked at: only the load is.
    let reads = (0..10_u64).map(|n| node.blocks(range(1_800 * n, 1_800 * (n + 1))));
    futures_util::future::join_all(reads).await;
    assert!(server.peak.load(Ordering::Relaxed) <= 2, "{}", server.peak.load(Ordering::Relaxed));
    assert_eq!(server.largest.load(Ordering::Relaxed), 50);
    assert_eq!(server.requests.load(Ordering::Relaxed), 360);
}

#[tokio::test]
async fn a_limited_endpoint_is_left_alone() {
    let (server, rpc) = counting(0).await;
    let hour = Duration::from_secs(3_600);
    let node = L2Node::new(CHAIN, rpc, L2Limits { pause: hour, pause_max: hour, ..QUICK });
    let error = node.blocks(range(0, 1_800)).await.unwrap_err();
    assert!(error.is_limit() && matches!(error, NodeError::Limited { .. }), "{error}");
    let asked = server.requests.load(Ordering::Relaxed);
    assert!(asked <= 2, "{asked}");
    assert!(matches!(node.blocks(range(0, 1_800)).await, Err(NodeError::Limited { .. })));
    assert_eq!(server.requests.load(Ordering::Relaxed), asked, "nobody was asked during the pause");
}

#[tokio::test]
async fn a_read_that_was_limited_goes_on_where_it_stopped() {
    let (server, rpc) = counting(0).await;
    let node = L2Node::new(CHAIN, rpc, L2Limits { concurrency: 1, ..QUICK });
    let mut tries = 0;
    let read = loop {
        server.budget.store(3, Ordering::Relaxed);
        tries += 1;
        match node.blocks(range(0, 500)).await {
            Ok(read) => break read,
            Err(error) => assert!(error.is_limit() && tries < 10, "{error}"),
        }
    };
    assert_eq!((read.blocks.len(), tries), (500, 4), "ten batches, three at a time");
}

#[tokio::test]
async fn limits_are_recognised_in_the_words_of_a_batch() {
    for (code, words) in
        [(429, "x"), (-32_005, "x"), (-32_000, "Too Many Requests"), (-32_000, "rate limit hit")]
    {
        let node = scripted(move |_, _| Answer::Error(code, words)).await;
        assert!(matches!(node.blocks(range(0, 5)).await, Err(NodeError::Limited { .. })), "{code} {words}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_asked_for_in_halves() {
    let (server, _) = counting(u64::MAX).await;
    let router = Router::new().route("/", post(counted)).with_state(Arc::clone(&server));
    let endpoint = Endpoint::parse(&serve(router).await, Salt::default()).unwrap();
    let rpc = RpcClient::new(endpoint, Limits { body: 3_000, ..Limits::default() }).unwrap();
    let read = L2Node::new(CHAIN, rpc, QUICK).blocks(range(0, 100)).await.unwrap();
    assert_eq!(read.blocks.len(), 100);
    assert!(server.requests.load(Ordering::Relaxed) > 2);
}

/// A server that speaks single calls only.
async fn single(body: axum::Json<Value>) -> Response {
    match &body.0 {
        Value::Array(_) => axum::Json(json!({ "id": null, "error": { "code": -32_600, "message": "no" } })),
        call => axum::Json(json!({ "id": call["id"], "result": block(asked(&call["params"])) })),
    }
    .into_response()
}

#[tokio::test]
async fn an_endpoint_without_batches_is_asked_one_by_one() {
    let rpc = client(&serve(Router::new().route("/", post(single))).await);
    let read = L2Node::new(CHAIN, rpc, QUICK).blocks(range(7, 70)).await.unwrap();
    assert_eq!(read.blocks.len(), 63);
    assert_eq!(read.blocks[0].gas, 21_000 * 8);
}

#[tokio::test]
async fn a_block_that_is_not_there_yet_is_waited_for() {
    let node = scripted(|method, number| match method {
        "eth_blockNumber" => Answer::Result(json!("0x63")),
        _ if number > 99 => Answer::Result(Value::Null),
        _ => Answer::Result(block(number)),
    });
    let error = node.await.blocks(range(50, 100)).await.unwrap_err();
    assert!(matches!(error, NodeError::Behind { block: 100, head: 99, .. }), "{error}");
}

#[tokio::test]
async fn what_the_node_cannot_tell_is_unknown_and_not_zero() {
    let pruned = scripted(|method, number| match method {
        "eth_blockNumber" => Answer::Result(json!("0x1000")),
        _ if number < 60 => Answer::Result(Value::Null),
        _ => Answer::Result(block(number)),
    });
    assert_eq!(pruned.await.blocks(range(50, 150)).await.unwrap().blocks, []);
    let other = scripted(|_, _| Answer::Error(-32_601, "no such method")).await;
    assert_eq!(other.blocks(range(50, 150)).await.unwrap().blocks, []);
}

#[tokio::test]
async fn a_block_that_was_not_asked_for_is_not_taken() {
    let node = scripted(|_, number| Answer::Result(block(if number == 60 { 61 } else { number }))).await;
    let error = node.blocks(range(50, 150)).await.unwrap_err();
    assert!(error.to_string().contains("block 60 was asked for, 61 came back"), "{error}");
}

#[tokio::test]
async fn a_failing_request_ends_the_read() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let router = Router::new().route(
        "/",
        post(move || async move {
            let _held = held.acquire().await;
            "unreachable"
        }),
    );
    let node = L2Node::new(CHAIN, client(&serve(router).await), QUICK);
    let error = node.blocks(range(0, 18_000)).await.unwrap_err();
    assert!(error.to_string().contains("no answer within"), "{error}");
}

#[tokio::test]
async fn who_the_node_is_can_be_asked() {
    let node = scripted(|method, _| match method {
        "eth_chainId" => Answer::Result(json!("0x385")),
        "eth_blockNumber" => Answer::Result(json!(17)),
        _ => Answer::Result(json!("geth/v1")),
    });
    let node = node.await;
    assert_eq!(node.chain_id().await.unwrap(), 901);
    assert!(matches!(node.head().await, Err(NodeError::Malformed { .. })), "a plain number is not 0x-hex");
    assert_eq!(node.version().await.unwrap(), "geth/v1");
}
