//! Golden logs: what releases wrote, kept for ever, one folder per format.
//!
//! Each must import, verify, fold to the state and tell the timeline that stand beside it, and today's `decide` must
//! decide every recorded input as it was decided then. Damaged ones must be refused with the error that stands beside
//! them. `PROOFLOG_UPDATE_GOLDEN=1` writes the files of the current format that are missing, and never changes one.

use std::fmt::Write as _;
use std::fs;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use prooflog_core::{BEHAVIOUR, Effect, Outbox, Pacing, plan};
use prooflog_engine::redecide::{built_in, check, written_by};
use prooflog_events::event::{Event, InvalidReason, Stage};
use prooflog_events::ids::{ChainId, LogId, Micros, Position, Wei};
use prooflog_events::port::{Head, SequenceRead};
use prooflog_log::export::{import, read_header};
use prooflog_log::read::Reader;
use prooflog_log::{Log, MemorySequence};
use prooflog_projections::state::index_from_scratch;
use prooflog_projections::{State, Timeline, describe};
use prooflog_sim::run::{Memory, Options, Sim};
use prooflog_sim::scenario::{Incident, START, Scenario};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/logs")
}

fn load(path: &Path) -> Result<(MemorySequence, Head), String> {
    let file = fs::File::open(path).unwrap();
    let mut input = BufReader::new(file);
    let header = read_header(&mut input).map_err(|error| error.to_string())?;
    let target = MemorySequence::new(header.log);
    let head = import(header, &mut input, &target).map_err(|error| error.to_string())?;
    Ok((target, head))
}

/// State and timeline of a log, as text that a reviewer can read.
fn told(sequence: &MemorySequence) -> String {
    let reader = Reader::new(sequence).unwrap();
    let head = reader.head();
    let mut text = format!("head {} {}\n", head.position, head.hash);
    let state = prooflog_replay::fold_to(&reader, sequence.log_id(), head.position).unwrap();
    let _ = writeln!(text, "state {}", state.digest());
    for chain in state.chains.values() {
        let block = chain.contract.latest.map_or(0, |latest| latest.block.0);
        let _ = writeln!(
            text,
            "chain {}: contract at {block}, {} spans and {} aggregates alive, {} retired with proofs",
            chain.id,
            chain.spans.len(),
            chain.aggs.len(),
            chain.retired.len()
        );
    }
    let mut all = Timeline::default();
    prooflog_replay::for_each_fact(&reader, Position(1), head.position, &mut |fact| {
        all.apply(fact);
        Ok(())
    })
    .unwrap();
    for entry in all.entries() {
        let at = entry.time.0.saturating_sub(START.0) / 1_000;
        let _ = writeln!(text, "{:>5} {at:>9} ms  {}: {}", entry.position, entry.stream, entry.text);
    }
    text
}

/// Every recorded input, decided again on the state before it, leads to the recorded events, but for what was declared
/// since the rules that wrote the log: in a log of today's rules, for nothing.
fn replays(sequence: &MemorySequence) {
    let reader = Reader::new(sequence).unwrap();
    let (begin, head) = ((State::new(sequence.log_id()), Position::ZERO), reader.head().position);
    let checked = check(&reader, begin, head, &built_in(), &mut |_| {}).unwrap();
    assert_eq!(checked.difference, None);
    let end = prooflog_replay::fold_to(&reader, sequence.log_id(), head).unwrap();
    let of_today = written_by(&reader, &end).unwrap().behaviour == BEHAVIOUR;
    assert!(!of_today || checked.expected.is_empty(), "{:?}", checked.expected);
    let mut state = State::new(sequence.log_id());
    state.count_proof_names();
    let mut outbox = Outbox::new(Pacing::default());
    prooflog_replay::for_each_fact(&reader, Position(1), head, &mut |fact| {
        state.apply(fact).unwrap();
        kept_is_computed(&mut state, &mut outbox, fact.time);
        Ok(())
    })
    .unwrap();
}

/// What is kept up to date with every event is what is computed from scratch: the index of each rollup, and the effects
/// that are owed.
fn kept_is_computed(state: &mut State, outbox: &mut Outbox, now: Micros) {
    for chain in state.chains.values() {
        assert_eq!(chain.index, index_from_scratch(chain));
    }
    assert!(state.proof_names_are_counted_right());
    // Whether a moment has come is part of what is owed, so the runner looks at every rollup then; so does this test.
    state.touch_chains(&[]);
    outbox.refresh(state, now);
    let mut kept: Vec<Effect> = outbox.owed().cloned().collect();
    let mut computed = plan(state, now);
    kept.sort_by_key(Effect::key);
    computed.sort_by_key(Effect::key);
    assert_eq!(kept, computed);
}

/// A history: its file's name, how it comes about, and the event that it must hold.
type Story = (&'static str, Scenario, fn(&Event) -> bool);

/// The histories of the current format.
fn stories() -> Vec<Story> {
    let calm = |seed: u64| {
        let mut plan = Scenario::named("friendly", seed).unwrap();
        plan.chains.truncate(1);
        for chain in &mut plan.chains {
            (chain.backlog, chain.step_secs, chain.interval, chain.heavy_one_in) = (120, 0, 30, 0);
            (chain.policy.span_blocks, chain.policy.span_gas, chain.policy.submission_blocks) = (30, 0, 0);
            chain.policy.confirmations = 4;
        }
        (plan.append_ms, plan.active_secs) = (2, 900);
        plan
    };
    let at = |secs: u64| -> Micros { START.plus_secs(secs) };
    let mut split = calm(2);
    (split.chains[0].heavy_one_in, split.chains[0].profile.max_weight) = (40, 300);
    let mut parked = calm(3);
    // Long enough for every halving and every retry of the single block.
    (parked.chains[0].step_secs, parked.active_secs) = (384, 2_400);
    parked.incidents = vec![(at(30), Incident::Impossible(ChainId(10)))];
    let mut reorg = calm(4);
    reorg.incidents = (0..12).map(|nth| (at(120 + nth * 40), Incident::Reorg(3, 0))).collect();
    let mut operator = calm(5);
    operator.incidents = (0..10).map(|nth| (at(40 + nth * 30), Incident::Operator(ChainId(10)))).collect();
    let mut unreadable = calm(6);
    unreadable.weather.unreadable = 400;
    let mut answered = calm(7);
    (answered.weather.too_late, answered.weather.status_odd) = (500, 100);
    answered.active_secs = 5_400;
    let mut dear = calm(9);
    dear.chains.iter_mut().for_each(|chain| chain.policy.fees.max_fee = Wei(60_000_000_000));
    dear.incidents = vec![(at(60), Incident::FeeSpike(700))];
    let mut whole = calm(10);
    (whole.weather.too_late, whole.active_secs) = (500, 5_400);
    whole.chains.iter_mut().for_each(|chain| chain.policy.split_after = 1);
    let is_late = |event: &Event| matches!(event, Event::TimedOut(e) if e.stage == Stage::Proving);
    vec![
        (
            "unreadable-members",
            unreadable,
            |event| matches!(event, Event::Invalidated(e) if e.reason == InvalidReason::Undecodable),
        ),
        ("ended-by-an-answer", answered, is_late),
        ("fee-ceiling", dear, |event| matches!(event, Event::FeeCeilingReached(_))),
        (
            "late-whole",
            whole,
            |event| matches!(event, Event::Invalidated(e) if e.reason == InvalidReason::Replaced),
        ),
        ("happy-path", calm(1), |event| matches!(event, Event::AggSettled(_))),
        ("split", split, |event| matches!(event, Event::Split(_))),
        ("retry-until-parked", parked, |event| matches!(event, Event::Parked(_))),
        ("reorg-after-submission", reorg, |event| matches!(event, Event::SubmissionReorged(_))),
        ("operator-intervention", operator, |event| {
            matches!(event, Event::Paused(_) | Event::Cancelled(_) | Event::Parked(_))
        }),
    ]
}

/// A medium whose last log can be looked at after the run.
struct Kept<'a>(&'a Path);

impl Kept<'_> {
    fn open(&self, make: prooflog_store::OpenOptions) -> prooflog_store::RocksStore {
        prooflog_store::open(self.0, make.ballast(0)).unwrap().0
    }
}

impl prooflog_sim::run::Medium for Kept<'_> {
    type Seq = prooflog_store::RocksStore;

    fn create(&mut self) -> Result<Self::Seq, prooflog_events::port::SequenceError> {
        Ok(self.open(prooflog_store::OpenOptions::or_create(LogId(*b"golden log of pf"))))
    }

    fn reopen(
        &mut self,
        log: Log<Self::Seq>,
        _: usize,
    ) -> Result<Self::Seq, prooflog_events::port::SequenceError> {
        drop(log);
        Ok(self.open(prooflog_store::OpenOptions::existing()))
    }

    fn fail_next(&mut self, _: &Self::Seq, _: prooflog_log::Fault) -> bool {
        false
    }
}

fn write_missing(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    for (name, plan, must_hold) in stories() {
        let path = dir.join(format!("{name}.jsonl"));
        if path.exists() {
            continue;
        }
        let place = tempfile::tempdir().unwrap();
        let log = place.path().join("log");
        let report = Sim::new(plan, Kept(&log), Options::default(), None).unwrap().run();
        assert!(report.violations.is_empty(), "{name}: {:#?}", report.violations);
        let store = prooflog_store::ReadOnlyStore::open(&log).unwrap();
        let reader = Reader::new(&store).unwrap();
        let mut held = false;
        prooflog_replay::for_each_fact(&reader, Position(1), reader.head().position, &mut |fact| {
            held |= must_hold(&fact.event);
            Ok(())
        })
        .unwrap();
        assert!(held, "{name} does not hold what it is for");
        let mut out = Vec::new();
        prooflog_log::export::export(&reader, store.log_id(), &mut out).unwrap();
        fs::write(&path, out).unwrap();
        fs::write(dir.join(format!("{name}.txt")), told(&load(&path).unwrap().0)).unwrap();
    }
}

/// Ways to damage a file, and what they are called.
fn damage(lines: &[String]) -> Vec<(&'static str, Vec<String>)> {
    let mut flipped = lines.to_vec();
    let middle = flipped.len() / 2;
    let stored = flipped[middle].find("0x").unwrap() + 200;
    let was = flipped[middle].as_bytes()[stored];
    flipped[middle].replace_range(stored..=stored, if was == b'0' { "1" } else { "0" });
    let mut swapped = lines.to_vec();
    swapped.swap(10, 11);
    let dropped = [&lines[..20], &lines[21..]].concat();
    let truncated = lines[..lines.len() - 3].to_vec();
    vec![("flipped", flipped), ("swapped", swapped), ("dropped", dropped), ("truncated", truncated)]
}

fn write_damaged(from: &Path, dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    let lines: Vec<String> = fs::read_to_string(from).unwrap().lines().take(60).map(str::to_owned).collect();
    for (name, lines) in damage(&lines) {
        let path = dir.join(format!("{name}.jsonl"));
        if !path.exists() {
            fs::write(&path, lines.join("\n") + "\n").unwrap();
            fs::write(dir.join(format!("{name}.txt")), load(&path).unwrap_err() + "\n").unwrap();
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
    found.sort();
    assert!(!found.is_empty(), "{} holds golden logs", dir.display());
    found
}

#[test]
fn every_golden_log_imports_folds_tells_and_is_decided_again_as_it_was() {
    let dir = folder().join("format-1");
    if std::env::var_os("PROOFLOG_UPDATE_GOLDEN").is_some() {
        write_missing(&dir);
        write_damaged(&dir.join("happy-path.jsonl"), &folder().join("damaged"));
    }
    for path in files(&dir) {
        let (sequence, head) = load(&path).unwrap();
        let verified = prooflog_log::verify(&sequence, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(verified.head, head);
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap();
        assert_eq!(told(&sequence), expected, "{}", path.display());
        replays(&sequence);
    }
}

#[test]
fn every_damaged_log_is_refused_at_its_place() {
    for path in files(&folder().join("damaged")) {
        let error = load(&path).unwrap_err() + "\n";
        assert_eq!(error, fs::read_to_string(path.with_extension("txt")).unwrap(), "{}", path.display());
    }
}

#[test]
fn the_words_of_every_event_are_not_empty() {
    // A golden timeline with an empty line would hide an event that nobody put into words.
    for path in files(&folder().join("format-1")) {
        let (sequence, head) = load(&path).unwrap();
        let reader = Reader::new(&sequence).unwrap();
        prooflog_replay::for_each_fact(&reader, Position(1), head.position, &mut |fact| {
            assert!(!describe(&fact.event, fact.stream).is_empty(), "{:?}", fact.event.event_type());
            Ok(())
        })
        .unwrap();
    }
}

/// Keeps the memory medium in use here, so that a story can be tried without a disk while it is written.
#[test]
fn stories_break_no_rule_in_memory() {
    for (name, plan, _) in stories() {
        let report = Sim::new(plan, Memory(LogId([1; 16])), Options::default(), None).unwrap().run();
        assert!(report.violations.is_empty(), "{name}: {:#?}", report.violations);
    }
}
