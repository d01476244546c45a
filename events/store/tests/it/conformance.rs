//! RocksDB under the conformance suite.
use prooflog_log::conformance::{Factory, LOG};
use prooflog_store::{OpenOptions, RocksStore, open};

struct Rocks {
    dirs: tempfile::TempDir,
    made: std::sync::atomic::AtomicU64,
}

impl Rocks {
    fn new() -> Self {
        Self { dirs: tempfile::tempdir().unwrap(), made: 0.into() }
    }
}

impl Factory for Rocks {
    type Sequence = RocksStore;

    fn fresh(&self) -> RocksStore {
        let number = self.made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let dir = self.dirs.path().join(number.to_string());
        let (store, report) = open(&dir, OpenOptions::or_create(LOG).ballast(0)).unwrap();
        assert!(report.created);
        store
    }

    fn reopened(&self, sequence: RocksStore) -> RocksStore {
        let dir = sequence.dir().to_owned();
        drop(sequence);
        let (store, report) = open(&dir, OpenOptions::existing().ballast(0)).unwrap();
        assert!(!report.created);
        store
    }
}

prooflog_log::conformance_tests!(Rocks::new());
