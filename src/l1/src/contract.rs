//! The oracle, read at one block and at confirmation depth.
//!
//! Everything is asked in one batch on what is known from the last read (implementation, latest index, factory); where
//! that turns out to be old, the batch is asked again on what is true. All values of one read belong to two blocks of
//! one chain, named by hash. A crash in here loses a read.

use std::sync::Arc;

use prooflog_events::ids::{Address, ChainId, Hash32, L1Number, L1Ref, L2Block, Wei};
use prooflog_events::input::ContractRead;
use prooflog_events::values::{Anchor, ContractValues, Generation};

use crate::abi::{Factory, Oracle, OutputProposal, Third};
use crate::approval::{Approval, Facts};
use crate::calldata::GAME_TYPE;
use crate::error::L1Error;
use crate::interface::{self, IMPLEMENTATION_SLOT, Interface};
use crate::json::{evm, ours, uint, word};
use crate::pin::{Ask, Pin};
use crate::reading::{Answers, Place, Raw, Reading, coin, nothing_at, small};
use crate::{Inner, trail};

/// Rounds of one read: unknown oracle, upgraded, index moved, factory set.
const ROUNDS: u32 = 5;

/// The question of a `ReadContract` effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadContract {
    /// The rollup.
    pub chain: ChainId,
    /// The oracle.
    pub oracle: Address,
    /// Depth that counts as confirmed, in blocks.
    pub confirmations: u64,
    /// Checkpoints to read back at that depth.
    pub checkpoints: Vec<L1Number>,
    /// L1 blocks whose canonical hash is needed.
    pub canonical: Vec<L1Number>,
    /// L1 block of the last recorded observation: deletions are looked for above it.
    pub since: Option<L1Number>,
    /// For whom it is read.
    pub terms: Terms,
}

/// For whom a contract is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The account that sends.
    pub sender: Address,
    /// Config name of the third generation; zero for the others.
    pub config_name: Hash32,
    /// Factory of an oracle that does not name one itself (first and second generation); `None` submits directly.
    pub factory: Option<Address>,
}

/// What the last read found, on which the next one rests its batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hint {
    pub(crate) interface: Arc<Interface>,
    next: u64,
    confirmed_next: u64,
    factory: Option<Address>,
}

/// Reads the oracle of a rollup.
pub(crate) async fn read(l1: &Inner, pin: &Pin, ask: &ReadContract) -> Result<ContractRead, L1Error> {
    let depth = L1Number(pin.at().number.0.saturating_sub(ask.confirmations));
    let mut numbers = ask.canonical.clone();
    numbers.push(depth);
    pin.canonical(&numbers).await?;
    let confirmed_at = pin.below(ask.confirmations).await?;
    let canonical = pin.canonical(&ask.canonical).await?;

    let mut hint = l1.hint(ask.oracle);
    for _ in 0..ROUNDS {
        let known = match hint.take() {
            Some(known) => known,
            None => Hint {
                interface: interface_at(l1, pin, ask.oracle).await?,
                next: 0,
                confirmed_next: 0,
                factory: None,
            },
        };
        match round(l1, pin, ask, confirmed_at, &known).await? {
            Round::Done(parts) => {
                l1.set_hint(ask.oracle, known);
                let Parts { values, latest, next_block, confirmed, checkpoints } = *parts;
                let seen = trail::follow(l1, pin, ask.oracle, ask.since, latest).await?;
                return Ok(ContractRead {
                    chain: ask.chain,
                    oracle: ask.oracle,
                    at: pin.head(),
                    values,
                    latest,
                    next_block,
                    latest_by: seen.latest_by,
                    outputs_deleted: seen.deleted,
                    confirmed_at,
                    confirmed,
                    checkpoints,
                    canonical,
                });
            }
            Round::Again(better) => hint = Some(better),
        }
    }
    Err(L1Error::Torn(format!("contract {} answers differently each time", ask.oracle)))
}

/// The interface that is in force at the head.
pub(crate) async fn interface_at(l1: &Inner, pin: &Pin, oracle: Address) -> Result<Arc<Interface>, L1Error> {
    let mut reading = Reading::default();
    let slot = reading.ask(pin.at(), Ask::Storage { address: oracle, slot: IMPLEMENTATION_SLOT });
    let answers = reading.at(pin).await?;
    let implementation = interface::implementation(oracle, &answers.bytes(slot)?);
    interface_of(l1, pin, oracle, implementation).await
}

async fn interface_of(
    l1: &Inner,
    pin: &Pin,
    oracle: Address,
    implementation: Address,
) -> Result<Arc<Interface>, L1Error> {
    if let Some(known) = l1.interface(implementation) {
        return Ok(known);
    }
    let found = Arc::new(interface::detect(pin, pin.at(), oracle, implementation).await?);
    tracing::info!(%oracle, %implementation, version = found.version, generation = ?found.generation, "output oracle");
    l1.set_interface(found.clone());
    Ok(found)
}

enum Round {
    Done(Box<Parts>),
    Again(Hint),
}

struct Parts {
    values: ContractValues,
    latest: Option<Anchor>,
    next_block: L2Block,
    confirmed: Option<Anchor>,
    checkpoints: Vec<L1Ref>,
}

/// Places of what is asked at the head.
struct AtHead {
    slot: Raw,
    next: Place<Oracle::nextOutputIndexCall>,
    output: Option<Place<Oracle::getL2OutputCall>>,
    latest_block: Place<Oracle::latestBlockNumberCall>,
    next_block: Place<Oracle::nextBlockNumberCall>,
    interval: Place<Oracle::submissionIntervalCall>,
    verifier: Place<Oracle::verifierCall>,
    optimistic: Place<Oracle::optimisticModeCall>,
    finalization: Place<Oracle::finalizationPeriodSecondsCall>,
    sender: Place<Oracle::approvedProposersCall>,
    everyone: Place<Oracle::approvedProposersCall>,
    keys: Keys,
    factory: Option<Place<Third::disputeGameFactoryCall>>,
    bond: Option<(Address, Place<Factory::initBondsCall>)>,
    fallback: Option<(Place<Third::fallbackTimeoutCall>, Place<Third::lastProposalTimestampCall>)>,
}

enum Keys {
    Single(
        Place<Oracle::aggregationVkeyCall>,
        Place<Oracle::rangeVkeyCommitmentCall>,
        Place<Oracle::rollupConfigHashCall>,
    ),
    Named(Place<Third::opSuccinctConfigsCall>),
}

impl AtHead {
    fn ask(reading: &mut Reading, at: L1Ref, ask: &ReadContract, known: &Hint) -> Self {
        let to = ask.oracle;
        let is_third = known.interface.generation == Generation::V3;
        Self {
            slot: reading.ask(at, Ask::Storage { address: to, slot: IMPLEMENTATION_SLOT }),
            next: reading.call(at, to, &Oracle::nextOutputIndexCall {}),
            output: output_place(reading, at, to, known.next),
            latest_block: reading.call(at, to, &Oracle::latestBlockNumberCall {}),
            next_block: reading.call(at, to, &Oracle::nextBlockNumberCall {}),
            interval: reading.call(at, to, &Oracle::submissionIntervalCall {}),
            verifier: reading.call(at, to, &Oracle::verifierCall {}),
            optimistic: reading.call(at, to, &Oracle::optimisticModeCall {}),
            finalization: reading.call(at, to, &Oracle::finalizationPeriodSecondsCall {}),
            sender: reading.call(at, to, &Oracle::approvedProposersCall { proposer: evm(ask.terms.sender) }),
            everyone: reading.call(
                at,
                to,
                &Oracle::approvedProposersCall { proposer: evm(Address::default()) },
            ),
            keys: if is_third {
                Keys::Named(reading.call(
                    at,
                    to,
                    &Third::opSuccinctConfigsCall { name: word(ask.terms.config_name) },
                ))
            } else {
                Keys::Single(
                    reading.call(at, to, &Oracle::aggregationVkeyCall {}),
                    reading.call(at, to, &Oracle::rangeVkeyCommitmentCall {}),
                    reading.call(at, to, &Oracle::rollupConfigHashCall {}),
                )
            },
            factory: known
                .interface
                .names_factory
                .then(|| reading.call(at, to, &Third::disputeGameFactoryCall {})),
            bond: known.factory.map(|factory| (factory, bond(reading, at, factory))),
            fallback: is_third.then(|| {
                (
                    reading.call(at, to, &Third::fallbackTimeoutCall {}),
                    reading.call(at, to, &Third::lastProposalTimestampCall {}),
                )
            }),
        }
    }
}

/// Asks for the bond that a factory demands.
pub(crate) fn bond(reading: &mut Reading, at: L1Ref, factory: Address) -> Place<Factory::initBondsCall> {
    reading.call(at, factory, &Factory::initBondsCall { gameType: GAME_TYPE })
}

async fn round(
    l1: &Inner,
    pin: &Pin,
    ask: &ReadContract,
    confirmed_at: L1Ref,
    known: &Hint,
) -> Result<Round, L1Error> {
    let oracle = ask.oracle;
    let mut reading = Reading::default();
    let head = AtHead::ask(&mut reading, pin.at(), ask, known);
    let confirmed_next = reading.call(confirmed_at, oracle, &Oracle::nextOutputIndexCall {});
    let confirmed_output = output_place(&mut reading, confirmed_at, oracle, known.confirmed_next);
    let points: Vec<_> = ask
        .checkpoints
        .iter()
        .map(|number| {
            let call = Oracle::historicBlockHashesCall { block: uint(number.0) };
            (*number, reading.call(confirmed_at, oracle, &call))
        })
        .collect();
    let answers = reading.at(pin).await?;

    let implementation = interface::implementation(oracle, &answers.bytes(head.slot)?);
    if implementation != known.interface.implementation {
        let interface = interface_of(l1, pin, oracle, implementation).await?;
        return Ok(Round::Again(Hint { interface, ..known.clone() }));
    }
    let truth = Hint {
        interface: known.interface.clone(),
        next: small(answers.get(head.next)?, oracle, "nextOutputIndex()")?,
        confirmed_next: match answers.try_get(confirmed_next)? {
            Some(next) => small(next, oracle, "nextOutputIndex()")?,
            // At that depth the contract did not exist.
            None => 0,
        },
        factory: factory(&answers, &head, ask)?,
    };
    if truth != *known {
        return Ok(Round::Again(truth));
    }
    let latest = anchor(&answers, head.output, oracle, known.next)?;
    let next_block = next_block(&answers, &head, oracle, latest)?;
    let mut checkpoints = Vec::with_capacity(points.len());
    for (number, place) in points {
        let stored = answers.try_get(place)?;
        checkpoints.push(stored.map_or(nothing_at(number), |hash| L1Ref { number, hash: Hash32(hash.0) }));
    }
    let confirmed = anchor(&answers, confirmed_output, oracle, known.confirmed_next)?;
    let values = values(&answers, &head, ask, (known, pin.header.time))?;
    l1.set_fallback(oracle, fallback(&answers, &head, oracle)?);
    Ok(Round::Done(Box::new(Parts { values, latest, next_block, confirmed, checkpoints })))
}

/// The factory that submissions go through: the one that the oracle names, or the configured one where it cannot.
fn factory(answers: &Answers, head: &AtHead, ask: &ReadContract) -> Result<Option<Address>, L1Error> {
    match head.factory {
        Some(place) => Ok(Some(ours(answers.get(place)?)).filter(|factory| *factory != Address::default())),
        None => Ok(ask.terms.factory.filter(|factory| *factory != Address::default())),
    }
}

fn output_place(
    reading: &mut Reading,
    at: L1Ref,
    oracle: Address,
    next: u64,
) -> Option<Place<Oracle::getL2OutputCall>> {
    let index = next.checked_sub(1)?;
    Some(reading.call(at, oracle, &Oracle::getL2OutputCall { index: uint(index) }))
}

fn anchor(
    answers: &Answers,
    place: Option<Place<Oracle::getL2OutputCall>>,
    oracle: Address,
    next: u64,
) -> Result<Option<Anchor>, L1Error> {
    let (Some(place), Some(index)) = (place, next.checked_sub(1)) else { return Ok(None) };
    let OutputProposal { outputRoot, l2BlockNumber, .. } = answers.get(place)?;
    let block = u64::try_from(l2BlockNumber).map_err(|_| L1Error::Contract {
        address: oracle,
        problem: "an L2 block is beyond 2^64".to_owned(),
    })?;
    Ok(Some(Anchor { index, root: Hash32(outputRoot.0), block: L2Block(block) }))
}

/// The next block, and a check that the parts of the read belong together.
fn next_block(
    answers: &Answers,
    head: &AtHead,
    oracle: Address,
    latest: Option<Anchor>,
) -> Result<L2Block, L1Error> {
    let latest_block = small(answers.get(head.latest_block)?, oracle, "latestBlockNumber()")?;
    let next_block = small(answers.get(head.next_block)?, oracle, "nextBlockNumber()")?;
    if latest.is_some_and(|latest| latest.block.0 != latest_block) || next_block < latest_block {
        return Err(L1Error::Torn(format!(
            "contract {oracle} has output {latest:?}, latest block {latest_block} and next block {next_block}"
        )));
    }
    Ok(L2Block(next_block))
}

/// Timeout of the fallback and the last proposal's time, in seconds, where the contract has such a rule.
fn fallback(answers: &Answers, head: &AtHead, oracle: Address) -> Result<Option<(u64, u64)>, L1Error> {
    let Some((timeout, last)) = head.fallback else { return Ok(None) };
    let timeout = small(answers.get(timeout)?, oracle, "fallbackTimeout()").unwrap_or(u64::MAX);
    Ok(Some((timeout, small(answers.get(last)?, oracle, "lastProposalTimestamp()")?)))
}

fn values(
    answers: &Answers,
    head: &AtHead,
    ask: &ReadContract,
    (known, time): (&Hint, u64),
) -> Result<ContractValues, L1Error> {
    let oracle = ask.oracle;
    let (agg_vkey, range_vkey, rollup_config) = match &head.keys {
        Keys::Single(agg, range, config) => (answers.get(*agg)?, answers.get(*range)?, answers.get(*config)?),
        Keys::Named(place) => {
            let config = answers.get(*place)?;
            (config.aggregationVkey, config.rangeVkeyCommitment, config.rollupConfigHash)
        }
    };
    let optimistic = answers.get(head.optimistic)?;
    let facts = Facts {
        generation: known.interface.generation,
        optimistic,
        through_factory: known.factory.is_some(),
        sender: answers.get(head.sender)?,
        everyone: answers.get(head.everyone)?,
        fallback: fallback(answers, head, oracle)?,
        time,
    };
    Ok(ContractValues {
        implementation: known.interface.implementation,
        generation: known.interface.generation,
        submission_interval: small(answers.get(head.interval)?, oracle, "submissionInterval()")?,
        agg_vkey: Hash32(agg_vkey.0),
        range_vkey: Hash32(range_vkey.0),
        rollup_config: Hash32(rollup_config.0),
        verifier: ours(answers.get(head.verifier)?),
        optimistic,
        approved: !matches!(Approval::of(&facts), Approval::No { .. }),
        factory: known.factory,
        bond: match head.bond {
            Some((factory, place)) => Wei(coin(answers.get(place)?, factory, "initBonds(6)")?),
            None => Wei(0),
        },
        finalization_secs: small(answers.get(head.finalization)?, oracle, "finalizationPeriodSeconds()")
            .unwrap_or(u64::MAX),
    })
}
