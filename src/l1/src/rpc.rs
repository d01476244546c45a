//! JSON-RPC with one L1 endpoint: batches, the bytes that come with a refusal, and a count of everything asked.
//!
//! The shared client of `prooflog-net` drops the data of an error, and those data are why a call reverted. Limits of
//! time and size, and errors without addresses, come from there all the same. A crash in here loses a call.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use prooflog_events::clip::clip;
use prooflog_net::{Endpoint, Failure, HttpError, Limits, Meter, client, read_body};
use reqwest::Client;
use serde_json::{Value, json};

use crate::error::RpcFault;
use crate::json::bytes;

/// Most bytes of an error's message that are kept.
const MESSAGE_MAX: usize = 1_024;
/// Most bytes of an error's data that are kept: a decoded reason is shorter.
const DATA_MAX: usize = 4_096;
/// How long calls are made one by one after an endpoint refused a batch. It may be another node behind the same address.
const BATCHES_AGAIN: Duration = Duration::from_secs(600);

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) params: Value,
}

impl Request {
    pub(crate) const fn new(method: &'static str, params: Value) -> Self {
        Self { method, params }
    }
}

/// One call's answer.
pub(crate) type Answer = Result<Value, RpcFault>;

/// A JSON-RPC endpoint.
#[derive(Debug)]
pub(crate) struct Rpc {
    endpoint: Endpoint,
    http: Client,
    limits: Limits,
    batch_max: usize,
    id: AtomicU64,
    refused_batch: Mutex<Option<Instant>>,
    calls: AtomicU64,
    failed: AtomicU64,
    meter: Meter,
}

impl Rpc {
    pub(crate) fn new(endpoint: Endpoint, limits: Limits, batch_max: usize) -> Result<Self, HttpError> {
        Ok(Self {
            endpoint,
            http: client(limits)?,
            limits,
            batch_max: batch_max.max(1),
            id: AtomicU64::new(1),
            refused_batch: Mutex::default(),
            calls: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            meter: Meter::default(),
        })
    }

    pub(crate) fn metered(mut self, meter: Meter) -> Self {
        self.meter = meter;
        self
    }

    pub(crate) const fn batch_max(&self) -> usize {
        self.batch_max
    }

    pub(crate) fn label(&self) -> &str {
        self.endpoint.label()
    }

    /// Calls made (every call of a batch counts, as providers count them), and how many of them brought no answer.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.calls.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// One call.
    pub(crate) async fn call(&self, request: Request) -> Answer {
        let call = self.meter.begin(request.method);
        call.result(self.call_once(request).await)
    }

    async fn call_once(&self, request: Request) -> Answer {
        let method = request.method;
        let id = self.id.fetch_add(1, Ordering::Relaxed);
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": request.params });
        self.calls.fetch_add(1, Ordering::Relaxed);
        let bytes = self.post(&body, 1).await?;
        let mut answer: Value =
            serde_json::from_slice(&bytes).map_err(|error| self.malformed(method, &error))?;
        self.value(method, &mut answer)
    }

    /// Several calls, in as few requests as the endpoint takes; answers come in the order of the calls.
    pub(crate) async fn batch(&self, requests: &[Request]) -> Result<Vec<Answer>, RpcFault> {
        let mut answers = Vec::with_capacity(requests.len());
        for part in requests.chunks(self.batch_max) {
            if part.len() == 1 || !self.takes_batches(Instant::now()) {
                answers.extend(self.one_by_one(part).await?);
            } else {
                answers.extend(self.part(part).await?);
            }
        }
        Ok(answers)
    }

    fn takes_batches(&self, now: Instant) -> bool {
        let refused = *self.refused_batch.lock().unwrap_or_else(PoisonError::into_inner);
        refused.is_none_or(|at| now.saturating_duration_since(at) >= BATCHES_AGAIN)
    }

    async fn one_by_one(&self, requests: &[Request]) -> Result<Vec<Answer>, RpcFault> {
        let answers = join_all(requests.iter().cloned().map(|request| self.call(request))).await;
        // A call that failed on its way fails the batch, as it would have in one request.
        match answers.iter().find_map(|answer| match answer {
            Err(fault @ RpcFault::Http { .. }) => Some(fault.clone()),
            _ => None,
        }) {
            Some(fault) => Err(fault),
            None => Ok(answers),
        }
    }

    async fn part(&self, requests: &[Request]) -> Result<Vec<Answer>, RpcFault> {
        let begun: Vec<_> = requests.iter().map(|request| self.meter.begin(request.method)).collect();
        let answers = self.part_once(requests).await;
        for (place, call) in begun.into_iter().enumerate() {
            call.end(match &answers {
                Ok(Some(answers)) => {
                    answers.get(place).and_then(|answer| answer.as_ref().err()).map(Failure::from)
                }
                Ok(None) => Some(Failure::Malformed),
                Err(error) => Some(error.into()),
            });
        }
        match answers? {
            Some(answers) => Ok(answers),
            None => self.one_by_one(requests).await,
        }
    }

    /// `None` where the endpoint takes no batches.
    async fn part_once(&self, requests: &[Request]) -> Result<Option<Vec<Answer>>, RpcFault> {
        let count = u64::try_from(requests.len()).unwrap_or(u64::MAX);
        let first = self.id.fetch_add(count, Ordering::Relaxed);
        let body: Vec<Value> = (first..)
            .zip(requests)
            .map(|(id, request)| {
                json!({ "jsonrpc": "2.0", "id": id, "method": request.method, "params": request.params })
            })
            .collect();
        self.calls.fetch_add(count, Ordering::Relaxed);
        let bytes = self.post(&Value::Array(body), count).await?;
        let answer: Value =
            serde_json::from_slice(&bytes).map_err(|error| self.malformed("batch", &error))?;
        let answers = match answer {
            Value::Array(answers) => answers,
            answer => return self.one_for_all(answer),
        };
        let mut by_id: std::collections::BTreeMap<u64, Value> = answers
            .into_iter()
            .filter_map(|answer| Some((answer.get("id").and_then(Value::as_u64)?, answer)))
            .collect();
        let answers = (first..).zip(requests).map(|(id, request)| match by_id.remove(&id) {
            Some(mut answer) => Ok(self.value(request.method, &mut answer)),
            None => Err(self.malformed(request.method, &"an answer of the batch is missing")),
        });
        answers.collect::<Result<_, _>>().map(Some)
    }

    /// One answer to many calls: the endpoint takes no batches, or it is an error of its own that may be over with the next.
    fn one_for_all(&self, mut answer: Value) -> Result<Option<Vec<Answer>>, RpcFault> {
        match self.value("batch", &mut answer) {
            Err(fault) if fault.is_about_batches() => {}
            Err(fault) if fault.is_busy() => return Err(fault),
            Err(fault @ RpcFault::Refused { .. }) => {
                tracing::debug!(%fault, "a batch failed as a whole: its calls are made one by one");
                return Ok(None);
            }
            _ => {}
        }
        let before =
            self.refused_batch.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
        if before.is_none() {
            tracing::warn!(
                endpoint = self.label(),
                "the endpoint takes no batches: calls are made one by one, and batches tried again later"
            );
        }
        Ok(None)
    }

    async fn post(&self, body: &Value, count: u64) -> Result<Vec<u8>, RpcFault> {
        let request = self.http.post(self.endpoint.url().clone()).json(body);
        let answer = match read_body(request, self.limits).await {
            Ok(answer) => answer,
            Err(source) => return Err(self.failed(source, count)),
        };
        // Some servers answer a JSON-RPC error with another status than 200; the words are what counts.
        if answer.status != 200
            && serde_json::from_slice::<Value>(&answer.bytes).is_ok_and(|v| v.get("error").is_some())
        {
            return Ok(answer.bytes);
        }
        answer.ok(&self.endpoint).map_err(|source| self.failed(source, count))
    }

    fn value(&self, method: &'static str, answer: &mut Value) -> Answer {
        if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
            let message = error.get("message").and_then(Value::as_str).unwrap_or("no message");
            return Err(RpcFault::Refused {
                endpoint: self.label().to_owned(),
                method,
                code: error.get("code").and_then(Value::as_i64).unwrap_or(0),
                message: self.scrub(message),
                data: error.get("data").and_then(revert_data),
            });
        }
        match answer.get_mut("result").map(Value::take) {
            Some(result) => Ok(result),
            None => Err(self.malformed(method, &"neither a result nor an error")),
        }
    }

    fn failed(&self, source: HttpError, count: u64) -> RpcFault {
        self.failed.fetch_add(count, Ordering::Relaxed);
        let source = match source {
            HttpError::Status { status, text } => HttpError::Status { status, text: self.scrub(&text) },
            HttpError::Unreachable(text) => HttpError::Unreachable(self.scrub(&text)),
            HttpError::Dropped(text) => HttpError::Dropped(self.scrub(&text)),
            other @ (HttpError::Timeout(_) | HttpError::TooLarge(_)) => other,
        };
        RpcFault::Http { endpoint: self.label().to_owned(), source }
    }

    pub(crate) fn malformed(&self, method: &'static str, problem: &dyn std::fmt::Display) -> RpcFault {
        RpcFault::Malformed { endpoint: self.label().to_owned(), method, problem: problem.to_string() }
    }

    /// The endpoint's words, cut, without any part of its address.
    fn scrub(&self, text: &str) -> String {
        clip(&self.endpoint.without_secrets(text), MESSAGE_MAX)
    }
}

/// The bytes of a revert, in the forms that nodes give them: hex, an object around it, or words before it.
fn revert_data(data: &Value) -> Option<Vec<u8>> {
    let mut found = match data {
        Value::String(text) => {
            let start = text.find("0x")?;
            let digits = text.get(start..)?.split_whitespace().next()?;
            bytes(&json!(digits))?
        }
        Value::Object(fields) => {
            return fields
                .get("data")
                .or_else(|| fields.get("result"))
                .filter(|v| v.is_string())
                .and_then(revert_data);
        }
        _ => return None,
    };
    found.truncate(DATA_MAX);
    Some(found)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use prooflog_net::Salt;

    use super::*;

    #[test]
    fn revert_data_is_found_in_every_form() {
        for form in [json!("0x08c379a0"), json!("Reverted 0x08c379a0"), json!({ "data": "0x08c379a0" })] {
            assert_eq!(revert_data(&form), Some(vec![8, 0xc3, 0x79, 0xa0]), "{form}");
        }
        for nothing in [json!(null), json!("reverted"), json!({ "data": { "data": "0x00" } }), json!("0xzz")]
        {
            assert_eq!(revert_data(&nothing), None, "{nothing}");
        }
    }

    #[test]
    fn only_a_refusal_of_batches_ends_them_and_not_for_good() {
        let endpoint = Endpoint::parse("http://h", Salt::default()).unwrap();
        let rpc = Rpc::new(endpoint, Limits::default(), 10).unwrap();
        let error = |code: i64, message: &str| json!({ "error": { "code": code, "message": message } });
        let now = Instant::now;
        assert!(rpc.one_for_all(error(-32005, "rate limit exceeded")).is_err());
        assert_eq!(rpc.one_for_all(error(-32000, "backend went away")), Ok(None));
        assert!(rpc.takes_batches(now()), "neither was about batches");
        assert_eq!(rpc.one_for_all(error(-32000, "batch requests are not supported")), Ok(None));
        assert!(!rpc.takes_batches(now()));
        assert!(rpc.takes_batches(now() + BATCHES_AGAIN), "tried again");
        for refusal in [error(-32600, "invalid request"), json!({ "result": "0x1" }), json!(null)] {
            *rpc.refused_batch.lock().unwrap() = None;
            assert_eq!(rpc.one_for_all(refusal), Ok(None));
            assert!(!rpc.takes_batches(now()));
        }
    }

    #[test]
    fn an_address_is_struck_out_of_what_its_endpoint_says() {
        let endpoint =
            Endpoint::parse("https://u:passw0rd@h/v3/abcdef123?k=tokenvalue", Salt::default()).unwrap();
        let rpc = Rpc::new(endpoint, Limits::default(), 10).unwrap();
        let text = rpc.scrub("project abcdef123 with tokenvalue and passw0rd is over quota");
        assert_eq!(text, "project *** with *** and *** is over quota");
    }
}
