//! The client as it was called before.

#[path = "checks.rs"]
mod checks;

pub(crate) use checks::check;
pub(crate) use eventstore::*;

pub(crate) const SCHEME: &str = "esdb";
pub(crate) type Expected = ExpectedRevision;

pub(crate) fn at(revision: u64) -> Expected {
    ExpectedRevision::Exact(revision)
}

pub(crate) fn expecting(expected: Expected) -> AppendToStreamOptions {
    AppendToStreamOptions::default().expected_revision(expected)
}

pub(crate) fn stream_of(event: &ResolvedEvent) -> String {
    event.get_original_event().stream_id.clone()
}

pub(crate) fn is_caught_up(event: &SubscriptionEvent) -> bool {
    matches!(event, SubscriptionEvent::CaughtUp)
}

/// A filtered subscription to everything up to its end: this client reads without filters.
pub(crate) async fn filtered(client: &Client, filter: SubscriptionFilter) -> Vec<ResolvedEvent> {
    let mut followed = client.subscribe_to_all(&SubscribeToAllOptions::default().filter(filter)).await;
    let mut found = Vec::new();
    loop {
        match followed.next_subscription_event().await.unwrap() {
            SubscriptionEvent::EventAppeared(event) => found.push(event),
            SubscriptionEvent::CaughtUp => return found,
            _ => {}
        }
    }
}
