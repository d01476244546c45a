//! Appending, deleting, and who may.

use std::sync::Arc;

use futures_util::StreamExt as _;
use prooflog_access::{Role, User};
use prooflog_eventstore::Authority;
use prooflog_eventstore::wire::client::Empty;
use prooflog_eventstore::wire::streams::append_req::options::ExpectedStreamRevision as Expect;
use prooflog_eventstore::wire::streams::append_resp::success::{CurrentRevisionOption, PositionOption};
use prooflog_eventstore::wire::streams::append_resp::wrong_expected_version as w;
use prooflog_eventstore::wire::streams::append_resp::{Result as Outcome, Success, WrongExpectedVersion};
use prooflog_eventstore::wire::streams::read_resp::Content as Answer;
use prooflog_eventstore::wire::streams::{AppendResp, DeleteReq, TombstoneReq, delete_req, tombstone_req};
use tonic::{Code, Status};

use crate::common::*;

fn success(answer: AppendResp) -> Success {
    match answer.result.unwrap() {
        Outcome::Success(success) => success,
        Outcome::WrongExpectedVersion(wrong) => panic!("{wrong:?}"),
    }
}

fn wrong(answer: AppendResp) -> WrongExpectedVersion {
    match answer.result.unwrap() {
        Outcome::WrongExpectedVersion(wrong) => wrong,
        Outcome::Success(success) => panic!("{success:?}"),
    }
}

fn placed(success: &Success) -> (u64, u64) {
    let Some(CurrentRevisionOption::CurrentRevision(revision)) = success.current_revision_option else {
        panic!("no revision")
    };
    let Some(PositionOption::Position(at)) = success.position_option else { panic!("no position") };
    assert_eq!(at.commit_position, at.prepare_position);
    (revision, at.commit_position)
}

fn is(status: &Status, code: Code, exception: &str) {
    assert_eq!((status.code(), trailer(status, "exception")), (code, exception.to_owned()), "{status:?}");
}

#[tokio::test]
async fn an_append_says_where_its_last_event_stands_and_repeated_says_the_same() {
    let server = start().await;
    server.engine("chain-1");
    let mut ann = server.client("ann").await;
    let messages = || vec![proposed(1, "A"), proposed(2, "B")];
    let first = success(append(&mut ann, "notes-1", NO_STREAM, messages()).await.unwrap());
    assert_eq!(placed(&first), (1, 3));
    assert_eq!(success(append(&mut ann, "notes-1", NO_STREAM, messages()).await.unwrap()), first);
    assert_eq!(success(append(&mut ann, "notes-1", ANY, messages()).await.unwrap()), first);
    let read = events(&mut ann, stream("notes-1")).await;
    assert_eq!(read.iter().map(position).collect::<Vec<_>>(), [2, 3]);
    let event = recorded(&read[1]);
    assert_eq!((&event.data[..], &event.custom_metadata[..]), (&b"{\"a\":1}"[..], &b"{\"mine\":1}"[..]));
    assert_eq!(event.id, Some(text_id(2)));
    // The engine's order and chain hold it like any other, under the client's name.
    let record = server.log.reader().record(prooflog_events::ids::Position(3)).unwrap().unwrap();
    assert_eq!(record.envelope().unwrap().actor.to_string(), "client:ann");
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_expectation_is_an_answer_that_says_what_is_there() {
    let server = start().await;
    let mut ann = server.client("ann").await;
    let none = wrong(append(&mut ann, "notes-1", Expect::Revision(3), vec![proposed(1, "A")]).await.unwrap());
    assert_eq!(none.current_revision_option, Some(w::CurrentRevisionOption::CurrentNoStream(Empty {})));
    assert_eq!(none.expected_revision_option, Some(w::ExpectedRevisionOption::ExpectedRevision(3)));
    append(&mut ann, "notes-1", ANY, vec![proposed(1, "A"), proposed(2, "A")]).await.unwrap();
    let some = wrong(append(&mut ann, "notes-1", NO_STREAM, vec![proposed(3, "A")]).await.unwrap());
    assert_eq!(some.current_revision_option, Some(w::CurrentRevisionOption::CurrentRevision(1)));
    assert_eq!(some.expected_revision_option, Some(w::ExpectedRevisionOption::ExpectedNoStream(Empty {})));
    assert_eq!(
        some.expected_revision_option_20_6_0,
        Some(w::ExpectedRevisionOption2060::ExpectedRevision2060(u64::MAX))
    );
    let exists = wrong(append(&mut ann, "notes-2", EXISTS, vec![proposed(4, "A")]).await.unwrap());
    assert_eq!(
        exists.expected_revision_option,
        Some(w::ExpectedRevisionOption::ExpectedStreamExists(Empty {}))
    );
    // Some of the ids are there and some are not: this is not the append that wrote them.
    let mixed =
        append(&mut ann, "notes-1", NO_STREAM, vec![proposed(1, "A"), proposed(9, "A")]).await.unwrap();
    wrong(mixed);
    server.stop().await;
}

#[tokio::test]
async fn an_append_without_events_changes_nothing() {
    let server = start().await;
    let mut ann = server.client("ann").await;
    let empty = success(append(&mut ann, "notes-1", ANY, vec![]).await.unwrap());
    assert_eq!(empty.current_revision_option, Some(CurrentRevisionOption::NoStream(Empty {})));
    append(&mut ann, "notes-1", ANY, vec![proposed(1, "A")]).await.unwrap();
    let empty = success(append(&mut ann, "notes-1", ANY, vec![]).await.unwrap());
    assert_eq!(empty.current_revision_option, Some(CurrentRevisionOption::CurrentRevision(0)));
    assert_eq!(server.stop().await.head().position.0, 1);
}

#[tokio::test]
async fn nobody_writes_without_credentials_or_the_role_or_to_the_engine() {
    /// An authority that believes everybody to be an operator.
    struct Gullible;
    impl Authority for Gullible {
        fn check(&self, _: Option<&str>) -> Option<User> {
            Some(User { name: "root".to_owned(), role: Role::Operate })
        }
    }
    let gullible = start_with(|server| server.authority = Arc::new(Gullible)).await;
    let status = append(&mut gullible.client("").await, "notes-1", ANY, vec![proposed(1, "A")]).await;
    is(&status.unwrap_err(), Code::PermissionDenied, "access-denied");
    assert_eq!(gullible.stop().await.head().position.0, 0);

    let server = start().await;
    for (user, stream, code, exception) in [
        ("", "notes-1", Code::PermissionDenied, "access-denied"),
        ("eve", "notes-1", Code::PermissionDenied, "access-denied"),
        ("mallory", "notes-1", Code::Unauthenticated, ""),
        ("ann", "chain-1", Code::PermissionDenied, "access-denied"),
        ("ops", "span-1-1", Code::PermissionDenied, "access-denied"),
        ("ops", "$$chain-1", Code::PermissionDenied, "access-denied"),
        ("ops", "prooflog-x", Code::PermissionDenied, "access-denied"),
        ("ops", "$ce-notes", Code::PermissionDenied, "access-denied"),
        ("ops", "$$$streams", Code::PermissionDenied, "access-denied"),
        ("ann", "$users", Code::PermissionDenied, "access-denied"),
    ] {
        let mut client = server.client(user).await;
        let refused = append(&mut client, stream, ANY, vec![proposed(1, "A")]).await.unwrap_err();
        is(&refused, code, exception);
        let delete =
            client.delete(deleting(stream, delete_req::options::ExpectedStreamRevision::Any(Empty {})));
        is(&delete.await.unwrap_err(), code, exception);
        is(&client.tombstone(tombstoning(stream)).await.unwrap_err(), code, exception);
    }
    append(&mut server.client("ops").await, "$users", ANY, vec![proposed(1, "A")]).await.unwrap();
    assert_eq!(server.stop().await.head().position.0, 1);
}

#[tokio::test]
async fn writing_is_off_unless_it_is_given_and_can_be_kept_to_prefixes() {
    let server = start_with(|server| server.writing = None).await;
    let mut ops = server.client("ops").await;
    let refused = append(&mut ops, "notes-1", ANY, vec![proposed(1, "A")]).await.unwrap_err();
    is(&refused, Code::PermissionDenied, "access-denied");
    server.stop().await;
    let server = start_with(|server| {
        let writing = server.writing.as_mut().unwrap();
        writing.own = vec!["notes-".to_owned()];
        writing.bytes_per_day = 30;
    })
    .await;
    let mut ann = server.client("ann").await;
    let refused = append(&mut ann, "other-1", ANY, vec![proposed(1, "A")]).await.unwrap_err();
    is(&refused, Code::PermissionDenied, "access-denied");
    append(&mut ann, "notes-1", ANY, vec![proposed(1, "A")]).await.unwrap();
    // Eighteen bytes each.
    let full = append(&mut ann, "notes-1", ANY, vec![proposed(2, "A")]).await.unwrap_err();
    assert_eq!(full.code(), Code::ResourceExhausted);
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_event_is_refused_by_a_name_that_clients_know() {
    let server = start().await;
    let mut ann = server.client("ann").await;
    let mut no_type = proposed(1, "A");
    no_type.metadata.remove("type");
    let refused = append(&mut ann, "notes-1", ANY, vec![no_type]).await.unwrap_err();
    is(&refused, Code::InvalidArgument, "missing-required-metadata-property");
    assert_eq!(trailer(&refused, "required-metadata-properties"), "type,content-type");
    for message in
        [proposed(0, "A"), proposed(1, ""), proposed(1, "$streamDeleted"), proposed(1, &"x".repeat(300))]
    {
        let refused = append(&mut ann, "notes-1", ANY, vec![message]).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    let mut large = proposed(1, "A");
    large.data = vec![b' '; 1 << 20].into();
    let refused = append(&mut ann, "notes-1", ANY, vec![large]).await.unwrap_err();
    is(&refused, Code::InvalidArgument, "maximum-append-event-size-exceeded");
    assert!(trailer(&refused, "event-id").starts_with("00000000-"));
    let many = (1..200).map(|id| {
        let mut message = proposed(id, "A");
        message.data = vec![b' '; 10_000].into();
        message
    });
    let refused = append(&mut ann, "notes-1", ANY, many.collect()).await.unwrap_err();
    is(&refused, Code::InvalidArgument, "maximum-append-size-exceeded");
    let many = (1..2_000).map(|id| proposed(id, "A")).collect();
    let refused = append(&mut ann, "notes-1", ANY, many).await.unwrap_err();
    is(&refused, Code::InvalidArgument, "maximum-append-size-exceeded");
    assert_eq!(server.stop().await.head().position.0, 0);
}

fn deleting(stream: &str, expected: delete_req::options::ExpectedStreamRevision) -> DeleteReq {
    let options = delete_req::Options {
        stream_identifier: identifier(stream),
        expected_stream_revision: Some(expected),
    };
    DeleteReq { options: Some(options) }
}

fn tombstoning(stream: &str) -> TombstoneReq {
    let expected = tombstone_req::options::ExpectedStreamRevision::Any(Empty {});
    let options = tombstone_req::Options {
        stream_identifier: identifier(stream),
        expected_stream_revision: Some(expected),
    };
    TombstoneReq { options: Some(options) }
}

#[tokio::test]
async fn a_deleted_stream_is_missing_and_its_numbers_go_on() {
    use delete_req::options::ExpectedStreamRevision as E;
    let server = start().await;
    let mut ann = server.client("ann").await;
    let never = ann.delete(deleting("notes-1", E::Any(Empty {}))).await.unwrap_err();
    is(&never, Code::FailedPrecondition, "wrong-expected-version");
    assert_eq!(
        (trailer(&never, "actual-version"), trailer(&never, "expected-version")),
        ("-1".into(), "-2".into())
    );
    assert!(
        never
            .message()
            .contains("WrongExpectedVersion. Stream: notes-1, Expected version: -2, Actual version: -1")
    );
    append(&mut ann, "notes-1", ANY, vec![proposed(1, "A"), proposed(2, "B")]).await.unwrap();
    let stale = ann.delete(deleting("notes-1", E::Revision(0))).await.unwrap_err();
    assert_eq!(trailer(&stale, "actual-version"), "1");
    ann.delete(deleting("notes-1", E::Revision(1))).await.unwrap();
    assert!(matches!(answers(&mut ann, stream("notes-1")).await.unwrap()[..], [Answer::StreamNotFound(_)]));
    ann.delete(deleting("notes-1", E::Any(Empty {}))).await.unwrap();
    let gone = ann.delete(deleting("notes-1", E::StreamExists(Empty {}))).await.unwrap_err();
    is(&gone, Code::FailedPrecondition, "stream-deleted");
    let gone = append(&mut ann, "notes-1", EXISTS, vec![proposed(3, "C")]).await.unwrap_err();
    is(&gone, Code::FailedPrecondition, "stream-deleted");
    let again = success(append(&mut ann, "notes-1", NO_STREAM, vec![proposed(4, "D")]).await.unwrap());
    assert_eq!(placed(&again).0, 2);
    let shown = events(&mut ann, stream("notes-1")).await;
    assert_eq!(shown.iter().map(|event| recorded(event).stream_revision).collect::<Vec<_>>(), [2]);
    // Nothing is forgotten: the log still holds everything.
    let everything = events(&mut ann, all().filtered(prefix(&["notes-1"]))).await;
    assert_eq!(everything.len(), 3);
    let log = server.stop().await;
    prooflog_log::verify(log.sequence(), &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
}

#[tokio::test]
async fn a_tombstoned_stream_is_gone_for_ever_and_says_so_at_the_call() {
    let server = start().await;
    let mut ann = server.client("ann").await;
    ann.tombstone(tombstoning("never-seen")).await.unwrap();
    append(&mut ann, "notes-1", ANY, vec![proposed(1, "A")]).await.unwrap();
    ann.tombstone(tombstoning("notes-1")).await.unwrap();
    for options in
        [stream("notes-1"), stream("$$notes-1"), stream("notes-1").followed(), stream("never-seen")]
    {
        // The call itself fails, before any message.
        let gone = ann.read(request(options)).await.unwrap_err();
        is(&gone, Code::FailedPrecondition, "stream-deleted");
        assert!(gone.message().contains("is deleted"), "{gone:?}");
    }
    let gone = append(&mut ann, "notes-1", ANY, vec![proposed(2, "A")]).await.unwrap_err();
    is(&gone, Code::FailedPrecondition, "stream-deleted");
    let gone = append(&mut ann, "$$notes-1", ANY, vec![proposed(3, "$metadata")]).await.unwrap_err();
    is(&gone, Code::FailedPrecondition, "stream-deleted");
    is(&ann.tombstone(tombstoning("notes-1")).await.unwrap_err(), Code::FailedPrecondition, "stream-deleted");
    server.stop().await;
}

#[tokio::test]
async fn metadata_are_the_last_event_only_and_say_what_is_shown() {
    let server = start().await;
    let mut ann = server.client("ann").await;
    append(&mut ann, "notes-1", ANY, (1..=5).map(|id| proposed(id, "A")).collect()).await.unwrap();
    for (id, json) in [(11, "{\"$maxCount\":1}"), (12, "{\"$maxCount\":3}"), (13, "{\"$tb\":4,\"mine\":[]}")]
    {
        let mut metadata = proposed(id, "$metadata");
        metadata.data = json.as_bytes().to_vec().into();
        append(&mut ann, "$$notes-1", ANY, vec![metadata]).await.unwrap();
        // Forwards from the start, as one client asks for them.
        let shown = events(&mut ann, stream("$$notes-1").count(1)).await;
        assert_eq!(recorded(&shown[0]).data, json);
        assert_eq!(events(&mut ann, stream("$$notes-1")).await.len(), 1);
        let left: Vec<u64> =
            events(&mut ann, stream("notes-1")).await.iter().map(|e| recorded(e).stream_revision).collect();
        let expected = match id {
            11 => vec![4],
            12 => vec![2, 3, 4],
            _ => vec![4],
        };
        assert_eq!(left, expected);
        let backwards: Vec<u64> = events(&mut ann, stream("notes-1").at_end().backwards())
            .await
            .iter()
            .map(|e| recorded(e).stream_revision)
            .collect();
        assert_eq!(backwards, expected.into_iter().rev().collect::<Vec<_>>());
    }
    let missing = answers(&mut ann, stream("$$other")).await.unwrap();
    assert!(matches!(missing[..], [Answer::StreamNotFound(_)]));
    server.stop().await;
}

#[tokio::test]
async fn names_that_are_not_visible_ascii_are_escaped_in_trailers_and_others_stand_as_they_are() {
    let server = start().await;
    let mut ann = server.client("ann").await;
    for (name, shown) in [
        ("nötes-1", "n%C3%B6tes-1"),
        ("100%25-sure", "100%25-sure"),
        ("100% sure-1", "100%25%20sure-1"),
        (" notes-1 ", "%20notes-1%20"),
    ] {
        let never = deleting(name, delete_req::options::ExpectedStreamRevision::Any(Empty {}));
        let refused = ann.delete(never).await.unwrap_err();
        assert_eq!(trailer(&refused, "stream-name"), shown);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_a_deletion_overtakes_is_composed_anew() {
    use delete_req::options::ExpectedStreamRevision as E;
    let server = start().await;
    let mut ann = server.client("ann").await;
    append(&mut ann, "notes-1", ANY, vec![proposed(1, "A")]).await.unwrap();
    let mut tasks = Vec::new();
    for writer in 0..4_u128 {
        let mut client = server.client("ann").await;
        tasks.push(tokio::spawn(async move {
            for n in 0..40 {
                append(&mut client, "notes-1", ANY, vec![proposed(1_000 * (writer + 1) + n, "A")])
                    .await
                    .unwrap();
            }
        }));
    }
    for _ in 0..20 {
        ann.delete(deleting("notes-1", E::Any(Empty {}))).await.unwrap();
    }
    for task in tasks {
        task.await.unwrap();
    }
    append(&mut ann, "notes-1", ANY, vec![proposed(2, "Last")]).await.unwrap();
    // Whatever the order was: after the last append the stream is there, and ends with it.
    let shown = events(&mut ann, stream("notes-1")).await;
    assert_eq!(recorded(shown.last().unwrap()).metadata["type"], "Last");
    assert_eq!(recorded(shown.last().unwrap()).stream_revision, 161);
    server.stop().await;
}

#[tokio::test]
async fn what_an_event_belongs_to_is_taken_from_its_metadata() {
    let server = start().await;
    let mut ann = server.client("ann").await;
    let cases: [(&'static [u8], &str); 6] = [
        (br#"{"$correlationId":"span-10-7","mine":1}"#, "span-10-7"),
        (br#"{"$correlationId":"a\u0062"}"#, "ab"),
        (br#"{"$correlationId":7}"#, ""),
        (br#"{"other":"span-10-7"}"#, ""),
        (b"", ""),
        (b"\x00\xff", ""),
    ];
    let messages = (1..).zip(cases).map(|(id, (metadata, _))| {
        let mut message = proposed(id, "A");
        message.custom_metadata = metadata.into();
        message
    });
    append(&mut ann, "notes-1", ANY, messages.collect()).await.unwrap();
    let shown = events(&mut ann, stream("notes-1")).await;
    let log = server.stop().await;
    for (event, (metadata, correlation)) in shown.iter().zip(cases) {
        assert_eq!(recorded(event).custom_metadata, metadata);
        let record = log.reader().record(prooflog_events::ids::Position(position(event))).unwrap().unwrap();
        assert_eq!(record.envelope().unwrap().correlation, correlation);
    }
}

#[tokio::test]
async fn what_is_refused_costs_nothing_of_the_day_and_a_deletion_costs_a_little() {
    let server = start_with(|server| server.writing.as_mut().unwrap().bytes_per_day = 160).await;
    let mut ann = server.client("ann").await;
    for id in 1..100 {
        append(&mut ann, "notes-1", EXISTS, vec![proposed(id, "A")]).await.unwrap();
    }
    append(&mut ann, "notes-1", NO_STREAM, vec![proposed(1, "A")]).await.unwrap();
    ann.delete(deleting("notes-1", delete_req::options::ExpectedStreamRevision::Any(Empty {})))
        .await
        .unwrap();
    let full = append(&mut ann, "notes-1", ANY, (2..5).map(|id| proposed(id, "A")).collect()).await;
    assert_eq!(full.unwrap_err().code(), Code::ResourceExhausted);
    server.stop().await;
}

#[tokio::test]
async fn what_is_written_after_its_client_left_counts_for_the_day() {
    let (server, door) = start_slow(|server| server.writing.as_mut().unwrap().bytes_per_day = 1_500).await;
    let mut large = proposed(1, "A");
    large.data = vec![b' '; 1_000].into();
    let mut ann = server.client("ann").await;
    let mut leaving = ann.clone();
    let call = {
        let large = large.clone();
        tokio::spawn(async move { append(&mut leaving, "notes-1", ANY, vec![large]).await })
    };
    let handed_over = tokio::time::timeout(PATIENCE, async {
        while door.kept() == 0 {
            tokio::task::yield_now().await;
        }
    });
    handed_over.await.unwrap();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    // The server has seen that, in the order of the connection.
    answers(&mut ann, all()).await.unwrap();
    door.let_go();
    while server.log.head().position.0 == 0 {
        tokio::task::yield_now().await;
    }
    large.id = Some(text_id(2));
    let full = append(&mut ann, "notes-1", ANY, vec![large]).await.unwrap_err();
    assert_eq!(full.code(), Code::ResourceExhausted);
    assert_eq!(server.stop().await.head().position.0, 1);
}

#[tokio::test]
async fn an_id_with_other_content_is_a_wrong_expected_version() {
    let server = start().await;
    let mut ann = server.client("ann").await;
    append(&mut ann, "notes-1", ANY, vec![proposed(1, "A"), proposed(2, "B")]).await.unwrap();
    let answer = append(&mut ann, "notes-1", ANY, vec![proposed(1, "Other")]).await.unwrap();
    let Some(Outcome::WrongExpectedVersion(wrong)) = answer.result else { panic!("{answer:?}") };
    assert_eq!(wrong.current_revision_option, Some(w::CurrentRevisionOption::CurrentRevision(1)));
    // And so is a known one beside an unknown one.
    let mixed = append(&mut ann, "notes-1", ANY, vec![proposed(2, "B"), proposed(3, "C")]).await.unwrap();
    assert!(matches!(mixed.result, Some(Outcome::WrongExpectedVersion(_))));
    assert_eq!(server.stop().await.head().position.0, 2);
}

#[tokio::test]
async fn metadata_are_small_and_what_else_they_say_stays_when_the_stream_is_deleted_and_written_again() {
    use delete_req::options::ExpectedStreamRevision as E;
    let server = start().await;
    let mut ann = server.client("ann").await;
    append(&mut ann, "notes-1", ANY, vec![proposed(1, "A")]).await.unwrap();
    let mut metadata = proposed(2, "$metadata");
    metadata.data = format!("{{\"mine\":\"{}\"}}", "x".repeat(70_000)).into_bytes().into();
    let refused = append(&mut ann, "$$notes-1", ANY, vec![metadata.clone()]).await.unwrap_err();
    is(&refused, Code::InvalidArgument, "maximum-append-event-size-exceeded");
    assert_eq!(trailer(&refused, "maximum-append-event-size"), "65536");
    metadata.data = b"{\"mine\":[7]}".to_vec().into();
    append(&mut ann, "$$notes-1", ANY, vec![metadata]).await.unwrap();
    ann.delete(deleting("notes-1", E::Any(Empty {}))).await.unwrap();
    let shown = events(&mut ann, stream("$$notes-1")).await;
    let json: serde_json::Value = serde_json::from_slice(&recorded(&shown[0]).data).unwrap();
    assert_eq!(json, serde_json::json!({ "mine": [7], "$tb": i64::MAX }));
    append(&mut ann, "notes-1", NO_STREAM, vec![proposed(3, "B")]).await.unwrap();
    let shown = events(&mut ann, stream("$$notes-1")).await;
    let json: serde_json::Value = serde_json::from_slice(&recorded(&shown[0]).data).unwrap();
    assert_eq!(json, serde_json::json!({ "mine": [7], "$tb": 1 }));
    server.stop().await;
}

#[tokio::test]
async fn nobody_outside_writes_to_a_disk_that_is_almost_full() {
    let server = start_with(|server| server.writing.as_mut().unwrap().room = Arc::new(|| false)).await;
    let full = append(&mut server.client("ann").await, "notes-1", ANY, vec![proposed(1, "A")]).await;
    assert_eq!(full.unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(server.stop().await.head().position.0, 0);
}

#[tokio::test]
async fn an_append_that_stops_half_way_or_is_not_answered_ends_in_time() {
    let (server, door) =
        start_slow(|server| server.limits.append = std::time::Duration::from_millis(50)).await;
    let mut ann = server.client("ann").await;
    let begun = appending("notes-1", ANY, vec![proposed(1, "A")]);
    let stopping = futures_util::stream::iter(begun).chain(futures_util::stream::pending());
    assert_eq!(ann.append(stopping).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(door.kept(), 0);
    let late = append(&mut ann, "notes-1", ANY, vec![proposed(2, "A")]).await.unwrap_err();
    assert_eq!((late.code(), door.kept()), (Code::Aborted, 1));
    server.stop().await;
}
