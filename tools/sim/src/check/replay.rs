//! Recorded inputs, decided again by today's `decide`, give the recorded events; and the fold takes every event.

use prooflog_core::{decide, other_clocks};
use prooflog_events::ids::{Micros, Position};
use prooflog_events::port::Sequence;
use prooflog_log::Log;
use prooflog_projections::{Fact, Stats, Timeline, laws};

use super::{Batch, Checker};

/// What people are shown, folded event by event as each was heard of, across every restart.
#[derive(Debug, Default)]
pub(super) struct Shown {
    stats: Stats,
    timeline: Timeline,
}

impl Shown {
    fn take(&mut self, fact: &Fact<'_>) {
        self.stats.apply(fact);
        self.timeline.apply(fact);
    }
}

impl Checker {
    /// Timeline and statistics, made anew from the empty log, are those that grew with it.
    pub fn rebuilt<S: Sequence>(&mut self, log: &Log<S>, now: Micros) {
        let Some(grown) = self.shown.take() else { return };
        let mut anew = Shown::default();
        let folded = prooflog_replay::for_each_fact(&log.reader(), Position(1), self.heard.0, &mut |fact| {
            anew.take(fact);
            Ok(())
        });
        if let Err(error) = folded {
            return self.violate("fold", now, error.to_string());
        }
        if anew.stats.digest() != grown.stats.digest() {
            self.violate("fold", now, "statistics made anew are other ones".to_owned());
        }
        if anew.timeline.digest() != grown.timeline.digest() {
            self.violate("fold", now, "a timeline made anew is another one".to_owned());
        }
    }

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
            if let Some(shown) = &mut self.shown {
                shown.take(&fact);
            }
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
