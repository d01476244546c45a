//! The outside as the service sees it: an effect goes in, an answer or none comes out.
//!
//! Implementations make the call under a time limit of their own and store large blobs before they answer. They decide
//! nothing. A call that is dropped when the process ends leaves no trace; what it did out there is found out by the next
//! start.

use std::future::Future;

use prooflog_core::Effect;
use prooflog_events::ids::Hash32;
use prooflog_events::input::Input;
use prooflog_events::port::Blob;

/// Makes the calls of effects.
pub trait Outside: Send + Sync + 'static {
    /// Makes one call.
    fn perform(&self, effect: Effect) -> impl Future<Output = Reply> + Send;
}

/// How a call ended.
#[derive(Debug)]
pub enum Reply {
    /// With an answer.
    Answer(Box<Answer>),
    /// Without one; the words are for the log of the process. The call is made again after a pause.
    Failed(String),
}

/// An answer to decide on.
#[derive(Debug)]
pub struct Answer {
    /// What was seen.
    pub input: Input,
    /// Small blobs that go with the batch.
    pub blobs: Vec<Blob>,
    /// Blobs that are stored already.
    pub stored: Vec<Hash32>,
}

impl Reply {
    /// An answer without blobs.
    #[must_use]
    pub fn answer(input: impl Into<Input>) -> Self {
        Self::Answer(Box::new(Answer { input: input.into(), blobs: Vec::new(), stored: Vec::new() }))
    }
}
