//! Signed bytes, handed to every endpoint.
//!
//! The first that takes them decides; the others are still told. Words of refusal differ from client to client, and the
//! table here is the only place that knows them. A crash in here repeats a broadcast, which changes nothing.

use std::sync::Arc;

use alloy::primitives::keccak256;
use prooflog_events::ids::{Hash32, SlotId, TxVersion};
use prooflog_events::input::TxSent;
use prooflog_events::values::BroadcastOutcome;
use serde_json::json;
use tokio::task::JoinSet;

use crate::Inner;
use crate::error::{L1Error, RpcFault};
use crate::json::hex_bytes;
use crate::pool::Member;
use crate::rpc::Request;

/// The question of a `BroadcastTx` effect, its bytes out of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BroadcastTx {
    /// The slot.
    pub slot: SlotId,
    /// Which version.
    pub version: TxVersion,
    /// The signed bytes.
    pub raw: Vec<u8>,
    /// The transaction's hash.
    pub hash: Hash32,
}

/// Sends the bytes to every endpoint.
pub(crate) async fn broadcast(l1: &Inner, ask: BroadcastTx) -> Result<TxSent, L1Error> {
    let BroadcastTx { slot, version, raw, hash } = ask;
    if keccak256(&raw).0 != hash.0 {
        return Err(L1Error::Mismatch(format!(
            "the bytes of slot {slot} version {version} do not have its hash"
        )));
    }
    let params = json!([hex_bytes(&raw)]);
    let mut sends = JoinSet::new();
    let members = &l1.heads.members;
    let any_checked = members.iter().any(|member| member.is_our_chain());
    for member in members.iter().filter(|member| member.is_our_chain() || !any_checked) {
        let (member, params): (Arc<Member>, _) = (member.clone(), params.clone());
        sends.spawn(async move { member.rpc.call(Request::new("eth_sendRawTransaction", params)).await });
    }
    let mut refusal: Option<(BroadcastOutcome, String)> = None;
    let mut failure = L1Error::NoEndpoint;
    while let Some(sent) = sends.join_next().await {
        let outcome = match sent {
            Ok(Ok(_)) => Some((BroadcastOutcome::Accepted, String::new())),
            Ok(Err(fault)) => match classify(&fault) {
                Some(outcome) => Some((outcome, words(&fault))),
                None => {
                    failure = fault.into();
                    None
                }
            },
            Err(error) => {
                failure = L1Error::Torn(format!("a broadcast ended early: {error}"));
                None
            }
        };
        match outcome {
            Some((BroadcastOutcome::Accepted, _)) => {
                // The rest goes on by itself, each call within its own limit.
                sends.detach_all();
                return Ok(TxSent {
                    slot,
                    version,
                    outcome: BroadcastOutcome::Accepted,
                    text: String::new(),
                });
            }
            Some(found) if refusal.as_ref().is_none_or(|before| rank(found.0) < rank(before.0)) => {
                refusal = Some(found);
            }
            _ => {}
        }
    }
    match refusal {
        Some((outcome, text)) => Ok(TxSent { slot, version, outcome, text }),
        None => Err(failure),
    }
}

/// Which of several refusals says most about the transaction itself.
const fn rank(outcome: BroadcastOutcome) -> u8 {
    match outcome {
        BroadcastOutcome::Accepted => 0,
        BroadcastOutcome::NonceTooLow => 1,
        BroadcastOutcome::Underpriced => 2,
        BroadcastOutcome::Funds => 3,
        BroadcastOutcome::Rejected => 4,
    }
}

/// Words of clients and what they mean. The first line that fits holds, so the order matters.
const WORDS: &[(&str, BroadcastOutcome)] = &[
    // geth and reth; erigon; nethermind; besu; anvil; parity's descendants.
    ("already known", BroadcastOutcome::Accepted),
    ("alreadyknown", BroadcastOutcome::Accepted),
    ("known transaction", BroadcastOutcome::Accepted),
    ("already imported", BroadcastOutcome::Accepted),
    ("already in the pool", BroadcastOutcome::Accepted),
    ("transaction already exists", BroadcastOutcome::Accepted),
    ("could not replace existing tx", BroadcastOutcome::Underpriced),
    ("replacement transaction underpriced", BroadcastOutcome::Underpriced),
    ("replacementnotallowed", BroadcastOutcome::Underpriced),
    ("not enough fee to replace", BroadcastOutcome::Underpriced),
    ("replacement_underpriced", BroadcastOutcome::Underpriced),
    ("transaction underpriced", BroadcastOutcome::Underpriced),
    ("underpriced", BroadcastOutcome::Underpriced),
    ("gas price below configured minimum", BroadcastOutcome::Underpriced),
    ("gas price too low", BroadcastOutcome::Underpriced),
    ("fee too low", BroadcastOutcome::Underpriced),
    ("feetoolow", BroadcastOutcome::Underpriced),
    ("max fee per gas less than block base fee", BroadcastOutcome::Underpriced),
    ("nonce too low", BroadcastOutcome::NonceTooLow),
    ("nonce is too low", BroadcastOutcome::NonceTooLow),
    ("nonce_too_low", BroadcastOutcome::NonceTooLow),
    ("oldnonce", BroadcastOutcome::NonceTooLow),
    ("old nonce", BroadcastOutcome::NonceTooLow),
    ("nonce has already been used", BroadcastOutcome::NonceTooLow),
    ("nonce below", BroadcastOutcome::NonceTooLow),
    ("insufficient funds", BroadcastOutcome::Funds),
    ("insufficientfunds", BroadcastOutcome::Funds),
    ("insufficient balance", BroadcastOutcome::Funds),
    ("upfront_cost_exceeds_balance", BroadcastOutcome::Funds),
    ("upfront cost exceeds", BroadcastOutcome::Funds),
    ("exceeds account balance", BroadcastOutcome::Funds),
];

/// What a refusal says of the transaction; `None` where the endpoint speaks of itself or did not answer.
fn classify(fault: &RpcFault) -> Option<BroadcastOutcome> {
    let RpcFault::Refused { message, code, .. } = fault else { return None };
    let message = message.to_ascii_lowercase();
    if let Some((_, outcome)) = WORDS.iter().find(|(words, _)| message.contains(words)) {
        return Some(*outcome);
    }
    let is_busy = matches!(code, -32601 | -32005) || message.contains("method not") || fault.is_busy();
    (!is_busy).then_some(BroadcastOutcome::Rejected)
}

fn words(fault: &RpcFault) -> String {
    fault.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(message: &str) -> Option<BroadcastOutcome> {
        classify(&RpcFault::Refused {
            endpoint: "e".into(),
            method: "eth_sendRawTransaction",
            code: -32000,
            message: message.into(),
            data: None,
        })
    }

    #[test]
    fn every_client_is_understood() {
        use BroadcastOutcome::{Accepted, Funds, NonceTooLow, Rejected, Underpriced};
        let cases = [
            // geth
            ("already known", Accepted),
            ("replacement transaction underpriced", Underpriced),
            ("replacement transaction underpriced: new tx gas fee cap 1 <= 2 queued", Underpriced),
            ("transaction underpriced: tip needed 1, tip permitted 0", Underpriced),
            ("nonce too low: next nonce 5, tx nonce 4", NonceTooLow),
            ("insufficient funds for gas * price + value: balance 0, tx cost 1, overshot 1", Funds),
            ("transaction type not supported", Rejected),
            ("exceeds block gas limit", Rejected),
            // erigon
            ("could not replace existing tx", Underpriced),
            ("INTERNAL_ERROR: existing tx with same hash; already known", Accepted),
            ("fee too low", Underpriced),
            // nethermind
            ("AlreadyKnown", Accepted),
            ("ReplacementNotAllowed", Underpriced),
            ("FeeTooLow, MaxFeePerGas too low", Underpriced),
            ("OldNonce, Current nonce: 5, nonce of rejected tx: 4", NonceTooLow),
            ("InsufficientFunds, Account balance: 0", Funds),
            // besu
            ("Known transaction", Accepted),
            ("Replacement transaction underpriced", Underpriced),
            ("Gas price below configured minimum gas price", Underpriced),
            ("Nonce too low", NonceTooLow),
            (
                "Upfront cost exceeds account balance (transaction up-front cost 0x1 exceeds balance 0x0)",
                Funds,
            ),
            // reth and anvil
            ("already known", Accepted),
            ("transaction already imported", Accepted),
            ("nonce too low: next nonce 1, tx nonce 0", NonceTooLow),
            ("max fee per gas less than block base fee", Underpriced),
            ("Insufficient funds for gas * price + value", Funds),
            ("invalid sender", Rejected),
        ];
        for (message, outcome) in cases {
            assert_eq!(class(message), Some(outcome), "{message}");
        }
    }

    #[test]
    fn an_endpoint_that_speaks_of_itself_says_nothing_of_the_transaction() {
        for message in
            ["rate limit exceeded", "too many requests", "internal error", "daily request quota reached"]
        {
            assert_eq!(class(message), None, "{message}");
        }
    }
}
