//! The adapter against real listeners that answer what a test scripts.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod l2;
mod parsers;
mod rollup;
mod safedb;
mod support;
