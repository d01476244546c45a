//! The end of a run: faults stop, operators do what only they can, and everything must come right.
//!
//! Faults have stopped: within a bounded time everything that can be proven must be submitted and confirmed, and then
//! nothing may happen that nobody asked for.

use prooflog_engine::Origin;
use prooflog_events::ids::{UnitId, UnitKind, Wei};
use prooflog_events::input::{Command, Input, OperatorCommanded};
use prooflog_events::policy::Policy;
use prooflog_events::values::Control;
use prooflog_log::{By, verify};
use prooflog_projections::state::phase::Phase;

use super::start::FUNDS;
use super::{Medium, Sim, What};
use crate::process::fold;
use crate::scenario::{SECOND_SIGNER, SIGNER};
use crate::world::Deed;

/// Seconds between an operator's visits in the quiet period.
const VISIT_SECS: u64 = 300;
/// Seconds in which nothing may happen once nothing changes.
const IDLE_SECS: u64 = 3_600;
/// Batches in those seconds at most: stalls are noted, proofs pruned, modes left.
const IDLE_BATCHES: u64 = 40;
/// Hours after which all work must have come to its end.
const IDLE_TRIES: u64 = 48;

impl<M: Medium> Sim<'_, M> {
    /// The faults stop.
    pub(super) fn quiet(&mut self) {
        self.note(|| "QUIET".to_owned());
        self.world.mend(self.now);
        self.clock_back_until = self.now;
        self.deadline = Some(self.now.plus_secs(self.plan.quiet_secs));
        let chains: Vec<_> = self.world.oracles.iter().map(|(chain, oracle)| (*chain, *oracle)).collect();
        for (chain, oracle) in chains {
            for deed in [
                Deed::Optimistic(oracle, false),
                Deed::Approved(oracle, true),
                Deed::RouteBroken(oracle, false),
            ] {
                self.world.l1.pending.push(deed);
            }
            if let Some(rollup) = self.world.rollups.get(&chain) {
                self.targets.insert(chain, rollup.finalized);
            }
        }
        for account in [SIGNER, SECOND_SIGNER] {
            self.world.l1.pending.push(Deed::Balance(account, Wei(FUNDS)));
        }
        if self.disk_low {
            self.disk(false);
        }
        self.usual_limits();
        let soon = self.now.plus_secs(30);
        self.at(soon, What::Heal);
    }

    /// The configuration is what it was at the start, except for the account that sends.
    fn usual_limits(&mut self) {
        for chain in self.plan.chains.clone() {
            let Some(configured) = self.configured.get_mut(&chain.id) else { continue };
            configured.policy = Policy { signer: configured.policy.signer, ..chain.policy };
            let configured = configured.clone();
            self.checker.configured(&configured);
            self.feed(&configured.into(), Origin::default());
        }
    }

    /// What a person does after reading the alerts.
    pub(super) fn heal(&mut self) {
        let chains: Vec<_> = self.world.oracles.keys().copied().collect();
        for chain in chains {
            self.server_follows(chain);
            let Some(process) = &self.process else { break };
            let Some(state) = process.state().chains.get(&chain) else { continue };
            let mut commands: Vec<Command> = [Control::Planning, Control::Proving, Control::Submitting]
                .into_iter()
                .filter(|control| state.is_paused(*control))
                .map(|control| Command::Resume { chain, control })
                .collect();
            let parked: Vec<(UnitId, bool, Vec<u64>)> = state
                .units()
                .filter(|unit| unit.phase == Phase::Parked)
                .map(|unit| {
                    let members = unit.agg_body().map(|agg| agg.members.clone()).unwrap_or_default();
                    (unit.id, unit.attempt.0 > 12, members)
                })
                .collect();
            for (unit, hopeless, members) in parked {
                if hopeless && unit.kind == UnitKind::Agg {
                    commands.push(Command::Cancel { unit });
                    commands.extend(
                        members.iter().map(|span| Command::Cancel { unit: UnitId::span(chain, *span) }),
                    );
                } else {
                    commands.push(Command::Unpark { unit });
                }
            }
            for command in commands {
                self.command(command);
            }
        }
        let next = self.now.plus_secs(VISIT_SECS);
        self.at(next, What::Heal);
    }

    /// Feeds an operator's command.
    pub(super) fn command(&mut self, command: Command) {
        let input: Input =
            OperatorCommanded { name: "ann".to_owned(), command, note: "simulated".to_owned() }.into();
        self.feed(&input, Origin { by: By::Operator("ann".to_owned()), ..Origin::default() });
    }

    /// The server proves what the contract accepts.
    pub(super) fn server_follows(&mut self, chain: prooflog_events::ids::ChainId) {
        let Some((commitments, agg_vkey)) =
            self.world.oracle(chain).map(|oracle| (oracle.commitments(), oracle.values.agg_vkey))
        else {
            return;
        };
        if let Some(prover) = self.world.provers.get_mut(&chain) {
            prover.commitments = commitments;
            prover.agg_vkey = agg_vkey;
        }
    }

    /// After each L1 block of the quiet period: is everything done, or is it too late?
    pub(super) fn after_block(&mut self) {
        let Some(deadline) = self.deadline else { return };
        let Some(process) = &self.process else { return };
        let mut late = Vec::new();
        for (chain, target) in &self.targets {
            let confirmed = process.state().chains.get(chain).and_then(|chain| chain.contract.confirmed);
            if confirmed.is_none_or(|anchor| anchor.block < *target) {
                late.push((*chain, *target, confirmed.map(|anchor| anchor.block)));
            }
        }
        if late.is_empty() {
            if self.idle_from.is_none() && self.plan.seed.is_multiple_of(4) {
                self.stand_still();
            } else if self.idle_from.is_none() {
                self.done = true;
            }
            return;
        }
        if self.now >= deadline && self.idle_from.is_none() {
            for (chain, target, at) in late {
                let text = format!(
                    "rollup {chain}: block {target} was final when the faults stopped, {} hours later the contract stands at {at:?}",
                    self.plan.quiet_secs / 3_600
                );
                self.violate("liveness", text);
            }
        }
    }

    /// The rollups' heads stand still for so long that all work ends.
    fn stand_still(&mut self) {
        for rollup in self.world.rollups.values_mut() {
            rollup.stalled_until = self.now.plus_secs((IDLE_TRIES + 2) * IDLE_SECS);
        }
        self.queue.retain(|_, what| !matches!(what, What::Heal));
        self.idle_from = Some((0, self.figures.batches));
        let end = self.now.plus_secs(IDLE_SECS);
        self.at(end, What::Idle);
    }

    /// Every hour of standing still: one of them must have been quiet.
    pub(super) fn idle(&mut self) {
        let Some((tries, before)) = self.idle_from else { return };
        let batches = self.figures.batches.saturating_sub(before);
        if batches <= IDLE_BATCHES {
            self.done = true;
            return;
        }
        if tries >= IDLE_TRIES {
            let text = format!("{batches} batches in an hour, {tries} hours after everything stood still");
            return self.violate("busy loop", text);
        }
        self.idle_from = Some((tries + 1, self.figures.batches));
        let end = self.now.plus_secs(IDLE_SECS);
        self.at(end, What::Idle);
    }

    /// The fold from the empty log, the chain of hashes, and what is owed, at the end.
    pub(super) fn final_checks(&mut self) {
        let Some(process) = &self.process else { return };
        let log = process.log();
        let digest = process.state().digest();
        match fold(log, None) {
            Ok(state) if state.digest() == digest => {}
            Ok(_) => {
                return self.checker.violate(
                    "fold",
                    self.now,
                    "the final state is not the fold of the log".to_owned(),
                );
            }
            Err(error) => return self.checker.violate("fold", self.now, error),
        }
        if self.plan.seed.is_multiple_of(8)
            && let Err(error) = verify(log.sequence(), &mut |_| std::ops::ControlFlow::Continue(()))
        {
            return self.checker.violate("log", self.now, error.to_string());
        }
        self.checker.rebuilt(log, self.now);
        self.checker.at_end(&self.world, self.now);
    }
}
