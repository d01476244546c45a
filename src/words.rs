//! Words that operators read in several places: on the command line, in health answers, in the state's differences.

use prooflog_events::ids::Micros;
use prooflog_events::phrase::Phrase;
use prooflog_projections::state::chain::Chain;

/// What is said of a server whose commitments differ from the contract's.
const REJECTED: &str = "the prover proves what the contract does not accept";

/// A recorded time, UTC.
pub(crate) fn time(at: Micros) -> String {
    let seconds = i64::try_from(at.0 / 1_000_000).unwrap_or(i64::MAX);
    // What no calendar holds is shown as the number that was stored.
    jiff::Timestamp::from_second(seconds).map_or_else(|_| at.to_string(), |time| time.to_string())
}

/// Why a rollup counts as stopped although it was started: nothing is requested before somebody changed something.
pub(crate) fn rejected(chain: &Chain) -> Option<String> {
    (chain.hold.config_ok == Some(false)).then(|| REJECTED.to_owned())
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
        Some(false) => reasons.push(REJECTED.to_owned()),
        None => reasons.push("the prover has not been compared with the contract yet".to_owned()),
    }
    if let (Some(_), Some(signer), false) = (&chain.contract.values, chain.signer(), chain.is_approved()) {
        let account = signer.address;
        reasons
            .push(format!("the contract does not let {account} submit: its owner must approve the account"));
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use prooflog_events::event::{ChainRegistered, ContractObserved, Event, PolicyChanged};
    use prooflog_events::ids::{Address, ChainId, Hash32, L1ChainId, L1Ref, LogId, Position, StreamId, Wei};
    use prooflog_events::policy::Policy;
    use prooflog_events::values::{ContractValues, Generation};
    use prooflog_projections::{Fact, State};

    use super::*;

    fn observed(approved: bool) -> Vec<String> {
        let (id, address) = (ChainId(10), Address([7; 20]));
        let (oracle, hash) = (Address([9; 20]), Hash32([1; 32]));
        let values = ContractValues {
            implementation: oracle,
            generation: Generation::V2,
            submission_interval: 100,
            agg_vkey: hash,
            range_vkey: hash,
            rollup_config: hash,
            verifier: oracle,
            optimistic: false,
            approved,
            factory: None,
            bond: Wei(0),
            finalization_secs: 0,
        };
        let name = "ten".to_owned();
        let registered =
            ChainRegistered { name, l1: L1ChainId(1), oracle, l1_genesis: hash, l2_genesis: hash };
        let policy = Policy::with_signer(address);
        let events: [Event; 3] = [
            registered.into(),
            PolicyChanged { policy }.into(),
            ContractObserved { at: L1Ref::default(), values }.into(),
        ];
        let mut state = State::new(LogId([1; 16]));
        for (at, event) in (1..).zip(events) {
            let stream = StreamId::Chain(id);
            let fact = Fact {
                position: Position(at),
                stream,
                revision: prooflog_events::ids::Revision(at - 1),
                time: Micros(1),
                correlation: "",
                event,
            };
            state.apply(&fact).unwrap();
        }
        held_by(state.chains.get(&id).unwrap())
    }

    #[test]
    fn an_account_that_may_not_submit_is_a_reason() {
        let says = |reasons: Vec<String>| reasons.iter().any(|reason| reason.contains("must approve"));
        assert!(says(observed(false)));
        assert!(!says(observed(true)));
    }
}
