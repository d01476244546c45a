//! The oracle's logs: who set the latest output, and whether outputs were deleted since the last observation.
//!
//! Logs are asked for when the latest output changed and not otherwise, in bounded ranges from the head downwards. What
//! was searched is remembered as long as the chain it was found on stands. Where the search does not reach the last
//! observation, the next read goes on with it: until then nothing is told, because a deletion is not excluded. A crash in
//! here loses a read.

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
const RANGE_MIN: u64 = 1;

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
}

impl Trail {
    /// Nothing of it is searched yet.
    const fn above(at: L1Ref, latest: Option<Anchor>) -> Self {
        let from = L1Number(at.number.0.saturating_add(1));
        Self { from, to: at, latest, latest_by: None, deletions: Vec::new() }
    }

    /// What it says of the blocks above `since`; how many of them are left to search, if it does not reach down to them.
    fn seen(&self, since: Option<L1Number>) -> Result<Seen, u64> {
        let floor = since.map_or(self.from.0, |since| since.0.saturating_add(1));
        if self.from.0 > floor {
            return Err(self.from.0 - floor);
        }
        let deleted = since.is_some_and(|since| self.deletions.iter().any(|block| *block > since));
        Ok(Seen { latest_by: self.latest_by, deleted })
    }

    /// Takes over what an earlier search found right below this one.
    fn join(&mut self, below: Self) {
        self.from = self.from.min(below.from);
        self.deletions.extend(below.deletions);
        if self.latest == below.latest {
            self.latest_by = self.latest_by.or(below.latest_by);
        }
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
    let floor = L1Number(since.unwrap_or(pin.at().number).0.saturating_add(1));
    let mut trail = Trail::above(pin.at(), latest);
    match before {
        // The same output at both ends: nothing happened between them that left a trace.
        Some(before) if before.latest == latest => trail = Trail { to: pin.at(), ..before },
        before => {
            let mut search = Search { l1, pin, oracle, chunks: 0, tx: None };
            let top = before.as_ref().map_or(floor, |before| L1Number(before.to.number.0.saturating_add(1)));
            search.down(&mut trail, top.max(floor)).await?;
            if let Some(before) = before.filter(|before| before.to.number.0.saturating_add(1) >= trail.from.0)
            {
                trail.join(before);
            }
            if trail.from <= floor {
                search.find_latest(&mut trail).await?;
            }
            search.name_sender(&mut trail).await?;
        }
    }
    if trail.from > floor {
        let mut search = Search { l1, pin, oracle, chunks: 0, tx: None };
        if let Err(error) = search.down(&mut trail, floor).await {
            // What was found before it failed need not be searched again.
            l1.set_trail(oracle, trail);
            return Err(error);
        }
        search.name_sender(&mut trail).await?;
    }
    let seen = trail.seen(since);
    l1.set_trail(oracle, trail);
    seen.map_err(|left| L1Error::Searching { oracle, left })
}

/// One read's search of an oracle's logs.
struct Search<'a> {
    l1: &'a Inner,
    pin: &'a Pin,
    oracle: Address,
    /// Ranges searched.
    chunks: u32,
    /// The transaction that set the latest output.
    tx: Option<Hash32>,
}

impl Search<'_> {
    /// Downwards until `floor` is reached, or the limit is.
    ///
    /// An endpoint without logs is no good here: another one may have them, and that none has is an error for a person.
    async fn down(&mut self, trail: &mut Trail, floor: L1Number) -> Result<(), L1Error> {
        while trail.from > floor && self.chunks < CHUNKS_MAX {
            self.chunk(trail).await?;
        }
        Ok(())
    }

    /// On below what is needed, for the transaction that set the latest output: it is good to know and no more.
    async fn find_latest(&mut self, trail: &mut Trail) -> Result<(), L1Error> {
        while self.tx.is_none()
            && trail.latest_by.is_none()
            && wanted(trail).is_some()
            && trail.from.0 > 0
            && self.chunks < CHUNKS_MAX
        {
            match self.chunk(trail).await {
                Err(L1Error::Rpc(fault)) if fault.is_unknown_method() => {
                    tracing::warn!(%fault, "the endpoint has no logs: who submitted stays unknown");
                    return Ok(());
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// One range, smaller where the endpoint refuses it.
    async fn chunk(&mut self, trail: &mut Trail) -> Result<(), L1Error> {
        let to = trail.from.0.saturating_sub(1);
        let from = to.saturating_sub(self.l1.log_range().saturating_sub(1));
        let logs = match range(self.pin, self.oracle, from, to).await {
            Ok(logs) => logs,
            Err(L1Error::Rpc(fault)) if is_too_much(&fault) && self.l1.log_range() > RANGE_MIN => {
                self.l1.halve_log_range(RANGE_MIN);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.chunks += 1;
        for log in &logs {
            note(trail, &mut self.tx, log);
        }
        trail.from = L1Number(from);
        Ok(())
    }

    async fn name_sender(&self, trail: &mut Trail) -> Result<(), L1Error> {
        trail.deletions.sort_unstable();
        trail.deletions.dedup();
        if let Some(tx) = self.tx {
            trail.latest_by = sender(self.pin, tx).await?.map(|sender| (tx, sender));
        }
        Ok(())
    }
}

/// The output whose log is looked for: the first one is set at deployment, without a log.
fn wanted(trail: &Trail) -> Option<Anchor> {
    trail.latest.filter(|latest| latest.index > 0)
}

fn note(trail: &mut Trail, tx: &mut Option<Hash32>, log: &Value) {
    let topic = |place: usize| log.get("topics").and_then(|topics| topics.get(place)).and_then(hash);
    let Some(block) = log.get("blockNumber").and_then(number) else { return };
    let first = topic(0).map(|topic| topic.0);
    if first == Some(Oracle::OutputsDeleted::SIGNATURE_HASH.0) {
        trail.deletions.push(L1Number(block));
    } else if first == Some(Oracle::OutputProposed::SIGNATURE_HASH.0)
        && let Some(wanted) = wanted(trail)
        && topic(1) == Some(wanted.root)
        && topic(2) == Some(index_topic(wanted.index))
    {
        // The last one of a range is the newest.
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
        RpcFault::Refused { message, .. } if !fault.is_busy() => {
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
        }
    }

    #[test]
    fn a_deletion_counts_if_it_lies_above_the_last_observation() {
        let trail = trail(100, &[150]);
        let deleted = |since| trail.seen(since).map(|seen| seen.deleted);
        assert_eq!(deleted(Some(L1Number(149))), Ok(true));
        assert_eq!(deleted(Some(L1Number(150))), Ok(false));
        assert_eq!(deleted(None), Ok(false), "nothing was observed before");
    }

    #[test]
    fn of_what_was_not_searched_nothing_is_said() {
        assert_eq!(trail(100, &[]).seen(Some(L1Number(96))), Err(3));
        assert!(trail(100, &[]).seen(Some(L1Number(99))).is_ok_and(|seen| !seen.deleted));
    }
}
