//! One line per event that became durable: the diagnostic log tells the same story as the event log, in its order.
//!
//! The level says who must do something: an error needs an operator, a warning is being dealt with.

use prooflog_events::event::Event;
use prooflog_events::ids::StreamId;
use prooflog_projections::Fact;

/// Target of these lines, to filter them by.
const TARGET: &str = "prooflog::events";

#[derive(Clone, Copy)]
enum Weight {
    /// An operator must act.
    Act,
    /// Something went wrong and is being dealt with.
    Wrong,
    /// It moves on.
    Step,
    /// For whoever looks closely.
    Detail,
}

/// Logs a durable event with what it belongs to: `correlation`, `chain`, `unit`, `tx`, `attempt`.
pub fn log_fact(fact: &Fact<'_>) {
    let mut fields = Fields { name: fact.event.event_type().name(), ..Fields::default() };
    match fact.stream {
        StreamId::Chain(chain) => fields.chain = Some(chain.0),
        StreamId::Unit(unit) => {
            fields.chain = Some(unit.chain.0);
            fields.unit = Some(unit.to_string());
        }
        StreamId::Tx(slot) => fields.tx = Some(slot.to_string()),
        StreamId::Node | StreamId::Signer(_) => {}
    }
    fields.attempt = attempt(&fact.event);
    fields.hash = transaction(&fact.event);
    fields.text = text(&fact.event);
    macro_rules! line {
        ($level:ident) => {
            tracing::event!(
                target: TARGET,
                tracing::Level::$level,
                position = fact.position.0,
                stream = %fact.stream,
                correlation = fact.correlation,
                chain = fields.chain,
                unit = fields.unit,
                attempt = fields.attempt,
                tx = fields.tx,
                hash = fields.hash,
                detail = fields.text,
                "{}",
                fields.name
            )
        };
    }
    match weight(&fact.event) {
        Weight::Act => line!(ERROR),
        Weight::Wrong => line!(WARN),
        Weight::Step => line!(INFO),
        Weight::Detail => line!(DEBUG),
    }
}

#[derive(Default)]
struct Fields {
    name: &'static str,
    chain: Option<u64>,
    unit: Option<String>,
    tx: Option<String>,
    attempt: Option<u32>,
    hash: Option<String>,
    text: Option<String>,
}

fn weight(event: &Event) -> Weight {
    match event {
        Event::Parked(_)
        | Event::OutputMismatched(_)
        | Event::ContractConfigRejected(_)
        | Event::DegradedModeEntered(_)
        | Event::ContractRolledBack(_)
        | Event::NonceDrifted(_) => Weight::Act,
        Event::WitnessGenFailed(_)
        | Event::Unfulfillable(_)
        | Event::TimedOut(_)
        | Event::ProofLost(_)
        | Event::DuplicateSpendRecorded(_)
        | Event::ProverDegraded(_)
        | Event::FinalizedStalled(_)
        | Event::CheckpointLost(_)
        | Event::SubmissionRefused(_)
        | Event::SubmissionReverted(_)
        | Event::SubmissionReorged(_)
        | Event::SubmissionAbandoned(_)
        | Event::TxReverted(_)
        | Event::TxReorged(_)
        | Event::TxDropped(_)
        | Event::UnknownStatusRecorded(_)
        | Event::FeeCeilingReached(_)
        | Event::SignerBalanceLow(_) => Weight::Wrong,
        Event::ContractObserved(e) if e.values.submission_interval == 0 => Weight::Wrong,
        Event::ProofAssigned(_)
        | Event::FinalizedMoved(_)
        | Event::ContractObserved(_)
        | Event::ContractConfirmed(_)
        | Event::OutputChecked(_)
        | Event::TxReserved(_)
        | Event::TxPrepared(_)
        | Event::TxConfirmed(_)
        | Event::ProofPruned(_)
        | Event::LateAnswerRecorded(_) => Weight::Detail,
        _ => Weight::Step,
    }
}

fn attempt(event: &Event) -> Option<u32> {
    Some(match event {
        Event::WitnessGenStarted(e) => e.attempt.0,
        Event::WitnessGenFailed(e) => e.attempt.0,
        Event::ProofRequested(e) => e.attempt.0,
        Event::ProofAssigned(e) => e.attempt.0,
        Event::ProofFulfilled(e) => e.attempt.0,
        Event::Unfulfillable(e) => e.attempt.0,
        Event::TimedOut(e) => e.attempt.0,
        Event::ProofLost(e) => e.attempt.0,
        Event::LateAnswerRecorded(e) => e.attempt.0,
        Event::UnknownStatusRecorded(e) => e.attempt.0,
        Event::Retried(e) => e.attempt.0,
        Event::Unparked(e) => e.attempt.0,
        _ => return None,
    })
}

fn transaction(event: &Event) -> Option<String> {
    let hash = match event {
        Event::TxPrepared(e) => e.hash,
        Event::TxIncluded(e) => e.hash,
        Event::TxReverted(e) => e.hash,
        Event::Submitted(e) => e.tx,
        Event::SubmissionConfirmed(e) => e.tx,
        Event::SubmissionReverted(e) => e.tx,
        Event::SubmissionReorged(e) => e.tx,
        _ => return None,
    };
    Some(hash.to_string())
}

/// What an operator reads first: the words of whoever refused, or the reason.
fn text(event: &Event) -> Option<String> {
    Some(match event {
        Event::WitnessGenFailed(e) => format!("{:?}: {}", e.class, e.text),
        Event::Unfulfillable(e) => format!("{:?}: {}", e.class, e.text),
        Event::ProofLost(e) => format!("{:?}", e.class),
        Event::TimedOut(e) => format!("{:?} after {} s ({:?})", e.stage, e.after_secs, e.reason),
        Event::Parked(e) => format!("{:?}: {}", e.reason, e.text),
        Event::Invalidated(e) => format!("{:?}: {}", e.reason, e.detail),
        Event::DegradedModeEntered(e) => format!("{:?}: {}", e.reason, e.detail),
        Event::DegradedModeLeft(e) => format!("{:?}", e.reason),
        Event::ProverDegraded(e) => format!("{:?}: {}", e.class, e.text),
        Event::SubmissionRefused(e) => format!("{:?}: {}", e.refusal.class, e.refusal.text),
        Event::SubmissionReverted(e) => format!("{:?}: {}", e.refusal.class, e.refusal.text),
        Event::UnknownStatusRecorded(e) => {
            format!("fulfilment {}, execution {}: {}", e.fulfillment, e.execution, e.text)
        }
        Event::FeeCeilingReached(e) => {
            format!("{} wei per gas needed, {} allowed", e.needed, e.allowed)
        }
        Event::TxReverted(e) => format!("{:?}: {}", e.refusal.class, e.refusal.text),
        Event::TxBroadcast(e) => format!("{:?} {}", e.outcome, e.text),
        Event::TxReplaced(e) => format!("{:?}", e.reason),
        Event::TxAbandoned(e) => format!("{:?}", e.reason),
        Event::CheckpointLost(e) => format!("{:?}", e.reason),
        Event::Paused(e) => format!("{:?}: {}", e.control, e.note),
        Event::Resumed(e) => format!("{:?}", e.control),
        Event::Cancelled(e) => e.note.clone(),
        Event::EngineStopped(e) => e.reason.clone(),
        Event::ContractRolledBack(e) => format!("{:?}", e.cause),
        Event::NonceDrifted(e) => format!("expected {}, found {}", e.expected, e.found),
        Event::SignerBalanceLow(e) => format!("{} wei, below {}", e.balance, e.minimum),
        Event::ContractObserved(e) if e.values.submission_interval == 0 => {
            "the contract's submission interval is 0, which is taken as 1".to_owned()
        }
        _ => return None,
    })
}
