//! What comes into the loop: one closed list.

use prooflog_events::input::{Input, OperatorCommanded};
use tokio::sync::oneshot;

use crate::handle::{Answered, CommandError, View};

/// A message to the loop.
pub(crate) enum Message {
    /// Something was seen that nobody asked for: configuration, disk.
    Seen(Box<Input>, oneshot::Sender<Result<Answered, CommandError>>),
    /// An operator commands.
    Command(Box<OperatorCommanded>, oneshot::Sender<Result<Answered, CommandError>>),
    /// Somebody wants to look.
    Look(oneshot::Sender<View>),
    /// It is time to end, for a reason.
    Stop(String),
}
