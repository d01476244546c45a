//! What happened, line by line, in words for people.
//!
//! One entry per event, in log order, of one correlation or of all. The words are an interface for eyes and not for
//! programs; what needs an operator is written in capitals.

use bincode::Encode;
use prooflog_events::codec;
use prooflog_events::event::{Event, SpanOrigin, UnknownStatusRecorded};
use prooflog_events::ids::{Hash32, Micros, Position, StreamId, UnitId};
use prooflog_events::phrase::{Phrase, duration, purpose};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::Fact;

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Encode)]
pub struct Entry {
    /// Place in the log.
    pub position: Position,
    /// When.
    pub time: Micros,
    /// Stream.
    pub stream: String,
    /// Event type.
    pub event: &'static str,
    /// What it says, in words.
    pub text: String,
}

/// Entries in order, of one correlation or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode)]
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
            event: fact.event.event_type().name(),
            text: describe(&fact.event, fact.stream),
        });
    }

    /// The entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// SHA-256 over what it is of and every line: equal histories have equal digests on every machine and under every
    /// release that uses the same words.
    #[must_use]
    pub fn digest(&self) -> Hash32 {
        Hash32(Sha256::digest(codec::encode(self)).into())
    }
}

/// What an event of a stream says, in one line without the stream and the time.
#[must_use]
pub fn describe(event: &Event, stream: StreamId) -> String {
    describe_unit(event, stream)
        .or_else(|| describe_tx(event))
        .or_else(|| describe_chain(event))
        .unwrap_or_default()
}

/// Another unit of the same rollup and kind.
fn sibling(stream: StreamId, number: u64) -> String {
    match stream {
        StreamId::Unit(unit) => UnitId { number, ..unit }.to_string(),
        _ => number.to_string(),
    }
}

/// Somebody else's words behind ours, if there are any.
fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

fn origin(origin: SpanOrigin, stream: StreamId) -> String {
    match origin {
        SpanOrigin::Planned => "planned".to_owned(),
        SpanOrigin::HalfOf(number) => format!("a half of {}", sibling(stream, number)),
        SpanOrigin::RefillOf(number) => format!("fills what {} left open", sibling(stream, number)),
        SpanOrigin::Imported => "taken over from another proposer".to_owned(),
    }
}

fn unknown_status(e: &UnknownStatusRecorded) -> String {
    let numbers = format!("fulfilment {}, execution {}", e.fulfillment, e.execution);
    format!("attempt {}: A STATUS THAT NOBODY KNOWS: {numbers}{}", e.attempt, said(&e.text))
}

fn describe_unit(event: &Event, stream: StreamId) -> Option<String> {
    Some(match event {
        Event::SpanCreated(e) => {
            format!("{}: blocks {} are to be proven", origin(e.origin, stream), e.range)
        }
        Event::AggQueued(e) => format!("aggregate of {} spans over {}", e.members.len(), e.range),
        Event::WitnessGenStarted(e) => format!("attempt {}: asking the prover", e.attempt),
        Event::WitnessGenFailed(e) => {
            format!("attempt {} failed: {}{}", e.attempt, e.class.phrase(), said(&e.text))
        }
        Event::ProofRequested(e) => format!("attempt {}: the prover took it as {}", e.attempt, e.proof_id),
        Event::ProofAssigned(e) => format!("attempt {}: a prover works on it", e.attempt),
        Event::ProofFulfilled(e) => {
            format!("attempt {}: proof of {} bytes after {}", e.attempt, e.proof.length, duration(e.seconds))
        }
        Event::Unfulfillable(e) => {
            format!("attempt {}: given up by the prover: {}{}", e.attempt, e.class.phrase(), said(&e.text))
        }
        Event::TimedOut(e) => {
            format!(
                "attempt {}: {} ended by {} after {}",
                e.attempt,
                e.stage.phrase(),
                e.reason.phrase(),
                duration(e.after_secs)
            )
        }
        Event::ProofLost(e) => format!("attempt {}: lost by the prover: {}", e.attempt, e.class.phrase()),
        Event::LateAnswerRecorded(e) => {
            format!("late answer to attempt {}: {}", e.attempt, e.answer.phrase())
        }
        Event::UnknownStatusRecorded(e) => unknown_status(e),
        Event::DuplicateSpendRecorded(e) => {
            format!("attempt {} was paid beside attempt {}", e.wasted, e.kept)
        }
        Event::Retried(e) => format!("attempt {} follows, {} failures left", e.attempt, e.budget_left),
        Event::Split(e) => {
            let (low, high) = (sibling(stream, e.low), sibling(stream, e.high));
            format!("halved at block {} into {low} and {high}", e.middle)
        }
        Event::Parked(e) => format!("PARKED: {}{}", e.reason.phrase(), said(&e.text)),
        Event::Unparked(_) => "goes on".to_owned(),
        Event::Invalidated(e) => format!("of no use any more: {}{}", e.reason.phrase(), said(&e.detail)),
        Event::Cancelled(e) => format!("cancelled{}", said(&e.note)),
        Event::SpanSettled(e) => format!("settled by output {}", e.output_index),
        Event::AggSettled(e) => {
            e.output_index.map_or_else(|| "settled".to_owned(), |index| format!("settled as output {index}"))
        }
        Event::Restored(e) => format!("of use again, the contract is back at block {}", e.latest),
        Event::ProofPruned(e) => format!("proof bytes removed after {}", duration(e.kept_secs)),
        Event::CheckpointStarted(e) => format!("checkpoint of L1 block {} wanted", e.block),
        Event::Checkpointed(e) => format!("checkpoint of L1 block {} is in the contract", e.block),
        Event::CheckpointLost(e) => format!("checkpoint of L1 block {} lost: {}", e.block, e.reason.phrase()),
        Event::OutputChecked(e) => format!("root of block {} agreed", e.block),
        Event::OutputMismatched(e) => format!("ROOTS DIFFER at block {}", e.block),
        Event::SubmissionStarted(e) => format!("submission in {}", e.slot),
        Event::SubmissionRefused(e) => {
            format!("simulation refused: {}{}", e.refusal.class.phrase(), said(&e.refusal.text))
        }
        Event::SubmissionAbandoned(_) => "its transaction will never be included".to_owned(),
        Event::Submitted(e) => format!("submitted in L1 block {}", e.block.number),
        Event::SubmissionConfirmed(e) => format!("confirmed, {} blocks deep", e.depth),
        Event::SubmissionReverted(e) => {
            format!("submission reverted: {}{}", e.refusal.class.phrase(), said(&e.refusal.text))
        }
        Event::SubmissionReorged(e) => format!("L1 block {} with the submission is gone", e.block.number),
        _ => return None,
    })
}

fn describe_tx(event: &Event) -> Option<String> {
    Some(match event {
        Event::TxReserved(e) => format!("nonce reserved for {}", purpose(&e.purpose)),
        Event::TxPrepared(e) => format!("version {} signed as {}", e.version, e.hash),
        Event::TxBroadcast(e) => format!("version {} broadcast, {}", e.version, e.outcome.phrase()),
        Event::TxDropped(e) => format!("version {} is in no mempool", e.version),
        Event::TxReplaced(e) => {
            let (reason, fee) = (e.reason.phrase(), e.fees.max_fee);
            format!("version {} takes over ({reason}), max fee {fee} wei", e.version)
        }
        Event::FeeCeilingReached(e) => {
            let (needed, allowed) = (e.needed, e.allowed);
            format!("FEE CEILING: {} needs {needed} wei per gas, {allowed} are allowed", purpose(&e.purpose))
        }
        Event::TxIncluded(e) => format!("version {} in L1 block {}", e.version, e.block.number),
        Event::TxReverted(e) => {
            format!("version {} reverted in L1 block {}: {}", e.version, e.block.number, e.refusal.text)
        }
        Event::TxReorged(e) => format!("L1 block {} is gone", e.block.number),
        Event::TxConfirmed(e) => format!("version {} confirmed", e.version),
        Event::TxAbandoned(e) => format!("nonce given up: {}", e.reason.phrase()),
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
        Event::ContractObserved(e) if e.values.submission_interval == 0 => {
            format!("contract values read at L1 block {}: INTERVAL OF 0 BLOCKS, taken as 1", e.at.number)
        }
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
            Some(latest) => format!("CONTRACT BACK at block {}: {}", latest.block, e.cause.phrase()),
            None => format!("CONTRACT EMPTY: {}", e.cause.phrase()),
        },
        Event::FinalizedStalled(e) => format!("FINALIZED HEAD STALLED at {}", e.block),
        Event::FinalizedMoved(e) => format!("finalized head at {}", e.block),
        Event::DegradedModeEntered(e) => format!("DEGRADED: {}{}", e.reason.phrase(), said(&e.detail)),
        Event::DegradedModeLeft(e) => format!("no longer degraded: {}", e.reason.phrase()),
        Event::ProverDegraded(e) => {
            let class = e.class.phrase();
            format!("PROVER DEGRADED after {} failures: {class}{}", e.failures, said(&e.text))
        }
        Event::ProverRecovered(_) => "prover answers again".to_owned(),
        Event::Paused(e) => format!("{} paused{}", e.control.phrase(), said(&e.note)),
        Event::Resumed(e) => format!("{} resumed", e.control.phrase()),
        Event::FlushRequested(e) => format!("flush to block {}", e.to),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::slice;

    use super::*;

    fn entry(position: u64, time: u64, stream: &str, event: &'static str, text: &str) -> Entry {
        let (stream, text) = (stream.to_owned(), text.to_owned());
        Entry { position: Position(position), time: Micros(time), stream, event, text }
    }

    fn timeline(correlation: Option<&str>, entries: &[Entry]) -> Hash32 {
        Timeline { correlation: correlation.map(str::to_owned), entries: entries.to_vec() }.digest()
    }

    #[test]
    fn every_part_of_every_line_and_their_order_are_in_the_digest() {
        let (line, next) = (entry(1, 2, "ab", "c", "d"), entry(2, 2, "ab", "c", "d"));
        let digests = [
            timeline(None, &[]),
            timeline(Some(""), &[]),
            timeline(Some("ab"), &[]),
            timeline(None, slice::from_ref(&line)),
            timeline(Some("ab"), slice::from_ref(&line)),
            timeline(None, slice::from_ref(&next)),
            timeline(None, &[entry(1, 3, "ab", "c", "d")]),
            timeline(None, &[entry(1, 2, "a", "bc", "d")]),
            timeline(None, &[entry(1, 2, "ab", "cd", "")]),
            timeline(None, &[entry(1, 2, "ab", "", "cd")]),
            timeline(None, &[line.clone(), next.clone()]),
            timeline(None, &[next, line]),
        ];
        assert_eq!(BTreeSet::from(digests).len(), digests.len(), "two of these have the same digest");
    }
}
