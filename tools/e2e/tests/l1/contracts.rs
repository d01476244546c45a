//! The contracts: generations, ways of submitting, optimistic mode, keys and code that change under way, roots that do
//! not agree, outputs that are deleted.

use prooflog_devnet::{Address, B256, Commitments, DevnetConfig, Generation, Oracle, Proofs, keccak256};
use prooflog_devnet_node::{Lie, Step};
use prooflog_devnet_prover::{CallKind, Fault, FaultKind, Kind};
use prooflog_e2e::World;
use serde_json::{Value, json};

use crate::{confirm, is, of_agg, pass, prepared_for, ready, since, slow};

/// A key that the server does not have.
const OTHER: B256 = B256::repeat_byte(0x77);
/// No events.
const NOTHING: [Value; 0] = [];

#[tokio::test(flavor = "multi_thread")]
async fn every_generation_takes_our_submissions_directly_and_through_its_factory() {
    const BOND: u128 = 10_000_000_000_000_000;
    let generations = [Generation::V1, Generation::V2, Generation::V3];
    let direct = generations.map(|generation| (generation, None));
    let through_factory = generations.map(|generation| (generation, Some(BOND)));
    let kinds = [direct, through_factory].concat();
    let config = DevnetConfig { rollups: 6, kinds: kinds.clone(), ..ready() };
    let mut world = World::start(config, "").await;
    let rollups = world.devnet.rollups.clone();
    for rollup in &rollups {
        let streams = format!("agg-{}-", rollup.chain);
        world.wait_for(0, &format!("SubmissionConfirmed of {streams}"), |event| {
            is(event, "SubmissionConfirmed") && event["stream"].as_str().unwrap().starts_with(&streams)
        });
    }
    for (rollup, (generation, bond)) in rollups.iter().zip(kinds) {
        let ours = |event: &&Value| {
            prepared_for(event, "submission")
                && event["data"]["purpose"]["submission"]["agg"]["chain"] == json!(rollup.chain)
        };
        let call = &world.story().events().iter().find(ours).unwrap()["data"]["call"];
        let to = if generation == Generation::V3 { None } else { rollup.factory };
        let to = to.unwrap_or(rollup.oracle).to_string().to_lowercase();
        assert_eq!((&call["to"], &call["value"]), (&json!(to), &json!(bond.unwrap_or(0).to_string())));
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn optimistic_mode_is_held_what_is_in_flight_is_collected_and_it_goes_on_with_proofs() {
    let mut world = World::new(slow(3_000, 400), "").await;
    let (sender, owner, oracle) = (world.devnet.sender(), world.devnet.parts.owner, world.rollup.oracle);
    let on = Oracle::enableOptimisticModeCall { period: "60".parse().unwrap() };
    let off = Oracle::disableOptimisticModeCall { period: "60".parse().unwrap() };
    sender.call(owner, oracle, &on).await.unwrap();
    world.run(&[]);
    world.wait("FinalizedMoved", 2);
    assert_eq!(world.requests(), 0, "nothing is bought");

    sender.call(owner, oracle, &off).await.unwrap();
    world.wait("ProofRequested", 4);
    sender.call(owner, oracle, &on).await.unwrap();
    world.wait("ContractObserved", 3);
    let from = world.mark();
    world.wait("ProofFulfilled", 4);
    pass(&mut world, 2);
    let begun = ["WitnessGenStarted", "CheckpointStarted", "SubmissionStarted"];
    assert!(begun.iter().all(|name| since(&world, from, name).is_empty()), "{:?}", world.story().counts());

    sender.call(owner, oracle, &off).await.unwrap();
    confirm(&mut world);
    assert_eq!(world.stats().paid_twice(), [], "what was collected is used");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn optimistic_mode_is_submitted_without_proof_where_the_policy_says_so() {
    let mut world = World::new(ready(), "optimistic = \"submit\"").await;
    let (sender, owner, oracle) = (world.devnet.sender(), world.devnet.parts.owner, world.rollup.oracle);
    let on = Oracle::enableOptimisticModeCall { period: "60".parse().unwrap() };
    sender.call(owner, oracle, &on).await.unwrap();
    world.run(&[]);
    world.wait("ContractAdvanced", 3);
    assert_eq!(world.requests(), 0, "nothing is bought");
    let blocks: Vec<u64> = since(&world, 0, "ContractAdvanced")
        .iter()
        .map(|event| event["data"]["latest"]["block"].as_u64().unwrap())
        .take(3)
        .collect();
    assert_eq!(blocks, [2, 12, 22], "exactly the next block, each time");
    let off = Oracle::disableOptimisticModeCall { period: "60".parse().unwrap() };
    sender.call(owner, oracle, &off).await.unwrap();
    confirm(&mut world);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_key_rotated_while_proofs_are_in_flight_stops_the_buying_until_the_server_has_it() {
    let mut world = World::start(slow(2_000, 400), "").await;
    world.wait("ProofRequested", 4);
    let (sender, owner, oracle) = (world.devnet.sender(), world.devnet.parts.owner, world.rollup.oracle);
    let rotate = |key| Oracle::updateRangeVkeyCommitmentCall { key };
    sender.call(owner, oracle, &rotate(OTHER)).await.unwrap();
    let rejected = world.wait("ContractConfigRejected", 1);
    assert_eq!(rejected["data"]["range_vkey_ok"], false, "{rejected}");
    world.wait_for(0, "Invalidated for its commitments", |event| {
        is(event, "Invalidated") && event["data"]["reason"] == "commitments"
    });
    let from = world.mark();
    pass(&mut world, 2);
    assert_eq!(since(&world, from, "WitnessGenStarted"), NOTHING);
    sender.call(owner, oracle, &rotate(Commitments::default().range_vkey)).await.unwrap();
    confirm(&mut world);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregation_key_rotated_while_an_aggregate_is_proven_costs_that_aggregate_alone() {
    let config = DevnetConfig { generation: Generation::V3, ..slow(400, 4_000) };
    let mut world = World::start(config, "").await;
    let requested = world.wait_for(0, "an aggregate's ProofRequested", |e| of_agg(e, "ProofRequested"));
    let (sender, owner, oracle) = (world.devnet.sender(), world.devnet.parts.owner, world.rollup.oracle);
    let keys = Commitments::default();
    let config = |aggregation| Oracle::addOpSuccinctConfigCall {
        name: keccak256("opsuccinct_genesis"),
        config: keys.rollup_config,
        aggregation,
        range_: keys.range_vkey,
    };
    sender.call(owner, oracle, &config(OTHER)).await.unwrap();
    let rejected = world.wait("ContractConfigRejected", 1);
    let ok = |key: &str| rejected["data"][key].as_bool();
    assert_eq!((ok("agg_vkey_ok"), ok("range_vkey_ok")), (Some(false), Some(true)), "{rejected}");
    world.wait_for(0, "Invalidated aggregate", |event| {
        of_agg(event, "Invalidated") && event["stream"] == requested["stream"]
    });
    sender.call(owner, oracle, &config(keys.aggregation_vkey)).await.unwrap();
    confirm(&mut world);
    let spans = world.stats().paid_twice();
    assert!(spans.iter().all(|paid| paid.kind != Kind::Span), "{spans:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_implementation_changed_behind_the_proxy_is_found_and_served_with_what_was_proven() {
    let mut world = World::start(slow(400, 2_000), "").await;
    world.wait_for(0, "an aggregate's ProofRequested", |event| of_agg(event, "ProofRequested"));
    let (sender, owner, oracle) = (world.devnet.sender(), world.devnet.parts.owner, world.rollup.oracle);
    let keys = Commitments::default();
    let implementation = sender.deploy_implementation(owner, Generation::V3).await.unwrap();
    let add = Oracle::addOpSuccinctConfigCall {
        name: keccak256("opsuccinct_genesis"),
        config: keys.rollup_config,
        aggregation: keys.aggregation_vkey,
        range_: keys.range_vkey,
    };
    // The server is upgraded as well, so it agrees with the contract on both sides.
    let agrees =
        json!({ "rollup_config_hash_valid": true, "agg_vkey_valid": true, "range_vkey_valid": true });
    let body = FaultKind::Body { body: agrees.to_string() };
    world.faults(vec![Fault { call: Some(CallKind::Validate), range: None, times: None, kind: body }]);
    world.devnet.l1.hold().await.unwrap();
    let upgrade = Oracle::upgradeToCall { implementation };
    let no_factory = Oracle::setDisputeGameFactoryCall { factory: Default::default() };
    sender.submit_call(owner, oracle, &upgrade, json!({})).await.unwrap();
    sender.submit_call(owner, oracle, &add, json!({})).await.unwrap();
    sender.submit_call(owner, oracle, &no_factory, json!({})).await.unwrap();
    world.devnet.l1.mine(1).await.unwrap();
    world.devnet.l1.go_on(1).await.unwrap();
    let observed = world.wait_for(0, "ContractObserved with the third generation", |event| {
        is(event, "ContractObserved") && event["data"]["values"]["generation"] == "v3"
    });
    let found = &observed["data"]["values"]["implementation"];
    assert_eq!(found, &json!(implementation.to_string().to_lowercase()));
    let from = world.mark();
    world.wait_for(from, "SubmissionConfirmed", |event| is(event, "SubmissionConfirmed"));
    let paid = world.stats().paid_twice();
    assert!(paid.iter().all(|paid| paid.kind != Kind::Span), "{paid:?}");
    world.end().await;
}

/// Points the proxy of the oracle at other code.
async fn point_at(world: &World, implementation: Address) {
    let (owner, oracle) = (world.devnet.parts.owner, world.rollup.oracle);
    world.devnet.sender().call(owner, oracle, &Oracle::upgradeToCall { implementation }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_implementation_that_is_not_known_is_named_and_gets_no_transaction_until_it_is_one_again() {
    let mut world = World::start(ready(), "max-members = 1").await;
    confirm(&mut world);
    let observed = since(&world, 0, "ContractObserved");
    let known = &observed.last().unwrap()["data"]["values"]["implementation"];
    let known: Address = known.as_str().unwrap().parse().unwrap();
    let strange =
        world.devnet.sender().deploy_verifier(world.devnet.parts.owner, Proofs::Empty).await.unwrap();
    point_at(&world, strange).await;
    // Whatever was simulated before the change has left after two further blocks.
    pass(&mut world, 3);
    let from = world.mark();
    pass(&mut world, 8);
    assert_eq!(since(&world, from, "TxReserved"), NOTHING, "a transaction to a contract that is not known");
    let printed = world.setup.printed();
    assert!(printed.contains("is none of the generations that we know"), "{printed}");
    let failures = "prooflog_effect_failures_total{kind=\"read_contract\",class=\"other\"}";
    assert!(world.setup.metrics().unwrap().value(failures) > Some(0.0), "{:?}", world.setup.metrics());
    // A start and the doctor find it as well, and say what they found.
    world.stop();
    let doctor = world.setup.run(&["doctor", "--config", world.setup.config.to_str().unwrap()]).unwrap();
    let shown = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert_eq!(doctor.status.code(), Some(6), "{shown}");
    assert!(shown.contains("is none of the generations that we know"), "{shown}");
    world.run(&[]);
    world.wait("EngineStarted", 2);
    world.unready("is none of the generations that we know");
    assert_eq!(since(&world, from, "TxReserved"), NOTHING);
    point_at(&world, known).await;
    confirm(&mut world);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_disagrees_with_the_contract_buys_nothing_and_names_both_roots() {
    let mut world = World::new(ready(), "").await;
    world.devnet.node.script(None, &Step::Lie { block: 2, how: Lie::OtherState }).unwrap();
    world.run(&[]);
    let found = world.wait("OutputMismatched", 1);
    let contract = world.devnet.outputs(&world.rollup).await.unwrap().last().unwrap().outputRoot;
    let node = world.devnet.root(&world.rollup, 2).await.unwrap();
    assert_ne!(contract, node);
    assert_eq!(found["data"]["contract"], json!(contract));
    assert_eq!(found["data"]["nodes"][0]["root"], json!(node));
    let degraded = world.wait("DegradedModeEntered", 1).to_string();
    assert!([contract, node].iter().all(|root| degraded.contains(&root.to_string())), "{degraded}");
    pass(&mut world, 2);
    assert_eq!(world.requests(), 0);
    world.devnet.node.script(None, &Step::Truth { block: 2 }).unwrap();
    confirm(&mut world);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_deleted_by_the_challenger_hold_submission_until_an_operator_resumes_with_the_same_proofs() {
    let mut world = World::start(ready(), "max-members = 1").await;
    world.wait("SubmissionConfirmed", 2);
    let from = world.mark();
    let delete = Oracle::deleteL2OutputsCall { index: "1".parse().unwrap() };
    let (sender, challenger) = (world.devnet.sender(), world.devnet.parts.challenger);
    sender.call(challenger, world.rollup.oracle, &delete).await.unwrap();
    let rolled = world.wait("ContractRolledBack", 1);
    assert_eq!(
        (&rolled["data"]["cause"], &rolled["data"]["latest"]["block"]),
        (&json!("outputs_deleted"), &json!(2))
    );
    world.wait("Paused", 1);
    let held = world.mark();
    pass(&mut world, 3);
    assert_eq!(since(&world, held, "SubmissionStarted"), NOTHING);
    world.command(&["resume", "submitting", "--note", "looked at it"]);
    let resumed = world.wait_for(from, "Resumed", |event| is(event, "Resumed"));
    assert_eq!(resumed["actor"], "operator:tester");
    confirm(&mut world);
    assert!(!since(&world, from, "Restored").is_empty(), "what was proven is of use again");
    let twice = world.stats().paid_twice();
    assert!(twice.iter().all(|paid| paid.kind != Kind::Span), "{twice:?}");
    world.end().await;
}
