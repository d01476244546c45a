//! The event ids of the last records, by stream: what makes a repeated append give its first answer again.
//!
//! Bounded; rebuilt at open from the newest records. Content is remembered as a keyed 64-bit digest, whose key no
//! client can know, so that an id with other content is told apart without reading the record again.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use foldhash::quality::RandomState as Quick;
use prooflog_events::ids::{EventId, Position, Revision};
use prooflog_events::limits::IDEMPOTENCE_WINDOW;

/// Where an id stands and what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) revision: Revision,
    pub(crate) position: Position,
    pub(crate) content: u64,
}

/// What makes two events the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ContentOf<'a> {
    pub(crate) type_name: &'a str,
    pub(crate) version: u16,
    pub(crate) kind: prooflog_events::envelope::Content,
    pub(crate) metadata: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// The last ids. Those of a log's newest records, one for each, so their place follows from their position; what finds
/// them is small enough to stay in the cache of a processor.
#[derive(Debug, Default)]
pub(crate) struct Window {
    last: VecDeque<Entry>,
    /// Position of the newest event with this digest of id and stream.
    newest: HashMap<u64, Position, Quick>,
    digests: RandomState,
}

#[derive(Debug)]
struct Entry {
    id: EventId,
    stream: Arc<str>,
    /// Digest of both.
    key: u64,
    known: Known,
}

impl Window {
    /// Digest of what an event says.
    pub(crate) fn digest(&self, content: ContentOf<'_>) -> u64 {
        let mut hasher = self.digests.build_hasher();
        hasher.write_u16(content.version);
        hasher.write_u8(content.kind as u8);
        hasher.write_usize(content.type_name.len());
        hasher.write(content.type_name.as_bytes());
        hasher.write_usize(content.metadata.len());
        hasher.write(content.metadata);
        hasher.write(content.payload);
        hasher.finish()
    }

    fn key(&self, id: EventId, stream: &str) -> u64 {
        self.newest.hasher().hash_one((id, stream))
    }

    /// Notes the id of the record behind the one noted before; the oldest is forgotten when there are too many.
    pub(crate) fn insert(&mut self, id: EventId, stream: Arc<str>, known: Known) {
        let key = self.key(id, &stream);
        self.last.push_back(Entry { id, stream, key, known });
        self.newest.insert(key, known.position);
        if self.last.len() > IDEMPOTENCE_WINDOW
            && let Some(oldest) = self.last.pop_front()
            && self.newest.get(&oldest.key) == Some(&oldest.known.position)
        {
            self.newest.remove(&oldest.key);
        }
    }

    /// Where the newest event with this id stands in this stream.
    pub(crate) fn get(&self, id: EventId, stream: &str) -> Option<Known> {
        let position = self.newest.get(&self.key(id, stream))?;
        let first = self.last.front()?.known.position;
        let place = usize::try_from(position.0.checked_sub(first.0)?).ok()?;
        let found = self.last.get(place)?;
        // Two that share a digest are told apart: the older is then forgotten early, and nothing is answered wrongly.
        (found.id == id && *found.stream == *stream).then_some(found.known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_an_id_is_known_until_so_many_came_after_it() {
        let mut window = Window::default();
        let id = |n: u64| EventId([n.to_be_bytes(), [0; 8]].concat().try_into().unwrap_or_default());
        let known = |n: u64| Known { revision: Revision(n), position: Position(n), content: n };
        let (here, there): (Arc<str>, Arc<str>) = ("here".into(), "there".into());
        // A log that was read from its middle on.
        let first = 1_000;
        window.insert(id(0), Arc::clone(&here), known(first));
        window.insert(id(1), Arc::clone(&here), known(first + 1));
        window.insert(id(1), Arc::clone(&there), known(first + 2));
        window.insert(id(0), Arc::clone(&here), known(first + 3));
        let last = first + IDEMPOTENCE_WINDOW as u64;
        for n in first + 4..last {
            window.insert(id(n), Arc::clone(&here), known(n));
        }
        assert_eq!(window.get(id(0), "here"), Some(known(first + 3)));
        assert_eq!(window.get(id(1), "here"), Some(known(first + 1)));
        // The older of two with one id goes, and the newer stays.
        window.insert(id(last), Arc::clone(&here), known(last));
        assert_eq!(window.get(id(0), "here"), Some(known(first + 3)));
        window.insert(id(last + 1), Arc::clone(&here), known(last + 1));
        assert_eq!(window.get(id(1), "here"), None);
        assert_eq!(window.get(id(1), "there"), Some(known(first + 2)));
        assert_eq!(window.get(id(0), "there"), None);
        assert_eq!(window.newest.len(), window.last.len());
    }
}
