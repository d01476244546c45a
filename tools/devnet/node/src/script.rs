//! What is scripted: which block counts as finalized, and which faults show.
//!
//! Every rollup has a script of its own, so that one of a hundred can stall or lie. What a crash in here means: nothing;
//! scripts are memory and begin anew with the server.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A change of the script, as `POST /devnet/script` takes it beside an optional `chain` (all, if it is left out).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// The finalized head stays where it is.
    Stall,
    /// The finalized head follows the L2's head again; after a stall it jumps.
    Follow,
    /// The finalized head follows at another distance.
    Lag {
        /// Blocks behind the L2's head.
        blocks: u64,
    },
    /// The finalized head goes to a block, forward or back, and stays there; never above the L2's head.
    Finalize {
        /// The block.
        block: u64,
    },
    /// The database of safe heads is on or off.
    SafeDb {
        /// Whether it is on.
        on: bool,
    },
    /// Answers about a block are wrong from now on.
    Lie {
        /// The block.
        block: u64,
        /// In what way.
        how: Lie,
    },
    /// Answers about a block are right again.
    Truth {
        /// The block.
        block: u64,
    },
    /// All references are zero, as right after a restart, or not.
    Zeros {
        /// Whether they are.
        on: bool,
    },
    /// The rollup's configuration tells of a fork that it did not tell of before.
    Fork {
        /// The value's name.
        name: String,
        /// When it begins, in seconds.
        time: u64,
    },
    /// Every call is answered with an HTTP status and no answer.
    Down {
        /// The status, 400 to 599.
        status: u16,
    },
    /// Calls are answered again.
    Up,
}

/// In what way an output is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lie {
    /// Another state: root and parts agree with each other, and with nobody else.
    OtherState,
    /// A root that its parts do not make.
    BrokenRoot,
    /// The answer for the block before.
    OtherBlock,
}

/// A step that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// The chain is not one of ours.
    #[error("chain {0} is not presented here")]
    Chain(u64),
    /// The status is not one of an error.
    #[error("status {0} is not between 400 and 599")]
    Status(u16),
}

/// How the finalized head moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Finalized {
    Behind(u64),
    At(u64),
}

/// The script of one rollup.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Script {
    finalized: Finalized,
    lag: u64,
    pub(crate) safe_db: bool,
    pub(crate) zeros: bool,
    pub(crate) down: Option<u16>,
    lies: BTreeMap<u64, Lie>,
    pub(crate) forks: BTreeMap<String, u64>,
}

impl Script {
    pub(crate) const fn new(lag: u64) -> Self {
        let finalized = Finalized::Behind(lag);
        Self {
            finalized,
            lag,
            safe_db: true,
            zeros: false,
            down: None,
            lies: BTreeMap::new(),
            forks: BTreeMap::new(),
        }
    }

    /// The finalized block while the L2 stands at `head`.
    pub(crate) fn finalized(&self, head: u64) -> u64 {
        match self.finalized {
            Finalized::Behind(lag) => head.saturating_sub(lag),
            Finalized::At(block) => block.min(head),
        }
    }

    pub(crate) fn lie(&self, block: u64) -> Option<Lie> {
        self.lies.get(&block).copied()
    }

    /// Takes a step while the L2 stands at `head`.
    pub(crate) fn apply(&mut self, step: &Step, head: u64) -> Result<(), ScriptError> {
        match step {
            Step::Stall => self.finalized = Finalized::At(self.finalized(head)),
            Step::Follow => self.finalized = Finalized::Behind(self.lag),
            Step::Lag { blocks } => {
                self.lag = *blocks;
                self.finalized = Finalized::Behind(*blocks);
            }
            Step::Finalize { block } => self.finalized = Finalized::At(*block),
            Step::SafeDb { on } => self.safe_db = *on,
            Step::Lie { block, how } => drop(self.lies.insert(*block, *how)),
            Step::Truth { block } => drop(self.lies.remove(block)),
            Step::Fork { name, time } => drop(self.forks.insert(name.clone(), *time)),
            Step::Zeros { on } => self.zeros = *on,
            Step::Down { status } if !(400..600).contains(status) => {
                return Err(ScriptError::Status(*status));
            }
            Step::Down { status } => self.down = Some(*status),
            Step::Up => self.down = None,
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_stalled_head_stays_and_then_jumps() {
        let mut script = Script::new(10);
        assert_eq!((script.finalized(5), script.finalized(100)), (0, 90));
        script.apply(&Step::Stall, 100).unwrap();
        assert_eq!(script.finalized(20_000), 90);
        script.apply(&Step::Follow, 20_000).unwrap();
        assert_eq!(script.finalized(20_000), 19_990);
    }

    #[test]
    fn a_head_can_be_sent_back_and_never_above_the_chain() {
        let mut script = Script::new(10);
        script.apply(&Step::Finalize { block: 7 }, 100).unwrap();
        assert_eq!((script.finalized(100), script.finalized(5)), (7, 5));
        script.apply(&Step::Lag { blocks: 3 }, 100).unwrap();
        assert_eq!(script.finalized(100), 97);
    }

    #[test]
    fn steps_are_named_in_json() {
        let step: Step = serde_json::from_str(r#"{"do":"lie","block":5,"how":"other_state"}"#).unwrap();
        assert_eq!(step, Step::Lie { block: 5, how: Lie::OtherState });
        assert!(serde_json::from_str::<Step>(r#"{"do":"dance"}"#).is_err());
        assert_eq!(Script::new(0).apply(&Step::Down { status: 200 }, 0), Err(ScriptError::Status(200)));
    }
}
