//! Stuck and waiting are different things.

use std::time::{Duration, Instant};

use prooflog_observe::{Health, Verdict};

use super::common::CHAIN;

const GRACE: Duration = Duration::from_secs(30);

fn health() -> Health {
    Health::new(&[CHAIN], GRACE)
}

#[test]
fn a_loop_that_waits_needs_no_beat_until_its_sleep_is_over() {
    let (health, begin) = (health(), Instant::now());
    assert_eq!(health.verdict(begin), Verdict::NotBegun);
    health.beat(begin);
    let until = begin + Duration::from_secs(600);
    health.waiting(until);
    assert_eq!(health.verdict(until + GRACE), Verdict::Waiting { rounds: 1 });
    let late = until + GRACE + Duration::from_secs(5);
    assert_eq!(health.verdict(late), Verdict::Stuck { rounds: 1, overdue_secs: 35 });
    health.beat(late);
    assert_eq!(health.verdict(late), Verdict::Moving { rounds: 2 });
}

#[test]
fn a_loop_that_works_too_long_on_one_round_is_stuck() {
    let (health, begin) = (health(), Instant::now());
    health.beat(begin);
    assert_eq!(health.verdict(begin + GRACE), Verdict::Moving { rounds: 1 });
    assert!(matches!(health.verdict(begin + GRACE * 2), Verdict::Stuck { overdue_secs: 60, .. }));
}
