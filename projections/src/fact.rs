//! One event as a fold sees it: what the envelope says and the event itself.

use prooflog_events::event::Event;
use prooflog_events::ids::{Micros, Position, Revision, StreamId};

/// One recorded event of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact<'a> {
    /// Its place in the log; only named in errors, so that a provisional one will do while a batch is being decided.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream.
    pub revision: Revision,
    /// When it was recorded.
    pub time: Micros,
    /// What it belongs to: the stream of the unit first planned.
    pub correlation: &'a str,
    /// The event.
    pub event: Event,
}
