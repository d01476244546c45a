//! A server with the interface of the op-succinct prover, with scripted latency and faults.
//!
//! It speaks what `docs/prover.md` describes, proves nothing, and refuses what a real program would refuse: its proofs
//! bind all public values, and a devnet contract checks them with one hash. [`serve`] runs it for any number of chains;
//! [`Script`] says how fast it is and what goes wrong; [`Stats`] count what was paid for. What a crash in here means: all
//! ids are forgotten.

mod answer;
mod book;
mod config;
mod hex32;
mod proof;
mod script;
mod server;
mod sources;
mod work;

pub use book::{Kind, Paid, Stats};
pub use config::{ChainConfig, Config, Generation, L1HeadChoice};
pub use hex32::{Hex, Word};
pub use proof::{ProofBytes, PublicValues, STATEMENT_BYTES, Statement, aggregate, keccak};
pub use script::{CallKind, Fault, FaultKind, Script};
pub use server::{Handle, ServeError, serve};
