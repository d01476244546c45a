//! Recorded inputs, decided again by today's `decide`, give the recorded events; and the fold takes every event.

use prooflog_core::{clock_behind, clock_just_behind, decide};
use prooflog_events::event::Event;
use prooflog_events::ids::Micros;
use prooflog_events::values::DegradedReason;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::{Fact, laws};

use super::{Batch, Checker};

impl Checker {
    /// Decides a batch again and folds it.
    pub(super) fn replay(&mut self, batch: &Batch) {
        if self.replays {
            // Recorded time never runs backwards: where a clock did, what was decided tells how far.
            let clocks = self.clocks(batch);
            let mut broken = self.decided_at(batch, batch.time);
            if clocks.into_iter().any(|clock| broken.is_some() && self.decided_at(batch, clock).is_none()) {
                broken = None;
            }
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

    fn clocks(&self, batch: &Batch) -> Vec<Micros> {
        let told = batch.events.iter().find_map(|recorded| match &recorded.event {
            Event::DegradedModeEntered(e) if e.reason == DegradedReason::Clock => {
                clock_behind(&e.detail, batch.time)
            }
            _ => None,
        });
        let is_known = |chain: &Chain| chain.hold.degraded.contains_key(&DegradedReason::Clock);
        let known = self.shadow.chains.values().any(is_known).then(|| clock_just_behind(batch.time));
        told.into_iter().chain(known).collect()
    }
}
