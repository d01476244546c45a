//! The whole ring over RocksDB: the same worlds, faults and checkers as in memory.

use std::path::{Path, PathBuf};

use prooflog_events::ids::LogId;
use prooflog_events::port::{SequenceError, SequenceRead};
use prooflog_log::{Fault, Log};
use prooflog_sim::run::{Medium, Options, Report, Sim};
use prooflog_sim::scenario::Scenario;
use prooflog_store::{OpenOptions, ReadOnlyStore, RocksStore};

/// A directory that survives the process.
struct Disk(PathBuf);

impl Disk {
    fn open(&self, options: OpenOptions) -> Result<RocksStore, SequenceError> {
        let opened = prooflog_store::open(&self.0, options.ballast(0));
        opened.map(|(store, _)| store).map_err(|error| SequenceError::Unavailable { what: error.to_string() })
    }
}

impl Medium for Disk {
    type Seq = RocksStore;

    fn create(&mut self) -> Result<RocksStore, SequenceError> {
        self.open(OpenOptions::or_create(LogId([0xd1; 16])))
    }

    fn reopen(&mut self, log: Log<RocksStore>, _losing: usize) -> Result<RocksStore, SequenceError> {
        drop(log);
        self.open(OpenOptions::existing())
    }

    fn fail_next(&mut self, _: &RocksStore, _: Fault) -> bool {
        false
    }
}

/// Runs a scenario on a log in `dir`.
pub(crate) fn run(scenario: &str, seed: u64, dir: &Path) -> Report {
    let plan = Scenario::named(scenario, seed).unwrap();
    Sim::new(plan, Disk(dir.to_owned()), Options::default(), None).unwrap().run()
}

/// Runs a scenario on a log in `dir`; no rule may break.
pub(crate) fn simulate(scenario: &str, seed: u64, dir: &Path) {
    let report = run(scenario, seed, dir);
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    assert!(
        report.latest.values().all(|block| block.0 > 1_000),
        "something was submitted: {:?}",
        report.latest
    );
}

#[test]
fn a_friendly_world_and_crashes_go_the_same_way_on_disk() {
    for (scenario, seed) in [("friendly", 3), ("crashes", 5)] {
        let dir = tempfile::tempdir().unwrap();
        simulate(scenario, seed, &dir.path().join("log"));
        let store = ReadOnlyStore::open(&dir.path().join("log")).unwrap();
        let verified = prooflog_log::verify(&store, &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
        assert_eq!(verified.head, store.head().unwrap());
    }
}
