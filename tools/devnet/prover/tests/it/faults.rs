//! Everything that goes wrong, and what the client makes of it.

use std::time::Duration;

use prooflog_core::ProofRequest;
use prooflog_devnet_prover::{CallKind, Fault, FaultKind, Kind, Script};
use prooflog_events::ids::{Micros, ProofId};
use prooflog_events::values::FailureClass;
use prooflog_net::{Endpoint, Salt};
use prooflog_prover::{Polled, Prover, ProverConfig, Requested, Validation};

use crate::world::{CHAIN, NOW, ORACLE, PATIENCE, World, always, limits, once, span};

fn error(text: &str) -> FaultKind {
    FaultKind::Error { status: 500, text: text.to_owned(), error_class: None }
}

async fn class_of(fault: FaultKind) -> (FailureClass, String) {
    let world = World::with(vec![once(fault)]).await;
    match world.request(&span(1, 9)).await {
        Requested::Failed { class, text } => (class, text),
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test]
async fn failures_of_requests_are_told_apart() {
    let status = |status, text: &str, class: Option<&str>| FaultKind::Error {
        status,
        text: text.to_owned(),
        error_class: class.map(str::to_owned),
    };
    for (fault, class) in [
        (error("Failed to validate L2 block #9"), FailureClass::DataNotReady),
        (error("permission denied: no reservation"), FailureClass::Account),
        (error("anything else"), FailureClass::WitnessError),
        (status(500, "words", Some("unexecutable")), FailureClass::Unexecutable),
        (status(429, "slow down", None), FailureClass::Capacity),
        (FaultKind::Drop, FailureClass::Dropped),
        (FaultKind::AnswerLost, FailureClass::Dropped),
        (FaultKind::Body { body: "<html>".into() }, FailureClass::Dropped),
        (FaultKind::Body { body: "{}".into() }, FailureClass::Dropped),
        (FaultKind::Body { body: "{\"proof_id\":[]}".into() }, FailureClass::Dropped),
        (FaultKind::Body { body: "{\"error\":\"queue full\"}".into() }, FailureClass::Capacity),
    ] {
        let (found, text) = class_of(fault.clone()).await;
        assert_eq!(found, class, "{fault:?}: {text}");
        assert!(!text.is_empty());
    }
}

#[tokio::test]
async fn a_request_that_hangs_ends_at_its_own_limit() {
    let world = World::with(vec![once(FaultKind::Hang)]).await;
    let request = ProofRequest { deadline: Micros(NOW.0 + 300_000), ..span(1, 9) };
    let requested = world.request(&request).await;
    assert!(
        matches!(requested, Requested::Failed { class: FailureClass::WitnessTimeout, .. }),
        "{requested:?}"
    );
}

#[tokio::test]
async fn the_servers_words_are_kept() {
    let (_, text) = class_of(error("the operator needs to read this")).await;
    assert_eq!(text, "status 500: the operator needs to read this");
}

#[tokio::test]
async fn nobody_there_is_not_a_broken_connection() {
    let endpoint = Endpoint::parse("http://127.0.0.1:1/secret", Salt::default()).unwrap();
    let prover = Prover::new(ProverConfig { endpoint, limits: limits() }).unwrap();
    let world = World::new(Script::default()).await;
    let store = std::sync::Arc::clone(&world.store);
    let requested = prover.request(&span(1, 9), store, NOW).await.unwrap();
    let Requested::Failed { class: FailureClass::Unreachable, text, .. } = requested else { unreachable!() };
    assert!(!text.contains("secret"), "{text}");
    let validation = prover.validate(ORACLE).await;
    assert!(
        matches!(&validation, Validation::Unreachable { text, .. } if !text.contains("secret")),
        "{validation:?}"
    );
}

#[tokio::test]
async fn a_request_whose_limit_has_passed_is_not_sent() {
    let world = World::new(Script::default()).await;
    let request = ProofRequest { deadline: NOW, ..span(1, 9) };
    let requested = world.request(&request).await;
    assert!(matches!(requested, Requested::Failed { class: FailureClass::WitnessTimeout, .. }));
    assert!(world.stats().calls.is_empty());
}

#[tokio::test]
async fn a_lost_answer_asked_for_again_under_its_key_is_paid_once() {
    let world = World::with(vec![once(FaultKind::AnswerLost)]).await;
    let lost = world.request(&span(1, 9)).await;
    assert!(matches!(lost, Requested::Failed { class: FailureClass::Dropped, .. }), "{lost:?}");
    let id = world.taken(&span(1, 9)).await;
    world.proof(&id).await;
    let stats = world.stats();
    assert_eq!((stats.times_paid(Kind::Span, 1, 9), stats.recognised), (1, 1));
}

#[tokio::test]
async fn a_server_without_keys_is_paid_twice_and_the_count_shows_it() {
    let script =
        Script { idempotency: false, faults: vec![once(FaultKind::AnswerLost)], ..Script::default() };
    let world = World::new(script).await;
    world.request(&span(1, 9)).await;
    world.taken(&span(1, 9)).await;
    assert_eq!(world.stats().paid_twice().len(), 1);
}

#[tokio::test]
async fn a_key_that_stands_for_another_request_is_a_conflict() {
    let world = World::new(Script::default()).await;
    world.taken(&span(1, 9)).await;
    let other = ProofRequest { idempotency_key: span(1, 9).idempotency_key, ..span(1, 10) };
    let requested = world.request(&other).await;
    assert!(
        matches!(requested, Requested::Failed { class: FailureClass::WitnessError, .. }),
        "{requested:?}"
    );
}

#[tokio::test]
async fn a_client_that_hung_up_finds_its_witness_under_the_key() {
    let world = World::new(Script { witness_ms: 400, ..Script::default() }).await;
    let hasty = ProofRequest { deadline: Micros(NOW.0 + 100_000), ..span(1, 9) };
    let requested = world.request(&hasty).await;
    assert!(matches!(requested, Requested::Failed { class: FailureClass::WitnessTimeout, .. }));
    world.taken(&span(1, 9)).await;
    assert_eq!(world.stats().times_paid(Kind::Span, 1, 9), 1);
}

#[tokio::test]
async fn a_second_witness_of_a_range_without_a_key_ruins_the_first() {
    let world = World::new(Script { idempotency: false, witness_ms: 1_000, ..Script::default() }).await;
    let (span_a, span_b) = (span(1, 9), span(1, 9));
    let (first, second) = tokio::join!(world.request(&span_a), world.request(&span_b));
    let failed = |requested: &Requested| {
        matches!(requested, Requested::Failed { class: FailureClass::WitnessError, .. })
    };
    assert!(failed(&first) != failed(&second), "{first:?} {second:?}");
}

#[tokio::test]
async fn a_full_server_says_so_and_takes_more_when_it_is_not() {
    let world = World::new(Script { capacity: 1, proving_ms: 60_000, ..Script::default() }).await;
    world.taken(&span(1, 9)).await;
    let requested = world.request(&span(9, 19)).await;
    assert!(matches!(requested, Requested::Failed { class: FailureClass::Capacity, .. }), "{requested:?}");
    world.server.script(CHAIN, |script| script.capacity = 2);
    world.taken(&span(9, 19)).await;
    assert_eq!(world.stats().proving_most, 2);
}

#[tokio::test]
async fn blocks_that_are_not_safe_yet_are_data_that_is_not_ready() {
    let world = World::new(Script::default()).await;
    world.outside.lock().unwrap().safe_l2 = 8;
    let requested = world.request(&span(1, 9)).await;
    assert!(
        matches!(requested, Requested::Failed { class: FailureClass::DataNotReady, .. }),
        "{requested:?}"
    );
}

#[tokio::test]
async fn what_cannot_run_and_what_is_not_proven_are_different_ends() {
    let script = Script {
        unexecutable_blocks: vec![15],
        faults: vec![Fault { range: Some((20, 30)), ..once(FaultKind::Unfulfillable) }],
        ..Script::default()
    };
    let world = World::new(script).await;
    for (start, end, expected) in [(10, 20, (4, 3)), (15, 20, (3, 2)), (20, 30, (4, 2))] {
        let id = world.taken(&span(start, end)).await;
        match world.poll(&id).await {
            Polled::State { fulfillment, execution, .. } => assert_eq!((fulfillment, execution), expected),
            other => unreachable!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn statuses_from_the_future_are_passed_on_and_impossible_ones_are_no_answer() {
    let status = |fulfillment, execution| Fault {
        call: Some(CallKind::Status),
        ..once(FaultKind::Status { fulfillment, execution })
    };
    let world = World::with(vec![status(9, -4), status(1 << 40, 0), status(3, 1 << 40)]).await;
    let id = world.taken(&span(1, 9)).await;
    let told = world.poll(&id).await;
    assert!(matches!(told, Polled::State { fulfillment: 9, execution: -4, proof: None, .. }), "{told:?}");
    for _ in 0..2 {
        let told = world.poll(&id).await;
        assert!(matches!(told, Polled::Nothing { .. }), "{told:?}");
    }
    world.proof(&id).await;
}

#[tokio::test]
async fn three_fulfilled_answers_without_bytes_are_a_loss_and_two_are_not() {
    let fault = Fault { call: Some(CallKind::Status), times: Some(2), ..once(FaultKind::NoBytes) };
    let world = World::with(vec![fault]).await;
    let id = world.taken(&span(1, 9)).await;
    for _ in 0..2 {
        assert!(matches!(world.poll(&id).await, Polled::Nothing { .. }));
    }
    world.proof(&id).await;
    world.server.script(CHAIN, |script| script.faults = vec![always(CallKind::Status, FaultKind::NoBytes)]);
    for _ in 0..2 {
        assert!(matches!(world.poll(&id).await, Polled::Nothing { .. }));
    }
    let lost = world.poll(&id).await;
    assert!(matches!(lost, Polled::Lost { failures: 3, class: FailureClass::NoBytes }), "{lost:?}");
}

#[tokio::test]
async fn a_forgotten_id_is_lost_once_others_are_answered_between_its_failures() {
    let world = World::new(Script::default()).await;
    let (gone, known) = (world.taken(&span(1, 9)).await, world.taken(&span(9, 19)).await);
    world.server.script(CHAIN, |script| {
        script.faults = vec![Fault { range: Some((1, 9)), ..once(FaultKind::Forget) }];
    });
    for _ in 0..20 {
        assert!(matches!(world.poll(&gone).await, Polled::Nothing { .. }), "nobody else was answered");
    }
    let mut answers = 0;
    let lost = loop {
        world.proof(&known).await;
        match world.poll(&gone).await {
            Polled::Nothing { .. } => answers += 1,
            other => break other,
        }
    };
    assert_eq!(answers, 3, "five counted failures: one at first, and one after each answer");
    assert!(matches!(lost, Polled::Lost { failures: 24, class: FailureClass::Lost }), "{lost:?}");
}

#[tokio::test]
async fn a_comparison_of_commitments_counts_as_an_answer() {
    let world = World::new(Script::default()).await;
    let unknown = ProofId(vec![1, 2, 3]);
    for _ in 0..4 {
        assert!(matches!(world.poll(&unknown).await, Polled::Nothing { .. }));
        world.prover.validate(ORACLE).await;
    }
    assert!(matches!(world.poll(&unknown).await, Polled::Lost { .. }));
}

#[tokio::test]
async fn an_outage_loses_nothing() {
    let world = World::new(Script::default()).await;
    let ids = [world.taken(&span(1, 9)).await, world.taken(&span(9, 19)).await];
    world.server.script(CHAIN, |script| {
        script.faults = vec![
            Fault { times: Some(20), ..always(CallKind::Status, FaultKind::Drop) },
            Fault { times: Some(20), ..always(CallKind::Status, error("connection refused")) },
        ];
    });
    for _ in 0..20 {
        for id in &ids {
            assert!(matches!(world.poll(id).await, Polled::Nothing { .. }));
        }
    }
    for id in &ids {
        world.proof(id).await;
    }
}

#[tokio::test]
async fn a_hanging_call_holds_up_no_other() {
    let faults = vec![Fault { range: Some((1, 9)), ..always(CallKind::Status, FaultKind::Hang) }];
    let world = World::with(faults).await;
    let (hanging, other) = (world.taken(&span(1, 9)).await, world.taken(&span(9, 19)).await);
    let hasty = world.hasty();
    let hang = hasty.poll(&hanging, PATIENCE);
    tokio::pin!(hang);
    tokio::select! {
        biased;
        early = &mut hang => unreachable!("{early:?}"),
        () = async { for _ in 0..10 { world.proof(&other).await; } } => {}
    }
    assert!(matches!(hang.await, Polled::Nothing { .. }), "and it ends at its own limit");
}

#[tokio::test]
async fn a_rejection_is_not_an_outage_and_an_outage_is_not_a_rejection() {
    let world = World::with(vec![
        Fault { call: Some(CallKind::Validate), ..once(FaultKind::WrongCommitments) },
        Fault { call: Some(CallKind::Validate), ..once(error("connection refused")) },
        Fault {
            call: Some(CallKind::Validate),
            ..once(FaultKind::Body { body: "{\"agg_vkey_valid\":1}".into() })
        },
        Fault { call: Some(CallKind::Validate), ..once(FaultKind::Drop) },
    ])
    .await;
    assert_eq!(world.prover.validate(ORACLE).await.is_accepted(), Some(false));
    for _ in 0..3 {
        assert_eq!(world.prover.validate(ORACLE).await.is_accepted(), None);
    }
    assert_eq!(world.prover.validate(ORACLE).await.is_accepted(), Some(true));
}

#[tokio::test]
async fn an_answer_that_comes_late_comes() {
    let world = World::with(vec![once(FaultKind::Late { ms: 200 })]).await;
    let id = world.taken(&span(1, 9)).await;
    world.proof(&id).await;
}

#[tokio::test]
async fn what_is_answered_too_late_was_done_and_is_not_done_again() {
    let world = World::with(vec![once(FaultKind::Late { ms: 600_000 })]).await;
    let asked = span(1, 9);
    // Nobody waits for the answer: the client goes away as soon as the work is done.
    let done = async {
        while world.stats().times_paid(Kind::Span, 1, 9) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = world.request(&asked) => unreachable!("{answer:?}"),
        () = done => {}
    }
    let id = world.taken(&asked).await;
    world.proof(&id).await;
    let stats = world.stats();
    assert_eq!((stats.times_paid(Kind::Span, 1, 9), stats.recognised), (1, 1), "{stats:?}");
}

#[tokio::test]
async fn workers_that_are_busy_leave_requests_unassigned() {
    let world = World::new(Script { workers: 1, proving_ms: 60_000, ..Script::default() }).await;
    let (first, second) = (world.taken(&span(1, 9)).await, world.taken(&span(9, 19)).await);
    assert!(matches!(world.poll(&first).await, Polled::State { fulfillment: 2, .. }));
    assert!(matches!(world.poll(&second).await, Polled::State { fulfillment: 1, .. }));
}

#[tokio::test]
async fn a_script_is_changed_and_counts_are_read_over_http() {
    let world = World::new(Script::default()).await;
    let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
    let url = |path: &str| format!("http://{}/devnet/{path}", world.server.address());
    let script = "{\"faults\":[{\"call\":\"span\",\"times\":1,\"do\":\"error\",\"text\":\"as scripted\"}]}";
    let post = http.post(url("script")).header("content-type", "application/json").body(script);
    assert_eq!(post.send().await.unwrap().status(), 200);
    let requested = world.request(&span(1, 9)).await;
    assert!(matches!(requested, Requested::Failed { text, .. } if text.contains("as scripted")));
    world.taken(&span(1, 9)).await;
    let stats = http.get(url("stats")).send().await.unwrap().text().await.unwrap();
    let stats: std::collections::BTreeMap<u64, prooflog_devnet_prover::Stats> =
        serde_json::from_str(&stats).unwrap();
    assert_eq!(stats[&CHAIN], world.stats());
    assert_eq!(stats[&CHAIN].times_paid(Kind::Span, 1, 9), 1);
}
