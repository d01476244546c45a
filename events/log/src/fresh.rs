//! Blobs that were stored beside the writer and that no append has named yet.
//!
//! Their bytes may be in the store already, for another owner who is about to give them up: whoever stored them a second
//! time must find them when the append that names them is written. So what was just stored is not given up, and where
//! that is decided already the bytes wait here for their append. Kept in memory only: after a crash nobody names them.

use std::collections::BTreeMap;

use prooflog_events::ids::{Hash32, Position};
use prooflog_events::port::{Blob, SequenceRead};

use crate::append::AppendError;

/// Names that are remembered; a blob that is stored and never named takes one until then.
const REMEMBERED_MAX: usize = 4_096;

/// What the writer knows of blobs that are between two owners.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    /// Stored and not yet named, with the bytes where those in the store are on their way out.
    stored: BTreeMap<Hash32, Option<Vec<u8>>>,
    /// Given up by records that may not be written yet: up to then the store still has them.
    forgotten: Vec<(Hash32, Position)>,
}

impl Fresh {
    /// A blob is about to be stored. Gives it back if it is to be; it is kept here if its bytes in the store are on their
    /// way out, where storing them again would change nothing.
    pub(crate) fn store(&mut self, blob: Blob, written: Position) -> Option<Blob> {
        self.forgotten.retain(|(_, at)| *at > written);
        while self.stored.len() >= REMEMBERED_MAX {
            self.stored.pop_first();
        }
        if self.forgotten.iter().any(|(forgotten, _)| *forgotten == blob.hash) {
            self.stored.insert(blob.hash, Some(blob.bytes));
            return None;
        }
        self.stored.entry(blob.hash).or_insert(None);
        Some(blob)
    }

    /// Whether a blob is stored, and will be when what is sequenced is written.
    pub(crate) fn is_kept<S: SequenceRead + ?Sized>(
        &mut self,
        sequence: &S,
        hash: Hash32,
    ) -> Result<bool, AppendError> {
        if matches!(self.stored.get(&hash), Some(Some(_))) {
            return Ok(true);
        }
        if !self.forgotten.is_empty() {
            let written = sequence.head().map_err(AppendError::Read)?.position;
            self.forgotten.retain(|(_, at)| *at > written);
        }
        let going = self.forgotten.iter().any(|(forgotten, _)| *forgotten == hash);
        Ok(!going && sequence.blob_len(hash).map_err(AppendError::Read)?.is_some())
    }

    /// An append names a blob: its bytes, where they waited for that.
    pub(crate) fn named(&mut self, hash: Hash32) -> Option<Blob> {
        let bytes = self.stored.remove(&hash)??;
        Some(Blob { hash, bytes })
    }

    /// Records up to `head` bring some blobs and give others up. Gives those that really go.
    pub(crate) fn give_up(
        &mut self,
        brought: &[Blob],
        mut forget: Vec<Hash32>,
        head: Position,
    ) -> Vec<Hash32> {
        forget.retain(|hash| !self.stored.contains_key(hash));
        self.forgotten.retain(|(hash, _)| !brought.iter().any(|blob| blob.hash == *hash));
        self.forgotten.extend(forget.iter().map(|hash| (*hash, head)));
        forget
    }
}
