//! Every event on the streams that are no unit and no nonce, against a table written by hand: where it may stand, and what
//! must be so before it. One event of each type comes from the golden bytes; whatever the table does not list is illegal.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;

use prooflog_events::event::{Event, EventType};
use prooflog_events::ids::{
    Address, ChainId, L1ChainId, LogId, Micros, Position, SignerId, StreamId, UnitId,
};
use prooflog_projections::{Fact, State};

const CHAIN: ChainId = ChainId(10);
const ACCOUNT: SignerId = SignerId { l1: L1ChainId(1), address: Address([7; 20]) };

const NODE: &str = "EngineStarted EngineStopped";

/// Event, and what must be so; a `!` in front means that it must not be so.
const OF_CHAIN: &str = "
PolicyChanged:
ContractChanged:
ContractObserved:
ContractConfigValidated:
ContractConfigRejected:
ContractAdvanced:
ContractConfirmed:
ContractRolledBack:
OutputChecked:
OutputMismatched:
FlushRequested:
FeeCeilingReached:
SubmissionRefused:
FinalizedMoved: !head
FinalizedStalled: head !stalled
DegradedModeEntered: !degraded
DegradedModeLeft: degraded
ProverDegraded: !ill
ProverRecovered: ill
Paused: !paused
Resumed: paused
";

const OF_SIGNER: &str = "
SignerBalanceLow: !low
SignerBalanceRestored: low
NonceDrifted:
";

/// What makes each fact so.
const FACTS: [(&str, EventType); 6] = [
    ("head", EventType::FinalizedMoved),
    ("stalled", EventType::FinalizedStalled),
    ("degraded", EventType::DegradedModeEntered),
    ("ill", EventType::ProverDegraded),
    ("paused", EventType::Paused),
    ("low", EventType::SignerBalanceLow),
];

/// The golden event of a type.
fn golden(kind: EventType) -> Event {
    let name = format!("{}.v{}.txt", kind.name(), kind.version());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/events").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let digits = text.lines().next().unwrap().as_bytes();
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    match Event::decode(kind.name(), kind.version(), &bytes).unwrap() {
        // The oracle that the golden change starts from.
        Event::ChainRegistered(mut registered) => {
            registered.oracle = Address([1; 20]);
            registered.into()
        }
        other => other,
    }
}

/// Whether an event may come next on a stream; if so, the state holds it.
fn takes(state: &mut State, stream: StreamId, event: Event) -> bool {
    let revision = state.next_revision(stream);
    let time = Micros(state.time.0 + 1);
    let correlation = &stream.to_string();
    state.apply(&Fact { position: Position(1), stream, revision, time, correlation, event }).is_ok()
}

/// A registered rollup in which exactly these facts hold; `None` where they cannot hold together.
fn given(facts: &[&str]) -> Option<State> {
    let mut state = State::new(LogId([1; 16]));
    assert!(takes(&mut state, StreamId::Chain(CHAIN), golden(EventType::ChainRegistered)));
    for (fact, kind) in FACTS.iter().filter(|(fact, _)| facts.contains(fact)) {
        let stream = if *fact == "low" { StreamId::Signer(ACCOUNT) } else { StreamId::Chain(CHAIN) };
        if !takes(&mut state, stream, golden(*kind)) {
            return None;
        }
    }
    Some(state)
}

fn expected(table: &str, event: EventType, facts: &[&str]) -> bool {
    let line = table.lines().find_map(|line| line.split_once(':').filter(|(name, _)| *name == event.name()));
    line.is_some_and(|(_, conditions)| {
        conditions.split_whitespace().all(|condition| match condition.strip_prefix('!') {
            Some(fact) => !facts.contains(&fact),
            None => facts.contains(&condition),
        })
    })
}

#[test]
fn every_event_on_a_rollups_an_accounts_or_the_engines_stream_is_as_the_table_says() {
    let (mut pairs, mut differences) = (0, Vec::new());
    for set in 0..1_u32 << FACTS.len() {
        let facts: Vec<&str> = FACTS
            .iter()
            .enumerate()
            .filter(|(nth, _)| set & (1 << nth) != 0)
            .map(|(_, (fact, _))| *fact)
            .collect();
        let Some(state) = given(&facts) else { continue };
        for kind in EventType::ALL {
            let streams = [
                (StreamId::Chain(CHAIN), expected(OF_CHAIN, *kind, &facts)),
                (StreamId::Signer(ACCOUNT), expected(OF_SIGNER, *kind, &facts)),
                (StreamId::Node, NODE.split(' ').any(|name| name == kind.name())),
                // What does not exist takes its first event and no other.
                (StreamId::Chain(ChainId(11)), kind.name() == "ChainRegistered"),
                (StreamId::Unit(UnitId::span(CHAIN, 1)), kind.name() == "SpanCreated"),
                (StreamId::Unit(UnitId::agg(CHAIN, 1)), kind.name() == "AggQueued"),
                (StreamId::Unit(UnitId::span(ChainId(11), 1)), false),
            ];
            for (stream, wanted) in streams {
                pairs += 1;
                if takes(&mut state.clone(), stream, golden(*kind)) != wanted {
                    differences
                        .push(format!("{} on {stream} with {facts:?}: the table says {wanted}", kind.name()));
                }
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(pairs > 40 * 60 * 7, "{pairs}");
}
