//! The life of a checkpoint and of a submission, as decisions: given what the L1 said, these events follow.
//!
//! What goes wrong between signing and confirmation: refusals, dropped and underpriced transactions, a nonce that
//! somebody else used, reverts, reorgs before and after confirmation began, an empty wallet.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[expect(dead_code, reason = "shared words; each file of stories uses a part")]
mod given;
#[path = "given/l1.rs"]
mod l1_words;

use given::*;
use l1_words::*;
use prooflog_core::{Effect, Urgency, plan};
use prooflog_events::event::{AbandonReason, Event, InvalidReason, ParkReason, ReplaceReason};
use prooflog_events::ids::*;
use prooflog_events::input::*;
use prooflog_events::policy::OptimisticPolicy;
use prooflog_events::values::*;
use prooflog_projections::state::index::Index;
use prooflog_projections::state::phase::{Phase, SlotPhase};
use prooflog_projections::state::unit::Body;

#[test]
fn a_checkpoint_is_reserved_signed_on_disk_and_only_then_sent() {
    let mut given = queued();
    let purpose = given.wanted_quote();
    let quote = given.quote(purpose, 5);
    assert_eq!(given.names(quote), ["CheckpointStarted", "TxReserved"]);
    let owed = plan(&given.state, given.now);
    assert!(owed.iter().any(|effect| matches!(effect, Effect::SignTx { .. })));
    assert!(!owed.iter().any(|effect| matches!(effect, Effect::BroadcastTx { .. })), "nothing is signed yet");
    assert_eq!(names(&given.sign(5, 1)), ["TxPrepared"]);
    assert!(plan(&given.state, given.now).iter().any(|effect| matches!(effect, Effect::BroadcastTx { .. })));
    assert_eq!(names(&given.send(5, 1, BroadcastOutcome::Accepted)), ["TxBroadcast"]);
    assert_eq!(given.slot_phase(5), SlotPhase::Broadcast);
}

#[test]
fn everything_from_the_checkpoint_to_a_settled_aggregate() {
    let mut given = submission_sent();
    given.latest = Some(Anchor { index: 5, root: root(1_100), block: L2Block(1_100) });
    let at = given.l1 + 1;
    let tx = included(6, 1, at, None);
    assert_eq!(names(&given.account(1, (7, 6), vec![tx.clone()])), ["TxIncluded", "Submitted"]);
    let settled = given.contract();
    assert!(names(&settled).contains(&"ContractAdvanced"), "{settled:?}");
    let last = given.account(3, (7, 7), vec![tx]);
    assert_eq!(names(&last)[..2], ["TxConfirmed", "SubmissionConfirmed"], "{last:?}");
}

#[test]
fn a_refused_simulation_is_recorded_and_never_signed() {
    let mut given = queued();
    let purpose = given.wanted_quote();
    let refused = given.refused(purpose, RefusalClass::Other);
    assert_eq!(given.names(refused), ["SubmissionRefused"]);
    assert!(plan(&given.state, given.now).iter().all(|effect| !matches!(effect, Effect::SignTx { .. })));
    assert!(
        plan(&given.state, given.now).iter().all(|effect| !matches!(effect, Effect::QuoteTx { .. })),
        "and not asked again at once"
    );
}

#[test]
fn the_server_is_compared_with_the_contract_before_each_request_of_an_aggregate() {
    let mut given = checkpoint_sent();
    given.confirmed_in_block(5, 1, None);
    let urgency = |given: &Given| {
        plan(&given.state, given.now).into_iter().find_map(|effect| match effect {
            Effect::ValidateServer { urgency, .. } => Some(urgency),
            _ => None,
        })
    };
    assert_eq!(urgency(&given), Some(Urgency::Routine));
    let point = given.state.unit(AGG).unwrap().agg_body().unwrap().checkpoint.unwrap().block;
    let read = ContractRead { checkpoints: vec![l1(point.0)], ..given.read() };
    given.when(read);
    assert_eq!((given.phase_of(AGG), urgency(&given)), (Phase::Ready, Some(Urgency::Now)));
    let other =
        ServerValidated { chain: CHAIN, rollup_config_ok: true, agg_vkey_ok: false, range_vkey_ok: true };
    assert_eq!(given.names(other), ["ContractConfigRejected"], "it was replaced a moment ago");
    assert_eq!(names(&given.validated()), ["ContractConfigValidated", "WitnessGenStarted"]);
    given.now = given.now.plus_secs(1);
    let attempt = given.state.unit(AGG).unwrap().attempt;
    let failed = WitnessAnswer::Failed { class: FailureClass::WitnessError, text: "words".into() };
    given.when(WitnessAnswered { unit: AGG, attempt, answer: failed });
    assert!(given.later(60).is_empty(), "another request of it asks again");
    assert_eq!(names(&given.validated()), ["ContractConfigValidated", "WitnessGenStarted"]);
    assert!(given.validated().is_empty(), "nobody waits for it: nothing new");
}

/// The aggregate is requested.
fn agg_started() -> Given {
    let mut given = checkpoint_sent();
    given.confirmed_in_block(5, 1, None);
    let point = given.state.unit(AGG).unwrap().agg_body().unwrap().checkpoint.unwrap().block;
    let read = ContractRead { checkpoints: vec![l1(point.0)], ..given.read() };
    given.when(read);
    given.validated();
    assert_eq!(given.phase_of(AGG), Phase::WitnessGen);
    given
}

fn refused(members: Vec<u32>) -> MembersRefused {
    MembersRefused { unit: AGG, attempt: Attempt(1), members, text: "bincode: invalid length".into() }
}

#[test]
fn only_the_span_whose_proof_nobody_can_read_is_proven_again() {
    let mut given = agg_started();
    let events = given.when(refused(vec![1]));
    assert_eq!(
        names(&events),
        ["WitnessGenFailed", "Invalidated", "Invalidated", "SpanCreated", "WitnessGenStarted"]
    );
    assert!(matches!(&events[1], Event::Invalidated(e) if e.reason == InvalidReason::Undecodable));
    assert!(matches!(&events[2], Event::Invalidated(e) if e.reason == InvalidReason::MemberGone));
    assert_eq!(ranges(&events), [(1_050, 1_100)]);
    assert_eq!(given.phase(1), Phase::Complete, "its proof is as good as before");
    let events = given.proven(3);
    assert!(names(&events).contains(&"AggQueued"), "{events:?}");
}

#[test]
fn a_refusal_of_very_many_members_fits_into_a_batch() {
    let mut given = agg_started();
    let chain = given.state.chains.get_mut(&CHAIN).unwrap();
    let span = chain.spans.get(&2).unwrap().clone();
    for nth in 0..1_000 {
        let mut more = span.clone();
        more.id.number = 10 + nth;
        (more.range.start.0, more.range.end.0) = (1_100 + nth, 1_101 + nth);
        chain.spans.insert(more.id.number, more);
    }
    let agg = chain.aggs.get_mut(&AGG.number).unwrap();
    let Body::Agg(body) = &mut agg.body else { unreachable!() };
    body.members.extend(10..1_010);
    chain.last_span = 1_009;
    chain.index = Index::of(chain);
    let text = "many words ".repeat(1_000);
    let events = given.when(MembersRefused { text, ..refused((0..1_002).collect()) });
    assert!(events.len() <= 512, "{} events", events.len());
    let unusable =
        |event: &&Event| matches!(event, Event::Invalidated(e) if e.reason == InvalidReason::Undecodable);
    assert!(events.iter().filter(unusable).count() > 100, "as many as fit");
    assert!(given.state.unit(AGG).is_none(), "the aggregate is over, the next one names the rest");
}

#[test]
fn a_refusal_that_names_no_member_of_the_request_costs_no_proof() {
    let mut given = agg_started();
    assert_eq!(names(&given.when(refused(vec![0, 2]))), ["WitnessGenFailed", "Retried"]);
    assert_eq!((given.phase(1), given.phase(2)), (Phase::Complete, Phase::Complete));
}

#[test]
fn a_verifier_that_does_not_take_the_proof_parks_the_aggregate_and_keeps_it() {
    let mut given = agg_started();
    given.agg_proven();
    given.output(1_100);
    let purpose = given.wanted_quote();
    let refused = given.refused(purpose, RefusalClass::Route);
    assert_eq!(given.names(refused), ["SubmissionRefused", "Parked"]);
    assert!(given.state.unit(AGG).unwrap().proof.is_some());
}

#[test]
fn an_empty_wallet_is_told_once_and_the_purpose_goes_on_when_it_is_filled() {
    let mut given = queued();
    let purpose = given.wanted_quote();
    let poor = TxQuoted { balance: Wei(1), ..given.quote(purpose, 5) };
    assert_eq!(given.names(poor.clone()), ["SignerBalanceLow"]);
    assert!(given.names(poor).is_empty());
    let rich = given.quote(purpose, 5);
    assert_eq!(given.names(rich), ["SignerBalanceRestored", "CheckpointStarted", "TxReserved"]);
}

#[test]
fn a_balance_above_the_warning_limit_that_pays_for_nothing_is_not_restored_with_every_look() {
    let mut given = queued();
    let purpose = given.wanted_quote();
    let dear = L1Head { base_fee: Wei(600 * GWEI), ..given.head() };
    // The limit is 0.1 ether, and the transaction may cost 0.125.
    let balance = Wei(110_000_000 * GWEI);
    let poor = TxQuoted { balance, at: dear, ..given.quote(purpose, 5) };
    assert_eq!(given.names(poor.clone()), ["SignerBalanceLow"]);
    let look = |given: &Given, balance| SignerRead {
        signer: ACCOUNT,
        at: given.head(),
        nonce: NonceState { head: Nonce(5), confirmed: Nonce(5) },
        balance,
        txs: Vec::new(),
    };
    for _ in 0..3 {
        let read = look(&given, balance);
        assert!(given.names(read).is_empty());
        assert!(given.names(poor.clone()).is_empty());
    }
    let filled = look(&given, Wei(130_000_000 * GWEI));
    assert_eq!(given.names(filled), ["SignerBalanceRestored"]);
}

#[test]
fn a_stuck_transaction_is_replaced_with_fees_that_clear_the_rule_in_the_same_slot() {
    let mut given = checkpoint_sent();
    let before = given.state.slot(slot(5)).unwrap().fees;
    let events = given.account(5, (5, 5), vec![seen(5, 1, TxState::Pending)]);
    let [Event::TxReplaced(replaced)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((replaced.reason, replaced.version), (ReplaceReason::Stuck, TxVersion(2)));
    assert!(
        replaced.fees.tip.0 * 10 >= before.tip.0 * 11
            && replaced.fees.max_fee.0 * 10 >= before.max_fee.0 * 11
    );
    assert_eq!(given.slot_phase(5), SlotPhase::Unsigned);
}

#[test]
fn what_no_pool_took_is_sent_again_as_it_is_and_never_raised() {
    for outcome in [BroadcastOutcome::Funds, BroadcastOutcome::Rejected] {
        let mut given = queued();
        let purpose = given.wanted_quote();
        given.when(given.quote(purpose, 5));
        given.sign(5, 1);
        given.send(5, 1, outcome);
        let fees = given.state.slot(slot(5)).unwrap().fees;
        let mut sent = 0;
        for _ in 0..40 {
            let events = given.account(5, (5, 5), vec![seen(5, 1, TxState::Unknown)]);
            assert_eq!(names(&events)[0], "TxDropped", "{outcome:?}: {events:?}");
            let owed = plan(&given.state, given.now);
            assert!(
                owed.iter()
                    .any(|effect| matches!(effect, Effect::BroadcastTx { version, .. } if version.0 == 1))
            );
            given.send(5, 1, outcome);
            sent += 1;
        }
        assert_eq!((sent, given.state.slot(slot(5)).unwrap().fees), (40, fees));
        // Its block is out of the checkpoint's window by now: another one at the same fees.
        let events = given.account(60, (5, 5), vec![seen(5, 1, TxState::Unknown)]);
        let [Event::CheckpointStarted(_), Event::TxReplaced(replaced)] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!((replaced.reason, replaced.fees), (ReplaceReason::StaleCheckpoint, fees));
        // Once a pool holds it, it is raised as any other.
        given.sign(5, 2);
        given.send(5, 2, BroadcastOutcome::Accepted);
        let txs = vec![seen(5, 1, TxState::Unknown), seen(5, 2, TxState::Pending)];
        let events = given.account(5, (5, 5), txs);
        assert!(matches!(&events[..], [Event::TxReplaced(e)] if e.fees.max_fee > fees.max_fee), "{events:?}");
    }
}

#[test]
fn what_a_pool_refused_is_raised_where_no_block_could_include_it() {
    let mut given = checkpoint_sent();
    given.account(5, (5, 5), vec![seen(5, 1, TxState::Pending)]);
    given.sign(5, 2);
    given.send(5, 2, BroadcastOutcome::Rejected);
    let fees = given.state.slot(slot(5)).unwrap().fees;
    given.now = given.now.plus_secs(60);
    let input = SignerRead {
        signer: ACCOUNT,
        at: L1Head { base_fee: Wei(fees.max_fee.0 + 1), ..given.head() },
        nonce: NonceState { head: Nonce(5), confirmed: Nonce(5) },
        balance: Wei(1_000_000_000_000_000_000),
        txs: vec![seen(5, 1, TxState::Unknown), seen(5, 2, TxState::Unknown)],
    };
    assert_eq!(given.names(input), ["TxReplaced"]);
}

#[test]
fn an_underpriced_replacement_is_raised_again_at_once() {
    let mut given = checkpoint_sent();
    given.account(5, (5, 5), vec![seen(5, 1, TxState::Pending)]);
    given.sign(5, 2);
    let events = given.send(5, 2, BroadcastOutcome::Underpriced);
    assert_eq!(names(&events), ["TxBroadcast", "TxReplaced"]);
}

#[test]
fn what_the_pool_forgot_is_sent_again_as_it_was() {
    let mut given = checkpoint_sent();
    let events = given.account(12, (5, 5), vec![seen(5, 1, TxState::Unknown)]);
    assert!(names(&events).contains(&"TxDropped") || names(&events).contains(&"TxReplaced"), "{events:?}");
    let owed = plan(&given.state, given.now);
    let goes_on = |effect: &Effect| matches!(effect, Effect::BroadcastTx { .. } | Effect::SignTx { .. });
    assert!(owed.iter().any(goes_on), "{owed:#?}");
}

#[test]
fn the_first_version_may_be_included_after_it_was_replaced() {
    let mut given = checkpoint_sent();
    given.account(5, (5, 5), vec![seen(5, 1, TxState::Pending)]);
    given.sign(5, 2);
    let at = given.l1 + 1;
    let txs = vec![included(5, 1, at, None), seen(5, 2, TxState::Unknown)];
    let events = given.account(1, (6, 5), txs);
    assert!(names(&events).contains(&"TxIncluded"), "{events:?}");
}

#[test]
fn a_nonce_that_somebody_else_used_ends_the_slot_only_at_depth_and_the_purpose_gets_another() {
    let mut given = checkpoint_sent();
    let unknown = vec![seen(5, 1, TxState::Unknown)];
    let events = given.account(1, (6, 5), unknown.clone());
    assert!(!names(&events).contains(&"TxAbandoned"), "only at the head: {events:?}");
    let events = given.account(3, (6, 6), unknown);
    let abandoned = events.iter().find_map(|event| match event {
        Event::TxAbandoned(abandoned) => Some(abandoned.reason),
        _ => None,
    });
    assert_eq!(abandoned, Some(AbandonReason::NonceTaken), "{events:?}");
    assert_eq!(given.phase_of(AGG), Phase::Queued);
    assert!(matches!(given.wanted_quote(), Purpose::Checkpoint { .. }));
}

#[test]
fn a_submission_that_reverted_says_why_and_its_proof_stays() {
    let mut given = submission_sent();
    let at = given.l1 + 1;
    let why = Refusal { class: RefusalClass::Other, text: "L2OutputOracle: no".into() };
    let events = given.account(1, (7, 6), vec![included(6, 1, at, Some(why))]);
    assert_eq!(names(&events)[..2], ["TxReverted", "SubmissionReverted"], "{events:?}");
    assert!(given.state.unit(AGG).unwrap().proof.is_some());
}

#[test]
fn an_inclusion_that_is_reorged_away_is_gone_and_the_same_bytes_are_good_again() {
    let mut given = submission_sent();
    let at = given.l1 + 1;
    given.account(1, (7, 6), vec![included(6, 1, at, None)]);
    let events = given.account(1, (6, 6), vec![seen(6, 1, TxState::Unknown)]);
    assert_eq!(names(&events)[..2], ["TxReorged", "SubmissionReorged"], "{events:?}");
    assert_ne!(given.phase_of(AGG), Phase::Complete, "its nonce still carries it");
    let at = given.l1 + 1;
    let events = given.account(1, (7, 6), vec![included(6, 1, at, None)]);
    assert!(names(&events).contains(&"Submitted"), "included again: {events:?}");
}

#[test]
fn a_transaction_that_moves_to_another_block_is_reorged_and_included_in_one_read() {
    let mut given = submission_sent();
    let at = given.l1 + 1;
    given.account(1, (7, 6), vec![included(6, 1, at, None)]);
    let events = given.account(2, (7, 6), vec![included(6, 1, at + 2, None)]);
    let names = names(&events);
    let place = |name| names.iter().position(|found| *found == name);
    assert!(place("TxReorged") < place("TxIncluded"), "{names:?}");
}

#[test]
fn a_checkpoint_too_old_to_be_included_in_time_is_given_up_for_a_new_one() {
    let mut given = checkpoint_sent();
    let events = given.account(260, (5, 5), vec![seen(5, 1, TxState::Pending)]);
    let replaced =
        events.iter().any(|event| matches!(event, Event::TxReplaced(_) | Event::CheckpointLost(_)));
    assert!(replaced, "{events:?}");
}

#[test]
fn paused_submitting_quotes_nothing_and_resumes_where_it_was() {
    let mut given = queued();
    given.command(Command::Pause { chain: CHAIN, control: Control::Submitting }).unwrap();
    let asks = |given: &Given| {
        plan(&given.state, given.now).iter().any(|effect| matches!(effect, Effect::QuoteTx { .. }))
    };
    assert!(!asks(&given));
    given.command(Command::Resume { chain: CHAIN, control: Control::Submitting }).unwrap();
    assert!(asks(&given));
}

#[test]
fn another_root_at_the_end_of_an_aggregate_makes_the_proofs_of_all_its_members_useless() {
    let mut given = queued();
    let nodes = vec![NodeAnswer { node: "a".into(), root: Some(h("another")) }];
    given.l1 += 1;
    let read = OutputRead { chain: CHAIN, block: L2Block(1_100), current_l1: l1(given.l1), nodes };
    let events = given.when(read);
    assert_eq!(names(&events)[..3], ["Invalidated"; 3], "{events:?}");
    let fresh = ranges(&events).first().map(|(start, _)| *start);
    assert_eq!(fresh, Some(1_000), "all of it is planned again: {events:?}");
}

#[test]
fn what_nobody_signs_for_long_is_quoted_afresh_under_the_same_nonce() {
    let mut given = queued();
    let purpose = given.wanted_quote();
    let quote = given.quote(purpose, 5);
    given.when(quote);
    assert!(given.account(2, (5, 5), vec![]).is_empty(), "signers may take a while");
    let events = given.account(20, (5, 5), vec![]);
    assert_eq!(names(&events), ["TxAbandoned", "CheckpointLost"]);
    assert!(given.state.slot(slot(5)).is_none(), "the nonce is free");
    let purpose = given.wanted_quote();
    let quote = given.quote(purpose, 5);
    assert_eq!(given.names(quote), ["CheckpointStarted", "TxReserved"]);
}

#[test]
fn a_replacement_that_nobody_signs_gives_its_nonce_up_and_the_aggregate_goes_on() {
    let mut given = submission_sent();
    given.account(5, (6, 6), vec![seen(6, 1, TxState::Pending)]);
    assert_eq!(given.slot_phase(6), SlotPhase::Unsigned);
    let events = given.account(21, (6, 6), vec![seen(6, 1, TxState::Pending)]);
    assert_eq!(names(&events), ["SubmissionAbandoned", "TxReplaced"]);
    assert_eq!(given.phase_of(AGG), Phase::Complete);
    assert!(matches!(given.state.slot(slot(6)).unwrap().purpose, Purpose::Release));
}

#[test]
fn an_aggregate_that_waits_for_its_l1_block_is_not_replaced_by_one_that_would_wait_longer() {
    let mut given = queued();
    let purpose = given.wanted_quote();
    let refused = given.refused(purpose, RefusalClass::NotYet);
    assert_eq!(given.names(refused), ["SubmissionRefused"]);
    given.finalize(1_150);
    let events = given.proven(3);
    assert!(!names(&events).contains(&"Invalidated"), "{events:?}");
    given.later(12);
    let quote = given.quote(purpose, 5);
    assert_eq!(given.names(quote)[..2], ["CheckpointStarted", "TxReserved"], "the next L1 block is enough");
}

fn revert(class: RefusalClass) -> Option<Refusal> {
    Some(Refusal { class, text: "words".into() })
}

/// One more transaction of the aggregate, quoted, sent, and reverted in a block; the pause that follows, in seconds.
fn paid_in_vain(given: &mut Given, nonce: u64, why: RefusalClass) -> (Vec<Event>, u64, u64) {
    let not_before = given.state.unit(AGG).unwrap().not_before;
    given.later(not_before.secs_since(given.now));
    if given.phase_of(AGG) == Phase::Complete {
        given.output(1_100);
    }
    let purpose = given.wanted_quote();
    let quote = given.quote(purpose, nonce);
    assert!(given.names(quote).contains(&"TxReserved"), "{purpose:?} {nonce}");
    given.sign(nonce, 1);
    given.send(nonce, 1, BroadcastOutcome::Accepted);
    let gas = given.state.slot(slot(nonce)).unwrap().gas_limit;
    let events = given.confirmed_in_block(nonce, 1, revert(why));
    let included = Micros(given.now.0 - 36_000_000);
    let pauses: Vec<u64> = events
        .iter()
        .filter_map(|event| match event {
            Event::SubmissionReverted(e) => Some(e.not_before),
            Event::Retried(e) => Some(e.not_before),
            _ => None,
        })
        .map(|until| until.secs_since(included))
        .collect();
    (events, pauses.last().copied().unwrap_or_default(), gas)
}

#[test]
fn what_ran_out_of_gas_gets_more_of_it_and_what_reverted_for_another_reason_does_not() {
    let limits = |why| {
        let mut given = submission_sent();
        given.confirmed_in_block(6, 1, revert(why));
        (7..10).map(|nonce| paid_in_vain(&mut given, nonce, why).2).collect::<Vec<u64>>()
    };
    assert_eq!(limits(RefusalClass::OutOfGas), [150_000, 175_000, 200_000]);
    assert_eq!(limits(RefusalClass::Other), [125_000; 3]);
    let mut given = queued();
    let checkpoints = (5..8).map(|nonce| paid_in_vain(&mut given, nonce, RefusalClass::OutOfGas).2);
    assert_eq!(checkpoints.collect::<Vec<u64>>(), [125_000, 150_000, 175_000]);
}

#[test]
fn submissions_that_revert_in_a_row_wait_longer_and_park_in_the_end_with_their_proof() {
    let mut given = submission_sent();
    let first = given.confirmed_in_block(6, 1, revert(RefusalClass::Other));
    assert!(names(&first).contains(&"SubmissionReverted"), "{first:?}");
    let (mut pauses, mut last) = (Vec::new(), first);
    for nonce in 7..11 {
        let (events, pause, _) = paid_in_vain(&mut given, nonce, RefusalClass::Other);
        pauses.push(pause);
        last = events;
    }
    assert!(pauses.is_sorted() && pauses[0] < pauses[2], "{pauses:?}");
    assert!(
        last.iter().any(|event| matches!(event, Event::Parked(e) if e.reason == ParkReason::Budget)),
        "the fifth revert is the last that is paid for: {last:?}"
    );
    assert!(given.state.unit(AGG).unwrap().proof.is_some());
    given.command(Command::Unpark { unit: AGG }).unwrap();
    assert_eq!(given.phase_of(AGG), Phase::Complete);
}

#[test]
fn checkpoints_that_revert_in_a_row_wait_longer_and_park_in_the_end() {
    let mut given = queued();
    let mut pauses = Vec::new();
    let mut last = Vec::new();
    for nonce in 5..10 {
        let (events, pause, _) = paid_in_vain(&mut given, nonce, RefusalClass::Other);
        pauses.push(pause);
        last = events;
    }
    assert!(pauses[..4].is_sorted() && pauses[0] < pauses[3], "{pauses:?}");
    assert!(
        last.iter().any(|event| matches!(event, Event::Parked(e) if e.reason == ParkReason::Budget)),
        "each was paid for: {last:?}"
    );
    assert_eq!(given.phase_of(AGG), Phase::Parked);
}

#[test]
fn a_checkpoint_that_was_replaced_and_included_after_all_is_the_one_that_is_read_back() {
    let mut given = checkpoint_sent();
    let old = given.state.unit(AGG).unwrap().agg_body().unwrap().checkpoint.unwrap().block;
    let replaced = given.account(260, (5, 5), vec![seen(5, 1, TxState::Pending)]);
    assert!(names(&replaced).contains(&"TxReplaced"), "{replaced:?}");
    let at = given.l1 + 1;
    given.account(1, (6, 5), vec![included(5, 1, at, None)]);
    let point = given.state.unit(AGG).unwrap().agg_body().unwrap().checkpoint.unwrap();
    assert_eq!(point.block, old, "nothing else has to be sent");
    let read = ContractRead { checkpoints: vec![l1(old.0)], ..given.read() };
    assert!(given.names(read).contains(&"Checkpointed"));
}

#[test]
fn a_transaction_that_the_balance_does_not_cover_is_told_once_until_it_does() {
    let mut given = queued();
    let purpose = given.wanted_quote();
    let poor = Wei(1_000_000_000_000_000);
    let quote = |given: &Given| TxQuoted { balance: poor, ..given.quote(purpose, 5) };
    let read = |given: &Given, balance| SignerRead {
        signer: ACCOUNT,
        at: given.head(),
        nonce: NonceState { head: Nonce(5), confirmed: Nonce(5) },
        balance,
        txs: Vec::new(),
    };
    let mut policy = given.state.chains.get(&CHAIN).unwrap().policy.clone().unwrap();
    policy.min_balance = Wei(1);
    given.when(ChainConfigured { chain: CHAIN, registration: registration(), policy });
    let input = quote(&given);
    assert_eq!(given.names(input), ["SignerBalanceLow"], "more than the minimum, less than it costs");
    for _ in 0..3 {
        let (account, asked) = (read(&given, poor), quote(&given));
        assert!(given.names(account).is_empty() && given.names(asked).is_empty());
    }
    let rich = read(&given, Wei(1_000_000_000_000_000_000));
    assert_eq!(given.names(rich), ["SignerBalanceRestored"]);
}

#[test]
fn an_account_that_nobody_uses_any_more_still_follows_its_open_transaction_to_depth() {
    let mut given = checkpoint_sent();
    let mut policy = given.state.chains.get(&CHAIN).unwrap().policy.clone().unwrap();
    policy.signer = Address([8; 20]);
    given.when(ChainConfigured { chain: CHAIN, registration: registration(), policy });
    let depths: Vec<u64> = plan(&given.state, given.now)
        .iter()
        .filter_map(|effect| match effect {
            Effect::ReadSigner { confirmations, .. } => Some(*confirmations),
            _ => None,
        })
        .collect();
    assert_eq!(depths, [3, 3], "the old account and the new one");
}

/// A pool that asks more than `fees.max_fee` allows: a thousand gwei by default.
const DEAR: Wei = Wei(1_200 * GWEI);

#[test]
fn what_the_fee_ceiling_keeps_back_is_on_record_once_and_goes_out_when_fees_fall() {
    let mut given = queued();
    let purpose = given.wanted_quote();
    let dear = |given: &Given| {
        let quote = given.quote(purpose, 5);
        TxQuoted { at: L1Head { base_fee: DEAR, ..quote.at }, ..quote }
    };
    let quote = dear(&given);
    let events = given.when(quote);
    let [Event::FeeCeilingReached(told)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((told.purpose, told.base_fee), (purpose, DEAR));
    assert_eq!((told.needed, told.allowed), (Wei(DEAR.0 + 1), Wei(1_000 * GWEI)));
    for _ in 0..3 {
        let quote = dear(&given);
        assert!(given.when(quote).is_empty(), "told once");
    }
    assert_eq!(given.wanted_quote(), purpose, "and asked for again");
    let quote = given.quote(purpose, 5);
    assert_eq!(given.names(quote), ["CheckpointStarted", "TxReserved"]);
    assert!(!given.state.unit(AGG).unwrap().agg_body().unwrap().capped);
}

#[test]
fn a_transaction_that_the_ceiling_keeps_from_being_raised_says_so_once_for_each_version() {
    let mut given = checkpoint_sent();
    let read = |given: &Given, base_fee: Wei| SignerRead {
        signer: ACCOUNT,
        at: L1Head { base_fee, ..given.head() },
        nonce: NonceState { head: Nonce(5), confirmed: Nonce(5) },
        balance: Wei(1_000_000_000_000_000_000),
        txs: vec![seen(5, given.state.slot(slot(5)).unwrap().version.0, TxState::Pending)],
    };
    let mut raises = 0;
    let told = loop {
        given.now = given.now.plus_secs(60);
        let input = read(&given, Wei(7 * GWEI));
        let events = given.when(input);
        match events.first() {
            Some(Event::TxReplaced(replaced)) => {
                raises += 1;
                assert!(raises < 60, "raised without an end");
                let version = replaced.version.0;
                given.sign(5, version);
                given.send(5, version, BroadcastOutcome::Accepted);
            }
            Some(Event::FeeCeilingReached(told)) => break told.clone(),
            _ => panic!("{events:?}"),
        }
    };
    assert!(raises > 3 && told.needed > told.allowed, "{told:?}");
    let fees = given.state.slot(slot(5)).unwrap().fees;
    for _ in 0..3 {
        given.now = given.now.plus_secs(60);
        let input = read(&given, Wei(7 * GWEI));
        assert!(given.when(input).is_empty(), "told once for this version");
    }
    assert_eq!(given.state.slot(slot(5)).unwrap().fees, fees, "it keeps the fees that it has");
}

/// A rollup in optimistic mode whose next output is agreed and waits for its simulation.
fn without_proof() -> Given {
    let mut given = Given::chain(1_200, |policy| policy.optimistic = OptimisticPolicy::Submit);
    given.values.optimistic = true;
    given.contract();
    assert_eq!(names(&given.output(1_100)), ["OutputChecked"]);
    given
}

/// The L1 block that the next output names.
fn named_l1(given: &Given) -> Option<u64> {
    let effects = plan(&given.state, given.now);
    effects.iter().find_map(|effect| match effect {
        Effect::QuoteTx { body, .. } => Some(body.output.as_ref()?.l1_block.0),
        _ => None,
    })
}

#[test]
fn an_output_without_a_proof_that_is_refused_is_on_record_and_agreed_again_at_a_newer_block() {
    let mut given = without_proof();
    let at = given.l1;
    assert_eq!(named_l1(&given), Some(at));
    let purpose = given.wanted_quote();
    let early = given.refused(purpose, RefusalClass::Stale);
    assert!(given.when(early).is_empty(), "the head itself has no hash yet");
    assert_eq!(named_l1(&given), Some(at), "it is asked again");
    let mut pauses = Vec::new();
    for _ in 0..4 {
        given.l1 += 1;
        let refused = given.refused(purpose, RefusalClass::Stale);
        let events = given.when(refused.clone());
        let [Event::SubmissionRefused(told)] = &events[..] else { panic!("{events:?}") };
        pauses.push(told.not_before.secs_since(given.now));
        assert!(given.when(refused).is_empty(), "told once");
        assert_eq!(named_l1(&given), None);
        assert!(given.output(1_100).is_empty(), "not before the pause is over");
        given.now = told.not_before;
        assert_eq!(names(&given.output(1_100)), ["OutputChecked"]);
        assert_eq!(named_l1(&given), Some(given.l1));
    }
    assert!(pauses.is_sorted() && pauses[0] < pauses[3], "{pauses:?}");
    given.l1 += 1;
    let quote = given.quote(purpose, 5);
    assert_eq!(given.names(quote), ["TxReserved"]);
}

#[test]
fn an_output_without_a_proof_never_names_a_block_that_the_contract_sees_no_more() {
    let mut given = without_proof();
    let purpose = given.wanted_quote();
    given.l1 += 201;
    let quote = given.quote(purpose, 5);
    assert_eq!(given.names(quote), ["SubmissionRefused"]);
    given.now = given.now.plus_secs(60);
    given.output(1_100);
    given.l1 += 1;
    let quote = given.quote(purpose, 5);
    assert_eq!(given.names(quote), ["TxReserved"]);
    given.sign(5, 1);
    given.send(5, 1, BroadcastOutcome::Accepted);
    let events = given.account(251, (5, 5), vec![seen(5, 1, TxState::Pending)]);
    let Some(Event::TxReplaced(replaced)) = events.first() else { panic!("{events:?}") };
    assert_eq!((replaced.reason, replaced.purpose), (ReplaceReason::PurposeGone, Purpose::Release));
}
