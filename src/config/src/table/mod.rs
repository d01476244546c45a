//! The table: one row per key. Everything about configuration is derived from it: which texts are right and where they
//! go, flags, variables, the effective print, the reference page, and which older names mean the same.
//!
//! A row names the place of its value in the settings, so a key that nothing reads cannot be written down. A key's flag
//! is `--` and the key; its variable is `PROOFLOG_` and the key in capitals with `_` for dots and dashes. The default is
//! what stands at the place before anything is read.

mod chain;
mod process;
mod sending;
mod signer;

use crate::draft::ChainDraft;
use crate::kinds::{Bare, Context, Exposure, Given, Kind, Shape};
use crate::process::ProcessConfig;

/// What every variable of ours begins with.
pub(crate) const PREFIX: &str = "PROOFLOG_";

/// A place in `T` and the kind of value that stands there.
pub(crate) struct At<K: Kind, T: 'static> {
    kind: K,
    place: fn(&mut T) -> &mut K::Value,
}

/// A place in `T`, whatever its kind.
pub(crate) trait Place<T>: Sync {
    /// Reads a value into its place, or says what is wrong with it.
    fn set(&self, target: &mut T, given: &Given, context: &mut Context) -> Result<(), String>;
    /// What stands there, as it may be shown.
    fn show(&self, target: &mut T) -> String;
    /// What a right text looks like.
    fn right(&self) -> String;
    /// How it looks on the command line.
    fn shape(&self) -> Shape;
    /// How much may be shown.
    fn exposure(&self) -> Exposure;
    /// Two right texts with different values.
    #[cfg(test)]
    fn samples(&self) -> [String; 2];
}

impl<K: Kind, T> Place<T> for At<K, T> {
    fn set(&self, target: &mut T, given: &Given, context: &mut Context) -> Result<(), String> {
        *(self.place)(target) = self.kind.read(given, context)?;
        Ok(())
    }

    fn show(&self, target: &mut T) -> String {
        self.kind.show((self.place)(target))
    }

    fn right(&self) -> String {
        self.kind.right()
    }

    fn shape(&self) -> Shape {
        K::SHAPE
    }

    fn exposure(&self) -> Exposure {
        K::EXPOSURE
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        self.kind.samples()
    }
}

/// A program that read an older name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    /// op-succinct's Go proposer; it read `OP_PROPOSER_` and the name.
    Go,
    /// The compose file around it, which read the bare name and had defaults of its own.
    GoCompose,
    /// op-succinct's Rust proposer.
    Rust,
    /// op-proposer; it read `OP_PROPOSER_` and the name.
    OpProposer,
}

impl Program {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Go => "Go proposer",
            Self::GoCompose => "its compose file",
            Self::Rust => "Rust proposer",
            Self::OpProposer => "op-proposer",
        }
    }
}

/// An older name of a key. It is read as it stands and with `OP_PROPOSER_` before it.
pub(crate) struct Older {
    /// The name without prefix.
    pub(crate) name: &'static str,
    /// Who read it, and what each took where it was not set; empty where it had no default.
    pub(crate) defaults: &'static [(Program, &'static str)],
    /// Whether a bare number had a unit that everybody knew.
    pub(crate) bare: Bare,
    /// What is different now; empty where nothing is.
    pub(crate) changed: &'static str,
    /// What is worth saying although the meaning is the same.
    pub(crate) remark: &'static str,
}

impl Older {
    const fn new(name: &'static str, defaults: &'static [(Program, &'static str)]) -> Self {
        Self { name, defaults, bare: Bare::Guess, changed: "", remark: "" }
    }

    /// Bare numbers of this name had a known unit, the one that the key takes them for.
    const fn bare(self) -> Self {
        Self { bare: Bare::Known, ..self }
    }

    const fn changed(self, changed: &'static str) -> Self {
        Self { changed, ..self }
    }

    const fn remark(self, remark: &'static str) -> Self {
        Self { remark, ..self }
    }
}

/// To how many rollups one value can belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// To any number.
    Shared,
    /// To one: with several, each has its own.
    Own,
}

/// A row: a key, where its value goes, and what it means.
pub(crate) struct Key<T: 'static> {
    /// Its name everywhere; in a `[[chain]]` without a leading `chain-`.
    pub(crate) name: &'static str,
    /// Where the value goes and what it can be.
    pub(crate) place: &'static dyn Place<T>,
    /// What it means, in whole sentences.
    pub(crate) doc: &'static str,
    /// To how many rollups a value can belong.
    pub(crate) sharing: Sharing,
    /// Older names.
    pub(crate) older: &'static [Older],
}

/// Rows: `key, kind, place, doc, older names`.
macro_rules! keys {
    ($target:ty; $($name:literal $sharing:ident $kind:expr, |$t:ident| $place:expr, $doc:literal, [$($older:expr),* $(,)?];)*) => {
        &[$(Key {
            name: $name,
            place: &At::<_, $target> { kind: $kind, place: |$t| &mut $place },
            doc: $doc,
            sharing: crate::table::Sharing::$sharing,
            older: &[$($older),*],
        }),*]
    };
}
use keys;

/// The keys of a rollup by subject.
pub(crate) const SUBJECTS: [(&str, &[Key<ChainDraft>]); 3] = [
    ("What a rollup is and how it is proven", chain::KEYS),
    ("Who signs", signer::KEYS),
    ("How transactions are sent", sending::KEYS),
];

/// The keys of the process.
pub(crate) fn process_keys() -> impl Iterator<Item = &'static Key<ProcessConfig>> {
    process::KEYS.iter()
}

/// The keys of a rollup.
pub(crate) fn chain_keys() -> impl Iterator<Item = &'static Key<ChainDraft>> {
    SUBJECTS.into_iter().flat_map(|(_, keys)| keys)
}

/// What of a row does not depend on where its value goes.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) scope: Scope,
    pub(crate) doc: &'static str,
    pub(crate) shape: Shape,
    pub(crate) exposure: Exposure,
    pub(crate) older: &'static [Older],
}

/// What a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The process.
    Process,
    /// A rollup.
    Chain(Sharing),
}

impl<T> Key<T> {
    fn row(&self, scope: Scope) -> Row {
        let Self { name, place, doc, older, .. } = self;
        Row { name, scope, doc, shape: place.shape(), exposure: place.exposure(), older }
    }
}

/// Every key.
pub(crate) fn rows() -> impl Iterator<Item = Row> {
    let process = process_keys().map(|key| key.row(Scope::Process));
    process.chain(chain_keys().map(|key| key.row(Scope::Chain(key.sharing))))
}

/// The row of a key.
pub(crate) fn row(name: &str) -> Option<Row> {
    rows().find(|row| row.name == name)
}

/// The variable of a key.
pub(crate) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", in_capitals(key))
}

/// A key as it stands in a variable, without prefix.
pub(crate) fn in_capitals(key: &str) -> String {
    key.to_ascii_uppercase().replace(['.', '-'], "_")
}
