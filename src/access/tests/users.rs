//! Users are known by name and password, kept in a private file, and changed as a whole.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prooflog_access::{AccessError, Credentials, Role, Users};

#[test]
fn who_is_set_is_known_again_after_a_reload_and_gone_after_removal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users.toml");
    let mut users = Credentials::load(&path).unwrap();
    users.set("ann", Role::Operate, "correct horse").unwrap();
    users.set("bob", Role::Read, "battery staple").unwrap();
    let mut users = Credentials::load(&path).unwrap();
    assert_eq!(users.verify("ann", "correct horse").unwrap().role, Role::Operate);
    assert_eq!(users.verify("ann", "correct horse").unwrap().role, Role::Operate, "remembered");
    assert!(users.verify("ann", "battery staple").is_none());
    assert!(users.verify("carl", "correct horse").is_none());
    users.remove("ann").unwrap();
    assert!(users.verify("ann", "correct horse").is_none(), "forgotten too");
    assert_eq!(Credentials::load(&path).unwrap().users().count(), 1);
}

#[test]
fn names_and_passwords_have_limits_and_the_file_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users.toml");
    let mut users = Credentials::load(&path).unwrap();
    assert!(matches!(users.set("Ann!", Role::Read, "long enough"), Err(AccessError::Name(_))));
    assert_eq!(users.set("ann", Role::Read, "short"), Err(AccessError::Password));
    users.set("ann", Role::Read, "long enough").unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("argon2id") && !text.contains("long enough"));
    std::process::Command::new("chmod").arg("644").arg(&path).status().unwrap();
    let error = Credentials::load(&path).unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
}

#[test]
fn a_file_that_makes_no_sense_is_named_by_line_and_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users.toml");
    std::fs::write(&path, "[ann]\nrole = \"king\"\nhash = \"canary\"\n").unwrap();
    std::process::Command::new("chmod").arg("600").arg(&path).status().unwrap();
    let error = Credentials::load(&path).unwrap_err().to_string();
    assert!(error.contains("line") && !error.contains("canary"), "{error}");
}

#[test]
fn who_is_removed_while_the_file_is_in_use_is_known_no_more_and_a_broken_file_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users.toml");
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = std::sync::Arc::clone(&told);
    let users = Users::load(&path, move |error| heard.lock().unwrap().push(error.to_string())).unwrap();
    let users = users.looking_every(Duration::ZERO);
    let header = format!("Basic {}", STANDARD.encode("ann:correct horse"));
    assert!(users.verify_header(&header).is_none());
    let before = users.version();
    let mut others = Credentials::load(&path).unwrap();
    others.set("ann", Role::Annotate, "correct horse").unwrap();
    assert_eq!(users.verify_header(&header).unwrap().role, Role::Annotate);
    assert_ne!(users.version(), before);
    // Another role, and the same password, which is remembered.
    others.set("ann", Role::Read, "correct horse").unwrap();
    assert_eq!(users.verify_header(&header).unwrap().role, Role::Read);
    let before = users.version();
    std::fs::write(&path, "[ann").unwrap();
    assert_eq!(users.verify_header(&header).unwrap().role, Role::Read);
    assert_eq!((users.version(), told.lock().unwrap().len()), (before, 1));
    others.remove("ann").unwrap();
    assert!(users.verify_header(&header).is_none());
    assert_eq!(told.lock().unwrap().len(), 1);
}
