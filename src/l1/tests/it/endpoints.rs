//! Several endpoints, some of which cannot be believed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use prooflog_events::ids::{L1ChainId, L1Number};
use prooflog_l1::{L1Error, Settings};

use crate::fake::{Node, World};
use crate::{contract, fresh, l1, one};

fn shared(world: World) -> Arc<Mutex<World>> {
    Arc::new(Mutex::new(world))
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_passed_over_and_left_alone() {
    let node = Node::new(World::new());
    let l1 = l1(&["http://127.0.0.1:1/secret-path".into(), node.serve().await], fresh());
    assert!(l1.read_contract(&contract()).await.is_ok());
    assert!(l1.read_contract(&contract()).await.is_ok());
    let [down, up] = l1.endpoints().try_into().unwrap();
    assert!(down.distrusted.is_some() && up.distrusted.is_none());
    assert_eq!((down.calls, down.failed), (3, 3), "asked once");
    assert!(!format!("{down:?}").contains("secret"));
}

#[tokio::test]
async fn an_endpoint_of_another_chain_is_never_believed() {
    let mut world = World::new();
    world.chain = 5;
    let wrong = Node::new(world);
    let error = one(&wrong).await.head().await.unwrap_err();
    let L1Error::WrongChain { expected, found, .. } = &error else { panic!("{error}") };
    assert_eq!((*expected, *found), (L1ChainId(1), 5));
    assert!(!error.to_string().contains("secret"));

    let right = Node::new(World::new());
    let l1 = l1(&[wrong.serve().await, right.serve().await], fresh());
    assert_eq!(l1.head().await.unwrap().block.hash, right.with(|world| world.hash(100)));
}

#[tokio::test]
async fn an_endpoint_that_lags_behind_the_others_is_left_alone() {
    let world = shared(World::new());
    let (stale, good) = (Node::of(&world, &[10]), Node::of(&world, &[0]));
    let l1 = l1(&[stale.serve().await, good.serve().await], fresh());
    assert_eq!(l1.head().await.unwrap().block.number, L1Number(100));
    let reason = l1.endpoints()[0].distrusted.clone().unwrap();
    assert!(reason.contains("lags"), "{reason}");
}

#[tokio::test]
async fn an_endpoint_on_another_fork_is_outvoted() {
    let mut fork = World::new();
    fork.reorg(100);
    let (alone, one, two) = (Node::new(fork), Node::new(World::new()), Node::new(World::new()));
    let l1 = l1(&[alone.serve().await, one.serve().await, two.serve().await], fresh());
    assert_eq!(l1.head().await.unwrap().block.hash, one.with(|world| world.hash(100)));
    assert!(l1.endpoints()[0].distrusted.clone().unwrap().contains("disagrees"));
}

#[tokio::test]
async fn an_endpoint_on_another_fork_that_is_ahead_is_outvoted_at_the_block_that_all_have() {
    for ahead in [1, 2, 3] {
        let mut fork = World::new();
        fork.reorg(90);
        fork.mine(ahead);
        let (alone, one, two) = (Node::new(fork), Node::new(World::new()), Node::new(World::new()));
        let l1 = l1(&[alone.serve().await, one.serve().await, two.serve().await], fresh());
        assert_eq!(l1.head().await.unwrap().block.hash, one.with(|world| world.hash(100)));
        assert!(l1.endpoints()[0].distrusted.clone().unwrap().contains("disagrees"));
        // Of two, the one that is named first is believed, whoever is ahead.
        let l1 = self::l1(&[one.serve().await, alone.serve().await], fresh());
        assert_eq!(l1.head().await.unwrap().block.hash, one.with(|world| world.hash(100)));
        assert!(l1.endpoints()[1].distrusted.clone().unwrap().contains("disagrees"));
    }
}

#[tokio::test]
async fn an_honest_endpoint_that_is_a_block_ahead_is_believed() {
    let world = shared(World::new());
    let (behind, ahead) = (Node::of(&world, &[2]), Node::of(&world, &[0]));
    let l1 = l1(&[behind.serve().await, ahead.serve().await], fresh());
    l1.head().await.unwrap();
    assert!(l1.endpoints().iter().all(|endpoint| endpoint.distrusted.is_none()));
}

#[tokio::test]
async fn one_stale_backend_behind_a_load_balancer_never_looks_like_a_rollback() {
    let world = shared(World::new());
    let balancer = Node::of(&world, &[0, 3, 0, 7, 0, 10, 0, 2]);
    let l1 = l1(&[balancer.serve().await], fresh());
    let mut highest = L1Number(0);
    let mut read = 0;
    for _ in 0..100 {
        if let Ok(found) = l1.read_contract(&contract()).await {
            assert!(found.at.block.number >= highest, "{} after {highest}", found.at.block.number);
            assert_eq!(found.latest.unwrap().index, 1, "the block 95 was seen");
            highest = found.at.block.number;
            read += 1;
        }
        world.lock().unwrap().mine(1);
    }
    assert!(read == 100, "{read} of 100 reads came through");
}

#[tokio::test]
async fn a_chain_that_really_went_back_is_believed_after_a_while() {
    let node = Node::new(World::new());
    let settings = Settings { distrust: Duration::ZERO, ..fresh() };
    let patient = one(&node).await;
    let quick = l1(&[node.serve().await], settings);
    patient.head().await.unwrap();
    quick.head().await.unwrap();
    node.with(|world| world.blocks.truncate(91));
    let error = patient.head().await.unwrap_err();
    assert_eq!(error, L1Error::Backwards { seen: L1Number(100), found: L1Number(90) });
    assert_eq!(quick.head().await.unwrap().block.number, L1Number(90));
}

#[tokio::test]
async fn a_read_moves_to_the_next_endpoint_when_its_own_fails() {
    let mut broken = World::new();
    let refusal = (-32000, "missing trie node".to_owned(), None);
    broken.refuse_call.insert(crate::fake::selector("verifier()"), refusal);
    let (first, second) = (Node::new(broken), Node::new(World::new()));
    let l1 = l1(&[first.serve().await, second.serve().await], fresh());
    assert!(l1.read_contract(&contract()).await.is_ok());
    assert!(l1.endpoints()[0].distrusted.clone().unwrap().contains("missing trie node"));
}

#[tokio::test]
async fn where_states_are_thrown_away_a_pinned_head_that_is_too_old_is_replaced_as_a_whole() {
    let mut world = World::new();
    world.keeps_state = 64;
    let node = Node::new(world);
    // The head counts as fresh for an hour, and the chain goes on for two: as for a machine that stood still.
    let l1 = l1(&[node.serve().await], Settings { head_max_age: Duration::from_secs(3_600), ..fresh() });
    assert_eq!(l1.read_contract(&contract()).await.unwrap().at.block.number, L1Number(100));
    node.with(|world| world.mine(600));
    let read = l1.read_contract(&contract()).await.unwrap();
    let hash = |number| node.with(|world| world.hash(number));
    assert_eq!((read.at.block.number, read.at.block.hash), (L1Number(700), hash(700)));
    assert_eq!((read.confirmed_at.number, read.confirmed_at.hash), (L1Number(690), hash(690)));
    assert!(l1.endpoints()[0].distrusted.is_none(), "the endpoint did nothing wrong");

    // A depth at which no state is kept is an error that says so, each time, and never half a read.
    let mut deep = contract();
    deep.confirmations = 65;
    for _ in 0..2 {
        let error = l1.read_contract(&deep).await.unwrap_err();
        assert!(error.to_string().contains("missing trie node"), "{error}");
    }
    assert!(l1.read_contract(&contract()).await.is_ok());
}
