//! The running engine: a thread of its own around the ring, an inbox before it, and calls to the outside beside it.
//!
//! [`Service::start`] opens the ring and returns; a [`Handle`] asks it things from any task. Calls run on the runtime of
//! the caller and answer into the inbox, so a peer that hangs holds up nobody. The loop never waits for the disk: it
//! decides on, and an effect is let out when the batch that it rests on is durable. What a crash in here means: the
//! process ends, and the next start folds the log and owes what was owed. A failed append ends the service with an
//! error, because memory would be ahead of the log.

mod durability;
mod handle;
mod inbox;
mod outside;
mod service;
mod watcher;

pub use handle::{Answered, CommandError, Handle, View};
pub use outside::{Answer, Outside, Reply};
pub use service::{Options, Service, ServiceError};
pub use watcher::{Decided, Watcher};
