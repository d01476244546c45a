//! The load: the same for each server, through the client that its makers publish.
//!
//! Appends of one event each by several writers, and a full read; every figure is taken at the client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use kurrentdb::{AppendToStreamOptions, Client, EventData, ReadAllOptions};
use umadb_client::{AsyncUmaDbClient, UmaDbClient};
use umadb_dcb::{DcbEvent, DcbEventStoreAsync as _};
use uuid::Uuid;

use crate::Outcome;
use crate::servers::{Process, Speaks};

const EVENT: [u8; 256] = [7; 256];
/// Events of one append while a log is filled.
const BATCH: u64 = 400;

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// Appends, those before the counting too.
    pub(crate) made: usize,
    pub(crate) per_second: f64,
    pub(crate) p99: Duration,
}

#[derive(Clone)]
enum Writer {
    Kurrent(Client),
    Uma(Arc<AsyncUmaDbClient>),
}

/// A server, with a connection for each writer.
pub(crate) struct Target {
    writers: Vec<Writer>,
    /// Streams that each writer goes round.
    streams: usize,
}

impl Target {
    pub(crate) async fn connect(server: &Process, writers: usize) -> Outcome<Self> {
        let mut all = Vec::with_capacity(writers);
        for _ in 0..writers {
            all.push(match server.speaks {
                Speaks::UmaDb => {
                    let client = UmaDbClient::new(format!("http://{}", server.address)).connect_async().await;
                    Writer::Uma(Arc::new(client.map_err(|error| error.to_string())?))
                }
                Speaks::EventStore | Speaks::Nothing => Writer::Kurrent(client(&server.address)?),
            });
        }
        // The first call makes the connection, which one client takes half a second for.
        let first = all.iter().map(|writer| writer.append("notes-greeting", 1));
        futures::future::try_join_all(first).await?;
        Ok(Self { writers: all, streams: 1 })
    }

    /// The same, going round so many streams.
    pub(crate) fn among(self, streams: usize) -> Self {
        Self { streams: streams / self.writers.len(), ..self }
    }

    /// One event per append, each writer waiting for its answer.
    pub(crate) async fn appends(&self, span: Duration) -> Outcome<Measured> {
        let begin = Instant::now() + span / 5;
        let end = begin + span;
        let tasks: Vec<_> = (0_usize..)
            .zip(&self.writers)
            .map(|(nth, writer)| {
                let (writer, streams) = (writer.clone(), self.streams);
                tokio::spawn(async move {
                    let names: Vec<String> = (0..streams).map(|one| format!("notes-{nth}-{one}")).collect();
                    let (mut made, mut times) = (0, Vec::new());
                    for name in names.iter().cycle() {
                        let now = Instant::now();
                        if now >= end {
                            break;
                        }
                        writer.append(name, 1).await?;
                        made += 1;
                        if now >= begin {
                            times.push(now.elapsed());
                        }
                    }
                    Outcome::Ok((made, times))
                })
            })
            .collect();
        let (mut made, mut times) = (0, Vec::new());
        for task in tasks {
            let (more, took) = task.await??;
            made += more;
            times.extend(took);
        }
        let per_second = times.len() as f64 / span.as_secs_f64();
        times.sort();
        let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
        Ok(Measured { made, per_second, p99 })
    }

    /// Events to be read.
    pub(crate) async fn fill(&self, events: u64) -> Outcome<()> {
        for at in (0..events).step_by(BATCH as usize) {
            self.writers[0].append("notes-filled", BATCH.min(events - at)).await?;
        }
        Ok(())
    }

    /// Everything from the beginning, at least `events`; events per second.
    pub(crate) async fn reads(&self, events: u64) -> Outcome<f64> {
        let begin = Instant::now();
        let mut count = 0_u64;
        match &self.writers[0] {
            Writer::Kurrent(client) => {
                let mut read = client.read_all(&ReadAllOptions::default()).await?;
                while read.next().await?.is_some() {
                    count += 1;
                }
            }
            Writer::Uma(client) => {
                let read = client.read(None, None, false, None).await;
                let mut read = read.map_err(|error| error.to_string())?;
                while let Some(event) = read.next().await {
                    event.map_err(|error| error.to_string())?;
                    count += 1;
                }
            }
        }
        if count < events {
            return Err(format!("only {count} events were read").into());
        }
        Ok(count as f64 / begin.elapsed().as_secs_f64())
    }
}

/// The official client, of the user who may write.
pub(crate) fn client(address: &str) -> Outcome<Client> {
    let settings =
        format!("kurrentdb://ann:changeit@{address}?tls=false").parse::<kurrentdb::ClientSettings>();
    Client::new(settings.map_err(|error| error.to_string())?).map_err(|error| error.to_string().into())
}

impl Writer {
    async fn append(&self, stream: &str, events: u64) -> Outcome<()> {
        match self {
            Self::Kurrent(client) => {
                let event = || EventData::binary("Measured", Bytes::from_static(&EVENT)).id(Uuid::new_v4());
                let events: Vec<EventData> = (0..events).map(|_| event()).collect();
                client.append_to_stream(stream, &AppendToStreamOptions::default(), events).await?;
            }
            Self::Uma(client) => {
                let event = || {
                    let event = DcbEvent::default().event_type("Measured").tags([stream]);
                    event.data(EVENT.as_slice()).uuid(Uuid::new_v4())
                };
                let events = (0..events).map(|_| event()).collect();
                client.append(events, None, None).await.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}
