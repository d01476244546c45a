//! One run: the ring on virtual time.
//!
//! A queue of moments drives everything: L1 blocks, incidents, answers, the process's own wakes. The process is fed
//! one input at a time, its batches go through the real log writer, and it hears of them a little later; until then
//! nothing that follows from them leaves. A crash drops the process and its calls, keeps the medium and the world, and
//! a new process begins with what the log holds.

mod incidents;
mod medium;
mod quiet;
mod start;

pub use medium::{Medium, Memory};

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use prooflog_core::{Effect, EffectKey, Outcome, Patience};
use prooflog_engine::Origin;
use prooflog_events::envelope::blob_hash;
use prooflog_events::ids::{ChainId, Hash32, L2Block, Micros, Position};
use prooflog_events::input::{ChainConfigured, Input, TimerDue};
use prooflog_events::port::{Blob, SequenceRead};
use prooflog_log::Fault;

use crate::adapter::Adapter;
use crate::check::{Checker, Violation};
use crate::process::{Fed, FeedError, Process};
use crate::rng::Rng;
use crate::sabotage::Sabotage;
use crate::scenario::{Incident, Scenario};
use crate::world::{Answer, Reply, World};

/// Microseconds that a clock is behind when it is: more than is let pass, and less than the minute that calls get beyond
/// the server's own limit, which a clock that is set right takes from them.
const CLOCK_BACK: u64 = 30_000_000;

/// Feeds and wakes at one moment of virtual time after which the ring counts as spinning.
const SPIN_LIMIT: u32 = 20_000;

/// Something that happens at a moment.
#[derive(Debug)]
enum What {
    /// An L1 block comes.
    Block,
    /// A fault or an act begins.
    Incident(Incident),
    /// The process hears that a batch is durable.
    Heard { epoch: u64, batch: u64, last: Position },
    /// A call is answered.
    Answer { epoch: u64, key: EffectKey, answer: Answer },
    /// A witness is done.
    Witness { epoch: u64, key: EffectKey, chain: ChainId, witness: u64, breaks: bool },
    /// The process looks again.
    Wake { epoch: u64 },
    /// The process starts.
    Start,
    /// The faults stop.
    Quiet,
    /// An operator puts right what needs one.
    Heal,
    /// The rollups' heads stand still: nothing may happen any more.
    Idle,
}

/// Figures of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Batches appended.
    pub batches: u64,
    /// Inputs fed.
    pub inputs: u64,
    /// Calls made.
    pub calls: u64,
    /// Processes that died.
    pub crashes: u64,
    /// Appends tried.
    pub appends: u64,
    /// Virtual seconds.
    pub seconds: u64,
}

/// How a run ended.
#[derive(Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Figures.
    pub figures: Figures,
    /// Rules broken, the first ones only.
    pub violations: Vec<Violation>,
    /// The last lines of the trace, if one was kept.
    pub trace: Vec<String>,
    /// Digest of the final state.
    pub digest: Hash32,
    /// Proofs that were paid for.
    pub paid: u64,
    /// Where each contract ended.
    pub latest: BTreeMap<ChainId, L2Block>,
}

/// What to keep of a run beside its result.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Lines of trace to keep.
    pub trace: usize,
    /// The bug that the process has.
    pub sabotage: Sabotage,
}

/// Sees each batch that became durable, for showing.
pub type Watch<'w> = &'w mut dyn FnMut(&crate::check::Batch, &World);

/// A run.
pub struct Sim<'w, M: Medium> {
    plan: Scenario,
    options: Options,
    medium: M,
    /// The medium's content while no process runs.
    resting: Option<M::Seq>,
    process: Option<Process<M::Seq>>,
    /// The world outside.
    pub world: World,
    adapter: Adapter,
    /// The rules.
    pub checker: Checker,
    configured: BTreeMap<ChainId, ChainConfigured>,
    queue: BTreeMap<(Micros, u64), What>,
    sequence: u64,
    now: Micros,
    epoch: u64,
    wake_at: Option<Micros>,
    unheard: VecDeque<u64>,
    snapshot: Option<(Position, Vec<u8>)>,
    spins: u32,
    disk_low: bool,
    clock_back_until: Micros,
    targets: BTreeMap<ChainId, L2Block>,
    deadline: Option<Micros>,
    done: bool,
    /// Hours of standing still, and the batches before the last of them.
    idle_from: Option<(u64, u64)>,
    figures: Figures,
    trace: VecDeque<String>,
    watch: Option<Watch<'w>>,
    rng: Rng,
}

impl<M: Medium> Sim<'_, M> {
    /// Runs to the end.
    pub fn run(mut self) -> Report {
        while !self.done && self.checker.violations.is_empty() {
            let Some(((at, _), what)) = self.queue.pop_first() else { break };
            if at > self.now {
                self.spins = 0;
            }
            self.now = at;
            self.world.now = at;
            self.handle(what);
            self.pump();
            self.spins += 1;
            if self.spins > SPIN_LIMIT {
                self.violate("busy loop", format!("{SPIN_LIMIT} steps at one moment"));
            }
            self.collect_complaints();
        }
        self.report()
    }

    fn report(mut self) -> Report {
        self.figures.seconds = self.now.secs_since(crate::scenario::START);
        if self.checker.violations.is_empty() {
            self.final_checks();
        }
        let digest = self.process.as_ref().map_or(Hash32::ZERO, |process| process.state().digest());
        let latest = self
            .world
            .oracles
            .keys()
            .filter_map(|chain| Some((*chain, self.world.oracle(*chain)?.latest()?.block)));
        Report {
            seed: self.plan.seed,
            figures: self.figures,
            latest: latest.collect(),
            paid: self.world.provers.values().map(|prover| prover.jobs().count() as u64).sum(),
            violations: self.checker.violations,
            trace: self.trace.into(),
            digest,
        }
    }

    fn at(&mut self, at: Micros, what: What) {
        self.sequence += 1;
        self.queue.insert((at.max(self.now), self.sequence), what);
    }

    fn violate(&mut self, rule: &'static str, text: String) {
        self.checker.violate(rule, self.now, text);
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if self.options.trace > 0 {
            if self.trace.len() >= self.options.trace {
                self.trace.pop_front();
            }
            let seconds = self.now.0.saturating_sub(crate::scenario::START.0) as f64 / 1e6;
            let line = line();
            self.trace.push_back(format!("{seconds:>10.3} {line}"));
        }
    }

    fn handle(&mut self, what: What) {
        match what {
            What::Block => {
                self.world.tick(self.now);
                self.at(self.now.plus_secs(crate::world::BLOCK_SECS), What::Block);
                self.after_block();
            }
            What::Incident(incident) => self.incident(incident),
            What::Heard { epoch, batch, last } if epoch == self.epoch => self.hear(batch, last),
            What::Answer { epoch, key, answer } if epoch == self.epoch => self.answered(&key, answer),
            What::Witness { epoch, key, chain, witness, breaks } => {
                let answer = self.world.finish_witness(chain, witness, breaks);
                if epoch == self.epoch
                    && let Some(answer) = answer
                {
                    self.answered(&key, answer);
                }
            }
            What::Wake { epoch } if epoch == self.epoch => self.wake_at = None,
            What::Start => self.start(),
            What::Quiet => self.quiet(),
            What::Heal => self.heal(),
            What::Idle => self.idle(),
            What::Heard { .. } | What::Answer { .. } | What::Wake { .. } => {}
        }
    }

    /// Feeds what is due, lets effects out, and plans the next look.
    fn pump(&mut self) {
        let now = self.now;
        while let Some(process) = &mut self.process {
            if !self.checker.violations.is_empty() || self.spins > SPIN_LIMIT {
                return;
            }
            if let Some(timer) = process.timer_due(now) {
                self.feed(&timer.into(), Origin::default());
                continue;
            }
            let effects = process.effects(now);
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                self.perform(&effect);
            }
        }
        let Some(next) = self.process.as_ref().and_then(Process::next_wake) else { return };
        let next = next.max(now);
        if self.wake_at.is_none_or(|at| next < at) {
            self.wake_at = Some(next);
            self.at(next, What::Wake { epoch: self.epoch });
        }
    }

    fn perform(&mut self, effect: &Effect) {
        self.figures.calls += 1;
        self.checker.effect(effect, self.now);
        let Some(process) = &self.process else { return };
        let log = process.log();
        let read = |name: Hash32| {
            let mut bytes = Vec::new();
            let found = log.sequence().read_blob(name, &mut |piece| bytes.extend_from_slice(piece));
            // The empty byte string needs no place.
            (found == Ok(true) || name == blob_hash(&[])).then_some(bytes)
        };
        let patience = self.patience(effect);
        let reply = self.adapter.perform(&mut self.world, effect, &read, patience);
        let (epoch, key) = (self.epoch, effect.key());
        if !matches!(
            key,
            EffectKey::ReadNode(_)
                | EffectKey::ReadContract(_)
                | EffectKey::ReadSigner(_)
                | EffectKey::ValidateServer(_)
        ) {
            self.note(|| format!("call {key:?}"));
        }
        match reply {
            Reply::At(at, answer) => self.at(at, What::Answer { epoch, key, answer }),
            Reply::Witness { at, chain, witness, breaks } => {
                self.at(at, What::Witness { epoch, key, chain, witness, breaks });
            }
        }
    }

    /// When the id that an effect asks for counts as lost; never where nobody is configured.
    fn patience(&self, effect: &Effect) -> Patience {
        let chain = match effect {
            Effect::PollProof { unit, .. } => self.configured.get(&unit.chain),
            _ => None,
        };
        let never = Patience { lost_after: u32::MAX, grace: Duration::MAX };
        chain.map_or(never, |chain| Patience::from(&chain.policy))
    }

    fn answered(&mut self, key: &EffectKey, answer: Answer) {
        if self.process.is_none() {
            return;
        }
        let outcome = match answer {
            Answer::Failed => Outcome::Failed,
            Answer::Input(input, blobs) => {
                let blobs = blobs.into_iter().map(|bytes| Blob { hash: blob_hash(&bytes), bytes }).collect();
                self.checker.input(&input, &self.world);
                let before = self.process.as_ref().map(|process| process.state().clone());
                let news = self.feed(&input, Origin { blobs, ..Origin::default() });
                if let (Some(before), Some(process)) = (before, &self.process) {
                    self.checker.after_input(&before, &input, process.state(), self.now);
                }
                if news { Outcome::News } else { Outcome::NoNews }
            }
        };
        if let Some(process) = &mut self.process {
            process.done(key, self.now, outcome);
        }
    }

    /// What the process's clock says.
    fn told(&self) -> Micros {
        let behind = if self.now < self.clock_back_until { CLOCK_BACK } else { 0 };
        Micros(self.now.0.saturating_sub(behind))
    }

    /// Feeds one input and what is left to do after it. Whether there were events.
    fn feed(&mut self, input: &Input, origin: Origin) -> bool {
        let mut news = false;
        let mut next = Some((input.clone(), origin));
        while let Some((input, origin)) = next.take() {
            self.spins += 1;
            self.figures.inputs += 1;
            let point = self.arm_crash();
            let told = self.told();
            let Some(process) = &mut self.process else { return news };
            let fed = process.feed(told, &input, origin);
            match fed {
                Ok(fed) => {
                    news |= !fed.events.is_empty();
                    if fed.more && self.spins < SPIN_LIMIT {
                        next = Some((TimerDue::of_all().into(), Origin::default()));
                    }
                    self.fed(&input, &fed, point);
                }
                Err(FeedError::Refused) => self.note(|| format!("refused {input:?}")),
                Err(FeedError::Bug(text)) => {
                    self.violate("legal events", format!("on {}: {text}", input.name()));
                    return news;
                }
                Err(FeedError::Append(text)) => {
                    self.note(|| format!("append failed on {}: {text}", input.name()));
                    self.crash(0);
                    return news;
                }
            }
        }
        news
    }

    /// Decides whether the process dies around the next append, and arms the medium for it.
    fn arm_crash(&mut self) -> CrashPoint {
        let point = match self.plan.crash_at {
            Some((nth, how)) if nth == self.figures.appends + 1 => match how {
                0 => CrashPoint::Before,
                1 => CrashPoint::Unreported,
                _ => CrashPoint::Heard,
            },
            Some(_) => CrashPoint::None,
            None if self.deadline.is_some() => CrashPoint::None,
            None if self.rng.below(10_000) < u64::from(self.plan.crash_per_append) => self
                .rng
                .pick(&[CrashPoint::Before, CrashPoint::Unreported, CrashPoint::Unheard, CrashPoint::Heard])
                .unwrap_or(CrashPoint::None),
            None => CrashPoint::None,
        };
        let fault = match point {
            CrashPoint::Before => Some(Fault::NotWritten),
            CrashPoint::Unreported => Some(Fault::WrittenUnreported),
            CrashPoint::None | CrashPoint::Unheard | CrashPoint::Heard => None,
        };
        if let (Some(fault), Some(process)) = (fault, &self.process) {
            self.medium.fail_next(process.log().sequence(), fault);
        }
        point
    }

    fn fed(&mut self, input: &Input, fed: &Fed, point: CrashPoint) {
        let Some(last) = fed.last else { return };
        self.figures.batches += 1;
        self.figures.appends += 1;
        if self.options.trace > 0 {
            let events: Vec<String> = fed
                .events
                .iter()
                .map(|event| format!("\n             {} {:?}", event.stream, event.event))
                .collect();
            self.note(|| format!("{} {input:?} => up to {last}{}", input.name(), events.concat()));
        }
        let batch = fed.batch;
        match point {
            CrashPoint::Unheard => {
                // Whether the tail that nobody heard of reached the disk is for the disk to say.
                let losing = self.rng.below(self.unheard.len() as u64 + 2);
                self.crash(usize::try_from(losing).unwrap_or(0).min(self.unheard.len() + 1));
                return;
            }
            CrashPoint::Heard => {
                self.hear(batch, last);
                self.crash(0);
                return;
            }
            CrashPoint::None | CrashPoint::Before | CrashPoint::Unreported => {}
        }
        let delay = self.rng.below(self.plan.append_ms.saturating_mul(1_000) + 1);
        if delay == 0 && self.unheard.is_empty() {
            self.hear(batch, last);
        } else {
            self.unheard.push_back(batch);
            let epoch = self.epoch;
            // Answers come in the order of the appends.
            let at = Micros(self.now.0 + self.plan.append_ms * 1_000);
            self.at(at, What::Heard { epoch, batch, last });
        }
    }

    /// The process hears of a batch: what follows from it may leave, and the rules look at it.
    fn hear(&mut self, batch: u64, last: Position) {
        let Some(process) = &mut self.process else { return };
        process.durable(batch);
        self.unheard.retain(|waiting| *waiting > batch);
        let log = process.log();
        self.checker.follow(log, last, &self.world, &mut self.watch);
        if self.unheard.is_empty() {
            self.compare_states(last);
        }
    }

    fn collect_complaints(&mut self) {
        for complaint in std::mem::take(&mut self.world.complaints) {
            self.violate(complaint.rule, complaint.text);
        }
    }
}

/// Where the process dies around an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CrashPoint {
    /// It does not.
    None,
    /// Before anything is written.
    Before,
    /// After it was written, the answer being an error.
    Unreported,
    /// After it was written, before anybody heard.
    Unheard,
    /// After it was heard, before any effect left.
    Heard,
}

/// Runs a scenario in memory.
#[must_use]
pub fn run_seed(plan: Scenario, options: Options) -> Report {
    let log = prooflog_events::ids::LogId(
        crate::rng::mix(&[0x106, plan.seed]).0.first_chunk().copied().unwrap_or([7; 16]),
    );
    let seed = plan.seed;
    match Sim::new(plan, Memory(log), options, None) {
        Ok(sim) => sim.run(),
        Err(error) => Report {
            seed,
            figures: Figures::default(),
            violations: vec![Violation {
                seed,
                rule: "log",
                position: Position::ZERO,
                time: crate::scenario::START,
                text: error.to_string(),
            }],
            trace: Vec::new(),
            digest: Hash32::ZERO,
            paid: 0,
            latest: BTreeMap::new(),
        },
    }
}
