//! What is owed to the outside, derived from the state and nothing else.
//!
//! After a crash the same effects come out again. [`plan`] computes all of them; the runner keeps its list up to date
//! by asking only for the subjects that an event touched, and a test compares the two.

use prooflog_events::ids::{ChainId, Hash32, L1Number, L2Block, Micros, Range, SignerId, SlotId};
use prooflog_events::values::{DegradedReason, Purpose};
use prooflog_projections::State;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::phase::{Phase, SlotPhase};
use prooflog_projections::state::slot::{Signer, Slot};
use prooflog_projections::state::unit::{AggBody, Unit};
use sha2::{Digest, Sha256};

use crate::decide::{
    awaits_validation, checkpoint_bound, gap_needs_sizes, has_free_slot, is_carried, is_held, is_wanted,
    may_send, optimistic_block, plannable_gap,
};
use crate::effect::{AggRequest, Effect, OutputBody, Pace, ProofRequest, TxBody, Urgency};

/// L2 blocks whose sizes are asked for at once.
const MAX_BLOCKS_PER_READ: u64 = 2_000;
/// L1 heads whose canonical hash is asked for at once.
const MAX_CANONICAL_PER_READ: usize = 64;

/// Everything that is owed at the moment `now`.
#[must_use]
pub fn plan(state: &State, now: Micros) -> Vec<Effect> {
    let mut effects = Vec::new();
    for chain in state.chains.values() {
        effects.extend(chain_effects(state, chain.id, now));
        for unit in chain.units().chain(chain.halved.values()) {
            effects.extend(unit_effects(state, chain, unit));
        }
    }
    for signer in state.signers.keys() {
        effects.extend(signer_effects(state, *signer));
    }
    effects
}

/// What is owed to a rollup beside its units.
#[must_use]
pub fn chain_effects(state: &State, id: ChainId, now: Micros) -> Vec<Effect> {
    let Some(chain) = state.chains.get(&id) else {
        return Vec::new();
    };
    let Some(policy) = &chain.policy else {
        return Vec::new();
    };
    let mut effects = vec![
        Effect::ReadNode { chain: id },
        Effect::ReadContract {
            chain: id,
            oracle: chain.oracle(),
            confirmations: policy.confirmations,
            checkpoints: checkpoints_to_read(chain),
            canonical: l1_heads_to_check(chain),
            since: chain.contract.advanced_at,
        },
        Effect::ValidateServer {
            chain: id,
            oracle: chain.oracle(),
            urgency: if chain.hold.config_ok.is_none() || awaits_validation(chain) {
                Urgency::Now
            } else {
                Urgency::Routine
            },
        },
    ];
    let anchor = chain.contract.latest.filter(|_| !chain.anchor_agreed()).map(|latest| latest.block);
    let optimistic = optimistic_block(chain).filter(|block| !chain.roots.contains_key(block));
    let ends =
        chain.aggs.values().filter(|unit| unit.agg_body().is_some_and(|agg| root_is_wanted(unit, agg)));
    let mut outputs: Vec<L2Block> = ends.map(|unit| unit.range.end).chain(anchor).chain(optimistic).collect();
    if outputs.is_empty() && chain.hold.degraded.contains_key(&DegradedReason::RootMismatch) {
        // What disagreed may be gone; somebody must notice when the nodes agree again.
        outputs.extend(chain.contract.latest.map(|latest| latest.block));
    }
    outputs.sort_unstable();
    outputs.dedup();
    effects.extend(outputs.into_iter().map(|block| Effect::ReadOutput { chain: id, block }));
    effects.extend(sizes_to_read(chain, now).map(|range| Effect::ReadBlocks { chain: id, range }));
    effects.extend(optimistic_quote(state, chain));
    // A submission or checkpoint of any aggregate depends on the rollup's modes: quotes belong here.
    effects.extend(chain.aggs.values().filter_map(|unit| quote(state, chain, unit, now)));
    effects
}

fn checkpoints_to_read(chain: &Chain) -> Vec<L1Number> {
    let mut blocks: Vec<L1Number> = chain
        .aggs
        .values()
        .filter(|unit| !matches!(unit.phase, Phase::Submitting | Phase::Included | Phase::Confirmed))
        .filter_map(|unit| unit.agg_body()?.checkpoint.map(|point| point.block))
        .collect();
    blocks.sort_unstable();
    blocks.dedup();
    blocks
}

/// L1 heads of complete spans that the next aggregate may contain.
fn l1_heads_to_check(chain: &Chain) -> Vec<L1Number> {
    let mut heads: Vec<L1Number> = chain
        .provable_run(MAX_CANONICAL_PER_READ)
        .iter()
        .filter_map(|span| span.proof.as_ref()?.l1_head.map(|head| head.number))
        .collect();
    heads.sort_unstable();
    heads.dedup();
    heads
}

fn sizes_to_read(chain: &Chain, now: Micros) -> Option<Range> {
    chain.policy.as_ref().filter(|policy| policy.span_gas > 0)?;
    let gap = plannable_gap(chain)?;
    if !gap_needs_sizes(chain, gap, now) {
        return None;
    }
    Range::new(gap.start, L2Block(gap.end.0.min(gap.start.0.saturating_add(MAX_BLOCKS_PER_READ))))
}

/// What is owed to a unit.
#[must_use]
pub fn unit_effects(state: &State, chain: &Chain, unit: &Unit) -> Vec<Effect> {
    let mut effects = Vec::new();
    if unit.phase == Phase::WitnessGen && !state.stale_calls.contains(&unit.id) {
        effects.extend(proof_request(state, chain, unit).map(Effect::RequestProof));
    }
    let polls = unit.request.iter().map(|request| (request, Pace::Normal));
    let late = unit.late.iter().filter(|_| unit.proof.is_none()).map(|request| (request, Pace::Slow));
    effects.extend(polls.chain(late).map(|(request, pace)| Effect::PollProof {
        unit: unit.id,
        attempt: request.attempt,
        proof_id: request.proof_id.clone(),
        pace,
        needs_l1: request.l1_bound == L1Number::UNSEEN,
    }));
    effects
}

/// The root at an aggregate's end is agreed before it is requested, and again before it is submitted.
fn root_is_wanted(unit: &Unit, agg: &AggBody) -> bool {
    match unit.phase {
        Phase::Queued | Phase::Checkpointing | Phase::Ready => agg.end_root.is_none(),
        Phase::Complete => agg.end_root.is_none_or(|(_, at)| at < unit.since),
        _ => false,
    }
}

fn proof_request(state: &State, chain: &Chain, unit: &Unit) -> Option<ProofRequest> {
    let commitments = unit.commitments();
    let agg = match unit.agg_body() {
        Some(agg) => {
            let members =
                agg.members.iter().map(|member| Some(chain.spans.get(member)?.proof.as_ref()?.blob));
            Some(AggRequest {
                members: members.collect::<Option<_>>()?,
                head: agg.checkpoint?.hash?,
                prover: agg.terms.prover,
                config_name: agg.terms.config_name,
            })
        }
        None => None,
    };
    Some(ProofRequest {
        unit: unit.id,
        attempt: unit.attempt,
        range: unit.range,
        mode: commitments.mode,
        idempotency_key: idempotency_key(state, unit),
        deadline: unit.deadline,
        agg,
    })
}

/// The same for every repetition of one try: log, unit, range, mode, commitments and try, and nothing else.
fn idempotency_key(state: &State, unit: &Unit) -> Hash32 {
    let commitments = unit.commitments();
    let mut hash = Sha256::new();
    hash.update(state.log.0);
    hash.update(unit.id.to_string());
    hash.update(unit.range.start.0.to_be_bytes());
    hash.update(unit.range.end.0.to_be_bytes());
    hash.update([commitments.mode as u8]);
    hash.update(commitments.range_vkey.0);
    hash.update(commitments.rollup_config.0);
    hash.update(unit.try_number.to_be_bytes());
    Hash32(hash.finalize().into())
}

/// A checkpoint or submission that waits for its simulation.
fn quote(state: &State, chain: &Chain, unit: &Unit, now: Micros) -> Option<Effect> {
    let agg = unit.agg_body()?;
    let purpose = match unit.phase {
        Phase::Queued => Purpose::Checkpoint { agg: unit.id, block: checkpoint_bound(chain, agg) },
        Phase::Complete => Purpose::Submission { agg: unit.id },
        _ => return None,
    };
    let signer = free_signer(state, chain, &purpose)?;
    if !may_send(chain) || !is_wanted(chain, &purpose, now) {
        return None;
    }
    Some(Effect::QuoteTx { signer, purpose, body: tx_body(chain, &purpose)? })
}

fn optimistic_quote(state: &State, chain: &Chain) -> Option<Effect> {
    let block = optimistic_block(chain)?;
    let purpose = Purpose::Optimistic { chain: chain.id, block, root: chain.agreed_root(block)? };
    let signer = free_signer(state, chain, &purpose)?;
    if !may_send(chain) {
        return None;
    }
    Some(Effect::QuoteTx { signer, purpose, body: tx_body(chain, &purpose)? })
}

fn free_signer(state: &State, chain: &Chain, purpose: &Purpose) -> Option<SignerId> {
    let id = chain.signer()?;
    let signer = state.signers.get(&id)?;
    let is_free =
        has_free_slot(state, signer, chain.policy.as_ref()?.fees.max_pending) && !is_carried(signer, purpose);
    is_free.then_some(id)
}

/// What goes into a call, beside its purpose.
fn tx_body(chain: &Chain, purpose: &Purpose) -> Option<TxBody> {
    let body = TxBody {
        oracle: chain.oracle(),
        factory: chain.contract.values.as_ref().and_then(|values| values.factory),
        output: None,
    };
    let output = match purpose {
        Purpose::Checkpoint { .. } | Purpose::Release => {
            return Some(TxBody { factory: None, ..body });
        }
        Purpose::Submission { agg } => {
            let unit = chain.unit(*agg)?;
            let agg = unit.agg_body()?;
            let point = agg.checkpoint?;
            OutputBody {
                block: unit.range.end,
                root: agg.end_root?.0,
                l1_block: point.block,
                l1_hash: point.hash?,
                proof: Some(unit.proof.as_ref()?.blob),
                prover: agg.terms.prover,
                config_name: agg.terms.config_name,
            }
        }
        Purpose::Optimistic { block, root, .. } => OutputBody {
            block: *block,
            root: *root,
            l1_block: chain.roots.get(block)?.current_l1.number,
            l1_hash: chain.roots.get(block)?.current_l1.hash,
            proof: None,
            prover: chain.policy.as_ref()?.signer,
            config_name: Hash32::ZERO,
        },
    };
    Some(TxBody { output: Some(output), ..body })
}

/// What is owed to an account and its slots.
#[must_use]
pub fn signer_effects(state: &State, id: SignerId) -> Vec<Effect> {
    let Some(signer) = state.signers.get(&id) else {
        return Vec::new();
    };
    let mut effects: Vec<Effect> =
        signer.slots.values().filter_map(|slot| slot_effect(state, slot)).collect();
    effects.push(read_signer(state, signer));
    effects
}

fn read_signer(state: &State, signer: &Signer) -> Effect {
    let served = state.chains.values().filter(|chain| chain.signer() == Some(signer.id));
    let depth_of = |chain: &Chain| chain.policy.as_ref().map(|policy| policy.confirmations);
    // After a change of keys nobody is served any more, and its open slots need a depth as before.
    let confirmations = served
        .filter_map(depth_of)
        .max()
        .or_else(|| state.chains.values().filter_map(depth_of).max())
        .unwrap_or_default();
    let txs = signer
        .slots
        .values()
        .flat_map(|slot| slot.signed.iter().map(|signed| (slot.id.nonce, signed.version, signed.hash)))
        .collect();
    Effect::ReadSigner { signer: signer.id, confirmations, txs }
}

fn slot_effect(state: &State, slot: &Slot) -> Option<Effect> {
    match slot.phase {
        SlotPhase::Unsigned | SlotPhase::Prepared if is_held(state, slot) => None,
        SlotPhase::Unsigned => {
            let body = body_of(state, slot.id, &slot.purpose)?;
            Some(Effect::SignTx {
                slot: slot.id,
                version: slot.version,
                purpose: slot.purpose,
                body,
                call: slot.call,
                fees: slot.fees,
                gas_limit: slot.gas_limit,
            })
        }
        SlotPhase::Prepared => {
            let signed = slot.signed.last()?;
            Some(Effect::BroadcastTx {
                slot: slot.id,
                version: signed.version,
                raw: signed.raw,
                hash: signed.hash,
            })
        }
        _ => None,
    }
}

fn body_of(state: &State, slot: SlotId, purpose: &Purpose) -> Option<TxBody> {
    let chain = match purpose {
        Purpose::Checkpoint { agg, .. } | Purpose::Submission { agg } => state.chains.get(&agg.chain)?,
        Purpose::Optimistic { chain, .. } => state.chains.get(chain)?,
        Purpose::Release => {
            return Some(TxBody { oracle: slot.signer.address, factory: None, output: None });
        }
    };
    tx_body(chain, purpose)
}
