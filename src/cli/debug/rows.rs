//! Lines of the list of events.

use std::ops::ControlFlow;

use prooflog_events::envelope::{Content, Envelope};
use prooflog_events::ids::{Micros, Position};

use super::super::exit::CliError;
use super::super::{output, words};
use super::history::History;
use super::names::{Tone, short, tone_of};

/// Events above and below the cursor that are read: as many as a very high terminal shows.
const AROUND: u64 = 80;

/// Where an event stands in its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Alone,
    First,
    Middle,
    Last,
}

/// One event in the list.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) position: Position,
    pub(super) time: Micros,
    pub(super) stream: String,
    pub(super) type_name: String,
    pub(super) text: String,
    pub(super) tone: Tone,
    pub(super) place: Place,
    /// Whether a breakpoint stops here.
    pub(super) stops: bool,
}

/// The events around a position.
pub(super) fn around(
    history: &History,
    at: Position,
    stops: &dyn Fn(&Envelope<'_>) -> bool,
) -> Result<Vec<Row>, CliError> {
    let (low, high) = (Position(at.0.saturating_sub(AROUND)), Position(at.0.saturating_add(AROUND)));
    let mut rows = Vec::new();
    history.source().reader().for_each(low, high, &mut |position, stored| {
        rows.push(match Envelope::decode(stored) {
            Ok(envelope) => row(&envelope, stops(&envelope)),
            // The list goes on: what is wrong is told when somebody stands on it.
            Err(error) => Row {
                position,
                time: Micros(0),
                stream: String::new(),
                type_name: String::new(),
                text: error.to_string(),
                tone: Tone::Bad,
                place: Place::Alone,
                stops: false,
            },
        });
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}

fn row(envelope: &Envelope<'_>, stops: bool) -> Row {
    let (first, last) =
        (envelope.position == envelope.batch_first, envelope.position == envelope.batch_last());
    let place = match (first, last) {
        (true, true) => Place::Alone,
        (true, false) => Place::First,
        (false, true) => Place::Last,
        (false, false) => Place::Middle,
    };
    let tone = if envelope.content == Content::Native { tone_of(envelope.type_name) } else { Tone::Foreign };
    Row {
        position: envelope.position,
        time: envelope.recorded_at,
        stream: short(&output::clean(envelope.stream)),
        type_name: output::clean(envelope.type_name),
        text: words::words(envelope),
        tone,
        place,
        stops,
    }
}
