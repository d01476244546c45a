//! The program, run as an operator runs it, on a log that a simulated world left behind.

use std::path::Path;
use std::process::{Command, Output};

use super::on_disk::simulate;

fn prooflog(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_prooflog"))
        .env_clear()
        .arg("--data-dir")
        .arg(dir)
        .args(arguments)
        .output()
        .unwrap()
}

fn lines(output: &Output) -> Vec<serde_json::Value> {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_commands_agree_with_each_other_and_with_an_import_of_their_export() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    simulate("friendly", 3, &log);

    let verified = lines(&prooflog(&log, &["verify", "--json"])).remove(0);
    let events = lines(&prooflog(&log, &["events", "--limit", "1000000", "--json"]));
    assert_eq!(events.len().to_string(), verified["position"].as_str().unwrap());
    assert_eq!(events.last().unwrap()["hash"], verified["hash"]);
    let settled = events.iter().find(|event| event["type"] == "AggSettled").unwrap();
    let correlation = settled["correlation"].as_str().unwrap();
    let timeline = lines(&prooflog(&log, &["timeline", correlation, "--json"]));
    assert!(timeline.iter().any(|entry| entry["event"] == "SubmissionConfirmed"));
    let status = lines(&prooflog(&log, &["status", "--json"]));
    assert!(status.iter().all(|chain| chain["contract_block"].as_u64() > Some(1_000)));

    let export = dir.path().join("log.jsonl");
    assert!(prooflog(&log, &["export", "--to", export.to_str().unwrap()]).status.success());
    let copy = dir.path().join("copy");
    assert!(prooflog(&copy, &["import", export.to_str().unwrap()]).status.success());
    assert_eq!(lines(&prooflog(&copy, &["verify", "--json"])).remove(0), verified);
}

#[test]
fn an_earlier_moment_is_the_state_that_the_engine_had_then() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    simulate("friendly", 4, &log);
    let events = lines(&prooflog(&log, &["events", "--type", "ContractAdvanced", "--json"]));
    let second = events[1]["position"].as_str().unwrap();
    let before = (second.parse::<u64>().unwrap() - 1).to_string();
    let block =
        |at: &str| lines(&prooflog(&log, &["status", "--json", "--at", at]))[0]["contract_block"].clone();
    assert_ne!(block(&before), block("head"));
    let nothing = prooflog(&log, &["status", "--json", "--at", "0"]);
    assert!(lines(&nothing).is_empty(), "before the first event there is no rollup");
}

#[test]
fn errors_have_their_exit_codes_and_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let nothing = prooflog(&dir.path().join("none"), &["status"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("there is no log"));
    assert_eq!(prooflog(dir.path(), &["status", "--at", "yesterday"]).status.code(), Some(2));
    std::fs::write(dir.path().join("bad.jsonl"), "{}\n").unwrap();
    let bad = dir.path().join("bad.jsonl");
    assert_eq!(prooflog(&dir.path().join("copy"), &["import", bad.to_str().unwrap()]).status.code(), Some(4));
}
