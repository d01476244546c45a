//! First stage of the writer: turns appends into records, one after another.
//!
//! It alone assigns positions, revisions, ids, times and hashes, on the state after everything that it sequenced
//! before, written or not yet. Every check is made before anything changes, so a refused append leaves no trace.
//! What a crash means: what was sequenced and not written is gone, and nobody was told that it happened.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use prooflog_events::envelope::{Actor, Causation, Cause, Envelope, native_event_id, record_hash};
use prooflog_events::ids::{EventId, Hash32, LogId, Micros, Position, Revision};
use prooflog_events::limits::IDEMPOTENCE_WINDOW;
use prooflog_events::port::{Blob, Direction, Head, SequenceError, SequenceRead, StreamScan};

use crate::append::{Append, AppendError, Appended, By, Expected, NewRecord, Outcome};
use crate::check::check;
use crate::fresh::Fresh;
use crate::group::{Group, lock};
use crate::heads::Heads;
use crate::record::undecodable;
use crate::window::{ContentOf, Known, Window};

/// State of the first stage.
#[derive(Debug)]
pub(crate) struct Sequencer {
    log: LogId,
    head: Head,
    recorded_at: Micros,
    heads: Heads,
    window: Window,
}

/// One stream of an append.
struct Plan {
    name: Arc<str>,
    expected: Expected,
    current: Option<Revision>,
    records: Vec<usize>,
}

/// Names in the order in which they came, and the place of each. Most appends have a few, which are compared faster than
/// they are hashed.
#[derive(Default)]
struct Slots<'a> {
    names: Vec<&'a str>,
    many: HashMap<&'a str, usize>,
}

impl<'a> Slots<'a> {
    const FEW: usize = 8;

    fn insert(&mut self, name: &'a str) {
        let place = self.names.len();
        self.names.push(name);
        if place == Self::FEW {
            self.many = self.names.iter().copied().zip(0..).collect();
        } else if place > Self::FEW {
            self.many.insert(name, place);
        }
    }

    fn get(&self, name: &str) -> Option<usize> {
        if self.names.len() <= Self::FEW {
            return self.names.iter().position(|known| *known == name);
        }
        self.many.get(name).copied()
    }
}

/// What the ids of one stream's events say.
enum Seen {
    /// They are to be written.
    Fresh,
    /// All of them were written before: the last revision, first and last position.
    Before(Revision, Position, Position),
}

impl Sequencer {
    /// Learns the newest ids, heads and the last time from the log.
    pub(crate) fn open<S: SequenceRead + ?Sized>(sequence: &S) -> Result<Self, SequenceError> {
        let head = sequence.head()?;
        let mut this = Self {
            log: sequence.log_id(),
            head,
            recorded_at: Micros(0),
            heads: Heads::default(),
            window: Window::default(),
        };
        let first = head.position.0.saturating_sub(IDEMPOTENCE_WINDOW as u64) + 1;
        let mut failure = None;
        sequence.scan(Position(first), head.position, Direction::Forward, &mut |position, stored| {
            match Envelope::decode(stored) {
                Ok(envelope) => {
                    this.remember(&envelope);
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failure = Some(undecodable(position, &error));
                    ControlFlow::Break(())
                }
            }
        })?;
        failure.map_or(Ok(this), Err)
    }

    fn remember(&mut self, envelope: &Envelope<'_>) {
        let stream =
            self.heads.get(envelope.stream).map_or_else(|| Arc::from(envelope.stream), |(name, _)| name);
        self.heads.set(&stream, Some(envelope.revision));
        let content = self.window.digest(ContentOf {
            type_name: envelope.type_name,
            version: envelope.version,
            kind: envelope.content,
            metadata: envelope.metadata,
            payload: envelope.payload,
        });
        let known = Known { revision: envelope.revision, position: envelope.position, content };
        self.window.insert(envelope.event_id, stream, known);
        self.recorded_at = envelope.recorded_at;
    }

    /// The head after everything sequenced so far.
    pub(crate) const fn head(&self) -> Head {
        self.head
    }

    /// Checks one append and adds its records to `group`, or says why not.
    pub(crate) fn sequence<S: SequenceRead + ?Sized>(
        &mut self,
        sequence: &S,
        mut append: Append,
        group: &mut Group,
        fresh: &Mutex<Fresh>,
    ) -> Result<Appended, AppendError> {
        check(&append)?;
        let mut blobs = std::mem::take(&mut append.blobs);
        let named = std::mem::take(&mut append.named);
        let mut forget = std::mem::take(&mut append.forget);
        let mut plans = self.plans(sequence, &append)?;
        if let Some(answer) = self.settle(sequence, &append, &plans)? {
            return Ok(answer);
        }
        let mut fresh = lock(fresh);
        let brings = |blobs: &[Blob], hash: &Hash32| blobs.iter().any(|blob| blob.hash == *hash);
        for hash in &named {
            let beside = brings(&blobs, hash) || brings(&group.blobs, hash);
            if !beside && !fresh.is_kept(sequence, *hash)? {
                return Err(AppendError::MissingBlob(*hash));
            }
        }
        let first = self.head.position.next();
        self.write(&append, &mut plans, group);
        blobs.extend(named.iter().filter_map(|hash| fresh.named(*hash)));
        forget.retain(|hash| !named.contains(hash) && !brings(&blobs, hash));
        group.forget(&fresh.give_up(&blobs, forget, self.head.position));
        group.blobs.extend(blobs);
        group.named.extend(named);
        let revisions = plans.iter().map(|plan| (plan.name.as_ref().to_owned(), plan.current)).collect();
        Ok(Appended { outcome: Outcome::Written, first, last: self.head.position, revisions })
    }

    /// The streams of an append, written ones and expected ones, with where they are.
    fn plans<S: SequenceRead + ?Sized>(
        &mut self,
        sequence: &S,
        append: &Append,
    ) -> Result<Vec<Plan>, AppendError> {
        let mut index = Slots::default();
        let mut plans: Vec<Plan> = Vec::with_capacity(append.expectations.len().max(1));
        for expectation in &append.expectations {
            index.insert(&expectation.stream);
            plans.push(self.plan(sequence, &expectation.stream, expectation.expected)?);
        }
        for (at, record) in append.records.iter().enumerate() {
            let slot = index.get(&record.stream);
            match slot.and_then(|slot| plans.get_mut(slot)) {
                Some(plan) => plan.records.push(at),
                None => {
                    index.insert(&record.stream);
                    let plan = self.plan(sequence, &record.stream, Expected::Any)?;
                    plans.push(Plan { records: vec![at], ..plan });
                }
            }
        }
        Ok(plans)
    }

    /// Where a stream is, and what is expected of it.
    fn plan<S: SequenceRead + ?Sized>(
        &mut self,
        sequence: &S,
        stream: &str,
        expected: Expected,
    ) -> Result<Plan, AppendError> {
        if let Some((name, current)) = self.heads.get(stream) {
            return Ok(Plan { name, expected, current, records: Vec::new() });
        }
        let current = sequence.stream_head(stream).map_err(AppendError::Read)?.map(|head| head.revision);
        let name: Arc<str> = Arc::from(stream);
        self.heads.set(&name, current);
        Ok(Plan { name, expected, current, records: Vec::new() })
    }

    /// Answers an append that writes nothing: a repeated or an empty one. `None` means that it is to be written.
    fn settle<S: SequenceRead + ?Sized>(
        &mut self,
        sequence: &S,
        append: &Append,
        plans: &[Plan],
    ) -> Result<Option<Appended>, AppendError> {
        let mut before = None;
        let mut fresh = append.records.is_empty();
        let mut unmet = None;
        let mut revisions = Vec::new();
        for plan in plans {
            let holds = holds(plan.expected, plan.current);
            if plan.records.is_empty() {
                unmet = unmet.or((!holds).then_some(plan));
                revisions.push((plan.name.as_ref().to_owned(), plan.current));
                continue;
            }
            match self.seen(sequence, append, plan, holds)? {
                Seen::Fresh => fresh = true,
                Seen::Before(last, low, high) => {
                    unmet = unmet.or((!holds).then_some(plan));
                    let (first, end) = before.unwrap_or((low, high));
                    before = Some((low.min(first), high.max(end)));
                    revisions.push((plan.name.as_ref().to_owned(), Some(last)));
                }
            }
        }
        match before {
            Some((first, last)) if !fresh => {
                Ok(Some(Appended { outcome: Outcome::Repeated, first, last, revisions }))
            }
            // Some of the ids are there and some are not: this is not the append that wrote them.
            Some(_) => Err(plans.iter().find(|plan| !plan.records.is_empty()).map_or_else(
                || AppendError::Invalid("an append without streams".to_owned()),
                |plan| conflict(unmet.unwrap_or(plan)),
            )),
            None => match unmet {
                Some(plan) => Err(conflict(plan)),
                None if append.records.is_empty() => {
                    let head = self.head.position;
                    Ok(Some(Appended { outcome: Outcome::Empty, first: head, last: head, revisions }))
                }
                None => Ok(None),
            },
        }
    }

    /// Whether the events of one stream were written before.
    fn seen<S: SequenceRead + ?Sized>(
        &mut self,
        sequence: &S,
        append: &Append,
        plan: &Plan,
        holds: bool,
    ) -> Result<Seen, AppendError> {
        let next = match plan.expected {
            Expected::Any | Expected::Exists => return self.seen_anywhere(append, plan, holds),
            Expected::NoStream => 0,
            Expected::Exact(revision) => revision.0.saturating_add(1),
        };
        if holds {
            self.refuse_reuse(append, plan)?;
            return Ok(Seen::Fresh);
        }
        let last = next.saturating_add(plan.records.len() as u64).saturating_sub(1);
        if plan.current.is_none_or(|current| current.0 < last) {
            return Err(conflict(plan));
        }
        let mut span: Option<(Position, Position)> = None;
        for (revision, at) in (next..).zip(&plan.records) {
            let Some(record) = append.records.get(*at) else { continue };
            let revision = Revision(revision);
            let id = record.event_id.unwrap_or_else(|| native_event_id(self.log, &plan.name, revision));
            let Some(known) = self.find(sequence, plan, revision, id)? else {
                return Err(conflict(plan));
            };
            self.same_content(record, id, known)?;
            span = Some((span.map_or(known.position, |(low, _)| low), known.position));
        }
        span.map_or(Ok(Seen::Fresh), |(low, high)| Ok(Seen::Before(Revision(last), low, high)))
    }

    /// Without a definite revision the ids are looked for among the last ones: all known means repeated, a known one
    /// followed by an unknown one is a conflict.
    fn seen_anywhere(&mut self, append: &Append, plan: &Plan, holds: bool) -> Result<Seen, AppendError> {
        if !holds {
            return Err(conflict(plan));
        }
        self.refuse_reuse(append, plan)?;
        let mut found: Option<(Revision, Position, Position)> = None;
        for (nth, at) in plan.records.iter().enumerate() {
            let id = append.records.get(*at).and_then(|record| record.event_id);
            match (id.and_then(|id| self.window.get(id, &plan.name)), found) {
                (Some(known), None) => found = Some((known.revision, known.position, known.position)),
                (Some(known), Some((last, low, high))) => {
                    found =
                        Some((last.max(known.revision), low.min(known.position), high.max(known.position)));
                }
                (None, None) if nth == 0 => return Ok(Seen::Fresh),
                (None, _) => return Err(conflict(plan)),
            }
        }
        Ok(found.map_or(Seen::Fresh, |(last, low, high)| Seen::Before(last, low, high)))
    }

    /// An id of this append that stands in the stream with other content is never written a second time.
    fn refuse_reuse(&mut self, append: &Append, plan: &Plan) -> Result<(), AppendError> {
        for record in plan.records.iter().filter_map(|at| append.records.get(*at)) {
            if let Some(id) = record.event_id
                && let Some(known) = self.window.get(id, &plan.name)
            {
                self.same_content(record, id, known)?;
            }
        }
        Ok(())
    }

    fn same_content(&self, record: &NewRecord, event_id: EventId, known: Known) -> Result<(), AppendError> {
        if self.window.digest(content(record)) == known.content {
            return Ok(());
        }
        Err(AppendError::IdReused { event_id, stream: record.stream.clone(), revision: known.revision })
    }

    /// The event `id` at `revision` of `stream`: among the last ones, which hold all that is not yet written, or read.
    fn find<S: SequenceRead + ?Sized>(
        &mut self,
        sequence: &S,
        plan: &Plan,
        revision: Revision,
        id: EventId,
    ) -> Result<Option<Known>, AppendError> {
        if let Some(known) = self.window.get(id, &plan.name)
            && known.revision == revision
        {
            return Ok(Some(known));
        }
        let bound = sequence.head().map_err(AppendError::Read)?.position;
        let mut found = Ok(None);
        let scan = StreamScan { stream: &plan.name, from: revision, direction: Direction::Forward, bound };
        let digests = &self.window;
        sequence
            .scan_stream(scan, &mut |position, stored| {
                found =
                    Envelope::decode(stored).map_err(|error| undecodable(position, &error)).map(|event| {
                        let content = digests.digest(ContentOf {
                            type_name: event.type_name,
                            version: event.version,
                            kind: event.content,
                            metadata: event.metadata,
                            payload: event.payload,
                        });
                        let here = event.revision == revision && event.event_id == id;
                        here.then_some(Known { revision, position, content })
                    });
                ControlFlow::Break(())
            })
            .map_err(AppendError::Read)?;
        found.map_err(AppendError::Read)
    }

    /// Adds the records; nothing can fail any more.
    fn write(&mut self, append: &Append, plans: &mut [Plan], group: &mut Group) {
        let batch_first = self.head.position.next();
        let batch_len = u32::try_from(append.records.len()).unwrap_or(u32::MAX);
        self.recorded_at = self.recorded_at.max(append.now);
        let mut plan_of = vec![0; append.records.len()];
        for (slot, plan) in plans.iter().enumerate() {
            for at in &plan.records {
                if let Some(entry) = plan_of.get_mut(*at) {
                    *entry = slot;
                }
            }
        }
        let mut cause = append.cause.as_ref();
        for (record, slot) in append.records.iter().zip(plan_of) {
            let Some(plan) = plans.get_mut(slot) else { continue };
            let revision = plan.current.map_or(Revision(0), |current| Revision(current.0.saturating_add(1)));
            plan.current = Some(revision);
            let position = self.head.position.next();
            let event_id =
                record.event_id.unwrap_or_else(|| native_event_id(self.log, &record.stream, revision));
            let envelope = Envelope {
                position,
                stream: &record.stream,
                revision,
                type_name: &record.type_name,
                event_id,
                version: record.version,
                content: record.content,
                recorded_at: self.recorded_at,
                correlation: &record.correlation,
                causation: record.causation.as_ref().map(|event| Causation {
                    event_id: event.event_id,
                    stream: &event.stream,
                    revision: event.revision,
                }),
                actor: actor(&append.by),
                batch_first,
                batch_len,
                prev: self.head.hash,
                cause: cause.take().map(|cause| Cause {
                    name: &cause.name,
                    version: cause.version,
                    bytes: &cause.bytes,
                }),
                metadata: &record.metadata,
                payload: &record.payload,
            };
            let stored = group.records.push_with(|bytes| envelope.encode_into(bytes));
            self.head = Head { position, hash: record_hash(stored) };
            let digest = self.window.digest(content(record));
            self.window.insert(
                event_id,
                Arc::clone(&plan.name),
                Known { revision, position, content: digest },
            );
        }
        for plan in plans.iter().filter(|plan| !plan.records.is_empty()) {
            self.heads.set(&plan.name, plan.current);
        }
        group.head = self.head;
    }
}

fn content(record: &NewRecord) -> ContentOf<'_> {
    ContentOf {
        type_name: &record.type_name,
        version: record.version,
        kind: record.content,
        metadata: &record.metadata,
        payload: &record.payload,
    }
}

fn actor(by: &By) -> Actor<'_> {
    match by {
        By::Scheduler => Actor::Scheduler,
        By::Operator(name) => Actor::Operator(name),
        By::Client(user) => Actor::Client(user),
        By::Import => Actor::Import,
        By::System => Actor::System,
    }
}

fn holds(expected: Expected, current: Option<Revision>) -> bool {
    match expected {
        Expected::Any => true,
        Expected::NoStream => current.is_none(),
        Expected::Exists => current.is_some(),
        Expected::Exact(revision) => current == Some(revision),
    }
}

fn conflict(plan: &Plan) -> AppendError {
    AppendError::Conflict {
        stream: plan.name.as_ref().to_owned(),
        expected: plan.expected,
        current: plan.current,
    }
}
