//! Logs in memory, and records put into one without asking the writer.

use prooflog_audit::{Extensions, SignedCheckpoint, SigningKey, VerifyingKey, checkpoint, keygen};
use prooflog_events::ids::{LogId, Position};
use prooflog_events::port::SequenceRead;
use prooflog_log::conformance::forging;
pub(crate) use prooflog_log::conformance::forging::stored as records;
use prooflog_log::{Log, MemorySequence, Reader};

pub(crate) const LOG: LogId = LogId([5; 16]);

/// A log of `records` records, written by the writer.
pub(crate) fn written(records: usize) -> Log<MemorySequence> {
    forging::written(LOG, records)
}

/// A sequence that holds these bytes and claims nothing of them.
pub(crate) fn holding(records: &[Vec<u8>]) -> MemorySequence {
    forging::holding(LOG, records)
}

/// A new key of the log.
pub(crate) fn key() -> (SigningKey, VerifyingKey) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let public = keygen(&path, LOG).unwrap();
    (SigningKey::read(&path).unwrap(), public)
}

/// A checkpoint of the first `size` records.
pub(crate) fn signed<R: SequenceRead>(
    reader: &Reader<'_, R>,
    size: u64,
    key: &SigningKey,
) -> SignedCheckpoint {
    checkpoint(reader, LOG, Position(size), (key, Extensions::TimeAndHead), &[]).unwrap()
}
