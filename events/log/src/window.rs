//! The event ids of the last records, by stream: what makes a repeated append give its first answer again.
//!
//! Bounded; rebuilt at open from the newest records. Content is remembered as a keyed 64-bit digest, whose key no
//! client can know, so that an id with other content is told apart without reading the record again.

use std::collections::hash_map::Entry;
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

type Key = (EventId, Arc<str>);

/// The last ids.
#[derive(Debug, Default)]
pub(crate) struct Window {
    known: HashMap<Key, Known, Quick>,
    order: VecDeque<(Key, Position)>,
    digests: RandomState,
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

    /// Notes an id; the oldest is forgotten when there are too many.
    pub(crate) fn insert(&mut self, id: EventId, stream: Arc<str>, known: Known) {
        let key = (id, stream);
        self.order.push_back((key.clone(), known.position));
        self.known.insert(key, known);
        if self.order.len() > IDEMPOTENCE_WINDOW
            && let Some((key, position)) = self.order.pop_front()
            && let Entry::Occupied(oldest) = self.known.entry(key)
            && oldest.get().position == position
        {
            oldest.remove();
        }
    }

    /// Where the newest event with this id stands in this stream.
    pub(crate) fn get(&self, id: EventId, stream: &Arc<str>) -> Option<Known> {
        self.known.get(&(id, Arc::clone(stream))).copied()
    }
}
