//! What a question is about: from a block, a name or a hash to the streams that know.
//!
//! Live work is found in the state. What is settled has left it: aggregates follow one another along the blocks, so the
//! one that settled a block is found by halving, and its members name their blocks.

use std::fmt;
use std::str::FromStr;

use prooflog_events::event::{AggQueued, Event, EventType};
use prooflog_events::ids::{ChainId, Hash32, L2Block, Position, Range, Revision, SlotId, StreamId, UnitId};
use prooflog_events::port::Direction;
use prooflog_log::read::Filter;
use prooflog_projections::State;
use prooflog_projections::state::chain::Chain;

use super::super::exit::CliError;
use super::super::source::Source;

/// What an operator asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A block of a rollup.
    Block(L2Block),
    /// A span or an aggregate.
    Unit(UnitId),
    /// A nonce.
    Slot(SlotId),
    /// A transaction.
    Hash(Hash32),
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(block) = text.parse() {
            return Ok(Self::Block(L2Block(block)));
        }
        if let Ok(hash) = text.parse() {
            return Ok(Self::Hash(hash));
        }
        match text.parse() {
            Ok(StreamId::Unit(unit)) => Ok(Self::Unit(unit)),
            Ok(StreamId::Tx(slot)) => Ok(Self::Slot(slot)),
            _ => {
                Err("it is none of 12345, span-10-7, agg-10-3, tx-1-0x…-5, or a transaction's hash"
                    .to_owned())
            }
        }
    }
}

/// What a question is about, found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A block, and the span that covers it, if there is one.
    Block { chain: ChainId, block: L2Block, unit: Option<UnitId> },
    /// A span or an aggregate.
    Unit(UnitId),
    /// A nonce, and the transaction that was asked for.
    Nonce { slot: SlotId, hash: Option<Hash32> },
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block { chain, block, unit: Some(unit) } => {
                write!(f, "block {block} of rollup {chain}, in {unit}")
            }
            Self::Block { chain, block, unit: None } => write!(f, "block {block} of rollup {chain}"),
            Self::Unit(unit) => unit.fmt(f),
            Self::Nonce { slot, hash: Some(hash) } => write!(f, "transaction {hash}, in {slot}"),
            Self::Nonce { slot, hash: None } => slot.fmt(f),
        }
    }
}

/// Finds what is asked about.
pub(super) fn subject(
    source: &Source,
    state: &State,
    asked: Asked,
    chain: Option<ChainId>,
) -> Result<Subject, CliError> {
    let nothing =
        |what: &dyn fmt::Display| CliError::Usage(format!("there is no {what} at position {}", source.at()));
    match asked {
        Asked::Block(block) => {
            let chain = the_chain(state, chain)?;
            let unit = covering(source, chain, block)?;
            Ok(Subject::Block { chain: chain.id, block, unit })
        }
        Asked::Unit(unit) => {
            let there = created(source, unit)?.is_some_and(|(position, _)| position <= source.at());
            if there { Ok(Subject::Unit(unit)) } else { Err(nothing(&unit)) }
        }
        Asked::Slot(slot) => {
            let page = source.reader().stream(&slot.to_string(), Revision(0), Direction::Forward, 1)?;
            let there = page.records.first().is_some_and(|record| record.position() <= source.at());
            if there { Ok(Subject::Nonce { slot, hash: None }) } else { Err(nothing(&slot)) }
        }
        Asked::Hash(hash) => {
            let slot =
                nonce_of(source, state, hash)?.ok_or_else(|| nothing(&format!("transaction {hash}")))?;
            Ok(Subject::Nonce { slot, hash: Some(hash) })
        }
    }
}

/// The rollup that is meant.
fn the_chain(state: &State, chain: Option<ChainId>) -> Result<&Chain, CliError> {
    let known = || {
        let names = state.chains.values().map(|chain| format!("{} ({})", chain.id, chain.registration.name));
        names.collect::<Vec<_>>().join(", ")
    };
    match chain {
        Some(id) => state
            .chains
            .get(&id)
            .ok_or_else(|| CliError::Usage(format!("there is no rollup {id} here, but {}", known()))),
        None if state.chains.len() > 1 => {
            Err(CliError::Usage(format!("say which rollup with --chain: {}", known())))
        }
        None => state
            .chains
            .values()
            .next()
            .ok_or_else(|| CliError::Usage("there is no rollup in this log yet".to_owned())),
    }
}

/// Whether blocks hold `block`: a range is from after its start up to its end.
fn holds(range: Range, block: L2Block) -> bool {
    range.start < block && block <= range.end
}

/// The span that covers a block, alive or settled.
fn covering(source: &Source, chain: &Chain, block: L2Block) -> Result<Option<UnitId>, CliError> {
    let below = chain.index.by_start.range(..block).next_back();
    let live = below.and_then(|(_, number)| chain.spans.get(number));
    if let Some(span) = live.filter(|span| holds(span.range, block)) {
        return Ok(Some(span.id));
    }
    let agg = settled_by(source, chain, |queued| {
        if queued.range.end < block {
            Ahead::Later
        } else if holds(queued.range, block) {
            Ahead::Here
        } else {
            Ahead::Earlier
        }
    })?;
    let Some((_, queued)) = agg else { return Ok(None) };
    for number in queued.members {
        let span = UnitId::span(chain.id, number);
        if created(source, span)?.is_some_and(|(_, range)| holds(range, block)) {
            return Ok(Some(span));
        }
    }
    Ok(None)
}

/// Where what is looked for lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ahead {
    Earlier,
    Here,
    Later,
}

/// The last aggregate that answers `Here`; aggregates follow one another along the blocks.
fn settled_by(
    source: &Source,
    chain: &Chain,
    look: impl Fn(&AggQueued) -> Ahead,
) -> Result<Option<(UnitId, AggQueued)>, CliError> {
    let queued = |number: u64| queued(source, UnitId::agg(chain.id, number));
    let (mut low, mut high) = (1, chain.last_agg);
    let mut found = None;
    while low <= high {
        let middle = low + (high - low) / 2;
        let Some(here) = queued(middle)? else { break };
        match look(&here) {
            Ahead::Earlier => high = middle - 1,
            // One that starts at the same block may have come later, in its place.
            Ahead::Here => {
                found = Some((UnitId::agg(chain.id, middle), here));
                low = middle + 1;
            }
            Ahead::Later => low = middle + 1,
        }
    }
    Ok(found)
}

/// What an aggregate was queued for.
fn queued(source: &Source, agg: UnitId) -> Result<Option<AggQueued>, CliError> {
    Ok(first(source, agg)?.and_then(|(_, event)| match event {
        Event::AggQueued(e) => Some(e),
        _ => None,
    }))
}

/// Where a unit came to be, and its blocks.
pub(super) fn created(source: &Source, unit: UnitId) -> Result<Option<(Position, Range)>, CliError> {
    Ok(first(source, unit)?.and_then(|(position, event)| match event {
        Event::SpanCreated(e) => Some((position, e.range)),
        Event::AggQueued(e) => Some((position, e.range)),
        _ => None,
    }))
}

/// The first event of a unit.
fn first(source: &Source, unit: UnitId) -> Result<Option<(Position, Event)>, CliError> {
    let page = source.reader().stream(&unit.to_string(), Revision(0), Direction::Forward, 1)?;
    let Some(record) = page.records.first() else { return Ok(None) };
    let fact = prooflog_replay::fact_of(record.position(), record.stored())?;
    Ok(fact.map(|fact| (fact.position, fact.event)))
}

/// The aggregate that took a span: the live one, or the last one that was queued over its blocks.
pub(super) fn agg_of(source: &Source, state: &State, span: UnitId) -> Result<Option<UnitId>, CliError> {
    let Some(chain) = state.chains.get(&span.chain) else { return Ok(None) };
    let mut live = chain.aggs.values();
    let takes = |members: &[u64]| members.contains(&span.number);
    if let Some(agg) = live.find(|agg| agg.agg_body().is_some_and(|body| takes(&body.members))) {
        return Ok(Some(agg.id));
    }
    let Some((_, range)) = created(source, span)? else { return Ok(None) };
    let found = settled_by(source, chain, |queued| {
        if queued.range.end < range.end {
            Ahead::Later
        } else if queued.range.start <= range.start {
            Ahead::Here
        } else {
            Ahead::Earlier
        }
    })?;
    Ok(found.filter(|(_, queued)| takes(&queued.members)).map(|(agg, _)| agg))
}

/// The nonce that a transaction of ours was signed for: an open one, or the last that the log tells of.
fn nonce_of(source: &Source, state: &State, hash: Hash32) -> Result<Option<SlotId>, CliError> {
    let open = state.signers.values().flat_map(|signer| signer.slots.values());
    let mut signed = open.flat_map(|slot| slot.signed.iter().map(move |signed| (slot.id, signed.hash)));
    if let Some((slot, _)) = signed.find(|(_, known)| *known == hash) {
        return Ok(Some(slot));
    }
    /// Records that are looked through at a time.
    const PIECE: usize = 4_096;
    let filter = Filter::type_prefix(EventType::TxPrepared.name());
    let (reader, mut from) = (source.reader(), Some(source.at()));
    while let Some(at) = from.filter(|at| *at > Position::ZERO) {
        let page = reader.all(at, Direction::Backward, &filter, PIECE)?;
        for record in &page.records {
            let fact = prooflog_replay::fact_of(record.position(), record.stored())?;
            let Some(fact) = fact else { continue };
            if let (Event::TxPrepared(e), StreamId::Tx(slot)) = (&fact.event, fact.stream)
                && e.hash == hash
            {
                return Ok(Some(slot));
            }
        }
        from = page.next;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_a_question_or_none(
            text in "(span|agg|tx|chain|signer)-[0-9-]{0,25}(0x[0-9a-f]{40})?(-[0-9]{0,22})?|0x[0-9a-f]{60,66}|[0-9]{0,22}|.{0,60}",
        ) {
            match text.parse::<Asked>() {
                Ok(Asked::Block(block)) => prop_assert_eq!(text.parse(), Ok(block.0)),
                Ok(Asked::Unit(unit)) => prop_assert_eq!(unit.to_string(), text),
                Ok(Asked::Slot(slot)) => prop_assert_eq!(StreamId::Tx(slot).to_string(), text),
                Ok(Asked::Hash(hash)) => prop_assert_eq!(hash.to_string().parse(), Ok(hash)),
                Err(why) => prop_assert!(why.contains("span-10-7")),
            }
        }
    }
}
