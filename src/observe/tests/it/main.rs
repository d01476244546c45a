//! Tests of the observers: what is exposed, what health says, what a hostile client or a chatty library can do.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;
mod documents;
mod exposition;
mod health;
mod logging;
mod server;
mod values;
