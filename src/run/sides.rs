//! The outside of every rollup, as far as it is reached.
//!
//! A rollup is starting, running or stopped. Calls for one that is not running wait; they stay owed, and nothing of
//! another rollup waits with them. What a crash means: the next start reaches everything again.

use std::collections::BTreeMap;
use std::sync::Arc;

use prooflog_config::ChainConfig;
use prooflog_events::ids::{Address, ChainId, SignerId};
use prooflog_l1::L1;
use prooflog_node::{L2Node, RollupConfig, RollupNode};
use prooflog_prover::Prover;
use prooflog_signer::Signer;
use tokio::sync::watch;

/// One rollup's outside, reached and found to be what the configuration says.
pub(crate) struct Side {
    pub(crate) config: ChainConfig,
    pub(crate) l1: L1,
    pub(crate) node: RollupNode,
    pub(crate) l2: Option<L2Node>,
    pub(crate) prover: Prover,
    /// The account that sends.
    pub(crate) sender: Address,
    /// Who signs for it; nobody where we only observe.
    pub(crate) signer: Option<Signer>,
    /// The rollup's configuration, as its node tells it.
    pub(crate) rollup: RollupConfig,
}

/// All rollups that run.
#[derive(Clone)]
pub(crate) struct Sides(watch::Sender<BTreeMap<ChainId, Arc<Side>>>);

impl Default for Sides {
    fn default() -> Self {
        Self(watch::Sender::new(BTreeMap::new()))
    }
}

impl Sides {
    /// A rollup runs.
    pub(crate) fn add(&self, side: Arc<Side>) {
        self.0.send_modify(|sides| drop(sides.insert(side.config.id, side)));
    }

    /// Those that run now.
    pub(crate) fn all(&self) -> Vec<Arc<Side>> {
        self.0.borrow().values().cloned().collect()
    }

    /// The outside of a rollup; waits until it runs.
    pub(crate) async fn of(&self, chain: ChainId) -> Arc<Side> {
        self.find(|side| side.config.id == chain).await
    }

    /// A rollup's outside that knows the account's L1; waits until one runs. One whose own account it is comes first.
    pub(crate) async fn on_l1(&self, signer: SignerId) -> Arc<Side> {
        let owner = |side: &Side| side.l1.chain() == signer.l1 && side.sender == signer.address;
        if let Some(side) = self.now(owner) {
            return side;
        }
        self.find(|side| side.l1.chain() == signer.l1).await
    }

    /// A rollup's outside that signs for the account; waits until one runs.
    pub(crate) async fn of_signer(&self, signer: SignerId) -> Arc<Side> {
        self.find(|side| {
            side.l1.chain() == signer.l1 && side.sender == signer.address && side.signer.is_some()
        })
        .await
    }

    fn now(&self, is_it: impl Fn(&Side) -> bool) -> Option<Arc<Side>> {
        self.0.borrow().values().find(|side| is_it(side)).cloned()
    }

    async fn find(&self, is_it: impl Fn(&Side) -> bool) -> Arc<Side> {
        let mut sides = self.0.subscribe();
        loop {
            let found = sides.borrow_and_update().values().find(|side| is_it(side)).cloned();
            if let Some(side) = found {
                return side;
            }
            if sides.changed().await.is_err() {
                // Nobody adds sides any more: the process is ending, and this call ends with it.
                std::future::pending::<()>().await;
            }
        }
    }
}
