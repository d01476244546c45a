//! `status` and `requests`: the state at a moment, per rollup and per unit.
//!
//! Everything comes from the fold of the log; what holds work back is named first, because that is what an operator at
//! three in the morning asks.

use std::path::Path;
use std::time::Duration;

use prooflog_events::phrase::duration;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::phase::Phase;
use prooflog_projections::state::unit::Unit;
use serde::Serialize;

use super::exit::CliError;
use super::operate::{Way, blocking, client};
use super::output::{self, Form, json_line, table};
use super::source::Source;
use crate::api::{ChainReport, Standing};
use crate::words::{held_by, rejected};

#[derive(Default, Serialize)]
struct ChainStatus {
    /// Absent for one whose configuration does not even tell its id.
    chain: Option<u64>,
    name: String,
    /// How it stands in the process that runs; absent where none does, or an earlier moment is looked at.
    #[serde(flatten)]
    standing: Option<Standing>,
    position: String,
    time: String,
    contract_block: Option<u64>,
    confirmed_block: Option<u64>,
    finalized_block: Option<u64>,
    proven_to: Option<u64>,
    waiting: usize,
    in_flight: u32,
    complete: usize,
    parked: Vec<String>,
    held_by: Vec<String>,
}

impl ChainStatus {
    fn of(source: &Source, chain: &Chain, time: String) -> Self {
        let count = |phase: Phase| chain.spans.values().filter(|span| span.phase == phase).count();
        let parked = chain.units().filter(|unit| unit.phase == Phase::Parked).map(|unit| unit.id.to_string());
        Self {
            chain: Some(chain.id.0),
            standing: None,
            name: chain.registration.name.clone(),
            position: source.at().to_string(),
            time,
            contract_block: chain.contract.latest.map(|latest| latest.block.0),
            confirmed_block: chain.contract.confirmed.map(|latest| latest.block.0),
            finalized_block: chain.finalized.map(|head| head.block.0),
            proven_to: chain.proven_to().map(|block| block.0),
            waiting: count(Phase::Ready),
            in_flight: chain.index.spans_in_flight.saturating_add(chain.index.aggs_in_flight),
            complete: count(Phase::Complete),
            parked: parked.collect(),
            held_by: held_by(chain),
        }
    }

    /// Id and name.
    fn called(&self) -> String {
        match self.chain {
            Some(id) => format!("{id} ({})", self.name),
            None => self.name.clone(),
        }
    }
}

/// What the engine that holds the log says of the rollups that it is configured with; nothing where none answers.
pub(crate) fn reports(dir: &Path, way: &Way) -> Result<Vec<ChainReport>, CliError> {
    /// An engine that hangs must not hide what its log says.
    const ASKED_MAX: Duration = Duration::from_secs(3);
    let engine = match client(dir, way) {
        Ok(engine) => engine,
        Err(CliError::Engine(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    blocking(async {
        let asked = tokio::time::timeout(ASKED_MAX, engine.get::<Vec<ChainReport>>("v1/chains")).await;
        Ok(asked.ok().and_then(Result::ok).unwrap_or_default())
    })
}

/// Where every rollup stands: what the log says, and what the engine adds of those that it cannot run.
pub(crate) fn status(source: &Source, reports: Vec<ChainReport>, form: Form) -> Result<(), CliError> {
    let state = source.state()?;
    let time = output::time(state.time);
    let mut chains: Vec<ChainStatus> =
        state.chains.values().map(|chain| ChainStatus::of(source, chain, time.clone())).collect();
    for report in reports {
        let id = report.chain.map(|chain| chain.0);
        match chains.iter_mut().find(|chain| id.is_some() && chain.chain == id) {
            Some(chain) => {
                let rejected = state.chains.values().find(|known| Some(known.id.0) == id).and_then(rejected);
                chain.standing = Some(match (report.standing, rejected) {
                    (Standing::Running, Some(reason)) => Standing::Stopped { reason },
                    (standing, _) => standing,
                });
            }
            None => {
                let (name, position, time) = (report.name, source.at().to_string(), time.clone());
                let standing = Some(report.standing);
                chains.push(ChainStatus { chain: id, name, position, time, standing, ..Default::default() });
            }
        }
    }
    output::print(|out| match form {
        Form::Json => chains.iter().try_for_each(|chain| json_line(out, chain)),
        Form::Text if chains.is_empty() => {
            let (at, head) = (source.at(), source.head().position);
            writeln!(out, "position {at} of {head}: nothing is recorded of any rollup up to here")
        }
        Form::Text => {
            writeln!(out, "position {} of {}, {time}", source.at(), source.head().position)?;
            let block = |block: Option<u64>| block.map_or_else(|| "-".to_owned(), |block| block.to_string());
            let row = |chain: &ChainStatus| {
                vec![
                    chain.called(),
                    block(chain.contract_block),
                    block(chain.proven_to),
                    block(chain.finalized_block),
                    chain.waiting.to_string(),
                    chain.in_flight.to_string(),
                    chain.complete.to_string(),
                    chain.parked.len().to_string(),
                ]
            };
            let heading =
                ["CHAIN", "CONTRACT", "PROVEN", "FINALIZED", "WAITING", "IN FLIGHT", "COMPLETE", "PARKED"];
            table(out, &heading, &chains.iter().map(row).collect::<Vec<_>>())?;
            for chain in &chains {
                let standing = match &chain.standing {
                    Some(Standing::Starting { reason }) => Some(format!("waits to start: {reason}")),
                    Some(Standing::Stopped { reason }) => Some(format!("is STOPPED: {reason}")),
                    Some(Standing::Running) | None => None,
                };
                let parked = chain.parked.iter().map(|unit| format!("{unit} is parked and waits for you"));
                for reason in standing.into_iter().chain(chain.held_by.iter().cloned()).chain(parked) {
                    writeln!(out, "{}: {reason}", chain.called())?;
                }
            }
            Ok(())
        }
    })
}

#[derive(Serialize)]
struct Request {
    unit: String,
    phase: &'static str,
    since: String,
    start: u64,
    end: u64,
    attempt: u32,
    failures: u32,
    last_failure: Option<prooflog_events::values::FailureClass>,
    not_before: Option<String>,
    deadline: Option<String>,
}

impl Request {
    fn of(unit: &Unit) -> Self {
        let waits = unit.not_before > unit.since;
        Self {
            unit: unit.id.to_string(),
            phase: unit.phase.name(),
            since: output::time(unit.since),
            start: unit.range.start.0,
            end: unit.range.end.0,
            attempt: unit.attempt.0,
            failures: unit.own_failures,
            last_failure: unit.last_failure,
            not_before: waits.then(|| output::time(unit.not_before)),
            deadline: unit.phase.is_in_flight().then(|| output::time(unit.deadline)),
        }
    }
}

/// Live units, aggregates first, lowest blocks first.
pub(crate) fn requests(source: &Source, form: Form) -> Result<(), CliError> {
    let state = source.state()?;
    let mut units: Vec<&Unit> = state.chains.values().flat_map(Chain::units).collect();
    units.sort_by_key(|unit| (unit.id.chain, unit.id.kind, unit.range.start, unit.id.number));
    output::print(|out| match form {
        Form::Json => units.iter().try_for_each(|unit| json_line(out, &Request::of(unit))),
        Form::Text => table(
            out,
            &["UNIT", "BLOCKS", "PHASE", "SINCE", "FOR", "ATTEMPT", "FAILURES", "WAITS UNTIL"],
            &units
                .iter()
                .map(|unit| row(&Request::of(unit), state.time.secs_since(unit.since)))
                .collect::<Vec<_>>(),
        ),
    })
}

/// A line of the table; `seconds` is how long it is so at the moment looked at.
fn row(request: &Request, seconds: u64) -> Vec<String> {
    let until = request.not_before.as_ref().or(request.deadline.as_ref());
    vec![
        request.unit.clone(),
        format!("({}, {}]", request.start, request.end),
        request.phase.replace('_', " "),
        request.since.clone(),
        duration(seconds),
        request.attempt.to_string(),
        request.failures.to_string(),
        until.cloned().unwrap_or_default(),
    ]
}
