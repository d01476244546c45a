//! What a configuration file would make of policies that are on record.
//!
//! Only the file counts, not the environment: it is a question about another policy, and what the file does not name
//! stays as it was recorded. Nothing is opened and nobody is asked. What a crash in here means: nothing was changed.

use std::path::Path;

use prooflog_events::ids::ChainId;
use prooflog_events::policy::{Policy, PolicyError};
use prooflog_events::values::Mode;
use prooflog_net::Salt;

use crate::collect::{Item, collect};
use crate::draft::ChainDraft;
use crate::kinds::Context;
use crate::problem::{ConfigErrors, Problem};
use crate::resolve::resolve;
use crate::sources::{CONFIG, SourceFile, Sources, read_text};
use crate::table::chain_keys;

/// The settings of a file, to be laid over recorded policies.
pub struct Policies {
    /// For all rollups.
    shared: Vec<Item>,
    /// For one.
    chains: Vec<(ChainId, Vec<Item>)>,
}

impl Policies {
    /// Reads a configuration file: a whole one, or only the settings that are asked about.
    ///
    /// # Errors
    /// When the file cannot be read, and all problems of what it says at once.
    pub fn read(path: &Path) -> Result<Self, ConfigErrors> {
        let (text, readable_by_others) = read_text(path).map_err(|wrong| {
            let wrong = format!("{} {wrong}", path.display());
            ConfigErrors(vec![Problem::new(CONFIG, None, wrong, "it must be a text file of at most 1 MiB")])
        })?;
        let file = SourceFile { path: path.to_owned(), text, readable_by_others };
        let sources = Sources { file: Some(file), ..Sources::default() };
        let resolved = resolve(collect(&sources), Salt::default());
        let mut problems = resolved.problems;
        let mut chains = Vec::new();
        let found = collect(&sources);
        for (items, draft) in found.chains.into_iter().zip(resolved.drafts) {
            problems.extend(draft.problems);
            match draft.chain.id {
                Some(id) => chains.push((ChainId(id), items.items)),
                // A file without a `[[chain]]` is about all of them.
                None if items.items.is_empty() => {}
                None => {
                    problems.push(Problem::new(
                        "chain-id",
                        items.origin,
                        "is missing",
                        "say which rollup it is",
                    ));
                }
            }
        }
        if problems.is_empty() {
            Ok(Self { shared: found.shared, chains })
        } else {
            Err(ConfigErrors(problems))
        }
    }

    /// The rollups that the file names.
    pub fn named(&self) -> impl Iterator<Item = ChainId> + '_ {
        self.chains.iter().map(|(id, _)| *id)
    }

    /// The policy of a rollup with the settings of the file in it.
    ///
    /// # Errors
    /// When both together cannot be right.
    pub fn over(&self, chain: ChainId, recorded: &Policy) -> Result<Policy, PolicyError> {
        let mut draft = ChainDraft { policy: recorded.clone(), ..ChainDraft::default() };
        draft.mock = recorded.mode == Mode::Mock;
        let own = self.chains.iter().filter(|(id, _)| *id == chain).flat_map(|(_, items)| items);
        let mut context = Context { salt: Salt::default(), hint: None };
        // Those of one rollup come last, and win. Every item was read before, so none of them is wrong.
        for item in self.shared.iter().chain(own) {
            if let Some(key) = chain_keys().find(|key| key.name == item.key) {
                let _ = key.place.set(&mut draft, &item.given, &mut context);
            }
        }
        let mode = if draft.mock { Mode::Mock } else { Mode::Real };
        let policy = Policy { mode, ..draft.policy };
        policy.check().map(|()| policy)
    }
}
