//! Durable appends.
//!
//! The yardstick is RocksDB with the same records and index keys, one synced write per event and 64 per synced batch:
//! what the disk allows when nothing is checked.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use prooflog_events::ids::{LogId, Micros};
use prooflog_log::{Append, By, Log, NewRecord};
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
        many_writers(&log, &mut raw, sizes)?,
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
    for _ in 0..sizes.turns {
        let (seconds, done) =
            timed(|| (0..sizes.appends).try_for_each(|_| raw.append("bench-one", &payload, 1)));
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

fn many_writers(log: &Arc<Log<RocksStore>>, raw: &mut Raw, sizes: &Sizes) -> Outcome<Row> {
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let each = sizes.appends / 4;
    let payload = [7; EVENT_BYTES];
    for _ in 0..sizes.turns {
        let (seconds, done) =
            timed(|| (0..each).try_for_each(|_| raw.append("bench-many", &payload, WRITERS)));
        done?;
        let raw_rate = (each * WRITERS) as f64 / seconds;
        let prepared: Vec<Vec<Append>> = (0..WRITERS)
            .map(|writer| {
                let mut rng = Rng::new(writer);
                (0..each).map(|_| event(&format!("bench-{writer}"), &mut rng)).collect()
            })
            .collect();
        let (seconds, failed) = timed(|| {
            std::thread::scope(|scope| {
                let writers: Vec<_> = prepared
                    .into_iter()
                    .map(|appends| {
                        scope.spawn(move || {
                            appends.into_iter().try_for_each(|append| log.append(append).map(drop))
                        })
                    })
                    .collect();
                writers
                    .into_iter()
                    .filter(|_| true)
                    .map(|writer| writer.join())
                    .any(|end| !matches!(end, Ok(Ok(()))))
            })
        });
        if failed {
            return Err("a writer failed".into());
        }
        let rate = (each * WRITERS) as f64 / seconds;
        ours.push(rate);
        theirs.push(raw_rate);
        ratios.push(rate / raw_rate);
    }
    let ratio = median(&mut ratios);
    Ok(Row::told("durable appends, 64 writers", rate(median(&mut ours)))
        .beside(format!("{} raw, 64 per synced batch", rate(median(&mut theirs))), ratio)
        .judged("≥ 0.45", (ratio >= 0.45).into()))
}
