//! Recorded decisions made again: what was decided by today's rules agrees, and what was not is found where it stands.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::Path;

use prooflog_core::{BEHAVIOUR, Pacing};
use prooflog_engine::redecide::{
    Change, Checked, Kind, Outlook, Question, RecordedBatch, Since, built_in, check, for_each_batch, what_if,
    written_by,
};
use prooflog_engine::{Origin, Ring};
use prooflog_events::event::{ChainRegistered, EngineStarted, Event, EventType};
use prooflog_events::ids::*;
use prooflog_events::input::{ChainConfigured, Input, NodeRead, TimerDue};
use prooflog_events::policy::Policy;
use prooflog_events::port::SequenceRead;
use prooflog_events::values::DegradedReason;
use prooflog_log::export::{import, read_header};
use prooflog_log::read::Reader;
use prooflog_log::{Append, By, CauseInput, Log, MemorySequence, NewRecord};
use prooflog_projections::State;
use proptest::prelude::*;

/// Golden logs that the first rules decided.
const STORIES: [&str; 5] =
    ["happy-path", "split", "retry-until-parked", "reorg-after-submission", "operator-intervention"];

/// Golden logs that later rules decided, and the behaviour that they were recorded under: today's decide otherwise.
const SINCE: [(&str, u32); 1] = [("fee-ceiling", 4)];

/// Golden logs that today's rules decide as they were decided, and the behaviour that they were recorded under.
const OF_TODAY: [(&str, u32); 3] = [("unreadable-members", 4), ("ended-by-an-answer", 4), ("late-whole", 5)];

fn golden(name: &str) -> MemorySequence {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/logs/format-1");
    let mut input = BufReader::new(std::fs::File::open(dir.join(name).with_extension("jsonl")).unwrap());
    let header = read_header(&mut input).unwrap();
    let target = MemorySequence::new(header.log);
    import(header, &mut input, &target).unwrap();
    target
}

fn batches(sequence: &MemorySequence) -> Vec<RecordedBatch> {
    let reader = Reader::new(sequence).unwrap();
    let mut all = Vec::new();
    for_each_batch(&reader, Position(1), reader.head().position, &mut |batch| {
        all.push(batch);
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    all
}

/// A log of the same batches, as other rules would have decided them.
fn decided_otherwise(from: &MemorySequence, change: &mut dyn FnMut(&mut RecordedBatch)) -> MemorySequence {
    let log = Log::open(MemorySequence::new(from.log_id())).unwrap();
    for mut batch in batches(from) {
        change(&mut batch);
        if batch.events.is_empty() {
            continue;
        }
        let records = batch.events.iter().map(|new| {
            let kind = new.event.event_type();
            let (stream, bytes) = (new.stream.to_string(), new.event.encode());
            let mut record = NewRecord::native(stream, kind.name(), kind.version(), bytes);
            record.correlation.clone_from(&new.correlation);
            record
        });
        let mut append = Append::new(By::Scheduler, batch.time, records.collect());
        if let Some(input) = &batch.input {
            let (name, version, bytes) = (input.name().to_owned(), input.version(), input.encode());
            append = append.because(CauseInput { name, version, bytes });
        }
        log.append(append).unwrap();
    }
    log.into_sequence().unwrap()
}

fn check_all(sequence: &MemorySequence, changes: &[Change]) -> Checked {
    let reader = Reader::new(sequence).unwrap();
    let begin = (State::new(sequence.log_id()), Position::ZERO);
    check(&reader, begin, reader.head().position, changes, &mut |_| {}).unwrap()
}

fn declared(events: &[EventType], since: Since) -> Vec<Change> {
    vec![Change { about: "a test".to_owned(), events: events.to_vec(), inputs: Vec::new(), since }]
}

/// Retries that need another word for what is left, as a rule with larger budgets would have decided.
fn larger_budgets(batch: &mut RecordedBatch) {
    for new in &mut batch.events {
        if let Event::Retried(retried) = &mut new.event {
            retried.budget_left += 1;
        }
    }
}

#[test]
fn golden_logs_are_decided_again_as_they_were_from_any_batch_on() {
    for (story, behaviour) in STORIES.map(|story| (story, 1)).into_iter().chain(SINCE).chain(OF_TODAY) {
        let sequence = golden(story);
        let reader = Reader::new(&sequence).unwrap();
        let all = batches(&sequence);
        let checked = check_all(&sequence, &built_in());
        assert_eq!(checked.difference, None, "{story}");
        assert_eq!(checked.progress.inputs, all.len() as u64);
        assert_eq!(checked.progress.position, reader.head().position);
        for from in all.iter().map(RecordedBatch::last).step_by(7) {
            let state = prooflog_replay::fold_to(&reader, sequence.log_id(), from).unwrap();
            assert_eq!(written_by(&reader, &state).unwrap().behaviour, behaviour, "{story}");
            let checked =
                check(&reader, (state, from), reader.head().position, &built_in(), &mut |_| {}).unwrap();
            assert_eq!(checked.difference, None, "{story} from {from}");
            assert!(behaviour < BEHAVIOUR || checked.expected.is_empty(), "{story} from {from}");
        }
    }
}

#[test]
fn another_rule_is_found_at_its_first_decision_and_accepted_once_it_is_declared() {
    let mut first = None;
    let sequence = decided_otherwise(&golden("ended-by-an-answer"), &mut |batch| {
        let before = batch.events.clone();
        larger_budgets(batch);
        let changed = before.iter().zip(&batch.events).position(|(old, new)| old != new);
        first = first.or(changed.map(|at| Position(batch.first.0 + at as u64)));
    });
    let difference = check_all(&sequence, &[]).difference.unwrap();
    assert_eq!(Some(difference.position), first);
    assert_eq!(difference.chain(), Some(ChainId(10)));
    let row = difference.rows.iter().find(|row| !row.is_same()).unwrap();
    assert_eq!(row.differing(), Some(EventType::Retried));
    assert!(row.recorded.is_some() && row.today.is_some());

    let retried = [EventType::Retried];
    let checked = check_all(&sequence, &declared(&retried, Since::Behaviour(BEHAVIOUR + 1)));
    assert_eq!(checked.difference, None);
    assert_eq!((checked.expected[0].change, Some(checked.expected[0].first)), (0, first));
    assert!(checked.expected[0].decisions > 3, "{:?}", checked.expected);
}

#[test]
fn a_declaration_explains_what_it_names_and_nothing_else() {
    let sequence = decided_otherwise(&golden("ended-by-an-answer"), &mut |batch| {
        larger_budgets(batch);
        if let (Some(Input::EngineOpened(opened)), Some(new)) = (&mut batch.input, batch.events.first_mut()) {
            opened.started.release = "0.2.0-rc.1".to_owned();
            new.event = opened.started.clone().into();
        }
    });
    let first = check_all(&sequence, &[]).difference.unwrap();
    let found = |changes: &[Change]| check_all(&sequence, changes).difference.map(|found| found.position);
    let retried = [EventType::Retried];
    assert_eq!(
        found(&declared(&[EventType::Parked], Since::Behaviour(BEHAVIOUR + 1))),
        Some(first.position),
        "other events"
    );
    assert_eq!(found(&declared(&retried, Since::Behaviour(4))), Some(first.position), "an earlier change");
    assert_eq!(found(&declared(&retried, Since::Release("0.2.0".parse().unwrap()))), Some(first.position));
    assert_eq!(found(&declared(&retried, Since::Release("0.2.1".parse().unwrap()))), None);
    let here = Since::Position(first.batch.last().next());
    assert!(found(&declared(&retried, here)).unwrap() > first.position, "only what was before the position");
    let mut of_others = declared(&retried, Since::Behaviour(BEHAVIOUR + 1));
    of_others[0].inputs = vec!["DiskRead".to_owned()];
    assert_eq!(found(&of_others), Some(first.position), "other inputs");
}

#[test]
fn what_is_missing_or_new_is_told_apart_from_what_differs() {
    // Then no aggregate was queued where one is today; the log ends there.
    let mut dropped = None;
    let sequence = decided_otherwise(&golden("ended-by-an-answer"), &mut |batch| {
        let queued = batch.events.iter().find(|new| new.event.event_type() == EventType::AggQueued);
        match (dropped, queued.map(|new| new.stream)) {
            (Some(_), _) => batch.events.clear(),
            (None, Some(agg)) => {
                batch.events.retain(|new| new.stream != agg);
                dropped = Some(agg);
            }
            (None, None) => {}
        }
    });
    let difference = check_all(&sequence, &[]).difference.unwrap();
    let new: Vec<_> = difference.rows.iter().filter(|row| row.recorded.is_none()).collect();
    assert!(!new.is_empty());
    assert!(
        new.iter()
            .all(|row| row.position.is_none() && row.today.as_ref().unwrap().stream == dropped.unwrap())
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn one_event_decided_otherwise_is_found_exactly_where_it_stands(
        story in prop::sample::select(OF_TODAY.map(|(story, _)| story).to_vec()),
        at in any::<prop::sample::Index>(),
        secs in 1..1_000_u64,
    ) {
        let original = golden(story);
        let changeable: Vec<Position> = batches(&original)
            .iter()
            .flat_map(|batch| (batch.first.0..).map(Position).zip(batch.events.clone()))
            .filter(|(_, new)| matches!(new.event, Event::WitnessGenStarted(_) | Event::ProofRequested(_)))
            .map(|(position, _)| position)
            .collect();
        let wanted = *at.get(&changeable);
        let sequence = decided_otherwise(&original, &mut |batch| {
            for (position, new) in (batch.first.0..).map(Position).zip(&mut batch.events) {
                match &mut new.event {
                    Event::WitnessGenStarted(e) if position == wanted => e.deadline = e.deadline.plus_secs(secs),
                    Event::ProofRequested(e) if position == wanted => e.deadline = e.deadline.plus_secs(secs),
                    _ => {}
                }
            }
        });
        let difference = check_all(&sequence, &[]).difference.unwrap();
        prop_assert_eq!(difference.position, wanted);
        // The state follows the record: one declared difference leads to no others of other kinds.
        let kinds = [EventType::WitnessGenStarted, EventType::ProofRequested];
        let expected = check_all(&sequence, &declared(&kinds, Since::Position(wanted.next()))).expected;
        let met: Vec<_> = expected.iter().filter(|expected| expected.change == 0).collect();
        prop_assert_eq!(met.len(), 1);
        prop_assert!(met[0].decisions >= 1);
    }
}

fn started() -> EngineStarted {
    let release = "1.2.3".to_owned();
    EngineStarted { release, behaviour: BEHAVIOUR, format: 1, policy: Hash32([0; 32]) }
}

fn configured() -> Input {
    let registration = ChainRegistered {
        name: "test".to_owned(),
        l1: L1ChainId(1),
        oracle: Address([9; 20]),
        l1_genesis: Hash32([1; 32]),
        l2_genesis: Hash32([2; 32]),
    };
    ChainConfigured { chain: ChainId(10), registration, policy: Policy::with_signer(Address([7; 20])) }.into()
}

fn head(block: u64, at: Micros) -> Input {
    let current_l1 = L1Ref { number: L1Number(100), hash: Hash32([3; 32]) };
    let (finalized, hash) = (L2Block(block), Hash32([4; 32]));
    NodeRead { chain: ChainId(10), finalized, hash, current_l1, finalized_time: at }.into()
}

#[test]
fn a_clock_that_ran_behind_is_no_difference() {
    let now = Micros(1_700_000_000_000_000);
    let log = Log::open(MemorySequence::new(LogId([5; 16]))).unwrap();
    let (mut ring, _) = Ring::open(log, Pacing::default(), now, started()).unwrap();
    let mut feed = |now: Micros, input: &Input| ring.feed(now, input, Origin::default()).unwrap().events;
    feed(now.plus_secs(100), &configured());
    feed(now.plus_secs(100), &head(1_000, now));
    let behind = feed(now.plus_secs(37), &head(1_001, now));
    let entered = |new: &prooflog_core::NewEvent| matches!(&new.event, Event::DegradedModeEntered(e) if e.reason == DegradedReason::Clock);
    assert!(behind.iter().any(entered), "{behind:?}");
    feed(now.plus_secs(38), &head(1_002, now));
    feed(now.plus_secs(200), &TimerDue::of_all().into());
    let log = ring.into_log().unwrap();
    let checked = check_all(&log.into_sequence().unwrap(), &[]);
    assert_eq!(checked.difference, None);
    assert!(checked.progress.inputs >= 5, "{checked:?}");
}

/// What another policy would have led to on a whole log.
fn ask(sequence: &MemorySequence, changes: &[Change], change: &dyn Fn(&mut Policy)) -> Outlook {
    let reader = Reader::new(sequence).unwrap();
    let begin = (State::new(sequence.log_id()), Position::ZERO);
    let other = |_: ChainId, recorded: &Policy| {
        let mut policy = recorded.clone();
        change(&mut policy);
        policy
    };
    let question = Question { other: &other, changes };
    what_if(&reader, begin, reader.head().position, &question, &mut |_| {}).unwrap()
}

#[test]
fn the_same_policy_changes_nothing_and_another_one_says_what_and_from_where() {
    let sequence = golden("split");
    let ask = |change: &dyn Fn(&mut Policy)| ask(&sequence, &built_in(), change);
    let same = ask(&|_| {});
    assert!(same.deviations.is_empty(), "{:?}", same.deviations);
    assert_eq!((same.inputs, same.diverges, same.undeclared), (0, None, None));
    assert_eq!(same.progress.inputs, batches(&sequence).len() as u64);

    let shorter = ask(&|policy| policy.span_blocks = 20);
    let created = &shorter.deviations[&(Kind::Changed, EventType::SpanCreated)];
    assert_eq!(
        shorter.diverges,
        created.examples.first().map(|example| example.position).min(shorter.diverges)
    );
    assert!(shorter.deviations.contains_key(&(Kind::Additional, EventType::SpanCreated)), "more spans");
    assert_eq!((shorter.policies[0].recorded.span_blocks, shorter.policies[0].other.span_blocks), (30, 20));

    let fewer = ask(&|policy| policy.max_witness_in_flight = 1);
    let held = &fewer.deviations[&(Kind::Missing, EventType::WitnessGenStarted)];
    assert!(held.times > 0 && held.subjects.len() as u64 <= held.times);
    assert!(fewer.diverges.is_some());
}

#[test]
fn what_the_rules_decide_otherwise_is_not_taken_for_what_the_policy_does() {
    let agg = |outlook: &Outlook| {
        let subjects = outlook.deviations.values().flat_map(|found| &found.subjects);
        subjects.filter(|stream| stream.to_string().starts_with("agg-")).count()
    };
    for story in STORIES {
        let sequence = golden(story);
        let checked = check_all(&sequence, &built_in());
        assert_eq!(checked.difference, None, "{story}");
        assert!(!checked.expected.is_empty(), "{story} was decided by the first rules");
        // Declared: as `check` counts it, whatever the policy.
        let longer: &dyn Fn(&mut Policy) = &|policy| policy.span_blocks = 60;
        let same: &dyn Fn(&mut Policy) = &|_| {};
        for change in [same, longer] {
            let outlook = ask(&sequence, &built_in(), change);
            assert_eq!((&outlook.expected, outlook.undeclared), (&checked.expected, None), "{story}");
            assert_eq!(agg(&outlook), 0, "{story}: {:?}", outlook.deviations);
        }
        // Undeclared: told apart all the same.
        let silent = ask(&sequence, &[], same);
        let first = check_all(&sequence, &[]).difference.unwrap().position;
        let found = silent.undeclared.unwrap();
        assert_eq!((found.first, silent.expected.len(), silent.inputs), (first, 0, 0), "{story}");
        assert!(found.decisions > 0);
    }
}

#[test]
fn a_policy_has_its_part_where_the_rules_have_theirs() {
    // The same input: today's rules retry with another budget, and the other policy with yet another.
    let sequence = decided_otherwise(&golden("retry-until-parked"), &mut larger_budgets);
    let declared = [declared(&[EventType::Retried], Since::Behaviour(2)), built_in()].concat();
    let retried = (Kind::Changed, EventType::Retried);
    let same = ask(&sequence, &declared, &|_| {});
    assert!(same.deviations.is_empty() && same.expected.iter().any(|met| met.change == 0));
    let fewer = ask(&sequence, &declared, &|policy| policy.park_after = 3);
    assert_eq!(fewer.expected, same.expected);
    assert!(fewer.deviations[&retried].times > 0, "{:?}", fewer.deviations);
}

#[test]
fn another_policy_asked_about_in_the_middle_holds_from_there() {
    let sequence = golden("retry-until-parked");
    let reader = Reader::new(&sequence).unwrap();
    let from = batches(&sequence)[40].last();
    let state = prooflog_replay::fold_to(&reader, sequence.log_id(), from).unwrap();
    let other =
        |_: ChainId, recorded: &Policy| Policy { park_after: 1, split_after: 1_000, ..recorded.clone() };
    let question = Question { other: &other, changes: &built_in() };
    let outlook = what_if(&reader, (state, from), reader.head().position, &question, &mut |_| {}).unwrap();
    assert!(outlook.diverges.unwrap() > from);
    assert_eq!(outlook.policies[0].position, from);
    assert!(
        outlook.deviations.contains_key(&(Kind::Additional, EventType::Parked)),
        "{:?}",
        outlook.deviations
    );
}
