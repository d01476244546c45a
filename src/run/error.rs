//! Why the engine could not start, or ended.

use prooflog_events::port::SequenceError;
use prooflog_observe::LogError;
use prooflog_service::ServiceError;
use prooflog_store::StoreError;

/// Why the engine could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log cannot be read.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// The engine ended.
    #[error("the engine ended: {0}")]
    Service(#[from] ServiceError),
    /// The log of the process cannot be set up.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A listener cannot be had.
    #[error(
        "cannot listen on {address}: {source}; another process may be there, choose another with --{flag}"
    )]
    Listen {
        /// Where.
        address: String,
        /// The flag that says where.
        flag: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The credentials cannot be used.
    #[error(transparent)]
    Access(#[from] prooflog_access::AccessError),
    /// The certificate of the EventStore interface cannot be used.
    #[error("the EventStore interface: {0}")]
    Tls(#[from] prooflog_eventstore::TlsError),
    /// Every rollup is stopped.
    #[error("no rollup can run, so the process ends; {0}")]
    NoRollup(String),
    /// A rollup node did not catch up in time, and no rollup is left.
    #[error("a rollup node is not in sync, and no rollup runs, so the process ends; {0}")]
    NotSynced(String),
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl RunError {
    pub(crate) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
