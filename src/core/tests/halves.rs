//! A span that was halved, and the proof of the whole that comes after all.
//!
//! Its first request timed out here and its second said that the program cannot run, so two halves are under way when
//! the network delivers the first one. Paid proofs are used while they can be.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[expect(dead_code, reason = "shared words; each file of stories uses a part")]
mod given;

use given::*;
use prooflog_core::Pace;
use prooflog_events::event::{Event, InvalidReason};
use prooflog_events::ids::*;
use prooflog_events::input::*;
use prooflog_events::values::*;
use prooflog_projections::state::index_from_scratch;
use prooflog_projections::state::phase::Phase;

const fn span(number: u64) -> UnitId {
    UnitId::span(CHAIN, number)
}

impl Given {
    /// The first request for a span timed out; the second one says that it cannot run.
    fn halve(&mut self, number: u64) {
        self.requested(number);
        let late = self.overdue(number);
        assert_eq!(names(&late)[..2], ["TimedOut", "Retried"], "{late:?}");
        self.later(3_600);
        self.requested(number);
        let attempt = self.attempt(number);
        let events = self.status(number, attempt, 4, 3);
        assert_eq!(
            names(&events)[..4],
            ["Unfulfillable", "Split", "SpanCreated", "SpanCreated"],
            "{events:?}"
        );
    }

    /// The proof of the first request comes.
    fn late_proof(&mut self, number: u64) -> Vec<Event> {
        let events = self.status(number, Attempt(1), 3, 2);
        let chain = &self.state.chains[&self.chain];
        assert_eq!(chain.index, index_from_scratch(chain));
        events
    }
}

/// Blocks (1000, 1050] are span 1, which became spans 2 and 3.
fn halved() -> Given {
    let mut given = Given::chain(1_050, |_| {});
    given.halve(1);
    given
}

#[test]
fn the_late_proof_of_a_halved_span_takes_the_place_of_its_halves() {
    let mut given = halved();
    assert_eq!(
        given.polls(span(1)),
        [(Attempt(1), Pace::Slow)],
        "its first request may still be at the network"
    );
    given.proven(2);
    assert_eq!(given.phase(3), Phase::WitnessGen);
    let events = given.late_proof(1);
    assert_eq!(names(&events), ["Invalidated", "Invalidated", "ProofFulfilled"]);
    let is_replaced =
        |event: &Event| matches!(event, Event::Invalidated(e) if e.reason == InvalidReason::Replaced);
    assert!(events[..2].iter().all(is_replaced), "{events:?}");
    assert_eq!(given.phase(1), Phase::Complete);
    let chain = &given.state.chains[&CHAIN];
    assert_eq!((chain.spans.len(), chain.halved.len()), (1, 0), "the whole, and none of its halves");
    assert!(given.polls(span(1)).is_empty());
    let late = WitnessAnswer::Requested { proof_id: ProofId(vec![8]), l1_head: None, l1_seen: L1Number(500) };
    assert!(given.answer(3, Attempt(1), late).is_empty(), "the other half is over");
}

#[test]
fn halves_of_halves_give_way_as_well() {
    let mut given = halved();
    given.requested(3);
    let events = given.status(3, Attempt(1), 4, 3);
    assert_eq!(ranges(&events), [(1_025, 1_037), (1_037, 1_050)]);
    let events = given.late_proof(1);
    assert_eq!(names(&events), ["Invalidated", "Invalidated", "Invalidated", "ProofFulfilled"]);
}

#[test]
fn a_whole_that_nobody_needs_is_put_on_record_and_asked_for_no_more() {
    let mut given = halved();
    given.proven(2);
    given.proven(3);
    assert_eq!(names(&given.late_proof(1)), ["LateAnswerRecorded"]);
    assert_eq!((given.phase(2), given.phase(3)), (Phase::Complete, Phase::Complete));
    assert!(given.polls(span(1)).is_empty());
    assert!(given.late_proof(1).is_empty(), "recorded once");
}

#[test]
fn a_half_that_an_aggregate_holds_is_left_alone() {
    let mut given = Given::chain(1_100, |_| {});
    given.values.submission_interval = 60;
    given.contract();
    given.halve(2);
    given.proven(1);
    let events = given.proven(3);
    let queued = events.iter().any(|event| matches!(event, Event::AggQueued(e) if e.members == [1, 3]));
    assert!(queued, "{events:?}");
    assert_eq!(names(&given.late_proof(2)), ["LateAnswerRecorded"]);
}

#[test]
fn a_contract_that_has_passed_its_first_block_ends_the_waiting_for_a_whole() {
    let mut given = halved();
    given.latest = Some(Anchor { index: 5, root: root(1_025), block: L2Block(1_025) });
    given.contract();
    assert!(given.polls(span(1)).is_empty());
    assert!(given.late_proof(1).is_empty());
    assert_eq!(given.state.chains[&CHAIN].halved.len(), 0);
}

#[test]
fn a_whole_under_other_commitments_is_of_no_use() {
    let mut given = halved();
    given.values.range_vkey = h("another key");
    given.contract();
    assert_eq!(names(&given.late_proof(1)), ["LateAnswerRecorded"]);
}

#[test]
fn an_id_that_comes_after_the_halving_is_asked_for_and_a_failure_ends_that() {
    let mut given = Given::chain(1_050, |_| {});
    // Nobody answers the first call, so its limit passes; the second one says that the program cannot run.
    let events = given.later(1_300);
    assert_eq!(names(&events)[..2], ["TimedOut", "Retried"], "{events:?}");
    given.later(3_600);
    given.requested(1);
    let attempt = given.attempt(1);
    given.status(1, attempt, 4, 3);
    assert!(given.polls(span(1)).is_empty());
    let answer =
        WitnessAnswer::Requested { proof_id: ProofId(vec![7]), l1_head: None, l1_seen: L1Number(500) };
    assert_eq!(names(&given.answer(1, Attempt(1), answer)), ["LateAnswerRecorded"]);
    assert_eq!(given.polls(span(1)), [(Attempt(1), Pace::Slow)]);
    assert_eq!(names(&given.status(1, Attempt(1), 7, 0)), ["UnknownStatusRecorded"]);
    assert_eq!(names(&given.status(1, Attempt(1), 4, 1)), ["LateAnswerRecorded"]);
    assert!(given.polls(span(1)).is_empty());
}

#[test]
fn a_half_that_gave_way_is_of_use_again_where_the_whole_is_not() {
    let mut given = halved();
    given.proven(3);
    given.late_proof(1);
    // Somebody else settles the lower half: the contract's block lies inside the whole.
    given.latest = Some(Anchor { index: 5, root: root(1_025), block: L2Block(1_025) });
    given.contract();
    given.output(1_025);
    assert_eq!(given.phase(3), Phase::Complete, "the proof of the upper half fits exactly");
    assert!(given.state.unit(span(1)).is_none());
}
