//! Whole runs: kept seeds, reproducibility, and a crash at every append boundary.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use prooflog_events::event::{Event, InvalidReason, Stage};
use prooflog_events::ids::LogId;
use prooflog_events::input::Input;
use prooflog_events::values::DegradedReason;
use prooflog_sim::check::Batch;
use prooflog_sim::run::{Memory, Options, Report, Sim, run_seed};
use prooflog_sim::scenario::{NAMES, Scenario};
use prooflog_sim::world::World;

fn run(name: &str, seed: u64) -> Report {
    run_seed(Scenario::named(name, seed).unwrap(), Options::default())
}

#[test]
fn one_seed_gives_one_run() {
    for (name, seed) in [("random", 3), ("crashes", 8)] {
        let (first, second) = (run(name, seed), run(name, seed));
        assert_eq!((first.digest, first.figures), (second.digest, second.figures), "{name} {seed}");
    }
}

#[test]
fn a_few_seeds_of_every_kind_of_fault_break_no_rule() {
    for name in NAMES {
        for seed in 1..=2 {
            let report = run(name, seed);
            assert!(report.violations.is_empty(), "{name}: {:#?}", report.violations);
        }
    }
}

/// Batches of a few seeds that show something.
fn shown(name: &str, is_shown: fn(&Batch) -> bool) -> usize {
    let mut times = 0;
    for seed in 1..=3 {
        let mut watch = |batch: &Batch, _: &World| times += usize::from(is_shown(batch));
        let (plan, medium) = (Scenario::named(name, seed).unwrap(), Memory(LogId([2; 16])));
        let report = Sim::new(plan, medium, Options::default(), Some(&mut watch)).unwrap().run();
        assert!(report.violations.is_empty(), "{name}: {:#?}", report.violations);
    }
    times
}

#[test]
fn what_a_scenario_is_named_after_happens_in_it() {
    let gives_way = |batch: &Batch| {
        let gives_way =
            |event: &Event| matches!(event, Event::Invalidated(e) if e.reason == InvalidReason::Replaced);
        batch.events.iter().any(|new| new.stream.to_string().starts_with("span-") && gives_way(&new.event))
    };
    assert!(shown("late", gives_way) > 0, "the late proof of a span that was halved");
    let unheard = |batch: &Batch| {
        let ends = |event: &Event| matches!(event, Event::TimedOut(e) if e.stage == Stage::Proving);
        !matches!(batch.input, Input::StatusAnswered(_)) && batch.events.iter().any(|new| ends(&new.event))
    };
    assert!(shown("silent", unheard) > 0, "a request that nobody answered");
    let told =
        |batch: &Batch| batch.events.iter().any(|new| matches!(new.event, Event::FeeCeilingReached(_)));
    assert!(shown("dear", told) > 0, "fees above the ceiling");
    let behind = |batch: &Batch| {
        let tells = |event: &Event| matches!(event, Event::DegradedModeEntered(e) if e.reason == DegradedReason::Clock);
        batch.events.iter().any(|new| tells(&new.event))
    };
    assert!(shown("clock", behind) > 0, "a clock that runs backwards");
}

/// A kept seed: `tests/golden/seeds/<name>.txt`, whose first line is `<scenario> <seed>`; the rest tells its story.
#[test]
fn seeds_that_once_broke_a_rule_break_none() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/seeds");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let (name, seed) = text.lines().next().unwrap().split_once(' ').unwrap();
        let report = run(name, seed.parse().unwrap());
        assert!(report.violations.is_empty(), "{}: {:#?}", file.display(), report.violations);
    }
}

/// A short happy run, killed at one append.
fn killed(at: u64, how: u8) -> Report {
    let mut plan = Scenario::named("friendly", 2).unwrap();
    plan.chains.truncate(1);
    // A fixed amount of work, so that the ends can be compared.
    for chain in &mut plan.chains {
        (chain.backlog, chain.step_secs, chain.interval) = (600, 0, 0);
        chain.policy.submission_blocks = 0;
    }
    plan.active_secs = 1_500;
    plan.append_ms = 0;
    plan.crash_at = Some((at, how));
    run_seed(plan, Options::default())
}

#[test]
fn a_crash_at_every_append_boundary_leads_to_the_same_end_without_a_second_effect() {
    let calm = killed(u64::MAX, 0);
    assert!(calm.violations.is_empty(), "{:#?}", calm.violations);
    let boundaries = calm.figures.appends;
    assert!(boundaries > 60, "{boundaries}");
    let (calm, in_flight) = (&calm, 5);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                scope.spawn(move || {
                    let mut failures = Vec::new();
                    for at in (2..=boundaries).filter(|at| at % 4 == thread) {
                        for how in 0..3 {
                            let report = killed(at, how);
                            let same = report.latest == calm.latest && report.figures.crashes == 1;
                            // One call may be under way at the server when nobody listens: its proof may be paid twice.
                            let paid = report.paid <= calm.paid + in_flight;
                            if !report.violations.is_empty() || !same || !paid {
                                failures.push(format!(
                                    "append {at} ({how}): {} crashes, {} paid, {:?}, {:?}",
                                    report.figures.crashes, report.paid, report.latest, report.violations
                                ));
                            }
                        }
                    }
                    failures
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(failures.is_empty(), "{failures:#?}");
}
