//! A start with many requests alive: all of them are asked for, and not all at once.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use prooflog_core::Patience;
use prooflog_events::ids::ProofId;
use prooflog_net::{Endpoint, Salt};
use prooflog_prover::{Polled, Prover, ProverConfig, ProverLimits};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Requests alive.
const ALIVE: usize = 200;
/// Questions at once.
const AT_ONCE: usize = 16;

/// Counts those who ask at the same time, none of whom is answered before the gate opens.
struct Server {
    inside: AtomicUsize,
    most: AtomicUsize,
    gate: watch::Receiver<bool>,
}

async fn status(State(server): State<Arc<Server>>) -> Json<Value> {
    let inside = server.inside.fetch_add(1, Ordering::SeqCst) + 1;
    server.most.fetch_max(inside, Ordering::SeqCst);
    server.gate.clone().wait_for(|open| *open).await.unwrap();
    server.inside.fetch_sub(1, Ordering::SeqCst);
    Json(json!({ "fulfillment_status": 2, "execution_status": 1, "proof": [] }))
}

#[tokio::test]
async fn two_hundred_requests_are_asked_for_a_few_at_a_time_and_all_are_answered() {
    let (open, gate) = watch::channel(false);
    let server = Arc::new(Server { inside: AtomicUsize::new(0), most: AtomicUsize::new(0), gate });
    let router = Router::new().route("/status/{id}", get(status)).with_state(Arc::clone(&server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let endpoint = Endpoint::parse(&url, Salt::default()).unwrap();
    let limits = ProverLimits { polls: AT_ONCE, ..ProverLimits::default() };
    let prover = Prover::new(ProverConfig { endpoint, limits }).unwrap();
    let patience = Patience { lost_after: 3, grace: Duration::from_secs(60) };
    let asked: Vec<_> = (0..ALIVE)
        .map(|number| {
            let (prover, id) = (prover.clone(), ProofId(number.to_be_bytes().to_vec()));
            tokio::spawn(async move { prover.poll(&id, patience).await })
        })
        .collect();
    while server.inside.load(Ordering::SeqCst) < AT_ONCE {
        tokio::task::yield_now().await;
    }
    // As many turns as all of them would need to come in, were they let in.
    for _ in 0..50 * ALIVE {
        tokio::task::yield_now().await;
    }
    open.send(true).unwrap();
    for asked in asked {
        assert!(matches!(asked.await.unwrap(), Polled::State { fulfillment: 2, .. }));
    }
    assert_eq!(server.most.load(Ordering::SeqCst), AT_ONCE);
}
