//! What is made of a log for an auditor: a checkpoint, a proof of inclusion, a proof of consistency.
//!
//! Each is one scan of the log. Nothing is signed that contradicts a checkpoint given along, and nothing is proven of a
//! checkpoint that the log does not hold.

use prooflog_events::ids::{Hash32, LogId, Position};
use prooflog_events::port::{SequenceError, SequenceRead};
use prooflog_log::read::Reader;

use crate::checkpoint::{Checkpoint, SignedCheckpoint, head_line, time_line};
use crate::document::{ConsistencyProof, InclusionProof};
use crate::error::{AuditError, other_key};
use crate::examine::{judge, roots};
use crate::key::SigningKey;
use crate::tree::{FewNodes, Question, Tree, scan};

/// What a checkpoint says beside size and root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extensions {
    /// Nothing, as witnesses prefer it.
    None,
    /// When the last record was written, and its hash.
    TimeAndHead,
}

/// Signs how the log stands at `at`, after the checkpoints that were signed `before`.
///
/// # Errors
/// [`AuditError::Refuted`] when one of those does not hold: a key must not sign two histories. Otherwise when the log
/// cannot be read, ends before `at`, or the key is for another.
pub fn checkpoint<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    log: LogId,
    at: Position,
    (key, extensions): (&SigningKey, Extensions),
    before: &[SignedCheckpoint],
) -> Result<SignedCheckpoint, AuditError> {
    if key.log() != log {
        return Err(other_key(key.log(), log));
    }
    let before = || before.iter().map(SignedCheckpoint::checkpoint);
    if let Some(other) = before().find(|checkpoint| checkpoint.log != log) {
        return Err(AuditError::Ask(format!(
            "a checkpoint given is of log {}, this is log {log}",
            other.log
        )));
    }
    let head = reader.head().position;
    if at > head {
        return Err(AuditError::Ask(format!("the log ends at position {head}, {at} is asked for")));
    }
    let sizes = before().map(|checkpoint| checkpoint.size).chain([at.0]).collect();
    let roots = roots(reader, &sizes)?;
    let examination = judge(head, before(), &roots);
    if let Some(size) = examination.first_that_does_not {
        let text =
            format!("the checkpoint of {size} records does not hold: nothing is signed\n{examination}");
        return Err(AuditError::Refuted(text));
    }
    let Some(root) = roots.by_size.get(&at.0).copied() else {
        let unread = || SequenceError::damaged(at, "the record cannot be read");
        return Err(roots.damage.unwrap_or_else(unread).into());
    };
    let mut lines = Vec::new();
    if extensions == Extensions::TimeAndHead
        && let Some(record) = reader.record(at)?
    {
        lines.extend([time_line(record.envelope()?.recorded_at), head_line(record.hash())]);
    }
    SignedCheckpoint::sign(&Checkpoint { log, size: at.0, root, extensions: lines }, key)
}

/// Shows that the record at `position` is in the log of `checkpoint`.
///
/// # Errors
/// [`AuditError::Refuted`] when the log does not hold that checkpoint. Otherwise when the log cannot be read, or the
/// record is not one of the checkpoint's.
pub fn prove<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    log: LogId,
    position: Position,
    checkpoint: SignedCheckpoint,
) -> Result<InclusionProof, AuditError> {
    let size = checkpoint.checkpoint().size;
    let question = Question::Inclusion { position, size };
    let tree = held(reader, log, &[checkpoint.checkpoint()], question)?;
    let record = reader.record(position)?.map(|record| record.stored().to_vec()).unwrap_or_default();
    Ok(InclusionProof { position, record, path: tree.answer(question)?, checkpoint })
}

/// Shows that the log of the checkpoint `new` begins with that of `old`.
///
/// # Errors
/// [`AuditError::Refuted`] when the log does not hold both. Otherwise when the log cannot be read, or `old` is empty or
/// larger than `new`.
pub fn consistency<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    log: LogId,
    old: &SignedCheckpoint,
    new: SignedCheckpoint,
) -> Result<ConsistencyProof, AuditError> {
    let (before, after) = (old.checkpoint(), new.checkpoint());
    let question = Question::Consistency { old: before.size, new: after.size };
    let tree = held(reader, log, &[before, after], question)?;
    Ok(ConsistencyProof { old: before.size, path: tree.answer(question)?, checkpoint: new })
}

/// A tree that answers the question, of a log that holds the checkpoints.
fn held<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    log: LogId,
    checkpoints: &[&Checkpoint],
    question: Question,
) -> Result<Tree<FewNodes>, AuditError> {
    if let Some(other) = checkpoints.iter().find(|checkpoint| checkpoint.log != log) {
        return Err(AuditError::Ask(format!("the checkpoint is of log {}, this is log {log}", other.log)));
    }
    let roots = checkpoints.iter().map(|checkpoint| Question::Root { size: checkpoint.size });
    let tree = scan(reader, &roots.chain([question]).collect::<Vec<_>>())?;
    for Checkpoint { size, root, .. } in checkpoints {
        let found: Hash32 = tree.root(*size)?;
        if found != *root {
            let text =
                format!("the log does not hold the checkpoint of {size} records: their root is {found}");
            return Err(AuditError::Refuted(text));
        }
    }
    Ok(tree)
}
