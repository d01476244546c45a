//! The loop: feed what is due, let effects out, take the next message.
//!
//! It is the only caller of the ring. Its own work is a few microseconds per message; everything slow (calls, the disk,
//! snapshots) happens elsewhere and comes back as a message. When the log lags, it stops taking messages until batches
//! are durable again, so nothing grows without bound.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use prooflog_core::{Effect, EffectKey, Outcome, Pacing};
use prooflog_engine::{Fed, Origin, Ring, RingError};
use prooflog_events::event::EngineStarted;
use prooflog_events::ids::{Micros, Position};
use prooflog_events::input::{EngineClosing, EngineOpened, Input, TimerDue};
use prooflog_events::port::Sequence;
use prooflog_log::{AppendError, By, CausedBy, Log};
use prooflog_replay::{Cadence, Snapshots};
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};

use crate::durability::{Durability, Heard};
use crate::handle::{Answered, CommandError, Handle, View};
use crate::inbox::Message;
use crate::outside::{Outside, Reply};
use crate::watcher::{Decided, Watcher};

/// Messages that may wait before the loop.
const INBOX: usize = 4_096;
/// Batches on their way to the disk above which no message is taken.
const UNHEARD_MAX: usize = 256;
/// Longest sleep without a reason to wake.
const IDLE_SECS: u64 = 60;

/// How the engine runs.
pub struct Options {
    /// Paces of standing questions.
    pub pacing: Pacing,
    /// The clock, in microseconds since 1970. Read once per message, nowhere else.
    pub clock: Box<dyn Fn() -> Micros + Send>,
    /// What is recorded first.
    pub started: EngineStarted,
    /// Where the newest snapshot is, so that the next one follows at its distance.
    pub cadence: Cadence,
    /// How long calls under way are waited for at the end.
    pub grace: Duration,
}

/// Why the engine ended.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The ring cannot go on.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The log did not take a batch: what is on disk is known only to the next start.
    #[error("the log did not take a batch, start again to go on from what it holds: {0}")]
    Append(AppendError),
    /// The system gives no thread.
    #[error("no thread for the engine: {0}")]
    Thread(std::io::Error),
    /// The loop panicked: a bug.
    #[error("the engine's loop died: this is a bug")]
    Died,
}

/// A running engine.
pub struct Service {
    handle: Handle,
    ended: oneshot::Receiver<Result<(), ServiceError>>,
}

impl Service {
    /// Folds the log and begins. Must be called on a tokio runtime, on which the calls to the outside are made.
    ///
    /// # Errors
    /// When the log cannot be folded or written.
    pub fn start<S, O, W>(
        log: Arc<Log<S>>,
        outside: Arc<O>,
        watcher: W,
        options: Options,
    ) -> Result<Self, ServiceError>
    where
        S: Sequence,
        O: Outside,
        W: Watcher,
    {
        let (inbox, messages) = mpsc::channel(INBOX);
        let (tell, ended) = oneshot::channel();
        let handle = Handle::new(inbox);
        let calls = runtime::Handle::current();
        let timer =
            runtime::Builder::new_current_thread().enable_time().build().map_err(ServiceError::Thread)?;
        let now = (options.clock)();
        let opened = Input::from(EngineOpened { started: options.started.clone() });
        let position = log.head().position;
        let (ring, fed) = Ring::open(Arc::clone(&log), options.pacing, now, options.started.clone())?;
        let mut looped = Loop {
            position,
            ring,
            messages,
            outside,
            watcher,
            calls,
            tasks: JoinSet::new(),
            under_way: HashMap::new(),
            durability: Durability::start().map_err(ServiceError::Thread)?,
            snapshots: Snapshots::start(options.cadence, log).map_err(ServiceError::Thread)?,
            unheard: VecDeque::new(),
            clock: options.clock,
            grace: options.grace,
        };
        looped.account(&opened, fed, Waiting::Nobody, Instant::now());
        let thread = thread::Builder::new().name("engine".to_owned());
        thread
            .spawn(move || {
                let result = timer.block_on(looped.run());
                // Nobody to tell means that the process is ending anyway.
                let _ = tell.send(result);
            })
            .map_err(ServiceError::Thread)?;
        Ok(Self { handle, ended })
    }

    /// Asks it things.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// Why, if not because it was told to.
    pub async fn ended(&mut self) -> Result<(), ServiceError> {
        (&mut self.ended).await.unwrap_or(Err(ServiceError::Died))
    }
}

/// Who waits for a batch.
enum Waiting {
    Nobody,
    Someone(oneshot::Sender<Result<Answered, CommandError>>),
}

/// A batch on its way to the disk.
struct Unheard {
    batch: u64,
    position: Position,
    decided: Instant,
    answer: Option<(Answered, oneshot::Sender<Result<Answered, CommandError>>)>,
}

/// A call under way.
struct Call {
    key: EffectKey,
    begun: Instant,
    caused_by: Option<CausedBy>,
}

struct Loop<S: Sequence, O, W> {
    ring: Ring<S>,
    /// Position of the last event decided.
    position: Position,
    messages: mpsc::Receiver<Message>,
    outside: Arc<O>,
    watcher: W,
    calls: runtime::Handle,
    tasks: JoinSet<Reply>,
    under_way: HashMap<Id, Call>,
    durability: Durability,
    snapshots: Snapshots,
    unheard: VecDeque<Unheard>,
    clock: Box<dyn Fn() -> Micros + Send>,
    grace: Duration,
}

impl<S: Sequence, O: Outside, W: Watcher> Loop<S, O, W> {
    async fn run(mut self) -> Result<(), ServiceError> {
        loop {
            self.watcher.beats();
            self.pump()?;
            let now = (self.clock)();
            let until = self.ring.next_wake();
            self.watcher.waits(now, until);
            let idle = Micros(now.0.saturating_add(IDLE_SECS * 1_000_000));
            let wake = until.map_or(idle, |until| until.min(idle));
            let pause = Duration::from_micros(wake.0.saturating_sub(now.0));
            let takes = self.unheard.len() < UNHEARD_MAX;
            tokio::select! {
                biased;
                heard = self.durability.heard.recv() => self.hear(heard)?,
                message = self.messages.recv(), if takes => match message {
                    Some(Message::Stop(reason)) => return self.close(reason).await,
                    Some(message) => self.take(message)?,
                    None => return self.close("nobody is left to ask".to_owned()).await,
                },
                Some(ended) = self.tasks.join_next_with_id(), if takes => self.ended(ended)?,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Feeds what is due and lets effects out.
    fn pump(&mut self) -> Result<(), ServiceError> {
        loop {
            let now = (self.clock)();
            if let Some(timer) = self.ring.timer_due(now) {
                self.feed(&timer.into(), Origin::default(), Waiting::Nobody)?;
                continue;
            }
            let effects = self.ring.effects(now);
            if effects.is_empty() {
                return Ok(());
            }
            effects.into_iter().for_each(|effect| self.call(effect));
        }
    }

    fn call(&mut self, effect: Effect) {
        self.watcher.begins(&effect);
        let (key, caused_by) = (effect.key(), self.ring.cause_of(&effect));
        let outside = Arc::clone(&self.outside);
        let task = self.tasks.spawn_on(async move { outside.perform(effect).await }, &self.calls);
        self.under_way.insert(task.id(), Call { key, begun: Instant::now(), caused_by });
    }

    fn take(&mut self, message: Message) -> Result<(), ServiceError> {
        match message {
            Message::Seen(input, answer) => {
                self.feed(&input, Origin::default(), Waiting::Someone(answer))?;
            }
            Message::Command(command, answer) => {
                let origin = Origin { by: By::Operator(command.name.clone()), ..Origin::default() };
                self.feed(&Input::OperatorCommanded(*command), origin, Waiting::Someone(answer))?;
            }
            Message::Look(answer) => {
                let view = View { state: self.ring.state().clone(), position: self.position };
                // Who asked may have gone.
                let _ = answer.send(view);
            }
            Message::Stop(_) => {}
        }
        Ok(())
    }

    /// A call came back, or died: one that panicked is one that failed.
    fn ended(&mut self, result: Result<(Id, Reply), JoinError>) -> Result<(), ServiceError> {
        let (id, reply) = match result {
            Ok(ended) => ended,
            Err(error) => (error.id(), Reply::Failed("the call died: this is a bug".to_owned())),
        };
        let Some(Call { key, begun, caused_by }) = self.under_way.remove(&id) else { return Ok(()) };
        let (outcome, failure) = match reply {
            Reply::Failed(why) => (Outcome::Failed, Some(why)),
            Reply::Answer(answer) => {
                let origin =
                    Origin { by: By::Scheduler, caused_by, blobs: answer.blobs, stored: answer.stored };
                if self.feed(&answer.input, origin, Waiting::Nobody)? {
                    (Outcome::News, None)
                } else {
                    (Outcome::NoNews, None)
                }
            }
        };
        self.ring.done(&key, (self.clock)(), outcome);
        self.watcher.ended(&key, outcome, begun.elapsed(), failure.as_deref());
        Ok(())
    }

    /// Decides on an input and on what is left to do after it. Whether there were events.
    fn feed(&mut self, input: &Input, origin: Origin, waiting: Waiting) -> Result<bool, ServiceError> {
        let begun = Instant::now();
        match self.ring.feed((self.clock)(), input, origin) {
            Ok(fed) => {
                let mut news = !fed.events.is_empty();
                let mut more = fed.more;
                self.account(input, fed, waiting, begun);
                let go_on = Input::from(TimerDue::of_all());
                while more {
                    let begun = Instant::now();
                    let fed = self.ring.feed((self.clock)(), &go_on, Origin::default())?;
                    more = fed.more && !fed.events.is_empty();
                    news |= !fed.events.is_empty();
                    self.account(&go_on, fed, Waiting::Nobody, begun);
                }
                Ok(news)
            }
            Err(RingError::Refused(refused)) => {
                match waiting {
                    Waiting::Someone(answer) => drop(answer.send(Err(refused.into()))),
                    Waiting::Nobody => tracing::debug!(input = input.name(), %refused, "refused"),
                }
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Remembers what a batch is to be followed by once it is durable.
    fn account(&mut self, input: &Input, fed: Fed, waiting: Waiting, begun: Instant) {
        let first = self.position.next();
        self.position = Position(self.position.0.saturating_add(fed.events.len() as u64));
        let (state, took) = (self.ring.state(), begun.elapsed());
        self.watcher.decided(&Decided { input, events: &fed.events, first, state, took });
        let answered = Answered {
            events: fed.events.iter().map(|event| event.event.event_type().name()).collect(),
            position: self.position,
        };
        let answer = match waiting {
            Waiting::Someone(answer) => Some((answered, answer)),
            Waiting::Nobody => None,
        };
        match fed.ticket {
            Some(ticket) => {
                self.durability.expect(fed.batch, ticket);
                self.unheard.push_back(Unheard {
                    batch: fed.batch,
                    position: self.position,
                    decided: begun,
                    answer,
                });
                self.snapshots.offer(self.ring.state(), self.position);
            }
            None => {
                if let Some((answered, answer)) = answer {
                    // Who asked may have gone.
                    let _ = answer.send(Ok(answered));
                }
            }
        }
    }

    fn hear(&mut self, heard: Option<Heard>) -> Result<(), ServiceError> {
        let (batch, result) = heard.ok_or(ServiceError::Died)?;
        result.map_err(ServiceError::Append)?;
        self.ring.durable(batch);
        while self.unheard.front().is_some_and(|first| first.batch <= batch) {
            let Some(durable) = self.unheard.pop_front() else { break };
            self.watcher.durable(durable.position, durable.decided.elapsed());
            if let Some((answered, answer)) = durable.answer {
                // Who asked may have gone.
                let _ = answer.send(Ok(answered));
            }
        }
        Ok(())
    }

    /// Lets calls that cannot be taken back come home, records the end, and waits until that is durable.
    async fn close(mut self, reason: String) -> Result<(), ServiceError> {
        tracing::info!(reason, "ending");
        let deadline = tokio::time::Instant::now() + self.grace;
        while self.under_way.values().any(|call| is_short(&call.key)) {
            tokio::select! {
                biased;
                heard = self.durability.heard.recv() => self.hear(heard)?,
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended)?,
                () = tokio::time::sleep_until(deadline) => break,
            }
        }
        self.tasks.abort_all();
        self.feed(&EngineClosing { reason }.into(), Origin::default(), Waiting::Nobody)?;
        while !self.unheard.is_empty() {
            let heard = self.durability.heard.recv().await;
            self.hear(heard)?;
        }
        Ok(())
    }
}

/// Calls about a transaction are short, and their answer saves the next start a question.
const fn is_short(key: &EffectKey) -> bool {
    matches!(key, EffectKey::SignTx(..) | EffectKey::BroadcastTx(..))
}
