//! Who may submit: the contract's rule for each generation, path and mode, as one function.
//!
//! The contract itself decides at submission; this says beforehand whether it will, so that nothing is bought in vain.
//! A crash in here loses a read.

use prooflog_events::values::Generation;

/// What the rule rests on, read at one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) generation: Generation,
    pub(crate) optimistic: bool,
    pub(crate) through_factory: bool,
    /// Whether the sender is approved.
    pub(crate) sender: bool,
    /// Whether the zero address is.
    pub(crate) everyone: bool,
    /// Timeout and time of the last proposal, in seconds; third generation.
    pub(crate) fallback: Option<(u64, u64)>,
    /// The block's time, in seconds.
    pub(crate) time: u64,
}

/// Why the sender may submit, or may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// The sender is on the list.
    Sender,
    /// The zero address is on the list: anyone may.
    Everyone,
    /// Nobody submitted for so long that anyone may.
    Fallback,
    /// It may not.
    No {
        /// Seconds until the fallback opens, where there is one.
        fallback_in: Option<u64>,
    },
}

impl Approval {
    pub(crate) fn of(facts: &Facts) -> Self {
        if facts.everyone {
            return Self::Everyone;
        }
        // The first generation looks at msg.sender, which is the game where a factory creates one; the others also look
        // at tx.origin. Optimistic submissions never pass through a factory.
        let is_seen = facts.generation != Generation::V1 || !facts.through_factory || facts.optimistic;
        if facts.sender && is_seen {
            return Self::Sender;
        }
        let Some((timeout, last)) = facts.fallback.filter(|_| !facts.optimistic) else {
            return Self::No { fallback_in: None };
        };
        let waited = facts.time.saturating_sub(last);
        if waited > timeout {
            return Self::Fallback;
        }
        Self::No { fallback_in: Some(timeout.saturating_sub(waited).saturating_add(1)) }
    }
}

impl std::fmt::Display for Approval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sender => f.write_str("the sender is approved"),
            Self::Everyone => f.write_str("anyone is approved (the zero address is on the list)"),
            Self::Fallback => {
                f.write_str("nobody submitted for longer than the fallback timeout: anyone may")
            }
            Self::No { fallback_in: Some(seconds) } => {
                write!(f, "the sender is not approved; the fallback opens in {seconds} s")
            }
            Self::No { fallback_in: None } => {
                f.write_str("the sender is not approved and there is no fallback")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Facts = Facts {
        generation: Generation::V3,
        optimistic: false,
        through_factory: false,
        sender: false,
        everyone: false,
        fallback: Some((100, 1_000)),
        time: 1_050,
    };

    #[test]
    fn the_fallback_opens_strictly_after_its_timeout() {
        assert_eq!(Approval::of(&NOBODY), Approval::No { fallback_in: Some(51) });
        assert_eq!(Approval::of(&Facts { time: 1_100, ..NOBODY }), Approval::No { fallback_in: Some(1) });
        assert_eq!(Approval::of(&Facts { time: 1_101, ..NOBODY }), Approval::Fallback);
    }

    #[test]
    fn optimistic_mode_knows_no_fallback() {
        let late = Facts { time: 9_999, optimistic: true, ..NOBODY };
        assert_eq!(Approval::of(&late), Approval::No { fallback_in: None });
        assert_eq!(Approval::of(&Facts { sender: true, ..late }), Approval::Sender);
    }

    #[test]
    fn the_first_generation_does_not_see_the_sender_behind_a_factory() {
        let first = Facts { generation: Generation::V1, fallback: None, sender: true, ..NOBODY };
        assert_eq!(Approval::of(&first), Approval::Sender);
        let game = Facts { through_factory: true, ..first };
        assert_eq!(Approval::of(&game), Approval::No { fallback_in: None });
        assert_eq!(Approval::of(&Facts { everyone: true, ..game }), Approval::Everyone);
        assert_eq!(Approval::of(&Facts { generation: Generation::V2, ..game }), Approval::Sender);
    }
}
