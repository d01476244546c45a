//! What is stored of an event: the envelope, version 1.
//!
//! Stored bytes are one byte with the envelope's version and then its bincode. They are written once and never
//! re-encoded: they are what is hashed, exported and backed up. Each record names the hash of the one before it, so
//! the hash of the newest names the content of the whole log. A record's hash is SHA-256(0x00 ‖ stored bytes), which is
//! also its leaf hash in an RFC 6962 tree; record 1 names SHA-256 of the log's id.
//!
//! The fields that readers filter by stand first, so that [`Peek`] decides without decoding the rest. Everything is
//! borrowed from the stored bytes. What a crash in here means: nothing; there is no state.

use std::fmt;

#[cfg(test)]
use bincode::BorrowDecode;
use bincode::{Decode, Encode};
use sha2::{Digest, Sha256};

use crate::codec::{self, CodecError};
use crate::cursor::Cursor;
use crate::ids::{EventId, Hash32, LogId, Micros, Position, Revision};

/// The envelope version that is written today; the first stored byte.
pub const ENVELOPE_VERSION: u8 = 1;

/// Why stored bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// There is not even a version byte.
    #[error("the record is empty")]
    Empty,
    /// Written by a release with another envelope.
    #[error(
        "the record has envelope version {0}, this release reads version {ENVELOPE_VERSION}: use a newer release"
    )]
    UnknownVersion(u8),
    /// The bytes are not an envelope.
    #[error("the record's bytes are damaged: {0}")]
    Malformed(#[from] CodecError),
}

/// What the payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Content {
    /// An event of ours in bincode; its schema version is at least 1.
    Native,
    /// JSON of somebody else, as given; schema version 0.
    Json,
    /// Bytes of somebody else, as given; schema version 0.
    Octets,
}

impl Content {
    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        match cursor.number_32()? {
            0 => Some(Self::Native),
            1 => Some(Self::Json),
            2 => Some(Self::Octets),
            _ => None,
        }
    }
}

/// Who made the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
#[cfg_attr(test, derive(BorrowDecode))]
pub enum Actor<'a> {
    /// The decision loop, by itself.
    Scheduler,
    /// A person, through a command.
    Operator(&'a str),
    /// An outside writer.
    Client(&'a str),
    /// An importer.
    Import,
    /// The process itself: start, format, maintenance.
    System,
}

impl<'a> Actor<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        match cursor.number_32()? {
            0 => Some(Self::Scheduler),
            1 => cursor.text().map(Self::Operator),
            2 => cursor.text().map(Self::Client),
            3 => Some(Self::Import),
            4 => Some(Self::System),
            _ => None,
        }
    }
}

impl fmt::Display for Actor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheduler => f.write_str("scheduler"),
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::Client(user) => write!(f, "client:{user}"),
            Self::Import => f.write_str("import"),
            Self::System => f.write_str("system"),
        }
    }
}

/// The event whose effect led here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode)]
#[cfg_attr(test, derive(BorrowDecode))]
pub struct Causation<'a> {
    /// Its id.
    pub event_id: EventId,
    /// Its stream.
    pub stream: &'a str,
    /// Its revision there.
    pub revision: Revision,
}

impl<'a> Causation<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        Some(Self {
            event_id: EventId(cursor.array()?),
            stream: cursor.text()?,
            revision: Revision(cursor.number()?),
        })
    }
}

/// The input that a batch was decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode)]
#[cfg_attr(test, derive(BorrowDecode))]
pub struct Cause<'a> {
    /// The input's type name.
    pub name: &'a str,
    /// Its schema version.
    pub version: u16,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl<'a> Cause<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        Some(Self { name: cursor.text()?, version: cursor.number_16()?, bytes: cursor.bytes()? })
    }
}

/// One record of the log.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
#[cfg_attr(test, derive(BorrowDecode))]
pub struct Envelope<'a> {
    /// Place in the log, from 1.
    pub position: Position,
    /// The history that it belongs to.
    pub stream: &'a str,
    /// Place in that history, from 0.
    pub revision: Revision,
    /// The event's type.
    pub type_name: &'a str,
    /// Identity of the event.
    pub event_id: EventId,
    /// Schema version of the payload; 0 for foreign content.
    pub version: u16,
    /// What the payload is.
    pub content: Content,
    /// When its batch was recorded; never less than in the record before.
    pub recorded_at: Micros,
    /// What it belongs to across streams: for native events the name of the unit first planned. May be empty.
    pub correlation: &'a str,
    /// The event whose effect led here; none if that came from outside.
    pub causation: Option<Causation<'a>>,
    /// Who made it.
    pub actor: Actor<'a>,
    /// Position of the first event of its batch.
    pub batch_first: Position,
    /// Number of events in its batch.
    pub batch_len: u32,
    /// Hash of the record before.
    pub prev: Hash32,
    /// The input that the batch was decided on; only on a batch's first event.
    pub cause: Option<Cause<'a>>,
    /// Bytes of an outside writer, given back unchanged.
    pub metadata: &'a [u8],
    /// The event itself.
    pub payload: &'a [u8],
}

/// The first fields of a record: enough to index it and to filter by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(BorrowDecode))]
pub struct Peek<'a> {
    /// Place in the log.
    pub position: Position,
    /// The history that it belongs to.
    pub stream: &'a str,
    /// Place in that history.
    pub revision: Revision,
    /// The event's type.
    pub type_name: &'a str,
}

impl<'a> Envelope<'a> {
    /// Appends the stored bytes to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.push(ENVELOPE_VERSION);
        codec::encode_into(self, out);
    }

    /// The stored bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(192 + self.payload.len() + self.metadata.len());
        self.encode_into(&mut out);
        out
    }

    /// The record that `stored` holds, borrowed from it.
    ///
    /// # Errors
    /// When the version is unknown, the bytes are malformed or some are left over.
    #[inline]
    pub fn decode(stored: &'a [u8]) -> Result<Self, EnvelopeError> {
        let body = body(stored)?;
        let mut cursor = Cursor::new(body);
        match Self::read(&mut cursor) {
            Some(envelope) if cursor.rest().is_empty() => Ok(envelope),
            Some(_) => Err(CodecError::Trailing { left: cursor.rest().len() }.into()),
            None => Err(damaged(body, cursor)),
        }
    }

    /// Its fields, in the order in which they are declared.
    #[inline]
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let peek = Peek::read(cursor)?;
        Some(Self {
            position: peek.position,
            stream: peek.stream,
            revision: peek.revision,
            type_name: peek.type_name,
            event_id: EventId(cursor.array()?),
            version: cursor.number_16()?,
            content: Content::read(cursor)?,
            recorded_at: Micros(cursor.number()?),
            correlation: cursor.text()?,
            causation: cursor.option(Causation::read)?,
            actor: Actor::read(cursor)?,
            batch_first: Position(cursor.number()?),
            batch_len: cursor.number_32()?,
            prev: Hash32(cursor.array()?),
            cause: cursor.option(Cause::read)?,
            metadata: cursor.bytes()?,
            payload: cursor.bytes()?,
        })
    }

    /// The position of the last event of its batch: state is defined there.
    #[must_use]
    pub const fn batch_last(&self) -> Position {
        Position(self.batch_first.0.saturating_add(self.batch_len as u64).saturating_sub(1))
    }
}

impl<'a> Peek<'a> {
    /// The first fields of `stored`; the rest is not looked at.
    ///
    /// # Errors
    /// When the version is unknown or these fields are malformed.
    pub fn decode(stored: &'a [u8]) -> Result<Self, EnvelopeError> {
        let body = body(stored)?;
        let mut cursor = Cursor::new(body);
        Self::read(&mut cursor).ok_or_else(|| damaged(body, cursor))
    }

    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        Some(Self {
            position: Position(cursor.number()?),
            stream: cursor.text()?,
            revision: Revision(cursor.number()?),
            type_name: cursor.text()?,
        })
    }

    /// The part of the stream's name before the first `-`, or all of it.
    #[must_use]
    pub fn category(&self) -> &'a str {
        category(self.stream)
    }
}

/// The part of a stream's name before the first `-`, or all of it.
#[must_use]
pub fn category(stream: &str) -> &str {
    stream.split_once('-').map_or(stream, |(category, _)| category)
}

fn body(stored: &[u8]) -> Result<&[u8], EnvelopeError> {
    match stored.split_first() {
        Some((&ENVELOPE_VERSION, body)) => Ok(body),
        Some((&version, _)) => Err(EnvelopeError::UnknownVersion(version)),
        None => Err(EnvelopeError::Empty),
    }
}

fn damaged(body: &[u8], at: Cursor<'_>) -> EnvelopeError {
    let read = body.len() - at.rest().len();
    CodecError::Malformed(format!("they make no sense at byte {} of {}", read + 1, body.len() + 1)).into()
}

/// The hash of a record, given its stored bytes.
#[must_use]
pub fn record_hash(stored: &[u8]) -> Hash32 {
    let mut hasher = Sha256::new();
    hasher.update([0_u8]);
    hasher.update(stored);
    Hash32(hasher.finalize().into())
}

/// What record 1 names as the record before it: the head hash of the empty log.
#[must_use]
pub fn genesis_hash(log: LogId) -> Hash32 {
    Hash32(Sha256::digest(log.0).into())
}

/// The name of a blob: SHA-256 of its bytes.
#[must_use]
pub fn blob_hash(bytes: &[u8]) -> Hash32 {
    Hash32(Sha256::digest(bytes).into())
}

/// The id of a native event: a UUID of version 8 made of SHA-256(log id ‖ stream ‖ revision). The stream stands between
/// two fields of fixed length, so no two triples share their bytes.
#[must_use]
pub fn native_event_id(log: LogId, stream: &str, revision: Revision) -> EventId {
    let mut hasher = Sha256::new();
    hasher.update(log.0);
    hasher.update(stream.as_bytes());
    hasher.update(revision.0.to_be_bytes());
    let digest: [u8; 32] = hasher.finalize().into();
    let mut id = [0_u8; 16];
    id.copy_from_slice(digest.split_at(16).0);
    EventId(*uuid::Builder::from_custom_bytes(id).as_uuid().as_bytes())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Envelope<'static> {
        Envelope {
            position: Position(7),
            stream: "span-10-3",
            revision: Revision(2),
            type_name: "ProofRequested",
            event_id: EventId([9; 16]),
            version: 1,
            content: Content::Native,
            recorded_at: Micros(1_700_000_000_000_000),
            correlation: "span-10-1",
            causation: Some(Causation {
                event_id: EventId([8; 16]),
                stream: "span-10-3",
                revision: Revision(1),
            }),
            actor: Actor::Operator("ann"),
            batch_first: Position(6),
            batch_len: 2,
            prev: Hash32([3; 32]),
            cause: Some(Cause { name: "WitnessReady", version: 1, bytes: b"input" }),
            metadata: b"meta",
            payload: b"payload",
        }
    }

    #[test]
    fn what_is_stored_comes_back_and_peeking_sees_the_same() {
        let stored = sample().encode();
        assert_eq!(stored[0], ENVELOPE_VERSION);
        assert_eq!(Envelope::decode(&stored).unwrap(), sample());
        let peek = Peek::decode(&stored).unwrap();
        assert_eq!((peek.position, peek.stream, peek.revision), (Position(7), "span-10-3", Revision(2)));
        assert_eq!((peek.type_name, peek.category()), ("ProofRequested", "span"));
        assert_eq!(sample().batch_last(), Position(7));
    }

    #[test]
    fn another_version_a_longer_record_and_an_empty_one_are_refused() {
        let mut stored = sample().encode();
        stored.push(0);
        assert!(matches!(
            Envelope::decode(&stored),
            Err(EnvelopeError::Malformed(CodecError::Trailing { left: 1 }))
        ));
        stored[0] = 2;
        assert_eq!(Envelope::decode(&stored), Err(EnvelopeError::UnknownVersion(2)));
        assert_eq!(Envelope::decode(&[]), Err(EnvelopeError::Empty));
    }

    #[test]
    fn native_ids_are_uuids_of_version_8_and_depend_on_all_three() {
        let id = native_event_id(LogId([1; 16]), "span-10-3", Revision(2));
        let uuid = uuid::Uuid::from_bytes(id.0);
        assert_eq!((uuid.get_version_num(), uuid.get_variant()), (8, uuid::Variant::RFC4122));
        assert_eq!(id, native_event_id(LogId([1; 16]), "span-10-3", Revision(2)));
        assert_ne!(id, native_event_id(LogId([2; 16]), "span-10-3", Revision(2)));
        assert_ne!(id, native_event_id(LogId([1; 16]), "span-10-4", Revision(2)));
        assert_ne!(id, native_event_id(LogId([1; 16]), "span-10-3", Revision(3)));
    }

    #[test]
    fn hashes_are_the_documented_ones() {
        // SHA-256 of one zero byte, as `printf '\0' | sha256sum` prints it.
        assert_eq!(
            record_hash(b"").to_string(),
            "0x6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        assert_eq!(genesis_hash(LogId([0; 16])), blob_hash(&[0; 16]));
    }

    proptest! {
        #[test]
        fn bincode_reads_the_same_from_damaged_records(
            spots in prop::collection::vec((0_usize..200, prop_oneof![any::<u8>(), 0_u8..6, 250_u8..]), 0..3),
            cut in 0_usize..400,
        ) {
            let mut stored = sample().encode();
            for (at, byte) in spots {
                let at = 1 + at % (stored.len() - 1);
                stored[at] = byte;
            }
            stored.truncate(cut.max(1));
            let whole = codec::borrow_decode::<Envelope<'_>>(&stored[1..]).ok();
            prop_assert_eq!(Envelope::decode(&stored).ok(), whole);
            prop_assert_eq!(Peek::decode(&stored).ok(), codec::borrow_decode_prefix(&stored[1..]));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut stored = vec![ENVELOPE_VERSION];
            stored.extend_from_slice(&bytes);
            let _ = Envelope::decode(&stored);
            let _ = Peek::decode(&stored);
        }

        #[test]
        fn one_flipped_bit_never_panics_and_changes_the_hash(at in 0_usize..200, bit in 0_u8..8) {
            let stored = sample().encode();
            let mut damaged = stored.clone();
            let at = at % damaged.len();
            damaged[at] ^= 1 << bit;
            prop_assert_ne!(record_hash(&stored), record_hash(&damaged));
            let _ = Envelope::decode(&damaged);
        }
    }
}
