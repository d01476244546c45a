//! SIGKILL at random moments: what was acknowledged is there, the log is whole, and repeating is harmless.

use std::thread;

use prooflog_events::envelope::blob_hash;
use prooflog_events::ids::{EventId, Hash32, Position, Revision};
use prooflog_events::port::SequenceRead;
use prooflog_log::conformance::{Numbers, batch, event, foreign};
use prooflog_log::{Append, Expected, Log, Outcome};
use prooflog_store::RocksStore;

use crate::common::{Part, command, content, create, part_dir, reopen, say, with_blob};

/// Kills per test. Six tests make 300, side by side where there are processors.
const ROUNDS: u64 = 50;
const WRITERS: u64 = 3;

/// The append that makes revision `revision` (and the next) of a writer's stream.
fn nth(stream: &str, revision: u64) -> Append {
    let expected = revision.checked_sub(1).map_or(Expected::NoStream, |last| Expected::Exact(Revision(last)));
    // In a stream without a definite revision only an id of its own makes an event repeatable.
    let mut shared = foreign("shared", revision, stream);
    shared.event_id = shared
        .event_id
        .map(|id| EventId(blob_hash(&[&id.0, stream.as_bytes()].concat()).0[..16].try_into().unwrap()));
    let records = vec![event(stream, &format!("a{revision}")), shared, event(stream, "b")];
    batch(records).expect(stream, expected)
}

fn next_revision(log: &Log<RocksStore>, stream: &str) -> u64 {
    log.sequence().stream_head(stream).unwrap().map_or(0, |head| head.revision.0 + 1)
}

/// Not a test by itself: the process that is killed. It says what was acknowledged: writer, revision, position, hash.
#[test]
fn part_appends_until_killed() {
    let Some(dir) = part_dir() else { return };
    let log = reopen(&dir);
    say("open");
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let log = &log;
            scope.spawn(move || {
                let stream = format!("writer-{writer}");
                for n in 0.. {
                    let revision = next_revision(log, &stream);
                    let answer = log.append(nth(&stream, revision)).unwrap();
                    let hash = log.reader().record(answer.last).unwrap().unwrap().hash();
                    say(&format!("{writer} {revision} {} {hash}", answer.last));
                    if n % 8 == writer {
                        let append = with_blob(
                            log,
                            "blobs",
                            format!("{writer}{revision}").repeat(100_000).into_bytes(),
                        );
                        log.append(append).unwrap();
                    }
                }
            });
        }
    });
}

struct Heard {
    writer: u64,
    revision: u64,
    position: Position,
    hash: Hash32,
}

fn parse(line: &str) -> Option<Heard> {
    let mut words = line.split(' ');
    Some(Heard {
        writer: words.next()?.parse().ok()?,
        revision: words.next()?.parse().ok()?,
        position: words.next()?.parse().ok()?,
        hash: words.next()?.parse().ok()?,
    })
}

fn kill_again_and_again(seed: u64) {
    let dirs = tempfile::tempdir().unwrap();
    let mut numbers = Numbers::new(seed);
    let mut acknowledged = 0;
    let mut torn = 0;
    for round in 0..ROUNDS {
        let dir = dirs.path().join((round / 10).to_string());
        if round % 10 == 0 {
            drop(create(&dir));
        }
        let mut part = Part::start(command("crash::part_appends_until_killed", &dir));
        assert_eq!(part.hear().as_deref(), Some("open"), "seed {seed} round {round}");
        let mut heard: Vec<Heard> = Vec::new();
        for _ in 0..numbers.below(40) {
            heard.extend(part.hear().as_deref().and_then(parse));
        }
        // The moment within the next write is left to the machine, and moved a little by the seed.
        for _ in 0..numbers.below(20_000) {
            std::hint::spin_loop();
        }
        part.kill();
        // What it said before it died counts as well; a line cut short was not said.
        while let Some(line) = part.hear() {
            heard.extend(parse(&line).filter(|heard| line.ends_with(&heard.hash.to_string())));
        }
        acknowledged += heard.len();
        let (store, report) = crate::common::try_open(&dir).unwrap();
        torn += usize::from(!report.notes.is_empty());
        check(&Log::open(store).unwrap(), &heard, &format!("seed {seed} round {round}"));
    }
    assert!(
        acknowledged as u64 > ROUNDS,
        "only {acknowledged} appends were acknowledged: nothing was tested"
    );
    println_note(&format!("seed {seed}: {acknowledged} acknowledged, {torn} opens with something to mend"));
}

fn check(log: &Log<RocksStore>, heard: &[Heard], moment: &str) {
    let content = content(log.sequence()).unwrap_or_else(|error| panic!("{moment}: {error:?}"));
    assert_eq!(content.records.len() as u64, log.head().position.0, "{moment}");
    for heard in heard {
        let record = log.reader().record(heard.position).unwrap();
        let hash = record.map(|record| record.hash());
        assert_eq!(hash, Some(heard.hash), "{moment}: acknowledged position {}", heard.position);
    }
    // Both events of an append are there or none.
    for writer in 0..WRITERS {
        assert_eq!(next_revision(log, &format!("writer-{writer}")) % 2, 0, "{moment}");
    }
    let before = log.head();
    for heard in heard.iter().rev().take(5) {
        let answer = log.append(nth(&format!("writer-{}", heard.writer), heard.revision)).unwrap();
        assert_eq!((answer.outcome, answer.last), (Outcome::Repeated, heard.position), "{moment}");
    }
    assert_eq!(log.head(), before, "{moment}");
}

fn println_note(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[test]
fn killed_300_times_part_1() {
    kill_again_and_again(1);
}

#[test]
fn killed_300_times_part_2() {
    kill_again_and_again(2);
}

#[test]
fn killed_300_times_part_3() {
    kill_again_and_again(3);
}

#[test]
fn killed_300_times_part_4() {
    kill_again_and_again(4);
}

#[test]
fn killed_300_times_part_5() {
    kill_again_and_again(5);
}

#[test]
fn killed_300_times_part_6() {
    kill_again_and_again(6);
}
