//! Files as the Go proposer leaves them, read as strangers'.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::path::{Path, PathBuf};

use prooflog_events::ids::{ChainId, L1ChainId, L1Number};
use prooflog_events::input::{ImportedProgress, ImportedSubject};
use prooflog_events::values::Mode;
use prooflog_import::{Database, Given, ImportError, Kind, Nothing, Standing, read};
use rusqlite::{Connection, params};

/// The table as its migration makes it.
const TABLE: &str = include_str!("go_proposer.sql");

fn file(dir: &Path) -> (PathBuf, Connection) {
    let path = dir.join("10/proofs.db");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(TABLE).unwrap();
    (path, connection)
}

fn insert(
    connection: &Connection,
    kind: &str,
    (start, end): (i64, i64),
    status: &str,
    id: Option<&str>,
) -> i64 {
    connection
        .execute(
            "INSERT INTO proof_requests (type, start_block, end_block, status, request_added_time, \
             prover_request_id, proof_request_time, last_updated_time) VALUES (?, ?, ?, ?, 100, ?, 200, 500)",
            params![kind, start, end, status, id],
        )
        .unwrap();
    connection.last_insert_rowid()
}

fn prove(connection: &Connection, row: i64, proof: &[u8]) {
    connection.execute("UPDATE proof_requests SET proof = ? WHERE id = ?", params![proof, row]).unwrap();
}

fn given() -> Given {
    Given { mode: Mode::Real, same_keys: true, version: None, l1_seen: Some(L1Number(900)) }
}

#[test]
fn every_type_and_status_is_read_as_what_it_means() {
    let dir = tempfile::tempdir().unwrap();
    let (path, connection) = file(dir.path());
    insert(&connection, "SPAN", (10, 20), "UNREQ", None);
    insert(&connection, "RANGE", (20, 30), "WITNESSGEN", None);
    insert(&connection, "SPAN", (30, 40), "PROVING", Some("0a0b"));
    insert(&connection, "SPAN", (40, 50), "PROVING", Some(""));
    insert(&connection, "SPAN", (50, 60), "FAILED", Some("0c"));
    let complete = insert(&connection, "SPAN", (60, 70), "COMPLETE", Some("0d"));
    let mut proof = vec![7_u8; 2_000_000];
    proof.extend(6_u64.to_le_bytes());
    proof.extend(b"v3.4.0");
    prove(&connection, complete, &proof);
    let agg = insert(&connection, "AGG", (10, 70), "COMPLETE", Some("0e"));
    prove(&connection, agg, &[0x11, 0xb6, 0xa0, 0x9d, 5]);
    let block = format!("0x{}", "ab".repeat(32));
    connection
        .execute(
            "UPDATE proof_requests SET l1_block_number = 700, l1_block_hash = ? WHERE id = ?",
            params![block, agg],
        )
        .unwrap();
    insert(&connection, "SPAN", (70, 80), "REQ", None);
    drop(connection);

    // The file, its directory and the one above are the same to it.
    for named in [path.as_path(), path.parent().unwrap(), dir.path()] {
        let mut database = Database::sqlite(named, ChainId(10)).unwrap();
        let found = read(&database.rows(ChainId(10), L1ChainId(1)).unwrap(), &given());
        let standings: Vec<&Standing> = found.iter().map(|found| &found.standing).collect();
        assert_eq!(
            standings,
            [
                &Standing::Unrequested,
                &Standing::Asked,
                &Standing::Requested,
                &Standing::Asked,
                &Standing::Failed,
                &Standing::Complete,
                &Standing::Complete,
                &Standing::Unknown("REQ".to_owned())
            ]
        );
        assert_eq!(found[0].holds, Err(Nothing::Unrequested));
        assert_eq!(found[1].holds.as_ref().unwrap().progress, ImportedProgress::Asked);
        let requested = found[2].holds.as_ref().unwrap();
        assert!(
            matches!(&requested.progress, ImportedProgress::Requested { proof_id } if proof_id.0 == [10, 11])
        );
        assert_eq!((requested.l1_bound, requested.commitments), (Some(L1Number(900)), None));
        let proven = found[5].holds.as_ref().unwrap();
        assert_eq!(proven.version.as_deref(), Some("v3.4.0"));
        // A member's L1 head lies below the checkpoint of the aggregate that it is in.
        assert_eq!(proven.l1_bound, Some(L1Number(700)));
        assert!(matches!(&proven.progress, ImportedProgress::Proven { proof, seconds: Some(300), .. }
            if proof.length == 2_000_014));
        assert_eq!(database.proof(proven.row).unwrap(), proof);
        let aggregate = found[6].holds.as_ref().unwrap();
        assert!(
            matches!(aggregate.subject, ImportedSubject::Agg { agg_vkey: None, prover: None, checkpoint }
            if checkpoint.number == L1Number(700) && checkpoint.hash.0 == [0xab; 32])
        );
        assert_eq!(found[6].kind, Kind::Agg);
    }
}

#[test]
fn another_file_is_refused_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |path: &Path| match Database::sqlite(path, ChainId(10)) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    assert!(refused(&dir.path().join("nothing.db")).contains("no such file"));
    let text = dir.path().join("text.db");
    std::fs::write(&text, "this is not a database, and it is long enough to have a header to be looked at")
        .unwrap();
    assert!(refused(&text).contains("not one of the files of op-succinct's Go proposer"));
    let empty = dir.path().join("empty.db");
    Connection::open(&empty).unwrap().execute_batch("CREATE TABLE other (id integer)").unwrap();
    assert!(refused(&empty).contains("no table `proof_requests`"));
    let early = dir.path().join("early.db");
    let columns = TABLE.replace("    last_updated_time integer NOT NULL,\n", "");
    Connection::open(&early).unwrap().execute_batch(&columns).unwrap();
    assert!(refused(&early).contains("early release"));
    assert!(matches!(Database::sqlite(&early, ChainId(10)), Err(error) if error.is_usage()));
}

#[test]
fn values_of_another_type_are_an_error_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("proofs.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(&TABLE.replace(" STRICT", "")).unwrap();
    connection
        .execute_batch(
            "INSERT INTO proof_requests (type, start_block, end_block, status, request_added_time, last_updated_time) \
             VALUES ('SPAN', 'ten', 20, 'UNREQ', 1, 1)",
        )
        .unwrap();
    let mut database = Database::sqlite(&path, ChainId(10)).unwrap();
    assert!(matches!(database.rows(ChainId(10), L1ChainId(1)), Err(ImportError::Read { .. })));
    assert!(matches!(database.proof(1), Err(ImportError::Read { .. })), "there is none");
    assert!(matches!(database.proof(u64::MAX), Err(ImportError::Read { .. })));
}

#[test]
fn nothing_in_the_file_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, connection) = file(dir.path());
    insert(&connection, "SPAN", (10, 20), "UNREQ", None);
    drop(connection);
    let before = std::fs::read(&path).unwrap();
    let mut database = Database::sqlite(&path, ChainId(10)).unwrap();
    assert_eq!(database.rows(ChainId(10), L1ChainId(1)).unwrap().len(), 1);
    drop(database);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}
