//! A byte string of an answer, collected while it arrives: an array of numbers, or base64.
//!
//! There is one vector with a limit; neither the numbers' text nor that of the base64 is kept, except for the up to
//! three characters of a group that was cut. One that grew step by step would leave pieces behind that add up to several
//! times its size, and an allocator may keep them for a while. So what is not small gets room for the largest that may
//! come: pages that nobody touches are not taken from the system.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::AnswerError;

/// Bytes up to which it grows as vectors do.
const SMALL: usize = 256 << 10;

/// Bytes that arrive.
#[derive(Debug)]
pub(super) struct ByteRun {
    /// What it is, for errors.
    name: &'static str,
    bytes: Vec<u8>,
    limit: usize,
    /// Characters of a base64 group that is not complete.
    group: Vec<u8>,
    /// Whether a padded group came, after which nothing may.
    padded: bool,
}

impl ByteRun {
    pub(super) const fn new(name: &'static str, limit: usize) -> Self {
        Self { name, bytes: Vec::new(), limit, group: Vec::new(), padded: false }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.group.clear();
        self.padded = false;
    }

    pub(super) fn push(&mut self, byte: u8) -> Result<(), AnswerError> {
        if self.bytes.len() >= self.limit {
            return Err(AnswerError::TooLarge { field: self.name, limit: self.limit });
        }
        self.make_room(1);
        self.bytes.push(byte);
        Ok(())
    }

    fn make_room(&mut self, more: usize) {
        let wanted = self.bytes.len().saturating_add(more);
        if wanted > self.bytes.capacity() && wanted > SMALL {
            // A group may be decoded past the limit before it is refused.
            let most = wanted.max(self.limit.saturating_add(2));
            self.bytes.reserve_exact(most.saturating_sub(self.bytes.len()));
        }
    }

    /// A number of the array, as written.
    pub(super) fn push_number(&mut self, text: Option<&[u8]>) -> Result<(), AnswerError> {
        let parsed = text.and_then(|text| std::str::from_utf8(text).ok()).and_then(|text| text.parse().ok());
        match parsed {
            Some(byte) => self.push(byte),
            None => Err(self.wrong("an element is not a number from 0 to 255")),
        }
    }

    /// A part of a base64 text.
    pub(super) fn push_base64(&mut self, mut part: &[u8]) -> Result<(), AnswerError> {
        if !self.group.is_empty() {
            let missing = 4_usize.saturating_sub(self.group.len()).min(part.len());
            let (head, tail) = part.split_at(missing);
            self.group.extend_from_slice(head);
            part = tail;
            if self.group.len() < 4 {
                return Ok(());
            }
            let group = std::mem::take(&mut self.group);
            self.decode(&group)?;
        }
        let (whole, cut) = part.split_at(part.len() - part.len() % 4);
        self.group.extend_from_slice(cut);
        self.decode(whole)
    }

    fn decode(&mut self, groups: &[u8]) -> Result<(), AnswerError> {
        if groups.is_empty() {
            return Ok(());
        }
        if self.padded {
            return Err(self.wrong("base64 goes on behind its padding"));
        }
        let most = self.bytes.len().saturating_add(groups.len() / 4 * 3);
        if most > self.limit.saturating_add(2) {
            return Err(AnswerError::TooLarge { field: self.name, limit: self.limit });
        }
        self.padded = groups.ends_with(b"=");
        self.make_room(most.saturating_sub(self.bytes.len()));
        STANDARD.decode_vec(groups, &mut self.bytes).map_err(|_| self.wrong("not base64 with padding"))?;
        if self.bytes.len() > self.limit {
            return Err(AnswerError::TooLarge { field: self.name, limit: self.limit });
        }
        Ok(())
    }

    /// The bytes, once their text or array ended.
    pub(super) fn take(&mut self) -> Result<Vec<u8>, AnswerError> {
        if !self.group.is_empty() {
            return Err(self.wrong("not base64 with padding"));
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.len() <= SMALL {
            bytes.shrink_to_fit();
        }
        self.clear();
        Ok(bytes)
    }

    pub(super) const fn wrong(&self, problem: &'static str) -> AnswerError {
        AnswerError::Field { field: self.name, problem }
    }
}
