//! Every deliberate bug is caught, by a rule that is about it, within the seeds that the table promises.
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

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

/// Rules that no bug of the process can break, and why.
const WITHOUT_BUG: [(&str, &str); 3] = [
    ("log", "the log itself cannot be read or opened: tests of the log and the store break it"),
    ("model", "the fold refuses earlier what the model does not know"),
    ("laws", "looked at only without a bug, so that the rules find a bug by themselves"),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The names of all rules: the first text after each place that breaks one.
fn rules() -> BTreeSet<String> {
    let mut paths = Vec::new();
    for folder in ["src/check", "src/run", "src/world", "src/adapter.rs"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        if path.is_dir() { sources(&path, &mut paths) } else { paths.push(path) }
    }
    let mut rules = BTreeSet::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        for call in ["rule(", "violate(", "complain("] {
            let named = text.split(call).skip(1).filter_map(|after| after.trim_start().strip_prefix('"'));
            rules.extend(named.filter_map(|name| Some(name.split_once('"')?.0.to_owned())));
        }
    }
    rules
}

#[test]
fn every_rule_has_a_bug_that_it_alone_must_catch() {
    let rules = rules();
    assert!(rules.len() >= 40 && rules.contains("paid once") && rules.contains("legal request"), "{rules:?}");
    let alone: BTreeSet<&str> =
        BUGS.iter().filter(|bug| bug.rules.len() == 1).flat_map(|bug| bug.rules).copied().collect();
    let without = |rule: &&String| !WITHOUT_BUG.iter().any(|(name, _)| name == rule);
    let missing: Vec<&String> =
        rules.iter().filter(|rule| !alone.contains(rule.as_str())).filter(without).collect();
    assert!(missing.is_empty(), "no bug is there for {missing:?} alone");
    assert!(WITHOUT_BUG.iter().all(|(name, _)| rules.contains(*name) && !alone.contains(name)));
    assert!(alone.iter().all(|name| rules.contains(*name)), "a bug is for a rule that is not there");
}
