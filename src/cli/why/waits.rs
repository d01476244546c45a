//! What something waits for now, and until when; read off the state, in the order in which it stands in the way.
//!
//! One line for each thing that holds it, until when, and what a person can do about it. It is told from the state alone:
//! what the engine has not recorded yet is not known here.

use prooflog_events::ids::{L2Block, Micros, UnitId};
use prooflog_events::values::Control;
use prooflog_projections::State;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::phase::{Phase, SlotPhase};
use prooflog_projections::state::slot::Slot;
use prooflog_projections::state::unit::Unit;

use super::super::output;
use super::chain_of;
use super::find::Subject;
use crate::words::held_by;

/// What it waits for; empty if it waits for nothing any more.
pub(super) fn waits(state: &State, subject: &Subject, units: &[UnitId]) -> Vec<String> {
    match subject {
        Subject::Block { chain, block, unit: None } => {
            chain_of(state, *chain).map(|chain| unplanned(chain, *block)).unwrap_or_default()
        }
        Subject::Block { chain, block, unit: Some(_) } => {
            let settled = chain_of(state, *chain).and_then(|chain| settled(chain, *block));
            settled.map_or_else(|| of_units(state, units), |text| vec![text])
        }
        Subject::Unit(_) => of_units(state, units),
        Subject::Nonce { slot, .. } => match state.slot(*slot) {
            Some(slot) => vec![of_slot(state, slot)],
            None => vec!["nothing: the nonce is used and its transaction deep enough".to_owned()],
        },
    }
}

/// What the units involved wait for that are alive.
fn of_units(state: &State, units: &[UnitId]) -> Vec<String> {
    let live: Vec<String> = units
        .iter()
        .filter_map(|id| {
            let chain = chain_of(state, id.chain)?;
            Some(of_unit(state, chain, chain.unit(*id)?))
        })
        .flatten()
        .collect();
    if live.is_empty() { vec!["nothing: it is over".to_owned()] } else { live }
}

fn settled(chain: &Chain, block: L2Block) -> Option<String> {
    let latest = chain.contract.latest.filter(|latest| latest.block >= block)?;
    let confirmed = chain.contract.confirmed.is_some_and(|confirmed| confirmed.block >= block);
    let depth = if confirmed { "and confirmed" } else { "and not yet deep enough to count as confirmed" };
    Some(format!("nothing: the contract stands at block {}, so block {block} is on L1 {depth}", latest.block))
}

/// Why nobody has planned a block yet.
fn unplanned(chain: &Chain, block: L2Block) -> Vec<String> {
    if let Some(text) = settled(chain, block) {
        return vec![format!("{text}; no span of this log covers it")];
    }
    let Some(finalized) = chain.finalized else {
        return vec!["the rollup node has not told a finalized block yet".to_owned()];
    };
    if block > finalized.block {
        let stalled = if finalized.stalled { ", and stands still" } else { "" };
        let since = output::time(finalized.since);
        return vec![format!(
            "it is not final: the finalized head is {} since {since}{stalled}",
            finalized.block
        )];
    }
    let mut waits = held_by(chain);
    let Some(policy) = &chain.policy else { return waits };
    if chain.is_paused(Control::Planning) {
        waits.push("planning is paused: `prooflog resume planning`".to_owned());
    }
    let top = finalized.block.0.saturating_sub(policy.plan_behind_finalized);
    if block.0 > top {
        waits.push(format!(
            "planning stays {} blocks behind the finalized head",
            policy.plan_behind_finalized
        ));
    }
    let latest = chain.contract.latest.map(|latest| latest.block.0);
    match latest {
        None => waits.push("the contract's latest block is not known yet".to_owned()),
        Some(latest) if block.0 > latest.saturating_add(policy.blocks_ahead(chain.interval())) => {
            let ahead = policy.blocks_ahead(chain.interval());
            waits.push(format!(
                "only {ahead} blocks above the contract's block {latest} are planned at a time"
            ));
        }
        Some(_) => {}
    }
    if waits.is_empty() {
        let blocks = policy.span_blocks;
        waits.push(format!(
            "a span at the tip is cut when {blocks} blocks are final (`prooflog flush` cuts at once)"
        ));
    }
    waits
}

/// What one live unit waits for.
fn of_unit(state: &State, chain: &Chain, unit: &Unit) -> Vec<String> {
    let (id, since) = (unit.id, output::time(unit.since));
    let until = output::time(unit.deadline);
    let one = |text: String| vec![format!("{id} {text}")];
    match unit.phase {
        Phase::Ready => {
            ready(state.time, chain, unit).into_iter().map(|text| format!("{id} {text}")).collect()
        }
        Phase::WitnessGen => one(format!(
            "attempt {}: the server makes the witness since {since}, until {until} at the latest",
            unit.attempt
        )),
        Phase::Requested | Phase::Assigned => {
            let proof = unit.request.as_ref().map(|request| request.proof_id.to_string()).unwrap_or_default();
            one(format!(
                "attempt {}: the prover works on {} since {since}, until {until} at the latest",
                unit.attempt,
                output::clean(&proof)
            ))
        }
        Phase::Parked => {
            one(format!("is parked since {since} and waits for a person: `prooflog unpark {id}`"))
        }
        Phase::Complete if unit.is_span() => complete_span(chain, unit),
        Phase::Queued | Phase::Complete => held_or(chain, unit),
        Phase::Checkpointing | Phase::Submitting => one(in_flight(state, unit)),
        Phase::Included => {
            let depth = chain.policy.as_ref().map_or(0, |policy| policy.confirmations);
            let block = unit.agg_body().and_then(|agg| agg.submission?.included);
            let block = block.map(|(_, block)| block.number.0);
            one(format!(
                "is in L1 block {} since {since} and counts as confirmed {depth} blocks deep",
                block.map_or_else(|| "?".to_owned(), |block| block.to_string())
            ))
        }
        Phase::Confirmed => one("is confirmed and settles when the contract's output is read".to_owned()),
        Phase::Failed | Phase::Split | Phase::Invalidated | Phase::Cancelled | Phase::Settled => Vec::new(),
    }
}

fn ready(now: Micros, chain: &Chain, unit: &Unit) -> Vec<String> {
    let mut waits = held_by(chain);
    if unit.not_before > now {
        let failures = unit.streak;
        let until = output::time(unit.not_before);
        waits.push(format!("pauses until {until} after {failures} failures in a row"));
    }
    if chain.prover.not_before > now {
        let until = output::time(chain.prover.not_before);
        waits.push(format!("waits until {until}: the prover was full or failing"));
    }
    let Some(policy) = &chain.policy else { return waits };
    let index = &chain.index;
    if unit.is_span() {
        if index.in_witness >= policy.max_witness_in_flight {
            waits.push(format!("waits for one of {} witness generations to end", index.in_witness));
        }
        if index.spans_in_flight >= policy.max_proofs_in_flight {
            waits.push(format!("waits for one of {} proofs under way to end", index.spans_in_flight));
        }
        let latest = chain.contract.latest.map_or(0, |latest| latest.block.0);
        let ahead = policy.blocks_ahead(chain.interval());
        if unit.range.start.0 >= latest.saturating_add(ahead) {
            waits.push(format!("is more than {ahead} blocks above the contract's block {latest}"));
        }
    } else if index.aggs_in_flight > 0 {
        waits.push("waits for another aggregate to be proven".to_owned());
    }
    if waits.is_empty() {
        waits.push("may be requested now".to_owned());
    }
    waits
}

fn complete_span(chain: &Chain, unit: &Unit) -> Vec<String> {
    let id = unit.id;
    let taken =
        chain.aggs.values().find(|agg| agg.agg_body().is_some_and(|body| body.members.contains(&id.number)));
    // The aggregate says for itself what it waits for.
    if taken.is_some() {
        return Vec::new();
    }
    let (Some(policy), Some(latest)) = (&chain.policy, chain.contract.latest) else {
        return held_or(chain, unit);
    };
    let proven = chain.proven_to().unwrap_or(latest.block);
    if proven < unit.range.end {
        let blocks = chain.span_at(proven);
        let who = blocks
            .map_or_else(|| "no span yet".to_owned(), |span| format!("{}, {}", span.id, span.phase.name()));
        return vec![format!(
            "{id} is proven and waits for the blocks below it: from block {proven} on it is {who}"
        )];
    }
    let wanted = latest.block.0.saturating_add(policy.threshold(chain.interval()));
    if proven.0 < wanted {
        return vec![format!(
            "{id} is proven; a submission waits until block {wanted} is proven, it is {proven} now (`prooflog flush`)"
        )];
    }
    held_or(chain, unit)
}

/// What holds the rollup back, or that its turn comes with the next look at the contract.
fn held_or(chain: &Chain, unit: &Unit) -> Vec<String> {
    let id = unit.id;
    let mut waits: Vec<String> = held_by(chain).into_iter().map(|text| format!("{id}: {text}")).collect();
    if chain.contract.values.as_ref().is_some_and(|values| !values.approved) {
        waits.push(format!("{id}: the contract does not accept our account as a proposer"));
    }
    if unit.agg_body().is_some_and(|agg| agg.capped) {
        waits.push(format!(
            "{id}: the L1 asks more per gas than the fee ceiling allows; it is sent when that falls"
        ));
    }
    if unit.not_before > unit.since {
        waits.push(format!("{id} pauses until {}", output::time(unit.not_before)));
    }
    if waits.is_empty() {
        let what = match unit.phase {
            Phase::Queued => "a checkpoint of an L1 block above its members' L1 heads",
            _ => "its turn: the next look at the contract decides",
        };
        waits.push(format!("{id} waits for {what}"));
    }
    waits
}

/// The transaction that a unit waits for.
fn in_flight(state: &State, unit: &Unit) -> String {
    let body = unit.agg_body();
    let slot = match unit.phase {
        Phase::Checkpointing => body.and_then(|agg| agg.checkpoint?.slot),
        _ => body.and_then(|agg| agg.submission).map(|submission| submission.slot),
    };
    match slot.and_then(|slot| state.slot(slot)) {
        Some(slot) => format!("waits for its transaction: {}", of_slot(state, slot)),
        None => "waits for its transaction to be looked at again".to_owned(),
    }
}

fn of_slot(state: &State, slot: &Slot) -> String {
    let (id, since) = (slot.id, output::time(slot.since));
    let newest = slot.signed.last().map_or_else(String::new, |signed| format!(" ({})", signed.hash));
    let low = state.signers.get(&id.signer).is_some_and(|signer| signer.low.is_some());
    let low = if low { "; THE ACCOUNT'S BALANCE IS LOW" } else { "" };
    let version = slot.version;
    match slot.phase {
        SlotPhase::Unsigned => format!("{id} is to be signed since {since}{low}"),
        SlotPhase::Prepared => {
            format!("{id} version {version}{newest} is to be broadcast since {since}{low}")
        }
        SlotPhase::Broadcast => {
            let (sent, fee) = (output::time(slot.last_sent), slot.fees.max_fee);
            let capped = if slot.capped { "; THE FEE CEILING KEEPS IT FROM BEING RAISED" } else { "" };
            format!(
                "{id} version {version}{newest} was broadcast at {sent}, at most {fee} wei per gas{capped}{low}"
            )
        }
        SlotPhase::Included => {
            let block = slot.mined.map_or(0, |mined| mined.block.number.0);
            format!("{id} is in L1 block {block} and waits to be deep enough")
        }
        SlotPhase::Reverted => format!("{id} was included and failed"),
        SlotPhase::Confirmed | SlotPhase::Abandoned => format!("{id} is over"),
    }
}
