//! Names and numbers of the domain, each with a type of its own, so that no two can be mistaken for each other.
//!
//! All of them are plain values: ordered, copyable where small, encoded by bincode on disk and by serde for people.
//! JSON follows one rule everywhere: bytes are 0x-hex, and what can exceed 2^53 (positions, wei, times) is a decimal
//! string, because JavaScript reads numbers as doubles.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not the id it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct ParseIdError {
    /// The text as given, cut to 128 characters.
    pub text: String,
    /// What it should have been.
    pub expected: &'static str,
}

impl ParseIdError {
    fn new(text: &str, expected: &'static str) -> Self {
        Self { text: text.chars().take(128).collect(), expected }
    }
}

/// Numbers that JSON shows as a decimal string.
macro_rules! wide_number {
    ($(#[$doc:meta])* $name:ident($inner:ty), $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self).map_err(|_| ParseIdError::new(text, $expected))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// Numbers that stay far below 2^53 and are plain integers in JSON.
macro_rules! small_number {
    ($(#[$doc:meta])* $name:ident($inner:ty), $expected:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self).map_err(|_| ParseIdError::new(text, $expected))
            }
        }
    };
}

/// Byte strings of a fixed length, 0x-hex for people.
macro_rules! fixed_bytes {
    ($(#[$doc:meta])* $name:ident[$len:literal], $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "0x{}", hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let digits = text.strip_prefix("0x").unwrap_or(text);
                let mut bytes = [0; $len];
                hex::decode_to_slice(digits, &mut bytes)
                    .map(|()| Self(bytes))
                    .map_err(|_| ParseIdError::new(text, $expected))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

wide_number!(
    /// Place of an event in the whole log: 1 is the first, 0 the empty log.
    Position(u64), "a log position (a whole number)"
);
wide_number!(
    /// Place of an event in its stream, from 0.
    Revision(u64), "a stream revision (a whole number)"
);
wide_number!(
    /// A moment: microseconds since the Unix epoch, UTC.
    Micros(u64), "a time in microseconds"
);
wide_number!(
    /// An amount of the L1's native coin, in wei.
    Wei(u128), "an amount in wei"
);
small_number!(
    /// Chain id of a rollup.
    ChainId(u64), "an L2 chain id"
);
small_number!(
    /// Chain id of the L1 that a rollup settles on.
    L1ChainId(u64), "an L1 chain id"
);
small_number!(
    /// Number of an L2 block.
    L2Block(u64), "an L2 block number"
);
small_number!(
    /// Number of an L1 block.
    L1Number(u64), "an L1 block number"
);
small_number!(
    /// Nonce of an L1 account.
    Nonce(u64), "a nonce"
);
small_number!(
    /// Try number of a unit, from 1. Answers carry it, so that those of an old attempt are recognised.
    Attempt(u32), "an attempt number"
);
small_number!(
    /// Number of a signed version of one transaction slot, from 1.
    TxVersion(u32), "a transaction version"
);
fixed_bytes!(
    /// Identity of an event: UUIDv8 for native events, whatever the client chose for foreign ones.
    EventId[16], "an event id (16 bytes hex)"
);
fixed_bytes!(
    /// Identity of a log, made with its directory.
    LogId[16], "a log id (16 bytes hex)"
);
fixed_bytes!(
    /// Thirty-two bytes: a block hash, an output root, a commitment or a SHA-256.
    Hash32[32], "32 bytes hex"
);
fixed_bytes!(
    /// An account or contract on L1.
    Address[20], "an address (20 bytes hex)"
);

/// The prover's name for a request: a few bytes, hex without 0x in its URLs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct ProofId(pub Vec<u8>);

impl fmt::Display for ProofId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(&self.0))
    }
}

impl fmt::Debug for ProofId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ProofId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ProofId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        hex::decode(digits)
            .map(Self)
            .map_err(|_| serde::de::Error::custom(ParseIdError::new(&text, "a proof id in hex")))
    }
}

impl Hash32 {
    /// All zero: what contracts answer for "nothing there".
    pub const ZERO: Self = Self([0; 32]);
}

impl Position {
    /// The empty log.
    pub const ZERO: Self = Self(0);

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Attempt {
    /// The attempt after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl TxVersion {
    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Micros {
    /// This moment plus `seconds`, at most the end of time.
    #[must_use]
    pub const fn plus_secs(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// Whole seconds from `earlier` to this moment, 0 if it lies ahead.
    #[must_use]
    pub const fn secs_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1_000_000
    }
}

/// The blocks `start + 1 ..= end`: neighbours share the boundary number, whose root is the agreed one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
pub struct Range {
    /// The agreed block, which is not proven.
    pub start: L2Block,
    /// The last block proven.
    pub end: L2Block,
}

impl Range {
    /// The blocks after `start` up to `end`; `None` where there are none.
    #[must_use]
    pub const fn new(start: L2Block, end: L2Block) -> Option<Self> {
        if start.0 < end.0 { Some(Self { start, end }) } else { None }
    }

    /// How many blocks are proven.
    #[must_use]
    pub const fn blocks(&self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// The two halves, sharing the middle block; `None` for a single block.
    #[must_use]
    pub const fn halves(&self) -> Option<(Self, Self)> {
        if self.blocks() < 2 {
            return None;
        }
        let middle = L2Block(self.start.0 + self.blocks() / 2);
        Some((Self { start: self.start, end: middle }, Self { start: middle, end: self.end }))
    }

    /// Whether a block is shared (boundaries do not count).
    #[must_use]
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.start.0 < other.end.0 && other.start.0 < self.end.0
    }

    /// Whether `block` lies inside, boundaries excluded: a contract that stands there cuts the range in two.
    #[must_use]
    pub const fn straddles(&self, block: L2Block) -> bool {
        self.start.0 < block.0 && block.0 < self.end.0
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {}]", self.start, self.end)
    }
}

impl L1Number {
    /// Nobody knew where the L1 stood: above every block, and still a number that JSON readers can hold.
    pub const UNSEEN: Self = Self((1 << 53) - 1);
}

/// An L1 block by number and hash: a number alone says nothing after a reorg.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
pub struct L1Ref {
    /// Its number.
    pub number: L1Number,
    /// Its hash.
    pub hash: Hash32,
}

impl fmt::Display for L1Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.number, self.hash)
    }
}

/// What a proven unit is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum UnitKind {
    /// Many spans in one proof, for the contract.
    Agg,
    /// A run of L2 blocks.
    Span,
}

/// A span or an aggregate of one chain. Numbers count from 1 per chain and kind and are never reused.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
pub struct UnitId {
    /// The rollup.
    pub chain: ChainId,
    /// Span or aggregate.
    pub kind: UnitKind,
    /// Its number.
    pub number: u64,
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            UnitKind::Span => write!(f, "span-{}-{}", self.chain, self.number),
            UnitKind::Agg => write!(f, "agg-{}-{}", self.chain, self.number),
        }
    }
}

impl FromStr for UnitId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match parse_stream(text) {
            Some(StreamId::Unit(unit)) => Ok(unit),
            _ => Err(ParseIdError::new(text, "a span or aggregate (span-10-7, agg-10-2)")),
        }
    }
}

/// An account that sends, on the L1 it sends on: nonces belong to it, not to a rollup.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
pub struct SignerId {
    /// The L1.
    pub l1: L1ChainId,
    /// The account.
    pub address: Address,
}

impl fmt::Display for SignerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.l1, self.address)
    }
}

/// A nonce slot: at most one purpose is in flight in it, in any number of signed versions.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
pub struct SlotId {
    /// Whose nonce.
    pub signer: SignerId,
    /// Which nonce.
    pub nonce: Nonce,
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tx-{}-{}", self.signer, self.nonce)
    }
}

/// A stream of the engine; its text form is the stream's name in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum StreamId {
    /// The process that writes the log.
    Node,
    /// One rollup.
    Chain(ChainId),
    /// One span or aggregate.
    Unit(UnitId),
    /// One nonce slot.
    Tx(SlotId),
    /// One sending account.
    Signer(SignerId),
}

/// Name prefixes that belong to the engine for ever: outside writers are refused on them.
pub const ENGINE_PREFIXES: [&str; 7] = ["chain-", "span-", "agg-", "tx-", "node-", "signer-", "prooflog-"];

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("node-engine"),
            Self::Chain(chain) => write!(f, "chain-{chain}"),
            Self::Unit(unit) => unit.fmt(f),
            Self::Tx(slot) => slot.fmt(f),
            Self::Signer(signer) => write!(f, "signer-{signer}"),
        }
    }
}

impl FromStr for StreamId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_stream(text).ok_or_else(|| {
            ParseIdError::new(text, "a stream of the engine (chain-10, span-10-7, agg-10-2, tx-1-0x…-5)")
        })
    }
}

fn parse_stream(text: &str) -> Option<StreamId> {
    // Every fold parses the stream of every record: units come first, and no text is looked at twice.
    if let Some(rest) = text.strip_prefix("span-") {
        return parse_unit(rest, UnitKind::Span);
    }
    if let Some(rest) = text.strip_prefix("agg-") {
        return parse_unit(rest, UnitKind::Agg);
    }
    if let Some(rest) = text.strip_prefix("tx-") {
        let (signer, nonce) = rest.rsplit_once('-')?;
        return Some(StreamId::Tx(SlotId { signer: parse_signer(signer)?, nonce: Nonce(plain(nonce)?) }));
    }
    if let Some(rest) = text.strip_prefix("chain-") {
        return plain(rest).map(|id| StreamId::Chain(ChainId(id)));
    }
    if let Some(rest) = text.strip_prefix("signer-") {
        return parse_signer(rest).map(StreamId::Signer);
    }
    (text == "node-engine").then_some(StreamId::Node)
}

fn parse_unit(text: &str, kind: UnitKind) -> Option<StreamId> {
    let (chain, rest) = leading_number(text.as_bytes())?;
    let (number, rest) = leading_number(rest.strip_prefix(b"-")?)?;
    rest.is_empty().then_some(StreamId::Unit(UnitId { chain: ChainId(chain), kind, number }))
}

fn parse_signer(text: &str) -> Option<SignerId> {
    let (l1, address) = text.split_once('-')?;
    let address = address.strip_prefix("0x").filter(|digits| !digits.starts_with("0x"))?;
    Some(SignerId { l1: L1ChainId(plain(l1)?), address: address.parse().ok()? })
}

fn plain(text: &str) -> Option<u64> {
    leading_number(text.as_bytes()).filter(|(_, rest)| rest.is_empty()).map(|(number, _)| number)
}

/// A number in its only spelling (no sign, no leading zero, so that one stream has one name), and what follows it.
fn leading_number(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    let mut rest = text;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        rest = after;
    }
    let is_only_spelling = match text {
        [b'1'..=b'9', ..] => true,
        [b'0', b'0'..=b'9', ..] => false,
        [b'0', ..] => true,
        _ => false,
    };
    is_only_spelling.then_some((number, rest))
}

impl UnitId {
    /// The span `number` of `chain`.
    #[must_use]
    pub const fn span(chain: ChainId, number: u64) -> Self {
        Self { chain, kind: UnitKind::Span, number }
    }

    /// The aggregate `number` of `chain`.
    #[must_use]
    pub const fn agg(chain: ChainId, number: u64) -> Self {
        Self { chain, kind: UnitKind::Agg, number }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    /// What begins and goes on as names do.
    const LIKE_A_NAME: &str =
        "(chain|span|agg|tx|signer|node)?-?[0-9x٣+ -]{0,30}(0x[0-9a-fA-F]{38,42})?(-[0-9]{0,25})?";

    proptest! {
        #[test]
        fn any_text_is_a_name_in_its_one_spelling_or_none(text in LIKE_A_NAME, any in ".{0,60}") {
            for text in [&text, &any] {
                if let Ok(stream) = text.parse::<StreamId>() {
                    prop_assert_eq!(&stream.to_string(), text);
                }
                if let Ok(unit) = text.parse::<UnitId>() {
                    prop_assert_eq!(&unit.to_string(), text);
                }
                if let Ok(hash) = text.parse::<Hash32>() {
                    prop_assert_eq!(hash.to_string().parse(), Ok(hash));
                }
                let _ = (text.parse::<LogId>(), text.parse::<Address>());
                let _ = (text.parse::<EventId>(), text.parse::<Position>(), text.parse::<ChainId>());
            }
        }
    }

    #[test]
    fn stream_names_have_exactly_one_spelling() {
        let slot =
            SlotId { signer: SignerId { l1: L1ChainId(1), address: Address([0xab; 20]) }, nonce: Nonce(5) };
        let streams = [
            StreamId::Node,
            StreamId::Chain(ChainId(10)),
            StreamId::Unit(UnitId::span(ChainId(10), 7)),
            StreamId::Unit(UnitId::agg(ChainId(10), 2)),
            StreamId::Tx(slot),
            StreamId::Signer(slot.signer),
        ];
        for stream in streams {
            assert_eq!(stream.to_string().parse::<StreamId>().unwrap(), stream);
        }
        for wrong in
            ["span-10", "span-010-7", "span-10-+7", "span-10-7-1", "tx-1-abab-5", "chain-", "", "node-x"]
        {
            assert!(wrong.parse::<StreamId>().is_err(), "{wrong}");
        }
        assert_eq!("chain-18446744073709551615".parse(), Ok(StreamId::Chain(ChainId(u64::MAX))));
        assert_eq!("chain-0".parse(), Ok(StreamId::Chain(ChainId(0))));
        for wrong in
            ["chain-18446744073709551616", "chain-00", "chain-1٣", "chain-1 ", "span-10-00", "tx-1-0x0x"]
        {
            assert!(wrong.parse::<StreamId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn halves_share_the_middle_block_and_cover_the_whole() {
        for (start, end) in [(100, 201), (0, 2), (7, 10)] {
            let whole = Range::new(L2Block(start), L2Block(end)).unwrap();
            let (low, high) = whole.halves().unwrap();
            assert_eq!((low.start, high.end), (whole.start, whole.end));
            assert_eq!(low.end, high.start);
            assert!(low.blocks() > 0 && high.blocks() > 0);
        }
        assert_eq!(Range { start: L2Block(4), end: L2Block(5) }.halves(), None);
    }
}
