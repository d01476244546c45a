//! Large proofs against real connections: what stands in memory, and what happens when they break off.
//!
//! Memory is the peak of this process as the kernel counts it, so each of these tests wants a process of its own; where
//! a runner gives them none, they run one after another and the first peak covers the later ones.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::routing::{get, post};
use futures_util::{StreamExt, stream};
use prooflog_core::{AggRequest, Patience, ProofRequest};
use prooflog_events::envelope::blob_hash;
use prooflog_events::ids::{
    Address, Attempt, ChainId, Hash32, L2Block, Micros, ProofId, Range, UnitId, UnitKind,
};
use prooflog_events::values::{BlobRef, FailureClass, Mode};
use prooflog_net::{Endpoint, Salt};
use prooflog_prover::{
    AnswerLimits, Polled, ProofSource, Prover, ProverConfig, ProverLimits, Requested, SourceError,
};
use tokio::net::TcpListener;

const PROOF: usize = 20 << 20;
const PATIENCE: Patience = Patience { lost_after: 5, grace: Duration::from_secs(300) };

/// Peaks must not overlap.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn prover(router: Router, limits: ProverLimits) -> Prover {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint =
        Endpoint::parse(&format!("http://{}", listener.local_addr().unwrap()), Salt::default()).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Prover::new(ProverConfig { endpoint, limits }).unwrap()
}

/// The most memory that this process ever had, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

fn byte(place: usize) -> u8 {
    u8::try_from((place * 31 + place / 977) % 256).unwrap()
}

/// A fulfilled status whose proof is written while it is sent, in pieces that end anywhere.
fn fulfilled(size: usize) -> Body {
    let pieces = stream::iter((0..size).step_by(30_011)).map(move |from| {
        let mut text = String::new();
        for place in from..size.min(from + 30_011) {
            text.push_str(&byte(place).to_string());
            text.push(',');
        }
        if from + 30_011 >= size {
            text.pop();
        }
        Bytes::from(text)
    });
    let start = stream::iter([Bytes::from_static(b"{\"execution_status\":2,\"proof\":[")]);
    let end = stream::iter([Bytes::from_static(b"],\"fulfillment_status\":3}")]);
    Body::from_stream(start.chain(pieces).chain(end).map(Ok::<_, std::io::Error>))
}

fn statuses(body: impl Fn() -> Body + Clone + Send + Sync + 'static) -> Router {
    Router::new().route("/status/{id}", get(move || async move { body() }))
}

#[tokio::test]
async fn a_proof_of_twenty_megabytes_needs_less_than_four_times_its_size() {
    let _alone = ALONE.lock().await;
    let prover = prover(statuses(|| fulfilled(PROOF)), ProverLimits::default()).await;
    let before = peak();
    let polled = prover.poll(&ProofId(vec![1]), PATIENCE).await;
    let grown = peak() - before;
    let Polled::State { proof: Some(proof), .. } = polled else { unreachable!("no proof") };
    assert_eq!(proof.blob.bytes.len(), PROOF);
    assert!(proof.blob.bytes.iter().enumerate().all(|(place, found)| *found == byte(place)));
    assert_eq!(proof.blob.name.sha256, blob_hash(&proof.blob.bytes));
    assert!(grown < 4 * PROOF, "{grown} bytes");
}

#[tokio::test]
async fn an_absurd_proof_is_refused_before_it_is_collected_and_its_id_is_not_lost() {
    let _alone = ALONE.lock().await;
    let answer = AnswerLimits { proof: 1 << 20, ..AnswerLimits::default() };
    let limits = ProverLimits { answer, ..ProverLimits::default() };
    let prover = prover(statuses(|| fulfilled(400 << 20)), limits).await;
    let before = peak();
    let patience = Patience { lost_after: 1, grace: Duration::ZERO };
    for _ in 0..3 {
        let polled = prover.poll(&ProofId(vec![1]), patience).await;
        let Polled::Nothing { text, .. } = polled else { unreachable!("{polled:?}") };
        assert!(text.contains("`proof` is larger than the limit of 1048576 bytes"), "{text}");
    }
    assert!(peak() - before < 32 << 20);
}

#[tokio::test]
async fn a_proof_that_breaks_off_is_no_proof() {
    let broken = || {
        let pieces = [Ok(Bytes::from_static(b"{\"fulfillment_status\":3,\"proof\":[1,2,3")), Err("broken")];
        Body::from_stream(stream::iter(pieces))
    };
    let prover_of_broken = prover(statuses(broken), ProverLimits::default()).await;
    let polled = prover_of_broken.poll(&ProofId(vec![1]), PATIENCE).await;
    assert!(matches!(polled, Polled::Nothing { .. }), "{polled:?}");
    let short = || Body::from("{\"fulfillment_status\":3,\"proof\":[1,2,3");
    let prover_of_short = prover(statuses(short), ProverLimits::default()).await;
    let polled = prover_of_short.poll(&ProofId(vec![1]), PATIENCE).await;
    assert!(matches!(&polled, Polled::Nothing { text, .. } if text.contains("too early")), "{polled:?}");
}

#[tokio::test]
async fn a_proof_that_stops_coming_is_given_up_and_one_that_drips_is_not() {
    let limits = ProverLimits { stall: Duration::from_millis(1_500), ..ProverLimits::default() };
    let stuck = || {
        let start = stream::iter([Bytes::from_static(b"{\"fulfillment_status\":3,\"proof\":[1,")]);
        Body::from_stream(start.chain(stream::pending()).map(Ok::<_, std::io::Error>))
    };
    let prover_of_stuck = prover(statuses(stuck), limits.clone()).await;
    let polled = prover_of_stuck.poll(&ProofId(vec![1]), PATIENCE).await;
    assert!(
        matches!(&polled, Polled::Nothing { text, .. } if text.contains("no answer within")),
        "{polled:?}"
    );
    // Ten pauses far below the limit, longer than it in all.
    let dripping = || {
        let pieces = stream::unfold(0, |n| async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let text: &'static [u8] = match n {
                0 => b"{\"fulfillment_status\":3,\"execution_status\":2,\"proof\":[0",
                1..=9 => b",1",
                10 => b"]}",
                _ => return None,
            };
            Some((Ok::<_, std::io::Error>(Bytes::from_static(text)), n + 1))
        });
        Body::from_stream(pieces)
    };
    let prover_of_drips = prover(statuses(dripping), limits.clone()).await;
    let polled = prover_of_drips.poll(&ProofId(vec![1]), PATIENCE).await;
    assert!(matches!(polled, Polled::State { proof: Some(_), .. }), "{polled:?}");
    let limits = ProverLimits { transfer: Duration::from_millis(300), ..limits };
    let hurried = prover(statuses(dripping), limits).await;
    let polled = hurried.poll(&ProofId(vec![1]), PATIENCE).await;
    assert!(matches!(polled, Polled::Nothing { .. }), "{polled:?}");
}

/// Proofs made when they are read; counts how many stand in memory at once is left to the kernel.
struct Made {
    reads: AtomicUsize,
    missing: Option<usize>,
}

impl ProofSource for Made {
    fn read(&self, blob: BlobRef) -> Result<Vec<u8>, SourceError> {
        let n = self.reads.fetch_add(1, Ordering::SeqCst);
        if self.missing == Some(n) {
            return Err(SourceError { sha256: blob.sha256, problem: "pruned".to_owned() });
        }
        Ok(vec![blob.sha256.0[0]; usize::try_from(blob.length).unwrap()])
    }
}

/// What the server saw of the last request.
#[derive(Default)]
struct Seen {
    bytes: usize,
    announced: Option<String>,
    key: Option<String>,
    is_whole: bool,
}

async fn taking(State(seen): State<Arc<Mutex<Seen>>>, request: Request) -> &'static str {
    let (parts, body) = request.into_parts();
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let (announced, key) = (header("content-length"), header("idempotency-key"));
    let (mut bytes, mut last) = (0, 0);
    let mut stream = body.into_data_stream();
    let is_whole = loop {
        match stream.next().await {
            Some(Ok(piece)) => {
                bytes += piece.len();
                last = piece.last().copied().unwrap_or(last);
            }
            Some(Err(_)) => break false,
            None => break last == b'}',
        }
    };
    *seen.lock().unwrap() = Seen { bytes, announced, key, is_whole };
    "{\"proof_id\":[1,2,3]}"
}

fn aggregate(members: usize, length: u64) -> ProofRequest {
    let member = |n: usize| BlobRef { sha256: Hash32([u8::try_from(n).unwrap(); 32]), length };
    ProofRequest {
        unit: UnitId { chain: ChainId(1), kind: UnitKind::Agg, number: 1 },
        attempt: Attempt(1),
        range: Range::new(L2Block(1), L2Block(9)).unwrap(),
        mode: Mode::Real,
        idempotency_key: Hash32([0xcd; 32]),
        deadline: Micros(60_000_000),
        agg: Some(AggRequest {
            members: (0..members).map(member).collect(),
            head: Hash32([1; 32]),
            prover: Address([2; 20]),
            config_name: Hash32::ZERO,
        }),
    }
}

#[tokio::test]
async fn thirty_six_members_never_stand_in_memory_together() {
    let _alone = ALONE.lock().await;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let router = Router::new().route("/request_agg_proof", post(taking)).with_state(Arc::clone(&seen));
    let prover = prover(router, ProverLimits::default()).await;
    let source = Arc::new(Made { reads: AtomicUsize::new(0), missing: None });
    let before = peak();
    let requested = prover.request(&aggregate(36, 1_700_000), source, Micros(0)).await.unwrap();
    let grown = peak() - before;
    assert!(matches!(requested, Requested::Taken { .. }), "{requested:?}");
    let seen = seen.lock().unwrap();
    assert!(seen.is_whole && seen.bytes > 36 * 1_700_000 * 4 / 3);
    assert_eq!(seen.announced, Some(seen.bytes.to_string()));
    assert_eq!(seen.key, Some("cd".repeat(32)));
    assert!(grown < 16 << 20, "{grown} bytes");
}

#[tokio::test]
async fn a_member_that_is_gone_is_our_error_and_the_server_sees_no_whole_request() {
    let seen = Arc::new(Mutex::new(Seen { is_whole: true, ..Seen::default() }));
    let router = Router::new().route("/request_agg_proof", post(taking)).with_state(Arc::clone(&seen));
    let prover = prover(router, ProverLimits::default()).await;
    let source = Arc::new(Made { reads: AtomicUsize::new(0), missing: Some(3) });
    let error = prover.request(&aggregate(6, 500_000), source, Micros(0)).await.unwrap_err();
    assert_eq!(error.problem, "pruned");
    // The server learns of the end of the connection in its own time.
    let learnt = async {
        while seen.lock().unwrap().is_whole {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), learnt).await.unwrap();
}

#[tokio::test]
async fn a_server_that_refuses_before_it_has_read_everything_is_heard() {
    let router = Router::new().route(
        "/request_agg_proof",
        post(|| async { (axum::http::StatusCode::TOO_MANY_REQUESTS, "queue full") }),
    );
    let prover = prover(router, ProverLimits::default()).await;
    let source = Arc::new(Made { reads: AtomicUsize::new(0), missing: None });
    let requested = prover.request(&aggregate(1, 1_000), source, Micros(0)).await.unwrap();
    assert!(matches!(requested, Requested::Failed { class: FailureClass::Capacity, .. }), "{requested:?}");
}
