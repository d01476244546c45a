//! Every way in which the audit does not answer, and what each means for whoever asked.

use std::io;

use prooflog_events::envelope::EnvelopeError;
use prooflog_events::ids::{LogId, Position};
use prooflog_events::port::SequenceError;
use prooflog_projections::FactError;

/// What an error means for whoever started the program; each kind has one exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Asked for something that makes no sense, or with a file that is not what it should be.
    Usage,
    /// Something outside is in the way.
    Unavailable,
    /// The log is damaged, or what was claimed of it is not true.
    Damaged,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] SequenceError),
    /// A record's bytes are damaged.
    #[error("position {position}: {source}")]
    Envelope {
        /// Where.
        position: Position,
        /// What is wrong.
        source: EnvelopeError,
    },
    /// A record is not one that this release knows.
    #[error(transparent)]
    Fact(#[from] FactError),
    /// A file could not be read or written.
    #[error("{what}: {source}")]
    Io {
        /// Which file.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A text is not what it should be.
    #[error("this is not {expected}: {why}")]
    Form {
        /// What it should be.
        expected: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A key cannot be used.
    #[error("{0}")]
    Key(String),
    /// Something was asked for that cannot be answered.
    #[error("{0}")]
    Ask(String),
    /// A claim is not true: a signature, a proof or a checkpoint does not hold.
    #[error("{0}")]
    Refuted(String),
}

/// That a key signs for another log.
pub(crate) fn other_key(of: LogId, log: LogId) -> AuditError {
    AuditError::Key(format!(
        "the key is for log {of}, this is log {log}: `audit keygen` makes one for this log"
    ))
}

impl AuditError {
    /// What it means for whoever started the program.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Form { .. } | Self::Key(_) | Self::Ask(_) => ErrorKind::Usage,
            Self::Io { .. } | Self::Log(SequenceError::Unavailable { .. } | SequenceError::Fenced { .. }) => {
                ErrorKind::Unavailable
            }
            Self::Log(SequenceError::Damaged { .. })
            | Self::Envelope { .. }
            | Self::Fact(_)
            | Self::Refuted(_) => ErrorKind::Damaged,
        }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }
}
