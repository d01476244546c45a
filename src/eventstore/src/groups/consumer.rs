//! A consumer's two directions: events to it, within what its connection takes, and its answers to the group.
//!
//! What waits for the connection is bounded in events by what the consumer may have at once, and in bytes by a page; the
//! room of those bytes is counted with what all readers hold. What a crash means: what it had is given again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use prooflog_events::ids::EventId;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot};
use tonic::{Status, Streaming};

use super::definition::Key;
use super::delivered::Delivered;
use super::delivery::Refused;
use super::info::Seen;
use super::run::Command;
use crate::error::{Problem, Refusal, stopping};
use crate::held;
use crate::limits::{CONSUMER_SLOTS, ITEM_BYTES, PAGE_BYTES, REASON_BYTES};
use crate::show::{IdForm, parse_uuid};
use crate::wire::client;
use crate::wire::persistent_subscriptions::read_req::nack::Action;
use crate::wire::persistent_subscriptions::read_req::{Content as Said, Options};
use crate::wire::persistent_subscriptions::read_resp::{Content, SubscriptionConfirmation};
use crate::wire::persistent_subscriptions::{ReadReq, ReadResp};

/// One answer on its way to the connection.
struct Waiting {
    answer: Result<ReadResp, Status>,
    bytes: usize,
    held: Option<Arc<held::Place>>,
}

/// Where a group puts what a consumer is given.
pub(crate) struct Outbox {
    answers: mpsc::Sender<Waiting>,
    bytes: Arc<AtomicUsize>,
    room: Arc<std::sync::OnceLock<Arc<Notify>>>,
    ids: IdForm,
    seen: Seen,
    /// Dropped with it, which ends who listens to the consumer.
    #[expect(dead_code, reason = "held, not used")]
    alive: oneshot::Sender<()>,
}

/// What a consumer is sent.
pub(crate) type Inbox = BoxStream<'static, Result<ReadResp, Status>>;

/// An outbox for a consumer who has at most `slots` events at once, and its other end. `place` and `slots_held` are kept
/// as long as that.
pub(crate) fn outbox(
    ids: IdForm,
    seen: Seen,
    (slots, slots_held): (usize, OwnedSemaphorePermit),
    place: held::Place,
) -> (Outbox, Inbox, oneshot::Receiver<()>) {
    // Beside events: the confirmation, and the end.
    let (answers, waiting) = mpsc::channel(slots.saturating_add(2));
    let bytes = Arc::new(AtomicUsize::new(0));
    let room = Arc::new(std::sync::OnceLock::<Arc<Notify>>::new());
    let taken = (Arc::clone(&bytes), Arc::clone(&room));
    let state = Some((waiting, taken, None, (place, slots_held)));
    let inbox = stream::unfold(state, |state| async move {
        let (mut waiting, (bytes, room), last, places) = state?;
        // Who asks for the next one has room for it.
        drop::<Option<Arc<held::Place>>>(last);
        // Never a good end: one client does not expect it.
        let Some(Waiting { answer, bytes: taken, held }) = waiting.recv().await else {
            return Some((Err(stopping()), None));
        };
        bytes.fetch_sub(taken, Ordering::AcqRel);
        if let Some(room) = room.get() {
            room.notify_one();
        }
        let goes_on = answer.is_ok();
        Some((answer, goes_on.then_some((waiting, (bytes, room), held, places))))
    });
    let (alive, gone) = oneshot::channel();
    (Outbox { answers, bytes, room, ids, seen, alive }, inbox.boxed(), gone)
}

impl Outbox {
    /// Tells the consumer that it is one; from now on the group is woken when there is room again.
    pub(crate) fn confirm(&self, subscription_id: String, room: Arc<Notify>) {
        let _ = self.room.set(room);
        let confirmation = SubscriptionConfirmation { subscription_id };
        let content = Some(Content::SubscriptionConfirmation(confirmation));
        self.put(Waiting { answer: Ok(ReadResp { content }), bytes: 0, held: None });
    }

    /// Whether it takes another event: one place is kept for the end.
    pub(crate) fn has_room(&self) -> bool {
        self.answers.capacity() > 1 && self.bytes.load(Ordering::Acquire) < PAGE_BYTES
    }

    pub(crate) fn give(&self, delivered: Delivered, retries: u32, held: Option<Arc<held::Place>>) {
        let (answer, size) = delivered.into_answer(retries, self.ids);
        self.put(Waiting { answer: Ok(answer), bytes: size.saturating_add(ITEM_BYTES), held });
    }

    /// Nothing comes any more, and why.
    pub(crate) fn end(&self, status: Status) {
        self.put(Waiting { answer: Err(status), bytes: 0, held: None });
    }

    pub(crate) const fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Whether nobody takes from the other end any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.answers.is_closed()
    }

    fn put(&self, waiting: Waiting) {
        self.bytes.fetch_add(waiting.bytes, Ordering::AcqRel);
        // Whoever is not there any more leaves by itself.
        let _ = self.answers.try_send(waiting);
    }
}

/// The first message of a consumer, which says what it wants.
pub(crate) async fn options(requests: &mut Streaming<ReadReq>, within: Duration) -> Result<Options, Status> {
    let first = tokio::time::timeout(within, requests.message()).await;
    match first.map_err(|_| Refusal::Timeout.status())??.and_then(|message| message.content) {
        Some(Said::Options(options)) => Ok(options),
        _ => Err(Refusal::invalid("the first message holds the options").status()),
    }
}

/// Tells the group what its consumer answers, until that goes, or is let go.
pub(crate) async fn listen(
    consumer: u64,
    key: Key,
    mut requests: Streaming<ReadReq>,
    group: mpsc::Sender<Command>,
    gone: oneshot::Receiver<()>,
) {
    let mut gone = std::pin::pin!(gone);
    let why = loop {
        let message = tokio::select! {
            biased;
            _ = &mut gone => return,
            message = requests.message() => message,
        };
        let command = match message {
            Ok(Some(message)) => command(consumer, message),
            // Who says nothing any more handles nothing any more; or it is gone.
            Ok(None) | Err(_) => Err(key.refuse(Problem::Dropped)),
        };
        match command {
            Ok(Some(command)) => {
                if group.send(command).await.is_err() {
                    return;
                }
            }
            Ok(None) => break key.refuse(Problem::Dropped),
            Err(refusal) => break refusal,
        }
    };
    // A group that ended has nobody to let go.
    let _ = group.send(Command::Leave(consumer, why)).await;
}

/// What a message of a consumer tells its group; none if it wants no more.
fn command(consumer: u64, message: ReadReq) -> Result<Option<Command>, Refusal> {
    match message.content {
        Some(Said::Ack(ack)) => Ok(Some(Command::Ack { consumer, ids: ids(&ack.ids)? })),
        Some(Said::Nack(nack)) => {
            let (action, ids) = (nack.action(), ids(&nack.ids)?);
            let how = match action {
                Action::Park => Refused::Park,
                Action::Retry | Action::Unknown => Refused::Retry,
                Action::Skip => Refused::Skip,
                Action::Stop => return Ok(None),
            };
            Ok(Some(Command::Refuse { consumer, ids, how, reason: clip(&nack.reason) }))
        }
        Some(Said::Options(_)) | None => Err(Refusal::invalid("after the options come acks and nacks")),
    }
}

fn ids(ids: &[client::Uuid]) -> Result<Vec<EventId>, Refusal> {
    if ids.len() > CONSUMER_SLOTS {
        return Err(Refusal::Invalid(format!("at most {CONSUMER_SLOTS} events are answered at once")));
    }
    Ok(ids.iter().filter_map(parse_uuid).collect())
}

fn clip(reason: &str) -> String {
    reason.get(..reason.floor_char_boundary(REASON_BYTES)).unwrap_or_default().to_owned()
}
