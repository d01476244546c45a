//! The log for clients of the EventStore protocol: beside the engine, or over the log of another process.
//!
//! It reads what is durable and takes no turn in the loop; appends of clients go through the log's own door, where the
//! engine's batches stand too. What a crash means: clients come back with the last place that they saw.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prooflog_access::{AccessError, Users};
use prooflog_config::{EventStoreConfig, Loaded, ProcessConfig};
use prooflog_eventstore::{
    Authority, Beside, Door, FileCheckpoints, Guests, Here, Served, Server, Source, Tls, Writing,
};
use prooflog_log::Log;
use prooflog_observe::Metrics;
use prooflog_store::{FollowerStore, RocksStore};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{RunError, Signals, logging, secrets};

/// How often a log that another process writes is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Where it is kept, in the data directory, how far consumers of persistent subscriptions came.
const CONSUMERS: &str = "consumers";

/// A server that can be ended.
pub(super) struct Serving {
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Serving {
    /// Ends it in order: clients are told to come back.
    pub(super) async fn end(self) {
        drop(self.stop);
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the EventStore interface ended"),
            Err(error) => tracing::error!(%error, "the EventStore interface died"),
        }
    }
}

/// Serves the log that this process writes, if it is told to.
pub(super) async fn here(
    process: &ProcessConfig,
    log: &Arc<Log<RocksStore>>,
    metrics: &Metrics,
) -> Result<Option<Serving>, RunError> {
    if !process.eventstore.listener.enabled {
        return Ok(None);
    }
    let here = Arc::new(Here::new(Arc::clone(log)));
    let writing = process.eventstore.write.then(|| writing(process, Arc::clone(&here) as _));
    let metrics = metrics.clone();
    let served: Arc<Served> = Arc::new(move |method, took| metrics.served(method, took));
    serve(process, here, (writing, Some(served))).await.map(Some)
}

/// `prooflog serve`: serves a log that it does not write, until it is told to end.
pub(crate) fn run(process: &ProcessConfig) -> Result<(), RunError> {
    let logs = logging(process, secrets::none())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(RunError::io("starting the runtime"))?;
    let result = runtime.block_on(beside(process));
    runtime.shutdown_timeout(Duration::from_secs(1));
    logs.flush();
    result
}

async fn beside(process: &ProcessConfig) -> Result<(), RunError> {
    let mut told_to_end = Signals::listen()?;
    let records = Arc::new(FollowerStore::open(&process.data_dir)?);
    if process.eventstore.write {
        tracing::warn!("eventstore.write has no effect here: only the engine's process writes the log");
    }
    let serving = serve(process, Arc::new(Beside::new(records, LOOK)), (None, None)).await?;
    let reason = told_to_end.any().await;
    tracing::info!(reason, "ending");
    serving.end().await;
    Ok(())
}

async fn serve(
    process: &ProcessConfig,
    source: Arc<dyn Source>,
    (writing, served): (Option<Writing>, Option<Arc<Served>>),
) -> Result<Serving, RunError> {
    let EventStoreConfig { listener, .. } = &process.eventstore;
    let address = std::net::SocketAddr::new(listener.addr, listener.port);
    let authority = authority(process)?;
    let tls = tls(&process.eventstore, &process.data_dir)?;
    let refused = |source| RunError::Listen { address: address.to_string(), flag: "eventstore.port", source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    tracing::info!(address = %bound, tls = tls.is_some(), writes = writing.is_some(), "EventStore clients");
    let advertise = process.eventstore.advertise.clone();
    let checkpoints = Arc::new(FileCheckpoints::new(process.data_dir.join(CONSUMERS)));
    let server = Server { writing, served, tls, advertise, checkpoints, ..Server::new(source, authority) };
    let (stop, stopped) = oneshot::channel::<()>();
    let until = async move { drop(stopped.await) };
    let task = tokio::spawn(prooflog_eventstore::serve(listener, server, until));
    Ok(Serving { stop, task })
}

fn authority(process: &ProcessConfig) -> Result<Arc<dyn Authority>, RunError> {
    let users = users(process)?;
    Ok(if process.eventstore.guests { Arc::new(Guests(users)) } else { Arc::new(users) })
}

/// The users of this data directory, as `prooflog users` changes them.
pub(super) fn users(process: &ProcessConfig) -> Result<Users, RunError> {
    let told = |error: &AccessError| tracing::error!(%error, "the users did not change");
    Ok(Users::load(&process.data_dir.join("users.toml"), told)?)
}

fn tls(eventstore: &EventStoreConfig, data_dir: &Path) -> Result<Option<Tls>, RunError> {
    let EventStoreConfig { tls, tls_cert, tls_key, .. } = eventstore;
    if !tls {
        return Ok(None);
    }
    Ok(Some(match (tls_cert, tls_key) {
        (Some(cert), Some(key)) => Tls::from_files(cert, key)?,
        _ => Tls::made_in(data_dir)?,
    }))
}

/// Clients may write as long as the engine has ample room for its own.
fn writing(process: &ProcessConfig, door: Arc<dyn Door>) -> Writing {
    let (dir, minimum) = (process.data_dir.clone(), process.min_free_bytes);
    let room = move || prooflog_store::free_space(&dir).is_ok_and(|free| is_ample(free, minimum));
    let (own, bytes_per_day) = (process.eventstore.write_to.clone(), process.eventstore.write_per_day);
    Writing { own, bytes_per_day, room: Arc::new(room), ..Writing::new(door) }
}

/// Whether a disk with this much room is for outsiders too: they stop at twice the space at which the engine does, so
/// that they never bring it there.
const fn is_ample(free: u64, minimum: u64) -> bool {
    free >= minimum.saturating_mul(2)
}

/// What of the settings of this interface could not be had; nothing is opened for it but files.
pub(super) fn examine(loaded: &Loaded) -> Result<(), RunError> {
    authority(&loaded.process)?;
    let EventStoreConfig { tls_cert: Some(cert), tls_key: Some(key), tls: true, .. } =
        &loaded.process.eventstore
    else {
        return Ok(());
    };
    Tls::from_files(cert, key)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_ample;

    #[test]
    fn outsiders_stop_at_twice_the_space_at_which_the_engine_stops() {
        assert!(is_ample(200, 100));
        assert!(!is_ample(199, 100));
        assert!(!is_ample(u64::MAX - 1, u64::MAX));
    }
}
