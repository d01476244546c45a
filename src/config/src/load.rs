//! From sources to settings, and everything that is to be said about them.

use prooflog_events::ids::{ChainId, Hash32};
use prooflog_net::Salt;

use crate::chain::ChainConfig;
use crate::check;
use crate::collect::collect;
use crate::effective::{EffectiveValue, digest};
use crate::problem::{ChainProblem, ConfigErrors, Note, Problem};
use crate::process::ProcessConfig;
use crate::resolve::{Resolved, effective, resolve};
use crate::sources::Sources;
use crate::table::{chain_keys, process_keys};

/// A configuration with which the process can start.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings of the process.
    pub process: ProcessConfig,
    /// The rollups in the order of the file: each with its settings, or why it is left out. At least one has settings.
    pub chains: Vec<Result<ChainConfig, ChainProblem>>,
    /// What the operator should know; nothing of it stops anything.
    pub report: Vec<Note>,
    /// The value in force of every key, of the process and of each rollup that has settings.
    pub effective: Vec<EffectiveValue>,
    /// SHA-256 over those values: equal where they are equal, wherever they came from. Endpoints count by their salted
    /// digest, so it can be compared within one data directory.
    pub digest: Hash32,
}

/// Reads and checks the whole configuration. `salt` goes into the digests of endpoints.
///
/// # Errors
/// All problems of the process at once; with them those of the chains. A problem of one chain among several is no
/// error: it is in [`Loaded::chains`].
pub fn load(sources: &Sources, salt: Salt) -> Result<Loaded, ConfigErrors> {
    let Resolved { mut process, process_origins, mut drafts, mut problems, mut notes, broken } =
        resolve(collect(sources), salt);
    let (wrong, worth_knowing) = check::process(&process, &process_origins);
    problems.extend(wrong);
    notes.extend(worth_knowing);
    if broken {
        // Whatever is missing may stand in the part that could not be read.
        return Err(ConfigErrors(problems));
    }
    problems.extend(check::chains(&drafts));
    let chains: Vec<Result<ChainConfig, ChainProblem>> = drafts
        .iter()
        .map(|draft| {
            check::chain(draft, &problems, &mut notes).map_err(|problems| {
                let id = draft.chain.id.map(ChainId);
                ChainProblem { id, name: draft.called.clone(), problems }
            })
        })
        .collect();
    let runs = chains.iter().any(Result::is_ok);
    if !problems.is_empty() || !runs {
        problems.extend(of_chains(&chains));
        return Err(ConfigErrors(problems));
    }
    let mut values = effective(process_keys(), &mut process, &process_origins, None);
    for (chain, draft) in chains.iter().zip(&mut drafts) {
        if let Ok(chain) = chain {
            draft.chain.name.clone_from(&chain.name);
            values.extend(effective(chain_keys(), &mut draft.chain, &draft.origins, Some(chain.id)));
        }
    }
    notes.sort_by_key(|note| note.kind);
    notes.dedup();
    let digest = digest(&values);
    Ok(Loaded { process, chains, report: notes, effective: values, digest })
}

/// Reads and checks what concerns the process alone, for programs that run no rollup: its settings and what the operator
/// should know of them.
///
/// # Errors
/// All problems of its keys at once, and files that cannot be read.
pub fn load_process(sources: &Sources) -> Result<(ProcessConfig, Vec<Note>), ConfigErrors> {
    let Resolved { process, process_origins, mut problems, mut notes, broken, .. } =
        resolve(collect(sources), Salt::default());
    let concerns = |key: &str| process_keys().any(|known| known.name == key);
    if !broken {
        problems.retain(|problem| concerns(&problem.key));
    }
    let (wrong, worth_knowing) = check::process(&process, &process_origins);
    problems.extend(wrong);
    if !problems.is_empty() {
        return Err(ConfigErrors(problems));
    }
    notes.retain(|note| note.key.is_some_and(concerns));
    notes.extend(worth_knowing);
    Ok((process, notes))
}

/// The problems of all chains, each with its chain where there are several.
fn of_chains(chains: &[Result<ChainConfig, ChainProblem>]) -> Vec<Problem> {
    let several = chains.len() > 1;
    let name = |chain: &ChainProblem, problem: &Problem| {
        let mut problem = problem.clone();
        if several {
            problem.key = format!("chain {}: {}", chain.name, problem.key);
        }
        problem
    };
    let failed = chains.iter().filter_map(|chain| chain.as_ref().err());
    failed.flat_map(|chain| chain.problems.iter().map(move |problem| name(chain, problem))).collect()
}
