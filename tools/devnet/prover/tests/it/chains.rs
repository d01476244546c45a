//! Many chains in one process, and configurations as operators write them.

use prooflog_devnet_prover::{
    CallKind, ChainConfig, Config, Fault, FaultKind, Generation, Kind, Script, serve,
};
use prooflog_net::{Endpoint, Salt};
use prooflog_prover::{Prover, ProverConfig, Requested};
use tokio::net::TcpListener;

use crate::world::{CHAIN, NOW, World, limits, span};

#[tokio::test]
async fn a_hundred_chains_share_a_process_and_nothing_else() {
    let world = World::new(Script::default()).await;
    let outside = world.chains.clone();
    let chain = |id| ChainConfig {
        proof_bytes: 1_000,
        ..ChainConfig::new(id, Generation::V2, outside.clone(), outside.clone())
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = serve(listener, Config { chains: (1..=100).map(chain).collect() }).unwrap();
    let client = |url: String| {
        let endpoint = Endpoint::parse(&url, Salt::default()).unwrap();
        Prover::new(ProverConfig { endpoint, limits: limits() }).unwrap()
    };
    server.script(7, |script| script.capacity = 1).unwrap();
    for id in 1..=100 {
        let prover = client(server.url(id));
        let store = std::sync::Arc::clone(&world.store);
        let requested = prover.request(&span(id, id + 1), store, NOW).await.unwrap();
        assert!(matches!(requested, Requested::Taken { .. }), "{id}: {requested:?}");
    }
    for id in 1..=100 {
        let stats = server.stats(id).unwrap();
        assert_eq!((stats.paid.len(), stats.times_paid(Kind::Span, id, id + 1)), (1, 1));
    }
    for url in [server.url(101), format!("http://{}", server.address())] {
        let store = std::sync::Arc::clone(&world.store);
        let requested = client(url).request(&span(1, 2), store, NOW).await.unwrap();
        assert!(matches!(requested, Requested::Failed { text, .. } if text.contains("no such chain")));
    }
}

#[tokio::test]
async fn the_only_chain_needs_no_name_in_the_path() {
    let world = World::new(Script::default()).await;
    let endpoint = Endpoint::parse(&format!("http://{}", world.server.address()), Salt::default()).unwrap();
    let prover = Prover::new(ProverConfig { endpoint, limits: limits() }).unwrap();
    let store = std::sync::Arc::clone(&world.store);
    prover.request(&span(1, 9), store, NOW).await.unwrap();
    assert_eq!(world.server.stats(CHAIN).unwrap().times_paid(Kind::Span, 1, 9), 1);
}

#[test]
fn a_configuration_is_read_from_toml() {
    let text = format!(
        r#"
        [[chains]]
        id = 901
        generation = "v3"
        l1_rpc = "http://127.0.0.1:8545"
        rollup_rpc = "http://127.0.0.1:9545/901"
        aggregation_vkey = "0x{word}"
        range_vkey_commitment = "0x{word}"
        rollup_config_hash = "0x{word}"
        l1_head = "current"

        [chains.script]
        witness_ms = 50
        max_blocks = 100

        [[chains.script.faults]]
        call = "span"
        range = [100, 200]
        times = 1
        do = "unfulfillable"

        [[chains.script.faults]]
        call = "status"
        do = "error"
        text = "out of luck"
        "#,
        word = "ab".repeat(32)
    );
    let config: Config = toml::from_str(&text).unwrap();
    let script = &config.chains[0].script;
    assert_eq!((script.witness_ms, script.max_blocks, script.idempotency), (50, 100, true));
    let expected = [
        Fault {
            call: Some(CallKind::Span),
            range: Some((100, 200)),
            times: Some(1),
            kind: FaultKind::Unfulfillable,
        },
        Fault {
            call: Some(CallKind::Status),
            range: None,
            times: None,
            kind: FaultKind::Error { status: 500, text: "out of luck".to_owned(), error_class: None },
        },
    ];
    assert_eq!(script.faults, expected);
    assert_eq!(
        toml::from_str::<Config>(&toml::to_string(&config).unwrap()).unwrap().chains[0].script,
        *script
    );
    assert!(toml::from_str::<Config>(&text.replace("witness_ms", "witness_msec")).is_err());
}
