//! What can go wrong between us and the L1.
//!
//! An endpoint is named by its label and never by its address; what an endpoint said is kept, with every part of its
//! address struck out. A refusal by a contract is no error here: it is an answer, decoded in `decode.rs`.
//! A crash in here means nothing; nothing is kept.

use prooflog_events::ids::{Address, L1ChainId, L1Number};
use prooflog_net::{Failure, HttpError};

/// Why one call to one endpoint brought no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcFault {
    /// The call itself failed.
    #[error("{endpoint}: {source}")]
    Http {
        /// Who was asked.
        endpoint: String,
        /// What happened.
        source: HttpError,
    },
    /// The endpoint answered with an error.
    #[error("{endpoint}: {method}: {message} ({code})")]
    Refused {
        /// Who was asked.
        endpoint: String,
        /// What for.
        method: &'static str,
        /// The error's code.
        code: i64,
        /// The error's words, cut.
        message: String,
        /// Bytes that came with it: what a reverted call returned.
        data: Option<Vec<u8>>,
    },
    /// The answer is not what the method promises.
    #[error("{endpoint}: {method}: not a valid answer: {problem}")]
    Malformed {
        /// Who was asked.
        endpoint: String,
        /// What for.
        method: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// Words by which nodes say that they do not have the block, or not the state of it.
const UNKNOWN_BLOCK: &[&str] = &[
    "header not found",
    "unknown block",
    "block not found",
    "header for hash not found",
    "not currently canonical",
    "non-canonical",
    "not canonical",
    "block does not exist",
    "could not find block",
    "could not be found",
    "cannot find block",
    "unknown header",
    "blockoutofrange",
    "block out of range",
];

/// Words by which nodes say that they have the block, and not its state any more.
const NO_STATE: &[&str] = &[
    "missing trie node",
    "historical state",
    "state not available",
    "state is not available",
    "state unavailable",
    "state already discarded",
    "pruned",
];

/// Words by which endpoints speak of themselves: how busy they are, or what was paid for.
const BUSY: &[&str] = &[
    "rate limit",
    "too many requests",
    "request limit",
    "per second",
    "quota",
    "capacity",
    "timeout",
    "timed out",
    "unauthorized",
    "syncing",
    "internal error",
    "temporarily",
];

/// Words by which endpoints say that they take one call at a time.
const NO_BATCHES: &[&str] = &["batch", "array", "single request", "expected object"];

impl From<&RpcFault> for Failure {
    fn from(fault: &RpcFault) -> Self {
        match fault {
            RpcFault::Http { source, .. } => source.into(),
            RpcFault::Refused { .. } => Self::Refused,
            RpcFault::Malformed { .. } => Self::Malformed,
        }
    }
}

impl RpcFault {
    /// Whether the endpoint refused with one of the codes, or with some of the words.
    fn says(&self, codes: &[i64], words: &[&str]) -> bool {
        let Self::Refused { message, code, .. } = self else { return false };
        let message = message.to_ascii_lowercase();
        codes.contains(code) || words.iter().any(|words| message.contains(words))
    }

    /// Whether the endpoint speaks of itself, and says nothing of what it was asked.
    pub(crate) fn is_busy(&self) -> bool {
        self.says(&[429], BUSY)
    }

    /// Whether the endpoint refuses batches as such. EIP-1474: -32700 and -32600 say that it could not read the request.
    pub(crate) fn is_about_batches(&self) -> bool {
        self.says(&[-32700, -32600], NO_BATCHES)
    }

    /// Whether the endpoint has thrown away the state of the block that the call was pinned to.
    pub(crate) fn is_without_state(&self) -> bool {
        self.says(&[], NO_STATE)
    }

    /// Whether the endpoint does not know the block that the call was pinned to, or no longer counts it as canonical.
    pub(crate) fn is_unknown_block(&self) -> bool {
        // EIP-1474: -32001 is "resource not found".
        self.says(&[-32001], UNKNOWN_BLOCK)
    }

    /// Whether the endpoint does not understand the parameters, as old ones do not with blocks named by hash.
    pub(crate) fn is_bad_params(&self) -> bool {
        self.says(&[-32602], &["invalid argument", "cannot unmarshal"])
    }

    /// Whether the endpoint does not know the method.
    pub(crate) const fn is_unknown_method(&self) -> bool {
        matches!(self, Self::Refused { code: -32601, .. })
    }
}

/// Why a question to the L1 has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum L1Error {
    /// A call failed.
    #[error(transparent)]
    Rpc(#[from] RpcFault),
    /// The configuration names no endpoint.
    #[error("no L1 endpoint is configured")]
    NoEndpoint,
    /// Every endpoint that answers belongs to another chain: wrong URL.
    #[error("{endpoint} belongs to chain {found}, not {expected}: check the L1 endpoint")]
    WrongChain {
        /// Who was asked.
        endpoint: String,
        /// The chain that was configured.
        expected: L1ChainId,
        /// The chain that answered.
        found: u64,
    },
    /// Every endpoint's head lies below one that was seen a moment ago: a stale backend answered.
    #[error("the L1's head was {seen} and is {found} now: a stale endpoint, waiting for a fresh one")]
    Backwards {
        /// The highest head seen.
        seen: L1Number,
        /// The head found.
        found: L1Number,
    },
    /// The L1 moved while it was read; the parts do not belong together and are thrown away.
    #[error("the L1 moved while it was read: {0}")]
    Torn(String),
    /// What happened to the contract since it was last seen is searched for in its logs, a part with each read.
    #[error(
        "contract {oracle}: its logs are searched for deleted outputs, {left} blocks are left: larger ranges of \
         eth_getLogs make it faster"
    )]
    Searching {
        /// Which.
        oracle: Address,
        /// Blocks that no read has searched yet.
        left: u64,
    },
    /// The contract does not answer as its interface promises.
    #[error("contract {address}: {problem}")]
    Contract {
        /// Which.
        address: Address,
        /// What is wrong.
        problem: String,
    },
    /// The oracle has none of the three interfaces.
    #[error("output oracle {oracle} is none of the generations that we know: {found}")]
    Unsupported {
        /// The oracle.
        oracle: Address,
        /// What was found.
        found: String,
    },
    /// What was handed over is not what the record says; nothing was sent or signed.
    #[error("{0}")]
    Mismatch(String),
    /// The signer did not sign, or signed something else.
    #[error("signer: {0}")]
    Signer(String),
}

impl L1Error {
    /// Whether the same question may find its answer with a fresh head or another endpoint.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Rpc(_) | Self::Backwards { .. } | Self::Torn(_))
    }
}
