//! A transaction, simulated before it is given a nonce.
//!
//! The call is made from the sender, with its value, at one pinned block; what the chain refuses is an answer, decoded,
//! and never signed. A checkpoint's block is chosen here by the core's rule, because only here the head is known. A
//! crash in here loses a quote.

use prooflog_core::{TxBody, checkpoint_block};
use prooflog_events::ids::{Address, Hash32, Nonce, SignerId, Wei};
use prooflog_events::input::{QuoteOutcome, TxQuoted};
use prooflog_events::values::{Call, Generation, Purpose, Refusal, RefusalClass};

use crate::Inner;
use crate::calldata::{self, Built};
use crate::contract::{bond, interface_at};
use crate::decode;
use crate::error::L1Error;
use crate::pin::{Ask, Pin};
use crate::reading::{Reading, coin};
use crate::rpc::{Answer, Request};

/// The question of a `QuoteTx` effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuoteTx {
    /// Who would send.
    pub signer: SignerId,
    /// What for. A checkpoint names the lowest block that would do.
    pub purpose: Purpose,
    /// What goes into the call.
    pub body: TxBody,
}

/// Simulates the transaction.
pub(crate) async fn quote(
    l1: &Inner,
    pin: &Pin,
    ask: &QuoteTx,
    proof: Option<&[u8]>,
) -> Result<TxQuoted, L1Error> {
    let sender = ask.signer.address;
    let chosen = chosen(&ask.purpose, pin);
    let mut account = Reading::default();
    let nonce = account.ask(pin.at(), Ask::Nonce { address: sender });
    let balance = account.ask(pin.at(), Ask::Balance { address: sender });
    let account = account.at(pin).await?;
    let nonce = u64::try_from(account.quantity(nonce)?)
        .map_err(|_| L1Error::Contract { address: sender, problem: "its nonce is beyond 2^64".to_owned() })?;
    let balance = Wei(account.quantity(balance)?);
    let (purpose, outcome) = match chosen {
        Some(purpose) => (purpose, simulate(l1, pin, (&purpose, &ask.body), proof, sender).await?),
        None => {
            let text = format!("the L1 head {} is not above the members' L1 heads yet", pin.at().number);
            let refusal = Refusal { class: RefusalClass::NotYet, text };
            (ask.purpose, QuoteOutcome::Refused { refusal })
        }
    };
    Ok(TxQuoted { sender, purpose, at: pin.head(), nonce: Nonce(nonce), balance, outcome })
}

/// The purpose with the checkpoint's block chosen; `None` where none can be yet.
fn chosen(purpose: &Purpose, pin: &Pin) -> Option<Purpose> {
    match *purpose {
        Purpose::Checkpoint { agg, block } => {
            checkpoint_block(block, pin.at().number).map(|block| Purpose::Checkpoint { agg, block })
        }
        other => Some(other),
    }
}

async fn simulate(
    l1: &Inner,
    pin: &Pin,
    (purpose, body): (&Purpose, &TxBody),
    proof: Option<&[u8]>,
    sender: Address,
) -> Result<QuoteOutcome, L1Error> {
    let (built, value) = prepare(l1, pin, (purpose, body), proof, sender).await?;
    let (to, data) = (built.to, built.data.clone());
    let call = Ask::CallFrom { from: sender, to, data: data.clone(), value, gas: None };
    let estimate = Ask::EstimateGas { from: sender, to, data, value };
    let mut answers = pin.ask(&[(pin.at(), call), (pin.at(), estimate)]).await?.into_iter();
    let (Some(called), Some(estimated)) = (answers.next(), answers.next()) else {
        return Err(L1Error::Torn("an answer is missing".to_owned()));
    };
    if let Some(refusal) = refusal(called)? {
        return Ok(QuoteOutcome::Refused { refusal });
    }
    let estimated = match estimated {
        // Some nodes estimate at their own head only. The call itself was simulated at the pinned block.
        Err(fault) if fault.is_bad_params() => estimate_at_latest(pin, &built, value, sender).await?,
        other => other,
    };
    let gas = match &estimated {
        Ok(gas) => crate::json::number(gas)
            .ok_or_else(|| pin.member.rpc.malformed("eth_estimateGas", &"not a number"))?,
        Err(_) => match refusal(estimated)? {
            Some(refusal) => return Ok(QuoteOutcome::Refused { refusal }),
            None => return Err(L1Error::Torn("an estimate is missing".to_owned())),
        },
    };
    let root = match purpose {
        Purpose::Submission { .. } | Purpose::Optimistic { .. } => {
            body.output.as_ref().map_or(Hash32::ZERO, |output| output.root)
        }
        Purpose::Checkpoint { .. } | Purpose::Release => Hash32::ZERO,
    };
    let call = Call { to: built.to, value, calldata: built.digest() };
    Ok(QuoteOutcome::Accepted { call, gas, root })
}

/// The call of a purpose with its coin, on the contract as it is at the pinned block.
pub(crate) async fn prepare(
    l1: &Inner,
    pin: &Pin,
    (purpose, body): (&Purpose, &TxBody),
    proof: Option<&[u8]>,
    sender: Address,
) -> Result<(Built, Wei), L1Error> {
    let generation: Option<Generation> = match purpose {
        Purpose::Submission { .. } => Some(interface_at(l1, pin, body.oracle).await?.generation),
        _ => None,
    };
    let built = calldata::build(purpose, body, generation, proof, sender)?;
    let Some(factory) = built.bond_of else { return Ok((built, Wei(0))) };
    let mut reading = Reading::default();
    let place = bond(&mut reading, pin.at(), factory);
    let bond = reading.at(pin).await?.get(place)?;
    Ok((built, Wei(coin(bond, factory, "initBonds(6)")?)))
}

/// The chain's refusal; an error where it was not the chain that refused.
fn refusal(answer: Answer) -> Result<Option<Refusal>, L1Error> {
    match answer {
        Ok(_) => Ok(None),
        Err(fault) => match decode::refused(&fault) {
            Some(refusal) => Ok(Some(refusal)),
            None => Err(fault.into()),
        },
    }
}

async fn estimate_at_latest(
    pin: &Pin,
    built: &Built,
    value: Wei,
    sender: Address,
) -> Result<Answer, L1Error> {
    let call = crate::pin::call_object(sender, built.to, &built.data, value);
    let request = Request::new("eth_estimateGas", serde_json::json!([call]));
    Ok(pin.member.rpc.call(request).await)
}
