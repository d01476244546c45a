//! The program beside a prover and a rollup node that misbehave, and how it is seen from outside meanwhile.
//!
//! Each test has a devnet of its own and waits for what the engine records, never for time.
#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prooflog_devnet::DevnetConfig;
use prooflog_devnet_node::Step;
use prooflog_devnet_prover::{CallKind, Fault, FaultKind, Kind, Paid, Script};
use prooflog_e2e::{Memory, World, quick};
use serde_json::Value;

/// Numbers that look random; another row of them for each seed.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        Self(u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos()) | 1)
    }

    /// From 1 to `most`.
    fn roll(&mut self, most: u64) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most + 1).unwrap()
    }
}

fn fault(call: CallKind, start: u64, times: u32, kind: FaultKind) -> Fault {
    Fault { call: Some(call), range: Some((start, start + 10)), times: Some(times), kind }
}

fn of_type<'a>(events: &'a [Value], name: &'a str) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |event| event["type"] == name)
}

/// The blocks of every unit, by its stream.
fn ranges(events: &[Value]) -> BTreeMap<String, (u64, u64)> {
    let made = of_type(events, "SpanCreated").chain(of_type(events, "AggQueued"));
    let block = |event: &Value, side: &str| event["data"]["range"][side].as_u64().unwrap();
    made.map(|event| {
        (event["stream"].as_str().unwrap().to_owned(), (block(event, "start"), block(event, "end")))
    })
    .collect()
}

/// The calls that a restart cut off, by blocks: each is named in the log as one that may have been paid.
fn cut_off(events: &[Value]) -> Vec<(u64, u64)> {
    let ranges = ranges(events);
    of_type(events, "TimedOut")
        .filter(|event| event["data"]["reason"] == "restart" && event["data"]["maybe_paid"] == true)
        .map(|event| ranges[event["stream"].as_str().unwrap()])
        .collect()
}

const KILLS: usize = 30;

/// Kills the program at moments that nobody chose, and waits until everything goes on; the seed of the moments.
fn kill_again_and_again(world: &mut World) -> u64 {
    let mut dice = Dice::new();
    let seed = dice.0;
    for _ in 0..KILLS {
        // Some events later, wherever in the life of whatever that is.
        world.wait_for(world.mark() + dice.roll(12) - 1, "further events", |_| true);
        world.kill();
        world.run(&[]);
    }
    let confirmed = world.count("SubmissionConfirmed");
    world.wait("SubmissionConfirmed", confirmed + 2);
    seed
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_submits_everything_once_and_pays_nothing_twice() {
    let mut world = World::start(DevnetConfig { prelude: 60, ..quick() }, "").await;
    let seed = kill_again_and_again(&mut world);
    assert_eq!(world.stats().paid_twice(), [], "seed {seed}: the server honours our keys");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ignores_keys_is_paid_at_most_once_more_per_kill_and_each_is_named() {
    let script = Script { idempotency: false, optional_fields: false, ..quick().script };
    // One call at a time, so that a kill can cut off one; of aggregates there is never more than one.
    let settings = "max-witness-in-flight = 1\nprover.witness-timeout = \"1s\"";
    let mut world = World::start(DevnetConfig { prelude: 200, script, ..quick() }, settings).await;
    let seed = kill_again_and_again(&mut world);
    let twice = world.stats().paid_twice();
    let extra: u64 = twice.iter().map(|paid| paid.times - 1).sum();
    assert!(extra <= KILLS as u64, "seed {seed}: {twice:?}");
    let named = cut_off(world.story().events());
    for Paid { start, end, times, .. } in &twice {
        let told = named.iter().filter(|range| **range == (*start, *end)).count() as u64;
        assert!(told >= times - 1, "seed {seed}: ({start}, {end}] was paid {times} times: {named:?}");
    }
    world.end().await;
}

/// Which fault meets which span, and how often its proof is paid for in the end.
fn bad_habits() -> (Vec<Fault>, Vec<(u64, u64)>) {
    let garbage = || FaultKind::Body { body: "<html>welcome</html>".into() };
    let words = || FaultKind::Error { status: 500, text: "the network hiccups".into(), error_class: None };
    let strange = FaultKind::Status { fulfillment: 9, execution: 7 };
    let table = [
        (fault(CallKind::Span, 2, 1, FaultKind::Hang), 1),
        // Done, and told when nobody waits any more, which is a minute after the limit: asked again under the same key.
        (fault(CallKind::Span, 12, 1, FaultKind::Late { ms: 64_000 }), 1),
        (fault(CallKind::Span, 22, 1, FaultKind::AnswerLost), 1),
        (fault(CallKind::Status, 32, 2, FaultKind::Hang), 1),
        (fault(CallKind::Status, 42, 3, words()), 1),
        (fault(CallKind::Status, 52, 3, strange), 1),
        // Gone for good: bought again, which the log says.
        (fault(CallKind::Status, 62, 3, FaultKind::NoBytes), 2),
        (fault(CallKind::Status, 72, 1, FaultKind::Forget), 2),
        (fault(CallKind::Span, 82, 1, garbage()), 1),
        (fault(CallKind::Status, 92, 2, garbage()), 1),
        (fault(CallKind::Status, 102, 1, FaultKind::Late { ms: 900 }), 1),
        (fault(CallKind::Status, 112, 1, FaultKind::Drop), 1),
    ];
    let paid = table.iter().map(|(fault, times)| (fault.range.unwrap().0, *times)).collect();
    (table.into_iter().map(|(fault, _)| fault).collect(), paid)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_habit_of_a_prover_is_got_over_and_no_proof_is_paid_twice_for_it() {
    let (faults, paid) = bad_habits();
    let script = Script { faults, ..quick().script };
    let settings = "prover.witness-timeout = \"2s\"\nprover.status-timeout = \"1s\"\nretry.lost-after = 5\n\
                    retry.lost-grace = \"4s\"";
    let mut world = World::start(DevnetConfig { prelude: 130, script, ..quick() }, settings).await;
    let is_there = |event: &Value| {
        event["type"] == "ContractAdvanced" && event["data"]["latest"]["block"].as_u64() >= Some(122)
    };
    world.wait_for(0, "an output at block 122 or above", is_there);
    let stats = world.stats();
    for (start, times) in paid {
        let found = stats.times_paid(Kind::Span, start, start + 10);
        assert_eq!(found, times, "the span at {start}: {}", world.story().last());
    }
    assert!(stats.recognised >= 2, "what was done and not heard of is recognised by its key: {stats:?}");
    let lost = of_type(world.story().events(), "ProofLost");
    let mut classes: Vec<&str> = lost.map(|event| event["data"]["class"].as_str().unwrap()).collect();
    classes.sort_unstable();
    assert_eq!(classes, ["lost", "no_bytes"]);
    assert!(world.setup.printed().contains("does not know"), "the strange status is told");
    // What failed is counted by its kind, under our names and those of older dashboards.
    let metrics = world.setup.metrics().unwrap();
    let failed = |class: &str| {
        let sample = format!("prooflog_effect_failures_total{{kind=\"poll_proof\",class=\"{class}\"}}");
        metrics.value(&sample).unwrap()
    };
    assert!(failed("timeout") >= 2.0 && failed("refused") >= 3.0 && failed("malformed") >= 2.0);
    assert!(metrics.value("succinct_network_call_timeout_count").unwrap() >= 2.0);
    assert_eq!(failed("other"), 0.0);
    // And every call by its method, to whomever it went.
    let call = |name: &str, labels: &str| {
        let sample = format!("op_proposer_default_rpc_client_{name}{{{labels}}}");
        metrics.value(&sample).unwrap_or_default()
    };
    assert!(call("responses_total", "method=\"status\",error=\"timeout\"") >= 2.0);
    assert!(call("responses_total", "method=\"status\",error=\"malformed\"") >= 2.0);
    for method in ["eth_call", "optimism_syncStatus", "request_span_proof", "validate_config"] {
        let answered = call("responses_total", &format!("method=\"{method}\",error=\"<nil>\""));
        let sent = call("requests_total", &format!("method=\"{method}\""));
        let timed = call("request_duration_seconds_count", &format!("method=\"{method}\""));
        assert!(answered >= 1.0 && sent >= timed && timed >= answered, "{method}: {answered} of {sent}");
    }
    assert_eq!(call("requests_total", "method=\"other\""), 0.0, "every method has its name");
    let served = "op_proposer_default_rpc_server_requests_total{method=\"metrics\"}";
    let seen = metrics.value(served);
    assert!(world.setup.metrics().unwrap().value(served) > seen, "looking is counted too");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_of_twenty_megabytes_passes_through_and_takes_at_most_four_times_its_size() {
    const SIZE: usize = 20_000_000;
    let rejects =
        Fault { call: Some(CallKind::Validate), range: None, times: None, kind: FaultKind::WrongCommitments };
    let script = Script { proof_bytes: Some(SIZE), faults: vec![rejects], ..quick().script };
    // Blocks for one span: several proofs at once take several times as much.
    let config = DevnetConfig { prelude: 15, l2_block_time: 600, script, ..quick() };
    let mut world = World::start(config, "").await;
    world.wait("ContractConfigRejected", 1);
    world.wait("SpanCreated", 1);
    let pid = world.pid().unwrap();
    let idle = Memory::of(pid).unwrap();
    world.faults(Vec::new());
    world.wait("SubmissionConfirmed", 1);
    let busy = Memory::of(pid).unwrap();
    let above = busy.peak.saturating_sub(idle.resident);
    let ratio = above as f64 / SIZE as f64;
    println!(
        "20 MB proofs: {} MB idle, {} MB at the peak: {ratio:.2} proofs above idle",
        idle.resident / 1_000_000,
        busy.peak / 1_000_000
    );
    let proof = of_type(world.story().events(), "ProofFulfilled").next().unwrap();
    assert_eq!(proof["data"]["proof"]["length"].as_u64(), Some(SIZE as u64), "{proof}");
    assert!(ratio <= 4.0, "{ratio:.2} times the proof above idle");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stalls_for_long_and_jumps_by_twenty_thousand_blocks_is_followed_within_the_limits() {
    const JUMP: u64 = 20_000;
    /// Where the node stands before and while it stalls.
    const STALLED: u64 = 34;
    // max-blocks-ahead by default: ten intervals, or four times what is in flight.
    const AHEAD: u64 = 4 * 8 * 10;
    /// What the program may take for a jump, whatever its length.
    const MEMORY: u64 = 48 << 20;
    let config = DevnetConfig { prelude: STALLED + 4, jump: JUMP, ..quick() };
    let mut world = World::new(config, "stall-after = \"3s\"\nspan.gas = 30000000").await;
    let devnet = Arc::clone(&world.devnet);
    let long = devnet.long.as_ref().unwrap();
    let text = std::fs::read_to_string(&world.setup.config).unwrap();
    let l2 = format!("[[chain]]\nl2-rpc = \"{}\"", long.url("program"));
    std::fs::write(&world.setup.config, text.replace("[[chain]]", &l2)).unwrap();
    devnet.node.script(None, &Step::Finalize { block: STALLED }).unwrap();
    world.run(&[]);
    world.wait("FinalizedStalled", 1);
    world.wait("SubmissionConfirmed", 1);
    let (mark, asked) = (world.mark(), long.asked("program"));
    let idle = Memory::of(world.pid().unwrap()).unwrap();
    let calls = |world: &World| world.setup.metrics().unwrap().sum("prooflog_calls_total");
    let called = calls(&world);

    let head = devnet.jump().await.unwrap();
    devnet.node.script(None, &Step::Follow).unwrap();
    let moved = world.wait_for(mark, "the jump", |event| event["type"] == "FinalizedMoved");
    assert!(
        moved["data"]["block"].as_u64() >= Some(STALLED + JUMP),
        "{moved}, and not all at once to {head}"
    );
    let confirmed = world.count("SubmissionConfirmed");
    world.wait("SubmissionConfirmed", confirmed + 3);

    let (mut contract, mut spans) = (0, 0);
    for event in world.story().events() {
        match event["type"].as_str().unwrap() {
            "ContractAdvanced" => contract = event["data"]["latest"]["block"].as_u64().unwrap(),
            "SpanCreated" => {
                let end = event["data"]["range"]["end"].as_u64().unwrap();
                assert!(end <= contract.max(2) + AHEAD, "{event} while the contract stands at {contract}");
                assert!(event["data"]["transactions"].is_u64(), "the L2 was asked for its blocks");
                spans += 1;
            }
            _ => {}
        }
    }
    assert!(spans <= (contract + AHEAD) / 10 + 1, "{spans} spans with the contract at {contract}");
    assert!(world.stats().witnesses_most <= 4 + 1, "the limit of witnesses, and the aggregate's own place");
    // What is asked of the L2 is what may be planned, in batches, and not what is there.
    let now = long.asked("program");
    assert!(now.highest <= contract + AHEAD && now.largest <= 50, "{now:?} with the contract at {contract}");
    assert!(now.calls - asked.calls <= 2 * (contract + AHEAD), "{asked:?} became {now:?}");
    let busy = Memory::of(world.pid().unwrap()).unwrap();
    let grown = busy.peak.saturating_sub(idle.peak);
    println!(
        "a jump to {head}: {spans} spans up to {}, {} blocks of the L2 read, {:.0} calls in all, {grown} bytes more at \
         the peak",
        contract + AHEAD,
        now.calls - asked.calls,
        calls(&world) - called
    );
    assert!(grown <= MEMORY, "{idle:?} became {busy:?}");
    world.end().await;
}
