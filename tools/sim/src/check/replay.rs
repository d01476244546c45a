//! Recorded inputs, decided again by today's `decide`, give the recorded events; and the fold takes every event.

use prooflog_core::{decide, other_clocks};
use prooflog_events::ids::Micros;
use prooflog_projections::{Fact, laws};

use super::{Batch, Checker};

impl Checker {
    /// Decides a batch again and folds it.
    pub(super) fn replay(&mut self, batch: &Batch) {
        if self.replays {
            let events = batch.events.iter().map(|recorded| &recorded.event);
            let mut clocks = other_clocks(&self.shadow, batch.time, events).into_iter();
            let broken = self
                .decided_at(batch, batch.time)
                .filter(|_| !clocks.any(|clock| self.decided_at(batch, clock).is_none()));
            if let Some(text) = broken {
                self.violate("replay", batch.time, text);
            }
        }
        for recorded in &batch.events {
            let fact = Fact {
                position: recorded.position,
                stream: recorded.stream,
                revision: recorded.revision,
                time: batch.time,
                correlation: &recorded.correlation,
                event: recorded.event.clone(),
            };
            // With a rule switched off on purpose, the rules of its own must find it.
            if self.replays
                && let Err(broken) = laws::check(&self.shadow, &fact)
            {
                self.violate("laws", batch.time, broken.to_string());
            }
            if let Err(illegal) = self.shadow.apply(&fact) {
                self.violate("fold", batch.time, illegal.to_string());
            }
        }
        drop(self.shadow.take_touched());
    }

    /// What is decided otherwise at that clock.
    fn decided_at(&self, batch: &Batch, clock: Micros) -> Option<String> {
        let decision = match decide(&mut self.shadow.clone(), clock, &batch.input) {
            Err(error) => return Some(format!("{} is refused: {error}", batch.input.name())),
            Ok(decision) => decision,
        };
        let decided =
            decision.events.iter().map(|new| (new.stream, new.revision, &new.correlation, &new.event));
        let recorded =
            batch.events.iter().map(|old| (old.stream, old.revision, &old.correlation, &old.event));
        (!decided.eq(recorded)).then(|| {
            format!("{} leads to other events than recorded: {:?}", batch.input.name(), decision.events)
        })
    }
}
