//! Every deliberate bug is caught, by a rule that is about it, within the seeds that the table promises.
#![expect(clippy::panic, reason = "tests")]

use std::collections::BTreeSet;

use prooflog_sim::bugs::{BUGS, hunt};

#[test]
fn every_deliberate_bug_is_caught_by_a_rule_that_is_about_it() {
    let away: Vec<String> = std::thread::scope(|scope| {
        let hunts: Vec<_> = BUGS.iter().map(|bug| (bug, scope.spawn(|| hunt(bug)))).collect();
        hunts
            .into_iter()
            .filter_map(|(bug, hunt)| match hunt.join() {
                Ok(Some(caught)) if bug.rules.contains(&caught.rule) => None,
                Ok(caught) => Some(format!("{:?}: {caught:?}", bug.sabotage)),
                Err(_) => panic!("the hunt for {:?} panicked", bug.sabotage),
            })
            .collect()
    });
    assert!(away.is_empty(), "{away:#?}");
}

#[test]
fn the_table_names_each_bug_once() {
    let names: BTreeSet<_> = BUGS.iter().map(|bug| bug.sabotage).collect();
    assert_eq!(names.len(), BUGS.len());
    assert!(BUGS.len() >= 15);
}
