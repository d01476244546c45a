//! Checking what an auditor was given, without the log: signatures, proofs, and whether they fit together.
//!
//! Every checkpoint must be signed by the key, two of one size must name one root, and each proof must hold. What then
//! is true is listed, and so is what nothing given connects: two checkpoints may be of two histories as long as no
//! proof of consistency leads from one to the other.

use std::collections::{BTreeMap, BTreeSet};

use ct_merkle::{ConsistencyProof as CtConsistency, InclusionProof as CtInclusion, RootHash};
use prooflog_events::envelope::{Envelope, record_hash};
use prooflog_events::ids::{Hash32, LogId, Micros, Position};
use serde::Serialize;
use sha2::Sha256;

use crate::checkpoint::Checkpoint;
use crate::document::{ConsistencyProof, Document, InclusionProof};
use crate::error::AuditError;
use crate::key::VerifyingKey;
use crate::text::{clean, time};
use crate::tree::LEAVES_MAX;

/// Whether `record` stands at `position` among the records under `root`.
///
/// # Errors
/// [`AuditError::Refuted`] when the path does not show it.
pub fn verify_inclusion(
    record: &[u8],
    position: Position,
    (size, root): (u64, Hash32),
    path: &[Hash32],
) -> Result<(), AuditError> {
    let refuted = |why: &dyn std::fmt::Display| {
        let text = format!("it is not shown that the record stands at {position} of {size}: {why}");
        AuditError::Refuted(text)
    };
    let index = position.0.checked_sub(1).ok_or_else(|| refuted(&"positions begin at 1"))?;
    if size > LEAVES_MAX {
        return Err(refuted(&"no log has so many records"));
    }
    let proof = CtInclusion::<Sha256>::try_from_bytes(joined(path)).map_err(|error| refuted(&error))?;
    RootHash::new(root.0.into(), size)
        .verify_inclusion(&record, index, &proof)
        .map_err(|error| refuted(&error))
}

/// Whether the records under the new root begin with those under the old one.
///
/// # Errors
/// [`AuditError::Refuted`] when the path does not show it.
pub fn verify_consistency(
    (old, old_root): (u64, Hash32),
    (new, new_root): (u64, Hash32),
    path: &[Hash32],
) -> Result<(), AuditError> {
    let refuted = |why: &dyn std::fmt::Display| {
        let text = format!("it is not shown that the log of {new} records begins with that of {old}: {why}");
        AuditError::Refuted(text)
    };
    if new > LEAVES_MAX {
        return Err(refuted(&"no log has so many records"));
    }
    let proof = CtConsistency::<Sha256>::try_from_bytes(joined(path)).map_err(|error| refuted(&error))?;
    let (old, new) = (RootHash::new(old_root.0.into(), old), RootHash::new(new_root.0.into(), new));
    new.verify_consistency(&old, &proof).map_err(|error| refuted(&error))
}

fn joined(path: &[Hash32]) -> Vec<u8> {
    path.iter().flat_map(|hash| hash.0).collect()
}

/// What a record says of itself, as far as this release reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordWords {
    /// Its stream.
    pub stream: String,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// When it was recorded.
    pub time: Micros,
    /// Who made it.
    pub actor: String,
}

/// Something that was checked and is true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Statement {
    /// The key signed that the log had so many records under this root.
    Signed {
        /// How many.
        size: u64,
        /// The root.
        root: Hash32,
        /// The further lines of the checkpoint, which nothing shows.
        extensions: Vec<String>,
    },
    /// A record is in the log of a checkpoint.
    Included {
        /// Where.
        position: Position,
        /// How many records the log of the checkpoint has.
        size: u64,
        /// The record's hash.
        hash: Hash32,
        /// What it says, if this release can read it.
        record: Option<RecordWords>,
    },
    /// The log of a checkpoint begins with that of another.
    Extends {
        /// How many records it had.
        old: u64,
        /// How many it has.
        new: u64,
    },
}

impl std::fmt::Display for Statement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Signed { size, root, extensions } => {
                write!(f, "signed: {size} records under root {root}")?;
                extensions.iter().try_for_each(|line| write!(f, "; {}", clean(line)))
            }
            Self::Included { position, size, hash, record } => {
                write!(f, "record {position} with hash {hash} is in the log of {size} records")?;
                let Some(record) = record else { return Ok(()) };
                let (stream, type_name) = (clean(&record.stream), clean(&record.type_name));
                let (at, actor) = (time(record.time), clean(&record.actor));
                write!(f, ": {type_name} on {stream} at {at} by {actor}")
            }
            Self::Extends { old, new } => write!(f, "the log of {new} records begins with that of {old}"),
        }
    }
}

/// What was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The log that all is about.
    pub log: LogId,
    /// What is true.
    pub statements: Vec<Statement>,
    /// Sizes of checkpoints that are shown to be of one history, group by group. More than one group: nothing given
    /// shows that they belong together.
    pub histories: Vec<BTreeSet<u64>>,
}

/// Checks documents with nothing but the public key.
///
/// # Errors
/// [`AuditError::Refuted`] at the first claim that is not true; [`AuditError::Ask`] when there is none, or a checkpoint
/// is missing.
pub fn check(documents: &[Document], key: &VerifyingKey) -> Result<Checked, AuditError> {
    if documents.is_empty() {
        return Err(AuditError::Ask("nothing to check: name checkpoints and proofs".to_owned()));
    }
    let mut checked = Checked { log: key.log(), statements: Vec::new(), histories: Vec::new() };
    let mut roots = BTreeMap::new();
    for document in documents {
        document.checkpoint().verify(key)?;
        let Checkpoint { size, root, extensions, .. } = document.checkpoint().checkpoint().clone();
        match roots.insert(size, root) {
            Some(other) if other != root => {
                let text = format!(
                    "the key signed two histories: {size} records under root {root} and under root {other}"
                );
                return Err(AuditError::Refuted(text));
            }
            Some(_) => {}
            None => {
                checked.statements.push(Statement::Signed { size, root, extensions });
                checked.histories.push(BTreeSet::from([size]));
            }
        }
    }
    for document in documents {
        match document {
            Document::Checkpoint(_) => {}
            Document::Inclusion(proof) => checked.statements.push(included(proof)?),
            Document::Consistency(proof) => {
                checked.statements.push(extends(proof, &roots)?);
                join(&mut checked.histories, proof.old, proof.checkpoint.checkpoint().size);
            }
        }
    }
    Ok(checked)
}

fn included(proof: &InclusionProof) -> Result<Statement, AuditError> {
    let &Checkpoint { size, root, .. } = proof.checkpoint.checkpoint();
    verify_inclusion(&proof.record, proof.position, (size, root), &proof.path)?;
    let record = match Envelope::decode(&proof.record) {
        Ok(envelope) if envelope.position != proof.position => {
            let text =
                format!("the record that stands at {} says position {}", proof.position, envelope.position);
            return Err(AuditError::Refuted(text));
        }
        Ok(envelope) => Some(RecordWords {
            stream: envelope.stream.to_owned(),
            type_name: envelope.type_name.to_owned(),
            time: envelope.recorded_at,
            actor: envelope.actor.to_string(),
        }),
        // A newer release may have written it; that it is there is shown all the same.
        Err(_) => None,
    };
    Ok(Statement::Included { position: proof.position, size, hash: record_hash(&proof.record), record })
}

fn extends(proof: &ConsistencyProof, roots: &BTreeMap<u64, Hash32>) -> Result<Statement, AuditError> {
    let (old, &Checkpoint { size, root, .. }) = (proof.old, proof.checkpoint.checkpoint());
    let old_root = roots.get(&old).ok_or_else(|| {
        AuditError::Ask(format!("a proof leads on from {old} records: give the checkpoint of that size too"))
    })?;
    verify_consistency((old, *old_root), (size, root), &proof.path)?;
    Ok(Statement::Extends { old, new: size })
}

/// Makes one history of those that hold either size.
fn join(histories: &mut Vec<BTreeSet<u64>>, old: u64, new: u64) {
    let (mut joined, others): (Vec<_>, Vec<_>) =
        histories.drain(..).partition(|sizes| sizes.contains(&old) || sizes.contains(&new));
    histories.extend(others);
    histories.extend(joined.drain(..).reduce(|one, other| &one | &other));
    histories.sort_by_key(|sizes| sizes.first().copied());
}
