//! One rollup: its identity and policy, what the contract says, its heads, what holds work back, its units.
//!
//! What is asked often and follows from the units is kept in [`Index`]; it is not stored and is computed again when a
//! snapshot is read. `absorb` answers whether an event of the rollup's own stream can be so now.

use bincode::{Decode, Encode};
use prooflog_events::event::{ChainRegistered, Event};
use prooflog_events::ids::{
    Address, ChainId, Hash32, L1Number, L1Ref, L2Block, Micros, Range, Revision, SignerId, UnitId, UnitKind,
};
use prooflog_events::policy::Policy;
use prooflog_events::values::{
    AggTerms, Anchor, Commitments, ContractValues, Control, DegradedReason, FailureClass, Purpose,
};

use super::index::{Index, Keys};
use super::phase::Phase;
use super::unit::{Unit, UnitState};
use crate::intervals::Intervals;
use crate::{Map, Set};

/// A rollup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Which.
    pub id: ChainId,
    /// Revision of its newest event.
    pub revision: Revision,
    /// What it is.
    pub registration: ChainRegistered,
    /// What holds for it; `None` until the first `PolicyChanged`, which comes in the same batch.
    pub policy: Option<Policy>,
    /// What the contract says.
    pub contract: Contract,
    /// The finalized L2 head.
    pub finalized: Option<Finalized>,
    /// What holds work back.
    pub hold: Hold,
    /// Health of the prover.
    pub prover: Prover,
    /// Output roots that all rollup nodes agree on, at and above the contract's latest block.
    pub roots: Map<L2Block, AgreedRoot>,
    /// Number of the newest span.
    pub last_span: u64,
    /// Number of the newest aggregate.
    pub last_agg: u64,
    /// Members that an aggregate may have at most, after one was too large; 0 is the policy's limit. It holds until the
    /// policy or the contract's keys change.
    pub member_cap: u32,
    /// Spans that are alive or complete.
    pub spans: Map<u64, Unit>,
    /// Aggregates that are alive.
    pub aggs: Map<u64, Unit>,
    /// Calls for a proof of these blocks that the server may still be at although nobody waits for their answer any
    /// more, until when: a second one for the same blocks would delete the files of the first.
    pub open_calls: Map<(L2Block, L2Block), Micros>,
    /// Units that are over and still hold a proof.
    pub retired: Map<UnitId, Unit>,
    /// Spans that were halved, by their number, until the contract has passed their first block: the proof of one of
    /// their attempts may still come, and saves what is left of the halves.
    pub halved: Map<u64, Unit>,
    /// Units whose commitments the contract no longer accepts and whose proofs are paid for and still to come, until the
    /// contract has passed their first block: if the commitments come back, so do they.
    pub set_aside: Map<UnitId, Unit>,
    /// Derived from the above, kept up to date.
    pub index: Index,
}

/// An output root that all rollup nodes agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct AgreedRoot {
    /// The root.
    pub root: Hash32,
    /// L1 block up to which the nodes had derived then.
    pub current_l1: L1Ref,
}

/// What the contract says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Contract {
    /// Values at the L1's head.
    pub values: Option<ContractValues>,
    /// Latest output at the L1's head.
    pub latest: Option<Anchor>,
    /// Latest output at confirmation depth.
    pub confirmed: Option<Anchor>,
    /// When the latest output came.
    pub advanced: Micros,
    /// The L1 block at which it was seen: a read of a lower block is stale.
    pub advanced_at: L1Ref,
    /// The highest block at confirmation depth that anything was decided on: a read of a lower one is stale too.
    pub confirmed_at: L1Number,
}

/// The finalized L2 head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Finalized {
    /// Its number.
    pub block: L2Block,
    /// When it came there.
    pub since: Micros,
    /// It has not moved for longer than the policy allows.
    pub stalled: bool,
}

/// What holds work back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Hold {
    /// Halted kinds of work, since when.
    pub paused: Map<Control, Micros>,
    /// Reasons for degraded mode, since when.
    pub degraded: Map<DegradedReason, Micros>,
    /// Whether the server proves what the contract accepts; `None` before the first answer.
    pub config_ok: Option<bool>,
    /// When that was last found to be so and put on record.
    pub config_at: Micros,
    /// Everything up to here is to be submitted without waiting.
    pub flush_to: Option<L2Block>,
    /// The block that would be submitted without a proof, if the L1 did not ask more than the policy allows.
    pub capped: Option<L2Block>,
    /// Refusals in a row of what would be submitted without a proof.
    pub refusals: u32,
    /// It is not tried again before.
    pub refused_until: Micros,
}

/// Health of the prover, as the outcomes of attempts tell.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Prover {
    /// Failures in a row that may be the prover's.
    pub failures: u32,
    /// Unit of the last failure.
    pub last_failed: Option<UnitId>,
    /// When a request was last taken.
    pub last_requested: Micros,
    /// When a proof last came.
    pub last_fulfilled: Micros,
    /// Degraded since, and by which class.
    pub degraded: Option<(Micros, FailureClass)>,
    /// Nothing new is started before.
    pub not_before: Micros,
    /// Probes in a row that failed, or times that it was full.
    pub streak: u32,
}

impl Hold {
    /// The contract moved: what it refused is another thing now.
    fn forget_refusals(&mut self) {
        (self.refusals, self.refused_until) = (0, Micros(0));
    }
}

impl Chain {
    /// A rollup just taken on.
    #[must_use]
    pub fn new(id: ChainId, registration: ChainRegistered) -> Self {
        Self {
            id,
            revision: Revision(0),
            registration,
            policy: None,
            contract: Contract::default(),
            finalized: None,
            hold: Hold::default(),
            prover: Prover::default(),
            roots: Map::default(),
            last_span: 0,
            last_agg: 0,
            member_cap: 0,
            spans: Map::default(),
            aggs: Map::default(),
            open_calls: Map::default(),
            retired: Map::default(),
            halved: Map::default(),
            set_aside: Map::default(),
            index: Index::default(),
        }
    }

    /// A live unit.
    #[must_use]
    pub fn unit(&self, id: UnitId) -> Option<&Unit> {
        match id.kind {
            UnitKind::Span => self.spans.get(&id.number),
            UnitKind::Agg => self.aggs.get(&id.number),
        }
    }

    /// A span that was halved and whose own proof may still come.
    #[must_use]
    pub fn halved_span(&self, id: UnitId) -> Option<&Unit> {
        self.halved.get(&id.number).filter(|unit| unit.id == id)
    }

    /// A unit whose answers are of use: a live one, or a span that was halved.
    #[must_use]
    pub fn awaited(&self, id: UnitId) -> Option<&Unit> {
        self.unit(id).or_else(|| self.halved_span(id))
    }

    /// The contract stands at `latest`: whole spans that begin below are of no use any more. Gives who they are.
    pub(super) fn forget_halved_below(&mut self, latest: L2Block) -> Vec<UnitId> {
        let passed: Vec<UnitId> =
            self.halved.values().filter(|unit| unit.range.start < latest).map(|unit| unit.id).collect();
        for id in &passed {
            self.halved.remove(&id.number);
        }
        let aside: Vec<UnitId> =
            self.set_aside.values().filter(|unit| unit.range.start < latest).map(|unit| unit.id).collect();
        for id in aside {
            self.set_aside.remove(&id);
        }
        passed
    }

    /// Until when the server may be at a call for these blocks that nobody waits for.
    #[must_use]
    pub fn called_until(&self, range: Range) -> Option<Micros> {
        self.open_calls.get(&(range.start, range.end)).copied()
    }

    /// A call for `range` that began at `started` lost the one who waited for it.
    pub(super) fn leave_call(&mut self, range: Range, started: Micros, now: Micros) {
        let Some(limit) = self.policy.as_ref().map(|policy| policy.witness_timeout_secs) else { return };
        let over: Vec<_> =
            self.open_calls.iter().filter(|(_, until)| **until <= now).map(|(key, _)| *key).collect();
        for key in over {
            self.open_calls.remove(&key);
        }
        let until = started.plus_secs(limit);
        if until > now {
            self.open_calls.insert((range.start, range.end), until);
        }
    }

    /// Its live units.
    pub fn units(&self) -> impl Iterator<Item = &Unit> + '_ {
        self.aggs.values().chain(self.spans.values())
    }

    /// The account that sends for it.
    #[must_use]
    pub fn signer(&self) -> Option<SignerId> {
        self.policy.as_ref().map(|policy| SignerId { l1: self.registration.l1, address: policy.signer })
    }

    /// What spans are proven under now; `None` before the contract was read.
    #[must_use]
    pub fn commitments(&self) -> Option<Commitments> {
        let values = self.contract.values.as_ref()?;
        Some(Commitments {
            mode: self.policy.as_ref()?.mode,
            range_vkey: values.range_vkey,
            rollup_config: values.rollup_config,
        })
    }

    /// What aggregates are proven and submitted under now; `None` before the contract was read.
    #[must_use]
    pub fn terms(&self) -> Option<AggTerms> {
        let policy = self.policy.as_ref()?;
        Some(AggTerms {
            commitments: self.commitments()?,
            agg_vkey: self.contract.values.as_ref()?.agg_vkey,
            config_name: policy.config_name,
            prover: policy.prover_address.unwrap_or(policy.signer),
            contract: self.registration.oracle,
        })
    }

    /// The contract's submission interval in blocks, at least one.
    #[must_use]
    pub fn interval(&self) -> u64 {
        self.contract.values.as_ref().map_or(1, |values| values.submission_interval.max(1))
    }

    /// The lowest block that the contract accepts next.
    #[must_use]
    pub fn next_block(&self) -> Option<L2Block> {
        self.contract.latest.map(|latest| L2Block(latest.block.0.saturating_add(self.interval())))
    }

    /// Whether a kind of work is halted.
    #[must_use]
    pub fn is_paused(&self, control: Control) -> bool {
        self.hold.paused.contains_key(&control)
    }

    /// Whether a kind of work may be done: it is not halted, and costs nothing where we only observe.
    #[must_use]
    pub fn may(&self, control: Control) -> bool {
        let spends = self.policy.as_ref().is_none_or(|policy| !policy.observe);
        (spends || control == Control::Planning) && !self.is_paused(control)
    }

    /// Whether the rollup is in degraded mode for any reason.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        !self.hold.degraded.is_empty()
    }

    /// Whether the contract is in optimistic mode.
    #[must_use]
    pub fn is_optimistic(&self) -> bool {
        self.contract.values.as_ref().is_some_and(|values| values.optimistic)
    }

    /// Whether the contract lets our account submit.
    #[must_use]
    pub fn is_approved(&self) -> bool {
        self.contract.values.as_ref().is_some_and(|values| values.approved)
    }

    /// Whether the rollup nodes agree with the contract on its latest output.
    #[must_use]
    pub fn anchor_agreed(&self) -> bool {
        self.contract.latest.is_some_and(|latest| self.agreed_root(latest.block) == Some(latest.root))
    }

    /// The output root of `block` that all rollup nodes agree on, where it was asked for.
    #[must_use]
    pub fn agreed_root(&self, block: L2Block) -> Option<Hash32> {
        self.roots.get(&block).map(|agreed| agreed.root)
    }

    /// Blocks of live and complete spans.
    #[must_use]
    pub const fn coverage(&self) -> &Intervals {
        &self.index.coverage
    }

    /// Where complete spans reach without a hole from the contract's latest block on.
    #[must_use]
    pub fn proven_to(&self) -> Option<L2Block> {
        let mut at = self.contract.latest?.block;
        while let Some(span) = self.span_at(at) {
            if span.phase != Phase::Complete {
                break;
            }
            at = span.range.end;
        }
        Some(at)
    }

    /// The live span that starts at `block`.
    #[must_use]
    pub fn span_at(&self, block: L2Block) -> Option<&Unit> {
        self.index.by_start.get(&block).and_then(|number| self.spans.get(number))
    }

    /// Takes an event of its own stream in. `false`: illegal now.
    pub(super) fn absorb(&mut self, event: &Event, time: Micros) -> bool {
        match event {
            Event::PolicyChanged(e) => {
                self.policy = Some(e.policy.clone());
                self.member_cap = 0;
            }
            Event::ContractChanged(e) => {
                if self.registration.oracle != e.from {
                    return false;
                }
                self.registration.oracle = e.to;
                self.contract = Contract::default();
                self.roots = Map::default();
                self.hold.config_ok = None;
                self.hold.forget_refusals();
            }
            Event::ContractObserved(e) => self.observed(&e.values),
            Event::ContractConfigValidated(_) => {
                self.hold.config_ok = Some(true);
                self.hold.config_at = time;
            }
            Event::ContractConfigRejected(_) => self.hold.config_ok = Some(false),
            Event::ContractAdvanced(e) => {
                self.contract.latest = Some(e.latest);
                self.contract.advanced = time;
                self.contract.advanced_at = e.at;
                self.hold.forget_refusals();
                self.roots.retain_from(e.latest.block);
                if self.hold.flush_to.is_some_and(|to| to <= e.latest.block) {
                    self.hold.flush_to = None;
                }
            }
            Event::ContractConfirmed(e) => {
                self.contract.confirmed = e.latest;
                self.contract.confirmed_at = self.contract.confirmed_at.max(e.at.number);
            }
            Event::ContractRolledBack(e) => {
                self.hold.forget_refusals();
                self.contract.latest = e.latest;
                self.contract.advanced = time;
                self.contract.advanced_at = e.at;
            }
            Event::OutputChecked(e) => {
                self.roots.insert(e.block, AgreedRoot { root: e.root, current_l1: e.current_l1 });
            }
            Event::OutputMismatched(e) => {
                self.roots.remove(&e.block);
            }
            // Of the output that needs no proof. Its agreement names an L1 block, and that may be what was refused.
            Event::SubmissionRefused(e) => {
                self.hold.refusals = self.hold.refusals.saturating_add(1);
                self.hold.refused_until = e.not_before;
                if let Some(next) = self.next_block() {
                    self.roots.remove(&next);
                }
            }
            _ => return self.absorb_modes(event, time),
        }
        true
    }

    /// Another process asks, perhaps other nodes and another server: nothing is bought or sent before they are compared
    /// with the contract again.
    pub(super) fn forget_agreement(&mut self) {
        self.roots = Map::default();
        self.hold.config_ok = None;
    }

    /// Nobody was asked for proofs while no engine ran: a request whose limit passed meanwhile is asked for first.
    pub(super) fn await_answers(&mut self, now: Micros) {
        let late: Vec<UnitId> = self
            .index
            .due
            .iter()
            .filter_map(|(_, id)| self.unit(*id))
            .filter(|unit| matches!(unit.phase, Phase::Requested | Phase::Assigned) && unit.deadline < now)
            .map(|unit| unit.id)
            .collect();
        for id in late {
            let units = match id.kind {
                UnitKind::Span => &mut self.spans,
                UnitKind::Agg => &mut self.aggs,
            };
            let Some(unit) = units.get_mut(&id.number) else { continue };
            let unit: &mut UnitState = unit;
            let before = Keys::of(unit);
            unit.deadline = now;
            self.index.update(unit, before);
        }
    }

    /// Other keys or another configuration: what the server proves must be compared again before anything is bought,
    /// and how many members it can take is unknown again.
    fn observed(&mut self, values: &ContractValues) {
        let keys = |values: &ContractValues| (values.agg_vkey, values.range_vkey, values.rollup_config);
        if self.contract.values.as_ref().map(keys) != Some(keys(values)) {
            self.hold.config_ok = None;
            self.member_cap = 0;
        }
        self.contract.values = Some(values.clone());
    }

    fn absorb_modes(&mut self, event: &Event, time: Micros) -> bool {
        match event {
            Event::FinalizedMoved(e) => {
                if self.finalized.is_some_and(|head| e.block <= head.block) {
                    return false;
                }
                self.finalized = Some(Finalized { block: e.block, since: time, stalled: false });
            }
            Event::FinalizedStalled(_) => match &mut self.finalized {
                Some(head) if !head.stalled => head.stalled = true,
                _ => return false,
            },
            Event::DegradedModeEntered(e) => return self.hold.degraded.insert(e.reason, time).is_none(),
            Event::DegradedModeLeft(e) => return self.hold.degraded.remove(&e.reason).is_some(),
            Event::Paused(e) => return self.hold.paused.insert(e.control, time).is_none(),
            Event::Resumed(e) => return self.hold.paused.remove(&e.control).is_some(),
            Event::FlushRequested(e) => self.hold.flush_to = Some(e.to),
            Event::FeeCeilingReached(e) => match e.purpose {
                Purpose::Optimistic { chain, block, .. } if chain == self.id => {
                    self.hold.capped = Some(block)
                }
                _ => return false,
            },
            Event::ProverDegraded(e) => {
                if self.prover.degraded.is_some() {
                    return false;
                }
                self.prover.degraded = Some((time, e.class));
                self.pause_prover(time);
            }
            Event::ProverRecovered(_) => {
                if self.prover.degraded.take().is_none() {
                    return false;
                }
                self.prover.failures = 0;
                self.prover.streak = 0;
                self.prover.not_before = Micros(0);
            }
            _ => return false,
        }
        true
    }

    /// What an event of a unit says about the prover.
    pub(super) fn learn_of_prover(&mut self, unit: UnitId, event: &Event, time: Micros) {
        let class = match event {
            Event::ProofRequested(_) => {
                self.prover.last_requested = time;
                return;
            }
            Event::ProofFulfilled(_) => {
                self.prover.last_fulfilled = time;
                self.prover.failures = 0;
                self.prover.streak = 0;
                return;
            }
            Event::WitnessGenFailed(e) => e.class,
            Event::Unfulfillable(e) => e.class,
            Event::ProofLost(e) => e.class,
            Event::TimedOut(e) => match e.reason {
                prooflog_events::event::TimeoutReason::Deadline => FailureClass::ProvingTimeout,
                prooflog_events::event::TimeoutReason::Restart => return,
            },
            _ => return,
        };
        if class == FailureClass::Unreachable {
            // What answers next time may be another server.
            self.hold.config_ok = None;
        }
        match class {
            FailureClass::Unexecutable | FailureClass::DataNotReady | FailureClass::Restart => {}
            FailureClass::Capacity => self.pause_prover(time),
            _ => {
                self.prover.failures = self.prover.failures.saturating_add(1);
                self.prover.last_failed = Some(unit);
                if self.prover.degraded.is_some() {
                    self.pause_prover(time);
                }
            }
        }
    }

    fn pause_prover(&mut self, time: Micros) {
        let (min, max) = self
            .policy
            .as_ref()
            .map_or((10, 900), |policy| (policy.backoff_min_secs, policy.backoff_max_secs));
        self.prover.not_before = time.plus_secs(backoff(min, max, self.prover.streak));
        self.prover.streak = self.prover.streak.saturating_add(1);
    }

    /// Addresses and values that doctor and status name.
    #[must_use]
    pub const fn oracle(&self) -> Address {
        self.registration.oracle
    }

    /// Complete spans that chain without a gap from the contract's latest block on, at most `limit`.
    #[must_use]
    pub fn provable_run(&self, limit: usize) -> Vec<&Unit> {
        let Some(latest) = self.contract.latest else {
            return Vec::new();
        };
        let mut at = latest.block;
        let mut run = Vec::new();
        while let Some(span) = self.span_at(at) {
            if span.phase != Phase::Complete || run.len() >= limit {
                break;
            }
            at = span.range.end;
            run.push(span);
        }
        run
    }

    /// Spans whose start lies inside `range`, lowest first.
    pub fn spans_starting_in(&self, range: Range) -> impl Iterator<Item = &Unit> + '_ {
        self.index.by_start.range(range.start..range.end).filter_map(|(_, number)| self.spans.get(number))
    }
}

/// The pause after `streak` failures in a row: doubling from `min` up to `max`, in seconds.
#[must_use]
pub fn backoff(min: u64, max: u64, streak: u32) -> u64 {
    min.saturating_mul(1_u64 << streak.min(20)).min(max).max(min)
}

impl<V: Clone> Map<L2Block, V> {
    /// Forgets all entries below `block`.
    fn retain_from(&mut self, block: L2Block) {
        while let Some(low) = self.get_min().map(|(low, _)| *low) {
            if low >= block {
                break;
            }
            self.remove(&low);
        }
    }
}

/// What [`Chain`] stores: all but the index, which follows from it.
macro_rules! chain_fields {
    ($($field:ident),*) => {
        impl Encode for Chain {
            fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
                $(self.$field.encode(encoder)?;)*
                Ok(())
            }
        }

        impl<C> Decode<C> for Chain {
            fn decode<D: bincode::de::Decoder<Context = C>>(d: &mut D) -> Result<Self, bincode::error::DecodeError> {
                $(let $field = Decode::decode(d)?;)*
                let mut chain = Self { $($field,)* index: Index::default() };
                chain.index = Index::of(&chain);
                Ok(chain)
            }
        }
    };
}

chain_fields!(
    id,
    revision,
    registration,
    policy,
    contract,
    finalized,
    hold,
    prover,
    roots,
    last_span,
    last_agg,
    member_cap,
    spans,
    aggs,
    open_calls,
    retired,
    halved,
    set_aside
);

/// Sets of units, by what they wait for.
pub(super) type UnitSet = Set<(Micros, UnitId)>;
