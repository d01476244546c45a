//! A version of a slot, built once more and signed.
//!
//! What is signed is what was quoted: the call data must have the recorded digest, and the bond the recorded value.
//! What the signer hands back is read again, field by field, before anybody else sees it. A crash in here loses a
//! signature that nobody has seen; the same version is signed again.

use std::future::Future;

use alloy::consensus::{Transaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::{Decodable2718, Encodable2718};
use alloy::primitives::{Bytes, TxKind, U256};
use prooflog_core::TxBody;
use prooflog_events::ids::{Address, Hash32, SlotId, TxVersion, Wei};
use prooflog_events::input::TxSigned;
use prooflog_events::values::{BlobRef, Call, Fees, Purpose};
use sha2::{Digest, Sha256};

use crate::calldata::Built;
use crate::error::L1Error;
use crate::json::{evm, ours};

/// Whoever holds the key.
pub trait TxSigner: Sync {
    /// The account that it signs for.
    fn address(&self) -> Address;

    /// Signs a transaction and returns its bytes as they are broadcast (EIP-2718).
    ///
    /// # Errors
    /// In words, without anything secret, when it does not sign.
    fn sign_eip1559(&self, tx: TxEip1559) -> impl Future<Output = Result<Vec<u8>, String>> + Send;
}

/// The question of a `SignTx` effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignTx {
    /// The slot.
    pub slot: SlotId,
    /// Which version.
    pub version: TxVersion,
    /// What for.
    pub purpose: Purpose,
    /// What goes into the call.
    pub body: TxBody,
    /// The call, as quoted.
    pub call: Call,
    /// What it may pay.
    pub fees: Fees,
    /// What it may use.
    pub gas_limit: u64,
}

/// A signed version: the record, and the bytes that it names. The bytes are stored before they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What is recorded.
    pub record: TxSigned,
    /// The signed bytes.
    pub raw: Vec<u8>,
}

/// That what was built is what was quoted.
fn check(ask: &SignTx, built: &Built, value: Wei) -> Result<(), L1Error> {
    let digest = built.digest();
    let what = if built.to != ask.call.to {
        format!("calls {}, and {} was quoted", built.to, ask.call.to)
    } else if value != ask.call.value {
        format!("sends {value} wei, and {} was quoted: the bond changed", ask.call.value)
    } else if ask.call.calldata != Hash32::ZERO && ask.call.calldata != digest {
        format!("has call data {digest}, and {} was quoted", ask.call.calldata)
    } else {
        return Ok(());
    };
    Err(L1Error::Mismatch(format!("slot {} version {} {what}; not signed", ask.slot, ask.version)))
}

/// Signs what was built.
pub(crate) async fn sign<S: TxSigner>(
    ask: &SignTx,
    built: Built,
    value: Wei,
    signer: &S,
) -> Result<Signed, L1Error> {
    check(ask, &built, value)?;
    let account = ask.slot.signer.address;
    if signer.address() != account {
        return Err(L1Error::Signer(format!("it signs for {}, not for {account}", signer.address())));
    }
    let calldata = built.digest();
    let tx = TxEip1559 {
        chain_id: ask.slot.signer.l1.0,
        nonce: ask.slot.nonce.0,
        gas_limit: ask.gas_limit,
        max_fee_per_gas: ask.fees.max_fee.0,
        max_priority_fee_per_gas: ask.fees.tip.0,
        to: TxKind::Call(evm(built.to)),
        value: U256::from(value.0),
        access_list: Default::default(),
        input: Bytes::from(built.data),
    };
    let raw = signer.sign_eip1559(tx.clone()).await.map_err(L1Error::Signer)?;
    let hash = verify(&tx, &raw, account)?;
    let blob = BlobRef {
        sha256: Hash32(Sha256::digest(&raw).into()),
        length: u64::try_from(raw.len()).unwrap_or(u64::MAX),
    };
    let record = TxSigned { slot: ask.slot, version: ask.version, calldata, hash, raw: blob };
    Ok(Signed { record, raw })
}

/// That the bytes are the transaction asked for, signed by the account. Returns its hash.
fn verify(tx: &TxEip1559, raw: &[u8], account: Address) -> Result<Hash32, L1Error> {
    let wrong = |what: &str| L1Error::Signer(format!("what came back {what}"));
    let mut rest = raw;
    let envelope =
        TxEnvelope::decode_2718(&mut rest).map_err(|error| wrong(&format!("does not decode: {error}")))?;
    if !rest.is_empty() || envelope.encoded_2718() != raw {
        return Err(wrong("is more than a transaction"));
    }
    let TxEnvelope::Eip1559(signed) = envelope else {
        return Err(wrong(&format!("is a transaction of type {}", envelope.tx_type())));
    };
    if signed.tx() != tx {
        return Err(wrong(&format!(
            "is another transaction (nonce {}, to {:?})",
            signed.tx().nonce(),
            signed.tx().to()
        )));
    }
    let by = signed
        .signature()
        .recover_address_from_prehash(&signed.signature_hash())
        .map_err(|error| wrong(&format!("is not signed: {error}")))?;
    if ours(by) != account {
        return Err(wrong(&format!("is signed by {by}, not by {account}")));
    }
    Ok(Hash32(signed.hash().0))
}

impl TxSigner for prooflog_signer::Signer {
    fn address(&self) -> Address {
        Self::address(self)
    }

    async fn sign_eip1559(&self, tx: TxEip1559) -> Result<Vec<u8>, String> {
        self.sign(tx).await.map(|signed| signed.raw).map_err(|error| error.to_string())
    }
}
