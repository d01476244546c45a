//! Older schema versions brought up to today's, one step per version.
//!
//! A stored record keeps its bytes for ever; an upcaster works after they were read. When a struct changes, the old
//! struct moves here under its version's name, a function turns it into the next one, and the table gains a line.
//! No event of format 1 has changed so far, so the table is empty.

use super::{Event, EventType};
use crate::codec::CodecError;

/// Turns the bytes of one older version into today's event.
pub type Upcast = fn(&[u8]) -> Result<Event, CodecError>;

/// (type, older version, how it is read).
const TABLE: &[(EventType, u16, Upcast)] = &[];

/// How `version` of `event_type` is read, if it is an older one that this release knows.
#[must_use]
pub fn find(event_type: EventType, version: u16) -> Option<Upcast> {
    find_in(TABLE, event_type, version)
}

fn find_in(table: &[(EventType, u16, Upcast)], event_type: EventType, version: u16) -> Option<Upcast> {
    table.iter().find(|(kind, old, _)| *kind == event_type && *old == version).map(|(_, _, upcast)| *upcast)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::codec;
    use crate::event::{Paused, PausedBy};
    use crate::values::Control;

    #[test]
    fn an_older_version_is_read_through_its_step_and_no_other() {
        // Version 0 of `Paused` in this test knew only the control.
        let table: &[(EventType, u16, Upcast)] = &[(EventType::Paused, 0, |bytes| {
            let control: Control = codec::decode(bytes)?;
            Ok(Paused { control, by: PausedBy::Operator, note: String::new() }.into())
        })];
        let old = codec::encode(&Control::Proving);
        let event = find_in(table, EventType::Paused, 0).unwrap()(&old).unwrap();
        assert!(matches!(event, Event::Paused(paused) if paused.control == Control::Proving));
        assert!(find_in(table, EventType::Paused, 2).is_none());
        assert!(find_in(table, EventType::Resumed, 0).is_none());
    }
}
