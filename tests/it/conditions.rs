//! Conditions: `bisect` on logs of simulated worlds, and the page that documents the language.

use std::path::{Path, PathBuf};

use super::command_line::{events, lines, prooflog};
use super::on_disk::simulate;

fn position(value: &serde_json::Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

fn bisect(log: &Path, arguments: &[&str]) -> serde_json::Value {
    lines(&prooflog(log, &[&["bisect", "--json"], arguments].concat())).remove(0)
}

#[test]
fn bisect_names_the_first_position_and_the_event_that_made_it_true() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    simulate("friendly", 5, &log);
    let chain = lines(&prooflog(&log, &["status", "--json"]))[0]["chain"].to_string();
    let all = events(&log);
    let queued = all
        .iter()
        .find(|event| event["type"] == "AggQueued" && event["stream"].as_str().unwrap().contains(&chain))
        .unwrap();
    let found = bisect(&log, &["aggregates > 0", "--chain", &chain]);
    assert_eq!(found["event"]["position"], queued["position"]);
    assert_eq!(found["event"]["type"], "AggQueued");
    assert!(position(&found["position"]) >= position(&queued["position"]));
    assert_eq!(found["values"][0]["variable"], "aggregates");
    assert_eq!((&found["values"][0]["before"], &found["values"][0]["after"]), (&0.into(), &1.into()));
    assert_eq!(found["assumed"], serde_json::Value::Null);
}

#[test]
fn bisect_by_halves_finds_what_the_fold_finds_and_says_what_it_assumed() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    simulate("friendly", 6, &log);
    let chain = lines(&prooflog(&log, &["status", "--json"]))[0]["chain"].to_string();
    let head = events(&log).len();
    for wanted in [1, head / 3, head / 2, head] {
        let condition = format!("position >= {wanted}");
        let found = bisect(&log, &[&condition]);
        let quickly = bisect(&log, &[&condition, "--monotone"]);
        assert_eq!(found["position"], quickly["position"], "{condition}");
        assert!(quickly["states_looked_at"].as_u64().unwrap() < 20);
        assert!(quickly["assumed"].as_str().unwrap().contains("to the end"));
    }
    for condition in ["last_span >= 4", "latest_block > 1000", "rollups > 0"] {
        let found = bisect(&log, &[condition, "--chain", &chain]);
        let quickly = bisect(&log, &[condition, "--chain", &chain, "--monotone"]);
        assert_eq!(found["position"], quickly["position"], "{condition}");
        assert_eq!(found["event"], quickly["event"], "{condition}");
        let before = format!("{}", position(&found["position"]) - 1);
        let earlier = prooflog(&log, &["bisect", condition, "--chain", &chain, "--at", &before]);
        assert!(matches!(earlier.status.code(), Some(2 | 7)), "{condition} holds at no earlier moment");
    }
}

#[test]
fn bisect_tells_never_from_a_condition_that_makes_no_sense() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    simulate("friendly", 7, &log);
    let code = |arguments: &[&str]| prooflog(&log, &[&["bisect"], arguments].concat()).status.code();
    assert_eq!(code(&["rollups > 100"]), Some(7));
    assert_eq!(code(&["rollups > 100", "--monotone"]), Some(7));
    assert_eq!(code(&["rollups"]), Some(2));
    assert_eq!(code(&["type == 'Parked'"]), Some(2));
    assert_eq!(code(&["spans > 0", "--chain", "999999"]), Some(2));
    assert_eq!(code(&[]), Some(2));
    assert_eq!(bisect(&log, &["rollups == 0"])["position"], "0");
}

#[test]
fn the_page_lists_the_variables_that_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let listed = prooflog(dir.path(), &["bisect", "--variables"]);
    let tables = String::from_utf8(listed.stdout).unwrap();
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/conditions.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let (head, rest) = text.split_once("<!-- variables -->\n").unwrap();
    let (found, tail) = rest.split_once("<!-- end -->").unwrap();
    if std::env::var_os("PROOFLOG_UPDATE_DOCS").is_some() {
        std::fs::write(&page, format!("{head}<!-- variables -->\n{tables}<!-- end -->{tail}")).unwrap();
    } else {
        assert_eq!(found, tables, "PROOFLOG_UPDATE_DOCS=1 writes docs/conditions.md anew");
    }
}
