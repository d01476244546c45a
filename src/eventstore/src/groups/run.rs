//! A group at work: a task that reads its source, gives events to consumers, and keeps how far they came.
//!
//! It reads on only when somebody has room for the next event, so a group holds what a subscription does: one page. What
//! is given again is read again, by its place. Whatever takes long goes on beside it, so it always listens. It rests
//! while nobody is there. What a crash means: what was given since the last checkpoint is given again.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use prooflog_events::ids::{EventId, Position};
use tokio::sync::{Notify, mpsc, oneshot};
use tonic::Status;

use super::Shared;
use super::checkpoints::Checkpoint;
use super::consumer::Outbox;
use super::definition::Definition;
use super::delivered::{Delivered, Taken};
use super::delivery::{Consumer, Delivery, Message, Place, Refused};
use super::info::{Measured, Progress, Seen};
use super::parking::Batch;
use crate::error::{Problem, Refusal, stopping};
use crate::held::{Answers, Sent};
use crate::limits::{GROUP_COMMANDS, ITEM_BYTES};
use crate::pages::{Asked, Cursor};
use crate::request::Target;
use crate::show::Links;

/// How long a group rests after something could not be parked, before it tries again.
const REST: Duration = Duration::from_secs(1);

/// How long a group that ends waits for what it still has to park.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a group is told.
pub(crate) enum Command {
    Join {
        consumer: Consumer,
        outbox: Outbox,
        joined: oneshot::Sender<Result<u64, Refusal>>,
    },
    /// The consumer goes; what it is told, if it still listens.
    Leave(u64, Refusal),
    Ack {
        consumer: u64,
        ids: Vec<EventId>,
    },
    Refuse {
        consumer: u64,
        ids: Vec<EventId>,
        how: Refused,
        reason: String,
    },
    Tell(oneshot::Sender<Progress>),
    /// Parked ones are to be given again.
    Replay(Vec<Range<u64>>),
    /// The group is changed, deleted or restarted.
    Close(oneshot::Sender<()>),
}

/// What a group waited for.
enum Happened {
    /// A command; none at the end of all.
    Told(Option<Command>),
    /// The server ends.
    Stopped,
    /// What was given up is kept, or is not.
    Parked(Result<(), Refusal>),
    /// What is to be given again.
    Read(Result<Found, Refusal>),
    /// The next of the source.
    Came(Option<Result<Sent, Status>>),
    /// Only a reason to look again.
    Nothing,
}

/// An event, if it is still there.
type Found = Option<(Box<Delivered>, Sent)>;

/// What the group reads.
struct Source {
    answers: Answers,
    asked: Arc<Asked>,
}

/// A group at work.
pub(crate) struct Run {
    shared: Arc<Shared>,
    definition: Definition,
    delivery: Delivery,
    outboxes: BTreeMap<u64, Outbox>,
    /// None while nobody is there.
    source: Option<Source>,
    parked: Option<Arc<Asked>>,
    /// What is read to be given again.
    reading: Option<BoxFuture<'static, Result<Found, Refusal>>>,
    /// What is being parked. It stays the same until it is kept, so that the log knows a repetition.
    batch: Option<Batch>,
    parking: Option<BoxFuture<'static, Result<(), Refusal>>>,
    /// Nothing is parked before, because the last try failed.
    rests_until: Option<Instant>,
    /// The end of what is to be given again of the parked ones.
    replayed_to: u64,
    saved: (u64, u64),
    /// Events that were done when it was saved.
    saved_done: u64,
    save_at: Instant,
    room: Arc<Notify>,
    joined: u64,
    measured: Measured,
    consumers: BTreeMap<u64, (Measured, Seen)>,
}

impl Run {
    /// A group that goes on where its checkpoint says.
    pub(crate) fn new(shared: Arc<Shared>, definition: Definition, checkpoint: &Checkpoint) -> Self {
        let parked = definition.replayed_from(checkpoint.parked);
        let replayed_to = parked.last().map_or(checkpoint.parked, |last| last.end);
        let delivery = Delivery::new(&definition.settings, checkpoint.next, parked);
        Self {
            shared,
            delivery,
            outboxes: BTreeMap::new(),
            source: None,
            parked: None,
            reading: None,
            batch: None,
            parking: None,
            rests_until: None,
            replayed_to,
            saved: (checkpoint.parked, checkpoint.next),
            saved_done: 0,
            save_at: Instant::now(),
            room: Arc::default(),
            joined: 0,
            measured: Measured::default(),
            consumers: BTreeMap::new(),
            definition,
        }
    }

    /// Works until it is closed or the server ends.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            for _ in 0..GROUP_COMMANDS {
                let Ok(command) = commands.try_recv() else { break };
                if let Some(closed) = self.handle(command).await {
                    return self.end(Some(closed)).await;
                }
            }
            self.delivery.expire(Instant::now());
            self.look_after().await;
            self.begin_parking();
            self.begin_reading().await;
            self.save_if_due().await;
            let reads = self.opens().await;
            match self.wait(&mut commands, reads).await {
                Happened::Told(Some(command)) => {
                    if let Some(closed) = self.handle(command).await {
                        return self.end(Some(closed)).await;
                    }
                }
                Happened::Told(None) | Happened::Stopped => return self.end(None).await,
                Happened::Parked(parked) => self.parked(parked),
                Happened::Read(found) => self.resume(found),
                Happened::Came(answer) => self.take(answer),
                Happened::Nothing => {}
            }
        }
    }

    /// The next thing that happens.
    async fn wait(&mut self, commands: &mut mpsc::Receiver<Command>, reads: bool) -> Happened {
        let mut stop = self.shared.reading.stop.clone();
        let (due, saves, rests) = (self.delivery.next_due(), self.saves_at(), self.rests_until);
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Happened::Stopped,
            command = commands.recv() => Happened::Told(command),
            parked = done(&mut self.parking) => Happened::Parked(parked),
            found = done(&mut self.reading) => Happened::Read(found),
            () = self.room.notified() => Happened::Nothing,
            () = at([due, saves, rests]) => Happened::Nothing,
            answer = next(&mut self.source), if reads => Happened::Came(answer),
        }
    }

    async fn end(mut self, closed: Option<oneshot::Sender<()>>) {
        let status = match closed {
            Some(_) => self.definition.key.refuse(Problem::Dropped).status(),
            None => stopping(),
        };
        self.drop_all(&status);
        // What was given up would be delivered once more if it were not kept now.
        let kept = tokio::time::timeout(LAST_WORDS, self.park_all()).await;
        if kept.is_err() {
            tracing::debug!("a persistent subscription ended before all that was given up was parked");
        }
        self.save().await;
        if let Some(closed) = closed {
            // Who waited for it may be gone.
            let _ = closed.send(());
        }
    }

    /// Does what it is told; given back is who waits for its end.
    async fn handle(&mut self, command: Command) -> Option<oneshot::Sender<()>> {
        match command {
            Command::Join { consumer, outbox, joined } => {
                // Who asked may be gone; then it leaves as well.
                let _ = joined.send(self.join(consumer, outbox));
            }
            Command::Leave(consumer, refusal) => {
                if let Some(outbox) = self.outboxes.get(&consumer) {
                    outbox.end(refusal.status());
                }
                self.leave(consumer).await;
            }
            Command::Ack { consumer, ids } => self.delivery.ack(consumer, &ids),
            Command::Refuse { consumer, ids, how, reason } => {
                self.delivery.refuse(consumer, &ids, how, &reason);
            }
            Command::Tell(told) => {
                let _ = told.send(self.progress());
            }
            Command::Replay(ranges) => {
                for range in ranges {
                    self.replayed_to = self.replayed_to.max(range.end);
                    self.delivery.replay(range);
                }
            }
            Command::Close(closed) => return Some(closed),
        }
        None
    }

    fn join(&mut self, consumer: Consumer, outbox: Outbox) -> Result<u64, Refusal> {
        let most = self.definition.settings.max_subscriber_count as usize;
        if most > 0 && self.delivery.consumers().len() >= most {
            return Err(self.definition.key.refuse(Problem::Full));
        }
        self.joined += 1;
        outbox.confirm(self.definition.key.subscription_id(), Arc::clone(&self.room));
        self.consumers.insert(self.joined, (Measured::default(), outbox.seen().clone()));
        self.outboxes.insert(self.joined, outbox);
        self.delivery.join(self.joined, consumer);
        Ok(self.joined)
    }

    async fn leave(&mut self, consumer: u64) {
        self.delivery.leave(consumer);
        self.outboxes.remove(&consumer);
        self.consumers.remove(&consumer);
        if self.outboxes.is_empty() {
            self.source = None;
            self.save().await;
        }
    }

    /// Everybody is told that it is over, and gone.
    fn drop_all(&mut self, status: &Status) {
        for (consumer, outbox) in std::mem::take(&mut self.outboxes) {
            outbox.end(status.clone());
            self.delivery.leave(consumer);
        }
        self.consumers.clear();
        self.source = None;
    }

    /// Looks who can take more, and who is gone.
    async fn look_after(&mut self) {
        for (consumer, outbox) in &self.outboxes {
            self.delivery.pause(*consumer, !outbox.has_room());
        }
        let gone = |(number, outbox): (&u64, &Outbox)| outbox.is_closed().then_some(*number);
        while let Some(gone) = self.outboxes.iter().find_map(gone) {
            self.leave(gone).await;
        }
    }

    /// Keeps what was given up in the stream of parked ones, some at a time.
    fn begin_parking(&mut self) {
        if self.parking.is_some() || self.rests_until.is_some_and(|until| until > Instant::now()) {
            return;
        }
        self.rests_until = None;
        if self.batch.is_none() {
            self.batch = Batch::of(&self.definition.key.parked(), self.delivery.given_up());
        }
        if let Some(batch) = &self.batch {
            let (shared, by, records) = (Arc::clone(&self.shared), batch.by.clone(), batch.records.clone());
            self.parking = Some(async move { shared.writer.note(&by, records, None).await }.boxed());
        }
    }

    /// Keeps all that was given up, unless that fails.
    async fn park_all(&mut self) {
        self.begin_parking();
        while self.parking.is_some() {
            let parked = done(&mut self.parking).await;
            self.parked(parked);
            self.begin_parking();
        }
    }

    fn parked(&mut self, parked: Result<(), Refusal>) {
        self.parking = None;
        match (parked, &mut self.batch) {
            (Ok(()), Some(batch)) => {
                self.delivery.kept(batch.count);
                self.batch = None;
            }
            (Err(refusal), Some(batch)) => {
                if !std::mem::replace(&mut batch.failed, true) {
                    let (group, reason) = (self.definition.key.subscription_id(), refusal.text());
                    tracing::warn!(group, reason, "events cannot be parked; it is tried again and again");
                }
                self.rests_until = Instant::now().checked_add(REST);
            }
            (_, None) => {}
        }
    }

    /// Begins to read what is to be given again, if somebody can take it.
    async fn begin_reading(&mut self) {
        let Some(place) = self.delivery.begin_again() else { return };
        let is_all = self.definition.key.is_all();
        let asked = match place {
            Place::Parked(_) => self.of_parked().await,
            Place::Source(_) => self.source().await.map(|source| Arc::clone(&source.asked)),
        };
        match asked {
            Ok(asked) => {
                let shared = Arc::clone(&self.shared);
                self.reading = Some(async move { read(&shared, &asked, place, is_all).await }.boxed());
            }
            Err(refusal) => self.resume(Err(refusal)),
        }
    }

    fn resume(&mut self, found: Result<Found, Refusal>) {
        self.reading = None;
        match found {
            Ok(Some((delivered, sent))) => match delivered.origin.clone() {
                Some(origin) => {
                    let given = self.delivery.resume(delivered.id, origin, Instant::now());
                    self.give(given, delivered, sent);
                }
                // It leads nowhere.
                None => self.delivery.vanished(),
            },
            // It is not shown any more.
            Ok(None) => self.delivery.vanished(),
            Err(refusal) => {
                self.delivery.put_back();
                self.drop_all(&refusal.status());
            }
        }
    }

    /// Puts an event into the outbox of whom it is given to.
    fn give(&mut self, given: Option<(u64, u32)>, delivered: Box<Delivered>, sent: Sent) {
        let Some((consumer, retries)) = given else { return };
        let Some(outbox) = self.outboxes.get(&consumer) else { return };
        // Room of its own, so that one small event does not hold that of its whole page.
        let own = self.shared.reading.pages.room_of(sent.frame.len().saturating_add(ITEM_BYTES));
        outbox.give(*delivered, retries, own.map(Arc::new).or(sent.held));
        self.delivery.pause(consumer, !outbox.has_room());
    }

    /// What came from the source.
    fn take(&mut self, answer: Option<Result<Sent, Status>>) {
        let sent = match answer {
            Some(Ok(sent)) => sent,
            Some(Err(status)) => return self.drop_all(&status),
            None => return self.drop_all(&stopping()),
        };
        match Taken::decode(&sent.frame, self.definition.key.is_all()) {
            Ok(Taken::Event(delivered)) => {
                self.delivery.passed(delivered.place.saturating_add(1));
                let Some(origin) = delivered.origin.clone() else { return self.delivery.skipped() };
                let place = Place::Source(delivered.place);
                let message = Message { place, retries: 0, origin: Some(origin) };
                let given = self.delivery.offer(message, delivered.id, Instant::now());
                self.give(given, delivered, sent);
            }
            Ok(Taken::Passed(next)) => {
                self.delivery.passed(next);
                self.delivery.skipped();
            }
            Ok(Taken::Nothing) => {}
            Err(refusal) => self.drop_all(&refusal.status()),
        }
    }

    /// Whether the next event of the source is wanted, and can come.
    async fn opens(&mut self) -> bool {
        if !self.delivery.wants_new() {
            return false;
        }
        match self.source().await {
            Ok(_) => true,
            Err(refusal) => {
                self.drop_all(&refusal.status());
                // What that gave up is parked in the next turn.
                self.room.notify_one();
                false
            }
        }
    }

    /// What it reads, from where it was.
    async fn source(&mut self) -> Result<&Source, Refusal> {
        let opened = match self.source.take() {
            Some(source) => source,
            None => {
                let target = self.definition.target()?;
                let links =
                    if self.definition.settings.resolve_links { Links::Resolved } else { Links::Plain };
                let next = self.delivery.next();
                let (answers, asked) = self.shared.reading.follow_from(target, next, links).await?;
                Source { answers, asked }
            }
        };
        Ok(self.source.insert(opened))
    }

    async fn of_parked(&mut self) -> Result<Arc<Asked>, Refusal> {
        if let Some(parked) = &self.parked {
            return Ok(Arc::clone(parked));
        }
        let target = Target::Stream(self.definition.key.parked());
        let (_, asked) = self.shared.reading.follow_from(target, 0, Links::Resolved).await?;
        Ok(Arc::clone(self.parked.insert(asked)))
    }

    /// How far everything is done: of the parked ones, and of the source.
    fn done_below(&self) -> (u64, u64) {
        let (parked, source) = self.delivery.low_water();
        (parked.unwrap_or(self.replayed_to), source)
    }

    /// When what was done since is kept, if it is enough.
    fn saves_at(&self) -> Option<Instant> {
        let since = self.delivery.done().saturating_sub(self.saved_done);
        let is_enough = since >= u64::from(self.definition.settings.min_checkpoint_count.max(1));
        (is_enough && self.done_below() != self.saved).then_some(self.save_at)
    }

    async fn save_if_due(&mut self) {
        let since = self.delivery.done().saturating_sub(self.saved_done);
        let is_much = since >= u64::from(self.definition.settings.max_checkpoint_count.max(1));
        if is_much || self.saves_at().is_some_and(|at| at <= Instant::now()) {
            self.save().await;
        }
    }

    async fn save(&mut self) {
        let done_below = self.done_below();
        let after = Duration::from_millis(self.definition.settings.checkpoint_after_ms.into());
        let now = Instant::now();
        (self.saved_done, self.save_at) = (self.delivery.done(), now.checked_add(after).unwrap_or(now));
        if done_below == self.saved {
            return;
        }
        let (parked, next) = done_below;
        let key = self.definition.key.clone();
        let checkpoint = Checkpoint { source: key.source, group: key.group, next, parked };
        match self.shared.save(self.definition.id, checkpoint).await {
            Ok(()) => self.saved = done_below,
            Err(error) => {
                let group = self.definition.key.subscription_id();
                tracing::warn!(group, %error, "a persistent subscription's checkpoint could not be kept");
            }
        }
    }

    fn progress(&mut self) -> Progress {
        let (out, again) = self.delivery.counts();
        let given = self.delivery.given();
        let mut consumers = Vec::new();
        for (number, (measured, seen)) in &mut self.consumers {
            if let Some(consumer) = self.delivery.consumers().get(number) {
                consumers.push(seen.tell(consumer, measured));
            }
        }
        let (since, per_second) = self.measured.measure(given);
        Progress {
            consumers,
            given,
            since,
            per_second,
            saved: self.saved.1,
            next: self.delivery.next(),
            out,
            again,
            is_replaying: self.delivery.is_replaying(),
        }
    }
}

/// Reads what stands at a place; none if something else or nothing is shown there now.
async fn read(shared: &Shared, asked: &Arc<Asked>, place: Place, is_all: bool) -> Result<Found, Refusal> {
    let cursor = match place {
        Place::Source(at) if is_all => Cursor::at_position(Position(at)),
        Place::Source(at) | Place::Parked(at) => Cursor::at_revision(at),
    };
    let Some(sent) = shared.reading.one(asked, cursor).await? else { return Ok(None) };
    let Taken::Event(delivered) = Taken::decode(&sent.frame, is_all)? else { return Ok(None) };
    let is_there = match place {
        Place::Parked(revision) => delivered.original_revision() == revision,
        Place::Source(at) => delivered.place == at,
    };
    Ok(is_there.then_some((delivered, sent)))
}

/// At the first of these moments; never, without one.
async fn at(moments: [Option<Instant>; 3]) {
    match moments.into_iter().flatten().min() {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

/// When that is done; never, without one.
async fn done<T>(what: &mut Option<BoxFuture<'static, T>>) -> T {
    match what {
        Some(what) => what.await,
        None => std::future::pending().await,
    }
}

async fn next(source: &mut Option<Source>) -> Option<Result<Sent, Status>> {
    match source {
        Some(source) => source.answers.next().await,
        None => std::future::pending().await,
    }
}
