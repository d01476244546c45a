//! State at a random position: a snapshot and a short fold.

use std::path::Path;

use prooflog_events::ids::Position;
use prooflog_events::port::SequenceRead;
use prooflog_log::read::Reader;
use prooflog_replay::{newest, state_at};
use prooflog_store::ReadOnlyStore;

use super::Sizes;
use crate::Outcome;
use crate::raw;
use crate::rng::Rng;
use crate::table::{Row, quantile, span, timed};

/// Visits random positions of the log in `dir`; `live` names it, `limit` is the target in seconds.
pub(crate) fn row(dir: &Path, sizes: &Sizes, live: u64, limit: f64) -> Outcome<Row> {
    let store = ReadOnlyStore::open(dir)?;
    let db = raw::open_log(dir)?;
    let reader = Reader::new(&store)?;
    let (log, head) = (store.log_id(), reader.head().position);
    let mut rng = Rng::new(3);
    let (mut times, mut gets, mut folded) = (Vec::new(), Vec::new(), 0);
    for _ in 0..sizes.visits {
        let at = Position(rng.between(1, head.0));
        let (seconds, got) = timed(|| raw::get(&db, at));
        got?;
        gets.push(seconds);
        let (seconds, state) = timed(|| state_at(&reader, log, at));
        drop(state?);
        times.push(seconds);
    }
    for _ in 0..sizes.visits.min(20) {
        let at = Position(rng.between(1, head.0));
        folded += at.0 - newest(&reader, log, at).map_or(0, |taken| taken.position.0);
    }
    let (mid, high) = (quantile(&mut times, 500), quantile(&mut times, 990));
    let events = head.0 as f64 / 1e6;
    let what = format!(
        "state at a random position of {events:.1} M events, {live} live: median {}, {} events folded, p99",
        span(mid),
        folded / sizes.visits.clamp(1, 20)
    );
    let raw = quantile(&mut gets, 990);
    Ok(Row::told(what, span(high))
        .beside(format!("{} raw get, p99", span(raw)), high / raw.max(1e-9))
        .judged(format!("< {}", span(limit)), (high < limit).into()))
}
