//! Verification: walks the whole log and says at which position it is no longer what was written.
//!
//! Checked are the hash chain up to the head, gapless positions, times that never decrease, batches that are whole, and
//! that the index holds exactly the records: each stream's revisions without a gap, each entry where its record is.
//! Hashing runs on several threads beside the scan; the index is compared by a sum over keyed hashes of its entries,
//! and entry by entry only if the sums differ. Nothing is written, and nothing is kept in memory but a few pages.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use prooflog_events::envelope::{Envelope, record_hash};
use prooflog_events::ids::{Hash32, Micros, Position, Revision};
use prooflog_events::port::{Direction, Head, RecordBatch, SequenceError, SequenceRead, StreamScan};

use crate::group::lock;
use crate::record::peek;

/// Bytes of records that one thread checks at a time.
const PIECE_BYTES: usize = 512 << 10;

/// Threads that hash: more than the scan can feed are of no use.
const HASHERS_MAX: usize = 4;

/// What a walk found in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The head that was reached, equal to the one that the log claims.
    pub head: Head,
    /// Number of streams.
    pub streams: u64,
}

/// Why a log does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The first record that is not what was written.
    #[error("record {position} does not verify: {what}")]
    Bad {
        /// Its position.
        position: Position,
        /// What is wrong with it.
        what: String,
    },
    /// Reading ended before that.
    #[error(transparent)]
    Read(#[from] SequenceError),
    /// The progress callback asked to stop.
    #[error("verification was stopped")]
    Stopped,
}

fn bad(position: Position, what: impl Into<String>) -> VerifyError {
    VerifyError::Bad { position, what: what.into() }
}

/// The fields of a record that the next one must agree with.
#[derive(Debug, Clone, Copy)]
struct Link {
    position: Position,
    hash: Hash32,
    recorded_at: Micros,
    batch_first: Position,
    batch_last: Position,
}

/// A run of records, checked within itself.
struct Piece {
    first: Link,
    prev: Hash32,
    last: Link,
    sum: u64,
}

/// Walks the log up to its head, calling `progress` with the position reached now and then.
///
/// # Errors
/// The first position that does not verify, or why reading ended before.
pub fn verify<R: SequenceRead + ?Sized>(
    sequence: &R,
    progress: &mut dyn FnMut(Position) -> ControlFlow<()>,
) -> Result<Verified, VerifyError> {
    let head = sequence.head()?;
    let keys = RandomState::new();
    let sum = match walk_records(sequence, head, &keys, progress) {
        Ok(sum) => sum,
        Err(VerifyError::Bad { position, what }) => return Err(changed(sequence, head, position, what)?),
        Err(other) => return Err(other),
    };
    let index = walk_index(sequence, head, &keys)?;
    if (index.entries, index.sum) != (head.position.0, sum) {
        return Err(locate(sequence, head)?);
    }
    Ok(Verified { head, streams: index.streams })
}

/// Which of two records was changed where one does not name the hash of the other: if the later one is not what stands
/// behind it names either, it is the later one.
fn changed<R: SequenceRead + ?Sized>(
    sequence: &R,
    head: Head,
    at: Position,
    what: String,
) -> Result<VerifyError, VerifyError> {
    let first = VerifyError::Bad { position: at, what };
    // Of each record its hash, and the hash that it names.
    let mut seen = Vec::new();
    let to = Position(at.0.saturating_add(2)).min(head.position);
    let read =
        sequence.scan(at, to, Direction::Forward, &mut |place, stored| match Envelope::decode(stored) {
            // One that stands where it does not belong is wrong itself, whatever stands behind it.
            Ok(envelope) if place != at || envelope.position == at => {
                seen.push((record_hash(stored), envelope.prev));
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(()),
        });
    if read.is_err() {
        // What comes behind cannot be read: what was found first stands.
        return Ok(first);
    }
    let (Some((hash, _)), Some((next_hash, next_prev))) = (seen.first(), seen.get(1)) else {
        return Ok(first);
    };
    let expected = match seen.get(2) {
        Some((_, prev)) => *prev,
        None if to == at.next() => head.hash,
        None => return Ok(first),
    };
    if hash == next_prev || *next_hash == expected {
        return Ok(first);
    }
    let what = format!("it names {next_prev} as the record before it, which hashes to {hash}");
    Ok(bad(at.next(), what))
}

fn walk_records<R: SequenceRead + ?Sized>(
    sequence: &R,
    head: Head,
    keys: &RandomState,
    progress: &mut dyn FnMut(Position) -> ControlFlow<()>,
) -> Result<u64, VerifyError> {
    let hashers = thread::available_parallelism().map_or(1, |n| n.get().min(HASHERS_MAX));
    let (jobs, queue) = sync_channel::<(Position, RecordBatch)>(hashers * 2);
    let (done, results) = channel();
    let queue = Arc::new(Mutex::new(queue));
    let scanned = thread::scope(|scope| {
        for _ in 0..hashers {
            let (queue, done) = (Arc::clone(&queue), done.clone());
            let spawned =
                thread::Builder::new().spawn_scoped(scope, move || hash_pieces(&queue, &done, keys));
            spawned.map_err(|error| SequenceError::Unavailable {
                what: format!("no thread to verify with: {error}"),
            })?;
        }
        drop(done);
        feed(sequence, head, jobs, progress)
    });
    // Whatever was read is judged first: a record that is wrong stands before the one that could not be read.
    let pieces: BTreeMap<Position, _> = results.into_iter().collect();
    let sum = join(sequence, head, pieces, scanned.is_ok())?;
    scanned?;
    Ok(sum)
}

fn feed<R: SequenceRead + ?Sized>(
    sequence: &R,
    head: Head,
    jobs: SyncSender<(Position, RecordBatch)>,
    progress: &mut dyn FnMut(Position) -> ControlFlow<()>,
) -> Result<(), VerifyError> {
    let mut piece = RecordBatch::default();
    let mut first = Position(1);
    let mut stopped = false;
    let result = sequence.scan(Position(1), head.position, Direction::Forward, &mut |position, stored| {
        piece.push(stored);
        if piece.byte_len() >= PIECE_BYTES {
            let full = std::mem::take(&mut piece);
            stopped = jobs.send((first, full)).is_err() || progress(position).is_break();
            first = position.next();
        }
        if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if !piece.is_empty() {
        // The only error is that no hasher is left, and then the pieces do not reach the head.
        let _ = jobs.send((first, piece));
    }
    // The hashers end when they have done what is in the queue.
    drop(jobs);
    if stopped {
        return Err(VerifyError::Stopped);
    }
    result.map_err(Into::into)
}

type Checked = (Position, Result<Piece, VerifyError>);

fn hash_pieces(queue: &Mutex<Receiver<(Position, RecordBatch)>>, done: &Sender<Checked>, keys: &RandomState) {
    loop {
        let job = lock(queue).recv();
        let Ok((first, records)) = job else { return };
        if done.send((first, check_piece(first, &records, keys))).is_err() {
            return;
        }
    }
}

fn check_piece(first: Position, records: &RecordBatch, keys: &RandomState) -> Result<Piece, VerifyError> {
    let mut piece: Option<Piece> = None;
    for (position, stored) in (first.0..).map(Position).zip(records.iter()) {
        let envelope = Envelope::decode(stored).map_err(|error| bad(position, error.to_string()))?;
        if envelope.position != position {
            return Err(bad(position, format!("it says that it is record {}", envelope.position)));
        }
        let link = Link {
            position,
            hash: record_hash(stored),
            recorded_at: envelope.recorded_at,
            batch_first: envelope.batch_first,
            batch_last: envelope.batch_last(),
        };
        if envelope.cause.is_some() && envelope.batch_first != position {
            return Err(bad(position, "it has a cause and is not the first of its batch"));
        }
        if !(link.batch_first..=link.batch_last).contains(&position) {
            return Err(bad(position, "it does not lie in its batch"));
        }
        let entry = keys.hash_one((envelope.stream, envelope.revision, position));
        match &mut piece {
            None => piece = Some(Piece { first: link, prev: envelope.prev, last: link, sum: entry }),
            Some(piece) => {
                follows(&piece.last, &link, envelope.prev)?;
                piece.last = link;
                piece.sum = piece.sum.wrapping_add(entry);
            }
        }
    }
    piece.ok_or_else(|| bad(first, "an empty piece of the log"))
}

/// Whether `link`, which names `prev`, may stand behind `before`.
fn follows(before: &Link, link: &Link, prev: Hash32) -> Result<(), VerifyError> {
    if prev != before.hash {
        // Which of the two was changed cannot be told from here; the older one is where trust ends.
        let what = format!("it hashes to {}, record {} names {prev}", before.hash, link.position);
        return Err(bad(before.position, what));
    }
    if link.recorded_at < before.recorded_at {
        return Err(bad(link.position, "its time is before that of the record before"));
    }
    let next_batch = before.batch_last == before.position && link.batch_first == link.position;
    let same_batch = (before.batch_first, before.batch_last) == (link.batch_first, link.batch_last);
    if next_batch || same_batch {
        Ok(())
    } else {
        Err(bad(link.position, "its batch does not fit the record before"))
    }
}

/// Checks that the pieces join each other, begin at the log's id and, if `complete`, end at the head.
fn join<R: SequenceRead + ?Sized>(
    sequence: &R,
    head: Head,
    pieces: BTreeMap<Position, Result<Piece, VerifyError>>,
    complete: bool,
) -> Result<u64, VerifyError> {
    let genesis = Head::empty(sequence.log_id());
    let mut sum = 0_u64;
    let mut before: Option<Link> = None;
    for piece in pieces.into_values() {
        let piece = piece?;
        match &before {
            Some(before) => follows(before, &piece.first, piece.prev)?,
            None if piece.prev != genesis.hash => {
                return Err(bad(piece.first.position, "it does not name this log's id as what is before it"));
            }
            None => {}
        }
        sum = sum.wrapping_add(piece.sum);
        before = Some(piece.last);
    }
    let reached = before.map_or(genesis, |last| Head { position: last.position, hash: last.hash });
    if complete && reached != head {
        return Err(bad(
            head.position,
            format!("the head is {}, the walk ends at {}", head.hash, reached.hash),
        ));
    }
    if complete && before.is_some_and(|last| last.batch_last != last.position) {
        return Err(bad(head.position, "the last batch is not whole"));
    }
    Ok(sum)
}

#[derive(Default)]
struct Index {
    entries: u64,
    streams: u64,
    sum: u64,
}

fn walk_index<R: SequenceRead + ?Sized>(
    sequence: &R,
    head: Head,
    keys: &RandomState,
) -> Result<Index, VerifyError> {
    let mut index = Index::default();
    let mut stream = String::new();
    let mut before: Option<(Revision, Position)> = None;
    let mut failure = None;
    sequence.scan_index(&mut |name, revision, position| {
        if index.streams == 0 || name != stream {
            stream.clear();
            stream.push_str(name);
            before = None;
            index.streams += 1;
        }
        let expected = before.map_or(Revision(0), |(revision, _)| Revision(revision.0.saturating_add(1)));
        let rises = before.is_none_or(|(_, last)| last < position);
        if revision != expected || !rises || position == Position::ZERO {
            let what =
                format!("the index of stream `{name}` has revision {revision} there, expected {expected}");
            failure = Some(bad(position, what));
            return ControlFlow::Break(());
        }
        before = Some((revision, position));
        if position <= head.position {
            index.entries += 1;
            index.sum = index.sum.wrapping_add(keys.hash_one((name, revision, position)));
        } else if revision == Revision(0) {
            // A stream that began after the head was taken.
            index.streams -= 1;
            stream.clear();
        }
        ControlFlow::Continue(())
    })?;
    failure.map_or(Ok(index), Err)
}

/// The first record whose index entry is missing or wrong. Slow: one look-up per record.
fn locate<R: SequenceRead + ?Sized>(sequence: &R, head: Head) -> Result<VerifyError, VerifyError> {
    let mut found = None;
    sequence.scan(Position(1), head.position, Direction::Forward, &mut |position, stored| {
        let indexed = peek(position, stored).and_then(|record| {
            let scan = StreamScan {
                stream: record.stream,
                from: record.revision,
                direction: Direction::Forward,
                bound: head.position,
            };
            let mut seen = None;
            sequence.scan_stream(scan, &mut |position, _| {
                seen = Some(position);
                ControlFlow::Break(())
            })?;
            Ok(seen == Some(position))
        });
        match indexed {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) => {
                found = Some(bad(position, "the index of its stream does not lead to it"));
                ControlFlow::Break(())
            }
            Err(error) => {
                found = Some(bad(position, error.to_string()));
                ControlFlow::Break(())
            }
        }
    })?;
    Ok(found.unwrap_or_else(|| bad(head.position, "the index holds entries without a record")))
}
