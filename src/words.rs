//! Words that operators read in several places: on the command line, in health answers, in the state's differences.

use prooflog_events::ids::Micros;
use prooflog_events::phrase::Phrase;
use prooflog_projections::state::chain::Chain;

/// A recorded time, UTC.
pub(crate) fn time(at: Micros) -> String {
    let seconds = i64::try_from(at.0 / 1_000_000).unwrap_or(i64::MAX);
    // What no calendar holds is shown as the number that was stored.
    jiff::Timestamp::from_second(seconds).map_or_else(|_| at.to_string(), |time| time.to_string())
}

/// Everything that holds work of a rollup back, in words.
pub(crate) fn held_by(chain: &Chain) -> Vec<String> {
    let mut reasons: Vec<String> = chain
        .hold
        .degraded
        .iter()
        .map(|(reason, since)| format!("degraded since {}: {}", time(*since), reason.phrase()))
        .collect();
    let paused = chain.hold.paused.iter();
    reasons.extend(
        paused.map(|(control, since)| format!("paused since {}: {}", time(*since), control.phrase())),
    );
    if let Some((since, class)) = chain.prover.degraded {
        reasons.push(format!("the prover fails since {} ({}), probing", time(since), class.phrase()));
    }
    match chain.hold.config_ok {
        Some(true) => {}
        Some(false) => reasons.push("the prover proves what the contract does not accept".to_owned()),
        None => reasons.push("the prover has not been compared with the contract yet".to_owned()),
    }
    if chain.is_optimistic() {
        reasons.push("the contract is in optimistic mode".to_owned());
    }
    if chain.hold.refusals > 0 {
        let until = time(chain.hold.refused_until);
        reasons.push(format!("the contract refuses the output without a proof; asked again from {until} on"));
    }
    if chain.finalized.is_some_and(|head| head.stalled) {
        reasons.push("the finalized head stands still".to_owned());
    }
    reasons
}
