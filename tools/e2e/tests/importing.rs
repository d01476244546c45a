//! Moving over into a directory that is not there yet: what op-succinct's proposer paid for is used, and bought no more.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::path::{Path, PathBuf};

use prooflog_devnet::DevnetConfig;
use prooflog_devnet_prover::Kind;
use prooflog_e2e::{World, quick};
use prooflog_log::Reader;
use prooflog_store::ReadOnlyStore;
use rusqlite::{Connection, params};
use serde_json::Value;

/// Blocks of the spans, from where the contract stands.
const SPANS: [(u64, u64); 4] = [(2, 12), (12, 22), (22, 32), (32, 42)];

/// What a proposer knows of a span that it had proven.
struct Proven {
    blocks: (u64, u64),
    /// The prover's id, as hex.
    id: String,
    proof: Vec<u8>,
}

/// Has the spans proven, and submits nothing.
async fn proven() -> (World, Vec<Proven>) {
    let mut world = World::start(DevnetConfig { prelude: 60, ..quick() }, "submission-blocks = 100000").await;
    let span = |event: &Value, name: &str, number: usize| {
        event["type"] == name && event["stream"] == format!("span-{}-{}", 901, number)
    };
    assert_eq!(world.rollup.chain, 901);
    for number in 1..=SPANS.len() {
        world.wait_for(0, "every proof", |event| span(event, "ProofFulfilled", number));
    }
    world.stop();
    let store = ReadOnlyStore::open(&world.setup.data).unwrap();
    let reader = Reader::new(&store).unwrap();
    let of_span = |number: usize| {
        let find = |name: &str| {
            let found = world.story().events().iter().find(|event| span(event, name, number));
            found.unwrap()["data"].clone()
        };
        let (range, fulfilled) = (find("SpanCreated")["range"].clone(), find("ProofFulfilled"));
        let hash = fulfilled["proof"]["sha256"].as_str().unwrap().parse().unwrap();
        Proven {
            blocks: (range["start"].as_u64().unwrap(), range["end"].as_u64().unwrap()),
            id: find("ProofRequested")["proof_id"].as_str().unwrap().trim_start_matches("0x").to_owned(),
            proof: reader.blob(hash).unwrap().unwrap(),
        }
    };
    let spans: Vec<Proven> = (1..=SPANS.len()).map(of_span).collect();
    assert!(spans.iter().map(|span| span.blocks).eq(SPANS));
    (world, spans)
}

/// The file that the Go proposer would leave behind: two complete, one under way, one asked for, one that failed.
fn database(dir: &Path, spans: &[Proven]) -> PathBuf {
    let path = dir.join("proofs.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(include_str!("../../../src/import/tests/go_proposer.sql")).unwrap();
    let insert = |span: &Proven, status: &str, id: Option<&str>, proof: Option<&[u8]>| {
        let (start, end) = span.blocks;
        connection
            .execute(
                "INSERT INTO proof_requests (type, start_block, end_block, status, request_added_time, \
                 prover_request_id, proof_request_time, last_updated_time, proof) \
                 VALUES ('SPAN', ?, ?, ?, 100, ?, 200, 900, ?)",
                params![i64::try_from(start).unwrap(), i64::try_from(end).unwrap(), status, id, proof],
            )
            .unwrap();
    };
    insert(&spans[0], "FAILED", Some(&spans[3].id), None);
    for span in &spans[..2] {
        insert(span, "COMPLETE", Some(&span.id), Some(&span.proof));
    }
    insert(&spans[2], "PROVING", Some(&spans[2].id), None);
    insert(&spans[3], "WITNESSGEN", None, None);
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_old_proposer_bought_is_submitted_by_a_new_log_and_not_bought_again() {
    let (old, spans) = proven().await;
    let dir = tempfile::tempdir().unwrap();
    let db = database(dir.path(), &spans);
    // Another directory, another log, the same chains and the same prover.
    let mut world = World::around(old.devnet, "");
    let (db, config) = (db.to_str().unwrap().to_owned(), world.setup.config.to_str().unwrap().to_owned());
    let import = |more: &[&str]| {
        let words = ["import", "op-succinct", "--db-path", &db, "--config", &config, "--same-keys"];
        let lines = world.setup.json(&[&words[..], more].concat()).unwrap();
        lines.iter().map(|line| line["here"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let expected = ["left", "offered", "offered", "polled", "open"];
    assert_eq!(import(&["--dry-run"]), expected);
    assert!(!world.setup.data.exists(), "a dry run makes no directory");
    assert_eq!(import(&[]), expected);
    assert_eq!(import(&[]), ["left"; 5], "nothing is taken twice");

    world.run(&[]);
    world.wait("SubmissionConfirmed", 1);
    let last = world.wait_for(0, "the last span", |event| {
        event["type"] == "SpanCreated" && event["data"]["range"]["end"] == SPANS[3].1
    });
    assert_eq!(last["actor"], "import");
    world.wait_for(0, "its settlement", |event| {
        event["type"] == "SpanSettled" && event["stream"] == last["stream"]
    });
    let stats = world.stats();
    let times = SPANS.map(|(start, end)| stats.times_paid(Kind::Span, start, end));
    // Nobody knows whether the last one was bought: it is asked for once more.
    assert_eq!(times, [1, 1, 1, 2], "{stats:?}");
    world.end().await;
}
