//! Those who follow a log: a process of its own with so many subscriptions, which takes what comes.

use kurrentdb::{
    StreamPosition, SubscribeToAllOptions, SubscribeToStreamOptions, SubscriptionEvent, SubscriptionFilter,
};

use crate::Outcome;
use crate::load::client;

/// Subscriptions of one client, which is one connection.
const PER_CLIENT: usize = 100;

/// What each follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A stream of its own, as a page about one request does.
    Streams,
    /// Everything, through a filter for one stream of its own.
    Filtered,
    /// Everything.
    Everything,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Streams, Self::Filtered, Self::Everything];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Streams => "streams",
            Self::Filtered => "filtered",
            Self::Everything => "everything",
        }
    }

    pub(crate) fn words(self, count: usize) -> String {
        match self {
            Self::Streams => {
                format!("{count} live subscriptions, each to a stream of its own that is written")
            }
            Self::Filtered => format!("{count} live subscriptions to `$all`, each filtered to one stream"),
            Self::Everything => format!("{count} live subscriptions to all of `$all`"),
        }
    }

    /// What is to be reached; nothing where every append is sent thousands of times.
    pub(crate) const fn goal(self) -> Option<f64> {
        match self {
            Self::Streams | Self::Filtered => Some(0.9),
            Self::Everything => None,
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| format!("{name} is no kind"))
    }
}

/// Follows until it is killed; says so when all have caught up.
pub(crate) async fn run(address: &str, kind: Kind, count: usize) -> Outcome<()> {
    let (ready, mut waiting) = tokio::sync::mpsc::channel::<()>(1);
    for nth in 0..count.div_ceil(PER_CLIENT) {
        let client = client(address)?;
        for at in nth * PER_CLIENT..count.min((nth + 1) * PER_CLIENT) {
            // Four writers share the streams.
            let stream = format!("notes-{}-{}", at % 4, at / 4);
            let (client, ready) = (client.clone(), ready.clone());
            tokio::spawn(async move {
                let everything = SubscribeToAllOptions::default().position(StreamPosition::End);
                let mut followed = match kind {
                    Kind::Streams => {
                        let options = SubscribeToStreamOptions::default().start_from(StreamPosition::End);
                        client.subscribe_to_stream(stream, &options).await
                    }
                    Kind::Filtered => {
                        let filter = SubscriptionFilter::on_stream_name().add_prefix(stream);
                        client.subscribe_to_all(&everything.filter(filter)).await
                    }
                    Kind::Everything => client.subscribe_to_all(&everything).await,
                };
                let mut ready = Some(ready);
                loop {
                    match followed.next_subscription_event().await {
                        Ok(SubscriptionEvent::CaughtUp(_)) => drop(ready.take()),
                        Ok(_) => {}
                        Err(error) => {
                            eprintln!("a subscription ended: {error}");
                            return;
                        }
                    }
                }
            });
        }
    }
    drop(ready);
    // Nothing is sent: it ends when everybody has dropped their end.
    let _ = waiting.recv().await;
    println!("ready");
    std::future::pending().await
}
