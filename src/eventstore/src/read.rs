//! The Read call: what is there, or everything that comes.
//!
//! What is known to be wrong at once (a deleted stream, a filter that cannot be used) is the answer to the call itself;
//! a missing stream is a message, because that is how clients know it. A read ends at the head that it found, a
//! subscription never. What a crash means: the reader asks again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use prooflog_events::ids::{Micros, Position, Revision};
use prooflog_events::port::Direction;
use tokio::sync::watch;
use tonic::Status;

use crate::error::{Refusal, identifier, stopping};
use crate::facts::{self, Facts};
use crate::filter::Wanted;
use crate::held::{Answers, Place, Sent, Share, Taken};
use crate::limits::GROUP_WINDOW;
use crate::names::LinkStream;
use crate::pages::{Asked, Cursor, Item, Page, Pager, Pages, View};
use crate::request::{From, Request, Target, Until};
use crate::show::{self, IdForm, Links};
use crate::source::Source;
use crate::subscription::{self, Begin, Ground};
use crate::tail::Tail;
use crate::wire::streams::ReadReq;
use crate::wire::streams::read_resp::{Content, StreamNotFound};

/// What reading needs.
pub(crate) struct Reading {
    pub(crate) pages: Arc<Pages>,
    pub(crate) tail: Arc<Tail>,
    pub(crate) clock: fn() -> Micros,
    pub(crate) stop: watch::Receiver<bool>,
    /// How long nobody may take from a read that ends.
    pub(crate) stall: Duration,
}

/// A read about to begin.
struct Prepared {
    view: View,
    window: Option<u64>,
    /// Where it begins; nowhere if there is nothing to be read.
    cursor: Option<Cursor>,
    /// Nothing above is shown.
    bound: Position,
    /// First and last revision of the stream that can be read, and the one that was asked for.
    ends: Option<(u64, u64)>,
    /// The stream does not exist.
    missing: bool,
}

impl Reading {
    /// Answers one call. `permit` is given back when its answers end.
    pub(crate) async fn read(
        &self,
        request: ReadReq,
        (permit, share): (Place, Share),
    ) -> Result<Taken, Status> {
        let request = Request::parse(request)?;
        let prepared = self.prepare(&request).await?;
        let asked = Asked {
            view: prepared.view.clone(),
            direction: request.direction,
            ids: request.ids,
            links: request.links,
            window: prepared.window,
            share,
        };
        let answers = match request.until {
            Until::Followed => {
                let at_end = request.from == From::End;
                let begin = Begin { cursor: prepared.cursor.unwrap_or(Cursor::START), at_end };
                subscription::follow(self.ground(), asked, begin).boxed()
            }
            Until::Count(_) if prepared.missing => {
                let Target::Stream(name) = &request.target else { return Err(Status::internal("no stream")) };
                let stream_identifier = Some(identifier(name));
                let answer = Content::StreamNotFound(StreamNotFound { stream_identifier });
                stream::iter([Ok(small(answer))]).boxed()
            }
            Until::Count(count) => self.counted(&request, asked, (prepared, count)).await?,
        };
        let answers = answers
            .map(move |answer| {
                let _held = &permit;
                answer
            })
            .boxed();
        Ok(match request.until {
            Until::Followed => Taken::patiently(answers),
            Until::Count(_) => Taken::within(answers, self.stall),
        })
    }

    /// Everything of `target` from `next` on, for the consumers of a group, and how one event of it is read again.
    pub(crate) async fn follow_from(
        &self,
        target: Target,
        next: u64,
        links: Links,
    ) -> Result<(Answers, Arc<Asked>), Refusal> {
        let from = next.checked_sub(1).map_or(From::Start, From::At);
        let until = Until::Followed;
        let (direction, ids) = (Direction::Forward, IdForm::Text);
        let request = Request { target, from, direction, until, ids, links, tells_ends: false };
        let Prepared { view, window, cursor, .. } = self.prepare(&request).await?;
        let (view, window) = match view {
            View::All(wanted) => {
                let window = window.unwrap_or_default().max(GROUP_WINDOW);
                (View::All(Wanted::NotOfGroups(Arc::new(wanted))), Some(window))
            }
            view => (view, None),
        };
        let asked = Asked { view, direction, ids, links, window, share: Share::Known };
        let begin = Begin { cursor: cursor.unwrap_or(Cursor::START), at_end: false };
        let one = Arc::new(Asked { window: None, ..asked.clone() });
        Ok((subscription::follow(self.ground(), asked, begin).boxed(), one))
    }

    /// The first event that is shown at `cursor` and after.
    pub(crate) async fn one(&self, asked: &Arc<Asked>, cursor: Cursor) -> Result<Option<Sent>, Refusal> {
        let head = self.pages.run(|source| Ok(source.head()?)).await?.position;
        let room = self.pages.room(asked.share).await?;
        let (page, room) = self.pages.page(asked, cursor, (head, 1), room).await?;
        Ok(page.items.into_iter().find_map(|item| match item {
            Item::Event { frame, .. } => Some(Sent { frame, held: Some(Arc::clone(&room)) }),
            Item::Checkpoint(_) => None,
        }))
    }

    /// The position that the log goes on with.
    pub(crate) async fn end_of_all(&self) -> Result<u64, Refusal> {
        Ok(self.pages.run(|source| Ok(source.head()?)).await?.position.next().0)
    }

    /// The revision that a stream goes on with.
    pub(crate) async fn end_of(&self, name: String) -> Result<u64, Refusal> {
        if let Some(of) = LinkStream::parse(&name) {
            return Ok(self.pages.count_links(of).await?.0);
        }
        let look = move |source: &dyn Source| {
            let last = facts::last_revision(source.records(), &name, source.head()?.position)?;
            Ok(last.map_or(0, |last| last.saturating_add(1)))
        };
        self.pages.run(look).await
    }

    fn ground(&self) -> Ground {
        Ground {
            pages: Arc::clone(&self.pages),
            tail: Arc::clone(&self.tail),
            clock: self.clock,
            stop: self.stop.clone(),
        }
    }

    /// The answers of a read that ends. Its first page is read before the call is answered.
    async fn counted(
        &self,
        request: &Request,
        asked: Asked,
        what: (Prepared, u64),
    ) -> Result<Answers, Refusal> {
        let (prepared, count) = what;
        // Checkpoints are for subscriptions.
        let asked = Asked { window: None, ..asked };
        let from = (prepared.cursor, prepared.bound);
        let mut pager = Pager::new(Arc::clone(&self.pages), asked, from, count, self.stall);
        let first = pager.next().await?;
        let mut before = Vec::new();
        let mut after = Vec::new();
        if let (true, Some((low, last))) = (request.tells_ends, prepared.ends) {
            let is_empty = first.as_ref().is_none_or(|(page, _)| page.items.is_empty());
            let differs = request.from != From::At(low) && request.from != From::Start;
            if is_empty && differs && request.direction == Direction::Forward {
                before.push(Ok(small(Content::FirstStreamPosition(low))));
            }
            after.push(Ok(small(Content::LastStreamPosition(last))));
        }
        let stop = self.stop.clone();
        let pages = stream::unfold(Some((first.map(halves), pager)), move |state| {
            let mut stop = stop.clone();
            async move {
                let (had, mut pager) = state?;
                let next = match had {
                    // Its first half was taken.
                    Some((None, rest)) => {
                        pager.read_ahead();
                        return Some((rest, Some((None, pager))));
                    }
                    Some(halves) => Ok(Some(halves)),
                    None => tokio::select! {
                        biased;
                        _ = stop.wait_for(|stop| *stop) => Err(stopping()),
                        page = pager.next() => page.map(|page| page.map(halves)).map_err(Status::from),
                    },
                };
                match next {
                    Ok(Some((first, rest))) => {
                        Some((first.unwrap_or_default(), Some((Some((None, rest)), pager))))
                    }
                    Ok(None) => None,
                    Err(status) => Some((vec![Err(status)], None)),
                }
            }
        });
        Ok(stream::iter(before).chain(pages.map(stream::iter).flatten()).chain(stream::iter(after)).boxed())
    }

    async fn prepare(&self, request: &Request) -> Result<Prepared, Refusal> {
        match &request.target {
            Target::All(filter) => {
                let bound = self.pages.run(|source| Ok(source.head()?)).await?.position;
                let view = View::All(Target::wanted(filter.as_ref()));
                let position = from_position(request, bound);
                let cursor = position.map(|position| Cursor { position, ..Cursor::START });
                let window = filter.as_ref().map(|filter| filter.window);
                Ok(Prepared { view, window, cursor, bound, ends: None, missing: false })
            }
            Target::Stream(name) => match LinkStream::parse(name) {
                Some(of) => self.prepare_links(request, of).await,
                None => self.prepare_stream(request, name.clone()).await,
            },
        }
    }

    async fn prepare_links(&self, request: &Request, of: LinkStream) -> Result<Prepared, Refusal> {
        let (count, head) = self.pages.count_links(of.clone()).await?;
        let last = count.checked_sub(1);
        let cursor = from_revision(request, last, 0).map(|revision| Cursor { revision, ..Cursor::START });
        let ends = last.map(|last| (0, last));
        let view = View::Links(of);
        Ok(Prepared { view, window: None, cursor, bound: head.position, ends, missing: count == 0 })
    }

    async fn prepare_stream(&self, request: &Request, name: String) -> Result<Prepared, Refusal> {
        let stream = name.clone();
        let read = self.pages.run(move |source| {
            let head = source.head()?;
            Ok((Facts::load(source.records(), &stream, head.position)?, head))
        });
        let (facts, head) = read.await?;
        facts.refuse_tombstoned(&name)?;
        let (low, since) = facts.visible((self.clock)());
        // Nothing beyond the next event is hidden from a subscription that waits for it.
        let next = facts.last.map_or(0, |last| last.saturating_add(1));
        let cursor = from_revision(request, facts.last, low.0.min(next))
            .map(|revision| Cursor { revision, ..Cursor::START });
        let low = match request.until {
            Until::Count(_) => low,
            Until::Followed => Revision(0),
        };
        let ends = facts.last.map(|last| (low.0, last));
        let missing = facts.is_missing();
        let view = View::Stream { name, low, since };
        Ok(Prepared { view, window: None, cursor, bound: head.position, ends, missing })
    }
}

/// An answer that is no page's.
fn small(content: Content) -> Sent {
    Sent { frame: show::content(content), held: None }
}

type Half = Vec<Result<Sent, Status>>;

/// The answers of a page: the first half of them, and the rest.
fn halves((page, room): (Page, Arc<Place>)) -> (Option<Half>, Half) {
    let sent = |item| match item {
        Item::Event { frame, .. } => Some(Ok(Sent { frame, held: Some(Arc::clone(&room)) })),
        Item::Checkpoint(_) => None,
    };
    let mut first: Half = page.items.into_iter().filter_map(sent).collect();
    let rest = first.split_off(first.len().div_ceil(2));
    (Some(first), rest)
}

/// The first position of a read of everything; `None` if nothing is to be read.
fn from_position(request: &Request, head: Position) -> Option<Position> {
    match (request.until, request.direction, request.from) {
        (Until::Followed, _, From::Start) | (Until::Count(_), Direction::Forward, From::Start) => {
            Some(Position(1))
        }
        (Until::Followed, _, From::End) => Some(head.next()),
        // A subscription goes on after what was seen.
        (Until::Followed, _, From::At(at)) => Some(Position(at).next()),
        (Until::Count(_), Direction::Forward, From::At(at)) => Some(Position(at)),
        (Until::Count(_), Direction::Forward, From::End) => None,
        // Backwards, the position asked for is not shown itself.
        (Until::Count(_), Direction::Backward, From::At(at)) => at.checked_sub(1).map(Position),
        (Until::Count(_), Direction::Backward, From::End) => Some(head),
        (Until::Count(_), Direction::Backward, From::Start) => None,
    }
}

/// The first revision of a read of a stream that ends with `last` and is shown from `low` on.
fn from_revision(request: &Request, last: Option<u64>, low: u64) -> Option<Revision> {
    let next = last.map_or(0, |last| last.saturating_add(1));
    match (request.until, request.direction, request.from) {
        (Until::Followed, _, From::Start) => Some(Revision(low)),
        (Until::Followed, _, From::End) => Some(Revision(next)),
        (Until::Followed, _, From::At(at)) => Some(Revision(at.saturating_add(1).max(low))),
        (Until::Count(_), Direction::Forward, From::End) => None,
        (Until::Count(_), Direction::Backward, From::End) => last.map(Revision),
        (Until::Count(_), _, From::Start) => Some(Revision(0)),
        // Backwards from beyond the end begins at the end.
        (Until::Count(_), Direction::Backward, From::At(at)) => last.map(|last| Revision(at.min(last))),
        (Until::Count(_), Direction::Forward, From::At(at)) => Some(Revision(at)),
    }
}
