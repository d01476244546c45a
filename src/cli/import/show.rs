//! What becomes of each row, for people and for programs.
//!
//! A proposer that ran for years leaves thousands of rows that are left as a matter of course: people see how many they
//! are, programs see each. Words of the database are cleaned before they reach a terminal. What a crash means: nothing.

use std::collections::BTreeMap;

use prooflog_core::import::{Left, Verdict};
use prooflog_events::input::ImportedProgress;
use prooflog_import::{Found, Kind, Nothing, Standing};
use serde::Serialize;

use super::super::exit::CliError;
use super::super::output::{self, Form, clean, json_line, table};
use super::Candidate;

/// Whether it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    /// It would be.
    DryRun,
    /// It was.
    Done,
}

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    row: i64,
    kind: &'static str,
    start: i64,
    end: i64,
    /// Where it stood.
    there: String,
    /// `offered`, `polled`, `open`, `kept`, `delivered` or `left`.
    here: &'static str,
    /// Version of the prover that its proof names.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Why it is left, or what follows.
    why: String,
    /// One of many that are left as a matter of course.
    #[serde(skip)]
    ordinary: bool,
}

impl Line {
    /// One for each row that was found.
    pub(super) fn all(found: &[Found], candidates: &[Candidate], verdicts: &[Verdict]) -> Vec<Self> {
        let mut lines: Vec<Self> = found.iter().map(Self::left).collect();
        for (candidate, verdict) in candidates.iter().zip(verdicts) {
            if let Some(line) = lines.get_mut(candidate.found) {
                line.judge(candidate, verdict);
            }
        }
        lines
    }

    fn left(found: &Found) -> Self {
        let (why, ordinary) = match &found.holds {
            Ok(_) => (String::new(), false),
            Err(nothing) => (nothing.to_string(), is_ordinary(nothing)),
        };
        Self {
            row: found.row,
            kind: if found.kind == Kind::Agg { "aggregate" } else { "span" },
            start: found.blocks.0,
            end: found.blocks.1,
            there: words(&found.standing),
            here: "left",
            version: None,
            why: clean(&why),
            ordinary,
        }
    }

    fn judge(&mut self, candidate: &Candidate, verdict: &Verdict) {
        self.version.clone_from(&candidate.row.version);
        let unknown_keys = candidate.row.commitments.is_none();
        let (here, why) = match (verdict, &candidate.row.progress) {
            (Verdict::Taken, ImportedProgress::Proven { .. }) if unknown_keys => {
                ("offered", "under the contract's keys, as you said".to_owned())
            }
            (Verdict::Taken, ImportedProgress::Proven { .. }) => ("offered", String::new()),
            (Verdict::Taken, ImportedProgress::Requested { proof_id }) => {
                ("polled", format!("as {proof_id}"))
            }
            (Verdict::Taken, ImportedProgress::Asked) => {
                ("open", "it has no id: tried once more, and may be paid twice".to_owned())
            }
            (Verdict::Kept, _) => {
                ("kept", "proven under keys that the contract does not accept: not offered".to_owned())
            }
            (Verdict::Delivered(unit), _) => ("delivered", format!("{unit} waits for it")),
            (Verdict::Left(left), _) => {
                self.ordinary = matches!(left, Left::Settled(_));
                ("left", left.to_string())
            }
        };
        self.here = here;
        self.why = why;
    }
}

/// What a proposer that runs for long has thousands of.
const fn is_ordinary(nothing: &Nothing) -> bool {
    matches!(
        nothing,
        Nothing::Unrequested
            | Nothing::Failed
            | Nothing::Cancelled
            | Nothing::Submitted
            | Nothing::Invalidated
    )
}

fn words(standing: &Standing) -> String {
    match standing {
        Standing::Unrequested => "unrequested".to_owned(),
        Standing::Asked => "witness".to_owned(),
        Standing::Requested => "proving".to_owned(),
        Standing::Complete => "complete".to_owned(),
        Standing::Submitted => "submitted".to_owned(),
        Standing::Failed => "failed".to_owned(),
        Standing::Cancelled => "cancelled".to_owned(),
        Standing::Invalidated => "invalidated".to_owned(),
        Standing::Unknown(word) => clean(word),
    }
}

/// Shows all of it.
pub(super) fn print(lines: &[Line], source: &str, intent: Intent, form: Form) -> Result<(), CliError> {
    output::print(|out| {
        if form == Form::Json {
            return lines.iter().try_for_each(|line| json_line(out, line));
        }
        let rows: Vec<Vec<String>> = lines
            .iter()
            .filter(|line| !line.ordinary)
            .map(|line| {
                let blocks = format!("({}, {}]", line.start, line.end);
                let version = line.version.as_deref().map(clean).unwrap_or_default();
                vec![
                    line.row.to_string(),
                    line.kind.to_owned(),
                    blocks,
                    line.there.clone(),
                    line.here.to_owned(),
                    version,
                    line.why.clone(),
                ]
            })
            .collect();
        if !rows.is_empty() {
            table(out, &["ROW", "KIND", "BLOCKS", "THERE", "HERE", "SP1", "WHY"], &rows)?;
        }
        let mut ordinary: BTreeMap<&str, usize> = BTreeMap::new();
        for line in lines.iter().filter(|line| line.ordinary) {
            *ordinary.entry(&line.why).or_default() += 1;
        }
        for (why, count) in ordinary {
            writeln!(out, "{count} left: {why}")?;
        }
        let taken = lines.iter().filter(|line| line.here != "left").count();
        let would = if intent == Intent::DryRun { "would be taken over" } else { "taken over" };
        writeln!(out, "{taken} of {} rows of {source} {would}", lines.len())?;
        if taken > 0 {
            writeln!(
                out,
                "What its rows overwrote stays unknown: earlier attempts, when and why they failed, what was paid."
            )?;
        }
        Ok(())
    })
}
