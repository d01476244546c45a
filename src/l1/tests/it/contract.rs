//! The oracle at one head and at confirmation depth.

use prooflog_events::ids::{Address, Hash32, L1Number, L1Ref, L2Block, Wei};
use prooflog_events::values::{Anchor, Generation};
use prooflog_l1::{Approval, L1Error, Terms, VerifierKind};
use serde_json::{Value, json};

use crate::fake::{FACTORY, IMPLEMENTATION, Node, ORACLE, Output, SENDER, V1, VERIFIER, World};
use crate::{contract, fresh, l1, one};

fn proposed(world: &World, output: usize, tx: [u8; 32]) -> Value {
    let found = world.outputs[output];
    let topic = alloy::primitives::keccak256("OutputProposed(bytes32,uint256,uint256,uint256)");
    json!({
        "address": ORACLE, "blockNumber": format!("{:#x}", found.since), "transactionHash": Hash32(tx),
        "topics": [topic.to_string(), Hash32(found.root), format!("0x{output:064x}"), format!("0x{:064x}", found.l2)],
    })
}

fn deleted(block: u64) -> Value {
    let topic = alloy::primitives::keccak256("OutputsDeleted(uint256,uint256)");
    json!({ "address": ORACLE, "blockNumber": format!("{block:#x}"), "topics": [topic.to_string()] })
}

fn submitted(world: &mut World, tx: [u8; 32]) {
    world.logs.push(proposed(world, world.outputs.len() - 1, tx));
    let tx_body = crate::fake::Tx { block: None, status: 1, gas: 0, gas_used: 0 };
    world.txs.insert(Hash32(tx), tx_body);
}

#[tokio::test]
async fn everything_is_read_at_the_head_and_at_depth() {
    let mut world = World::new();
    submitted(&mut world, [0xcc; 32]);
    world.checkpoints.insert(80, [8; 32]);
    let node = Node::new(world);
    let l1 = one(&node).await;
    let mut ask = contract();
    ask.checkpoints = vec![L1Number(80), L1Number(81)];
    ask.canonical = vec![L1Number(40), L1Number(4_000)];
    let read = l1.read_contract(&ask).await.unwrap();

    let hash = |number| node.with(|world| world.hash(number));
    assert_eq!(read.at.block, L1Ref { number: L1Number(100), hash: hash(100) });
    assert_eq!((read.at.base_fee, read.at.tip, read.at.time.0), (Wei(7), Wei(2), 2_200_000_000));
    assert_eq!(read.latest, Some(Anchor { index: 1, root: Hash32([2; 32]), block: L2Block(1_100) }));
    assert_eq!(read.next_block, L2Block(1_150));
    assert_eq!(read.confirmed_at, L1Ref { number: L1Number(90), hash: hash(90) });
    assert_eq!(read.confirmed, Some(Anchor { index: 0, root: Hash32([1; 32]), block: L2Block(1_000) }));
    assert_eq!(read.latest_by, Some((Hash32([0xcc; 32]), SENDER)));
    assert!(!read.outputs_deleted);
    assert_eq!(read.checkpoint(L1Number(80)), Some(Hash32([8; 32])));
    assert_eq!(read.checkpoint(L1Number(81)), None);
    assert_eq!(read.checkpoints.len(), 2, "nothing stored is an answer too");
    assert_eq!(read.canonical, [L1Ref { number: L1Number(40), hash: hash(40) }], "4000 lies above the head");
    let values = read.values;
    assert_eq!((values.generation, values.implementation), (Generation::V2, IMPLEMENTATION));
    assert_eq!(values.agg_vkey, Hash32([0xa1; 32]));
    assert_eq!((values.submission_interval, values.finalization_secs), (50, 3_600));
    assert_eq!((values.verifier, values.approved, values.optimistic), (VERIFIER, true, false));
    assert_eq!((values.factory, values.bond), (None, Wei(0)));
}

#[tokio::test]
async fn an_oracle_without_outputs_is_a_state_and_no_error() {
    let mut world = World::new();
    world.outputs.clear();
    let node = Node::new(world);
    let read = one(&node).await.read_contract(&contract()).await.unwrap();
    assert_eq!((read.latest, read.confirmed, read.latest_by), (None, None, None));
    assert_eq!(read.next_block, L2Block(950));
}

#[tokio::test]
async fn the_third_generation_is_read_by_config_name_with_its_factory_and_fallback() {
    let mut world = World::new().third();
    world.factory = Some(FACTORY);
    world.approved.clear();
    let node = Node::new(world);
    let l1 = one(&node).await;
    let read = l1.read_contract(&contract()).await.unwrap();
    assert_eq!(read.values.generation, Generation::V3);
    assert_eq!(read.values.range_vkey, Hash32([0xb2; 32]));
    assert_eq!((read.values.factory, read.values.bond), (Some(FACTORY), Wei(77)));
    assert!(!read.values.approved, "60 s after the last output, 600 s before the fallback");
    node.with(|world| world.mine(60));
    assert!(l1.read_contract(&contract()).await.unwrap().values.approved, "the fallback is open");
}

#[tokio::test]
async fn a_configured_factory_holds_where_the_oracle_names_none() {
    let mut world = World::new();
    world.version = "v1.0.0".into();
    world.submit = V1;
    let node = Node::new(world);
    let mut ask = contract();
    ask.terms.factory = Some(FACTORY);
    let read = one(&node).await.read_contract(&ask).await.unwrap();
    assert_eq!(read.values.generation, Generation::V1);
    assert_eq!((read.values.factory, read.values.bond), (Some(FACTORY), Wei(77)));
    assert!(!read.values.approved, "behind a factory the first generation sees the game, not the sender");
}

#[tokio::test]
async fn another_contract_is_refused_and_named() {
    let mut world = World::new();
    world.version = "v9.9.9".into();
    let node = Node::new(world);
    let error = one(&node).await.read_contract(&contract()).await.unwrap_err();
    assert!(matches!(error, L1Error::Unsupported { .. }) && error.to_string().contains("v9.9.9"), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn an_upgrade_is_noticed_and_an_unchanged_contract_is_not_looked_at_again() {
    let node = Node::new(World::new());
    let l1 = one(&node).await;
    l1.read_contract(&contract()).await.unwrap();
    l1.read_contract(&contract()).await.unwrap();
    assert_eq!(node.with(|world| world.times("eth_getCode")), 1);
    node.with(|world| {
        world.version = "v3.0.0".into();
        world.submit = crate::fake::V3;
        world.implementation = Address([0x1b; 20]);
    });
    let read = l1.read_contract(&contract()).await.unwrap();
    assert_eq!((read.values.generation, read.values.implementation), (Generation::V3, Address([0x1b; 20])));
    assert_eq!(node.with(|world| world.times("eth_getCode")), 2);
}

#[tokio::test]
async fn a_hundred_rollups_share_one_head_and_few_requests() {
    let node = Node::new(World::new());
    let settings = prooflog_l1::Settings { head_max_age: std::time::Duration::from_secs(3_600), ..fresh() };
    let l1 = l1(&[node.serve().await], settings);
    l1.read_contract(&contract()).await.unwrap();
    let before = node.requests();
    let asks = vec![contract(); 100];
    let reads = futures_util::future::join_all(asks.iter().map(|ask| l1.read_contract(ask))).await;
    assert!(reads.into_iter().all(|read| read.is_ok()));
    assert_eq!(node.requests() - before, 100, "one request for each contract, none for the head");
    assert_eq!(l1.calls().made as usize, node.with(|world| world.asked.len()));
}

#[tokio::test]
async fn a_deletion_since_the_last_observation_is_told_from_a_reorg() {
    let mut world = World::new();
    submitted(&mut world, [0xcc; 32]);
    let node = Node::new(world);
    let l1 = one(&node).await;
    assert!(!l1.read_contract(&contract()).await.unwrap().outputs_deleted);
    node.with(|world| {
        world.mine(3);
        world.outputs.pop();
        world.logs.push(deleted(102));
    });
    let mut ask = contract();
    ask.since = Some(L1Number(100));
    let read = l1.read_contract(&ask).await.unwrap();
    assert_eq!(read.latest.unwrap().index, 0);
    assert!(read.outputs_deleted);
    assert!(l1.read_contract(&ask).await.unwrap().outputs_deleted, "until an observation is recorded");
    ask.since = Some(L1Number(103));
    assert!(!l1.read_contract(&ask).await.unwrap().outputs_deleted);
}

#[tokio::test]
async fn a_rollback_without_a_deletion_has_none() {
    let mut world = World::new();
    submitted(&mut world, [0xcc; 32]);
    let node = Node::new(world);
    let l1 = one(&node).await;
    l1.read_contract(&contract()).await.unwrap();
    node.with(|world| {
        world.reorg(94);
        world.outputs.pop();
        world.logs.clear();
    });
    let read = l1.read_contract(&contract()).await.unwrap();
    assert_eq!((read.latest.unwrap().index, read.outputs_deleted), (0, false));
}

#[tokio::test]
async fn logs_are_asked_for_in_ranges_that_the_endpoint_takes_and_only_after_a_change() {
    let mut world = World::new();
    world.log_range = 40;
    world.outputs[1].since = 5;
    world.outputs[0].since = 4;
    submitted(&mut world, [0xcc; 32]);
    let node = Node::new(world);
    let l1 = one(&node).await;
    let read = l1.read_contract(&contract()).await.unwrap();
    assert_eq!(read.latest_by, Some((Hash32([0xcc; 32]), SENDER)), "found in the lowest range");
    let asked = node.with(|world| world.times("eth_getLogs"));
    node.with(|world| world.mine(1));
    assert_eq!(l1.read_contract(&contract()).await.unwrap().latest_by, read.latest_by);
    assert_eq!(node.with(|world| world.times("eth_getLogs")), asked, "nothing changed");
    node.with(|world| {
        world.mine(1);
        world.outputs.push(Output { root: [3; 32], l2: 1_200, since: 102 });
        submitted(world, [0xdd; 32]);
    });
    assert_eq!(l1.read_contract(&contract()).await.unwrap().latest_by, Some((Hash32([0xdd; 32]), SENDER)));
    assert_eq!(node.with(|world| world.times("eth_getLogs")), asked + 1, "only what is new was searched");
}

#[tokio::test]
async fn logs_are_searched_on_read_by_read_where_the_endpoint_takes_one_block_at_a_time() {
    let mut world = World::new();
    world.log_range = 1;
    let node = Node::new(world);
    let l1 = one(&node).await;
    let mut ask = contract();
    ask.since = Some(L1Number(1));
    node.with(|world| world.logs.push(deleted(20)));
    let mut left = Vec::new();
    let read = loop {
        match l1.read_contract(&ask).await {
            Ok(read) => break read,
            Err(L1Error::Searching { left: more, .. }) => left.push(more),
            Err(error) => panic!("{error}"),
        }
        node.with(|world| world.mine(1));
    };
    assert!(
        left.len() >= 2 && left.is_sorted_by(|a, b| a > b),
        "a deletion is neither told nor denied: {left:?}"
    );
    assert!(read.outputs_deleted);
    ask.since = Some(L1Number(20));
    assert!(!l1.read_contract(&ask).await.unwrap().outputs_deleted);
}

#[tokio::test]
async fn an_endpoint_without_logs_makes_way_for_one_that_has_them_and_denies_nothing() {
    let (mut world, other) = (World::new(), World::new());
    world.has_logs = false;
    let (node, other) = (Node::new(world), Node::new(other));
    let mut ask = contract();
    ask.since = Some(L1Number(50));
    let error = one(&node).await.read_contract(&ask).await.unwrap_err();
    assert!(error.to_string().contains("eth_getLogs"), "{error}");
    let both = l1(&[node.serve().await, other.serve().await], fresh());
    assert!(!both.read_contract(&ask).await.unwrap().outputs_deleted);
    ask.since = None;
    assert_eq!(
        one(&node).await.read_contract(&ask).await.unwrap().latest_by,
        None,
        "good to know, and no more"
    );
}

#[tokio::test]
async fn a_head_that_is_reorged_while_it_is_read_is_read_again() {
    let node = Node::new(World::new());
    let l1 = one(&node).await;
    let mut done = false;
    let start = node.requests();
    node.with(|world| {
        world.on_request = Some(Box::new(move |world| {
            if world.requests > start && !done {
                done = true;
                for fork in &mut world.blocks[50..] {
                    *fork += 1;
                }
            }
        }));
    });
    let read = l1.read_contract(&contract()).await.unwrap();
    let hash = |number| node.with(|world| world.hash(number));
    assert_eq!(read.at.block.hash, hash(100));
    assert_eq!(read.confirmed_at.hash, hash(90));
}

#[tokio::test]
async fn what_is_known_of_a_chain_is_forgotten_with_it() {
    let node = Node::new(World::new());
    let l1 = one(&node).await;
    let mut ask = contract();
    ask.canonical = vec![L1Number(40), L1Number(96)];
    l1.read_contract(&ask).await.unwrap();
    node.with(|world| {
        world.mine(1);
        world.reorg(95);
    });
    let read = l1.read_contract(&ask).await.unwrap();
    assert_eq!(read.canonical[1].hash, node.with(|world| world.hash(96)));
    let asked = node.with(|world| world.times("eth_getBlockByNumber"));
    node.with(|world| world.mine(1));
    l1.read_contract(&ask).await.unwrap();
    let again = node.with(|world| world.times("eth_getBlockByNumber")) - asked;
    assert_eq!(again, 3, "the head, the block at depth, and the head again: 40 and 96 are known");
}

#[tokio::test]
async fn a_node_that_serves_orphans_does_not_get_two_forks_into_one_read() {
    let node = Node::new(World::new());
    let settings = prooflog_l1::Settings { head_max_age: std::time::Duration::from_secs(3_600), ..fresh() };
    let l1 = l1(&[node.serve().await], settings);
    l1.read_contract(&contract()).await.unwrap();
    node.with(|world| {
        world.reorg(95);
        world.serves_orphans = true;
    });
    let mut ask = contract();
    ask.canonical = vec![L1Number(96)];
    let read = l1.read_contract(&ask).await.unwrap();
    let hash = |number| node.with(|world| world.hash(number));
    assert_eq!((read.at.block.hash, read.canonical[0].hash), (hash(100), hash(96)));
}

#[tokio::test]
async fn a_chain_that_never_stands_still_is_an_error_and_no_mix() {
    let node = Node::new(World::new());
    let l1 = one(&node).await;
    node.with(|world| {
        world.on_request = Some(Box::new(|world| {
            let last = world.blocks.len() - 1;
            world.blocks[last] = world.blocks[last].wrapping_add(1);
        }));
    });
    let error = l1.read_contract(&contract()).await.unwrap_err();
    assert!(matches!(error, L1Error::Torn(_)), "{error}");
}

#[tokio::test]
async fn an_endpoint_that_takes_no_hashes_is_asked_by_number_and_checked_afterwards() {
    let mut world = World::new();
    world.takes_hashes = false;
    let node = Node::new(world);
    let l1 = one(&node).await;
    let read = l1.read_contract(&contract()).await.unwrap();
    assert_eq!(read.latest.unwrap().index, 1);
    let by_number = |world: &World| {
        let calls = world.asked.iter().filter(|(method, _)| method == "eth_call");
        calls.filter(|(_, params)| params[1].is_string()).count()
    };
    assert!(node.with(|world| by_number(world)) > 10);
    // The block changes right after it was asked by number.
    let start = node.requests();
    let mut done = false;
    node.with(|world| {
        world.on_request = Some(Box::new(move |world| {
            if world.requests == start + 2 && !done {
                done = true;
                let last = world.blocks.len() - 1;
                world.blocks[last] += 1;
            }
        }));
    });
    let read = l1.read_contract(&contract()).await.unwrap();
    assert_eq!(read.at.block.hash, node.with(|world| world.hash(100)), "what was read before is thrown away");
}

#[tokio::test]
async fn an_endpoint_without_batches_is_asked_one_by_one() {
    let mut world = World::new();
    world.takes_batches = false;
    let node = Node::new(world);
    assert_eq!(one(&node).await.read_contract(&contract()).await.unwrap().latest.unwrap().index, 1);
}

#[tokio::test]
async fn the_doctor_sees_everything_at_once() {
    let mut world = World::new().third();
    world.factory = Some(FACTORY);
    world.mock_verifier = true;
    let node = Node::new(world);
    let l1 = one(&node).await;
    let other = Address([0xfb; 20]);
    let terms = Terms { sender: SENDER, config_name: Hash32::ZERO, factory: Some(other) };
    let report = l1.inspect(ORACLE, &terms).await.unwrap();
    assert_eq!(report.verifier_kind, VerifierKind::Mock);
    assert_eq!(report.approval, Approval::Sender);
    assert_eq!((report.factory, report.factory_mismatch, report.bond), (Some(FACTORY), Some(other), Wei(77)));
    assert_eq!(report.interface.version, "v3.0.0");
    assert_eq!(report.clock, (L2Block(900), 500, 2));
    assert_eq!(report.next_block, (L2Block(1_150), 1_000));
    assert_eq!(l1.identity().await.unwrap().genesis, node.with(|world| world.hash(0)));
    assert_eq!(l1.balance(SENDER).await.unwrap(), Wei(5_000_000));
    assert_eq!(l1.code_size(SENDER).await.unwrap(), 0);
    node.with(|world| world.mock_verifier = false);
    assert_eq!(l1.verifier_kind(VERIFIER).await.unwrap(), VerifierKind::Real("InvalidProof()".into()));
    assert_eq!(l1.verifier_kind(SENDER).await.unwrap(), VerifierKind::Missing);
}
