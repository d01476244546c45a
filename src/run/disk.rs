//! Looks at the disk, so that nothing new is bought when there is soon no room to record it.

use std::path::PathBuf;
use std::time::Duration;

use prooflog_events::input::DiskRead;
use prooflog_service::Handle;

/// Between two looks.
const PACE: Duration = Duration::from_secs(10);

/// Tells the engine how much room is left, until it ends.
pub(crate) async fn watch(dir: PathBuf, minimum: u64, engine: Handle) {
    loop {
        let look = dir.clone();
        let free = tokio::task::spawn_blocking(move || prooflog_store::free_space(&look)).await;
        match free {
            Ok(Ok(free)) => {
                if engine.seen(DiskRead { free, minimum }).await.is_err() {
                    return;
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "the disk does not say how much room it has"),
            Err(_) => return,
        }
        tokio::time::sleep(PACE).await;
    }
}
