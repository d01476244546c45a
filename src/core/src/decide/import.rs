//! Rows of another proposer's database become units: what it paid for is used, and is marked as its.
//!
//! A proof becomes a complete span, what the prover has is polled on, and what it may have been asked for is an open call
//! of a run that is over: the next engine ends it by its own rule and tries once more. Nothing is started here.

use prooflog_events::event::{
    AggQueued, Checkpointed, InvalidReason, Invalidated, ProofFulfilled, ProofRequested, SpanCreated,
    SpanOrigin, WitnessGenStarted,
};
use prooflog_events::ids::{Address, Attempt, ChainId, Hash32, L1Ref, UnitId};
use prooflog_events::input::{Delivery, ImportedProgress, ImportedRow, ImportedSubject, RowsImported};
use prooflog_events::values::{AggTerms, Commitments};
use prooflog_projections::state::Illegal;
use prooflog_projections::state::chain::Chain;

use super::{DecideError, Refused, proving};
use crate::batch::Batch;
use crate::import::{Verdict, is_unspent, overlapping, sort};
use crate::rules::witness_deadline;

/// The attempt that another proposer made.
const THEIRS: Attempt = Attempt(1);

/// Takes over what can be; rows that do not fit into the batch are there for the next input.
pub(super) fn rows(batch: &mut Batch<'_>, input: &RowsImported) -> Result<(), DecideError> {
    let verdicts = if input.rows.is_empty() {
        Vec::new()
    } else {
        let chain = batch.state.chains.get(&input.chain).ok_or(Refused::UnknownChain(input.chain))?;
        chain.commitments().ok_or(Refused::UnreadContract(input.chain))?;
        sort(chain, &input.rows)
    };
    if let Some(started) = &input.started {
        batch.node(started.clone())?;
    }
    let rank = |row: &ImportedRow, verdict: &Verdict| match (verdict, row.subject) {
        // What is kept and not offered is gone again before anything takes its blocks.
        (Verdict::Kept, _) => 0,
        (_, ImportedSubject::Span { .. }) => 1,
        (_, ImportedSubject::Agg { .. }) => 2,
    };
    let mut work: Vec<(&ImportedRow, Verdict)> = input.rows.iter().zip(verdicts).collect();
    work.sort_by_key(|(row, verdict)| rank(row, verdict));
    for (row, verdict) in work {
        if !batch.has_room() {
            return Ok(());
        }
        match verdict {
            Verdict::Taken => take(batch, input.chain, row)?,
            Verdict::Kept => keep(batch, input.chain, row)?,
            Verdict::Delivered(unit) => deliver(batch, unit, row)?,
            Verdict::Left(_) => {}
        }
    }
    Ok(())
}

fn take(batch: &mut Batch<'_>, chain: ChainId, row: &ImportedRow) -> Result<(), Illegal> {
    let unit = match row.subject {
        ImportedSubject::Span { .. } => create_span(batch, chain, row)?,
        ImportedSubject::Agg { .. } => queue(batch, chain, row)?,
    };
    match unit {
        Some(unit) => bring_to(batch, unit, row),
        None => Ok(()),
    }
}

/// A proof under other keys: on record, its bytes kept, and of no use before those keys are back.
fn keep(batch: &mut Batch<'_>, chain: ChainId, row: &ImportedRow) -> Result<(), Illegal> {
    let Some(unit) = create_span(batch, chain, row)? else { return Ok(()) };
    bring_to(batch, unit, row)?;
    let detail = "another proposer proved it under keys that the contract does not accept".to_owned();
    batch.unit(unit, Invalidated { reason: InvalidReason::Commitments, detail })
}

fn commitments(chain: &Chain, row: &ImportedRow) -> Option<Commitments> {
    row.commitments.or_else(|| chain.commitments())
}

/// Makes room among spans that nothing was spent on; `None` if the batch is full before it is made.
fn create_span(batch: &mut Batch<'_>, id: ChainId, row: &ImportedRow) -> Result<Option<UnitId>, Illegal> {
    let ImportedSubject::Span { transactions, gas } = row.subject else { return Ok(None) };
    let Some(chain) = batch.state.chains.get(&id) else { return Ok(None) };
    let Some(commitments) = commitments(chain, row) else { return Ok(None) };
    let giving_way: Vec<UnitId> =
        overlapping(chain, row.range).filter(|span| is_unspent(span)).map(|span| span.id).collect();
    for span in giving_way {
        if !batch.has_room() {
            return Ok(None);
        }
        let detail = format!("{} of another proposer takes its place", row.range);
        batch.unit(span, Invalidated { reason: InvalidReason::Replaced, detail })?;
    }
    let last = batch.state.chains.get(&id).map_or(0, |chain| chain.last_span);
    if !batch.has_room() {
        return Ok(None);
    }
    let span = UnitId::span(id, last.saturating_add(1));
    let origin = SpanOrigin::Imported;
    batch.create(span, span, SpanCreated { range: row.range, origin, commitments, transactions, gas })?;
    Ok(Some(span))
}

/// An aggregate with its checkpoint, which the contract is asked for before anything else is done with it.
fn queue(batch: &mut Batch<'_>, id: ChainId, row: &ImportedRow) -> Result<Option<UnitId>, Illegal> {
    let ImportedSubject::Agg { agg_vkey, prover, checkpoint } = row.subject else { return Ok(None) };
    let Some(chain) = batch.state.chains.get(&id) else { return Ok(None) };
    let Some(terms) = chain.terms() else { return Ok(None) };
    let terms = AggTerms {
        commitments: row.commitments.unwrap_or(terms.commitments),
        agg_vkey: agg_vkey.unwrap_or(terms.agg_vkey),
        prover: prover.filter(|prover| *prover != Address([0; 20])).unwrap_or(terms.prover),
        ..terms
    };
    let run = chain.provable_run(usize::MAX);
    let members: Vec<u64> =
        run.iter().take_while(|span| span.range.end <= row.range.end).map(|span| span.id.number).collect();
    // A member that did not fit into the batch is there for the next input, and so is this.
    if run.get(members.len().saturating_sub(1)).is_none_or(|last| last.range.end != row.range.end) {
        return Ok(None);
    }
    let agg = UnitId::agg(id, chain.last_agg.saturating_add(1));
    batch.create(agg, agg, AggQueued { range: row.range, members, terms })?;
    // Zero: nobody read it back yet. The engine does, and gives the checkpoint up if it is not there.
    let unread = L1Ref { hash: Hash32::ZERO, ..L1Ref::default() };
    batch.unit(agg, Checkpointed { block: checkpoint, at: unread })?;
    Ok(Some(agg))
}

/// Brings a unit just made to where its row stands.
fn bring_to(batch: &mut Batch<'_>, unit: UnitId, row: &ImportedRow) -> Result<(), Illegal> {
    let Some(policy) = batch.state.chains.get(&unit.chain).and_then(|chain| chain.policy.clone()) else {
        return Ok(());
    };
    let mode = batch.state.unit(unit).map_or(policy.mode, |unit| unit.commitments().mode);
    let started =
        WitnessGenStarted { attempt: THEIRS, try_number: 1, deadline: witness_deadline(&policy, batch.now) };
    let l1_bound = row.l1_head.map(|head| head.number).or(row.l1_bound).unwrap_or_default();
    match &row.progress {
        ImportedProgress::Asked => batch.unit(unit, started),
        ImportedProgress::Requested { proof_id } => {
            batch.unit(unit, started)?;
            let event = ProofRequested {
                attempt: THEIRS,
                proof_id: proof_id.clone(),
                l1_bound,
                l1_head: row.l1_head,
                // How long it was under way is not known: it has the whole time again.
                deadline: batch.now.plus_secs(policy.proving_timeout_secs),
            };
            batch.unit(unit, event)
        }
        ImportedProgress::Proven { proof, selector, seconds } => {
            let event = ProofFulfilled {
                attempt: THEIRS,
                mode,
                proof: *proof,
                selector: *selector,
                l1_bound,
                l1_head: row.l1_head,
                seconds: seconds.unwrap_or(0),
                cycles: None,
                prover_gas: None,
                cost: None,
            };
            batch.unit(unit, event)
        }
    }
}

fn deliver(batch: &mut Batch<'_>, unit: UnitId, row: &ImportedRow) -> Result<(), Illegal> {
    let ImportedProgress::Proven { proof, selector, .. } = &row.progress else { return Ok(()) };
    let delivery = Delivery {
        proof: *proof,
        selector: *selector,
        l1_head: row.l1_head,
        cycles: None,
        prover_gas: None,
        cost: None,
    };
    proving::deliver(batch, unit, THEIRS, row.l1_bound.unwrap_or_default(), &delivery)
}
