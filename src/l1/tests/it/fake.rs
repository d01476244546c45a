//! An L1 in a few hundred lines: blocks with hashes, one oracle, transactions, and the words of a node.
//!
//! Several servers can show the same world, each with a lag, which is how a load balancer with a stale backend looks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use alloy::primitives::{U256, keccak256};
use alloy::sol_types::SolValue;
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use prooflog_events::ids::{Address, Hash32};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) const ORACLE: Address = Address([0x0a; 20]);
pub(crate) const IMPLEMENTATION: Address = Address([0x1a; 20]);
pub(crate) const VERIFIER: Address = Address([0x7e; 20]);
pub(crate) const FACTORY: Address = Address([0xfa; 20]);
pub(crate) const SENDER: Address = Address([0x5e; 20]);

/// An output and the L1 block since which it stands.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    pub(crate) root: [u8; 32],
    pub(crate) l2: u64,
    pub(crate) since: u64,
}

/// A transaction that the node knows.
#[derive(Clone)]
pub(crate) struct Tx {
    pub(crate) block: Option<(u64, Hash32)>,
    pub(crate) status: u64,
    pub(crate) gas: u64,
    pub(crate) gas_used: u64,
}

/// What a refused call says.
pub(crate) type Refusal = (i64, String, Option<String>);

pub(crate) struct World {
    pub(crate) chain: u64,
    /// Which fork each block belongs to; its place is its number.
    pub(crate) blocks: Vec<u8>,
    pub(crate) version: String,
    pub(crate) implementation: Address,
    pub(crate) submit: &'static str,
    pub(crate) outputs: Vec<Output>,
    pub(crate) interval: u64,
    pub(crate) approved: Vec<Address>,
    pub(crate) optimistic: bool,
    pub(crate) factory: Option<Address>,
    pub(crate) checkpoints: BTreeMap<u64, [u8; 32]>,
    pub(crate) logs: Vec<Value>,
    pub(crate) txs: BTreeMap<Hash32, Tx>,
    /// Nonce by the block from which it holds.
    pub(crate) nonces: Vec<(u64, u64)>,
    pub(crate) balance: u128,
    pub(crate) refuse_call: BTreeMap<String, Refusal>,
    /// The block from which calls are refused.
    pub(crate) refuse_from: u64,
    pub(crate) refuse_send: Option<Refusal>,
    pub(crate) mock_verifier: bool,
    pub(crate) takes_hashes: bool,
    /// Blocks below the head whose state is still there.
    pub(crate) keeps_state: u64,
    /// Answers at blocks that were reorged away, as a node does that ignores `requireCanonical`.
    pub(crate) serves_orphans: bool,
    pub(crate) takes_batches: bool,
    pub(crate) log_range: u64,
    pub(crate) has_logs: bool,
    /// How every method was called.
    pub(crate) asked: Vec<(String, Value)>,
    /// Runs before each request; what changes the world while it is read.
    pub(crate) on_request: Option<Hook>,
}

/// Runs before a request.
type Hook = Box<dyn FnMut(&mut WorldMut<'_>) + Send>;

/// What a request's hook may change.
pub(crate) struct WorldMut<'a> {
    pub(crate) blocks: &'a mut Vec<u8>,
    pub(crate) requests: usize,
}

pub(crate) fn selector(signature: &str) -> String {
    hex::encode(&keccak256(signature)[..4])
}

pub(crate) const V1: &str = "proposeL2Output(bytes32,uint256,uint256,bytes)";
pub(crate) const V2: &str = "proposeL2Output(bytes32,uint256,uint256,bytes,address)";
pub(crate) const V3: &str = "proposeL2Output(bytes32,bytes32,uint256,uint256,bytes,address)";

impl World {
    /// A second generation oracle with two outputs, on a chain of 101 blocks.
    pub(crate) fn new() -> Self {
        Self {
            chain: 1,
            blocks: vec![0; 101],
            version: "v2.0.0".into(),
            implementation: IMPLEMENTATION,
            submit: V2,
            outputs: vec![
                Output { root: [1; 32], l2: 1_000, since: 10 },
                Output { root: [2; 32], l2: 1_100, since: 95 },
            ],
            interval: 50,
            approved: vec![SENDER],
            optimistic: false,
            factory: None,
            checkpoints: BTreeMap::new(),
            logs: Vec::new(),
            txs: BTreeMap::new(),
            nonces: vec![(0, 7)],
            balance: 5_000_000,
            refuse_call: BTreeMap::new(),
            refuse_from: 0,
            refuse_send: None,
            mock_verifier: false,
            takes_hashes: true,
            keeps_state: u64::MAX,
            serves_orphans: false,
            takes_batches: true,
            log_range: u64::MAX,
            has_logs: true,
            asked: Vec::new(),
            on_request: None,
        }
    }

    pub(crate) fn third(mut self) -> Self {
        self.version = "v3.0.0".into();
        self.submit = V3;
        self
    }

    pub(crate) fn hash(&self, number: usize) -> Hash32 {
        let mut seed = vec![*self.blocks.get(number).unwrap_or(&0xff)];
        seed.extend(number.to_be_bytes());
        Hash32(keccak256(seed).0)
    }

    pub(crate) fn head(&self) -> usize {
        self.blocks.len() - 1
    }

    pub(crate) fn mine(&mut self, blocks: usize) {
        let fork = *self.blocks.last().unwrap();
        self.blocks.extend(std::iter::repeat_n(fork, blocks));
    }

    /// Other blocks from `number` on, as many.
    pub(crate) fn reorg(&mut self, number: usize) {
        for fork in &mut self.blocks[number..] {
            *fork += 1;
        }
    }

    pub(crate) fn times(&self, method: &str) -> usize {
        self.asked.iter().filter(|(name, _)| name == method).count()
    }

    fn block(&self, number: usize, visible: usize) -> Value {
        if number > visible {
            return Value::Null;
        }
        let parent = number.checked_sub(1).map_or(Hash32::ZERO, |parent| self.hash(parent));
        json!({
            "number": format!("{number:#x}"), "hash": self.hash(number), "parentHash": parent,
            "timestamp": format!("{:#x}", 1_000 + number * 12), "baseFeePerGas": "0x7",
        })
    }

    fn code(&self) -> String {
        let mut signatures = vec![self.submit, "checkpointBlockHash(uint256)"];
        if self.submit == V3 {
            signatures.extend(["opSuccinctConfigs(bytes32)", "disputeGameFactory()"]);
        } else {
            signatures.extend(["aggregationVkey()", "rangeVkeyCommitment()", "rollupConfigHash()"]);
        }
        let body: String = signatures.iter().map(|name| format!("63{}14", selector(name))).collect();
        format!("0x60806040{body}")
    }

    fn visible_outputs(&self, at: u64) -> Vec<Output> {
        self.outputs.iter().copied().filter(|output| output.since <= at).collect()
    }

    fn view(&self, to: Address, data: &str, at: u64) -> Result<Vec<u8>, Refusal> {
        let (name, args) = data.split_at(8);
        if let Some(refusal) = self.refuse_call.get(name).filter(|_| at >= self.refuse_from) {
            return Err(refusal.clone());
        }
        let is = |signature: &str| name == selector(signature);
        let arg = || U256::from_str_radix(args, 16).unwrap();
        let number = |value: u64| U256::from(value).abi_encode();
        let outputs = self.visible_outputs(at);
        let latest = outputs.last().map_or(900, |output| output.l2);
        let revert = || (3, "execution reverted".to_owned(), Some("0x".to_owned()));
        if to == FACTORY {
            return if is("initBonds(uint32)") { Ok(number(77)) } else { Ok(Vec::new()) };
        }
        if to == VERIFIER {
            return if self.mock_verifier {
                Ok(Vec::new())
            } else {
                Err((3, "execution reverted".into(), Some("0x09bde339".into())))
            };
        }
        if to != ORACLE {
            return Ok(Vec::new());
        }
        Ok(match () {
            () if is("version()") => self.version.abi_encode(),
            () if is("nextOutputIndex()") => number(outputs.len() as u64),
            () if is("latestBlockNumber()") => number(latest),
            () if is("nextBlockNumber()") => number(latest + self.interval),
            () if is("submissionInterval()") => number(self.interval),
            () if is("getL2Output(uint256)") => {
                let output = outputs.get(arg().to::<usize>()).ok_or_else(revert)?;
                (alloy::primitives::B256::from(output.root), U256::from(output.since), U256::from(output.l2))
                    .abi_encode()
            }
            () if is("verifier()") => alloy::primitives::Address::from(VERIFIER.0).abi_encode(),
            () if is("owner()") || is("challenger()") => {
                alloy::primitives::Address::from([9; 20]).abi_encode()
            }
            () if is("optimisticMode()") => self.optimistic.abi_encode(),
            () if is("finalizationPeriodSeconds()") => number(3_600),
            () if is("startingBlockNumber()") => number(900),
            () if is("startingTimestamp()") => number(500),
            () if is("l2BlockTime()") => number(2),
            () if is("computeL2Timestamp(uint256)") => number(500 + (arg().to::<u64>() - 900) * 2),
            () if is("approvedProposers(address)") => {
                let who = Address(hex::decode(&args[24..64]).unwrap().try_into().unwrap());
                self.approved.contains(&who).abi_encode()
            }
            () if is("historicBlockHashes(uint256)") => {
                self.checkpoints.get(&arg().to::<u64>()).copied().unwrap_or_default().to_vec()
            }
            () if is("aggregationVkey()") => vec![0xa1; 32],
            () if is("rangeVkeyCommitment()") => vec![0xa2; 32],
            () if is("rollupConfigHash()") => vec![0xa3; 32],
            () if is("opSuccinctConfigs(bytes32)") => [[0xb1; 32], [0xb2; 32], [0xb3; 32]].concat(),
            () if is("fallbackTimeout()") => number(600),
            () if is("lastProposalTimestamp()") => {
                number(outputs.last().map_or(500, |output| 1_000 + output.since * 12))
            }
            () if is("disputeGameFactory()") => {
                alloy::primitives::Address::from(self.factory.unwrap_or_default().0).abi_encode()
            }
            () if is("checkpointBlockHash(uint256)") && arg().to::<u64>() >= at => {
                return Err((
                    3,
                    "execution reverted".into(),
                    Some(format!("0x{}", selector("L1BlockHashNotAvailable()"))),
                ));
            }
            () => Vec::new(),
        })
    }

    /// The number of the block that a parameter names, whose state must still be there.
    fn at(&self, param: &Value, visible: usize) -> Result<u64, Refusal> {
        let at = self.named(param, visible)?;
        if at.saturating_add(self.keeps_state) < visible as u64 {
            return Err((-32000, format!("missing trie node {} (path )", self.hash(at as usize)), None));
        }
        Ok(at)
    }

    fn named(&self, param: &Value, visible: usize) -> Result<u64, Refusal> {
        match param {
            Value::Null => Ok(visible as u64),
            Value::String(text) => Ok(u64::from_str_radix(&text[2..], 16).unwrap()),
            named => {
                if !self.takes_hashes {
                    return Err((-32602, "invalid argument 1: hex string expected".into(), None));
                }
                (0..=visible)
                    .find(|number| json!(self.hash(*number)) == named["blockHash"])
                    .or(self.serves_orphans.then_some(visible))
                    .map(|number| number as u64)
                    .ok_or_else(|| (-32000, "header for hash not found".into(), None))
            }
        }
    }

    fn receipt(&self, hash: &Hash32) -> Value {
        let Some((tx, block)) = self.txs.get(hash).and_then(|tx| Some((tx, tx.block?))) else {
            return Value::Null;
        };
        json!({
            "blockNumber": format!("{:#x}", block.0), "blockHash": block.1, "status": format!("{:#x}", tx.status),
            "gasUsed": format!("{:#x}", tx.gas_used), "effectiveGasPrice": "0x3",
        })
    }

    fn transaction(&self, hash: &Hash32) -> Value {
        match self.txs.get(hash) {
            None => Value::Null,
            Some(tx) => json!({
                "hash": hash, "from": SENDER, "to": ORACLE, "value": "0x0", "gas": format!("{:#x}", tx.gas),
                "input": format!("0x{}", selector("submit()")),
            }),
        }
    }

    fn logs(&self, filter: &Value) -> Result<Value, Refusal> {
        let block = |name: &str| u64::from_str_radix(&filter[name].as_str().unwrap()[2..], 16).unwrap();
        let (from, to) = (block("fromBlock"), block("toBlock"));
        if to - from >= self.log_range {
            return Err((-32005, format!("block range too large, maximum is {}", self.log_range), None));
        }
        let inside = |log: &&Value| {
            let number = u64::from_str_radix(&log["blockNumber"].as_str().unwrap()[2..], 16).unwrap();
            (from..=to).contains(&number)
        };
        Ok(self.logs.iter().filter(inside).cloned().collect())
    }

    fn answer(&mut self, method: &str, params: &Value, visible: usize) -> Result<Value, Refusal> {
        let address = |value: &Value| value.as_str().unwrap().parse::<Address>().unwrap();
        let hash = |value: &Value| value.as_str().unwrap().parse::<Hash32>().unwrap();
        Ok(match method {
            "eth_chainId" => json!(format!("{:#x}", self.chain)),
            "eth_maxPriorityFeePerGas" => json!("0x2"),
            "eth_getBlockByNumber" if params[0] == "latest" => self.block(visible, visible),
            "eth_getBlockByNumber" => {
                self.block(usize::from_str_radix(&params[0].as_str().unwrap()[2..], 16).unwrap(), visible)
            }
            "eth_call" | "eth_estimateGas" => {
                let at = self.at(&params[1], visible)?;
                let returned =
                    self.view(address(&params[0]["to"]), &params[0]["data"].as_str().unwrap()[2..], at)?;
                if method == "eth_call" {
                    json!(format!("0x{}", hex::encode(returned)))
                } else {
                    json!("0xc350")
                }
            }
            "eth_getStorageAt" => {
                self.at(&params[2], visible)?;
                json!(format!("0x{:0>64}", hex::encode(self.implementation.0)))
            }
            "eth_getCode" => {
                self.at(&params[1], visible)?;
                let known = [self.implementation, VERIFIER, FACTORY];
                json!(if known.contains(&address(&params[0])) { self.code() } else { "0x".into() })
            }
            "eth_getBalance" => {
                self.at(&params[1], visible)?;
                json!(format!("{:#x}", self.balance))
            }
            "eth_getTransactionCount" => {
                let at = self.at(&params[1], visible)?;
                let nonce = self.nonces.iter().rev().find(|(from, _)| *from <= at).unwrap().1;
                json!(format!("{nonce:#x}"))
            }
            "eth_getTransactionByHash" => self.transaction(&hash(&params[0])),
            "eth_getTransactionReceipt" => self.receipt(&hash(&params[0])),
            "eth_getLogs" if self.has_logs => self.logs(&params[0])?,
            "eth_sendRawTransaction" => match self.refuse_send.clone() {
                Some(refusal) => return Err(refusal),
                None => json!(Hash32(keccak256(hex::decode(&params[0].as_str().unwrap()[2..]).unwrap()).0)),
            },
            other => return Err((-32601, format!("the method {other} does not exist"), None)),
        })
    }
}

/// A server that shows a world.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) world: Arc<Mutex<World>>,
    /// Blocks by which the answers to successive requests lag, in turn.
    lags: Vec<usize>,
    requests: Arc<AtomicUsize>,
}

impl Node {
    pub(crate) fn new(world: World) -> Self {
        Self::of(&Arc::new(Mutex::new(world)), &[0])
    }

    pub(crate) fn of(world: &Arc<Mutex<World>>, lags: &[usize]) -> Self {
        Self { world: world.clone(), lags: lags.to_vec(), requests: Arc::default() }
    }

    /// Serves at a fresh port and returns the address.
    pub(crate) async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/secret-path", post(handle)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/secret-path")
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.world.lock().unwrap())
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn handle(State(node): State<Node>, axum::Json(body): axum::Json<Value>) -> axum::Json<Value> {
    let request = node.requests.fetch_add(1, Ordering::SeqCst);
    let mut world = node.world.lock().unwrap();
    if let Some(mut hook) = world.on_request.take() {
        hook(&mut WorldMut { blocks: &mut world.blocks, requests: request });
        world.on_request = Some(hook);
    }
    let visible = world.head() - node.lags[request % node.lags.len()];
    let mut one = |call: &Value| {
        let method = call["method"].as_str().unwrap();
        world.asked.push((method.to_owned(), call["params"].clone()));
        match world.answer(method, &call["params"], visible) {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }),
            Err((code, message, data)) => {
                json!({ "jsonrpc": "2.0", "id": call["id"], "error": { "code": code, "message": message, "data": data } })
            }
        }
    };
    axum::Json(match &body {
        Value::Array(calls) => {
            let answers = calls.iter().map(&mut one).collect();
            if world.takes_batches {
                Value::Array(answers)
            } else {
                json!({ "id": null, "error": { "code": -32600, "message": "batches are not allowed" } })
            }
        }
        call => one(call),
    })
}
