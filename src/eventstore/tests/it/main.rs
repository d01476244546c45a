//! The server as its clients see it, by raw calls.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "tests"
)]

mod appends;
mod batches;
mod common;
mod delivery;
mod discovery;
mod groups;
mod limits;
mod reads;
mod sessions;
mod shares;
mod subscriptions;
mod traps;
