//! Who looks on while the engine runs: metrics, health and the log of the process.

use std::time::{Duration, Instant};

use prooflog_events::ids::{Micros, Position, StreamId};
use prooflog_observe::{Health, Metrics, log_fact};
use prooflog_projections::Fact;
use prooflog_projections::state::chain::Chain;
use prooflog_service::{Decided, Watcher};

use crate::words::{held_by, rejected};

/// Tells what holds a rollup back, and whether it counts as stopped for it.
pub(crate) fn tell(health: &Health, chain: &Chain) {
    health.held_by(chain.id, held_by(chain));
    health.rejected(chain.id, rejected(chain));
}

/// Feeds metrics, health and logs.
pub(crate) struct Onlooker {
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
}

impl Watcher for Onlooker {
    fn decided(&mut self, decided: &Decided<'_>) {
        self.metrics.decided(decided.took);
        self.metrics.input(decided.input, decided.state.time);
        let told = decided.events.iter().filter_map(|event| match event.stream {
            StreamId::Chain(chain) => decided.state.chains.get(&chain),
            _ => None,
        });
        told.for_each(|chain| tell(&self.health, chain));
        let mut position = decided.first;
        for event in decided.events {
            let fact = Fact {
                position,
                stream: event.stream,
                revision: event.revision,
                time: decided.state.time,
                correlation: &event.correlation,
                event: event.event.clone(),
            };
            self.metrics.event(&fact);
            log_fact(&fact);
            position = position.next();
        }
    }

    fn durable(&mut self, position: Position, took: Duration) {
        self.metrics.appended(took, position);
    }

    fn beats(&mut self) {
        self.health.beat(Instant::now());
    }

    fn waits(&mut self, now: Micros, until: Option<Micros>) {
        // The loop never sleeps longer than a minute, and says so before it does.
        const IDLE: Duration = Duration::from_secs(60);
        let pause =
            until.map_or(IDLE, |until| Duration::from_micros(until.0.saturating_sub(now.0)).min(IDLE));
        self.health.waiting(Instant::now() + pause);
    }
}
