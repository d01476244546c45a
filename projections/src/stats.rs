//! Numbers for screens and metrics, per rollup: what was done, what failed and how, what it cost.
//!
//! Unknown stays unknown: a cost that no server told is counted as untold and not as zero.

use std::collections::BTreeMap;

use bincode::Encode;
use prooflog_events::codec;
use prooflog_events::event::Event;
use prooflog_events::ids::{ChainId, Hash32, Micros, StreamId, UnitKind, Wei};
use prooflog_events::values::FailureClass;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::Fact;

/// Numbers of all rollups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Encode)]
pub struct Stats {
    /// Events seen.
    pub events: u64,
    /// By rollup.
    pub chains: BTreeMap<ChainId, ChainStats>,
    /// Gas fees paid on L1 by all accounts, in wei.
    pub l1_fees: Wei,
    /// Transactions included, and those of them that reverted.
    pub transactions: (u64, u64),
    /// Fee raises and other replacements.
    pub replacements: u64,
}

/// Numbers of one rollup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Encode)]
pub struct ChainStats {
    /// Spans planned, halves and refills included.
    pub spans: u64,
    /// Spans halved.
    pub splits: u64,
    /// Aggregates queued.
    pub aggregates: u64,
    /// Requests made.
    pub requests: u64,
    /// Proofs received, spans and aggregates.
    pub proofs: (u64, u64),
    /// Failures by class.
    pub failures: BTreeMap<FailureClass, u64>,
    /// Attempts paid for twice, and those that may have been.
    pub duplicate_spends: (u64, u64),
    /// Submissions confirmed.
    pub confirmed: u64,
    /// Submissions that reverted.
    pub reverted: u64,
    /// Units parked.
    pub parked: u64,
    /// Operator actions.
    pub operator_actions: u64,
    /// Prover cycles, where told.
    pub cycles: u64,
    /// Price paid, where told, in the prover's smallest unit.
    pub cost: Wei,
    /// Proofs whose price was not told.
    pub cost_untold: u64,
    /// When a submission was last confirmed.
    pub last_confirmed: Option<Micros>,
}

impl Stats {
    /// Takes one event in.
    pub fn apply(&mut self, fact: &Fact<'_>) {
        self.events = self.events.saturating_add(1);
        match fact.stream {
            StreamId::Chain(chain) => self.chains.entry(chain).or_default().apply_chain(&fact.event),
            StreamId::Unit(unit) => self.chains.entry(unit.chain).or_default().apply_unit(unit.kind, fact),
            StreamId::Tx(_) => self.apply_tx(&fact.event),
            StreamId::Node | StreamId::Signer(_) => {}
        }
    }

    /// SHA-256 over every number: equal histories have equal digests on every machine.
    #[must_use]
    pub fn digest(&self) -> Hash32 {
        Hash32(Sha256::digest(codec::encode(self)).into())
    }

    fn apply_tx(&mut self, event: &Event) {
        match event {
            Event::TxIncluded(e) => {
                self.transactions.0 += 1;
                self.l1_fees.0 = self.l1_fees.0.saturating_add(e.fee_paid.0);
            }
            Event::TxReverted(e) => {
                self.transactions.0 += 1;
                self.transactions.1 += 1;
                self.l1_fees.0 = self.l1_fees.0.saturating_add(e.fee_paid.0);
            }
            Event::TxReplaced(_) => self.replacements += 1,
            _ => {}
        }
    }
}

impl ChainStats {
    fn apply_chain(&mut self, event: &Event) {
        if matches!(event, Event::Paused(_) | Event::Resumed(_) | Event::FlushRequested(_)) {
            self.operator_actions += 1;
        }
    }

    fn apply_unit(&mut self, kind: UnitKind, fact: &Fact<'_>) {
        match &fact.event {
            Event::SpanCreated(_) => self.spans += 1,
            Event::AggQueued(_) => self.aggregates += 1,
            Event::Split(_) => self.splits += 1,
            Event::WitnessGenStarted(_) => self.requests += 1,
            Event::ProofFulfilled(e) => {
                match kind {
                    UnitKind::Span => self.proofs.0 += 1,
                    UnitKind::Agg => self.proofs.1 += 1,
                }
                self.cycles = self.cycles.saturating_add(e.cycles.unwrap_or(0));
                match e.cost {
                    Some(cost) => self.cost = Wei(self.cost.0.saturating_add(cost.0)),
                    None => self.cost_untold += 1,
                }
            }
            Event::WitnessGenFailed(e) => self.fail(e.class),
            Event::Unfulfillable(e) => self.fail(e.class),
            Event::ProofLost(e) => self.fail(e.class),
            Event::TimedOut(e) => {
                self.fail(FailureClass::ProvingTimeout);
                if e.maybe_paid {
                    self.duplicate_spends.1 += 1;
                }
            }
            Event::DuplicateSpendRecorded(_) => self.duplicate_spends.0 += 1,
            Event::SubmissionConfirmed(_) => {
                self.confirmed += 1;
                self.last_confirmed = Some(fact.time);
            }
            Event::SubmissionReverted(_) => self.reverted += 1,
            Event::Parked(_) => self.parked += 1,
            Event::Unparked(_) | Event::Cancelled(_) => self.operator_actions += 1,
            _ => {}
        }
    }

    fn fail(&mut self, class: FailureClass) {
        *self.failures.entry(class).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A way to make one number another one.
    type Change = fn(&mut Stats);

    fn chain(stats: &mut Stats) -> &mut ChainStats {
        stats.chains.entry(ChainId(10)).or_default()
    }

    const CHANGES: [Change; 25] = [
        |_| {},
        |stats| stats.events = 1,
        |stats| stats.l1_fees = Wei(1),
        |stats| stats.transactions = (1, 0),
        |stats| stats.transactions = (0, 1),
        |stats| stats.replacements = 1,
        |stats| drop(stats.chains.insert(ChainId(11), ChainStats::default())),
        |stats| chain(stats).spans = 1,
        |stats| chain(stats).splits = 1,
        |stats| chain(stats).aggregates = 1,
        |stats| chain(stats).requests = 1,
        |stats| chain(stats).proofs = (1, 0),
        |stats| chain(stats).proofs = (0, 1),
        |stats| *chain(stats).failures.entry(FailureClass::Unexecutable).or_default() = 1,
        |stats| *chain(stats).failures.entry(FailureClass::ProvingTimeout).or_default() = 1,
        |stats| chain(stats).duplicate_spends = (1, 0),
        |stats| chain(stats).duplicate_spends = (0, 1),
        |stats| chain(stats).confirmed = 1,
        |stats| chain(stats).reverted = 1,
        |stats| chain(stats).parked = 1,
        |stats| chain(stats).operator_actions = 1,
        |stats| chain(stats).cycles = 1,
        |stats| chain(stats).cost = Wei(1),
        |stats| chain(stats).cost_untold = 1,
        |stats| chain(stats).last_confirmed = Some(Micros(0)),
    ];

    #[test]
    fn every_number_is_in_the_digest() {
        let digests: BTreeSet<Hash32> = CHANGES
            .iter()
            .map(|change| {
                let mut stats = Stats::default();
                chain(&mut stats);
                change(&mut stats);
                stats.digest()
            })
            .collect();
        assert_eq!(digests.len(), CHANGES.len(), "two of these have the same digest");
    }
}
