//! Durable appends.
//!
//! The yardstick is RocksDB with the same records and the same index keys (a stream per writer), one synced write per event
//! and 64 per synced batch: what the disk allows when nothing is checked. Many writers are measured as tasks that await
//! their tickets, which is how the engine and the server append, and as threads that sleep, whose waking is most of what
//! they cost.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use prooflog_events::ids::{LogId, Micros};
use prooflog_log::{Append, AppendError, By, Log, NewRecord};
use prooflog_store::{OpenOptions, RocksStore, open};

use super::Sizes;
use crate::Outcome;
use crate::raw::Raw;
use crate::rng::Rng;
use crate::table::{Row, median, rate, timed};

/// Bytes of one stored event.
const EVENT_BYTES: usize = 256;
/// What the envelope around the payload takes.
const ENVELOPE_BYTES: usize = 105;
const WRITERS: u64 = 64;

pub(crate) fn rows(dir: &Path, sizes: &Sizes) -> Outcome<Vec<Row>> {
    let mut raw = Raw::create(&dir.join("raw"))?;
    let (store, _) = open(&dir.join("log"), OpenOptions::or_create(LogId([7; 16])).ballast(0))?;
    let log = Arc::new(Log::open(store)?);
    Ok(vec![
        syncs(dir, sizes.appends)?,
        one_writer(&log, &mut raw, sizes)?,
        many_writers(&log, &mut raw, sizes, Waiting::Tasks)?,
        many_writers(&log, &mut raw, sizes, Waiting::Threads)?,
    ])
}

fn syncs(dir: &Path, times: u64) -> Outcome<Row> {
    let mut file = File::create(dir.join("sync"))?;
    let (seconds, done) = timed(|| -> Outcome<()> {
        for nth in 0..times {
            file.seek(SeekFrom::Start(nth % 64 * 4_096))?;
            file.write_all(&[1; 512])?;
            file.sync_data()?;
        }
        Ok(())
    });
    done?;
    Ok(Row::told("fdatasync of 512 bytes", rate(times as f64 / seconds)))
}

fn event(stream: &str, rng: &mut Rng) -> Append {
    let mut payload = vec![0; EVENT_BYTES - ENVELOPE_BYTES];
    payload.iter_mut().for_each(|byte| *byte = rng.bits().to_le_bytes()[0]);
    let record = NewRecord::native(stream, "ProofRequested", 1, payload);
    Append::new(By::Scheduler, Micros(1), vec![record])
}

fn one_writer(log: &Log<RocksStore>, raw: &mut Raw, sizes: &Sizes) -> Outcome<Row> {
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut rng = Rng::new(1);
    let payload = [7; EVENT_BYTES];
    let stream = ["bench-one".to_owned()];
    for _ in 0..sizes.turns {
        let (seconds, done) = timed(|| (0..sizes.appends).try_for_each(|_| raw.append(&stream, &payload)));
        done?;
        let raw_rate = sizes.appends as f64 / seconds;
        let appends: Vec<Append> = (0..sizes.appends).map(|_| event("bench-one", &mut rng)).collect();
        let (seconds, done) =
            timed(|| appends.into_iter().try_for_each(|append| log.append(append).map(drop)));
        done?;
        let rate = sizes.appends as f64 / seconds;
        ours.push(rate);
        theirs.push(raw_rate);
        ratios.push(rate / raw_rate);
    }
    let ratio = median(&mut ratios);
    Ok(Row::told("durable appends, 1 writer", rate(median(&mut ours)))
        .beside(format!("{} raw, one synced write each", rate(median(&mut theirs))), ratio)
        .judged("≥ 0.85", (ratio >= 0.85).into()))
}

/// How the concurrent writers wait for their answers.
#[derive(Debug, Clone, Copy)]
enum Waiting {
    /// Each is a task that awaits its ticket: a server, an engine.
    Tasks,
    /// Each is a thread that sleeps until it is answered.
    Threads,
}

/// Many writers, each of which appends one event, waits until it is durable, and appends the next.
fn many_writers(log: &Arc<Log<RocksStore>>, raw: &mut Raw, sizes: &Sizes, waiting: Waiting) -> Outcome<Row> {
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let each = sizes.appends / 4;
    let payload = [7; EVENT_BYTES];
    let streams: Vec<String> = (0..WRITERS).map(|writer| format!("bench-{writer}")).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    for _ in 0..sizes.turns {
        let (seconds, done) = timed(|| (0..each).try_for_each(|_| raw.append(&streams, &payload)));
        done?;
        let raw_rate = (each * WRITERS) as f64 / seconds;
        let prepared: Vec<Vec<Append>> = (0..WRITERS)
            .zip(&streams)
            .map(|(writer, stream)| {
                let mut rng = Rng::new(writer);
                (0..each).map(|_| event(stream, &mut rng)).collect()
            })
            .collect();
        let (seconds, done) = match waiting {
            Waiting::Tasks => timed(|| runtime.block_on(by_tasks(log, prepared))),
            Waiting::Threads => timed(|| by_threads(log, prepared)),
        };
        done?;
        let rate = (each * WRITERS) as f64 / seconds;
        ours.push(rate);
        theirs.push(raw_rate);
        ratios.push(rate / raw_rate);
    }
    let ratio = median(&mut ratios);
    let (what, target) = match waiting {
        Waiting::Tasks => ("durable appends, 64 writers, each a task", Some(0.45)),
        Waiting::Threads => ("the same, each a sleeping thread", None),
    };
    let row = Row::told(what, rate(median(&mut ours)))
        .beside(format!("{} raw, 64 per synced batch", rate(median(&mut theirs))), ratio);
    Ok(match target {
        Some(least) => row.judged(format!("≥ {least}"), (ratio >= least).into()),
        None => row,
    })
}

async fn by_tasks(log: &Arc<Log<RocksStore>>, prepared: Vec<Vec<Append>>) -> Outcome<()> {
    let mut tasks = tokio::task::JoinSet::new();
    for appends in prepared {
        let log = Arc::clone(log);
        tasks.spawn(async move {
            for append in appends {
                log.submit(append)?.await?;
            }
            Ok::<(), AppendError>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

fn by_threads(log: &Arc<Log<RocksStore>>, prepared: Vec<Vec<Append>>) -> Outcome<()> {
    std::thread::scope(|scope| {
        let append_all = |appends: Vec<Append>| {
            scope.spawn(move || appends.into_iter().try_for_each(|append| log.append(append).map(drop)))
        };
        let writers: Vec<_> = prepared.into_iter().map(append_all).collect();
        for writer in writers {
            writer.join().map_err(|_| "a writer panicked")??;
        }
        Ok(())
    })
}
