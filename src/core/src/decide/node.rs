//! The engine itself: start and end, configuration, clock, disk.
//!
//! Reasons for degraded mode are entered and left here, each once; while any holds, nothing that costs prover money
//! is started.

use prooflog_events::event::{
    ChainRegistered, ContractChanged, DegradedModeEntered, DegradedModeLeft, EngineStopped, PolicyChanged,
    Stage, TimedOut, TimeoutReason,
};
use prooflog_events::ids::ChainId;
use prooflog_events::input::{ChainConfigured, DiskRead, EngineClosing, EngineOpened};
use prooflog_events::values::{DegradedReason, FailureClass};
use prooflog_projections::state::Illegal;

use super::{DecideError, Refused, proving};
use crate::batch::Batch;
use crate::rules::{CLOCK_BEHIND_SECS, clip, clock_behind_detail};

/// The log was opened for writing: calls that were open are over, and what they did at the server is unknown.
pub(super) fn opened(batch: &mut Batch<'_>, input: &EngineOpened) -> Result<(), Illegal> {
    batch.node(input.started.clone())?;
    Ok(())
}

/// Ends calls that were open when the last engine ended. One step of [`super::advance`], so that many do fit.
pub(super) fn end_open_calls(batch: &mut Batch<'_>) -> Result<(), Illegal> {
    while let Some(id) = batch.state.stale_calls.get_min().copied() {
        if !batch.has_room() {
            break;
        }
        let Some(unit) = batch.state.unit(id) else { break };
        let event = TimedOut {
            attempt: unit.attempt,
            stage: Stage::Witness,
            reason: TimeoutReason::Restart,
            after_secs: batch.now.secs_since(unit.started),
            maybe_paid: true,
        };
        batch.unit(id, event)?;
        proving::after_failure(batch, id, FailureClass::Restart, "the engine was restarted during the call")?;
    }
    Ok(())
}

pub(super) fn closing(batch: &mut Batch<'_>, input: &EngineClosing) -> Result<(), Illegal> {
    batch.node(EngineStopped { reason: clip(&input.reason) })
}

/// Takes a rollup on, or takes changes of its policy and oracle over; its identity cannot change.
pub(super) fn configured(batch: &mut Batch<'_>, input: &ChainConfigured) -> Result<(), DecideError> {
    let ChainConfigured { chain, registration, policy } = input;
    policy.check().map_err(|error| Refused::Policy { chain: *chain, error })?;
    let known = batch.state.chains.get(chain).map(|known| (known.registration.clone(), known.policy.clone()));
    let Some((recorded, in_force)) = known else {
        batch.chain(*chain, registration.clone())?;
        batch.chain(*chain, PolicyChanged { policy: policy.clone() })?;
        return Ok(());
    };
    same_identity(&recorded, registration)?;
    if recorded.oracle != registration.oracle {
        batch.chain(*chain, ContractChanged { from: recorded.oracle, to: registration.oracle })?;
    }
    if in_force.as_ref() != Some(policy) {
        batch.chain(*chain, PolicyChanged { policy: policy.clone() })?;
    }
    Ok(())
}

fn same_identity(recorded: &ChainRegistered, configured: &ChainRegistered) -> Result<(), Refused> {
    let fields = [
        ("the L1 chain id", configured.l1.to_string(), recorded.l1.to_string()),
        ("the L1 genesis", configured.l1_genesis.to_string(), recorded.l1_genesis.to_string()),
        ("the L2 genesis", configured.l2_genesis.to_string(), recorded.l2_genesis.to_string()),
    ];
    for (field, configured, recorded) in fields {
        if configured != recorded {
            return Err(Refused::WrongIdentity { field, configured, recorded });
        }
    }
    Ok(())
}

/// A clock that is behind the log makes deadlines meaningless: nothing new is started until it has caught up.
pub(super) fn watch_clock(batch: &mut Batch<'_>, behind_secs: u64) -> Result<(), Illegal> {
    if behind_secs <= CLOCK_BEHIND_SECS {
        return Ok(());
    }
    let detail = clock_behind_detail(behind_secs);
    for chain in chain_ids(batch) {
        enter(batch, chain, DegradedReason::Clock, &detail)?;
    }
    Ok(())
}

pub(super) fn disk(batch: &mut Batch<'_>, input: &DiskRead) -> Result<(), Illegal> {
    // Left only with a tenth to spare, so that it does not flap.
    let spare = input.minimum.saturating_add(input.minimum / 10);
    for chain in chain_ids(batch) {
        if input.free < input.minimum {
            let detail = format!("{} bytes free, {} needed: make room", input.free, input.minimum);
            enter(batch, chain, DegradedReason::Disk, &detail)?;
        } else if input.free > spare {
            leave(batch, chain, DegradedReason::Disk)?;
        }
    }
    Ok(())
}

/// Enters degraded mode for a reason, once.
pub(super) fn enter(
    batch: &mut Batch<'_>,
    chain: ChainId,
    reason: DegradedReason,
    detail: &str,
) -> Result<(), Illegal> {
    let is_new =
        batch.state.chains.get(&chain).is_some_and(|chain| !chain.hold.degraded.contains_key(&reason));
    if is_new && batch.has_room() {
        batch.chain(chain, DegradedModeEntered { reason, detail: clip(detail) })?;
    }
    Ok(())
}

/// Leaves degraded mode for a reason, if it holds.
pub(super) fn leave(batch: &mut Batch<'_>, chain: ChainId, reason: DegradedReason) -> Result<(), Illegal> {
    let holds = batch.state.chains.get(&chain).is_some_and(|chain| chain.hold.degraded.contains_key(&reason));
    if holds && batch.has_room() {
        batch.chain(chain, DegradedModeLeft { reason })?;
    }
    Ok(())
}

fn chain_ids(batch: &Batch<'_>) -> Vec<ChainId> {
    batch.state.chains.keys().copied().collect()
}
