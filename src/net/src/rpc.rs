//! JSON-RPC 2.0 over HTTP, one call or a batch at a time.
//!
//! A refusal, a call that failed and an answer that is none are three different errors, because they lead to different
//! next steps. Messages of the other side are kept, cut to a limit.

use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::Client;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::clip::clip;
use crate::endpoint::Endpoint;
use crate::http::{HttpError, Limits, client, read_body};
use crate::meter::{Failure, Meter};

/// Most bytes of an error's message that are kept.
const MESSAGE_MAX: usize = 1_024;

/// Why a call brought no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The call itself failed.
    #[error("{endpoint}: {source}")]
    Http {
        /// Who was asked.
        endpoint: String,
        /// What happened.
        source: HttpError,
    },
    /// The other side answered with an error.
    #[error("{endpoint}: {method}: {message} ({code})")]
    Refused {
        /// Who was asked.
        endpoint: String,
        /// What for.
        method: String,
        /// The error's code.
        code: i64,
        /// The error's words.
        message: String,
    },
    /// The answer is not what the method promises.
    #[error("{endpoint}: {method}: not a valid answer: {problem}")]
    Malformed {
        /// Who was asked.
        endpoint: String,
        /// What for.
        method: String,
        /// What is wrong.
        problem: String,
    },
}

impl RpcError {
    /// Whether the other side does not know the method.
    #[must_use]
    pub const fn is_unknown_method(&self) -> bool {
        matches!(self, Self::Refused { code: -32601, .. })
    }
}

/// A JSON-RPC endpoint.
#[derive(Debug, Clone)]
pub struct RpcClient {
    endpoint: Endpoint,
    http: Client,
    limits: Limits,
    meter: Meter,
    id: std::sync::Arc<AtomicU64>,
}

impl RpcClient {
    /// A client of one endpoint.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn new(endpoint: Endpoint, limits: Limits) -> Result<Self, HttpError> {
        Ok(Self::with(endpoint, client(limits)?, limits))
    }

    /// As [`RpcClient::new`], over a client that was set up elsewhere.
    #[must_use]
    pub fn with(endpoint: Endpoint, http: Client, limits: Limits) -> Self {
        let id = std::sync::Arc::new(AtomicU64::new(1));
        Self { endpoint, http, limits, meter: Meter::default(), id }
    }

    /// Has its calls counted.
    #[must_use]
    pub fn metered(mut self, meter: Meter) -> Self {
        self.meter = meter;
        self
    }

    /// Whom it asks.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Calls made so far, over all clones; every call of a batch counts, as providers count them.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.id.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// Calls a method.
    ///
    /// # Errors
    /// When the call fails, is refused, or is answered with something else.
    pub async fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T, RpcError> {
        let call = self.meter.begin(method);
        call.result(self.call_once(method, params).await)
    }

    async fn call_once<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T, RpcError> {
        let id = self.id.fetch_add(1, Ordering::Relaxed);
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let bytes = self.post(&body).await?;
        let mut answer: Value =
            serde_json::from_slice(&bytes).map_err(|error| self.malformed(method, &error))?;
        self.value(method, &mut answer)
    }

    /// Calls several methods in one request; the answers come in the order of the calls.
    ///
    /// # Errors
    /// When the request fails, or an answer is missing. One refused call is an error in its place.
    pub async fn batch<T: DeserializeOwned>(
        &self,
        calls: &[(&str, Value)],
    ) -> Result<Vec<Result<T, RpcError>>, RpcError> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let begun: Vec<_> = calls.iter().map(|(method, _)| self.meter.begin(method)).collect();
        let answers = self.batch_once(calls).await;
        for (place, call) in begun.into_iter().enumerate() {
            let failure = match &answers {
                Ok(answers) => answers.get(place).and_then(|answer| answer.as_ref().err()),
                Err(error) => Some(error),
            };
            call.end(failure.map(Failure::from));
        }
        answers
    }

    async fn batch_once<T: DeserializeOwned>(
        &self,
        calls: &[(&str, Value)],
    ) -> Result<Vec<Result<T, RpcError>>, RpcError> {
        let first = self.id.fetch_add(calls.len() as u64, Ordering::Relaxed);
        let body: Vec<Value> = (first..)
            .zip(calls)
            .map(|(id, (method, params))| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
            .collect();
        let bytes = self.post(&Value::Array(body)).await?;
        let answer: Value =
            serde_json::from_slice(&bytes).map_err(|error| self.malformed("batch", &error))?;
        let mut answers = match answer {
            Value::Array(answers) => answers,
            // A server that takes no batches says so once for all of them.
            mut single => {
                self.value::<Value>("batch", &mut single)?;
                return Err(self.malformed("batch", &"one answer for several calls"));
            }
        };
        // Each is looked for among all of them: a crowd of them would take its square in time.
        if answers.len() > calls.len() {
            return Err(self.malformed("batch", &"more answers than calls"));
        }
        (first..)
            .zip(calls)
            .map(|(id, (method, _))| {
                let found =
                    answers.iter_mut().find(|answer| answer.get("id").and_then(Value::as_u64) == Some(id));
                match found {
                    Some(answer) => Ok(self.value(method, answer)),
                    None => Err(self.malformed(method, &"an answer of the batch is missing")),
                }
            })
            .collect()
    }

    async fn post(&self, body: &Value) -> Result<Vec<u8>, RpcError> {
        let request = self.http.post(self.endpoint.url().clone()).json(body);
        let answer = read_body(request, self.limits).await.map_err(|source| self.failed(source))?;
        // Some servers answer a JSON-RPC error with another status than 200; the words are what counts. Whatever else
        // calls itself an error keeps its status.
        let is_error = |answer: &Value| answer.get("error").is_some_and(Value::is_object);
        if answer.status != 200 && serde_json::from_slice(&answer.bytes).is_ok_and(|answer| is_error(&answer))
        {
            return Ok(answer.bytes);
        }
        answer.ok(&self.endpoint).map_err(|source| self.failed(source))
    }

    fn value<T: DeserializeOwned>(&self, method: &str, answer: &mut Value) -> Result<T, RpcError> {
        if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
            let message = error.get("message").and_then(Value::as_str).unwrap_or("no message");
            return Err(RpcError::Refused {
                endpoint: self.endpoint.to_string(),
                method: method.to_owned(),
                code: error.get("code").and_then(Value::as_i64).unwrap_or(0),
                message: clip(&self.endpoint.without_secrets(message), MESSAGE_MAX),
            });
        }
        let result = answer.get_mut("result").map(Value::take);
        let Some(result) = result else {
            return Err(self.malformed(method, &"neither a result nor an error"));
        };
        serde_json::from_value(result).map_err(|error| self.malformed(method, &error))
    }

    fn failed(&self, source: HttpError) -> RpcError {
        RpcError::Http { endpoint: self.endpoint.to_string(), source }
    }

    fn malformed(&self, method: &str, problem: &dyn std::fmt::Display) -> RpcError {
        RpcError::Malformed {
            endpoint: self.endpoint.to_string(),
            method: method.to_owned(),
            problem: clip(&self.endpoint.without_secrets(&problem.to_string()), MESSAGE_MAX),
        }
    }
}
