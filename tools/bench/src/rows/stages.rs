//! What a fold's time goes into: reading, envelopes, events, and applying them.
//!
//! Each stage is walked with those before it, on one thread, and the difference is its own cost. Counted is the time
//! that the thread was running, as the kernel says, so that a busy machine shows little of its other work.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::Path;

use prooflog_events::envelope::Envelope;
use prooflog_events::ids::Position;
use prooflog_events::port::SequenceRead;
use prooflog_log::read::Reader;
use prooflog_projections::State;
use prooflog_replay::{decode, encode, fact_of, key};
use prooflog_store::ReadOnlyStore;

use super::Sizes;
use crate::Outcome;
use crate::raw;
use crate::table::{Row, median, span, timed};

/// Events walked: enough for a steady figure.
const EVENTS: u64 = 1_000_000;

/// Seconds that this thread has been running.
fn running() -> Outcome<f64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos: u64 = told.split_whitespace().next().unwrap_or_default().parse()?;
    Ok(nanos as f64 / 1e9)
}

/// Seconds that `work` keeps this thread running.
fn cost(work: impl FnOnce() -> Outcome<()>) -> Outcome<f64> {
    let before = running()?;
    work()?;
    Ok(running()? - before)
}

/// What is done with a record, up to one stage.
type Stage<'s> = &'s mut dyn FnMut(Position, &[u8]) -> Outcome<()>;

pub(crate) fn rows(dir: &Path, sizes: &Sizes) -> Outcome<Vec<Row>> {
    let store = ReadOnlyStore::open(dir)?;
    let db = raw::open_log(dir)?;
    let reader = Reader::new(&store)?;
    let to = Position(reader.head().position.0.min(EVENTS));
    let walk = |stage: Stage<'_>| {
        cost(|| {
            let mut failed = None;
            reader.for_each(Position(1), to, &mut |position, stored| match stage(position, stored) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            })?;
            failed.map_or(Ok(()), Err)
        })
    };
    let mut costs: [Vec<f64>; 5] = Default::default();
    for _ in 0..sizes.turns {
        let mut state = State::new(store.log_id());
        let raw = cost(|| raw::scan_to(&db, to).map(drop))?;
        let reading = walk(&mut |_, _| Ok(()))?;
        let envelopes = walk(&mut |_, stored| {
            black_box(Envelope::decode(stored)?);
            Ok(())
        })?;
        let facts = walk(&mut |position, stored| {
            black_box(fact_of(position, stored)?);
            Ok(())
        })?;
        let folded = walk(&mut |position, stored| {
            if let Some(fact) = fact_of(position, stored)? {
                state.apply(&fact)?;
            }
            if position.0.is_multiple_of(4_096) {
                drop(state.take_touched());
            }
            Ok(())
        })?;
        let each = [raw, reading, envelopes - reading, facts - envelopes, folded - facts];
        costs.iter_mut().zip(each).for_each(|(all, cost)| all.push(cost / to.0 as f64));
    }
    let [raw, reading, envelope, event, applying] = costs.map(|mut all| median(&mut all));
    let whole = reading + envelope + event + applying;
    let what = format!(
        "an event folded on one thread: read {}, its envelope {}, the event {}, applied {}",
        span(reading),
        span(envelope),
        span(event),
        span(applying)
    );
    Ok(vec![Row::told(what, span(whole)).beside(format!("{} raw scan", span(raw)), raw / whole)])
}

/// What becomes of the newest snapshot of the log in `dir`; `live` names it.
pub(crate) fn snapshot(dir: &Path, sizes: &Sizes, live: u64) -> Outcome<Vec<Row>> {
    let store = ReadOnlyStore::open(dir)?;
    let reader = Reader::new(&store)?;
    let (mut reads, mut decodes, mut encodes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut size, mut plain) = (0, 0);
    for _ in 0..sizes.turns {
        let (seconds, found) = timed(|| reader.snapshot(&key(), reader.head().position));
        let Some(snapshot) = found? else { return Ok(Vec::new()) };
        reads.push(seconds);
        size = snapshot.bytes.len();
        let (seconds, state) = timed(|| decode(&snapshot.bytes));
        let state = state?;
        decodes.push(seconds);
        let (seconds, bytes) = timed(|| encode(&state));
        if bytes != snapshot.bytes {
            return Err("a snapshot changes when it is read and written".into());
        }
        encodes.push(seconds);
        plain = state.to_bytes().len();
    }
    let what = format!(
        "a snapshot with {live} live, {} kB instead of {} kB: read {}, written {}, decoded",
        size / 1_000,
        plain / 1_000,
        span(median(&mut reads)),
        span(median(&mut encodes))
    );
    Ok(vec![Row::told(what, span(median(&mut decodes)))])
}
