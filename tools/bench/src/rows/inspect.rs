//! Looking into a large log with the program itself: a key press of the debugger, `why`, `diff` and `--at`.
//!
//! Each command is a process of its own, as an operator starts it, so opening the log is part of its figure; opening the
//! same database without any code of the log stands beside it.

use std::path::{Path, PathBuf};
use std::process::Command;

use prooflog_events::envelope::Peek;
use prooflog_events::ids::Position;
use prooflog_events::port::SequenceRead;
use prooflog_log::read::Reader;
use prooflog_store::ReadOnlyStore;
use serde::Deserialize;

use super::Sizes;
use crate::Outcome;
use crate::raw;
use crate::rng::Rng;
use crate::table::{Row, median, quantile, span, timed};

/// Microseconds, as the program tells them.
#[derive(Debug, Deserialize)]
struct Times {
    p50: u64,
    p99: u64,
}

#[derive(Debug, Deserialize)]
struct Measured {
    answered: Times,
    record: Times,
    state: Times,
}

/// The program, which is built beside this one.
fn program() -> Outcome<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("prooflog");
    if path.is_file() {
        return Ok(path);
    }
    Err(format!("{} is not there: `cargo build --workspace` makes it", path.display()).into())
}

fn run(program: &Path, dir: &Path, arguments: &[&str]) -> Outcome<Vec<u8>> {
    let output = Command::new(program).env_clear().arg("--data-dir").arg(dir).args(arguments).output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("prooflog {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)).into())
}

/// Looks into the log in `dir`.
pub(crate) fn rows(dir: &Path, sizes: &Sizes) -> Outcome<Vec<Row>> {
    let program = program()?;
    let store = ReadOnlyStore::open(dir)?;
    let reader = Reader::new(&store)?;
    let head = reader.head().position.0;
    let events = head as f64 / 1e6;
    let keys = sizes.visits.to_string();
    let told = run(&program, dir, &["debug", "--measure", &keys, "--json"])?;
    let Measured { answered, record, state } = serde_json::from_slice(&told)?;
    let seconds = |micros: u64| micros as f64 / 1e6;
    let high = seconds(answered.p99);
    let what = format!(
        "a key press of the debugger, {events:.1} M events: median {}, p99",
        span(seconds(answered.p50))
    );
    let beside =
        format!("{} one state, {} one record, p99", span(seconds(state.p99)), span(seconds(record.p99)));
    let ratio = answered.p99 as f64 / state.p99.max(1) as f64;
    let mut rows =
        vec![Row::told(what, span(high)).beside(beside, ratio).judged("< 100 ms", (high < 0.1).into())];

    let mut rng = Rng::new(11);
    let mut at = || Position(rng.between(1, head));
    let (mut whys, mut diffs, mut looks, mut opens) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..(sizes.visits / 20).max(3) {
        let (seconds, db) = timed(|| raw::open_log(dir));
        raw::get(&db?, at())?;
        opens.push(seconds);
        let (low, high) = (at(), at());
        let (low, high) = (low.min(high).to_string(), low.max(high).to_string());
        let (seconds, done) = timed(|| run(&program, dir, &["diff", &low, &high]));
        done?;
        diffs.push(seconds);
        let (seconds, done) = timed(|| run(&program, dir, &["status", "--at", &low]));
        done?;
        looks.push(seconds);
        let name = a_unit(&reader, &mut at)?;
        let (seconds, done) = timed(|| run(&program, dir, &["why", &name]));
        done?;
        whys.push(seconds);
    }
    let open = median(&mut opens);
    for (command, mut figures) in [("why", whys), ("diff", diffs), ("status --at", looks)] {
        let (mid, high) = (median(&mut figures), quantile(&mut figures, 990));
        let what =
            format!("`{command}` anywhere in {events:.1} M events, as a process: median {}, p99", span(mid));
        let row =
            Row::told(what, span(high)).beside(format!("{} raw open", span(open)), high / open.max(1e-9));
        rows.push(row.judged("< 1 s", (high < 1.0).into()));
    }
    Ok(rows)
}

/// Some span or aggregate.
fn a_unit<R: SequenceRead>(reader: &Reader<'_, R>, at: &mut dyn FnMut() -> Position) -> Outcome<String> {
    loop {
        let Some(record) = reader.record(at())? else { continue };
        let peek = Peek::decode(record.stored())?;
        if peek.stream.starts_with("span-") || peek.stream.starts_with("agg-") {
            return Ok(peek.stream.to_owned());
        }
    }
}
