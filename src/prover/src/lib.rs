//! The op-succinct prover server as effects and inputs.
//!
//! [`Prover`] turns a request, a poll or a comparison of commitments into a call, and the answer into an input with the
//! proof's bytes beside it. Proofs are read while they arrive and members are sent while they are read, so that what
//! stands in memory is one proof per call. It decides nothing but whether the server seems to have forgotten an id,
//! which only counting over time can tell. What a crash in here means: those counts begin again, nothing else is kept.

mod answer;
mod body;
mod call;
mod check;
mod client;
pub mod failure;
mod outcome;

pub use answer::{Answer, AnswerError, AnswerLimits, AnswerParser};
pub use body::{ProofSource, SourceError};
pub use check::{CheckPlan, CheckSpan, Finding, Verdict, check};
pub use client::{Prover, ProverConfig, ProverLimits};
pub use outcome::{Blob, Polled, Proof, Requested, Validation};
