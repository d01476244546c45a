//! Effects: what the engine owes the outside, as plain values.
//!
//! An effect is derived from state alone, so after a crash the same ones are owed again. Each has a key that says what
//! it is about; the runner has at most one call per key under way. Anything that costs money or cannot be taken back
//! appears here only after its intent is on disk.

use prooflog_events::ids::{
    Address, Attempt, ChainId, Hash32, L1Number, L1Ref, L2Block, Micros, Nonce, ProofId, Range, SignerId,
    SlotId, TxVersion, UnitId,
};
use prooflog_events::values::{BlobRef, Call, Fees, Mode, Purpose};

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask the rollup node for its heads.
    ReadNode {
        /// The rollup.
        chain: ChainId,
    },
    /// Ask the L2 node for the size of blocks.
    ReadBlocks {
        /// The rollup.
        chain: ChainId,
        /// Which blocks.
        range: Range,
    },
    /// Ask all rollup nodes for the output root of a block.
    ReadOutput {
        /// The rollup.
        chain: ChainId,
        /// The block.
        block: L2Block,
    },
    /// Read the contract at the L1's head and at confirmation depth.
    ReadContract {
        /// The rollup.
        chain: ChainId,
        /// The oracle.
        oracle: Address,
        /// Depth that counts as confirmed, in blocks.
        confirmations: u64,
        /// Checkpoints to read back.
        checkpoints: Vec<L1Number>,
        /// L1 blocks whose canonical hash is needed.
        canonical: Vec<L1Number>,
        /// The L1 block at which the latest output was seen: outputs deleted after it make a rollback the challenger's.
        since: L1Ref,
    },
    /// Read the sending account, and what became of its transactions.
    ReadSigner {
        /// The account.
        signer: SignerId,
        /// Depth that counts as confirmed, in blocks.
        confirmations: u64,
        /// All signed versions of open slots.
        txs: Vec<(Nonce, TxVersion, Hash32)>,
    },
    /// Have the server compare its commitments with the contract's.
    ValidateServer {
        /// The rollup.
        chain: ChainId,
        /// The oracle.
        oracle: Address,
        /// Whether anything waits for the answer.
        urgency: Urgency,
    },
    /// Request a proof (costs money; its intent is on disk).
    RequestProof(ProofRequest),
    /// Ask for the state of a proof.
    PollProof {
        /// The unit.
        unit: UnitId,
        /// The attempt that the id belongs to.
        attempt: Attempt,
        /// The id.
        proof_id: ProofId,
        /// How often.
        pace: Pace,
        /// Nobody could tell where the L1 stood when the prover took it: a proof needs the L1's head beside it, which
        /// bounds the proof's own from above.
        needs_l1: bool,
    },
    /// Simulate a transaction at the L1's head.
    QuoteTx {
        /// Who would send.
        signer: SignerId,
        /// What for. A checkpoint names the lowest block that would do; the answer names the one chosen.
        purpose: Purpose,
        /// What goes into the call.
        body: TxBody,
    },
    /// Sign a version of a slot.
    SignTx {
        /// The slot.
        slot: SlotId,
        /// Which version.
        version: TxVersion,
        /// What for.
        purpose: Purpose,
        /// What goes into the call.
        body: TxBody,
        /// The call, as quoted; the bytes that are built must match its digest.
        call: Call,
        /// What it may pay.
        fees: Fees,
        /// What it may use.
        gas_limit: u64,
    },
    /// Hand signed bytes to an endpoint.
    BroadcastTx {
        /// The slot.
        slot: SlotId,
        /// Which version.
        version: TxVersion,
        /// The bytes.
        raw: BlobRef,
        /// The transaction's hash.
        hash: Hash32,
    },
}

/// Whether a standing question may wait for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// It is asked again at its pace.
    Routine,
    /// Nothing is bought before it is answered: it is asked at once.
    Now,
}

/// How often an id is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// The attempt is alive.
    Normal,
    /// The attempt ended; a late proof would still be of use.
    Slow,
}

/// A request for a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofRequest {
    /// The unit.
    pub unit: UnitId,
    /// The attempt.
    pub attempt: Attempt,
    /// The blocks.
    pub range: Range,
    /// Real or mock endpoints.
    pub mode: Mode,
    /// Same for every repetition of one try, so that a server that honours it never proves twice.
    pub idempotency_key: Hash32,
    /// When the call counts as timed out.
    pub deadline: Micros,
    /// What an aggregate needs beside.
    pub agg: Option<AggRequest>,
}

/// What an aggregate request carries beside its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggRequest {
    /// Proofs of the members, in block order.
    pub members: Vec<BlobRef>,
    /// Hash of the checkpointed L1 block.
    pub head: Hash32,
    /// Prover address that the proof binds.
    pub prover: Address,
    /// Config name, or zero.
    pub config_name: Hash32,
}

/// What a transaction's call data are made of, beside its purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxBody {
    /// The oracle.
    pub oracle: Address,
    /// Factory that submissions go through, if one is set.
    pub factory: Option<Address>,
    /// For submissions: the output and its proof.
    pub output: Option<OutputBody>,
}

/// An output and its proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputBody {
    /// The last block.
    pub block: L2Block,
    /// Its root, as all rollup nodes agree.
    pub root: Hash32,
    /// The checkpointed L1 block (optimistic mode: any L1 block).
    pub l1_block: L1Number,
    /// Hash of that block, for optimistic mode.
    pub l1_hash: Hash32,
    /// The proof; `None` in optimistic mode.
    pub proof: Option<BlobRef>,
    /// Prover address that the proof binds.
    pub prover: Address,
    /// Config name, or zero.
    pub config_name: Hash32,
}

/// What an effect is about. At most one call per key is under way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each key carries what tells effects of its kind apart")]
pub enum EffectKey {
    ReadNode(ChainId),
    ReadBlocks(ChainId),
    ReadOutput(ChainId, L2Block),
    ReadContract(ChainId),
    ReadSigner(SignerId),
    ValidateServer(ChainId),
    RequestProof(UnitId, Attempt),
    PollProof(UnitId, Attempt),
    QuoteTx(SignerId, Purpose),
    SignTx(SlotId, TxVersion),
    BroadcastTx(SlotId, TxVersion),
}

impl Effect {
    /// What it is about.
    #[must_use]
    pub const fn key(&self) -> EffectKey {
        match self {
            Self::ReadNode { chain } => EffectKey::ReadNode(*chain),
            Self::ReadBlocks { chain, .. } => EffectKey::ReadBlocks(*chain),
            Self::ReadOutput { chain, block } => EffectKey::ReadOutput(*chain, *block),
            Self::ReadContract { chain, .. } => EffectKey::ReadContract(*chain),
            Self::ReadSigner { signer, .. } => EffectKey::ReadSigner(*signer),
            Self::ValidateServer { chain, .. } => EffectKey::ValidateServer(*chain),
            Self::RequestProof(request) => EffectKey::RequestProof(request.unit, request.attempt),
            Self::PollProof { unit, attempt, .. } => EffectKey::PollProof(*unit, *attempt),
            Self::QuoteTx { signer, purpose, .. } => EffectKey::QuoteTx(*signer, *purpose),
            Self::SignTx { slot, version, .. } => EffectKey::SignTx(*slot, *version),
            Self::BroadcastTx { slot, version, .. } => EffectKey::BroadcastTx(*slot, *version),
        }
    }
}
