//! What callers hold: bounded for all of them, and never what the others need.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use prooflog_access::{Role, User};
use prooflog_eventstore::Authority;
use prooflog_eventstore::wire::streams::ReadResp;
use prooflog_eventstore::wire::streams::read_resp::Content as Answer;
use prooflog_eventstore::wire::streams::streams_client::StreamsClient;
use tonic::{Code, Status, Streaming};

use crate::common::*;

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

/// A client that takes only what it asks for.
async fn narrow(server: &Fixture, user: &'static str) -> Clients {
    let endpoint =
        server.endpoint().initial_stream_window_size(65_535).initial_connection_window_size(16 << 20);
    StreamsClient::with_interceptor(endpoint.connect().await.unwrap(), As(user))
        .max_decoding_message_size(32 << 20)
}

async fn large_events(server: &Fixture, count: u128) {
    let mut ann = server.client("ann").await;
    for id in 1..=count {
        let mut large = proposed(id, "Large");
        large.data = vec![b' '; 1_000_000].into();
        append(&mut ann, "notes-1", ANY, vec![large]).await.unwrap();
    }
}

/// A read that has begun, of which nothing more is taken.
async fn stalled(client: &mut Clients) -> Streaming<ReadResp> {
    client.read(request(all())).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_readers_of_large_events_who_do_not_read_hold_little_and_shut_nobody_out() {
    let server = start().await;
    large_events(&server, 40).await;
    let before = resident();
    let guest = narrow(&server, "").await;
    let mut reads = Vec::new();
    for n in 0..1_100 {
        let mut guest = guest.clone();
        let options = if n % 2 == 0 { all() } else { all().followed() };
        reads.push(tokio::spawn(async move {
            let answers = guest.read(request(options)).await?;
            std::future::pending::<()>().await;
            drop(answers);
            Ok::<_, Status>(())
        }));
    }
    // Whoever shows who they are reads all of it meanwhile, and again.
    for _ in 0..3 {
        let mut eve = server.client("eve").await;
        assert_eq!(events(&mut eve, all()).await.len(), 40);
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 600 << 20, "{} MiB", grown >> 20);
    for read in &reads {
        read.abort();
    }
    drop((reads, guest));
    // What was held is there again, for guests too.
    assert_eq!(events(&mut server.client("").await, all()).await.len(), 40);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_nobody_takes_from_is_ended_and_its_place_is_anothers() {
    let server = start_with(|server| {
        server.limits.calls = 1;
        server.limits.stall = Duration::from_millis(50);
    })
    .await;
    large_events(&server, 10).await;
    let mut client = narrow(&server, "eve").await;
    let mut begun = stalled(&mut client).await;
    let mut other = server.client("ops").await;
    let again = tokio::time::timeout(PATIENCE, async {
        loop {
            match other.read(request(all().count(1))).await {
                Ok(answers) => return answers,
                Err(status) => assert_eq!(status.code(), Code::Unavailable),
            }
            tokio::task::yield_now().await;
        }
    });
    drop(again.await.unwrap());
    let ended = loop {
        match begun.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended well"),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), Code::DeadlineExceeded);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_do_not_take_the_last_places() {
    let server = start_with(|server| {
        server.limits.calls = 4;
        server.limits.subscriptions = 4;
    })
    .await;
    large_events(&server, 4).await;
    let mut guest = narrow(&server, "").await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(stalled(&mut guest).await);
    }
    assert_eq!(guest.read(request(all())).await.unwrap_err().code(), Code::Unavailable);
    let mut ann = server.client("ann").await;
    append(&mut ann, "notes-1", ANY, vec![proposed(1_000, "A")]).await.unwrap();
    drop(held);
    let mut followed = Vec::new();
    let open = tokio::time::timeout(PATIENCE, async {
        while followed.len() < 3 {
            // What was held may still be counted.
            followed.extend(guest.read(request(all().at_end().followed())).await.ok());
        }
    });
    open.await.unwrap();
    assert_eq!(guest.read(request(all().followed())).await.unwrap_err().code(), Code::Unavailable);
    let mut eve = server.client("eve").await.read(request(all().followed())).await.unwrap().into_inner();
    assert!(matches!(next(&mut eve).await, Answer::Confirmation(_)));
    server.stop().await;
}

/// `eve` is known at once; everybody else is thought about until the authority is let go.
#[derive(Default)]
struct Thoughtful {
    version: AtomicU64,
    /// Whether it still thinks, and how often each was asked about.
    state: Mutex<(bool, HashMap<String, usize>)>,
    changed: Condvar,
}

impl Authority for Thoughtful {
    fn check(&self, header: Option<&str>) -> Option<User> {
        let header = header?;
        let mut state = self.state.lock().unwrap();
        *state.1.entry(header.to_owned()).or_default() += 1;
        if header == "Basic eve" {
            return Some(User { name: "eve".to_owned(), role: Role::Read });
        }
        while !state.0 {
            state = self.changed.wait(state).unwrap();
        }
        None
    }

    fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }
}

const WRONG: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_wrong_passwords_waits_in_a_short_queue_and_not_before_the_right_ones() {
    let authority = Arc::new(Thoughtful::default());
    let here = Arc::clone(&authority);
    let server = start_with(|server| server.authority = here).await;
    let mut eve = server.client("eve").await;
    answers(&mut eve, all()).await.unwrap();
    // One connection, several users.
    let channel = server.channel().await;
    let mut calls = tokio::task::JoinSet::new();
    for user in WRONG {
        for _ in 0..2 {
            let mut client = StreamsClient::with_interceptor(channel.clone(), As(user));
            calls.spawn(async move { client.read(request(all())).await.unwrap_err().code() });
        }
    }
    // Of twelve, four wait, each with both of its calls; the others are told to come again.
    for _ in 0..16 {
        let refused = tokio::time::timeout(PATIENCE, calls.join_next()).await.unwrap();
        assert_eq!(refused.unwrap().unwrap(), Code::Unavailable);
    }
    // Who was right before is checked again meanwhile, because the users are others now.
    authority.version.fetch_add(1, Ordering::Relaxed);
    answers(&mut eve, all()).await.unwrap();
    answers(&mut eve, all()).await.unwrap();
    authority.state.lock().unwrap().0 = true;
    authority.changed.notify_all();
    while let Some(code) = calls.join_next().await {
        assert_eq!(code.unwrap(), Code::Unauthenticated);
    }
    let asked = authority.state.lock().unwrap().1.clone();
    assert_eq!(asked["Basic eve"], 2);
    assert_eq!(asked.len(), 5);
    assert!(asked.iter().all(|(who, times)| who == "Basic eve" || *times == 1), "{asked:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_user_who_is_removed_is_refused_although_they_were_remembered() {
    /// `ann` as long as the version is even.
    struct Changing(AtomicU64);
    impl Authority for Changing {
        fn check(&self, header: Option<&str>) -> Option<User> {
            let there = header == Some("Basic ann") && self.0.load(Ordering::Relaxed).is_multiple_of(2);
            there.then(|| User { name: "ann".to_owned(), role: Role::Annotate })
        }
        fn version(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }
    let authority = Arc::new(Changing(AtomicU64::new(0)));
    let here = Arc::clone(&authority);
    let server = start_with(|server| server.authority = here).await;
    let mut ann = server.client("ann").await;
    append(&mut ann, "notes-1", ANY, vec![proposed(1, "A")]).await.unwrap();
    authority.0.store(1, Ordering::Relaxed);
    let refused = append(&mut ann, "notes-1", ANY, vec![proposed(2, "A")]).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(server.stop().await.head().position.0, 1);
}
