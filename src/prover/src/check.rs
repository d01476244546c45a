//! A server tried out: does it speak the interface that `docs/prover.md` describes?
//!
//! Without a range nothing is asked that a server could do work for. With one, a proof is made: of the mock endpoint, or
//! a real one, which is paid for (twice where the server ignores the key, which is what the second request finds out).

use std::sync::Arc;
use std::time::Duration;

use prooflog_core::{Patience, ProofRequest};
use prooflog_events::envelope::blob_hash;
use prooflog_events::ids::{Address, Attempt, ChainId, Hash32, Micros, ProofId, Range, UnitId, UnitKind};
use prooflog_events::phrase::Phrase as _;
use prooflog_events::values::{BlobRef, FailureClass, Mode};
use prooflog_net::{HttpError, Limits, read_body};

use crate::body::{ProofSource, SourceError};
use crate::client::Prover;
use crate::failure::presentable;
use crate::outcome::{Polled, Proof, Requested, Validation};

/// What a finding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As described.
    Ok,
    /// Usable, with a consequence that the words tell; or not tried.
    Warning,
    /// Not usable.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub name: &'static str,
    /// What it means.
    pub verdict: Verdict,
    /// What was seen, and what follows from it.
    pub words: String,
}

/// What may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CheckPlan {
    /// The oracle whose commitments the server compares with its own.
    pub oracle: Option<Address>,
    /// A range to prove.
    pub span: Option<CheckSpan>,
}

/// A proof that may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckSpan {
    /// The blocks.
    pub range: Range,
    /// Of the mock endpoint, or a real one that is paid for.
    pub mode: Mode,
    /// What the idempotency key is made of; another one for every check that shall buy its own proof.
    pub nonce: u64,
    /// For the witness.
    pub witness: Duration,
    /// For a real proof after that.
    pub proof: Duration,
    /// Between two questions for it.
    pub pause: Duration,
}

fn finding(name: &'static str, verdict: Verdict, words: impl Into<String>) -> Finding {
    Finding { name, verdict, words: words.into() }
}

/// Tries a server out. Findings come in the order of the documentation; where nobody answers there is only one.
pub async fn check(prover: &Prover, plan: &CheckPlan) -> Vec<Finding> {
    let (reachable, unknown) = unknown_id(prover).await;
    if reachable.verdict == Verdict::Failed {
        return vec![reachable];
    }
    let mut findings = vec![reachable, unknown, calls(prover).await, commitments(prover, plan.oracle).await];
    match plan.span {
        None => findings.push(finding("proofs", Verdict::Warning, "not tried: no range was given")),
        Some(span) if span.mode == Mode::Mock => mock_span(prover, &span, &mut findings).await,
        Some(span) => real_span(prover, &span, &mut findings).await,
    }
    findings
}

/// Asks for an id that the server cannot know.
async fn unknown_id(prover: &Prover) -> (Finding, Finding) {
    let id = blob_hash(b"an id that no server ever gave");
    let limits = Limits { body: 64 << 10, call: prover.limits().stall, connect: prover.limits().connect };
    let answer = match read_body(prover.get_status(&ProofId(id.0.to_vec())), limits).await {
        Err(error @ HttpError::Unreachable(_)) => {
            let failed = finding("reachable", Verdict::Failed, presentable(&error.to_string()));
            return (failed.clone(), failed);
        }
        other => other,
    };
    let reachable = finding("reachable", Verdict::Ok, "the server answers");
    let unknown = |verdict, words: String| finding("unknown id", verdict, words);
    let found = match answer {
        Ok(body) if body.status == 200 => {
            let text = presentable(&String::from_utf8_lossy(&body.bytes));
            let words =
                format!("a 200 for an id that it never gave, so a lost proof cannot be noticed: {text}");
            unknown(Verdict::Failed, words)
        }
        Ok(body) if matches!(body.status, 401..=403 | 300..=399 | 502..=504) => unknown(
            Verdict::Failed,
            format!("status {}: this is not the server, or it lets nobody in", body.status),
        ),
        Ok(body) => unknown(Verdict::Ok, format!("status {}", body.status)),
        Err(error) => unknown(Verdict::Warning, format!("no answer: {}", presentable(&error.to_string()))),
    };
    (reachable, found)
}

/// Sends a body without its fields to every call that takes one: nothing can be proven of it.
async fn calls(prover: &Prover) -> Finding {
    const CALLS: [&str; 5] = [
        "request_span_proof",
        "request_agg_proof",
        "request_mock_span_proof",
        "request_mock_agg_proof",
        "validate_config",
    ];
    let limits = Limits { body: 64 << 10, call: prover.limits().stall, connect: prover.limits().connect };
    let (mut missing, mut wrong, mut silent) = (Vec::new(), Vec::new(), Vec::new());
    for call in CALLS {
        match read_body(prover.post(call).body("{}"), limits).await {
            Ok(body) if matches!(body.status, 404 | 405 | 501) => missing.push(call),
            Ok(body) if body.status < 400 => wrong.push(call),
            Ok(body) if body.bytes.is_empty() => silent.push(call),
            // A thread that dies of a body that it does not understand is how the first servers refuse.
            Ok(_) | Err(_) => {}
        }
    }
    let name = "calls and errors";
    if !wrong.is_empty() {
        let words = format!("{} took a body without its fields", wrong.join(", "));
        return finding(name, Verdict::Failed, words);
    }
    if !missing.is_empty() {
        let is_mock_only = missing.iter().all(|call| call.contains("mock"));
        let verdict = if is_mock_only { Verdict::Warning } else { Verdict::Failed };
        return finding(name, verdict, format!("not there: {}", missing.join(", ")));
    }
    if !silent.is_empty() {
        let words = format!("{} refused without words, which an operator will miss", silent.join(", "));
        return finding(name, Verdict::Warning, words);
    }
    finding(name, Verdict::Ok, "all calls are there and refuse what they do not understand")
}

async fn commitments(prover: &Prover, oracle: Option<Address>) -> Finding {
    let name = "commitments";
    let Some(oracle) = oracle else {
        return finding(name, Verdict::Warning, "not tried: no oracle was given");
    };
    match prover.validate(oracle).await {
        Validation::Answered { rollup_config_ok: true, agg_vkey_ok: true, range_vkey_ok: true } => {
            finding(name, Verdict::Ok, "the oracle accepts what this server proves")
        }
        Validation::Answered { rollup_config_ok, agg_vkey_ok, range_vkey_ok } => {
            let parts = [
                ("rollup config", rollup_config_ok),
                ("aggregation key", agg_vkey_ok),
                ("range key", range_vkey_ok),
            ];
            let wrong: Vec<_> = parts.iter().filter(|(_, ok)| !ok).map(|(part, _)| *part).collect();
            finding(name, Verdict::Failed, format!("the oracle has another {}", wrong.join(", another ")))
        }
        Validation::Unreachable { text, .. } => {
            finding(name, Verdict::Failed, format!("not compared: {text}"))
        }
    }
}

/// No member is ever read: only spans are requested.
struct NoMembers;

impl ProofSource for NoMembers {
    fn read(&self, blob: BlobRef) -> Result<Vec<u8>, SourceError> {
        Err(SourceError { sha256: blob.sha256, problem: "a check has no stored proofs".to_owned() })
    }
}

fn request_of(span: &CheckSpan) -> ProofRequest {
    let key = format!("check {} {} {}", span.range.start, span.range.end, span.nonce);
    ProofRequest {
        unit: UnitId { chain: ChainId(0), kind: UnitKind::Span, number: 1 },
        attempt: Attempt(1),
        range: span.range,
        mode: span.mode,
        idempotency_key: Hash32(blob_hash(key.as_bytes()).0),
        deadline: Micros(u64::try_from(span.witness.as_micros()).unwrap_or(u64::MAX)),
        agg: None,
    }
}

async fn ask(prover: &Prover, request: &ProofRequest) -> Requested {
    match prover.request(request, Arc::new(NoMembers), Micros(0)).await {
        Ok(requested) => requested,
        Err(error) => Requested::Failed { class: FailureClass::Dropped, text: error.to_string() },
    }
}

async fn mock_span(prover: &Prover, span: &CheckSpan, findings: &mut Vec<Finding>) {
    let found = match ask(prover, &request_of(span)).await {
        Requested::Fulfilled(proof) => {
            findings.push(optional_fields(&proof));
            finding("mock span", Verdict::Ok, format!("a proof of {} bytes", proof.blob.bytes.len()))
        }
        Requested::Failed { class, text } => {
            finding("mock span", Verdict::Failed, format!("{}: {text}", class.phrase()))
        }
        Requested::MembersRefused { text, .. } => finding("mock span", Verdict::Failed, text),
        Requested::Taken { .. } => {
            finding("mock span", Verdict::Failed, "an id instead of a fulfilled status")
        }
    };
    findings.push(found);
    findings.push(finding("idempotency", Verdict::Warning, "not tried: it takes a real request"));
}

async fn real_span(prover: &Prover, span: &CheckSpan, findings: &mut Vec<Finding>) {
    let request = request_of(span);
    let id = match ask(prover, &request).await {
        Requested::Taken { proof_id, .. } => proof_id,
        Requested::Failed { class, text } => {
            findings.push(finding("real span", Verdict::Failed, format!("{}: {text}", class.phrase())));
            return;
        }
        Requested::MembersRefused { text, .. } => {
            findings.push(finding("real span", Verdict::Failed, text));
            return;
        }
        Requested::Fulfilled(_) => {
            findings.push(finding("real span", Verdict::Failed, "a proof instead of an id"));
            return;
        }
    };
    findings.push(finding("real span", Verdict::Ok, format!("requested as {id}")));
    findings.push(match ask(prover, &request).await {
        Requested::Taken { proof_id, .. } if proof_id == id => {
            finding("idempotency", Verdict::Ok, "the same key gives the same id")
        }
        Requested::Taken { .. } => {
            finding("idempotency", Verdict::Warning, "the key is ignored: a lost answer can be paid twice")
        }
        _ => finding("idempotency", Verdict::Warning, "the second request under the same key failed"),
    });
    match tokio::time::timeout(span.proof, arrival(prover, &id, span.pause)).await {
        Ok(Ok(proof)) => {
            findings.push(finding("proof", Verdict::Ok, format!("{} bytes", proof.blob.bytes.len())));
            findings.push(optional_fields(&proof));
        }
        Ok(Err(words)) => findings.push(finding("proof", Verdict::Failed, words)),
        Err(_) => {
            findings.push(finding("proof", Verdict::Warning, "not there within the limit of this check"));
        }
    }
}

/// Asks until the proof is there, or will not be.
async fn arrival(prover: &Prover, id: &ProofId, pause: Duration) -> Result<Box<Proof>, String> {
    let patience = Patience { lost_after: u32::MAX, grace: Duration::MAX };
    loop {
        match prover.poll(id, patience).await {
            Polled::State { proof: Some(proof), .. } => return Ok(proof),
            Polled::State { fulfillment: 4, execution, text, .. } => {
                return Err(format!("unfulfillable, execution status {execution}: {text}"));
            }
            Polled::Lost { failures, class } => {
                return Err(format!("{} after {failures} questions", class.phrase()));
            }
            Polled::State { .. } | Polled::Nothing { .. } => tokio::time::sleep(pause).await,
        }
    }
}

fn optional_fields(proof: &Proof) -> Finding {
    let fields = [
        ("l1_head", proof.l1_head.is_some()),
        ("public_values", proof.public_values.is_some()),
        ("cycles", proof.cycles.is_some()),
        ("gas", proof.gas.is_some()),
        ("cost", proof.cost.is_some()),
    ];
    let missing: Vec<_> = fields.iter().filter(|(_, is_there)| !is_there).map(|(name, _)| *name).collect();
    let name = "optional fields";
    if missing.is_empty() {
        return finding(name, Verdict::Ok, "all are told");
    }
    let consequence = if proof.l1_head.is_none() {
        "; without l1_head a checkpoint is chosen with a margin above what the proof needs"
    } else {
        ""
    };
    finding(name, Verdict::Warning, format!("not told: {}{consequence}", missing.join(", ")))
}
