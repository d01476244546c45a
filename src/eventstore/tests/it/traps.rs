//! What is known to break released clients, and the test that keeps each away.

// | What breaks them | Test |
// |---|---|
// | a subscription that ends well: one client spins for ever | `subscriptions::a_subscription_never_ends_well` |
// | "stream not found" on a subscription: a panic | `subscriptions::an_empty_log_and_a_missing_stream_are_followed_without_a_word_about_it` |
// | features without a version, or refused: the client is dead for ever | `discovery::features_are_answered_to_anyone_in_lower_case_with_a_version`, `limits::too_many_calls_and_subscriptions_are_told_so_and_discovery_still_answers` |
// | a default filter with look-ahead | `reads::filters_by_prefix_and_expression_also_those_with_look_ahead` |
// | an event at position 0: never seen | `reads::positions_begin_at_one_and_are_in_every_event`, `subscriptions::a_start_at_position_zero_misses_nothing_and_the_end_shows_only_what_comes` |
// | ids in another form than asked for: no events, silently | `reads::ids_come_in_the_form_that_was_asked_for` |
// | an event without position: an assertion | `reads::positions_begin_at_one_and_are_in_every_event`, `every_answer_has_a_position_links_and_what_they_lead_nowhere_to_as_well` |
// | old metadata before new: the oldest are taken | `appends::metadata_are_the_last_event_only_and_say_what_is_shown` |
// | a refused item without details, stream or correlation: a crash | `batches::a_refusal_is_an_item_with_all_that_clients_look_for` |
// | an error that comes after the headers: seen too late | `appends::a_tombstoned_stream_is_gone_for_ever_and_says_so_at_the_call`, `what_is_refused_at_once_is_the_answer_to_the_call_itself` |
// | credentials that do not come without TLS | `appends::nobody_writes_without_credentials_or_the_role_or_to_the_engine`, `batches::who_may_not_write_is_told_so_for_each_append_and_takes_no_place_of_a_writer` |
// | deadlines in thousands of years | `batches::deadlines_of_thousands_of_years_are_cut` |
// | counts for "everything", and zero that is not nothing | `every_number_that_means_everything_means_everything`, `sessions::several_streams_are_appended_together_or_not_at_all` |
// | details in another order or with other words than the status | `sessions::details`, in every test there |
// | features in mixed case | `discovery::features_are_answered_to_anyone_in_lower_case_with_a_version` |
// | other texts and trailers: untyped errors | `the_words_that_clients_read_are_these` |
// | gossip without a live leader at an address that can be reached | `discovery::gossip_names_one_live_leader_where_the_client_came_from` |
// | the caller's mistake told as the server's: the client reconnects | `what_a_caller_does_wrong_is_never_the_servers_fault` |
// | one connection for everything: a stalled call holds up the others | `subscriptions::a_reader_who_stops_reading_holds_up_nobody_on_the_same_connection`, `two_thousand_subscriptions_share_one_connection` |
// | names beyond ASCII in trailers, names that are no text | `appends::names_that_are_not_visible_ascii_are_escaped_in_trailers_and_others_stand_as_they_are`, `reads::what_is_no_request_is_an_invalid_argument` |
// | appends that are repeated | `appends::an_append_says_where_its_last_event_stands_and_repeated_says_the_same` |
// | batches that are never closed | `batches::a_call_that_never_ends_by_itself_is_ended_by_a_stop` |
// | acknowledgements that are delayed: 44 ms for each append | `a_request_in_two_pieces_is_as_quick_as_one_in_one` |

use std::time::{Duration, Instant};

use prooflog_eventstore::wire::client::Empty;
use prooflog_eventstore::wire::streams::read_req::options as o;
use prooflog_eventstore::wire::streams::read_resp::Content as Answer;
use prooflog_eventstore::wire::streams::read_resp::read_event::Position as At;
use prooflog_eventstore::wire::streams::streams_client::StreamsClient;
use prooflog_eventstore::wire::streams::{DeleteReq, TombstoneReq, delete_req, tombstone_req};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::{Code, Status};

use crate::common::*;

fn deleting(stream: &str) -> DeleteReq {
    let expected = delete_req::options::ExpectedStreamRevision::Revision(7);
    let (stream_identifier, expected_stream_revision) = (identifier(stream), Some(expected));
    DeleteReq { options: Some(delete_req::Options { stream_identifier, expected_stream_revision }) }
}

fn tombstoning(stream: &str) -> TombstoneReq {
    let expected = tombstone_req::options::ExpectedStreamRevision::Any(Empty {});
    let (stream_identifier, expected_stream_revision) = (identifier(stream), Some(expected));
    TombstoneReq { options: Some(tombstone_req::Options { stream_identifier, expected_stream_revision }) }
}

#[tokio::test]
async fn every_answer_has_a_position_links_and_what_they_lead_nowhere_to_as_well() {
    let server = start().await;
    server.engine("chain-1");
    let mut ann = server.client("ann").await;
    for (id, target) in [(1, "0@chain-1"), (2, "9@chain-1")] {
        let mut link = proposed(id, "$>");
        link.data = target.as_bytes().to_vec().into();
        append(&mut ann, "notes-1", ANY, vec![link]).await.unwrap();
    }
    for options in
        [stream("notes-1").resolved(), stream("$ce-chain").resolved(), stream("$streams"), all().resolved()]
    {
        for event in events(&mut ann, options).await {
            let shown = event.link.as_ref().or(event.event.as_ref()).unwrap();
            assert!(shown.commit_position > 0);
            assert_eq!(event.position, Some(At::CommitPosition(shown.commit_position)));
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_refused_at_once_is_the_answer_to_the_call_itself() {
    let server = start_with(|server| server.authority = std::sync::Arc::new(Three)).await;
    // Nobody known.
    let refused = server.client("").await.read(request(all())).await.unwrap_err();
    assert_eq!((refused.code(), trailer(&refused, "exception")), (Code::Unauthenticated, String::new()));
    let refused = server.client("zoe").await.read(request(all().followed())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    // A filter that cannot be used.
    let mut filter = prefix(&[]);
    let expression = o::filter_options::Expression { regex: "(".to_owned(), prefix: Vec::new() };
    filter.filter = Some(o::filter_options::Filter::EventType(expression));
    let refused = server.client("eve").await.read(request(all().filtered(filter))).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    // An index that is not there.
    let unknown = all().filtered(prefix(&["$idx-nothing"]));
    let refused = server.client("eve").await.read(request(unknown)).await.unwrap_err();
    assert_eq!(trailer(&refused, "index-name"), "$idx-nothing");
    server.stop().await;
}

#[tokio::test]
async fn every_number_that_means_everything_means_everything() {
    let server = start().await;
    server.foreign("notes-1", &["A", "B", "C"]);
    let mut client = server.client("").await;
    for count in [u64::MAX, i64::MAX.unsigned_abs(), (1 << 53) - 1, 3] {
        for options in [all(), stream("notes-1"), stream("$ce-notes"), all().at_end().backwards()] {
            assert_eq!(events(&mut client, options.count(count)).await.len(), 3);
        }
    }
    assert_eq!(answers(&mut client, all().count(0)).await.unwrap(), []);
    // The largest revision is the end, and the largest number that is a place is beyond it.
    for at in [u64::MAX, i64::MAX.unsigned_abs()] {
        assert_eq!(answers(&mut client, all().at(at)).await.unwrap(), []);
        assert_eq!(events(&mut client, stream("notes-1").at(at).backwards()).await.len(), 3);
        assert_eq!(events(&mut client, all().at(at).backwards()).await.len(), 3);
    }
    server.stop().await;
}

#[tokio::test]
async fn the_words_that_clients_read_are_these() {
    let server = start().await;
    server.foreign("notes-1", &["A", "B"]);
    let mut ann = server.client("ann").await;
    let says = |status: &Status, end: &str, trailers: &[(&str, &str)]| {
        assert!(status.message().ends_with(end), "{status:?}");
        for (key, value) in trailers {
            assert_eq!(trailer(status, key), *value, "{status:?}");
        }
        // With it, one client makes a general error of every error of the first generation.
        assert!(status.details().is_empty(), "{status:?}");
    };
    let wrong = ann.delete(deleting("notes-1")).await.unwrap_err();
    assert_eq!(wrong.code(), Code::FailedPrecondition);
    says(
        &wrong,
        "WrongExpectedVersion. Stream: notes-1, Expected version: 7, Actual version: 1",
        &[
            ("exception", "wrong-expected-version"),
            ("stream-name", "notes-1"),
            ("expected-version", "7"),
            ("actual-version", "1"),
        ],
    );
    ann.tombstone(tombstoning("notes-2")).await.unwrap();
    let gone = append(&mut ann, "notes-2", ANY, vec![proposed(1, "A")]).await.unwrap_err();
    says(&gone, "is deleted.", &[("exception", "stream-deleted"), ("stream-name", "notes-2")]);
    let mut large = proposed(1, "A");
    large.data = vec![b' '; 1 << 20].into();
    let size = large.data.len() + large.custom_metadata.len() + 1;
    let id = uuid::Uuid::from_u128(1).to_string();
    let refused = append(&mut ann, "notes-1", ANY, vec![large]).await.unwrap_err();
    let most = trailer(&refused, "maximum-append-event-size");
    assert!(most.parse::<usize>().unwrap() < size);
    let proposed_size = size.to_string();
    let trailers = [
        ("exception", "maximum-append-event-size-exceeded"),
        ("event-id", id.as_str()),
        ("proposed-append-event-size", proposed_size.as_str()),
    ];
    says(&refused, &format!("at most {most} are accepted."), &trailers);
    let many = (1..=600).map(|id| proposed(id, "A")).collect();
    let refused = append(&mut ann, "notes-1", ANY, many).await.unwrap_err();
    assert!(trailer(&refused, "maximum-append-size").parse::<usize>().unwrap() > 0);
    says(&refused, "at most 512 events.", &[("exception", "maximum-append-size-exceeded")]);
    let mut no_type = proposed(1, "A");
    no_type.metadata.clear();
    let refused = append(&mut ann, "notes-1", ANY, vec![no_type]).await.unwrap_err();
    let properties = [
        ("exception", "missing-required-metadata-property"),
        ("required-metadata-properties", "type,content-type"),
    ];
    says(&refused, "type,content-type", &properties);
    server.stop().await;
}

#[tokio::test]
async fn what_a_caller_does_wrong_is_never_the_servers_fault() {
    let server = start().await;
    server.engine("chain-1");
    server.foreign("notes-1", &["A"]);
    let (mut ann, mut eve) = (server.client("ann").await, server.client("eve").await);
    ann.tombstone(tombstoning("notes-2")).await.unwrap();
    let mut no_options = appending("notes-1", ANY, vec![proposed(1, "A")]);
    no_options.remove(0);
    let mut no_id = proposed(1, "A");
    no_id.id = None;
    let mut wrong = Vec::new();
    for (stream, message) in [
        ("chain-1", proposed(1, "A")),
        ("notes-2", proposed(1, "A")),
        ("", proposed(1, "A")),
        ("notes-1", no_id),
    ] {
        wrong.push(append(&mut ann, stream, ANY, vec![message]).await.unwrap_err());
    }
    wrong.push(ann.append(futures_util::stream::iter(no_options)).await.unwrap_err());
    wrong.push(ann.append(futures_util::stream::iter([])).await.unwrap_err());
    wrong.push(append(&mut eve, "notes-1", ANY, vec![proposed(1, "A")]).await.unwrap_err());
    for stream in ["chain-1", "notes-1", "notes-2", "$$notes-1", ""] {
        wrong.push(ann.delete(deleting(stream)).await.unwrap_err());
    }
    wrong.push(ann.delete(DeleteReq { options: None }).await.unwrap_err());
    wrong.push(ann.tombstone(TombstoneReq { options: None }).await.unwrap_err());
    let mut backwards = all();
    backwards.read_direction = 9;
    for options in [stream("notes-2"), stream(""), all().at(u64::MAX - 1), backwards] {
        wrong.push(ann.read(request(options)).await.unwrap_err());
    }
    for status in wrong {
        let code = status.code();
        assert!(
            matches!(code, Code::InvalidArgument | Code::PermissionDenied | Code::FailedPrecondition),
            "{status:?}"
        );
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_subscriptions_share_one_connection() {
    let server = start().await;
    // Those that are not read yet must leave room on the connection to the one that is.
    let channel = server.endpoint().initial_stream_window_size(65_535).connect().await.unwrap();
    let client = StreamsClient::with_interceptor(channel, As(""));
    let mut held = Vec::new();
    for nth in 0..2_000_u64 {
        let options = if nth % 100 == 0 { all() } else { stream(&format!("notes-{nth}")) };
        let mut client = client.clone();
        held.push((nth, client.read(request(options.at_end().followed())).await.unwrap().into_inner()));
    }
    for (_, followed) in &mut held {
        while !matches!(next(followed).await, Answer::CaughtUp(_)) {}
    }
    for nth in 0..2_000 {
        server.foreign(&format!("notes-{nth}"), &["A"]);
    }
    for (nth, followed) in &mut held {
        let count = if *nth % 100 == 0 { 2_000 } else { 1 };
        for at in 1..=count {
            let shown = position(&next_event(followed).await);
            assert_eq!(shown, if count == 1 { *nth + 1 } else { at });
        }
    }
    assert_eq!(events(&mut client.clone(), all()).await.len(), 2_000);
    server.stop().await;
}

/// Median time of requests on one connection, each written in `pieces`. The system's own eagerness to acknowledge is
/// gone after some.
async fn asking(tcp: &mut TcpStream, pieces: &[&[u8]]) -> Duration {
    let mut times = Vec::new();
    for _ in 0..80 {
        let begin = Instant::now();
        for piece in pieces {
            tcp.write_all(piece).await.unwrap();
        }
        let mut answer = [0; 512];
        let mut got = 0;
        while !answer[..got].ends_with(b"\r\n\r\n") {
            let count = tcp.read(&mut answer[got..]).await.unwrap();
            assert!(count > 0, "closed");
            got += count;
        }
        times.push(begin.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_two_pieces_is_as_quick_as_one_in_one() {
    let server = start().await;
    let mut tcp = TcpStream::connect(server.address).await.unwrap();
    // As the clients do it: a second small piece waits until the first is acknowledged.
    tcp.set_nodelay(false).unwrap();
    let (first, second) =
        (b"GET /health/live HTTP/1.1\r\n".as_slice(), b"host: localhost\r\n\r\n".as_slice());
    let whole = [first, second].concat();
    let at_once = asking(&mut tcp, &[whole.as_slice()]).await;
    let in_pieces = asking(&mut tcp, &[first, second]).await;
    // An acknowledgement that is delayed takes 40 ms, a hundred times as long as the request.
    assert!(in_pieces < at_once * 20, "{in_pieces:?} and {at_once:?}");
    drop(tcp);
    server.stop().await;
}

#[tokio::test]
async fn what_a_client_says_about_leaders_and_itself_changes_nothing() {
    let server = start().await;
    server.engine("chain-1");
    for value in ["true", "FALSE", "perhaps", ""] {
        let mut asked = tonic::Request::new(request(all()));
        asked.metadata_mut().insert("requires-leader", value.parse().unwrap());
        asked.metadata_mut().insert("connection-name", "x".repeat(200).parse().unwrap());
        let mut answers = server.client("").await.read(asked).await.unwrap().into_inner();
        assert!(matches!(next(&mut answers).await, Answer::Event(_)));
    }
    server.stop().await;
}

#[test]
fn the_table_names_tests_that_are_there() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let read = |module: &str| std::fs::read_to_string(folder.join(module).with_extension("rs")).unwrap();
    let table = read("traps");
    let rows = table.lines().filter_map(|line| line.strip_prefix("// | ")?.split(" | ").nth(1));
    let (mut rows, mut named) = (rows.skip(1).peekable(), 0);
    assert!(rows.peek().is_some());
    for name in rows.flat_map(|tests| tests.split('`').skip(1).step_by(2)) {
        let (module, test) = name.split_once("::").unwrap_or(("traps", name));
        assert!(read(module).contains(&format!("fn {test}(")), "{name}");
        named += 1;
    }
    assert!(named > 25, "{named}");
}
