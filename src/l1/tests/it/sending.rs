//! Quotes, signatures and broadcasts.

use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::keccak256;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use prooflog_core::{OutputBody, TxBody};
use prooflog_events::ids::{
    Address, ChainId, Hash32, L1ChainId, L1Number, L2Block, Nonce, SignerId, SlotId, TxVersion, UnitId, Wei,
};
use prooflog_events::input::QuoteOutcome;
use prooflog_events::values::{BlobRef, BroadcastOutcome, Call, Fees, Purpose, RefusalClass};
use prooflog_l1::{BroadcastTx, L1Error, QuoteTx, SignTx, TxSigner};
use sha2::{Digest, Sha256};

use crate::fake::{FACTORY, Node, ORACLE, V2, World, selector};
use crate::{SIGNER, fresh, l1, one};

const AGG: UnitId = UnitId::agg(ChainId(10), 1);
const PROOF: &[u8] = &[1, 2, 3, 4, 5];

fn sha(bytes: &[u8]) -> Hash32 {
    Hash32(Sha256::digest(bytes).into())
}

fn submission(factory: Option<Address>) -> QuoteTx {
    let output = OutputBody {
        block: L2Block(1_200),
        root: Hash32([5; 32]),
        l1_block: L1Number(80),
        l1_hash: Hash32([8; 32]),
        proof: Some(BlobRef { sha256: sha(PROOF), length: 5 }),
        prover: Address([7; 20]),
        config_name: Hash32::ZERO,
    };
    let body = TxBody { oracle: ORACLE, factory, output: Some(output) };
    QuoteTx { signer: SIGNER, purpose: Purpose::Submission { agg: AGG }, body }
}

fn checkpoint(block: u64) -> QuoteTx {
    let body = TxBody { oracle: ORACLE, factory: None, output: None };
    QuoteTx { signer: SIGNER, purpose: Purpose::Checkpoint { agg: AGG, block: L1Number(block) }, body }
}

#[tokio::test]
async fn a_submission_is_simulated_with_its_sender_and_accepted() {
    let node = Node::new(World::new());
    let quoted = one(&node).await.quote_tx(&submission(None), Some(PROOF)).await.unwrap();
    assert_eq!((quoted.sender, quoted.nonce, quoted.balance), (SIGNER.address, Nonce(7), Wei(5_000_000)));
    assert_eq!(quoted.at.block.number, L1Number(100));
    let QuoteOutcome::Accepted { call, gas, root } = quoted.outcome else { panic!("{quoted:?}") };
    assert_eq!((call.to, call.value, gas, root), (ORACLE, Wei(0), 50_000, Hash32([5; 32])));
    node.with(|world| {
        let (_, params) = world
            .asked
            .iter()
            .find(|(method, params)| method == "eth_call" && params[0]["from"].is_string())
            .unwrap();
        assert_eq!(params[0]["from"], serde_json::json!(SIGNER.address));
        let data = params[0]["data"].as_str().unwrap();
        assert!(data.starts_with(&format!("0x{}", selector(V2))));
        assert_eq!(call.calldata, sha(&hex::decode(&data[2..]).unwrap()));
        assert_eq!(params[1]["blockHash"], serde_json::json!(world.hash(100)));
    });
}

#[tokio::test]
async fn a_game_is_paid_for_with_exactly_the_bond() {
    let node = Node::new(World::new());
    let quoted = one(&node).await.quote_tx(&submission(Some(FACTORY)), Some(PROOF)).await.unwrap();
    let QuoteOutcome::Accepted { call, .. } = quoted.outcome else { panic!("{quoted:?}") };
    assert_eq!((call.to, call.value), (FACTORY, Wei(77)));
    node.with(|world| {
        let games = world.asked.iter().filter(|(_, params)| params[0]["value"] == "0x4d").count();
        assert_eq!(games, 2, "call and estimate");
    });
}

#[tokio::test]
async fn a_refusal_is_an_answer_with_its_class() {
    let mut world = World::new();
    let words = "execution reverted: L2OutputOracle: only approved proposers can propose new outputs";
    world.refuse_call.insert(selector(V2), (3, words.into(), None));
    let node = Node::new(world);
    let quoted = one(&node).await.quote_tx(&submission(None), Some(PROOF)).await.unwrap();
    let QuoteOutcome::Refused { refusal } = quoted.outcome else { panic!("{quoted:?}") };
    assert_eq!(refusal.class, RefusalClass::Policy);
}

#[tokio::test]
async fn a_node_that_cannot_simulate_is_an_error_and_no_refusal() {
    let mut world = World::new();
    world.refuse_call.insert(selector(V2), (-32005, "request limit reached".into(), None));
    let node = Node::new(world);
    let error = one(&node).await.quote_tx(&submission(None), Some(PROOF)).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn a_checkpoint_is_as_low_as_the_rule_allows() {
    let mut world = World::new();
    world.blocks = vec![0; 501];
    let node = Node::new(world);
    let l1 = one(&node).await;
    for (bound, expected) in [(450, 450), (10, 300), (499, 499)] {
        let quoted = l1.quote_tx(&checkpoint(bound), None).await.unwrap();
        assert_eq!(quoted.purpose, Purpose::Checkpoint { agg: AGG, block: L1Number(expected) });
        assert!(matches!(quoted.outcome, QuoteOutcome::Accepted { .. }), "{quoted:?}");
    }
    let quoted = l1.quote_tx(&checkpoint(500), None).await.unwrap();
    let QuoteOutcome::Refused { refusal } = quoted.outcome else { panic!("{quoted:?}") };
    assert_eq!(refusal.class, RefusalClass::NotYet, "the head has no hash yet");
}

struct Key(PrivateKeySigner);

impl TxSigner for Key {
    fn address(&self) -> Address {
        Address(self.0.address().into_array())
    }

    async fn sign_eip1559(&self, tx: TxEip1559) -> Result<Vec<u8>, String> {
        let signature = self.0.sign_hash_sync(&tx.signature_hash()).map_err(|error| error.to_string())?;
        Ok(tx.into_signed(signature).encoded_2718())
    }
}

/// Signs another nonce than it was asked for.
struct Careless(Key);

impl TxSigner for Careless {
    fn address(&self) -> Address {
        self.0.address()
    }

    async fn sign_eip1559(&self, tx: TxEip1559) -> Result<Vec<u8>, String> {
        self.0.sign_eip1559(TxEip1559 { nonce: tx.nonce + 1, ..tx }).await
    }
}

/// Says that it is somebody else.
struct Impostor(Key, Address);

impl TxSigner for Impostor {
    fn address(&self) -> Address {
        self.1
    }

    async fn sign_eip1559(&self, tx: TxEip1559) -> Result<Vec<u8>, String> {
        self.0.sign_eip1559(tx).await
    }
}

fn key(byte: u8) -> Key {
    Key(PrivateKeySigner::from_slice(&[byte; 32]).unwrap())
}

fn slot(address: Address) -> SlotId {
    SlotId { signer: SignerId { l1: L1ChainId(1), address }, nonce: Nonce(7) }
}

async fn quoted(l1: &prooflog_l1::L1, mut ask: QuoteTx, address: Address) -> SignTx {
    ask.signer.address = address;
    let quoted = l1.quote_tx(&ask, Some(PROOF)).await.unwrap();
    let QuoteOutcome::Accepted { call, gas, .. } = quoted.outcome else { panic!("{quoted:?}") };
    SignTx {
        slot: slot(address),
        version: TxVersion(1),
        purpose: quoted.purpose,
        body: ask.body,
        call,
        fees: Fees { max_fee: Wei(100), tip: Wei(2) },
        gas_limit: gas,
    }
}

#[tokio::test]
async fn what_was_quoted_is_signed_and_sent() {
    let node = Node::new(World::new());
    let l1 = one(&node).await;
    let key = key(1);
    let ask = quoted(&l1, submission(None), key.address()).await;
    let signed = l1.sign_tx(&ask, Some(PROOF), &key).await.unwrap();
    assert_eq!(signed.record.calldata, ask.call.calldata);
    assert_eq!(signed.record.hash.0, keccak256(&signed.raw).0);
    assert_eq!(signed.record.raw, BlobRef { sha256: sha(&signed.raw), length: signed.raw.len() as u64 });
    let again = l1.sign_tx(&ask, Some(PROOF), &key).await.unwrap();
    assert_eq!(again, signed, "the same version has the same bytes");
    let send =
        BroadcastTx { slot: ask.slot, version: ask.version, raw: signed.raw, hash: signed.record.hash };
    let sent = l1.broadcast_tx(send).await.unwrap();
    assert_eq!(sent.outcome, BroadcastOutcome::Accepted);
}

#[tokio::test]
async fn a_release_is_an_empty_transfer_to_ourselves() {
    let node = Node::new(World::new());
    let key = key(1);
    let address = key.address();
    let ask = SignTx {
        slot: slot(address),
        version: TxVersion(2),
        purpose: Purpose::Release,
        body: TxBody { oracle: address, factory: None, output: None },
        call: Call { to: address, value: Wei(0), calldata: Hash32::ZERO },
        fees: Fees { max_fee: Wei(100), tip: Wei(2) },
        gas_limit: 21_000,
    };
    let signed = one(&node).await.sign_tx(&ask, None, &key).await.unwrap();
    assert_eq!(signed.record.calldata, sha(&[]));
}

#[tokio::test]
async fn what_differs_from_the_quote_is_not_signed() {
    let node = Node::new(World::new());
    let l1 = one(&node).await;
    let key = key(1);
    let good = quoted(&l1, submission(Some(FACTORY)), key.address()).await;
    let mut other_data = good.clone();
    other_data.body.output.as_mut().unwrap().block = L2Block(1_201);
    let mut other_bond = good.clone();
    other_bond.call.value = Wei(76);
    let mut other_target = good.clone();
    other_target.call.to = ORACLE;
    for (wrong, words) in [(other_data, "call data"), (other_bond, "bond changed"), (other_target, "calls")] {
        let error = l1.sign_tx(&wrong, Some(PROOF), &key).await.unwrap_err();
        assert!(matches!(error, L1Error::Mismatch(_)) && error.to_string().contains(words), "{error}");
    }
    assert!(l1.sign_tx(&good, Some(&PROOF[1..]), &key).await.is_err(), "another proof");
}

#[tokio::test]
async fn a_signer_that_signs_something_else_is_found_out() {
    let node = Node::new(World::new());
    let l1 = one(&node).await;
    let ask = quoted(&l1, submission(None), key(1).address()).await;
    let error = l1.sign_tx(&ask, Some(PROOF), &Careless(key(1))).await.unwrap_err();
    assert!(error.to_string().contains("another transaction"), "{error}");
    let error = l1.sign_tx(&ask, Some(PROOF), &key(2)).await.unwrap_err();
    assert!(error.to_string().contains("signs for"), "{error}");
    let error = l1.sign_tx(&ask, Some(PROOF), &Impostor(key(2), key(1).address())).await.unwrap_err();
    assert!(error.to_string().contains("signed by"), "{error}");
}

fn raw() -> BroadcastTx {
    let raw = vec![2, 0xc0];
    BroadcastTx { slot: slot(SIGNER.address), version: TxVersion(1), hash: Hash32(keccak256(&raw).0), raw }
}

#[tokio::test]
async fn one_endpoint_that_takes_the_bytes_is_enough_and_all_are_told() {
    let mut refusing = World::new();
    refusing.refuse_send = Some((-32000, "nonce too low".into(), None));
    let (bad, good) = (Node::new(refusing), Node::new(World::new()));
    let l1 = l1(&[bad.serve().await, good.serve().await, "http://127.0.0.1:1".into()], fresh());
    assert_eq!(l1.broadcast_tx(raw()).await.unwrap().outcome, BroadcastOutcome::Accepted);
    assert_eq!(good.with(|world| world.times("eth_sendRawTransaction")), 1);
}

#[tokio::test]
async fn the_refusal_that_says_most_is_told() {
    let refusing = |words: &str| {
        let mut world = World::new();
        world.refuse_send = Some((-32000, words.into(), None));
        Node::new(world)
    };
    let (vague, clear) = (refusing("invalid sender"), refusing("replacement transaction underpriced"));
    let l1 = l1(&[vague.serve().await, clear.serve().await], fresh());
    let sent = l1.broadcast_tx(raw()).await.unwrap();
    assert_eq!(sent.outcome, BroadcastOutcome::Underpriced);
    assert!(sent.text.contains("underpriced") && !sent.text.contains("secret"), "{}", sent.text);
}

#[tokio::test]
async fn a_node_that_speaks_of_itself_leaves_the_broadcast_owed() {
    let mut world = World::new();
    world.refuse_send = Some((-32005, "rate limit exceeded".into(), None));
    let node = Node::new(world);
    assert!(one(&node).await.broadcast_tx(raw()).await.unwrap_err().is_transient());
    let mut wrong = raw();
    wrong.hash = Hash32::ZERO;
    let error = one(&node).await.broadcast_tx(wrong).await.unwrap_err();
    assert!(matches!(error, L1Error::Mismatch(_)), "bytes without their hash are not sent");
}
