//! Files come from anyone: whatever is in one, reading it ends, within limits, and takes one spelling.

use prooflog_audit::{Document, check, consistency, prove};
use prooflog_events::ids::Position;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::logs::{LOG, key, signed, written};

/// One document of each kind, as text.
fn samples() -> ([String; 3], prooflog_audit::VerifyingKey) {
    let log = written(12);
    let reader = log.reader();
    let (key, public) = key();
    let (old, new) = (signed(&reader, 5, &key), signed(&reader, 12, &key));
    let inclusion = prove(&reader, LOG, Position(4), new.clone()).unwrap();
    let link = consistency(&reader, LOG, &old, new).unwrap();
    ([old.to_string(), inclusion.to_string(), link.to_string()], public)
}

#[test]
fn each_document_is_read_as_what_it_is_and_written_as_it_was() {
    let (texts, _) = samples();
    for (text, is_kind) in texts.iter().zip([
        (|d| matches!(d, Document::Checkpoint(_))) as fn(&Document) -> bool,
        |d| matches!(d, Document::Inclusion(_)),
        |d| matches!(d, Document::Consistency(_)),
    ]) {
        let document: Document = text.parse().unwrap();
        assert!(is_kind(&document), "{text}");
        assert_eq!(document.to_string(), *text);
    }
}

#[test]
fn another_spelling_of_the_same_is_refused() {
    let (texts, _) = samples();
    for (text, from, to) in [
        (&texts[0], "\n5\n", "\n05\n"),
        (&texts[0], "\n5\n", "\n+5\n"),
        (&texts[0], "\n5\n", "\n5\r\n"),
        (&texts[0], "\ntime", "\n\ntime"),
        (&texts[0], "prooflog/0x", "prooflog/"),
        (&texts[0], "=\n", "\n"),
        (&texts[1], "index 3", "index 03"),
        (&texts[1], "index 3", "index  3"),
        (&texts[1], "index 3", "index 99999999999999999999"),
        (&texts[1], "extra ", ""),
        (&texts[1], "@v1", "@v2"),
        (&texts[2], "old 5", "old 05"),
        (&texts[2], "old 5", "old -5"),
        (&texts[2], "\n\n", "\n"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, *text, "{from}");
        assert!(changed.parse::<Document>().is_err(), "{changed}");
    }
}

#[test]
fn what_is_too_long_is_refused_before_it_is_looked_at() {
    let (texts, _) = samples();
    let hashes = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n".repeat(64);
    let many = texts[2].replacen("old 5\n", &format!("old 5\n{hashes}"), 1);
    assert!(many.parse::<Document>().unwrap_err().to_string().contains("more hashes"));
    for start in ["c2sp.org/tlog-proof@v1\nextra ", "old ", ""] {
        let long = format!("{start}{}", "A".repeat(5 << 20));
        assert!(long.parse::<Document>().unwrap_err().to_string().contains("bytes"));
    }
    let lines = texts[0].replacen("\ntime", &format!("\n{}time", "x\n".repeat(40_000)), 1);
    assert!(lines.parse::<Document>().unwrap_err().to_string().contains("bytes"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_text_never_panics(
        start in prop_oneof![Just(""), Just("old "), Just("c2sp.org/tlog-proof@v1\n")],
        text in "[a-z0-9/+=\n— \u{0}-\u{ff}]{0,200}",
    ) {
        let text = format!("{start}{text}");
        prop_assert!(text.parse::<Document>().is_err());
    }

    /// Whatever is changed in a file: it is refused, or it says only what the key signed.
    #[test]
    fn a_changed_character_makes_nothing_false_true(
        kind in 0_usize..3,
        at in any::<Index>(),
        with in "[0-9a-zA-Z+/= \n—]",
    ) {
        let (texts, public) = samples();
        let chars: Vec<char> = texts[kind].chars().collect();
        let at = at.index(chars.len());
        let changed: String =
            chars[..at].iter().copied().chain(with.chars()).chain(chars[at + 1..].iter().copied()).collect();
        prop_assume!(changed != texts[kind]);
        let Ok(document) = changed.parse::<Document>() else { return Ok(()) };
        let old = texts[0].parse().unwrap();
        if let Ok(checked) = check(&[old, document], &public) {
            // Only what stands outside of the signed text and of the proofs may differ.
            let said: Vec<String> = checked.statements.iter().map(ToString::to_string).collect();
            let original = check(&[texts[0].parse().unwrap(), texts[kind].parse().unwrap()], &public).unwrap();
            let wanted: Vec<String> = original.statements.iter().map(ToString::to_string).collect();
            prop_assert_eq!(said, wanted);
        }
    }
}
