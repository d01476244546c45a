//! The command line: what to measure, how large, and how to show it.
//!
//! Exit codes are those of the whole project: 0 is done, 1 is a failure, 2 is wrong usage. A target that is missed is
//! told in the table and is no failure.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the command line")]

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Parser, Subcommand};

use crate::Outcome;
use crate::filling::make;
use crate::generator::Shape;
use crate::rows::{
    Sizes, appends, backlog, beside, blobs, deciding, folding, inspect, opening, stages, travel,
};
use crate::serving::{self, hostile};
use crate::table::{Row, markdown, rate};

/// Generates logs and measures, each figure beside its yardstick.
#[derive(Debug, Parser)]
#[command(name = "prooflog-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a log.
    Generate(Generate),
    /// Measure everything and print the table.
    Run(Run),
    /// Serve the EventStore protocol, over a log or over nothing, until told to end.
    Serve(serving::Serve),
    /// Be what the server must bear; `run` starts this as a process of its own.
    #[command(hide = true)]
    Hostile(hostile::Hostile),
    /// Open a log, fold it, and tell what that took; `run` starts this as a process of its own.
    #[command(hide = true)]
    Probe {
        /// The log's directory.
        #[arg(long)]
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Generate {
    /// Number of events.
    #[arg(long, default_value_t = 10_000_000)]
    events: u64,
    /// Spans and aggregates alive at any time.
    #[arg(long, default_value_t = 1_000)]
    live: u64,
    /// Rollups that share them; one for each 1,000 by default, four at least.
    #[arg(long)]
    chains: Option<u64>,
    /// Another seed gives another log.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// An empty or new directory.
    #[arg(long)]
    dir: PathBuf,
}

#[derive(Debug, Args)]
struct Run {
    /// Small sizes: shows that everything works, its figures mean little.
    #[arg(long)]
    quick: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// Where the logs are made (up to 6 GB); a temporary directory by default. What is made is removed.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Events of the large log.
    #[arg(long)]
    events: Option<u64>,
    /// A log made before with `generate` instead of a new large one; it is left as it is.
    #[arg(long)]
    log: Option<PathBuf>,
    /// The same for the log with many live requests.
    #[arg(long)]
    crowded: Option<PathBuf>,
    /// Only groups of rows whose name contains this: appends, folding, opening, travel, inspect, crowd, deciding,
    /// backlog, blobs, hostile.
    #[arg(long, default_value = "")]
    only: String,
}

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Generate(args) => generate(&args),
        Command::Run(args) => run(&args),
        Command::Serve(args) => serving::run(&args),
        Command::Hostile(args) => hostile::run(&args),
        Command::Probe { dir } => opening::probe(&dir).and_then(|probe| {
            println!("{}", serde_json::to_string(&probe)?);
            Ok(())
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("prooflog-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(args: &Generate) -> Outcome<()> {
    let shape = Shape::with_live(args.live);
    let shape = Shape { chains: args.chains.unwrap_or(shape.chains), seed: args.seed, ..shape };
    fill(&args.dir, shape, args.events)
}

/// Makes a log with a bar on a terminal, and a line at the end in any case.
fn fill(dir: &Path, shape: Shape, events: u64) -> Outcome<()> {
    const BAR: u64 = 40;
    let start = Instant::now();
    let shows = std::io::stderr().is_terminal();
    let mut shown = 0;
    let filled = make(dir, shape, events, &mut |done| {
        let step = (done * BAR / events.max(1)).min(BAR);
        if shows && step > shown {
            shown = step;
            let bar: String = (0..BAR).map(|at| if at < step { '#' } else { '.' }).collect();
            let speed = rate(done as f64 / start.elapsed().as_secs_f64());
            eprint!("\r[{bar}] {done} of {events} events, {speed} ");
            let _ = std::io::stderr().flush();
        }
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let each = filled.bytes as f64 / filled.events as f64;
    let speed = rate(filled.events as f64 / seconds);
    let end = if shows { "\r" } else { "" };
    eprintln!("{end}{} events, {each:.0} bytes of content each, in {seconds:.1} s ({speed})", filled.events);
    Ok(())
}

fn run(args: &Run) -> Outcome<()> {
    let mut sizes = if args.quick { Sizes::QUICK } else { Sizes::FULL };
    sizes.events = args.events.unwrap_or(sizes.events);
    let temporary = match &args.dir {
        Some(dir) => {
            std::fs::create_dir_all(dir)?;
            tempfile::tempdir_in(dir)?
        }
        None => tempfile::tempdir()?,
    };
    let rows = measure(temporary.path(), &sizes, args)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        println!("{}", markdown(&rows));
        let missed = rows.iter().filter(|row| row.reached == Some(false)).count();
        let judged = rows.iter().filter(|row| row.reached.is_some()).count();
        println!("{} of {judged} targets reached", judged - missed);
    }
    Ok(())
}

/// The log that was given, or a new one.
fn given_or_made(given: Option<&Path>, dir: PathBuf, live: u64, events: u64) -> Outcome<PathBuf> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    eprintln!("a log of {events} events, {live} live");
    fill(&dir, Shape::with_live(live), events)?;
    Ok(dir)
}

fn measure(dir: &Path, sizes: &Sizes, args: &Run) -> Outcome<Vec<Row>> {
    let wanted = |name: &str| name.contains(&args.only);
    let mut rows = Vec::new();
    if wanted("appends") {
        eprintln!("appends");
        std::fs::create_dir(dir.join("appends"))?;
        rows.extend(appends::rows(&dir.join("appends"), sizes)?);
    }
    if wanted("folding") || wanted("travel") || wanted("opening") || wanted("inspect") {
        let made = dir.join("large");
        let large = given_or_made(args.log.as_deref(), made.clone(), 1_000, sizes.events)?;
        if wanted("folding") {
            eprintln!("fold, verify");
            rows.extend(folding::rows(&large, sizes)?);
            rows.extend(stages::rows(&large, sizes)?);
        }
        if wanted("opening") {
            eprintln!("open");
            rows.extend(opening::rows(&large, sizes)?);
        }
        if wanted("travel") {
            eprintln!("travel");
            rows.push(travel::row(&large, sizes, 1_000, 0.010)?);
            rows.extend(stages::snapshot(&large, sizes, 1_000)?);
        }
        if wanted("inspect") {
            eprintln!("look into it");
            rows.extend(inspect::rows(&large, sizes)?);
        }
        if made.exists() {
            std::fs::remove_dir_all(&made)?;
        }
    }
    if wanted("crowd") {
        let made = dir.join("crowded");
        let crowded =
            given_or_made(args.crowded.as_deref(), made.clone(), sizes.crowd, sizes.events_crowded)?;
        rows.push(travel::row(&crowded, sizes, sizes.crowd, 0.150)?);
        rows.extend(stages::snapshot(&crowded, sizes, sizes.crowd)?);
        if made.exists() {
            std::fs::remove_dir_all(&made)?;
        }
    }
    if wanted("deciding") {
        eprintln!("decisions");
        rows.extend(deciding::rows(sizes)?);
    }
    if wanted("backlog") {
        eprintln!("backlog");
        rows.push(backlog::row(sizes)?);
    }
    if wanted("blobs") {
        eprintln!("blobs");
        std::fs::create_dir(dir.join("blobs"))?;
        rows.extend(blobs::rows(&dir.join("blobs"), sizes)?);
    }
    if wanted("hostile") {
        eprintln!("decisions beside hostile clients");
        rows.extend(beside::rows(&dir.join("beside"), sizes)?);
    }
    Ok(rows)
}
