//! A subscription: a place in the log, from which everything wanted is delivered, in order, once.
//!
//! It catches up from the log page by page, says so, and then takes what comes from the shared tail; when it falls
//! behind that, it catches up again. It holds what it sends next and nothing else, counted with what all readers hold, and
//! reads on only when its client took that, so a slow client costs memory for one page. It ends with an error and never
//! well: clients take a good end for a broken one. What a crash means: the client comes back with the last place that it
//! saw.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use prooflog_events::ids::{LogId, Micros, Position, Revision};
use tokio::sync::watch;
use tonic::Status;

use crate::error::{Forever, Refusal, stopping};
use crate::facts::{self, TOMBSTONE};
use crate::filter::{Wanted, is_linked};
use crate::held::{Place, Sent};
use crate::limits::{ITEM_BYTES, PAGE_BYTES, PAGE_RECORDS};
use crate::pages::{Asked, Cursor, Item, Pages, View};
use crate::show::{self, LINK, Links};
use crate::tail::{Ear, Entry, Interest, Look, Tail, Taken};
use crate::wire::streams::read_resp::{self, CaughtUp, Checkpoint, Content, SubscriptionConfirmation};

/// Where a subscription begins, and what is known there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begin {
    pub(crate) cursor: Cursor,
    /// It asked for what comes later only.
    pub(crate) at_end: bool,
}

/// What a subscription stands on.
pub(crate) struct Ground {
    pub(crate) pages: Arc<Pages>,
    pub(crate) tail: Arc<Tail>,
    pub(crate) clock: fn() -> Micros,
    pub(crate) stop: watch::Receiver<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    CatchingUp,
    Live,
}

struct Subscription {
    ground: Ground,
    asked: Arc<Asked>,
    interest: Interest,
    /// None until everything that was there was sent: for who stopped reading before that, nobody needs to be awake.
    ear: Option<Ear>,
    cursor: Cursor,
    phase: Phase,
    /// The last checkpoint sent.
    checkpoint: Position,
    /// One that is due and not sent: where nothing comes between two of one look, the later one says it all.
    checkpoint_due: Option<Position>,
    /// Where it goes to its end.
    ended: Option<Refusal>,
    ready: Vec<Bytes>,
    /// The room that those take.
    room: Option<Arc<Place>>,
}

/// Everything that `asked` wants from `begin` on.
pub(crate) fn follow(
    ground: Ground,
    asked: Asked,
    begin: Begin,
) -> impl Stream<Item = Result<Sent, Status>> + Send + 'static {
    let interest = match &asked.view {
        View::Stream { name, .. } => Interest::Stream(Arc::from(name.as_str())),
        View::All(_) | View::Links(_) => Interest::Everything,
    };
    let before = Position(begin.cursor.position.0.saturating_sub(1));
    let subscription_id = ground.tail.name();
    let confirmation = SubscriptionConfirmation { subscription_id };
    let subscription = Subscription {
        asked: Arc::new(asked),
        interest,
        ear: None,
        cursor: begin.cursor,
        phase: Phase::CatchingUp,
        checkpoint: if begin.at_end { before } else { Position::ZERO },
        checkpoint_due: None,
        ended: None,
        ready: vec![show::content(Content::Confirmation(confirmation))],
        room: None,
        ground,
    };
    stream::unfold(Some(Box::new(subscription)), |subscription| async move {
        let mut subscription = subscription?;
        match subscription.next().await {
            Ok(ready) => {
                let room = subscription.room.take();
                let sent = |frame| Ok(Sent { frame, held: room.clone() });
                Some((stream::iter(ready.into_iter().map(sent).collect::<Vec<_>>()), Some(subscription)))
            }
            Err(status) => Some((stream::iter(vec![Err(status)]), None)),
        }
    })
    .flatten()
}

impl Subscription {
    /// The next answers, at least one.
    async fn next(&mut self) -> Result<Vec<Bytes>, Status> {
        loop {
            if !self.ready.is_empty() {
                return Ok(std::mem::take(&mut self.ready));
            }
            if let Some(ended) = self.ended.take() {
                return Err(ended.status());
            }
            let mut stop = self.ground.stop.clone();
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Err(stopping()),
                step = self.step() => step?,
            }
        }
    }

    async fn step(&mut self) -> Result<(), Refusal> {
        // Kept, it might be what the next one waits for.
        self.room = None;
        match self.phase {
            Phase::CatchingUp => self.catch_up().await,
            Phase::Live => self.live().await,
        }
    }

    /// A page from the log; at its end the subscription is live.
    async fn catch_up(&mut self) -> Result<(), Refusal> {
        let pages = &self.ground.pages;
        let (links, head) = match &self.asked.view {
            View::Links(of) => pages.count_links(of.clone()).await?,
            View::All(_) | View::Stream { .. } => (0, pages.run(|source| Ok(source.head()?)).await?),
        };
        let most = (head.position, PAGE_RECORDS as u64);
        let room = pages.room(self.asked.share).await?;
        let (page, room) = pages.page(&self.asked, self.cursor, most, room).await?;
        self.room = Some(room);
        self.cursor = page.next;
        for item in page.items {
            self.deliver(item);
        }
        // A stream that ended for ever has nothing more to come.
        if !page.more && self.ended.is_none() {
            // Listening begins before the last look, so that nothing is missed between them.
            if self.ear.is_some() {
                let next = match &self.asked.view {
                    View::Stream { name, .. } => self.next_revision(name.clone(), head.position).await?,
                    View::All(_) | View::Links(_) => links,
                };
                self.caught_up(head.position, next);
            } else {
                self.ear = Some(self.ground.tail.listen(self.interest.clone()));
            }
        }
        Ok(())
    }

    /// Where a stream goes on, as far as it is there at `head`.
    async fn next_revision(&self, name: String, head: Position) -> Result<u64, Refusal> {
        let look = move |source: &dyn crate::source::Source| {
            let last = facts::last_revision(source.records(), &name, head)?;
            Ok(last.map_or(0, |last| last.saturating_add(1)))
        };
        self.ground.pages.run(look).await
    }

    /// Waits for what may be of interest.
    async fn heard(&mut self) {
        let tail = &self.ground.tail;
        self.ear.get_or_insert_with(|| tail.listen(self.interest.clone())).heard().await;
    }

    /// What came since, from the tail; waits if nothing did. Room is taken only for what there is to show: most of those
    /// who are woken for everything find nothing of theirs.
    async fn live(&mut self) -> Result<(), Refusal> {
        let mut room = None;
        loop {
            match self.look()? {
                Taken::Entries(look) => {
                    if room.is_none() && !look.entries.is_empty() {
                        room = self.ground.pages.room_now(self.asked.share);
                        if room.is_none() {
                            // What was seen is not held on to meanwhile.
                            drop(look);
                            room = Some(self.ground.pages.room(self.asked.share).await?);
                            continue;
                        }
                    }
                    let bytes = self.consider_all(&look)?;
                    if let Some(room) = &mut room {
                        room.keep_bytes(bytes);
                    }
                    self.room = room.map(Arc::new);
                }
                Taken::Nothing => {
                    drop(room);
                    self.heard().await;
                }
                Taken::Elsewhere => {
                    drop(room);
                    let head = self.ground.pages.run(|source| Ok(source.head()?)).await?;
                    if head.position >= self.cursor.position {
                        self.phase = Phase::CatchingUp;
                    } else {
                        self.heard().await;
                    }
                }
            }
            return Ok(());
        }
    }

    /// What the tail has for it.
    fn look(&self) -> Result<Taken, Refusal> {
        let Cursor { position, revision, .. } = self.cursor;
        Ok(match &self.asked.view {
            View::Stream { name, .. } => self.ground.tail.of_stream(name, revision, position),
            View::All(wanted) if wanted.is_quick() => self.ground.tail.pick(position, wanted)?,
            View::All(_) | View::Links(_) => self.ground.tail.after(position),
        })
    }

    /// What came, as far as one page has room for it; and the bytes that the answers take.
    fn consider_all(&mut self, look: &Look) -> Result<usize, Refusal> {
        let (mut bytes, mut counted) = (0_usize, 0);
        for entry in &look.entries {
            if bytes >= PAGE_BYTES {
                return Ok(bytes);
            }
            self.pass_over(entry.position());
            self.consider(entry)?;
            let new = self.ready.iter().skip(counted).map(|frame| frame.len().saturating_add(ITEM_BYTES));
            bytes = new.fold(bytes, usize::saturating_add);
            counted = self.ready.len();
        }
        self.pass_over(look.through.next());
        if !look.more {
            self.send_due_checkpoint();
        }
        Ok(bytes)
    }

    /// One event that came.
    fn consider(&mut self, entry: &Entry) -> Result<(), Refusal> {
        let asked = Arc::clone(&self.asked);
        match &asked.view {
            View::Stream { .. } => {
                self.show(entry)?;
                self.cursor.revision = Revision(entry.revision().0.saturating_add(1));
            }
            View::All(wanted) => {
                if matches!(wanted, Wanted::Everything) || wanted.matches(&entry.peek())? {
                    self.show(entry)?;
                }
            }
            View::Links(of) => {
                if is_linked(of, &entry.peek()) {
                    let revision = self.cursor.revision;
                    let id = show::link_id(self.log_id(), of, revision);
                    let form = (asked.ids, asked.links);
                    let name = of.to_string();
                    let frame = show::linked(entry.stored(), &entry.envelope()?, (&name, revision, id), form);
                    self.ready.push(frame);
                    self.cursor.revision = Revision(revision.0.saturating_add(1));
                }
            }
        }
        self.pass_over(entry.position().next());
        Ok(())
    }

    /// Everything below `next` was considered.
    fn pass_over(&mut self, next: Position) {
        let passed = next.0.saturating_sub(self.cursor.position.0);
        self.cursor.position = self.cursor.position.max(next);
        if let (Some(window), 1..) = (self.asked.window, passed) {
            self.cursor.considered += passed;
            if self.cursor.considered >= window {
                self.cursor.considered = 0;
                self.checkpoint_due = Some(Position(next.0.saturating_sub(1)));
            }
        }
    }

    fn send_due_checkpoint(&mut self) {
        if let Some(position) = self.checkpoint_due.take() {
            self.deliver(Item::Checkpoint(position));
        }
    }

    fn show(&mut self, entry: &Entry) -> Result<(), Refusal> {
        self.send_due_checkpoint();
        let frame = match self.asked.links {
            Links::Resolved if entry.type_name() == LINK => {
                let records = self.ground.pages.source().records();
                let link = (entry.stored(), &entry.envelope()?);
                show::resolved(records, entry.position(), link, self.asked.ids)?
            }
            Links::Resolved | Links::Plain => entry.frame(self.asked.ids)?,
        };
        self.deliver(Item::Event { frame, last: entry.type_name() == TOMBSTONE });
        Ok(())
    }

    fn deliver(&mut self, item: Item) {
        match item {
            Item::Event { frame, last } => {
                self.ready.push(frame);
                if let (true, View::Stream { name, .. }) = (last, &self.asked.view) {
                    self.ended = Some(Refusal::Deleted { stream: name.clone(), forever: Forever::Yes });
                }
            }
            Item::Checkpoint(position) if position > self.checkpoint => {
                self.checkpoint = position;
                let timestamp = Some(timestamp((self.ground.clock)()));
                let (commit_position, prepare_position) = (position.0, position.0);
                let checkpoint = Checkpoint { commit_position, prepare_position, timestamp };
                self.ready.push(show::content(Content::Checkpoint(checkpoint)));
            }
            Item::Checkpoint(_) => {}
        }
    }

    /// Everything that was there has been delivered.
    /// Whoever asked for a place beyond the end is told the end.
    fn caught_up(&mut self, head: Position, next: u64) {
        let through = Position(self.cursor.position.0.saturating_sub(1)).min(head);
        if self.asked.window.is_some() {
            self.cursor.considered = 0;
            self.deliver(Item::Checkpoint(through));
        }
        let place = read_resp::Position { commit_position: through.0, prepare_position: through.0 };
        let (stream_revision, position) = match &self.asked.view {
            View::All(_) => (None, (through > Position::ZERO).then_some(place)),
            View::Stream { .. } | View::Links(_) => (
                self.cursor.revision.0.min(next).checked_sub(1).and_then(|last| i64::try_from(last).ok()),
                None,
            ),
        };
        let timestamp = Some(timestamp((self.ground.clock)()));
        let caught_up = CaughtUp { timestamp, stream_revision, position };
        self.ready.push(show::content(Content::CaughtUp(caught_up)));
        self.phase = Phase::Live;
    }

    fn log_id(&self) -> LogId {
        self.ground.pages.source().records().log_id()
    }
}

/// A moment as the protocol writes it.
pub(crate) fn timestamp(now: Micros) -> prost_types::Timestamp {
    let seconds = i64::try_from(now.0 / 1_000_000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(now.0 % 1_000_000).unwrap_or(0).saturating_mul(1_000);
    prost_types::Timestamp { seconds, nanos }
}
