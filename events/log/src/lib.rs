//! The log: one writer over a sequence of commits, with a memory twin.
//!
//! [`Log`] assigns positions, revisions and hashes and makes batches durable together; [`Reader`] and [`Follower`] read
//! what is durable. Reading order: [`append`] (what is handed over and answered), `queue` (whose turn it is), `sequencer`
//! (first stage), [`writer`] (the door), [`read`], [`follow`], [`mod@verify`], [`memory`], [`conformance`]. No file is
//! touched in here: the disk is behind [`prooflog_events::port::Sequence`]. A crash loses only what was not yet answered.

mod ahead;
pub mod append;
mod check;
pub mod conformance;
pub mod export;
pub mod follow;
mod fresh;
mod group;
mod heads;
pub mod memory;
mod pace;
mod queue;
pub mod read;
mod record;
mod sequencer;
mod tail;
pub mod verify;
mod window;
pub mod writer;

pub use ahead::Stretch;
pub use append::{
    Append, AppendError, Appended, By, CauseInput, CausedBy, Expectation, Expected, NewRecord, Outcome,
};
pub use follow::{Followed, Follower, RemoteFollower};
pub use group::{Answer, Ticket};
pub use memory::{Fault, MemorySequence};
pub use read::{Filter, Page, Reader, StreamPage};
pub use record::Record;
pub use verify::{Verified, VerifyError, verify};
pub use writer::Log;
