//! The engine's appends beside those from outside.
#![expect(clippy::unwrap_used, reason = "a check panics")]

use prooflog_events::ids::{Micros, Position};
use prooflog_events::limits::{GROUP_OUTSIDE_BYTES_MAX, QUEUE_BYTES_MAX};

use super::storage::Wrapped;
use super::{Factory, batch, event, foreign};
use crate::append::{Append, AppendError, By};
use crate::writer::Log;

/// Bytes of one append from outside: three of them are more than a commit takes.
const LARGE: usize = GROUP_OUTSIDE_BYTES_MAX * 2 / 5;

/// What somebody outside appends.
fn outside(id: u64, bytes: usize) -> Append {
    let record = foreign("notes", id, &"x".repeat(bytes));
    Append::new(By::Client("ann".to_owned()), Micros(1_000_000), vec![record])
}

/// While a write is in progress outsiders queue, and then the engine comes: it is in the next commit, first, and with
/// it no more of theirs than one commit takes. Theirs keep their order.
pub fn the_engines_appends_overtake_those_from_outside<F: Factory>(factory: &F) {
    let log = Log::open(Wrapped::new(factory.fresh())).unwrap();
    let hold = log.sequence().hold();
    let under_way = log.submit(batch(vec![event("s", "under way")])).unwrap();
    while log.sequence().commits().is_empty() {
        std::thread::yield_now();
    }
    let theirs: Vec<_> = (0..9).map(|id| log.submit(outside(id, LARGE)).unwrap()).collect();
    let ours: Vec<_> =
        ["first", "second"].map(|text| log.submit(batch(vec![event("s", text)])).unwrap()).into();
    drop(hold);
    assert_eq!(under_way.wait().unwrap().last, Position(1));
    let place = |ticket: crate::group::Ticket| ticket.wait().unwrap().last.0;
    assert_eq!(ours.into_iter().map(place).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(theirs.into_iter().map(place).collect::<Vec<_>>(), (4..=12).collect::<Vec<_>>());
    assert_eq!(log.sequence().commits(), [1, 5, 3, 3]);
}

/// Outsiders who fill their part of the queue are refused; the engine is not.
pub fn a_queue_full_of_appends_from_outside_takes_the_engines<F: Factory>(factory: &F) {
    let log = Log::open(Wrapped::new(factory.fresh())).unwrap();
    let hold = log.sequence().hold();
    let mut theirs = Vec::new();
    let refused = loop {
        match log.submit(outside(theirs.len() as u64, LARGE)) {
            Ok(ticket) => theirs.push(ticket),
            Err(error) => break error,
        }
        assert!(theirs.len() * LARGE < 2 * QUEUE_BYTES_MAX, "the queue has no end");
    };
    assert_eq!(refused, AppendError::Busy);
    let ours = log.submit(batch(vec![event("s", "in time")])).unwrap();
    drop(hold);
    let ours = ours.wait().unwrap().last;
    assert!(ours < Position(10), "the engine's append is record {ours:?}");
    theirs.into_iter().for_each(|ticket| drop(ticket.wait().unwrap()));
    assert!(log.sequence().commits().iter().all(|records| *records <= 4));
}
