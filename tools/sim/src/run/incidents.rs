//! Incidents as they begin: what breaks, for how long, and what ends it.
//!
//! An incident changes the world and never the engine: what follows is the engine's to find out. Those that last end
//! by themselves, at a time drawn with them.

use prooflog_engine::Origin;
use prooflog_events::ids::{Address, ChainId, L2Block, UnitId, Wei};
use prooflog_events::input::{Command, DiskRead};
use prooflog_events::values::{Control, Mode};

use super::start::FUNDS;
use super::{Medium, Sim, What};
use crate::rng::mix;
use crate::scenario::{Incident, Restored, SECOND_SIGNER, SIGNER};
use crate::world::Deed;

/// Bytes that the disk must have free.
const DISK_MINIMUM: u64 = 1 << 30;

impl<M: Medium> Sim<'_, M> {
    /// Begins an incident; none begins in the quiet period.
    pub(super) fn incident(&mut self, incident: Incident) {
        if self.deadline.is_some() {
            return;
        }
        self.note(|| format!("INCIDENT {incident:?}"));
        match incident {
            Incident::Crash => self.crash(0),
            Incident::Reorg(depth, keep) => self.world.reorg = Some((depth, keep)),
            Incident::FeeSpike(secs) => self.world.spike_until = self.now.plus_secs(secs),
            Incident::L1Down(secs) => self.world.l1_down_until = self.now.plus_secs(secs),
            Incident::ForeignNonce => self.deed(Deed::ForeignNonce(SIGNER)),
            Incident::Drain(secs) => {
                self.deed(Deed::Balance(SIGNER, Wei(1_000)));
                self.later(secs, Incident::Refill);
            }
            Incident::ClockBack(chain, secs) => {
                self.clock_back_until = self.now.plus_secs(secs);
                self.incident(Incident::Operator(chain));
            }
            Incident::Refill => self.deed(Deed::Balance(SIGNER, Wei(FUNDS))),
            Incident::DiskLow(secs) => {
                self.disk(true);
                self.later(secs, Incident::DiskFree);
            }
            Incident::DiskFree => self.disk(false),
            other => self.incident_of_prover(other),
        }
    }

    fn incident_of_prover(&mut self, incident: Incident) {
        let now = self.now;
        let chain = match &incident {
            Incident::ProverDown(chain, _)
            | Incident::ProverRestart(chain, _)
            | Incident::ProverFull(chain, _)
            | Incident::ProverBroke(chain, _)
            | Incident::NotReady(chain, _)
            | Incident::MaxBlocks(chain, _) => *chain,
            _ => return self.incident_of_nodes(incident),
        };
        let Some(prover) = self.world.provers.get_mut(&chain) else { return };
        match incident {
            Incident::ProverDown(_, secs) => {
                prover.restart(false);
                prover.down_until = now.plus_secs(secs);
            }
            Incident::ProverRestart(_, forget) => prover.restart(forget),
            Incident::ProverFull(_, secs) => prover.full_until = now.plus_secs(secs),
            Incident::ProverBroke(_, secs) => prover.broke_until = now.plus_secs(secs),
            Incident::NotReady(_, secs) => prover.not_ready_until = now.plus_secs(secs),
            Incident::MaxBlocks(_, blocks) => prover.max_blocks = blocks,
            _ => {}
        }
    }

    fn incident_of_nodes(&mut self, incident: Incident) {
        let now = self.now;
        let chain = match &incident {
            Incident::Stall(chain, _)
            | Incident::NodeLies(chain, _)
            | Incident::NodeDown(chain, _)
            | Incident::Impossible(chain) => *chain,
            _ => return self.incident_of_contract(incident),
        };
        let is_mock = self.configured.get(&chain).is_some_and(|chain| chain.policy.mode == Mode::Mock);
        let Some(rollup) = self.world.rollups.get_mut(&chain) else { return };
        match incident {
            // A mock verifier takes any root: a lie would stay in the contract, and the rollup rightly stops.
            Incident::NodeLies(..) if is_mock => {}
            Incident::Stall(_, secs) => rollup.stalled_until = now.plus_secs(secs),
            // With one node there is nobody to contradict it; the contract does.
            Incident::NodeLies(_, secs) => rollup.lies_until = now.plus_secs(secs),
            Incident::NodeDown(_, secs) => rollup.down_until = now.plus_secs(secs),
            Incident::Impossible(_) => rollup.impossible = Some(L2Block(rollup.finalized.0 + 30)),
            _ => {}
        }
    }

    fn incident_of_contract(&mut self, incident: Incident) {
        let address =
            |sim: &Self, chain: ChainId| sim.world.oracles.get(&chain).copied().unwrap_or(Address([0; 20]));
        match incident {
            Incident::ForeignOutput(chain, blocks) => {
                let Some(latest) = self.world.oracle(chain).and_then(crate::world::Oracle::latest) else {
                    return;
                };
                let final_head = self.world.rollups.get(&chain).map_or(L2Block(0), |rollup| rollup.finalized);
                let block = L2Block(latest.block.0 + blocks).min(final_head);
                self.deed(Deed::ForeignOutput(address(self, chain), block));
            }
            Incident::Delete(chain, count) => self.deed(Deed::Delete(address(self, chain), count)),
            Incident::Interval(chain, blocks) => self.deed(Deed::Interval(address(self, chain), blocks)),
            Incident::Factory(chain) => {
                self.deed(Deed::Factory(address(self, chain), Some(Address([0xfa; 20]))))
            }
            Incident::NewKeys(chain, secs) => {
                let (range, agg) = (mix(&[self.now.0, 1]), mix(&[self.now.0, 2]));
                let Some(config) = self.world.oracle(chain).map(|oracle| oracle.values.rollup_config) else {
                    return;
                };
                self.deed(Deed::Commitments(address(self, chain), range, config, agg));
                self.later(secs, Incident::ServerKeys(chain));
            }
            Incident::ServerKeys(chain) => self.server_follows(chain),
            Incident::Optimistic(chain, secs) => {
                self.deed(Deed::Optimistic(address(self, chain), true));
                self.later(secs, Incident::Restore(chain, Restored::Optimistic));
            }
            Incident::Unapproved(chain, secs) => {
                self.deed(Deed::Approved(address(self, chain), false));
                self.later(secs, Incident::Restore(chain, Restored::Approved));
            }
            Incident::RouteBroken(chain, secs) => {
                self.deed(Deed::RouteBroken(address(self, chain), true));
                self.later(secs, Incident::Restore(chain, Restored::Route));
            }
            Incident::Restore(chain, what) => {
                let oracle = address(self, chain);
                self.deed(match what {
                    Restored::Optimistic => Deed::Optimistic(oracle, false),
                    Restored::Approved => Deed::Approved(oracle, true),
                    Restored::Route => Deed::RouteBroken(oracle, false),
                });
            }
            Incident::Operator(chain) => self.random_command(chain),
            Incident::Reload(chain) => self.reload(chain),
            _ => {}
        }
    }

    fn deed(&mut self, deed: Deed) {
        self.world.l1.pending.push(deed);
    }

    fn later(&mut self, secs: u64, incident: Incident) {
        let at = self.now.plus_secs(secs);
        self.at(at, What::Incident(incident));
    }

    /// The disk is nearly full, or has room again.
    pub(super) fn disk(&mut self, low: bool) {
        self.disk_low = low;
        let free = if low { DISK_MINIMUM / 2 } else { DISK_MINIMUM * 100 };
        self.feed(&DiskRead { free, minimum: DISK_MINIMUM }.into(), Origin::default());
    }

    /// Other limits for a rollup, or another account.
    fn reload(&mut self, chain: ChainId) {
        let Some(mut configured) = self.configured.get(&chain).cloned() else { return };
        let policy = &mut configured.policy;
        match self.rng.below(4) {
            0 => policy.max_proofs_in_flight = 1,
            1 => policy.span_blocks = policy.span_blocks / 2 + 5,
            2 => policy.max_witness_in_flight = 1,
            _ => policy.signer = SECOND_SIGNER,
        }
        self.checker.configured(&configured);
        self.configured.insert(chain, configured.clone());
        self.feed(&configured.into(), Origin::default());
    }

    fn random_command(&mut self, chain: ChainId) {
        let Some(process) = &self.process else { return };
        let Some(state) = process.state().chains.get(&chain) else { return };
        let units: Vec<UnitId> = state.units().map(|unit| unit.id).collect();
        let top = state.finalized.map_or(L2Block(0), |head| head.block);
        let control = self.rng.pick(&[Control::Planning, Control::Proving, Control::Submitting]);
        let (Some(control), unit) = (control, self.rng.pick(&units)) else { return };
        let of_unit = |command: fn(UnitId) -> Command| unit.map(command);
        let command = match self.rng.below(8) {
            0 => Some(Command::Pause { chain, control }),
            1 => Some(Command::Drain { chain }),
            2 | 3 => Some(Command::Flush { chain, to: top }),
            4 => of_unit(|unit| Command::Retry { unit }),
            5 => of_unit(|unit| Command::Park { unit }),
            6 => of_unit(|unit| Command::Cancel { unit }),
            _ => Some(Command::Resume { chain, control }),
        };
        if let Some(command) = command {
            self.command(command);
        }
    }
}
