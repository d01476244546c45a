//! Walking the whole log: folding it, verifying it, against a raw scan of the same database.

use std::ops::ControlFlow;
use std::path::Path;

use prooflog_events::port::SequenceRead;
use prooflog_log::read::Reader;
use prooflog_log::verify;
use prooflog_replay::fold_to;
use prooflog_store::ReadOnlyStore;

use super::Sizes;
use crate::Outcome;
use crate::raw;
use crate::table::{Row, median, rate, timed};

pub(crate) fn rows(dir: &Path, sizes: &Sizes) -> Outcome<Vec<Row>> {
    let store = ReadOnlyStore::open(dir)?;
    let db = raw::open_log(dir)?;
    let reader = Reader::new(&store)?;
    let (log, head) = (store.log_id(), reader.head().position);
    let events = head.0 as f64;
    let turns = sizes.turns.min(5);
    let (mut folds, mut scans, mut walks, mut verifies) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut fold_ratios, mut verify_ratios) = (Vec::new(), Vec::new());
    // The first scan brings the files into memory and counts for nobody.
    let (_, bytes) = raw::scan(&db)?;
    for _ in 0..turns {
        let (seconds, scanned) = timed(|| raw::scan(&db));
        if scanned?.0 != head.0 {
            return Err("the raw scan sees another log".into());
        }
        let (walk, done) = timed(|| {
            let mut bytes = 0;
            reader.for_each(prooflog_events::ids::Position(1), head, &mut |_, stored| {
                bytes += stored.len();
                ControlFlow::Continue(())
            })
        });
        done?;
        let (fold, state) = timed(|| fold_to(&reader, log, head));
        drop(state?);
        let (check, verified) = timed(|| verify(&store, &mut |_| ControlFlow::Continue(())));
        if verified?.head != reader.head() {
            return Err("verification ended at another head".into());
        }
        scans.push(events / seconds);
        walks.push(events / walk);
        folds.push(events / fold);
        verifies.push(events / check);
        fold_ratios.push(seconds / fold);
        verify_ratios.push(seconds / check);
    }
    let yardstick = format!("{} raw scan", rate(median(&mut scans)));
    let (fold, fold_ratio) = (median(&mut folds), median(&mut fold_ratios));
    let verified = median(&mut verifies);
    Ok(vec![
        Row::told(
            format!(
                "records read in place, {:.1} M events of {:.0} bytes",
                events / 1e6,
                bytes as f64 / events
            ),
            rate(median(&mut walks)),
        )
        .beside(yardstick.clone(), median(&mut walks) / median(&mut scans)),
        Row::told("fold of the whole log, events", rate(fold))
            .beside(yardstick.clone(), fold_ratio)
            .judged("≥ 1.5 M/s and ≥ 0.30", (fold >= 1.5e6 && fold_ratio >= 0.3).into()),
        Row::told("verify, records", rate(verified))
            .beside(yardstick, median(&mut verify_ratios))
            .judged("≥ 1 M/s", (verified >= 1e6).into()),
    ])
}
