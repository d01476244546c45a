//! What kind of trouble a call met, for the metrics: each adapter has its own errors, the dashboards have one list.

use prooflog_l1::{L1Error, RpcFault};
use prooflog_net::{HttpError, RpcError};
use prooflog_node::NodeError;
use prooflog_observe::CallFailure;
use prooflog_prover::Trouble;

/// An error of an adapter.
pub(crate) trait Kind {
    /// What kind of trouble it is.
    fn kind(&self) -> CallFailure;
}

impl Kind for HttpError {
    fn kind(&self) -> CallFailure {
        match self {
            Self::Unreachable(_) => CallFailure::Unreachable,
            Self::Timeout(_) => CallFailure::Timeout,
            Self::Dropped(_) => CallFailure::Dropped,
            Self::TooLarge(_) => CallFailure::TooLarge,
            Self::Status { .. } => CallFailure::Refused,
        }
    }
}

impl Kind for RpcError {
    fn kind(&self) -> CallFailure {
        match self {
            Self::Http { source, .. } => source.kind(),
            Self::Refused { .. } => CallFailure::Refused,
            Self::Malformed { .. } => CallFailure::Malformed,
        }
    }
}

impl Kind for NodeError {
    fn kind(&self) -> CallFailure {
        match self {
            Self::Rpc(error) => error.kind(),
            Self::Malformed { .. } | Self::Untrue { .. } => CallFailure::Malformed,
            Self::NotReady { .. } | Self::Behind { .. } | Self::Limited { .. } => CallFailure::Refused,
            // The preferred endpoint's trouble is the one to mend first.
            Self::Nobody { causes } => causes.first().map_or(CallFailure::Other, |(_, cause)| cause.kind()),
            Self::NoEndpoint => CallFailure::Other,
        }
    }
}

impl Kind for L1Error {
    fn kind(&self) -> CallFailure {
        match self {
            Self::Rpc(RpcFault::Http { source, .. }) => source.kind(),
            Self::Rpc(RpcFault::Refused { .. }) => CallFailure::Refused,
            Self::Rpc(RpcFault::Malformed { .. }) | Self::Contract { .. } => CallFailure::Malformed,
            _ => CallFailure::Other,
        }
    }
}

impl Kind for Trouble {
    fn kind(&self) -> CallFailure {
        match self {
            Self::Unreachable => CallFailure::Unreachable,
            Self::Timeout => CallFailure::Timeout,
            Self::Dropped => CallFailure::Dropped,
            Self::TooLarge => CallFailure::TooLarge,
            Self::Refused => CallFailure::Refused,
            Self::Malformed => CallFailure::Malformed,
        }
    }
}
