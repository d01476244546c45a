//! The Read call: what is there, or everything that comes.
//!
//! What is known to be wrong at once (a deleted stream, a filter that cannot be used) is the answer to the call itself;
//! a missing stream is a message, because that is how clients know it. A read ends at the head that it found, a
//! subscription never. What a crash means: the reader asks again.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use prooflog_events::ids::{Micros, Position, Revision};
use prooflog_events::port::Direction;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tonic::Status;

use crate::error::{Refusal, identifier, stopping};
use crate::facts::Facts;
use crate::names::LinkStream;
use crate::pages::{Asked, Cursor, Item, Pager, Pages, View};
use crate::request::{From, Request, Target, Until};
use crate::show;
use crate::subscription::{self, Begin, Ground};
use crate::tail::Tail;
use crate::wire::streams::ReadReq;
use crate::wire::streams::read_resp::{Content, StreamNotFound};

/// Answers of a read, encoded.
pub(crate) type Answers = BoxStream<'static, Result<Bytes, Status>>;

/// What reading needs.
pub(crate) struct Reading {
    pub(crate) pages: Arc<Pages>,
    pub(crate) tail: Arc<Tail>,
    pub(crate) clock: fn() -> Micros,
    pub(crate) stop: watch::Receiver<bool>,
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
        permit: OwnedSemaphorePermit,
    ) -> Result<Answers, Status> {
        let request = Request::parse(request)?;
        let prepared = self.prepare(&request).await?;
        let asked = Asked {
            view: prepared.view.clone(),
            direction: request.direction,
            ids: request.ids,
            links: request.links,
            window: prepared.window,
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
                stream::iter([Ok(show::content(answer))]).boxed()
            }
            Until::Count(count) => self.counted(&request, asked, (prepared, count)).await?,
        };
        Ok(answers
            .map(move |answer| {
                let _held = &permit;
                answer
            })
            .boxed())
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
        let mut pager = Pager::new(Arc::clone(&self.pages), asked, (prepared.cursor, prepared.bound), count);
        let first = pager.next().await?;
        let mut before = Vec::new();
        let mut after = Vec::new();
        if let (true, Some((low, last))) = (request.tells_ends, prepared.ends) {
            let is_empty = first.as_ref().is_none_or(|page| page.items.is_empty());
            let differs = request.from != From::At(low) && request.from != From::Start;
            if is_empty && differs && request.direction == Direction::Forward {
                before.push(Ok(show::content(Content::FirstStreamPosition(low))));
            }
            after.push(Ok(show::content(Content::LastStreamPosition(last))));
        }
        let begin = first.map(|page| (Some(page), pager));
        let stop = self.stop.clone();
        let pages = stream::unfold(begin, move |state| {
            let mut stop = stop.clone();
            async move {
                let (page, mut pager) = state?;
                let page = match page {
                    Some(page) => Ok(Some(page)),
                    None => tokio::select! {
                        biased;
                        _ = stop.wait_for(|stop| *stop) => return Some((vec![Err(stopping())], None)),
                        page = pager.next() => page,
                    },
                };
                match page {
                    Ok(Some(page)) => Some((
                        page.items.into_iter().filter_map(frame).map(Ok).collect(),
                        Some((None, pager)),
                    )),
                    Ok(None) => None,
                    Err(refusal) => Some((vec![Err(refusal.status())], None)),
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

fn frame(item: Item) -> Option<Bytes> {
    match item {
        Item::Event { frame, .. } => Some(frame),
        Item::Checkpoint(_) => None,
    }
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
