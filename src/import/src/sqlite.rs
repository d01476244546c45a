//! The SQLite file of the Go proposer: one table, one rollup, no keys.
//!
//! Its types are `SPAN` or, later, `RANGE`, and `AGG`. Databases of before `last_updated_time` count blocks otherwise (a
//! span begins one after its neighbour's end), so they are refused.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row};

use crate::raw::{Kind, Raw, Standing};
use crate::{ImportError, ROWS_MAX, TAIL_BYTES};

const OURS: &str = "the files of op-succinct's Go proposer";
const TABLE: &str = "proof_requests";
/// Milliseconds that another process may hold the file.
const BUSY_MS: u64 = 5_000;

/// The columns that are read.
const COLUMNS: [&str; 12] = [
    "id",
    "type",
    "start_block",
    "end_block",
    "status",
    "request_added_time",
    "prover_request_id",
    "proof_request_time",
    "last_updated_time",
    "l1_block_number",
    "l1_block_hash",
    "proof",
];

/// The open file.
pub(crate) struct GoProposer {
    connection: Connection,
}

impl GoProposer {
    pub(crate) fn open(path: &Path) -> Result<Self, ImportError> {
        let what = || path.display().to_string();
        let open = |why: &dyn std::fmt::Display| ImportError::Open { what: what(), why: why.to_string() };
        if !path.is_file() {
            return Err(open(&"there is no such file"));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| open(&error))?;
        connection
            .busy_timeout(std::time::Duration::from_millis(BUSY_MS))
            .and_then(|()| connection.execute_batch("BEGIN"))
            .map_err(|error| open(&error))?;
        let foreign = |why: String| ImportError::Foreign { what: what(), expected: OURS, why };
        let known = columns(&connection).map_err(|error| foreign(error.to_string()))?;
        match COLUMNS.iter().find(|column| !known.iter().any(|name| name == *column)) {
            Some(missing) if known.is_empty() => {
                Err(foreign(format!("it has no table `{TABLE}` ({missing})")))
            }
            Some(&"last_updated_time") => {
                Err(foreign("it is of an early release, which counted blocks otherwise".to_owned()))
            }
            Some(missing) => Err(foreign(format!("`{TABLE}` has no column `{missing}`"))),
            None => Ok(Self { connection }),
        }
    }

    pub(crate) fn rows(&self) -> Result<Vec<Raw>, ImportError> {
        let wrong = |error: rusqlite::Error| ImportError::read(format!("`{TABLE}`"))(&error);
        let query = format!(
            "SELECT id, type, start_block, end_block, status, prover_request_id, \
             last_updated_time - proof_request_time, l1_block_number, l1_block_hash, length(proof), \
             substr(proof, -{TAIL_BYTES}) FROM {TABLE} ORDER BY id LIMIT {}",
            ROWS_MAX + 1
        );
        let mut statement = self.connection.prepare(&query).map_err(wrong)?;
        let rows = statement.query_map([], raw).map_err(wrong)?;
        rows.collect::<Result<Vec<Raw>, _>>().map_err(wrong)
    }

    pub(crate) fn proof(&self, row: u64) -> Result<Vec<u8>, ImportError> {
        let wrong = |error: rusqlite::Error| ImportError::read(format!("the proof of row {row}"))(&error);
        let id = i64::try_from(row).unwrap_or(-1);
        let query = format!("SELECT proof FROM {TABLE} WHERE id = ?1");
        self.connection.query_row(&query, [id], |row| row.get(0)).map_err(wrong)
    }
}

fn columns(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("SELECT name FROM pragma_table_info('{TABLE}')"))?;
    statement.query_map([], |row| row.get(0))?.collect()
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let kind: String = row.get(1)?;
    let status: String = row.get(4)?;
    let id: Option<String> = row.get(5)?;
    let proof_id = id.as_deref().and_then(unhex).filter(|id| !id.is_empty());
    let standing = match (kind.as_str(), status.as_str()) {
        ("SPAN" | "RANGE" | "AGG", "UNREQ") => Standing::Unrequested,
        ("SPAN" | "RANGE" | "AGG", "WITNESSGEN") => Standing::Asked,
        // The id comes in a second write, and in mock mode never.
        ("SPAN" | "RANGE" | "AGG", "PROVING") if proof_id.is_none() => Standing::Asked,
        ("SPAN" | "RANGE" | "AGG", "PROVING") => Standing::Requested,
        ("SPAN" | "RANGE" | "AGG", "FAILED") => Standing::Failed,
        ("SPAN" | "RANGE" | "AGG", "COMPLETE") => Standing::Complete,
        ("SPAN" | "RANGE" | "AGG", other) => Standing::Unknown(clip(other)),
        (other, _) => Standing::Unknown(clip(other)),
    };
    let kind = if kind == "AGG" { Kind::Agg } else { Kind::Span };
    let number: Option<i64> = row.get(7)?;
    let hash: Option<String> = row.get(8)?;
    let checkpoint = number.zip(hash.as_deref().and_then(unhex));
    Ok(Raw {
        proof_id,
        checkpoint,
        seconds: row.get(6)?,
        proof_length: row.get(9)?,
        proof_tail: row.get::<_, Option<Vec<u8>>>(10)?.unwrap_or_default(),
        ..Raw::new(row.get(0)?, kind, (row.get(2)?, row.get(3)?), standing)
    })
}

/// Bytes in hex, with 0x or without.
fn unhex(text: &str) -> Option<Vec<u8>> {
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok()
}

/// A stranger's word, marked where it was cut.
fn clip(word: &str) -> String {
    prooflog_events::clip::clip(word, 64)
}
