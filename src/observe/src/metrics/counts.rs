//! What grows with events: counts, and the last of each kind of thing.
//!
//! An event is taken when it is durable. Counts begin at 0 with the process; what says when something last happened is
//! taken from the state at the start, so a restart does not forget it.

use std::collections::BTreeMap;

use prooflog_events::event::{Event, InvalidReason, Stage, TimeoutReason};
use prooflog_events::ids::{ChainId, L2Block, Micros, SlotId, StreamId, UnitId, UnitKind};
use prooflog_events::values::{BroadcastOutcome, FailureClass, Purpose};
use prooflog_projections::state::phase::Phase;
use prooflog_projections::{Fact, State};

use super::sheet::{Chains, Histograms, Key, Sheet};
use super::slots::{SlotSeen, Slots};
use super::table::Def;
use super::{legacy, own, words};

const GWEI: f64 = 1e9;

/// What the events of a rollup say beside counts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Last {
    /// When a submission of ours was last confirmed.
    pub(crate) confirmed: Option<Micros>,
    /// Block of our latest output, and when the contract took it.
    pub(crate) proposed: Option<(L2Block, Micros)>,
    /// Fee of the last checkpoint, in wei.
    pub(crate) checkpoint_fee: Option<f64>,
    /// Fee of the last submission, in wei.
    pub(crate) submission_fee: Option<f64>,
}

/// Everything that events lead to.
#[derive(Debug, Clone)]
pub(crate) struct Counts {
    chains: Chains,
    pub(crate) sheet: Sheet,
    pub(crate) last: BTreeMap<ChainId, Last>,
    pub(crate) slots: Slots,
}

impl Counts {
    pub(crate) fn new(chains: &Chains) -> Self {
        Self {
            chains: chains.clone(),
            sheet: Sheet::new(chains),
            last: BTreeMap::new(),
            slots: Slots::default(),
        }
    }

    /// Takes from the state what would otherwise be known only after the next event of its kind.
    pub(crate) fn recover(&mut self, state: &State) {
        self.slots = Slots::of(state);
        for chain in state.chains.values() {
            let agg = |number| UnitId { chain: chain.id, kind: UnitKind::Agg, number };
            let settled = chain.retired.range(agg(0)..=agg(u64::MAX)).map(|(_, unit)| unit);
            let ours = settled
                .filter(|unit| unit.phase == Phase::Settled)
                .chain(chain.aggs.values().filter(|unit| unit.phase == Phase::Confirmed));
            let last = self.last.entry(chain.id).or_default();
            if let Some(newest) = ours.max_by_key(|unit| unit.since) {
                last.confirmed = Some(newest.since);
                last.proposed = Some((newest.range.end, newest.since));
            }
        }
    }

    /// Takes one event in.
    pub(crate) fn apply(&mut self, fact: &Fact<'_>, histograms: &Histograms) {
        let name = fact.event.event_type().name();
        self.sheet.add(Key::new(&own::EVENTS, None, &[name]), 1.0);
        match fact.stream {
            StreamId::Chain(chain) => self.chain(chain, fact),
            StreamId::Unit(unit) => self.unit(unit, fact, histograms),
            StreamId::Tx(slot) => self.slot(slot, fact, histograms),
            StreamId::Node | StreamId::Signer(_) => {}
        }
    }

    /// Adds one to a sample of a rollup; without one, of the only rollup there is.
    pub(crate) fn count(&mut self, def: &'static Def, chain: Option<ChainId>, labels: &[&'static str]) {
        if let Some(chain) = self.chains.only(chain) {
            self.sheet.add(Key::new(def, Some(chain), labels), 1.0);
        }
    }

    fn set(&mut self, def: &'static Def, chain: Option<ChainId>, labels: &[&'static str], value: f64) {
        if let Some(chain) = self.chains.only(chain) {
            self.sheet.set(Key::new(def, Some(chain), labels), value);
        }
    }

    fn chain(&mut self, chain: ChainId, fact: &Fact<'_>) {
        if let Event::ContractAdvanced(e) = &fact.event
            && e.ours.is_some()
        {
            self.last.entry(chain).or_default().proposed = Some((e.latest.block, fact.time));
        }
    }

    fn unit(&mut self, unit: UnitId, fact: &Fact<'_>, histograms: &Histograms) {
        let chain = Some(unit.chain);
        match &fact.event {
            Event::Retried(_) => self.count(&legacy::RETRIES, chain, &[]),
            Event::WitnessGenFailed(e) => {
                let requests = match unit.kind {
                    UnitKind::Span => &legacy::RANGE_REQUEST_ERRORS,
                    UnitKind::Agg => &legacy::AGG_REQUEST_ERRORS,
                };
                self.count(requests, chain, &[]);
                if e.attempt.0 > 1 {
                    self.count(&legacy::RETRY_ERRORS, chain, &[]);
                }
                self.witness_failed(chain, e.class);
            }
            Event::Unfulfillable(e) => self.prove_failed(chain, e.class),
            Event::ProofLost(e) => self.prove_failed(chain, e.class),
            Event::TimedOut(e) => {
                if e.maybe_paid {
                    self.count(&own::PAID_TWICE, chain, &["possible"]);
                }
                match (e.reason, e.stage) {
                    (TimeoutReason::Restart, Stage::Witness) => {
                        self.witness_failed(chain, FailureClass::Restart)
                    }
                    (TimeoutReason::Restart, Stage::Proving) => {
                        self.prove_failed(chain, FailureClass::Restart)
                    }
                    (TimeoutReason::Deadline, Stage::Witness) => {
                        self.witness_failed(chain, FailureClass::WitnessTimeout);
                    }
                    (TimeoutReason::Deadline, Stage::Proving) => {
                        self.count(&legacy::PROOF_TIMEOUTS, chain, &[]);
                        self.prove_failed(chain, FailureClass::ProvingTimeout);
                    }
                }
            }
            Event::DuplicateSpendRecorded(_) => self.count(&own::PAID_TWICE, chain, &["certain"]),
            Event::ProofFulfilled(e) => {
                let kind = words::unit_kind(unit.kind);
                histograms.observe(&Key::new(&own::PROOF_SECONDS, chain, &[kind]), e.seconds as f64);
                match e.cost {
                    Some(cost) => self.sheet.add(Key::new(&own::PROOF_COST, chain, &[]), cost.0 as f64),
                    None => self.count(&own::PROOFS_UNPRICED, chain, &[]),
                }
            }
            Event::Invalidated(e) if unit.kind == UnitKind::Agg && is_a_mistake(e.reason) => {
                self.count(&legacy::AGG_INVALID, chain, &[]);
            }
            Event::Invalidated(e) if unit.kind == UnitKind::Agg && is_outrun(e.reason) => {
                self.count(&own::OUTRUN, chain, &[]);
            }
            Event::SubmissionRefused(_) | Event::SubmissionReverted(_) => {
                self.count(&legacy::RELAY_ERRORS, chain, &[]);
            }
            Event::SubmissionConfirmed(_) => {
                self.last.entry(unit.chain).or_default().confirmed = Some(fact.time);
            }
            _ => {}
        }
    }

    fn witness_failed(&mut self, chain: Option<ChainId>, class: FailureClass) {
        self.count(&legacy::WITNESS_ERRORS, chain, &[]);
        self.count(&legacy::WITNESS_FAILURES, chain, &[words::class(class)]);
        self.failed(chain, class);
    }

    fn prove_failed(&mut self, chain: Option<ChainId>, class: FailureClass) {
        self.count(&legacy::PROVE_FAILURES, chain, &[words::class(class)]);
        self.failed(chain, class);
    }

    fn failed(&mut self, chain: Option<ChainId>, class: FailureClass) {
        if class == FailureClass::Unexecutable {
            self.count(&legacy::EXECUTION_ERRORS, chain, &[]);
        }
    }

    fn slot(&mut self, slot: SlotId, fact: &Fact<'_>, histograms: &Histograms) {
        let seen = self.slots.apply(slot, &fact.event, fact.time);
        let chain = seen.chain;
        match &fact.event {
            Event::TxBroadcast(e) if e.outcome == BroadcastOutcome::Accepted => {
                self.count(&legacy::PUBLISHED, chain, &[]);
                self.set(&legacy::PUBLISHED_AT, chain, &[], secs(fact.time));
            }
            Event::TxBroadcast(e) => self.count(&legacy::PUBLISH_ERRORS, chain, &[words::outcome(e.outcome)]),
            Event::TxIncluded(e) => {
                let version = e.version.0;
                self.included(&seen, e.fee_paid.0 as f64, version, histograms);
                if let (Some(chain), Some(purpose)) = (chain, seen.purpose(e.version)) {
                    let last = self.last.entry(chain).or_default();
                    match purpose {
                        Purpose::Checkpoint { .. } => last.checkpoint_fee = Some(e.fee_paid.0 as f64),
                        Purpose::Submission { .. } => last.submission_fee = Some(e.fee_paid.0 as f64),
                        Purpose::Optimistic { .. } => {
                            last.submission_fee = Some(e.fee_paid.0 as f64);
                            last.checkpoint_fee = Some(0.0);
                        }
                        Purpose::Release => {}
                    }
                }
            }
            Event::TxReverted(e) => self.included(&seen, e.fee_paid.0 as f64, e.version.0, histograms),
            Event::TxConfirmed(_) => {
                let status = if seen.reverted { "failed" } else { "success" };
                self.count(&legacy::CONFIRMED, chain, &[status]);
                self.set(&legacy::CONFIRMED_AT, chain, &[status], secs(fact.time));
                if let Some(sent) = seen.sent {
                    self.set(&legacy::TX_LATENCY, chain, &[], (secs(fact.time) - secs(sent)) * 1e3);
                }
            }
            _ => {}
        }
    }

    fn included(&mut self, seen: &SlotSeen, fee_wei: f64, version: u32, histograms: &Histograms) {
        let Some(chain) = self.chains.only(seen.chain) else { return };
        let fee = fee_wei / GWEI;
        self.set(&legacy::TX_FEE, Some(chain), &[], fee);
        self.sheet.add(Key::new(&legacy::TX_FEE_TOTAL, Some(chain), &[]), fee);
        self.set(&legacy::TX_GAS_BUMP, Some(chain), &[], f64::from(version.saturating_sub(1)));
        self.set(&legacy::TX_TYPE, Some(chain), &[], 2.0);
        histograms.observe(&Key::new(&legacy::TX_FEE_HISTOGRAM, Some(chain), &[]), fee);
    }
}

/// Whether an aggregate that is of no use any more should have been of use.
const fn is_a_mistake(reason: InvalidReason) -> bool {
    !matches!(
        reason,
        InvalidReason::Replaced
            | InvalidReason::Superseded
            | InvalidReason::Straddles
            | InvalidReason::BelowNext
    )
}

/// Whether an output that is not the aggregate's own made it useless.
const fn is_outrun(reason: InvalidReason) -> bool {
    matches!(reason, InvalidReason::Superseded | InvalidReason::Straddles | InvalidReason::BelowNext)
}

pub(crate) fn secs(time: Micros) -> f64 {
    time.0 as f64 / 1e6
}
