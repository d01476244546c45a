//! One of the two databases, opened for reading.

use std::path::Path;

use prooflog_events::ids::{ChainId, L1ChainId};

use crate::postgres::RustProposer;
use crate::raw::Raw;
use crate::sqlite::GoProposer;
use crate::{ImportError, ROWS_MAX};

/// The database of another proposer. Everything is read from one moment of it, and nothing is changed.
pub struct Database(Which);

enum Which {
    Go(GoProposer),
    Rust(Box<RustProposer>),
}

impl Database {
    /// The file of the Go proposer: `<DB_PATH>/<l2 chain id>/proofs.db`. The file, its directory, or `DB_PATH`.
    ///
    /// # Errors
    /// When it is not there or not such a file.
    pub fn sqlite(path: &Path, chain: ChainId) -> Result<Self, ImportError> {
        let candidates = [path.join(chain.to_string()).join("proofs.db"), path.join("proofs.db")];
        let file = candidates.iter().find(|file| file.is_file()).map_or(path, |file| file);
        Ok(Self(Which::Go(GoProposer::open(file)?)))
    }

    /// The database of the Rust proposer, by its `DATABASE_URL`, which no error shows.
    ///
    /// # Errors
    /// When it does not answer or is another one.
    pub fn postgres(url: &str) -> Result<Self, ImportError> {
        Ok(Self(Which::Rust(Box::new(RustProposer::connect(url)?))))
    }

    /// Whose database it is.
    #[must_use]
    pub const fn source(&self) -> &'static str {
        match &self.0 {
            Which::Go(_) => "op-succinct's Go proposer",
            Which::Rust(_) => "op-succinct's Rust proposer",
        }
    }

    /// All rows of a rollup, in the order of their numbers. The file of the Go proposer is of one rollup and does not say
    /// of which.
    ///
    /// # Errors
    /// When it cannot be read, or holds too many.
    pub fn rows(&mut self, chain: ChainId, l1: L1ChainId) -> Result<Vec<Raw>, ImportError> {
        let rows = match &mut self.0 {
            Which::Go(go) => go.rows()?,
            Which::Rust(rust) => rust.rows(chain, l1)?,
        };
        if rows.len() > ROWS_MAX { Err(ImportError::TooMany) } else { Ok(rows) }
    }

    /// The proof of a row.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn proof(&mut self, row: u64) -> Result<Vec<u8>, ImportError> {
        match &mut self.0 {
            Which::Go(go) => go.proof(row),
            Which::Rust(rust) => rust.proof(row),
        }
    }
}
