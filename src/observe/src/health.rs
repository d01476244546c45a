//! Whether the process works: its loop, its log, each rollup.
//!
//! The loop says when it moves, and before it sleeps until when it will: so a loop that waits is told from one that is
//! stuck without asking it anything. What a crash in here means: health is not reported; nothing else stops.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prooflog_events::ids::ChainId;
use serde::Serialize;

/// How long the loop may take over one round, or oversleep, before it counts as stuck.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// Where a rollup stands in this process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum ChainStatus {
    /// Not yet running.
    Starting {
        /// What is waited for, in words.
        waits_for: String,
    },
    /// Its work goes on, perhaps held back by reasons that mend themselves.
    Running,
    /// Nothing is done for it in this process.
    Stopped {
        /// Why, in words.
        reason: String,
    },
}

/// Whether the log takes appends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum LogStatus {
    /// Not opened yet.
    Unknown,
    /// It does.
    Writable,
    /// It does not.
    Failed {
        /// Why, in words.
        reason: String,
    },
}

/// What the loop is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "loop", rename_all = "snake_case")]
pub enum Verdict {
    /// It has not begun: the log is being opened.
    NotBegun,
    /// It moves.
    Moving {
        /// Rounds so far.
        rounds: u64,
    },
    /// It sleeps, and the end of its sleep is not overdue.
    Waiting {
        /// Rounds so far.
        rounds: u64,
    },
    /// It should have moved by now.
    Stuck {
        /// Rounds so far.
        rounds: u64,
        /// Whole seconds since it should have moved.
        overdue_secs: u64,
    },
}

#[derive(Debug, Clone, Copy)]
enum Loop {
    NotBegun,
    Working { since: Instant },
    Waiting { until: Instant },
}

/// The health of a process. Clones are the same health.
#[derive(Debug, Clone)]
pub struct Health(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    grace: Duration,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    started: bool,
    stopping: bool,
    rounds: u64,
    state: Loop,
    log: LogStatus,
    chains: BTreeMap<ChainId, OneChain>,
}

#[derive(Debug, Clone, Serialize)]
struct OneChain {
    #[serde(flatten)]
    status: ChainStatus,
    held_by: Vec<String>,
    /// Why a rollup that was started does no work until somebody changes something.
    #[serde(skip)]
    rejected: Option<String>,
}

impl OneChain {
    /// Where it stands: what was started and may not work counts as stopped.
    fn standing(&self) -> ChainStatus {
        match (&self.status, &self.rejected) {
            (ChainStatus::Running, Some(reason)) => ChainStatus::Stopped { reason: reason.clone() },
            (status, _) => status.clone(),
        }
    }
}

/// Whether the process or a rollup is ready, and why not.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Readiness {
    pub(crate) ready: bool,
    why_not: Vec<String>,
    chains: BTreeMap<ChainId, OneChain>,
}

impl Health {
    /// The health of a process that serves `chains`, all of which are starting.
    #[must_use]
    pub fn new(chains: &[ChainId], grace: Duration) -> Self {
        let starting = || OneChain {
            status: ChainStatus::Starting { waits_for: "the start of the process".to_owned() },
            held_by: Vec::new(),
            rejected: None,
        };
        let now = Now {
            started: false,
            stopping: false,
            rounds: 0,
            state: Loop::NotBegun,
            log: LogStatus::Unknown,
            chains: chains.iter().map(|chain| (*chain, starting())).collect(),
        };
        Self(Arc::new(Inner { grace, now: Mutex::new(now) }))
    }

    /// The loop begins a round.
    pub fn beat(&self, now: Instant) {
        let mut health = self.now();
        health.rounds = health.rounds.saturating_add(1);
        health.state = Loop::Working { since: now };
    }

    /// The loop sleeps, at the longest until `until`; it beats when it wakes. Bound the sleep (a minute is right), so
    /// that a wake-up that never comes is noticed.
    pub fn waiting(&self, until: Instant) {
        self.now().state = Loop::Waiting { until };
    }

    /// The start has finished.
    pub fn started(&self) {
        self.now().started = true;
    }

    /// The process is about to end: it takes no new work.
    pub fn stopping(&self) {
        self.now().stopping = true;
    }

    /// The log takes appends, or does not.
    pub fn log(&self, status: LogStatus) {
        self.now().log = status;
    }

    /// Where a rollup stands.
    pub fn chain(&self, chain: ChainId, status: ChainStatus) {
        if let Some(one) = self.now().chains.get_mut(&chain) {
            one.status = status;
        }
    }

    /// What holds work of a running rollup back, in words; empty for nothing. It stays ready.
    pub fn held_by(&self, chain: ChainId, reasons: Vec<String>) {
        if let Some(one) = self.now().chains.get_mut(&chain) {
            one.held_by = reasons;
        }
    }

    /// Why a running rollup counts as stopped, although it is looked at and may go on by itself; `None` for nothing.
    pub fn rejected(&self, chain: ChainId, reason: Option<String>) {
        if let Some(one) = self.now().chains.get_mut(&chain) {
            one.rejected = reason;
        }
    }

    /// What the loop is doing at `now`.
    #[must_use]
    pub fn verdict(&self, now: Instant) -> Verdict {
        let health = self.now();
        let rounds = health.rounds;
        let (since, calm) = match health.state {
            Loop::NotBegun => return Verdict::NotBegun,
            Loop::Working { since } => (since, Verdict::Moving { rounds }),
            Loop::Waiting { until } => (until, Verdict::Waiting { rounds }),
        };
        let overdue = now.saturating_duration_since(since);
        if overdue > self.0.grace {
            return Verdict::Stuck { rounds, overdue_secs: overdue.as_secs() };
        }
        calm
    }

    pub(crate) fn has_started(&self) -> bool {
        self.now().started
    }

    pub(crate) fn log_status(&self) -> LogStatus {
        self.now().log.clone()
    }

    pub(crate) fn chain_status(&self, chain: ChainId) -> Option<ChainStatus> {
        self.now().chains.get(&chain).map(OneChain::standing)
    }

    /// Whether the process can do its work: of one rollup, or of any. `None`: no such rollup.
    pub(crate) fn readiness(&self, chain: Option<ChainId>, now: Instant) -> Option<Readiness> {
        let verdict = self.verdict(now);
        let health = self.now();
        let mut why_not = Vec::new();
        if !health.started {
            why_not.push("the start has not finished".to_owned());
        }
        if health.stopping {
            why_not.push("the process is stopping".to_owned());
        }
        if let Verdict::Stuck { overdue_secs, .. } = verdict {
            why_not.push(format!("the loop should have moved {overdue_secs} s ago"));
        }
        match &health.log {
            LogStatus::Unknown => why_not.push("the log is not open".to_owned()),
            LogStatus::Failed { reason } => why_not.push(format!("the log takes no appends: {reason}")),
            LogStatus::Writable => {}
        }
        let mut chains: BTreeMap<ChainId, OneChain> = match chain {
            Some(id) => BTreeMap::from([(id, health.chains.get(&id)?.clone())]),
            None => health.chains.clone(),
        };
        chains.values_mut().for_each(|one| one.status = one.standing());
        if !chains.values().any(|one| one.status == ChainStatus::Running) {
            for (id, one) in &chains {
                match &one.status {
                    ChainStatus::Starting { waits_for } => {
                        why_not.push(format!("chain {id} waits for {waits_for}"))
                    }
                    ChainStatus::Stopped { reason } => {
                        why_not.push(format!("chain {id} is stopped: {reason}"))
                    }
                    ChainStatus::Running => {}
                }
            }
            if chains.is_empty() {
                why_not.push("no chain is configured".to_owned());
            }
        }
        Some(Readiness { ready: why_not.is_empty(), why_not, chains })
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // Nothing panics under the lock.
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
