//! Logs that nobody wrote: records put into a sequence without asking the writer, as whoever has the disk can.
//!
//! What verification and audits are tested with. A sequence made here holds the bytes it is given and claims nothing of
//! them; only their order and the hash of the last one are its own.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a check panics")]

use prooflog_events::envelope::{Envelope, record_hash};
use prooflog_events::ids::{LogId, Micros, Position};
use prooflog_events::port::{Commit, Head, RecordBatch, Sequence, SequenceRead};

use crate::append::{Append, By, NewRecord};
use crate::memory::MemorySequence;
use crate::read::Reader;
use crate::writer::Log;

/// A log of `records` records, written by the writer, in batches of one to three, over three streams.
#[must_use]
pub fn written(log: LogId, records: usize) -> Log<MemorySequence> {
    let log = Log::open(MemorySequence::new(log)).unwrap();
    let mut written = 0;
    while written < records {
        let batch = (1 + written % 3).min(records - written);
        let record = |at: usize| {
            NewRecord::native(format!("chain-{}", at % 3), "Paused", 1, format!("record {at}").into_bytes())
        };
        let new = (written..written + batch).map(record).collect();
        log.append(Append::new(By::Scheduler, Micros(1_700_000_000_000_000 + written as u64), new)).unwrap();
        written += batch;
    }
    log
}

/// The stored bytes of every record.
#[must_use]
pub fn stored<R: SequenceRead>(reader: &Reader<'_, R>) -> Vec<Vec<u8>> {
    (1..=reader.head().position.0)
        .map(|position| reader.record(Position(position)).unwrap().unwrap().stored().to_vec())
        .collect()
}

/// A sequence that holds these bytes.
#[must_use]
pub fn holding(log: LogId, records: &[Vec<u8>]) -> MemorySequence {
    let sequence = MemorySequence::new(log);
    let mut expected = Head::empty(log);
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

/// Makes the hash that each record after the one at `index` names right again.
pub fn chain(records: &mut [Vec<u8>], index: usize) {
    for next in index + 1..records.len() {
        let prev = record_hash(&records[next - 1]);
        let old = std::mem::take(&mut records[next]);
        records[next] = Envelope { prev, ..Envelope::decode(&old).unwrap() }.encode();
    }
}

/// Changes the record at `index`, and makes every hash after it right again.
pub fn rewrite(records: &mut [Vec<u8>], index: usize, change: impl FnOnce(Envelope<'_>) -> Vec<u8>) {
    let old = std::mem::take(&mut records[index]);
    records[index] = change(Envelope::decode(&old).unwrap());
    chain(records, index);
}

/// Another payload in the same record.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "`rewrite` hands the record over")]
pub fn other_payload(envelope: Envelope<'_>) -> Vec<u8> {
    Envelope { payload: b"nothing happened here", ..envelope }.encode()
}
