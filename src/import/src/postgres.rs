//! The Postgres database of the Rust proposer: one table for all rollups, with keys.
//!
//! Columns were added over time; those that a release lacks are unknown. The address holds a password: no error repeats
//! it. A server that offers TLS is asked for it, and its certificate must be one that this machine trusts.

use std::time::Duration;

use ::postgres::config::SslMode;
use ::postgres::{Client, Config, Row};
use prooflog_events::ids::{ChainId, L1ChainId};
use prooflog_events::values::Mode;

use crate::raw::{Kind, Raw, Standing};
use crate::tls::Tls;
use crate::{ImportError, ROWS_MAX, TAIL_BYTES};

const WHAT: &str = "the Postgres database";
const OURS: &str = "op-succinct's Rust proposer";
const TABLE: &str = "requests";
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Milliseconds that one query may take: one row's proof is the most that any brings, but for the list of rows.
const STATEMENT_MS: u64 = 300_000;

/// Columns of every release that is read.
const COLUMNS: [&str; 19] = [
    "id",
    "status",
    "req_type",
    "mode",
    "start_block",
    "end_block",
    "proof_request_id",
    "checkpointed_l1_block_number",
    "checkpointed_l1_block_hash",
    "prove_duration",
    "range_vkey_commitment",
    "aggregation_vkey_hash",
    "rollup_config_hash",
    "proof",
    "total_nb_transactions",
    "total_eth_gas_used",
    "l1_chain_id",
    "l2_chain_id",
    "prover_address",
];

/// The open connection.
pub(crate) struct RustProposer {
    client: Client,
    /// Columns of later releases that are there.
    has_l1_head: bool,
    has_l1_head_hash: bool,
    has_invalidated: bool,
}

impl RustProposer {
    pub(crate) fn connect(url: &str) -> Result<Self, ImportError> {
        let open = |why: String| ImportError::Open { what: WHAT.to_owned(), why };
        let mut config: Config = url
            .parse()
            .map_err(|_| open("its address is no postgres://user:password@host:port/name".to_owned()))?;
        config.connect_timeout(CONNECT_LIMIT);
        if config.get_application_name().is_none() {
            config.application_name("prooflog import");
        }
        let connected = match config.get_ssl_mode() {
            SslMode::Disable => config.connect(::postgres::NoTls),
            _ => config.connect(Tls::trusted().map_err(open)?),
        };
        let mut client = connected.map_err(|error| open(words(&error)))?;
        let set_up = format!(
            "SET statement_timeout = {STATEMENT_MS}; BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
        );
        client.batch_execute(&set_up).map_err(|error| open(words(&error)))?;
        let known = columns(&mut client).map_err(|error| open(words(&error)))?;
        let has = |column: &str| known.iter().any(|name| name == column);
        if let Some(missing) = COLUMNS.iter().find(|column| !has(column)) {
            let why = if known.is_empty() {
                format!("it has no table `{TABLE}`")
            } else {
                format!("`{TABLE}` has no column `{missing}`")
            };
            return Err(ImportError::Foreign { what: WHAT.to_owned(), expected: OURS, why });
        }
        let (has_l1_head, has_l1_head_hash, has_invalidated) =
            (has("l1_head_block_number"), has("l1_head_block_hash"), has("invalidated_at"));
        Ok(Self { client, has_l1_head, has_l1_head_hash, has_invalidated })
    }

    pub(crate) fn rows(&mut self, chain: ChainId, l1: L1ChainId) -> Result<Vec<Raw>, ImportError> {
        let wrong = |error: ::postgres::Error| ImportError::read(format!("`{TABLE}`"))(&words(&error));
        let column =
            |is_there: bool, name: &'static str, missing: &'static str| if is_there { name } else { missing };
        let query = format!(
            "SELECT id::bigint, status::smallint, req_type::smallint, mode::smallint, start_block::bigint, \
             end_block::bigint, proof_request_id, checkpointed_l1_block_number::bigint, \
             checkpointed_l1_block_hash, prove_duration::bigint, range_vkey_commitment, aggregation_vkey_hash, \
             rollup_config_hash, octet_length(proof)::bigint, \
             substring(proof from greatest(octet_length(proof) - {} + 1, 1)), total_nb_transactions::bigint, \
             total_eth_gas_used::bigint, prover_address, {}, {}, {} \
             FROM {TABLE} WHERE l2_chain_id = $1 AND l1_chain_id = $2 ORDER BY id LIMIT {}",
            TAIL_BYTES,
            column(self.has_l1_head, "l1_head_block_number::bigint", "NULL::bigint"),
            column(self.has_l1_head_hash, "l1_head_block_hash", "NULL::bytea"),
            column(self.has_invalidated, "invalidated_at IS NOT NULL", "FALSE"),
            ROWS_MAX + 1
        );
        let id = |id: u64| i64::try_from(id).unwrap_or(-1);
        let rows = self.client.query(&query, &[&id(chain.0), &id(l1.0)]).map_err(wrong)?;
        rows.iter().map(raw).collect::<Result<Vec<Raw>, _>>().map_err(wrong)
    }

    pub(crate) fn proof(&mut self, row: u64) -> Result<Vec<u8>, ImportError> {
        let wrong =
            |error: ::postgres::Error| ImportError::read(format!("the proof of row {row}"))(&words(&error));
        let id = i64::try_from(row).unwrap_or(-1);
        let query = format!("SELECT proof FROM {TABLE} WHERE id = $1");
        self.client.query_one(&query, &[&id]).and_then(|row| row.try_get(0)).map_err(wrong)
    }
}

fn columns(client: &mut Client) -> Result<Vec<String>, ::postgres::Error> {
    let query = "SELECT column_name::text FROM information_schema.columns \
                 WHERE table_name = $1 AND table_schema = ANY (current_schemas(false))";
    client.query(query, &[&TABLE])?.iter().map(|row| row.try_get(0)).collect()
}

fn raw(row: &Row) -> Result<Raw, ::postgres::Error> {
    let (status, kind, mode): (i16, i16, i16) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let proof_id: Option<Vec<u8>> = row.try_get(6)?;
    let is_invalidated: bool = row.try_get(20)?;
    let standing = match status {
        _ if is_invalidated => Standing::Invalidated,
        _ if !matches!((kind, mode), (0 | 1, 0 | 1)) => {
            Standing::Unknown(format!("type {kind}, mode {mode}"))
        }
        0 => Standing::Unrequested,
        1 | 2 => Standing::Asked,
        3 => Standing::Requested,
        4 => Standing::Complete,
        5 => Standing::Submitted,
        6 => Standing::Failed,
        7 => Standing::Cancelled,
        other => Standing::Unknown(other.to_string()),
    };
    let number: Option<i64> = row.try_get(7)?;
    let hash: Option<Vec<u8>> = row.try_get(8)?;
    let kind = if kind == 1 { Kind::Agg } else { Kind::Span };
    Ok(Raw {
        mode: Some(if mode == 1 { Mode::Mock } else { Mode::Real }),
        proof_id,
        checkpoint: number.zip(hash),
        seconds: row.try_get(9)?,
        range_vkey: row.try_get(10)?,
        agg_vkey: row.try_get(11)?,
        rollup_config: row.try_get(12)?,
        proof_length: row.try_get(13)?,
        proof_tail: row.try_get::<_, Option<Vec<u8>>>(14)?.unwrap_or_default(),
        transactions: row.try_get(15)?,
        gas: row.try_get(16)?,
        prover: row.try_get::<_, Option<Vec<u8>>>(17)?.filter(|address| !address.is_empty()),
        l1_head: row.try_get(18)?,
        l1_head_hash: row.try_get(19)?,
        ..Raw::new(row.try_get(0)?, kind, (row.try_get(4)?, row.try_get(5)?), standing)
    })
}

/// What the server or the network said, with the causes below.
fn words(error: &::postgres::Error) -> String {
    use std::error::Error;
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(below) = cause {
        let words = below.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = below.source();
    }
    text
}
