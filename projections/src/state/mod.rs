//! The scheduler's state: everything that decisions rest on, and nothing else.
//!
//! [`State::apply`] is the only way to change it; it checks every event against [`phase`] first. Only live work stays
//! here: units and nonce slots that are over leave it (those that hold a proof wait in `retired` until it is pruned),
//! so the cost of a decision does not grow with history. What a crash means: the state is folded again.

pub mod chain;
pub mod index;
mod names;
pub mod phase;
pub mod slot;
pub mod unit;

use std::fmt;

use bincode::{Decode, Encode};
use prooflog_events::codec::{self, CodecError};
use prooflog_events::event::{Event, EventType};
use prooflog_events::ids::{
    ChainId, Hash32, LogId, Micros, Position, Revision, SignerId, SlotId, StreamId, UnitId, UnitKind,
};
use prooflog_events::values::{Purpose, RefusalClass};
use sha2::{Digest, Sha256};

use crate::{Fact, Map, Set};
use chain::Chain;
use index::{Index, Keys};
use names::ProofNames;
use phase::{Shape, SlotPhase, next_phase, next_slot_phase};
use slot::{Signer, Slot};
use unit::{Unit, UnitState};

/// Version of the fold; it is part of a snapshot's fingerprint, so a snapshot of another fold is never used.
pub const FOLD_VERSION: u32 = 5;

/// An event that cannot follow the state it was found in: the log is damaged, or the code has a bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} at position {position} cannot follow on {stream}, which is {found}")]
pub struct Illegal {
    /// Where.
    pub position: Position,
    /// On which stream.
    pub stream: String,
    /// Which event.
    pub event: &'static str,
    /// What the stream's subject was.
    pub found: Found,
}

/// What an illegal event met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Its subject, in this phase.
    Phase(&'static str),
    /// No such subject.
    Nothing,
    /// A subject that exists already.
    Existing,
    /// Another revision.
    Revision {
        /// The one that would follow.
        expected: Revision,
        /// The one that came.
        found: Revision,
    },
    /// An event that does not belong on such a stream, or says what is so already.
    Misplaced,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phase(phase) => f.write_str(phase),
            Self::Nothing => f.write_str("unknown"),
            Self::Existing => f.write_str("there already"),
            Self::Revision { expected, found } => write!(f, "at revision {expected} and not {found}"),
            Self::Misplaced => f.write_str("no place for it now"),
        }
    }
}

/// The scheduler's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Identity of the log; part of every idempotency key.
    pub log: LogId,
    /// Time of the newest event.
    pub time: Micros,
    /// Events in the engine's own stream.
    pub node_events: u64,
    /// Calls to the prover that were open when the last engine ended.
    pub stale_calls: Set<UnitId>,
    /// All rollups.
    pub chains: Map<ChainId, Chain>,
    /// All accounts that send.
    pub signers: Map<SignerId, Signer>,
    /// What changed since the runner last looked. Not part of the state's content.
    touched: Touched,
    names: ProofNames,
}

/// Subjects whose owed effects may have changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Touched {
    /// Units.
    pub units: Vec<UnitId>,
    /// Rollups, beside their units.
    pub chains: Vec<ChainId>,
    /// Accounts.
    pub signers: Vec<SignerId>,
}

impl State {
    /// The state of the empty log.
    #[must_use]
    pub fn new(log: LogId) -> Self {
        Self {
            log,
            time: Micros(0),
            node_events: 0,
            stale_calls: Set::default(),
            chains: Map::default(),
            signers: Map::default(),
            touched: Touched::default(),
            names: ProofNames::default(),
        }
    }

    /// Takes one event in.
    ///
    /// # Errors
    /// When it cannot follow; the state is then as before.
    pub fn apply(&mut self, fact: &Fact<'_>) -> Result<(), Illegal> {
        let done = match fact.stream {
            StreamId::Node => self.apply_node(fact),
            StreamId::Chain(chain) => self.apply_chain(chain, fact),
            StreamId::Unit(unit) => self.counting(unit, |state| state.apply_unit(unit, fact)),
            StreamId::Tx(slot) => self.apply_slot(slot, fact),
            StreamId::Signer(signer) => self.apply_signer(signer, fact),
        };
        match done {
            Ok(()) => {
                self.time = fact.time;
                Ok(())
            }
            Err(found) => Err(Illegal {
                position: fact.position,
                stream: fact.stream.to_string(),
                event: fact.event.event_type().name(),
                found,
            }),
        }
    }

    fn apply_node(&mut self, fact: &Fact<'_>) -> Result<(), Found> {
        if !matches!(fact.event, Event::EngineStarted(_) | Event::EngineStopped(_)) {
            return Err(Found::Misplaced);
        }
        self.node_events = follow_count(self.node_events, fact.revision)?;
        if matches!(fact.event, Event::EngineStarted(_)) {
            for chain in self.chains.values().filter(|chain| chain.index.in_witness > 0) {
                let open = chain.units().filter(|unit| unit.phase == phase::Phase::WitnessGen);
                self.stale_calls.extend(open.map(|unit| unit.id));
            }
            let chains: Vec<ChainId> = self.chains.keys().copied().collect();
            for id in chains {
                if let Some(chain) = self.chains.get_mut(&id) {
                    chain.forget_agreement();
                    chain.await_answers(fact.time);
                }
                self.touched.chains.push(id);
            }
        }
        Ok(())
    }

    fn apply_chain(&mut self, id: ChainId, fact: &Fact<'_>) -> Result<(), Found> {
        if let Event::ChainRegistered(registration) = &fact.event {
            if self.chains.contains_key(&id) {
                return Err(Found::Existing);
            }
            first(fact.revision)?;
            self.chains.insert(id, Chain::new(id, registration.clone()));
        } else {
            let chain = self.chains.get_mut(&id).ok_or(Found::Nothing)?;
            let revision = follow(chain.revision, fact.revision)?;
            if !chain.absorb(&fact.event, fact.time) {
                return Err(Found::Misplaced);
            }
            if let Event::ContractAdvanced(e) = &fact.event
                && let Some(unit) = e.ours.and_then(|number| chain.aggs.get_mut(&number))
            {
                unit.set_output_index(e.latest.index);
            }
            if let Event::ContractAdvanced(e) = &fact.event {
                let passed = chain.forget_halved_below(e.latest.block);
                self.touched.units.extend(passed);
            }
            chain.revision = revision;
            if matches!(
                fact.event,
                Event::PolicyChanged(_) | Event::ContractObserved(_) | Event::ContractChanged(_)
            ) {
                refresh_outdated(chain);
            }
        }
        if let Some(signer) = self.chains.get(&id).and_then(Chain::signer) {
            self.change_signer(signer, |_| {});
            // What a paused rollup holds back decides what others of its account may send.
            if matches!(fact.event, Event::Paused(_) | Event::Resumed(_)) {
                self.touched.signers.push(signer);
            }
        }
        self.touched.chains.push(id);
        Ok(())
    }

    fn apply_unit(&mut self, id: UnitId, fact: &Fact<'_>) -> Result<(), Found> {
        let chain = self.chains.get_mut(&id.chain).ok_or(Found::Nothing)?;
        match &fact.event {
            Event::SpanCreated(created) if id.kind == UnitKind::Span => {
                first(fact.revision)?;
                new_number(&mut chain.last_span, id.number)?;
                let root = match fact.correlation.parse() {
                    Ok(StreamId::Unit(root)) => root.number,
                    _ => id.number,
                };
                let unit = Unit::span(id, root, fact.time, created);
                chain.index.add(&unit);
                chain.spans.insert(id.number, unit);
            }
            Event::AggQueued(queued) if id.kind == UnitKind::Agg => {
                first(fact.revision)?;
                new_number(&mut chain.last_agg, id.number)?;
                let unit = Unit::agg(id, fact.time, queued.clone());
                chain.index.add(&unit);
                chain.aggs.insert(id.number, unit);
            }
            _ => {
                change_unit(chain, id, fact)?;
                chain.learn_of_prover(id, &fact.event, fact.time);
            }
        }
        if !self.stale_calls.is_empty() {
            self.stale_calls.remove(&id);
        }
        self.touched.units.push(id);
        Ok(())
    }

    fn apply_slot(&mut self, id: SlotId, fact: &Fact<'_>) -> Result<(), Found> {
        self.change_signer(id.signer, |signer| change_slot(signer, id, fact))?;
        if let Event::TxReverted(e) = &fact.event
            && e.refusal.class == RefusalClass::OutOfGas
            && let Some(Purpose::Checkpoint { agg, .. } | Purpose::Submission { agg }) =
                self.slot(id).and_then(Slot::mined_purpose)
            && let Some(unit) =
                self.chains.get_mut(&agg.chain).and_then(|chain| chain.aggs.get_mut(&agg.number))
        {
            unit.ran_out_of_gas();
            self.touched.units.push(agg);
        }
        self.touched.signers.push(id.signer);
        Ok(())
    }

    fn apply_signer(&mut self, id: SignerId, fact: &Fact<'_>) -> Result<(), Found> {
        self.change_signer(id, |signer| change_account(signer, fact))?;
        self.touched.signers.push(id);
        Ok(())
    }

    fn change_signer<R>(&mut self, id: SignerId, change: impl FnOnce(&mut Signer) -> R) -> R {
        self.signers.upsert(id, || Signer::new(id), change)
    }

    /// A live unit.
    #[must_use]
    pub fn unit(&self, id: UnitId) -> Option<&Unit> {
        self.chains.get(&id.chain)?.unit(id)
    }

    /// A live unit, or a span that was halved and whose own proof may still come.
    #[must_use]
    pub fn awaited(&self, id: UnitId) -> Option<&Unit> {
        self.chains.get(&id.chain)?.awaited(id)
    }

    /// A live unit, or one that is over and still holds its proof.
    #[must_use]
    pub fn unit_or_retired(&self, id: UnitId) -> Option<&Unit> {
        let chain = self.chains.get(&id.chain)?;
        chain.unit(id).or_else(|| chain.retired.get(&id))
    }

    /// A unit that more may happen to: live, over with a proof, halved, or set aside.
    #[must_use]
    pub fn remembered(&self, id: UnitId) -> Option<&Unit> {
        let aside = || self.chains.get(&id.chain)?.set_aside.get(&id);
        self.unit_or_retired(id).or_else(|| self.awaited(id)).or_else(aside)
    }

    /// An open nonce slot.
    #[must_use]
    pub fn slot(&self, id: SlotId) -> Option<&Slot> {
        self.signers.get(&id.signer)?.slots.get(&id.nonce)
    }

    /// The revision that the next event of `stream` has.
    #[must_use]
    pub fn next_revision(&self, stream: StreamId) -> Revision {
        let newest = match stream {
            StreamId::Node => return Revision(self.node_events),
            StreamId::Signer(id) => return Revision(self.signers.get(&id).map_or(0, |signer| signer.events)),
            StreamId::Chain(id) => self.chains.get(&id).map(|chain| chain.revision),
            StreamId::Unit(id) => self.remembered(id).map(|unit| unit.revision),
            StreamId::Tx(id) => match self.slot(id) {
                Some(slot) => Some(slot.revision),
                None => self.signers.get(&id.signer).and_then(|signer| signer.closed.get(&id.nonce).copied()),
            },
        };
        newest.map_or(Revision(0), |revision| Revision(revision.0.saturating_add(1)))
    }

    /// Counts rollups as changed, because a moment came that matters; none means all.
    pub fn touch_chains(&mut self, chains: &[ChainId]) {
        if chains.is_empty() {
            self.touched.chains.extend(self.chains.keys());
        } else {
            self.touched.chains.extend(chains);
        }
    }

    /// What changed since this was last called.
    pub fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    /// SHA-256 over everything that decisions rest on: equal states have equal digests on every machine.
    #[must_use]
    pub fn digest(&self) -> Hash32 {
        Hash32(Sha256::digest(self.to_bytes()).into())
    }

    /// The state as a snapshot stores it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The state that a snapshot stores.
    ///
    /// # Errors
    /// When the bytes are not one state and nothing else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode_snapshot(bytes)
    }
}

impl Encode for State {
    fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        self.log.encode(encoder)?;
        self.time.encode(encoder)?;
        self.node_events.encode(encoder)?;
        self.stale_calls.encode(encoder)?;
        self.chains.encode(encoder)?;
        self.signers.encode(encoder)
    }
}

impl<C> Decode<C> for State {
    fn decode<D: bincode::de::Decoder<Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        Ok(Self {
            log: Decode::decode(decoder)?,
            time: Decode::decode(decoder)?,
            node_events: Decode::decode(decoder)?,
            stale_calls: Decode::decode(decoder)?,
            chains: Decode::decode(decoder)?,
            signers: Decode::decode(decoder)?,
            touched: Touched::default(),
            names: ProofNames::default(),
        })
    }
}

fn change_unit(chain: &mut Chain, id: UnitId, fact: &Fact<'_>) -> Result<(), Found> {
    let units = match id.kind {
        UnitKind::Span => &mut chain.spans,
        UnitKind::Agg => &mut chain.aggs,
    };
    let Some(unit) = units.get_mut(&id.number) else {
        if let Some(halved) = chain.halved_span(id).cloned() {
            return change_halved(chain, halved, fact);
        }
        if let Some(aside) = chain.set_aside.get(&id).cloned() {
            return change_set_aside(chain, aside, fact);
        }
        let retired = chain.retired.get(&id).cloned().ok_or(Found::Nothing)?;
        return change_retired(chain, retired, fact);
    };
    let revision = follow(unit.revision, fact.revision)?;
    let phase = next_phase(unit.shape(), unit.phase, fact.event.event_type())
        .ok_or(Found::Phase(unit.phase.name()))?;
    check_attempt(unit, &fact.event)?;
    let unit: &mut UnitState = unit;
    let before = Keys::of(unit);
    let left = (unit.phase == phase::Phase::WitnessGen && !answers_call(&fact.event, unit.attempt))
        .then_some((unit.range, unit.started));
    unit.absorb(&fact.event, fact.time);
    unit.revision = revision;
    if unit.phase != phase {
        unit.phase = phase;
        unit.since = fact.time;
    }
    if let Event::Checkpointed(e) = &fact.event {
        chain.contract.confirmed_at = chain.contract.confirmed_at.max(e.at.number);
    }
    if !phase.is_over() {
        chain.index.update(unit, before);
    }
    if let Some((range, started)) = left {
        chain.leave_call(range, started, fact.time);
    }
    if !phase.is_over() {
        return Ok(());
    }
    let units = match id.kind {
        UnitKind::Span => &mut chain.spans,
        UnitKind::Agg => &mut chain.aggs,
    };
    if let Some(unit) = units.remove(&id.number) {
        chain.index.remove(&unit, before);
        if let Event::Invalidated(e) = &fact.event
            && e.reason == prooflog_events::event::InvalidReason::TooManyMembers
        {
            let members = unit.agg_body().map_or(0, |agg| agg.members.len());
            chain.member_cap = u32::try_from(members / 2).unwrap_or(u32::MAX).max(1);
        }
        if phase == phase::Phase::Split {
            chain.halved.insert(id.number, unit);
        } else if unit.proof.is_some() {
            chain.index.retire(&unit);
            chain.retired.insert(id, unit);
        } else if unit.is_set_aside() {
            chain.set_aside.insert(id, unit);
        }
    }
    Ok(())
}

fn change_slot(signer: &mut Signer, id: SlotId, fact: &Fact<'_>) -> Result<(), Found> {
    if let Event::TxReserved(reserved) = &fact.event {
        if signer.slots.contains_key(&id.nonce) {
            return Err(Found::Existing);
        }
        // A nonce that was closed without being used up may be reserved again: its stream goes on.
        match signer.closed.get(&id.nonce) {
            Some(newest) => follow(*newest, fact.revision)?,
            None => first(fact.revision).map(|()| fact.revision)?,
        };
        let slot = Slot {
            id,
            revision: fact.revision,
            phase: SlotPhase::Unsigned,
            purpose: reserved.purpose,
            call: reserved.call,
            fees: reserved.fees,
            gas_limit: reserved.gas_limit,
            version: prooflog_events::ids::TxVersion(1),
            since: fact.time,
            last_sent: Micros(0),
            last_outcome: None,
            signed: Vec::new(),
            mined: None,
            capped: false,
        };
        signer.slots.insert(id.nonce, slot);
    } else {
        let slot = signer.slots.get_mut(&id.nonce).ok_or(Found::Nothing)?;
        let revision = follow(slot.revision, fact.revision)?;
        let kind = fact.event.event_type();
        let phase = next_slot_phase(slot.shape(), slot.phase, kind).ok_or(Found::Phase(slot.phase.name()))?;
        slot.absorb(&fact.event, fact.time);
        slot.revision = revision;
        slot.phase = phase;
        if phase == SlotPhase::Confirmed || (phase == SlotPhase::Abandoned && !slot.signed.is_empty()) {
            let after = prooflog_events::ids::Nonce(id.nonce.0.saturating_add(1));
            signer.next = signer.next.max(Some(after));
        }
        if matches!(phase, SlotPhase::Confirmed | SlotPhase::Abandoned) {
            signer.slots.remove(&id.nonce);
            signer.close(id.nonce, revision);
        }
    }
    Ok(())
}

fn change_account(signer: &mut Signer, fact: &Fact<'_>) -> Result<(), Found> {
    let low = match (&fact.event, signer.low) {
        (Event::SignerBalanceLow(e), None) => Some(e.minimum),
        (Event::SignerBalanceRestored(_), Some(_)) => None,
        (Event::NonceDrifted(_), low) => low,
        _ => return Err(Found::Misplaced),
    };
    signer.events = follow_count(signer.events, fact.revision)?;
    signer.low = low;
    if let Event::NonceDrifted(drifted) = &fact.event {
        signer.next = Some(drifted.found);
    }
    Ok(())
}

fn change_retired(chain: &mut Chain, mut unit: Unit, fact: &Fact<'_>) -> Result<(), Found> {
    let revision = follow(unit.revision, fact.revision)?;
    let phase = next_phase(unit.shape(), unit.phase, fact.event.event_type())
        .ok_or(Found::Phase(unit.phase.name()))?;
    chain.index.unretire(&unit);
    chain.retired.remove(&unit.id);
    if phase.is_over() {
        // Its proof was pruned: nothing is left to keep.
        return Ok(());
    }
    let content: &mut UnitState = &mut unit;
    content.absorb(&fact.event, fact.time);
    content.revision = revision;
    revive(chain, unit, phase, fact.time);
    Ok(())
}

/// An answer to a span that was halved: of no use, or its own proof after all.
fn change_halved(chain: &mut Chain, mut unit: Unit, fact: &Fact<'_>) -> Result<(), Found> {
    let revision = follow(unit.revision, fact.revision)?;
    let phase = next_phase(unit.shape(), unit.phase, fact.event.event_type())
        .ok_or(Found::Phase(unit.phase.name()))?;
    check_attempt(&unit, &fact.event)?;
    let content: &mut UnitState = &mut unit;
    content.absorb(&fact.event, fact.time);
    content.revision = revision;
    if phase.is_over() {
        chain.halved.insert(unit.id.number, unit);
    } else {
        chain.halved.remove(&unit.id.number);
        revive(chain, unit, phase, fact.time);
    }
    Ok(())
}

/// The commitments of a unit that was set aside are accepted again.
fn change_set_aside(chain: &mut Chain, mut unit: Unit, fact: &Fact<'_>) -> Result<(), Found> {
    let revision = follow(unit.revision, fact.revision)?;
    let phase = next_phase(unit.shape(), unit.phase, fact.event.event_type())
        .filter(|phase| !phase.is_over())
        .ok_or(Found::Phase(unit.phase.name()))?;
    chain.set_aside.remove(&unit.id);
    let content: &mut UnitState = &mut unit;
    content.absorb(&fact.event, fact.time);
    content.revision = revision;
    revive(chain, unit, phase, fact.time);
    Ok(())
}

/// A unit that was over is alive again.
fn revive(chain: &mut Chain, mut unit: Unit, phase: phase::Phase, now: Micros) {
    let content: &mut UnitState = &mut unit;
    content.phase = phase;
    content.since = now;
    chain.index.add(&unit);
    match unit.id.kind {
        UnitKind::Span => chain.spans.insert(unit.id.number, unit),
        UnitKind::Agg => chain.aggs.insert(unit.id.number, unit),
    };
    refresh_outdated(chain);
}

/// Whether an event ends the call under way because the server answered it, or leaves the unit where it is.
fn answers_call(event: &Event, attempt: prooflog_events::ids::Attempt) -> bool {
    use prooflog_events::values::FailureClass;
    match event {
        Event::ProofRequested(_) | Event::LateAnswerRecorded(_) | Event::DuplicateSpendRecorded(_) => true,
        Event::ProofFulfilled(e) => e.attempt == attempt,
        Event::WitnessGenFailed(e) => e.class != FailureClass::Dropped,
        _ => false,
    }
}

/// An event of an attempt must name the one under way; a proof may come from any that was made.
fn check_attempt(unit: &UnitState, event: &Event) -> Result<(), Found> {
    let named = match event {
        Event::WitnessGenStarted(e) => e.attempt,
        Event::WitnessGenFailed(e) => e.attempt,
        Event::ProofRequested(e) => e.attempt,
        Event::ProofAssigned(e) => e.attempt,
        Event::Unfulfillable(e) => e.attempt,
        Event::TimedOut(e) => e.attempt,
        Event::ProofLost(e) => e.attempt,
        Event::ProofFulfilled(e) if e.attempt <= unit.attempt => return Ok(()),
        Event::ProofFulfilled(_) => return Err(Found::Misplaced),
        _ => return Ok(()),
    };
    if named == unit.attempt { Ok(()) } else { Err(Found::Misplaced) }
}

fn refresh_outdated(chain: &mut Chain) {
    let mut index = std::mem::take(&mut chain.index);
    index.refresh_outdated(chain);
    chain.index = index;
}

fn first(found: Revision) -> Result<(), Found> {
    if found == Revision(0) { Ok(()) } else { Err(Found::Revision { expected: Revision(0), found }) }
}

fn follow(newest: Revision, found: Revision) -> Result<Revision, Found> {
    let expected = Revision(newest.0.saturating_add(1));
    if found == expected { Ok(found) } else { Err(Found::Revision { expected, found }) }
}

fn follow_count(events: u64, found: Revision) -> Result<u64, Found> {
    if found.0 == events {
        Ok(events.saturating_add(1))
    } else {
        Err(Found::Revision { expected: Revision(events), found })
    }
}

fn new_number(last: &mut u64, number: u64) -> Result<(), Found> {
    if number != last.saturating_add(1) {
        return Err(Found::Existing);
    }
    *last = number;
    Ok(())
}

/// The phase that `event` leads to, for tools that check a log without a state.
#[must_use]
pub const fn transition(shape: Shape, phase: phase::Phase, event: EventType) -> Option<phase::Phase> {
    next_phase(shape, phase, event)
}

/// The index of a chain computed from scratch, for comparison with the one kept up to date.
#[must_use]
pub fn index_from_scratch(chain: &Chain) -> Index {
    Index::of(chain)
}
