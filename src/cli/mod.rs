//! The command line: arguments in, one command each, an exit code out.
//!
//! Every command looks at the log through a read-only open, so it works beside a running engine, without write
//! permission and on a full disk, and can destroy nothing. `--at` looks at an earlier moment. Lists are JSON Lines with
//! `--json`, single answers one JSON document.

mod audit;
mod bisect;
mod condition;
mod config;
mod debug;
mod devnet;
mod diff;
mod doctor;
#[cfg(test)]
mod documents;
mod events;
mod exit;
mod facts;
mod import;
mod movement;
mod operate;
mod output;
mod progress;
mod rebuild;
mod replay;
mod show;
mod source;
mod status;
mod timeline;
mod users;
mod verify;
mod why;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub(crate) use exit::CliError;
use source::{Moment, Source};

use crate::run::Spending;

#[derive(Parser)]
#[command(
    name = "prooflog",
    version,
    about = "Event-sourced proposer for OP Stack rollups: look into its log"
)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten, next_help_heading = "Telling a running engine")]
    way: operate::Way,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args)]
struct Common {
    /// Directory of the log. Commands that only look also take a backup's, or the file of an export, or a pipe with one.
    #[arg(long, env = "PROOFLOG_DATA_DIR", default_value = "./prooflog-data", global = true)]
    data_dir: PathBuf,
    /// Look at an earlier moment: a position, `head~N`, a time (2026-11-23T17:00:00Z) or `90m ago`, `2d ago`. Ends with
    /// its batch, where a state is defined.
    #[arg(long, default_value = "head", global = true)]
    at: Moment,
    /// Answer in JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run the engine: plan, prove, aggregate, submit.
    #[command(after_help = "Example: prooflog run --config prooflog.toml")]
    Run {
        /// Do everything but what costs: no proof is requested and no transaction sent. `would` shows what would be.
        #[arg(long)]
        observe: bool,
    },
    /// Serve a log to clients of the EventStore protocol, read-only, beside the engine that writes it or without one.
    #[command(after_help = "Example: prooflog serve --data-dir /backup/prooflog --eventstore.port 2114")]
    Serve,
    /// What a running engine that only observes would do.
    #[command(after_help = "Example: prooflog would --json")]
    Would,
    /// Check everything before money is spent, and say how to mend what is wrong.
    #[command(after_help = "Example: prooflog doctor --config prooflog.toml")]
    Doctor,
    /// Every setting in force and where it came from, secrets masked.
    #[command(after_help = "Example: prooflog config --config prooflog.toml")]
    Config,
    /// Check that a server speaks the prover's interface (docs/prover.md).
    #[command(after_help = "Example: prooflog prover-check http://127.0.0.1:3000 --prove 100:110 --mock")]
    ProverCheck(doctor::ProverCheck),
    /// Users of the operator's port, in the data directory.
    #[command(subcommand)]
    Users(users::Users),
    /// Where every rollup stands: contract, heads, work in flight, what holds it back.
    #[command(after_help = "Example: prooflog status --at '90m ago'")]
    Status,
    /// Live spans and aggregates, and what each waits for.
    #[command(after_help = "Example: prooflog requests --at head~100 --json")]
    Requests,
    /// Events, oldest first.
    #[command(
        after_help = "Examples:\n  prooflog events --stream span-10-7 --json\n  prooflog events --last 5 --type Paused"
    )]
    Events(events::Selection),
    /// One span, aggregate, transaction slot or rollup: how it stands and how it came there.
    #[command(after_help = "Example: prooflog show agg-10-3")]
    Show {
        /// Its stream: `span-CHAIN-N`, `agg-CHAIN-N`, `tx-L1-SIGNER-NONCE` or `chain-ID`.
        name: String,
    },
    /// What happened to one thing, in words: a span, an aggregate, a rollup.
    #[command(after_help = "Example: prooflog timeline span-10-7")]
    Timeline {
        /// Its stream: a span, an aggregate, a nonce or a rollup. A half's timeline is that of the span first planned, a
        /// nonce's that of its aggregate. Also what an outside writer gave as `$correlationId`.
        name: String,
    },
    /// Why something is as it is: the chain of causes in plain sentences, and what it waits for now.
    #[command(
        after_help = "Examples:\n  prooflog why 12345\n  prooflog why span-10-7 --at '90m ago'\n  prooflog why 0x5f3c1d0e8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d"
    )]
    Why(why::Question),
    /// What changed between two moments, as facts.
    #[command(after_help = "Example: prooflog diff '2h ago' head")]
    Diff {
        /// The earlier moment, as for --at.
        from: Moment,
        /// The later moment; the head without one.
        #[arg(conflicts_with = "at")]
        to: Option<Moment>,
    },
    /// The first position at which a condition over the state holds (docs/conditions.md).
    #[command(after_help = "Example: prooflog bisect 'parked > 0' --chain 10")]
    Bisect(bisect::Search),
    /// Decide every recorded input again by today's rules, and compare; or see what another policy would have led to.
    #[command(
        after_help = "Example: prooflog replay --check --from '2d ago'\n         prooflog replay --policy other.toml"
    )]
    Replay(replay::Replay),
    /// Walk through the log, event by event, forwards and backwards: what happened, why, what it changed, what was owed.
    #[command(
        after_help = "Examples:\n  prooflog debug --at '90m ago'\n  prooflog debug --break Parked --break 'lag > 1800'\n  \
                      prooflog debug --at 272 --json\n\nIn it, ? lists the keys."
    )]
    Debug(debug::Debug),
    /// Check every hash, position, revision, transition and law, and that snapshots equal their rebuild.
    #[command(after_help = "Example: prooflog verify --data-dir /backup/prooflog-2026-11-23")]
    Verify,
    /// Throw away all snapshots and make them anew from the log. No engine may hold the directory.
    #[command(after_help = "Example: prooflog rebuild --data-dir /var/lib/prooflog")]
    Rebuild,
    /// Evidence for a third party: signed checkpoints, proofs, and the auditor's report.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Write the log as JSON Lines, with `--at` only up to a moment.
    #[command(after_help = "Example: prooflog export --to prooflog-2026-11-23.jsonl")]
    Export {
        /// File to write; standard output without one.
        #[arg(long)]
        to: Option<PathBuf>,
    },
    /// Make a log of an export; everything is checked as it is read. Or take over what another proposer paid for.
    #[command(
        after_help = "Examples:\n  prooflog import prooflog-2026-11-23.jsonl --data-dir /var/lib/prooflog\n  prooflog import op-succinct --dry-run"
    )]
    Import(import::Import),
    /// Copy the log while it is being written; the copy is opened and compared.
    #[command(after_help = "Example: prooflog backup --to /mnt/other-disk/prooflog-2026-11-23")]
    Backup {
        #[command(flatten)]
        target: operate::Target,
    },
    #[command(flatten)]
    Operate(operate::Operation),
    /// A devnet to try everything on: two real chains, a rollup node, a prover's server, contracts (docs/devnet.md).
    #[command(disable_help_flag = true, after_help = "Example: prooflog devnet up --write devnet")]
    Devnet {
        /// For the devnet's own program; `--help` shows them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// Put a backup where a log is to be; the copy is opened and compared.
    #[command(
        after_help = "Example: prooflog restore /mnt/other-disk/prooflog-2026-11-23 --data-dir /var/lib/prooflog"
    )]
    Restore {
        /// Directory of the backup.
        backup: PathBuf,
    },
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    // A mistake on the command line is exit code 2, clap's own.
    let matches = command().get_matches();
    let result = Arguments::from_arg_matches(&matches)
        .map_err(|error| CliError::Usage(error.to_string()))
        .and_then(|arguments| {
            at_is_of_use(&arguments.command, &matches)?;
            run(&arguments, &matches)
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::aside(format_args!("prooflog: {error}"));
            error.exit_code()
        }
    }
}

/// Refuses a moment where nothing would ask about it: an answer about another one would be taken for it.
fn at_is_of_use(command: &Command, matches: &ArgMatches) -> Result<(), CliError> {
    let looks = match command {
        Command::Status
        | Command::Requests
        | Command::Events(_)
        | Command::Show { .. }
        | Command::Timeline { .. }
        | Command::Why(_)
        | Command::Diff { .. }
        | Command::Bisect(_)
        | Command::Replay(_)
        | Command::Debug(_)
        | Command::Verify
        | Command::Export { .. } => true,
        Command::Audit(audit) => audit.looks_at_a_moment(),
        _ => false,
    };
    if looks || matches.value_source("at") != Some(ValueSource::CommandLine) {
        return Ok(());
    }
    let text = "--at is for commands that look at a moment of the log, and this one looks at none";
    Err(CliError::Usage(text.to_owned()))
}

/// The commands that take the whole configuration.
const CONFIGURED: [&str; 3] = ["run", "doctor", "config"];

/// The command line, with a flag for every setting where it is of use.
fn command() -> clap::Command {
    let own: Vec<String> =
        Arguments::command().get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)).collect();
    let not_own = |args: Vec<clap::Arg>| -> Vec<clap::Arg> {
        let is_own =
            |arg: &clap::Arg| arg.get_long().is_some_and(|long| own.iter().any(|known| known == long));
        args.into_iter().filter(|arg| !is_own(arg)).collect()
    };
    let settings = not_own(prooflog_config::command_args());
    let command = CONFIGURED.into_iter().fold(Arguments::command(), |command, name| {
        let settings = settings.clone();
        command.mut_subcommand(name, |sub| sub.args(settings))
    });
    let command = command
        .mut_subcommand("import", |import| import.mut_subcommand("op-succinct", |sub| sub.args(settings)));
    let of_process = not_own(prooflog_config::process_args());
    command.mut_subcommand("serve", |sub| sub.args(of_process))
}

fn run(arguments: &Arguments, matches: &ArgMatches) -> Result<(), CliError> {
    let settings = matches.subcommand().map_or(matches, |(_, settings)| settings);
    let common = &arguments.common;
    let form = output::Form::of(common.json);
    match &arguments.command {
        Command::Rebuild => return rebuild::run(&common.data_dir, form),
        Command::Import(import) => {
            return import::run(common, arguments.way.chain(), import, settings);
        }
        Command::Restore { backup } => return movement::restore(&common.data_dir, backup, form),
        Command::Backup { target } => {
            return operate::backup(&common.data_dir, &arguments.way, &target.to, form);
        }
        Command::Operate(operation) => {
            return operate::run(&common.data_dir, &arguments.way, operation, form);
        }
        Command::Run { observe } => {
            return Ok(crate::run::run(config::read(settings)?, Spending::of(*observe))?);
        }
        Command::Serve => {
            return Ok(crate::run::serve_beside(&config::read_process(settings)?)?);
        }
        Command::Config => return config::run(settings, form),
        Command::Doctor => return doctor::run(&config::read(settings)?, form),
        Command::ProverCheck(check) => return doctor::prover_check(check, form),
        Command::Devnet { arguments } => return Err(devnet::run(arguments)),
        Command::Audit(audit) => return audit::run(common, audit),
        Command::Users(users) => return users::run(&common.data_dir, users, form),
        Command::Would => return operate::would(&common.data_dir, &arguments.way, form),
        Command::Diff { from, to } => {
            return diff::run(&Source::open(&common.data_dir, to.unwrap_or(common.at))?, *from, form);
        }
        Command::Replay(replay) => return replay::run(&common.data_dir, common.at, replay, form),
        Command::Debug(debug) => {
            return debug::run(&common.data_dir, common.at, debug, arguments.way.chain(), form);
        }
        Command::Bisect(search) if search.lists() => return bisect::variables(form),
        Command::Events(selection) if selection.follows() => {
            return events::follow(&common.data_dir, selection, form);
        }
        _ => {}
    }
    let source = Source::open(&common.data_dir, common.at)?;
    match &arguments.command {
        Command::Status => {
            let now = common.at == Moment::HEAD && common.data_dir.is_dir();
            let reports = if now { status::reports(&common.data_dir, &arguments.way)? } else { Vec::new() };
            status::status(&source, reports, form)
        }
        Command::Requests => status::requests(&source, form),
        Command::Events(selection) => events::run(&source, selection, form),
        Command::Show { name } => show::run(&source, name, form),
        Command::Timeline { name } => timeline::run(&source, name, form),
        Command::Why(question) => why::run(&source, question, arguments.way.chain(), form),
        Command::Bisect(search) => bisect::run(&source, search, arguments.way.chain(), form),
        Command::Verify => verify::run(&source, form),
        Command::Export { to } => movement::export(&source, to.as_deref(), form),
        // Those that look at no log were answered above.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands below one, with the way to each; groups are not commands.
    fn leaves(command: &clap::Command, way: &str, found: &mut Vec<(String, clap::Command)>) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let way = format!("{way} {}", sub.get_name());
            if sub.has_subcommands() {
                leaves(sub, &way, found);
            } else {
                found.push((way, sub.clone()));
            }
        }
    }

    #[test]
    fn the_help_of_every_command_shows_an_example_that_can_be_given() {
        let mut found = Vec::new();
        leaves(&command(), "prooflog", &mut found);
        assert!(found.len() > 30, "{}", found.len());
        for (way, command) in found {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example") && help.contains(&way), "{way}: {help}");
            for example in help.lines().filter_map(|line| line.find("prooflog ").map(|from| &line[from..])) {
                let given = command_line(example);
                let matches = super::command().try_get_matches_from(&given);
                let taken = matches.and_then(|matches| Arguments::from_arg_matches(&matches));
                assert!(taken.is_ok(), "{example}: {:?}", taken.err());
            }
        }
    }

    /// The words of an example as a shell would give them, up to where its input or output is another's.
    fn command_line(example: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (at, piece) in example.split('\'').enumerate() {
            if at % 2 == 1 {
                words.push(piece.to_owned());
                continue;
            }
            for word in piece.split_whitespace() {
                if matches!(word, "<" | ">" | "|") {
                    return words;
                }
                words.push(word.to_owned());
            }
        }
        words
    }
}
