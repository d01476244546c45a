//! What happened, as the rules understand it: a small model of units, chains and nonce slots.
//!
//! It is written against the meaning of the events and not against the projections, and keeps more than they do: units
//! that are over stay, so that what they held can still be asked for.

use std::collections::{BTreeMap, BTreeSet};

use prooflog_events::event::{Event, InvalidReason};
use prooflog_events::ids::{
    Attempt, ChainId, Hash32, L1Number, L1Ref, L2Block, Micros, ProofId, Range, SlotId, StreamId, TxVersion,
    UnitId,
};
use prooflog_events::policy::Policy;
use prooflog_events::values::{
    AggTerms, Anchor, BlobRef, Commitments, ContractValues, Control, DegradedReason, FailureClass, Purpose,
};

use super::Recorded;

/// Where a unit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// An aggregate without a checkpoint.
    Queued,
    /// Its checkpoint is on its way.
    Checkpointing,
    /// May be requested.
    Waiting,
    /// The server is called.
    Witness,
    /// The prover has it.
    Proving,
    /// An attempt ended.
    Failed,
    /// The proof is here.
    Proven,
    /// Its submission is on its way.
    Submitting,
    /// Its submission is in a block.
    Included,
    /// Deep enough.
    Confirmed,
    /// Waits for an operator.
    Parked,
    /// Became two.
    Split,
    /// Of no use.
    Invalid,
    /// Taken back.
    Cancelled,
    /// Settled.
    Settled,
}

impl Stage {
    /// Whether the unit is over.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Split | Self::Invalid | Self::Cancelled | Self::Settled)
    }

    /// Whether an attempt is under way.
    #[must_use]
    pub const fn is_in_flight(self) -> bool {
        matches!(self, Self::Witness | Self::Proving)
    }
}

/// A proof held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelProof {
    /// Its bytes.
    pub blob: BlobRef,
    /// Its L1 head lies at or below.
    pub bound: L1Number,
}

/// A span or an aggregate.
#[derive(Debug, Clone)]
pub struct ModelUnit {
    /// Which.
    pub id: UnitId,
    /// Its blocks.
    pub range: Range,
    /// Its members.
    pub members: Vec<u64>,
    /// What it is proven under.
    pub commitments: Commitments,
    /// An aggregate's terms.
    pub terms: Option<AggTerms>,
    /// Where it stands.
    pub stage: Stage,
    /// Newest attempt that was started.
    pub attempt: Attempt,
    /// Next attempt that was announced.
    pub next_attempt: Attempt,
    /// When the attempt under way began, and its limit passes.
    pub limit: (Micros, Micros),
    /// When it could first be requested, or requested again.
    pub waits_since: Micros,
    /// Nothing before.
    pub not_before: Micros,
    /// Failures that are certainly its own, since the last proof or the last word of an operator.
    pub certain: u32,
    /// Failures in a row.
    pub streak: u32,
    /// The last failure.
    pub last_failure: Option<FailureClass>,
    /// The proof.
    pub proof: Option<ModelProof>,
    /// The checkpoint: block and hash.
    pub checkpoint: Option<(L1Number, Option<Hash32>)>,
    /// The prover's ids by attempt.
    pub ids: BTreeMap<Attempt, ProofId>,
    /// When it was over.
    pub over_at: Micros,
    /// Why it was of no use.
    pub invalid: Option<InvalidReason>,
    /// Its last submission was refused.
    pub refused: bool,
}

/// A rollup.
#[derive(Debug, Clone, Default)]
pub struct ModelChain {
    /// Limits in force.
    pub policy: Option<Policy>,
    /// Contract values.
    pub values: Option<ContractValues>,
    /// Latest output at the head.
    pub latest: Option<Anchor>,
    /// Latest output at depth.
    pub confirmed: Option<Anchor>,
    /// When the latest output last moved.
    pub moved: Micros,
    /// When a reason for standing still was last on record.
    pub told: Micros,
    /// Output roots that were compared since the process started.
    pub roots: BTreeMap<L2Block, Hash32>,
    /// The finalized head.
    pub finalized: L2Block,
    /// All units that ever were.
    pub units: BTreeMap<UnitId, ModelUnit>,
    /// Units that are not over.
    pub live: BTreeSet<UnitId>,
    /// Units that are over and hold a proof, by their blocks.
    pub kept: BTreeMap<Range, BTreeSet<UnitId>>,
    /// Halted work.
    pub paused: BTreeSet<Control>,
    /// Reasons for degraded mode.
    pub degraded: BTreeSet<DegradedReason>,
    /// The prover is degraded.
    pub prover_degraded: bool,
    /// The server's commitments are right.
    pub config_ok: Option<bool>,
    /// When they were last compared with the contract's and found right.
    pub config_at: Micros,
    /// The finalized head is known to stand.
    pub stalled: bool,
    /// The account was found too poor.
    pub low: bool,
}

/// A signed version.
#[derive(Debug, Clone, Copy)]
pub struct ModelVersion {
    /// Its hash.
    pub hash: Hash32,
    /// What it is for.
    pub purpose: Purpose,
}

/// A nonce slot.
#[derive(Debug, Clone)]
pub struct ModelSlot {
    /// What its newest version is for.
    pub purpose: Purpose,
    /// Its newest version.
    pub version: TxVersion,
    /// Signed versions.
    pub signed: BTreeMap<TxVersion, ModelVersion>,
    /// The included version, and where.
    pub included: Option<(TxVersion, L1Ref)>,
    /// It failed there.
    pub reverted: bool,
    /// Over.
    pub closed: bool,
}

/// Everything.
#[derive(Debug, Default)]
pub struct Model {
    /// Rollups.
    pub chains: BTreeMap<ChainId, ModelChain>,
    /// Nonce slots.
    pub slots: BTreeMap<SlotId, ModelSlot>,
    /// Where each purpose stands in a block.
    pub included: BTreeMap<Purpose, SlotId>,
    /// When the process started.
    pub started: Micros,
}

impl ModelChain {
    /// What spans must be proven under now.
    #[must_use]
    pub fn commitments(&self) -> Option<Commitments> {
        let (values, policy) = (self.values.as_ref()?, self.policy.as_ref()?);
        Some(Commitments {
            mode: policy.mode,
            range_vkey: values.range_vkey,
            rollup_config: values.rollup_config,
        })
    }

    /// The contract's interval.
    #[must_use]
    pub fn interval(&self) -> u64 {
        self.values.as_ref().map_or(1, |values| values.submission_interval.max(1))
    }

    /// The lowest block accepted next.
    #[must_use]
    pub fn next_block(&self) -> Option<L2Block> {
        Some(L2Block(self.latest?.block.0 + self.interval()))
    }

    /// Units that are not over.
    pub fn live(&self) -> impl Iterator<Item = &ModelUnit> {
        self.live.iter().filter_map(|id| self.units.get(id))
    }

    /// Live spans in the order of their blocks.
    #[must_use]
    pub fn live_spans(&self) -> Vec<&ModelUnit> {
        let mut spans: Vec<&ModelUnit> = self.live().filter(|unit| unit.members.is_empty()).collect();
        spans.sort_by_key(|unit| unit.range);
        spans
    }
}

impl Model {
    /// A unit.
    #[must_use]
    pub fn unit(&self, id: UnitId) -> Option<&ModelUnit> {
        self.chains.get(&id.chain)?.units.get(&id)
    }

    /// Takes an event in.
    pub(super) fn take(&mut self, time: Micros, recorded: &Recorded) -> Result<(), String> {
        match recorded.stream {
            StreamId::Node => {
                if matches!(recorded.event, Event::EngineStarted(_)) {
                    self.started = time;
                    self.chains.values_mut().for_each(|chain| chain.roots.clear());
                }
                Ok(())
            }
            StreamId::Chain(chain) => {
                if matches!(recorded.event, Event::ContractRolledBack(_)) {
                    // What the contract gave back may be submitted again.
                    self.included.retain(|purpose, _| match purpose {
                        Purpose::Submission { agg } => agg.chain != chain,
                        Purpose::Optimistic { chain: other, .. } => *other != chain,
                        Purpose::Checkpoint { .. } | Purpose::Release => true,
                    });
                }
                take_chain(self.chains.entry(chain).or_default(), time, &recorded.event);
                Ok(())
            }
            StreamId::Unit(unit) => self.take_unit(unit, time, &recorded.event),
            StreamId::Tx(slot) => self.take_slot(slot, &recorded.event),
            StreamId::Signer(_) => {
                let low = match recorded.event {
                    Event::SignerBalanceLow(_) => true,
                    Event::SignerBalanceRestored(_) => false,
                    _ => return Ok(()),
                };
                self.chains.values_mut().for_each(|chain| chain.low = low);
                Ok(())
            }
        }
    }

    fn take_unit(&mut self, id: UnitId, time: Micros, event: &Event) -> Result<(), String> {
        let chain = self.chains.get_mut(&id.chain).ok_or("a unit of an unknown rollup")?;
        if let Some(unit) = new_unit(id, event) {
            chain.live.insert(id);
            chain.units.insert(id, unit);
            return Ok(());
        }
        if matches!(event, Event::Restored(_)) {
            self.included.remove(&Purpose::Submission { agg: id });
        }
        let unit = chain.units.get_mut(&id).ok_or("an event of an unknown unit")?;
        let was_over = unit.stage.is_over();
        let waited = unit.stage == Stage::Waiting;
        take_event(unit, time, event);
        if unit.stage == Stage::Waiting && !waited {
            unit.waits_since = time;
        }
        let (is_over, range, has_proof) = (unit.stage.is_over(), unit.range, unit.proof.is_some());
        if is_over {
            chain.live.remove(&id);
        } else {
            chain.live.insert(id);
        }
        if is_over && has_proof {
            chain.kept.entry(range).or_default().insert(id);
        } else if was_over && let Some(kept) = chain.kept.get_mut(&range) {
            kept.remove(&id);
        }
        Ok(())
    }

    fn take_slot(&mut self, id: SlotId, event: &Event) -> Result<(), String> {
        if let Event::TxReserved(e) = event {
            let slot = ModelSlot {
                purpose: e.purpose,
                version: TxVersion(1),
                signed: BTreeMap::new(),
                included: None,
                reverted: false,
                closed: false,
            };
            // A nonce that a deep reorg freed is another one now.
            self.included.retain(|_, other| *other != id);
            self.slots.insert(id, slot);
            return Ok(());
        }
        let slot = self.slots.get_mut(&id).ok_or("an event of an unknown slot")?;
        match event {
            Event::TxPrepared(e) => {
                slot.signed.insert(e.version, ModelVersion { hash: e.hash, purpose: e.purpose });
            }
            Event::TxReplaced(e) => (slot.version, slot.purpose) = (e.version, e.purpose),
            Event::TxIncluded(e) => {
                slot.included = Some((e.version, e.block));
                if let Some(version) = slot.signed.get(&e.version) {
                    self.included.insert(version.purpose, id);
                }
            }
            Event::TxReverted(e) => (slot.included, slot.reverted) = (Some((e.version, e.block)), true),
            Event::TxReorged(e) => {
                (slot.included, slot.reverted) = (None, false);
                if let Some(version) = slot.signed.get(&e.version)
                    && self.included.get(&version.purpose) == Some(&id)
                {
                    self.included.remove(&version.purpose);
                }
            }
            Event::TxConfirmed(_) | Event::TxAbandoned(_) => slot.closed = true,
            _ => {}
        }
        Ok(())
    }
}

fn new_unit(id: UnitId, event: &Event) -> Option<ModelUnit> {
    let (range, members, commitments, terms, stage) = match event {
        Event::SpanCreated(e) => (e.range, Vec::new(), e.commitments, None, Stage::Waiting),
        Event::AggQueued(e) => {
            (e.range, e.members.clone(), e.terms.commitments, Some(e.terms), Stage::Queued)
        }
        _ => return None,
    };
    Some(ModelUnit {
        id,
        range,
        members,
        commitments,
        terms,
        stage,
        attempt: Attempt(0),
        next_attempt: Attempt(1),
        limit: (Micros(0), Micros(0)),
        waits_since: Micros(0),
        not_before: Micros(0),
        certain: 0,
        streak: 0,
        last_failure: None,
        proof: None,
        checkpoint: None,
        ids: BTreeMap::new(),
        over_at: Micros(0),
        invalid: None,
        refused: false,
    })
}

fn take_chain(chain: &mut ModelChain, time: Micros, event: &Event) {
    match event {
        Event::PolicyChanged(e) => chain.policy = Some(e.policy.clone()),
        Event::ContractObserved(e) => chain.values = Some(e.values.clone()),
        Event::ContractAdvanced(e) => (chain.latest, chain.moved) = (Some(e.latest), time),
        Event::ContractRolledBack(e) => (chain.latest, chain.moved) = (e.latest, time),
        Event::ContractConfirmed(e) => chain.confirmed = e.latest,
        Event::ContractConfigValidated(_) => (chain.config_ok, chain.config_at) = (Some(true), time),
        Event::ContractConfigRejected(_) => chain.config_ok = Some(false),
        Event::FinalizedMoved(e) => (chain.finalized, chain.stalled) = (e.block, false),
        Event::FinalizedStalled(_) => chain.stalled = true,
        Event::OutputChecked(e) => drop(chain.roots.insert(e.block, e.root)),
        Event::OutputMismatched(e) => drop(chain.roots.remove(&e.block)),
        Event::ContractChanged(_) => chain.roots.clear(),
        Event::DegradedModeEntered(e) => drop(chain.degraded.insert(e.reason)),
        Event::DegradedModeLeft(e) => drop(chain.degraded.remove(&e.reason)),
        Event::ProverDegraded(_) => chain.prover_degraded = true,
        Event::ProverRecovered(_) => chain.prover_degraded = false,
        Event::Paused(e) => drop(chain.paused.insert(e.control)),
        Event::Resumed(e) => drop(chain.paused.remove(&e.control)),
        _ => {}
    }
}

fn take_event(unit: &mut ModelUnit, time: Micros, event: &Event) {
    match event {
        Event::WitnessGenStarted(e) => {
            (unit.attempt, unit.stage, unit.limit) = (e.attempt, Stage::Witness, (time, e.deadline));
        }
        Event::ProofRequested(e) => {
            unit.limit.1 = e.deadline;
            unit.ids.insert(e.attempt, e.proof_id.clone());
            unit.stage = Stage::Proving;
        }
        Event::LateAnswerRecorded(e) => {
            if let prooflog_events::event::LateAnswer::Requested { proof_id, .. } = &e.answer {
                unit.ids.insert(e.attempt, proof_id.clone());
            }
        }
        Event::WitnessGenFailed(e) => failed(unit, e.class),
        Event::Unfulfillable(e) => failed(unit, e.class),
        Event::ProofLost(e) => failed(unit, e.class),
        Event::TimedOut(_) => failed(unit, FailureClass::ProvingTimeout),
        Event::ProofFulfilled(e) => {
            let bound = e.l1_head.map_or(e.l1_bound, |head| head.number);
            unit.proof = Some(ModelProof { blob: e.proof, bound });
            (unit.certain, unit.streak, unit.stage) = (0, 0, Stage::Proven);
            unit.not_before = Micros(0);
        }
        Event::Retried(e) => {
            unit.next_attempt = e.attempt;
            unit.not_before = e.not_before;
            if unit.stage == Stage::Failed {
                unit.stage = start(unit);
            }
        }
        Event::Parked(_) => unit.stage = Stage::Parked,
        Event::Unparked(e) => {
            unit.next_attempt = e.attempt;
            (unit.certain, unit.streak, unit.not_before) = (0, 0, Micros(0));
            unit.stage = if unit.proof.is_some() { Stage::Proven } else { start(unit) };
        }
        Event::ProofPruned(_) => unit.proof = None,
        _ => ended(unit, time, event),
    }
}

fn ended(unit: &mut ModelUnit, time: Micros, event: &Event) {
    let over = match event {
        Event::Split(_) => Stage::Split,
        Event::Invalidated(e) => {
            unit.invalid = Some(e.reason);
            Stage::Invalid
        }
        Event::Cancelled(_) => Stage::Cancelled,
        Event::SpanSettled(_) | Event::AggSettled(_) => Stage::Settled,
        Event::Restored(_) => {
            let stage = if unit.proof.is_some() { Stage::Proven } else { Stage::Proving };
            (unit.stage, unit.invalid) = (stage, None);
            unit.limit.1 = unit.limit.1.max(time);
            return;
        }
        _ => return submitted(unit, event),
    };
    (unit.stage, unit.over_at) = (over, time);
}

fn submitted(unit: &mut ModelUnit, event: &Event) {
    match event {
        Event::CheckpointStarted(e) => {
            (unit.checkpoint, unit.stage, unit.refused) =
                (Some((e.block, None)), Stage::Checkpointing, false);
        }
        Event::Checkpointed(e) => {
            (unit.checkpoint, unit.stage) = (Some((e.block.number, Some(e.block.hash))), Stage::Waiting);
            // A success between two failures: they are not in a row.
            unit.streak = 0;
        }
        Event::CheckpointLost(_) => {
            (unit.checkpoint, unit.proof) = (None, None);
            // The fold gives the next attempt its number without an event of its own.
            if unit.stage != Stage::Parked {
                unit.stage = Stage::Queued;
            }
            unit.next_attempt = Attempt(0);
        }
        Event::SubmissionRefused(_) | Event::FeeCeilingReached(_) => unit.refused = true,
        Event::SubmissionStarted(_) => (unit.stage, unit.refused) = (Stage::Submitting, false),
        Event::Submitted(_) => unit.stage = Stage::Included,
        Event::SubmissionConfirmed(_) => unit.stage = Stage::Confirmed,
        Event::SubmissionAbandoned(_) | Event::SubmissionReverted(_) => unit.stage = Stage::Proven,
        Event::SubmissionReorged(_) => unit.stage = Stage::Submitting,
        _ => {}
    }
}

fn start(unit: &ModelUnit) -> Stage {
    let has_hash = unit.checkpoint.is_some_and(|(_, hash)| hash.is_some());
    if unit.members.is_empty() || has_hash { Stage::Waiting } else { Stage::Queued }
}

fn failed(unit: &mut ModelUnit, class: FailureClass) {
    unit.stage = Stage::Failed;
    // Data that are not there yet are waited for.
    unit.streak += u32::from(class != FailureClass::DataNotReady);
    unit.last_failure = Some(class);
    if matches!(class, FailureClass::Unexecutable | FailureClass::Unfulfillable) {
        unit.certain += 1;
    }
}
