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
pub const CHANGES: &[RuleChange] = &[RuleChange {
    behaviour: 2,
    about: "an account that could not pay for a transaction counts as filled up once it could: before, a balance above \
            the warning limit and below the price was warned of and restored with every look",
    events: &[EventType::SignerBalanceLow, EventType::SignerBalanceRestored],
}];

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
