//! Comparing a log with checkpoints of it that were taken earlier: which still hold.
//!
//! A change of any record, with or without new hashes after it, breaks every checkpoint at or above its position and
//! none below. So the change lies after the last that holds and at or before the first that does not.

use std::collections::{BTreeMap, BTreeSet};

use prooflog_events::ids::{Hash32, Position};
use prooflog_events::port::{SequenceError, SequenceRead};
use prooflog_log::read::Reader;
use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::error::AuditError;
use crate::tree::{Frontier, empty_root, for_each_leaf};

/// How the log stands to a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The first records of the log are those of the checkpoint.
    Holds,
    /// They are others.
    Differs {
        /// The root over those that are there.
        found: Hash32,
    },
    /// The log ends before.
    Missing {
        /// Where it ends.
        head: Position,
    },
    /// A record cannot be read any more.
    Unreadable {
        /// What was found.
        what: String,
    },
}

/// One checkpoint, compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// How many records the checkpoint speaks of.
    pub size: u64,
    /// The root that it names.
    pub root: Hash32,
    /// How the log stands to it.
    pub standing: Standing,
}

/// All checkpoints, compared with one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// Where the log ends.
    pub head: Position,
    /// Each checkpoint, by size.
    pub checkpoints: Vec<Compared>,
    /// Size of the last checkpoint that still holds.
    pub last_that_holds: Option<u64>,
    /// Size of the first checkpoint that does not.
    pub first_that_does_not: Option<u64>,
}

impl Examination {
    /// Whether all checkpoints hold.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.first_that_does_not.is_none()
    }

    /// The records among which the first changed one is. `None` if all checkpoints hold, and if one holds above one
    /// that does not: then no change of the log explains them, the checkpoints are of two histories.
    #[must_use]
    pub fn changed(&self) -> Option<(Position, Position)> {
        let (first, last) = (self.first_that_does_not?, self.last_that_holds.unwrap_or(0));
        (last < first).then_some((Position(last).next(), Position(first)))
    }
}

impl std::fmt::Display for Examination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for Compared { size, standing, .. } in &self.checkpoints {
            match standing {
                Standing::Holds => writeln!(f, "{size} records: holds")?,
                Standing::Differs { found } => writeln!(f, "{size} records: DIFFERS, their root is {found}")?,
                Standing::Missing { head } => writeln!(f, "{size} records: MISSING, the log ends at {head}")?,
                Standing::Unreadable { what } => writeln!(f, "{size} records: UNREADABLE, {what}")?,
            }
        }
        let name =
            |size: Option<u64>| size.map_or_else(|| "none".to_owned(), |size| format!("{size} records"));
        writeln!(f, "last checkpoint that holds:      {}", name(self.last_that_holds))?;
        write!(f, "first checkpoint that does not:  {}", name(self.first_that_does_not))?;
        match self.changed() {
            Some((low, high)) => write!(f, "\nthe first changed record is one of {low} to {high}"),
            None if self.is_whole() => Ok(()),
            None => f.write_str("\nTWO HISTORIES WERE SIGNED: a checkpoint holds above one that does not"),
        }
    }
}

/// Compares the log with checkpoints in one scan. Whether they are signed is for [`crate::check`].
///
/// # Errors
/// When the log cannot be read for a reason that is not damage.
pub fn examine<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    checkpoints: &[Checkpoint],
) -> Result<Examination, AuditError> {
    let sizes = checkpoints.iter().map(|checkpoint| checkpoint.size).collect();
    let roots = roots(reader, &sizes)?;
    Ok(judge(reader.head().position, checkpoints.iter(), &roots))
}

/// The roots that a log has, as far as it can be read, and what was found where it cannot.
#[derive(Debug, Default)]
pub(crate) struct Roots {
    pub(crate) by_size: BTreeMap<u64, Hash32>,
    pub(crate) damage: Option<SequenceError>,
}

/// Compares roots of a log that ends at `head` with checkpoints.
pub(crate) fn judge<'c>(
    head: Position,
    checkpoints: impl Iterator<Item = &'c Checkpoint>,
    roots: &Roots,
) -> Examination {
    let mut compared: Vec<Compared> = checkpoints
        .map(|Checkpoint { size, root, .. }| {
            let standing = match roots.by_size.get(size) {
                Some(found) if found == root => Standing::Holds,
                Some(found) => Standing::Differs { found: *found },
                None if *size > head.0 => Standing::Missing { head },
                None => Standing::Unreadable {
                    what: roots.damage.as_ref().map(ToString::to_string).unwrap_or_default(),
                },
            };
            Compared { size: *size, root: *root, standing }
        })
        .collect();
    compared.sort_by_key(|compared| compared.size);
    let holds = |compared: &&Compared| compared.standing == Standing::Holds;
    let last_that_holds = compared.iter().rfind(holds).map(|compared| compared.size);
    let first_that_does_not = compared.iter().find(|compared| !holds(compared)).map(|compared| compared.size);
    Examination { head, checkpoints: compared, last_that_holds, first_that_does_not }
}

/// The root at each size up to the head.
pub(crate) fn roots<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    sizes: &BTreeSet<u64>,
) -> Result<Roots, AuditError> {
    let mut roots = Roots::default();
    if sizes.contains(&0) {
        roots.by_size.insert(0, empty_root());
    }
    let head = reader.head().position.0;
    let Some(to) = sizes.range(..=head).next_back() else { return Ok(roots) };
    let mut frontier = Frontier::default();
    let scanned = for_each_leaf(reader, 0, Position(*to), &mut |leaf| {
        frontier.push(leaf, |_, _| {});
        if sizes.contains(&frontier.size()) {
            roots.by_size.insert(frontier.size(), frontier.root());
        }
        Ok(())
    });
    match scanned {
        Ok(()) => Ok(roots),
        Err(AuditError::Log(error @ SequenceError::Damaged { .. })) => {
            roots.damage = Some(error);
            Ok(roots)
        }
        Err(error) => Err(error),
    }
}
