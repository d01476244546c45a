//! The table of metrics: what one is called, what it says, which labels it has, and what stands there before a value
//! is known.
//!
//! Registration, the exposition and `docs/metrics.md` all come from it. One metric may have several names, because
//! dashboards of older proposers know it under theirs: two names of one value cannot disagree. Every label has a fixed
//! set of values, so no input can make the number of series grow.

use std::fmt::Write as _;

use super::{legacy, own, process};

/// How a metric is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Grows from 0 at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of values up to each of these bounds.
    Histogram(&'static [f64]),
}

/// What a metric is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The whole process.
    Process,
    /// One rollup: label `chain` where the process serves several.
    Chain,
}

/// What stands there while no value is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// 0: it counts what this process saw.
    Zero,
    /// NaN.
    Nan,
    /// No sample.
    Absent,
}

/// A label and all values that it can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: &'static [&'static str],
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Def {
    /// Its names; the same value stands under each.
    pub names: &'static [&'static str],
    /// How it is read.
    pub kind: Kind,
    /// What it is about.
    pub scope: Scope,
    /// Its labels beside `chain`, two at most.
    pub labels: &'static [Label],
    /// What stands there while no value is known.
    pub unknown: Unknown,
    /// Its unit.
    pub unit: &'static str,
    /// What it says.
    pub help: &'static str,
}

/// Declares metrics as statics, and the list of them.
macro_rules! table {
    ($($id:ident: $kind:expr, $scope:ident, $unknown:ident, [$($label:expr),*], $unit:literal, $help:literal,
        [$($name:literal),+ $(,)?];)*) => {
        $(pub(crate) static $id: Def = Def {
            names: &[$($name),+],
            kind: $kind,
            scope: Scope::$scope,
            labels: &[$($label),*],
            unknown: Unknown::$unknown,
            unit: $unit,
            help: $help,
        };)*
        /// All metrics declared here.
        pub(crate) static TABLE: &[&Def] = &[$(&$id),*];
    };
}
pub(crate) use table;

impl Def {
    /// The name under which values are kept.
    pub(crate) const fn key(&self) -> &'static str {
        match self.names {
            [first, ..] => first,
            [] => "",
        }
    }

    /// All combinations of label values; one empty combination without labels.
    pub(crate) fn combinations(&self) -> Vec<[&'static str; 2]> {
        match self.labels {
            [] => vec![["", ""]],
            [one] => one.values.iter().map(|value| [*value, ""]).collect(),
            [one, two, ..] => {
                one.values.iter().flat_map(|a| two.values.iter().map(move |b| [*a, *b])).collect()
            }
        }
    }
}

/// Every metric, in the order of the exposition: our own first, then the names that dashboards already
/// read.
pub fn all() -> impl Iterator<Item = &'static Def> {
    own::TABLE.iter().chain(legacy::TABLE).chain(process::TABLE).copied()
}

/// `docs/metrics.md`.
#[must_use]
pub fn document() -> String {
    let mut text = String::from(INTRODUCTION);
    section(&mut text, "Our own", own::TABLE);
    section(&mut text, "Names that dashboards already read", legacy::TABLE);
    section(&mut text, "The process", process::TABLE);
    text
}

const INTRODUCTION: &str = "\
# Metrics

Made from the table in `src/observe/src/metrics/`; a test compares. To write it anew:
`PROOFLOG_UPDATE_DOCS=1 cargo test -p prooflog-observe`.

`GET /metrics` on `--metrics.addr`, `--metrics.port` (127.0.0.1:7300), Prometheus text format. What to alert on and
what to do then stands in [operations.md](operations.md).

- A process that serves one rollup shows no label `chain`; one that serves several puts the L2 chain id there on every
  metric *per chain*.
- **Unknown is not zero.** A value that cannot be read now is NaN, or absent where the table says so: the node does not
  answer, the last answer is older than ten minutes, or the loop does not hand out its state. In PromQL `x != x` is true
  for NaN and only for it.
- Counters, and the gauges of older proposers that count, begin at 0 with the process.
- Every label has a fixed set of values.
";

fn section(text: &mut String, title: &str, table: &[&Def]) {
    let _ = write!(text, "\n## {title}\n\n| Name | Kind | Per | Labels | Unit | Unknown is | Meaning |\n");
    text.push_str("|---|---|---|---|---|---|---|\n");
    for def in table {
        let names: Vec<String> = def.names.iter().map(|name| format!("`{name}`")).collect();
        let labels: Vec<&str> = def.labels.iter().map(|label| label.name).collect();
        let kind = match def.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let scope = if def.scope == Scope::Chain { "chain" } else { "process" };
        let unknown = match def.unknown {
            Unknown::Zero => "0",
            Unknown::Nan => "NaN",
            Unknown::Absent => "absent",
        };
        let row = [
            names.join("<br>"),
            kind.into(),
            scope.into(),
            if labels.is_empty() { "-".into() } else { labels.join(", ") },
            def.unit.into(),
            unknown.into(),
            def.help.into(),
        ];
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    let mut seen: Vec<(&str, &[&str])> = Vec::new();
    for label in table.iter().flat_map(|def| def.labels) {
        if !seen.contains(&(label.name, label.values)) {
            seen.push((label.name, label.values));
        }
    }
    if !seen.is_empty() {
        text.push_str("\nValues of the labels:\n\n");
    }
    for (name, values) in seen {
        let _ = writeln!(text, "- `{name}`: {}", values.join(", ").replace('<', "\\<"));
    }
}
