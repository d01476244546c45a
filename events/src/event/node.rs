//! Events of the process that writes the log, stream `node-engine`.
//!
//! They mark where one run of the engine ends and the next begins: calls to the prover that are open at a start belong
//! to a run that is over.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::ids::Hash32;

/// The engine opened the log for writing; always the first event after an open.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct EngineStarted {
    /// Release of the program.
    pub release: String,
    /// Version of the rules in `decide`; it grows when the same input may lead to other events.
    pub behaviour: u32,
    /// Format of the log.
    pub format: u16,
    /// SHA-256 over the configuration in force, secrets left out.
    pub policy: Hash32,
}

/// The engine ended in order; what was in flight stays on record.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct EngineStopped {
    /// Why it ended.
    pub reason: String,
}
