//! What holds in the end, and from where; and its digest.

use std::fmt;

use prooflog_events::ids::{ChainId, Hash32};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::problem::Origin;

/// The value in force of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EffectiveValue {
    /// The rollup; `None` for the process.
    pub chain: Option<ChainId>,
    /// The key.
    pub key: &'static str,
    /// The value: secrets as `***`, addresses as scheme, host and digest; empty where there is none.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

impl fmt::Display for EffectiveValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(chain) = self.chain {
            write!(f, "[{chain}] ")?;
        }
        let value = if self.value.is_empty() { "-" } else { &self.value };
        write!(f, "{} = {value}  ({})", self.key, self.origin)
    }
}

/// SHA-256 over what holds: keys in their order, chains by id. Where a value came from does not count, nor does a
/// secret beyond that there is one.
pub(crate) fn digest(values: &[EffectiveValue]) -> Hash32 {
    let mut sorted: Vec<&EffectiveValue> = values.iter().collect();
    sorted.sort_by_key(|value| (value.chain, value.key));
    let mut hasher = Sha256::new();
    for value in sorted {
        hasher.update(value.chain.map_or(0, |chain| chain.0).to_be_bytes());
        for part in [value.key, &value.value] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
    }
    Hash32(hasher.finalize().into())
}
