//! Appending: whole batches, expectations, order, poison, fencing.
//!
//! Each check makes a log of its own with the factory that it is given, and panics with what it found; none of them
//! knows which implementation it runs on.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a check panics")]

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use prooflog_events::envelope::record_hash;
use prooflog_events::ids::{Hash32, Micros, Position};
use prooflog_events::limits::{
    BATCH_EVENTS_MAX, EVENT_BYTES_MAX, QUEUE_APPENDS_MAX, STREAM_NAME_BYTES_MAX, TYPE_NAME_BYTES_MAX,
};
use prooflog_events::port::{Blob, Head, Sequence, SequenceError, SequenceRead};

use super::{Factory, LOG, at, batch, event, everything, verified};
use crate::append::{Append, AppendError, By, CauseInput, Expected, NewRecord, Outcome};
use crate::conformance::storage::Wrapped;
use crate::group::Ticket;
use crate::writer::Log;

/// Events of several streams in one append get consecutive positions, revisions of their own, and one cause.
pub fn a_batch_over_several_streams_happens_as_a_whole<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    assert_eq!(log.head(), Head::empty(LOG));
    let cause = CauseInput { name: "Seen".to_owned(), version: 1, bytes: b"input".to_vec() };
    let records = vec![event("a-1", "0"), event("b-1", "1"), event("a-1", "2"), event("c", "3")];
    let answer = log.append(batch(records.clone()).because(cause).expect("a-1", Expected::NoStream)).unwrap();
    assert_eq!((answer.outcome, answer.first, answer.last), (Outcome::Written, Position(1), Position(4)));
    let revisions = [("a-1", Some(at(1))), ("b-1", Some(at(0))), ("c", Some(at(0)))];
    assert_eq!(answer.revisions, revisions.map(|(name, revision)| (name.to_owned(), revision)));

    // One expectation that does not hold, and nothing of the batch is there.
    let refused = log.append(batch(records).expect("c", Expected::NoStream)).unwrap_err();
    let current = Some(at(0));
    assert_eq!(
        refused,
        AppendError::Conflict { stream: "c".to_owned(), expected: Expected::NoStream, current }
    );
    assert_eq!(log.head().position, Position(4));

    let all = everything(&log.reader());
    let seen: Vec<_> = all.iter().map(|record| record.envelope().unwrap()).collect();
    let places: Vec<_> = seen.iter().map(|e| (e.position.0, e.stream, e.revision.0, e.payload)).collect();
    let expected: [(u64, &str, u64, &[u8]); 4] =
        [(1, "a-1", 0, b"0"), (2, "b-1", 0, b"1"), (3, "a-1", 1, b"2"), (4, "c", 0, b"3")];
    assert_eq!(places, expected);
    assert!(seen.iter().all(|e| e.batch_first == Position(1) && e.batch_len == 4));
    assert_eq!(seen[0].cause.unwrap().bytes, b"input");
    assert!(seen[1..].iter().all(|e| e.cause.is_none()));
    assert_eq!(log.head().hash, record_hash(all[3].stored()));
    assert_eq!(verified(log.sequence()), 3);
}

/// Any, no stream, exists and exact, where they hold and where they do not.
pub fn each_expectation_holds_or_names_both_revisions<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    let append = |expected| log.append(batch(vec![event("s", "x")]).expect("s", expected));
    let conflict =
        |expected, current| Err(AppendError::Conflict { stream: "s".to_owned(), expected, current });
    assert_eq!(append(Expected::Exists), conflict(Expected::Exists, None));
    assert_eq!(append(Expected::Exact(at(0))), conflict(Expected::Exact(at(0)), None));
    assert!(append(Expected::NoStream).is_ok());
    assert!(append(Expected::Exists).is_ok());
    assert!(append(Expected::Any).is_ok());
    assert!(append(Expected::Exact(at(2))).is_ok());
    assert_eq!(append(Expected::Exact(at(9))), conflict(Expected::Exact(at(9)), Some(at(3))));
    assert_eq!(
        log.append(batch(vec![]).expect("s", Expected::Exact(at(3)))).unwrap().outcome,
        Outcome::Empty
    );
    let empty = log.append(batch(vec![]).expect("s", Expected::Exact(at(2))));
    assert_eq!(empty, conflict(Expected::Exact(at(2)), Some(at(3))));
    assert_eq!(
        log.append(batch(vec![]).expect("none", Expected::Any)).unwrap().revisions,
        [("none".to_owned(), None)]
    );
    assert_eq!(log.head().position, Position(4));
}

/// An expectation on a stream that is only looked at.
pub fn expectations_bind_streams_that_are_not_written<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    log.append(batch(vec![event("policy", "0"), event("policy", "1")])).unwrap();
    let append = |expected| log.append(batch(vec![event("work", "x")]).expect("policy", expected));
    assert!(append(Expected::Exact(at(1))).is_ok());
    let expected = Expected::Exact(at(0));
    let refused = AppendError::Conflict { stream: "policy".to_owned(), expected, current: Some(at(1)) };
    assert_eq!(append(expected), Err(refused));
    assert!(append(Expected::NoStream).is_err());
    let unmet = log.append(batch(vec![event("work", "y")]).expect("nowhere", Expected::Exists));
    assert!(matches!(unmet, Err(AppendError::Conflict { current: None, .. })));
    assert_eq!(log.head().position, Position(3));
}

/// Limits and nonsense.
pub fn what_no_log_could_accept_is_refused<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    let large = |append: Append| matches!(log.append(append), Err(AppendError::TooLarge { .. }));
    let invalid = |append: Append| matches!(log.append(append), Err(AppendError::Invalid(_)));
    assert!(large(batch(vec![event("s", ""); BATCH_EVENTS_MAX + 1])));
    assert!(large(batch(vec![event("s", &"x".repeat(EVENT_BYTES_MAX))])));
    assert!(large(batch(vec![event("s", &"x".repeat(EVENT_BYTES_MAX / 2)); 3])));
    assert!(large(batch(vec![event(&"s".repeat(STREAM_NAME_BYTES_MAX + 1), "")])));
    assert!(large(batch(vec![NewRecord::native("s", "t".repeat(TYPE_NAME_BYTES_MAX + 1), 1, vec![])])));
    assert!(invalid(batch(vec![event("", "")])));
    assert!(invalid(batch(vec![NewRecord::native("s", "", 1, vec![])])));
    assert!(invalid(batch(vec![NewRecord::native("s", "T", 0, vec![])])));
    assert!(invalid(batch(vec![event("s", "")]).expect("s", Expected::Any).expect("s", Expected::NoStream)));
    let mut foreign = super::foreign("s", 1, "{}");
    foreign.event_id = None;
    assert!(invalid(batch(vec![foreign])));
    let mut lying = batch(vec![event("s", "")]);
    lying.blobs.push(Blob { hash: Hash32([1; 32]), bytes: b"other".to_vec() });
    assert!(invalid(lying));
    let mut missing = batch(vec![event("s", "")]);
    missing.named.push(Hash32([1; 32]));
    assert_eq!(log.append(missing), Err(AppendError::MissingBlob(Hash32([1; 32]))));
    assert_eq!(log.head(), Head::empty(LOG));
}

/// Recorded is the later of the previous and the given time.
pub fn times_never_go_back_and_a_batch_has_one<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    let append = |log: &Log<F::Sequence>, now| {
        log.append(Append::new(By::System, Micros(now), vec![event("s", ""), event("s", "")])).unwrap();
    };
    for now in [50, 40, 60] {
        append(&log, now);
    }
    let sequence = reopen(factory, log);
    let log = Log::open(sequence).unwrap();
    append(&log, 10);
    let times =
        everything(&log.reader()).iter().map(|r| r.envelope().unwrap().recorded_at.0).collect::<Vec<_>>();
    assert_eq!(times, [50, 50, 50, 50, 60, 60, 60, 60]);
}

/// Closes a log and opens its sequence again.
pub fn reopen<F: Factory>(factory: &F, log: Log<F::Sequence>) -> F::Sequence {
    factory.reopened(log.into_sequence().unwrap())
}

/// Many threads, one log: every answer is true, and the log is gapless.
pub fn positions_revisions_and_hashes_are_gapless_under_many_writers<F: Factory>(factory: &F) {
    const WRITERS: u64 = 8;
    const APPENDS: u64 = 25;
    let log = Log::open(factory.fresh()).unwrap();
    let start = Barrier::new(8);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (log, start) = (&log, &start);
            scope.spawn(move || {
                start.wait();
                let own = format!("own-{writer}");
                for n in 0..APPENDS {
                    let payload = format!("{writer}/{n}");
                    let expected =
                        n.checked_sub(1).map_or(Expected::NoStream, |last| Expected::Exact(at(last)));
                    let records = vec![event(&own, &payload), event("shared-1", &payload)];
                    let answer = log.append(batch(records).expect(&own, expected)).unwrap();
                    let first = log.reader().record(answer.first).unwrap().unwrap();
                    let first = first.envelope().unwrap();
                    assert_eq!((first.stream, first.revision), (own.as_str(), at(n)));
                    assert_eq!(first.payload, payload.as_bytes());
                }
            });
        }
    });
    assert_eq!(log.head().position, Position(WRITERS * APPENDS * 2));
    assert_eq!(verified(log.sequence()), WRITERS + 1);
    assert_eq!(log.sequence().stream_head("shared-1").unwrap().unwrap().revision, at(WRITERS * APPENDS - 1));
}

/// The first failed write is told as such; after it everything is refused, and reading goes on.
pub fn after_a_failed_write_nothing_is_accepted<F: Factory>(factory: &F) {
    let log = Log::open(Wrapped::new(factory.fresh())).unwrap();
    log.append(batch(vec![event("s", "kept")])).unwrap();
    log.sequence().fail_next();
    let failed = log.append(batch(vec![event("s", "lost")]));
    assert!(matches!(failed, Err(AppendError::WriteFailed(SequenceError::Unavailable { .. }))), "{failed:?}");
    for _ in 0..2 {
        let refused = log.append(batch(vec![event("s", "later")]));
        assert!(matches!(refused, Err(AppendError::Poisoned(_))), "{refused:?}");
    }
    assert!(matches!(log.submit(batch(vec![])), Err(AppendError::Poisoned(_))));
    assert!(log.put_blob(vec![1]).is_err());
    assert!(log.poisoned().is_some());
    assert_eq!(everything(&log.reader()).len(), 1);
    let wrapped = log.into_sequence().unwrap();
    let log = Log::open(factory.reopened(wrapped.into_inner())).unwrap();
    assert_eq!(log.append(batch(vec![event("s", "again")])).unwrap().last, Position(2));
}

/// Submitted appends are decided and answered in order, by tickets and by callbacks.
pub fn answers_come_in_the_order_of_the_appends<F: Factory>(factory: &F) {
    let log = Log::open(factory.fresh()).unwrap();
    let (answers, heard) = channel();
    let answers = Arc::new(Mutex::new(answers));
    for n in 0..100_u64 {
        let answers = Arc::clone(&answers);
        let expected = n.checked_sub(1).map_or(Expected::NoStream, |last| Expected::Exact(at(last)));
        let append = batch(vec![event("s", &n.to_string())]).expect("s", expected);
        log.submit_with(append, move |answer| answers.lock().unwrap().send(answer.unwrap().last.0).unwrap())
            .unwrap();
    }
    // Behind all of them, on a state that only the queue knows.
    let last = log.append(batch(vec![event("s", "last")]).expect("s", Expected::Exact(at(99)))).unwrap();
    assert_eq!(last.last, Position(101));
    assert_eq!(heard.iter().take(100).collect::<Vec<_>>(), (1..=100).collect::<Vec<_>>());
    let tickets: Vec<_> = (0..50).map(|_| log.submit(batch(vec![event("t", "")])).unwrap()).collect();
    let positions: Vec<_> = tickets.into_iter().map(|ticket| ticket.wait().unwrap().last.0).collect();
    assert_eq!(positions, (102..=151).collect::<Vec<_>>());
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Whoever must not wait gives a callback: it is called once, before or after the call returns, and never is the caller
/// held up by a write under way.
pub fn a_caller_who_must_not_wait_is_answered_once<F: Factory>(factory: &F) {
    let log = Log::open(Wrapped::new(factory.fresh())).unwrap();
    let (answers, answered) = channel();
    let append = |stream: &str, text: &str| {
        let answers = answers.clone();
        log.append_with(batch(vec![event(stream, text)]), move |answer| answers.send(answer).unwrap())
            .unwrap();
    };
    for n in 1..=20 {
        append("alone", "");
        assert_eq!(answered.recv().unwrap().unwrap().last, Position(n));
    }
    let hold = log.sequence().hold();
    let under_way = log.submit(batch(vec![event("alone", "under way")])).unwrap();
    while log.sequence().commits().len() < 21 {
        thread::yield_now();
    }
    append("alone", "behind it");
    assert!(answered.try_recv().is_err(), "answered before it is durable");
    drop(hold);
    assert_eq!(under_way.wait().unwrap().last, Position(21));
    assert_eq!(answered.recv().unwrap().unwrap().last, Position(22));
    thread::scope(|scope| {
        for writer in 0..4 {
            let append = &append;
            scope.spawn(move || (0..25).for_each(|_| append(&format!("of-{writer}"), "")));
        }
    });
    let mut places: Vec<_> = (0..100).map(|_| answered.recv().unwrap().unwrap().last.0).collect();
    places.sort_unstable();
    assert_eq!(places, (23..=122).collect::<Vec<_>>());
    assert_eq!(verified(log.sequence()), 5);
}

/// A ticket is a future: its task is woken once the append is durable, also when another thread took the task over.
pub fn a_task_waits_for_its_append<F: Factory>(factory: &F) {
    let log = Log::open(Wrapped::new(factory.fresh())).unwrap();
    let hold = log.sequence().hold();
    let mut ticket = log.submit(batch(vec![event("s", "")])).unwrap();
    let poll = |ticket: &mut Ticket, thread| {
        let waker = Waker::from(Arc::new(Unpark(thread)));
        Pin::new(ticket).poll(&mut Context::from_waker(&waker))
    };
    assert_eq!(poll(&mut ticket, thread::current()), Poll::Pending);
    let (begins, begun) = channel();
    let answer = thread::scope(|scope| {
        let task = scope.spawn(move || {
            let mut seen = poll(&mut ticket, thread::current());
            assert_eq!(seen, Poll::Pending);
            begins.send(()).unwrap();
            loop {
                match seen {
                    Poll::Ready(answer) => return answer,
                    Poll::Pending => thread::park(),
                }
                seen = poll(&mut ticket, thread::current());
            }
        });
        begun.recv().unwrap();
        drop(hold);
        task.join().unwrap()
    });
    assert_eq!(answer.unwrap().last, Position(1));
    // Answered before it is asked.
    let mut ticket = log.submit(batch(vec![event("s", "")])).unwrap();
    log.append(batch(vec![event("s", "behind it")])).unwrap();
    assert!(matches!(poll(&mut ticket, thread::current()), Poll::Ready(Ok(_))));
}

/// While a write hangs the queue fills, says busy, and loses nothing that it accepted.
pub fn a_full_queue_says_busy<F: Factory>(factory: &F) {
    let log = Log::open(Wrapped::new(factory.fresh())).unwrap();
    let hold = log.sequence().hold();
    let mut tickets = Vec::new();
    let refused = loop {
        match log.submit(batch(vec![event("s", &"x".repeat(1_000))])) {
            Ok(ticket) => tickets.push(ticket),
            Err(error) => break error,
        }
        // What waits for the disk in the second stage is bounded too.
        assert!(tickets.len() < 4 * QUEUE_APPENDS_MAX, "the queue has no end");
    };
    assert_eq!(refused, AppendError::Busy);
    drop(hold);
    let accepted = tickets.len() as u64;
    for ticket in tickets {
        ticket.wait().unwrap();
    }
    assert_eq!(log.head().position, Position(accepted));
}

/// A commit made on another head is refused by the sequence itself.
pub fn another_writer_is_fenced_off<F: Factory>(factory: &F) {
    let log = Log::open(Wrapped::new(factory.fresh())).unwrap();
    log.append(batch(vec![event("s", "")])).unwrap();
    let records = {
        let mut records = prooflog_events::port::RecordBatch::default();
        let all = everything(&log.reader());
        records.push(all[0].stored());
        records
    };
    let stale = prooflog_events::port::Commit {
        expected: Head::empty(LOG),
        head: log.head(),
        records: &records,
        blobs: &[],
        named: &[],
        forgotten: &[],
    };
    let refused = log.sequence().append(stale).unwrap_err();
    assert_eq!(refused, SequenceError::Fenced { expected: Position(0), found: Position(1) });
    assert_eq!(everything(&log.reader()).len(), 1);
}
