//! What people see: commands on golden logs, and their output word for word; the tutorial's too.
//!
//! `PROOFLOG_UPDATE_GOLDEN=1` writes transcripts that are not there yet, `PROOFLOG_UPDATE_DOCS=1` the tutorial's output.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What `$ prooflog ...` prints on a golden log, errors included.
fn said(log: &str, command: &str) -> String {
    let mut words = Vec::new();
    for (at, piece) in command.split('\'').enumerate() {
        if at % 2 == 1 { words.push(piece) } else { words.extend(piece.split_whitespace()) }
    }
    assert_eq!(words.first(), Some(&"prooflog"), "{command}");
    let mut run = Command::new(env!("CARGO_BIN_EXE_prooflog"));
    run.env_clear()
        .current_dir(root())
        .arg("--data-dir")
        .arg(root().join("tests/golden/logs/format-1").join(log));
    let output = run.args(&words[1..]).output().unwrap();
    let code = output.status.code().unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    text += &String::from_utf8(output.stderr).unwrap();
    if code != 0 {
        text += &format!("(exit code {code})\n");
    }
    text
}

const TRANSCRIPTS: &[(&str, &str, &str)] = &[
    ("status", "retry-until-parked.jsonl", "prooflog status"),
    ("requests", "retry-until-parked.jsonl", "prooflog requests"),
    ("why-settled", "happy-path.jsonl", "prooflog why 1005"),
    ("why-split", "split.jsonl", "prooflog why span-10-2"),
    ("why-parked", "retry-until-parked.jsonl", "prooflog why 1030 --at 299"),
    ("why-proving", "retry-until-parked.jsonl", "prooflog why 2690"),
    ("why-submission", "retry-until-parked.jsonl", "prooflog why agg-10-5"),
    ("why-json", "retry-until-parked.jsonl", "prooflog why 2690 --json"),
    ("why-not-final", "retry-until-parked.jsonl", "prooflog why 2900"),
    ("why-reorg", "reorg-after-submission.jsonl", "prooflog why agg-10-1"),
    ("why-unknown", "split.jsonl", "prooflog why span-10-99"),
    ("why-other-rollup", "split.jsonl", "prooflog why 5 --chain 11"),
    ("why-nonsense", "split.jsonl", "prooflog why yesterday"),
    ("diff", "split.jsonl", "prooflog diff 30 50"),
    ("timeline", "split.jsonl", "prooflog timeline span-10-2"),
    ("replay", "retry-until-parked.jsonl", "prooflog replay --check"),
    (
        "replay-policy",
        "retry-until-parked.jsonl",
        "prooflog replay --policy tests/golden/policies/longer-spans.toml",
    ),
    ("bisect", "retry-until-parked.jsonl", "prooflog bisect 'parked > 0'"),
    ("bisect-monotone", "happy-path.jsonl", "prooflog bisect 'latest_block > 1000' --monotone"),
    ("bisect-never", "happy-path.jsonl", "prooflog bisect 'parked > 0'"),
    ("bisect-nonsense", "happy-path.jsonl", "prooflog bisect 'sparked > 0'"),
    ("debug", "retry-until-parked.jsonl", "prooflog debug --at 272 --keys ''"),
    ("debug-wide", "retry-until-parked.jsonl", "prooflog debug --at 272 --keys '' --size 120x40"),
    ("debug-state", "operator-intervention.jsonl", "prooflog debug --keys 'g/Paused<enter><tab><tab><tab>'"),
    (
        "debug-event",
        "reorg-after-submission.jsonl",
        "prooflog debug --keys 'g/SubmissionReorged<enter><tab>z'",
    ),
    (
        "debug-break",
        "retry-until-parked.jsonl",
        "prooflog debug --at 0 --break 'parked > 0' --break Split --keys 'cccB'",
    ),
    ("debug-stopped", "retry-until-parked.jsonl", "prooflog debug --break 'parked > 0' --keys 'C'"),
    ("debug-nothing", "split.jsonl", "prooflog debug --at 0 --keys '/Parked<enter>'"),
    ("debug-help", "split.jsonl", "prooflog debug --keys '?' --size 100x44"),
    ("debug-json", "retry-until-parked.jsonl", "prooflog debug --at 272 --json"),
    ("debug-no-terminal", "split.jsonl", "prooflog debug"),
    ("debug-nonsense", "split.jsonl", "prooflog debug --break 'sparked > 0' --keys ''"),
    ("status-at-time", "retry-until-parked.jsonl", "prooflog status --at 2025-06-15T15:44:00Z"),
    ("show", "retry-until-parked.jsonl", "prooflog show agg-10-1 --at head~200"),
    ("events", "split.jsonl", "prooflog events --from 20 --limit 8"),
    ("diff-json", "split.jsonl", "prooflog diff 30 40 --json"),
    ("verify-damaged", "../damaged/flipped.jsonl", "prooflog verify"),
    ("audit-report", "operator-intervention.jsonl", "prooflog audit report"),
];

#[test]
fn transcripts_are_as_they_were() {
    let mut missing = Vec::new();
    for (name, log, command) in TRANSCRIPTS {
        let path: PathBuf = root().join(format!("tests/golden/transcripts/{name}.txt"));
        let now = format!("log: {log}\n$ {command}\n{}", said(log, command));
        match std::fs::read_to_string(&path) {
            Ok(then) => assert_eq!(now, then, "{name}"),
            Err(_) if std::env::var_os("PROOFLOG_UPDATE_GOLDEN").is_some() => {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, now).unwrap();
            }
            Err(_) => missing.push(*name),
        }
    }
    assert!(missing.is_empty(), "no transcript of {missing:?}: PROOFLOG_UPDATE_GOLDEN=1 writes it");
}

#[test]
fn the_tutorial_shows_what_the_commands_say() {
    is_fresh("docs/tutorial.md");
}

#[test]
fn the_page_about_the_debugger_shows_what_it_shows() {
    is_fresh("docs/debugging.md");
}

/// Whether the commands of a page, on the log that it is about, print what stands there.
fn is_fresh(page: &str) {
    const LOG: &str = "retry-until-parked.jsonl";
    let path = root().join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut fresh = String::new();
    let mut lines = text.lines();
    let mut commands = 0;
    while let Some(line) = lines.next() {
        fresh += &format!("{line}\n");
        let Some(command) = line.strip_prefix("$ ") else { continue };
        commands += 1;
        fresh += &said(LOG, command);
        lines.by_ref().find(|line| *line == "```").unwrap();
        fresh += "```\n";
    }
    assert!(commands > 2, "{commands}");
    if fresh != text && std::env::var_os("PROOFLOG_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &fresh).unwrap();
        return;
    }
    assert_eq!(fresh, text, "PROOFLOG_UPDATE_DOCS=1 writes it anew");
}

#[test]
fn every_block_and_unit_has_an_answer_at_every_moment() {
    // A walk through a whole log: no question ends in an error of ours.
    for at in (10..569).step_by(61) {
        for what in ["1001", "1030", "1500", "2700", "9999", "span-10-1", "agg-10-1"] {
            let text = said("retry-until-parked.jsonl", &format!("prooflog why {what} --at {at}"));
            assert!(text.contains("now ") || text.contains("(exit code 2)"), "{what} at {at}: {text}");
        }
    }
}
