//! What the server proves, and for whom.
//!
//! Readable from TOML. One process can serve many chains, each under its own path and with its own script.

use serde::{Deserialize, Serialize};

use crate::hex32::{Hex, Word};
use crate::script::Script;

/// The whole server.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The chains. With one of them, it also answers without `/chain/<id>` in the path.
    pub chains: Vec<ChainConfig>,
}

/// Interface generation of the oracle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Generation {
    /// Six public values.
    V1,
    /// The prover address is the seventh.
    V2,
    /// As the second, with named configurations.
    V3,
}

/// Which block the programs take as their L1 head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum L1HeadChoice {
    /// The finalized one; where the node knows none yet, that up to which it has derived.
    #[default]
    Finalized,
    /// That up to which the node has derived. A reorg can orphan it.
    Current,
}

/// One chain.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainConfig {
    /// Its id, as in its path.
    pub id: u64,
    /// Interface generation of its oracle.
    pub generation: Generation,
    /// L1 endpoint: headers, and the oracle's values.
    pub l1_rpc: String,
    /// Rollup node: roots and heads.
    pub rollup_rpc: String,
    /// Key of the aggregation program.
    pub aggregation_vkey: Word,
    /// Commitment to the key of the range program.
    pub range_vkey_commitment: Word,
    /// Hash of the rollup configuration.
    pub rollup_config_hash: Word,
    /// First four bytes of aggregate proofs.
    #[serde(default = "selector")]
    pub selector: Hex<4>,
    /// Size of span proofs in bytes.
    #[serde(default = "proof_bytes")]
    pub proof_bytes: usize,
    /// Which L1 head span proofs take.
    #[serde(default)]
    pub l1_head: L1HeadChoice,
    /// Prover address of aggregates whose request names none.
    #[serde(default)]
    pub prover_address: Hex<20>,
    /// Name of the configuration in a third-generation oracle; that of `opsuccinct_genesis` if absent.
    #[serde(default)]
    pub config_name: Option<Word>,
    /// Latency and faults.
    #[serde(default)]
    pub script: Script,
}

const fn selector() -> Hex<4> {
    Hex([0x5a, 0x1e, 0x00, 0x01])
}

const fn proof_bytes() -> usize {
    1_500_000
}

impl ChainConfig {
    /// A chain with everything else at its default.
    #[must_use]
    pub fn new(id: u64, generation: Generation, l1_rpc: String, rollup_rpc: String) -> Self {
        Self {
            id,
            generation,
            l1_rpc,
            rollup_rpc,
            aggregation_vkey: Word::default(),
            range_vkey_commitment: Word::default(),
            rollup_config_hash: Word::default(),
            selector: selector(),
            proof_bytes: proof_bytes(),
            l1_head: L1HeadChoice::default(),
            prover_address: Hex::default(),
            config_name: None,
            script: Script::default(),
        }
    }
}
