//! An export reproduces the log exactly, and nothing that was tampered with is taken.
//!
//! Each way to damage a file must be named by its place; what stood before it may be imported, nothing after it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::io::BufReader;

use prooflog_events::envelope::{Actor, Content, Envelope, record_hash};
use prooflog_events::ids::{EventId, LogId, Micros, Position, Revision};
use prooflog_events::port::{Head, SequenceRead};
use prooflog_log::export::{ExportError, export, import, read_header};
use prooflog_log::{Append, By, Log, MemorySequence, NewRecord};
use proptest::prelude::*;

const LOG: LogId = LogId([5; 16]);

fn sample(batches: &[usize]) -> (Vec<String>, Head) {
    let log = Log::open(MemorySequence::new(LOG)).unwrap();
    for (number, size) in batches.iter().enumerate() {
        let record = |at: usize| {
            NewRecord::native(format!("chain-{}", at % 2), "Paused", 1, format!("{number}/{at}").into_bytes())
        };
        log.append(Append::new(By::Scheduler, Micros(number as u64), (0..*size).map(record).collect()))
            .unwrap();
    }
    let mut out = Vec::new();
    export(&log.reader(), LOG, &mut out).unwrap();
    (String::from_utf8(out).unwrap().lines().map(str::to_owned).collect(), log.head())
}

fn read(lines: &[String]) -> (MemorySequence, Result<Head, ExportError>) {
    let text = lines.join("\n") + "\n";
    let mut input = BufReader::new(text.as_bytes());
    let target = MemorySequence::new(LOG);
    let result = read_header(&mut input).and_then(|header| import(header, &mut input, &target));
    (target, result)
}

#[test]
fn an_import_has_the_same_head_and_exports_to_the_same_lines() {
    let (lines, head) = sample(&[1, 3, 2]);
    let (target, result) = read(&lines);
    assert_eq!(result.unwrap(), head);
    let log = Log::open(target).unwrap();
    let mut again = Vec::new();
    export(&log.reader(), LOG, &mut again).unwrap();
    assert_eq!(String::from_utf8(again).unwrap().lines().collect::<Vec<_>>(), lines);
}

#[test]
fn a_dropped_a_swapped_and_a_missing_last_record_are_named() {
    let (lines, head) = sample(&[1, 1, 1, 1]);
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat();
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    let doubled = [&lines[..3], &lines[2..]].concat();
    for (tampered, position) in [(without(2), 2), (swapped, 2), (doubled, 3)] {
        let (target, result) = read(&tampered);
        assert!(
            matches!(result, Err(ExportError::Record { position: Position(p), .. }) if p == position),
            "{result:?}"
        );
        assert!(target.head().unwrap().position < Position(position));
    }
    let (_, result) = read(&without(4));
    assert!(result.unwrap_err().to_string().contains(&head.position.to_string()));
}

#[test]
fn a_batch_that_claims_to_be_larger_than_any_is_not_waited_for() {
    // One record after another that chains, each of a batch that never ends: a stranger can make as many as they like.
    let (mut lines, mut head) = (Vec::new(), Head::empty(LOG));
    for number in 1..=600_u64 {
        let stored = Envelope {
            position: Position(number),
            stream: "chain-1",
            revision: Revision(number - 1),
            type_name: "Paused",
            event_id: EventId([0; 16]),
            version: 1,
            content: Content::Native,
            recorded_at: Micros(1),
            correlation: "chain-1",
            causation: None,
            actor: Actor::Scheduler,
            batch_first: Position(1),
            batch_len: u32::MAX,
            prev: head.hash,
            cause: None,
            metadata: b"",
            payload: b"",
        }
        .encode();
        head = Head { position: Position(number), hash: record_hash(&stored) };
        let stored: String = stored.iter().map(|byte| format!("{byte:02x}")).collect();
        lines.push(format!(r#"{{"hash":"{}","stored":"0x{stored}"}}"#, head.hash));
    }
    let header = format!(
        r#"{{"prooflog_export":1,"log":"{LOG}","head":{{"position":"600","hash":"{}"}}}}"#,
        head.hash
    );
    lines.insert(0, header);
    let (target, result) = read(&lines);
    assert!(matches!(result, Err(ExportError::Record { position: Position(513), .. })), "{result:?}");
    assert_eq!(target.head().unwrap().position, Position::ZERO);
}

proptest! {
    #[test]
    fn no_changed_character_is_taken_for_the_original(at in 0_usize..4_000, with in "[0-9a-f]") {
        let (lines, head) = sample(&[2, 1]);
        let mut text = lines.join("\n").into_bytes();
        let at = at % text.len();
        prop_assume!(text[at] != with.as_bytes()[0]);
        text[at] = with.as_bytes()[0];
        let lines: Vec<String> = String::from_utf8(text).unwrap().lines().map(str::to_owned).collect();
        let (target, result) = read(&lines);
        // Words beside the stored bytes may differ without harm; the records themselves never do.
        if let Ok(found) = result {
            prop_assert_eq!(found, head);
            prop_assert_eq!(target.head().unwrap(), head);
        }
    }

    #[test]
    fn arbitrary_text_is_refused_without_a_panic(text in ".{0,300}") {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        prop_assert!(read(&lines).1.is_err());
    }
}
