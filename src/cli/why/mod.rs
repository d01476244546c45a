//! `why`: the chain of causes behind a block, a request or a transaction, in plain sentences, and what it waits for.
//!
//! Everything comes from the streams of what is involved: a span, the spans it was cut out of, the aggregate that took
//! it, the nonces that carried it. Each sentence names the event that says so; what outside writers tied to any of them
//! stands among the sentences. What holds it up now comes from the state at the same moment.

mod find;
mod waits;

use std::borrow::Cow;
use std::collections::BTreeSet;

use clap::Args;
use prooflog_events::event::{Event, SpanOrigin};
use prooflog_events::ids::{ChainId, L2Block, Micros, Position, Revision, StreamId, UnitId, UnitKind};
use prooflog_events::port::Direction;
use prooflog_events::values::Purpose;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::{State, describe, noted};
use serde::Serialize;
use serde_json::json;

use super::exit::CliError;
use super::output::{self, Form, clean, json_line};
use super::source::Source;
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
struct Sentence {
    position: Position,
    #[serde(serialize_with = "as_time")]
    time: Micros,
    stream: String,
    #[serde(rename = "type")]
    type_name: Cow<'static, str>,
    text: String,
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
                "waits_for": waits,
            }),
        ),
        Form::Text => {
            writeln!(out, "{asked}, at position {} ({})", source.at(), output::time(state.time))?;
            let mut before = None;
            for sentence in &story.sentences {
                writeln!(out, "{}", line(sentence, before))?;
                before = Some(sentence.time);
            }
            for wait in &waits {
                writeln!(out, "now       {wait}")?;
            }
            Ok(())
        }
    })
}

/// A sentence with the time since the one before.
fn line(sentence: &Sentence, before: Option<Micros>) -> String {
    let Sentence { position, time, stream, text, .. } = sentence;
    let later = before.map_or_else(String::new, |before| format!("+{}", duration(time.secs_since(before))));
    format!("{position:>8}  {}  {later:>9}  {stream}: {text}", output::time(*time))
}

/// Seconds as people say them.
fn duration(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        7_200..=172_799 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Everything that the streams involved say, in the order in which it happened.
struct Story {
    sentences: Vec<Sentence>,
    /// Units that it is about.
    units: Vec<UnitId>,
}

impl Story {
    fn of(source: &Source, state: &State, subject: &Subject) -> Result<Self, CliError> {
        let (told, correlations) = (BTreeSet::new(), BTreeSet::new());
        let mut teller =
            Teller { source, state, told, correlations, sentences: Vec::new(), units: Vec::new() };
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
        teller.notes()?;
        let Teller { mut sentences, units, .. } = teller;
        sentences.sort_by_key(|sentence| sentence.position);
        Ok(Self { sentences, units })
    }
}

struct Teller<'a> {
    source: &'a Source,
    state: &'a State,
    told: BTreeSet<String>,
    /// What the streams that were told belong to.
    correlations: BTreeSet<String>,
    sentences: Vec<Sentence>,
    units: Vec<UnitId>,
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
        if let StreamId::Unit(unit) = stream {
            self.units.push(unit);
        }
        let page = self.source.reader().stream(&name, Revision(u64::MAX), Direction::Backward, EVENTS_MAX)?;
        let (mut leads_to, mut halves) = (Vec::new(), None);
        for record in page.records.iter().filter(|record| record.position() <= self.source.at()) {
            let Some(fact) = prooflog_replay::fact_of(record.position(), record.stored())? else {
                continue;
            };
            leads_to.extend(leads_to_of(&fact.event, stream));
            if !self.correlations.contains(fact.correlation) {
                self.correlations.insert(fact.correlation.to_owned());
            }
            if let Event::Split(e) = &fact.event {
                halves = Some((e.low, e.high));
            }
            self.sentences.push(Sentence {
                position: fact.position,
                time: fact.time,
                stream: name.clone(),
                type_name: fact.event.event_type().name().into(),
                text: clean(&say(&fact.event, stream)),
            });
        }
        for stream in leads_to {
            self.stream(stream)?;
        }
        Ok(halves)
    }

    /// What outside writers tied to any of what was told, by the name of its stream or by what it belongs to.
    fn notes(&mut self) -> Result<(), CliError> {
        let Self { source, told, correlations, sentences, .. } = self;
        let Some(first) = sentences.iter().map(|sentence| sentence.position).min() else { return Ok(()) };
        prooflog_replay::for_each_note(&source.reader(), first, source.at(), &mut |note| {
            if told.contains(note.correlation) || correlations.contains(note.correlation) {
                sentences.push(Sentence {
                    position: note.position,
                    time: note.recorded_at,
                    stream: clean(note.stream),
                    type_name: note.type_name.to_owned().into(),
                    text: clean(&noted(note)),
                });
            }
        })?;
        Ok(())
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
        let reader = self.source.reader();
        let page = reader.stream(&name, Revision(u64::MAX), Direction::Backward, LOOKED_AT)?;
        let until = planned.unwrap_or(self.source.at());
        let mut first = None;
        for record in page.records.iter().filter(|record| record.position() <= until) {
            let Some(fact) = prooflog_replay::fact_of(record.position(), record.stored())? else { continue };
            match &fact.event {
                Event::FinalizedMoved(e) if e.block >= block => {
                    first = Some(Sentence {
                        position: fact.position,
                        time: fact.time,
                        stream: name.clone(),
                        type_name: fact.event.event_type().name().into(),
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

/// What an event says, as a sentence about its stream.
fn say(event: &Event, stream: StreamId) -> String {
    match event {
        Event::SpanCreated(e) => {
            let of = |number: u64| match stream {
                StreamId::Unit(unit) => UnitId { number, ..unit }.to_string(),
                _ => number.to_string(),
            };
            let why = match e.origin {
                SpanOrigin::Planned => "planned".to_owned(),
                SpanOrigin::HalfOf(number) => format!("a half of {}", of(number)),
                SpanOrigin::RefillOf(number) => format!("fills what {} left open", of(number)),
                SpanOrigin::Imported => "taken over from another proposer".to_owned(),
            };
            format!("{why}: blocks {} are to be proven", e.range)
        }
        Event::TxReserved(e) => match e.purpose {
            Purpose::Checkpoint { agg, block } => {
                format!("nonce taken, to have the contract store L1 block {block} for {agg}")
            }
            Purpose::Submission { agg } => format!("nonce taken, to submit {agg}"),
            Purpose::Optimistic { block, .. } => {
                format!("nonce taken, to submit block {block} without a proof")
            }
            Purpose::Release => "nonce taken, to be used up by an empty transfer".to_owned(),
        },
        event => describe(event),
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

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_short() {
        let shown = [0, 119, 120, 3_725, 7_200, 90_000, 200_000].map(duration);
        assert_eq!(shown, ["0s", "119s", "2m00s", "62m05s", "2h00m", "25h00m", "2d07h"]);
    }
}
