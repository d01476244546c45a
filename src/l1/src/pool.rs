//! The endpoints of one L1: which of them are trusted now, and what each last said.
//!
//! An endpoint that cannot be reached, belongs to another chain, goes backwards, lags or disagrees is left alone for a
//! while. If all are, all are asked: there is nothing better. A crash in here means that a call is repeated elsewhere.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prooflog_events::ids::L1Number;

use crate::json::ByNumber;
use crate::rpc::Rpc;

/// An endpoint and what is thought of it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) rpc: Rpc,
    opinion: Mutex<Opinion>,
}

#[derive(Debug, Default)]
struct Opinion {
    distrusted: Option<(Instant, String)>,
    is_our_chain: bool,
    takes_numbers_only: bool,
    head: Option<L1Number>,
}

/// What an endpoint looks like from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointReport {
    /// Scheme, host and digest.
    pub label: String,
    /// Why it is not used now; `None` while it is trusted.
    pub distrusted: Option<String>,
    /// The head that it last reported.
    pub head: Option<L1Number>,
    /// Calls made, every call of a batch counted.
    pub calls: u64,
    /// Calls that brought no answer.
    pub failed: u64,
}

impl Member {
    pub(crate) fn new(rpc: Rpc) -> Self {
        Self { rpc, opinion: Mutex::default() }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Opinion) -> T) -> T {
        look(&mut self.opinion.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Leaves it alone for a while. A second reason does not shorten or lengthen the first one's time.
    pub(crate) fn distrust(&self, pause: Duration, reason: &str) {
        let until = Instant::now() + pause;
        let is_new = self.with(|opinion| {
            let is_new = opinion.distrusted.as_ref().is_none_or(|(until, _)| *until <= Instant::now());
            if is_new {
                opinion.distrusted = Some((until, reason.to_owned()));
            }
            is_new
        });
        if is_new {
            tracing::warn!(endpoint = self.rpc.label(), reason, "an L1 endpoint is left alone for a while");
        }
    }

    pub(crate) fn is_trusted(&self) -> bool {
        self.with(|opinion| opinion.distrusted.as_ref().is_none_or(|(until, _)| *until <= Instant::now()))
    }

    /// It answered as it should.
    pub(crate) fn trust(&self) {
        self.with(|opinion| {
            if opinion.distrusted.as_ref().is_some_and(|(until, _)| *until <= Instant::now()) {
                opinion.distrusted = None;
            }
        });
    }

    pub(crate) fn is_our_chain(&self) -> bool {
        self.with(|opinion| opinion.is_our_chain)
    }

    pub(crate) fn set_our_chain(&self) {
        self.with(|opinion| opinion.is_our_chain = true);
    }

    pub(crate) fn by_number(&self) -> ByNumber {
        if self.with(|opinion| opinion.takes_numbers_only) { ByNumber::Yes } else { ByNumber::No }
    }

    pub(crate) fn set_by_number(&self, by_number: ByNumber) {
        self.with(|opinion| opinion.takes_numbers_only = by_number == ByNumber::Yes);
    }

    /// Notes the head that it reported, and returns the one before.
    pub(crate) fn note_head(&self, head: L1Number) -> Option<L1Number> {
        self.with(|opinion| opinion.head.replace(head))
    }

    pub(crate) fn report(&self) -> EndpointReport {
        let (calls, failed) = self.rpc.counts();
        self.with(|opinion| EndpointReport {
            label: self.rpc.label().to_owned(),
            distrusted: opinion
                .distrusted
                .as_ref()
                .filter(|(until, _)| *until > Instant::now())
                .map(|(_, reason)| reason.clone()),
            head: opinion.head,
            calls,
            failed,
        })
    }
}
