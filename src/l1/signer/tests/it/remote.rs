//! A service that signs, honest and otherwise, behind a real HTTP listener.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Signature, U256, hex, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use prooflog_events::ids::Address;
use prooflog_net::{Endpoint, Limits, Salt};
use prooflog_signer::{Field, RemoteApi, RemoteConfig, Signed, Signer, SignerConfig, SignerError, Tls};
use serde_json::{Value, json};

use crate::{KEY, account, assert_signed, secret, tx};

const TOKEN: &str = "Bearer canary-token-51";

fn key() -> PrivateKeySigner {
    KEY.parse().unwrap()
}

fn raw(tx: TxEip1559, key: &PrivateKeySigner) -> Vec<u8> {
    let signature = key.sign_hash_sync(&tx.signature_hash()).unwrap();
    tx.into_signed(signature).encoded_2718()
}

fn config(address: std::net::SocketAddr, api: RemoteApi) -> SignerConfig {
    SignerConfig::Remote(RemoteConfig {
        endpoint: Endpoint::parse(&format!("http://{address}/canary-path"), Salt::default()).unwrap(),
        address: account(),
        api,
        headers: vec![("authorization".to_owned(), secret(TOKEN))],
        tls: Tls::default(),
        limits: Limits { call: Duration::from_millis(400), body: 10_000, ..Limits::default() },
    })
}

async fn listen(router: Router) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Asks a service that answers each call like this. No answer of any kind may bring our own secrets back.
async fn ask(
    answer: impl Fn(Value) -> Response + Clone + Send + Sync + 'static,
) -> Result<Signed, SignerError> {
    let handler = move |Json(question): Json<Value>| async move { answer(question) };
    let address = listen(Router::new().route("/canary-path", post(handler))).await;
    let signer = Signer::connect(config(address, RemoteApi::default())).await.unwrap();
    let result = signer.sign(tx()).await;
    if let Err(error) = &result {
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
    result
}

fn answered(result: &Value) -> Response {
    Json(json!({ "jsonrpc": "2.0", "id": 1, "result": result })).into_response()
}

fn bytes(raw: &[u8]) -> Response {
    answered(&json!(hex::encode_prefixed(raw)))
}

#[tokio::test]
async fn an_honest_service_is_asked_with_every_field_and_believed() {
    let asked = Arc::new(Mutex::new((Value::Null, HeaderMap::new())));
    let seen = Arc::clone(&asked);
    let handler = move |headers: HeaderMap, Json(question): Json<Value>| async move {
        *seen.lock().unwrap() = (question, headers);
        bytes(&raw(tx(), &key()))
    };
    let address = listen(Router::new().route("/canary-path", post(handler))).await;
    let signer = Signer::connect(config(address, RemoteApi::default())).await.unwrap();
    assert_eq!((signer.kind(), signer.address()), ("remote", account()));
    assert_signed(&signer.sign(tx()).await.unwrap(), &tx(), account());

    let (question, headers) = asked.lock().unwrap().clone();
    assert_eq!(headers.get("authorization").unwrap(), TOKEN);
    let data = hex::encode_prefixed(&tx().input);
    let expected = json!({
        "from": account().to_string(),
        "to": "0x0909090909090909090909090909090909090909",
        "gas": "0x12d687",
        "maxFeePerGas": "0x6fc23ac00",
        "maxPriorityFeePerGas": "0x3b9aca00",
        "value": "0x11c37937e080000",
        "nonce": "0x102",
        "data": data,
        "input": data,
        "accessList": [{
            "address": "0x0707070707070707070707070707070707070707",
            "storageKeys": [format!("0x{}", "08".repeat(32))],
        }],
        "chainId": "0xaa36a7",
        "type": "0x2",
    });
    assert_eq!(
        (&question["method"], &question["params"]),
        (&json!("eth_signTransaction"), &json!([expected]))
    );
}

#[tokio::test]
async fn bytes_beside_the_transaction_are_found_too() {
    let signed =
        ask(|_| answered(&json!({ "raw": hex::encode_prefixed(raw(tx(), &key())), "tx": {} }))).await;
    assert_signed(&signed.unwrap(), &tx(), account());
}

#[tokio::test]
async fn a_service_that_changes_any_field_is_caught() {
    type Change = fn(&mut TxEip1559);
    let changes: [(Field, Change); 9] = [
        (Field::ChainId, |tx| tx.chain_id = 1),
        (Field::Nonce, |tx| tx.nonce += 1),
        (Field::To, |tx| tx.to = alloy::primitives::TxKind::Call([1; 20].into())),
        (Field::Value, |tx| tx.value += U256::from(1)),
        (Field::Input, |tx| tx.input = vec![0xab; 299].into()),
        (Field::GasLimit, |tx| tx.gas_limit += 1),
        (Field::MaxFee, |tx| tx.max_fee_per_gas += 1),
        (Field::Tip, |tx| tx.max_priority_fee_per_gas += 1),
        (Field::AccessList, |tx| tx.access_list.0.clear()),
    ];
    for (expected, change) in changes {
        let error = ask(move |_| {
            let mut tx = tx();
            change(&mut tx);
            bytes(&raw(tx, &key()))
        });
        let error = error.await.unwrap_err();
        assert!(
            matches!(error, SignerError::Altered { field, .. } if field == expected),
            "{expected}: {error}"
        );
    }
}

#[tokio::test]
async fn a_service_that_signs_with_another_key_is_caught() {
    let other = PrivateKeySigner::from_bytes(&[5; 32].into()).unwrap();
    let theirs = Address(other.address().into_array());
    let error = ask(move |_| bytes(&raw(tx(), &other))).await.unwrap_err();
    assert!(
        matches!(error, SignerError::Foreign { found, expected, .. } if found == theirs && expected == account()),
        "{error}"
    );
}

#[tokio::test]
async fn answers_that_the_network_would_refuse_are_caught() {
    let honest = raw(tx(), &key());
    let mut longer = honest.clone();
    longer.push(0);
    let legacy = alloy::consensus::TxLegacy { chain_id: Some(11_155_111), ..Default::default() };
    let signature = key().sign_hash_sync(&legacy.signature_hash()).unwrap();
    let legacy = legacy.into_signed(signature);
    let mut other_kind = Vec::new();
    legacy.rlp_encode(&mut other_kind);
    // The mirrored signature recovers to the same account, and nodes refuse it.
    let low = key().sign_hash_sync(&tx().signature_hash()).unwrap();
    let order = U256::from_be_bytes(hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"));
    let high = Signature::new(low.r(), order - low.s(), !low.v());
    let high = tx().into_signed(high).encoded_2718();
    for bad in [longer, honest[..50].to_vec(), Vec::new(), other_kind, high, vec![2], vec![0xff; 100]] {
        let error = ask(move |_| bytes(&bad)).await.unwrap_err();
        assert!(matches!(error, SignerError::Malformed { .. }), "{error}");
    }
}

#[tokio::test]
async fn garbage_is_an_error() {
    for result in [json!(null), json!(5), json!("canary"), json!("0xzz"), json!({ "raw": [] }), json!([])] {
        let error = ask(move |_| answered(&result)).await.unwrap_err();
        assert!(matches!(error, SignerError::Malformed { .. }), "{error}");
    }
    for text in ["", "canary", "<html>canary</html>", "{\"result\":", "[]"] {
        let error = ask(move |_| text.into_response()).await.unwrap_err();
        assert!(matches!(error, SignerError::Malformed { .. }), "{text}: {error}");
    }
    let error = ask(|_| "1".repeat(20_000).into_response()).await.unwrap_err();
    assert!(error.to_string().contains("larger than 10000 bytes"), "{error}");
}

#[tokio::test]
async fn a_service_that_hangs_is_given_up() {
    let hang = || async { std::future::pending::<&str>().await };
    let address = listen(Router::new().route("/canary-path", post(hang))).await;
    let signer = Signer::connect(config(address, RemoteApi::default())).await.unwrap();
    let error = signer.sign(tx()).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("no answer within"), "{error}");
}

#[tokio::test]
async fn a_bad_status_says_what_to_check_and_whether_to_wait() {
    for (status, transient, hint) in [
        (StatusCode::UNAUTHORIZED, false, "signer.header"),
        (StatusCode::FORBIDDEN, false, "client certificate"),
        (StatusCode::NOT_FOUND, false, "signer.endpoint"),
        (StatusCode::SERVICE_UNAVAILABLE, true, "503"),
        (StatusCode::TOO_MANY_REQUESTS, true, "429"),
    ] {
        // What comes with a status may repeat the request.
        let error = ask(move |_| (status, format!("{TOKEN} was wrong: canary")).into_response()).await;
        let error = error.unwrap_err();
        assert_eq!(error.is_transient(), transient, "{error}");
        assert!(error.to_string().contains(hint), "{error}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_its_own_words_without_ours() {
    let refusal = |code: i64, message: String| {
        move |_| {
            let error = json!({ "code": code, "message": message.clone() });
            Json(json!({ "jsonrpc": "2.0", "id": 1, "error": error })).into_response()
        }
    };
    let words = format!("value above limit\u{1b}[31m for {TOKEN} canary-token-51 at /canary-path");
    let error = ask(refusal(-32000, words)).await.unwrap_err();
    assert!(matches!(error, SignerError::Refused { .. }) && !error.is_transient());
    assert!(error.to_string().contains("value above limit") && !error.to_string().contains('\u{1b}'));
    let error = ask(refusal(-32601, "no such method".to_owned())).await.unwrap_err();
    assert!(error.to_string().contains("does not know eth_signTransaction"), "{error}");
    let error = ask(refusal(1, "x".repeat(5_000))).await.unwrap_err();
    assert!(error.to_string().len() < 600, "{error}");
}

#[tokio::test]
async fn bytes_are_signed_by_a_named_key() {
    let handler = |Path(name): Path<String>, Json(question): Json<Value>| async move {
        assert_eq!(name, hex::encode_prefixed(key().public_key()));
        let data = hex::decode(question["data"].as_str().unwrap()).unwrap();
        hex::encode_prefixed(key().sign_hash_sync(&keccak256(data)).unwrap().as_bytes())
    };
    let address = listen(Router::new().route("/canary-path/api/v1/eth1/sign/{name}", post(handler))).await;
    let named = |public_key: String| config(address, RemoteApi::Eth1Sign { public_key });
    let public_key = hex::encode(key().public_key());
    for name in [public_key.clone(), format!("0x04{public_key}")] {
        let signer = Signer::connect(named(name)).await.unwrap();
        assert_signed(&signer.sign(tx()).await.unwrap(), &tx(), account());
    }
    let other = PrivateKeySigner::from_bytes(&[5; 32].into()).unwrap();
    let error = Signer::connect(named(hex::encode(other.public_key()))).await.unwrap_err();
    assert!(matches!(error, SignerError::OtherAccount { .. }), "{error}");
    let error = Signer::connect(named("0x1234".to_owned())).await.unwrap_err();
    assert!(matches!(error, SignerError::Settings(_)), "{error}");
}

#[tokio::test]
async fn certificates_without_https_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let SignerConfig::Remote(mut remote) = config(([127, 0, 0, 1], 1).into(), RemoteApi::default()) else {
        unreachable!("a remote signer");
    };
    remote.tls.ca = Some(dir.path().join("ca.pem"));
    let error = Signer::connect(SignerConfig::Remote(remote)).await.unwrap_err();
    assert!(matches!(&error, SignerError::Settings(text) if text.contains("https")), "{error}");
}
