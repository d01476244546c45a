//! Requests under way, and what they cost.
//!
//! Every proof that is made is paid for, whether anybody fetches it or not: that is what tests look at.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use alloy::primitives::{B256, keccak256};
use serde::Serialize;

use crate::chain::L1Block;
use crate::script::Script;

/// What was paid for one range.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Paid {
    /// The rollup.
    pub chain: u64,
    /// Whether it is an aggregate.
    pub aggregate: bool,
    /// First block, exclusive.
    pub start: u64,
    /// Last block.
    pub end: u64,
    /// How often it was paid for.
    pub times: u64,
}

/// What the server was asked and paid for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Requests for proofs.
    pub requests: u64,
    /// Of those, repetitions under a key that was known.
    pub repeated: u64,
    /// Questions for the state of a proof.
    pub polls: u64,
    /// Most requests being answered at once.
    pub most_at_once: u64,
    /// Every range that was paid for.
    pub paid: Vec<Paid>,
}

/// What becomes of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Proof,
    NoBytes,
    Unexecutable,
    Forgotten,
}

/// What is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Work {
    pub(crate) chain: u64,
    pub(crate) aggregate: bool,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Work {
    /// Whether a listed block lies in the range.
    pub(crate) fn touches(&self, blocks: &[u64]) -> Option<u64> {
        blocks.iter().copied().find(|block| self.start < *block && *block <= self.end)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) ready: Instant,
    pub(crate) fate: Fate,
    pub(crate) proof: Vec<u8>,
    pub(crate) l1_head: Option<L1Block>,
}

/// All requests of a server.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    jobs: HashMap<B256, Job>,
    keys: HashMap<String, B256>,
    paid: BTreeMap<Work, u64>,
    /// Faults that happened and do not happen again.
    spent: BTreeSet<(&'static str, u64, u64)>,
    /// When each prover is free again.
    provers: Vec<Instant>,
    pub(crate) stats: Stats,
    pub(crate) open: u64,
}

impl Jobs {
    /// Whether a fault that happens once per block happens now.
    pub(crate) fn once(&mut self, fault: &'static str, blocks: &[u64], work: &Work) -> bool {
        let Some(block) = work.touches(blocks).filter(|_| !work.aggregate) else { return false };
        self.spent.insert((fault, work.chain, block))
    }

    /// The id of the job under a key that was seen.
    pub(crate) fn known(&mut self, key: &str) -> Option<B256> {
        let id = self.keys.get(key).copied()?;
        self.stats.repeated += 1;
        Some(id)
    }

    /// A proof is paid for.
    pub(crate) fn pay(&mut self, work: Work) {
        *self.paid.entry(work).or_default() += 1;
    }

    /// A job is taken; its id.
    pub(crate) fn take(&mut self, job: Job, key: Option<String>) -> B256 {
        self.pay(job.work);
        let number = self.jobs.len() as u64;
        let work = format!("{:?} {number}", job.work);
        let id = keccak256(work);
        if let Some(key) = key {
            self.keys.insert(key, id);
        }
        self.jobs.insert(id, job);
        id
    }

    pub(crate) fn get(&mut self, id: &B256) -> Option<Job> {
        self.stats.polls += 1;
        self.jobs.get(id).cloned()
    }

    /// When a proof that is requested now is there.
    pub(crate) fn ready(&mut self, script: &Script) -> Instant {
        let (now, time) = (Instant::now(), Duration::from_millis(script.proving_ms));
        if script.capacity == 0 {
            return now + time;
        }
        self.provers.resize(script.capacity, now);
        let Some(first) = self.provers.iter_mut().min() else { return now + time };
        *first = (*first).max(now) + time;
        *first
    }

    pub(crate) fn stats(&self) -> Stats {
        let paid = self.paid.iter().map(|(work, times)| Paid {
            chain: work.chain,
            aggregate: work.aggregate,
            start: work.start,
            end: work.end,
            times: *times,
        });
        Stats { paid: paid.collect(), ..self.stats.clone() }
    }
}
