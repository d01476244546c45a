//! Several rollups whose transactions one account sends: who gets the next nonce, and whom nobody may hold up.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[expect(dead_code, reason = "shared words; each file of stories uses a part")]
mod given;
#[path = "given/l1.rs"]
#[expect(dead_code, reason = "shared words; each file of stories uses a part")]
mod l1_words;

use given::*;
use l1_words::*;
use prooflog_core::{Effect, Outbox, Pacing, plan};
use prooflog_events::event::ChainRegistered;
use prooflog_events::ids::*;
use prooflog_events::input::*;
use prooflog_events::policy::Policy;
use prooflog_events::values::*;
use prooflog_projections::state::phase::Phase;

/// Another rollup beside those that are there, whose transactions the same account sends. It is spoken of from here on.
fn beside(given: &mut Given, chain: ChainId, finalized: u64, change: impl FnOnce(&mut Policy)) {
    let mut policy = Policy { span_blocks: 50, confirmations: 3, ..Policy::with_signer(SIGNER) };
    change(&mut policy);
    given.chain = chain;
    given.register(ChainRegistered { l2_genesis: h("another"), ..registration() }, policy, finalized);
}

/// Aggregates of two rollups that one account sends for, with as many slots as that. That of the second rollup waits
/// half a minute longer. Their quotes, in the order in which endpoints answer: that of the first rollup first.
fn two_that_wait(max_pending: u32) -> (Given, [TxQuoted; 2]) {
    let few = |policy: &mut Policy| policy.fees.max_pending = max_pending;
    let mut given = Given::chain(1_100, few);
    beside(&mut given, ChainId(11), 1_100, few);
    for chain in [ChainId(11), CHAIN] {
        given.chain = chain;
        given.proven(1);
        given.proven(2);
        given.output(1_100);
        assert_eq!(given.phase_of(UnitId::agg(chain, 1)), Phase::Queued);
        given.later(30);
    }
    let quotes = [CHAIN, ChainId(11)].map(|chain| {
        let purpose = Purpose::Checkpoint { agg: UnitId::agg(chain, 1), block: L1Number(given.l1 - 1) };
        given.quote(purpose, 5)
    });
    (given, quotes)
}

#[test]
fn the_last_free_slot_of_an_account_goes_to_what_has_waited_longest() {
    let (mut given, [first, longest]) = two_that_wait(1);
    assert!(given.names(first).is_empty(), "who is answered first is not who comes first");
    assert_eq!(given.names(longest), ["CheckpointStarted", "TxReserved"]);
}

#[test]
fn where_there_is_a_slot_for_each_nobody_waits_for_his_turn() {
    let (mut given, [first, _]) = two_that_wait(2);
    assert_eq!(given.names(first), ["CheckpointStarted", "TxReserved"]);
}

#[test]
fn a_rollup_whose_endpoints_are_dead_holds_the_slots_of_an_account_up_for_a_minute_only() {
    let (mut given, [first, _]) = two_that_wait(1);
    given.later(29);
    let again = TxQuoted { at: given.head(), ..first.clone() };
    assert!(given.names(again).is_empty(), "the other one may still come");
    given.later(2);
    let again = TxQuoted { at: given.head(), ..first };
    assert_eq!(given.names(again), ["CheckpointStarted", "TxReserved"]);
}

#[test]
fn a_rollup_that_never_comes_holds_the_slots_of_a_busy_account_up_for_ten_minutes_only() {
    let (mut given, [first, _]) = two_that_wait(1);
    let busy = ChainId(12);
    beside(&mut given, busy, 1_100, |policy| policy.fees.max_pending = 1);
    given.proven(1);
    given.proven(2);
    let mut tries = 0;
    loop {
        tries += 1;
        // Something of a third rollup moves by a transaction of the account all the time.
        let aggs = &mut given.state.chains.get_mut(&busy).unwrap().aggs;
        let agg = aggs.get_mut(&1).unwrap();
        (agg.phase, agg.since) = (Phase::Included, given.now);
        let again = TxQuoted { at: given.head(), ..first.clone() };
        if given.names(again) == ["CheckpointStarted", "TxReserved"] {
            break;
        }
        assert!(tries < 30, "it waits for ever");
        given.now = given.now.plus_secs(30);
    }
    assert!(tries > 15, "the other one had {tries} half minutes");
}

#[test]
fn a_rollup_whose_submitting_is_paused_holds_up_no_other_of_its_account() {
    let (mut given, [first, second]) = two_that_wait(2);
    given.when(first);
    given.sign(5, 1);
    let mut outbox = Outbox::new(Pacing::default());
    outbox.fill(&mut given.state, given.now);
    let asks = |outbox: &Outbox| {
        let second = UnitId::agg(ChainId(11), 1);
        outbox.owed().any(|effect| {
            matches!(effect, Effect::QuoteTx { purpose: Purpose::Checkpoint { agg, .. }, .. } if *agg == second)
        })
    };
    assert!(!asks(&outbox), "one at a time");
    given.command(Command::Pause { chain: CHAIN, control: Control::Submitting }).unwrap();
    outbox.refresh(&mut given.state, given.now);
    assert!(asks(&outbox));
    let sends = |given: &Given, nonce| {
        let owed = plan(&given.state, given.now);
        owed.iter().any(|effect| matches!(effect, Effect::BroadcastTx { slot: of, .. } if *of == slot(nonce)))
    };
    assert!(!sends(&given, 5), "it is held back as long as nobody waits behind it");
    let quote = TxQuoted { nonce: Nonce(6), ..given.quote(second.purpose, 6) };
    assert_eq!(given.names(quote), ["CheckpointStarted", "TxReserved"]);
    assert!(sends(&given, 5), "a nonce is everybody's of the account");
}
