//! How the rest of the process talks to the running engine.
//!
//! Every question goes through the inbox, so what is answered is the state after everything decided before. A command
//! is answered when its events are durable: an operator who reads "done" can pull the plug.

use prooflog_core::Refused;
use prooflog_events::ids::Position;
use prooflog_events::input::{Input, OperatorCommanded};
use prooflog_projections::State;
use tokio::sync::{mpsc, oneshot};

use crate::inbox::Message;

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// It asks for what cannot be done; nothing changed.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The engine ends or has ended.
    #[error("the engine is ending")]
    Ending,
}

/// What a command or observation led to; durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Names of the events, in order; none if nothing changed.
    pub events: Vec<&'static str>,
    /// Position of the last event of the log that was decided then.
    pub position: Position,
}

/// What the engine has in mind. What it owes follows from the state ([`prooflog_core::plan`]), so whoever asks works
/// that out, not the loop.
#[derive(Debug, Clone)]
pub struct View {
    /// The state, with everything decided so far.
    pub state: State,
    /// Position that the state has seen.
    pub position: Position,
}

/// Asks the running engine.
#[derive(Clone)]
pub struct Handle {
    inbox: mpsc::Sender<Message>,
}

impl Handle {
    pub(crate) const fn new(inbox: mpsc::Sender<Message>) -> Self {
        Self { inbox }
    }

    /// Carries out an operator's command and answers when its events are durable.
    ///
    /// # Errors
    /// Why it was not carried out.
    pub async fn command(&self, command: OperatorCommanded) -> Result<Answered, CommandError> {
        self.ask(|answer| Message::Command(Box::new(command), answer)).await?
    }

    /// Decides on something that was seen without being asked for.
    ///
    /// # Errors
    /// Why nothing was decided.
    pub async fn seen(&self, input: impl Into<Input>) -> Result<Answered, CommandError> {
        let input = Box::new(input.into());
        self.ask(|answer| Message::Seen(input, answer)).await?
    }

    /// What the engine has in mind now.
    ///
    /// # Errors
    /// [`CommandError::Ending`].
    pub async fn look(&self) -> Result<View, CommandError> {
        self.ask(Message::Look).await
    }

    /// Has the engine end in order. It has ended when [`crate::Service::ended`] returns.
    pub async fn stop(&self, reason: impl Into<String>) {
        // Without a receiver it has ended already.
        let _ = self.inbox.send(Message::Stop(reason.into())).await;
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, CommandError> {
        let (answer, wait) = oneshot::channel();
        self.inbox.send(message(answer)).await.map_err(|_| CommandError::Ending)?;
        wait.await.map_err(|_| CommandError::Ending)
    }
}
