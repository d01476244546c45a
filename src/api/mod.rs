//! The operator's interface to a running engine: JSON over HTTP, on a socket in the data directory or on a port.
//!
//! The socket is open to whoever may write in the data directory; the port asks for a name and password. Requests have
//! types of their own, so that the log's types can change without breaking scripts. A command is answered when its
//! events are durable, with their names and position.

mod client;
mod server;

use std::path::{Path, PathBuf};

use prooflog_events::ids::{ChainId, L2Block, ParseIdError, UnitId};
use prooflog_events::input;
use prooflog_events::values::Control;
use serde::{Deserialize, Serialize};

pub(crate) use client::{Client, ClientError};
pub(crate) use server::{Api, ChainReport, Chains, Standing, serve_port, serve_socket};

/// Most bytes of a request.
pub(crate) const REQUEST_BYTES_MAX: usize = 64 << 10;

/// The socket of the engine that holds a data directory.
pub(crate) fn socket(dir: &Path) -> PathBuf {
    dir.join("engine.sock")
}

/// A command to carry out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommandRequest {
    /// What to do.
    pub(crate) command: Command,
    /// Why.
    #[serde(default)]
    pub(crate) note: String,
    /// Who commands; only over the socket. Over a port it is the user.
    #[serde(default)]
    pub(crate) operator: Option<String>,
}

/// What an operator can tell the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Command {
    Pause { chain: ChainId, control: Control },
    Resume { chain: ChainId, control: Control },
    Drain { chain: ChainId },
    Flush { chain: ChainId, to: L2Block },
    Retry { unit: UnitName },
    Park { unit: UnitName },
    Unpark { unit: UnitName },
    Cancel { unit: UnitName },
}

/// A unit by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct UnitName(pub(crate) UnitId);

impl TryFrom<String> for UnitName {
    type Error = ParseIdError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse().map(Self)
    }
}

impl From<UnitName> for String {
    fn from(unit: UnitName) -> Self {
        unit.0.to_string()
    }
}

impl From<Command> for input::Command {
    fn from(command: Command) -> Self {
        match command {
            Command::Pause { chain, control } => Self::Pause { chain, control },
            Command::Resume { chain, control } => Self::Resume { chain, control },
            Command::Drain { chain } => Self::Drain { chain },
            Command::Flush { chain, to } => Self::Flush { chain, to },
            Command::Retry { unit } => Self::Retry { unit: unit.0 },
            Command::Park { unit } => Self::Park { unit: unit.0 },
            Command::Unpark { unit } => Self::Unpark { unit: unit.0 },
            Command::Cancel { unit } => Self::Cancel { unit: unit.0 },
        }
    }
}

/// What a command led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommandAnswer {
    /// Names of the events, in order.
    pub(crate) events: Vec<String>,
    /// Position of the last event decided then; everything up to it is durable.
    pub(crate) position: u64,
}

/// A backup to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupRequest {
    /// A directory that does not exist, as the engine's machine names it. Absolute.
    pub(crate) to: PathBuf,
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackupAnswer {
    /// How far it reaches.
    pub(crate) position: u64,
    /// Hash of its last record.
    pub(crate) hash: String,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ErrorAnswer {
    /// In words.
    pub(crate) error: String,
}
