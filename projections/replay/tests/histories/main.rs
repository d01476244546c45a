//! What holds for the histories of all golden logs: digests of the folds for people, and the laws.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod digests;
mod golden;
mod laws;
