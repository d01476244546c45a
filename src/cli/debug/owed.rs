//! What was owed to the outside at a moment, in words, and what a batch changed about it.
//!
//! It is computed by the same function that the engine acts on. Whether a call was under way or waited for its turn is
//! not in the log: what is owed is what the engine would do next, or was doing.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use prooflog_core::{Effect, EffectKey, OutputBody, Pace, TxBody, Urgency, plan};
use prooflog_events::ids::Position;
use prooflog_events::phrase::purpose as in_words;
use prooflog_projections::State;
use serde::Serialize;

use super::super::output;
use super::names::short;

/// Since when something is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Since {
    /// The batch made it owed.
    New,
    /// The batch changed what exactly is asked.
    Changed,
    /// It was owed before the batch and no longer after it.
    Gone,
    /// It was owed before.
    Before,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Weight {
    /// It costs money or cannot be taken back.
    Spends,
    /// It asks about something under way.
    Asks,
    /// It is asked all the time.
    Standing,
}

/// One effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    /// Since when.
    pub(super) since: Since,
    /// What kind.
    pub(super) weight: Weight,
    /// Name of the effect.
    pub(super) effect: &'static str,
    /// What is to be done.
    pub(super) text: String,
}

/// Everything that is owed once a batch is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Owed {
    /// The end of the batch.
    pub(super) at: Position,
    /// What the batch changed first, what costs money before what does not.
    pub(super) effects: Vec<Line>,
}

/// What was owed at the batch ends looked at last: whoever steps along asks for each of them twice.
#[derive(Default)]
pub(super) struct Plans(VecDeque<(Position, Plan)>);

type Plan = Rc<BTreeMap<EffectKey, Effect>>;

/// Batch ends that are remembered.
const PLANS_MAX: usize = 4;

impl Plans {
    fn of(&mut self, at: Position, state: &State) -> Plan {
        if let Some((_, known)) = self.0.iter().find(|(known, _)| *known == at) {
            return Rc::clone(known);
        }
        let effects = plan(state, state.time);
        let owed = Rc::new(effects.into_iter().map(|effect| (effect.key(), effect)).collect());
        self.0.push_back((at, Rc::clone(&owed)));
        if self.0.len() > PLANS_MAX {
            self.0.pop_front();
        }
        owed
    }
}

impl Owed {
    /// What a batch made of what was owed before it; the ends of the batch before and of its own, with their states.
    pub(super) fn of(plans: &mut Plans, before: (Position, &State), after: (Position, &State)) -> Self {
        let (old, new) = (plans.of(before.0, before.1), plans.of(after.0, after.1));
        let at = after.0;
        let now = new.iter().map(|(key, effect)| {
            let since = match old.get(key) {
                None => Since::New,
                Some(old) if old != effect => Since::Changed,
                Some(_) => Since::Before,
            };
            line(since, effect)
        });
        let gone = old.iter().filter(|(key, _)| !new.contains_key(*key));
        let mut effects: Vec<Line> = now.chain(gone.map(|(_, effect)| line(Since::Gone, effect))).collect();
        // What is asked all the time changes its details all the time: it does not stand before what happened.
        effects.sort_by_key(|line| (line.weight == Weight::Standing, line.since, line.weight));
        Self { at, effects }
    }

    /// How many are owed.
    pub(super) fn count(&self) -> usize {
        self.effects.iter().filter(|line| line.since != Since::Gone).count()
    }
}

fn line(since: Since, effect: &Effect) -> Line {
    let (weight, name) = kind(effect);
    Line { since, weight, effect: name, text: output::clean(&words(effect)) }
}

const fn kind(effect: &Effect) -> (Weight, &'static str) {
    match effect {
        Effect::ReadNode { .. } => (Weight::Standing, "ReadNode"),
        Effect::ReadContract { .. } => (Weight::Standing, "ReadContract"),
        Effect::ReadSigner { .. } => (Weight::Standing, "ReadSigner"),
        Effect::ValidateServer { urgency: Urgency::Routine, .. } => (Weight::Standing, "ValidateServer"),
        Effect::ValidateServer { urgency: Urgency::Now, .. } => (Weight::Asks, "ValidateServer"),
        Effect::ReadBlocks { .. } => (Weight::Asks, "ReadBlocks"),
        Effect::ReadOutput { .. } => (Weight::Asks, "ReadOutput"),
        Effect::PollProof { .. } => (Weight::Asks, "PollProof"),
        Effect::QuoteTx { .. } => (Weight::Asks, "QuoteTx"),
        Effect::RequestProof(_) => (Weight::Spends, "RequestProof"),
        Effect::SignTx { .. } => (Weight::Spends, "SignTx"),
        Effect::BroadcastTx { .. } => (Weight::Spends, "BroadcastTx"),
    }
}

fn words(effect: &Effect) -> String {
    match effect {
        Effect::ReadNode { chain } => format!("read the heads of rollup {chain}"),
        Effect::ReadBlocks { chain, range } => format!("read the sizes of blocks {range} of rollup {chain}"),
        Effect::ReadOutput { chain, block } => {
            format!("ask every node for the root of block {block} of rollup {chain}")
        }
        Effect::ReadContract { chain, checkpoints, canonical, .. } => {
            let more = match (checkpoints.len(), canonical.len()) {
                (0, 0) => String::new(),
                (points, 0) => format!(", {points} checkpoints"),
                (0, heads) => format!(", {heads} L1 heads"),
                (points, heads) => format!(", {points} checkpoints, {heads} L1 heads"),
            };
            format!("read the contract of rollup {chain}{more}")
        }
        Effect::ReadSigner { signer, txs, .. } => {
            format!("look at account {} and {} transactions", short(&signer.to_string()), txs.len())
        }
        Effect::ValidateServer { chain, urgency, .. } => {
            let first = if *urgency == Urgency::Now { ", before anything is bought" } else { "" };
            format!("compare prover and contract of rollup {chain}{first}")
        }
        Effect::RequestProof(request) => {
            let until = output::time(request.deadline);
            format!("request {}, attempt {}, until {until}", request.unit, request.attempt)
        }
        Effect::PollProof { unit, attempt, proof_id, pace, .. } => {
            let late = if *pace == Pace::Slow { ", given up, now and then" } else { "" };
            format!("ask for {unit}, attempt {attempt}{late} ({proof_id})")
        }
        Effect::QuoteTx { purpose, body, .. } => format!("simulate {}{}", in_words(purpose), built(body)),
        Effect::SignTx { slot, version, purpose, .. } => {
            format!("sign version {version} of {}, {}", short(&slot.to_string()), in_words(purpose))
        }
        Effect::BroadcastTx { slot, version, .. } => {
            format!("broadcast version {version} of {}", short(&slot.to_string()))
        }
    }
}

fn built(body: &TxBody) -> String {
    match &body.output {
        Some(OutputBody { block, .. }) => format!(" at block {block}"),
        None => String::new(),
    }
}
