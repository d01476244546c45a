//! A JSON-RPC server whose answers a test scripts, and answers as nodes give them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use prooflog_events::ids::{ChainId, Hash32};
use prooflog_net::{Endpoint, Limits, RpcClient, Salt};
use prooflog_node::{NodeEndpoint, RollupNode};
use serde_json::{Value, json};
use sha3::{Digest, Keccak256};
use tokio::net::TcpListener;

pub(crate) const CHAIN: ChainId = ChainId(901);

type Script = Arc<dyn Fn(&str, &Value) -> Answer + Send + Sync>;

/// What a call is answered with.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Result(Value),
    Error(i64, &'static str),
    Status(u16, &'static str),
    Raw(&'static str),
    Never,
}

/// A client of a server that answers each call by `script(method, params)`.
pub(crate) async fn node(script: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> RpcClient {
    let script: Script = Arc::new(script);
    client(&serve(Router::new().route("/", post(answer)).with_state(script)).await)
}

pub(crate) async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/")
}

pub(crate) fn client(url: &str) -> RpcClient {
    let limits = Limits { call: Duration::from_millis(500), ..Limits::default() };
    RpcClient::new(Endpoint::parse(url, Salt::default()).unwrap(), limits).unwrap()
}

async fn answer(State(script): State<Script>, body: axum::Json<Value>) -> Response {
    if let Value::Array(calls) = &body.0 {
        let answers: Vec<Value> = calls.iter().map(|call| envelope(call, ask(&script, call))).collect();
        return axum::Json(answers).into_response();
    }
    match ask(&script, &body.0) {
        Answer::Status(status, text) => (StatusCode::from_u16(status).unwrap(), text).into_response(),
        Answer::Raw(text) => text.into_response(),
        Answer::Never => std::future::pending().await,
        other => axum::Json(envelope(&body.0, other)).into_response(),
    }
}

fn ask(script: &Script, call: &Value) -> Answer {
    script(call["method"].as_str().unwrap(), &call["params"])
}

fn envelope(call: &Value, answer: Answer) -> Value {
    match answer {
        Answer::Result(result) => json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }),
        Answer::Error(code, message) => {
            json!({ "jsonrpc": "2.0", "id": call["id"], "error": { "code": code, "message": message } })
        }
        other => panic!("{other:?} cannot be part of a batch"),
    }
}

/// A rollup node over endpoints named n1, n2, ...
pub(crate) fn rollup(clients: Vec<RpcClient>, distrust: Duration) -> RollupNode {
    let endpoints =
        (1..).zip(clients).map(|(number, rpc)| NodeEndpoint::new(format!("n{number}"), rpc)).collect();
    RollupNode::new(CHAIN, endpoints, distrust).unwrap()
}

pub(crate) fn hash(byte: u8) -> Hash32 {
    Hash32([byte; 32])
}

/// A status with `finalized` at block time 2 after 1,000, and L1 derived up to block 77.
pub(crate) fn status(finalized: u64) -> Value {
    let l1 = json!({ "hash": hash(7), "number": 77, "parentHash": hash(6), "timestamp": 5_000 });
    let l2 = |number: u64| {
        json!({
            "hash": hash(number.to_le_bytes()[0] | 1), "number": number, "parentHash": hash(1),
            "timestamp": 1_000 + 2 * number, "l1origin": { "hash": hash(7), "number": 70 }, "sequenceNumber": 0
        })
    };
    json!({
        "current_l1": l1, "current_l1_finalized": l1, "head_l1": l1, "safe_l1": l1, "finalized_l1": l1,
        "unsafe_l2": l2(finalized + 20), "safe_l2": l2(finalized + 10), "finalized_l2": l2(finalized)
    })
}

/// An output of `block` whose root is what its parts make.
pub(crate) fn output(block: u64, state: u8) -> Value {
    let (version, state, withdrawals, hash_of_block) = (hash(0), hash(state), hash(3), hash(4));
    let parts = [version, state, withdrawals, hash_of_block];
    let root = parts.iter().fold(Keccak256::new(), |h, part| h.chain_update(part.0)).finalize();
    json!({
        "version": version, "outputRoot": Hash32(root.into()),
        "blockRef": { "hash": hash_of_block, "number": block, "parentHash": hash(1), "timestamp": 1_000,
            "l1origin": { "hash": hash(7), "number": 70 }, "sequenceNumber": 0 },
        "withdrawalStorageRoot": withdrawals, "stateRoot": state, "syncStatus": status(block)
    })
}

pub(crate) fn block(number: u64) -> Value {
    let transactions: Vec<Hash32> = (0..number % 5).map(|_| hash(9)).collect();
    json!({ "number": format!("{number:#x}"), "hash": hash(4), "gasUsed": format!("{:#x}", 21_000 * number),
        "transactions": transactions })
}

/// The block number that a call asks for.
pub(crate) fn asked(params: &Value) -> u64 {
    u64::from_str_radix(params[0].as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}
