//! How the program begins, stands still and ends: signals at every moment, clocks, settings that are mixed up, a data
//! directory that is used again.
//!
//! Each test has a devnet of its own and waits for what the engine records, never for time.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use prooflog_devnet::DevnetConfig;
use prooflog_devnet_node::Step;
use prooflog_devnet_prover::{CallKind, Fault, FaultKind, Kind, Script};
use prooflog_e2e::{World, quick, with_settings};
use serde_json::{Value, json};

fn is(event: &Value, name: &str) -> bool {
    event["type"] == name
}

fn micros(event: &Value) -> u64 {
    let micros = &event["micros"];
    micros.as_u64().or_else(|| micros.as_str()?.parse().ok()).unwrap()
}

/// Changes the configuration.
fn configure(world: &World, change: impl Fn(&str) -> String) {
    let text = std::fs::read_to_string(&world.setup.config).unwrap();
    std::fs::write(&world.setup.config, change(&text)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_end_in_any_phase_it_ends_in_order_and_goes_on_without_doing_anything_twice() {
    let mut world = World::start(DevnetConfig { prelude: 60, ..quick() }, "").await;
    let phases = [
        "EngineStarted",
        "WitnessGenStarted",
        "ProofRequested",
        "ProofFulfilled",
        "CheckpointStarted",
        "TxReserved",
        "TxPrepared",
        "TxBroadcast",
        "TxIncluded",
        "Submitted",
    ];
    for phase in phases {
        world.wait_next(phase);
        world.stop();
        world.run(&[]);
    }
    // A call that never comes back holds nothing up.
    let hangs = Fault { call: Some(CallKind::Span), range: None, times: Some(1), kind: FaultKind::Hang };
    world.faults(vec![hangs]);
    world.wait_next("WitnessGenStarted");
    world.stop();
    world.run(&[]);
    world.wait_next("SubmissionConfirmed");
    assert_eq!(world.stats().paid_twice(), [], "the server honours our keys");
    assert_eq!(world.count("EngineStopped"), phases.len() + 1, "each end is on record");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_end_while_it_starts_it_ends_in_order() {
    let mut world = World::new(quick(), "").await;
    for _ in 0..20 {
        world.run(&[]);
        // It prints before it opens most of what it needs.
        world.listens();
        world.signal("TERM");
        let (code, printed) = world.ended();
        assert_eq!(code, Some(0), "{printed}");
    }
    world.setup.json(&["verify"]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_as_long_in_every_time_zone_and_over_once_after_a_standstill() {
    const LIMIT: u64 = 2;
    for zone in ["Asia/Tokyo", "America/Los_Angeles"] {
        // Nothing is proven in time.
        let script = Script { proving_ms: 3_600_000, ..quick().script };
        let settings = format!("prover.proving-timeout = \"{LIMIT}s\"\nmax-proofs-in-flight = 1\n");
        let mut world = World::new(DevnetConfig { prelude: 20, script, ..quick() }, &settings).await;
        world.setup.env.push(("TZ".to_owned(), zone.to_owned()));
        world.run(&[]);
        let requested = world.wait("ProofRequested", 1);
        let over = world.wait("TimedOut", 1);
        let took = micros(&over) - micros(&requested);
        // No earlier; and later by the next look at most, of which there is one each second.
        assert!(took >= LIMIT * 1_000_000, "{zone}: {took} us");
        assert!(took < 3_600_000_000, "{zone}: {took} us");

        // The process stands still past a limit.
        let requested = world.wait_next("ProofRequested");
        world.signal("STOP");
        let begun = world.devnet.l1.head().await.unwrap();
        while world.devnet.l1.head().await.unwrap() < begun + LIMIT + 2 {
            tokio::task::yield_now().await;
        }
        world.signal("CONT");
        let ended = |event: &Value| {
            is(event, "TimedOut")
                && event["stream"] == requested["stream"]
                && event["data"]["attempt"] == requested["data"]["attempt"]
        };
        world.wait_for(0, "the attempt's end", ended);
        world.wait_next("FinalizedMoved");
        let times = world.story().events().iter().filter(|event| ended(event)).count();
        assert_eq!(times, 1, "{zone}");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_used_with_another_oracle_serves_that_one_from_its_start_with_the_proofs_that_fit() {
    let mut world = World::new(DevnetConfig { rollups: 2, prelude: 40, ..quick() }, "").await;
    world.serve_one();
    world.run(&[]);
    world.wait("SubmissionConfirmed", 1);
    world.stop();
    // Another oracle of the same rollup, under the same commitments.
    let (first, second) = (world.rollup.oracle.to_string(), world.devnet.rollups[1].oracle.to_string());
    configure(&world, |text| text.replace(&first, &second));
    let from = world.mark();
    world.run(&[]);
    let changed = world.wait_for(from, "ContractChanged", |event| is(event, "ContractChanged"));
    assert_eq!(changed["data"]["to"], json!(second.to_lowercase()), "{changed}");
    let at =
        world.story().events().iter().position(|event| event["position"] == changed["position"]).unwrap();
    let queued = world.wait_for(at, "AggQueued", |event| is(event, "AggQueued"));
    assert_eq!(queued["data"]["range"]["start"], 2, "from the new oracle's start: {queued}");
    world.wait_for(at, "SubmissionConfirmed", |event| is(event, "SubmissionConfirmed"));
    let outputs = world.devnet.outputs(&world.devnet.rollups[1]).await.unwrap();
    assert!(outputs.len() >= 2, "it was submitted to the second oracle");
    let twice = world.stats().paid_twice();
    assert!(
        twice.iter().all(|paid| paid.kind != Kind::Span),
        "a proof is of the blocks, whoever takes it: {twice:?}"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_are_mixed_up_end_the_start_with_the_ids_that_do_not_fit() {
    let mut world = World::new(quick(), "").await;
    let (l1, l2) = (world.devnet.l1.url().to_owned(), world.devnet.l2.url().to_owned());
    configure(&world, |text| with_settings(text, &format!("l1-rpc = [\"{l2}\"]")));
    world.run(&[]);
    let (code, printed) = world.ended();
    assert_eq!(code, Some(2), "{printed}");
    assert!(printed.contains("belongs to chain 901, not 900: check the L1 endpoint"), "{printed}");

    // The rollup node of another chain.
    configure(&world, |text| {
        with_settings(text, &format!("l1-rpc = [\"{l1}\"]")).replace("id = 901", "id = 777")
    });
    world.run(&[]);
    let (code, printed) = world.ended();
    assert_eq!(code, Some(2), "{printed}");
    assert!(printed.contains("the rollup node serves chain 901, not 777"), "{printed}");
    assert_eq!(world.requests(), 0);
    world.setup.json(&["verify"]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollup_node_that_does_not_catch_up_in_time_ends_the_process_with_a_code_of_its_own() {
    let settings = "wait-node-sync = true\nnode-sync-timeout = \"2s\"";
    let mut world = World::new(DevnetConfig { prelude: 40, ..quick() }, settings).await;
    world.devnet.node.script(None, &Step::Zeros { on: true }).unwrap();
    world.run(&[]);
    let (code, printed) = world.ended();
    assert_eq!(code, Some(3), "{printed}");
    assert!(printed.contains("a rollup node is not in sync"), "{printed}");
    assert!(printed.contains("node-sync-timeout"), "{printed}");
    assert_eq!((world.requests(), world.count("TxReserved")), (0, 0));
    world.devnet.node.script(None, &Step::Zeros { on: false }).unwrap();
    world.run(&[]);
    world.wait("SubmissionConfirmed", 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_many_requests_alive_asks_for_all_of_them_and_buys_none_again() {
    const ALIVE: usize = 60;
    let script = Script { witness_ms: 10, proving_ms: 8_000, ..quick().script };
    let settings = format!("max-proofs-in-flight = {ALIVE}\nspan.blocks = 5\nmax-blocks-ahead = 1000");
    let mut world = World::start(DevnetConfig { prelude: 400, script, ..quick() }, &settings).await;
    world.wait("ProofRequested", ALIVE);
    world.kill();
    let paid = world.stats().paid.len();
    world.run(&[]);
    world.wait("ProofFulfilled", ALIVE);
    world.wait("SubmissionConfirmed", 1);
    assert_eq!(world.stats().paid_twice(), []);
    let stats = world.stats();
    assert!(stats.witnesses_most <= 4 + 1, "the limit of witnesses: {}", stats.witnesses_most);
    assert!(stats.paid.len() >= paid && paid >= ALIVE, "{paid} before, {} after", stats.paid.len());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_tells_of_a_fork_early_is_named_with_the_value_and_nothing_is_bought_that_the_contract_does_not_take()
 {
    let mut world = World::start(quick(), "").await;
    world.wait("SubmissionConfirmed", 1);
    world.stop();
    // The node is upgraded, and the server with it: it would prove under another configuration.
    let fork = Step::Fork { name: "isthmus_time".to_owned(), time: 4_102_444_800 };
    world.devnet.node.script(None, &fork).unwrap();
    let differs =
        json!({ "rollup_config_hash_valid": false, "agg_vkey_valid": true, "range_vkey_valid": true });
    let body = FaultKind::Body { body: differs.to_string() };
    world.faults(vec![Fault { call: Some(CallKind::Validate), range: None, times: None, kind: body }]);
    let before = world.requests();
    let from = world.mark();
    world.run(&[]);
    let rejected =
        world.wait_for(from, "ContractConfigRejected", |event| is(event, "ContractConfigRejected"));
    assert_eq!(rejected["data"]["rollup_config_ok"], false, "{rejected}");
    let moved = world.count("FinalizedMoved");
    world.wait("FinalizedMoved", moved + 3);
    assert_eq!(world.requests(), before, "nothing is bought");
    let words = "isthmus_time was nothing and is 4102444800";
    assert_eq!(world.setup.printed().matches(words).count(), 1, "{}", world.setup.printed());
    world.stop();
    let doctor = world.setup.run(&["doctor", "--config", world.setup.config.to_str().unwrap()]).unwrap();
    assert!(String::from_utf8_lossy(&doctor.stdout).contains(words), "{doctor:?}");

    // Told again at each start, until the contract takes it.
    world.faults(Vec::new());
    for _ in 0..2 {
        world.run(&[]);
        world.wait_next("SubmissionConfirmed");
        assert_eq!(world.setup.printed().matches(words).count(), 2);
        world.stop();
    }
    world.end().await;
}
