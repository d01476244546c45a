//! Every submission: an output root on its way into the contract, with its transaction and how it ended.
//!
//! A submission of an aggregate is told by the aggregate's stream; one without a proof, in optimistic mode, only by its
//! nonce slot. Where one began before the first position, its stream is read from its beginning; only those that
//! something happened to within the positions are reported.

use std::collections::BTreeMap;

use prooflog_events::event::Event;
use prooflog_events::ids::{
    ChainId, Hash32, L1Ref, L2Block, Micros, Position, Range, SlotId, StreamId, TxVersion, UnitId, UnitKind,
    Wei,
};
use prooflog_events::phrase::Phrase;
use prooflog_events::port::SequenceRead;
use prooflog_events::values::Purpose;
use prooflog_projections::Fact;
use serde::Serialize;

use super::Past;
use crate::error::AuditError;

/// How a submission stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// On its way.
    Open,
    /// In an L1 block.
    Included,
    /// As deep as the policy asks.
    Confirmed,
    /// Included, and failed.
    Reverted,
    /// It will never be included.
    Abandoned,
}

/// One submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Submission {
    /// Where it began.
    pub position: Position,
    /// When it began.
    pub time: Micros,
    /// The rollup.
    pub chain: ChainId,
    /// Its aggregate; `None` for one without proof, in optimistic mode.
    pub aggregate: Option<String>,
    /// The blocks that the aggregate proves.
    pub blocks: Option<Range>,
    /// The L2 block of the output.
    pub block: Option<L2Block>,
    /// The output root.
    pub root: Option<Hash32>,
    /// The nonce slot.
    pub slot: Option<String>,
    /// The transaction that was included.
    pub transaction: Option<Hash32>,
    /// The L1 block with it.
    pub included: Option<L1Ref>,
    /// What the transaction paid.
    pub fee: Option<Wei>,
    /// Index of the output in the contract.
    pub output_index: Option<u64>,
    /// How it stands at the last position.
    pub outcome: Outcome,
    /// Why it failed, where it did.
    pub reason: String,
    /// How often L1 took it back.
    pub reorgs: u32,
}

/// What a unit's or a slot's stream has said so far.
#[derive(Debug, Default)]
struct Told {
    blocks: Option<Range>,
    /// The slot of a unit's newest submission.
    slot: Option<SlotId>,
    /// What each signed version of a slot is for.
    purposes: BTreeMap<TxVersion, Purpose>,
    /// The newest submission, among all.
    newest: Option<usize>,
}

#[derive(Debug)]
struct Row {
    submission: Submission,
    is_within: bool,
}

/// All submissions so far.
#[derive(Debug, Default)]
pub(super) struct Submissions {
    rows: Vec<Row>,
    units: BTreeMap<UnitId, Told>,
    slots: BTreeMap<SlotId, Told>,
    fees: BTreeMap<Hash32, Wei>,
}

/// Whether an event is in the report, or only explains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Before,
    Within,
}

impl Submissions {
    pub(super) fn apply<R: SequenceRead + ?Sized>(
        &mut self,
        fact: &Fact<'_>,
        past: &Past<'_, '_, R>,
    ) -> Result<(), AuditError> {
        let is_known = match fact.stream {
            StreamId::Unit(unit) if unit.kind == UnitKind::Agg => self.units.contains_key(&unit),
            StreamId::Tx(slot) => self.slots.contains_key(&slot),
            _ => return Ok(()),
        };
        if !is_known && fact.revision.0 > 0 {
            past.of(fact.stream, fact.position, &mut |earlier| {
                self.take(earlier, Seen::Before);
            })?;
        }
        // What it paid stands with its nonce, of which nothing may have come since the first position.
        if let Some(slot) = self.take(fact, Seen::Within).filter(|slot| !self.slots.contains_key(slot))
            && !matches!(fact.event, Event::SubmissionStarted(_))
        {
            self.slots.insert(slot, Told::default());
            past.of(StreamId::Tx(slot), fact.position, &mut |earlier| {
                self.take(earlier, Seen::Before);
            })?;
        }
        Ok(())
    }

    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn finish(self) -> Vec<Submission> {
        let rows = self.rows.into_iter().filter(|row| row.is_within);
        let mut all: Vec<Submission> = rows.map(|row| row.submission).collect();
        for submission in &mut all {
            submission.fee = submission.transaction.and_then(|tx| self.fees.get(&tx)).copied();
        }
        all.sort_by_key(|submission| submission.position);
        all
    }

    /// Takes a fact in; the nonce slot of the submission that it is about.
    fn take(&mut self, fact: &Fact<'_>, seen: Seen) -> Option<SlotId> {
        match fact.stream {
            StreamId::Unit(unit) => self.unit(unit, fact, seen),
            StreamId::Tx(slot) => {
                self.slot(slot, fact, seen);
                Some(slot)
            }
            _ => None,
        }
    }

    fn unit(&mut self, unit: UnitId, fact: &Fact<'_>, seen: Seen) -> Option<SlotId> {
        let told = self.units.entry(unit).or_default();
        if let Event::AggQueued(e) = &fact.event {
            told.blocks = Some(e.range);
        }
        let is_ours = matches!(
            fact.event,
            Event::SubmissionStarted(_)
                | Event::Submitted(_)
                | Event::SubmissionConfirmed(_)
                | Event::SubmissionReverted(_)
                | Event::SubmissionReorged(_)
                | Event::SubmissionAbandoned(_)
        );
        let settles = matches!(fact.event, Event::AggSettled(_)) && told.newest.is_some();
        if !is_ours && !settles {
            return None;
        }
        if told.newest.is_none() || matches!(fact.event, Event::SubmissionStarted(_)) {
            told.newest = Some(self.rows.len());
            let (name, block) = (unit.to_string(), told.blocks.map(|blocks| blocks.end));
            let submission = Submission { blocks: told.blocks, block, ..begun(fact, unit.chain, Some(name)) };
            self.rows.push(Row { submission, is_within: false });
        }
        if let Event::SubmissionStarted(e) = &fact.event {
            told.slot = Some(e.slot);
        }
        let row = told.newest.and_then(|newest| self.rows.get_mut(newest))?;
        row.is_within |= seen == Seen::Within;
        row.submission.of_aggregate(&fact.event);
        told.slot
    }

    fn slot(&mut self, slot: SlotId, fact: &Fact<'_>, seen: Seen) {
        let told = self.slots.entry(slot).or_default();
        match &fact.event {
            Event::TxPrepared(e) => drop(told.purposes.insert(e.version, e.purpose)),
            Event::TxIncluded(e) => drop(self.fees.insert(e.hash, e.fee_paid)),
            Event::TxReverted(e) => drop(self.fees.insert(e.hash, e.fee_paid)),
            _ => {}
        }
        let begins = match &fact.event {
            Event::TxReserved(e) => Some(e.purpose),
            Event::TxReplaced(e) if told.newest.is_none() => Some(e.purpose),
            _ => None,
        };
        if let Some(Purpose::Optimistic { chain, block, root }) = begins {
            told.newest = Some(self.rows.len());
            let (block, root, slot) = (Some(block), Some(root), Some(slot.to_string()));
            let submission = Submission { block, root, slot, ..begun(fact, chain, None) };
            self.rows.push(Row { submission, is_within: false });
        }
        let Some(row) = told.newest.and_then(|newest| self.rows.get_mut(newest)) else { return };
        row.is_within |= seen == Seen::Within;
        row.submission.of_slot(&fact.event, &told.purposes);
    }
}

fn begun(fact: &Fact<'_>, chain: ChainId, aggregate: Option<String>) -> Submission {
    Submission {
        position: fact.position,
        time: fact.time,
        chain,
        aggregate,
        blocks: None,
        block: None,
        root: None,
        slot: None,
        transaction: None,
        included: None,
        fee: None,
        output_index: None,
        outcome: Outcome::Open,
        reason: String::new(),
        reorgs: 0,
    }
}

impl Submission {
    fn of_aggregate(&mut self, event: &Event) {
        match event {
            Event::SubmissionStarted(e) => {
                self.root = Some(e.root);
                self.slot = Some(e.slot.to_string());
            }
            Event::Submitted(e) => {
                self.root = Some(e.root);
                self.include(e.tx, e.block);
            }
            Event::SubmissionConfirmed(e) => {
                self.include(e.tx, e.block);
                self.outcome = Outcome::Confirmed;
            }
            Event::SubmissionReverted(e) => {
                self.transaction = Some(e.tx);
                self.fail(Outcome::Reverted, &e.refusal.text);
            }
            Event::SubmissionReorged(_) => self.take_back(),
            Event::SubmissionAbandoned(_) => self.fail(Outcome::Abandoned, "never included"),
            Event::AggSettled(e) => self.output_index = e.output_index.or(self.output_index),
            _ => {}
        }
    }

    fn of_slot(&mut self, event: &Event, purposes: &BTreeMap<TxVersion, Purpose>) {
        match event {
            Event::TxIncluded(e) => match purposes.get(&e.version) {
                Some(Purpose::Optimistic { block, root, .. }) => {
                    (self.block, self.root) = (Some(*block), Some(*root));
                    self.include(e.hash, e.block);
                }
                _ => self.fail(Outcome::Abandoned, "its nonce was used for something else"),
            },
            Event::TxReverted(e) => {
                (self.transaction, self.included) = (Some(e.hash), Some(e.block));
                self.fail(Outcome::Reverted, &e.refusal.text);
            }
            Event::TxReorged(_) => self.take_back(),
            Event::TxConfirmed(_) if self.outcome == Outcome::Included => self.outcome = Outcome::Confirmed,
            Event::TxAbandoned(e) => self.fail(Outcome::Abandoned, e.reason.phrase()),
            _ => {}
        }
    }

    fn include(&mut self, transaction: Hash32, block: L1Ref) {
        (self.transaction, self.included) = (Some(transaction), Some(block));
        self.outcome = Outcome::Included;
        self.reason.clear();
    }

    fn fail(&mut self, outcome: Outcome, reason: &str) {
        self.outcome = outcome;
        reason.clone_into(&mut self.reason);
    }

    fn take_back(&mut self) {
        (self.included, self.outcome) = (None, Outcome::Open);
        self.reason.clear();
        self.reorgs = self.reorgs.saturating_add(1);
    }
}
