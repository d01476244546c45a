//! A group at work: a task that reads its source, gives events to consumers, and keeps how far they came.
//!
//! It reads on only when somebody has room for the next event, so a group holds what a subscription does: one page. What
//! is given again is read again, by its place. It rests while nobody is there. What a crash means: what was given since
//! the last checkpoint is given again.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use prooflog_events::envelope::Content;
use prooflog_events::ids::{EventId, Position};
use prooflog_log::NewRecord;
use serde::Serialize;
use tokio::sync::{Notify, mpsc, oneshot};
use tonic::Status;

use super::Shared;
use super::checkpoints::Checkpoint;
use super::consumer::Outbox;
use super::definition::Definition;
use super::delivered::{Delivered, Taken};
use super::delivery::{Consumer, Delivery, GivenUp, Message, Place, Refused};
use super::info::{Measured, Progress, Seen};
use crate::error::{Problem, Refusal, stopping};
use crate::held::{Answers, Sent};
use crate::limits::PARKED_AT_ONCE;
use crate::pages::{Asked, Cursor};
use crate::request::Target;
use crate::show::{LINK, Links};
use crate::writer::random_id;

/// How long a group rests after something could not be parked, before it tries again.
const REST: Duration = Duration::from_millis(500);

/// What a group is told.
pub(crate) enum Command {
    Join {
        consumer: Consumer,
        outbox: Outbox,
        joined: oneshot::Sender<Result<u64, Refusal>>,
    },
    Leave(u64),
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
    /// The consumer wants no more, and not what it has.
    Stop(u64),
    Tell(oneshot::Sender<Progress>),
    /// Parked ones are to be given again; the log reaches so far.
    Replay(Range<u64>, Position),
    /// The group is changed, deleted or restarted.
    Close(oneshot::Sender<()>),
}

/// What a group waited for.
enum Happened {
    /// A command; none at the end of all.
    Told(Option<Command>),
    /// Somebody took too long.
    Late,
    /// The next of the source.
    Came(Option<Result<Sent, Status>>),
    /// Only a reason to look again.
    Nothing,
}

/// What is said of an event that is parked.
#[derive(Serialize)]
struct Said<'a> {
    reason: &'a str,
    retries: u32,
    #[serde(rename = "$correlationId", skip_serializing_if = "str::is_empty")]
    correlation: &'a str,
}

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
    /// Everything up to here is known to be in the log.
    seen: Position,
    /// The end of what is to be given again of the parked ones.
    replayed_to: u64,
    saved: (u64, u64),
    /// Events that were done when it was saved.
    saved_done: u64,
    save_at: Instant,
    /// Nothing is parked before.
    rests_until: Option<Instant>,
    room: Arc<Notify>,
    joined: u64,
    measured: Measured,
    consumers: BTreeMap<u64, (Measured, Seen)>,
}

impl Run {
    /// A group that goes on where its checkpoint says, in a log that reaches to `head`.
    pub(crate) fn new(
        shared: Arc<Shared>,
        definition: Definition,
        checkpoint: &Checkpoint,
        head: Position,
    ) -> Self {
        let parked = definition.replayed_from(checkpoint.parked);
        let replayed_to = definition.replayed.last().map_or(checkpoint.parked, |last| last.end);
        let delivery = Delivery::new(&definition.settings, checkpoint.next, parked);
        let now = Instant::now();
        Self {
            shared,
            delivery,
            outboxes: BTreeMap::new(),
            source: None,
            parked: None,
            seen: head,
            replayed_to,
            saved: (checkpoint.parked, checkpoint.next),
            saved_done: 0,
            save_at: now,
            rests_until: None,
            room: Arc::default(),
            joined: 0,
            measured: Measured::default(),
            consumers: BTreeMap::new(),
            definition,
        }
    }

    /// Works until it is closed or the server ends.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut stop = self.shared.reading.stop.clone();
        let closed = loop {
            while let Ok(command) = commands.try_recv() {
                if let Some(closed) = self.handle(command).await {
                    return self.end(Some(closed)).await;
                }
            }
            self.look_after().await;
            self.park().await;
            if self.give_again().await {
                tokio::task::yield_now().await;
                continue;
            }
            self.save_if_due().await;
            let reads = self.opens().await;
            let (due, saves) = (self.wakes_at(), self.saves_at());
            let happened = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => Happened::Told(None),
                command = commands.recv() => Happened::Told(command),
                () = self.room.notified() => Happened::Nothing,
                () = at(due) => Happened::Late,
                () = at(saves) => Happened::Nothing,
                answer = next(&mut self.source), if reads => Happened::Came(answer),
            };
            match happened {
                Happened::Told(Some(command)) => {
                    if let Some(closed) = self.handle(command).await {
                        break Some(closed);
                    }
                }
                Happened::Told(None) => break None,
                Happened::Late => self.delivery.expire(Instant::now()),
                Happened::Came(answer) => self.take(answer),
                Happened::Nothing => {}
            }
        };
        self.end(closed).await;
    }

    async fn end(mut self, closed: Option<oneshot::Sender<()>>) {
        let status = match closed {
            Some(_) => self.definition.key.refuse(Problem::Dropped).status(),
            None => stopping(),
        };
        self.drop_all(&status);
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
            Command::Leave(consumer) => self.leave(consumer).await,
            Command::Stop(consumer) => {
                if let Some(outbox) = self.outboxes.get(&consumer) {
                    outbox.end(self.definition.key.refuse(Problem::Dropped).status());
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
            Command::Replay(range, head) => {
                self.seen = self.seen.max(head);
                self.replayed_to = self.replayed_to.max(range.end);
                self.delivery.replay(range);
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
            self.park().await;
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

    /// Keeps what was given up in the stream of parked ones. What cannot be kept there is given again later.
    async fn park(&mut self) {
        if self.rests_until.is_some_and(|until| until > Instant::now()) {
            return;
        }
        self.rests_until = None;
        while let Some(first) = self.delivery.given_up().first() {
            // An append is by one user.
            let by_same = self.delivery.given_up().iter().take_while(|given| given.user == first.user);
            let some: Vec<GivenUp> = by_same.take(PARKED_AT_ONCE).cloned().collect();
            match self.write_parked(&some).await {
                Ok(()) => self.delivery.kept(some.len()),
                Err(refusal) => {
                    let reason = refusal.text();
                    tracing::warn!(group = %self.definition.key.subscription_id(), reason, "an event could not be parked");
                    self.rests_until = Instant::now().checked_add(REST);
                    return;
                }
            }
        }
    }

    async fn write_parked(&mut self, given_up: &[GivenUp]) -> Result<(), Refusal> {
        let stream = self.definition.key.parked();
        let mut records = Vec::with_capacity(given_up.len());
        for GivenUp { message, reason, .. } in given_up {
            // One without an origin was never read, so nobody can have given it up.
            let Some(origin) = &message.origin else { continue };
            let link = format!("{}@{}", origin.revision, origin.stream);
            let said = Said { reason, retries: message.retries, correlation: &origin.correlation };
            let metadata = serde_json::to_vec(&said).unwrap_or_default();
            let record = NewRecord::foreign(&stream, random_id()?, LINK, Content::Octets, link.into_bytes());
            let correlation = origin.correlation.clone();
            records.push(NewRecord { correlation, metadata, ..record });
        }
        let by = given_up.first().map_or("", |given| given.user.as_str());
        self.shared.writer.note(by, records, None).await
    }

    /// Gives one event again, or one that was parked; `false` if there is none that somebody can take.
    async fn give_again(&mut self) -> bool {
        let Some(message) = self.delivery.begin_again() else { return false };
        match self.read(message.place).await {
            Ok(Some((delivered, sent))) => self.give(message, delivered, sent),
            // It is not shown any more, or leads nowhere.
            Ok(None) => self.delivery.vanished(),
            Err(refusal) => {
                self.delivery.put_back(message);
                self.drop_all(&refusal.status());
            }
        }
        true
    }

    async fn read(&mut self, place: Place) -> Result<Option<(Box<Delivered>, Sent)>, Refusal> {
        let (asked, cursor, bound) = match place {
            Place::Parked(revision) => (self.parked().await?, Cursor::at_revision(revision), self.seen),
            Place::Source(at) => {
                let asked = Arc::clone(&self.source().await?.asked);
                match self.definition.key.is_all() {
                    true => (asked, Cursor::at_position(Position(at)), Position(at)),
                    false => (asked, Cursor::at_revision(at), self.seen),
                }
            }
        };
        let Some(sent) = self.shared.reading.one(&asked, cursor, bound).await? else { return Ok(None) };
        let delivered = match Taken::decode(&sent.frame, self.definition.key.is_all())? {
            Taken::Event(delivered) => delivered,
            Taken::Nothing | Taken::Passed(_) => return Ok(None),
        };
        let at = match place {
            Place::Parked(revision) => (delivered.original_revision() == revision).then_some(()),
            Place::Source(at) => (delivered.place == at).then_some(()),
        };
        Ok(at.map(|()| (delivered, sent)))
    }

    fn give(&mut self, mut message: Message, delivered: Box<Delivered>, sent: Sent) {
        let Some(origin) = delivered.origin.clone() else { return self.delivery.vanished() };
        message.origin = Some(origin);
        let retries = message.retries;
        if let Some(consumer) = self.delivery.offer(message, delivered.id, Instant::now())
            && let Some(outbox) = self.outboxes.get(&consumer)
        {
            outbox.give(*delivered, retries, sent.held);
            self.delivery.pause(consumer, !outbox.has_room());
        }
    }

    /// What came from the source.
    fn take(&mut self, answer: Option<Result<Sent, Status>>) {
        let taken = match answer {
            Some(Ok(sent)) => {
                Taken::decode(&sent.frame, self.definition.key.is_all()).map(|taken| (taken, sent))
            }
            Some(Err(status)) => return self.drop_all(&status),
            None => return self.drop_all(&stopping()),
        };
        match taken {
            Ok((Taken::Event(delivered), sent)) => {
                self.seen = self.seen.max(delivered.position);
                let place = Place::Source(delivered.place);
                self.delivery.passed(delivered.place.saturating_add(1));
                self.give(Message { place, retries: 0, origin: None }, delivered, sent);
            }
            Ok((Taken::Passed(next), _)) => self.delivery.passed(next),
            Ok((Taken::Nothing, _)) => {}
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
                false
            }
        }
    }

    /// What it reads, from where it was.
    async fn source(&mut self) -> Result<&Source, Refusal> {
        let opened = match self.source.take() {
            Some(source) => source,
            None => {
                let (target, links) = (self.shared.target(&self.definition)?, self.links());
                let next = self.delivery.next();
                let (answers, asked) = self.shared.reading.follow_from(target, next, links).await?;
                Source { answers, asked }
            }
        };
        Ok(self.source.insert(opened))
    }

    async fn parked(&mut self) -> Result<Arc<Asked>, Refusal> {
        if let Some(parked) = &self.parked {
            return Ok(Arc::clone(parked));
        }
        let target = Target::Stream(self.definition.key.parked());
        let (_, asked) = self.shared.reading.follow_from(target, 0, Links::Resolved).await?;
        Ok(Arc::clone(self.parked.insert(asked)))
    }

    fn links(&self) -> Links {
        if self.definition.settings.resolve_links { Links::Resolved } else { Links::Plain }
    }

    /// When something has to be done if nothing happens.
    fn wakes_at(&mut self) -> Option<Instant> {
        let parks = self.rests_until.filter(|_| !self.delivery.given_up().is_empty());
        self.delivery.next_due().into_iter().chain(parks).min()
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

/// At that moment; never, without one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

async fn next(source: &mut Option<Source>) -> Option<Result<Sent, Status>> {
    match source {
        Some(source) => source.answers.next().await,
        None => std::future::pending().await,
    }
}
