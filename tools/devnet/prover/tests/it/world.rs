//! A world for one prover: an L1 and a rollup node that answer what is asked of them, the server, and a client.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use prooflog_core::{AggRequest, Patience, ProofRequest};
use prooflog_devnet_prover::{
    ChainConfig, Config, Fault, FaultKind, Generation, Handle, Hex, Script, Stats, Word, keccak, serve,
};
use prooflog_events::ids::{
    Address, Attempt, ChainId, Hash32, L2Block, Micros, ProofId, Range, UnitId, UnitKind,
};
use prooflog_events::values::{BlobRef, Mode};
use prooflog_net::{Endpoint, Salt};
use prooflog_prover::{
    Blob, Polled, ProofSource, Prover, ProverConfig, ProverLimits, Requested, SourceError,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) const CHAIN: u64 = 901;
pub(crate) const ORACLE: Address = Address([0x0a; 20]);
pub(crate) const CHECKPOINT: u64 = 50;

/// What the fake chains say.
#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) generation: Generation,
    pub(crate) safe_l2: u64,
    pub(crate) l1_head: u64,
    /// Blocks of the L1 whose hash changed in a reorg.
    pub(crate) forked_from: u64,
    pub(crate) agg_vkey: Word,
}

pub(crate) fn root_of(block: u64) -> Word {
    keccak(&[b"root", &block.to_be_bytes()])
}

pub(crate) fn l1_hash(block: u64) -> Word {
    keccak(&[b"l1", &block.to_be_bytes()])
}

const RANGE_VKEY: Word = Hex([0x22; 32]);
const ROLLUP_CONFIG: Word = Hex([0x33; 32]);
pub(crate) const AGG_VKEY: Word = Hex([0x11; 32]);

impl Outside {
    fn hash(&self, block: u64) -> Word {
        if block >= self.forked_from { keccak(&[b"fork", &block.to_be_bytes()]) } else { l1_hash(block) }
    }

    fn answer(&self, method: &str, params: &Value) -> Value {
        let quantity = |value: &Value| {
            u64::from_str_radix(value.as_str().unwrap().strip_prefix("0x").unwrap(), 16).unwrap()
        };
        match method {
            "optimism_outputAtBlock" => json!({ "outputRoot": root_of(quantity(&params[0])) }),
            "optimism_syncStatus" => {
                let l1 = json!({ "number": self.l1_head, "hash": self.hash(self.l1_head) });
                json!({ "safe_l2": { "number": self.safe_l2 }, "finalized_l1": l1, "current_l1": l1 })
            }
            "eth_getBlockByNumber" => {
                let number = quantity(&params[0]);
                json!({ "number": params[0], "hash": self.hash(number) })
            }
            "eth_getBlockByHash" => (0..1_000)
                .find(|number| params[0] == json!(self.hash(*number)))
                .map_or(Value::Null, |number| json!({ "number": format!("{number:#x}"), "hash": params[0] })),
            "eth_call" => self.contract(&params[0]),
            _ => Value::Null,
        }
    }

    fn contract(&self, call: &Value) -> Value {
        assert_eq!(call["to"], ORACLE.to_string());
        let data = call["data"].as_str().unwrap();
        let is = |signature: &str| {
            data.starts_with(&format!("0x{}", hex::encode(&keccak(&[signature.as_bytes()]).0[..4])))
        };
        if is("opSuccinctConfigs(bytes32)") && self.generation == Generation::V3 {
            assert!(data.ends_with(&hex::encode(keccak(&[b"opsuccinct_genesis"]).0)));
            let words = [self.agg_vkey, RANGE_VKEY, ROLLUP_CONFIG].map(|word| hex::encode(word.0)).concat();
            return json!(format!("0x{words}"));
        }
        if is("aggregationVkey()") {
            json!(self.agg_vkey)
        } else if is("rangeVkeyCommitment()") {
            json!(RANGE_VKEY)
        } else {
            json!(ROLLUP_CONFIG)
        }
    }
}

async fn rpc(State(outside): State<Arc<Mutex<Outside>>>, Json(request): Json<Value>) -> Json<Value> {
    let outside = outside.lock().unwrap();
    let one = |call: &Value| {
        let result = outside.answer(call["method"].as_str().unwrap(), &call["params"]);
        json!({ "jsonrpc": "2.0", "id": call["id"], "result": result })
    };
    Json(request.as_array().map_or_else(|| one(&request), |calls| calls.iter().map(one).collect()))
}

/// Stored proofs, as the runtime has them in the log.
#[derive(Debug, Default)]
pub(crate) struct Store(Mutex<BTreeMap<BlobRef, Vec<u8>>>);

impl Store {
    pub(crate) fn put(&self, blob: Blob) -> BlobRef {
        self.0.lock().unwrap().insert(blob.name, blob.bytes);
        blob.name
    }
}

impl ProofSource for Store {
    fn read(&self, blob: BlobRef) -> Result<Vec<u8>, SourceError> {
        let found = self.0.lock().unwrap().get(&blob).cloned();
        found.ok_or_else(|| SourceError { sha256: blob.sha256, problem: "not stored".to_owned() })
    }
}

pub(crate) struct World {
    pub(crate) outside: Arc<Mutex<Outside>>,
    /// Where the fake chains answer.
    pub(crate) chains: String,
    pub(crate) server: Handle,
    pub(crate) prover: Prover,
    pub(crate) store: Arc<Store>,
}

/// Limits that a busy machine does not meet by accident, and short pauses.
pub(crate) fn limits() -> ProverLimits {
    ProverLimits { stall: Duration::from_secs(30), ..ProverLimits::default() }
}

/// Five failures, however quickly: the tests have no time to pass.
pub(crate) const PATIENCE: Patience = Patience { lost_after: 5, grace: Duration::ZERO };

impl World {
    pub(crate) async fn new(script: Script) -> Self {
        Self::of(Generation::V2, script).await
    }

    pub(crate) async fn of(generation: Generation, script: Script) -> Self {
        let outside =
            Outside { generation, safe_l2: 10_000, l1_head: 40, forked_from: u64::MAX, agg_vkey: AGG_VKEY };
        let outside = Arc::new(Mutex::new(outside));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let chains = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(rpc)).with_state(Arc::clone(&outside));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let chain = ChainConfig {
            aggregation_vkey: AGG_VKEY,
            range_vkey_commitment: RANGE_VKEY,
            rollup_config_hash: ROLLUP_CONFIG,
            proof_bytes: 5_000,
            script,
            ..ChainConfig::new(CHAIN, generation, chains.clone(), chains.clone())
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = serve(listener, Config { chains: vec![chain] }).unwrap();
        let endpoint = Endpoint::parse(&server.url(CHAIN), Salt::default()).unwrap();
        let prover = Prover::new(ProverConfig { endpoint, limits: limits() }).unwrap();
        Self { outside, chains, server, prover, store: Arc::default() }
    }

    /// A world in which one thing goes wrong.
    pub(crate) async fn with(faults: Vec<Fault>) -> Self {
        Self::new(Script { faults, ..Script::default() }).await
    }

    /// A client of the same server that gives up soon.
    pub(crate) fn hasty(&self) -> Prover {
        let endpoint = Endpoint::parse(&self.server.url(CHAIN), Salt::default()).unwrap();
        let limits = ProverLimits { stall: Duration::from_millis(300), ..limits() };
        Prover::new(ProverConfig { endpoint, limits }).unwrap()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.server.stats(CHAIN).unwrap()
    }

    pub(crate) async fn request(&self, request: &ProofRequest) -> Requested {
        self.prover.request(request, Arc::clone(&self.store) as Arc<dyn ProofSource>, NOW).await.unwrap()
    }

    pub(crate) async fn taken(&self, request: &ProofRequest) -> ProofId {
        match self.request(request).await {
            Requested::Taken { proof_id, .. } => proof_id,
            other => unreachable!("{other:?}"),
        }
    }

    pub(crate) async fn poll(&self, id: &ProofId) -> Polled {
        self.prover.poll(id, PATIENCE).await
    }

    /// Polls until there is a proof, and stores it.
    pub(crate) async fn proof(&self, id: &ProofId) -> BlobRef {
        loop {
            if let Polled::State { proof: Some(proof), .. } = self.poll(id).await {
                return self.store.put(proof.blob);
            }
        }
    }

    /// Stored proofs of spans that follow each other.
    pub(crate) async fn members(&self, bounds: &[u64]) -> Vec<BlobRef> {
        let mut members = Vec::new();
        for pair in bounds.windows(2) {
            let id = self.taken(&span(pair[0], pair[1])).await;
            members.push(self.proof(&id).await);
        }
        members
    }
}

pub(crate) const NOW: Micros = Micros(1_700_000_000_000_000);

pub(crate) fn unit(kind: UnitKind) -> UnitId {
    UnitId { chain: ChainId(CHAIN), kind, number: 1 }
}

/// A request for a span, with a key of its own for each range.
pub(crate) fn span(start: u64, end: u64) -> ProofRequest {
    let key = keccak(&[&start.to_be_bytes(), &end.to_be_bytes()]);
    ProofRequest {
        unit: unit(UnitKind::Span),
        attempt: Attempt(1),
        range: Range::new(L2Block(start), L2Block(end)).unwrap(),
        mode: Mode::Real,
        idempotency_key: Hash32(key.0),
        deadline: NOW.plus_secs(60),
        agg: None,
    }
}

pub(crate) fn agg(members: Vec<BlobRef>) -> ProofRequest {
    ProofRequest {
        unit: unit(UnitKind::Agg),
        agg: Some(AggRequest {
            members,
            head: Hash32(l1_hash(CHECKPOINT).0),
            prover: Address([0x44; 20]),
            config_name: Hash32::ZERO,
        }),
        ..span(1, 1_000)
    }
}

pub(crate) fn mock(request: ProofRequest) -> ProofRequest {
    ProofRequest { mode: Mode::Mock, ..request }
}

/// A fault that is played once, for any call.
pub(crate) fn once(kind: FaultKind) -> Fault {
    Fault { call: None, range: None, times: Some(1), kind }
}

/// A fault that is played for ever, for one kind of call.
pub(crate) fn always(call: prooflog_devnet_prover::CallKind, kind: FaultKind) -> Fault {
    Fault { call: Some(call), range: None, times: None, kind }
}
