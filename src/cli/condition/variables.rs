//! What a condition can look at: one table, from which the documentation is made too.
//!
//! Every variable is a number, a flag or a text, computed from the state when it is asked for. What is not known yet is
//! -1, false or the empty text, so that a condition can always be decided.

use std::fmt::{self, Write as _};

use prooflog_events::ids::{ChainId, Micros, Position};
use prooflog_events::values::Control;
use prooflog_projections::State;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::phase::Phase;
use serde::Serialize;

/// What a variable says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Said {
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// A text.
    Text(String),
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Text(text) => write!(f, "'{}'", text.escape_default()),
        }
    }
}

/// What a variable is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Subject {
    /// The whole log.
    Log,
    /// One rollup.
    Rollup,
    /// The event looked at; for breakpoints.
    Event,
}

/// An event as conditions see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'e> {
    /// Its type.
    pub(crate) type_name: &'e str,
    /// Its stream.
    pub(crate) stream: &'e str,
    /// Its place in the stream.
    pub(crate) revision: u64,
    /// What it belongs to.
    pub(crate) correlation: &'e str,
    /// What it says, in words.
    pub(crate) text: &'e str,
    /// Who made it.
    pub(crate) actor: &'e str,
}

/// What a condition is decided on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<'l> {
    /// The state, with the position that it is of.
    pub(crate) state: Option<(&'l State, Position)>,
    /// The rollup that variables about one are of.
    pub(crate) chain: Option<ChainId>,
    /// The event that led to the state.
    pub(crate) event: Option<Seen<'l>>,
}

impl<'l> Look<'l> {
    /// Before anything happened.
    pub(crate) const fn nothing() -> Self {
        Self { state: None, chain: None, event: None }
    }

    /// The rollup: the one chosen, or the only one there is.
    fn rollup(&self) -> Option<&'l Chain> {
        let (state, _) = self.state?;
        match self.chain {
            Some(chain) => state.chains.get(&chain),
            None if state.chains.len() == 1 => state.chains.values().next(),
            None => None,
        }
    }
}

type OfRollup = fn((&Chain, Micros)) -> Said;
type OfEvent = fn(Seen<'_>) -> Said;

#[derive(Debug, Clone, Copy)]
enum Ask {
    Log(fn(&State, Position) -> Said),
    Rollup(OfRollup),
    Event(OfEvent),
}

/// A variable.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Variable {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it says, for people.
    pub(crate) meaning: &'static str,
    /// What it is about.
    pub(crate) subject: Subject,
    #[serde(skip)]
    nothing: Nothing,
    #[serde(skip)]
    ask: Ask,
}

/// What stands for nothing known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nothing {
    Zero,
    Unknown,
    No,
    Empty,
}

impl Variable {
    /// What it says.
    pub(crate) fn of(&self, look: &Look<'_>) -> Said {
        let said = match self.ask {
            Ask::Log(ask) => look.state.map(|(state, position)| ask(state, position)),
            Ask::Rollup(ask) => {
                look.rollup().zip(look.state).map(|(chain, (state, _))| ask((chain, state.time)))
            }
            Ask::Event(ask) => look.event.map(|event| ask(event)),
        };
        said.unwrap_or_else(|| self.nothing.said())
    }

    /// Number, flag or text.
    const fn kind(&self) -> &'static str {
        match self.nothing {
            Nothing::Zero | Nothing::Unknown => "number",
            Nothing::No => "flag",
            Nothing::Empty => "text",
        }
    }
}

impl Nothing {
    const fn said(self) -> Said {
        match self {
            Self::Zero => Said::Number(0),
            Self::Unknown => Said::Number(-1),
            Self::No => Said::Flag(false),
            Self::Empty => Said::Text(String::new()),
        }
    }
}

fn count(count: usize) -> Said {
    Said::Number(i64::try_from(count).unwrap_or(i64::MAX))
}

fn number(number: u64) -> Said {
    Said::Number(i64::try_from(number).unwrap_or(i64::MAX))
}

fn block(block: Option<prooflog_events::ids::L2Block>) -> Said {
    block.map_or(Said::Number(-1), |block| number(block.0))
}

fn text(text: &str) -> Said {
    Said::Text(text.to_owned())
}

fn parked(chain: &Chain) -> usize {
    chain.units().filter(|unit| unit.phase == Phase::Parked).count()
}

fn lag(chain: &Chain) -> Said {
    match (chain.finalized, chain.contract.latest) {
        (Some(head), Some(latest)) => number(head.block.0.saturating_sub(latest.block.0)),
        _ => Said::Number(-1),
    }
}

const fn log(
    name: &'static str,
    nothing: Nothing,
    meaning: &'static str,
    ask: fn(&State, Position) -> Said,
) -> Variable {
    Variable { name, meaning, subject: Subject::Log, nothing, ask: Ask::Log(ask) }
}

const fn rollup(name: &'static str, nothing: Nothing, meaning: &'static str, ask: OfRollup) -> Variable {
    Variable { name, meaning, subject: Subject::Rollup, nothing, ask: Ask::Rollup(ask) }
}

const fn event(name: &'static str, nothing: Nothing, meaning: &'static str, ask: OfEvent) -> Variable {
    Variable { name, meaning, subject: Subject::Event, nothing, ask: Ask::Event(ask) }
}

/// Every variable, as documented.
static ALL: [Variable; 37] = {
    use Nothing::{Empty, No, Unknown, Zero};
    [
        log("position", Zero, "position in the log", |_, at| number(at.0)),
        log("time", Zero, "time of the newest event, in seconds since 1970", |s, _| {
            number(s.time.0 / 1_000_000)
        }),
        log("rollups", Zero, "rollups taken on", |s, _| count(s.chains.len())),
        log("open_slots", Zero, "nonces in use, of all accounts that send", |s, _| {
            count(s.signers.values().map(|signer| signer.slots.len()).sum())
        }),
        rollup("spans", Zero, "spans that are alive, complete ones included", |(c, _)| count(c.spans.len())),
        rollup("aggregates", Zero, "aggregates that are alive", |(c, _)| count(c.aggs.len())),
        rollup("waiting", Zero, "spans and aggregates that may be requested", |(c, _)| {
            count(c.index.ready.len())
        }),
        rollup("proving", Zero, "attempts under way, calls for a witness included", |(c, _)| {
            number(u64::from(c.index.spans_in_flight) + u64::from(c.index.aggs_in_flight))
        }),
        rollup("in_witness", Zero, "calls for a witness under way", |(c, _)| {
            number(u64::from(c.index.in_witness))
        }),
        rollup("unproven", Zero, "spans without a proof", |(c, _)| number(u64::from(c.index.unproven))),
        rollup("complete", Zero, "spans with a proof that the contract does not hold yet", |(c, _)| {
            count(c.spans.len().saturating_sub(usize::try_from(c.index.unproven).unwrap_or(usize::MAX)))
        }),
        rollup("parked", Zero, "spans and aggregates that wait for an operator", |(c, _)| count(parked(c))),
        rollup("retired", Zero, "spans and aggregates that are over and still hold a proof", |(c, _)| {
            count(c.retired.len())
        }),
        rollup("last_span", Zero, "number of the newest span", |(c, _)| number(c.last_span)),
        rollup("last_aggregate", Zero, "number of the newest aggregate", |(c, _)| number(c.last_agg)),
        rollup("latest_block", Unknown, "latest block that the contract holds", |(c, _)| {
            block(c.contract.latest.map(|latest| latest.block))
        }),
        rollup("confirmed_block", Unknown, "the same, at confirmation depth", |(c, _)| {
            block(c.contract.confirmed.map(|latest| latest.block))
        }),
        rollup("finalized_block", Unknown, "finalized block of the rollup", |(c, _)| {
            block(c.finalized.map(|head| head.block))
        }),
        rollup("planned_block", Unknown, "last block of the highest span", |(c, _)| {
            block(c.spans.get_max().map(|(_, span)| span.range.end))
        }),
        rollup("proven_block", Unknown, "block up to which proofs are complete without a hole", |(c, _)| {
            block(c.proven_to())
        }),
        rollup("lag", Unknown, "finalized blocks that the contract does not hold yet", |(c, _)| lag(c)),
        rollup("paused", No, "planning, proving or submitting is paused", |(c, _)| {
            Said::Flag(!c.hold.paused.is_empty())
        }),
        rollup("paused_planning", No, "planning is paused", |(c, _)| {
            Said::Flag(c.is_paused(Control::Planning))
        }),
        rollup("paused_proving", No, "proving is paused", |(c, _)| Said::Flag(c.is_paused(Control::Proving))),
        rollup("paused_submitting", No, "submitting is paused", |(c, _)| {
            Said::Flag(c.is_paused(Control::Submitting))
        }),
        rollup("degraded", No, "in degraded mode for any reason", |(c, _)| Said::Flag(c.is_degraded())),
        rollup("prover_degraded", No, "the prover fails and is only probed", |(c, _)| {
            Said::Flag(c.prover.degraded.is_some())
        }),
        rollup("prover_failures", Zero, "failures in a row that may be the prover's", |(c, _)| {
            number(u64::from(c.prover.failures))
        }),
        rollup("optimistic", No, "the contract is in optimistic mode", |(c, _)| {
            Said::Flag(c.is_optimistic())
        }),
        rollup("stalled", No, "the finalized head stands still", |(c, _)| {
            Said::Flag(c.finalized.is_some_and(|head| head.stalled))
        }),
        rollup("config_ok", No, "the prover was found to prove what the contract accepts", |(c, _)| {
            Said::Flag(c.hold.config_ok == Some(true))
        }),
        event("type", Empty, "its type", |e| text(e.type_name)),
        event("stream", Empty, "its stream", |e| text(e.stream)),
        event("revision", Zero, "its place in the stream", |e| number(e.revision)),
        event("correlation", Empty, "what it belongs to: the stream of the unit first planned", |e| {
            text(e.correlation)
        }),
        event("actor", Empty, "who made it: `scheduler`, `operator:NAME`, ...", |e| text(e.actor)),
        event("text", Empty, "what it says, in words", |e| text(e.text)),
    ]
};

/// Every variable.
pub(crate) fn all() -> &'static [Variable] {
    &ALL
}

/// The variable of a name.
pub(super) fn find(name: &str) -> Option<&'static Variable> {
    ALL.iter().find(|variable| variable.name == name)
}

/// The tables of docs/conditions.md.
pub(crate) fn documentation() -> String {
    let mut page = String::new();
    for (subject, title) in [
        (Subject::Log, "The log"),
        (Subject::Rollup, "One rollup"),
        (Subject::Event, "The event (breakpoints only)"),
    ] {
        let _ = write!(page, "### {title}\n\n| Variable | Kind | Meaning |\n|---|---|---|\n");
        for variable in ALL.iter().filter(|variable| variable.subject == subject) {
            let unknown = if variable.nothing == Nothing::Unknown { "; -1 if not known yet" } else { "" };
            let (name, kind, meaning) = (variable.name, variable.kind(), variable.meaning);
            let _ = writeln!(page, "| `{name}` | {kind} | {meaning}{unknown} |");
        }
        page.push('\n');
    }
    page
}
