//! BatchAppend: items, deadlines, interleaving, the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt as _;
use prooflog_eventstore::wire::client;
use prooflog_eventstore::wire::streams::batch_append_req::options::{DeadlineOption, ExpectedStreamPosition};
use prooflog_eventstore::wire::streams::batch_append_req::{Options, ProposedMessage};
use prooflog_eventstore::wire::streams::batch_append_resp::{Result as Outcome, success};
use prooflog_eventstore::wire::streams::{BatchAppendReq, BatchAppendResp, append_req};
use prost::Message as _;
use tokio::sync::mpsc;
use tonic::{Code, Streaming};

use crate::common::*;

fn message(id: u128, kind: &str) -> ProposedMessage {
    let append_req::ProposedMessage { id, metadata, custom_metadata, data } = proposed(id, kind);
    ProposedMessage { id, metadata, custom_metadata, data }
}

fn batch(correlation: u128, stream: &str, messages: Vec<ProposedMessage>) -> BatchAppendReq {
    BatchAppendReq {
        correlation_id: Some(text_id(correlation)),
        options: Some(Options {
            stream_identifier: identifier(stream),
            expected_stream_position: Some(ExpectedStreamPosition::Any(())),
            deadline_option: None,
        }),
        proposed_messages: messages,
        is_final: true,
    }
}

async fn open(client: &mut Clients) -> (mpsc::Sender<BatchAppendReq>, Streaming<BatchAppendResp>) {
    let (sender, mut receiver) = mpsc::channel(64);
    let requests = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
    (sender, client.batch_append(requests).await.unwrap().into_inner())
}

async fn answer(answers: &mut Streaming<BatchAppendResp>) -> BatchAppendResp {
    tokio::time::timeout(PATIENCE, answers.message()).await.unwrap().unwrap().unwrap()
}

#[tokio::test]
async fn appends_of_one_call_may_interleave_and_each_answer_names_its_own() {
    let server = start().await;
    let mut ann = server.client("ann").await;
    let (send, mut answers) = open(&mut ann).await;
    let mut first = batch(1, "notes-1", vec![message(1, "A")]);
    first.is_final = false;
    send.send(first).await.unwrap();
    send.send(batch(2, "notes-2", vec![message(2, "B")])).await.unwrap();
    let second = answer(&mut answers).await;
    assert_eq!((second.correlation_id, second.stream_identifier), (Some(text_id(2)), identifier("notes-2")));
    // The rest of the first has no options, and an append nobody began is not looked at.
    send.send(BatchAppendReq { options: None, ..batch(9, "x", vec![message(7, "C")]) }).await.unwrap();
    send.send(BatchAppendReq { options: None, ..batch(1, "x", vec![message(3, "C")]) }).await.unwrap();
    let first = answer(&mut answers).await;
    assert_eq!(first.correlation_id, Some(text_id(1)));
    let Some(Outcome::Success(done)) = first.result else { panic!("{:?}", first.result) };
    assert_eq!(done.current_revision_option, Some(success::CurrentRevisionOption::CurrentRevision(1)));
    let Some(success::PositionOption::Position(at)) = done.position_option else { panic!("no position") };
    assert_eq!((at.commit_position, at.prepare_position), (3, 3));
    drop(send);
    assert!(answers.message().await.unwrap().is_none());
    server.stop().await;
}

#[tokio::test]
async fn a_refusal_is_an_item_with_all_that_clients_look_for() {
    let server = start().await;
    server.foreign("notes-1", &["A", "B"]);
    let mut ann = server.client("ann").await;
    let (send, mut answers) = open(&mut ann).await;
    let wrong = |request: BatchAppendReq| {
        let mut request = request;
        request.options.as_mut().unwrap().expected_stream_position =
            Some(ExpectedStreamPosition::StreamPosition(7));
        request
    };
    let mut large = message(3, "A");
    large.data = vec![b' '; 1 << 20].into();
    let mut no_type = message(4, "A");
    no_type.metadata.clear();
    let many = (10..700).map(|id| message(id, "A")).collect();
    let expired = |mut request: BatchAppendReq, seconds: i64| {
        request.options.as_mut().unwrap().deadline_option =
            Some(DeadlineOption::Deadline(prost_types::Duration { seconds, nanos: 0 }));
        request
    };
    for (request, code, message, detail) in [
        (
            wrong(batch(1, "notes-1", vec![message(1, "A")])),
            6,
            "WrongExpectedVersion",
            "WrongExpectedVersion",
        ),
        (batch(2, "chain-1", vec![message(1, "A")]), 7, "AccessDenied", "AccessDenied"),
        (
            batch(3, "notes-1", vec![large]),
            3,
            "MaximumAppendEventSizeExceeded",
            "MaximumAppendEventSizeExceeded",
        ),
        (batch(4, "notes-1", vec![no_type]), 3, "BadRequest", "BadRequest"),
        (batch(5, "notes-1", many), 3, "MaximumAppendSizeExceeded", "MaximumAppendSizeExceeded"),
        (expired(batch(6, "notes-1", vec![message(1, "A")]), 0), 4, "Timeout", "Timeout"),
        (expired(batch(7, "notes-1", vec![message(1, "A")]), -5), 4, "Timeout", "Timeout"),
        (batch(8, "", vec![message(1, "A")]), 3, "BadRequest", "BadRequest"),
    ] {
        send.send(request.clone()).await.unwrap();
        let item = answer(&mut answers).await;
        assert_eq!(item.correlation_id, request.correlation_id);
        assert_eq!(item.stream_identifier, request.options.unwrap().stream_identifier);
        let Some(Outcome::Error(status)) = item.result else { panic!("{:?}", item.result) };
        assert_eq!((status.code, status.message.as_str()), (code, message));
        let details = status.details.unwrap();
        assert_eq!(details.type_url, format!("type.googleapis.com/event_store.client.{detail}"));
        if detail == "WrongExpectedVersion" {
            let wrong = client::WrongExpectedVersion::decode(&*details.value).unwrap();
            use client::wrong_expected_version::{
                CurrentStreamRevisionOption as C, ExpectedStreamPositionOption as E,
            };
            assert_eq!(wrong.current_stream_revision_option, Some(C::CurrentStreamRevision(1)));
            assert_eq!(wrong.expected_stream_position_option, Some(E::ExpectedStreamPosition(7)));
        }
    }
    // The call is still good.
    send.send(batch(9, "notes-1", vec![message(77, "A")])).await.unwrap();
    assert!(matches!(answer(&mut answers).await.result, Some(Outcome::Success(_))));
    server.stop().await;
}

#[tokio::test]
async fn who_may_not_write_is_told_so_for_each_append_and_takes_no_place_of_a_writer() {
    let server = start_with(|server| server.limits.batches = 1).await;
    for user in ["", "eve"] {
        let mut client = server.client(user).await;
        let appends =
            [batch(1, "notes-1", vec![message(1, "A")]), batch(2, "notes-1", vec![message(2, "A")])];
        let never = futures_util::stream::iter(appends).chain(futures_util::stream::pending());
        let mut answers = client.batch_append(never).await.unwrap().into_inner();
        for _ in 0..2 {
            let Some(Outcome::Error(status)) = answer(&mut answers).await.result else {
                panic!("not written")
            };
            assert_eq!((status.code, status.message.as_str()), (7, "AccessDenied"));
        }
        let large =
            batch(3, "notes-1", vec![ProposedMessage { data: vec![7; 1 << 20].into(), ..message(3, "A") }]);
        let large = futures_util::stream::iter([large]).chain(futures_util::stream::pending());
        let mut answers = client.batch_append(large).await.unwrap().into_inner();
        assert_eq!(answers.message().await.unwrap_err().code(), Code::OutOfRange);
    }
    let never = || futures_util::stream::pending::<BatchAppendReq>();
    let _held = server.client("ann").await.batch_append(never()).await.unwrap();
    let mut all = Vec::new();
    let refused = loop {
        let mut client = server.client("").await;
        match client.batch_append(never()).await {
            Ok(call) => all.push((client, call)),
            Err(refused) => break refused,
        }
        assert!(all.len() < 100, "there is a limit");
    };
    // Still that answer, and not that there are too many.
    assert_eq!((refused.code(), &*trailer(&refused, "exception")), (Code::PermissionDenied, "access-denied"));
    assert_eq!(server.stop().await.head().position.0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_appends_are_not_answered_is_not_read_on() {
    let (server, door) = start_slow(|_| ()).await;
    let mut ann = server.client("ann").await;
    let pulled = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&pulled);
    let mut large = message(1, "A");
    large.data = vec![b' '; 500_000].into();
    let requests = futures_util::stream::iter(1..=100_u128).map(move |id| {
        counted.fetch_add(1, Ordering::Relaxed);
        let mut message = large.clone();
        message.id = Some(text_id(id));
        batch(id, "notes-1", vec![message])
    });
    // What comes after the last one would end the call, and with it the answers.
    let requests = requests.chain(futures_util::stream::pending());
    let mut answers = ann.batch_append(requests).await.unwrap().into_inner();
    let some = tokio::time::timeout(PATIENCE, async {
        while pulled.load(Ordering::Relaxed) < 9 {
            tokio::task::yield_now().await;
        }
    });
    some.await.unwrap();
    let mut reader = server.client("").await;
    for _ in 0..200 {
        crate::common::answers(&mut reader, all()).await.unwrap();
    }
    // 4 MiB are taken, and what the connection's windows and buffers hold.
    let pulled_now = pulled.load(Ordering::Relaxed);
    assert!(pulled_now < 20, "{pulled_now} of 100");
    door.let_go();
    for _ in 0..100 {
        assert!(matches!(answer(&mut answers).await.result, Some(Outcome::Success(_))));
    }
    server.stop().await;
}

#[tokio::test]
async fn deadlines_of_thousands_of_years_are_cut() {
    let server = start().await;
    let mut ann = server.client("ann").await;
    let (send, mut answers) = open(&mut ann).await;
    let moment = |seconds| DeadlineOption::Deadline21100(prost_types::Timestamp { seconds, nanos: 0 });
    let span = |seconds, nanos| DeadlineOption::Deadline(prost_types::Duration { seconds, nanos });
    for (id, deadline) in (1..).zip([
        moment(1_700_000_010),
        moment(i64::MAX),
        span(315_576_000_000, 0),
        span(1_800_000_000, 999_999_999),
        span(i64::MAX, i32::MAX),
        span(5, -1),
    ]) {
        let mut request = batch(id, "notes-1", vec![message(id, "A")]);
        request.options.as_mut().unwrap().deadline_option = Some(deadline);
        send.send(request).await.unwrap();
        let result = answer(&mut answers).await.result;
        assert!(matches!(result, Some(Outcome::Success(_))), "{deadline:?}: {result:?}");
    }
    for deadline in [moment(0), moment(i64::MIN), span(i64::MIN, i32::MIN)] {
        let mut request = batch(99, "notes-1", vec![message(99, "A")]);
        request.options.as_mut().unwrap().deadline_option = Some(deadline);
        send.send(request).await.unwrap();
        assert!(matches!(answer(&mut answers).await.result, Some(Outcome::Error(_))), "{deadline:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_call_that_never_ends_by_itself_is_ended_by_a_stop() {
    let server = start().await;
    let mut ann = server.client("ann").await;
    let (send, mut answers) = open(&mut ann).await;
    send.send(batch(1, "notes-1", vec![message(1, "A")])).await.unwrap();
    answer(&mut answers).await;
    let log = server.stop().await;
    let ended = answers.message().await.unwrap_err();
    assert_eq!(ended.code(), Code::Unavailable);
    assert_eq!(log.head().position.0, 1);
    drop(send);
}

#[tokio::test]
async fn what_is_begun_and_never_ended_is_limited() {
    let server = start().await;
    let mut ann = server.client("ann").await;
    let (send, mut answers) = open(&mut ann).await;
    for id in 1..2_000 {
        let mut request = batch(id, "notes-1", vec![message(id, "A")]);
        request.is_final = false;
        if send.send(request).await.is_err() {
            break;
        }
    }
    assert_eq!(answers.message().await.unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(server.stop().await.head().position.0, 0);
}
