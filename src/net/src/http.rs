//! One HTTP call.
//!
//! It has a limit on its time and on the size of its answer; its errors tell what happened and never the address, which
//! may hold a secret. A broken connection after sending is not the same as nobody there: the request may have arrived.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode};

use crate::clip::clip;
use crate::endpoint::Endpoint;

/// Most of an error answer that is kept, in bytes.
const ERROR_TEXT_MAX: usize = 4_096;

/// What bounds a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For a connection to stand.
    pub connect: Duration,
    /// For the whole call, answer read.
    pub call: Duration,
    /// Bytes of an answer.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), call: Duration::from_secs(15), body: 16 << 20 }
    }
}

/// Why a call brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Nobody listens, or the name does not resolve, or TLS fails.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection ended before the answer did.
    #[error("the connection broke: {0}")]
    Dropped(String),
    /// The answer is larger than the limit.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// Not a 200.
    #[error("status {status}: {text}")]
    Status {
        /// The status code.
        status: u16,
        /// The answer's text, cut.
        text: String,
    },
}

impl HttpError {
    /// Whether the request may have reached the other side.
    #[must_use]
    pub const fn may_have_arrived(&self) -> bool {
        !matches!(self, Self::Unreachable(_))
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The status code.
    pub status: u16,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A client that reuses connections, follows no redirect (a request with a secret must not wander) and asks no proxy.
///
/// # Errors
/// When the TLS library cannot be set up.
pub fn client(limits: Limits) -> Result<Client, HttpError> {
    builder(limits).build().map_err(|error| HttpError::Unreachable(describe(error)))
}

/// What [`client`] is built with, for those who add certificates or headers.
pub fn builder(limits: Limits) -> ClientBuilder {
    Client::builder()
        .connect_timeout(limits.connect)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .pool_idle_timeout(Duration::from_secs(60))
}

/// The words of an HTTP error with its causes, its address left out.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn classify(error: reqwest::Error, limit: Duration) -> HttpError {
    if error.is_connect() {
        HttpError::Unreachable(describe(error))
    } else if error.is_timeout() {
        HttpError::Timeout(limit)
    } else {
        HttpError::Dropped(describe(error))
    }
}

/// Sends a request and hands back the response with its body unread. The caller bounds the reading.
///
/// # Errors
/// When no response came.
pub async fn send(request: RequestBuilder, limit: Duration) -> Result<Response, HttpError> {
    match tokio::time::timeout(limit, request.send()).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(classify(error, limit)),
        Err(_) => Err(HttpError::Timeout(limit)),
    }
}

/// Sends a request and reads the whole answer, whatever its status.
///
/// # Errors
/// When no answer came, or it is larger than the limit.
pub async fn read_body(request: RequestBuilder, limits: Limits) -> Result<Body, HttpError> {
    let reading = async {
        let mut response = request.send().await.map_err(|error| classify(error, limits.call))?;
        let status = response.status().as_u16();
        if response.content_length().is_some_and(|length| length > limits.body as u64) {
            return Err(HttpError::TooLarge(limits.body));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| classify(error, limits.call))? {
            if bytes.len().saturating_add(chunk.len()) > limits.body {
                return Err(HttpError::TooLarge(limits.body));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Body { status, bytes })
    };
    tokio::time::timeout(limits.call, reading).await.unwrap_or(Err(HttpError::Timeout(limits.call)))
}

impl Body {
    /// The bytes of a 200; anything else is an error with the text of whoever answered.
    ///
    /// # Errors
    /// When the status is not 200.
    pub fn ok(self, of: &Endpoint) -> Result<Vec<u8>, HttpError> {
        if self.status == StatusCode::OK.as_u16() {
            return Ok(self.bytes);
        }
        let text = clip(&of.without_secrets(String::from_utf8_lossy(&self.bytes).trim()), ERROR_TEXT_MAX);
        Err(HttpError::Status { status: self.status, text })
    }
}
