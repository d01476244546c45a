//! `replay`: recorded decisions, made again by today's rules, or under another policy.
//!
//! Without `--policy` it compares and ends with exit code 5 at the first difference that nobody declared. It reads the
//! log as every other command does, beside a running engine.

mod declared;
mod found;
mod outlook;
pub(super) mod wide;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use clap::Args;
use prooflog_engine::redecide::{Change, Progress as Done, Question, built_in, check, what_if};
use prooflog_events::ids::{ChainId, Position};
use prooflog_events::policy::{Policy, PolicyError};
use prooflog_projections::State;

use super::exit::CliError;
use super::output::{self, Form};
use super::progress::Progress;
use super::source::{Moment, Source};

/// What to decide again.
#[derive(Args)]
pub(crate) struct Replay {
    /// Compare with what was recorded, and stop at the first difference. This is what it does without `--policy`.
    #[arg(long)]
    check: bool,
    /// Decide what came after this moment; without it everything, from the empty log.
    #[arg(long)]
    from: Option<Moment>,
    /// Up to this moment, as for `--at`.
    #[arg(long, conflicts_with = "at")]
    to: Option<Moment>,
    /// Changes of the rules that are known and expected, beside those that this release declares itself (TOML).
    #[arg(long, value_name = "FILE")]
    declared: Option<PathBuf>,
    /// What would have been decided under this policy: a configuration, or only the settings that are asked about.
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    policy: Option<PathBuf>,
}

/// Decides again.
pub(crate) fn run(dir: &Path, at: Moment, replay: &Replay, form: Form) -> Result<(), CliError> {
    let source = Source::open(dir, replay.to.unwrap_or(at))?;
    let begin = match replay.from {
        None => (State::new(source.log()), Position::ZERO),
        Some(from) => {
            let from = source.settled(from)?;
            if from > source.at() {
                let text = format!("position {from} is after {}: nothing lies between", source.at());
                return Err(CliError::Usage(text));
            }
            (source.state_at(from)?, from)
        }
    };
    let mut changes = built_in();
    if let Some(file) = &replay.declared {
        changes.extend(declared::read(file)?);
    }
    match &replay.policy {
        Some(file) => ask(&source, begin, (file, &changes), form),
        None => compare(&source, begin, &changes, form),
    }
}

fn compare(
    source: &Source,
    begin: (State, Position),
    changes: &[Change],
    form: Form,
) -> Result<(), CliError> {
    let from = begin.1;
    let mut progress = Progress::start("replay", source.at().0.saturating_sub(from.0));
    let mut tell = |done: Done| progress.at(done.position.0.saturating_sub(from.0));
    let checked = check(&source.reader(), begin, source.at(), changes, &mut tell)?;
    drop(progress);
    found::show(from, &checked, changes, form)?;
    match checked.difference {
        None => Ok(()),
        Some(difference) => Err(CliError::Difference(difference.position)),
    }
}

fn ask(
    source: &Source,
    begin: (State, Position),
    (file, changes): (&Path, &[Change]),
    form: Form,
) -> Result<(), CliError> {
    let policies = prooflog_config::Policies::read(file)?;
    let wrong: RefCell<Option<PolicyError>> = RefCell::new(None);
    let from = begin.1;
    let mut progress = Progress::start("replay", source.at().0.saturating_sub(from.0));
    let other = |chain: ChainId, recorded: &Policy| {
        policies.over(chain, recorded).unwrap_or_else(|error| {
            wrong.borrow_mut().get_or_insert(error);
            recorded.clone()
        })
    };
    let question = Question { other: &other, changes };
    let mut tell = |done: Done| progress.at(done.position.0.saturating_sub(from.0));
    let outlook = what_if(&source.reader(), begin, source.at(), &question, &mut tell)?;
    if let Some(error) = wrong.borrow_mut().take() {
        return Err(CliError::Usage(format!("that policy cannot be right: {error}")));
    }
    drop(progress);
    for chain in policies.named().filter(|id| outlook.policies.iter().all(|known| known.chain != *id)) {
        output::aside(format_args!("prooflog: rollup {chain} has no decisions here"));
    }
    outlook::show(&outlook, changes, form)
}
