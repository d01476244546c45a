//! Which rows of another proposer's database can be taken over, and why the others cannot.
//!
//! [`sort`] is asked by the command that shows it to an operator and by the rule that does it, so that both say the same.
//! A row is worth the more the further it came: proofs take their place first, then what the prover has, then what it may
//! have been asked for. What covers most blocks wins, because a proof that is not taken is paid again. Spans of ours that
//! nothing was spent on give way to any of them. What a crash in here means: nothing was changed.

mod choose;
mod units;

use std::collections::BTreeMap;
use std::fmt;

use prooflog_events::ids::{L1Number, L2Block, Range, UnitId};
use prooflog_events::input::{ImportedProgress, ImportedRow, ImportedSubject};
use prooflog_events::values::Commitments;
use prooflog_projections::state::chain::Chain;

use choose::{Piece, cover, tile};
use units::{free_of, retired_ranges};
pub(crate) use units::{is_unspent, overlapping};

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It becomes a unit of ours.
    Taken,
    /// Its proof was made under what the contract does not accept now: kept, and offered only if that comes back.
    Kept,
    /// Its proof is the one that a unit of ours waits for.
    Delivered(UnitId),
    /// Nothing.
    Left(Left),
}

/// Why nothing becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// A unit of ours has its blocks.
    Covered(UnitId),
    /// The contract is past its blocks.
    Settled(L2Block),
    /// The contract stands inside its blocks.
    Straddles(L2Block),
    /// A row that came further, or covers more, has blocks of it.
    Overlaps(Range),
    /// It is under way under what the contract does not accept now.
    OtherKeys,
    /// Nothing bounds the L1 head that its proof was made for.
    NoBound,
    /// It starts elsewhere than the contract stands.
    NotAtLatest(L2Block),
    /// The contract accepts no block below this one next.
    BelowNext(L2Block),
    /// The proofs that it is made of are not all there.
    NoMembers,
    /// Its checkpoint lies below the L1 head of a member.
    LowCheckpoint(L1Number),
    /// Another aggregate of the same start came further, or ends higher.
    Other(Range),
    /// The contract holds no output to start from.
    NoAnchor,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Covered(unit) => write!(f, "{unit} has its blocks"),
            Self::Settled(latest) => write!(f, "settled: the contract stands at block {latest}"),
            Self::Straddles(latest) => write!(f, "the contract stands inside it, at block {latest}"),
            Self::Overlaps(other) => write!(f, "{other} is taken, which shares blocks with it"),
            Self::OtherKeys => f.write_str("under way under keys that the contract does not accept"),
            Self::NoBound => f.write_str("nothing tells its L1 head: give the import a configuration"),
            Self::NotAtLatest(latest) => write!(f, "the contract stands at block {latest}"),
            Self::BelowNext(next) => write!(f, "the contract accepts block {next} next"),
            Self::NoMembers => f.write_str("the proofs that it is made of are not all there"),
            Self::LowCheckpoint(bound) => write!(f, "its checkpoint is below L1 block {bound} of a member"),
            Self::Other(range) => write!(f, "{range} of the same start is taken"),
            Self::NoAnchor => f.write_str("the contract holds no output to start from"),
        }
    }
}

/// How far a row came; the lower, the more it is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Proven,
    Requested,
    Asked,
}

const fn worth(row: &ImportedRow) -> Worth {
    match row.progress {
        ImportedProgress::Proven { .. } => Worth::Proven,
        ImportedProgress::Requested { .. } => Worth::Requested,
        ImportedProgress::Asked => Worth::Asked,
    }
}

const fn is_span(row: &ImportedRow) -> bool {
    matches!(row.subject, ImportedSubject::Span { .. })
}

/// What each row becomes on the rollup as it stands now; in the order of the rows.
#[must_use]
pub fn sort(chain: &Chain, rows: &[ImportedRow]) -> Vec<Verdict> {
    let Some(commitments) = chain.commitments() else {
        return vec![Verdict::Left(Left::OtherKeys); rows.len()];
    };
    let retired = retired_ranges(chain);
    let mut sorting = Sorting { chain, rows, verdicts: BTreeMap::new(), taken: BTreeMap::new() };
    let mut candidates = Vec::new();
    for (index, row) in rows.iter().enumerate().filter(|(_, row)| is_span(row)) {
        match sorting.alone(row, &commitments, &retired) {
            Verdict::Taken => candidates.push(index),
            verdict => sorting.say(index, verdict),
        }
    }
    sorting.aggregates(&candidates, &retired);
    for wanted in [Worth::Proven, Worth::Requested, Worth::Asked] {
        sorting.fill(&candidates, wanted);
    }
    sorting.finish()
}

struct Sorting<'a> {
    chain: &'a Chain,
    rows: &'a [ImportedRow],
    verdicts: BTreeMap<usize, Verdict>,
    /// Spans taken so far: first block, last block.
    taken: BTreeMap<L2Block, L2Block>,
}

impl Sorting<'_> {
    fn say(&mut self, index: usize, verdict: Verdict) {
        self.verdicts.insert(index, verdict);
    }

    fn take(&mut self, index: usize) {
        if let Some(row) = self.rows.get(index).filter(|row| is_span(row)) {
            self.taken.insert(row.range.start, row.range.end);
        }
        self.say(index, Verdict::Taken);
    }

    fn finish(self) -> Vec<Verdict> {
        let Self { rows, mut verdicts, .. } = self;
        // Whatever nobody spoke of was crowded out.
        let rest = |row: &ImportedRow| Verdict::Left(Left::Overlaps(row.range));
        rows.iter()
            .enumerate()
            .map(|(index, row)| verdicts.remove(&index).unwrap_or_else(|| rest(row)))
            .collect()
    }

    /// What a span's row would become if it were the only one.
    fn alone(
        &self,
        row: &ImportedRow,
        commitments: &Commitments,
        retired: &BTreeMap<Range, Vec<UnitId>>,
    ) -> Verdict {
        let left = |why| Verdict::Left(why);
        if let Some(latest) = self.chain.contract.latest.map(|latest| latest.block) {
            if row.range.end <= latest {
                return left(Left::Settled(latest));
            }
            if row.range.start < latest {
                return left(Left::Straddles(latest));
            }
        }
        let under = row.commitments.unwrap_or(*commitments);
        if let Some(unit) = retired.get(&row.range).into_iter().flatten().find(|id| {
            self.chain.retired.get(*id).is_some_and(|unit| unit.is_span() && unit.commitments() == under)
        }) {
            return left(Left::Covered(*unit));
        }
        let is_proven = worth(row) == Worth::Proven;
        if row.l1_bound.is_none() && worth(row) != Worth::Asked {
            return left(Left::NoBound);
        }
        let is_same = under == *commitments;
        if !is_same && !is_proven {
            return left(Left::OtherKeys);
        }
        match free_of(self.chain, row.range) {
            Ok(()) if is_same => Verdict::Taken,
            Ok(()) => Verdict::Kept,
            Err(unit) if is_proven && is_same && unit.range == row.range && unit.proof.is_none() => {
                Verdict::Delivered(unit.id)
            }
            Err(unit) => left(Left::Covered(unit.id)),
        }
    }

    /// Takes the rows of one worth that cover most of what is still free.
    fn fill(&mut self, candidates: &[usize], wanted: Worth) {
        let mut pieces = Vec::new();
        for index in candidates.iter().copied() {
            let Some(row) = self.rows.get(index).filter(|_| !self.verdicts.contains_key(&index)) else {
                continue;
            };
            match self.crowded(row.range) {
                Some(other) => _ = self.verdicts.insert(index, Verdict::Left(Left::Overlaps(other))),
                None if worth(row) == wanted => pieces.push(Piece { range: row.range, tag: index }),
                None => {}
            }
        }
        for piece in cover(&pieces) {
            self.take(piece.tag);
        }
        for piece in pieces {
            if let (false, Some(other)) = (self.verdicts.contains_key(&piece.tag), self.crowded(piece.range))
            {
                self.say(piece.tag, Verdict::Left(Left::Overlaps(other)));
            }
        }
    }

    /// A span taken that shares blocks with `range`.
    fn crowded(&self, range: Range) -> Option<Range> {
        let (start, end) = self.taken.range(..range.end).next_back()?;
        (*end > range.start).then_some(Range { start: *start, end: *end })
    }

    /// Takes at most one aggregate, and the spans that it is made of.
    fn aggregates(&mut self, candidates: &[usize], retired: &BTreeMap<Range, Vec<UnitId>>) {
        let mut able: Vec<(Worth, usize, Vec<usize>)> = Vec::new();
        let members = self.pieces(candidates);
        for (index, row) in self.rows.iter().enumerate().filter(|(_, row)| !is_span(row)) {
            match self.aggregate(row, &members, retired) {
                Ok(made_of) => able.push((worth(row), index, made_of)),
                Err(why) => _ = self.verdicts.insert(index, Verdict::Left(why)),
            }
        }
        let end = |index: &usize| self.rows.get(*index).map(|row| row.range.end);
        // The furthest first; of several the highest end.
        able.sort_by_key(|(worth, index, _)| (*worth, std::cmp::Reverse(end(index))));
        let mut best: Option<Range> = None;
        for (_, index, made_of) in able {
            let Some(row) = self.rows.get(index) else { continue };
            match best {
                None => {
                    best = Some(row.range);
                    made_of.into_iter().for_each(|member| self.take(member));
                    self.take(index);
                }
                Some(range) => self.say(index, Verdict::Left(Left::Other(range))),
            }
        }
    }

    /// What an aggregate may be made of: complete spans of ours, and those that would come.
    fn pieces(&self, candidates: &[usize]) -> Vec<Piece<Member>> {
        let ours =
            units::complete(self.chain).map(|(range, bound)| Piece { range, tag: Member::Ours(bound) });
        let rows = candidates.iter().filter_map(|index| {
            let row = self.rows.get(*index).filter(|row| worth(row) == Worth::Proven)?;
            Some(Piece { range: row.range, tag: Member::Row(*index, bound_of(row)) })
        });
        let delivered = self.verdicts.iter().filter_map(|(index, verdict)| {
            let row = self.rows.get(*index).filter(|_| matches!(verdict, Verdict::Delivered(_)))?;
            Some(Piece { range: row.range, tag: Member::Ours(bound_of(row)) })
        });
        ours.chain(rows).chain(delivered).collect()
    }

    /// The rows that an aggregate's row needs beside it, or why it cannot be taken.
    fn aggregate(
        &self,
        row: &ImportedRow,
        members: &[Piece<Member>],
        retired: &BTreeMap<Range, Vec<UnitId>>,
    ) -> Result<Vec<usize>, Left> {
        let ImportedSubject::Agg { agg_vkey, checkpoint, .. } = row.subject else {
            return Err(Left::NoMembers);
        };
        let latest = self.chain.contract.latest.ok_or(Left::NoAnchor)?.block;
        if row.range.end <= latest {
            return Err(Left::Settled(latest));
        }
        if row.range.start != latest {
            return Err(Left::NotAtLatest(latest));
        }
        if let Some(next) = self.chain.next_block().filter(|next| row.range.end < *next) {
            return Err(Left::BelowNext(next));
        }
        if let Some(unit) = self.chain.aggs.values().find(|agg| agg.range.start == row.range.start) {
            return Err(Left::Covered(unit.id));
        }
        if let Some(unit) = retired
            .get(&row.range)
            .into_iter()
            .flatten()
            .find(|id| self.chain.retired.get(*id).is_some_and(|unit| !unit.is_span()))
        {
            return Err(Left::Covered(*unit));
        }
        let terms = self.chain.terms().ok_or(Left::OtherKeys)?;
        let is_same = row.commitments.is_none_or(|under| under == terms.commitments)
            && agg_vkey.is_none_or(|key| key == terms.agg_vkey);
        if !is_same {
            return Err(Left::OtherKeys);
        }
        let made_of = tile(members, row.range).ok_or(Left::NoMembers)?;
        let bound = made_of.iter().map(|member| member.bound()).max().unwrap_or_default();
        if bound > checkpoint.number {
            return Err(Left::LowCheckpoint(bound));
        }
        Ok(made_of.iter().filter_map(|member| member.row()).collect())
    }
}

/// What an aggregate is made of.
#[derive(Debug, Clone, Copy)]
enum Member {
    /// A complete span of ours, and the L1 block that its checkpoint must reach.
    Ours(L1Number),
    /// A row, and the same.
    Row(usize, L1Number),
}

impl Member {
    const fn bound(&self) -> L1Number {
        match self {
            Self::Ours(bound) | Self::Row(_, bound) => *bound,
        }
    }

    const fn row(&self) -> Option<usize> {
        match self {
            Self::Ours(_) => None,
            Self::Row(index, _) => Some(*index),
        }
    }
}

/// The L1 block that a checkpoint over a row's proof must reach.
fn bound_of(row: &ImportedRow) -> L1Number {
    row.l1_head.map(|head| head.number).or(row.l1_bound).unwrap_or(L1Number(u64::MAX))
}
