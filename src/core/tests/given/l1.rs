//! Words of stories about the L1: how far an aggregate has come, and what endpoints say of its transactions.

use prooflog_core::{Effect, plan};
use prooflog_events::event::Event;
use prooflog_events::ids::*;
use prooflog_events::input::*;
use prooflog_events::values::*;
use prooflog_projections::state::phase::{Phase, SlotPhase};

use super::given::*;

pub(crate) const AGG: UnitId = UnitId::agg(CHAIN, 1);
pub(crate) const ACCOUNT: SignerId = SignerId { l1: L1ChainId(1), address: SIGNER };
pub(crate) const GWEI: u128 = 1_000_000_000;

pub(crate) fn slot(nonce: u64) -> SlotId {
    SlotId { signer: ACCOUNT, nonce: Nonce(nonce) }
}

/// Two spans proven and the root at their end agreed: the aggregate waits for its checkpoint.
pub(crate) fn queued() -> Given {
    let mut given = Given::chain(1_100, |_| {});
    given.proven(1);
    given.proven(2);
    given.output(1_100);
    assert_eq!(given.phase_of(AGG), Phase::Queued);
    given
}

/// The checkpoint's transaction is signed and sent, under nonce 5.
pub(crate) fn checkpoint_sent() -> Given {
    let mut given = queued();
    let purpose = given.wanted_quote();
    given.when(given.quote(purpose, 5));
    given.sign(5, 1);
    given.send(5, 1, BroadcastOutcome::Accepted);
    given
}

/// The aggregate is proven and its submission is signed and sent, under nonce 6.
pub(crate) fn submission_sent() -> Given {
    let mut given = checkpoint_sent();
    given.confirmed_in_block(5, 1, None);
    let point = given.state.unit(AGG).unwrap().agg_body().unwrap().checkpoint.unwrap().block;
    let read = ContractRead { checkpoints: vec![l1(point.0)], ..given.read() };
    assert_eq!(given.names(read), ["Checkpointed"], "the server is compared with the contract first");
    let compared = given.validated();
    assert_eq!(names(&compared), ["ContractConfigValidated", "WitnessGenStarted"]);
    given.agg_proven();
    given.output(1_100);
    let purpose = given.wanted_quote();
    let quote = given.quote(purpose, 6);
    assert_eq!(given.names(quote)[..2], ["SubmissionStarted", "TxReserved"]);
    given.sign(6, 1);
    given.send(6, 1, BroadcastOutcome::Accepted);
    given
}

impl Given {
    pub(crate) fn phase_of(&self, unit: UnitId) -> Phase {
        self.state.unit(unit).unwrap().phase
    }

    pub(crate) fn slot_phase(&self, nonce: u64) -> SlotPhase {
        self.state.slot(slot(nonce)).unwrap().phase
    }

    /// The one purpose that is to be simulated now; a checkpoint's block is chosen as the adapter chooses it.
    pub(crate) fn wanted_quote(&self) -> Purpose {
        let effects = plan(&self.state, self.now);
        let mut wanted = effects.iter().filter_map(|effect| match effect {
            Effect::QuoteTx { purpose, .. } => Some(*purpose),
            _ => None,
        });
        let (Some(purpose), None) = (wanted.next(), wanted.next()) else { panic!("{effects:#?}") };
        match purpose {
            Purpose::Checkpoint { agg, block } => {
                let block = prooflog_core::checkpoint_block(block, L1Number(self.l1)).unwrap();
                Purpose::Checkpoint { agg, block }
            }
            other => other,
        }
    }

    pub(crate) fn head(&self) -> L1Head {
        L1Head { block: l1(self.l1), time: self.now, base_fee: Wei(7 * GWEI), tip: Wei(GWEI) }
    }

    pub(crate) fn quote(&self, purpose: Purpose, nonce: u64) -> TxQuoted {
        let call = Call { to: Address([9; 20]), value: Wei(0), calldata: h("call") };
        TxQuoted {
            sender: SIGNER,
            purpose,
            at: self.head(),
            nonce: Nonce(nonce),
            balance: Wei(1_000_000_000_000_000_000),
            outcome: QuoteOutcome::Accepted { call, gas: 100_000, root: root(1_100) },
        }
    }

    pub(crate) fn refused(&self, purpose: Purpose, class: RefusalClass) -> TxQuoted {
        let outcome = QuoteOutcome::Refused { refusal: Refusal { class, text: "words".into() } };
        TxQuoted { outcome, ..self.quote(purpose, 6) }
    }

    pub(crate) fn sign(&mut self, nonce: u64, version: u32) -> Vec<Event> {
        let (hash, raw) = (h(&format!("tx {nonce} {version}")), h(&format!("raw {nonce} {version}")));
        self.when(TxSigned {
            slot: slot(nonce),
            version: TxVersion(version),
            calldata: h("call"),
            hash,
            raw: BlobRef { sha256: raw, length: 200 },
        })
    }

    pub(crate) fn send(&mut self, nonce: u64, version: u32, outcome: BroadcastOutcome) -> Vec<Event> {
        self.when(TxSent { slot: slot(nonce), version: TxVersion(version), outcome, text: String::new() })
    }

    /// The account, read `blocks` later, with its next nonce at the head and at depth and what became of versions.
    pub(crate) fn account(&mut self, blocks: u64, nonces: (u64, u64), txs: Vec<TxSeen>) -> Vec<Event> {
        self.l1 += blocks;
        self.now = self.now.plus_secs(12 * blocks);
        let (head, confirmed) = (Nonce(nonces.0), Nonce(nonces.1));
        self.when(SignerRead {
            signer: ACCOUNT,
            at: self.head(),
            nonce: NonceState { head, confirmed },
            balance: Wei(1_000_000_000_000_000_000),
            txs,
        })
    }

    /// Includes a version, and lets it reach depth.
    pub(crate) fn confirmed_in_block(
        &mut self,
        nonce: u64,
        version: u32,
        reverted: Option<Refusal>,
    ) -> Vec<Event> {
        let at = self.l1 + 1;
        let seen = included(nonce, version, at, reverted);
        let mut events = self.account(1, (nonce + 1, nonce), vec![seen.clone()]);
        events.extend(self.account(3, (nonce + 1, nonce + 1), vec![seen]));
        events
    }

    pub(crate) fn agg_proven(&mut self) {
        let attempt = self.state.unit(AGG).unwrap().attempt;
        let answer = WitnessAnswer::Requested {
            proof_id: ProofId(vec![9]),
            l1_head: None,
            l1_seen: L1Number(self.l1),
        };
        self.when(WitnessAnswered { unit: AGG, attempt, answer });
        let delivery = Delivery {
            proof: BlobRef { sha256: h("agg proof"), length: 400 },
            selector: Some([1, 2, 3, 4]),
            l1_head: None,
            cycles: None,
            prover_gas: None,
            cost: None,
        };
        let answer = StatusAnswer::Status {
            fulfillment: 3,
            execution: 2,
            delivery: Some(delivery),
            text: String::new(),
        };
        let events = self.when(StatusAnswered { unit: AGG, attempt, answer });
        assert_eq!(names(&events), ["ProofFulfilled"]);
    }
}

pub(crate) fn included(nonce: u64, version: u32, block: u64, reverted: Option<Refusal>) -> TxSeen {
    let state = TxState::Included { block: l1(block), gas_used: 90_000, fee_paid: Wei(1), reverted };
    TxSeen { nonce: Nonce(nonce), version: TxVersion(version), state }
}

pub(crate) fn seen(nonce: u64, version: u32, state: TxState) -> TxSeen {
    TxSeen { nonce: Nonce(nonce), version: TxVersion(version), state }
}
