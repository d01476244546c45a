//! Everything that turns stored bytes into words: envelope, events, inputs, the state of a snapshot.
//!
//! No bytes may make it panic or allocate without bound, and what decodes must come back when it is encoded again. (Not
//! the same bytes: bincode reads a small number in a wide form too. Stored bytes are hashed as they are and never
//! encoded again.) The first byte chooses the decoder, so that one corpus serves all of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prooflog_events::envelope::{Envelope, Peek};
use prooflog_events::event::{Event, EventType};
use prooflog_events::input::Input;
use prooflog_projections::{Fact, State};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let events = EventType::ALL.len();
    match usize::from(choice) {
        0 => envelope(bytes),
        1 => drop(State::from_bytes(bytes)),
        choice if choice - 2 < events => event(EventType::ALL[choice - 2], bytes),
        choice => input(choice - 2 - events, bytes),
    }
});

fn envelope(stored: &[u8]) {
    let _ = Peek::decode(stored);
    if let Ok(envelope) = Envelope::decode(stored) {
        assert_eq!(Envelope::decode(&envelope.encode()).as_ref(), Ok(&envelope), "what decodes comes back");
        let _ = Fact::of(&envelope);
    }
}

fn event(kind: EventType, bytes: &[u8]) {
    if let Ok(event) = Event::decode(kind.name(), kind.version(), bytes) {
        let again = Event::decode(kind.name(), kind.version(), &event.encode());
        assert_eq!(again.as_ref(), Ok(&event), "what decodes comes back");
        let _ = prooflog_projections::describe(&event);
    }
}

fn input(choice: usize, bytes: &[u8]) {
    let Some((name, version)) = Input::ALL.get(choice) else { return };
    if let Ok(input) = Input::decode(name, *version, bytes) {
        assert_eq!(Input::decode(name, *version, &input.encode()), Ok(input), "what decodes comes back");
    }
}
