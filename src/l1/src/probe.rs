//! Reads for the start and for `doctor`: who the L1 is, and everything about an oracle that a person wants to know.
//!
//! Nothing in here is on the way of a decision. A crash in here loses an answer.

use prooflog_events::ids::{Address, ChainId, Hash32, L1Number, L2Block, Wei};
use prooflog_events::values::{Generation, L1Head};

use crate::abi::{Oracle, Third, Verifier};
use crate::approval::{Approval, Facts};
use crate::contract::{Terms, bond, interface_at};
use crate::decode;
use crate::error::L1Error;
use crate::interface::Interface;
use crate::json::{evm, ours, uint, word};
use crate::pin::{Ask, Pin};
use crate::reading::{Reading, coin, small};
use crate::{Inner, ReadContract};

/// Who the L1 is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Hash of its first block.
    pub genesis: Hash32,
    /// Where it stands.
    pub head: L1Head,
}

/// Whether the verifier checks proofs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifierKind {
    /// It takes an empty proof: the mock one. An error in real mode, a requirement in mock mode.
    Mock,
    /// It refuses an empty proof, with these words.
    Real(String),
    /// There is no code at its address.
    Missing,
}

/// An oracle in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OracleReport {
    /// What its implementation can do.
    pub interface: Interface,
    /// Who may upgrade and configure it.
    pub owner: Address,
    /// Who may delete outputs.
    pub challenger: Address,
    /// The verifier called.
    pub verifier: Address,
    /// Whether that verifier checks proofs.
    pub verifier_kind: VerifierKind,
    /// Aggregation key, range key commitment and rollup configuration under the name asked for; all zero where the name
    /// is not configured.
    pub keys: (Hash32, Hash32, Hash32),
    /// Whether the sender may submit now, and why.
    pub approval: Approval,
    /// Whether proofs are switched off.
    pub optimistic: bool,
    /// The factory that submissions go through.
    pub factory: Option<Address>,
    /// The configured factory, where the oracle names another.
    pub factory_mismatch: Option<Address>,
    /// Bond that the factory demands.
    pub bond: Wei,
    /// First block and its time in seconds, and seconds per block, as the contract counts.
    pub clock: (L2Block, u64, u64),
    /// Fallback timeout and time of the last proposal, in seconds (third generation).
    pub fallback: Option<(u64, u64)>,
    /// Smallest distance of two outputs, in blocks.
    pub submission_interval: u64,
    /// The block that the contract accepts next, and its time in seconds as the contract counts.
    pub next_block: (L2Block, u64),
}

pub(crate) async fn identity(pin: &Pin) -> Result<Identity, L1Error> {
    let first = pin.canonical(&[L1Number(0)]).await?;
    let genesis = first.first().map(|block| block.hash);
    genesis
        .map(|genesis| Identity { genesis, head: pin.head() })
        .ok_or_else(|| L1Error::Torn("the first block is missing".to_owned()))
}

pub(crate) async fn code_size(pin: &Pin, address: Address) -> Result<usize, L1Error> {
    let mut reading = Reading::default();
    let place = reading.ask(pin.at(), Ask::Code { address });
    Ok(reading.at(pin).await?.bytes(place)?.len())
}

pub(crate) async fn balance(pin: &Pin, address: Address) -> Result<Wei, L1Error> {
    let mut reading = Reading::default();
    let place = reading.ask(pin.at(), Ask::Balance { address });
    Ok(Wei(reading.at(pin).await?.quantity(place)?))
}

pub(crate) async fn verifier_kind(pin: &Pin, verifier: Address) -> Result<VerifierKind, L1Error> {
    let mut reading = Reading::default();
    let code = reading.ask(pin.at(), Ask::Code { address: verifier });
    let call = Verifier::verifyProofCall {
        vkey: word(Hash32::ZERO),
        publicValues: Vec::new().into(),
        proof: Vec::new().into(),
    };
    let call = reading.call(pin.at(), verifier, &call);
    let answers = reading.at(pin).await?;
    if answers.bytes(code)?.is_empty() {
        return Ok(VerifierKind::Missing);
    }
    match answers.result(call) {
        Some(Ok(_)) => Ok(VerifierKind::Mock),
        Some(Err(fault)) => match decode::refused(fault) {
            Some(refusal) => Ok(VerifierKind::Real(refusal.text)),
            None => Err(fault.clone().into()),
        },
        None => Err(L1Error::Torn("an answer is missing".to_owned())),
    }
}

pub(crate) async fn oracle(
    l1: &Inner,
    pin: &Pin,
    to: Address,
    terms: &Terms,
) -> Result<OracleReport, L1Error> {
    let interface = (*interface_at(l1, pin, to).await?).clone();
    let read = crate::contract::read(l1, pin, &at_head(to, terms)).await?;
    let at = pin.at();
    let mut reading = Reading::default();
    let owner = reading.call(at, to, &Oracle::ownerCall {});
    let challenger = reading.call(at, to, &Oracle::challengerCall {});
    let first = reading.call(at, to, &Oracle::startingBlockNumberCall {});
    let start = reading.call(at, to, &Oracle::startingTimestampCall {});
    let pace = reading.call(at, to, &Oracle::l2BlockTimeCall {});
    let next = reading.call(at, to, &Oracle::computeL2TimestampCall { block: uint(read.next_block.0) });
    let sender = reading.call(at, to, &Oracle::approvedProposersCall { proposer: evm(terms.sender) });
    let everyone = reading.call(at, to, &Oracle::approvedProposersCall { proposer: evm(Address::default()) });
    let answers = reading.at(pin).await?;
    let values = read.values;
    let facts = Facts {
        generation: interface.generation,
        optimistic: values.optimistic,
        through_factory: values.factory.is_some(),
        sender: answers.get(sender)?,
        everyone: answers.get(everyone)?,
        fallback: if interface.generation == Generation::V3 { Some(fallback(pin, to).await?) } else { None },
        time: pin.header.time,
    };
    let mismatch =
        terms.factory.filter(|factory| interface.names_factory && Some(*factory) != values.factory);
    Ok(OracleReport {
        owner: ours(answers.get(owner)?),
        challenger: ours(answers.get(challenger)?),
        verifier: values.verifier,
        verifier_kind: verifier_kind(pin, values.verifier).await?,
        keys: (values.agg_vkey, values.range_vkey, values.rollup_config),
        approval: Approval::of(&facts),
        optimistic: values.optimistic,
        factory: values.factory,
        factory_mismatch: mismatch,
        bond: values.bond,
        clock: (
            L2Block(small(answers.get(first)?, to, "startingBlockNumber()")?),
            small(answers.get(start)?, to, "startingTimestamp()")?,
            small(answers.get(pace)?, to, "l2BlockTime()")?,
        ),
        fallback: facts.fallback,
        submission_interval: values.submission_interval,
        next_block: (read.next_block, small(answers.get(next)?, to, "computeL2Timestamp(uint256)")?),
        interface,
    })
}

/// The question for an oracle at the head and nothing else.
const fn at_head(oracle: Address, terms: &Terms) -> ReadContract {
    ReadContract {
        chain: ChainId(0),
        oracle,
        confirmations: 0,
        checkpoints: Vec::new(),
        canonical: Vec::new(),
        since: None,
        terms: *terms,
    }
}

/// Fallback timeout and time of the last proposal, in seconds.
async fn fallback(pin: &Pin, to: Address) -> Result<(u64, u64), L1Error> {
    let mut reading = Reading::default();
    let timeout = reading.call(pin.at(), to, &Third::fallbackTimeoutCall {});
    let last = reading.call(pin.at(), to, &Third::lastProposalTimestampCall {});
    let answers = reading.at(pin).await?;
    let timeout = small(answers.get(timeout)?, to, "fallbackTimeout()").unwrap_or(u64::MAX);
    Ok((timeout, small(answers.get(last)?, to, "lastProposalTimestamp()")?))
}

pub(crate) async fn factory_bond(pin: &Pin, factory: Address) -> Result<Wei, L1Error> {
    let mut reading = Reading::default();
    let place = bond(&mut reading, pin.at(), factory);
    let bond = reading.at(pin).await?.get(place)?;
    Ok(Wei(coin(bond, factory, "initBonds(6)")?))
}
