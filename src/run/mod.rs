//! `prooflog run`: the engine, its adapters, and everything that looks on.
//!
//! Starting goes from what cannot fail silently to what can: configuration, the log, the engine, the listeners, then
//! each rollup by itself, so that one wrong rollup stops alone. Ending goes the other way round.

mod would;

pub(crate) use would::{Would, would};
