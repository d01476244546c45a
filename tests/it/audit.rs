//! Evidence through the program: what was tampered with is named, by `verify` or by the checkpoints around it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use prooflog_events::envelope::{Envelope, record_hash};
use prooflog_events::event::{Event, EventType, SpanCreated};
use prooflog_events::ids::{L2Block, Range};
use prooflog_log::conformance::forging::rewrite;
use serde_json::{Value, json};

fn prooflog(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_prooflog")).env_clear().args(arguments).output().unwrap()
}

fn ok(arguments: &[&str]) -> String {
    let output = prooflog(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(arguments: &[&str]) -> String {
    let output = prooflog(arguments);
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/logs/format-1").join(name)
}

/// An export: its header, and the stored bytes of its records.
pub(crate) struct Export {
    header: Value,
    pub(crate) records: Vec<Vec<u8>>,
}

impl Export {
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let header = lines.next().unwrap();
        let stored = |line: Value| hex(line["stored"].as_str().unwrap());
        Self { header, records: lines.map(stored).collect() }
    }

    /// Changes a record, and makes every hash from there on right again.
    pub(crate) fn rewrite(&mut self, position: usize, change: impl FnOnce(Envelope<'_>) -> Vec<u8>) {
        rewrite(&mut self.records, position - 1, change);
    }

    /// Writes it as an export whose every line is in order.
    pub(crate) fn write(&self, path: &Path) {
        let mut header = self.header.clone();
        header["head"]["position"] = json!(self.records.len().to_string());
        header["head"]["hash"] = json!(record_hash(self.records.last().unwrap()).to_string());
        let mut text = header.to_string() + "\n";
        for record in &self.records {
            let envelope = Envelope::decode(record).unwrap();
            let line = json!({
                "position": envelope.position.to_string(),
                "stream": envelope.stream,
                "revision": envelope.revision.0.to_string(),
                "type": envelope.type_name,
                "hash": record_hash(record).to_string(),
                "stored": format!("0x{}", record.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
            });
            text += &(line.to_string() + "\n");
        }
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn find(&self, kind: EventType) -> usize {
        let is_it = |record: &Vec<u8>| Envelope::decode(record).unwrap().type_name == kind.name();
        1 + self.records.iter().position(is_it).unwrap()
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix("0x").unwrap();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn an_auditor_needs_the_public_key_and_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let export = golden("split.jsonl").display().to_string();
    let log = path("log");
    ok(&["--data-dir", &log, "import", &export]);
    let public = ok(&["--data-dir", &log, "audit", "keygen", "--key", &path("key")]);
    let public = public.trim();
    let sign = |at: &str, more: &[&str], to: &str| {
        let (key, to) = (path("key"), path(to));
        let mut words =
            vec!["--data-dir", &log, "--at", at, "audit", "checkpoint", "--key", &key, "--to", &to];
        words.extend(more);
        ok(&words)
    };
    sign("20", &[], "old");
    sign("head", &["--before", &path("old")], "new");
    ok(&["--data-dir", &log, "audit", "consistency", &path("old"), &path("new"), "--to", &path("growth")]);
    ok(&["--data-dir", &log, "audit", "prove", "7", "--checkpoint", &path("new"), "--to", &path("seventh")]);
    // Another machine: files and the key, nothing else.
    let (old, new, growth, seventh) = (path("old"), path("new"), path("growth"), path("seventh"));
    let told = ok(&["audit", "check", "--key", public, &old, &new, &growth, &seventh]);
    assert!(told.contains("record 7 with hash") && !told.contains("not shown"), "{told}");
    let apart = ok(&["audit", "check", "--key", public, &old, &new]);
    assert!(apart.contains("not shown"), "{apart}");
    let text = std::fs::read_to_string(&seventh).unwrap().replacen("index 6", "index 7", 1);
    std::fs::write(path("wrong"), text).unwrap();
    assert!(refused(&["audit", "check", "--key", public, &path("wrong")]).contains("not shown"));
    let (key, text) = (std::fs::read_to_string(path("key")).unwrap(), told + &apart);
    // What follows the fourth sign of the separator: base64 has such signs of its own.
    let secret = key.trim().splitn(5, '+').nth(4).unwrap();
    assert!(secret.len() > 40 && !text.contains(secret));
    // Files are never overwritten, and a key is for one log.
    let again = prooflog(&["--data-dir", &log, "audit", "keygen", "--key", &path("key")]);
    assert_eq!(again.status.code(), Some(3));
    let garbage = prooflog(&["audit", "check", "--key", public, &path("key")]);
    assert_eq!(garbage.status.code(), Some(2), "a key is no document");
}

#[test]
fn a_rewritten_log_verifies_and_the_checkpoints_around_the_change_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let original = golden("happy-path.jsonl").display().to_string();
    let public = ok(&["--data-dir", &original, "audit", "keygen", "--key", &path("key")]);
    let mut checkpoints = Vec::new();
    for at in ["10", "20", "30", "40"] {
        let (key, to) = (path("key"), path(at));
        ok(&["--data-dir", &original, "--at", at, "audit", "checkpoint", "--key", &key, "--to", &to]);
        checkpoints.push(to);
    }
    let examine = |log: &str, run: fn(&[&str]) -> String| {
        let mut words = vec!["--data-dir", log, "audit", "examine", "--key", public.trim()];
        words.extend(checkpoints.iter().map(String::as_str));
        run(&words)
    };
    assert!(examine(&original, ok).contains("first checkpoint that does not:  none"));
    let mut export = Export::read(Path::new(&original));
    export.rewrite(25, |envelope| Envelope { correlation: "somebody else", ..envelope }.encode());
    export.write(&dir.path().join("rewritten.jsonl"));
    let told = examine(&path("rewritten.jsonl"), refused);
    // Checkpoints are of batch ends: the third is of the last one at or before 30.
    assert!(told.contains("the first changed record is one of"), "{told}");
    let (low, high) = told
        .split("is one of ")
        .nth(1)
        .and_then(|text| text.lines().next()?.split_once(" to "))
        .map(|(low, high)| (low.parse::<u64>().unwrap(), high.parse::<u64>().unwrap()))
        .unwrap();
    assert!((low..=high).contains(&25) && low > 10 && high <= 40, "{told}");
    // A log that ends earlier is not the log that was signed.
    let mut short = Export::read(Path::new(&original));
    short.records.truncate(35);
    while Envelope::decode(short.records.last().unwrap()).unwrap().batch_last().0
        != short.records.len() as u64
    {
        short.records.pop();
    }
    short.write(&dir.path().join("short.jsonl"));
    assert!(examine(&path("short.jsonl"), refused).contains("MISSING"));
}

#[test]
fn a_forged_event_breaks_a_law_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let forged = dir.path().join("forged.jsonl");
    let mut export = Export::read(&golden("happy-path.jsonl"));
    let at = export.find(EventType::SpanCreated);
    export.rewrite(at, |envelope| {
        let event = Event::decode(envelope.type_name, envelope.version, envelope.payload).unwrap();
        let Event::SpanCreated(span) = event else { panic!("{event:?}") };
        // A thousand blocks more than are final.
        let range = Range { start: span.range.start, end: L2Block(span.range.end.0 + 100_000) };
        let payload = Event::from(SpanCreated { range, ..span }).encode();
        Envelope { payload: &payload, ..envelope }.encode()
    });
    export.write(&forged);
    let told = refused(&["--data-dir", forged.to_str().unwrap(), "verify"]);
    assert!(told.contains(&format!("position {at} on")), "{told}");
    assert!(told.contains("nothing above the finalized head is planned"), "{told}");
    // Batches in another order: the fold does not take them.
    let mut export = Export::read(&golden("happy-path.jsonl"));
    let at = export.find(EventType::ProofFulfilled);
    export.rewrite(at, |envelope| {
        let (kind, payload) = (EventType::Cancelled, vec![0; 3]);
        Envelope { type_name: kind.name(), payload: &payload, ..envelope }.encode()
    });
    export.write(&dir.path().join("other.jsonl"));
    let told = refused(&["--data-dir", dir.path().join("other.jsonl").to_str().unwrap(), "verify"]);
    assert!(told.contains(&at.to_string()), "{told}");
}

#[test]
fn every_way_to_damage_an_export_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let damaged = dir.path().join("damaged.jsonl");
    let text = std::fs::read_to_string(golden("retry-until-parked.jsonl")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    for round in 0..20 {
        let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let at = 1 + random(lines.len() - 2);
        // The line of record `at`. What comes twice is wrong where it stands for the second time.
        let mut first = at;
        match round % 5 {
            0 => {
                let line = &mut changed[at];
                let digit = line.find("\"stored\":\"0x").unwrap() + 12 + random(60);
                let other = if line.as_bytes()[digit] == b'0' { "1" } else { "0" };
                line.replace_range(digit..=digit, other);
            }
            1 => drop(changed.remove(at)),
            2 => changed.swap(at, at + 1),
            3 => {
                changed.insert(at, lines[at].to_owned());
                first += 1;
            }
            _ => changed.truncate(at + 1),
        }
        std::fs::write(&damaged, changed.join("\n") + "\n").unwrap();
        let told = refused(&["--data-dir", damaged.to_str().unwrap(), "verify"]);
        assert!(told.contains(&format!("position {first}: ")), "round {round} at {at}: {told}");
        assert!(told.contains("damaged.jsonl"), "{told}");
    }
}

#[test]
fn snapshots_are_rebuilt_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    super::on_disk::simulate("friendly", 21, &log);
    let log = log.to_str().unwrap();
    let verified: Value = serde_json::from_str(&ok(&["--data-dir", log, "verify", "--json"])).unwrap();
    let rebuilt: Value = serde_json::from_str(&ok(&["--data-dir", log, "rebuild", "--json"])).unwrap();
    assert_eq!(rebuilt["state"], verified["state"]);
    let again: Value = serde_json::from_str(&ok(&["--data-dir", log, "verify", "--json"])).unwrap();
    assert_eq!(again["snapshots"], rebuilt["snapshots"]);
    let nothing = prooflog(&["--data-dir", dir.path().join("none").to_str().unwrap(), "rebuild"]);
    assert_eq!(nothing.status.code(), Some(2));
}

#[test]
fn a_report_names_what_operators_did() {
    let golden = golden("operator-intervention.jsonl").display().to_string();
    let report = ok(&["--data-dir", &golden, "audit", "report"]);
    assert!(report.to_lowercase().contains("intervention"), "{report}");
    let json: Value =
        serde_json::from_str(&ok(&["--data-dir", &golden, "audit", "report", "--json"])).unwrap();
    assert!(!json["interventions"].as_array().unwrap().is_empty());
    let none: Value =
        serde_json::from_str(&ok(&["--data-dir", &golden, "audit", "report", "--from", "head", "--json"]))
            .unwrap();
    assert!(none["interventions"].as_array().unwrap().is_empty());
}
