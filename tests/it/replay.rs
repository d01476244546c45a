//! `replay` through the program: a rule that changed is named where it first decides, and accepted once it is declared.

use std::path::Path;
use std::process::{Command, Output};

use prooflog_events::envelope::Envelope;
use prooflog_events::event::{Event, EventType};
use serde_json::Value;

use super::audit::{Export, golden};
use super::command_line::lines;

fn replay(log: &Path, arguments: &[&str]) -> Output {
    let mut run = Command::new(env!("CARGO_BIN_EXE_prooflog"));
    run.env_clear().arg("--data-dir").arg(log).arg("replay").args(arguments).output().unwrap()
}

/// What it says, if it ends with this code.
fn says(log: &Path, arguments: &[&str], code: i32) -> String {
    let output = replay(log, arguments);
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A log as another rule would have written it: what the prover gave up is told in other words. Where the first one is.
fn other_rule(to: &Path) -> usize {
    let mut export = Export::read(&golden("retry-until-parked.jsonl"));
    let kind = EventType::Unfulfillable.name();
    let given_up = |record: &Vec<u8>| Envelope::decode(record).unwrap().type_name == kind;
    let all: Vec<usize> =
        (1..).zip(&export.records).filter(|(_, record)| given_up(record)).map(|(at, _)| at).collect();
    for at in &all {
        export.rewrite(*at, |envelope| {
            let event = Event::decode(envelope.type_name, envelope.version, envelope.payload).unwrap();
            let Event::Unfulfillable(mut given_up) = event else { panic!("{event:?}") };
            given_up.text.push_str(", in other words");
            let payload = Event::from(given_up).encode();
            Envelope { payload: &payload, ..envelope }.encode()
        });
    }
    export.write(to);
    all[0]
}

#[test]
fn a_changed_rule_is_shown_side_by_side_and_passes_once_it_is_declared() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("other.jsonl");
    let first = other_rule(&log);
    let text = says(&log, &["--check"], 5);
    assert!(text.contains(&format!("position {first}: today's rules decide something else")), "{text}");
    for word in ["recorded", "today", "in other words", "Unfulfillable", "input", "behaviour 1"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let document: Value = serde_json::from_str(&says(&log, &["--json"], 5)).unwrap();
    assert_eq!(document["difference"]["position"], first.to_string());

    let declared = dir.path().join("declared.toml");
    let since = |since: &str| {
        let change = "[[change]]\nabout = \"other words\"\nevents = [\"Unfulfillable\"]\n";
        std::fs::write(&declared, format!("{change}since = {{ {since} }}\n")).unwrap();
    };
    let declared = declared.to_str().unwrap();
    since("behaviour = 2");
    let text = says(&log, &["--declared", declared], 0);
    assert!(text.contains("other words (since behaviour 2)"), "{text}");
    // What was decided by the new rules is no exception.
    since("behaviour = 1");
    says(&log, &["--declared", declared], 5);
    since(&format!("position = {first}"));
    says(&log, &["--declared", declared], 5);
    since(&format!("position = {}", first + 10_000));
    says(&log, &["--declared", declared], 0);
    since("position = 1, behaviour = 2");
    says(&log, &["--declared", declared], 2);
}

#[test]
fn any_stretch_is_decided_again_and_one_that_is_none_is_refused() {
    let log = golden("operator-intervention.jsonl");
    let whole: Value = serde_json::from_str(&says(&log, &["--json"], 0)).unwrap();
    let inputs = |document: &Value| document["inputs"].as_u64().unwrap();
    let part = |arguments: &[&str]| -> Value {
        serde_json::from_str(&says(&log, &[&["--json"], arguments].concat(), 0)).unwrap()
    };
    let (low, high) = (part(&["--to", "40"]), part(&["--from", "40"]));
    assert_eq!(inputs(&low) + inputs(&high), inputs(&whole));
    assert_eq!(low["to"], high["from"]);
    assert_eq!(replay(&log, &["--from", "60", "--to", "40"]).status.code(), Some(2));
    assert_eq!(replay(&log, &["--policy", "nowhere.toml"]).status.code(), Some(2));
    assert_eq!(replay(&log, &["--policy", "x.toml", "--check"]).status.code(), Some(2));
}

#[test]
fn a_policy_of_one_rollup_is_asked_about_that_one_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (log, file) = (golden("retry-until-parked.jsonl"), dir.path().join("other.toml"));
    let ask = |section: &str| {
        std::fs::write(&file, format!("{section}\nspan.blocks = 60\nretry.park-after = 3\n")).unwrap();
        replay(&log, &["--policy", file.to_str().unwrap(), "--json"])
    };
    let (all, one) = (ask("[defaults]"), ask("[[chain]]\nchain-id = 10"));
    assert_eq!(lines(&one), lines(&all));
    let other = ask("[[chain]]\nchain-id = 11");
    assert_ne!(lines(&other), lines(&all));
    assert!(String::from_utf8_lossy(&other.stderr).contains("rollup 11 has no decisions here"), "{other:?}");
}
