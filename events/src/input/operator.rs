//! What an operator can tell the engine.
//!
//! The operator's name goes into the envelope of the events that follow, and the words into the events: an auditor
//! sees who intervened, when, how and why.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::ids::{ChainId, L2Block, UnitId};
use crate::values::Control;

/// An operator gave a command.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct OperatorCommanded {
    /// Who.
    pub name: String,
    /// What.
    pub command: Command,
    /// Why, in the operator's words.
    pub note: String,
}

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Halt a kind of work.
    Pause {
        /// The rollup.
        chain: ChainId,
        /// What.
        control: Control,
    },
    /// Let a kind of work go on.
    Resume {
        /// The rollup.
        chain: ChainId,
        /// What.
        control: Control,
    },
    /// Finish and submit what there is, plan nothing new.
    Drain {
        /// The rollup.
        chain: ChainId,
    },
    /// Prove and submit everything up to a block without waiting for full spans.
    Flush {
        /// The rollup.
        chain: ChainId,
        /// Up to here.
        to: L2Block,
    },
    /// Try a unit again now, with a full budget.
    Retry {
        /// Which.
        unit: UnitId,
    },
    /// Set a unit aside.
    Park {
        /// Which.
        unit: UnitId,
    },
    /// Let a parked unit go on.
    Unpark {
        /// Which.
        unit: UnitId,
    },
    /// Take a unit back; its blocks are planned again.
    Cancel {
        /// Which.
        unit: UnitId,
    },
}
