//! Names, types, labels: what dashboards rely on.

use std::collections::BTreeSet;
use std::time::Duration;

use prooflog_observe::metrics::table::{self, Kind, Scope, Unknown};
use prooflog_observe::{CallFailure, Health, Metrics};

use super::common::{CHAIN, Exposition, OTHER, World};

/// Names that dashboards of older proposers read, written down here once more.
const PROMISED: &str = "
op_succinct_proposer_default_up op_succinct_proposer_default_info op_succinct_proposer_default_num_proving
op_succinct_proposer_default_num_witness_gen op_succinct_proposer_default_num_unrequested
op_succinct_proposer_default_l2_finalized_block op_succinct_proposer_default_latest_contract_l2_block
op_succinct_proposer_default_highest_proven_contiguous_l2_block
op_succinct_proposer_default_min_block_to_prove_to_agg op_succinct_proposer_default_error_count
op_succinct_proposer_default_prove_failures op_succinct_proposer_default_witness_gen_failures
op_succinct_proposer_default_balance op_proposer_default_balance op_proposer_default_info op_proposer_default_up
succinct_current_unrequested_proofs succinct_current_witnessgen_proofs succinct_current_execute_proofs
succinct_current_proving_proofs succinct_highest_proven_contiguous_block succinct_latest_contract_l2_block
succinct_l2_unsafe_head_block succinct_l2_finalized_block succinct_min_block_to_prove_to_agg
succinct_proof_request_retry_count succinct_retry_error_count succinct_total_error_count
succinct_proof_request_timeout_error_count succinct_network_call_timeout_count succinct_witnessgen_error_count
succinct_execution_error_count succinct_range_proof_request_error_count succinct_agg_proof_request_error_count
succinct_agg_proof_validation_error_count succinct_relay_agg_proof_error_count
";

/// These stand under both prefixes of the Go programs.
const SHARED: &str = "
refs_number refs_time refs_hash refs_seqnr refs_latency
txmgr_tx_fee_gwei txmgr_tx_fee_gwei_total txmgr_tx_gas_bump txmgr_tx_fee_histogram_gwei txmgr_tx_type
txmgr_tx_confirmed_latency_ms txmgr_current_nonce txmgr_pending_txs txmgr_tx_publish_error_count txmgr_confirm_total
txmgr_last_confirm_unix txmgr_publish_total txmgr_last_publish_unix txmgr_basefee_wei txmgr_blob_basefee_wei
txmgr_tipcap_wei txmgr_rpc_error_count rpc_server_requests_total rpc_client_requests_total
";

fn empty(chains: &[prooflog_events::ids::ChainId]) -> Exposition {
    let metrics = Metrics::new(chains, Health::new(chains, Duration::from_secs(30)));
    Exposition::parse(&metrics.scrape(None, super::common::secs(0)))
}

#[test]
fn every_name_that_dashboards_read_is_there_from_the_start_to_the_letter() {
    let exposed = empty(&[CHAIN]);
    let shared = SHARED.split_whitespace().flat_map(|name| {
        ["op_succinct_proposer_default_", "op_proposer_default_"].map(|prefix| format!("{prefix}{name}"))
    });
    for name in PROMISED.split_whitespace().map(str::to_owned).chain(shared) {
        assert!(exposed.types.contains_key(&name), "{name}");
        if name.starts_with("succinct_") {
            assert_eq!(exposed.types[&name], "gauge", "{name}");
        }
    }
    for name in exposed.types.keys() {
        let known =
            ["prooflog_", "succinct_", "op_succinct_proposer_default_", "op_proposer_default_", "process_"];
        assert!(known.iter().any(|prefix| name.starts_with(prefix)), "{name} has no prefix of ours");
    }
}

#[test]
fn every_metric_of_the_table_begins_as_the_table_says() {
    let exposed = empty(&[CHAIN]);
    for def in table::all() {
        for name in def.names {
            let samples: Vec<f64> = exposed
                .samples
                .iter()
                .filter(|(sample, _)| sample.split('{').next() == Some(name))
                .map(|(_, value)| *value)
                .collect();
            match (def.kind, def.unknown) {
                (Kind::Histogram(_), Unknown::Zero | Unknown::Nan) => {
                    assert!(
                        exposed.samples.keys().any(|sample| sample.starts_with(&format!("{name}_count"))),
                        "{name}"
                    );
                }
                (_, Unknown::Absent) => {
                    assert!(samples.is_empty() && !exposed.types.contains_key(*name), "{name}")
                }
                // Read at once, where there is a `/proc`.
                (_, Unknown::Nan) if name.starts_with("process_") => assert_eq!(samples.len(), 1, "{name}"),
                (_, Unknown::Nan) => {
                    assert!(
                        !samples.is_empty() && samples.iter().all(|value| value.is_nan()),
                        "{name}: {samples:?}"
                    );
                }
                (_, Unknown::Zero) => {
                    assert!(
                        !samples.is_empty() && !samples.iter().any(|value| value.is_nan()),
                        "{name}: {samples:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn no_name_stands_in_the_table_twice() {
    let mut seen = BTreeSet::new();
    for name in table::all().flat_map(|def| def.names) {
        assert!(seen.insert(*name), "{name}");
        assert!(
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
            "{name}"
        );
    }
}

#[test]
fn one_rollup_shows_no_chain_and_several_show_theirs_and_nothing_else_changes() {
    let one = empty(&[CHAIN]);
    assert!(one.samples.keys().all(|sample| !sample.contains("chain=")));
    let two = empty(&[CHAIN, OTHER]);
    assert_eq!(one.types, two.types);
    for def in table::all().filter(|def| def.scope == Scope::Chain && def.unknown != Unknown::Absent) {
        for name in def.names {
            for chain in ["chain=\"10\"", "chain=\"20\""] {
                let there = |sample: &&String| sample.starts_with(name) && sample.contains(chain);
                assert!(two.samples.keys().any(|sample| there(&sample)), "{name} {chain}");
            }
        }
    }
    assert!(two.samples.contains_key("prooflog_up"));
}

#[test]
fn calls_and_answers_are_counted_under_the_names_of_both_older_programs_and_nobodys_words_become_labels() {
    let metrics = Metrics::new(&[CHAIN], Health::new(&[CHAIN], Duration::from_secs(30)));
    metrics.sent("eth_call");
    metrics.sent("eth_call");
    metrics.answered("eth_call", Duration::from_millis(20), None);
    metrics.answered("eth_call", Duration::from_secs(15), Some(CallFailure::Timeout));
    metrics.answered("a word\"} 1", Duration::ZERO, Some(CallFailure::Refused));
    metrics.served("metrics", Duration::from_millis(3));
    metrics.served("../../etc/passwd", Duration::ZERO);
    let exposed = Exposition::parse(&metrics.scrape(None, super::common::secs(0)));
    for prefix in ["op_succinct_proposer_default_", "op_proposer_default_"] {
        let value = |sample: &str| exposed.value(&format!("{prefix}{sample}"));
        assert_eq!(value("rpc_client_requests_total{method=\"eth_call\"}"), 2.0);
        assert_eq!(value("rpc_client_requests_total{method=\"eth_getLogs\"}"), 0.0);
        assert_eq!(value("rpc_client_responses_total{method=\"eth_call\",error=\"<nil>\"}"), 1.0);
        assert_eq!(value("rpc_client_responses_total{method=\"eth_call\",error=\"timeout\"}"), 1.0);
        assert_eq!(value("rpc_client_responses_total{method=\"other\",error=\"refused\"}"), 1.0);
        assert_eq!(value("rpc_client_request_duration_seconds_count{method=\"eth_call\"}"), 2.0);
        assert_eq!(
            value("rpc_client_request_duration_seconds_bucket{method=\"eth_call\",le=\"0.025\"}"),
            1.0
        );
        assert_eq!(value("rpc_server_requests_total{method=\"metrics\"}"), 1.0);
        assert_eq!(value("rpc_server_requests_total{method=\"other\"}"), 1.0);
        assert_eq!(value("rpc_server_request_duration_seconds_count{method=\"metrics\"}"), 1.0);
    }
    assert!(!exposed.samples.keys().any(|sample| sample.contains("word") || sample.contains("passwd")));
}

#[test]
fn no_input_makes_the_number_of_series_grow() {
    let mut world = World::new(&[CHAIN]);
    let before = world.scrape().samples.len();
    for number in 1..=50 {
        world.span(number, 100 + number, 101 + number);
    }
    world.metrics.observed(
        prooflog_observe::Observation::UnsafeHead {
            chain: OTHER,
            block: Some(prooflog_events::ids::L2Block(1)),
        },
        world.now,
    );
    assert_eq!(world.scrape().samples.len(), before);
}
