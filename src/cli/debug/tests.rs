//! The debugger on golden logs, key by key, without a terminal.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::path::PathBuf;

use prooflog_events::envelope::Envelope;
use prooflog_events::ids::Position;
use prooflog_log::MemorySequence;
use prooflog_log::conformance::forging::{holding, rewrite, stored};
use prooflog_log::export::{export, import, read_header};
use prooflog_log::read::Reader;
use prooflog_replay::fold_to;
use proptest::prelude::*;

use super::super::source::{Moment, Source};
use super::breaks::{Breakpoint, Pattern};
use super::history::{Budget, History};
use super::keys::{Key, Keys};
use super::model::{Debugger, Message};
use super::view::KEYS;
use super::{Size, screen};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/logs/format-1").join(name)
}

fn history(name: &str) -> History {
    History::new(Source::open(&path(name), Moment::HEAD).unwrap())
}

fn open(name: &str, at: u64) -> Debugger {
    Debugger::open(path(name), history(name), Position(at), None)
}

fn press(debugger: &mut Debugger, keys: &str) {
    for key in keys.parse::<Keys>().unwrap().0 {
        debugger.key(key);
        debugger.finish();
    }
}

fn said(debugger: &Debugger) -> String {
    match &debugger.message {
        Some(Message::Fact(text) | Message::Problem(text)) => text.clone(),
        None => String::new(),
    }
}

#[test]
fn every_state_on_the_way_is_the_one_that_the_log_folds_to() {
    let mut history = history("split.jsonl");
    let (log, head) = (history.source().log(), history.head().0);
    let forward: Vec<u64> = (0..=head).collect();
    let backward: Vec<u64> = (0..=head).rev().collect();
    let about: Vec<u64> = (0..200).map(|n| n * 7_919 % (head + 1)).collect();
    for at in [forward, backward, about].concat() {
        let (first, last) = history.batch(Position(at)).unwrap();
        let end = if last.0 == at { last } else { Position(first.0 - 1) };
        let state = history.state(end, &mut Budget(u64::MAX)).unwrap().unwrap();
        let folded = fold_to(&history.source().reader(), log, end).unwrap();
        assert_eq!(state.digest(), folded.digest(), "at {end}");
    }
}

#[test]
fn a_fold_in_pieces_comes_to_the_same_state() {
    let mut history = history("retry-until-parked.jsonl");
    let head = history.head();
    let mut pieces = 0;
    let state = loop {
        pieces += 1;
        if let Some(state) = history.state(head, &mut Budget(50)).unwrap() {
            break state;
        }
        let (at, target) = history.folded().unwrap();
        assert!(at < target && target == head);
    };
    assert!(pieces > 5, "{pieces}");
    let folded = fold_to(&history.source().reader(), history.source().log(), head).unwrap();
    assert_eq!(state.digest(), folded.digest());
}

#[test]
fn what_a_key_does_another_one_undoes() {
    let mut debugger = open("retry-until-parked.jsonl", 272);
    for (there, back) in [("n", "p"), ("<pgdn>", "<pgup>"), ("<right>", "<left>"), ("j", "k"), (".", "'")] {
        press(&mut debugger, "/Parked<enter>:272<enter>");
        press(&mut debugger, there);
        press(&mut debugger, back);
        assert_eq!(debugger.cursor, Position(272), "{there} {back}");
    }
    press(&mut debugger, "g");
    assert_eq!(debugger.cursor, Position(1));
    press(&mut debugger, "p");
    assert_eq!(debugger.cursor, Position(0));
    press(&mut debugger, "p");
    assert!(said(&debugger).contains("before the first"), "{}", said(&debugger));
    press(&mut debugger, "G");
    assert_eq!(debugger.cursor, debugger.history.head());
    press(&mut debugger, "n");
    assert!(said(&debugger).contains("newest"));
}

#[test]
fn places_are_positions_distances_and_times() {
    let mut debugger = open("retry-until-parked.jsonl", 272);
    for (place, wanted) in [
        ("300", 300),
        ("+12", 312),
        ("-12", 300),
        ("head~1", debugger.history.head().0 - 1),
        ("2025-06-15T15:42:29Z", 272),
        ("1m ago", debugger.history.head().0),
        ("0", 0),
    ] {
        press(&mut debugger, &format!(":{place}<enter>"));
        if place == "2025-06-15T15:42:29Z" {
            // Times are told to the second: this one ends before what was recorded in the rest of it.
            assert!(debugger.cursor.0 < 272 && debugger.cursor.0 > 260, "{}", debugger.cursor);
        } else {
            assert_eq!(debugger.cursor.0, wanted, "{place}");
        }
    }
    let before = debugger.cursor;
    for wrong in ["yesterday", "99999999", "+x", "-"] {
        press(&mut debugger, &format!(":{wrong}<enter>"));
        assert_eq!(debugger.cursor, before, "{wrong}");
        assert!(!said(&debugger).is_empty(), "{wrong}");
    }
}

#[test]
fn searches_find_types_requests_and_what_belongs_to_them_both_ways() {
    let mut debugger = open("retry-until-parked.jsonl", 0);
    press(&mut debugger, "/parked<enter>");
    assert_eq!(debugger.cursor, Position(272));
    press(&mut debugger, ".");
    assert!(said(&debugger).contains("no parked after this"), "{}", said(&debugger));
    press(&mut debugger, "G,");
    assert_eq!(debugger.cursor, Position(272));
    // A stream, and what belongs to it: the halves carry the name of the span first planned.
    press(&mut debugger, ":0<enter>/span-10-1<enter>");
    let first = debugger.cursor;
    press(&mut debugger, "G,");
    let scene = debugger.scene.as_ref().unwrap().event.as_ref().unwrap();
    assert!(debugger.cursor > first && scene.correlation == "span-10-1" && scene.stream != "span-10-1");
    press(&mut debugger, ":272<enter>R");
    assert_eq!(debugger.cursor, Position(271));
    press(&mut debugger, "u");
    assert_eq!(debugger.scene.as_ref().unwrap().event.as_ref().unwrap().stream, "span-10-27");
}

#[test]
fn runs_stop_at_types_streams_and_conditions_forwards_and_backwards() {
    let runs = |point: &str, keys: &str, from: u64| {
        let mut debugger = open("retry-until-parked.jsonl", from);
        debugger.stop_at(point).unwrap();
        press(&mut debugger, keys);
        (debugger.cursor.0, said(&debugger))
    };
    for point in ["Parked", "parked", "type == 'Parked'", "parked > 0", "parked > 0 && position > 200"] {
        assert_eq!(runs(point, "c", 0).0, 272, "{point}");
        assert_eq!(runs(point, "C", 569).0, 272, "{point}");
        assert!(runs(point, "c", 0).1.contains(point), "{point}");
    }
    assert_eq!(runs("span-10-27", "c", 0).0, 141);
    let (stays, text) = runs("parked > 1", "c", 100);
    assert_eq!(stays, 100);
    assert!(text.contains("no breakpoint stops after this"), "{text}");
    assert_eq!(runs("parked > 1", "C", 100).0, 100);
    let mut debugger = open("retry-until-parked.jsonl", 0);
    press(&mut debugger, "c");
    assert!(said(&debugger).contains("b sets one"));
    press(&mut debugger, "bsparked > 1<enter>");
    assert!(said(&debugger).contains("no variable"), "{}", said(&debugger));
    press(&mut debugger, "bUnparked<enter>B c<esc>c");
    assert!(said(&debugger).contains("b sets one"), "it was switched off: {}", said(&debugger));
    press(&mut debugger, "B <esc>c");
    assert_eq!(debugger.cursor.0, 300);
    press(&mut debugger, "Bd<esc>c");
    assert!(said(&debugger).contains("b sets one"), "it was deleted");
}

#[test]
fn what_takes_long_is_watched_and_can_be_given_up() {
    let mut busy = open("retry-until-parked.jsonl", 0);
    // A log of this size is looked through at once; in pieces of ten events it is not.
    busy.leave_for("Nothing");
    busy.work(10);
    let (what, at, percent) = busy.doing().unwrap();
    assert!(what.contains("Nothing") && at.0 == 11 && percent < 5, "{what} {at} {percent}");
    busy.key(Key::Char('n'));
    assert!(busy.is_busy(), "other keys wait");
    busy.key(Key::Escape);
    assert!(!busy.is_busy());
    assert_eq!(busy.cursor, Position(0), "it stays where it was");
    assert!(said(&busy).contains("given up at position 11"), "{}", said(&busy));
}

#[test]
fn no_key_and_no_size_make_it_panic() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let named = [
        Key::Enter,
        Key::Escape,
        Key::Tab,
        Key::BackTab,
        Key::Backspace,
        Key::Up,
        Key::Down,
        Key::PageUp,
        Key::PageDown,
        Key::Home,
        Key::End,
    ];
    let plain: Vec<char> = "npgG:/bBcC.,rRtTu'F?z[]jk 12389+-~headTxParked>0".chars().collect();
    let mut debugger = open("reorg-after-submission.jsonl", 30);
    for _ in 0..3_000 {
        let key =
            if random(4) == 0 { named[random(named.len())] } else { Key::Char(plain[random(plain.len())]) };
        debugger.key(key);
        debugger.finish();
        if random(8) == 0 {
            let size = Size {
                columns: u16::try_from(1 + random(160)).unwrap(),
                lines: u16::try_from(1 + random(60)).unwrap(),
            };
            let shown = screen(&mut debugger, size);
            assert_eq!(shown.lines().count(), usize::from(size.lines));
        }
    }
}

#[test]
fn the_help_names_every_key_that_does_something() {
    let keys = KEYS.iter().take_while(|(_, text)| *text != "Signs");
    let named: String = keys.map(|(key, _)| *key).collect::<Vec<_>>().join(" ");
    let words: Vec<&str> = named.split(' ').collect();
    for key in (' '..='~').filter(|key| *key != ' ') {
        let mut debugger = open("split.jsonl", 40);
        debugger.key(Key::Char(key));
        let does_something = !said(&debugger).contains("no such key");
        let is_named = words.contains(&key.to_string().as_str()) || "jk".contains(key);
        assert_eq!(does_something, is_named, "{key}");
    }
}

/// The golden log with an event that nobody can read, and every hash right.
fn that_does_not_fold(file: &std::path::Path) {
    let mut input = std::io::BufReader::new(std::fs::File::open(path("split.jsonl")).unwrap());
    let header = read_header(&mut input).unwrap();
    let sequence = MemorySequence::new(header.log);
    import(header, &mut input, &sequence).unwrap();
    let mut records = stored(&Reader::new(&sequence).unwrap());
    rewrite(&mut records, 40, |envelope| Envelope { type_name: "Parked", payload: b"", ..envelope }.encode());
    let forged = holding(header.log, &records);
    let mut out = std::fs::File::create(file).unwrap();
    export(&Reader::new(&forged).unwrap(), header.log, &mut out).unwrap();
}

#[test]
fn a_log_that_does_not_fold_can_still_be_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("forged.jsonl");
    that_does_not_fold(&file);
    // A path that begins at the root stays as it is.
    let mut debugger = open(file.to_str().unwrap(), 38);
    assert!(debugger.scene.as_ref().unwrap().meaning.is_ok());
    press(&mut debugger, ":41<enter>");
    let why = debugger.scene.as_ref().unwrap().meaning.as_ref().err().cloned().unwrap();
    let shown = screen(&mut debugger, Size { columns: 80, lines: 24 });
    assert!(shown.contains("EVENT 41 Parked") && why.contains("41"), "{why}: {shown}");
    press(&mut debugger, "n");
    let shown = screen(&mut debugger, Size { columns: 80, lines: 24 });
    assert!(shown.contains("EVENT 42"), "{shown}");
    // Below it everything is as it was.
    press(&mut debugger, ":38<enter>");
    assert!(debugger.scene.as_ref().unwrap().meaning.is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_text_breaks_what_reads_keys_sizes_searches_and_breakpoints(
        keys in "[a-zA-Z/:?<>0-9.~ ]{0,20}(<(enter|esc|tab|lt)>){0,3}",
        size in "[0-9]{0,6}x?[0-9]{0,6}",
        text in "(Parked|span-10-7|parked)? ?[><=&|'\"()0-9a-z.-]{0,30}|.{0,40}",
    ) {
        if let Ok(keys) = keys.parse::<Keys>() {
            prop_assert!(keys.0.len() <= 40);
        }
        if let Ok(Size { columns, lines }) = size.parse::<Size>() {
            prop_assert!((1..=500).contains(&columns) && (1..=200).contains(&lines));
        }
        let _ = (text.parse::<Keys>(), text.parse::<Size>());
        if let Some(pattern) = Pattern::new(&text) {
            prop_assert_eq!(pattern.text(), text.trim());
        }
        if let Ok(point) = Breakpoint::parse(&text) {
            prop_assert_eq!(point.text(), text.trim());
        }
    }

    #[test]
    fn no_keys_break_the_debugger(keys in "[a-zA-Z:/?0-9.~ ]{0,25}(<(enter|esc|tab|up|pgdn|home|end)>[a-z0-9]{0,3}){0,4}") {
        let mut debugger = open("split.jsonl", 40);
        press(&mut debugger, &keys);
        let shown = screen(&mut debugger, Size { columns: 80, lines: 24 });
        prop_assert_eq!(shown.lines().count(), 24);
    }
}
