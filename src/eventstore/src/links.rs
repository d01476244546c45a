//! Where the events of a category, of a type, and the first ones of all streams stand.
//!
//! [`LinkIndex`] is what computed link streams need: how many links there are, and where to look for one. The one in
//! here is kept in memory: for each name and each block of 1,024 positions that holds one of its events, how many came
//! before. It is built when a link stream is first asked for, by one scan of the log (about a second for each million
//! events), and then follows before each use. It costs about 16 bytes for each pair of a name and a block, a few
//! megabytes for ten million events of ours. A crash loses it, and nothing with it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use prooflog_events::envelope::{Peek, category};
use prooflog_events::ids::{Position, Revision};
use prooflog_events::port::{Direction, Head, SequenceError, SequenceRead};

use crate::lock;
use crate::names::LinkStream;

/// Positions in one block.
const BLOCK: u64 = 1_024;
/// Positions that are taken in at a time.
const PIECE: u64 = 16_384;
/// Names that are kept: outside writers choose types, and memory is finite.
const NAMES_MAX: usize = 65_536;

/// Where to look for a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The first position that may hold it.
    pub low: Position,
    /// The last position that may hold it.
    pub high: Position,
    /// Revision of the first link at or above `low`.
    pub revision: Revision,
}

/// An index of link streams.
pub trait LinkIndex: Send + Sync + 'static {
    /// Takes in everything up to `head`.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn catch_up(&self, records: &dyn SequenceRead, head: Head) -> Result<(), SequenceError>;

    /// How many links there are; `None` if that is not known, because there are too many names.
    fn count(&self, of: &LinkStream) -> Option<u64>;

    /// Where the link with this revision is to be found; `None` if there is none yet.
    fn find(&self, of: &LinkStream, revision: Revision) -> Option<Place>;
}

/// The index in memory.
#[derive(Debug, Default)]
pub struct MemoryIndex(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    through: Position,
    categories: HashMap<Box<str>, Counts>,
    types: HashMap<Box<str>, Counts>,
    streams: Counts,
    /// Some name was left out.
    full: bool,
}

#[derive(Debug, Default)]
struct Counts {
    total: u64,
    /// Blocks that hold a link, each with how many came before it.
    blocks: Vec<(u64, u64)>,
}

impl Counts {
    fn add(&mut self, block: u64) {
        if self.blocks.last().is_none_or(|(last, _)| *last != block) {
            self.blocks.push((block, self.total));
        }
        self.total += 1;
    }
}

impl Counted {
    fn add(&mut self, event: &Peek<'_>) {
        self.through = event.position;
        if event.stream.starts_with('$') {
            return;
        }
        let block = event.position.0 / BLOCK;
        let room = self.categories.len() + self.types.len() < NAMES_MAX;
        if event.stream.contains('-') {
            self.full |= !count(&mut self.categories, category(event.stream), block, room);
        }
        self.full |= !count(&mut self.types, event.type_name, block, room);
        if event.revision.0 == 0 {
            self.streams.add(block);
        }
    }

    fn take_in(
        &mut self,
        records: &dyn SequenceRead,
        from: Position,
        to: Position,
    ) -> Result<(), SequenceError> {
        let mut damage = None;
        records.scan(from, to, Direction::Forward, &mut |position, stored| match Peek::decode(stored) {
            Ok(event) => {
                self.add(&event);
                ControlFlow::Continue(())
            }
            Err(error) => {
                damage = Some(SequenceError::damaged(position, error.to_string()));
                ControlFlow::Break(())
            }
        })?;
        damage.map_or(Ok(()), Err)
    }

    fn of(&self, of: &LinkStream) -> Option<&Counts> {
        match of {
            LinkStream::Category(category) => self.categories.get(category.as_str()),
            LinkStream::Type(kind) => self.types.get(kind.as_str()),
            LinkStream::Streams => Some(&self.streams),
        }
    }
}

/// Counts one event under a name; `false` if there is no room for the name.
fn count(names: &mut HashMap<Box<str>, Counts>, name: &str, block: u64, room: bool) -> bool {
    if let Some(counts) = names.get_mut(name) {
        counts.add(block);
        return true;
    }
    if room {
        names.entry(name.into()).or_default().add(block);
    }
    room
}

impl LinkIndex for MemoryIndex {
    fn catch_up(&self, records: &dyn SequenceRead, head: Head) -> Result<(), SequenceError> {
        // Piece by piece, so that whoever asks meanwhile waits for one piece and not for the log.
        loop {
            let mut counted = lock(&self.0);
            let from = counted.through.next();
            if from > head.position {
                return Ok(());
            }
            let to = Position(from.0.saturating_add(PIECE)).min(head.position);
            counted.take_in(records, from, to)?;
        }
    }

    fn count(&self, of: &LinkStream) -> Option<u64> {
        let counted = lock(&self.0);
        match counted.of(of) {
            Some(counts) => Some(counts.total),
            None => (!counted.full).then_some(0),
        }
    }

    fn find(&self, of: &LinkStream, revision: Revision) -> Option<Place> {
        let counted = lock(&self.0);
        let counts = counted.of(of).filter(|counts| revision.0 < counts.total)?;
        let at = counts.blocks.partition_point(|(_, before)| *before <= revision.0).checked_sub(1)?;
        let (block, before) = *counts.blocks.get(at)?;
        let low = block.saturating_mul(BLOCK);
        Some(Place {
            low: Position(low.max(1)),
            high: Position(low.saturating_add(BLOCK - 1)).min(counted.through),
            revision: Revision(before),
        })
    }
}

/// The index of a server, which several calls may want to follow at once.
#[derive(Clone)]
pub(crate) struct SharedIndex {
    index: Arc<dyn LinkIndex>,
    /// One call follows, the others wait without holding a thread.
    following: Arc<tokio::sync::Mutex<()>>,
}

impl SharedIndex {
    pub(crate) fn new(index: Arc<dyn LinkIndex>) -> Self {
        Self { index, following: Arc::default() }
    }

    pub(crate) fn index(&self) -> &dyn LinkIndex {
        &*self.index
    }

    /// The right to follow, to be held while [`LinkIndex::catch_up`] runs.
    pub(crate) async fn turn(&self) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(&self.following).lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::filter::is_linked;
    use proptest::prelude::*;

    proptest! {
        /// Small blocks would be found by luck; three thousand events are three blocks.
        #[test]
        fn every_link_is_found_in_its_block(kinds in proptest::collection::vec(0..40_u8, 1..3_000)) {
            let mut counted = Counted::default();
            let mut revisions = HashMap::<String, u64>::new();
            let mut events = Vec::new();
            for (position, kind) in (1..).zip(&kinds) {
                let stream = format!("c{}-{}", kind % 3, kind % 7);
                let revision = revisions.entry(stream.clone()).or_default();
                events.push((Position(position), stream, Revision(*revision), format!("T{kind}")));
                *revision += 1;
            }
            let peeks = events.iter().map(|(position, stream, revision, type_name)| Peek {
                position: *position, stream, revision: *revision, type_name,
            });
            let peeks: Vec<Peek<'_>> = peeks.collect();
            peeks.iter().for_each(|event| counted.add(event));
            let index = MemoryIndex(Mutex::new(counted));
            for of in [
                LinkStream::Category("c1".to_owned()),
                LinkStream::Type("T7".to_owned()),
                LinkStream::Streams,
            ] {
                let all: Vec<_> = peeks.iter().filter(|event| is_linked(&of, event)).collect();
                prop_assert_eq!(index.count(&of), Some(all.len() as u64));
                prop_assert_eq!(index.find(&of, Revision(all.len() as u64)), None);
                for (revision, event) in (0..).zip(&all) {
                    let place = index.find(&of, Revision(revision)).unwrap();
                    let inside = all.iter().filter(|e| place.low <= e.position && e.position <= place.high);
                    let nth = usize::try_from(revision - place.revision.0).unwrap();
                    prop_assert_eq!(inside.clone().nth(nth).unwrap().position, event.position);
                }
            }
        }
    }
}
