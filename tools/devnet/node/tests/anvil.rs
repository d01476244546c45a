//! The server over two real chains, asked through the adapter that the program uses.
//!
//! Needs `anvil`, by the variable `PROOFLOG_ANVIL` or on the PATH; without it each test says so and passes.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, reason = "tests")]

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use prooflog_devnet_node::{Lie, NodeConfig, NodeHandle, Step, serve};
use prooflog_events::ids::{ChainId, Hash32, L1Number, L2Block};
use prooflog_events::values::NodeAnswer;
use prooflog_net::{Endpoint, Limits, RpcClient, Salt};
use prooflog_node::{L2Limits, L2Node, NodeEndpoint, RollupNode, SafeDb};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

const PASSER: &str = "0x4200000000000000000000000000000000000016";
const RICH: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

fn anvil() -> Option<PathBuf> {
    let named = std::env::var_os("PROOFLOG_ANVIL").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        named.or_else(|| std::env::split_paths(&path).map(|dir| dir.join("anvil")).find(|p| p.is_file()));
    if found.is_none() {
        eprintln!("skipped: no anvil; name one in PROOFLOG_ANVIL or put it on the PATH");
    }
    found
}

/// A chain that ends with this value, with its files.
struct Chain {
    rpc: RpcClient,
    url: String,
    _process: Child,
    _files: TempDir,
}

impl Chain {
    async fn start(binary: &PathBuf, args: &[&str]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let mut process = Command::new(binary)
            .args(["--port", "0", "--no-mining", "--timestamp", "1700000000", "--cache-path"])
            .arg(files.path())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = loop {
            let line = lines.next_line().await.unwrap().unwrap();
            if let Some(address) = line.strip_prefix("Listening on ") {
                break address.to_owned();
            }
        };
        // A full pipe would stop the chain.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let url = format!("http://{address}");
        Self { rpc: client(&url), url, _process: process, _files: files }
    }

    async fn call(&self, method: &str, params: Value) -> Value {
        self.rpc.call(method, params).await.unwrap()
    }

    async fn mine(&self, blocks: u64, seconds: u64) {
        self.call("anvil_mine", json!([format!("{blocks:#x}"), format!("{seconds:#x}")])).await;
    }

    /// One block in which the withdrawals contract's storage changes.
    async fn withdraw(&self) {
        self.call("eth_sendTransaction", json!([{ "from": RICH, "to": PASSER, "gas": "0x30d40" }])).await;
        self.mine(1, 2).await;
    }

    async fn storage_root(&self, block: u64) -> Hash32 {
        let proof = self.call("eth_getProof", json!([PASSER, [], format!("{block:#x}")])).await;
        serde_json::from_value(proof.get("storageHash").unwrap().clone()).unwrap()
    }
}

struct World {
    l1: Chain,
    l2: Chain,
    node: NodeHandle,
}

impl World {
    /// Two chains of which the L2's withdrawals contract stores the block number at each call, and a node.
    async fn start(chains: Vec<u64>, l2_args: &[&str]) -> Option<Self> {
        let binary = anvil()?;
        let l1 = Chain::start(&binary, &["--chain-id", "900"]).await;
        let l2_args = [&["--chain-id", "901", "--network", "optimism"], l2_args].concat();
        let l2 = Chain::start(&binary, &l2_args).await;
        l2.call("anvil_setCode", json!([PASSER, "0x43804355"])).await;
        l1.mine(20, 12).await;
        l2.mine(100, 2).await;
        let node = server(&l1, &l2, chains).await;
        Some(Self { l1, l2, node })
    }

    async fn followed(&self, block: u64) {
        tokio::time::timeout(Duration::from_secs(30), self.node.followed(block)).await.unwrap();
    }

    fn rollup(&self) -> RollupNode {
        rollup(901, &[&self.node])
    }

    async fn post(&self, body: Value) -> u16 {
        let url = format!("http://{}/devnet/script", self.node.address());
        let body = body.to_string();
        let request = prooflog_net::client(Limits::default()).unwrap().post(url);
        let request = request.header("content-type", "application/json").body(body);
        prooflog_net::read_body(request, Limits::default()).await.unwrap().status
    }
}

async fn server(l1: &Chain, l2: &Chain, chains: Vec<u64>) -> NodeHandle {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = NodeConfig {
        chains,
        poll: Duration::from_millis(20),
        ..NodeConfig::new(l1.url.clone(), l2.url.clone(), 0)
    };
    serve(listener, config).await.unwrap()
}

fn client(url: &str) -> RpcClient {
    let limits = Limits { call: Duration::from_secs(120), ..Limits::default() };
    RpcClient::new(Endpoint::parse(url, Salt::default()).unwrap(), limits).unwrap()
}

fn rollup(chain: u64, nodes: &[&NodeHandle]) -> RollupNode {
    let endpoints = (1..)
        .zip(nodes)
        .map(|(number, node)| NodeEndpoint::new(format!("n{number}"), client(&node.url(chain))))
        .collect();
    RollupNode::new(ChainId(chain), endpoints, Duration::from_secs(300)).unwrap()
}

async fn root(rollup: &RollupNode, block: u64) -> Option<Hash32> {
    let read = rollup.output(L2Block(block)).await.ok()?;
    read.nodes.first().and_then(|answer: &NodeAnswer| answer.root)
}

#[tokio::test]
async fn output_roots_are_those_of_the_chain() {
    let Some(world) = World::start(vec![901], &[]).await else { return };
    world.l2.withdraw().await;
    world.l2.mine(150, 2).await;
    world.l2.withdraw().await;
    world.followed(252).await;
    let rpc = client(&world.node.url(901));
    for block in [1_u64, 99, 100, 101, 102, 251, 252] {
        assert!(root(&world.rollup(), block).await.is_some(), "every check of the adapter holds at {block}");
        let output: Value = rpc.call("optimism_outputAtBlock", json!([format!("{block:#x}")])).await.unwrap();
        let said: Hash32 =
            serde_json::from_value(output.get("withdrawalStorageRoot").unwrap().clone()).unwrap();
        assert_eq!(said, world.l2.storage_root(block).await, "at {block}");
        let header = world.l2.call("eth_getBlockByNumber", json!([format!("{block:#x}"), false])).await;
        assert_eq!(output.get("stateRoot"), header.get("stateRoot"), "at {block}");
        assert_eq!(output.pointer("/blockRef/hash"), header.get("hash"), "at {block}");
    }
    let roots = (world.l2.storage_root(100).await, world.l2.storage_root(101).await);
    assert_ne!(roots.0, roots.1, "the test must see a change");
    assert_eq!(root(&world.rollup(), 253).await, None, "a block that is not there");
}

#[tokio::test]
async fn heads_follow_stall_jump_and_go_back() {
    let Some(world) = World::start(vec![901, 902], &[]).await else { return };
    let (rollup, other) = (world.rollup(), rollup(902, &[&world.node]));
    let read = rollup.heads().await.unwrap();
    assert_eq!((read.finalized, read.current_l1.number), (L2Block(90), L1Number(20)));
    let l1_head = world.l1.call("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(Some(read.current_l1.hash.to_string().as_str()), l1_head.get("hash").and_then(Value::as_str));
    assert_eq!(world.post(json!({ "chain": 901, "do": "stall" })).await, 204);
    world.l2.mine(200, 2).await;
    world.followed(300).await;
    assert_eq!(rollup.heads().await.unwrap().finalized, L2Block(90));
    assert_eq!(other.heads().await.unwrap().finalized, L2Block(290), "only one chain was stalled");
    assert_eq!(world.post(json!({ "do": "follow" })).await, 204);
    assert_eq!(rollup.heads().await.unwrap().finalized, L2Block(290));
    assert_eq!(world.post(json!({ "do": "finalize", "block": 40 })).await, 204);
    assert_eq!(rollup.heads().await.unwrap().finalized, L2Block(40), "passed on, never a rollback");
    assert_eq!(world.post(json!({ "do": "zeros", "on": true })).await, 204);
    assert!(rollup.heads().await.unwrap_err().to_string().contains("is not known yet"));
    assert_eq!(world.post(json!({ "chain": 7, "do": "stall" })).await, 400);
    assert_eq!(world.post(json!({ "do": "dance" })).await, 422);
}

#[tokio::test]
async fn a_node_can_disagree_break_and_be_down() {
    let Some(world) = World::start(vec![901], &[]).await else { return };
    let second = server(&world.l1, &world.l2, vec![901]).await;
    let rollup = rollup(901, &[&world.node, &second]);
    let honest = root(&rollup, 50).await;
    let answers = async || {
        let read = rollup.output(L2Block(50)).await.unwrap();
        read.nodes.into_iter().map(|answer| answer.root).collect::<Vec<_>>()
    };
    assert_eq!(answers().await, [honest, honest]);
    let lie = |how| Step::Lie { block: 50, how };
    second.script(None, &lie(Lie::OtherState)).unwrap();
    let other = answers().await;
    assert!(other[0] == honest && other[1].is_some() && other[1] != honest, "{other:?}");
    for how in [Lie::BrokenRoot, Lie::OtherBlock] {
        second.script(Some(901), &lie(how)).unwrap();
        assert_eq!(answers().await, [honest, None], "{how:?}");
    }
    second.script(None, &Step::Truth { block: 50 }).unwrap();
    assert_eq!(answers().await, [honest, honest]);
    second.script(None, &Step::Down { status: 503 }).unwrap();
    assert_eq!(answers().await, [honest, None]);
    second.script(None, &Step::Up).unwrap();
    assert_eq!(answers().await, [honest, honest]);
}

#[tokio::test]
async fn the_database_of_safe_heads_is_on_or_off() {
    let Some(world) = World::start(vec![901], &[]).await else { return };
    let rollup = world.rollup();
    let probe = async |block| rollup.safe_head_at_l1(L1Number(block)).await.remove(0).1;
    let SafeDb::On(Some(at_5)) = probe(5).await else { unreachable!("it is on") };
    let SafeDb::On(Some(at_15)) = probe(15).await else { unreachable!("it is on") };
    assert_eq!((at_5.l1_block.number, at_15.l1_block.number), (5, 15));
    assert!(
        at_5.safe_head.number > 0 && at_15.safe_head.number > at_5.safe_head.number,
        "{at_5:?} {at_15:?}"
    );
    assert_eq!(probe(0).await, SafeDb::On(None));
    world.node.script(None, &Step::SafeDb { on: false }).unwrap();
    assert!(matches!(probe(5).await, SafeDb::Off { .. }));
    world.node.script(None, &Step::Down { status: 401 }).unwrap();
    assert!(matches!(probe(5).await, SafeDb::Unknown { .. }));
}

#[tokio::test]
async fn one_l2_is_a_hundred_rollups() {
    let Some(world) = World::start((1_000..1_100).collect(), &[]).await else { return };
    for chain in 1_000..1_100 {
        let rollup = rollup(chain, &[&world.node]);
        let config = rollup.rollup_config().await.unwrap();
        assert_eq!((config.l2_chain_id, config.l1_chain_id), (chain, 900));
        assert_eq!(rollup.heads().await.unwrap().chain, ChainId(chain));
    }
    let execution = L2Node::new(ChainId(1_000), client(&world.l2.url), L2Limits::default());
    let first = rollup(1_000, &[&world.node]);
    let genesis = execution.hash_of(L2Block(0)).await.unwrap();
    assert_eq!(first.genesis(Some(&execution)).await.unwrap(), genesis);
    assert!(first.version().await.unwrap().starts_with("prooflog-devnet-node/"));
    let range = prooflog_events::ids::Range::new(L2Block(0), L2Block(100)).unwrap();
    assert_eq!(execution.blocks(range).await.unwrap().blocks.len(), 100);
    assert!(rollup(5, &[&world.node]).heads().await.is_err(), "a chain that is not presented");
}

#[tokio::test]
async fn a_reorganised_chain_is_read_again() {
    let Some(world) = World::start(vec![901], &[]).await else { return };
    let before = (root(&world.rollup(), 80).await, root(&world.rollup(), 100).await);
    world.l2.call("anvil_rollback", json!([10])).await;
    world.l2.withdraw().await;
    world.l2.mine(20, 2).await;
    world.followed(111).await;
    let after = (root(&world.rollup(), 80).await, root(&world.rollup(), 100).await);
    assert_eq!(before.0, after.0);
    assert!(after.1.is_some() && before.1 != after.1);
}

#[tokio::test]
async fn a_root_is_known_where_the_chain_has_dropped_its_state() {
    let Some(world) = World::start(vec![901], &["--prune-history", "20"]).await else { return };
    world.l2.mine(400, 2).await;
    world.followed(500).await;
    let dropped = world.l2.rpc.call::<Value>("eth_getProof", json!([PASSER, [], "0x96"])).await;
    assert!(dropped.is_err(), "the test must see a dropped state");
    assert!(root(&world.rollup(), 150).await.is_some());
}
