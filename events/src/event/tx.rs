//! Events of one nonce slot, stream `tx-<l1 chain id>-<signer>-<nonce>`, and of the account itself.
//!
//! A slot carries one purpose at a time in any number of signed versions; the signed bytes are on disk before the
//! first broadcast, so that after a crash the transaction is looked up and never written anew.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::ids::{Hash32, L1Ref, Nonce, TxVersion, Wei};
use crate::values::{BlobRef, BroadcastOutcome, Call, Fees, Purpose, Refusal};

/// The nonce is given to a purpose; its first version is to be signed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct TxReserved {
    /// What it is for.
    pub purpose: Purpose,
    /// The call.
    pub call: Call,
    /// What it may pay.
    pub fees: Fees,
    /// What it may use.
    pub gas_limit: u64,
}

/// A version is signed and on disk.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct TxPrepared {
    /// Which version.
    pub version: TxVersion,
    /// What it is for.
    pub purpose: Purpose,
    /// The call.
    pub call: Call,
    /// What it may pay.
    pub fees: Fees,
    /// What it may use.
    pub gas_limit: u64,
    /// The signed bytes.
    pub raw: BlobRef,
    /// The transaction's hash.
    pub hash: Hash32,
}

/// A version was handed to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct TxBroadcast {
    /// Which version.
    pub version: TxVersion,
    /// How it was answered.
    pub outcome: BroadcastOutcome,
    /// The endpoint's words, where it refused.
    pub text: String,
}

/// No endpoint knows the transaction although its nonce is free: the same bytes are sent again.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct TxDropped {
    /// Which version.
    pub version: TxVersion,
}

/// Another version of the same nonce takes over; it is to be signed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct TxReplaced {
    /// The new version.
    pub version: TxVersion,
    /// Why.
    pub reason: ReplaceReason,
    /// What it is for.
    pub purpose: Purpose,
    /// The call.
    pub call: Call,
    /// What it may pay.
    pub fees: Fees,
    /// What it may use.
    pub gas_limit: u64,
}

/// Why a version is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplaceReason {
    /// Not included in time.
    Stuck,
    /// An endpoint said that the fees are too low.
    Underpriced,
    /// The checkpointed block grew too old.
    StaleCheckpoint,
    /// The purpose is gone; the nonce is used up by an empty transfer.
    PurposeGone,
}

/// The L1 asks more than the policy lets a transaction pay: it is not sent, or keeps the fees that it has, until that
/// changes. Recorded once for what waits: an aggregate, a version of a transaction, a block without a proof.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct FeeCeilingReached {
    /// What was to be sent.
    pub purpose: Purpose,
    /// The L1 block whose fees were looked at.
    pub at: L1Ref,
    /// Its base fee per gas.
    pub base_fee: Wei,
    /// Tip per gas that the endpoint suggested.
    pub tip: Wei,
    /// Least that a version would have to allow per gas.
    pub needed: Wei,
    /// Most that the policy lets it allow.
    pub allowed: Wei,
}

/// A version is in an L1 block and succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct TxIncluded {
    /// Which version.
    pub version: TxVersion,
    /// Its hash.
    pub hash: Hash32,
    /// The block.
    pub block: L1Ref,
    /// Gas used.
    pub gas_used: u64,
    /// Fee paid.
    pub fee_paid: Wei,
}

/// A version is in an L1 block and failed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct TxReverted {
    /// Which version.
    pub version: TxVersion,
    /// Its hash.
    pub hash: Hash32,
    /// The block.
    pub block: L1Ref,
    /// Gas used.
    pub gas_used: u64,
    /// Fee paid.
    pub fee_paid: Wei,
    /// The decoded reason.
    pub refusal: Refusal,
}

/// The L1 block that included the transaction is gone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct TxReorged {
    /// Which version.
    pub version: TxVersion,
    /// The block that is gone.
    pub block: L1Ref,
}

/// The transaction, successful or not, is as deep as the policy asks; the slot is closed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct TxConfirmed {
    /// Which version.
    pub version: TxVersion,
    /// The block that includes it.
    pub block: L1Ref,
}

/// No version of ours will ever be included; the slot is closed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct TxAbandoned {
    /// Why.
    pub reason: AbandonReason,
}

/// Why a slot is closed without a transaction of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbandonReason {
    /// Another transaction of the account has the nonce, confirmed.
    NonceTaken,
    /// It was never signed, so the nonce is free.
    NeverSigned,
}

/// The account's balance fell below the policy's warning level.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct SignerBalanceLow {
    /// What it has.
    pub balance: Wei,
    /// What it should have.
    pub minimum: Wei,
}

/// The account's balance is above the warning level again.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct SignerBalanceRestored {
    /// What it has.
    pub balance: Wei,
}

/// The account's nonce is not where our own transactions left it: somebody else used the key, or an old log runs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct NonceDrifted {
    /// Where we expected it.
    pub expected: Nonce,
    /// Where it is.
    pub found: Nonce,
}
