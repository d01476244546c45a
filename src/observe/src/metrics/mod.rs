//! Metrics: a handle that the runtime feeds, and the text that Prometheus reads.
//!
//! Counts come from events, gauges from the state at the moment of the scrape, a few numbers from what was read
//! outside. Feeding takes a short lock; a scrape holds it only to copy what was fed.

mod counts;
mod gauges;
mod legacy;
mod own;
mod process;
mod seen;
mod sheet;
mod slots;
pub mod table;
mod words;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prooflog_events::ids::{ChainId, Micros, Position, SignerId};
use prooflog_events::input::Input;
use prooflog_projections::{Fact, State};

pub use seen::Observation;
pub use words::{CallFailure, EffectKind, Peer};

use crate::health::{ChainStatus, Health, LogStatus, Verdict};
use counts::Counts;
use gauges::Scene;
use seen::Seen;
use sheet::{Chains, Histograms, Key, Sheet};

/// What an effect is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A rollup, or a unit of it.
    Chain(ChainId),
    /// An account that sends.
    Signer(SignerId),
}

/// The metrics of a process. Clones are the same metrics.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    chains: Chains,
    health: Health,
    histograms: Histograms,
    fed: Mutex<Fed>,
}

#[derive(Debug, Clone)]
struct Fed {
    counts: Counts,
    seen: Seen,
    head: Option<Position>,
}

impl Metrics {
    /// Metrics of a process that serves `chains`; with one, samples carry no label `chain`.
    #[must_use]
    pub fn new(chains: &[ChainId], health: Health) -> Self {
        let chains = Chains::new(chains);
        let mut counts = Counts::new(&chains);
        counts.sheet.set(Key::new(&own::INFO, None, &[env!("CARGO_PKG_VERSION")]), 1.0);
        let fed = Fed { counts, seen: Seen::default(), head: None };
        Self(Arc::new(Inner { histograms: Histograms::new(&chains), chains, health, fed: Mutex::new(fed) }))
    }

    /// Takes from the state at the start what no later event repeats: open transactions, the last submission.
    pub fn recover(&self, state: &State) {
        self.fed().counts.recover(state);
    }

    /// Takes one event in, when it is durable.
    pub fn event(&self, fact: &Fact<'_>) {
        let mut fed = self.fed();
        fed.head = fed.head.max(Some(fact.position));
        fed.counts.apply(fact, &self.0.histograms);
    }

    /// Takes from an input what was read outside; call it for every input, whether it leads to events or not.
    pub fn input(&self, input: &Input, now: Micros) {
        self.fed().seen.input(input, now);
    }

    /// Something that neither an event nor an input tells, or that is not known any more.
    pub fn observed(&self, observation: Observation, now: Micros) {
        self.fed().seen.observe(observation, now);
    }

    /// An input was decided in this time.
    pub fn decided(&self, took: Duration) {
        self.0.histograms.observe(&Key::new(&own::DECISION, None, &[]), took.as_secs_f64());
    }

    /// A batch is durable this long after it was handed over; `head` is the log's newest position.
    pub fn appended(&self, took: Duration, head: Position) {
        self.0.histograms.observe(&Key::new(&own::APPEND, None, &[]), took.as_secs_f64());
        let mut fed = self.fed();
        fed.head = fed.head.max(Some(head));
    }

    /// An effect begins. The value that comes back counts it as under way until it is dropped.
    #[must_use]
    pub fn effect(&self, kind: EffectKind, about: About) -> InFlight {
        self.fed().counts.sheet.add(in_flight(kind), 1.0);
        InFlight { metrics: self.clone(), kind, about, since: Instant::now() }
    }

    /// So many requests were sent to an outside system.
    pub fn called(&self, peer: Peer, requests: u64) {
        self.fed().counts.sheet.add(Key::new(&own::CALLS_MADE, None, &[words::peer(peer)]), requests as f64);
    }

    /// A call of this method is sent to an outside system.
    pub fn sent(&self, method: &str) {
        let method = words::one_of(words::CALLED, method);
        self.fed().counts.sheet.add(Key::new(&legacy::RPC_SENT, None, &[method]), 1.0);
    }

    /// A call of this method is over.
    pub fn answered(&self, method: &str, took: Duration, failure: Option<CallFailure>) {
        let method = words::one_of(words::CALLED, method);
        self.0.histograms.observe(&Key::new(&legacy::RPC_SECONDS, None, &[method]), took.as_secs_f64());
        let end = failure.map_or(words::ANSWERED, words::call_failure);
        self.fed().counts.sheet.add(Key::new(&legacy::RPC_ANSWERED, None, &[method, end]), 1.0);
    }

    /// A request for this was answered.
    pub fn served(&self, method: &str, took: Duration) {
        let method = words::one_of(words::SERVED, method);
        self.0
            .histograms
            .observe(&Key::new(&legacy::RPC_SERVED_SECONDS, None, &[method]), took.as_secs_f64());
        self.fed().counts.sheet.add(Key::new(&legacy::RPC_SERVED, None, &[method]), 1.0);
    }

    /// So many lines of the diagnostic log were lost since the last call.
    pub fn lines_lost(&self, lines: u64) {
        self.fed().counts.sheet.add(Key::new(&own::LINES_LOST, None, &[]), lines as f64);
    }

    /// The exposition at `now`. Without a state everything that rests on it is unknown.
    #[must_use]
    pub fn scrape(&self, state: Option<&State>, now: Micros) -> String {
        let (chains, fed) = (&self.0.chains, self.fed().clone());
        let mut sheet = fed.counts.sheet;
        let scene = Scene { now, seen: &fed.seen, slots: &fed.counts.slots };
        self.fill_process(&mut sheet, fed.head, &scene);
        for chain in chains.iter() {
            let last = fed.counts.last.get(&chain).copied().unwrap_or_default();
            gauges::fill_seen(&mut sheet, chain, last, &scene);
            let signer = state.and_then(|state| state.chains.get(&chain)?.signer());
            if let Some(balance) = signer.and_then(|signer| scene.seen.balance(signer, now)) {
                let wei = balance.0 as f64;
                sheet.set(Key::new(&own::BALANCE, Some(chain), &[]), gauges::ether(wei));
                let left = gauges::submissions_left(wei, last);
                sheet.set_known(Key::new(&own::SUBMISSIONS_LEFT, Some(chain), &[]), left);
            }
        }
        if let Some(state) = state {
            sheet.set(Key::new(&own::STATE_READ, None, &[]), 1.0);
            gauges::fill(&mut sheet, chains, state, &scene);
        }
        sheet::expose(chains, &sheet, &self.0.histograms)
    }

    fn fill_process(&self, sheet: &mut Sheet, head: Option<Position>, scene: &Scene<'_>) {
        let flag = |on: bool| if on { 1.0 } else { 0.0 };
        let health = &self.0.health;
        sheet.set(Key::new(&own::UP, None, &[]), flag(health.has_started()));
        let stuck = matches!(health.verdict(Instant::now()), Verdict::Stuck { .. });
        sheet.set(Key::new(&own::LOOP_STUCK, None, &[]), flag(stuck));
        let writable = match health.log_status() {
            LogStatus::Unknown => None,
            LogStatus::Writable => Some(1.0),
            LogStatus::Failed { .. } => Some(0.0),
        };
        sheet.set_known(Key::new(&own::LOG_WRITABLE, None, &[]), writable);
        process::fill(sheet);
        sheet.set_known(Key::new(&own::LOG_HEAD, None, &[]), head.map(|head| head.0 as f64));
        let disk = scene.seen.disk(scene.now);
        sheet.set_known(Key::new(&own::DISK_FREE, None, &[]), disk.map(|(free, _)| free as f64));
        sheet.set_known(Key::new(&own::DISK_MINIMUM, None, &[]), disk.map(|(_, minimum)| minimum as f64));
        for chain in self.0.chains.iter() {
            let status = match health.chain_status(chain) {
                Some(ChainStatus::Running) => "running",
                Some(ChainStatus::Stopped { .. }) => "stopped",
                Some(ChainStatus::Starting { .. }) | None => "starting",
            };
            sheet.set(Key::new(&own::CHAIN_STATUS, Some(chain), &[status]), 1.0);
        }
    }

    fn fed(&self) -> MutexGuard<'_, Fed> {
        // Nothing panics under the lock; if it did, numbers of an observer are still better than none.
        self.0.fed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, kind: EffectKind, about: About, failure: CallFailure) {
        let name = words::effect(kind);
        let mut fed = self.fed();
        let class = words::call_failure(failure);
        fed.counts.sheet.add(Key::new(&own::EFFECT_FAILURES, None, &[name, class]), 1.0);
        let chain = match about {
            About::Chain(chain) => Some(chain),
            About::Signer(_) => None,
        };
        fed.counts.count(&legacy::ERROR_COUNT, chain, &[name]);
        fed.counts.count(&legacy::TOTAL_ERRORS, chain, &[]);
        if failure == CallFailure::Timeout {
            fed.counts.count(&legacy::NETWORK_TIMEOUTS, chain, &[]);
        }
        use EffectKind as K;
        if matches!(kind, K::ReadSigner | K::QuoteTx | K::SignTx | K::BroadcastTx) {
            fed.counts.count(&legacy::TX_RPC_ERRORS, chain, &[]);
        }
        // What could not be read is not known any more.
        let unknown = match (kind, about) {
            (K::ReadNode, About::Chain(chain)) => Observation::Finalized { chain, head: None },
            (K::ReadContract, About::Chain(chain)) => Observation::Contract { chain, l1: None },
            (K::ReadSigner, About::Signer(signer)) => Observation::Balance { signer, balance: None },
            _ => return,
        };
        fed.seen.observe(unknown, Micros(0));
    }
}

fn in_flight(kind: EffectKind) -> Key {
    Key::new(&own::EFFECTS_IN_FLIGHT, None, &[words::effect(kind)])
}

/// An effect under way.
#[derive(Debug)]
pub struct InFlight {
    metrics: Metrics,
    kind: EffectKind,
    about: About,
    since: Instant,
}

impl InFlight {
    /// It ended without an answer that can be used. What it would have read is not known any more.
    pub fn failed(self, failure: CallFailure) {
        self.metrics.failed(self.kind, self.about, failure);
    }

    /// It ended with an answer; the same as dropping it.
    pub fn done(self) {}
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let name = words::effect(self.kind);
        let took = self.since.elapsed().as_secs_f64();
        self.metrics.0.histograms.observe(&Key::new(&own::EFFECT_SECONDS, None, &[name]), took);
        self.metrics.fed().counts.sheet.add(in_flight(self.kind), -1.0);
    }
}
