//! What a subscription delivers, whatever happens, is the log: in order, once.

use std::ops::ControlFlow;
use std::sync::Arc;

use prooflog_events::envelope::Peek;
use prooflog_events::ids::{LogId, Position};
use prooflog_events::port::{Direction, Sequence};
use prooflog_eventstore::wire::streams::read_req::options::{self as o, FilterOptions};
use prooflog_eventstore::wire::streams::read_resp::Content as Answer;
use prooflog_eventstore::wire::streams::{ReadResp, read_req};
use prooflog_log::Log;
use prooflog_store::{OpenOptions, open};
use proptest::prelude::*;
use tonic::Streaming;

use crate::common::*;

#[derive(Debug, Clone)]
enum Step {
    /// So many events of one of some types to one of some streams.
    Append(u8, u8, u8),
    /// The subscription's client goes away, and comes back after the last event, or after the last checkpoint, that
    /// it saw.
    Reconnect,
    /// Deliver what is there.
    Read(u8),
}

const STREAMS: [&str; 5] = ["c-1", "c-2", "d-1", "plain", "$sys-1"];
const TYPES: [&str; 3] = ["A", "Ab", "$b"];

/// What a filter asks, with the same in words of our own.
#[derive(Debug, Clone, Copy)]
enum Pick {
    Prefixes(&'static [&'static str]),
    Regex(&'static str, fn(&str) -> bool),
}

const PICKS: [Pick; 7] = [
    Pick::Prefixes(&["c-2", "p"]),
    Pick::Prefixes(&["A"]),
    Pick::Prefixes(&["Ab", "$"]),
    Pick::Prefixes(&["nobody"]),
    Pick::Regex("^[^$].*", |text| !text.starts_with('$')),
    Pick::Regex(r"^(?!(\$.+$|PersistentConfig\d+$|Result$))", |text| !text.starts_with('$')),
    Pick::Regex("1$|b", |text| text.ends_with('1') || text.contains('b')),
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum View {
    All,
    /// By type or by stream, which pick, and how many events between two checkpoints.
    Filtered(bool, usize, u8),
    Stream(&'static str),
    Category,
    Type(&'static str),
    Firsts,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..5_u8, 0..3_u8, 1..40_u8).prop_map(|(stream, kind, count)| Step::Append(stream, kind, count)),
        1 => Just(Step::Reconnect),
        3 => (1..60_u8).prop_map(Step::Read),
    ];
    proptest::collection::vec(step, 1..40)
}

fn views() -> impl Strategy<Value = View> {
    prop_oneof![
        1 => Just(View::All),
        5 => (any::<bool>(), 0..PICKS.len(), 1..20_u8).prop_map(|(by, pick, window)| View::Filtered(by, pick, window)),
        2 => proptest::sample::select(STREAMS.to_vec()).prop_map(View::Stream),
        1 => Just(View::Category),
        1 => proptest::sample::select(TYPES.to_vec()).prop_map(View::Type),
        1 => Just(View::Firsts),
    ]
}

fn name(stream: u8) -> String {
    STREAMS[usize::from(stream) % STREAMS.len()].to_owned()
}

fn is_wanted(view: View, event: &Peek<'_>) -> bool {
    let is_linked = !event.stream.starts_with('$');
    match view {
        View::All => true,
        View::Filtered(on_type, pick, _) => {
            let text = if on_type { event.type_name } else { event.stream };
            match PICKS[pick] {
                Pick::Prefixes(prefixes) => prefixes.iter().any(|prefix| text.starts_with(prefix)),
                Pick::Regex(_, means) => means(text),
            }
        }
        View::Stream(name) => event.stream == name,
        View::Category => event.stream.starts_with("c-"),
        View::Type(name) => is_linked && event.type_name == name,
        View::Firsts => is_linked && event.revision.0 == 0,
    }
}

/// What the log itself says that is to be delivered.
fn expected<S: Sequence>(log: &Log<S>, view: View) -> Vec<u64> {
    let mut found = Vec::new();
    let head = log.head().position;
    if head > Position::ZERO {
        let visit = &mut |position: Position, stored: &[u8]| {
            if is_wanted(view, &Peek::decode(stored).unwrap()) {
                found.push(position.0);
            }
            ControlFlow::Continue(())
        };
        log.sequence().scan(Position(1), head, Direction::Forward, visit).unwrap();
    }
    found
}

/// What was delivered.
#[derive(Default)]
struct Seen {
    events: Vec<u64>,
    /// Everything up to here was told to be considered.
    through: u64,
}

/// A subscription that goes on after what was seen: a position, or for streams a number of events.
fn asked(view: View, seen: &Seen) -> read_req::Options {
    let options = match view {
        View::All => all(),
        View::Filtered(on_type, pick, window) => {
            let (regex, prefix) = match PICKS[pick] {
                Pick::Prefixes(prefixes) => ("", prefixes),
                Pick::Regex(regex, _) => (regex, [].as_slice()),
            };
            let prefix = prefix.iter().map(|prefix| (*prefix).to_owned()).collect();
            let expression = o::filter_options::Expression { regex: regex.to_owned(), prefix };
            let filter = match on_type {
                true => o::filter_options::Filter::EventType(expression),
                false => o::filter_options::Filter::StreamIdentifier(expression),
            };
            let window = Some(o::filter_options::Window::Max(u32::from(window)));
            all().filtered(FilterOptions { checkpoint_interval_multiplier: 1, filter: Some(filter), window })
        }
        View::Stream(name) => stream(name),
        View::Category => stream("$ce-c").resolved(),
        View::Type(name) => stream(&format!("$et-{name}")).resolved(),
        View::Firsts => stream("$streams").resolved(),
    };
    let last = seen.events.last().copied().unwrap_or(0);
    let options = match view {
        View::All | View::Filtered(..) if last.max(seen.through) > 0 => options.at(last.max(seen.through)),
        View::All | View::Filtered(..) => options,
        _ if seen.events.is_empty() => options,
        _ => options.at(seen.events.len() as u64 - 1),
    };
    options.followed()
}

async fn take(followed: &mut Streaming<ReadResp>, seen: &mut Seen) {
    match next(followed).await {
        Answer::Event(event) => {
            let at = position(&event);
            assert!(at > seen.through, "{at} after a checkpoint at {}", seen.through);
            seen.events.push(at);
        }
        Answer::Checkpoint(checkpoint) => {
            assert!(checkpoint.commit_position > seen.through);
            seen.through = checkpoint.commit_position;
        }
        _ => {}
    }
}

async fn run<S: Sequence>(server: Fixture<S>, view: View, steps: Vec<Step>) {
    let mut client = server.client("").await;
    let mut seen = Seen::default();
    let mut followed = client.read(request(asked(view, &seen))).await.unwrap().into_inner();
    for step in steps {
        match step {
            Step::Append(stream, kind, count) => {
                let kinds = vec![TYPES[usize::from(kind) % TYPES.len()]; usize::from(count)];
                server.foreign(&name(stream), &kinds);
            }
            Step::Reconnect => {
                client = server.client("").await;
                followed = client.read(request(asked(view, &seen))).await.unwrap().into_inner();
                // A new subscription says how far it looked from its own beginning on.
                seen.through = 0;
            }
            Step::Read(count) => {
                let there = expected(&server.log, view).len();
                for _ in 0..count {
                    if seen.events.len() == there {
                        break;
                    }
                    take(&mut followed, &mut seen).await;
                }
            }
        }
    }
    let there = expected(&server.log, view);
    while seen.events.len() < there.len() {
        take(&mut followed, &mut seen).await;
    }
    assert_eq!(seen.events, there);
    // Nothing comes twice, and nothing that is not wanted: what is next is what the log holds next.
    for stream in STREAMS {
        server.foreign(stream, &TYPES);
    }
    let there = expected(&server.log, view);
    while seen.events.len() < there.len() {
        take(&mut followed, &mut seen).await;
    }
    assert_eq!(seen.events, there);
    server.stop().await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_subscription_delivers_the_log_in_order_and_once(view in views(), steps in steps()) {
        runtime().block_on(async { run(start().await, view, steps).await });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_subscription_delivers_the_log_on_disk_in_order_and_once(view in views(), steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = open(dir.path(), OpenOptions::or_create(LogId([7; 16])).ballast(0)).unwrap();
        let log = Arc::new(Log::open(store).unwrap());
        runtime().block_on(async { run(start_over(log, |_| ()).await, view, steps).await });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_subscriptions_follow_many_writers() {
    let server = start().await;
    let mut readers = Vec::new();
    for n in 0..100_u8 {
        let mut client = server.client("").await;
        let filtered = View::Filtered(false, 0, 4);
        let view = [View::All, filtered, View::Stream("c-1"), View::Category][usize::from(n % 4)];
        let mut followed = client.read(request(asked(view, &Seen::default()))).await.unwrap().into_inner();
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
    let log = Arc::clone(&server.log);
    let writers = (0..4_u8).map(|writer| {
        let log = Arc::clone(&log);
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
    let views = [View::All, View::Filtered(false, 0, 4), View::Stream("c-1"), View::Category];
    let there = views.map(|view| expected(&server.log, view));
    server.foreign("c-1", &["Last"]);
    server.foreign("c-2", &["Last"]);
    for reader in readers {
        let (view, seen) = reader.await.unwrap();
        let nth = views.iter().position(|one| *one == view).unwrap();
        assert_eq!(seen, there[nth], "{view:?}");
    }
    server.stop().await;
}
