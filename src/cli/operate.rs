//! Commands to a running engine: over the socket in its data directory, or over HTTP with a name and password.
//!
//! Each leaves an event with the operator's name, or is refused with what can be done instead.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use prooflog_events::ids::{ChainId, L2Block, UnitId};
use prooflog_events::values::Control;
use prooflog_store::OpenOptions;

use super::exit::CliError;
use super::output::{self, Form, json_line};
use super::source::{Moment, Source, directory};
use crate::api::{
    BackupAnswer, BackupRequest, ChainReport, Client, ClientError, Command, CommandAnswer, CommandRequest,
    UnitName,
};
use crate::run::Would;

/// Who commands, why, and which engine.
#[derive(Args)]
pub(crate) struct Way {
    /// Which rollup, by L2 chain id; not needed with one.
    #[arg(long, global = true)]
    chain: Option<ChainId>,
    /// Why: the words go into the event.
    #[arg(long, default_value = "", global = true)]
    note: String,
    /// Who commands: the name goes into the event.
    #[arg(long = "as", env = "USER", hide_env_values = true, default_value = "operator", global = true)]
    operator: String,
    /// An engine elsewhere, by the address of its operator port; the user is PROOFLOG_USER, the password
    /// PROOFLOG_PASSWORD.
    #[arg(long, global = true)]
    engine: Option<String>,
}

impl Way {
    /// The rollup that is meant, where one was named.
    pub(crate) const fn chain(&self) -> Option<ChainId> {
        self.chain
    }
}

/// Kinds of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Cutting new spans.
    Planning,
    /// Requesting proofs.
    Proving,
    /// Sending transactions.
    Submitting,
    /// All three.
    All,
}

impl Work {
    const fn controls(self) -> &'static [Control] {
        match self {
            Self::Planning => &[Control::Planning],
            Self::Proving => &[Control::Proving],
            Self::Submitting => &[Control::Submitting],
            Self::All => &[Control::Planning, Control::Proving, Control::Submitting],
        }
    }
}

/// What an operator can tell the engine.
#[derive(Subcommand)]
pub(crate) enum Operation {
    /// Halt a kind of work; it stays halted through restarts.
    #[command(after_help = "Example: prooflog pause submitting --note 'key ceremony'")]
    Pause {
        /// What.
        #[arg(value_enum)]
        work: Work,
    },
    /// Let a halted kind of work go on.
    #[command(after_help = "Example: prooflog resume submitting")]
    Resume {
        /// What.
        #[arg(value_enum)]
        work: Work,
    },
    /// Finish and submit what there is, plan nothing new; `resume planning` ends it.
    #[command(after_help = "Example: prooflog drain --note 'new contract on Monday'")]
    Drain,
    /// Prove and submit everything up to a block, without waiting for full spans.
    #[command(after_help = "Example: prooflog flush --to 123456")]
    Flush {
        /// The L2 block.
        #[arg(long)]
        to: u64,
    },
    /// Try a unit again now, with a full budget.
    #[command(after_help = "Example: prooflog retry span-10-7")]
    Retry {
        /// Which span or aggregate.
        unit: UnitId,
    },
    /// Set a unit aside until it is unparked.
    #[command(after_help = "Example: prooflog park span-10-7 --note 'waits for the new prover'")]
    Park {
        /// Which span or aggregate.
        unit: UnitId,
    },
    /// Let a parked unit go on.
    #[command(after_help = "Example: prooflog unpark span-10-7")]
    Unpark {
        /// Which span or aggregate.
        unit: UnitId,
    },
    /// Take a unit back; its blocks are planned again. What the prover already works on stays paid for.
    #[command(after_help = "Example: prooflog cancel span-10-7 --note 'proven elsewhere'")]
    Cancel {
        /// Which span or aggregate.
        unit: UnitId,
    },
}

/// Tells the engine.
pub(crate) fn run(dir: &Path, way: &Way, operation: &Operation, form: Form) -> Result<(), CliError> {
    let chain = || way.chain.map_or_else(|| only_chain(dir, way), Ok);
    let commands: Vec<Command> = match operation {
        Operation::Pause { work } => {
            let chain = chain()?;
            work.controls().iter().map(|control| Command::Pause { chain, control: *control }).collect()
        }
        Operation::Resume { work } => {
            let chain = chain()?;
            work.controls().iter().map(|control| Command::Resume { chain, control: *control }).collect()
        }
        Operation::Drain => vec![Command::Drain { chain: chain()? }],
        Operation::Flush { to } => vec![Command::Flush { chain: chain()?, to: L2Block(*to) }],
        Operation::Retry { unit } => vec![Command::Retry { unit: UnitName(*unit) }],
        Operation::Park { unit } => vec![Command::Park { unit: UnitName(*unit) }],
        Operation::Unpark { unit } => vec![Command::Unpark { unit: UnitName(*unit) }],
        Operation::Cancel { unit } => vec![Command::Cancel { unit: UnitName(*unit) }],
    };
    let engine = client(dir, way)?;
    blocking(async {
        let several = commands.len() > 1;
        let mut done = 0_usize;
        let mut refused = None;
        for command in commands {
            let request =
                CommandRequest { command, note: way.note.clone(), operator: Some(way.operator.clone()) };
            match engine.post::<CommandAnswer>("v1/command", &request).await {
                Ok(answer) => {
                    done += 1;
                    print(&answer, form)?;
                }
                // Of `all`, some may be in force already.
                Err(error @ ClientError::Refused(_)) if several => refused = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        match refused {
            Some(error) if done == 0 => Err(error.into()),
            _ => Ok(()),
        }
    })
}

fn print(answer: &CommandAnswer, form: Form) -> Result<(), CliError> {
    output::print(|out| match form {
        Form::Json => json_line(out, answer),
        Form::Text => writeln!(out, "done at position {}: {}", answer.position, answer.events.join(", ")),
    })
}

/// Has a backup made: by the engine that holds the directory, or by ourselves if none does.
pub(crate) fn backup(dir: &Path, way: &Way, to: &Path, form: Form) -> Result<(), CliError> {
    let target = std::path::absolute(to).map_err(CliError::io(to.display().to_string()))?;
    let answer = match client(dir, way) {
        Ok(engine) => {
            let request = BackupRequest { to: target };
            let asked = blocking(async { Ok(engine.post::<BackupAnswer>("v1/backup", &request).await) })?;
            match asked {
                // A socket without an engine: one that was killed.
                Err(ClientError::Nobody(_)) if way.engine.is_none() => alone(dir, &request.to)?,
                asked => asked?,
            }
        }
        Err(CliError::Engine(ClientError::Nobody(_))) => alone(dir, &target)?,
        Err(error) => return Err(error),
    };
    output::print(|out| match form {
        Form::Json => json_line(out, &answer),
        Form::Text => writeln!(out, "{} records backed up, the last one is {}", answer.position, answer.hash),
    })
}

fn alone(dir: &Path, target: &Path) -> Result<BackupAnswer, CliError> {
    let dir = directory(dir, "an export is a copy already")?;
    let (store, _) = prooflog_store::open(dir, OpenOptions::existing())?;
    let head = store.backup(target)?;
    Ok(BackupAnswer { position: head.position.0, hash: head.hash.to_string() })
}

pub(crate) fn client(dir: &Path, way: &Way) -> Result<Client, CliError> {
    let Some(address) = &way.engine else { return Ok(Client::local(dir)?) };
    let variable = |name: &str| {
        std::env::var(name).map_err(|_| CliError::Usage(format!("--engine needs {name} in the environment")))
    };
    Ok(Client::remote(address, (variable("PROOFLOG_USER")?, variable("PROOFLOG_PASSWORD")?))?)
}

/// The rollup of a log, or of an engine elsewhere, that has one.
fn only_chain(dir: &Path, way: &Way) -> Result<ChainId, CliError> {
    let chains: Vec<ChainId> = if way.engine.is_some() {
        let engine = client(dir, way)?;
        let told: Vec<ChainReport> = blocking(async { Ok(engine.get("v1/chains").await?) })?;
        told.into_iter().filter_map(|told| told.chain).collect()
    } else {
        Source::open(dir, Moment::HEAD)?.state()?.chains.keys().copied().collect()
    };
    match chains.as_slice() {
        [chain] => Ok(*chain),
        [] => Err(CliError::Usage("no rollup is known yet: name one with --chain".to_owned())),
        several => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(CliError::Usage(format!("name a rollup with --chain: {}", names.join(", "))))
        }
    }
}

/// Runs one conversation.
pub(crate) fn blocking<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(CliError::io("the runtime"))?.block_on(work)
}

/// Where a backup goes.
#[derive(Args)]
pub(crate) struct Target {
    /// A directory that does not exist yet; on another disk if it is to survive this one.
    #[arg(long)]
    pub(crate) to: PathBuf,
}

/// Shows what an engine that only observes would do.
pub(crate) fn would(dir: &Path, way: &Way, form: Form) -> Result<(), CliError> {
    let engine = client(dir, way)?;
    let found: Vec<Would> = blocking(async { Ok(engine.get("v1/would").await?) })?;
    output::print(|out| match form {
        Form::Json => found.iter().try_for_each(|would| json_line(out, would)),
        Form::Text if found.is_empty() => writeln!(out, "nothing more would be done now"),
        Form::Text => found
            .iter()
            .try_for_each(|would| writeln!(out, "{}  {}  {}", would.stream, would.event, would.text)),
    })
}
