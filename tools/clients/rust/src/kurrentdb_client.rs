//! The client as it is called today.

#[path = "checks.rs"]
mod checks;

pub(crate) use checks::check;
pub(crate) use kurrentdb::*;

pub(crate) const SCHEME: &str = "kurrentdb";
pub(crate) type Expected = StreamState;

pub(crate) fn at(revision: u64) -> Expected {
    StreamState::StreamRevision(revision)
}

pub(crate) fn expecting(expected: Expected) -> AppendToStreamOptions {
    AppendToStreamOptions::default().stream_state(expected)
}

pub(crate) fn stream_of(event: &ResolvedEvent) -> String {
    event.get_original_event().stream_id().to_owned()
}

pub(crate) fn is_caught_up(event: &SubscriptionEvent) -> bool {
    matches!(event, SubscriptionEvent::CaughtUp(Some(_)))
}

/// A filtered read of everything.
pub(crate) async fn filtered(client: &Client, filter: SubscriptionFilter) -> Vec<ResolvedEvent> {
    let mut read = client.read_all(&ReadAllOptions::default().filter(filter)).await.unwrap();
    let mut found = Vec::new();
    while let Some(event) = read.next().await.unwrap() {
        found.push(event);
    }
    found
}
