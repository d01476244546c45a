//! What happened, line by line, in words for people.
//!
//! One entry per event, in log order, of one correlation or of all; what outside writers tied to it stands among them.
//! The words are an interface for eyes and not for programs; what needs an operator is written in capitals.

use std::borrow::Cow;

use prooflog_events::envelope::{Content, Envelope};
use prooflog_events::event::Event;
use prooflog_events::ids::{Micros, Position};
use serde::Serialize;

use crate::Fact;

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Place in the log.
    pub position: Position,
    /// When.
    pub time: Micros,
    /// Stream.
    pub stream: String,
    /// Event type.
    pub event: Cow<'static, str>,
    /// What it says, in words.
    pub text: String,
}

/// Entries in order, of one correlation or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    correlation: Option<String>,
    entries: Vec<Entry>,
}

impl Timeline {
    /// The timeline of everything that carries `correlation`.
    #[must_use]
    pub fn of(correlation: impl Into<String>) -> Self {
        Self { correlation: Some(correlation.into()), entries: Vec::new() }
    }

    /// Takes one event in.
    pub fn apply(&mut self, fact: &Fact<'_>) {
        if self.correlation.as_deref().is_some_and(|wanted| wanted != fact.correlation) {
            return;
        }
        self.entries.push(Entry {
            position: fact.position,
            time: fact.time,
            stream: fact.stream.to_string(),
            event: fact.event.event_type().name().into(),
            text: describe(&fact.event),
        });
    }

    /// Takes in what an outside writer stored, in its place.
    pub fn note(&mut self, envelope: &Envelope<'_>) {
        if self.correlation.as_deref().is_some_and(|wanted| wanted != envelope.correlation) {
            return;
        }
        let at = self.entries.partition_point(|entry| entry.position < envelope.position);
        let entry = Entry {
            position: envelope.position,
            time: envelope.recorded_at,
            stream: envelope.stream.to_owned(),
            event: envelope.type_name.to_owned().into(),
            text: noted(envelope),
        };
        self.entries.insert(at, entry);
    }

    /// The entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// Characters of a note that are shown.
const NOTE_CHARS: usize = 200;

/// What an outside writer says, in one line: who, what kind, and the beginning of it if it is text.
#[must_use]
pub fn noted(envelope: &Envelope<'_>) -> String {
    let said = match envelope.content {
        Content::Json => String::from_utf8_lossy(envelope.payload),
        Content::Octets | Content::Native => format!("{} bytes", envelope.payload.len()).into(),
    };
    let cut = if said.chars().nth(NOTE_CHARS).is_some() { "…" } else { "" };
    let said: String = said.chars().take(NOTE_CHARS).collect();
    format!("{} noted {}: {said}{cut}", envelope.actor, envelope.type_name)
}

/// What an event says, in one line without the stream and the time.
#[must_use]
pub fn describe(event: &Event) -> String {
    describe_unit(event).or_else(|| describe_tx(event)).or_else(|| describe_chain(event)).unwrap_or_default()
}

fn describe_unit(event: &Event) -> Option<String> {
    Some(match event {
        Event::SpanCreated(e) => format!("blocks {} to be proven ({:?})", e.range, e.origin),
        Event::AggQueued(e) => format!("aggregate of {} spans over {}", e.members.len(), e.range),
        Event::WitnessGenStarted(e) => format!("attempt {}: asking the prover", e.attempt),
        Event::WitnessGenFailed(e) => format!("attempt {} failed ({:?}): {}", e.attempt, e.class, e.text),
        Event::ProofRequested(e) => format!("attempt {}: the prover took it as {}", e.attempt, e.proof_id),
        Event::ProofAssigned(e) => format!("attempt {}: a prover works on it", e.attempt),
        Event::ProofFulfilled(e) => {
            format!("attempt {}: proof of {} bytes after {} s", e.attempt, e.proof.length, e.seconds)
        }
        Event::Unfulfillable(e) => {
            format!("attempt {}: given up by the prover ({:?}) {}", e.attempt, e.class, e.text)
        }
        Event::TimedOut(e) => {
            format!("attempt {}: {:?} ended by {:?} after {} s", e.attempt, e.stage, e.reason, e.after_secs)
        }
        Event::ProofLost(e) => format!("attempt {}: lost by the prover ({:?})", e.attempt, e.class),
        Event::LateAnswerRecorded(e) => format!("late answer to attempt {}", e.attempt),
        Event::DuplicateSpendRecorded(e) => {
            format!("attempt {} was paid beside attempt {}", e.wasted, e.kept)
        }
        Event::Retried(e) => format!("attempt {} follows, {} failures left", e.attempt, e.budget_left),
        Event::Split(e) => format!("halved at block {} into spans {} and {}", e.middle, e.low, e.high),
        Event::Parked(e) => format!("PARKED ({:?}): {}", e.reason, e.text),
        Event::Unparked(_) => "goes on".to_owned(),
        Event::Invalidated(e) => format!("of no use any more ({:?}) {}", e.reason, e.detail),
        Event::Cancelled(e) => format!("cancelled: {}", e.note),
        Event::SpanSettled(e) => format!("settled by output {}", e.output_index),
        Event::AggSettled(e) => {
            e.output_index.map_or_else(|| "settled".to_owned(), |index| format!("settled as output {index}"))
        }
        Event::Restored(e) => format!("of use again, the contract is back at block {}", e.latest),
        Event::ProofPruned(e) => format!("proof bytes removed after {} s", e.kept_secs),
        Event::CheckpointStarted(e) => format!("checkpoint of L1 block {} wanted", e.block),
        Event::Checkpointed(e) => format!("checkpoint of L1 block {} is in the contract", e.block),
        Event::CheckpointLost(e) => format!("checkpoint of L1 block {} lost ({:?})", e.block, e.reason),
        Event::OutputChecked(e) => format!("root of block {} agreed", e.block),
        Event::OutputMismatched(e) => format!("ROOTS DIFFER at block {}", e.block),
        Event::SubmissionStarted(e) => format!("submission in {}", e.slot),
        Event::SubmissionRefused(e) => format!("simulation refused: {}", e.refusal.text),
        Event::SubmissionAbandoned(_) => "its transaction will never be included".to_owned(),
        Event::Submitted(e) => format!("submitted in L1 block {}", e.block.number),
        Event::SubmissionConfirmed(e) => format!("confirmed, {} blocks deep", e.depth),
        Event::SubmissionReverted(e) => format!("submission reverted: {}", e.refusal.text),
        Event::SubmissionReorged(e) => format!("L1 block {} with the submission is gone", e.block.number),
        _ => return None,
    })
}

fn describe_tx(event: &Event) -> Option<String> {
    Some(match event {
        Event::TxReserved(e) => format!("nonce reserved for {:?}", e.purpose),
        Event::TxPrepared(e) => format!("version {} signed as {}", e.version, e.hash),
        Event::TxBroadcast(e) => format!("version {} broadcast ({:?})", e.version, e.outcome),
        Event::TxDropped(e) => format!("version {} is in no mempool", e.version),
        Event::TxReplaced(e) => {
            format!("version {} takes over ({:?}), max fee {} wei", e.version, e.reason, e.fees.max_fee)
        }
        Event::TxIncluded(e) => format!("version {} in L1 block {}", e.version, e.block.number),
        Event::TxReverted(e) => {
            format!("version {} reverted in L1 block {}: {}", e.version, e.block.number, e.refusal.text)
        }
        Event::TxReorged(e) => format!("L1 block {} is gone", e.block.number),
        Event::TxConfirmed(e) => format!("version {} confirmed", e.version),
        Event::TxAbandoned(e) => format!("slot closed ({:?})", e.reason),
        Event::SignerBalanceLow(e) => format!("BALANCE LOW: {} wei", e.balance),
        Event::SignerBalanceRestored(e) => format!("balance is {} wei again", e.balance),
        Event::NonceDrifted(e) => format!("nonce is {}, expected {}", e.found, e.expected),
        _ => return None,
    })
}

fn describe_chain(event: &Event) -> Option<String> {
    Some(match event {
        Event::EngineStarted(e) => format!("prooflog {} started", e.release),
        Event::EngineStopped(e) => format!("stopped: {}", e.reason),
        Event::ChainRegistered(e) => format!("rollup {} with oracle {}", e.name, e.oracle),
        Event::PolicyChanged(_) => "policy in force changed".to_owned(),
        Event::ContractChanged(e) => format!("oracle is {} now", e.to),
        Event::ContractObserved(e) => format!("contract values read at L1 block {}", e.at.number),
        Event::ContractConfigValidated(_) => "prover and contract agree".to_owned(),
        Event::ContractConfigRejected(_) => "PROVER AND CONTRACT DISAGREE".to_owned(),
        Event::ContractAdvanced(e) => {
            format!("contract at block {} (output {})", e.latest.block, e.latest.index)
        }
        Event::ContractConfirmed(e) => match &e.latest {
            Some(latest) => format!("block {} confirmed in the contract", latest.block),
            None => "no output confirmed in the contract".to_owned(),
        },
        Event::ContractRolledBack(e) => match &e.latest {
            Some(latest) => format!("CONTRACT BACK at block {} ({:?})", latest.block, e.cause),
            None => format!("CONTRACT EMPTY ({:?})", e.cause),
        },
        Event::FinalizedStalled(e) => format!("FINALIZED HEAD STALLED at {}", e.block),
        Event::FinalizedMoved(e) => format!("finalized head at {}", e.block),
        Event::DegradedModeEntered(e) => format!("DEGRADED ({:?}): {}", e.reason, e.detail),
        Event::DegradedModeLeft(e) => format!("no longer degraded ({:?})", e.reason),
        Event::ProverDegraded(e) => {
            format!("PROVER DEGRADED ({:?}) after {} failures: {}", e.class, e.failures, e.text)
        }
        Event::ProverRecovered(_) => "prover answers again".to_owned(),
        Event::Paused(e) => format!("{:?} paused: {}", e.control, e.note),
        Event::Resumed(e) => format!("{:?} resumed", e.control),
        Event::FlushRequested(e) => format!("flush to block {}", e.to),
        _ => return None,
    })
}
