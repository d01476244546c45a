//! What a row holds: something that was paid for or may have been, or nothing, with the reason.
//!
//! Pure: rows in, verdicts out. Every field of a row may be any value, because the database is a stranger's. What is not
//! recorded there stays unknown, unless an operator or the L1 says it. What a crash in here means: a bug; nothing was
//! changed.

use std::fmt;

use prooflog_events::envelope::blob_hash;
use prooflog_events::ids::{Address, Hash32, L1Number, L1Ref, L2Block, ProofId, Range};
use prooflog_events::input::{ImportedProgress, ImportedRow, ImportedSubject};
use prooflog_events::limits::BLOB_BYTES_MAX;
use prooflog_events::values::{BlobRef, Commitments, Mode};

use crate::raw::{Kind, Raw, Standing};
use crate::version;

/// What an operator and the contract say that the database does not.
#[derive(Debug, Clone)]
pub struct Given {
    /// What the policy asks for: that of rows which do not say.
    pub mode: Mode,
    /// The operator says that proofs without recorded keys were made under those that the contract accepts now.
    pub same_keys: bool,
    /// The only version that the server takes; any without one.
    pub version: Option<String>,
    /// Where the L1 stands now: above the L1 head of everything that is there.
    pub l1_seen: Option<L1Number>,
}

/// A row, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its number there.
    pub row: i64,
    /// Span or aggregate.
    pub kind: Kind,
    /// First and last block, as stored.
    pub blocks: (i64, i64),
    /// Where it stood.
    pub standing: Standing,
    /// What can be taken over. A proof's hash is zero before its bytes were read.
    pub holds: Result<ImportedRow, Nothing>,
}

/// Why there is nothing to take over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nothing {
    /// Nothing was spent: the blocks are planned again.
    Unrequested,
    /// It failed, and another row took its place.
    Failed,
    /// It was given up.
    Cancelled,
    /// It was submitted.
    Submitted,
    /// An L1 reorg made it useless.
    Invalidated,
    /// A number or word that nobody knows.
    Unknown(String),
    /// It covers no blocks.
    NoBlocks,
    /// Complete, and without bytes.
    NoBytes,
    /// A proof larger than any.
    TooLarge(u64),
    /// The database does not say under which keys it was proven, and nobody else did.
    KeysUnknown,
    /// Its keys are not keys.
    BadKeys,
    /// An aggregate without the L1 block that it is bound to.
    NoCheckpoint,
    /// It was made by another version than the server takes.
    OtherVersion(Option<String>),
}

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unrequested => f.write_str("nothing was spent on it"),
            Self::Failed => f.write_str("it failed"),
            Self::Cancelled => f.write_str("it was cancelled"),
            Self::Submitted => f.write_str("it was submitted"),
            Self::Invalidated => f.write_str("an L1 reorg made it useless"),
            Self::Unknown(word) => write!(f, "its status `{word}` is not known"),
            Self::NoBlocks => f.write_str("it covers no blocks"),
            Self::NoBytes => f.write_str("its proof has no bytes"),
            Self::TooLarge(length) => write!(f, "its proof has {length} bytes, more than any"),
            Self::KeysUnknown => f.write_str(
                "its keys are not recorded: say --same-keys if the contract's have not changed since",
            ),
            Self::BadKeys => f.write_str("its keys are not 32 bytes"),
            Self::NoCheckpoint => f.write_str("it has no checkpoint"),
            Self::OtherVersion(Some(version)) => write!(f, "made by SP1 {version}"),
            Self::OtherVersion(None) => f.write_str("its SP1 version is not known"),
        }
    }
}

/// What each row holds, in their order.
#[must_use]
pub fn read(rows: &[Raw], given: &Given) -> Vec<Found> {
    let bounds = Bounds::of(rows);
    rows.iter()
        .map(|raw| Found {
            row: raw.row,
            kind: raw.kind,
            blocks: (raw.start, raw.end),
            standing: raw.standing.clone(),
            holds: one(raw, given, &bounds),
        })
        .collect()
}

/// Checkpoints of aggregates that were proven or asked for, by their blocks: their members' L1 heads lie below.
struct Bounds(Vec<(i64, i64, L1Number)>);

impl Bounds {
    fn of(rows: &[Raw]) -> Self {
        let used = rows.iter().filter(|raw| {
            raw.kind == Kind::Agg
                && matches!(raw.standing, Standing::Complete | Standing::Submitted | Standing::Requested)
        });
        let mut all: Vec<_> =
            used.filter_map(|raw| Some((raw.start, raw.end, raw.checkpoint_number()?))).collect();
        all.sort_unstable();
        Self(all)
    }

    /// The lowest checkpoint of an aggregate that the blocks are in.
    fn above(&self, start: i64, end: i64) -> Option<L1Number> {
        let from = self.0.partition_point(|(first, ..)| *first <= start);
        // Aggregates are few, and follow one another: the newest that begins at or below is the one, or those beside it.
        let near = self.0.get(from.saturating_sub(NEAR)..from).unwrap_or_default();
        near.iter().filter(|(_, last, _)| *last >= end).map(|(.., checkpoint)| *checkpoint).min()
    }
}

/// Aggregates that are looked at for a span: retries of one and those that overlap it.
const NEAR: usize = 64;

fn one(raw: &Raw, given: &Given, bounds: &Bounds) -> Result<ImportedRow, Nothing> {
    let progress = match &raw.standing {
        Standing::Unrequested => return Err(Nothing::Unrequested),
        Standing::Failed => return Err(Nothing::Failed),
        Standing::Cancelled => return Err(Nothing::Cancelled),
        Standing::Submitted => return Err(Nothing::Submitted),
        Standing::Invalidated => return Err(Nothing::Invalidated),
        Standing::Unknown(word) => return Err(Nothing::Unknown(word.clone())),
        Standing::Asked => ImportedProgress::Asked,
        Standing::Requested => match raw.proof_id.clone().filter(|id| !id.is_empty() && id.len() <= 64) {
            Some(id) => ImportedProgress::Requested { proof_id: ProofId(id) },
            None => ImportedProgress::Asked,
        },
        Standing::Complete => proven(raw, given)?,
    };
    let block = |number: i64| u64::try_from(number).map(L2Block).map_err(|_| Nothing::NoBlocks);
    let range = Range::new(block(raw.start)?, block(raw.end)?).ok_or(Nothing::NoBlocks)?;
    let commitments = commitments(raw)?;
    if commitments.is_none() && !given.same_keys {
        return Err(Nothing::KeysUnknown);
    }
    let version = match (raw.kind, &progress) {
        (Kind::Span, ImportedProgress::Proven { .. }) => version::at_end(&raw.proof_tail),
        _ => None,
    };
    if let (Kind::Span, ImportedProgress::Proven { .. }, Some(wanted)) = (raw.kind, &progress, &given.version)
        && version.as_deref().map(bare) != Some(bare(wanted))
    {
        return Err(Nothing::OtherVersion(version));
    }
    let subject = subject(raw)?;
    let (l1_bound, l1_head) = match subject {
        ImportedSubject::Agg { checkpoint, .. } => (Some(checkpoint.number), None),
        ImportedSubject::Span { .. } => l1_of_span(raw, given, bounds),
    };
    let row = u64::try_from(raw.row).unwrap_or(0);
    Ok(ImportedRow { row, range, commitments, version, l1_bound, l1_head, subject, progress })
}

/// A version without the letter before it.
fn bare(version: &str) -> &str {
    version.strip_prefix('v').unwrap_or(version)
}

fn proven(raw: &Raw, given: &Given) -> Result<ImportedProgress, Nothing> {
    let length = raw.proof_length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
    // Only a mock aggregate may be empty.
    let may_be_empty = raw.kind == Kind::Agg && raw.mode.unwrap_or(given.mode) == Mode::Mock;
    if length == 0 && !may_be_empty {
        return Err(Nothing::NoBytes);
    }
    if length > BLOB_BYTES_MAX as u64 {
        return Err(Nothing::TooLarge(length));
    }
    let sha256 = if length == 0 { blob_hash(&[]) } else { Hash32::ZERO };
    let seconds = raw.seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Ok(ImportedProgress::Proven { proof: BlobRef { sha256, length }, selector: None, seconds })
}

fn hash(bytes: &[u8]) -> Option<Hash32> {
    bytes.try_into().ok().map(Hash32)
}

fn commitments(raw: &Raw) -> Result<Option<Commitments>, Nothing> {
    let (Some(mode), Some(range_vkey), Some(rollup_config)) = (raw.mode, &raw.range_vkey, &raw.rollup_config)
    else {
        return Ok(None);
    };
    let key = |bytes: &[u8]| hash(bytes).ok_or(Nothing::BadKeys);
    Ok(Some(Commitments { mode, range_vkey: key(range_vkey)?, rollup_config: key(rollup_config)? }))
}

fn subject(raw: &Raw) -> Result<ImportedSubject, Nothing> {
    let count = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    if raw.kind == Kind::Span {
        return Ok(ImportedSubject::Span { transactions: count(raw.transactions), gas: count(raw.gas) });
    }
    let number = raw.checkpoint_number().ok_or(Nothing::NoCheckpoint)?;
    let block = raw.checkpoint.as_ref().and_then(|(_, bytes)| hash(bytes)).ok_or(Nothing::NoCheckpoint)?;
    let agg_vkey = raw.agg_vkey.as_deref().map(|key| hash(key).ok_or(Nothing::BadKeys)).transpose()?;
    let prover = raw.prover.as_deref().and_then(|bytes| bytes.try_into().ok()).map(Address);
    Ok(ImportedSubject::Agg { agg_vkey, prover, checkpoint: L1Ref { number, hash: block } })
}

/// The bound on a span's L1 head, and the head itself where it is known whole.
fn l1_of_span(raw: &Raw, given: &Given, bounds: &Bounds) -> (Option<L1Number>, Option<L1Ref>) {
    let recorded = raw.l1_head.and_then(|number| u64::try_from(number).ok()).map(L1Number);
    let head = recorded.and_then(|number| {
        let hash = hash(raw.l1_head_hash.as_deref()?)?;
        Some(L1Ref { number, hash })
    });
    let is_member = matches!(raw.standing, Standing::Complete);
    let by_aggregate = || if is_member { bounds.above(raw.start, raw.end) } else { None };
    (recorded.or_else(by_aggregate).or(given.l1_seen), head)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn given() -> Given {
        Given { mode: Mode::Real, same_keys: false, version: None, l1_seen: None }
    }

    fn keys(raw: Raw) -> Raw {
        Raw { mode: Some(Mode::Real), range_vkey: Some(vec![1; 32]), rollup_config: Some(vec![2; 32]), ..raw }
    }

    fn holds(raw: Raw, given: &Given) -> Result<ImportedRow, Nothing> {
        read(&[raw], given).pop().unwrap().holds
    }

    #[test]
    fn only_what_was_paid_for_or_may_have_been_is_held() {
        let nothing = [
            (Standing::Unrequested, Nothing::Unrequested),
            (Standing::Failed, Nothing::Failed),
            (Standing::Cancelled, Nothing::Cancelled),
            (Standing::Submitted, Nothing::Submitted),
            (Standing::Invalidated, Nothing::Invalidated),
            (Standing::Unknown("9".to_owned()), Nothing::Unknown("9".to_owned())),
            (Standing::Complete, Nothing::NoBytes),
        ];
        for (standing, why) in nothing {
            assert_eq!(holds(keys(Raw::new(1, Kind::Span, (10, 20), standing)), &given()), Err(why));
        }
        let asked = keys(Raw::new(1, Kind::Span, (10, 20), Standing::Asked));
        assert_eq!(holds(asked.clone(), &given()).unwrap().progress, ImportedProgress::Asked);
        // The id was to come in a second write that did not happen.
        let no_id = Raw { standing: Standing::Requested, proof_id: Some(Vec::new()), ..asked.clone() };
        assert_eq!(holds(no_id, &given()).unwrap().progress, ImportedProgress::Asked);
        let none = Raw { end: 10, ..asked.clone() };
        assert_eq!(holds(none, &given()), Err(Nothing::NoBlocks));
        let negative = Raw { start: -1, ..asked };
        assert_eq!(holds(negative, &given()), Err(Nothing::NoBlocks));
    }

    #[test]
    fn keys_that_are_not_recorded_are_unknown_until_somebody_states_them() {
        let raw = Raw::new(1, Kind::Span, (10, 20), Standing::Asked);
        assert_eq!(holds(raw.clone(), &given()), Err(Nothing::KeysUnknown));
        let stated = Given { same_keys: true, ..given() };
        assert_eq!(holds(raw.clone(), &stated).unwrap().commitments, None);
        let short = Raw { range_vkey: Some(vec![1; 31]), ..keys(raw) };
        assert_eq!(holds(short, &stated), Err(Nothing::BadKeys));
    }

    #[test]
    fn an_aggregate_bounds_the_l1_heads_of_its_members() {
        let span = |row, blocks| {
            let raw = keys(Raw::new(row, Kind::Span, blocks, Standing::Complete));
            Raw { proof_length: Some(9), ..raw }
        };
        let agg = Raw {
            checkpoint: Some((700, vec![3; 32])),
            proof_length: Some(9),
            ..keys(Raw::new(3, Kind::Agg, (10, 30), Standing::Complete))
        };
        let exact = Raw { l1_head: Some(650), ..span(4, (10, 20)) };
        let rows = [span(1, (10, 20)), span(2, (30, 40)), agg, exact];
        let found = read(&rows, &Given { l1_seen: Some(L1Number(900)), ..given() });
        let bounds: Vec<_> =
            found.iter().map(|found| found.holds.as_ref().unwrap().l1_bound.unwrap().0).collect();
        assert_eq!(bounds, [700, 900, 700, 650]);
    }

    #[test]
    fn a_server_of_one_version_takes_proofs_of_that_version_only() {
        let mut tail = 6_u64.to_le_bytes().to_vec();
        tail.extend(b"v5.2.1");
        let raw = keys(Raw::new(1, Kind::Span, (10, 20), Standing::Complete));
        let raw = Raw { proof_length: Some(1_000), proof_tail: tail, l1_head: Some(1), ..raw };
        let asks = |version: &str| Given { version: Some(version.to_owned()), ..given() };
        assert_eq!(holds(raw.clone(), &asks("5.2.1")).unwrap().version.as_deref(), Some("v5.2.1"));
        assert_eq!(
            holds(raw.clone(), &asks("v4.0.0")),
            Err(Nothing::OtherVersion(Some("v5.2.1".to_owned())))
        );
        let unnamed = Raw { proof_tail: vec![7; 64], ..raw };
        assert_eq!(holds(unnamed, &asks("v5.2.1")), Err(Nothing::OtherVersion(None)));
    }

    #[test]
    fn only_a_mock_aggregate_may_have_an_empty_proof() {
        let agg = |mode| Raw {
            mode: Some(mode),
            checkpoint: Some((700, vec![3; 32])),
            proof_length: Some(0),
            ..keys(Raw::new(3, Kind::Agg, (10, 30), Standing::Complete))
        };
        let agg = |mode| Raw { mode: Some(mode), ..agg(mode) };
        assert_eq!(holds(agg(Mode::Real), &given()), Err(Nothing::NoBytes));
        assert!(matches!(
            holds(agg(Mode::Mock), &given()).unwrap().progress,
            ImportedProgress::Proven { proof, .. } if proof.is_empty() && proof.sha256 == blob_hash(&[])
        ));
    }

    fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
        let some = prop_oneof![Just(32_usize), Just(20), 0_usize..70].prop_map(|length| vec![1; length]);
        proptest::option::of(some)
    }

    fn number() -> impl Strategy<Value = i64> {
        prop_oneof![any::<i64>(), 0_i64..100]
    }

    fn raw() -> impl Strategy<Value = Raw> {
        let standing = prop_oneof![
            Just(Standing::Asked),
            Just(Standing::Requested),
            Just(Standing::Complete),
            Just(Standing::Submitted)
        ];
        let place = (number(), any::<bool>(), number(), number(), standing);
        let words = (bytes(), bytes(), bytes(), bytes(), bytes(), proptest::option::of((number(), bytes())));
        let counts = (proptest::option::of(number()), proptest::option::of(number()), bytes());
        (place, words, counts).prop_map(|(place, words, counts)| {
            let (row, is_agg, start, end, standing) = place;
            let kind = if is_agg { Kind::Agg } else { Kind::Span };
            let (range_vkey, rollup_config, agg_vkey, prover, proof_id, checkpoint) = words;
            let (l1_head, proof_length, tail) = counts;
            Raw {
                mode: range_vkey.as_ref().map(|_| Mode::Real),
                range_vkey,
                rollup_config,
                agg_vkey,
                prover,
                proof_id,
                checkpoint: checkpoint.map(|(number, hash)| (number, hash.unwrap_or_default())),
                l1_head,
                l1_head_hash: tail.clone(),
                proof_length,
                proof_tail: tail.unwrap_or_default(),
                seconds: l1_head,
                ..Raw::new(row, kind, (start, end), standing)
            }
        })
    }

    proptest! {
        #[test]
        fn rows_of_a_stranger_hold_something_whole_or_nothing(rows in proptest::collection::vec(raw(), 0..20), same_keys: bool) {
            let given = Given { same_keys, l1_seen: Some(L1Number(9)), ..given() };
            let found = read(&rows, &given);
            prop_assert_eq!(found.len(), rows.len());
            for held in found.iter().filter_map(|found| found.holds.as_ref().ok()) {
                prop_assert!(held.range.start < held.range.end);
                prop_assert!(held.l1_bound.is_some());
                prop_assert!(held.commitments.is_some() || same_keys);
            }
        }
    }
}
