//! The program against the devnet.
//!
//! [`Engine`] is the real binary in a process of its own: started, asked, killed and started again as an operator
//! would. [`Story`] reads what it records, as `prooflog events --follow --json` prints it, so that a test waits for
//! facts and never for time.

pub mod demo;
mod engine;
mod story;

pub use engine::{Engine, EngineError, Setup};
pub use story::{Story, StoryError};
