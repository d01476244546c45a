//! What outside writers had to say about the same thing: alerts, deployments, notes of people.
//!
//! They are found by the correlation that their metadata names, in the streams that are not the engine's. These are few,
//! and found without looking at the engine's; only the newest of their events are looked through, and an answer that
//! may lack some says so.

use std::ops::ControlFlow;

use prooflog_events::envelope::Envelope;
use prooflog_events::ids::{Position, Revision};
use prooflog_events::port::Direction;

use super::super::exit::CliError;
use super::super::source::Source;
use super::super::{output, words};
use super::Sentence;

/// Streams of outside writers that are looked at.
const STREAMS_MAX: usize = 4_096;
/// Their events that are looked at, the newest of each stream first.
const EVENTS_MAX: usize = 50_000;
/// Of these, how many at a time.
const PIECE: usize = 1_000;

/// What is said where there is more than is looked through.
pub(in super::super) const PARTIAL: &str = "note      there are more events of outside writers than were looked \
                                            through for this answer; `prooflog timeline` looks through all of them";

/// What outside writers said.
#[derive(Default)]
pub(in super::super) struct Told {
    pub(in super::super) sentences: Vec<Sentence>,
    /// Whether there is more than was looked through.
    pub(in super::super) is_partial: bool,
}

/// The events of outside writers, from a position on, that are about something.
pub(in super::super) fn told(
    source: &Source,
    is_about: &dyn Fn(&Envelope<'_>) -> bool,
    from: Position,
) -> Result<Told, CliError> {
    let mut streams = Vec::new();
    let mut told = Told::default();
    source.store().outside_streams(&mut |stream| {
        if streams.len() < STREAMS_MAX {
            streams.push(stream.to_owned());
            return ControlFlow::Continue(());
        }
        told.is_partial = true;
        ControlFlow::Break(())
    })?;
    let mut left = EVENTS_MAX;
    for stream in streams {
        let mut next = Some(Revision(u64::MAX));
        while let Some(revision) = next {
            if left == 0 {
                told.is_partial = true;
                return Ok(told);
            }
            let page = source.past().stream(&stream, revision, Direction::Backward, PIECE.min(left))?;
            left -= page.records.len().min(left);
            next = page.next;
            for record in &page.records {
                if record.position() < from {
                    next = None;
                    break;
                }
                let envelope = record.envelope()?;
                if is_about(&envelope) {
                    told.sentences.push(sentence(record.position(), &envelope));
                }
            }
        }
    }
    Ok(told)
}

fn sentence(position: Position, envelope: &Envelope<'_>) -> Sentence {
    let type_name = output::clean(envelope.type_name);
    let actor = output::clean(&envelope.actor.to_string());
    Sentence {
        position,
        time: envelope.recorded_at,
        stream: output::clean(envelope.stream),
        text: format!("{type_name} by {actor}: {}", words::words(envelope)),
        type_name,
    }
}
