//! Everything that `decide` can be asked to decide on: observations, answers, due timers, commands.
//!
//! The input of a batch is stored with its first event, so that the log can be replayed as decisions. Inputs are
//! encoded like events: a struct per name, a version, golden bytes, and digests instead of bodies. Inputs that lead to
//! no event are not stored. The moment of an input is the recorded time of its batch and stands beside it.

mod answers;
mod imports;
mod operator;
mod reads;
mod upcast;

pub use answers::*;
pub use imports::*;
pub use operator::*;
pub use reads::*;

use serde::Serialize;

use crate::codec::{self, CodecError};

/// Why stored bytes are not an input that this release knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// The name or version is not known.
    #[error("unknown input `{name}` version {version}: a newer release may know it")]
    Unknown {
        /// The name as stored.
        name: String,
        /// The version as stored.
        version: u16,
    },
    /// The bytes are not what the name says.
    #[error("input `{name}` does not decode: {source}")]
    Payload {
        /// The input's name.
        name: &'static str,
        /// What is wrong with the bytes.
        source: CodecError,
    },
}

macro_rules! inputs {
    ($($name:ident = $version:literal),* $(,)?) => {
        /// An input of any kind.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(tag = "input")]
        #[expect(missing_docs, reason = "each variant is the struct of its name")]
        pub enum Input {
            $($name($name)),*
        }

        impl Input {
            /// All names with the version that is written today.
            pub const ALL: &'static [(&'static str, u16)] = &[$((stringify!($name), $version)),*];

            /// The name under which the input is stored.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name)),* }
            }

            /// The schema version that is written today.
            #[must_use]
            pub const fn version(&self) -> u16 {
                match self { $(Self::$name(_) => $version),* }
            }

            /// The input's bytes in today's version.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                match self { $(Self::$name(input) => codec::encode(input)),* }
            }

            /// The input stored under `name` and `version`.
            ///
            /// # Errors
            /// When it is unknown, or the bytes are not one input and nothing else.
            pub fn decode(name: &str, version: u16, bytes: &[u8]) -> Result<Self, InputError> {
                match (name, version) {
                    $((stringify!($name), $version) => codec::decode(bytes)
                        .map(Self::$name)
                        .map_err(|source| InputError::Payload { name: stringify!($name), source }),)*
                    _ => upcast::read(name, version, bytes),
                }
            }
        }

        $(impl From<$name> for Input {
            fn from(input: $name) -> Self {
                Self::$name(input)
            }
        })*
    };
}

inputs! {
    EngineOpened = 1,
    EngineClosing = 1,
    ChainConfigured = 1,
    TimerDue = 2,
    NodeRead = 1,
    BlocksRead = 1,
    OutputRead = 1,
    ContractRead = 1,
    SignerRead = 1,
    DiskRead = 1,
    ServerValidated = 1,
    WitnessAnswered = 1,
    StatusAnswered = 1,
    TxQuoted = 1,
    TxSigned = 1,
    TxSent = 1,
    OperatorCommanded = 1,
    RowsImported = 1,
    MembersRefused = 1,
}
