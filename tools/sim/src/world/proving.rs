//! Requests for proofs and questions for their state, as the server answers them.
//!
//! Illegal requests are complaints: an empty range, blocks that are not final, a head that no contract holds, members
//! that do not chain. What is merely hopeless fails as it would in reality, and costs what it would cost.

use prooflog_core::ProofRequest;
use prooflog_events::ids::{Attempt, ChainId, L1Number, L1Ref, L2Block, ProofId, UnitId, UnitKind, Wei};
use prooflog_events::input::{
    Delivery, Input, MembersRefused, StatusAnswer, StatusAnswered, WitnessAnswer, WitnessAnswered,
};
use prooflog_events::values::{FailureClass, Mode};

use super::proof::{AggProof, SELECTOR, SpanProof, blob_ref, is_unreadable, output_root, unreadable};
use super::prover::{Job, Verdict, Witness, agg_bytes, members_fit};
use super::{Answer, Reply, World};

/// Seconds that a status call may take.
const STATUS_LIMIT: u64 = 30;
/// Execution status of a program that cannot run.
const UNEXECUTABLE: i32 = 3;

/// What the server makes of one status call.
#[derive(Debug, Clone)]
pub enum Look {
    /// It answered.
    Said(Box<StatusAnswered>, Vec<Vec<u8>>),
    /// 500, or a broken connection.
    Error,
    /// It cannot be reached, which says nothing of the proof.
    Away,
    /// Nothing for a long time.
    Hang,
}

impl World {
    /// `POST /request_span_proof` or `/request_agg_proof`, with the members' bytes.
    pub fn request_proof(&mut self, request: &ProofRequest, members: Vec<Vec<u8>>) -> Reply {
        self.judge(request, &members);
        let (now, weather) = (self.now, self.weather);
        let chain = request.unit.chain;
        let Some(prover) = self.provers.get_mut(&chain) else { return self.failed(1) };
        let told = (request.unit, request.attempt);
        let refusal = if now < prover.down_until {
            Some((FailureClass::Unreachable, "connection refused"))
        } else if prover.rng.chance(weather.witness_refused) {
            Some((FailureClass::Dropped, "connection reset"))
        } else if now < prover.full_until {
            Some((FailureClass::Capacity, "429 queue full"))
        } else if now < prover.broke_until {
            Some((FailureClass::Account, "permission denied: insufficient balance"))
        } else if now < prover.not_ready_until {
            Some((FailureClass::DataNotReady, "Failed to validate L2 block"))
        } else if prover.rng.chance(weather.witness_error) {
            Some((FailureClass::WitnessError, "failed to generate witness: preimage not found"))
        } else {
            None
        };
        if let Some((class, text)) = refusal {
            let secs = prover.rng.between(1, 5);
            self.told_failed.insert(told);
            return Reply::At(now.plus_secs(secs), failure(request, class, text));
        }
        let places = (0_u32..).zip(&members).filter(|(_, bytes)| is_unreadable(bytes));
        let unreadable: Vec<u32> = places.map(|(place, _)| place).collect();
        if !unreadable.is_empty() {
            let at = now.plus_secs(prover.rng.between(1, 5));
            self.told_failed.insert(told);
            let (unit, attempt, text) =
                (request.unit, request.attempt, "a member does not decode".to_owned());
            let input = MembersRefused { unit, attempt, members: unreadable, text };
            return Reply::At(at, Answer::Input(Box::new(input.into()), Vec::new()));
        }
        let hangs = prover.rng.chance(weather.witness_hang);
        let breaks = prover.rng.chance(weather.witness_dropped);
        let (witness, ends) = prover.begin(now, request, members);
        let late = prover.rng.between(5, 120);
        let at = if hangs { request.deadline.plus_secs(late).max(ends) } else { ends };
        Reply::Witness { at, chain, witness, breaks: breaks || hangs }
    }

    /// Complains about a request that should never have been made.
    fn judge(&mut self, request: &ProofRequest, members: &[Vec<u8>]) {
        let (unit, range) = (request.unit, request.range);
        if range.start >= range.end {
            self.complain("legal request", format!("{unit} asks for the empty range {range}"));
        }
        let finalized = self.rollups.get(&unit.chain).map_or(L2Block(0), |rollup| rollup.finalized);
        if range.end > finalized {
            self.complain("finalized", format!("{unit} asks for {range}, the finalized head is {finalized}"));
        }
        let Some(prover) = self.provers.get(&unit.chain) else { return };
        let again = prover.running(self.now, range).next().is_some();
        if request.mode == Mode::Real && unit.kind == UnitKind::Span && again {
            let text = format!(
                "{unit} attempt {} asks for {range} while its witness is being made",
                request.attempt
            );
            self.complain("one witness at a time", text);
        }
        let Some(agg) = &request.agg else { return };
        if !self.checkpointed.contains(&agg.head) {
            self.complain("legal request", format!("{unit} names the L1 head {}, no checkpoint", agg.head));
        }
        // What came unreadable from the prover is refused by it, and is nobody's fault.
        if members.iter().any(|bytes| is_unreadable(bytes)) {
            return;
        }
        let spans: Option<Vec<SpanProof>> = members.iter().map(|bytes| SpanProof::decode(bytes)).collect();
        match spans {
            None => self.complain("legal request", format!("{unit} has a member that is no proof")),
            Some(spans) if !members_fit(&spans, range) => {
                self.complain("legal request", format!("{unit} has members that do not chain over {range}"));
            }
            Some(_) => {}
        }
    }

    /// A witness is done: the network takes the job, or the request fails. `None`: nobody hears of it.
    pub(crate) fn finish_witness(&mut self, chain: ChainId, number: u64, breaks: bool) -> Option<Answer> {
        let answer = self.witness_answer(chain, number, breaks)?;
        if let Answer::Input(input, _) = &answer
            && let Input::WitnessAnswered(answered) = input.as_ref()
            && matches!(answered.answer, WitnessAnswer::Failed { .. })
        {
            self.told_failed.insert((answered.unit, answered.attempt));
        }
        Some(answer)
    }

    fn witness_answer(&mut self, chain: ChainId, number: u64, breaks: bool) -> Option<Answer> {
        let l1_seen = self.l1_seen();
        let (now, l1_fail) = (self.now, self.weather.l1_fail);
        let prover = self.provers.get_mut(&chain)?;
        let witness = prover.take(number)?;
        let request = &witness.request;
        if witness.killed || now < prover.down_until {
            return Some(failure(
                request,
                FailureClass::Dropped,
                "connection closed before message completed",
            ));
        }
        if witness.timed_out {
            return Some(failure(request, FailureClass::WitnessError, "witness generation timed out"));
        }
        let job = match prover.repeated(&witness) {
            Some(job) => job,
            None => self.place(chain, &witness)?,
        };
        if breaks {
            return Some(failure(&witness.request, FailureClass::Dropped, "connection reset by peer"));
        }
        let prover = self.provers.get_mut(&chain)?;
        let placed = prover.job(&prover.id_of(job))?.clone();
        let (unit, attempt) = (witness.request.unit, witness.request.attempt);
        if witness.request.mode == Mode::Mock {
            return Some(match &placed.verdict {
                Verdict::Unfulfillable(_) => {
                    failure(&witness.request, FailureClass::Unexecutable, "execution failed")
                }
                Verdict::Proof { bytes, .. } => {
                    let delivery = delivery(unit, bytes, &placed);
                    let answer = WitnessAnswer::Fulfilled { delivery, l1_seen };
                    let input = WitnessAnswered { unit, attempt, answer };
                    Answer::Input(Box::new(input.into()), vec![bytes.clone()])
                }
            });
        }
        let proof_id = prover.id_of(job);
        let l1_head = placed.tells.then_some(placed.l1_head);
        let l1_seen = match prover.trouble.chance(l1_fail) {
            true => L1Number::UNSEEN,
            false => l1_seen,
        };
        let answer = WitnessAnswer::Requested { proof_id, l1_head, l1_seen };
        Some(Answer::Input(Box::new(WitnessAnswered { unit, attempt, answer }.into()), Vec::new()))
    }

    /// The network takes a job, and from here on it costs.
    fn place(&mut self, chain: ChainId, witness: &Witness) -> Option<u64> {
        let (now, weather) = (self.now, self.weather);
        let request = &witness.request;
        let (weight, impossible) = self.rollups.get(&chain)?.weigh(request.range);
        let height = self.l1.height();
        let head = request.agg.as_ref().map(|agg| self.member_trouble(request, agg.head, &witness.members));
        let prover = self.provers.get_mut(&chain)?;
        let (commitments, agg_vkey, profile, max_blocks) =
            (prover.commitments, prover.agg_vkey, prover.profile, prover.max_blocks);
        let tells = prover.rng.chance(weather.tells_l1_head);
        // A server that does not tell mostly takes heads deep enough for reorgs not to matter.
        let depth = if tells || prover.rng.chance(50) {
            prover.rng.between(0, 20)
        } else {
            prover.rng.between(64, 100)
        };
        let l1_head = self.l1.block(height.saturating_sub(depth))?.at;
        let range = request.range;
        let too_heavy = impossible || (head.is_none() && weight > profile.max_weight && range.blocks() > 1);
        let unexecutable = match head {
            None => too_heavy,
            Some(trouble) => trouble || witness.members.len() > profile.max_members,
        };
        let roots = (output_root(chain, range.start), output_root(chain, range.end));
        let prover = self.provers.get_mut(&chain)?;
        let comes_unreadable = request.agg.is_none() && prover.trouble.chance(weather.unreadable);
        Some(prover.place(request.idempotency_key, |job, rng| {
            let bytes = match &request.agg {
                None => {
                    let proof = SpanProof { chain, range, l1_head, commitments, job }.encode();
                    if comes_unreadable { unreadable(proof) } else { proof }
                }
                Some(agg) => {
                    let proof = AggProof {
                        range,
                        l1_head: agg.head,
                        pre_root: roots.0,
                        claim_root: roots.1,
                        commitments,
                        agg_vkey,
                        prover: agg.prover,
                        job,
                    };
                    agg_bytes(request.mode, &proof)
                }
            };
            let too_long = max_blocks > 0 && range.blocks() > max_blocks && request.agg.is_none();
            let missing = match rng.chance(weather.no_bytes) {
                true if rng.chance(500) => u32::MAX,
                true => 2,
                false => 0,
            };
            let verdict = if unexecutable {
                Verdict::Unfulfillable(UNEXECUTABLE)
            } else if too_long || rng.chance(weather.unfulfillable) {
                Verdict::Unfulfillable(1)
            } else {
                Verdict::Proof { bytes, missing }
            };
            let (low, high) = profile.proving_secs;
            let late = if rng.chance(weather.too_late) { rng.between(1_500, 9_000) } else { 0 };
            let assigned = now.plus_secs(rng.between(1, 40));
            let ends = assigned.plus_secs(rng.between(low, high) + late);
            let (unit, attempt) = (request.unit, request.attempt);
            Job { unit, attempt, range, assigned, ends, verdict, l1_head, tells, forgotten: false }
        }))
    }

    /// Whether an aggregate cannot run: a member's L1 head is not on the chain that ends at the checkpoint, or the
    /// member was proven under something else.
    fn member_trouble(
        &self,
        request: &ProofRequest,
        head: prooflog_events::ids::Hash32,
        members: &[Vec<u8>],
    ) -> bool {
        let Some(prover) = self.provers.get(&request.unit.chain) else { return true };
        let Some(oracle) = self.oracle(request.unit.chain) else { return true };
        let Some((number, _)) = oracle.checkpoints.iter().find(|(_, hash)| **hash == head) else {
            return true;
        };
        let point = L1Ref { number: *number, hash: head };
        members.iter().filter_map(|bytes| SpanProof::decode(bytes)).any(|member| {
            member.l1_head.number > *number
                || !self.l1.is_canonical(member.l1_head)
                || !self.l1.is_canonical(point)
                || member.commitments != prover.commitments
        })
    }

    /// `GET /status/{id}`.
    pub fn poll(&mut self, unit: UnitId, attempt: Attempt, id: &ProofId) -> Look {
        let (now, weather) = (self.now, self.weather);
        let Some(prover) = self.provers.get_mut(&unit.chain) else { return Look::Error };
        if now < prover.down_until {
            return Look::Away;
        }
        if prover.rng.chance(weather.status_fail) {
            return Look::Error;
        }
        if prover.rng.chance(weather.status_hang) {
            return Look::Hang;
        }
        let say = |fulfillment, execution, delivery, text: &str, blobs| {
            let answer = StatusAnswer::Status { fulfillment, execution, delivery, text: text.to_owned() };
            Look::Said(Box::new(StatusAnswered { unit, attempt, answer }), blobs)
        };
        if prover.rng.chance(weather.status_odd) {
            return say(7, 9, None, "", vec![]);
        }
        let Some((fulfillment, execution, bytes)) = prover.look(now, id) else { return Look::Error };
        let Some(job) = prover.job(id) else { return Look::Error };
        match bytes {
            Some(bytes) => say(fulfillment, execution, Some(delivery(unit, &bytes, job)), "", vec![bytes]),
            None if fulfillment == 4 && execution == UNEXECUTABLE => {
                say(fulfillment, execution, None, "unexecutable", vec![])
            }
            None => say(fulfillment, execution, None, "", vec![]),
        }
    }

    /// Seconds after which a hanging status call is given up.
    #[must_use]
    pub const fn status_limit() -> u64 {
        STATUS_LIMIT
    }
}

fn delivery(unit: UnitId, bytes: &[u8], job: &Job) -> Delivery {
    Delivery {
        proof: blob_ref(bytes),
        selector: (unit.kind == UnitKind::Agg && !bytes.is_empty()).then_some(SELECTOR),
        l1_head: job.tells.then_some(job.l1_head),
        cycles: Some(job.range.blocks() * 1_000_000),
        prover_gas: None,
        cost: Some(Wei(u128::from(job.range.blocks()) * 1_000_000_000_000_000)),
    }
}

fn failure(request: &ProofRequest, class: FailureClass, text: &str) -> Answer {
    let answer = WitnessAnswer::Failed { class, text: text.to_owned() };
    let input = WitnessAnswered { unit: request.unit, attempt: request.attempt, answer };
    Answer::Input(Box::new(input.into()), Vec::new())
}
