//! Snapshots of the state as bytes.
//!
//! A snapshot is a list of pieces, each behind its length and kind: the state without its rollups, then each rollup
//! without its units, followed by blocks of its units, so that several threads can decode a large one. Nothing in it is
//! truth, so its layout may change with any release; the fingerprint in its key keeps releases apart.

use prooflog_events::codec::{self, CodecError};
use prooflog_events::envelope::ENVELOPE_VERSION;
use prooflog_events::event::EventType;
use prooflog_events::ids::{Hash32, LogId, Position};
use prooflog_events::port::{Sequence, SequenceError, SequenceRead, Snapshot, SnapshotKey};
use prooflog_log::Log;
use prooflog_log::read::Reader;
use prooflog_projections::state::FOLD_VERSION;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::index::Index;
use prooflog_projections::state::unit::Unit;
use prooflog_projections::{Map, State};
use sha2::{Digest, Sha256};

use crate::shared_work::shared_work;
use crate::units;

/// Name of the scheduler's state among the snapshots in the store.
pub const PROJECTION: &str = "scheduler";

/// Version of the layout in here.
const LAYOUT: u8 = 4;

/// Bytes below which starting threads costs more than they save.
const WORTH_A_THREAD: usize = 96 << 10;

/// What a piece holds.
mod kind {
    /// The state without its rollups: the first piece and no other.
    pub(super) const HEAD: u8 = 0;
    /// A rollup without its units, which follow.
    pub(super) const CHAIN: u8 = 1;
    /// Live spans.
    pub(super) const SPANS: u8 = 2;
    /// Live aggregates.
    pub(super) const AGGS: u8 = 3;
    /// Units that are over and hold a proof.
    pub(super) const RETIRED: u8 = 4;
    /// Spans that were halved.
    pub(super) const HALVED: u8 = 5;
    /// Units that wait for their commitments.
    pub(super) const SET_ASIDE: u8 = 6;
}

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
    push(&mut bytes, kind::HEAD, |bytes| bytes.extend_from_slice(&head.to_bytes()));
    for chain in state.chains.values() {
        push(&mut bytes, kind::CHAIN, |bytes| bytes.extend_from_slice(&codec::encode(&without_units(chain))));
        push_units(&mut bytes, kind::SPANS, chain, chain.spans.values());
        push_units(&mut bytes, kind::AGGS, chain, chain.aggs.values());
        push_units(&mut bytes, kind::RETIRED, chain, chain.retired.values());
        push_units(&mut bytes, kind::HALVED, chain, chain.halved.values());
        push_units(&mut bytes, kind::SET_ASIDE, chain, chain.set_aside.values());
    }
    bytes
}

fn without_units(chain: &Chain) -> Chain {
    let mut bare = chain.clone();
    bare.spans = Map::default();
    bare.aggs = Map::default();
    bare.retired = Map::default();
    bare.halved = Map::default();
    bare.set_aside = Map::default();
    bare
}

fn push_units<'u>(bytes: &mut Vec<u8>, kind: u8, chain: &Chain, units: impl Iterator<Item = &'u Unit>) {
    let units: Vec<&Unit> = units.collect();
    for block in units.chunks(units::BLOCK) {
        push(bytes, kind, |bytes| units::put(bytes, chain.id, block.iter().copied()));
    }
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
    let Some(((kind::HEAD, head), pieces)) = pieces.split_first() else {
        return Err(malformed("it does not begin with the state"));
    };
    let mut state = State::from_bytes(head)?;
    let threads = bytes.len() / WORTH_A_THREAD + 1;
    let blocks: Vec<&[u8]> =
        pieces.iter().filter(|(kind, _)| *kind != kind::CHAIN).map(|(_, piece)| *piece).collect();
    let panicked = || malformed("a decoder panicked");
    let mut blocks = shared_work(blocks, threads, units::read).ok_or_else(panicked)?.into_iter();
    let mut chains = Vec::new();
    for (kind, piece) in pieces {
        if *kind == kind::CHAIN {
            chains.push(Parts::of(codec::decode_snapshot(piece)?));
            continue;
        }
        let units = blocks.next().flatten().ok_or_else(|| malformed("a block of units makes no sense"))?;
        let parts = chains.last_mut().ok_or_else(|| malformed("units stand before their rollup"))?;
        match *kind {
            kind::SPANS => parts.spans.push(units),
            kind::AGGS => parts.aggs.push(units),
            kind::RETIRED => parts.retired.push(units),
            kind::HALVED => parts.halved.push(units),
            kind::SET_ASIDE => parts.set_aside.push(units),
            _ => return Err(malformed("a piece is of no known kind")),
        }
    }
    let chains = shared_work(chains, threads, Parts::join).ok_or_else(panicked)?;
    state.chains = chains.into_iter().map(|chain| (chain.id, chain)).collect();
    Ok(state)
}

/// A rollup and the blocks of its units.
struct Parts {
    chain: Chain,
    spans: Vec<Vec<Unit>>,
    aggs: Vec<Vec<Unit>>,
    retired: Vec<Vec<Unit>>,
    halved: Vec<Vec<Unit>>,
    set_aside: Vec<Vec<Unit>>,
}

impl Parts {
    fn of(chain: Chain) -> Self {
        let none = Vec::new;
        Self { chain, spans: none(), aggs: none(), retired: none(), halved: none(), set_aside: none() }
    }

    fn join(self) -> Chain {
        let numbered =
            |blocks: Vec<Vec<Unit>>| blocks.into_iter().flatten().map(|unit| (unit.id.number, unit));
        let mut chain = self.chain;
        chain.spans = numbered(self.spans).collect();
        chain.aggs = numbered(self.aggs).collect();
        chain.retired = self.retired.into_iter().flatten().map(|unit| (unit.id, unit)).collect();
        chain.halved = numbered(self.halved).collect();
        chain.set_aside = self.set_aside.into_iter().flatten().map(|unit| (unit.id, unit)).collect();
        chain.index = Index::of(&chain);
        chain
    }
}

fn malformed(what: &str) -> CodecError {
    CodecError::Malformed(what.to_owned())
}

/// Appends a piece behind its length and kind.
fn push(bytes: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; 8]);
    bytes.push(kind);
    write(bytes);
    let length = (bytes.len() - start - 9) as u64;
    if let Some(place) = bytes.get_mut(start..start + 8) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

fn pieces(mut bytes: &[u8]) -> Result<Vec<(u8, &[u8])>, CodecError> {
    let cut = || malformed("it is cut off");
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(cut)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| cut())?;
        let (kind, rest) = rest.split_first().ok_or_else(cut)?;
        let (piece, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        pieces.push((*kind, piece));
        bytes = rest;
    }
    Ok(pieces)
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
