//! The golden logs as histories, shared by the tests of this room.

use std::fs;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::LazyLock;

use prooflog_events::ids::Position;
use prooflog_log::MemorySequence;
use prooflog_log::export::{import, read_header};
use prooflog_log::read::Reader;
use prooflog_projections::Fact;
use prooflog_replay::for_each_fact;

/// A fact that owns its correlation.
pub(crate) struct Record {
    /// What it belongs to.
    pub(crate) correlation: String,
    fact: Fact<'static>,
}

impl Record {
    fn of(fact: &Fact<'_>) -> Self {
        let Fact { position, stream, revision, time, .. } = *fact;
        let event = fact.event.clone();
        let correlation = fact.correlation.to_owned();
        Self { correlation, fact: Fact { position, stream, revision, time, correlation: "", event } }
    }

    /// The fact itself.
    pub(crate) fn fact(&self) -> Fact<'_> {
        Fact { correlation: &self.correlation, ..self.fact.clone() }
    }
}

/// Their files, in order.
pub(crate) fn golden() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/logs/format-1");
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
    found.sort();
    found
}

fn load(path: &PathBuf) -> MemorySequence {
    let mut input = BufReader::new(fs::File::open(path).unwrap());
    let header = read_header(&mut input).unwrap();
    let target = MemorySequence::new(header.log);
    import(header, &mut input, &target).unwrap();
    target
}

/// The history in a golden log.
fn history(path: &PathBuf) -> Vec<Record> {
    let sequence = load(path);
    let reader = Reader::new(&sequence).unwrap();
    let mut records = Vec::new();
    for_each_fact(&reader, Position(1), reader.head().position, &mut |fact| {
        records.push(Record::of(fact));
        Ok(())
    })
    .unwrap();
    assert!(!records.is_empty(), "{}", path.display());
    records
}

/// What they hold, in the order of their files.
pub(crate) static HISTORIES: LazyLock<Vec<Vec<Record>>> =
    LazyLock::new(|| golden().iter().map(history).collect());
