//! Every error of the command line and its exit code, in one table.
//!
//! 0 done, 1 a bug, 2 wrong usage or configuration, 3 something outside is not available, 4 the log is damaged or does
//! not verify, 5 a replay differs from the record, 6 the doctor found something that must be mended, 7 what was looked
//! for is nowhere.

use std::path::PathBuf;
use std::process::ExitCode;

use prooflog_audit::AuditError;
use prooflog_config::ConfigErrors;
use prooflog_engine::RingError;
use prooflog_engine::redecide::RedecideError;
use prooflog_events::ids::Position;
use prooflog_events::port::SequenceError;
use prooflog_import::ImportError;
use prooflog_log::VerifyError;
use prooflog_log::export::ExportError;
use prooflog_replay::ReplayError;
use prooflog_service::ServiceError;
use prooflog_store::{ErrorKind, StoreError};

use crate::api::ClientError;
use crate::run::RunError;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log cannot be read.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// The log cannot be folded.
    #[error("the log does not fold: {0}")]
    Replay(#[from] ReplayError),
    /// The log does not verify.
    #[error("the log does not verify: {0}")]
    Verify(#[from] VerifyError),
    /// The export cannot be written.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The file of an export cannot be taken.
    #[error("{}: {source}{}", path.display(), instead(source))]
    ExportFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ExportError,
    },
    /// Nothing could be written.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The configuration has problems.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The engine could not start, or ended.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Recorded decisions cannot be made again.
    #[error("the log does not replay: {0}")]
    Redecide(#[from] RedecideError),
    /// Today's rules decide something else than was recorded.
    #[error("the replay differs from the record at position {0}")]
    Difference(Position),
    /// The audit has no answer, or a claim is not true.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Something was found that must be mended.
    #[error("{0}")]
    Findings(String),
    /// What was looked for is nowhere in the log.
    #[error("{0}")]
    NotFound(String),
    /// The running engine did not do it.
    #[error(transparent)]
    Engine(#[from] ClientError),
    /// The database of another proposer cannot be read.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// What was taken over cannot be recorded.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// Something outside does not answer.
    #[error("{0}")]
    Outside(String),
    /// What cannot happen did.
    #[error("{0}: this is a bug")]
    Bug(String),
    /// What was asked for is not there.
    #[error("{0}")]
    Usage(String),
}

const BUG: u8 = 1;
const USAGE: u8 = 2;
const UNAVAILABLE: u8 = 3;
const DAMAGED: u8 = 4;
const DIFFERENT: u8 = 5;
const FINDINGS: u8 = 6;
const NOT_FOUND: u8 = 7;

/// What to do instead, where a file is not what it was taken for.
const fn instead(error: &ExportError) -> &'static str {
    match error {
        ExportError::Foreign { .. } => {
            "; a log is a data directory, a backup, or a file that `prooflog export` wrote"
        }
        ExportError::Line { .. } | ExportError::Record { .. } => {
            "; nothing from there on is taken: use another copy, or export the log again"
        }
        ExportError::Log(_) | ExportError::Io(_) => "",
    }
}

const fn export_code(error: &ExportError) -> u8 {
    match error {
        ExportError::Foreign { .. } => USAGE,
        ExportError::Line { .. }
        | ExportError::Record { .. }
        | ExportError::Log(SequenceError::Damaged { .. }) => DAMAGED,
        ExportError::Log(_) | ExportError::Io(_) => UNAVAILABLE,
    }
}

const fn store_code(error: &StoreError) -> u8 {
    match error.kind() {
        ErrorKind::Usage => USAGE,
        ErrorKind::Unavailable => UNAVAILABLE,
        ErrorKind::Damaged => DAMAGED,
    }
}

/// The engine's own errors: what the disk refuses is outside, what a rule got wrong is a bug.
const fn run_code(error: &RunError) -> u8 {
    match error {
        RunError::Store(error) => store_code(error),
        RunError::Sequence(SequenceError::Damaged { .. })
        | RunError::Service(ServiceError::Ring(RingError::Replay(_))) => DAMAGED,
        RunError::Service(
            ServiceError::Ring(RingError::Bug(_) | RingError::Refused(_)) | ServiceError::Died,
        ) => BUG,
        RunError::Log(_) | RunError::Access(_) | RunError::Tls(_) | RunError::NoRollup(_) => USAGE,
        RunError::Sequence(_)
        | RunError::Service(_)
        | RunError::Listen { .. }
        | RunError::NotSynced(_)
        | RunError::Io { .. } => UNAVAILABLE,
    }
}

impl CliError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }

    /// The exit code that scripts may rely on.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Store(error) => store_code(error),
            Self::Sequence(SequenceError::Damaged { .. })
            | Self::Replay(_)
            | Self::Verify(_)
            | Self::Redecide(_) => DAMAGED,
            Self::Difference(_) => DIFFERENT,
            Self::Export(error) | Self::ExportFile { source: error, .. } => export_code(error),
            Self::Engine(ClientError::Refused(_)) => USAGE,
            Self::Sequence(_) | Self::Io { .. } | Self::Engine(_) => UNAVAILABLE,
            Self::Audit(error) => match error.kind() {
                prooflog_audit::ErrorKind::Usage => USAGE,
                prooflog_audit::ErrorKind::Unavailable => UNAVAILABLE,
                prooflog_audit::ErrorKind::Damaged => DAMAGED,
            },
            Self::Run(error) => run_code(error),
            Self::Findings(_) => FINDINGS,
            Self::Import(error) if error.is_usage() => USAGE,
            Self::Ring(RingError::Refused(_)) => USAGE,
            Self::Ring(RingError::Bug(_)) | Self::Bug(_) => BUG,
            Self::Ring(RingError::Replay(_)) => DAMAGED,
            Self::Import(_) | Self::Ring(RingError::Append(_)) | Self::Outside(_) => UNAVAILABLE,
            Self::NotFound(_) => NOT_FOUND,
            Self::Config(_) | Self::Usage(_) => USAGE,
        })
    }
}
