//! Writes a generated log to disk.
//!
//! Through the one door that every log is written through, snapshots included, so that what is measured afterwards is
//! a log as the engine leaves it.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use prooflog_events::envelope::native_event_id;
use prooflog_events::ids::{LogId, Position, Revision};
use prooflog_events::port::Sequence;
use prooflog_log::{Append, AppendError, By, CauseInput, CausedBy, Expected, Log, NewRecord, Ticket};
use prooflog_replay::{Cadence, Snapshots};
use prooflog_store::{OpenOptions, open};

use crate::Outcome;
use crate::generator::{Batch, Generator, Shape};

/// Appends on their way at once; the log's own queue holds more.
const WINDOW: usize = 1_024;

/// What a log was filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filled {
    /// Number of events.
    pub events: u64,
    /// Bytes that they take as they are stored, before compression.
    pub bytes: u64,
}

/// The append that writes `batch`, as the engine would hand it over.
#[must_use]
pub fn to_append(log: LogId, batch: &Batch) -> Append {
    let mut records = Vec::with_capacity(batch.events.len());
    let mut expectations: Vec<(&prooflog_core::NewEvent, String)> = Vec::new();
    let mut first: Option<CausedBy> = None;
    for event in &batch.events {
        let stream = event.stream.to_string();
        if !expectations.iter().any(|(seen, _)| seen.stream == event.stream) {
            expectations.push((event, stream.clone()));
        }
        let caused_by = |revision: Revision| {
            let event_id = native_event_id(log, &stream, revision);
            CausedBy { event_id, stream: stream.clone(), revision }
        };
        let kind = event.event.event_type();
        let mut record = NewRecord::native(stream.clone(), kind.name(), kind.version(), event.event.encode());
        record.correlation.clone_from(&event.correlation);
        // What a unit hears of follows from what was done for it before.
        let before = event.revision.0.checked_sub(1).map(|revision| caused_by(Revision(revision)));
        record.causation = first.clone().or(before);
        if first.is_none() {
            first = Some(caused_by(event.revision));
        }
        records.push(record);
    }
    let input = &batch.input;
    let cause = CauseInput { name: input.name().to_owned(), version: input.version(), bytes: input.encode() };
    let mut append = Append::new(By::Scheduler, batch.now, records).because(cause);
    for (event, stream) in expectations {
        let expected = match event.revision {
            Revision(0) => Expected::NoStream,
            Revision(next) => Expected::Exact(Revision(next - 1)),
        };
        append = append.expect(stream, expected);
    }
    append
}

/// Fills an empty log with at least `events` events, calling `progress` with the number handed over so far.
///
/// # Errors
/// When the log does not take them.
pub fn fill<S: Sequence>(
    log: &Arc<Log<S>>,
    generator: &mut Generator,
    events: u64,
    progress: &mut dyn FnMut(u64),
) -> Outcome<Filled> {
    let mut snapshots = Snapshots::start(Cadence::default(), Arc::clone(log))?;
    let mut waiting: VecDeque<Ticket> = VecDeque::with_capacity(WINDOW);
    let mut filled = Filled { events: 0, bytes: 0 };
    while filled.events < events {
        let batch = generator.next_batch()?;
        let append = to_append(log.id(), &batch);
        filled.events += batch.events.len() as u64;
        filled.bytes += append.size() as u64;
        if waiting.len() == WINDOW
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.wait()?;
        }
        let ticket = submit(log, &append, &mut waiting)?;
        waiting.push_back(ticket);
        snapshots.offer(generator.state(), Position(filled.events));
        progress(filled.events);
    }
    waiting.into_iter().try_for_each(|ticket| ticket.wait().map(drop))?;
    Ok(filled)
}

/// Hands an append over; a full queue means waiting for what is in it.
fn submit<S: Sequence>(
    log: &Log<S>,
    append: &Append,
    waiting: &mut VecDeque<Ticket>,
) -> Result<Ticket, AppendError> {
    loop {
        match log.submit(append.clone()) {
            Err(AppendError::Busy) => match waiting.pop_front() {
                Some(oldest) => drop(oldest.wait()?),
                None => return Err(AppendError::Busy),
            },
            other => return other,
        }
    }
}

/// Makes a log in `dir` and fills it.
///
/// # Errors
/// When there is one already, or it cannot be written.
pub fn make(dir: &Path, shape: Shape, events: u64, progress: &mut dyn FnMut(u64)) -> Outcome<Filled> {
    let (store, report) = open(dir, OpenOptions::or_create(shape.log()).ballast(0))?;
    if !report.created {
        return Err(format!("{} holds a log already", dir.display()).into());
    }
    let log = Arc::new(Log::open(store)?);
    let mut generator = Generator::new(shape);
    fill(&log, &mut generator, events, progress)
}
