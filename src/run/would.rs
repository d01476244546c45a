//! What would be done if a rollup that is only observed were not.
//!
//! A copy of the state stops observing and decides once; what comes out is exactly what an engine that spends would
//! have decided at this moment. Nothing of it is recorded.

use prooflog_core::decide;
use prooflog_events::input::TimerDue;
use prooflog_projections::describe;
use prooflog_service::View;
use serde::{Deserialize, Serialize};

/// An event that would be recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Would {
    /// Its stream.
    pub(crate) stream: String,
    /// Its type.
    pub(crate) event: String,
    /// In words.
    pub(crate) text: String,
}

/// What would follow on what the engine has in mind.
pub(crate) fn would(view: View) -> Vec<Would> {
    let mut state = view.state;
    let chains: Vec<_> = state.chains.keys().copied().collect();
    for chain in chains {
        if let Some(policy) = state.chains.get_mut(&chain).and_then(|chain| chain.policy.as_mut()) {
            policy.observe = false;
        }
    }
    state.touch_chains(&[]);
    let now = state.time;
    // A rule that fails on a hypothetical state is no bug of the log: nothing would be done.
    let events = decide(&mut state, now, &TimerDue::of_all().into())
        .map(|decision| decision.events)
        .unwrap_or_default();
    let line = |event: &prooflog_core::NewEvent| Would {
        stream: event.stream.to_string(),
        event: event.event.event_type().name().to_owned(),
        text: describe(&event.event, event.stream),
    };
    events.iter().map(line).collect()
}
