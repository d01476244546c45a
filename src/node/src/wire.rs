//! What nodes answer, read strictly.
//!
//! Numbers of the `optimism_` methods are JSON integers, those of `eth_` are 0x-hex; hashes are 0x and 64 digits. What
//! has another shape is refused with words, and a zero or missing reference is `None`: it is what a node says before it
//! knows. What a crash in here means: nothing; these are pure functions.

use std::collections::BTreeMap;

use prooflog_events::ids::{Hash32, L2Block, Micros};
use prooflog_events::input::BlockStats;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde_json::Value;
use sha3::{Digest, Keccak256};

use crate::error::tame;

/// Number and hash of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct BlockId {
    /// The hash.
    #[serde(deserialize_with = "hash")]
    pub hash: Hash32,
    /// The number.
    pub number: u64,
}

/// An L1 block as the rollup node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct L1Block {
    /// The hash.
    #[serde(deserialize_with = "hash")]
    pub hash: Hash32,
    /// The number.
    pub number: u64,
    /// Its time, in seconds since the Unix epoch.
    #[serde(default)]
    pub timestamp: u64,
}

/// An L2 block as the rollup node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct L2Head {
    /// The hash.
    #[serde(deserialize_with = "hash")]
    pub hash: Hash32,
    /// The number.
    pub number: u64,
    /// Its time, in seconds since the Unix epoch.
    #[serde(default)]
    pub timestamp: u64,
    /// The L1 block that it rests on, where the node says.
    #[serde(default)]
    pub l1origin: Option<BlockId>,
}

impl L2Head {
    /// Its time; one beyond what can be told is the end of time.
    #[must_use]
    pub const fn time(&self) -> Micros {
        Micros(0).plus_secs(self.timestamp)
    }
}

/// Where the rollup node stands. A reference that the node does not know yet is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncStatus {
    /// L1 block up to which it has derived.
    pub current_l1: Option<L1Block>,
    /// Head of the L1.
    pub head_l1: Option<L1Block>,
    /// Safe L1 block.
    pub safe_l1: Option<L1Block>,
    /// Finalized L1 block.
    pub finalized_l1: Option<L1Block>,
    /// Newest L2 block.
    pub unsafe_l2: Option<L2Head>,
    /// L2 block derived from L1 data.
    pub safe_l2: Option<L2Head>,
    /// L2 block derived from finalized L1 data.
    pub finalized_l2: Option<L2Head>,
}

#[derive(Deserialize)]
struct RawStatus {
    #[serde(default)]
    current_l1: Option<L1Block>,
    #[serde(default)]
    head_l1: Option<L1Block>,
    #[serde(default)]
    safe_l1: Option<L1Block>,
    #[serde(default)]
    finalized_l1: Option<L1Block>,
    #[serde(default)]
    unsafe_l2: Option<L2Head>,
    #[serde(default)]
    safe_l2: Option<L2Head>,
    #[serde(default)]
    finalized_l2: Option<L2Head>,
}

impl SyncStatus {
    /// Reads an answer of `optimism_syncStatus`.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn parse(value: Value) -> Result<Self, String> {
        object::<RawStatus>(value).map(Self::from)
    }
}

impl From<RawStatus> for SyncStatus {
    fn from(raw: RawStatus) -> Self {
        let l1 = |block: Option<L1Block>| block.filter(|block| block.hash != Hash32::default());
        let l2 = |block: Option<L2Head>| block.filter(|block| block.hash != Hash32::default());
        Self {
            current_l1: l1(raw.current_l1),
            head_l1: l1(raw.head_l1),
            safe_l1: l1(raw.safe_l1),
            finalized_l1: l1(raw.finalized_l1),
            unsafe_l2: l2(raw.unsafe_l2),
            safe_l2: l2(raw.safe_l2),
            finalized_l2: l2(raw.finalized_l2),
        }
    }
}

impl<'de> Deserialize<'de> for SyncStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RawStatus::deserialize(deserializer).map(Self::from)
    }
}

/// An answer of `optimism_outputAtBlock`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// Version of the root's construction; only zero is known.
    #[serde(deserialize_with = "hash")]
    pub version: Hash32,
    /// The output root.
    #[serde(deserialize_with = "hash")]
    pub output_root: Hash32,
    /// The block.
    pub block_ref: L2Head,
    /// Root of the withdrawals' storage.
    #[serde(deserialize_with = "hash")]
    pub withdrawal_storage_root: Hash32,
    /// Root of the state.
    #[serde(deserialize_with = "hash")]
    pub state_root: Hash32,
    /// Where the node stood.
    #[serde(default)]
    pub sync_status: Option<SyncStatus>,
}

impl Output {
    /// Reads an answer of `optimism_outputAtBlock`.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn parse(value: Value) -> Result<Self, String> {
        object(value)
    }

    /// The root that its parts make.
    #[must_use]
    pub fn computed_root(&self) -> Hash32 {
        let parts = [self.version, self.state_root, self.withdrawal_storage_root, self.block_ref.hash];
        let hasher = parts.iter().fold(Keccak256::new(), |hasher, part| hasher.chain_update(part.0));
        Hash32(hasher.finalize().into())
    }

    /// What speaks against this being the output of `block`.
    ///
    /// # Errors
    /// With the first check that fails, in words.
    pub fn check(&self, block: L2Block) -> Result<(), String> {
        if self.version != Hash32::default() {
            return Err(format!("output version {} is not known", self.version));
        }
        if self.block_ref.number != block.0 {
            return Err(format!("block {block} was asked for, {} came back", self.block_ref.number));
        }
        if self.block_ref.hash == Hash32::default() {
            return Err("the block's hash is zero".to_owned());
        }
        let computed = self.computed_root();
        if self.output_root != computed {
            return Err(format!("the root is given as {} and its parts make {computed}", self.output_root));
        }
        Ok(())
    }
}

/// What the rollup node knows of its rollup. What older nodes leave out is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollupConfig {
    /// Chain id of the rollup.
    pub l2_chain_id: u64,
    /// Chain id of its L1.
    pub l1_chain_id: u64,
    /// Seconds between two L2 blocks.
    pub block_time: u64,
    /// The L1 block that the rollup begins at.
    pub genesis_l1: Option<BlockId>,
    /// The rollup's first block; not number 0 where a chain was migrated.
    pub genesis_l2: Option<BlockId>,
    /// Everything the node told, one entry per value: `genesis.system_config.gasLimit` = `30000000`. At most
    /// [`SETTINGS_MAX`] of them.
    pub settings: BTreeMap<String, String>,
}

/// Most values of a rollup's configuration that are kept; nodes tell about forty.
pub const SETTINGS_MAX: usize = 512;
/// Longest path of a value that is kept, in bytes.
const PATH_MAX: usize = 1_024;

#[derive(Deserialize)]
struct RawConfig {
    l2_chain_id: u64,
    l1_chain_id: u64,
    block_time: u64,
    #[serde(default)]
    genesis: RawGenesis,
}

#[derive(Default, Deserialize)]
struct RawGenesis {
    #[serde(default)]
    l1: Option<BlockId>,
    #[serde(default)]
    l2: Option<BlockId>,
}

impl RollupConfig {
    /// Reads an answer of `optimism_rollupConfig`.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn parse(value: Value) -> Result<Self, String> {
        let mut settings = BTreeMap::new();
        flatten("", &value, &mut settings);
        let raw: RawConfig = object(value)?;
        if raw.l2_chain_id == 0 || raw.l1_chain_id == 0 || raw.block_time == 0 {
            return Err("a chain id or the block time is zero".to_owned());
        }
        let known = |block: Option<BlockId>| block.filter(|block| block.hash != Hash32::default());
        Ok(Self {
            l2_chain_id: raw.l2_chain_id,
            l1_chain_id: raw.l1_chain_id,
            block_time: raw.block_time,
            genesis_l1: known(raw.genesis.l1),
            genesis_l2: known(raw.genesis.l2),
            settings,
        })
    }
}

/// The values of an object under their paths. What the JSON reader takes has a limit on its depth.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    if let Value::Object(fields) = value {
        for (name, value) in fields {
            let dot = if path.is_empty() { "" } else { "." };
            flatten(&format!("{path}{dot}{}", tame(name)), value, into);
        }
        return;
    }
    if into.len() < SETTINGS_MAX && path.len() <= PATH_MAX {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        into.insert(path.to_owned(), tame(&text));
    }
}

/// Size of the block `number` as `eth_getBlockByNumber(number, false)` tells it; `None` where there is no such block.
///
/// # Errors
/// With what is wrong with the answer; another block than the one asked for is wrong.
pub fn block_stats(value: &Value, number: u64) -> Result<Option<BlockStats>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let got = quantity(value.get("number"), "number")?;
    if got != number {
        return Err(format!("block {number} was asked for, {got} came back"));
    }
    let gas = quantity(value.get("gasUsed"), "gasUsed")?;
    let transactions =
        value.get("transactions").and_then(Value::as_array).ok_or("`transactions` is not a list")?;
    let transactions = u32::try_from(transactions.len()).map_err(|_| "too many transactions".to_owned())?;
    Ok(Some(BlockStats { gas, transactions }))
}

/// A 0x-hex number of at most 64 bits.
pub(crate) fn quantity(value: Option<&Value>, name: &str) -> Result<u64, String> {
    let Some(text) = value.and_then(Value::as_str) else {
        return Err(format!("`{name}` is not a 0x-hex text"));
    };
    let digits = text.strip_prefix("0x").filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| format!("`{name}` is `{}`, not a 0x-hex number of 64 bits", tame(text)))
}

/// A 0x-hex hash under `name`.
pub(crate) fn hash_of(value: &Value, name: &str) -> Result<Hash32, String> {
    let text = value.get(name).and_then(Value::as_str).unwrap_or_default();
    parse_hash(text).ok_or_else(|| format!("`{name}` is `{}`, not 0x and 32 bytes hex", tame(text)))
}

fn object<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    match value {
        Value::Null => Err("the result is null".to_owned()),
        Value::Object(_) => serde_json::from_value(value).map_err(|error| tame(&error.to_string())),
        _ => Err("the result is not an object".to_owned()),
    }
}

fn parse_hash(text: &str) -> Option<Hash32> {
    text.strip_prefix("0x").filter(|digits| digits.len() == 64)?;
    text.parse().ok()
}

fn hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hash32, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_hash(&text).ok_or_else(|| D::Error::custom(format!("`{}` is not 0x and 32 bytes hex", tame(&text))))
}
