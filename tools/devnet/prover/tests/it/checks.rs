//! The check of servers, tried on a good one and on bad ones.

use std::time::Duration;

use prooflog_devnet_prover::{CallKind, FaultKind, Hex, Kind, Script};
use prooflog_events::ids::{L2Block, Range};
use prooflog_events::values::Mode;
use prooflog_prover::{CheckPlan, CheckSpan, Finding, Verdict, check};

use crate::world::{CHAIN, ORACLE, World, always};

fn plan(mode: Mode) -> CheckPlan {
    let span = CheckSpan {
        range: Range::new(L2Block(10), L2Block(20)).unwrap(),
        mode,
        nonce: 1,
        witness: Duration::from_secs(60),
        proof: Duration::from_secs(60),
        pause: Duration::from_millis(1),
    };
    CheckPlan { oracle: Some(ORACLE), span: Some(span) }
}

fn verdict(findings: &[Finding], name: &str) -> Verdict {
    findings
        .iter()
        .find(|finding| finding.name == name)
        .unwrap_or_else(|| unreachable!("{name}: {findings:?}"))
        .verdict
}

#[tokio::test]
async fn a_server_as_described_has_nothing_but_good_findings_and_is_paid_once() {
    let world = World::new(Script { proving_ms: 50, ..Script::default() }).await;
    let findings = check(&world.prover, &plan(Mode::Real)).await;
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::Ok), "{findings:#?}");
    assert_eq!(findings.len(), 8);
    assert_eq!(world.stats().times_paid(Kind::Span, 10, 20), 1);
}

#[tokio::test]
async fn a_server_of_today_is_usable_with_consequences() {
    let script = Script { optional_fields: false, idempotency: false, ..Script::default() };
    let world = World::new(script).await;
    let findings = check(&world.prover, &plan(Mode::Real)).await;
    assert!(findings.iter().all(|finding| finding.verdict != Verdict::Failed), "{findings:#?}");
    assert_eq!(verdict(&findings, "idempotency"), Verdict::Warning);
    assert_eq!(verdict(&findings, "optional fields"), Verdict::Warning);
}

#[tokio::test]
async fn without_a_range_nothing_is_proven() {
    let world = World::new(Script::default()).await;
    let findings = check(&world.prover, &CheckPlan::default()).await;
    assert!(findings.iter().all(|finding| finding.verdict != Verdict::Failed), "{findings:#?}");
    assert_eq!(verdict(&findings, "proofs"), Verdict::Warning);
    assert_eq!((world.stats().paid.len(), world.stats().mocked), (0, 0));
}

#[tokio::test]
async fn a_mock_proof_costs_nothing() {
    let world = World::new(Script::default()).await;
    let findings = check(&world.prover, &plan(Mode::Mock)).await;
    assert_eq!(verdict(&findings, "mock span"), Verdict::Ok);
    assert!(world.stats().paid.is_empty());
}

#[tokio::test]
async fn each_deviation_is_found_where_it_is() {
    let body = |body: &str| FaultKind::Body { body: body.to_owned() };
    for (call, fault, name) in [
        (
            CallKind::Status,
            body("{\"fulfillment_status\":1,\"execution_status\":1,\"proof\":[]}"),
            "unknown id",
        ),
        (CallKind::Validate, FaultKind::WrongCommitments, "commitments"),
        (CallKind::Validate, body("{}"), "commitments"),
        (CallKind::Span, body("{\"id\":\"abc\"}"), "real span"),
        (CallKind::Span, FaultKind::Unfulfillable, "proof"),
    ] {
        let world = World::with(vec![always(call, fault.clone())]).await;
        let mut plan = plan(Mode::Real);
        // A status that never ends must not hold the test up.
        plan.span.as_mut().unwrap().proof = Duration::from_secs(2);
        let findings = check(&world.prover, &plan).await;
        assert_eq!(verdict(&findings, name), Verdict::Failed, "{fault:?}: {findings:#?}");
    }
}

#[tokio::test]
async fn which_commitment_differs_is_told() {
    let world = World::new(Script::default()).await;
    world.outside.lock().unwrap().agg_vkey = Hex([7; 32]);
    let findings = check(&world.prover, &CheckPlan { oracle: Some(ORACLE), span: None }).await;
    let found = findings.iter().find(|finding| finding.name == "commitments").unwrap();
    assert_eq!(
        (found.verdict, found.words.as_str()),
        (Verdict::Failed, "the oracle has another aggregation key")
    );
}

#[tokio::test]
async fn a_proof_that_takes_longer_than_the_check_is_no_failure() {
    let world = World::new(Script { proving_ms: 600_000, ..Script::default() }).await;
    let mut plan = plan(Mode::Real);
    plan.span.as_mut().unwrap().proof = Duration::from_millis(50);
    let findings = check(&world.prover, &plan).await;
    assert_eq!(verdict(&findings, "proof"), Verdict::Warning);
    assert!(world.server.script(CHAIN, |script| script.faults.is_empty()).unwrap());
}
