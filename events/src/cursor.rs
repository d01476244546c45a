//! Reads what bincode wrote, by hand.
//!
//! Every read of the log decodes every envelope, and the generated decoder was a third of a fold. This one knows the
//! few shapes that envelopes are made of, borrows everything, and so needs no limit on what it allocates. It accepts
//! exactly what bincode accepts; a test compares the two on damaged bytes. `None` means that the bytes end too early or
//! are not what was asked for.

/// A place in encoded bytes.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// The beginning of `bytes`.
    #[inline]
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What is not read yet.
    #[inline]
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next byte.
    #[inline]
    pub fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// The next `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }

    /// A whole number of at most 64 bits: one byte up to 250, otherwise a mark and then two, four or eight bytes.
    #[inline]
    pub fn number(&mut self) -> Option<u64> {
        match self.byte()? {
            small @ 0..=250 => Some(u64::from(small)),
            251 => self.array().map(|bytes| u64::from(u16::from_le_bytes(bytes))),
            252 => self.array().map(|bytes| u64::from(u32::from_le_bytes(bytes))),
            253 => self.array().map(u64::from_le_bytes),
            _ => None,
        }
    }

    /// A whole number of at most 32 bits, which never takes more than four bytes.
    #[inline]
    pub fn number_32(&mut self) -> Option<u32> {
        match self.byte()? {
            small @ 0..=250 => Some(u32::from(small)),
            251 => self.array().map(|bytes| u32::from(u16::from_le_bytes(bytes))),
            252 => self.array().map(u32::from_le_bytes),
            _ => None,
        }
    }

    /// A whole number of at most 16 bits, which never takes more than two bytes.
    #[inline]
    pub fn number_16(&mut self) -> Option<u16> {
        match self.byte()? {
            small @ 0..=250 => Some(u16::from(small)),
            251 => self.array().map(u16::from_le_bytes),
            _ => None,
        }
    }

    /// Bytes behind their length.
    #[inline]
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length)
    }

    /// The next `length` bytes.
    #[inline]
    pub fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(bytes)
    }

    /// A text behind its length.
    #[inline]
    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// A value that may be missing.
    #[inline]
    pub fn option<T>(&mut self, value: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => value(self).map(Some),
            _ => None,
        }
    }
}
