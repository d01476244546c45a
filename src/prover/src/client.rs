//! The client of one prover server.
//!
//! Calls share nothing but a pool of connections and the counts of [`Losses`], so a hanging one holds up no
//! other. No call is repeated here: that is for the engine to decide.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prooflog_core::{Losses, Patience, ProofRequest};
use prooflog_events::ids::{Address, Micros, ProofId};
use prooflog_events::input::is_known_status;
use prooflog_events::values::{FailureClass, Mode};
use prooflog_net::{Endpoint, Failure, HttpError, Limits, Meter};
use reqwest::{Client, RequestBuilder, header};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::answer::{Answer, AnswerLimits};
use crate::body::{self, ProofSource, SourceError};
use crate::call::{CallError, exchange};
use crate::failure;
use crate::outcome::{Polled, Proof, Requested, Validation};

/// Statuses of the server that this adapter looks at; all others are passed on.
const FULFILLED: i32 = 3;
const UNFULFILLABLE: i32 = 4;
const UNEXECUTABLE: i32 = 3;

/// Where the server is, and what bounds the calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProverConfig {
    /// Its address; calls go to paths below it.
    pub endpoint: Endpoint,
    /// What bounds the calls.
    pub limits: ProverLimits,
}

/// What bounds the calls. A request for a proof is bounded by its own deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProverLimits {
    /// For a connection to stand.
    pub connect: Duration,
    /// Without a byte of an answer that is under way, or of one to a status question.
    pub stall: Duration,
    /// For a status answer as a whole, however steadily it drips.
    pub transfer: Duration,
    /// For the whole comparison of commitments, which makes the server ask its own L1 endpoint.
    pub validate: Duration,
    /// Sizes of answers.
    pub answer: AnswerLimits,
    /// Status questions at once. After a start all requests are asked for in the same moment, and each answer may carry
    /// a proof of megabytes.
    pub polls: usize,
}

impl Default for ProverLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            stall: Duration::from_secs(30),
            transfer: Duration::from_secs(900),
            validate: Duration::from_secs(30),
            answer: AnswerLimits::default(),
            polls: 16,
        }
    }
}

/// The client of one server. Clones share connections and counts.
#[derive(Debug, Clone)]
pub struct Prover {
    config: Arc<ProverConfig>,
    http: Client,
    losses: Arc<Mutex<Losses<ProofId>>>,
    /// From when on the moments of failures are told.
    made: Instant,
    calls: Arc<AtomicU64>,
    polls: Arc<Semaphore>,
    meter: Meter,
    /// Statuses outside the interface that were told to the operator.
    strange: Arc<Mutex<BTreeSet<(i32, i32)>>>,
}

impl Prover {
    /// A client.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn new(config: ProverConfig) -> Result<Self, HttpError> {
        let limits = Limits { connect: config.limits.connect, ..Limits::default() };
        let http = prooflog_net::client(limits)?;
        let (losses, calls, strange) = (Arc::default(), Arc::default(), Arc::default());
        let polls = Arc::new(Semaphore::new(config.limits.polls.max(1)));
        let made = Instant::now();
        let meter = Meter::default();
        Ok(Self { config: Arc::new(config), http, losses, made, calls, polls, meter, strange })
    }

    /// Has its calls counted, by the last word of their path.
    #[must_use]
    pub fn metered(mut self, meter: Meter) -> Self {
        self.meter = meter;
        self
    }

    /// Whom it asks.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.config.endpoint
    }

    /// Calls made so far, over all clones.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Requests a proof. Takes as long as the witness does, at most from `now` to the request's deadline.
    ///
    /// # Errors
    /// When a member's proof cannot be read. The server saw no complete request then, and nothing was bought.
    pub async fn request(
        &self,
        request: &ProofRequest,
        members: Arc<dyn ProofSource>,
        now: Micros,
    ) -> Result<Requested, SourceError> {
        let left = Duration::from_micros(request.deadline.0.saturating_sub(now.0));
        if left.is_zero() {
            let text = "the limit had passed before the request was sent".to_owned();
            return Ok(Requested::Failed { class: FailureClass::WitnessTimeout, text });
        }
        let path = match (request.mode, &request.agg) {
            (Mode::Real, None) => "request_span_proof",
            (Mode::Real, Some(_)) => "request_agg_proof",
            (Mode::Mock, None) => "request_mock_span_proof",
            (Mode::Mock, Some(_)) => "request_mock_agg_proof",
        };
        let call = self.post(path).header("idempotency-key", hex::encode(request.idempotency_key.0));
        let (call, broken) = match &request.agg {
            Some(agg) => {
                let (stream, length, broken) = body::aggregate(agg, members);
                let body = reqwest::Body::wrap_stream(stream);
                (call.header(header::CONTENT_LENGTH, length).body(body), Some(broken))
            }
            None => {
                let range = json!({ "start": request.range.start.0, "end": request.range.end.0 });
                (call.body(range.to_string()), None)
            }
        };
        let limits = &self.config.limits;
        let metered = self.meter.begin(path);
        let answering = exchange(self.endpoint(), call, (left, limits.stall), limits.answer);
        let outcome = match tokio::time::timeout(left, answering).await {
            Ok(outcome) => outcome,
            Err(_) => Err(CallError::Timeout(left)),
        };
        metered.end(outcome.as_ref().err().map(|error| error.trouble()));
        // A body that broke off looks like a broken connection: ask what it was before anything else.
        if let (Err(_), Some(error)) = (&outcome, broken.as_ref().and_then(body::take_error)) {
            return Err(error);
        }
        if outcome.is_ok() {
            self.losses().answered();
        }
        let needs_bytes = request.agg.is_none();
        Ok(match outcome {
            Ok(answer) if request.mode == Mode::Real => taken(answer),
            Ok(answer) => mock(answer, needs_bytes).await,
            Err(error) => match request.agg.as_ref().and_then(|agg| refused_members(&error, agg)) {
                Some(refused) => refused,
                None => failed(&error),
            },
        })
    }

    /// Asks for the state of a proof, and brings the proof if there is one.
    pub async fn poll(&self, id: &ProofId, patience: Patience) -> Polled {
        let limits = &self.config.limits;
        // It is never closed, and without a place the question would only be one too many.
        let _place = self.polls.acquire().await;
        let metered = self.meter.begin("status");
        let asking =
            exchange(self.endpoint(), self.get_status(id), (limits.stall, limits.stall), limits.answer);
        let outcome = match tokio::time::timeout(limits.transfer, asking).await {
            Ok(outcome) => outcome,
            Err(_) => Err(CallError::Timeout(limits.transfer)),
        };
        metered.end(outcome.as_ref().err().map(|error| error.trouble()));
        match outcome {
            Ok(answer) => self.state(id, answer, patience).await,
            Err(error) => self.miss(id, &error, patience),
        }
    }

    /// Has the server compare its commitments with those of the oracle.
    pub async fn validate(&self, oracle: Address) -> Validation {
        let metered = self.meter.begin("validate_config");
        let compared = self.compare(oracle).await;
        metered.end(compared.as_ref().err().map(|error| error.trouble()));
        match compared {
            Ok(validation) => {
                self.losses().answered();
                validation
            }
            Err(error) => Validation::Unreachable { trouble: error.trouble(), text: error.words() },
        }
    }

    async fn compare(&self, oracle: Address) -> Result<Validation, CallError> {
        let call = self.post("validate_config").body(json!({ "address": oracle.to_string() }).to_string());
        let limits = &self.config.limits;
        let limits = Limits { connect: limits.connect, call: limits.validate, body: 64 << 10 };
        let bytes = prooflog_net::read_body(call, limits).await?.ok(self.endpoint())?;
        let answer: Value = serde_json::from_slice(&bytes)
            .map_err(|_| CallError::Answer(crate::answer::AnswerError::NotJson))?;
        let field = |name: &'static str| {
            let missing = crate::answer::AnswerError::Field { field: name, problem: "is not true or false" };
            answer.get(name).and_then(Value::as_bool).ok_or(CallError::Answer(missing))
        };
        Ok(Validation::Answered {
            rollup_config_ok: field("rollup_config_hash_valid")?,
            agg_vkey_ok: field("agg_vkey_valid")?,
            range_vkey_ok: field("range_vkey_valid")?,
        })
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.http.post(self.config.endpoint.join(path)).header(header::CONTENT_TYPE, "application/json")
    }

    pub(crate) fn get_status(&self, id: &ProofId) -> RequestBuilder {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.http.get(self.config.endpoint.join(&format!("status/{}", hex::encode(&id.0))))
    }

    pub(crate) fn limits(&self) -> &ProverLimits {
        &self.config.limits
    }

    fn losses(&self) -> MutexGuard<'_, Losses<ProofId>> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn state(&self, id: &ProofId, mut answer: Answer, patience: Patience) -> Polled {
        let Some(fulfillment) = answer.fulfillment else {
            let missing =
                crate::answer::AnswerError::Field { field: "fulfillment_status", problem: "is missing" };
            return self.miss(id, &missing.into(), patience);
        };
        let execution = answer.execution.unwrap_or(0);
        if !is_known_status(fulfillment, execution) {
            self.tell_strange(id, (fulfillment, execution));
        }
        let text = words_of(&answer);
        // Bytes that come before the proof is fulfilled are no proof.
        answer.proof = answer.proof.filter(|proof| fulfillment == FULFILLED && !proof.is_empty());
        if fulfillment == FULFILLED && answer.proof.is_none() {
            return match self.losses().empty(id, self.made.elapsed()) {
                Some(failures) => Polled::Lost { failures, class: FailureClass::NoBytes },
                None => {
                    let text = "fulfilled without a proof".to_owned();
                    Polled::Nothing { trouble: Failure::Malformed, text }
                }
            };
        }
        self.losses().answered_for(id);
        match named(answer).await {
            Ok(proof) => Polled::State { fulfillment, execution, proof: proof.map(Box::new), text },
            Err(error) => Polled::Nothing { trouble: error.trouble(), text: error.words() },
        }
    }

    /// Tells the operator of numbers that the interface does not know, each pair once: they are never guessed at.
    fn tell_strange(&self, id: &ProofId, status: (i32, i32)) {
        /// Pairs that are remembered; a server that invents more of them is not worth the lines.
        const REMEMBERED: usize = 64;
        let mut seen = self.strange.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < REMEMBERED && seen.insert(status) {
            let (fulfillment, execution) = status;
            tracing::warn!(prover = %self.endpoint(), %id, fulfillment, execution,
                "the server answers with a status that the interface does not know; it is asked again until a limit ends it");
        }
    }

    fn miss(&self, id: &ProofId, error: &CallError, patience: Patience) -> Polled {
        let (trouble, text) = (error.trouble(), error.words());
        if !is_about_the_id(error) {
            return Polled::Nothing { trouble, text };
        }
        match self.losses().failed(id, patience, self.made.elapsed()) {
            Some(failures) => Polled::Lost { failures, class: FailureClass::Lost },
            None => Polled::Nothing { trouble, text },
        }
    }
}

/// Whether a failed question may mean that the id is unknown. A server or proxy that is not there, full, or does not
/// let us in says nothing about it, and a proof above our own limit is there.
const fn is_about_the_id(error: &CallError) -> bool {
    match error {
        CallError::Unreachable(_) => false,
        CallError::Status { status, .. } => !matches!(*status, 300..=399 | 401..=403 | 429 | 502..=504),
        CallError::Answer(error) => !error.is_too_large(),
        CallError::Timeout(_) | CallError::Dropped(_) => true,
    }
}

/// A request that was refused because the proofs of some members cannot be read.
fn refused_members(error: &CallError, agg: &prooflog_core::AggRequest) -> Option<Requested> {
    let CallError::Status { error_class: Some(class), members, text, .. } = error else { return None };
    let exist = |place: &u32| usize::try_from(*place).is_ok_and(|place| place < agg.members.len());
    let is_meant = class.trim() == "unreadable_members" && !members.is_empty() && members.iter().all(exist);
    is_meant.then(|| Requested::MembersRefused { members: members.clone(), text: text.clone() })
}

/// A failed request.
fn failed(error: &CallError) -> Requested {
    let class = match error {
        CallError::Unreachable(_) => FailureClass::Unreachable,
        CallError::Timeout(_) => FailureClass::WitnessTimeout,
        // The server answered that it took the request, and we cannot read the answer: something may be under way.
        CallError::Dropped(_) | CallError::Answer(_) => FailureClass::Dropped,
        CallError::Status { status, error_class, text, .. } => {
            failure::of_request(*status, error_class.as_deref(), text)
        }
    };
    Requested::Failed { class, text: error.words() }
}

/// The answer of a real endpoint: an id.
fn taken(answer: Answer) -> Requested {
    match answer.proof_id {
        Some(id) if !id.is_empty() => Requested::Taken { proof_id: ProofId(id), l1_head: answer.l1_head },
        _ => match told_failure(&answer) {
            Some(failed) => failed,
            None => Requested::Failed {
                class: FailureClass::Dropped,
                text: "the server answered without naming a proof id".to_owned(),
            },
        },
    }
}

/// The answer of a mock endpoint: a status, already fulfilled.
async fn mock(answer: Answer, needs_bytes: bool) -> Requested {
    let text = words_of(&answer);
    match (answer.fulfillment, answer.execution) {
        (Some(FULFILLED), _) => {
            if needs_bytes && answer.proof.as_ref().is_none_or(Vec::is_empty) {
                let text = "fulfilled without a proof".to_owned();
                return Requested::Failed { class: FailureClass::WitnessError, text };
            }
            let answer = Answer { proof: Some(answer.proof.unwrap_or_default()), ..answer };
            match named(answer).await {
                Ok(Some(proof)) => Requested::Fulfilled(proof),
                Ok(None) => failed(&CallError::Dropped("no proof came".to_owned())),
                Err(error) => failed(&error),
            }
        }
        (Some(UNFULFILLABLE), Some(UNEXECUTABLE)) => {
            Requested::Failed { class: FailureClass::Unexecutable, text }
        }
        (Some(UNFULFILLABLE), _) => Requested::Failed { class: FailureClass::Unfulfillable, text },
        (fulfillment, execution) => told_failure(&answer).unwrap_or_else(|| {
            let text = format!("a mock endpoint answered with status {fulfillment:?}, {execution:?}");
            Requested::Failed { class: FailureClass::WitnessError, text }
        }),
    }
}

/// The failure that a 200 tells in its optional fields.
fn told_failure(answer: &Answer) -> Option<Requested> {
    let text = words_of(answer);
    let named = answer.error_class.as_deref().and_then(failure::by_name);
    let class =
        named.or_else(|| answer.error.as_deref().map(|words| failure::of_request(500, None, words)))?;
    Some(Requested::Failed { class, text })
}

fn words_of(answer: &Answer) -> String {
    answer.error.as_deref().map(failure::presentable).unwrap_or_default()
}

/// The proof of an answer with its hash, which is computed where it holds up nobody.
async fn named(answer: Answer) -> Result<Option<Proof>, CallError> {
    let hashing = tokio::task::spawn_blocking(move || Proof::of(answer));
    hashing.await.map_err(|_| CallError::Dropped("the process is ending".to_owned()))
}

#[cfg(test)]
mod tests {
    use prooflog_core::AggRequest;
    use prooflog_events::ids::Hash32;
    use prooflog_events::values::BlobRef;

    use super::*;
    use crate::call::refusal;

    fn members_of(text: &str) -> Option<Vec<u32>> {
        let member = BlobRef { sha256: Hash32([1; 32]), length: 9 };
        let (head, prover, config_name) = (Hash32::ZERO, Address([0; 20]), Hash32::ZERO);
        let agg = AggRequest { members: vec![member; 3], head, prover, config_name };
        match refused_members(&refusal(500, text), &agg)? {
            Requested::MembersRefused { members, .. } => Some(members),
            _ => None,
        }
    }

    #[test]
    fn members_are_refused_only_where_the_server_names_some_that_were_sent() {
        let named = |members: &str| {
            format!(r#"{{"error": "bad proof", "error_class": "unreadable_members", "members": {members}}}"#)
        };
        assert_eq!(members_of(&named("[2, 0]")), Some(vec![2, 0]));
        for nobody in ["[]", "[3]", "[0, 3]", "null", "7", r#"["0"]"#, "[-1]", "[1.5]"] {
            assert_eq!(members_of(&named(nobody)), None, "{nobody}");
        }
        assert_eq!(
            members_of(r#"{"error": "bad proof", "error_class": "witness_error", "members": [0]}"#),
            None
        );
        assert_eq!(members_of("unreadable_members"), None);
    }
}
