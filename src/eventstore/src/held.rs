//! What callers hold of the process: calls, and bytes on their way to them. All of it is counted, and bounded for all
//! callers together.
//!
//! Guests share a part of each pool, so that nothing they hold shuts out those who showed who they are. Bytes are taken
//! before they are read and given back when the connection took them: the next one is asked for only then. A read that
//! nobody takes from is ended and gives its call back; what the connection still holds of it stays counted. What a crash
//! means: nothing; nothing is kept.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tonic::Status;

use crate::limits::GUESTS_OF_FOUR;
use crate::lock;

/// Whose share something is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// Of those who did not say who they are.
    Guests,
    /// Of those who did: everything.
    Known,
}

/// So many of something.
pub(crate) struct Pool {
    all: Arc<Semaphore>,
    guests: Arc<Semaphore>,
}

/// A part of a pool, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    all: OwnedSemaphorePermit,
    guests: Option<OwnedSemaphorePermit>,
}

impl Pool {
    pub(crate) fn new(size: usize) -> Self {
        let size = size.clamp(1, Semaphore::MAX_PERMITS);
        let guests = size - size / 4 * (4 - GUESTS_OF_FOUR);
        Self { all: Arc::new(Semaphore::new(size)), guests: Arc::new(Semaphore::new(guests)) }
    }

    /// So many bytes, counted in KiB.
    pub(crate) fn of_bytes(size: usize) -> Self {
        Self::new(size >> 10)
    }

    /// `number` of it, if they are there now.
    pub(crate) fn try_take(&self, share: Share, number: u32) -> Option<Place> {
        let guests = match share {
            Share::Guests => Some(Arc::clone(&self.guests).try_acquire_many_owned(number).ok()?),
            Share::Known => None,
        };
        let all = Arc::clone(&self.all).try_acquire_many_owned(number).ok()?;
        Some(Place { all, guests })
    }

    /// `number` of it, when they are there. Who came first is served first. None if the server ended.
    pub(crate) async fn take(&self, share: Share, number: u32) -> Option<Place> {
        let guests = match share {
            Share::Guests => Some(Arc::clone(&self.guests).acquire_many_owned(number).await.ok()?),
            Share::Known => None,
        };
        let all = Arc::clone(&self.all).acquire_many_owned(number).await.ok()?;
        Some(Place { all, guests })
    }

    /// What is not taken.
    #[cfg(test)]
    pub(crate) fn left(&self) -> usize {
        self.all.available_permits()
    }
}

impl Place {
    /// Gives back what is above `bytes`, where it is counted in KiB.
    pub(crate) fn keep_bytes(&mut self, bytes: usize) {
        let keep = kib(bytes) as usize;
        for part in [Some(&mut self.all), self.guests.as_mut()].into_iter().flatten() {
            drop(part.split(part.num_permits().saturating_sub(keep)));
        }
    }
}

/// Bytes in KiB, rounded up.
pub(crate) fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX)
}

/// One answer, and the place of the bytes that it belongs to.
pub(crate) struct Sent {
    pub(crate) frame: Bytes,
    pub(crate) held: Option<Arc<Place>>,
}

/// Answers of a read.
pub(crate) type Answers = BoxStream<'static, Result<Sent, Status>>;

/// Answers as they are taken, one after the other.
pub(crate) struct Taken {
    state: Arc<Mutex<State>>,
    watch: Option<JoinHandle<()>>,
}

struct State {
    answers: Option<Answers>,
    /// The place of the answer that was taken last: it may lie in the connection.
    last: Option<Arc<Place>>,
    /// How often one was asked for.
    asked: u64,
    /// One was asked for and is not there.
    waits: bool,
    /// Nobody asked for long.
    stalled: bool,
}

impl Taken {
    /// All of `answers`, however long that takes.
    pub(crate) fn patiently(answers: Answers) -> Self {
        let state = State { answers: Some(answers), last: None, asked: 0, waits: false, stalled: false };
        Self { state: Arc::new(Mutex::new(state)), watch: None }
    }

    /// The same, ended when none is taken for `stall` up to twice that.
    pub(crate) fn within(answers: Answers, stall: Duration) -> Self {
        let mut taken = Self::patiently(answers);
        let state = Arc::clone(&taken.state);
        taken.watch = Some(tokio::spawn(async move {
            let mut seen = None;
            loop {
                tokio::time::sleep(stall).await;
                let mut state = lock(&state);
                if !state.waits && seen == Some(state.asked) {
                    // What lies in the connection stays counted.
                    (state.answers, state.stalled) = (None, true);
                    return;
                }
                seen = Some(state.asked);
            }
        }));
        taken
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

impl Stream for Taken {
    type Item = Result<Bytes, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = lock(&self.state);
        state.asked += 1;
        // Who asks for the next one has room for it. Kept, it might be what the next one waits for.
        state.last = None;
        if std::mem::take(&mut state.stalled) {
            let late = Status::deadline_exceeded("the answers were not taken in time");
            return Poll::Ready(Some(Err(late)));
        }
        let Some(answers) = &mut state.answers else { return Poll::Ready(None) };
        let answer = answers.as_mut().poll_next(cx);
        state.waits = answer.is_pending();
        answer.map(|answer| match answer {
            Some(Ok(sent)) => {
                state.last = sent.held;
                Some(Ok(sent.frame))
            }
            Some(Err(status)) => {
                state.answers = None;
                Some(Err(status))
            }
            None => {
                state.answers = None;
                None
            }
        })
    }
}
