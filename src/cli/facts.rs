//! Facts of what a state holds, for people: per rollup, per span and aggregate, per nonce, per account.
//!
//! [`Detail::Brief`] is what `diff` tells, [`Detail::Full`] is everything that an event may change, for the debugger. The
//! facts of one kind of subject always come in the same order, so that two moments can be compared fact by fact.

use prooflog_events::envelope::blob_hash;
use prooflog_events::ids::{L2Block, Micros, SignerId, StreamId};
use prooflog_events::phrase::{Phrase, purpose};
use prooflog_projections::State;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::slot::{Signer, Slot};
use prooflog_projections::state::unit::{AggBody, Request, Unit};
use serde::Serialize;

use super::output;
use crate::words::held_by;

/// Facts of one subject, in a fixed order.
pub(super) type Facts = Vec<(&'static str, String)>;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// What an operator asks for first.
    Brief,
    /// Everything that an event may change.
    Full,
}

/// One fact that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    /// What it is about: a stream.
    pub(super) subject: String,
    /// Which fact.
    pub(super) fact: &'static str,
    /// At the first moment; nothing if it was not there.
    pub(super) before: Option<String>,
    /// At the second moment; nothing if it is not there any more.
    pub(super) after: Option<String>,
}

/// What stands for nothing.
const NOTHING: &str = "-";

/// Whether a fact tells that there is none.
pub(super) fn is_nothing(value: &str) -> bool {
    value.is_empty() || value == NOTHING
}

/// What a state says about a subject; nothing if it does not hold it.
pub(super) fn facts(state: &State, subject: StreamId, detail: Detail) -> Option<Facts> {
    match subject {
        StreamId::Chain(id) => state.chains.get(&id).map(|chain| of_chain(chain, detail)),
        StreamId::Unit(id) => match detail {
            Detail::Brief => state.unit(id),
            Detail::Full => state.unit_or_retired(id),
        }
        .map(|unit| of_unit(unit, detail)),
        StreamId::Tx(id) => state.slot(id).map(|slot| of_slot(slot, detail)),
        StreamId::Signer(id) => state.signers.get(&id).map(of_signer),
        StreamId::Node => Some(vec![
            ("events", state.node_events.to_string()),
            ("stale calls", list(state.stale_calls.iter())),
        ]),
    }
}

/// The facts of a subject that differ between two states; `ended` where it left the state.
pub(super) fn compare(subject: StreamId, (old, new): (&State, &State), changes: &mut Vec<Change>) {
    let name = subject.to_string();
    let mut add = |fact, before: Option<String>, after: Option<String>| {
        if before != after {
            changes.push(Change { subject: name.clone(), fact, before, after });
        }
    };
    match (facts(old, subject, Detail::Full), facts(new, subject, Detail::Full)) {
        (Some(before), Some(after)) => {
            for ((fact, before), (_, after)) in before.into_iter().zip(after) {
                add(fact, Some(before), Some(after));
            }
        }
        (None, Some(facts)) => {
            let there = facts.into_iter().filter(|(_, value)| value != NOTHING);
            there.for_each(|(fact, after)| add(fact, None, Some(after)));
        }
        (Some(facts), None) => {
            let phase = facts.into_iter().find(|(fact, _)| *fact == "phase").map(|(_, phase)| phase);
            add("phase", phase, None);
        }
        (None, None) => {}
    }
}

fn or_nothing<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), |value| value.to_string())
}

fn list<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    if words.is_empty() { NOTHING.to_owned() } else { words.join(", ") }
}

/// A moment that is still ahead; the far future and the beginning of time mean none.
fn moment(at: Micros) -> String {
    if at.0 == 0 || at.0 == u64::MAX { NOTHING.to_owned() } else { output::time(at) }
}

fn flag(flag: bool) -> String {
    if flag { "yes" } else { "no" }.to_owned()
}

/// A short name for much text: whether it changed is what counts.
fn digest(text: &str) -> String {
    blob_hash(text.as_bytes()).to_string().chars().take(10).collect()
}

fn block(block: Option<L2Block>) -> String {
    or_nothing(block)
}

fn of_chain(chain: &Chain, detail: Detail) -> Facts {
    let mut facts = vec![
        ("contract", block(chain.contract.latest.map(|latest| latest.block))),
        ("confirmed", block(chain.contract.confirmed.map(|latest| latest.block))),
        ("finalized", block(chain.finalized.map(|head| head.block))),
        ("proven to", block(chain.proven_to())),
        ("held by", held_by(chain).join("; ")),
    ];
    if detail == Detail::Brief {
        return facts;
    }
    let values = chain.contract.values.as_ref();
    facts.extend([
        ("oracle", chain.oracle().to_string()),
        ("interval", or_nothing(values.map(|values| values.submission_interval))),
        ("range key", or_nothing(values.map(|values| values.range_vkey))),
        ("agg key", or_nothing(values.map(|values| values.agg_vkey))),
        ("config hash", or_nothing(values.map(|values| values.rollup_config))),
        ("values read", or_nothing(values.map(|values| digest(&format!("{values:?}"))))),
        ("policy", or_nothing(chain.policy.as_ref().map(|policy| digest(&format!("{policy:?}"))))),
        ("roots agreed", list(chain.roots.keys())),
        ("flush to", block(chain.hold.flush_to)),
        ("member cap", if chain.member_cap == 0 { NOTHING.to_owned() } else { chain.member_cap.to_string() }),
        ("open calls", chain.open_calls.len().to_string()),
        ("prover failures", chain.prover.failures.to_string()),
        ("prover streak", chain.prover.streak.to_string()),
        ("prover rests", moment(chain.prover.not_before)),
        ("last request", moment(chain.prover.last_requested)),
        ("last proof", moment(chain.prover.last_fulfilled)),
    ]);
    facts
}

fn of_unit(unit: &Unit, detail: Detail) -> Facts {
    let mut facts = vec![
        ("blocks", format!("({}, {}]", unit.range.start, unit.range.end)),
        ("phase", unit.phase.name().to_owned()),
        ("attempt", unit.attempt.to_string()),
        ("own failures", unit.own_failures.to_string()),
    ];
    if detail == Detail::Brief {
        return facts;
    }
    let request = |request: &Request| format!("{} of attempt {}", request.proof_id, request.attempt);
    facts.extend([
        ("try", unit.try_number.to_string()),
        ("deadline", moment(unit.deadline)),
        ("waits until", moment(unit.not_before)),
        ("streak", unit.streak.to_string()),
        ("last failure", or_nothing(unit.last_failure.map(|class| class.phrase()))),
        ("proof id", or_nothing(unit.request.as_ref().map(request))),
        ("late ids", list(unit.late.iter().map(request))),
        ("late answers", unit.late_recorded.len().to_string()),
        (
            "proof",
            or_nothing(unit.proof.as_ref().map(|proof| {
                format!("{} bytes of attempt {} ({})", proof.blob.length, proof.attempt, proof.blob.sha256)
            })),
        ),
        ("of no use", or_nothing(unit.invalid.map(|reason| reason.phrase()))),
    ]);
    if let Some(agg) = unit.agg_body() {
        facts.extend(of_aggregate(agg));
    }
    facts
}

fn of_aggregate(agg: &AggBody) -> Facts {
    let checkpoint = agg.checkpoint.map(|point| match point.hash {
        Some(hash) => format!("L1 block {} ({hash})", point.block),
        None => format!("L1 block {}, on its way", point.block),
    });
    let submission = agg.submission.map(|submission| match submission.included {
        Some((tx, block)) => format!("{tx} in L1 block {}", block.number),
        None => format!("in {}", submission.slot),
    });
    vec![
        ("members", list(&agg.members)),
        ("checkpoint", or_nothing(checkpoint)),
        ("end root", or_nothing(agg.end_root.map(|(root, _)| root))),
        ("submission", or_nothing(submission)),
        ("refusals", agg.refusals.to_string()),
        ("output", or_nothing(agg.output_index)),
    ]
}

fn of_slot(slot: &Slot, detail: Detail) -> Facts {
    let mut facts = vec![
        ("phase", slot.phase.name().to_owned()),
        ("version", slot.version.to_string()),
        ("max fee", slot.fees.max_fee.to_string()),
    ];
    if detail == Detail::Full {
        facts.extend([
            ("purpose", purpose(&slot.purpose)),
            ("gas limit", slot.gas_limit.to_string()),
            ("signed", list(slot.signed.iter().map(|signed| signed.hash))),
            ("last sent", moment(slot.last_sent)),
            ("answer", or_nothing(slot.last_outcome.map(|outcome| outcome.phrase()))),
            ("in L1 block", or_nothing(slot.mined.map(|mined| mined.block.number))),
        ]);
    }
    facts
}

fn of_signer(signer: &Signer) -> Facts {
    vec![
        ("open nonces", list(signer.slots.keys())),
        ("next nonce", or_nothing(signer.next)),
        ("balance low", flag(signer.low.is_some())),
    ]
}

/// The account of a stream of transactions, or of an account.
pub(super) const fn signer_of(stream: StreamId) -> Option<SignerId> {
    match stream {
        StreamId::Tx(slot) => Some(slot.signer),
        StreamId::Signer(signer) => Some(signer),
        StreamId::Node | StreamId::Chain(_) | StreamId::Unit(_) => None,
    }
}
