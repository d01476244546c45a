//! Which proof ids the prover seems to have forgotten.
//!
//! A 500 says nothing by itself: the server gives it for an unknown id and for any trouble of its own. So an id counts as
//! lost only after a number of failures over a length of time, and a failure counts only if the server answered another
//! question since the last one that counted: while it answers nobody, nothing is lost. The adapters ask this on their way
//! to an answer, in production and in the simulator, each with its own clock and its own names for ids. Kept in memory
//! only: after a restart the counting begins again, which delays and never decides wrongly.

use std::collections::BTreeMap;
use std::time::Duration;

use prooflog_events::policy::Policy;

/// Ids whose failures are remembered; the ones that failed longest ago are forgotten first.
const IDS_MAX: usize = 4_096;
/// Fulfilled answers without bytes after which a proof counts as lost.
const EMPTY_MAX: u32 = 3;

/// When an id counts as lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Failures needed.
    pub lost_after: u32,
    /// Time from the first to the last of them.
    pub grace: Duration,
}

impl From<&Policy> for Patience {
    fn from(policy: &Policy) -> Self {
        Self { lost_after: policy.lost_after, grace: Duration::from_secs(policy.lost_grace_secs) }
    }
}

#[derive(Debug)]
struct Misses {
    since: Duration,
    last: Duration,
    /// Failures of any kind.
    all: u32,
    /// Failures with an answer of the server to another question before them.
    counted: u32,
    /// Answers of the server when the last failure was counted.
    answers: u64,
    /// Fulfilled answers without bytes.
    empty: u32,
}

/// The failures of all ids of one server. Moments are told by the time since any fixed one.
#[derive(Debug)]
pub struct Losses<Id> {
    answers: u64,
    misses: BTreeMap<Id, Misses>,
}

impl<Id> Default for Losses<Id> {
    fn default() -> Self {
        Self { answers: 0, misses: BTreeMap::new() }
    }
}

impl<Id: Ord + Clone> Losses<Id> {
    /// The server answered a question that is not about an id.
    pub fn answered(&mut self) {
        self.answers = self.answers.saturating_add(1);
    }

    /// The server answered for an id, and all is well with it.
    pub fn answered_for(&mut self, id: &Id) {
        self.answered();
        self.misses.remove(id);
    }

    /// A question for an id failed. The number of failures, if it counts as lost now.
    pub fn failed(&mut self, id: &Id, patience: Patience, now: Duration) -> Option<u32> {
        let answers = self.answers;
        let misses = self.misses_of(id, now);
        misses.all = misses.all.saturating_add(1);
        if misses.counted == 0 {
            misses.since = now;
        }
        if misses.counted == 0 || answers > misses.answers {
            misses.counted = misses.counted.saturating_add(1);
            misses.answers = answers;
        }
        let over = now.saturating_sub(misses.since);
        if misses.counted < patience.lost_after.max(1) || over < patience.grace {
            return None;
        }
        let all = misses.all;
        self.misses.remove(id);
        Some(all)
    }

    /// An id is fulfilled, and no bytes came. The number of such answers, if it counts as lost now.
    pub fn empty(&mut self, id: &Id, now: Duration) -> Option<u32> {
        self.answered();
        let answers = self.answers;
        let misses = self.misses_of(id, now);
        // An answer for the id itself is no answer to another question.
        misses.answers = answers;
        misses.empty = misses.empty.saturating_add(1);
        let empty = misses.empty;
        if empty < EMPTY_MAX {
            return None;
        }
        self.misses.remove(id);
        Some(empty)
    }

    fn misses_of(&mut self, id: &Id, now: Duration) -> &mut Misses {
        if self.misses.len() >= IDS_MAX && !self.misses.contains_key(id) {
            let oldest = self.misses.iter().min_by_key(|(_, misses)| misses.last).map(|(id, _)| id.clone());
            oldest.and_then(|id| self.misses.remove(&id));
        }
        let misses = self.misses.entry(id.clone()).or_insert(Misses {
            since: now,
            last: now,
            all: 0,
            counted: 0,
            answers: 0,
            empty: 0,
        });
        misses.last = now;
        misses
    }
}

#[cfg(test)]
mod tests {
    use prooflog_events::ids::ProofId;

    use super::*;

    const START: Duration = Duration::from_secs(1_000);
    const PATIENCE: Patience = Patience { lost_after: 3, grace: Duration::from_secs(100) };

    fn id(n: u32) -> ProofId {
        ProofId(n.to_be_bytes().to_vec())
    }

    #[test]
    fn an_id_is_lost_after_enough_failures_over_enough_time_between_other_answers() {
        let mut losses = Losses::default();
        let at = |secs| START + Duration::from_secs(secs);
        for secs in [0, 40, 80] {
            assert_eq!(losses.failed(&id(1), PATIENCE, at(secs)), None);
            losses.answered_for(&id(2));
        }
        assert_eq!(losses.failed(&id(1), PATIENCE, at(120)), Some(4));
        assert_eq!(losses.failed(&id(1), PATIENCE, at(121)), None, "counting begins again");
    }

    #[test]
    fn nothing_is_lost_while_the_server_answers_nobody() {
        let mut losses = Losses::default();
        losses.answered();
        for n in 0..1_000 {
            let now = START + Duration::from_secs(n * 60);
            assert_eq!(losses.failed(&id(1), PATIENCE, now), None);
            assert_eq!(losses.failed(&id(2), PATIENCE, now), None);
        }
    }

    #[test]
    fn one_answer_for_the_id_makes_up_for_all_failures() {
        let mut losses = Losses::default();
        for n in 0..50 {
            losses.answered();
            assert_eq!(losses.failed(&id(1), PATIENCE, START + Duration::from_secs(n * 60)), None);
            losses.answered_for(&id(1));
        }
    }

    #[test]
    fn many_failures_at_once_are_no_loss() {
        let mut losses = Losses::default();
        for n in 0..99 {
            losses.answered();
            assert_eq!(losses.failed(&id(1), PATIENCE, START + Duration::from_secs(n)), None);
        }
    }

    #[test]
    fn the_third_fulfilled_answer_without_bytes_is_a_loss() {
        let (mut losses, now) = (Losses::default(), START);
        assert_eq!(losses.empty(&id(1), now), None);
        assert_eq!(losses.empty(&id(2), now), None);
        assert_eq!(losses.empty(&id(1), now), None);
        assert_eq!(losses.failed(&id(1), PATIENCE, now), None, "a failure between does not matter");
        assert_eq!(losses.empty(&id(1), now), Some(3));
        assert_eq!(losses.empty(&id(1), now), None);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_failures_go_first() {
        let mut losses = Losses::default();
        for n in 0..5_000 {
            losses.failed(&id(n), PATIENCE, START + Duration::from_secs(u64::from(n)));
        }
        assert_eq!(losses.misses.len(), IDS_MAX);
        assert!(!losses.misses.contains_key(&id(0)) && losses.misses.contains_key(&id(4_999)));
    }
}
