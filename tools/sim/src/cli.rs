//! The command line: a demo for people, many seeds for machines, one seed with its story for whoever must mend it.
//!
//! Exit codes are those of the whole project: 0 is done, 1 is a bug (a rule was broken), 2 is wrong usage.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the command line")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use clap::{Args, Parser, Subcommand};

use crate::bugs::{BUGS, Bug, hunt};
use crate::demo;
use crate::run::{Options, Report, run_seed};
use crate::scenario::{NAMES, Scenario};

/// Runs the whole ring on virtual time, with faults and checkers.
#[derive(Debug, Parser)]
#[command(name = "prooflog-sim", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show one rollup from planning to confirmation, with a failure on the way.
    Demo(DemoArgs),
    /// Run many seeds and stop at the first broken rule.
    Run(RunArgs),
    /// Run one seed and tell what happened.
    Seed(SeedArgs),
    /// Hunt every deliberate bug and print which rule catches it, after how many seeds.
    Bugs(BugsArgs),
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Print the timeline as JSON Lines.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// Run for so many seconds instead.
    #[arg(long)]
    seconds: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Threads; all cores by default.
    #[arg(long)]
    jobs: Option<usize>,
    /// Kinds of faults, by name.
    #[arg(long, default_value = "random", value_parser = clap::builder::PossibleValuesParser::new(NAMES))]
    scenario: String,
    /// Go on after a broken rule.
    #[arg(long)]
    keep_going: bool,
    /// Print one JSON line per seed.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct BugsArgs {
    /// Only this bug.
    name: Option<String>,
    /// Print one JSON line per bug.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct SeedArgs {
    /// The seed.
    seed: u64,
    /// Kinds of faults, by name.
    #[arg(long, default_value = "random", value_parser = clap::builder::PossibleValuesParser::new(NAMES))]
    scenario: String,
    /// Print the last lines of the trace: this many.
    #[arg(long, num_args = 0..=1, default_missing_value = "200")]
    trace: Option<usize>,
}

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Demo(args) => demo::demo(args.json),
        Command::Run(args) => run(&args),
        Command::Seed(args) => seed(&args),
        Command::Bugs(args) => bugs(&args),
    }
}

fn seed(args: &SeedArgs) -> ExitCode {
    let Some(plan) = Scenario::named(&args.scenario, args.seed) else { return ExitCode::from(2) };
    let options = Options { trace: args.trace.unwrap_or(0), ..Options::default() };
    let report = run_seed(plan, options);
    for line in &report.trace {
        println!("{line}");
    }
    print_report(&report, &args.scenario);
    if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn bugs(args: &BugsArgs) -> ExitCode {
    let mut missed = 0;
    let wanted = |bug: &&Bug| args.name.as_ref().is_none_or(|name| format!("{:?}", bug.sabotage) == *name);
    for bug in BUGS.iter().filter(wanted) {
        let caught = hunt(bug);
        let is_right = caught.as_ref().is_some_and(|caught| bug.rules.contains(&caught.rule));
        missed += u32::from(!is_right);
        let (rule, seed, text) = caught
            .map_or(("-", 0, "not caught".to_owned()), |caught| (caught.rule, caught.seed, caught.text));
        if args.json {
            let name = format!("{:?}", bug.sabotage);
            let line = serde_json::json!({
                "bug": name, "scenario": bug.scenario, "rule": rule, "seed": seed, "within": bug.seeds, "right": is_right,
            });
            println!("{line}");
        } else {
            let mark = if is_right { " " } else { "!" };
            let text: String = text.chars().take(120).collect();
            let name = format!("{:?}", bug.sabotage);
            println!(
                "{mark} {name:<30} {:<9} `{rule}` with seed {seed} of {}: {text}",
                bug.scenario, bug.seeds
            );
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn print_report(report: &Report, scenario: &str) {
    let figures = report.figures;
    println!(
        "seed {} ({scenario}): {} s of virtual time, {} inputs, {} batches, {} calls, {} crashes, state {}",
        report.seed,
        figures.seconds,
        figures.inputs,
        figures.batches,
        figures.calls,
        figures.crashes,
        report.digest
    );
    for violation in &report.violations {
        println!("{violation}");
    }
}

/// What the threads of a run share.
struct Shared {
    next: AtomicU64,
    stop: AtomicBool,
    batches: AtomicU64,
    seconds: AtomicU64,
    failed: Mutex<Vec<Report>>,
}

fn run(args: &RunArgs) -> ExitCode {
    let started = Instant::now();
    let jobs = args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let shared = Shared {
        next: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        batches: AtomicU64::new(0),
        seconds: AtomicU64::new(0),
        failed: Mutex::new(Vec::new()),
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| work(args, &shared, started));
        }
    });
    let limit = if args.seconds.is_some() { u64::MAX } else { args.seeds };
    let done = shared.next.load(Ordering::Relaxed).min(limit);
    let elapsed = started.elapsed().as_secs_f64();
    let failed = shared.failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    println!(
        "{done} seeds ({}) in {elapsed:.1} s on {jobs} threads: {:.1} seeds/s, {} batches, {} virtual hours, {} broken",
        args.scenario,
        done as f64 / elapsed,
        shared.batches.load(Ordering::Relaxed),
        shared.seconds.load(Ordering::Relaxed) / 3_600,
        failed.len()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn work(args: &RunArgs, shared: &Shared, started: Instant) {
    while !shared.stop.load(Ordering::Relaxed) {
        let nth = shared.next.fetch_add(1, Ordering::Relaxed);
        let over = match args.seconds {
            Some(seconds) => started.elapsed().as_secs() >= seconds,
            None => nth >= args.seeds,
        };
        if over {
            shared.next.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let Some(plan) = Scenario::named(&args.scenario, args.from.saturating_add(nth)) else { return };
        let report = run_seed(plan, Options::default());
        shared.batches.fetch_add(report.figures.batches, Ordering::Relaxed);
        shared.seconds.fetch_add(report.figures.seconds, Ordering::Relaxed);
        if args.json {
            println!(
                "{}",
                serde_json::json!({
                    "seed": report.seed,
                    "batches": report.figures.batches,
                    "crashes": report.figures.crashes,
                    "virtual_seconds": report.figures.seconds,
                    "broken": report.violations.iter().map(|broken| broken.rule).collect::<Vec<_>>(),
                    "state": report.digest.to_string(),
                })
            );
        }
        if report.violations.is_empty() {
            continue;
        }
        for violation in &report.violations {
            eprintln!("{violation}");
        }
        eprintln!("  reproduce: prooflog-sim seed {} --scenario {} --trace", report.seed, args.scenario);
        shared.stop.fetch_or(!args.keep_going, Ordering::Relaxed);
        shared.failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(report);
    }
}
