//! The one place where anything is decided: an input becomes events.
//!
//! Every input goes the same way: its own rule first (one file per subject), then what is due, then what can be done
//! next ([`advance`]). The state moves with every event, so the result is the same whether the events are folded
//! later or were just decided.

mod advance;
mod aggregates;
mod ceiling;
mod contract;
mod halves;
mod import;
mod node;
mod operator;
mod planning;
mod proving;
mod refused;
mod sending;
mod slots;
mod turns;

pub(crate) use advance::proofs_kept_secs;
pub(crate) use aggregates::{awaits_validation, checkpoint_bound};
pub(crate) use contract::optimistic_block;
pub(crate) use planning::{gap_needs_sizes, plannable_gap, tip_due};
pub(crate) use proving::probe_at;
pub(crate) use sending::{has_free_slot, is_carried, is_held, is_wanted, may_send};

use prooflog_events::ids::Micros;
use prooflog_events::input::Input;
use prooflog_projections::state::{Illegal, State};

use crate::batch::{Batch, Decision};

/// Why an input led to nothing, beyond changing nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecideError {
    /// The input asks for something that cannot be done; the state is as before.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// A rule decided an event that the fold does not take: a bug. The state must not be used any more.
    #[error("a rule decided an illegal event: {0}")]
    Bug(#[from] Illegal),
}

/// Why something cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No such rollup.
    #[error("rollup {0} is not in this log")]
    UnknownChain(prooflog_events::ids::ChainId),
    /// No such unit, or it is over.
    #[error("{0} is not there any more; `show` tells what became of it")]
    UnknownUnit(prooflog_events::ids::UnitId),
    /// The unit's phase does not allow it.
    #[error("{unit} is {phase}: {hint}")]
    WrongPhase {
        /// Which unit.
        unit: prooflog_events::ids::UnitId,
        /// Its phase.
        phase: &'static str,
        /// What can be done instead.
        hint: &'static str,
    },
    /// What its proofs are compared with is not known.
    #[error(
        "the contract of rollup {0} was never read: run with --observe first, or give the import a configuration"
    )]
    UnreadContract(prooflog_events::ids::ChainId),
    /// The command is in force already.
    #[error("nothing to do: {0}")]
    Already(&'static str),
    /// The log belongs to another chain or contract.
    #[error(
        "this log cannot go on with that configuration: {field} is {configured}, the log says {recorded}"
    )]
    WrongIdentity {
        /// What differs.
        field: &'static str,
        /// As configured.
        configured: String,
        /// As recorded.
        recorded: String,
    },
    /// A setting cannot be right.
    #[error("rollup {chain}: {error}")]
    Policy {
        /// The rollup.
        chain: prooflog_events::ids::ChainId,
        /// Which setting.
        error: prooflog_events::policy::PolicyError,
    },
}

/// Decides on one input at the moment `now`. The state moves along; no events means that nothing changed.
///
/// # Errors
/// [`DecideError::Refused`] when the input asks for what cannot be done, and [`DecideError::Bug`] when a rule is wrong.
pub fn decide(state: &mut State, now: Micros, input: &Input) -> Result<Decision, DecideError> {
    // Recorded time never runs backwards; how far the clock is behind is a fact of its own.
    let behind = state.time.secs_since(now);
    let mut batch = Batch::new(state, now.max(state.time));
    // A refused input must leave the state as it was, so what may refuse comes before anything is recorded; and a start is
    // the first of all.
    let comes_first = matches!(
        input,
        Input::EngineOpened(_)
            | Input::ChainConfigured(_)
            | Input::OperatorCommanded(_)
            | Input::RowsImported(_)
    );
    if !comes_first {
        node::watch_clock(&mut batch, behind)?;
    }
    match input {
        Input::EngineOpened(input) => node::opened(&mut batch, input)?,
        Input::EngineClosing(input) => node::closing(&mut batch, input)?,
        Input::ChainConfigured(input) => node::configured(&mut batch, input)?,
        // What is owed may depend on the moment: it is looked at again.
        Input::TimerDue(input) => batch.state.touch_chains(&input.chains),
        Input::DiskRead(input) => node::disk(&mut batch, input)?,
        Input::NodeRead(input) => planning::heads(&mut batch, input)?,
        Input::BlocksRead(input) => planning::blocks(&mut batch, input)?,
        Input::OutputRead(input) => contract::output(&mut batch, input)?,
        Input::ContractRead(input) => contract::read(&mut batch, input, behind)?,
        Input::ServerValidated(input) => contract::validated(&mut batch, input)?,
        Input::SignerRead(input) => slots::read(&mut batch, input)?,
        Input::WitnessAnswered(input) => proving::witness(&mut batch, input)?,
        Input::MembersRefused(input) => refused::members(&mut batch, input)?,
        Input::StatusAnswered(input) => proving::status(&mut batch, input)?,
        Input::TxQuoted(input) => sending::quoted(&mut batch, input)?,
        Input::TxSigned(input) => sending::signed(&mut batch, input)?,
        Input::TxSent(input) => sending::sent(&mut batch, input)?,
        Input::OperatorCommanded(input) => operator::command(&mut batch, input)?,
        Input::RowsImported(input) => import::rows(&mut batch, input)?,
    }
    if comes_first {
        node::watch_clock(&mut batch, behind)?;
    }
    // A closing engine starts nothing, and an import is none; what is owed is owed by the next one.
    if !matches!(input, Input::EngineClosing(_) | Input::RowsImported(_)) {
        advance::advance(&mut batch, input)?;
    }
    Ok(batch.finish())
}
