//! Writes one seed per event type and input: the shortest run of equal bytes that decodes as it; and one text of each kind
//! that a stranger can hand us.
//!
//! Zeros are a value of nearly every type: numbers are 0, texts empty, choices the first one. Ones add texts, lists and
//! optional fields. That is enough for the fuzzer to start inside every decoder instead of searching for it.

use std::collections::BTreeSet;
use std::path::Path;

use prooflog_audit::{Extensions, SigningKey, checkpoint, consistency, keygen, prove};
use prooflog_events::codec;
use prooflog_events::envelope::{Actor, Causation, Cause, Content, Envelope};
use prooflog_events::event::{Event, EventType};
use prooflog_events::ids::{EventId, Hash32, LogId, Micros, Position, Revision};
use prooflog_events::input::Input;
use prooflog_log::export::export;
use prooflog_log::{Append, By, Log, MemorySequence, NewRecord, Reader};
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
    texts()
}

/// One text of each kind, of a log of two batches.
fn texts() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/texts");
    std::fs::create_dir_all(&folder)?;
    let failed = |error: String| std::io::Error::other(error);
    let id = LogId([7; 16]);
    let log = Log::open(MemorySequence::new(id)).map_err(|error| failed(error.to_string()))?;
    for batch in 0..2_u64 {
        let record = |at: u64| NewRecord::native(format!("chain-{at}"), "Resumed", 1, vec![0]);
        let append = Append::new(By::Scheduler, Micros(batch), vec![record(1), record(2)]);
        log.append(append).map_err(|error| failed(error.to_string()))?;
    }
    let reader = log.reader();
    let mut exported = Vec::new();
    export(&reader, id, &mut exported).map_err(|error| failed(error.to_string()))?;
    std::fs::write(folder.join("export"), exported)?;
    // The key that signs is thrown away, so these are written once.
    if !folder.join("key").exists() {
        for (name, text) in documents(&reader, id).map_err(|error| failed(error.to_string()))? {
            std::fs::write(folder.join(name), text)?;
        }
    }
    println!("texts in {}", folder.display());
    Ok(())
}

/// A key, a checkpoint and both proofs.
fn documents(
    reader: &Reader<'_, MemorySequence>,
    id: LogId,
) -> Result<[(&'static str, String); 4], prooflog_audit::AuditError> {
    let path = std::env::temp_dir().join(format!("prooflog-fuzz-key-{}", std::process::id()));
    let public = keygen(&path, id)?;
    let key = SigningKey::read(&path);
    let _ = std::fs::remove_file(&path);
    let key = key?;
    let signed = |size| checkpoint(reader, Position(size), (&key, Extensions::TimeAndHead), &[]);
    let inclusion = prove(reader, id, Position(2), signed(4)?)?;
    let link = consistency(reader, id, &signed(2)?, signed(4)?)?;
    Ok([
        ("key", public.to_string()),
        ("checkpoint", signed(4)?.to_string()),
        ("inclusion", inclusion.to_string()),
        ("consistency", link.to_string()),
    ])
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
        cause: Some(Cause { name: "TimerDue", version: 1, bytes: &payload }),
        metadata: b"meta",
        payload: &payload,
    }
    .encode()
}
