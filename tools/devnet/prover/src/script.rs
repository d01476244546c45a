//! What the server does, well and badly. It can be replaced while the server runs.

use serde::{Deserialize, Serialize};

/// The server's behaviour. Blocks in a list name the ranges that contain them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Milliseconds until a request is answered.
    pub witness_ms: u64,
    /// Milliseconds until a proof is there, once it is being proven.
    pub proving_ms: u64,
    /// Proofs that are made at once; 0 is no limit. Others wait their turn.
    pub capacity: usize,
    /// Bytes of a span's proof.
    pub proof_bytes: usize,
    /// Blocks that make a range unexecutable that is longer than `executable_blocks`.
    pub heavy: Vec<u64>,
    /// Length up to which a range with a heavy block can be executed.
    pub executable_blocks: u64,
    /// Blocks whose first request is answered with an error.
    pub fail_once: Vec<u64>,
    /// Blocks whose first request is never answered.
    pub hang_once: Vec<u64>,
    /// Blocks whose first proof is forgotten after it was requested.
    pub forget_once: Vec<u64>,
    /// Blocks whose first proof is fulfilled without bytes.
    pub empty_once: Vec<u64>,
    /// Everything asked of the prover fails: it is out of order.
    pub out_of_order: bool,
    /// The commitments are said to be wrong.
    pub rejects: bool,
    /// Whether an `Idempotency-Key` is honoured.
    pub honours_keys: bool,
    /// Whether answers tell the L1 head and the price.
    pub tells: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            witness_ms: 300,
            proving_ms: 1_500,
            capacity: 0,
            proof_bytes: 1_500_000,
            heavy: Vec::new(),
            executable_blocks: 5,
            fail_once: Vec::new(),
            hang_once: Vec::new(),
            forget_once: Vec::new(),
            empty_once: Vec::new(),
            out_of_order: false,
            rejects: false,
            honours_keys: true,
            tells: true,
        }
    }
}
