//! The runner's list: what is owed, what is under way, what waits before it is tried again.
//!
//! Bookkeeping without IO, so production and simulation share it. It lives in memory only: after a crash it is filled
//! from the state again. A call that brought news is owed again as soon as the state says so; one that brought none,
//! or failed, waits its turn, so that a peer that is down is asked at a bounded rate.

use std::collections::{BTreeMap, BTreeSet};

use prooflog_events::ids::{ChainId, Micros, SignerId, UnitId};
use prooflog_events::input::TimerDue;
use prooflog_projections::State;
use prooflog_projections::state::chain::{Chain, backoff};

use crate::decide::{probe_at, proofs_kept_secs, tip_due};
use crate::effect::{Effect, EffectKey, Pace, Urgency};
use crate::plan::{chain_effects, signer_effects, unit_effects};

/// How often standing questions are asked, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// Heads, contract, accounts: about one L1 block.
    pub reads: u64,
    /// State of a proof under way.
    pub polls: u64,
    /// State of a proof whose attempt ended.
    pub slow_polls: u64,
    /// Comparison of commitments.
    pub validation: u64,
    /// First pause after a failed call.
    pub retry_min: u64,
    /// Longest pause after failed calls.
    pub retry_max: u64,
}

impl Default for Pacing {
    fn default() -> Self {
        Self { reads: 12, polls: 12, slow_polls: 300, validation: 60, retry_min: 1, retry_max: 60 }
    }
}

/// How a call ended, for its pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its answer led to events.
    News,
    /// Its answer led to none.
    NoNews,
    /// It brought no answer.
    Failed,
}

/// Owed effects and calls under way.
#[derive(Debug, Default)]
pub struct Outbox {
    pacing: Pacing,
    owed: BTreeMap<EffectKey, Owed>,
    by_subject: BTreeMap<Subject, Vec<EffectKey>>,
    wakes: BTreeSet<(Micros, EffectKey)>,
    /// Timers up to this moment were handed to `decide`.
    timer_from: Micros,
    /// The next moment that matters to `decide`, by rollup; computed again when the rollup is touched or a timer fired.
    timers: BTreeMap<ChainId, Micros>,
    /// The same, by moment.
    moments: BTreeSet<(Micros, ChainId)>,
    /// Batches handed to the log, and those of them that are durable.
    written: u64,
    durable: u64,
    /// Effects that wait for a batch to become durable.
    blocked: BTreeSet<(u64, EffectKey)>,
}

#[derive(Debug)]
struct Owed {
    effect: Option<Effect>,
    in_flight: bool,
    not_before: Micros,
    failures: u32,
    /// Number of the batch that it follows from: it goes out when that one is durable.
    follows: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Chain(ChainId),
    Unit(UnitId),
    Signer(SignerId),
}

impl Outbox {
    /// An empty list.
    #[must_use]
    pub fn new(pacing: Pacing) -> Self {
        Self { pacing, ..Self::default() }
    }

    /// The state now holds the batch of this number; what is refreshed from here on may follow from it.
    pub const fn written(&mut self, batch: u64) {
        self.written = batch;
    }

    /// The batch of this number and all before it are durable.
    pub fn durable(&mut self, batch: u64) {
        self.durable = self.durable.max(batch);
        while let Some((follows, key)) = self.blocked.first().cloned() {
            if follows > self.durable {
                break;
            }
            self.blocked.pop_first();
            if let Some(owed) = self.owed.get(&key)
                && owed.effect.is_some()
                && !owed.in_flight
            {
                self.wakes.insert((owed.not_before, key));
            }
        }
    }

    /// Fills the list from the state alone: at start.
    pub fn fill(&mut self, state: &mut State, now: Micros) {
        self.timer_from = now;
        state.count_proof_names();
        drop(state.take_touched());
        let chains: Vec<ChainId> = state.chains.keys().copied().collect();
        for chain in chains {
            let units: Vec<UnitId> = state
                .chains
                .get(&chain)
                .map(|chain| chain.units().chain(chain.halved.values()).map(|unit| unit.id).collect())
                .unwrap_or_default();
            units.into_iter().for_each(|unit| self.refresh_unit(state, unit));
            self.refresh_chain(state, chain, now);
        }
        let signers: Vec<SignerId> = state.signers.keys().copied().collect();
        signers
            .into_iter()
            .for_each(|signer| self.replace(Subject::Signer(signer), signer_effects(state, signer)));
    }

    /// Takes over what changed since the last call.
    pub fn refresh(&mut self, state: &mut State, now: Micros) {
        let mut touched = state.take_touched();
        touched.units.sort_unstable();
        touched.units.dedup();
        // Quotes depend on the rollup and the account, whichever of the three changed.
        touched.chains.extend(touched.units.iter().map(|unit| unit.chain));
        if !touched.signers.is_empty() {
            let served = state.chains.values().filter(|chain| {
                chain.signer().is_some_and(|signer| touched.signers.contains(&signer))
                    && (!chain.aggs.is_empty() || chain.is_optimistic())
            });
            touched.chains.extend(served.map(|chain| chain.id));
        }
        touched.chains.sort_unstable();
        touched.chains.dedup();
        touched.signers.extend(touched.chains.iter().filter_map(|chain| state.chains.get(chain)?.signer()));
        touched.signers.sort_unstable();
        touched.signers.dedup();
        touched.units.iter().for_each(|unit| self.refresh_unit(state, *unit));
        touched.chains.iter().for_each(|chain| self.refresh_chain(state, *chain, now));
        touched.signers.iter().for_each(|id| self.replace(Subject::Signer(*id), signer_effects(state, *id)));
    }

    fn refresh_chain(&mut self, state: &State, id: ChainId, now: Micros) {
        self.set_timer(state, id);
        self.replace(Subject::Chain(id), chain_effects(state, id, now));
    }

    fn set_timer(&mut self, state: &State, id: ChainId) {
        let next = state.chains.get(&id).and_then(|chain| next_timer(chain, self.timer_from));
        let before = match next {
            Some(at) => self.timers.insert(id, at),
            None => self.timers.remove(&id),
        };
        if let Some(at) = before {
            self.moments.remove(&(at, id));
        }
        if let Some(at) = next {
            self.moments.insert((at, id));
        }
    }

    fn refresh_unit(&mut self, state: &State, id: UnitId) {
        let effects = state
            .chains
            .get(&id.chain)
            .and_then(|chain| Some(unit_effects(state, chain, chain.awaited(id)?)))
            .unwrap_or_default();
        self.replace(Subject::Unit(id), effects);
    }

    fn replace(&mut self, subject: Subject, effects: Vec<Effect>) {
        let keys: Vec<EffectKey> = effects.iter().map(Effect::key).collect();
        let before = self.by_subject.remove(&subject).unwrap_or_default();
        for key in before.iter().filter(|key| !keys.contains(key)) {
            self.retract(key);
        }
        for (key, effect) in keys.iter().zip(effects) {
            let owed = self.owed.entry(key.clone()).or_insert(Owed {
                effect: None,
                in_flight: false,
                not_before: Micros(0),
                failures: 0,
                follows: 0,
            });
            let is_new = owed.effect.is_none();
            if owed.effect.as_ref() != Some(&effect) {
                owed.follows = self.written;
                // What everything waits for is asked at once, unless the peer is down.
                let is_urgent = matches!(effect, Effect::ValidateServer { urgency: Urgency::Now, .. });
                if is_urgent && !is_new && !owed.in_flight && owed.failures == 0 {
                    self.wakes.remove(&(owed.not_before, key.clone()));
                    owed.not_before = Micros(0);
                    self.wakes.insert((owed.not_before, key.clone()));
                }
            }
            owed.effect = Some(effect);
            if is_new && !owed.in_flight {
                self.wakes.insert((owed.not_before, key.clone()));
            }
        }
        if !keys.is_empty() {
            self.by_subject.insert(subject, keys);
        }
    }

    /// No longer owed; a call under way is remembered until it ends, so that it is not made twice.
    fn retract(&mut self, key: &EffectKey) {
        let Some(owed) = self.owed.get_mut(key) else {
            return;
        };
        self.wakes.remove(&(owed.not_before, key.clone()));
        if owed.in_flight {
            owed.effect = None;
        } else {
            self.owed.remove(key);
        }
    }

    /// Effects to run now; they count as under way from here on.
    pub fn ready(&mut self, now: Micros) -> Vec<Effect> {
        let mut ready = Vec::new();
        while let Some((at, key)) = self.wakes.first().cloned() {
            if at > now {
                break;
            }
            self.wakes.pop_first();
            if let Some(owed) = self.owed.get_mut(&key)
                && let Some(effect) = &owed.effect
            {
                if owed.follows > self.durable {
                    self.blocked.insert((owed.follows, key));
                    continue;
                }
                owed.in_flight = true;
                ready.push(effect.clone());
            }
        }
        ready
    }

    /// A call ended.
    pub fn done(&mut self, key: &EffectKey, now: Micros, outcome: Outcome) {
        let Some(owed) = self.owed.get_mut(key) else {
            return;
        };
        owed.in_flight = false;
        owed.failures = if outcome == Outcome::Failed { owed.failures.saturating_add(1) } else { 0 };
        let Some(effect) = &owed.effect else {
            self.owed.remove(key);
            return;
        };
        let pause = match outcome {
            // What is asked for now and then is not asked for more often because nobody knows it.
            Outcome::Failed if matches!(effect, Effect::PollProof { pace: Pace::Slow, .. }) => {
                interval(&self.pacing, effect)
            }
            Outcome::Failed => {
                backoff(self.pacing.retry_min, self.pacing.retry_max, owed.failures.saturating_sub(1))
            }
            Outcome::News | Outcome::NoNews => interval(&self.pacing, effect),
        };
        owed.not_before = now.plus_secs(pause);
        self.wakes.insert((owed.not_before, key.clone()));
    }

    /// When the runner must look again, if nothing happens before: an owed effect, or a moment that matters to `decide`
    /// (see [`Outbox::timer_due`]).
    #[must_use]
    pub fn next_wake(&self) -> Option<Micros> {
        let owed = self.wakes.first().map(|(at, _)| *at);
        let timer = self.moments.first().map(|(at, _)| *at);
        owed.into_iter().chain(timer).min()
    }

    /// What the runner must feed, once, because moments have come that matter to `decide`.
    pub fn timer_due(&mut self, state: &State, now: Micros) -> Option<TimerDue> {
        let mut chains: Vec<ChainId> =
            self.moments.iter().take_while(|(at, _)| *at <= now).map(|(_, chain)| *chain).collect();
        if chains.is_empty() {
            return None;
        }
        chains.sort_unstable();
        // The others' moments lie after this one, whichever moment they were looked for from.
        self.timer_from = now;
        chains.iter().for_each(|chain| self.set_timer(state, *chain));
        Some(TimerDue { chains })
    }

    /// Effects owed now, under way or not.
    pub fn owed(&self) -> impl Iterator<Item = &Effect> + '_ {
        self.owed.values().filter_map(|owed| owed.effect.as_ref())
    }
}

/// The next moment after `now` at which something of a rollup is due for `decide`.
fn next_timer(chain: &Chain, now: Micros) -> Option<Micros> {
    let policy = chain.policy.as_ref();
    let unit =
        chain.index.due.range((Micros(now.0.saturating_add(1)), FIRST_UNIT)..).next().map(|(at, _)| *at);
    let calls = chain.open_calls.values().copied().filter(|until| *until > now).min();
    let stall = chain
        .finalized
        .filter(|head| !head.stalled)
        .and_then(|head| Some(head.since.plus_secs(policy?.stall_after_secs)));
    // What came due before and is still there is held back, and waits for no moment.
    let prune = proofs_kept_secs(chain).and_then(|kept_secs| {
        let past = Micros(now.0.saturating_sub(kept_secs.saturating_mul(1_000_000)));
        let (since, _) =
            chain.index.retired.range((Micros(past.0.saturating_add(1)), FIRST_UNIT)..).next()?;
        Some(since.plus_secs(kept_secs))
    });
    let timers = [unit, calls, stall, prune, probe_at(chain), tip_due(chain, now)];
    timers.into_iter().flatten().filter(|at| *at > now).min()
}

const FIRST_UNIT: UnitId = UnitId { chain: ChainId(0), kind: prooflog_events::ids::UnitKind::Agg, number: 0 };

fn interval(pacing: &Pacing, effect: &Effect) -> u64 {
    match effect {
        Effect::PollProof { pace: Pace::Normal, .. } => pacing.polls,
        Effect::PollProof { pace: Pace::Slow, .. } => pacing.slow_polls,
        Effect::ValidateServer { urgency: Urgency::Routine, .. } => pacing.validation,
        _ => pacing.reads,
    }
}
