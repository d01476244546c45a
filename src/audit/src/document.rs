//! The files that an auditor holds: checkpoints, proofs of inclusion, proofs of consistency.
//!
//! All are short texts in formats of C2SP, so that other programs check them too. A proof of inclusion is a tlog-proof
//! whose extra data is the record itself; a proof of consistency is what a log sends to a witness (tlog-witness,
//! add-checkpoint). Both carry the checkpoint that they prove something of. Reading has limits and takes one spelling:
//! what is read is written again and compared. Nothing that is read is believed before it is checked.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine};
use prooflog_events::ids::{Hash32, Position};

use crate::checkpoint::{SignedCheckpoint, decode_hash, write_hashes};
use crate::error::AuditError;
use crate::tree::LEAVES_MAX;

/// Most bytes of a document: the largest record in base64, with room for the rest.
pub const DOCUMENT_BYTES_MAX: usize = 4 << 20;

/// Most hashes of a proof; the tree of [`LEAVES_MAX`] records needs fewer.
const HASHES_MAX: usize = 63;

/// First line of a tlog-proof.
const INCLUSION: &str = "c2sp.org/tlog-proof@v1";

/// Shows that a record stands at its position in the log of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// Its position.
    pub position: Position,
    /// Its stored bytes.
    pub record: Vec<u8>,
    /// The hashes beside the way from it to the root.
    pub path: Vec<Hash32>,
    /// The checkpoint.
    pub checkpoint: SignedCheckpoint,
}

/// Shows that the log of a checkpoint begins with the records that it had earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// How many records it had.
    pub old: u64,
    /// The hashes that both roots are made of.
    pub path: Vec<Hash32>,
    /// The checkpoint.
    pub checkpoint: SignedCheckpoint,
}

/// One file of an auditor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// A checkpoint.
    Checkpoint(SignedCheckpoint),
    /// A proof of inclusion.
    Inclusion(InclusionProof),
    /// A proof of consistency.
    Consistency(ConsistencyProof),
}

impl Document {
    /// Reads a file, whatever it is of these.
    ///
    /// # Errors
    /// When it cannot be read, or is none of them.
    pub fn read(path: &Path) -> Result<Self, AuditError> {
        let mut text = String::new();
        let what = || path.display().to_string();
        let file = File::open(path).map_err(AuditError::io(what()))?;
        file.take(DOCUMENT_BYTES_MAX as u64 + 1).read_to_string(&mut text).map_err(AuditError::io(what()))?;
        text.parse()
    }

    /// The checkpoint that it is, or that it carries.
    #[must_use]
    pub const fn checkpoint(&self) -> &SignedCheckpoint {
        match self {
            Self::Checkpoint(checkpoint)
            | Self::Inclusion(InclusionProof { checkpoint, .. })
            | Self::Consistency(ConsistencyProof { checkpoint, .. }) => checkpoint,
        }
    }
}

impl FromStr for Document {
    type Err = AuditError;

    fn from_str(text: &str) -> Result<Self, AuditError> {
        if text.starts_with("c2sp.org/tlog-proof") {
            text.parse().map(Self::Inclusion)
        } else if text.starts_with("old ") {
            text.parse().map(Self::Consistency)
        } else {
            limit(text, "a checkpoint")?;
            text.parse().map(Self::Checkpoint)
        }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint(checkpoint) => checkpoint.fmt(f),
            Self::Inclusion(proof) => proof.fmt(f),
            Self::Consistency(proof) => proof.fmt(f),
        }
    }
}

fn limit(text: &str, expected: &'static str) -> Result<(), AuditError> {
    if text.len() <= DOCUMENT_BYTES_MAX {
        return Ok(());
    }
    Err(AuditError::Form { expected, why: format!("it has more than {DOCUMENT_BYTES_MAX} bytes") })
}

/// The lines before the checkpoint, and the checkpoint.
fn parts<'t>(
    text: &'t str,
    form: &dyn Fn(&str) -> AuditError,
) -> Result<(&'t str, SignedCheckpoint), AuditError> {
    let (head, checkpoint) =
        text.split_once("\n\n").ok_or_else(|| form("no empty line and no checkpoint after it"))?;
    Ok((head, checkpoint.parse()?))
}

fn hashes<'t>(
    lines: impl Iterator<Item = &'t str>,
    form: &dyn Fn(&str) -> AuditError,
) -> Result<Vec<Hash32>, AuditError> {
    let mut hashes = Vec::new();
    for line in lines {
        if hashes.len() == HASHES_MAX {
            return Err(form("it has more hashes than any proof"));
        }
        hashes.push(decode_hash(line).ok_or_else(|| form("a hash is not 32 bytes in base64"))?);
    }
    Ok(hashes)
}

fn number(line: Option<&str>, word: &str) -> Option<u64> {
    line?.strip_prefix(word)?.parse().ok().filter(|number| *number <= LEAVES_MAX)
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = self.position.0.saturating_sub(1);
        let record = BASE64_STANDARD.encode(&self.record);
        writeln!(f, "{INCLUSION}\nextra {record}\nindex {index}")?;
        write_hashes(f, &self.path)?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for InclusionProof {
    type Err = AuditError;

    fn from_str(text: &str) -> Result<Self, AuditError> {
        let expected = "a proof of inclusion";
        let form = |why: &str| AuditError::Form { expected, why: why.to_owned() };
        limit(text, expected)?;
        let (head, checkpoint) = parts(text, &form)?;
        let mut lines = head.lines();
        if lines.next() != Some(INCLUSION) {
            return Err(form("its first line is not `c2sp.org/tlog-proof@v1`"));
        }
        let record = lines.next().and_then(|line| line.strip_prefix("extra "));
        let record = record.ok_or_else(|| form("it does not carry the record in an `extra` line"))?;
        let record = BASE64_STANDARD.decode(record).map_err(|_| form("the record is not base64"))?;
        let index = number(lines.next(), "index ").ok_or_else(|| form("there is no `index` line"))?;
        let path = hashes(lines, &form)?;
        let proof = Self { position: Position(index).next(), record, path, checkpoint };
        if proof.to_string() != text {
            return Err(form("it is not spelled as the format asks"));
        }
        Ok(proof)
    }
}

impl fmt::Display for ConsistencyProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        write_hashes(f, &self.path)?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for ConsistencyProof {
    type Err = AuditError;

    fn from_str(text: &str) -> Result<Self, AuditError> {
        let expected = "a proof of consistency";
        let form = |why: &str| AuditError::Form { expected, why: why.to_owned() };
        limit(text, expected)?;
        let (head, checkpoint) = parts(text, &form)?;
        let mut lines = head.lines();
        let old = number(lines.next(), "old ").ok_or_else(|| form("there is no `old` line"))?;
        let proof = Self { old, path: hashes(lines, &form)?, checkpoint };
        if proof.to_string() != text {
            return Err(form("it is not spelled as the format asks"));
        }
        Ok(proof)
    }
}
