//! The client against the devnet's server: what goes over the wire is what both believe it to be.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod chains;
mod checks;
mod faults;
mod proofs;
mod world;
