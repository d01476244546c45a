//! Deliberate bugs, to show that the rules can fail.
//!
//! Each is a mistake that a scheduler like this one has made or could make. They are put around the core and never
//! into it: an input is changed before `decide` sees it, the state that `decide` believes in is changed, or the events
//! it decided are, and the true state is folded from the result; a few reach into the ring itself. With a bug, recorded
//! decisions are not replayed: the bug would be in the replaying `decide` as well.

mod more;

use prooflog_core::{Effect, NewEvent, unit_effects};
use prooflog_events::event::{
    AggSettled, Event, InvalidReason, ParkReason, Retried, SpanOrigin, SubmissionConfirmed, TimeoutReason,
};
use prooflog_events::ids::{Attempt, L1Number, L2Block, Micros, StreamId, UnitId};
use prooflog_events::input::{Input, StatusAnswer, WitnessAnswer};
use prooflog_events::values::Purpose;
use prooflog_projections::State;
use prooflog_projections::state::chain::AgreedRoot;
use prooflog_projections::state::phase::Phase;
use prooflog_projections::state::unit::Unit;

/// Fulfilment that says "given up".
const UNFULFILLABLE: i32 = 4;

/// A bug that a process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Sabotage {
    /// None.
    #[default]
    None,
    /// The upper half of a split starts one block too high.
    SplitLosesABlock,
    /// An aggregate leaves its first member out.
    AggregateStartsElsewhere,
    /// An aggregate names its members in the wrong order.
    MembersOutOfOrder,
    /// Effects leave before their intent is on disk.
    EffectBeforeIntent,
    /// A failure of an earlier attempt ends the current one.
    LateFailureAccepted,
    /// A retry keeps the number of the attempt that failed.
    AttemptsNotFenced,
    /// A snapshot misses what one type of event said.
    SnapshotIgnoresOutputChecked,
    /// A checkpoint lies below a member's L1 head.
    CheckpointTooLow,
    /// A unit whose budget is used up is tried again.
    BudgetNeverUsedUp,
    /// One more than the limits allow is started.
    LimitOffByOne,
    /// Blocks are planned that are not final.
    PlansAboveFinalized,
    /// A retry waits for nothing.
    BackoffForgotten,
    /// A stuck checkpoint's nonce is given to a submission.
    NonceReused,
    /// A submission counts as confirmed once it is in a block.
    ConfirmedWithoutDepth,
    /// Proofs are removed before the contract cannot move back any more.
    PrunedTooEarly,
    /// The contract moved back and nothing follows.
    RollbackIgnored,
    /// The contract takes other keys and nothing follows.
    CommitmentsIgnored,
    /// Degraded mode is never left.
    DegradedForEver,
    /// After a restart, open requests are made again.
    RestartRequestsAgain,
    /// A pause by an operator holds nothing back.
    PauseIgnored,
    /// What is answered is not yet on disk.
    AcknowledgedTooEarly,
    /// The running state changes without an event.
    StateWithoutEvent,
    /// A decision depends on something that is not recorded.
    DecisionNotReplayable,
    /// After the contract moved back, held proofs are not used again.
    ProofsNotRestored,
    /// A unit that cannot run is retried and not halved.
    NeverHalved,
    /// The contract's output is taken for right without asking the nodes.
    AgreementAssumed,
    /// An aggregate is bought of a server that was compared with the contract some time ago.
    ComparedOnce,
    /// A request ends when its limit passes, whether or not anybody could be asked for it.
    EndedUnasked,
    /// One member that cannot be read costs all of them.
    AllMembersGuilty,
    /// A request that is never answered never ends.
    NeverEnds,
    /// Values of two blocks are taken for those of one.
    TornReadsBelieved,
    /// The late proof of a span that was halved is thrown away.
    LateWholeThrownAway,
    /// The late proof of a span that was halved is used, and its halves stay.
    HalvesLeftAlive,
    /// Numbers that nobody knows are not put on record.
    UnknownNotTold,
    /// Fees above the ceiling are not put on record.
    CeilingNotTold,
    /// One planned span in two starts one block too high.
    PlanLeavesABlock,
    /// A planned span has no blocks.
    EmptySpan,
    /// A failure is put on record and nothing follows.
    FailureForgotten,
    /// The contract takes other keys, and what was planned under the old ones stays.
    StaleCommitmentsKept,
    /// The highest blocks are proven first.
    HighestFirst,
    /// Members of an aggregate count as settled once its proof is there.
    SettledTooEarly,
    /// The id that the server gave to one request is kept for another one.
    IdsMixedUp,
    /// A submission is given a second nonce.
    SubmitAgain,
    /// Nothing is submitted, and nobody is told.
    StandsSilently,
    /// The transport repeats the request of an aggregate whose answer it lost.
    PaidTwice,
    /// The transport repeats a call for a span while the server is still at it.
    CallRepeated,
    /// The members' proofs are sent in the wrong order.
    MembersSentInDisorder,
    /// What is due is due again at once.
    AlwaysDue,
    /// An answer is put on record twice.
    AnswerTwice,
}

impl Sabotage {
    /// Whether effects wait until the log has their intent.
    #[must_use]
    pub fn waits_for_log(self) -> bool {
        self != Self::EffectBeforeIntent
    }

    /// Commits that a crash takes although they were heard of.
    #[must_use]
    pub fn loses_heard(self) -> usize {
        usize::from(self == Self::AcknowledgedTooEarly)
    }

    /// Whether recorded decisions can be replayed with this bug.
    #[must_use]
    pub const fn replays(self) -> bool {
        matches!(self, Self::None | Self::DecisionNotReplayable)
    }

    /// What it makes of an input.
    #[must_use]
    pub fn input(self, state: &State, mut input: Input) -> Input {
        match (self, &mut input) {
            (Self::LateFailureAccepted, _) => {}
            (Self::CommitmentsIgnored, Input::ContractRead(read)) => {
                let known = state.chains.get(&read.chain).and_then(|chain| chain.contract.values.as_ref());
                if let Some(known) = known {
                    (read.values.range_vkey, read.values.agg_vkey) = (known.range_vkey, known.agg_vkey);
                }
                return input;
            }
            (Self::AllMembersGuilty, Input::MembersRefused(refused)) => {
                let agg = state.unit(refused.unit).and_then(|unit| unit.agg_body());
                let members = agg.map_or(0, |agg| agg.members.len());
                refused.members = (0..u32::try_from(members).unwrap_or(0)).collect();
                return input;
            }
            (Self::DegradedForEver, Input::DiskRead(read)) => {
                read.free = read.free.min(read.minimum);
                return input;
            }
            _ => return input,
        }
        let current =
            |unit: UnitId| state.unit(unit).filter(|unit| unit.phase.is_in_flight()).map(|unit| unit.attempt);
        match &mut input {
            Input::StatusAnswered(answered)
                if matches!(answered.answer, StatusAnswer::Status { fulfillment: UNFULFILLABLE, .. }) =>
            {
                answered.attempt = current(answered.unit).unwrap_or(answered.attempt);
            }
            Input::WitnessAnswered(answered) if matches!(answered.answer, WitnessAnswer::Failed { .. }) => {
                answered.attempt = current(answered.unit).unwrap_or(answered.attempt);
            }
            _ => {}
        }
        input
    }

    /// Whether something is always due.
    #[must_use]
    pub fn is_always_due(self) -> bool {
        self == Self::AlwaysDue
    }

    /// What it makes `decide` believe when it decides on an input.
    pub fn state(self, state: &mut State, input: &Input) {
        let chains: Vec<_> = state.chains.keys().copied().collect();
        for id in chains {
            let Some(chain) = state.chains.get_mut(&id) else { continue };
            match self {
                Self::LimitOffByOne => {
                    if let Some(policy) = &mut chain.policy {
                        policy.max_proofs_in_flight += 1;
                        policy.max_witness_in_flight += 1;
                    }
                }
                Self::PrunedTooEarly => {
                    if let Some(policy) = &mut chain.policy {
                        policy.keep_proofs_secs = 60;
                    }
                    if let Some(values) = &mut chain.contract.values {
                        values.finalization_secs = 60;
                    }
                }
                Self::PlansAboveFinalized => {
                    if let Some(finalized) = &mut chain.finalized {
                        finalized.block = L2Block(finalized.block.0 + 100);
                    }
                }
                // Who does not believe in a pause cannot lift it either, so operators are heard.
                Self::PauseIgnored if !matches!(input, Input::OperatorCommanded(_)) => {
                    chain.hold.paused.clear();
                }
                Self::ComparedOnce => chain.hold.config_at = Micros(u64::MAX),
                Self::EndedUnasked => {
                    let taken = |unit: &&Unit| matches!(unit.phase, Phase::Requested | Phase::Assigned);
                    let ends: Vec<_> =
                        chain.units().filter(taken).map(|unit| (unit.deadline, unit.id)).collect();
                    for end in ends {
                        chain.index.due.insert(end);
                    }
                }
                Self::NeverEnds => {
                    let taken = |unit: &&Unit| matches!(unit.phase, Phase::Requested | Phase::Assigned);
                    let ends: Vec<_> =
                        chain.units().filter(taken).filter_map(|unit| Some((unit.due()?, unit.id))).collect();
                    for end in ends {
                        chain.index.due.remove(&end);
                    }
                }
                Self::AgreementAssumed => {
                    if let Some(latest) = chain.contract.latest {
                        let agreed = AgreedRoot { root: latest.root, current_l1: chain.contract.advanced_at };
                        chain.roots.insert(latest.block, agreed);
                    }
                }
                _ => {}
            }
        }
    }

    /// What it makes of a decision.
    #[must_use]
    pub fn events(self, state: &State, now: Micros, mut events: Vec<NewEvent>) -> Vec<NewEvent> {
        match self {
            Self::RollbackIgnored => {
                let rolled_back = events.iter().any(|new| matches!(new.event, Event::ContractRolledBack(_)));
                return if rolled_back { Vec::new() } else { events };
            }
            Self::RestartRequestsAgain => {
                let restarted = |new: &NewEvent| matches!(&new.event, Event::TimedOut(e) if e.reason == TimeoutReason::Restart);
                if events.iter().any(restarted) {
                    events.retain(|new| matches!(new.event, Event::EngineStarted(_)));
                }
            }
            Self::PlansAboveFinalized => {
                // What it believes of the head is not what it records.
                events.retain(|new| !matches!(new.event, Event::DegradedModeEntered(_)));
            }
            Self::LateWholeThrownAway if events.iter().any(|new| is_whole_again(state, new)) => {
                return Vec::new();
            }
            Self::HalvesLeftAlive if events.iter().any(|new| is_whole_again(state, new)) => {
                events.retain(
                    |new| !matches!(&new.event, Event::Invalidated(e) if e.reason == InvalidReason::Replaced),
                );
            }
            Self::UnknownNotTold => {
                events.retain(|new| !matches!(new.event, Event::UnknownStatusRecorded(_)))
            }
            Self::CeilingNotTold => events.retain(|new| !matches!(new.event, Event::FeeCeilingReached(_))),
            Self::ProofsNotRestored => events.retain(|new| !matches!(new.event, Event::Restored(_))),
            Self::StandsSilently
                if events.iter().any(|new| matches!(new.event, Event::SubmissionStarted(_))) =>
            {
                return Vec::new();
            }
            Self::FailureForgotten if events.iter().any(|new| is_failure(&new.event)) => {
                events.retain(|new| is_failure(&new.event) || !matches!(new.stream, StreamId::Unit(_)));
            }
            Self::StaleCommitmentsKept if events.iter().any(|new| is_stale(&new.event)) => {
                events.retain(|new| !matches!(new.stream, StreamId::Unit(_)));
            }
            Self::HighestFirst => return more::highest_first(state, events),
            Self::SettledTooEarly => return more::settle_members(state, events),
            Self::SubmitAgain => return more::submit_again(events),
            Self::AnswerTwice => {
                let answer = events.iter().position(|new| matches!(new.event, Event::ProofRequested(_)));
                if let Some(at) = answer {
                    events.extend(events.get(at).cloned());
                }
            }
            Self::ConfirmedWithoutDepth => return confirm_at_once(state, events),
            Self::NeverHalved => return retry_instead_of_halves(state, now, events),
            _ => {}
        }
        for new in &mut events {
            self.event(state, now, new);
        }
        events
    }

    fn event(self, state: &State, now: Micros, new: &mut NewEvent) {
        match (self, &mut new.event) {
            (Self::SplitLosesABlock, Event::SpanCreated(e)) => {
                let upper = matches!(e.origin, SpanOrigin::HalfOf(parent)
                    if parent_of(state, new.stream, parent).is_some_and(|start| start != e.range.start));
                if upper && e.range.blocks() > 1 {
                    e.range.start = L2Block(e.range.start.0 + 1);
                }
            }
            (Self::AggregateStartsElsewhere, Event::AggQueued(e)) if e.members.len() > 1 => {
                let StreamId::Unit(agg) = new.stream else { return };
                let first = e.members.remove(0);
                if let Some(span) = state.unit(UnitId::span(agg.chain, first)) {
                    e.range.start = span.range.end;
                }
            }
            (Self::PlanLeavesABlock, Event::SpanCreated(e)) if e.origin == SpanOrigin::Planned => {
                let StreamId::Unit(span) = new.stream else { return };
                e.range.start = L2Block(e.range.start.0 + span.number % 2);
            }
            (Self::EmptySpan, Event::SpanCreated(e)) if e.origin == SpanOrigin::Planned => {
                e.range.end = e.range.start;
            }
            (Self::IdsMixedUp, Event::ProofRequested(e)) => {
                if let Some(other) = more::other_id(state, new.stream) {
                    e.proof_id = other;
                }
            }
            (Self::MembersOutOfOrder, Event::AggQueued(e)) => e.members.reverse(),
            (Self::AttemptsNotFenced, Event::Retried(e)) => {
                e.attempt = Attempt(e.attempt.0.saturating_sub(1).max(1));
            }
            (Self::CheckpointTooLow, Event::CheckpointStarted(e)) => {
                e.block = L1Number(e.bound.0.saturating_sub(1))
            }
            (Self::CheckpointTooLow, Event::TxReserved(e)) => {
                if let Purpose::Checkpoint { block, .. } = &mut e.purpose {
                    *block = L1Number(block.0.saturating_sub(1));
                }
            }
            (Self::BackoffForgotten, Event::Retried(e)) => e.not_before = now,
            (Self::DecisionNotReplayable, Event::Retried(e)) => {
                e.not_before = Micros(e.not_before.0 + now.0 % 7 + 1)
            }
            (Self::NonceReused, Event::TxReplaced(e)) => {
                if let Purpose::Checkpoint { agg, .. } = e.purpose {
                    e.purpose = Purpose::Submission { agg };
                }
            }
            (Self::BudgetNeverUsedUp, Event::Parked(e)) => {
                let (StreamId::Unit(id), true) = (new.stream, e.reason != ParkReason::Operator) else {
                    return;
                };
                let attempt = state.unit(id).map_or(Attempt(1), |unit| unit.attempt.next());
                let not_before = now.plus_secs(300);
                new.event = Retried { attempt, not_before, failures: 0, budget_left: 5 }.into();
            }
            _ => {}
        }
    }

    /// What it does to the running state behind the log's back.
    pub fn drift(self, state: &mut State) {
        if self == Self::StateWithoutEvent {
            let chains: Vec<_> = state.chains.keys().copied().collect();
            for id in chains {
                if let Some(chain) = state.chains.get_mut(&id) {
                    chain.prover.failures = chain.prover.failures.saturating_add(1);
                }
            }
        }
    }

    /// What a snapshot of `state` holds.
    #[must_use]
    pub fn snapshot(self, state: &State) -> State {
        let mut state = state.clone();
        if self == Self::SnapshotIgnoresOutputChecked {
            let chains: Vec<_> = state.chains.keys().copied().collect();
            for id in chains {
                if let Some(chain) = state.chains.get_mut(&id) {
                    chain.roots.clear();
                }
            }
        }
        state
    }

    /// What it makes of effects.
    #[must_use]
    pub fn effects(self, state: &State, mut effects: Vec<Effect>) -> Vec<Effect> {
        if self == Self::MembersSentInDisorder {
            for effect in &mut effects {
                if let Effect::RequestProof(request) = effect
                    && let Some(agg) = &mut request.agg
                {
                    agg.members.reverse();
                }
            }
        }
        if self == Self::RestartRequestsAgain && !state.stale_calls.is_empty() {
            let mut blind = state.clone();
            blind.stale_calls = prooflog_projections::Set::default();
            for chain in blind.chains.values() {
                let open = chain.units().filter(|unit| unit.phase == Phase::WitnessGen);
                let again = open.flat_map(|unit| unit_effects(&blind, chain, unit));
                effects.extend(again.filter(|effect| matches!(effect, Effect::RequestProof(_))));
            }
        }
        effects
    }
}

/// Whether an event ends an attempt without a proof.
const fn is_failure(event: &Event) -> bool {
    matches!(
        event,
        Event::WitnessGenFailed(_) | Event::Unfulfillable(_) | Event::TimedOut(_) | Event::ProofLost(_)
    )
}

/// Whether an event takes a unit out because the contract has other keys.
fn is_stale(event: &Event) -> bool {
    matches!(event, Event::Invalidated(e) if e.reason == InvalidReason::Commitments)
}

/// Whether an event makes a span that was halved alive again.
fn is_whole_again(state: &State, new: &NewEvent) -> bool {
    let StreamId::Unit(id) = new.stream else { return false };
    let chain = state.chains.get(&id.chain);
    matches!(new.event, Event::ProofFulfilled(_))
        && chain.is_some_and(|chain| chain.halved_span(id).is_some())
}

/// First block of the parent of a half.
fn parent_of(state: &State, half: StreamId, parent: u64) -> Option<L2Block> {
    let StreamId::Unit(half) = half else { return None };
    state.unit(UnitId::span(half.chain, parent)).map(|unit| unit.range.start)
}

/// Settles every submission the moment it is in a block.
fn confirm_at_once(state: &State, events: Vec<NewEvent>) -> Vec<NewEvent> {
    let mut result = Vec::new();
    for new in events {
        let submitted = match (&new.event, new.stream) {
            (Event::Submitted(e), StreamId::Unit(unit)) => Some((e.tx, e.block, unit)),
            _ => None,
        };
        let (stream, revision, correlation) = (new.stream, new.revision, new.correlation.clone());
        result.push(new);
        let Some((tx, block, unit)) = submitted else { continue };
        let policy = state.chains.get(&unit.chain).and_then(|chain| chain.policy.as_ref());
        let depth = policy.map_or(0, |policy| policy.confirmations);
        let follow: [Event; 2] =
            [SubmissionConfirmed { tx, block, depth }.into(), AggSettled { output_index: None }.into()];
        result.extend(follow.map(|event| NewEvent {
            stream,
            revision,
            correlation: correlation.clone(),
            event,
        }));
    }
    result
}

/// Leaves the halves out and tries the whole again.
fn retry_instead_of_halves(state: &State, now: Micros, events: Vec<NewEvent>) -> Vec<NewEvent> {
    let splits = events.iter().any(|new| matches!(new.event, Event::Split(_)));
    if !splits {
        return events;
    }
    let mut result = Vec::new();
    for mut new in events {
        match (&new.event, new.stream) {
            (Event::Split(_), StreamId::Unit(unit)) => {
                let attempt = state.unit(unit).map_or(Attempt(1), |unit| unit.attempt.next());
                let not_before = now.plus_secs(300);
                new.event = Retried { attempt, not_before, failures: 1, budget_left: 1 }.into();
                result.push(new);
            }
            // What follows the split in the batch knows the halves, which are not there.
            (Event::Unfulfillable(_) | Event::WitnessGenFailed(_) | Event::TimedOut(_), _) => {
                result.push(new)
            }
            _ => {}
        }
    }
    result
}
