//! The deliberate bugs with what must catch each: under which faults, within how many seeds, by which rules.
//!
//! A rule that never fails proves nothing. A test hunts every bug of this table and fails if one gets away, or if it is
//! caught by a rule that has nothing to do with it; another one fails if a rule has no bug that it alone must catch.

use crate::run::{Options, run_seed};
use crate::sabotage::Sabotage;
use crate::scenario::Scenario;

/// One bug and its catchers.
#[derive(Debug, Clone, Copy)]
pub struct Bug {
    /// The bug.
    pub sabotage: Sabotage,
    /// Faults under which it shows.
    pub scenario: &'static str,
    /// Seeds, from 1 on, within which it must be caught.
    pub seeds: u64,
    /// Rules that may catch it.
    pub rules: &'static [&'static str],
}

/// How a bug was caught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caught {
    /// By this rule.
    pub rule: &'static str,
    /// With this seed.
    pub seed: u64,
    /// What was seen.
    pub text: String,
}

const fn bug(sabotage: Sabotage, scenario: &'static str, seeds: u64, rules: &'static [&'static str]) -> Bug {
    Bug { sabotage, scenario, seeds, rules }
}

/// All of them.
pub const BUGS: [Bug; 49] = [
    bug(Sabotage::SplitLosesABlock, "prover", 20, &["halves"]),
    bug(Sabotage::NeverHalved, "prover", 20, &["halves"]),
    bug(Sabotage::AggregateStartsElsewhere, "friendly", 3, &["aggregate"]),
    bug(Sabotage::MembersOutOfOrder, "friendly", 3, &["aggregate"]),
    bug(Sabotage::EffectBeforeIntent, "friendly", 5, &["intent before effect"]),
    bug(Sabotage::LateFailureAccepted, "prover", 60, &["fencing"]),
    bug(Sabotage::AttemptsNotFenced, "prover", 10, &["one attempt"]),
    bug(Sabotage::SnapshotIgnoresOutputChecked, "crashes", 30, &["snapshot"]),
    bug(Sabotage::CheckpointTooLow, "friendly", 3, &["checkpoint"]),
    bug(Sabotage::BudgetNeverUsedUp, "prover", 40, &["budget"]),
    bug(Sabotage::LimitOffByOne, "friendly", 5, &["limits"]),
    bug(Sabotage::PlansAboveFinalized, "friendly", 3, &["finalized"]),
    bug(Sabotage::BackoffForgotten, "prover", 10, &["backoff"]),
    bug(Sabotage::NonceReused, "fees", 20, &["one purpose per nonce"]),
    bug(Sabotage::ConfirmedWithoutDepth, "friendly", 3, &["confirmed at depth"]),
    bug(Sabotage::PrunedTooEarly, "friendly", 10, &["usable proof"]),
    bug(Sabotage::RollbackIgnored, "contract", 30, &["contract followed"]),
    bug(Sabotage::CommitmentsIgnored, "keys", 10, &["contract followed"]),
    bug(Sabotage::DegradedForEver, "disk", 5, &["liveness"]),
    bug(Sabotage::RestartRequestsAgain, "crashes", 20, &["one attempt"]),
    bug(Sabotage::PauseIgnored, "operator", 60, &["held back"]),
    bug(Sabotage::AcknowledgedTooEarly, "crashes", 20, &["acknowledged"]),
    bug(Sabotage::StateWithoutEvent, "friendly", 3, &["fold"]),
    bug(Sabotage::DecisionNotReplayable, "prover", 10, &["replay"]),
    bug(Sabotage::AgreementAssumed, "nodes", 5, &["agreement"]),
    bug(Sabotage::ComparedOnce, "friendly", 3, &["comparison"]),
    bug(Sabotage::AllMembersGuilty, "prover", 30, &["usable proof"]),
    bug(Sabotage::EndedUnasked, "prover", 20, &["asked first"]),
    bug(Sabotage::NeverEnds, "silent", 5, &["ends in time"]),
    bug(Sabotage::TornReadsBelieved, "torn", 20, &["one block"]),
    bug(Sabotage::LateWholeThrownAway, "late", 20, &["usable proof"]),
    bug(Sabotage::HalvesLeftAlive, "late", 20, &["coverage", "limits"]),
    bug(Sabotage::UnknownNotTold, "prover", 10, &["on record"]),
    bug(Sabotage::CeilingNotTold, "dear", 20, &["on record"]),
    bug(Sabotage::ProofsNotRestored, "contract", 40, &["coverage", "usable proof"]),
    bug(Sabotage::PlanLeavesABlock, "friendly", 3, &["coverage"]),
    bug(Sabotage::EmptySpan, "friendly", 3, &["legal ranges"]),
    bug(Sabotage::FailureForgotten, "prover", 10, &["bounded way out"]),
    bug(Sabotage::StaleCommitmentsKept, "keys", 20, &["commitments"]),
    bug(Sabotage::HighestFirst, "friendly", 3, &["lowest first"]),
    bug(Sabotage::SettledTooEarly, "friendly", 3, &["settled"]),
    bug(Sabotage::IdsMixedUp, "friendly", 3, &["truth"]),
    bug(Sabotage::SubmitAgain, "friendly", 3, &["purpose once"]),
    bug(Sabotage::StandsSilently, "friendly", 5, &["alert"]),
    bug(Sabotage::PaidTwice, "friendly", 10, &["paid once"]),
    bug(Sabotage::CallRepeated, "friendly", 3, &["one witness at a time"]),
    bug(Sabotage::MembersSentInDisorder, "friendly", 3, &["legal request"]),
    bug(Sabotage::AlwaysDue, "friendly", 2, &["busy loop"]),
    bug(Sabotage::AnswerTwice, "friendly", 3, &["legal events"]),
];

/// Runs seeds with a bug until a rule is broken.
#[must_use]
pub fn hunt(bug: &Bug) -> Option<Caught> {
    (1..=bug.seeds).find_map(|seed| {
        let plan = Scenario::named(bug.scenario, seed)?;
        let report = run_seed(plan, Options { trace: 0, sabotage: bug.sabotage });
        let first = report.violations.into_iter().next()?;
        Some(Caught { rule: first.rule, seed, text: first.text })
    })
}
