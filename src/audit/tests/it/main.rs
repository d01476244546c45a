//! The audit from outside: trees against an independent one, proofs and checkpoints, tampering, the report.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "tests")]

mod logs;
mod naive;
mod parsing;
mod proving;
mod reports;
mod tampering;
mod trees;
