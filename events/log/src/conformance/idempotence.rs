//! Appending the same again.
//!
//! The same ids give the same answer and write nothing; the same ids with other content are refused; what fell out of
//! the window of remembered ids is an append like any other.
#![expect(clippy::unwrap_used, reason = "a check panics")]

use prooflog_events::envelope::native_event_id;
use prooflog_events::ids::Position;
use prooflog_events::limits::{BATCH_EVENTS_MAX, IDEMPOTENCE_WINDOW};

use super::appends::reopen;
use super::{Factory, LOG, at, batch, event, event_id, foreign};
use crate::append::{Append, AppendError, Appended, Expected, Outcome};
use crate::writer::Log;

fn repeated(first: &Appended) -> Appended {
    Appended { outcome: Outcome::Repeated, ..first.clone() }
}

fn two(expected: Expected) -> Append {
    batch(vec![foreign("s", 1, "{}"), foreign("s", 2, "[]")]).expect("s", expected)
}

/// With any expectation that the first append could have had.
pub fn repeating_gives_the_first_answer_again<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    let first = log.append(two(Expected::NoStream)).unwrap();
    let second = log
        .append(batch(vec![foreign("s", 3, "1"), foreign("t", 4, "2")]).expect("s", Expected::Exact(at(1))));
    let second = second.unwrap();
    let again = [Expected::NoStream, Expected::Any, Expected::Exists]
        .map(|expected| log.append(two(expected)).unwrap());
    assert!(again.iter().all(|answer| *answer == repeated(&first)), "{again:?}");
    let both = batch(vec![foreign("s", 3, "1"), foreign("t", 4, "2")]);
    // An expectation on a stream that is not written held then, and is not asked again.
    let both = both.expect("s", Expected::Exact(at(1))).expect("u", Expected::NoStream);
    log.append(batch(vec![event("u", "")])).unwrap();
    let answer = log.append(both).unwrap();
    assert_eq!((answer.outcome, answer.first, answer.last), (Outcome::Repeated, second.first, second.last));
    assert_eq!(log.head().position, Position(5));
}

/// What is remembered is what the log holds.
pub fn repeating_after_reopening_gives_the_first_answer_again<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    let first = log.append(two(Expected::Any)).unwrap();
    let log = Log::open(reopen(factory, log)).unwrap();
    assert_eq!(log.append(two(Expected::Any)).unwrap(), repeated(&first));
    assert_eq!(log.append(two(Expected::NoStream)).unwrap(), repeated(&first));
    assert_eq!(log.head().position, Position(2));
}

/// A native event's id is its place, so an engine that repeats an exact append repeats its ids.
pub fn native_events_repeat_by_their_place<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    let append = |payload: &str, expected| log.append(batch(vec![event("s", payload)]).expect("s", expected));
    let first = append("a", Expected::NoStream).unwrap();
    append("b", Expected::Exact(at(0))).unwrap();
    assert_eq!(append("a", Expected::NoStream).unwrap(), repeated(&first));
    let reused = AppendError::IdReused {
        event_id: native_event_id(LOG, "s", at(1)),
        stream: "s".to_owned(),
        revision: at(1),
    };
    assert_eq!(append("other", Expected::Exact(at(0))), Err(reused));
    // Without a definite place there is no id to repeat.
    assert_eq!(append("a", Expected::Any).unwrap().outcome, Outcome::Written);
}

/// Only the very append that was made is repeated.
pub fn some_known_ids_are_a_conflict<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    log.append(two(Expected::NoStream)).unwrap();
    let append = |ids: &[u64], expected| {
        let body = |id: &u64| if *id == 1 { "{}" } else { "[]" };
        log.append(batch(ids.iter().map(|id| foreign("s", *id, body(id))).collect()).expect("s", expected))
    };
    for (ids, expected) in [
        (&[1, 2, 3][..], Expected::NoStream),
        (&[1, 3], Expected::NoStream),
        (&[2, 1], Expected::NoStream),
        (&[1, 3], Expected::Any),
        (&[2], Expected::NoStream),
    ] {
        let refused = append(ids, expected);
        assert!(
            matches!(refused, Err(AppendError::Conflict { current, .. }) if current == Some(at(1))),
            "{refused:?}"
        );
    }
    // The beginning of what was written, from where it was written, is there.
    assert_eq!(append(&[1], Expected::NoStream).unwrap().outcome, Outcome::Repeated);
    assert_eq!(append(&[2], Expected::Exact(at(0))).unwrap().outcome, Outcome::Repeated);
    // One stream repeats, the other is new: this is not the append that was made.
    let mixed = batch(vec![foreign("s", 1, "{}"), foreign("new", 9, "[]")]).expect("s", Expected::NoStream);
    assert!(matches!(log.append(mixed), Err(AppendError::Conflict { .. })));
    assert_eq!(log.head().position, Position(2));
}

/// Type, content, metadata and payload belong to an id.
pub fn an_id_with_other_content_is_a_conflict<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    log.append(two(Expected::NoStream)).unwrap();
    let original = foreign("s", 1, "{}");
    let mut others = vec![original.clone(), original.clone(), original.clone(), original];
    others.iter_mut().enumerate().for_each(|(n, other)| match n {
        0 => other.payload = b"{ }".to_vec(),
        1 => other.metadata = b"[]".to_vec(),
        2 => other.type_name = "taken".to_owned(),
        _ => other.content = prooflog_events::envelope::Content::Octets,
    });
    let reused = AppendError::IdReused { event_id: event_id(1), stream: "s".to_owned(), revision: at(0) };
    for other in others {
        for expected in [Expected::NoStream, Expected::Any, Expected::Exact(at(1))] {
            let answer = log.append(batch(vec![other.clone()]).expect("s", expected));
            assert_eq!(answer, Err(reused.clone()), "{expected}");
        }
    }
    assert_eq!(log.head().position, Position(2));
}

/// Ids are looked for within their stream.
pub fn the_same_id_in_another_stream_is_another_event<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    for stream in ["a", "b"] {
        let answer = log.append(batch(vec![foreign(stream, 1, stream)])).unwrap();
        assert_eq!(answer.outcome, Outcome::Written);
    }
}

/// The window forgets, the log does not.
pub fn an_id_beyond_the_window_is_found_by_its_revision<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    let first = log.append(two(Expected::NoStream)).unwrap();
    let filler = vec![event("filler", ""); BATCH_EVENTS_MAX];
    let tickets: Vec<_> = (0..=IDEMPOTENCE_WINDOW / BATCH_EVENTS_MAX)
        .map(|_| log.submit(batch(filler.clone())).unwrap())
        .collect();
    tickets.into_iter().for_each(|ticket| drop(ticket.wait().unwrap()));
    assert_eq!(log.append(two(Expected::NoStream)).unwrap(), repeated(&first));
    let other = batch(vec![foreign("s", 1, "other")]).expect("s", Expected::NoStream);
    assert!(matches!(log.append(other), Err(AppendError::IdReused { .. })));
    // Without a revision only the window is asked, as documented: the event is written again.
    assert_eq!(log.append(two(Expected::Any)).unwrap().outcome, Outcome::Written);
}
