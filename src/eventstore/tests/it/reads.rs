//! Reading what is there.

use prooflog_events::event::{Event, Paused, PausedBy};
use prooflog_events::ids::{EventId, Hash32, LogId, Position, Revision};
use prooflog_events::port::{
    Direction, Head, SequenceError, SequenceRead, Snapshot, SnapshotKey, StreamHead, StreamScan, Visit,
};
use prooflog_events::values::Control;
use prooflog_eventstore::wire::client::uuid::Value;
use prooflog_eventstore::wire::client::{Empty, StreamIdentifier};
use prooflog_eventstore::wire::streams::read_req::options::{
    self as o, ControlOption, FilterOption, ReadDirection, StreamOption, UuidOption,
};
use prooflog_eventstore::wire::streams::read_resp::Content as Answer;
use prooflog_eventstore::wire::streams::read_resp::read_event::Position as At;
use prooflog_eventstore::{Beside, Server};
use prooflog_log::{Append, By, CausedBy, Log, MemorySequence, NewRecord};
use std::ops::ControlFlow;
use std::sync::Arc;
use tonic::Code;

use crate::common::*;

#[tokio::test]
async fn an_event_of_the_engine_is_json_with_what_dashboards_look_for() {
    let server = start().await;
    server.engine("chain-10");
    let events = events(&mut server.client("").await, all()).await;
    let event = recorded(&events[0]);
    assert_eq!(event.metadata["type"], "Paused");
    assert_eq!(event.metadata["content-type"], "application/json");
    assert_eq!(event.metadata["created"], "17000000000000000");
    let data: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
    assert_eq!(data["note"], "because");
    let about: serde_json::Value = serde_json::from_slice(&event.custom_metadata).unwrap();
    assert_eq!((about["actor"].as_str(), about["schema_version"].as_u64()), (Some("scheduler"), Some(1)));
    assert_eq!(about["hash"], server.log.head().hash.to_string());
    server.stop().await;
}

#[tokio::test]
async fn positions_begin_at_one_and_are_in_every_event() {
    let server = start().await;
    for _ in 0..3 {
        server.engine("chain-10");
    }
    let mut client = server.client("").await;
    for options in [all(), stream("chain-10")] {
        let events = events(&mut client, options).await;
        assert_eq!(events.iter().map(position).collect::<Vec<_>>(), [1, 2, 3]);
        for event in &events {
            assert_eq!(event.position, Some(At::CommitPosition(position(event))));
            assert_eq!(recorded(event).prepare_position, position(event));
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn everything_is_read_from_a_position_on_and_before_it_backwards() {
    let server = start().await;
    for _ in 0..5 {
        server.engine("chain-10");
    }
    let mut client = server.client("").await;
    for (options, expected) in [
        (all().at(3), vec![3, 4, 5]),
        (all().at(3).count(2), vec![3, 4]),
        (all().at(0), vec![1, 2, 3, 4, 5]),
        (all().at(9), vec![]),
        (all().at_end(), vec![]),
        (all().at(3).backwards(), vec![2, 1]),
        (all().at(99).backwards().count(2), vec![5, 4]),
        (all().at_end().backwards(), vec![5, 4, 3, 2, 1]),
        (all().backwards(), vec![]),
        (all().count(0), vec![]),
    ] {
        let found = events(&mut client, options.clone()).await;
        assert_eq!(found.iter().map(position).collect::<Vec<_>>(), expected, "{options:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_stream_is_read_with_its_first_revision_in_both_directions() {
    let server = start().await;
    for _ in 0..5 {
        server.engine("chain-10");
    }
    let mut client = server.client("").await;
    for (options, expected) in [
        (stream("chain-10").at(3), vec![3, 4]),
        (stream("chain-10").at(3).backwards().count(2), vec![3, 2]),
        (stream("chain-10").at(99).backwards().count(1), vec![4]),
        (stream("chain-10").at(99), vec![]),
        (stream("chain-10").at_end(), vec![]),
        (stream("chain-10").at_end().backwards().count(2), vec![4, 3]),
        (stream("chain-10").backwards(), vec![0]),
    ] {
        let found = events(&mut client, options.clone()).await;
        let revisions: Vec<u64> = found.iter().map(|event| recorded(event).stream_revision).collect();
        assert_eq!(revisions, expected, "{options:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_missing_stream_is_a_message_and_no_error() {
    let server = start().await;
    let answers = answers(&mut server.client("").await, stream("no-such")).await.unwrap();
    let [Answer::StreamNotFound(missing)] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!(missing.stream_identifier, identifier("no-such"));
    server.stop().await;
}

#[tokio::test]
async fn the_ends_of_a_stream_are_told_to_those_who_understand() {
    let server = start().await;
    for _ in 0..3 {
        server.engine("chain-10");
    }
    let mut client = server.client("").await;
    let mut options = stream("chain-10");
    options.control_option = Some(ControlOption { compatibility: 1 });
    let told = answers(&mut client, options.clone()).await.unwrap();
    assert_eq!(told.last(), Some(&Answer::LastStreamPosition(2)));
    assert_eq!(told.len(), 4);
    let beyond = answers(&mut client, options.at(7)).await.unwrap();
    assert_eq!(beyond, [Answer::FirstStreamPosition(0), Answer::LastStreamPosition(2)]);
    server.stop().await;
}

#[tokio::test]
async fn ids_come_in_the_form_that_was_asked_for() {
    let server = start().await;
    server.engine("chain-10");
    let mut client = server.client("").await;
    let text = events(&mut client, all()).await;
    let Some(Value::String(text)) = recorded(&text[0]).id.clone().unwrap().value else { panic!("no text") };
    let mut options = all();
    options.uuid_option = Some(UuidOption { content: None });
    let numbers = events(&mut client, options).await;
    let Some(Value::Structured(id)) = recorded(&numbers[0]).id.clone().unwrap().value else {
        panic!("no numbers")
    };
    let numbers = uuid::Uuid::from_u64_pair(
        id.most_significant_bits.cast_unsigned(),
        id.least_significant_bits.cast_unsigned(),
    );
    assert_eq!(text, numbers.to_string());
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_request_is_an_invalid_argument() {
    let server = start().await;
    let mut client = server.client("").await;
    let mut nothing = all();
    nothing.stream_option = None;
    let mut no_count = all();
    no_count.count_option = None;
    let mut no_filter = all();
    no_filter.filter_option = None;
    let mut no_ids = all();
    no_ids.uuid_option = None;
    let mut upside_down = all().at(3);
    if let Some(StreamOption::All(all)) = upside_down.stream_option.as_mut() {
        let position = o::Position { commit_position: 3, prepare_position: 4 };
        all.all_option = Some(o::all_options::AllOption::Position(position));
    }
    let mut not_text = stream("x");
    if let Some(StreamOption::Stream(stream)) = not_text.stream_option.as_mut() {
        stream.stream_identifier = Some(StreamIdentifier { stream_name: vec![0xff, 0xfe].into() });
    }
    let mut no_direction = all();
    no_direction.read_direction = 7;
    for options in [
        nothing,
        no_count,
        no_filter,
        no_ids,
        upside_down,
        not_text,
        no_direction,
        all().at(u64::MAX - 1),
        stream("x").at(u64::MAX - 1),
        stream(""),
        stream("$$"),
        stream("x").filtered(prefix(&["a"])),
        stream("x").backwards().followed(),
        all().filtered(o::FilterOptions { checkpoint_interval_multiplier: 0, ..prefix(&["a"]) }),
        all().filtered(o::FilterOptions { filter: None, ..prefix(&["a"]) }),
        all().filtered(regex("(")),
    ] {
        let status = answers(&mut client, options.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{options:?}");
    }
    assert_eq!(answers(&mut client, all().at(u64::MAX)).await.unwrap(), []);
    server.stop().await;
}

fn regex(regex: &str) -> o::FilterOptions {
    let expression = o::filter_options::Expression { regex: regex.to_owned(), prefix: Vec::new() };
    let filter = Some(o::filter_options::Filter::EventType(expression));
    o::FilterOptions { filter, ..prefix(&[]) }
}

#[tokio::test]
async fn filters_by_prefix_and_expression_also_those_with_look_ahead() {
    let server = start().await;
    server.foreign("notes-1", &["A", "B"]);
    server.foreign("other-1", &["AB"]);
    server.foreign("$sys", &["$metadata"]);
    let mut client = server.client("").await;
    for (filter, expected) in [
        (prefix(&["notes-", "$"]), vec![1, 2, 4]),
        (prefix(&["$idx-ce-other"]), vec![3]),
        (prefix(&["$idx-all"]), vec![1, 2, 3]),
        (regex("^A"), vec![1, 3]),
        (regex("B$"), vec![2, 3]),
        (regex(r"^(?!(\$.+$|PersistentConfig\d+$|Result$))"), vec![1, 2, 3]),
        (regex(r"^[^\$].*"), vec![1, 2, 3]),
        (regex("^(?!A)"), vec![2, 4]),
    ] {
        let found = events(&mut client, all().filtered(filter.clone())).await;
        assert_eq!(found.iter().map(position).collect::<Vec<_>>(), expected, "{filter:?}");
        let found = events(&mut client, all().at_end().backwards().filtered(filter)).await;
        assert_eq!(
            found.iter().map(position).collect::<Vec<_>>(),
            expected.into_iter().rev().collect::<Vec<_>>()
        );
    }
    let unknown = answers(&mut client, all().filtered(prefix(&["$idx-what"]))).await.unwrap_err();
    assert_eq!(
        (unknown.code(), trailer(&unknown, "exception")),
        (Code::NotFound, "index-not-found".to_owned())
    );
    server.stop().await;
}

#[tokio::test]
async fn link_streams_lead_to_categories_types_and_first_events() {
    let server = start().await;
    server.engine("span-1-1");
    server.engine("chain-1");
    server.engine("span-1-2");
    server.engine("span-1-1");
    let mut client = server.client("").await;
    for (name, expected) in
        [("$ce-span", vec![1, 3, 4]), ("$et-Paused", vec![1, 2, 3, 4]), ("$streams", vec![1, 2, 3])]
    {
        let links = events(&mut client, stream(name).resolved()).await;
        assert_eq!(links.iter().map(position).collect::<Vec<_>>(), expected, "{name}");
        let link = links[1].link.as_ref().unwrap();
        assert_eq!((link.stream_revision, link.metadata["type"].as_str()), (1, "$>"));
        let target = recorded(&links[1]);
        let name_of = std::str::from_utf8(&target.stream_identifier.as_ref().unwrap().stream_name).unwrap();
        assert_eq!(link.data, format!("{}@{name_of}", target.stream_revision).as_bytes());
        // Unresolved, it is an event by itself, with the same id each time.
        let plain = events(&mut client, stream(name).at(1).count(1)).await;
        assert_eq!(recorded(&plain[0]), link);
        let backwards = events(&mut client, stream(name).at_end().backwards().resolved()).await;
        assert_eq!(
            backwards.iter().map(position).collect::<Vec<_>>(),
            expected.into_iter().rev().collect::<Vec<_>>()
        );
    }
    assert!(matches!(
        answers(&mut client, stream("$ce-none")).await.unwrap()[..],
        [Answer::StreamNotFound(_)]
    ));
    server.stop().await;
}

#[tokio::test]
async fn a_link_that_somebody_wrote_resolves_or_says_that_it_leads_nowhere() {
    let server = start().await;
    server.engine("chain-1");
    let mut writer = server.client("ann").await;
    for (id, target) in [(1, "0@chain-1"), (2, "7@chain-1"), (3, "what")] {
        let mut link = proposed(id, "$>");
        link.data = target.as_bytes().to_vec().into();
        append(&mut writer, "favourites", ANY, vec![link]).await.unwrap();
    }
    let links = events(&mut writer, stream("favourites").resolved()).await;
    assert_eq!(position(&links[0]), 1);
    assert_eq!(links[0].position, Some(At::CommitPosition(2)));
    assert!(links[1].event.is_none() && links[1].link.is_some());
    assert!(links[2].event.is_none() && links[2].link.is_some());
    let plain = events(&mut writer, stream("favourites")).await;
    assert_eq!(recorded(&plain[1]).data, "7@chain-1");
    server.stop().await;
}

#[tokio::test]
async fn a_long_read_comes_in_pages_and_whole() {
    let server = start().await;
    let kinds = ["A"; 400];
    for _ in 0..5 {
        server.foreign("notes-1", &kinds);
    }
    let mut client = server.client("").await;
    for options in [all(), stream("notes-1"), stream("$ce-notes").resolved()] {
        let found = events(&mut client, options.clone()).await;
        assert_eq!(found.iter().map(position).collect::<Vec<_>>(), (1..=2_000).collect::<Vec<_>>());
        let found = events(&mut client, options.at_end().backwards().count(1_500)).await;
        assert_eq!(found.iter().map(position).collect::<Vec<_>>(), (501..=2_000).rev().collect::<Vec<_>>());
    }
    server.stop().await;
}

/// What another process sees of a log: nothing of its writer.
struct Seen(Arc<Log<MemorySequence>>);

impl SequenceRead for Seen {
    fn log_id(&self) -> LogId {
        self.0.sequence().log_id()
    }
    fn head(&self) -> Result<Head, SequenceError> {
        self.0.sequence().head()
    }
    fn scan(
        &self,
        low: Position,
        high: Position,
        way: Direction,
        visit: Visit<'_>,
    ) -> Result<(), SequenceError> {
        self.0.sequence().scan(low, high, way, visit)
    }
    fn scan_stream(&self, scan: StreamScan<'_>, visit: Visit<'_>) -> Result<(), SequenceError> {
        self.0.sequence().scan_stream(scan, visit)
    }
    fn stream_head(&self, stream: &str) -> Result<Option<StreamHead>, SequenceError> {
        self.0.sequence().stream_head(stream)
    }
    fn scan_index(
        &self,
        visit: &mut dyn FnMut(&str, Revision, Position) -> ControlFlow<()>,
    ) -> Result<(), SequenceError> {
        self.0.sequence().scan_index(visit)
    }
    fn blob_len(&self, hash: Hash32) -> Result<Option<u64>, SequenceError> {
        self.0.sequence().blob_len(hash)
    }
    fn read_blob(&self, hash: Hash32, visit: &mut dyn FnMut(&[u8])) -> Result<bool, SequenceError> {
        self.0.sequence().read_blob(hash, visit)
    }
    fn snapshot(&self, key: &SnapshotKey, bound: Position) -> Result<Option<Snapshot>, SequenceError> {
        self.0.sequence().snapshot(key, bound)
    }
}

#[tokio::test]
async fn another_processs_log_is_read_and_followed() {
    let log = Arc::new(Log::open(MemorySequence::new(LogId([7; 16]))).unwrap());
    let seen = Arc::new(Seen(Arc::clone(&log)));
    let look = std::time::Duration::from_millis(5);
    let server = start_over(log, |server: &mut Server| {
        server.source = Arc::new(Beside::new(seen, look));
        server.writing = None;
    })
    .await;
    server.engine("chain-1");
    let mut client = server.client("").await;
    assert_eq!(events(&mut client, all()).await.len(), 1);
    let mut followed = client.read(request(all().followed())).await.unwrap().into_inner();
    assert_eq!(position(&next_event(&mut followed).await), 1);
    for expected in 2..20 {
        server.engine("chain-1");
        assert_eq!(position(&next_event(&mut followed).await), expected);
    }
    server.stop().await;
}

#[tokio::test]
async fn an_expression_that_takes_too_long_ends_the_read() {
    let server = start().await;
    server.foreign(&format!("notes-{}", "a".repeat(80)), &["A"]);
    let mut filter = regex(r"-(a|a)*(?=x)\1$");
    if let Some(o::filter_options::Filter::EventType(expression)) = filter.filter.clone() {
        filter.filter = Some(o::filter_options::Filter::StreamIdentifier(expression));
    }
    let status = answers(&mut server.client("").await, all().filtered(filter)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(events(&mut server.client("").await, all()).await.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn every_direction_and_filter_agrees_with_the_log_page_by_page() {
    let server = start().await;
    for n in 0..600 {
        server.foreign(&format!("c{}-{}", n % 3, n % 5), &[if n % 7 == 0 { "Rare" } else { "Often" }]);
    }
    let mut client = server.client("").await;
    for (direction, rev) in [(ReadDirection::Forwards, false), (ReadDirection::Backwards, true)] {
        let mut expected: Vec<u64> = (0..600).filter(|n| n % 7 == 0).map(|n| n + 1).collect();
        let mut options = if rev { all().at_end() } else { all() };
        options.read_direction = direction.into();
        options.filter_option = Some(FilterOption::Filter(regex("^Rare$")));
        if rev {
            expected.reverse();
        }
        let found = events(&mut client, options).await;
        assert_eq!(found.iter().map(position).collect::<Vec<_>>(), expected);
    }
    let _: Empty = Empty {};
    server.stop().await;
}

#[tokio::test]
async fn an_event_of_the_engine_names_what_it_belongs_to_and_what_led_to_it() {
    let server = start().await;
    server.engine("chain-10");
    let about = |event: &prooflog_eventstore::wire::streams::read_resp::ReadEvent| {
        serde_json::from_slice::<serde_json::Value>(&recorded(event).custom_metadata).unwrap()
    };
    let first = &events(&mut server.client("").await, all()).await[0];
    assert_eq!((about(first).get("$correlationId"), about(first).get("$causationId")), (None, None));
    let Some(Value::String(id)) = recorded(first).id.clone().unwrap().value else { panic!("no text") };
    let event_id = EventId(*uuid::Uuid::parse_str(&id).unwrap().as_bytes());
    let event =
        Event::from(Paused { control: Control::Proving, by: PausedBy::Operator, note: String::new() });
    let kind = event.event_type();
    let record = NewRecord::native("chain-10", kind.name(), kind.version(), event.encode());
    let causation = Some(CausedBy { event_id, stream: "chain-10".to_owned(), revision: Revision(0) });
    let record = NewRecord { correlation: "span-10-7".to_owned(), causation, ..record };
    server.log.append(Append::new(By::Scheduler, clock(), vec![record])).unwrap();
    let second = about(&events(&mut server.client("").await, all()).await[1]);
    assert_eq!(second["$correlationId"], "span-10-7");
    assert_eq!(
        (second["$causationId"].as_str(), second["causation"].as_str()),
        (Some(&*id), Some("0@chain-10"))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_compressed_request_is_told_that_it_cannot_be_read() {
    let server = start().await;
    let mut channel = server.channel().await;
    let path = "/event_store.client.streams.Streams/Read";
    let request = http::Request::post(format!("http://{}{path}", server.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-encoding", "gzip")
        .body(tonic::body::Body::empty())
        .unwrap();
    let channel = tower::ServiceExt::ready(&mut channel).await.unwrap();
    let answer = tower::Service::call(channel, request).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "12");
    server.stop().await;
}
