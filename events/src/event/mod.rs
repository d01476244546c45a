//! Every fact that can happen, one struct per event type, one file per subject.
//!
//! The struct of a type is its payload: its bincode bytes are stored under the type's name and schema version, and
//! golden bytes under `tests/golden/` pin them. An event says one thing in the past tense and holds all the facts of
//! it. A change of a struct, or of anything inside one, is a new version here plus an upcaster in [`upcast`].

mod chain;
mod node;
mod tx;
mod unit;
pub mod upcast;

pub use chain::*;
pub use node::*;
pub use tx::*;
pub use unit::*;

use serde::Serialize;

use crate::codec::{self, CodecError};

/// Why stored bytes are not an event that this release knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The type is not one of ours.
    #[error("unknown event type `{type_name}`: a newer release may know it")]
    UnknownType {
        /// The type's name as stored.
        type_name: String,
    },
    /// The type is ours, the version is not.
    #[error(
        "`{type_name}` version {version} is not known here (this release reads up to {known}): use a newer release"
    )]
    UnknownVersion {
        /// The type's name.
        type_name: &'static str,
        /// The version as stored.
        version: u16,
        /// The newest version this release reads.
        known: u16,
    },
    /// The bytes are not what the version says.
    #[error("`{type_name}` version {version} does not decode: {source}")]
    Payload {
        /// The type's name.
        type_name: &'static str,
        /// The version as stored.
        version: u16,
        /// What is wrong with the bytes.
        source: CodecError,
    },
}

macro_rules! events {
    ($($name:ident = $version:literal),* $(,)?) => {
        /// An event of any type.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        #[expect(missing_docs, reason = "each variant is the struct of its name")]
        pub enum Event {
            $($name($name)),*
        }

        /// The type of an event, without its content.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "each variant is the struct of its name")]
        pub enum EventType {
            $($name),*
        }

        impl EventType {
            /// All types, in the order of the catalog.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name under which the type is stored.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            /// The schema version that is written today.
            #[must_use]
            pub const fn version(self) -> u16 {
                match self { $(Self::$name => $version),* }
            }

        }

        impl Event {
            /// The event's type.
            #[must_use]
            pub const fn event_type(&self) -> EventType {
                match self { $(Self::$name(_) => EventType::$name),* }
            }

            /// The payload's bytes in today's version.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                match self { $(Self::$name(event) => codec::encode(event)),* }
            }

            fn decode_current(event_type: EventType, bytes: &[u8]) -> Result<Self, CodecError> {
                match event_type { $(EventType::$name => codec::decode(bytes).map(Self::$name)),* }
            }

            /// The event that JSON of today's version says; the inverse of its `Serialize`.
            ///
            /// # Errors
            /// What serde says about the JSON.
            pub fn from_json(event_type: EventType, json: serde_json::Value) -> Result<Self, serde_json::Error> {
                match event_type { $(EventType::$name => serde_json::from_value(json).map(Self::$name)),* }
            }
        }

        $(impl From<$name> for Event {
            fn from(event: $name) -> Self {
                Self::$name(event)
            }
        })*
    };
}

events! {
    EngineStarted = 1,
    EngineStopped = 1,
    ChainRegistered = 1,
    PolicyChanged = 1,
    ContractChanged = 1,
    ContractObserved = 1,
    ContractConfigValidated = 1,
    ContractConfigRejected = 1,
    ContractAdvanced = 1,
    ContractConfirmed = 1,
    ContractRolledBack = 1,
    FinalizedStalled = 1,
    FinalizedMoved = 1,
    DegradedModeEntered = 1,
    DegradedModeLeft = 1,
    ProverDegraded = 1,
    ProverRecovered = 1,
    Paused = 1,
    Resumed = 1,
    FlushRequested = 1,
    SpanCreated = 1,
    AggQueued = 1,
    WitnessGenStarted = 1,
    WitnessGenFailed = 1,
    ProofRequested = 1,
    ProofAssigned = 1,
    ProofFulfilled = 1,
    Unfulfillable = 1,
    TimedOut = 1,
    ProofLost = 1,
    LateAnswerRecorded = 1,
    UnknownStatusRecorded = 1,
    DuplicateSpendRecorded = 1,
    Retried = 1,
    Split = 1,
    Parked = 1,
    Unparked = 1,
    Invalidated = 1,
    Cancelled = 1,
    SpanSettled = 1,
    AggSettled = 1,
    Restored = 1,
    ProofPruned = 1,
    CheckpointStarted = 1,
    Checkpointed = 1,
    CheckpointLost = 1,
    OutputChecked = 1,
    OutputMismatched = 1,
    SubmissionStarted = 1,
    SubmissionRefused = 1,
    SubmissionAbandoned = 1,
    Submitted = 1,
    SubmissionConfirmed = 1,
    SubmissionReverted = 1,
    SubmissionReorged = 1,
    TxReserved = 1,
    TxPrepared = 1,
    TxBroadcast = 1,
    TxDropped = 1,
    TxReplaced = 1,
    FeeCeilingReached = 1,
    TxIncluded = 1,
    TxReverted = 1,
    TxReorged = 1,
    TxConfirmed = 1,
    TxAbandoned = 1,
    SignerBalanceLow = 1,
    SignerBalanceRestored = 1,
    NonceDrifted = 1,
}

/// Places in the table of names: four to a name, so that most names stand where they are looked for.
const PLACES: usize = 256;

/// Types by their names. Every fold asks for the type of every record, and one name after another is a long way.
#[expect(
    clippy::indexing_slicing,
    reason = "computed by the compiler: it would not compile if it could panic"
)]
const BY_NAME: [Option<EventType>; PLACES] = {
    let mut table = [None; PLACES];
    let mut types = EventType::ALL;
    while let [kind, rest @ ..] = types {
        let mut at = place(kind.name().as_bytes());
        while table[at].is_some() {
            at = (at + 1) % PLACES;
        }
        table[at] = Some(*kind);
        types = rest;
    }
    table
};

/// Where the search for a name begins.
const fn place(name: &[u8]) -> usize {
    match name {
        [a, b, .., c, d] => {
            let known = u64::from_le_bytes([*a, *b, *c, *d, 0, 0, 0, 0]) + ((name.len() as u64) << 32);
            let [top, ..] = known.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            top as usize
        }
        _ => 0,
    }
}

impl EventType {
    /// The type stored under `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let (before, from) = BY_NAME.split_at_checked(place(name.as_bytes()))?;
        from.iter().chain(before).map_while(|kind| *kind).find(|kind| kind.name() == name)
    }

    /// The type stored under `name`.
    ///
    /// # Errors
    /// When there is none.
    pub fn known(name: &str) -> Result<Self, EventError> {
        let unknown = || EventError::UnknownType { type_name: name.chars().take(256).collect() };
        Self::from_name(name).ok_or_else(unknown)
    }
}

impl Event {
    /// The event stored under `type_name` and `version`, brought up to today's version.
    ///
    /// # Errors
    /// When the type or version is unknown, or the bytes are not one event and nothing else.
    pub fn decode(type_name: &str, version: u16, bytes: &[u8]) -> Result<Self, EventError> {
        Self::decode_as(EventType::known(type_name)?, version, bytes)
    }

    /// As [`Self::decode`], for a type whose name was looked up before.
    ///
    /// # Errors
    /// When the version is unknown, or the bytes are not one event and nothing else.
    pub fn decode_as(event_type: EventType, version: u16, bytes: &[u8]) -> Result<Self, EventError> {
        let payload = |source| EventError::Payload { type_name: event_type.name(), version, source };
        if version == event_type.version() {
            return Self::decode_current(event_type, bytes).map_err(payload);
        }
        match upcast::find(event_type, version) {
            Some(upcast) => upcast(bytes).map_err(payload),
            None => Err(EventError::UnknownVersion {
                type_name: event_type.name(),
                version,
                known: event_type.version(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_by_its_name_and_nothing_by_another() {
        for kind in EventType::ALL {
            assert_eq!(EventType::from_name(kind.name()), Some(*kind));
            let (first, rest) = kind.name().split_at(1);
            assert_eq!(EventType::from_name(&format!("{first}_{rest}")), None);
            assert_eq!(EventType::from_name(rest), None);
        }
        for name in ["", "a", "abc", "SpanCreate", "SpanCreatedd", "SpXnCreated", "spanCreated"] {
            assert_eq!(EventType::from_name(name), None, "{name}");
        }
    }
}
