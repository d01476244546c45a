//! Recorded decisions, made again: the state before, the recorded input and today's rules must give what was recorded.
//!
//! [`check`] compares and stops at the first difference that nobody declared; [`what_if`] decides under another policy
//! and counts, and keeps what the rules do apart from what the policy does. In both the state follows the record and never
//! today's rules, so one difference does not lead to others. Nothing is written. What a crash in here means: nothing was
//! changed; the log or the program has a fault.

mod check;
mod declared;
mod difference;
mod recorded;
mod what_if;

pub use check::{Checked, Expected, check};
pub use declared::{Change, Release, Since, built_in};
pub use difference::{Difference, Row};
pub use recorded::{RecordedBatch, Writer, for_each_batch, written_by};
pub use what_if::{Deviation, Example, Kind, Outlook, Question, SUBJECTS_MAX, Undeclared, WhatIf, what_if};

use prooflog_events::ids::Position;
use prooflog_events::input::InputError;
use prooflog_events::port::SequenceError;
use prooflog_projections::state::Illegal;
use prooflog_replay::ReplayError;

/// Why recorded decisions cannot be made again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedecideError {
    /// The log cannot be read or folded.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A recorded input is not one that this release knows.
    #[error("position {position}: {source}")]
    Input {
        /// Where the batch begins.
        position: Position,
        /// What is wrong.
        source: InputError,
    },
}

impl From<SequenceError> for RedecideError {
    fn from(error: SequenceError) -> Self {
        Self::Replay(error.into())
    }
}

impl From<Illegal> for RedecideError {
    fn from(error: Illegal) -> Self {
        Self::Replay(error.into())
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The last record that was looked at.
    pub position: Position,
    /// Inputs that were decided again.
    pub inputs: u64,
    /// Events that were recorded for them.
    pub events: u64,
    /// Batches without an input, which are only folded: an importer's.
    pub without_input: u64,
}

/// Batches between two reports of progress.
const REPORT_EVERY: u64 = 4_096;
