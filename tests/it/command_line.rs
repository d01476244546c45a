//! The program, run as an operator runs it, on a log that a simulated world left behind.

use std::path::Path;
use std::process::{Command, Output};

use super::on_disk::simulate;

pub(crate) fn prooflog(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_prooflog"))
        .env_clear()
        .arg("--data-dir")
        .arg(dir)
        .args(arguments)
        .output()
        .unwrap()
}

pub(crate) fn lines(output: &Output) -> Vec<serde_json::Value> {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every event of a log.
pub(crate) fn events(log: &Path) -> Vec<serde_json::Value> {
    lines(&prooflog(log, &["events", "--limit", "1000000", "--json"]))
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
    // What is no export was named by mistake; what is one and cannot be read is damaged.
    let file = dir.path().join("bad.jsonl");
    for (text, code) in [("", 2), ("{}\n", 2), ("no JSON\n", 2), ("{\"prooflog_export\":1}\n", 4)] {
        std::fs::write(&file, text).unwrap();
        for output in [
            prooflog(&dir.path().join("copy"), &["import", file.to_str().unwrap()]),
            prooflog(&file, &["status"]),
        ] {
            assert_eq!(output.status.code(), Some(code), "{text}: {output:?}");
            assert!(String::from_utf8_lossy(&output.stderr).contains("bad.jsonl"), "{output:?}");
        }
    }
    assert!(!dir.path().join("copy").exists());
    for command in [&["events", "--follow"][..], &["rebuild"], &["backup", "--to", "elsewhere"]] {
        let output = prooflog(&file, command);
        assert_eq!(output.status.code(), Some(2), "{command:?}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("is a file"), "{output:?}");
    }
}

#[test]
fn one_thing_is_shown_with_its_facts_while_it_lives_and_with_its_history_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    simulate("friendly", 5, &log);
    let settled =
        lines(&prooflog(&log, &["events", "--type", "SpanSettled", "--limit", "1", "--json"])).remove(0);
    let span = settled["stream"].as_str().unwrap();
    let over = lines(&prooflog(&log, &["show", span, "--json"])).remove(0);
    assert!(over["history"].as_array().unwrap().iter().any(|event| event["type"] == "SpanCreated"));
    let created = over["history"][0]["position"].as_str().unwrap();
    let then = lines(&prooflog(&log, &["show", span, "--json", "--at", &after(&log, created)])).remove(0);
    assert_eq!(then["live"], true);
    assert!(then["facts"]["blocks"].as_str().unwrap().starts_with('('));
    assert_eq!(prooflog(&log, &["show", "span-1-99999"]).status.code(), Some(2));
    assert_eq!(prooflog(&log, &["show", "nonsense"]).status.code(), Some(2));
}

/// The end of the batch that holds a position.
fn after(log: &Path, position: &str) -> String {
    let wanted: u64 = position.parse().unwrap();
    let events = lines(&prooflog(log, &["events", "--from", position, "--limit", "600", "--json"]));
    let time = events[0]["micros"].clone();
    let last = events.iter().take_while(|event| event["micros"] == time).last().unwrap();
    let last = last["position"].as_str().unwrap().to_owned();
    assert!(last.parse::<u64>().unwrap() >= wanted);
    last
}

#[test]
fn what_changed_between_two_moments_is_told_as_facts() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    simulate("friendly", 6, &log);
    let changes = lines(&prooflog(&log, &["diff", "0", "head", "--json"]));
    assert!(changes.iter().any(|change| change["fact"] == "contract" && change["before"].is_null()));
    assert!(lines(&prooflog(&log, &["diff", "head", "head", "--json"])).is_empty());
    assert_eq!(prooflog(&log, &["diff", "head", "head~10"]).status.code(), Some(2), "backwards");
    let events = lines(&prooflog(&log, &["events", "--type", "AggSettled", "--json"]));
    let position = events[0]["position"].as_str().unwrap();
    let before = format!(
        "head~{}",
        lines(&prooflog(&log, &["events", "--from", position, "--limit", "100000", "--json"])).len()
    );
    let changes = lines(&prooflog(&log, &["diff", &before, "head", "--json"]));
    assert!(changes.iter().any(|change| change["fact"] == "ended"), "{changes:?}");
}

#[test]
fn a_moment_may_be_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    simulate("friendly", 7, &log);
    let events = lines(&prooflog(&log, &["events", "--limit", "100000", "--json"]));
    let middle = &events[events.len() / 2];
    let time = middle["time"].as_str().unwrap();
    let shown = lines(&prooflog(&log, &["status", "--json", "--at", time])).remove(0);
    let at: u64 = shown["position"].as_str().unwrap().parse().unwrap();
    // Times are shown to the second: whatever was recorded in the rest of it comes later.
    let recorded = |event: &serde_json::Value| event["time"].as_str().unwrap().to_owned();
    assert!(recorded(&events[usize::try_from(at).unwrap() - 1]).as_str() <= time);
    assert!(lines(&prooflog(&log, &["status", "--json", "--at", "1970-01-02T00:00:00Z"])).is_empty());
}

#[test]
fn a_command_without_an_engine_says_so_and_a_backup_needs_none() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    simulate("friendly", 8, &log);
    let pause = prooflog(&log, &["pause", "proving", "--chain", "1"]);
    assert_eq!(pause.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&pause.stderr).contains("no engine answers"));
    let copy = dir.path().join("copy");
    let made = lines(&prooflog(&log, &["backup", "--to", copy.to_str().unwrap(), "--json"])).remove(0);
    let verified = lines(&prooflog(&copy, &["verify", "--json"])).remove(0);
    assert_eq!(made["hash"], verified["hash"]);
    assert_ne!(
        prooflog(&log, &["backup", "--to", copy.to_str().unwrap()]).status.code(),
        Some(0),
        "it is there"
    );
}

#[test]
fn a_configuration_is_shown_with_its_origins_and_without_its_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_prooflog"))
        .env_clear()
        .args(["config", "--json", "--oracle-address", "0x00000000000000000000000000000000000000aa"])
        .env("PROOFLOG_DATA_DIR", dir.path())
        .env("PROOFLOG_CHAIN_ID", "10")
        .env("PROOFLOG_L1_RPC", "http://user:canary1@127.0.0.1:8545/canary2")
        .env("PROOFLOG_ROLLUP_RPC", "http://127.0.0.1:9545")
        .env("PROOFLOG_PROVER_URL", "http://127.0.0.1:3000")
        .env("PRIVATE_KEY", "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d")
        .output()
        .unwrap();
    let shown =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{shown}");
    for secret in ["canary1", "canary2", "59c6995e"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("PRIVATE_KEY"), "an older name is reported: {shown}");
    let empty = Command::new(env!("CARGO_BIN_EXE_prooflog")).env_clear().arg("config").output().unwrap();
    assert_eq!(empty.status.code(), Some(2));
}

/// The file of an export, its lines, and what its last three lines would have said.
fn cut(dir: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let whole = super::audit::golden("retry-until-parked.jsonl");
    let text = std::fs::read_to_string(&whole).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let part = dir.join("part.jsonl");
    std::fs::write(&part, lines[..lines.len() - 3].join("\n")).unwrap();
    (whole, part)
}

#[test]
fn an_import_that_cannot_be_read_to_its_end_leaves_nothing_that_could_be_run() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, part) = cut(dir.path());
    let import = |log: &Path, file: &Path| prooflog(log, &["import", file.to_str().unwrap()]);
    let new = dir.path().join("new");
    assert_eq!(import(&new, &part).status.code(), Some(4));
    assert!(!new.exists(), "it would be taken for the whole log");
    // What an operator put there before is left alone, and so is what a killed import left.
    let prepared = dir.path().join("prepared");
    std::fs::create_dir_all(prepared.join("import.partial/db")).unwrap();
    std::fs::write(prepared.join("users.toml"), "").unwrap();
    let names = || {
        let mut names: Vec<_> =
            std::fs::read_dir(&prepared).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(import(&prepared, &part).status.code(), Some(4));
    assert_eq!(names(), ["LOCK", "users.toml"]);
    assert_eq!(prooflog(&prepared, &["status"]).status.code(), Some(2), "there is no log");
    // An empty line at the end is no damage.
    std::fs::write(&part, std::fs::read_to_string(whole).unwrap() + "\n \n").unwrap();
    assert_eq!(import(&prepared, &part).status.code(), Some(0));
    assert_eq!(names(), ["HEAD", "LOCK", "db", "users.toml"]);
    let verified = lines(&prooflog(&prepared, &["verify", "--json"])).remove(0);
    assert_eq!(verified["position"], "569");
    // A second one would go on where the first one ended.
    let again = import(&prepared, &part);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("is not empty"), "{again:?}");
}

#[test]
fn of_two_imports_into_one_directory_the_second_is_refused_and_the_first_one_ends_well() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let whole = super::audit::golden("retry-until-parked.jsonl");
    let mut first = Command::new(env!("CARGO_BIN_EXE_prooflog"));
    first.env_clear().arg("--data-dir").arg(&log).args(["import", "-"]);
    let mut first = first.stdin(std::process::Stdio::piped()).spawn().unwrap();
    // It waits for its first line; that it holds the place is written there.
    let holder = first.id().to_string();
    while std::fs::read_to_string(log.join("LOCK")).unwrap_or_default().trim() != holder {
        assert!(first.try_wait().unwrap().is_none(), "it ended");
        std::thread::yield_now();
    }
    let second = prooflog(&log, &["import", whole.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(3), "{said}");
    assert!(said.contains(&format!("is held by process {holder}")), "{said}");
    let text = std::fs::read(whole).unwrap();
    std::io::Write::write_all(&mut first.stdin.take().unwrap(), &text).unwrap();
    assert!(first.wait().unwrap().success());
    assert_eq!(lines(&prooflog(&log, &["verify", "--json"]))[0]["position"], "569");
}

/// The program with an export in a pipe.
fn piped(dir: &Path, arguments: &[&str]) -> Output {
    let export = super::audit::golden("retry-until-parked.jsonl");
    let mut cat = Command::new("cat").arg(export).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_prooflog"))
        .env_clear()
        .arg("--data-dir")
        .arg(dir)
        .args(arguments)
        .stdin(cat.stdout.take().unwrap())
        .output();
    assert!(cat.wait().unwrap().success());
    output.unwrap()
}

#[test]
fn a_log_comes_through_a_pipe_and_goes_into_one_that_is_closed_early() {
    let dir = tempfile::tempdir().unwrap();
    let looked = piped(Path::new("/dev/stdin"), &["status", "--json"]);
    assert_eq!(lines(&looked)[0]["position"], "569");
    let log = dir.path().join("log");
    assert_eq!(piped(&log, &["import", "-"]).status.code(), Some(0));
    assert_eq!(lines(&prooflog(&log, &["status", "--json"])), lines(&looked));

    let mut program = Command::new(env!("CARGO_BIN_EXE_prooflog"));
    program.env_clear().arg("--data-dir").arg(&log).arg("export");
    let mut child =
        program.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut read = [0_u8; 10];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut read).unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn an_export_that_finds_no_room_names_its_file_and_leaves_none() {
    let dir = tempfile::tempdir().unwrap();
    let (log, file) = (dir.path().join("log"), dir.path().join("export.jsonl"));
    let whole = super::audit::golden("retry-until-parked.jsonl");
    assert_eq!(prooflog(&log, &["import", whole.to_str().unwrap()]).status.code(), Some(0));
    // No file may have more than 32 KiB: the write fails as it does on a full disk.
    let script = r#"trap '' XFSZ; ulimit -f 64; exec "$0" --data-dir "$1" export --to "$2""#;
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_prooflog")])
        .args([&log, &file])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("export.jsonl"), "{output:?}");
    assert!(!file.exists());
}
