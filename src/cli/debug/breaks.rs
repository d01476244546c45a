//! Where to stop: breakpoints, and what a search looks for.
//!
//! A breakpoint is on a type of event, on a stream and everything that belongs to it, or on a condition. A condition
//! about an event stops at every event for which it holds; one about the state alone stops at the batch after which it
//! begins to hold.

use prooflog_events::envelope::Envelope;
use prooflog_events::event::EventType;
use prooflog_events::ids::{ChainId, Position, StreamId};
use prooflog_projections::State;

use super::super::condition::{Condition, Look, Seen, Subject};
use super::super::words;

/// Breakpoints at most: each is looked at for every event of a run.
pub(super) const BREAKS_MAX: usize = 32;

/// What a search looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(String);

impl Pattern {
    /// A type, the beginning of one, a stream, or what events belong to.
    pub(super) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// As it was given.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Whether a record is one.
    pub(super) fn matches(&self, envelope: &Envelope<'_>) -> bool {
        let begins = envelope.type_name.get(..self.0.len()).is_some_and(|part| {
            // `Tx` and `tx` are the same to whoever looks for one.
            part.eq_ignore_ascii_case(&self.0)
        });
        begins || belongs(envelope, &self.0)
    }
}

/// Whether a record is of a stream, or belongs to it.
fn belongs(envelope: &Envelope<'_>, name: &str) -> bool {
    envelope.stream == name || words::correlation(envelope) == name
}

/// A place to stop.
pub(super) struct Breakpoint {
    text: String,
    what: What,
    /// Whether it stops anything now.
    pub(super) on: bool,
}

enum What {
    Type(EventType),
    Stream,
    Condition { condition: Box<Condition>, about: About, words: bool },
}

/// What a condition looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Event,
    Both,
    State,
}

/// An event, and the states around it, for whoever needs them.
pub(super) struct Passed<'p> {
    pub(super) envelope: &'p Envelope<'p>,
    /// The state before the event's batch, and after the event.
    pub(super) states: Option<(&'p State, &'p State)>,
    /// The rollup that was chosen.
    pub(super) chain: Option<ChainId>,
}

impl Passed<'_> {
    /// The rollup that the event is of, where none was chosen.
    fn rollup(&self) -> Option<ChainId> {
        self.chain.or_else(|| match self.envelope.stream.parse() {
            Ok(StreamId::Chain(chain)) => Some(chain),
            Ok(StreamId::Unit(unit)) => Some(unit.chain),
            _ => None,
        })
    }
}

impl Breakpoint {
    /// Reads one: a type, a stream, or a condition.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let kind = EventType::ALL.iter().find(|kind| kind.name().eq_ignore_ascii_case(text));
        let what = if let Some(kind) = kind {
            What::Type(*kind)
        } else if text.parse::<StreamId>().is_ok() {
            What::Stream
        } else {
            let condition = Condition::parse(text).map_err(|error| error.to_string())?;
            let any = |test: fn(Subject) -> bool| {
                condition.variables().iter().any(|variable| test(variable.subject))
            };
            let about = match (any(|s| s == Subject::Event), any(|s| s != Subject::Event)) {
                (true, false) => About::Event,
                (true, true) => About::Both,
                (false, _) => About::State,
            };
            let words = condition.variables().iter().any(|variable| variable.name == "text");
            What::Condition { condition: Box::new(condition), about, words }
        };
        Ok(Self { text: text.to_owned(), what, on: true })
    }

    /// As it was given.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What kind it is, for the list.
    pub(super) const fn kind(&self) -> &'static str {
        match self.what {
            What::Type(_) => "type",
            What::Stream => "stream",
            What::Condition { .. } => "condition",
        }
    }

    /// Whether it has to see states.
    pub(super) const fn needs_state(&self) -> bool {
        matches!(self.what, What::Condition { about: About::Both | About::State, .. })
    }

    /// Whether it is known from the record alone that it stops here; for marks in the list.
    pub(super) fn marks(&self, envelope: &Envelope<'_>) -> bool {
        self.on && !self.needs_state() && self.stops(&Passed { envelope, states: None, chain: None })
    }

    /// Whether it stops at an event.
    pub(super) fn stops(&self, passed: &Passed<'_>) -> bool {
        let envelope = passed.envelope;
        match &self.what {
            What::Type(kind) => envelope.type_name == kind.name(),
            What::Stream => belongs(envelope, &self.text),
            What::Condition { condition, about: About::State, .. } => {
                let Some((before, after)) = passed.states else { return false };
                let at = envelope.position;
                let holds = |state, at| {
                    let look = Look { state: Some((state, at)), chain: passed.rollup(), event: None };
                    condition.holds(&look).unwrap_or(false)
                };
                let start = Position(envelope.batch_first.0.saturating_sub(1));
                at == envelope.batch_last() && holds(after, at) && !holds(before, start)
            }
            What::Condition { condition, words, .. } => {
                let text = if *words { words::words(envelope) } else { String::new() };
                let (actor, correlation) = (envelope.actor.to_string(), words::correlation(envelope));
                let seen = Seen {
                    type_name: envelope.type_name,
                    stream: envelope.stream,
                    revision: envelope.revision.0,
                    correlation: &correlation,
                    text: &text,
                    actor: &actor,
                };
                let state = passed.states.map(|(_, after)| (after, envelope.position));
                let look = Look { state, chain: passed.rollup(), event: Some(seen) };
                condition.holds(&look).unwrap_or(false)
            }
        }
    }
}
