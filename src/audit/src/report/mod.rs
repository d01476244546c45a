//! A page for an auditor: what happened between two positions, and nothing that a person must know left out.
//!
//! Interventions are everything that a person made the engine do, with name and words. Changes are what the engine
//! rested on: its release, its policies, the contract. Submissions are what went to L1, each with its transaction and
//! output root, also where it began before the first position. Anomalies are what did not go as it should. Lists are
//! complete or the report is refused; a record that cannot be read ends it with its position.

mod anomaly;
mod changes;
mod interventions;
mod render;
mod submissions;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use prooflog_events::envelope::{Actor, Envelope, record_hash};
use prooflog_events::event::Event;
use prooflog_events::ids::{Hash32, LogId, Micros, Position, Revision, StreamId};
use prooflog_events::port::{Direction, SequenceRead};
use prooflog_log::read::Reader;
use prooflog_projections::{Fact, Stats};
use serde::Serialize;

use crate::error::AuditError;

pub use anomaly::{Anomaly, AnomalyKind};
pub use changes::{Change, FieldChange};
pub use interventions::{Consequence, Intervention};
pub use render::render_text;
pub use submissions::{Outcome, Submission};

/// Most entries of one list: some hundred megabytes, and more than anyone reads.
pub const ENTRIES_MAX: usize = 1_000_000;

/// Events of a stream read at once when its past is looked up.
const LOOKUP_PAGE: usize = 256;

/// What happened between two positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The log.
    pub log: LogId,
    /// The first position looked at.
    pub from: Position,
    /// The last position looked at.
    pub to: Position,
    /// When the first record was written; `None` if there is none.
    pub first_time: Option<Micros>,
    /// When the last record was written.
    pub last_time: Option<Micros>,
    /// Hash of the last record, which a proof of inclusion ties to a checkpoint.
    pub last_hash: Option<Hash32>,
    /// Numbers.
    pub totals: Totals,
    /// Everything that a person made the engine do.
    pub interventions: Vec<Intervention>,
    /// Every change of what decisions rest on.
    pub changes: Vec<Change>,
    /// Every submission that something happened to.
    pub submissions: Vec<Submission>,
    /// Everything that did not go as it should.
    pub anomalies: Vec<Anomaly>,
}

/// Numbers of a report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Records.
    pub records: u64,
    /// Records by who made them.
    pub by_actor: BTreeMap<String, u64>,
    /// The engine's events by type.
    pub by_type: BTreeMap<&'static str, u64>,
    /// Records of outside writers, which mean nothing to the engine.
    pub foreign: u64,
    /// What was done and paid.
    pub stats: Stats,
}

/// Reads `from..=to` into a report.
///
/// # Errors
/// [`AuditError::Ask`] when the positions make no sense or a list would pass [`ENTRIES_MAX`]; otherwise when a record
/// cannot be read or is not known to this release, with its position.
pub fn report<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    log: LogId,
    from: Position,
    to: Position,
) -> Result<Report, AuditError> {
    let head = reader.head().position;
    let from = from.max(Position(1));
    if to > head || from > to.next() {
        let text = format!("from {from} to {to} there is nothing to report: the log ends at position {head}");
        return Err(AuditError::Ask(text));
    }
    let mut fold = Fold::new(reader, log, (from, to));
    let mut failed = None;
    reader.for_each(from, to, &mut |position, stored| match fold.record(position, stored) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failed.map_or_else(|| Ok(fold.finish()), Err)
}

/// A report in the making.
struct Fold<'r, 's, R: SequenceRead + ?Sized> {
    past: Past<'r, 's, R>,
    report: Report,
    changes: changes::Changes,
    anomalies: anomaly::Anomalies,
    submissions: submissions::Submissions,
}

impl<'r, 's, R: SequenceRead + ?Sized> Fold<'r, 's, R> {
    fn new(reader: &'r Reader<'s, R>, log: LogId, (from, to): (Position, Position)) -> Self {
        let report = Report {
            log,
            from,
            to,
            first_time: None,
            last_time: None,
            last_hash: None,
            totals: Totals::default(),
            interventions: Vec::new(),
            changes: Vec::new(),
            submissions: Vec::new(),
            anomalies: Vec::new(),
        };
        let (changes, anomalies, submissions) = Default::default();
        Self { past: Past { reader }, report, changes, anomalies, submissions }
    }

    fn record(&mut self, position: Position, stored: &[u8]) -> Result<(), AuditError> {
        let envelope =
            Envelope::decode(stored).map_err(|source| AuditError::Envelope { position, source })?;
        let report = &mut self.report;
        report.first_time.get_or_insert(envelope.recorded_at);
        report.last_time = Some(envelope.recorded_at);
        if position == report.to {
            report.last_hash = Some(record_hash(stored));
        }
        report.totals.records += 1;
        let actor = envelope.actor.to_string();
        *report.totals.by_actor.entry(actor).or_default() += 1;
        let Some(fact) = Fact::of(&envelope)? else {
            report.totals.foreign += 1;
            return Ok(());
        };
        *report.totals.by_type.entry(fact.event.event_type().name()).or_default() += 1;
        report.totals.stats.apply(&fact);
        if let Actor::Operator(name) = envelope.actor {
            interventions::add(&mut report.interventions, name, &envelope, &fact, &self.past)?;
        }
        report.changes.extend(self.changes.apply(&fact, &self.past)?);
        report.anomalies.extend(self.anomalies.apply(&fact, &self.past)?);
        self.submissions.apply(&fact, &self.past)?;
        let lists = [report.interventions.len(), report.changes.len(), report.anomalies.len()];
        if lists.into_iter().chain([self.submissions.len()]).any(|entries| entries > ENTRIES_MAX) {
            let text =
                format!("more than {ENTRIES_MAX} entries in a list up to position {position}: ask for less");
            return Err(AuditError::Ask(text));
        }
        Ok(())
    }

    fn finish(mut self) -> Report {
        self.report.submissions = self.submissions.finish();
        self.report
    }
}

/// What was before the first position, looked up where it is needed.
struct Past<'r, 's, R: SequenceRead + ?Sized> {
    reader: &'r Reader<'s, R>,
}

impl<R: SequenceRead + ?Sized> Past<'_, '_, R> {
    /// Shows the events of a stream below a position, oldest first.
    fn of(
        &self,
        stream: StreamId,
        below: Position,
        visit: &mut dyn FnMut(&Fact<'_>),
    ) -> Result<(), AuditError> {
        self.walk(stream, Revision(0), Direction::Forward, &mut |fact| {
            if fact.position >= below {
                return ControlFlow::Break(());
            }
            visit(fact);
            ControlFlow::Continue(())
        })
    }

    /// The newest event before a fact on its stream of which `pick` makes something.
    fn newest<T>(
        &self,
        fact: &Fact<'_>,
        pick: impl Fn(&Event) -> Option<T>,
    ) -> Result<Option<T>, AuditError> {
        let Some(last) = fact.revision.0.checked_sub(1) else { return Ok(None) };
        let mut found = None;
        self.walk(fact.stream, Revision(last), Direction::Backward, &mut |earlier| {
            found = pick(&earlier.event);
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(found)
    }

    fn walk(
        &self,
        stream: StreamId,
        from: Revision,
        direction: Direction,
        visit: &mut dyn FnMut(&Fact<'_>) -> ControlFlow<()>,
    ) -> Result<(), AuditError> {
        let stream = stream.to_string();
        let mut next = Some(from);
        while let Some(from) = next {
            let page = self.reader.stream(&stream, from, direction, LOOKUP_PAGE)?;
            for record in &page.records {
                if let Some(fact) = Fact::of(&record.envelope()?)?
                    && visit(&fact).is_break()
                {
                    return Ok(());
                }
            }
            next = page.next;
        }
        Ok(())
    }
}
