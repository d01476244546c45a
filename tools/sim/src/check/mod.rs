//! The rules that must always hold, checked from the outside.
//!
//! A model of its own is built from the recorded events, by code that shares nothing with the projections; each rule is
//! a function with a name, and looks at every batch before or after the model takes it in. What breaks a rule is a
//! [`Violation`] that says where and when. Rules that concern the world (an effect without its intent, a proof that
//! nobody made) compare the model with what the world knows.

mod chain_rules;
mod effects;
mod late;
mod model;
mod one_block;
mod read;
mod replay;
mod tx_rules;
mod unit_rules;

pub use model::{Model, ModelChain, ModelUnit, Stage};
pub use read::{Batch, Recorded};

use std::collections::{BTreeMap, BTreeSet};

use prooflog_events::ids::{Attempt, ChainId, Hash32, LogId, Micros, Position, UnitId};
use prooflog_events::input::{ChainConfigured, Input};
use prooflog_events::policy::Policy;
use prooflog_events::port::Sequence;
use prooflog_log::Log;
use prooflog_projections::State;

use crate::world::World;

/// Most violations that a run reports.
const MAX_VIOLATIONS: usize = 5;

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The seed.
    pub seed: u64,
    /// The rule.
    pub rule: &'static str,
    /// The newest position that the rules had looked at.
    pub position: Position,
    /// When.
    pub time: Micros,
    /// What was seen.
    pub text: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, rule, position, time, text } = self;
        let seconds = time.secs_since(crate::scenario::START);
        write!(f, "seed {seed}: `{rule}` is broken at position {position}, {seconds} s into the run: {text}")
    }
}

/// The rules with what they know.
#[derive(Debug)]
pub struct Checker {
    seed: u64,
    /// Rules broken so far.
    pub violations: Vec<Violation>,
    model: Model,
    shadow: State,
    /// Only in every eighth run, because every event is put into words.
    shown: Option<replay::Shown>,
    /// Recorded inputs are decided again only if `decide` is the one that recorded them.
    replays: bool,
    heard: (Position, Hash32),
    policies: BTreeMap<ChainId, Vec<Policy>>,
    /// Requests that left.
    called: BTreeSet<(UnitId, Attempt)>,
    batches: u64,
}

impl Checker {
    /// Rules for an empty log.
    #[must_use]
    pub(crate) fn new(seed: u64, log: LogId, replays: bool) -> Self {
        Self {
            seed,
            violations: Vec::new(),
            model: Model::default(),
            shadow: State::new(log),
            shown: seed.is_multiple_of(8).then(replay::Shown::default),
            replays,
            heard: (Position::ZERO, Hash32::ZERO),
            policies: BTreeMap::new(),
            called: BTreeSet::new(),
            batches: 0,
        }
    }

    /// A configuration that the process will be given: the limits that must hold are these and not what it makes of
    /// them.
    pub fn configured(&mut self, chain: &ChainConfigured) {
        self.policies.entry(chain.chain).or_default().push(chain.policy.clone());
    }

    /// Breaks a rule.
    pub fn violate(&mut self, rule: &'static str, time: Micros, text: String) {
        if self.violations.len() < MAX_VIOLATIONS {
            let (seed, position) = (self.seed, self.heard.0);
            self.violations.push(Violation { seed, rule, position, time, text });
        }
    }

    /// The fold of everything that was heard of.
    #[must_use]
    pub const fn shadow(&self) -> &State {
        &self.shadow
    }

    /// The independent model.
    #[must_use]
    pub const fn model(&self) -> &Model {
        &self.model
    }

    /// Looks at everything up to `last`, batch by batch.
    pub fn follow<S: Sequence>(
        &mut self,
        log: &Log<S>,
        last: Position,
        world: &World,
        watch: &mut Option<crate::run::Watch<'_>>,
    ) {
        let batches = match read::batches(log, self.heard.0.next(), last) {
            Ok(batches) => batches,
            Err(error) => return self.violate("log", world.now, error),
        };
        for batch in batches {
            self.batches += 1;
            self.batch(&batch, world);
            if let Some(watch) = watch {
                watch(&batch, world);
            }
        }
    }

    fn batch(&mut self, batch: &Batch, world: &World) {
        self.replay(batch);
        for recorded in &batch.events {
            self.heard = (recorded.position, recorded.hash);
            let broken = [
                self.unit_event(batch, recorded, world),
                self.chain_event(batch, recorded, world),
                self.tx_event(batch, recorded, world),
            ];
            for (rule, text) in broken.into_iter().flatten() {
                self.violate(rule, batch.time, text);
            }
            if let Err(text) = self.model.take(batch.time, recorded) {
                self.violate("model", batch.time, text);
            }
        }
        for (rule, text) in self.after_batch(batch) {
            self.violate(rule, batch.time, text);
        }
        for chain in self.model.chains.values_mut().filter(|chain| chain_rules::is_told(chain)) {
            chain.told = batch.time;
        }
    }

    /// A log that was opened again holds all that was heard of, unchanged.
    pub fn reopened<S: Sequence>(&mut self, log: &Log<S>, now: Micros) {
        let (position, hash) = self.heard;
        if position == Position::ZERO {
            return;
        }
        let found = log.reader().record(position).ok().flatten().map(|record| record.hash());
        if found != Some(hash) {
            self.violate(
                "acknowledged",
                now,
                format!("what was acknowledged at {position} is not there any more"),
            );
        }
    }

    /// An input is handed to the engine: what it says of the L1 must have been so in one block.
    pub fn input(&mut self, input: &Input, world: &World) {
        if let Some(text) = one_block::torn(input, world) {
            self.violate("one block", world.now, text);
        }
    }

    /// After an input, whether or not it led to events.
    pub fn after_input(&mut self, before: &State, input: &Input, after: &State, now: Micros) {
        if let Some(text) = chain_rules::contract_followed(before, input, after) {
            self.violate("contract followed", now, text);
        }
        if let Some(text) = late::whole_used(before, input, after) {
            self.violate("usable proof", now, text);
        }
        let untold = late::unknown_is_told(before, input, after);
        if let Some(text) = untold.or_else(|| late::ceiling_is_told(before, input, after)) {
            self.violate("on record", now, text);
        }
    }
}
