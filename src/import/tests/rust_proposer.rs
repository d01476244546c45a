//! Databases as the Rust proposer leaves them, in a server of their own. `tools/setup.sh` installs one where it is missing.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, reason = "tests")]

mod server;

use prooflog_events::ids::{Address, ChainId, Hash32, L1ChainId, L1Number};
use prooflog_events::input::{ImportedProgress, ImportedSubject};
use prooflog_events::values::Mode;
use prooflog_import::{Database, Given, ImportError, Standing, read};
use server::Server;

/// The table as the migrations of a release make it.
const TABLE: &str = "CREATE TABLE requests (id BIGSERIAL PRIMARY KEY, status SMALLINT NOT NULL, \
    req_type SMALLINT NOT NULL, mode SMALLINT NOT NULL, start_block BIGINT NOT NULL, end_block BIGINT NOT NULL, \
    created_at TIMESTAMP NOT NULL DEFAULT NOW(), updated_at TIMESTAMP NOT NULL DEFAULT NOW(), proof_request_id BYTEA, \
    checkpointed_l1_block_number BIGINT, checkpointed_l1_block_hash BYTEA, \
    execution_statistics JSONB NOT NULL DEFAULT 'null'::jsonb, witnessgen_duration BIGINT, execution_duration BIGINT, \
    proof_request_time TIMESTAMP, prove_duration BIGINT, range_vkey_commitment BYTEA NOT NULL, \
    aggregation_vkey_hash BYTEA, rollup_config_hash BYTEA NOT NULL, relay_tx_hash BYTEA, proof BYTEA, \
    total_nb_transactions BIGINT NOT NULL DEFAULT 0, total_eth_gas_used BIGINT NOT NULL DEFAULT 0, \
    total_l1_fees NUMERIC(38, 0) NOT NULL DEFAULT 0, total_tx_fees NUMERIC(38, 0) NOT NULL DEFAULT 0, \
    l1_chain_id BIGINT NOT NULL, l2_chain_id BIGINT NOT NULL, contract_address BYTEA, prover_address BYTEA)";
const LATER: &str = "ALTER TABLE requests ADD COLUMN l1_head_block_number BIGINT";
const LATEST: &str =
    "ALTER TABLE requests ADD COLUMN l1_head_block_hash BYTEA, ADD COLUMN invalidated_at TIMESTAMP";

/// A row of every status, an aggregate, a mock one, and one of another rollup.
const ROWS: &str = "
    INSERT INTO requests (status, req_type, mode, start_block, end_block, range_vkey_commitment, rollup_config_hash,
        l1_chain_id, l2_chain_id, total_nb_transactions, total_eth_gas_used)
    SELECT status, 0, 0, 100 + status * 10, 110 + status * 10, decode(repeat('11', 32), 'hex'),
        decode(repeat('22', 32), 'hex'), 1, 10, 5, 6000 FROM generate_series(0, 8) AS status;
    UPDATE requests SET proof_request_id = decode(repeat('ab', 32), 'hex') WHERE status IN (3, 4, 5, 6);
    UPDATE requests SET proof = decode(repeat('07', 100000), 'hex') || '\\x0600000000000000'::bytea || 'v5.2.1'::bytea || '\\x00'::bytea,
        prove_duration = 900 WHERE status = 4;
    INSERT INTO requests (status, req_type, mode, start_block, end_block, range_vkey_commitment, rollup_config_hash,
        aggregation_vkey_hash, checkpointed_l1_block_number, checkpointed_l1_block_hash, proof, prover_address,
        l1_chain_id, l2_chain_id)
    VALUES (4, 1, 0, 140, 150, decode(repeat('11', 32), 'hex'), decode(repeat('22', 32), 'hex'),
        decode(repeat('33', 32), 'hex'), 700, decode(repeat('44', 32), 'hex'), '\\x0102030405',
        decode(repeat('55', 20), 'hex'), 1, 10),
    (4, 0, 1, 200, 210, decode(repeat('11', 32), 'hex'), decode(repeat('22', 32), 'hex'), NULL, NULL, NULL, '\\x01',
        ''::bytea, 1, 10),
    (4, 0, 0, 300, 310, decode(repeat('11', 32), 'hex'), decode(repeat('22', 32), 'hex'), NULL, NULL, NULL, '\\x01',
        NULL, 1, 11),
    (4, 0, 0, 300, 310, decode(repeat('11', 32), 'hex'), decode(repeat('22', 32), 'hex'), NULL, NULL, NULL, '\\x01',
        NULL, 5, 10);
";

fn given() -> Given {
    Given { mode: Mode::Real, same_keys: false, version: None, l1_seen: Some(L1Number(900)) }
}

#[test]
fn every_status_and_every_release_is_read_as_what_it_means() {
    let Some(server) = Server::start() else { return };
    for (name, migrations) in [
        ("first", vec![TABLE, ROWS]),
        ("later", vec![TABLE, LATER, ROWS]),
        ("latest", vec![TABLE, LATER, LATEST, ROWS]),
    ] {
        server.create(name, &migrations);
        if name != "first" {
            server.run(
                name,
                "UPDATE requests SET l1_head_block_number = 650 WHERE status = 4 AND req_type = 0",
            );
        }
        if name == "latest" {
            server.run(
                name,
                "UPDATE requests SET l1_head_block_hash = decode(repeat('66', 32), 'hex') WHERE status = 4; \
                 UPDATE requests SET invalidated_at = NOW() WHERE mode = 1",
            );
        }
        let mut database = Database::postgres(&server.url(name)).unwrap();
        let found = read(&database.rows(ChainId(10), L1ChainId(1)).unwrap(), &given());
        let standings: Vec<&Standing> = found.iter().map(|found| &found.standing).collect();
        let mock = if name == "latest" { Standing::Invalidated } else { Standing::Complete };
        assert_eq!(
            standings,
            [
                &Standing::Unrequested,
                &Standing::Asked,
                &Standing::Asked,
                &Standing::Requested,
                &Standing::Complete,
                &Standing::Submitted,
                &Standing::Failed,
                &Standing::Cancelled,
                &Standing::Unknown("8".to_owned()),
                &Standing::Complete,
                &mock,
            ],
            "{name}"
        );
        let requested = found[3].holds.as_ref().unwrap();
        assert!(
            matches!(&requested.progress, ImportedProgress::Requested { proof_id } if proof_id.0 == [0xab; 32])
        );
        let proven = found[4].holds.as_ref().unwrap();
        assert_eq!(proven.version.as_deref(), Some("v5.2.1"));
        assert_eq!(proven.commitments.unwrap().range_vkey, Hash32([0x11; 32]));
        let bound = if name == "first" { 700 } else { 650 };
        assert_eq!(proven.l1_bound, Some(L1Number(bound)), "{name}");
        assert_eq!(proven.l1_head.is_some(), name == "latest");
        assert!(matches!(proven.progress, ImportedProgress::Proven { seconds: Some(900), .. }));
        assert_eq!(database.proof(proven.row).unwrap().len(), 100_015);
        let aggregate = found[9].holds.as_ref().unwrap();
        assert!(matches!(aggregate.subject, ImportedSubject::Agg { agg_vkey, prover, .. }
            if agg_vkey == Some(Hash32([0x33; 32])) && prover == Some(Address([0x55; 20]))));
        if let Ok(mock) = &found[10].holds {
            assert_eq!(mock.commitments.unwrap().mode, Mode::Mock);
        }
    }
}

#[test]
fn an_address_that_does_not_work_is_never_repeated() {
    for url in [
        "postgres://user:s3cret@127.0.0.1:1/name",
        "postgres://user:s3cret@127.0.0.1:1/name?s3cret=1",
        "user=user password=s3cret host",
        "s3cret",
    ] {
        let Err(error) = Database::postgres(url) else { continue };
        assert!(matches!(error, ImportError::Open { .. }));
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }
}

#[test]
fn another_database_and_a_wrong_password_say_what_is_wrong() {
    let Some(server) = Server::start() else { return };
    server.create("other", &["CREATE TABLE requests (id BIGINT)"]);
    let refused = |url: &str| Database::postgres(url).err().unwrap();
    assert!(refused(&server.url("other")).to_string().contains("no column `status`"));
    assert!(refused(&server.url("nowhere")).to_string().contains("does not exist"));
    server.create("empty", &[]);
    assert!(refused(&server.url("empty")).to_string().contains("no table `requests`"));
    let wrong = server.url("empty").replace(server::PASSWORD, "wr0ng");
    let error = refused(&wrong).to_string();
    assert!(error.contains("password authentication failed") && !error.contains("wr0ng"), "{error}");
}
