//! What kind of trouble a call met, for the metrics: each adapter has its own errors, the dashboards have one list.

use prooflog_l1::L1Error;
use prooflog_net::{Failure, HttpError};
use prooflog_node::NodeError;
use prooflog_observe::CallFailure;

/// An error of an adapter.
pub(crate) trait Kind {
    /// What kind of trouble it is.
    fn kind(&self) -> CallFailure;
}

impl Kind for Failure {
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

impl Kind for HttpError {
    fn kind(&self) -> CallFailure {
        Failure::from(self).kind()
    }
}

impl Kind for NodeError {
    fn kind(&self) -> CallFailure {
        match self {
            Self::Rpc(error) => Failure::from(error).kind(),
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
            Self::Rpc(fault) => Failure::from(fault).kind(),
            Self::Contract { .. } => CallFailure::Malformed,
            _ => CallFailure::Other,
        }
    }
}
