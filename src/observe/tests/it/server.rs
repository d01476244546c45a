//! The listener, over real connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prooflog_events::ids::{ChainId, Position};
use prooflog_observe::{
    ChainStatus, Health, Limits, LogStatus, Metrics, Observers, Secrets, look, router, serve,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::common::{CHAIN, Exposition, OTHER, World};

/// Asks as a scraper does: the answer's status and body.
async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

struct Served {
    address: std::net::SocketAddr,
    health: Health,
    metrics: Metrics,
    secrets: Secrets,
}

async fn start(chains: &[ChainId], limits: Limits) -> Served {
    let health = Health::new(chains, Duration::from_secs(30));
    let metrics = Metrics::new(chains, health.clone());
    let secrets = Secrets::default();
    let state = Arc::new(World::new(chains).state);
    let observers = Observers {
        metrics: metrics.clone(),
        health: health.clone(),
        look: look(move || {
            let state = Arc::clone(&state);
            async move { Some(state) }
        }),
        secrets: secrets.clone(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, router(observers), limits, std::future::pending()));
    Served { address, health, metrics, secrets }
}

impl Served {
    async fn get(&self, path: &str) -> (u16, String) {
        get(self.address, path).await
    }

    async fn json(&self, path: &str) -> (u16, Value) {
        let (status, text) = self.get(path).await;
        (status, serde_json::from_str(&text).unwrap())
    }

    fn run(&self) {
        self.health.started();
        self.health.log(LogStatus::Writable);
        self.health.beat(Instant::now());
        self.health.chain(CHAIN, ChainStatus::Running);
    }
}

#[tokio::test]
async fn metrics_are_served_with_the_state_of_the_loop() {
    let served = start(&[CHAIN], Limits::default()).await;
    served.metrics.appended(Duration::from_millis(1), Position(12));
    let (status, text) = served.get("/metrics").await;
    assert_eq!(status, 200);
    let exposed = Exposition::parse(&text);
    assert!(exposed.value("prooflog_up") < 0.5);
    assert!(exposed.value("prooflog_state_read") > 0.5);
    assert!((exposed.value("prooflog_log_head_position") - 12.0).abs() < 0.5);
    assert!(exposed.value("prooflog_chain_status{status=\"starting\"}") > 0.5);
    assert!(exposed.value("prooflog_paused{control=\"proving\"}") < 0.5);
}

#[tokio::test]
async fn a_process_that_starts_is_alive_and_not_ready_and_says_why() {
    let served = start(&[CHAIN], Limits::default()).await;
    let waits = ChainStatus::Starting { waits_for: "the rollup node, which answers 503".into() };
    served.health.chain(CHAIN, waits);
    let (status, body) = served.json("/healthz").await;
    assert_eq!((status, body["loop"].as_str()), (200, Some("not_begun")));
    let (status, body) = served.json("/readyz").await;
    assert_eq!(status, 503);
    let why = body["why_not"].to_string();
    assert!(why.contains("start has not finished") && why.contains("answers 503"), "{why}");
    served.run();
    assert_eq!(served.get("/readyz").await.0, 200);
    served.health.stopping();
    assert_eq!(served.get("/readyz").await.0, 503);
}

#[tokio::test]
async fn a_stuck_loop_is_neither_alive_nor_ready() {
    let served = start(&[CHAIN], Limits::default()).await;
    served.run();
    served.health.waiting(Instant::now());
    assert_eq!(served.get("/healthz").await.0, 200);
    let Some(past) = Instant::now().checked_sub(Duration::from_secs(60)) else { return };
    served.health.beat(past);
    let (status, body) = served.json("/healthz").await;
    assert_eq!((status, body["loop"].as_str()), (503, Some("stuck")));
    assert_eq!(served.get("/readyz").await.0, 503);
    let (_, text) = served.get("/metrics").await;
    assert!(Exposition::parse(&text).value("prooflog_loop_stuck") > 0.5);
}

#[tokio::test]
async fn one_stopped_rollup_does_not_make_the_others_unready() {
    let served = start(&[CHAIN, OTHER], Limits::default()).await;
    served.run();
    served.health.chain(OTHER, ChainStatus::Stopped { reason: "no code at the oracle's address".into() });
    assert_eq!(served.get("/readyz").await.0, 200);
    assert_eq!(served.get("/readyz?chain=10").await.0, 200);
    let (status, body) = served.json("/readyz?chain=20").await;
    assert_eq!(status, 503);
    assert!(body["why_not"].to_string().contains("no code"), "{body}");
    assert_eq!(served.get("/readyz?chain=30").await.0, 404);
    served.health.held_by(CHAIN, vec!["the prover fails".into()]);
    let (status, body) = served.json("/readyz?chain=10").await;
    assert_eq!((status, body["chains"]["10"]["held_by"][0].as_str()), (200, Some("the prover fails")));
}

#[tokio::test]
async fn a_rollup_that_is_looked_at_and_may_buy_nothing_counts_as_stopped_until_it_may() {
    let served = start(&[CHAIN, OTHER], Limits::default()).await;
    served.run();
    served.health.chain(OTHER, ChainStatus::Running);
    served.health.rejected(CHAIN, Some("the prover proves something else".into()));
    let (status, body) = served.json("/readyz?chain=10").await;
    assert_eq!((status, body["chains"]["10"]["status"].as_str()), (503, Some("stopped")), "{body}");
    assert!(body["why_not"].to_string().contains("proves something else"), "{body}");
    let (_, text) = served.get("/metrics").await;
    assert!(text.contains("prooflog_chain_status{chain=\"10\",status=\"stopped\"} 1"), "{text}");
    assert_eq!(served.get("/readyz").await.0, 200, "the other runs");
    served.health.rejected(CHAIN, None);
    assert_eq!(served.get("/readyz?chain=10").await.0, 200);
}

#[tokio::test]
async fn a_log_that_takes_nothing_is_not_ready() {
    let served = start(&[CHAIN], Limits::default()).await;
    served.run();
    served.secrets.add("hunter22").unwrap();
    served.health.log(LogStatus::Failed { reason: "no space left, hunter22".into() });
    let (status, text) = served.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(text.contains("no space left, ***"), "{text}");
}

/// Reads until the other side ends the connection.
async fn is_ended(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    ended.is_ok()
}

#[tokio::test]
async fn a_client_that_sends_its_request_slowly_is_cut_off() {
    let limits = Limits { request: Duration::from_millis(200), ..Limits::default() };
    let served = start(&[CHAIN], limits).await;
    let mut slow = TcpStream::connect(served.address).await.unwrap();
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n").await.unwrap();
    assert!(is_ended(slow).await);
}

#[tokio::test]
async fn a_request_without_end_is_cut_off() {
    // Only its size can end it: its time is long, and its headers are fewer than the HTTP library takes.
    let limits = Limits { request_bytes: 4_096, request: Duration::from_secs(3_600), ..Limits::default() };
    let served = start(&[CHAIN], limits).await;
    let mut large = TcpStream::connect(served.address).await.unwrap();
    large.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n").await.unwrap();
    let header = format!("X-A: {}\r\n", "a".repeat(1_000));
    for _ in 0..50 {
        if large.write_all(header.as_bytes()).await.is_err() {
            break;
        }
    }
    assert!(is_ended(large).await);
    assert_eq!(served.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn slow_clients_hold_every_place_only_until_their_time_is_over() {
    let limits = Limits { connections: 2, request: Duration::from_millis(300), ..Limits::default() };
    let served = start(&[CHAIN], limits).await;
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(b"GET").await.unwrap();
        slow.push(stream);
    }
    let answer = tokio::time::timeout(Duration::from_secs(20), served.get("/healthz")).await;
    assert_eq!(answer.unwrap().0, 200);
}

#[tokio::test]
async fn a_connection_serves_one_request() {
    let served = start(&[CHAIN], Limits::default()).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_loop_that_does_not_answer_costs_its_gauges_and_nothing_else() {
    let health = Health::new(&[CHAIN], Duration::from_secs(30));
    let metrics = Metrics::new(&[CHAIN], health.clone());
    let look = look(|| async { None });
    let observers = Observers { metrics, health, look, secrets: Secrets::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, router(observers), Limits::default(), std::future::pending()));
    let (_, text) = get(address, "/metrics").await;
    let exposed = Exposition::parse(&text);
    assert!(exposed.value("prooflog_state_read") < 0.5);
    assert!(exposed.value("prooflog_units{kind=\"span\",phase=\"ready\"}").is_nan());
}
