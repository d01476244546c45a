//! Changes of behaviour: what released rules decide otherwise than those before them.
//!
//! One entry for each growth of [`crate::BEHAVIOUR`], written with the change and reviewed with it. A replay expects
//! decisions that were recorded under earlier rules to differ in these events, and in no others. What a crash in here
//! means: nothing; it is a table.

use prooflog_events::event::EventType;

/// One change of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleChange {
    /// The [`crate::BEHAVIOUR`] that brought it: what was decided below it may differ.
    pub behaviour: u32,
    /// What is decided otherwise, and why.
    pub about: &'static str,
    /// Types of the events that are decided otherwise, or no longer, or newly.
    pub events: &'static [EventType],
}

/// All of them, in the order in which they came.
pub const CHANGES: &[RuleChange] = &[
    RuleChange {
        behaviour: 2,
        about: "after a start nothing is bought or sent before nodes and server are compared with the contract again",
        events: &[
            EventType::OutputChecked,
            EventType::ContractConfigValidated,
            EventType::ContractConfigRejected,
            EventType::WitnessGenStarted,
            EventType::AggQueued,
            EventType::CheckpointStarted,
            EventType::SubmissionStarted,
            EventType::SubmissionRefused,
            EventType::TxReserved,
        ],
    },
    RuleChange {
        behaviour: 2,
        about: "transactions that revert in a row wait longer each time and park their aggregate in the end",
        events: &[
            EventType::SubmissionReverted,
            EventType::Retried,
            EventType::Parked,
            EventType::TxReserved,
            EventType::CheckpointStarted,
        ],
    },
    RuleChange {
        behaviour: 2,
        about: "requests of a shared account go to the rollup with the oldest unsettled block, and a probe does not wait for old requests",
        events: &[EventType::WitnessGenStarted],
    },
    RuleChange {
        behaviour: 2,
        about: "failures that cost nothing park no unit and stretch no pause; a flush waits for its block; a drain submits",
        events: &[EventType::Retried, EventType::Parked, EventType::SpanCreated, EventType::FlushRequested],
    },
    RuleChange {
        behaviour: 2,
        about: "root mismatch and a low balance are left once and for all, and proofs are kept until their output is confirmed",
        events: &[
            EventType::DegradedModeEntered,
            EventType::DegradedModeLeft,
            EventType::OutputMismatched,
            EventType::SignerBalanceLow,
            EventType::SignerBalanceRestored,
            EventType::ProofPruned,
        ],
    },
    RuleChange {
        behaviour: 3,
        about: "where an account has too few slots for all that wait, what has waited longest gets the next one",
        events: &[EventType::CheckpointStarted, EventType::SubmissionStarted, EventType::TxReserved],
    },
    RuleChange {
        behaviour: 3,
        about: "a request that was taken times out when the server says after its limit that it is not there, and not because nobody could ask",
        events: &[
            EventType::TimedOut,
            EventType::Retried,
            EventType::Split,
            EventType::SpanCreated,
            EventType::Parked,
            EventType::ProverDegraded,
            EventType::WitnessGenStarted,
        ],
    },
    RuleChange {
        behaviour: 3,
        about: "the server is compared with the contract again before each request of an aggregate, and after it could not be reached",
        events: &[EventType::ContractConfigValidated, EventType::WitnessGenStarted],
    },
    RuleChange {
        behaviour: 4,
        about: "the proof of a span that was halved takes the place of halves that are not all proven, and other late answers about it are on record",
        events: &[
            EventType::Invalidated,
            EventType::ProofFulfilled,
            EventType::LateAnswerRecorded,
            EventType::ProverRecovered,
            EventType::AggQueued,
            EventType::WitnessGenStarted,
        ],
    },
    RuleChange {
        behaviour: 4,
        about: "what the fee ceiling keeps back, and statuses of proofs that nobody knows, are on record",
        events: &[EventType::FeeCeilingReached, EventType::UnknownStatusRecorded],
    },
    RuleChange {
        behaviour: 5,
        about: "a request that no prover took says nothing of its unit when its time is over",
        events: &[
            EventType::Retried,
            EventType::Split,
            EventType::SpanCreated,
            EventType::Parked,
            EventType::WitnessGenStarted,
        ],
    },
    RuleChange {
        behaviour: 5,
        about: "outputs deleted below another output hold submission too, and another root invalidates every member",
        events: &[EventType::Paused, EventType::Invalidated],
    },
    RuleChange {
        behaviour: 5,
        about: "a rollup whose submitting is paused holds up no other of its account, and what may be refused is asked before the clock",
        events: &[
            EventType::TxReserved,
            EventType::CheckpointStarted,
            EventType::SubmissionStarted,
            EventType::DegradedModeEntered,
        ],
    },
    RuleChange {
        behaviour: 6,
        about: "a proof that is kept until its output is confirmed keeps no other from being pruned",
        events: &[EventType::ProofPruned],
    },
    RuleChange {
        behaviour: 6,
        about: "a transaction that no pool took is sent again as it is, and its fees stay where they are",
        events: &[EventType::TxReplaced, EventType::TxDropped, EventType::FeeCeilingReached],
    },
    RuleChange {
        behaviour: 6,
        about: "only what ran out of gas is given more of it the next time",
        events: &[EventType::TxReserved, EventType::SignerBalanceLow, EventType::SignerBalanceRestored],
    },
    RuleChange {
        behaviour: 6,
        about: "proofs that our account may not submit are not bought",
        events: &[EventType::WitnessGenStarted],
    },
    RuleChange {
        behaviour: 6,
        about: "requests whose commitments the contract accepts again go on where they were",
        events: &[
            EventType::Restored,
            EventType::SpanCreated,
            EventType::WitnessGenStarted,
            EventType::AggQueued,
        ],
    },
    RuleChange {
        behaviour: 6,
        about: "a refusal of an output without a proof is on record, and its root is agreed again at an L1 block that the contract sees",
        events: &[
            EventType::SubmissionRefused,
            EventType::OutputChecked,
            EventType::TxReserved,
            EventType::TxReplaced,
            EventType::TxAbandoned,
        ],
    },
    RuleChange {
        behaviour: 6,
        about: "a text that is put together or an operator's, and longer than 4 KiB, says how much of it is missing",
        events: &[
            EventType::Parked,
            EventType::Cancelled,
            EventType::Paused,
            EventType::EngineStopped,
            EventType::DegradedModeEntered,
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::CHANGES;
    use crate::BEHAVIOUR;

    #[test]
    fn every_growth_of_the_behaviour_says_what_changed() {
        assert!(CHANGES.is_sorted_by_key(|change| change.behaviour));
        for behaviour in (2..).take_while(|behaviour| *behaviour <= BEHAVIOUR) {
            assert!(CHANGES.iter().any(|change| change.behaviour == behaviour), "nothing for {behaviour}");
        }
        for change in CHANGES {
            assert!(change.behaviour <= BEHAVIOUR, "{change:?}");
            assert!(!change.events.is_empty(), "{change:?}");
        }
    }
}
