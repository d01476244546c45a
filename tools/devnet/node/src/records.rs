//! What is known of the two chains: every block from number 0 to the head, without a gap.
//!
//! The storage of the withdrawals contract only grows, so a storage root that is equal at two blocks is the same between
//! them; that is how the root of a block is known whose state the chain has dropped. What a crash in here means:
//! nothing; this is memory.

use prooflog_events::ids::Hash32;
use serde_json::Value;

/// What an L1 or L2 block is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) number: u64,
    pub(crate) hash: Hash32,
    pub(crate) parent: Hash32,
    pub(crate) timestamp: u64,
    pub(crate) state_root: Hash32,
}

/// An L2 block with the storage root of the withdrawals contract, where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct L2Record {
    pub(crate) header: Header,
    pub(crate) withdrawals: Option<Hash32>,
}

/// Both chains, as far as they were followed.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) l1: Vec<Header>,
    pub(crate) l2: Vec<L2Record>,
}

impl Header {
    /// Reads a block of `eth_getBlockByNumber`.
    pub(crate) fn parse(value: &Value) -> Result<Self, String> {
        Ok(Self {
            number: number(value, "number")?,
            hash: hash(value, "hash")?,
            parent: hash(value, "parentHash")?,
            timestamp: number(value, "timestamp")?,
            state_root: hash(value, "stateRoot")?,
        })
    }
}

/// A 0x-hex number.
fn number(value: &Value, name: &str) -> Result<u64, String> {
    let digits = value.get(name).and_then(Value::as_str).and_then(|text| text.strip_prefix("0x"));
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| format!("a block without a valid `{name}`"))
}

/// A 0x-hex hash.
pub(crate) fn hash(value: &Value, name: &str) -> Result<Hash32, String> {
    let text = value.get(name).and_then(Value::as_str);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| format!("an answer without a valid `{name}`"))
}

fn at<T>(blocks: &[T], number: u64) -> Option<&T> {
    blocks.get(usize::try_from(number).ok()?)
}

impl Records {
    /// The L2 block of a number.
    pub(crate) fn l2_at(&self, number: u64) -> Option<&L2Record> {
        at(&self.l2, number)
    }

    /// The L1 block of a number, or the head if that is lower.
    pub(crate) fn l1_at(&self, number: u64) -> Option<&Header> {
        at(&self.l1, number).or(self.l1.last())
    }

    /// The newest L1 block that is not younger than an L2 block.
    pub(crate) fn origin(&self, l2: &Header) -> Option<&Header> {
        let older = self.l1.partition_point(|l1| l1.timestamp <= l2.timestamp);
        self.l1.get(older.saturating_sub(1))
    }

    /// How many L2 blocks rest on the same L1 block as this one and come before it.
    pub(crate) fn sequence_number(&self, l2: &Header) -> u64 {
        let origin = self.origin(l2).map_or(0, |origin| origin.timestamp);
        let first = self.l2.partition_point(|block| block.header.timestamp < origin);
        l2.number.saturating_sub(first as u64)
    }

    /// The L2 block that is safe once the data of the L1 block `number` are read: the newest that is older than it.
    pub(crate) fn safe_at(&self, number: u64) -> Option<(&Header, &Header)> {
        let l1 = self.l1_at(number)?;
        let older = self.l2.partition_point(|l2| l2.header.timestamp < l1.timestamp);
        Some((l1, &self.l2.get(older.checked_sub(1)?)?.header))
    }

    /// The storage root of the withdrawals contract at a block: as read, or as it is on both sides.
    pub(crate) fn withdrawals(&self, number: u64) -> Option<Hash32> {
        let index = usize::try_from(number).ok()?;
        let (below, above) = self.l2.split_at_checked(index)?;
        if let Some(root) = above.first()?.withdrawals {
            return Some(root);
        }
        let below = below.iter().rev().find_map(|block| block.withdrawals)?;
        let above = above.iter().find_map(|block| block.withdrawals)?;
        (below == above).then_some(below)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn header(number: u64, timestamp: u64) -> Header {
        let hash = Hash32([number.to_le_bytes()[0]; 32]);
        Header { number, hash, parent: hash, timestamp, state_root: hash }
    }

    /// L1 every 10 seconds from 100, L2 every 4 from 100.
    fn records() -> Records {
        let l1 = (0..5).map(|n| header(n, 100 + 10 * n)).collect();
        let l2 = (0..10).map(|n| L2Record { header: header(n, 100 + 4 * n), withdrawals: None }).collect();
        Records { l1, l2 }
    }

    #[test]
    fn an_l2_block_rests_on_the_newest_l1_block_that_is_not_younger() {
        let records = records();
        let origins: Vec<u64> =
            records.l2.iter().map(|l2| records.origin(&l2.header).unwrap().number).collect();
        assert_eq!(origins, [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]);
        let sequence: Vec<u64> = records.l2.iter().map(|l2| records.sequence_number(&l2.header)).collect();
        assert_eq!(sequence, [0, 1, 2, 0, 1, 0, 1, 2, 0, 1]);
    }

    #[test]
    fn what_is_safe_at_an_l1_block_rests_on_older_ones() {
        let records = records();
        assert_eq!(records.safe_at(0), None);
        let safe: Vec<(u64, u64)> =
            (1..6).map(|n| records.safe_at(n).map(|(l1, l2)| (l1.number, l2.number)).unwrap()).collect();
        assert_eq!(safe, [(1, 2), (2, 4), (3, 7), (4, 9), (4, 9)]);
    }

    #[test]
    fn a_withdrawal_root_is_known_between_two_equal_ones_and_not_between_different_ones() {
        let mut records = records();
        let (a, b) = (Hash32([1; 32]), Hash32([2; 32]));
        (records.l2[2].withdrawals, records.l2[5].withdrawals) = (Some(a), Some(a));
        records.l2[8].withdrawals = Some(b);
        let known: Vec<Option<Hash32>> = (0..11).map(|n| records.withdrawals(n)).collect();
        let (a, b) = (Some(a), Some(b));
        assert_eq!(known, [None, None, a, a, a, a, None, None, b, None, None]);
    }

    #[test]
    fn a_block_is_read_strictly() {
        assert!(Header::parse(&serde_json::json!({ "number": 1 })).is_err());
        assert!(Header::parse(&Value::Null).is_err());
    }
}
