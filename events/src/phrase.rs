//! Reasons, classes and purposes as people say them; the one place for these words.
//!
//! They are for eyes, not for programs: JSON has the names that are part of the format. A variant that has no words here
//! does not compile.

use crate::event::{
    AbandonReason, CheckpointLostReason, InvalidReason, LateAnswer, ParkReason, ReplaceReason, RollbackCause,
    Stage, TimeoutReason,
};
use crate::values::{
    BroadcastOutcome, Control, DegradedReason, FailureClass, Generation, Purpose, RefusalClass,
};

/// What can be said in words.
pub trait Phrase {
    /// The words, to stand inside a sentence.
    fn phrase(&self) -> &'static str;
}

impl Phrase for FailureClass {
    fn phrase(&self) -> &'static str {
        match self {
            Self::Unexecutable => "the program cannot run on these blocks",
            Self::Unfulfillable => "the network will not prove it",
            Self::WitnessError => "the server answered with an error",
            Self::WitnessTimeout => "the witness took too long",
            Self::ProvingTimeout => "proving took too long",
            Self::Dropped => "the connection broke before an answer",
            Self::Lost => "the prover no longer knows the id",
            Self::NoBytes => "fulfilled, but without a proof's bytes",
            Self::DataNotReady => "the data are not on L1 yet",
            Self::Capacity => "the prover is full",
            Self::Account => "credit or permission of the account",
            Self::Unreachable => "the server cannot be reached",
            Self::Restart => "the engine was restarted while the call was open",
        }
    }
}

impl Phrase for RefusalClass {
    fn phrase(&self) -> &'static str {
        match self {
            Self::Stale => "the contract stands elsewhere",
            Self::Checkpoint => "the checkpoint is missing or too old",
            Self::NotYet => "the L1 block's hash is not visible yet",
            Self::BadProof => "the proof does not pass the verifier",
            Self::Route => "selector, route or version of the verifier",
            Self::Policy => "the contract does not allow it",
            Self::OutOfGas => "gas ran out",
            Self::Funds => "too little coin",
            Self::Other => "another reason",
        }
    }
}

impl Phrase for BroadcastOutcome {
    fn phrase(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Underpriced => "refused: the fees are too low",
            Self::NonceTooLow => "refused: the nonce is used already",
            Self::Funds => "refused: the account cannot pay",
            Self::Rejected => "refused",
        }
    }
}

impl Phrase for Generation {
    fn phrase(&self) -> &'static str {
        match self {
            Self::V1 => "first",
            Self::V2 => "second",
            Self::V3 => "third",
        }
    }
}

impl Phrase for Control {
    fn phrase(&self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Proving => "proving",
            Self::Submitting => "submitting",
        }
    }
}

impl Phrase for DegradedReason {
    fn phrase(&self) -> &'static str {
        match self {
            Self::RootMismatch => "the rollup node and the contract disagree on an output root",
            Self::NoAnchor => "the contract has no output to start from",
            Self::ContractAhead => "the contract stands above the finalized head",
            Self::Disk => "the disk is nearly full",
            Self::Clock => "the clock runs against the log or the chain",
        }
    }
}

impl Phrase for RollbackCause {
    fn phrase(&self) -> &'static str {
        match self {
            Self::Reorg => "a reorg of L1",
            Self::OutputsDeleted => "the challenger deleted outputs",
        }
    }
}

impl Phrase for Stage {
    fn phrase(&self) -> &'static str {
        match self {
            Self::Witness => "the witness call",
            Self::Proving => "proving",
        }
    }
}

impl Phrase for TimeoutReason {
    fn phrase(&self) -> &'static str {
        match self {
            Self::Deadline => "its time limit",
            Self::Restart => "a restart of the engine",
        }
    }
}

impl Phrase for LateAnswer {
    fn phrase(&self) -> &'static str {
        match self {
            Self::Requested { .. } => "the prover had taken it after all",
            Self::Failed { .. } => "it failed",
            Self::Fulfilled { .. } => "a proof that is of no use any more",
        }
    }
}

impl Phrase for ParkReason {
    fn phrase(&self) -> &'static str {
        match self {
            Self::Budget => "its budget of failures is used up",
            Self::Unsplittable => "it cannot run and cannot be made smaller",
            Self::ProofRefused => "the contract's verifier does not take its proof",
            Self::Operator => "an operator said so",
        }
    }
}

impl Phrase for InvalidReason {
    fn phrase(&self) -> &'static str {
        match self {
            Self::Straddles => "the contract's latest block lies inside it",
            Self::Commitments => "the contract accepts other commitments now",
            Self::NonCanonical => "its L1 head was reorged away",
            Self::Superseded => "the contract stands elsewhere than it starts",
            Self::Replaced => "a longer one of the same start takes its place",
            Self::MemberGone => "a member is gone",
            Self::BelowNext => "it ends below the block that the contract accepts next",
            Self::TooManyMembers => "the program cannot run on so many members",
            Self::RootChanged => "the finalized chain has another root there now",
            Self::Undecodable => "its proof's bytes cannot be used",
        }
    }
}

impl Phrase for CheckpointLostReason {
    fn phrase(&self) -> &'static str {
        match self {
            Self::Reverted => "the transaction reverted",
            Self::Abandoned => "the nonce went to something else",
            Self::Reorged => "a reorg of L1",
        }
    }
}

impl Phrase for ReplaceReason {
    fn phrase(&self) -> &'static str {
        match self {
            Self::Stuck => "not included in time",
            Self::Underpriced => "the fees were too low",
            Self::StaleCheckpoint => "the checkpointed block grew too old",
            Self::PurposeGone => "its purpose is gone, an empty transfer uses up the nonce",
        }
    }
}

impl Phrase for AbandonReason {
    fn phrase(&self) -> &'static str {
        match self {
            Self::NonceTaken => "another transaction of the account has the nonce",
            Self::NeverSigned => "it was never signed, so the nonce is free",
        }
    }
}

/// What a transaction is for.
#[must_use]
pub fn purpose(purpose: &Purpose) -> String {
    match purpose {
        Purpose::Checkpoint { agg, block } => format!("the checkpoint of L1 block {block} for {agg}"),
        Purpose::Submission { agg } => format!("the submission of {agg}"),
        Purpose::Optimistic { chain, block, .. } => {
            format!("the submission of block {block} of rollup {chain} without a proof")
        }
        Purpose::Release => "an empty transfer that uses up the nonce".to_owned(),
    }
}

/// Seconds as people say them.
#[must_use]
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        7_200..=172_799 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_short() {
        let shown = [0, 119, 120, 3_725, 7_200, 90_000, 200_000].map(duration);
        assert_eq!(shown, ["0s", "119s", "2m00s", "62m05s", "2h00m", "25h00m", "2d07h"]);
    }
}
