//! The demo: a rollup on real chains, from blocks to confirmed outputs, with the troubles that every operator knows.
//!
//! One span cannot be executed and is halved, one request fails and is retried, one transaction gets stuck under a rise of
//! fees and is replaced. At the end nothing is believed: the contract's latest output is compared with the L2's real one,
//! the log is verified, and every purpose must have been included once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use prooflog_devnet::{Devnet, DevnetConfig, DevnetError, Output, Rollup};
use prooflog_devnet_prover::{CallKind, Fault, FaultKind, Script};
use serde_json::{Value, json};

use crate::{Engine, EngineError, Setup, Story, StoryError};

/// Submissions that the demo waits for.
const SUBMISSIONS: usize = 3;
/// How long each thing that is waited for may take.
const LIMIT: Duration = Duration::from_secs(240);

/// Why the demo did not show what it is there to show.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The devnet did not come up or went down.
    #[error("the devnet: {0}")]
    Devnet(#[from] DevnetError),
    /// The program could not be run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Something did not happen.
    #[error(transparent)]
    Story(#[from] StoryError),
    /// Something happened that must not.
    #[error("{0}")]
    Wrong(String),
}

/// The configuration of the demo's proposer: small spans, short limits.
#[must_use]
pub fn config(devnet: &Devnet) -> String {
    let quick = "\
        max-witness-in-flight = 4\n\
        max-proofs-in-flight = 8\n\
        prover.witness-timeout = \"5s\"\n\
        retry.backoff-min = \"1s\"\n\
        retry.backoff-max = \"8s\"\n\
        txmgr.resubmission-timeout = \"4s\"\n\
        txmgr.not-in-mempool-timeout = \"20s\"\n\
        min-balance = \"0.1 ether\"\n";
    let process =
        "min-free-space = \"100 MB\"\nmetrics.port = 0\nrpc.enabled = false\nstop-timeout = \"3s\"\n\n";
    let text = devnet.prooflog_config();
    format!("{process}{}", text.replacen("[defaults]\n", &format!("[defaults]\n{quick}"), 1))
}

/// Runs the demo in a directory; `say` is told what happens.
///
/// # Errors
/// What it could not show.
pub async fn run(
    dir: &Path,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<(Devnet, Engine, Setup), DemoError> {
    let cannot = Fault {
        call: Some(CallKind::Span),
        range: Some((12, 22)),
        times: None,
        kind: FaultKind::Unexecutable,
    };
    let text = "the witness could not be made".to_owned();
    let error = FaultKind::Error { status: 500, text, error_class: None };
    let fails = Fault { call: Some(CallKind::Span), range: Some((22, 32)), times: Some(1), kind: error };
    let script =
        Script { witness_ms: 300, proving_ms: 1_500, faults: vec![cannot, fails], ..Script::default() };
    let devnet = Devnet::start(DevnetConfig { script, ..DevnetConfig::default() }, say).await?;
    let rollup = devnet.rollups.first().cloned().ok_or_else(|| DemoError::Wrong("no rollup".to_owned()))?;
    say(&format!("L1 {}, L2 {}, oracle {}", devnet.l1.url(), devnet.l2.url(), rollup.oracle));
    say("starting prooflog");
    let setup = Setup::write(dir, &config(&devnet), devnet.prooflog_env())?;
    let engine = Engine::start(&setup)?;
    let mut story = Story::follow(&setup, LIMIT)?;
    let mut told = 0;
    let mut spiked = false;
    loop {
        let (submissions, submitted) = (story.count("SubmissionConfirmed"), story.count("SubmissionStarted"));
        if !spiked && submitted >= 2 {
            spiked = true;
            say("-- fees rise fourfold for a while: the next transaction gets stuck");
            spike(&devnet).await?;
        }
        let shown = ["Split", "Retried", "TxReplaced"].iter().all(|name| story.count(name) > 0);
        if submissions >= SUBMISSIONS && shown {
            break;
        }
        if submissions >= SUBMISSIONS * 3 {
            let counts = story.counts();
            return Err(DemoError::Wrong(format!(
                "three times the submissions, and still not all: {counts:?}"
            )));
        }
        let seen = story.events().len();
        story.wait_until("further events", |events| events.len() > seen)?;
        for event in story.events().get(told..).unwrap_or_default() {
            if let Some(line) = line(event) {
                say(&line);
            }
        }
        told = story.events().len();
    }
    say("-- enough: now nothing is believed");
    check(&devnet, &rollup, &setup, &story, say).await?;
    Ok((devnet, engine, setup))
}

/// Makes what was paid too little to get into a block.
async fn spike(devnet: &Devnet) -> Result<(), DemoError> {
    let rpc = devnet.l1.rpc();
    let block: Value =
        rpc.call("eth_getBlockByNumber", json!(["latest", false])).await.map_err(DevnetError::from)?;
    let fee = block.get("baseFeePerGas").and_then(Value::as_str).unwrap_or("0x3b9aca00");
    let fee = u128::from_str_radix(fee.trim_start_matches("0x"), 16).unwrap_or(1_000_000_000);
    let high = format!("{:#x}", fee.max(1_000_000_000).saturating_mul(4));
    let _: Value =
        rpc.call("anvil_setNextBlockBaseFeePerGas", json!([high])).await.map_err(DevnetError::from)?;
    Ok(())
}

/// An event as a line, if a spectator wants to see it.
fn line(event: &Value) -> Option<String> {
    let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
    let data = event.get("data")?;
    let range = data.get("range").map(|range| {
        let block = |side: &str| range.get(side).map(ToString::to_string).unwrap_or_default();
        format!("({}, {}]", block("start"), block("end"))
    });
    let what = match text("type") {
        "SpanCreated" => format!("blocks {} become a span", range?),
        "WitnessGenFailed" => format!("request failed: {}", data.get("text")?.as_str()?),
        "Retried" => "will be tried again".to_owned(),
        "ProofFulfilled" => "proof received".to_owned(),
        "Unfulfillable" => "cannot be proven as it is".to_owned(),
        "Split" => "halved".to_owned(),
        "AggQueued" => format!("aggregate of {}", range?),
        "Checkpointed" => "L1 block checkpointed".to_owned(),
        "TxReplaced" => "replaced with higher fees".to_owned(),
        "Submitted" => "submission included in a block".to_owned(),
        "SubmissionConfirmed" => "SUBMISSION CONFIRMED".to_owned(),
        _ => return None,
    };
    Some(format!(
        "{:>5}  {:<14} {what}",
        text("position"),
        text("stream").split("-0x").next().unwrap_or_default()
    ))
}

/// Sees for itself that everything is as it must be.
async fn check(
    devnet: &Devnet,
    rollup: &Rollup,
    setup: &Setup,
    story: &Story,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<(), DemoError> {
    let outputs = devnet.outputs(rollup).await?;
    let latest = outputs.last().ok_or_else(|| DemoError::Wrong("the contract holds no output".to_owned()))?;
    let block = u64::try_from(latest.l2BlockNumber).unwrap_or(u64::MAX);
    let real = devnet.root(rollup, block).await?;
    if real != latest.outputRoot {
        return Err(DemoError::Wrong(format!("block {block}: {} on L1, {real} on L2", latest.outputRoot)));
    }
    say(&format!("ok  the contract's latest output, block {block}, is the L2's real one: {real}"));
    in_order(&outputs)?;
    // Beside the one that it was made with.
    if outputs.len() <= SUBMISSIONS {
        return Err(DemoError::Wrong(format!("the contract holds {} outputs only", outputs.len())));
    }
    say(&format!("ok  {} outputs, each above the one before", outputs.len()));
    let verified = setup.json(&["verify"])?;
    let position = verified.first().and_then(|line| line.get("position")?.as_str());
    say(&format!("ok  the log verifies up to position {}", position.unwrap_or_default()));
    let included = included_once(story.events())?;
    say(&format!("ok  {included} purposes were included, each once"));
    let stats = devnet.prover.stats(rollup.chain).unwrap_or_default();
    match stats.paid_twice().first() {
        Some(twice) => return Err(DemoError::Wrong(format!("paid for more than once: {twice:?}"))),
        None => say(&format!("ok  {} proofs were paid for, each once", stats.paid.len())),
    }
    let confirmed =
        story.events().iter().rfind(|event| event.get("type") == Some(&json!("SubmissionConfirmed")));
    let aggregate = confirmed.and_then(|event| event.get("stream")).and_then(Value::as_str);
    if let Some(aggregate) = aggregate {
        let timeline = setup.run(&["timeline", aggregate])?;
        say(&format!("the timeline of {aggregate}:\n{}", String::from_utf8_lossy(&timeline.stdout)));
    }
    Ok(())
}

fn in_order(outputs: &[Output]) -> Result<(), DemoError> {
    for pair in outputs.windows(2) {
        if let [one, next] = pair
            && one.l2BlockNumber >= next.l2BlockNumber
        {
            return Err(DemoError::Wrong(format!(
                "output {} follows {}",
                next.l2BlockNumber, one.l2BlockNumber
            )));
        }
    }
    Ok(())
}

/// How many purposes were included; an error if one was twice without a reorg between.
///
/// # Errors
/// Names the purpose.
pub fn included_once(events: &[Value]) -> Result<usize, DemoError> {
    let mut purposes: BTreeMap<String, String> = BTreeMap::new();
    let mut included: BTreeMap<String, i64> = BTreeMap::new();
    for event in events {
        let stream = event.get("stream").and_then(Value::as_str).unwrap_or_default().to_owned();
        let version = || event.pointer("/data/version").map(ToString::to_string).unwrap_or_default();
        match event.get("type").and_then(Value::as_str).unwrap_or_default() {
            "TxPrepared" => {
                let purpose = event.pointer("/data/purpose").map(ToString::to_string).unwrap_or_default();
                purposes.insert(format!("{stream} {}", version()), purpose);
            }
            kind @ ("TxIncluded" | "TxReorged") => {
                let purpose = purposes.get(&format!("{stream} {}", version())).cloned().unwrap_or_default();
                *included.entry(purpose).or_default() += if kind == "TxIncluded" { 1 } else { -1 };
            }
            // A reorg deeper than what counts as confirmed: the contract lost the output, or the checkpoint, and the same
            // goes there again.
            "Restored" => forget(&mut included, &stream, ""),
            "CheckpointLost" if event.pointer("/data/reason") == Some(&json!("reorged")) => {
                forget(&mut included, &stream, "{\"checkpoint\"");
            }
            _ => {}
        }
    }
    match included.iter().find(|(purpose, times)| **times > 1 && !purpose.contains("release")) {
        Some((purpose, times)) => Err(DemoError::Wrong(format!("{purpose} was included {times} times"))),
        None => Ok(included.len()),
    }
}

/// Takes back that purposes of an aggregate were included; those that begin with these words.
fn forget(included: &mut BTreeMap<String, i64>, stream: &str, words: &str) {
    let mut parts = stream.rsplit('-');
    let (number, chain) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let agg = format!("{{\"chain\":{chain},\"kind\":\"agg\",\"number\":{number}}}");
    included.retain(|purpose, _| !(purpose.starts_with(words) && purpose.contains(&agg)));
}
