//! The pure core: what follows from what is known.
//!
//! [`decide`] turns an input into events, [`plan`] turns the state into owed [`Effect`]s, and [`Outbox`] remembers
//! which of them are under way. No IO, no async, no clock, no randomness, no unordered iteration: production, replay
//! and simulation run exactly this code. What a crash in here means: a bug; nothing was written yet.

mod batch;
mod changes;
mod decide;
mod effect;
pub mod import;
mod losses;
mod outbox;
mod plan;
mod rules;

pub use batch::{Decision, NewEvent};
pub use changes::{CHANGES, RuleChange};
pub use decide::{DecideError, Refused, decide};
pub use effect::{AggRequest, Effect, EffectKey, OutputBody, Pace, ProofRequest, TxBody, Urgency};
pub use losses::{Losses, Patience};
pub use outbox::{Outbox, Outcome, Pacing};
pub use plan::{chain_effects, plan, signer_effects, unit_effects};
pub use rules::{BEHAVIOUR, checkpoint_block, other_clocks};
