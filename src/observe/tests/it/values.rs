//! What the numbers say, and that they say nothing when they cannot be known.

use std::time::Duration;

use prooflog_events::event::*;
use prooflog_events::ids::*;
use prooflog_events::values::*;
use prooflog_observe::{About, CallFailure, EffectKind, Health, Metrics, Observation};

use super::common::*;

fn close(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-6, "{found} and not {wanted}");
}

#[test]
fn lag_follows_from_the_contract_and_the_head_once_the_block_time_is_known() {
    let mut world = World::new(&[CHAIN]);
    world.read_contract();
    world.read_node(400);
    let scrape = world.scrape();
    close(scrape.value("prooflog_settlement_lag_blocks"), 300.0);
    assert!(scrape.value("prooflog_settlement_lag_seconds").is_nan(), "one timestamp tells no block time");
    world.read_node(410);
    let scrape = world.scrape();
    close(scrape.value("prooflog_settlement_lag_seconds"), 620.0);
    // Block 101 is 2 * 299 seconds older than block 400, which is ten minutes old.
    close(scrape.value("prooflog_oldest_unsettled_age_seconds"), 1_198.0);
    close(scrape.value("succinct_latest_contract_l2_block"), 100.0);
    close(scrape.value("op_succinct_proposer_default_min_block_to_prove_to_agg"), 200.0);
    close(scrape.value("op_proposer_default_txmgr_basefee_wei"), 7e9);
}

#[test]
fn nothing_unsettled_has_age_zero() {
    let mut world = World::new(&[CHAIN]);
    world.read_contract();
    world.read_node(100);
    close(world.scrape().value("prooflog_oldest_unsettled_age_seconds"), 0.0);
}

#[test]
fn a_reading_that_is_old_or_failed_is_nan_and_not_what_it_was() {
    let mut world = World::new(&[CHAIN]);
    world.read_contract();
    world.read_node(400);
    world.now = secs(601);
    let old = world.scrape();
    assert!(old.value("succinct_l2_finalized_block").is_nan());
    assert!(old.value("prooflog_settlement_lag_blocks").is_nan());
    assert!(old.value("op_succinct_proposer_default_latest_contract_l2_block").is_nan());

    world.read_node(401);
    close(world.scrape().value("succinct_l2_finalized_block"), 401.0);
    world.metrics.effect(EffectKind::ReadNode, About::Chain(CHAIN)).failed(CallFailure::Timeout);
    let failed = world.scrape();
    assert!(failed.value("succinct_l2_finalized_block").is_nan());
    close(failed.value("succinct_network_call_timeout_count"), 1.0);
    close(failed.value("prooflog_effect_failures_total{kind=\"read_node\",class=\"timeout\"}"), 1.0);
    close(failed.value("op_succinct_proposer_default_error_count{type=\"read_node\"}"), 1.0);
}

#[test]
fn without_a_state_everything_that_rests_on_it_is_nan() {
    let mut world = World::new(&[CHAIN]);
    world.read_contract();
    world.read_node(400);
    close(world.scrape().value("prooflog_parked_units{kind=\"span\"}"), 0.0);
    let dark = Exposition::parse(&world.metrics.scrape(None, world.now));
    close(dark.value("prooflog_state_read"), 0.0);
    assert!(dark.value("prooflog_parked_units{kind=\"span\"}").is_nan());
    assert!(dark.value("prooflog_settlement_lag_blocks").is_nan());
    close(dark.value("prooflog_events_total{type=\"ChainRegistered\"}"), 1.0);
}

#[test]
fn units_are_counted_by_phase_and_failures_by_reason() {
    let mut world = World::new(&[CHAIN]);
    let one = world.span(1, 100, 200);
    world.span(2, 200, 300);
    let (attempt, deadline) = (Attempt(1), secs(3_600));
    world.tell(one, WitnessGenStarted { attempt, try_number: 1, deadline });
    world.now = secs(30);
    let scrape = world.scrape();
    close(scrape.value("op_succinct_proposer_default_num_witness_gen"), 1.0);
    close(scrape.value("succinct_current_execute_proofs"), 0.0);
    close(scrape.value("succinct_current_unrequested_proofs"), 1.0);
    close(scrape.value("prooflog_oldest_attempt_age_seconds{kind=\"span\"}"), 30.0);
    close(scrape.value("prooflog_oldest_attempt_age_seconds{kind=\"agg\"}"), 0.0);

    world.tell(one, WitnessGenFailed { attempt, class: FailureClass::Unexecutable, text: "no".into() });
    world.tell(one, Parked { reason: ParkReason::Unsplittable, text: "look at it".into() });
    let scrape = world.scrape();
    close(scrape.value("prooflog_parked_units{kind=\"span\"}"), 1.0);
    close(scrape.value("prooflog_units{kind=\"span\",phase=\"parked\"}"), 1.0);
    close(scrape.value("op_succinct_proposer_default_witness_gen_failures{reason=\"unexecutable\"}"), 1.0);
    close(scrape.value("succinct_execution_error_count"), 1.0);
    close(scrape.value("succinct_range_proof_request_error_count"), 1.0);
    close(scrape.value("succinct_retry_error_count"), 0.0);
}

fn send_checkpoint(world: &mut World) -> (StreamId, StreamId) {
    let agg = unit(UnitKind::Agg, 1);
    let (agg_stream, slot) = (StreamId::Unit(agg), SlotId { signer: signer(), nonce: Nonce(5) });
    let range = Range { start: L2Block(100), end: L2Block(200) };
    let terms = AggTerms {
        commitments: commitments(),
        agg_vkey: Hash32([1; 32]),
        config_name: Hash32::ZERO,
        prover: signer().address,
        contract: Address([5; 20]),
    };
    world.span(1, 100, 200);
    world.tell(agg_stream, AggQueued { range, members: vec![1], terms });
    world.tell(agg_stream, CheckpointStarted { block: L1Number(900), bound: L1Number(900), slot });
    let purpose = Purpose::Checkpoint { agg, block: L1Number(900) };
    let call = Call { to: Address([5; 20]), value: Wei(0), calldata: Hash32([1; 32]) };
    let fees = Fees { max_fee: Wei(20), tip: Wei(1) };
    let stream = StreamId::Tx(slot);
    world.tell(stream, TxReserved { purpose, call, fees, gas_limit: 50_000 });
    for version in [TxVersion(1), TxVersion(2)] {
        if version == TxVersion(2) {
            world.now = secs(50);
            let reason = ReplaceReason::Stuck;
            world.tell(stream, TxReplaced { version, reason, purpose, call, fees, gas_limit: 50_000 });
        }
        let raw = BlobRef { sha256: Hash32([2; 32]), length: 100 };
        let hash = Hash32([3; 32]);
        world.tell(stream, TxPrepared { version, purpose, call, fees, gas_limit: 50_000, raw, hash });
        world.tell(stream, TxBroadcast { version, outcome: BroadcastOutcome::Accepted, text: String::new() });
    }
    (agg_stream, stream)
}

#[test]
fn a_replaced_transaction_is_as_old_as_its_first_version() {
    let mut world = World::new(&[CHAIN]);
    send_checkpoint(&mut world);
    world.now = secs(90);
    let scrape = world.scrape();
    close(scrape.value("prooflog_oldest_pending_transaction_age_seconds"), 90.0);
    close(scrape.value("op_proposer_default_txmgr_pending_txs"), 1.0);
    close(scrape.value("op_proposer_default_txmgr_current_nonce"), 6.0);
    close(scrape.value("op_proposer_default_txmgr_publish_total"), 2.0);
    // A process that starts now learns the same from the state.
    let later = Metrics::new(&[CHAIN], Health::new(&[CHAIN], Duration::from_secs(30)));
    later.recover(&world.state);
    let scrape = Exposition::parse(&later.scrape(Some(&world.state), world.now));
    close(scrape.value("prooflog_oldest_pending_transaction_age_seconds"), 90.0);
}

#[test]
fn fees_are_in_gwei_and_the_balance_lasts_for_so_many_submissions() {
    let mut world = World::new(&[CHAIN]);
    let (_, slot) = send_checkpoint(&mut world);
    let version = TxVersion(2);
    let fee_paid = Wei(2_000_000_000_000_000);
    world.tell(slot, TxIncluded { version, hash: Hash32([3; 32]), block: l1(1_001), gas_used: 1, fee_paid });
    world.now = secs(60);
    world.tell(slot, TxConfirmed { version, block: l1(1_001) });
    let balance = Some(Wei(1_000_000_000_000_000_000));
    world.metrics.observed(Observation::Balance { signer: signer(), balance }, world.now);
    let scrape = world.scrape();
    close(scrape.value("op_proposer_default_txmgr_tx_fee_gwei"), 2_000_000.0);
    close(scrape.value("op_proposer_default_txmgr_tx_fee_histogram_gwei_count"), 1.0);
    close(scrape.value("op_proposer_default_txmgr_tx_gas_bump"), 1.0);
    close(scrape.value("op_proposer_default_txmgr_confirm_total{status=\"success\"}"), 1.0);
    close(scrape.value("op_proposer_default_txmgr_tx_confirmed_latency_ms"), 60_000.0);
    close(scrape.value("op_succinct_proposer_default_balance"), 1.0);
    assert!(scrape.value("prooflog_submissions_left").is_nan(), "no submission was paid yet");
    close(scrape.value("prooflog_oldest_pending_transaction_age_seconds"), 0.0);
}

#[test]
fn an_unreadable_balance_is_nan_and_not_zero() {
    let world = World::new(&[CHAIN]);
    let balance = Some(Wei(5_000_000_000_000_000_000));
    world.metrics.observed(Observation::Balance { signer: signer(), balance }, world.now);
    close(world.scrape().value("prooflog_balance_ether"), 5.0);
    world.metrics.effect(EffectKind::ReadSigner, About::Signer(signer())).failed(CallFailure::Unreachable);
    assert!(world.scrape().value("prooflog_balance_ether").is_nan());
    close(world.scrape().value("op_proposer_default_txmgr_rpc_error_count"), 1.0);
}

#[test]
fn an_effect_is_under_way_until_its_value_is_dropped() {
    let world = World::new(&[CHAIN]);
    let poll = world.metrics.effect(EffectKind::PollProof, About::Chain(CHAIN));
    close(world.scrape().value("prooflog_effects_in_flight{kind=\"poll_proof\"}"), 1.0);
    poll.done();
    let scrape = world.scrape();
    close(scrape.value("prooflog_effects_in_flight{kind=\"poll_proof\"}"), 0.0);
    close(scrape.value("prooflog_effect_seconds_count{kind=\"poll_proof\"}"), 1.0);
    close(scrape.value("prooflog_effect_failures_total{kind=\"poll_proof\",class=\"timeout\"}"), 0.0);
}

#[test]
fn the_fallback_is_absent_until_a_contract_has_one() {
    let world = World::new(&[CHAIN]);
    assert!(!world.scrape().types.contains_key("prooflog_fallback_opens_seconds"));
    world.metrics.observed(Observation::FallbackOpens { chain: CHAIN, at: Some(secs(500)) }, world.now);
    close(world.scrape().value("prooflog_fallback_opens_seconds"), 500.0);
}

#[test]
fn every_type_of_event_is_counted_under_its_name() {
    let world = World::new(&[CHAIN]);
    let scrape = world.scrape();
    for kind in EventType::ALL {
        assert!(scrape.samples.contains_key(&format!("prooflog_events_total{{type=\"{}\"}}", kind.name())));
    }
    close(scrape.value("prooflog_log_head_position"), 5.0);
}
