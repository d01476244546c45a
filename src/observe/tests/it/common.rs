//! A small world: a state built event by event, and a reader of the exposition format.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prooflog_events::event::*;
use prooflog_events::ids::*;
use prooflog_events::input::NodeRead;
use prooflog_events::policy::Policy;
use prooflog_events::values::*;
use prooflog_observe::{Health, Metrics, Observation};
use prooflog_projections::{Fact, State};

pub(crate) const CHAIN: ChainId = ChainId(10);
pub(crate) const OTHER: ChainId = ChainId(20);
/// Start of the world's time, in seconds.
pub(crate) const BEGIN: u64 = 1_700_000_000;

pub(crate) fn secs(after: u64) -> Micros {
    Micros((BEGIN + after) * 1_000_000)
}

pub(crate) fn signer() -> SignerId {
    SignerId { l1: L1ChainId(1), address: Address([7; 20]) }
}

pub(crate) fn unit(kind: UnitKind, number: u64) -> UnitId {
    UnitId { chain: CHAIN, kind, number }
}

pub(crate) fn l1(number: u64) -> L1Ref {
    L1Ref { number: L1Number(number), hash: Hash32([9; 32]) }
}

pub(crate) fn l1_head() -> L1Head {
    L1Head { block: l1(1_000), time: secs(0), base_fee: Wei(7_000_000_000), tip: Wei(1_000_000_000) }
}

pub(crate) fn commitments() -> Commitments {
    Commitments { mode: Mode::Real, range_vkey: Hash32([2; 32]), rollup_config: Hash32([3; 32]) }
}

pub(crate) fn values() -> ContractValues {
    ContractValues {
        implementation: Address([1; 20]),
        generation: Generation::V1,
        submission_interval: 100,
        agg_vkey: Hash32([1; 32]),
        range_vkey: Hash32([2; 32]),
        rollup_config: Hash32([3; 32]),
        verifier: Address([4; 20]),
        optimistic: false,
        approved: true,
        factory: None,
        bond: Wei(0),
        finalization_secs: 0,
    }
}

/// A state and its metrics, fed together.
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) metrics: Metrics,
    pub(crate) now: Micros,
    position: u64,
}

impl World {
    /// Rollups that are registered, with a contract at block 100 and a head at 400.
    pub(crate) fn new(chains: &[ChainId]) -> Self {
        let metrics = Metrics::new(chains, Health::new(chains, Duration::from_secs(30)));
        let mut world = Self { state: State::new(LogId::default()), metrics, now: secs(0), position: 0 };
        for chain in chains {
            let stream = StreamId::Chain(*chain);
            world.tell(
                stream,
                ChainRegistered {
                    name: "a".into(),
                    l1: L1ChainId(1),
                    oracle: Address([5; 20]),
                    l1_genesis: Hash32::ZERO,
                    l2_genesis: Hash32([1; 32]),
                },
            );
            world.tell(stream, PolicyChanged { policy: Policy::with_signer(signer().address) });
            world.tell(stream, ContractObserved { at: l1(990), values: values() });
            let latest = Anchor { index: 3, root: Hash32([6; 32]), block: L2Block(100) };
            world.tell(stream, ContractAdvanced { at: l1(990), latest, tx: None, sender: None, ours: None });
            world.tell(stream, FinalizedMoved { block: L2Block(400), hash: Hash32([8; 32]) });
        }
        world
    }

    pub(crate) fn tell(&mut self, stream: StreamId, event: impl Into<Event>) {
        self.position += 1;
        let fact = Fact {
            position: Position(self.position),
            stream,
            revision: self.state.next_revision(stream),
            time: self.now,
            correlation: "",
            event: event.into(),
        };
        self.state.apply(&fact).unwrap();
        self.metrics.event(&fact);
    }

    pub(crate) fn span(&mut self, number: u64, start: u64, end: u64) -> StreamId {
        let stream = StreamId::Unit(unit(UnitKind::Span, number));
        self.tell(
            stream,
            SpanCreated {
                range: Range { start: L2Block(start), end: L2Block(end) },
                origin: SpanOrigin::Planned,
                commitments: commitments(),
                transactions: None,
                gas: None,
            },
        );
        stream
    }

    /// The node says that `block` is finalized; blocks come every two seconds.
    pub(crate) fn read_node(&mut self, block: u64) {
        let input = NodeRead {
            chain: CHAIN,
            finalized: L2Block(block),
            hash: Hash32([8; 32]),
            current_l1: l1(1_000),
            finalized_time: block_time(block),
        };
        self.metrics.input(&input.into(), self.now);
    }

    pub(crate) fn read_contract(&self) {
        self.metrics.observed(Observation::Contract { chain: CHAIN, l1: Some(l1_head()) }, self.now);
    }

    pub(crate) fn scrape(&self) -> Exposition {
        Exposition::parse(&self.metrics.scrape(Some(&self.state), self.now))
    }
}

/// Timestamp of an L2 block: block 400 is ten minutes old at the beginning.
pub(crate) fn block_time(block: u64) -> Micros {
    Micros((BEGIN - 600 - 2 * 400 + 2 * block) * 1_000_000)
}

/// What a scrape says, read strictly.
pub(crate) struct Exposition {
    pub(crate) types: BTreeMap<String, String>,
    pub(crate) samples: BTreeMap<String, f64>,
}

impl Exposition {
    pub(crate) fn parse(text: &str) -> Self {
        let (mut types, mut samples) = (BTreeMap::new(), BTreeMap::new());
        let mut helped = BTreeSet::new();
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.is_empty());
                assert!(helped.insert(name.to_owned()), "two HELP lines: {name}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(helped.contains(name), "TYPE before HELP: {name}");
                assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "two TYPE lines: {name}");
            } else {
                let (sample, value) = line.rsplit_once(' ').unwrap();
                let value: f64 = value.parse().unwrap();
                assert!(samples.insert(sample.to_owned(), value).is_none(), "twice: {sample}");
                let name = sample.split('{').next().unwrap();
                let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
                    name.strip_suffix(end).filter(|base| types.get(*base) == Some(&"histogram".into()))
                });
                assert!(types.contains_key(base.unwrap_or(name)), "no TYPE: {name}");
            }
        }
        Self { types, samples }
    }

    /// The value of one sample, written as it is exposed.
    pub(crate) fn value(&self, sample: &str) -> f64 {
        *self.samples.get(sample).unwrap_or_else(|| panic!("no sample {sample}"))
    }
}
