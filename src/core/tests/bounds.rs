//! What a proposer must not do for ever, twice, or in vain: pay, ask, wait, tell.
//!
//! Each story is one that cost somebody money or days: a prover that comes back while old requests still run, a shared
//! account that one rollup keeps for itself, a restart against other nodes, retries that nobody counted.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod given;

use given::*;
use prooflog_core::{Effect, EffectKey, Outbox, Outcome, Pace, Pacing, decide, plan};
use prooflog_events::event::{ChainRegistered, EngineStarted, Event};
use prooflog_events::ids::*;
use prooflog_events::input::*;
use prooflog_events::policy::Policy;
use prooflog_events::values::*;
use prooflog_projections::state::phase::Phase;

const SPAN: UnitId = UnitId::span(CHAIN, 1);

/// Units whose requests begin in `events`, in order.
fn begun(decided: &[prooflog_core::NewEvent]) -> Vec<UnitId> {
    let begun = decided.iter().filter(|new| matches!(new.event, Event::WitnessGenStarted(_)));
    begun
        .filter_map(|new| match new.stream {
            StreamId::Unit(unit) => Some(unit),
            _ => None,
        })
        .collect()
}

/// A rollup and another one, a minute younger, which may prove one span at a time between them.
fn sharing_with(other: ChainId) -> Given {
    let mut given = Given::chain(1_000, |policy| {
        policy.prover_account = "ours".into();
        policy.account_in_flight = 1;
    });
    let policy = given.state.chains.get(&CHAIN).unwrap().policy.clone().unwrap();
    given.now = given.now.plus_secs(60);
    given.join(other, policy);
    given
}

/// The first request for the first span timed out, and its id is asked for now and then.
fn late() -> Given {
    let mut given = Given::chain(1_050, |_| {});
    given.requested(1);
    given.overdue(1);
    assert_eq!(given.polls(SPAN), [(Attempt(1), Pace::Slow)]);
    given
}

impl Given {
    fn decided(&mut self, input: impl Into<Input>) -> Vec<prooflog_core::NewEvent> {
        decide(&mut self.state, self.now, &input.into()).unwrap().events
    }

    /// Another rollup, at the same blocks as the first.
    fn join(&mut self, id: ChainId, policy: Policy) {
        let oracle = Address([u8::try_from(id.0).unwrap(); 20]);
        let registration = ChainRegistered { oracle, ..registration() };
        self.when(ChainConfigured { chain: id, registration, policy });
        let read = ContractRead { chain: id, oracle, ..self.read() };
        self.when(read);
        let nodes = vec![NodeAnswer { node: "a".into(), root: Some(root(1_000)) }];
        self.when(OutputRead { chain: id, block: L2Block(1_000), current_l1: l1(self.l1), nodes });
        self.when(ServerValidated {
            chain: id,
            rollup_config_ok: true,
            agg_vkey_ok: true,
            range_vkey_ok: true,
        });
    }

    fn head_of(&mut self, chain: ChainId, block: u64) -> Vec<prooflog_core::NewEvent> {
        let (current_l1, finalized_time) = (l1(self.l1), self.now);
        self.decided(NodeRead { chain, finalized: L2Block(block), hash: h("l2"), current_l1, finalized_time })
    }

    fn restarted(&mut self) -> Vec<Event> {
        let started = EngineStarted { release: "test".into(), behaviour: 1, format: 0, policy: Hash32::ZERO };
        self.when(EngineOpened { started })
    }

    fn starts_anything(&mut self, secs: u64) -> bool {
        self.later(secs).iter().any(|event| matches!(event, Event::WitnessGenStarted(_)))
    }
}

#[test]
fn capacity_of_a_shared_account_goes_to_the_rollup_with_the_oldest_unsettled_block() {
    let younger = ChainId(11);
    let mut given = sharing_with(younger);
    // The younger one comes first to the free capacity, and has much to do.
    let first = given.head_of(younger, 1_200);
    assert_eq!(begun(&first), [UnitId::span(younger, 1)]);
    assert!(begun(&given.head_of(CHAIN, 1_200)).is_empty(), "the account is full");
    let unit = UnitId::span(younger, 1);
    let (proof_id, l1_seen) = (ProofId(vec![7]), L1Number(given.l1));
    let answer = WitnessAnswer::Requested { proof_id, l1_head: None, l1_seen };
    given.when(WitnessAnswered { unit, attempt: Attempt(1), answer });
    let answer = StatusAnswer::Status { fulfillment: 4, execution: 3, delivery: None, text: "no".into() };
    let freed = given.decided(StatusAnswered { unit, attempt: Attempt(1), answer });
    assert_eq!(begun(&freed), [SPAN], "not again the one that gave the capacity back");
}

#[test]
fn a_timer_gives_capacity_of_a_shared_account_to_the_oldest_as_well() {
    let other = ChainId(9);
    let mut given = sharing_with(other);
    assert_eq!(begun(&given.head_of(other, 1_050)), [UnitId::span(other, 1)]);
    given.head_of(CHAIN, 1_050);
    given.now = given.now.plus_secs(1_300);
    // The call of the first times out; the pause before its next attempt is over long before the second one's.
    let decided = given.decided(TimerDue::of_all());
    assert_eq!(begun(&decided), [SPAN], "though the other has the lower number");
}

#[test]
fn a_probe_does_not_wait_for_requests_that_were_taken_before_the_prover_failed() {
    let mut given = Given::chain(1_400, |policy| policy.max_witness_in_flight = 3);
    for span in 1..=3 {
        given.requested(span);
    }
    for span in 4..=6 {
        given.failed(span, FailureClass::Unreachable);
    }
    assert!(given.state.chains.get(&CHAIN).unwrap().prover.degraded.is_some());
    assert_eq!(given.phase(1), Phase::Requested, "the network proves it, for hours perhaps");
    assert!(!given.starts_anything(10), "what answers again may be another server");
    assert!(names(&given.validated()).contains(&"WitnessGenStarted"), "a probe");
    assert!(!given.starts_anything(600), "one at a time");
    let probe = (1..=8).find(|span| given.phase(*span) == Phase::WitnessGen).unwrap();
    let events = given.requested(probe);
    assert_eq!(names(&events)[..2], ["ProofRequested", "ProverRecovered"]);
    assert!(names(&events).contains(&"WitnessGenStarted"), "everything goes on: {events:?}");
}

#[test]
fn waiting_for_data_parks_no_unit_and_stretches_no_pause() {
    let mut given = Given::chain(1_050, |_| {});
    for _ in 0..30 {
        given.failed(1, FailureClass::DataNotReady);
        given.later(60);
    }
    given.requested(1);
    let events = given.overdue(1);
    assert_eq!(names(&events)[..2], ["TimedOut", "Retried"], "one proof was late, and none was before it");
    let Event::Retried(retried) = &events[1] else { unreachable!() };
    assert_eq!(retried.not_before.secs_since(given.now), 10, "the first failure");
}

#[test]
fn requests_that_each_may_have_been_paid_for_do_not_go_on_for_ever() {
    let mut given = Given::chain(1_001, |policy| policy.span_blocks = 1);
    let mut paid = 0;
    while given.phase(1) != Phase::Parked {
        if given.phase(1) != Phase::WitnessGen {
            given.later(900);
        }
        given.requested(1);
        given.overdue(1);
        paid += 1;
        assert!(paid <= 10, "nobody is told");
    }
    assert_eq!(given.polls(SPAN).len(), paid, "each of the ids may still bring its proof");
}

#[test]
fn a_proof_that_the_prover_had_lost_is_used_when_it_turns_up() {
    let mut given = Given::chain(1_050, |_| {});
    given.requested(1);
    let answer = StatusAnswer::Lost { failures: 5, class: FailureClass::Lost };
    let events = given.when(StatusAnswered { unit: SPAN, attempt: Attempt(1), answer });
    assert_eq!(names(&events), ["ProofLost", "Retried"]);
    assert_eq!(given.polls(SPAN), [(Attempt(1), Pace::Slow)]);
    assert_eq!(names(&given.status(1, Attempt(1), 3, 2)), ["ProofFulfilled"]);
}

#[test]
fn an_id_that_the_prover_gave_up_is_asked_for_no_more() {
    let mut given = late();
    assert_eq!(names(&given.status(1, Attempt(1), 4, 2)), ["LateAnswerRecorded"]);
    assert!(given.polls(SPAN).is_empty());
}

#[test]
fn a_slow_question_stays_slow_when_nobody_knows_the_answer() {
    let mut given = late();
    let pacing = Pacing::default();
    let mut outbox = Outbox::new(pacing);
    outbox.fill(&mut given.state, given.now);
    outbox.ready(given.now);
    let key = EffectKey::PollProof(SPAN, Attempt(1));
    for _ in 0..3 {
        outbox.done(&key, given.now, Outcome::Failed);
        let soon = given.now.plus_secs(pacing.slow_polls - 1);
        assert!(outbox.ready(soon).iter().all(|effect| effect.key() != key));
        given.now = given.now.plus_secs(pacing.slow_polls);
        assert!(outbox.ready(given.now).iter().any(|effect| effect.key() == key));
    }
}

#[test]
fn a_restart_buys_nothing_before_nodes_and_server_are_compared_with_the_contract_again() {
    let mut given = Given::chain(1_200, |policy| policy.max_witness_in_flight = 1);
    given.requested(1);
    given.restarted();
    let ok = ServerValidated { chain: CHAIN, rollup_config_ok: true, agg_vkey_ok: true, range_vkey_ok: true };
    assert!(!given.starts_anything(2_000), "nobody was asked yet");
    assert_eq!(given.names(ok.clone()), ["ContractConfigValidated"], "the nodes were not");
    let owed = plan(&given.state, given.now);
    assert!(owed.iter().any(|effect| matches!(effect, Effect::ReadOutput { block: L2Block(1_000), .. })));
    assert!(names(&given.output(1_000)).contains(&"WitnessGenStarted"));

    given.restarted();
    given.when(ok);
    let nodes = vec![NodeAnswer { node: "another".into(), root: Some(h("of another chain")) }];
    let events =
        given.when(OutputRead { chain: CHAIN, block: L2Block(1_000), current_l1: l1(given.l1), nodes });
    assert_eq!(names(&events), ["OutputMismatched", "DegradedModeEntered"]);
    assert!(!given.starts_anything(2_000));
}

#[test]
fn nodes_that_agree_on_one_block_do_not_end_a_mismatch_at_another() {
    let mut given = Given::chain(1_100, |_| {});
    given.proven(1);
    given.proven(2);
    given.latest = Some(Anchor { index: 4, root: h("wrong"), block: L2Block(1_000) });
    given.contract();
    assert_eq!(names(&given.output(1_000)), ["OutputMismatched", "DegradedModeEntered"]);
    for _ in 0..3 {
        let events = given.output(1_100);
        assert!(!names(&events).contains(&"DegradedModeLeft"), "{events:?}");
        assert!(given.output(1_000).is_empty(), "told once");
    }
    given.latest = Some(Anchor { index: 4, root: root(1_000), block: L2Block(1_000) });
    given.contract();
    assert!(names(&given.output(1_000)).contains(&"DegradedModeLeft"));
}

#[test]
fn a_flush_beyond_the_finalized_head_waits_for_its_block_and_buys_no_crumbs() {
    let mut given = Given::chain(1_110, |_| {});
    let events = given.command(Command::Flush { chain: CHAIN, to: L2Block(1_170) }).unwrap();
    assert_eq!(names(&events), ["FlushRequested"]);
    assert!(ranges(&given.finalize(1_116)).is_empty());
    assert_eq!(ranges(&given.finalize(1_155)), [(1_100, 1_150)], "full spans go on");
    assert_eq!(ranges(&given.finalize(1_175)), [(1_150, 1_170)]);
}

#[test]
fn a_short_span_is_not_cut_for_a_submission_that_waits_for_something_else() {
    let mut given = Given::chain(1_110, |_| {});
    given.proven(1);
    given.proven(2);
    given.command(Command::Pause { chain: CHAIN, control: Control::Submitting }).unwrap();
    assert!(ranges(&given.later(7_200)).is_empty(), "what is proven is enough to submit");
}

#[test]
fn a_drain_submits_what_is_planned_without_waiting_for_a_full_submission() {
    let mut given = Given::chain(1_150, |policy| policy.submission_blocks = 1_000);
    for span in 1..=2 {
        given.proven(span);
    }
    assert!(given.state.chains.get(&CHAIN).unwrap().aggs.is_empty(), "not enough yet");
    let events = given.command(Command::Drain { chain: CHAIN }).unwrap();
    assert_eq!(names(&events), ["Paused", "FlushRequested"]);
    assert!(given.command(Command::Drain { chain: CHAIN }).is_err(), "it is in force");
    let events = given.proven(3);
    let queued = events.iter().find_map(|event| match event {
        Event::AggQueued(e) => Some(e.range.end.0),
        _ => None,
    });
    assert_eq!(queued, Some(1_150));
    assert!(ranges(&given.finalize(1_300)).is_empty(), "nothing more is planned");
}

#[test]
fn proofs_are_kept_until_the_output_that_settled_them_is_confirmed_however_short_that_may_be() {
    let mut given = Given::chain(1_050, |policy| policy.keep_proofs_secs = 1);
    given.values.finalization_secs = 1;
    given.contract();
    given.proven(1);
    let before = given.latest;
    given.latest = Some(Anchor { index: 5, root: root(1_050), block: L2Block(1_050) });
    given.l1 += 1;
    let shallow = ContractRead { confirmed: before, ..given.read() };
    assert!(given.names(shallow).contains(&"SpanSettled"));
    assert!(!names(&given.later(3_600)).contains(&"ProofPruned"), "a reorg may ask for it again");
    assert!(names(&given.contract()).contains(&"ProofPruned"));
}

#[test]
fn a_proof_that_waits_for_its_output_to_be_confirmed_keeps_no_other_from_being_pruned() {
    let mut given = Given::chain(1_100, |policy| policy.keep_proofs_secs = 60);
    given.values.finalization_secs = 1;
    given.contract();
    given.proven(1);
    given.proven(2);
    let before = given.latest;
    given.latest = Some(Anchor { index: 5, root: root(1_050), block: L2Block(1_050) });
    given.l1 += 1;
    let shallow = ContractRead { confirmed: before, ..given.read() };
    assert!(given.names(shallow).contains(&"SpanSettled"), "the older one, which is held");
    given.later(30);
    given.command(Command::Cancel { unit: UnitId::span(CHAIN, 2) }).unwrap();
    let pruned = |given: &mut Given, secs: u64| -> Vec<u64> {
        given.now = given.now.plus_secs(secs);
        let decision = decide(&mut given.state, given.now, &TimerDue::of_all().into()).unwrap();
        let units = decision.events.iter().filter(|new| matches!(new.event, Event::ProofPruned(_)));
        units
            .filter_map(|new| if let StreamId::Unit(unit) = new.stream { Some(unit.number) } else { None })
            .collect()
    };
    let (due, mut outbox) = (given.now.plus_secs(60), Outbox::new(Pacing::default()));
    assert!(pruned(&mut given, 59).is_empty());
    outbox.fill(&mut given.state, given.now);
    assert_eq!(outbox.timer_due(&given.state, Micros(due.0 - 1)), None);
    assert!(outbox.timer_due(&given.state, due).is_some(), "the newer one has a moment of its own");
    assert_eq!(pruned(&mut given, 1), [2]);
    assert!(pruned(&mut given, 3_600).is_empty(), "a reorg may ask for the other one again");
    assert!(names(&given.contract()).contains(&"ProofPruned"));
}

#[test]
fn a_contract_with_an_interval_of_0_blocks_is_one_with_1_and_nothing_empty_is_ever_queued() {
    let mut given = Given::chain(1_000, |policy| policy.submission_blocks = 0);
    given.values.submission_interval = 0;
    assert!(names(&given.contract()).contains(&"ContractObserved"));
    let quiet = |given: &mut Given| given.later(0).is_empty() && given.later(12).is_empty();
    assert!(quiet(&mut given), "everything final is in the contract, and nothing turns in a circle");
    assert_eq!(given.state.chains[&CHAIN].next_block(), Some(L2Block(1_001)));
    given.finalize(1_050);
    let queued = given.proven(1).into_iter().find_map(|event| match event {
        Event::AggQueued(e) => Some((e.range.start.0, e.range.end.0, e.members)),
        _ => None,
    });
    assert_eq!(queued, Some((1_000, 1_050, vec![1])));
    assert!(quiet(&mut given));
}
