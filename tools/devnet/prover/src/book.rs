//! What one chain's prover remembers: requests, their fate, and the count of everything.
//!
//! A proof counts as paid when its request is accepted, whatever becomes of it; tests compare these counts with what
//! should have been bought. All of it is in memory: a restart forgets, as some provers do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use crate::proof::ProofBytes;
use crate::script::Script;
use crate::sources::L1Block;

/// What is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A span.
    Span,
    /// An aggregate.
    Agg,
}

/// How a request ends.
#[derive(Debug, Clone)]
pub(crate) enum Ending {
    Proof(Proven),
    /// Unfulfillable, with this execution status.
    Unfulfillable(i64),
}

/// A proof with what the optional fields tell about it.
#[derive(Debug, Clone)]
pub(crate) struct Proven {
    pub(crate) proof: ProofBytes,
    pub(crate) l1_head: L1Block,
    pub(crate) public_values: Vec<u8>,
    pub(crate) blocks: u64,
}

/// A request that was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) range: (u64, u64),
    pub(crate) ending: Ending,
    pub(crate) assigned_at: Instant,
    pub(crate) done_at: Instant,
}

/// How often a proof was paid for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paid {
    /// Span or aggregate.
    pub kind: Kind,
    /// The agreed block.
    pub start: u64,
    /// The last block.
    pub end: u64,
    /// How often.
    pub times: u64,
}

/// Counts of one chain's prover.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Calls by path, whatever came of them.
    pub calls: BTreeMap<String, u64>,
    /// Proofs that were paid for, each range once.
    pub paid: Vec<Paid>,
    /// Mock proofs made.
    pub mocked: u64,
    /// Requests that were recognised by their key and not done again.
    pub recognised: u64,
    /// Proofs sent.
    pub delivered: u64,
    /// Witnesses in the making now.
    pub witnesses: usize,
    /// Most at once.
    pub witnesses_most: usize,
    /// Requests accepted and not done now.
    pub proving: usize,
    /// Most at once.
    pub proving_most: usize,
}

impl Stats {
    /// How often the proof of a range was paid for.
    #[must_use]
    pub fn times_paid(&self, kind: Kind, start: u64, end: u64) -> u64 {
        let paid = self.paid.iter().find(|paid| (paid.kind, paid.start, paid.end) == (kind, start, end));
        paid.map_or(0, |paid| paid.times)
    }

    /// What was paid for more than once.
    #[must_use]
    pub fn paid_twice(&self) -> Vec<Paid> {
        self.paid.iter().filter(|paid| paid.times > 1).cloned().collect()
    }
}

/// A request under an idempotency key: what was asked, and the id once there is one.
#[derive(Debug, Clone)]
pub(crate) struct Keyed {
    pub(crate) asked: [u8; 32],
    pub(crate) id: Arc<OnceCell<Vec<u8>>>,
}

/// The memory of one chain's prover.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) script: Script,
    pub(crate) entries: BTreeMap<Vec<u8>, Entry>,
    pub(crate) keys: BTreeMap<String, Keyed>,
    /// The request whose witness files a range has; an older one finds its own deleted.
    pub(crate) witness_of: BTreeMap<(u64, u64), u64>,
    paid: BTreeMap<(Kind, u64, u64), u64>,
    calls: BTreeMap<String, u64>,
    mocked: u64,
    recognised: u64,
    delivered: u64,
    witnesses: usize,
    witnesses_most: usize,
    proving_most: usize,
    workers: Vec<Instant>,
    counter: u64,
}

impl Book {
    pub(crate) fn new(script: Script) -> Self {
        Self { script, ..Self::default() }
    }

    pub(crate) fn count(&mut self, call: &str) {
        let calls = self.calls.entry(call.to_owned()).or_default();
        *calls = calls.saturating_add(1);
    }

    pub(crate) fn next_number(&mut self) -> u64 {
        self.counter = self.counter.saturating_add(1);
        self.counter
    }

    pub(crate) fn recognised(&mut self) {
        self.recognised = self.recognised.saturating_add(1);
    }

    pub(crate) fn mocked(&mut self) {
        self.mocked = self.mocked.saturating_add(1);
    }

    pub(crate) fn delivered(&mut self) {
        self.delivered = self.delivered.saturating_add(1);
    }

    pub(crate) fn proving(&self, now: Instant) -> usize {
        self.entries.values().filter(|entry| entry.done_at > now).count()
    }

    /// Whether one more request would be too many.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.script.capacity > 0 && self.witnesses.saturating_add(self.proving(now)) >= self.script.capacity
    }

    pub(crate) fn witness_begins(&mut self) {
        self.witnesses = self.witnesses.saturating_add(1);
        self.witnesses_most = self.witnesses_most.max(self.witnesses);
    }

    pub(crate) fn witness_ends(&mut self) {
        self.witnesses = self.witnesses.saturating_sub(1);
    }

    /// Accepts a request: it is paid for, and a worker takes it when one is free.
    pub(crate) fn accept(&mut self, kind: Kind, range: (u64, u64), ending: Ending) -> Vec<u8> {
        let now = Instant::now();
        let paid = self.paid.entry((kind, range.0, range.1)).or_default();
        *paid = paid.saturating_add(1);
        let millis = match kind {
            Kind::Span => self.script.proving_ms,
            Kind::Agg => self.script.agg_proving_ms.unwrap_or(self.script.proving_ms),
        };
        let proving = Duration::from_millis(millis);
        let assigned_at = self.employ(now, proving);
        let done_at = assigned_at + proving;
        let number = self.next_number();
        let mut name = Sha256::new_with_prefix(number.to_be_bytes());
        name.update([u8::from(kind == Kind::Agg)]);
        name.update(range.0.to_be_bytes());
        name.update(range.1.to_be_bytes());
        let id = name.finalize().to_vec();
        self.entries.insert(id.clone(), Entry { range, ending, assigned_at, done_at });
        self.proving_most = self.proving_most.max(self.proving(now));
        id
    }

    /// When a worker begins with a request that comes now: at once, or when the first one is free.
    fn employ(&mut self, now: Instant, proving: Duration) -> Instant {
        self.workers.retain(|free_at| *free_at > now);
        let all_busy = self.script.workers > 0 && self.workers.len() >= self.script.workers;
        match self.workers.iter_mut().min().filter(|_| all_busy) {
            Some(free_at) => {
                let begins = *free_at;
                *free_at = begins + proving;
                begins
            }
            None => {
                self.workers.push(now + proving);
                now
            }
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let paid = self.paid.iter().map(|((kind, start, end), times)| Paid {
            kind: *kind,
            start: *start,
            end: *end,
            times: *times,
        });
        Stats {
            calls: self.calls.clone(),
            paid: paid.collect(),
            mocked: self.mocked,
            recognised: self.recognised,
            delivered: self.delivered,
            witnesses: self.witnesses,
            witnesses_most: self.witnesses_most,
            proving: self.proving(Instant::now()),
            proving_most: self.proving_most,
        }
    }
}
