//! What is taken over from the database of another proposer, while no engine runs.
//!
//! Such a database overwrites its rows: what became of earlier attempts, and when, is in none of them. A field that it
//! does not hold is `None` here, and nothing stands in for it.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::event::EngineStarted;
use crate::ids::{Address, ChainId, Hash32, L1Number, L1Ref, ProofId, Range};
use crate::values::{BlobRef, Commitments};

/// Rows of another proposer's database are to be taken over.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct RowsImported {
    /// What is recorded first: stands in the first input of an import, because an import opens the log for writing and
    /// starts nothing.
    pub started: Option<EngineStarted>,
    /// The rollup.
    pub chain: ChainId,
    /// Whose database it is; never its address.
    pub source: String,
    /// Rows, those of spans before those of aggregates.
    pub rows: Vec<ImportedRow>,
}

/// A row that holds something which was paid for, or may have been.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ImportedRow {
    /// Its number in that database.
    pub row: u64,
    /// Its blocks.
    pub range: Range,
    /// What it was proven under; `None` where the database does not say: then an operator said that it is what the
    /// contract accepts now.
    pub commitments: Option<Commitments>,
    /// Version of the prover that its proof names, where it names one.
    pub version: Option<String>,
    /// The proof's L1 head is at or below this block; `None` where nothing is known of it.
    pub l1_bound: Option<L1Number>,
    /// That head, where the database holds it with its hash.
    pub l1_head: Option<L1Ref>,
    /// What only a span or only an aggregate has.
    pub subject: ImportedSubject,
    /// How far it came.
    pub progress: ImportedProgress,
}

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportedSubject {
    /// A span.
    Span {
        /// Transactions in it, where the database says.
        transactions: Option<u64>,
        /// Gas used in it, where the database says.
        gas: Option<u64>,
    },
    /// An aggregate.
    Agg {
        /// Verification key of the aggregation program; `None` as for the commitments.
        agg_vkey: Option<Hash32>,
        /// Prover address that the proof binds; `None` where the contract does not know any.
        prover: Option<Address>,
        /// The L1 block that its proof is bound to, as the database names it: not read back from the contract.
        checkpoint: L1Ref,
    },
}

/// How far a row came.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportedProgress {
    /// The prover may have been asked, and no id is there.
    Asked,
    /// The prover has it.
    Requested {
        /// Its id.
        proof_id: ProofId,
    },
    /// The proof is there.
    Proven {
        /// Its bytes.
        proof: BlobRef,
        /// The first four, for aggregates.
        selector: Option<[u8; 4]>,
        /// Seconds from the request to the proof, where the database says.
        seconds: Option<u64>,
    },
}
