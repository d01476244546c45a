//! The values that labels can have, as fixed lists.
//!
//! Each list stands beside the function that gives a value its word, and a test holds the two together.

use prooflog_events::event::EventType;
use prooflog_events::ids::UnitKind;
use prooflog_events::values::{BroadcastOutcome, Control, DegradedReason, FailureClass};

use super::table::Label;

/// Kind of an effect, as the engine hands it to an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the effect of its name")]
pub enum EffectKind {
    ReadNode,
    ReadBlocks,
    ReadOutput,
    ReadContract,
    ReadSigner,
    ValidateServer,
    RequestProof,
    PollProof,
    QuoteTx,
    SignTx,
    BroadcastTx,
}

/// Why a call brought no answer that could be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallFailure {
    /// Nobody listens there.
    Unreachable,
    /// The time limit passed.
    Timeout,
    /// The connection broke.
    Dropped,
    /// The answer was larger than the limit.
    TooLarge,
    /// The other side answered with an error.
    Refused,
    /// The answer is not what the call promises.
    Malformed,
    /// Anything else.
    Other,
}

/// Who is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// An L1 endpoint.
    L1,
    /// A rollup node.
    RollupNode,
    /// An L2 execution node.
    L2,
    /// The prover's server.
    Prover,
    /// A remote signer.
    Signer,
}

macro_rules! words {
    ($type:ident, $list:ident, $fn:ident, { $($variant:ident => $word:literal),* $(,)? }) => {
        pub(crate) static $list: &[&str] = &[$($word),*];
        pub(crate) const fn $fn(value: $type) -> &'static str {
            match value { $($type::$variant => $word),* }
        }
    };
}

words!(EffectKind, EFFECTS, effect, {
    ReadNode => "read_node",
    ReadBlocks => "read_blocks",
    ReadOutput => "read_output",
    ReadContract => "read_contract",
    ReadSigner => "read_signer",
    ValidateServer => "validate_server",
    RequestProof => "request_proof",
    PollProof => "poll_proof",
    QuoteTx => "quote_tx",
    SignTx => "sign_tx",
    BroadcastTx => "broadcast_tx",
});
words!(CallFailure, CALL_FAILURES, call_failure, {
    Unreachable => "unreachable",
    Timeout => "timeout",
    Dropped => "dropped",
    TooLarge => "too_large",
    Refused => "refused",
    Malformed => "malformed",
    Other => "other",
});
words!(Peer, PEERS, peer, {
    L1 => "l1",
    RollupNode => "rollup_node",
    L2 => "l2",
    Prover => "prover",
    Signer => "signer",
});
words!(FailureClass, CLASSES, class, {
    Unexecutable => "unexecutable",
    Unfulfillable => "unfulfillable",
    WitnessError => "witness_error",
    WitnessTimeout => "witness_timeout",
    ProvingTimeout => "proving_timeout",
    Dropped => "dropped",
    Lost => "lost",
    NoBytes => "no_bytes",
    DataNotReady => "data_not_ready",
    Capacity => "capacity",
    Account => "account",
    Unreachable => "unreachable",
    Restart => "restart",
});
words!(UnitKind, UNIT_KINDS, unit_kind, { Agg => "agg", Span => "span" });
words!(Control, CONTROLS, control, {
    Planning => "planning",
    Proving => "proving",
    Submitting => "submitting",
});
words!(DegradedReason, DEGRADED, degraded, {
    RootMismatch => "root_mismatch",
    NoAnchor => "no_anchor",
    ContractAhead => "contract_ahead",
    Disk => "disk",
    Clock => "clock",
});
words!(BroadcastOutcome, OUTCOMES, outcome, {
    Accepted => "accepted",
    Underpriced => "underpriced",
    NonceTooLow => "nonce_too_low",
    Funds => "funds",
    Rejected => "rejected",
});

/// Phases of units that are alive.
pub(crate) static PHASES: &[&str] = &[
    "queued",
    "checkpointing",
    "ready",
    "witness_gen",
    "requested",
    "assigned",
    "failed",
    "complete",
    "submitting",
    "included",
    "confirmed",
    "parked",
];

/// Methods that are called, and what stands for any other.
pub(crate) static CALLED: &[&str] = &[
    "eth_blockNumber",
    "eth_call",
    "eth_chainId",
    "eth_estimateGas",
    "eth_getBalance",
    "eth_getBlockByNumber",
    "eth_getCode",
    "eth_getLogs",
    "eth_getStorageAt",
    "eth_getTransactionByHash",
    "eth_getTransactionCount",
    "eth_getTransactionReceipt",
    "eth_maxPriorityFeePerGas",
    "eth_sendRawTransaction",
    "web3_clientVersion",
    "optimism_outputAtBlock",
    "optimism_rollupConfig",
    "optimism_safeHeadAtL1Block",
    "optimism_syncStatus",
    "optimism_version",
    "request_span_proof",
    "request_agg_proof",
    "request_mock_span_proof",
    "request_mock_agg_proof",
    "status",
    "validate_config",
    OTHER,
];

/// What is served: to monitors, to operators, to clients of the EventStore protocol; and what stands for any other.
pub(crate) static SERVED: &[&str] = &[
    "metrics",
    "healthz",
    "readyz",
    "command",
    "backup",
    "chains",
    "would",
    "Read",
    "Append",
    "BatchAppend",
    "Delete",
    "Tombstone",
    "AppendSession",
    "AppendRecords",
    "PersistentSubscriptions",
    "ServerFeatures",
    "Gossip",
    OTHER,
];

/// How a call ended: with an answer, in the word that dashboards know, or without one.
pub(crate) static ANSWERS: &[&str] =
    &[ANSWERED, "unreachable", "timeout", "dropped", "too_large", "refused", "malformed", OTHER];

/// The call brought an answer.
pub(crate) const ANSWERED: &str = "<nil>";
const OTHER: &str = "other";

/// The word of a list, or the one for any other.
pub(crate) fn one_of(list: &[&'static str], word: &str) -> &'static str {
    list.iter().find(|known| **known == word).copied().unwrap_or(OTHER)
}

/// Where a rollup stands in this process.
pub(crate) static STATUSES: &[&str] = &["starting", "running", "stopped"];

/// Whether a second payment is certain.
pub(crate) static CERTAINTY: &[&str] = &["certain", "possible"];

const EVENT_COUNT: usize = EventType::ALL.len();
static EVENT_NAMES: [&str; EVENT_COUNT] = event_names();

#[expect(
    clippy::indexing_slicing,
    reason = "computed while compiling; an index out of bounds does not compile"
)]
const fn event_names() -> [&'static str; EVENT_COUNT] {
    let mut names = [""; EVENT_COUNT];
    let mut at = 0;
    while at < EVENT_COUNT {
        names[at] = EventType::ALL[at].name();
        at += 1;
    }
    names
}

/// Names of all event types.
pub(crate) static EVENTS: &[&str] = &EVENT_NAMES;

/// The release of the program.
pub(crate) static VERSIONS: &[&str] = &[env!("CARGO_PKG_VERSION")];

pub(crate) const fn label(name: &'static str, values: &'static [&'static str]) -> Label {
    Label { name, values }
}
