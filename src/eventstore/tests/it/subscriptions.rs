//! Following: what is there, then what comes.

use prooflog_events::envelope::Content;
use prooflog_events::ids::EventId;
use prooflog_eventstore::wire::client::Empty;
use prooflog_eventstore::wire::streams::read_resp::Content as Answer;
use prooflog_eventstore::wire::streams::streams_client::StreamsClient;
use prooflog_eventstore::wire::streams::{TombstoneReq, tombstone_req};
use prooflog_log::{Append, By, NewRecord};
use tonic::Code;

use crate::common::*;

#[tokio::test]
async fn a_confirmation_comes_first_then_what_is_there_then_that_it_is_all_then_what_comes() {
    let server = start().await;
    for _ in 0..3 {
        server.engine("chain-1");
    }
    let mut client = server.client("").await;
    for (options, first) in
        [(all(), 1), (stream("chain-1"), 1), (all().at(2), 3), (stream("chain-1").at(0), 2)]
    {
        let is_all = matches!(
            options.stream_option,
            Some(prooflog_eventstore::wire::streams::read_req::options::StreamOption::All(_))
        );
        let mut followed = client.read(request(options.followed())).await.unwrap().into_inner();
        assert!(
            matches!(next(&mut followed).await, Answer::Confirmation(c) if !c.subscription_id.is_empty())
        );
        let head = server.log.head().position.0;
        for expected in first..=head {
            assert_eq!(position(&event(next(&mut followed).await).unwrap()), expected);
        }
        let Answer::CaughtUp(caught_up) = next(&mut followed).await else { panic!("not caught up") };
        assert_eq!(caught_up.timestamp.unwrap().seconds, 1_700_000_000);
        if is_all {
            assert_eq!(caught_up.position.unwrap().commit_position, head);
        } else {
            assert_eq!(caught_up.stream_revision, Some(i64::try_from(head).unwrap() - 1));
        }
        let at = server.engine("chain-1");
        assert_eq!(position(&next_event(&mut followed).await), at.0);
    }
    server.stop().await;
}

#[tokio::test]
async fn an_empty_log_and_a_missing_stream_are_followed_without_a_word_about_it() {
    let server = start().await;
    let mut client = server.client("").await;
    for options in [all(), all().at(0), stream("chain-1"), stream("$ce-chain"), stream("$$notes-1")] {
        let mut followed = client.read(request(options.followed())).await.unwrap().into_inner();
        assert!(matches!(next(&mut followed).await, Answer::Confirmation(_)));
        let Answer::CaughtUp(caught_up) = next(&mut followed).await else { panic!("not caught up") };
        assert_eq!((caught_up.stream_revision, caught_up.position), (None, None));
    }
    let mut followed = client.read(request(stream("chain-1").followed())).await.unwrap().into_inner();
    server.engine("chain-1");
    assert_eq!(position(&next_event(&mut followed).await), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_start_at_position_zero_misses_nothing_and_the_end_shows_only_what_comes() {
    let server = start().await;
    server.engine("chain-1");
    let mut client = server.client("").await;
    let mut from_zero = client.read(request(all().at(0).followed())).await.unwrap().into_inner();
    assert_eq!(position(&next_event(&mut from_zero).await), 1);
    let mut from_end = client.read(request(all().at_end().followed())).await.unwrap().into_inner();
    let mut stream_end =
        client.read(request(stream("chain-1").at_end().followed())).await.unwrap().into_inner();
    assert!(matches!(next(&mut stream_end).await, Answer::Confirmation(_)));
    assert!(matches!(next(&mut from_end).await, Answer::Confirmation(_)));
    server.engine("chain-1");
    assert_eq!(position(&next_event(&mut from_end).await), 2);
    assert_eq!(position(&next_event(&mut stream_end).await), 2);
    server.stop().await;
}

#[tokio::test]
async fn a_subscription_never_ends_well() {
    let server = start().await;
    let mut client = server.client("").await;
    let mut followed = client.read(request(all().followed())).await.unwrap().into_inner();
    next(&mut followed).await;
    next(&mut followed).await;
    server.stop().await;
    let ended = followed.message().await.unwrap_err();
    assert_eq!(ended.code(), Code::Unavailable);
}

/// The checkpoints up to `last`, and whether the subscription had to catch up meanwhile: what came before the tail began
/// to be followed is read from the log.
async fn checkpoints_until(
    followed: &mut tonic::Streaming<prooflog_eventstore::wire::streams::ReadResp>,
    last: u64,
) -> (Vec<u64>, bool) {
    let (mut seen, mut caught_up) = (Vec::new(), false);
    while seen.last().is_none_or(|seen| *seen < last) {
        match next(followed).await {
            Answer::Checkpoint(checkpoint) => seen.push(checkpoint.commit_position),
            other => {
                assert!(matches!(other, Answer::CaughtUp(_)), "{other:?}");
                caught_up = true;
            }
        }
    }
    (seen, caught_up)
}

#[tokio::test]
async fn a_filtered_subscription_says_how_far_it_looked() {
    let server = start().await;
    for n in 0..40 {
        server.foreign(&format!("c{}-1", n % 10), &["A"]);
    }
    let mut client = server.client("").await;
    // A window of four.
    let options = all().filtered(prefix(&["c3-"])).followed();
    let mut followed = client.read(request(options)).await.unwrap().into_inner();
    let (mut checkpoints, mut matching, mut last) = (Vec::new(), Vec::new(), 0);
    loop {
        match next(&mut followed).await {
            Answer::Event(event) => {
                assert!(position(&event) > last);
                matching.push(position(&event));
            }
            Answer::Checkpoint(checkpoint) => {
                assert!(checkpoint.commit_position > last && checkpoint.timestamp.is_some());
                last = checkpoint.commit_position;
                checkpoints.push(last);
            }
            Answer::CaughtUp(_) => break,
            other => assert!(matches!(other, Answer::Confirmation(_)), "{other:?}"),
        }
    }
    assert_eq!(matching, [4, 14, 24, 34]);
    assert_eq!(checkpoints, (1..=10).map(|n| n * 4).collect::<Vec<_>>());
    // Live as well, and for events that do not match.
    for _ in 0..4 {
        server.foreign("c9-1", &["A"]);
    }
    let (seen, mut caught_up) = checkpoints_until(&mut followed, 44).await;
    assert_eq!(seen, [44]);
    // Of three that are due at once the last says it all.
    server.foreign("c9-1", &["A"; 12]);
    let (seen, again) = checkpoints_until(&mut followed, 56).await;
    caught_up |= again;
    assert!(seen == [56] || (caught_up && seen == [48, 52, 56]), "{seen:?}");
    // One that begins at the end has nothing to say about what was before.
    let options = all().at_end().filtered(prefix(&["c3-"])).followed();
    let mut followed = client.read(request(options)).await.unwrap().into_inner();
    assert!(matches!(next(&mut followed).await, Answer::Confirmation(_)));
    assert!(matches!(next(&mut followed).await, Answer::CaughtUp(_)));
    server.stop().await;
}

#[tokio::test]
async fn a_stream_that_ends_for_ever_ends_its_subscriptions_with_that_event() {
    let server = start().await;
    let mut ann = server.client("ann").await;
    append(&mut ann, "notes-1", ANY, vec![proposed(1, "A")]).await.unwrap();
    let mut followed = ann.read(request(stream("notes-1").followed())).await.unwrap().into_inner();
    assert_eq!(recorded(&next_event(&mut followed).await).metadata["type"], "A");
    let expected = tombstone_req::options::ExpectedStreamRevision::Any(Empty {});
    let options = tombstone_req::Options {
        stream_identifier: identifier("notes-1"),
        expected_stream_revision: Some(expected),
    };
    ann.tombstone(TombstoneReq { options: Some(options) }).await.unwrap();
    assert_eq!(recorded(&next_event(&mut followed).await).metadata["type"], "$streamDeleted");
    let ended = followed.message().await.unwrap_err();
    assert_eq!(trailer(&ended, "exception"), "stream-deleted");
    server.stop().await;
}

#[tokio::test]
async fn a_deleted_stream_goes_on_for_those_who_follow_it() {
    use prooflog_eventstore::wire::streams::{DeleteReq, delete_req};
    let server = start().await;
    let mut ann = server.client("ann").await;
    append(&mut ann, "notes-1", ANY, vec![proposed(1, "A")]).await.unwrap();
    let expected = delete_req::options::ExpectedStreamRevision::Any(Empty {});
    let options = delete_req::Options {
        stream_identifier: identifier("notes-1"),
        expected_stream_revision: Some(expected),
    };
    ann.delete(DeleteReq { options: Some(options) }).await.unwrap();
    let mut followed = ann.read(request(stream("notes-1").followed())).await.unwrap().into_inner();
    assert!(matches!(next(&mut followed).await, Answer::Confirmation(_)));
    assert!(matches!(next(&mut followed).await, Answer::CaughtUp(_)));
    append(&mut ann, "notes-1", ANY, vec![proposed(2, "B")]).await.unwrap();
    let again = next_event(&mut followed).await;
    assert_eq!((recorded(&again).stream_revision, recorded(&again).metadata["type"].as_str()), (1, "B"));
    server.stop().await;
}

#[tokio::test]
async fn link_streams_are_followed_by_revision() {
    let server = start().await;
    server.engine("span-1-1");
    server.engine("chain-1");
    server.engine("span-1-2");
    let mut client = server.client("").await;
    let options = stream("$ce-span").at(0).resolved().followed();
    let mut followed = client.read(request(options)).await.unwrap().into_inner();
    let second = next_event(&mut followed).await;
    assert_eq!((position(&second), second.link.unwrap().stream_revision), (3, 1));
    for revision in 2..8 {
        server.engine("chain-1");
        let at = server.engine("span-1-1");
        let live = next_event(&mut followed).await;
        assert_eq!((position(&live), live.link.as_ref().unwrap().stream_revision), (at.0, revision));
        let read = events(&mut client, stream("$ce-span").at(revision).count(1).resolved()).await;
        assert_eq!(read[0].link, live.link);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_stops_reading_holds_up_nobody_on_the_same_connection() {
    let server = start().await;
    let channel = server.endpoint().initial_stream_window_size(65_535).connect().await.unwrap();
    let mut client = StreamsClient::with_interceptor(channel, As(""));
    let mut stalled = Vec::new();
    for _ in 0..8 {
        stalled.push(client.read(request(all().followed())).await.unwrap().into_inner());
    }
    let mut lively = client.read(request(stream("last-1").followed())).await.unwrap().into_inner();
    let kinds = ["A"; 400];
    for _ in 0..50 {
        server.foreign("notes-1", &kinds);
    }
    let at = server.foreign("last-1", &["B"]);
    assert_eq!(position(&next_event(&mut lively).await), at.0);
    assert_eq!(events(&mut client, stream("last-1")).await.len(), 1);
    // And those who stopped get everything, in order, when they go on.
    for followed in &mut stalled {
        for expected in 1..=at.0 {
            assert_eq!(position(&next_event(followed).await), expected);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn whoever_begins_beyond_the_end_is_told_the_end_and_waits_for_the_place() {
    let server = start().await;
    server.foreign("notes-1", &["A", "B"]);
    let mut client = server.client("").await;
    for (options, revision, position) in [
        (all().at(1_000), None, Some(2)),
        (all().at(1_000).filtered(prefix(&["notes"])), None, Some(2)),
        (stream("notes-1").at(1_000), Some(1), None),
        (stream("$ce-notes").at(1_000), Some(1), None),
        (stream("notes-9").at(1_000), None, None),
    ] {
        let mut followed = client.read(request(options.followed())).await.unwrap().into_inner();
        assert!(matches!(next(&mut followed).await, Answer::Confirmation(_)));
        let caught_up = loop {
            match next(&mut followed).await {
                Answer::Checkpoint(checkpoint) => assert_eq!(checkpoint.commit_position, 2),
                Answer::CaughtUp(caught_up) => break caught_up,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(caught_up.stream_revision, revision);
        assert_eq!(caught_up.position.map(|at| at.commit_position), position);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_reader_whom_the_tail_leaves_behind_catches_up_again_and_misses_nothing() {
    let server = start().await;
    let endpoint = server.endpoint().initial_stream_window_size(65_535);
    let mut slow = StreamsClient::with_interceptor(endpoint.connect().await.unwrap(), As(""))
        .max_decoding_message_size(32 << 20);
    let mut slow = slow.read(request(all().followed())).await.unwrap().into_inner();
    let mut quick = server.client("").await.read(request(all().followed())).await.unwrap().into_inner();
    for followed in [&mut slow, &mut quick] {
        assert!(matches!(next(followed).await, Answer::Confirmation(_)));
        assert!(matches!(next(followed).await, Answer::CaughtUp(_)));
    }
    // Live: it comes without a word.
    server.foreign("notes-1", &["A"]);
    assert_eq!(position(&event(next(&mut slow).await).unwrap()), 1);
    // More than the tail holds, while the slow one does not read: the quick one says that the tail has seen it.
    const LAST: u64 = 41;
    for n in 2..=LAST {
        let id = EventId(u128::from(n).to_be_bytes());
        let record = NewRecord::foreign("notes-1", id, "Large", Content::Octets, vec![7; 500_000]);
        server.log.append(Append::new(By::Client("ann".to_owned()), clock(), vec![record])).unwrap();
    }
    while position(&next_event(&mut quick).await) < LAST {}
    let mut seen = Vec::new();
    loop {
        match next(&mut slow).await {
            Answer::Event(event) => seen.push(position(&event)),
            Answer::CaughtUp(caught_up) => {
                assert_eq!(caught_up.position.unwrap().commit_position, LAST);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, (2..=LAST).collect::<Vec<_>>());
    server.foreign("notes-1", &["Z"]);
    assert_eq!(position(&event(next(&mut slow).await).unwrap()), LAST + 1);
    server.stop().await;
}
