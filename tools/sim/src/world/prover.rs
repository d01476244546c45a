//! The prover: an op-succinct server and the network behind it, as wire.md describes them.
//!
//! A request is a witness that takes minutes and then a job with an id at the network; the answer comes only then. A
//! second request for the same blocks kills the first one's witness. The server may honour idempotency keys or not, may
//! lose everything in a restart, and says 500 to all that it does not know. Each accepted job is paid for, so the
//! ledger of purchases is what the money rules are checked against.

use std::collections::BTreeMap;

use prooflog_core::ProofRequest;
use prooflog_events::ids::{Attempt, ChainId, Hash32, L1Ref, Micros, ProofId, Range, UnitId, UnitKind};
use prooflog_events::values::{Commitments, Mode};

use super::proof::{AggProof, SpanProof};
use crate::rng::Rng;

/// What a job comes to, once its time is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A proof; its bytes are missing for this many calls.
    Proof {
        /// The bytes.
        bytes: Vec<u8>,
        /// Calls that get none.
        missing: u32,
    },
    /// Given up, with this execution status.
    Unfulfillable(i32),
}

/// A job at the network.
#[derive(Debug, Clone)]
pub struct Job {
    /// The engine's unit.
    pub unit: UnitId,
    /// Its attempt.
    pub attempt: Attempt,
    /// The blocks.
    pub range: Range,
    /// When a prover took it.
    pub assigned: Micros,
    /// When it ends.
    pub ends: Micros,
    /// How.
    pub verdict: Verdict,
    /// The L1 head it was derived from.
    pub l1_head: L1Ref,
    /// Whether the server tells that.
    pub tells: bool,
    /// The server no longer knows it.
    pub forgotten: bool,
}

/// A witness being made.
#[derive(Debug, Clone)]
pub struct Witness {
    /// The request.
    pub request: ProofRequest,
    /// Bytes of the members, for an aggregate.
    pub members: Vec<Vec<u8>>,
    /// When it is done.
    pub ends: Micros,
    /// Another request for the same blocks, or a restart, ended it.
    pub killed: bool,
    /// It met the server's own limit.
    pub timed_out: bool,
    /// The job that it repeats.
    pub repeats: Option<u64>,
}

/// Fixed properties of one server.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// Idempotency keys are honoured.
    pub honours_keys: bool,
    /// Seconds of a witness: least and most.
    pub witness_secs: (u64, u64),
    /// Seconds of a proof: least and most.
    pub proving_secs: (u64, u64),
    /// Weight that one span may have.
    pub max_weight: u64,
    /// Members that one aggregate may have.
    pub max_members: usize,
    /// The server's own limit for a witness, in seconds.
    pub witness_limit_secs: u64,
}

/// The server of one rollup.
#[derive(Debug)]
pub struct Prover {
    /// The rollup.
    pub chain: ChainId,
    /// Its properties.
    pub profile: Profile,
    /// What it proves under.
    pub commitments: Commitments,
    /// The aggregation key.
    pub agg_vkey: Hash32,
    /// It cannot be reached before.
    pub down_until: Micros,
    /// It is full before.
    pub full_until: Micros,
    /// The account has no credit before.
    pub broke_until: Micros,
    /// Data are not on L1 before.
    pub not_ready_until: Micros,
    /// Ranges longer than this are unfulfillable; 0 for no limit.
    pub max_blocks: u64,
    jobs: BTreeMap<u64, Job>,
    by_key: BTreeMap<Hash32, u64>,
    witnesses: BTreeMap<u64, Witness>,
    next: u64,
    pub(super) rng: Rng,
    /// Of what was added later, so that kept seeds stay what they were.
    pub(super) trouble: Rng,
}

impl Prover {
    /// A server without jobs.
    #[must_use]
    pub fn new(
        chain: ChainId,
        seed: u64,
        profile: Profile,
        commitments: Commitments,
        agg_vkey: Hash32,
    ) -> Self {
        Self {
            chain,
            profile,
            commitments,
            agg_vkey,
            down_until: Micros(0),
            full_until: Micros(0),
            broke_until: Micros(0),
            not_ready_until: Micros(0),
            max_blocks: 0,
            jobs: BTreeMap::new(),
            by_key: BTreeMap::new(),
            witnesses: BTreeMap::new(),
            next: 1,
            rng: Rng::new(seed ^ chain.0, "prover"),
            trouble: Rng::new(seed ^ chain.0, "prover's trouble"),
        }
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// The id by which the server knows a job.
    #[must_use]
    pub fn id_of(&self, job: u64) -> ProofId {
        let mut bytes = self.chain.0.to_be_bytes().to_vec();
        bytes.extend(job.to_be_bytes());
        ProofId(bytes)
    }

    /// The job of an id, whether or not the server still knows it.
    #[must_use]
    pub fn job(&self, id: &ProofId) -> Option<&Job> {
        let number = id.0.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))?;
        self.jobs.get(&number).filter(|_| self.id_of(number) == *id)
    }

    /// All jobs that were paid for.
    pub fn jobs(&self) -> impl Iterator<Item = (&u64, &Job)> {
        self.jobs.iter()
    }

    /// Witnesses of a span of these blocks that are still being made.
    pub fn running(&self, now: Micros, range: Range) -> impl Iterator<Item = &Witness> {
        let runs = move |witness: &&Witness| !witness.killed && witness.ends > now && is_span(witness, range);
        self.witnesses.values().filter(runs)
    }

    /// Begins a witness; the same key again joins what there is, where keys are honoured.
    pub fn begin(&mut self, now: Micros, request: &ProofRequest, members: Vec<Vec<u8>>) -> (u64, Micros) {
        let (low, high) = self.profile.witness_secs;
        let mut ends = now.plus_secs(self.rng.between(low, high));
        let limit = now.plus_secs(self.profile.witness_limit_secs);
        let mut repeats = None;
        if self.profile.honours_keys {
            repeats = self.by_key.get(&request.idempotency_key).copied();
            let same = |witness: &&Witness| {
                !witness.killed && witness.request.idempotency_key == request.idempotency_key
            };
            if let Some(running) = self.witnesses.values().find(same) {
                ends = running.ends.max(now).plus_secs(1);
            } else if repeats.is_some() {
                ends = now.plus_secs(1);
            }
        }
        if repeats.is_none() && !self.profile.honours_keys {
            for witness in self.witnesses.values_mut() {
                witness.killed |= is_span(witness, request.range) && request.unit.kind == UnitKind::Span;
            }
        }
        let number = self.number();
        let timed_out = ends > limit;
        let ends = ends.min(limit);
        let witness = Witness { request: request.clone(), members, ends, killed: false, timed_out, repeats };
        self.witnesses.insert(number, witness);
        (number, ends)
    }

    /// Takes a witness out that is done.
    pub fn take(&mut self, witness: u64) -> Option<Witness> {
        self.witnesses.remove(&witness)
    }

    /// The job that a repeated key stands for, if there is one by now.
    #[must_use]
    pub fn repeated(&self, witness: &Witness) -> Option<u64> {
        if !self.profile.honours_keys {
            return None;
        }
        let known = self.by_key.get(&witness.request.idempotency_key).copied().or(witness.repeats)?;
        self.jobs.get(&known).filter(|job| !job.forgotten).map(|_| known)
    }

    /// Places a job at the network: from here on it costs money.
    pub fn place(&mut self, key: Hash32, job: impl FnOnce(u64, &mut Rng) -> Job) -> u64 {
        let number = self.number();
        let job = job(number, &mut self.rng);
        self.by_key.insert(key, number);
        self.jobs.insert(number, job);
        number
    }

    /// The server restarts: calls break, and with `forget` nothing of before is known.
    pub(crate) fn restart(&mut self, forget: bool) {
        for witness in self.witnesses.values_mut() {
            witness.killed = true;
        }
        if forget {
            self.by_key.clear();
            for job in self.jobs.values_mut() {
                job.forgotten = true;
            }
        }
    }

    /// One status call's look at a job: fulfilment, execution and the bytes, if there are any.
    pub fn look(&mut self, now: Micros, id: &ProofId) -> Option<(i32, i32, Option<Vec<u8>>)> {
        let number = id.0.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))?;
        let job = self.jobs.get_mut(&number).filter(|job| !job.forgotten)?;
        if now < job.assigned {
            return Some((1, 1, None));
        }
        if now < job.ends {
            return Some((2, 1, None));
        }
        match &mut job.verdict {
            Verdict::Unfulfillable(execution) => Some((4, *execution, None)),
            Verdict::Proof { missing, .. } if *missing > 0 => {
                *missing = missing.saturating_sub(1);
                Some((3, 2, None))
            }
            Verdict::Proof { bytes, .. } => Some((3, 2, Some(bytes.clone()))),
        }
    }

    /// The quiet period begins: what is broken works, and jobs that would never end do.
    pub fn mend(&mut self, now: Micros) {
        self.down_until = now;
        self.full_until = now;
        self.broke_until = now;
        self.not_ready_until = now;
        self.max_blocks = 0;
        self.profile.max_members = usize::MAX;
    }
}

fn is_span(witness: &Witness, range: Range) -> bool {
    witness.request.unit.kind == UnitKind::Span && witness.request.range == range
}

/// Whether members chain without a gap over `range`, under the same commitments.
#[must_use]
pub(super) fn members_fit(members: &[SpanProof], range: Range) -> bool {
    let mut at = range.start;
    for member in members {
        if member.range.start != at {
            return false;
        }
        at = member.range.end;
    }
    !members.is_empty() && at == range.end
}

/// Bytes of an aggregate's proof; in mock mode there are none.
#[must_use]
pub(super) fn agg_bytes(mode: Mode, proof: &AggProof) -> Vec<u8> {
    match mode {
        Mode::Real => proof.encode(),
        Mode::Mock => Vec::new(),
    }
}
