//! One call: sent, and its answer read while it arrives.
//!
//! Waiting for the first byte has a limit that the caller knows, waiting for the next one has the stall limit. An answer
//! other than 200 is an error with the server's words.

use std::time::Duration;

use prooflog_net::{Endpoint, Failure, HttpError};
use reqwest::{RequestBuilder, Response};

use crate::answer::{Answer, AnswerError, AnswerLimits, AnswerParser};
use crate::failure::presentable;

/// Most bytes of an error answer that are read.
const REFUSAL_MAX: usize = 64 << 10;

/// Why a call brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// Nothing was sent.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// Nothing came for too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection ended too early.
    #[error("the connection broke: {0}")]
    Dropped(String),
    /// An answer other than 200.
    #[error("status {status}: {text}")]
    Status { status: u16, error_class: Option<String>, members: Vec<u32>, text: String },
    /// A 200 that is not an answer.
    #[error("not a valid answer: {0}")]
    Answer(#[from] AnswerError),
}

impl From<HttpError> for CallError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Unreachable(words) => Self::Unreachable(words),
            HttpError::Timeout(limit) => Self::Timeout(limit),
            HttpError::Dropped(words) => Self::Dropped(words),
            HttpError::TooLarge(limit) => Self::Answer(AnswerError::TextTooLarge(limit as u64)),
            HttpError::Status { status, text } => refusal(status, &text),
        }
    }
}

impl CallError {
    /// What kind of trouble it is.
    pub(crate) const fn trouble(&self) -> Failure {
        match self {
            Self::Unreachable(_) => Failure::Unreachable,
            Self::Timeout(_) => Failure::Timeout,
            Self::Dropped(_) => Failure::Dropped,
            Self::Status { .. } => Failure::Refused,
            Self::Answer(error) if error.is_too_large() => Failure::TooLarge,
            Self::Answer(_) => Failure::Malformed,
        }
    }

    /// The words for the record.
    pub(crate) fn words(&self) -> String {
        match self {
            // The status is told by the class; the operator needs the server's own words first.
            Self::Status { status, text, .. } if text.is_empty() => format!("status {status} without words"),
            other => presentable(&other.to_string()),
        }
    }
}

/// Sends a request and reads its answer, whose first byte and whose next ones may take so long.
pub(crate) async fn exchange(
    of: &Endpoint,
    request: RequestBuilder,
    (first_byte, stall): (Duration, Duration),
    limits: AnswerLimits,
) -> Result<Answer, CallError> {
    let mut response = prooflog_net::send(request, first_byte).await?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(refusal(status, &of.without_secrets(&refusal_text(&mut response, stall).await)));
    }
    let mut parser = AnswerParser::new(limits);
    while let Some(piece) = next_piece(&mut response, stall).await? {
        parser.feed(&piece)?;
    }
    Ok(parser.finish()?)
}

async fn next_piece(response: &mut Response, stall: Duration) -> Result<Option<bytes::Bytes>, CallError> {
    match tokio::time::timeout(stall, response.chunk()).await {
        Ok(Ok(piece)) => Ok(piece),
        Ok(Err(error)) => Err(CallError::Dropped(error.without_url().to_string())),
        Err(_) => Err(CallError::Timeout(stall)),
    }
}

/// As much of an error's text as is wanted and came.
async fn refusal_text(response: &mut Response, stall: Duration) -> String {
    let mut text = Vec::new();
    while let Ok(Some(piece)) = next_piece(response, stall).await {
        let room = REFUSAL_MAX.saturating_sub(text.len());
        text.extend_from_slice(piece.get(..room).unwrap_or(&piece));
        if text.len() >= REFUSAL_MAX {
            break;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Members that a refusal may name.
const MEMBERS_MAX: usize = 1_024;

/// An answer other than 200: plain text, or JSON with an `error` and perhaps an `error_class`.
pub(crate) fn refusal(status: u16, text: &str) -> CallError {
    let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let field = |name: &str| json.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let words = field("error").unwrap_or_else(|| text.to_owned());
    let places = json.as_ref().and_then(|json| json.get("members")?.as_array());
    let place = |value: &serde_json::Value| u32::try_from(value.as_u64()?).ok();
    let members = places.into_iter().flatten().filter_map(place).take(MEMBERS_MAX).collect();
    CallError::Status { status, error_class: field("error_class"), members, text: presentable(&words) }
}
