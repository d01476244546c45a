//! Databases of op-succinct's proposers, as rows that can be taken over.
//!
//! [`Database`] reads the SQLite file of the Go proposer and the Postgres database of the Rust one, changes nothing in
//! them and shows no address; [`read`] says of each row what it holds, or why it holds nothing. What the rules make of it
//! is not decided here. Both databases overwrite their rows: what is not in them is `None`, and nothing stands in for it.
//! What a crash in here means: nothing was changed, here or there.

mod database;
mod found;
mod postgres;
mod raw;
mod sqlite;
mod tls;
mod version;

pub use database::Database;
pub use found::{Found, Given, Nothing, read};
pub use raw::{Kind, Raw, Standing};

/// Rows that are read at most: a proposer that ran for years has a tenth of them.
const ROWS_MAX: usize = 1_000_000;
/// Last bytes of a proof that are read with its row: its version stands there.
const TAIL_BYTES: usize = 64;

/// Why a database could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It could not be opened.
    #[error("{what} cannot be opened: {why}")]
    Open {
        /// Which, without its address.
        what: String,
        /// What it said.
        why: String,
    },
    /// It is another database.
    #[error("{what} is not one of {expected}: {why}")]
    Foreign {
        /// Which, without its address.
        what: String,
        /// Whose it should be.
        expected: &'static str,
        /// What is missing.
        why: String,
    },
    /// It stopped answering, or answered what it cannot.
    #[error("reading {what}: {why}")]
    Read {
        /// What was read.
        what: String,
        /// What it said.
        why: String,
    },
    /// It holds more than any proposer leaves behind.
    #[error("there are more than {ROWS_MAX} rows: is this the right database?")]
    TooMany,
}

impl ImportError {
    /// Whether it may come by itself, or somebody must name another database.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Foreign { .. } | Self::TooMany)
    }

    pub(crate) fn read(what: impl Into<String>) -> impl FnOnce(&dyn std::fmt::Display) -> Self {
        let what = what.into();
        move |why| Self::Read { what, why: why.to_string() }
    }
}
