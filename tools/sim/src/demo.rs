//! The demo: two friendly rollups, one span that cannot run as a whole, one stuck transaction; told line by line.
//!
//! Everything in it is the real ring on the real log writer; only the world is made up. At the end the log is verified
//! and folded again, and a table says what became of each block.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is for the terminal")]

use std::collections::BTreeMap;
use std::process::ExitCode;

use prooflog_events::event::{Event, ReplaceReason};
use prooflog_events::ids::{ChainId, L2Block, LogId, Micros, StreamId, Wei};
use prooflog_projections::describe;

use crate::check::{Batch, Recorded};
use crate::run::{Memory, Options, Report, Sim};
use crate::scenario::{Incident, START, Scenario};
use crate::world::World;

/// The demo's seed: one in which a span is halved, another retried, and a transaction gets stuck.
const SEED: u64 = 3;

/// What the table counts.
#[derive(Debug, Default)]
struct Tally {
    planned: u64,
    halved: u64,
    retried: u64,
    proofs: u64,
    aggregates: u64,
    bumps: u64,
    submitted: u64,
    confirmed: u64,
    fees: u128,
}

/// The demo's run: two rollups, few kinds of trouble.
fn plan() -> Option<Scenario> {
    let mut plan = Scenario::named("friendly", SEED)?;
    plan.name = "demo".to_owned();
    plan.chains.truncate(2);
    let chains: Vec<ChainId> = plan.chains.iter().map(|chain| chain.id).collect();
    for chain in &mut plan.chains {
        // A fixed amount of work, so that the story has an end.
        (chain.backlog, chain.step_secs, chain.interval) = (240, 0, 120);
        chain.policy.submission_blocks = 0;
        chain.policy.span_gas = 0;
        chain.policy.span_blocks = 60;
        chain.policy.confirmations = 4;
    }
    if let Some(first) = plan.chains.first_mut() {
        (first.heavy_one_in, first.profile.max_weight) = (200, 450);
    }
    plan.append_ms = 2;
    plan.active_secs = 600;
    plan.weather.unfulfillable = 100;
    plan.weather.tx_skip = 750;
    plan.incidents = vec![(START.plus_secs(240), Incident::FeeSpike(240))];
    let second = chains.get(1).copied().or_else(|| chains.first().copied())?;
    plan.incidents.push((START.plus_secs(20), Incident::ProverFull(second, 45)));
    Some(plan)
}

/// Runs the demo.
#[must_use]
pub(crate) fn demo(json: bool) -> ExitCode {
    let Some(plan) = plan() else { return ExitCode::from(2) };
    let mut tallies: BTreeMap<ChainId, Tally> = BTreeMap::new();
    let mut watch = |batch: &Batch, _: &World| {
        for recorded in &batch.events {
            count(&mut tallies, recorded);
            tell(batch.time, recorded, json);
        }
    };
    let medium = Memory(LogId(*b"prooflog-sim-dem"));
    let report = match Sim::new(plan, medium, Options::default(), Some(&mut watch)) {
        Ok(sim) => sim.run(),
        Err(error) => {
            eprintln!("no place for a log: {error}");
            return ExitCode::from(3);
        }
    };
    if !json {
        table(&tallies, &report);
    }
    for violation in &report.violations {
        eprintln!("{violation}");
    }
    if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn chain_of(stream: StreamId, event: &Event) -> Option<ChainId> {
    use prooflog_events::values::Purpose;
    let purpose = match event {
        Event::TxReplaced(e) => Some(e.purpose),
        _ => None,
    };
    match (stream, purpose) {
        (StreamId::Unit(unit), _) => Some(unit.chain),
        (StreamId::Chain(chain), _) => Some(chain),
        (_, Some(Purpose::Checkpoint { agg, .. } | Purpose::Submission { agg })) => Some(agg.chain),
        _ => None,
    }
}

fn count(tallies: &mut BTreeMap<ChainId, Tally>, recorded: &Recorded) {
    if let Event::TxIncluded(e) = &recorded.event
        && let Some(tally) = tallies.values_mut().next()
    {
        // One account pays for all rollups.
        tally.fees = tally.fees.saturating_add(e.fee_paid.0);
    }
    let Some(chain) = chain_of(recorded.stream, &recorded.event) else { return };
    let tally = tallies.entry(chain).or_default();
    let counter = match &recorded.event {
        Event::SpanCreated(_) => &mut tally.planned,
        Event::Split(_) => &mut tally.halved,
        Event::Retried(_) => &mut tally.retried,
        Event::ProofFulfilled(_) => &mut tally.proofs,
        Event::AggQueued(_) => &mut tally.aggregates,
        Event::TxReplaced(e) if e.reason == ReplaceReason::Stuck => &mut tally.bumps,
        Event::Submitted(_) => &mut tally.submitted,
        Event::SubmissionConfirmed(_) => &mut tally.confirmed,
        _ => return,
    };
    *counter += 1;
}

/// One line for what a person wants to see; the rest is in the log.
fn tell(time: Micros, recorded: &Recorded, json: bool) {
    let seconds = time.secs_since(START);
    let (stream, kind) = (recorded.stream, recorded.event.event_type().name());
    if json {
        let line = serde_json::json!({
            "position": recorded.position.to_string(),
            "seconds": seconds,
            "stream": stream.to_string(),
            "type": kind,
            "event": recorded.event,
        });
        println!("{line}");
        return;
    }
    let is_noise = matches!(
        recorded.event,
        Event::ProofAssigned(_)
            | Event::OutputChecked(_)
            | Event::ContractConfirmed(_)
            | Event::FinalizedMoved(_)
            | Event::TxReserved(_)
            | Event::TxPrepared(_)
            | Event::EngineStarted(_)
            | Event::PolicyChanged(_)
    );
    if !is_noise {
        let (minutes, rest) = (seconds / 60, seconds % 60);
        println!("{minutes:>4}:{rest:02}  {:<14} {}", short(stream), describe(&recorded.event, stream));
    }
}

/// A stream's name, without the account's address.
fn short(stream: StreamId) -> String {
    match stream {
        StreamId::Tx(slot) => format!("nonce {}", slot.nonce),
        StreamId::Signer(_) => "account".to_owned(),
        other => other.to_string(),
    }
}

fn table(tallies: &BTreeMap<ChainId, Tally>, report: &Report) {
    println!();
    println!(
        "{:>6} {:>9} {:>6} {:>6} {:>7} {:>6} {:>10} {:>6} {:>9} {:>9}",
        "rollup",
        "contract",
        "spans",
        "halved",
        "retried",
        "proofs",
        "aggregates",
        "bumps",
        "submitted",
        "confirmed"
    );
    for (chain, tally) in tallies {
        let latest = report.latest.get(chain).copied().unwrap_or(L2Block(0));
        println!(
            "{:>6} {:>9} {:>6} {:>6} {:>7} {:>6} {:>10} {:>6} {:>9} {:>9}",
            chain.0,
            latest.0,
            tally.planned,
            tally.halved,
            tally.retried,
            tally.proofs,
            tally.aggregates,
            tally.bumps,
            tally.submitted,
            tally.confirmed
        );
    }
    let fees: u128 = tallies.values().map(|tally| tally.fees).sum();
    let figures = report.figures;
    println!();
    println!(
        "{} batches, {} calls, {} s of virtual time; {} wei of L1 fees; final state {}",
        figures.batches,
        figures.calls,
        figures.seconds,
        Wei(fees),
        report.digest
    );
    let verdict = if report.violations.is_empty() {
        "ok: the log verifies, its fold is the state that ran, and no rule was broken"
    } else {
        "BROKEN: a rule does not hold"
    };
    println!("{verdict}");
}
