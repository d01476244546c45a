//! Configuration: TOML, environment, flags, and the names of older proposers.
//!
//! One table says which keys there are, what each can be, where its value goes and what it means. Reading, flags,
//! variables, the effective print and the reference page are derived from it. A flag beats the environment, that beats
//! the file, that beats the default; every problem is reported at once, with its key and its place. Nothing that is
//! shown holds a secret. What a crash in here means: nothing; it happens before anything is opened.

mod chain;
mod check;
mod collect;
mod draft;
mod effective;
mod env_file;
mod flags;
mod kinds;
mod load;
mod nearest;
mod older;
mod policies;
mod problem;
mod process;
mod reference;
mod resolve;
mod signer;
mod sources;
mod table;
mod toml_file;
mod units;

pub use chain::{ChainConfig, ProverConfig, RemoteSigner, SignerConfig, Source};
pub use effective::EffectiveValue;
pub use flags::{command_args, process_args};
pub use kinds::Header;
pub use load::{Loaded, load, load_process};
pub use policies::Policies;
pub use problem::{ChainProblem, ConfigErrors, Note, NoteKind, Origin, Problem};
pub use process::{EventStoreConfig, Listener, LogConfig, LogFormat, ProcessConfig};
pub use reference::{older_names, reference};
pub use sources::{SourceFile, Sources};

#[cfg(test)]
mod table_tests;
