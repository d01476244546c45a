//! What the scheduler asks for all the time, kept up to date with every event instead of searched for.
//!
//! Everything in here follows from the units of a chain; [`Index::of`] computes it from scratch, and a test compares
//! the two after every event.

use prooflog_events::ids::{L2Block, Micros, UnitId};

use super::chain::{Chain, UnitSet};
use super::phase::Phase;
use super::unit::UnitState;
use crate::intervals::Intervals;
use crate::{Map, Set};

/// Derived views of one chain's units.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Index {
    /// Number of the live span that starts at a block.
    pub by_start: Map<L2Block, u64>,
    /// Blocks of live and complete spans.
    pub coverage: Intervals,
    /// Units that may be requested, by their first block; aggregates sort before spans of the same start.
    pub ready: Set<(L2Block, UnitId)>,
    /// Moments at which something about a unit is due.
    pub due: UnitSet,
    /// Retired units by the moment they were retired: the order in which proofs are pruned.
    pub retired: UnitSet,
    /// Retired units that would be of use again, by their first block.
    pub restorable: Set<(L2Block, UnitId)>,
    /// Units proven under commitments that the contract no longer accepts.
    pub outdated: Set<UnitId>,
    /// Spans without a proof.
    pub unproven: u32,
    /// Witness calls under way.
    pub in_witness: u32,
    /// Attempts of spans under way, witness calls included.
    pub spans_in_flight: u32,
    /// Attempts of aggregates under way, witness calls included.
    pub aggs_in_flight: u32,
}

/// What one unit contributes; only what differs is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keys {
    ready: bool,
    due: Option<Micros>,
    unproven: bool,
    in_witness: bool,
    in_flight: bool,
}

impl Keys {
    pub(super) fn of(unit: &UnitState) -> Self {
        Self {
            ready: unit.phase == Phase::Ready,
            due: unit.due(),
            unproven: unit.is_span() && unit.phase != Phase::Complete,
            in_witness: unit.phase == Phase::WitnessGen,
            in_flight: unit.phase.is_in_flight(),
        }
    }
}

impl Index {
    /// The index of a chain, from scratch: sorted once instead of kept in order unit by unit.
    #[must_use]
    pub fn of(chain: &Chain) -> Self {
        let mut index = Self::default();
        let mut starts: Vec<_> =
            chain.spans.values().map(|span| (span.range.start, span.id.number, span.range)).collect();
        starts.sort_unstable();
        for (_, _, range) in &starts {
            index.coverage.insert(*range);
        }
        index.by_start = starts.into_iter().map(|(start, number, _)| (start, number)).collect();
        let (mut ready, mut due) = (Vec::new(), Vec::new());
        for unit in chain.units() {
            let keys = Keys::of(unit);
            ready.extend(keys.ready.then_some((unit.range.start, unit.id)));
            due.extend(keys.due.map(|due| (due, unit.id)));
            index.count(unit, None, Some(keys));
        }
        index.ready = sorted(ready);
        index.due = sorted(due);
        let retired = || chain.retired.values();
        index.retired = sorted(retired().map(|unit| (unit.since, unit.id)).collect());
        let restorable = retired().filter(|unit| unit.is_restorable());
        index.restorable = sorted(restorable.map(|unit| (unit.range.start, unit.id)).collect());
        index.refresh_outdated(chain);
        index
    }

    /// A unit came to life.
    pub(super) fn add(&mut self, unit: &UnitState) {
        if unit.is_span() {
            self.by_start.insert(unit.range.start, unit.id.number);
            self.coverage.insert(unit.range);
        }
        self.change(unit, None, Some(Keys::of(unit)));
    }

    /// A unit left the hot state.
    pub(super) fn remove(&mut self, unit: &UnitState, before: Keys) {
        if unit.is_span() {
            if self.by_start.get(&unit.range.start) == Some(&unit.id.number) {
                self.by_start.remove(&unit.range.start);
            }
            self.coverage.remove(unit.range);
        }
        if !self.outdated.is_empty() {
            self.outdated.remove(&unit.id);
        }
        self.change(unit, Some(before), None);
    }

    /// A unit that is over keeps its proof for a while.
    pub(super) fn retire(&mut self, unit: &UnitState) {
        self.retired.insert((unit.since, unit.id));
        if unit.is_restorable() {
            self.restorable.insert((unit.range.start, unit.id));
        }
    }

    /// A retired unit comes back, or its proof is gone.
    pub(super) fn unretire(&mut self, unit: &UnitState) {
        self.retired.remove(&(unit.since, unit.id));
        self.restorable.remove(&(unit.range.start, unit.id));
    }

    /// A unit changed.
    pub(super) fn update(&mut self, unit: &UnitState, before: Keys) {
        let after = Keys::of(unit);
        if before != after {
            self.change(unit, Some(before), Some(after));
        }
    }

    fn change(&mut self, unit: &UnitState, before: Option<Keys>, after: Option<Keys>) {
        let flag = |keys: Option<Keys>, of: fn(&Keys) -> bool| keys.as_ref().is_some_and(of);
        let ready_key = (unit.range.start, unit.id);
        match (flag(before, |k| k.ready), flag(after, |k| k.ready)) {
            (true, false) => _ = self.ready.remove(&ready_key),
            (false, true) => _ = self.ready.insert(ready_key),
            _ => {}
        }
        let (due_before, due_after) = (before.and_then(|k| k.due), after.and_then(|k| k.due));
        if due_before != due_after {
            if let Some(due) = due_before {
                self.due.remove(&(due, unit.id));
            }
            if let Some(due) = due_after {
                self.due.insert((due, unit.id));
            }
        }
        self.count(unit, before, after);
    }

    fn count(&mut self, unit: &UnitState, before: Option<Keys>, after: Option<Keys>) {
        let flag = |keys: Option<Keys>, of: fn(&Keys) -> bool| keys.as_ref().is_some_and(of);
        count(&mut self.unproven, flag(before, |k| k.unproven), flag(after, |k| k.unproven));
        count(&mut self.in_witness, flag(before, |k| k.in_witness), flag(after, |k| k.in_witness));
        let in_flight = if unit.is_span() { &mut self.spans_in_flight } else { &mut self.aggs_in_flight };
        count(in_flight, flag(before, |k| k.in_flight), flag(after, |k| k.in_flight));
    }

    /// The contract's commitments or the policy's mode may have changed.
    pub(super) fn refresh_outdated(&mut self, chain: &Chain) {
        self.outdated = Set::default();
        let (Some(commitments), Some(terms)) = (chain.commitments(), chain.terms()) else {
            return;
        };
        for unit in chain.units() {
            let stale = match unit.agg_body() {
                None => unit.commitments() != commitments,
                Some(agg) => {
                    // The prover address is whatever was chosen when the aggregate was queued: it never goes stale.
                    agg.terms != prooflog_events::values::AggTerms { prover: agg.terms.prover, ..terms }
                }
            };
            if stale {
                self.outdated.insert(unit.id);
            }
        }
    }
}

fn sorted<K: Ord + Clone>(mut keys: Vec<K>) -> Set<K> {
    keys.sort_unstable();
    keys.into_iter().collect()
}

fn count(counter: &mut u32, before: bool, after: bool) {
    match (before, after) {
        (true, false) => *counter = counter.saturating_sub(1),
        (false, true) => *counter = counter.saturating_add(1),
        _ => {}
    }
}
