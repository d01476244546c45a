//! What can go wrong with a log's directory: what happened, where, and what to do about it.
//!
//! Every error names the directory, says whether anything was changed, and belongs to one kind, which decides the exit
//! code of a command.

use std::io;
use std::path::{Path, PathBuf};

use prooflog_events::ids::Position;
use prooflog_events::port::SequenceError;

/// What an error means for whoever started the program; each kind has one exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// Asked for something that makes no sense: exit code 2.
    Usage,
    /// Something outside is in the way: held by another process, no room, no permission. Exit code 3.
    Unavailable,
    /// The log is damaged: exit code 4.
    Damaged,
}

/// Why a log's directory could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open for writing.
    #[error(
        "the log in {dir} is held by {holder}: stop it, or use a command that only reads",
        dir = dir.display(),
        holder = holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Held {
        /// The log's directory.
        dir: PathBuf,
        /// The process that holds it, if it said so.
        holder: Option<u32>,
    },
    /// There is no log.
    #[error("there is no log in {}: is that its name? `prooflog run` makes a new one", dir.display())]
    NotFound {
        /// The directory.
        dir: PathBuf,
    },
    /// A new log or copy would overwrite something.
    #[error("{} is not empty: choose a new directory", dir.display())]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
    },
    /// Acknowledged records are missing.
    #[error(
        "the log in {dir} ends at position {found}, and position {expected} was acknowledged: nothing was changed; \
         restore a backup, or look for the missing files",
        dir = dir.display()
    )]
    BelowHead {
        /// The log's directory.
        dir: PathBuf,
        /// The newest record that is there.
        found: Position,
        /// The newest record that was acknowledged.
        expected: Position,
    },
    /// Stored bytes are not what was written.
    #[error(
        "the log in {dir} is damaged{at}: {what}; nothing was changed; restore a backup",
        dir = dir.display(),
        at = position.map_or_else(String::new, |position| format!(" at position {position}"))
    )]
    Damaged {
        /// The log's directory.
        dir: PathBuf,
        /// Where, if that is known.
        position: Option<Position>,
        /// What was found.
        what: String,
    },
    /// Written by a release with another format.
    #[error("the log in {dir} has format {found}, this release reads format {known}: use the release that wrote it", dir = dir.display())]
    UnknownFormat {
        /// The log's directory.
        dir: PathBuf,
        /// Its format.
        found: u32,
        /// The format of this release.
        known: u32,
    },
    /// The disk is full.
    #[error("no space left on the disk of {dir}: free some and try again ({what})", dir = dir.display())]
    NoSpace {
        /// The log's directory.
        dir: PathBuf,
        /// What needed the room.
        what: String,
    },
    /// A copy is not what it was made from.
    #[error("the copy in {dir} does not hold what it was made from: {what}; it is not a backup", dir = dir.display())]
    CopyDiffers {
        /// The copy's directory.
        dir: PathBuf,
        /// What differs.
        what: String,
    },
    /// The system refused.
    #[error("{doing} {path}: {source}", path = path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The storage engine refused.
    #[error("the log in {dir}: {what}", dir = dir.display())]
    Refused {
        /// The log's directory.
        dir: PathBuf,
        /// What it said.
        what: String,
    },
}

impl StoreError {
    /// What it means for whoever started the program.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } | Self::NotEmpty { .. } => ErrorKind::Usage,
            Self::Held { .. } | Self::NoSpace { .. } | Self::Io { .. } | Self::Refused { .. } => {
                ErrorKind::Unavailable
            }
            Self::BelowHead { .. }
            | Self::Damaged { .. }
            | Self::UnknownFormat { .. }
            | Self::CopyDiffers { .. } => ErrorKind::Damaged,
        }
    }

    /// The position that the error is about, if it is about one.
    #[must_use]
    pub const fn position(&self) -> Option<Position> {
        match self {
            Self::Damaged { position, .. } => *position,
            Self::BelowHead { found, .. } => Some(*found),
            _ => None,
        }
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { dir: path, what: format!("{doing}: {source}") }
            }
            _ => Self::Io { doing, path, source },
        }
    }

    pub(crate) fn sequence(dir: &Path) -> impl FnOnce(SequenceError) -> Self {
        let dir = dir.to_owned();
        move |error| match error {
            SequenceError::Damaged { position, what } => Self::Damaged { dir, position, what },
            SequenceError::Unavailable { what } => Self::Refused { dir, what },
            SequenceError::Fenced { .. } => Self::Refused { dir, what: error.to_string() },
        }
    }

    /// The way back of [`StoreError::sequence`].
    pub(crate) fn into_sequence(self) -> SequenceError {
        match self {
            Self::Damaged { position, what, .. } => SequenceError::Damaged { position, what },
            other => SequenceError::Unavailable { what: other.to_string() },
        }
    }

    pub(crate) fn rocks(dir: &Path, error: &rocksdb::Error) -> Self {
        let (dir, what) = (dir.to_owned(), error.to_string());
        match class(error) {
            Class::Full => Self::NoSpace { dir, what },
            Class::Damaged => Self::Damaged { dir, position: None, what },
            Class::Other => Self::Refused { dir, what },
        }
    }
}

/// What an error of the storage engine is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Full,
    Damaged,
    Other,
}

/// The engine's errors are texts; these are the two that call for different actions.
pub(crate) fn class(error: &rocksdb::Error) -> Class {
    let text: &str = error.as_ref();
    if text.contains("No space left") || text.contains("File too large") || text.contains("quota") {
        return Class::Full;
    }
    match error.kind() {
        rocksdb::ErrorKind::Corruption => Class::Damaged,
        _ if text.contains("No such file") => Class::Damaged,
        _ => Class::Other,
    }
}

/// An error met while reading at `position`.
pub(crate) fn reading(position: Option<Position>, error: &rocksdb::Error) -> SequenceError {
    match class(error) {
        Class::Damaged => SequenceError::Damaged { position, what: error.to_string() },
        Class::Full | Class::Other => {
            SequenceError::Unavailable { what: format!("reading the log: {error}") }
        }
    }
}

/// An error met while writing.
pub(crate) fn writing(what: &str, error: &rocksdb::Error) -> SequenceError {
    SequenceError::Unavailable { what: format!("{what}: {error}") }
}
