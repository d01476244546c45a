//! What did not go as it should, kind by kind.
//!
//! Every event is either one of these or ordinary; nothing is left open, so a new event has to be put somewhere. What a
//! crash means: no report; nothing is kept here.

use std::collections::BTreeSet;

use prooflog_events::event::{Event, InvalidReason};
use prooflog_events::ids::{Hash32, Micros, Position, StreamId, UnitKind};
use prooflog_events::port::SequenceRead;
use prooflog_events::values::BroadcastOutcome;
use prooflog_projections::{Fact, describe};
use serde::Serialize;

use super::Past;
use crate::error::AuditError;

/// A kind of anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AnomalyKind {
    /// A transaction was included and failed.
    Reverted,
    /// L1 took something back, or the challenger deleted outputs.
    TakenBack,
    /// Something was refused: a simulation, a broadcast, the prover's configuration.
    Refused,
    /// An answer in words or numbers that nobody knows here.
    NotUnderstood,
    /// Output roots differ.
    Mismatch,
    /// Nothing that costs was started for a while, or again after it.
    Degraded,
    /// Something stood still: the finalized head.
    Stalled,
    /// Something paid or sent is not there any more.
    Lost,
    /// Something was, or may have been, paid twice.
    PaidTwice,
    /// A unit waits for a person.
    Parked,
    /// Work is of no use any more.
    Invalidated,
    /// The sending account: too little coin, or a nonce that we did not use.
    Account,
    /// The contract moved by somebody else's output.
    Foreign,
}

impl AnomalyKind {
    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reverted => "reverted",
            Self::TakenBack => "taken back",
            Self::Refused => "refused",
            Self::NotUnderstood => "not understood",
            Self::Mismatch => "MISMATCH",
            Self::Degraded => "degraded",
            Self::Stalled => "stalled",
            Self::Lost => "lost",
            Self::PaidTwice => "paid twice",
            Self::Parked => "parked",
            Self::Invalidated => "invalidated",
            Self::Account => "account",
            Self::Foreign => "foreign",
        }
    }
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Anomaly {
    /// Where.
    pub position: Position,
    /// When.
    pub time: Micros,
    /// Its stream.
    pub stream: String,
    /// Of what kind.
    pub kind: AnomalyKind,
    /// The event.
    pub event: &'static str,
    /// What it says, in words.
    pub text: String,
}

/// Rollups whose contract was seen to hold an output.
#[derive(Debug, Default)]
pub(super) struct Anomalies {
    seen: BTreeSet<StreamId>,
}

impl Anomalies {
    /// The anomaly that a fact is; `None` if it is ordinary.
    pub(super) fn apply<R: SequenceRead + ?Sized>(
        &mut self,
        fact: &Fact<'_>,
        past: &Past<'_, '_, R>,
    ) -> Result<Option<Anomaly>, AuditError> {
        let found = kind(&fact.event).or_else(|| bought_beside(fact));
        if let Event::ContractAdvanced(e) = &fact.event
            && self.seen.insert(fact.stream)
            && e.tx.is_none()
        {
            // What the contract held when it was first looked at is nobody's doing.
            let before =
                past.newest(fact, |earlier| matches!(earlier, Event::ContractAdvanced(_)).then_some(()));
            if before?.is_none() {
                return Ok(None);
            }
        }
        Ok(found.map(|kind| Anomaly {
            kind,
            position: fact.position,
            time: fact.time,
            stream: fact.stream.to_string(),
            event: fact.event.event_type().name(),
            text: text(&fact.event, fact.stream),
        }))
    }
}

fn text(event: &Event, stream: StreamId) -> String {
    let name = |root: Option<Hash32>| root.map_or_else(|| "no answer".to_owned(), |root| root.to_string());
    match event {
        Event::OutputMismatched(e) => {
            let nodes = e.nodes.iter().map(|answer| format!("; {} says {}", answer.node, name(answer.root)));
            let contract = e.contract.map_or_else(String::new, |root| format!("; the contract says {root}"));
            format!("{}{contract}{}", describe(event, stream), nodes.collect::<String>())
        }
        Event::ContractConfigRejected(e) => {
            let (rollup, agg, range) = (e.rollup_config_ok, e.agg_vkey_ok, e.range_vkey_ok);
            let text = describe(event, stream);
            format!("{text} (equal: rollup configuration {rollup}, aggregation key {agg}, range key {range})")
        }
        Event::ContractAdvanced(e) => {
            let sender = e.sender.map_or_else(|| "an unknown sender".to_owned(), |sender| sender.to_string());
            let tx = e.tx.map_or_else(|| "an unknown transaction".to_owned(), |tx| tx.to_string());
            format!("{} by {sender} in {tx}, root {}", describe(event, stream), e.latest.root)
        }
        Event::TxBroadcast(e) => format!("{}: {}", describe(event, stream), e.text),
        event => describe(event, stream),
    }
}

/// A half that gave way to the span it was cut out of: what was asked for it is charged beside.
fn bought_beside(fact: &Fact<'_>) -> Option<AnomalyKind> {
    let Event::Invalidated(e) = &fact.event else { return None };
    let is_span = matches!(fact.stream, StreamId::Unit(unit) if unit.kind == UnitKind::Span);
    (is_span && e.reason == InvalidReason::Replaced).then_some(AnomalyKind::PaidTwice)
}

/// Whether an event is an anomaly. Each is named, so that a new one has to be put somewhere.
fn kind(event: &Event) -> Option<AnomalyKind> {
    use AnomalyKind as Kind;
    use Event as E;
    Some(match event {
        E::TxReverted(_) | E::SubmissionReverted(_) => Kind::Reverted,
        E::TxReorged(_) | E::SubmissionReorged(_) | E::CheckpointLost(_) => Kind::TakenBack,
        E::ContractRolledBack(_) | E::Restored(_) => Kind::TakenBack,
        E::SubmissionRefused(_) | E::ContractConfigRejected(_) | E::FeeCeilingReached(_) => Kind::Refused,
        E::TxBroadcast(e) if e.outcome != BroadcastOutcome::Accepted => Kind::Refused,
        E::UnknownStatusRecorded(_) => Kind::NotUnderstood,
        E::OutputMismatched(_) => Kind::Mismatch,
        E::DegradedModeEntered(_) | E::DegradedModeLeft(_) => Kind::Degraded,
        E::ProverDegraded(_) | E::ProverRecovered(_) => Kind::Degraded,
        E::FinalizedStalled(_) => Kind::Stalled,
        E::ProofLost(_) | E::TxDropped(_) | E::TxAbandoned(_) | E::SubmissionAbandoned(_) => Kind::Lost,
        E::LateAnswerRecorded(_) => Kind::Lost,
        E::DuplicateSpendRecorded(_) => Kind::PaidTwice,
        E::TimedOut(e) if e.maybe_paid => Kind::PaidTwice,
        E::Parked(_) | E::Unparked(_) => Kind::Parked,
        E::Invalidated(e) if e.reason != InvalidReason::Replaced => Kind::Invalidated,
        E::SignerBalanceLow(_) | E::SignerBalanceRestored(_) | E::NonceDrifted(_) => Kind::Account,
        E::ContractAdvanced(e) if e.ours.is_none() => Kind::Foreign,
        // As it should go, or told elsewhere: failures of attempts in the totals, commands and changes in lists of their own.
        E::WitnessGenFailed(_) | E::Unfulfillable(_) | E::TimedOut(_) | E::Retried(_) => return None,
        E::Paused(_) | E::Resumed(_) | E::FlushRequested(_) | E::Cancelled(_) => return None,
        E::EngineStarted(_) | E::EngineStopped(_) => return None,
        E::ChainRegistered(_) | E::PolicyChanged(_) | E::ContractChanged(_) => return None,
        E::ContractObserved(_) | E::ContractConfigValidated(_) => return None,
        E::ContractAdvanced(_) | E::ContractConfirmed(_) | E::FinalizedMoved(_) => return None,
        E::SpanCreated(_) | E::AggQueued(_) | E::WitnessGenStarted(_) => return None,
        E::ProofRequested(_) | E::ProofAssigned(_) | E::ProofFulfilled(_) => return None,
        E::Split(_) | E::Invalidated(_) | E::ProofPruned(_) => return None,
        E::SpanSettled(_) | E::AggSettled(_) => return None,
        E::CheckpointStarted(_) | E::Checkpointed(_) | E::OutputChecked(_) => return None,
        E::SubmissionStarted(_) | E::Submitted(_) | E::SubmissionConfirmed(_) => return None,
        E::TxReserved(_) | E::TxPrepared(_) | E::TxBroadcast(_) | E::TxReplaced(_) => return None,
        E::TxIncluded(_) | E::TxConfirmed(_) => return None,
    })
}
