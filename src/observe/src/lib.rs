//! Metrics, health and logs: observers that may fail without stopping work.
//!
//! Nothing in here decides anything and nothing waits for it. Metrics are a function of the state, of events as they
//! become durable and of a few observations; a value that is not known now is NaN or absent, never old and never zero.
//! Health tells a loop that waits from one that is stuck. Logs are written by a thread of their own and pass a mask
//! that no registered secret gets through. What a crash means: the panel is dark, the work goes on.

pub mod health;
mod http;
pub mod logs;
pub mod metrics;

pub use health::{ChainStatus, Health, LogStatus, Verdict};
pub use http::{Limits, Look, Observers, Snapshot, count_request, look, router, serve};
pub use logs::{LogControl, LogError, LogFormat, LogSettings, Secrets, init_logging, log_fact};
pub use metrics::{About, CallFailure, EffectKind, InFlight, Metrics, Observation, Peer};
