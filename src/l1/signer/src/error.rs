//! What goes wrong with signing, in words for whoever runs the program: what happened, where, and what to do.
//!
//! No error holds a secret: what a parser or a service says is either left out, or cut and cleaned first. What a crash
//! in here means: nothing; errors are values.

use std::fmt;
use std::path::PathBuf;

use prooflog_events::ids::Address;

/// A part of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The L1 it is for.
    ChainId,
    /// Its number in the account.
    Nonce,
    /// Whom it calls.
    To,
    /// Wei that go with it.
    Value,
    /// The call data.
    Input,
    /// Gas that it may use.
    GasLimit,
    /// Most wei per gas.
    MaxFee,
    /// Wei per gas for the block's builder.
    Tip,
    /// The access list.
    AccessList,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ChainId => "the chain id",
            Self::Nonce => "the nonce",
            Self::To => "the recipient",
            Self::Value => "the value",
            Self::Input => "the call data",
            Self::GasLimit => "the gas limit",
            Self::MaxFee => "the fee",
            Self::Tip => "the tip",
            Self::AccessList => "the access list",
        })
    }
}

/// Why there is no signature, or no signer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// A file cannot be used.
    #[error("{path}: {problem}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A variable of the environment cannot be used.
    #[error("the variable {name} {problem}")]
    Variable {
        /// Which.
        name: String,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
    /// The key is none.
    #[error("{0}")]
    Key(String),
    /// The key is that of another account.
    #[error("the key is that of {found}, not of {expected}: check the key or signer.address")]
    OtherAccount {
        /// Whose it is.
        found: Address,
        /// Whose it should be.
        expected: Address,
    },
    /// The settings of a remote signer do not fit.
    #[error("the remote signer cannot be asked: {0}")]
    Settings(String),
    /// This build does not know the kind of key.
    #[error("this build does not know {feature} keys: build it with --features {feature}")]
    Feature {
        /// What the build lacks.
        feature: &'static str,
    },
    /// The signer did not answer, or not now.
    #[error("{who} cannot be reached: {problem}")]
    Unreachable {
        /// Which signer.
        who: String,
        /// What happened, and what to do.
        problem: String,
    },
    /// The signer answered that it does not sign.
    #[error("{who} does not sign: {problem}")]
    Refused {
        /// Which signer.
        who: String,
        /// Its words, cut, and what to do.
        problem: String,
    },
    /// The signer's answer is no signed transaction.
    #[error("{who} answered with something that is no signed transaction: {problem}; nothing was sent")]
    Malformed {
        /// Which signer.
        who: String,
        /// What is wrong.
        problem: String,
    },
    /// The signer signed another transaction.
    #[error("{who} signed another transaction: {field} differs; nothing was sent, find out who runs it")]
    Altered {
        /// Which signer.
        who: String,
        /// What differs first.
        field: Field,
    },
    /// The signer signed with another key.
    #[error("{who} signed for {found}, not for {expected}; nothing was sent, check signer.address")]
    Foreign {
        /// Which signer.
        who: String,
        /// Whose key it used.
        found: Address,
        /// Whose it should have used.
        expected: Address,
    },
}

impl SignerError {
    /// Whether it may mend itself, so that trying again later makes sense.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}
