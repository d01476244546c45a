//! Moving over from op-succinct's proposer: its database is imported, and the engine goes on with what it holds.
//!
//! `PROOFLOG_UPDATE_DOCS=1` writes the output of the command into docs/migration.md.

use std::path::{Path, PathBuf};

use prooflog_core::{Effect, Pacing};
use prooflog_engine::{Origin, Ring};
use prooflog_events::envelope::blob_hash;
use prooflog_events::event::{ChainRegistered, EngineStarted, Event};
use prooflog_events::ids::{
    Address, ChainId, Hash32, L1ChainId, L1Number, L1Ref, L2Block, LogId, Micros, ProofId, UnitId, Wei,
};
use prooflog_events::input::{
    ChainConfigured, ContractRead, Delivery, EngineClosing, Input, NodeRead, OutputRead, ServerValidated,
    StatusAnswer, StatusAnswered,
};
use prooflog_events::policy::Policy;
use prooflog_events::port::Blob;
use prooflog_events::values::{Anchor, BlobRef, ContractValues, Generation, L1Head, NodeAnswer};
use prooflog_log::Log;
use prooflog_projections::state::phase::Phase;
use prooflog_store::{OpenOptions, RocksStore};
use rusqlite::{Connection, params};

use super::command_line::{lines, prooflog};

const CHAIN: ChainId = ChainId(10);
/// Where the contract stands.
const LATEST: u64 = 1_000;

fn hash(text: &str) -> Hash32 {
    blob_hash(text.as_bytes())
}

fn l1(number: u64) -> L1Ref {
    L1Ref { number: L1Number(number), hash: hash(&format!("l1 {number}")) }
}

fn root(block: u64) -> Hash32 {
    hash(&format!("root {block}"))
}

/// An engine over the log in a directory, and what its adapters would tell it.
struct Engine {
    ring: Ring<RocksStore>,
    now: Micros,
    l1: u64,
}

impl Engine {
    fn start(dir: &Path, observe: bool) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = Micros(u64::try_from(now.as_micros()).unwrap());
        let (store, _) =
            prooflog_store::open(dir, OpenOptions::or_create(LogId([7; 16])).ballast(0)).unwrap();
        let started =
            EngineStarted { release: "0.1.0".to_owned(), behaviour: 1, format: 1, policy: Hash32::ZERO };
        let (ring, fed) = Ring::open(Log::open(store).unwrap(), Pacing::default(), now, started).unwrap();
        fed.ticket.unwrap().wait().unwrap();
        let mut engine = Self { ring, now, l1: 800 };
        let registration = ChainRegistered {
            name: "ten".to_owned(),
            l1: L1ChainId(1),
            oracle: Address([9; 20]),
            l1_genesis: hash("l1"),
            l2_genesis: hash("l2"),
        };
        let policy =
            Policy { span_blocks: 60, confirmations: 3, observe, ..Policy::with_signer(Address([7; 20])) };
        engine.feed(ChainConfigured { chain: CHAIN, registration, policy });
        engine.contract(Vec::new());
        let nodes = vec![NodeAnswer { node: "a".to_owned(), root: Some(root(LATEST)) }];
        engine.feed(OutputRead { chain: CHAIN, block: L2Block(LATEST), current_l1: l1(engine.l1), nodes });
        let ok = true;
        engine.feed(ServerValidated {
            chain: CHAIN,
            rollup_config_ok: ok,
            agg_vkey_ok: ok,
            range_vkey_ok: ok,
        });
        engine.feed(NodeRead {
            chain: CHAIN,
            finalized: L2Block(1_500),
            hash: hash("finalized"),
            current_l1: l1(engine.l1),
            finalized_time: engine.now,
        });
        engine
    }

    fn feed(&mut self, input: impl Into<Input>) -> Vec<Event> {
        self.feed_with(&input.into(), Origin::default())
    }

    fn feed_with(&mut self, input: &Input, origin: Origin) -> Vec<Event> {
        self.now = self.now.plus_secs(1);
        let fed = self.ring.feed(self.now, input, origin).unwrap();
        if let Some(ticket) = fed.ticket {
            ticket.wait().unwrap();
        }
        self.ring.durable(fed.batch);
        fed.events.into_iter().map(|new| new.event).collect()
    }

    fn contract(&mut self, checkpoints: Vec<L1Ref>) -> Vec<Event> {
        self.l1 += 1;
        let latest = Some(Anchor { index: 4, root: root(LATEST), block: L2Block(LATEST) });
        let values = ContractValues {
            implementation: Address([1; 20]),
            generation: Generation::V1,
            submission_interval: 100,
            agg_vkey: hash("agg"),
            range_vkey: hash("range"),
            rollup_config: hash("config"),
            verifier: Address([2; 20]),
            optimistic: false,
            approved: true,
            factory: None,
            bond: Wei(0),
            finalization_secs: 3_600,
        };
        self.feed(ContractRead {
            chain: CHAIN,
            oracle: Address([9; 20]),
            at: L1Head { block: l1(self.l1), time: self.now, base_fee: Wei(7), tip: Wei(1) },
            values,
            latest,
            next_block: L2Block(LATEST + 100),
            latest_by: None,
            outputs_deleted: false,
            confirmed_at: l1(self.l1 - 3),
            confirmed: latest,
            checkpoints,
            canonical: Vec::new(),
        })
    }

    fn stop(mut self) {
        self.feed(EngineClosing { reason: "the test ends it".to_owned() });
    }
}

/// A data directory that an observing run left behind.
fn observed(dir: &Path) -> PathBuf {
    let data = dir.join("data");
    Engine::start(&data, true).stop();
    data
}

/// Proofs are large, and name their version at the end.
fn proof(row: i64) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(row).unwrap(); 200_000];
    bytes.extend(6_u64.to_le_bytes());
    bytes.extend(b"v3.4.0");
    bytes
}

/// The Go proposer's file: halves beside their parent, a gap, every status, aggregates of one start.
fn go_proposer(dir: &Path) -> PathBuf {
    let path = dir.join("op-proposer/10/proofs.db");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(include_str!("../../src/import/tests/go_proposer.sql")).unwrap();
    let insert =
        |kind: &str, start: i64, end: i64, status: &str, id: Option<&str>, checkpoint: Option<u32>| {
            let block = checkpoint.map(|number| l1(number.into()).hash.to_string());
            connection
                .execute(
                    "INSERT INTO proof_requests (type, start_block, end_block, status, request_added_time, \
                 prover_request_id, proof_request_time, last_updated_time, l1_block_number, l1_block_hash) \
                 VALUES (?, ?, ?, ?, 100, ?, 200, 900, ?, ?)",
                    params![kind, start, end, status, id, checkpoint, block],
                )
                .unwrap();
            let row = connection.last_insert_rowid();
            if status == "COMPLETE" {
                let proof = if kind == "AGG" { vec![0x11, 0xb6, 0xa0, 0x9d, 1, 2] } else { proof(row) };
                connection
                    .execute("UPDATE proof_requests SET proof = ? WHERE id = ?", params![proof, row])
                    .unwrap();
            }
        };
    insert("SPAN", 900, 1_000, "COMPLETE", Some("0a"), None);
    insert("AGG", 900, 1_000, "COMPLETE", Some("0b"), Some(690));
    insert("SPAN", 1_000, 1_100, "FAILED", Some("0c"), None);
    insert("SPAN", 1_000, 1_050, "COMPLETE", Some("0d"), None);
    insert("SPAN", 1_050, 1_100, "COMPLETE", Some("0e"), None);
    insert("SPAN", 1_100, 1_200, "COMPLETE", Some("0f"), None);
    insert("AGG", 1_000, 1_100, "COMPLETE", Some("10"), Some(700));
    insert("AGG", 1_000, 1_200, "COMPLETE", Some("11"), Some(710));
    insert("SPAN", 1_200, 1_300, "PROVING", Some("12ab"), None);
    insert("SPAN", 1_320, 1_400, "WITNESSGEN", None, None);
    insert("SPAN", 1_360, 1_420, "PROVING", None, None);
    insert("SPAN", 1_400, 1_450, "UNREQ", None, None);
    path
}

fn import(data: &Path, db: &Path, more: &[&str]) -> std::process::Output {
    let mut arguments = vec!["import", "op-succinct", "--db-path", db.to_str().unwrap(), "--l1-head", "800"];
    arguments.extend(more);
    prooflog(data, &arguments)
}

fn head(data: &Path) -> String {
    lines(&prooflog(data, &["verify", "--json"]))[0]["position"].as_str().unwrap().to_owned()
}

#[test]
fn what_the_go_proposer_paid_for_is_taken_over_and_the_engine_goes_on_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (data, db) = (observed(dir.path()), go_proposer(dir.path()));
    let before = head(&data);
    let unsaid = lines(&import(&data, &db, &["--dry-run", "--json"]));
    assert!(unsaid.iter().all(|line| line["here"] == "left"), "nobody said anything of keys: {unsaid:#?}");
    let planned = lines(&import(&data, &db, &["--dry-run", "--json", "--same-keys"]));
    let here: Vec<&str> = planned.iter().map(|line| line["here"].as_str().unwrap()).collect();
    let expected = [
        "left", "left", "left", "offered", "offered", "offered", "left", "offered", "polled", "left", "open",
        "left",
    ];
    // Of two that overlap and came equally far, the one of more blocks.
    let expected: Vec<&str> = expected
        .iter()
        .enumerate()
        .map(|(at, word)| match at {
            9 => "open",
            10 => "left",
            _ => word,
        })
        .collect();
    assert_eq!(here, expected, "{planned:#?}");
    assert_eq!(head(&data), before, "a dry run changes nothing");

    let done = lines(&import(&data, &db, &["--json", "--same-keys"]));
    assert_eq!(done, planned, "what was shown is what is done");
    let after = head(&data);
    let again = import(&data, &db, &["--same-keys"]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("0 of 12 rows"), "{again:?}");
    assert_eq!(head(&data), after, "nothing is taken twice");
    let events = lines(&prooflog(&data, &["events", "--limit", "10000", "--json"]));
    let imported = events.iter().filter(|event| event["actor"] == "import").count();
    assert!(imported > 10, "{imported}");
    assert!(prooflog(&data, &["replay", "--check"]).status.success());

    goes_on(&data);
    assert!(prooflog(&data, &["verify"]).status.success());
    assert!(prooflog(&data, &["replay", "--check"]).status.success());
}

/// The next engine: what was open is ended and tried again, what is proven is aggregated, what is proving is polled.
fn goes_on(data: &Path) {
    let mut engine = Engine::start(data, false);
    let chain = engine.ring.state().chains.get(&CHAIN).unwrap().clone();
    let agg = chain.aggs.values().next().unwrap();
    assert_eq!((chain.aggs.len(), agg.phase, agg.range.end), (1, Phase::Complete, L2Block(1_200)));
    let (sha256, length) = agg.proof.as_ref().map(|proof| (proof.blob.sha256, proof.blob.length)).unwrap();
    assert_eq!(engine.ring.log().reader().blob(sha256).unwrap().unwrap().len() as u64, length);
    for member in agg.agg_body().unwrap().members.clone() {
        let span = &chain.spans[&member];
        let stored =
            engine.ring.log().reader().blob(span.proof.as_ref().unwrap().blob.sha256).unwrap().unwrap();
        assert_eq!(stored.len(), 200_014);
    }
    let effects = engine.ring.effects(engine.now);
    let polled = effects.iter().find_map(|effect| match effect {
        Effect::PollProof { unit, attempt, proof_id, .. } => Some((*unit, *attempt, proof_id.clone())),
        _ => None,
    });
    let (unit, attempt, id) = polled.unwrap();
    assert_eq!(id, ProofId(vec![0x12, 0xab]));
    let open = chain.spans.values().find(|span| span.range.end == L2Block(1_400)).unwrap();
    assert_eq!((open.phase, open.attempt.0), (Phase::Ready, 2), "it is tried once more");
    // The contract holds the checkpoint of the aggregate, and the root at its end is agreed: it goes on to L1.
    let lost = engine.contract(vec![l1(710)]);
    assert!(lost.iter().all(|event| !matches!(event, Event::CheckpointLost(_))));
    // The proof that was under way arrives.
    let bytes = vec![5; 1_000];
    let proof = BlobRef { sha256: blob_hash(&bytes), length: 1_000 };
    let delivery =
        Delivery { proof, selector: None, l1_head: None, cycles: None, prover_gas: None, cost: None };
    let answer =
        StatusAnswer::Status { fulfillment: 3, execution: 2, delivery: Some(delivery), text: String::new() };
    let origin = Origin { blobs: vec![Blob { hash: proof.sha256, bytes }], ..Origin::default() };
    let events = engine.feed_with(&StatusAnswered { unit, attempt, answer }.into(), origin);
    assert!(events.iter().any(|event| matches!(event, Event::ProofFulfilled(_))), "{events:?}");
    engine.stop();
}

#[test]
fn a_database_that_cannot_be_read_and_a_rollup_that_is_not_known_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = observed(dir.path());
    let nothing = import(&data, &dir.path().join("none.db"), &[]);
    assert_eq!(nothing.status.code(), Some(3), "{nothing:?}");
    let text = dir.path().join("text.db");
    std::fs::write(&text, "no database").unwrap();
    assert_eq!(import(&data, &text, &[]).status.code(), Some(2));
    let db = go_proposer(dir.path());
    let fresh = dir.path().join("fresh");
    let unknown = import(&fresh, &db, &["--same-keys", "--chain", "10"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("--observe"), "{unknown:?}");
    assert!(!fresh.exists());
    let secret = "postgres://user:s3cret@127.0.0.1:1/name";
    let refused = prooflog(&data, &["import", "op-succinct", "--database-url", secret]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(!format!("{refused:?}").contains("s3cret"));
    let held = Engine::start(&data, true);
    assert_eq!(import(&data, &db, &["--same-keys"]).status.code(), Some(3), "an engine holds the directory");
    held.stop();
}

#[test]
fn proofs_of_several_versions_are_not_offered_until_somebody_says_which_the_server_takes() {
    let dir = tempfile::tempdir().unwrap();
    let (data, db) = (observed(dir.path()), go_proposer(dir.path()));
    let other = String::from_utf8(proof(6)).unwrap().replace("v3.4.0", "v4.0.0");
    let connection = Connection::open(&db).unwrap();
    let set = |row: i64| {
        connection
            .execute("UPDATE proof_requests SET proof = ? WHERE id = ?", params![other.as_bytes(), row])
            .unwrap();
    };
    // What is settled is not offered: its version does not matter.
    set(1);
    let before = head(&data);
    let planned = import(&data, &db, &["--same-keys", "--dry-run"]);
    assert_eq!(planned.status.code(), Some(0), "{planned:?}");
    set(6);
    for more in [&["--dry-run"][..], &[]] {
        let refused = import(&data, &db, &[&["--same-keys"], more].concat());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        for words in ["v3.4.0 (2)", "v4.0.0 (1)", "--sp1-version"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        // A dry run shows which they are.
        assert_eq!(String::from_utf8_lossy(&refused.stdout).contains("v4.0.0"), !more.is_empty());
    }
    assert_eq!(head(&data), before, "nothing was changed");
    for (version, expected) in [
        // The longer aggregate has no members without the other version's proof; the shorter one has.
        ("3.4.0", ["offered", "offered", "left", "offered", "left"]),
        ("v4.0.0", ["left", "left", "offered", "left", "left"]),
    ] {
        let lines =
            lines(&import(&data, &db, &["--same-keys", "--dry-run", "--json", "--sp1-version", version]));
        let here: Vec<&str> = lines[3..8].iter().map(|line| line["here"].as_str().unwrap()).collect();
        assert_eq!(here, expected, "{version}: {lines:#?}");
    }
}

#[test]
fn a_crash_in_the_middle_of_an_import_costs_nothing() {
    // What was taken is durable batch by batch: the next import goes on with the rest.
    let dir = tempfile::tempdir().unwrap();
    let (data, db) = (observed(dir.path()), go_proposer(dir.path()));
    let connection = Connection::open(&db).unwrap();
    connection.execute_batch("UPDATE proof_requests SET status = 'UNREQ' WHERE id IN (6, 8, 9)").unwrap();
    assert!(import(&data, &db, &["--same-keys"]).status.success());
    connection
        .execute_batch(
            "UPDATE proof_requests SET status = 'COMPLETE' WHERE id IN (6, 8); \
             UPDATE proof_requests SET status = 'PROVING' WHERE id = 9",
        )
        .unwrap();
    drop(connection);
    let rest = lines(&import(&data, &db, &["--same-keys", "--json"]));
    let here: Vec<&str> = [5, 8].into_iter().map(|at: usize| rest[at]["here"].as_str().unwrap()).collect();
    assert_eq!(here, ["offered", "polled"]);
    let span = UnitId::span(CHAIN, 1).to_string();
    assert!(prooflog(&data, &["show", &span]).status.success());
    assert!(prooflog(&data, &["verify"]).status.success());
}

#[test]
fn the_migration_guide_shows_what_the_command_says() {
    const COMMAND: &str =
        "$ prooflog import op-succinct --db-path ./op-proposer --l1-head 800 --same-keys --dry-run";
    let dir = tempfile::tempdir().unwrap();
    let (data, db) = (observed(dir.path()), go_proposer(dir.path()));
    let said = import(&data, &db, &["--same-keys", "--dry-run"]);
    let said = String::from_utf8(said.stdout).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migration.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, after) = text.split_once(COMMAND).unwrap();
    let (_, after) = after.split_once("\n```").unwrap();
    let fresh = format!("{before}{COMMAND}\n{said}```{after}");
    if fresh != text && std::env::var_os("PROOFLOG_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &fresh).unwrap();
        return;
    }
    assert_eq!(fresh, text);
}
