//! The words of the log: ids, events, inputs, the envelope and their bytes.
//!
//! Nothing in here does IO, knows the time or decides anything. Reading order: [`ids`] and [`values`] (what words are
//! made of), [`event`] (facts), [`input`] (what was decided on), [`policy`] (under which limits), [`codec`] (bytes).
//! What a crash in here means: nothing; there is no state.

pub mod clip;
pub mod codec;
pub mod cursor;
pub mod envelope;
pub mod event;
pub mod ids;
pub mod input;
pub mod limits;
pub mod phrase;
pub mod policy;
pub mod port;
pub mod values;
