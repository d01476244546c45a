//! Persistent subscriptions: groups of consumers whose progress the server keeps.
//!
//! Which groups there are is said by events of one stream ([`definition`]); what a group gives to whom is decided without
//! IO ([`delivery`]); a task for each group that has had a consumer does it ([`run`]). What was given up is linked to by
//! a stream of its own, in the same log ([`parking`]). Tasks are made to agree with what the log says whenever the log is
//! looked at, so a change counts even if whoever made it did not stay. What a crash means: groups are as the log says, and
//! consumers get again what they had since the last checkpoint.

mod asked;
mod checkpoints;
mod consumer;
mod definition;
mod delivered;
mod delivery;
mod info;
mod parking;
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
use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use self::asked::Asked;
pub use self::checkpoints::{Checkpoint, Checkpoints, FileCheckpoints, MemoryCheckpoints};
use self::consumer::Inbox;
pub(crate) use self::definition::{CONFIG, PREFIX};
use self::definition::{Change, Created, Definition, Definitions, Key, Parked, Settings, Updated};
use self::delivery::Consumer;
use self::info::Progress;
pub(crate) use self::info::Seen;
use self::run::{Command, Run};
pub(crate) use self::service::Service;
use crate::authority::Caller;
use crate::error::{Problem, Refusal};
use crate::held;
use crate::limits::{CONSUMER_SLOTS, CONSUMERS_SLOTS, GROUP_CHANGES, GROUP_COMMANDS, GROUPS};
use crate::names::has_metadata;
use crate::read::Reading;
use crate::request::From;
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
    /// Where the group's source goes on.
    async fn end_of(&self, key: &Key) -> Result<u64, Refusal> {
        match key.is_all() {
            true => self.reading.end_of_all().await,
            false => self.reading.end_of(key.source.clone()).await,
        }
    }

    async fn save(&self, group: EventId, checkpoint: Checkpoint) -> io::Result<()> {
        let checkpoints = Arc::clone(&self.checkpoints);
        let save = move || checkpoints.save(group, &checkpoint);
        tokio::task::spawn_blocking(save).await.map_err(io::Error::other)?
    }

    /// How far a group came, in a log where its source goes on with `end`; or why that is not known.
    async fn load(&self, group: &Definition, end: u64) -> (Checkpoint, Option<io::Error>) {
        let (checkpoints, id) = (Arc::clone(&self.checkpoints), group.id);
        let loaded = tokio::task::spawn_blocking(move || checkpoints.load(id)).await;
        let first_parked = group.replayed.first().map_or(group.parked_from, |first| first.start);
        let (source, of) = (group.key.source.clone(), group.key.group.clone());
        let start = Checkpoint { source, group: of, next: group.from, parked: first_parked };
        match loaded.map_err(io::Error::other).and_then(|loaded| loaded) {
            // A log that was restored from a copy may be older than the checkpoint.
            Ok(Some(found)) => {
                let (next, parked) = (found.next.min(end), found.parked.min(group.parked_from));
                (Checkpoint { next, parked, ..found }, None)
            }
            Ok(None) => (start, None),
            Err(error) => (start, Some(error)),
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

/// A group at work, and as what it was begun.
struct Running {
    id: EventId,
    settings: Settings,
    /// It was told of the replays of parked ones up to here.
    replayed_to: u64,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

/// A consumer that was let in.
pub(crate) struct Joined {
    pub(crate) number: u64,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) inbox: Inbox,
    /// Ready when the group has let it go.
    pub(crate) gone: oneshot::Receiver<()>,
}

impl Groups {
    pub(crate) fn new(shared: Shared) -> Self {
        let slots = Arc::new(Semaphore::new(CONSUMERS_SLOTS));
        Self { shared: Arc::new(shared), state: Mutex::default(), slots }
    }

    /// Refuses who may not make a call: asking is for everybody, consuming for who may write, because parking does, and the
    /// rest for who operates.
    pub(crate) fn admit(&self, method: &str, caller: &Caller) -> Result<(), Refusal> {
        match method {
            "Read" => self.shared.writer.admit(caller).map(drop),
            "Create" | "Update" | "Delete" | "ReplayParked" | "TruncateParked" | "RestartSubsystem" => {
                self.shared.writer.admit(caller)?;
                if caller.may_administer() { Ok(()) } else { Err(Refusal::AccessDenied) }
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn create(&self, caller: &Caller, asked: Asked) -> Result<(), Refusal> {
        let Asked { key, filter, start, settings } = asked;
        let mut state = self.state().await?;
        // Names that are put together in another way may give the same one, and the same stream of parked ones.
        let id = key.subscription_id();
        if state.definitions.groups.keys().any(|other| other.subscription_id() == id) {
            return Err(key.refuse(Problem::Exists));
        }
        if state.definitions.groups.len() >= GROUPS {
            return Err(Refusal::Exhausted("there are as many persistent subscriptions as there may be"));
        }
        let from = self.begins(&key, start).await?;
        let parked_from = self.shared.reading.end_of(key.parked()).await?;
        let created = Created { key, filter, start, from, parked_from, settings };
        self.change(&mut state, caller, Change::Created(created)).await
    }

    /// The first position or revision that is delivered.
    async fn begins(&self, key: &Key, start: From) -> Result<u64, Refusal> {
        let first = u64::from(key.is_all());
        match start {
            From::Start => Ok(first),
            From::At(at) => Ok(at.max(first)),
            From::End => self.shared.end_of(key).await,
        }
    }

    /// The group works differently from now on. If it handled anything, it goes on where it is. Its consumers are let go.
    pub(crate) async fn update(&self, caller: &Caller, asked: Asked) -> Result<(), Refusal> {
        let Asked { key, start, settings, .. } = asked;
        let mut state = self.state().await?;
        state.find(&key)?;
        let from = self.begins(&key, start).await?;
        let updated = Updated { key: key.clone(), start, from, settings };
        self.change(&mut state, caller, Change::Updated(updated)).await?;
        // Also where nothing changed: who updates a group expects that.
        state.close(&key).await;
        Ok(())
    }

    pub(crate) async fn delete(&self, caller: &Caller, key: Key) -> Result<(), Refusal> {
        let mut state = self.state().await?;
        let id = state.find(&key)?.id;
        self.change(&mut state, caller, Change::Deleted(key.clone())).await?;
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
        let mut state = self.state().await?;
        let from = state.find(&key)?.parked_from;
        let end = self.shared.reading.end_of(key.parked()).await?;
        let to = end.min(from.saturating_add(most));
        if to <= from {
            return Ok(());
        }
        self.change(&mut state, caller, becomes(Parked { key, from, to })).await
    }

    /// All groups are begun again by their next consumers.
    pub(crate) async fn restart(&self) -> Result<(), Refusal> {
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
        let wanted = usize::try_from(wanted).unwrap_or(0).clamp(1, CONSUMER_SLOTS);
        let (slots, held) = self.slots(wanted)?;
        let (outbox, inbox, gone) = consumer::outbox(ids, seen, (slots, held), place);
        let consumer = Consumer::new(caller.user.name.clone(), slots);
        let commands = {
            let mut state = self.state().await?;
            state.find(key)?;
            self.refuse_ended(key).await?;
            self.running(&mut state, key).await?
        };
        let (joined, answer) = oneshot::channel();
        let dropped = || key.refuse(Problem::Dropped);
        commands.send(Command::Join { consumer, outbox, joined }).await.map_err(|_| dropped())?;
        let number = answer.await.unwrap_or_else(|_| Err(dropped()))?;
        Ok(Joined { number, commands, inbox, gone })
    }

    /// As many events as a consumer wants at once, or as many of them as there are.
    fn slots(&self, wanted: usize) -> Result<(usize, OwnedSemaphorePermit), Refusal> {
        let mut number = wanted;
        while number > 0 {
            let permits = u32::try_from(number).unwrap_or(u32::MAX);
            if let Ok(held) = Arc::clone(&self.slots).try_acquire_many_owned(permits) {
                return Ok((number, held));
            }
            number /= 2;
        }
        Err(Refusal::Unavailable("consumers have as many events as all together may".to_owned()))
    }

    /// A stream that ended for ever has nothing to give.
    async fn refuse_ended(&self, key: &Key) -> Result<(), Refusal> {
        match !key.is_all() && has_metadata(&key.source) {
            true => self.shared.writer.load(&key.source).await?.refuse_tombstoned(&key.source),
            false => Ok(()),
        }
    }

    /// What is told of one group.
    pub(crate) async fn info(&self, caller: &Caller, key: &Key) -> Result<SubscriptionInfo, Refusal> {
        let (group, commands) = {
            let state = self.state().await?;
            (state.find(key)?.clone(), state.commands(key))
        };
        self.tell(caller, &group, commands).await
    }

    /// What is told of all groups, or of those that read `source`.
    pub(crate) async fn list(
        &self,
        caller: &Caller,
        source: Option<&str>,
    ) -> Result<Vec<SubscriptionInfo>, Refusal> {
        let groups: Vec<(Definition, Option<mpsc::Sender<Command>>)> = {
            let state = self.state().await?;
            let all = state.definitions.groups.iter();
            let wanted = all.filter(|(key, _)| source.is_none_or(|source| source == key.source));
            wanted.map(|(key, group)| (group.clone(), state.commands(key))).collect()
        };
        if let (Some(source), true) = (source, groups.is_empty()) {
            let (stream, group) = (source.to_owned(), String::new());
            return Err(Refusal::Group { stream, group, problem: Problem::Missing });
        }
        let mut told = Vec::with_capacity(groups.len());
        for (group, commands) in groups {
            told.push(self.tell(caller, &group, commands).await?);
        }
        Ok(told)
    }

    async fn tell(
        &self,
        caller: &Caller,
        group: &Definition,
        commands: Option<mpsc::Sender<Command>>,
    ) -> Result<SubscriptionInfo, Refusal> {
        let end = self.shared.end_of(&group.key).await?;
        let parked = self.shared.reading.end_of(group.key.parked()).await?;
        let parked = parked.saturating_sub(group.parked_from);
        let progress = match commands {
            Some(commands) => progress(&commands).await,
            None => None,
        };
        let mut progress = match progress {
            Some(progress) => progress,
            None => {
                let (found, _) = self.shared.load(group, end.max(group.from)).await;
                let is_replaying = !group.replayed_from(found.parked).is_empty();
                Progress { saved: found.next, next: found.next, is_replaying, ..Progress::default() }
            }
        };
        if !caller.may_administer() {
            progress.hide_who();
        }
        Ok(info::tell(group, progress, end, parked))
    }

    /// The group's task, begun if it is not there.
    async fn running(&self, state: &mut State, key: &Key) -> Result<mpsc::Sender<Command>, Refusal> {
        if let Some(commands) = state.commands(key) {
            return Ok(commands);
        }
        let group = state.find(key)?.clone();
        let end = self.shared.end_of(key).await?;
        let (checkpoint, error) = self.shared.load(&group, end.max(group.from)).await;
        if let Some(error) = error {
            let group = key.subscription_id();
            tracing::error!(group, %error, "a checkpoint cannot be read: everything is given again");
        }
        let (id, settings, replayed_to) = (group.id, group.settings.clone(), group.parked_from);
        let run = Run::new(Arc::clone(&self.shared), group, &checkpoint);
        let (commands, told) = mpsc::channel(GROUP_COMMANDS);
        let task = tokio::spawn(run.run(told));
        let running = Running { id, settings, replayed_to, commands: commands.clone(), task };
        state.running.insert(key.clone(), running);
        Ok(commands)
    }

    /// The groups as the log says now.
    async fn state(&self) -> Result<MutexGuard<'_, State>, Refusal> {
        let mut state = self.state.lock().await;
        self.catch_up(&mut state).await?;
        Ok(state)
    }

    /// Takes in what the log says, and makes the tasks agree with it.
    async fn catch_up(&self, state: &mut State) -> Result<(), Refusal> {
        loop {
            let from = state.definitions.next;
            let read = move |source: &dyn crate::source::Source| {
                let bound = source.head()?.position;
                let scan = StreamScan { stream: CONFIG, from, direction: Direction::Forward, bound };
                let (mut found, mut damage) = (Vec::new(), None);
                source.records().scan_stream(scan, &mut |position, stored| {
                    match Envelope::decode(stored) {
                        Ok(event) => {
                            found.push((event.event_id, Change::decode(event.type_name, event.payload)))
                        }
                        Err(error) => damage = Some(SequenceError::damaged(position, error.to_string())),
                    }
                    let is_enough = damage.is_some() || found.len() >= GROUP_CHANGES;
                    if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })?;
                damage.map_or(Ok(found), |damage| Err(damage.into()))
            };
            let found = self.shared.reading.pages.run(read).await?;
            let is_all = found.len() < GROUP_CHANGES;
            for (id, change) in found {
                state.definitions.apply(id, change);
            }
            if is_all {
                break;
            }
        }
        state.agree().await;
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
        self.catch_up(state).await
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

    /// Where the group's task is told something, if there is one.
    fn commands(&self, key: &Key) -> Option<mpsc::Sender<Command>> {
        let running = self.running.get(key)?;
        (!running.commands.is_closed()).then(|| running.commands.clone())
    }

    /// Makes the tasks agree with the definitions.
    async fn agree(&mut self) {
        let mut ended = Vec::new();
        for (key, running) in &mut self.running {
            match self.definitions.groups.get(key) {
                Some(group) if group.id == running.id && group.settings == running.settings => {
                    let replayed = group.replayed_from(running.replayed_to);
                    running.replayed_to = group.parked_from;
                    if !replayed.is_empty() {
                        // One that ended meanwhile reads of it when it is begun again.
                        let _ = running.commands.send(Command::Replay(replayed)).await;
                    }
                }
                _ => ended.push(key.clone()),
            }
        }
        for key in ended {
            self.close(&key).await;
        }
    }

    /// Ends a group's task, when it kept how far it came.
    async fn close(&mut self, key: &Key) {
        if let Some(running) = self.running.get(key) {
            let (close, closed) = oneshot::channel();
            if running.commands.send(Command::Close(close)).await.is_ok() {
                // An error means that it ended by itself.
                let _ = closed.await;
            }
        }
        self.running.remove(key);
    }
}

async fn progress(commands: &mpsc::Sender<Command>) -> Option<Progress> {
    let (tell, told) = oneshot::channel();
    commands.send(Command::Tell(tell)).await.ok()?;
    told.await.ok()
}
