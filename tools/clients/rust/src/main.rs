//! What the official Rust client does with the server: follow, read, append, delete.
//!
//! Run by tools/clients/run with the server's address, a certificate's file (empty means without TLS) and the number of
//! events of the engine that are there. Ends with a panic at the first surprise.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kurrentdb::{
    AppendToStreamOptions, Client, DeleteStreamOptions, Error, EventData, Position, ReadAllOptions,
    ReadStreamOptions, StreamMetadataBuilder, StreamMetadataResult, StreamPosition, StreamState,
    SubscribeToAllOptions, SubscribeToStreamOptions, SubscriptionEvent, SubscriptionFilter,
    TombstoneStreamOptions,
};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

fn notes() -> String {
    format!("notes-{}", Uuid::new_v4())
}

fn event(kind: &str) -> EventData {
    EventData::json(kind, &serde_json::json!({ "kind": kind })).unwrap().id(Uuid::new_v4())
}

async fn all(client: &Client, options: &ReadAllOptions) -> Vec<kurrentdb::ResolvedEvent> {
    let mut stream = client.read_all(options).await.unwrap();
    let mut found = Vec::new();
    while let Some(event) = stream.next().await.unwrap() {
        found.push(event);
    }
    found
}

async fn revisions(client: &Client, stream: &str) -> Vec<u64> {
    let mut stream = client.read_stream(stream, &ReadStreamOptions::default()).await.unwrap();
    let mut found = Vec::new();
    while let Some(event) = stream.next().await.unwrap() {
        found.push(event.get_original_event().revision);
    }
    found
}

async fn reads_the_engine(client: &Client, engine: usize) {
    let events = all(client, &ReadAllOptions::default()).await;
    assert!(events.len() >= engine);
    let positions: Vec<u64> = events.iter().map(|e| e.get_original_event().position.commit).collect();
    assert!(positions.windows(2).all(|pair| pair[0] < pair[1]) && positions[0] > 0);
    for event in &events {
        let event = event.get_original_event();
        assert_eq!(event.position.commit, event.position.prepare);
    }
    let first = events[0].get_original_event();
    let data: BTreeMap<String, serde_json::Value> = first.as_json().unwrap();
    assert!(data["note"].as_str().unwrap().starts_with("number "));
    let found = revisions(client, "chain-1").await;
    assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>());
    let missing = client.read_stream("nothing-here", &ReadStreamOptions::default()).await.unwrap().next().await;
    assert!(matches!(missing, Err(Error::ResourceNotFound)), "{missing:?}");
    let options = ReadStreamOptions::default().resolve_link_tos().max_count(3);
    let mut links = client.read_stream("$ce-chain", &options).await.unwrap();
    let mut count = 0;
    while let Some(event) = links.next().await.unwrap() {
        assert_eq!(event.link.as_ref().unwrap().revision, count);
        assert!(event.event.as_ref().unwrap().stream_id().starts_with("chain-"));
        count += 1;
    }
    assert_eq!(count, 3);
    let filter = SubscriptionFilter::on_stream_name().add_prefix("chain-2");
    let some = all(client, &ReadAllOptions::default().filter(filter)).await;
    assert!(!some.is_empty() && some.iter().all(|e| e.get_original_stream_id() == "chain-2"));
}

async fn follows_the_engine(client: &Client, engine: usize) {
    // The client's own beginning is position (0, 0), and nothing may be missed by it.
    let options = SubscribeToAllOptions::default().position(StreamPosition::Position(Position::start()));
    let mut followed = client.subscribe_to_all(&options).await;
    let mut count = 0;
    loop {
        match tokio::time::timeout(PATIENCE, followed.next_subscription_event()).await.unwrap().unwrap() {
            SubscriptionEvent::EventAppeared(_) => count += 1,
            SubscriptionEvent::CaughtUp(_) => break,
            _ => {}
        }
    }
    assert!(count >= engine);
    // One more comes each second.
    tokio::time::timeout(PATIENCE, followed.next()).await.unwrap().unwrap();
    let mut stream = client.subscribe_to_stream("not-there-yet", &SubscribeToStreamOptions::default()).await;
    let first = tokio::time::timeout(PATIENCE, stream.next_subscription_event()).await.unwrap().unwrap();
    assert!(matches!(first, SubscriptionEvent::Confirmed(_)));
}

async fn may_not_write_to_the_engine(client: &Client) {
    let append = client.append_to_stream("chain-1", &AppendToStreamOptions::default(), event("A")).await;
    assert!(matches!(append, Err(Error::AccessDenied)), "{append:?}");
    let delete = client.delete_stream("chain-1", &DeleteStreamOptions::default()).await;
    assert!(matches!(delete, Err(Error::AccessDenied)), "{delete:?}");
    let tombstone = client.tombstone_stream("chain-1", &TombstoneStreamOptions::default()).await;
    assert!(matches!(tombstone, Err(Error::AccessDenied)), "{tombstone:?}");
}

async fn appends(client: &Client) {
    let name = notes();
    let options = AppendToStreamOptions::default().stream_state(StreamState::NoStream);
    let events = vec![event("A"), event("B"), event("C")];
    let first = client.append_to_stream(name.as_str(), &options, events.clone()).await.unwrap();
    assert_eq!(first.next_expected_version, 2);
    let again = client.append_to_stream(name.as_str(), &options, events).await.unwrap();
    assert_eq!(again.position, first.position);
    let wrong = client.append_to_stream(name.as_str(), &options, event("D")).await;
    assert!(matches!(wrong, Err(Error::WrongExpectedVersion { .. })), "{wrong:?}");
    let mut read = client.read_stream(name.as_str(), &ReadStreamOptions::default()).await.unwrap();
    let mut last = None;
    while let Some(event) = read.next().await.unwrap() {
        last = Some(event);
    }
    assert_eq!(last.unwrap().get_original_event().position, first.position);

    let metadata = StreamMetadataBuilder::new().max_count(2).build();
    client.set_stream_metadata(name.as_str(), &AppendToStreamOptions::default(), &metadata).await.unwrap();
    let metadata = StreamMetadataBuilder::new().max_count(1).build();
    client.set_stream_metadata(name.as_str(), &AppendToStreamOptions::default(), &metadata).await.unwrap();
    let read = client.get_stream_metadata(name.as_str(), &ReadStreamOptions::default()).await.unwrap();
    let StreamMetadataResult::Success(read) = read else { panic!("no metadata") };
    assert_eq!(read.metadata().max_count, Some(1));
    assert_eq!(revisions(client, &name).await, [2]);
}

async fn appends_batches(client: &Client) {
    let batch = client.batch_append(&kurrentdb::BatchAppendOptions::default()).await.unwrap();
    let name = notes();
    for n in 0..3_u64 {
        let events = vec![event("A"), event("B"), event("C")];
        let done = batch.append_to_stream(name.as_str(), StreamState::Any, events).await.unwrap();
        assert_eq!(done.current_revision(), Some(3 * n + 2));
    }
    let wrong = batch.append_to_stream(name.as_str(), StreamState::NoStream, vec![event("A")]).await;
    assert!(wrong.is_err());
}

async fn deletes(client: &Client) {
    let name = notes();
    client.append_to_stream(name.as_str(), &AppendToStreamOptions::default(), event("A")).await.unwrap();
    client.delete_stream(name.as_str(), &DeleteStreamOptions::default()).await.unwrap().unwrap();
    let gone = client.read_stream(name.as_str(), &ReadStreamOptions::default()).await.unwrap().next().await;
    assert!(matches!(gone, Err(Error::ResourceNotFound)));
    client.append_to_stream(name.as_str(), &AppendToStreamOptions::default(), event("B")).await.unwrap();
    assert_eq!(revisions(client, &name).await, [1]);
    client.tombstone_stream(name.as_str(), &TombstoneStreamOptions::default()).await.unwrap().unwrap();
    let gone = client.read_stream(name.as_str(), &ReadStreamOptions::default()).await.err();
    assert!(matches!(gone, Some(Error::ResourceDeleted)), "{gone:?}");
}

async fn follows_what_it_appends(client: &Client) {
    let name = notes();
    let options = SubscribeToStreamOptions::default().start_from(StreamPosition::Start);
    let mut followed = client.subscribe_to_stream(name.as_str(), &options).await;
    let wanted: Vec<EventData> = (0..300).map(|n| event(&format!("Kind{n}"))).collect();
    let begun = Instant::now();
    for event in wanted.clone() {
        client.append_to_stream(name.as_str(), &AppendToStreamOptions::default(), event).await.unwrap();
    }
    println!("an append takes {} us", begun.elapsed().as_micros() / 300);
    for n in 0..300 {
        let event = tokio::time::timeout(PATIENCE, followed.next()).await.unwrap().unwrap();
        assert_eq!(event.get_original_event().event_type, format!("Kind{n}"));
    }
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().collect();
    let (address, certificate, engine) = (&words[1], &words[2], words[3].parse().unwrap());
    let tls = if certificate.is_empty() {
        "tls=false".to_owned()
    } else {
        format!("tls=true&tlsCaFile={certificate}")
    };
    // Credentials go out without TLS as well.
    let client = |user: &str| Client::new(format!("kurrentdb://{user}{address}?{tls}").parse().unwrap()).unwrap();
    let guest = client("");
    reads_the_engine(&guest, engine).await;
    follows_the_engine(&guest, engine).await;
    may_not_write_to_the_engine(&guest).await;
    let refused = guest.append_to_stream(notes(), &AppendToStreamOptions::default(), event("A")).await;
    assert!(matches!(refused, Err(Error::AccessDenied)), "{refused:?}");
    let ann = client("ann:changeit@");
    may_not_write_to_the_engine(&ann).await;
    appends(&ann).await;
    appends_batches(&ann).await;
    deletes(&ann).await;
    follows_what_it_appends(&ann).await;
    // Found by asking for the members.
    let found = Client::new(format!("kurrentdb+discover://{address}?{tls}").parse().unwrap()).unwrap();
    reads_the_engine(&found, engine).await;
    println!("ok: rust, kurrentdb {}", if certificate.is_empty() { "without TLS" } else { "with TLS" });
}
