//! What is wrong, what is worth knowing, and where it stands.
//!
//! Everything here is meant to be shown, so nothing in it holds a value that could be a secret: origins are names and
//! lines, never what was written there.

use std::fmt;
use std::path::PathBuf;

use prooflog_events::ids::ChainId;
use serde::{Serialize, Serializer};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nothing said otherwise.
    Default,
    /// A line of the configuration file, from 1.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// A line of the file given with `--env-file`, from 1.
    EnvFile {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The variable.
        name: String,
    },
    /// A variable of the environment.
    Env {
        /// Its name.
        name: String,
    },
    /// A flag of the command line.
    Flag {
        /// Its name, without dashes.
        name: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::EnvFile { path, line, name } => write!(f, "{name} in {}:{line}", path.display()),
            Self::Env { name } => write!(f, "variable {name}"),
            Self::Flag { name } => write!(f, "--{name}"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The key, or what was written in its place.
    pub key: String,
    /// Where it stands; `None` for what is missing.
    pub origin: Option<Origin>,
    /// What is wrong.
    pub wrong: String,
    /// What would be right.
    pub right: String,
}

impl Problem {
    pub(crate) fn new(
        key: impl Into<String>,
        origin: Option<Origin>,
        wrong: impl Into<String>,
        right: impl Into<String>,
    ) -> Self {
        Self { key: key.into(), origin, wrong: wrong.into(), right: right.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(origin) = self.origin.as_ref().filter(|origin| **origin != Origin::Default) {
            write!(f, " ({origin})")?;
        }
        write!(f, ": {}", self.wrong)?;
        if !self.right.is_empty() {
            write!(f, "; {}", self.right)?;
        }
        Ok(())
    }
}

/// Everything that keeps the process from starting, in the order of the sources.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<Problem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "the configuration has a problem: {one}"),
            many => {
                write!(f, "the configuration has {} problems:", many.len())?;
                many.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

/// Why one rollup of several is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct ChainProblem {
    /// Its L2 chain id, where that much could be read.
    pub id: Option<ChainId>,
    /// Its name, or its place in the file.
    pub name: String,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ChainProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chain {} is left out:", self.name)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// What kind of thing a [`Note`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// An older name was taken for one of our keys.
    Mapped,
    /// A key that nobody set has another default than the older proposers had.
    DefaultDiffers,
    /// An older setting belongs to the prover's server now.
    Moved,
    /// An older setting has no effect.
    Dead,
    /// Something works and may not be what was meant.
    Warning,
}

impl NoteKind {
    const fn word(self) -> &'static str {
        match self {
            Self::Mapped => "mapped",
            Self::DefaultDiffers => "other default",
            Self::Moved => "moved",
            Self::Dead => "no effect",
            Self::Warning => "warning",
        }
    }
}

/// Something the operator should know; it stops nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What kind of thing it is.
    pub kind: NoteKind,
    /// What it is about: the name as the operator wrote it.
    pub name: String,
    /// Our key, if there is one.
    pub key: Option<&'static str>,
    /// The value that was read, secrets and addresses masked.
    pub value: Option<String>,
    /// Whether the meaning of the older name changed.
    pub changed: bool,
    /// The rest of it, in words.
    pub text: String,
}

impl Note {
    pub(crate) fn warning(
        name: impl Into<String>,
        key: Option<&'static str>,
        text: impl Into<String>,
    ) -> Self {
        Self {
            kind: NoteKind::Warning,
            name: name.into(),
            key,
            value: None,
            changed: false,
            text: text.into(),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.word(), self.name)?;
        if let Some(key) = self.key.filter(|key| *key != self.name) {
            write!(f, " -> {key}")?;
        }
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if self.changed {
            f.write_str(" [meaning changed]")?;
        }
        if !self.text.is_empty() {
            write!(f, ": {}", self.text)?;
        }
        Ok(())
    }
}
