//! The program under load: many rollups in one process, and a long backlog before a prover of fixed capacity.
//!
//! Both are real: the program as a process, chains, servers over HTTP. What is measured is counted by what the program
//! records and shows, and told as rates and ratios, because seconds mean nothing on a shared machine.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use prooflog_devnet::{Devnet, DevnetConfig, Rollup};
use prooflog_devnet_prover::Script;
use serde_json::Value;

use crate::demo::{self, DemoError};
use crate::seen::{Memory, Metrics};
use crate::world::with_settings;
use crate::{Engine, Setup, Story};

/// Longest wait for any one thing.
const LIMIT: Duration = Duration::from_secs(1_800);
/// Time over the ideal schedule that a backlog may take.
const GOAL: f64 = 1.05;
/// What an input may cost at the end of a backlog, over what it cost at its beginning.
const GOAL_OF_GROWTH: f64 = 1.5;
/// An address without code.
const NOBODY: &str = "0x00000000000000000000000000000000000000aa";
/// A port that nobody listens on.
const NO_SERVER: &str = "http://127.0.0.1:9";

/// Many rollups.
#[derive(Debug, Clone, Copy)]
pub struct Many {
    /// How many, the wrong ones included.
    pub rollups: u64,
    /// Submissions of every rollup that are measured, after its first one.
    pub rounds: usize,
    /// Seconds between two looks.
    pub poll: u64,
    /// Blocks of a submission, at a block per second.
    pub interval: u64,
}

/// What was measured of many rollups.
#[derive(Debug, Clone)]
pub struct ManyReport {
    /// What was asked for.
    pub plan: Many,
    /// Length of the measured time.
    pub took: Duration,
    /// Processor time over that time: 1.0 is one processor.
    pub processors: f64,
    /// Memory at the end.
    pub memory: Memory,
    /// Calls per rollup and hour, by who is called.
    pub calls: Vec<(&'static str, f64)>,
    /// Events per rollup and hour.
    pub events: f64,
    /// Submissions confirmed in that time, of the rollup with the fewest and of that with the most.
    pub confirmed: (usize, usize),
    /// What the process says of the rollup without a contract.
    pub misconfigured: String,
    /// What the process says of the rollup without a prover.
    pub without_prover: String,
}

impl ManyReport {
    /// Whether every rollup that can confirmed all that was asked for.
    #[must_use]
    pub const fn reached(&self) -> bool {
        self.confirmed.0 >= self.plan.rounds
    }
}

impl fmt::Display for ManyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Many { rollups, rounds, poll, interval } = self.plan;
        writeln!(
            f,
            "{rollups} rollups in one process, two of them wrong; looks every {poll} s, submissions of {interval} blocks"
        )?;
        let mut row = |name: &str, value: String| writeln!(f, "| {name:<44} | {value:>16} |");
        row("measured", format!("{:.0} s", self.took.as_secs_f64()))?;
        row("processors in use", format!("{:.2}", self.processors))?;
        row("memory, resident", format!("{} MB", self.memory.resident / 1_000_000))?;
        row("memory, at its peak", format!("{} MB", self.memory.peak / 1_000_000))?;
        for (peer, calls) in &self.calls {
            row(&format!("calls to {peer} per rollup and hour"), format!("{calls:.0}"))?;
        }
        row("events per rollup and hour", format!("{:.0}", self.events))?;
        let (fewest, most) = self.confirmed;
        row("confirmed submissions per rollup (asked for)", format!("{fewest} to {most} ({rounds})"))?;
        writeln!(f, "without a contract: {}", self.misconfigured)?;
        write!(f, "without a prover: {}", self.without_prover)
    }
}

/// Submissions confirmed so far, by rollup.
fn confirmed(events: &[Value]) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for event in
        events.iter().filter(|event| event.get("type").is_some_and(|name| name == "SubmissionConfirmed"))
    {
        let stream = event.get("stream").and_then(Value::as_str).unwrap_or_default();
        if let Some(chain) = stream.split('-').nth(1).and_then(|chain| chain.parse::<u64>().ok()) {
            *counts.entry(chain).or_default() += 1;
        }
    }
    counts
}

/// What the process shows at one moment.
struct Look {
    at: Instant,
    metrics: Metrics,
    events: usize,
    confirmed: BTreeMap<u64, usize>,
}

impl Look {
    fn now(setup: &Setup, story: &Story) -> Result<Self, DemoError> {
        let (events, confirmed) = (story.events().len(), confirmed(story.events()));
        Ok(Self { at: Instant::now(), metrics: setup.metrics()?, events, confirmed })
    }
}

/// Runs many rollups in one process and measures them while all that can are submitting.
///
/// # Errors
/// What did not happen.
pub async fn many(
    dir: &Path,
    plan: Many,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<ManyReport, DemoError> {
    let script =
        Script { witness_ms: 200, proving_ms: 1_000, proof_bytes: Some(20_000), ..Script::default() };
    let (rollups, submission_interval) = (plan.rollups.max(3), plan.interval);
    let config = DevnetConfig { rollups, submission_interval, script, ..DevnetConfig::default() };
    let devnet = Devnet::start(config, say).await?;
    let [misconfigured, without_prover, healthy @ ..] = devnet.rollups.as_slice() else {
        return Err(DemoError::Wrong("too few rollups".to_owned()));
    };
    // All send from one account, so its pending transactions are what so many rollups share.
    let settings = format!(
        "poll-interval = \"{}s\"\nspan.blocks = {}\ntxmgr.max-pending = 64",
        plan.poll,
        plan.interval.div_ceil(2).max(1)
    );
    let text = with_settings(&demo::config(&devnet), &settings)
        .replace(&misconfigured.oracle.to_string(), NOBODY)
        .replace(&format!("\"{}\"", without_prover.prover), &format!("\"{NO_SERVER}\""));
    let setup = Setup::write(dir, &text, devnet.prooflog_env())?;
    say(&format!("starting prooflog with {rollups} rollups"));
    let engine = Engine::start(&setup)?;
    let mut story = Story::follow(&setup, LIMIT)?;
    let all_have = |events: &[Value], base: &BTreeMap<u64, usize>, more: usize| {
        let now = confirmed(events);
        let count =
            |counts: &BTreeMap<u64, usize>, rollup: &Rollup| counts.get(&rollup.chain).copied().unwrap_or(0);
        healthy.iter().all(|rollup| count(&now, rollup) >= count(base, rollup) + more)
    };
    story.wait_until("first submission of every rollup", |events| all_have(events, &BTreeMap::new(), 1))?;
    say("every rollup has submitted once: measuring");
    let before = Look::now(&setup, &story)?;
    let base = before.confirmed.clone();
    story.wait_until("further submissions of every rollup", |events| all_have(events, &base, plan.rounds))?;
    let after = Look::now(&setup, &story)?;
    let report = ManyReport {
        misconfigured: standing(&setup, misconfigured)?,
        without_prover: standing(&setup, without_prover)?,
        memory: Memory::of(engine.pid())?,
        ..measured(plan, healthy, &before, &after)
    };
    let ended = engine.stop()?;
    if !ended.success() {
        return Err(DemoError::Wrong(format!("prooflog did not end in order: {ended}\n{}", setup.printed())));
    }
    setup.json(&["verify"])?;
    demo::included_once(story.events())?;
    Ok(report)
}

fn measured(plan: Many, healthy: &[Rollup], before: &Look, after: &Look) -> ManyReport {
    let took = after.at.saturating_duration_since(before.at);
    let seconds = took.as_secs_f64().max(0.001);
    let grew = |sample: &str| {
        after.metrics.value(sample).unwrap_or(f64::NAN) - before.metrics.value(sample).unwrap_or(f64::NAN)
    };
    let per_rollup_and_hour = |count: f64| count / plan.rollups as f64 / seconds * 3_600.0;
    let peer = |name: &'static str| {
        (name, per_rollup_and_hour(grew(&format!("prooflog_calls_total{{peer=\"{name}\"}}"))))
    };
    let more = healthy.iter().map(|rollup| {
        let count = |look: &Look| look.confirmed.get(&rollup.chain).copied().unwrap_or(0);
        count(after).saturating_sub(count(before))
    });
    let more: Vec<usize> = more.collect();
    ManyReport {
        plan,
        took,
        processors: grew("process_cpu_seconds_total") / seconds,
        memory: Memory { resident: 0, peak: 0 },
        calls: ["l1", "rollup_node", "prover"].map(peer).to_vec(),
        events: per_rollup_and_hour(after.events.saturating_sub(before.events) as f64),
        confirmed: (more.iter().min().copied().unwrap_or(0), more.iter().max().copied().unwrap_or(0)),
        misconfigured: String::new(),
        without_prover: String::new(),
    }
}

/// What `/readyz?chain=` says of a rollup: why it is stopped, or what holds it.
fn standing(setup: &Setup, rollup: &Rollup) -> Result<String, DemoError> {
    let (ready, body) = setup.ready(Some(rollup.chain))?;
    let words = |key: &str| body.get(key).map(ToString::to_string).unwrap_or_default();
    Ok(if ready { format!("ready, {}", words("chains")) } else { format!("not ready, {}", words("why_not")) })
}

/// A long backlog.
#[derive(Debug, Clone, Copy)]
pub struct Backlog {
    /// Spans.
    pub spans: u64,
    /// Proofs that the server proves at once.
    pub workers: usize,
    /// Milliseconds that it proves one.
    pub proving_ms: u64,
    /// Milliseconds that it makes a witness.
    pub witness_ms: u64,
}

/// A tenth of a backlog.
#[derive(Debug, Clone, Copy)]
pub struct Tenth {
    /// Processor time of the whole process per input that was decided, in microseconds: calls, appends and all.
    pub processor: f64,
    /// Inputs decided.
    pub inputs: f64,
    /// Mean time of a decision by the clock, in microseconds.
    pub decision: f64,
    /// Events in the log at its end.
    pub events: usize,
}

/// What was measured of a backlog.
#[derive(Debug, Clone)]
pub struct BacklogReport {
    /// What was asked for.
    pub plan: Backlog,
    /// From the first request to the last proof.
    pub took: Duration,
    /// What a client takes that never lets a worker wait.
    pub ideal: Duration,
    /// What one input cost in each tenth of the spans.
    pub tenths: Vec<Tenth>,
    /// Proofs that were paid for more than once.
    pub paid_twice: usize,
}

impl BacklogReport {
    /// Time taken over the ideal time.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.took.as_secs_f64() / self.ideal.as_secs_f64().max(0.001)
    }

    /// Processor time per input in the last tenth over that in the first.
    #[must_use]
    pub fn growth(&self) -> f64 {
        let of = |tenth: Option<&Tenth>| tenth.map_or(f64::NAN, |tenth| tenth.processor);
        of(self.tenths.last()) / of(self.tenths.first())
    }

    /// Whether it reached every goal.
    #[must_use]
    pub fn reached(&self) -> bool {
        self.ratio() <= GOAL && self.growth() <= GOAL_OF_GROWTH && self.paid_twice == 0
    }
}

impl fmt::Display for BacklogReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Backlog { spans, workers, proving_ms, witness_ms } = self.plan;
        writeln!(
            f,
            "{spans} spans, {workers} proven at once in {proving_ms} ms, a witness in {witness_ms} ms"
        )?;
        writeln!(
            f,
            "took {:.1} s, the ideal schedule is {:.1} s: ratio {:.3} (goal: at most {GOAL})",
            self.took.as_secs_f64(),
            self.ideal.as_secs_f64(),
            self.ratio()
        )?;
        for (number, Tenth { processor, inputs, decision, events }) in (1..).zip(&self.tenths) {
            writeln!(
                f,
                "tenth {number:>2}: {inputs:.0} inputs, {processor:.0} µs of processor time each, {decision:.0} µs of \
                 the clock a decision, {events} events in the log"
            )?;
        }
        writeln!(
            f,
            "processor time per input, last tenth over first: {:.2} (goal: at most {GOAL_OF_GROWTH}, history does not \
             matter)",
            self.growth()
        )?;
        write!(f, "{} proofs were paid for more than once", self.paid_twice)
    }
}

/// The moment that an event was recorded, in microseconds.
fn micros(event: &Value) -> Option<u64> {
    let micros = event.get("micros")?;
    micros.as_u64().or_else(|| micros.as_str()?.parse().ok())
}

/// Moments of a type of event of spans.
fn moments<'a>(events: &'a [Value], name: &'a str) -> impl Iterator<Item = u64> + 'a {
    let is_it = move |event: &&Value| {
        let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
        text("type") == name && text("stream").starts_with("span-")
    };
    events.iter().filter(is_it).filter_map(micros)
}

/// Waits for each tenth of the proofs, and measures what an input cost meanwhile.
fn tenths(
    setup: &Setup,
    story: &mut Story,
    spans: usize,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<Vec<Tenth>, DemoError> {
    let (mut tenths, mut before) = (Vec::new(), (0.0, 0.0, 0.0));
    // Each event is looked at once: this shares the machine with what is measured.
    let (mut looked, mut proofs) = (0, 0);
    for tenth in 1..=10 {
        let until = spans * tenth / 10;
        story.wait_until("a tenth of the proofs", |events| {
            proofs += moments(events.get(looked..).unwrap_or_default(), "ProofFulfilled").count();
            looked = events.len();
            proofs >= until
        })?;
        let metrics = setup.metrics()?;
        let value = |sample: &str| metrics.value(sample).unwrap_or(f64::NAN);
        let now = (
            value("process_cpu_seconds_total"),
            value("prooflog_decision_seconds_sum"),
            value("prooflog_decision_seconds_count"),
        );
        let per_input = |seconds: f64| seconds / (now.2 - before.2).max(1.0) * 1e6;
        let (processor, decision) = (per_input(now.0 - before.0), per_input(now.1 - before.1));
        tenths.push(Tenth { processor, inputs: now.2 - before.2, decision, events: story.events().len() });
        before = now;
        say(&format!("{until} proofs are there"));
    }
    Ok(tenths)
}

/// Works a backlog off and compares the time with the ideal one.
///
/// # Errors
/// What did not happen.
pub async fn backlog(
    dir: &Path,
    plan: Backlog,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<BacklogReport, DemoError> {
    let Backlog { spans, workers, proving_ms, witness_ms } = plan;
    let script = Script {
        witness_ms,
        proving_ms,
        agg_proving_ms: Some(100),
        workers,
        proof_bytes: Some(2_000),
        ..Script::default()
    };
    // Blocks of a minute: hardly any are added while the backlog is worked off.
    let config = DevnetConfig {
        prelude: spans + 10,
        l2_block_time: 60,
        submission_interval: 60,
        script,
        ..DevnetConfig::default()
    };
    let devnet = Devnet::start(config, say).await?;
    let rollup = devnet.rollups.first().cloned().ok_or_else(|| DemoError::Wrong("no rollup".to_owned()))?;
    // Enough requests beyond what is proven at once that no worker waits for the next look.
    let in_flight = workers.saturating_mul(2).saturating_add(20);
    let witnesses = workers.div_ceil(2).max(4);
    let settings = format!(
        "span.blocks = 1\nmax-proofs-in-flight = {in_flight}\nmax-witness-in-flight = {witnesses}\nmax-blocks-ahead = {}",
        spans + 1_000
    );
    let setup = Setup::write(dir, &with_settings(&demo::config(&devnet), &settings), devnet.prooflog_env())?;
    say(&format!("starting prooflog before {spans} spans"));
    let engine = Engine::start(&setup)?;
    let mut story = Story::follow(&setup, LIMIT)?;
    let wanted = usize::try_from(spans).unwrap_or(usize::MAX);
    let tenths = tenths(&setup, &mut story, wanted, say)?;
    let begun = moments(story.events(), "WitnessGenStarted").min().unwrap_or(0);
    let mut done: Vec<u64> = moments(story.events(), "ProofFulfilled").collect();
    done.sort_unstable();
    let ended = done.get(wanted.saturating_sub(1)).copied().unwrap_or(0);
    let rounds = spans.div_ceil(u64::try_from(workers.max(1)).unwrap_or(u64::MAX));
    let ideal = Duration::from_millis(witness_ms.saturating_add(rounds.saturating_mul(proving_ms)));
    let paid_twice = devnet.prover.stats(rollup.chain).unwrap_or_default().paid_twice().len();
    let stopped = engine.stop()?;
    if !stopped.success() {
        return Err(DemoError::Wrong(format!(
            "prooflog did not end in order: {stopped}\n{}",
            setup.printed()
        )));
    }
    let took = Duration::from_micros(ended.saturating_sub(begun));
    Ok(BacklogReport { plan, took, ideal, tenths, paid_twice })
}
