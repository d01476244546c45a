//! Numbers and byte strings as snapshots store them: seven bits to a byte, low ones first.
//!
//! Most of what a snapshot says of a unit differs little from what it says of the one before, so differences are small
//! numbers of a byte or two. All arithmetic wraps: every pair of numbers has a difference, and it comes back.

use prooflog_events::cursor::Cursor;

/// Appends a whole number.
pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Appends how far `number` lies above or below `from`.
pub(crate) fn put_difference(out: &mut Vec<u8>, from: u64, number: u64) {
    let difference = number.wrapping_sub(from).cast_signed();
    put_number(out, ((difference << 1) ^ (difference >> 63)).cast_unsigned());
}

/// Appends bytes behind their length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A place in encoded bytes. `None` from any method means that they end too early or are not what was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes<'a> {
    rest: Cursor<'a>,
}

impl<'a> Bytes<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: Cursor::new(bytes) }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.rest().is_empty()
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.rest.array()
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.rest.byte()
    }

    #[inline]
    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    #[inline]
    pub(crate) fn number_32(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    #[inline]
    pub(crate) fn difference(&mut self, from: u64) -> Option<u64> {
        let zigzag = self.number()?;
        Some(from.wrapping_add((zigzag >> 1) ^ (zigzag & 1).wrapping_neg()))
    }

    #[inline]
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.rest.take(length)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_differences_and_bytes_come_back(
            from in prop_oneof![any::<u64>(), Just(0), Just(u64::MAX)],
            number in prop_oneof![any::<u64>(), 0_u64..300, Just(u64::MAX)],
            text in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut out = Vec::new();
            put_number(&mut out, number);
            put_difference(&mut out, from, number);
            put_bytes(&mut out, &text);
            let mut bytes = Bytes::new(&out);
            prop_assert_eq!(bytes.number(), Some(number));
            prop_assert_eq!(bytes.difference(from), Some(number));
            prop_assert_eq!(bytes.bytes().unwrap(), &text);
            prop_assert!(bytes.is_empty());
            prop_assert_eq!(bytes.byte(), None);
        }

        #[test]
        fn arbitrary_bytes_never_panic(given in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut bytes = Bytes::new(&given);
            while bytes.difference(7).is_some() && bytes.bytes().is_some() {}
        }
    }

    #[test]
    fn neighbours_take_one_byte() {
        for (from, number) in [(1_000_000, 1_000_063), (1_000_000, 999_937), (u64::MAX, 0), (0, u64::MAX)] {
            let mut out = Vec::new();
            put_difference(&mut out, from, number);
            assert_eq!(out.len(), 1, "{from} {number}");
        }
    }
}
