//! Metrics under the names that dashboards of older proposers read: exactly these, no suffix added.
//!
//! `op_succinct_proposer_default_` is the Go proposer's, `succinct_` the Rust proposer's (all gauges, counts included),
//! `op_proposer_default_` that of op-proposer. Balance and `up` share an entry with our own.

use super::table::{Def, Kind, Scope, Unknown, table};
use super::words::{self, label};

const FEES: &[f64] = &[0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 200.0, 400.0, 800.0, 1_600.0];
const RPC: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0, 1_200.0];
static LAYERS: &[&str] = &["l2"];
static REFS: &[&str] = &["proposed"];
static STATUS: &[&str] = &["success", "failed"];

table! {
    UNREQUESTED: Kind::Gauge, Chain, Nan, [], "units", "Spans and aggregates that wait to be requested.",
        ["op_succinct_proposer_default_num_unrequested", "succinct_current_unrequested_proofs"];
    WITNESS_GEN: Kind::Gauge, Chain, Nan, [], "units", "Witness calls under way, mock ones included.",
        ["op_succinct_proposer_default_num_witness_gen"];
    WITNESS_REAL: Kind::Gauge, Chain, Nan, [], "units", "Witness calls under way for real proofs.",
        ["succinct_current_witnessgen_proofs"];
    EXECUTING: Kind::Gauge, Chain, Nan, [], "units", "Calls under way that execute the program (mock mode).",
        ["succinct_current_execute_proofs"];
    PROVING: Kind::Gauge, Chain, Nan, [], "units", "Requests that the prover has.",
        ["op_succinct_proposer_default_num_proving", "succinct_current_proving_proofs"];
    FINALIZED: Kind::Gauge, Chain, Nan, [], "L2 block", "Finalized L2 head.",
        ["op_succinct_proposer_default_l2_finalized_block", "succinct_l2_finalized_block"];
    UNSAFE_HEAD: Kind::Gauge, Chain, Nan, [], "L2 block", "Unsafe L2 head.", ["succinct_l2_unsafe_head_block"];
    CONTRACT: Kind::Gauge, Chain, Nan, [], "L2 block", "The contract's latest block.",
        ["op_succinct_proposer_default_latest_contract_l2_block", "succinct_latest_contract_l2_block"];
    PROVEN: Kind::Gauge, Chain, Nan, [], "L2 block",
        "Where complete spans reach without a hole from the contract's latest block on.", [
        "op_succinct_proposer_default_highest_proven_contiguous_l2_block",
        "succinct_highest_proven_contiguous_block",
    ];
    MIN_TO_PROVE: Kind::Gauge, Chain, Nan, [], "L2 block", "Lowest end of the next submission.",
        ["op_succinct_proposer_default_min_block_to_prove_to_agg", "succinct_min_block_to_prove_to_agg"];
    ERROR_COUNT: Kind::Counter, Chain, Zero, [label("type", words::EFFECTS)], "calls",
        "Effects that brought no usable answer, by kind.", ["op_succinct_proposer_default_error_count"];
    PROVE_FAILURES: Kind::Counter, Chain, Zero, [label("reason", words::CLASSES)], "attempts",
        "Attempts that the prover did not finish.", ["op_succinct_proposer_default_prove_failures"];
    WITNESS_FAILURES: Kind::Counter, Chain, Zero, [label("reason", words::CLASSES)], "attempts",
        "Attempts that failed before the prover had them.", ["op_succinct_proposer_default_witness_gen_failures"];
    RETRIES: Kind::Gauge, Chain, Zero, [], "retries", "Attempts after the first.",
        ["succinct_proof_request_retry_count"];
    RETRY_ERRORS: Kind::Gauge, Chain, Zero, [], "attempts", "Attempts after the first that were not taken.",
        ["succinct_retry_error_count"];
    TOTAL_ERRORS: Kind::Gauge, Chain, Zero, [], "calls", "Effects that brought no usable answer.",
        ["succinct_total_error_count"];
    PROOF_TIMEOUTS: Kind::Gauge, Chain, Zero, [], "attempts", "Attempts that ran into the limit for proving.",
        ["succinct_proof_request_timeout_error_count"];
    NETWORK_TIMEOUTS: Kind::Gauge, Chain, Zero, [], "calls", "Calls that ran into their time limit.",
        ["succinct_network_call_timeout_count"];
    WITNESS_ERRORS: Kind::Gauge, Chain, Zero, [], "attempts", "Attempts whose witness failed or timed out.",
        ["succinct_witnessgen_error_count"];
    EXECUTION_ERRORS: Kind::Gauge, Chain, Zero, [], "attempts", "Attempts whose program cannot run on its blocks.",
        ["succinct_execution_error_count"];
    RANGE_REQUEST_ERRORS: Kind::Gauge, Chain, Zero, [], "attempts", "Requests of spans that were not taken.",
        ["succinct_range_proof_request_error_count"];
    AGG_REQUEST_ERRORS: Kind::Gauge, Chain, Zero, [], "attempts", "Requests of aggregates that were not taken.",
        ["succinct_agg_proof_request_error_count"];
    AGG_INVALID: Kind::Gauge, Chain, Zero, [], "aggregates",
        "Aggregates that turned out to be of no use, unless they were replaced or outrun.",
        ["succinct_agg_proof_validation_error_count"];
    RELAY_ERRORS: Kind::Gauge, Chain, Zero, [], "submissions", "Submissions refused in simulation or reverted.",
        ["succinct_relay_agg_proof_error_count"];
    REFS_NUMBER: Kind::Gauge, Chain, Nan, [label("layer", LAYERS), label("type", REFS)], "L2 block",
        "Block of our latest output that the contract took.",
        ["op_succinct_proposer_default_refs_number", "op_proposer_default_refs_number"];
    REFS_TIME: Kind::Gauge, Chain, Nan, [label("layer", LAYERS), label("type", REFS)], "unix seconds",
        "Timestamp of that block.",
        ["op_succinct_proposer_default_refs_time", "op_proposer_default_refs_time"];
    REFS_HASH: Kind::Gauge, Chain, Nan, [label("layer", LAYERS), label("type", REFS)], "part of the hash",
        "Hash of that block; never known here, so always NaN.",
        ["op_succinct_proposer_default_refs_hash", "op_proposer_default_refs_hash"];
    REFS_SEQNR: Kind::Gauge, Chain, Nan, [label("type", REFS)], "number",
        "Sequence number of that block; never known here, so always NaN.",
        ["op_succinct_proposer_default_refs_seqnr", "op_proposer_default_refs_seqnr"];
    REFS_LATENCY: Kind::Gauge, Chain, Nan, [label("layer", LAYERS), label("type", REFS)], "seconds",
        "From that block's timestamp until the contract took it.",
        ["op_succinct_proposer_default_refs_latency", "op_proposer_default_refs_latency"];
    TX_FEE: Kind::Gauge, Chain, Nan, [], "gwei", "Fee of the transaction included last.",
        ["op_succinct_proposer_default_txmgr_tx_fee_gwei", "op_proposer_default_txmgr_tx_fee_gwei"];
    TX_FEE_TOTAL: Kind::Counter, Chain, Zero, [], "gwei", "Fees of all included transactions.",
        ["op_succinct_proposer_default_txmgr_tx_fee_gwei_total", "op_proposer_default_txmgr_tx_fee_gwei_total"];
    TX_GAS_BUMP: Kind::Gauge, Chain, Nan, [], "replacements",
        "Replacements that the transaction included last needed.",
        ["op_succinct_proposer_default_txmgr_tx_gas_bump", "op_proposer_default_txmgr_tx_gas_bump"];
    TX_FEE_HISTOGRAM: Kind::Histogram(FEES), Chain, Zero, [], "gwei", "Fees of included transactions.", [
        "op_succinct_proposer_default_txmgr_tx_fee_histogram_gwei",
        "op_proposer_default_txmgr_tx_fee_histogram_gwei",
    ];
    TX_TYPE: Kind::Gauge, Chain, Nan, [], "type", "Type of the transaction included last; always 2.",
        ["op_succinct_proposer_default_txmgr_tx_type", "op_proposer_default_txmgr_tx_type"];
    TX_LATENCY: Kind::Gauge, Chain, Nan, [], "milliseconds",
        "From the first broadcast to confirmation, of the transaction confirmed last.", [
        "op_succinct_proposer_default_txmgr_tx_confirmed_latency_ms",
        "op_proposer_default_txmgr_tx_confirmed_latency_ms",
    ];
    NONCE: Kind::Gauge, Chain, Nan, [], "nonce", "The account's next nonce.",
        ["op_succinct_proposer_default_txmgr_current_nonce", "op_proposer_default_txmgr_current_nonce"];
    PENDING_TXS: Kind::Gauge, Chain, Nan, [], "transactions", "Transactions not confirmed yet.",
        ["op_succinct_proposer_default_txmgr_pending_txs", "op_proposer_default_txmgr_pending_txs"];
    PUBLISH_ERRORS: Kind::Counter, Chain, Zero, [label("error", words::OUTCOMES)], "broadcasts",
        "Broadcasts that no endpoint took.", [
        "op_succinct_proposer_default_txmgr_tx_publish_error_count",
        "op_proposer_default_txmgr_tx_publish_error_count",
    ];
    CONFIRMED: Kind::Counter, Chain, Zero, [label("status", STATUS)], "transactions", "Transactions confirmed.",
        ["op_succinct_proposer_default_txmgr_confirm_total", "op_proposer_default_txmgr_confirm_total"];
    CONFIRMED_AT: Kind::Gauge, Chain, Nan, [label("status", STATUS)], "unix seconds",
        "When a transaction was last confirmed.",
        ["op_succinct_proposer_default_txmgr_last_confirm_unix", "op_proposer_default_txmgr_last_confirm_unix"];
    PUBLISHED: Kind::Counter, Chain, Zero, [], "broadcasts", "Broadcasts that an endpoint took.",
        ["op_succinct_proposer_default_txmgr_publish_total", "op_proposer_default_txmgr_publish_total"];
    PUBLISHED_AT: Kind::Gauge, Chain, Nan, [], "unix seconds", "When an endpoint last took a broadcast.",
        ["op_succinct_proposer_default_txmgr_last_publish_unix", "op_proposer_default_txmgr_last_publish_unix"];
    BASEFEE: Kind::Gauge, Chain, Nan, [], "wei per gas", "Base fee at the L1's head.",
        ["op_succinct_proposer_default_txmgr_basefee_wei", "op_proposer_default_txmgr_basefee_wei"];
    BLOB_BASEFEE: Kind::Gauge, Chain, Nan, [], "wei per gas", "Base fee of blobs; never asked, so always NaN.",
        ["op_succinct_proposer_default_txmgr_blob_basefee_wei", "op_proposer_default_txmgr_blob_basefee_wei"];
    TIPCAP: Kind::Gauge, Chain, Nan, [], "wei per gas", "Tip that the L1 endpoint suggests.",
        ["op_succinct_proposer_default_txmgr_tipcap_wei", "op_proposer_default_txmgr_tipcap_wei"];
    RPC_SERVED: Kind::Counter, Process, Zero, [label("method", words::SERVED)], "requests",
        "Requests answered, by what was asked for.", [
        "op_succinct_proposer_default_rpc_server_requests_total",
        "op_proposer_default_rpc_server_requests_total",
    ];
    RPC_SERVED_SECONDS: Kind::Histogram(RPC), Process, Absent, [label("method", words::SERVED)], "seconds",
        "From a request until its answer begins.", [
        "op_succinct_proposer_default_rpc_server_request_duration_seconds",
        "op_proposer_default_rpc_server_request_duration_seconds",
    ];
    RPC_SENT: Kind::Counter, Process, Zero, [label("method", words::CALLED)], "calls",
        "Calls sent to the L1, the rollup node, the L2 and the prover's server, each of a batch for itself.", [
        "op_succinct_proposer_default_rpc_client_requests_total",
        "op_proposer_default_rpc_client_requests_total",
    ];
    RPC_SECONDS: Kind::Histogram(RPC), Process, Absent, [label("method", words::CALLED)], "seconds",
        "From a call until its answer is read, or its end without one.", [
        "op_succinct_proposer_default_rpc_client_request_duration_seconds",
        "op_proposer_default_rpc_client_request_duration_seconds",
    ];
    RPC_ANSWERED: Kind::Counter, Process, Absent,
        [label("method", words::CALLED), label("error", words::ANSWERS)], "calls",
        "Calls that ended: `<nil>` is an answer.", [
        "op_succinct_proposer_default_rpc_client_responses_total",
        "op_proposer_default_rpc_client_responses_total",
    ];
    TX_RPC_ERRORS: Kind::Counter, Chain, Zero, [], "calls",
        "Reads of the account, simulations, signatures and broadcasts that failed.",
        ["op_succinct_proposer_default_txmgr_rpc_error_count", "op_proposer_default_txmgr_rpc_error_count"];
}
