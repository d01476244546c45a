//! Time travel: every reading command, at every form of a moment, on every kind of source.

use std::path::Path;
use std::process::Output;

use prooflog_events::envelope::Envelope;
use prooflog_events::ids::{Micros, Position, Revision};
use prooflog_log::{Append, By, Log, NewRecord};
use prooflog_store::{OpenOptions, ReadOnlyStore};

use super::command_line::{events, lines, prooflog};
use super::on_disk::simulate;

/// Every command that looks at a moment, on a thing that is there.
const LOOKS: &[&[&str]] = &[
    &["status"],
    &["requests"],
    &["show", "span-10-27"],
    &["events", "--limit", "100000"],
    &["timeline", "span-10-1"],
    &["why", "1030"],
    &["debug", "--keys", ""],
];

fn told(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn every_form_of_a_moment_is_understood_by_every_command_that_looks() {
    let log = super::audit::golden("retry-until-parked.jsonl");
    let (head, at) = (569, 272_u64);
    // Recorded in the next second, and nothing in between.
    let forms = ["272".to_owned(), format!("head~{}", head - at), "2025-06-15T15:42:30Z".to_owned()];
    for look in LOOKS {
        for json in [&[][..], &["--json"]] {
            let at = |form: &str| told(&prooflog(&log, &[*look, &["--at", form][..], json].concat()));
            let seen = forms.each_ref().map(|form| at(form));
            assert!(seen.iter().all(|one| *one == seen[0]), "{look:?}: {seen:#?}");
            assert!(!seen[0].is_empty());
            // All of it was recorded long ago.
            assert_eq!(at("90m ago"), at("head"), "{look:?}");
            assert_ne!(at("head"), seen[0], "{look:?}");
        }
    }
}

/// How a command takes an earlier moment.
enum At {
    /// By `--at`.
    Taken,
    /// It names its moments itself, or is about a checkpoint: `--at` is refused.
    Refused,
}

/// Every command that reads a log. `{key}`, `{old}` and `{new}` are files of the auditor's.
const READS: &[(&[&str], At)] = &[
    (&["status"], At::Taken),
    (&["requests"], At::Taken),
    (&["show", "span-10-27"], At::Taken),
    (&["show", "chain-10"], At::Taken),
    (&["events", "--limit", "100000"], At::Taken),
    (&["timeline", "span-10-1"], At::Taken),
    (&["why", "1030"], At::Taken),
    (&["debug", "--keys", ""], At::Taken),
    (&["diff", "200"], At::Taken),
    (&["bisect", "parked > 0"], At::Taken),
    (&["replay", "--check"], At::Taken),
    (&["replay", "--policy", "tests/golden/policies/longer-spans.toml"], At::Taken),
    (&["verify"], At::Taken),
    (&["export"], At::Taken),
    (&["audit", "report"], At::Taken),
    (&["audit", "checkpoint", "--key", "{key}"], At::Taken),
    (&["audit", "prove", "42", "--checkpoint", "{new}"], At::Refused),
    (&["audit", "consistency", "{old}", "{new}"], At::Refused),
    (&["audit", "examine", "{old}", "{new}"], At::Refused),
];

/// An answer without what may differ between two that say the same: a rate, and which file the debugger looks at.
fn said_of_the_log(command: &[&str], output: &Output) -> String {
    let text = told(output);
    let text = text.lines().skip(usize::from(command[0] == "debug" && !text.starts_with('{')));
    let rate = |line: &str| match line.rsplit_once(" (") {
        Some((words, rate)) if rate.ends_with("/s)") => words.to_owned(),
        _ => line.to_owned(),
    };
    text.map(rate).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_reading_command_says_the_same_of_a_held_directory_a_backup_and_an_export() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let named = |name: &str| path(name).display().to_string();
    let export = super::audit::golden("retry-until-parked.jsonl").display().to_string();
    told(&prooflog(&path("log"), &["import", &export]));
    told(&prooflog(&path("log"), &["backup", "--to", &named("backup")]));
    told(&prooflog(&path("log"), &["export", "--to", &named("export.jsonl")]));
    told(&prooflog(&path("log"), &["audit", "keygen", "--key", &named("key")]));
    for (name, at) in [("old", "300"), ("new", "head")] {
        let sign = ["audit", "checkpoint", "--key", &named("key"), "--to", &named(name), "--at", at];
        told(&prooflog(&path("log"), &sign));
    }
    // A writer holds the directory from here on, as an engine does.
    let (held, _) = prooflog_store::open(&path("log"), OpenOptions::existing().ballast(0)).unwrap();
    let refused = prooflog(&path("log"), &["rebuild"]);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let (mut now, mut earlier) = (Vec::new(), Vec::new());
    for (command, at) in READS {
        let words: Vec<String> = command
            .iter()
            .map(|word| {
                ["key", "old", "new"]
                    .iter()
                    .fold((*word).to_owned(), |word, file| word.replace(&format!("{{{file}}}"), &named(file)))
            })
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        for more in [&[][..], &["--json"], &["--at", "272"], &["--at", "272", "--json"]] {
            let asked = [&words[..], more].concat();
            let outputs = ["log", "backup", "export.jsonl"].map(|name| prooflog(&path(name), &asked));
            if more.contains(&"--at") && matches!(at, At::Refused) {
                assert!(outputs.iter().all(|output| output.status.code() == Some(2)), "{asked:?}");
                continue;
            }
            let answers = outputs.each_ref().map(|output| said_of_the_log(command, output));
            if more == ["--at", "272"] {
                earlier.push((command, answers[0].clone()));
            } else if more.is_empty() {
                now.push(answers[0].clone());
            }
            assert!(!answers[0].is_empty(), "{asked:?}");
            assert_eq!(answers[0], answers[1], "the backup: {asked:?}");
            assert_eq!(answers[0], answers[2], "the export: {asked:?}");
            if more.contains(&"--json") {
                assert!(answers[0].lines().all(|line| line.starts_with('{')), "{asked:?}: {}", answers[0]);
            }
        }
    }
    drop(held);
    // The first moment at which something held is the same one later; all others have gone on.
    for ((command, then), now) in earlier.iter().zip(&now) {
        assert_eq!(then == now, command[0] == "bisect", "{command:?} looks at the moment that it is given");
    }
    let not_yet = prooflog(&path("log"), &["bisect", "latest_block > 1000", "--at", "272"]);
    assert_eq!(not_yet.status.code(), Some(7), "{not_yet:?}");
    told(&prooflog(&path("log"), &["bisect", "latest_block > 1000"]));
}

#[test]
fn an_export_up_to_a_moment_is_the_log_of_that_moment() {
    let dir = tempfile::tempdir().unwrap();
    let log = super::audit::golden("retry-until-parked.jsonl");
    let part = dir.path().join("part.jsonl");
    for (at, seen) in [("272", "272"), ("head~297", "272"), ("0", "0"), ("head", "569")] {
        let _ = std::fs::remove_file(&part);
        told(&prooflog(&log, &["export", "--at", at, "--to", &part.display().to_string()]));
        let verified = lines(&prooflog(&part, &["verify", "--json"])).remove(0);
        assert_eq!(verified["position"], seen, "{at}");
        let then = lines(&prooflog(&log, &["verify", "--at", seen, "--json"])).remove(0);
        assert_eq!(verified["state"], then["state"], "{at}");
        let status = told(&prooflog(&part, &["status", "--json"]));
        assert_eq!(status, told(&prooflog(&log, &["status", "--json", "--at", seen])), "{at}");
    }
}

/// Appends what a client says about `about`.
fn annotate(log: &Path, about: &str) -> Position {
    let (store, _) = prooflog_store::open(log, OpenOptions::existing().ballast(0)).unwrap();
    let log = Log::open(store).unwrap();
    let mut record =
        NewRecord::native("deployments", "ProverDeployed", 1, br#"{"version":"v2","why":"memory"}"#.to_vec());
    record.content = prooflog_events::envelope::Content::Json;
    record.version = 0;
    record.event_id = Some(prooflog_events::ids::EventId([7; 16]));
    record.metadata = format!(r#"{{"$correlationId":"{about}"}}"#).into_bytes();
    let append = Append::new(By::Client("bob".to_owned()), Micros(4_000_000_000_000_000), vec![record]);
    log.append(append).unwrap().last
}

#[test]
fn what_outside_writers_say_about_a_request_is_told_where_people_ask_about_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    simulate("friendly", 3, &log);
    let span = events(&log).iter().find(|event| event["type"] == "SpanCreated").unwrap()["stream"]
        .as_str()
        .unwrap()
        .to_owned();
    let at = annotate(&log, &span);
    for look in [["why", &span], ["timeline", &span]] {
        let text = told(&prooflog(&log, &look));
        let line = text.lines().find(|line| line.contains("deployments")).unwrap_or_else(|| panic!("{text}"));
        assert!(line.contains(&at.to_string()) && line.contains("memory"), "{line}");
        let before = told(&prooflog(&log, &[&look[..], &["--at", "head~1"]].concat()));
        assert!(!before.contains("deployments"), "{before}");
        assert!(told(&prooflog(&log, &[&look[..], &["--json"]].concat())).contains("deployments"));
    }
    let other = told(&prooflog(&log, &["events", "--stream", "deployments", "--json"]));
    assert!(other.contains(&span) && other.contains("v2"), "{other}");
    let screen = told(&prooflog(&log, &["debug", "--keys", ""]));
    assert!(
        screen.contains("deployments") && screen.contains("client:bob") && screen.contains("ProverDeployed"),
        "{screen}"
    );
    // The engine's own streams are never taken for somebody else's.
    let store = ReadOnlyStore::open(&log).unwrap();
    let mut names = Vec::new();
    store
        .outside_streams(&mut |name| {
            names.push(name.to_owned());
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(names, ["deployments"]);
    let record = prooflog_log::Reader::new(&store)
        .unwrap()
        .stream("deployments", Revision(0), prooflog_events::port::Direction::Forward, 1)
        .unwrap();
    assert!(Envelope::decode(record.records[0].stored()).unwrap().correlation.is_empty());
}

#[test]
fn every_golden_log_is_decided_again_as_it_was() {
    let folder = super::audit::golden("");
    let mut logs = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "jsonl") {
            logs += 1;
            let document = lines(&prooflog(&path, &["replay", "--check", "--json"])).remove(0);
            assert!(document["difference"].is_null(), "{}: {document}", path.display());
            assert!(document["inputs"].as_u64() > Some(20), "{document}");
        }
    }
    assert!(logs >= 5, "{logs}");
}
