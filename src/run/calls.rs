//! How often the outside was asked, told to the metrics at each scrape.
//!
//! The clients count their calls themselves; here the difference to the last look is taken. What a crash in here means:
//! counts begin at 0 again, as all counts of a process do.

use std::sync::{Arc, Mutex, PoisonError};

use prooflog_net::{Meter, Told};
use prooflog_observe::{Metrics, Peer};

use super::failure::Kind;
use super::sides::Sides;
use super::start::L1s;

/// What tells the metrics of every call.
pub(crate) fn meter(metrics: &Metrics) -> Meter {
    let metrics = metrics.clone();
    Meter::new(move |told| match told {
        Told::Sent { method } => metrics.sent(method),
        Told::Answered { method, took, failure } => {
            metrics.answered(method, took, failure.map(|failure| failure.kind()));
        }
    })
}

/// All clients of the process.
#[derive(Clone)]
pub(crate) struct Calls {
    l1s: L1s,
    sides: Sides,
    told: Arc<Mutex<[u64; 4]>>,
}

/// The outside systems whose clients count.
const PEERS: [Peer; 4] = [Peer::L1, Peer::RollupNode, Peer::L2, Peer::Prover];

impl Calls {
    pub(crate) fn new(l1s: L1s, sides: Sides) -> Self {
        Self { l1s, sides, told: Arc::default() }
    }

    /// Tells what was asked since the last time.
    pub(crate) fn tell(&self, metrics: &Metrics) {
        let sides = self.sides.all();
        let sum = |count: fn(&super::sides::Side) -> u64| sides.iter().map(|side| count(side)).sum();
        let made: [u64; 4] = [
            self.l1s.calls(),
            sum(|side| side.node.calls()),
            sum(|side| side.l2.as_ref().map_or(0, prooflog_node::L2Node::calls)),
            sum(|side| side.prover.calls()),
        ];
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for ((peer, made), told) in PEERS.into_iter().zip(made).zip(told.iter_mut()) {
            metrics.called(peer, made.saturating_sub(*told));
            *told = made.max(*told);
        }
    }
}
