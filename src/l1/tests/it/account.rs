//! The account and the fate of its transactions.

use prooflog_events::ids::{Hash32, L1ChainId, L1Number, L1Ref, Nonce, SignerId, TxVersion, Wei};
use prooflog_events::input::TxState;
use prooflog_events::values::{NonceState, RefusalClass};
use prooflog_l1::{L1Error, ReadSigner};

use crate::fake::{Node, Tx, World, selector};
use crate::{SIGNER, fresh, l1, one};

fn tx(block: Option<(u64, Hash32)>, status: u64) -> Tx {
    Tx { block, status, gas: 100_000, gas_used: 50_000 }
}

fn ask(hashes: &[[u8; 32]]) -> ReadSigner {
    let txs =
        (1..).zip(hashes).map(|(version, hash)| (Nonce(7), TxVersion(version), Hash32(*hash))).collect();
    ReadSigner { signer: SIGNER, confirmations: 10, txs }
}

#[tokio::test]
async fn the_account_is_read_at_the_head_and_at_depth() {
    let mut world = World::new();
    world.nonces = vec![(0, 7), (95, 8)];
    let node = Node::new(world);
    let read = one(&node).await.read_signer(&ask(&[])).await.unwrap();
    assert_eq!(read.nonce, NonceState { head: Nonce(8), confirmed: Nonce(7) });
    assert_eq!(read.balance, Wei(5_000_000));
    assert_eq!(read.at.block.number, L1Number(100));
}

#[tokio::test]
async fn a_transaction_is_unknown_pending_or_included_in_a_canonical_block() {
    let mut world = World::new();
    let at = L1Ref { number: L1Number(98), hash: world.hash(98) };
    world.txs.insert(Hash32([1; 32]), tx(Some((98, at.hash)), 1));
    world.txs.insert(Hash32([2; 32]), tx(None, 0));
    world.txs.insert(Hash32([3; 32]), tx(Some((98, Hash32([9; 32]))), 1));
    world.txs.insert(Hash32([4; 32]), tx(Some((101, Hash32([9; 32]))), 1));
    let node = Node::new(world);
    let read =
        one(&node).await.read_signer(&ask(&[[1; 32], [2; 32], [3; 32], [4; 32], [5; 32]])).await.unwrap();
    let states: Vec<TxState> = read.txs.iter().map(|seen| seen.state.clone()).collect();
    let included = TxState::Included { block: at, gas_used: 50_000, fee_paid: Wei(150_000), reverted: None };
    assert_eq!(states[0], included);
    assert_eq!(states[1], TxState::Pending, "in the pool");
    assert_eq!(states[2], TxState::Pending, "its block was reorged away");
    assert_eq!(states[3], TxState::Pending, "its block lies above the pinned head");
    assert_eq!(states[4], TxState::Unknown);
    assert_eq!(read.txs[4].version, TxVersion(5));
}

#[tokio::test]
async fn a_transaction_that_any_endpoint_knows_is_not_unknown() {
    let mut knows = World::new();
    knows.txs.insert(Hash32([1; 32]), tx(None, 0));
    knows.txs.insert(Hash32([2; 32]), tx(Some((98, knows.hash(98))), 1));
    let (first, second) = (Node::new(World::new()), Node::new(knows));
    let l1 = l1(&[first.serve().await, second.serve().await], fresh());
    let read = l1.read_signer(&ask(&[[1; 32], [2; 32], [3; 32]])).await.unwrap();
    assert_eq!(read.txs[0].state, TxState::Pending);
    assert!(read.txs[1].included_in().is_some(), "the block is canonical for the pinned endpoint too");
    assert_eq!(read.txs[2].state, TxState::Unknown);
}

#[tokio::test]
async fn a_revert_is_replayed_once_for_its_reason() {
    let mut world = World::new();
    let block = (98, world.hash(98));
    world.txs.insert(Hash32([1; 32]), tx(Some(block), 0));
    let data = format!("0x{}", selector("L1BlockHashNotCheckpointed()"));
    world.refuse_call.insert(selector("submit()"), (3, "execution reverted".into(), Some(data)));
    let node = Node::new(world);
    let l1 = one(&node).await;
    for _ in 0..2 {
        let read = l1.read_signer(&ask(&[[1; 32]])).await.unwrap();
        let TxState::Included { reverted: Some(refusal), .. } = &read.txs[0].state else {
            panic!("{read:?}")
        };
        assert_eq!(refusal.class, RefusalClass::Checkpoint);
    }
    node.with(|world| {
        let calls: Vec<_> = world.asked.iter().filter(|(method, _)| method == "eth_call").collect();
        assert_eq!(calls.len(), 2);
        let states = [97, 98].map(|block| serde_json::json!(world.hash(block)));
        let asked = [0, 1].map(|call: usize| calls[call].1[1]["blockHash"].clone());
        assert_eq!(asked, states, "on the states before and after its block");
        assert_eq!(calls[0].1[0]["gas"], "0x186a0");
    });
}

#[tokio::test]
async fn a_revert_that_another_transaction_of_its_block_brought_about_has_its_reason() {
    let mut world = World::new();
    let block = (98, world.hash(98));
    world.txs.insert(Hash32([1; 32]), tx(Some(block), 0));
    let words = "execution reverted: L2OutputOracle: optimistic mode is enabled";
    world.refuse_call.insert(selector("submit()"), (3, words.into(), None));
    world.refuse_from = 98;
    let node = Node::new(world);
    let read = one(&node).await.read_signer(&ask(&[[1; 32]])).await.unwrap();
    let TxState::Included { reverted: Some(refusal), .. } = &read.txs[0].state else { panic!("{read:?}") };
    assert_eq!((refusal.class, refusal.text.as_str()), (RefusalClass::Stale, words));
}

#[tokio::test]
async fn a_revert_that_used_all_its_gas_ran_out_of_it() {
    let mut world = World::new();
    let block = (98, world.hash(98));
    world.txs.insert(Hash32([1; 32]), Tx { block: Some(block), status: 0, gas: 50_000, gas_used: 50_000 });
    let node = Node::new(world);
    let read = one(&node).await.read_signer(&ask(&[[1; 32]])).await.unwrap();
    let TxState::Included { reverted: Some(refusal), .. } = &read.txs[0].state else { panic!("{read:?}") };
    assert_eq!(refusal.class, RefusalClass::OutOfGas);
}

#[tokio::test]
async fn an_account_of_another_l1_is_not_asked_for() {
    let node = Node::new(World::new());
    let mut ask = ask(&[]);
    ask.signer = SignerId { l1: L1ChainId(5), ..SIGNER };
    let error = one(&node).await.read_signer(&ask).await.unwrap_err();
    assert!(matches!(error, L1Error::Mismatch(_)));
    assert_eq!(node.requests(), 0);
}
