//! The newest records, shared by all live subscriptions, and who is woken for them.
//!
//! One thread follows the log while anybody listens. An event is turned into an answer once for each form of ids, by
//! the first subscription that sends it. Who listens to one stream is woken for its events only. Those who listen to
//! everything are woken together, with a pause that grows with their number, so that delivery never takes more than a
//! fixed share of a processor from the writer. Who falls behind the bounded ring reads from the log again. What a
//! crash means: nothing; a subscription is a place in the log.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prooflog_events::envelope::{Envelope, Peek};
use prooflog_events::ids::{Position, Revision};
use prooflog_events::port::SequenceError;
use prooflog_log::Record;
use tokio::sync::Notify;

use crate::error::Refusal;
use crate::filter::Wanted;
use crate::limits::{LOOK_RECORDS, PAUSE_MAX, PAUSE_PER_SUBSCRIPTION, TAIL_BYTES, TAIL_RECORDS};
use crate::lock;
use crate::show::{self, IdForm};
use crate::source::Source;

/// How long the thread waits for something to come before it looks whether it should end.
const WAIT: Duration = Duration::from_millis(200);
/// How long it waits after the log could not be read.
const RETRY: Duration = Duration::from_millis(500);

/// What a subscription listens to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Interest {
    Everything,
    Stream(Arc<str>),
}

/// One of the newest records.
pub(crate) struct Entry {
    record: Record,
    stream: Arc<str>,
    revision: Revision,
    type_name: Box<str>,
    frames: [OnceLock<Bytes>; 2],
}

impl Entry {
    fn new(record: Record) -> Result<Self, SequenceError> {
        let peek = Peek::decode(record.stored())
            .map_err(|error| SequenceError::damaged(record.position(), error.to_string()))?;
        let (stream, revision, type_name) =
            (Arc::from(peek.stream), peek.revision, Box::from(peek.type_name));
        Ok(Self { record, stream, revision, type_name, frames: Default::default() })
    }

    pub(crate) fn position(&self) -> Position {
        self.record.position()
    }

    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    pub(crate) fn type_name(&self) -> &str {
        &self.type_name
    }

    pub(crate) fn stored(&self) -> &[u8] {
        self.record.stored()
    }

    pub(crate) fn peek(&self) -> Peek<'_> {
        Peek {
            position: self.position(),
            stream: &self.stream,
            revision: self.revision,
            type_name: &self.type_name,
        }
    }

    pub(crate) fn envelope(&self) -> Result<Envelope<'_>, Refusal> {
        Ok(self.record.envelope()?)
    }

    /// The answer that shows it.
    pub(crate) fn frame(&self, ids: IdForm) -> Result<Bytes, Refusal> {
        let [text, numbers] = &self.frames;
        let frame = if ids == IdForm::Text { text } else { numbers };
        if let Some(frame) = frame.get() {
            return Ok(frame.clone());
        }
        let made = show::frame(self.stored(), &self.envelope()?, ids);
        Ok(frame.get_or_init(|| made).clone())
    }
}

/// What the ring holds after some place.
pub(crate) enum Taken {
    /// What comes next.
    Entries(Look),
    /// Nothing has come yet.
    Nothing,
    /// What comes next is not in the ring, or may not be: the log knows.
    Elsewhere,
}

/// A look at what came.
pub(crate) struct Look {
    /// What was found.
    pub(crate) entries: Vec<Arc<Entry>>,
    /// Everything up to here was looked at.
    pub(crate) through: Position,
    /// There may be more.
    pub(crate) more: bool,
}

impl Look {
    fn of(entries: Vec<Arc<Entry>>) -> Taken {
        let more = entries.len() >= TAIL_RECORDS;
        match entries.last().map(|last| last.position()) {
            Some(through) => Taken::Entries(Self { entries, through, more }),
            None => Taken::Nothing,
        }
    }
}

/// The newest records, gapless.
#[derive(Default)]
struct Ring {
    /// Position of the first entry, or of the next one; none while nobody follows.
    first: Option<Position>,
    entries: VecDeque<Arc<Entry>>,
    /// Sorted, so that a beginning of names is a range.
    streams: BTreeMap<Arc<str>, VecDeque<Position>>,
    bytes: usize,
}

impl Ring {
    fn begin(&mut self, at: Option<Position>) {
        *self = Self { first: at, ..Self::default() };
    }

    fn push(&mut self, entry: Arc<Entry>) {
        self.bytes = self.bytes.saturating_add(entry.stored().len());
        self.streams.entry(Arc::clone(&entry.stream)).or_default().push_back(entry.position());
        self.entries.push_back(entry);
        while self.bytes > TAIL_BYTES && self.entries.len() > 1 {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(oldest.stored().len());
            self.first = Some(oldest.position().next());
            if let Some(positions) = self.streams.get_mut(&oldest.stream) {
                positions.pop_front();
                if positions.is_empty() {
                    self.streams.remove(&oldest.stream);
                }
            }
        }
    }

    fn at(&self, position: Position) -> Option<&Arc<Entry>> {
        let index = position.0.checked_sub(self.first?.0)?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// What comes at `next` and after; none if some of it may be gone.
    fn entries_from(&self, next: Position) -> Option<impl Iterator<Item = &Arc<Entry>>> {
        let first = self.first.filter(|first| *first <= next)?;
        let skip = usize::try_from(next.0.saturating_sub(first.0)).unwrap_or(usize::MAX);
        Some(self.entries.iter().skip(skip))
    }

    fn after(&self, next: Position) -> Taken {
        let Some(entries) = self.entries_from(next) else { return Taken::Elsewhere };
        Look::of(entries.take(TAIL_RECORDS).cloned().collect())
    }

    /// As [`Ring::after`], only what is wanted. Where beginnings of stream names are, the others cost nothing; else a
    /// comparison each.
    fn pick(&self, next: Position, wanted: &Wanted) -> Result<Taken, Refusal> {
        let Some(there) = self.entries_from(next) else { return Ok(Taken::Elsewhere) };
        if let Some(picked) = wanted.beginnings().and_then(|beginnings| self.beginning(next, beginnings)) {
            return Ok(picked);
        }
        let (mut entries, mut through, mut looked) = (Vec::new(), None, 0);
        for entry in there.take(LOOK_RECORDS) {
            (through, looked) = (Some(entry.position()), looked + 1);
            if wanted.matches(&entry.peek())? {
                entries.push(Arc::clone(entry));
                if entries.len() >= TAIL_RECORDS {
                    break;
                }
            }
        }
        let more = looked >= LOOK_RECORDS || entries.len() >= TAIL_RECORDS;
        Ok(through.map_or(Taken::Nothing, |through| Taken::Entries(Look { entries, through, more })))
    }

    /// What comes at `next` and after of the streams whose names begin so; none where so many do that looking at each
    /// event is quicker.
    fn beginning(&self, next: Position, beginnings: &[String]) -> Option<Taken> {
        let Some(last) = self.entries.back().map(|last| last.position()).filter(|last| *last >= next) else {
            return Some(Taken::Nothing);
        };
        let mut streams_left = last.0.saturating_sub(next.0) + 1;
        let mut found: Vec<&Position> = Vec::new();
        for beginning in beginnings {
            let from = (Bound::Included(beginning.as_str()), Bound::Unbounded);
            let range = self.streams.range::<str, _>(from);
            for (_, positions) in range.take_while(|(name, _)| name.starts_with(beginning)) {
                streams_left = streams_left.checked_sub(1)?;
                let skip = positions.partition_point(|position| *position < next);
                found.extend(positions.iter().skip(skip).take(TAIL_RECORDS));
            }
        }
        found.sort_unstable();
        found.dedup();
        let more = found.len() >= TAIL_RECORDS;
        found.truncate(TAIL_RECORDS);
        let through = found.last().filter(|_| more).map_or(last, |last| **last);
        let entries = found.into_iter().filter_map(|position| self.at(*position).cloned()).collect();
        Some(Taken::Entries(Look { entries, through, more }))
    }

    fn of_stream(&self, stream: &str, next: Revision, position: Position) -> Taken {
        let Some(positions) = self.streams.get(stream) else {
            return match self.first {
                Some(first) if first <= position => Taken::Nothing,
                _ => Taken::Elsewhere,
            };
        };
        // Revisions have no gaps, so the place of one follows from that of the first.
        let first = positions.front().and_then(|first| self.at(*first)).map(|entry| entry.revision.0);
        let Some(skip) = first.and_then(|first| next.0.checked_sub(first)) else { return Taken::Elsewhere };
        let wanted = positions.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX)).take(TAIL_RECORDS);
        Look::of(wanted.filter_map(|position| self.at(*position).cloned()).collect())
    }
}

/// Who is woken.
#[derive(Default)]
struct Ears {
    count: u64,
    everyone: HashMap<u64, Arc<Notify>>,
    streams: HashMap<Arc<str>, HashMap<u64, Arc<Notify>>>,
}

impl Ears {
    fn is_empty(&self) -> bool {
        self.everyone.is_empty() && self.streams.is_empty()
    }

    fn wake_everyone(&self) {
        self.everyone.values().for_each(|ear| ear.notify_one());
    }

    fn wake_all(&self) {
        self.wake_everyone();
        self.streams.values().flat_map(HashMap::values).for_each(|ear| ear.notify_one());
    }

    fn wake_stream(&self, stream: &str) {
        if let Some(ears) = self.streams.get(stream) {
            ears.values().for_each(|ear| ear.notify_one());
        }
    }
}

/// The ring, the listeners and the thread between the log and them.
pub(crate) struct Tail {
    ring: RwLock<Ring>,
    ears: Mutex<Ears>,
    /// Somebody listens, or it is over.
    called: Condvar,
    stopping: AtomicBool,
}

/// A place among those who are woken.
pub(crate) struct Ear {
    tail: Arc<Tail>,
    id: u64,
    interest: Interest,
    notify: Arc<Notify>,
}

impl Ear {
    /// Waits until something came that may be of interest, since the last time.
    pub(crate) async fn heard(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let mut ears = self.tail.ears();
        match &self.interest {
            Interest::Everything => drop(ears.everyone.remove(&self.id)),
            Interest::Stream(stream) => {
                if let Some(others) = ears.streams.get_mut(stream) {
                    others.remove(&self.id);
                    if others.is_empty() {
                        ears.streams.remove(stream);
                    }
                }
            }
        }
    }
}

/// The thread that follows; ends when it is dropped.
pub(crate) struct Following {
    tail: Arc<Tail>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.tail.stopping.store(true, Ordering::Release);
        self.tail.called.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing more to say.
            let _ = thread.join();
        }
    }
}

impl Tail {
    /// Begins to follow `source` as soon as somebody listens.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn start(source: Arc<dyn Source>) -> std::io::Result<(Arc<Self>, Following)> {
        let tail = Arc::new(Self {
            ring: RwLock::default(),
            ears: Mutex::default(),
            called: Condvar::new(),
            stopping: AtomicBool::new(false),
        });
        let here = Arc::clone(&tail);
        let thread = std::thread::Builder::new().name("eventstore-follow".to_owned());
        let thread = thread.spawn(move || here.run(&*source))?;
        Ok((Arc::clone(&tail), Following { tail, thread: Some(thread) }))
    }

    /// Listens from now on.
    pub(crate) fn listen(self: &Arc<Self>, interest: Interest) -> Ear {
        let notify = Arc::new(Notify::new());
        let mut ears = self.ears();
        let was_empty = ears.is_empty();
        ears.count += 1;
        let id = ears.count;
        match &interest {
            Interest::Everything => ears.everyone.insert(id, Arc::clone(&notify)),
            Interest::Stream(stream) => {
                ears.streams.entry(Arc::clone(stream)).or_default().insert(id, Arc::clone(&notify))
            }
        };
        drop(ears);
        if was_empty {
            self.called.notify_all();
        }
        Ear { tail: Arc::clone(self), id, interest, notify }
    }

    /// A name for a subscription that no other one of this process has.
    pub(crate) fn name(&self) -> String {
        let mut ears = self.ears();
        ears.count += 1;
        uuid::Uuid::from_u128(u128::from(ears.count)).hyphenated().to_string()
    }

    /// What comes at `position` and after, of the whole log.
    pub(crate) fn after(&self, position: Position) -> Taken {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).after(position)
    }

    /// What is wanted of what comes at `position` and after, and how far it was looked for. For filters that are quick: no
    /// record is taken in meanwhile.
    pub(crate) fn pick(&self, position: Position, wanted: &Wanted) -> Result<Taken, Refusal> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).pick(position, wanted)
    }

    /// What comes at `next` and after, of one stream of which everything below `position` is known.
    pub(crate) fn of_stream(&self, stream: &str, next: Revision, position: Position) -> Taken {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).of_stream(stream, next, position)
    }

    fn ears(&self) -> MutexGuard<'_, Ears> {
        lock(&self.ears)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn begin(&self, at: Option<Position>) {
        self.ring.write().unwrap_or_else(PoisonError::into_inner).begin(at);
    }

    fn run(&self, source: &dyn Source) {
        while self.wait_for_listeners() {
            if let Err(error) = self.follow(source) {
                tracing::error!(%error, "the log cannot be followed");
                self.ears().wake_all();
                let ears = self.ears();
                drop(self.called.wait_timeout(ears, RETRY));
            }
            self.begin(None);
        }
    }

    /// Waits until somebody listens; `false` when it is over.
    fn wait_for_listeners(&self) -> bool {
        let mut ears = self.ears();
        while ears.is_empty() && !self.is_stopping() {
            ears = self.called.wait_timeout(ears, WAIT).unwrap_or_else(PoisonError::into_inner).0;
        }
        !self.is_stopping()
    }

    /// Follows while anybody listens.
    fn follow(&self, source: &dyn Source) -> Result<(), SequenceError> {
        let from = source.head()?.position.next();
        let mut following = source.follow(from);
        self.begin(Some(from));
        // What came before the ring began is in the log, and nobody was woken for it.
        self.ears().wake_all();
        let mut owed = false;
        let mut rest_until = Instant::now();
        while !self.is_stopping() {
            let timeout = if owed { rest_until.saturating_duration_since(Instant::now()) } else { WAIT };
            let followed = following.next(TAIL_RECORDS * 4, timeout)?;
            owed |= !followed.records.is_empty();
            self.take_in(followed.records)?;
            let ears = self.ears();
            if ears.is_empty() {
                return Ok(());
            }
            if owed && rest_until <= Instant::now() {
                ears.wake_everyone();
                owed = false;
                let listening = u32::try_from(ears.everyone.len()).unwrap_or(u32::MAX);
                rest_until = Instant::now() + PAUSE_PER_SUBSCRIPTION.saturating_mul(listening).min(PAUSE_MAX);
            }
        }
        Ok(())
    }

    /// Adds records to the ring and wakes those who listen to their streams.
    fn take_in(&self, records: Vec<Record>) -> Result<(), SequenceError> {
        if records.is_empty() {
            return Ok(());
        }
        let entries = records.into_iter().map(|record| Entry::new(record).map(Arc::new));
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        entries.iter().for_each(|entry| ring.push(Arc::clone(entry)));
        drop(ring);
        let ears = self.ears();
        if !ears.streams.is_empty() {
            entries.iter().for_each(|entry| ears.wake_stream(&entry.stream));
        }
        Ok(())
    }
}
