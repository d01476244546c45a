//! The program on real chains, with everything that can go wrong out there.
//!
//! Each test has a devnet of its own and waits for what the engine records, never for time. At the end of each the log
//! must verify and no purpose may have been included twice.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use prooflog_devnet::{Devnet, DevnetConfig, Generation, Oracle, Proofs, Rollup};
use prooflog_devnet_node::{Lie, Step};
use prooflog_devnet_prover::{CallKind, Fault, FaultKind, Script, Stats};
use prooflog_e2e::{Engine, Setup, Story, demo};
use serde_json::{Value, json};
use words::{address, json_of};

const LIMIT: Duration = Duration::from_secs(150);

/// A rollup in a world of its own.
struct World {
    devnet: Devnet,
    rollup: Rollup,
    setup: Setup,
    engine: Option<Engine>,
    story: Option<Story>,
    _dir: tempfile::TempDir,
}

fn quick() -> DevnetConfig {
    let script = Script { witness_ms: 100, proving_ms: 400, proof_bytes: Some(60_000), ..Script::default() };
    DevnetConfig { submission_interval: 10, script, ..DevnetConfig::default() }
}

impl World {
    /// Brings the devnet up, without the program.
    async fn new(config: DevnetConfig, settings: &str) -> Self {
        let devnet = Devnet::start(config, &|_| {}).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let text = with_settings(&demo::config(&devnet), settings);
        let setup = Setup::write(dir.path(), &text, devnet.prooflog_env()).unwrap();
        let rollup = devnet.rollups[0].clone();
        Self { devnet, rollup, setup, engine: None, story: None, _dir: dir }
    }

    /// Brings everything up.
    async fn start(config: DevnetConfig, settings: &str) -> Self {
        let mut world = Self::new(config, settings).await;
        world.run(&[]);
        world
    }

    fn run(&mut self, arguments: &[&str]) {
        self.engine = Some(Engine::start_with(&self.setup, arguments).unwrap());
        if self.story.is_none() {
            self.story = Some(Story::follow(&self.setup, LIMIT).unwrap_or_else(|error| self.fail(&error)));
        }
    }

    fn fail<T>(&self, error: &dyn std::fmt::Display) -> T {
        let printed = self.setup.printed();
        let from = printed.len().saturating_sub(6_000);
        panic!("{error}\n--- what prooflog printed last:\n{}", printed.get(from..).unwrap_or_default())
    }

    fn wait(&mut self, name: &str, times: usize) -> Value {
        let mut story = self.story.take().unwrap();
        let found = story.wait_for(name, times).cloned();
        self.story = Some(story);
        found.unwrap_or_else(|error| self.fail(&error))
    }

    fn story(&self) -> &Story {
        self.story.as_ref().unwrap()
    }

    fn count(&self, name: &str) -> usize {
        self.story().count(name)
    }

    /// Reads everything that is recorded up to now: an event of our own making is the mark.
    fn catch_up(&mut self) {
        let flushed = self.count("FlushRequested");
        self.command(&["flush", "--to", "999999999"]);
        self.wait("FlushRequested", flushed + 1);
    }

    fn command(&self, arguments: &[&str]) {
        let output = self.setup.run(arguments).unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Ends the program and looks at everything once more.
    async fn end(mut self) {
        if let Some(engine) = self.engine.take() {
            let status = engine.stop().unwrap();
            assert!(status.success(), "{status}: {}", self.setup.printed());
        }
        self.wait("EngineStopped", 1);
        self.setup.json(&["verify"]).unwrap_or_else(|error| self.fail(&error));
        demo::included_once(self.story().events()).unwrap_or_else(|error| self.fail(&error));
        let outputs = self.devnet.outputs(&self.rollup).await.unwrap();
        for output in outputs {
            let block = u64::try_from(output.l2BlockNumber).unwrap();
            assert_eq!(
                output.outputRoot,
                self.devnet.root(&self.rollup, block).await.unwrap(),
                "block {block}"
            );
        }
    }

    fn stats(&self) -> Stats {
        self.devnet.prover.stats(self.rollup.chain).unwrap()
    }

    /// Requests for proofs, whatever came of them.
    fn requests(&self) -> u64 {
        let calls = self.stats().calls;
        calls.iter().filter(|(path, _)| path.contains("request")).map(|(_, times)| times).sum()
    }

    /// Has faults happen from now on; none ends those there are.
    fn faults(&self, faults: Vec<Fault>) {
        self.devnet.prover.script(self.rollup.chain, |script| script.faults = faults).unwrap();
    }
}

/// The configuration with settings for all rollups, in the place of those it has.
fn with_settings(text: &str, settings: &str) -> String {
    let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let given: Vec<String> = settings.lines().map(key).collect();
    let kept: Vec<&str> = text.lines().filter(|line| !given.contains(&key(line))).collect();
    kept.join("\n").replacen("[defaults]\n", &format!("[defaults]\n{settings}\n"), 1) + "\n"
}

/// A fault of calls of a kind: always, or for one range and so many times.
fn fault(call: CallKind, range: Option<(u64, u64)>, times: Option<u32>, kind: FaultKind) -> Fault {
    Fault { call: Some(call), range, times, kind }
}

fn out_of_order() -> FaultKind {
    FaultKind::Error { status: 500, text: "the prover network does not answer".into(), error_class: None }
}

mod words {
    /// An event as JSON text, for messages.
    pub(super) fn json_of(events: &[serde_json::Value]) -> String {
        events.iter().map(|event| format!("{event}\n")).collect()
    }

    /// The part of an address that logs show.
    pub(super) fn address(text: &str) -> String {
        text.to_lowercase()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_generation_takes_our_submissions() {
    let mut world = World::start(DevnetConfig { generation: Generation::V1, ..quick() }, "").await;
    world.wait("SubmissionConfirmed", 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_third_generation_takes_our_submissions() {
    let mut world = World::start(DevnetConfig { generation: Generation::V3, ..quick() }, "").await;
    world.wait("SubmissionConfirmed", 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_factory_of_the_third_generation_gets_its_bond() {
    let config = DevnetConfig { generation: Generation::V3, bond: Some(10_000_000_000_000_000), ..quick() };
    let mut world = World::start(config, "").await;
    world.wait("SubmissionConfirmed", 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_factory_of_the_second_generation_gets_its_bond() {
    let config = DevnetConfig { bond: Some(10_000_000_000_000_000), ..quick() };
    let mut world = World::start(config, "").await;
    world.wait("SubmissionConfirmed", 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mock_mode_submits_the_empty_proof_to_the_mock_verifier() {
    let mut world = World::start(DevnetConfig { proofs: Proofs::Empty, ..quick() }, "").await;
    world.wait("SubmissionConfirmed", 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn optimistic_mode_is_held_and_goes_on_with_proofs_when_it_ends() {
    let mut world = World::new(quick(), "").await;
    let (sender, owner) = (world.devnet.sender(), world.devnet.parts.owner);
    let on = Oracle::enableOptimisticModeCall { period: "60".parse().unwrap() };
    sender.call(owner, world.rollup.oracle, &on).await.unwrap();
    world.run(&[]);
    world.wait("FinalizedMoved", 3);
    assert_eq!(world.count("WitnessGenStarted"), 0, "nothing is bought");
    let off = Oracle::disableOptimisticModeCall { period: "60".parse().unwrap() };
    sender.call(owner, world.rollup.oracle, &off).await.unwrap();
    world.wait("SubmissionConfirmed", 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn optimistic_mode_is_submitted_without_proof_where_the_policy_says_so() {
    let mut world = World::new(quick(), "optimistic = \"submit\"").await;
    let on = Oracle::enableOptimisticModeCall { period: "60".parse().unwrap() };
    world.devnet.sender().call(world.devnet.parts.owner, world.rollup.oracle, &on).await.unwrap();
    world.run(&[]);
    world.wait("ContractAdvanced", 3);
    assert_eq!(world.count("WitnessGenStarted"), 0, "nothing is bought");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_submits_everything_once_and_pays_nothing_twice() {
    let mut world = World::start(quick(), "").await;
    let marks =
        ["WitnessGenStarted", "ProofRequested", "ProofFulfilled", "AggQueued", "TxPrepared", "TxBroadcast"];
    for kill in 0..30_usize {
        // Another moment each time: after so many events of some kind, wherever that is in the life of a unit.
        let mark = marks[kill % marks.len()];
        let seen = world.count(mark);
        world.wait(mark, seen + 1);
        world.engine.take().unwrap().kill().unwrap();
        world.run(&[]);
    }
    let confirmed = world.count("SubmissionConfirmed");
    world.wait("SubmissionConfirmed", confirmed + 2);
    assert_eq!(world.stats().paid_twice(), [], "the server honours our keys");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_l1_reorg_after_inclusion_is_told_and_the_submission_comes_back() {
    let mut world = World::start(quick(), "num-confirmations = 10").await;
    world.wait("Submitted", 1);
    let reorg = json!([6, []]);
    let _: Value = world.devnet.l1.rpc().call("anvil_reorg", reorg).await.unwrap();
    world.wait("TxReorged", 1);
    world.wait("SubmissionConfirmed", 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_deleted_by_the_challenger_hold_submission_until_an_operator_resumes() {
    let mut world = World::start(quick(), "").await;
    world.wait("SubmissionConfirmed", 2);
    let sender = world.devnet.sender();
    let delete = Oracle::deleteL2OutputsCall { index: "2".parse().unwrap() };
    sender.call(world.devnet.parts.challenger, world.rollup.oracle, &delete).await.unwrap();
    let rolled = world.wait("ContractRolledBack", 1);
    assert_eq!(rolled["data"]["cause"], "outputs_deleted", "{rolled}");
    world.wait("Paused", 1);
    let started = world.count("SubmissionStarted");
    world.command(&["resume", "submitting", "--note", "looked at it"]);
    let resumed = world.wait("Resumed", 1);
    assert_eq!(resumed["actor"], "operator:tester");
    world.wait("SubmissionStarted", started + 1);
    let confirmed = world.count("SubmissionConfirmed");
    world.wait("SubmissionConfirmed", confirmed + 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotated_on_the_contract_stop_the_buying_until_the_server_has_them() {
    let mut world = World::start(quick(), "").await;
    world.wait("SubmissionConfirmed", 1);
    let (sender, owner) = (world.devnet.sender(), world.devnet.parts.owner);
    let before = prooflog_devnet::Commitments::default().range_vkey;
    let rotate = |key| Oracle::updateRangeVkeyCommitmentCall { key };
    sender.call(owner, world.rollup.oracle, &rotate(before.map_word())).await.unwrap();
    world.wait("ContractConfigRejected", 1);
    let invalid = world.wait("Invalidated", 1);
    assert!(json_of(&[invalid]).contains("span") || world.count("Invalidated") > 0);
    sender.call(owner, world.rollup.oracle, &rotate(before)).await.unwrap();
    let confirmed = world.count("SubmissionConfirmed");
    world.wait("SubmissionConfirmed", confirmed + 1);
    world.end().await;
}

/// Another word than this one.
trait MapWord {
    fn map_word(self) -> Self;
}

impl<T: From<[u8; 32]>> MapWord for T {
    fn map_word(self) -> Self {
        Self::from([0x77; 32])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_proves_something_else_is_asked_for_nothing() {
    let config = quick();
    let rejects = fault(CallKind::Validate, None, None, FaultKind::WrongCommitments);
    let script = Script { faults: vec![rejects], ..config.script.clone() };
    let mut world = World::start(DevnetConfig { script, ..config }, "").await;
    world.wait("ContractConfigRejected", 1);
    world.wait("FinalizedMoved", 3);
    assert_eq!(world.requests(), 0);
    world.faults(Vec::new());
    world.wait("SubmissionConfirmed", 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prover_that_is_out_of_order_is_probed_and_comes_back_by_itself() {
    let mut world = World::start(quick(), "").await;
    world.wait("ProofFulfilled", 1);
    let all = [CallKind::Span, CallKind::Agg];
    world.faults(all.map(|call| fault(call, None, None, out_of_order())).to_vec());
    world.wait("ProverDegraded", 1);
    world.faults(Vec::new());
    world.wait("ProverRecovered", 1);
    let confirmed = world.count("SubmissionConfirmed");
    world.wait("SubmissionConfirmed", confirmed + 1);
    assert_eq!(world.count("Parked"), 0, "no unit paid for it with its budget");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_hang_ids_that_are_forgotten_and_proofs_without_bytes_are_got_over() {
    let config = quick();
    let span = |start, times, kind| fault(CallKind::Span, Some((start, start + 10)), times, kind);
    let faults = vec![
        span(2, Some(1), FaultKind::Hang),
        span(12, Some(1), FaultKind::Forget),
        span(22, Some(1), FaultKind::NoBytes),
        span(32, Some(1), out_of_order()),
        span(42, None, FaultKind::Unexecutable),
    ];
    let script = Script { faults, ..config.script.clone() };
    let settings = "retry.lost-after = 2\nretry.lost-grace = \"2s\"";
    let mut world = World::start(DevnetConfig { script, ..config }, settings).await;
    world.wait("Split", 1);
    let last = world.count("SubmissionConfirmed");
    world.wait("SubmissionConfirmed", last + 1);
    let counts = world.story().counts();
    let count = |name: &str| counts.get(name).copied().unwrap_or(0);
    // Who gives up a request that hangs first, the client or the engine, is a race of two clocks.
    assert!(count("WitnessGenFailed") + count("TimedOut") >= 2, "{counts:?}");
    assert!(count("ProofLost") >= 1, "{counts:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finalized_head_that_stalls_and_jumps_is_planned_in_order_within_the_limits() {
    let mut world = World::start(quick(), "stall-after = \"3s\"").await;
    world.wait("SubmissionConfirmed", 1);
    world.devnet.node.script(None, &Step::Stall).unwrap();
    world.wait("FinalizedStalled", 1);
    let (_, head) = world.devnet.node.heads();
    world.devnet.node.followed(head + 25).await;
    world.devnet.node.script(None, &Step::Follow).unwrap();
    let confirmed = world.count("SubmissionConfirmed");
    world.wait("SubmissionConfirmed", confirmed + 2);
    let starts: Vec<u64> = world
        .story()
        .events()
        .iter()
        .filter(|event| event["type"] == "SpanCreated")
        .map(|event| event["data"]["range"]["start"].as_u64().unwrap())
        .collect();
    assert!(starts.windows(2).all(|pair| pair[0] < pair[1]), "{starts:?}");
    assert!(world.stats().witnesses_most <= 4, "the limit of witnesses in flight");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_disagrees_with_the_contract_buys_nothing_and_names_both_roots() {
    let mut world = World::new(quick(), "").await;
    let lie = Step::Lie { block: 2, how: Lie::OtherState };
    world.devnet.node.script(None, &lie).unwrap();
    world.run(&[]);
    let found = world.wait("OutputMismatched", 1);
    assert!(json_of(&[found]).contains("0x"));
    world.wait("FinalizedMoved", 3);
    assert_eq!(world.requests(), 0);
    world.devnet.node.script(None, &Step::Truth { block: 2 }).unwrap();
    world.wait("SubmissionConfirmed", 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_observes_spends_nothing_and_shows_what_would_be_done() {
    let mut world = World::new(quick(), "").await;
    world.run(&["--observe"]);
    world.wait("SpanCreated", 2);
    let would = world.setup.json(&["would"]).unwrap();
    assert!(would.iter().any(|line| line["event"] == "WitnessGenStarted"), "{would:?}");
    assert_eq!((world.requests(), world.count("WitnessGenStarted")), (0, 0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_command_the_running_engine_and_bear_their_name() {
    let mut world = World::start(quick(), "").await;
    world.wait("ProofFulfilled", 1);
    world.command(&["pause", "proving", "--note", "maintenance"]);
    let paused = world.wait("Paused", 1);
    assert_eq!(
        (&paused["actor"], &paused["data"]["note"]),
        (&json!("operator:tester"), &json!("maintenance"))
    );
    let again = world.setup.run(&["pause", "proving"]).unwrap();
    assert_eq!(again.status.code(), Some(2), "it is paused already");
    let copy = world.setup.data.with_extension("copy");
    world.command(&["backup", "--to", copy.to_str().unwrap()]);
    world.command(&["resume", "proving"]);
    world.catch_up();
    let confirmed = world.count("SubmissionConfirmed");
    world.wait("SubmissionConfirmed", confirmed + 1);
    let status = world.setup.json(&["status"]).unwrap();
    assert!(status[0]["contract_block"].as_u64() > Some(2), "{status:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wrong_rollup_of_two_stops_alone_and_says_why() {
    let mut world = World::new(DevnetConfig { rollups: 2, ..quick() }, "").await;
    let text = std::fs::read_to_string(&world.setup.config).unwrap();
    let wrong = address(&world.devnet.rollups[1].oracle.to_string());
    let right = world.devnet.rollups[1].oracle.to_string();
    assert!(text.contains(&right), "{wrong}");
    let text = text.replace(&right, "0x00000000000000000000000000000000000000aa");
    std::fs::write(&world.setup.config, text).unwrap();
    let doctor = world.setup.run(&["doctor", "--config", world.setup.config.to_str().unwrap()]).unwrap();
    assert_eq!(doctor.status.code(), Some(6), "{}", String::from_utf8_lossy(&doctor.stderr));
    world.run(&[]);
    world.wait("SubmissionConfirmed", 1);
    assert!(world.setup.printed().contains("there is no contract at"), "{}", world.setup.printed());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_nothing_wrong_with_what_works() {
    let world = World::new(quick(), "").await;
    let config = world.setup.config.to_str().unwrap().to_owned();
    let doctor = world.setup.run(&["doctor", "--config", &config]).unwrap();
    let shown = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert_eq!(doctor.status.code(), Some(0), "{shown}{}", String::from_utf8_lossy(&doctor.stderr));
    for check in ["endpoints", "clock", "SafeDB", "balance", "verifier", "approval", "prover", "agreement"] {
        assert!(shown.contains(check), "{check}: {shown}");
    }
}
