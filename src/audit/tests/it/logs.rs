//! Logs in memory, and records put into one without asking the writer.

use prooflog_audit::{Extensions, SignedCheckpoint, SigningKey, VerifyingKey, checkpoint, keygen};
use prooflog_events::envelope::record_hash;
use prooflog_events::ids::{LogId, Micros, Position};
use prooflog_events::port::{Commit, Head, RecordBatch, Sequence, SequenceRead};
use prooflog_log::{Append, By, Log, MemorySequence, NewRecord, Reader};

pub(crate) const LOG: LogId = LogId([5; 16]);

/// A log of `records` records, written by the writer, in batches of one to three.
pub(crate) fn written(records: usize) -> Log<MemorySequence> {
    let log = Log::open(MemorySequence::new(LOG)).unwrap();
    let mut written = 0;
    while written < records {
        let batch = (1 + written % 3).min(records - written);
        let record = |at: usize| {
            let payload = format!("record {at}").into_bytes();
            NewRecord::native(format!("chain-{}", at % 2), "Paused", 1, payload)
        };
        let new = (written..written + batch).map(record).collect();
        log.append(Append::new(By::Scheduler, Micros(1_700_000_000_000_000 + written as u64), new)).unwrap();
        written += batch;
    }
    log
}

/// The stored bytes of every record.
pub(crate) fn records<R: SequenceRead>(reader: &Reader<'_, R>) -> Vec<Vec<u8>> {
    (1..=reader.head().position.0)
        .map(|position| reader.record(Position(position)).unwrap().unwrap().stored().to_vec())
        .collect()
}

/// A sequence that holds these bytes and claims nothing of them.
pub(crate) fn holding(records: &[Vec<u8>]) -> MemorySequence {
    let sequence = MemorySequence::new(LOG);
    let mut expected = Head::empty(LOG);
    for stored in records {
        let mut batch = RecordBatch::default();
        batch.push(stored);
        let head = Head { position: expected.position.next(), hash: record_hash(stored) };
        sequence
            .append(Commit { expected, head, records: &batch, blobs: &[], named: &[], forgotten: &[] })
            .unwrap();
        expected = head;
    }
    sequence
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
    checkpoint(reader, Position(size), (key, Extensions::TimeAndHead), &[]).unwrap()
}
