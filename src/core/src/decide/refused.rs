//! Members whose proofs cannot be used: the guilty spans are proven again, and no other.
//!
//! A proof is bincode of one version of the prover's software, and bytes may be damaged; only who takes an aggregate's
//! members sees that. Blocks whose proofs turn out so again and again are not bought for ever: then something else is
//! wrong, and the aggregate's budget ends in an alert.

use prooflog_events::event::{InvalidReason, Invalidated, LateAnswer, WitnessGenFailed};
use prooflog_events::ids::UnitId;
use prooflog_events::input::MembersRefused;
use prooflog_events::values::FailureClass;
use prooflog_projections::state::Illegal;
use prooflog_projections::state::phase::Phase;

use super::proving;
use crate::batch::Batch;
use crate::rules::{PROVEN_AGAIN_MAX, clip};

/// The request of an aggregate was refused for some of its members.
pub(super) fn members(batch: &mut Batch<'_>, input: &MembersRefused) -> Result<(), Illegal> {
    let agg = input.unit;
    let text = clip(&input.text);
    let is_current = batch
        .state
        .unit(agg)
        .is_some_and(|unit| unit.phase == Phase::WitnessGen && unit.attempt == input.attempt);
    if !is_current {
        return proving::record_late(batch, agg, input.attempt, LateAnswer::Failed { text });
    }
    let guilty = guilty(batch, input);
    let class = FailureClass::WitnessError;
    batch.unit(agg, WitnessGenFailed { attempt: input.attempt, class, text: text.clone() })?;
    if guilty.is_empty() {
        return proving::after_failure(batch, agg, class, &text);
    }
    let mut names = Vec::new();
    for span in guilty {
        // What does not fit is refused again with the next aggregate.
        if !batch.has_room() {
            break;
        }
        names.push(span.to_string());
        let detail = clip(&format!("{agg} cannot take its proof: {text}"));
        batch.unit(span, Invalidated { reason: InvalidReason::Undecodable, detail })?;
    }
    let detail = clip(&format!("proofs of members cannot be used: {}", names.join(", ")));
    batch.unit(agg, Invalidated { reason: InvalidReason::MemberGone, detail })
}

/// The spans that are meant; none if the request had no such members, or if one of them was proven again often enough.
fn guilty(batch: &Batch<'_>, input: &MembersRefused) -> Vec<UnitId> {
    let spans = || {
        let chain = batch.state.chains.get(&input.unit.chain)?;
        let members = &chain.unit(input.unit)?.agg_body()?.members;
        let mut spans = Vec::new();
        for place in &input.members {
            let number = members.get(usize::try_from(*place).ok()?)?;
            let span = chain.spans.get(number).filter(|span| span.phase == Phase::Complete)?;
            let unusable = chain.retired.values().filter(|old| {
                old.invalid == Some(InvalidReason::Undecodable)
                    && old.is_span()
                    && old.range.start < span.range.end
                    && span.range.start < old.range.end
            });
            if unusable.count() >= PROVEN_AGAIN_MAX {
                return None;
            }
            spans.push(span.id);
        }
        spans.sort_unstable();
        spans.dedup();
        Some(spans)
    };
    spans().unwrap_or_default()
}
