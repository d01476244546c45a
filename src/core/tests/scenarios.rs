//! Decisions as data: given what was observed, when this comes in, then these events follow.
//!
//! Each test names a story of the field. A chain is brought to the point where proofs are bought by the same few
//! observations; what an input leads to is shown as the names of the events, with the facts that the story is about.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod given;

use given::*;
use prooflog_core::{Effect, Pace, decide, plan};
use prooflog_events::event::{ChainRegistered, EngineStarted, Event, ParkReason, SpanOrigin};
use prooflog_events::ids::*;
use prooflog_events::input::*;
use prooflog_events::policy::{AfterDeletion, OptimisticPolicy, Policy};
use prooflog_events::values::*;
use prooflog_projections::state::phase::Phase;

#[test]
fn at_the_tip_only_full_spans_are_cut() {
    let mut given = Given::chain(1_000, |_| {});
    assert_eq!(ranges(&given.finalize(1_120)), [(1_000, 1_050), (1_050, 1_100)]);
    assert!(ranges(&given.finalize(1_149)).is_empty());
    assert_eq!(ranges(&given.finalize(1_150)), [(1_100, 1_150)]);
}

#[test]
fn a_chain_shorter_than_a_span_and_a_contract_ahead_of_finalized_just_wait() {
    let mut given = Given::chain(1_010, |_| {});
    assert_eq!(given.state.chains[&CHAIN].spans.len(), 0);
    let mut ahead = Given::chain(900, |_| {});
    assert!(ahead.state.chains[&CHAIN].is_degraded());
    assert_eq!(names(&ahead.finalize(1_000)), ["FinalizedMoved", "DegradedModeLeft"]);
    assert!(given.later(10).is_empty());
}

#[test]
fn a_head_that_jumps_is_planned_in_order_and_started_up_to_the_limits() {
    let mut given =
        Given::chain(1_000, |policy| (policy.max_witness_in_flight, policy.max_blocks_ahead) = (3, 1_000));
    let events = given.finalize(21_000);
    let cut = ranges(&events);
    assert_eq!((cut.len(), cut[0], cut[19]), (20, (1_000, 1_050), (1_950, 2_000)));
    let started = events.iter().filter(|event| matches!(event, Event::WitnessGenStarted(_))).count();
    assert_eq!(started, 3);
}

#[test]
fn a_lower_finalized_head_is_a_lagging_node_and_no_rollback() {
    let mut given = Given::chain(1_100, |_| {});
    assert!(given.finalize(1_050).is_empty());
}

#[test]
fn an_unexecutable_span_is_halved_at_the_shared_middle_block() {
    let mut given = Given::chain(1_051, |policy| policy.span_blocks = 51);
    given.requested(1);
    let events = given.status(1, Attempt(1), 4, 3);
    assert_eq!(ranges(&events), [(1_000, 1_025), (1_025, 1_051)]);
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::SpanCreated(e) if e.origin == SpanOrigin::HalfOf(1)))
    );
}

#[test]
fn unfulfillable_three_times_halves_and_two_times_retries_with_growing_pauses() {
    let mut given = Given::chain(1_050, |_| {});
    let mut pauses = Vec::new();
    for _ in 0..2 {
        given.requested(1);
        let events = given.status(1, given.attempt(1), 4, 2);
        let Some(Event::Retried(retried)) = events.get(1) else { panic!("{events:?}") };
        pauses.push(retried.not_before.secs_since(given.now));
        given.later(pauses[pauses.len() - 1]);
    }
    assert_eq!(pauses, [10, 20]);
    given.requested(1);
    let events = given.status(1, given.attempt(1), 4, 2);
    assert_eq!(ranges(&events), [(1_000, 1_025), (1_025, 1_050)]);
}

#[test]
fn a_single_block_that_cannot_run_is_parked_after_its_budget_and_unparked_by_an_operator() {
    let mut given = Given::chain(1_001, |policy| policy.span_blocks = 1);
    let mut last = Vec::new();
    for _ in 0..5 {
        given.requested(1);
        last = given.status(1, given.attempt(1), 4, 3);
        given.later(900);
    }
    assert!(
        matches!(&last[1], Event::Parked(parked) if parked.reason == ParkReason::Unsplittable),
        "{last:?}"
    );
    assert!(given.later(100_000).iter().all(|event| !matches!(event, Event::WitnessGenStarted(_))));
    let events = given.command(Command::Unpark { unit: UnitId::span(CHAIN, 1) }).unwrap();
    assert!(matches!(&events[0], Event::Unparked(_)), "{events:?}");
    assert_eq!(given.phase(1), Phase::WitnessGen);
}

#[test]
fn an_account_without_credit_stops_new_requests_at_once_and_a_success_resumes() {
    let mut given = Given::chain(1_200, |policy| policy.max_witness_in_flight = 1);
    let events = given.failed(1, FailureClass::Account);
    assert_eq!(names(&events), ["WitnessGenFailed", "Retried", "ProverDegraded"]);
    assert!(
        matches!(&events[1], Event::Retried(retried) if retried.failures == 0),
        "nobody's budget is used"
    );
    let probe = given.later(10);
    assert_eq!(names(&probe), ["WitnessGenStarted"], "one probe, of another span");
    let events = given.requested(2);
    assert_eq!(names(&events)[..2], ["ProofRequested", "ProverRecovered"]);
}

#[test]
fn a_full_prover_is_asked_again_later_and_nothing_failed() {
    let mut given = Given::chain(1_200, |policy| policy.max_witness_in_flight = 1);
    let events = given.failed(1, FailureClass::Capacity);
    assert_eq!(names(&events), ["WitnessGenFailed", "Retried"]);
    assert!(matches!(&events[1], Event::Retried(retried) if retried.failures == 0));
}

#[test]
fn a_request_is_recorded_although_nobody_knows_where_the_l1_stands_and_its_proof_brings_the_bound() {
    let mut given = Given::chain(1_050, |_| {});
    let answer =
        WitnessAnswer::Requested { proof_id: ProofId(vec![1, 2]), l1_head: None, l1_seen: L1Number::UNSEEN };
    assert_eq!(names(&given.answer(1, Attempt(1), answer)), ["ProofRequested"]);
    let poll = plan(&given.state, given.now);
    assert!(poll.iter().any(|effect| matches!(effect, Effect::PollProof { needs_l1: true, .. })));
    assert!(given.status(1, Attempt(1), 3, 2).is_empty(), "without a bound no checkpoint could be chosen");
    let proof = BlobRef { sha256: h("proof"), length: 9 };
    let delivery =
        Delivery { proof, selector: None, l1_head: None, cycles: None, prover_gas: None, cost: None };
    let answer = WitnessAnswer::Fulfilled { delivery, l1_seen: L1Number(700) };
    let events = given.answer(1, Attempt(1), answer);
    let Some(Event::ProofFulfilled(fulfilled)) = events.first() else { panic!("{events:?}") };
    assert_eq!(fulfilled.l1_bound, L1Number(705));
}

#[test]
fn a_late_failure_is_recorded_once_and_moves_nothing() {
    let mut given = Given::chain(1_050, |_| {});
    given.requested(1);
    given.overdue(1);
    assert_eq!(given.attempt(1), Attempt(2));
    let before = given.phase(1);
    assert_eq!(names(&given.status(1, Attempt(1), 4, 3)), ["LateAnswerRecorded"]);
    assert!(given.status(1, Attempt(1), 4, 3).is_empty());
    assert_eq!(given.phase(1), before);
}

#[test]
fn a_late_proof_of_an_old_attempt_is_used_and_the_newer_attempt_is_a_recorded_duplicate() {
    let mut given = Given::chain(1_050, |_| {});
    given.requested(1);
    given.overdue(1);
    given.later(10);
    assert_eq!(given.phase(1), Phase::WitnessGen);
    let events = given.status(1, Attempt(1), 3, 2);
    assert_eq!(names(&events), ["ProofFulfilled", "DuplicateSpendRecorded"]);
    assert!(given.status(1, Attempt(1), 3, 2).is_empty(), "the same proof again is nothing");
}

#[test]
fn a_proof_that_came_during_an_outage_longer_than_its_limit_is_used() {
    let mut given = Given::chain(1_050, |_| {});
    given.requested(1);
    let events = names(&given.later(14_401));
    assert_eq!(events, ["FinalizedStalled"], "nobody could be asked: that is no answer");
    assert_eq!(names(&given.status(1, Attempt(1), 3, 2)), ["ProofFulfilled"]);
}

#[test]
fn a_request_that_the_server_says_after_its_limit_is_not_there_times_out_at_once() {
    let mut given = Given::chain(1_050, |_| {});
    given.requested(1);
    given.later(14_399);
    assert!(given.status(1, Attempt(1), 1, 1).is_empty());
    given.later(1);
    assert_eq!(names(&given.status(1, Attempt(1), 1, 1))[..2], ["TimedOut", "Retried"]);
}

#[test]
fn a_request_that_nobody_ever_answers_for_ends_when_its_limit_has_passed_twice() {
    let mut given = Given::chain(1_050, |_| {});
    given.requested(1);
    assert_eq!(names(&given.later(28_799)), ["FinalizedStalled"]);
    assert_eq!(names(&given.later(1))[..2], ["TimedOut", "Retried"]);
}

#[test]
fn a_restart_after_days_asks_for_a_request_before_its_limit_counts() {
    let mut given = Given::chain(1_050, |_| {});
    given.requested(1);
    given.now = given.now.plus_secs(400_000);
    let started = EngineStarted { release: "test".into(), behaviour: 1, format: 0, policy: Hash32::ZERO };
    assert_eq!(names(&given.when(EngineOpened { started })), ["EngineStarted", "FinalizedStalled"]);
    assert!(given.later(60).is_empty());
    assert_eq!(names(&given.status(1, Attempt(1), 3, 2)), ["ProofFulfilled"]);
}

#[test]
fn transient_statuses_change_nothing_and_unknown_ones_nothing_but_the_record() {
    let mut given = Given::chain(1_050, |_| {});
    given.requested(1);
    for (fulfillment, execution) in [(0, 0), (1, 1)] {
        assert!(given.status(1, Attempt(1), fulfillment, execution).is_empty());
    }
    for (fulfillment, execution) in [(7, 9), (-1, 0), (2, 4)] {
        let events = given.status(1, Attempt(1), fulfillment, execution);
        let Some(Event::UnknownStatusRecorded(told)) = events.first() else { panic!("{events:?}") };
        assert_eq!((told.fulfillment, told.execution), (fulfillment, execution), "as they came");
        let again = given.status(1, Attempt(1), fulfillment, execution);
        assert!(!names(&again).contains(&"UnknownStatusRecorded"), "told once: {again:?}");
    }
    assert_eq!(given.phase(1), Phase::Assigned, "what is known of an answer counts");
    for fulfillment in 100..200 {
        given.status(1, Attempt(1), fulfillment, 0);
    }
    let told = given.state.unit(UnitId::span(CHAIN, 1)).unwrap().unknown.len();
    assert_eq!(told, 8, "a server that invents numbers does not fill the log");
}

#[test]
fn an_unknown_status_after_the_limit_ends_the_attempt_like_any_other_that_is_no_proof() {
    let mut given = Given::chain(1_050, |_| {});
    given.requested(1);
    given.now = given.now.plus_secs(14_400);
    let events = given.status(1, Attempt(1), 9, 0);
    assert_eq!(names(&events)[..3], ["UnknownStatusRecorded", "TimedOut", "Retried"], "{events:?}");
}

#[test]
fn a_restart_ends_open_calls_once_and_polls_what_has_an_id() {
    let mut given = Given::chain(1_100, |_| {});
    given.requested(1);
    let started = EngineStarted { release: "test".into(), behaviour: 1, format: 0, policy: Hash32::ZERO };
    let events = given.when(EngineOpened { started });
    assert_eq!(names(&events), ["EngineStarted", "TimedOut", "Retried"]);
    assert!(matches!(&events[1], Event::TimedOut(e) if e.maybe_paid));
    assert!(
        matches!(&events[2], Event::Retried(e) if e.not_before.secs_since(given.now) >= 1_200),
        "{events:?}"
    );
    assert_eq!((given.phase(1), given.phase(2)), (Phase::Requested, Phase::Ready));
    assert_eq!(given.polls(UnitId::span(CHAIN, 1)).len(), 1);
    assert!(given.polls(UnitId::span(CHAIN, 2)).is_empty());
}

#[test]
fn an_aggregate_starts_at_the_contracts_block_or_not_at_all() {
    let mut given = Given::chain(1_150, |_| {});
    assert!(!names(&given.proven(2)).contains(&"AggQueued"));
    assert!(!names(&given.proven(3)).contains(&"AggQueued"));
    let events = given.proven(1);
    let Some(Event::AggQueued(agg)) = events.iter().find(|event| matches!(event, Event::AggQueued(_))) else {
        panic!("{events:?}")
    };
    assert_eq!((agg.range.start.0, agg.range.end.0, agg.members.clone()), (1_000, 1_150, vec![1, 2, 3]));
}

#[test]
fn another_proposer_inside_a_span_invalidates_it_and_what_is_left_is_planned_again() {
    let mut given = Given::chain(1_100, |_| {});
    given.latest = Some(Anchor { index: 5, root: root(1_070), block: L2Block(1_070) });
    let events = given.contract();
    assert!(names(&events).contains(&"ContractAdvanced"));
    assert!(names(&events).contains(&"SpanSettled"), "the one below: {events:?}");
    assert!(names(&events).contains(&"Invalidated"), "the one that is cut in two");
    assert_eq!(ranges(&given.finalize(1_120)), [(1_070, 1_120)]);
}

#[test]
fn deleted_outputs_hold_submission_until_resume_and_give_the_proofs_back() {
    let mut given = Given::chain(1_100, |policy| policy.after_deletion = AfterDeletion::Hold);
    given.proven(1);
    given.proven(2);
    given.latest = Some(Anchor { index: 5, root: root(1_100), block: L2Block(1_100) });
    given.contract();
    given.latest = Some(Anchor { index: 4, root: root(1_000), block: L2Block(1_000) });
    given.l1 += 1;
    let read = ContractRead { outputs_deleted: true, ..given.read() };
    let events = given.names(read);
    assert_eq!(events[..2], ["ContractRolledBack", "Paused"]);
    assert_eq!(events.iter().filter(|name| **name == "Restored").count(), 2, "{events:?}");
    let resumed = given.command(Command::Resume { chain: CHAIN, control: Control::Submitting }).unwrap();
    assert_eq!(resumed[0].event_type().name(), "Resumed");
}

#[test]
fn outputs_that_were_deleted_below_another_one_hold_submission_too() {
    let mut given = Given::chain(1_000, |policy| policy.after_deletion = AfterDeletion::Hold);
    given.latest = Some(Anchor { index: 4, root: root(1_050), block: L2Block(1_050) });
    given.l1 += 1;
    let read = ContractRead { outputs_deleted: true, ..given.read() };
    assert_eq!(given.names(read)[..2], ["ContractAdvanced", "Paused"]);
}

#[test]
fn what_is_refused_leaves_everything_as_it_was_whatever_the_clock_says() {
    let mut given = Given::chain(1_050, |_| {});
    let before = (given.state.digest(), given.now);
    given.now = Micros(before.1.0 - 60_000_000);
    let control = Control::Submitting;
    assert!(given.command(Command::Resume { chain: CHAIN, control }).is_err());
    assert_eq!(given.state.digest(), before.0);
    let events = given.command(Command::Pause { chain: CHAIN, control }).unwrap();
    assert_eq!(names(&events), ["Paused", "DegradedModeEntered"]);
}

#[test]
fn a_request_that_no_prover_took_says_nothing_of_its_span_when_its_time_is_over() {
    let mut given = Given::chain(1_050, |policy| policy.split_after = 1);
    for _ in 0..2 {
        given.requested(1);
        let events = given.overdue(1);
        assert_eq!(names(&events)[..2], ["TimedOut", "Retried"], "nobody bid: {events:?}");
        given.later(3_600);
    }
    given.requested(1);
    given.status(1, given.attempt(1), 2, 1);
    assert_eq!(names(&given.overdue(1))[..2], ["TimedOut", "Split"]);
}

#[test]
fn other_keys_on_the_contract_invalidate_what_was_proven_under_the_old_ones_and_nothing_is_bought_before_the_server_has_them()
 {
    let mut given = Given::chain(1_050, |_| {});
    given.values.range_vkey = h("new range");
    let events = given.contract();
    assert_eq!(names(&events), ["ContractObserved", "Invalidated", "SpanCreated"]);
    assert!(given.later(60).iter().all(|event| !matches!(event, Event::WitnessGenStarted(_))));
    let ok = ServerValidated { chain: CHAIN, rollup_config_ok: true, agg_vkey_ok: true, range_vkey_ok: true };
    assert_eq!(given.names(ok)[0], "ContractConfigValidated");
}

#[test]
fn different_roots_stop_the_buying_and_name_both() {
    let mut given = Given::chain(1_000, |_| {});
    given.latest = Some(Anchor { index: 5, root: h("wrong"), block: L2Block(1_100) });
    given.contract();
    let events = given.output(1_100);
    assert_eq!(names(&events), ["OutputMismatched", "DegradedModeEntered"]);
    let Event::DegradedModeEntered(entered) = &events[1] else { panic!() };
    assert!(
        entered.detail.contains(&root(1_100).to_string()) && entered.detail.contains(&h("wrong").to_string())
    );
}

#[test]
fn optimistic_mode_buys_nothing_and_submits_only_if_told_to() {
    let mut given = Given::chain(1_200, |policy| policy.optimistic = OptimisticPolicy::Submit);
    given.values.optimistic = true;
    given.contract();
    assert!(given.later(60).iter().all(|event| !matches!(event, Event::WitnessGenStarted(_))));
    assert_eq!(names(&given.output(1_100)), ["OutputChecked"]);
}

#[test]
fn an_account_that_may_not_submit_buys_nothing_until_it_may() {
    let mut given = Given::chain(1_000, |_| {});
    given.values.approved = false;
    given.contract();
    let events = given.finalize(1_100);
    assert_eq!(names(&events), ["FinalizedMoved", "SpanCreated", "SpanCreated"]);
    assert!(given.later(60).is_empty());
    given.values.approved = true;
    let events = given.contract();
    assert_eq!(names(&events), ["ContractObserved", "WitnessGenStarted", "WitnessGenStarted"]);
}

#[test]
fn what_is_in_flight_goes_on_when_the_contract_takes_its_commitments_back() {
    let mut given = Given::chain(1_100, |_| {});
    given.proven(1);
    given.requested(2);
    let rotate = |given: &mut Given, key| {
        given.values.range_vkey = h(key);
        given.contract()
    };
    let events = rotate(&mut given, "a slip");
    assert_eq!(names(&events)[..3], ["ContractObserved", "Invalidated", "Invalidated"], "{events:?}");
    assert!(given.polls(UnitId::span(CHAIN, 2)).is_empty());
    given.later(20_000);
    let events = rotate(&mut given, "range");
    assert_eq!(names(&events), ["ContractObserved", "Invalidated", "Invalidated", "Restored", "Restored"]);
    assert_eq!((given.phase(1), given.phase(2)), (Phase::Complete, Phase::Requested));
    assert_eq!(given.polls(UnitId::span(CHAIN, 2)), [(Attempt(1), Pace::Normal)]);
    assert!(!names(&given.later(60)).contains(&"TimedOut"), "its limit passed while nobody asked");
    given.validated();
    let events = given.status(2, Attempt(1), 3, 2);
    assert_eq!(names(&events)[..2], ["ProofFulfilled", "AggQueued"], "{events:?}");
}

#[test]
fn what_was_set_aside_is_forgotten_once_the_contract_has_passed_it() {
    let mut given = Given::chain(1_100, |_| {});
    given.requested(1);
    given.requested(2);
    given.values.range_vkey = h("a slip");
    given.contract();
    assert_eq!(given.state.chains.get(&CHAIN).unwrap().set_aside.len(), 2);
    given.latest = Some(Anchor { index: 5, root: root(1_050), block: L2Block(1_050) });
    given.contract();
    let aside = &given.state.chains.get(&CHAIN).unwrap().set_aside;
    assert_eq!(aside.keys().copied().collect::<Vec<_>>(), [UnitId::span(CHAIN, 2)]);
}

#[test]
fn controls_are_refused_with_what_can_be_done_instead() {
    let mut given = Given::chain(1_050, |_| {});
    let unit = UnitId::span(CHAIN, 1);
    let in_flight = given.command(Command::Retry { unit }).unwrap_err().to_string();
    assert!(in_flight.contains("witness_gen") && in_flight.contains("cancel"), "{in_flight}");
    assert!(given.command(Command::Unpark { unit }).is_err());
    assert!(given.command(Command::Resume { chain: CHAIN, control: Control::Proving }).is_err());
    assert!(given.command(Command::Cancel { unit: UnitId::span(CHAIN, 99) }).is_err());
    let paused = given.command(Command::Pause { chain: CHAIN, control: Control::Proving }).unwrap();
    assert_eq!(names(&paused), ["Paused"]);
    assert!(given.command(Command::Pause { chain: CHAIN, control: Control::Proving }).is_err());
}

#[test]
fn a_log_cannot_be_continued_for_another_chain_and_a_wrong_limit_is_named() {
    let mut given = Given::chain(1_000, |_| {});
    let policy = Policy::with_signer(SIGNER);
    let other = ChainRegistered { l2_genesis: h("another"), ..registration() };
    let wrong = ChainConfigured { chain: CHAIN, registration: other, policy: policy.clone() };
    let error = decide(&mut given.state, given.now, &wrong.into()).unwrap_err().to_string();
    assert!(error.contains("L2 genesis"), "{error}");
    let policy = Policy { span_blocks: 0, ..policy };
    let zero = ChainConfigured { chain: ChainId(11), registration: registration(), policy };
    let error = decide(&mut given.state, given.now, &zero.into()).unwrap_err().to_string();
    assert!(error.contains("span_blocks"), "{error}");
}

#[test]
fn flush_cuts_a_short_span_exactly_where_it_was_asked_to() {
    let mut given = Given::chain(1_130, |_| {});
    let events = given.command(Command::Flush { chain: CHAIN, to: L2Block(1_120) }).unwrap();
    assert_eq!(ranges(&events), [(1_100, 1_120)]);
}

#[test]
fn a_stalled_head_is_said_once_and_its_move_ends_it() {
    let mut given = Given::chain(1_000, |_| {});
    assert_eq!(names(&given.later(1_800)), ["FinalizedStalled"]);
    assert!(given.later(7_200).is_empty());
    assert_eq!(names(&given.finalize(1_001)), ["FinalizedMoved"]);
}

#[test]
fn a_full_disk_starts_no_proof_and_room_mends_it() {
    let mut given = Given::chain(1_000, |_| {});
    assert_eq!(given.names(DiskRead { free: 1, minimum: 100 }), ["DegradedModeEntered"]);
    assert!(given.finalize(1_050).iter().all(|event| !matches!(event, Event::WitnessGenStarted(_))));
    assert_eq!(given.names(DiskRead { free: 200, minimum: 100 }), ["DegradedModeLeft", "WitnessGenStarted"]);
}

#[test]
fn a_clock_far_behind_the_log_stops_new_work_and_time_never_runs_backwards() {
    let mut given = Given::chain(1_000, |_| {});
    let before = given.state.time;
    given.now = Micros(given.now.0 - 60_000_000);
    assert_eq!(names(&given.finalize(1_050)), ["DegradedModeEntered", "FinalizedMoved", "SpanCreated"]);
    assert!(given.state.time >= before);
}

#[test]
fn five_seconds_behind_are_borne_and_six_are_not() {
    let mut given = Given::chain(1_000, |_| {});
    let log_time = given.state.time;
    given.now = Micros(log_time.0 - 5_000_000);
    assert_eq!(names(&given.finalize(1_050)), ["FinalizedMoved", "SpanCreated", "WitnessGenStarted"]);
    given.now = Micros(log_time.0 - 6_000_000);
    let entered = given.finalize(1_100);
    assert_eq!(names(&entered), ["DegradedModeEntered", "FinalizedMoved", "SpanCreated"]);
    assert!(matches!(
        &entered[0],
        Event::DegradedModeEntered(e) if e.reason == DegradedReason::Clock && e.detail.contains("6 s behind")
    ));
    // As long as it is behind, nothing ends that.
    assert!(names(&given.contract()).is_empty());
    given.now = log_time;
    assert_eq!(names(&given.contract()), ["DegradedModeLeft", "WitnessGenStarted"]);
}

#[test]
fn a_clock_an_hour_ahead_of_the_last_block_stops_new_work_until_the_two_agree() {
    let mut given = Given::chain(1_000, |_| {});
    let read_at = |given: &mut Given, behind: u64| {
        given.l1 += 1;
        let mut read = given.read();
        read.at.time = Micros(given.now.0 - behind * 1_000_000);
        given.when(read)
    };
    assert!(read_at(&mut given, 3_600).is_empty());
    let entered = read_at(&mut given, 3_601);
    assert!(matches!(
        entered.as_slice(),
        [Event::DegradedModeEntered(e)] if e.reason == DegradedReason::Clock && e.detail.contains("3601 s ahead")
    ));
    assert_eq!(names(&given.finalize(1_050)), ["FinalizedMoved", "SpanCreated"], "planned, and not bought");
    assert_eq!(names(&read_at(&mut given, 12)), ["DegradedModeLeft", "WitnessGenStarted"]);
}

#[test]
fn the_bytes_of_a_proof_are_given_up_with_the_last_unit_that_names_them() {
    for counted in [false, true] {
        let mut given =
            Given::chain(1_100, |policy| (policy.submission_blocks, policy.keep_proofs_secs) = (500, 7_200));
        if counted {
            given.state.count_proof_names();
        }
        let proof = BlobRef { sha256: h("the same bytes"), length: 9 };
        for span in [1, 2] {
            given.requested(span);
            let delivery =
                Delivery { proof, selector: None, l1_head: None, cycles: None, prover_gas: None, cost: None };
            let answer = StatusAnswer::Status {
                fulfillment: 3,
                execution: 2,
                delivery: Some(delivery),
                text: String::new(),
            };
            let attempt = given.attempt(span);
            given.when(StatusAnswered { unit: UnitId::span(CHAIN, span), attempt, answer });
        }
        // One is settled and pruned, the other is still to be used.
        let settle = |given: &mut Given, index: u64, block: u64| {
            given.latest = Some(Anchor { index, root: root(block), block: L2Block(block) });
            given.contract();
            given.now = given.now.plus_secs(7_200);
            let decision = decide(&mut given.state, given.now, &TimerDue::of_all().into()).unwrap();
            let pruned = decision.events.iter().filter(|new| matches!(new.event, Event::ProofPruned(_)));
            (pruned.count(), decision.forget)
        };
        assert_eq!(settle(&mut given, 5, 1_050), (1, vec![]), "counted: {counted}");
        assert_eq!(settle(&mut given, 6, 1_100), (1, vec![proof]), "counted: {counted}");
        assert!(given.state.proof_names_are_counted_right());
    }
}

#[test]
fn who_only_observes_plans_and_buys_nothing() {
    let mut given = Given::chain(1_100, |policy| policy.observe = true);
    let events = given.later(4_000);
    assert!(events.iter().all(|event| !matches!(event, Event::WitnessGenStarted(_))), "{events:?}");
    assert_eq!(given.phase(1), Phase::Ready, "the span is planned");
    let mut spending = given.state.clone();
    if let Some(policy) = spending.chains.get_mut(&CHAIN).and_then(|chain| chain.policy.as_mut()) {
        policy.observe = false;
    }
    let would = decide(&mut spending, given.now, &TimerDue::of_all().into()).unwrap();
    assert!(
        would.events.iter().any(|event| matches!(event.event, Event::WitnessGenStarted(_))),
        "it would have"
    );
}
