//! A row as either database holds it, before anything is concluded from it.

use prooflog_events::ids::L1Number;
use prooflog_events::values::Mode;

/// A span or an aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A range of blocks.
    Span,
    /// Complete ranges proven as one.
    Agg,
}

/// Where a row stands in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was asked for.
    Unrequested,
    /// A witness was asked for, or a proof whose id is not there yet.
    Asked,
    /// The prover has it.
    Requested,
    /// The proof is there.
    Complete,
    /// It was submitted.
    Submitted,
    /// It failed, and another row took its place.
    Failed,
    /// It was given up.
    Cancelled,
    /// An L1 reorg made it useless.
    Invalidated,
    /// A number or word that nobody knows.
    Unknown(String),
}

/// A row. Numbers are as stored: a database of a stranger may hold any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// Its number there.
    pub row: i64,
    /// Span or aggregate.
    pub kind: Kind,
    /// Last block before those proven.
    pub start: i64,
    /// Last block proven.
    pub end: i64,
    /// Where it stands.
    pub standing: Standing,
    /// Real or mock, where it says.
    pub mode: Option<Mode>,
    /// Commitment to the range program, where it says.
    pub range_vkey: Option<Vec<u8>>,
    /// Hash of the rollup configuration, where it says.
    pub rollup_config: Option<Vec<u8>>,
    /// Key of the aggregation program, where it says.
    pub agg_vkey: Option<Vec<u8>>,
    /// Prover address, where it says.
    pub prover: Option<Vec<u8>>,
    /// The prover's id.
    pub proof_id: Option<Vec<u8>>,
    /// The checkpointed L1 block of an aggregate.
    pub checkpoint: Option<(i64, Vec<u8>)>,
    /// L1 head that a span's proof was made for.
    pub l1_head: Option<i64>,
    /// Its hash.
    pub l1_head_hash: Option<Vec<u8>>,
    /// Bytes of the proof; `None` where there is none.
    pub proof_length: Option<i64>,
    /// The last of them.
    pub proof_tail: Vec<u8>,
    /// Transactions in it.
    pub transactions: Option<i64>,
    /// Gas used in it.
    pub gas: Option<i64>,
    /// Seconds from the request to the proof.
    pub seconds: Option<i64>,
}

impl Raw {
    /// A row of which nothing but its place is known.
    #[must_use]
    pub fn new(row: i64, kind: Kind, (start, end): (i64, i64), standing: Standing) -> Self {
        Self {
            row,
            kind,
            start,
            end,
            standing,
            mode: None,
            range_vkey: None,
            rollup_config: None,
            agg_vkey: None,
            prover: None,
            proof_id: None,
            checkpoint: None,
            l1_head: None,
            l1_head_hash: None,
            proof_length: None,
            proof_tail: Vec::new(),
            transactions: None,
            gas: None,
            seconds: None,
        }
    }

    /// The checkpointed block's number, if it can be one.
    pub(crate) fn checkpoint_number(&self) -> Option<L1Number> {
        let (number, _) = self.checkpoint.as_ref()?;
        u64::try_from(*number).ok().map(L1Number)
    }
}
