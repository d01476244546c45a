//! Whether a rollup node records which L2 block was safe at which L1 block.
//!
//! Three answers that must not be mistaken for each other: on, off, and not known because the node could not be asked.
//! Only an unknown method, or an error that names the database, means off; advice to switch it on rests on nothing
//! else. What a crash in here means: nothing; this is a pure function of an answer.

use prooflog_net::RpcError;
use serde::Deserialize;
use serde_json::Value;

use crate::error::{NodeError, tame};
use crate::wire::BlockId;

pub(crate) const METHOD: &str = "optimism_safeHeadAtL1Block";

/// An answer of `optimism_safeHeadAtL1Block`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SafeHead {
    /// The L1 block at which the safe head became what it is.
    pub l1_block: BlockId,
    /// The L2 block that was safe there.
    pub safe_head: BlockId,
}

/// What a probe of the database found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SafeDb {
    /// It is on. `None`: it holds nothing for the L1 block asked for.
    On(Option<SafeHead>),
    /// It is off.
    Off {
        /// The node's own words.
        message: String,
    },
    /// The node could not be asked, or answered something else: wait, and say this.
    Unknown {
        /// Exactly what happened.
        cause: NodeError,
    },
}

/// Words by which nodes name the database in an error that it is off.
const NAMES: [&str; 4] = ["safedb", "safe db", "safe head database", "safe-head database"];

/// What an answer to the probe means.
pub(crate) fn classify(endpoint: &str, answer: Result<Value, RpcError>) -> SafeDb {
    match answer {
        Ok(value) => match safe_head(value) {
            Ok(found) => SafeDb::On(Some(found)),
            Err(problem) => {
                let endpoint = endpoint.to_owned();
                SafeDb::Unknown { cause: NodeError::Malformed { endpoint, method: METHOD, problem } }
            }
        },
        Err(error) => refused(error),
    }
}

fn refused(error: RpcError) -> SafeDb {
    if let RpcError::Refused { message, .. } = &error {
        let words = message.to_ascii_lowercase();
        if error.is_unknown_method() || NAMES.iter().any(|name| words.contains(name)) {
            return SafeDb::Off { message: tame(message) };
        }
        // The database's own word for an L1 block below its first entry.
        if words.trim() == "not found" {
            return SafeDb::On(None);
        }
    }
    SafeDb::Unknown { cause: error.into() }
}

fn safe_head(value: Value) -> Result<SafeHead, String> {
    if value.is_null() {
        return Err("the result is null".to_owned());
    }
    serde_json::from_value(value).map_err(|error| tame(&error.to_string()))
}
