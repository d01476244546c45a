//! Rows of the table and how they are printed.
//!
//! And the little statistics that they need: medians and percentiles of durations, ratios, counts with their unit.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde::Serialize;

/// One figure and what it is held against.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// The figure, with its unit.
    pub ours: String,
    /// The yardstick measured in the same run, with its unit; empty where there is none.
    pub yardstick: String,
    /// Ours against the yardstick.
    pub ratio: Option<f64>,
    /// What is to be reached.
    pub target: String,
    /// Whether it was; `None` for what is only told.
    pub reached: Option<bool>,
}

impl Row {
    /// A figure that is told and not judged.
    #[must_use]
    pub fn told(what: impl Into<String>, ours: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            ours: ours.into(),
            yardstick: String::new(),
            ratio: None,
            target: String::new(),
            reached: None,
        }
    }

    /// The same, beside a yardstick.
    #[must_use]
    pub fn beside(mut self, yardstick: impl Into<String>, ratio: f64) -> Self {
        self.yardstick = yardstick.into();
        self.ratio = Some(ratio);
        self
    }

    /// The same, judged.
    #[must_use]
    pub fn judged(mut self, target: impl Into<String>, verdict: Verdict) -> Self {
        self.target = target.into();
        self.reached = Some(verdict == Verdict::Reached);
        self
    }
}

/// Whether a target was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was.
    Reached,
    /// It was not.
    Missed,
}

impl From<bool> for Verdict {
    fn from(reached: bool) -> Self {
        if reached { Self::Reached } else { Self::Missed }
    }
}

/// The table for people, as Markdown.
#[must_use]
pub fn markdown(rows: &[Row]) -> String {
    let mut cells: Vec<[String; 6]> =
        vec![["What", "Ours", "Yardstick, same run", "Ratio", "Reach", ""].map(str::to_owned)];
    for row in rows {
        let ratio = row.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let verdict = match row.reached {
            Some(true) => "reached",
            Some(false) => "MISSED",
            None => "",
        };
        cells.push([
            row.what.clone(),
            row.ours.clone(),
            row.yardstick.clone(),
            ratio,
            row.target.clone(),
            verdict.to_owned(),
        ]);
    }
    let widths: Vec<usize> = (0..6)
        .map(|column| {
            cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for (nth, row) in cells.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(out, "| {cell:<width$} ");
        }
        out.push_str("|\n");
        if nth == 0 {
            for width in &widths {
                let _ = write!(out, "|{}", "-".repeat(width + 2));
            }
            out.push_str("|\n");
        }
    }
    out
}

/// The value at `permille` of the sorted figures; 0 of none.
#[must_use]
pub fn quantile(figures: &mut [f64], permille: usize) -> f64 {
    figures.sort_by(f64::total_cmp);
    let at = figures.len().saturating_sub(1) * permille / 1_000;
    figures.get(at).copied().unwrap_or(0.0)
}

/// The middle one.
#[must_use]
pub fn median(figures: &mut [f64]) -> f64 {
    quantile(figures, 500)
}

/// Seconds that `work` takes, with what it gives.
pub fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed().as_secs_f64(), result)
}

/// Seconds of its own processor time that `work` takes, with what it gives: what it costs, whoever else is at work.
pub fn worked<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let spent = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let start = spent();
    let result = work();
    (spent() - start, result)
}

/// A time for people.
#[must_use]
pub fn span(seconds: f64) -> String {
    let shown = Duration::from_secs_f64(seconds.max(0.0));
    match seconds {
        s if s < 1e-6 => format!("{:.0} ns", s * 1e9),
        s if s < 1e-3 => format!("{:.1} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        _ => format!("{:.2} s", shown.as_secs_f64()),
    }
}

/// A rate for people.
#[must_use]
pub fn rate(per_second: f64) -> String {
    match per_second {
        r if r >= 1e6 => format!("{:.2} M/s", r / 1e6),
        r if r >= 1e4 => format!("{:.0} k/s", r / 1e3),
        r => format!("{r:.0} /s"),
    }
}
