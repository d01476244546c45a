//! What people see: commands on golden logs, and their output word for word; the tutorial's too.
//!
//! What differs from run to run is fixed where it can be (`SCRATCH` is a directory with an auditor's key for tests), and
//! else checked and left out: a new key, free bytes, rates. `PROOFLOG_UPDATE_GOLDEN=1` writes transcripts that are not there
//! yet, `PROOFLOG_UPDATE_DOCS=1` the tutorial's output.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use prooflog_audit::VerifyingKey;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What stands for the directory of a command in its words and answers.
const SCRATCH: &str = "SCRATCH";

/// A directory with a key that may be read by its owner alone, as git does not keep it, and one that may not be used.
fn scratch() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, mode) in [("audit.key", 0o600), ("open.key", 0o644)] {
        let path = dir.path().join(name);
        std::fs::copy(root().join("tests/golden/audit/signing.key"), &path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    dir
}

/// An answer without what differs from run to run; what it stands in place of is checked.
fn settled(text: &str) -> String {
    text.split_inclusive('\n').map(|line| without_rate(&without_free_bytes(&without_key(line)))).collect()
}

/// A line without the public key in it; of which log that is stays.
fn without_key(line: &str) -> String {
    let Some(from) = line.find("prooflog/0x") else { return line.to_owned() };
    let (before, rest) = line.split_at(from);
    let (word, after) = rest.split_at(rest.find(['"', '\n', ' ']).unwrap_or(rest.len()));
    match word.parse::<VerifyingKey>() {
        Ok(key) => format!("{before}prooflog/{}+KEY{after}", key.log()),
        Err(_) => line.to_owned(),
    }
}

/// A line without how many bytes are free.
fn without_free_bytes(line: &str) -> String {
    let Some((before, after)) = line.split_once(" bytes free in ") else { return line.to_owned() };
    let words = before.trim_end_matches(|c: char| c.is_ascii_digit());
    assert!(words.len() < before.len(), "{line}");
    format!("{words}N bytes free in {after}")
}

/// A line without how many records were read in a second.
fn without_rate(line: &str) -> String {
    let Some((before, after)) = line.split_once("/s)") else { return line.to_owned() };
    let words = before.trim_end_matches(|c: char| c.is_ascii_digit());
    assert!(words.len() < before.len() && words.ends_with('('), "{line}");
    format!("{words}N/s){after}")
}

/// What `$ prooflog ...` prints on a golden log, errors included.
fn said(log: &str, command: &str) -> String {
    said_in(&scratch(), log, command)
}

fn said_in(scratch: &tempfile::TempDir, log: &str, command: &str) -> String {
    let place = scratch.path().to_str().unwrap();
    let mut words = Vec::new();
    for (at, piece) in command.split('\'').enumerate() {
        if at % 2 == 1 { words.push(piece) } else { words.extend(piece.split_whitespace()) }
    }
    assert_eq!(words.first(), Some(&"prooflog"), "{command}");
    let words: Vec<String> = words.iter().map(|word| word.replace(SCRATCH, place)).collect();
    let mut run = Command::new(env!("CARGO_BIN_EXE_prooflog"));
    run.env_clear()
        .current_dir(root())
        .arg("--data-dir")
        .arg(Path::new("tests/golden/logs/format-1").join(log.replace(SCRATCH, place)));
    let output = run.args(&words[1..]).output().unwrap();
    let code = output.status.code().unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    text += &String::from_utf8(output.stderr).unwrap();
    if code != 0 {
        text += &format!("(exit code {code})\n");
    }
    text.replace(place, SCRATCH)
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
    ("status-json", "retry-until-parked.jsonl", "prooflog status --json"),
    ("status-before-the-log", "retry-until-parked.jsonl", "prooflog status --at 2020-01-01T00:00:00Z"),
    ("status-beyond", "retry-until-parked.jsonl", "prooflog status --at 570"),
    ("status-nonsense", "retry-until-parked.jsonl", "prooflog status --at yesterday"),
    ("status-head-minus", "retry-until-parked.jsonl", "prooflog status --at head~297"),
    ("status-ago", "retry-until-parked.jsonl", "prooflog status --at '90m ago'"),
    ("status-no-log", "none.jsonl", "prooflog status"),
    ("status-damaged", "../damaged/dropped.jsonl", "prooflog status"),
    ("status-no-export", "split.txt", "prooflog status"),
    ("status-held", "operator-intervention.jsonl", "prooflog status --at 27"),
    ("requests-json", "retry-until-parked.jsonl", "prooflog requests --at 272 --json"),
    ("requests-parked", "retry-until-parked.jsonl", "prooflog requests --at 272"),
    ("requests-before-the-log", "retry-until-parked.jsonl", "prooflog requests --at 0"),
    ("show-json", "retry-until-parked.jsonl", "prooflog show span-10-27 --at 272 --json"),
    ("show-parked", "retry-until-parked.jsonl", "prooflog show span-10-27 --at 272"),
    ("show-nonce", "split.jsonl", "prooflog show tx-1-0x5151515151515151515151515151515151515151-7 --at 44"),
    ("show-rollup", "split.jsonl", "prooflog show chain-10 --at 20"),
    ("show-over", "split.jsonl", "prooflog show span-10-2"),
    ("show-unknown", "split.jsonl", "prooflog show span-10-99"),
    ("show-nonsense", "split.jsonl", "prooflog show nonsense"),
    ("events-json", "split.jsonl", "prooflog events --from 26 --limit 2 --json"),
    ("events-type", "split.jsonl", "prooflog events --type Split"),
    ("events-stream-at", "split.jsonl", "prooflog events --stream span-10-2 --at 26"),
    ("events-beyond", "split.jsonl", "prooflog events --at 98"),
    ("events-follow-export", "split.jsonl", "prooflog events --follow"),
    ("timeline-json", "split.jsonl", "prooflog timeline span-10-2 --at 30 --json"),
    ("timeline-half", "split.jsonl", "prooflog timeline span-10-5"),
    ("timeline-aggregate", "split.jsonl", "prooflog timeline agg-10-1"),
    ("timeline-nonce", "split.jsonl", "prooflog timeline tx-1-0x5151515151515151515151515151515151515151-7"),
    ("timeline-rollup", "operator-intervention.jsonl", "prooflog timeline chain-10"),
    ("timeline-unknown", "split.jsonl", "prooflog timeline span-10-99"),
    ("timeline-damaged", "../damaged/swapped.jsonl", "prooflog timeline chain-10"),
    (
        "why-unknown-hash",
        "split.jsonl",
        "prooflog why 0x0101010101010101010101010101010101010101010101010101010101010101",
    ),
    ("why-beyond", "split.jsonl", "prooflog why span-10-2 --at 1000"),
    ("why-too-early", "split.jsonl", "prooflog why span-10-5 --at 20"),
    ("diff-backwards", "split.jsonl", "prooflog diff 50 30"),
    ("diff-times", "retry-until-parked.jsonl", "prooflog diff 2025-06-15T15:42:28Z 2025-06-15T15:42:29Z"),
    ("diff-beyond", "split.jsonl", "prooflog diff 30 1000"),
    ("replay-json", "retry-until-parked.jsonl", "prooflog replay --check --json"),
    (
        "replay-policy-json",
        "retry-until-parked.jsonl",
        "prooflog replay --policy tests/golden/policies/longer-spans.toml --json",
    ),
    (
        "replay-no-policy",
        "retry-until-parked.jsonl",
        "prooflog replay --policy tests/golden/policies/none.toml",
    ),
    ("bisect-json", "retry-until-parked.jsonl", "prooflog bisect 'parked > 0' --json"),
    ("bisect-variables", "retry-until-parked.jsonl", "prooflog bisect --variables"),
    ("bisect-syntax", "split.jsonl", "prooflog bisect 'parked > 0 and lag > 5'"),
    ("bisect-unfinished", "split.jsonl", "prooflog bisect 'parked >'"),
    ("bisect-always", "split.jsonl", "prooflog bisect 'parked == 0'"),
    ("diff-from-nothing", "split.jsonl", "prooflog diff 0 5"),
    ("events-last", "split.jsonl", "prooflog events --last 3 --type Proof"),
    ("events-nothing", "split.jsonl", "prooflog events --type Splitt"),
    ("status-days-ago", "retry-until-parked.jsonl", "prooflog status --at '2d ago'"),
    ("status-no-zone", "retry-until-parked.jsonl", "prooflog status --at 2025-06-15T15:44:00"),
    (
        "audit-report-nothing",
        "operator-intervention.jsonl",
        "prooflog audit report --from 2030-01-01T00:00:00Z",
    ),
    ("verify-json", "split.jsonl", "prooflog verify --json"),
    ("verify-dropped", "../damaged/dropped.jsonl", "prooflog verify"),
    ("verify-swapped", "../damaged/swapped.jsonl", "prooflog verify"),
    ("verify-truncated", "../damaged/truncated.jsonl", "prooflog verify"),
    ("verify-no-log", "none.jsonl", "prooflog verify"),
    ("audit-report-json", "operator-intervention.jsonl", "prooflog audit report --from 25 --to 45 --json"),
    ("audit-report-backwards", "operator-intervention.jsonl", "prooflog audit report --from 45 --to 25"),
    (
        "audit-check",
        "split.jsonl",
        "prooflog audit check --key prooflog/0x676f6c64656e206c6f67206f66207066+46a679f8+AfhHheatkEyXO0qqZ/+SGFEog1bpuGDpZnWknI6CqebZ tests/golden/audit/old.ckpt tests/golden/audit/new.ckpt tests/golden/audit/growth.proof tests/golden/audit/record-42.proof",
    ),
    (
        "audit-check-json",
        "split.jsonl",
        "prooflog audit check --key prooflog/0x676f6c64656e206c6f67206f66207066+46a679f8+AfhHheatkEyXO0qqZ/+SGFEog1bpuGDpZnWknI6CqebZ tests/golden/audit/new.ckpt tests/golden/audit/record-42.proof --json",
    ),
    (
        "audit-check-forged",
        "split.jsonl",
        "prooflog audit check --key prooflog/0x676f6c64656e206c6f67206f66207066+46a679f8+AfhHheatkEyXO0qqZ/+SGFEog1bpuGDpZnWknI6CqebZ tests/golden/audit/forged.proof",
    ),
    (
        "audit-check-nonsense",
        "split.jsonl",
        "prooflog audit check --key nonsense tests/golden/audit/new.ckpt",
    ),
    (
        "audit-check-no-file",
        "split.jsonl",
        "prooflog audit check --key prooflog/0x676f6c64656e206c6f67206f66207066+46a679f8+AfhHheatkEyXO0qqZ/+SGFEog1bpuGDpZnWknI6CqebZ tests/golden/audit/none.ckpt",
    ),
    (
        "audit-examine",
        "split.jsonl",
        "prooflog audit examine --key prooflog/0x676f6c64656e206c6f67206f66207066+46a679f8+AfhHheatkEyXO0qqZ/+SGFEog1bpuGDpZnWknI6CqebZ tests/golden/audit/old.ckpt tests/golden/audit/new.ckpt",
    ),
    (
        "audit-examine-json",
        "split.jsonl",
        "prooflog audit examine --key prooflog/0x676f6c64656e206c6f67206f66207066+46a679f8+AfhHheatkEyXO0qqZ/+SGFEog1bpuGDpZnWknI6CqebZ tests/golden/audit/old.ckpt tests/golden/audit/new.ckpt --json",
    ),
    (
        "audit-examine-other",
        "happy-path.jsonl",
        "prooflog audit examine --key prooflog/0x676f6c64656e206c6f67206f66207066+46a679f8+AfhHheatkEyXO0qqZ/+SGFEog1bpuGDpZnWknI6CqebZ tests/golden/audit/old.ckpt tests/golden/audit/new.ckpt",
    ),
    ("audit-prove", "split.jsonl", "prooflog audit prove 42 --checkpoint tests/golden/audit/new.ckpt"),
    ("audit-prove-beyond", "split.jsonl", "prooflog audit prove 98 --checkpoint tests/golden/audit/new.ckpt"),
    (
        "audit-consistency",
        "split.jsonl",
        "prooflog audit consistency tests/golden/audit/old.ckpt tests/golden/audit/new.ckpt",
    ),
    (
        "audit-consistency-backwards",
        "split.jsonl",
        "prooflog audit consistency tests/golden/audit/new.ckpt tests/golden/audit/old.ckpt",
    ),
    ("audit-checkpoint", "split.jsonl", "prooflog audit checkpoint --key SCRATCH/audit.key --at 40"),
    (
        "audit-checkpoint-json",
        "split.jsonl",
        "prooflog audit checkpoint --key SCRATCH/audit.key --at 40 --json",
    ),
    (
        "audit-checkpoint-after",
        "split.jsonl",
        "prooflog audit checkpoint --key SCRATCH/audit.key --before tests/golden/audit/old.ckpt --bare",
    ),
    (
        "audit-checkpoint-to",
        "split.jsonl",
        "prooflog audit checkpoint --key SCRATCH/audit.key --to SCRATCH/new.ckpt",
    ),
    (
        "audit-checkpoint-contradicts",
        "happy-path.jsonl",
        "prooflog audit checkpoint --key SCRATCH/audit.key --before tests/golden/audit/old.ckpt",
    ),
    ("audit-checkpoint-open-key", "split.jsonl", "prooflog audit checkpoint --key SCRATCH/open.key"),
    ("audit-checkpoint-no-key", "split.jsonl", "prooflog audit checkpoint --key SCRATCH/none.key"),
    (
        "audit-checkpoint-damaged",
        "../damaged/swapped.jsonl",
        "prooflog audit checkpoint --key SCRATCH/audit.key",
    ),
    ("audit-keygen", "split.jsonl", "prooflog audit keygen --key SCRATCH/new.key"),
    ("audit-keygen-json", "split.jsonl", "prooflog audit keygen --key SCRATCH/new.key --json"),
    ("audit-keygen-there", "split.jsonl", "prooflog audit keygen --key SCRATCH/audit.key"),
    ("audit-keygen-no-log", "none.jsonl", "prooflog audit keygen --key SCRATCH/new.key"),
    (
        "audit-prove-at",
        "split.jsonl",
        "prooflog audit prove 42 --checkpoint tests/golden/audit/new.ckpt --at 50",
    ),
    ("config", "split.jsonl", "prooflog config --config tests/golden/configs/rollup.toml"),
    (
        "config-json",
        "split.jsonl",
        "prooflog config --config tests/golden/configs/rollup.toml --span.blocks 60 --json",
    ),
    ("config-slips", "split.jsonl", "prooflog config --config tests/golden/configs/slips.toml"),
    ("config-nothing", "split.jsonl", "prooflog config"),
    ("config-no-file", "split.jsonl", "prooflog config --config tests/golden/configs/none.toml"),
    ("doctor-nobody", "split.jsonl", "prooflog doctor --config tests/golden/configs/rollup.toml"),
    ("doctor-nobody-json", "split.jsonl", "prooflog doctor --config tests/golden/configs/rollup.toml --json"),
    ("doctor-slips", "split.jsonl", "prooflog doctor --config tests/golden/configs/slips.toml"),
    ("would-nobody", "split.jsonl", "prooflog would"),
    ("export-at", "split.jsonl", "prooflog export --at 2"),
    ("rebuild-export", "split.jsonl", "prooflog rebuild"),
    ("verify", "split.jsonl", "prooflog verify"),
    (
        "movement",
        "SCRATCH/log",
        "prooflog import tests/golden/logs/format-1/split.jsonl\nprooflog verify\nprooflog rebuild\n\
         prooflog backup --to SCRATCH/backup\nprooflog export --to SCRATCH/export.jsonl\n\
         prooflog export --to SCRATCH/export.jsonl\nprooflog restore SCRATCH/backup",
    ),
    (
        "movement-json",
        "SCRATCH/log",
        "prooflog import tests/golden/logs/format-1/split.jsonl --json\nprooflog rebuild --json\n\
         prooflog backup --to SCRATCH/backup --json\nprooflog export --to SCRATCH/export.jsonl --json",
    ),
    ("restore", "SCRATCH/log", "prooflog restore SCRATCH/none"),
    ("users", "SCRATCH/log", "prooflog users list\nprooflog users remove ann\nprooflog users list --json"),
    ("pause-nobody", "split.jsonl", "prooflog pause proving --chain 10"),
    ("retry-nonsense", "split.jsonl", "prooflog retry chain-10"),
    ("prover-check-nobody", "split.jsonl", "prooflog prover-check http://127.0.0.1:9"),
    ("import-no-export", "SCRATCH/log", "prooflog import tests/golden/audit/audit.pub"),
    ("import-damaged", "SCRATCH/log", "prooflog import tests/golden/logs/damaged/swapped.jsonl"),
    ("help-status", "split.jsonl", "prooflog status --help"),
    ("help-requests", "split.jsonl", "prooflog requests --help"),
    ("help-show", "split.jsonl", "prooflog show --help"),
    ("help-events", "split.jsonl", "prooflog events --help"),
    ("help-timeline", "split.jsonl", "prooflog timeline --help"),
    ("help-why", "split.jsonl", "prooflog why --help"),
    ("help-diff", "split.jsonl", "prooflog diff --help"),
    ("help-replay", "split.jsonl", "prooflog replay --help"),
    ("help-debug", "split.jsonl", "prooflog debug --help"),
    ("help-bisect", "split.jsonl", "prooflog bisect --help"),
    ("help-verify", "split.jsonl", "prooflog verify --help"),
    ("help-audit-report", "split.jsonl", "prooflog audit report --help"),
    ("help-audit-check", "split.jsonl", "prooflog audit check --help"),
    ("help-audit-prove", "split.jsonl", "prooflog audit prove --help"),
    ("help-audit-consistency", "split.jsonl", "prooflog audit consistency --help"),
    ("help-audit-examine", "split.jsonl", "prooflog audit examine --help"),
    ("help-audit-checkpoint", "split.jsonl", "prooflog audit checkpoint --help"),
    ("help-audit-keygen", "split.jsonl", "prooflog audit keygen --help"),
    ("help-export", "split.jsonl", "prooflog export --help"),
    ("help-would", "split.jsonl", "prooflog would --help"),
    ("help-doctor", "split.jsonl", "prooflog doctor --help"),
    ("help-config", "split.jsonl", "prooflog config --help"),
    ("help-prover-check", "split.jsonl", "prooflog prover-check --help"),
    ("help-serve", "split.jsonl", "prooflog serve --help"),
    ("help-backup", "split.jsonl", "prooflog backup --help"),
    ("help-restore", "split.jsonl", "prooflog restore --help"),
    ("help-rebuild", "split.jsonl", "prooflog rebuild --help"),
    ("help-pause", "split.jsonl", "prooflog pause --help"),
    ("help-flush", "split.jsonl", "prooflog flush --help"),
    ("help-retry", "split.jsonl", "prooflog retry --help"),
    ("help-cancel", "split.jsonl", "prooflog cancel --help"),
    ("help-users", "split.jsonl", "prooflog users --help"),
    ("help", "split.jsonl", "prooflog --help"),
    ("help-import", "split.jsonl", "prooflog import --help"),
    ("help-import-op-succinct", "split.jsonl", "prooflog import op-succinct --help"),
];

#[test]
fn transcripts_are_as_they_were() {
    let (mut missing, mut changed) = (Vec::new(), Vec::new());
    for (name, log, command) in TRANSCRIPTS {
        let path: PathBuf = root().join(format!("tests/golden/transcripts/{name}.txt"));
        let scratch = scratch();
        let say = |command| format!("$ {command}\n{}", settled(&said_in(&scratch, log, command)));
        let now = format!("log: {log}\n{}", command.lines().map(say).collect::<String>());
        match std::fs::read_to_string(&path) {
            Ok(then) if then == now => {}
            Ok(then) => changed.push(format!("{name} was\n{then}and is\n{now}")),
            Err(_) if std::env::var_os("PROOFLOG_UPDATE_GOLDEN").is_some() => {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, now).unwrap();
            }
            Err(_) => missing.push(*name),
        }
    }
    assert!(changed.is_empty(), "{}", changed.join("\n"));
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
fn a_timeline_is_everything_that_carries_the_correlation() {
    for log in ["split", "operator-intervention", "reorg-after-submission", "retry-until-parked"] {
        let log = format!("{log}.jsonl");
        let json = |command: &str| -> Vec<serde_json::Value> {
            said(&log, command).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        // Told by the index of streams; found here by reading the whole log.
        let mut all = std::collections::BTreeMap::<String, Vec<serde_json::Value>>::new();
        for event in json("prooflog events --limit 100000 --json") {
            let name = event["correlation"].as_str().unwrap().to_owned();
            all.entry(name).or_default().push(event["position"].clone());
        }
        // A few of each kind: each is a process of its own.
        for kind in ["span-", "agg-", "chain-", "tx-", "node-"] {
            for (name, positions) in all.iter().filter(|(name, _)| name.starts_with(kind)).take(3) {
                let told = json(&format!("prooflog timeline {name} --json"));
                let told: Vec<_> = told.into_iter().map(|entry| entry["position"].clone()).collect();
                assert_eq!(&told, positions, "{name} of {log}");
            }
        }
    }
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
