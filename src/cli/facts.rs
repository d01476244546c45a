//! Facts of what a state holds, for people and for programs: per rollup, per span and aggregate, per nonce, per account.
//!
//! [`Detail::Brief`] is what `diff` tells, [`Detail::Full`] is everything that an event may change, for the debugger, and
//! [`Detail::Standing`] how a thing stands, for `show`. The facts of one kind of subject always come in the same order, so
//! that two moments can be compared fact by fact.

use prooflog_events::envelope::blob_hash;
use prooflog_events::ids::{Micros, SignerId, StreamId};
use prooflog_events::phrase::{Phrase, purpose};
use prooflog_events::values::Anchor;
use prooflog_projections::State;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::slot::{Signer, Slot};
use prooflog_projections::state::unit::{AggBody, Request, Unit};
use serde::Serialize;
use serde_json::{Value, json};

use super::output;
use crate::words::held_by;

/// Facts of one subject, in a fixed order.
pub(super) type Facts = Vec<(&'static str, Said)>;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// What an operator asks for first.
    Brief,
    /// Everything that an event may change.
    Full,
    /// The same as it stands now: since when, and no moment that is past.
    Standing,
}

/// What a fact says, in words and as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) data: Value,
}

impl Said {
    #[expect(clippy::needless_pass_by_value, reason = "what is said is made for this")]
    fn new(text: impl ToString, data: impl Serialize) -> Self {
        Self { text: text.to_string(), data: serde_json::to_value(data).unwrap_or_default() }
    }

    /// What is the same in words and as data.
    fn plain(value: impl ToString + Serialize) -> Self {
        let text = value.to_string();
        Self::new(text, value)
    }

    /// That there is none.
    fn nothing() -> Self {
        Self { text: NOTHING.to_owned(), data: Value::Null }
    }

    fn maybe<T>(value: Option<T>, say: impl FnOnce(T) -> Self) -> Self {
        value.map_or_else(Self::nothing, say)
    }

    fn list<T: ToString>(values: impl IntoIterator<Item = T>) -> Self {
        let words: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
        if words.is_empty() { Self::nothing() } else { Self::new(words.join(", "), words) }
    }

    /// Whether it says that there is none.
    pub(super) fn is_nothing(&self) -> bool {
        self.data.is_null() || self.text.is_empty()
    }
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

/// What a state says about a subject; nothing if it does not hold it.
pub(super) fn facts(state: &State, subject: StreamId, detail: Detail) -> Option<Facts> {
    match subject {
        StreamId::Chain(id) => state.chains.get(&id).map(|chain| of_chain(chain, detail)),
        StreamId::Unit(id) => match detail {
            Detail::Brief => state.unit(id),
            Detail::Full | Detail::Standing => state.unit_or_retired(id),
        }
        .map(|unit| of_unit(unit, detail)),
        StreamId::Tx(id) => state.slot(id).map(|slot| of_slot(slot, detail)),
        StreamId::Signer(id) => state.signers.get(&id).map(of_signer),
        StreamId::Node => Some(vec![
            ("events", Said::plain(state.node_events)),
            ("stale calls", Said::list(state.stale_calls.iter())),
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
                add(fact, Some(before.text), Some(after.text));
            }
        }
        (None, Some(facts)) => {
            let there = facts.into_iter().filter(|(_, said)| said.text != NOTHING);
            there.for_each(|(fact, after)| add(fact, None, Some(after.text)));
        }
        (Some(facts), None) => {
            add("phase", phase(facts), None);
        }
        (None, None) => {}
    }
}

/// The phase among the facts of a subject that has one.
pub(super) fn phase(facts: Facts) -> Option<String> {
    facts.into_iter().find(|(fact, _)| *fact == "phase").map(|(_, phase)| phase.text)
}

/// A moment that is set; the far future and the beginning of time mean none.
fn moment(at: Micros) -> Said {
    if at.0 == 0 || at.0 == u64::MAX { Said::nothing() } else { Said::plain(output::time(at)) }
}

fn flag(flag: bool) -> Said {
    Said::new(if flag { "yes" } else { "no" }, flag)
}

/// Much at once: whether it changed is what counts for people, so they see a short name for it.
fn digest<T: std::fmt::Debug + Serialize>(value: &T) -> Said {
    let hash = blob_hash(format!("{value:?}").as_bytes()).to_string();
    Said::new(hash.chars().take(10).collect::<String>(), value)
}

fn anchor(at: Option<Anchor>) -> Said {
    Said::maybe(at, |at| Said::new(at.block, at))
}

fn of_chain(chain: &Chain, detail: Detail) -> Facts {
    let mut facts = Facts::new();
    if detail == Detail::Standing {
        facts.push(("name", Said::plain(output::clean(&chain.registration.name))));
    }
    let held = held_by(chain);
    facts.extend([
        ("contract", anchor(chain.contract.latest)),
        ("confirmed", anchor(chain.contract.confirmed)),
        ("finalized", Said::maybe(chain.finalized, |head| Said::plain(head.block))),
        ("proven to", Said::maybe(chain.proven_to(), Said::plain)),
        ("held by", Said::new(held.join("; "), held)),
    ]);
    if detail == Detail::Brief {
        return facts;
    }
    let values = chain.contract.values.as_ref();
    let cap = (chain.member_cap != 0).then_some(chain.member_cap);
    facts.extend([
        ("oracle", Said::plain(chain.oracle())),
        ("interval", Said::maybe(values, |values| Said::plain(values.submission_interval))),
        ("range key", Said::maybe(values, |values| Said::plain(values.range_vkey))),
        ("agg key", Said::maybe(values, |values| Said::plain(values.agg_vkey))),
        ("config hash", Said::maybe(values, |values| Said::plain(values.rollup_config))),
        ("values read", Said::maybe(values, digest)),
        ("policy", Said::maybe(chain.policy.as_ref(), digest)),
        ("roots agreed", Said::list(chain.roots.keys())),
        ("flush to", Said::maybe(chain.hold.flush_to, Said::plain)),
        ("member cap", Said::maybe(cap, Said::plain)),
        ("open calls", Said::plain(chain.open_calls.len())),
        ("prover failures", Said::plain(chain.prover.failures)),
        ("prover streak", Said::plain(chain.prover.streak)),
        ("prover rests", moment(chain.prover.not_before)),
        ("last request", moment(chain.prover.last_requested)),
        ("last proof", moment(chain.prover.last_fulfilled)),
    ]);
    facts
}

fn of_unit(unit: &Unit, detail: Detail) -> Facts {
    let mut facts = vec![
        ("blocks", Said::plain(format!("({}, {}]", unit.range.start, unit.range.end))),
        ("phase", Said::plain(unit.phase.name())),
    ];
    if detail == Detail::Standing {
        facts.push(("since", moment(unit.since)));
    }
    facts.extend([("attempt", Said::plain(unit.attempt)), ("own failures", Said::plain(unit.own_failures))]);
    if detail == Detail::Brief {
        return facts;
    }
    // What is set stays set when it counts no more.
    let counts = |counts: bool, at: Micros| {
        if counts || detail == Detail::Full { moment(at) } else { Said::nothing() }
    };
    let words = |request: &Request| format!("{} of attempt {}", request.proof_id, request.attempt);
    let proof = unit.proof.as_ref();
    facts.extend([
        ("try", Said::plain(unit.try_number)),
        ("deadline", counts(unit.phase.is_in_flight(), unit.deadline)),
        ("waits until", counts(unit.not_before > unit.since, unit.not_before)),
        ("streak", Said::plain(unit.streak)),
        ("last failure", Said::maybe(unit.last_failure, |class| Said::new(class.phrase(), class))),
        (
            "proof id",
            Said::maybe(unit.request.as_ref(), |request| Said::new(words(request), &request.proof_id)),
        ),
        ("late ids", Said::list(unit.late.iter().map(words))),
        ("late answers", Said::plain(unit.late_recorded.len())),
        (
            "proof",
            Said::maybe(proof, |proof| {
                let blob = proof.blob;
                let text = format!("{} bytes of attempt {} ({})", blob.length, proof.attempt, blob.sha256);
                Said::new(text, blob)
            }),
        ),
        ("of no use", Said::maybe(unit.invalid, |reason| Said::plain(reason.phrase()))),
    ]);
    if let Some(agg) = unit.agg_body() {
        facts.extend(of_aggregate(agg));
    }
    facts
}

fn of_aggregate(agg: &AggBody) -> Facts {
    let checkpoint = Said::maybe(agg.checkpoint, |point| {
        let text = match point.hash {
            Some(hash) => format!("L1 block {} ({hash})", point.block),
            None => format!("L1 block {}, on its way", point.block),
        };
        Said::new(text, json!({ "block": point.block, "hash": point.hash }))
    });
    let submission = Said::maybe(agg.submission, |submission| match submission.included {
        Some((tx, block)) => {
            Said::new(format!("{tx} in L1 block {}", block.number), json!({ "tx": tx, "block": block }))
        }
        None => {
            Said::new(format!("in {}", submission.slot), json!({ "stream": submission.slot.to_string() }))
        }
    });
    let members = agg.members.iter().map(ToString::to_string).collect::<Vec<_>>();
    vec![
        ("members", Said::new(members.join(", "), &agg.members)),
        ("checkpoint", checkpoint),
        ("end root", Said::maybe(agg.end_root, |(root, _)| Said::plain(root))),
        ("submission", submission),
        ("refusals", Said::plain(agg.refusals)),
        ("output", Said::maybe(agg.output_index, Said::plain)),
    ]
}

fn of_slot(slot: &Slot, detail: Detail) -> Facts {
    let mut facts = vec![
        ("phase", Said::plain(slot.phase.name())),
        ("version", Said::plain(slot.version)),
        ("max fee", Said::plain(slot.fees.max_fee)),
    ];
    if detail != Detail::Brief {
        facts.extend([
            ("purpose", Said::new(purpose(&slot.purpose), slot.purpose)),
            ("gas limit", Said::plain(slot.gas_limit)),
            ("signed", Said::list(slot.signed.iter().map(|signed| signed.hash))),
            ("last sent", moment(slot.last_sent)),
            ("answer", Said::maybe(slot.last_outcome, |outcome| Said::plain(outcome.phrase()))),
            ("in L1 block", Said::maybe(slot.mined, |mined| Said::plain(mined.block.number))),
        ]);
    }
    facts
}

fn of_signer(signer: &Signer) -> Facts {
    vec![
        ("open nonces", Said::list(signer.slots.keys())),
        ("next nonce", Said::maybe(signer.next, Said::plain)),
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
