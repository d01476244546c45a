//! Rules that are numbers: which L1 block to checkpoint, what to pay, how long to wait.
//!
//! Adapters choose a checkpoint's block by the same function, so a rule has one place.

use prooflog_events::event::Event;
use prooflog_events::ids::{L1Number, Micros, Wei};
use prooflog_events::policy::{FeePolicy, Policy};
use prooflog_events::values::{DegradedReason, Fees, Mode};
use prooflog_projections::State;
use prooflog_projections::state::chain::backoff;

/// Version of the rules in this crate; it grows when the same state and input may lead to other events.
pub const BEHAVIOUR: u32 = 6;

/// How long a free slot of an account is kept for what has waited longer, in seconds. Its simulation takes one or two; if
/// none comes, because the endpoints of its rollup are dead, the others go on.
pub(crate) const SLOT_KEPT_SECS: u64 = 60;

/// How long a transaction yields to what has waited longer, in seconds, however busy its account is.
pub(crate) const SLOT_YIELDED_SECS: u64 = 600;

/// Times that the same blocks are proven again because their proof could not be used.
pub(crate) const PROVEN_AGAIN_MAX: usize = 2;

/// Statuses that nobody knows which are recorded of one attempt: a server that invents more is not worth the room.
pub(crate) const UNKNOWN_MAX: usize = 8;

/// The oracle sees the last 256 block hashes; a checkpoint is signed with at least 56 blocks left for inclusion.
const CHECKPOINT_WINDOW: u64 = 200;
/// From this age on a pending checkpoint cannot be included in time any more.
const CHECKPOINT_EXPIRED: u64 = 250;
/// Blocks above the L1 head seen with an answer that the proof's L1 head may lie at, where the server does not tell.
pub(crate) const L1_HEAD_MARGIN: u64 = 5;
/// The server's own limit for a witness is ours; we wait this much longer, in seconds.
const WITNESS_GRACE_SECS: u64 = 60;
/// Mock calls execute the program: limit in seconds.
const MOCK_WITNESS_SECS: u64 = 3_600;
/// Pause after "data not ready", in seconds.
pub(crate) const NOT_READY_SECS: u64 = 60;
/// Clock behind the log that stops new work, in seconds.
pub(crate) const CLOCK_BEHIND_SECS: u64 = 5;
/// Words of a clock that is behind the log; the seconds stand between them.
const CLOCK_BEHIND_WORDS: (&str, &str) = ("the clock is ", " s behind the log");
/// Clock ahead of the last L1 block that stops new work, in seconds.
pub(crate) const CLOCK_AHEAD_SECS: u64 = 3_600;
/// Gas of an empty transfer.
pub(crate) const TRANSFER_GAS: u64 = 21_000;

/// What degraded mode says of a clock that is behind the log.
pub(crate) fn clock_behind_detail(secs: u64) -> String {
    let (before, after) = CLOCK_BEHIND_WORDS;
    format!("{before}{secs}{after}")
}

/// The clock that a batch was decided at. Recorded time never runs backwards, so a clock that was behind stands only in
/// the detail of the degraded mode that it led to: `None` if `detail` tells of something else.
#[must_use]
fn clock_behind(detail: &str, recorded: Micros) -> Option<Micros> {
    let (before, after) = CLOCK_BEHIND_WORDS;
    let secs: u64 = detail.strip_prefix(before)?.strip_suffix(after)?.parse().ok()?;
    Some(Micros(recorded.0.saturating_sub(secs.saturating_mul(1_000_000))))
}

/// The latest clock that counts as behind a log whose newest event is of `recorded`.
const fn clock_just_behind(recorded: Micros) -> Micros {
    Micros(recorded.0.saturating_sub((CLOCK_BEHIND_SECS + 1) * 1_000_000))
}

/// Clocks that a batch of the moment `recorded` may have been decided at although that does not say so: recorded time never
/// runs backwards, so where it stands still the clock may have been behind. What was decided on the state before, `events`,
/// tells how far.
#[must_use]
pub fn other_clocks<'a>(
    state: &State,
    recorded: Micros,
    events: impl IntoIterator<Item = &'a Event>,
) -> Vec<Micros> {
    if recorded != state.time {
        return Vec::new();
    }
    let told = events.into_iter().find_map(|event| match event {
        Event::DegradedModeEntered(e) if e.reason == DegradedReason::Clock => {
            clock_behind(&e.detail, recorded)
        }
        _ => None,
    });
    // A clock that is behind already is told once; it still keeps its reason from being left.
    let is_known =
        state.chains.values().any(|chain| chain.hold.degraded.contains_key(&DegradedReason::Clock));
    told.into_iter().chain(is_known.then(|| clock_just_behind(recorded))).collect()
}

/// The L1 block to checkpoint: at or above `bound`, at most `head - 1`, at least `head - 200`, as low as that allows.
/// `None`: not yet, the bound is still too high.
#[must_use]
pub fn checkpoint_block(bound: L1Number, head: L1Number) -> Option<L1Number> {
    let block = bound.0.max(head.0.saturating_sub(CHECKPOINT_WINDOW)).max(1);
    (block < head.0).then_some(L1Number(block))
}

/// Whether a pending checkpoint of `block` can no longer be included.
pub(crate) fn checkpoint_expired(block: L1Number, head: L1Number) -> bool {
    head.0 > block.0.saturating_add(CHECKPOINT_EXPIRED)
}

/// Whether an L1 block may be too old to be seen by a contract when a transaction that names it is included.
pub(crate) fn is_too_old_to_name(block: L1Number, head: L1Number) -> bool {
    head.0 > block.0.saturating_add(CHECKPOINT_WINDOW)
}

/// More is asked than the policy lets a version allow per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooDear {
    /// The least that it would have to allow.
    pub(crate) needed: Wei,
    /// The most that it may.
    pub(crate) allowed: Wei,
}

/// Fees of a first version: twice the base fee plus tip, above the floors and below the ceilings.
///
/// # Errors
/// The ceiling lies below what the L1 asks now.
pub(crate) fn initial_fees(policy: &FeePolicy, base_fee: Wei, tip: Wei) -> Result<Fees, TooDear> {
    let base = base_fee.max(policy.min_base_fee);
    let tip = tip.max(policy.min_tip);
    let max_fee = base.0.saturating_mul(2).saturating_add(tip.0).min(policy.max_fee.0);
    if max_fee <= base_fee.0 {
        return Err(TooDear { needed: Wei(base_fee.0.saturating_add(1)), allowed: policy.max_fee });
    }
    Ok(Fees { max_fee: Wei(max_fee), tip: Wei(tip.0.min(max_fee)) })
}

/// Fees of a replacement: both raised by the policy's percentage, rounded up, and at least what a first version would
/// pay now.
///
/// # Errors
/// A ceiling forbids it.
pub(crate) fn replacement_fees(
    policy: &FeePolicy,
    old: Fees,
    base_fee: Wei,
    tip: Wei,
) -> Result<Fees, TooDear> {
    let raise = |fee: Wei| {
        let bump = fee.0.saturating_mul(u128::from(policy.bump_percent)).div_ceil(100).max(1);
        fee.0.saturating_add(bump)
    };
    let base = base_fee.max(policy.min_base_fee);
    let suggested_tip = tip.max(policy.min_tip);
    let tip = raise(old.tip).max(suggested_tip.0);
    let suggested = base.0.saturating_mul(2).saturating_add(suggested_tip.0);
    let max_fee = raise(old.max_fee).max(base.0.saturating_mul(2).saturating_add(tip));
    let limit = suggested.saturating_mul(u128::from(policy.limit_multiplier)).max(policy.limit_threshold.0);
    let ceiling = limit.min(policy.max_fee.0);
    let needed = raise(old.max_fee).max(tip);
    if needed > ceiling {
        return Err(TooDear { needed: Wei(needed), allowed: Wei(ceiling) });
    }
    Ok(Fees { max_fee: Wei(max_fee.min(ceiling)), tip: Wei(tip) })
}

/// The gas limit for an estimate: the policy's margin, once more for each time in a row that gas ran out, up to the
/// policy's ceiling and never below the estimate.
pub(crate) fn gas_limit(policy: &FeePolicy, estimate: u64, out_of_gas: u32) -> u64 {
    let percent =
        u64::from(policy.gas_margin_percent).saturating_mul(u64::from(out_of_gas).saturating_add(1));
    let margin = estimate.saturating_mul(percent).div_ceil(100);
    estimate.saturating_add(margin).min(policy.max_gas_limit.max(estimate))
}

/// When a witness call counts as timed out.
pub(crate) fn witness_deadline(policy: &Policy, now: Micros) -> Micros {
    match policy.mode {
        Mode::Real => now.plus_secs(policy.witness_timeout_secs.saturating_add(WITNESS_GRACE_SECS)),
        Mode::Mock => now.plus_secs(MOCK_WITNESS_SECS),
    }
}

/// The pause before the next attempt after `streak` failures in a row, in seconds.
pub(crate) fn retry_pause(policy: &Policy, streak: u32) -> u64 {
    backoff(policy.backoff_min_secs, policy.backoff_max_secs, streak.saturating_sub(1))
}

/// A text as it may stand in an event: at most 4 KiB, and marked where it was cut.
pub(crate) fn clip(text: &str) -> String {
    const MAX_TEXT: usize = 4_096;
    prooflog_events::clip::clip(text, MAX_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_more_than_4_kib_says_how_much_of_it_is_missing() {
        assert_eq!(clip(&"a".repeat(4_096)).len(), 4_096);
        let cut = clip(&"a".repeat(5_000));
        assert!(cut.len() <= 4_096 && cut.ends_with("… (941 bytes more)"), "{}", cut.len());
    }

    #[test]
    fn a_checkpoint_is_as_low_as_the_bound_and_the_window_allow() {
        let block = |bound, head| checkpoint_block(L1Number(bound), L1Number(head)).map(|block| block.0);
        assert_eq!(block(100, 120), Some(100));
        assert_eq!(block(100, 1_000), Some(800));
        assert_eq!(block(120, 120), None, "the head itself has no hash yet");
        assert_eq!(block(119, 120), Some(119));
    }

    #[test]
    fn a_replacement_clears_ten_percent_even_for_one_wei() {
        let policy =
            FeePolicy { min_tip: Wei(0), min_base_fee: Wei(0), bump_percent: 10, ..FeePolicy::default() };
        let old = Fees { max_fee: Wei(1), tip: Wei(1) };
        let new = replacement_fees(&policy, old, Wei(0), Wei(0));
        assert!(new.is_ok_and(|new| new.tip.0 >= 2 && new.max_fee.0 >= 2));
    }

    #[test]
    fn what_ran_out_of_gas_gets_more_of_it_up_to_the_ceiling() {
        let policy = FeePolicy { gas_margin_percent: 25, max_gas_limit: 1_600, ..FeePolicy::default() };
        let limits: Vec<u64> = (0..4).map(|times| gas_limit(&policy, 1_000, times)).collect();
        assert_eq!(limits, [1_250, 1_500, 1_600, 1_600]);
        assert_eq!(gas_limit(&policy, 2_000, 0), 2_000, "an estimate above the ceiling is tried as it is");
    }

    #[test]
    fn a_ceiling_stops_the_raising() {
        let policy = FeePolicy {
            max_fee: Wei(1_000),
            limit_threshold: Wei(1_000),
            min_tip: Wei(1),
            min_base_fee: Wei(1),
            ..FeePolicy::default()
        };
        let mut fees = Fees { max_fee: Wei(500), tip: Wei(10) };
        let mut raises = 0;
        while let Ok(next) = replacement_fees(&policy, fees, Wei(1), Wei(1)) {
            assert!(next.max_fee.0 <= 1_000);
            fees = next;
            raises += 1;
            assert!(raises < 20);
        }
        assert!(raises > 2);
    }
}
