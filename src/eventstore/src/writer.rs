//! Appends of outside writers: who may, how much, and onto what.
//!
//! Their events go through the same door as the engine's, in the same order and into the same chain; the engine does not
//! look at them. A stream's metadata decide whether it can be written, so each append also expects those metadata to be
//! what they were when it was composed: the log itself refuses an append that a deletion overtook, and it is composed
//! anew. So what is remembered of streams may be old and never wrong. What a crash means: an append without an answer may
//! have happened; repeating it with the same ids gives the first answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use prooflog_events::envelope::Content;
use prooflog_events::ids::{EventId, Micros, Position, Revision};
use prooflog_events::limits::{
    BATCH_BYTES_MAX, BATCH_EVENTS_MAX, EVENT_BYTES_MAX, LABEL_BYTES_MAX, TYPE_NAME_BYTES_MAX,
};
use prooflog_log::{Append, AppendError, Appended, By, Expected, NewRecord};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::authority::Caller;
use crate::error::{Expect, Forever, Refusal};
use crate::facts::{self, DELETED, Facts, METADATA, TOMBSTONE};
use crate::held::kib;
use crate::limits::{APPEND_TRIES, METADATA_BYTES, UNDER_WAY_KIB};
use crate::lock;
use crate::names::{self, has_metadata, metadata_of};
use crate::pages::Pages;
use crate::source::Door;

/// Streams of which something is remembered.
const REMEMBERED_MAX: usize = 4_096;
const DAY: u64 = 24 * 60 * 60 * 1_000_000;

/// Writing from outside. Without it nobody writes.
#[derive(Clone)]
pub struct Writing {
    /// Where appends go.
    pub door: Arc<dyn Door>,
    /// Beginnings of the stream names that clients may use; empty allows all that are not the engine's.
    pub own: Vec<String>,
    /// Bytes that all clients together may append in one day (UTC) of this process.
    pub bytes_per_day: u64,
    /// Whether the disk has room for them. Asked before each append, so it must be quick.
    pub room: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Writing {
    /// Writing to all streams that are not the engine's, 1 GiB a day, whatever the disk says.
    #[must_use]
    pub fn new(door: Arc<dyn Door>) -> Self {
        Self { door, own: Vec::new(), bytes_per_day: 1 << 30, room: Arc::new(|| true) }
    }
}

/// An event that a client wants to append.
#[derive(Debug, Clone)]
pub(crate) struct Proposed {
    pub(crate) id: EventId,
    pub(crate) type_name: String,
    pub(crate) content: Content,
    pub(crate) metadata: Bytes,
    pub(crate) data: Bytes,
}

/// A part of a message as something of its own: a slice holds the whole message in memory, whatever else came in it.
pub(crate) fn owned(part: &[u8]) -> Bytes {
    Bytes::copy_from_slice(part)
}

/// A stream of an append.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) expect: Expect,
    /// Whether it is written, or only looked at.
    pub(crate) written: bool,
}

/// What a client wants to append: events, each with the index of its stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order {
    pub(crate) targets: Vec<Target>,
    pub(crate) events: Vec<(usize, Proposed)>,
}

impl Order {
    fn size(&self) -> usize {
        self.events.iter().fold(0, |size, (_, event)| event.size().saturating_add(size))
    }

    /// The stream is not where the order expects it.
    fn wrong_version(&self, stream: String, actual: Option<u64>) -> Refusal {
        let target = self.targets.iter().find(|target| target.name == stream);
        let expected = target.map_or(Expect::Any, |target| target.expect);
        Refusal::WrongVersion { stream, expected, actual }
    }
}

/// What became of it.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    /// Position of the last event; none if there were no events.
    pub(crate) position: Option<Position>,
    revisions: Vec<(String, Option<Revision>)>,
}

impl Written {
    /// The newest revision of a stream after the append.
    pub(crate) fn revision(&self, stream: &str) -> Option<u64> {
        let found = self.revisions.iter().find(|(name, _)| name == stream);
        found.and_then(|(_, revision)| revision.map(|revision| revision.0))
    }
}

/// Takes orders.
pub(crate) struct Writer {
    writing: Option<Writing>,
    pages: Arc<Pages>,
    clock: fn() -> Micros,
    patience: Duration,
    known: Mutex<HashMap<String, Facts>>,
    used: Used,
    /// KiB of appends between the first look and the log's answer.
    under_way: Arc<Semaphore>,
}

/// The day, and the bytes of it that are used.
type Used = Arc<Mutex<(u64, u64)>>;

/// Bytes taken from a day, and a part of what may be under way. Both stay with the append until the log answers it,
/// whoever still waits for that.
struct Charge {
    used: Used,
    day: u64,
    size: u64,
    _turn: OwnedSemaphorePermit,
}

impl Charge {
    /// They are used.
    fn keep(mut self) {
        self.size = 0;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut used = lock(&self.used);
        if used.0 == self.day {
            used.1 = used.1.saturating_sub(self.size);
        }
    }
}

/// What is to be appended, and the streams of it that are only expected to stand still.
struct Composed {
    append: Append,
    fences: Vec<String>,
}

impl Writer {
    pub(crate) fn new(
        writing: Option<Writing>,
        pages: Arc<Pages>,
        clock: fn() -> Micros,
        patience: Duration,
    ) -> Self {
        let under_way = Arc::new(Semaphore::new(UNDER_WAY_KIB as usize));
        Self { writing, pages, clock, patience, known: Mutex::default(), used: Used::default(), under_way }
    }

    /// Whether `caller` may write anything, somewhere.
    pub(crate) fn admit(&self, caller: &Caller) -> Result<&Writing, Refusal> {
        self.writing.as_ref().filter(|_| caller.may_write()).ok_or(Refusal::AccessDenied)
    }

    /// Appends as a whole or not at all.
    pub(crate) async fn write(&self, caller: &Caller, order: &Order) -> Result<Written, Refusal> {
        let writing = self.admit(caller)?;
        for target in &order.targets {
            let may = !target.written || names::may_write(caller, &target.name, &writing.own);
            may.then_some(()).ok_or(Refusal::AccessDenied)?;
        }
        check_sizes(order)?;
        let size = order.size();
        let mut remembered = true;
        for _ in 0..APPEND_TRIES {
            let turn = self.turn(size).await?;
            let facts = self.facts(order, remembered).await?;
            let composed = self.compose(caller, order, &facts).await?;
            match self.submit(writing, composed.append, turn).await? {
                Ok(appended) => {
                    self.forget_changed(order, &facts);
                    let position = (!order.events.is_empty()).then_some(appended.last);
                    return Ok(Written { position, revisions: appended.revisions });
                }
                // What was remembered may be old, and what was just read may have moved.
                Err(AppendError::Conflict { stream, .. })
                    if remembered || composed.fences.contains(&stream) =>
                {
                    remembered = false;
                }
                Err(AppendError::Conflict { stream, current, .. }) => {
                    return Err(order.wrong_version(stream, current.map(|r| r.0)));
                }
                // Known ids beside unknown ones, or with other content, are no repetition.
                Err(AppendError::IdReused { stream, .. }) => {
                    let last = self.load(&stream).await?.last;
                    return Err(order.wrong_version(stream, last));
                }
                Err(error) => return Err(refused(error)),
            }
        }
        Err(Refusal::Unavailable("the stream's metadata change too often".to_owned()))
    }

    /// Deletes a stream of an outside writer, for now or for ever: appends the event that says so.
    pub(crate) async fn delete(
        &self,
        caller: &Caller,
        target: Target,
        forever: Forever,
    ) -> Result<Position, Refusal> {
        let writing = self.admit(caller)?;
        let Target { name, expect, .. } = target;
        if !names::may_write(caller, &name, &writing.own) {
            return Err(Refusal::AccessDenied);
        }
        if !has_metadata(&name) {
            return Err(Refusal::invalid("metadata are not deleted by themselves"));
        }
        for _ in 0..APPEND_TRIES {
            let turn = self.turn(METADATA_BYTES).await?;
            let facts = self.load(&name).await?;
            facts.refuse_tombstoned(&name)?;
            let wrong = |actual| Refusal::WrongVersion { stream: name.clone(), expected: expect, actual };
            match (expect, facts.is_deleted(), facts.last) {
                (Expect::Exists, true, _) => {
                    return Err(Refusal::Deleted { stream: name.clone(), forever: Forever::No });
                }
                (_, _, None) if forever == Forever::No => return Err(wrong(None)),
                (Expect::NoStream, false, Some(last)) => return Err(wrong(Some(last))),
                _ => {}
            }
            let described = metadata_of(&name);
            let deleting = self.truncated(&name, facts, DELETED).await?;
            let mut records = vec![marker(&described, METADATA, deleting)?];
            if forever == Forever::Yes {
                records.push(marker(&name, TOMBSTONE, b"{}".to_vec())?);
            }
            let append = Append::new(By::Client(caller.user.name.clone()), (self.clock)(), records)
                .expect(&described, exactly(facts.metadata))
                .expect(&name, exactly_or(expect, facts.last));
            match self.submit(writing, append, turn).await? {
                Ok(appended) => {
                    self.known().remove(&name);
                    return Ok(appended.last);
                }
                Err(AppendError::Conflict { stream, .. }) if stream == described => {}
                Err(AppendError::Conflict { current, .. }) => return Err(wrong(current.map(|r| r.0))),
                Err(error) => return Err(refused(error)),
            }
        }
        Err(Refusal::Unavailable("the stream's metadata change too often".to_owned()))
    }

    /// Appends what the server has to say of what `by` did, as a whole, charged as theirs. `stands` is a stream that
    /// must end where it is expected to.
    pub(crate) async fn note(
        &self,
        by: &str,
        records: Vec<NewRecord>,
        stands: Option<(&str, Option<u64>)>,
    ) -> Result<(), Refusal> {
        let writing = self.writing.as_ref().ok_or(Refusal::AccessDenied)?;
        let mut append = Append::new(By::Client(by.to_owned()), (self.clock)(), records);
        if let Some((stream, last)) = stands {
            append = append.expect(stream, exactly(last));
        }
        let turn = self.turn(append.size()).await?;
        match self.submit(writing, append, turn).await? {
            Ok(_) => Ok(()),
            Err(error) => Err(refused(error)),
        }
    }

    /// What is known of a stream now.
    pub(crate) async fn load(&self, stream: &str) -> Result<Facts, Refusal> {
        let stream = stream.to_owned();
        let load = move |source: &dyn crate::source::Source| {
            Ok(Facts::load(source.records(), &stream, source.head()?.position)?)
        };
        self.pages.run(load).await
    }

    /// The metadata of a stream, of which so much is known, with another truncation.
    async fn truncated(&self, stream: &str, known: Facts, before: u64) -> Result<Vec<u8>, Refusal> {
        let stream = stream.to_owned();
        let read = move |source: &dyn crate::source::Source| {
            Ok(facts::truncated(source.records(), &stream, known.metadata, before)?)
        };
        self.pages.run(read).await
    }

    /// What is known of the streams of an order, remembered or not.
    async fn facts(&self, order: &Order, remembered: bool) -> Result<Vec<Facts>, Refusal> {
        let mut all = Vec::with_capacity(order.targets.len());
        for target in &order.targets {
            let known = if remembered { self.known().get(&target.name).copied() } else { None };
            all.push(match known {
                Some(facts) => facts,
                None if names::is_engines(&target.name) => Facts::default(),
                None => {
                    let facts = self.load(&target.name).await?;
                    if has_metadata(&target.name) {
                        self.remember(&target.name, facts);
                    }
                    facts
                }
            });
        }
        Ok(all)
    }

    async fn compose(&self, caller: &Caller, order: &Order, facts: &[Facts]) -> Result<Composed, Refusal> {
        let by = By::Client(caller.user.name.clone());
        let mut append = Append::new(by, (self.clock)(), Vec::with_capacity(order.events.len()));
        let mut fences = Vec::new();
        for (target, facts) in order.targets.iter().zip(facts) {
            if !has_metadata(&target.name) {
                facts.refuse_tombstoned(&target.name)?;
                continue;
            }
            let described = metadata_of(&target.name);
            if target.written && facts.is_deleted() {
                facts.refuse_tombstoned(&target.name)?;
                let restoring = self.truncated(&target.name, *facts, facts.restoring()).await?;
                append.records.push(marker(&described, METADATA, restoring)?);
            }
            if !order.targets.iter().any(|other| other.name == described) {
                append = append.expect(&described, exactly(facts.metadata));
                fences.push(described);
            }
        }
        for (target, facts) in order.targets.iter().zip(facts) {
            append = append.expect(&target.name, expected(target, facts)?);
        }
        for (at, event) in &order.events {
            let Some(target) = order.targets.get(*at) else { continue };
            let record = NewRecord::foreign(
                &target.name,
                event.id,
                &event.type_name,
                event.content,
                event.data.to_vec(),
            );
            let correlation = correlation(&event.metadata);
            append.records.push(NewRecord { correlation, metadata: event.metadata.to_vec(), ..record });
        }
        Ok(Composed { append, fences })
    }

    /// The log's own answer, or why there is none.
    async fn submit(
        &self,
        writing: &Writing,
        append: Append,
        turn: OwnedSemaphorePermit,
    ) -> Result<Result<Appended, AppendError>, Refusal> {
        let charge = self.charge(append.size() as u64, turn, writing)?;
        let (answered, answer) = tokio::sync::oneshot::channel();
        let reply = Box::new(move |answer: prooflog_log::Answer| {
            if answer.is_ok() {
                charge.keep();
            }
            drop(answered.send(answer));
        });
        if let Err(error) = writing.door.submit(append, reply) {
            return Ok(Err(error));
        }
        let answer = tokio::time::timeout(self.patience, answer).await.map_err(|_| Refusal::Timeout)?;
        Ok(answer.unwrap_or(Err(AppendError::Closed)))
    }

    /// A part of what outsiders may have under way, so that a batch of the engine never waits for much of theirs.
    async fn turn(&self, size: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let share = kib(size).clamp(1, UNDER_WAY_KIB);
        if let Ok(turn) = Arc::clone(&self.under_way).try_acquire_many_owned(share) {
            return Ok(turn);
        }
        let turn = Arc::clone(&self.under_way).acquire_many_owned(share);
        let turn = tokio::time::timeout(self.patience, turn).await;
        turn.map_err(|_| Refusal::Timeout)?.map_err(|_| Refusal::Unavailable("nothing is written".to_owned()))
    }

    /// Takes `size` from the day's bytes, if the disk and the day have room for it. Given back unless it is kept.
    fn charge(&self, size: u64, turn: OwnedSemaphorePermit, writing: &Writing) -> Result<Charge, Refusal> {
        if !(writing.room)() {
            return Err(Refusal::Exhausted("the disk has no room for outside writers"));
        }
        let mut used = self.used_today();
        let after = used.1.saturating_add(size);
        if after > writing.bytes_per_day {
            return Err(Refusal::Exhausted("the day's bytes of outside writers are used up"));
        }
        used.1 = after;
        Ok(Charge { used: Arc::clone(&self.used), day: used.0, size, _turn: turn })
    }

    fn used_today(&self) -> std::sync::MutexGuard<'_, (u64, u64)> {
        let today = (self.clock)().0 / DAY;
        let mut used = lock(&self.used);
        if used.0 != today {
            *used = (today, 0);
        }
        used
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Facts>> {
        lock(&self.known)
    }

    fn remember(&self, stream: &str, facts: Facts) {
        let mut known = self.known();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(stream.to_owned(), facts);
    }

    /// What an order changed is read again when it is needed.
    fn forget_changed(&self, order: &Order, facts: &[Facts]) {
        for (target, facts) in order.targets.iter().zip(facts) {
            if facts.is_deleted() {
                self.known().remove(&target.name);
            }
            if let Some(described) = names::described_by(&target.name) {
                self.known().remove(described);
            }
        }
    }
}

impl Proposed {
    /// Bytes that it counts for.
    pub(crate) fn size(&self) -> usize {
        self.data.len().saturating_add(self.metadata.len()).saturating_add(self.type_name.len())
    }

    /// Refuses what cannot be an event of a client.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.type_name.is_empty() || self.type_name.len() > TYPE_NAME_BYTES_MAX {
            return Err(Refusal::Invalid(format!("an event's type has 1 to {TYPE_NAME_BYTES_MAX} bytes")));
        }
        if self.type_name == TOMBSTONE {
            return Err(Refusal::invalid("a stream is deleted by the call for it"));
        }
        Ok(())
    }
}

/// What an event belongs to, where its metadata say so in the way that the protocol's tools do: questions about that
/// find it.
pub(crate) fn correlation(metadata: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Said<'a> {
        #[serde(rename = "$correlationId", borrow)]
        id: std::borrow::Cow<'a, str>,
    }
    if metadata.is_empty() {
        return String::new();
    }
    let said = serde_json::from_slice::<Said<'_>>(metadata).ok();
    said.filter(|said| said.id.len() <= LABEL_BYTES_MAX).map(|said| said.id.into_owned()).unwrap_or_default()
}

/// An event of the server's own about a stream.
fn marker(stream: &str, type_name: &str, json: Vec<u8>) -> Result<NewRecord, Refusal> {
    Ok(NewRecord::foreign(stream, random_id()?, type_name, Content::Json, json))
}

/// An id for an event that comes without one.
pub(crate) fn random_id() -> Result<EventId, Refusal> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Refusal::Unavailable("there is no randomness".to_owned()))?;
    Ok(EventId(*uuid::Builder::from_random_bytes(bytes).as_uuid().as_bytes()))
}

/// Bytes that the log counts beside a client's: the stream's name, and an event about its metadata.
const BESIDE: usize = 8 << 10;

fn check_sizes(order: &Order) -> Result<(), Refusal> {
    let mut sum = 0_usize;
    for (at, event) in &order.events {
        event.check()?;
        let stream = order.targets.get(*at).map_or("", |target| target.name.as_str());
        let size = event.size();
        sum = sum.saturating_add(size).saturating_add(stream.len());
        let is_metadata = names::described_by(stream).is_some();
        let max = if is_metadata { METADATA_BYTES } else { EVENT_BYTES_MAX - BESIDE };
        if size > max {
            let event_id = uuid::Uuid::from_bytes(event.id.0).to_string();
            return Err(Refusal::EventTooLarge { stream: stream.to_owned(), event_id, size, max });
        }
    }
    let max = BATCH_BYTES_MAX - BESIDE;
    if sum > max || order.events.len() >= BATCH_EVENTS_MAX {
        return Err(Refusal::AppendTooLarge { size: sum, max });
    }
    Ok(())
}

/// What the log is to expect of a stream, given what its metadata say.
fn expected(target: &Target, facts: &Facts) -> Result<Expected, Refusal> {
    let stream = || target.name.clone();
    let wrong = || Refusal::WrongVersion { stream: stream(), expected: target.expect, actual: facts.last };
    match (target.expect, facts.is_deleted()) {
        (Expect::Tombstoned, _) if facts.tombstoned => return Ok(Expected::Any),
        (Expect::Tombstoned, _) | (Expect::Deleted, false) => return Err(wrong()),
        _ => facts.refuse_tombstoned(&target.name)?,
    }
    Ok(match (target.expect, facts.is_deleted()) {
        (Expect::Exists, true) => return Err(Refusal::Deleted { stream: stream(), forever: Forever::No }),
        // A deleted stream is as good as none, and its numbers go on.
        (Expect::NoStream, true) => exactly(facts.last),
        (Expect::NoStream, false) => Expected::NoStream,
        (Expect::Exact(revision), _) => Expected::Exact(Revision(revision)),
        // Metadata alone make a stream exist.
        (Expect::Exists, false) if facts.metadata.is_none() => Expected::Exists,
        (Expect::Exists | Expect::Any | Expect::Deleted | Expect::Tombstoned, _) => Expected::Any,
    })
}

fn exactly(last: Option<u64>) -> Expected {
    last.map_or(Expected::NoStream, |last| Expected::Exact(Revision(last)))
}

/// What a deletion expects of its stream.
fn exactly_or(expect: Expect, last: Option<u64>) -> Expected {
    match expect {
        Expect::Exact(revision) => Expected::Exact(Revision(revision)),
        Expect::Exists => Expected::Exists,
        Expect::NoStream => exactly(last),
        Expect::Any | Expect::Deleted | Expect::Tombstoned => Expected::Any,
    }
}

fn refused(error: AppendError) -> Refusal {
    match error {
        AppendError::TooLarge { size, max, .. } => Refusal::AppendTooLarge { size, max },
        AppendError::Invalid(text) => Refusal::Invalid(text),
        AppendError::IdReused { stream, revision, .. } => {
            Refusal::WrongVersion { stream, expected: Expect::Any, actual: Some(revision.0) }
        }
        AppendError::Busy => Refusal::Unavailable("the log is busy".to_owned()),
        AppendError::Conflict { stream, current, .. } => {
            Refusal::WrongVersion { stream, expected: Expect::Any, actual: current.map(|r| r.0) }
        }
        AppendError::MissingBlob(_)
        | AppendError::WriteFailed(_)
        | AppendError::Poisoned(_)
        | AppendError::Read(_)
        | AppendError::Closed => {
            tracing::error!(%error, "an append of a client failed");
            Refusal::Unavailable("the log cannot be written now".to_owned())
        }
    }
}
