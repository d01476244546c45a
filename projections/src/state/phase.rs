//! The one function that says which event may follow which state, for units and for nonce slots.
//!
//! Live recording, recovery, replay and `verify` all go through it. It is total: any pair that is not listed is
//! illegal. A test walks every pair against a table written independently of this file.

use bincode::{Decode, Encode};
use prooflog_events::event::EventType;
use prooflog_events::ids::UnitKind;
use serde::Serialize;

/// Where a span or an aggregate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Aggregate without a checkpoint.
    Queued,
    /// Its checkpoint's transaction is on its way.
    Checkpointing,
    /// May be requested, from `not_before` on.
    Ready,
    /// The server is called.
    WitnessGen,
    /// The prover has it and gave an id.
    Requested,
    /// A prover of the network works on it.
    Assigned,
    /// An attempt ended; what follows is decided in the same batch.
    Failed,
    /// The proof is here.
    Complete,
    /// Its submission's transaction is on its way.
    Submitting,
    /// Its submission is in an L1 block.
    Included,
    /// Its submission is deep enough.
    Confirmed,
    /// Waits for an operator.
    Parked,
    /// Became two.
    Split,
    /// Of no use any more.
    Invalidated,
    /// Taken back by an operator.
    Cancelled,
    /// The contract holds its blocks.
    Settled,
}

impl Phase {
    /// All phases.
    pub const ALL: [Self; 16] = [
        Self::Queued,
        Self::Checkpointing,
        Self::Ready,
        Self::WitnessGen,
        Self::Requested,
        Self::Assigned,
        Self::Failed,
        Self::Complete,
        Self::Submitting,
        Self::Included,
        Self::Confirmed,
        Self::Parked,
        Self::Split,
        Self::Invalidated,
        Self::Cancelled,
        Self::Settled,
    ];

    /// Whether the unit left the hot state; only its proof may be kept.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Split | Self::Invalidated | Self::Cancelled | Self::Settled)
    }

    /// Whether an attempt counts against the limits.
    #[must_use]
    pub const fn is_in_flight(self) -> bool {
        matches!(self, Self::WitnessGen | Self::Requested | Self::Assigned)
    }

    /// Its name in errors and for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Checkpointing => "checkpointing",
            Self::Ready => "ready",
            Self::WitnessGen => "witness_gen",
            Self::Requested => "requested",
            Self::Assigned => "assigned",
            Self::Failed => "failed",
            Self::Complete => "complete",
            Self::Submitting => "submitting",
            Self::Included => "included",
            Self::Confirmed => "confirmed",
            Self::Parked => "parked",
            Self::Split => "split",
            Self::Invalidated => "invalidated",
            Self::Cancelled => "cancelled",
            Self::Settled => "settled",
        }
    }
}

/// What of a unit, beside its phase, decides which events may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Span or aggregate.
    pub kind: UnitKind,
    /// A proof is held.
    pub has_proof: bool,
    /// A checkpoint is held, as read back from the contract.
    pub has_checkpoint: bool,
    /// A request is with the prover.
    pub has_request: bool,
}

impl Shape {
    /// Where a unit goes that is to be proven (again).
    const fn start(self) -> Phase {
        match self.kind {
            UnitKind::Agg if !self.has_checkpoint => Phase::Queued,
            UnitKind::Agg | UnitKind::Span => Phase::Ready,
        }
    }
}

/// The phase after `event` in `phase`; `None` if that pair is illegal.
#[must_use]
pub const fn next_phase(shape: Shape, phase: Phase, event: EventType) -> Option<Phase> {
    match shape.kind {
        UnitKind::Span => next_of_span(shape, phase, event),
        UnitKind::Agg => next_of_agg(shape, phase, event),
    }
}

const fn next_of_span(shape: Shape, phase: Phase, event: EventType) -> Option<Phase> {
    use EventType as E;
    use Phase as P;
    Some(match (phase, event) {
        (P::Failed, E::Split) => P::Split,
        // Its own proof came after all, in place of its halves.
        (P::Split, E::ProofFulfilled) => P::Complete,
        (P::Split, E::LateAnswerRecorded | E::UnknownStatusRecorded) => P::Split,
        (P::Ready | P::WitnessGen | P::Requested | P::Assigned | P::Complete | P::Parked, E::SpanSettled) => {
            P::Settled
        }
        (P::Ready | P::WitnessGen | P::Requested | P::Assigned | P::Parked, E::ProofFulfilled) => P::Complete,
        (P::Queued | P::Checkpointing | P::Submitting | P::Included | P::Confirmed, _) => return None,
        (_, _) => return next_of_either(shape, phase, event),
    })
}

const fn next_of_agg(shape: Shape, phase: Phase, event: EventType) -> Option<Phase> {
    use EventType as E;
    use Phase as P;
    Some(match (phase, event) {
        (P::Queued | P::Checkpointing, E::CheckpointStarted) => P::Checkpointing,
        (P::Queued | P::Checkpointing, E::Checkpointed) => P::Ready,
        (
            P::Checkpointing | P::Ready | P::WitnessGen | P::Requested | P::Assigned | P::Complete,
            E::CheckpointLost,
        ) => P::Queued,
        (P::Parked, E::CheckpointLost) => P::Parked,
        (P::Ready | P::WitnessGen | P::Requested | P::Assigned, E::ProofFulfilled) => P::Complete,
        (P::Parked, E::ProofFulfilled) if shape.has_checkpoint => P::Complete,
        (P::Queued | P::Complete, E::SubmissionRefused | E::FeeCeilingReached) => phase,
        (P::Complete, E::SubmissionStarted) => P::Submitting,
        (P::Submitting, E::SubmissionAbandoned) => P::Complete,
        (P::Submitting, E::Submitted) => P::Included,
        (P::Submitting | P::Included, E::SubmissionReverted) => P::Complete,
        (P::Included, E::SubmissionConfirmed) => P::Confirmed,
        (P::Included | P::Confirmed, E::SubmissionReorged) => P::Submitting,
        (P::Confirmed, E::AggSettled) => P::Settled,
        (P::Queued, E::Retried | E::OutputChecked | E::OutputMismatched | E::LateAnswerRecorded) => P::Queued,
        (P::Queued, E::Parked) => P::Parked,
        (P::Queued | P::Checkpointing, E::Cancelled) => P::Cancelled,
        (P::Queued | P::Checkpointing | P::Submitting | P::Included, E::Invalidated) => P::Invalidated,
        (
            P::Checkpointing | P::Submitting | P::Included | P::Confirmed,
            E::OutputChecked | E::OutputMismatched | E::LateAnswerRecorded,
        ) => phase,
        (P::Ready | P::Complete, E::OutputChecked | E::OutputMismatched) => phase,
        (P::Split, _) => return None,
        (_, _) => return next_of_either(shape, phase, event),
    })
}

const fn next_of_either(shape: Shape, phase: Phase, event: EventType) -> Option<Phase> {
    use EventType as E;
    use Phase as P;
    Some(match (phase, event) {
        (P::Ready, E::WitnessGenStarted) => P::WitnessGen,
        (P::WitnessGen, E::WitnessGenFailed) => P::Failed,
        (P::WitnessGen, E::ProofRequested) => P::Requested,
        (P::Requested, E::ProofAssigned) => P::Assigned,
        (P::WitnessGen | P::Requested | P::Assigned, E::TimedOut) => P::Failed,
        (P::Requested | P::Assigned, E::Unfulfillable | E::ProofLost) => P::Failed,
        (P::Failed | P::Ready, E::Retried) => shape.start(),
        (P::Complete, E::Retried) => P::Complete,
        (P::Ready | P::WitnessGen | P::Requested | P::Assigned | P::Failed | P::Complete, E::Parked) => {
            P::Parked
        }
        (P::Parked, E::Unparked) => {
            if shape.has_proof {
                P::Complete
            } else {
                shape.start()
            }
        }
        (
            P::Ready | P::WitnessGen | P::Requested | P::Assigned | P::Failed | P::Complete | P::Parked,
            E::Invalidated,
        ) => P::Invalidated,
        (P::Ready | P::WitnessGen | P::Requested | P::Assigned | P::Complete | P::Parked, E::Cancelled) => {
            P::Cancelled
        }
        (
            P::Ready | P::WitnessGen | P::Requested | P::Assigned | P::Complete | P::Parked,
            E::LateAnswerRecorded | E::DuplicateSpendRecorded,
        ) => phase,
        (P::Ready | P::WitnessGen | P::Requested | P::Assigned | P::Parked, E::UnknownStatusRecorded) => {
            phase
        }
        (P::Settled | P::Invalidated, E::Restored) if shape.has_proof => P::Complete,
        (P::Invalidated, E::Restored) if shape.has_request => P::Requested,
        (P::Settled | P::Invalidated | P::Cancelled, E::ProofPruned) if shape.has_proof => phase,
        (_, _) => return None,
    })
}

/// Where a nonce slot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotPhase {
    /// The newest version is to be signed.
    Unsigned,
    /// The newest version is to be broadcast.
    Prepared,
    /// Waiting for inclusion.
    Broadcast,
    /// A version is in a block and succeeded.
    Included,
    /// A version is in a block and failed.
    Reverted,
    /// Over: a version of ours is deep enough.
    Confirmed,
    /// Over: no version of ours.
    Abandoned,
}

impl SlotPhase {
    /// All phases.
    pub const ALL: [Self; 7] = [
        Self::Unsigned,
        Self::Prepared,
        Self::Broadcast,
        Self::Included,
        Self::Reverted,
        Self::Confirmed,
        Self::Abandoned,
    ];

    /// Its name in errors and for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Prepared => "prepared",
            Self::Broadcast => "broadcast",
            Self::Included => "included",
            Self::Reverted => "reverted",
            Self::Confirmed => "confirmed",
            Self::Abandoned => "abandoned",
        }
    }

    /// Whether a version is in a canonical block.
    #[must_use]
    pub const fn is_mined(self) -> bool {
        matches!(self, Self::Included | Self::Reverted)
    }
}

/// What of a slot, beside its phase, decides which events may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotShape {
    /// A version of it is signed, and may be included.
    pub is_signed: bool,
}

/// The phase after `event` in `phase`; `None` if that pair is illegal.
#[must_use]
pub const fn next_slot_phase(shape: SlotShape, phase: SlotPhase, event: EventType) -> Option<SlotPhase> {
    use EventType as E;
    use SlotPhase as P;
    Some(match (phase, event) {
        (P::Unsigned, E::TxPrepared) => P::Prepared,
        (P::Prepared, E::TxBroadcast) => P::Broadcast,
        (P::Broadcast, E::TxDropped) => P::Prepared,
        (P::Unsigned | P::Prepared | P::Broadcast, E::TxReplaced) => P::Unsigned,
        (P::Unsigned | P::Prepared | P::Broadcast, E::FeeCeilingReached) => phase,
        (P::Unsigned, E::TxIncluded) if shape.is_signed => P::Included,
        (P::Prepared | P::Broadcast, E::TxIncluded) => P::Included,
        (P::Unsigned, E::TxReverted) if shape.is_signed => P::Reverted,
        (P::Prepared | P::Broadcast, E::TxReverted) => P::Reverted,
        (P::Included | P::Reverted, E::TxReorged) => P::Broadcast,
        (P::Included | P::Reverted, E::TxConfirmed) => P::Confirmed,
        (P::Unsigned | P::Prepared | P::Broadcast, E::TxAbandoned) => P::Abandoned,
        (_, _) => return None,
    })
}
