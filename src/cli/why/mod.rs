//! `why`: the chain of causes behind a block, a request or a transaction, in plain sentences, and what it waits for.
//!
//! Everything comes from the streams of what is involved: a span, the spans it was cut out of, the aggregate that took
//! it, the nonces that carried it. Each sentence names the event that says so. What holds it up now comes from the
//! state at the same moment.

mod find;
pub(super) mod outside;
mod waits;

use std::collections::BTreeSet;

use clap::Args;
use prooflog_events::envelope::Envelope;
use prooflog_events::event::{Event, SpanOrigin};
use prooflog_events::ids::{ChainId, L2Block, Micros, Position, Revision, StreamId, UnitId, UnitKind};
use prooflog_events::port::Direction;
use prooflog_events::values::Purpose;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::{State, describe};
use serde::Serialize;
use serde_json::json;

use super::exit::CliError;
use super::output::{self, Form, clean, json_line};
use super::source::Source;
use super::words;
use find::{Asked, Subject};

/// Events of one stream that are told at most; the newest ones.
const EVENTS_MAX: usize = 2_000;
/// Streams that one answer follows at most.
const STREAMS_MAX: usize = 256;

/// What to explain.
#[derive(Args)]
pub(crate) struct Question {
    /// An L2 block (12345), a request (span-10-7), an aggregate (agg-10-3), a nonce (tx-1-0x…-5) or a transaction's
    /// hash. A block of a log with several rollups needs --chain.
    what: Asked,
}

/// One sentence, and which event says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Sentence {
    pub(super) position: Position,
    #[serde(serialize_with = "as_time")]
    pub(super) time: Micros,
    pub(super) stream: String,
    #[serde(rename = "type")]
    pub(super) type_name: String,
    pub(super) text: String,
}

fn as_time<S: serde::Serializer>(time: &Micros, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&output::time(*time))
}

/// Explains.
pub(crate) fn run(
    source: &Source,
    question: &Question,
    chain: Option<ChainId>,
    form: Form,
) -> Result<(), CliError> {
    let state = source.state()?;
    let subject = find::subject(source, &state, question.what, chain)?;
    let story = Story::of(source, &state, &subject)?;
    let waits = waits::waits(&state, &subject, &story.units);
    let asked = subject.to_string();
    output::print(|out| match form {
        Form::Json => json_line(
            out,
            &json!({
                "asked": asked,
                "position": source.at(),
                "time": output::time(state.time),
                "because": story.sentences,
                "partial": story.is_partial,
                "waits_for": waits,
            }),
        ),
        Form::Text => {
            writeln!(out, "{asked}, at position {} ({})", source.at(), output::time(state.time))?;
            let mut before = None;
            for sentence in &story.sentences {
                let text = format!("{}: {}", sentence.stream, sentence.text);
                writeln!(out, "{}", output::told(sentence.position, sentence.time, before, &text))?;
                before = Some(sentence.time);
            }
            if story.is_partial {
                writeln!(out, "{}", outside::PARTIAL)?;
            }
            for wait in &waits {
                writeln!(out, "now       {wait}")?;
            }
            Ok(())
        }
    })
}

/// Everything that the streams involved say, in the order in which it happened.
struct Story {
    sentences: Vec<Sentence>,
    /// Units that it is about.
    units: Vec<UnitId>,
    /// Whether outside writers may have said more about it than was looked through.
    is_partial: bool,
}

impl Story {
    fn of(source: &Source, state: &State, subject: &Subject) -> Result<Self, CliError> {
        let mut teller = Teller {
            source,
            state,
            told: BTreeSet::new(),
            sentences: Vec::new(),
            units: Vec::new(),
            about: BTreeSet::new(),
        };
        match subject {
            Subject::Block { chain, block, unit } => {
                teller.finalized(*chain, *block, *unit)?;
                if let Some(unit) = unit {
                    teller.unit(*unit)?;
                }
            }
            Subject::Unit(unit) => teller.unit(*unit)?,
            Subject::Nonce { slot, .. } => teller.stream(StreamId::Tx(*slot)).map(drop)?,
        }
        let first = teller.sentences.iter().map(|sentence| sentence.position).min();
        let about = |envelope: &Envelope<'_>| teller.about.contains(words::correlation(envelope).as_ref());
        let outside = outside::told(source, &about, first.unwrap_or(Position(1)))?;
        let Teller { mut sentences, units, .. } = teller;
        sentences.extend(outside.sentences);
        sentences.sort_by_key(|sentence| sentence.position);
        Ok(Self { sentences, units, is_partial: outside.is_partial })
    }
}

struct Teller<'a> {
    source: &'a Source,
    state: &'a State,
    told: BTreeSet<String>,
    sentences: Vec<Sentence>,
    units: Vec<UnitId>,
    /// What the events told belong to: outside writers name it too.
    about: BTreeSet<String>,
}

impl Teller<'_> {
    /// A unit, what it was cut out of and into, and what took it.
    fn unit(&mut self, unit: UnitId) -> Result<(), CliError> {
        let halves = self.stream(StreamId::Unit(unit))?;
        if let Some((low, high)) = halves {
            self.unit(UnitId { number: low, ..unit })?;
            return self.unit(UnitId { number: high, ..unit });
        }
        if unit.kind == UnitKind::Span
            && let Some(agg) = find::agg_of(self.source, self.state, unit)?
        {
            self.stream(StreamId::Unit(agg))?;
        }
        Ok(())
    }

    /// One stream, and those that its events lead to. Gives the halves that a span became.
    fn stream(&mut self, stream: StreamId) -> Result<Option<(u64, u64)>, CliError> {
        let name = stream.to_string();
        if self.told.len() >= STREAMS_MAX || !self.told.insert(name.clone()) {
            return Ok(None);
        }
        self.about.insert(name.clone());
        if let StreamId::Unit(unit) = stream {
            self.units.push(unit);
        }
        let page = self.source.past().stream(&name, Revision(u64::MAX), Direction::Backward, EVENTS_MAX)?;
        let (mut leads_to, mut halves, mut is_whole_again) = (Vec::new(), None, false);
        for record in &page.records {
            let Some(fact) = prooflog_replay::fact_of(record.position(), record.stored())? else {
                continue;
            };
            self.about.insert(fact.correlation.to_owned());
            leads_to.extend(leads_to_of(&fact.event, stream));
            match &fact.event {
                // The newest come first: its own proof came after the halving.
                Event::ProofFulfilled(_) => is_whole_again = true,
                Event::Split(e) if !is_whole_again => halves = Some((e.low, e.high)),
                _ => {}
            }
            self.sentences.push(Sentence {
                position: fact.position,
                time: fact.time,
                stream: name.clone(),
                type_name: fact.event.event_type().name().to_owned(),
                text: clean(&describe(&fact.event, stream)),
            });
        }
        for stream in leads_to {
            self.stream(stream)?;
        }
        Ok(halves)
    }

    /// When a block became final, as far as the log saw it: the first head at or above it that was recorded.
    fn finalized(&mut self, chain: ChainId, block: L2Block, unit: Option<UnitId>) -> Result<(), CliError> {
        /// Events of the rollup that are looked through backwards from the span's plan.
        const LOOKED_AT: usize = 4_096;
        let name = StreamId::Chain(chain).to_string();
        let planned = match unit {
            Some(unit) => find::created(self.source, unit)?.map(|created| created.0),
            None => None,
        };
        let until = self.source.up_to(planned.unwrap_or(self.source.at()));
        let page = until.stream(&name, Revision(u64::MAX), Direction::Backward, LOOKED_AT)?;
        let mut first = None;
        for record in &page.records {
            let Some(fact) = prooflog_replay::fact_of(record.position(), record.stored())? else { continue };
            match &fact.event {
                Event::FinalizedMoved(e) if e.block >= block => {
                    first = Some(Sentence {
                        position: fact.position,
                        time: fact.time,
                        stream: name.clone(),
                        type_name: fact.event.event_type().name().to_owned(),
                        text: format!("block {block} is final, the head is at {}", e.block),
                    });
                }
                Event::FinalizedMoved(_) => break,
                _ => {}
            }
        }
        self.sentences.extend(first);
        Ok(())
    }
}

/// Streams that an event leads to: nonces that carry it, the span that it was cut out of.
fn leads_to_of(event: &Event, stream: StreamId) -> Option<StreamId> {
    let unit = match stream {
        StreamId::Unit(unit) => Some(unit),
        _ => None,
    };
    match event {
        Event::CheckpointStarted(e) => Some(StreamId::Tx(e.slot)),
        Event::SubmissionStarted(e) => Some(StreamId::Tx(e.slot)),
        Event::SpanCreated(e) => match e.origin {
            SpanOrigin::HalfOf(number) | SpanOrigin::RefillOf(number) => {
                unit.map(|unit| StreamId::Unit(UnitId { number, ..unit }))
            }
            SpanOrigin::Planned | SpanOrigin::Imported => None,
        },
        Event::TxReserved(e) => match e.purpose {
            Purpose::Checkpoint { agg, .. } | Purpose::Submission { agg } => Some(StreamId::Unit(agg)),
            _ => None,
        },
        _ => None,
    }
}

/// The rollup of a unit.
fn chain_of(state: &State, id: ChainId) -> Option<&Chain> {
    state.chains.get(&id)
}
