//! Persistent subscriptions, through raw calls: what consumers are given, what becomes of what they do not handle, and
//! what a restart remembers.

use std::sync::Arc;

use prooflog_events::ids::{LogId, Position};
use prooflog_eventstore::wire::client::Empty;
use prooflog_eventstore::wire::persistent_subscriptions as wire;
use prooflog_eventstore::wire::persistent_subscriptions::persistent_subscriptions_client::PersistentSubscriptionsClient;
use prooflog_eventstore::wire::persistent_subscriptions::read_req::nack::Action;
use prooflog_eventstore::wire::persistent_subscriptions::read_req::{self, Ack, Nack};
use prooflog_eventstore::wire::persistent_subscriptions::read_resp::read_event::Count;
use prooflog_eventstore::wire::persistent_subscriptions::read_resp::{Content as Given, ReadEvent};
use prooflog_eventstore::wire::persistent_subscriptions::settings::{CheckpointAfter, MessageTimeout};
use prooflog_eventstore::wire::persistent_subscriptions::{
    GroupOptions, ReadReq, Settings, SubscriptionInfo,
};
use prooflog_eventstore::wire::streams::read_req::options::{
    FilterOptions, Position as At, StreamOptions, UuidOption, stream_options, uuid_option,
};
use prooflog_eventstore::wire::streams::read_resp::read_event::RecordedEvent;
use prooflog_eventstore::{Checkpoints, MemoryCheckpoints};
use prooflog_log::{Log, MemorySequence};
use tokio::sync::mpsc;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use crate::common::{
    ANY, As, Fixture, PATIENCE, append, events, identifier, prefix, proposed, recorded, start, start_over,
    start_with, stream, trailer,
};

type Groups = PersistentSubscriptionsClient<InterceptedService<Channel, As>>;

impl<S: prooflog_events::port::Sequence> Fixture<S> {
    async fn groups(&self, user: &'static str) -> Groups {
        PersistentSubscriptionsClient::with_interceptor(self.channel().await, As(user))
    }
}

/// A group of which one consumer's silence of a minute is forgiven, as often as it likes.
fn settings() -> Settings {
    Settings {
        message_timeout: Some(MessageTimeout::MessageTimeoutMs(60_000)),
        max_retry_count: 3,
        checkpoint_after: Some(CheckpointAfter::CheckpointAfterMs(60_000)),
        min_checkpoint_count: 10,
        max_checkpoint_count: 1_000,
        live_buffer_size: 500,
        read_batch_size: 20,
        history_buffer_size: 500,
        consumer_strategy: "RoundRobin".to_owned(),
        ..Settings::default()
    }
}

fn of_stream(name: &str, group: &str, settings: Settings) -> GroupOptions {
    let revision_option = Some(stream_options::RevisionOption::Start(Empty {}));
    let stream = StreamOptions { stream_identifier: identifier(name), revision_option };
    GroupOptions {
        group_name: group.to_owned(),
        settings: Some(settings),
        stream_option: Some(wire::group_options::StreamOption::Stream(stream)),
        ..GroupOptions::default()
    }
}

fn of_all(group: &str, filter: Option<FilterOptions>, from: Option<u64>) -> GroupOptions {
    let place = |at| At { commit_position: at, prepare_position: at };
    let all = wire::AllOptions {
        all_option: Some(from.map_or(wire::all_options::AllOption::Start(Empty {}), |from| {
            wire::all_options::AllOption::Position(place(from))
        })),
        filter_option: filter.map(wire::all_options::FilterOption::Filter),
    };
    let stream_option = Some(wire::group_options::StreamOption::All(all));
    GroupOptions { stream_option, ..of_stream("", group, settings()) }
}

async fn create(groups: &mut Groups, options: GroupOptions) -> Result<(), Status> {
    groups.create(wire::CreateReq { options: Some(options) }).await.map(drop)
}

/// A group of `$all`, or of a stream.
#[derive(Clone, Copy)]
enum Of {
    All,
    Stream(&'static str),
}

async fn info(groups: &mut Groups, of: Of, group: &str) -> Result<SubscriptionInfo, Status> {
    use wire::get_info_req::options::StreamOption;
    let stream_option = Some(match of {
        Of::All => StreamOption::All(Empty {}),
        Of::Stream(name) => StreamOption::StreamIdentifier(identifier(name).unwrap()),
    });
    let options = wire::get_info_req::Options { stream_option, group_name: group.to_owned() };
    let answer = groups.get_info(wire::GetInfoReq { options: Some(options) }).await?;
    Ok(answer.into_inner().subscription_info.unwrap())
}

async fn delete(groups: &mut Groups, name: &str, group: &str) -> Result<(), Status> {
    use wire::delete_req::options::StreamOption;
    let stream_option = Some(StreamOption::StreamIdentifier(identifier(name).unwrap()));
    let options = wire::delete_req::Options { stream_option, group_name: group.to_owned() };
    groups.delete(wire::DeleteReq { options: Some(options) }).await.map(drop)
}

fn parked(of: Of, group: &str, most: Option<i64>) -> wire::ParkedOptions {
    use wire::parked_options::{StopAtOption, StreamOption};
    wire::ParkedOptions {
        group_name: group.to_owned(),
        stream_option: Some(match of {
            Of::All => StreamOption::All(Empty {}),
            Of::Stream(name) => StreamOption::StreamIdentifier(identifier(name).unwrap()),
        }),
        stop_at_option: Some(most.map_or(StopAtOption::NoLimit(Empty {}), StopAtOption::StopAt)),
    }
}

async fn replay(groups: &mut Groups, of: Of, group: &str, most: Option<i64>) {
    let options = Some(parked(of, group, most));
    groups.replay_parked(wire::ReplayParkedReq { options }).await.unwrap();
}

/// A consumer.
struct Consumer {
    says: mpsc::Sender<ReadReq>,
    given: Streaming<wire::ReadResp>,
}

impl Consumer {
    async fn join(groups: &mut Groups, of: Of, group: &str, slots: i32) -> Result<Self, Status> {
        use read_req::options::StreamOption;
        let (says, said) = mpsc::channel(64);
        let stream_option = Some(match of {
            Of::All => StreamOption::All(Empty {}),
            Of::Stream(name) => StreamOption::StreamIdentifier(identifier(name).unwrap()),
        });
        let uuid_option = Some(UuidOption { content: Some(uuid_option::Content::String(Empty {})) });
        let group_name = group.to_owned();
        let options = read_req::Options { stream_option, group_name, buffer_size: slots, uuid_option };
        says.send(ReadReq { content: Some(read_req::Content::Options(options)) }).await.unwrap();
        let said = futures_util::stream::unfold(said, |mut said| async { Some((said.recv().await?, said)) });
        let given = groups.read(said).await?.into_inner();
        let mut consumer = Self { says, given };
        match consumer.next().await? {
            Given::SubscriptionConfirmation(_) => Ok(consumer),
            Given::Event(_) => panic!("an event before the confirmation"),
        }
    }

    async fn next(&mut self) -> Result<Given, Status> {
        let next = tokio::time::timeout(PATIENCE, self.given.message()).await.expect("an answer in time");
        Ok(next?.expect("no good end").content.unwrap())
    }

    /// The next event.
    async fn event(&mut self) -> ReadEvent {
        match self.next().await.unwrap() {
            Given::Event(event) => event,
            Given::SubscriptionConfirmation(_) => panic!("confirmed twice"),
        }
    }

    /// The error that ends it.
    async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.next().await {
                return status;
            }
        }
    }

    async fn ack(&self, event: &ReadEvent) {
        let ids = vec![original(event).id.clone().unwrap()];
        let ack = read_req::Content::Ack(Ack { ids, id: bytes::Bytes::new() });
        self.says.send(ReadReq { content: Some(ack) }).await.unwrap();
    }

    async fn nack(&self, event: &ReadEvent, action: Action) {
        let ids = vec![original(event).id.clone().unwrap()];
        let (action, reason) = (action.into(), "because".to_owned());
        let nack = read_req::Content::Nack(Nack { ids, action, reason, id: bytes::Bytes::new() });
        self.says.send(ReadReq { content: Some(nack) }).await.unwrap();
    }

    /// The next events, each handled.
    async fn handle(&mut self, count: usize) -> Vec<String> {
        let mut seen = Vec::new();
        for _ in 0..count {
            let event = self.event().await;
            self.ack(&event).await;
            seen.push(name(&event));
        }
        seen
    }
}

/// What consumers answer: the link, if there is one.
fn original(event: &ReadEvent) -> &RecordedEvent {
    event.link.as_ref().or(event.event.as_ref()).unwrap()
}

/// Revision and stream of what was given.
fn name(event: &ReadEvent) -> String {
    let event = event.event.as_ref().unwrap();
    let stream = &event.stream_identifier.as_ref().unwrap().stream_name;
    format!("{}@{}", event.stream_revision, String::from_utf8_lossy(stream))
}

fn retries(event: &ReadEvent) -> i32 {
    match event.count {
        Some(Count::RetryCount(count)) => count,
        _ => panic!("no count"),
    }
}

/// Waits until what is told of a group is so.
async fn until(groups: &mut Groups, of: fn() -> Of, group: &str, so: fn(&SubscriptionInfo) -> bool) {
    let wait = async {
        while !so(&info(groups, of(), group).await.unwrap()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it becomes so");
}

#[tokio::test]
async fn a_group_is_created_told_of_changed_and_deleted_and_each_of_it_is_an_event() {
    let server = start().await;
    server.foreign("notes-1", &["A", "B"]);
    let mut groups = server.groups("ops").await;
    create(&mut groups, of_stream("notes-1", "g", settings())).await.unwrap();
    let again = create(&mut groups, of_stream("notes-1", "g", settings())).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
    assert_eq!(trailer(&again, "exception"), "persistent-subscription-exists");
    assert_eq!(
        (trailer(&again, "stream-name"), trailer(&again, "group-name")),
        ("notes-1".into(), "g".into())
    );

    let told = info(&mut groups, Of::Stream("notes-1"), "g").await.unwrap();
    assert_eq!((told.status.as_str(), told.start_from.as_str()), ("Behind", "0"));
    assert_eq!(
        (told.last_checkpointed_event_position.as_str(), told.last_known_event_position.as_str()),
        ("", "1")
    );
    assert_eq!((told.named_consumer_strategy.as_str(), told.max_retry_count), ("RoundRobin", 3));

    let mut consumer = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 10).await.unwrap();
    let changed = of_stream("notes-1", "g", Settings { max_retry_count: 7, ..settings() });
    groups.update(wire::UpdateReq { options: Some(changed) }).await.unwrap();
    let dropped = consumer.end().await;
    assert_eq!(dropped.code(), Code::Cancelled);
    assert_eq!(trailer(&dropped, "exception"), "persistent-subscription-dropped");
    let told = info(&mut groups, Of::Stream("notes-1"), "g").await.unwrap();
    assert_eq!((told.max_retry_count, told.connections.len()), (7, 0));

    delete(&mut groups, "notes-1", "g").await.unwrap();
    for missing in [
        delete(&mut groups, "notes-1", "g").await.unwrap_err(),
        info(&mut groups, Of::Stream("notes-1"), "g").await.unwrap_err(),
        Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 1).await.err().unwrap(),
    ] {
        assert_eq!(missing.code(), Code::NotFound);
        assert_eq!(trailer(&missing, "exception"), "persistent-subscription-does-not-exist");
    }
    let mut client = server.client("").await;
    let kinds: Vec<_> = events(&mut client, stream("$persistentSubscriptionConfig")).await;
    let kinds: Vec<&str> = kinds.iter().map(|event| recorded(event).metadata["type"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "$PersistentSubscriptionCreated",
            "$PersistentSubscriptionUpdated",
            "$PersistentSubscriptionDeleted"
        ]
    );
}

#[tokio::test]
async fn groups_are_listed_all_of_a_stream_and_of_the_whole_log() {
    let server = start().await;
    let mut groups = server.groups("ops").await;
    for options in [
        of_stream("notes-1", "a", settings()),
        of_stream("notes-1", "b", settings()),
        of_stream("notes-2", "a", settings()),
        of_all("a", None, Some(7)),
    ] {
        create(&mut groups, options).await.unwrap();
    }
    use wire::list_req::options::ListOption;
    use wire::list_req::stream_option::StreamOption;
    let list = async |option| {
        let options = Some(wire::list_req::Options { list_option: Some(option) });
        let answer = server.groups("").await.list(wire::ListReq { options }).await?;
        let told = answer.into_inner().subscriptions.into_iter();
        Ok::<_, Status>(
            told.map(|told| (told.event_source, told.group_name, told.start_from)).collect::<Vec<_>>(),
        )
    };
    assert_eq!(list(ListOption::ListAllSubscriptions(Empty {})).await.unwrap().len(), 4);
    let of = |option| ListOption::ListForStream(wire::list_req::StreamOption { stream_option: Some(option) });
    let of_stream = of(StreamOption::Stream(identifier("notes-1").unwrap()));
    assert_eq!(list(of_stream).await.unwrap().len(), 2);
    let all = list(of(StreamOption::All(Empty {}))).await.unwrap();
    assert_eq!(all, [("$all".to_owned(), "a".to_owned(), "C:7/P:7".to_owned())]);
    let none = list(of(StreamOption::Stream(identifier("notes-9").unwrap()))).await.unwrap_err();
    assert_eq!(none.code(), Code::NotFound);
    assert_eq!(trailer(&none, "exception"), "persistent-subscription-does-not-exist");
}

#[tokio::test]
async fn who_may_not_write_consumes_nothing_and_who_does_not_operate_creates_nothing() {
    let server = start().await;
    let mut groups = server.groups("ops").await;
    create(&mut groups, of_stream("notes-1", "g", settings())).await.unwrap();
    for user in ["", "eve", "ann"] {
        let mut groups = server.groups(user).await;
        let refused = create(&mut groups, of_stream("notes-1", "h", settings())).await.unwrap_err();
        assert_eq!(trailer(&refused, "exception"), "access-denied");
        let joined = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 1).await;
        assert_eq!(joined.is_ok(), user == "ann");
        info(&mut groups, Of::Stream("notes-1"), "g").await.unwrap();
    }
    let readers = start_with(|server| server.writing = None).await;
    let mut groups = readers.groups("ops").await;
    let refused = create(&mut groups, of_stream("notes-1", "g", settings())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    // Nobody writes what groups write for themselves, not even who operates.
    let mut client = server.client("ops").await;
    for stream in ["$persistentSubscriptionConfig", "$persistentsubscription-notes-1::g-parked"] {
        let refused = append(&mut client, stream, ANY, vec![proposed(1, "A")]).await.unwrap_err();
        assert_eq!(trailer(&refused, "exception"), "access-denied");
    }
}

#[tokio::test]
async fn consumers_share_what_is_there_and_what_comes_each_event_once() {
    let server = start().await;
    for n in 0..20 {
        server.foreign(&format!("notes-{}", n % 3), &["A"]);
    }
    let mut groups = server.groups("ops").await;
    create(&mut groups, of_all("g", Some(prefix(&["notes-"])), None)).await.unwrap();
    let (tell, mut told) = mpsc::channel(64);
    let mut consumers = Vec::new();
    for _ in 0..2 {
        let mut consumer = Consumer::join(&mut groups, Of::All, "g", 5).await.unwrap();
        let tell = tell.clone();
        consumers.push(tokio::spawn(async move {
            loop {
                let event = consumer.event().await;
                consumer.ack(&event).await;
                tell.send(name(&event)).await.unwrap();
            }
        }));
    }
    let mut seen = Vec::new();
    while seen.len() < 25 {
        seen.push(tokio::time::timeout(PATIENCE, told.recv()).await.expect("another event").unwrap());
        if seen.len() <= 5 {
            server.foreign("notes-9", &["B"]);
            server.foreign("others-9", &["B"]);
        }
    }
    seen.sort();
    let mut all: Vec<_> =
        (0..3).flat_map(|n| (0..if n < 2 { 7 } else { 6 }).map(move |r| format!("{r}@notes-{n}"))).collect();
    all.extend((0..5).map(|r| format!("{r}@notes-9")));
    all.sort();
    assert_eq!(seen, all);
    let told = info(&mut groups, Of::All, "g").await.unwrap();
    assert_eq!(told.connections.len(), 2);
    assert!(told.connections.iter().all(|one| one.username == "ops" && !one.from.is_empty()));
    let told_to_guests = info(&mut server.groups("").await, Of::All, "g").await.unwrap();
    let one = &told_to_guests.connections[0];
    assert!(one.username.is_empty() && one.from.is_empty() && one.connection_name.is_empty());
    assert_eq!(told.total_items, 25);
    assert!(told.connections.iter().all(|one| one.total_items >= 5), "each has its part");
    consumers.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn no_consumer_has_more_than_it_asked_for() {
    let server = start().await;
    server.foreign("notes-1", &["A"; 9]);
    let mut groups = server.groups("ops").await;
    create(&mut groups, of_stream("notes-1", "g", settings())).await.unwrap();
    let mut consumer = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 3).await.unwrap();
    until(&mut groups, || Of::Stream("notes-1"), "g", |told| told.total_in_flight_messages == 3).await;
    let told = info(&mut groups, Of::Stream("notes-1"), "g").await.unwrap();
    assert_eq!((told.connections[0].in_flight_messages, told.connections[0].available_slots), (3, 0));
    let first = consumer.event().await;
    assert_eq!(name(&first), "0@notes-1");
    consumer.event().await;
    consumer.event().await;
    consumer.ack(&first).await;
    assert_eq!(name(&consumer.event().await), "3@notes-1");
}

#[tokio::test]
async fn what_is_not_handled_is_given_again_and_then_parked_and_replayed() {
    let server = start().await;
    server.foreign("notes-1", &["A", "B", "C"]);
    let mut groups = server.groups("ops").await;
    let once = Settings { max_retry_count: 1, ..settings() };
    create(&mut groups, of_stream("notes-1", "g", once)).await.unwrap();
    let mut consumer = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 1).await.unwrap();
    let first = consumer.event().await;
    assert_eq!((name(&first).as_str(), retries(&first)), ("0@notes-1", 0));
    consumer.nack(&first, Action::Retry).await;
    let first = consumer.event().await;
    assert_eq!((name(&first).as_str(), retries(&first)), ("0@notes-1", 1));
    consumer.nack(&first, Action::Retry).await;
    let second = consumer.event().await;
    assert_eq!(name(&second), "1@notes-1", "the first is given up");
    consumer.nack(&second, Action::Park).await;
    let third = consumer.event().await;
    consumer.nack(&third, Action::Skip).await;
    until(&mut groups, || Of::Stream("notes-1"), "g", |told| told.total_in_flight_messages == 0).await;

    let told = info(&mut groups, Of::Stream("notes-1"), "g").await.unwrap();
    assert_eq!(told.parked_message_count, 2);
    let mut client = server.client("").await;
    let links = events(&mut client, stream("$persistentsubscription-notes-1::g-parked")).await;
    let link = recorded(&links[1]);
    assert_eq!((link.metadata["type"].as_str(), &link.data[..]), ("$>", &b"1@notes-1"[..]));
    assert_eq!(&link.custom_metadata[..], br#"{"reason":"because","retries":0}"#);

    replay(&mut groups, Of::Stream("notes-1"), "g", Some(1)).await;
    let again = consumer.event().await;
    assert_eq!(name(&again), "0@notes-1");
    assert!(again.link.is_some());
    consumer.ack(&again).await;
    assert_eq!(info(&mut groups, Of::Stream("notes-1"), "g").await.unwrap().parked_message_count, 1);
    replay(&mut groups, Of::Stream("notes-1"), "g", None).await;
    let again = consumer.event().await;
    assert_eq!(name(&again), "1@notes-1");
    // Parked once more, it stands there anew.
    consumer.nack(&again, Action::Park).await;
    until(&mut groups, || Of::Stream("notes-1"), "g", |told| told.parked_message_count == 1).await;
    let options = Some(parked(Of::Stream("notes-1"), "g", None));
    groups.truncate_parked(wire::TruncateParkedReq { options }).await.unwrap();
    assert_eq!(info(&mut groups, Of::Stream("notes-1"), "g").await.unwrap().parked_message_count, 0);
    replay(&mut groups, Of::Stream("notes-1"), "g", None).await;
    server.foreign("notes-1", &["D"]);
    assert_eq!(consumer.handle(1).await, ["3@notes-1"], "nothing of what was given up for good");
}

#[tokio::test]
async fn a_consumer_that_goes_or_stops_leaves_its_events_to_the_others() {
    let server = start().await;
    server.foreign("notes-1", &["A", "B"]);
    let mut groups = server.groups("ops").await;
    create(&mut groups, of_stream("notes-1", "g", settings())).await.unwrap();
    let mut one = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 1).await.unwrap();
    let first = one.event().await;
    let mut other = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 2).await.unwrap();
    assert_eq!(other.handle(1).await, ["1@notes-1"]);
    one.nack(&first, Action::Stop).await;
    assert_eq!(trailer(&one.end().await, "exception"), "persistent-subscription-dropped");
    let again = other.event().await;
    assert_eq!((name(&again).as_str(), retries(&again)), ("0@notes-1", 1));
    let mut third = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 1).await.unwrap();
    drop(other);
    let again = third.event().await;
    assert_eq!((name(&again).as_str(), retries(&again)), ("0@notes-1", 2));
}

#[tokio::test]
async fn only_so_many_consumers_as_the_group_has_places_for() {
    let server = start().await;
    let mut groups = server.groups("ops").await;
    let one = Settings { max_subscriber_count: 1, ..settings() };
    create(&mut groups, of_stream("notes-1", "g", one)).await.unwrap();
    let first = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 1).await.unwrap();
    let full = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 1).await.err().unwrap();
    assert_eq!(full.code(), Code::FailedPrecondition);
    assert_eq!(trailer(&full, "exception"), "maximum-subscribers-reached");
    assert!(full.message().starts_with("Maximum subscriptions reached"));
    drop(first);
    until(&mut groups, || Of::Stream("notes-1"), "g", |told| told.connections.is_empty()).await;
    Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 1).await.unwrap();
}

#[tokio::test]
async fn a_restart_goes_on_with_what_was_not_handled_and_what_was_to_be_replayed() {
    let checkpoints = Arc::new(MemoryCheckpoints::default());
    let log = Arc::new(Log::open(MemorySequence::new(LogId([7; 16]))).unwrap());
    let kept = Arc::clone(&checkpoints);
    let server = start_over(log, move |server| server.checkpoints = kept).await;
    server.foreign("notes-1", &["A"; 8]);
    let mut groups = server.groups("ops").await;
    create(&mut groups, of_all("g", Some(prefix(&["notes-"])), None)).await.unwrap();
    let mut consumer = Consumer::join(&mut groups, Of::All, "g", 4).await.unwrap();
    let mut first = Vec::new();
    for _ in 0..4 {
        first.push(consumer.event().await);
    }
    consumer.nack(&first[0], Action::Park).await;
    consumer.ack(&first[1]).await;
    consumer.ack(&first[3]).await;
    until(&mut groups, || Of::All, "g", |told| told.parked_message_count == 1).await;
    let log = server.stop().await;

    let kept = Arc::clone(&checkpoints);
    let server = start_over(log, move |server| server.checkpoints = kept).await;
    let mut groups = server.groups("ops").await;
    let told = info(&mut groups, Of::All, "g").await.unwrap();
    assert_eq!(
        told.last_checkpointed_event_position, "C:2/P:2",
        "the third is the first that nobody handled"
    );
    // Asked for while no consumer is there.
    replay(&mut groups, Of::All, "g", None).await;
    assert_eq!(info(&mut groups, Of::All, "g").await.unwrap().status, "ReplayingParkedMessages");
    let mut consumer = Consumer::join(&mut groups, Of::All, "g", 4).await.unwrap();
    let seen = consumer.handle(7).await;
    let places = [0, 2, 3, 4, 5, 6, 7].map(|revision| format!("{revision}@notes-1"));
    assert_eq!(seen, places, "what was parked first, and the fourth once more");
    until(&mut groups, || Of::All, "g", |told| told.total_in_flight_messages == 0).await;
    let log = server.stop().await;

    let server = start_over(log, move |server| server.checkpoints = checkpoints).await;
    let mut groups = server.groups("ops").await;
    let mut consumer = Consumer::join(&mut groups, Of::All, "g", 4).await.unwrap();
    server.foreign("notes-1", &["B"]);
    assert_eq!(consumer.handle(1).await, ["8@notes-1"], "everything else is done, what was replayed as well");
}

#[tokio::test]
async fn what_a_consumer_does_not_answer_in_time_is_given_again_to_whoever_is_there() {
    let server = start().await;
    server.foreign("notes-1", &["A"]);
    let mut groups = server.groups("ops").await;
    let timeout = Some(MessageTimeout::MessageTimeoutTicks(20_000));
    let impatient = Settings { message_timeout: timeout, max_retry_count: 2, ..settings() };
    create(&mut groups, of_stream("notes-1", "g", impatient)).await.unwrap();
    assert_eq!(info(&mut groups, Of::Stream("notes-1"), "g").await.unwrap().message_timeout_milliseconds, 2);
    let mut consumer = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 1).await.unwrap();
    for retry in 0..3 {
        let event = consumer.event().await;
        assert_eq!((name(&event).as_str(), retries(&event)), ("0@notes-1", retry));
    }
    until(&mut groups, || Of::Stream("notes-1"), "g", |told| told.parked_message_count == 1).await;
}

#[tokio::test]
async fn a_checkpoint_beyond_a_restored_log_is_its_end_and_an_older_group_of_the_name_leaves_none() {
    let checkpoints = Arc::new(MemoryCheckpoints::default());
    let kept = Arc::clone(&checkpoints);
    let server = start_with(move |server| server.checkpoints = kept).await;
    server.foreign("notes-1", &["A"; 3]);
    let mut groups = server.groups("ops").await;
    create(&mut groups, of_stream("notes-1", "g", settings())).await.unwrap();
    let mut client = server.client("").await;
    let created = events(&mut client, stream("$persistentSubscriptionConfig")).await;
    let id = recorded(&created[0]).id.clone().unwrap();
    let prooflog_eventstore::wire::client::uuid::Value::String(id) = id.value.unwrap() else {
        panic!("text")
    };
    let id = prooflog_events::ids::EventId(*uuid::Uuid::parse_str(&id).unwrap().as_bytes());
    let (source, group) = ("notes-1".to_owned(), "g".to_owned());
    let beyond = prooflog_eventstore::Checkpoint { source, group, next: 50, parked: 0 };
    checkpoints.save(id, &beyond).unwrap();
    let mut consumer = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 9).await.unwrap();
    server.foreign("notes-1", &["B"]);
    assert_eq!(consumer.handle(1).await, ["3@notes-1"]);

    delete(&mut groups, "notes-1", "g").await.unwrap();
    assert_eq!(checkpoints.load(id).unwrap(), None);
    create(&mut groups, of_stream("notes-1", "g", settings())).await.unwrap();
    let mut consumer = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 9).await.unwrap();
    assert_eq!(consumer.handle(4).await.first().unwrap(), "0@notes-1");
}

#[tokio::test]
async fn a_group_that_parks_everything_of_the_log_is_not_given_what_it_parked() {
    let server = start().await;
    server.foreign("notes-1", &["A", "B"]);
    let mut groups = server.groups("ops").await;
    create(&mut groups, of_all("g", None, None)).await.unwrap();
    let mut consumer = Consumer::join(&mut groups, Of::All, "g", 1).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let event = consumer.event().await;
        consumer.nack(&event, Action::Park).await;
        seen.push(name(&event));
    }
    assert_eq!(seen, ["0@notes-1", "1@notes-1", "0@$persistentSubscriptionConfig"]);
    until(&mut groups, || Of::All, "g", |told| told.parked_message_count == 3).await;
    server.foreign("notes-1", &["C"]);
    assert_eq!(consumer.handle(1).await, ["2@notes-1"]);
    assert_eq!(server.log.head().position, Position(7), "three links, and no more");
}

#[tokio::test]
async fn a_stream_of_links_is_consumed_resolved_and_what_is_parked_of_it_is_what_they_lead_to() {
    let server = start().await;
    server.foreign("notes-1", &["A"]);
    server.foreign("notes-2", &["B"]);
    let mut groups = server.groups("ops").await;
    for (group, resolve_links) in [("resolved", true), ("plain", false)] {
        let settings = Settings { resolve_links, ..settings() };
        create(&mut groups, of_stream("$ce-notes", group, settings)).await.unwrap();
        let mut consumer = Consumer::join(&mut groups, Of::Stream("$ce-notes"), group, 1).await.unwrap();
        let first = consumer.event().await;
        assert_eq!(first.link.is_some(), resolve_links);
        assert_eq!(name(&first), if resolve_links { "0@notes-1" } else { "0@$ce-notes" });
        consumer.nack(&first, Action::Retry).await;
        let again = consumer.event().await;
        assert_eq!((name(&again), retries(&again)), (name(&first), 1));
        consumer.nack(&again, Action::Park).await;
        let second = consumer.event().await;
        assert_eq!(original(&second).stream_revision, 1);
        replay(&mut groups, Of::Stream("$ce-notes"), group, None).await;
        consumer.ack(&second).await;
        assert_eq!(consumer.handle(1).await, ["0@notes-1"]);
    }
}

#[tokio::test]
async fn settings_that_mean_nothing_are_refused_and_say_why() {
    let server = start().await;
    let mut groups = server.groups("ops").await;
    let wrong = [
        Settings { max_retry_count: -1, ..settings() },
        Settings { min_checkpoint_count: 11, max_checkpoint_count: 10, ..settings() },
        Settings { consumer_strategy: "Whoever".to_owned(), ..settings() },
        Settings { message_timeout: None, ..settings() },
        Settings { history_buffer_size: 100, read_batch_size: 200, ..settings() },
    ];
    for settings in wrong {
        let refused = create(&mut groups, of_stream("notes-1", "g", settings)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Internal);
        assert_eq!(trailer(&refused, "exception"), "persistent-subscription-failed");
        assert!(!trailer(&refused, "reason").is_empty());
    }
    let long = "g".repeat(300);
    for (name, group) in [("notes-1", ""), ("notes-1", long.as_str()), ("", "g")] {
        let refused = create(&mut groups, of_stream(name, group, settings())).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    let broken =
        of_all("g", Some(FilterOptions { checkpoint_interval_multiplier: 0, ..prefix(&["a"]) }), None);
    assert_eq!(create(&mut groups, broken).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_consumer_that_does_not_read_holds_one_page_and_nobody_up() {
    let server = start().await;
    let mut client = server.client("ann").await;
    for n in 0..60 {
        let large = prooflog_eventstore::wire::streams::append_req::ProposedMessage {
            data: vec![7; 200 << 10].into(),
            ..proposed(n + 1, "A")
        };
        append(&mut client, "notes-1", ANY, vec![large]).await.unwrap();
    }
    let mut groups = server.groups("ops").await;
    create(&mut groups, of_stream("notes-1", "g", settings())).await.unwrap();
    let _asleep = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 100).await.unwrap();
    let mut awake =
        Consumer::join(&mut server.groups("ops").await, Of::Stream("notes-1"), "g", 1).await.unwrap();
    // Two in its page, and the two megabytes that its own end of the connection takes.
    let seen = awake.handle(44).await;
    assert!(
        seen.is_sorted_by_key(|name| name.split('@').next().unwrap().parse::<u64>().unwrap()),
        "each once"
    );
    let told = info(&mut groups, Of::Stream("notes-1"), "g").await.unwrap();
    let held = &told.connections[0];
    assert!(held.in_flight_messages <= 16 && held.available_slots >= 84, "{held:?}");
}

/// A link to an event that comes after it was once taken to lead nowhere when it was given again.
#[tokio::test]
async fn a_link_to_a_later_event_is_given_again_with_what_it_leads_to() {
    let server = start().await;
    let mut client = server.client("ann").await;
    let link = prooflog_eventstore::wire::streams::append_req::ProposedMessage {
        metadata: [("type", "$>"), ("content-type", "application/octet-stream")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        data: bytes::Bytes::from_static(b"0@notes-2"),
        ..proposed(1, "$>")
    };
    append(&mut client, "notes-1", ANY, vec![link]).await.unwrap();
    server.foreign("notes-2", &["A"]);
    let mut groups = server.groups("ops").await;
    let mut options = of_all("g", Some(prefix(&["notes-1"])), None);
    options.settings = Some(Settings { resolve_links: true, ..settings() });
    create(&mut groups, options).await.unwrap();
    let mut consumer = Consumer::join(&mut groups, Of::All, "g", 1).await.unwrap();
    let first = consumer.event().await;
    consumer.nack(&first, Action::Retry).await;
    let again = consumer.event().await;
    assert_eq!((name(&again).as_str(), retries(&again)), ("0@notes-2", 1));
}

#[tokio::test]
async fn a_stream_that_ended_has_no_consumers_and_no_two_groups_have_one_name() {
    let server = start().await;
    server.foreign("notes-1", &["A"]);
    let mut groups = server.groups("ops").await;
    create(&mut groups, of_stream("notes-1", "g", settings())).await.unwrap();
    let mut client = server.client("ann").await;
    use prooflog_eventstore::wire::streams::{TombstoneReq, tombstone_req};
    let expected = tombstone_req::options::ExpectedStreamRevision::Any(Empty {});
    let options = tombstone_req::Options {
        stream_identifier: identifier("notes-1"),
        expected_stream_revision: Some(expected),
    };
    client.tombstone(TombstoneReq { options: Some(options) }).await.unwrap();
    let ended = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 1).await.err().unwrap();
    assert_eq!(trailer(&ended, "exception"), "stream-deleted");
    // Both would park in one stream.
    create(&mut groups, of_stream("a::b", "c", settings())).await.unwrap();
    let same = create(&mut groups, of_stream("a", "b::c", settings())).await.unwrap_err();
    assert_eq!(same.code(), Code::AlreadyExists);
}

#[tokio::test]
async fn a_consumer_never_ends_well_and_is_told_why() {
    let server = start().await;
    server.foreign("notes-1", &["A"]);
    let mut groups = server.groups("ops").await;
    create(&mut groups, of_stream("notes-1", "g", settings())).await.unwrap();
    let mut wrong = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 1).await.unwrap();
    wrong.says.send(ReadReq { content: None }).await.unwrap();
    assert_eq!(wrong.end().await.code(), Code::InvalidArgument);
    let mut much = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 1).await.unwrap();
    let ids = (1..=3_000).map(crate::common::text_id).collect();
    let ack = read_req::Content::Ack(Ack { ids, id: bytes::Bytes::new() });
    much.says.send(ReadReq { content: Some(ack) }).await.unwrap();
    assert_eq!(much.end().await.code(), Code::InvalidArgument);
    let mut silent = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 1).await.unwrap();
    silent.says = mpsc::channel(1).0;
    assert_eq!(trailer(&silent.end().await, "exception"), "persistent-subscription-dropped");
}

#[tokio::test]
async fn a_group_whose_parking_waits_goes_on_and_holds_no_more_than_it_may() {
    let room = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let ample = Arc::clone(&room);
    let server = start_with(move |server| {
        let writing = server.writing.as_mut().unwrap();
        writing.room = Arc::new(move || ample.load(std::sync::atomic::Ordering::Acquire));
    });
    let server = server.await;
    server.foreign("notes-1", &["A"; 20]);
    let mut groups = server.groups("ops").await;
    let few = Settings { live_buffer_size: 4, ..settings() };
    create(&mut groups, of_stream("notes-1", "g", few)).await.unwrap();
    room.store(false, std::sync::atomic::Ordering::Release);
    let mut consumer = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 1).await.unwrap();
    for _ in 0..4 {
        let event = consumer.event().await;
        consumer.nack(&event, Action::Park).await;
    }
    // Four are given up and not parked: the fifth does not come before there is room for them.
    until(&mut groups, || Of::Stream("notes-1"), "g", |told| told.total_in_flight_messages == 0).await;
    let told = info(&mut groups, Of::Stream("notes-1"), "g").await.unwrap();
    assert_eq!((told.parked_message_count, told.total_items), (0, 4));
    room.store(true, std::sync::atomic::Ordering::Release);
    assert_eq!(consumer.handle(1).await, ["4@notes-1"]);
    assert_eq!(info(&mut groups, Of::Stream("notes-1"), "g").await.unwrap().parked_message_count, 4);
}

#[tokio::test]
async fn an_update_moves_a_group_that_handled_nothing_and_no_other() {
    let server = start().await;
    server.foreign("notes-1", &["A"; 4]);
    let mut groups = server.groups("ops").await;
    create(&mut groups, of_stream("notes-1", "g", settings())).await.unwrap();
    let starting = |revision: u64| {
        let revision_option = Some(stream_options::RevisionOption::Revision(revision));
        let stream = StreamOptions { stream_identifier: identifier("notes-1"), revision_option };
        let stream_option = Some(wire::group_options::StreamOption::Stream(stream));
        let options = GroupOptions { stream_option, ..of_stream("notes-1", "g", settings()) };
        wire::UpdateReq { options: Some(options) }
    };
    groups.update(starting(2)).await.unwrap();
    let mut consumer = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 1).await.unwrap();
    assert_eq!(consumer.handle(1).await, ["2@notes-1"]);
    // The next one comes when the one before is handled.
    consumer.event().await;
    groups.update(starting(0)).await.unwrap();
    assert_eq!(info(&mut groups, Of::Stream("notes-1"), "g").await.unwrap().start_from, "0");
    let mut consumer = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 1).await.unwrap();
    assert_eq!(consumer.handle(1).await, ["3@notes-1"]);
}

/// What a consumer had given up when the server ended was once delivered again, because its parking was given up.
#[tokio::test]
async fn what_is_given_up_at_the_end_is_parked_before_it() {
    let checkpoints = Arc::new(MemoryCheckpoints::default());
    let kept = Arc::clone(&checkpoints);
    let (server, door) = crate::common::start_slow(move |server| server.checkpoints = kept).await;
    door.let_go();
    server.foreign("notes-1", &["A"; 2]);
    let mut groups = server.groups("ops").await;
    create(&mut groups, of_stream("notes-1", "g", settings())).await.unwrap();
    let mut consumer = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 1).await.unwrap();
    let first = consumer.event().await;
    door.keep();
    consumer.nack(&first, Action::Park).await;
    assert_eq!(name(&consumer.event().await), "1@notes-1");
    while door.kept() == 0 {
        tokio::task::yield_now().await;
    }
    let stopping = tokio::spawn(server.stop());
    consumer.end().await;
    door.let_go();
    let log = stopping.await.unwrap();
    let server = start_over(log, move |server| server.checkpoints = checkpoints).await;
    let mut groups = server.groups("ops").await;
    assert_eq!(info(&mut groups, Of::Stream("notes-1"), "g").await.unwrap().parked_message_count, 1);
    let mut consumer = Consumer::join(&mut groups, Of::Stream("notes-1"), "g", 1).await.unwrap();
    assert_eq!(name(&consumer.event().await), "1@notes-1");
}
