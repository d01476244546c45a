//! What outside writers had to say about the same thing: alerts, deployments, notes of people.
//!
//! They are found by the correlation that their metadata names, in the streams that are not the engine's. These are few,
//! and found without looking at the engine's; only the newest of their events are looked through.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

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

/// The events of outside writers, from a position on, that belong to one of these.
pub(super) fn told(
    source: &Source,
    about: &BTreeSet<String>,
    from: Position,
) -> Result<Vec<Sentence>, CliError> {
    let mut streams = Vec::new();
    source.store().outside_streams(&mut |stream| {
        streams.push(stream.to_owned());
        if streams.len() < STREAMS_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let (mut sentences, mut left) = (Vec::new(), EVENTS_MAX);
    for stream in streams {
        let mut next = Some(Revision(u64::MAX));
        while let Some(revision) = next.filter(|_| left > 0) {
            let piece = PIECE.min(left);
            let page = source.reader().stream(&stream, revision, Direction::Backward, piece)?;
            left -= page.records.len().min(left);
            next = page.next;
            for record in &page.records {
                if record.position() < from {
                    next = None;
                    break;
                }
                let envelope = record.envelope()?;
                let belongs = about.contains(words::correlation(&envelope).as_ref());
                if belongs && record.position() <= source.at() {
                    sentences.push(Sentence {
                        position: record.position(),
                        time: envelope.recorded_at,
                        stream: output::clean(envelope.stream),
                        type_name: output::clean(envelope.type_name),
                        text: format!(
                            "{} by {}: {}",
                            output::clean(envelope.type_name),
                            output::clean(&envelope.actor.to_string()),
                            words::words(&envelope)
                        ),
                    });
                }
            }
        }
    }
    Ok(sentences)
}
