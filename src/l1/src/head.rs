//! The L1's head, read once per interval and shared by everything that is read at it.
//!
//! A head is believed if its endpoint belongs to the right chain, agrees with the others, and does not lie below what
//! was seen a moment ago: behind a load balancer, one stale backend would otherwise look like a rollback. A crash in
//! here loses the cached head, which is read again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use prooflog_events::ids::{Hash32, L1ChainId, L1Number, L1Ref};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::error::{L1Error, RpcFault};
use crate::json::{hash, hex_number, number, quantity};
use crate::pin::Pin;
use crate::pool::Member;
use crate::rpc::{Answer, Request};

/// Blocks that an endpoint may lag behind the others before it is left alone.
const LAG_MAX: u64 = 3;
/// Times the endpoints are asked before a head below the mark is an error.
const TRIES: u32 = 3;
/// Longest time that a failure to read the head stands for all who ask.
const FAILURE_MAX: Duration = Duration::from_secs(1);

/// What is used of a block's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) block: L1Ref,
    pub(crate) parent: Hash32,
    /// Seconds.
    pub(crate) time: u64,
    pub(crate) base_fee: u128,
}

impl Header {
    pub(crate) fn parse(value: &Value) -> Option<Self> {
        let block = L1Ref {
            number: L1Number(value.get("number").and_then(number)?),
            hash: value.get("hash").and_then(hash)?,
        };
        Some(Self {
            block,
            parent: value.get("parentHash").and_then(hash)?,
            time: value.get("timestamp").and_then(number)?,
            base_fee: value.get("baseFeePerGas").and_then(quantity).unwrap_or(0),
        })
    }
}

/// The endpoints of an L1 and the head that they agree on.
#[derive(Debug)]
pub(crate) struct Heads {
    chain: L1ChainId,
    pub(crate) members: Vec<Arc<Member>>,
    max_age: Duration,
    pause: Duration,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    /// The pin in force.
    current: Option<Arc<Pin>>,
    /// The last pin, in force or not: what is known of its chain may hold for the next.
    last: Option<Arc<Pin>>,
    failure: Option<(Instant, L1Error)>,
    /// The highest head seen, and when one that high was last seen.
    mark: Option<(L1Number, Instant)>,
}

/// A head as one endpoint reported it.
struct Report {
    member: Arc<Member>,
    header: Header,
    tip: u128,
}

impl Report {
    /// The hash of a block on the endpoint's chain, `None` where it does not tell.
    async fn hash_at(&self, wanted: L1Number) -> Option<Hash32> {
        let Header { block, parent, .. } = self.header;
        if block.number == wanted {
            return Some(block.hash);
        }
        if block.number.0 == wanted.0.saturating_add(1) {
            return Some(parent);
        }
        let request = Request::new("eth_getBlockByNumber", json!([hex_number(wanted.0), false]));
        let found = Header::parse(&self.member.rpc.call(request).await.ok()?)?;
        (found.block.number == wanted).then_some(found.block.hash)
    }
}

impl Heads {
    pub(crate) fn new(
        chain: L1ChainId,
        members: Vec<Arc<Member>>,
        max_age: Duration,
        pause: Duration,
    ) -> Self {
        Self { chain, members, max_age, pause, cache: Mutex::default() }
    }

    /// How long an endpoint is left alone.
    pub(crate) const fn pause(&self) -> Duration {
        self.pause
    }

    /// The head in force, or a new one. Whoever asks while it is read waits for the same answer.
    pub(crate) async fn pin(&self) -> Result<Arc<Pin>, L1Error> {
        let mut cache = self.cache.lock().await;
        if let Some(pin) = cache.current.as_ref().filter(|pin| pin.age() < self.max_age) {
            return Ok(pin.clone());
        }
        let failure_age = self.max_age.min(FAILURE_MAX);
        if let Some((_, error)) = cache.failure.as_ref().filter(|(since, _)| since.elapsed() < failure_age) {
            return Err(error.clone());
        }
        match self.read(&mut cache).await {
            Ok(pin) => {
                cache.failure = None;
                cache.current = Some(pin.clone());
                cache.last = Some(pin.clone());
                Ok(pin)
            }
            Err(error) => {
                cache.current = None;
                cache.failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Forgets a head at which something could not be read, so that the next one is fresh.
    pub(crate) async fn discard(&self, pin: &Arc<Pin>) {
        let mut cache = self.cache.lock().await;
        if cache.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, pin)) {
            cache.current = None;
        }
    }

    async fn read(&self, cache: &mut Cache) -> Result<Arc<Pin>, L1Error> {
        let mut tried = 0;
        loop {
            tried += 1;
            let reports = self.ask_all().await?;
            let highest = reports.iter().map(|report| report.header.block.number).max().unwrap_or_default();
            if cache.mark.is_some_and(|(_, since)| since.elapsed() > self.pause) {
                // Nobody came up to the mark for a while: the chain really went back.
                cache.mark = None;
            }
            let floor = cache.mark.map_or(L1Number(0), |(number, _)| number);
            if let Some(report) = reports.into_iter().find(|report| report.header.block.number >= floor) {
                cache.mark = Some((report.header.block.number, Instant::now()));
                report.member.trust();
                let Report { member, header, tip } = report;
                return Ok(Arc::new(Pin::new(member, header, tip, cache.last.as_deref())));
            }
            tracing::warn!(seen = floor.0, found = highest.0, "the L1's head went backwards");
            if tried >= TRIES {
                return Err(L1Error::Backwards { seen: floor, found: highest });
            }
        }
    }

    /// The heads of all endpoints that can be believed, in the order of the configuration; at least one.
    async fn ask_all(&self) -> Result<Vec<Report>, L1Error> {
        let trusted: Vec<&Arc<Member>> = self.members.iter().filter(|member| member.is_trusted()).collect();
        let asked = if trusted.is_empty() { self.members.iter().collect() } else { trusted };
        let answers = join_all(asked.iter().map(|member| self.ask(member))).await;
        let mut reports = Vec::new();
        let mut problem = L1Error::NoEndpoint;
        for (member, answer) in asked.iter().zip(answers) {
            match answer {
                Ok(report) => reports.push(report),
                Err(error) => {
                    member.distrust(self.pause, &error.to_string());
                    problem = error;
                }
            }
        }
        let reports = self.without_outvoted(self.without_laggards(reports)).await;
        if reports.is_empty() {
            // Those that are left alone may be better than nothing.
            let rest: Vec<_> = self
                .members
                .iter()
                .filter(|member| !asked.iter().any(|one| Arc::ptr_eq(one, member)))
                .collect();
            for member in rest {
                if let Ok(report) = self.ask(member).await {
                    return Ok(vec![report]);
                }
            }
            return Err(problem);
        }
        Ok(reports)
    }

    /// Leaves out, and alone, who lags behind the others or fell behind itself.
    fn without_laggards(&self, reports: Vec<Report>) -> Vec<Report> {
        let best = reports.iter().map(|report| report.header.block.number.0).max().unwrap_or(0);
        let mut kept = Vec::with_capacity(reports.len());
        for report in reports {
            let head = report.header.block;
            let before = report.member.note_head(head.number);
            let doubt = if head.number.0.saturating_add(LAG_MAX) < best {
                Some("its head lags behind the others")
            } else if before.is_some_and(|before| head.number < before) && head.number.0 < best {
                Some("its head went backwards")
            } else {
                None
            };
            match doubt {
                Some(reason) => report.member.distrust(self.pause, reason),
                None => kept.push(report),
            }
        }
        kept
    }

    /// Leaves out, and alone, who is on another fork than more of the others. They need not stand at the same block: what
    /// must agree is the highest one that all of them have.
    async fn without_outvoted(&self, reports: Vec<Report>) -> Vec<Report> {
        let Some(common) = reports.iter().map(|report| report.header.block.number).min() else {
            return reports;
        };
        let hashes = join_all(reports.iter().map(|report| report.hash_at(common))).await;
        let mut kept = Vec::with_capacity(reports.len());
        for (place, report) in reports.into_iter().enumerate() {
            if is_outvoted(&hashes, place) {
                report.member.distrust(self.pause, "it disagrees with the others on the hash of a block");
            } else {
                kept.push(report);
            }
        }
        kept
    }

    async fn ask(&self, member: &Arc<Member>) -> Result<Report, L1Error> {
        let mut requests = vec![
            Request::new("eth_getBlockByNumber", json!(["latest", false])),
            Request::new("eth_maxPriorityFeePerGas", json!([])),
        ];
        if !member.is_our_chain() {
            requests.push(Request::new("eth_chainId", json!([])));
        }
        let mut answers = member.rpc.batch(&requests).await?.into_iter();
        let block = answers.next().unwrap_or_else(|| missing(member))?;
        let header = Header::parse(&block).ok_or_else(|| {
            member.rpc.malformed("eth_getBlockByNumber", &"not a block with number and hash")
        })?;
        // A node that suggests no tip is no fault: the policy has a least one.
        let tip = answers.next().and_then(Result::ok).as_ref().and_then(quantity).unwrap_or(0);
        if let Some(answer) = answers.next() {
            self.check_chain(member, &answer?)?;
        }
        Ok(Report { member: member.clone(), header, tip })
    }

    fn check_chain(&self, member: &Member, answer: &Value) -> Result<(), L1Error> {
        let found = number(answer).ok_or_else(|| member.rpc.malformed("eth_chainId", &"not a number"))?;
        if found != self.chain.0 {
            let endpoint = member.rpc.label().to_owned();
            return Err(L1Error::WrongChain { endpoint, expected: self.chain, found });
        }
        member.set_our_chain();
        Ok(())
    }
}

fn missing(member: &Member) -> Answer {
    Err::<Value, RpcFault>(member.rpc.malformed("batch", &"an answer is missing"))
}

/// Whether another hash of the same block has more votes than that of an endpoint, or as many and an earlier one. Who does
/// not tell has no vote.
fn is_outvoted(hashes: &[Option<Hash32>], place: usize) -> bool {
    let Some(ours) = hashes.get(place).copied().flatten() else { return false };
    let votes = |hash: Hash32| hashes.iter().filter(|other| **other == Some(hash)).count();
    let first = |hash: Hash32| hashes.iter().position(|other| *other == Some(hash));
    hashes.iter().flatten().filter(|other| **other != ours).any(|other| {
        (votes(*other), std::cmp::Reverse(first(*other))) > (votes(ours), std::cmp::Reverse(first(ours)))
    })
}
