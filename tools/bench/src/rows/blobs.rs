//! Large proofs beside small commits: how long does a commit wait for one?

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prooflog_events::ids::{LogId, Micros};
use prooflog_log::{Append, By, Log, NewRecord};
use prooflog_store::{OpenOptions, RocksStore, open};

use super::Sizes;
use crate::Outcome;
use crate::rng::Rng;
use crate::table::{Row, median, quantile, span, timed};

pub(crate) fn rows(dir: &Path, sizes: &Sizes) -> Outcome<Vec<Row>> {
    let (store, _) = open(&dir.join("log"), OpenOptions::or_create(LogId([8; 16])).ballast(0))?;
    let log = Arc::new(Log::open(store)?);
    let mut rows = Vec::new();
    for (name, bytes, proofs) in [("1.5 MB", 1_500_000, 12), ("20 MB", 20_000_000, 6)] {
        rows.push(beside(&log, name, bytes, proofs.min(sizes.turns * 2))?);
    }
    Ok(rows)
}

fn commit(log: &Log<RocksStore>) -> Outcome<f64> {
    let record = NewRecord::native("bench-small", "ProofRequested", 1, vec![7; 150]);
    let append = Append::new(By::Scheduler, Micros(1), vec![record]);
    let (seconds, done) = timed(|| log.append(append));
    done?;
    Ok(seconds)
}

/// Small commits alone, and then while proofs of `bytes` bytes are stored one after another.
fn beside(log: &Arc<Log<RocksStore>>, name: &str, bytes: usize, proofs: usize) -> Outcome<Row> {
    let mut alone = (0..400).map(|_| commit(log)).collect::<Outcome<Vec<f64>>>()?;
    let mut rng = Rng::new(bytes as u64);
    let blobs: Vec<Vec<u8>> = (0..proofs)
        .map(|_| (0..bytes.div_ceil(8)).flat_map(|_| rng.bits().to_le_bytes()).collect())
        .collect();
    let stop = AtomicBool::new(false);
    let (mut busy, stored) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let times: Result<Vec<f64>, _> = blobs
                .into_iter()
                .map(|blob| {
                    let (seconds, done) = timed(|| log.put_blob(blob));
                    done.map(|_| seconds)
                })
                .collect();
            stop.store(true, Ordering::Release);
            times
        });
        let mut busy = Vec::new();
        while !stop.load(Ordering::Acquire) {
            busy.push(commit(log)?);
        }
        let stored = writer.join().map_err(|_| "the writer of blobs panicked")??;
        Outcome::Ok((busy, stored))
    })?;
    let mut stored = stored;
    let put = span(median(&mut stored));
    let (p50, p99) = (median(&mut busy), quantile(&mut busy, 990));
    let calm = quantile(&mut alone, 990);
    let what = format!("commit beside {name} proofs (each stored in {put}): median {}, p99", span(p50));
    Ok(Row::told(what, span(p99)).beside(format!("{} alone, p99", span(calm)), p99 / calm))
}
