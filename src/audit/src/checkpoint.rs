//! Checkpoints: how many records a log had and what their root was, signed. C2SP tlog-checkpoint.
//!
//! The text is the origin, the number of records, the root, and lines of our own that nobody needs for checking. A
//! checkpoint has one spelling: what is read is written again and compared, so no two files say the same. Reading one
//! checks its form; only [`SignedCheckpoint::verify`] says that the key signed it.

use std::fmt::{self, Write};
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine};
use prooflog_events::ids::{Hash32, LogId, Micros};
use signed_note::{Note, VerifierList};

use crate::error::{AuditError, other_key};
use crate::key::{SigningKey, VerifyingKey, log_of, origin};
use crate::tree::LEAVES_MAX;

/// Most bytes of a signed checkpoint: a hundred witnesses may sign beside the log.
pub const CHECKPOINT_BYTES_MAX: usize = 32 << 10;

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log.
    pub log: LogId,
    /// How many records it had: the position of the last.
    pub size: u64,
    /// The RFC 6962 root over them.
    pub root: Hash32,
    /// Further lines, signed with the rest and not checked by anyone.
    pub extensions: Vec<String>,
}

/// The line that says when the last record was written.
pub(crate) fn time_line(at: Micros) -> String {
    format!("time {}", crate::text::time(at))
}

/// The line that says the hash of the last record, which is the head of the chain of hashes.
pub(crate) fn head_line(hash: Hash32) -> String {
    format!("head {hash}")
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", origin(self.log), self.size, BASE64_STANDARD.encode(self.root.0))?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn form(why: impl Into<String>) -> AuditError {
    AuditError::Form { expected: "a checkpoint", why: why.into() }
}

impl FromStr for Checkpoint {
    type Err = AuditError;

    fn from_str(text: &str) -> Result<Self, AuditError> {
        let mut lines = text.lines();
        let mut next = |what| lines.next().ok_or_else(|| form(format!("there is no {what}")));
        let log = log_of(next("origin")?).ok_or_else(|| form("its first line is not `prooflog/<log id>`"))?;
        let size: u64 = next("number of records")?.parse().map_err(|_| form("its size is no number"))?;
        let root = decode_hash(next("root")?).ok_or_else(|| form("its root is not 32 bytes in base64"))?;
        let checkpoint = Self { log, size, root, extensions: lines.map(str::to_owned).collect() };
        if size > LEAVES_MAX {
            return Err(form(format!("{size} records are more than any log holds")));
        }
        if checkpoint.extensions.iter().any(String::is_empty) || checkpoint.to_string() != text {
            return Err(form("it is not spelled as the format asks"));
        }
        Ok(checkpoint)
    }
}

/// A hash as the C2SP formats write it.
pub(crate) fn decode_hash(line: &str) -> Option<Hash32> {
    // 32 bytes are 44 characters.
    let bytes = (line.len() == 44).then(|| BASE64_STANDARD.decode(line).ok()).flatten()?;
    bytes.try_into().ok().map(Hash32)
}

/// A checkpoint with signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: String,
}

impl SignedCheckpoint {
    /// Signs what a checkpoint says.
    ///
    /// # Errors
    /// When the key is for another log, or the checkpoint cannot be said in the format.
    pub fn sign(checkpoint: &Checkpoint, key: &SigningKey) -> Result<Self, AuditError> {
        if key.log() != checkpoint.log {
            return Err(other_key(key.log(), checkpoint.log));
        }
        let mut note = Note::new(checkpoint.to_string().as_bytes(), &[]).map_err(|e| form(e.to_string()))?;
        note.add_sigs(&[key.signer()]).map_err(|error| AuditError::Key(error.to_string()))?;
        String::from_utf8(note.to_bytes()).map_err(|error| form(error.to_string()))?.parse()
    }

    /// Checks that the key signed it. Signatures of keys that are not known are passed over, as the format asks.
    ///
    /// # Errors
    /// [`AuditError::Refuted`] when it did not.
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), AuditError> {
        let Checkpoint { log, size, .. } = self.checkpoint;
        if key.log() != log {
            let text = format!("the checkpoint is of log {log}, the key is of log {}", key.log());
            return Err(AuditError::Refuted(text));
        }
        let note = Note::from_bytes(self.note.as_bytes()).map_err(|error| form(error.to_string()))?;
        let known = VerifierList::new(vec![Box::new(key.verifier().clone())]);
        note.verify(&known).map(drop).map_err(|error| {
            AuditError::Refuted(format!("the checkpoint of {size} records is not signed by the key: {error}"))
        })
    }

    /// What it says, signed by whomever.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.note)
    }
}

impl FromStr for SignedCheckpoint {
    type Err = AuditError;

    fn from_str(text: &str) -> Result<Self, AuditError> {
        if text.len() > CHECKPOINT_BYTES_MAX {
            return Err(form(format!("it has more than {CHECKPOINT_BYTES_MAX} bytes")));
        }
        let note = Note::from_bytes(text.as_bytes()).map_err(|error| form(error.to_string()))?;
        let said = std::str::from_utf8(note.text()).map_err(|error| form(error.to_string()))?;
        Ok(Self { checkpoint: said.parse()?, note: text.to_owned() })
    }
}

/// Writes hashes as the C2SP formats do, a line each.
pub(crate) fn write_hashes(out: &mut impl Write, hashes: &[Hash32]) -> fmt::Result {
    hashes.iter().try_for_each(|hash| writeln!(out, "{}", BASE64_STANDARD.encode(hash.0)))
}
