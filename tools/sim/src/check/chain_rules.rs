//! Rules about a rollup as a whole: coverage, the contract, heads, and what is true at the end of a batch.
//!
//! They rest on the model's own picture of the contract and of the units, which is built from the events and from the
//! world's truth, never from the projections.

use std::collections::BTreeSet;

use prooflog_events::event::Event;
use prooflog_events::ids::{ChainId, L2Block, Micros, Range, StreamId, UnitKind};
use prooflog_events::input::Input;
use prooflog_events::values::{Control, DegradedReason};
use prooflog_projections::State;

use super::unit_rules::{Broken, halves_cover, rule};
use super::{Batch, Checker, ModelChain, ModelUnit, Recorded, Stage};
use crate::world::World;

/// Events of a batch that is full: what does not fit is done by the next input.
const FULL: usize = 500;
/// Seconds after its last moment within which an attempt must have been ended.
const ENDS_WITHIN_SECS: u64 = 60;
/// Seconds without progress after which somebody must have been told why.
const SILENCE_SECS: u64 = 4 * 3_600;

impl Checker {
    /// Rules about one event of a rollup.
    pub(super) fn chain_event(&self, _batch: &Batch, recorded: &Recorded, world: &World) -> Broken {
        let StreamId::Chain(id) = recorded.stream else { return None };
        match &recorded.event {
            Event::PolicyChanged(e) => {
                let known = self.policies.get(&id).is_some_and(|policies| policies.contains(&e.policy));
                rule("limits", !known, || format!("rollup {id} has limits that nobody configured"))
            }
            Event::FinalizedMoved(e) => {
                let truth = world.rollups.get(&id).map_or(L2Block(0), |rollup| rollup.finalized);
                rule("finalized", e.block > truth, || format!("block {} is not final, {truth} is", e.block))
            }
            Event::ContractAdvanced(e) => {
                let held = world
                    .l1
                    .block(e.at.number.0)
                    .filter(|block| block.at == e.at)
                    .and_then(|block| Some(block.ledger.oracles.get(world.oracles.get(&id)?)?.latest()));
                rule("truth", held.is_some_and(|held| held != Some(e.latest)), || {
                    format!("the contract of {id} held {held:?} at {} and not {:?}", e.at, e.latest)
                })
            }
            _ => None,
        }
    }

    /// Rules about what is true between batches.
    pub(super) fn after_batch(&self, batch: &Batch) -> Vec<(&'static str, String)> {
        let mut broken = Vec::new();
        let mut touched: BTreeSet<ChainId> = BTreeSet::new();
        for recorded in &batch.events {
            let chain = match recorded.stream {
                StreamId::Chain(chain) => chain,
                StreamId::Unit(unit) => unit.chain,
                StreamId::Node | StreamId::Tx(_) | StreamId::Signer(_) => continue,
            };
            touched.insert(chain);
            if let (StreamId::Unit(parent), Event::Split(e)) = (recorded.stream, &recorded.event)
                && let Some(chain) = self.model.chains.get(&parent.chain)
            {
                broken.extend(halves_cover(chain, parent, e.low, e.high));
            }
        }
        for id in touched {
            let Some(chain) = self.model.chains.get(&id) else { continue };
            broken.extend(overlap(id, chain));
            broken.extend(no_unit_is_left_failed(chain));
            broken.extend(unanswered(chain, self.model.started, batch.time));
            if batch.events.len() < FULL {
                broken.extend(gapless(id, chain));
                broken.extend(one_set_of_commitments(chain));
                broken.extend(one_aggregate_per_start(chain));
            }
            broken.extend(silence(id, chain, batch.time));
        }
        broken
    }

    /// Rules about the end of a run.
    pub fn at_end(&mut self, world: &World, now: Micros) {
        for prover in world.provers.values() {
            let mut per_attempt = std::collections::BTreeMap::new();
            for (_, job) in prover.jobs() {
                *per_attempt.entry((job.unit, job.attempt)).or_insert(0_u32) += 1;
            }
            for ((unit, attempt), paid) in per_attempt {
                if paid > 1 {
                    self.violate("paid once", now, format!("{unit} attempt {attempt} was paid {paid} times"));
                }
            }
        }
    }
}

/// Live spans never overlap.
fn overlap(id: ChainId, chain: &ModelChain) -> Broken {
    let spans = chain.live_spans();
    let pair = spans.iter().zip(spans.iter().skip(1)).find(|(low, high)| high.range.start < low.range.end)?;
    rule("coverage", true, || {
        format!("rollup {id}: {} {} and {} {} overlap", pair.0.id, pair.0.range, pair.1.id, pair.1.range)
    })
}

/// From the contract's latest block up, what is planned has no hole that could be filled.
fn gapless(id: ChainId, chain: &ModelChain) -> Broken {
    let (policy, latest) = (chain.policy.as_ref()?, chain.latest?);
    let held = chain.paused.contains(&Control::Planning)
        || chain.degraded.contains(&DegradedReason::NoAnchor)
        || chain.degraded.contains(&DegradedReason::RootMismatch)
        || chain.values.as_ref().is_none_or(|values| values.optimistic)
        || policy.span_gas > 0;
    if held {
        return None;
    }
    let top = L2Block(chain.finalized.0.saturating_sub(policy.plan_behind_finalized));
    let window = L2Block(latest.block.0 + policy.blocks_ahead(chain.interval()));
    let mut at = latest.block;
    for span in chain.live_spans() {
        if span.range.start > at && span.range.start <= top.min(window) {
            let hole = Range { start: at, end: span.range.start };
            return rule("coverage", true, || format!("rollup {id} has the hole {hole} below {}", span.id));
        }
        at = at.max(span.range.end);
    }
    None
}

fn one_set_of_commitments(chain: &ModelChain) -> Broken {
    let now = chain.commitments()?;
    let stale = chain
        .live()
        .find(|unit| unit.commitments != now && !matches!(unit.stage, Stage::Included | Stage::Confirmed))?;
    rule("commitments", true, || {
        format!("{} is alive under commitments that the contract does not accept", stale.id)
    })
}

fn one_aggregate_per_start(chain: &ModelChain) -> Broken {
    let mut starts = BTreeSet::new();
    let twice = chain
        .live()
        .filter(|unit| unit.id.kind == UnitKind::Agg)
        .find(|unit| !starts.insert(unit.range.start))?;
    rule("aggregate", true, || {
        format!("{} is the second live aggregate from {}", twice.id, twice.range.start)
    })
}

fn no_unit_is_left_failed(chain: &ModelChain) -> Broken {
    let left = chain.live().find(|unit| unit.stage == Stage::Failed)?;
    rule("bounded way out", true, || format!("{} failed and nothing was decided about it", left.id))
}

/// What nobody answers ends all the same, a while after its limit. A limit that passed while no process ran counts from
/// the start.
fn unanswered(chain: &ModelChain, started: Micros, now: Micros) -> Broken {
    let over = |unit: &&ModelUnit| {
        let (began, limit) = (unit.limit.0, unit.limit.1.max(started));
        let again = limit.secs_since(began).min(86_400);
        let until = match unit.stage {
            Stage::Witness => limit,
            Stage::Proving => limit.plus_secs(again),
            _ => return false,
        };
        now > until.plus_secs(ENDS_WITHIN_SECS)
    };
    let unit = chain.live().find(over)?;
    rule("ends in time", true, || {
        format!("{} attempt {} is {:?} for ever, and nobody answers", unit.id, unit.attempt, unit.stage)
    })
}

/// A contract that stands for long although blocks are final has a reason on record that names what holds it.
fn silence(id: ChainId, chain: &ModelChain, now: Micros) -> Broken {
    let (policy, latest) = (chain.policy.as_ref()?, chain.latest?);
    let wanted = policy.threshold(chain.interval()) + policy.span_blocks;
    let due = chain.finalized.0 >= latest.block.0 + wanted;
    let silent = due && !is_told(chain) && now.secs_since(chain.moved.max(chain.told)) > SILENCE_SECS;
    rule("alert", silent, || format!("rollup {id} stands at {} for hours and nothing says why", latest.block))
}

/// Whether something on record says why a rollup stands.
pub(super) fn is_told(chain: &ModelChain) -> bool {
    !chain.paused.is_empty()
        || !chain.degraded.is_empty()
        || chain.prover_degraded
        || chain.config_ok != Some(true)
        || chain.stalled
        || chain.low
        || chain.values.as_ref().is_none_or(|values| values.optimistic || !values.approved)
        || chain.live().any(|unit| unit.stage == Stage::Parked || unit.refused)
}

/// A read that is not older than what was seen is taken over, whatever it says.
pub(super) fn contract_followed(before: &State, input: &Input, after: &State) -> Option<String> {
    let Input::ContractRead(read) = input else { return None };
    let (known, chain) = (before.chains.get(&read.chain)?, after.chains.get(&read.chain)?);
    let is_older = read.at.block.number < known.contract.advanced_at.number
        || read.confirmed_at.number < known.contract.confirmed_at;
    if known.oracle() != read.oracle || is_older {
        return None;
    }
    if chain.contract.latest != read.latest {
        return Some(format!(
            "the contract holds {:?}, the engine believes {:?}",
            read.latest, chain.contract.latest
        ));
    }
    (chain.contract.values.as_ref() != Some(&read.values)).then(|| {
        format!(
            "the contract's values are {:?}, the engine believes {:?}",
            read.values, chain.contract.values
        )
    })
}
