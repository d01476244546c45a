//! How the server behaves: latency, capacity, and what goes wrong.
//!
//! A script can be replaced while the server runs (`POST /devnet/script`). Faults are a list; the first that fits a call
//! is played, as many times as it says, so that a test can say exactly what happens to which call.

use serde::{Deserialize, Serialize};

/// Latency and faults of one chain's prover. Zero means none, or no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Milliseconds that a witness takes.
    pub witness_ms: u64,
    /// Milliseconds after which the server gives a witness up.
    pub witness_limit_ms: u64,
    /// Milliseconds that proving a span takes.
    pub proving_ms: u64,
    /// Milliseconds that proving an aggregate takes; as for a span if absent.
    pub agg_proving_ms: Option<u64>,
    /// Proofs that are proven at once; others wait, requested and not assigned.
    pub workers: usize,
    /// Requests in flight above which new ones are refused with 429.
    pub capacity: usize,
    /// Spans of more blocks are unexecutable.
    pub max_blocks: u64,
    /// Spans that prove one of these blocks are unexecutable.
    pub unexecutable_blocks: Vec<u64>,
    /// Size of span proofs in bytes, instead of the chain's.
    pub proof_bytes: Option<usize>,
    /// Whether `Idempotency-Key` is honoured.
    pub idempotency: bool,
    /// Whether the optional fields are spoken; the servers that operators have today do not.
    pub optional_fields: bool,
    /// Whether bytes are sent as base64 instead of arrays of numbers.
    pub base64: bool,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            witness_ms: 0,
            witness_limit_ms: 0,
            proving_ms: 0,
            agg_proving_ms: None,
            workers: 0,
            capacity: 0,
            max_blocks: 0,
            unexecutable_blocks: Vec::new(),
            proof_bytes: None,
            idempotency: true,
            optional_fields: true,
            base64: false,
            faults: Vec::new(),
        }
    }
}

/// A call that a fault can be for. Mock endpoints count as the ones they stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// A request for a span.
    Span,
    /// A request for an aggregate.
    Agg,
    /// A question for a proof.
    Status,
    /// A comparison of commitments.
    Validate,
}

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// For which calls; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallKind>,
    /// For which range (start, end); all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(u64, u64)>,
    /// How often; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// What.
    #[serde(flatten)]
    pub kind: FaultKind,
}

/// What goes wrong, as `do = "…"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum FaultKind {
    /// An error is answered, and nothing is done.
    Error {
        /// The status.
        #[serde(default = "internal_error")]
        status: u16,
        /// The words.
        text: String,
        /// The class, in JSON beside the words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error_class: Option<String>,
    },
    /// Nothing is done, and no answer comes.
    Hang,
    /// Nothing is done, and the connection ends.
    Drop,
    /// All is done, and the connection ends instead of an answer.
    AnswerLost,
    /// All is done, and the answer comes later than usual.
    Late {
        /// Milliseconds more.
        ms: u64,
    },
    /// A 200 with this body, and nothing is done.
    Body {
        /// The body.
        body: String,
    },
    /// The network will not prove it (a request).
    Unfulfillable,
    /// The program cannot run on it (a request).
    Unexecutable,
    /// The id is not known any more (a request or a status).
    Forget,
    /// Fulfilled, without the proof (a status).
    NoBytes,
    /// These numbers (a status).
    Status {
        /// Of the fulfilment.
        fulfillment: i64,
        /// Of the execution.
        execution: i64,
    },
    /// Nothing agrees with the contract (a comparison).
    WrongCommitments,
}

const fn internal_error() -> u16 {
    500
}

impl Script {
    /// The fault that this call meets, if any; it counts as played.
    pub(crate) fn play(&mut self, call: CallKind, range: Option<(u64, u64)>) -> Option<FaultKind> {
        let fault = self.faults.iter_mut().find(|fault| {
            fault.call.is_none_or(|wanted| wanted == call)
                && fault.range.is_none_or(|wanted| Some(wanted) == range)
                && fault.times != Some(0)
        })?;
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
        }
        Some(fault.kind.clone())
    }

    /// Whether the program could not run on a range.
    pub(crate) fn is_unexecutable(&self, start: u64, end: u64) -> bool {
        let is_long = self.max_blocks > 0 && end.saturating_sub(start) > self.max_blocks;
        is_long
            || self.unexecutable_blocks.iter().any(|block| (start.saturating_add(1)..=end).contains(block))
    }
}
