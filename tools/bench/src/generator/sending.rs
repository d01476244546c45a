//! The life of an aggregate around its proof.
//!
//! Checkpoint and submission, and the nonce slots that carry them, with replacements, reverts and reorgs at fixed
//! chances.

use prooflog_events::event::{
    AggSettled, CheckpointStarted, Checkpointed, ContractAdvanced, ContractConfirmed, ReplaceReason,
    SpanSettled, SubmissionConfirmed, SubmissionReorged, SubmissionReverted, SubmissionStarted, Submitted,
    TxBroadcast, TxConfirmed, TxDropped, TxIncluded, TxPrepared, TxReorged, TxReplaced, TxReserved,
    TxReverted,
};
use prooflog_events::ids::{ChainId, Hash32, L1Number, L1Ref, L2Block, Nonce, SlotId, UnitId, Wei};
use prooflog_events::input::{
    ContractRead, Input, OutputRead, QuoteOutcome, SignerRead, TimerDue, TxQuoted, TxSeen, TxSent, TxSigned,
    TxState,
};
use prooflog_events::values::{
    Anchor, BroadcastOutcome, Call, Fees, L1Head, NonceState, Purpose, Refusal, RefusalClass,
};
use prooflog_projections::state::Illegal;
use prooflog_projections::state::phase::{Phase, SlotPhase};
use prooflog_projections::state::slot::Slot;
use prooflog_projections::state::unit::{AggBody, Unit};

use super::{Generator, SPAN_BLOCKS, Work};

const GWEI: u128 = 1_000_000_000;
const GAS: u64 = 480_000;

impl Generator {
    /// The next step of an aggregate.
    pub(super) fn advance_agg(&mut self, id: UnitId) -> Result<Input, Illegal> {
        let nothing = Input::TimerDue(TimerDue::of_all());
        let Some(unit) = self.state.unit(id).cloned() else { return Ok(nothing) };
        let Some(agg) = unit.agg_body() else { return Ok(nothing) };
        match unit.phase {
            Phase::Queued => self.checkpoint(&unit, agg),
            Phase::Checkpointing => self.carry_checkpoint(&unit, agg),
            Phase::Ready if agg.end_root.is_none() => self.check_end(&unit),
            Phase::Complete if agg.end_root.is_some_and(|(_, at)| at < unit.since) => self.check_end(&unit),
            Phase::Ready => self.start(id).map(|()| nothing),
            Phase::WitnessGen => self.answer(&unit),
            Phase::Requested => self.assign(&unit),
            Phase::Assigned => self.finish(&unit),
            Phase::Complete => self.submit(&unit, agg),
            Phase::Submitting => self.carry_submission(&unit, agg),
            Phase::Included => self.settle(&unit, agg),
            _ => Ok(nothing),
        }
    }

    fn check_end(&mut self, unit: &Unit) -> Result<Input, Illegal> {
        let known = unit.agg_body().and_then(|agg| agg.end_root).map(|(root, _)| root);
        let root = known.unwrap_or_else(|| self.hash());
        let checked = self.checked(unit.range.end, root);
        self.emit_unit(unit.id, checked.clone())?;
        if unit.phase == Phase::Ready {
            self.start(unit.id)?;
        } else {
            self.after(2, Work::Unit(unit.id));
        }
        Ok(Input::OutputRead(OutputRead {
            chain: unit.id.chain,
            block: checked.block,
            current_l1: checked.current_l1,
            nodes: checked.nodes,
        }))
    }

    fn head(&mut self) -> L1Head {
        let block = self.l1_head();
        L1Head { block, time: self.now, base_fee: Wei(7 * GWEI), tip: Wei(GWEI) }
    }

    fn reserve(&mut self, agg: UnitId, purpose: Purpose, root: Hash32) -> Result<(SlotId, Input), Illegal> {
        let signer = self.signer();
        let nonce = self.state.signers.get(&signer).map_or(Nonce(0), |signer| {
            let above = signer.slots.get_max().map(|(nonce, _)| Nonce(nonce.0 + 1));
            above.max(signer.next).unwrap_or_default()
        });
        let slot = SlotId { signer, nonce };
        let call = Call { to: self.address(agg.chain.0), value: Wei(0), calldata: self.hash() };
        let fees = Fees { max_fee: Wei(15 * GWEI), tip: Wei(GWEI) };
        self.emit_slot(slot, agg, TxReserved { purpose, call, fees, gas_limit: GAS })?;
        let quoted = TxQuoted {
            sender: signer.address,
            purpose,
            at: self.head(),
            nonce,
            balance: Wei(3 * GWEI * GWEI),
            outcome: QuoteOutcome::Accepted { call, gas: GAS, root },
        };
        Ok((slot, Input::TxQuoted(quoted)))
    }

    fn checkpoint(&mut self, unit: &Unit, agg: &AggBody) -> Result<Input, Illegal> {
        let chain = self.state.chains.get(&unit.id.chain);
        let proofs =
            chain.map(|chain| agg.members.iter().filter_map(|span| chain.spans.get(span)?.proof.as_ref()));
        let bound = proofs.and_then(|proofs| proofs.map(|proof| proof.l1_bound).max()).unwrap_or_default();
        let block = bound.max(L1Number((self.now.0 / 12_000_000).saturating_sub(100)));
        let (slot, input) =
            self.reserve(unit.id, Purpose::Checkpoint { agg: unit.id, block }, Hash32::ZERO)?;
        self.emit_unit(unit.id, CheckpointStarted { block, bound, slot })?;
        self.after(2, Work::Unit(unit.id));
        Ok(input)
    }

    fn carry_checkpoint(&mut self, unit: &Unit, agg: &AggBody) -> Result<Input, Illegal> {
        let point = agg.checkpoint;
        let slot = point.and_then(|point| point.slot).and_then(|slot| self.state.slot(slot)).cloned();
        if let Some(slot) = slot {
            self.after(8, Work::Unit(unit.id));
            return self.carry(&slot, unit.id);
        }
        let block = L1Ref { number: point.map_or(L1Number(0), |point| point.block), hash: self.hash() };
        let at = self.l1_head();
        self.emit_unit(unit.id, Checkpointed { block, at })?;
        self.after(1, Work::Unit(unit.id));
        Ok(self.contract_read(unit.id.chain, vec![block]))
    }

    fn submit(&mut self, unit: &Unit, agg: &AggBody) -> Result<Input, Illegal> {
        let root = agg.end_root.map_or(Hash32::ZERO, |(root, _)| root);
        let (slot, input) = self.reserve(unit.id, Purpose::Submission { agg: unit.id }, root)?;
        self.emit_unit(unit.id, SubmissionStarted { root, slot })?;
        self.after(2, Work::Unit(unit.id));
        Ok(input)
    }

    fn carry_submission(&mut self, unit: &Unit, agg: &AggBody) -> Result<Input, Illegal> {
        let Some(submission) = agg.submission else { return Ok(Input::TimerDue(TimerDue::of_all())) };
        let Some(slot) = self.state.slot(submission.slot).cloned() else {
            return Ok(Input::TimerDue(TimerDue::of_all()));
        };
        self.after(8, Work::Unit(unit.id));
        if slot.phase == SlotPhase::Broadcast && self.rng.chance(5) {
            return self.revert(unit, &slot);
        }
        let input = self.carry(&slot, unit.id)?;
        let mined = self.state.slot(slot.id).and_then(|slot| slot.mined);
        if let Some(mined) = mined {
            let event = Submitted { tx: mined.hash, root: submission.root, block: mined.block };
            self.emit_unit(unit.id, event)?;
        }
        Ok(input)
    }

    fn revert(&mut self, unit: &Unit, slot: &Slot) -> Result<Input, Illegal> {
        let (block, hash) = (self.l1_head(), newest(slot));
        let text = "L2OutputOracle: block hash does not match the hash at the expected height".to_owned();
        let refusal = Refusal { class: RefusalClass::Stale, text };
        let event = TxReverted {
            version: slot.version,
            hash,
            block,
            gas_used: GAS / 2,
            fee_paid: Wei(GWEI * u128::from(GAS)),
            refusal: refusal.clone(),
        };
        self.emit_slot(slot.id, unit.id, event)?;
        let not_before = self.now.plus_secs(12);
        self.emit_unit(unit.id, SubmissionReverted { tx: hash, refusal: refusal.clone(), not_before })?;
        self.after(30, Work::Close(slot.id));
        Ok(self.seen(slot, block, Some(refusal)))
    }

    /// The next step of a slot whose purpose is wanted.
    fn carry(&mut self, slot: &Slot, agg: UnitId) -> Result<Input, Illegal> {
        match slot.phase {
            SlotPhase::Unsigned => {
                let (hash, raw) = (self.hash(), self.blob(900));
                let event = TxPrepared {
                    version: slot.version,
                    purpose: slot.purpose,
                    call: slot.call,
                    fees: slot.fees,
                    gas_limit: slot.gas_limit,
                    raw,
                    hash,
                };
                self.emit_slot(slot.id, agg, event)?;
                let calldata = slot.call.calldata;
                Ok(Input::TxSigned(TxSigned { slot: slot.id, version: slot.version, calldata, hash, raw }))
            }
            SlotPhase::Prepared => {
                let outcome = BroadcastOutcome::Accepted;
                self.emit_slot(
                    slot.id,
                    agg,
                    TxBroadcast { version: slot.version, outcome, text: String::new() },
                )?;
                let (version, text) = (slot.version, String::new());
                Ok(Input::TxSent(TxSent { slot: slot.id, version, outcome, text }))
            }
            SlotPhase::Broadcast => self.wait(slot, agg),
            _ => {
                let block = slot.mined.map_or_else(|| self.l1_head(), |mined| mined.block);
                self.emit_slot(slot.id, agg, TxConfirmed { version: slot.version, block })?;
                Ok(self.seen(slot, block, None))
            }
        }
    }

    fn wait(&mut self, slot: &Slot, agg: UnitId) -> Result<Input, Illegal> {
        let block = self.l1_head();
        match self.rng.between(0, 99) {
            0..4 => {
                let event = TxReplaced {
                    version: slot.version.next(),
                    reason: ReplaceReason::Stuck,
                    purpose: slot.purpose,
                    call: slot.call,
                    fees: Fees {
                        max_fee: Wei(slot.fees.max_fee.0 * 23 / 20),
                        tip: Wei(slot.fees.tip.0 * 23 / 20),
                    },
                    gas_limit: slot.gas_limit,
                };
                self.emit_slot(slot.id, agg, event)?;
            }
            4 => self.emit_slot(slot.id, agg, TxDropped { version: slot.version })?,
            _ => {
                let event = TxIncluded {
                    version: slot.version,
                    hash: newest(slot),
                    block,
                    gas_used: GAS - 1_000,
                    fee_paid: Wei(8 * GWEI * u128::from(GAS)),
                };
                self.emit_slot(slot.id, agg, event)?;
            }
        }
        Ok(self.seen(slot, block, None))
    }

    fn seen(&mut self, slot: &Slot, block: L1Ref, reverted: Option<Refusal>) -> Input {
        let state = TxState::Included { block, gas_used: GAS, fee_paid: Wei(GWEI), reverted };
        let nonce = slot.id.nonce;
        Input::SignerRead(SignerRead {
            signer: slot.id.signer,
            at: self.head(),
            nonce: NonceState { head: Nonce(nonce.0 + 1), confirmed: nonce },
            balance: Wei(3 * GWEI * GWEI),
            txs: vec![TxSeen { nonce, version: slot.version, state }],
        })
    }

    /// A slot that carries nothing any more.
    pub(super) fn close(&mut self, id: SlotId) -> Result<Input, Illegal> {
        let agg = self.state.slot(id).cloned().and_then(|slot| match slot.purpose {
            Purpose::Checkpoint { agg, .. } | Purpose::Submission { agg } => Some((slot, agg)),
            _ => None,
        });
        match agg {
            Some((slot, agg)) if slot.phase.is_mined() => self.carry(&slot, agg),
            _ => Ok(Input::TimerDue(TimerDue::of_all())),
        }
    }

    /// The contract follows an included submission: at its head, at depth, and then the aggregate is over.
    fn settle(&mut self, unit: &Unit, agg: &AggBody) -> Result<Input, Illegal> {
        let nothing = Input::TimerDue(TimerDue::of_all());
        let Some(chain) = self.state.chains.get(&unit.id.chain) else { return Ok(nothing) };
        let (Some(latest), Some(submission)) = (chain.contract.latest, agg.submission) else {
            return Ok(nothing);
        };
        let (index, is_there) = (latest.index + 1, latest.block == unit.range.end);
        let is_confirmed = chain.contract.confirmed == Some(latest);
        self.after(12, Work::Unit(unit.id));
        let Some((tx, block)) = submission.included else { return Ok(nothing) };
        if !is_there && self.rng.chance(10) {
            self.reorg(unit, submission.slot, block)?;
            return Ok(nothing);
        }
        let at = self.l1_head();
        let chain = unit.id.chain;
        if !is_there {
            let latest = Anchor { index, root: submission.root, block: unit.range.end };
            let sender = Some(self.signer().address);
            let ours = Some(unit.id.number);
            self.emit_chain(chain, ContractAdvanced { at, latest, tx: Some(tx), sender, ours })?;
            for member in &agg.members {
                let event = SpanSettled { output_index: index, agg: ours };
                self.emit_unit(UnitId::span(chain, *member), event)?;
            }
            return Ok(self.contract_read(chain, Vec::new()));
        }
        if !is_confirmed {
            self.emit_chain(chain, ContractConfirmed { at, latest: Some(latest) })?;
            let checked = self.checked(latest.block, latest.root);
            self.emit_chain(chain, checked)?;
            self.queue(chain)?;
            return Ok(self.contract_read(chain, Vec::new()));
        }
        if let Some(slot) = self.state.slot(submission.slot).cloned() {
            let input = self.carry(&slot, unit.id)?;
            self.emit_unit(unit.id, SubmissionConfirmed { tx, block, depth: 10 })?;
            self.emit_unit(unit.id, AggSettled { output_index: Some(latest.index) })?;
            return Ok(input);
        }
        Ok(nothing)
    }

    fn contract_read(&mut self, chain: ChainId, checkpoints: Vec<L1Ref>) -> Input {
        let (at, confirmed_at) = (self.head(), self.l1_head());
        let latest = self.state.chains.get(&chain).and_then(|chain| chain.contract.latest);
        Input::ContractRead(ContractRead {
            chain,
            oracle: self.address(chain.0),
            at,
            values: self.values(),
            latest,
            next_block: latest.map_or(L2Block(0), |latest| L2Block(latest.block.0 + SPAN_BLOCKS)),
            latest_by: None,
            outputs_deleted: false,
            confirmed_at,
            confirmed: latest,
            checkpoints,
            canonical: Vec::new(),
        })
    }

    fn reorg(&mut self, unit: &Unit, slot: SlotId, block: L1Ref) -> Result<(), Illegal> {
        let Some(slot) = self.state.slot(slot).cloned() else { return Ok(()) };
        self.emit_slot(slot.id, unit.id, TxReorged { version: slot.version, block })?;
        self.emit_unit(unit.id, SubmissionReorged { tx: newest(&slot), block })
    }
}

fn newest(slot: &Slot) -> Hash32 {
    slot.signed.last().map_or(Hash32::ZERO, |signed| signed.hash)
}
