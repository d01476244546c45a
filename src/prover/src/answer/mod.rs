//! The prover's answers, read while they arrive.
//!
//! One object of known fields is read out of pieces cut anywhere; a proof goes straight into one vector, and neither
//! its text nor a tree of values is ever kept. A wrong value of a field that decides something is an error; a wrong value
//! of a field that only informs is as if it were absent, because no paid proof may be lost over a number for statistics.
//! What a crash in here means: nothing; nothing is kept.

mod bytes;
mod fields;
mod json;

#[cfg(test)]
mod tests;

use prooflog_events::ids::L1Ref;

use fields::Fields;
use json::Scanner;

/// What bounds an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerLimits {
    /// Bytes of a proof.
    pub proof: usize,
    /// Bytes of JSON per byte of proof allowed; 1 MiB is allowed for everything else.
    pub text_factor: usize,
}

impl Default for AnswerLimits {
    /// 64 MiB, three times the largest proof seen; an array of one number per indented line needs 12 bytes for each.
    fn default() -> Self {
        Self { proof: 64 << 20, text_factor: 16 }
    }
}

impl AnswerLimits {
    const fn text(&self) -> u64 {
        (self.proof as u64).saturating_mul(self.text_factor as u64).saturating_add(1 << 20)
    }
}

/// Why an answer cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It does not follow the grammar.
    #[error("not JSON")]
    NotJson,
    /// It ends too early.
    #[error("the JSON ends too early")]
    CutShort,
    /// It is JSON, but not an object.
    #[error("not a JSON object")]
    NotAnObject,
    /// It nests deeper than any answer needs to.
    #[error("nested too deeply")]
    TooDeep,
    /// A field is larger than its limit.
    #[error("`{field}` is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The field.
        field: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The whole text is larger than its limit.
    #[error("the answer is larger than the limit of {0} bytes")]
    TextTooLarge(u64),
    /// A field that decides something holds what it cannot hold.
    #[error("`{field}`: {problem}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
}

impl AnswerError {
    /// Whether a higher limit would help.
    #[must_use]
    pub const fn is_too_large(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::TextTooLarge(_))
    }
}

/// All that an answer can say. A field is `None` where it is absent or null.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// 0 unspecified, 1 requested, 2 assigned, 3 fulfilled, 4 unfulfillable; others are passed on.
    pub fulfillment: Option<i32>,
    /// 0 unspecified, 1 unexecuted, 2 executed, 3 unexecutable; others are passed on.
    pub execution: Option<i32>,
    /// The proof.
    pub proof: Option<Vec<u8>>,
    /// The prover's name for the request.
    pub proof_id: Option<Vec<u8>>,
    /// L1 block up to which the program read.
    pub l1_head: Option<L1Ref>,
    /// Public values that the proof commits to, ABI-encoded.
    pub public_values: Option<Vec<u8>>,
    /// Cycles executed.
    pub cycles: Option<u64>,
    /// Gas proven.
    pub gas: Option<u64>,
    /// Price paid, in units of 10^-18 PROVE.
    pub cost: Option<u128>,
    /// The server's own classification of a failure.
    pub error_class: Option<String>,
    /// The server's words about a failure.
    pub error: Option<String>,
}

/// Reads an answer out of pieces.
#[derive(Debug)]
pub struct AnswerParser {
    scanner: Scanner,
    fields: Fields,
    seen: u64,
    text_limit: u64,
}

impl AnswerParser {
    /// A parser of one answer.
    #[must_use]
    pub fn new(limits: AnswerLimits) -> Self {
        Self {
            scanner: Scanner::new(),
            fields: Fields::new(limits.proof),
            seen: 0,
            text_limit: limits.text(),
        }
    }

    /// Reads the next piece. After an error the parser is of no use.
    ///
    /// # Errors
    /// When the text is not an answer, or larger than a limit.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), AnswerError> {
        self.seen = self.seen.saturating_add(piece.len() as u64);
        if self.seen > self.text_limit {
            return Err(AnswerError::TextTooLarge(self.text_limit));
        }
        self.scanner.feed(piece, &mut self.fields)
    }

    /// The answer, once the last piece was read.
    ///
    /// # Errors
    /// When it is not complete.
    pub fn finish(self) -> Result<Answer, AnswerError> {
        if self.scanner.is_done() { Ok(self.fields.into_answer()) } else { Err(AnswerError::CutShort) }
    }
}
