//! Everything that turns a stranger's text into words: exports, checkpoints, proofs, keys, names.
//!
//! No text may make it panic, or hold more than a few times its length. An auditor's document that is read has one
//! spelling: it is written as it was. An export that is taken is exported to the same records again. The seeds under
//! corpus/texts were made by the program itself, of the first records of a golden log, with a key that was thrown away.
#![no_main]

mod meter;

use std::io::BufReader;

use libfuzzer_sys::fuzz_target;
use prooflog_audit::{Document, VerifyingKey, check, verify_consistency, verify_inclusion};
use prooflog_events::ids::{LogId, StreamId};
use prooflog_log::export::{Header, export, import, read_header};
use prooflog_log::{Log, MemorySequence};

/// What reading may hold: a batch and its line as hex, JSON and bytes, and what the memory twin keeps of it.
const READING_BYTES_MAX: usize = 16 << 20;

/// A key that signed the seeds.
const KEY: &str = include_str!("../corpus/texts/key");

fuzz_target!(|text: &str| {
    meter::at_most(READING_BYTES_MAX, || document(text));
    exported(text);
});

fn document(text: &str) {
    if let Ok(key) = text.parse::<VerifyingKey>() {
        assert_eq!(key.to_string(), text.trim_end(), "a key has two spellings");
    }
    let _ = text.parse::<LogId>();
    if let Ok(stream) = text.parse::<StreamId>() {
        assert_eq!(stream.to_string(), text, "a name has two spellings");
    }
    let Ok(document) = text.parse::<Document>() else { return };
    assert_eq!(document.to_string(), text, "a document has two spellings");
    // Nobody forges a signature here: what comes behind it is asked without one.
    let checkpoint = document.checkpoint().checkpoint();
    let under = (checkpoint.size, checkpoint.root);
    match &document {
        Document::Checkpoint(_) => {}
        Document::Inclusion(proof) => _ = verify_inclusion(&proof.record, proof.position, under, &proof.path),
        Document::Consistency(proof) => {
            _ = verify_consistency((proof.old, checkpoint.root), under, &proof.path);
        }
    }
    if let Ok(key) = KEY.parse::<VerifyingKey>() {
        let _ = check(&[document], &key);
    }
}

/// The log that an export is read into, where it is one.
fn read(text: &str) -> Option<(Header, MemorySequence)> {
    let mut input = BufReader::new(text.as_bytes());
    let header = read_header(&mut input).ok()?;
    let target = MemorySequence::new(header.log);
    let head = import(header, &mut input, &target).ok()?;
    assert_eq!(head, header.head, "an import ends elsewhere than it says");
    Some((header, target))
}

fn exported(text: &str) {
    let Some((header, target)) = meter::at_most(READING_BYTES_MAX, || read(text)) else { return };
    let log = Log::open(target).unwrap_or_else(|error| panic!("what was imported does not open: {error}"));
    let mut again = Vec::new();
    let records = export(&log.reader(), header.log, &mut again);
    let records = records.unwrap_or_else(|error| panic!("what was imported is not exported: {error}"));
    assert_eq!(records, header.head.position.0, "an import lost records");
}
