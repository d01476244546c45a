//! Makes a legal log of any length with a given number of live requests.
//!
//! A world of its own, much simpler than the simulator's: units go through their lives on virtual time with fixed
//! chances of trouble, whole aggregates at a time, and new spans take the place of settled ones. Every event is applied
//! to a [`State`] while it is made, so a log that comes out of here is legal by construction, and every batch names an
//! input of the kind that leads to such events. The same shape gives the same log.

mod proving;
mod sending;
mod upkeep;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use prooflog_core::NewEvent;
use prooflog_events::event::Event;
use prooflog_events::ids::{
    Address, ChainId, Hash32, L1ChainId, L1Number, L1Ref, LogId, Micros, Position, SignerId, SlotId,
    StreamId, UnitId, UnitKind,
};
use prooflog_events::input::Input;
use prooflog_events::values::BlobRef;
use prooflog_projections::state::Illegal;
use prooflog_projections::{Fact, State};

use crate::rng::Rng;

/// Blocks of one span.
const SPAN_BLOCKS: u64 = 300;
/// Seconds that an aggregate takes from its queue to the contract, roughly.
const AGG_SECS: u64 = 200;
/// Members that an aggregate has when everything is in balance.
const MEMBERS: u64 = 16;
/// Events of one batch at most, with room for what a single step adds.
const BATCH_EVENTS: usize = 448;

/// What a generated log looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Spans and aggregates alive at any time, all rollups together. As many again are settled and keep their proof.
    pub live: u64,
    /// Rollups that share them.
    pub chains: u64,
    /// Another seed gives another log.
    pub seed: u64,
}

impl Shape {
    /// The shape of the benchmarks: a rollup for each 1,000 live requests, four at least.
    #[must_use]
    pub fn with_live(live: u64) -> Self {
        Self { live, chains: (live / 1_000).max(4), seed: 1 }
    }

    /// The log's id.
    #[must_use]
    pub fn log(&self) -> LogId {
        LogId(Rng::new(self.seed ^ 0x6c6f_6700).bytes())
    }

    fn quota(&self) -> u64 {
        (self.live / self.chains.max(1)).max(4)
    }

    /// Seconds that a span is with the prover, so that most live spans are.
    fn proving_secs(&self) -> u64 {
        (self.quota() * 4 / 5 * AGG_SECS / MEMBERS).max(300)
    }
}

/// One atomic batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The moment of the decision.
    pub now: Micros,
    /// What was decided on.
    pub input: Input,
    /// The events, at least one.
    pub events: Vec<NewEvent>,
}

/// Makes batches without end.
#[derive(Debug)]
pub struct Generator {
    shape: Shape,
    state: State,
    now: Micros,
    rng: Rng,
    due: BinaryHeap<Reverse<(Micros, u64, Work)>>,
    scheduled: u64,
    events: Vec<NewEvent>,
}

/// Something that happens at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    /// An engine starts, calls that were open are over, and some time later the next one does.
    Restart,
    /// A rollup is taken on.
    Register(ChainId),
    /// Finalized blocks are cut, and old proofs are given up.
    Plan(ChainId),
    /// A unit takes its next step.
    Unit(UnitId),
    /// A slot whose purpose is over is closed.
    Close(SlotId),
}

impl Generator {
    /// A generator at the beginning of the log.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        let now = Micros(1_750_000_000_000_000);
        let mut this = Self {
            shape,
            state: State::new(shape.log()),
            now,
            rng: Rng::new(shape.seed),
            due: BinaryHeap::new(),
            scheduled: 0,
            events: Vec::new(),
        };
        this.after(0, Work::Restart);
        for chain in 0..shape.chains {
            this.after(1, Work::Register(ChainId(10 + chain)));
        }
        this
    }

    /// The state after everything generated so far.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The state, and the time that the next batch may have.
    #[must_use]
    pub fn into_state(self) -> (State, Micros) {
        (self.state, self.now)
    }

    /// The next batch.
    ///
    /// # Errors
    /// When an event is illegal: a bug in here.
    pub fn next_batch(&mut self) -> Result<Batch, Illegal> {
        loop {
            let Some(Reverse((at, _, work))) = self.due.pop() else {
                // Plans repeat for ever, so there always is something; a bug must still not hang.
                self.after(1, Work::Restart);
                continue;
            };
            self.now = self.now.max(at);
            let input = self.run(work)?;
            if !self.events.is_empty() {
                return Ok(Batch { now: self.now, input, events: std::mem::take(&mut self.events) });
            }
        }
    }

    fn run(&mut self, work: Work) -> Result<Input, Illegal> {
        match work {
            Work::Restart => self.restart(),
            Work::Register(chain) => self.register(chain),
            Work::Plan(chain) => self.plan(chain),
            Work::Unit(id) => match id.kind {
                UnitKind::Span => self.prove(id),
                UnitKind::Agg => self.advance_agg(id),
            },
            Work::Close(slot) => self.close(slot),
        }
    }

    fn after(&mut self, secs: u64, work: Work) {
        self.after_micros(secs * 1_000_000, work);
    }

    fn after_micros(&mut self, micros: u64, work: Work) {
        self.scheduled += 1;
        let jitter = self.rng.between(1, 900_000);
        self.due.push(Reverse((Micros(self.now.0 + micros + jitter), self.scheduled, work)));
    }

    fn emit(
        &mut self,
        stream: StreamId,
        correlation: String,
        event: impl Into<Event>,
    ) -> Result<(), Illegal> {
        let revision = self.state.next_revision(stream);
        let fact = Fact {
            position: Position::ZERO,
            stream,
            revision,
            time: self.now,
            correlation: &correlation,
            event: event.into(),
        };
        self.state.apply(&fact)?;
        let event = fact.event;
        // Nobody plans on this state, and what was touched would otherwise pile up.
        drop(self.state.take_touched());
        self.events.push(NewEvent { stream, revision, correlation, event });
        Ok(())
    }

    fn emit_chain(&mut self, chain: ChainId, event: impl Into<Event>) -> Result<(), Illegal> {
        let stream = StreamId::Chain(chain);
        self.emit(stream, stream.to_string(), event)
    }

    fn emit_unit(&mut self, id: UnitId, event: impl Into<Event>) -> Result<(), Illegal> {
        let root = self.state.unit_or_retired(id).map_or(id, |unit| unit.correlation());
        self.emit(StreamId::Unit(id), root.to_string(), event)
    }

    fn emit_slot(&mut self, slot: SlotId, agg: UnitId, event: impl Into<Event>) -> Result<(), Illegal> {
        self.emit(StreamId::Tx(slot), agg.to_string(), event)
    }

    fn hash(&mut self) -> Hash32 {
        Hash32(self.rng.bytes())
    }

    fn blob(&mut self, length: u64) -> BlobRef {
        BlobRef { sha256: self.hash(), length: length + self.rng.between(0, length / 8) }
    }

    fn l1_head(&mut self) -> L1Ref {
        L1Ref { number: L1Number(self.now.0 / 12_000_000), hash: self.hash() }
    }

    fn signer(&self) -> SignerId {
        SignerId { l1: L1ChainId(1), address: self.address(1) }
    }

    fn address(&self, of: u64) -> Address {
        Address(Rng::new(self.shape.seed ^ (of << 32)).bytes())
    }

    fn constant(&self, of: u64) -> Hash32 {
        Hash32(Rng::new(self.shape.seed ^ (of << 40)).bytes())
    }
}
