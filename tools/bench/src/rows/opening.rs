//! Opening a log as the engine does, and the memory that takes, in a process of its own.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use prooflog_log::Log;
use prooflog_replay::{fold_to, state_at_head};
use prooflog_store::{OpenOptions, open};
use serde::{Deserialize, Serialize};

use super::Sizes;
use crate::Outcome;
use crate::raw;
use crate::table::{Row, Verdict, median, span, timed};

/// What a process of its own measured.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Probe {
    store: f64,
    log: f64,
    state: f64,
    fold: f64,
    /// Resident kilobytes after the open with a snapshot, and the most after folding everything.
    resident: u64,
    peak: u64,
    events: u64,
}

/// Opens the log in `dir` for writing; runs in a child process.
pub(crate) fn probe(dir: &Path) -> Outcome<Probe> {
    let start = Instant::now();
    let (store, _) = open(dir, OpenOptions::existing().ballast(0))?;
    let store_seconds = start.elapsed().as_secs_f64();
    let (log_seconds, log) = timed(|| Log::open(store));
    let log = log?;
    let (state_seconds, state) = timed(|| state_at_head(&log));
    let state = state?;
    let resident = memory("VmRSS:")?;
    let (fold, folded) = timed(|| fold_to(&log.reader(), log.id(), log.head().position));
    if folded?.digest() != state.digest() {
        return Err("the state from a snapshot is not the state from the whole log".into());
    }
    let events = log.head().position.0;
    Ok(Probe {
        store: store_seconds,
        log: log_seconds,
        state: state_seconds,
        fold,
        resident,
        peak: memory("VmHWM:")?,
        events,
    })
}

fn memory(field: &str) -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    Ok(line.split_whitespace().next().unwrap_or("0").parse()?)
}

fn child(dir: &Path) -> Outcome<Probe> {
    let output = Command::new(std::env::current_exe()?).arg("probe").arg("--dir").arg(dir).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

pub(crate) fn rows(dir: &Path, sizes: &Sizes) -> Outcome<Vec<Row>> {
    let (mut opens, mut raws, mut stores, mut logs, mut states) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut resident, mut peak, mut events) = (0, 0, 0);
    for _ in 0..sizes.turns.min(5) {
        let (seconds, db) = timed(|| raw::open_log(dir));
        drop(db?);
        raws.push(seconds);
        let probe = child(dir)?;
        opens.push(probe.store + probe.log + probe.state);
        stores.push(probe.store);
        logs.push(probe.log);
        states.push(probe.state);
        resident = probe.resident.max(resident);
        peak = probe.peak.max(peak);
        events = probe.events;
    }
    let whole = median(&mut opens);
    let parts = format!(
        "store {}, log {}, state {}",
        span(median(&mut stores)),
        span(median(&mut logs)),
        span(median(&mut states))
    );
    let raw = median(&mut raws);
    let megabytes = |kilobytes: u64| kilobytes as f64 / 1_024.0;
    let verdict: Verdict = (whole < 1.0).into();
    Ok(vec![
        Row::told(format!("open of {:.1} M events: {parts}", events as f64 / 1e6), span(whole))
            .beside(format!("{} raw open", span(raw)), whole / raw)
            .judged("< 1 s", verdict),
        Row::told("resident memory, opened with 1,000 live", format!("{:.0} MB", megabytes(resident)))
            .judged("< 200 MB", (megabytes(resident) < 200.0).into()),
        Row::told("most resident memory while folding all of it", format!("{:.0} MB", megabytes(peak)))
            .judged("< 200 MB", (megabytes(peak) < 200.0).into()),
    ])
}
