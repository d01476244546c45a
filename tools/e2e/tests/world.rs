//! The program on real chains, with everything that can go wrong beside the L1.
//!
//! Each test has a devnet of its own and waits for what the engine records, never for time. At the end of each the log
//! must verify and no purpose may have been included twice.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use prooflog_devnet::{DevnetConfig, Proofs};
use prooflog_devnet_node::Step;
use prooflog_devnet_prover::{CallKind, Fault, FaultKind, Script};
use prooflog_e2e::{World, quick};
use serde_json::json;
use words::address;

/// A fault of calls of a kind: always, or for one range and so many times.
fn fault(call: CallKind, range: Option<(u64, u64)>, times: Option<u32>, kind: FaultKind) -> Fault {
    Fault { call: Some(call), range, times, kind }
}

fn out_of_order() -> FaultKind {
    FaultKind::Error { status: 500, text: "the prover network does not answer".into(), error_class: None }
}

mod words {
    /// The part of an address that logs show.
    pub(super) fn address(text: &str) -> String {
        text.to_lowercase()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mock_mode_submits_the_empty_proof_to_the_mock_verifier() {
    let mut world = World::start(DevnetConfig { proofs: Proofs::Empty, ..quick() }, "").await;
    world.wait("SubmissionConfirmed", 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_proves_something_else_is_asked_for_nothing() {
    let config = quick();
    let rejects = fault(CallKind::Validate, None, None, FaultKind::WrongCommitments);
    let script = Script { faults: vec![rejects], ..config.script.clone() };
    let mut world = World::start(DevnetConfig { script, ..config }, "").await;
    world.wait("ContractConfigRejected", 1);
    world.wait("FinalizedMoved", 3);
    assert_eq!(world.requests(), 0);
    world.faults(Vec::new());
    world.wait("SubmissionConfirmed", 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prover_that_is_out_of_order_is_probed_and_comes_back_by_itself() {
    let mut world = World::start(quick(), "").await;
    world.wait("ProofFulfilled", 1);
    let all = [CallKind::Span, CallKind::Agg];
    world.faults(all.map(|call| fault(call, None, None, out_of_order())).to_vec());
    world.wait("ProverDegraded", 1);
    world.faults(Vec::new());
    world.wait("ProverRecovered", 1);
    let confirmed = world.count("SubmissionConfirmed");
    world.wait("SubmissionConfirmed", confirmed + 1);
    assert_eq!(world.count("Parked"), 0, "no unit paid for it with its budget");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_observes_spends_nothing_and_shows_what_would_be_done() {
    let mut world = World::new(quick(), "").await;
    world.run(&["--observe"]);
    world.wait("SpanCreated", 2);
    let would = world.setup.json(&["would"]).unwrap();
    assert!(would.iter().any(|line| line["event"] == "WitnessGenStarted"), "{would:?}");
    let shown = world.setup.run(&["would"]).unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    // More may be final by now: what was said before is said again, in words.
    for line in &would {
        let word = |key: &str| line[key].as_str().unwrap();
        let words = format!("{}  {}  {}\n", word("stream"), word("event"), word("text"));
        assert!(shown.contains(&words), "{words}: {shown}");
    }
    let first: String = shown.lines().take(2).map(|line| format!("{line}\n")).collect();
    is_golden("would", "prooflog would", &first);
    assert_eq!((world.requests(), world.count("WitnessGenStarted")), (0, 0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_command_the_running_engine_and_bear_their_name() {
    let mut world = World::start(quick(), "").await;
    world.wait("ProofFulfilled", 1);
    world.command(&["pause", "proving", "--note", "maintenance"]);
    let paused = world.wait("Paused", 1);
    assert_eq!(
        (&paused["actor"], &paused["data"]["note"]),
        (&json!("operator:tester"), &json!("maintenance"))
    );
    let again = world.setup.run(&["pause", "proving"]).unwrap();
    assert_eq!(again.status.code(), Some(2), "it is paused already");
    let copy = world.setup.data.with_extension("copy");
    world.command(&["backup", "--to", copy.to_str().unwrap()]);
    world.command(&["resume", "proving"]);
    world.catch_up();
    let confirmed = world.count("SubmissionConfirmed");
    world.wait("SubmissionConfirmed", confirmed + 1);
    let status = world.setup.json(&["status"]).unwrap();
    assert!(status[0]["contract_block"].as_u64() > Some(2), "{status:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wrong_rollup_of_two_stops_alone_and_says_why() {
    let mut world = World::new(DevnetConfig { rollups: 2, ..quick() }, "").await;
    let text = std::fs::read_to_string(&world.setup.config).unwrap();
    let wrong = address(&world.devnet.rollups[1].oracle.to_string());
    let right = world.devnet.rollups[1].oracle.to_string();
    assert!(text.contains(&right), "{wrong}");
    let text = text.replace(&right, "0x00000000000000000000000000000000000000aa");
    std::fs::write(&world.setup.config, text).unwrap();
    let doctor = world.setup.run(&["doctor", "--config", world.setup.config.to_str().unwrap()]).unwrap();
    assert_eq!(doctor.status.code(), Some(6), "{}", String::from_utf8_lossy(&doctor.stderr));
    world.run(&[]);
    world.wait("SubmissionConfirmed", 1);
    assert!(world.setup.printed().contains("there is no contract at"), "{}", world.setup.printed());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_one_data_directory_is_refused_and_the_first_one_goes_on() {
    let mut world = World::start(quick(), "").await;
    world.wait("SpanCreated", 1);
    let config = world.setup.config.to_str().unwrap().to_owned();
    let second = world.setup.run(&["run", "--config", &config]).unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(3), "{said}");
    assert!(said.contains("is held by"), "{said}");
    world.wait("SubmissionConfirmed", 1);
    assert_eq!(world.count("EngineStarted"), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_its_rollup_node_is_in_sync_it_is_not_ready_and_buys_and_sends_nothing() {
    let mut world = World::new(DevnetConfig { prelude: 40, ..quick() }, "wait-node-sync = true").await;
    world.devnet.node.script(None, &Step::Zeros { on: true }).unwrap();
    world.devnet.l1.mine(80).await.unwrap();
    world.run(&[]);
    world.wait("EngineStarted", 1);
    world.unready("rollup node");
    assert_eq!((world.requests(), world.count("SpanCreated"), world.count("TxReserved")), (0, 0, 0));
    world.devnet.node.script(None, &Step::Zeros { on: false }).unwrap();
    world.wait("SubmissionConfirmed", 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_nothing_wrong_with_what_works() {
    let world = World::new(quick(), "").await;
    let config = world.setup.config.to_str().unwrap().to_owned();
    for (name, json) in [("doctor", &[][..]), ("doctor-json", &["--json"])] {
        let doctor = world.setup.run(&[&["doctor", "--config", &config], json].concat()).unwrap();
        let shown = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert_eq!(doctor.status.code(), Some(0), "{shown}{}", String::from_utf8_lossy(&doctor.stderr));
        let settled = shown.lines().map(|line| settled(line, &world) + "\n").collect::<String>();
        let command =
            format!("prooflog {}", [&["doctor", "--config", "prooflog.toml"], json].concat().join(" "));
        is_golden(name, &command, &settled);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_the_second_endpoint_that_fails_behind_a_first_one_that_answers() {
    let world = World::new(quick(), "").await;
    let text = std::fs::read_to_string(&world.setup.config).unwrap();
    // Nobody listens there, and the path is a key that must not show.
    let dead = |place: &str| format!("http://127.0.0.1:9/{place}-k3ym4ter1al");
    let beside = |text: String, url: &str, place: &str| {
        let list = format!("[\"{url}\"]");
        assert!(text.contains(&list), "{text}");
        text.replace(&list, &format!("[\"{url}\", \"{}\"]", dead(place)))
    };
    let text = beside(text, world.devnet.l1.url(), "l1");
    std::fs::write(&world.setup.config, beside(text, &world.rollup.node, "node")).unwrap();
    let config = world.setup.config.to_str().unwrap().to_owned();
    let doctor = world.setup.run(&["doctor", "--config", &config]).unwrap();
    let shown = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert_eq!(doctor.status.code(), Some(6), "{shown}");
    for check in ["L1 endpoint", "rollup node"] {
        let found = shown.lines().find(|line| line.contains(check) && line.contains("127.0.0.1:9"));
        assert!(found.is_some(), "{check}: {shown}");
    }
    assert!(!shown.contains("k3ym4ter1al"), "{shown}");
}

/// A line of the doctor's without what is another each time: its directory, free bytes, seconds.
fn settled(line: &str, world: &World) -> String {
    let place = world.setup.data.parent().unwrap().to_str().unwrap();
    let mut line = line.replace(place, "DIRECTORY");
    for after in [" bytes free in ", " s from the L1's newest block"] {
        if let Some((before, rest)) = line.split_once(after) {
            let words = before.trim_end_matches(|c: char| c.is_ascii_digit());
            assert!(words.len() < before.len(), "{line}");
            line = format!("{words}N{after}{rest}");
        }
    }
    line
}

/// What a command says on a devnet is what it said before. `PROOFLOG_UPDATE_GOLDEN=1` writes a transcript that is not there.
fn is_golden(name: &str, command: &str, said: &str) {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/transcripts/devnet");
    let path = folder.join(name).with_extension("txt");
    let now = format!("log: of a devnet\n$ {command}\n{said}");
    if !path.exists() && std::env::var_os("PROOFLOG_UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&path, &now).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), now, "{}", path.display());
}
