//! What another proposer left behind, and what becomes of it: nothing that was paid for is paid again if it need not be.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[expect(dead_code, reason = "shared words; each file of stories uses a part")]
mod given;

use given::*;
use prooflog_core::import::{Left, Verdict, sort};
use prooflog_core::{Effect, decide, plan};
use prooflog_events::event::{EngineStarted, Event, SpanOrigin};
use prooflog_events::ids::*;
use prooflog_events::input::*;
use prooflog_events::values::*;
use prooflog_projections::state::phase::Phase;
use prooflog_projections::{Fact, laws};
use proptest::prelude::*;

fn started() -> EngineStarted {
    EngineStarted { release: "test".into(), behaviour: 1, format: 1, policy: Hash32::ZERO }
}

fn commitments() -> Commitments {
    Commitments { mode: Mode::Real, range_vkey: h("range"), rollup_config: h("config") }
}

fn other() -> Commitments {
    Commitments { range_vkey: h("older range"), ..commitments() }
}

fn row(number: u64, (start, end): (u64, u64), progress: ImportedProgress) -> ImportedRow {
    ImportedRow {
        row: number,
        range: Range { start: L2Block(start), end: L2Block(end) },
        commitments: Some(commitments()),
        version: None,
        l1_bound: Some(L1Number(400)),
        l1_head: None,
        subject: ImportedSubject::Span { transactions: None, gas: None },
        progress,
    }
}

fn proven(number: u64, blocks: (u64, u64)) -> ImportedRow {
    let proof = BlobRef { sha256: h(&format!("their proof {number}")), length: 9 };
    row(number, blocks, ImportedProgress::Proven { proof, selector: None, seconds: Some(60) })
}

fn proving(number: u64, blocks: (u64, u64)) -> ImportedRow {
    let proof_id = ProofId(vec![u8::try_from(number % 256).unwrap(); 32]);
    row(number, blocks, ImportedProgress::Requested { proof_id })
}

fn asked(number: u64, blocks: (u64, u64)) -> ImportedRow {
    row(number, blocks, ImportedProgress::Asked)
}

fn agg(row: ImportedRow, checkpoint: u64) -> ImportedRow {
    let subject = ImportedSubject::Agg {
        agg_vkey: Some(h("agg")),
        prover: Some(Address([4; 20])),
        checkpoint: l1(checkpoint),
    };
    ImportedRow { subject, ..row }
}

fn under(row: ImportedRow, commitments: Commitments) -> ImportedRow {
    ImportedRow { commitments: Some(commitments), ..row }
}

/// A rollup that was only looked at so far.
fn observed(finalized: u64) -> Given {
    let mut given = Given::chain(1_000, |policy| policy.observe = true);
    given.finalize(finalized);
    given
}

/// Feeds rows, and looks at every event as `verify` does.
fn import(given: &mut Given, rows: &[ImportedRow], first: bool) -> Vec<Event> {
    let input = RowsImported {
        started: first.then(started),
        chain: CHAIN,
        source: "theirs".into(),
        rows: rows.to_vec(),
    };
    let mut before = given.state.clone();
    let decision = decide(&mut given.state, given.now, &input.into()).unwrap();
    for new in &decision.events {
        let fact = Fact {
            position: Position(1),
            stream: new.stream,
            revision: new.revision,
            time: given.now,
            correlation: &new.correlation,
            event: new.event.clone(),
        };
        laws::check(&before, &fact).unwrap();
        before.apply(&fact).unwrap();
    }
    decision.events.into_iter().map(|new| new.event).collect()
}

fn verdicts(given: &Given, rows: &[ImportedRow]) -> Vec<Verdict> {
    sort(given.state.chains.get(&CHAIN).unwrap(), rows)
}

/// The engine of the next day starts, and may spend.
fn starts(given: &mut Given) -> Vec<Event> {
    let mut events = given.when(EngineOpened { started: started() });
    let mut policy = given.state.chains.get(&CHAIN).unwrap().policy.clone().unwrap();
    policy.observe = false;
    events.extend(given.when(ChainConfigured { chain: CHAIN, registration: registration(), policy }));
    events
}

/// Node and server are compared with the contract again.
fn agree(given: &mut Given) -> Vec<Event> {
    let block = given.latest.unwrap().block.0;
    let mut events = given.output(block);
    events.extend(given.when(ServerValidated {
        chain: CHAIN,
        rollup_config_ok: true,
        agg_vkey_ok: true,
        range_vkey_ok: true,
    }));
    events
}

fn imported(given: &Given) -> Vec<((u64, u64), Phase)> {
    let chain = given.state.chains.get(&CHAIN).unwrap();
    let spans = chain.spans.values().filter(|span| {
        matches!(&span.body, prooflog_projections::state::unit::Body::Span(body) if body.origin == SpanOrigin::Imported)
    });
    let mut all: Vec<_> = spans.map(|span| ((span.range.start.0, span.range.end.0), span.phase)).collect();
    all.sort_unstable();
    all
}

#[test]
fn proofs_are_used_requests_polled_and_calls_without_an_id_tried_once_more() {
    let mut given = observed(1_600);
    let rows = [
        proven(1, (1_000, 1_120)),
        proving(2, (1_120, 1_240)),
        asked(3, (1_240, 1_360)),
        proven(4, (900, 1_000)),
        proven(5, (950, 1_050)),
        proven(6, (1_100, 1_150)),
    ];
    assert_eq!(
        verdicts(&given, &rows),
        [
            Verdict::Taken,
            Verdict::Taken,
            Verdict::Taken,
            Verdict::Left(Left::Settled(L2Block(1_000))),
            Verdict::Left(Left::Straddles(L2Block(1_000))),
            Verdict::Left(Left::Overlaps(Range { start: L2Block(1_000), end: L2Block(1_120) })),
        ]
    );
    let events = import(&mut given, &rows, true);
    assert_eq!(events[0].event_type().name(), "EngineStarted");
    assert_eq!(
        imported(&given),
        [
            ((1_000, 1_120), Phase::Complete),
            ((1_120, 1_240), Phase::Requested),
            ((1_240, 1_360), Phase::WitnessGen)
        ]
    );
    let polls = plan(&given.state, given.now)
        .into_iter()
        .filter(|effect| matches!(effect, Effect::PollProof { proof_id, .. } if proof_id.0 == vec![2; 32]));
    assert_eq!(polls.count(), 1, "what the prover has is polled on");

    let events = starts(&mut given);
    let restart = events.iter().find_map(|event| match event {
        Event::TimedOut(timed_out) => Some(timed_out.maybe_paid),
        _ => None,
    });
    assert_eq!(restart, Some(true), "{:?}", names(&events));
    let retried = events.iter().filter(|event| matches!(event, Event::Retried(_))).count();
    assert_eq!(retried, 1);
    // The holes that planned spans left are filled, and every block is covered once.
    let chain = given.state.chains.get(&CHAIN).unwrap();
    assert_eq!(chain.coverage().contiguous_from(L2Block(1_000)), L2Block(1_600));
    // Nothing is bought on what the nodes and the server said before the restart.
    assert!(!names(&events).contains(&"AggQueued"), "{:?}", names(&events));
    let agreed = agree(&mut given);
    assert_eq!(names(&agreed).iter().filter(|name| **name == "AggQueued").count(), 1, "{:?}", names(&agreed));
}

#[test]
fn a_second_import_takes_nothing_twice() {
    let mut given = observed(1_600);
    let rows = [
        proven(1, (1_000, 1_120)),
        proving(2, (1_120, 1_240)),
        asked(3, (1_240, 1_360)),
        under(proven(4, (1_360, 1_480)), other()),
        agg(proven(5, (1_000, 1_120)), 450),
    ];
    assert!(!import(&mut given, &rows, true).is_empty());
    assert!(import(&mut given, &rows, false).is_empty());
    assert!(verdicts(&given, &rows).iter().all(|verdict| matches!(verdict, Verdict::Left(Left::Covered(_)))));
}

#[test]
fn proofs_under_other_keys_are_kept_and_offered_only_when_those_come_back() {
    let mut given = observed(1_200);
    let rows = [under(proven(1, (1_000, 1_100)), other()), under(proving(2, (1_100, 1_200)), other())];
    assert_eq!(verdicts(&given, &rows), [Verdict::Kept, Verdict::Left(Left::OtherKeys)]);
    import(&mut given, &rows, true);
    assert!(imported(&given).is_empty());
    assert!(starts(&mut given).iter().all(|event| !matches!(event, Event::Restored(_))));
    let kept = |given: &Given| {
        let chain = given.state.chains.get(&CHAIN).unwrap();
        chain.retired.values().filter(|unit| unit.proof.is_some()).count()
    };
    assert_eq!(kept(&given), 1);
}

#[test]
fn of_several_complete_aggregates_with_one_start_the_highest_end_is_kept() {
    let mut given = observed(1_600);
    let rows = [
        // One proof over everything would save a member, and the aggregate was not made of it.
        proven(1, (1_000, 1_100)),
        proven(2, (1_100, 1_200)),
        proven(3, (1_200, 1_300)),
        proven(4, (1_000, 1_300)),
        agg(proven(5, (1_000, 1_100)), 450),
        agg(proven(6, (1_000, 1_200)), 450),
        agg(proving(7, (1_000, 1_300)), 450),
        agg(proven(8, (1_000, 1_250)), 450),
        agg(proven(9, (1_100, 1_200)), 450),
        agg(proven(10, (1_000, 1_200)), 399),
    ];
    let verdicts = verdicts(&given, &rows);
    let best = Range { start: L2Block(1_000), end: L2Block(1_200) };
    assert_eq!(verdicts[4], Verdict::Left(Left::Other(best)));
    assert_eq!(verdicts[5], Verdict::Taken);
    assert_eq!(verdicts[6], Verdict::Left(Left::Other(best)));
    assert_eq!(verdicts[7], Verdict::Left(Left::NoMembers));
    assert_eq!(verdicts[8], Verdict::Left(Left::NotAtLatest(L2Block(1_000))));
    assert_eq!(verdicts[9], Verdict::Left(Left::LowCheckpoint(L1Number(400))));
    assert_eq!(verdicts[..4].iter().filter(|verdict| **verdict == Verdict::Taken).count(), 3);
    import(&mut given, &rows, true);
    let chain = given.state.chains.get(&CHAIN).unwrap();
    let taken = chain.aggs.values().next().unwrap();
    assert_eq!((chain.aggs.len(), taken.phase, taken.range), (1, Phase::Complete, best));
    assert_eq!(taken.agg_body().unwrap().terms.prover, Address([4; 20]), "what its proof binds");
}

#[test]
fn a_checkpoint_that_the_contract_does_not_hold_costs_the_aggregate_and_not_its_members() {
    let rows = [proven(1, (1_000, 1_120)), agg(proven(2, (1_000, 1_120)), 450)];
    let mut given = observed(1_200);
    import(&mut given, &rows, true);
    given.l1 += 1;
    let held = ContractRead { checkpoints: vec![l1(450)], ..given.read() };
    assert!(!names(&given.when(held)).contains(&"CheckpointLost"));
    given.l1 += 1;
    let absent = ContractRead { checkpoints: vec![L1Ref { hash: Hash32::ZERO, ..l1(450) }], ..given.read() };
    assert!(names(&given.when(absent)).contains(&"CheckpointLost"));
    assert_eq!(imported(&given), [((1_000, 1_120), Phase::Complete)]);
}

#[test]
fn a_proof_that_a_unit_of_ours_waits_for_is_delivered_to_it() {
    let mut given = Given::chain(1_050, |_| {});
    given.requested(1);
    let rows = [proven(1, (1_000, 1_050))];
    assert_eq!(verdicts(&given, &rows), [Verdict::Delivered(UnitId::span(CHAIN, 1))]);
    let events = import(&mut given, &rows, true);
    assert_eq!(names(&events), ["EngineStarted", "ProofFulfilled"]);
    assert_eq!(given.phase(1), Phase::Complete);
    // One that has other blocks is in the way.
    let mut given = Given::chain(1_050, |_| {});
    given.requested(1);
    let covered = Verdict::Left(Left::Covered(UnitId::span(CHAIN, 1)));
    assert_eq!(verdicts(&given, &[proven(1, (1_000, 1_040))]), [covered]);
}

#[test]
fn what_does_not_fit_into_one_batch_is_taken_by_the_next() {
    let mut given = observed(30_000);
    let rows: Vec<_> = (0..300).map(|n| proving(n, (1_000 + n * 60, 1_060 + n * 60))).collect();
    let mut inputs = 0;
    while !import(&mut given, &rows, inputs == 0).is_empty() {
        inputs += 1;
    }
    assert!(inputs > 1, "{inputs}");
    assert_eq!(imported(&given).len(), 300);
}

#[test]
fn an_import_into_a_rollup_that_nobody_knows_is_refused_and_leaves_no_trace() {
    let mut given = observed(1_200);
    let before = given.state.clone();
    let rows = vec![proven(1, (1_000, 1_100))];
    let input = RowsImported { started: Some(started()), chain: ChainId(11), source: "theirs".into(), rows };
    assert!(decide(&mut given.state, given.now, &input.into()).is_err());
    assert_eq!(given.state, before);
}

fn rows() -> impl Strategy<Value = Vec<ImportedRow>> {
    let one = (0_u64..40, 1_u64..12, 0_u8..3, 0_u8..6, any::<bool>());
    proptest::collection::vec(one, 0..25).prop_map(|all| {
        let numbered = all.into_iter().zip(1..);
        numbered
            .map(|((start, blocks, progress, special, bound), number)| {
                let blocks = (980 + start * 10, 980 + (start + blocks) * 10);
                let row = match progress {
                    0 => proven(number, blocks),
                    1 => proving(number, blocks),
                    _ => asked(number, blocks),
                };
                let row = ImportedRow { l1_bound: bound.then_some(L1Number(400)), ..row };
                match special {
                    0 => under(row, other()),
                    1 | 2 => {
                        agg(ImportedRow { range: Range { start: L2Block(1_000), ..row.range }, ..row }, 450)
                    }
                    3 => ImportedRow { commitments: None, ..row },
                    _ => row,
                }
            })
            .filter(|row| row.range.start < row.range.end)
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn whatever_a_database_holds_no_law_breaks_and_no_block_is_live_twice(rows in rows(), observe: bool) {
        let mut given = Given::chain(1_000, |policy| policy.observe = observe);
        given.finalize(1_300);
        let mut inputs = 0;
        // As the command feeds them: what is only kept first, then spans, then aggregates.
        loop {
            let all = verdicts(&given, &rows);
            let of = |wanted: &dyn Fn(&Verdict, &ImportedRow) -> bool| -> Vec<ImportedRow> {
                rows.iter().zip(&all).filter(|(row, verdict)| wanted(verdict, row)).map(|(row, _)| row.clone()).collect()
            };
            let is_agg = |row: &ImportedRow| matches!(row.subject, ImportedSubject::Agg { .. });
            let kept = of(&|verdict, _| *verdict == Verdict::Kept);
            let live = |verdict: &Verdict| matches!(verdict, Verdict::Taken | Verdict::Delivered(_));
            let spans = of(&|verdict, row| live(verdict) && !is_agg(row));
            let aggs = of(&|verdict, row| live(verdict) && is_agg(row));
            let Some(next) = [kept, spans, aggs].into_iter().find(|rows| !rows.is_empty()) else { break };
            prop_assert!(!import(&mut given, &next, inputs == 0).is_empty(), "{:?}", next);
            inputs += 1;
            prop_assert!(inputs < 100);
        }
        let chain = given.state.chains.get(&CHAIN).unwrap();
        let spans: Vec<_> = chain.spans.values().map(|span| span.range).collect();
        for (at, a) in spans.iter().enumerate() {
            prop_assert!(spans[at + 1..].iter().all(|b| !a.overlaps(b)));
        }
        prop_assert_eq!(&chain.index, &prooflog_projections::state::index_from_scratch(chain));
        prop_assert!(chain.aggs.len() <= 1);
        starts(&mut given);
    }
}
