//! The checks, compiled once for each client: what differs between them is what is above.
//!
//! Each is a habit of programs that follow or write streams; the first that fails ends the run with its name.

use std::time::Duration;

use super::{
    AppendToStreamOptions, BatchAppendOptions, Client, DeletePersistentSubscriptionOptions,
    DeleteStreamOptions, Error, EventData, Expected, GetPersistentSubscriptionInfoOptions, NakAction,
    PersistentSubscriptionOptions, Position, ReadAllOptions, ReadStreamOptions, ReplayParkedMessagesOptions,
    ResolvedEvent, RetryOptions, SCHEME, StreamMetadataBuilder, StreamMetadataResult, StreamPosition,
    SubscribeToAllOptions, SubscribeToPersistentSubscriptionOptions, SubscribeToStreamOptions,
    SubscriptionEvent, SubscriptionFilter, TombstoneStreamOptions, at, expecting, filtered, is_caught_up,
    stream_of,
};
use crate::Told;
use uuid::Uuid;

/// Nothing in here takes a tenth of it.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn check(told: &Told) {
    // Credentials go out without TLS as well.
    let client = |user: &str| {
        let Told { address, tls, .. } = told;
        Client::new(format!("{SCHEME}://{user}{address}?{tls}").parse().unwrap()).unwrap()
    };
    let guest = client("");
    reads(&guest, told.engine).await;
    reads_backwards(&guest).await;
    reads_what_a_filter_lets_through(&guest).await;
    reads_links(&guest).await;
    follows(&guest, told.engine).await;
    may_not_write_to_the_engine(&guest).await;
    let refused = guest.append_to_stream(notes(), &AppendToStreamOptions::default(), event("A")).await;
    assert!(matches!(refused, Err(Error::AccessDenied)), "{refused:?}");
    let wrong = client("ann:wrong@");
    let refused = wrong.read_all(&ReadAllOptions::default()).await.err();
    assert!(matches!(refused, Some(Error::AccessDenied)), "{refused:?}");
    let ann = client("ann:changeit@");
    may_not_write_to_the_engine(&ann).await;
    appends_with_each_expectation(&ann).await;
    keeps_metadata(&ann).await;
    appends_batches(&ann).await;
    deletes(&ann).await;
    follows_what_it_appends(&ann).await;
    // Found by asking for the members.
    let Told { address, tls, .. } = told;
    let found = Client::new(format!("{SCHEME}+discover://{address}?{tls}").parse().unwrap()).unwrap();
    reads(&found, told.engine).await;
    consumes_in_a_group(&client("admin:changeit@"), &ann, told).await;
    comes_back(&ann, told).await;
}

fn notes() -> String {
    format!("notes-{}", Uuid::new_v4())
}

fn event(kind: &str) -> EventData {
    EventData::json(kind, &serde_json::json!({ "kind": kind })).unwrap().id(Uuid::new_v4())
}

async fn all(client: &Client, options: &ReadAllOptions) -> Vec<ResolvedEvent> {
    let mut read = client.read_all(options).await.unwrap();
    let mut found = Vec::new();
    while let Some(event) = read.next().await.unwrap() {
        found.push(event);
    }
    found
}

async fn revisions(client: &Client, stream: &str, options: &ReadStreamOptions) -> Vec<u64> {
    let mut read = client.read_stream(stream, options).await.unwrap();
    let mut found = Vec::new();
    while let Some(event) = read.next().await.unwrap() {
        found.push(event.get_original_event().revision);
    }
    found
}

fn position(event: &ResolvedEvent) -> u64 {
    event.get_original_event().position.commit
}

fn positions(events: &[ResolvedEvent]) -> Vec<u64> {
    events.iter().map(position).collect()
}

/// The stream of a rollup that the engine has.
async fn a_chain(client: &Client) -> String {
    let filter = SubscriptionFilter::on_stream_name().add_prefix("chain-");
    stream_of(&filtered(client, filter).await[0])
}

async fn reads(client: &Client, engine: usize) {
    let events = all(client, &ReadAllOptions::default()).await;
    assert!(events.len() >= engine);
    let found = positions(&events);
    assert!(found.windows(2).all(|pair| pair[0] < pair[1]) && found[0] > 0);
    for event in &events {
        let event = event.get_original_event();
        assert_eq!(event.position.commit, event.position.prepare);
    }
    let engines =
        events.iter().find(|event| stream_of(event).starts_with("chain-")).unwrap().get_original_event();
    let data: serde_json::Value = engines.as_json().unwrap();
    assert!(data.is_object(), "{data}");
    let about: serde_json::Value = serde_json::from_slice(&engines.custom_metadata).unwrap();
    assert_eq!(about["actor"], "scheduler");
    let found = revisions(client, &stream_of(&events[0]), &ReadStreamOptions::default()).await;
    assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>());
    let missing =
        client.read_stream("nothing-here", &ReadStreamOptions::default()).await.unwrap().next().await;
    assert!(matches!(missing, Err(Error::ResourceNotFound)), "{missing:?}");
}

async fn reads_backwards(client: &Client) {
    let newest = ReadAllOptions::default().position(StreamPosition::End).max_count(20);
    let newest = positions(&all(client, &newest).await);
    assert!(newest.len() == 20 && newest.windows(2).all(|pair| pair[0] > pair[1]), "{newest:?}");
    // Forwards a position is included, backwards it is not.
    let at = |position| StreamPosition::Position(Position { commit: position, prepare: position });
    let before =
        all(client, &ReadAllOptions::default().backwards().position(at(newest[5])).max_count(3)).await;
    assert_eq!(positions(&before), newest[6..9]);
    let from = all(client, &ReadAllOptions::default().position(at(newest[5])).max_count(3)).await;
    assert_eq!(positions(&from), [newest[5], newest[4], newest[3]]);
    let chain = a_chain(client).await;
    let forwards = revisions(client, &chain, &ReadStreamOptions::default()).await;
    let first = ReadStreamOptions::default().backwards().position(StreamPosition::Position(3));
    assert_eq!(revisions(client, &chain, &first).await, [3, 2, 1, 0]);
    let last = ReadStreamOptions::default().position(StreamPosition::End).max_count(1);
    assert!(revisions(client, &chain, &last).await[0] >= *forwards.last().unwrap());
}

async fn reads_what_a_filter_lets_through(client: &Client) {
    let whole = all(client, &ReadAllOptions::default()).await;
    let through = positions(&whole).last().copied().unwrap();
    let expect = |wanted: &dyn Fn(&ResolvedEvent) -> bool| -> Vec<u64> {
        whole.iter().filter(|event| wanted(event)).map(position).collect()
    };
    let kind = |event: &ResolvedEvent| event.get_original_event().event_type.clone();
    let some = kind(&whole[whole.len() / 2]);
    let on_stream = SubscriptionFilter::on_stream_name;
    let on_type = SubscriptionFilter::on_event_type;
    for (filter, expected) in [
        (on_stream().add_prefix("chain-"), expect(&|event| stream_of(event).starts_with("chain-"))),
        (
            on_stream().add_prefix("span-").add_prefix("agg-"),
            expect(&|event| stream_of(event).starts_with("span-") || stream_of(event).starts_with("agg-")),
        ),
        (
            on_stream().regex("^span-[0-9]+-1$"),
            expect(&|event| {
                let name = stream_of(event);
                name.starts_with("span-") && name.ends_with("-1") && name.matches('-').count() == 2
            }),
        ),
        (on_type().add_prefix(&some), expect(&|event| kind(event).starts_with(&some))),
        (on_type().exclude_system_events(), expect(&|event| !kind(event).starts_with('$'))),
    ] {
        let mut found = positions(&filtered(client, filter).await);
        // The engine goes on while this reads.
        found.retain(|position| *position <= through);
        assert!(!found.is_empty());
        assert_eq!(found, expected);
    }
}

async fn reads_links(client: &Client) {
    let some = filtered(client, SubscriptionFilter::on_stream_name().add_prefix("span-")).await;
    let kind = some[0].get_original_event().event_type.clone();
    let leads_to: [(String, Box<dyn Fn(&ResolvedEvent) -> bool>); 3] = [
        ("$ce-span".to_owned(), Box::new(|event| event.event.is_some())),
        (format!("$et-{kind}"), Box::new(move |event| event.event.as_ref().unwrap().event_type == kind)),
        ("$streams".to_owned(), Box::new(|event| event.event.as_ref().unwrap().revision == 0)),
    ];
    for (name, leads) in leads_to {
        let options = ReadStreamOptions::default().resolve_link_tos().max_count(3);
        let mut links = client.read_stream(name.as_str(), &options).await.unwrap();
        let mut count = 0;
        while let Some(event) = links.next().await.unwrap() {
            assert_eq!(event.link.as_ref().unwrap().revision, count);
            assert!(leads(&event), "{name}");
            count += 1;
        }
        assert_eq!(count, 3);
    }
}

async fn next(followed: &mut super::Subscription) -> SubscriptionEvent {
    tokio::time::timeout(PATIENCE, followed.next_subscription_event())
        .await
        .expect("an answer in time")
        .unwrap()
}

/// Across the boundary: what is there, that it is all, and what the engine does then.
async fn follows(client: &Client, engine: usize) {
    // The client's own beginning is position (0, 0), and nothing may be missed by it.
    let options = SubscribeToAllOptions::default().position(StreamPosition::Position(Position::start()));
    let mut followed = client.subscribe_to_all(&options).await;
    let (mut seen, mut live) = (Vec::<ResolvedEvent>::new(), None::<usize>);
    while live.is_none_or(|live| seen.len() < live + 5) {
        match next(&mut followed).await {
            SubscriptionEvent::EventAppeared(event) => seen.push(event),
            other if is_caught_up(&other) => {
                assert!(seen.len() >= engine);
                live = live.or(Some(seen.len()));
            }
            _ => {}
        }
    }
    let whole = all(client, &ReadAllOptions::default().max_count(seen.len())).await;
    assert_eq!(positions(&seen), positions(&whole));
    let mut nobody = client.subscribe_to_stream("not-there-yet", &SubscribeToStreamOptions::default()).await;
    assert!(matches!(next(&mut nobody).await, SubscriptionEvent::Confirmed(_)));
    assert!(is_caught_up(&next(&mut nobody).await));
}

async fn may_not_write_to_the_engine(client: &Client) {
    let append = client.append_to_stream("chain-10", &AppendToStreamOptions::default(), event("A")).await;
    assert!(matches!(append, Err(Error::AccessDenied)), "{append:?}");
    let delete = client.delete_stream("chain-10", &DeleteStreamOptions::default()).await;
    assert!(matches!(delete, Err(Error::AccessDenied)), "{delete:?}");
    let tombstone = client.tombstone_stream("chain-10", &TombstoneStreamOptions::default()).await;
    assert!(matches!(tombstone, Err(Error::AccessDenied)), "{tombstone:?}");
}

async fn appends_with_each_expectation(client: &Client) {
    let name = notes();
    let wrong = async |expected: Expected| {
        let answer = client.append_to_stream(name.as_str(), &expecting(expected), event("D")).await;
        assert!(matches!(answer, Err(Error::WrongExpectedVersion { .. })), "{answer:?}");
    };
    wrong(Expected::StreamExists).await;
    wrong(at(0)).await;
    let events = vec![event("A"), event("B"), event("C")];
    let none = expecting(Expected::NoStream);
    let first = client.append_to_stream(name.as_str(), &none, events.clone()).await.unwrap();
    assert_eq!(first.next_expected_version, 2);
    let again = client.append_to_stream(name.as_str(), &none, events).await.unwrap();
    assert_eq!(again.position, first.position);
    wrong(Expected::NoStream).await;
    wrong(at(1)).await;
    wrong(at(3)).await;
    for (expected, next) in [(Expected::Any, 3), (Expected::StreamExists, 4), (at(4), 5)] {
        let done = client.append_to_stream(name.as_str(), &expecting(expected), event("E")).await.unwrap();
        assert_eq!(done.next_expected_version, next);
        let last = ReadStreamOptions::default().position(StreamPosition::End).max_count(1);
        let last = client.read_stream(name.as_str(), &last).await.unwrap().next().await.unwrap().unwrap();
        assert_eq!(last.get_original_event().position, done.position);
    }
}

async fn keeps_metadata(client: &Client) {
    let name = notes();
    let events = vec![event("A"), event("B"), event("C")];
    client.append_to_stream(name.as_str(), &AppendToStreamOptions::default(), events).await.unwrap();
    for count in [2, 1] {
        let metadata = StreamMetadataBuilder::new().max_count(count).build();
        client
            .set_stream_metadata(name.as_str(), &AppendToStreamOptions::default(), &metadata)
            .await
            .unwrap();
    }
    let read = client.get_stream_metadata(name.as_str(), &ReadStreamOptions::default()).await.unwrap();
    let StreamMetadataResult::Success(read) = read else { panic!("no metadata") };
    assert_eq!(read.metadata().max_count, Some(1));
    assert_eq!(revisions(client, &name, &ReadStreamOptions::default()).await, [2]);
}

async fn appends_batches(client: &Client) {
    let batch = client.batch_append(&BatchAppendOptions::default()).await.unwrap();
    let name = notes();
    for n in 0..3_u64 {
        let events = vec![event("A"), event("B"), event("C")];
        let done = batch.append_to_stream(name.as_str(), Expected::Any, events).await.unwrap();
        assert_eq!(done.current_revision(), Some(3 * n + 2));
    }
    let wrong = batch.append_to_stream(name.as_str(), Expected::NoStream, vec![event("A")]).await;
    assert!(wrong.is_err());
}

async fn deletes(client: &Client) {
    let name = notes();
    let append = AppendToStreamOptions::default();
    client.append_to_stream(name.as_str(), &append, event("A")).await.unwrap();
    client.delete_stream(name.as_str(), &DeleteStreamOptions::default()).await.unwrap().unwrap();
    let gone = client.read_stream(name.as_str(), &ReadStreamOptions::default()).await.unwrap().next().await;
    assert!(matches!(gone, Err(Error::ResourceNotFound)));
    client.append_to_stream(name.as_str(), &append, event("B")).await.unwrap();
    assert_eq!(revisions(client, &name, &ReadStreamOptions::default()).await, [1]);
    client.tombstone_stream(name.as_str(), &TombstoneStreamOptions::default()).await.unwrap().unwrap();
    let gone = client.read_stream(name.as_str(), &ReadStreamOptions::default()).await.err();
    assert!(matches!(gone, Some(Error::ResourceDeleted)), "{gone:?}");
}

async fn follows_what_it_appends(client: &Client) {
    let name = notes();
    let options = SubscribeToStreamOptions::default().start_from(StreamPosition::Start);
    let mut followed = client.subscribe_to_stream(name.as_str(), &options).await;
    for n in 0..100 {
        let event = event(&format!("Kind{n}"));
        client.append_to_stream(name.as_str(), &AppendToStreamOptions::default(), event).await.unwrap();
    }
    for n in 0..100 {
        let event = tokio::time::timeout(PATIENCE, followed.next()).await.unwrap().unwrap();
        assert_eq!(event.get_original_event().event_type, format!("Kind{n}"));
    }
}

/// What a consumer of a group does not handle is given again, parked and replayed; the server ends in between.
async fn consumes_in_a_group(admin: &Client, client: &Client, told: &Told) {
    let (name, group) = (notes(), "rust");
    let options = PersistentSubscriptionOptions::default().start_from(StreamPosition::Start);
    let refused = client.create_persistent_subscription(name.as_str(), group, &options).await;
    assert!(matches!(refused, Err(Error::AccessDenied)), "{refused:?}");
    admin.create_persistent_subscription(name.as_str(), group, &options).await.unwrap();
    let again = admin.create_persistent_subscription(name.as_str(), group, &options).await;
    assert!(matches!(again, Err(Error::ResourceAlreadyExists)), "{again:?}");
    let events: Vec<EventData> = (0..6).map(|n| event(&format!("Kind{n}"))).collect();
    client.append_to_stream(name.as_str(), &AppendToStreamOptions::default(), events).await.unwrap();
    let join = async || {
        for _ in 0..100 {
            let options = SubscribeToPersistentSubscriptionOptions::default().buffer_size(1);
            if let Ok(joined) =
                client.subscribe_to_persistent_subscription(name.as_str(), group, &options).await
            {
                return joined;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("nobody is let in");
    };
    let mut consumer = join().await;
    let first = tokio::time::timeout(PATIENCE, consumer.next()).await.unwrap().unwrap();
    consumer.nack_ids([first.get_original_event().id], NakAction::Park, "not this one").await.unwrap();
    for (kind, again) in [("Kind1", true), ("Kind1", false), ("Kind2", false)] {
        let event = tokio::time::timeout(PATIENCE, consumer.next()).await.unwrap().unwrap();
        assert_eq!(event.get_original_event().event_type, kind);
        match again {
            true => {
                consumer.nack_ids([event.get_original_event().id], NakAction::Retry, "later").await.unwrap()
            }
            false => consumer.ack_ids([event.get_original_event().id]).await.unwrap(),
        }
    }
    // It is not handled, and so the first after the restart.
    let event = tokio::time::timeout(PATIENCE, consumer.next()).await.unwrap().unwrap();
    assert_eq!(event.get_original_event().event_type, "Kind3");
    let options = GetPersistentSubscriptionInfoOptions::default();
    while admin
        .get_persistent_subscription_info(&name, group, &options)
        .await
        .unwrap()
        .stats
        .parked_message_count
        < 1
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let restarted = tokio::process::Command::new(&told.restart).status().await.unwrap();
    assert!(restarted.success());
    let mut consumer = join().await;
    for kind in ["Kind3", "Kind4", "Kind5"] {
        let event = tokio::time::timeout(PATIENCE, consumer.next()).await.unwrap().unwrap();
        assert_eq!(event.get_original_event().event_type, kind);
        consumer.ack_ids([event.get_original_event().id]).await.unwrap();
    }
    admin.replay_parked_messages(&name, group, &ReplayParkedMessagesOptions::default()).await.unwrap();
    let event = tokio::time::timeout(PATIENCE, consumer.next()).await.unwrap().unwrap();
    assert_eq!(event.event.as_ref().unwrap().event_type, "Kind0");
    consumer.ack_ids([event.get_original_event().id]).await.unwrap();
    let options = DeletePersistentSubscriptionOptions::default();
    admin.delete_persistent_subscription(name.as_str(), group, &options).await.unwrap();
    assert!(consumer.next().await.is_err(), "it is gone");
}

/// A subscription and a client outlive the server: nothing is missed, nothing comes twice.
async fn comes_back(client: &Client, told: &Told) {
    let name = notes();
    let options = SubscribeToStreamOptions::default()
        .start_from(StreamPosition::Start)
        .retry_options(RetryOptions::default().retry_forever());
    let mut followed = client.subscribe_to_stream(name.as_str(), &options).await;
    let append = async |kind: &str| {
        let event = event(kind);
        // While the connection is being made again, a call may meet the old one.
        for _ in 0..100 {
            let options = AppendToStreamOptions::default();
            if client.append_to_stream(name.as_str(), &options, event.clone()).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the client does not come back");
    };
    append("Before").await;
    let first = tokio::time::timeout(PATIENCE, followed.next()).await.unwrap().unwrap();
    assert_eq!(first.get_original_event().event_type, "Before");
    let restarted = tokio::process::Command::new(&told.restart).status().await.unwrap();
    assert!(restarted.success());
    append("After").await;
    append("Last").await;
    for (revision, kind) in [(1, "After"), (2, "Last")] {
        let event = tokio::time::timeout(PATIENCE, followed.next()).await.unwrap().unwrap();
        let event = event.get_original_event();
        assert_eq!((event.revision, event.event_type.as_str()), (revision, kind));
    }
    reads(client, told.engine).await;
}
