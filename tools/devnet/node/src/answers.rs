//! The answers of the `optimism_` methods, as real rollup nodes shape them.
//!
//! All values of one answer are taken under one look at the records. What a crash in here means: a call is not answered.

use prooflog_events::ids::Hash32;
use serde_json::{Value, json};
use sha3::{Digest, Keccak256};

use crate::NodeConfig;
use crate::records::{Header, Records};
use crate::script::{Lie, Script};

/// An error of JSON-RPC: code and words.
pub(crate) type Refusal = (i64, String);

pub(crate) fn refused(words: impl Into<String>) -> Refusal {
    (-32_000, words.into())
}

/// `optimism_syncStatus`.
pub(crate) fn sync_status(records: &Records, script: &Script, config: &NodeConfig) -> Option<Value> {
    if script.zeros {
        return Some(zeros());
    }
    let head = records.l2.last()?.header;
    let finalized = script.finalized(head.number);
    let safe = head.number.saturating_sub(config.safe_lag).max(finalized);
    let l2 = |number: u64| Some(l2_ref(records, &records.l2_at(number)?.header));
    let l1_head = records.l1.last()?;
    let l1_final = records.l1_at(l1_head.number.saturating_sub(config.l1_finalized_lag))?;
    let (l1, l1_final) = (l1_ref(l1_head), l1_ref(l1_final));
    Some(json!({
        "current_l1": l1, "current_l1_finalized": l1_final,
        "head_l1": l1, "safe_l1": l1_final, "finalized_l1": l1_final,
        "unsafe_l2": l2(head.number)?, "safe_l2": l2(safe)?, "finalized_l2": l2(finalized)?,
        "cross_unsafe_l2": l2(head.number)?, "local_safe_l2": l2(safe)?, "pending_safe_l2": l2(safe)?,
    }))
}

/// What a node says before it knows anything.
fn zeros() -> Value {
    let id = json!({ "hash": Hash32::default(), "number": 0 });
    let l1 =
        json!({ "hash": Hash32::default(), "number": 0, "parentHash": Hash32::default(), "timestamp": 0 });
    let l2 = json!({ "hash": Hash32::default(), "number": 0, "parentHash": Hash32::default(), "timestamp": 0,
        "l1origin": id, "sequenceNumber": 0 });
    json!({
        "current_l1": l1, "current_l1_finalized": l1, "head_l1": l1, "safe_l1": l1, "finalized_l1": l1,
        "unsafe_l2": l2, "safe_l2": l2, "finalized_l2": l2,
        "cross_unsafe_l2": l2, "local_safe_l2": l2, "pending_safe_l2": l2,
    })
}

/// The parts of `optimism_outputAtBlock` that are about the block itself; `withdrawals` is the storage root there.
pub(crate) fn output(block: &Header, withdrawals: Hash32, lie: Option<Lie>) -> Value {
    let state_root = match lie {
        Some(Lie::OtherState) => keccak(&[block.state_root]),
        _ => block.state_root,
    };
    let root = keccak(&[Hash32::default(), state_root, withdrawals, block.hash]);
    let said = if lie == Some(Lie::BrokenRoot) { keccak(&[root]) } else { root };
    json!({
        "version": Hash32::default(), "outputRoot": said,
        "withdrawalStorageRoot": withdrawals, "stateRoot": state_root,
    })
}

/// `optimism_rollupConfig`.
pub(crate) fn rollup_config(
    records: &Records,
    script: &Script,
    config: &NodeConfig,
    ids: (u64, u64),
) -> Option<Value> {
    let (l1, l2) = (records.l1.first()?, records.l2.first()?.header);
    let address = "0x0000000000000000000000000000000000000000";
    let mut told = json!({
        "genesis": {
            "l1": id(l1), "l2": id(&l2), "l2_time": l2.timestamp,
            "system_config": { "batcherAddr": address, "overhead": Hash32::default(),
                "scalar": Hash32::default(), "gasLimit": 30_000_000 },
        },
        "block_time": config.block_time, "max_sequencer_drift": 600, "seq_window_size": 3_600,
        "channel_timeout": 300, "l1_chain_id": ids.0, "l2_chain_id": ids.1,
        "regolith_time": 0, "canyon_time": 0, "delta_time": 0, "ecotone_time": 0, "fjord_time": 0,
        "batch_inbox_address": address, "deposit_contract_address": address, "l1_system_config_address": address,
    });
    if let Some(told) = told.as_object_mut() {
        told.extend(script.forks.iter().map(|(name, time)| (name.clone(), json!(time))));
    }
    Some(told)
}

/// `optimism_safeHeadAtL1Block`.
pub(crate) fn safe_head(records: &Records, script: &Script, number: u64) -> Result<Value, Refusal> {
    if !script.safe_db {
        return Err(refused("safe head database not enabled"));
    }
    let (l1, l2) = records.safe_at(number).ok_or_else(|| refused("not found"))?;
    Ok(json!({ "l1Block": id(l1), "safeHead": id(l2) }))
}

fn id(block: &Header) -> Value {
    json!({ "hash": block.hash, "number": block.number })
}

fn l1_ref(block: &Header) -> Value {
    json!({ "hash": block.hash, "number": block.number, "parentHash": block.parent, "timestamp": block.timestamp })
}

pub(crate) fn l2_ref(records: &Records, block: &Header) -> Value {
    json!({
        "hash": block.hash, "number": block.number, "parentHash": block.parent, "timestamp": block.timestamp,
        "l1origin": records.origin(block).map(id), "sequenceNumber": records.sequence_number(block),
    })
}

fn keccak(parts: &[Hash32]) -> Hash32 {
    let hasher = parts.iter().fold(Keccak256::new(), |hasher, part| hasher.chain_update(part.0));
    Hash32(hasher.finalize().into())
}
