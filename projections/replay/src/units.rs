//! Units as snapshots store them: a block of units of one rollup, each said by its difference from the one before.
//!
//! A snapshot is mostly units, and whoever travels in time waits for all of them to be read. So what units share
//! (commitments, the rollup) is said once in a block, what follows from another field takes a bit, and what is seldom
//! there (failures, late answers) stands apart in bincode. A block stands for itself, so that threads can share a
//! snapshot. What a crash in here means: nothing; the bytes are a copy.

use prooflog_events::codec;
use prooflog_events::event::{InvalidReason, SpanOrigin};
use prooflog_events::ids::{
    Attempt, ChainId, Hash32, L1Number, L1Ref, L2Block, Micros, ProofId, Range, Revision, UnitId, UnitKind,
};
use prooflog_events::values::{BlobRef, Commitments, FailureClass, Mode};
use prooflog_projections::state::phase::Phase;
use prooflog_projections::state::unit::{AggBody, Body, LateKind, Proof, Request, SpanBody, Unit, UnitState};

use crate::bytes::{Bytes, put_bytes, put_difference, put_number};

/// Units of a block: enough that what is said once does not count, few enough to share a rollup among threads.
pub(crate) const BLOCK: usize = 1_024;

/// What of a unit a bit says.
mod flag {
    pub(super) const AGG: u16 = 1;
    pub(super) const RARE: u16 = 1 << 1;
    pub(super) const OWN_ROOT: u16 = 1 << 2;
    pub(super) const NO_DEADLINE: u16 = 1 << 3;
    pub(super) const NO_PAUSE: u16 = 1 << 4;
    pub(super) const NEVER_FAILED: u16 = 1 << 5;
    pub(super) const REQUEST: u16 = 1 << 6;
    pub(super) const REQUEST_NOW: u16 = 1 << 7;
    pub(super) const REQUEST_HEAD: u16 = 1 << 8;
    pub(super) const PROOF: u16 = 1 << 9;
    pub(super) const PROOF_HEAD: u16 = 1 << 10;
    pub(super) const PROOF_MOCK: u16 = 1 << 11;
    pub(super) const ALL: u16 = (1 << 12) - 1;
}

/// What most units do not have.
type Rare = (SpanOrigin, Option<FailureClass>, Option<InvalidReason>, (u32, u32), Vec<Request>, Answered);

/// Answers on record: late ones, and statuses that nobody knows.
type Answered = (Vec<(Attempt, LateKind)>, Vec<(Attempt, i32, i32)>);

fn rare(unit: &UnitState) -> Rare {
    let origin = match &unit.body {
        Body::Span(span) => span.origin,
        Body::Agg(_) => SpanOrigin::Planned,
    };
    let failures = (unit.own_failures, unit.streak);
    let answered = (unit.late_recorded.clone(), unit.unknown.clone());
    (origin, unit.last_failure, unit.invalid, failures, unit.late.clone(), answered)
}

const fn nothing_rare() -> Rare {
    (SpanOrigin::Planned, None, None, (0, 0), Vec::new(), (Vec::new(), Vec::new()))
}

/// What the next unit is compared with.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    number: u64,
    end: u64,
    created: u64,
    bound: u64,
}

/// Appends a block of units of one rollup. They stand in the order of their numbers, though nothing breaks if not.
pub(crate) fn put<'u>(out: &mut Vec<u8>, chain: ChainId, units: impl Iterator<Item = &'u Unit>) {
    let mut shared: Vec<Commitments> = Vec::new();
    let mut bytes = Vec::new();
    let mut before = Before::default();
    let mut count = 0;
    for unit in units {
        let under = match &unit.body {
            Body::Span(span) => index_of(&mut shared, span.commitments),
            Body::Agg(_) => 0,
        };
        put_unit(&mut bytes, unit, under, &mut before);
        count += 1;
    }
    put_number(out, chain.0);
    put_bytes(out, &codec::encode(&shared));
    put_number(out, count);
    out.extend_from_slice(&bytes);
}

fn index_of(shared: &mut Vec<Commitments>, commitments: Commitments) -> u64 {
    let found = shared.iter().position(|known| *known == commitments).unwrap_or_else(|| {
        shared.push(commitments);
        shared.len() - 1
    });
    found as u64
}

fn put_unit(out: &mut Vec<u8>, unit: &UnitState, under: u64, before: &mut Before) {
    let rare = Some(rare(unit)).filter(|rare| *rare != nothing_rare());
    let flags = flags(unit, rare.is_some());
    out.extend_from_slice(&flags.to_le_bytes());
    out.push(unit.phase as u8);
    put_difference(out, before.number, unit.id.number);
    if flags & flag::OWN_ROOT == 0 {
        put_difference(out, unit.id.number, unit.root);
    }
    put_number(out, unit.revision.0);
    put_difference(out, before.end, unit.range.start.0);
    put_difference(out, unit.range.start.0, unit.range.end.0);
    put_difference(out, before.created, unit.created.0);
    put_difference(out, unit.created.0, unit.started.0);
    put_difference(out, unit.started.0, unit.since.0);
    if flags & flag::NO_DEADLINE == 0 {
        put_difference(out, unit.started.0, unit.deadline.0);
    }
    if flags & flag::NO_PAUSE == 0 {
        put_difference(out, unit.since.0, unit.not_before.0);
    }
    if flags & flag::NEVER_FAILED == 0 {
        put_difference(out, unit.created.0, unit.last_failed.0);
    }
    put_number(out, unit.attempt.0.into());
    put_number(out, unit.try_number.into());
    match &unit.body {
        Body::Span(_) => put_number(out, under),
        Body::Agg(agg) => put_bytes(out, &codec::encode(&**agg)),
    }
    *before = Before { number: unit.id.number, end: unit.range.end.0, created: unit.created.0, ..*before };
    if let Some(request) = &unit.request {
        if flags & flag::REQUEST_NOW == 0 {
            put_number(out, request.attempt.0.into());
            put_difference(out, unit.started.0, request.started.0);
        }
        put_bytes(out, &request.proof_id.0);
        put_l1(out, before, request.l1_bound, request.l1_head);
    }
    if let Some(proof) = &unit.proof {
        put_number(out, proof.attempt.0.into());
        out.extend_from_slice(&proof.blob.sha256.0);
        put_number(out, proof.blob.length);
        put_l1(out, before, proof.l1_bound, proof.l1_head);
    }
    if let Some(rare) = rare {
        put_bytes(out, &codec::encode(&rare));
    }
}

fn put_l1(out: &mut Vec<u8>, before: &mut Before, bound: L1Number, head: Option<L1Ref>) {
    put_difference(out, before.bound, bound.0);
    if let Some(head) = head {
        put_difference(out, bound.0, head.number.0);
        out.extend_from_slice(&head.hash.0);
    }
    before.bound = bound.0;
}

fn flags(unit: &UnitState, is_rare: bool) -> u16 {
    let request = unit.request.as_ref();
    let proof = unit.proof.as_ref();
    let is_now = |request: &Request| request.attempt == unit.attempt && request.started == unit.started;
    [
        (flag::AGG, matches!(unit.body, Body::Agg(_))),
        (flag::RARE, is_rare),
        (flag::OWN_ROOT, unit.root == unit.id.number),
        (flag::NO_DEADLINE, unit.deadline == Micros(u64::MAX)),
        (flag::NO_PAUSE, unit.not_before == Micros(0)),
        (flag::NEVER_FAILED, unit.last_failed == unit.created),
        (flag::REQUEST, request.is_some()),
        (flag::REQUEST_NOW, request.is_some_and(is_now)),
        (flag::REQUEST_HEAD, request.is_some_and(|request| request.l1_head.is_some())),
        (flag::PROOF, proof.is_some()),
        (flag::PROOF_HEAD, proof.is_some_and(|proof| proof.l1_head.is_some())),
        (flag::PROOF_MOCK, proof.is_some_and(|proof| proof.mode == Mode::Mock)),
    ]
    .into_iter()
    .fold(0, |flags, (flag, is_set)| if is_set { flags | flag } else { flags })
}

/// The units of a block; `None` if the bytes are not one block and nothing else.
pub(crate) fn read(bytes: &[u8]) -> Option<Vec<Unit>> {
    let mut bytes = Bytes::new(bytes);
    let chain = ChainId(bytes.number()?);
    let shared: Vec<Commitments> = codec::decode(bytes.bytes()?).ok()?;
    let count = usize::try_from(bytes.number()?).ok().filter(|count| *count <= BLOCK)?;
    let mut units = Vec::with_capacity(count);
    let mut before = Before::default();
    for _ in 0..count {
        units.push(read_unit(&mut bytes, chain, &shared, &mut before)?.into());
    }
    bytes.is_empty().then_some(units)
}

fn read_unit(
    bytes: &mut Bytes<'_>,
    chain: ChainId,
    shared: &[Commitments],
    before: &mut Before,
) -> Option<UnitState> {
    let flags = bytes.array().map(u16::from_le_bytes).filter(|flags| flags & !flag::ALL == 0)?;
    let is = |flag: u16| flags & flag != 0;
    let phase = *Phase::ALL.get(usize::from(bytes.byte()?))?;
    let number = bytes.difference(before.number)?;
    let root = if is(flag::OWN_ROOT) { number } else { bytes.difference(number)? };
    let revision = Revision(bytes.number()?);
    let start = bytes.difference(before.end)?;
    let end = bytes.difference(start)?;
    let created = bytes.difference(before.created)?;
    let started = bytes.difference(created)?;
    let since = bytes.difference(started)?;
    let deadline = if is(flag::NO_DEADLINE) { u64::MAX } else { bytes.difference(started)? };
    let not_before = if is(flag::NO_PAUSE) { 0 } else { bytes.difference(since)? };
    let last_failed = if is(flag::NEVER_FAILED) { created } else { bytes.difference(created)? };
    let attempt = Attempt(bytes.number_32()?);
    let try_number = bytes.number_32()?;
    let (kind, mut body) = read_body(bytes, is(flag::AGG), shared)?;
    *before = Before { number, end, created, ..*before };
    let request = match is(flag::REQUEST) {
        true => Some(read_request(bytes, flags, (attempt, started), before)?),
        false => None,
    };
    let proof = match is(flag::PROOF) {
        true => Some(read_proof(bytes, flags, before)?),
        false => None,
    };
    let rare = if is(flag::RARE) { codec::decode(bytes.bytes()?).ok()? } else { nothing_rare() };
    let (origin, last_failure, invalid, (own_failures, streak), late, (late_recorded, unknown)) = rare;
    if let Body::Span(span) = &mut body {
        span.origin = origin;
    }
    Some(UnitState {
        id: UnitId { chain, kind, number },
        root,
        revision,
        range: Range { start: L2Block(start), end: L2Block(end) },
        body,
        phase,
        since: Micros(since),
        created: Micros(created),
        attempt,
        try_number,
        started: Micros(started),
        deadline: Micros(deadline),
        not_before: Micros(not_before),
        own_failures,
        streak,
        last_failure,
        last_failed: Micros(last_failed),
        request,
        late,
        late_recorded,
        unknown,
        proof,
        invalid,
    })
}

fn read_body(bytes: &mut Bytes<'_>, is_agg: bool, shared: &[Commitments]) -> Option<(UnitKind, Body)> {
    if is_agg {
        let agg: AggBody = codec::decode(bytes.bytes()?).ok()?;
        return Some((UnitKind::Agg, Body::Agg(Box::new(agg))));
    }
    let commitments = *shared.get(usize::try_from(bytes.number()?).ok()?)?;
    Some((UnitKind::Span, Body::Span(SpanBody { origin: SpanOrigin::Planned, commitments })))
}

/// `now` are the attempt under way and its beginning.
fn read_request(
    bytes: &mut Bytes<'_>,
    flags: u16,
    now: (Attempt, u64),
    before: &mut Before,
) -> Option<Request> {
    let (attempt, started) = if flags & flag::REQUEST_NOW != 0 {
        now
    } else {
        (Attempt(bytes.number_32()?), bytes.difference(now.1)?)
    };
    let proof_id = ProofId(bytes.bytes()?.to_vec());
    let (l1_bound, l1_head) = read_l1(bytes, flags & flag::REQUEST_HEAD != 0, before)?;
    Some(Request { attempt, proof_id, l1_bound, l1_head, started: Micros(started) })
}

fn read_proof(bytes: &mut Bytes<'_>, flags: u16, before: &mut Before) -> Option<Proof> {
    let attempt = Attempt(bytes.number_32()?);
    let blob = BlobRef { sha256: Hash32(bytes.array()?), length: bytes.number()? };
    let mode = if flags & flag::PROOF_MOCK != 0 { Mode::Mock } else { Mode::Real };
    let (l1_bound, l1_head) = read_l1(bytes, flags & flag::PROOF_HEAD != 0, before)?;
    Some(Proof { attempt, blob, mode, l1_bound, l1_head })
}

fn read_l1(bytes: &mut Bytes<'_>, has_head: bool, before: &mut Before) -> Option<(L1Number, Option<L1Ref>)> {
    let bound = bytes.difference(before.bound)?;
    before.bound = bound;
    if !has_head {
        return Some((L1Number(bound), None));
    }
    let number = L1Number(bytes.difference(bound)?);
    Some((L1Number(bound), Some(L1Ref { number, hash: Hash32(bytes.array()?) })))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;
    use prooflog_events::ids::{Address, SlotId};
    use prooflog_events::values::AggTerms;
    use prooflog_projections::state::unit::{Checkpoint, Submission};
    use proptest::prelude::*;

    const CHAIN: ChainId = ChainId(10);

    /// Small, large and in between: what is a difference is seldom what it was made for.
    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0_u64..5, any::<u64>(), Just(u64::MAX), 1_000_000_u64..1_000_100]
    }

    fn hash() -> impl Strategy<Value = Hash32> {
        (0_u8..3).prop_map(|byte| Hash32([byte; 32]))
    }

    fn commitments() -> impl Strategy<Value = Commitments> {
        (any::<bool>(), hash(), hash()).prop_map(|(mock, range_vkey, rollup_config)| Commitments {
            mode: if mock { Mode::Mock } else { Mode::Real },
            range_vkey,
            rollup_config,
        })
    }

    fn head() -> impl Strategy<Value = Option<L1Ref>> {
        prop::option::of((number(), hash()).prop_map(|(at, hash)| L1Ref { number: L1Number(at), hash }))
    }

    fn request() -> impl Strategy<Value = Request> {
        let id = prop::collection::vec(any::<u8>(), 0..40);
        (any::<u32>(), id, number(), head(), number()).prop_map(|(attempt, id, bound, l1_head, started)| {
            Request {
                attempt: Attempt(attempt),
                proof_id: ProofId(id),
                l1_bound: L1Number(bound),
                l1_head,
                started: Micros(started),
            }
        })
    }

    fn proof() -> impl Strategy<Value = Proof> {
        (any::<u32>(), hash(), number(), any::<bool>(), (number(), head())).prop_map(
            |(attempt, sha256, length, mock, (bound, l1_head))| Proof {
                attempt: Attempt(attempt),
                blob: BlobRef { sha256, length },
                mode: if mock { Mode::Mock } else { Mode::Real },
                l1_bound: L1Number(bound),
                l1_head,
            },
        )
    }

    fn body() -> impl Strategy<Value = Body> {
        let origin = prop_oneof![
            Just(SpanOrigin::Planned),
            Just(SpanOrigin::Imported),
            number().prop_map(SpanOrigin::HalfOf)
        ];
        let span = (origin, commitments())
            .prop_map(|(origin, commitments)| Body::Span(SpanBody { origin, commitments }));
        let slot = SlotId {
            signer: prooflog_events::ids::SignerId {
                l1: prooflog_events::ids::L1ChainId(1),
                address: Address([4; 20]),
            },
            nonce: prooflog_events::ids::Nonce(7),
        };
        let agg = (prop::collection::vec(number(), 0..5), commitments(), hash(), number()).prop_map(
            move |(members, commitments, hash, block)| {
                let (prover, contract) = (Address([1; 20]), Address([2; 20]));
                Body::Agg(Box::new(AggBody {
                    members,
                    terms: AggTerms { commitments, agg_vkey: hash, config_name: hash, prover, contract },
                    checkpoint: Some(Checkpoint {
                        block: L1Number(block),
                        hash: Some(hash),
                        slot: Some(slot),
                    }),
                    submission: Some(Submission { slot, root: hash, included: None }),
                    refusals: 3,
                    out_of_gas: 2,
                    capped: block % 2 == 0,
                    end_root: Some((hash, Micros(block))),
                    fence: Attempt(2),
                    output_index: Some(block),
                }))
            },
        );
        prop_oneof![3 => span, 1 => agg]
    }

    prop_compose! {
        fn unit()(
            (number, root, revision, start, end) in (number(), number(), number(), number(), number()),
            same_root in any::<bool>(),
            body in body(),
            phase in prop::sample::select(Phase::ALL.to_vec()),
            times in prop::collection::vec(number(), 6),
            counts in prop::collection::vec(prop_oneof![0_u32..2, any::<u32>()], 4),
            last_failure in prop::option::of(Just(FailureClass::Dropped)),
            invalid in prop::option::of(Just(InvalidReason::BelowNext)),
            request in prop::option::of(request()),
            same_attempt in any::<bool>(),
            proof in prop::option::of(proof()),
            late in prop::collection::vec(request(), 0..2),
        ) -> Unit {
            let kind = if matches!(body, Body::Agg(_)) { UnitKind::Agg } else { UnitKind::Span };
            let mut unit = UnitState {
                id: UnitId { chain: CHAIN, kind, number },
                root: if same_root { number } else { root },
                revision: Revision(revision),
                range: Range { start: L2Block(start), end: L2Block(end) },
                body,
                phase,
                since: Micros(times[0]),
                created: Micros(times[1]),
                attempt: Attempt(counts[0]),
                try_number: counts[1],
                started: Micros(times[2]),
                deadline: Micros(times[3]),
                not_before: Micros(times[4]),
                own_failures: counts[2],
                streak: counts[3],
                last_failure,
                last_failed: Micros(times[5]),
                request,
                unknown: late.iter().map(|late| (late.attempt, 7, -1)).collect(),
                late_recorded: late.iter().map(|late| (late.attempt, LateKind::Failed)).collect(),
                late,
                proof,
                invalid,
            };
            if let (Some(request), true) = (&mut unit.request, same_attempt) {
                request.attempt = unit.attempt;
                request.started = unit.started;
            }
            unit.into()
        }
    }

    proptest! {
        #[test]
        fn any_units_come_back_as_they_were(units in prop::collection::vec(unit(), 0..20)) {
            let mut bytes = Vec::new();
            put(&mut bytes, CHAIN, units.iter());
            prop_assert_eq!(read(&bytes).unwrap(), units);
        }

        #[test]
        fn damaged_and_cut_off_blocks_never_panic_and_never_say_less(
            units in prop::collection::vec(unit(), 1..4),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut bytes = Vec::new();
            put(&mut bytes, CHAIN, units.iter());
            let at = at.index(bytes.len());
            prop_assert_eq!(read(&bytes[..at]), None);
            bytes[at] = byte;
            let _ = read(&bytes);
            bytes.push(0);
            let _ = read(&bytes);
        }
    }

    #[test]
    fn a_phase_is_stored_as_its_place_in_the_list_of_all() {
        for (place, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, place);
        }
    }
}
