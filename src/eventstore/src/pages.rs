//! Reading the log in pages, on threads that may wait for the disk.
//!
//! A page is bounded in events, in bytes and in events considered, so no filter keeps a thread. Room for a page is taken
//! before it is read, out of what all readers may hold together; the next page of a read is read ahead only when its
//! reader took half of the last one, and there is room. How many pages are read at once is limited: those who wait hold
//! nothing. What a crash means: nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prooflog_events::ids::{Micros, Position, Revision};
use prooflog_events::port::{Direction, Head};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::building::Building;
use crate::error::Refusal;
use crate::filter::Wanted;
use crate::held::{Place, Pool, Share, kib};
use crate::limits::{PAGE_BYTES_MOST, PAGE_RECORDS};
use crate::links::SharedIndex;
use crate::names::LinkStream;
use crate::show::{IdForm, Links};
use crate::source::Source;

/// What is read.
#[derive(Debug, Clone)]
pub(crate) enum View {
    /// The whole log.
    All(Wanted),
    /// One stream, as far as its metadata show it.
    Stream { name: String, low: Revision, since: Micros },
    /// A computed stream of links.
    Links(LinkStream),
}

/// What is read, and how it is shown.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) view: View,
    pub(crate) direction: Direction,
    pub(crate) ids: IdForm,
    pub(crate) links: Links,
    /// Events considered between two checkpoints, where they are wanted.
    pub(crate) window: Option<u64>,
    /// Whose room the answers take.
    pub(crate) share: Share,
}

/// Where a read goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The next position to be considered.
    pub(crate) position: Position,
    /// The next revision to be shown, in a stream and in a stream of links.
    pub(crate) revision: Revision,
    /// Events considered since the last checkpoint.
    pub(crate) considered: u64,
}

impl Cursor {
    /// The beginning of everything.
    pub(crate) const START: Self = Self { position: Position(1), revision: Revision(0), considered: 0 };

    /// One place of the whole log.
    pub(crate) const fn at_position(position: Position) -> Self {
        Self { position, ..Self::START }
    }

    /// One place of a stream.
    pub(crate) const fn at_revision(revision: u64) -> Self {
        Self { revision: Revision(revision), ..Self::START }
    }
}

/// One answer.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Event {
        frame: Bytes,
        /// It ends its stream for ever.
        last: bool,
    },
    /// Everything up to here was considered.
    Checkpoint(Position),
}

/// Some answers.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) items: Vec<Item>,
    /// What the answers take.
    pub(crate) bytes: usize,
    /// Where the next page begins. At the end, forwards: where what comes later begins.
    pub(crate) next: Cursor,
    /// Whether there is a next page.
    pub(crate) more: bool,
}

/// Reads pages.
pub(crate) struct Pages {
    source: Arc<dyn Source>,
    index: SharedIndex,
    reads: Arc<Semaphore>,
    /// Bytes of pages that are read and not taken.
    held: Pool,
}

impl Pages {
    /// At most `reads` at once, and pages of at most `held_bytes` for all readers; the largest page always has room.
    pub(crate) fn new(
        source: Arc<dyn Source>,
        index: SharedIndex,
        (reads, held_bytes): (usize, usize),
    ) -> Self {
        let held = Pool::of_bytes(held_bytes.max(2 * PAGE_BYTES_MOST));
        Self { source, index, reads: Arc::new(Semaphore::new(reads.max(1))), held }
    }

    /// Room for one page, when there is some.
    pub(crate) async fn room(&self, share: Share) -> Result<Place, Refusal> {
        let room = self.held.take(share, kib(PAGE_BYTES_MOST)).await;
        room.ok_or_else(|| Refusal::Unavailable("the read was given up".to_owned()))
    }

    /// Room for one page, if there is some.
    pub(crate) fn room_now(&self, share: Share) -> Option<Place> {
        self.held.try_take(share, kib(PAGE_BYTES_MOST))
    }

    /// Room for one answer, if there is some.
    pub(crate) fn room_of(&self, bytes: usize) -> Option<Place> {
        self.held.try_take(Share::Known, kib(bytes))
    }

    pub(crate) fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// Runs `read` where it may wait for the disk.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Source) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let closed = || Refusal::Unavailable("the read was given up".to_owned());
        let permit = Arc::clone(&self.reads).acquire_owned().await.map_err(|_| closed())?;
        let source = Arc::clone(&self.source);
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            read(&*source)
        });
        done.await.map_err(|_| closed())?
    }

    /// How many links there are, everything up to the head taken in; and that head.
    pub(crate) async fn count_links(&self, of: LinkStream) -> Result<(u64, Head), Refusal> {
        let turn = self.index.turn().await;
        let index = self.index.clone();
        self.run(move |source| {
            let _turn = turn;
            let head = source.head()?;
            index.index().catch_up(source.records(), head)?;
            let count = index.index().count(&of);
            count.map(|count| (count, head)).ok_or_else(|| {
                Refusal::Unavailable("there are more names than the index of link streams keeps".to_owned())
            })
        })
        .await
    }

    /// The page at `cursor`, with nothing above `bound` and at most `limit` events, in the room taken for it.
    pub(crate) async fn page(
        &self,
        asked: &Arc<Asked>,
        cursor: Cursor,
        (bound, limit): (Position, u64),
        mut room: Place,
    ) -> Result<Placed, Refusal> {
        let limit = usize::try_from(limit).unwrap_or(PAGE_RECORDS).min(PAGE_RECORDS);
        let (asked, index) = (Arc::clone(asked), self.index.clone());
        self.run(move |source| {
            let page = Building::new(&asked, source.records(), (bound, limit)).page(cursor, index.index())?;
            room.keep_bytes(page.bytes);
            Ok((page, Arc::new(room)))
        })
        .await
    }
}

/// A page, and the room that it takes.
type Placed = (Page, Arc<Place>);

/// The pages of one read.
pub(crate) struct Pager {
    pages: Arc<Pages>,
    asked: Arc<Asked>,
    bound: Position,
    next: Option<Cursor>,
    left: u64,
    ahead: Option<JoinHandle<Result<Placed, Refusal>>>,
    /// How long a page may wait for room.
    patience: Duration,
}

impl Pager {
    /// Reads at most `count` events from `from` on, nothing above `bound`. A page may wait for room for `patience`.
    pub(crate) fn new(
        pages: Arc<Pages>,
        asked: Asked,
        from: (Option<Cursor>, Position),
        count: u64,
        patience: Duration,
    ) -> Self {
        let (next, bound) = from;
        Self { pages, asked: Arc::new(asked), bound, next, left: count, ahead: None, patience }
    }

    fn goes_on(&self) -> Option<Cursor> {
        self.next.filter(|_| self.left > 0)
    }

    /// The next page, and the room that it takes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Placed>, Refusal> {
        let (page, room) = match (self.ahead.take(), self.goes_on()) {
            (Some(ahead), _) => ahead
                .await
                .unwrap_or_else(|_| Err(Refusal::Unavailable("the read was given up".to_owned())))?,
            (None, Some(cursor)) => {
                let room = tokio::time::timeout(self.patience, self.pages.room(self.asked.share)).await;
                let full = |_| Refusal::Unavailable("the server holds too much that is not taken".to_owned());
                let room = room.map_err(full)??;
                self.pages.page(&self.asked, cursor, (self.bound, self.left), room).await?
            }
            (None, None) => return Ok(None),
        };
        self.left = self.left.saturating_sub(page.items.len() as u64);
        self.next = page.more.then_some(page.next);
        Ok(Some((page, room)))
    }

    /// Begins to read the next page, if there is room for it now.
    pub(crate) fn read_ahead(&mut self) {
        let Some(cursor) = self.goes_on().filter(|_| self.ahead.is_none()) else { return };
        let room = self.pages.held.try_take(self.asked.share, kib(PAGE_BYTES_MOST));
        self.ahead = room.map(|room| {
            let (pages, asked, to) =
                (Arc::clone(&self.pages), Arc::clone(&self.asked), (self.bound, self.left));
            tokio::spawn(async move { pages.page(&asked, cursor, to, room).await })
        });
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        if let Some(ahead) = &self.ahead {
            ahead.abort();
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use prooflog_events::envelope::Content;
    use prooflog_events::ids::{EventId, LogId, Micros};
    use prooflog_log::{Append, By, Log, MemorySequence, NewRecord};

    use super::*;
    use crate::links::MemoryIndex;
    use crate::source::Here;

    const EVENTS: u128 = 8;

    /// Events of almost a megabyte each.
    fn large(held_bytes: usize) -> Arc<Pages> {
        let log = Arc::new(Log::open(MemorySequence::new(LogId([7; 16]))).unwrap());
        for n in 1..=EVENTS {
            let id = EventId(n.to_be_bytes());
            let record = NewRecord::foreign("notes-1", id, "A", Content::Octets, vec![7; 1_000_000]);
            log.append(Append::new(By::Client("ann".to_owned()), Micros(1), vec![record])).unwrap();
        }
        let index = SharedIndex::new(Arc::new(MemoryIndex::default()));
        Arc::new(Pages::new(Arc::new(Here::new(log)), index, (2, held_bytes)))
    }

    fn pager(pages: &Arc<Pages>, share: Share) -> Pager {
        let asked = Asked {
            view: View::All(Wanted::Everything),
            direction: Direction::Forward,
            ids: IdForm::Text,
            links: Links::Plain,
            window: None,
            share,
        };
        let from = (Some(Cursor::START), Position(8));
        Pager::new(Arc::clone(pages), asked, from, u64::MAX, Duration::from_secs(600))
    }

    #[tokio::test]
    async fn many_readers_of_large_events_hold_what_all_of_them_may_and_each_gets_its_turn() {
        let pages = large(8 << 20);
        let all = pages.held.left();
        let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
        for n in 0..40 {
            let mut pager = pager(&pages, if n % 2 == 0 { Share::Guests } else { Share::Known });
            let send = send.clone();
            tokio::spawn(async move {
                let page = pager.next().await.unwrap().unwrap();
                pager.read_ahead();
                drop(send.send((page, pager)));
            });
        }
        // Whoever got a page keeps it until nothing comes any more: then the room is used up.
        let mut held = std::collections::VecDeque::new();
        let (mut most, mut seen) = (0, 0);
        while seen < 40 {
            let more = tokio::time::timeout(Duration::from_millis(50), receive.recv()).await;
            match more {
                Ok(reader) => {
                    held.push_back(reader.unwrap());
                    seen += 1;
                }
                Err(_) => drop(held.pop_front().expect("nobody holds anything, and nobody gets anything")),
            }
            let bytes = held.iter().map(|((page, _), _)| page.bytes).sum::<usize>();
            most = most.max(bytes);
            assert!(bytes <= 8 << 20, "{bytes} bytes are held");
        }
        assert!(most > 3 << 20, "there was room for more than {most}");
        drop(held);
        while pages.held.left() < all {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_guests_hold_leaves_room_for_the_others() {
        let pages = large(16 << 20);
        let mut held = Vec::new();
        while let Some(room) = pages.held.try_take(Share::Guests, 512) {
            held.push(room);
        }
        let mut guest = pager(&pages, Share::Guests);
        guest.patience = Duration::from_millis(1);
        assert!(matches!(guest.next().await, Err(Refusal::Unavailable(_))));
        let mut known = pager(&pages, Share::Known);
        let (page, room) = known.next().await.unwrap().unwrap();
        assert_eq!(page.items.len(), 1);
        drop((page, room));
        assert_eq!(pages.held.left(), 4 << 10, "a quarter");
    }
}
