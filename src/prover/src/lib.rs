//! The op-succinct prover server as effects and inputs.

mod answer;

pub use answer::{Answer, AnswerError, AnswerLimits, AnswerParser};
