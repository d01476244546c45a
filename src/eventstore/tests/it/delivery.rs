//! What a subscription delivers, whatever happens, is the log: in order, once.

use std::collections::BTreeMap;

use prooflog_eventstore::wire::streams::read_resp::Content as Answer;
use prooflog_eventstore::wire::streams::{ReadResp, read_req};
use proptest::prelude::*;
use tonic::Streaming;

use crate::common::*;

#[derive(Debug, Clone)]
enum Step {
    /// So many events to one of some streams.
    Append(u8, u8),
    /// The subscription's client goes away, and comes back where it was.
    Reconnect,
    /// Deliver what is there.
    Read(u8),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum View {
    All,
    Filtered,
    Stream,
    Category,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..4_u8, 1..40_u8).prop_map(|(stream, count)| Step::Append(stream, count)),
        1 => Just(Step::Reconnect),
        3 => (1..60_u8).prop_map(Step::Read),
    ];
    proptest::collection::vec(step, 1..40)
}

fn name(stream: u8) -> String {
    ["c-1", "c-2", "d-1", "plain"][usize::from(stream % 4)].to_owned()
}

fn is_wanted(view: View, stream: &str) -> bool {
    match view {
        View::All => true,
        View::Filtered => stream.starts_with("c-2") || stream.starts_with('p'),
        View::Stream => stream == "c-1",
        View::Category => stream.starts_with("c-"),
    }
}

/// A subscription that goes on after `seen`: a position, or for streams a number of events.
fn asked(view: View, seen: &[u64]) -> read_req::Options {
    let options = match view {
        View::All => all(),
        View::Filtered => all().filtered(prefix(&["c-2", "p"])),
        View::Stream => stream("c-1"),
        View::Category => stream("$ce-c").resolved(),
    };
    let options = match (view, seen.last()) {
        (_, None) => options,
        (View::All | View::Filtered, Some(last)) => options.at(*last),
        (View::Stream | View::Category, Some(_)) => options.at(seen.len() as u64 - 1),
    };
    options.followed()
}

async fn take(followed: &mut Streaming<ReadResp>, seen: &mut Vec<u64>, through: &mut u64) {
    match next(followed).await {
        Answer::Event(event) => {
            let at = position(&event);
            assert!(at > *through, "{at} after a checkpoint at {through}");
            seen.push(at);
        }
        Answer::Checkpoint(checkpoint) => {
            assert!(checkpoint.commit_position > *through);
            *through = checkpoint.commit_position;
        }
        _ => {}
    }
}

async fn run(view: View, steps: Vec<Step>) {
    let server = start().await;
    let mut client = server.client("").await;
    let (mut seen, mut expected, mut through) = (Vec::new(), Vec::new(), 0);
    let mut counts = BTreeMap::<String, u64>::new();
    let mut followed = client.read(request(asked(view, &seen))).await.unwrap().into_inner();
    for step in steps {
        match step {
            Step::Append(stream, count) => {
                let stream = name(stream);
                let kinds = vec!["A"; usize::from(count)];
                let last = server.foreign(&stream, &kinds).0;
                *counts.entry(stream.clone()).or_default() += u64::from(count);
                if is_wanted(view, &stream) {
                    expected.extend(last + 1 - u64::from(count)..=last);
                }
            }
            Step::Reconnect => {
                through = 0;
                client = server.client("").await;
                followed = client.read(request(asked(view, &seen))).await.unwrap().into_inner();
            }
            Step::Read(count) => {
                for _ in 0..count {
                    if seen.len() == expected.len() {
                        break;
                    }
                    take(&mut followed, &mut seen, &mut through).await;
                }
            }
        }
    }
    while seen.len() < expected.len() {
        take(&mut followed, &mut seen, &mut through).await;
    }
    assert_eq!(seen, expected);
    // Nothing comes twice: what is next is the next event, of a stream that all of them want.
    let last = server.foreign("c-2", &["A"]).0.max(server.foreign("c-1", &["A"]).0);
    let wanted = if view == View::Stream || view == View::Filtered { 1 } else { 2 };
    for _ in 0..wanted {
        let next = position(&next_event(&mut followed).await);
        assert!(next == last || next == last - 1, "{next} and not {last}");
    }
    server.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_subscription_delivers_the_log_in_order_and_once(
        view in prop_oneof![Just(View::All), Just(View::Filtered), Just(View::Stream), Just(View::Category)],
        steps in steps(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(run(view, steps));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_subscriptions_follow_many_writers() {
    let server = start().await;
    let mut readers = Vec::new();
    for n in 0..100_u8 {
        let mut client = server.client("").await;
        let view = [View::All, View::Filtered, View::Stream, View::Category][usize::from(n % 4)];
        let mut followed = client.read(request(asked(view, &[]))).await.unwrap().into_inner();
        readers.push(tokio::spawn(async move {
            let mut seen = Vec::new();
            loop {
                let event = next_event(&mut followed).await;
                if recorded(&event).metadata["type"] == "Last" {
                    return (view, seen);
                }
                seen.push(position(&event));
            }
        }));
    }
    let log = std::sync::Arc::clone(&server.log);
    let writers = (0..4_u8).map(|writer| {
        let log = std::sync::Arc::clone(&log);
        tokio::task::spawn_blocking(move || {
            for n in 0..500_u128 {
                let id = prooflog_events::ids::EventId((u128::from(writer) << 64 | (n + 1)).to_be_bytes());
                let record = prooflog_log::NewRecord::foreign(
                    name(writer),
                    id,
                    "A",
                    prooflog_events::envelope::Content::Json,
                    b"{}".to_vec(),
                );
                let by = prooflog_log::By::Client("ann".to_owned());
                log.append(prooflog_log::Append::new(by, clock(), vec![record])).unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let streams: Vec<String> = events(&mut server.client("").await, all())
        .await
        .iter()
        .map(|event| {
            let name = &recorded(event).stream_identifier.as_ref().unwrap().stream_name;
            String::from_utf8(name.to_vec()).unwrap()
        })
        .collect();
    server.foreign("c-1", &["Last"]);
    server.foreign("c-2", &["Last"]);
    for reader in readers {
        let (view, seen) = reader.await.unwrap();
        let expected: Vec<u64> =
            (1..).zip(&streams).filter(|(_, stream)| is_wanted(view, stream)).map(|(at, _)| at).collect();
        assert_eq!(seen, expected, "{view:?}");
    }
    server.stop().await;
}
