//! Declared changes: where a difference is a reviewed decision and no mistake.
//!
//! A change names the types of the events that are decided otherwise, and since when. What was decided before that, and
//! differs in these events and in no others, is expected. What a crash in here means: nothing was changed.

use std::fmt;
use std::str::FromStr;

use prooflog_core::CHANGES;
use prooflog_events::event::EventType;
use prooflog_events::ids::Position;

use super::difference::{Difference, Row};

/// A release: `major.minor.patch`; a suffix does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(u64, u64, u64);

impl FromStr for Release {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no release such as 0.3.0");
        let core = text.split(['-', '+']).next().unwrap_or_default();
        let numbers: Vec<u64> =
            core.split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
        match numbers.as_slice() {
            [major, minor, patch] => Ok(Self(*major, *minor, *patch)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Since when a rule decides otherwise. What was decided before may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Since this version of the rules, as starts of the engine record it.
    Behaviour(u32),
    /// Since this release, as starts of the engine record it.
    Release(Release),
    /// Since this position of this one log.
    Position(Position),
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behaviour(behaviour) => write!(f, "behaviour {behaviour}"),
            Self::Release(release) => write!(f, "release {release}"),
            Self::Position(position) => write!(f, "position {position}"),
        }
    }
}

/// A declared change of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What is decided otherwise, and why.
    pub about: String,
    /// Types of the events that are decided otherwise, or no longer, or newly.
    pub events: Vec<EventType>,
    /// Names of the inputs that it is about; empty for all.
    pub inputs: Vec<String>,
    /// Since when.
    pub since: Since,
}

impl Change {
    /// Whether a batch was decided before this change, on an input that it is about.
    fn is_expected(&self, difference: &Difference) -> bool {
        let writer = &difference.writer;
        let before = match self.since {
            Since::Behaviour(behaviour) => writer.behaviour < behaviour,
            Since::Position(position) => difference.batch.first < position,
            Since::Release(release) => writer.release.parse::<Release>().is_ok_and(|by| by < release),
        };
        let name = difference.batch.input.as_ref().map_or("", |input| input.name());
        before && (self.inputs.is_empty() || self.inputs.iter().any(|input| input == name))
    }
}

/// The changes that this release itself declares.
#[must_use]
pub fn built_in() -> Vec<Change> {
    CHANGES
        .iter()
        .map(|change| Change {
            about: change.about.to_owned(),
            events: change.events.to_vec(),
            inputs: Vec::new(),
            since: Since::Behaviour(change.behaviour),
        })
        .collect()
}

/// Which changes explain a difference; empty if any part of it is not explained.
pub(super) fn explain(changes: &[Change], difference: &Difference) -> Vec<usize> {
    if difference.is_bug {
        return Vec::new();
    }
    let mut by = Vec::new();
    let mut differing: Vec<EventType> = difference.rows.iter().filter_map(Row::differing).collect();
    // The same events in another order differ in both places, and nowhere in content: every one of them counts.
    if differing.is_empty() {
        let moved = difference.rows.iter().filter(|row| !row.is_same());
        differing.extend(moved.filter_map(Row::event).map(|event| event.event.event_type()));
    }
    for kind in differing {
        let names = |change: &Change| change.events.contains(&kind) && change.is_expected(difference);
        match changes.iter().position(names) {
            Some(index) if by.contains(&index) => {}
            Some(index) => by.push(index),
            None => return Vec::new(),
        }
    }
    by
}
