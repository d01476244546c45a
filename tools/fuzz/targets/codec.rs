//! Everything that turns stored bytes into words: envelope, every event, every input, the state of a snapshot.
//!
//! No bytes may make it panic or allocate without bound, and what decodes must come back when it is encoded again,
//! through bytes and, for events, through JSON. (Not the same bytes: bincode reads a small number in a wide form too.
//! Stored bytes are hashed as they are and never encoded again.) Every run tries its bytes as everything, so that one
//! corpus serves all types and golden payloads are seeds as they are.
#![no_main]

mod meter;

use libfuzzer_sys::fuzz_target;
use prooflog_events::codec::MAX_DECODE;
use prooflog_events::envelope::{Envelope, Peek};
use prooflog_events::event::{Event, EventType};
use prooflog_events::ids::LogId;
use prooflog_events::input::Input;
use prooflog_projections::{Fact, State, describe};

/// What one decode may hold at once: what the codec lets lengths claim, and room for the texts of errors.
const DECODE_BYTES_MAX: usize = MAX_DECODE + (1 << 20);

fuzz_target!(|bytes: &[u8]| {
    for kind in EventType::ALL {
        (1..=kind.version()).for_each(|version| event(kind.name(), version, bytes));
    }
    for (name, newest) in Input::ALL {
        (1..=*newest).for_each(|version| input(name, version, bytes));
    }
    envelope(bytes);
    snapshot(bytes);
});

fn event(name: &str, version: u16, bytes: &[u8]) {
    let Ok(event) = meter::at_most(DECODE_BYTES_MAX, || Event::decode(name, version, bytes)) else { return };
    let again = Event::decode(name, event.event_type().version(), &event.encode());
    assert_eq!(again.as_ref(), Ok(&event), "{name} changes in a round trip through bytes");
    let json = serde_json::to_value(&event).unwrap_or_else(|error| panic!("{name} has no JSON: {error}"));
    match Event::from_json(event.event_type(), json) {
        Ok(again) => assert_eq!(again, event, "{name} changes in a round trip through JSON"),
        Err(error) => panic!("the JSON of {name} is not read back: {error}"),
    }
    let _ = describe(&event, prooflog_events::ids::StreamId::Node);
}

fn input(name: &str, version: u16, bytes: &[u8]) {
    let Ok(input) = meter::at_most(DECODE_BYTES_MAX, || Input::decode(name, version, bytes)) else { return };
    let again = Input::decode(name, input.version(), &input.encode());
    assert_eq!(again.as_ref(), Ok(&input), "{name} changes in a round trip through bytes");
}

fn envelope(bytes: &[u8]) {
    let peek = meter::at_most(DECODE_BYTES_MAX, || Peek::decode(bytes));
    let Ok(envelope) = meter::at_most(DECODE_BYTES_MAX, || Envelope::decode(bytes)) else { return };
    assert_eq!(
        Envelope::decode(&envelope.encode()).as_ref(),
        Ok(&envelope),
        "an envelope changes in a round trip"
    );
    let peeked = peek.map(|peek| (peek.position, peek.stream, peek.revision, peek.type_name));
    let expected = (envelope.position, envelope.stream, envelope.revision, envelope.type_name);
    assert_eq!(peeked, Ok(expected), "a peek sees something else than the envelope");
    if let Some(cause) = envelope.cause {
        input(cause.name, cause.version, cause.bytes);
    }
    if let Ok(Some(fact)) = Fact::of(&envelope) {
        event(envelope.type_name, envelope.version, envelope.payload);
        // Legal or not: the fold says so and does not panic.
        let _ = State::new(LogId([0; 16])).apply(&fact);
    }
}

fn snapshot(bytes: &[u8]) {
    let Ok(state) = meter::at_most(2 * DECODE_BYTES_MAX, || State::from_bytes(bytes)) else { return };
    let again = State::from_bytes(&state.to_bytes()).map(|again| again.digest());
    assert_eq!(again, Ok(state.digest()), "a state changes in a round trip");
}
