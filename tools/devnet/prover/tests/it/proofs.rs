//! Proofs from the first request to the bytes.

use prooflog_devnet_prover::{Generation, Hex, Kind, PublicValues, Script, Statement, aggregate, keccak};
use prooflog_events::ids::{Attempt, ChainId, L1Number, UnitKind};
use prooflog_events::input::{Input, ServerValidated, StatusAnswer, WitnessAnswer};
use prooflog_events::values::FailureClass;
use prooflog_prover::{Polled, ProofSource, Requested};

use crate::world::{AGG_VKEY, CHAIN, CHECKPOINT, ORACLE, World, agg, l1_hash, mock, root_of, span, unit};

#[tokio::test]
async fn a_span_is_requested_polled_and_delivered_with_everything_the_server_tells() {
    let world = World::new(Script { proving_ms: 100, ..Script::default() }).await;
    let requested = world.request(&span(10, 30)).await;
    let Requested::Taken { proof_id, l1_head } = requested.clone() else { unreachable!("{requested:?}") };
    assert_eq!(l1_head.unwrap().number, L1Number(40));
    let (input, blob) = requested.into_input(unit(UnitKind::Span), Attempt(1), L1Number(41));
    assert!(matches!(input, Input::WitnessAnswered(answered)
        if matches!(answered.answer, WitnessAnswer::Requested { l1_seen: L1Number(41), .. })));
    assert!(blob.is_none());

    let early = world.poll(&proof_id).await;
    assert!(matches!(early, Polled::State { fulfillment: 2, execution: 2, proof: None, .. }), "{early:?}");
    let stored = world.proof(&proof_id).await;
    let proof = world.store.read(stored).unwrap();
    assert_eq!(proof.len(), 5_000);
    let statement = Statement::verify(&proof).unwrap();
    assert_eq!((statement.start, statement.end), (10, 30));
    assert_eq!((statement.pre_root, statement.post_root), (root_of(10), root_of(30)));
    assert_eq!((statement.l1_number, statement.l1_hash), (40, l1_hash(40)));

    let (input, blob) =
        world.poll(&proof_id).await.into_input(unit(UnitKind::Span), Attempt(1), None).unwrap();
    let Input::StatusAnswered(answered) = input else { unreachable!() };
    let StatusAnswer::Status { fulfillment: 3, execution: 2, delivery: Some(delivery), .. } = answered.answer
    else {
        unreachable!()
    };
    assert_eq!(blob.unwrap().name, delivery.proof);
    assert_eq!(
        (delivery.selector, delivery.cycles, delivery.prover_gas),
        (None, Some(20_000_000), Some(420_000_000))
    );
    assert_eq!(delivery.cost.unwrap().0, 20_000_000_000_000_000);
    assert_eq!(delivery.l1_head.unwrap().number, L1Number(40));
}

#[tokio::test]
async fn the_server_of_today_without_optional_fields_is_understood() {
    let world = World::new(Script { optional_fields: false, idempotency: false, ..Script::default() }).await;
    let id = match world.request(&span(10, 30)).await {
        Requested::Taken { proof_id, l1_head: None } => proof_id,
        other => unreachable!("{other:?}"),
    };
    let Polled::State { proof: Some(proof), .. } = world.poll(&id).await else { unreachable!() };
    assert!(proof.cycles.is_none() && proof.cost.is_none() && proof.public_values.is_none());
    assert!(Statement::verify(&proof.blob.bytes).is_some());
}

#[tokio::test]
async fn bytes_may_come_as_base64() {
    let world = World::new(Script { base64: true, ..Script::default() }).await;
    let id = world.taken(&span(10, 30)).await;
    let Polled::State { proof: Some(proof), .. } = world.poll(&id).await else { unreachable!() };
    assert!(Statement::verify(&proof.blob.bytes).is_some());
}

#[tokio::test]
async fn an_aggregate_binds_the_public_values_of_each_generation() {
    for generation in [Generation::V1, Generation::V2, Generation::V3] {
        let world = World::of(generation, Script::default()).await;
        let members = world.members(&[10, 20, 35, 36]).await;
        let id = world.taken(&agg(members)).await;
        let Polled::State { proof: Some(proof), .. } = world.poll(&id).await else { unreachable!() };
        let values = PublicValues {
            l1_head: l1_hash(CHECKPOINT),
            pre_root: root_of(10),
            claim_root: root_of(36),
            claim_block: 36,
            rollup_config: Hex([0x33; 32]),
            range_vkey: Hex([0x22; 32]),
            prover: Hex([0x44; 20]),
        }
        .encode(generation);
        assert_eq!(values.len(), if generation == Generation::V1 { 192 } else { 224 });
        let selector = Hex([0x5a, 0x1e, 0x00, 0x01]);
        assert_eq!(proof.blob.bytes, aggregate(selector, AGG_VKEY, &values));
        assert_eq!(proof.blob.bytes[4..], keccak(&[&AGG_VKEY.0, &values]).0);
        assert_eq!(proof.public_values, Some(values));
        assert_eq!(proof.delivery(UnitKind::Agg).selector, Some(selector.0));
        assert_eq!(world.stats().times_paid(Kind::Agg, 10, 36), 1);
    }
}

async fn refused(world: &World, request: &prooflog_core::ProofRequest, words: &str) {
    match world.request(request).await {
        Requested::Failed { class: FailureClass::WitnessError, text } => {
            assert!(text.contains(words), "{text}")
        }
        other => unreachable!("{words}: {other:?}"),
    }
}

#[tokio::test]
async fn what_the_program_would_not_prove_is_refused() {
    let world = World::new(Script { idempotency: false, ..Script::default() }).await;
    let members = world.members(&[10, 20, 35, 50]).await;
    refused(&world, &agg(vec![members[0], members[2]]), "does not follow").await;
    refused(&world, &agg(vec![]), "no subproofs").await;
    let mut elsewhere = agg(members.clone());
    elsewhere.agg.as_mut().unwrap().head = prooflog_events::ids::Hash32([9; 32]);
    refused(&world, &elsewhere, "no L1 block has the hash").await;
    let mut below = agg(members.clone());
    below.agg.as_mut().unwrap().head = prooflog_events::ids::Hash32(l1_hash(39).0);
    refused(&world, &below, "above the head").await;
    world.outside.lock().unwrap().forked_from = 45;
    refused(&world, &agg(members.clone()), "no L1 block has the hash").await;
    let mut forked = agg(members);
    forked.agg.as_mut().unwrap().head =
        prooflog_events::ids::Hash32(keccak(&[b"fork", &CHECKPOINT.to_be_bytes()]).0);
    world.taken(&forked).await;
    world.outside.lock().unwrap().forked_from = 40;
    refused(&world, &forked, "is not on the chain").await;
}

#[tokio::test]
async fn mock_proofs_come_at_once_and_those_of_aggregates_are_empty() {
    let world = World::new(Script::default()).await;
    let Requested::Fulfilled(proof) = world.request(&mock(span(10, 30))).await else { unreachable!() };
    assert!(Statement::verify(&proof.blob.bytes).is_some());
    let member = world.store.put(proof.blob);
    let requested = world.request(&mock(agg(vec![member]))).await;
    let (input, blob) = requested.into_input(unit(UnitKind::Agg), Attempt(1), L1Number(41));
    let Input::WitnessAnswered(answered) = input else { unreachable!() };
    let WitnessAnswer::Fulfilled { delivery, .. } = answered.answer else { unreachable!("{answered:?}") };
    assert!(delivery.proof.is_empty() && blob.unwrap().bytes.is_empty());
    let stats = world.stats();
    assert_eq!((stats.mocked, stats.paid.len()), (2, 0));
}

#[tokio::test]
async fn a_mock_program_that_cannot_run_says_so() {
    let world = World::new(Script { max_blocks: 10, ..Script::default() }).await;
    let requested = world.request(&mock(span(10, 30))).await;
    assert!(
        matches!(requested, Requested::Failed { class: FailureClass::Unexecutable, .. }),
        "{requested:?}"
    );
}

#[tokio::test]
async fn commitments_are_compared_with_the_contract_of_each_generation() {
    for generation in [Generation::V1, Generation::V2, Generation::V3] {
        let world = World::of(generation, Script::default()).await;
        let validation = world.prover.validate(ORACLE).await;
        assert_eq!(validation.is_accepted(), Some(true), "{validation:?}");
        world.outside.lock().unwrap().agg_vkey = Hex([7; 32]);
        let rejected = world.prover.validate(ORACLE).await;
        let input = rejected.into_input(ChainId(CHAIN)).unwrap();
        let expected = ServerValidated {
            chain: ChainId(CHAIN),
            rollup_config_ok: true,
            agg_vkey_ok: false,
            range_vkey_ok: true,
        };
        assert_eq!(input, Input::ServerValidated(expected));
    }
}
