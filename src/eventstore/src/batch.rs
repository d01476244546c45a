//! BatchAppend: many appends on one call, each in any number of messages, answered as they are done.
//!
//! A refusal is an item and the call goes on; clients would lose all their appends with it. Every answer names its
//! append and its stream, because clients look for both without asking. How much may be under way is limited, in appends
//! and in bytes, of one call and of all: a client that sends more waits. What a crash means: see the writer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use prooflog_events::ids::Micros;
use prooflog_events::limits::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, STREAM_NAME_BYTES_MAX};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tonic::{Status, Streaming};

use crate::append::{Fields, exact, proposed, stream as named};
use crate::authority::Caller;
use crate::error::{Expect, Refusal, stopping};
use crate::held::kib;
use crate::limits::{BATCH_BYTES, BATCH_PENDING, ID_CHARS};
use crate::wire::client::uuid::Value;
use crate::wire::client::{AllStreamPosition, StreamIdentifier, Uuid};
use crate::wire::streams::batch_append_req::{Options, ProposedMessage, options};
use crate::wire::streams::batch_append_resp::{Result as Outcome, Success, success};
use crate::wire::streams::{BatchAppendReq, BatchAppendResp};
use crate::writer::{Order, Target, Writer, Written, owned};

/// What one call stands on.
pub(crate) struct Call {
    pub(crate) writer: Arc<Writer>,
    pub(crate) caller: Caller,
    pub(crate) clock: fn() -> Micros,
    pub(crate) patience: Duration,
    pub(crate) stop: watch::Receiver<bool>,
    /// KiB that all calls hold.
    pub(crate) bytes: Arc<Semaphore>,
    /// Given back when the call ends.
    #[expect(dead_code, reason = "held, not read")]
    pub(crate) permit: OwnedSemaphorePermit,
}

/// Answers of a call.
pub(crate) type Answers = BoxStream<'static, Result<BatchAppendResp, Status>>;

/// An append whose last message has not come.
struct Waiting {
    stream_identifier: Option<StreamIdentifier>,
    deadline: Duration,
    /// What is wrong with it already: nothing more of it is kept.
    refused: Option<Refusal>,
    order: Order,
    size: usize,
    /// What it holds, of this call's bytes and of all calls'.
    held: Vec<OwnedSemaphorePermit>,
}

/// Answers a BatchAppend call.
pub(crate) fn batch_append(call: Call, requests: Streaming<BatchAppendReq>) -> Answers {
    let (answers, receiver) = mpsc::channel(BATCH_PENDING);
    let stop = call.stop.clone();
    tokio::spawn(run(call, requests, answers));
    stream::unfold((receiver, stop, false), |(mut receiver, mut stop, over)| async move {
        if over {
            return None;
        }
        tokio::select! {
            biased;
            answer = receiver.recv() => answer.map(|answer: Result<_, _>| {
                let over = answer.is_err();
                (answer, (receiver, stop, over))
            }),
            _ = wait_for_stop(&mut stop) => Some((Err(stopping()), (receiver, stop, true))),
        }
    })
    .boxed()
}

async fn wait_for_stop(stop: &mut watch::Receiver<bool>) {
    // The sender going away means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Takes messages until there are no more, or nobody wants the answers.
async fn run(
    call: Call,
    mut requests: Streaming<BatchAppendReq>,
    answers: mpsc::Sender<Result<BatchAppendResp, Status>>,
) {
    let under_way = Arc::new(Semaphore::new(BATCH_PENDING));
    let bytes = Arc::new(Semaphore::new(BATCH_BYTES >> 10));
    let mut waiting: HashMap<Uuid, Waiting> = HashMap::new();
    let call = Arc::new(call);
    loop {
        let message = tokio::select! {
            biased;
            () = answers.closed() => return,
            message = requests.message() => message,
        };
        let message = match message {
            Ok(Some(message)) => message,
            Ok(None) => return,
            Err(status) => {
                // Nobody may be there any more to be told.
                let _ = answers.send(Err(status)).await;
                return;
            }
        };
        let Some(id) = message.correlation_id.clone().filter(is_id) else {
            let _ = answers.send(Err(Refusal::invalid("the correlation id is missing").status())).await;
            return;
        };
        if let Some(options) = message.options {
            let refused = call.writer.admit(&call.caller).err();
            waiting
                .entry(id.clone())
                .or_insert_with(|| begin(options, (call.clock)(), call.patience, refused));
        }
        let Some(pending) = waiting.get_mut(&id) else { continue };
        let before = pending.size;
        pending.add(message.proposed_messages);
        let new = kib(pending.size.saturating_sub(before));
        let held = waiting.values().map(|waiting| waiting.size).fold(0, usize::saturating_add);
        if waiting.len() > BATCH_PENDING || held > BATCH_BYTES {
            let text = "too many appends wait for their last message";
            let _ = answers.send(Err(Status::resource_exhausted(text))).await;
            return;
        }
        for of in [&bytes, &call.bytes] {
            let Some(room) = room(of, new, call.patience).await else {
                let refusal = Refusal::Unavailable("too much is being appended".to_owned());
                let _ = answers.send(Err(refusal.status())).await;
                return;
            };
            if let Some(pending) = waiting.get_mut(&id) {
                pending.held.push(room);
            }
        }
        if message.is_final {
            let Some(pending) = waiting.remove(&id) else { continue };
            let Ok(permit) = Arc::clone(&under_way).acquire_owned().await else { return };
            let (call, answers) = (Arc::clone(&call), answers.clone());
            tokio::spawn(async move {
                let answer = finish(&call, id, pending).await;
                let _ = answers.send(Ok(answer)).await;
                drop(permit);
            });
        }
    }
}

/// Whether it is one, whatever it says; a longer text is none.
fn is_id(id: &Uuid) -> bool {
    match &id.value {
        Some(Value::String(text)) => text.len() <= ID_CHARS,
        Some(Value::Structured(_)) => true,
        None => false,
    }
}

/// So many KiB of it, when others have been answered; none if that takes too long, because all of it is held by appends
/// whose last message does not come.
async fn room(of: &Arc<Semaphore>, kib: u32, patience: Duration) -> Option<OwnedSemaphorePermit> {
    if let Ok(room) = Arc::clone(of).try_acquire_many_owned(kib) {
        return Some(room);
    }
    tokio::time::timeout(patience, Arc::clone(of).acquire_many_owned(kib)).await.ok()?.ok()
}

fn begin(options: Options, now: Micros, patience: Duration, mut refused: Option<Refusal>) -> Waiting {
    use options::ExpectedStreamPosition as E;
    let name = named(options.stream_identifier.clone()).unwrap_or_else(|refusal| {
        refused = Some(refusal);
        String::new()
    });
    let expect = match options.expected_stream_position {
        Some(E::StreamPosition(revision)) => exact(revision).unwrap_or_else(|refusal| {
            refused = Some(refusal);
            Expect::Any
        }),
        Some(E::NoStream(())) => Expect::NoStream,
        Some(E::StreamExists(())) => Expect::Exists,
        Some(E::Any(())) | None => Expect::Any,
    };
    let deadline =
        deadline(options.deadline_option.as_ref(), now).map_or(patience, |asked| asked.min(patience));
    if deadline.is_zero() {
        refused = Some(Refusal::Timeout);
    }
    let target = Target { name, expect, written: true };
    let order = Order { targets: vec![target], events: Vec::new() };
    Waiting {
        // What is kept for the answer holds nothing else of the message.
        stream_identifier: options.stream_identifier.map(|named| StreamIdentifier {
            stream_name: owned(named.stream_name.get(..STREAM_NAME_BYTES_MAX).unwrap_or(&named.stream_name)),
        }),
        deadline,
        refused,
        order,
        size: 0,
        held: Vec::new(),
    }
}

/// How long an append may take by its own words. Clients send moments, spans, and one of them a moment as a span; so the
/// numbers are only ever compared and cut.
fn deadline(option: Option<&options::DeadlineOption>, now: Micros) -> Option<Duration> {
    use options::DeadlineOption as D;
    let now_secs = i64::try_from(now.0 / 1_000_000).unwrap_or(i64::MAX);
    let (seconds, nanos) = match option? {
        D::Deadline(span) => (span.seconds, span.nanos),
        D::Deadline21100(moment) => (moment.seconds.saturating_sub(now_secs), moment.nanos),
    };
    match (u64::try_from(seconds), u32::try_from(nanos)) {
        (Ok(0), Ok(nanos)) => Some(Duration::from_nanos(u64::from(nanos))),
        (Ok(seconds), _) => Some(Duration::from_secs(seconds)),
        (Err(_), _) => Some(Duration::ZERO),
    }
}

impl Waiting {
    fn add(&mut self, messages: Vec<ProposedMessage>) {
        for ProposedMessage { id, metadata, custom_metadata, data } in messages {
            if self.refused.is_some() {
                return;
            }
            match proposed(Fields { id, metadata, custom_metadata, data }) {
                Ok(event) => {
                    self.size = self.size.saturating_add(event.size());
                    self.order.events.push((0, event));
                }
                Err(refusal) => self.refused = Some(refusal),
            }
            if self.size > 2 * BATCH_BYTES_MAX || self.order.events.len() > BATCH_EVENTS_MAX {
                self.refused = Some(Refusal::AppendTooLarge { size: self.size, max: BATCH_BYTES_MAX });
            }
        }
        if self.refused.is_some() {
            self.order.events.clear();
            self.held.clear();
            self.size = 0;
        }
    }
}

async fn finish(call: &Call, id: Uuid, waiting: Waiting) -> BatchAppendResp {
    let Waiting { stream_identifier, deadline, refused, order, held: _held, .. } = waiting;
    let name = order.targets.first().map_or("", |target| target.name.as_str());
    let written = match refused {
        // Who may not write is told that, whatever else is wrong.
        Some(refusal) => Err(call.writer.admit(&call.caller).err().unwrap_or(refusal)),
        None => match tokio::time::timeout(deadline, call.writer.write(&call.caller, &order)).await {
            Ok(written) => written,
            Err(_) => Err(Refusal::Timeout),
        },
    };
    let result = match written {
        Ok(written) => Outcome::Success(success(&written, name)),
        Err(refusal) => Outcome::Error(refusal.item()),
    };
    BatchAppendResp {
        correlation_id: Some(id),
        // Never left out: a client that finds none crashes.
        stream_identifier: Some(stream_identifier.unwrap_or_default()),
        result: Some(result),
        expected_stream_position: None,
    }
}

fn success(written: &Written, stream: &str) -> Success {
    use success::{CurrentRevisionOption as R, PositionOption as P};
    let position = |at: prooflog_events::ids::Position| {
        P::Position(AllStreamPosition { commit_position: at.0, prepare_position: at.0 })
    };
    Success {
        current_revision_option: Some(written.revision(stream).map_or(R::NoStream(()), R::CurrentRevision)),
        position_option: Some(written.position.map_or(P::NoPosition(()), position)),
    }
}
