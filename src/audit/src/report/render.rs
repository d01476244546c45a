//! The report as a page of text.
//!
//! Words of others are shown so that they cannot forge a line. What a crash means: no page; nothing is kept here.

use std::fmt::{self, Write};

use prooflog_events::ids::ChainId;
use prooflog_events::phrase::Phrase;
use prooflog_projections::ChainStats;

use super::{Anomaly, Change, Intervention, Outcome, Report, Submission, interventions};
use crate::text::{clean, time};

/// The report for people.
#[must_use]
pub fn render_text(report: &Report) -> String {
    report.to_string()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "AUDIT REPORT of log {}", self.log)?;
        if self.from > self.to {
            writeln!(f, "nothing was recorded after position {} and up to {}", self.from.0 - 1, self.to)?;
        } else {
            writeln!(f, "positions {} to {}", self.from, self.to)?;
        }
        if let (Some(first), Some(last), Some(hash)) = (self.first_time, self.last_time, self.last_hash) {
            writeln!(f, "recorded {} to {}", time(first), time(last))?;
            writeln!(f, "record {} has hash {hash}", self.to)?;
        }
        totals(f, self)?;
        list(f, "INTERVENTIONS", &self.interventions, intervention)?;
        list(f, "CHANGES OF RELEASE, POLICY AND CONTRACT", &self.changes, change)?;
        list(f, "SUBMISSIONS", &self.submissions, submission)?;
        list(f, "ANOMALIES", &self.anomalies, anomaly)
    }
}

fn totals(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let totals = &report.totals;
    writeln!(f, "\nTOTALS\n{} records, {} of them of outside writers", totals.records, totals.foreign)?;
    for (actor, records) in &totals.by_actor {
        writeln!(f, "  {records:>10}  by {}", clean(actor))?;
    }
    for (name, events) in &totals.by_type {
        writeln!(f, "  {events:>10}  {name}")?;
    }
    for (chain, stats) in &totals.stats.chains {
        rollup(f, *chain, stats)?;
    }
    let (sent, reverted) = totals.stats.transactions;
    let (fees, replaced) = (totals.stats.l1_fees, totals.stats.replacements);
    writeln!(
        f,
        "L1: {sent} transactions included ({reverted} reverted), {replaced} replaced, {fees} wei paid"
    )
}

fn rollup(f: &mut fmt::Formatter<'_>, chain: ChainId, stats: &ChainStats) -> fmt::Result {
    let (spans, aggregates) = stats.proofs;
    writeln!(
        f,
        "rollup {chain}: {} spans ({} halved), {} aggregates",
        stats.spans, stats.splits, stats.aggregates
    )?;
    writeln!(f, "  {} requests, {spans} proofs of spans, {aggregates} of aggregates", stats.requests)?;
    let (wasted, maybe) = stats.duplicate_spends;
    writeln!(f, "  price told {}, untold for {} proofs", stats.cost, stats.cost_untold)?;
    writeln!(f, "  paid twice {wasted}, perhaps {maybe}; parked {}", stats.parked)?;
    writeln!(f, "  {} submissions confirmed, {} reverted", stats.confirmed, stats.reverted)?;
    for (class, failures) in &stats.failures {
        writeln!(f, "  {failures:>8}  failures: {}", class.phrase())?;
    }
    Ok(())
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    entries: &[T],
    show: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    writeln!(f, "\n{title} ({})", entries.len())?;
    entries.iter().try_for_each(|entry| show(f, entry))
}

fn intervention(f: &mut fmt::Formatter<'_>, entry: &Intervention) -> fmt::Result {
    let command = entry.command.as_ref().map_or_else(|| "a command".to_owned(), interventions::words);
    write!(f, "{:>8}  {}  {}: {command}", entry.position, time(entry.time), clean(&entry.operator))?;
    let note = if entry.note.is_empty() { "without a word".to_owned() } else { clean(&entry.note) };
    writeln!(f, " ({note})")?;
    for consequence in &entry.consequences {
        writeln!(f, "{:>8}    {}  {}", consequence.position, consequence.stream, clean(&consequence.text))?;
    }
    Ok(())
}

fn change(f: &mut fmt::Formatter<'_>, entry: &Change) -> fmt::Result {
    let text = clean(&entry.text);
    writeln!(f, "{:>8}  {}  {}  {text}", entry.position, time(entry.time), entry.stream)?;
    for field in &entry.fields {
        let now = clean(&field.now.to_string());
        match &field.before {
            Some(before) => {
                writeln!(f, "            {}: {} -> {now}", field.name, clean(&before.to_string()))?
            }
            None => writeln!(f, "            {}: {now}", field.name)?,
        }
    }
    Ok(())
}

fn submission(f: &mut fmt::Formatter<'_>, entry: &Submission) -> fmt::Result {
    let unknown = || "unknown".to_owned();
    let what = entry.aggregate.clone().unwrap_or_else(|| format!("rollup {} without proof", entry.chain));
    let block = entry.block.map_or_else(unknown, |block| block.to_string());
    let outcome = match entry.outcome {
        Outcome::Open => "open",
        Outcome::Included => "included",
        Outcome::Confirmed => "confirmed",
        Outcome::Reverted => "REVERTED",
        Outcome::Abandoned => "ABANDONED",
    };
    write!(f, "{:>8}  {}  {what}  block {block}  {outcome}", entry.position, time(entry.time))?;
    if let Some(blocks) = entry.blocks {
        write!(f, "  proves {blocks}")?;
    }
    if let Some(index) = entry.output_index {
        write!(f, "  output {index}")?;
    }
    if entry.reorgs > 0 {
        write!(f, "  taken back {} times", entry.reorgs)?;
    }
    if !entry.reason.is_empty() {
        write!(f, "  {}", clean(&entry.reason))?;
    }
    f.write_char('\n')?;
    writeln!(f, "            root         {}", entry.root.map_or_else(unknown, |root| root.to_string()))?;
    let transaction = entry.transaction.map_or_else(|| "none included".to_owned(), |tx| tx.to_string());
    writeln!(f, "            transaction  {transaction}")?;
    if let Some(block) = entry.included {
        write!(f, "            L1 block     {block}")?;
        match entry.fee {
            Some(fee) => writeln!(f, ", fee {fee} wei")?,
            None => f.write_char('\n')?,
        }
    }
    Ok(())
}

fn anomaly(f: &mut fmt::Formatter<'_>, entry: &Anomaly) -> fmt::Result {
    let (kind, text) = (entry.kind.name(), clean(&entry.text));
    writeln!(f, "{:>8}  {}  {kind:<11}  {}  {text}", entry.position, time(entry.time), entry.stream)
}
