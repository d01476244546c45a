//! Why a node gave no answer that can be used.
//!
//! The words of the other side are kept, cut and without control characters: they are what an operator needs, and they
//! are not ours. What a crash in here means: nothing; errors are values.

use std::time::Duration;

use prooflog_events::clip::clip;
use prooflog_net::{HttpError, RpcError};

/// Most bytes of foreign text that are kept.
const TEXT_MAX: usize = 512;

/// Why a node gave no answer that can be used. None of these is a fact about the chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// The call failed or was refused.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The answer does not have the shape that the method promises.
    #[error("{endpoint}: {method}: not a valid answer: {problem}")]
    Malformed {
        /// Who answered.
        endpoint: String,
        /// To what.
        method: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The answer has the right shape and cannot be true.
    #[error("{endpoint}: {method}: the answer cannot be true: {problem}")]
    Untrue {
        /// Who answered.
        endpoint: String,
        /// To what.
        method: &'static str,
        /// What contradicts.
        problem: String,
    },
    /// The node says zero or nothing, as it does right after its own restart.
    #[error("{endpoint}: {what} is not known yet: the node has just started, or is still syncing")]
    NotReady {
        /// Who answered.
        endpoint: String,
        /// What is missing.
        what: &'static str,
    },
    /// The node is behind the block asked for.
    #[error("{endpoint}: block {block} is not there yet, the node is at {head}")]
    Behind {
        /// Who answered.
        endpoint: String,
        /// The block asked for.
        block: u64,
        /// The node's head.
        head: u64,
    },
    /// The endpoint limits us; it is left alone for a while.
    #[error("{endpoint}: too many requests; not asked again for {retry_in:?}")]
    Limited {
        /// Who limits.
        endpoint: String,
        /// For how long it is left alone.
        retry_in: Duration,
    },
    /// None of the endpoints gave an answer that can be used.
    #[error("no rollup node answered: {}", listed(causes))]
    Nobody {
        /// One per endpoint: its name and why.
        causes: Vec<(String, NodeError)>,
    },
    /// The configuration names no endpoint.
    #[error("no endpoint is configured")]
    NoEndpoint,
}

impl NodeError {
    /// Whether the other side says that it is asked too much.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        match self {
            Self::Limited { .. } => true,
            Self::Rpc(RpcError::Http { source: HttpError::Status { status, .. }, .. }) => *status == 429,
            Self::Rpc(RpcError::Refused { code, message, .. }) => {
                let message = message.to_ascii_lowercase();
                matches!(code, 429 | -32_005)
                    || ["rate limit", "too many requests", "limit exceeded", "compute units"]
                        .iter()
                        .any(|words| message.contains(words))
            }
            _ => false,
        }
    }

    /// Whether a smaller request may succeed.
    pub(crate) fn is_too_large(&self) -> bool {
        match self {
            Self::Rpc(RpcError::Http { source, .. }) => {
                matches!(source, HttpError::TooLarge(_) | HttpError::Status { status: 400 | 413, .. })
            }
            Self::Rpc(RpcError::Refused { message, .. }) => {
                let message = message.to_ascii_lowercase();
                message.contains("batch") || message.contains("too large")
            }
            _ => false,
        }
    }

    /// Whether the other side does not know the method.
    pub(crate) const fn is_unknown_method(&self) -> bool {
        matches!(self, Self::Rpc(error) if error.is_unknown_method())
    }
}

fn listed(causes: &[(String, NodeError)]) -> String {
    causes.iter().map(|(name, cause)| format!("{name}: {cause}")).collect::<Vec<_>>().join("; ")
}

/// Foreign text, cut and on one line.
pub(crate) fn tame(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clip(&text, TEXT_MAX)
}
