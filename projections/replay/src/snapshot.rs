//! Snapshots of the state as bytes.
//!
//! A snapshot is a list of pieces, each behind its length: the state without its rollups, then one piece per rollup, so
//! that several threads can decode a large one. Nothing in it is truth, so its layout may change with any release; the
//! fingerprint in its key keeps releases apart.

use std::thread;

use prooflog_events::codec::{self, CodecError};
use prooflog_events::envelope::ENVELOPE_VERSION;
use prooflog_events::event::EventType;
use prooflog_events::ids::{Hash32, LogId, Position};
use prooflog_events::port::{Sequence, SequenceError, SequenceRead, Snapshot, SnapshotKey};
use prooflog_log::Log;
use prooflog_log::read::Reader;
use prooflog_projections::state::FOLD_VERSION;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::{Map, State};
use sha2::{Digest, Sha256};

/// Name of the scheduler's state among the snapshots in the store.
pub const PROJECTION: &str = "scheduler";

/// Version of the layout in here.
const LAYOUT: u8 = 1;

/// Bytes below which starting threads costs more than they save.
const WORTH_A_THREAD: usize = 256 << 10;

/// Threads that decode one snapshot.
const DECODERS_MAX: usize = 4;

/// A state read from a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The batch end that it was taken at.
    pub position: Position,
    /// The state there.
    pub state: State,
    /// Bytes that it takes.
    pub bytes: usize,
}

/// Under what this release keeps its snapshots: everything that can change what a fold makes of the same bytes.
#[must_use]
pub fn key() -> SnapshotKey {
    let mut hash = Sha256::new();
    hash.update([LAYOUT, ENVELOPE_VERSION]);
    hash.update(FOLD_VERSION.to_be_bytes());
    hash.update(env!("CARGO_PKG_VERSION"));
    for kind in EventType::ALL {
        hash.update(kind.name());
        hash.update(kind.version().to_be_bytes());
    }
    SnapshotKey { projection: PROJECTION.to_owned(), fingerprint: Hash32(hash.finalize().into()) }
}

/// The bytes of a snapshot.
#[must_use]
pub fn encode(state: &State) -> Vec<u8> {
    let mut head = state.clone();
    head.chains = Map::default();
    let mut bytes = Vec::new();
    push(&mut bytes, &head.to_bytes());
    for chain in state.chains.values() {
        push(&mut bytes, &codec::encode(chain));
    }
    bytes
}

/// Encodes and keeps a snapshot of what is durable, and returns its size. Meant for another thread than the decision
/// loop's: the state is a clone that shares its structure with the living one.
///
/// # Errors
/// When the medium refuses.
pub fn keep<S: Sequence>(log: &Log<S>, position: Position, state: &State) -> Result<u64, SequenceError> {
    let bytes = encode(state);
    let size = bytes.len() as u64;
    log.put_snapshot(&key(), &Snapshot { position, bytes })?;
    Ok(size)
}

/// The state that a snapshot holds.
///
/// # Errors
/// When the bytes are not one snapshot and nothing else.
pub fn decode(bytes: &[u8]) -> Result<State, CodecError> {
    let pieces = pieces(bytes)?;
    let (head, chains) =
        pieces.split_first().ok_or_else(|| CodecError::Malformed("an empty snapshot".to_owned()))?;
    let mut state = State::from_bytes(head)?;
    for chain in decode_chains(chains)? {
        state.chains.insert(chain.id, chain);
    }
    Ok(state)
}

fn push(bytes: &mut Vec<u8>, piece: &[u8]) {
    bytes.extend_from_slice(&(piece.len() as u64).to_le_bytes());
    bytes.extend_from_slice(piece);
}

fn pieces(mut bytes: &[u8]) -> Result<Vec<&[u8]>, CodecError> {
    let cut = || CodecError::Malformed("a snapshot that is cut off".to_owned());
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(cut)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| cut())?;
        let (piece, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        pieces.push(piece);
        bytes = rest;
    }
    Ok(pieces)
}

fn decode_chains(pieces: &[&[u8]]) -> Result<Vec<Chain>, CodecError> {
    let decode_all = |pieces: &[&[u8]]| -> Result<Vec<Chain>, CodecError> {
        pieces.iter().map(|piece| codec::decode_snapshot(piece)).collect()
    };
    let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
    let threads = thread::available_parallelism().map_or(1, |n| n.get().min(DECODERS_MAX));
    if threads == 1 || bytes < WORTH_A_THREAD || pieces.len() == 1 {
        return decode_all(pieces);
    }
    let share = pieces.len().div_ceil(threads);
    thread::scope(|scope| {
        let decoders: Vec<_> =
            pieces.chunks(share).map(|part| scope.spawn(move || decode_all(part))).collect();
        let mut chains = Vec::with_capacity(pieces.len());
        for decoder in decoders {
            let part = decoder.join().map_err(|_| CodecError::Malformed("a decoder panicked".to_owned()))?;
            chains.extend(part?);
        }
        Ok(chains)
    })
}

/// The newest snapshot at or below `bound` that is of use. Whatever is wrong with one is said and passed over: the log
/// is the truth, and folding further is always possible.
#[must_use]
pub fn newest<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    log: LogId,
    bound: Position,
) -> Option<Taken> {
    let key = key();
    let mut bound = bound;
    loop {
        let snapshot = match reader.snapshot(&key, bound) {
            Ok(snapshot) => snapshot?,
            Err(error) => {
                tracing::warn!(%error, "snapshots cannot be read: folding from the beginning");
                return None;
            }
        };
        let position = snapshot.position;
        match decode(&snapshot.bytes) {
            Ok(state) if state.log == log => {
                return Some(Taken { position, state, bytes: snapshot.bytes.len() });
            }
            Ok(_) => tracing::warn!(%position, "a snapshot of another log is ignored"),
            Err(error) => tracing::warn!(%position, %error, "a damaged snapshot is ignored"),
        }
        bound = Position(position.0.checked_sub(1)?);
    }
}
