//! Calls against real listeners: limits hold, errors say what happened, and no address shows.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use prooflog_net::{Endpoint, Failure, HttpError, Limits, Meter, RpcClient, RpcError, Salt, Told};
use serde_json::{Value, json};
use tokio::net::TcpListener;

async fn serve(router: Router) -> RpcClient {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    client(&format!("http://{address}/secret-path"))
}

fn client(address: &str) -> RpcClient {
    let limits = Limits { call: Duration::from_millis(300), body: 1_000, ..Limits::default() };
    RpcClient::new(Endpoint::parse(address, Salt::default()).unwrap(), limits).unwrap()
}

fn answering(answer: Value) -> Router {
    Router::new().route("/secret-path", post(move || async move { axum::Json(answer) }))
}

#[tokio::test]
async fn a_value_comes_back() {
    let rpc = serve(answering(json!({ "jsonrpc": "2.0", "id": 1, "result": "0x10" }))).await;
    assert_eq!(rpc.call::<String>("m", json!([])).await.unwrap(), "0x10");
}

#[tokio::test]
async fn a_batch_is_put_in_the_order_of_its_calls() {
    let rpc = serve(answering(
        json!([{ "id": 2, "result": "b" }, { "id": 1, "error": { "code": -32601, "message": "no" } }]),
    ))
    .await;
    let answers = rpc.batch::<String>(&[("a", json!([])), ("b", json!([]))]).await.unwrap();
    assert!(answers[0].as_ref().is_err_and(RpcError::is_unknown_method));
    assert_eq!(answers[1].as_ref().unwrap(), "b");
}

#[tokio::test]
async fn more_answers_than_calls_are_no_batch() {
    let rpc = serve(answering(json!([{ "id": 1, "result": "a" }, { "id": 1, "result": "b" }]))).await;
    let error = rpc.batch::<String>(&[("a", json!([]))]).await.unwrap_err();
    assert!(matches!(error, RpcError::Malformed { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_above_the_limit_is_refused() {
    let rpc = serve(answering(json!({ "result": "x".repeat(2_000) }))).await;
    let error = rpc.call::<String>("m", json!([])).await.unwrap_err();
    assert!(matches!(error, RpcError::Http { source: HttpError::TooLarge(1_000), .. }), "{error}");
}

#[tokio::test]
async fn a_hanging_server_is_given_up() {
    let router = Router::new().route("/secret-path", post(std::future::pending::<&str>));
    let error = serve(router).await.call::<String>("m", json!([])).await.unwrap_err();
    assert!(matches!(error, RpcError::Http { source: HttpError::Timeout(_), .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[tokio::test]
async fn nobody_there_is_told_from_a_refusal() {
    let error = client("http://127.0.0.1:1/secret-path").call::<String>("m", json!([])).await.unwrap_err();
    let RpcError::Http { source, .. } = &error else { unreachable!("{error}") };
    assert!(matches!(source, HttpError::Unreachable(_)) && !source.may_have_arrived());
    assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
}

#[tokio::test]
async fn what_is_not_json_rpc_is_named_so() {
    let rpc = serve(answering(json!({}))).await;
    assert!(matches!(rpc.call::<String>("m", json!([])).await, Err(RpcError::Malformed { .. })));
}

#[tokio::test]
async fn a_server_that_takes_no_batches_is_understood() {
    let rpc = serve(answering(json!({ "error": { "code": -32005, "message": "no batches" } }))).await;
    let error = rpc.batch::<String>(&[("a", json!([])), ("b", json!([]))]).await.unwrap_err();
    assert!(matches!(error, RpcError::Refused { code: -32005, .. }), "{error}");
}

#[tokio::test]
async fn what_merely_calls_itself_an_error_keeps_its_status() {
    let body =
        || async { (axum::http::StatusCode::UNAUTHORIZED, axum::Json(json!({ "error": "unauthorized" }))) };
    let rpc = serve(Router::new().route("/secret-path", post(body))).await;
    let error = rpc.call::<String>("m", json!([])).await.unwrap_err();
    assert!(matches!(error, RpcError::Http { source: HttpError::Status { status: 401, .. }, .. }), "{error}");
}

/// A client whose meter writes down what it is told: method, whether it is over, and why without an answer.
type Line = (String, bool, Option<Failure>);

fn metered(rpc: RpcClient) -> (RpcClient, Arc<Mutex<Vec<Line>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&lines);
    let meter = Meter::new(move |told| {
        let line = match told {
            Told::Sent { method } => (method.to_owned(), false, None),
            Told::Answered { method, failure, .. } => (method.to_owned(), true, failure),
        };
        written.lock().unwrap().push(line);
    });
    (rpc.metered(meter), lines)
}

#[tokio::test]
async fn a_meter_is_told_of_every_call_of_a_batch_and_how_each_ended() {
    let answer =
        json!([{ "id": 1, "error": { "code": -32601, "message": "no" } }, { "id": 2, "result": "b" }]);
    let (rpc, lines) = metered(serve(answering(answer)).await);
    rpc.batch::<String>(&[("a", json!([])), ("b", json!([]))]).await.unwrap();
    let line = |method: &str, is_over, failure| (method.to_owned(), is_over, failure);
    let expected = [
        line("a", false, None),
        line("b", false, None),
        line("a", true, Some(Failure::Refused)),
        line("b", true, None),
    ];
    assert_eq!(*lines.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_meter_is_told_why_there_is_no_answer_and_nothing_of_a_call_that_is_given_up() {
    let (rpc, lines) = metered(serve(answering(json!({ "result": 1 }))).await);
    rpc.call::<String>("m", json!([])).await.unwrap_err();
    let (hanging, given_up) =
        metered(serve(Router::new().route("/secret-path", post(std::future::pending::<&str>))).await);
    hanging.call::<String>("m", json!([])).await.unwrap_err();
    let ended = tokio::time::timeout(Duration::from_millis(1), hanging.call::<String>("n", json!([]))).await;
    assert!(ended.is_err());
    let over = |lines: &Mutex<Vec<Line>>| -> Vec<Line> {
        lines.lock().unwrap().iter().filter(|(_, is_over, _)| *is_over).cloned().collect()
    };
    assert_eq!(over(&lines), [("m".to_owned(), true, Some(Failure::Malformed))]);
    assert_eq!(over(&given_up), [("m".to_owned(), true, Some(Failure::Timeout))]);
    assert_eq!(given_up.lock().unwrap().len(), 3, "both were told when they were sent");
}
