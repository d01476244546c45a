//! The oracle's logs: who set the latest output, and whether outputs were deleted since the last observation.
//!
//! Logs are asked for when the latest output changed and not otherwise, in bounded ranges from the head downwards. What
//! was searched is remembered as long as the chain it was found on stands. Where the search ends before the last
//! observation, a deletion counts as possible: a reorg that deep does not exist. A crash in here loses a read.

use prooflog_events::ids::{Address, Hash32, L1Number, L1Ref};
use prooflog_events::values::Anchor;
use serde_json::{Value, json};

use alloy::sol_types::SolEvent;

use crate::Inner;
use crate::abi::Oracle;
use crate::error::{L1Error, RpcFault};
use crate::json::{address, hash, hex_number, number};
use crate::pin::Pin;
use crate::rpc::Request;

/// Ranges searched in one read.
const CHUNKS_MAX: u32 = 32;
/// Smallest range that is tried where an endpoint refuses larger ones, in blocks.
const RANGE_MIN: u64 = 16;

/// What the logs say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) latest_by: Option<(Hash32, Address)>,
    pub(crate) deleted: bool,
}

/// What was searched of an oracle's logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trail {
    /// First block searched without a gap up to `to`.
    from: L1Number,
    /// The head at that time.
    to: L1Ref,
    latest: Option<Anchor>,
    latest_by: Option<(Hash32, Address)>,
    /// Blocks with deletions, sorted.
    deletions: Vec<L1Number>,
    /// The limit ended the search: looking again would find no more.
    exhausted: bool,
}

impl Trail {
    fn seen(&self, since: Option<L1Number>) -> Seen {
        let deleted = since.is_some_and(|since| {
            let is_searched = self.from.0 <= since.0.saturating_add(1);
            !is_searched || self.deletions.iter().any(|block| *block > since)
        });
        Seen { latest_by: self.latest_by, deleted }
    }
}

/// Brings the trail of an oracle up to the pinned head.
pub(crate) async fn follow(
    l1: &Inner,
    pin: &Pin,
    oracle: Address,
    since: Option<L1Number>,
    latest: Option<Anchor>,
) -> Result<Seen, L1Error> {
    let mut before = l1.trail(oracle);
    if let Some(trail) = &before
        && pin.canonical(&[trail.to.number]).await? != [trail.to]
    {
        before = None;
    }
    let floor = since.map_or(pin.at().number, |since| L1Number(since.0.saturating_add(1)));
    let before = before.filter(|trail| trail.from <= floor || trail.exhausted);
    if let Some(trail) = before.as_ref().filter(|trail| trail.latest == latest) {
        // The same output at both ends: nothing happened between them that left a trace.
        let trail = Trail { to: pin.at(), ..trail.clone() };
        let seen = trail.seen(since);
        l1.set_trail(oracle, trail);
        return Ok(seen);
    }
    let searched = before.as_ref().map(|trail| L1Number(trail.to.number.0.saturating_add(1)));
    let mut trail = search(l1, pin, oracle, searched.unwrap_or(floor).max(floor), latest).await?;
    if let Some(before) = before.filter(|before| before.to.number.0.saturating_add(1) >= trail.from.0) {
        trail.exhausted |= before.exhausted;
        trail.from = trail.from.min(before.from);
        trail.deletions.extend(before.deletions);
        trail.deletions.sort_unstable();
        trail.deletions.dedup();
    }
    let seen = trail.seen(since);
    l1.set_trail(oracle, trail);
    Ok(seen)
}

/// From the head downwards, until the latest output's log is found and the floor is reached, or the limit is.
async fn search(
    l1: &Inner,
    pin: &Pin,
    oracle: Address,
    floor: L1Number,
    latest: Option<Anchor>,
) -> Result<Trail, L1Error> {
    let at = pin.at();
    let mut trail = Trail {
        from: L1Number(at.number.0.saturating_add(1)),
        to: at,
        latest,
        latest_by: None,
        deletions: Vec::new(),
        exhausted: false,
    };
    // The first output is set at deployment, without a log.
    let wanted = latest.filter(|latest| latest.index > 0);
    let mut tx = None;
    let mut chunks = 0;
    while trail.from.0 > 0
        && chunks < CHUNKS_MAX
        && (trail.from > floor || (tx.is_none() && wanted.is_some()))
    {
        chunks += 1;
        let to = trail.from.0.saturating_sub(1);
        let from = to.saturating_sub(l1.log_range().saturating_sub(1));
        let logs = match range(pin, oracle, from, to).await {
            Ok(logs) => logs,
            Err(L1Error::Rpc(fault)) if is_too_much(&fault) && l1.log_range() > RANGE_MIN => {
                l1.halve_log_range(RANGE_MIN);
                continue;
            }
            Err(L1Error::Rpc(fault)) if fault.is_unknown_method() => {
                tracing::warn!(%fault, "the endpoint has no logs: who submitted stays unknown");
                chunks = CHUNKS_MAX;
                continue;
            }
            Err(error) => return Err(error),
        };
        for log in &logs {
            note(&mut trail, &mut tx, log, wanted);
        }
        trail.from = L1Number(from);
    }
    trail.exhausted = chunks >= CHUNKS_MAX;
    trail.deletions.sort_unstable();
    trail.deletions.dedup();
    if let Some(tx) = tx {
        trail.latest_by = sender(pin, tx).await?.map(|sender| (tx, sender));
    }
    Ok(trail)
}

fn note(trail: &mut Trail, tx: &mut Option<Hash32>, log: &Value, wanted: Option<Anchor>) {
    let topic = |place: usize| log.get("topics").and_then(|topics| topics.get(place)).and_then(hash);
    let Some(block) = log.get("blockNumber").and_then(number) else { return };
    let first = topic(0).map(|topic| topic.0);
    if first == Some(Oracle::OutputsDeleted::SIGNATURE_HASH.0) {
        trail.deletions.push(L1Number(block));
    } else if first == Some(Oracle::OutputProposed::SIGNATURE_HASH.0)
        && let Some(wanted) = wanted
        && topic(1) == Some(wanted.root)
        && topic(2) == Some(index_topic(wanted.index))
    {
        // The last one of a range is the newest; ranges are searched from the newest on.
        *tx = log.get("transactionHash").and_then(hash).or(*tx);
    }
}

fn index_topic(index: u64) -> Hash32 {
    Hash32(crate::json::uint(index).to_be_bytes())
}

async fn range(pin: &Pin, oracle: Address, from: u64, to: u64) -> Result<Vec<Value>, L1Error> {
    let topics = [
        Oracle::OutputProposed::SIGNATURE_HASH.to_string(),
        Oracle::OutputsDeleted::SIGNATURE_HASH.to_string(),
    ];
    let filter = json!({
        "address": oracle, "fromBlock": hex_number(from), "toBlock": hex_number(to), "topics": [topics],
    });
    let answer = pin.unmoved(vec![Request::new("eth_getLogs", json!([filter]))]).await?.pop();
    match answer {
        Some(Ok(Value::Array(logs))) => Ok(logs),
        Some(Err(fault)) => Err(fault.into()),
        _ => Err(pin.member.rpc.malformed("eth_getLogs", &"not a list").into()),
    }
}

/// Whether an endpoint refused a range because of its size, or of that of its answer.
fn is_too_much(fault: &RpcFault) -> bool {
    const WORDS: &[&str] = &["range", "too many", "too large", "limit", "exceed", "more than", "maximum"];
    match fault {
        RpcFault::Refused { message, .. } => {
            let message = message.to_ascii_lowercase();
            WORDS.iter().any(|words| message.contains(words))
        }
        RpcFault::Http { source: prooflog_net::HttpError::TooLarge(_), .. } => true,
        _ => false,
    }
}

async fn sender(pin: &Pin, tx: Hash32) -> Result<Option<Address>, L1Error> {
    let answer = pin.member.rpc.call(Request::new("eth_getTransactionByHash", json!([tx]))).await?;
    Ok(answer.get("from").and_then(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail(from: u64, deletions: &[u64]) -> Trail {
        Trail {
            from: L1Number(from),
            to: L1Ref::default(),
            latest: None,
            latest_by: None,
            deletions: deletions.iter().copied().map(L1Number).collect(),
            exhausted: false,
        }
    }

    #[test]
    fn a_deletion_counts_if_it_lies_above_the_last_observation() {
        let trail = trail(100, &[150]);
        assert!(trail.seen(Some(L1Number(149))).deleted);
        assert!(!trail.seen(Some(L1Number(150))).deleted);
        assert!(!trail.seen(None).deleted, "nothing was observed before");
    }

    #[test]
    fn what_was_not_searched_may_hold_a_deletion() {
        assert!(trail(100, &[]).seen(Some(L1Number(98))).deleted);
        assert!(!trail(100, &[]).seen(Some(L1Number(99))).deleted);
    }
}
