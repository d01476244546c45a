//! Tamper evidence for a third party.
//!
//! The log is a chain of hashes, which shows damage to whoever has an old head hash. This room makes more of it: an RFC
//! 6962 tree over the records (`tree`), signed checkpoints of it ([`checkpoint`]), and proofs that are checked with
//! the public key alone, by this program or any other (`document`, [`check`]). [`examine`] says which old checkpoints
//! a log still holds; [`report`] is a page for the auditor. Nothing here writes to the log, and nothing is believed
//! that was not checked. What a crash means: ask again.

mod ask;
mod check;
mod checkpoint;
mod document;
mod error;
mod examine;
mod key;
mod report;
mod text;
mod tree;

pub use ask::{Extensions, checkpoint, consistency, prove};
pub use check::{Checked, RecordWords, Statement, check, verify_consistency, verify_inclusion};
pub use checkpoint::{CHECKPOINT_BYTES_MAX, Checkpoint, SignedCheckpoint};
pub use document::{ConsistencyProof, DOCUMENT_BYTES_MAX, Document, InclusionProof};
pub use error::{AuditError, ErrorKind};
pub use examine::{Compared, Examination, Standing, examine};
pub use key::{SigningKey, VerifyingKey, keygen, origin};
pub use report::{
    Anomaly, AnomalyKind, Change, Consequence, ENTRIES_MAX, FieldChange, Intervention, Outcome, Report,
    Submission, Totals, render_text, report,
};
pub use tree::{
    FewNodes, Frontier, LEAVES_MAX, MemoryNodes, Node, Nodes, Question, Tree, empty_root, node_hash, scan,
};
