//! Flags as clap knows them, and the files that they name.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Write;

use clap::Command;
use prooflog_config::{Sources, command_args, load};
use prooflog_net::Salt;

fn command() -> Command {
    Command::new("prooflog").args(command_args())
}

fn sources(words: &[&str]) -> Sources {
    let matches = command().try_get_matches_from([&["prooflog"], words].concat()).unwrap();
    Sources::read(&matches, []).unwrap()
}

#[test]
fn clap_takes_every_flag_of_the_table() {
    command().debug_assert();
}

#[test]
fn only_what_was_written_counts_as_a_flag() {
    assert!(sources(&[]).flags.is_empty());
    let given = sources(&[
        "--rpc.enable-admin",
        "--metrics.enabled=false",
        "--l1-rpc",
        "http://a",
        "--l1-rpc",
        "http://b,http://c",
    ]);
    let of = |key: &str| given.flags.iter().find(|(name, _)| name == key).map(|(_, values)| values.clone());
    assert_eq!(of("rpc.enable-admin"), Some(vec!["true".to_owned()]));
    assert_eq!(of("metrics.enabled"), Some(vec!["false".to_owned()]));
    assert_eq!(of("l1-rpc").map(|values| values.len()), Some(2));
}

#[test]
fn a_switch_does_not_swallow_the_next_word() {
    let matches = command()
        .arg(clap::Arg::new("word"))
        .try_get_matches_from(["prooflog", "--prover.mock", "word"])
        .unwrap();
    assert_eq!(matches.get_one::<String>("word").map(String::as_str), Some("word"));
}

#[test]
fn a_mistyped_flag_of_a_secret_does_not_repeat_it() {
    for words in [
        ["--privat-key=hunter2"].as_slice(),
        &["--privat-key", "hunter2"],
        &["--private-key", "hunter2", "--nonsense"],
    ] {
        let error = command().try_get_matches_from([&["prooflog"], words].concat()).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn a_command_that_takes_no_flags_reads_the_environment_all_the_same() {
    let matches = Command::new("status").try_get_matches_from(["status"]).unwrap();
    let read = Sources::read(&matches, [("PROOFLOG_DATA_DIR".into(), "/x".into())]).unwrap();
    assert_eq!((read.flags.len(), read.env.len()), (0, 1));
}

#[test]
fn files_are_read_by_flag_and_by_variable_and_a_bad_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("prooflog.toml");
    std::fs::write(&path, "data-dir = \"/from/file\"\n").unwrap();
    let by_flag = sources(&["--config", path.to_str().unwrap()]);
    assert!(by_flag.file.unwrap().text.contains("/from/file"));

    let matches = command().try_get_matches_from(["prooflog"]).unwrap();
    let by_env = Sources::read(&matches, [("PROOFLOG_CONFIG".into(), path.into())]).unwrap();
    assert!(by_env.file.is_some());
    // The variable that names the file is no unknown key.
    let errors = load(&by_env, Salt::default()).unwrap_err().to_string();
    assert!(!errors.contains("PROOFLOG_CONFIG"), "{errors}");

    let missing = dir.path().join("none.toml");
    let not_text = dir.path().join("bytes.env");
    std::fs::File::create(&not_text).unwrap().write_all(&[0xff, 0xfe]).unwrap();
    let words = ["prooflog", "--config", missing.to_str().unwrap(), "--env-file", not_text.to_str().unwrap()];
    let matches = command().try_get_matches_from(words).unwrap();
    let errors = Sources::read(&matches, []).unwrap_err().to_string();
    assert!(errors.contains("none.toml") && errors.contains("is not UTF-8 text"), "{errors}");
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_read_is_known_as_such() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret.env");
    std::fs::write(&path, "PROOFLOG_MNEMONIC=words\n").unwrap();
    for (mode, expected) in [(0o600, false), (0o640, true), (0o604, true)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let read = sources(&["--env-file", path.to_str().unwrap()]);
        assert_eq!(read.env_file.unwrap().readable_by_others, expected, "{mode:o}");
    }
}
