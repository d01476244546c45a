//! Golden bytes and golden JSON of every event and input type, one file per type and version.
//!
//! The bytes of a released version never change, and what they say never changes either. The samples are the fullest
//! ones that simulated worlds produced; `PROOFLOG_UPDATE_GOLDEN=1` writes those that are missing and changes none. A
//! type without a file, and a file without a type, fail.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use prooflog_events::codec;
use prooflog_events::envelope::Envelope;
use prooflog_events::event::{
    ContractChanged, EngineStarted, EngineStopped, Event, EventType, SubmissionAbandoned,
};
use prooflog_events::ids::{
    Address, ChainId, Hash32, L1ChainId, L1Number, L1Ref, L2Block, Nonce, Position, ProofId, Range, SignerId,
    SlotId,
};
use prooflog_events::input::{
    EngineClosing, ImportedProgress, ImportedRow, ImportedSubject, Input, RowsImported,
};
use prooflog_events::values::{BlobRef, Commitments, Mode};
use prooflog_log::read::Reader;

use super::on_disk::run;

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(kind)
}

/// The longest bytes seen of each (name, version).
type Samples = BTreeMap<(String, u16), Vec<u8>>;

fn keep(samples: &mut Samples, name: &str, version: u16, bytes: &[u8]) {
    let longest = samples.entry((name.to_owned(), version)).or_default();
    // Long lists make a sample hard to read and add nothing.
    if bytes.len() > longest.len() && bytes.len() < 1_500 {
        *longest = bytes.to_vec();
    }
}

/// Looks for samples of every type in worlds of every kind.
fn search() -> (Samples, Samples) {
    let (mut events, mut inputs) = (Samples::new(), Samples::new());
    let signer = SignerId { l1: L1ChainId(1), address: Address([3; 20]) };
    let rare: [Event; 3] = [
        SubmissionAbandoned { slot: SlotId { signer, nonce: Nonce(7) } }.into(),
        ContractChanged { from: Address([1; 20]), to: Address([2; 20]) }.into(),
        EngineStopped { reason: "asked to stop".to_owned() }.into(),
    ];
    for event in rare {
        keep(&mut events, event.event_type().name(), event.event_type().version(), &event.encode());
    }
    let closing = Input::from(EngineClosing { reason: "asked to stop".to_owned() });
    let imported = Input::from(imported());
    for input in [closing, imported] {
        keep(&mut inputs, input.name(), input.version(), &input.encode());
    }
    for scenario in prooflog_sim::scenario::NAMES {
        for seed in 1..=6 {
            let place = tempfile::tempdir().unwrap();
            let log = place.path().join("log");
            run(scenario, seed, &log);
            let store = prooflog_store::ReadOnlyStore::open(&log).unwrap();
            let reader = Reader::new(&store).unwrap();
            reader
                .for_each(Position(1), reader.head().position, &mut |_, stored| {
                    let envelope = Envelope::decode(stored).unwrap();
                    keep(&mut events, envelope.type_name, envelope.version, envelope.payload);
                    if let Some(cause) = envelope.cause {
                        keep(&mut inputs, cause.name, cause.version, cause.bytes);
                    }
                    ControlFlow::Continue(())
                })
                .unwrap();
        }
    }
    (events, inputs)
}

/// No simulated world has another proposer's database.
fn imported() -> RowsImported {
    let l1 = |number| L1Ref { number: L1Number(number), hash: Hash32([9; 32]) };
    let row = |row, blocks: (u64, u64), subject, progress| ImportedRow {
        row,
        range: Range { start: L2Block(blocks.0), end: L2Block(blocks.1) },
        commitments: Some(Commitments {
            mode: Mode::Real,
            range_vkey: Hash32([1; 32]),
            rollup_config: Hash32([2; 32]),
        }),
        version: Some("v5.2.1".to_owned()),
        l1_bound: Some(L1Number(700)),
        l1_head: Some(l1(690)),
        subject,
        progress,
    };
    let proven = |byte| ImportedProgress::Proven {
        proof: BlobRef { sha256: Hash32([byte; 32]), length: 1_500_000 },
        selector: Some([1, 2, 3, 4]),
        seconds: Some(2_400),
    };
    let span = ImportedSubject::Span { transactions: Some(1_200), gas: Some(9_000_000) };
    let agg = ImportedSubject::Agg {
        agg_vkey: Some(Hash32([3; 32])),
        prover: Some(Address([4; 20])),
        checkpoint: l1(701),
    };
    let requested = ImportedProgress::Requested { proof_id: ProofId(vec![7; 32]) };
    RowsImported {
        started: Some(EngineStarted {
            release: "0.1.0".to_owned(),
            behaviour: 1,
            format: 1,
            policy: Hash32([5; 32]),
        }),
        chain: ChainId(10),
        source: "op-succinct's Rust proposer".to_owned(),
        rows: vec![
            row(1, (1_000, 1_300), span, proven(6)),
            row(2, (1_300, 1_600), span, requested),
            row(3, (1_600, 1_900), span, ImportedProgress::Asked),
            row(4, (1_000, 1_300), agg, proven(8)),
        ],
    }
}

fn write_missing(kind: &str, samples: Samples, to_json: impl Fn(&str, u16, &[u8]) -> String) {
    fs::create_dir_all(folder(kind)).unwrap();
    for ((name, version), bytes) in samples {
        let path = folder(kind).join(format!("{name}.v{version}.txt"));
        if !path.exists() {
            fs::write(&path, format!("{}\n{}\n", hex(&bytes), to_json(&name, version, &bytes))).unwrap();
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn event_json(name: &str, version: u16, bytes: &[u8]) -> String {
    serde_json::to_string_pretty(&Event::decode(name, version, bytes).unwrap()).unwrap()
}

fn input_json(name: &str, version: u16, bytes: &[u8]) -> String {
    serde_json::to_string_pretty(&Input::decode(name, version, bytes).unwrap()).unwrap()
}

/// Every file of a kind: (name, version, bytes, JSON).
fn golden(kind: &str) -> Vec<(String, u16, Vec<u8>, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder(kind)).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let (name, version) = stem.split_once(".v").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let (bytes, json) = text.split_once('\n').unwrap();
        found.push((name.to_owned(), version.parse().unwrap(), unhex(bytes), json.trim_end().to_owned()));
    }
    found
}

#[test]
fn every_type_has_golden_bytes_and_golden_json_that_say_the_same() {
    if std::env::var_os("PROOFLOG_UPDATE_GOLDEN").is_some() {
        let (events, inputs) = search();
        write_missing("events", events, event_json);
        write_missing("inputs", inputs, input_json);
    }
    let events = golden("events");
    for kind in EventType::ALL {
        let (name, version) = (kind.name(), kind.version());
        let (_, _, bytes, json) = events
            .iter()
            .find(|(golden, at, ..)| golden == name && *at == version)
            .unwrap_or_else(|| panic!("{name} version {version} has no golden file"));
        let event = Event::decode(name, version, bytes).unwrap();
        assert_eq!(hex(&event.encode()), hex(bytes), "{name}");
        assert_eq!(&event_json(name, version, bytes), json, "{name}");
        assert_eq!(Event::from_json(*kind, serde_json::from_str(json).unwrap()).unwrap(), event, "{name}");
    }
    let inputs = golden("inputs");
    for (name, version) in Input::ALL {
        let (_, _, bytes, json) = inputs
            .iter()
            .find(|(golden, at, ..)| golden == name && at == version)
            .unwrap_or_else(|| panic!("{name} version {version} has no golden file"));
        let input = Input::decode(name, *version, bytes).unwrap();
        assert_eq!(hex(&input.encode()), hex(bytes), "{name}");
        assert_eq!(&input_json(name, *version, bytes), json, "{name}");
    }
    // Older versions stay readable for ever, and say what they said.
    events.iter().for_each(|(name, version, bytes, json)| {
        assert_eq!(&event_json(name, *version, bytes), json, "{name}")
    });
    inputs.iter().for_each(|(name, version, bytes, json)| {
        assert_eq!(&input_json(name, *version, bytes), json, "{name}")
    });
}

#[test]
fn a_golden_payload_cut_short_or_made_longer_is_refused() {
    for (name, version, bytes, _) in golden("events") {
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(Event::decode(&name, version, &longer).is_err(), "{name}");
        for cut in 0..bytes.len() {
            // A prefix may be another, shorter value only if it is empty and the type has no fields.
            assert!(Event::decode(&name, version, &bytes[..cut]).is_err(), "{name} at {cut}");
        }
    }
}

/// A fuzzer that has no seed of a type searches for its decoder instead of starting inside it.
#[test]
fn every_current_type_has_a_seed_that_decodes_as_it() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/fuzz/corpus/seeds");
    let of = |name: &str| -> Vec<Vec<u8>> {
        (0..2).filter_map(|fill| fs::read(seeds.join(format!("{name}.{fill}"))).ok()).collect()
    };
    for kind in EventType::ALL {
        let decodes = |bytes: &Vec<u8>| Event::decode(kind.name(), kind.version(), bytes).is_ok();
        let found = of(kind.name());
        assert!(!found.is_empty() && found.iter().all(decodes), "{kind:?}: tools/fuzz/run seeds");
    }
    for (name, version) in Input::ALL {
        let decodes = |bytes: &Vec<u8>| Input::decode(name, *version, bytes).is_ok();
        let found = of(name);
        assert!(!found.is_empty() && found.iter().all(decodes), "{name}: tools/fuzz/run seeds");
    }
}

#[test]
fn json_never_shows_a_number_that_a_double_cannot_hold() {
    fn check(name: &str, value: &serde_json::Value) {
        match value {
            serde_json::Value::Number(number) => {
                assert!(
                    number.as_f64().is_some_and(|n| n.abs() <= 9_007_199_254_740_992.0),
                    "{name}: {number}"
                );
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| check(name, item)),
            serde_json::Value::Object(fields) => fields.values().for_each(|field| check(name, field)),
            _ => {}
        }
    }
    for (name, _, _, json) in golden("events").into_iter().chain(golden("inputs")) {
        check(&name, &serde_json::from_str(&json).unwrap());
    }
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_or_come_back(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        for kind in EventType::ALL {
            if let Ok(event) = Event::decode(kind.name(), kind.version(), &bytes) {
                proptest::prop_assert_eq!(Event::decode(kind.name(), kind.version(), &event.encode()), Ok(event));
            }
        }
        for (name, version) in Input::ALL {
            if let Ok(input) = Input::decode(name, *version, &bytes) {
                proptest::prop_assert_eq!(Input::decode(name, *version, &input.encode()), Ok(input));
            }
        }
        let _ = codec::decode::<Vec<String>>(&bytes);
    }
}
