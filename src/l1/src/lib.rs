//! The L1 as effects and inputs: contracts read at pinned blocks, transactions, their fate.
//!
//! [`L1`] is one L1 chain behind any number of endpoints, shared by all rollups that settle on it. Each of its methods
//! answers one effect of the core with the input that it expects, or with an error that leaves the effect owed. It
//! decides nothing: what is refused by the chain is an answer, and what could not be asked is an error. All values of one
//! answer belong to one pinned head and the chain below it. What is kept in memory can be lost at any time: a crash in
//! here repeats reads and broadcasts and nothing else.

mod abi;
mod account;
mod approval;
mod broadcast;
mod calldata;
mod contract;
mod decode;
mod error;
mod head;
mod interface;
mod json;
mod pin;
mod pool;
mod probe;
mod quote;
mod reading;
mod rpc;
mod sign;
mod trail;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prooflog_events::ids::{Address, Hash32, L1ChainId, Micros, Wei};
use prooflog_events::input::{ContractRead, SignerRead, TxQuoted, TxSent};
use prooflog_events::values::{L1Head, Refusal};
use prooflog_net::{Endpoint, HttpError, Limits, Meter};

pub use account::ReadSigner;
pub use approval::Approval;
pub use broadcast::BroadcastTx;
pub use contract::{ReadContract, Terms};
pub use error::{L1Error, RpcFault};
pub use interface::Interface;
pub use pool::EndpointReport;
pub use probe::{Identity, OracleReport, VerifierKind};
pub use quote::QuoteTx;
pub use sign::{SignTx, Signed, TxSigner};

use contract::Hint;
use head::Heads;
use pin::Pin;
use pool::Member;
use rpc::Rpc;
use trail::Trail;

/// Times a read is begun again with a fresh head.
const TRIES: usize = 3;
/// Reasons of reverted transactions that are remembered.
const REFUSALS_MAX: usize = 256;

/// What bounds and paces the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Limits of one call.
    pub limits: Limits,
    /// How long a head is shared before it is read again. At most one L1 block, or news come late.
    pub head_max_age: Duration,
    /// How long an endpoint is left alone after a fault, and a lower head is taken for a stale one.
    pub distrust: Duration,
    /// Most L1 blocks in one question for logs; halved by itself where an endpoint refuses.
    pub log_range: u64,
    /// Most calls in one request.
    pub batch_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            head_max_age: Duration::from_secs(4),
            distrust: Duration::from_secs(60),
            log_range: 2_000,
            batch_max: 100,
        }
    }
}

/// Calls made to an L1, over all endpoints; every call of a batch counts, as providers count them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// Calls made.
    pub made: u64,
    /// Of those, calls that brought no answer.
    pub failed: u64,
}

/// One L1 chain. Cheap to clone; clones share the head, the endpoints and what was learnt of contracts.
#[derive(Debug, Clone)]
pub struct L1 {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    chain: L1ChainId,
    pub(crate) heads: Heads,
    log_range: AtomicU64,
    known: Mutex<Known>,
}

/// What was learnt and may be forgotten.
#[derive(Debug, Default)]
struct Known {
    /// By implementation.
    interfaces: BTreeMap<Address, Arc<Interface>>,
    /// By oracle.
    hints: BTreeMap<Address, Hint>,
    /// By oracle.
    trails: BTreeMap<Address, Trail>,
    /// By oracle: timeout and last proposal, in seconds.
    fallbacks: BTreeMap<Address, (u64, u64)>,
    /// By transaction and block.
    refusals: BTreeMap<(Hash32, Hash32), Refusal>,
}

impl L1 {
    /// A chain behind endpoints, the preferred one first. Nothing is asked yet.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn new(chain: L1ChainId, endpoints: Vec<Endpoint>, settings: Settings) -> Result<Self, HttpError> {
        Self::metered(chain, endpoints, settings, &Meter::default())
    }

    /// As [`L1::new`], its calls counted.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn metered(
        chain: L1ChainId,
        endpoints: Vec<Endpoint>,
        settings: Settings,
        meter: &Meter,
    ) -> Result<Self, HttpError> {
        let members = endpoints
            .into_iter()
            .map(|endpoint| {
                let rpc = Rpc::new(endpoint, settings.limits, settings.batch_max)?;
                Ok(Arc::new(Member::new(rpc.metered(meter.clone()))))
            })
            .collect::<Result<Vec<_>, HttpError>>()?;
        let heads = Heads::new(chain, members, settings.head_max_age, settings.distrust);
        let log_range = AtomicU64::new(settings.log_range.max(1));
        Ok(Self { inner: Arc::new(Inner { chain, heads, log_range, known: Mutex::default() }) })
    }

    /// The chain's id, which every endpoint is checked for.
    #[must_use]
    pub fn chain(&self) -> L1ChainId {
        self.inner.chain
    }

    /// Calls made so far.
    #[must_use]
    pub fn calls(&self) -> Calls {
        self.inner.heads.members.iter().map(|member| member.rpc.counts()).fold(
            Calls::default(),
            |sum, (made, failed)| Calls {
                made: sum.made.saturating_add(made),
                failed: sum.failed.saturating_add(failed),
            },
        )
    }

    /// The endpoints, as they are trusted now.
    #[must_use]
    pub fn endpoints(&self) -> Vec<EndpointReport> {
        self.inner.heads.members.iter().map(|member| member.report()).collect()
    }

    /// Answers `ReadContract`: the oracle at the head and at confirmation depth.
    ///
    /// # Errors
    /// When it cannot be read as a whole, or has none of the interfaces that we know.
    pub async fn read_contract(&self, ask: &ReadContract) -> Result<ContractRead, L1Error> {
        self.pinned(|pin| async move { contract::read(&self.inner, &pin, ask).await }).await
    }

    /// From when on anybody may submit to an oracle, as of the last [`L1::read_contract`] of it; `None` where there is no
    /// such rule.
    #[must_use]
    pub fn fallback_opens(&self, oracle: Address) -> Option<Micros> {
        let (timeout, last) = self.inner.fallback(oracle)?;
        last.checked_add(timeout)?.checked_mul(1_000_000).map(Micros)
    }

    /// Answers `ReadSigner`: the account, and the fate of its transactions.
    ///
    /// # Errors
    /// When it cannot be read as a whole, or the account belongs to another L1.
    pub async fn read_signer(&self, ask: &ReadSigner) -> Result<SignerRead, L1Error> {
        self.check_l1(ask.signer.l1)?;
        self.pinned(|pin| async move { account::read(&self.inner, &pin, ask).await }).await
    }

    /// Answers `QuoteTx`: what the transaction would do at the head. `proof` is that of a submission.
    ///
    /// # Errors
    /// When it could not be asked, the account belongs to another L1, or the proof is not the recorded one.
    pub async fn quote_tx(&self, ask: &QuoteTx, proof: Option<&[u8]>) -> Result<TxQuoted, L1Error> {
        self.check_l1(ask.signer.l1)?;
        self.pinned(|pin| async move { quote::quote(&self.inner, &pin, ask, proof).await }).await
    }

    /// Answers `SignTx`: the signed bytes and their record. The bytes must be stored before they are sent.
    ///
    /// # Errors
    /// When what is built differs from what was quoted, or the signer signs nothing or something else.
    pub async fn sign_tx<S: TxSigner>(
        &self,
        ask: &SignTx,
        proof: Option<&[u8]>,
        signer: &S,
    ) -> Result<Signed, L1Error> {
        self.check_l1(ask.slot.signer.l1)?;
        let sender = ask.slot.signer.address;
        let (built, value) = self
            .pinned(|pin| async move {
                quote::prepare(&self.inner, &pin, (&ask.purpose, &ask.body), proof, sender).await
            })
            .await?;
        sign::sign(ask, built, value, signer).await
    }

    /// Answers `BroadcastTx`: hands the bytes to every endpoint; the first that takes them decides.
    ///
    /// # Errors
    /// When no endpoint said anything about the transaction, or the bytes do not have the recorded hash.
    pub async fn broadcast_tx(&self, ask: BroadcastTx) -> Result<TxSent, L1Error> {
        self.check_l1(ask.slot.signer.l1)?;
        // Only whether endpoints belong to this L1 matters here: bytes can be sent through one whose head is stale.
        if let Err(error @ (L1Error::WrongChain { .. } | L1Error::NoEndpoint)) = self.inner.heads.pin().await
        {
            return Err(error);
        }
        broadcast::broadcast(&self.inner, ask).await
    }

    /// Where the L1 stands, no older than the settings say.
    ///
    /// # Errors
    /// When no endpoint tells.
    pub async fn head(&self) -> Result<L1Head, L1Error> {
        Ok(self.inner.heads.pin().await?.head())
    }

    /// Who the L1 is: its genesis and its head; the chain id has been checked.
    ///
    /// # Errors
    /// When no endpoint tells, or all belong to another chain.
    pub async fn identity(&self) -> Result<Identity, L1Error> {
        self.pinned(|pin| async move { probe::identity(&pin).await }).await
    }

    /// Bytes of code at an address; 0 for none.
    ///
    /// # Errors
    /// When it could not be asked.
    pub async fn code_size(&self, address: Address) -> Result<usize, L1Error> {
        self.pinned(|pin| async move { probe::code_size(&pin, address).await }).await
    }

    /// Balance of an account.
    ///
    /// # Errors
    /// When it could not be asked.
    pub async fn balance(&self, address: Address) -> Result<Wei, L1Error> {
        self.pinned(|pin| async move { probe::balance(&pin, address).await }).await
    }

    /// Whether a verifier checks proofs.
    ///
    /// # Errors
    /// When it could not be asked.
    pub async fn verifier_kind(&self, verifier: Address) -> Result<VerifierKind, L1Error> {
        self.pinned(|pin| async move { probe::verifier_kind(&pin, verifier).await }).await
    }

    /// Which interface an oracle has.
    ///
    /// # Errors
    /// When it could not be asked, or is none of the three; the error names what was found.
    pub async fn interface(&self, oracle: Address) -> Result<Interface, L1Error> {
        let found =
            self.pinned(|pin| async move { contract::interface_at(&self.inner, &pin, oracle).await }).await?;
        Ok((*found).clone())
    }

    /// Everything about an oracle that a person wants to know.
    ///
    /// # Errors
    /// As [`L1::read_contract`].
    pub async fn inspect(&self, oracle: Address, terms: &Terms) -> Result<OracleReport, L1Error> {
        self.pinned(|pin| async move { probe::oracle(&self.inner, &pin, oracle, terms).await }).await
    }

    /// The bond that a factory demands for a game.
    ///
    /// # Errors
    /// When it could not be asked, or there is no factory.
    pub async fn bond(&self, factory: Address) -> Result<Wei, L1Error> {
        self.pinned(|pin| async move { probe::factory_bond(&pin, factory).await }).await
    }

    fn check_l1(&self, asked: L1ChainId) -> Result<(), L1Error> {
        if asked == self.inner.chain {
            return Ok(());
        }
        Err(L1Error::Mismatch(format!("an account of L1 {asked} was asked of L1 {}", self.inner.chain)))
    }

    /// Does a read at the head, and again at a fresh one or another endpoint where that may help.
    async fn pinned<T, F, R>(&self, work: F) -> Result<T, L1Error>
    where
        F: Fn(Arc<Pin>) -> R,
        R: Future<Output = Result<T, L1Error>>,
    {
        let heads = &self.inner.heads;
        let mut tried = 0;
        loop {
            tried += 1;
            let pin = heads.pin().await?;
            let error = match work(pin.clone()).await {
                Err(error) if error.is_transient() => error,
                other => return other,
            };
            heads.discard(&pin).await;
            let tries = match &error {
                // The head may be older than it looks, as after a machine stood still: once more at a fresh one, before
                // the endpoint is blamed.
                L1Error::Rpc(fault) if fault.is_without_state() && tried == 1 => TRIES,
                L1Error::Rpc(fault) if fault.is_without_state() => {
                    pin.member.distrust(heads.pause(), &error.to_string());
                    heads.members.len().min(TRIES).saturating_add(1)
                }
                L1Error::Rpc(_) => {
                    pin.member.distrust(heads.pause(), &error.to_string());
                    heads.members.len().min(TRIES)
                }
                _ => TRIES,
            };
            tracing::debug!(%error, tried, "a read of the L1 is begun again");
            if tried >= tries {
                return Err(error);
            }
        }
    }
}

impl Inner {
    fn known<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn interface(&self, implementation: Address) -> Option<Arc<Interface>> {
        self.known(|known| known.interfaces.get(&implementation).cloned())
    }

    pub(crate) fn set_interface(&self, interface: Arc<Interface>) {
        self.known(|known| known.interfaces.insert(interface.implementation, interface));
    }

    pub(crate) fn hint(&self, oracle: Address) -> Option<Hint> {
        self.known(|known| known.hints.get(&oracle).cloned())
    }

    pub(crate) fn set_hint(&self, oracle: Address, hint: Hint) {
        self.known(|known| known.hints.insert(oracle, hint));
    }

    fn fallback(&self, oracle: Address) -> Option<(u64, u64)> {
        self.known(|known| known.fallbacks.get(&oracle).copied())
    }

    pub(crate) fn set_fallback(&self, oracle: Address, fallback: Option<(u64, u64)>) {
        self.known(|known| match fallback {
            Some(fallback) => known.fallbacks.insert(oracle, fallback),
            None => known.fallbacks.remove(&oracle),
        });
    }

    pub(crate) fn trail(&self, oracle: Address) -> Option<Trail> {
        self.known(|known| known.trails.get(&oracle).cloned())
    }

    pub(crate) fn set_trail(&self, oracle: Address, trail: Trail) {
        self.known(|known| known.trails.insert(oracle, trail));
    }

    pub(crate) fn refusal(&self, tx: Hash32, block: Hash32) -> Option<Refusal> {
        self.known(|known| known.refusals.get(&(tx, block)).cloned())
    }

    pub(crate) fn set_refusal(&self, tx: Hash32, block: Hash32, refusal: Refusal) {
        self.known(|known| {
            if known.refusals.len() >= REFUSALS_MAX {
                known.refusals.clear();
            }
            known.refusals.insert((tx, block), refusal);
        });
    }

    pub(crate) fn log_range(&self) -> u64 {
        self.log_range.load(Ordering::Relaxed)
    }

    pub(crate) fn halve_log_range(&self, least: u64) {
        let halved = (self.log_range() / 2).max(least);
        self.log_range.store(halved, Ordering::Relaxed);
        tracing::warn!(blocks = halved, "the endpoint refuses a range of logs: asking for smaller ones");
    }
}
