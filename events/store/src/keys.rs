//! Keys of the column families. Numbers are big-endian, so that keys sort as numbers do.
//!
//! A stream's name stands behind its length, so that no name is the beginning of another one's keys. The layout is part
//! of the format: changing it is a new format.

use prooflog_events::ids::{Hash32, Position, Revision};
use prooflog_events::port::SnapshotKey;

/// Position to stored bytes.
pub(crate) const RECORDS: &str = "records";
/// Stream and revision to position.
pub(crate) const STREAMS: &str = "streams";
/// Bytes by their hash.
pub(crate) const BLOBS: &str = "blobs";
/// Identity and format.
pub(crate) const META: &str = "meta";
/// Disposable copies of projections.
pub(crate) const SNAPSHOTS: &str = "snapshots";

pub(crate) const META_FORMAT: &[u8] = b"format";
pub(crate) const META_LOG_ID: &[u8] = b"log-id";

/// Bytes of a revision at the end of an index key.
const REVISION_LEN: usize = 8;

pub(crate) fn record(position: Position) -> [u8; 8] {
    position.0.to_be_bytes()
}

pub(crate) fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// The common beginning of a stream's index keys. Names are at most 1,024 bytes, so two bytes hold the length.
pub(crate) fn stream_prefix(stream: &str) -> Vec<u8> {
    let len = u16::try_from(stream.len()).unwrap_or(u16::MAX);
    let mut key = Vec::with_capacity(2 + stream.len() + REVISION_LEN);
    key.extend_from_slice(&len.to_be_bytes());
    key.extend_from_slice(stream.as_bytes());
    key
}

pub(crate) fn stream(stream: &str, revision: Revision) -> Vec<u8> {
    let mut key = stream_prefix(stream);
    key.extend_from_slice(&revision.0.to_be_bytes());
    key
}

/// The first key behind all streams of a length that begin like this; none where no byte string comes after them.
pub(crate) fn behind(len: usize, beginning: &[u8]) -> Option<Vec<u8>> {
    let mut key = u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    key.extend_from_slice(beginning);
    while let Some(last) = key.pop() {
        if let Some(next) = last.checked_add(1) {
            key.push(next);
            return Some(key);
        }
    }
    None
}

/// Everything of an index key but the revision: what the bloom filters know. Total: it is called by the engine.
pub(crate) fn stream_of(key: &[u8]) -> &[u8] {
    key.split_at_checked(key.len().saturating_sub(REVISION_LEN)).map_or(key, |(stream, _)| stream)
}

pub(crate) fn has_stream(key: &[u8]) -> bool {
    key.len() > REVISION_LEN + 2
}

/// The stream and revision of an index key.
pub(crate) fn split_stream(key: &[u8]) -> Option<(&str, Revision)> {
    let (prefix, revision) = key.split_at_checked(key.len().checked_sub(REVISION_LEN)?)?;
    let (len, name) = prefix.split_at_checked(2)?;
    let len = usize::from(u16::from_be_bytes(len.try_into().ok()?));
    let name = (name.len() == len).then_some(name)?;
    Some((std::str::from_utf8(name).ok()?, Revision(number(revision)?)))
}

/// Length of a complete blob.
pub(crate) fn blob(hash: Hash32) -> Vec<u8> {
    tagged(b'b', hash)
}

/// Mark of a blob that no commit has named yet.
pub(crate) fn unnamed(hash: Hash32) -> Vec<u8> {
    tagged(b'u', hash)
}

/// The hash of an [`unnamed`] mark.
pub(crate) fn unnamed_hash(key: &[u8]) -> Option<Hash32> {
    let hash = key.strip_prefix(b"u")?;
    hash.try_into().ok().map(Hash32)
}

/// One piece of a blob.
pub(crate) fn piece(hash: Hash32, index: u32) -> Vec<u8> {
    let mut key = tagged(b'c', hash);
    key.extend_from_slice(&index.to_be_bytes());
    key
}

fn tagged(tag: u8, hash: Hash32) -> Vec<u8> {
    let mut key = Vec::with_capacity(37);
    key.push(tag);
    key.extend_from_slice(&hash.0);
    key
}

/// The common beginning of a projection's snapshots.
pub(crate) fn projection_prefix(projection: &str) -> Vec<u8> {
    let len = u16::try_from(projection.len()).unwrap_or(u16::MAX);
    let mut key = Vec::with_capacity(2 + projection.len() + 45);
    key.extend_from_slice(&len.to_be_bytes());
    key.extend_from_slice(projection.as_bytes());
    key
}

/// The common beginning of the snapshots of one fingerprint.
pub(crate) fn snapshot_prefix(key: &SnapshotKey) -> Vec<u8> {
    let mut bytes = projection_prefix(&key.projection);
    bytes.extend_from_slice(&key.fingerprint.0);
    bytes
}

/// The part of a snapshot that says that the others are whole. It stands behind them: whoever looks for the newest
/// snapshot comes from above, and meets a few bytes instead of a piece that would be read, and decompressed, for nothing.
pub(crate) const SNAPSHOT_HEADER: u32 = u32::MAX;

/// The key of a snapshot's part: its pieces count from 1, and [`SNAPSHOT_HEADER`] is the last.
pub(crate) fn snapshot_part(key: &SnapshotKey, position: Position, part: u32) -> Vec<u8> {
    let mut bytes = snapshot_prefix(key);
    bytes.extend_from_slice(&position.0.to_be_bytes());
    bytes.extend_from_slice(&part.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_index_key_says_its_stream_and_revision() {
        for (name, revision) in [("span-10-7", 0), ("a", u64::MAX), ("ü-1", 256)] {
            let key = stream(name, Revision(revision));
            assert_eq!(split_stream(&key), Some((name, Revision(revision))));
            assert_eq!(stream_of(&key), stream_prefix(name));
            assert!(has_stream(&key));
        }
        for wrong in [&b""[..], b"x", b"\0\x05ab\0\0\0\0\0\0\0\0"] {
            assert_eq!(split_stream(wrong), None);
        }
    }

    #[test]
    fn what_is_behind_a_beginning_is_behind_all_its_keys_and_before_the_next() {
        let behind = |len: usize, text: &str| behind(len, text.as_bytes()).unwrap();
        for name in ["span-10-7", "span-99-9"] {
            assert!(stream(name, Revision(u64::MAX)) < behind(name.len(), "span-"));
        }
        assert!(behind(9, "span-") <= stream("spanner-1", Revision(0)));
        assert!(behind(5, "alert") > stream("alert", Revision(u64::MAX)));
        assert!(behind(5, "alert") <= stream("alesp", Revision(0)));
        assert_eq!(super::behind(usize::from(u16::MAX), &[0xff, 0xff]), None);
    }

    #[test]
    fn revisions_sort_as_numbers_and_streams_do_not_mix() {
        assert!(stream("s", Revision(255)) < stream("s", Revision(256)));
        // "a" with a revision that looks like text is not among the keys of "ab".
        let inside = stream("a", Revision(u64::from_be_bytes(*b"b\0\0\0\0\0\0\0")));
        assert!(!inside.starts_with(&stream_prefix("ab")));
    }
}
