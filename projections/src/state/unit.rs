//! A span or an aggregate that is alive: its phase and what the next decision about it needs.
//!
//! Both are proven the same way and share one struct; what only one of them has is in [`Body`]. The phase itself is
//! set by the caller, who asked [`super::phase`] first.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use bincode::{Decode, Encode};
use prooflog_events::event::{
    AggQueued, CheckpointLostReason, Event, InvalidReason, LateAnswer, LateAnswerRecorded, ProofFulfilled,
    SpanCreated, SpanOrigin, Stage,
};
use prooflog_events::ids::{
    Attempt, Hash32, L1Number, L1Ref, Micros, ProofId, Range, Revision, SlotId, UnitId, UnitKind,
};
use prooflog_events::values::{AggTerms, BlobRef, Commitments, FailureClass, Mode, RefusalClass};

use super::phase::{Phase, Shape};

/// A span or an aggregate. It stands behind a pointer: the ordered maps move their entries about and copy whole nodes of
/// them while a snapshot is being encoded, and half a kilobyte each would be most of the work of a fold.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Unit(Arc<UnitState>);

impl From<UnitState> for Unit {
    fn from(unit: UnitState) -> Self {
        Self(Arc::new(unit))
    }
}

impl Deref for Unit {
    type Target = UnitState;
    fn deref(&self) -> &UnitState {
        &self.0
    }
}

impl DerefMut for Unit {
    /// Copies the content if another clone holds it too: take it once per change.
    fn deref_mut(&mut self) -> &mut UnitState {
        Arc::make_mut(&mut self.0)
    }
}

/// What is known of a span or an aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct UnitState {
    /// Which.
    pub id: UnitId,
    /// Number of the unit first planned: its correlation, through splits and retries.
    pub root: u64,
    /// Revision of its newest event.
    pub revision: Revision,
    /// Its blocks.
    pub range: Range,
    /// What only a span or only an aggregate has.
    pub body: Body,
    /// Where it stands.
    pub phase: Phase,
    /// When it came there.
    pub since: Micros,
    /// When it was created.
    pub created: Micros,
    /// The attempt under way, or the next one.
    pub attempt: Attempt,
    /// Tries known to have failed, plus one: part of the idempotency key.
    pub try_number: u32,
    /// When the attempt under way began.
    pub started: Micros,
    /// When the attempt under way times out.
    pub deadline: Micros,
    /// Nothing is started for it before.
    pub not_before: Micros,
    /// Failures of its own; they use its budget.
    pub own_failures: u32,
    /// Failures in a row of any kind; they stretch the pause before the next attempt.
    pub streak: u32,
    /// The last failure's kind.
    pub last_failure: Option<FailureClass>,
    /// When it last failed, or was created.
    pub last_failed: Micros,
    /// The prover's id of the attempt under way.
    pub request: Option<Request>,
    /// Ids of ended attempts, which are still asked for now and then.
    pub late: Vec<Request>,
    /// Late answers on record: attempt and kind.
    pub late_recorded: Vec<(Attempt, LateKind)>,
    /// Statuses on record that nobody knows: attempt, fulfilment and execution.
    pub unknown: Vec<(Attempt, i32, i32)>,
    /// The proof.
    pub proof: Option<Proof>,
    /// Why it is of no use any more.
    pub invalid: Option<InvalidReason>,
}

/// What only a span or only an aggregate has.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Body {
    /// A span.
    Span(SpanBody),
    /// An aggregate.
    Agg(Box<AggBody>),
}

/// What only a span has.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SpanBody {
    /// Why it exists.
    pub origin: SpanOrigin,
    /// What it is proven under.
    pub commitments: Commitments,
}

/// What only an aggregate has.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AggBody {
    /// Numbers of its member spans, lowest blocks first.
    pub members: Vec<u64>,
    /// What it is proven and submitted under.
    pub terms: AggTerms,
    /// Its checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// Its submission.
    pub submission: Option<Submission>,
    /// Refusals of its checkpoint or submission in a row.
    pub refusals: u32,
    /// Times in a row that its checkpoint or submission ran out of gas.
    pub out_of_gas: u32,
    /// Its checkpoint or submission is not sent, because more is asked for it than the policy allows.
    pub capped: bool,
    /// Root of its last block, as agreed, and when.
    pub end_root: Option<(Hash32, Micros)>,
    /// Attempts below this one were bound to a checkpoint that is lost: their proofs are of no use.
    pub fence: Attempt,
    /// Index of its output, once the contract holds it.
    pub output_index: Option<u64>,
}

/// A checkpoint that an aggregate waits for or holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Checkpoint {
    /// The L1 block.
    pub block: L1Number,
    /// Its hash as read back from the contract; `None` while the transaction is on its way.
    pub hash: Option<Hash32>,
    /// The slot that carries it.
    pub slot: Option<SlotId>,
}

/// A submission under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Submission {
    /// The slot that carries it.
    pub slot: SlotId,
    /// The output root.
    pub root: Hash32,
    /// The transaction and block that include it.
    pub included: Option<(Hash32, L1Ref)>,
}

/// A request that the prover took.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Request {
    /// Its attempt.
    pub attempt: Attempt,
    /// The prover's id.
    pub proof_id: ProofId,
    /// The proof's L1 head is at or below this block.
    pub l1_bound: L1Number,
    /// That head, where known.
    pub l1_head: Option<L1Ref>,
    /// When the attempt began.
    pub started: Micros,
}

/// A proof held.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Proof {
    /// Attempt that it came from.
    pub attempt: Attempt,
    /// Its bytes.
    pub blob: BlobRef,
    /// Real or mock.
    pub mode: Mode,
    /// Its L1 head is at or below this block.
    pub l1_bound: L1Number,
    /// That head, where known.
    pub l1_head: Option<L1Ref>,
}

/// Kind of a late answer; each is recorded once per attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum LateKind {
    /// An id.
    Requested,
    /// A failure.
    Failed,
    /// A proof.
    Fulfilled,
}

impl From<&LateAnswer> for LateKind {
    fn from(answer: &LateAnswer) -> Self {
        match answer {
            LateAnswer::Requested { .. } => Self::Requested,
            LateAnswer::Failed { .. } => Self::Failed,
            LateAnswer::Fulfilled { .. } => Self::Fulfilled,
        }
    }
}

impl Unit {
    /// A new span.
    #[must_use]
    pub fn span(id: UnitId, root: u64, at: Micros, created: &SpanCreated) -> Self {
        let body = Body::Span(SpanBody { origin: created.origin, commitments: created.commitments });
        Self(Arc::new(UnitState { root, ..UnitState::new(id, at, created.range, body) }))
    }

    /// A new aggregate.
    #[must_use]
    pub fn agg(id: UnitId, at: Micros, queued: AggQueued) -> Self {
        let body = Body::Agg(Box::new(AggBody {
            members: queued.members,
            terms: queued.terms,
            checkpoint: None,
            submission: None,
            refusals: 0,
            out_of_gas: 0,
            capped: false,
            end_root: None,
            fence: Attempt(1),
            output_index: None,
        }));
        Self(Arc::new(UnitState { phase: Phase::Queued, ..UnitState::new(id, at, queued.range, body) }))
    }
}

/// Longest that a request is waited for after its deadline while nobody can be asked for it, in seconds.
const UNHEARD_SECS_MAX: u64 = 86_400;

impl UnitState {
    fn new(id: UnitId, at: Micros, range: Range, body: Body) -> Self {
        Self {
            id,
            root: id.number,
            revision: Revision(0),
            range,
            body,
            phase: Phase::Ready,
            since: at,
            created: at,
            attempt: Attempt(1),
            try_number: 1,
            started: at,
            deadline: Micros(u64::MAX),
            not_before: Micros(0),
            own_failures: 0,
            streak: 0,
            last_failure: None,
            last_failed: at,
            request: None,
            late: Vec::new(),
            late_recorded: Vec::new(),
            unknown: Vec::new(),
            proof: None,
            invalid: None,
        }
    }

    /// What decides which events may follow, beside the phase.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape {
            kind: self.id.kind,
            has_proof: self.proof.is_some(),
            has_checkpoint: self
                .agg_body()
                .and_then(|agg| agg.checkpoint)
                .is_some_and(|point| point.hash.is_some()),
            has_request: self.request.is_some(),
        }
    }

    /// Whether it is over only because the contract's commitments changed, and what was paid for is still to come.
    pub(super) fn is_set_aside(&self) -> bool {
        let by_commitments =
            self.phase == Phase::Invalidated && self.invalid == Some(InvalidReason::Commitments);
        by_commitments && self.proof.is_none() && self.request.is_some()
    }

    /// The aggregate's part.
    #[must_use]
    pub const fn agg_body(&self) -> Option<&AggBody> {
        match &self.body {
            Body::Agg(agg) => Some(agg),
            Body::Span(_) => None,
        }
    }

    /// What it is proven under.
    #[must_use]
    pub const fn commitments(&self) -> Commitments {
        match &self.body {
            Body::Span(span) => span.commitments,
            Body::Agg(agg) => agg.terms.commitments,
        }
    }

    /// Stream of the unit first planned, which all events about it carry.
    #[must_use]
    pub fn correlation(&self) -> UnitId {
        UnitId { number: self.root, ..self.id }
    }

    /// Proofs of attempts below this one are of no use.
    #[must_use]
    pub fn fence(&self) -> Attempt {
        self.agg_body().map_or(Attempt(1), |agg| agg.fence)
    }

    /// When a request that the prover took ends although nobody could be asked for it: as long again after its deadline
    /// as that was away, a day at most. A proof is paid for, and may be there; whoever answers "not yet" after the
    /// deadline ends it at once.
    #[must_use]
    pub fn unheard_until(&self) -> Micros {
        let limit = self.deadline.0.saturating_sub(self.started.0).min(UNHEARD_SECS_MAX * 1_000_000);
        Micros(self.deadline.0.saturating_add(limit))
    }

    /// When something about it is due, if nothing else happens before.
    #[must_use]
    pub fn due(&self) -> Option<Micros> {
        match self.phase {
            Phase::WitnessGen => Some(self.deadline),
            Phase::Requested | Phase::Assigned => Some(self.unheard_until()),
            Phase::Ready | Phase::Queued | Phase::Complete if self.not_before > self.since => {
                Some(self.not_before)
            }
            _ => None,
        }
    }

    /// Takes an event in; the phase was checked and is set by the caller.
    pub(super) fn absorb(&mut self, event: &Event, time: Micros) {
        match event {
            Event::WitnessGenStarted(e) => {
                self.attempt = e.attempt;
                self.try_number = e.try_number;
                self.started = time;
                self.deadline = e.deadline;
                self.request = None;
            }
            Event::ProofRequested(e) => {
                self.deadline = e.deadline;
                self.request = Some(Request {
                    attempt: e.attempt,
                    proof_id: e.proof_id.clone(),
                    l1_bound: e.l1_bound,
                    l1_head: e.l1_head,
                    started: self.started,
                });
            }
            Event::ProofFulfilled(e) => self.fulfilled(e),
            Event::WitnessGenFailed(e) => self.failed(e.class, time),
            Event::Unfulfillable(e) => self.failed(e.class, time),
            Event::TimedOut(e) => {
                let class = match (e.reason, e.stage) {
                    (prooflog_events::event::TimeoutReason::Restart, _) => FailureClass::Restart,
                    (_, Stage::Witness) => FailureClass::WitnessTimeout,
                    (_, Stage::Proving) => FailureClass::ProvingTimeout,
                };
                self.late.extend(self.request.take());
                self.failed(class, time);
            }
            // A prover that forgot an id, or had no bytes yet, may come to itself: the proof is paid for.
            Event::ProofLost(e) => {
                self.late.extend(self.request.take());
                self.failed(e.class, time);
            }
            Event::LateAnswerRecorded(e) => self.answered_late(e),
            Event::UnknownStatusRecorded(e) => self.unknown.push((e.attempt, e.fulfillment, e.execution)),
            Event::Retried(e) => {
                self.attempt = e.attempt;
                self.own_failures = e.failures;
                self.not_before = e.not_before;
                if let Body::Agg(agg) = &mut self.body {
                    agg.refusals = 0;
                }
            }
            Event::Unparked(e) => {
                self.attempt = e.attempt;
                self.not_before = Micros(0);
                self.own_failures = 0;
                self.streak = 0;
                if let Body::Agg(agg) = &mut self.body {
                    (agg.refusals, agg.out_of_gas) = (0, 0);
                }
            }
            Event::Restored(_) => {
                self.invalid = None;
                // Nobody asked for its proof meanwhile: it is asked for before its time is over.
                self.deadline = self.deadline.max(time);
                self.absorb_as_agg(event, time);
            }
            Event::Parked(_) => self.late.extend(self.request.take()),
            Event::Invalidated(e) => self.invalid = Some(e.reason),
            _ => self.absorb_as_agg(event, time),
        }
    }

    fn absorb_as_agg(&mut self, event: &Event, time: Micros) {
        let Body::Agg(agg) = &mut self.body else { return };
        match event {
            Event::CheckpointStarted(e) => {
                agg.checkpoint = Some(Checkpoint { block: e.block, hash: None, slot: Some(e.slot) });
                (agg.refusals, agg.capped) = (0, false);
            }
            Event::Checkpointed(e) => {
                let slot = agg.checkpoint.and_then(|point| point.slot);
                agg.checkpoint = Some(Checkpoint { block: e.block.number, hash: Some(e.block.hash), slot });
                agg.out_of_gas = 0;
                self.streak = 0;
            }
            Event::CheckpointLost(e) => {
                if e.reason == CheckpointLostReason::Reverted {
                    self.streak = self.streak.saturating_add(1);
                }
                // A proof is bound to its checkpoint: without it neither the proof nor a request is of use.
                agg.checkpoint = None;
                self.proof = None;
                self.request = None;
                self.late.clear();
                self.attempt = self.attempt.next();
                agg.fence = self.attempt;
                self.try_number = self.try_number.saturating_add(1);
            }
            Event::OutputChecked(e) if e.block == self.range.end => agg.end_root = Some((e.root, time)),
            Event::SubmissionRefused(e) => {
                self.not_before = e.not_before;
                agg.refusals = agg.refusals.saturating_add(1);
                if e.refusal.class == RefusalClass::OutOfGas {
                    agg.out_of_gas = agg.out_of_gas.saturating_add(1);
                }
            }
            Event::SubmissionStarted(e) => {
                agg.submission = Some(Submission { slot: e.slot, root: e.root, included: None });
                (agg.refusals, agg.capped) = (0, false);
            }
            Event::Submitted(e) => {
                if let Some(submission) = &mut agg.submission {
                    submission.included = Some((e.tx, e.block));
                }
            }
            Event::SubmissionReorged(_) => {
                if let Some(submission) = &mut agg.submission {
                    submission.included = None;
                }
            }
            Event::FeeCeilingReached(_) => agg.capped = true,
            Event::SubmissionAbandoned(_) => agg.submission = None,
            Event::SubmissionReverted(e) => {
                agg.submission = None;
                agg.refusals = agg.refusals.saturating_add(1);
                self.streak = self.streak.saturating_add(1);
                self.not_before = e.not_before;
            }
            Event::Restored(_) => {
                agg.submission = None;
                agg.output_index = None;
            }
            _ => {}
        }
    }

    /// A transaction for it ran out of gas in a block.
    pub(super) fn ran_out_of_gas(&mut self) {
        if let Body::Agg(agg) = &mut self.body {
            agg.out_of_gas = agg.out_of_gas.saturating_add(1);
        }
    }

    fn answered_late(&mut self, e: &LateAnswerRecorded) {
        self.late_recorded.push((e.attempt, LateKind::from(&e.answer)));
        let is_told = match &e.answer {
            LateAnswer::Failed { .. } => true,
            // A whole that its halves make needless will not be of more use later.
            LateAnswer::Fulfilled { .. } => self.phase == Phase::Split,
            LateAnswer::Requested { .. } => false,
        };
        if is_told {
            // There is nothing to ask for any more.
            self.late.retain(|request| request.attempt != e.attempt);
        }
        if let LateAnswer::Requested { proof_id, l1_bound } = &e.answer
            && e.attempt >= self.fence()
        {
            self.late.push(Request {
                attempt: e.attempt,
                proof_id: proof_id.clone(),
                l1_bound: *l1_bound,
                l1_head: None,
                started: self.created,
            });
        }
    }

    fn fulfilled(&mut self, e: &ProofFulfilled) {
        self.proof = Some(Proof {
            attempt: e.attempt,
            blob: e.proof,
            mode: e.mode,
            l1_bound: e.l1_bound,
            l1_head: e.l1_head,
        });
        self.request = None;
        self.late.clear();
        self.unknown.clear();
        self.streak = 0;
        self.not_before = Micros(0);
    }

    fn failed(&mut self, class: FailureClass, time: Micros) {
        self.request = None;
        self.last_failure = Some(class);
        self.last_failed = time;
        // Data that are not there yet are waited for: nothing failed.
        if class != FailureClass::DataNotReady {
            self.streak = self.streak.saturating_add(1);
        }
        if class.is_known_failure() {
            self.try_number = self.try_number.saturating_add(1);
        }
    }

    /// The contract holds its output under this index.
    pub(super) fn set_output_index(&mut self, index: u64) {
        if let Body::Agg(agg) = &mut self.body {
            agg.output_index = Some(index);
        }
    }

    /// Whether it is over, holds a proof, and would be of use again if the contract moved back below it.
    #[must_use]
    pub const fn is_restorable(&self) -> bool {
        let use_again = match self.invalid {
            None => matches!(self.phase, Phase::Settled),
            Some(
                InvalidReason::Straddles
                | InvalidReason::Commitments
                | InvalidReason::Superseded
                | InvalidReason::MemberGone
                | InvalidReason::BelowNext
                // A half that gave way to the whole, which may become useless where the half does not.
                | InvalidReason::Replaced,
            ) => true,
            Some(_) => false,
        };
        use_again && self.proof.is_some()
    }

    /// Whether it is a span.
    #[must_use]
    pub const fn is_span(&self) -> bool {
        matches!(self.id.kind, UnitKind::Span)
    }
}
