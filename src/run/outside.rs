//! Effects to calls, calls to answers: the one place where the engine meets its adapters.
//!
//! Every effect finds the side of its rollup or account and is handed to the adapter that answers it. Proofs and signed
//! bytes are stored before the answer that names them; large ones beside the writer, so that no decision waits for them.
//! Nothing is decided here.

use std::sync::Arc;
use std::time::Duration;

use prooflog_config::SignerConfig;
use prooflog_core::{Effect, Patience, ProofRequest};
use prooflog_events::ids::{Hash32, L1Number};
use prooflog_events::input::Input;
use prooflog_events::limits::BLOB_INLINE_BYTES_MAX;
use prooflog_events::port::{Blob, SequenceError};
use prooflog_events::values::{BlobRef, FailureClass};
use prooflog_l1::{BroadcastTx, QuoteTx, ReadContract, ReadSigner, SignTx, Terms};
use prooflog_log::Log;
use prooflog_observe::{About, CallFailure, EffectKind, Metrics, Observation, Peer};
use prooflog_prover::{Blob as Received, Polled, ProofSource, Requested, SourceError, Validation};
use prooflog_service::{Answer, Outside, Reply};
use prooflog_store::RocksStore;

use super::failure::Kind;
use super::sides::{Side, Sides};

/// Between two tries to learn where the L1 stands when a proof was requested.
const L1_HEAD_PAUSE: Duration = Duration::from_secs(2);

/// As long as a request that the prover took waits for that before it is recorded.
const L1_HEAD_LIMIT: Duration = Duration::from_secs(2);

/// The outside of all rollups.
pub(crate) struct Adapters {
    sides: Sides,
    blobs: Blobs,
    metrics: Metrics,
}

/// The bytes that events name.
#[derive(Clone)]
struct Blobs(Arc<Log<RocksStore>>);

/// Why a call brought no answer.
struct Failed {
    kind: CallFailure,
    text: String,
}

impl Failed {
    /// Of an adapter, whose error tells what kind it is.
    #[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
    fn of(error: impl Kind + std::fmt::Display) -> Self {
        Self { kind: error.kind(), text: error.to_string() }
    }

    fn other(error: impl std::fmt::Display) -> Self {
        Self { kind: CallFailure::Other, text: error.to_string() }
    }
}

impl Blobs {
    /// The bytes of a blob; read beside the tasks of other calls.
    async fn read(&self, blob: BlobRef) -> Result<Vec<u8>, Failed> {
        let log = Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || read(&log, blob)).await;
        read.unwrap_or_else(|error| Err(error.to_string())).map_err(Failed::other)
    }

    /// Places of the members of a request whose bytes are not there any more, or are damaged: reading them again would
    /// not help.
    async fn lost_members(&self, request: &ProofRequest) -> Vec<u32> {
        let blobs = request.agg.as_ref().map(|agg| agg.members.clone()).unwrap_or_default();
        let log = Arc::clone(&self.0);
        let look = move || {
            let is_lost = |blob: &BlobRef| match log.reader().blob(blob.sha256) {
                Ok(found) => found.is_none_or(|bytes| bytes.len() as u64 != blob.length),
                Err(error) => matches!(error, SequenceError::Damaged { .. }),
            };
            (0_u32..)
                .zip(&blobs)
                .filter(|(_, blob)| !blob.is_empty() && is_lost(blob))
                .map(|(at, _)| at)
                .collect()
        };
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    /// Stores bytes for an answer: small ones go with the batch, large ones at once.
    async fn keep(&self, bytes: Vec<u8>, answer: &mut Answer) -> Result<(), Failed> {
        if bytes.is_empty() {
            return Ok(());
        }
        if bytes.len() <= BLOB_INLINE_BYTES_MAX {
            let hash = prooflog_events::envelope::blob_hash(&bytes);
            answer.blobs.push(Blob { hash, bytes });
            return Ok(());
        }
        let log = Arc::clone(&self.0);
        let put = tokio::task::spawn_blocking(move || log.put_blob(bytes)).await;
        let hash: Hash32 = put.map_err(Failed::other)?.map_err(Failed::other)?;
        answer.stored.push(hash);
        Ok(())
    }
}

fn read(log: &Log<RocksStore>, blob: BlobRef) -> Result<Vec<u8>, String> {
    if blob.is_empty() {
        return Ok(Vec::new());
    }
    match log.reader().blob(blob.sha256) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(format!("the bytes of {} are not in the log any more", blob.sha256)),
        Err(error) => Err(error.to_string()),
    }
}

impl ProofSource for Blobs {
    fn read(&self, blob: BlobRef) -> Result<Vec<u8>, SourceError> {
        read(&self.0, blob).map_err(|problem| SourceError { sha256: blob.sha256, problem })
    }
}

impl Outside for Adapters {
    async fn perform(&self, effect: Effect) -> Reply {
        let (kind, about) = (kind_of(&effect), about(&effect));
        let flight = self.metrics.effect(kind, about);
        match self.call(effect).await {
            Ok(answer) => {
                flight.done();
                Reply::Answer(Box::new(answer))
            }
            Err(failed) => {
                tracing::warn!(call = ?kind, ?about, error = %failed.text, "no answer");
                flight.failed(failed.kind);
                Reply::Failed(failed.text)
            }
        }
    }
}

impl Adapters {
    pub(crate) const fn new(sides: Sides, log: Arc<Log<RocksStore>>, metrics: Metrics) -> Self {
        Self { sides, blobs: Blobs(log), metrics }
    }

    async fn call(&self, effect: Effect) -> Result<Answer, Failed> {
        match effect {
            Effect::ReadNode { chain } => {
                let side = self.sides.of(chain).await;
                let (heads, newest) = side.node.look().await.map_err(Failed::of)?;
                self.metrics.observed(Observation::UnsafeHead { chain, block: newest }, super::now());
                Ok(plain(heads))
            }
            Effect::ReadBlocks { chain, range } => {
                let side = self.sides.of(chain).await;
                match &side.l2 {
                    Some(l2) => Ok(plain(l2.blocks(range).await.map_err(Failed::of)?)),
                    None => Err(Failed::other("cutting spans by gas needs an L2 node: set l2-rpc")),
                }
            }
            Effect::ReadOutput { chain, block } => {
                let side = self.sides.of(chain).await;
                Ok(plain(side.node.output(block).await.map_err(Failed::of)?))
            }
            Effect::ReadContract { chain, oracle, confirmations, checkpoints, canonical, since } => {
                let side = self.sides.of(chain).await;
                let since = (since.hash != Hash32::ZERO).then_some(since.number);
                let terms = terms(&side);
                let ask = ReadContract { chain, oracle, confirmations, checkpoints, canonical, since, terms };
                let read = side.l1.read_contract(&ask).await.map_err(Failed::of)?;
                let opens = side.l1.fallback_opens(oracle);
                self.metrics.observed(Observation::FallbackOpens { chain, at: opens }, super::now());
                Ok(plain(read))
            }
            Effect::ReadSigner { signer, confirmations, txs } => {
                let side = self.sides.on_l1(signer).await;
                let ask = ReadSigner { signer, confirmations, txs };
                Ok(plain(side.l1.read_signer(&ask).await.map_err(Failed::of)?))
            }
            Effect::ValidateServer { chain, oracle, .. } => {
                let side = self.sides.of(chain).await;
                let validation = side.prover.validate(oracle).await;
                if let Validation::Unreachable { trouble, text } = validation {
                    return Err(Failed { kind: trouble.kind(), text });
                }
                let input = validation.into_input(chain);
                input.map(plain).ok_or_else(|| Failed::other("the server did not compare anything"))
            }
            Effect::RequestProof(request) => self.request(request).await,
            Effect::PollProof { unit, attempt, proof_id, needs_l1, .. } => {
                let side = self.sides.of(unit.chain).await;
                let policy = side.config.policy(side.sender);
                let polled = side.prover.poll(&proof_id, Patience::from(&policy)).await;
                if let Polled::Nothing { trouble, text } = polled {
                    return Err(Failed { kind: trouble.kind(), text });
                }
                let l1_seen = match needs_l1 && polled.lacks_l1_head() {
                    true => Some(side.l1.head().await.map_err(Failed::of)?.block.number),
                    false => None,
                };
                let (input, blob) = polled
                    .into_input(unit, attempt, l1_seen)
                    .ok_or_else(|| Failed::other("the server told nothing of the proof"))?;
                self.received(input, blob).await
            }
            other => self.transact(other).await,
        }
    }

    /// Calls about transactions.
    async fn transact(&self, effect: Effect) -> Result<Answer, Failed> {
        match effect {
            Effect::QuoteTx { signer, purpose, body } => {
                let side = self.sides.on_l1(signer).await;
                let proof = self.proof(&body).await?;
                let ask = QuoteTx { signer, purpose, body };
                Ok(plain(side.l1.quote_tx(&ask, proof.as_deref()).await.map_err(Failed::of)?))
            }
            Effect::SignTx { slot, version, purpose, body, call, fees, gas_limit } => {
                let side = self.sides.of_signer(slot.signer).await;
                let signer = side.signer.as_ref().ok_or_else(|| Failed::other("nobody signs here"))?;
                let proof = self.proof(&body).await?;
                let ask = SignTx { slot, version, purpose, body, call, fees, gas_limit };
                if signs_elsewhere(&side.config.signer) {
                    self.metrics.called(Peer::Signer, 1);
                }
                let signed = side.l1.sign_tx(&ask, proof.as_deref(), signer).await.map_err(Failed::of)?;
                let mut answer = plain(signed.record);
                self.blobs.keep(signed.raw, &mut answer).await?;
                Ok(answer)
            }
            Effect::BroadcastTx { slot, version, raw, hash } => {
                let side = self.sides.on_l1(slot.signer).await;
                let raw = self.blobs.read(raw).await?;
                let ask = BroadcastTx { slot, version, raw, hash };
                Ok(plain(side.l1.broadcast_tx(ask).await.map_err(Failed::of)?))
            }
            _ => Err(Failed::other("this is no call about a transaction: a bug")),
        }
    }

    async fn request(&self, request: ProofRequest) -> Result<Answer, Failed> {
        let side = self.sides.of(request.unit.chain).await;
        let members: Arc<dyn ProofSource> = Arc::new(self.blobs.clone());
        let requested = match side.prover.request(&request, members, super::now()).await {
            Ok(requested) => requested,
            // A member's proof cannot be read: nothing was bought, and waiting for the limit would only hide why.
            Err(error) => {
                let members = self.blobs.lost_members(&request).await;
                let text = error.to_string();
                if members.is_empty() {
                    Requested::Failed { class: FailureClass::WitnessError, text }
                } else {
                    Requested::MembersRefused { members, text }
                }
            }
        };
        // An id is worth money by now, and a crash would lose it: where the L1 does not tell its head at once, the bound
        // is learned with the proof. What is already here, a mock proof, waits for it as long as it takes.
        let told = requested.l1_head();
        let l1_seen = loop {
            if let Some(number) = told {
                break number;
            }
            let why = match tokio::time::timeout(L1_HEAD_LIMIT, side.l1.head()).await {
                Ok(Ok(head)) => break head.block.number,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer in time".to_owned(),
            };
            if requested.is_taken() {
                let unit = request.unit;
                tracing::warn!(%unit, why, "the L1 does not tell where it stands; the request is recorded without");
                break L1Number::UNSEEN;
            }
            tracing::warn!(unit = %request.unit, why, "a proof waits for the L1 to tell where it stands");
            tokio::time::sleep(L1_HEAD_PAUSE).await;
        };
        let (input, blob) = requested.into_input(request.unit, request.attempt, l1_seen);
        self.received(input, blob).await
    }

    /// Stores what came with an answer.
    async fn received(&self, input: Input, blob: Option<Received>) -> Result<Answer, Failed> {
        let mut answer = plain(input);
        if let Some(blob) = blob {
            self.blobs.keep(blob.bytes, &mut answer).await?;
        }
        Ok(answer)
    }

    async fn proof(&self, body: &prooflog_core::TxBody) -> Result<Option<Vec<u8>>, Failed> {
        match body.output.as_ref().and_then(|output| output.proof) {
            Some(blob) => self.blobs.read(blob).await.map(Some),
            None => Ok(None),
        }
    }
}

fn plain(input: impl Into<Input>) -> Answer {
    Answer { input: input.into(), blobs: Vec::new(), stored: Vec::new() }
}

/// Whether a signature is asked of somebody outside this process.
const fn signs_elsewhere(signer: &SignerConfig) -> bool {
    matches!(signer, SignerConfig::Remote(_) | SignerConfig::Aws { .. } | SignerConfig::Gcp { .. })
}

/// For whom a side's contract is read.
pub(super) fn terms(side: &Side) -> Terms {
    let policy = side.config.policy(side.sender);
    Terms { sender: side.sender, config_name: policy.config_name, factory: side.config.factory }
}

const fn kind_of(effect: &Effect) -> EffectKind {
    match effect {
        Effect::ReadNode { .. } => EffectKind::ReadNode,
        Effect::ReadBlocks { .. } => EffectKind::ReadBlocks,
        Effect::ReadOutput { .. } => EffectKind::ReadOutput,
        Effect::ReadContract { .. } => EffectKind::ReadContract,
        Effect::ReadSigner { .. } => EffectKind::ReadSigner,
        Effect::ValidateServer { .. } => EffectKind::ValidateServer,
        Effect::RequestProof(_) => EffectKind::RequestProof,
        Effect::PollProof { .. } => EffectKind::PollProof,
        Effect::QuoteTx { .. } => EffectKind::QuoteTx,
        Effect::SignTx { .. } => EffectKind::SignTx,
        Effect::BroadcastTx { .. } => EffectKind::BroadcastTx,
    }
}

const fn about(effect: &Effect) -> About {
    match effect {
        Effect::ReadNode { chain }
        | Effect::ReadBlocks { chain, .. }
        | Effect::ReadOutput { chain, .. }
        | Effect::ReadContract { chain, .. }
        | Effect::ValidateServer { chain, .. } => About::Chain(*chain),
        Effect::RequestProof(request) => About::Chain(request.unit.chain),
        Effect::PollProof { unit, .. } => About::Chain(unit.chain),
        Effect::ReadSigner { signer, .. } | Effect::QuoteTx { signer, .. } => About::Signer(*signer),
        Effect::SignTx { slot, .. } | Effect::BroadcastTx { slot, .. } => About::Signer(slot.signer),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use prooflog_core::AggRequest;
    use prooflog_events::ids::{Address, Attempt, ChainId, L2Block, LogId, Micros, Range, UnitId};
    use prooflog_events::values::Mode;
    use prooflog_store::OpenOptions;

    use super::*;

    fn request(members: Vec<BlobRef>) -> ProofRequest {
        let (head, config_name, prover) = (Hash32([1; 32]), Hash32::ZERO, Address([2; 20]));
        ProofRequest {
            unit: UnitId::agg(ChainId(10), 1),
            attempt: Attempt(1),
            range: Range { start: L2Block(1), end: L2Block(9) },
            mode: Mode::Real,
            idempotency_key: Hash32([3; 32]),
            deadline: Micros(0),
            agg: Some(AggRequest { members, head, prover, config_name }),
        }
    }

    #[tokio::test]
    async fn members_whose_bytes_are_gone_or_of_another_length_are_named_by_their_places_and_no_others() {
        let place = tempfile::tempdir().unwrap();
        let options = OpenOptions::or_create(LogId([4; 16])).ballast(0);
        let store = prooflog_store::open(&place.path().join("log"), options).unwrap().0;
        let log = Arc::new(Log::open(store).unwrap());
        let stored = |byte: u8| {
            let sha256 = log.put_blob(vec![byte; 100_000]).unwrap();
            BlobRef { sha256, length: 100_000 }
        };
        let (first, pruned, cut) = (stored(1), stored(2), stored(3));
        assert!(log.prune_blob(pruned.sha256).unwrap());
        let cut = BlobRef { length: 99_999, ..cut };
        let never = BlobRef { sha256: Hash32([9; 32]), length: 7 };
        let empty = BlobRef { sha256: Hash32([8; 32]), length: 0 };
        let blobs = Blobs(Arc::clone(&log));
        let lost = blobs.lost_members(&request(vec![first, pruned, empty, cut, never, first])).await;
        assert_eq!(lost, [1, 3, 4], "an empty proof needs no place");
        assert!(blobs.lost_members(&request(vec![first])).await.is_empty());
        let span = ProofRequest { agg: None, ..request(Vec::new()) };
        assert!(blobs.lost_members(&span).await.is_empty());
    }
}
