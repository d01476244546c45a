//! The program against the devnet.
//!
//! [`Engine`] is the real binary in a process of its own: started, asked, killed and started again as an operator
//! would. [`Story`] reads what it records, as `prooflog events --follow --json` prints it, so that a test waits for
//! facts and never for time. [`World`] is both with a devnet around them.

pub mod demo;
mod engine;
pub mod load;
mod seen;
mod story;
mod world;

pub use engine::{Engine, EngineError, Setup};
pub use seen::{Memory, Metrics};
pub use story::{Story, StoryError};
pub use world::{World, quick, with_settings};
