//! The sending account at the head and at confirmation depth, and what became of its transactions.
//!
//! Inclusion is believed only where the receipt's block is canonical below the pinned head. A transaction is unknown
//! only if no endpoint knows it. A crash in here loses a read.

use prooflog_events::ids::{Address, Hash32, L1Number, L1Ref, Nonce, SignerId, TxVersion, Wei};
use prooflog_events::input::{SignerRead, TxSeen, TxState};
use prooflog_events::values::{NonceState, Refusal, RefusalClass};
use serde_json::{Value, json};

use crate::Inner;
use crate::decode;
use crate::error::L1Error;
use crate::json::{address, bytes, hash, number, quantity};
use crate::pin::{Ask, Pin};
use crate::reading::Reading;
use crate::rpc::{Answer, Request};

/// The question of a `ReadSigner` effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadSigner {
    /// The account.
    pub signer: SignerId,
    /// Depth that counts as confirmed, in blocks.
    pub confirmations: u64,
    /// All signed versions of open slots.
    pub txs: Vec<(Nonce, TxVersion, Hash32)>,
}

/// What one endpoint says of a transaction.
struct Sight {
    tx: Value,
    receipt: Value,
}

/// Reads the account.
pub(crate) async fn read(l1: &Inner, pin: &Pin, ask: &ReadSigner) -> Result<SignerRead, L1Error> {
    let confirmed_at = pin.below(ask.confirmations).await?;
    let account = ask.signer.address;
    let mut reading = Reading::default();
    let head = reading.ask(pin.at(), Ask::Nonce { address: account });
    let confirmed = reading.ask(confirmed_at, Ask::Nonce { address: account });
    let balance = reading.ask(pin.at(), Ask::Balance { address: account });
    let answers = reading.at(pin).await?;
    let nonce = NonceState {
        head: Nonce(small(answers.quantity(head)?, account)?),
        confirmed: Nonce(small(answers.quantity(confirmed)?, account)?),
    };
    let balance = Wei(answers.quantity(balance)?);

    let hashes: Vec<Hash32> = ask.txs.iter().map(|(_, _, hash)| *hash).collect();
    let sights = sights(l1, pin, &hashes).await?;
    let blocks: Vec<L1Number> = sights.iter().filter_map(block_of).map(|block| block.number).collect();
    let canonical = pin.canonical(&blocks).await?;
    let mut txs = Vec::with_capacity(ask.txs.len());
    for ((nonce, version, hash), sight) in ask.txs.iter().zip(&sights) {
        let state = match block_of(sight).filter(|block| canonical.contains(block)) {
            Some(block) => included(l1, pin, *hash, block, sight).await?,
            None if sight.tx.is_object() || sight.receipt.is_object() => TxState::Pending,
            None => TxState::Unknown,
        };
        txs.push(TxSeen { nonce: *nonce, version: *version, state });
    }
    Ok(SignerRead { signer: ask.signer, at: pin.head(), nonce, balance, txs })
}

fn small(value: u128, account: Address) -> Result<u64, L1Error> {
    value
        .try_into()
        .map_err(|_| L1Error::Contract { address: account, problem: "its nonce is beyond 2^64".to_owned() })
}

/// What is known of each transaction: by the pinned endpoint, or by any other where that one knows nothing.
async fn sights(l1: &Inner, pin: &Pin, hashes: &[Hash32]) -> Result<Vec<Sight>, L1Error> {
    // A backend that lags would not know what was sent or included a moment ago.
    let mut sights = paired(pin.unmoved(lookups(hashes)).await?)?;
    for other in l1.heads.members.iter().filter(|member| !std::sync::Arc::ptr_eq(member, &pin.member)) {
        let missing: Vec<usize> = sights
            .iter()
            .enumerate()
            .filter(|(_, sight)| !sight.tx.is_object() && !sight.receipt.is_object())
            .map(|(place, _)| place)
            .collect();
        if missing.is_empty() {
            break;
        }
        if !other.is_trusted() || !other.is_our_chain() {
            continue;
        }
        let asked: Vec<Hash32> = missing.iter().filter_map(|place| hashes.get(*place).copied()).collect();
        // The others only help: what they cannot say changes nothing.
        let Ok(found) = look(other, &asked).await else { continue };
        for (place, sight) in missing.into_iter().zip(found) {
            if let Some(slot) = sights.get_mut(place) {
                *slot = sight;
            }
        }
    }
    Ok(sights)
}

/// The two questions about each transaction.
fn lookups(hashes: &[Hash32]) -> Vec<Request> {
    hashes
        .iter()
        .flat_map(|hash| {
            ["eth_getTransactionByHash", "eth_getTransactionReceipt"]
                .map(|method| Request::new(method, json!([hash])))
        })
        .collect()
}

fn paired(answers: Vec<Answer>) -> Result<Vec<Sight>, L1Error> {
    let mut answers = answers.into_iter();
    let mut sights = Vec::new();
    while let (Some(tx), Some(receipt)) = (answers.next(), answers.next()) {
        sights.push(Sight { tx: tx?, receipt: receipt? });
    }
    Ok(sights)
}

async fn look(member: &crate::pool::Member, hashes: &[Hash32]) -> Result<Vec<Sight>, L1Error> {
    paired(member.rpc.batch(&lookups(hashes)).await?)
}

/// The block that a receipt names.
fn block_of(sight: &Sight) -> Option<L1Ref> {
    Some(L1Ref {
        number: L1Number(sight.receipt.get("blockNumber").and_then(number)?),
        hash: sight.receipt.get("blockHash").and_then(hash)?,
    })
}

async fn included(
    l1: &Inner,
    pin: &Pin,
    tx: Hash32,
    block: L1Ref,
    sight: &Sight,
) -> Result<TxState, L1Error> {
    let field = |name: &'static str| sight.receipt.get(name).and_then(quantity);
    let (Some(status), Some(gas), Some(price)) =
        (field("status"), field("gasUsed"), field("effectiveGasPrice"))
    else {
        let problem = "no status, gas used or gas price";
        return Err(pin.member.rpc.malformed("eth_getTransactionReceipt", &problem).into());
    };
    let gas_used = u64::try_from(gas).unwrap_or(u64::MAX);
    let reverted =
        if status == 0 { Some(reason(l1, pin, tx, block, (sight, gas_used)).await?) } else { None };
    Ok(TxState::Included { block, gas_used, fee_paid: Wei(gas.saturating_mul(price)), reverted })
}

/// Why a transaction reverted: the same call once more, on the state before its block, and on that after it for what
/// another transaction of the block brought about. Found once and remembered.
async fn reason(
    l1: &Inner,
    pin: &Pin,
    tx: Hash32,
    block: L1Ref,
    (sight, gas_used): (&Sight, u64),
) -> Result<Refusal, L1Error> {
    if let Some(known) = l1.refusal(tx, block.hash) {
        return Ok(known);
    }
    let Some((call, gas)) = call_of(&sight.tx) else {
        return Ok(unknown("reverted; the transaction itself is not available"));
    };
    let parent = L1Number(block.number.0.saturating_sub(1));
    let Some(parent) = pin.canonical(&[parent]).await?.first().copied() else {
        return Ok(unknown("reverted; the block before is not available"));
    };
    let mut reading = Reading::default();
    let places = [reading.ask(parent, call.clone()), reading.ask(block, call)];
    let answers = match reading.at(pin).await {
        Ok(answers) => answers,
        Err(error @ L1Error::Torn(_)) => return Err(error),
        // The transport failing is no reason to remember a refusal without its words.
        Err(error) => return Ok(unknown(&format!("reverted; its reason could not be asked for: {error}"))),
    };
    let mut found = None;
    for place in places {
        let Some(Err(fault)) = answers.answer(place) else { continue };
        match decode::refused(fault) {
            Some(refusal) => {
                found = Some(refusal);
                break;
            }
            None => return Ok(unknown(&format!("reverted; the replay failed: {fault}"))),
        }
    }
    let refusal = found.unwrap_or_else(|| {
        unknown("reverted in its block, and neither before it nor after it when replayed")
    });
    // All gas used, and no words of the contract's own: it ran out.
    let ran_out = gas_used >= gas && refusal.class == RefusalClass::Other;
    let refusal = if ran_out {
        Refusal {
            class: RefusalClass::OutOfGas,
            text: format!("out of gas: all {gas} used; {}", refusal.text),
        }
    } else {
        refusal
    };
    l1.set_refusal(tx, block.hash, refusal.clone());
    Ok(refusal)
}

fn call_of(tx: &Value) -> Option<(Ask, u64)> {
    let gas = tx.get("gas").and_then(number)?;
    let ask = Ask::CallFrom {
        from: tx.get("from").and_then(address)?,
        to: tx.get("to").and_then(address)?,
        data: tx.get("input").and_then(bytes)?,
        value: Wei(tx.get("value").and_then(quantity)?),
        gas: Some(gas),
    };
    Some((ask, gas))
}

fn unknown(text: &str) -> Refusal {
    Refusal { class: RefusalClass::Other, text: text.to_owned() }
}
