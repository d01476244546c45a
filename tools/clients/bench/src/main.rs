//! Our server through the official Rust client, next to UmaDB through its own, and next to a server that stores nothing.
//!
//! `prooflog-peers run BENCH [--quick] [--only WORD]` starts all three as processes of their own (`BENCH` is the
//! program's `prooflog-bench`), measures them in turns with the same load, and prints a table of medians, each line as
//! soon as it is known. Absolute figures mean nothing on a shared machine; the ratios of one run count.
//! `prooflog-peers compare` holds builds of ours against each other, and says what an append costs each.

mod compare;
mod follow;
mod load;
mod servers;
mod table;

use std::time::Duration;

use load::{Measured, Target};
use servers::Process;
use table::{Row, median};

pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    /// Of one measurement of appends; a fifth of it again goes before and is not counted.
    span: Duration,
    turns: usize,
    /// Events that are read in full.
    events: u64,
    subscriptions: usize,
}

const FULL: Sizes = Sizes { span: Duration::from_secs(4), turns: 5, events: 200_000, subscriptions: 2_000 };
const QUICK: Sizes = Sizes { span: Duration::from_millis(400), turns: 1, events: 10_000, subscriptions: 200 };

#[tokio::main]
async fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["run", bench, rest @ ..] => {
            let sizes = if rest.contains(&"--quick") { QUICK } else { FULL };
            let only = rest.iter().skip_while(|word| **word != "--only").nth(1).copied().unwrap_or("");
            run(bench, sizes, only).await
        }
        ["compare", rest @ ..] => compare::run(rest).await,
        ["umadb", listen, path] => {
            let (listen, path) = ((*listen).to_owned(), (*path).to_owned());
            // It makes a runtime of its own.
            std::thread::spawn(move || servers::umadb(listen, path)).join().map_err(|_| "it died")?
        }
        ["follow", address, kind, count] => follow::run(address, kind.parse()?, count.parse()?).await,
        _ => Err(concat!(
            "prooflog-peers run BENCH [--quick] [--only appends|reads|subscriptions], or ",
            "prooflog-peers compare [--writers 4,16] [--turns N] [--span-ms N] umadb|BENCH..."
        )
        .into()),
    }
}

async fn run(bench: &str, sizes: Sizes, only: &str) -> Outcome<()> {
    let scratch = tempfile::tempdir()?;
    let ours = Process::ours(bench.as_ref(), &scratch.path().join("ours"))?;
    let ceiling = Process::ceiling(bench, sizes.events)?;
    let peer = Process::umadb(&scratch.path().join("uma.db")).await?;
    println!("{}", table::head());
    if "reads".contains(only) {
        println!("{}", reads([&ours, &peer, &ceiling], sizes).await?);
    }
    if "appends".contains(only) {
        for (writers, goal) in [(1, 1.2), (4, 1.2), (16, 1.0), (64, 1.0)] {
            println!("{}", appends([&ours, &peer, &ceiling], writers, goal, sizes).await?);
        }
    }
    if "subscriptions".contains(only) {
        for kind in follow::Kind::ALL {
            println!("{}", subscriptions(&ours, kind, sizes).await?);
        }
    }
    Ok(())
}

async fn appends(servers: [&Process; 3], writers: usize, goal: f64, sizes: Sizes) -> Outcome<Row> {
    eprintln!("appends, {writers} writers");
    let mut targets = Vec::new();
    for server in servers {
        targets.push(Target::connect(server, writers).await?);
    }
    let mut found: [Vec<Measured>; 3] = Default::default();
    for _ in 0..sizes.turns {
        for (target, found) in targets.iter().zip(&mut found) {
            found.push(target.appends(sizes.span).await?);
        }
    }
    let rates = found.each_ref().map(|found| found.iter().map(|one| one.per_second).collect::<Vec<_>>());
    let slow = found.each_ref().map(|found| median(found.iter().map(|one| one.p99.as_secs_f64())));
    let what = format!("appends of 256 bytes, {writers} writers");
    Ok(Row::of(what, rates, Some(slow)).reach_peer(goal))
}

async fn reads(servers: [&Process; 3], sizes: Sizes) -> Outcome<Row> {
    eprintln!("reads of {} events", sizes.events);
    let mut targets = Vec::new();
    for server in servers {
        let target = Target::connect(server, 1).await?;
        if !server.is_ceiling() {
            target.fill(sizes.events).await?;
        }
        targets.push(target);
    }
    let mut rates: [Vec<f64>; 3] = Default::default();
    for _ in 0..sizes.turns.max(2) {
        for (target, rates) in targets.iter().zip(&mut rates) {
            rates.push(target.reads(sizes.events).await?);
        }
    }
    let what = format!("`$all` in full, {} events of 256 bytes", sizes.events);
    Ok(Row::of(what, rates, None).reach_ceiling(0.8))
}

/// Appends of four writers with so many subscriptions and without, in turns.
async fn subscriptions(server: &Process, kind: follow::Kind, sizes: Sizes) -> Outcome<Row> {
    eprintln!("appends beside subscriptions: {}", kind.words(sizes.subscriptions));
    let target = Target::connect(server, 4).await?.among(sizes.subscriptions);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..sizes.turns {
        without.push(target.appends(sizes.span).await?.per_second);
        let followers = Process::follow(server, kind, sizes.subscriptions)?;
        with.push(target.appends(sizes.span).await?.per_second);
        drop(followers);
    }
    let what = format!("appends, 4 writers, beside {}", kind.words(sizes.subscriptions));
    Ok(Row::beside(what, with, without, kind.goal()))
}
