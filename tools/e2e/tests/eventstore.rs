//! Clients of the EventStore protocol beside the running engine, over TLS, with users in their file.
//!
//! What a subscription shows is held against the log's own positions; what each role may do is asked over the wire.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prooflog_access::{Credentials, Role};
use prooflog_e2e::{World, quick};
use prooflog_eventstore::wire::client::{Empty, StreamIdentifier, Uuid, uuid::Value as Id};
use prooflog_eventstore::wire::persistent_subscriptions as groups;
use prooflog_eventstore::wire::persistent_subscriptions::persistent_subscriptions_client::PersistentSubscriptionsClient;
use prooflog_eventstore::wire::persistent_subscriptions::read_req::nack::Action;
use prooflog_eventstore::wire::persistent_subscriptions::read_req::{Ack, Content as Says, Nack};
use prooflog_eventstore::wire::persistent_subscriptions::read_resp::Content as Given;
use prooflog_eventstore::wire::persistent_subscriptions::settings::{CheckpointAfter, MessageTimeout};
use prooflog_eventstore::wire::streams::append_req::options::ExpectedStreamRevision;
use prooflog_eventstore::wire::streams::read_req::options::{
    self as o, CountOption, FilterOption, StreamOption,
};
use prooflog_eventstore::wire::streams::read_resp::Content as Answer;
use prooflog_eventstore::wire::streams::read_resp::read_event::RecordedEvent;
use prooflog_eventstore::wire::streams::streams_client::StreamsClient;
use prooflog_eventstore::wire::streams::{AppendReq, ReadReq, ReadResp, append_req, read_req};
use tokio::sync::mpsc;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status, Streaming};

const PASSWORD: &str = "correct horse";
/// A test's own patience.
const PATIENCE: Duration = Duration::from_secs(150);

type Clients = StreamsClient<Channel>;
type Groups = PersistentSubscriptionsClient<Channel>;

/// With the credentials of somebody, or of nobody.
fn by<T>(who: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if !who.is_empty() {
        let header = format!("Basic {}", STANDARD.encode(format!("{who}:{PASSWORD}")));
        request.metadata_mut().insert("authorization", MetadataValue::try_from(header).unwrap());
    }
    request
}

/// A connection that trusts what the program made, which is started for the `nth` time.
async fn connection(world: &World, nth: usize) -> Channel {
    let address = loop {
        let printed = world.setup.printed();
        let line = printed.lines().filter(|line| line.contains("EventStore clients")).nth(nth);
        let told = line.and_then(|line| line.split("address=").nth(1)?.split_whitespace().next());
        match told {
            Some(address) => break address.to_owned(),
            None => tokio::task::yield_now().await,
        }
    };
    let authority = std::fs::read(world.setup.data.join("eventstore-ca.pem")).unwrap();
    let tls =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap().tls_config(tls).unwrap();
    endpoint.connect().await.unwrap()
}

/// Those who read, who annotate and who operate.
fn users(world: &World) -> Credentials {
    std::fs::create_dir_all(&world.setup.data).unwrap();
    let mut users = Credentials::load(&world.setup.data.join("users.toml")).unwrap();
    for (name, role) in [("eve", Role::Read), ("ann", Role::Annotate), ("ops", Role::Operate)] {
        users.set(name, role, PASSWORD).unwrap();
    }
    users
}

/// Everything from the first event on, and what comes.
fn following() -> ReadReq {
    let all = o::AllOptions { all_option: Some(o::all_options::AllOption::Start(Empty {})) };
    let options = read_req::Options {
        read_direction: o::ReadDirection::Forwards.into(),
        resolve_links: false,
        uuid_option: Some(o::UuidOption { content: Some(o::uuid_option::Content::String(Empty {})) }),
        control_option: None,
        stream_option: Some(StreamOption::All(all)),
        count_option: Some(CountOption::Subscription(o::SubscriptionOptions {})),
        filter_option: Some(FilterOption::NoFilter(Empty {})),
    };
    ReadReq { options: Some(options) }
}

/// Appends one event.
async fn append(client: &mut Clients, who: &str, stream: &str, id: u128) -> Result<(), Status> {
    let stream_name = stream.as_bytes().to_vec().into();
    let options = append_req::Options {
        stream_identifier: Some(StreamIdentifier { stream_name }),
        expected_stream_revision: Some(ExpectedStreamRevision::Any(Empty {})),
    };
    let id = format!("00000000-0000-0000-0000-{id:012}");
    let message = append_req::ProposedMessage {
        id: Some(Uuid { value: Some(Id::String(id)) }),
        metadata: [("type", "Noted"), ("content-type", "application/json")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        custom_metadata: b"{}".to_vec().into(),
        data: b"{}".to_vec().into(),
    };
    let messages = [append_req::Content::Options(options), append_req::Content::ProposedMessage(message)]
        .map(|content| AppendReq { content: Some(content) });
    client.append(by(who, futures_util::stream::iter(messages))).await.map(drop)
}

/// The next answer of a subscription.
async fn next(answers: &mut Streaming<ReadResp>) -> Answer {
    let answer = tokio::time::timeout(PATIENCE, answers.message()).await.expect("an answer in time");
    answer.unwrap().unwrap().content.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_follow_the_proofs_as_they_go_on_and_do_what_their_roles_let_them() {
    let mut world = World::new(quick(), "").await;
    let mut users = users(&world);
    world.run(&[
        "--eventstore.enabled",
        "--eventstore.port=0",
        "--eventstore.write",
        "--eventstore.write-to=notes-",
        "--eventstore.tls",
        "--eventstore.guests=false",
    ]);
    world.wait("ProofFulfilled", 1);
    let mut client = StreamsClient::new(connection(&world, 0).await);

    let nobody = client.read(by("", following())).await.unwrap_err();
    assert_eq!((nobody.code(), nobody.metadata().get("exception")), (Code::Unauthenticated, None));
    let mut followed = client.read(by("eve", following())).await.unwrap().into_inner();
    assert!(matches!(next(&mut followed).await, Answer::Confirmation(_)));

    for (id, (who, stream, code)) in (1..).zip([
        ("", "notes-1", Code::Unauthenticated),
        ("zoe", "notes-1", Code::Unauthenticated),
        ("eve", "notes-1", Code::PermissionDenied),
        ("ann", "notes-1", Code::Ok),
        ("ann", "other-1", Code::PermissionDenied),
        ("ann", "chain-1", Code::PermissionDenied),
        ("ann", "$users", Code::PermissionDenied),
        ("ops", "$users", Code::Ok),
        ("ops", "span-1-1", Code::PermissionDenied),
    ]) {
        let answer = append(&mut client, who, stream, id).await;
        assert_eq!(answer.err().map_or(Code::Ok, |status| status.code()), code, "{who} to {stream}");
    }

    // Across the boundary: each event once, in order, and proofs that are got after it.
    let (mut at, mut caught_up, mut proofs, mut noted) = (0, false, 0, 0);
    while proofs < 2 || noted < 2 {
        match next(&mut followed).await {
            Answer::Event(event) => {
                let event = event.event.unwrap();
                assert_eq!(event.commit_position, at + 1);
                at += 1;
                let kind = event.metadata.get("type").map(String::as_str);
                proofs += usize::from(caught_up && kind == Some("ProofFulfilled"));
                noted += usize::from(kind == Some("Noted"));
            }
            Answer::CaughtUp(_) => caught_up = true,
            other => panic!("{other:?}"),
        }
    }

    // Who is removed while the program runs is nobody.
    users.remove("ann").unwrap();
    let removed = tokio::time::timeout(PATIENCE, async {
        let mut id = 100;
        loop {
            id += 1;
            match append(&mut client, "ann", "notes-1", id).await {
                Ok(()) => tokio::task::yield_now().await,
                Err(status) => return status.code(),
            }
        }
    });
    assert_eq!(removed.await.unwrap(), Code::Unauthenticated);
    world.end().await;
}

const GROUP: &str = "proofs";

/// A group that is given every proof, and keeps how far it came after each.
async fn create(client: &mut Groups) {
    let filter = o::FilterOptions {
        checkpoint_interval_multiplier: 1,
        filter: Some(o::filter_options::Filter::EventType(o::filter_options::Expression {
            regex: String::new(),
            prefix: vec!["ProofFulfilled".to_owned()],
        })),
        window: Some(o::filter_options::Window::Count(Empty {})),
    };
    let all = groups::AllOptions {
        all_option: Some(groups::all_options::AllOption::Start(Empty {})),
        filter_option: Some(groups::all_options::FilterOption::Filter(filter)),
    };
    let settings = groups::Settings {
        message_timeout: Some(MessageTimeout::MessageTimeoutMs(600_000)),
        checkpoint_after: Some(CheckpointAfter::CheckpointAfterMs(0)),
        max_retry_count: 10,
        min_checkpoint_count: 1,
        max_checkpoint_count: 1,
        history_buffer_size: 500,
        read_batch_size: 20,
        live_buffer_size: 500,
        ..groups::Settings::default()
    };
    let options = groups::GroupOptions {
        group_name: GROUP.to_owned(),
        settings: Some(settings),
        stream_option: Some(groups::group_options::StreamOption::All(all)),
        ..groups::GroupOptions::default()
    };
    client.create(by("ops", groups::CreateReq { options: Some(options) })).await.unwrap();
}

async fn info(client: &mut Groups) -> groups::SubscriptionInfo {
    let options = groups::get_info_req::Options {
        stream_option: Some(groups::get_info_req::options::StreamOption::All(Empty {})),
        group_name: GROUP.to_owned(),
    };
    let told = client.get_info(by("eve", groups::GetInfoReq { options: Some(options) })).await.unwrap();
    told.into_inner().subscription_info.unwrap()
}

/// A consumer: what it says, and what it is given.
async fn join(client: &mut Groups) -> (mpsc::Sender<groups::ReadReq>, Streaming<groups::ReadResp>) {
    let (says, mut said) = mpsc::channel(8);
    let options = groups::read_req::Options {
        stream_option: Some(groups::read_req::options::StreamOption::All(Empty {})),
        group_name: GROUP.to_owned(),
        buffer_size: 1,
        uuid_option: Some(o::UuidOption { content: Some(o::uuid_option::Content::String(Empty {})) }),
    };
    says.send(groups::ReadReq { content: Some(Says::Options(options)) }).await.unwrap();
    let said = futures_util::stream::poll_fn(move |cx| said.poll_recv(cx));
    (says, client.read(by("ann", said)).await.unwrap().into_inner())
}

async fn given(answers: &mut Streaming<groups::ReadResp>) -> RecordedEvent {
    loop {
        let answer = tokio::time::timeout(PATIENCE, answers.message()).await.expect("an event in time");
        if let Given::Event(event) = answer.unwrap().unwrap().content.unwrap() {
            return event.event.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_consumers_outlives_a_kill_and_what_it_parks_is_told_with_the_request() {
    let mut world = World::new(quick(), "").await;
    users(&world);
    let how = ["--eventstore.enabled", "--eventstore.port=0", "--eventstore.write", "--eventstore.tls"];
    world.run(&how);
    world.wait("ProofFulfilled", 3);
    let mut client = Groups::new(connection(&world, 0).await);
    create(&mut client).await;
    let (says, mut answers) = join(&mut client).await;
    let (first, ids) = (given(&mut answers).await, |event: &RecordedEvent| vec![event.id.clone().unwrap()]);
    let ack = Says::Ack(Ack { ids: ids(&first), id: Vec::new().into() });
    says.send(groups::ReadReq { content: Some(ack) }).await.unwrap();
    let second = given(&mut answers).await;
    let (action, reason) = (Action::Park.into(), "nobody knows this program".to_owned());
    let park = Says::Nack(Nack { ids: ids(&second), action, reason, id: Vec::new().into() });
    says.send(groups::ReadReq { content: Some(park) }).await.unwrap();
    // It is given and never answered.
    let third = given(&mut answers).await;
    // The place that is kept lies somewhere from the second proof on, and before the third.
    let kept = async {
        loop {
            let told = info(&mut client).await.last_checkpointed_event_position;
            let position = told.rsplit(':').next().and_then(|position| position.parse::<u64>().ok());
            if position.is_some_and(|position| position >= second.commit_position) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, kept).await.expect("what was answered is kept");
    world.kill();

    world.run(&how);
    let mut client = Groups::new(connection(&world, 1).await);
    assert_eq!(info(&mut client).await.parked_message_count, 1);
    let (_says, mut answers) = join(&mut client).await;
    assert_eq!(given(&mut answers).await.commit_position, third.commit_position);

    let about: serde_json::Value = serde_json::from_slice(&second.custom_metadata).unwrap();
    let request = about.get("$correlationId").and_then(serde_json::Value::as_str).unwrap();
    let told = world.setup.run(&["timeline", request]).unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(
        told.contains(": nobody knows this program"),
        "the timeline of {request} says nothing of it:\n{told}"
    );
    world.end().await;
}
