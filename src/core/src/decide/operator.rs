//! Operator commands.
//!
//! Each is carried out, or refused with what can be done instead; nothing is ignored. A refusal is checked before
//! anything is decided, so it leaves no trace.

use prooflog_events::event::{
    Cancelled, FlushRequested, ParkReason, Parked, Paused, PausedBy, Resumed, Retried, Unparked,
};
use prooflog_events::ids::{ChainId, UnitId};
use prooflog_events::input::{Command, OperatorCommanded};
use prooflog_events::values::Control;
use prooflog_projections::state::phase::Phase;
use prooflog_projections::state::unit::Unit;

use super::{DecideError, Refused};
use crate::batch::Batch;
use crate::rules::clip;

pub(super) fn command(batch: &mut Batch<'_>, input: &OperatorCommanded) -> Result<(), DecideError> {
    let note = clip(&input.note);
    match input.command {
        Command::Pause { chain, control } => pause(batch, chain, control, note),
        Command::Drain { chain } => drain(batch, chain, &note),
        Command::Resume { chain, control } => {
            if !known(batch, chain)?.is_paused(control) {
                return Err(Refused::Already("that work is not paused").into());
            }
            Ok(batch.chain(chain, Resumed { control })?)
        }
        Command::Flush { chain, to } => {
            let latest = known(batch, chain)?.contract.latest.map(|latest| latest.block);
            if latest.is_some_and(|latest| to <= latest) {
                return Err(Refused::Already("the contract is at or above that block").into());
            }
            Ok(batch.chain(chain, FlushRequested { to })?)
        }
        Command::Retry { unit } => retry(batch, unit),
        Command::Park { unit } => {
            let allowed = live(batch, unit)?.phase;
            if matches!(allowed, Phase::Parked) {
                return Err(Refused::Already("the unit is parked").into());
            }
            require(
                batch,
                unit,
                prooflog_events::event::EventType::Parked,
                "it can be parked before or after its transaction",
            )?;
            Ok(batch.unit(unit, Parked { reason: ParkReason::Operator, text: note })?)
        }
        Command::Unpark { unit } => {
            let parked = live(batch, unit)?;
            if parked.phase != Phase::Parked {
                return Err(Refused::Already("the unit is not parked").into());
            }
            let attempt = parked.attempt.next();
            Ok(batch.unit(unit, Unparked { attempt })?)
        }
        Command::Cancel { unit } => {
            live(batch, unit)?;
            let hint = "its transaction may be included at any moment; wait for it";
            require(batch, unit, prooflog_events::event::EventType::Cancelled, hint)?;
            Ok(batch.unit(unit, Cancelled { note })?)
        }
    }
}

fn drain_note(note: &str) -> String {
    if note.is_empty() { "drain".to_owned() } else { format!("drain: {note}") }
}

/// Plans nothing more, and submits what is planned without waiting for a full submission.
fn drain(batch: &mut Batch<'_>, chain: ChainId, note: &str) -> Result<(), DecideError> {
    let known = known(batch, chain)?;
    let (is_paused, flush_to) = (known.is_paused(Control::Planning), known.hold.flush_to);
    let latest = known.contract.latest.map(|latest| latest.block);
    let planned_to = latest.map(|latest| known.coverage().contiguous_from(latest));
    let to = planned_to.filter(|to| Some(*to) > latest && flush_to.is_none_or(|flush| flush != *to));
    if is_paused && to.is_none() {
        return Err(Refused::Already("planning is paused, and what is planned is to be submitted").into());
    }
    if !is_paused {
        pause(batch, chain, Control::Planning, drain_note(note))?;
    }
    Ok(to.map_or(Ok(()), |to| batch.chain(chain, FlushRequested { to }))?)
}

fn pause(batch: &mut Batch<'_>, chain: ChainId, control: Control, note: String) -> Result<(), DecideError> {
    if known(batch, chain)?.is_paused(control) {
        return Err(Refused::Already("that work is paused").into());
    }
    Ok(batch.chain(chain, Paused { control, by: PausedBy::Operator, note })?)
}

/// At once and with a full budget; a parked unit is unparked, a refused submission is tried again.
fn retry(batch: &mut Batch<'_>, id: UnitId) -> Result<(), DecideError> {
    let park_after = known(batch, id.chain)?.policy.as_ref().map_or(0, |policy| policy.park_after);
    let unit = live(batch, id)?;
    let attempt = match unit.phase {
        Phase::Parked => {
            let attempt = unit.attempt.next();
            return Ok(batch.unit(id, Unparked { attempt })?);
        }
        // Nothing was asked under this number yet, or the proof is here: the attempt stays.
        Phase::Ready | Phase::Queued | Phase::Complete => unit.attempt,
        phase => {
            let hint = "it is under way; `park` or `cancel` it first, or wait";
            return Err(Refused::WrongPhase { unit: id, phase: phase.name(), hint }.into());
        }
    };
    let not_before = batch.now;
    Ok(batch.unit(id, Retried { attempt, not_before, failures: 0, budget_left: park_after })?)
}

fn known<'a>(
    batch: &'a Batch<'_>,
    chain: ChainId,
) -> Result<&'a prooflog_projections::state::chain::Chain, Refused> {
    batch.state.chains.get(&chain).ok_or(Refused::UnknownChain(chain))
}

fn live<'a>(batch: &'a Batch<'_>, unit: UnitId) -> Result<&'a Unit, Refused> {
    batch.state.unit(unit).ok_or(Refused::UnknownUnit(unit))
}

fn require(
    batch: &Batch<'_>,
    id: UnitId,
    event: prooflog_events::event::EventType,
    hint: &'static str,
) -> Result<(), Refused> {
    let unit = live(batch, id)?;
    match prooflog_projections::state::transition(unit.shape(), unit.phase, event) {
        Some(_) => Ok(()),
        None => Err(Refused::WrongPhase { unit: id, phase: unit.phase.name(), hint }),
    }
}
