//! What the state says at the moment of a scrape.
//!
//! Without a state, and where it rests on a reading that is too old, a value stays unknown. Walks all live units once.

use prooflog_events::ids::{ChainId, Micros, UnitKind};
use prooflog_events::values::{Control, DegradedReason, Mode};
use prooflog_projections::State;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::phase::Phase;
use prooflog_projections::state::slot::Slot;

use super::counts::{Last, secs};
use super::seen::Seen;
use super::sheet::{Chains, Key, Sheet};
use super::slots::{Slots, chain_of};
use super::table::Def;
use super::{legacy, own, words};

const WEI_PER_ETHER: f64 = 1e18;

/// What a scrape looks at.
pub(crate) struct Scene<'a> {
    pub(crate) now: Micros,
    pub(crate) seen: &'a Seen,
    pub(crate) slots: &'a Slots,
}

/// Writes what `state` says of every rollup that is served.
pub(crate) fn fill(sheet: &mut Sheet, chains: &Chains, state: &State, scene: &Scene<'_>) {
    for id in chains.iter() {
        let Some(chain) = state.chains.get(&id) else { continue };
        let mut page = Page { sheet, id };
        page.holds(chain);
        page.units(chain, scene.now);
        page.heads(chain, scene);
        page.account(chain, state, scene);
    }
}

/// Writes what is known without the state: readings, and what last happened.
pub(crate) fn fill_seen(sheet: &mut Sheet, id: ChainId, last: Last, scene: &Scene<'_>) {
    let mut page = Page { sheet, id };
    let l1 = scene.seen.l1(id, scene.now);
    page.known(&legacy::BASEFEE, &[], l1.map(|head| head.base_fee.0 as f64));
    page.known(&legacy::TIPCAP, &[], l1.map(|head| head.tip.0 as f64));
    page.known(&legacy::UNSAFE_HEAD, &[], scene.seen.unsafe_head(id, scene.now).map(|block| block.0 as f64));
    page.known(&legacy::FINALIZED, &[], scene.seen.finalized(id, scene.now).map(|block| block.0 as f64));
    let opens = scene.seen.fallback(id, scene.now).map(|at| secs(at) - secs(scene.now));
    page.known(&own::FALLBACK, &[], opens);
    page.known(&own::LAST_CONFIRMED, &[], last.confirmed.map(secs));
    if let Some((block, at)) = last.proposed {
        let stamp = scene.seen.time_of(id, block);
        page.known(&legacy::REFS_NUMBER, &["l2", "proposed"], Some(block.0 as f64));
        page.known(&legacy::REFS_TIME, &["l2", "proposed"], stamp);
        page.known(&legacy::REFS_LATENCY, &["l2", "proposed"], stamp.map(|stamp| secs(at) - stamp));
    }
}

/// Balance over what a checkpoint and a submission cost last.
pub(crate) fn submissions_left(balance_wei: f64, last: Last) -> Option<f64> {
    let cost = last.checkpoint_fee? + last.submission_fee?;
    (cost > 0.0).then(|| (balance_wei / cost).floor())
}

struct Page<'a> {
    sheet: &'a mut Sheet,
    id: ChainId,
}

impl Page<'_> {
    fn known(&mut self, def: &'static Def, labels: &[&'static str], value: Option<f64>) {
        self.sheet.set_known(Key::new(def, Some(self.id), labels), value);
    }

    fn flag(&mut self, def: &'static Def, labels: &[&'static str], on: Option<bool>) {
        self.known(def, labels, on.map(|on| if on { 1.0 } else { 0.0 }));
    }

    fn holds(&mut self, chain: &Chain) {
        use DegradedReason as R;
        for reason in [R::RootMismatch, R::NoAnchor, R::ContractAhead, R::Disk, R::Clock] {
            let on = chain.hold.degraded.contains_key(&reason);
            self.flag(&own::DEGRADED, &[words::degraded(reason)], Some(on));
        }
        for control in [Control::Planning, Control::Proving, Control::Submitting] {
            self.flag(&own::PAUSED, &[words::control(control)], Some(chain.is_paused(control)));
        }
        self.flag(&own::PROVER_DEGRADED, &[], Some(chain.prover.degraded.is_some()));
        self.flag(&own::CONFIG_ACCEPTED, &[], chain.hold.config_ok);
        self.flag(&own::OPTIMISTIC, &[], chain.contract.values.as_ref().map(|values| values.optimistic));
        self.flag(&own::FINALIZED_STALLED, &[], chain.finalized.map(|head| head.stalled));
    }

    fn units(&mut self, chain: &Chain, now: Micros) {
        let mut unrequested = 0_u64;
        let (mut proving, mut witness, mut executing) = (0_u64, 0_u64, 0_u64);
        for kind in [UnitKind::Span, UnitKind::Agg] {
            let units = match kind {
                UnitKind::Span => &chain.spans,
                UnitKind::Agg => &chain.aggs,
            };
            let mut phases: Vec<(&'static str, u64)> =
                words::PHASES.iter().map(|phase| (*phase, 0)).collect();
            let mut oldest = now;
            for unit in units.values() {
                let name = unit.phase.name();
                if let Some((_, count)) = phases.iter_mut().find(|(phase, _)| *phase == name) {
                    *count += 1;
                }
                match unit.phase {
                    Phase::Queued | Phase::Checkpointing | Phase::Ready => unrequested += 1,
                    Phase::Requested | Phase::Assigned => proving += 1,
                    Phase::WitnessGen if unit.commitments().mode == Mode::Mock => executing += 1,
                    Phase::WitnessGen => witness += 1,
                    _ => {}
                }
                if unit.phase.is_in_flight() {
                    oldest = oldest.min(unit.started);
                }
            }
            let kind = words::unit_kind(kind);
            for (phase, count) in phases {
                self.known(&own::UNITS, &[kind, phase], Some(count as f64));
                if phase == Phase::Parked.name() {
                    self.known(&own::PARKED, &[kind], Some(count as f64));
                }
            }
            self.known(&own::OLDEST_REQUEST, &[kind], Some(secs(now) - secs(oldest)));
        }
        self.known(&legacy::UNREQUESTED, &[], Some(unrequested as f64));
        self.known(&legacy::PROVING, &[], Some(proving as f64));
        self.known(&legacy::WITNESS_GEN, &[], Some((witness + executing) as f64));
        self.known(&legacy::WITNESS_REAL, &[], Some(witness as f64));
        self.known(&legacy::EXECUTING, &[], Some(executing as f64));
    }

    fn heads(&mut self, chain: &Chain, scene: &Scene<'_>) {
        // The state remembers the contract and the head for ever; they are said only while somebody can still read them.
        let Some(latest) = chain.contract.latest.filter(|_| scene.seen.l1(self.id, scene.now).is_some())
        else {
            return;
        };
        let settled = latest.block;
        self.known(&legacy::CONTRACT, &[], Some(settled.0 as f64));
        self.known(&legacy::PROVEN, &[], chain.proven_to().map(|block| block.0 as f64));
        let threshold = chain.policy.as_ref().map(|policy| policy.threshold(chain.interval()));
        let next = threshold.map(|blocks| settled.0.saturating_add(blocks) as f64);
        self.known(&legacy::MIN_TO_PROVE, &[], next);
        let Some(finalized) = scene.seen.finalized(self.id, scene.now) else { return };
        self.known(&own::LAG_BLOCKS, &[], Some(finalized.0 as f64 - settled.0 as f64));
        let id = self.id;
        let time_of = |block| scene.seen.time_of(id, block);
        let lag = time_of(finalized).zip(time_of(settled)).map(|(head, contract)| head - contract);
        self.known(&own::LAG_SECONDS, &[], lag);
        let age = if finalized > settled {
            let oldest = prooflog_events::ids::L2Block(settled.0.saturating_add(1));
            time_of(oldest).map(|stamp| (secs(scene.now) - stamp).max(0.0))
        } else {
            Some(0.0)
        };
        self.known(&own::UNSETTLED_AGE, &[], age);
    }

    fn account(&mut self, chain: &Chain, state: &State, scene: &Scene<'_>) {
        let minimum = chain.policy.as_ref().map(|policy| ether(policy.min_balance.0 as f64));
        self.known(&own::BALANCE_MINIMUM, &[], minimum);
        let Some(signer) = chain.signer().and_then(|id| state.signers.get(&id)) else { return };
        let ours = |slot: &&Slot| {
            let chain =
                scene.slots.get(slot.id).and_then(|seen| seen.chain).or_else(|| chain_of(&slot.purpose));
            chain.is_none_or(|chain| chain == self.id)
        };
        let open: Vec<&Slot> = signer.slots.values().filter(ours).collect();
        let waiting = open.iter().filter(|slot| !slot.phase.is_mined());
        let oldest = waiting.map(|slot| begun(chain, slot, scene.slots)).min();
        let pending = open.len();
        self.known(&legacy::PENDING_TXS, &[], Some(pending as f64));
        let age = oldest.map_or(0.0, |since| (secs(scene.now) - secs(since)).max(0.0));
        self.known(&own::OLDEST_TX, &[], Some(age));
        let after_open = signer.slots.get_max().map(|(nonce, _)| nonce.0.saturating_add(1));
        let nonce = after_open.or_else(|| signer.next.map(|nonce| nonce.0));
        self.known(&legacy::NONCE, &[], nonce.map(|nonce| nonce as f64));
    }
}

/// When a slot's purpose began: a slot remembers only its newest version, but its aggregate says since when it waits.
fn begun(chain: &Chain, slot: &Slot, slots: &Slots) -> Micros {
    use prooflog_events::values::Purpose;
    let agg = match slot.purpose {
        Purpose::Checkpoint { agg, .. } | Purpose::Submission { agg } => chain.unit(agg),
        Purpose::Optimistic { .. } | Purpose::Release => None,
    };
    let waits = agg.filter(|unit| matches!(unit.phase, Phase::Checkpointing | Phase::Submitting));
    let reserved = slots.get(slot.id).and_then(|seen| seen.since);
    [waits.map(|unit| unit.since), reserved].into_iter().flatten().fold(slot.since, Micros::min)
}

/// Ether of a balance in wei.
pub(crate) fn ether(wei: f64) -> f64 {
    wei / WEI_PER_ETHER
}
