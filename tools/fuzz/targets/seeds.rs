//! Writes one seed per event type and input: the shortest run of equal bytes that decodes as it.
//!
//! Zeros are a value of nearly every type: numbers are 0, texts empty, choices the first one. Ones add texts, lists and
//! optional fields. That is enough for the fuzzer to start inside every decoder instead of searching for it.

use std::collections::BTreeSet;
use std::path::Path;

use prooflog_events::codec;
use prooflog_events::envelope::{Actor, Causation, Cause, Content, Envelope};
use prooflog_events::event::{Event, EventType};
use prooflog_events::ids::{EventId, Hash32, LogId, Micros, Position, Revision};
use prooflog_events::input::Input;
use prooflog_projections::State;

/// Longest seed that is tried: the largest type takes a few hundred bytes.
const SEED_BYTES_MAX: usize = 2_048;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/seeds");
    std::fs::create_dir_all(&folder)?;
    let mut written = BTreeSet::new();
    for kind in EventType::ALL {
        for (fill, bytes) in runs(|bytes| Event::decode(kind.name(), kind.version(), bytes).is_ok()) {
            written.insert((format!("{}.{fill}", kind.name()), bytes));
        }
    }
    for (name, version) in Input::ALL {
        for (fill, bytes) in runs(|bytes| Input::decode(name, *version, bytes).is_ok()) {
            written.insert((format!("{name}.{fill}"), bytes));
        }
    }
    written.insert(("envelope".to_owned(), envelope()));
    written.insert(("state".to_owned(), State::new(LogId([7; 16])).to_bytes()));
    for (name, bytes) in &written {
        std::fs::write(folder.join(name), bytes)?;
    }
    println!("{} seeds in {}", written.len(), folder.display());
    Ok(())
}

/// The shortest run of each filling byte that `decodes`.
fn runs(decodes: impl Fn(&[u8]) -> bool) -> Vec<(u8, Vec<u8>)> {
    let run = |fill: u8| (0..SEED_BYTES_MAX).map(|len| vec![fill; len]).find(|bytes| decodes(bytes));
    [0, 1].into_iter().filter_map(|fill| run(fill).map(|bytes| (fill, bytes))).collect()
}

fn envelope() -> Vec<u8> {
    let payload = codec::encode(&0_u8);
    Envelope {
        position: Position(7),
        stream: "span-10-3",
        revision: Revision(2),
        type_name: "ProofAssigned",
        event_id: EventId([9; 16]),
        version: 1,
        content: Content::Native,
        recorded_at: Micros(1_700_000_000_000_000),
        correlation: "span-10-1",
        causation: Some(Causation { event_id: EventId([8; 16]), stream: "span-10-3", revision: Revision(1) }),
        actor: Actor::Operator("ann"),
        batch_first: Position(6),
        batch_len: 2,
        prev: Hash32([3; 32]),
        cause: Some(Cause { name: "TimerDue", version: 2, bytes: &[1, 10] }),
        metadata: b"meta",
        payload: &payload,
    }
    .encode()
}
