//! Reading the log in pages, on threads that may wait for the disk.
//!
//! A page is bounded in events, in bytes and in events considered, so a reader holds one or two pages and no filter
//! keeps a thread. How many pages are read at once is limited: those who wait hold nothing. What a crash means: nothing.

use std::sync::Arc;

use bytes::Bytes;
use prooflog_events::ids::{Micros, Position, Revision};
use prooflog_events::port::{Direction, Head};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::building::Building;
use crate::error::Refusal;
use crate::filter::Wanted;
use crate::limits::PAGE_RECORDS;
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
}

impl Pages {
    pub(crate) fn new(source: Arc<dyn Source>, index: SharedIndex, reads: usize) -> Self {
        Self { source, index, reads: Arc::new(Semaphore::new(reads.max(1))) }
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

    /// The page at `cursor`, with nothing above `bound` and at most `limit` events.
    pub(crate) async fn page(
        &self,
        asked: &Arc<Asked>,
        cursor: Cursor,
        bound: Position,
        limit: u64,
    ) -> Result<Page, Refusal> {
        let limit = usize::try_from(limit).unwrap_or(PAGE_RECORDS).min(PAGE_RECORDS);
        let (asked, index) = (Arc::clone(asked), self.index.clone());
        self.run(move |source| {
            Building::new(&asked, source.records(), (bound, limit)).page(cursor, index.index())
        })
        .await
    }
}

/// The pages of one read, the next one being read while the last one is sent.
pub(crate) struct Pager {
    pages: Arc<Pages>,
    asked: Arc<Asked>,
    bound: Position,
    next: Option<Cursor>,
    left: u64,
    ahead: Option<JoinHandle<Result<Page, Refusal>>>,
}

impl Pager {
    /// Reads at most `count` events from `from` on, nothing above `bound`.
    pub(crate) fn new(pages: Arc<Pages>, asked: Asked, from: (Option<Cursor>, Position), count: u64) -> Self {
        let (next, bound) = from;
        Self { pages, asked: Arc::new(asked), bound, next, left: count, ahead: None }
    }

    /// The next page; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Page>, Refusal> {
        let page = match self.ahead.take() {
            Some(ahead) => ahead
                .await
                .unwrap_or_else(|_| Err(Refusal::Unavailable("the read was given up".to_owned())))?,
            None => match self.next.filter(|_| self.left > 0) {
                Some(cursor) => self.pages.page(&self.asked, cursor, self.bound, self.left).await?,
                None => return Ok(None),
            },
        };
        self.left = self.left.saturating_sub(page.items.len() as u64);
        self.next = page.more.then_some(page.next);
        if let Some(cursor) = self.next.filter(|_| self.left > 0) {
            let (pages, asked, bound, left) =
                (Arc::clone(&self.pages), Arc::clone(&self.asked), self.bound, self.left);
            self.ahead = Some(tokio::spawn(async move { pages.page(&asked, cursor, bound, left).await }));
        }
        Ok(Some(page))
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        if let Some(ahead) = &self.ahead {
            ahead.abort();
        }
    }
}
