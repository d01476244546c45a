//! The RFC 6962 tree over the records: record 1 is leaf 0, and a leaf's hash is the record's hash.
//!
//! Only complete subtrees have lasting hashes: a [`Node`] never changes once its last leaf is there. Everything else, a
//! root or a node at the right edge, is made of a few of them. Where they are kept is behind [`Nodes`]; what can be
//! computed again from the log is no truth, so losing them costs time and nothing else. Which nodes a proof is made of
//! says `ct-merkle`; its functions panic on impossible sizes, so sizes are checked here, before.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use ct_merkle::{indices_for_consistency_proof, indices_for_inclusion_proof};
use prooflog_events::envelope::record_hash;
use prooflog_events::ids::{Hash32, Position};
use prooflog_events::port::{SequenceError, SequenceRead};
use prooflog_log::read::Reader;
use sha2::{Digest, Sha256};

use crate::error::AuditError;

/// Most leaves of a tree: no log gets there, and nothing below overflows.
pub const LEAVES_MAX: u64 = 1 << 48;

/// Levels that a tree of [`LEAVES_MAX`] leaves has above its leaves.
const LEVEL_MAX: u32 = 48;

/// Leaves after which finished nodes are handed to where they are kept.
const PUT_EVERY: u64 = 4_096;

/// A complete subtree: the leaves from `index << level`, `1 << level` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Its height; 0 is a leaf.
    pub level: u32,
    /// Its place among those of its level, from 0.
    pub index: u64,
}

impl Node {
    /// The number of leaves at which it is complete.
    #[must_use]
    pub const fn complete_at(self) -> u64 {
        self.index.saturating_add(1) << self.level
    }
}

/// The hash of a node above two others.
#[must_use]
pub fn node_hash(left: Hash32, right: Hash32) -> Hash32 {
    let mut hasher = Sha256::new();
    hasher.update([1_u8]);
    hasher.update(left.0);
    hasher.update(right.0);
    Hash32(hasher.finalize().into())
}

/// The root of the tree without leaves.
#[must_use]
pub fn empty_root() -> Hash32 {
    Hash32(Sha256::digest([]).into())
}

/// The root over complete subtrees that follow each other, highest first.
fn root_over(peaks: &[Hash32]) -> Hash32 {
    let over = peaks.iter().copied().rev().reduce(|right, left| node_hash(left, right));
    over.unwrap_or_else(empty_root)
}

/// Where the hashes of complete subtrees are kept: memory, or a projection written behind the append.
pub trait Nodes {
    /// How many leaves the nodes reach.
    ///
    /// # Errors
    /// When the medium cannot be read.
    fn size(&self) -> Result<u64, SequenceError>;

    /// The hash of a node; `None` if it is not kept.
    ///
    /// # Errors
    /// When the medium cannot be read.
    fn get(&self, node: Node) -> Result<Option<Hash32>, SequenceError>;

    /// Keeps nodes, in the order in which they were completed, and that they now reach `size` leaves; both or neither.
    ///
    /// # Errors
    /// When the medium refuses.
    fn put(&mut self, nodes: &[(Node, Hash32)], size: u64) -> Result<(), SequenceError>;
}

/// All nodes, in memory: 64 bytes and more per record, so for small logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryNodes {
    size: u64,
    nodes: BTreeMap<Node, Hash32>,
}

impl Nodes for MemoryNodes {
    fn size(&self) -> Result<u64, SequenceError> {
        Ok(self.size)
    }

    fn get(&self, node: Node) -> Result<Option<Hash32>, SequenceError> {
        Ok(self.nodes.get(&node).copied())
    }

    fn put(&mut self, nodes: &[(Node, Hash32)], size: u64) -> Result<(), SequenceError> {
        self.nodes.extend(nodes.iter().copied());
        self.size = size;
        Ok(())
    }
}

/// Only the nodes that a few questions are answered from; the rest passes by. Made by [`scan`].
#[derive(Debug, Clone)]
pub struct FewNodes {
    size: u64,
    /// Those that are still to come, the next one last.
    wanted: Vec<Node>,
    found: BTreeMap<Node, Hash32>,
}

impl FewNodes {
    fn wanting(mut wanted: Vec<Node>) -> Self {
        wanted.sort_unstable_by_key(|node| std::cmp::Reverse((node.complete_at(), node.level)));
        wanted.dedup();
        Self { size: 0, wanted, found: BTreeMap::new() }
    }
}

impl Nodes for FewNodes {
    fn size(&self) -> Result<u64, SequenceError> {
        Ok(self.size)
    }

    fn get(&self, node: Node) -> Result<Option<Hash32>, SequenceError> {
        Ok(self.found.get(&node).copied())
    }

    fn put(&mut self, nodes: &[(Node, Hash32)], size: u64) -> Result<(), SequenceError> {
        // Both are in the order of completion, so looking at one of the wanted is enough.
        for (node, hash) in nodes {
            if self.wanted.last() == Some(node) {
                self.wanted.pop();
                self.found.insert(*node, *hash);
            }
        }
        self.size = size;
        Ok(())
    }
}

/// The right edge of a growing tree: all that is needed to go on, and its root, in a few hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash32>,
}

impl Frontier {
    /// The number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root over all leaves so far.
    #[must_use]
    pub fn root(&self) -> Hash32 {
        root_over(&self.peaks)
    }

    /// Adds a leaf, and shows every node that is complete with it, the leaf first.
    pub fn push(&mut self, leaf: Hash32, mut complete: impl FnMut(Node, Hash32)) {
        let (mut hash, mut level) = (leaf, 0);
        complete(Node { level, index: self.size }, hash);
        // There is a peak for each one in the size, so two of a level become one of the next.
        while self.size >> level & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(left, hash);
            level += 1;
            complete(Node { level, index: self.size >> level }, hash);
        }
        self.peaks.push(hash);
        self.size = self.size.saturating_add(1);
    }
}

/// Leaves that follow each other, as many as a node at that place can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Leaves {
    start: u64,
    count: u64,
}

impl Leaves {
    /// The complete subtrees that they consist of, highest first.
    fn cover(self) -> impl Iterator<Item = Node> {
        let mut at = self.start;
        (0..=LEVEL_MAX).rev().filter(move |level| self.count >> level & 1 == 1).map(move |level| {
            let node = Node { level, index: at >> level };
            at = node.complete_at();
            node
        })
    }

    /// What is below a node of the tree of `size` leaves, in the numbering of `ct-merkle`: leaves are even, and a node's
    /// level is the number of ones at the end.
    fn below(number: u64, size: u64) -> Self {
        let level = number.trailing_ones();
        let start = number.unbounded_shr(level + 1).unbounded_shl(level);
        Self { start, count: size.saturating_sub(start).min(1_u64.unbounded_shl(level)) }
    }
}

/// What a tree is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// The root over the first records: one hash.
    Root {
        /// How many.
        size: u64,
    },
    /// That a record is one of the first: the RFC's `PATH`, from the leaf up.
    Inclusion {
        /// The record.
        position: Position,
        /// How many there are.
        size: u64,
    },
    /// That the first records are the beginning of more: the RFC's `PROOF`.
    Consistency {
        /// How many there were.
        old: u64,
        /// How many there are.
        new: u64,
    },
}

impl Question {
    /// The largest tree that it is about.
    #[must_use]
    pub const fn size(self) -> u64 {
        match self {
            Self::Root { size } | Self::Inclusion { size, .. } => size,
            Self::Consistency { new, .. } => new,
        }
    }

    /// The leaves below each hash of the answer.
    fn leaves(self) -> Result<Vec<Leaves>, AuditError> {
        let size = self.size();
        if size > LEAVES_MAX {
            return Err(AuditError::Ask(format!("{size} records are more than any log holds")));
        }
        let numbers = match self {
            Self::Root { size } => return Ok(vec![Leaves { start: 0, count: size }]),
            Self::Inclusion { position, size } if position == Position::ZERO || position.0 > size => {
                let text = format!("record {position} is not one of the first {size}: they begin at 1");
                return Err(AuditError::Ask(text));
            }
            Self::Inclusion { position, size } => {
                indices_for_inclusion_proof(size, position.0.saturating_sub(1))
            }
            Self::Consistency { old, new } if old == 0 || old > new => {
                let text =
                    format!("from {old} to {new} records nothing can be proven: take 1 or more, and more");
                return Err(AuditError::Ask(text));
            }
            Self::Consistency { old, new } => indices_for_consistency_proof(old, new.saturating_sub(old)),
        };
        Ok(numbers.into_iter().map(|number| Leaves::below(number, size)).collect())
    }
}

/// A tree over kept nodes.
#[derive(Debug, Clone)]
pub struct Tree<N> {
    nodes: N,
}

impl<N: Nodes> Tree<N> {
    /// The tree over what `nodes` reach.
    pub const fn over(nodes: N) -> Self {
        Self { nodes }
    }

    /// Where the nodes are kept.
    pub const fn nodes(&self) -> &N {
        &self.nodes
    }

    /// How many records it holds.
    ///
    /// # Errors
    /// When the nodes cannot be read.
    pub fn size(&self) -> Result<u64, AuditError> {
        Ok(self.nodes.size()?)
    }

    /// Reads the log on from where the nodes end up to `to`, and keeps what is complete.
    ///
    /// # Errors
    /// When `to` is above the reader's head, a record cannot be read, or a node cannot be kept; what was kept before is
    /// whole.
    pub fn catch_up<R: SequenceRead + ?Sized>(
        &mut self,
        reader: &Reader<'_, R>,
        to: Position,
    ) -> Result<(), AuditError> {
        let mut frontier = self.frontier()?;
        let mut complete = Vec::new();
        let nodes = &mut self.nodes;
        for_each_leaf(reader, frontier.size(), to, &mut |leaf| {
            frontier.push(leaf, |node, hash| complete.push((node, hash)));
            if frontier.size().is_multiple_of(PUT_EVERY) {
                nodes.put(&complete, frontier.size())?;
                complete.clear();
            }
            Ok(())
        })?;
        Ok(self.nodes.put(&complete, frontier.size())?)
    }

    /// The hashes that answer a question, in the order of the RFC.
    ///
    /// # Errors
    /// When the question makes no sense, is about more records than the nodes reach, or a node is missing.
    pub fn answer(&self, question: Question) -> Result<Vec<Hash32>, AuditError> {
        let (size, reach) = (question.size(), self.nodes.size()?);
        if size > reach {
            return Err(AuditError::Ask(format!("the tree holds {reach} records, {size} are asked for")));
        }
        question.leaves()?.into_iter().map(|leaves| self.hash(leaves)).collect()
    }

    /// The root over the first `size` records.
    ///
    /// # Errors
    /// As [`Tree::answer`].
    pub fn root(&self, size: u64) -> Result<Hash32, AuditError> {
        Ok(root_over(&self.answer(Question::Root { size })?))
    }

    fn frontier(&self) -> Result<Frontier, AuditError> {
        let size = self.nodes.size()?;
        let peaks = Leaves { start: 0, count: size }.cover().map(|node| self.node(node));
        Ok(Frontier { size, peaks: peaks.collect::<Result<_, _>>()? })
    }

    fn hash(&self, leaves: Leaves) -> Result<Hash32, AuditError> {
        let peaks = leaves.cover().map(|node| self.node(node)).collect::<Result<Vec<_>, _>>()?;
        Ok(root_over(&peaks))
    }

    fn node(&self, node: Node) -> Result<Hash32, AuditError> {
        self.nodes.get(node)?.ok_or_else(|| {
            let what =
                format!("node {} of level {} of the tree is missing: rebuild it", node.index, node.level);
            SequenceError::Damaged { position: None, what }.into()
        })
    }
}

/// A tree that can answer `questions`, made in one scan of the log that keeps nothing else.
///
/// # Errors
/// When a question makes no sense or is about more records than the reader sees, or a record cannot be read.
pub fn scan<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    questions: &[Question],
) -> Result<Tree<FewNodes>, AuditError> {
    let mut wanted = Vec::new();
    for question in questions {
        wanted.extend(question.leaves()?.into_iter().flat_map(Leaves::cover));
    }
    let to = questions.iter().map(|question| question.size()).max().unwrap_or(0);
    let mut tree = Tree::over(FewNodes::wanting(wanted));
    tree.catch_up(reader, Position(to))?;
    Ok(tree)
}

/// Shows the leaves after the first `after` up to `to`, each in its place.
pub(crate) fn for_each_leaf<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    after: u64,
    to: Position,
    visit: &mut dyn FnMut(Hash32) -> Result<(), SequenceError>,
) -> Result<(), AuditError> {
    let head = reader.head().position;
    if to > head {
        return Err(AuditError::Ask(format!("the log ends at position {head}, {to} is asked for")));
    }
    let (mut at, mut failed) = (Position(after), None);
    reader.for_each(at.next(), to, &mut |position, stored| {
        let visited = if position == at.next() {
            at = position;
            visit(record_hash(stored))
        } else {
            Err(SequenceError::damaged(at.next(), "the record is not there"))
        };
        match visited {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    match failed {
        Some(error) => Err(error.into()),
        None if at < to => Err(SequenceError::damaged(at.next(), "the record is not there").into()),
        None => Ok(()),
    }
}
