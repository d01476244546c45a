//! Our own metrics, prefix `prooflog_`.

use super::table::{Def, Kind, Scope, Unknown, table};
use super::words::{self, label};

const FAST: &[f64] = &[0.000_01, 0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0];
const CALLS: &[f64] = &[0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0];
const PROOFS: &[f64] = &[10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0];

table! {
    INFO: Kind::Gauge, Process, Zero, [label("version", words::VERSIONS)], "1",
        "Always 1; the label says which release runs.", [
        "prooflog_info",
        "op_succinct_proposer_default_info",
        "op_proposer_default_info",
    ];
    UP: Kind::Gauge, Process, Zero, [], "0 or 1", "1 once the start has finished.",
        ["prooflog_up", "op_succinct_proposer_default_up", "op_proposer_default_up"];
    LOOP_STUCK: Kind::Gauge, Process, Zero, [], "0 or 1",
        "1 while the decision loop neither moves nor waits for a moment that lies ahead.", ["prooflog_loop_stuck"];
    STATE_READ: Kind::Gauge, Process, Zero, [], "0 or 1",
        "1 if the loop handed out its state for this scrape; otherwise all that rests on it is NaN.",
        ["prooflog_state_read"];
    LOG_WRITABLE: Kind::Gauge, Process, Nan, [], "0 or 1", "1 while the log takes appends.",
        ["prooflog_log_writable"];
    LOG_HEAD: Kind::Gauge, Process, Nan, [], "position", "Position of the newest durable event.",
        ["prooflog_log_head_position"];
    DISK_FREE: Kind::Gauge, Process, Nan, [], "bytes", "Free space on the disk of the data directory.",
        ["prooflog_disk_free_bytes"];
    DISK_MINIMUM: Kind::Gauge, Process, Nan, [], "bytes", "Free space below which nothing new is started.",
        ["prooflog_disk_minimum_bytes"];
    EVENTS: Kind::Counter, Process, Zero, [label("type", words::EVENTS)], "events",
        "Events that became durable, by type.", ["prooflog_events_total"];
    DECISION: Kind::Histogram(FAST), Process, Zero, [], "seconds",
        "Time to decide one input, fold its events and derive what is owed.", ["prooflog_decision_seconds"];
    APPEND: Kind::Histogram(FAST), Process, Zero, [], "seconds",
        "Time from handing a batch to the log until it is durable.", ["prooflog_append_seconds"];
    EFFECTS_IN_FLIGHT: Kind::Gauge, Process, Zero, [label("kind", words::EFFECTS)], "calls",
        "Effects under way.", ["prooflog_effects_in_flight"];
    EFFECT_SECONDS: Kind::Histogram(CALLS), Process, Zero, [label("kind", words::EFFECTS)], "seconds",
        "How long effects took, whatever their end.", ["prooflog_effect_seconds"];
    EFFECT_FAILURES: Kind::Counter, Process, Zero,
        [label("kind", words::EFFECTS), label("class", words::CALL_FAILURES)], "calls",
        "Effects that brought no usable answer.", ["prooflog_effect_failures_total"];
    CALLS_MADE: Kind::Counter, Process, Zero, [label("peer", words::PEERS)], "calls",
        "Requests sent to outside systems; `l1` is what an L1 endpoint bills.", ["prooflog_calls_total"];
    LINES_LOST: Kind::Counter, Process, Zero, [], "lines",
        "Lines of the diagnostic log that were dropped because nobody took them in time.",
        ["prooflog_diagnostic_lines_lost_total"];
    CHAIN_STATUS: Kind::Gauge, Chain, Zero, [label("status", words::STATUSES)], "0 or 1",
        "1 at the rollup's status in this process; `/readyz?chain=` says why.", ["prooflog_chain_status"];
    LAG_BLOCKS: Kind::Gauge, Chain, Nan, [], "blocks", "Finalized head minus the contract's latest block.",
        ["prooflog_settlement_lag_blocks"];
    LAG_SECONDS: Kind::Gauge, Chain, Nan, [], "seconds",
        "Time between the finalized head and the contract's latest block, by their L2 timestamps.",
        ["prooflog_settlement_lag_seconds"];
    UNSETTLED_AGE: Kind::Gauge, Chain, Nan, [], "seconds",
        "Age of the oldest finalized block that is not settled, by its L2 timestamp; 0 if all are.",
        ["prooflog_oldest_unsettled_age_seconds"];
    LAST_CONFIRMED: Kind::Gauge, Chain, Nan, [], "unix seconds",
        "When a submission of ours was last confirmed.", ["prooflog_last_confirmed_submission_timestamp_seconds"];
    FALLBACK: Kind::Gauge, Chain, Absent, [], "seconds",
        "Until anybody may submit to the contract; negative: since when. Absent where the contract has no such rule.",
        ["prooflog_fallback_opens_seconds"];
    PARKED: Kind::Gauge, Chain, Nan, [label("kind", words::UNIT_KINDS)], "units",
        "Spans and aggregates that wait for an operator.", ["prooflog_parked_units"];
    UNITS: Kind::Gauge, Chain, Nan, [label("kind", words::UNIT_KINDS), label("phase", words::PHASES)], "units",
        "Live spans and aggregates by phase.", ["prooflog_units"];
    OLDEST_REQUEST: Kind::Gauge, Chain, Nan, [label("kind", words::UNIT_KINDS)], "seconds",
        "Age of the oldest attempt under way; 0 if there is none.", ["prooflog_oldest_attempt_age_seconds"];
    OLDEST_TX: Kind::Gauge, Chain, Nan, [], "seconds",
        "Age of the oldest transaction that is in no block yet, through all its versions; 0 if there is none.",
        ["prooflog_oldest_pending_transaction_age_seconds"];
    DEGRADED: Kind::Gauge, Chain, Nan, [label("reason", words::DEGRADED)], "0 or 1",
        "1 while this reason stops everything that costs.", ["prooflog_degraded"];
    PAUSED: Kind::Gauge, Chain, Nan, [label("control", words::CONTROLS)], "0 or 1",
        "1 while this kind of work is halted.", ["prooflog_paused"];
    PROVER_DEGRADED: Kind::Gauge, Chain, Nan, [], "0 or 1",
        "1 while the prover fails and is only probed.", ["prooflog_prover_degraded"];
    CONFIG_ACCEPTED: Kind::Gauge, Chain, Nan, [], "0 or 1",
        "1 if the prover proves what the contract accepts, 0 if not, NaN before the first comparison.",
        ["prooflog_config_accepted"];
    OPTIMISTIC: Kind::Gauge, Chain, Nan, [], "0 or 1", "1 while the contract is in optimistic mode.",
        ["prooflog_optimistic_mode"];
    FINALIZED_STALLED: Kind::Gauge, Chain, Nan, [], "0 or 1",
        "1 while the finalized head stands still for longer than the policy allows.",
        ["prooflog_finalized_stalled"];
    BALANCE_MINIMUM: Kind::Gauge, Chain, Nan, [], "ether", "Balance below which the policy warns.",
        ["prooflog_balance_minimum_ether"];
    BALANCE: Kind::Gauge, Chain, Nan, [], "ether", "Balance of the account that sends.",
        ["prooflog_balance_ether", "op_succinct_proposer_default_balance", "op_proposer_default_balance"];
    SUBMISSIONS_LEFT: Kind::Gauge, Chain, Nan, [], "submissions",
        "Balance over the fees of the last checkpoint and submission; NaN before this process saw one.",
        ["prooflog_submissions_left"];
    PROOF_SECONDS: Kind::Histogram(PROOFS), Chain, Zero, [label("kind", words::UNIT_KINDS)], "seconds",
        "From a request to its proof.", ["prooflog_proof_seconds"];
    PROOF_COST: Kind::Counter, Chain, Zero, [], "the prover's smallest unit",
        "Price of proofs, where the server told one.", ["prooflog_proof_cost_total"];
    PROOFS_UNPRICED: Kind::Counter, Chain, Zero, [], "proofs", "Proofs whose price the server did not tell.",
        ["prooflog_proofs_without_price_total"];
    PAID_TWICE: Kind::Counter, Chain, Zero, [label("certainty", words::CERTAINTY)], "attempts",
        "Attempts that were paid and not needed, or may have been.", ["prooflog_paid_twice_total"];
    OUTRUN: Kind::Counter, Chain, Zero, [], "aggregates",
        "Aggregates of no use any more because the contract took another output first.",
        ["prooflog_outrun_aggregates_total"];
}
