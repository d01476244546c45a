//! Persistent subscriptions: groups of consumers whose progress the server keeps.
//!
//! Which groups there are is said by events of one stream ([`definition`]); what a group gives to whom is decided without
//! IO ([`delivery`]); a task for each group that has had a consumer does it ([`run`]). What was given up is linked to by
//! a stream of its own, in the same log. Who creates groups operates; who consumes may write, because parking does. What
//! a crash means: groups are as the log says, and consumers get again what they had since the last checkpoint.

mod asked;
mod checkpoints;
mod consumer;
mod definition;
mod delivered;
mod delivery;
mod info;
mod run;
mod service;

use std::collections::HashMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use prooflog_events::envelope::{Content, Envelope};
use prooflog_events::ids::EventId;
use prooflog_events::port::{Direction, SequenceError, StreamScan};
use prooflog_log::NewRecord;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use self::asked::Asked;
pub use self::checkpoints::{Checkpoint, Checkpoints, FileCheckpoints, MemoryCheckpoints};
use self::consumer::{Inbox, Outbox};
pub(crate) use self::definition::{CONFIG, PREFIX};
use self::definition::{Change, Created, Definition, Definitions, Key, Parked, Updated};
use self::delivery::Consumer;
use self::info::Progress;
pub(crate) use self::info::Seen;
use self::run::{Command, Run};
pub(crate) use self::service::Service;
use crate::authority::Caller;
use crate::error::{Problem, Refusal};
use crate::held;
use crate::limits::{CONSUMER_SLOTS, CONSUMERS_SLOTS, GROUP_COMMANDS, GROUPS};
use crate::read::Reading;
use crate::request::{From, Target};
use crate::show::IdForm;
use crate::wire::persistent_subscriptions::SubscriptionInfo;
use crate::writer::{Writer, random_id};

/// What groups need of the server.
pub(crate) struct Shared {
    pub(crate) reading: Arc<Reading>,
    pub(crate) writer: Arc<Writer>,
    pub(crate) checkpoints: Arc<dyn Checkpoints>,
}

impl Shared {
    /// What a group reads.
    fn target(&self, group: &Definition) -> Result<Target, Refusal> {
        match (group.key.is_all(), &group.filter) {
            (true, Some(filter)) => Ok(Target::All(Some(filter.filtered()?))),
            (true, None) => Ok(Target::All(None)),
            (false, _) => Ok(Target::Stream(group.key.source.clone())),
        }
    }

    async fn save(&self, group: EventId, checkpoint: Checkpoint) -> io::Result<()> {
        let checkpoints = Arc::clone(&self.checkpoints);
        let save = move || checkpoints.save(group, &checkpoint);
        tokio::task::spawn_blocking(save).await.map_err(io::Error::other)?
    }

    /// How far a group came, in a log whose end is `end`.
    async fn load(&self, group: &Definition, end: u64) -> Checkpoint {
        let (checkpoints, id) = (Arc::clone(&self.checkpoints), group.id);
        let loaded = tokio::task::spawn_blocking(move || checkpoints.load(id)).await;
        let name = group.key.subscription_id();
        let first_parked = group.replayed.first().map_or(group.parked_from, |first| first.start);
        let (source, of) = (group.key.source.clone(), group.key.group.clone());
        let start = Checkpoint { source, group: of, next: group.from, parked: first_parked };
        match loaded.map_err(io::Error::other).and_then(|loaded| loaded) {
            Ok(Some(found)) if found.next > end => {
                // The log was restored from a copy that is older than the checkpoint.
                tracing::warn!(
                    group = name,
                    checkpoint = found.next,
                    end,
                    "a checkpoint lies beyond the log"
                );
                Checkpoint { next: end, ..found }
            }
            Ok(Some(found)) => found,
            Ok(None) => start,
            Err(error) => {
                tracing::error!(group = name, %error, "a checkpoint is damaged: everything is given again");
                start
            }
        }
    }
}

/// All groups.
pub(crate) struct Groups {
    shared: Arc<Shared>,
    state: Mutex<State>,
    /// Events that consumers may have at once.
    slots: Arc<Semaphore>,
}

#[derive(Default)]
struct State {
    definitions: Definitions,
    running: HashMap<Key, Running>,
}

/// A group at work.
struct Running {
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

/// A consumer that was let in.
pub(crate) struct Joined {
    pub(crate) number: u64,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) inbox: Inbox,
}

impl Groups {
    pub(crate) fn new(shared: Shared) -> Self {
        let slots = Arc::new(Semaphore::new(CONSUMERS_SLOTS));
        Self { shared: Arc::new(shared), state: Mutex::default(), slots }
    }

    /// Who may create, change and end groups.
    fn admit(&self, caller: &Caller) -> Result<(), Refusal> {
        self.shared.writer.admit(caller)?;
        if caller.may_administer() { Ok(()) } else { Err(Refusal::AccessDenied) }
    }

    pub(crate) async fn create(&self, caller: &Caller, asked: Asked) -> Result<(), Refusal> {
        self.admit(caller)?;
        let Asked { key, filter, start, settings } = asked;
        let mut state = self.state().await?;
        if state.definitions.groups.contains_key(&key) {
            return Err(key.refuse(Problem::Exists));
        }
        if state.definitions.groups.len() >= GROUPS {
            return Err(Refusal::Exhausted("there are as many persistent subscriptions as there may be"));
        }
        let (first, target) = match key.is_all() {
            true => (1, Target::All(None)),
            false => (0, Target::Stream(key.source.clone())),
        };
        let from = match start {
            From::Start => first,
            From::At(at) => at.max(first),
            From::End => self.shared.reading.end(&target).await?.0,
        };
        let (parked_from, _) = self.shared.reading.end(&Target::Stream(key.parked())).await?;
        let created = Created { key, filter, start, from, parked_from, settings };
        self.change(&mut state, caller, Change::Created(created)).await
    }

    /// The group works differently from now on, and goes on where it is. Its consumers are let go.
    pub(crate) async fn update(&self, caller: &Caller, asked: Asked) -> Result<(), Refusal> {
        self.admit(caller)?;
        let Asked { key, start, settings, .. } = asked;
        let mut state = self.state().await?;
        state.find(&key)?;
        let updated = Updated { key: key.clone(), start, settings };
        self.change(&mut state, caller, Change::Updated(updated)).await?;
        state.close(&key).await;
        Ok(())
    }

    pub(crate) async fn delete(&self, caller: &Caller, key: Key) -> Result<(), Refusal> {
        self.admit(caller)?;
        let mut state = self.state().await?;
        let id = state.find(&key)?.id;
        self.change(&mut state, caller, Change::Deleted(key.clone())).await?;
        state.close(&key).await;
        let checkpoints = Arc::clone(&self.shared.checkpoints);
        let removed = tokio::task::spawn_blocking(move || checkpoints.remove(id)).await;
        if let Err(error) = removed.map_err(io::Error::other).and_then(|removed| removed) {
            tracing::warn!(group = %key.subscription_id(), %error, "a checkpoint could not be removed");
        }
        Ok(())
    }

    /// The first `most` of what is parked is given to consumers again, or to nobody ever.
    pub(crate) async fn unpark(
        &self,
        caller: &Caller,
        (key, most): (Key, u64),
        becomes: fn(Parked) -> Change,
    ) -> Result<(), Refusal> {
        self.admit(caller)?;
        let mut state = self.state().await?;
        let from = state.find(&key)?.parked_from;
        let (end, head) = self.shared.reading.end(&Target::Stream(key.parked())).await?;
        let to = end.min(from.saturating_add(most));
        if to <= from {
            return Ok(());
        }
        let change = becomes(Parked { key: key.clone(), from, to });
        let is_replayed = matches!(change, Change::ParkedReplayed(_));
        self.change(&mut state, caller, change).await?;
        if let (true, Some(running)) = (is_replayed, state.running.get(&key)) {
            // One that ended meanwhile reads of it when it is begun again.
            let _ = running.commands.send(Command::Replay(from..to, head)).await;
        }
        Ok(())
    }

    /// All groups are begun again by their next consumers.
    pub(crate) async fn restart(&self, caller: &Caller) -> Result<(), Refusal> {
        self.admit(caller)?;
        let mut state = self.state().await?;
        let keys: Vec<Key> = state.running.keys().cloned().collect();
        for key in keys {
            state.close(&key).await;
        }
        Ok(())
    }

    /// Lets a consumer in.
    pub(crate) async fn join(
        &self,
        caller: &Caller,
        key: &Key,
        (wanted, ids, seen): (i32, IdForm, Seen),
        place: held::Place,
    ) -> Result<Joined, Refusal> {
        self.shared.writer.admit(caller)?;
        let slots = usize::try_from(wanted).unwrap_or(0).clamp(1, CONSUMER_SLOTS);
        let permits = u32::try_from(slots).unwrap_or(u32::MAX);
        let held = Arc::clone(&self.slots).try_acquire_many_owned(permits);
        let full = |_| Refusal::Unavailable("consumers have as many events as all together may".to_owned());
        let (outbox, inbox) = consumer::outbox(ids, seen, (slots, held.map_err(full)?), place);
        let consumer = Consumer::new(caller.user.name.clone(), slots);
        let (commands, joined) = self.enter(key, consumer, outbox).await?;
        let number = joined.await.unwrap_or_else(|_| Err(key.refuse(Problem::Dropped)))?;
        Ok(Joined { number, commands, inbox })
    }

    async fn enter(
        &self,
        key: &Key,
        consumer: Consumer,
        outbox: Outbox,
    ) -> Result<(mpsc::Sender<Command>, oneshot::Receiver<Result<u64, Refusal>>), Refusal> {
        let mut state = self.state().await?;
        state.find(key)?;
        let commands = self.running(&mut state, key).await?;
        let (joined, answer) = oneshot::channel();
        let sent = commands.send(Command::Join { consumer, outbox, joined }).await;
        sent.map_err(|_| Refusal::Unavailable("the server is shutting down".to_owned()))?;
        Ok((commands, answer))
    }

    /// What is told of one group.
    pub(crate) async fn info(&self, key: &Key) -> Result<SubscriptionInfo, Refusal> {
        let state = self.state().await?;
        let group = state.find(key)?;
        self.tell(group, state.running.get(key)).await
    }

    /// What is told of all groups, or of those that read `source`.
    pub(crate) async fn list(&self, source: Option<&str>) -> Result<Vec<SubscriptionInfo>, Refusal> {
        let state = self.state().await?;
        let mut told = Vec::new();
        for (key, group) in &state.definitions.groups {
            if source.is_none_or(|source| source == key.source) {
                told.push(self.tell(group, state.running.get(key)).await?);
            }
        }
        match source {
            Some(source) if told.is_empty() => Err(Refusal::Group {
                stream: source.to_owned(),
                group: String::new(),
                problem: Problem::Missing,
            }),
            _ => Ok(told),
        }
    }

    async fn tell(&self, group: &Definition, running: Option<&Running>) -> Result<SubscriptionInfo, Refusal> {
        let target = self.shared.target(group)?;
        let (end, _) = self.shared.reading.end(&target).await?;
        let (parked, _) = self.shared.reading.end(&Target::Stream(group.key.parked())).await?;
        let parked = parked.saturating_sub(group.parked_from);
        let progress = match running {
            Some(running) => running.progress().await,
            None => None,
        };
        let progress = match progress {
            Some(progress) => progress,
            None => {
                let found = self.shared.load(group, end).await;
                let is_replaying = !group.replayed_from(found.parked).is_empty();
                Progress { saved: found.next, next: found.next, is_replaying, ..Progress::default() }
            }
        };
        Ok(info::tell(group, progress, end, parked))
    }

    /// The group's task, begun if it is not there.
    async fn running(&self, state: &mut State, key: &Key) -> Result<mpsc::Sender<Command>, Refusal> {
        if let Some(running) = state.running.get(key).filter(|running| !running.commands.is_closed()) {
            return Ok(running.commands.clone());
        }
        let group = state.find(key)?.clone();
        let (end, head) = self.shared.reading.end(&self.shared.target(&group)?).await?;
        let checkpoint = self.shared.load(&group, end.max(group.from)).await;
        let run = Run::new(Arc::clone(&self.shared), group, &checkpoint, head);
        let (commands, told) = mpsc::channel(GROUP_COMMANDS);
        let task = tokio::spawn(run.run(told));
        state.running.insert(key.clone(), Running { commands: commands.clone(), task });
        Ok(commands)
    }

    /// The groups as the log says now.
    async fn state(&self) -> Result<tokio::sync::MutexGuard<'_, State>, Refusal> {
        let mut state = self.state.lock().await;
        self.catch_up(&mut state.definitions).await?;
        Ok(state)
    }

    async fn catch_up(&self, definitions: &mut Definitions) -> Result<(), Refusal> {
        let from = definitions.next;
        let read = move |source: &dyn crate::source::Source| {
            let bound = source.head()?.position;
            let scan = StreamScan { stream: CONFIG, from, direction: Direction::Forward, bound };
            let (mut found, mut damage) = (Vec::new(), None);
            source.records().scan_stream(scan, &mut |position, stored| {
                match Envelope::decode(stored) {
                    Ok(event) => {
                        found.push((event.event_id, event.type_name.to_owned(), event.payload.to_owned()))
                    }
                    Err(error) => damage = Some(SequenceError::damaged(position, error.to_string())),
                }
                if damage.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            damage.map_or(Ok(found), |damage| Err(damage.into()))
        };
        for (id, type_name, json) in self.shared.reading.pages.run(read).await? {
            definitions.apply(id, &type_name, &json);
        }
        Ok(())
    }

    /// Appends what happens to a group, and takes it in.
    async fn change(&self, state: &mut State, caller: &Caller, change: Change) -> Result<(), Refusal> {
        let json = change.encode()?;
        let record = NewRecord::foreign(CONFIG, random_id()?, change.type_name(), Content::Json, json);
        let last = state.definitions.next.0.checked_sub(1);
        let noted = self.shared.writer.note(&caller.user.name, vec![record], Some((CONFIG, last))).await;
        noted.map_err(|refusal| match refusal {
            Refusal::WrongVersion { .. } => {
                Refusal::Unavailable("the persistent subscriptions were just changed".to_owned())
            }
            refusal => refusal,
        })?;
        self.catch_up(&mut state.definitions).await
    }

    /// Waits until every group kept how far it came. The server's signal to stop ends them.
    pub(crate) async fn end(&self) {
        let mut state = self.state.lock().await;
        for (key, running) in state.running.drain() {
            drop(running.commands);
            if let Err(error) = running.task.await {
                tracing::error!(group = %key.subscription_id(), %error, "a persistent subscription died");
            }
        }
    }
}

impl State {
    fn find(&self, key: &Key) -> Result<&Definition, Refusal> {
        self.definitions.groups.get(key).ok_or_else(|| key.refuse(Problem::Missing))
    }

    /// Ends a group's task, when it kept how far it came.
    async fn close(&mut self, key: &Key) {
        let Some(running) = self.running.remove(key) else { return };
        let (close, closed) = oneshot::channel();
        if running.commands.send(Command::Close(close)).await.is_ok() {
            // An error means that it ended by itself.
            let _ = closed.await;
        }
    }
}

impl Running {
    async fn progress(&self) -> Option<Progress> {
        let (tell, told) = oneshot::channel();
        self.commands.send(Command::Tell(tell)).await.ok()?;
        told.await.ok()
    }
}
